//! The queue of one process: bounded, and at any time only the latest of each home's key.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::future::ready;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use macloud_proto::ids::InstanceId;
use tokio::time::Instant;

use super::{BoxFuture, Delivery, EventQueue, HomeEvent, Put, Reader, Unavailable};

/// Events in memory. They do not outlive the process.
#[derive(Debug, Default)]
pub struct MemoryEvents {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// By number, which only grows.
    kept: BTreeMap<u64, Kept>,
    next: u64,
    latest: HashMap<(InstanceId, Bytes), u64>,
    bytes: usize,
    groups: HashMap<String, Group>,
}

#[derive(Debug)]
struct Kept {
    event: HomeEvent,
    at: Instant,
}

#[derive(Debug, Default)]
struct Group {
    /// The first that no reader was given.
    next: u64,
    /// Given and not done, in the order in which they were given.
    given: VecDeque<(u64, Instant)>,
}

impl MemoryEvents {
    fn state(&self) -> MutexGuard<'_, State> {
        // What is behind this lock is consistent between its own calls.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn put(&mut self, event: HomeEvent) -> Put {
        let mut put = Put::default();
        if !event.event.key.is_empty() {
            let key = (event.instance.clone(), event.event.key.clone());
            // Whoever has read the earlier one reads the later one, too.
            if let Some(earlier) = self.latest.insert(key, self.next) {
                put.coalesced = usize::from(self.kept.remove(&earlier).map(|kept| self.bytes -= size(&kept)).is_some());
            }
        }
        let kept = Kept { event, at: Instant::now() };
        self.bytes += size(&kept);
        self.kept.insert(self.next, kept);
        self.next += 1;
        while self.kept.len() > MAX_EVENTS || self.bytes > MAX_BYTES {
            let Some(oldest) = self.kept.keys().next().copied() else { break };
            self.forget(oldest);
            put.fell_off += 1;
        }
        put
    }

    fn give(&mut self, group: &str, numbers: &[u64]) -> Vec<Delivery> {
        let now = Instant::now();
        let group = self.groups.entry(group.into()).or_default();
        group.given.extend(numbers.iter().map(|number| (*number, now)));
        let delivery = |number: &u64| {
            let kept = self.kept.get(number)?;
            Some(Delivery { mark: number.to_string(), event: kept.event.clone(), waited: now - kept.at })
        };
        numbers.iter().filter_map(delivery).collect()
    }

    fn read(&mut self, group: &str, most: usize) -> Vec<Delivery> {
        let next = self.groups.get(group).map_or(0, |group| group.next);
        let numbers: Vec<_> = self.kept.range(next..).map(|(number, _)| *number).take(most).collect();
        let deliveries = self.give(group, &numbers);
        if let (Some(last), Some(group)) = (numbers.last(), self.groups.get_mut(group)) {
            group.next = last + 1;
        }
        deliveries
    }

    fn read_left_behind(&mut self, group: &str, most: usize, given_for: Duration) -> Vec<Delivery> {
        let Some(known) = self.groups.get_mut(group) else { return Vec::new() };
        let kept = &self.kept;
        known.given.retain(|(number, _)| kept.contains_key(number));
        let old = known.given.iter().take_while(|(_, at)| at.elapsed() >= given_for).count().min(most);
        let numbers: Vec<_> = known.given.drain(..old).map(|(number, _)| number).collect();
        self.give(group, &numbers)
    }

    fn done(&mut self, group: &str, marks: &[String]) {
        let Some(known) = self.groups.get_mut(group) else { return };
        let done: Vec<u64> = marks.iter().filter_map(|mark| mark.parse().ok()).collect();
        known.given.retain(|(number, _)| !done.contains(number));
        for number in done {
            let wanted = |group: &Group| group.next <= number || group.given.iter().any(|(given, _)| *given == number);
            if !self.groups.values().any(wanted) {
                self.forget(number);
            }
        }
    }

    fn forget(&mut self, number: u64) {
        let Some(kept) = self.kept.remove(&number) else { return };
        self.bytes -= size(&kept);
        let key = (kept.event.instance, kept.event.event.key);
        if self.latest.get(&key) == Some(&number) {
            self.latest.remove(&key);
        }
    }
}

fn size(kept: &Kept) -> usize {
    kept.event.event.sealed.len()
}

impl EventQueue for MemoryEvents {
    fn put(&self, events: Vec<HomeEvent>) -> BoxFuture<'_, Result<Put, Unavailable>> {
        let mut state = self.state();
        let mut all = Put::default();
        for event in events {
            let put = state.put(event);
            all.coalesced += put.coalesced;
            all.fell_off += put.fell_off;
        }
        Box::pin(ready(Ok(all)))
    }

    fn read<'a>(&'a self, reader: &'a Reader, most: usize) -> BoxFuture<'a, Result<Vec<Delivery>, Unavailable>> {
        Box::pin(ready(Ok(self.state().read(&reader.group, most))))
    }

    fn read_left_behind<'a>(
        &'a self,
        reader: &'a Reader,
        most: usize,
        given_for: Duration,
    ) -> BoxFuture<'a, Result<Vec<Delivery>, Unavailable>> {
        Box::pin(ready(Ok(self.state().read_left_behind(&reader.group, most, given_for))))
    }

    fn done<'a>(&'a self, reader: &'a Reader, marks: Vec<String>) -> BoxFuture<'a, Result<(), Unavailable>> {
        self.state().done(&reader.group, &marks);
        Box::pin(ready(Ok(())))
    }
}

/// Ten properties of two thousand players.
const MAX_EVENTS: usize = 20_000;
/// Several times as much as so many of the usual size would need is not given to them.
const MAX_BYTES: usize = 32 * 1024 * 1024;
