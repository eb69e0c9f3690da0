//! Relays, homes and callers, with eyes on all of them.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use macloud_loadtest::driver::{Driver, Server};
use macloud_loadtest::generator::{Open, open_loop};
use macloud_loadtest::latencies::Latencies;
use macloud_loadtest::sample::{Cost, Outcome, Sample};
use macloud_loadtest::usage::Tree;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::fleet::callers::Callers;
use crate::fleet::homes::Homes;
use crate::fleet::nodes::Nodes;
use crate::measuring::Before;
use crate::report::results::{Check, Mark, Recovery, Scenario};

/// What a scenario is played on.
pub(super) struct Stage {
    before: Before,
    pub(super) nodes: Nodes,
    pub(super) homes: Arc<Homes>,
    pub(super) count: usize,
    traffic: Arc<Traffic>,
    eyes: Arc<Eyes>,
    watching: JoinHandle<()>,
    pub(super) marks: Vec<Mark>,
    pub(super) checks: Vec<Check>,
}

/// What is seen, and since when.
struct Eyes {
    begun: Instant,
    servers: Mutex<Vec<Server>>,
    /// Of each process, by its id: what it had cost when it was first seen, and when it was last seen.
    costs: Mutex<HashMap<u32, Spent>>,
    connected: Mutex<Vec<(f64, usize)>>,
    memory: Mutex<Vec<(f64, u64)>>,
}

/// What a process has used.
struct Spent {
    name: String,
    at_first: Duration,
    at_last: Duration,
    resident_kib: u64,
}

/// The commands of a scenario.
struct Traffic {
    callers: Callers,
    begun: Instant,
    /// Each with its times; not of a soak, in which it would grow.
    log: Option<Mutex<Vec<Asked>>>,
}

/// One command, with times in seconds since the beginning.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) home: usize,
    pub(super) at: f64,
    pub(super) answered: f64,
    pub(super) done: bool,
}

impl Driver for Traffic {
    async fn connect(&self, _: usize) -> anyhow::Result<()> {
        Ok(())
    }

    async fn call(&self, home: usize, payload: Bytes) -> Outcome {
        let at = self.begun.elapsed().as_secs_f64();
        let outcome = self.callers.call(home, payload).await;
        if let Some(log) = &self.log {
            let answered = self.begun.elapsed().as_secs_f64();
            let asked = Asked { home, at, answered, done: outcome == Outcome::Done };
            log.lock().expect("nobody panics with it").push(asked);
        }
        outcome
    }

    fn servers(&self) -> Vec<Server> {
        Vec::new()
    }
}

impl Stage {
    /// When everything is ready; `callers` speak to `homes`, which are connected already.
    pub(super) fn new(
        before: Before,
        nodes: Nodes,
        homes: Arc<Homes>,
        callers: Callers,
        count: usize,
        logged: bool,
    ) -> Self {
        let begun = Instant::now();
        let servers = nodes.servers();
        let eyes = Arc::new(Eyes {
            begun,
            servers: Mutex::new(servers),
            costs: Mutex::default(),
            connected: Mutex::default(),
            memory: Mutex::default(),
        });
        if logged {
            homes.watch_executions();
            callers.keep_ledger();
        }
        let traffic = Arc::new(Traffic { callers, begun, log: logged.then(Mutex::default) });
        let watching = tokio::spawn(watch_all(eyes.clone(), homes.clone()));
        Self { before, nodes, homes, count, traffic, eyes, watching, marks: Vec::new(), checks: Vec::new() }
    }

    /// Send commands, at this rate, until the story is over.
    pub(super) async fn play<T>(
        mut self,
        per_second: f64,
        seed: u64,
        story: impl AsyncFnOnce(&mut Self) -> anyhow::Result<T>,
    ) -> anyhow::Result<(Self, Sample, T)> {
        let load = Open { per_second, seconds: LONGEST, bytes: 1024, seed };
        let (stop, stopped) = watch::channel(false);
        let (traffic, count) = (self.traffic.clone(), self.count);
        let telling = async {
            let told = story(&mut self).await;
            let _ = stop.send(true);
            told
        };
        let (sample, told) = tokio::join!(open_loop(&traffic, count, load, stopped), telling);
        let mut sample = sample?;
        let told = told?;
        for (second, found) in sample.timeline.iter_mut().enumerate() {
            found.connected = self.connected_at(second as f64 + 1.0);
        }
        Ok((self, sample, told))
    }

    /// Seconds since the beginning.
    pub(super) fn now(&self) -> f64 {
        self.eyes.begun.elapsed().as_secs_f64()
    }

    /// Something happens now. When.
    pub(super) fn mark(&mut self, text: impl Into<String>) -> f64 {
        let at_s = self.now();
        self.marks.push(Mark { at_s, text: text.into() });
        at_s
    }

    /// A process was started: watch it, too.
    pub(super) fn processes_changed(&self) {
        *self.eyes.servers.lock().expect("nobody panics with it") = self.nodes.servers();
    }

    pub(super) fn check(&mut self, name: impl Into<String>, found: String, gate: String, holds: bool) {
        self.checks.push(Check { name: name.into(), found, gate, holds });
    }

    /// Every command so far.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.traffic.log.as_ref().map(|log| log.lock().expect("nobody panics with it").clone()).unwrap_or_default()
    }

    pub(super) fn memory(&self) -> Vec<(f64, u64)> {
        self.eyes.memory.lock().expect("nobody panics with it").clone()
    }

    /// How homes came back after `began_s`.
    pub(super) fn recovery(&self, began_s: f64, homes: usize) -> Recovery {
        recovery(&self.eyes.connected.lock().expect("nobody panics with it"), began_s, homes)
    }

    /// What always has to hold: no wrong answer, nothing executed twice, and nothing executed that was said not to be sent.
    pub(super) async fn check_answers(&mut self, sample: &Sample, others: &[Arc<Homes>]) {
        // Whatever was on its way has arrived by then.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let wrong: u64 = sample.outcomes.wrong.values().sum();
        self.none("wrong or late answers", wrong);
        let ledger = self.traffic.callers.take_ledger().await;
        let everybody = || std::iter::once(&self.homes).chain(others);
        let executions = |id| everybody().map(|homes| homes.executions(id)).sum::<u32>();
        let twice = ledger.iter().filter(|(id, _)| executions(*id) > 1).count();
        let all_the_same = ledger.iter().filter(|(id, refused)| *refused && executions(*id) > 0).count();
        self.none("commands executed twice", twice as u64);
        self.none("commands executed though said not to be sent", all_the_same as u64);
    }

    pub(super) fn none(&mut self, what: &str, count: u64) {
        self.check(what, count.to_string(), "0".into(), count == 0);
    }

    /// What was found.
    pub(super) fn finish(
        self,
        name: &str,
        settings: BTreeMap<String, String>,
        mut sample: Sample,
        recovery: Option<Recovery>,
    ) -> Scenario {
        self.watching.abort();
        self.eyes.look_at_processes();
        sample.servers = self.eyes.costs();
        let memory = self.memory();
        Scenario {
            machine: self.before.and_after(),
            name: name.into(),
            settings,
            sample,
            recovery,
            marks: self.marks,
            checks: self.checks,
            memory,
        }
    }

    fn connected_at(&self, at: f64) -> Option<usize> {
        let connected = self.eyes.connected.lock().expect("nobody panics with it");
        let next = connected.partition_point(|(seen, _)| *seen <= at);
        connected.get(next.checked_sub(1)?).map(|(_, count)| *count)
    }
}

fn recovery(connected: &[(f64, usize)], began_s: f64, homes: usize) -> Recovery {
    let points: Vec<(f64, usize)> =
        connected.iter().filter(|(at, _)| *at >= began_s).map(|(at, count)| (at - began_s, *count)).collect();
    // From when the most were gone: before that, those that had not noticed yet still count.
    let lowest = points.iter().enumerate().min_by_key(|(_, (_, count))| *count).map_or(0, |(place, _)| place);
    let back = |share: f64| {
        let wanted = (homes as f64 * share).ceil() as usize;
        points[lowest..].iter().find(|(_, count)| *count >= wanted).map(|(after, _)| *after)
    };
    let [t50_s, t90_s, t99_s] = [0.5, 0.9, 0.99].map(back);
    Recovery { homes, began_s, points, t50_s, t90_s, t99_s }
}

/// Of the commands that were sent within these times.
pub(super) fn latencies(asked: &[Asked], from: f64, until: f64) -> Latencies {
    let mut latencies = Latencies::default();
    for one in asked.iter().filter(|one| one.done && one.at >= from && one.at < until) {
        latencies.record(Duration::from_secs_f64(one.answered - one.at));
    }
    latencies
}

impl Eyes {
    /// Note what each process has used so far. Their memory, together.
    fn look_at_processes(&self) -> u64 {
        let servers = self.servers.lock().expect("nobody panics with it").clone();
        let mut costs = self.costs.lock().expect("nobody panics with it");
        let mut resident = 0;
        for Server { name, pid } in servers {
            let tree = Tree { root: pid };
            let (used, (resident_kib, _)) = (tree.processor_time(), tree.memory_kib());
            // One that has ended uses nothing, and keeps what it had used.
            if used.is_zero() {
                continue;
            }
            let spent = Spent { name, at_first: used, at_last: used, resident_kib };
            let of = costs.entry(pid).or_insert(spent);
            (of.at_last, of.resident_kib) = (used, resident_kib);
            resident += resident_kib;
        }
        resident
    }

    /// By name: a process that was started anew counts together with the one before.
    fn costs(&self) -> Vec<Cost> {
        let mut by_name: BTreeMap<String, Cost> = BTreeMap::new();
        for spent in self.costs.lock().expect("nobody panics with it").values() {
            let cost = by_name.entry(spent.name.clone()).or_default();
            cost.name.clone_from(&spent.name);
            cost.cpu_ms += (spent.at_last - spent.at_first).as_secs_f64() * 1000.0;
            cost.resident_kib = cost.resident_kib.max(spent.resident_kib);
        }
        by_name.into_values().collect()
    }
}

async fn watch_all(eyes: Arc<Eyes>, homes: Arc<Homes>) {
    let mut memory_due = 0.0;
    loop {
        let at = eyes.begun.elapsed().as_secs_f64();
        // Often at first, when most happens; a soak needs fewer.
        let pause = if at < 600.0 { 0.05 } else { 1.0 };
        eyes.connected.lock().expect("nobody panics with it").push((at, homes.connected()));
        if at >= memory_due {
            memory_due = at + if at < 600.0 { 1.0 } else { 10.0 };
            let resident = eyes.look_at_processes();
            eyes.memory.lock().expect("nobody panics with it").push((at, resident));
        }
        tokio::time::sleep(Duration::from_secs_f64(pause)).await;
    }
}

/// Whether this program has to be started anew in a network namespace of its own first.
pub(super) fn is_outside() -> anyhow::Result<bool> {
    if std::env::var_os(INSIDE).is_some() {
        return Ok(false);
    }
    let allowed = Command::new("unshare").args(["--net", "true"]).output().is_ok_and(|tried| tried.status.success());
    anyhow::ensure!(
        allowed,
        "losing packets needs a network namespace, and that needs root, unshare and ip (iproute2)"
    );
    Ok(true)
}

/// Run this very command in one: what is done to its loopback is done to nobody else.
pub(super) fn run_inside() -> anyhow::Result<()> {
    let script = r#"ip link set lo up && exec "$0" "$@""#;
    let mut command = Command::new("unshare");
    command.args(["--net", "sh", "-c", script]).arg(std::env::current_exe()?).args(std::env::args_os().skip(1));
    let status = command.env(INSIDE, "1").status().context("cannot run unshare")?;
    std::process::exit(status.code().unwrap_or(1));
}

/// From now on every packet to this address is lost, and whoever sends it is not told. Only inside.
pub(super) fn lose_packets_to(address: SocketAddr, lost: bool) -> anyhow::Result<()> {
    let verb = if lost { "add" } else { "del" };
    let route = ["route", verb, "blackhole", &format!("{}/32", address.ip()), "table", "local"];
    let done = Command::new("ip").args(route).output().context("cannot run ip: apt-get install iproute2")?;
    anyhow::ensure!(done.status.success(), "ip {}: {}", route.join(" "), String::from_utf8_lossy(&done.stderr));
    Ok(())
}

const INSIDE: &str = "MACLOUD_LOADTEST_INSIDE";
/// The story ends long before.
const LONGEST: f64 = 24.0 * 3600.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn homes_are_back_after_they_were_gone() {
        // All are still there when the node is killed: they notice a little later.
        let seen = [(9.0, 100), (10.0, 100), (10.1, 20), (10.2, 55), (11.0, 95), (12.0, 98)];
        let found = recovery(&seen, 10.0, 100);
        let near = |found: Option<f64>, wanted: f64| found.is_some_and(|found| (found - wanted).abs() < 1e-9);
        assert!(near(found.t50_s, 0.2) && near(found.t90_s, 1.0), "{found:?}");
        assert_eq!((found.t99_s, found.points.len()), (None, 5));
        assert_eq!(recovery(&[], 10.0, 100).t50_s, None);
    }

    #[test]
    fn only_what_was_done_within_the_time_counts() {
        let asked = |at: f64, took: f64, done| Asked { home: 0, at, answered: at + took, done };
        let all = [asked(0.5, 9.0, true), asked(1.0, 0.01, true), asked(1.5, 3.0, false), asked(2.0, 9.0, true)];
        let found = latencies(&all, 1.0, 2.0);
        assert_eq!(found.count(), 1);
        assert!((found.millis_at(1.0) - 10.0).abs() < 0.1);
    }
}
