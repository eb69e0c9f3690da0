//! iroh-relay: datagrams between clients that are known by their keys. Homes and the caller are clients alike.

use std::net::Ipv4Addr;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use iroh_base::{PublicKey, RelayUrl, SecretKey};
use iroh_dns::dns::DnsResolver;
use iroh_relay::MAX_PACKET_SIZE;
use iroh_relay::client::{Client, ClientBuilder, ClientSink, ClientStream};
use iroh_relay::protos::relay::{ClientToRelayMsg, Datagrams, RelayToClientMsg};
use iroh_relay::server::{self, CertConfig, RelayConfig, ServerConfig, TlsConfig};
use iroh_relay::tls::default_provider;
use macloud_loadtest::driver::Server;
use macloud_loadtest::sample::Outcome;
use tokio::process::Command;
use tokio::sync::mpsc;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

use crate::peer::{Caller, Peer, each_home};
use crate::program::Program;
use crate::replies::{Waiting, answer};

/// Of the connections between clients and server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Security {
    Plain,
    Tls,
}

pub(crate) struct Iroh {
    server: Program,
    url: RelayUrl,
    /// Trusts this server's certificate, if it has one, and no other.
    tls: ClientConfig,
}

impl Iroh {
    pub(crate) async fn start(security: Security) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(match security {
            Security::Plain => SERVE_PLAIN,
            Security::Tls => SERVE_TLS,
        });
        let (server, line) = Program::ready("iroh-relay", command).await?;
        let (url, certificate) = line.split_once(' ').map_or((line.as_str(), None), |(url, hex)| (url, Some(hex)));
        let url = url.parse().map_err(|error| anyhow!("{error:#}"))?;
        let mut trusted = RootCertStore::empty();
        if let Some(hex) = certificate {
            trusted.add(CertificateDer::from(from_hex(hex).context("not a certificate")?))?;
        }
        let tls = ClientConfig::builder_with_provider(default_provider())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(trusted)
            .with_no_client_auth();
        Ok(Self { server, url, tls })
    }

    /// With TCP_NODELAY: the client always sets it.
    async fn client(&self, key: SecretKey, homes: usize) -> anyhow::Result<Client> {
        let builder = ClientBuilder::new(self.url.clone(), key, DnsResolver::new());
        // Otherwise it would decode the keys of more than 128 homes again and again.
        let builder = builder.tls_client_config(self.tls.clone()).key_cache_capacity(homes.max(1));
        builder.connect().await.map_err(|error| anyhow!("{error:#}"))
    }

    async fn connect_home(&self, home: usize) -> anyhow::Result<()> {
        let client = self.client(home_key(home), 1).await?;
        tokio::spawn(async move {
            if let Err(error) = obey(home, client).await {
                eprintln!("home {home} has lost its connection: {error:#}");
            }
        });
        Ok(())
    }
}

impl Peer for Iroh {
    type Caller = IrohCaller;

    async fn connect(&self, homes: usize) -> anyhow::Result<IrohCaller> {
        each_home(homes, |home| self.connect_home(home)).await?;
        let (stream, sink) = self.client(SecretKey::from_bytes(&[0xff; 32]), homes).await?.split();
        let (outgoing, queue) = mpsc::channel(QUEUE);
        let waiting = Arc::new(Waiting::default());
        tokio::spawn(send(sink, queue));
        tokio::spawn(receive(stream, waiting.clone(), outgoing.clone()));
        Ok(IrohCaller { homes: (0..homes).map(|home| home_key(home).public()).collect(), outgoing, waiting })
    }

    fn servers(&self) -> Vec<Server> {
        vec![self.server.server()]
    }
}

/// A home: until its connection ends.
async fn obey(home: usize, mut client: Client) -> anyhow::Result<()> {
    while let Some(message) = client.next().await {
        let reply = match message.map_err(|error| anyhow!("{error:#}"))? {
            RelayToClientMsg::Datagrams { remote_endpoint_id, datagrams } => {
                let Some(reply) = answer(home, &datagrams.contents) else { continue };
                datagram(remote_endpoint_id, reply)
            }
            RelayToClientMsg::Ping(data) => ClientToRelayMsg::Pong(data),
            _ => continue,
        };
        client.send(reply).await.map_err(|error| anyhow!("{error:#}"))?;
    }
    anyhow::bail!("the server has closed it")
}

/// The caller's writing side: what is waiting goes out together, as iroh itself does it.
async fn send(mut sink: ClientSink, mut queue: mpsc::Receiver<ClientToRelayMsg>) {
    let mut batch = Vec::new();
    while queue.recv_many(&mut batch, BATCH).await > 0 {
        for message in batch.drain(..) {
            if let Err(error) = sink.feed(message).await {
                return eprintln!("the caller has lost its connection: {error:#}");
            }
        }
        if let Err(error) = sink.flush().await {
            return eprintln!("the caller has lost its connection: {error:#}");
        }
    }
}

/// The caller's reading side.
async fn receive(mut stream: ClientStream, waiting: Arc<Waiting>, outgoing: mpsc::Sender<ClientToRelayMsg>) {
    while let Some(Ok(message)) = stream.next().await {
        match message {
            RelayToClientMsg::Datagrams { datagrams, .. } => waiting.arrived(datagrams.contents),
            RelayToClientMsg::Ping(data) => drop(outgoing.send(ClientToRelayMsg::Pong(data)).await),
            _ => {}
        }
    }
}

/// One connection.
pub(crate) struct IrohCaller {
    homes: Vec<PublicKey>,
    outgoing: mpsc::Sender<ClientToRelayMsg>,
    waiting: Arc<Waiting>,
}

impl Caller for IrohCaller {
    async fn ask(&self, home: usize, command: Bytes) -> Result<Bytes, Outcome> {
        if command.len() + ENVELOPE > MAX_PACKET_SIZE {
            return Err(Outcome::Refused("it does not fit into a packet".into()));
        }
        let key = self.homes.get(home).ok_or_else(|| Outcome::Refused("no such home".into()))?;
        let (message, reply) = self.waiting.add(&command);
        let sent = self.outgoing.send(datagram(*key, message)).await;
        sent.map_err(|_| Outcome::Refused("not connected".into()))?;
        reply.come().await
    }
}

fn datagram(to: PublicKey, contents: Vec<u8>) -> ClientToRelayMsg {
    let datagrams = Datagrams { ecn: None, segment_size: None, contents: contents.into() };
    ClientToRelayMsg::Datagrams { dst_endpoint_id: to, datagrams }
}

/// Nothing is kept secret from anybody here: a home's key follows from its number.
fn home_key(home: usize) -> SecretKey {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&(home as u64).to_be_bytes());
    SecretKey::from_bytes(&bytes)
}

/// The server, in a process of its own, with iroh-relay's own settings. Says its URL, and behind it its certificate if it has
/// one; ends with standard input.
#[expect(clippy::print_stdout, reason = "the driver reads it")]
pub(crate) async fn serve_relay(security: Security) -> anyhow::Result<()> {
    let any_port = (Ipv4Addr::LOCALHOST, 0);
    let mut relay = RelayConfig::new(any_port);
    let mut certificate = None;
    if security == Security::Tls {
        let own = rcgen::generate_simple_self_signed([Ipv4Addr::LOCALHOST.to_string()])?;
        let key = PrivatePkcs8KeyDer::from(own.signing_key.serialize_der());
        let server_config = rustls::ServerConfig::builder_with_provider(default_provider())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![own.cert.der().clone()], key.into())?;
        relay.tls = Some(TlsConfig::new(any_port, CertConfig::Manual { server_config }));
        certificate = Some(to_hex(own.cert.der()));
    }
    let mut config = ServerConfig::default();
    config.relay = Some(relay);
    let server = server::Server::spawn(config).await.map_err(|error| anyhow!("{error:#}"))?;
    match (server.https_addr(), certificate) {
        (Some(address), Some(certificate)) => println!("https://{address} {certificate}"),
        _ => println!("http://{}", server.http_addr().context("it does not listen")?),
    }
    tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink())).await??;
    Ok(())
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

pub(crate) const SERVE_PLAIN: &str = "serve-iroh";
pub(crate) const SERVE_TLS: &str = "serve-iroh-tls";
/// Messages that wait in the caller's client.
const QUEUE: usize = 1024;
/// Of them, so many are written together.
const BATCH: usize = 64;
/// More than what is around a command in a packet.
const ENVELOPE: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_is_read_as_it_was_written() {
        assert_eq!(from_hex(&to_hex(&[0, 0x9f, 255])), Some(vec![0, 0x9f, 255]));
        assert_eq!(from_hex("0g"), None);
    }
}
