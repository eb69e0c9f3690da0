//! No session lasts for ever.

use std::time::Duration;

use macloud_proto::link::GoodbyeReason;
use macloud_proto::link::frame::{Drain, FromRelay};
use tokio::time::Instant;

use crate::cloud::{Cloud, Home, HomeKey, delivered, goodbye};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// Reads (and so answers pings) until it is asked to dial in anew.
async fn asked(home: &mut Home) -> Drain {
    loop {
        match home.next().await {
            Some(FromRelay::Drain(drain)) => return drain,
            Some(_) => {}
            None => panic!("ended before it was asked"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_is_asked_for_a_fresh_proof_and_loses_no_command() {
    let cloud = Cloud::start_with(|config| config.session_life = HOUR * 2).await;
    let key = HomeKey::new(1);
    let mut home = cloud.home(&key).await;
    let begun = Instant::now();
    let drain = asked(&mut home).await;
    let after = begun.elapsed();
    assert!(after >= HOUR && after <= HOUR * 2 + SECOND * 60, "{after:?}");
    assert!(drain.reconnect_after <= SECOND * 60 && drain.leaving_in == HOUR, "{drain:?}");
    let old = home.serve();
    assert_eq!(cloud.command(&key, 1, SECOND).await, delivered(1));
    let new = cloud.home(&key).await;
    new.serve();
    assert_eq!(cloud.command(&key, 2, SECOND).await, delivered(2));
    assert_eq!(old.await.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_home_that_cannot_prove_itself_again_does_not_stay() {
    let cloud = Cloud::start_with(|config| config.session_life = HOUR * 2).await;
    let mut home = cloud.home(&HomeKey::new(1)).await;
    asked(&mut home).await;
    let asked = Instant::now();
    assert_eq!(goodbye(&mut home.socket).await, GoodbyeReason::Drained);
    assert!(asked.elapsed() >= HOUR && asked.elapsed() <= HOUR + SECOND, "{:?}", asked.elapsed());
}

#[tokio::test(start_paused = true)]
async fn nobody_is_asked_while_the_account_service_is_away() {
    let cloud = Cloud::start_with(|config| config.session_life = HOUR * 2).await;
    let mut home = cloud.home(&HomeKey::new(1)).await;
    cloud.accounts.set_away(true);
    cloud.accounts.break_streams(false);
    let away = tokio::time::timeout(HOUR * 3, asked(&mut home)).await;
    assert!(away.is_err(), "{away:?}");
    cloud.accounts.set_away(false);
    tokio::time::timeout(SECOND * 120, asked(&mut home)).await.expect("asked when there are tokens again");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_leaves_does_not_wait_for_those_it_had_asked() {
    let cloud = Cloud::start_with(|config| config.session_life = HOUR * 2).await;
    let mut home = cloud.home(&HomeKey::new(1)).await;
    asked(&mut home).await;
    cloud.stop.stop_soft();
    assert_eq!(asked(&mut home).await.leaving_in, SECOND * 20);
    assert_eq!(goodbye(&mut home.socket).await, GoodbyeReason::Drained);
    drop(home);
    cloud.run.await.unwrap();
}
