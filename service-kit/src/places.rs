//! Counting how many places each of many holds, so that nobody holds them all.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard};

/// Who holds how many places. Whoever holds none costs no memory.
#[derive(Debug)]
pub struct Places<K> {
    held: Mutex<HashMap<K, usize>>,
}

impl<K> Default for Places<K> {
    fn default() -> Self {
        Self { held: Mutex::default() }
    }
}

impl<K: Eq + Hash + Clone> Places<K> {
    /// A place for `key`, unless it holds `most` already. Dropping the place gives it back.
    #[must_use]
    pub fn take(self: &Arc<Self>, key: &K, most: usize) -> Option<Place<K>> {
        let mut held = self.lock();
        let count = held.get(key).copied().unwrap_or_default();
        if count >= most {
            return None;
        }
        held.insert(key.clone(), count + 1);
        Some(Place { places: self.clone(), key: key.clone() })
    }

    fn give_back(&self, key: &K) {
        let mut held = self.lock();
        match held.get_mut(key) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(held.remove(key)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, usize>> {
        self.held.lock().expect("no code panics while holding this lock")
    }
}

/// A place that is held until this is dropped.
#[derive(Debug)]
#[must_use = "dropping it gives the place back"]
pub struct Place<K: Eq + Hash + Clone> {
    places: Arc<Places<K>>,
    key: K,
}

impl<K: Eq + Hash + Clone> Drop for Place<K> {
    fn drop(&mut self) {
        self.places.give_back(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_its_own_bound_and_leaves_nothing_behind() {
        let places = Arc::new(Places::default());
        let (one, two) = (places.take(&"a", 2), places.take(&"a", 2));
        assert!(one.is_some() && two.is_some() && places.take(&"a", 2).is_none());
        let other = places.take(&"b", 1);
        assert!(other.is_some());
        drop(one);
        let again = places.take(&"a", 2);
        assert!(again.is_some() && places.take(&"a", 2).is_none());
        drop((two, again, other));
        assert!(places.lock().is_empty());
    }
}
