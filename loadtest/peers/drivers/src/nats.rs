//! NATS: request and reply through `nats-server`. Each home is a connection that subscribes to a subject of its own.

use async_nats::client::RequestErrorKind;
use async_nats::{Client, ConnectOptions};
use bytes::Bytes;
use futures_util::StreamExt as _;
use macloud_loadtest::driver::Server;
use macloud_loadtest::sample::Outcome;

use crate::peer::{Caller, Peer, each_home, reply};
use crate::program::{Directory, Program, foreign, free_port};

pub(crate) struct Nats {
    server: Program,
    port: u16,
}

impl Nats {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let (directory, port) = (Directory::new()?, free_port()?);
        let mut command = foreign("nats-server", "apt-get install nats-server")?;
        command.args(["--addr", "127.0.0.1", "--port", &port.to_string()]);
        Ok(Self { server: Program::listening("nats-server", command, port, &directory).await?, port })
    }

    /// With TCP_NODELAY: the client always sets it.
    async fn client(&self) -> anyhow::Result<Client> {
        Ok(ConnectOptions::new().connect(format!("127.0.0.1:{}", self.port)).await?)
    }

    async fn connect_home(&self, home: usize) -> anyhow::Result<()> {
        let client = self.client().await?;
        let mut commands = client.subscribe(subject(home)).await?;
        tokio::spawn(async move {
            while let Some(command) = commands.next().await {
                let Some(inbox) = command.reply else { continue };
                if client.publish(inbox, reply(home, &command.payload).into()).await.is_err() {
                    return;
                }
            }
        });
        Ok(())
    }
}

impl Peer for Nats {
    type Caller = NatsCaller;

    async fn connect(&self, homes: usize) -> anyhow::Result<NatsCaller> {
        each_home(homes, |home| self.connect_home(home)).await?;
        Ok(NatsCaller(self.client().await?))
    }

    fn servers(&self) -> Vec<Server> {
        vec![self.server.server()]
    }
}

/// One connection.
pub(crate) struct NatsCaller(Client);

impl Caller for NatsCaller {
    async fn ask(&self, home: usize, command: Bytes) -> Result<Bytes, Outcome> {
        let reply = self.0.request(subject(home), command).await.map_err(|error| match error.kind() {
            RequestErrorKind::NoResponders => Outcome::Refused("nobody subscribes".into()),
            kind @ (RequestErrorKind::MaxPayloadExceeded | RequestErrorKind::InvalidSubject) => {
                Outcome::Refused(kind.to_string())
            }
            kind @ (RequestErrorKind::TimedOut | RequestErrorKind::Other) => Outcome::Unknown(kind.to_string()),
        })?;
        Ok(reply.payload)
    }
}

fn subject(home: usize) -> String {
    format!("homes.{home}")
}
