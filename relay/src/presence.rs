//! Which session of a home is the newest, over all nodes. The newest authenticated session wins; every change compares
//! before it sets, so that the late goodbye of an old session never erases a new one.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Mutex;

use macloud_proto::ids::InstanceId;
use macloud_service_kit::clock::SharedClock;

/// A future behind the trait object.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Where a home is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The node that holds its session.
    pub node_id: String,
    /// The session.
    pub epoch: u64,
}

/// The shared store cannot be asked now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the presence store is unavailable")]
pub struct Unavailable;

/// The directory of sessions. Implementations: [`MemoryPresence`] for one node; a shared store for several.
///
/// All methods may be cancelled; a cancelled claim may or may not have taken effect.
pub trait Presence: Send + Sync + fmt::Debug + 'static {
    /// A session of `instance` begins at `node_id`: gives its epoch, greater than that of every session before.
    fn claim<'a>(&'a self, instance: &'a InstanceId, node_id: &'a str) -> BoxFuture<'a, Result<u64, Unavailable>>;

    /// The session `epoch` is over. Changes nothing when a newer one has begun; says whether it was the newest.
    fn release<'a>(&'a self, instance: &'a InstanceId, epoch: u64) -> BoxFuture<'a, Result<bool, Unavailable>>;

    /// Where the newest session is.
    fn locate<'a>(&'a self, instance: &'a InstanceId) -> BoxFuture<'a, Result<Option<Location>, Unavailable>>;
}

/// Presence of a single node, in memory.
#[derive(Debug)]
pub struct MemoryPresence {
    clock: SharedClockDebug,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last_epoch: u64,
    homes: HashMap<InstanceId, Location>,
}

struct SharedClockDebug(SharedClock);

impl fmt::Debug for SharedClockDebug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

impl MemoryPresence {
    /// Nobody is here yet.
    #[must_use]
    pub fn new(clock: SharedClock) -> Self {
        Self { clock: SharedClockDebug(clock), state: Mutex::default() }
    }

    fn begin(&self, instance: &InstanceId, node_id: &str) -> u64 {
        let mut state = self.state.lock().expect("no code panics while holding this lock");
        // Epochs start at the time in milliseconds, so that they keep growing over restarts.
        state.last_epoch = self.clock.0.unix_millis().max(state.last_epoch + 1);
        let epoch = state.last_epoch;
        state.homes.insert(instance.clone(), Location { node_id: node_id.into(), epoch });
        epoch
    }

    fn end(&self, instance: &InstanceId, epoch: u64) -> bool {
        let mut state = self.state.lock().expect("no code panics while holding this lock");
        let newest = state.homes.get(instance).is_some_and(|location| location.epoch == epoch);
        if newest {
            state.homes.remove(instance);
        }
        newest
    }

    fn find(&self, instance: &InstanceId) -> Option<Location> {
        self.state.lock().expect("no code panics while holding this lock").homes.get(instance).cloned()
    }
}

impl Presence for MemoryPresence {
    fn claim<'a>(&'a self, instance: &'a InstanceId, node_id: &'a str) -> BoxFuture<'a, Result<u64, Unavailable>> {
        Box::pin(std::future::ready(Ok(self.begin(instance, node_id))))
    }

    fn release<'a>(&'a self, instance: &'a InstanceId, epoch: u64) -> BoxFuture<'a, Result<bool, Unavailable>> {
        Box::pin(std::future::ready(Ok(self.end(instance, epoch))))
    }

    fn locate<'a>(&'a self, instance: &'a InstanceId) -> BoxFuture<'a, Result<Option<Location>, Unavailable>> {
        Box::pin(std::future::ready(Ok(self.find(instance))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use macloud_service_kit::clock::ManualClock;

    #[test]
    fn the_late_goodbye_of_an_old_session_erases_nothing() {
        let presence = MemoryPresence::new(ManualClock::at(1_800_000_000));
        let home = InstanceId::from_bytes(&[1; 16]);
        let old = presence.begin(&home, "a");
        let new = presence.begin(&home, "b");
        assert!(new > old && old >= 1_800_000_000_000);
        assert!(!presence.end(&home, old));
        assert_eq!(presence.find(&home), Some(Location { node_id: "b".into(), epoch: new }));
        assert!(presence.end(&home, new));
        assert_eq!(presence.find(&home), None);
    }
}
