//! One home, several sockets; and homes that break the rules.

use std::time::Duration;

use futures_util::SinkExt as _;
use macloud_proto::bus::v1::{not_sent, unknown};
use macloud_proto::link::GoodbyeReason;
use macloud_proto::link::frame::{FromConnector, FromRelay};
use macloud_service_kit::clock::Clock as _;
use tokio_tungstenite::tungstenite::Message;

use crate::cloud::{self, Cloud, Dial, Home, HomeKey, delivered, goodbye, id, until};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn the_newest_session_wins_and_the_old_one_is_told() {
    let cloud = Cloud::start().await;
    let key = HomeKey::new(1);
    let mut old = cloud.home(&key).await;
    let new = cloud.home(&key).await;
    assert!(new.welcome.session_epoch > old.welcome.session_epoch);
    assert_eq!(goodbye(&mut old.socket).await, GoodbyeReason::Replaced);
    drop(old);
    tokio::time::sleep(SECOND * 2).await;
    // The old session's end has not taken the new one's place away.
    new.serve();
    assert_eq!(cloud.command(&key, 1, SECOND).await, delivered(1));
    assert_eq!(cloud.relay.connected(), 1);
}

#[tokio::test(start_paused = true)]
async fn commands_of_a_replaced_session_move_to_the_new_one() {
    let cloud = Cloud::start().await;
    let key = HomeKey::new(1);
    let mut old = cloud.home_with(&key, 1).await;
    let written = cloud.answer_later(&key, 1, SECOND * 5);
    assert_eq!(old.command().await, id(1));
    let queued = cloud.answer_later(&key, 2, SECOND * 5);
    tokio::time::sleep(Duration::from_millis(10)).await;
    let new = cloud.home(&key).await;
    new.serve();
    let (written, queued) = (written.await.unwrap(), queued.await.unwrap());
    assert_eq!(written.outcome, Some(delivered(1)), "written and lost, so sent again under its id");
    assert_eq!(queued.outcome, Some(delivered(2)));
    assert!(written.sent_before, "the caller must know that the home may have carried it out before");
    assert!(!queued.sent_before);
}

#[tokio::test(start_paused = true)]
async fn two_installations_are_both_told_what_happens() {
    let cloud = Cloud::start().await;
    let key = HomeKey::new(1);
    let mut first = Home::greet_as(cloud.try_dial(&key).await.unwrap(), 1, [1; 16]).await;
    let _second = Home::greet_as(cloud.try_dial(&key).await.unwrap(), 1, [2; 16]).await;
    match first.next().await {
        Some(FromRelay::Goodbye(goodbye)) => assert_eq!(goodbye.detail, "another installation took over"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn installations_that_keep_displacing_each_other_are_both_told_to_stop() {
    let cloud = Cloud::start().await;
    let key = HomeKey::new(1);
    let mut last = Home::greet_as(cloud.try_dial(&key).await.unwrap(), 1, [0; 16]).await;
    let mut told = Vec::new();
    for number in 1..=4u8 {
        let next = Home::greet_as(cloud.try_dial(&key).await.unwrap(), 1, [number % 2; 16]).await;
        let Some(FromRelay::Goodbye(goodbye)) = last.next().await else { panic!("not told") };
        assert_eq!(goodbye.reason, GoodbyeReason::Replaced);
        told.push((goodbye.detail.contains("stop one of them"), next.welcome.contested));
        last = next;
        tokio::time::sleep(SECOND * 15).await;
    }
    assert_eq!(told, [(false, false), (false, false), (true, true), (true, true)]);
    // Whoever dials in again meanwhile may not have got the word, and is told again; until there was peace for a while.
    let again = Home::greet_as(cloud.try_dial(&key).await.unwrap(), 1, [0; 16]).await;
    assert!(again.welcome.contested);
    again.serve();
    cloud.clock.advance(SECOND * 16 * 60);
    let token = key.token_at(cloud.clock.unix_seconds());
    let refused = cloud.dial_with(Dial::of(&key, token.clone(), None)).await.unwrap_err();
    let socket = cloud.dial_with(Dial::of(&key, token, refused.nonce.as_deref())).await.unwrap();
    let later = Home::greet_as(socket, 1, [0; 16]).await;
    assert!(!later.welcome.contested);
}

#[tokio::test(start_paused = true)]
async fn a_cut_in_mid_command_is_answered_at_once() {
    let cloud = Cloud::start().await;
    let key = HomeKey::new(1);
    let mut home = cloud.home_with(&key, 1).await;
    let written = cloud.command_later(&key, 1, SECOND * 5);
    assert_eq!(home.command().await, id(1));
    let queued = cloud.command_later(&key, 2, SECOND * 5);
    tokio::time::sleep(Duration::from_millis(10)).await;
    let before = tokio::time::Instant::now();
    drop(home);
    assert_eq!(written.await.unwrap(), cloud::unknown(unknown::Reason::LinkLost));
    assert_eq!(queued.await.unwrap(), cloud::not_sent(not_sent::Reason::LinkLost));
    assert!(before.elapsed() < Duration::from_millis(100));
    until(|| cloud.relay.connected() == 0).await;
    let after = cloud.command(&key, 3, SECOND).await;
    assert_eq!(after, cloud::not_sent(not_sent::Reason::NotConnected));
}

#[tokio::test(start_paused = true)]
async fn a_home_that_says_goodbye_is_gone_at_once() {
    let cloud = Cloud::start().await;
    let key = HomeKey::new(1);
    let mut home = cloud.home(&key).await;
    let written = cloud.command_later(&key, 1, SECOND * 5);
    home.command().await;
    let reason = GoodbyeReason::Shutdown;
    let bye = macloud_proto::link::frame::Goodbye { reason, detail: "stopping".into() };
    home.send(FromConnector::Goodbye(bye)).await;
    assert_eq!(written.await.unwrap(), cloud::unknown(unknown::Reason::LinkLost));
    assert_eq!(cloud.command(&key, 2, SECOND).await, cloud::not_sent(not_sent::Reason::NotConnected));
    drop(home);
    tokio::time::sleep(SECOND * 30).await;
    cloud.clock.advance(Duration::from_hours(3));
    assert_eq!(cloud.command(&key, 3, SECOND).await, cloud::away(3 * 3600), "people are told since when");
    assert_eq!(cloud.command(&HomeKey::new(2), 4, SECOND).await, cloud::away(0), "it was never there");
}

#[tokio::test(start_paused = true)]
async fn frames_that_break_the_rules_end_the_session() {
    let cloud = Cloud::start().await;
    let key = HomeKey::new(1);
    let oversize = Message::Binary(vec![0; macloud_proto::MAX_FRAME_BYTES + 1].into());
    let wrong_way = FromRelay::PreKeyRequest(1).encode();
    let second_hello = macloud_proto::link::frame::Hello {
        version_min: 1,
        version_max: 1,
        install_id: [0; 16],
        software: String::new(),
        credit: 1,
    };
    let cases = [
        ("garbage", Message::Binary(vec![0xff; 20].into())),
        ("text", Message::Text("hello".into())),
        ("oversize", oversize),
        ("the wrong way", Message::Binary(wrong_way)),
        ("a second hello", Message::Binary(FromConnector::Hello(second_hello).encode())),
    ];
    for (name, message) in cases {
        let mut home = cloud.home(&key).await;
        // The relay may hang up while a large message is still being sent.
        let _ = home.socket.send(message).await;
        assert_eq!(goodbye(&mut home.socket).await, GoodbyeReason::Protocol, "{name}");
        assert!(home.next().await.is_none(), "{name}");
        until(|| cloud.relay.connected() == 0).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_empty_frame_and_unknown_kinds_are_ignored() {
    let cloud = Cloud::start().await;
    let key = HomeKey::new(1);
    let mut home = cloud.home(&key).await;
    home.send(FromConnector::Unknown).await;
    home.socket.send(Message::Binary(vec![0xa2, 0x06, 0x00].into())).await.unwrap();
    home.serve();
    assert_eq!(cloud.command(&key, 1, SECOND).await, delivered(1));
}
