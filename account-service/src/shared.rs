//! What every request of this service leans on, made once at start.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::request::Parts;
use macloud_service_kit::clock::SharedClock;
use macloud_service_kit::http;
use tokio::sync::watch;

use crate::OpenError;
use crate::billing::{Provider, Stripe};
use crate::config::Config;
use crate::link_doctor::Unwritten;
use crate::mail::Mailer;
use crate::metrics::{self, Metrics};
use crate::passkeys::Passkeys;
use crate::passwords::Passwords;
use crate::providers;
use crate::rate_limits::RateLimits;
use crate::secrets::MasterKeys;
use crate::signing::{Signing, SigningError};
use crate::store::clients::{self, Client};
use crate::store::rotations::Rotations;
use crate::store::{DatabaseSettings, Db, StoreError, Tx};

/// The running service's parts.
pub(crate) struct Shared {
    pub(crate) config: Config,
    /// `public_url` without a slash at the end: the issuer, byte for byte.
    pub(crate) issuer: String,
    /// Whether people reach us over https: cookies are then bound to it.
    pub(crate) https: bool,
    pub(crate) db: Db,
    pub(crate) rotations: Rotations,
    pub(crate) clock: SharedClock,
    pub(crate) master: MasterKeys,
    pub(crate) signing: Signing,
    pub(crate) mail: Mailer,
    /// None while billing is off.
    pub(crate) billing: Option<Box<dyn Provider>>,
    /// For the link doctor, from when the database was away.
    pub(crate) unwritten: Unwritten,
    /// None where the public URL has no domain: browsers bind passkeys to one.
    pub(crate) passkeys: Option<Passkeys>,
    pub(crate) passwords: Passwords,
    /// Other providers to sign in with.
    pub(crate) providers: Vec<providers::Provider>,
    pub(crate) rate_limits: RateLimits,
    pub(crate) metrics: Metrics,
    clients: Mutex<HashMap<String, (Arc<Client>, u64)>>,
    /// Counts up whenever the change log may have grown.
    changed: watch::Sender<u64>,
}

impl Shared {
    pub(crate) async fn open(
        config: Config,
        database: &DatabaseSettings,
        clock: SharedClock,
    ) -> Result<Arc<Self>, OpenError> {
        let (issuer, https) = check_public_url(&config.public_url)?;
        check_plans(&config)?;
        let providers = config.identity_providers.iter().map(|settings| {
            settings.check()?;
            providers::Provider::new(settings.clone(), &issuer, clock.clone())
        });
        let providers = providers.collect::<Result<_, _>>()?;
        let mail = Mailer::new(&config.mail, clock.clone())?;
        let mut master = MasterKeys::load_or_create(&config.key_file, clock.clone())?;
        let db = Db::open(database).await?;
        // Before anything is put into the database that another key file could not open.
        let signing = Signing::open(&db, &master, clock.clone()).await?;
        if !master.share(&db).await? {
            return Err(SigningError::KeyFile.into());
        }
        let passwords = Passwords::new(Duration::from_millis(config.limits.password_wait_ms.into()));
        let shared = Arc::new(Self {
            passkeys: Passkeys::new(&issuer),
            issuer,
            https,
            rotations: Rotations::start(&db),
            db,
            master,
            signing,
            mail,
            billing: config.billing.clone().map(|settings| Box::new(Stripe::new(settings)) as Box<dyn Provider>),
            unwritten: Unwritten::default(),
            passwords,
            providers,
            rate_limits: RateLimits::new(clock.clone()),
            metrics: Metrics::new(),
            clients: Mutex::default(),
            changed: watch::Sender::new(0),
            clock,
            config,
        });
        metrics::observe(&shared);
        Ok(shared)
    }

    /// Seconds since 1970.
    pub(crate) fn now(&self) -> i64 {
        self.clock.unix_seconds() as i64
    }

    /// What to type beside Music Assistant to connect a home with this cloud.
    pub(crate) fn pair_command(&self) -> String {
        format!("ma-connector pair --cloud {}", self.issuer)
    }

    /// Whether this cloud has an app to link yet. While nobody can tell, it has.
    pub(crate) async fn has_app_to_link(&self) -> bool {
        clients::any_to_link(&self.db).await.unwrap_or(true)
    }

    /// The absolute URL of a path of ours.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.issuer)
    }

    pub(crate) fn relay_url(&self) -> String {
        self.config.relay_url.clone().unwrap_or_else(|| {
            let rest = self.issuer.strip_prefix("http").unwrap_or(&self.issuer);
            format!("ws{rest}/relay/v1/connect")
        })
    }

    /// Commit a transaction that may have noted changes, and wake those who watch for them if it has.
    pub(crate) async fn commit(&self, tx: Tx) -> Result<(), StoreError> {
        let tells = tx.tells();
        tx.commit().await?;
        if tells {
            self.wake_watchers();
        }
        Ok(())
    }

    pub(crate) fn wake_watchers(&self) {
        self.changed.send_modify(|count| *count = count.wrapping_add(1));
    }

    pub(crate) fn watch_changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// A registered client. Remembered for some seconds: there are few, and each token request asks. Whoever is about to
    /// refuse because of what is remembered asks [`Self::client_now`] first.
    pub(crate) async fn client(&self, id: &str) -> Result<Option<Arc<Client>>, StoreError> {
        if !is_client_id(id) {
            return Ok(None);
        }
        let now = self.clock.monotonic_millis();
        if let Some((client, until)) = self.lock_clients().get(id)
            && *until > now
        {
            return Ok(Some(client.clone()));
        }
        self.client_now(id).await
    }

    /// A registered client, as it is in the database at this moment.
    pub(crate) async fn client_now(&self, id: &str) -> Result<Option<Arc<Client>>, StoreError> {
        if !is_client_id(id) {
            return Ok(None);
        }
        let now = self.clock.monotonic_millis();
        let Some(client) = clients::by_id(&self.db, id).await?.map(Arc::new) else {
            self.forget_client(id);
            return Ok(None);
        };
        self.lock_clients().insert(id.to_owned(), (client.clone(), now + CLIENT_MEMORY_MILLIS));
        Ok(Some(client))
    }

    /// After a change to a client made by this process.
    pub(crate) fn forget_client(&self, id: &str) {
        self.lock_clients().remove(id);
    }

    fn lock_clients(&self) -> std::sync::MutexGuard<'_, HashMap<String, (Arc<Client>, u64)>> {
        self.clients.lock().expect("no code panics while holding this lock")
    }

    /// Where a request comes from, as far as it can be known.
    pub(crate) fn client_address(&self, parts: &Parts) -> IpAddr {
        let declared_in = self.config.limits.client_address_header.as_deref();
        http::client_address(parts, declared_in).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
    }
}

/// What a client id can be; a stranger's other texts do not reach the database.
pub(crate) fn is_client_id(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

/// Every plan can be had, and every price is a plan's.
fn check_plans(config: &Config) -> Result<(), OpenError> {
    let mut names = BTreeSet::new();
    if let Some(twice) = config.plans.plans.iter().find(|plan| !names.insert(plan.name.as_str())) {
        return Err(OpenError::PlanTwice(twice.name.clone()));
    }
    let prices = config.billing.iter().flat_map(|billing| &billing.prices);
    let strange = prices.map(|price| &price.plan).find(|plan| !names.contains(plan.as_str()));
    strange.map_or(Ok(()), |plan| Err(OpenError::PlanUnknown(plan.clone())))
}

pub(crate) fn check_public_url(text: &str) -> Result<(String, bool), OpenError> {
    let issuer = text.trim_end_matches('/');
    let url = url::Url::parse(issuer).map_err(|_| OpenError::PublicUrl)?;
    let loopback = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => return Err(OpenError::PublicUrl),
    };
    let https = url.scheme() == "https";
    let plain = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    // Byte-equal everywhere, so only the form that clients derive themselves: lower case, no default port.
    let canonical = url.as_str().trim_end_matches('/') == issuer;
    if !plain || !canonical || !(https || url.scheme() == "http" && loopback) {
        return Err(OpenError::PublicUrl);
    }
    Ok((issuer.to_owned(), https))
}

/// Other processes may believe in a deleted client for this long, or in the secret, the keys and the rules that it had.
const CLIENT_MEMORY_MILLIS: u64 = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_urls() {
        for good in [
            "https://cloud.example",
            "https://cloud.example/",
            "http://127.0.0.1:8080",
            "http://localhost:1",
            "http://[::1]:80",
        ] {
            // Port 80 is http's default and so not canonical.
            assert_eq!(check_public_url(good).is_ok(), !good.ends_with(":80"), "{good}");
        }
        for bad in [
            "",
            "cloud.example",
            "http://cloud.example",
            "https://u@cloud.example",
            "https://cloud.example/x",
            "https://cloud.example?q",
            "https://CLOUD.example",
            "ftp://localhost",
        ] {
            assert!(check_public_url(bad).is_err(), "{bad}");
        }
    }
}
