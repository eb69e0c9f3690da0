//! Redis: publish and subscribe. Each home is a connection that subscribes to a channel of its own; the caller has one channel
//! for all replies. RESP3, with which one connection both subscribes and publishes.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use macloud_loadtest::driver::Server;
use macloud_loadtest::sample::Outcome;
use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, IntoConnectionInfo as _, ProtocolVersion, PushInfo, PushKind,
    RedisConnectionInfo, RedisResult, Value,
};
use tokio::sync::mpsc;

use crate::peer::{Caller, Peer, each_home};
use crate::program::{Directory, Program, foreign, free_port};
use crate::replies::{Waiting, answer};

pub(crate) struct Redis {
    server: Program,
    client: Client,
}

impl Redis {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let (directory, port) = (Directory::new()?, free_port()?);
        let mut command = foreign("redis-server", "apt-get install redis-server")?;
        command.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", "", "--appendonly", "no"]);
        command.arg("--dir").arg(directory.path(""));
        let server = Program::listening("redis-server", command, port, &directory).await?;
        let address = ConnectionAddr::Tcp(Ipv4Addr::LOCALHOST.to_string(), port).into_connection_info()?;
        let resp3 = RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP3);
        let address = address.set_redis_settings(resp3).set_tcp_settings(TcpSettings::default().set_nodelay(true));
        Ok(Self { server, client: Client::open(address)? })
    }

    /// Connected, and subscribed to a channel.
    async fn subscribe(
        &self,
        channel: &str,
        take: impl Fn(Bytes) + Send + Sync + 'static,
    ) -> RedisResult<MultiplexedConnection> {
        let take = move |push: PushInfo| -> Result<(), ()> {
            if let (PushKind::Message, Some(Value::BulkString(message))) = (push.kind, push.data.into_iter().nth(1)) {
                take(message.into());
            }
            Ok(())
        };
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(PATIENCE)).set_push_sender(take);
        let mut connection = self.client.get_multiplexed_async_connection_with_config(&config).await?;
        connection.subscribe(channel).await?;
        Ok(connection)
    }

    async fn connect_home(&self, home: usize) -> anyhow::Result<()> {
        let (take, mut commands) = mpsc::channel(QUEUE);
        let take = move |command| {
            if take.try_send(command).is_err() {
                eprintln!("home {home} has lost a command: its queue is full");
            }
        };
        let connection = self.subscribe(&channel(home), take).await?;
        tokio::spawn(async move {
            while let Some(command) = commands.recv().await {
                let Some(reply) = answer(home, &command) else { continue };
                // The next command does not wait until the server has confirmed this reply.
                let connection = connection.clone();
                tokio::spawn(async move {
                    if let Err(error) = publish(connection, REPLIES, &reply).await {
                        eprintln!("home {home} has lost a reply: {error}");
                    }
                });
            }
        });
        Ok(())
    }
}

impl Peer for Redis {
    type Caller = RedisCaller;

    async fn connect(&self, homes: usize) -> anyhow::Result<RedisCaller> {
        each_home(homes, |home| self.connect_home(home)).await?;
        let waiting = Arc::new(Waiting::default());
        let replies = waiting.clone();
        let connection = self.subscribe(REPLIES, move |reply| replies.arrived(reply)).await?;
        Ok(RedisCaller { connection, waiting })
    }

    fn servers(&self) -> Vec<Server> {
        vec![self.server.server()]
    }
}

/// One connection.
pub(crate) struct RedisCaller {
    connection: MultiplexedConnection,
    waiting: Arc<Waiting>,
}

impl Caller for RedisCaller {
    async fn ask(&self, home: usize, command: Bytes) -> Result<Bytes, Outcome> {
        let (message, reply) = self.waiting.add(&command);
        match publish(self.connection.clone(), &channel(home), &message).await {
            Ok(0) => Err(Outcome::Refused("nobody subscribes".into())),
            Ok(_) => reply.come().await,
            Err(error) => Err(Outcome::Unknown(error.to_string())),
        }
    }
}

/// How many were subscribed.
async fn publish(mut connection: MultiplexedConnection, channel: &str, message: &[u8]) -> RedisResult<u64> {
    redis::cmd("PUBLISH").arg(channel).arg(message).query_async(&mut connection).await
}

fn channel(home: usize) -> String {
    format!("homes:{home}")
}

const REPLIES: &str = "replies";
/// Commands that wait in a home.
const QUEUE: usize = 4096;
/// The client's own limit is half a second.
const PATIENCE: Duration = Duration::from_secs(5);
