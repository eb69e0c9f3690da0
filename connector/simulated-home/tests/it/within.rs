//! Homes without sockets, in time that is paused, where things happen by themselves.

use std::time::Duration;

use futures_util::StreamExt as _;
use macloud_simulated_home::{Faults, HomeConfig, NEWEST_SCHEMA, Script, SimulatedHome, Timing};
use serde_json::{Value, json};
use tokio::time::sleep;
use tokio_tungstenite::tungstenite::Message;

#[tokio::test(start_paused = true)]
async fn a_script_does_what_it_says_at_its_times() {
    let script = Script::from_json(
        r#"[{"at_s": 20, "change_player": {"id": "up000420000003", "to": {"volume": 80}}},
            {"at_s": 10, "unplug": "up000420000001"}, {"at_s": 15, "remove_player": "nobody"}]"#,
    )
    .unwrap();
    let config = HomeConfig { script: Some(script), timing: Timing::fast(), ..HomeConfig::default() };
    let home = SimulatedHome::start(config).await.unwrap();
    let unplugged = || home.state().named("Kitchen").unwrap().unplugged;
    let level = || home.state().named("Bedroom").unwrap().volume;
    sleep(Duration::from_secs(9)).await;
    assert!(!unplugged());
    sleep(Duration::from_secs(2)).await;
    assert!(unplugged() && level() != 80);
    sleep(Duration::from_secs(10)).await;
    assert_eq!(level(), 80, "a step that cannot be done keeps none from being done");
    home.stop().await;
}

#[tokio::test(start_paused = true)]
async fn within_the_process_there_is_no_need_of_a_socket() {
    for (schema_version, status, internal_url) in [(28, false, false), (29, true, false), (NEWEST_SCHEMA, true, true)] {
        let home = SimulatedHome::start(HomeConfig { schema_version, ..HomeConfig::default() }).await.unwrap();
        let stream = home.connect().unwrap();
        let (mut socket, _) = tokio_tungstenite::client_async("ws://home/ws", stream).await.unwrap();
        let Some(Ok(Message::Text(hello))) = socket.next().await else { panic!("no hello") };
        let hello: Value = serde_json::from_str(&hello).unwrap();
        assert_eq!(hello["schema_version"], json!(schema_version));
        assert_eq!((hello.get("status").is_some(), hello.get("internal_url").is_some()), (status, internal_url));
        home.fault(&Faults { refuse_connections: Some(true), ..Faults::default() });
        assert!(home.connect().is_err());
        home.stop().await;
    }
}
