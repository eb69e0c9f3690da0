//! Leaving: soft, hard, and with commands in flight.

use std::time::Duration;

use macloud_proto::bus::v1::{from_relay, not_sent, unknown};
use macloud_proto::link::GoodbyeReason;
use macloud_proto::link::frame::{Drain, FromRelay};
use tokio::time::Instant;

use crate::cloud::{self, Cloud, HomeKey, delivered, dispatch, goodbye, id};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_soft_stop_asks_homes_to_move_and_answers_what_is_in_flight() {
    let cloud = Cloud::start().await;
    let (key, other) = (HomeKey::new(1), HomeKey::new(2));
    let mut home = cloud.home(&key).await;
    let (mut stream, _) = cloud.stream().await;
    stream.call(1, dispatch(&key, 1, SECOND * 5));
    assert_eq!(home.command().await, id(1));
    cloud.stop.stop_soft();
    match home.next().await {
        Some(FromRelay::Drain(Drain { reconnect_after, leaving_in })) => {
            assert!(reconnect_after < SECOND && leaving_in == SECOND * 20);
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(stream.next().await, Some(from_relay::Body::Draining(_))));
    home.reply(id(1)).await;
    assert_eq!(stream.answer().await, (1, delivered(1)));
    // A home that has nowhere to go keeps working until the end.
    stream.call(2, dispatch(&key, 2, SECOND * 5));
    assert_eq!(home.command().await, id(2));
    home.reply(id(2)).await;
    assert_eq!(stream.answer().await, (2, delivered(2)));
    // One that is not here may be elsewhere by now.
    stream.call(3, dispatch(&other, 3, SECOND * 5));
    assert_eq!(stream.answer().await, (3, cloud::not_sent(not_sent::Reason::Draining)));
    let refused = cloud.dial_with(cloud::Dial::of(&other, other.token(), None)).await.unwrap_err();
    assert_eq!(refused.status, 503);
    assert_eq!(goodbye(&mut home.socket).await, GoodbyeReason::Drained);
    cloud.run.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_soft_stop_ends_as_soon_as_everybody_has_moved() {
    let cloud = Cloud::start().await;
    let home = cloud.home(&HomeKey::new(1)).await;
    let before = Instant::now();
    cloud.stop.stop_soft();
    tokio::time::sleep(SECOND).await;
    drop(home);
    cloud.run.await.unwrap();
    assert!(before.elapsed() < SECOND * 2);
}

#[tokio::test(start_paused = true)]
async fn an_empty_node_leaves_at_once() {
    let cloud = Cloud::start().await;
    cloud.stop.stop_soft();
    tokio::time::timeout(SECOND, cloud.run).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn reconnects_are_spread_over_the_fleet() {
    let cloud = Cloud::start_with(|config| config.homes_per_second = 2).await;
    let mut homes = Vec::new();
    for number in 0..20 {
        homes.push(cloud.home(&HomeKey::new(number)).await);
    }
    cloud.stop.stop_soft();
    let mut hints = Vec::new();
    for home in &mut homes {
        let Some(FromRelay::Drain(drain)) = home.next().await else { panic!("not asked to move") };
        hints.push(drain.reconnect_after);
    }
    hints.sort();
    assert!(hints[0] < SECOND * 3 && hints[19] > SECOND * 7 && hints[19] <= SECOND * 10, "{hints:?}");
}

#[tokio::test(start_paused = true)]
async fn the_window_for_reconnects_grows_with_the_fleet() {
    let cloud = Cloud::start_with(|config| config.homes_per_second = 2).await;
    let mut windows = Vec::new();
    let mut homes = Vec::new();
    for number in 0..20 {
        let home = cloud.home(&HomeKey::new(number)).await;
        windows.push(home.welcome.reconnect_window);
        homes.push(home);
    }
    assert_eq!((windows[0], windows[19]), (SECOND * 2, SECOND * 10));
    // Who came early hears of it when it is pinged.
    assert_eq!(homes[0].next().await, Some(FromRelay::Spread(SECOND * 10)));
}

#[tokio::test(start_paused = true)]
async fn a_hard_stop_closes_everything_now() {
    let cloud = Cloud::start().await;
    let key = HomeKey::new(1);
    let mut home = cloud.home(&key).await;
    let written = cloud.command_later(&key, 1, SECOND * 5);
    home.command().await;
    let before = Instant::now();
    cloud.stop.stop_hard();
    assert_eq!(goodbye(&mut home.socket).await, GoodbyeReason::Shutdown);
    assert_eq!(written.await.unwrap(), cloud::unknown(unknown::Reason::LinkLost));
    drop(home);
    cloud.run.await.unwrap();
    assert!(before.elapsed() < SECOND * 3);
}
