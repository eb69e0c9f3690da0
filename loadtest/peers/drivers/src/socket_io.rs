//! socket.io: a hub in Node, the shape of openHAB Cloud. The caller speaks HTTP to it; the homes are socket.io clients, all in
//! another Node process, and acknowledge commands with their replies.

use anyhow::Context as _;
use bytes::Bytes;
use macloud_loadtest::driver::Server;
use macloud_loadtest::sample::Outcome;
use tokio::process::Command;

use crate::http::Connections;
use crate::peer::{Caller, Peer, each_home};
use crate::program::{Program, beside, find};

pub(crate) struct SocketIo {
    hub: Program,
    port: u16,
}

impl SocketIo {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let (hub, port) = Program::ready("socket.io", script("hub.mjs")?).await?;
        Ok(Self { hub, port: port.parse().context("the hub's port")? })
    }
}

impl Peer for SocketIo {
    type Caller = SocketIoCaller;

    async fn connect(&self, homes: usize) -> anyhow::Result<SocketIoCaller> {
        let mut command = script("homes.mjs")?;
        command.args([self.port.to_string(), homes.to_string()]);
        let (process, _) = Program::ready("the homes", command).await?;
        let caller = SocketIoCaller { hub: Connections::new(self.port, None), _homes: process };
        let warm_up = async |number| {
            let _ = caller.ask(number % homes, Bytes::from_static(&[0; 1024])).await;
            Ok(())
        };
        each_home(if homes > 0 { WARM_UP } else { 0 }, warm_up).await?;
        Ok(caller)
    }

    fn servers(&self) -> Vec<Server> {
        vec![self.hub.server()]
    }
}

pub(crate) struct SocketIoCaller {
    hub: Connections,
    _homes: Program,
}

impl Caller for SocketIoCaller {
    async fn ask(&self, home: usize, command: Bytes) -> Result<Bytes, Outcome> {
        self.hub.post(&format!("/homes/{home}"), command).await
    }
}

fn script(name: &str) -> anyhow::Result<Command> {
    let directory = beside("socket.io");
    let installed = directory.join("node_modules").is_dir();
    anyhow::ensure!(installed, "socket.io is not installed: run `npm ci` in loadtest/peers/socket.io");
    let mut command = Command::new(find("node").context("node is not installed: apt-get install nodejs npm")?);
    command.arg(directory.join(name)).env("NODE_ENV", "production");
    Ok(command)
}

/// Node translates what has run often, and again what has run very often: before that, a command costs several times as much.
const WARM_UP: usize = 10_000;
