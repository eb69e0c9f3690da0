//! The directory in this process's memory: for a single node, and for tests with several.

use std::collections::HashMap;
use std::fmt;
use std::future::ready;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use macloud_proto::ids::InstanceId;
use macloud_service_kit::clock::SharedClock;

use super::{
    BoxFuture, Claim, Claimed, Held, LEASE, Location, NodeAddress, Notice, Presence, REMEMBERED, Restored, Unavailable,
    Whereabouts, takeovers,
};

/// Presence within one process.
pub struct MemoryPresence {
    clock: SharedClock,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last_epoch: u64,
    homes: HashMap<InstanceId, Home>,
    /// Where each node is, and until when its lease counts by the monotonic clock.
    leases: HashMap<String, (NodeAddress, u64)>,
    notices: HashMap<String, Vec<Notice>>,
    last_swept: u64,
}

#[derive(Debug, Default)]
struct Home {
    /// The newest session's, even when it is over.
    epoch: u64,
    /// Where the newest session is, and which installation's it is. None when it is over.
    place: Option<(String, [u8; 16])>,
    /// When the newest session ended, by the monotonic clock. None while there is one.
    ended: Option<u64>,
    /// When another installation took over, in milliseconds since 1970.
    displaced: Vec<u64>,
}

impl fmt::Debug for MemoryPresence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryPresence")
    }
}

impl MemoryPresence {
    /// Nobody is here yet.
    #[must_use]
    pub fn new(clock: SharedClock) -> Self {
        Self { clock, state: Mutex::default() }
    }

    fn begin(&self, claim: Claim<'_>) -> Claimed {
        let now = self.clock.unix_millis();
        let mut state = self.lock();
        state.sweep(now, self.clock.monotonic_millis());
        // Epochs start at the time in milliseconds, so that they keep growing over restarts. What was restored may be ahead of that.
        let known = state.homes.get(claim.instance).map_or(0, |home| home.epoch);
        let epoch = now.max(state.last_epoch + 1).max(known + 1).max(claim.above + 1);
        state.last_epoch = epoch;
        let home = state.homes.entry(claim.instance.clone()).or_default();
        home.epoch = epoch;
        home.ended = None;
        let before = home.place.replace((claim.node_id.into(), claim.install_id));
        let other_installation = before.as_ref().is_some_and(|(_, install_id)| *install_id != claim.install_id);
        if other_installation {
            takeovers::note(&mut home.displaced, now);
        }
        let contested = takeovers::are_too_many(&home.displaced, now);
        let before = before.filter(|(node_id, _)| node_id != claim.node_id);
        let before = before.and_then(|(node_id, _)| state.living(&node_id, self.clock.monotonic_millis()));
        Claimed { epoch, before, other_installation, contested }
    }

    fn end(&self, instance: &InstanceId, epoch: u64) -> bool {
        let mut state = self.lock();
        let Some(home) = state.homes.get_mut(instance).filter(|home| home.epoch == epoch) else { return false };
        let was_there = home.place.take().is_some();
        if was_there {
            home.ended = Some(self.clock.monotonic_millis());
        }
        was_there
    }

    fn put_back(&self, session: Held<'_>) -> Restored {
        let mut state = self.lock();
        let home = state.homes.entry(session.instance.clone()).or_default();
        if home.epoch > session.epoch {
            let newest = home.place.as_ref();
            let other_installation = newest.is_some_and(|(_, install_id)| *install_id != session.install_id);
            let contested = takeovers::are_too_many(&home.displaced, self.clock.unix_millis());
            return Restored::Outdated { other_installation, contested };
        }
        home.epoch = session.epoch;
        home.ended = None;
        let before = home.place.replace((session.node_id.into(), session.install_id));
        let before = before.filter(|(node_id, _)| node_id != session.node_id);
        let now = self.clock.monotonic_millis();
        Restored::Newest { before: before.and_then(|(node_id, _)| state.living(&node_id, now)) }
    }

    fn find(&self, instance: &InstanceId) -> Whereabouts {
        let (state, now) = (self.lock(), self.clock.monotonic_millis());
        let home = state.homes.get(instance);
        let at = home.and_then(|home| {
            let (node_id, _) = home.place.as_ref()?;
            Some(Location { node: state.living(node_id, now)?, epoch: home.epoch })
        });
        let ended = home.and_then(|home| home.ended);
        at.map_or_else(|| Whereabouts::Away(ended.map(|ended| Duration::from_millis(now - ended))), Whereabouts::At)
    }

    fn keep(&self, node: &NodeAddress) -> bool {
        let now = self.clock.monotonic_millis();
        let mut state = self.lock();
        let was_there = state.living(&node.node_id, now).is_some();
        let until = now + LEASE.as_millis() as u64;
        state.leases.insert(node.node_id.clone(), (node.clone(), until));
        was_there
    }

    fn let_go(&self, node: &NodeAddress) {
        let mut state = self.lock();
        if state.leases.get(&node.node_id).is_some_and(|(holder, _)| holder == node) {
            state.leases.remove(&node.node_id);
        }
    }

    fn leave_word(&self, node_id: &str, notice: &Notice) {
        let mut state = self.lock();
        // Whoever has no lease asks about each of its homes.
        if state.living(node_id, self.clock.monotonic_millis()).is_some() {
            state.notices.entry(node_id.into()).or_default().push(notice.clone());
        }
    }

    fn there(&self) -> Vec<NodeAddress> {
        let (state, now) = (self.lock(), self.clock.monotonic_millis());
        state.leases.values().filter(|(_, until)| now < *until).map(|(node, _)| node.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no code panics while holding this lock")
    }
}

impl State {
    fn living(&self, node_id: &str, now: u64) -> Option<NodeAddress> {
        self.leases.get(node_id).filter(|(_, until)| now < *until).map(|(node, _)| node.clone())
    }

    /// Homes that are gone are remembered for as long as an old session's word on them may come, a quarrel lasts, or people are told
    /// since when they are away. `now` is the time since 1970, `monotonic` that of the monotonic clock.
    fn sweep(&mut self, now: u64, monotonic: u64) {
        if takeovers::is_recent(self.last_swept, now) {
            return;
        }
        self.last_swept = now;
        let oldest = monotonic.saturating_sub(REMEMBERED.as_millis() as u64);
        let is_remembered = |home: &Home| home.ended.is_some_and(|ended| ended >= oldest);
        self.homes
            .retain(|_, home| home.place.is_some() || is_remembered(home) || takeovers::is_recent(home.epoch, now));
    }
}

impl Presence for MemoryPresence {
    fn claim<'a>(&'a self, claim: Claim<'a>) -> BoxFuture<'a, Result<Claimed, Unavailable>> {
        Box::pin(ready(Ok(self.begin(claim))))
    }

    fn release<'a>(&'a self, instance: &'a InstanceId, epoch: u64) -> BoxFuture<'a, Result<bool, Unavailable>> {
        Box::pin(ready(Ok(self.end(instance, epoch))))
    }

    fn restore<'a>(&'a self, session: Held<'a>) -> BoxFuture<'a, Result<Restored, Unavailable>> {
        Box::pin(ready(Ok(self.put_back(session))))
    }

    fn locate<'a>(&'a self, instance: &'a InstanceId) -> BoxFuture<'a, Result<Whereabouts, Unavailable>> {
        Box::pin(ready(Ok(self.find(instance))))
    }

    fn renew_lease<'a>(&'a self, node: &'a NodeAddress) -> BoxFuture<'a, Result<bool, Unavailable>> {
        Box::pin(ready(Ok(self.keep(node))))
    }

    fn end_lease<'a>(&'a self, node: &'a NodeAddress) -> BoxFuture<'a, Result<(), Unavailable>> {
        self.let_go(node);
        Box::pin(ready(Ok(())))
    }

    fn leave_notice<'a>(&'a self, node_id: &'a str, notice: &'a Notice) -> BoxFuture<'a, Result<(), Unavailable>> {
        self.leave_word(node_id, notice);
        Box::pin(ready(Ok(())))
    }

    fn take_notices<'a>(&'a self, node_id: &'a str) -> BoxFuture<'a, Result<Vec<Notice>, Unavailable>> {
        Box::pin(ready(Ok(self.lock().notices.remove(node_id).unwrap_or_default())))
    }

    fn nodes(&self) -> BoxFuture<'_, Result<Vec<NodeAddress>, Unavailable>> {
        Box::pin(ready(Ok(self.there())))
    }
}
