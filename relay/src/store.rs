//! One Redis, however it is set up: a connection that is made at its first use, and again after a failure.
//!
//! Nobody waits for a Redis that is away: whoever asks is told so within a second or two.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::cluster_async::ClusterConnection;
use redis::sentinel::{SentinelClient, SentinelNodeConnectionInfo, SentinelServerType};
use redis::{AsyncConnectionConfig, Client, Cmd, IntoConnectionInfo as _, Pipeline, RedisFuture, RedisResult, Value};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

/// Which Redis it is.
#[derive(Clone, PartialEq, Eq)]
pub enum Servers {
    /// The one at this URL.
    One(String),
    /// A Redis Cluster, found through any of these.
    Cluster(Vec<String>),
    /// The master of this name, as these sentinels know it. User, password and database of the first URL are for it too.
    Sentinel(Vec<String>, String),
}

/// The connection to it.
pub(crate) struct Store {
    servers: Reached,
    /// Held while connecting on purpose: whoever needs the connection meanwhile waits for that one.
    slot: Mutex<Slot>,
}

/// Not Redis URLs. Says nothing of them, since one may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the Redis URL is not valid: redis://HOST:PORT/ is expected, or rediss:// for TLS")]
pub struct InvalidUrl;

/// The shared store cannot be asked now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the shared store is unavailable")]
pub struct Unavailable;

enum Reached {
    One(Box<Client>),
    Cluster(Box<ClusterClient>),
    Sentinel(Box<Mutex<SentinelClient>>),
}

#[derive(Default)]
struct Slot {
    connection: Option<Connection>,
    /// When connecting failed last.
    failed: Option<Instant>,
}

/// What commands and scripts are sent on.
#[derive(Clone)]
pub(crate) enum Connection {
    Single(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Single(connection) => connection.req_packed_command(command),
            Self::Cluster(connection) => connection.req_packed_command(command),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Single(connection) => connection.req_packed_commands(pipeline, offset, count),
            Self::Cluster(connection) => connection.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Single(connection) => connection.get_db(),
            Self::Cluster(connection) => connection.get_db(),
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Store")
    }
}

impl Servers {
    fn client(self) -> RedisResult<Reached> {
        Ok(match self {
            Self::One(url) => Reached::One(Box::new(Client::open(url)?)),
            Self::Cluster(urls) => {
                let builder = ClusterClientBuilder::new(urls).connection_timeout(LIMIT).response_timeout(LIMIT);
                Reached::Cluster(Box::new(builder.retries(1).build()?))
            }
            Self::Sentinel(urls, master) => {
                let first = urls.first().ok_or(redis::ErrorKind::InvalidClientConfig).map_err(unusable)?;
                let info = first.as_str().into_connection_info()?;
                let node =
                    SentinelNodeConnectionInfo::default().set_redis_connection_info(info.redis_settings().clone());
                let client = SentinelClient::build(urls, master, Some(node), SentinelServerType::Master)?;
                Reached::Sentinel(Box::new(Mutex::new(client)))
            }
        })
    }
}

fn unusable(kind: redis::ErrorKind) -> redis::RedisError {
    (kind, "no server is named").into()
}

impl Store {
    /// That Redis.
    ///
    /// # Errors
    /// When a URL is not one.
    pub(crate) fn new(servers: Servers) -> Result<Self, InvalidUrl> {
        Ok(Self { servers: servers.client().map_err(|_| InvalidUrl)?, slot: Mutex::default() })
    }

    async fn connect(&self) -> RedisResult<Connection> {
        let limits =
            || AsyncConnectionConfig::new().set_connection_timeout(Some(LIMIT)).set_response_timeout(Some(LIMIT));
        Ok(match &self.servers {
            Reached::One(client) => {
                Connection::Single(client.get_multiplexed_async_connection_with_config(&limits()).await?)
            }
            Reached::Cluster(client) => Connection::Cluster(client.get_async_connection().await?),
            Reached::Sentinel(client) => {
                let master = client.lock().await.async_get_client().await?;
                Connection::Single(master.get_multiplexed_async_connection_with_config(&limits()).await?)
            }
        })
    }

    async fn connection(&self) -> Result<Connection, Unavailable> {
        let mut slot = self.slot.lock().await;
        if let Some(connection) = &slot.connection {
            return Ok(connection.clone());
        }
        // Many may be waiting for one that cannot be reached: they must not all try, one after the other.
        if slot.failed.is_some_and(|failed| failed.elapsed() < PAUSE) {
            return Err(Unavailable);
        }
        let connected = timeout(CONNECT_LIMIT, self.connect()).await;
        if let Ok(Ok(connection)) = connected {
            *slot = Slot { connection: Some(connection.clone()), failed: None };
            return Ok(connection);
        }
        slot.failed = Some(Instant::now());
        Err(Unavailable)
    }

    /// Do this on a connection. One that fails is not used again.
    pub(crate) async fn with<T, F: Future<Output = RedisResult<T>>>(
        &self,
        work: impl FnOnce(Connection) -> F,
    ) -> Result<T, Unavailable> {
        let connection = self.connection().await?;
        let Ok(result) = timeout(LIMIT * 2, work(connection)).await else {
            self.slot.lock().await.connection = None;
            return Err(Unavailable);
        };
        match result {
            Ok(value) => Ok(value),
            Err(error) => {
                tracing::debug!(kind = ?error.kind(), "the shared store did not answer");
                self.slot.lock().await.connection = None;
                Err(Unavailable)
            }
        }
    }
}

/// For connecting, and for each answer.
const LIMIT: Duration = Duration::from_millis(500);
/// A sentinel is asked first, and nodes of a cluster for its slots.
const CONNECT_LIMIT: Duration = Duration::from_millis(1500);
/// After connecting failed, nobody tries again for this long.
const PAUSE: Duration = Duration::from_millis(250);
