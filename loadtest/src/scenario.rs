//! `loadtest scenario`: something happens to relays that carry commands, and what their callers see of it. Commands go on all the
//! time, in an open loop; every answer is checked, and afterwards every execution.

mod plays;
mod stage;

use std::path::PathBuf;

use crate::measuring::publish;
use crate::report::results::Results;

/// Settings of `loadtest scenario`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// What happens.
    #[arg(value_enum)]
    play: Play,
    /// Homes. By default as many as the scenario needs: 15000 for idle, 10000 for storm, 500 otherwise.
    #[arg(long, value_name = "COUNT")]
    homes: Option<usize>,
    /// Commands a second, to all homes in turn.
    #[arg(long, default_value_t = 200.0, value_name = "COUNT")]
    per_second: f64,
    /// How long things go well before and after.
    #[arg(long, default_value_t = 10.0, value_name = "SECONDS")]
    calm: f64,
    /// How long `soak` takes.
    #[arg(long, default_value_t = 60.0, value_name = "MINUTES")]
    minutes: f64,
    /// Homes that begin anew in each second of `soak`, as after a power cut.
    #[arg(long, default_value_t = 2.0, value_name = "COUNT")]
    churn: f64,
    /// How quickly homes dial in for `idle`: what a connect costs depends on how many come at once. A storm's pace is the redial rules'.
    #[arg(long, default_value_t = 4000.0, value_name = "COUNT")]
    dials_per_second: f64,
    /// Homes make a whole TLS handshake each time, as those do that were away for a day. Connectors resume their last session.
    #[arg(long)]
    full_handshakes: bool,
    /// Homes show token and proof each time, though the relay has given them a ticket that stands for both.
    #[arg(long)]
    full_credentials: bool,
    /// Of the times at which commands start.
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    seed: u64,
    /// The relay's program. By default the one beside this one.
    #[arg(long, value_name = "FILE")]
    relay: Option<PathBuf>,
    /// Where the results go, for `loadtest report`.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// What can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Play {
    /// Nothing: many homes are connected, and do nothing. What each costs.
    Idle,
    /// The node that holds all homes is killed, and all dial the other one.
    Storm,
    /// Each node in turn is asked to leave and starts anew.
    Rolling,
    /// One of two nodes is killed, and is back after a while.
    Kill,
    /// Every packet to one of two nodes is lost, silently, for a while. Needs root, for a network namespace.
    Partition,
    /// One home in twenty stops reading, for a while.
    SlowConsumer,
    /// One home in twenty has a twin with the same keys, and they displace each other.
    Flap,
    /// Homes come and go for an hour.
    Soak,
}

/// Play, print, and fail if something did not hold.
pub(crate) async fn run(args: &Args) -> anyhow::Result<()> {
    if args.play == Play::Partition && stage::is_outside()? {
        return stage::run_inside();
    }
    let scenario = plays::play(args).await?;
    let missed: Vec<String> =
        scenario.checks.iter().filter(|check| !check.holds).map(|check| check.name.clone()).collect();
    publish(&Results::Scenario(Box::new(scenario)), args.out.as_deref(), args.json)?;
    anyhow::ensure!(missed.is_empty(), "these do not hold: {}", missed.join("; "));
    Ok(())
}
