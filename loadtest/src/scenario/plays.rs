//! What happens in each scenario, and what has to hold.

use std::collections::BTreeMap;
use std::time::Duration;

use macloud_loadtest::sample::{Cost, Sample};
use macloud_proto::link::redial::RedialSettings;
use macloud_proto::link::relay_side::RelaySettings;

use super::stage::{Asked, Stage, latencies, lose_packets_to};
use super::{Args, Play};
use crate::fleet::callers::Callers;
use crate::fleet::homes::{Homes, HomesConfig};
use crate::fleet::nodes::Nodes;
use crate::measuring::{Before, cryptography_of_a_connect};
use crate::report::results::{Check, Scenario};
use crate::report::statistics::Trend;

/// Play it.
pub(super) async fn play(args: &Args) -> anyhow::Result<Scenario> {
    match args.play {
        Play::Idle => idle(args).await,
        Play::Storm => storm(args).await,
        Play::Rolling => rolling(args).await,
        Play::Kill => kill(args).await,
        Play::Partition => partition(args).await,
        Play::SlowConsumer => slow_consumer(args).await,
        Play::Flap => flap(args).await,
        Play::Soak => soak(args).await,
    }
}

fn config(args: &Args, nodes: &Nodes, sealed: bool) -> HomesConfig {
    HomesConfig {
        certificate: nodes.certificate.clone(),
        sealed,
        // Long enough for some commands to be under way when the node is killed.
        delay: if args.play == Play::Kill { SLOW } else { Duration::ZERO },
        installation: 1,
        resume: !args.full_handshakes,
        credentials: !args.full_credentials,
        redial: RedialSettings::default(),
    }
}

fn settings(args: &Args, nodes: usize, homes: usize) -> BTreeMap<String, String> {
    let rate = if args.play == Play::Idle { "none".into() } else { args.per_second.to_string() };
    let settings = [
        ("relays", nodes.to_string()),
        ("homes", homes.to_string()),
        ("commands a second", rate),
        ("seed", args.seed.to_string()),
        (
            "dialling again",
            if args.full_credentials { "with token and proof" } else { "with the relay's ticket" }.into(),
        ),
        ("TLS resumption", if args.full_handshakes { "no" } else { "yes" }.into()),
    ];
    settings.map(|(name, value)| (name.to_owned(), value)).into()
}

/// Two relays, with homes at both unless all are wanted at the first.
async fn stage(args: &Args, homes: usize, sealed: bool, all_at_first: bool, logged: bool) -> anyhow::Result<Stage> {
    let before = Before::now();
    let nodes = Nodes::start(2, args.relay.clone(), &["--drain-seconds", "20"]).await?;
    let mut doors: Vec<_> = nodes.all.iter().map(|node| node.address).collect();
    if all_at_first {
        doors.truncate(1);
    }
    let all = Homes::new(config(args, &nodes, sealed), doors)?;
    all.add(0..homes as u64, Duration::from_secs_f64(homes as f64 / CONNECTS_PER_SECOND));
    all.until_connected(homes, Duration::from_secs(30) + Duration::from_millis(homes as u64 * 5)).await?;
    let callers = Callers::new(nodes.buses()?, 0..homes as u64, sealed).await?;
    if sealed {
        callers.warm_up().await?;
    }
    Ok(Stage::new(before, nodes, all, callers, homes, logged))
}

/// What a connection costs that does nothing.
async fn idle(args: &Args) -> anyhow::Result<Scenario> {
    let before = Before::now();
    let homes = args.homes.unwrap_or(15_000);
    let nodes = Nodes::start(1, args.relay.clone(), &[]).await?;
    let [server] = &nodes.servers()[..] else { anyhow::bail!("the relay has ended") };
    let tree = macloud_loadtest::usage::Tree { root: server.pid };
    let all = Homes::new(config(args, &nodes, false), vec![nodes.all[0].address])?;
    let begun = std::time::Instant::now();
    let mut memory = vec![(0.0, tree.memory_kib().0)];
    let mut points = Vec::new();
    let (mut cpu, mut done) = (Duration::ZERO, 0);
    // The slope counts from the first step on: what the process needs once is not a connection's cost.
    for step in [homes / 15, homes / 4, homes / 2, homes * 3 / 4, homes] {
        let (wanted, before) = (step.max(1), tree.processor_time());
        all.add(done as u64..wanted as u64, Duration::from_secs_f64((wanted - done) as f64 / args.dials_per_second));
        all.until_connected(wanted, Duration::from_secs(30) + Duration::from_millis(wanted as u64 * 5)).await?;
        done = wanted;
        tokio::time::sleep(AFTER_WELCOME).await;
        // Not what it costs to keep them, which is a figure of its own.
        cpu += tree.processor_time().saturating_sub(before);
        tokio::time::sleep(Duration::from_secs(3)).await;
        let (resident, _) = tree.memory_kib();
        memory.push((begun.elapsed().as_secs_f64(), resident));
        points.push((wanted as f64, resident as f64));
    }
    let slope = Trend::of(&points).map_or(0.0, |trend| trend.slope);
    let each_ms = cpu.as_secs_f64() * 1000.0 / homes as f64;
    let alone_ms = cryptography_of_a_connect()?.as_secs_f64() * 1000.0;
    let dials = all.dials();
    let kept = tree.processor_time();
    tokio::time::sleep(Duration::from_secs_f64(args.calm)).await;
    let keeping = (tree.processor_time() - kept).as_secs_f64() / args.calm * 100.0;
    let checks = vec![
        at_most("resident memory for each connection, KiB", slope, 15.0),
        at_most("processor time for each connect, ms", each_ms, 0.30),
        at_most("dials that failed", dials[2] as f64, 0.0),
        at_most("of one processor, to keep them all connected, %", keeping, 100.0),
    ];
    let sample = Sample {
        seconds: begun.elapsed().as_secs_f64(),
        servers: vec![Cost {
            name: "relay-1".into(),
            cpu_ms: cpu.as_secs_f64() * 1000.0,
            resident_kib: tree.memory_kib().0,
        }],
        ..Sample::default()
    };
    let mut settings = settings(args, 1, homes);
    settings.insert("dials a second".into(), args.dials_per_second.to_string());
    let alone = format!("{alone_ms:.3} ms, of which each connect took {:.2} times", each_ms / alone_ms);
    settings.insert("a connect's cryptography alone".into(), alone);
    Ok(Scenario {
        machine: before.and_after(),
        name: "idle".into(),
        settings,
        sample,
        checks,
        memory,
        ..Scenario::default()
    })
}

/// All homes of a node at the door of another, at once.
async fn storm(args: &Args) -> anyhow::Result<Scenario> {
    let homes = args.homes.unwrap_or(10_000);
    let stage = stage(args, homes, false, true, true).await?;
    let (mut stage, sample, (fault, dials)) = stage
        .play(args.per_second, args.seed, async |stage| {
            calm(args).await;
            // As homes are that have been connected for a while: each has been told by now how many there are to come back.
            tokio::time::sleep(RelaySettings::default().ping_max).await;
            let dials = stage.homes.dials();
            stage.homes.set_doors(vec![stage.nodes.all[1].address]);
            stage.nodes.all[0].signal("KILL")?;
            let fault = stage.mark("the node of all homes is killed");
            until_back(stage, homes, 0.999).await;
            calm(args).await;
            Ok((fault, dials))
        })
        .await?;
    let recovery = stage.recovery(fault, homes);
    let gate = homes as f64 * 0.0005;
    stage.checks.push(back_within(recovery.t99_s, gate));
    let [tried, refused, failed] = stage.homes.dials();
    stage.checks.push(at_most("dials that failed", (failed - dials[2]) as f64, 0.0));
    let text = format!("{} tried, {} told to come later", tried - dials[0], refused - dials[1]);
    stage.check("dials", text, "told".into(), true);
    stage.check_answers(&sample, &[]).await;
    Ok(stage.finish("storm", settings(args, 2, homes), sample, Some(recovery)))
}

/// Nobody notices that every node is replaced.
async fn rolling(args: &Args) -> anyhow::Result<Scenario> {
    let homes = args.homes.unwrap_or(500);
    let stage = stage(args, homes, true, false, true).await?;
    let (mut stage, sample, (from, until)) = stage
        .play(args.per_second, args.seed, async |stage| {
            calm(args).await;
            let from = stage.now();
            for place in 0..stage.nodes.all.len() {
                let name = stage.nodes.all[place].name.clone();
                stage.mark(format!("{name} is asked to leave"));
                stage.homes.set_doors(doors_but(stage, place));
                stage.nodes.all[place].signal("TERM")?;
                stage.nodes.all[place].ended().await?;
                stage.nodes.restart(place).await?;
                stage.processes_changed();
                stage.mark(format!("{name} is back"));
                stage.homes.set_doors(doors(stage));
                calm(args).await;
            }
            Ok((from, stage.now()))
        })
        .await?;
    stage.none("commands not done", sample.outcomes.not_done());
    let asked = stage.asked();
    let (idle, meanwhile) = (latencies(&asked, 1.0, from), latencies(&asked, from, until));
    let ratio = meanwhile.micros_at(0.99) / idle.micros_at(0.99);
    stage.check("p99 meanwhile ÷ before (a goal: 2)", format!("{ratio:.2}"), "told".into(), true);
    stage.check_answers(&sample, &[]).await;
    Ok(stage.finish("rolling", settings(args, 2, homes), sample, None))
}

/// A node is gone without a word.
async fn kill(args: &Args) -> anyhow::Result<Scenario> {
    let homes = args.homes.unwrap_or(500);
    let stage = stage(args, homes, true, false, true).await?;
    let (mut stage, sample, fault) = stage
        .play(args.per_second, args.seed, async |stage| {
            calm(args).await;
            stage.homes.set_doors(doors_but(stage, 0));
            stage.nodes.all[0].signal("KILL")?;
            let fault = stage.mark("relay-1 is killed");
            stage.nodes.all[0].ended().await?;
            until_back(stage, homes, 0.999).await;
            calm(args).await;
            stage.nodes.restart(0).await?;
            stage.processes_changed();
            stage.homes.set_doors(doors(stage));
            stage.mark("relay-1 is back");
            calm(args).await;
            Ok(fault)
        })
        .await?;
    let asked = stage.asked();
    stage.checks.push(at_most(
        "answered after the reset at the latest, of those in flight, s",
        in_flight(&asked, fault),
        1.0,
    ));
    let recovery = stage.recovery(fault, homes);
    stage.checks.push(back_within(recovery.t99_s, 10.0));
    stage.check_answers(&sample, &[]).await;
    Ok(stage.finish("kill", settings(args, 2, homes), sample, Some(recovery)))
}

/// A node is there, and nothing reaches it.
async fn partition(args: &Args) -> anyhow::Result<Scenario> {
    let homes = args.homes.unwrap_or(500);
    let stage = stage(args, homes, true, false, true).await?;
    let (mut stage, sample, (fault, healed)) = stage
        .play(args.per_second, args.seed, async |stage| {
            calm(args).await;
            let lost = stage.nodes.all[0].address;
            lose_packets_to(lost, true)?;
            let fault = stage.mark("every packet to relay-1 is lost");
            tokio::time::sleep(BALANCER_NOTICES).await;
            stage.homes.set_doors(doors_but(stage, 0));
            stage.mark("the balancer has noticed");
            tokio::time::sleep(PARTITION).await;
            lose_packets_to(lost, false)?;
            let healed = stage.mark("packets arrive again");
            stage.homes.set_doors(doors(stage));
            until_back(stage, homes, 0.999).await;
            calm(args).await;
            Ok((fault, healed))
        })
        .await?;
    let asked = stage.asked();
    let slowest = asked.iter().filter(|one| one.answered >= fault).map(|one| one.answered - one.at).fold(0.0, f64::max);
    stage.checks.push(at_most("slowest answer from then on, s", slowest, 12.0));
    let recovery = stage.recovery(fault, homes);
    let after = asked.iter().filter(|one| one.at >= healed + SETTLED && !one.done).count();
    stage.none("commands not done, from five seconds after it was healed", after as u64);
    stage.check_answers(&sample, &[]).await;
    Ok(stage.finish("partition", settings(args, 2, homes), sample, Some(recovery)))
}

/// Some homes do not read what comes.
async fn slow_consumer(args: &Args) -> anyhow::Result<Scenario> {
    let homes = args.homes.unwrap_or(500);
    let deaf = (homes / 20).max(1);
    let stage = stage(args, homes, true, false, true).await?;
    let (mut stage, sample, (fault, healed)) = stage
        .play(args.per_second, args.seed, async |stage| {
            calm(args).await;
            stage.homes.deafen(deaf as u64);
            let fault = stage.mark(format!("{deaf} homes stop reading"));
            tokio::time::sleep(PARTITION).await;
            stage.homes.deafen(0);
            let healed = stage.mark("they read again");
            calm(args).await;
            Ok((fault, healed))
        })
        .await?;
    let (them, others): (Vec<Asked>, Vec<Asked>) = stage.asked().into_iter().partition(|one| one.home < deaf);
    stage.none("commands to others not done", others.iter().filter(|one| !one.done).count() as u64);
    let slowest = them.iter().filter(|one| one.at < healed).map(|one| one.answered - one.at).fold(0.0, f64::max);
    stage.checks.push(at_most("slowest answer of theirs, s", slowest, 3.0));
    let ratio = latencies(&others, fault, healed).micros_at(0.99) / latencies(&others, 1.0, fault).micros_at(0.99);
    stage.check("p99 of the others meanwhile ÷ before", format!("{ratio:.2}"), "told".into(), true);
    stage.check_answers(&sample, &[]).await;
    Ok(stage.finish("slow consumer", settings(args, 2, homes), sample, None))
}

/// Some homes are there twice.
async fn flap(args: &Args) -> anyhow::Result<Scenario> {
    let homes = args.homes.unwrap_or(500);
    let twins = (homes / 20).max(1);
    let stage = stage(args, homes, true, false, true).await?;
    // As by default they would displace each other once in minutes, these do not wait.
    let at_once = (Duration::from_millis(200), Duration::from_secs(1));
    let redial = RedialSettings { replaced: at_once, ..RedialSettings::default() };
    let config = HomesConfig { installation: 2, redial, ..config(args, &stage.nodes, true) };
    let others = Homes::new(config, doors(&stage))?;
    let playing = others.clone();
    let (mut stage, sample, fault) = stage
        .play(args.per_second, args.seed, async move |stage| {
            calm(args).await;
            let fault = stage.mark(format!("{twins} homes get a twin"));
            for _ in 0..FLAPS {
                playing.add(0..twins as u64, Duration::from_millis(500));
                tokio::time::sleep(Duration::from_secs(2)).await;
                stage.homes.add(0..twins as u64, Duration::from_millis(500));
                tokio::time::sleep(Duration::from_secs(2)).await;
            }
            calm(args).await;
            Ok(fault)
        })
        .await?;
    let untouched = stage.asked().into_iter().filter(|one| one.home >= twins);
    let not_done = untouched.filter(|one| one.at >= fault && !one.done).count();
    stage.none("commands to the other homes not done", not_done as u64);
    let mut contested = 0.0;
    for node in &stage.nodes.all {
        contested += node.metric("macloud_relay_contested_total").await?;
    }
    stage.check("homes found to be contested", format!("{contested:.0}"), "at least 1".into(), contested >= 1.0);
    stage.check_answers(&sample, &[others]).await;
    Ok(stage.finish("flap", settings(args, 2, homes), sample, None))
}

/// For long enough that what grows is seen.
async fn soak(args: &Args) -> anyhow::Result<Scenario> {
    let homes = args.homes.unwrap_or(500);
    let stage = stage(args, homes, true, false, false).await?;
    let (mut stage, sample, ()) = stage
        .play(args.per_second, args.seed, async |stage| {
            let begun = stage.mark("homes begin to come and go");
            let mut next = 0;
            let mut owed = 0.0;
            while stage.now() - begun < args.minutes * 60.0 {
                tokio::time::sleep(Duration::from_secs(1)).await;
                owed += args.churn;
                while owed >= 1.0 {
                    stage.homes.add(next..next + 1, Duration::ZERO);
                    next = (next + 1) % homes as u64;
                    owed -= 1.0;
                }
            }
            stage.mark("they stay");
            until_back(stage, homes, 1.0).await;
            Ok(())
        })
        .await?;
    // The first third fills caches and free lists.
    let memory = stage.memory();
    let from = memory.last().map_or(0.0, |(at, _)| at / 3.0);
    let points: Vec<(f64, f64)> =
        memory.iter().filter(|(at, _)| *at >= from).map(|(at, kib)| (*at / 3600.0, *kib as f64)).collect();
    let slope = Trend::of(&points).map_or(0.0, |trend| trend.slope);
    let mean = points.iter().map(|(_, kib)| kib).sum::<f64>() / points.len() as f64;
    stage.checks.push(at_most("memory grows by this share in an hour, %", slope / mean * 100.0, 5.0));
    stage.check("memory grows in an hour, KiB", format!("{slope:.0}"), "told".into(), true);
    let wrong: u64 = sample.outcomes.wrong.values().sum();
    stage.none("wrong or late answers", wrong);
    stage.none("commands executed twice", stage.homes.executed_twice() as u64);
    let mut connections = 0.0;
    for node in &stage.nodes.all {
        connections += node.metric("macloud_relay_connections").await?;
    }
    stage.check(
        "sessions that the relays hold at the end",
        format!("{connections:.0}"),
        homes.to_string(),
        connections as usize == homes,
    );
    Ok(stage.finish("soak", settings(args, 2, homes), sample, None))
}

fn doors(stage: &Stage) -> Vec<std::net::SocketAddr> {
    stage.nodes.all.iter().map(|node| node.address).collect()
}

fn doors_but(stage: &Stage, place: usize) -> Vec<std::net::SocketAddr> {
    let others = stage.nodes.all.iter().enumerate().filter(|(other, _)| *other != place);
    others.map(|(_, node)| node.address).collect()
}

async fn calm(args: &Args) {
    tokio::time::sleep(Duration::from_secs_f64(args.calm)).await;
}

/// Until that share of the homes is connected, but for a minute at most: what was reached is judged later.
async fn until_back(stage: &Stage, homes: usize, share: f64) {
    // Those that have not noticed yet still count as connected.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let wanted = (homes as f64 * share).ceil() as usize;
    let _ = stage.homes.until_connected(wanted, Duration::from_secs(60)).await;
}

/// The longest that a command in flight at `fault` still waited; zero when none was.
fn in_flight(asked: &[Asked], fault: f64) -> f64 {
    asked
        .iter()
        .filter(|one| one.at < fault && one.answered >= fault)
        .map(|one| one.answered - fault)
        .fold(0.0, f64::max)
}

fn back_within(t99_s: Option<f64>, gate: f64) -> Check {
    Check {
        name: "99 of 100 homes are back, s".into(),
        found: t99_s.map_or_else(|| "never".into(), |seconds| format!("{seconds:.2}")),
        gate: format!("{gate:.1}"),
        holds: t99_s.is_some_and(|seconds| seconds <= gate),
    }
}

fn at_most(name: &str, found: f64, gate: f64) -> Check {
    Check { name: name.into(), found: format!("{found:.3}"), gate: format!("{gate}"), holds: found <= gate }
}

const CONNECTS_PER_SECOND: f64 = 1000.0;
/// For the last home's first ping and its answer.
const AFTER_WELCOME: Duration = Duration::from_millis(200);
const BALANCER_NOTICES: Duration = Duration::from_secs(3);
const PARTITION: Duration = Duration::from_secs(20);
const SETTLED: f64 = 5.0;
const FLAPS: u32 = 4;
const SLOW: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_wait_after_a_fault_is_of_what_was_under_way() {
        let asked = |at: f64, answered: f64| Asked { home: 0, at, answered, done: true };
        let all = [asked(1.0, 9.9), asked(9.8, 10.4), asked(9.9, 10.1), asked(10.5, 16.0)];
        assert!((in_flight(&all, 10.0) - 0.4).abs() < 1e-9);
        assert_eq!(in_flight(&all[..1], 10.0), 0.0);
    }

    #[test]
    fn what_was_not_reached_does_not_hold() {
        assert!(at_most("x", 15.0, 15.0).holds && !at_most("x", 15.1, 15.0).holds);
        assert!(back_within(Some(4.9), 5.0).holds && !back_within(Some(5.1), 5.0).holds);
        assert!(!back_within(None, 5.0).holds);
    }
}
