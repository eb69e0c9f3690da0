//! `loadtest compare`: our relay beside its own parts and beside other systems, in rounds whose order turns, so that what else
//! happens on the machine hits all alike. What is judged is ratios within a round.

use std::path::PathBuf;

use anyhow::Context as _;
use macloud_loadtest::driver::Remote;
use macloud_loadtest::generator::{Closed, Open};
use macloud_loadtest::sample::Sample;
use tokio::process::Command;

use crate::measuring::{Before, load_average, publish};
use crate::report::results::{Better, Compare, Ratio, Results, Round};

/// Settings of `loadtest compare`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Of ours: relay, relay-unsealed, relay-crossing, grpc-unary, grpc-stream, websocket.
    #[arg(
        long,
        value_delimiter = ',',
        default_values = ["relay", "relay-unsealed", "relay-crossing", "grpc-unary", "grpc-stream", "websocket"],
        value_name = "NAME"
    )]
    subjects: Vec<String>,
    /// Other systems, by the names that `--peers-program` knows, such as nats,mosquitto,redis,iroh-relay.
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    peers: Vec<String>,
    /// The program that drives other systems; `loadtest/peers/README.md` says how to build it.
    #[arg(long, value_name = "FILE", default_value = "loadtest/peers/drivers/target/release/peers")]
    peers_program: PathBuf,
    /// Rounds of everything.
    #[arg(long, default_value_t = 5, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// For how long each load is measured.
    #[arg(long, default_value_t = 3.0, value_name = "SECONDS")]
    seconds: f64,
    /// Homes that are connected.
    #[arg(long, default_value_t = 64, value_name = "COUNT")]
    homes: usize,
    /// Bytes of each command.
    #[arg(long, default_value_t = 1024, value_name = "COUNT")]
    bytes: usize,
    /// Where the results go, for `loadtest report`.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// A load that each subject is put under.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Load {
    Closed(usize),
    Open(f64),
    /// At 30 % of what the subject did with 64 in flight, in this round.
    Third,
}

const LOADS: [Load; 4] = [Load::Closed(1), Load::Closed(64), Load::Open(300.0), Load::Third];

impl Load {
    fn name(self) -> String {
        match self {
            Self::Closed(count) => format!("closed, {count} in flight"),
            Self::Open(rate) => format!("open, {rate:.0}/s"),
            Self::Third => "open, 30 % of capacity".into(),
        }
    }
}

/// Measure, print, and fail if a gate does not hold.
#[expect(clippy::print_stderr, reason = "results go to standard output, progress beside it")]
pub(crate) async fn run(args: &Args) -> anyhow::Result<()> {
    let before = Before::now();
    let mut subjects = Vec::new();
    for name in args.subjects.iter().chain(&args.peers) {
        let mut subject = start(args, name).with_context(|| format!("cannot start {name}"))?;
        subject.connect(args.homes).await.with_context(|| format!("cannot connect homes to {name}"))?;
        eprintln!("{name} is ready");
        subjects.push((name.clone(), subject));
    }
    let mut rounds = Rounds::default();
    for number in 1..=args.rounds {
        eprintln!("round {number} of {}, load average {}", args.rounds, load_average());
        subjects.rotate_left(1);
        for load in LOADS {
            for (name, subject) in &mut subjects {
                let measured = measure(args, number, load, subject, rounds.capacity(number, name)).await;
                let sample = measured.with_context(|| format!("{} on {name}", load.name()))?;
                rounds.0.push((number, Round { subject: name.clone(), load: load.name(), sample }));
            }
        }
    }
    for (_, subject) in subjects {
        subject.end().await;
    }
    let ratios = rounds.ratios(args.rounds);
    let missed: Vec<String> =
        ratios.iter().filter(|ratio| ratio.holds == Some(false)).map(|ratio| ratio.name.clone()).collect();
    let compare = Compare {
        machine: before.and_after(),
        subjects: args.subjects.iter().chain(&args.peers).cloned().collect(),
        loads: LOADS.map(Load::name).to_vec(),
        rounds: rounds.0.into_iter().map(|(_, round)| round).collect(),
        ratios,
    };
    publish(&Results::Compare(compare), args.out.as_deref(), args.json)?;
    anyhow::ensure!(missed.is_empty(), "these gates are missed: {}", missed.join("; "));
    Ok(())
}

fn start(args: &Args, name: &str) -> anyhow::Result<Remote> {
    let mut command = if args.peers.iter().any(|peer| peer == name) {
        anyhow::ensure!(
            args.peers_program.is_file(),
            "{} is missing: loadtest/peers/README.md says how to build it",
            args.peers_program.display()
        );
        Command::new(&args.peers_program)
    } else {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("drive");
        command
    };
    command.arg(name);
    Remote::start(command)
}

async fn measure(
    args: &Args,
    round: u32,
    load: Load,
    subject: &mut Remote,
    capacity: Option<f64>,
) -> anyhow::Result<Sample> {
    let (seconds, bytes) = (args.seconds, args.bytes);
    let per_second = match load {
        Load::Closed(in_flight) => return subject.closed_loop(Closed { in_flight, seconds, bytes }).await,
        Load::Open(per_second) => per_second,
        Load::Third => capacity.context("the closed loop came before")? * 0.3,
    };
    subject.open_loop(Open { per_second, seconds, bytes, seed: u64::from(round) }).await
}

/// What was measured so far, by the number of the round.
#[derive(Default)]
struct Rounds(Vec<(u32, Round)>);

impl Rounds {
    fn capacity(&self, round: u32, subject: &str) -> Option<f64> {
        Some(self.sample(round, subject, Load::Closed(64))?.per_second())
    }

    /// Unless it is void: a generator that was late has measured itself.
    fn sample(&self, round: u32, subject: &str, load: Load) -> Option<&Sample> {
        let load = load.name();
        let of = |(number, found): &&(u32, Round)| *number == round && found.subject == subject && found.load == load;
        self.0.iter().find(of).map(|(_, found)| &found.sample).filter(|sample| sample.void.is_none())
    }

    fn server_micros(&self, round: u32, subject: &str) -> Option<f64> {
        Some(self.sample(round, subject, Load::Closed(64))?.server_micros())
    }

    fn p50(&self, round: u32, subject: &str) -> Option<f64> {
        Some(self.sample(round, subject, Load::Closed(1))?.latency.micros_at(0.5))
    }

    /// What is promised, with the gate that must be reached and the goal that is aimed at; where it was measured.
    fn ratios(&self, rounds: u32) -> Vec<Ratio> {
        let mut ratios = Vec::new();
        let mut add = |name: &str, better, gate, goal, figure: &Figure<'_>| {
            let values: Vec<f64> = (1..=rounds).filter_map(figure).collect();
            if !values.is_empty() {
                ratios.push(Ratio::of(name.into(), better, gate, goal, values));
            }
        };
        self.add_own(&mut add);
        for peer in ["iroh-relay", "iroh-relay-tls", "nats", "mosquitto"] {
            self.add_beside(peer, &mut add);
        }
        for peer in ["iroh-relay", "iroh-relay-tls"] {
            add(&format!("p50, unsealed relay ÷ {peer}"), Better::Lower, Some(1.0), None, &|round| {
                Some(self.p50(round, "relay-unsealed")? / self.p50(round, peer)?)
            });
        }
        ratios
    }

    fn add_own(&self, add: &mut Add<'_>) {
        let lower = Better::Lower;
        add("p50, relay ÷ (gRPC unary + WebSocket over TLS)", lower, Some(1.25), Some(0.65), &|round| {
            Some(self.p50(round, "relay")? / (self.p50(round, "grpc-unary")? + self.p50(round, "websocket")?))
        });
        add("p50, crossing ÷ one node", lower, Some(1.8), Some(1.4), &|round| {
            Some(self.p50(round, "relay-crossing")? / self.p50(round, "relay")?)
        });
        add("relay's processor time for a command, 64 in flight, µs", lower, Some(35.0), Some(22.0), &|round| {
            self.server_micros(round, "relay")
        });
        for (quantile, name, gate, goal) in [(0.5, "p50", 0.5, 0.2), (0.99, "p99", 2.0, 1.0)] {
            let name = format!("relay's {name} in an open loop at 30 % of capacity, ms");
            add(&name, lower, Some(gate), Some(goal), &|round| {
                Some(self.sample(round, "relay", Load::Third)?.latency.millis_at(quantile))
            });
        }
    }

    /// Its callers and homes seal nothing. On one machine the ends cost more than what is between them, so like is compared with
    /// like: the whole way of the relay whose ends seal nothing either, and what the servers alone take for a command. What is left
    /// of the lead when our ends seal on the same processors is told, and judged by nobody.
    fn add_beside(&self, peer: &str, add: &mut Add<'_>) {
        let (more, gate) = (Better::Higher, Some(1.0));
        add(&format!("commands/s at 64 in flight, unsealed relay ÷ {peer}"), more, gate, None, &|round| {
            Some(self.capacity(round, "relay-unsealed")? / self.capacity(round, peer)?)
        });
        add(&format!("server's processor time at 64 in flight, relay ÷ {peer}"), Better::Lower, gate, None, &|round| {
            Some(self.server_micros(round, "relay")? / self.server_micros(round, peer)?)
        });
        add(&format!("commands/s at 64 in flight, relay with ends that seal ÷ {peer}"), more, None, gate, &|round| {
            Some(self.capacity(round, "relay")? / self.capacity(round, peer)?)
        });
    }
}

/// What a ratio is in a round.
type Figure<'a> = dyn Fn(u32) -> Option<f64> + 'a;
/// Takes a ratio: its name, which way is better, gate, goal, and figure.
type Add<'a> = dyn FnMut(&str, Better, Option<f64>, Option<f64>, &Figure<'_>) + 'a;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use macloud_loadtest::sample::Cost;

    use super::*;

    fn sample(millis: u64) -> Sample {
        let server = Cost { name: "server".into(), cpu_ms: 500.0, resident_kib: 0 };
        let mut sample = Sample { seconds: 1.0, servers: vec![server], ..Sample::default() };
        sample.outcomes.done = 1000 / millis;
        sample.latency.record(Duration::from_millis(millis));
        sample
    }

    #[test]
    fn only_what_was_measured_in_one_round_is_related() {
        let mut rounds = Rounds::default();
        let mut add = |number, subject: &str, load: Load, millis| {
            rounds.0.push((number, Round { subject: subject.into(), load: load.name(), sample: sample(millis) }));
        };
        for (number, relay, grpc, websocket) in [(1, 3, 2, 1), (2, 6, 2, 1)] {
            add(number, "relay", Load::Closed(1), relay);
            add(number, "grpc-unary", Load::Closed(1), grpc);
            add(number, "websocket", Load::Closed(1), websocket);
        }
        add(3, "relay", Load::Closed(1), 1);
        for (subject, millis) in [("relay-unsealed", 1), ("relay", 4), ("nats", 2)] {
            add(1, subject, Load::Closed(64), millis);
        }
        let ratios = rounds.ratios(3);
        let found =
            |name: &str| ratios.iter().find(|ratio| ratio.name.starts_with(name)).map(|ratio| ratio.values.clone());
        let near = |values: Vec<f64>, wanted: &[f64]| {
            values.len() == wanted.len() && values.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 0.01)
        };
        assert!(near(found("p50, relay ÷ (gRPC").unwrap(), &[1.0, 2.0]));
        assert!(near(found("commands/s at 64 in flight, unsealed relay ÷ nats").unwrap(), &[2.0]));
        assert!(near(found("commands/s at 64 in flight, relay with ends that seal ÷ nats").unwrap(), &[0.5]));
        assert!(near(found("server's processor time at 64 in flight, relay ÷ nats").unwrap(), &[2.0]));
        assert_eq!(found("p50, crossing"), None);
    }

    #[test]
    fn what_is_void_is_not_related() {
        let mut rounds = Rounds::default();
        let void = Sample { void: Some("late".into()), ..sample(1) };
        rounds.0.push((1, Round { subject: "relay".into(), load: Load::Closed(64).name(), sample: void }));
        assert_eq!(rounds.capacity(1, "relay"), None);
    }
}
