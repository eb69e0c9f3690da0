//! The account service as a process of its own: settings in, listeners out.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use macloud_account_service::{
    AccountService, AdminTlsArgs, BillingArgs, Config, DatabaseSettings, IdentityProviderArgs, Limits, Lives, MailArgs,
    Operator, PlanArgs,
};
use macloud_service_kit::health::Health;
use macloud_service_kit::http::Server;
use macloud_service_kit::internal::InternalTls;
use macloud_service_kit::lifecycle::{announce, stop_on_signals};
use macloud_service_kit::metrics::Metrics;
use macloud_service_kit::stop::Stop;
use macloud_service_kit::telemetry::{self, TelemetryArgs};
use macloud_service_kit::{clock, config, memory, tls};
use tokio_stream::wrappers::TcpListenerStream;

/// The account service of MA Cloud. Every flag can also be given as MACLOUD_FLAG_NAME or as a line of --config.
#[derive(Debug, clap::Parser)]
#[command(name = "macloud-account-service", version)]
struct Args {
    /// TOML file with settings.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where people and OAuth clients connect.
    #[arg(long, default_value = "127.0.0.1:8081")]
    listen: SocketAddr,
    /// Where the other parts of the cloud connect (gRPC). Keep it inside.
    #[arg(long, default_value = "127.0.0.1:9081")]
    rpc_listen: SocketAddr,
    /// PEM certificate authority of the services of this cloud. With it --rpc-listen demands client certificates. These three
    /// files are read again when they change, and on SIGHUP.
    #[arg(long, value_name = "FILE", requires_all = ["internal_certificate", "internal_key"])]
    internal_ca: Option<PathBuf>,
    /// This service's PEM certificate chain among the others.
    #[arg(long, value_name = "FILE", requires = "internal_ca")]
    internal_certificate: Option<PathBuf>,
    /// Its PEM private key.
    #[arg(long, value_name = "FILE", requires = "internal_ca")]
    internal_key: Option<PathBuf>,
    /// Where operators look: /metrics, /healthz, /readyz, and the API under /admin/v1. Keep it inside.
    #[arg(long, default_value = "127.0.0.1:9181")]
    admin_listen: SocketAddr,
    #[command(flatten)]
    admin_tls: AdminTlsArgs,
    /// The address that people and clients use, such as https://cloud.example.
    #[arg(long)]
    public_url: String,
    /// The relay's address as homes dial it. By default /relay/v1/connect under the public URL.
    #[arg(long)]
    relay_url: Option<String>,
    /// The PostgreSQL database. Without it, SQLite in the data directory.
    #[arg(long)]
    database_url: Option<String>,
    /// Connections to PostgreSQL, 1 to 1000.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=1000))]
    database_connections: u32,
    /// For the SQLite database and, by default, the key file.
    #[arg(long, default_value = "data")]
    data_dir: PathBuf,
    /// The key file. Processes that share a database share its content.
    #[arg(long)]
    account_key_file: Option<PathBuf>,
    /// The skill deployment's signed key set (base64url in a file), handed to homes at pairing.
    #[arg(long)]
    skill_key_set_file: Option<PathBuf>,
    /// Commands a home takes per minute at most, whatever its plan allows, 1 to 100000.
    #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    commands_per_minute: u32,
    #[command(flatten)]
    lives: Lives,
    #[command(flatten)]
    limits: Limits,
    #[command(flatten)]
    plans: PlanArgs,
    #[command(flatten)]
    billing: BillingArgs,
    #[command(flatten)]
    identity_providers: IdentityProviderArgs,
    #[command(flatten)]
    mail: MailArgs,
    #[command(flatten)]
    operator: Operator,
    #[command(flatten)]
    telemetry: TelemetryArgs,
}

impl Args {
    fn settings(&self) -> anyhow::Result<(Config, DatabaseSettings)> {
        let key_file = self.account_key_file.clone().unwrap_or_else(|| self.data_dir.join("account.key"));
        let mut config = Config::new(&self.public_url, key_file);
        config.relay_url.clone_from(&self.relay_url);
        config.operator = self.operator.clone();
        config.lives = self.lives.clone();
        config.limits = self.limits.clone();
        config.mail = self.mail.settings(&self.data_dir)?;
        config.identity_providers = self.identity_providers.read()?;
        config.commands_per_minute = self.commands_per_minute;
        config.plans = self.plans.clone();
        config.billing = self.billing.settings().context("cannot read --billing-webhook-secret-file")?;
        if let Some(path) = &self.skill_key_set_file {
            let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
            let key_set = URL_SAFE_NO_PAD.decode(text.trim());
            config.skill_key_set = Some(key_set.with_context(|| format!("{} is not base64url", path.display()))?);
        }
        let database = match &self.database_url {
            Some(url) => DatabaseSettings::Postgres { url: url.clone(), max_connections: self.database_connections },
            None => DatabaseSettings::Sqlite(self.data_dir.join("accounts.db")),
        };
        Ok((config, database))
    }

    /// Whoever reaches --rpc-listen is believed: client certificates, or nobody from outside this machine.
    fn internal(&self) -> anyhow::Result<Option<Arc<InternalTls>>> {
        match (&self.internal_ca, &self.internal_certificate, &self.internal_key) {
            (Some(ca), Some(chain), Some(key)) => {
                let internal = InternalTls::load(ca, chain, key);
                Ok(Some(internal.context("--internal-ca, --internal-certificate and --internal-key cannot be used")?))
            }
            _ if self.rpc_listen.ip().to_canonical().is_loopback() => Ok(None),
            _ => bail!("--rpc-listen is not loopback: give --internal-ca, --internal-certificate and --internal-key"),
        }
    }
}

/// What a call of a relay or skill may still take: they wait for three seconds at most, and a follower for ever.
const LAST_CALLS: Duration = Duration::from_secs(3);
const ADMIN_TLS: &str = "--admin-tls-cert and --admin-tls-key cannot be used";

fn main() -> anyhow::Result<()> {
    memory::give_back_what_is_freed();
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(run())
}

async fn run() -> anyhow::Result<()> {
    let args: Args = match config::parse("MACLOUD", std::env::args_os()) {
        Ok(args) => args,
        Err(error) => error.exit(),
    };
    tls::install_provider();
    let _telemetry = telemetry::init(&args.telemetry, "account-service")?;
    let metrics = Metrics::install("account-service")?;
    let (config, database) = args.settings()?;
    let internal = args.internal()?;
    let service = AccountService::open(config, &database, clock::system()).await?;

    let stop = stop_on_signals()?;
    let health = Health::new();
    // TLS ends at a proxy in front.
    let web = Server::bind(args.listen, None).await.with_context(|| format!("cannot listen on {}", args.listen))?;
    let web = web.behind_proxy();
    let admin_certificate = args.admin_tls.certificate(args.admin_listen).context(ADMIN_TLS)?;
    if let Some(certificate) = &admin_certificate {
        certificate.observe_expiry("operators", clock::system());
    }
    let admin = Server::bind(args.admin_listen, admin_certificate.clone())
        .await
        .with_context(|| format!("cannot listen on {}", args.admin_listen))?;
    let rpc = tokio::net::TcpListener::bind(args.rpc_listen)
        .await
        .with_context(|| format!("cannot listen on {}", args.rpc_listen))?;
    tls::reload_on_hangup(admin_certificate.into_iter().collect())?;
    announce(&serde_json::json!({
        "event": "listening",
        "address": web.local_addr()?,
        "rpc_address": rpc.local_addr()?,
        "admin_address": admin.local_addr()?,
    }));

    let not_found = service.clone();
    let router =
        service.router().fallback(move |request: axum::extract::Request| async move { not_found.not_found(&request) });
    if let Some(internal) = internal.clone() {
        internal.observe_expiry(clock::system());
        tokio::spawn(async move { internal.keep_fresh().await });
    }
    let rpc_stop = stop.clone();
    let serve_rpc = async {
        let server = tonic::transport::Server::builder().add_service(service.accounts_rpc());
        let told = async move { rpc_stop.soft().await };
        let serving = async {
            match internal {
                Some(internal) => {
                    let mut accepted = internal.accept(rpc);
                    let incoming = futures_util::stream::poll_fn(move |context| accepted.poll_recv(context));
                    server.serve_with_incoming_shutdown(incoming, told).await
                }
                None => server.serve_with_incoming_shutdown(TcpListenerStream::new(rpc), told).await,
            }
        };
        let enough = async {
            stop.soft().await;
            tokio::time::sleep(LAST_CALLS).await;
        };
        // Whoever follows changes does so for ever, and would keep us here until we are killed. It follows somebody else when we are gone.
        tokio::select! {
            ended = serving => ended,
            () = enough => Ok(()),
        }
    };
    let work = async {
        let (_, rpc_ended, _, _, ()) = tokio::join!(
            web.serve(router, stop.clone()),
            serve_rpc,
            admin.serve(metrics.router().merge(health.router()).merge(service.operator_router()), stop.clone()),
            service.run(stop.clone()),
            ready_until_told_to_stop(&service, &health, &stop),
        );
        rpc_ended.context("the gRPC listener failed")
    };
    tokio::select! {
        ended = work => ended?,
        () = stop.hard() => {}
    }
    service.close().await;
    Ok(())
}

async fn ready_until_told_to_stop(service: &AccountService, health: &Health, stop: &Stop) {
    service.watch_database(health, stop).await;
    health.set("serving", false);
}
