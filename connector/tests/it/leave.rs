//! Taking leave: what is undone, what is not touched, and what is said to be left.

use std::process::Output;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use macloud_connector::music_assistant::token::Token;
use macloud_connector::state::StateDir;
use serde_json::{Value, json};

use crate::chain::Home;
use crate::cloud::instance;
use crate::program::lines;
use crate::scripted::{Answer, TOKEN};

/// A token as Music Assistant makes them, with this id.
fn token(id: &str) -> String {
    format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(json!({ "jti": id }).to_string()))
}

/// A paired home whose token is listed under this name.
async fn home_with_token_of(name: &str) -> Home {
    let home = Home::paired().await;
    let token = token("id-1");
    home.ma.edit(|script| script.token = token.clone());
    let state = StateDir::existing(&home.state_dir).unwrap();
    state.save_token(&Token::parse(&token).unwrap()).unwrap();
    let listed = json!([{"token_id": "id-0", "name": "MA Cloud connector"}, {"token_id": "id-1", "name": name}]);
    home.ma.answer("auth/tokens", Answer::Result(listed));
    // As it does: the connection ends with its token.
    home.ma.answer("auth/token/revoke", Answer::Close);
    home
}

async fn leave(home: &Home, args: &[&str]) -> (Output, Value) {
    let output = home.output("leave", &[&["--json", "--yes"][..], args].concat()).await;
    assert!(!String::from_utf8_lossy(&output.stdout).contains(&token("id-1")));
    let value = lines(&output).pop().unwrap_or_else(|| panic!("{output:?}"));
    (output, value)
}

#[tokio::test]
async fn who_leaves_leaves_nothing_behind() {
    let home = home_with_token_of("MA Cloud connector").await;
    let (output, told) = leave(&home, &[]).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(told, json!({"event": "left", "cloud": "unlinked", "music_assistant_token": "revoked", "by_hand": []}));
    assert_eq!(home.cloud.edit(|script| script.left), 1);
    assert_eq!(home.ma.calls("auth/token/revoke"), [json!({"token_id": "id-1"})]);
    assert!(!home.state_dir.exists());
    assert_eq!(home.output("leave", &[]).await.status.code(), Some(3), "there is nothing any more");
}

#[tokio::test]
async fn nobody_leaves_by_a_script_that_does_not_mean_it() {
    let home = Home::paired().await;
    for args in [&[][..], &["--json"], &["--keep-cloud"]] {
        let refused = home.output("leave", args).await;
        assert_eq!(refused.status.code(), Some(1), "{args:?}: {refused:?}");
        assert!(String::from_utf8_lossy(&refused.stderr).contains("--yes"), "{args:?}: {refused:?}");
    }
    assert_eq!(home.cloud.edit(|script| script.left), 0);
    assert!(StateDir::existing(&home.state_dir).unwrap().pairing().unwrap().is_some());
}

#[tokio::test]
async fn a_token_that_was_made_by_hand_stays() {
    let home = home_with_token_of("my scripts").await;
    std::fs::write(home.state_dir.join("notes.txt"), "somebody's").unwrap();
    let (output, told) = leave(&home, &[]).await;
    assert_eq!(output.status.code(), Some(1), "something is left to do");
    assert_eq!(told["music_assistant_token"], "not_ours");
    assert!(told["by_hand"][0].as_str().unwrap().contains("made by hand"), "{told}");
    assert!(home.ma.calls("auth/token/revoke").is_empty());
    let left: Vec<_> = std::fs::read_dir(&home.state_dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["notes.txt"], "what is somebody else's stays");
}

#[tokio::test]
async fn a_cloud_that_cannot_be_told_keeps_the_home_until_it_can_or_somebody_insists() {
    let home = home_with_token_of("MA Cloud connector").await;
    let state = StateDir::existing(&home.state_dir).unwrap();
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nowhere = format!("http://{}/", nobody.local_addr().unwrap());
    drop(nobody);
    let keys = state.skill_keys().unwrap().unwrap();
    let mut pairing = state.pairing().unwrap().unwrap();
    let cloud = std::mem::replace(&mut pairing.cloud, nowhere.parse().unwrap());
    state.save_pairing(&pairing, &keys).unwrap();
    let refused = home.output("leave", &["--json", "--yes"]).await;
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--force"), "{refused:?}");
    assert!(home.ma.calls("auth/token/revoke").is_empty(), "nothing is changed");
    assert!(state.public_identity().unwrap().is_some() && state.token().is_some());

    pairing.cloud = cloud;
    state.save_pairing(&pairing, &keys).unwrap();
    let (output, told) = leave(&home, &[]).await;
    assert_eq!((output.status.code(), &told["cloud"]), (Some(0), &json!("unlinked")), "tried again, it is done");

    let home = home_with_token_of("MA Cloud connector").await;
    let state = StateDir::existing(&home.state_dir).unwrap();
    pairing.cloud = nowhere.parse().unwrap();
    state.save_pairing(&pairing, &keys).unwrap();
    let (output, told) = leave(&home, &["--force", "--ma-url", &nowhere]).await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(told["cloud"]["not_told"].is_string() && told["music_assistant_token"] == "failed", "{told}");
    let by_hand = told["by_hand"].to_string();
    for step in ["unlink this home on its web page, under Homes", "delete the connector's token"] {
        assert!(by_hand.contains(step), "{by_hand}");
    }
    assert!(!home.state_dir.exists());
}

#[tokio::test]
async fn the_home_can_stay_in_the_cloud_and_one_that_is_elsewhere_does() {
    let home = Home::paired().await;
    let (_, told) = leave(&home, &["--keep-cloud"]).await;
    assert_eq!((&told["cloud"], home.cloud.edit(|script| script.left)), (&json!("kept"), 0));
    assert!(!home.state_dir.exists());

    let moved = Home::paired().await;
    moved.cloud.edit(|script| script.moved = true);
    let (output, told) = leave(&moved, &[]).await;
    assert_eq!((output.status.code(), &told["cloud"]), (Some(1), &json!("goes_on_elsewhere")));
    assert!(told["by_hand"].to_string().contains("goes on there"), "{told}");

    let gone = Home::paired().await;
    gone.cloud.edit(|script| script.revoked = true);
    let (_, told) = leave(&gone, &[]).await;
    assert_eq!(told["cloud"], "was_gone");
    assert!(!gone.state_dir.exists());
}

#[tokio::test]
async fn nobody_leaves_while_the_connector_runs() {
    let home = Home::paired().await;
    let running = home.run();
    let _relay = home.cloud.next_session(1).await;
    let refused = home.output("leave", &["--yes"]).await;
    assert_eq!(refused.status.code(), Some(4), "{refused:?}");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("Stop it first"));
    running.stop().await;
    let state = StateDir::existing(&home.state_dir).unwrap();
    assert_eq!(state.pairing().unwrap().unwrap().instance_id, instance());
    assert_eq!(state.token(), Token::parse(TOKEN));
}
