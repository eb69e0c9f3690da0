//! What was heard, said to Alexa: the pairs by which the connector's understanding is judged (`connector/tests/it/corpus`) as a script
//! of the demo, on the whole way from the slots that Alexa fills to what is said of what plays.
//!
//! The simulated home has artists, albums, tracks, playlists and radio stations; pairs that mean something else are left out, and so
//! is what the library does not have.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use macloud_simulated_home::library::{Album, Artist, Library, Playlist, Radio, Track, TrackName};
use macloud_simulated_home::{HomeConfig, PlayerConfig};
use macloud_standalone::demo::script;
use macloud_standalone::demo::stage::Stage;
use macloud_standalone::demo::tour::speech;
use serde_json::{Value, json};

use crate::support::stage_with;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_heard_is_played_on_the_whole_way() {
    let players = vec![PlayerConfig::new("up1", "Kitchen")];
    let (mut stage, _gate) = stage_with(HomeConfig { library: library(), players, ..HomeConfig::default() }).await;
    until_the_library_is_known(&stage).await;
    let file = std::env::temp_dir().join(format!("macloud-corpus-{}.jsonl", std::process::id()));
    std::fs::write(&file, said()).unwrap();
    let lines = script::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    let failures = script::play(&mut stage, &lines, |line| {
        if let Some(failed) = line["failed"].as_str() {
            eprintln!("{}: {failed}", line["request"]["request"]["intent"]["slots"]);
        }
    });
    let failures = failures.await;
    stage.strike().await;
    eprintln!("{} of {} were not heard", failures, lines.len());
    assert!(lines.len() > 300 && failures * 100 <= lines.len() * 5, "{failures} of {}", lines.len());
}

/// The connector leaves a server that has just started alone for some seconds. Nobody but it understands this, and of a part of the
/// library it only asks whether that is meant.
async fn until_the_library_is_known(stage: &Stage) {
    let begun = Instant::now();
    let misheard = stage.alexa.intent("PlayMediaIntent", &[("media", "bohemien rapsody"), ("player", "Kitchen")]);
    loop {
        let response = stage.alexa.send_custom(&misheard).await.unwrap();
        let is_heard = speech(&response).unwrap_or_default().contains("Bohemian Rhapsody");
        if is_heard && response["response"]["shouldEndSession"] == true {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{response}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// A script that says them one after the other.
fn said() -> String {
    let pairs = HEARD.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    pairs.filter_map(line).fold(String::new(), |mut script, line| {
        writeln!(script, "{line}").unwrap();
        script
    })
}

fn line(pair: &str) -> Option<Value> {
    let [_, language, text, artist, kind, meant] = pair.split('|').collect::<Vec<_>>()[..] else { panic!("{pair}") };
    let title = title_of(meant)?;
    let mut slots = json!({ "player": "Kitchen" });
    for (slot, value) in [("media", text), ("artist", artist), ("mediaType", kind)] {
        if value != "-" {
            slots[slot] = value.into();
        }
    }
    let (_, locale) = LOCALES.into_iter().find(|(known, _)| *known == language)?;
    let expected = json!({ "request": "PlayMediaIntent", "speech": [title] });
    Some(json!({ "locale": locale, "intent": "PlayMediaIntent", "slots": slots, "expect": expected }))
}

/// What is said of each that may be meant: the shortest of their titles, which the others begin with.
fn title_of(meant: &str) -> Option<&str> {
    let titles = meant.split(" or ").map(|item| {
        let (kind, name) = item.split_once(": ").filter(|(kind, _)| PLAYED.contains(kind))?;
        Some((kind, name.split(" ~ ").next()?))
    });
    let titles: Vec<&str> = titles.collect::<Option<Vec<_>>>()?.into_iter().map(|(_, title)| title).collect();
    let shortest = titles.iter().copied().min_by_key(|title| title.len())?;
    titles.iter().all(|title| title.starts_with(shortest)).then_some(shortest)
}

/// The corpus's library as a home has it.
fn library() -> Library {
    let mut library = Library::default();
    for line in LIBRARY.lines() {
        if let Some(name) = line.strip_prefix("@ ") {
            let (name, favorite) = starred(name);
            library.artists.push(Artist { name, genres: Vec::new(), favorite, albums: Vec::new() });
        } else if let Some(name) = line.strip_prefix("+ ") {
            let (name, favorite) = starred(name);
            let title = name.split(" ~ ").next().unwrap().to_owned();
            let albums = &mut library.artists.last_mut().unwrap().albums;
            albums.push(Album { title, year: None, favorite, tracks: Vec::new() });
        } else if let Some(names) = line.strip_prefix("- ") {
            let album = library.artists.last_mut().and_then(|artist| artist.albums.last_mut()).unwrap();
            album.tracks.extend(names.split(" | ").map(track));
        } else if let Some((kind, name)) = line.split_once(": ").filter(|_| !line.starts_with('#')) {
            let (name, favorite) = starred(name);
            match kind {
                "playlist" => library.playlists.push(playlist(name, favorite)),
                "radio" => library.radios.push(Radio { name, url: None, favorite }),
                _ => {}
            }
        }
    }
    library
}

fn track(name: &str) -> Track {
    let (name, favorite) = starred(name);
    Track { title: name.split(" ~ ").next().unwrap().to_owned(), seconds: 200, favorite }
}

fn playlist(name: String, favorite: bool) -> Playlist {
    let (artist, title) = ("Queen".to_owned(), "Bohemian Rhapsody".to_owned());
    Playlist { name, favorite, tracks: vec![TrackName::Parts { artist, title }], repeat_to: None, file: false }
}

fn starred(name: &str) -> (String, bool) {
    name.strip_suffix(" *").map_or((name.to_owned(), false), |name| (name.to_owned(), true))
}

const HEARD: &str = include_str!("../../../connector/tests/it/corpus/heard.txt");
const LIBRARY: &str = include_str!("../../../connector/tests/it/corpus/library.txt");

/// What the simulated home can play.
const PLAYED: [&str; 5] = ["track", "album", "artist", "playlist", "radio"];

const LOCALES: [(&str, &str); 6] =
    [("en", "en-US"), ("de", "de-DE"), ("fr", "fr-FR"), ("es", "es-ES"), ("it", "it-IT"), ("nl", "nl-NL")];

const PATIENCE: Duration = Duration::from_secs(30);
