//! The directory in this process's memory: for a single node, and for tests with several.

use std::collections::HashMap;
use std::fmt;
use std::future::ready;
use std::sync::{Mutex, MutexGuard};

use macloud_proto::ids::InstanceId;
use macloud_service_kit::clock::SharedClock;

use super::{BoxFuture, Claimed, LEASE, Location, NodeAddress, Presence, Unavailable};

/// Presence within one process.
pub struct MemoryPresence {
    clock: SharedClock,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last_epoch: u64,
    homes: HashMap<InstanceId, (String, u64)>,
    /// Where each node is, and until when its lease counts by the monotonic clock.
    leases: HashMap<String, (NodeAddress, u64)>,
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

    fn begin(&self, instance: &InstanceId, node_id: &str, above: u64) -> Claimed {
        let mut state = self.lock();
        // Epochs start at the time in milliseconds, so that they keep growing over restarts.
        let epoch = self.clock.unix_millis().max(state.last_epoch + 1).max(above + 1);
        state.last_epoch = epoch;
        let before = state.homes.insert(instance.clone(), (node_id.into(), epoch));
        let before = before.and_then(|(node_id, _)| state.living(&node_id, self.clock.monotonic_millis()));
        Claimed { epoch, before }
    }

    fn end(&self, instance: &InstanceId, epoch: u64) -> bool {
        let mut state = self.lock();
        let newest = state.homes.get(instance).is_some_and(|(_, newest)| *newest == epoch);
        if newest {
            state.homes.remove(instance);
        }
        newest
    }

    fn put_back(&self, instance: &InstanceId, node_id: &str, epoch: u64) -> bool {
        let mut state = self.lock();
        if state.homes.get(instance).is_some_and(|(_, newest)| *newest > epoch) {
            return false;
        }
        state.homes.insert(instance.clone(), (node_id.into(), epoch));
        true
    }

    fn find(&self, instance: &InstanceId) -> Option<Location> {
        let state = self.lock();
        let (node_id, epoch) = state.homes.get(instance)?;
        let node = state.living(node_id, self.clock.monotonic_millis())?;
        Some(Location { node, epoch: *epoch })
    }

    fn keep(&self, node: &NodeAddress) -> bool {
        let now = self.clock.monotonic_millis();
        let mut state = self.lock();
        let was_there = state.living(&node.node_id, now).is_some();
        let until = now + LEASE.as_millis() as u64;
        state.leases.insert(node.node_id.clone(), (node.clone(), until));
        was_there
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no code panics while holding this lock")
    }
}

impl State {
    fn living(&self, node_id: &str, now: u64) -> Option<NodeAddress> {
        self.leases.get(node_id).filter(|(_, until)| now < *until).map(|(node, _)| node.clone())
    }
}

impl Presence for MemoryPresence {
    fn claim<'a>(
        &'a self,
        instance: &'a InstanceId,
        node_id: &'a str,
        above: u64,
    ) -> BoxFuture<'a, Result<Claimed, Unavailable>> {
        Box::pin(ready(Ok(self.begin(instance, node_id, above))))
    }

    fn release<'a>(&'a self, instance: &'a InstanceId, epoch: u64) -> BoxFuture<'a, Result<bool, Unavailable>> {
        Box::pin(ready(Ok(self.end(instance, epoch))))
    }

    fn restore<'a>(
        &'a self,
        instance: &'a InstanceId,
        node_id: &'a str,
        epoch: u64,
    ) -> BoxFuture<'a, Result<bool, Unavailable>> {
        Box::pin(ready(Ok(self.put_back(instance, node_id, epoch))))
    }

    fn locate<'a>(&'a self, instance: &'a InstanceId) -> BoxFuture<'a, Result<Option<Location>, Unavailable>> {
        Box::pin(ready(Ok(self.find(instance))))
    }

    fn renew_lease<'a>(&'a self, node: &'a NodeAddress) -> BoxFuture<'a, Result<bool, Unavailable>> {
        Box::pin(ready(Ok(self.keep(node))))
    }

    fn end_lease<'a>(&'a self, node_id: &'a str) -> BoxFuture<'a, Result<(), Unavailable>> {
        self.lock().leases.remove(node_id);
        Box::pin(ready(Ok(())))
    }
}
