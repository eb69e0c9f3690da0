//! `loadtest drive`: our own subjects of a comparison, each obeying orders as the drivers of other systems do.

mod echo;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use macloud_loadtest::driver::{self, Driver, Server};
use macloud_loadtest::sample::Outcome;
use macloud_proto::link::redial::RedialSettings;

use crate::fleet::callers::Callers;
use crate::fleet::homes::{Homes, HomesConfig};
use crate::fleet::nodes::Nodes;

/// Settings of `loadtest drive`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which.
    #[arg(value_enum)]
    subject: Subject,
    /// The relay's program. By default the one beside this one.
    #[arg(long, value_name = "FILE")]
    relay: Option<PathBuf>,
}

/// What can be driven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Subject {
    /// One relay: homes over TLS, callers on the command bus, everything sealed.
    Relay,
    /// The same, with nothing sealed: what the relay alone costs.
    RelayUnsealed,
    /// Two relays: callers know only the one, homes are at the other, so that each command crosses.
    RelayCrossing,
    /// tonic alone: one unary call there and back.
    GrpcUnary,
    /// tonic alone: a long-lived stream.
    GrpcStream,
    /// tokio-tungstenite over TLS alone: one message there and back.
    Websocket,
}

/// Obey orders on standard input.
pub(crate) async fn run(args: &Args) -> anyhow::Result<()> {
    match args.subject {
        Subject::Relay => driver::serve(Relays::start(args, 1, true).await?).await,
        Subject::RelayUnsealed => driver::serve(Relays::start(args, 1, false).await?).await,
        Subject::RelayCrossing => driver::serve(Relays::start(args, 2, true).await?).await,
        Subject::GrpcUnary => driver::serve(echo::Grpc::start(false).await?).await,
        Subject::GrpcStream => driver::serve(echo::Grpc::start(true).await?).await,
        Subject::Websocket => driver::serve(echo::Websocket::start().await?).await,
    }
}

pub(crate) use echo::{ServerArgs, serve as serve_echo};

struct Relays {
    nodes: Nodes,
    sealed: bool,
    connected: OnceLock<(Arc<Homes>, Callers)>,
}

impl Relays {
    async fn start(args: &Args, count: usize, sealed: bool) -> anyhow::Result<Self> {
        let nodes = Nodes::start(count, args.relay.clone(), &[]).await?;
        Ok(Self { nodes, sealed, connected: OnceLock::new() })
    }
}

impl Driver for Relays {
    async fn connect(&self, homes: usize) -> anyhow::Result<()> {
        let config = HomesConfig {
            certificate: self.nodes.certificate.clone(),
            sealed: self.sealed,
            delay: Duration::ZERO,
            installation: 1,
            resume: false,
            credentials: true,
            redial: RedialSettings::default(),
        };
        // Homes are at the last relay, callers know the first: with one it is the same.
        let door = self.nodes.all.last().map(|node| node.address);
        let all = Homes::new(config, door.into_iter().collect())?;
        all.add(0..homes as u64, Duration::ZERO);
        all.until_connected(homes, Duration::from_secs(60)).await?;
        let first = self.nodes.buses()?.into_iter().take(1).collect();
        let callers = Callers::new(first, 0..homes as u64, self.sealed).await?;
        callers.warm_up().await?;
        let _ = self.connected.set((all, callers));
        Ok(())
    }

    async fn call(&self, home: usize, payload: Bytes) -> Outcome {
        match self.connected.get() {
            Some((_, callers)) => callers.call(home, payload).await,
            None => Outcome::Wrong("not connected".into()),
        }
    }

    fn servers(&self) -> Vec<Server> {
        self.nodes.servers()
    }
}
