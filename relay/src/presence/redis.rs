//! The directory in Redis, shared by the nodes of a cloud.
//!
//! | key | value | lives |
//! |---|---|---|
//! | `PREFIX:home:{instance}` | hash: `epoch`, `node` | two days from its session's begin; sessions are renewed before that |
//! | `PREFIX:node:{node id}` | where its bus is reached | a lease, renewed all the time |
//!
//! Each change is one script, so that no other comes between comparing and setting, and each script touches one key, so that
//! a Redis cluster serves as well. Nothing but ids, epochs and internal addresses is ever stored.

use std::fmt;
use std::future::Future;
use std::sync::LazyLock;
use std::time::Duration;

use macloud_proto::ids::InstanceId;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisResult, Script};
use tokio::sync::Mutex;

use super::{BoxFuture, Claimed, LEASE, Location, NodeAddress, Presence, Unavailable};

/// Presence in Redis. Connects at its first use, and again after a failure.
pub struct RedisPresence {
    client: Client,
    prefix: String,
    /// Held while connecting on purpose: whoever needs the connection meanwhile waits for that one.
    connection: Mutex<Option<MultiplexedConnection>>,
}

/// Not a Redis URL. Says nothing of the URL, which may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the Redis URL is not valid: redis://HOST:PORT/ is expected")]
pub struct InvalidUrl;

impl fmt::Debug for RedisPresence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisPresence").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl RedisPresence {
    /// In the Redis at `url`, under keys that begin with `prefix`. Clouds that share a Redis need different prefixes.
    ///
    /// # Errors
    /// When the URL is not one.
    pub fn new(url: &str, prefix: &str) -> Result<Self, InvalidUrl> {
        let client = Client::open(url).map_err(|_| InvalidUrl)?;
        Ok(Self { client, prefix: prefix.into(), connection: Mutex::default() })
    }

    fn home_key(&self, instance: &InstanceId) -> String {
        format!("{}:home:{instance}", self.prefix)
    }

    fn node_key(&self, node_id: &str) -> String {
        format!("{}:node:{node_id}", self.prefix)
    }

    async fn connection(&self) -> RedisResult<MultiplexedConnection> {
        let mut slot = self.connection.lock().await;
        if let Some(connection) = &*slot {
            return Ok(connection.clone());
        }
        let limits = AsyncConnectionConfig::new().set_connection_timeout(Some(LIMIT)).set_response_timeout(Some(LIMIT));
        let connection = self.client.get_multiplexed_async_connection_with_config(&limits).await?;
        *slot = Some(connection.clone());
        Ok(connection)
    }

    /// Do this on a connection. One that fails is not used again.
    async fn with<T, F: Future<Output = RedisResult<T>>>(
        &self,
        work: impl FnOnce(MultiplexedConnection) -> F,
    ) -> Result<T, Unavailable> {
        let result = match self.connection().await {
            Ok(connection) => work(connection).await,
            Err(error) => Err(error),
        };
        match result {
            Ok(value) => Ok(value),
            Err(error) => {
                tracing::debug!(kind = ?error.kind(), "the presence store did not answer");
                *self.connection.lock().await = None;
                Err(Unavailable)
            }
        }
    }

    async fn living(&self, node_id: String) -> Result<Option<NodeAddress>, Unavailable> {
        let key = self.node_key(&node_id);
        let bus: Option<String> =
            self.with(|mut redis| async move { redis::cmd("GET").arg(key).query_async(&mut redis).await }).await?;
        Ok(bus.map(|bus| NodeAddress { node_id, bus }))
    }

    async fn begin(&self, instance: &InstanceId, node_id: &str, above: u64) -> Result<Claimed, Unavailable> {
        let key = self.home_key(instance);
        let (epoch, before): (u64, Option<String>) = self
            .with(|mut redis| async move {
                let mut claim = CLAIM.key(key);
                claim.arg(node_id).arg(above).arg(HOME_SECONDS).invoke_async(&mut redis).await
            })
            .await?;
        let before = match before {
            Some(before) if before != node_id => self.living(before).await?,
            _ => None,
        };
        Ok(Claimed { epoch, before })
    }

    async fn find(&self, instance: &InstanceId) -> Result<Option<Location>, Unavailable> {
        let key = self.home_key(instance);
        let (epoch, node_id): (Option<u64>, Option<String>) = self
            .with(|mut redis| async move {
                redis::cmd("HMGET").arg(key).arg("epoch").arg("node").query_async(&mut redis).await
            })
            .await?;
        let (Some(epoch), Some(node_id)) = (epoch, node_id) else { return Ok(None) };
        Ok(self.living(node_id).await?.map(|node| Location { node, epoch }))
    }
}

impl Presence for RedisPresence {
    fn claim<'a>(
        &'a self,
        instance: &'a InstanceId,
        node_id: &'a str,
        above: u64,
    ) -> BoxFuture<'a, Result<Claimed, Unavailable>> {
        Box::pin(self.begin(instance, node_id, above))
    }

    fn release<'a>(&'a self, instance: &'a InstanceId, epoch: u64) -> BoxFuture<'a, Result<bool, Unavailable>> {
        let key = self.home_key(instance);
        Box::pin(self.with(move |mut redis| async move { RELEASE.key(key).arg(epoch).invoke_async(&mut redis).await }))
    }

    fn restore<'a>(
        &'a self,
        instance: &'a InstanceId,
        node_id: &'a str,
        epoch: u64,
    ) -> BoxFuture<'a, Result<bool, Unavailable>> {
        let key = self.home_key(instance);
        Box::pin(self.with(move |mut redis| async move {
            RESTORE.key(key).arg(node_id).arg(epoch).arg(HOME_SECONDS).invoke_async(&mut redis).await
        }))
    }

    fn locate<'a>(&'a self, instance: &'a InstanceId) -> BoxFuture<'a, Result<Option<Location>, Unavailable>> {
        Box::pin(self.find(instance))
    }

    fn renew_lease<'a>(&'a self, node: &'a NodeAddress) -> BoxFuture<'a, Result<bool, Unavailable>> {
        let key = self.node_key(&node.node_id);
        Box::pin(self.with(move |mut redis| async move {
            let lease = LEASE.as_millis() as u64;
            let before: Option<String> = redis::cmd("SET")
                .arg(key)
                .arg(&node.bus)
                .arg("PX")
                .arg(lease)
                .arg("GET")
                .query_async(&mut redis)
                .await?;
            Ok(before.is_some())
        }))
    }

    fn end_lease<'a>(&'a self, node_id: &'a str) -> BoxFuture<'a, Result<(), Unavailable>> {
        let key = self.node_key(node_id);
        Box::pin(self.with(move |mut redis| async move { redis::cmd("DEL").arg(key).exec_async(&mut redis).await }))
    }
}

/// By Redis's own clock, in milliseconds: the nodes' clocks may differ. Lua's numbers hold such an integer exactly.
static CLAIM: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"local time = redis.call('TIME')
        local epoch = time[1] * 1000 + math.floor(time[2] / 1000)
        local before = redis.call('HMGET', KEYS[1], 'epoch', 'node')
        epoch = math.max(epoch, tonumber(before[1] or 0) + 1, tonumber(ARGV[2]) + 1)
        local text = string.format('%.0f', epoch)
        redis.call('HSET', KEYS[1], 'epoch', text, 'node', ARGV[1])
        redis.call('EXPIRE', KEYS[1], ARGV[3])
        return {text, before[2]}",
    )
});

static RELEASE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then return 0 end
        return redis.call('DEL', KEYS[1])",
    )
});

static RESTORE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"local newest = redis.call('HGET', KEYS[1], 'epoch')
        if newest and tonumber(newest) > tonumber(ARGV[2]) then return 0 end
        redis.call('HSET', KEYS[1], 'epoch', ARGV[2], 'node', ARGV[1])
        redis.call('EXPIRE', KEYS[1], ARGV[3])
        return 1",
    )
});

/// Longer than any session lasts, so that only what died with its node is forgotten by itself.
const HOME_SECONDS: u64 = 48 * 3600;
/// For connecting, and for each answer.
const LIMIT: Duration = Duration::from_millis(500);
