//! Relay nodes as processes, with a Redis of their own when there are several.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use macloud_loadtest::driver::Server;
use macloud_service_kit::prompt::Prompt;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tonic::transport::{Channel, Endpoint};

use super::{Scratch, accounts, beside_us};

/// By this name homes know the relays.
pub(crate) const HOST: &str = "cloud.example";

/// Relays, and what they share.
pub(crate) struct Nodes {
    program: PathBuf,
    accounts: SocketAddr,
    directory: Option<Redis>,
    pub(crate) all: Vec<Node>,
    extra: Vec<String>,
    /// PEM of the certificate that all nodes show.
    pub(crate) certificate: String,
    // Last, so that it is removed when nobody uses it any more.
    scratch: Scratch,
}

/// One relay's process.
pub(crate) struct Node {
    pub(crate) name: String,
    child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) bus: SocketAddr,
    pub(crate) admin: SocketAddr,
}

struct Redis {
    child: Child,
    url: String,
}

impl Nodes {
    /// So many; several have a Redis as their directory. `extra` are further settings of each.
    pub(crate) async fn start(count: usize, relay: Option<PathBuf>, extra: &[&str]) -> anyhow::Result<Self> {
        let scratch = Scratch::new("nodes")?;
        let made = rcgen::generate_simple_self_signed([HOST.to_owned()])?;
        let certificate = made.cert.pem();
        std::fs::write(scratch.path().join("certificate.pem"), &certificate)?;
        std::fs::write(scratch.path().join("key.pem"), made.signing_key.serialize_pem())?;
        std::fs::write(scratch.path().join("nonces"), STANDARD.encode([0x4e; 32]))?;
        std::fs::write(scratch.path().join("tickets"), STANDARD.encode([0x54; 32]))?;
        let directory = if count > 1 { Some(Redis::start(scratch.path()).await?) } else { None };
        let program = relay.map_or_else(|| beside_us("macloud-relay"), Ok)?;
        let accounts = accounts::serve().await?;
        let extra = extra.iter().map(|&setting| setting.to_owned()).collect();
        let mut nodes = Self { program, accounts, directory, all: Vec::new(), extra, certificate, scratch };
        for number in 1..=count {
            let node = nodes.start_one(&format!("relay-{number}"), None).await?;
            nodes.all.push(node);
        }
        Ok(nodes)
    }

    /// That node again, at its old addresses. It must have ended.
    pub(crate) async fn restart(&mut self, place: usize) -> anyhow::Result<()> {
        let node = &self.all[place];
        let started = self.start_one(&node.name, Some([node.address, node.bus, node.admin])).await?;
        self.all[place] = started;
        Ok(())
    }

    async fn start_one(&self, name: &str, at: Option<[SocketAddr; 3]>) -> anyhow::Result<Node> {
        let file = |file: &str| self.scratch.path().join(file);
        let log = std::fs::File::options().create(true).append(true).open(file(&format!("{name}.log")))?;
        // Each node has an address of its own, so that packets to it can be lost.
        let any = SocketAddr::new(Self::ip(name), 0);
        let [address, bus, admin] = at.unwrap_or([any; 3]).map(|address| address.to_string());
        let mut command = Command::new(&self.program);
        command.env_clear().args(["--node-id", name, "--public-url", &format!("https://{HOST}")]);
        command.args(["--listen", &address, "--bus-listen", &bus, "--admin-listen", &admin]);
        command.arg("--accounts").arg(format!("http://{}", self.accounts));
        command.arg("--tls-certificate").arg(file("certificate.pem")).arg("--tls-key").arg(file("key.pem"));
        command.arg("--nonce-key-file").arg(file("nonces")).arg("--ticket-keys-file").arg(file("tickets"));
        command.args(["--max-commands-per-minute", "1000000000", "--log", "warn"]);
        command.args(&self.extra);
        if let Some(redis) = &self.directory {
            command.args(["--redis", &redis.url]);
        }
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).kill_on_drop(true).spawn()?;
        let mut lines = BufReader::new(child.stdout.take().context("no standard output")?).lines();
        let line = lines.next_line().await?.with_context(|| {
            format!(
                "{name} did not start: {}",
                std::fs::read_to_string(file(&format!("{name}.log"))).unwrap_or_default()
            )
        })?;
        let listening: Value = serde_json::from_str(&line)?;
        let address =
            |what: &str| -> anyhow::Result<SocketAddr> { Ok(listening[what].as_str().context("no address")?.parse()?) };
        let (address, bus, admin) = (address("address")?, address("bus")?, address("admin")?);
        let node = Node { name: name.into(), child, address, bus, admin };
        node.until_ready().await?;
        Ok(node)
    }

    /// `relay-3` is at 127.0.13.1.
    fn ip(name: &str) -> IpAddr {
        let number = name.rsplit('-').next().and_then(|number| number.parse::<u8>().ok()).unwrap_or(0);
        Ipv4Addr::new(127, 0, 10 + number, 1).into()
    }

    /// The processes whose costs count.
    pub(crate) fn servers(&self) -> Vec<Server> {
        let nodes = self.all.iter().filter_map(|node| Some(Server { name: node.name.clone(), pid: node.child.id()? }));
        let redis =
            self.directory.iter().filter_map(|redis| Some(Server { name: "redis".into(), pid: redis.child.id()? }));
        nodes.chain(redis).collect()
    }

    /// A channel to each node's bus.
    pub(crate) fn buses(&self) -> anyhow::Result<Vec<Channel>> {
        self.all.iter().map(Node::channel).collect()
    }
}

impl Node {
    pub(crate) fn channel(&self) -> anyhow::Result<Channel> {
        // As the skill's own.
        Ok(Endpoint::from_shared(format!("http://{}", self.bus))?
            .executor(Prompt)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(Duration::from_secs(1))
            .keep_alive_timeout(Duration::from_secs(2))
            .keep_alive_while_idle(true)
            .connect_lazy())
    }

    /// Send it a signal, by its name such as KILL.
    pub(crate) fn signal(&self, name: &str) -> anyhow::Result<()> {
        let pid = self.child.id().context("it has ended")?.to_string();
        let sent = std::process::Command::new("kill").args([&format!("-{name}"), &pid]).status()?;
        anyhow::ensure!(sent.success(), "kill -{name} {pid} failed");
        Ok(())
    }

    /// Wait until it has ended.
    pub(crate) async fn ended(&mut self) -> anyhow::Result<()> {
        let status = self.child.wait().await?;
        anyhow::ensure!(status.success() || status.signal().is_some(), "{} ended with {status}", self.name);
        Ok(())
    }

    /// The value of a metric, summed over its labels.
    pub(crate) async fn metric(&self, name: &str) -> anyhow::Result<f64> {
        let text = http_get(self.admin, "/metrics").await?;
        let values =
            text.lines().filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{'])));
        values.map(|line| Ok(line.rsplit(' ').next().unwrap_or_default().parse::<f64>()?)).sum()
    }

    async fn until_ready(&self) -> anyhow::Result<()> {
        for _ in 0..600 {
            if http_get(self.admin, "/readyz").await.is_ok_and(|answer| answer.starts_with("HTTP/1.1 200")) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        anyhow::bail!("{} did not become ready", self.name)
    }
}

async fn http_get(address: SocketAddr, path: &str) -> anyhow::Result<String> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut socket = TcpStream::connect(address).await?;
    socket.write_all(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").as_bytes()).await?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await?;
    Ok(answer)
}

impl Redis {
    async fn start(directory: &Path) -> anyhow::Result<Self> {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut command = Command::new("redis-server");
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"]).arg(directory);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let child = command.spawn().context("several relays need redis-server: apt-get install redis-server")?;
        for _ in 0..200 {
            if TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                return Ok(Self { child, url: format!("redis://127.0.0.1:{port}/") });
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        anyhow::bail!("redis-server did not start")
    }
}
