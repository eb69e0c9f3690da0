//! `ma-cloud serve`: the cloud on one address, until it is told to stop.

pub mod acme;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use macloud_alexa_skill::SkillConfig;
use macloud_alexa_skill::config::forwarder_keys;
use macloud_alexa_skill::grant::{self, EventsConfig, Gateways};
use macloud_alexa_skill::verify::Dangerous;
use macloud_relay::RelayConfig;
use macloud_service_kit::clock;
use macloud_service_kit::http::Server;
use macloud_service_kit::lifecycle::{announce, raise_open_file_limit, stop_on_signals};
use macloud_service_kit::metrics::Metrics;
use macloud_service_kit::tls::{self, Certificate};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::json;

use self::acme::Keeper;
use crate::cli::{AlexaArgs, Region, ServeArgs};
use crate::cloud::{Cloud, CloudConfig, lock_data_dir, prepare_data_dir};

/// A stopping relay waits this long for its homes.
const DRAIN_GRACE: Duration = Duration::from_secs(3);

/// After a soft stop the parts get this long before a hard one.
const STOP_LIMIT: Duration = Duration::from_secs(15);

/// Run until told to stop.
///
/// # Errors
/// When a setting is unusable, an address cannot be bound or the data directory cannot be opened.
pub async fn run(args: ServeArgs) -> anyhow::Result<()> {
    check_scheme(&args)?;
    let metrics = Metrics::install("ma-cloud")?;
    let keeper = args.acme_settings()?.map(|settings| Keeper::open(settings, &args.data.data_dir, clock::system()));
    let from_files = match (&args.tls_cert, &args.tls_key) {
        (Some(chain), Some(key)) => {
            Some(Certificate::load(chain, key).context("--tls-cert and --tls-key cannot be used")?)
        }
        _ => None,
    };
    let certificate = keeper.as_ref().map(Keeper::certificate).or_else(|| from_files.clone());
    let open_files = raise_open_file_limit();
    let bound = Server::bind(args.listen, certificate.clone()).await;
    let mut listener = bound.map_err(|error| {
        let remedy = match error.kind() {
            ErrorKind::PermissionDenied => "this user may not use ports below 1024: allow it (CAP_NET_BIND_SERVICE), or give a higher one with --listen",
            ErrorKind::AddrInUse => "stop what uses it, or give another with --listen",
            _ => "give another with --listen",
        };
        let told = format!("cannot listen on {}: {remedy}", args.listen);
        anyhow::Error::new(error).context(told)
    })?;
    if args.behind_proxy || args.listen.ip().is_loopback() {
        listener = listener.behind_proxy();
    }
    let admin_certificate = args.admin_tls.certificate(args.admin_listen);
    let admin_certificate = admin_certificate.context("--admin-tls-cert and --admin-tls-key cannot be used")?;
    let admin = Server::bind(args.admin_listen, admin_certificate.clone())
        .await
        .with_context(|| format!("cannot listen on {} for operators", args.admin_listen))?;
    for (name, certificate) in [("public", &certificate), ("operators", &admin_certificate)] {
        if let Some(certificate) = certificate {
            certificate.observe_expiry(name, clock::system());
        }
    }
    let address = listener.local_addr()?;
    let public_url = public_url(&args, address)?;

    let stop = stop_on_signals()?;
    let alexa = args.alexa.clone();
    // There is no other node to move to: what is in flight gets its answer, then the homes wait for the restart.
    let ends_tls = args.ends_tls();
    let directly = RelayConfig::is_dialled_directly(ends_tls, &[&public_url]);
    let relay = relay_config(open_files, args.limits.client_address_header.clone(), directly);
    let config = CloudConfig {
        data_dir: args.data.data_dir,
        public_url: public_url.clone(),
        lives: args.lives,
        limits: args.limits,
        identity_providers: args.identity_providers,
        mail: args.mail,
        operator: args.operator,
        commands_per_minute: args.commands_per_minute,
        plans: args.plans,
        billing: args.billing,
        skill: skill_config(&args.alexa, args.listen.ip().is_loopback() && !args.behind_proxy)?,
        events: Box::new(move |vault_key| events_config(&alexa, vault_key)),
        relay,
        relay_url: None,
        clock: clock::system(),
    };
    prepare_data_dir(&config.data_dir)?;
    let _lock = lock_data_dir(&config.data_dir)?;
    let cloud = Cloud::start(config, &stop).await?;
    announce(&json!({
        "event": "listening",
        "address": address.to_string(),
        "public_url": public_url,
        "admin_address": admin.local_addr()?.to_string(),
    }));
    let for_a_proxy = (!ends_tls && public_url.starts_with("https://")).then_some(address);
    tell_people(&public_url, for_a_proxy, keeper.as_ref());
    tls::reload_on_hangup([from_files, admin_certificate].into_iter().flatten().collect())?;
    let keeping = keeper.map(|keeper| tokio::spawn(keeper.run(cloud.health().clone(), stop.clone())));
    let operators = metrics.router().merge(cloud.health().router()).merge(cloud.operator_router());
    let hardening = stop.clone();
    tokio::spawn(async move {
        hardening.soft().await;
        tokio::time::sleep(STOP_LIMIT).await;
        hardening.stop_hard();
    });
    tokio::join!(listener.serve(cloud.router(), stop.clone()), admin.serve(operators, stop.clone()));
    // Nobody is served any more: whoever still waits on the in-process gRPC waits for nothing.
    stop.stop_hard();
    cloud.ended().await;
    match keeping {
        Some(keeping) => keeping.await?.context("nobody kept the certificate fresh"),
        None => Ok(()),
    }
}

/// For whoever started it by hand; programs read the line on standard output. `for_a_proxy`: where plain HTTP is spoken, though
/// people come by https.
#[expect(clippy::print_stderr, reason = "a word to the person at the terminal; logging may be filtered out")]
fn tell_people(public_url: &str, for_a_proxy: Option<SocketAddr>, keeper: Option<&Keeper>) {
    if keeper.is_some_and(|keeper| !keeper.is_good()) {
        eprintln!("MA Cloud gets its certificate now, and says so below; nobody can connect before.");
    }
    match for_a_proxy {
        None => eprintln!("MA Cloud is running: open {public_url} in a browser. Ctrl-C stops it."),
        Some(address) => eprintln!(
            "MA Cloud is running, and speaks plain HTTP on {address}: {public_url} opens once a proxy in front of it ends TLS \
             there. Ctrl-C stops it."
        ),
    }
}

fn relay_config(open_files: u64, client_address_header: Option<String>, directly: bool) -> RelayConfig {
    let usual = RelayConfig::default();
    let max_connections = usual.max_connections.min(RelayConfig::connections_within(open_files));
    // Behind a proxy, which needs no word of it on this machine, nothing is given that would make the proxy a home.
    let resumption = directly && client_address_header.is_none();
    RelayConfig { drain_grace: DRAIN_GRACE, max_connections, client_address_header, resumption, ..usual }
}

/// Where TLS ends here, nothing answers to plain HTTP.
fn check_scheme(args: &ServeArgs) -> anyhow::Result<()> {
    let plain = args.public_url.as_deref().and_then(|url| url.strip_prefix("http://"));
    if let (Some(rest), true) = (plain, args.ends_tls()) {
        let flag = if args.acme.acme { "--acme" } else { "--tls-cert" };
        bail!(
            "--public-url http://{rest} does not go with {flag}, with which only https is answered: give https://{rest}"
        );
    }
    Ok(())
}

fn public_url(args: &ServeArgs, address: SocketAddr) -> anyhow::Result<String> {
    let tls = args.ends_tls();
    if !tls && !args.behind_proxy && !address.ip().is_loopback() {
        bail!(
            "refusing to serve plain HTTP on {address}: say --acme to get a certificate, or give --tls-cert and --tls-key, or say \
             --behind-proxy if a proxy in front ends TLS, or listen on 127.0.0.1"
        );
    }
    ensure!(
        !args.behind_proxy || args.limits.client_address_header.is_some(),
        "--behind-proxy needs --client-address-header NAME: the header in which your proxy puts the caller's address, such as \
         X-Forwarded-For. Without it all people would share one rate limit"
    );
    ensure!(
        args.behind_proxy || args.limits.client_address_header.is_none(),
        "--client-address-header goes with --behind-proxy: where no proxy writes that header, each caller does, and has as many \
         addresses as it likes"
    );
    match &args.public_url {
        Some(url) => {
            let context = || format!("--public-url {url:?} cannot be used");
            macloud_account_service::check_public_url(url).with_context(context)?;
            Ok(url.trim_end_matches('/').to_owned())
        }
        None => {
            ensure!(
                !tls && !args.behind_proxy,
                "--public-url is needed: the URL under which the outside reaches this cloud"
            );
            Ok(format!("http://{address}"))
        }
    }
}

fn skill_config(args: &AlexaArgs, is_private: bool) -> anyhow::Result<SkillConfig> {
    let deadline = Duration::from_millis(args.directive_budget_ms);
    let mut config = SkillConfig { deadline, ..SkillConfig::default() };
    if args.alexa_skill_id.is_empty() {
        tracing::warn!("no --alexa-skill-id: requests of a skill's custom part (\"Alexa, ask …\") are refused");
    }
    config.alexa_api =
        args.alexa_api_url.as_deref().map(str::parse).transpose().context("--alexa-api-url is not a URL")?;
    config.verify.application_ids.clone_from(&args.alexa_skill_id);
    config.verify.dangerous = dangerous(args, is_private)?;
    if let Some(file) = &args.forwarder_key_file {
        let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        config.forwarder_keys = forwarder_keys(&text)
            .with_context(|| format!("{} does not hold keys of 32 bytes in base64, one a line", file.display()))?;
    }
    Ok(config)
}

/// What state reports to Alexa need, if a Login with Amazon client is named.
fn events_config(args: &AlexaArgs, vault_key: [u8; 32]) -> anyhow::Result<Option<EventsConfig>> {
    let (Some(client_id), Some(file)) = (&args.lwa_client_id, &args.lwa_client_secret_file) else { return Ok(None) };
    let secret = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let region = match args.lwa_region {
        Region::Na => grant::Region::NorthAmerica,
        Region::Eu => grant::Region::Europe,
        Region::Fe => grant::Region::FarEast,
    };
    Ok(Some(EventsConfig {
        token_url: args.lwa_token_url.parse().context("--lwa-token-url is not a URL")?,
        client_id: client_id.clone(),
        client_secret: secret.trim().to_owned(),
        region,
        gateways: Gateways::parse(&args.event_gateway_url).context("--event-gateway-url is not a URL")?,
        seal_key: vault_key,
    }))
}

/// `is_private`: nobody but this machine can call.
fn dangerous(args: &AlexaArgs, is_private: bool) -> anyhow::Result<Dangerous> {
    let mut dangerous = Dangerous::default();
    if let Some(file) = &args.dangerous_request_roots {
        let roots = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        dangerous.extra_roots = roots.with_context(|| format!("cannot read certificates from {}", file.display()))?;
    }
    if let Some(base) = &args.dangerous_certificate_base {
        dangerous.fetch_base = Some(base.parse().context("--dangerous-certificate-base is not a URL")?);
    }
    if let Some(at) = args.dangerous_request_clock {
        dangerous.clock = Some(clock::ManualClock::at(at));
    }
    let any = !dangerous.extra_roots.is_empty() || dangerous.fetch_base.is_some() || dangerous.clock.is_some();
    if any {
        ensure!(
            is_private,
            "refusing the dangerous settings where strangers can call: they are for tests, on loopback only"
        );
        tracing::warn!("a DANGEROUS setting is on: custom requests that Amazon did not sign may be believed");
    }
    Ok(dangerous)
}
