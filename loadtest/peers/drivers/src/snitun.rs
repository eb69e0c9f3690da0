//! SniTun: the tunnel behind Home Assistant's remote access. The caller speaks HTTPS to a home's name; the server reads the
//! name from the TLS handshake and passes the bytes on, through the home's tunnel. The homes are aiohttp servers behind
//! SniTun's own client, all in another Python process.

use std::sync::Arc;

use anyhow::Context as _;
use bytes::Bytes;
use macloud_loadtest::driver::Server;
use macloud_loadtest::sample::Outcome;
use tokio::process::Command;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::http::Connections;
use crate::peer::{Caller, Peer};
use crate::program::{Directory, Program, beside};

pub(crate) struct SniTun {
    server: Program,
    port: u16,
    /// With which homes' tokens are made.
    key: String,
}

impl SniTun {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let mut command = script("server.py")?;
        // It ends with its workers, all at once.
        command.process_group(0);
        let (server, line) = Program::ready("snitun", command).await?;
        let (port, key) = line.split_once(' ').context("the server's port and key")?;
        Ok(Self { server, port: port.parse()?, key: key.into() })
    }
}

impl Peer for SniTun {
    type Caller = SniTunCaller;

    async fn connect(&self, homes: usize) -> anyhow::Result<SniTunCaller> {
        let certified = rcgen::generate_simple_self_signed(["*.homes.test".to_owned()])?;
        let directory = Directory::new()?;
        let mut command = script("homes.py")?;
        command.args([self.port.to_string(), self.key.clone(), homes.to_string()]);
        command.arg(directory.write("certificate.pem", &certified.cert.pem())?);
        command.arg(directory.write("key.pem", &certified.signing_key.serialize_pem())?);
        let (process, _) = Program::ready("the homes", command).await?;
        let mut trusted = RootCertStore::empty();
        trusted.add(certified.cert.der().clone())?;
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(trusted)
            .with_no_client_auth();
        let connector = TlsConnector::from(Arc::new(config));
        let connections = |home: usize| {
            let name = ServerName::try_from(format!("{home}.homes.test"))?;
            Ok(Connections::new(self.port, Some((connector.clone(), name))))
        };
        Ok(SniTunCaller { homes: (0..homes).map(connections).collect::<anyhow::Result<_>>()?, _process: process })
    }

    fn servers(&self) -> Vec<Server> {
        vec![self.server.server()]
    }
}

pub(crate) struct SniTunCaller {
    homes: Vec<Connections>,
    _process: Program,
}

impl Caller for SniTunCaller {
    async fn ask(&self, home: usize, command: Bytes) -> Result<Bytes, Outcome> {
        let home = self.homes.get(home).ok_or_else(|| Outcome::Refused("no such home".into()))?;
        home.post("/", command).await
    }
}

fn script(name: &str) -> anyhow::Result<Command> {
    let directory = beside("snitun");
    let python = directory.join(".venv/bin/python");
    anyhow::ensure!(
        python.is_file(),
        "snitun is not installed: run `python3.13 -m venv .venv && .venv/bin/pip install -r requirements.txt` in \
         loadtest/peers/snitun"
    );
    let mut command = Command::new(python);
    command.arg(directory.join(name));
    Ok(command)
}
