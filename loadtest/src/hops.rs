//! `loadtest hops`: where the time of a directive goes.
//!
//! Sets the whole chain up on loopback (cloud, paired connector, simulated home that answers at once), sends
//! `Alexa.Speaker SetVolume` over and over, one at a time, and prints the time of each hop.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use macloud_alexa_skill::trace::HopTrace;
use macloud_simulated_home::HomeConfig;
use macloud_standalone::cli::HomeTiming;
use macloud_standalone::demo::stage::{Music, Stage, StageConfig};
use serde_json::{Value, json};

/// Settings of `loadtest hops`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Directives in each round.
    #[arg(long, default_value_t = 1000, value_name = "COUNT")]
    commands: u32,
    /// Rounds; the median round by total p50 is printed.
    #[arg(long, default_value_t = 5, value_name = "COUNT")]
    rounds: u32,
    /// Directives before the first round, which are not counted.
    #[arg(long, default_value_t = 200, value_name = "COUNT")]
    warm_up: u32,
    /// How long things take in the simulated home; `fast` leaves only what MA Cloud itself costs.
    #[arg(long, value_enum, default_value = "fast")]
    timing: HomeTiming,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// A hop's name, and its time in a trace.
type Hop = (&'static str, fn(&HopTrace) -> Duration);

/// The hops in the order of the way, and the whole.
const HOPS: [Hop; 10] = [
    ("verify", |trace| trace.verify),
    ("resolve", |trace| trace.resolve),
    ("translate", |trace| trace.translate),
    ("seal", |trace| trace.seal),
    ("bus, there and back", |trace| trace.dispatch.saturating_sub(relayed(trace, |t| t.queued + t.replied))),
    ("relay, until written", |trace| relayed(trace, |t| t.queued)),
    ("WebSocket, there and back", |trace| relayed(trace, |t| t.replied.saturating_sub(t.home))),
    ("home: open, execute, seal", |trace| relayed(trace, |t| t.home)),
    ("open reply, answer", |trace| trace.answer + trace.passages.first().map_or(Duration::ZERO, |p| p.open)),
    ("TOTAL, skill-in to skill-out", |trace| trace.total),
];

fn relayed(trace: &HopTrace, part: impl Fn(&macloud_alexa_skill::trace::RelayTiming) -> Duration) -> Duration {
    trace.passages.first().and_then(|passage| passage.relay.as_ref()).map_or(Duration::ZERO, part)
}

/// Measure, and print.
pub(crate) async fn run(args: &Args) -> anyhow::Result<()> {
    let home = HomeConfig { timing: args.timing.into(), ..HomeConfig::default() };
    let config = StageConfig { music: Music::Simulated(Box::new(home)), ..StageConfig::default() };
    let mut stage = Stage::set(config, |_| {}).await?;
    stage.discover().await?;
    round(&stage, args.warm_up).await?;
    let mut measured = Vec::new();
    for _ in 0..args.rounds.max(1) {
        measured.push(round(&stage, args.commands).await?);
    }
    stage.strike().await;
    measured.sort_by_key(|round| round.histograms[HOPS.len() - 1].value_at_quantile(0.5));
    let median = &measured[measured.len() / 2];
    let all: Vec<u64> = measured.iter().map(|r| r.histograms[HOPS.len() - 1].value_at_quantile(0.5)).collect();
    print(median, &all, args.json);
    Ok(())
}

struct Round {
    histograms: Vec<Histogram<u64>>,
    seen_by_alexa: Histogram<u64>,
}

async fn round(stage: &Stage, commands: u32) -> anyhow::Result<Round> {
    let endpoint = stage.endpoint("Kitchen")?;
    let mut histograms = vec![Histogram::new(3)?; HOPS.len()];
    let mut seen_by_alexa = Histogram::new(3)?;
    let _ = stage.hops.take_all();
    for n in 0..commands {
        let directive = stage.alexa.control("Alexa.Speaker", "SetVolume", endpoint, json!({"volume": 20 + n % 50}));
        let sent = Instant::now();
        let event = stage.alexa.send_directive(&directive).await?;
        seen_by_alexa.record(sent.elapsed().as_nanos() as u64)?;
        anyhow::ensure!(event["event"]["header"]["name"] == "Response", "the directive failed: {event}");
        let trace = stage.hops.take_latest().ok_or_else(|| anyhow::anyhow!("no trace was reported"))?;
        for (histogram, (_, time)) in histograms.iter_mut().zip(HOPS) {
            histogram.record(time(&trace).as_nanos() as u64)?;
        }
    }
    Ok(Round { histograms, seen_by_alexa })
}

#[expect(clippy::print_stdout, reason = "the result of a measurement belongs on standard output")]
fn print(round: &Round, totals_p50: &[u64], as_json: bool) {
    let micros = |nanos: u64| nanos as f64 / 1000.0;
    let figures =
        |histogram: &Histogram<u64>| [0.5, 0.9, 0.99].map(|quantile| micros(histogram.value_at_quantile(quantile)));
    if as_json {
        let hop = |(histogram, (name, _)): (&Histogram<u64>, Hop)| -> Value {
            let [p50, p90, p99] = figures(histogram);
            json!({"hop": name, "p50_micros": p50, "p90_micros": p90, "p99_micros": p99})
        };
        let hops: Vec<Value> = round.histograms.iter().zip(HOPS).map(hop).collect();
        let totals: Vec<f64> = totals_p50.iter().map(|nanos| micros(*nanos)).collect();
        println!("{}", json!({"hops": hops, "rounds_total_p50_micros": totals}));
        return;
    }
    println!("{:<32} {:>10} {:>10} {:>10}", "µs", "p50", "p90", "p99");
    let named = round.histograms.iter().zip(HOPS.map(|(name, _)| name));
    for (histogram, name) in named.chain([(&round.seen_by_alexa, "as Alexa sees it, with HTTP")]) {
        let [p50, p90, p99] = figures(histogram);
        println!("{name:<32} {p50:>10.1} {p90:>10.1} {p99:>10.1}");
    }
    let totals: Vec<String> = totals_p50.iter().map(|nanos| format!("{:.0}", micros(*nanos))).collect();
    println!("total p50 of each round: {}", totals.join(" "));
}
