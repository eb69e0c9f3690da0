//! The connection to Music Assistant: what it accepts, what it survives.

use std::time::Duration;

use macloud_connector::music_assistant::message::ErrorCode;
use macloud_connector::music_assistant::{CallError, Condition, READ_LIMIT, TokenSource};
use serde_json::{Value, json};

use crate::scripted::{Answer, PATIENCE, Scripted, TOKEN, player, queue};

#[tokio::test]
async fn an_old_server_is_named_as_such_and_a_newer_one_works() {
    let server = Scripted::start().await;
    server.edit(|script| script.hello["schema_version"] = json!(27));
    let client = server.client();
    let condition = client.condition(|condition| matches!(condition, Condition::TooOld { schema: 27 })).await;
    assert!(condition.explanation().contains("Update Music Assistant"), "{}", condition.explanation());
    assert!(server.calls("auth").is_empty(), "the token is not shown to a server that cannot be used");
    server.edit(|script| {
        script.hello["schema_version"] = json!(9999);
        script.hello["min_supported_schema_version"] = json!(28);
    });
    client.ready().await;
}

#[tokio::test]
async fn a_server_that_is_not_set_up_says_so() {
    let server = Scripted::start().await;
    server.edit(|script| script.hello["onboard_done"] = json!(false));
    server.answer("auth", Answer::Error(503));
    let client = server.client();
    client.condition(|condition| *condition == Condition::SetUpNeeded).await;
    server.answer("auth", Answer::Close);
    client.condition(|condition| *condition == Condition::SetUpNeeded).await;
    server.edit(|script| {
        script.answers.clear();
        script.hello["onboard_done"] = json!(true);
    });
    client.ready().await;
}

#[tokio::test]
async fn a_refused_token_is_tried_again_and_then_given_up() {
    let server = Scripted::start().await;
    server.edit(|script| script.token = "another".into());
    let client = server.client();
    client.condition(|condition| *condition == Condition::TokenRefused).await;
    assert_eq!(server.calls("auth").len(), 4, "once, and three more times");
    assert_eq!(server.edit(|script| script.connections), 1, "all on one connection");
}

#[tokio::test]
async fn a_refusal_that_lasts_is_not_doubted_again() {
    let server = Scripted::start().await;
    server.edit(|script| script.token = "another".into());
    let client = server.client();
    client.condition(|condition| *condition == Condition::TokenRefused).await;
    let mut conditions = client.ma.conditions();
    conditions.mark_unchanged();
    server.called("auth", 10).await;
    assert!(!conditions.has_changed().unwrap(), "it is tried again: {:?}", client.ma.condition());
}

#[tokio::test]
async fn a_token_refused_right_after_a_restart_is_not_given_up() {
    let server = Scripted::start().await;
    server.edit(|script| script.token = "another".into());
    let client = server.client();
    client.condition(|condition| *condition == Condition::TokenDoubted).await;
    server.edit(|script| script.token = TOKEN.into());
    client.ready().await;
}

#[tokio::test]
async fn a_revoked_token_closes_the_connection_and_shows_at_the_next() {
    let server = Scripted::start().await;
    let client = server.client();
    client.ready().await;
    server.edit(|script| script.token = "another".into());
    server.cut();
    client.condition(|condition| *condition == Condition::TokenRefused).await;
}

#[tokio::test]
async fn a_new_token_in_the_file_is_taken_up() {
    let server = Scripted::start().await;
    let directory = tempdir("token");
    let file = directory.join("token");
    std::fs::write(&file, "wrong\n").unwrap();
    let mut settings = server.settings();
    settings.token = TokenSource::File(file.clone());
    settings.timing.slow_retry = Duration::from_secs(3600);
    let client = server.client_with(settings);
    client.condition(|condition| *condition == Condition::TokenRefused).await;
    std::fs::write(&file, format!("{TOKEN}\n")).unwrap();
    client.ready().await;
    std::fs::remove_dir_all(directory).unwrap();
}

#[tokio::test]
async fn no_server_and_other_servers_are_told_apart() {
    let server = Scripted::start().await;
    let mut settings = server.settings();
    // A port that was free a moment ago: nobody answers there.
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    settings.url = format!("ws://{}/ws", free.local_addr().unwrap()).parse().unwrap();
    drop(free);
    let client = server.client_with(settings);
    client.condition(|condition| matches!(condition, Condition::Unreachable { .. })).await;
    server.edit(|script| script.hello = json!({"welcome": "to something else"}));
    let client = server.client();
    client.condition(|condition| *condition == Condition::NotMusicAssistant).await;
}

#[tokio::test]
async fn a_starting_server_is_polled_until_it_runs() {
    let server = Scripted::start_with(vec![], vec![]).await;
    server.edit(|script| script.hello["status"] = json!("starting"));
    let client = server.client();
    client.condition(|condition| *condition == Condition::Starting).await;
    server.called("info", 2).await;
    server.edit(|script| {
        script.players = vec![player("up1", "Kitchen", json!({}))];
        script.hello["status"] = json!("running");
    });
    client.ready().await;
    assert_eq!(client.ma.directory().exposed().count(), 1);
}

#[tokio::test]
async fn players_that_are_missing_after_a_restart_are_kept_for_a_while() {
    let server = Scripted::start().await;
    let client = server.settled().await;
    server.edit(|script| script.players.clear());
    server.cut();
    client.condition(|condition| !condition.is_ready()).await;
    client.ready().await;
    {
        let directory = client.ma.directory();
        let player = directory.player("up1").expect("kept");
        assert!(!player.available);
    }
    let gone = client.ma.wait_until(PATIENCE, macloud_connector::music_assistant::directory::Directory::is_empty).await;
    assert!(gone, "after the grace the list counts");
}

#[tokio::test]
async fn wiped_data_is_another_home() {
    let server = Scripted::start().await;
    let client = server.settled().await;
    server.edit(|script| {
        script.hello["server_id"] = json!("another");
        script.players = vec![player("up2", "Bedroom", json!({}))];
    });
    server.cut();
    let replaced =
        |directory: &macloud_connector::music_assistant::directory::Directory| directory.player("up1").is_none();
    assert!(client.ma.wait_until(PATIENCE, replaced).await);
    assert!(client.ma.directory().player("up2").is_some());
}

#[tokio::test]
async fn parts_are_put_together_and_bounded() {
    let server = Scripted::start().await;
    let client = server.settled().await;
    let part = |count: usize| Value::from(vec![1; count]);
    server.answer("music/playlists/playlist_tracks", Answer::Parts(vec![part(500), part(500), part(213)]));
    let all = client.ma.call("music/playlists/playlist_tracks", json!({}), PATIENCE).await.unwrap();
    assert_eq!(all.as_array().unwrap().len(), 1213);
    server.answer("music/playlists/playlist_tracks", Answer::Parts(vec![part(500); 40]));
    let error = client.ma.call("music/playlists/playlist_tracks", json!({}), PATIENCE).await.unwrap_err();
    assert_eq!(error, CallError::TooLarge);
    client.ma.call("info", json!({}), PATIENCE).await.expect("the connection goes on");
}

#[tokio::test]
async fn frames_of_sixteen_mebibytes_are_accepted() {
    let server = Scripted::start().await;
    let client = server.settled().await;
    server.answer("music/tracks/count", Answer::Result("x".repeat(16 << 20).into()));
    let result = client.ma.call("music/tracks/count", json!({}), PATIENCE).await.unwrap();
    assert_eq!(result.as_str().unwrap().len(), 16 << 20);
}

#[tokio::test]
async fn requests_end_in_time_and_when_the_connection_breaks() {
    let server = Scripted::start().await;
    let client = server.settled().await;
    server.answer("players/cmd/next", Answer::Silence);
    let late = client.ma.call("players/cmd/next", json!({}), Duration::from_millis(50)).await;
    assert_eq!(late, Err(CallError::TimedOut));
    assert_eq!(server.calls("players/cmd/next").len(), 1, "never sent twice");
    server.answer("players/cmd/next", Answer::Close);
    let lost = client.ma.call("players/cmd/next", json!({}), PATIENCE).await;
    assert_eq!(lost, Err(CallError::Lost));
    client.condition(|condition| !condition.is_ready()).await;
    let away = client.ma.call("players/cmd/next", json!({}), PATIENCE).await;
    // It may have reconnected in between; then the answer is that of the script again.
    assert!(matches!(away, Err(CallError::Away | CallError::Lost)), "{away:?}");
}

#[tokio::test]
async fn error_codes_come_through_whatever_the_text_says() {
    let server = Scripted::start().await;
    let client = server.settled().await;
    server.answer("players/cmd/next", Answer::Error(11));
    let error = client.ma.call("players/cmd/next", json!({}), READ_LIMIT).await.unwrap_err();
    assert_eq!(error, CallError::Refused(ErrorCode(11)));
    assert!(!error.to_string().contains("irgendwas"), "texts of the server are not passed on");
}

#[tokio::test]
async fn events_move_the_directory_and_nonsense_does_not() {
    let server = Scripted::start().await;
    let client = server.settled().await;
    server.event("weather_changed", "x", json!({"sunny": true}));
    server.event("player_updated", "up1", json!("nonsense"));
    server.event("queue_time_updated", "up1", json!(12.5));
    server.event("queue_updated", "up1", queue("up1", 7, json!({"radio_source": [], "sources": null})));
    server.update_player("up1", json!({"name": "Galley", "playback_state": "playing"}));
    let renamed = client
        .ma
        .wait_until(PATIENCE, |directory| directory.player("up1").is_some_and(|player| player.name == "Galley"));
    assert!(renamed.await);
    assert_eq!(client.ma.directory().queue("up1").unwrap().items, 7);
}

pub fn tempdir(name: &str) -> std::path::PathBuf {
    let unique = macloud_service_kit::random::up_to(u64::MAX - 1);
    let path = std::env::temp_dir().join(format!("ma-connector-test-{name}-{unique}"));
    std::fs::create_dir_all(&path).unwrap();
    path
}
