//! The control API over HTTP.

use std::net::{Ipv4Addr, SocketAddr};

use macloud_simulated_home::{HomeConfig, HomeState, RunningHome};
use serde_json::{Value, json};

use crate::client::{Client, KITCHEN, fast, start};
use crate::protocol::http;

async fn controlled() -> RunningHome {
    start(HomeConfig { control: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))), ..fast() }).await
}

async fn control(home: &RunningHome, request: &str, body: Value) -> (u16, Value) {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let (status, answer) = http(&home.control_url().unwrap(), request, None, &body).await;
    (status, serde_json::from_str(&answer).unwrap_or(Value::Null))
}

#[tokio::test]
async fn the_state_over_http_is_the_truth() {
    let home = controlled().await;
    let mut client = Client::signed_in(&home).await;
    client.result("player_queues/play_media", json!({"queue_id": KITCHEN, "media": "library://album/1"})).await;
    let (status, body) = control(&home, "GET /state", Value::Null).await;
    let state: HomeState = serde_json::from_value(body).unwrap();
    assert_eq!((status, state.clients, state.status.as_str()), (200, 1, "running"));
    assert_eq!(state.named("Kitchen").unwrap().queue.length, 5);
    assert_eq!(state.commands["player_queues/play_media"], 1);
}

#[tokio::test]
async fn players_are_added_changed_unplugged_and_removed() {
    let home = controlled().await;
    let (status, state) =
        control(&home, "POST /players", json!({"id": "garden", "name": "Garden", "power": true})).await;
    assert_eq!((status, &state["players"][3]["name"]), (200, &json!("Garden")));
    assert_eq!(control(&home, "POST /players", json!({"id": "garden", "name": "Garden"})).await.0, 409);
    let (_, state) =
        control(&home, "POST /players/garden", json!({"name": "Späti", "volume": 77, "powered": false})).await;
    let garden = &state["players"][3];
    assert_eq!((&garden["name"], &garden["volume"], &garden["powered"]), (&json!("Späti"), &json!(77), &json!(false)));
    let (_, state) = control(&home, "POST /players/garden/unplug", Value::Null).await;
    assert_eq!(state["players"][3]["available"], false);
    let (_, state) = control(&home, "POST /players/garden/plug", Value::Null).await;
    assert_eq!(state["players"][3]["available"], true);
    let (status, state) = control(&home, "DELETE /players/garden", Value::Null).await;
    assert_eq!((status, state["players"].as_array().unwrap().len()), (200, 3));
}

#[tokio::test]
async fn mistakes_are_explained() {
    let home = controlled().await;
    let unknown = control(&home, "POST /players/nope/unplug", Value::Null).await;
    assert_eq!(unknown, (404, json!({"error": "there is no player \"nope\""})));
    let (status, body) = control(&home, "POST /players/up000420000001", json!({"volum": 3})).await;
    assert!(status == 400 && body["error"].as_str().unwrap().contains("unknown field `volum`"), "{body}");
    let (status, body) = control(&home, "POST /players", json!({"id": "", "name": "x"})).await;
    assert!(status == 400 && body["error"].as_str().unwrap().contains("\"id\""), "{body}");
    assert_eq!(control(&home, "GET /nothing", Value::Null).await.0, 404);
    assert_eq!(control(&home, "GET /restart", Value::Null).await.0, 405);
    let (status, body) = control(&home, "POST /playlists", json!({"name": "x", "tracks": ["Nobody - Nothing"]})).await;
    assert!(status == 400 && body["error"].as_str().unwrap().contains("Nobody"), "{body}");
}

#[tokio::test]
async fn faults_restarts_and_time_over_http() {
    let home = controlled().await;
    let delays = json!({"delay_ms": {"players/all": 5}, "fail_next": [{"code": 10}]});
    assert_eq!(control(&home, "POST /faults", delays).await.0, 204);
    let (_, faults) = control(&home, "GET /faults", Value::Null).await;
    assert_eq!((&faults["delay_ms"]["players/all"], &faults["fail_next"][0]["command"]), (&json!(5), &json!("*")));
    assert_eq!(control(&home, "DELETE /faults", Value::Null).await.0, 204);
    let mut client = Client::signed_in(&home).await;
    client.result("player_queues/play_media", json!({"queue_id": KITCHEN, "media": "library://album/1"})).await;
    let (status, state) = control(&home, "POST /advance", json!({"seconds": 30})).await;
    assert!(status == 200 && state["players"][0]["elapsed_s"].as_f64().unwrap() >= 30.0, "{state}");
    let (status, state) = control(&home, "POST /restart", json!({"down_ms": 10_000})).await;
    assert_eq!((status, &state["status"]), (200, &json!("starting")));
    assert_eq!(control(&home, "POST /restart", Value::Null).await.0, 409);
    assert_eq!(client.end().await, None);
}
