//! The certificate that `serve` gets by itself, and keeps fresh: ACME (RFC 8555) with TLS-ALPN-01 (RFC 8737).
//!
//! A [`Keeper`] looks at its plan at least every hour. When the time has come it orders a certificate ([`authority`]), keeps it
//! ([`kept`]) and has new handshakes use it at once. What fails is tried again later and later ([`schedule`]), and never before
//! the authority said; the time of the next attempt is written down before each, so that a program that is started again and
//! again asks no more often. The challenge itself is answered where connections come in: [`macloud_service_kit::tls`].

mod authority;
mod client;
mod kept;
mod schedule;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use macloud_service_kit::clock::SharedClock;
use macloud_service_kit::health::Health;
use macloud_service_kit::stop::Stop;
use macloud_service_kit::tls::Certificate;
use rustls_pki_types::CertificateDer;
use tokio::signal::unix::{SignalKind, signal};

pub use self::authority::Failure;
use self::client::Client;
use self::kept::Kept;
use self::schedule::Plan;

/// Which certificate is wanted, and of whom.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The name that it is for, in lower case.
    pub name: String,
    /// The URL of the authority's directory.
    pub directory: String,
    /// Where the authority may write to.
    pub email: Option<String>,
    /// Who may have signed the authority's own certificate, beside the public ones.
    pub roots: Vec<CertificateDer<'static>>,
}

/// Sees to it that there is a certificate.
pub struct Keeper {
    settings: Settings,
    kept: Kept,
    certificate: Arc<Certificate>,
    plan: Plan,
    last_failure: Option<String>,
    clock: SharedClock,
}

impl Keeper {
    /// With the certificate in this data directory, if one is kept there for this name and authority; else it is awaited.
    /// Nothing is written yet.
    #[must_use]
    pub fn open(settings: Settings, data_dir: &Path, clock: SharedClock) -> Self {
        let kept = Kept::within(data_dir, &settings);
        let certificate = Certificate::awaited(kept.certificate_file(), kept.certificate_file());
        if let Err(error) = kept.load(&certificate) {
            tracing::warn!(%error, "the kept certificate cannot be used: another is ordered");
        }
        let plan = kept.plan().unwrap_or_default();
        Self { settings, kept, certificate, plan, last_failure: None, clock }
    }

    /// What to serve with.
    #[must_use]
    pub fn certificate(&self) -> Arc<Certificate> {
        self.certificate.clone()
    }

    /// Whether somebody who connects now finds a certificate that is good.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.certificate.validity().is_some_and(|valid| valid.contains(&self.clock.unix_seconds()))
    }

    /// Why the last attempt of this process failed, if it did, and what helps.
    #[must_use]
    pub fn last_failure(&self) -> Option<&str> {
        self.last_failure.as_deref()
    }

    /// Keep it fresh until a soft stop, and say in `health` whether there is a good one. A hangup (SIGHUP) ends the wait after
    /// a failure, but not one that the authority asked for.
    ///
    /// # Errors
    /// When the operating system does not let the signal be caught.
    pub async fn run(mut self, health: Health, stop: Stop) -> std::io::Result<()> {
        let mut hangup = signal(SignalKind::hangup())?;
        loop {
            health.set("certificate", self.is_good());
            let next = tokio::select! {
                biased;
                () = stop.soft() => return Ok(()),
                next = self.keep_fresh() => next,
            };
            health.set("certificate", self.is_good());
            let wait = Duration::from_secs(next.saturating_sub(self.clock.unix_seconds()));
            tokio::select! {
                biased;
                () = stop.soft() => return Ok(()),
                _ = hangup.recv() => self.plan.hurry(self.clock.unix_seconds()),
                // The wall clock may jump, and a machine sleep.
                () = tokio::time::sleep(wait.min(LOOK_EVERY)) => {}
            }
        }
    }

    /// Order a certificate, if it is time. When it is time again, in seconds since 1970. Cancelled in between, the attempt
    /// counts as one that failed.
    pub async fn keep_fresh(&mut self) -> u64 {
        let now = self.clock.unix_seconds();
        if self.due_at(now) <= now {
            let client = Client::new(&self.settings.roots, self.clock.clone());
            let retry_after = client.retry_after();
            match self.renew(client, now).await {
                Ok(()) => self.tell_success(),
                Err(failure) => self.wait_after(now, &failure, retry_after.told()),
            }
        }
        self.due_at(now)
    }

    fn due_at(&self, now: u64) -> u64 {
        self.plan.due_at(now, self.certificate.validity().as_ref())
    }

    async fn renew(&mut self, client: Client, now: u64) -> Result<(), Failure> {
        self.plan.begin(now);
        self.kept.write_plan(&self.plan)?;
        let account_key = self.kept.account_key()?;
        let order = authority::order(&self.settings, &account_key, &self.certificate, client);
        let issued = tokio::time::timeout(ORDER_LIMIT, order).await.map_err(|_| Failure::Late(ORDER_LIMIT))??;
        let valid = self.kept.install(&issued, self.clock.unix_seconds())?;
        self.certificate.reload()?;
        self.plan.succeeded(self.clock.unix_seconds(), &valid);
        Ok(self.kept.write_plan(&self.plan)?)
    }

    fn tell_success(&mut self) {
        self.last_failure = None;
        let name = &self.settings.name;
        let next_in_s = self.plan.next_attempt.saturating_sub(self.clock.unix_seconds());
        let days = next_in_s / 86_400;
        tracing::info!(certificate.name = %name, next_in_s, "a certificate for {name} was issued, and is served; another is ordered in {days} days");
    }

    fn wait_after(&mut self, begun: u64, failure: &Failure, retry_after: Option<Duration>) {
        if let Some(wait) = retry_after {
            self.plan.told_to_wait(begun, wait);
            if let Err(error) = self.kept.write_plan(&self.plan) {
                tracing::error!(%error, "it cannot be written down how long the authority wants to be left alone");
            }
        }
        let why = format!("{failure}. {}", failure.remedy());
        self.tell_failure(&why, self.plan.next_attempt.saturating_sub(begun));
        self.last_failure = Some(why);
    }

    fn tell_failure(&self, why: &str, next_in_s: u64) {
        let (name, failures) = (&self.settings.name, self.plan.failures);
        if self.is_good() {
            tracing::warn!(certificate.name = %name, certificate.failures = failures, next_in_s, "no new certificate for {name}, the old one is still good: {why} Next attempt in {next_in_s} s");
        } else {
            tracing::error!(certificate.name = %name, certificate.failures = failures, next_in_s, "no certificate for {name}, so nobody can connect: {why} Next attempt in {next_in_s} s");
        }
    }
}

/// For a whole order; authorities validate from several places, and queue.
const ORDER_LIMIT: Duration = Duration::from_secs(300);
const LOOK_EVERY: Duration = Duration::from_secs(3600);
