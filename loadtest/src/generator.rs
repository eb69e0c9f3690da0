//! Makes load: an open loop, whose commands start when they are meant to whatever the system does, and a closed loop, whose
//! next command waits for the one before.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::driver::{Driver, Server};
use crate::latencies::Latencies;
use crate::sample::{Outcome, Recorder, Sample};
use crate::usage::Tree;

/// Commands at random times, at this rate on average.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Open {
    /// Commands a second; the gaps between them are drawn from an exponential distribution.
    pub per_second: f64,
    /// For how long commands start.
    pub seconds: f64,
    /// Bytes of each command.
    pub bytes: usize,
    /// The same seed draws the same times.
    pub seed: u64,
}

/// So many at a time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Closed {
    /// Commands that are under way at any time.
    pub in_flight: usize,
    /// What ends within this time counts, after a fifth of it as a warm-up.
    pub seconds: f64,
    /// Bytes of each command.
    pub bytes: usize,
}

/// Run an open loop over `homes` in turn, until `stop` says so or its time is over.
///
/// Times count from when each command was meant to start. Commands are started by a thread of its own, so that neither a busy
/// runtime nor an answer that does not come holds up the next one; how late it was nevertheless is in the sample, which is void
/// if that was too much.
///
/// # Errors
/// When no thread can be started.
pub async fn open_loop<D: Driver>(
    driver: &Arc<D>,
    homes: usize,
    load: Open,
    stop: watch::Receiver<bool>,
) -> anyhow::Result<Sample> {
    let meter = Meter::start(driver.servers());
    let recorder = Arc::new(Mutex::new(Recorder::default()));
    let (ended, all_ended) = watch::channel(());
    let starter = {
        let (driver, recorder, runtime) = (driver.clone(), recorder.clone(), Handle::current());
        let start = move |number: u64, begun: Instant, due: Instant| {
            let (driver, recorder, ended) = (driver.clone(), recorder.clone(), ended.clone());
            runtime.spawn(async move {
                let outcome = driver.call(number as usize % homes, payload(number, load.bytes)).await;
                let now = Instant::now();
                recorder.lock().expect("nobody panics with it").record(now - begun, &outcome, now - due);
                drop(ended);
            });
        };
        std::thread::Builder::new().name("starter".into()).spawn(move || start_all(load, &stop, start))?
    };
    let begun = Instant::now();
    // The channel closes when the thread and all commands have ended.
    let mut all_ended = all_ended;
    let _ = all_ended.wait_for(|()| false).await;
    let lateness = starter.join().map_err(|_| anyhow::anyhow!("the starting thread panicked"))?;
    let recorder = std::mem::take(&mut *recorder.lock().expect("nobody panics with it"));
    let mut sample = recorder.into_sample(begun.elapsed());
    sample.lateness = lateness;
    sample.judge_lateness();
    meter.finish(&mut sample);
    Ok(sample)
}

/// Start commands at their times; returns how late each was.
fn start_all(load: Open, stop: &watch::Receiver<bool>, start: impl Fn(u64, Instant, Instant)) -> Latencies {
    // Otherwise Linux may sleep 50 µs longer than asked. Where it cannot be changed, the lateness tells.
    let _ = std::fs::write("/proc/thread-self/timerslack_ns", "1");
    let (mut draw, mut lateness) = (Draw(load.seed), Latencies::default());
    let begun = Instant::now();
    let mut due = Duration::ZERO;
    for number in 0.. {
        due += Duration::from_secs_f64(draw.exponential() / load.per_second);
        if due.as_secs_f64() >= load.seconds || *stop.borrow() {
            break;
        }
        std::thread::sleep((begun + due).saturating_duration_since(Instant::now()));
        lateness.record(begun.elapsed().saturating_sub(due));
        start(number, begun, begun + due);
    }
    lateness
}

/// Run a closed loop over `homes` in turn.
///
/// # Errors
/// When a worker panics.
pub async fn closed_loop<D: Driver>(driver: &Arc<D>, homes: usize, load: Closed) -> anyhow::Result<Sample> {
    let next = Arc::new(AtomicU64::new(0));
    let warm_up = Duration::from_secs_f64(load.seconds / 5.0);
    let from = Instant::now() + warm_up;
    let until = from + Duration::from_secs_f64(load.seconds);
    let recorder = Arc::new(Mutex::new(Recorder::default()));
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..load.in_flight {
        let (driver, next, recorder) = (driver.clone(), next.clone(), recorder.clone());
        workers.spawn(async move {
            loop {
                let begun = Instant::now();
                if begun >= until {
                    return;
                }
                let number = next.fetch_add(1, Ordering::Relaxed);
                let outcome = driver.call(number as usize % homes, payload(number, load.bytes)).await;
                let now = Instant::now();
                if now >= from && now <= until {
                    recorder.lock().expect("nobody panics with it").record(now - from, &outcome, now - begun);
                }
                if outcome != Outcome::Done {
                    // A server that is down would otherwise be asked a million times.
                    tokio::time::sleep(AFTER_FAILURE).await;
                }
            }
        });
    }
    tokio::time::sleep_until(from.into()).await;
    let meter = Meter::start(driver.servers());
    tokio::time::sleep_until(until.into()).await;
    let mut costs = Sample::default();
    meter.finish(&mut costs);
    while let Some(ended) = workers.join_next().await {
        ended?;
    }
    let recorder = std::mem::take(&mut *recorder.lock().expect("nobody panics with it"));
    let sample = recorder.into_sample(until - from);
    Ok(Sample { servers: costs.servers, generator_cpu_ms: costs.generator_cpu_ms, ..sample })
}

/// Different for each command, so that a swapped reply is noticed.
fn payload(number: u64, bytes: usize) -> Bytes {
    let mut payload = vec![0x5a; bytes.max(8)];
    payload[..8].copy_from_slice(&number.to_be_bytes());
    payload.into()
}

/// Notes what processes cost.
pub(crate) struct Meter {
    servers: Vec<(Server, Duration)>,
    generator: Duration,
}

impl Meter {
    pub(crate) fn start(servers: Vec<Server>) -> Self {
        let with_time = |server: Server| {
            let time = server.tree().processor_time();
            (server, time)
        };
        Self { servers: servers.into_iter().map(with_time).collect(), generator: own_time() }
    }

    pub(crate) fn finish(self, sample: &mut Sample) {
        let cost = |(server, before): (Server, Duration)| {
            let spent = server.tree().processor_time().saturating_sub(before);
            let (resident_kib, _) = server.tree().memory_kib();
            crate::sample::Cost { name: server.name, cpu_ms: spent.as_secs_f64() * 1000.0, resident_kib }
        };
        sample.servers = self.servers.into_iter().map(cost).collect();
        sample.generator_cpu_ms = own_time().saturating_sub(self.generator).as_secs_f64() * 1000.0;
    }
}

fn own_time() -> Duration {
    Tree { root: std::process::id() }.own_processor_time()
}

/// Seeded numbers: `SplitMix64` (Steele, Lea and Flood, 2014).
pub struct Draw(pub u64);

impl Draw {
    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Between 0 and 1.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A whole number below that.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.bits() % bound as u64) as usize
    }

    /// Exponentially distributed, with mean 1.
    pub fn exponential(&mut self) -> f64 {
        -(1.0 - self.unit()).ln()
    }
}

const AFTER_FAILURE: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers at once; the commands to home 1 wrongly.
    struct Echo;

    impl Driver for Echo {
        async fn connect(&self, _: usize) -> anyhow::Result<()> {
            Ok(())
        }

        async fn call(&self, home: usize, _: Bytes) -> Outcome {
            if home == 1 { Outcome::Wrong("home 1".into()) } else { Outcome::Done }
        }

        fn servers(&self) -> Vec<Server> {
            Vec::new()
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn an_open_loop_starts_what_was_drawn_and_each_is_counted_once() {
        let load = Open { per_second: 1000.0, seconds: 0.3, bytes: 16, seed: 1 };
        let mut draw = Draw(load.seed);
        let mut due = 0.0;
        let drawn = std::iter::repeat_with(|| {
            due += draw.exponential() / load.per_second;
            due
        });
        let drawn = drawn.take_while(|due| *due < load.seconds).count() as u64;
        let (_running, stop) = watch::channel(false);
        let sample = open_loop(&Arc::new(Echo), 3, load, stop).await.unwrap();
        assert!(sample.outcomes.total().abs_diff(drawn) <= 1, "rounding of times: {drawn} {:?}", sample.outcomes);
        assert!(sample.outcomes.wrong["home 1"] > drawn / 4);
        assert_eq!(sample.latency.count(), sample.outcomes.done);
        assert_eq!(sample.lateness.count(), sample.outcomes.total());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn an_open_loop_stops_when_told() {
        let load = Open { per_second: 100.0, seconds: 3600.0, bytes: 16, seed: 1 };
        let (stop, stopped) = watch::channel(false);
        let driver = Arc::new(Echo);
        let running = open_loop(&driver, 1, load, stopped);
        let telling = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            stop.send(true)
        };
        let (sample, told) = tokio::join!(running, telling);
        told.unwrap();
        assert!(sample.unwrap().seconds < 60.0);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_closed_loop_counts_what_ends_in_its_window() {
        let load = Closed { in_flight: 2, seconds: 0.2, bytes: 16 };
        let sample = closed_loop(&Arc::new(Echo), 1, load).await.unwrap();
        assert!(sample.outcomes.done > 0 && sample.outcomes.not_done() == 0);
        assert!((sample.seconds - 0.2).abs() < 1e-6);
    }

    #[test]
    fn numbers_are_spread_as_they_should() {
        let mut draw = Draw(7);
        let mean = (0..10_000).map(|_| draw.exponential()).sum::<f64>() / 10_000.0;
        assert!((0.95..1.05).contains(&mean), "{mean}");
        assert!((0..1000).all(|_| draw.below(3) < 3));
    }
}
