//! The relay as a process of its own: wires settings, listeners and the library, and nothing else.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Parser;
use http::Uri;
use hyper_util::rt::TokioIo;
use macloud_relay::events::{EventQueue, MemoryEvents, RedisEvents};
use macloud_relay::presence::{MemoryPresence, RedisPresence, Servers, StoreSettings};
use macloud_relay::{CONNECT_PATH, Cluster, Connect, NonceKey, Relay, RelayConfig};
use macloud_service_kit::clock::SharedClock;
use macloud_service_kit::grpc::{self, KEEP_ALIVE_EVERY, KEEP_ALIVE_LIMIT};
use macloud_service_kit::health::Health;
use macloud_service_kit::http::Server;
use macloud_service_kit::internal::InternalTls;
use macloud_service_kit::lifecycle::{announce, raise_open_file_limit, stop_on_signals};
use macloud_service_kit::metrics::Metrics;
use macloud_service_kit::prompt::Prompt;
use macloud_service_kit::stop::Stop;
use macloud_service_kit::telemetry::{self, TelemetryArgs};
use macloud_service_kit::tickets::TicketKeys;
use macloud_service_kit::tls::{self, Certificate};
use macloud_service_kit::{clock, config, memory};
use tokio::net::TcpListener;
use tonic::transport::{Channel, Endpoint};

/// Holds the connections of homes and forwards sealed commands to them.
#[derive(Debug, Parser)]
#[command(name = "macloud-relay", version)]
struct Args {
    /// Read settings from this TOML file; flags and environment variables win over it.
    #[arg(long)]
    config: Option<PathBuf>,

    /// Where homes dial in.
    #[arg(long, default_value = "0.0.0.0:8443")]
    listen: SocketAddr,

    /// The URL homes know this service by, such as https://relay.example.org. Repeat it while a name changes.
    #[arg(long, required = true)]
    public_url: Vec<String>,

    /// PEM certificate chain for `--listen`, read again on SIGHUP. Without it plain HTTP is served: only on loopback, or behind
    /// a proxy.
    #[arg(long, requires = "tls_key")]
    tls_certificate: Option<PathBuf>,

    /// PEM private key for `--listen`.
    #[arg(long, requires = "tls_certificate")]
    tls_key: Option<PathBuf>,

    /// File of keys for TLS session tickets, the same for all nodes behind one address, so that a home resumes its session at any of
    /// them: 32 random bytes in base64 on each line. The first seals, all open. Read again when it changes, and on SIGHUP. Without it
    /// every node makes its own.
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    ticket_keys_file: Option<PathBuf>,

    /// TLS ends at a proxy in front of `--listen`.
    #[arg(long)]
    behind_proxy: bool,

    /// The header in which that proxy puts the caller's address, such as X-Forwarded-For. Only behind a proxy that always sets
    /// it: otherwise anyone could claim any address.
    #[arg(long, value_name = "NAME")]
    client_address_header: Option<String>,

    /// Where other services of this cloud reach the command bus.
    #[arg(long, default_value = "127.0.0.1:8444")]
    bus_listen: SocketAddr,

    /// The account service's gRPC address, such as http://127.0.0.1:8445, or https with `--internal-ca`.
    #[arg(long)]
    accounts: String,

    /// The Redis in which the nodes of this cloud see which of them holds which home: redis://HOST:PORT/, or rediss:// for TLS.
    /// Repeat it, or separate with commas, for several servers of a cluster, or several sentinels. Without it this node is the
    /// only one.
    #[arg(long, value_name = "URL", value_delimiter = ',', requires = "node_id")]
    redis: Vec<String>,

    /// The servers of `--redis` are a Redis Cluster.
    #[arg(long, requires = "redis", conflicts_with = "redis_sentinel_master")]
    redis_cluster: bool,

    /// The servers of `--redis` are sentinels, and this is the name of the master to ask them for.
    #[arg(long, value_name = "NAME", requires = "redis")]
    redis_sentinel_master: Option<String>,

    /// PEM certificate authority of the servers of `--redis`, where they are rediss:// and it is not a public one.
    #[arg(long, value_name = "FILE", requires = "redis")]
    redis_ca: Option<PathBuf>,

    /// What the keys in Redis begin with. Clouds that share a Redis need different ones.
    #[arg(long, value_name = "PREFIX", default_value = "macloud", requires = "redis")]
    redis_prefix: String,

    /// Where the other nodes reach `--bus-listen`, such as https://relay-1.internal:8444, if that is not its address.
    #[arg(long, value_name = "URL", requires = "redis")]
    advertise_bus: Option<String>,

    /// PEM certificate authority of the services of this cloud. With it the bus demands client certificates. These three files
    /// are read again when they change, and on SIGHUP.
    #[arg(long, requires_all = ["internal_certificate", "internal_key"])]
    internal_ca: Option<PathBuf>,

    /// This service's PEM certificate chain among the others.
    #[arg(long)]
    internal_certificate: Option<PathBuf>,

    /// Its PEM private key.
    #[arg(long)]
    internal_key: Option<PathBuf>,

    /// Where `/healthz`, `/readyz` and `/metrics` are served.
    #[arg(long, default_value = "127.0.0.1:8446")]
    admin_listen: SocketAddr,

    /// Names this node in answers and logs, and among the others, of which each needs a name of its own. By default relay-1.
    #[arg(long)]
    node_id: Option<String>,

    /// File with 32 random bytes in base64, the same for all nodes behind one address: a home gets the nonce for its proof
    /// from one node and may show it to another. Without it every node knows its own nonces only.
    #[arg(long, value_name = "FILE")]
    nonce_key_file: Option<PathBuf>,

    /// Homes connected at a time. Each needs an open file. By default 100000, or as many as the limit of open files allows.
    #[arg(long)]
    max_connections: Option<usize>,

    /// Homes between dial-in and welcome at a time.
    #[arg(long, default_value_t = RelayConfig::default().max_handshakes)]
    max_handshakes: usize,

    /// Upper bound of commands a minute for each home.
    #[arg(long, default_value_t = RelayConfig::default().max_commands_per_minute)]
    max_commands_per_minute: u32,

    /// Take events from homes, such as that a player was turned on, for skills to read. Without this, homes send none. They wait in
    /// `--redis`, or in memory without one.
    #[arg(long)]
    take_events: bool,

    /// With `--redis`: about so many events are kept for their readers, and the oldest fall off. Of the usual size, 10000 need some
    /// 20 MB there.
    #[arg(long, value_name = "NUMBER", default_value_t = 20_000, requires = "redis")]
    max_events: usize,

    /// A home that has been connected for so many seconds, or half as many, is asked to dial in anew with a fresh token.
    #[arg(long, default_value_t = RelayConfig::default().session_life.as_secs(), value_parser = clap::value_parser!(u64).range(60..))]
    session_life_seconds: u64,

    /// After a stop signal homes get this many seconds to move elsewhere.
    #[arg(long, default_value_t = RelayConfig::default().drain_grace.as_secs())]
    drain_seconds: u64,

    /// So many homes a second the other nodes are sure to take in together: homes move at this rate when this node stops, and come back at
    /// this rate should it vanish. `loadtest storm` finds what yours take.
    #[arg(long, value_name = "NUMBER", default_value_t = RelayConfig::default().homes_per_second, value_parser = clap::value_parser!(u32).range(1..))]
    homes_per_second: u32,

    #[command(flatten)]
    telemetry: TelemetryArgs,
}

fn main() -> anyhow::Result<()> {
    // A storm of handshakes needs memory that thousands of idle connections do not.
    memory::give_back_what_is_freed();
    let args: Args = config::parse("MACLOUD", std::env::args_os()).unwrap_or_else(|error| error.exit());
    tls::install_provider();
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(run(args))
}

async fn run(args: Args) -> anyhow::Result<()> {
    let _telemetry = telemetry::init(&args.telemetry, "macloud-relay")?;
    let metrics = Metrics::install("macloud-relay")?;
    let health = Health::new();
    let clock = clock::system();
    let internal = args.internal()?;
    let bus = TcpListener::bind(args.bus_listen).await.context("cannot bind --bus-listen")?;
    let bus_address = bus.local_addr()?;
    let config = RelayConfig { events: args.events(&clock)?, ..args.relay_config(raise_open_file_limit())? };
    let accounts = args.accounts_channel(internal.as_ref())?;
    let relay = match args.presence()? {
        Some(presence) => {
            let cluster = args.cluster(bus_address, internal.clone())?;
            Relay::among_others(config, accounts, clock, Arc::new(presence), cluster)
        }
        None => Relay::new(config, accounts, clock.clone(), Arc::new(MemoryPresence::new(clock))),
    };

    args.check_bus(internal.is_some())?;
    let certificate = args.certificate()?;
    if let Some(certificate) = &certificate {
        certificate.observe_expiry("public", clock::system());
    }
    if let Some(internal) = &internal {
        internal.observe_expiry(clock::system());
    }
    let ticket_keys = args.ticket_keys()?;
    let homes = Server::bind(args.listen, certificate.clone()).await.context("cannot bind --listen")?;
    let mut homes = homes.with_ticket_keys(ticket_keys.clone());
    if args.behind_proxy || args.listen.ip().is_loopback() {
        homes = homes.behind_proxy();
    }
    let admin = Server::bind(args.admin_listen, None).await.context("cannot bind --admin-listen")?;
    tls::reload_on_hangup(certificate.into_iter().collect())?;
    announce(&serde_json::json!({
        "event": "listening",
        "address": homes.local_addr()?,
        "bus": bus_address,
        "admin": admin.local_addr()?,
    }));

    let stop = stop_on_signals()?;
    tokio::spawn(watch_health(relay.clone(), health.clone(), stop.clone()));
    // Everything a drain needs goes on until the drain is over.
    let until_drained = Stop::new();
    let homes = tokio::spawn(homes.serve(relay.router(), stop.clone()));
    let admin = tokio::spawn(admin.serve(health.router().merge(metrics.router()), until_drained.clone()));
    if let Some(internal) = internal.clone() {
        tokio::spawn(async move { internal.keep_fresh().await });
    }
    if let Some(keys) = ticket_keys {
        tokio::spawn(async move { keys.keep_fresh().await });
    }
    let bus = tokio::spawn(serve_bus(relay.clone(), bus, internal, until_drained.clone()));
    relay.run(stop).await;
    until_drained.stop_soft();
    bus.await?;
    until_drained.stop_hard();
    homes.await?;
    admin.await?;
    Ok(())
}

async fn watch_health(relay: Relay, health: Health, stop: Stop) {
    loop {
        health.set("account_changes", relay.follows_changes());
        health.set("not_draining", !stop.is_stopping());
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn serve_bus(relay: Relay, listener: TcpListener, internal: Option<Arc<InternalTls>>, stop: Stop) {
    let services = tonic::service::Routes::new(relay.bus()).add_service(relay.events()).add_service(relay.nodes());
    let routes = services.prepare().into_axum_router();
    // When the drain is over every stream ends by itself; who does not let go then is left behind.
    let left_behind = async {
        stop.soft().await;
        tokio::time::sleep(LAST_ANSWERS).await;
    };
    let serving = async {
        match internal {
            Some(internal) => {
                let mut accepted = internal.accept(listener);
                let connections = futures_util::stream::poll_fn(move |context| accepted.poll_recv(context));
                grpc::serve(routes, connections, stop.clone()).await;
            }
            None => {
                let connections = tonic::transport::server::TcpIncoming::from(listener).with_nodelay(Some(true));
                grpc::serve(routes, connections, stop.clone()).await;
            }
        }
    };
    tokio::select! {
        () = serving => {}
        () = left_behind => {}
    }
}

/// How this process reaches the other nodes.
#[derive(Debug)]
struct Others {
    internal: Option<Arc<InternalTls>>,
}

impl Connect for Others {
    fn channel(&self, bus: &str) -> Option<Channel> {
        let (url, is_tls) = match bus.strip_prefix("https://") {
            Some(rest) => (format!("http://{rest}"), true),
            None => (bus.to_owned(), false),
        };
        let endpoint = Endpoint::from_shared(url)
            .ok()?
            .executor(Prompt)
            .connect_timeout(Duration::from_secs(1))
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEP_ALIVE_EVERY)
            .keep_alive_timeout(KEEP_ALIVE_LIMIT)
            .keep_alive_while_idle(true);
        match (is_tls, &self.internal) {
            (false, _) => Some(endpoint.connect_lazy()),
            (true, Some(internal)) => Some(over_tls(&endpoint, internal.clone())),
            (true, None) => None,
        }
    }
}

/// A channel whose connections are made with the certificates as they are then.
fn over_tls(endpoint: &Endpoint, internal: Arc<InternalTls>) -> Channel {
    endpoint.connect_with_connector_lazy(tower::service_fn(move |url: Uri| {
        let internal = internal.clone();
        async move {
            let host = url.host().unwrap_or_default();
            Ok::<_, std::io::Error>(TokioIo::new(internal.connect(host, url.port_u16().unwrap_or(443)).await?))
        }
    }))
}

/// For answers that were given to streams just before these ended.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

impl Args {
    fn relay_config(&self, open_files: u64) -> anyhow::Result<RelayConfig> {
        let url = |public: &String| format!("{}{CONNECT_PATH}", public.trim_end_matches('/'));
        let directly = RelayConfig::is_dialled_directly(self.tls_certificate.is_some(), &self.public_url);
        Ok(RelayConfig {
            node_id: self.node_id.clone().unwrap_or_else(|| "relay-1".into()),
            connect_urls: self.public_url.iter().map(url).collect(),
            max_connections: self.max_connections_within(open_files)?,
            client_address_header: self.client_address_header()?,
            nonce_key: self.nonce_key_file.as_deref().map(nonce_key).transpose()?,
            resumption: directly && !self.behind_proxy,
            max_handshakes: self.max_handshakes,
            max_commands_per_minute: self.max_commands_per_minute,
            session_life: Duration::from_secs(self.session_life_seconds),
            drain_grace: Duration::from_secs(self.drain_seconds),
            homes_per_second: self.homes_per_second,
            ..RelayConfig::default()
        })
    }

    fn client_address_header(&self) -> anyhow::Result<Option<String>> {
        match (self.behind_proxy, &self.client_address_header) {
            (true, None) => bail!(
                "--behind-proxy needs --client-address-header NAME: the header in which your proxy puts the caller's address, \
                 such as X-Forwarded-For. Without it all homes would share one limit"
            ),
            (false, Some(_)) => bail!(
                "--client-address-header is only for --behind-proxy: without a proxy that always sets it anyone could claim any \
                 address"
            ),
            (_, header) => Ok(header.clone()),
        }
    }

    fn max_connections_within(&self, open_files: u64) -> anyhow::Result<usize> {
        let (possible, usual) = (RelayConfig::connections_within(open_files), RelayConfig::default().max_connections);
        match self.max_connections {
            Some(wanted) if wanted > possible => bail!(
                "--max-connections {wanted} is more than {possible}, which is what this process's limit of {open_files} open files \
                 allows: raise the limit (LimitNOFILE= in a systemd unit, ulimit -n in a shell) or ask for fewer"
            ),
            Some(wanted) => Ok(wanted),
            None if possible < usual => {
                tracing::warn!(
                    open_files,
                    max_connections = possible,
                    "the limit of open files allows only so many homes"
                );
                Ok(possible)
            }
            None => Ok(usual),
        }
    }

    fn certificate(&self) -> anyhow::Result<Option<Arc<Certificate>>> {
        match (&self.tls_certificate, &self.tls_key) {
            (Some(chain), Some(key)) => Ok(Some(Certificate::load(chain, key)?)),
            _ if self.behind_proxy || self.listen.ip().is_loopback() => Ok(None),
            _ => bail!("--listen is not loopback: give --tls-certificate and --tls-key, or say --behind-proxy"),
        }
    }

    fn ticket_keys(&self) -> anyhow::Result<Option<Arc<TicketKeys>>> {
        let load =
            |file: &PathBuf| TicketKeys::load(file, clock::system()).context("--ticket-keys-file cannot be used");
        self.ticket_keys_file.as_ref().map(load).transpose()
    }

    fn accounts_channel(&self, internal: Option<&Arc<InternalTls>>) -> anyhow::Result<Channel> {
        let (url, is_tls) = match (self.accounts.strip_prefix("https://"), internal) {
            (Some(_), None) => {
                bail!("--accounts is an https URL: give --internal-ca, --internal-certificate and --internal-key")
            }
            (Some(rest), Some(_)) => (format!("http://{rest}"), true),
            (None, _) => (self.accounts.clone(), false),
        };
        let endpoint = Endpoint::from_shared(url)
            .context("--accounts is not a URL")?
            .connect_timeout(Duration::from_secs(3))
            .http2_keep_alive_interval(Duration::from_secs(20))
            .keep_alive_while_idle(true);
        Ok(match internal {
            Some(internal) if is_tls => over_tls(&endpoint, internal.clone()),
            _ => endpoint.connect_lazy(),
        })
    }

    fn events(&self, clock: &SharedClock) -> anyhow::Result<Option<Arc<dyn EventQueue>>> {
        if !self.take_events {
            return Ok(None);
        }
        let Some(store) = self.store()? else { return Ok(Some(Arc::new(MemoryEvents::default()))) };
        let events = RedisEvents::new(store, &self.redis_prefix, self.max_events, clock.clone());
        Ok(Some(Arc::new(events.context("cannot use --redis")?)))
    }

    fn presence(&self) -> anyhow::Result<Option<RedisPresence>> {
        let Some(store) = self.store()? else { return Ok(None) };
        Ok(Some(RedisPresence::new(store, &self.redis_prefix).context("cannot use --redis")?))
    }

    fn store(&self) -> anyhow::Result<Option<StoreSettings>> {
        let urls = self.redis.clone();
        let servers = match (&urls[..], &self.redis_sentinel_master) {
            ([], _) => return Ok(None),
            (_, Some(master)) => Servers::Sentinel(urls, master.clone()),
            _ if self.redis_cluster => Servers::Cluster(urls),
            ([_], None) => Servers::One(urls.concat()),
            _ => bail!("--redis names several servers: say --redis-cluster, or --redis-sentinel-master NAME"),
        };
        let read = |file: &PathBuf| std::fs::read(file).with_context(|| format!("cannot read {}", file.display()));
        Ok(Some(StoreSettings { servers, authority: self.redis_ca.as_ref().map(read).transpose()? }))
    }

    fn cluster(&self, bus: SocketAddr, internal: Option<Arc<InternalTls>>) -> anyhow::Result<Cluster> {
        let bus = match &self.advertise_bus {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None if bus.ip().is_unspecified() => {
                bail!("--bus-listen {bus} is no address that others can reach: give --advertise-bus URL")
            }
            None if internal.is_some() => format!("https://{bus}"),
            None => format!("http://{bus}"),
        };
        let connect = Others { internal };
        if connect.channel(&bus).is_none() {
            bail!("--advertise-bus {bus} cannot be used: http://HOST:PORT is expected, or https with --internal-ca");
        }
        Ok(Cluster { bus, connect: Arc::new(connect) })
    }

    /// The bus has no authentication of its own: client certificates, or nobody from outside this machine.
    fn check_bus(&self, internal: bool) -> anyhow::Result<()> {
        if !internal && !self.bus_listen.ip().is_loopback() {
            bail!("--bus-listen is not loopback: give --internal-ca, --internal-certificate and --internal-key");
        }
        Ok(())
    }

    fn internal(&self) -> anyhow::Result<Option<Arc<InternalTls>>> {
        let (Some(ca), Some(chain), Some(key)) = (&self.internal_ca, &self.internal_certificate, &self.internal_key)
        else {
            return Ok(None);
        };
        Ok(Some(InternalTls::load(ca, chain, key)?))
    }
}

fn nonce_key(file: &Path) -> anyhow::Result<NonceKey> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let key = STANDARD.decode(text.trim()).ok().and_then(|bytes| bytes.try_into().ok());
    key.map(NonceKey).with_context(|| format!("{} does not hold 32 bytes in base64", file.display()))
}
