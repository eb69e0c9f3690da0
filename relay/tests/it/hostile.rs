//! Homes that are admitted and then do their worst, beneath and above the frames of the link.

use std::time::Duration;

use bytes::Bytes;
use futures_util::SinkExt as _;
use macloud_proto::MAX_FRAME_BYTES;
use macloud_proto::link::GoodbyeReason;
use macloud_proto::link::frame::{FromConnector, Reply};
use tokio::io::AsyncWriteExt as _;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use crate::cloud::{Cloud, Home, HomeKey, Socket, delivered, goodbye, id, until};

const SECOND: Duration = Duration::from_secs(1);

fn part(bytes: impl Into<Bytes>, first: bool, last: bool) -> Message {
    let kind = if first { Data::Binary } else { Data::Continue };
    Message::Frame(Frame::message(bytes.into(), OpCode::Data(kind), last))
}

/// As one message in parts of this size, each followed by so many empty ones.
async fn send_in_parts(socket: &mut Socket, message: &[u8], size: usize, empty: usize) {
    let parts: Vec<_> = message.chunks(size).collect();
    for (number, bytes) in parts.iter().enumerate() {
        // The relay may have hung up already.
        if socket.send(part(bytes.to_vec(), number == 0, false)).await.is_err() {
            return;
        }
        for _ in 0..empty {
            let _ = socket.feed(part(Bytes::new(), false, false)).await;
        }
    }
    let _ = socket.send(part(Bytes::new(), false, true)).await;
}

#[tokio::test(start_paused = true)]
async fn a_frame_in_thousands_of_parts_is_read_whole() {
    let cloud = Cloud::start().await;
    let key = HomeKey::new(1);
    let mut home = cloud.home(&key).await;
    let call = cloud.command_later(&key, 1, SECOND * 6);
    home.command().await;
    let sealed = Bytes::from(vec![1 ^ 0xff; 50]);
    let reply =
        FromConnector::Reply(Reply { command_id: id(1), sealed, home: Duration::from_micros(0).into() }).encode();
    send_in_parts(&mut home.socket, &reply, 1, 100).await;
    assert_eq!(call.await.unwrap(), delivered(1));
}

#[tokio::test(start_paused = true)]
async fn parts_that_are_too_much_together_are_refused() {
    let cloud = Cloud::start().await;
    let mut home = cloud.home(&HomeKey::new(1)).await;
    send_in_parts(&mut home.socket, &vec![0; MAX_FRAME_BYTES + 1], 64, 0).await;
    assert_eq!(goodbye(&mut home.socket).await, GoodbyeReason::Protocol);
    until(|| cloud.relay.connected() == 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_message_that_never_ends_does_not_count_as_life() {
    let cloud = Cloud::start().await;
    let mut home = cloud.home(&HomeKey::new(1)).await;
    home.socket.send(part(vec![0], true, false)).await.unwrap();
    for _ in 0..60 {
        tokio::time::sleep(SECOND).await;
        if home.socket.send(part(Bytes::new(), false, false)).await.is_err() {
            break;
        }
    }
    assert_eq!(cloud.relay.connected(), 0, "it has not answered a single ping");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_of_the_websocket_protocol_ends_the_session_at_once() {
    let promise = |length: [u8; 8]| [&[0x82, 0xff][..], &length, &[1, 2, 3, 4]].concat();
    let cases = [
        ("a length of 2^62", promise([0x40, 0, 0, 0, 0, 0, 0, 0])),
        ("a length of 2^63", promise([0x80, 0, 0, 0, 0, 0, 0, 0])),
        ("a little too long", promise([0, 0, 0, 0, 0, 1, 0, 1])),
        ("no mask", vec![0x82, 2, 0x52, 0]),
        ("a reserved bit", vec![0xc2, 0x82, 0, 0, 0, 0, 0x52, 0]),
        ("a reserved kind", vec![0x83, 0x80, 0, 0, 0, 0]),
        ("a long ping", [&[0x89, 0xfe, 0, 200, 0, 0, 0, 0][..], &[0; 200]].concat()),
        ("a part of nothing", vec![0x80, 0x81, 0, 0, 0, 0, 0]),
    ];
    let cloud = Cloud::start().await;
    for (name, bytes) in cases {
        let mut home = cloud.home(&HomeKey::new(1)).await;
        home.socket.get_mut().write_all(&bytes).await.unwrap();
        assert_eq!(goodbye(&mut home.socket).await, GoodbyeReason::Protocol, "{name}");
        until(|| cloud.relay.connected() == 0).await;
    }
}

#[tokio::test(start_paused = true)]
async fn garbage_in_place_of_hello_gives_the_place_back_at_once() {
    let cloud = Cloud::start_with(|config| config.max_handshakes = 1).await;
    let key = HomeKey::new(1);
    let nonce = cloud.nonce(&key).await;
    let dial = || crate::cloud::Dial::of(&key, key.token(), Some(&nonce));
    let garbage = [
        Message::Binary(vec![0xff; 100].into()),
        Message::Binary(FromConnector::Credit(1).encode()),
        Message::Text("hello".into()),
        Message::Binary(vec![0; MAX_FRAME_BYTES + 1].into()),
    ];
    for message in garbage {
        let mut socket = cloud.dial_with(dial()).await.unwrap();
        let _ = socket.send(message).await;
        assert_eq!(goodbye(&mut socket).await, GoodbyeReason::Protocol);
        drop(socket);
        tokio::time::sleep(SECOND * 2).await;
    }
    Home::greet(cloud.dial_with(dial()).await.unwrap(), 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_home_that_floods_is_closed_and_others_are_served_meanwhile() {
    let cloud = Cloud::start().await;
    let (loud, other) = (HomeKey::new(1), HomeKey::new(2));
    let mut home = cloud.home(&loud).await;
    cloud.home(&other).await.serve();
    let flood = tokio::spawn(async move {
        // The test's token allows any number of commands; the node allows 6000 and as many reads, and so many late replies.
        for _ in 0..60_000 {
            if home.socket.feed(Message::Binary(FromConnector::Unknown.encode())).await.is_err() {
                break;
            }
        }
        let _ = home.socket.flush().await;
        goodbye(&mut home.socket).await
    });
    assert_eq!(cloud.command(&other, 1, SECOND).await, delivered(1));
    assert_eq!(flood.await.unwrap(), GoodbyeReason::Protocol);
}
