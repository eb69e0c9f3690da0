//! `loadtest connector`: what the connector costs the machine that it runs on, and how soon it is back.
//!
//! Sets a cloud and a simulated home up in this process, and runs the given program of the connector beside them, as somebody at
//! home does. Its link passes through a gate that can break.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use macloud_loadtest::usage::Tree;
use macloud_simulated_home::{HomeConfig, Library, PlayerConfig, RestartPlan, Timing};
use macloud_standalone::demo::gate::{Gate, Mood};
use macloud_standalone::demo::stage::{Music, Stage, StageConfig};
use serde::Serialize;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::{sleep, timeout};

/// Settings of `loadtest connector`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The program to measure, built as it is shipped.
    #[arg(long, value_name = "FILE")]
    connector: PathBuf,
    /// Players of the home.
    #[arg(long, default_value_t = 10, value_name = "COUNT")]
    players: usize,
    /// Tracks of the large home.
    #[arg(long, default_value_t = 50_000, value_name = "COUNT")]
    tracks: usize,
    /// Seconds to come to rest, and seconds of doing nothing.
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    idle_seconds: u64,
    /// Times that it is started, and that it loses the relay and Music Assistant; the median counts.
    #[arg(long, default_value_t = 5, value_name = "COUNT")]
    rounds: usize,
    /// Fail when a gate is missed.
    #[arg(long)]
    gates: bool,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// A figure, the most that it may be, and what it should be.
#[derive(Debug, Serialize)]
struct Figure {
    name: &'static str,
    unit: &'static str,
    value: f64,
    gate: Option<f64>,
    goal: Option<f64>,
}

/// Nothing here takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// For a large library: a page of a hundred each tenth of a second, and again as long for a slow machine.
const READING: Duration = Duration::from_secs(600);

const MIB: f64 = 1024.0 * 1024.0;

/// Measure, and print.
pub(crate) async fn run(args: &Args) -> anyhow::Result<()> {
    let rounds = args.rounds.max(1);
    let size = std::fs::metadata(&args.connector)
        .with_context(|| format!("cannot read {}", args.connector.display()))?
        .len() as f64;
    let mut figures = vec![figure("binary", "MiB", size / MIB, Some(6.0), Some(4.0))];

    let small = Scene::set(Library::demo(), args.players).await?;
    let mut starts = Vec::new();
    for _ in 0..rounds {
        let begun = Instant::now();
        let mut running = Running::start(&args.connector, &small.stage.state_dir)?;
        running.until_online_and_ready().await?;
        starts.push(begun.elapsed());
        running.stop().await?;
    }
    figures.push(figure("cold start to connected", "s", median(&mut starts), Some(2.0), None));

    let mut running = Running::start(&args.connector, &small.stage.state_dir)?;
    running.until_online_and_ready().await?;
    sleep(Duration::from_secs(args.idle_seconds)).await;
    figures.push(figure("resident, idle", "MiB", running.resident()?, Some(8.0), Some(4.0)));
    let (before, begun) = (running.processor_time()?, Instant::now());
    sleep(Duration::from_secs(args.idle_seconds)).await;
    let busy = (running.processor_time()? - before).as_secs_f64() / begun.elapsed().as_secs_f64();
    figures.push(figure("processor, idle", "%", busy * 100.0, Some(0.1), None));
    figures.push(figure("resident, idle, in proportion", "MiB", running.proportional(), None, None));

    let mut after_relay = Vec::new();
    let mut after_music = Vec::new();
    for _ in 0..rounds {
        small.gate.set(Mood::Cut);
        running.until(&|event| event["event"] == "offline").await?;
        // As long as a node takes to start, so that a try or two are in vain.
        sleep(Duration::from_secs(2)).await;
        small.gate.set(Mood::Open);
        let begun = Instant::now();
        running.until(&|event| event["event"] == "online").await?;
        after_relay.push(begun.elapsed());

        let home = small.stage.simulated.as_ref().context("the home is simulated")?;
        home.restart(RestartPlan { stopping_ms: 0, down_ms: 3000, starting_ms: 3000, settling_ms: 0 })?;
        running.until(&|event| event["event"] == "music_assistant" && event["state"] != "ready").await?;
        home.until(|state| state.status == "running").await;
        let begun = Instant::now();
        running.until(&|event| event["event"] == "music_assistant" && event["state"] == "ready").await?;
        after_music.push(begun.elapsed());
    }
    figures.push(figure("back after the relay restarted", "s", median(&mut after_relay), Some(5.0), None));
    figures.push(figure("back after Music Assistant was ready", "s", median(&mut after_music), Some(5.0), None));
    running.stop().await?;
    small.stage.strike().await;

    let large = Scene::set(Library::generated(args.tracks, 1), args.players).await?;
    let mut running = Running::start(&args.connector, &large.stage.state_dir)?;
    running.until_online_and_ready().await?;
    let begun = Instant::now();
    large.until_read(args.tracks).await?;
    figures.push(figure("reading the large library", "s", begun.elapsed().as_secs_f64(), None, None));
    sleep(Duration::from_secs(5)).await;
    figures.push(figure("resident, large library", "MiB", running.resident()?, Some(24.0), None));
    figures.push(figure("resident at most, large library", "MiB", running.at_most()?, None, None));
    running.stop().await?;
    large.stage.strike().await;

    print(&figures, args)?;
    let missed = |figure: &&Figure| figure.gate.is_some_and(|gate| figure.value > gate);
    let missed: Vec<&str> = figures.iter().filter(missed).map(|figure| figure.name).collect();
    ensure!(!args.gates || missed.is_empty(), "missed: {}", missed.join(", "));
    Ok(())
}

const fn figure(name: &'static str, unit: &'static str, value: f64, gate: Option<f64>, goal: Option<f64>) -> Figure {
    Figure { name, unit, value, gate, goal }
}

fn median(times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64()
}

#[expect(clippy::print_stdout, reason = "the result of a measurement belongs on standard output")]
fn print(figures: &[Figure], args: &Args) -> anyhow::Result<()> {
    if args.json {
        println!("{}", serde_json::json!({ "players": args.players, "tracks": args.tracks, "figures": figures }));
        return Ok(());
    }
    println!("{:<40} {:>10} {:<4} {:>8} {:>8}", "", "", "", "gate", "goal");
    let or_nothing = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
    for Figure { name, unit, value, gate, goal } in figures {
        println!("{name:<40} {value:>10.3} {unit:<4} {:>8} {:>8}", or_nothing(*gate), or_nothing(*goal));
    }
    Ok(())
}

/// A cloud, a paired home without a connector, and the gate between them.
struct Scene {
    stage: Stage,
    gate: Gate,
}

impl Scene {
    async fn set(library: Library, players: usize) -> anyhow::Result<Self> {
        let gate = Gate::open().await?;
        let players = PlayerConfig::many(players);
        let home = HomeConfig { timing: Timing::prompt(), library, players, ..HomeConfig::default() };
        let music = Music::Simulated(Box::new(home));
        let config = StageConfig { music, gate: Some(gate.clone()), ..StageConfig::default() };
        let mut stage = Box::pin(Stage::set(config, |_| {})).await?;
        stage.stop_connector().await;
        Ok(Self { stage, gate })
    }

    /// Wait until the last page of the tracks, which are the last of all, was asked for by the program. The connector that set
    /// the stage has read none: it was online too briefly.
    async fn until_read(&self, tracks: usize) -> anyhow::Result<()> {
        let pages = tracks as u64 / 100 + 1;
        let home = self.stage.simulated.as_ref().context("the home is simulated")?;
        let read = async {
            while home.state().commands.get("music/tracks/library_items").is_none_or(|asked| *asked < pages) {
                sleep(Duration::from_millis(200)).await;
            }
        };
        timeout(READING, read).await.context("the library was not read to its end")
    }
}

/// The program, running.
struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    pid: u32,
}

impl Running {
    fn start(program: &Path, state_dir: &Path) -> anyhow::Result<Self> {
        let mut command = Command::new(program);
        command.arg("run").arg("--state-dir").arg(state_dir);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
        let lines = BufReader::new(child.stdout.take().context("its output was asked for")?).lines();
        let pid = child.id().context("it runs")?;
        Ok(Self { child, lines, pid })
    }

    async fn until(&mut self, wanted: &(dyn Fn(&Value) -> bool + Sync)) -> anyhow::Result<()> {
        timeout(PATIENCE, async {
            loop {
                if wanted(&self.event().await?) {
                    return Ok(());
                }
            }
        })
        .await
        .context("the connector did not say what was waited for")?
    }

    async fn until_online_and_ready(&mut self) -> anyhow::Result<()> {
        let (mut online, mut ready) = (false, false);
        let there = async {
            while !(online && ready) {
                let event = self.event().await?;
                match event["event"].as_str() {
                    Some("online") => online = true,
                    Some("music_assistant") => ready = event["state"] == "ready",
                    _ => {}
                }
            }
            anyhow::Ok(())
        };
        timeout(PATIENCE, there).await.context("the connector did not come online")?
    }

    async fn event(&mut self) -> anyhow::Result<Value> {
        loop {
            let Some(line) = self.lines.next_line().await? else { bail!("the connector has ended") };
            // Whatever else it prints is for people.
            if let Ok(event) = serde_json::from_str(&line) {
                return Ok(event);
            }
        }
    }

    fn resident(&self) -> anyhow::Result<f64> {
        self.status("VmRSS:")
    }

    fn at_most(&self) -> anyhow::Result<f64> {
        self.status("VmHWM:")
    }

    /// In MiB.
    fn status(&self, label: &str) -> anyhow::Result<f64> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).context("the connector has ended")?;
        let line = text.lines().find_map(|line| line.strip_prefix(label)).context("the system does not say")?;
        let kib: f64 = line.split_whitespace().next().unwrap_or_default().parse()?;
        Ok(kib / 1024.0)
    }

    fn proportional(&self) -> f64 {
        Tree { root: self.pid }.memory_kib().1 as f64 / 1024.0
    }

    /// Of all its threads, to the nanosecond: a hundredth of a second, as `stat` counts, would be too coarse here.
    fn processor_time(&self) -> anyhow::Result<Duration> {
        let mut nanos = 0;
        for task in std::fs::read_dir(format!("/proc/{}/task", self.pid))? {
            let text = std::fs::read_to_string(task?.path().join("schedstat"))?;
            nanos += text.split(' ').next().unwrap_or_default().parse::<u64>()?;
        }
        Ok(Duration::from_nanos(nanos))
    }

    async fn stop(mut self) -> anyhow::Result<()> {
        let pid = self.pid.to_string();
        let told = Command::new("kill").arg("-TERM").arg(&pid).status().await?;
        ensure!(told.success(), "the connector cannot be told to stop");
        // Read on, so that it never waits for a reader.
        timeout(PATIENCE, async { while let Ok(Some(_)) = self.lines.next_line().await {} })
            .await
            .context("it goes on")?;
        let ended = timeout(PATIENCE, self.child.wait()).await.context("the connector does not stop")??;
        ensure!(ended.success(), "the connector ended with {ended}");
        Ok(())
    }
}
