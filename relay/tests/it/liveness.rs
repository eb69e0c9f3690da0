//! Homes that are dead, deaf or slow, and how soon that is known.

use std::time::Duration;

use macloud_proto::bus::v1::{not_sent, unknown};
use macloud_proto::link::GoodbyeReason;
use tokio::time::Instant;

use crate::cloud::{self, Cloud, HomeKey, delivered, dispatch, fetch_pre_key, goodbye, id, until};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_dead_home_is_known_within_three_seconds() {
    let cloud = Cloud::start().await;
    let key = HomeKey::new(1);
    // Accepts bytes, and never reads or answers: its pongs do not come either.
    let _dead = cloud.home(&key).await;
    let before = Instant::now();
    let answer = cloud.command(&key, 1, SECOND * 6).await;
    assert_eq!(answer, cloud::unknown(unknown::Reason::Unresponsive));
    assert!(before.elapsed() <= SECOND * 3, "{:?}", before.elapsed());
    // The second command does not wait again.
    let before = Instant::now();
    assert_eq!(cloud.command(&key, 2, SECOND * 6).await, cloud::not_sent(not_sent::Reason::NotConnected));
    assert!(before.elapsed() < SECOND / 10);
}

#[tokio::test(start_paused = true)]
async fn a_dead_home_is_known_as_soon_by_a_pre_key_fetch() {
    let cloud = Cloud::start().await;
    let key = HomeKey::new(1);
    let _dead = cloud.home(&key).await;
    let before = Instant::now();
    let answer = cloud.unary(fetch_pre_key(&key, false)).await.unwrap().outcome.unwrap();
    assert_eq!(answer, cloud::unknown(unknown::Reason::Unresponsive));
    assert!(before.elapsed() <= SECOND * 3, "{:?}", before.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_idle_dead_home_is_let_go_after_a_ping() {
    let cloud = Cloud::start().await;
    let _dead = cloud.home(&HomeKey::new(1)).await;
    tokio::time::sleep(SECOND * 19).await;
    assert_eq!(cloud.relay.connected(), 1);
    tokio::time::sleep(SECOND * 18).await;
    assert_eq!(cloud.relay.connected(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_idle_living_home_stays() {
    let cloud = Cloud::start().await;
    let key = HomeKey::new(1);
    cloud.home(&key).await.serve();
    tokio::time::sleep(SECOND * 600).await;
    assert_eq!(cloud.relay.connected(), 1);
    assert_eq!(cloud.command(&key, 1, SECOND).await, delivered(1));
}

#[tokio::test(start_paused = true)]
async fn a_slow_execution_is_not_a_dead_home() {
    let cloud = Cloud::start().await;
    let key = HomeKey::new(1);
    let mut home = cloud.home(&key).await;
    let slow = cloud.command_later(&key, 1, SECOND * 6);
    let command = home.command().await;
    home.received(command).await;
    tokio::time::sleep(SECOND * 5).await;
    home.reply(command).await;
    assert_eq!(slow.await.unwrap(), delivered(1));
}

#[tokio::test(start_paused = true)]
async fn a_slow_command_does_not_hold_up_a_quick_one() {
    let cloud = Cloud::start().await;
    let key = HomeKey::new(1);
    let mut home = cloud.home(&key).await;
    let slow = cloud.command_later(&key, 1, SECOND * 6);
    assert_eq!(home.command().await, id(1));
    home.received(id(1)).await;
    let quick = cloud.command_later(&key, 2, SECOND * 6);
    assert_eq!(home.command().await, id(2));
    home.reply(id(2)).await;
    assert_eq!(quick.await.unwrap(), delivered(2));
    home.reply(id(1)).await;
    assert_eq!(slow.await.unwrap(), delivered(1));
}

#[tokio::test(start_paused = true)]
async fn the_deadline_is_kept_and_the_late_reply_dropped() {
    let cloud = Cloud::start().await;
    let key = HomeKey::new(1);
    let mut home = cloud.home(&key).await;
    let before = Instant::now();
    let late = cloud.command_later(&key, 1, SECOND);
    home.command().await;
    home.received(id(1)).await;
    assert_eq!(late.await.unwrap(), cloud::unknown(unknown::Reason::Deadline));
    assert!(before.elapsed() <= SECOND, "{:?}", before.elapsed());
    assert_eq!(home.next().await, Some(macloud_proto::link::frame::FromRelay::Cancel(id(1))));
    home.reply(id(1)).await;
    let next = cloud.command_later(&key, 2, SECOND);
    assert_eq!(home.command().await, id(2));
    home.reply(id(2)).await;
    assert_eq!(next.await.unwrap(), delivered(2));
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_is_busy_and_nothing_is_sent() {
    let cloud = Cloud::start().await;
    let key = HomeKey::new(1);
    // No credit: everything waits.
    let _home = cloud.home_with(&key, 0).await;
    let (mut stream, _) = cloud.stream().await;
    for number in 0..65 {
        stream.call(number.into(), dispatch(&key, number, SECOND * 6));
    }
    assert_eq!(stream.answer().await, (64, cloud::not_sent(not_sent::Reason::Busy)));
    for _ in 0..64 {
        assert_eq!(stream.answer().await.1, cloud::not_sent(not_sent::Reason::Deadline));
    }
}

#[tokio::test(start_paused = true)]
async fn a_home_that_does_not_read_is_closed() {
    let cloud = Cloud::start().await;
    let key = HomeKey::new(1);
    let mut home = cloud.home_with(&key, 1000).await;
    let (mut stream, _) = cloud.stream().await;
    // More than the pipe and the socket's buffers hold.
    for number in 0..8u8 {
        let mut call = dispatch(&key, number, SECOND * 20);
        let sealed = vec![number; 60 * 1024];
        let body =
            macloud_proto::bus::v1::Dispatch { command_id: vec![number; 16].into(), sealed: sealed.into(), class: 0 };
        call.body = Some(macloud_proto::bus::v1::call::Body::Dispatch(body));
        stream.call(number.into(), call);
    }
    let before = Instant::now();
    for _ in 0..8 {
        let (_, answer) = stream.answer().await;
        assert!(
            matches!(
                answer,
                macloud_proto::bus::v1::answer::Outcome::NotSent(_)
                    | macloud_proto::bus::v1::answer::Outcome::Unknown(_)
            ),
            "{answer:?}"
        );
    }
    assert!(before.elapsed() <= SECOND * 6);
    until(|| cloud.relay.connected() == 0).await;
    // What was already on its way can still be read.
    let mut commands = 0;
    while let Some(frame) = home.next().await {
        commands += u32::from(matches!(frame, macloud_proto::link::frame::FromRelay::Command(_)));
    }
    assert!(commands < 8);
}

#[tokio::test(start_paused = true)]
async fn a_home_over_its_rate_is_told_when_there_is_room() {
    let cloud = Cloud::start_with(|config| config.max_commands_per_minute = 2).await;
    let key = HomeKey::new(1);
    cloud.home(&key).await.serve();
    for number in 0..2 {
        assert_eq!(cloud.command(&key, number, SECOND).await, delivered(number));
    }
    let refused = cloud.command(&key, 3, SECOND).await;
    let macloud_proto::bus::v1::answer::Outcome::NotSent(refused) = refused else { panic!("{refused:?}") };
    assert_eq!(refused.reason, i32::from(not_sent::Reason::RateLimited));
    assert!((29_000..=30_000).contains(&refused.retry_after_ms), "{}", refused.retry_after_ms);
    tokio::time::sleep(SECOND * 30).await;
    assert_eq!(cloud.command(&key, 4, SECOND).await, delivered(4));
}

#[tokio::test(start_paused = true)]
async fn an_evicted_home_is_told_why_if_it_can_still_hear() {
    let cloud = Cloud::start().await;
    let key = HomeKey::new(1);
    let mut home = cloud.home(&key).await;
    cloud.command(&key, 1, SECOND * 6).await;
    assert_eq!(goodbye(&mut home.socket).await, GoodbyeReason::Unresponsive);
}
