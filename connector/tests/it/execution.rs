//! Commands on a scripted Music Assistant: what is sent, what is refused, and what never gets there.

use std::time::{Duration, Instant};

use macloud_connector::execute::Executor;
use macloud_connector::music_assistant::model::Activity;
use macloud_connector::rules::HouseRules;
use macloud_connector::rules::local_time::Zone;
use macloud_e2ee::vocabulary::{
    Action, Command, Item, MediaKind, MediaQuery, MinuteOfDay, Percent, Placement, Playback, Player, Refusal, Repeat,
    Reply, Target, Transport,
};
use macloud_service_kit::clock::ManualClock;
use serde_json::{Value, json};

use crate::scripted::{Answer, Client, PATIENCE, Scripted, media, player, queue};

const AMPLE: Duration = Duration::from_secs(8);

pub struct Home {
    pub server: Scripted,
    pub client: Client,
    pub executor: Executor,
}

impl Home {
    pub async fn with(players: Vec<Value>, queues: Vec<Value>) -> Self {
        let server = Scripted::start_with(players, queues).await;
        let client = server.settled().await;
        let executor = Executor::new(client.ma.clone(), HouseRules::none());
        Self { server, client, executor }
    }

    /// A kitchen that plays at level 40, a bath, and these rules, at half past nine in the evening.
    pub async fn ruled(rules: Value) -> Self {
        let playing = json!({"playback_state": "playing", "volume_level": 40});
        let mut home = Self::with(
            vec![player("up1", "Kitchen", playing), player("up2", "Bath", json!({}))],
            vec![queue("up1", 3, json!({})), queue("up2", 3, json!({}))],
        )
        .await;
        let evening = ManualClock::at(86_400 + 21 * 3600 + 1800);
        let rules = HouseRules::new(serde_json::from_value(rules).unwrap(), evening, Zone::UTC);
        home.executor = Executor::new(home.client.ma.clone(), rules);
        home
    }

    pub async fn kitchen(extra: Value) -> Self {
        Self::with(vec![player("up1", "Kitchen", extra)], vec![queue("up1", 3, json!({}))]).await
    }

    pub async fn on(&self, name: &str, action: Action) -> Reply {
        let target = Target::Named(name.into());
        self.executor.execute(Command::OnPlayer { target, action, device: None }, AMPLE).await
    }

    pub async fn done(&self, name: &str, action: Action) -> Player {
        match self.on(name, action).await {
            Reply::Done { player, .. } => player,
            other => panic!("{other:?}"),
        }
    }

    pub async fn refused(&self, name: &str, action: Action) -> Refusal {
        match self.on(name, action).await {
            Reply::Refused(refusal) => refusal,
            other => panic!("{other:?}"),
        }
    }

    fn commands(&self) -> Vec<String> {
        let log = self.server.edit(|script| script.log.clone());
        let acting =
            |name: &String| name.starts_with("players/cmd/") || name.contains("play_media") || name.contains("skip");
        log.into_iter().map(|(name, _)| name).filter(acting).collect()
    }
}

fn play(text: &str) -> Action {
    play_with(text, None, None, Placement::Replace)
}

fn play_with(text: &str, artist: Option<&str>, kind: Option<MediaKind>, placement: Placement) -> Action {
    Action::Play {
        media: MediaQuery { text: text.into(), artist: artist.map(Into::into), kind, sure: false },
        placement,
    }
}

pub fn percent(value: u8) -> Percent {
    Percent::new(value).unwrap()
}

#[tokio::test]
async fn shuffle_and_repeat_are_set_on_the_queue_that_is_heard_and_told() {
    let home = Home::with(
        vec![player("up1", "Kitchen", json!({})), player("up2", "Attic", json!({"synced_to": "up1"}))],
        vec![queue("up1", 3, json!({"shuffle_enabled": false, "repeat_mode": "unknown"}))],
    )
    .await;
    let now = home.done("kitchen", Action::Read).await;
    assert_eq!((now.can.order, now.state.shuffle, now.state.repeat), (true, Some(false), None));
    assert_eq!(home.done("attic", Action::SetShuffle(true)).await.state.shuffle, Some(true));
    for (repeat, mode) in [(Repeat::One, "one"), (Repeat::All, "all"), (Repeat::Off, "off")] {
        let state = home.done("kitchen", Action::SetRepeat(repeat)).await.state;
        assert_eq!(state.repeat, Some(repeat));
        let sent = home.server.edit(|script| script.log.last().cloned());
        let args = json!({"queue_id": "up1", "repeat_mode": mode});
        assert_eq!(sent, Some(("player_queues/repeat".to_owned(), args)));
    }
    let sent = home.server.edit(|script| script.log.iter().find(|(name, _)| name.ends_with("shuffle")).cloned());
    assert_eq!(sent.unwrap().1, json!({"queue_id": "up1", "shuffle_enabled": true}), "of whom it follows");
}

#[tokio::test]
async fn only_what_people_may_speak_to_is_listed() {
    let home = Home::with(
        vec![
            player("up1", "Kitchen", json!({"power_control": "x", "mute_control": "x"})),
            player("up2", "Stereo", json!({"type": "stereo_pair", "volume_control": "none"})),
            player("g", "All", json!({"type": "group", "volume_control": "none", "group_volume": 33})),
            player("p", "Inner", json!({"type": "protocol"})),
            player("h", "Hidden", json!({"hide_in_ui": true})),
            player("d", "Disabled", json!({"enabled": false})),
            player("n", "Private", json!({"expose_to_ha": false})),
            player("v", "Display", json!({"type": "display"})),
        ],
        vec![],
    )
    .await;
    let Reply::Players { players, .. } = home.executor.execute(Command::ListPlayers, AMPLE).await else { panic!() };
    let names: Vec<&str> = players.iter().map(|player| player.name.as_str()).collect();
    assert_eq!(names, ["All", "Kitchen", "Stereo"]);
    let (all, kitchen, stereo) = (&players[0], &players[1], &players[2]);
    assert_eq!(all.state.volume, Some(percent(33)));
    assert!(kitchen.can.power && kitchen.can.volume && kitchen.can.mute);
    assert!(!stereo.can.power && !stereo.can.volume && !stereo.can.mute);
}

#[tokio::test]
async fn a_player_that_is_gone_is_refused_without_asking() {
    let home = Home::kitchen(json!({"available": false})).await;
    let refusal = home.refused("kitchen", Action::Transport(Transport::Play)).await;
    assert_eq!(refusal, Refusal::PlayerUnavailable("Kitchen".into()));
    assert_eq!(
        home.refused("kitchen", Action::SetVolume(percent(5))).await,
        Refusal::PlayerUnavailable("Kitchen".into())
    );
    let unknown = Target::Key(macloud_proto::ids::PlayerKey::derive("x", "y"));
    let reply =
        home.executor.execute(Command::OnPlayer { target: unknown, action: Action::Read, device: None }, AMPLE).await;
    assert_eq!(reply, Reply::Refused(Refusal::UnknownPlayer));
    assert!(home.commands().is_empty(), "{:?}", home.commands());
    assert!(!home.done("kitchen", Action::Read).await.state.available, "its state can be read all the same");
}

#[tokio::test]
async fn mute_without_mute_control_is_emulated() {
    let home = Home::kitchen(json!({"volume_level": 40})).await;
    let player = home.done("kitchen", Action::SetMute(true)).await;
    assert_eq!((player.state.muted, player.state.volume), (Some(true), Some(Percent::ZERO)));
    home.server.update_player("up1", json!({"volume_level": 0}));
    assert!(home.client.ma.wait_until(PATIENCE, |d| d.player("up1").unwrap().volume == Some(0)).await);
    let player = home.done("kitchen", Action::SetMute(false)).await;
    assert_eq!((player.state.muted, player.state.volume), (Some(false), Some(percent(40))));
    let levels: Vec<Value> =
        home.server.calls("players/cmd/volume_set").iter().map(|args| args["volume_level"].clone()).collect();
    assert_eq!(levels, [0, 40]);
    assert!(home.server.calls("players/cmd/volume_mute").is_empty());
}

#[tokio::test]
async fn mute_with_mute_control_is_real() {
    let home = Home::kitchen(json!({"mute_control": "x", "volume_muted": false})).await;
    assert_eq!(home.done("kitchen", Action::SetMute(true)).await.state.muted, Some(true));
    assert_eq!(home.server.calls("players/cmd/volume_mute"), [json!({"player_id": "up1", "muted": true})]);
}

#[tokio::test]
async fn levels_are_clamped_before_they_are_sent() {
    let home = Home::kitchen(json!({"volume_level": 95})).await;
    assert_eq!(home.done("kitchen", Action::AdjustVolume(10)).await.state.volume, Some(percent(100)));
    assert_eq!(home.done("kitchen", Action::AdjustVolume(-128)).await.state.volume, Some(Percent::ZERO));
    let levels: Vec<Value> =
        home.server.calls("players/cmd/volume_set").iter().map(|args| args["volume_level"].clone()).collect();
    assert_eq!(levels, [100, 0]);
}

#[tokio::test]
async fn a_ramp_of_steps_is_sent_as_few_levels_and_ends_right() {
    let home = Home::kitchen(json!({"volume_level": 20})).await;
    let steps = (0..12).map(|_| home.done("kitchen", Action::AdjustVolume(5)));
    let players = futures_util::future::join_all(steps).await;
    assert_eq!(players.last().unwrap().state.volume, Some(percent(80)));
    let calls = home.server.calls("players/cmd/volume_set");
    assert_eq!(calls.last().unwrap()["volume_level"], 80);
    assert!(calls.len() <= 3, "{} levels were sent", calls.len());
}

#[tokio::test]
async fn a_group_is_set_as_a_whole() {
    let group = player(
        "g",
        "House",
        json!({"type": "group", "volume_control": "none", "volume_level": null, "group_volume": 30}),
    );
    let home = Home::with(vec![group], vec![]).await;
    assert_eq!(home.done("house", Action::AdjustVolume(10)).await.state.volume, Some(percent(40)));
    assert_eq!(home.server.calls("players/cmd/group_volume"), [json!({"player_id": "g", "volume_level": 40})]);
}

#[tokio::test]
async fn a_player_without_volume_says_so() {
    let home = Home::kitchen(json!({"volume_control": "none"})).await;
    assert_eq!(home.refused("kitchen", Action::SetVolume(percent(5))).await, Refusal::NotSupported);
    assert_eq!(home.refused("kitchen", Action::SetMute(true)).await, Refusal::NotSupported);
    assert!(home.commands().is_empty());
}

#[tokio::test]
async fn power_without_power_control_resumes_and_stops() {
    let home = Home::kitchen(json!({})).await;
    let on = home.done("kitchen", Action::SetPower(true)).await;
    assert_eq!((on.state.powered, on.state.playback), (true, Playback::Playing));
    let off = home.done("kitchen", Action::SetPower(false)).await;
    assert_eq!((off.state.powered, off.state.playback), (false, Playback::Stopped));
    assert_eq!(home.commands(), ["players/cmd/play", "players/cmd/stop"]);
}

#[tokio::test]
async fn power_with_power_control_is_real() {
    let home = Home::kitchen(json!({"power_control": "x", "powered": false})).await;
    assert!(!home.done("kitchen", Action::Read).await.state.powered);
    assert!(home.done("kitchen", Action::SetPower(true)).await.state.powered);
    assert_eq!(home.server.calls("players/cmd/power"), [json!({"player_id": "up1", "powered": true})]);
}

#[tokio::test]
async fn nothing_queued_is_nothing_to_play() {
    let home = Home::with(vec![player("up1", "Kitchen", json!({}))], vec![queue("up1", 0, json!({}))]).await;
    for transport in [Transport::Play, Transport::Next, Transport::StartOver, Transport::FastForward] {
        assert_eq!(home.refused("kitchen", Action::Transport(transport)).await, Refusal::NothingToPlay);
    }
    assert_eq!(home.refused("kitchen", Action::SetPower(true)).await, Refusal::NothingToPlay);
    assert!(home.commands().is_empty());
}

#[tokio::test]
async fn pausing_what_stops_instead_is_fine() {
    let home = Home::kitchen(json!({"playback_state": "playing"})).await;
    assert_eq!(home.done("kitchen", Action::Transport(Transport::Pause)).await.state.playback, Playback::Paused);
    home.server.update_player("up1", json!({"playback_state": "idle"}));
    assert!(home.client.ma.wait_until(PATIENCE, |d| d.player("up1").unwrap().activity == Default::default()).await);
    assert_eq!(home.done("kitchen", Action::Transport(Transport::Pause)).await.state.playback, Playback::Stopped);
}

#[tokio::test]
async fn a_pause_that_a_starting_stream_undoes_is_repeated() {
    let home = Home::kitchen(json!({"playback_state": "playing"})).await;
    home.done("kitchen", Action::Transport(Transport::FastForward)).await;
    home.done("kitchen", Action::Transport(Transport::Pause)).await;
    home.server.update_player("up1", json!({"playback_state": "paused"}));
    home.server.update_player("up1", json!({"playback_state": "playing"}));
    home.server.called("players/cmd/pause", 2).await;
    // Told to play meanwhile, it is left alone.
    home.server.update_player("up1", json!({"playback_state": "paused"}));
    home.done("kitchen", Action::Transport(Transport::Play)).await;
    home.server.update_player("up1", json!({"playback_state": "playing"}));
    home.client.ma.call("info", json!({}), PATIENCE).await.unwrap();
    assert_eq!(home.server.calls("players/cmd/pause").len(), 2);
}

#[tokio::test]
async fn a_pause_without_effect_on_a_starting_stream_is_repeated() {
    let home = Home::kitchen(json!({"playback_state": "playing"})).await;
    home.done("kitchen", Action::Transport(Transport::FastForward)).await;
    home.done("kitchen", Action::Transport(Transport::Pause)).await;
    home.server.called("players/cmd/pause", 2).await;
    home.server.update_player("up1", json!({"playback_state": "paused"}));
    assert!(home.client.ma.wait_until(PATIENCE, |d| d.player("up1").unwrap().activity != Activity::Playing).await);
}

#[tokio::test]
async fn moving_within_an_item_that_is_still_loading_is_tried_once_more() {
    let home = Home::kitchen(json!({"playback_state": "playing"})).await;
    home.server.answer("players/cmd/seek", Answer::Error(11));
    let heal = async {
        home.server.called("players/cmd/seek", 1).await;
        home.server.edit(|script| script.answers.clear());
    };
    let (_, ()) = tokio::join!(home.done("kitchen", Action::Transport(Transport::StartOver)), heal);
    assert_eq!(home.server.calls("players/cmd/seek").len(), 2);
    home.server.answer("players/cmd/next", Answer::Error(11));
    assert_eq!(home.refused("kitchen", Action::Transport(Transport::Next)).await, Refusal::MusicAssistantFailed);
    assert_eq!(home.server.calls("players/cmd/next").len(), 1, "to skip twice would be once too often");
}

#[tokio::test]
async fn a_skip_is_answered_with_the_next_item() {
    let current = |id: &str, name: &str| json!({"state": "playing", "current_item": {"queue_item_id": id, "media_item": media("track", 1, name, Some("A"))}});
    let home = Home::with(
        vec![player("up1", "Kitchen", json!({"playback_state": "playing"}))],
        vec![queue("up1", 3, current("1", "First"))],
    )
    .await;
    let skip = home.done("kitchen", Action::Transport(Transport::Next));
    let event = async {
        home.server.called("players/cmd/next", 1).await;
        home.server.event("queue_updated", "up1", queue("up1", 3, current("2", "Second")));
    };
    let (player, ()) = tokio::join!(skip, event);
    let title = player.state.now_playing.map(|item| item.title);
    assert!(matches!(title.as_deref(), Some("Second" | "First")), "{title:?}");
}

#[tokio::test]
async fn followers_are_played_through_their_leader_even_in_a_circle() {
    let home = Home::with(
        vec![
            player("a", "Kitchen", json!({"synced_to": "b"})),
            player("b", "Bath", json!({"synced_to": "a"})),
            player("c", "Den", json!({"synced_to": "d"})),
            player("d", "Hall", json!({"group_members": ["d", "c"], "playback_state": "playing"})),
        ],
        vec![queue("a", 0, json!({})), queue("b", 2, json!({})), queue("d", 2, json!({}))],
    )
    .await;
    home.server.edit(|script| script.library.insert("albums".into(), vec![media("album", 1, "Kind of Blue", None)]));
    home.done("kitchen", Action::Transport(Transport::Play)).await;
    assert_eq!(home.server.calls("players/cmd/play"), [json!({"player_id": "b"})]);
    home.done("den", Action::Transport(Transport::Pause)).await;
    assert_eq!(home.server.calls("players/cmd/pause"), [json!({"player_id": "d"})]);
    home.done("den", play("kind of blue")).await;
    assert_eq!(home.server.calls("player_queues/play_media")[0]["queue_id"], "d");
}

#[tokio::test]
async fn an_announcement_is_not_interrupted() {
    let home = Home::kitchen(json!({"extra_data": {}, "extra_attributes": {"announcement_in_progress": true}})).await;
    assert_eq!(home.refused("kitchen", Action::Transport(Transport::Next)).await, Refusal::PlayerBusy);
    assert_eq!(home.refused("kitchen", play("x")).await, Refusal::PlayerBusy);
    assert!(home.commands().is_empty());
}

#[tokio::test]
async fn each_error_has_its_own_refusal() {
    let home = Home::kitchen(json!({})).await;
    for (code, refusal) in [
        (8, Refusal::NothingToPlay),
        (9, Refusal::NotSupported),
        (10, Refusal::PlayerUnavailable("Kitchen".into())),
        (11, Refusal::MusicAssistantFailed),
        (12, Refusal::NotSupported),
        (22, Refusal::MusicAssistantRefusesToken),
        (23, Refusal::MusicAssistantRefusesToken),
        (24, Refusal::Busy),
        (999, Refusal::MusicAssistantFailed),
        (4711, Refusal::MusicAssistantFailed),
    ] {
        home.server.answer("players/cmd/pause", Answer::Error(code));
        assert_eq!(home.refused("kitchen", Action::Transport(Transport::Pause)).await, refusal, "{code}");
    }
}

#[tokio::test]
async fn what_was_told_and_not_answered_is_neither_done_nor_failed() {
    let home = Home::kitchen(json!({"playback_state": "playing"})).await;
    library(&home);
    let short = Duration::from_millis(200);
    let on = |action| {
        let target = Target::Named("kitchen".into());
        home.executor.execute(Command::OnPlayer { target, action, device: None }, short)
    };
    for command in ["players/cmd/pause", "players/cmd/volume_set", "players/cmd/seek", "player_queues/play_media"] {
        home.server.answer(command, Answer::Silence);
    }
    for action in [
        Action::Transport(Transport::Pause),
        Action::Transport(Transport::StartOver),
        Action::SetVolume(percent(30)),
        Action::SetMute(true),
        play_with("jazz mix", None, None, Placement::Add),
    ] {
        assert_eq!(on(action.clone()).await, Reply::Refused(Refusal::OutcomeUnknown), "{action:?}");
    }
    assert_eq!(home.server.calls("players/cmd/seek").len(), 1, "not told twice");
    home.server.answer("players/cmd/next", Answer::Close);
    assert_eq!(on(Action::Transport(Transport::Next)).await, Reply::Refused(Refusal::OutcomeUnknown));
}

#[tokio::test]
async fn a_search_that_takes_too_long_has_done_nothing_and_says_so() {
    let home = Home::kitchen(json!({})).await;
    for list in ["artists", "albums", "tracks", "playlists", "radios"] {
        home.server.answer(&format!("music/{list}/library_items"), Answer::Silence);
    }
    let target = Target::Named("kitchen".into());
    let command = Command::OnPlayer { target, action: play("kind of blue"), device: None };
    let reply = home.executor.execute(command, Duration::from_millis(200)).await;
    assert_eq!(reply, Reply::Refused(Refusal::Late));
    assert!(home.commands().is_empty());
}

fn library(home: &Home) {
    home.server.edit(|script| {
        script.library = [
            (
                "artists",
                vec![media("artist", 3, "Miles Ahead Quartet", None), media("artist", 4, "The Test Tones", None)],
            ),
            ("albums", vec![media("album", 1, "Kind of Blue", Some("Miles Ahead Quartet"))]),
            (
                "tracks",
                vec![
                    media("track", 7, "Blue in Beige", Some("Miles Ahead Quartet")),
                    media("track", 11, "Blue Monday Morning", Some("The Test Tones")),
                    media("track", 12, "Kitchen Light", Some("The Test Tones")),
                ],
            ),
            ("playlists", vec![media("playlist", 10, "Jazz Mix", None)]),
        ]
        .into_iter()
        .map(|(list, items)| (list.to_owned(), items))
        .collect();
    });
}

#[tokio::test]
async fn what_is_asked_for_is_found_and_played() {
    let home = Home::kitchen(json!({})).await;
    library(&home);
    for (text, artist, kind, uri) in [
        ("kind of blue", None, None, "library://album/1"),
        ("blue monday morning by the test tones", None, None, "library://track/11"),
        ("blue monday morning", Some("test tones"), Some(MediaKind::Track), "library://track/11"),
        ("kitchen lights", None, None, "library://track/12"),
        ("jazz mix", None, Some(MediaKind::Playlist), "library://playlist/10"),
        ("blue beige miles", None, None, "library://track/7"),
        ("music", Some("the test tones"), None, "library://artist/4"),
    ] {
        let reply = home.on("kitchen", play_with(text, artist, kind, Placement::Replace)).await;
        let Reply::Done { player, found: Some(Item { .. }), .. } = reply else { panic!("{text}: {reply:?}") };
        assert_eq!(player.state.playback, Playback::Playing);
        let last = home.server.calls("player_queues/play_media").pop().unwrap();
        assert_eq!(last, json!({"queue_id": "up1", "media": uri, "option": "replace"}), "{text}");
    }
}

#[tokio::test]
async fn what_plays_is_stopped_before_it_is_replaced_and_only_then() {
    let home = Home::kitchen(json!({"playback_state": "playing"})).await;
    library(&home);
    assert_eq!(home.refused("kitchen", play("zzzz nothing")).await, Refusal::MediaNotFoundYet, "the library is unread");
    assert!(home.commands().is_empty(), "the music goes on");
    home.done("kitchen", play_with("jazz mix", None, None, Placement::Add)).await;
    home.done("kitchen", play("jazz mix")).await;
    assert_eq!(home.commands(), ["player_queues/play_media", "players/cmd/stop", "player_queues/play_media"]);
}

#[tokio::test]
async fn what_is_not_found_leaves_the_queue_alone() {
    let home = Home::kitchen(json!({})).await;
    library(&home);
    for (text, refusal) in
        [("zzzz nothing", Refusal::MediaNotFoundYet), ("", Refusal::MediaNotFound), ("!!!", Refusal::MediaNotFound)]
    {
        assert_eq!(home.refused("kitchen", play(text)).await, refusal, "{text:?}");
    }
    // The general search remembers something that was removed since: it is looked at once more.
    let gone = json!({"tracks": [media("track", 99, "Gone Song", None)], "radio": [], "new_kind": null});
    home.server.answer("music/search", Answer::Result(gone));
    assert_eq!(home.refused("kitchen", play("gone song")).await, Refusal::MediaNotFoundYet);
    assert!(home.server.calls("player_queues/play_media").is_empty());
    assert!(
        home.server.calls("music/search").iter().all(|args| args["search_query"] != ""),
        "an empty query finds everything"
    );
}

#[tokio::test]
async fn what_the_home_does_not_own_is_found_elsewhere() {
    let home = Home::kitchen(json!({})).await;
    library(&home);
    let mut found = media("album", 5, "Thriller", Some("Michael Jackson"));
    found["uri"] = json!("stream://album/5");
    home.server.answer("music/search", Answer::Result(json!({"albums": [found.clone()]})));
    home.server.answer("music/item_by_uri", Answer::Result(found));
    home.done("kitchen", play_with("thriller", Some("michael jackson"), None, Placement::Add)).await;
    let last = home.server.calls("player_queues/play_media").pop().unwrap();
    assert_eq!(last, json!({"queue_id": "up1", "media": "stream://album/5", "option": "add"}));
}

#[tokio::test]
async fn a_slow_search_delays_nothing_else() {
    let home = Home::kitchen(json!({"playback_state": "playing"})).await;
    for list in ["artists", "albums", "tracks", "playlists", "radios"] {
        home.server.answer(&format!("music/{list}/library_items"), Answer::Silence);
    }
    let searches = futures_util::future::join_all((0..4).map(|_| home.on("kitchen", play("kind of blue"))));
    let pause = async {
        home.server.called("music/albums/library_items", 4).await;
        assert_eq!(home.refused("kitchen", play("more")).await, Refusal::Busy, "searches are bounded");
        home.done("kitchen", Action::Transport(Transport::Pause)).await
    };
    tokio::pin!(searches);
    tokio::select! {
        biased;
        player = pause => assert_eq!(player.state.playback, Playback::Paused),
        replies = &mut searches => panic!("the searches ended first: {replies:?}"),
    }
}

#[tokio::test]
async fn names_choose_players() {
    let home = Home::with(
        vec![
            player("a", "Living Room", json!({})),
            player("b", "Living Room", json!({})),
            player("c", "Kitchen", json!({})),
            player("d", "Attic", json!({"available": false})),
            player("e", "Attic", json!({})),
        ],
        vec![],
    )
    .await;
    assert_eq!(home.done("the kitchen", Action::Read).await.name, "Kitchen");
    let both = Refusal::WhichPlayer(vec!["Living Room".into(), "Living Room".into()]);
    assert_eq!(home.refused("living room", Action::Read).await, both);
    assert!(home.done("attic", Action::Read).await.state.available, "the one that is there");
    let Refusal::NoPlayerNamed(names) = home.refused("garage", Action::Read).await else { panic!() };
    assert_eq!(names.len(), 5);
}

#[tokio::test]
async fn unnamed_means_the_one_that_plays_or_played() {
    let home = Home::with(
        vec![player("a", "Bath", json!({})), player("b", "Kitchen", json!({})), player("c", "Den", json!({}))],
        vec![],
    )
    .await;
    let read = || async {
        let command = Command::OnPlayer { target: Target::Unnamed, action: Action::Read, device: None };
        home.executor.execute(command, AMPLE).await
    };
    assert!(matches!(read().await, Reply::Refused(Refusal::WhichPlayer(names)) if names.len() == 3));
    for (id, state) in [("b", "playing"), ("c", "playing")] {
        home.server.update_player(id, json!({"playback_state": state}));
    }
    let plays = |id: &'static str| {
        move |d: &macloud_connector::music_assistant::directory::Directory| {
            d.player(id).unwrap().activity == Activity::Playing
        }
    };
    assert!(home.client.ma.wait_until(PATIENCE, plays("c")).await);
    assert!(matches!(read().await, Reply::Refused(Refusal::WhichPlayer(names)) if names == ["Kitchen", "Den"]));
    for id in ["c", "b"] {
        home.server.update_player(id, json!({"playback_state": "idle"}));
    }
    assert!(home.client.ma.wait_until(PATIENCE, |d| !plays("b")(d)).await);
    assert!(matches!(read().await, Reply::Done { player, .. } if player.name == "Den"));
}

#[tokio::test]
async fn while_music_assistant_is_away_the_last_list_is_given() {
    let server = Scripted::start().await;
    let mut settings = server.settings();
    settings.timing.first_retry = Duration::from_secs(3600);
    let client = server.client_with(settings);
    client.ready().await;
    let executor = Executor::new(client.ma.clone(), HouseRules::none());
    let before = Instant::now();
    server.cut();
    client.condition(|condition| !condition.is_ready()).await;
    let noticed = Instant::now();
    let Reply::Players { players, .. } = executor.execute(Command::ListPlayers, AMPLE).await else { panic!() };
    assert_eq!((players.len(), players[0].state.available), (1, false));
    let command = Command::OnPlayer { target: Target::Unnamed, action: Action::Read, device: None };
    let least = noticed.elapsed();
    let Reply::Refused(Refusal::MusicAssistantAway(Some(away))) = executor.execute(command, AMPLE).await else {
        panic!()
    };
    assert!((least..=before.elapsed()).contains(&away), "since it was cut: {away:?}");
}

#[tokio::test]
async fn before_anything_is_known_nothing_is_listed_as_empty() {
    let server = Scripted::start_with(vec![], vec![]).await;
    server.edit(|script| script.hello["status"] = json!("starting"));
    let mut settings = server.settings();
    settings.timing.grace = Duration::from_secs(3600);
    let client = server.client_with(settings);
    let executor = Executor::new(client.ma.clone(), HouseRules::none());
    let list = || executor.execute(Command::ListPlayers, AMPLE);
    assert_eq!(list().await, Reply::Refused(Refusal::MusicAssistantStarting));
    server.edit(|script| script.hello["status"] = json!("running"));
    client.ready().await;
    assert_eq!(list().await, Reply::Refused(Refusal::MusicAssistantStarting), "an empty list does not count yet");
}

#[tokio::test]
async fn a_player_not_back_yet_after_a_restart_is_starting() {
    let server = Scripted::start_with(vec![player("up1", "Kitchen", json!({"available": false}))], vec![]).await;
    let mut settings = server.settings();
    settings.timing.grace = Duration::from_secs(3600);
    let client = server.client_with(settings);
    client.ready().await;
    let executor = Executor::new(client.ma.clone(), HouseRules::none());
    let command = Command::OnPlayer { target: Target::Unnamed, action: Action::Read, device: None };
    assert_eq!(executor.execute(command, AMPLE).await, Reply::Refused(Refusal::NoPlayerNamed(vec![])));
    let pause = Action::Transport(Transport::Pause);
    let command = Command::OnPlayer { target: Target::Named("kitchen".into()), action: pause, device: None };
    assert_eq!(executor.execute(command, AMPLE).await, Reply::Refused(Refusal::MusicAssistantStarting));
}

#[tokio::test]
async fn what_is_late_is_not_begun() {
    let home = Home::kitchen(json!({})).await;
    let action = Action::Transport(Transport::Play);
    let command = Command::OnPlayer { target: Target::Named("kitchen".into()), action, device: None };
    assert_eq!(home.executor.execute(command, Duration::ZERO).await, Reply::Refused(Refusal::Late));
    assert!(home.commands().is_empty());
}

#[tokio::test]
async fn a_hidden_player_does_not_exist() {
    let home = Home::ruled(json!({"players": {"up1": {"hidden": true}}})).await;
    let Reply::Players { players, .. } = home.executor.execute(Command::ListPlayers, AMPLE).await else { panic!() };
    assert_eq!(players.iter().map(|player| player.name.as_str()).collect::<Vec<_>>(), ["Bath"]);
    assert_eq!(home.refused("kitchen", Action::Read).await, Refusal::NoPlayerNamed(vec!["Bath".into()]));
    let key = {
        let directory = home.client.ma.directory();
        directory.key_of(directory.player("up1").unwrap()).unwrap()
    };
    for action in [Action::Read, Action::Transport(Transport::Pause)] {
        let command = Command::OnPlayer { target: Target::Key(key.clone()), action, device: None };
        assert_eq!(home.executor.execute(command, AMPLE).await, Reply::Refused(Refusal::UnknownPlayer));
    }
    let unnamed = Command::OnPlayer { target: Target::Unnamed, action: Action::Read, device: None };
    let Reply::Done { player, .. } = home.executor.execute(unnamed, AMPLE).await else { panic!() };
    assert_eq!(player.name, "Bath", "though the other one plays");
    assert!(home.commands().is_empty());
}

#[tokio::test]
async fn no_player_is_made_louder_than_its_owner_allows() {
    let home = Home::ruled(json!({"players": {"up1": {"max_volume": 60}}})).await;
    let limited = Refusal::VolumeLimited(percent(60));
    assert_eq!(home.refused("kitchen", Action::SetVolume(percent(61))).await, limited);
    assert!(home.commands().is_empty());
    assert_eq!(home.done("kitchen", Action::AdjustVolume(50)).await.state.volume, Some(percent(60)));
    assert_eq!(home.refused("kitchen", Action::AdjustVolume(1)).await, limited);
    assert_eq!(home.done("kitchen", Action::AdjustVolume(-20)).await.state.volume, Some(percent(40)));
    assert_eq!(home.done("bath", Action::SetVolume(percent(100))).await.state.volume, Some(percent(100)));
    let levels: Vec<Value> =
        home.server.calls("players/cmd/volume_set").iter().map(|args| args["volume_level"].clone()).collect();
    assert_eq!(levels, [60, 40, 100]);
}

/// A kitchen that may go to 40, a living room, and a group of both that names these members.
async fn grouped(kitchen: u8, living: u8, group: Value) -> Home {
    let average = (kitchen + living) / 2;
    let mut house = json!({"type": "group", "volume_control": "none", "volume_level": null, "group_volume": average});
    house.as_object_mut().unwrap().extend(group.as_object().unwrap().clone());
    let mut home = Home::with(
        vec![
            player("up1", "Kitchen", json!({"volume_level": kitchen})),
            player("up2", "Living Room", json!({"volume_level": living})),
            player("g", "House", house),
        ],
        vec![],
    )
    .await;
    let rules = serde_json::from_value(json!({"players": {"up1": {"max_volume": 40}}})).unwrap();
    home.executor = Executor::new(home.client.ma.clone(), HouseRules::new(rules, ManualClock::at(0), Zone::UTC));
    home
}

fn limited(level: u8) -> Refusal {
    Refusal::VolumeLimited(percent(level))
}

#[tokio::test]
async fn no_player_is_made_louder_through_an_idle_group() {
    let never_seen = grouped(20, 20, json!({"group_members": []})).await;
    assert_eq!(never_seen.refused("house", Action::SetVolume(percent(100))).await, limited(40));
    assert!(never_seen.commands().is_empty());
    assert_eq!(never_seen.done("house", Action::AdjustVolume(100)).await.state.volume, Some(percent(40)));
    assert_eq!(never_seen.server.calls("players/cmd/group_volume"), [json!({"player_id": "g", "volume_level": 40})]);

    let seen = grouped(30, 50, json!({"group_members": ["up1", "up2"]})).await;
    seen.server.update_player("g", json!({"group_members": []}));
    assert!(seen.client.ma.wait_until(PATIENCE, |d| d.player("g").unwrap().members.is_empty()).await);
    assert_eq!(seen.refused("house", Action::SetVolume(percent(51))).await, limited(50));
    assert!(seen.commands().is_empty());
    assert_eq!(seen.done("house", Action::SetVolume(percent(50))).await.state.volume, Some(percent(50)));
}

#[tokio::test]
async fn no_member_is_made_louder_than_allowed_by_the_average_of_its_group() {
    let home = grouped(40, 0, json!({"group_members": ["up1", "up2"]})).await;
    assert_eq!(home.refused("house", Action::SetVolume(percent(40))).await, limited(20));
    assert_eq!(home.refused("house", Action::AdjustVolume(1)).await, limited(20));
    assert!(home.commands().is_empty());
    assert_eq!(home.done("house", Action::AdjustVolume(-10)).await.state.volume, Some(percent(10)));
    let quieter = grouped(10, 50, json!({"group_members": ["up1", "up2"]})).await;
    assert_eq!(quieter.done("house", Action::AdjustVolume(60)).await.state.volume, Some(percent(60)));
}

#[tokio::test]
async fn no_member_is_made_louder_by_a_group_with_its_own_volume() {
    let own = json!({"group_members": ["up1", "up2"], "volume_control": "g", "volume_level": 25});
    let home = grouped(10, 40, own).await;
    assert_eq!(home.refused("house", Action::SetVolume(percent(41))).await, limited(40));
    assert!(home.commands().is_empty());
    assert_eq!(home.done("house", Action::AdjustVolume(50)).await.state.volume, Some(percent(40)));
    assert_eq!(home.refused("house", Action::AdjustVolume(1)).await, limited(40));
    assert_eq!(home.server.calls("players/cmd/volume_set"), [json!({"player_id": "g", "volume_level": 40})]);
}

pub fn quiet_until_seven() -> Refusal {
    Refusal::QuietHours(MinuteOfDay::new(7 * 60))
}

#[tokio::test]
async fn in_quiet_hours_nothing_is_started_or_turned_up() {
    let home = Home::ruled(json!({"quiet_hours": {"from": "21:30", "to": "07:00"}})).await;
    library(&home);
    for (player, action) in [
        ("bath", play("jazz mix")),
        ("kitchen", play("jazz mix")),
        ("bath", Action::Transport(Transport::Play)),
        ("bath", Action::Transport(Transport::Next)),
        ("bath", Action::SetPower(true)),
        ("kitchen", Action::SetVolume(percent(41))),
        ("kitchen", Action::AdjustVolume(1)),
        ("kitchen", Action::SetMute(false)),
    ] {
        assert_eq!(home.refused(player, action.clone()).await, quiet_until_seven(), "{action:?}");
    }
    assert!(home.commands().is_empty(), "{:?}", home.commands());
    for action in [
        Action::Read,
        Action::SetVolume(percent(39)),
        Action::AdjustVolume(-5),
        Action::Transport(Transport::Next),
        play_with("jazz mix", None, None, Placement::Add),
        Action::Transport(Transport::Pause),
        Action::SetPower(false),
    ] {
        home.done("kitchen", action).await;
    }
    let day = Home::ruled(json!({"quiet_hours": {"from": "21:31", "to": "07:00"}})).await;
    day.done("bath", Action::Transport(Transport::Play)).await;
}
