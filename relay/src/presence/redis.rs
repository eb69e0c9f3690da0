//! The directory in Redis, shared by the nodes of a cloud.
//!
//! | key | value | lives |
//! |---|---|---|
//! | `PREFIX:home:{instance}` | hash: `epoch`; `node` and `install` while it is there; `ended`, when it went; `displaced`, when another installation took over | two days from its session's begin, sessions are renewed before that; 31 days from its end |
//! | `PREFIX:node:{node id}` | where its bus is reached | a lease, renewed all the time |
//! | `PREFIX:nodes` | the same of all nodes, by the time of their last renewal | a lease from the last renewal of any |
//! | `PREFIX:notices:{node id}` | list of homes that have newer sessions elsewhere: id, epoch, and whether another installation's | a lease |
//!
//! Each change is one script, so that no other comes between comparing and setting, and each script touches one key, so that
//! a Redis cluster serves as well. Nothing but ids, epochs, times and internal addresses is ever stored.

use std::fmt;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use macloud_proto::ids::InstanceId;
use redis::Script;
use tokio::time::Instant;

use super::lately::SeenLately;
use super::takeovers::{TOO_MANY, WINDOW_MILLIS};
use super::{
    BoxFuture, Claim, Claimed, Held, LEASE, Location, NodeAddress, Notice, Presence, REMEMBERED, Restored, Unavailable,
    Whereabouts,
};
use crate::store::{InvalidUrl, Store, StoreSettings};

/// Presence in Redis. Connects at its first use, and again after a failure.
pub struct RedisPresence {
    store: Store,
    prefix: String,
    /// The server that knew of the lease at its last renewal, as [`Store::server`] counts.
    renewed_at: AtomicU64,
    /// Nodes whose leases counted when they were looked up.
    seen: SeenLately,
}

impl fmt::Debug for RedisPresence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisPresence").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl RedisPresence {
    /// In that Redis, under keys that begin with `prefix`. Clouds that share a Redis need different prefixes.
    ///
    /// # Errors
    /// When a URL is not one, or the authority's certificates are none.
    pub fn new(settings: impl Into<StoreSettings>, prefix: &str) -> Result<Self, InvalidUrl> {
        let store = Store::new(settings.into())?;
        Ok(Self { store, prefix: prefix.into(), renewed_at: AtomicU64::new(0), seen: SeenLately::default() })
    }

    fn home_key(&self, instance: &InstanceId) -> String {
        format!("{}:home:{instance}", self.prefix)
    }

    fn node_key(&self, node_id: &str) -> String {
        format!("{}:node:{node_id}", self.prefix)
    }

    fn nodes_key(&self) -> String {
        format!("{}:nodes", self.prefix)
    }

    fn notices_key(&self, node_id: &str) -> String {
        format!("{}:notices:{node_id}", self.prefix)
    }

    async fn living(&self, node_id: String) -> Result<Option<NodeAddress>, Unavailable> {
        let key = self.node_key(&node_id);
        let bus: Option<String> = self
            .store
            .with(|mut redis| async move { redis::cmd("GET").arg(key).query_async(&mut redis).await })
            .await?;
        Ok(bus.map(|bus| NodeAddress { node_id, bus }))
    }

    /// The node that held a home until now, if its lease counts or did a moment ago. One that has just left is told in vain, which
    /// harms nobody.
    async fn to_be_told(&self, node_id: String) -> Result<Option<NodeAddress>, Unavailable> {
        let now = Instant::now();
        if let Some(node) = self.seen.find(&node_id, now) {
            return Ok(Some(node));
        }
        let node = self.living(node_id).await?;
        if let Some(node) = &node {
            self.seen.note(node, now);
        }
        Ok(node)
    }

    async fn begin(&self, claim: Claim<'_>) -> Result<Claimed, Unavailable> {
        let key = self.home_key(claim.instance);
        let (epoch, before, other_installation, contested): (u64, Option<String>, bool, bool) = self
            .store
            .with(|mut redis| async move {
                let mut script = CLAIM.key(key);
                let script = script.arg(claim.node_id).arg(claim.above).arg(hex(claim.install_id)).arg(HOME_SECONDS);
                script.arg(TOO_MANY).arg(WINDOW_MILLIS).invoke_async(&mut redis).await
            })
            .await?;
        let before = match before {
            Some(before) if before != claim.node_id => self.to_be_told(before).await?,
            _ => None,
        };
        Ok(Claimed { epoch, before, other_installation, contested })
    }

    async fn put_back(&self, session: Held<'_>) -> Result<Restored, Unavailable> {
        let key = self.home_key(session.instance);
        let (newest, before, other_installation, contested): (bool, Option<String>, bool, bool) = self
            .store
            .with(|mut redis| async move {
                let mut script = RESTORE.key(key);
                let script = script.arg(session.node_id).arg(session.epoch).arg(hex(session.install_id));
                script.arg(HOME_SECONDS).arg(TOO_MANY).arg(WINDOW_MILLIS).invoke_async(&mut redis).await
            })
            .await?;
        if !newest {
            return Ok(Restored::Outdated { other_installation, contested });
        }
        let before = match before {
            Some(before) if before != session.node_id => self.to_be_told(before).await?,
            _ => None,
        };
        Ok(Restored::Newest { before })
    }

    async fn find(&self, instance: &InstanceId) -> Result<Whereabouts, Unavailable> {
        let key = self.home_key(instance);
        let (epoch, node_id, away): (Option<u64>, Option<String>, Option<u64>) =
            self.store.with(|mut redis| async move { LOCATE.key(key).invoke_async(&mut redis).await }).await?;
        let nowhere = Whereabouts::Away(away.map(Duration::from_millis));
        let (Some(epoch), Some(node_id)) = (epoch, node_id) else { return Ok(nowhere) };
        Ok(self.living(node_id).await?.map_or(nowhere, |node| Whereabouts::At(Location { node, epoch })))
    }

    /// Whether the lease counted until now, and on this very server: another one that has taken its place may lack what that one
    /// had just confirmed.
    async fn keep(&self, node: &NodeAddress) -> Result<bool, Unavailable> {
        let (key, nodes, lease) = (self.node_key(&node.node_id), self.nodes_key(), LEASE.as_millis() as u64);
        let before: Option<String> = self
            .store
            .with(|mut redis| async move {
                let mut set = redis::cmd("SET");
                set.arg(key).arg(&node.bus).arg("PX").arg(lease).arg("GET").query_async(&mut redis).await
            })
            .await?;
        let server = self.store.server();
        let _: Vec<String> = self
            .store
            .with(
                |mut redis| async move { NODES.key(nodes).arg(lease).arg(member(node)).invoke_async(&mut redis).await },
            )
            .await?;
        let same = self.renewed_at.swap(server, Ordering::Relaxed) == server;
        Ok(before.is_some() && same)
    }

    async fn leave_word(&self, node_id: &str, notice: &Notice) -> Result<(), Unavailable> {
        let (key, lease) = (self.notices_key(node_id), LEASE.as_millis() as u64);
        self.store
            .with(|mut redis| async move {
                LEAVE_NOTICE.key(key).arg(to_text(notice)).arg(lease).invoke_async(&mut redis).await
            })
            .await
    }

    async fn take_words(&self, node_id: &str) -> Result<Vec<Notice>, Unavailable> {
        let key = self.notices_key(node_id);
        let words: Vec<String> =
            self.store.with(|mut redis| async move { TAKE_NOTICES.key(key).invoke_async(&mut redis).await }).await?;
        Ok(words.iter().filter_map(|text| from_text(text)).collect())
    }

    async fn there(&self) -> Result<Vec<NodeAddress>, Unavailable> {
        let (key, lease) = (self.nodes_key(), LEASE.as_millis() as u64);
        let members: Vec<String> = self
            .store
            .with(|mut redis| async move { NODES.key(key).arg(lease).invoke_async(&mut redis).await })
            .await?;
        let node = |member: &String| {
            let (node_id, bus) = member.split_once(' ')?;
            Some(NodeAddress { node_id: node_id.into(), bus: bus.into() })
        };
        Ok(members.iter().filter_map(node).collect())
    }
}

impl Presence for RedisPresence {
    fn claim<'a>(&'a self, claim: Claim<'a>) -> BoxFuture<'a, Result<Claimed, Unavailable>> {
        Box::pin(self.begin(claim))
    }

    fn release<'a>(&'a self, instance: &'a InstanceId, epoch: u64) -> BoxFuture<'a, Result<bool, Unavailable>> {
        let key = self.home_key(instance);
        Box::pin(self.store.with(move |mut redis| async move {
            RELEASE.key(key).arg(epoch).arg(REMEMBERED.as_secs()).invoke_async(&mut redis).await
        }))
    }

    fn restore<'a>(&'a self, session: Held<'a>) -> BoxFuture<'a, Result<Restored, Unavailable>> {
        Box::pin(self.put_back(session))
    }

    fn locate<'a>(&'a self, instance: &'a InstanceId) -> BoxFuture<'a, Result<Whereabouts, Unavailable>> {
        Box::pin(self.find(instance))
    }

    fn renew_lease<'a>(&'a self, node: &'a NodeAddress) -> BoxFuture<'a, Result<bool, Unavailable>> {
        Box::pin(self.keep(node))
    }

    fn end_lease<'a>(&'a self, node: &'a NodeAddress) -> BoxFuture<'a, Result<(), Unavailable>> {
        let (key, nodes) = (self.node_key(&node.node_id), self.nodes_key());
        self.seen.forget(&node.node_id);
        Box::pin(async move {
            let _: () = self
                .store
                .with(|mut redis| async move { END_LEASE.key(key).arg(&node.bus).invoke_async(&mut redis).await })
                .await?;
            self.store
                .with(|mut redis| async move {
                    redis::cmd("ZREM").arg(nodes).arg(member(node)).query_async(&mut redis).await
                })
                .await
        })
    }

    fn leave_notice<'a>(&'a self, node_id: &'a str, notice: &'a Notice) -> BoxFuture<'a, Result<(), Unavailable>> {
        Box::pin(self.leave_word(node_id, notice))
    }

    fn take_notices<'a>(&'a self, node_id: &'a str) -> BoxFuture<'a, Result<Vec<Notice>, Unavailable>> {
        Box::pin(self.take_words(node_id))
    }

    fn nodes(&self) -> BoxFuture<'_, Result<Vec<NodeAddress>, Unavailable>> {
        Box::pin(self.there())
    }
}

/// A node's id holds no spaces.
fn member(node: &NodeAddress) -> String {
    format!("{} {}", node.node_id, node.bus)
}

fn to_text(notice: &Notice) -> String {
    let Notice { instance, epoch, other_installation, contested } = notice;
    format!("{instance} {epoch} {} {}", u8::from(*other_installation), u8::from(*contested))
}

fn from_text(text: &str) -> Option<Notice> {
    let mut words = text.split(' ');
    let (instance, epoch) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let (other_installation, contested) = (words.next()? == "1", words.next()? == "1");
    Some(Notice { instance, epoch, other_installation, contested })
}

fn hex(bytes: [u8; 16]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// By Redis's own clock, in milliseconds: the nodes' clocks may differ. Lua's numbers hold such an integer exactly.
static CLAIM: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"local time = redis.call('TIME')
        local now = time[1] * 1000 + math.floor(time[2] / 1000)
        local before = redis.call('HMGET', KEYS[1], 'epoch', 'node', 'install', 'displaced')
        local epoch = math.max(now, tonumber(before[1] or 0) + 1, tonumber(ARGV[2]) + 1)
        local text = string.format('%.0f', epoch)
        redis.call('HSET', KEYS[1], 'epoch', text, 'node', ARGV[1], 'install', ARGV[3])
        redis.call('EXPIRE', KEYS[1], ARGV[4])
        local lately = {}
        for at in string.gmatch(before[4] or '', '%d+') do
            if now - tonumber(at) <= tonumber(ARGV[6]) then table.insert(lately, at) end
        end
        local displaces = before[2] and before[3] ~= ARGV[3]
        if displaces then
            table.insert(lately, string.format('%.0f', now))
            if #lately > tonumber(ARGV[5]) then table.remove(lately, 1) end
            redis.call('HSET', KEYS[1], 'displaced', table.concat(lately, ' '))
        end
        return {text, before[2], displaces and 1 or 0, #lately >= tonumber(ARGV[5]) and 1 or 0}",
    )
});

/// The epoch stays, so that what an older session says later is known to be old; and when it ended, so that people can be told.
static RELEASE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then return 0 end
        if redis.call('HDEL', KEYS[1], 'node', 'install') == 0 then return 0 end
        local time = redis.call('TIME')
        redis.call('HSET', KEYS[1], 'ended', string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000)))
        redis.call('EXPIRE', KEYS[1], ARGV[2])
        return 1",
    )
});

/// The session's epoch and node, and for how long there has been none. Only a goodbye takes the node away, so where none is left,
/// it is the last session's.
static LOCATE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"local home = redis.call('HMGET', KEYS[1], 'epoch', 'node', 'ended')
        if home[2] or not home[3] then return {home[1], home[2], false} end
        local time = redis.call('TIME')
        local now = time[1] * 1000 + math.floor(time[2] / 1000)
        return {home[1], home[2], math.max(0, now - tonumber(home[3]))}",
    )
});

static RESTORE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"local before = redis.call('HMGET', KEYS[1], 'epoch', 'node', 'install', 'displaced')
        if before[1] and tonumber(before[1]) > tonumber(ARGV[2]) then
            local time = redis.call('TIME')
            local now = time[1] * 1000 + math.floor(time[2] / 1000)
            local lately = 0
            for at in string.gmatch(before[4] or '', '%d+') do
                if now - tonumber(at) <= tonumber(ARGV[6]) then lately = lately + 1 end
            end
            local other = before[3] and before[3] ~= ARGV[3]
            return {0, false, other and 1 or 0, lately >= tonumber(ARGV[5]) and 1 or 0}
        end
        redis.call('HSET', KEYS[1], 'epoch', ARGV[2], 'node', ARGV[1], 'install', ARGV[3])
        redis.call('EXPIRE', KEYS[1], ARGV[4])
        return {1, before[2], 0, 0}",
    )
});

/// Who has renewed within a lease, with one more node or without.
static NODES: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"local time = redis.call('TIME')
        local now = time[1] * 1000 + math.floor(time[2] / 1000)
        redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now - ARGV[1]))
        if ARGV[2] then
            redis.call('ZADD', KEYS[1], string.format('%.0f', now), ARGV[2])
            redis.call('PEXPIRE', KEYS[1], ARGV[1])
        end
        return redis.call('ZRANGE', KEYS[1], 0, -1)",
    )
});

static LEAVE_NOTICE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"redis.call('RPUSH', KEYS[1], ARGV[1])
        redis.call('PEXPIRE', KEYS[1], ARGV[2])",
    )
});

static TAKE_NOTICES: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"local words = redis.call('LRANGE', KEYS[1], 0, -1)
        redis.call('DEL', KEYS[1])
        return words",
    )
});

static END_LEASE: LazyLock<Script> =
    LazyLock::new(|| Script::new(r"if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end"));

/// Longer than any session lasts, so that only what died with its node is forgotten by itself.
const HOME_SECONDS: u64 = 48 * 3600;
