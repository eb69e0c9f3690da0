//! The home's library, read in the background, and what is found in it.

use std::time::Duration;

use macloud_connector::execute::Executor;
use macloud_connector::execute::words::phrase::Phrase;
use macloud_connector::library::{self, Clue, Pace};
use macloud_connector::music_assistant::token::Token;
use macloud_connector::music_assistant::{MusicAssistant, Settings, TokenSource};
use macloud_connector::network::Dialer;
use macloud_connector::rules::HouseRules;
use macloud_e2ee::vocabulary::{Action, Command, Item, MediaKind, MediaQuery, Placement, Refusal, Reply, Target};
use macloud_service_kit::clock;
use macloud_service_kit::stop::Stop;
use macloud_simulated_home::library::{Album, Artist, Track};
use macloud_simulated_home::{HomeConfig, Library, RestartPlan, RunningHome, SimulatedHome, Timing};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::scripted::{Answer, Client, PATIENCE, Scripted, media, quick};

const AMPLE: Duration = Duration::from_secs(8);

const QUICK: Pace = Pace {
    first: Duration::ZERO,
    between_pages: Duration::ZERO,
    refresh: Duration::from_secs(3600),
    again: Duration::ZERO,
    retry: Duration::from_millis(50),
};

/// A Music Assistant, a client of it, and the reader of its library.
struct Reading {
    home: RunningHome,
    ma: MusicAssistant,
    executor: Executor,
    _tasks: JoinSet<()>,
}

impl Reading {
    async fn of(library: Library) -> Self {
        let config = HomeConfig { library, timing: Timing::fast(), ..HomeConfig::default() };
        let home = SimulatedHome::start(config).await.unwrap();
        let ma = MusicAssistant::new(Settings {
            url: home.ws_url().parse().unwrap(),
            token: TokenSource::Fixed(Token::parse(home.token()).unwrap()),
            dialer: Dialer::new(None, false).unwrap(),
            clock: clock::system(),
            timing: quick(),
        });
        let mut tasks = JoinSet::new();
        let (running, reading) = (ma.clone(), ma.clone());
        tasks.spawn(async move { running.run(Stop::new()).await });
        tasks.spawn(async move { library::keep(&reading, QUICK, Stop::new()).await });
        let this = Self { home, executor: Executor::new(ma.clone(), HouseRules::none()), ma, _tasks: tasks };
        this.until(library::Library::is_complete).await;
        this
    }

    async fn until(&self, wanted: impl Fn(&library::Library) -> bool) {
        until(&self.ma, wanted).await;
    }

    fn asked(&self, command: &str) -> u64 {
        self.home.state().commands.get(command).copied().unwrap_or(0)
    }

    async fn play(&self, text: &str, sure: bool) -> Reply {
        on_kitchen(&self.executor, MediaQuery { text: text.into(), artist: None, kind: None, sure }).await
    }
}

async fn until(ma: &MusicAssistant, wanted: impl Fn(&library::Library) -> bool) {
    let reached = async {
        while !wanted(ma.library()) {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, reached).await.expect("the library never became so");
}

async fn on_kitchen(executor: &Executor, media: MediaQuery) -> Reply {
    let action = Action::Play { media, placement: Placement::Replace };
    let target = Target::Named("Kitchen".into());
    executor.execute(Command::OnPlayer { target, action, device: None }, AMPLE).await
}

fn found(reply: Reply) -> Item {
    match reply {
        Reply::Done { found: Some(item), .. } => item,
        other => panic!("{other:?}"),
    }
}

fn many(tracks: usize) -> Library {
    let tracks = (0..tracks).map(|number| Track { title: format!("Take {number}"), seconds: 60, favorite: false });
    let album = Album { title: "All Takes".into(), year: None, favorite: false, tracks: tracks.collect() };
    let artist = Artist { name: "Somebody".into(), genres: Vec::new(), favorite: false, albums: vec![album] };
    Library { artists: vec![artist], ..Library::default() }
}

#[tokio::test]
async fn the_library_is_read_to_its_end_page_by_page() {
    let reading = Reading::of(many(250)).await;
    assert_eq!(reading.ma.library().len(), 252);
    assert_eq!(reading.asked("music/tracks/library_items"), 3);
    assert_eq!(found(reading.play("take two hundred and forty nine", false).await).title, "Take 249");
}

#[tokio::test]
async fn what_was_misheard_is_found_without_asking_music_assistant_to_search() {
    let reading = Reading::of(Library::demo()).await;
    let asked = reading.asked("music/tracks/library_items");
    for (said, title) in [
        ("hiperballad", "Hyperballad"),
        ("bohemian rapsody", "Bohemian Rhapsody"),
        ("sinnerman by nina simon", "Sinnerman"),
        ("acdc", "AC/DC"),
    ] {
        assert_eq!(found(reading.play(said, false).await).title, title, "{said:?}");
    }
    assert_eq!(reading.asked("music/tracks/library_items"), asked, "no list was searched");
}

#[tokio::test]
async fn what_is_not_sure_is_asked_about_and_played_once_confirmed() {
    let reading = Reading::of(Library::demo()).await;
    let Reply::Refused(Refusal::DidYouMean(item)) = reading.play("freeloader", false).await else {
        panic!("it should ask")
    };
    assert_eq!((item.title.as_str(), item.artist.as_deref()), ("Freddie Freeloader", Some("Miles Davis")));
    assert_eq!(item.kind, Some(MediaKind::Track));
    assert_eq!(reading.asked("player_queues/play_media"), 0, "nothing was done");
    let confirmed = MediaQuery { text: item.title.clone(), artist: item.artist, kind: item.kind, sure: true };
    assert_eq!(found(on_kitchen(&reading.executor, confirmed).await).title, item.title);
    assert_eq!(found(reading.play("freeloader", true).await).title, item.title, "never asked twice");
}

#[tokio::test]
async fn after_a_restart_the_library_is_read_again() {
    let reading = Reading::of(many(30)).await;
    let plan = RestartPlan { down_ms: 50, starting_ms: 50, settling_ms: 10, ..RestartPlan::default() };
    reading.home.restart(plan).unwrap();
    let again = async {
        while reading.asked("music/tracks/library_items") < 2 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, again).await.unwrap();
    assert!(reading.ma.library().is_complete(), "it is of use meanwhile");
    assert_eq!(reading.ma.library().len(), 32);
}

/// A scripted server, with a client that knows this one track without having read the library.
async fn knowing(track: &serde_json::Value) -> (Scripted, Client, Executor) {
    let server = Scripted::start().await;
    let client = server.settled().await;
    server.event("media_item_added", track["uri"].as_str().unwrap(), track.clone());
    until(&client.ma, |library| library.len() == 1).await;
    let executor = Executor::new(client.ma.clone(), HouseRules::none());
    (server, client, executor)
}

fn query(text: &str) -> MediaQuery {
    MediaQuery { text: text.into(), artist: None, kind: None, sure: false }
}

fn by_somebody(text: &str) -> MediaQuery {
    MediaQuery { artist: Some("somebody".into()), ..query(text) }
}

#[tokio::test]
async fn events_change_what_is_known() {
    let track = media("track", 7, "Old Name", Some("Somebody"));
    let (server, client, executor) = knowing(&track).await;
    let renamed = media("track", 7, "Fresh Title", Some("Somebody"));
    server.event("media_item_updated", "library://track/7", renamed.clone());
    server.event("media_item_added", "stream://track/9", json!({ "name": "Elsewhere", "uri": "stream://track/9" }));
    server.answer("music/item_by_uri", Answer::Result(renamed));
    let name = Phrase::of("fresh title");
    let clue = Clue { title: &name, artist: None, kinds: &[MediaKind::Track] };
    until(&client.ma, |library| !library.candidates(&[clue]).is_empty()).await;
    assert_eq!(found(on_kitchen(&executor, query("fresh title")).await).title, "Fresh Title");
    server.event("media_item_deleted", "library://track/7", serde_json::Value::Null);
    until(&client.ma, library::Library::is_empty).await;
}

#[tokio::test]
async fn what_is_gone_or_something_else_by_now_is_not_played() {
    let track = media("track", 7, "Some Song", Some("Somebody"));
    let (server, _client, executor) = knowing(&track).await;
    // The script answers "not found" to the last look.
    assert_eq!(on_kitchen(&executor, query("some song")).await, Reply::Refused(Refusal::MediaNotFoundYet));
    server.answer("music/item_by_uri", Answer::Result(media("track", 7, "Another Song", Some("Somebody"))));
    assert_eq!(on_kitchen(&executor, query("some song")).await, Reply::Refused(Refusal::MediaNotFoundYet));
    assert!(server.calls("player_queues/play_media").is_empty());
    server.answer("music/item_by_uri", Answer::Result(track));
    assert_eq!(found(on_kitchen(&executor, query("some song")).await).title, "Some Song");
}

#[tokio::test]
async fn while_a_part_is_known_what_comes_near_is_not_taken_for_what_is_meant() {
    let near = media("track", 7, "Silver Spring", Some("Somebody"));
    // Music Assistant finds the second one by its words only, and the third one not in the library.
    for title in ["Silver Springs", "Silver-Springs", "Silver Springs!"] {
        let (server, _client, executor) = knowing(&near).await;
        let meant = media("track", 8, title, Some("Somebody"));
        if title.ends_with('!') {
            server.answer("music/search", Answer::Result(json!({ "tracks": [meant.clone()] })));
            server.answer("music/item_by_uri", Answer::Result(meant));
        } else {
            // The near one is there as well, should it be looked at.
            server.answer("music/item_by_uri", Answer::Result(near.clone()));
            server.edit(|script| drop(script.library.insert("tracks".into(), vec![near.clone(), meant])));
        }
        assert_eq!(found(on_kitchen(&executor, by_somebody("silver springs")).await).title, title);
    }
}

#[tokio::test]
async fn while_a_part_is_known_what_comes_near_is_asked_about_and_what_was_named_is_played() {
    let near = media("track", 7, "Silver Spring", Some("Somebody"));
    let (server, client, executor) = knowing(&near).await;
    server.answer("music/item_by_uri", Answer::Result(near.clone()));
    for said in [query("silver spring"), query("silver spring somebody"), by_somebody("the silver spring")] {
        assert_eq!(found(on_kitchen(&executor, said).await).title, "Silver Spring");
    }
    let said = by_somebody("silver springs");
    let reply = on_kitchen(&executor, said.clone()).await;
    assert!(matches!(reply, Reply::Refused(Refusal::DidYouMean(_))), "{reply:?}");
    server.edit(|script| drop(script.library.insert("tracks".into(), vec![near])));
    let mut tasks = JoinSet::new();
    let ma = client.ma.clone();
    tasks.spawn(async move { library::keep(&ma, QUICK, Stop::new()).await });
    until(&client.ma, library::Library::is_complete).await;
    assert_eq!(found(on_kitchen(&executor, said).await).title, "Silver Spring", "there is no other");
}

#[tokio::test]
async fn what_is_not_in_the_part_that_is_known_may_be_found_later() {
    let (_server, client, executor) = knowing(&media("track", 7, "Some Song", None)).await;
    let asked = || on_kitchen(&executor, query("zzzz nothing"));
    assert_eq!(asked().await, Reply::Refused(Refusal::MediaNotFoundYet));
    let mut tasks = JoinSet::new();
    let ma = client.ma.clone();
    tasks.spawn(async move { library::keep(&ma, QUICK, Stop::new()).await });
    until(&client.ma, library::Library::is_complete).await;
    assert_eq!(asked().await, Reply::Refused(Refusal::MediaNotFound));
}

#[tokio::test]
async fn a_library_that_cannot_be_read_is_not_called_complete() {
    let server = Scripted::start().await;
    server.answer("music/albums/library_items", Answer::Silence);
    let client = server.settled().await;
    let mut tasks = JoinSet::new();
    let ma = client.ma.clone();
    tasks.spawn(async move { library::keep(&ma, QUICK, Stop::new()).await });
    server.called("music/albums/library_items", 1).await;
    assert!(!client.ma.library().is_complete());
    // A list that an old server does not have is none.
    for list in ["albums", "genres", "podcasts"] {
        server.answer(&format!("music/{list}/library_items"), Answer::Error(12));
    }
    server.cut();
    until(&client.ma, library::Library::is_complete).await;
}
