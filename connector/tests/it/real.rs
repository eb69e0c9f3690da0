//! Against a real Music Assistant, where one is at hand: set `MACONNECTOR_TEST_MA_URL` and `MACONNECTOR_TEST_MA_TOKEN`
//! and run with `--ignored`. It plays on the first player and needs nothing special in the library.

#![expect(clippy::print_stderr, reason = "how long things took is what one runs this for")]

use std::time::{Duration, Instant};

use macloud_connector::execute::Executor;
use macloud_connector::music_assistant::directory::Directory;
use macloud_connector::music_assistant::fields::Fields;
use macloud_connector::music_assistant::token::Token;
use macloud_connector::music_assistant::{MusicAssistant, READ_LIMIT, Settings, Timing, TokenSource};
use macloud_connector::network::Dialer;
use macloud_connector::rules::HouseRules;
use macloud_e2ee::vocabulary::{
    Action, Command, MediaKind, MediaQuery, Percent, Placement, Playback, Player, PlayerKind, Preset, Refusal, Reply,
    Target, Transport,
};
use macloud_service_kit::clock;
use macloud_service_kit::stop::Stop;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(60);
const AMPLE: Duration = Duration::from_secs(8);

struct Real {
    ma: MusicAssistant,
    executor: Executor,
    _task: JoinSet<()>,
}

impl Real {
    async fn connect() -> Self {
        let variable = |name| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
        let ma = MusicAssistant::new(Settings {
            url: variable("MACONNECTOR_TEST_MA_URL").parse().unwrap(),
            token: TokenSource::Fixed(Token::parse(&variable("MACONNECTOR_TEST_MA_TOKEN")).unwrap()),
            dialer: Dialer::new(None, true).unwrap(),
            clock: clock::system(),
            timing: Timing::default(),
        });
        let mut task = JoinSet::new();
        let running = ma.clone();
        task.spawn(async move { running.run(Stop::new()).await });
        let mut conditions = ma.conditions();
        let ready = conditions.wait_for(macloud_connector::music_assistant::Condition::is_ready);
        timeout(PATIENCE, ready).await.unwrap_or_else(|_| panic!("{:?}", ma.condition())).unwrap();
        let there = |directory: &Directory| {
            directory.exposed().next().is_some() && directory.exposed().all(|player| player.available)
        };
        assert!(ma.wait_until(PATIENCE, there).await, "not all players are there");
        Self { executor: Executor::new(ma.clone(), HouseRules::none()), ma, _task: task }
    }

    async fn on(&self, player: &Player, action: Action) -> (Reply, Duration) {
        let began = Instant::now();
        let target = Target::Key(player.key.clone());
        let reply = self.executor.execute(Command::OnPlayer { target, action, device: None }, AMPLE).await;
        (reply, began.elapsed())
    }

    async fn done(&self, player: &Player, action: Action) -> Player {
        let what = format!("{action:?}");
        match self.on(player, action).await {
            (Reply::Done { player, .. }, took) => {
                eprintln!("{what}: {took:?} -> {:?}", player.state);
                player
            }
            (other, took) => panic!("{what} after {took:?}: {other:?}"),
        }
    }

    /// All players but permanent groups, and the favourites.
    async fn speakers(&self) -> (Vec<Player>, Vec<Preset>) {
        let reply = self.executor.execute(Command::ListPlayers, AMPLE).await;
        let Reply::Players { mut players, presets, .. } = reply else { panic!("{reply:?}") };
        players.retain(|player| player.kind != PlayerKind::Group);
        (players, presets)
    }

    /// Wait until the player is seen to do this.
    async fn seen(&self, player: &Player, playback: Playback) {
        let began = Instant::now();
        while self.done_quietly(player).await.state.playback != playback {
            let state = self.done_quietly(player).await.state;
            assert!(began.elapsed() < Duration::from_secs(10), "never {playback:?}: {state:?}");
            self.ma.wait_until(Duration::from_millis(100), |_| false).await;
        }
        eprintln!("  seen {playback:?} after {:?}", began.elapsed());
    }

    /// Wait until the player is heard no more.
    async fn seen_quiet(&self, player: &Player) {
        let quiet = async {
            while self.done_quietly(player).await.state.playback == Playback::Playing {
                self.ma.wait_until(Duration::from_millis(50), |_| false).await;
            }
        };
        timeout(Duration::from_secs(5), quiet).await.expect("it plays on");
    }

    async fn done_quietly(&self, player: &Player) -> Player {
        match self.on(player, Action::Read).await.0 {
            Reply::Done { player, .. } => player,
            other => panic!("{other:?}"),
        }
    }
}

fn play(text: &str, artist: Option<&str>, kind: Option<MediaKind>) -> Action {
    let media = MediaQuery { text: text.into(), artist: artist.map(Into::into), kind, sure: false };
    Action::Play { media, placement: Placement::Replace }
}

#[tokio::test]
#[ignore = "needs a real Music Assistant, named in the environment"]
async fn a_real_music_assistant_does_what_is_asked() {
    let real = Real::connect().await;
    let (players, _) = real.speakers().await;
    let kitchen = players.iter().find(|player| player.can.volume).expect("a player with volume");
    eprintln!("on {} of {} players", kitchen.name, players.len());

    // Whatever the library holds: an album of it by its name, and by its name with its artist.
    let albums = real.ma.call("music/albums/library_items", json!({ "limit": 1 }), READ_LIMIT).await.unwrap();
    let album = Fields(&albums[0]);
    let (title, artists) = (album.text(&["name"]).unwrap(), album.list(&["artists"]));
    let artist = artists.first().and_then(|artist| Fields(artist).text(&["name"]));
    for action in [
        play(&title.to_lowercase(), artist.as_deref(), None),
        play(&format!("{title} by {}", artist.clone().unwrap_or_default()), None, None),
        // Last, because what follows needs a queue of several.
        play(&title, None, Some(MediaKind::Album)),
    ] {
        let (reply, took) = real.on(kitchen, action.clone()).await;
        let Reply::Done { found: Some(found), .. } = reply else { panic!("{action:?}: {reply:?}") };
        eprintln!("{action:?}: {took:?} -> {found:?}");
        assert_eq!(found.title, title);
        // A server whose queue is replaced again while its stream starts can be left with nothing loaded.
        real.seen(kitchen, Playback::Playing).await;
        real.ma.wait_until(Duration::from_secs(3), |_| false).await;
    }
    let (reply, took) = real.on(kitchen, play("xyzzy plugh nothing", None, None)).await;
    eprintln!("nothing found: {took:?}");
    assert_eq!(reply, Reply::Refused(Refusal::MediaNotFoundYet), "the library is unread");
    real.seen(kitchen, Playback::Playing).await;

    real.done(kitchen, Action::SetVolume(Percent::clamped(30))).await;
    let steps = (0..10).map(|_| real.done(kitchen, Action::AdjustVolume(2)));
    futures_util::future::join_all(steps).await;
    let id = real.ma.directory().by_key(&kitchen.key).unwrap().id.clone();
    let level = |wanted: u8| {
        let (id, ma) = (id.clone(), real.ma.clone());
        async move {
            ma.wait_until(Duration::from_secs(5), |d| d.player(&id).is_some_and(|p| p.level() == Some(wanted))).await
        }
    };
    assert!(level(50).await, "the ramp ends where it should");
    real.done(kitchen, Action::SetMute(true)).await;
    assert!(kitchen.can.mute && level(0).await, "muted");
    real.done(kitchen, Action::SetMute(false)).await;
    assert!(level(50).await, "as loud as before");

    real.done(kitchen, Action::Transport(Transport::Next)).await;
    real.done(kitchen, Action::Transport(Transport::StartOver)).await;
    real.done(kitchen, Action::Transport(Transport::FastForward)).await;
    real.done(kitchen, Action::Transport(Transport::Pause)).await;
    real.seen_quiet(kitchen).await;
    real.done(kitchen, Action::Transport(Transport::Play)).await;
    real.seen(kitchen, Playback::Playing).await;
    real.done(kitchen, Action::SetPower(false)).await;
    real.seen(kitchen, Playback::Stopped).await;
    real.done(kitchen, Action::SetPower(true)).await;
    if !kitchen.can.power {
        real.seen(kitchen, Playback::Playing).await;
    }
    real.done(kitchen, Action::Transport(Transport::Stop)).await;
    real.seen(kitchen, Playback::Stopped).await;
}

/// Within the first seconds of a stream a pause often ends as a stop. "What's playing?" has an answer all the same.
#[tokio::test]
#[ignore = "needs a real Music Assistant, named in the environment"]
async fn a_real_pause_keeps_what_was_playing() {
    let real = Real::connect().await;
    let (players, _) = real.speakers().await;
    let player = players.iter().find(|player| player.can.volume).expect("a player with volume");
    let albums = real.ma.call("music/albums/library_items", json!({ "limit": 1 }), READ_LIMIT).await.unwrap();
    let title = Fields(&albums[0]).text(&["name"]).unwrap();
    for pause_after in [0, 300, 1200, 2500, 4000] {
        real.done(player, play(&title, None, Some(MediaKind::Album))).await;
        real.seen(player, Playback::Playing).await;
        real.ma.wait_until(Duration::from_millis(pause_after), |_| false).await;
        real.done(player, Action::Transport(Transport::Pause)).await;
        for ask_after in [0, 150, 300, 600, 1500, 3000] {
            real.ma.wait_until(Duration::from_millis(ask_after), |_| false).await;
            let told = real.done_quietly(player).await.state;
            let activity = real.ma.directory().by_key(&player.key).unwrap().activity;
            eprintln!("  asked {ask_after} ms later: {:?} ({activity:?}) {:?}", told.playback, told.now_playing);
            assert!(told.playback != Playback::Playing || ask_after < 1500, "it plays on");
            assert!(told.now_playing.is_some(), "paused after {pause_after} ms");
        }
        real.done(player, Action::Transport(Transport::Stop)).await;
        real.seen(player, Playback::Stopped).await;
    }
}

/// `MACONNECTOR_TEST_MA_RESTART` is a command that restarts the server.
#[tokio::test]
#[ignore = "needs a real Music Assistant, named in the environment, and may restart it"]
async fn a_real_restart_is_survived_without_losing_a_player() {
    let real = Real::connect().await;
    let known = real.ma.directory().exposed().count();
    let restart = std::env::var("MACONNECTOR_TEST_MA_RESTART").expect("MACONNECTOR_TEST_MA_RESTART is not set");
    let began = Instant::now();
    let restarting = tokio::task::spawn_blocking(move || std::process::Command::new(restart).status().unwrap());
    let mut conditions = real.ma.conditions();
    let mut away = false;
    loop {
        timeout(PATIENCE * 2, conditions.changed()).await.expect("nothing happened").unwrap();
        let condition = conditions.borrow_and_update().clone();
        eprintln!("{:?}: {condition:?}", began.elapsed());
        assert_eq!(real.ma.directory().exposed().count(), known, "no player is forgotten");
        away |= !condition.is_ready();
        if away && condition.is_ready() {
            break;
        }
    }
    let there = |directory: &Directory| directory.exposed().all(|player| player.available);
    assert!(real.ma.wait_until(PATIENCE, there).await);
    eprintln!("{:?}: all players are there", began.elapsed());
    restarting.await.unwrap();
}

#[tokio::test]
#[ignore = "needs a real Music Assistant, named in the environment, with two players that can be grouped"]
async fn a_real_follower_is_played_through_its_leader() {
    let real = Real::connect().await;
    let (players, _) = real.speakers().await;
    let [leader, follower] = [&players[players.len() - 2], &players[players.len() - 1]];
    let id = |player: &Player| real.ma.directory().by_key(&player.key).unwrap().id.clone();
    let (leader_id, follower_id) = (id(leader), id(follower));
    let group = json!({ "player_id": follower_id, "target_player": leader_id });
    real.ma.call("players/cmd/group", group, PATIENCE).await.unwrap();
    let follows = |directory: &Directory| {
        directory.leader_of(&follower_id).is_some_and(|found| found.id == leader_id) && leader_id != follower_id
    };
    assert!(real.ma.wait_until(Duration::from_secs(10), follows).await, "it does not follow");
    real.done(follower, play("kind of blue", None, None)).await;
    real.seen(leader, Playback::Playing).await;
    real.seen(follower, Playback::Playing).await;
    real.done(follower, Action::Transport(Transport::Pause)).await;
    real.seen_quiet(leader).await;
    real.done(leader, Action::Transport(Transport::Stop)).await;
    let ungroup = json!({ "player_id": follower_id });
    real.ma.call("players/cmd/ungroup", ungroup, PATIENCE).await.unwrap();
}

/// Needs three players that can play together, and something in the library.
#[tokio::test]
#[ignore = "needs a real Music Assistant, named in the environment"]
async fn a_real_music_assistant_does_what_came_later() {
    let real = Real::connect().await;
    let (players, presets) = real.speakers().await;
    eprintln!("favourites: {presets:?}");
    let [first, second, third] = &players[..] else { panic!("{} players", players.len()) };
    let told = async |player: &Player, action: Action| {
        let what = format!("{action:?}");
        let (reply, took) = real.on(player, action).await;
        eprintln!("{what}: {took:?} -> {reply:?}");
        reply
    };
    let albums = real.ma.call("music/albums/library_items", json!({"limit": 20}), READ_LIMIT).await.unwrap();
    let album = albums.as_array().and_then(|albums| albums.first()).expect("an album in the library");
    let title = Fields(album).text(&["name"]).unwrap();
    real.done(first, play(&title, None, Some(MediaKind::Album))).await;
    real.seen(first, Playback::Playing).await;
    let position = async || real.done_quietly(first).await.state.position;
    told(first, Action::SeekTo(8)).await;
    real.ma.wait_until(Duration::from_secs(3), |_| false).await;
    let after = position().await;
    eprintln!("  3 s after: {after:?}");
    assert!(after.is_some_and(|seconds| (8..14).contains(&seconds)), "{after:?}");
    told(first, Action::SeekBy(-5)).await;
    real.ma.wait_until(Duration::from_secs(2), |_| false).await;
    eprintln!("  2 s after: {:?}", position().await);
    told(first, Action::SeekBy(10_000)).await;
    told(first, Action::SetAutoplay(true)).await;
    told(first, Action::SetAutoplay(false)).await;
    told(first, Action::PlaySimilar).await;
    real.seen(first, Playback::Playing).await;
    assert!(matches!(told(first, Action::SaveCurrent).await, Reply::Done { .. }));
    let liked = json!({"favorite": true, "limit": 100});
    let liked = real.ma.call("music/tracks/library_items", liked, READ_LIMIT).await.unwrap();
    eprintln!("  favourite tracks: {}", liked.as_array().unwrap().len());

    let there = Target::Key(second.key.clone());
    assert!(matches!(told(first, Action::MoveTo(there.clone())).await, Reply::Done { .. }));
    real.seen(second, Playback::Playing).await;
    real.seen(first, Playback::Stopped).await;
    assert!(matches!(told(third, Action::JoinTo(there.clone())).await, Reply::Done { .. }));
    real.seen(third, Playback::Playing).await;
    told(third, Action::Unjoin).await;
    real.seen_quiet(third).await;
    real.seen(second, Playback::Playing).await;
    told(first, Action::JoinTo(there.clone())).await;
    told(third, Action::JoinTo(there)).await;
    // At once: a server that is still busy with the joining forgets to part one of them.
    assert!(matches!(told(second, Action::Unjoin).await, Reply::Done { .. }));
    real.seen_quiet(first).await;
    real.seen(second, Playback::Playing).await;
    told(second, Action::JoinTo(Target::Key(second.key.clone()))).await;

    for preset in presets {
        eprintln!("{preset:?}");
        let reply = told(third, Action::PlayPreset(preset.key.clone())).await;
        if matches!(reply, Reply::Done { .. }) {
            real.seen(third, Playback::Playing).await;
            eprintln!("  favourite on: {:?}", real.done_quietly(third).await.state.preset);
        }
    }
    told(third, Action::SetSleepTimer(Some(1))).await;
    let stop = Stop::new();
    tokio::select! {
        () = real.executor.keep_timers(&stop, || false) => panic!("it ended"),
        () = tokio::time::sleep(Duration::from_secs(62)) => {}
    }
    real.seen_quiet(third).await;
    for player in &players {
        told(player, Action::Transport(Transport::Stop)).await;
    }
}

/// Needs a token that may make groups, and two players that can play together.
#[tokio::test]
#[ignore = "needs a real Music Assistant, named in the environment"]
async fn a_real_group_is_as_loud_as_its_members() {
    let real = Real::connect().await;
    let (players, _) = real.speakers().await;
    let ids: Vec<String> =
        players.iter().take(2).map(|player| real.ma.directory().by_key(&player.key).unwrap().id.clone()).collect();
    let group = json!({ "provider": "sync_group", "name": "For a test", "members": ids, "dynamic": false });
    let group = real.ma.call("players/create_group_player", group, PATIENCE).await.unwrap();
    let id = Fields(&group).text(&["player_id"]).unwrap();
    assert!(real.ma.wait_until(PATIENCE, |directory| directory.player(&id).is_some()).await);
    let Reply::Players { players, .. } = real.executor.execute(Command::ListPlayers, AMPLE).await else { panic!() };
    let group = players.iter().find(|player| player.name == "For a test").unwrap();
    let level = async |wanted: u8| {
        let is_so = |directory: &Directory| {
            ids.iter().chain([&id]).all(|id| directory.player(id).unwrap().level() == Some(wanted))
        };
        assert!(real.ma.wait_until(Duration::from_secs(5), is_so).await, "never {wanted}");
        assert_eq!(real.done_quietly(group).await.state.volume, Percent::new(wanted));
    };
    for id in &ids {
        let same = json!({ "player_id": id, "volume_level": 20 });
        real.ma.call("players/cmd/volume_set", same, PATIENCE).await.unwrap();
    }
    level(20).await;
    let albums = real.ma.call("music/albums/library_items", json!({ "limit": 1 }), READ_LIMIT).await.unwrap();
    let title = Fields(&albums[0]).text(&["name"]).unwrap();
    real.done(group, play(&title, None, Some(MediaKind::Album))).await;
    real.seen(group, Playback::Playing).await;
    level(20).await;
    real.done(group, Action::AdjustVolume(10)).await;
    level(30).await;
    real.done(group, Action::SetMute(true)).await;
    level(0).await;
    real.done(group, Action::SetMute(false)).await;
    level(30).await;
    real.done(group, Action::Transport(Transport::Pause)).await;
    assert_ne!(real.done_quietly(group).await.state.playback, Playback::Playing, "a group tells of itself last");
    real.done(group, Action::Transport(Transport::Stop)).await;
    real.ma.call("players/remove_group_player", json!({ "player_id": id }), PATIENCE).await.unwrap();
}
