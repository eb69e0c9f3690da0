//! One Redis, however it is set up: a connection that is made at its first use, and again after a failure.
//!
//! Nobody waits for a Redis that is away: whoever asks is told so within a second or two.

use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::cluster_async::ClusterConnection;
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _, Pipeline, RedisFuture,
    RedisResult, TlsCertificates, TlsMode, Value,
};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

/// Which Redis it is.
#[derive(Clone, PartialEq, Eq)]
pub enum Servers {
    /// The one at this URL.
    One(String),
    /// A Redis Cluster, found through any of these.
    Cluster(Vec<String>),
    /// The master of this name, as these sentinels know it. User, password, database and TLS of the first URL are for it too.
    Sentinel(Vec<String>, String),
}

/// How to reach it.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreSettings {
    /// Where.
    pub servers: Servers,
    /// For `rediss://`: certificates (PEM) of the authority that theirs come from. Without them it must be a public one.
    pub authority: Option<Vec<u8>>,
}

impl From<Servers> for StoreSettings {
    fn from(servers: Servers) -> Self {
        Self { servers, authority: None }
    }
}

/// The connection to it.
pub(crate) struct Store {
    servers: Reached,
    /// Counts the servers that it has been connected to one after the other: a restart is another one, a lost connection is not.
    server: AtomicU64,
    /// Held while connecting on purpose: whoever needs the connection meanwhile waits for that one.
    slot: Mutex<Slot>,
}

/// Not Redis URLs. Says nothing of them, since one may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the Redis URL is not valid: redis://HOST:PORT/ is expected, or rediss:// for TLS, which a certificate authority needs"
)]
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
    /// What the server calls itself, since its start.
    run_id: Option<String>,
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

impl StoreSettings {
    fn client(self) -> RedisResult<Reached> {
        let trusted = self.authority.map(|authority| TlsCertificates { client_tls: None, root_cert: Some(authority) });
        Ok(match self.servers {
            Servers::One(url) => Reached::One(Box::new(match trusted {
                Some(trusted) => Client::build_with_tls(url, trusted)?,
                None => Client::open(url)?,
            })),
            Servers::Cluster(urls) => {
                let mut builder = ClusterClientBuilder::new(urls).connection_timeout(LIMIT).response_timeout(LIMIT);
                if let Some(trusted) = trusted {
                    builder = builder.certs(trusted);
                }
                Reached::Cluster(Box::new(builder.retries(1).build()?))
            }
            Servers::Sentinel(urls, master) => {
                let client = sentinels(&urls, &master, trusted)?;
                Reached::Sentinel(Box::new(Mutex::new(client)))
            }
        })
    }
}

/// What the first URL says besides its host is for all sentinels, and for the master.
fn sentinels(urls: &[String], master: &str, trusted: Option<TlsCertificates>) -> RedisResult<SentinelClient> {
    let infos =
        urls.iter().map(|url| url.as_str().into_connection_info()).collect::<RedisResult<Vec<ConnectionInfo>>>()?;
    let first = infos.first().ok_or(redis::ErrorKind::InvalidClientConfig).map_err(unusable)?;
    let settings = first.redis_settings();
    let places = infos.iter().map(|info| info.addr().clone());
    let mut builder = SentinelClientBuilder::new(places, master, SentinelServerType::Master)?
        .set_client_to_redis_db(settings.db())
        .set_client_to_redis_protocol(settings.protocol())
        .set_client_to_sentinel_protocol(settings.protocol());
    if let Some(username) = settings.username() {
        builder = builder.set_client_to_redis_username(username).set_client_to_sentinel_username(username);
    }
    if let Some(password) = settings.password() {
        builder = builder.set_client_to_redis_password(password).set_client_to_sentinel_password(password);
    }
    if let ConnectionAddr::TcpTls { insecure, .. } = first.addr() {
        let mode = || if *insecure { TlsMode::Insecure } else { TlsMode::Secure };
        builder = builder.set_client_to_redis_tls_mode(mode()).set_client_to_sentinel_tls_mode(mode());
    }
    if let Some(trusted) = trusted {
        builder =
            builder.set_client_to_redis_certificates(trusted.clone()).set_client_to_sentinel_certificates(trusted);
    }
    builder.build()
}

fn unusable(kind: redis::ErrorKind) -> redis::RedisError {
    (kind, "no server is named").into()
}

impl Store {
    /// That Redis.
    ///
    /// # Errors
    /// When a URL is not one.
    pub(crate) fn new(settings: StoreSettings) -> Result<Self, InvalidUrl> {
        let servers = settings.client().map_err(|_| InvalidUrl)?;
        Ok(Self { servers, server: AtomicU64::new(0), slot: Mutex::default() })
    }

    /// Which server it is, of those that it has been connected to. Of a cluster only the first connection is known here.
    pub(crate) fn server(&self) -> u64 {
        self.server.load(Ordering::Relaxed)
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
        let connected = timeout(CONNECT_LIMIT, async {
            let connection = self.connect().await?;
            Ok::<_, redis::RedisError>((run_id(connection.clone()).await, connection))
        });
        if let Ok(Ok((run_id, connection))) = connected.await {
            if run_id.is_none() || run_id != slot.run_id {
                self.server.fetch_add(1, Ordering::Relaxed);
            }
            *slot = Slot { connection: Some(connection.clone()), run_id, failed: None };
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

/// Drawn anew at each start of a server. None where nobody may know: then each connection is taken for one to another server.
async fn run_id(mut connection: Connection) -> Option<String> {
    if matches!(connection, Connection::Cluster(_)) {
        return None;
    }
    let about: String = redis::cmd("INFO").arg("server").query_async(&mut connection).await.ok()?;
    about.lines().find_map(|line| line.strip_prefix("run_id:")).map(|id| id.trim().to_owned())
}

/// For connecting, and for each answer.
const LIMIT: Duration = Duration::from_millis(500);
/// A sentinel is asked first, and nodes of a cluster for its slots.
const CONNECT_LIMIT: Duration = Duration::from_millis(1500);
/// After connecting failed, nobody tries again for this long.
const PAUSE: Duration = Duration::from_millis(250);
