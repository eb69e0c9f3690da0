//! The same over real sockets and the real clock, once: what the in-memory pipes might hide.

use std::time::Duration;

use crate::cloud::{Cloud, Dial, Home, HomeKey, delivered};

#[tokio::test]
async fn a_command_goes_there_and_back_over_tcp() {
    let cloud = Cloud::start().await;
    let key = HomeKey::new(1);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, cloud.relay.router()).into_future());
    let nonce = cloud.nonce(&key).await;
    let dial = Dial::of(&key, key.token(), Some(&nonce));
    // Bridged into the pipe that the helpers speak.
    let (here, there) = tokio::io::duplex(64 * 1024);
    let mut tcp = tokio::net::TcpStream::connect(address).await.unwrap();
    tokio::spawn(async move {
        let mut there = there;
        tokio::io::copy_bidirectional(&mut there, &mut tcp).await
    });
    let (socket, _) = tokio_tungstenite::client_async(dial.into_request(), here).await.unwrap();
    Home::greet(socket, 4).await.serve();
    for number in 0..50 {
        assert_eq!(cloud.command(&key, number, Duration::from_secs(5)).await, delivered(number));
    }
}
