//! `ma-alexa-skill`: the skill backend as a process of its own. Only wires; see the library.

mod settings;

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::ensure;
use macloud_alexa_skill::Skill;
use macloud_service_kit::health::Health;
use macloud_service_kit::http::Server;
use macloud_service_kit::lifecycle::{announce, stop_on_signals};
use macloud_service_kit::metrics::Metrics;
use macloud_service_kit::stop::Stop;
use macloud_service_kit::tls::Certificate;
use macloud_service_kit::{clock, config, telemetry, tls};
use serde_json::json;
use settings::Settings;

fn main() -> ExitCode {
    tls::install_provider();
    let settings: Settings = config::parse("MACLOUD", std::env::args_os()).unwrap_or_else(|error| error.exit());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("the runtime starts");
    match runtime.block_on(run(settings)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Logging may be filtered out, and may not have begun.
            let _ = writeln!(std::io::stderr(), "ma-alexa-skill: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(settings: Settings) -> anyhow::Result<()> {
    let _telemetry = telemetry::init(&settings.telemetry, "ma-alexa-skill")?;
    let metrics = Metrics::install("ma-alexa-skill")?;
    let certificate = match (&settings.tls_cert, &settings.tls_key) {
        (Some(chain), Some(key)) => Some(Certificate::load(chain, key)?),
        _ => None,
    };
    ensure!(
        certificate.is_some() || settings.behind_proxy || settings.listen.ip().is_loopback(),
        "refusing to serve plain HTTP on {}: give --tls-cert and --tls-key, or say --behind-proxy",
        settings.listen
    );
    if let Some(certificate) = &certificate {
        certificate.observe_expiry("public", clock::system());
    }
    tls::reload_on_hangup(certificate.iter().cloned().collect())?;
    let listener = Server::bind(settings.listen, certificate).await?;
    let admin = Server::bind(settings.admin_listen, None).await?;
    let internal = settings.internal()?;
    let (accounts, relays) = (settings.accounts(internal.as_ref())?, settings.relays(internal.as_ref())?);
    if let Some(internal) = internal {
        internal.observe_expiry(clock::system());
        tokio::spawn(async move { internal.keep_fresh().await });
    }
    let skill = Skill::new(settings.skill()?, accounts, relays, settings.signer()?, clock::system())?;
    let (stop, health) = (stop_on_signals()?, Health::new());
    announce(&json!({
        "event": "listening",
        "address": listener.local_addr()?.to_string(),
        "admin_address": admin.local_addr()?.to_string(),
    }));
    tokio::spawn(watch_health(skill.clone(), health.clone(), stop.clone()));
    let operators = metrics.router().merge(health.router());
    let public = skill.router().merge(health.router());
    tokio::join!(listener.serve(public, stop.clone()), admin.serve(operators, stop.clone()), skill.run(stop.clone()));
    Ok(())
}

/// Ready once commands could be sent, until this process is leaving. Whatever else is the matter is a gauge.
async fn watch_health(skill: Skill, health: Health, stop: Stop) {
    let mut every = tokio::time::interval(Duration::from_secs(1));
    loop {
        health.set("bus_was_open", skill.is_ready());
        health.set("stays", !stop.is_stopping());
        tokio::select! {
            () = stop.hard() => return,
            _ = every.tick() => {}
        }
    }
}
