//! The bus as callers see it.

use std::time::Duration;

use bytes::Bytes;
use macloud_proto::bus::v1::{self as bus, answer, call, from_relay, not_sent};
use macloud_proto::link::frame::{FromConnector, FromRelay, PreKeyAnswer};
use tonic::Code;

use crate::cloud::{self, Cloud, HomeKey, delivered, dispatch, fetch_pre_key, id};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_command_goes_there_and_back() {
    let cloud = Cloud::start().await;
    let key = HomeKey::new(1);
    let mut home = cloud.home(&key).await;
    let epoch = home.welcome.session_epoch;
    let (mut stream, opened) = cloud.stream().await;
    assert_eq!((opened.node_id.as_str(), opened.credit), ("relay-1", 256));
    stream.call(42, dispatch(&key, 1, SECOND * 6));
    let Some(FromRelay::Command(command)) = home.next().await else { panic!("no command") };
    assert_eq!((command.command_id, command.sealed.len()), (id(1), 100));
    assert!(command.remaining <= SECOND * 6 && command.remaining > SECOND * 5);
    assert!(command.traceparent.starts_with("00-0af7651916cd43dd8448eb211c80319c"));
    home.received(id(1)).await;
    tokio::time::sleep(Duration::from_millis(30)).await;
    home.reply(id(1)).await;
    let Some(from_relay::Body::Answer(answer)) = stream.next().await else { panic!("no answer") };
    assert_eq!((answer.correlation, answer.outcome.unwrap()), (42, delivered(1)));
    assert_eq!((answer.owner_node_id.as_str(), answer.session_epoch), ("relay-1", epoch));
    let timing = answer.timing.unwrap();
    assert_eq!(timing.home_micros, 77);
    assert!(timing.replied_micros >= 30_000 && timing.replied_micros < 40_000, "{timing:?}");
}

#[tokio::test(start_paused = true)]
async fn many_calls_share_a_stream_and_each_gets_its_own_answer() {
    let cloud = Cloud::start().await;
    let keys: Vec<_> = (0..10).map(HomeKey::new).collect();
    for key in &keys {
        cloud.home(key).await.serve();
    }
    let (mut stream, _) = cloud.stream().await;
    for correlation in 0..200u64 {
        stream.call(correlation, dispatch(&keys[correlation as usize % 10], correlation as u8, SECOND * 6));
    }
    let mut seen = std::collections::HashSet::new();
    for _ in 0..200 {
        let (correlation, outcome) = stream.answer().await;
        assert_eq!(outcome, delivered(correlation as u8));
        assert!(seen.insert(correlation));
    }
}

#[tokio::test(start_paused = true)]
async fn a_home_that_is_not_there_is_answered_at_once() {
    let cloud = Cloud::start().await;
    let answer = cloud.unary(dispatch(&HomeKey::new(1), 1, SECOND)).await.unwrap();
    assert_eq!(answer.outcome.unwrap(), cloud::not_sent(not_sent::Reason::NotConnected));
    assert_eq!((answer.owner_node_id.as_str(), answer.session_epoch), ("", 0));
}

#[tokio::test(start_paused = true)]
async fn malformed_calls_are_errors_of_the_unary_front_and_answers_of_the_stream() {
    let cloud = Cloud::start().await;
    let key = HomeKey::new(1);
    let good = || dispatch(&key, 1, SECOND);
    let with_body = |command_id: usize, sealed: usize| bus::Call {
        body: Some(call::Body::Dispatch(bus::Dispatch {
            command_id: vec![0; command_id].into(),
            sealed: vec![0; sealed].into(),
            class: 0,
        })),
        ..good()
    };
    let cases = [
        ("instance", bus::Call { instance_id: "../../etc".into(), ..good() }),
        ("no time", bus::Call { remaining_ms: 0, ..good() }),
        ("too much time", bus::Call { remaining_ms: 30_001, ..good() }),
        ("no body", bus::Call { body: None, ..good() }),
        ("a short id", with_body(15, 10)),
        ("too large", with_body(16, 60 * 1024 + 1)),
    ];
    let (mut stream, _) = cloud.stream().await;
    for (name, call) in cases {
        assert_eq!(cloud.unary(call.clone()).await.unwrap_err().code(), Code::InvalidArgument, "{name}");
        stream.call(7, call);
        assert_eq!(stream.answer().await, (7, cloud::not_sent(not_sent::Reason::Invalid)), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_grpc_deadline_counts_too() {
    let cloud = Cloud::start().await;
    let key = HomeKey::new(1);
    let mut home = cloud.home(&key).await;
    let mut request = tonic::Request::new(dispatch(&key, 1, SECOND * 6));
    request.set_timeout(SECOND);
    let mut client = cloud.bus.clone();
    let call = tokio::spawn(async move { client.dispatch(request).await });
    home.command().await;
    home.received(id(1)).await;
    let answer = call.await.unwrap().unwrap().into_inner().outcome.unwrap();
    assert_eq!(answer, cloud::unknown(bus::unknown::Reason::Deadline));
}

#[tokio::test(start_paused = true)]
async fn credit_bounds_what_a_stream_may_have_in_flight() {
    let cloud = Cloud::start_with(|config| config.bus_credit = 4).await;
    let key = HomeKey::new(1);
    let mut home = cloud.home(&key).await;
    let (mut stream, opened) = cloud.stream().await;
    assert_eq!(opened.credit, 4);
    for number in 0..5u8 {
        stream.call(number.into(), dispatch(&key, number, SECOND * 6));
    }
    assert_eq!(stream.answer().await, (4, cloud::not_sent(not_sent::Reason::Busy)));
    // Each answer gives one credit back.
    for number in 0..4 {
        let command = home.command().await;
        home.reply(command).await;
        assert_eq!(stream.answer().await, (number.into(), delivered(number)));
    }
    stream.call(9, dispatch(&key, 9, SECOND * 6));
    assert_eq!(home.command().await, id(9));
}

#[tokio::test(start_paused = true)]
async fn a_caller_far_beyond_its_credit_loses_its_stream() {
    let cloud = Cloud::start_with(|config| config.bus_credit = 2).await;
    let key = HomeKey::new(1);
    let _home = cloud.home(&key).await;
    let (mut stream, _) = cloud.stream().await;
    for number in 0..10u8 {
        stream.call(number.into(), dispatch(&key, number, SECOND * 6));
    }
    let mut ended = None;
    while ended.is_none() {
        ended = stream.answers.message().await.err();
    }
    assert_eq!(ended.unwrap().code(), Code::ResourceExhausted);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_call_is_taken_back_or_the_home_is_told() {
    let cloud = Cloud::start().await;
    let key = HomeKey::new(1);
    let mut home = cloud.home_with(&key, 1).await;
    let (mut stream, _) = cloud.stream().await;
    stream.call(1, dispatch(&key, 1, SECOND * 6));
    assert_eq!(home.command().await, id(1));
    stream.call(2, dispatch(&key, 2, SECOND * 6));
    stream.cancel(2);
    assert_eq!(stream.answer().await, (2, cloud::not_sent(not_sent::Reason::Cancelled)));
    stream.cancel(1);
    assert_eq!(home.next().await, Some(FromRelay::Cancel(id(1))));
    home.reply(id(1)).await;
    assert_eq!(stream.answer().await, (1, delivered(1)));
    stream.cancel(77);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_away_cancels_its_calls() {
    let cloud = Cloud::start().await;
    let key = HomeKey::new(1);
    let mut home = cloud.home(&key).await;
    let (stream, _) = cloud.stream().await;
    stream.call(1, dispatch(&key, 1, SECOND * 6));
    assert_eq!(home.command().await, id(1));
    home.received(id(1)).await;
    drop(stream);
    assert_eq!(home.next().await, Some(FromRelay::Cancel(id(1))));
    let call = cloud.command_later(&key, 2, SECOND * 6);
    assert_eq!(home.command().await, id(2));
    home.received(id(2)).await;
    call.abort();
    assert_eq!(home.next().await, Some(FromRelay::Cancel(id(2))));
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_has_said_everything_still_gets_its_answers() {
    let cloud = Cloud::start().await;
    let key = HomeKey::new(1);
    let mut home = cloud.home(&key).await;
    let (stream, _) = cloud.stream().await;
    stream.call(1, dispatch(&key, 1, SECOND * 6));
    let cloud::BusStream { calls, mut answers } = stream;
    drop(calls);
    assert_eq!(home.command().await, id(1));
    home.reply(id(1)).await;
    let answer = answers.message().await.unwrap().unwrap();
    assert!(matches!(answer.body, Some(from_relay::Body::Answer(_))));
}

#[tokio::test(start_paused = true)]
async fn pre_keys_are_shared_and_cached_for_seconds() {
    let cloud = Cloud::start().await;
    let key = HomeKey::new(1);
    let mut home = cloud.home(&key).await;
    let (mut stream, _) = cloud.stream().await;
    stream.call(1, fetch_pre_key(&key, false));
    stream.call(2, fetch_pre_key(&key, false));
    let Some(FromRelay::PreKeyRequest(request_id)) = home.next().await else { panic!("no request") };
    let signed_pre_key = Bytes::from_static(b"signed pre-key");
    let answer = PreKeyAnswer { request_id, signed_pre_key: signed_pre_key.clone() };
    home.send(FromConnector::PreKeyAnswer(answer)).await;
    let expected = answer::Outcome::PreKey(bus::PreKey { signed_pre_key });
    assert_eq!(stream.answer().await, (1, expected.clone()));
    assert_eq!(stream.answer().await, (2, expected.clone()));
    stream.call(3, fetch_pre_key(&key, false));
    assert_eq!(stream.answer().await, (3, expected.clone()));
    stream.call(4, fetch_pre_key(&key, true));
    assert!(matches!(home.next().await, Some(FromRelay::PreKeyRequest(_))));
    // A new session has new keys.
    let mut newer = cloud.home(&key).await;
    assert!(matches!(newer.next().await, Some(FromRelay::PreKeyRequest(_))), "the fetch in flight moves along");
    stream.call(5, fetch_pre_key(&key, false));
    let answer = PreKeyAnswer { request_id: 1, signed_pre_key: Bytes::from_static(b"newer") };
    newer.send(FromConnector::PreKeyAnswer(answer)).await;
    let expected = answer::Outcome::PreKey(bus::PreKey { signed_pre_key: Bytes::from_static(b"newer") });
    assert_eq!(stream.answer().await, (4, expected.clone()));
    assert_eq!(stream.answer().await, (5, expected));
}
