//! The settings of `ma-alexa-skill`, each as a flag, an environment variable (`MACLOUD_…`) or a line of TOML.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Parser;
use clap::builder::NonEmptyStringValueParser;
use http::Uri;
use hyper_util::rt::TokioIo;
use macloud_alexa_skill::SkillConfig;
use macloud_alexa_skill::config::forwarder_keys;
use macloud_alexa_skill::grant::{EventsConfig, Gateways, LOGIN_WITH_AMAZON, Region};
use macloud_alexa_skill::verify::Dangerous;
use macloud_e2ee::keys::SkillSigner;
use macloud_service_kit::clock::ManualClock;
use macloud_service_kit::internal::InternalTls;
use macloud_service_kit::prompt::Prompt;
use macloud_service_kit::telemetry::TelemetryArgs;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use tonic::transport::{Channel, Endpoint};

/// The Alexa skill backend: directives and requests in, sealed commands out.
#[derive(Debug, Parser)]
#[command(name = "ma-alexa-skill", version)]
pub(crate) struct Settings {
    /// Read settings from this TOML file.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) telemetry: TelemetryArgs,

    /// Address for Alexa. Port 0 takes a free one; the bound address is printed on standard output.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8082")]
    pub(crate) listen: SocketAddr,

    /// Address for metrics and health, for operators only.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    pub(crate) admin_listen: SocketAddr,

    /// Certificate chain (PEM) for Alexa. Without one, plain HTTP is served: on loopback, or behind a proxy.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,

    /// Its private key (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,

    /// A proxy in front ends TLS, so plain HTTP is right on any address.
    #[arg(long)]
    pub(crate) behind_proxy: bool,

    /// The account service's gRPC address.
    #[arg(long, value_name = "URL")]
    accounts_url: String,

    /// A relay's gRPC address; one for each node.
    #[arg(long, value_name = "URL", required = true, value_delimiter = ',')]
    relay_bus_url: Vec<String>,

    /// Roots (PEM) that the account service's and the relays' certificates must come from. These three files are read again
    /// when they change, and on SIGHUP.
    #[arg(long, value_name = "FILE", requires_all = ["grpc_cert", "grpc_key"])]
    grpc_ca: Option<PathBuf>,

    /// Certificate (PEM) that shows this process to them.
    #[arg(long, value_name = "FILE", requires = "grpc_ca")]
    grpc_cert: Option<PathBuf>,

    /// Its private key (PEM).
    #[arg(long, value_name = "FILE", requires = "grpc_ca")]
    grpc_key: Option<PathBuf>,

    /// File with the 32-byte seed (base64) of the key that signs sealed sessions. Homes know it by the key set.
    #[arg(long, value_name = "FILE")]
    signing_key_file: PathBuf,

    /// Id of the skill whose custom requests are accepted; several may be given. Without one, they are refused.
    #[arg(long, value_name = "ID", value_delimiter = ',', value_parser = NonEmptyStringValueParser::new())]
    alexa_skill_id: Vec<String>,

    /// File with the keys (32 bytes in base64, one a line) of the Lambda forwarder: a directive that none of them signed is
    /// refused. Without it, the access token in a directive is all that decides.
    #[arg(long, value_name = "FILE")]
    forwarder_key_file: Option<PathBuf>,

    /// Client id for Login with Amazon, from the skill's permissions page. Without it, state reports stay off.
    #[arg(long, value_name = "ID", requires_all = ["lwa_client_secret_file", "vault_key_file"])]
    lwa_client_id: Option<String>,

    /// File that holds the client secret for Login with Amazon.
    #[arg(long, value_name = "FILE")]
    lwa_client_secret_file: Option<PathBuf>,

    /// File with the 32-byte key (base64) that seals event grants.
    #[arg(long, value_name = "FILE")]
    vault_key_file: Option<PathBuf>,

    /// Token URL of Login with Amazon.
    #[arg(long, value_name = "URL", default_value = LOGIN_WITH_AMAZON)]
    lwa_token_url: String,

    /// Where most of this skill's customers are: `na`, `eu` (India too) or `fe` (Australia too). Others are found out.
    #[arg(long, value_parser = region, default_value = "na")]
    lwa_region: Region,

    /// Alexa's event gateways, if not Amazon's own: `URL` for all regions, or `na=URL`, `eu=URL`, `fe=URL`.
    #[arg(long, value_name = "URL", value_delimiter = ',')]
    event_gateway_url: Vec<String>,

    /// Alexa's API, if not the one of Amazon's that each request names.
    #[arg(long, value_name = "URL")]
    alexa_api_url: Option<String>,

    /// Time for one directive, in milliseconds. Alexa gives up after 8000.
    #[arg(long, default_value_t = 6500, value_name = "MILLISECONDS")]
    directive_budget_ms: u64,

    /// DANGEROUS, for tests: also trust the roots (PEM) in this file for the signatures of custom requests.
    #[arg(long, value_name = "FILE")]
    dangerous_request_roots: Option<PathBuf>,

    /// DANGEROUS, for tests: fetch certificate chains from this base; the URL rules still judge the original URL.
    #[arg(long, value_name = "URL")]
    dangerous_certificate_base: Option<String>,

    /// DANGEROUS, for tests: judge the time of custom requests as if it were this many seconds since 1970.
    #[arg(long, value_name = "SECONDS")]
    dangerous_request_clock: Option<u64>,
}

impl Settings {
    pub(crate) fn signer(&self) -> anyhow::Result<SkillSigner> {
        Ok(SkillSigner::from_seed(&secret(&self.signing_key_file)?))
    }

    /// What this process shows to the other services, and they to it.
    pub(crate) fn internal(&self) -> anyhow::Result<Option<Arc<InternalTls>>> {
        let (Some(ca), Some(certificate), Some(key)) = (&self.grpc_ca, &self.grpc_cert, &self.grpc_key) else {
            return Ok(None);
        };
        Ok(Some(InternalTls::load(ca, certificate, key)?))
    }

    pub(crate) fn accounts(&self, internal: Option<&Arc<InternalTls>>) -> anyhow::Result<Channel> {
        channel(&self.accounts_url, internal)
    }

    pub(crate) fn relays(&self, internal: Option<&Arc<InternalTls>>) -> anyhow::Result<Vec<Channel>> {
        self.relay_bus_url.iter().map(|url| channel(url, internal)).collect()
    }

    pub(crate) fn skill(&self) -> anyhow::Result<SkillConfig> {
        let mut config = SkillConfig {
            deadline: Duration::from_millis(self.directive_budget_ms),
            events: self.events()?,
            alexa_api: self
                .alexa_api_url
                .as_deref()
                .map(str::parse)
                .transpose()
                .context("--alexa-api-url is not a URL")?,
            ..SkillConfig::default()
        };
        config.verify.application_ids.clone_from(&self.alexa_skill_id);
        config.verify.dangerous = self.dangerous()?;
        if let Some(file) = &self.forwarder_key_file {
            let text = String::from_utf8(read(file)?)?;
            config.forwarder_keys = forwarder_keys(&text)
                .with_context(|| format!("{} does not hold keys of 32 bytes in base64, one a line", file.display()))?;
        }
        Ok(config)
    }

    fn events(&self) -> anyhow::Result<Option<EventsConfig>> {
        let (Some(client_id), Some(client_secret), Some(vault_key)) =
            (&self.lwa_client_id, &self.lwa_client_secret_file, &self.vault_key_file)
        else {
            return Ok(None);
        };
        Ok(Some(EventsConfig {
            token_url: self.lwa_token_url.parse().context("--lwa-token-url is not a URL")?,
            client_id: client_id.clone(),
            client_secret: String::from_utf8(read(client_secret)?)?.trim().to_owned(),
            region: self.lwa_region,
            gateways: Gateways::parse(&self.event_gateway_url).context("--event-gateway-url is not a URL")?,
            seal_key: secret(vault_key)?,
        }))
    }

    fn dangerous(&self) -> anyhow::Result<Dangerous> {
        let mut dangerous = Dangerous::default();
        if let Some(file) = &self.dangerous_request_roots {
            let roots = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
            dangerous.extra_roots =
                roots.with_context(|| format!("cannot read certificates from {}", file.display()))?;
        }
        if let Some(base) = &self.dangerous_certificate_base {
            dangerous.fetch_base = Some(base.parse().context("--dangerous-certificate-base is not a URL")?);
        }
        if let Some(at) = self.dangerous_request_clock {
            dangerous.clock = Some(ManualClock::at(at));
        }
        if !dangerous.extra_roots.is_empty() || dangerous.fetch_base.is_some() || dangerous.clock.is_some() {
            ensure!(
                self.listen.ip().is_loopback() && !self.behind_proxy,
                "refusing the dangerous settings where strangers can call: they are for tests, on loopback only"
            );
            tracing::warn!("a DANGEROUS setting is on: custom requests that Amazon did not sign may be believed");
        }
        Ok(dangerous)
    }
}

/// Connects when first used, and again whenever the connection is lost. A peer that has vanished is noticed within seconds.
fn channel(url: &str, internal: Option<&Arc<InternalTls>>) -> anyhow::Result<Channel> {
    let (plain, is_tls) = match url.strip_prefix("https://") {
        // The connector below makes it TLS.
        Some(rest) => (format!("http://{rest}"), true),
        None => (url.to_owned(), false),
    };
    let endpoint = watchful(Endpoint::from_shared(plain).with_context(|| format!("{url} is not a URL"))?);
    if !is_tls {
        return Ok(endpoint.connect_lazy());
    }
    let internal = internal.with_context(|| format!("{url} needs --grpc-ca, --grpc-cert and --grpc-key"))?.clone();
    Ok(endpoint.connect_with_connector_lazy(tower::service_fn(move |url: Uri| {
        let internal = internal.clone();
        async move {
            let host = url.host().unwrap_or_default();
            Ok::<_, std::io::Error>(TokioIo::new(internal.connect(host, url.port_u16().unwrap_or(443)).await?))
        }
    })))
}

/// Whoever waits for an answer of a peer that has fallen silent learns so after three seconds, as the relays do among themselves.
fn watchful(endpoint: Endpoint) -> Endpoint {
    endpoint
        .executor(Prompt)
        .connect_timeout(Duration::from_secs(3))
        .tcp_nodelay(true)
        .http2_keep_alive_interval(Duration::from_secs(1))
        .keep_alive_timeout(Duration::from_secs(2))
        .keep_alive_while_idle(true)
}

fn region(text: &str) -> Result<Region, String> {
    match text {
        "na" => Ok(Region::NorthAmerica),
        "eu" => Ok(Region::Europe),
        "fe" => Ok(Region::FarEast),
        _ => Err("expected na, eu or fe".into()),
    }
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))
}

fn secret(file: &Path) -> anyhow::Result<[u8; 32]> {
    let text = read(file)?;
    let bytes = STANDARD.decode(text.trim_ascii()).unwrap_or_default();
    ensure!(bytes.len() == 32, "{} does not hold 32 bytes in base64", file.display());
    Ok(bytes.try_into().expect("length checked above"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use macloud_proto::bus::v1::command_bus_client::CommandBusClient;
    use macloud_proto::bus::v1::command_bus_server::{CommandBus, CommandBusServer};
    use macloud_proto::bus::v1::{Answer, Call, FromRelay, ToRelay};
    use tokio::io::DuplexStream;
    use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
    use tokio_stream::StreamExt as _;
    use tonic::{Request, Response, Status, Streaming};

    /// Has got the call, and says nothing more.
    struct Silent(UnboundedSender<()>);

    #[tonic::async_trait]
    impl CommandBus for Silent {
        type LinkStream = tokio_stream::Pending<Result<FromRelay, Status>>;

        async fn link(&self, _: Request<Streaming<ToRelay>>) -> Result<Response<Self::LinkStream>, Status> {
            Err(Status::unimplemented("not asked for"))
        }

        async fn dispatch(&self, _: Request<Call>) -> Result<Response<Answer>, Status> {
            let _ = self.0.send(());
            std::future::pending().await
        }
    }

    /// Carries everything, until it is told to carry nothing without telling anybody.
    async fn line(mut near: DuplexStream, mut far: DuplexStream, falls_silent: tokio::sync::oneshot::Receiver<()>) {
        tokio::select! {
            _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
            _ = falls_silent => std::future::pending().await,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_relay_that_falls_silent_is_given_up_within_three_seconds() {
        for after in [0, 300, 600, 950, 1700] {
            let (arrived, mut arrivals) = unbounded_channel();
            let (client, near) = tokio::io::duplex(64 * 1024);
            let (far, server) = tokio::io::duplex(64 * 1024);
            let (fall_silent, falls_silent) = tokio::sync::oneshot::channel();
            tokio::spawn(line(near, far, falls_silent));
            let incoming = tokio_stream::once(Ok::<_, std::io::Error>(server)).chain(tokio_stream::pending());
            let service = CommandBusServer::new(Silent(arrived));
            tokio::spawn(tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming));
            let mut client = Some(client);
            let channel = watchful(Endpoint::from_static("http://relay")).connect_with_connector_lazy(
                tower::service_fn(move |_: Uri| {
                    let client = client.take().ok_or(std::io::ErrorKind::ConnectionRefused);
                    std::future::ready(client.map(TokioIo::new).map_err(std::io::Error::from))
                }),
            );
            let call = tokio::spawn(async move { CommandBusClient::new(channel).dispatch(Call::default()).await });
            arrivals.recv().await.unwrap();
            tokio::time::sleep(Duration::from_millis(after)).await;
            fall_silent.send(()).unwrap();
            let silent = tokio::time::Instant::now();
            assert!(call.await.unwrap().is_err());
            assert!(silent.elapsed() <= Duration::from_millis(3_200), "{after}: {:?}", silent.elapsed());
        }
    }

    fn settings(more: &[&str]) -> Settings {
        let needed =
            ["ma-alexa-skill", "--accounts-url", "http://a", "--relay-bus-url", "http://b", "--signing-key-file", "k"];
        Settings::try_parse_from(needed.iter().chain(more)).unwrap()
    }

    #[test]
    fn dangerous_settings_are_refused_where_strangers_can_call() {
        for dangerous in [["--dangerous-certificate-base", "http://x"], ["--dangerous-request-clock", "7"]] {
            assert!(settings(&dangerous).dangerous().is_ok());
            let proxied = [&dangerous[..], &["--behind-proxy"]].concat();
            let public = [&dangerous[..], &["--listen", "0.0.0.0:0"]].concat();
            for more in [proxied, public] {
                assert!(settings(&more).dangerous().is_err(), "{more:?}");
            }
        }
        assert!(settings(&["--listen", "0.0.0.0:0"]).dangerous().is_ok(), "without any there is nothing to refuse");
    }
}
