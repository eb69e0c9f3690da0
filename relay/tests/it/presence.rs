//! The directory of sessions: one suite for each implementation.

use std::sync::Arc;
use std::time::Duration;

use macloud_proto::ids::InstanceId;
use macloud_relay::presence::{
    Claim, Claimed, Held, LEASE, Location, MemoryPresence, NodeAddress, Presence, RedisPresence, Restored, Servers,
    Unavailable,
};
use macloud_service_kit::clock::{Clock as _, ManualClock};

use crate::cloud::NOW;
use crate::redis_server::Redis;

fn node(name: &str) -> NodeAddress {
    NodeAddress { node_id: name.into(), bus: format!("https://{name}.example:8444") }
}

fn home(number: u8) -> InstanceId {
    InstanceId::from_bytes(&[number; 16])
}

async fn claim(presence: &dyn Presence, home: u8, node_id: &str, above: u64) -> Claimed {
    claim_as(presence, home, node_id, 7, above).await.unwrap()
}

async fn claim_as(
    presence: &dyn Presence,
    home: u8,
    node_id: &str,
    installation: u8,
    above: u64,
) -> Result<Claimed, Unavailable> {
    let instance = InstanceId::from_bytes(&[home; 16]);
    presence.claim(Claim { instance: &instance, node_id, install_id: [installation; 16], above }).await
}

async fn restore(presence: &dyn Presence, home: u8, node_id: &str, epoch: u64) -> Result<Restored, Unavailable> {
    let instance = InstanceId::from_bytes(&[home; 16]);
    presence.restore(Held { instance: &instance, node_id, install_id: [7; 16], epoch }).await
}

const fn newest(before: Option<NodeAddress>) -> Restored {
    Restored::Newest { before }
}

/// What every implementation does. Needs an empty directory.
async fn conforms(presence: &dyn Presence) {
    let (a, b) = (node("a"), node("b"));
    assert_eq!(presence.renew_lease(&a).await, Ok(false), "it was not there before");
    assert_eq!(presence.renew_lease(&a).await, Ok(true));
    assert_eq!(presence.renew_lease(&b).await, Ok(false));
    assert_eq!(presence.locate(&home(1)).await, Ok(None));

    let first = claim(presence, 1, "a", 0).await;
    assert_eq!(first.before, None);
    assert_eq!(presence.locate(&home(1)).await, Ok(Some(Location { node: a.clone(), epoch: first.epoch })));
    assert_eq!(presence.locate(&home(2)).await, Ok(None));
    let again = claim(presence, 1, "a", 0).await;
    assert_eq!(again.before, None, "a node need not be told of itself");

    let second = claim(presence, 1, "b", 0).await;
    assert!(second.epoch > again.epoch && again.epoch > first.epoch);
    assert_eq!(second.before, Some(a.clone()), "whoever had the home must be told");
    let at_b = Some(Location { node: b.clone(), epoch: second.epoch });
    assert_eq!(presence.release(&home(1), first.epoch).await, Ok(false), "the late goodbye of an old session");
    assert_eq!(restore(presence, 1, "a", first.epoch).await, Ok(Restored::Outdated), "nor does it come back");
    assert_eq!(presence.locate(&home(1)).await, Ok(at_b.clone()));
    assert_eq!(restore(presence, 1, "b", second.epoch).await, Ok(newest(None)), "saying it again changes nothing");
    assert_eq!(presence.locate(&home(1)).await, Ok(at_b));

    let above = second.epoch + 1_000_000;
    let third = claim(presence, 1, "b", above).await;
    assert!(third.epoch > above, "newer than what another clock made");
    let Claimed { epoch, .. } = claim(presence, 1, "b", 0).await;
    assert!(epoch > third.epoch);

    let elsewhere = NodeAddress { bus: "https://another.example:8444".into(), ..b.clone() };
    presence.end_lease(&elsewhere).await.unwrap();
    assert!(presence.locate(&home(1)).await.unwrap().is_some(), "another process of this name has taken over");
    presence.end_lease(&b).await.unwrap();
    assert_eq!(presence.locate(&home(1)).await, Ok(None), "a node that has left holds nobody");
    assert_eq!(claim(presence, 1, "a", 0).await.before, None, "and need not be told");
    let epoch = presence.locate(&home(1)).await.unwrap().unwrap().epoch;
    assert_eq!(presence.release(&home(1), epoch).await, Ok(true));
    assert_eq!(presence.locate(&home(1)).await, Ok(None));
    assert_eq!(presence.release(&home(1), epoch).await, Ok(false), "it is over already");
    assert_eq!(
        restore(presence, 1, "a", epoch - 1).await,
        Ok(Restored::Outdated),
        "what is over stays newer than what was before"
    );

    // A session that began while the store was away.
    assert_eq!(restore(presence, 2, "a", 77).await, Ok(newest(None)));
    assert_eq!(presence.locate(&home(2)).await, Ok(Some(Location { node: a.clone(), epoch: 77 })));
    // And one that began elsewhere meanwhile.
    presence.renew_lease(&b).await.unwrap();
    assert_eq!(restore(presence, 2, "b", 78).await, Ok(newest(Some(a))), "whoever is believed to have it must be told");
    assert_eq!(presence.locate(&home(2)).await, Ok(Some(Location { node: b, epoch: 78 })));
}

/// Two installations with one key, wherever they dial in.
async fn takeovers_are_noticed(presence: &dyn Presence) {
    presence.renew_lease(&node("a")).await.unwrap();
    presence.renew_lease(&node("b")).await.unwrap();
    let mut noticed = Vec::new();
    for (node, installation) in [("a", 1), ("b", 1), ("a", 2), ("b", 1), ("b", 1), ("a", 2), ("a", 1)] {
        let claimed = claim_as(presence, 9, node, installation, 0).await.unwrap();
        noticed.push((claimed.other_installation, claimed.contested));
    }
    let (same, other, quarrel) = ((false, false), (true, false), (true, true));
    assert_eq!(noticed, [same, same, other, other, same, quarrel, quarrel]);
    let epoch = presence.locate(&home(9)).await.unwrap().unwrap().epoch;
    presence.release(&home(9), epoch).await.unwrap();
    let after = claim_as(presence, 9, "b", 2, 0).await.unwrap();
    assert!(!after.other_installation, "nobody was there to be displaced");
    let again = claim_as(presence, 9, "b", 1, 0).await.unwrap();
    assert!(again.contested, "but the quarrel is not forgotten");
}

/// Of many that claim at once each gets its own epoch, and the greatest is the newest.
async fn many_at_once(presence: Arc<dyn Presence>) {
    presence.renew_lease(&node("a")).await.unwrap();
    let claims: Vec<_> = (0..50)
        .map(|_| {
            let presence = presence.clone();
            tokio::spawn(async move { claim(&*presence, 3, "a", 0).await.epoch })
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
    let memory = || MemoryPresence::new(ManualClock::at(NOW));
    conforms(&memory()).await;
    takeovers_are_noticed(&memory()).await;
    many_at_once(Arc::new(MemoryPresence::new(ManualClock::at(NOW)))).await;
}

#[tokio::test]
async fn epochs_grow_over_restarts() {
    let clock = ManualClock::at(NOW);
    let epoch = claim(&MemoryPresence::new(clock.clone()), 1, "a", 0).await.epoch;
    assert!(epoch >= clock.unix_millis());
}

#[tokio::test]
async fn a_lease_ends_by_itself() {
    let clock = ManualClock::at(NOW);
    let presence = MemoryPresence::new(clock.clone());
    presence.renew_lease(&node("a")).await.unwrap();
    claim(&presence, 1, "a", 0).await;
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
    let presence = RedisPresence::new(Servers::One(url.clone()), &prefix).unwrap();
    Some((presence, url, prefix))
}

#[tokio::test]
async fn redis_conforms() {
    let Some((presence, ..)) = redis() else { return };
    conforms(&presence).await;
    let Some((presence, ..)) = redis() else { return };
    takeovers_are_noticed(&presence).await;
    let Some((presence, ..)) = redis() else { return };
    many_at_once(Arc::new(presence)).await;
}

#[tokio::test]
async fn a_redis_cluster_conforms() {
    let Some(cluster) = Redis::start(&["--cluster-enabled", "yes"]) else { return };
    cluster.tell(&["cluster", "addslotsrange", "0", "16383"]);
    while !cluster.tell(&["cluster", "info"]).contains("cluster_state:ok") {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let presence = |prefix| RedisPresence::new(Servers::Cluster(vec![cluster.url()]), prefix).unwrap();
    conforms(&presence("a")).await;
    takeovers_are_noticed(&presence("b")).await;
    many_at_once(Arc::new(presence("c"))).await;
}

#[tokio::test]
async fn a_master_that_sentinels_know_conforms() {
    let Some(master) = Redis::start(&[]) else { return };
    let Some(sentinel) = Redis::sentinel(&master) else { return };
    let servers = || Servers::Sentinel(vec![sentinel.url()], "homes".into());
    conforms(&RedisPresence::new(servers(), "a").unwrap()).await;
    let strangers = Servers::Sentinel(vec![sentinel.url()], "strangers".into());
    let nobody = RedisPresence::new(strangers, "a").unwrap();
    assert_eq!(nobody.locate(&home(1)).await, Err(Unavailable));
}

#[tokio::test]
async fn everything_in_redis_ends_by_itself() {
    let Some((presence, url, prefix)) = redis() else { return };
    presence.renew_lease(&node("a")).await.unwrap();
    claim(&presence, 1, "a", 0).await;
    restore(&presence, 2, "a", 1).await.unwrap();
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
    let presence = RedisPresence::new(Servers::One(between), &prefix).unwrap();
    presence.renew_lease(&node("a")).await.unwrap();
    let epoch = claim(&presence, 1, "a", 0).await.epoch;
    open.store(false, std::sync::atomic::Ordering::SeqCst);
    cut.notify_waiters();
    assert!(presence.locate(&home(1)).await.is_err());
    assert!(claim_as(&presence, 1, "a", 7, 0).await.is_err());
    open.store(true, std::sync::atomic::Ordering::SeqCst);
    // A failed attempt is not repeated at once, by however many.
    tokio::time::timeout(Duration::from_secs(10), async {
        while presence.locate(&home(1)).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .unwrap();
    assert_eq!(presence.locate(&home(1)).await.unwrap().unwrap().epoch, epoch);
}

#[test]
fn a_wrong_url_is_refused_without_repeating_it() {
    let url = || "http://user:hunter2@host/".to_owned();
    let all = [Servers::One(url()), Servers::Cluster(vec![url()]), Servers::Sentinel(vec![url()], "m".into())];
    for servers in all.into_iter().chain([Servers::Cluster(Vec::new()), Servers::Sentinel(Vec::new(), "m".into())]) {
        let refused = RedisPresence::new(servers, "p").unwrap_err();
        assert!(!refused.to_string().contains("hunter2"));
    }
}
