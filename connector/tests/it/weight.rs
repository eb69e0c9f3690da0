//! What is heavy: lists as large as Music Assistant sends them.

use serde_json::{Value, json};

use crate::scripted::{Scripted, player, queue};

#[tokio::test]
async fn a_list_of_sixteen_mebibytes_is_taken() {
    // Art, biographies and whatever newer servers add: none of it is wanted here, and all of it has to pass.
    let filling = "x".repeat(17 << 10);
    let players: Vec<Value> =
        (0..1000).map(|n| player(&format!("up{n}"), &format!("Room {n}"), json!({ "filling": filling }))).collect();
    assert!(serde_json::to_string(&players).unwrap().len() > 16 << 20);
    let server = Scripted::start_with(players, vec![queue("up0", 1, json!({}))]).await;
    let client = server.client();
    client.ready().await;
    assert_eq!(client.ma.directory().exposed().count(), 1000);
}
