//! `loadtest alexa`: how long Alexa waits for a large home, and for one that is not there.
//!
//! Sets the whole chain up on loopback, with a simulated home of many players and tracks that itself takes no time, and asks one
//! thing after the other: all devices, music that is searched for and played, a level, and the same of a home whose connector is
//! gone, or hangs. Each answer is checked for being right. What may not take longer than it should has a gate; `--gates` fails where
//! one is missed.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use macloud_alexa_skill::answer::discovery::MAX_BYTES;
use macloud_alexa_skill::trace::HopTrace;
use macloud_loadtest::latencies::Latencies;
use macloud_simulated_home::library::{Album, Artist, Library, Track};
use macloud_simulated_home::{HomeConfig, PlayerConfig};
use macloud_standalone::cli::HomeTiming;
use macloud_standalone::demo::gate::{Gate as Cable, Mood};
use macloud_standalone::demo::hops::hops;
use macloud_standalone::demo::stage::{Music, Stage, StageConfig};
use macloud_standalone::demo::tour::speech;
use serde_json::{Value, json};

/// Settings of `loadtest alexa`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Players of the home.
    #[arg(long, default_value_t = 300, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=300))]
    players: u32,
    /// Tracks of its library.
    #[arg(long, default_value_t = 50_000, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(100..=200_000))]
    tracks: u32,
    /// How often all devices are asked for.
    #[arg(long, default_value_t = 50, value_name = "COUNT")]
    discoveries: u32,
    /// How much music is asked for.
    #[arg(long, default_value_t = 200, value_name = "COUNT")]
    wishes: u32,
    /// How many levels are set.
    #[arg(long, default_value_t = 2000, value_name = "COUNT")]
    commands: u32,
    /// How often a home is asked that is not there, by a directive and by a spoken request; one that hangs is asked three times.
    #[arg(long, default_value_t = 50, value_name = "COUNT")]
    in_vain: u32,
    /// How long things take in the simulated home; `fast` leaves only what MA Cloud itself costs.
    #[arg(long, value_enum, default_value = "fast")]
    timing: HomeTiming,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
    /// Fail when a gate is missed.
    #[arg(long)]
    gates: bool,
}

/// What was asked for, and how long that took.
struct Row {
    what: &'static str,
    times: Latencies,
    /// What else is worth knowing.
    note: String,
    gates: Vec<Gate>,
}

/// What a figure may be at most.
#[derive(Debug, serde::Serialize)]
struct Gate {
    name: &'static str,
    unit: &'static str,
    found: f64,
    most: f64,
}

impl Row {
    fn of(what: &'static str, times: Latencies, note: impl Into<String>) -> Self {
        Self { what, times, note: note.into(), gates: Vec::new() }
    }

    /// The time that this share does not exceed may be `most` milliseconds.
    fn within(mut self, name: &'static str, quantile: f64, most: f64) -> Self {
        let found = self.times.millis_at(quantile);
        self.gates.push(Gate { name, unit: "ms", found, most });
        self
    }

    /// A line for each gate that is missed.
    fn missed(&self) -> impl Iterator<Item = String> {
        let missed = self.gates.iter().filter(|gate| gate.found > gate.most);
        missed.map(|Gate { name, unit, found, most }| {
            format!("{}: {name} is {found:.1} {unit}, and may be {most} {unit}", self.what)
        })
    }
}

/// Measure, and print.
pub(crate) async fn run(args: &Args) -> anyhow::Result<()> {
    let cable = Cable::open().await?;
    let players = (1..=args.players).map(|n| PlayerConfig::new(format!("up{n:012}"), room(n))).collect();
    let library = library(args.tracks);
    let home = HomeConfig { timing: args.timing.into(), library, players, ..HomeConfig::default() };
    let config =
        StageConfig { music: Music::Simulated(Box::new(home)), gate: Some(cable.clone()), ..StageConfig::default() };
    let mut stage = Stage::set(config, |_| {}).await?;
    let mut rows = vec![
        discovery(&mut stage, args).await.context("discovery")?,
        wishes(&stage, args).await.context("search and play")?,
        levels(&stage, args).await.context("levels")?,
    ];
    rows.extend(hanging(&mut stage, &cable).await.context("a home that hangs")?);
    rows.extend(gone(&mut stage, args).await.context("a home that is not there")?);
    stage.strike().await;
    print(&rows, args.json);
    let missed: Vec<String> = rows.iter().flat_map(Row::missed).collect();
    ensure!(!args.gates || missed.is_empty(), "gates are missed:\n  {}", missed.join("\n  "));
    Ok(())
}

async fn discovery(stage: &mut Stage, args: &Args) -> anyhow::Result<Row> {
    let (mut times, mut bytes) = (Latencies::default(), 0);
    let begun = Instant::now();
    // The connector may not have heard of all of them yet.
    while stage.endpoints.len() < args.players as usize {
        ensure!(begun.elapsed() < PATIENCE, "only {} players were found", stage.endpoints.len());
        stage.discover().await?;
    }
    for _ in 0..args.discoveries {
        let sent = Instant::now();
        let event = stage.alexa.send_directive(&stage.alexa.discover()).await?;
        times.record(sent.elapsed());
        let endpoints = event["event"]["payload"]["endpoints"].as_array().map_or(0, Vec::len);
        ensure!(endpoints >= args.players as usize, "{endpoints} endpoints");
        bytes = event.to_string().len();
    }
    let note = format!("{} endpoints, {bytes} bytes", stage.endpoints.len());
    let mut row = Row::of("all devices", times, note).within("p95", 0.95, 500.0);
    row.gates.push(Gate { name: "length", unit: "bytes", found: bytes as f64, most: MAX_BYTES as f64 });
    Ok(row)
}

async fn wishes(stage: &Stage, args: &Args) -> anyhow::Result<Row> {
    let mut times = Latencies::default();
    let begun = Instant::now();
    until_read(stage, args.tracks).await?;
    let known_after = begun.elapsed();
    let mut right = 0;
    // Far apart from each other, so that nothing is found because it was found before.
    for number in (0..args.wishes).map(|wish| wish * 7_919 % args.tracks) {
        let sent = Instant::now();
        right += u32::from(is_played(stage, &title(number), number).await?);
        times.record(sent.elapsed());
    }
    ensure!(right == args.wishes, "of {} wishes {right} were heard", args.wishes);
    let note = format!("{} tracks, known after {:.1} s", args.tracks, known_after.as_secs_f64());
    Ok(Row::of("search and play", times, note).within("p95", 0.95, 400.0))
}

/// Wait until the connector has asked for the last page of the tracks, which it reads last: then it stands in nobody's way any more.
/// Nobody else asks for them before the first wish.
async fn until_read(stage: &Stage, tracks: u32) -> anyhow::Result<()> {
    let home = stage.simulated.as_ref().context("the home is simulated")?;
    let pages = u64::from(tracks / PAGE + 1);
    let begun = Instant::now();
    while home.state().commands.get("music/tracks/library_items").is_none_or(|asked| *asked < pages) {
        ensure!(begun.elapsed() < READING, "the library is not read after {READING:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}

/// Whether this track is what plays, or is asked about, when `heard` is asked for.
async fn is_played(stage: &Stage, heard: &str, number: u32) -> anyhow::Result<bool> {
    let (title, artist) = (title(number), artist(number / TRACKS_OF_ARTIST));
    let slots = [("media", heard), ("artist", artist.as_str()), ("player", "room one")];
    let response = stage.alexa.send_custom(&stage.alexa.intent("PlayMediaIntent", &slots)).await?;
    let _ = stage.hops.take_all();
    Ok(speech(&response).unwrap_or_default().contains(&title))
}

async fn levels(stage: &Stage, args: &Args) -> anyhow::Result<Row> {
    let mut times = Latencies::default();
    let endpoint = stage.endpoint(&room(1))?;
    let warm_up = args.commands / 5;
    let mut longest = (Duration::ZERO, String::new());
    let _ = stage.hops.take_all();
    for n in 0..warm_up + args.commands {
        let directive = stage.alexa.control("Alexa.Speaker", "SetVolume", endpoint, json!({"volume": 20 + n % 50}));
        let sent = Instant::now();
        let event = stage.alexa.send_directive(&directive).await?;
        let took = sent.elapsed();
        ensure!(event["event"]["header"]["name"] == "Response", "the directive failed: {event}");
        let trace = stage.hops.take_latest().context("no trace was reported")?;
        if n < warm_up {
            continue;
        }
        times.record(took);
        if took > longest.0 {
            longest = (took, format!("warm; the longest one is no. {}: {}", n - warm_up, where_time_went(&trace)));
        }
    }
    Ok(Row::of("directive in, event out", times, longest.1).within("p99", 0.99, 20.0))
}

fn where_time_went(trace: &HopTrace) -> String {
    let millis = trace.total.as_secs_f64() * 1000.0;
    let most = hops(trace).into_iter().max_by_key(|hop| hop.micros);
    let most = most.map(|hop| format!(", of these {:.1} in “{}”", hop.micros as f64 / 1000.0, hop.step));
    format!("{millis:.1} ms in the skill{}", most.unwrap_or_default())
}

/// How Alexa asks.
#[derive(Debug, Clone, Copy)]
enum Front {
    SmartHome,
    Custom,
}

/// Its connection is up, and nothing comes of it.
async fn hanging(stage: &mut Stage, cable: &Cable) -> anyhow::Result<[Row; 2]> {
    let mut times = [Latencies::default(), Latencies::default()];
    let mut said = String::new();
    for _ in 0..3 {
        for (times, front) in times.iter_mut().zip([Front::SmartHome, Front::Custom]) {
            cable.set(Mood::Silent);
            let (took, told) = in_vain(stage, front).await?;
            times.record(took);
            said = told;
            cable.set(Mood::Cut);
            tokio::time::sleep(Duration::from_millis(100)).await;
            cable.set(Mood::Open);
            stage.until_online().await?;
        }
    }
    Ok(unreachable_rows(["a home that hangs", "a home that hangs, spoken"], times, &said))
}

async fn gone(stage: &mut Stage, args: &Args) -> anyhow::Result<[Row; 2]> {
    let mut times = [Latencies::default(), Latencies::default()];
    let mut said = String::new();
    stage.stop_connector().await;
    for _ in 0..args.in_vain {
        for (times, front) in times.iter_mut().zip([Front::SmartHome, Front::Custom]) {
            let (took, told) = in_vain(stage, front).await?;
            times.record(took);
            said = told;
        }
    }
    Ok(unreachable_rows(["a home that is not there", "a home not there, spoken"], times, &said))
}

/// Whoever speaks to a home that does not answer must hear why within three seconds, each time.
fn unreachable_rows(names: [&'static str; 2], times: [Latencies; 2], said: &str) -> [Row; 2] {
    let ([event, spoken], [event_times, spoken_times]) = (names, times);
    [Row::of(event, event_times, "BRIDGE_UNREACHABLE"), Row::of(spoken, spoken_times, format!("“{said}”"))]
        .map(|row| row.within("max", 1.0, 3000.0))
}

/// How long it took to be told that the home does not answer, and what was told last.
async fn in_vain(stage: &Stage, front: Front) -> anyhow::Result<(Duration, String)> {
    let sent = Instant::now();
    let (took, told) = match front {
        Front::SmartHome => {
            let endpoint = stage.endpoint(&room(1))?;
            let directive = stage.alexa.control("Alexa.PlaybackController", "Pause", endpoint, json!({}));
            let event = stage.alexa.send_directive(&directive).await?;
            let took = sent.elapsed();
            let told = &event["event"]["payload"]["type"];
            ensure!(told == "BRIDGE_UNREACHABLE", "Alexa was told {told}");
            (took, "BRIDGE_UNREACHABLE".to_owned())
        }
        Front::Custom => {
            let request = stage.alexa.intent("PausePlayerIntent", &[("player", "room one")]);
            let response = stage.alexa.send_custom(&request).await?;
            (sent.elapsed(), speech(&response).context("the skill said nothing")?)
        }
    };
    let trace = stage.hops.take_latest().context("no trace was reported")?;
    ensure!(is_unreachable(trace.result), "the home was there: {}, {told:?}", trace.result);
    Ok((took, told))
}

/// The results of a home that does not answer: the relay knows it, or it did not reply in time.
fn is_unreachable(result: &str) -> bool {
    matches!(result, "not_sent_not_connected" | "not_sent_link_lost" | "not_sent_deadline" | "unknown" | "time_up")
}

fn room(number: u32) -> String {
    match number {
        1 => "Room One".into(),
        number => format!("Room {number}"),
    }
}

fn library(tracks: u32) -> Library {
    let of_artist = |number: u32| {
        let album = |at: u32| {
            let first = number * TRACKS_OF_ARTIST + at * 10;
            let tracks = (first..first + 10).map(|track| Track { title: title(track), seconds: 200, favorite: false });
            Album {
                title: format!("{} {}", word(at + 400), word(number)),
                year: None,
                favorite: false,
                tracks: tracks.collect(),
            }
        };
        let albums = (0..TRACKS_OF_ARTIST / 10).map(album).collect();
        Artist { name: artist(number), genres: Vec::new(), favorite: false, albums }
    };
    Library { artists: (0..tracks.div_ceil(TRACKS_OF_ARTIST)).map(of_artist).collect(), ..Library::default() }
}

const TRACKS_OF_ARTIST: u32 = 100;

/// Each another one.
fn title(track: u32) -> String {
    format!("{} {}", word(track % 449), word(track / 449))
}

fn artist(number: u32) -> String {
    format!("The {} {}", word(number % 47 + 700), word(number / 47 + 800))
}

/// Words that can be spoken, each another one.
fn word(number: u32) -> String {
    const SOUNDS: [&str; 16] =
        ["ba", "ce", "di", "fo", "gu", "ha", "je", "ki", "lo", "mu", "na", "pe", "ri", "so", "tu", "va"];
    let sound = |at: u32| SOUNDS[(number >> (4 * at) & 15) as usize];
    format!("{}{}{}n", sound(0), sound(1), sound(2))
}

#[expect(clippy::print_stdout, reason = "the result of a measurement belongs on standard output")]
fn print(rows: &[Row], as_json: bool) {
    let figures = |row: &Row| [0.5, 0.95, 0.99, 1.0].map(|quantile| row.times.millis_at(quantile));
    if as_json {
        let row = |row: &Row| -> Value {
            let [p50, p95, p99, max] = figures(row);
            json!({
                "what": row.what, "count": row.times.count(), "p50_ms": p50, "p95_ms": p95, "p99_ms": p99, "max_ms": max,
                "note": row.note, "gates": row.gates
            })
        };
        println!("{}", json!({"rows": rows.iter().map(row).collect::<Vec<_>>()}));
        return;
    }
    println!("{:<28} {:>7} {:>9} {:>9} {:>9} {:>9}", "ms, as Alexa sees it", "count", "p50", "p95", "p99", "max");
    for row in rows {
        let [p50, p95, p99, max] = figures(row);
        let (what, count, note) = (row.what, row.times.count(), &row.note);
        println!("{what:<28} {count:>7} {p50:>9.2} {p95:>9.2} {p99:>9.2} {max:>9.2}   {note}");
    }
    for (row, gate) in rows.iter().flat_map(|row| row.gates.iter().map(move |gate| (row, gate))) {
        let verdict = if gate.found > gate.most { "MISSED" } else { "held" };
        println!("gate {verdict}: {}, {} {:.1} of {} {}", row.what, gate.name, gate.found, gate.most, gate.unit);
    }
}

/// For a debug build, too.
const PATIENCE: Duration = Duration::from_secs(300);
/// It is read slowly: a page of so many, and then for three times as long as that took nothing.
const READING: Duration = Duration::from_secs(900);
const PAGE: u32 = 100;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_gate_is_missed_by_what_exceeds_it_only() {
        let mut times = Latencies::default();
        (0..99).for_each(|_| times.record(Duration::from_millis(10)));
        times.record(Duration::from_millis(900));
        let row = Row::of("x", times, "").within("p95", 0.95, 11.0).within("p99", 0.99, 11.0);
        assert_eq!(row.missed().count(), 0);
        let missed: Vec<String> = row.within("max", 1.0, 500.0).missed().collect();
        assert!(missed.len() == 1 && missed[0].starts_with("x: max is 9"), "{missed:?}");
    }

    #[test]
    fn every_track_and_artist_has_a_name_of_its_own() {
        let library = library(50_000);
        let tracks = library.artists.iter().flat_map(|artist| &artist.albums).flat_map(|album| &album.tracks);
        let titles: HashSet<&str> = tracks.map(|track| track.title.as_str()).collect();
        let artists: HashSet<&str> = library.artists.iter().map(|artist| artist.name.as_str()).collect();
        assert_eq!((titles.len(), artists.len()), (50_000, 500));
    }
}
