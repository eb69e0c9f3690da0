//! Music that moves: queues, time, volume, power and groups.

use std::time::Duration;

use macloud_simulated_home::{HomeConfig, Playback, Quirks, RunningHome, Timing};
use serde_json::{Value, json};

use crate::client::{BEDROOM, Client, KITCHEN, LIVING_ROOM, fast, patiently, start};

async fn kitchen_plays_kind_of_blue(config: HomeConfig) -> (RunningHome, Client) {
    let home = start(config).await;
    let mut client = Client::signed_in(&home).await;
    let found = client.result("music/search", json!({"search_query": "kind of blue", "media_types": ["album"]})).await;
    let uri = &found["albums"][0]["uri"];
    client.result("player_queues/play_media", json!({"queue_id": KITCHEN, "media": uri, "option": "replace"})).await;
    client.player_event(KITCHEN, |player| player["playback_state"] == "playing").await;
    client.events.clear();
    (home, client)
}

fn title(home: &RunningHome) -> String {
    home.state().player(KITCHEN).unwrap().now_playing.as_ref().unwrap().title.clone()
}

#[tokio::test]
async fn an_album_plays_from_its_first_track_to_its_end() {
    let (home, mut client) = kitchen_plays_kind_of_blue(fast()).await;
    let kitchen = home.state().player(KITCHEN).unwrap().clone();
    let now_playing = kitchen.now_playing.unwrap();
    assert_eq!((now_playing.title.as_str(), now_playing.album.as_deref()), ("So What", Some("Kind of Blue")));
    assert_eq!((kitchen.state, kitchen.queue.length, kitchen.duration_s), (Playback::Playing, 5, Some(562)));
    home.advance(Duration::from_secs(60));
    let elapsed = home.state().player(KITCHEN).unwrap().elapsed_s;
    assert!((60.0..70.0).contains(&elapsed), "{elapsed}");
    home.advance(Duration::from_secs(510));
    assert_eq!(title(&home), "Freddie Freeloader");
    assert_eq!(client.event("queue_updated", KITCHEN).await["data"]["current_index"], 1);
    home.advance(Duration::from_secs(3600));
    assert_eq!(home.state().player(KITCHEN).unwrap().state, Playback::Idle);
    client.player_event(KITCHEN, |player| player["playback_state"] == "idle").await;
}

#[tokio::test]
async fn next_previous_seek_and_skip_move_within_the_queue() {
    let (home, mut client) = kitchen_plays_kind_of_blue(fast()).await;
    let player = json!({"player_id": KITCHEN});
    client.result("players/cmd/next", player.clone()).await;
    assert_eq!(title(&home), "Freddie Freeloader");
    client.result("players/cmd/previous", player.clone()).await;
    assert_eq!(title(&home), "So What");
    client.result("players/cmd/previous", player.clone()).await;
    assert_eq!(title(&home), "So What");
    client.result("players/cmd/seek", json!({"player_id": KITCHEN, "position": 60})).await;
    client.result("player_queues/skip", json!({"queue_id": KITCHEN, "seconds": -20})).await;
    let elapsed = home.state().player(KITCHEN).unwrap().elapsed_s;
    assert!((39.0..50.0).contains(&elapsed), "{elapsed}");
    assert_eq!(client.failure("players/cmd/seek", json!({"player_id": KITCHEN, "position": 5000})).await.0, 11);
    client.result("player_queues/play_index", json!({"queue_id": KITCHEN, "index": 4})).await;
    assert_eq!(title(&home), "Flamenco Sketches");
    client.result("players/cmd/next", player).await;
    assert_eq!(title(&home), "Flamenco Sketches");
    assert_eq!(client.failure("player_queues/play_index", json!({"queue_id": KITCHEN, "index": 5})).await.0, 2);
}

#[tokio::test]
async fn pause_keeps_the_place_and_stop_ends_in_idle() {
    let (home, mut client) = kitchen_plays_kind_of_blue(fast()).await;
    let player = json!({"player_id": KITCHEN});
    client.result("players/cmd/pause", player.clone()).await;
    let paused = client.player_event(KITCHEN, |player| player["playback_state"] == "paused").await;
    assert_eq!(paused["state"], "paused");
    let before = home.state().player(KITCHEN).unwrap().elapsed_s;
    home.advance(Duration::from_secs(100));
    assert_eq!(home.state().player(KITCHEN).unwrap().elapsed_s, before);
    client.result("players/cmd/play_pause", player.clone()).await;
    client.player_event(KITCHEN, |player| player["playback_state"] == "playing").await;
    client.result("players/cmd/stop", player.clone()).await;
    let stopped = client.player_event(KITCHEN, |player| player["playback_state"] == "idle").await;
    assert_eq!(stopped["elapsed_time"], Value::Null);
    assert_eq!(stopped["current_media"]["title"], "So What");
    client.result("players/cmd/play", player).await;
    client.player_event(KITCHEN, |player| player["playback_state"] == "playing").await;
}

#[tokio::test]
async fn the_reply_does_not_wait_for_the_players() {
    let hour = Duration::from_secs(3600);
    let home =
        start(HomeConfig { timing: Timing { start_playing: hour, player_update: hour, ..Timing::fast() }, ..fast() })
            .await;
    let mut client = Client::signed_in(&home).await;
    client.result("player_queues/play_media", json!({"queue_id": KITCHEN, "media": "library://album/1"})).await;
    client.result("players/cmd/power", json!({"player_id": KITCHEN, "powered": false})).await;
    let kitchen = home.state().player(KITCHEN).unwrap().clone();
    assert_eq!((kitchen.state, kitchen.queue.length), (Playback::Idle, 5));
}

#[tokio::test]
async fn with_measured_timing_the_reply_comes_first_and_the_music_later() {
    let home = start(HomeConfig { timing: Timing::measured(), ..HomeConfig::default() }).await;
    let mut client = Client::signed_in(&home).await;
    client.result("player_queues/play_media", json!({"queue_id": KITCHEN, "media": "library://album/1"})).await;
    assert!(client.events.is_empty(), "{:?}", client.events);
    client.player_event(KITCHEN, |player| player["playback_state"] == "playing").await;
    client.result("players/cmd/pause", json!({"player_id": KITCHEN})).await;
    client.player_event(KITCHEN, |player| player["playback_state"] == "paused").await;
}

#[tokio::test]
async fn the_last_of_two_quick_orders_counts() {
    let home = start(HomeConfig { timing: Timing::measured(), ..HomeConfig::default() }).await;
    let mut client = Client::signed_in(&home).await;
    client.send("player_queues/play_media", json!({"queue_id": KITCHEN, "media": "library://album/1"})).await;
    client.send("players/cmd/stop", json!({"player_id": KITCHEN})).await;
    client.send("players/cmd/play", json!({"player_id": KITCHEN})).await;
    client.send("players/cmd/pause", json!({"player_id": KITCHEN})).await;
    let paused = client.player_event(KITCHEN, |player| player["playback_state"] == "paused").await;
    assert_eq!(paused["current_media"]["title"], "So What");
}

#[tokio::test]
async fn options_say_where_new_music_goes_and_unknown_ones_do_nothing() {
    let (home, mut client) = kitchen_plays_kind_of_blue(fast()).await;
    let mut put = async |media: Value, option: &str| {
        let args = json!({"queue_id": KITCHEN, "media": media, "option": option});
        client.result("player_queues/play_media", args).await;
        home.state().player(KITCHEN).unwrap().queue.clone()
    };
    let queue = put(json!(["library://track/6", {"uri": "library://track/7"}]), "add").await;
    assert_eq!((queue.length, queue.items[6].as_str()), (7, "library://track/7"));
    let queue = put(json!("library://track/8"), "next").await;
    assert_eq!((queue.items[1].as_str(), queue.current_index), ("library://track/8", Some(0)));
    let queue = put(json!("library://track/9"), "bogus").await;
    assert_eq!(queue.length, 8);
    let queue = put(json!("library://track/9"), "replace_next").await;
    assert_eq!((queue.length, queue.current_index), (2, Some(0)));
    let queue = put(json!("library://track/10"), "play").await;
    assert_eq!((queue.items[1].as_str(), queue.current_index), ("library://track/10", Some(1)));
}

#[tokio::test]
async fn replace_empties_the_queue_before_it_fails() {
    let (home, mut client) = kitchen_plays_kind_of_blue(fast()).await;
    let args = json!({"queue_id": KITCHEN, "media": "library://track/9999", "option": "replace"});
    let failure = client.failure("player_queues/play_media", args).await;
    assert_eq!(failure, (2, "No playable items found".to_owned()));
    let state = patiently(home.until(|state| state.player(KITCHEN).unwrap().state == Playback::Idle)).await;
    assert_eq!(state.player(KITCHEN).unwrap().queue.length, 0);
    let words = json!({"queue_id": KITCHEN, "media": "just some words"});
    assert_eq!(client.failure("player_queues/play_media", words).await.0, 2);
}

#[tokio::test]
async fn radio_mode_needs_a_provider_that_knows_similar_tracks() {
    let home = start(fast()).await;
    let mut client = Client::signed_in(&home).await;
    let args = json!({"queue_id": KITCHEN, "media": "library://artist/1", "radio_mode": true});
    assert_eq!(client.failure("player_queues/play_media", args.clone()).await.0, 9);
    let home = start(HomeConfig { quirks: Quirks { similar_tracks: true, ..Quirks::default() }, ..fast() }).await;
    let mut client = Client::signed_in(&home).await;
    client.result("player_queues/play_media", args).await;
    assert!(home.state().player(KITCHEN).unwrap().queue.length > 9);
}

#[tokio::test]
async fn shuffle_and_repeat_change_what_comes_next() {
    let (home, mut client) = kitchen_plays_kind_of_blue(fast()).await;
    let sorted = home.state().player(KITCHEN).unwrap().queue.items.clone();
    client.result("player_queues/shuffle", json!({"queue_id": KITCHEN, "shuffle_enabled": true})).await;
    let mixed = home.state().player(KITCHEN).unwrap().queue.items.clone();
    assert!(mixed != sorted && mixed[0] == sorted[0], "{mixed:?}");
    client.result("player_queues/shuffle", json!({"queue_id": KITCHEN, "shuffle_enabled": false})).await;
    assert_eq!(home.state().player(KITCHEN).unwrap().queue.items, sorted);
    client.result("player_queues/repeat", json!({"queue_id": KITCHEN, "repeat_mode": "bogus"})).await;
    assert_eq!(client.result("player_queues/get", json!({"queue_id": KITCHEN})).await["repeat_mode"], "unknown");
    client.result("player_queues/repeat", json!({"queue_id": KITCHEN, "repeat_mode": "one"})).await;
    home.advance(Duration::from_secs(600));
    assert_eq!(title(&home), "So What");
    client.result("player_queues/repeat", json!({"queue_id": KITCHEN, "repeat_mode": "all"})).await;
    client.result("player_queues/play_index", json!({"queue_id": KITCHEN, "index": 4})).await;
    client.result("players/cmd/next", json!({"player_id": KITCHEN})).await;
    assert_eq!(title(&home), "So What");
}

#[tokio::test]
async fn volume_is_not_clamped_and_steps_shrink_near_the_ends() {
    let home = start(fast()).await;
    let mut client = Client::signed_in(&home).await;
    let set = |level: Value| json!({"player_id": KITCHEN, "volume_level": level});
    for (level, stored) in [(json!(35), 35), (json!("40"), 40), (json!(41.6), 41), (json!(-5), -5)] {
        client.result("players/cmd/volume_set", set(level)).await;
        client.player_event(KITCHEN, |player| player["volume_level"] == stored).await;
    }
    let failure = client.failure("players/cmd/volume_set", set(json!(150))).await;
    assert_eq!(failure, (11, "list index out of range".to_owned()));
    for (from, up, down) in [(50, 55, 50), (10, 12, 10), (98, 99, 98), (100, 100, 99), (0, 1, 0)] {
        client.result("players/cmd/volume_set", set(json!(from))).await;
        client.result("players/cmd/volume_up", json!({"player_id": KITCHEN})).await;
        assert_eq!(home.state().player(KITCHEN).unwrap().volume, up);
        client.result("players/cmd/volume_down", json!({"player_id": KITCHEN})).await;
        assert_eq!(home.state().player(KITCHEN).unwrap().volume, down);
    }
}

#[tokio::test]
async fn without_a_control_mute_and_power_succeed_and_do_little() {
    let (home, mut client) = kitchen_plays_kind_of_blue(fast()).await;
    client.result("players/cmd/volume_mute", json!({"player_id": KITCHEN, "muted": true})).await;
    assert!(!home.state().player(KITCHEN).unwrap().muted);
    client.result("players/cmd/power", json!({"player_id": KITCHEN, "powered": false})).await;
    let state = patiently(home.until(|state| state.player(KITCHEN).unwrap().state == Playback::Idle)).await;
    assert!(state.player(KITCHEN).unwrap().powered);

    client.result("players/cmd/volume_mute", json!({"player_id": BEDROOM, "muted": true})).await;
    client.player_event(BEDROOM, |player| player["volume_muted"] == true).await;
    client.result("players/cmd/power", json!({"player_id": BEDROOM, "powered": false})).await;
    client.player_event(BEDROOM, |player| player["powered"] == false).await;
    let play = json!({"queue_id": BEDROOM, "media": "library://track/1"});
    client.result("player_queues/play_media", play).await;
    client.player_event(BEDROOM, |player| player["powered"] == true && player["playback_state"] == "playing").await;
}

#[tokio::test]
async fn a_follower_plays_and_pauses_with_its_leader() {
    let (home, mut client) = kitchen_plays_kind_of_blue(fast()).await;
    client.result("players/cmd/group", json!({"player_id": BEDROOM, "target_player": KITCHEN})).await;
    let follower = client.player_event(BEDROOM, |player| player["synced_to"] == KITCHEN).await;
    assert_eq!((&follower["group_members"], &follower["active_source"]), (&json!([]), &json!(KITCHEN)));
    assert_eq!(follower["current_media"]["title"], "So What");
    let leader = client.result("players/get", json!({"player_id": KITCHEN})).await;
    assert_eq!(leader["group_members"], json!([KITCHEN, BEDROOM]));
    let active = client.result("player_queues/get_active_queue", json!({"player_id": BEDROOM})).await;
    assert_eq!(active["queue_id"], KITCHEN);
    client.result("players/cmd/pause", json!({"player_id": BEDROOM})).await;
    client.player_event(KITCHEN, |player| player["playback_state"] == "paused").await;
    client.player_event(BEDROOM, |player| player["playback_state"] == "paused").await;
    client.result("players/cmd/volume_set", json!({"player_id": BEDROOM, "volume_level": 10})).await;
    client.result("players/cmd/group_volume", json!({"player_id": KITCHEN, "volume_level": 50})).await;
    let state = home.state();
    assert_eq!((state.player(KITCHEN).unwrap().volume, state.player(BEDROOM).unwrap().volume), (55, 45));
    client.result("players/cmd/ungroup", json!({"player_id": BEDROOM})).await;
    client.player_event(BEDROOM, |player| player["synced_to"] == Value::Null).await;
    assert_eq!(client.result("players/get", json!({"player_id": KITCHEN})).await["group_members"], json!([]));
    client.result("players/cmd/group", json!({"player_id": KITCHEN, "target_player": KITCHEN})).await;
    assert_eq!(home.state().player(KITCHEN).unwrap().synced_to, None);
}

#[tokio::test]
async fn the_recorded_defect_makes_players_follow_each_other() {
    let home = start(HomeConfig { quirks: Quirks { cyclic_groups: true, ..Quirks::default() }, ..fast() }).await;
    let mut client = Client::signed_in(&home).await;
    client.result("players/cmd/group", json!({"player_id": BEDROOM, "target_player": LIVING_ROOM})).await;
    let players = client.result("players/all", json!({})).await;
    assert_eq!((&players[1]["synced_to"], &players[2]["synced_to"]), (&json!(BEDROOM), &json!(LIVING_ROOM)));
    let endless = "maximum recursion depth exceeded".to_owned();
    let active = client.failure("player_queues/get_active_queue", json!({"player_id": BEDROOM})).await;
    assert_eq!(active, (999, endless.clone()));
    assert_eq!(client.failure("players/cmd/pause", json!({"player_id": BEDROOM})).await, (11, endless));
    assert_eq!(client.failure("players/cmd/play", json!({"player_id": BEDROOM})).await.0, 11);
    let play = json!({"queue_id": BEDROOM, "media": "library://track/1", "option": "play"});
    let refused = (11, "A synced player cannot receive play commands directly".to_owned());
    assert_eq!(client.failure("player_queues/play_media", play).await, refused);
}

#[tokio::test]
async fn a_queue_moves_to_another_room() {
    let (home, mut client) = kitchen_plays_kind_of_blue(fast()).await;
    home.advance(Duration::from_secs(30));
    let rooms = json!({"source_queue_id": KITCHEN, "target_queue_id": LIVING_ROOM});
    client.result("player_queues/transfer", rooms).await;
    let playing =
        |state: &macloud_simulated_home::HomeState| state.player(LIVING_ROOM).unwrap().state == Playback::Playing;
    let state = patiently(home.until(playing)).await;
    let living_room = state.player(LIVING_ROOM).unwrap();
    assert!(living_room.elapsed_s >= 30.0 && living_room.queue.length == 5);
    assert_eq!(state.player(KITCHEN).unwrap().queue.length, 0);
}

#[tokio::test]
async fn nothing_moves_from_a_permanent_group_that_plays_to_one_of_its_members() {
    let (home, mut client) = kitchen_plays_kind_of_blue(fast()).await;
    let group = json!({"provider": "sync_group", "name": "House", "members": [KITCHEN, BEDROOM]});
    let group = client.result("players/create_group_player", group).await["player_id"].as_str().unwrap().to_owned();
    client.result("player_queues/play_media", json!({"queue_id": group, "media": "library://album/1"})).await;
    let plays = |state: &macloud_simulated_home::HomeState| state.player(&group).unwrap().state == Playback::Playing;
    patiently(home.until(plays)).await;
    let rooms = json!({"source_queue_id": group, "target_queue_id": BEDROOM, "auto_play": true});
    let refused = (11, "Player House does not support group commands".to_owned());
    assert_eq!(client.failure("player_queues/transfer", rooms.clone()).await, refused);
    client.result("players/cmd/stop", json!({"player_id": group})).await;
    patiently(home.until(|state| !plays(state))).await;
    client.result("player_queues/transfer", rooms).await;
    let moved = |state: &macloud_simulated_home::HomeState| state.player(BEDROOM).unwrap().state == Playback::Playing;
    patiently(home.until(moved)).await;
}

#[tokio::test]
async fn replacing_what_plays_is_overtaken_by_its_own_stop() {
    let (home, mut client) = kitchen_plays_kind_of_blue(fast()).await;
    let args = json!({"queue_id": KITCHEN, "media": "library://album/2", "option": "replace"});
    client.result("player_queues/play_media", args.clone()).await;
    client.player_event(KITCHEN, |player| player["playback_state"] == "idle").await;
    let kitchen = home.state().player(KITCHEN).unwrap().clone();
    assert_eq!((kitchen.state, kitchen.queue.length), (Playback::Idle, 4), "success, and silence");
    client.result("player_queues/play_media", args).await;
    client.player_event(KITCHEN, |player| player["playback_state"] == "playing").await;
}

#[tokio::test]
async fn a_new_stream_plays_on_over_a_pause() {
    let timing = Timing { stream_restart: Duration::from_millis(200), ..Timing::fast() };
    let (_home, mut client) = kitchen_plays_kind_of_blue(HomeConfig { timing, ..fast() }).await;
    let player = json!({"player_id": KITCHEN});
    let seek = json!({"player_id": KITCHEN, "position": 60});
    client.result("players/cmd/seek", seek.clone()).await;
    client.result("players/cmd/pause", player.clone()).await;
    client.player_event(KITCHEN, |player| player["playback_state"] == "paused").await;
    client.player_event(KITCHEN, |player| player["playback_state"] == "playing").await;
    client.result("players/cmd/seek", seek).await;
    client.result("players/cmd/stop", player).await;
    client.player_event(KITCHEN, |player| player["playback_state"] == "idle").await;
    let later = tokio::time::timeout(Duration::from_millis(400), client.event("player_updated", KITCHEN)).await;
    assert!(later.is_err(), "what was stopped stays so: {later:?}");
}

#[tokio::test]
async fn while_a_track_loads_there_is_nothing_to_seek_in() {
    let timing = Timing { settle: Duration::from_secs(3600), ..Timing::fast() };
    let (home, mut client) = kitchen_plays_kind_of_blue(HomeConfig { timing, ..fast() }).await;
    let seek = json!({"player_id": KITCHEN, "position": 60});
    assert_eq!(client.failure("players/cmd/seek", seek.clone()).await.0, 11, "it has only just begun");
    let skip = json!({"queue_id": KITCHEN, "seconds": 60});
    assert_eq!(client.failure("player_queues/skip", skip).await.0, 12, "of the queue");
    client.result("players/cmd/seek", seek.clone()).await;
    client.result("players/cmd/next", json!({"player_id": KITCHEN})).await;
    assert_eq!(client.failure("players/cmd/seek", seek.clone()).await.0, 11);
    client.result("players/cmd/seek", seek).await;
    assert!(home.state().player(KITCHEN).unwrap().elapsed_s >= 60.0);
}

#[tokio::test]
async fn going_on_with_similar_music_needs_somebody_to_ask_on_older_servers() {
    let (_home, mut client) = kitchen_plays_kind_of_blue(fast()).await;
    let on = json!({"queue_id": KITCHEN, "dont_stop_the_music_enabled": true});
    assert_eq!(client.failure("player_queues/dont_stop_the_music", on.clone()).await.0, 9);
    let newer = json!({"queue_id": KITCHEN, "autoplay_enabled": true});
    assert_eq!(client.failure("player_queues/autoplay", newer.clone()).await.0, 12);
    let home = start(HomeConfig { schema_version: 34, ..fast() }).await;
    let mut client = Client::signed_in(&home).await;
    client.result("player_queues/autoplay", newer).await;
    let queue = client.result("player_queues/get", json!({"queue_id": KITCHEN})).await;
    assert_eq!(queue["autoplay_enabled"], true);
    assert!(queue.get("dont_stop_the_music_enabled").is_none());
    client.result("player_queues/dont_stop_the_music", on).await;
}

#[tokio::test]
async fn what_plays_can_be_saved_but_not_what_a_station_plays() {
    let (_home, mut client) = kitchen_plays_kind_of_blue(fast()).await;
    let player = json!({"player_id": KITCHEN});
    client.result("players/add_currently_playing_to_favorites", player.clone()).await;
    let liked = json!({"favorite": true, "search": "so what"});
    assert_eq!(client.result("music/tracks/library_items", liked).await.as_array().unwrap().len(), 1);
    let station = json!({"queue_id": KITCHEN, "media": "library://radio/1", "option": "replace"});
    client.result("player_queues/play_media", station).await;
    assert_eq!(client.failure("players/add_currently_playing_to_favorites", player).await.0, 11);
}

#[tokio::test]
async fn several_players_leave_a_group_at_once() {
    let (home, mut client) = kitchen_plays_kind_of_blue(fast()).await;
    for player in [BEDROOM, LIVING_ROOM] {
        client.result("players/cmd/group", json!({"player_id": player, "target_player": KITCHEN})).await;
    }
    assert_eq!(home.state().player(KITCHEN).unwrap().group_members.len(), 3);
    client.result("players/cmd/ungroup_many", json!({"player_ids": [BEDROOM, LIVING_ROOM]})).await;
    let kitchen = home.state().player(KITCHEN).unwrap().clone();
    assert_eq!((kitchen.group_members.len(), kitchen.state), (0, Playback::Playing));
}
