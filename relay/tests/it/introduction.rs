//! Hello within the request that asks for the WebSocket.

use std::sync::atomic::Ordering;
use std::time::Duration;

use base64::Engine as _;
use macloud_proto::link::GoodbyeReason;
use macloud_proto::link::frame::{FromConnector, FromRelay, Hello};
use macloud_proto::link::introduction::{HELLO_HEADER, MAX_VALUE};
use macloud_proto::link::resumption::PROOF_HEADER;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio_tungstenite::tungstenite::Message;

use crate::cloud::net::Net;
use crate::cloud::{Cloud, Dial, Home, HomeKey, Socket, URL, goodbye, next_frame, until};

fn hello(install_id: [u8; 16]) -> Hello {
    Hello { version_min: 1, version_max: 1, install_id, software: "test".into(), credit: 8 }
}

async fn dial(cloud: &Cloud, home: &HomeKey, hello: Hello) -> Dial {
    let nonce = cloud.nonce(home).await;
    Dial::of(home, home.token(), Some(&nonce)).set(HELLO_HEADER, &hello.to_header())
}

/// The socket, and whether the relay has taken the Hello.
async fn open(connection: DuplexStream, dial: Dial) -> (Socket, bool) {
    let (socket, answer) = tokio_tungstenite::client_async(dial.into_request(), connection).await.unwrap();
    let taken = answer.headers().get(HELLO_HEADER).map(|value| value.to_str().unwrap().to_owned());
    assert!(taken.is_none() || taken.as_deref() == Some("taken"), "{taken:?}");
    (socket, taken.is_some())
}

#[tokio::test(start_paused = true)]
async fn welcome_comes_in_one_piece_with_the_upgrades_answer() {
    let cloud = Cloud::start().await;
    let key = HomeKey::new(1);
    let request = dial(&cloud, &key, hello([7; 16])).await.raw();
    let mut connection = cloud.connection();
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4096];
    let length = connection.read(&mut answer).await.unwrap();
    let end = answer[..length].windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    assert!(answer.starts_with(b"HTTP/1.1 101 "));
    // An unmasked binary message of less than 64 KiB (RFC 6455, section 5.2).
    let [0x82, 126, high, low, ref welcome @ ..] = answer[end..length] else { panic!("no message follows") };
    assert_eq!(usize::from(u16::from_be_bytes([high, low])), welcome.len());
    assert!(matches!(FromRelay::decode(welcome.to_vec().into()), Ok(FromRelay::Welcome(_))));
    until(|| cloud.relay.connected() == 1).await;
}

#[tokio::test(start_paused = true)]
async fn who_was_introduced_obeys_like_any_other() {
    let cloud = Cloud::start().await;
    let key = HomeKey::new(1);
    let (mut socket, taken) = open(cloud.connection(), dial(&cloud, &key, hello([7; 16])).await).await;
    assert!(taken);
    let Some(FromRelay::Welcome(welcome)) = next_frame(&mut socket).await else { panic!("no welcome") };
    let served = Home { socket, welcome }.serve();
    for id in 1..=20 {
        assert_eq!(cloud.command(&key, id, Duration::from_secs(5)).await, crate::cloud::delivered(id));
    }
    drop(cloud);
    assert_eq!(served.await.unwrap(), 20);
}

#[tokio::test(start_paused = true)]
async fn hello_again_in_a_frame_is_one_too_many() {
    let cloud = Cloud::start().await;
    let (mut socket, _) = open(cloud.connection(), dial(&cloud, &HomeKey::new(1), hello([7; 16])).await).await;
    let again = Message::Binary(FromConnector::Hello(hello([7; 16])).encode());
    futures_util::SinkExt::send(&mut socket, again).await.unwrap();
    assert_eq!(goodbye(&mut socket).await, GoodbyeReason::Protocol);
    until(|| cloud.relay.connected() == 0).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_no_hello_is_refused_before_it_costs_anything() {
    let cloud = Cloud::start().await;
    let key = HomeKey::new(1);
    let good = dial(&cloud, &key, hello([7; 16])).await;
    let reversed = Hello { version_min: 2, ..hello([7; 16]) }.to_header();
    let credit = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(FromConnector::Credit(1).encode());
    for bad in ["", "*", "taken", &reversed, &credit, &"A".repeat(MAX_VALUE + 1)] {
        let refused = cloud.dial_with(good.clone().set(HELLO_HEADER, bad)).await.unwrap_err();
        assert_eq!((refused.status, refused.error.as_str()), (400, "invalid_request"), "{bad}");
    }
    // The proof was not used up by them.
    let (mut socket, taken) = open(cloud.connection(), good).await;
    assert!(taken && matches!(next_frame(&mut socket).await, Some(FromRelay::Welcome(_))));
}

#[tokio::test(start_paused = true)]
async fn no_common_version_is_told_by_a_goodbye() {
    let cloud = Cloud::start().await;
    let key = HomeKey::new(1);
    let later = Hello { version_min: 7, version_max: 9, ..hello([7; 16]) };
    let (mut socket, taken) = open(cloud.connection(), dial(&cloud, &key, later).await).await;
    assert!(taken);
    assert_eq!(goodbye(&mut socket).await, GoodbyeReason::Version);
    cloud.home(&key).await;
}

#[tokio::test(start_paused = true)]
async fn another_installation_cannot_use_a_ticket_this_way_either() {
    let cloud = Cloud::start().await;
    let home = cloud.home(&HomeKey::new(1)).await;
    let (credential, nonce) = (home.welcome.resumption.clone().unwrap(), home.welcome.dpop_nonce.clone());
    let resume = async |install_id, id| {
        let dial = Dial::with_proof(String::new(), String::new()).without("dpop");
        let dial = dial.set("authorization", &credential.authorization());
        let dial = dial.set(PROOF_HEADER, &credential.prove(URL, &nonce, id));
        open(cloud.connection(), dial.set(HELLO_HEADER, &hello(install_id).to_header())).await.0
    };
    assert_eq!(goodbye(&mut resume([8; 16], "one").await).await, GoodbyeReason::Protocol);
    assert_eq!(cloud.relay.connected(), 1, "the session that was there is not touched");
    let mut again = resume([7; 16], "two").await;
    assert!(matches!(next_frame(&mut again).await, Some(FromRelay::Welcome(_))));
}

#[tokio::test(start_paused = true)]
async fn where_the_round_trip_is_not_known_hello_is_waited_for() {
    let key = HomeKey::new(1);
    let proxied = Cloud::start_with(|config| config.client_address_header = Some("x-forwarded-for".into())).await;
    for (cloud, handshaken) in [(Cloud::start().await, false), (proxied, true)] {
        let dial = dial(&cloud, &key, hello([7; 16])).await;
        let (socket, taken) = open(cloud.connection_with(handshaken), dial).await;
        assert!(!taken);
        Home::greet(socket, 8).await;
        until(|| cloud.relay.connected() == 1).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_directory_that_is_away_keeps_nobody_waiting_for_long() {
    let net = Net::new();
    let cloud = Cloud::start_in(&net, "one", |_| {}).await;
    net.away.store(true, Ordering::SeqCst);
    let (mut socket, _) = open(cloud.connection(), dial(&cloud, &HomeKey::new(1), hello([7; 16])).await).await;
    assert!(matches!(next_frame(&mut socket).await, Some(FromRelay::Welcome(_))));
}

#[tokio::test(start_paused = true)]
async fn who_hangs_up_leaves_nothing_behind() {
    let cloud = Cloud::start_with(|config| config.max_handshakes = 4).await;
    let key = HomeKey::new(1);
    for _ in 0..20 {
        let request = dial(&cloud, &key, hello([7; 16])).await.raw();
        let mut connection = cloud.connection();
        connection.write_all(request.as_bytes()).await.unwrap();
        tokio::task::yield_now().await;
        drop(connection);
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    until(|| cloud.relay.connected() == 0).await;
    cloud.home(&key).await;
}
