//! The sessions of this node, found by the home's id.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, MutexGuard};

use macloud_proto::ids::InstanceId;
use macloud_proto::time::Micros;
use tokio::sync::mpsc;

use crate::session::Input;

/// How to reach a session's task.
#[derive(Debug, Clone)]
pub(crate) struct SessionHandle {
    pub(crate) epoch: u64,
    pub(crate) install_id: [u8; 16],
    /// When the token was made that let it in, seconds since 1970.
    pub(crate) issued_at: u64,
    /// Thumbprint of the key that it proved.
    pub(crate) key: Box<str>,
    /// When it is asked to prove itself again.
    pub(crate) renew_at: Micros,
    pub(crate) inbox: mpsc::Sender<Input>,
}

/// The table, in shards, so that two cores seldom meet at one lock.
#[derive(Debug)]
pub(crate) struct Sessions {
    hasher: RandomState,
    shards: [Mutex<HashMap<InstanceId, SessionHandle>>; SHARDS],
}

impl Default for Sessions {
    fn default() -> Self {
        Self { hasher: RandomState::new(), shards: Default::default() }
    }
}

/// What became of a session that wants to be the home's current one.
#[derive(Debug)]
pub(crate) enum Entered {
    /// It is, and nobody was before.
    First,
    /// It is; this one was before and must be told.
    Replaced(SessionHandle),
    /// A newer one was faster.
    TooOld,
}

impl Sessions {
    pub(crate) fn enter(&self, instance: &InstanceId, handle: SessionHandle) -> Entered {
        let mut shard = self.shard(instance);
        match shard.get(instance) {
            Some(current) if current.epoch > handle.epoch => Entered::TooOld,
            Some(_) | None => match shard.insert(instance.clone(), handle) {
                Some(old) => Entered::Replaced(old),
                None => Entered::First,
            },
        }
    }

    /// Remove the session, unless a newer one has taken its place.
    pub(crate) fn leave(&self, instance: &InstanceId, epoch: u64) {
        let mut shard = self.shard(instance);
        if shard.get(instance).is_some_and(|current| current.epoch == epoch) {
            shard.remove(instance);
        }
    }

    pub(crate) fn find(&self, instance: &InstanceId) -> Option<SessionHandle> {
        self.shard(instance).get(instance).cloned()
    }

    /// Everybody who is here now.
    pub(crate) fn all(&self) -> Vec<SessionHandle> {
        let handles = |shard: &Mutex<HashMap<_, SessionHandle>>| lock(shard).values().cloned().collect::<Vec<_>>();
        self.shards.iter().flat_map(handles).collect()
    }

    /// Some of them, each with its home, by a number that a home has for as long as this process lives.
    pub(crate) fn some_with_homes(&self, which: impl Fn(u64) -> bool) -> Vec<(InstanceId, SessionHandle)> {
        let homes = |shard: &Mutex<HashMap<InstanceId, SessionHandle>>| {
            let shard = lock(shard);
            let some = shard.iter().filter(|(instance, _)| which(self.hasher.hash_one(instance)));
            some.map(|(instance, session)| (instance.clone(), session.clone())).collect::<Vec<_>>()
        };
        self.shards.iter().flat_map(homes).collect()
    }

    /// Those that are to prove themselves again.
    pub(crate) fn due(&self, now: Micros) -> Vec<SessionHandle> {
        let due = |shard: &Mutex<HashMap<_, SessionHandle>>| {
            lock(shard).values().filter(|session| session.renew_at <= now).cloned().collect::<Vec<_>>()
        };
        self.shards.iter().flat_map(due).collect()
    }

    fn shard(&self, instance: &InstanceId) -> MutexGuard<'_, HashMap<InstanceId, SessionHandle>> {
        lock(&self.shards[self.hasher.hash_one(instance) as usize % SHARDS])
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no code panics while holding this lock")
}

const SHARDS: usize = 16;
