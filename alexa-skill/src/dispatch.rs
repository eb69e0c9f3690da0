//! Dispatch: a sealed command onto the bus, and exactly one answer back before its deadline.
//!
//! [`Bus`] keeps a few long-lived streams to relay nodes open ([`lane`]), puts calls on them ([`stream`]), and
//! remembers which node holds a home, so that in the steady state a command needs no hop between nodes. A call whose
//! caller goes away is cancelled. A broken stream fails its calls at once, never silently.

mod lane;
mod stream;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use macloud_proto::bus::v1::{self, call, not_sent, unknown};
use macloud_proto::ids::{CommandId, InstanceId};
use macloud_service_kit::stop::Stop;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tonic::transport::Channel;
use tracing::{Instrument as _, info_span};

use crate::failure::Failure;
use crate::trace::RelayTiming;
use lane::Lane;
use stream::Stream;

/// How the bus is used.
#[derive(Debug, Clone)]
pub struct BusConfig {
    /// Streams to each channel. They share its connection, and break with it; two, so that a node that closes one, or
    /// lets its window fill up, does not stop everything.
    pub streams_per_channel: usize,
    /// The longest that one call may take.
    pub budget: Duration,
    /// How long a call waits for a stream while none is open.
    pub patience: Duration,
}

impl Default for BusConfig {
    fn default() -> Self {
        Self { streams_per_channel: 2, budget: Duration::from_secs(6), patience: Duration::from_millis(900) }
    }
}

/// The channels to relay nodes: one in a single process or behind a balancer, one for each node in a cluster.
#[derive(Debug, Clone)]
pub struct BusChannels(pub Vec<Channel>);

impl From<Channel> for BusChannels {
    fn from(channel: Channel) -> Self {
        Self(vec![channel])
    }
}

impl From<Vec<Channel>> for BusChannels {
    fn from(channels: Vec<Channel>) -> Self {
        Self(channels)
    }
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What came back, or why nothing did.
    pub outcome: Outcome,
    /// The node that holds the home; empty when none does.
    pub node: String,
    /// Its session there.
    pub epoch: u64,
    /// What the relay measured.
    pub timing: Option<RelayTiming>,
    /// The relay had sent it to an earlier session of the home already, and this is what came of the second time.
    pub sent_before: bool,
    /// A relay says so; otherwise it never came to one.
    pub by_relay: bool,
}

impl Answer {
    /// Nothing was sent by the relay at the end of this stream, and another one may do better.
    fn may_be_elsewhere(&self, stream: &Stream) -> bool {
        use not_sent::Reason;
        match self.outcome {
            // The stream broke first, or the relay cannot reach the one that has the home.
            Outcome::NotSent(Reason::LinkLost) => !self.by_relay || self.is_of_another(stream),
            Outcome::NotSent(Reason::NotConnected) | Outcome::Away(_) => self.by_relay && !stream.sees_all_nodes(),
            Outcome::NotSent(Reason::Draining | Reason::Unlocated) => self.by_relay,
            _ => false,
        }
    }

    fn is_of_another(&self, stream: &Stream) -> bool {
        !self.node.is_empty() && self.node != stream.node()
    }
}

/// Today's commands of a plan are used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsedUp {
    /// So many a day.
    pub commands_per_day: u32,
    /// It goes on after this long.
    pub after: Duration,
}

/// What came back, or why nothing did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The home's sealed reply.
    Delivered(Bytes),
    /// The home's signed pre-key.
    PreKey(Bytes),
    /// Nothing reached the home.
    NotSent(not_sent::Reason),
    /// Nothing reached the home, which has not been connected for so long.
    Away(Duration),
    /// Nothing reached the home, because today's commands of its plan are used up.
    UsedUp(UsedUp),
    /// It was written to the home, and no reply came.
    Unknown(unknown::Reason),
}

/// The command bus as a caller uses it. Cheap to clone.
#[derive(Clone)]
pub struct Bus(Arc<Inner>);

struct Inner {
    channels: Vec<Channel>,
    streams: RwLock<Vec<Option<Arc<Stream>>>>,
    /// Counts changes of `streams`.
    changed: watch::Sender<u64>,
    next: AtomicUsize,
    was_open: AtomicBool,
    owners: Mutex<HashMap<InstanceId, Owner>>,
    config: BusConfig,
}

/// Where a home was last, as far as is known.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Owner {
    node: Arc<str>,
    epoch: u64,
}

impl Bus {
    /// Over these channels. Nothing is opened before [`Bus::run`].
    #[must_use]
    pub fn new(channels: impl Into<BusChannels>, config: BusConfig) -> Self {
        let BusChannels(channels) = channels.into();
        let lanes = channels.len() * config.streams_per_channel.max(1);
        Self(Arc::new(Inner {
            channels,
            streams: RwLock::new(vec![None; lanes]),
            changed: watch::Sender::new(0),
            next: AtomicUsize::new(0),
            was_open: AtomicBool::new(false),
            owners: Mutex::new(HashMap::new()),
            config,
        }))
    }

    /// Keep streams open until `stop`.
    pub async fn run(&self, stop: Stop) {
        let mut lanes = JoinSet::new();
        let places = self.0.streams.read().unwrap_or_else(PoisonError::into_inner).len();
        for place in 0..places {
            let channel = self.0.channels[place / self.0.config.streams_per_channel.max(1)].clone();
            lanes.spawn(Lane::new(self.clone(), place, channel).keep_open(stop.clone()));
        }
        while lanes.join_next().await.is_some() {}
    }

    /// How many streams are open and take calls.
    #[must_use]
    pub fn streams(&self) -> usize {
        self.usable(&[]).len()
    }

    /// Whether a stream has ever been open.
    #[must_use]
    pub fn was_open(&self) -> bool {
        self.0.was_open.load(Ordering::Acquire)
    }

    /// Send a sealed command; `class` says whether it counts against the home's plan. Safe to cancel: the relay is then told that nobody waits.
    ///
    /// # Errors
    /// [`Failure::BusAway`] when no stream opens in time.
    pub async fn dispatch(
        &self,
        instance: &InstanceId,
        command_id: CommandId,
        class: v1::dispatch::Class,
        sealed: Bytes,
        deadline: Instant,
    ) -> Result<Answer, Failure> {
        let command_id = Bytes::copy_from_slice(command_id.as_bytes());
        let class = class.into();
        self.call(instance, call::Body::Dispatch(v1::Dispatch { command_id, sealed, class }), deadline).await
    }

    /// Ask the home for its pre-key; `fresh` past the relay's short cache.
    ///
    /// # Errors
    /// As [`Bus::dispatch`].
    pub async fn fetch_pre_key(
        &self,
        instance: &InstanceId,
        fresh: bool,
        deadline: Instant,
    ) -> Result<Answer, Failure> {
        self.call(instance, call::Body::FetchPreKey(v1::FetchPreKey { fresh }), deadline).await
    }

    async fn call(&self, instance: &InstanceId, body: call::Body, deadline: Instant) -> Result<Answer, Failure> {
        let now = Instant::now();
        let deadline = deadline.min(now + self.0.config.budget);
        let span = info_span!("call", otel.kind = "client", instance.id = %instance);
        let called = async {
            let mut stream = self.open_stream(instance, deadline.min(now + self.0.config.patience)).await?;
            let mut asked = Vec::new();
            loop {
                let least_epoch = self.owner(instance).map_or(0, |owner| owner.epoch);
                let answer = stream.call(instance, body.clone(), least_epoch, deadline).await;
                self.learn_owner(instance, &answer);
                if !answer.may_be_elsewhere(&stream) || Instant::now() >= deadline {
                    return Ok(answer);
                }
                // Nothing was sent, so the node that is named may be asked, or else another, until none is left.
                asked.push(stream.node().to_owned());
                match self.pick(Some(&answer.node), &asked) {
                    Some(another) => stream = another,
                    None => return Ok(answer),
                }
            }
        };
        called.instrument(span).await
    }

    async fn open_stream(&self, instance: &InstanceId, until: Instant) -> Result<Arc<Stream>, Failure> {
        let mut changed = self.0.changed.subscribe();
        loop {
            let owner = self.owner(instance);
            if let Some(stream) = self.pick(owner.as_ref().map(|owner| &*owner.node), &[]) {
                return Ok(stream);
            }
            match timeout_at(until, changed.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return Err(Failure::BusAway),
            }
        }
    }

    /// A stream to the node that holds the home; else the next one with room; else the next one. Not to those nodes.
    fn pick(&self, owner: Option<&str>, not_to: &[String]) -> Option<Arc<Stream>> {
        let usable = self.usable(not_to);
        if usable.is_empty() {
            return None;
        }
        let turn = self.0.next.fetch_add(1, Ordering::Relaxed) % usable.len();
        let in_turn = || usable[turn..].iter().chain(&usable[..turn]);
        let owners = owner.and_then(|node| in_turn().find(|stream| stream.node() == node && stream.has_room()));
        let free = || in_turn().find(|stream| stream.has_room());
        owners.or_else(free).or_else(|| in_turn().next()).map(Arc::clone)
    }

    fn usable(&self, not_to: &[String]) -> Vec<Arc<Stream>> {
        let streams = self.0.streams.read().unwrap_or_else(PoisonError::into_inner);
        let usable = streams.iter().flatten().filter(|stream| stream.takes_calls());
        usable.filter(|stream| !not_to.iter().any(|node| node == stream.node())).map(Arc::clone).collect()
    }

    /// Only a relay knows; that a stream is full or broken says nothing of where the home is.
    fn learn_owner(&self, instance: &InstanceId, answer: &Answer) {
        if self.0.channels.len() < 2 || !answer.by_relay {
            return;
        }
        let mut owners = self.owners();
        if answer.node.is_empty() {
            owners.remove(instance);
        } else if let Some(owner) = owners.get_mut(instance).filter(|owner| *owner.node == *answer.node) {
            owner.epoch = owner.epoch.max(answer.epoch);
        } else if owners.get(instance).is_none_or(|owner| owner.epoch <= answer.epoch) {
            if owners.len() >= MOST_OWNERS {
                // A hint, cheaply learnt again.
                owners.clear();
            }
            owners.insert(instance.clone(), Owner { node: answer.node.as_str().into(), epoch: answer.epoch });
        }
    }

    fn owner(&self, instance: &InstanceId) -> Option<Owner> {
        self.owners().get(instance).cloned()
    }

    fn owners(&self) -> std::sync::MutexGuard<'_, HashMap<InstanceId, Owner>> {
        self.0.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, place: usize, stream: Option<Arc<Stream>>) {
        if stream.is_some() {
            self.0.was_open.store(true, Ordering::Release);
        }
        self.0.streams.write().unwrap_or_else(PoisonError::into_inner)[place] = stream;
        self.0.changed.send_modify(|count| *count += 1);
    }
}

const MOST_OWNERS: usize = 200_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_what_a_relay_says_changes_what_is_known_of_owners() {
        let channel = || tonic::transport::Endpoint::from_static("http://nowhere").connect_lazy();
        let bus = Bus::new(vec![channel(), channel()], BusConfig::default());
        let home = InstanceId::from_bytes(&[1; 16]);
        let answer = |node: &str, by_relay, outcome| Answer {
            outcome,
            node: node.into(),
            epoch: 1,
            timing: None,
            sent_before: false,
            by_relay,
        };
        let known = || bus.owner(&home).map(|owner| owner.node.to_string());
        bus.learn_owner(&home, &answer("two", true, Outcome::Delivered(Bytes::new())));
        assert_eq!(known().as_deref(), Some("two"));
        bus.learn_owner(&home, &answer("", false, Outcome::NotSent(not_sent::Reason::Busy)));
        bus.learn_owner(&home, &answer("", false, Outcome::Unknown(unknown::Reason::LinkLost)));
        assert_eq!(known().as_deref(), Some("two"), "a full or broken stream says nothing of the home");
        let late = Answer { epoch: 0, ..answer("one", true, Outcome::Unknown(unknown::Reason::Unresponsive)) };
        bus.learn_owner(&home, &late);
        assert_eq!(known().as_deref(), Some("two"), "what an older session says comes too late");
        bus.learn_owner(&home, &answer("", true, Outcome::NotSent(not_sent::Reason::NotConnected)));
        assert_eq!(known(), None);
    }
}
