//! What goes wrong in homes: players that vanish or pretend, servers that restart, clients that do not read.

use std::collections::BTreeMap;

use macloud_simulated_home::{FailNext, Faults, HomeConfig, Playback, PlayerChange, RestartPlan, Timing};
use serde_json::{Value, json};

use crate::client::{Client, Heard, KITCHEN, fast, patiently, start};

#[tokio::test]
async fn an_unplugged_player_takes_commands_silently_and_keeps_its_queue() {
    let home = start(fast()).await;
    let mut client = Client::signed_in(&home).await;
    client.result("player_queues/play_media", json!({"queue_id": KITCHEN, "media": "library://album/1"})).await;
    client.player_event(KITCHEN, |player| player["playback_state"] == "playing").await;
    home.unplug(KITCHEN).unwrap();
    let gone = client.player_event(KITCHEN, |player| player["available"] == false).await;
    assert_eq!((&gone["volume_level"], &gone["supported_features"]), (&Value::Null, &json!([])));
    assert_eq!((&gone["volume_control"], &gone["playback_state"]), (&json!("none"), &json!("idle")));
    for (command, args) in
        [("play", json!({})), ("volume_set", json!({"volume_level": 30})), ("power", json!({"powered": true}))]
    {
        let mut args = args;
        args["player_id"] = json!(KITCHEN);
        assert_eq!(client.result(&format!("players/cmd/{command}"), args).await, Value::Null);
    }
    let play = json!({"queue_id": KITCHEN, "media": "library://track/1"});
    let refused = (10, format!("Player {KITCHEN} is not available"));
    assert_eq!(client.failure("player_queues/play_media", play).await, refused);
    let queue = client.result("player_queues/get", json!({"queue_id": KITCHEN})).await;
    assert_eq!((&queue["available"], &queue["items"], &queue["state"]), (&json!(false), &json!(5), &json!("idle")));
    let shown = client.result("players/all", json!({"return_unavailable": false})).await;
    assert_eq!(shown.as_array().unwrap().len(), 2);
    home.plug(KITCHEN).unwrap();
    client.player_event(KITCHEN, |player| player["available"] == true).await;
}

#[tokio::test]
async fn a_degraded_player_looks_well_and_fails_everything() {
    let home = start(fast()).await;
    home.change_player(KITCHEN, PlayerChange { degraded: Some(true), ..PlayerChange::default() }).unwrap();
    let mut client = Client::signed_in(&home).await;
    let player = client.result("players/get", json!({"player_id": KITCHEN})).await;
    assert_eq!((&player["available"], &player["volume_level"]), (&json!(true), &Value::Null));
    for command in ["play", "pause", "stop", "play_pause", "next", "previous"] {
        let (code, _) = client.failure(&format!("players/cmd/{command}"), json!({"player_id": KITCHEN})).await;
        assert_eq!(code, 11, "{command}");
    }
    let queue = json!({"queue_id": KITCHEN});
    assert_eq!(client.result("player_queues/get", queue.clone()).await, Value::Null);
    assert_eq!(client.result("player_queues/pause", queue.clone()).await, Value::Null);
    assert_eq!(client.result("player_queues/items", queue.clone()).await, json!([]));
    assert_eq!(client.failure("player_queues/clear", queue.clone()).await, (999, format!("'{KITCHEN}'")));
    let play = json!({"queue_id": KITCHEN, "media": "library://track/1"});
    let refused = (10, format!("Queue {KITCHEN} is not available"));
    assert_eq!(client.failure("player_queues/play_media", play).await, refused);
}

#[tokio::test]
async fn unknown_players_succeed_and_unknown_queues_fail_each_in_its_way() {
    let home = start(fast()).await;
    let mut client = Client::signed_in(&home).await;
    assert_eq!(client.result("players/cmd/play", json!({"player_id": "nope"})).await, Value::Null);
    let queue = json!({"queue_id": "nope", "media": "library://track/1", "index": 0, "seconds": 1});
    for (command, code) in [("play_media", 10), ("skip", 12), ("resume", 999), ("play_index", 999), ("clear", 999)] {
        assert_eq!(client.failure(&format!("player_queues/{command}"), queue.clone()).await.0, code, "{command}");
    }
}

#[tokio::test]
async fn a_restart_breaks_connections_and_brings_players_back_by_and_by() {
    let home = start(fast()).await;
    let mut client = Client::signed_in(&home).await;
    client.result("player_queues/play_media", json!({"queue_id": KITCHEN, "media": "library://album/1"})).await;
    client.player_event(KITCHEN, |player| player["playback_state"] == "playing").await;
    home.restart(RestartPlan { down_ms: 50, starting_ms: 4000, settling_ms: 100, ..RestartPlan::default() }).unwrap();
    assert!(home.restart(RestartPlan::default()).is_err());
    assert_eq!(client.end().await, None);

    let mut client = patiently(async {
        loop {
            if tokio_tungstenite::connect_async(home.ws_url()).await.is_ok() {
                return Client::signed_in(&home).await;
            }
        }
    })
    .await;
    assert_eq!(client.hello["status"], "starting");
    assert_eq!(client.result("players/all", json!({})).await, json!([]));
    assert_eq!(client.event("player_added", KITCHEN).await["data"]["available"], false);
    assert_eq!(client.result("players/all", json!({})).await.as_array().unwrap().len(), 3);
    client.player_event(KITCHEN, |player| player["available"] == true).await;
    assert_eq!(client.result("info", json!({})).await["status"], "running");
    let kitchen = home.state().player(KITCHEN).unwrap().clone();
    assert_eq!((kitchen.state, kitchen.queue.length, kitchen.elapsed_s), (Playback::Idle, 5, 0.0));
}

#[tokio::test]
async fn who_does_not_read_is_cut() {
    let home = start(fast()).await;
    let mut client = Client::signed_in(&home).await;
    let mut other = Client::signed_in(&home).await;
    let found = other.result("music/playlists/library_items", json!({"search": "everything"})).await;
    let id = json!({"item_id": found[0]["item_id"]});
    // Megabytes of answers fill the sockets' buffers, then small ones the queue.
    for _ in 0..8 {
        client.send("music/playlists/playlist_tracks", id.clone()).await;
    }
    for _ in 0..600 {
        if !client.try_say(r#"{"message_id": "x", "command": "info"}"#).await {
            break;
        }
    }
    patiently(home.until(|state| state.clients == 1)).await;
    other.result("info", json!({})).await;
}

#[tokio::test]
async fn promised_errors_delays_and_silence() {
    let home = start(fast()).await;
    let mut client = Client::signed_in(&home).await;
    let fail = FailNext { command: "players/cmd/play".to_owned(), code: 17, details: "Busy".to_owned(), times: 1 };
    home.fault(&Faults { fail_next: vec![fail], ..Faults::default() });
    let player = json!({"player_id": KITCHEN});
    assert_eq!(client.failure("players/cmd/play", player.clone()).await, (17, "Busy".to_owned()));
    assert_eq!(client.failure("players/cmd/play", player).await.0, 11);

    // A delayed answer is overtaken by a later command's.
    let delay_ms = BTreeMap::from([("players/all".to_owned(), 1500)]);
    home.fault(&Faults { delay_ms, ..Faults::default() });
    let slow = client.send("players/all", json!({})).await;
    let quick = client.send("info", json!({})).await;
    for expected in [quick, slow] {
        let Heard::Frame(frame) = client.hear().await else { panic!("closed") };
        assert_eq!(frame["message_id"], expected);
    }

    let never_answer = Some(["players/cmd/volume_set".to_owned()].into());
    home.fault(&Faults { never_answer, ..Faults::default() });
    client.send("players/cmd/volume_set", json!({"player_id": KITCHEN, "volume_level": 77})).await;
    client.player_event(KITCHEN, |player| player["volume_level"] == 77).await;
    assert_eq!(home.state().commands["players/cmd/volume_set"], 1);
}

#[tokio::test]
async fn tokens_can_be_refused_for_a_while_or_revoked_for_good() {
    let home = start(fast()).await;
    home.fault(&Faults { refuse_token: Some(true), ..Faults::default() });
    let mut client = Client::connect(&home).await;
    assert_eq!(client.failure("auth", json!({"token": home.token()})).await.0, 23);
    home.clear_faults();
    client.result("auth", json!({"token": home.token()})).await;
    home.fault(&Faults { revoke_tokens: true, ..Faults::default() });
    assert_eq!(client.end().await, Some(1000));
    let mut client = Client::connect(&home).await;
    assert_eq!(client.failure("auth", json!({"token": home.token()})).await.0, 23);
}

#[tokio::test]
async fn connections_can_be_dropped_refused_and_stalled() {
    let home = start(fast()).await;
    let mut client = Client::signed_in(&home).await;
    home.fault(&Faults { drop_connections: true, refuse_connections: Some(true), ..Faults::default() });
    assert_eq!(client.end().await, None);
    assert!(tokio_tungstenite::connect_async(home.ws_url()).await.is_err());
    home.fault(&Faults { refuse_connections: Some(false), stall_reads: Some(true), ..Faults::default() });
    let mut client = Client::connect(&home).await;
    let id = client.send("auth", json!({"token": home.token()})).await;
    let silence = tokio::time::timeout(std::time::Duration::from_millis(50), client.hear()).await;
    assert!(silence.is_err(), "{silence:?}");
    home.fault(&Faults { stall_reads: Some(false), ..Faults::default() });
    let Heard::Frame(answer) = client.hear().await else { panic!("closed") };
    assert_eq!(answer["message_id"], id);
}

#[tokio::test]
async fn players_come_go_and_are_renamed() {
    let home = start(fast()).await;
    let mut client = Client::signed_in(&home).await;
    home.add_player(&macloud_simulated_home::PlayerConfig::new("garden", "Garden Späti")).unwrap();
    assert_eq!(client.event("player_added", "garden").await["data"]["name"], "Garden Späti");
    client.event("queue_added", "garden").await;
    let renamed = PlayerChange { name: Some("Kitchen".to_owned()), ..PlayerChange::default() };
    home.change_player("garden", renamed).unwrap();
    client.player_event("garden", |player| player["name"] == "Kitchen").await;
    home.remove_player("garden").unwrap();
    client.event("player_removed", "garden").await;
    assert_eq!(client.result("players/get", json!({"player_id": "garden"})).await, Value::Null);
    assert!(home.remove_player("garden").is_err());
}

#[tokio::test]
async fn a_server_says_that_it_is_stopping_and_works_until_it_is_gone() {
    let home = start(fast()).await;
    home.restart(RestartPlan { stopping_ms: 400, ..RestartPlan::default() }).unwrap();
    let mut client = Client::signed_in(&home).await;
    assert_eq!(client.hello["status"], "stopping");
    client.result("players/cmd/volume_set", json!({"player_id": KITCHEN, "volume_level": 33})).await;
    client.player_event(KITCHEN, |player| player["volume_level"] == 33).await;
    assert_eq!(client.end().await, None);
    patiently(home.until(|state| state.status == "running")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn phases_that_are_due_at_once_come_in_their_order() {
    let home = start(fast()).await;
    let at_once = RestartPlan { stopping_ms: 0, down_ms: 1, starting_ms: 0, settling_ms: 0 };
    for _ in 0..200 {
        patiently(async {
            while home.restart(at_once).is_err() {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

#[tokio::test]
async fn a_player_that_comes_back_has_forgotten_its_volume_for_a_moment() {
    let timing = Timing { volume_recall: std::time::Duration::from_millis(100), ..Timing::fast() };
    let home = start(HomeConfig { timing, ..fast() }).await;
    let mut client = Client::signed_in(&home).await;
    home.unplug(KITCHEN).unwrap();
    client.player_event(KITCHEN, |player| player["available"] == false).await;
    home.plug(KITCHEN).unwrap();
    let back = client.player_event(KITCHEN, |player| player["available"] == true).await;
    assert_eq!((&back["volume_level"], home.state().player(KITCHEN).unwrap().volume), (&json!(50), 20));
    client.player_event(KITCHEN, |player| player["volume_level"] == 20).await;
}
