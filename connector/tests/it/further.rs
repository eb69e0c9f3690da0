//! Seeking, autoplay, sleep timers, favourites, music that moves, players that play together, and what devices learn.

use std::time::Duration;

use macloud_connector::execute::Executor;
use macloud_connector::memory::Memory;
use macloud_connector::music_assistant::directory::Directory;
use macloud_connector::music_assistant::model::Activity;
use macloud_connector::rules::local_time::Zone;
use macloud_connector::rules::{HouseRules, Rules};
use macloud_connector::state::StateDir;
use macloud_e2ee::vocabulary::{
    Action, Command, DeviceKey, MediaKind, Percent, Playback, Player, PlayerState, Preset, Refusal, Reply, Target,
    Transport,
};
use macloud_proto::ids::PresetKey;
use macloud_service_kit::clock::{Clock as _, ManualClock, SystemClock};
use macloud_service_kit::stop::Stop;
use macloud_simulated_home::{HomeConfig, Playback as Heard, Quirks, Timing};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::execution::{Home, percent, quiet_until_seven};
use crate::music_assistant::tempdir;
use crate::scripted::{Answer, PATIENCE, player, queue};
use crate::simulated::{Simulated, count, play};

const AMPLE: Duration = Duration::from_secs(8);
const SOFA: DeviceKey = DeviceKey::from_bytes([1; 16]);
const BED: DeviceKey = DeviceKey::from_bytes([2; 16]);

/// A queue that plays an item of `seconds`, 30 of which have been heard.
fn playing_queue(id: &str, seconds: Value) -> Value {
    let now = SystemClock.unix_millis() as f64 / 1000.0;
    let item = json!({"queue_item_id": "x", "duration": seconds, "media_item":
        {"uri": "library://track/1", "name": "So What", "media_type": "track"}});
    queue(
        id,
        3,
        json!({"state": "playing", "elapsed_time": 30.0, "elapsed_time_last_updated": now, "current_item": item}),
    )
}

async fn kitchen_with(queue: Value) -> Home {
    Home::with(vec![player("up1", "Kitchen", json!({"playback_state": "playing"}))], vec![queue]).await
}

/// As said to `device`.
async fn said(home: &Home, device: DeviceKey, target: Target, action: Action) -> Reply {
    home.executor.execute(Command::OnPlayer { target, action, device: Some(device) }, AMPLE).await
}

fn named(name: &str) -> Target {
    Target::Named(name.into())
}

/// The name of the player it was done on, and whether that was learned.
fn done_on(reply: Reply) -> (String, bool) {
    match reply {
        Reply::Done { player, learned, .. } => (player.name, learned),
        other => panic!("{other:?}"),
    }
}

const PAUSE: Action = Action::Transport(Transport::Pause);

#[tokio::test]
async fn seeking_stays_within_what_plays() {
    let home = kitchen_with(playing_queue("up1", json!(200))).await;
    let told = home.done("kitchen", Action::Read).await;
    assert!(told.can.seek && (29..40).contains(&told.state.position.unwrap()), "{:?}", told.state.position);
    assert_eq!(home.done("kitchen", Action::SeekTo(60)).await.state.position, Some(60));
    assert_eq!(home.done("kitchen", Action::SeekTo(5_000)).await.state.position, Some(199));
    home.done("kitchen", Action::SeekBy(-10)).await;
    home.done("kitchen", Action::SeekBy(i32::MIN)).await;
    home.done("kitchen", Action::SeekBy(10_000)).await;
    let at = |position: u32| json!({"queue_id": "up1", "position": position});
    assert_eq!(home.server.calls("player_queues/seek"), [at(60), at(199), at(0), at(199)]);
    assert_eq!(home.server.calls("player_queues/skip"), [json!({"queue_id": "up1", "seconds": -10})]);
}

#[tokio::test]
async fn what_has_no_end_or_is_not_there_is_not_sought_in() {
    let radio = kitchen_with(playing_queue("up1", Value::Null)).await;
    assert_eq!(radio.refused("kitchen", Action::SeekTo(60)).await, Refusal::NotSupported);
    assert_eq!(radio.refused("kitchen", Action::SeekBy(-10)).await, Refusal::NotSupported);
    assert_eq!(radio.done("kitchen", Action::Read).await.state.playback, Playback::Playing);
    let empty = kitchen_with(queue("up1", 0, json!({}))).await;
    assert_eq!(empty.refused("kitchen", Action::SeekTo(60)).await, Refusal::NothingToPlay);
    for home in [radio, empty] {
        assert!(
            home.server.calls("player_queues/seek").is_empty() && home.server.calls("player_queues/skip").is_empty()
        );
    }
}

#[tokio::test]
async fn autoplay_is_set_by_the_name_that_the_server_has_for_it() {
    for (field, command) in [
        ("dont_stop_the_music_enabled", "player_queues/dont_stop_the_music"),
        ("autoplay_enabled", "player_queues/autoplay"),
    ] {
        let mut queue = playing_queue("up1", json!(200));
        queue[field] = json!(false);
        let home = kitchen_with(queue).await;
        let told = home.done("kitchen", Action::Read).await;
        assert_eq!((told.can.autoplay, told.state.autoplay), (true, Some(false)));
        assert_eq!(home.done("kitchen", Action::SetAutoplay(true)).await.state.autoplay, Some(true));
        let mut sent = json!({"queue_id": "up1"});
        sent[field] = json!(true);
        assert_eq!(home.server.calls(command), [sent]);
        home.server.answer(command, Answer::Error(9));
        assert_eq!(home.refused("kitchen", Action::SetAutoplay(true)).await, Refusal::NotSupported);
    }
    let without = kitchen_with(playing_queue("up1", json!(200))).await;
    assert!(!without.done("kitchen", Action::Read).await.can.autoplay);
    assert_eq!(without.refused("kitchen", Action::SetAutoplay(true)).await, Refusal::NotSupported);
}

#[tokio::test]
async fn a_sleep_timer_stops_the_player_and_outlives_a_restart() {
    let state = StateDir::open(tempdir("timers")).unwrap();
    let mut home = kitchen_with(playing_queue("up1", json!(200))).await;
    let clock = ManualClock::at(1_795_000_000);
    let house = HouseRules::new(Rules::default(), clock.clone(), Zone::UTC);
    let restarted =
        |home: &Home| Executor::with_memory(home.client.ma.clone(), house.clone(), Memory::open(state.clone()));
    home.executor = restarted(&home);
    let left = async |home: &Home| home.done("kitchen", Action::Read).await.state.sleep_timer;
    let stop = Stop::new();
    assert_eq!(home.done("kitchen", Action::SetSleepTimer(Some(20))).await.state.sleep_timer, Some(20));
    clock.advance(Duration::from_secs(61));
    assert_eq!(left(&home).await, Some(19));
    assert_eq!(state.timers().unwrap()[0].name, "Kitchen");
    assert_eq!(home.done("kitchen", Action::SetSleepTimer(None)).await.state.sleep_timer, None);
    assert!(state.timers().unwrap().is_empty());

    home.done("kitchen", Action::SetSleepTimer(Some(1))).await;
    home.executor = restarted(&home);
    assert_eq!(left(&home).await, Some(1), "known after a restart");
    clock.advance(Duration::from_secs(60));
    tokio::select! {
        () = home.executor.keep_timers(&stop, || false) => panic!("it ended"),
        () = home.server.called("players/cmd/stop", 1) => {}
    }
    assert_eq!(home.server.calls("players/cmd/stop"), [json!({"player_id": "up1"})]);

    // "Stop now", and a timer that ended long ago, stop nothing.
    for (overdue, is_stopped) in [(60, true), (3_600, false)] {
        home.executor = restarted(&home);
        home.done("kitchen", Action::SetSleepTimer(Some(1))).await;
        clock.advance(Duration::from_secs(overdue));
        let gone = async {
            while left(&home).await.is_some() {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            () = home.executor.keep_timers(&stop, || is_stopped) => panic!("it ended"),
            () = gone => {}
        }
        assert_eq!(home.server.calls("players/cmd/stop").len(), 1);
    }
    std::fs::remove_dir_all(state.path()).unwrap();
}

fn titled(preset: &Preset) -> (&str, MediaKind) {
    (preset.name.as_str(), preset.kind)
}

async fn presets(home: &Executor) -> Vec<Preset> {
    match home.execute(Command::ListPlayers, AMPLE).await {
        Reply::Players { presets, .. } => presets,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn favourites_are_listed_and_played_by_their_keys() {
    let simulated = Simulated::start().await;
    let favourites = presets(&simulated.executor).await;
    let [jazz, radio] = &favourites[..] else { panic!("{favourites:?}") };
    assert_eq!(
        [titled(jazz), titled(radio)],
        [("Dinner Jazz", MediaKind::Playlist), ("Radio Paradise", MediaKind::Radio)]
    );
    let is = |home: &macloud_simulated_home::HomeState, title: &str| {
        let kitchen = home.named("Kitchen").unwrap();
        kitchen.state == Heard::Playing && kitchen.now_playing.as_ref().is_some_and(|now| now.title == title)
    };
    let on = async |key: &PresetKey| simulated.on("kitchen", Action::PlayPreset(key.clone())).await;
    let Reply::Done { player, found, .. } = on(&radio.key).await else { panic!() };
    assert_eq!(found.map(|found| found.title).as_deref(), Some("Radio Paradise"));
    assert_eq!(player.state.preset, Some(radio.key.clone()));
    simulated.truly("the station", |home| is(home, "Radio Paradise")).await;
    let preset = async || match simulated.on("kitchen", Action::Read).await {
        Reply::Done { player, .. } => player.state.preset,
        other => panic!("{other:?}"),
    };
    let plays = |d: &Directory| {
        d.exposed()
            .any(|p| p.activity == Activity::Playing && d.queue(&p.id).is_some_and(|queue| queue.current.is_some()))
    };
    assert!(simulated.ma.wait_until(PATIENCE, plays).await);
    assert_eq!(preset().await, Some(radio.key.clone()));
    assert_eq!(simulated.on("kitchen", Action::SeekBy(10)).await, Reply::Refused(Refusal::NotSupported));
    assert!(matches!(on(&jazz.key).await, Reply::Done { .. }));
    simulated.truly("the playlist", |home| home.named("Kitchen").unwrap().queue.length > 1).await;
    simulated.done("kitchen", play("homogenic", None, None)).await;
    simulated.truly("an album", |home| is(home, "Hunter")).await;
    assert_eq!(preset().await, None, "something else");
    assert_eq!(on(&PresetKey::from_bytes(&[9; 15])).await, Reply::Refused(Refusal::UnknownPreset));
    simulated.truly("the album still", |home| is(home, "Hunter")).await;
    // What was played lately is there as well, where there is room; and what is a favourite now.
    let late = "Late Night";
    let tracks = vec![macloud_simulated_home::TrackName::from("Miles Davis - Blue in Green")];
    simulated.home.add_playlist(late, &tracks).unwrap();
    simulated.done("kitchen", play(late, None, Some(MediaKind::Playlist))).await;
    let args = json!({"item": "library://playlist/2"});
    simulated.ma.call("music/favorites/add_item", args, AMPLE).await.unwrap();
    let listed = async {
        while !presets(&simulated.executor).await.iter().any(|preset| preset.name == late) {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, listed).await.unwrap();
}

#[tokio::test]
async fn a_key_finds_its_favourite_under_another_id() {
    let home = kitchen_with(playing_queue("up1", json!(200))).await;
    let station = |uri: &str, name: &str| json!({"uri": uri, "name": name, "media_type": "radio"});
    let listed = |item: Value| home.server.edit(|script| script.library.insert("radios".into(), vec![item]));
    listed(station("library://radio/7", "Jazz  FM"));
    let key = presets(&home.executor).await.remove(0).key;
    listed(station("library://radio/8", "Jazz FM"));
    home.server.answer("music/item_by_uri", Answer::Result(station("library://radio/8", "jazz fm")));
    home.done("kitchen", Action::PlayPreset(key.clone())).await;
    let media = |args: &Value| args["media"].clone();
    assert_eq!(
        home.server.calls("player_queues/play_media").iter().map(media).collect::<Vec<_>>(),
        ["library://radio/8"]
    );
    // "Replace" would empty the queue before it fails.
    home.server.answer("music/item_by_uri", Answer::Error(2));
    assert_eq!(home.refused("kitchen", Action::PlayPreset(key.clone())).await, Refusal::UnknownPreset);
    home.server.answer("music/item_by_uri", Answer::Result(station("library://radio/8", "Talk FM")));
    assert_eq!(home.refused("kitchen", Action::PlayPreset(key)).await, Refusal::UnknownPreset);
    assert_eq!(home.server.calls("player_queues/play_media").len(), 1);
}

async fn with_similar(similar_tracks: bool, schema_version: u32) -> Simulated {
    let quirks = Quirks { similar_tracks, ..Quirks::default() };
    let config = HomeConfig { quirks, schema_version, timing: Timing::fast(), ..HomeConfig::default() };
    let simulated = Simulated::start_with(config, crate::scripted::quick()).await;
    simulated.done("kitchen", play("so what", Some("miles davis"), Some(MediaKind::Track))).await;
    simulated.truly("playing", |home| home.named("Kitchen").unwrap().state == Heard::Playing).await;
    let told = |d: &Directory| {
        d.exposed().any(|p| p.activity == Activity::Playing)
            && d.exposed().any(|p| d.queue(&p.id).is_some_and(|queue| queue.media.is_some()))
    };
    assert!(simulated.ma.wait_until(PATIENCE, told).await);
    simulated
}

#[tokio::test]
async fn similar_music_goes_on_from_what_plays_where_somebody_can_be_asked() {
    let alone = with_similar(false, 29).await;
    assert_eq!(alone.on("kitchen", Action::PlaySimilar).await, Reply::Refused(Refusal::NotSupported));
    let home = alone.home.state();
    assert_eq!((home.named("Kitchen").unwrap().state, count(&home, "player_queues/play_media")), (Heard::Playing, 1));
    assert_eq!(alone.on("bedroom", Action::PlaySimilar).await, Reply::Refused(Refusal::NothingPlays));
    for schema in [29, 34] {
        let simulated = with_similar(true, schema).await;
        let Reply::Done { found, .. } = simulated.on("kitchen", Action::PlaySimilar).await else { panic!("{schema}") };
        assert_eq!(found.map(|found| found.title).as_deref(), Some("So What"));
        simulated.truly("like it", |home| home.named("Kitchen").unwrap().queue.length > 3).await;
    }
}

#[tokio::test]
async fn what_plays_becomes_a_favourite() {
    let simulated = with_similar(false, 29).await;
    let Reply::Done { found, .. } = simulated.on("kitchen", Action::SaveCurrent).await else { panic!() };
    assert_eq!(found.map(|found| found.title).as_deref(), Some("So What"));
    let liked = json!({"favorite": true, "limit": 100, "search": "so what"});
    let liked = simulated.ma.call("music/tracks/library_items", liked, AMPLE).await.unwrap();
    assert_eq!(liked.as_array().unwrap().len(), 1);
    assert_eq!(simulated.on("bedroom", Action::SaveCurrent).await, Reply::Refused(Refusal::NothingPlays));

    // A server that has no such command, or cannot tell what a station plays.
    for code in [12, 11] {
        let home = kitchen_with(playing_queue("up1", json!(200))).await;
        home.server.answer("players/add_currently_playing_to_favorites", Answer::Error(code));
        home.done("kitchen", Action::SaveCurrent).await;
        assert_eq!(home.server.calls("music/favorites/add_item"), [json!({"item": "library://track/1"})]);
        home.server.answer("music/favorites/add_item", Answer::Error(2));
        assert_eq!(home.refused("kitchen", Action::SaveCurrent).await, Refusal::MediaNotFound);
    }
}

fn other_of(reply: Reply) -> (Player, Player) {
    match reply {
        Reply::Done { player, other: Some(other), .. } => (player, other),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn music_goes_on_elsewhere() {
    let simulated = with_similar(false, 29).await;
    simulated.done("kitchen", Action::SetSleepTimer(Some(30))).await;
    let (kitchen, bedroom) = other_of(simulated.on("kitchen", Action::MoveTo(named("bedroom"))).await);
    assert_eq!((kitchen.state.playback, bedroom.state.playback), (Playback::Stopped, Playback::Playing));
    assert_eq!(bedroom.state.now_playing.unwrap().title, "So What");
    assert_eq!((kitchen.state.sleep_timer, bedroom.state.sleep_timer), (None, Some(30)), "it goes with the music");
    simulated
        .truly("moved", |home| {
            let bedroom = home.named("Bedroom").unwrap();
            bedroom.state == Heard::Playing
                && bedroom.now_playing.as_ref().is_some_and(|now| now.title == "So What")
                && home.named("Kitchen").unwrap().state == Heard::Idle
        })
        .await;
    let quiet = |d: &Directory| d.exposed().filter(|p| p.activity == Activity::Playing).count() == 1;
    assert!(simulated.ma.wait_until(PATIENCE, quiet).await);
    assert_eq!(
        simulated.on("kitchen", Action::MoveTo(named("living room"))).await,
        Reply::Refused(Refusal::NothingPlays)
    );
}

#[tokio::test]
async fn who_joins_waits_until_the_one_before_is_heard() {
    let players = vec![
        player("up1", "Kitchen", json!({"playback_state": "playing", "can_group_with": ["up2", "up3"]})),
        player("up2", "Bath", json!({"can_group_with": ["up1"]})),
        player("up3", "Attic", json!({"can_group_with": ["up1"]})),
    ];
    let home = Home::with(players, vec![playing_queue("up1", json!(200))]).await;
    let joins = |id: &'static str, name: &'static str| {
        let home = &home;
        async move {
            home.on(name, Action::JoinTo(named("kitchen"))).await;
            id
        }
    };
    let both = async { tokio::join!(joins("up2", "bath"), joins("up3", "attic")) };
    let restarts = async {
        home.server.called("players/cmd/group", 1).await;
        home.server.update_player("up1", json!({"playback_state": "paused", "group_members": ["up1", "up2"]}));
        let second = home.server.called("players/cmd/group", 2);
        assert!(timeout(Duration::from_secs(1), second).await.is_err(), "the first is not heard yet");
        home.server.update_player("up1", json!({"playback_state": "playing"}));
        home.server.called("players/cmd/group", 2).await;
        home.server.update_player("up1", json!({"group_members": ["up1", "up2", "up3"]}));
    };
    tokio::join!(both, restarts);
}

#[tokio::test]
async fn music_of_a_group_goes_on_at_one_of_its_members() {
    let house = json!({"type": "group", "volume_control": "none", "playback_state": "playing", "group_members": ["up1", "up2"]});
    let plays_along = json!({"playback_state": "playing", "active_source": "g", "active_group": "g"});
    let players = vec![
        player("up1", "Kitchen", plays_along.clone()),
        player("up2", "Bath", plays_along),
        player("g", "House", house),
    ];
    let home = Home::with(players, vec![playing_queue("g", json!(200)), queue("up2", 0, json!({}))]).await;
    home.done("house", Action::MoveTo(named("bath"))).await;
    let log = home.server.edit(|script| script.log.clone());
    let of_the_group =
        log.iter().filter(|(command, _)| matches!(&**command, "players/cmd/stop" | "player_queues/transfer"));
    let told: Vec<(&str, &Value)> = of_the_group.map(|(command, args)| (&**command, args)).collect();
    let moved = json!({"source_queue_id": "g", "target_queue_id": "up2", "auto_play": true});
    let stopped = json!({"player_id": "g"});
    assert_eq!(told, [("players/cmd/stop", &stopped), ("player_queues/transfer", &moved)]);
}

#[tokio::test]
async fn music_is_taken_along_by_a_device_and_never_to_a_hidden_player() {
    let players = || {
        vec![
            player("up1", "Kitchen", json!({"playback_state": "playing"})),
            player("up2", "Bath", json!({})),
            player("up3", "Attic", json!({})),
        ]
    };
    let queues = || vec![playing_queue("up1", json!(200)), queue("up2", 0, json!({})), queue("up3", 0, json!({}))];
    let mut home = Home::with(players(), queues()).await;
    let here = || Action::MoveTo(Target::Unnamed);
    let Reply::Refused(Refusal::WhichPlayer(names)) = said(&home, SOFA, Target::Unnamed, here()).await else {
        panic!()
    };
    assert_eq!(names, ["Kitchen", "Bath", "Attic"], "the device has no player yet");
    said(&home, SOFA, named("bath"), Action::UseHere).await;
    let (kitchen, bath) = other_of(said(&home, SOFA, Target::Unnamed, here()).await);
    assert_eq!((kitchen.name.as_str(), bath.name.as_str()), ("Kitchen", "Bath"));
    let sent = json!({"source_queue_id": "up1", "target_queue_id": "up2", "auto_play": true});
    assert_eq!(home.server.calls("player_queues/transfer"), [sent]);

    let rules =
        |rules: Value| HouseRules::new(serde_json::from_value(rules).unwrap(), ManualClock::at(86_400), Zone::UTC);
    let hidden = rules(json!({"players": {"up3": {"hidden": true}}}));
    home.executor = Executor::new(home.client.ma.clone(), hidden);
    for action in [Action::MoveTo(named("attic")), Action::JoinTo(named("attic"))] {
        assert!(matches!(home.refused("kitchen", action).await, Refusal::NoPlayerNamed(_)));
    }
    let night = rules(json!({"quiet_hours": {"from": "00:00", "to": "07:00"}}));
    home.executor = Executor::new(home.client.ma.clone(), night);
    for action in
        [Action::MoveTo(named("bath")), Action::PlaySimilar, Action::PlayPreset(PresetKey::from_bytes(&[1; 15]))]
    {
        assert_eq!(home.refused("kitchen", action.clone()).await, quiet_until_seven(), "{action:?}");
    }
    assert_eq!(home.refused("bath", Action::JoinTo(named("kitchen"))).await, quiet_until_seven());
    assert_eq!(home.server.calls("player_queues/transfer").len(), 1);
}

#[tokio::test]
async fn players_play_together_and_alone_again() {
    let simulated = with_similar(false, 29).await;
    let follows = |home: &macloud_simulated_home::HomeState, name: &str| home.named(name).unwrap().synced_to.is_some();
    for name in ["bedroom", "living room"] {
        let (told, kitchen) = other_of(simulated.on(name, Action::JoinTo(named("kitchen"))).await);
        assert!(told.can.group && kitchen.name == "Kitchen");
        assert_eq!(told.state.playback, Playback::Playing, "what the kitchen plays");
    }
    simulated.truly("together", |home| follows(home, "Bedroom") && follows(home, "Living Room")).await;
    simulated.done("bedroom", Action::JoinTo(named("kitchen"))).await;
    simulated.done("bedroom", Action::Unjoin).await;
    simulated.truly("apart", |home| !follows(home, "Bedroom") && follows(home, "Living Room")).await;
    simulated.done("kitchen", Action::Unjoin).await;
    simulated
        .truly("alone", |home| !follows(home, "Living Room") && home.named("Kitchen").unwrap().state == Heard::Playing)
        .await;
    simulated.done("kitchen", Action::Unjoin).await;
    let itself = simulated.on("kitchen", Action::JoinTo(named("kitchen"))).await;
    assert_eq!(itself, Reply::Refused(Refusal::CannotGroup("Kitchen".into())));
}

#[tokio::test]
async fn nobody_is_said_to_have_joined_who_has_not() {
    let bath = |more: Value| {
        let mut bath = json!({"provider": "airplay"});
        bath.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        player("up2", "Bath", bath)
    };
    let with = async |can: Value| {
        Home::with(vec![player("up1", "Kitchen", json!({"can_group_with": can})), bath(json!({}))], vec![]).await
    };
    let home = with(json!(["up9", "sonos"])).await;
    let join = || Action::JoinTo(named("kitchen"));
    assert_eq!(home.refused("bath", join()).await, Refusal::CannotGroup("Kitchen".into()));
    assert!(home.server.calls("players/cmd/group").is_empty());
    // By its provider; and a server that leaves it out all the same says "success".
    let home = with(json!(["airplay"])).await;
    assert_eq!(home.refused("bath", join()).await, Refusal::OutcomeUnknown);
    assert_eq!(home.server.calls("players/cmd/group"), [json!({"player_id": "up2", "target_player": "up1"})]);
}

#[tokio::test]
async fn those_that_a_leader_names_before_they_say_so_leave_with_the_others() {
    let players = vec![
        player("up1", "Kitchen", json!({"group_members": ["up1", "up2", "up3"]})),
        player("up2", "Bath", json!({"synced_to": "up1"})),
        player("up3", "Attic", json!({})),
    ];
    let home = Home::with(players, vec![]).await;
    let apart = async {
        home.server.called("players/cmd/ungroup_many", 1).await;
        home.server.update_player("up2", json!({"synced_to": null}));
        home.server.update_player("up1", json!({"group_members": []}));
    };
    tokio::join!(home.done("kitchen", Action::Unjoin), apart);
    assert_eq!(home.server.calls("players/cmd/ungroup_many"), [json!({"player_ids": ["up2", "up3"]})]);
}

#[tokio::test]
async fn a_device_learns_the_first_player_that_is_named_to_it() {
    let state = StateDir::open(tempdir("devices")).unwrap();
    let players = vec![
        player("up1", "Kitchen", json!({})),
        player("up2", "Bath", json!({"playback_state": "playing"})),
        player("up3", "Den", json!({})),
    ];
    let mut home = Home::with(players, vec![queue("up1", 3, json!({})), queue("up2", 3, json!({}))]).await;
    let restarted = |home: &Home, rules: Value| {
        let house = HouseRules::new(serde_json::from_value(rules).unwrap(), ManualClock::at(86_400), Zone::UTC);
        Executor::with_memory(home.client.ma.clone(), house, Memory::open(state.clone()))
    };
    home.executor = restarted(&home, json!({}));
    let on = async |home: &Home, device, target, action| done_on(said(home, device, target, action).await);
    let is = |name: &str, learned| (name.to_owned(), learned);
    assert_eq!(on(&home, SOFA, Target::Unnamed, PAUSE).await, is("Bath", false), "the one that plays");
    assert_eq!(on(&home, SOFA, named("kitchen"), Action::Read).await, is("Kitchen", false), "looking is not using");
    assert_eq!(on(&home, SOFA, named("kitchen"), PAUSE).await, is("Kitchen", true));
    assert_eq!(on(&home, SOFA, Target::Unnamed, PAUSE).await, is("Kitchen", false), "though the bath plays");
    assert_eq!(on(&home, SOFA, named("bath"), PAUSE).await, is("Bath", false), "only the first");
    assert_eq!(on(&home, BED, Target::Unnamed, PAUSE).await, is("Bath", false), "another device");
    home.executor = restarted(&home, json!({}));
    assert_eq!(on(&home, SOFA, Target::Unnamed, PAUSE).await, is("Kitchen", false), "known after a restart");
    home.executor = restarted(&home, json!({"players": {"up1": {"hidden": true}}}));
    assert_eq!(on(&home, SOFA, Target::Unnamed, PAUSE).await, is("Bath", false), "not a hidden one");
    home.executor = restarted(&home, json!({}));
    assert_eq!(on(&home, SOFA, named("den"), Action::UseHere).await, is("Den", false));
    assert_eq!(on(&home, SOFA, Target::Unnamed, Action::Read).await, is("Den", false));
    let used_here = async |home: &Home, device, target| {
        matches!(said(home, device, target, Action::Read).await, Reply::Done { used_here: true, .. })
    };
    assert!(used_here(&home, SOFA, Target::Unnamed).await, "who asks several homes must know");
    assert!(!used_here(&home, SOFA, named("den")).await && !used_here(&home, BED, Target::Unnamed).await);
    assert_eq!(on(&home, SOFA, Target::Unnamed, Action::ForgetHere).await, is("Den", false));
    assert_eq!(on(&home, SOFA, Target::Unnamed, Action::Read).await, is("Bath", false));
    // Refused, it is not learned; and nobody spoke to a device that is known.
    let refused = said(&home, SOFA, named("den"), Action::Transport(Transport::Next)).await;
    assert_eq!(refused, Reply::Refused(Refusal::NothingToPlay));
    assert_eq!(on(&home, SOFA, Target::Unnamed, Action::Read).await, is("Bath", false));
    assert_eq!(home.refused("den", Action::UseHere).await, Refusal::NotSupported);
    assert!(state.devices().unwrap().is_empty());
    std::fs::remove_dir_all(state.path()).unwrap();
}

/// A group that plays on a kitchen at 20 and a bath at 40.
async fn group(rules: Value, group: Value) -> Home {
    let mut house = json!({"type": "group", "volume_control": "none", "volume_level": null, "group_volume": 30});
    house.as_object_mut().unwrap().extend(group.as_object().unwrap().clone());
    let players = vec![
        player("up1", "Kitchen", json!({"volume_level": 20})),
        player("up2", "Bath", json!({"volume_level": 40})),
        player("g", "House", house),
    ];
    let mut home = Home::with(players, vec![]).await;
    let rules = HouseRules::new(serde_json::from_value(rules).unwrap(), ManualClock::at(0), Zone::UTC);
    home.executor = Executor::new(home.client.ma.clone(), rules);
    home
}

fn levels(home: &Home) -> Vec<(String, u64)> {
    let level = |args: &Value| (args["player_id"].as_str().unwrap().to_owned(), args["volume_level"].as_u64().unwrap());
    home.server.calls("players/cmd/volume_set").iter().map(level).collect()
}

#[tokio::test]
async fn a_hidden_player_does_not_move_with_its_group() {
    let hidden = json!({"players": {"up1": {"hidden": true}}});
    for more in [json!({}), json!({"volume_control": "g", "volume_level": 30})] {
        let mut members = json!({"group_members": ["up1", "up2"]});
        members.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let home = group(hidden.clone(), members).await;
        let told = home.done("house", Action::Read).await;
        assert_eq!(told.state.volume, Some(percent(40)), "of those that may be used");
        assert_eq!(home.done("house", Action::AdjustVolume(10)).await.state.volume, Some(percent(50)));
        assert_eq!(levels(&home), [("up2".to_owned(), 50)]);
        assert!(home.server.calls("players/cmd/group_volume").is_empty());
    }
    let both = json!({"players": {"up1": {"hidden": true}, "up2": {"hidden": true}}});
    let home = group(both, json!({"group_members": ["up1", "up2"]})).await;
    assert_eq!(home.refused("house", Action::SetVolume(percent(10))).await, Refusal::NotSupported);
    let shown = group(json!({}), json!({"group_members": ["up1", "up2"]})).await;
    shown.done("house", Action::SetVolume(percent(50))).await;
    assert_eq!(shown.server.calls("players/cmd/group_volume"), [json!({"player_id": "g", "volume_level": 50})]);
}

#[tokio::test]
async fn a_group_that_is_muted_is_heard_nowhere() {
    let home = group(json!({}), json!({"group_members": ["up1", "up2"]})).await;
    home.done("house", Action::SetMute(true)).await;
    let mut told = levels(&home);
    told.sort();
    assert_eq!(told, [("up1".to_owned(), 0), ("up2".to_owned(), 0)], "by the average, the bath would go on at 10");
    assert_eq!(home.done("house", Action::SetMute(false)).await.state.volume, Some(percent(30)));
    let mut told = levels(&home)[2..].to_vec();
    told.sort();
    assert_eq!(told, [("up1".to_owned(), 20), ("up2".to_owned(), 40)], "each as it was");
    home.done("house", Action::SetVolume(percent(0))).await;
    assert_eq!(levels(&home)[4..].iter().filter(|(_, level)| *level == 0).count(), 2);
    assert!(home.server.calls("players/cmd/group_volume").is_empty());
}

#[tokio::test]
async fn an_idle_group_is_made_louder_from_where_its_members_are() {
    let idle = json!({"group_members": [], "static_group_members": ["up1", "up2"], "group_volume": 0});
    let home = group(json!({"players": {"up2": {"max_volume": 60}}}), idle).await;
    assert_eq!(home.done("house", Action::Read).await.state.volume, Some(percent(30)), "it says 0 itself");
    let limited = Refusal::VolumeLimited(percent(50));
    assert_eq!(home.refused("house", Action::SetVolume(percent(51))).await, limited);
    assert_eq!(home.done("house", Action::SetVolume(percent(50))).await.state.volume, Some(percent(50)));
    assert_eq!(home.done("house", Action::AdjustVolume(-10)).await.state.volume, Some(percent(40)));
    let mut told = levels(&home);
    told.sort();
    let all = [("up1", 30), ("up1", 40), ("up2", 50), ("up2", 60)];
    assert_eq!(told, all.map(|(id, level)| (id.to_owned(), level)));
    home.done("house", Action::SetMute(true)).await;
    assert_eq!(home.done("house", Action::SetMute(false)).await.state.volume, Some(percent(40)), "each as it was");
    assert_eq!(levels(&home)[4..].iter().filter(|(_, level)| *level == 0).count(), 2);
}

#[tokio::test]
async fn in_quiet_hours_the_level_that_was_asked_for_last_counts() {
    let home = Home::ruled(json!({"quiet_hours": {"from": "21:30", "to": "07:00"}})).await;
    home.done("kitchen", Action::SetVolume(percent(20))).await;
    // Music Assistant has not said so yet: it still tells 40.
    assert_eq!(home.refused("kitchen", Action::SetVolume(percent(30))).await, quiet_until_seven());
    home.done("kitchen", Action::SetVolume(percent(15))).await;

    let near = json!({"group_members": ["up1", "up2"], "volume_control": "g", "volume_level": 30});
    let mut home = group(json!({}), near).await;
    let night = json!({"quiet_hours": {"from": "00:00", "to": "07:00"}});
    let night = HouseRules::new(serde_json::from_value(night).unwrap(), ManualClock::at(0), Zone::UTC);
    home.executor = Executor::new(home.client.ma.clone(), night);
    assert_eq!(
        home.refused("house", Action::SetVolume(Percent::clamped(25))).await,
        quiet_until_seven(),
        "one is at 20"
    );
    home.done("house", Action::SetVolume(Percent::clamped(20))).await;
}

#[tokio::test]
async fn in_quiet_hours_nothing_that_is_silent_becomes_audible() {
    let night = || {
        HouseRules::new(
            serde_json::from_value(json!({"quiet_hours": {"from": "00:00", "to": "07:00"}})).unwrap(),
            ManualClock::at(0),
            Zone::UTC,
        )
    };
    let playing = json!({"playback_state": "playing", "volume_level": 40});
    let follower = json!({"synced_to": "up1", "power_control": "x", "powered": false});
    for (bath, action) in [
        // Music Assistant ends a mute of its own with any change of level.
        (json!({"mute_control": "x", "volume_muted": true}), Action::SetVolume(percent(20))),
        (json!({"mute_control": "x", "volume_muted": true}), Action::AdjustVolume(-10)),
        (json!({"volume_level": null}), Action::AdjustVolume(-10)),
        (follower, Action::SetPower(true)),
    ] {
        let players = vec![player("up1", "Kitchen", playing.clone()), player("up2", "Bath", bath)];
        let mut home = Home::with(players, vec![]).await;
        home.executor = Executor::new(home.client.ma.clone(), night());
        assert_eq!(home.refused("bath", action.clone()).await, quiet_until_seven(), "{action:?}");
        home.done("bath", Action::SetVolume(Percent::ZERO)).await;
    }
    let mut home = Home::with(vec![player("up1", "Kitchen", playing)], vec![]).await;
    home.executor = Executor::new(home.client.ma.clone(), night());
    home.done("kitchen", Action::SetMute(true)).await;
    home.done("kitchen", Action::AdjustVolume(-10)).await;
    assert!(levels(&home).iter().all(|(_, level)| *level == 0), "{:?}", levels(&home));
}

#[tokio::test]
async fn the_position_is_told_while_something_plays_only() {
    let home = kitchen_with(playing_queue("up1", json!(200))).await;
    let PlayerState { position, preset, sleep_timer, .. } = home.done("kitchen", Action::Read).await.state;
    assert!(position.is_some() && preset.is_none() && sleep_timer.is_none());
    assert_eq!(home.done("kitchen", Action::Transport(Transport::Stop)).await.state.position, None);
}
