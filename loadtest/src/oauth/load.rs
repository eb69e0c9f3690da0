//! Ways to put load on a server: a closed loop of so many in flight, all at once, and at an even pace.

use std::time::{Duration, Instant};

use macloud_loadtest::latencies::Latencies;
use macloud_loadtest::usage::Tree;
use tokio::task::JoinSet;

/// One of those in flight: it does its one thing over and over.
pub(crate) trait Worker: Send + 'static {
    /// Open its connection.
    fn connect(&mut self) -> impl Future<Output = anyhow::Result<()>> + Send;
    /// Do it once, and make sure that it was done right.
    fn step(&mut self) -> impl Future<Output = anyhow::Result<()>> + Send;
}

/// What is to be told of a load.
pub(crate) struct Measured {
    pub(crate) elapsed: Duration,
    /// Done within `elapsed`.
    pub(crate) done: u64,
    pub(crate) latencies: Latencies,
    pub(crate) failures: Failures,
    pub(crate) cost: Cost,
}

/// How many went wrong, and how the first did.
#[derive(Default)]
pub(crate) struct Failures {
    pub(crate) count: u64,
    pub(crate) first: Option<String>,
}

impl Failures {
    pub(crate) fn note(&mut self, error: &anyhow::Error) {
        self.count += 1;
        self.first.get_or_insert_with(|| format!("{error:#}"));
    }

    fn add(&mut self, other: Self) {
        self.count += other.count;
        self.first = self.first.take().or(other.first);
    }
}

/// Processor time while it was measured, and the most memory that was seen.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) server: Duration,
    pub(crate) database: Duration,
    /// This program.
    pub(crate) generator: Duration,
    pub(crate) resident_kib: u64,
    pub(crate) proportional_kib: u64,
}

/// Whose costs are measured.
#[derive(Clone, Copy)]
pub(crate) struct Payers {
    pub(crate) server: Tree,
    pub(crate) database: Option<Tree>,
}

impl Payers {
    /// Note what is paid while `work` runs.
    pub(crate) async fn pay<T>(&self, work: impl Future<Output = T>) -> (T, Cost) {
        let (before, mut memory) = (self.times(), (0, 0));
        let mut work = std::pin::pin!(work);
        let result = loop {
            tokio::select! {
                result = work.as_mut() => break result,
                () = tokio::time::sleep(MEMORY_SAMPLES) => {
                    let (resident, proportional) = self.server.memory_kib();
                    memory = (memory.0.max(resident), memory.1.max(proportional));
                }
            }
        };
        let after = self.times();
        let [server, database, generator] = [0, 1, 2].map(|n: usize| after[n].saturating_sub(before[n]));
        (result, Cost { server, database, generator, resident_kib: memory.0, proportional_kib: memory.1 })
    }

    fn times(&self) -> [Duration; 3] {
        let database = self.database.map(Tree::processor_time).unwrap_or_default();
        let generator = Tree { root: std::process::id() }.own_processor_time();
        [self.server.processor_time(), database, generator]
    }
}

/// Each worker begins again as soon as it is done. Counted is what ends within `window`, after `warm_up`.
pub(crate) async fn closed_loop<W: Worker>(
    workers: Vec<W>,
    warm_up: Duration,
    window: Duration,
    payers: Payers,
) -> anyhow::Result<(Measured, Vec<W>)> {
    let workers = connected(workers).await?;
    let from = Instant::now() + warm_up;
    let until = from + window;
    let mut tasks = JoinSet::new();
    for worker in workers {
        tasks.spawn(work_until(worker, from, until));
    }
    tokio::time::sleep_until(from.into()).await;
    let ((), cost) = payers.pay(tokio::time::sleep_until(until.into())).await;
    let mut measured = Measured::nothing(window, cost);
    let mut workers = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        let (worker, own) = ended?;
        measured.add(own);
        workers.push(worker);
    }
    Ok((measured, workers))
}

async fn work_until<W: Worker>(mut worker: W, from: Instant, until: Instant) -> (W, Measured) {
    let mut own = Measured::nothing(Duration::ZERO, Cost::default());
    while Instant::now() < until {
        let begun = Instant::now();
        let outcome = worker.step().await;
        let ended = Instant::now();
        if ended >= from {
            own.note(outcome.as_ref().err(), ended - begun, ended <= until);
        }
        if outcome.is_err() {
            // A server that is down would otherwise be asked a million times.
            tokio::time::sleep(AFTER_FAILURE).await;
        }
    }
    (worker, own)
}

/// All begin together, and each does it once.
pub(crate) async fn all_at_once<W: Worker>(workers: Vec<W>, payers: Payers) -> anyhow::Result<(Measured, Vec<W>)> {
    let workers = connected(workers).await?;
    let mut tasks = JoinSet::new();
    let begun = Instant::now();
    let work = async {
        for mut worker in workers {
            tasks.spawn(async move {
                let outcome = worker.step().await;
                (worker, outcome, begun.elapsed())
            });
        }
        let mut ended = Vec::new();
        while let Some(one) = tasks.join_next().await {
            ended.push(one);
        }
        ended
    };
    let (all, cost) = payers.pay(work).await;
    let mut measured = Measured::nothing(begun.elapsed(), cost);
    let mut workers = Vec::new();
    for ended in all {
        let (worker, outcome, time) = ended?;
        measured.note(outcome.as_ref().err(), time, true);
        workers.push(worker);
    }
    Ok((measured, workers))
}

/// So many a second, whether or not the ones before are done, until `until`. The times count from when each was due.
pub(crate) async fn paced<W: Worker>(
    workers: Vec<W>,
    per_second: f64,
    until: impl Future<Output = ()>,
) -> anyhow::Result<(Measured, Vec<W>)> {
    let workers = connected(workers).await?;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let between = Duration::from_secs_f64(workers.len() as f64 / per_second);
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    let count = workers.len() as u32;
    for (n, mut worker) in workers.into_iter().enumerate() {
        let mut stopped = stopped.clone();
        tasks.spawn(async move {
            let mut own = Measured::nothing(Duration::ZERO, Cost::default());
            let mut due = begun + between * n as u32 / count;
            loop {
                tokio::select! {
                    biased;
                    _ = stopped.wait_for(|stop| *stop) => return (worker, own),
                    () = tokio::time::sleep_until(due.into()) => {}
                }
                let outcome = worker.step().await;
                own.note(outcome.as_ref().err(), due.elapsed(), true);
                due += between;
            }
        });
    }
    until.await;
    let elapsed = begun.elapsed();
    let _ = stop.send(true);
    let mut measured = Measured::nothing(elapsed, Cost::default());
    let mut workers = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        let (worker, own) = ended?;
        measured.add(own);
        workers.push(worker);
    }
    Ok((measured, workers))
}

impl Measured {
    fn nothing(elapsed: Duration, cost: Cost) -> Self {
        Self { elapsed, done: 0, latencies: Latencies::default(), failures: Failures::default(), cost }
    }

    fn note(&mut self, error: Option<&anyhow::Error>, time: Duration, counts: bool) {
        match error {
            Some(error) => self.failures.note(error),
            None => {
                self.latencies.record(time);
                self.done += u64::from(counts);
            }
        }
    }

    fn add(&mut self, other: Self) {
        self.done += other.done;
        self.latencies.add(&other.latencies);
        self.failures.add(other.failures);
    }
}

/// Connecting is not what is measured.
async fn connected<W: Worker>(mut workers: Vec<W>) -> anyhow::Result<Vec<W>> {
    for worker in &mut workers {
        worker.connect().await?;
    }
    Ok(workers)
}

const MEMORY_SAMPLES: Duration = Duration::from_millis(500);
const AFTER_FAILURE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    /// Every third step fails.
    struct Third(u32);

    impl Worker for Third {
        async fn connect(&mut self) -> anyhow::Result<()> {
            Ok(())
        }

        async fn step(&mut self) -> anyhow::Result<()> {
            self.0 += 1;
            anyhow::ensure!(!self.0.is_multiple_of(3), "the third");
            Ok(())
        }
    }

    const NOBODY: Payers = Payers { server: Tree { root: u32::MAX }, database: None };

    #[tokio::test]
    async fn all_at_once_counts_each_worker_once() {
        let workers = vec![Third(0), Third(1), Third(2)];
        let (measured, workers) = all_at_once(workers, NOBODY).await.unwrap();
        assert_eq!((measured.done, measured.failures.count, workers.len()), (2, 1, 3));
        assert_eq!(measured.failures.first.as_deref(), Some("the third"));
    }

    #[tokio::test]
    async fn a_pace_is_kept() {
        let until = tokio::time::sleep(Duration::from_millis(200));
        let (measured, _) = paced(vec![Third(0), Third(0)], 100.0, until).await.unwrap();
        let tried = measured.done + measured.failures.count;
        assert!((1..=24).contains(&tried), "20 were due, and a slow machine does fewer: {tried}");
    }
}
