//! The directory of sessions: one suite for each implementation.

use std::sync::Arc;
use std::time::Duration;

use macloud_proto::ids::InstanceId;
use macloud_relay::presence::{
    Claim, Claimed, Held, LEASE, Location, MemoryPresence, NodeAddress, Notice, Presence, REMEMBERED, RedisPresence,
    Restored, Servers, StoreSettings, Unavailable, Whereabouts,
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

/// By the same installation, or by nobody any more.
const OUTDATED: Restored = Restored::Outdated { other_installation: false, contested: false };

const fn newest(before: Option<NodeAddress>) -> Restored {
    Restored::Newest { before }
}

/// What every implementation does. Needs an empty directory.
async fn conforms(presence: &dyn Presence) {
    let (a, b) = (node("a"), node("b"));
    assert_eq!(presence.renew_lease(&a).await, Ok(false), "it was not there before");
    assert_eq!(presence.renew_lease(&a).await, Ok(true));
    assert_eq!(presence.renew_lease(&b).await, Ok(false));
    assert_eq!(presence.locate(&home(1)).await.map(Whereabouts::location), Ok(None));

    let first = claim(presence, 1, "a", 0).await;
    assert_eq!(first.before, None);
    assert_eq!(
        presence.locate(&home(1)).await.map(Whereabouts::location),
        Ok(Some(Location { node: a.clone(), epoch: first.epoch }))
    );
    assert_eq!(presence.locate(&home(2)).await.map(Whereabouts::location), Ok(None));
    let again = claim(presence, 1, "a", 0).await;
    assert_eq!(again.before, None, "a node need not be told of itself");

    let second = claim(presence, 1, "b", 0).await;
    assert!(second.epoch > again.epoch && again.epoch > first.epoch);
    assert_eq!(second.before, Some(a.clone()), "whoever had the home must be told");
    let at_b = Some(Location { node: b.clone(), epoch: second.epoch });
    assert_eq!(presence.release(&home(1), first.epoch).await, Ok(false), "the late goodbye of an old session");
    assert_eq!(restore(presence, 1, "a", first.epoch).await, Ok(OUTDATED), "nor does it come back");
    assert_eq!(presence.locate(&home(1)).await.map(Whereabouts::location), Ok(at_b.clone()));
    assert_eq!(restore(presence, 1, "b", second.epoch).await, Ok(newest(None)), "saying it again changes nothing");
    assert_eq!(presence.locate(&home(1)).await.map(Whereabouts::location), Ok(at_b));

    let above = second.epoch + 1_000_000;
    let third = claim(presence, 1, "b", above).await;
    assert!(third.epoch > above, "newer than what another clock made");
    let Claimed { epoch, .. } = claim(presence, 1, "b", 0).await;
    assert!(epoch > third.epoch);

    let elsewhere = NodeAddress { bus: "https://another.example:8444".into(), ..b.clone() };
    presence.end_lease(&elsewhere).await.unwrap();
    assert!(
        presence.locate(&home(1)).await.unwrap().location().is_some(),
        "another process of this name has taken over"
    );
    presence.end_lease(&b).await.unwrap();
    assert_eq!(
        presence.locate(&home(1)).await.map(Whereabouts::location),
        Ok(None),
        "a node that has left holds nobody"
    );
    assert_eq!(claim(presence, 1, "a", 0).await.before, None, "and need not be told");
    let epoch = presence.locate(&home(1)).await.unwrap().location().unwrap().epoch;
    assert_eq!(presence.release(&home(1), epoch).await, Ok(true));
    assert_eq!(presence.locate(&home(1)).await.map(Whereabouts::location), Ok(None));
    assert_eq!(presence.release(&home(1), epoch).await, Ok(false), "it is over already");
    assert_eq!(
        restore(presence, 1, "a", epoch - 1).await,
        Ok(OUTDATED),
        "what is over stays newer than what was before"
    );

    // A session that began while the store was away.
    assert_eq!(restore(presence, 2, "a", 77).await, Ok(newest(None)));
    assert_eq!(
        presence.locate(&home(2)).await.map(Whereabouts::location),
        Ok(Some(Location { node: a.clone(), epoch: 77 }))
    );
    // And one that began elsewhere meanwhile.
    presence.renew_lease(&b).await.unwrap();
    assert_eq!(restore(presence, 2, "b", 78).await, Ok(newest(Some(a))), "whoever is believed to have it must be told");
    assert_eq!(presence.locate(&home(2)).await.map(Whereabouts::location), Ok(Some(Location { node: b, epoch: 78 })));
    // As a node's own clock makes it while the directory is away.
    let ahead = epoch + 1_000_000;
    assert_eq!(restore(presence, 3, "b", ahead).await, Ok(newest(None)));
    assert!(claim(presence, 3, "a", 0).await.epoch > ahead, "newer than what was restored");
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
    let older = Held { instance: &home(9), node_id: "b", install_id: [2; 16], epoch: 1 };
    let outdated = Restored::Outdated { other_installation: true, contested: true };
    assert_eq!(presence.restore(older).await, Ok(outdated), "whoever was replaced unnoticed learns by whom");
    let again = claim_as(presence, 9, "a", 1, 0).await.unwrap();
    assert_eq!((again.other_installation, again.contested), (false, true), "whoever dials in meanwhile is told, too");
    let epoch = presence.locate(&home(9)).await.unwrap().location().unwrap().epoch;
    presence.release(&home(9), epoch).await.unwrap();
    let after = claim_as(presence, 9, "b", 2, 0).await.unwrap();
    assert!(!after.other_installation, "nobody was there to be displaced");
    let again = claim_as(presence, 9, "b", 1, 0).await.unwrap();
    assert!(again.contested, "but the quarrel is not forgotten");
}

/// Since when a home is away.
async fn goodbyes_are_remembered(presence: &dyn Presence, later: impl AsyncFn()) {
    let (a, b) = (node("a"), node("b"));
    presence.renew_lease(&a).await.unwrap();
    presence.renew_lease(&b).await.unwrap();
    assert_eq!(presence.locate(&home(4)).await, Ok(Whereabouts::Away(None)), "it was never there");
    let first = claim(presence, 4, "a", 0).await.epoch;
    presence.release(&home(4), first).await.unwrap();
    later().await;
    let away = async || match presence.locate(&home(4)).await {
        Ok(Whereabouts::Away(away)) => away,
        elsewhere => panic!("{elsewhere:?}"),
    };
    let long = away().await.expect("its goodbye was heard");
    assert!(long >= LATER && long < LATER * 100, "{long:?}");
    presence.release(&home(4), first).await.unwrap();
    assert!(away().await >= Some(long), "saying goodbye again changes nothing");
    claim(presence, 4, "b", 0).await;
    presence.end_lease(&b).await.unwrap();
    assert_eq!(away().await, None, "the goodbye of an earlier session is not that of the last one");
    let third = claim(presence, 4, "a", 0).await.epoch;
    presence.release(&home(4), third).await.unwrap();
    assert!(away().await.is_some_and(|away| away < long), "it counts from the last session's end");
    let ahead = third + 1_000_000;
    assert_eq!(restore(presence, 4, "a", ahead).await, Ok(newest(None)));
    presence.release(&home(4), ahead).await.unwrap();
    assert!(away().await.is_some_and(|away| away < long), "although its epoch is ahead of the clock");
}

const LATER: Duration = Duration::from_millis(500);

/// What one node leaves for another.
async fn words_are_kept(presence: &dyn Presence) {
    let (a, b) = (node("a"), node("b"));
    presence.renew_lease(&a).await.unwrap();
    presence.renew_lease(&b).await.unwrap();
    let mut nodes = presence.nodes().await.unwrap();
    nodes.sort_by(|one, other| one.node_id.cmp(&other.node_id));
    assert_eq!(nodes, [a, b.clone()]);
    let word = |number, other_installation| Notice {
        instance: home(number),
        epoch: 1_795_000_000_123,
        other_installation,
        contested: number == 2,
    };
    assert_eq!(presence.take_notices("a").await, Ok(Vec::new()));
    presence.leave_notice("a", &word(1, false)).await.unwrap();
    presence.leave_notice("a", &word(2, true)).await.unwrap();
    assert_eq!(presence.take_notices("b").await, Ok(Vec::new()), "they are for the other");
    assert_eq!(presence.take_notices("a").await, Ok(vec![word(1, false), word(2, true)]));
    assert_eq!(presence.take_notices("a").await, Ok(Vec::new()), "each is given once");
    presence.end_lease(&b).await.unwrap();
    assert_eq!(presence.nodes().await, Ok(vec![node("a")]));
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
    assert_eq!(presence.locate(&home(3)).await.unwrap().location().unwrap().epoch, epochs[49]);
}

#[tokio::test]
async fn memory_conforms() {
    let memory = || MemoryPresence::new(ManualClock::at(NOW));
    conforms(&memory()).await;
    takeovers_are_noticed(&memory()).await;
    words_are_kept(&memory()).await;
    many_at_once(Arc::new(MemoryPresence::new(ManualClock::at(NOW)))).await;
    let clock = ManualClock::at(NOW);
    goodbyes_are_remembered(&MemoryPresence::new(clock.clone()), async || clock.advance(LATER)).await;
}

#[tokio::test]
async fn a_goodbye_is_forgotten_after_a_month() {
    let clock = ManualClock::at(NOW);
    let presence = MemoryPresence::new(clock.clone());
    let epoch = claim(&presence, 1, "a", 0).await.epoch;
    presence.release(&home(1), epoch).await.unwrap();
    let away = async |after| {
        clock.advance(after);
        // Whatever is old goes when another comes.
        claim(&presence, 2, "a", 0).await;
        presence.locate(&home(1)).await
    };
    assert_eq!(away(REMEMBERED).await, Ok(Whereabouts::Away(Some(REMEMBERED))));
    assert_eq!(away(Duration::from_hours(1)).await, Ok(Whereabouts::Away(None)));
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
    assert!(presence.locate(&home(1)).await.unwrap().location().is_some());
    clock.advance(Duration::from_millis(1));
    assert_eq!(presence.locate(&home(1)).await.map(Whereabouts::location), Ok(None));
    assert_eq!(presence.renew_lease(&node("a")).await, Ok(false));
    assert!(presence.locate(&home(1)).await.unwrap().location().is_some(), "its homes are still there");
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
    words_are_kept(&presence).await;
    let Some((presence, ..)) = redis() else { return };
    goodbyes_are_remembered(&presence, async || tokio::time::sleep(LATER).await).await;
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
    words_are_kept(&presence("d")).await;
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
async fn a_master_that_fails_is_followed_by_its_replica() {
    let Some(master) = Redis::start(&[]) else { return };
    let (Some(replica), Some(sentinel)) = (master.replica(), Redis::sentinel(&master)) else { return };
    let presence = RedisPresence::new(Servers::Sentinel(vec![sentinel.url()], "homes".into()), "a").unwrap();
    presence.renew_lease(&node("a")).await.unwrap();
    assert_eq!(presence.renew_lease(&node("a")).await, Ok(true));
    let epoch = claim(&presence, 1, "a", 0).await.epoch;
    // Sentinels learn of replicas from the master, and what was written is there a moment later.
    while !sentinel.tell(&["sentinel", "replicas", "homes"]).contains(&replica.port.to_string()) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(master.tell(&["wait", "1", "5000"]).trim(), "1");
    master.kill();
    let failed = std::time::Instant::now();
    let located = async {
        loop {
            if let Ok(located) = presence.locate(&home(1)).await {
                return located;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let located = tokio::time::timeout(Duration::from_secs(20), located).await.unwrap();
    assert!(replica.tell(&["role"]).starts_with("master"));
    // By the lease, if it was over by then; the home itself is there.
    assert!(located.location().is_none_or(|location| location.epoch == epoch), "after {:?}", failed.elapsed());
    assert_eq!(presence.renew_lease(&node("a")).await, Ok(false), "the other may lack what was confirmed last");
    assert_eq!(presence.renew_lease(&node("a")).await, Ok(true));
    assert_eq!(
        presence.locate(&home(1)).await.map(Whereabouts::location),
        Ok(Some(Location { node: node("a"), epoch }))
    );
    assert!(claim(&presence, 1, "a", 0).await.epoch > epoch);
}

#[tokio::test]
async fn redis_over_tls_with_an_authority_of_its_own_conforms() {
    macloud_service_kit::tls::install_provider();
    let dir = std::env::temp_dir().join(format!("macloud-relay-redis-tls-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let (certificate, key) = (dir.join("certificate.pem"), dir.join("key.pem"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    if let Some(redis) = Redis::over_tls(&certificate, &key) {
        let trusting = |authority| StoreSettings { servers: Servers::One(redis.url()), authority };
        let authority = Some(made.cert.pem().into_bytes());
        conforms(&RedisPresence::new(trusting(authority.clone()), "a").unwrap()).await;
        words_are_kept(&RedisPresence::new(trusting(authority), "b").unwrap()).await;
        let strangers = RedisPresence::new(trusting(None), "a").unwrap();
        assert_eq!(strangers.locate(&home(1)).await, Err(Unavailable), "no public authority knows it");
        let another = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap().cert.pem();
        let mistaken = RedisPresence::new(trusting(Some(another.into_bytes())), "a").unwrap();
        assert_eq!(mistaken.locate(&home(1)).await, Err(Unavailable));
        let sentinel = Redis::sentinel_over_tls(&redis, &certificate, &key).expect("as the master was started");
        let found = |authority| {
            let servers = Servers::Sentinel(vec![sentinel.url()], "homes".into());
            RedisPresence::new(StoreSettings { servers, authority }, "c").unwrap()
        };
        conforms(&found(Some(made.cert.pem().into_bytes()))).await;
        assert_eq!(found(None).locate(&home(1)).await, Err(Unavailable), "nor that of the sentinel");
    }
    std::fs::remove_dir_all(&dir).unwrap();
}

#[tokio::test]
async fn everything_in_redis_ends_by_itself() {
    let Some((presence, url, prefix)) = redis() else { return };
    presence.renew_lease(&node("a")).await.unwrap();
    claim(&presence, 1, "a", 0).await;
    restore(&presence, 2, "a", 1).await.unwrap();
    let word = Notice { instance: home(1), epoch: 1, other_installation: false, contested: false };
    presence.leave_notice("a", &word).await.unwrap();
    let mut connection = redis::Client::open(url).unwrap().get_multiplexed_async_connection().await.unwrap();
    let keys: Vec<String> = redis::cmd("KEYS").arg(format!("{prefix}:*")).query_async(&mut connection).await.unwrap();
    assert_eq!(keys.len(), 5, "{keys:?}");
    for key in keys {
        let left: i64 = redis::cmd("PTTL").arg(&key).query_async(&mut connection).await.unwrap();
        let most = if key.contains(":home:") { Duration::from_secs(48 * 3600) } else { LEASE };
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
    assert_eq!(presence.locate(&home(1)).await.unwrap().location().unwrap().epoch, epoch);
}

#[test]
fn a_wrong_url_is_refused_without_repeating_it() {
    let url = || "http://user:hunter2@host/".to_owned();
    let all = [Servers::One(url()), Servers::Cluster(vec![url()]), Servers::Sentinel(vec![url()], "m".into())];
    for servers in all.into_iter().chain([Servers::Cluster(Vec::new()), Servers::Sentinel(Vec::new(), "m".into())]) {
        let refused = RedisPresence::new(servers, "p").unwrap_err();
        assert!(!refused.to_string().contains("hunter2"));
    }
    // An authority is for TLS.
    for servers in [Servers::One("redis://host/".into()), Servers::Sentinel(vec!["redis://host/".into()], "m".into())] {
        assert!(RedisPresence::new(StoreSettings { servers, authority: Some(Vec::new()) }, "p").is_err());
    }
}
