//! The wire format, byte by byte. A released line of `golden/frames.txt` is never edited: older homes speak it.

use std::time::Duration;

use bytes::Bytes;
use macloud_proto::ids::CommandId;
use macloud_proto::link::GoodbyeReason;
use macloud_proto::link::frame::{
    Command, Drain, Event, FromConnector, FromRelay, Goodbye, Hello, HomeTime, PreKeyAnswer, Reply, Standing, Welcome,
};
use macloud_proto::link::resumption::{Credential, SECRET_BYTES};

const GOLDEN: &str = include_str!("golden/frames.txt");

const ID: CommandId = CommandId::from_bytes([0xa0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);

fn from_connector() -> Vec<(&'static str, FromConnector)> {
    let sealed = Bytes::from_static(b"sealed");
    let software = "ma-connector 0.1.0".to_owned();
    vec![
        (
            "hello",
            FromConnector::Hello(Hello { version_min: 1, version_max: 1, install_id: [7; 16], software, credit: 32 }),
        ),
        ("received", FromConnector::Received(ID)),
        (
            "reply",
            FromConnector::Reply(Reply {
                command_id: ID,
                sealed: sealed.clone(),
                home: Duration::from_micros(123_456).into(),
            }),
        ),
        (
            "reply_with_music",
            FromConnector::Reply(Reply {
                command_id: ID,
                sealed: sealed.clone(),
                home: HomeTime {
                    whole: Duration::from_micros(123_456),
                    music_after: Duration::from_micros(300),
                    music: Duration::from_micros(122_000),
                },
            }),
        ),
        (
            "pre_key_answer",
            FromConnector::PreKeyAnswer(PreKeyAnswer { request_id: 9, signed_pre_key: Bytes::from_static(b"key") }),
        ),
        ("event", FromConnector::Event(Event { event_id: [3; 16], key: Bytes::new(), sealed: sealed.clone() })),
        (
            "event_with_key",
            FromConnector::Event(Event { event_id: [3; 16], key: Bytes::from_static(b"key11"), sealed }),
        ),
        ("credit", FromConnector::Credit(16)),
        ("goodbye_shutdown", FromConnector::Goodbye(goodbye(GoodbyeReason::Shutdown, "stopping"))),
    ]
}

fn from_relay() -> Vec<(&'static str, FromRelay)> {
    let welcome = Welcome {
        version: 1,
        session_epoch: 1_795_000_000_000,
        ping_interval: Duration::from_secs(30),
        reconnect_window: Duration::from_secs(5),
        dpop_nonce: "nonce".into(),
        node_id: "relay-1".into(),
        contested: false,
        paused: false,
        events: false,
        resumption: None,
    };
    let credential = Credential::from_parts(Bytes::from_static(b"ticket"), &[7; SECRET_BYTES]);
    let command = Command {
        command_id: ID,
        remaining: Duration::from_millis(5_900),
        sealed: Bytes::from_static(b"sealed"),
        traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into(),
    };
    let drain = Drain { reconnect_after: Duration::from_millis(1_500), leaving_in: Duration::from_secs(20) };
    vec![
        ("welcome", FromRelay::Welcome(welcome.clone())),
        ("welcome_contested", FromRelay::Welcome(Welcome { contested: true, ..welcome.clone() })),
        ("welcome_paused", FromRelay::Welcome(Welcome { paused: true, ..welcome.clone() })),
        ("welcome_events", FromRelay::Welcome(Welcome { events: true, ..welcome.clone() })),
        ("welcome_resumption", FromRelay::Welcome(Welcome { resumption: credential, ..welcome })),
        ("command", FromRelay::Command(command)),
        ("pre_key_request", FromRelay::PreKeyRequest(9)),
        ("cancel", FromRelay::Cancel(ID)),
        ("drain", FromRelay::Drain(drain)),
        ("standing_paused", FromRelay::Standing(Standing { paused: true })),
        ("standing_resumed", FromRelay::Standing(Standing { paused: false })),
        ("spread", FromRelay::Spread(Duration::from_secs(5))),
        ("event_taken", FromRelay::EventTaken([3; 16])),
        ("goodbye_replaced", FromRelay::Goodbye(goodbye(GoodbyeReason::Replaced, "a newer session took over"))),
        ("goodbye_slow", FromRelay::Goodbye(goodbye(GoodbyeReason::Slow, ""))),
    ]
}

fn goodbye(reason: GoodbyeReason, detail: &str) -> Goodbye {
    Goodbye { reason, detail: detail.into() }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Bytes {
    (0..text.len() / 2).map(|at| u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).unwrap()).collect()
}

fn golden(direction: &str, name: &str) -> &'static str {
    let wanted = [direction, name];
    let line = GOLDEN
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .find(|words| words.len() == 3 && words[..2] == wanted);
    line.unwrap_or_else(|| panic!("no golden line for {wanted:?}"))[2]
}

#[test]
fn frames_of_a_connector_are_the_golden_bytes() {
    for (name, frame) in from_connector() {
        assert_eq!(hex(&frame.clone().encode()), golden("up", name), "up {name}");
        assert_eq!(FromConnector::decode(unhex(golden("up", name))), Ok(frame), "up {name}");
    }
}

#[test]
fn frames_of_a_relay_are_the_golden_bytes() {
    for (name, frame) in from_relay() {
        assert_eq!(hex(&frame.clone().encode()), golden("down", name), "down {name}");
        assert_eq!(FromRelay::decode(unhex(golden("down", name))), Ok(frame), "down {name}");
    }
}

#[test]
fn what_a_newer_peer_adds_is_skipped() {
    // Field 100 of Received, and a frame of kind 100.
    let received = unhex(golden("up", "received_with_unknown_field"));
    assert_eq!(FromConnector::decode(received), Ok(FromConnector::Received(ID)));
    assert_eq!(FromConnector::decode(unhex(golden("up", "unknown_kind"))), Ok(FromConnector::Unknown));
    assert_eq!(FromRelay::decode(unhex(golden("down", "unknown_kind"))), Ok(FromRelay::Unknown));
}
