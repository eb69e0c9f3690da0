//! `loadtest alexa`: how long Alexa waits for a large home, and for one that is not there.
//!
//! Sets the whole chain up on loopback, with a simulated home of many players and tracks that itself takes no time, and asks one
//! thing after the other: all devices, music that is searched for and played, a level, and the same of a home whose connector is
//! gone, or hangs. Each answer is checked for being right.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use macloud_loadtest::latencies::Latencies;
use macloud_simulated_home::library::{Album, Artist, Library, Track};
use macloud_simulated_home::{HomeConfig, PlayerConfig};
use macloud_standalone::cli::HomeTiming;
use macloud_standalone::demo::gate::{Gate, Mood};
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
    /// How often a home is asked that is not there; one that hangs is asked three times.
    #[arg(long, default_value_t = 50, value_name = "COUNT")]
    in_vain: u32,
    /// How long things take in the simulated home; `fast` leaves only what MA Cloud itself costs.
    #[arg(long, value_enum, default_value = "fast")]
    timing: HomeTiming,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// What was asked for, and how long that took.
struct Row {
    what: &'static str,
    times: Latencies,
    /// What else is worth knowing.
    note: String,
}

/// Measure, and print.
pub(crate) async fn run(args: &Args) -> anyhow::Result<()> {
    let gate = Gate::open().await?;
    let players = (1..=args.players).map(|n| PlayerConfig::new(format!("up{n:012}"), room(n))).collect();
    let library = library(args.tracks);
    let home = HomeConfig { timing: args.timing.into(), library, players, ..HomeConfig::default() };
    let config =
        StageConfig { music: Music::Simulated(Box::new(home)), gate: Some(gate.clone()), ..StageConfig::default() };
    let mut stage = Stage::set(config, |_| {}).await?;
    let rows = vec![
        discovery(&mut stage, args).await.context("discovery")?,
        wishes(&stage, args).await.context("search and play")?,
        levels(&stage, args).await.context("levels")?,
        hanging(&mut stage, &gate).await.context("a home that hangs")?,
        gone(&mut stage, args).await.context("a home that is not there")?,
    ];
    stage.strike().await;
    print(&rows, args.json);
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
    Ok(Row { what: "all devices", times, note: format!("{} endpoints, {bytes} bytes", stage.endpoints.len()) })
}

async fn wishes(stage: &Stage, args: &Args) -> anyhow::Result<Row> {
    let mut times = Latencies::default();
    let begun = Instant::now();
    while !is_played(stage, 0).await? {
        ensure!(begun.elapsed() < PATIENCE, "the library is not known after {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let known_after = begun.elapsed();
    let mut right = 0;
    // Far apart from each other, so that nothing is found because it was found before.
    for number in (0..args.wishes).map(|wish| wish * 7_919 % args.tracks) {
        let sent = Instant::now();
        right += u32::from(is_played(stage, number).await?);
        times.record(sent.elapsed());
    }
    ensure!(right == args.wishes, "of {} wishes {right} were heard", args.wishes);
    let note = format!("{} tracks, known after {:.1} s", args.tracks, known_after.as_secs_f64());
    Ok(Row { what: "search and play", times, note })
}

async fn is_played(stage: &Stage, number: u32) -> anyhow::Result<bool> {
    let (title, artist) = (title(number), artist(number / TRACKS_OF_ARTIST));
    let slots = [("media", title.as_str()), ("artist", artist.as_str()), ("player", "room one")];
    let response = stage.alexa.send_custom(&stage.alexa.intent("PlayMediaIntent", &slots)).await?;
    let _ = stage.hops.take_all();
    Ok(speech(&response).unwrap_or_default().contains(&title))
}

async fn levels(stage: &Stage, args: &Args) -> anyhow::Result<Row> {
    let mut times = Latencies::default();
    let endpoint = stage.endpoint(&room(1))?;
    for n in 0..args.commands + args.commands / 5 {
        let directive = stage.alexa.control("Alexa.Speaker", "SetVolume", endpoint, json!({"volume": 20 + n % 50}));
        let sent = Instant::now();
        let event = stage.alexa.send_directive(&directive).await?;
        // The first ones warm up.
        if n >= args.commands / 5 {
            times.record(sent.elapsed());
        }
        ensure!(event["event"]["header"]["name"] == "Response", "the directive failed: {event}");
    }
    Ok(Row { what: "directive in, event out", times, note: "warm".into() })
}

/// Its connection is up, and nothing comes of it.
async fn hanging(stage: &mut Stage, gate: &Gate) -> anyhow::Result<Row> {
    let mut times = Latencies::default();
    for _ in 0..3 {
        gate.set(Mood::Silent);
        times.record(in_vain(stage).await?);
        gate.set(Mood::Cut);
        tokio::time::sleep(Duration::from_millis(100)).await;
        gate.set(Mood::Open);
        stage.until_online().await?;
    }
    Ok(Row { what: "a home that hangs", times, note: String::new() })
}

async fn gone(stage: &mut Stage, args: &Args) -> anyhow::Result<Row> {
    let mut times = Latencies::default();
    stage.stop_connector().await;
    for _ in 0..args.in_vain {
        times.record(in_vain(stage).await?);
    }
    Ok(Row { what: "a home that is not there", times, note: String::new() })
}

async fn in_vain(stage: &Stage) -> anyhow::Result<Duration> {
    let directive = stage.alexa.control("Alexa.PlaybackController", "Pause", stage.endpoint(&room(1))?, json!({}));
    let sent = Instant::now();
    let event = stage.alexa.send_directive(&directive).await?;
    let took = sent.elapsed();
    let told = &event["event"]["payload"]["type"];
    ensure!(told == "BRIDGE_UNREACHABLE", "Alexa was told {told}");
    Ok(took)
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
            json!({"what": row.what, "count": row.times.count(), "p50_ms": p50, "p95_ms": p95, "p99_ms": p99, "max_ms": max, "note": row.note})
        };
        println!("{}", json!({"rows": rows.iter().map(row).collect::<Vec<_>>()}));
        return;
    }
    println!("{:<28} {:>7} {:>9} {:>9} {:>9} {:>9}", "ms, as Alexa sees it", "count", "p50", "p95", "p99", "max");
    for row in rows {
        let [p50, p95, p99, max] = figures(row);
        println!(
            "{:<28} {:>7} {p50:>9.2} {p95:>9.2} {p99:>9.2} {max:>9.2}   {}",
            row.what,
            row.times.count(),
            row.note
        );
    }
}

/// For a debug build, too.
const PATIENCE: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_track_and_artist_has_a_name_of_its_own() {
        let library = library(50_000);
        let tracks = library.artists.iter().flat_map(|artist| &artist.albums).flat_map(|album| &album.tracks);
        let titles: HashSet<&str> = tracks.map(|track| track.title.as_str()).collect();
        let artists: HashSet<&str> = library.artists.iter().map(|artist| artist.name.as_str()).collect();
        assert_eq!((titles.len(), artists.len()), (50_000, 500));
    }
}
