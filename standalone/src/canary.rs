//! `ma-cloud canary`: somebody who uses the cloud all day and says what breaks.
//!
//! A synthetic [`home`] (the simulated Music Assistant and a real connector) is paired with an account made for it, and a
//! synthetic Alexa is linked to that account through the real pages. Each [`round`] discovers, plays, sets the volume, reads
//! the state and pauses; what came of it is printed as one JSON line, counted as `macloud_canary_*`, and shown on a status
//! page beside what Amazon must have there.
//!
//! It knows no more of the cloud than a customer does, and keeps three secrets: the account's password, the client's, and the
//! tokens of the link. None of them is in anything that it says.

mod history;
pub mod home;
mod outside;
mod page;
pub mod round;

use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use macloud_alexa_skill::config::forwarder_keys;
use macloud_service_kit::clock;
use macloud_service_kit::health::Health;
use macloud_service_kit::http::Server;
use macloud_service_kit::lifecycle::{announce, stop_on_signals};
use macloud_service_kit::metrics::Metrics;
use macloud_service_kit::stop::Stop;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram};

use self::history::History;
use self::outside::{Outside, Reached};
use self::round::{Canary, CanarySettings, Report, Verdict};
use crate::cli::CanaryArgs;
use crate::demo::pretend_alexa::Registration;

/// Run until told to stop, or one round with `--once`: then it is a failure if the round was one.
///
/// # Errors
/// When a file cannot be used, or an address cannot be bound. A cloud that is not there is what it is for.
pub async fn run(args: CanaryArgs) -> anyhow::Result<ExitCode> {
    let metrics = Metrics::install("ma-cloud-canary")?;
    let stop = stop_on_signals()?;
    let settings = settings(&args)?;
    let instruments = Instruments::new();
    let mut canary = Canary::open(settings).await?;
    if args.once {
        let report = canary.round().await;
        instruments.note(&report);
        announce(&serde_json::to_value(&report)?);
        canary.close().await;
        return Ok(if report.ok { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let page_server = bind(args.listen).await?;
    let admin = bind(args.admin_listen).await?;
    announce(&serde_json::json!({
        "event": "listening",
        "address": page_server.local_addr()?,
        "admin_address": admin.local_addr()?,
    }));
    let health = Health::new();
    let history = History::open(args.state_dir.join("history.json"), clock::system().unix_seconds());
    let shown = Arc::new(Mutex::new(page::Shown::new(args.cloud.to_string(), history)));
    let outside = Outside::new(&args.outside)?;
    let watch = async {
        let every = Duration::from_secs(args.every_seconds);
        while !stop.is_stopping() {
            // A round that is cut off is one that never was.
            let report = tokio::select! {
                () = stop.soft() => break,
                report = canary.round() => report,
            };
            instruments.note(&report);
            health.set("watches", true);
            page::lock(&shown).note(report.clone());
            announce(&serde_json::to_value(&report).unwrap_or_default());
            tokio::select! {
                () = stop.soft() => {}
                () = tokio::time::sleep(every) => {}
            }
        }
        canary.close().await;
        page::lock(&shown).save();
    };
    tokio::join!(
        watch,
        look_outside(outside, &shown, &instruments, &stop),
        page_server.serve(page::router(shown.clone()), stop.clone()),
        admin.serve(metrics.router().merge(health.router()), stop.clone()),
    );
    Ok(ExitCode::SUCCESS)
}

async fn bind(address: std::net::SocketAddr) -> anyhow::Result<Server> {
    let server = Server::bind(address, None).await.with_context(|| format!("cannot listen on {address}"))?;
    // A proxy ends TLS in front of it.
    Ok(server.behind_proxy())
}

async fn look_outside(outside: Outside, shown: &Mutex<page::Shown>, instruments: &Instruments, stop: &Stop) {
    while !stop.is_stopping() {
        let reached = outside.look().await;
        instruments.note_outside(&reached);
        page::lock(shown).outside = reached;
        tokio::select! {
            () = stop.soft() => {}
            () = tokio::time::sleep(OUTSIDE_EVERY) => {}
        }
    }
}

fn settings(args: &CanaryArgs) -> anyhow::Result<CanarySettings> {
    let person = secret(&args.person_file)?;
    let mut lines = person.lines().map(str::trim).filter(|line| !line.is_empty());
    let (Some(email), Some(password), None) = (lines.next(), lines.next(), lines.next()) else {
        anyhow::bail!("{} must hold an e-mail address and a password, a line each", args.person_file.display());
    };
    let client_secret = secret(&args.client_secret_file)?;
    let forwarder_key = match &args.forwarder_key_file {
        Some(file) => {
            let keys = forwarder_keys(&secret(file)?).unwrap_or_default();
            Some(*keys.first().with_context(|| format!("{} holds no key of 32 bytes in base64", file.display()))?)
        }
        None => None,
    };
    Ok(CanarySettings {
        cloud: args.cloud.clone(),
        skill: args.skill.clone().unwrap_or_else(|| args.cloud.clone()),
        email: email.to_owned(),
        password: password.to_owned(),
        registration: Registration {
            client_id: args.client_id.clone(),
            client_secret: client_secret.trim().to_owned(),
            redirect_uri: args.redirect_uri.to_string(),
        },
        forwarder_key,
        state_dir: args.state_dir.clone(),
        slow: Duration::from_millis(args.slow_ms),
        refresh_every: Duration::from_secs(args.refresh_every_seconds),
        clock: clock::system(),
    })
}

/// A file that only its owner can read, or its group, as Kubernetes mounts the Secrets of a pod that is not root's.
fn secret(file: &Path) -> anyhow::Result<String> {
    let about = std::fs::metadata(file).with_context(|| format!("cannot read {}", file.display()))?;
    ensure!(about.mode() & 0o037 == 0, "other users can read {0}: chmod 600 {0}", file.display());
    std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

/// Make a directory that only its owner can read, if it is not there.
fn make_private(directory: &Path) -> anyhow::Result<()> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.with_context(|| format!("cannot make {}", directory.display()))
}

/// Replace a file by one with this content, readable by its owner only. Whoever reads it meanwhile finds the old or the new one.
fn keep(file: &Path, content: &str) -> std::io::Result<()> {
    let fresh = file.with_extension("new");
    let _ = std::fs::remove_file(&fresh);
    let mut made = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
    made.write_all(content.as_bytes())?;
    made.sync_all()?;
    std::fs::rename(&fresh, file)
}

/// What is counted of the rounds.
struct Instruments {
    rounds: Counter<u64>,
    seconds: Histogram<f64>,
    good: Gauge<u64>,
    outside: Gauge<u64>,
}

impl Instruments {
    fn new() -> Self {
        let meter = opentelemetry::global::meter("macloud.canary");
        Self {
            rounds: meter.u64_counter("macloud.canary.rounds").with_description("Rounds by result").build(),
            seconds: meter
                .f64_histogram("macloud.canary.step_duration")
                .with_unit("s")
                .with_description("How long each step of a round took, if it succeeded")
                .with_boundaries(vec![0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0])
                .build(),
            good: meter
                .u64_gauge("macloud.canary.good")
                .with_description("1 if this step succeeded when it was last tried")
                .build(),
            outside: meter
                .u64_gauge("macloud.canary.outside_reached")
                .with_description("1 if this place of Amazon's answered when it was last asked")
                .build(),
        }
    }

    fn note(&self, report: &Report) {
        self.rounds.add(1, &[KeyValue::new("result", if report.ok { "ok" } else { "failed" })]);
        for step in &report.steps {
            let name = [KeyValue::new("step", step.name)];
            match step.verdict {
                Verdict::Ok | Verdict::Slow => {
                    self.good.record(1, &name);
                    self.seconds.record(step.millis / 1000.0, &name);
                }
                Verdict::Failed => self.good.record(0, &name),
                Verdict::NotTried => {}
            }
        }
    }

    fn note_outside(&self, reached: &[Reached]) {
        for place in reached {
            self.outside.record(place.ok.into(), &[KeyValue::new("place", place.name.clone())]);
        }
    }
}

/// Amazon is asked no more often than this: it is no part of ours.
const OUTSIDE_EVERY: Duration = Duration::from_secs(300);
