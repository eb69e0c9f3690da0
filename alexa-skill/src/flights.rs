//! Many that ask for the same thing at once wait for one that fetches it.
//!
//! Promises: what nobody waits for any more is given up; at most so many run at once; one that was told apart by
//! [`Flights::part`] is joined by nobody new.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Fetches that are under way, under what they fetch.
pub(crate) struct Flights<K, V> {
    under_way: Arc<Mutex<UnderWay<K, V>>>,
    room: Arc<Semaphore>,
}

/// A fetch that is under way; polled by everybody who waits for it.
pub(crate) type Flight<V> = Shared<BoxFuture<'static, V>>;

struct UnderWay<K, V> {
    flights: HashMap<K, (u64, WeakShared<BoxFuture<'static, V>>)>,
    next: u64,
}

impl<K: Hash + Eq + Clone + Send + 'static, V: Clone + Send + Sync + 'static> Flights<K, V> {
    /// At most `most` at once.
    pub(crate) fn new(most: usize) -> Self {
        let under_way = UnderWay { flights: HashMap::new(), next: 0 };
        Self { under_way: Arc::new(Mutex::new(under_way)), room: Arc::new(Semaphore::new(most)) }
    }

    /// Join the one that is under way for `key`, or begin one. `None` when too many are under way.
    pub(crate) fn join(&self, key: &K, begin: impl Future<Output = V> + Send + 'static) -> Option<Flight<V>> {
        let mut under_way = lock(&self.under_way);
        let running = under_way.flights.get(key).and_then(|(_, running)| running.upgrade());
        if running.is_some() {
            return running;
        }
        let room = Arc::clone(&self.room).try_acquire_owned().ok()?;
        let number = under_way.next;
        under_way.next += 1;
        let landing = Landing { under_way: Arc::clone(&self.under_way), key: key.clone(), number, _room: room };
        let flight = async move {
            let _landing = landing;
            begin.await
        };
        let flight = flight.boxed().shared();
        let weak = flight.downgrade().expect("a new future has not been polled");
        under_way.flights.insert(key.clone(), (number, weak));
        Some(flight)
    }

    /// Whoever comes from now on begins anew; those who wait already get what they wait for.
    pub(crate) fn part(&self) {
        lock(&self.under_way).flights.clear();
    }
}

/// A flight's place, left when it ends or when the last one who waited has gone.
struct Landing<K: Hash + Eq, V> {
    under_way: Arc<Mutex<UnderWay<K, V>>>,
    key: K,
    number: u64,
    _room: OwnedSemaphorePermit,
}

impl<K: Hash + Eq, V> Drop for Landing<K, V> {
    fn drop(&mut self) {
        let mut under_way = lock(&self.under_way);
        if under_way.flights.get(&self.key).is_some_and(|(number, _)| *number == self.number) {
            under_way.flights.remove(&self.key);
        }
    }
}

/// Nothing panics half-way while it is held, so what a poisoned lock guards is whole.
fn lock<K, V>(under_way: &Mutex<UnderWay<K, V>>) -> MutexGuard<'_, UnderWay<K, V>> {
    under_way.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn one_fetches_for_all_and_the_next_begins_anew() {
        let (flights, begun) = (Flights::new(9), Arc::new(AtomicU32::new(0)));
        let fetch = || {
            let begun = Arc::clone(&begun);
            async move { begun.fetch_add(1, Ordering::SeqCst) }
        };
        let (one, two) = (flights.join(&"a", fetch()).unwrap(), flights.join(&"a", fetch()).unwrap());
        assert_eq!((one.await, two.await), (0, 0));
        assert_eq!(flights.join(&"a", fetch()).unwrap().await, 1);
        assert!(lock(&flights.under_way).flights.is_empty());
    }

    #[tokio::test]
    async fn more_than_there_is_room_for_are_refused_and_what_is_given_up_leaves_its_room() {
        let flights = Flights::<u32, ()>::new(2);
        let (one, two) = (flights.join(&1, std::future::pending()), flights.join(&2, std::future::pending()));
        assert!(one.is_some() && two.is_some());
        assert!(flights.join(&3, async {}).is_none());
        assert!(flights.join(&2, async {}).is_some(), "joining takes no room");
        drop(one);
        assert!(flights.join(&3, async {}).is_some());
        drop(two);
        assert!(lock(&flights.under_way).flights.is_empty());
    }

    #[tokio::test]
    async fn after_parting_nobody_joins_what_began_before() {
        let flights = Flights::new(9);
        let (land, landing) = oneshot::channel();
        let before = flights.join(&1, async { landing.await.unwrap_or("given up") }).unwrap();
        flights.part();
        let after = flights.join(&1, async { "after" }).unwrap();
        land.send("before").unwrap();
        assert_eq!(before.await, "before");
        assert!(lock(&flights.under_way).flights.contains_key(&1), "the end of one does not end the other");
        assert_eq!(after.await, "after");
    }
}
