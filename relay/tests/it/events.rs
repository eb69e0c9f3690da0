//! What homes tell without being asked, from a home's socket to those who read: one suite for each queue, and the way through a node.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use macloud_proto::bus::v1::{Done, FromReader, HomeEvent as Given, Open, from_reader};
use macloud_proto::ids::InstanceId;
use macloud_proto::link::frame::{Event, FromConnector, FromRelay};
use macloud_relay::events::{Delivery, EventQueue, HomeEvent, MemoryEvents, Put, Reader, RedisEvents};
use macloud_relay::presence::{BoxFuture, Servers, Unavailable};
use macloud_service_kit::clock::{self, ManualClock};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::Streaming;

use crate::cloud::net::Net;
use crate::cloud::{Cloud, Home, HomeKey};
use crate::redis_server::Redis;

fn event(id: u8, key: &'static [u8]) -> Event {
    Event { event_id: [id; 16], key: key.into(), sealed: Bytes::from(vec![id; 300]) }
}

fn told(home: u8, id: u8, key: &'static [u8]) -> HomeEvent {
    HomeEvent { instance: InstanceId::from_bytes(&[home; 16]), event: event(id, key) }
}

fn reader(group: &str, name: &str) -> Reader {
    Reader { group: group.into(), name: name.into() }
}

fn ids(deliveries: &[Delivery]) -> Vec<u8> {
    deliveries.iter().map(|delivery| delivery.event.event.event_id[0]).collect()
}

fn marks(deliveries: &[Delivery]) -> Vec<String> {
    deliveries.iter().map(|delivery| delivery.mark.clone()).collect()
}

/// What every implementation does. Needs an empty queue.
async fn conforms(queue: &dyn EventQueue) {
    let (a, b, other) = (reader("skill", "a"), reader("skill", "b"), reader("other", "a"));
    assert_eq!(queue.read(&a, 10).await, Ok(vec![]));
    queue.put(vec![told(1, 1, b"volume"), told(1, 2, b"muted"), told(2, 3, b"volume")]).await.unwrap();
    let first = queue.read(&a, 2).await.unwrap();
    assert_eq!(ids(&first), [1, 2]);
    assert_eq!(first[0].event, told(1, 1, b"volume"), "everything arrives as it was put in");
    let second = queue.read(&b, 10).await.unwrap();
    assert_eq!(ids(&second), [3], "each goes to one reader of a group");
    assert_eq!(queue.read(&a, 10).await, Ok(vec![]));
    let theirs = queue.read(&other, 10).await.unwrap();
    assert_eq!(ids(&theirs), [1, 2, 3], "and to one of each group, from the beginning");

    queue.done(&a, vec![first[0].mark.clone()]).await.unwrap();
    queue.done(&a, vec![first[0].mark.clone(), "77-0".into()]).await.unwrap();
    let long = Duration::from_secs(3600);
    assert_eq!(queue.read_left_behind(&b, 10, long).await, Ok(vec![]), "it is still at work");
    let mut left = queue.read_left_behind(&b, 10, Duration::ZERO).await.unwrap();
    left.sort_by_key(|delivery| delivery.event.event.event_id);
    assert_eq!(ids(&left), [2, 3], "what is done is not left behind");
    queue.done(&b, marks(&left)).await.unwrap();
    assert_eq!(queue.read_left_behind(&a, 10, Duration::ZERO).await, Ok(vec![]));
    assert_eq!(queue.read_left_behind(&other, 10, Duration::ZERO).await.unwrap().len(), 3, "another group has its own");
    queue.done(&other, marks(&theirs)).await.unwrap();
    assert_eq!(queue.done(&other, vec![]).await, Ok(()));
    assert_eq!(queue.read_left_behind(&reader("new", "a"), 10, Duration::ZERO).await, Ok(vec![]));
}

#[tokio::test]
async fn the_queue_in_memory_conforms() {
    conforms(&MemoryEvents::default()).await;
}

#[tokio::test]
async fn the_queue_in_memory_keeps_only_the_latest_of_each_homes_key() {
    let queue = MemoryEvents::default();
    let skill = reader("skill", "a");
    let put =
        vec![told(1, 1, b"volume"), told(2, 2, b"volume"), told(1, 3, b"volume"), told(1, 4, b""), told(1, 5, b"")];
    assert_eq!(queue.put(put).await, Ok(Put { coalesced: 1, fell_off: 0 }));
    let read = queue.read(&skill, 10).await.unwrap();
    assert_eq!(ids(&read), [2, 3, 4, 5]);
    assert_eq!(
        queue.put(vec![told(1, 6, b"volume")]).await.unwrap().coalesced,
        1,
        "what a reader has may be outdated too"
    );
    assert_eq!(ids(&queue.read_left_behind(&skill, 10, Duration::ZERO).await.unwrap()), [2, 4, 5]);
    assert_eq!(ids(&queue.read(&skill, 10).await.unwrap()), [6]);
    queue.done(&skill, marks(&read)).await.unwrap();
    assert_eq!(ids(&queue.read(&reader("late", "a"), 10).await.unwrap()), [6], "what everybody is done with is gone");
}

#[tokio::test]
async fn the_queue_in_memory_is_bounded() {
    let queue = MemoryEvents::default();
    let mut fell_off = 0;
    for id in 0..=255 {
        fell_off += queue.put((0..100).map(|_| told(1, id, b"")).collect()).await.unwrap().fell_off;
    }
    assert_eq!(fell_off, 5_600);
    assert_eq!(ids(&queue.read(&reader("skill", "a"), 1).await.unwrap()), [56], "the oldest are those that fall off");
}

fn redis_events(servers: Servers, most: usize) -> RedisEvents {
    let prefix = format!("test:{}", macloud_proto::ids::base32(&macloud_service_kit::random::bytes::<16>()));
    RedisEvents::new(servers, &prefix, most, clock::system()).unwrap()
}

/// In the Redis that tests share. None where tests run without one.
fn shared_redis(most: usize) -> Option<RedisEvents> {
    let Ok(url) = std::env::var("MACLOUD_TEST_REDIS_URL") else {
        let embedded_only = std::env::var("MACLOUD_TEST_EMBEDDED_ONLY").is_ok_and(|value| value == "1");
        assert!(embedded_only, "MACLOUD_TEST_REDIS_URL is not set; infra/test sets it");
        return None;
    };
    Some(redis_events(Servers::One(url), most))
}

#[tokio::test]
async fn the_queue_in_redis_conforms() {
    let Some(queue) = shared_redis(1000) else { return };
    conforms(&queue).await;
}

#[tokio::test]
async fn the_queue_in_a_redis_cluster_conforms() {
    let Some(redis) = Redis::start(&["--cluster-enabled", "yes"]) else { return };
    assert_eq!(redis.tell(&["cluster", "addslotsrange", "0", "16383"]).trim(), "OK");
    timeout(Duration::from_secs(20), async {
        while !redis.tell(&["cluster", "info"]).contains("cluster_state:ok") {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .unwrap();
    conforms(&redis_events(Servers::Cluster(vec![redis.url()]), 1000)).await;
}

#[tokio::test]
async fn the_queue_in_redis_is_bounded() {
    let Some(queue) = shared_redis(200) else { return };
    for id in 0..=255 {
        queue.put((0..10).map(|_| told(1, id, b"")).collect()).await.unwrap();
    }
    let read = queue.read(&reader("skill", "a"), 10_000).await.unwrap();
    // Redis cuts off whole nodes of its tree, so that the bound is met nearly.
    assert!((200..500).contains(&read.len()), "{} of 2560", read.len());
    assert_eq!(ids(&read).last(), Some(&255));
}

#[tokio::test]
async fn a_redis_that_has_lost_everything_is_read_again() {
    let Some(redis) = Redis::start(&[]) else { return };
    let queue = redis_events(Servers::One(redis.url()), 1000);
    let skill = reader("skill", "a");
    queue.put(vec![told(1, 1, b"")]).await.unwrap();
    assert_eq!(queue.read(&skill, 10).await.unwrap().len(), 1);
    redis.kill();
    assert_eq!(queue.put(vec![told(1, 2, b"")]).await, Err(Unavailable));
    assert_eq!(queue.read(&skill, 10).await, Err(Unavailable));
    redis.run();
    timeout(Duration::from_secs(10), async {
        while queue.put(vec![told(1, 3, b"")]).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .unwrap();
    assert_eq!(ids(&queue.read(&skill, 10).await.unwrap()), [3], "the group is made anew");
}

#[tokio::test]
async fn what_is_in_redis_ends_by_itself() {
    let Some(redis) = Redis::start(&[]) else { return };
    let queue = redis_events(Servers::One(redis.url()), 1000);
    for id in 0..200 {
        queue.put(vec![told(1, id, b"")]).await.unwrap();
    }
    let key = redis.tell(&["keys", "*:events"]).trim().to_owned();
    let left: i64 = redis.tell(&["pttl", &key]).trim().parse().unwrap();
    assert!((1..=25 * 3_600_000).contains(&left), "{left}");
    let later = ManualClock::at(clock::system().unix_seconds() + 26 * 3600);
    let prefix = key.strip_suffix(":events").unwrap();
    let queue = RedisEvents::new(Servers::One(redis.url()), prefix, 1000, later).unwrap();
    queue.put(vec![told(1, 250, b"")]).await.unwrap();
    let read = queue.read(&reader("skill", "a"), 1000).await.unwrap();
    // Redis cuts off whole nodes of its tree.
    assert!(read.len() <= 101, "{} of 201", read.len());
}

/// A queue that may be away.
#[derive(Debug, Default)]
struct Shaky {
    queue: MemoryEvents,
    away: AtomicBool,
}

impl EventQueue for Shaky {
    fn put(&self, events: Vec<HomeEvent>) -> BoxFuture<'_, Result<Put, Unavailable>> {
        if self.away.load(Ordering::SeqCst) { Box::pin(async { Err(Unavailable) }) } else { self.queue.put(events) }
    }

    fn read<'a>(&'a self, reader: &'a Reader, most: usize) -> BoxFuture<'a, Result<Vec<Delivery>, Unavailable>> {
        self.queue.read(reader, most)
    }

    fn read_left_behind<'a>(
        &'a self,
        reader: &'a Reader,
        most: usize,
        given_for: Duration,
    ) -> BoxFuture<'a, Result<Vec<Delivery>, Unavailable>> {
        self.queue.read_left_behind(reader, most, given_for)
    }

    fn done<'a>(&'a self, reader: &'a Reader, marks: Vec<String>) -> BoxFuture<'a, Result<(), Unavailable>> {
        self.queue.done(reader, marks)
    }
}

/// Someone who reads over gRPC.
struct Skill {
    say: mpsc::UnboundedSender<FromReader>,
    given: Streaming<Given>,
}

impl Skill {
    async fn of(cloud: &Cloud, group: &str) -> Self {
        let (say, said) = mpsc::unbounded_channel();
        let open = from_reader::Body::Open(Open { group: group.into() });
        say.send(FromReader { body: Some(open) }).unwrap();
        let given = cloud.events.clone().read(UnboundedReceiverStream::new(said)).await.unwrap().into_inner();
        Self { say, given }
    }

    async fn next(&mut self) -> Given {
        timeout(Duration::from_secs(120), self.given.message()).await.expect("an event").unwrap().unwrap()
    }

    fn done(&self, given: &Given) {
        let done = from_reader::Body::Done(Done { marks: vec![given.mark.clone()] });
        self.say.send(FromReader { body: Some(done) }).unwrap();
    }
}

async fn tell(home: &mut Home, id: u8, key: &'static [u8]) {
    home.send(FromConnector::Event(event(id, key))).await;
}

#[tokio::test(start_paused = true)]
async fn what_a_home_tells_is_taken_and_read() {
    let cloud = Cloud::start_with(|config| config.events = Some(Arc::new(MemoryEvents::default()))).await;
    let key = HomeKey::new(1);
    let mut home = cloud.home(&key).await;
    assert!(home.welcome.events, "the home is told that somebody takes events");
    tell(&mut home, 1, b"volume").await;
    assert_eq!(home.next().await, Some(FromRelay::EventTaken([1; 16])));
    let mut skill = Skill::of(&cloud, "skill").await;
    let given = skill.next().await;
    let Given { instance_id, event_id, key: event_key, sealed, .. } = given.clone();
    assert_eq!((instance_id, &event_id[..]), (key.instance.to_string(), &[1; 16][..]));
    assert_eq!((&event_key[..], &sealed[..]), (&b"volume"[..], &[1; 300][..]));
    skill.done(&given);
    tell(&mut home, 2, b"volume").await;
    let next = skill.next().await;
    assert_eq!(next.event_id[..], [2; 16], "without asking again");

    // It vanishes before it is done.
    drop(skill);
    let mut another = Skill::of(&cloud, "skill").await;
    let again = another.next().await;
    assert_eq!(again.event_id[..], [2; 16], "what is done does not come again, and what is not does");
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_is_away_takes_nothing_and_the_home_is_not_told_so() {
    let queue = Arc::new(Shaky::default());
    let cloud = Cloud::start_with(|config| config.events = Some(queue.clone())).await;
    let mut home = cloud.home(&HomeKey::new(1)).await;
    queue.away.store(true, Ordering::SeqCst);
    tell(&mut home, 1, b"volume").await;
    assert!(timeout(Duration::from_secs(5), home.next()).await.is_err(), "it is not taken");
    queue.away.store(false, Ordering::SeqCst);
    tell(&mut home, 1, b"volume").await;
    assert_eq!(home.next().await, Some(FromRelay::EventTaken([1; 16])));
}

#[tokio::test(start_paused = true)]
async fn a_node_without_a_queue_says_so_and_drops_events() {
    let cloud = Cloud::start().await;
    let mut home = cloud.home(&HomeKey::new(1)).await;
    assert!(!home.welcome.events);
    tell(&mut home, 1, b"volume").await;
    assert!(timeout(Duration::from_secs(5), home.next()).await.is_err());
    let refused = cloud.events.clone().read(tokio_stream::empty()).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unimplemented);
}

#[tokio::test(start_paused = true)]
async fn readers_must_say_whose_they_are() {
    let cloud = Cloud::start_with(|config| config.events = Some(Arc::new(MemoryEvents::default()))).await;
    let too_long = "x".repeat(65);
    for group in ["", "two words", &too_long] {
        let mut skill = Skill::of(&cloud, group).await;
        assert_eq!(skill.given.message().await.unwrap_err().code(), tonic::Code::InvalidArgument, "{group}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_has_only_so_many_open() {
    let cloud = Cloud::start_with(|config| config.events = Some(Arc::new(MemoryEvents::default()))).await;
    for number in 1..=3 {
        let mut home = cloud.home(&HomeKey::new(number)).await;
        for id in 0..100 {
            tell(&mut home, id, b"").await;
            assert_eq!(home.next().await, Some(FromRelay::EventTaken([id; 16])));
        }
    }
    let mut skill = Skill::of(&cloud, "skill").await;
    let mut given = Vec::new();
    while let Ok(next) = timeout(Duration::from_secs(1), skill.given.message()).await {
        given.push(next.unwrap().unwrap());
    }
    assert_eq!(given.len(), 256);
    for done in &given {
        skill.done(done);
    }
    for _ in 0..44 {
        given.push(skill.next().await);
    }
    let different: HashSet<_> = given.iter().map(|given| (given.instance_id.clone(), given.event_id.clone())).collect();
    assert_eq!(different.len(), 300);
}

#[tokio::test(start_paused = true)]
async fn any_node_gives_what_any_other_has_taken() {
    let (net, queue) = (Net::new(), Arc::new(MemoryEvents::default()));
    let a = Cloud::start_in(&net, "a", |config| config.events = Some(queue.clone())).await;
    let b = Cloud::start_in(&net, "b", |config| config.events = Some(queue.clone())).await;
    let mut skill = Skill::of(&b, "skill").await;
    let mut home = a.home(&HomeKey::new(1)).await;
    tell(&mut home, 1, b"volume").await;
    assert_eq!(skill.next().await.event_id[..], [1; 16]);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_leaves_ends_its_readers_streams() {
    let cloud = Cloud::start_with(|config| config.events = Some(Arc::new(MemoryEvents::default()))).await;
    let mut skill = Skill::of(&cloud, "skill").await;
    cloud.stop.stop_soft();
    let ended = timeout(Duration::from_secs(60), skill.given.message()).await.expect("the end").unwrap_err();
    assert_eq!(ended.code(), tonic::Code::Unavailable);
}
