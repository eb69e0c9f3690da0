//! The connector's Music Assistant side against the simulated home, whose players really move.

use std::time::Duration;

use macloud_connector::execute::Executor;
use macloud_connector::music_assistant::directory::Directory;
use macloud_connector::music_assistant::model::Activity;
use macloud_connector::music_assistant::token::Token;
use macloud_connector::music_assistant::{self, MusicAssistant, READ_LIMIT, Settings, TokenSource};
use macloud_connector::network::Dialer;
use macloud_connector::rules::HouseRules;
use macloud_e2ee::vocabulary::{
    self, Action, Command, MediaKind, MediaQuery, Percent, Placement, Refusal, Reply, Target, Transport,
};
use macloud_service_kit::clock;
use macloud_service_kit::stop::Stop;
use macloud_simulated_home::library::Playlist;
use macloud_simulated_home::{
    Faults, HomeConfig, HomeState, Library, Playback, PlayerChange, Quirks, RestartPlan, RunningHome, SimulatedHome,
    Timing, TrackName,
};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::scripted::{PATIENCE, quick};

const AMPLE: Duration = Duration::from_secs(8);

pub struct Simulated {
    pub home: RunningHome,
    pub ma: MusicAssistant,
    pub executor: Executor,
    _task: JoinSet<()>,
}

impl Simulated {
    pub async fn start() -> Self {
        Self::start_with(HomeConfig { timing: Timing::fast(), ..HomeConfig::default() }, quick()).await
    }

    /// A home whose players take their time as `timing` says.
    async fn timed(timing: Timing) -> Self {
        Self::start_with(HomeConfig { timing, ..HomeConfig::default() }, quick()).await
    }

    pub async fn start_with(config: HomeConfig, timing: music_assistant::Timing) -> Self {
        let home = SimulatedHome::start(config).await.unwrap();
        let ma = MusicAssistant::new(Settings {
            url: home.ws_url().parse().unwrap(),
            token: TokenSource::Fixed(Token::parse(home.token()).unwrap()),
            dialer: Dialer::new(None, false).unwrap(),
            clock: clock::system(),
            timing,
        });
        let mut task = JoinSet::new();
        let running = ma.clone();
        task.spawn(async move { running.run(Stop::new()).await });
        let this = Self { home, executor: Executor::new(ma.clone(), HouseRules::none()), ma, _task: task };
        this.ready(true).await;
        this
    }

    fn id(&self, name: &str) -> String {
        self.home.state().named(name).unwrap().player_id.clone()
    }

    async fn ready(&self, ready: bool) {
        let mut conditions = self.ma.conditions();
        let reached = conditions.wait_for(|condition| condition.is_ready() == ready);
        timeout(PATIENCE, reached).await.unwrap_or_else(|_| panic!("{:?}", self.ma.condition())).unwrap();
    }

    pub async fn on(&self, player: &str, action: Action) -> Reply {
        let target = Target::Named(player.into());
        self.executor.execute(Command::OnPlayer { target, action, device: None }, AMPLE).await
    }

    pub async fn done(&self, player: &str, action: Action) {
        let reply = self.on(player, action).await;
        assert!(matches!(reply, Reply::Done { .. }), "{reply:?}");
    }

    /// Who plays, as the cloud hears it that asks for all players.
    async fn listed_as_playing(&self) -> Vec<String> {
        let Reply::Players { players, .. } = self.executor.execute(Command::ListPlayers, AMPLE).await else { panic!() };
        let playing = players.into_iter().filter(|player| player.state.playback == vocabulary::Playback::Playing);
        playing.map(|player| player.name).collect()
    }

    /// Wait until the home truly is so.
    pub async fn truly(&self, what: &str, wanted: impl Fn(&HomeState) -> bool) {
        if timeout(PATIENCE, self.home.until(wanted)).await.is_err() {
            panic!("never {what}: {:?}", self.home.state().players);
        }
    }
}

pub fn play(text: &str, artist: Option<&str>, kind: Option<MediaKind>) -> Action {
    let media = MediaQuery { text: text.into(), artist: artist.map(Into::into), kind, sure: false };
    Action::Play { media, placement: Placement::Replace }
}

#[tokio::test]
async fn what_is_said_is_what_is_heard() {
    let simulated = Simulated::start().await;
    for (text, artist, kind, title) in [
        ("kind of blue", None, None, "So What"),
        ("blue in green by miles davis", None, None, "Blue in Green"),
        ("hyperballad", Some("bjork"), None, "Hyperballad"),
        ("sinnerman nina simone", None, None, "Sinnerman"),
        ("homogenic", None, Some(MediaKind::Album), "Hunter"),
    ] {
        simulated.done("the kitchen", play(text, artist, kind)).await;
        simulated
            .truly(text, |home| {
                let kitchen = home.named("Kitchen").unwrap();
                format!("{:?}", kitchen.state) == "Playing"
                    && kitchen.now_playing.as_ref().is_some_and(|now| now.title == title)
            })
            .await;
    }
    let reply = simulated.on("kitchen", play("no such thing at all", None, None)).await;
    assert_eq!(reply, Reply::Refused(Refusal::MediaNotFoundYet), "the library is unread");
    assert_eq!(format!("{:?}", simulated.home.state().named("Kitchen").unwrap().state), "Playing", "the music goes on");
}

#[tokio::test]
async fn volume_and_transport_reach_the_player() {
    let simulated = Simulated::start().await;
    simulated.done("kitchen", play("kind of blue", None, None)).await;
    simulated.done("kitchen", Action::SetVolume(Percent::clamped(33))).await;
    simulated.truly("33", |home| home.named("Kitchen").unwrap().volume == 33).await;
    simulated.done("kitchen", Action::AdjustVolume(100)).await;
    simulated.truly("100", |home| home.named("Kitchen").unwrap().volume == 100).await;
    simulated.done("kitchen", Action::Transport(Transport::Next)).await;
    simulated.truly("next", |home| home.named("Kitchen").unwrap().queue.current_index == Some(1)).await;
    simulated.done("kitchen", Action::Transport(Transport::Pause)).await;
    simulated.truly("quiet", |home| format!("{:?}", home.named("Kitchen").unwrap().state) != "Playing").await;
}

#[tokio::test]
async fn a_group_that_plays_is_as_loud_as_its_members() {
    let simulated = Simulated::start().await;
    let members: Vec<String> = ["Kitchen", "Bedroom"].map(|name| simulated.id(name)).into();
    let group = json!({ "provider": "sync_group", "name": "Downstairs", "members": members });
    simulated.ma.call("players/create_group_player", group, READ_LIMIT).await.unwrap();
    assert!(simulated.ma.wait_until(PATIENCE, |d| d.exposed().any(|p| p.name == "Downstairs")).await);
    simulated.done("downstairs", play("kind of blue", None, None)).await;
    let plays = |d: &Directory| d.exposed().any(|p| p.name == "Downstairs" && p.activity == Activity::Playing);
    assert!(simulated.ma.wait_until(PATIENCE, plays).await);
    simulated.done("downstairs", Action::SetVolume(Percent::clamped(40))).await;
    simulated.done("downstairs", Action::AdjustVolume(5)).await;
    simulated
        .truly("45", |home| ["Kitchen", "Bedroom"].iter().all(|name| home.named(name).unwrap().volume == 45))
        .await;
    assert!(
        simulated.ma.wait_until(PATIENCE, |d| members.iter().all(|id| d.player(id).unwrap().volume == Some(45))).await
    );
    let Reply::Done { player, .. } = simulated.on("downstairs", Action::Read).await else { panic!() };
    assert_eq!((player.state.volume, player.state.muted), (Percent::new(45), Some(false)));
}

#[tokio::test]
async fn who_is_forgotten_when_several_part_is_told_again() {
    let quirks = Quirks { forgets_to_part: true, ..Quirks::default() };
    let config = HomeConfig { quirks, timing: Timing::fast(), ..HomeConfig::default() };
    let simulated = Simulated::start_with(config, quick()).await;
    simulated.done("kitchen", play("kind of blue", None, None)).await;
    for follower in ["bedroom", "living room"] {
        simulated.done(follower, Action::JoinTo(Target::Named("kitchen".into()))).await;
    }
    simulated.done("kitchen", Action::Unjoin).await;
    let state = simulated.home.state();
    assert!(state.players.iter().all(|player| player.synced_to.is_none()), "{:?}", state.players);
    assert_eq!(state.named("Kitchen").unwrap().state, Playback::Playing, "who led goes on");
}

#[tokio::test]
async fn a_player_without_its_plug_is_unavailable_and_others_are_not() {
    let simulated = Simulated::start().await;
    let state = simulated.home.state();
    let kitchen = &state.named("Kitchen").unwrap().player_id;
    let settled = async {
        while simulated.ma.is_settling() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, settled).await.unwrap();
    simulated.home.unplug(kitchen).unwrap();
    assert!(simulated.ma.wait_until(PATIENCE, |d| d.player(kitchen).is_some_and(|player| !player.available)).await);
    let reply = simulated.on("kitchen", Action::Transport(Transport::Pause)).await;
    assert_eq!(reply, Reply::Refused(Refusal::PlayerUnavailable("Kitchen".into())));
    simulated.home.plug(kitchen).unwrap();
    assert!(simulated.ma.wait_until(PATIENCE, |d| d.player(kitchen).is_some_and(|player| player.available)).await);
    simulated
        .home
        .change_player(kitchen, PlayerChange { name: Some("Galley".into()), ..PlayerChange::default() })
        .unwrap();
    assert!(
        simulated.ma.wait_until(PATIENCE, |d| d.player(kitchen).is_some_and(|player| player.name == "Galley")).await
    );
    simulated.done("galley", Action::Read).await;
}

#[tokio::test]
async fn a_restart_loses_no_player_and_no_time() {
    let simulated = Simulated::start().await;
    let Reply::Players { players: before, .. } = simulated.executor.execute(Command::ListPlayers, AMPLE).await else {
        panic!()
    };
    simulated
        .home
        .restart(RestartPlan { down_ms: 200, starting_ms: 200, settling_ms: 100, ..RestartPlan::default() })
        .unwrap();
    simulated.ready(false).await;
    let Reply::Players { players: meanwhile, .. } = simulated.executor.execute(Command::ListPlayers, AMPLE).await
    else {
        panic!()
    };
    assert_eq!(meanwhile.len(), before.len());
    assert!(meanwhile.iter().all(|player| !player.state.available));
    simulated.ready(true).await;
    let there =
        simulated.ma.wait_until(PATIENCE, |d| d.exposed().count() == before.len() && d.exposed().all(|p| p.available));
    assert!(there.await);
}

const HOUR: Duration = Duration::from_secs(3600);

/// How often the home was sent a command.
pub fn count(home: &HomeState, command: &str) -> u64 {
    home.commands.get(command).copied().unwrap_or(0)
}

#[tokio::test]
async fn what_plays_is_replaced_though_the_server_would_fall_silent() {
    // The server stops the old music after it has started the new: left to itself, it is silent then.
    let timing = Timing { player_update: Duration::from_millis(60), ..Timing::fast() };
    let simulated = Simulated::timed(timing).await;
    for (text, title) in [("kind of blue", "So What"), ("homogenic", "Hunter"), ("sinnerman nina simone", "Sinnerman")]
    {
        simulated.done("kitchen", play(text, None, None)).await;
        simulated
            .truly(text, |home| {
                let kitchen = home.named("Kitchen").unwrap();
                kitchen.state == Playback::Playing && kitchen.now_playing.as_ref().is_some_and(|now| now.title == title)
            })
            .await;
        assert!(simulated.ma.wait_until(PATIENCE, |d| d.exposed().any(|p| p.activity == Activity::Playing)).await);
    }
}

#[tokio::test]
async fn a_pause_between_a_skip_and_its_new_stream_stays_one() {
    let timing = Timing {
        stream_restart: Duration::from_millis(600),
        player_update: Duration::from_millis(60),
        ..Timing::fast()
    };
    let simulated = Simulated::timed(timing).await;
    simulated.done("kitchen", play("kind of blue", None, None)).await;
    simulated.truly("playing", |home| home.named("Kitchen").unwrap().state == Playback::Playing).await;
    assert!(simulated.ma.wait_until(PATIENCE, |d| d.exposed().any(|p| p.activity == Activity::Playing)).await);
    simulated.done("kitchen", Action::Transport(Transport::FastForward)).await;
    simulated.done("kitchen", Action::Transport(Transport::Pause)).await;
    simulated.truly("paused", |home| home.named("Kitchen").unwrap().state == Playback::Paused).await;
    simulated.truly("undone", |home| home.named("Kitchen").unwrap().state == Playback::Playing).await;
    simulated
        .truly("paused for good", |home| {
            home.named("Kitchen").unwrap().state == Playback::Paused && count(home, "players/cmd/pause") == 2
        })
        .await;
}

#[tokio::test]
async fn who_was_stopped_and_then_plays_along_does_not_stop_the_others() {
    let simulated = Simulated::start().await;
    let plays = |d: &Directory, name: &str| d.exposed().any(|p| p.name == name && p.activity == Activity::Playing);
    simulated.done("bedroom", play("homogenic", None, None)).await;
    assert!(simulated.ma.wait_until(PATIENCE, |d| plays(d, "Bedroom")).await);
    simulated.done("bedroom", Action::Transport(Transport::Stop)).await;
    assert!(simulated.ma.wait_until(PATIENCE, |d| !plays(d, "Bedroom")).await);
    simulated.done("kitchen", play("kind of blue", None, None)).await;
    assert!(simulated.ma.wait_until(PATIENCE, |d| plays(d, "Kitchen")).await);
    simulated.done("bedroom", Action::JoinTo(Target::Named("kitchen".into()))).await;
    assert!(simulated.ma.wait_until(PATIENCE, |d| plays(d, "Bedroom")).await);
    simulated.ma.call("info", serde_json::json!({}), PATIENCE).await.unwrap();
    let home = simulated.home.state();
    assert_eq!(count(&home, "players/cmd/stop"), 1);
    assert_eq!(home.named("Kitchen").unwrap().state, Playback::Playing);
}

#[tokio::test]
async fn a_player_that_is_to_play_is_listed_as_playing_before_it_does() {
    let simulated = Simulated::timed(Timing { start_playing: HOUR, ..Timing::fast() }).await;
    assert!(simulated.listed_as_playing().await.is_empty());
    simulated.done("kitchen", play("kind of blue", None, None)).await;
    assert_eq!(simulated.listed_as_playing().await, ["Kitchen"]);
    simulated.done("kitchen", Action::Transport(Transport::Pause)).await;
    assert!(simulated.listed_as_playing().await.is_empty(), "it is not to play any more");
    for (turn_off, player) in [(Action::Transport(Transport::Stop), "kitchen"), (Action::SetPower(false), "bedroom")] {
        simulated.done(player, play("homogenic", None, None)).await;
        simulated.done(player, turn_off).await;
        assert!(simulated.listed_as_playing().await.is_empty(), "nor is {player}");
    }
    let Action::Play { media, .. } = play("homogenic", None, None) else { panic!() };
    simulated.done("kitchen", Action::Play { media, placement: Placement::Add }).await;
    assert!(simulated.listed_as_playing().await.is_empty(), "what comes later starts nothing");
}

#[tokio::test]
async fn from_the_beginning_right_after_next_is_tried_until_there_is_something_to_begin() {
    let simulated = Simulated::timed(Timing { settle: HOUR, ..Timing::fast() }).await;
    simulated.done("kitchen", play("kind of blue", None, None)).await;
    simulated.done("kitchen", Action::Transport(Transport::Next)).await;
    simulated.done("kitchen", Action::Transport(Transport::StartOver)).await;
    let home = simulated.home.state();
    assert_eq!(count(&home, "players/cmd/seek"), 2);
    assert_eq!(home.named("Kitchen").unwrap().queue.current_index, Some(1));
}

#[tokio::test]
async fn from_the_beginning_of_what_has_only_just_begun_is_tried_until_it_is_loaded() {
    let simulated = Simulated::timed(Timing { settle: HOUR, ..Timing::fast() }).await;
    simulated.done("kitchen", play("kind of blue", None, None)).await;
    simulated.done("kitchen", Action::Transport(Transport::StartOver)).await;
    assert_eq!(count(&simulated.home.state(), "players/cmd/seek"), 3);
}

#[tokio::test]
async fn a_server_that_is_stopping_for_an_hour_is_used_meanwhile() {
    let simulated = Simulated::start().await;
    simulated.home.restart(RestartPlan { stopping_ms: 3_600_000, ..RestartPlan::default() }).unwrap();
    simulated.home.fault(&Faults { drop_connections: true, ..Faults::default() });
    simulated.ready(false).await;
    simulated.ready(true).await;
    assert_eq!(simulated.home.state().status, "stopping");
    simulated.done("kitchen", Action::SetVolume(Percent::clamped(33))).await;
    simulated.truly("33", |home| home.named("Kitchen").unwrap().volume == 33).await;
}

#[tokio::test]
async fn a_server_that_runs_before_its_players_are_there_is_still_starting() {
    let patient = music_assistant::Timing { grace: HOUR, ..quick() };
    let config = HomeConfig { timing: Timing::fast(), ..HomeConfig::default() };
    let simulated = Simulated::start_with(config, patient).await;
    simulated
        .home
        .restart(RestartPlan { down_ms: 50, starting_ms: 50, settling_ms: 3_600_000, stopping_ms: 0 })
        .unwrap();
    simulated.ready(false).await;
    simulated.ready(true).await;
    assert_eq!(simulated.home.state().status, "running");
    let reply = simulated.on("kitchen", Action::SetVolume(Percent::clamped(33))).await;
    assert_eq!(reply, Reply::Refused(Refusal::MusicAssistantStarting));
}

#[tokio::test]
async fn louder_on_a_player_that_has_just_come_back_starts_from_its_own_level() {
    let simulated = Simulated::timed(Timing { volume_recall: HOUR, ..Timing::fast() }).await;
    let kitchen = simulated.home.state().named("Kitchen").unwrap().player_id.clone();
    simulated.done("kitchen", Action::SetVolume(Percent::clamped(12))).await;
    assert!(simulated.ma.wait_until(PATIENCE, |d| d.player(&kitchen).unwrap().volume == Some(12)).await);
    simulated.home.unplug(&kitchen).unwrap();
    assert!(simulated.ma.wait_until(PATIENCE, |d| !d.player(&kitchen).unwrap().available).await);
    simulated.home.plug(&kitchen).unwrap();
    assert!(simulated.ma.wait_until(PATIENCE, |d| d.player(&kitchen).unwrap().available).await);
    // Longer ago than what was set is remembered for.
    simulated.ma.wait_until(Duration::from_millis(1600), |_| false).await;
    simulated.done("kitchen", Action::AdjustVolume(10)).await;
    simulated.truly("22", |home| home.named("Kitchen").unwrap().volume == 22).await;
}

#[tokio::test]
async fn a_playlist_file_that_is_not_in_the_library_is_found_all_the_same() {
    let mut library = Library::demo();
    let tracks = vec![TrackName::from("Miles Davis - Blue in Green")];
    library.playlists.push(Playlist {
        name: "Late Supper".into(),
        favorite: false,
        tracks,
        repeat_to: None,
        file: true,
    });
    let config = HomeConfig { library, timing: Timing::fast(), ..HomeConfig::default() };
    let simulated = Simulated::start_with(config, quick()).await;
    for kind in [None, Some(MediaKind::Playlist)] {
        simulated.done("kitchen", play("late supper", None, kind)).await;
        simulated
            .truly("the playlist", |home| {
                let kitchen = home.named("Kitchen").unwrap();
                kitchen.queue.length == 1
                    && kitchen.now_playing.as_ref().is_some_and(|now| now.title == "Blue in Green")
            })
            .await;
    }
}

#[tokio::test]
async fn what_plays_is_told_while_the_server_does_not_say_yet() {
    let simulated = Simulated::timed(Timing { settle: HOUR, ..Timing::fast() }).await;
    simulated.done("kitchen", play("kind of blue", None, None)).await;
    let plays = |d: &Directory| d.exposed().any(|p| p.activity == Activity::Playing && p.media.is_none());
    assert!(simulated.ma.wait_until(PATIENCE, plays).await);
    let Reply::Done { player, .. } = simulated.on("kitchen", Action::Read).await else { panic!() };
    assert_eq!(player.state.now_playing.map(|item| item.title).as_deref(), Some("So What"));
}

#[tokio::test]
async fn what_was_paused_is_told_though_the_player_stopped_instead() {
    let quirks = Quirks { pause_stops: true, ..Quirks::default() };
    let config = HomeConfig { quirks, timing: Timing::fast(), ..HomeConfig::default() };
    let simulated = Simulated::start_with(config, quick()).await;
    simulated.done("kitchen", play("kind of blue", None, None)).await;
    assert!(simulated.ma.wait_until(PATIENCE, |d| d.exposed().any(|p| p.activity == Activity::Playing)).await);
    simulated.done("kitchen", Action::Transport(Transport::Pause)).await;
    assert!(simulated.ma.wait_until(PATIENCE, |d| d.exposed().all(|p| p.activity == Activity::Idle)).await);
    let told = async || match simulated.on("kitchen", Action::Read).await {
        Reply::Done { player, .. } => (player.state.playback, player.state.now_playing.map(|item| item.title)),
        other => panic!("{other:?}"),
    };
    assert_eq!(told().await, (vocabulary::Playback::Paused, Some("So What".into())));
    simulated.done("kitchen", Action::Transport(Transport::Stop)).await;
    assert_eq!(told().await, (vocabulary::Playback::Stopped, None));
}
