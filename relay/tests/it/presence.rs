//! The directory of sessions: one suite for each implementation.

use std::sync::Arc;
use std::time::Duration;

use macloud_proto::ids::InstanceId;
use macloud_relay::presence::{Claimed, LEASE, Location, MemoryPresence, NodeAddress, Presence, RedisPresence};
use macloud_service_kit::clock::{Clock as _, ManualClock};

use crate::cloud::NOW;

fn node(name: &str) -> NodeAddress {
    NodeAddress { node_id: name.into(), bus: format!("https://{name}.example:8444") }
}

fn home(number: u8) -> InstanceId {
    InstanceId::from_bytes(&[number; 16])
}

/// What every implementation does. Needs an empty directory.
async fn conforms(presence: &dyn Presence) {
    let (a, b) = (node("a"), node("b"));
    assert_eq!(presence.renew_lease(&a).await, Ok(false), "it was not there before");
    assert_eq!(presence.renew_lease(&a).await, Ok(true));
    assert_eq!(presence.renew_lease(&b).await, Ok(false));
    assert_eq!(presence.locate(&home(1)).await, Ok(None));

    let first = presence.claim(&home(1), "a", 0).await.unwrap();
    assert_eq!(first.before, None);
    assert_eq!(presence.locate(&home(1)).await, Ok(Some(Location { node: a.clone(), epoch: first.epoch })));
    assert_eq!(presence.locate(&home(2)).await, Ok(None));

    let second = presence.claim(&home(1), "b", 0).await.unwrap();
    assert!(second.epoch > first.epoch);
    assert_eq!(second.before, Some(a.clone()), "whoever had the home must be told");
    let at_b = Some(Location { node: b.clone(), epoch: second.epoch });
    assert_eq!(presence.release(&home(1), first.epoch).await, Ok(false), "the late goodbye of an old session");
    assert_eq!(presence.restore(&home(1), "a", first.epoch).await, Ok(false), "nor does it come back");
    assert_eq!(presence.locate(&home(1)).await, Ok(at_b.clone()));
    assert_eq!(presence.restore(&home(1), "b", second.epoch).await, Ok(true), "saying it again changes nothing");
    assert_eq!(presence.locate(&home(1)).await, Ok(at_b));

    let above = second.epoch + 1_000_000;
    let third = presence.claim(&home(1), "b", above).await.unwrap();
    assert!(third.epoch > above, "newer than what another clock made");
    let Claimed { epoch, .. } = presence.claim(&home(1), "b", 0).await.unwrap();
    assert!(epoch > third.epoch);

    presence.end_lease("b").await.unwrap();
    assert_eq!(presence.locate(&home(1)).await, Ok(None), "a node that has left holds nobody");
    assert_eq!(presence.claim(&home(1), "a", 0).await.unwrap().before, None, "and need not be told");
    let epoch = presence.locate(&home(1)).await.unwrap().unwrap().epoch;
    assert_eq!(presence.release(&home(1), epoch).await, Ok(true));
    assert_eq!(presence.locate(&home(1)).await, Ok(None));

    // A session that began while the store was away.
    assert_eq!(presence.restore(&home(2), "a", 77).await, Ok(true));
    assert_eq!(presence.locate(&home(2)).await, Ok(Some(Location { node: a, epoch: 77 })));
}

/// Of many that claim at once each gets its own epoch, and the greatest is the newest.
async fn many_at_once(presence: Arc<dyn Presence>) {
    presence.renew_lease(&node("a")).await.unwrap();
    let claims: Vec<_> = (0..50)
        .map(|_| {
            let presence = presence.clone();
            tokio::spawn(async move { presence.claim(&home(3), "a", 0).await.unwrap().epoch })
        })
        .collect();
    let mut epochs = Vec::new();
    for claim in claims {
        epochs.push(claim.await.unwrap());
    }
    epochs.sort_unstable();
    epochs.dedup();
    assert_eq!(epochs.len(), 50);
    for epoch in &epochs[..49] {
        assert_eq!(presence.release(&home(3), *epoch).await, Ok(false));
    }
    assert_eq!(presence.locate(&home(3)).await.unwrap().unwrap().epoch, epochs[49]);
}

#[tokio::test]
async fn memory_conforms() {
    conforms(&MemoryPresence::new(ManualClock::at(NOW))).await;
    many_at_once(Arc::new(MemoryPresence::new(ManualClock::at(NOW)))).await;
}

#[tokio::test]
async fn epochs_grow_over_restarts() {
    let clock = ManualClock::at(NOW);
    let epoch = MemoryPresence::new(clock.clone()).claim(&home(1), "a", 0).await.unwrap().epoch;
    assert!(epoch >= clock.unix_millis());
}

#[tokio::test]
async fn a_lease_ends_by_itself() {
    let clock = ManualClock::at(NOW);
    let presence = MemoryPresence::new(clock.clone());
    presence.renew_lease(&node("a")).await.unwrap();
    presence.claim(&home(1), "a", 0).await.unwrap();
    clock.advance(LEASE - Duration::from_millis(1));
    assert!(presence.locate(&home(1)).await.unwrap().is_some());
    clock.advance(Duration::from_millis(1));
    assert_eq!(presence.locate(&home(1)).await, Ok(None));
    assert_eq!(presence.renew_lease(&node("a")).await, Ok(false));
    assert!(presence.locate(&home(1)).await.unwrap().is_some(), "its homes are still there");
}

/// A prefix of its own in the Redis for tests, or nothing where tests run without one.
fn redis() -> Option<(RedisPresence, String, String)> {
    let Ok(url) = std::env::var("MACLOUD_TEST_REDIS_URL") else {
        let embedded_only = std::env::var("MACLOUD_TEST_EMBEDDED_ONLY").is_ok_and(|value| value == "1");
        assert!(embedded_only, "MACLOUD_TEST_REDIS_URL is not set; infra/test sets it");
        return None;
    };
    let prefix = format!("test-{:032x}", u128::from_le_bytes(macloud_service_kit::random::bytes()));
    let presence = RedisPresence::new(&url, &prefix).unwrap();
    Some((presence, url, prefix))
}

#[tokio::test]
async fn redis_conforms() {
    let Some((presence, ..)) = redis() else { return };
    conforms(&presence).await;
    let Some((presence, ..)) = redis() else { return };
    many_at_once(Arc::new(presence)).await;
}

#[tokio::test]
async fn everything_in_redis_ends_by_itself() {
    let Some((presence, url, prefix)) = redis() else { return };
    presence.renew_lease(&node("a")).await.unwrap();
    presence.claim(&home(1), "a", 0).await.unwrap();
    presence.restore(&home(2), "a", 1).await.unwrap();
    let mut connection = redis::Client::open(url).unwrap().get_multiplexed_async_connection().await.unwrap();
    let keys: Vec<String> = redis::cmd("KEYS").arg(format!("{prefix}:*")).query_async(&mut connection).await.unwrap();
    assert_eq!(keys.len(), 3, "{keys:?}");
    for key in keys {
        let left: i64 = redis::cmd("PTTL").arg(&key).query_async(&mut connection).await.unwrap();
        let most = if key.contains(":node:") { LEASE } else { Duration::from_secs(48 * 3600) };
        assert!(left > 0 && left <= most.as_millis() as i64, "{key}: {left}");
    }
}

#[tokio::test]
async fn a_redis_that_is_away_is_said_to_be_and_used_again_when_it_is_back() {
    let Some((_, url, prefix)) = redis() else { return };
    let real = url.strip_prefix("redis://").unwrap().trim_end_matches('/').to_owned();
    // A wire that can be cut.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let between = format!("redis://{}/", listener.local_addr().unwrap());
    let cut = Arc::new(tokio::sync::Notify::new());
    let open = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let (cutting, passing) = (cut.clone(), open.clone());
    tokio::spawn(async move {
        loop {
            let (mut near, _) = listener.accept().await.unwrap();
            if !passing.load(std::sync::atomic::Ordering::SeqCst) {
                continue;
            }
            let (real, cutting) = (real.clone(), cutting.clone());
            tokio::spawn(async move {
                let mut far = tokio::net::TcpStream::connect(real).await.unwrap();
                tokio::select! {
                    _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                    () = cutting.notified() => {}
                }
            });
        }
    });
    let presence = RedisPresence::new(&between, &prefix).unwrap();
    presence.renew_lease(&node("a")).await.unwrap();
    let epoch = presence.claim(&home(1), "a", 0).await.unwrap().epoch;
    open.store(false, std::sync::atomic::Ordering::SeqCst);
    cut.notify_waiters();
    assert!(presence.locate(&home(1)).await.is_err());
    assert!(presence.claim(&home(1), "a", 0).await.is_err());
    open.store(true, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(presence.locate(&home(1)).await.unwrap().unwrap().epoch, epoch);
}

#[test]
fn a_wrong_url_is_refused_without_repeating_it() {
    let refused = RedisPresence::new("http://user:hunter2@host/", "p").unwrap_err();
    assert!(!refused.to_string().contains("hunter2"));
}
