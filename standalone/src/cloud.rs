//! The whole cloud as one value: accounts, relay and skill over one data directory, and the router that serves them all.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use axum::Router;
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use macloud_account_service::{
    AccountService, BillingArgs, Config, DatabaseSettings, IdentityProviderArgs, Limits, Lives, MailArgs, Operator,
    PlanArgs,
};
use macloud_alexa_skill::grant::EventsConfig;
use macloud_alexa_skill::{Skill, SkillConfig};
use macloud_relay::events::{EventQueue, MemoryEvents};
use macloud_relay::presence::MemoryPresence;
use macloud_relay::{CONNECT_PATH, Relay, RelayConfig};
use macloud_service_kit::clock::SharedClock;
use macloud_service_kit::health::Health;
use macloud_service_kit::stop::Stop;
use tokio::task::JoinHandle;
use tonic::transport::Channel;

use crate::in_process;
use crate::skill_keys::SkillKeys;

/// What a cloud is made of.
pub struct CloudConfig {
    /// Where the database and the keys lie.
    pub data_dir: PathBuf,
    /// The URL under which the outside reaches it, without a path.
    pub public_url: String,
    /// How long things live.
    pub lives: Lives,
    /// How often things may be tried.
    pub limits: Limits,
    /// Other providers to sign in with.
    pub identity_providers: IdentityProviderArgs,
    /// How mail leaves.
    pub mail: MailArgs,
    /// Who runs this.
    pub operator: Operator,
    /// Commands a home takes per minute at most.
    pub commands_per_minute: u32,
    /// What accounts may use.
    pub plans: PlanArgs,
    /// How plans are paid for.
    pub billing: BillingArgs,
    /// The skill's settings; those for events are filled in here.
    pub skill: SkillConfig,
    /// Settings of state reports to Alexa, made with the key that seals their tokens. None while they are off.
    pub events: Box<dyn FnOnce([u8; 32]) -> anyhow::Result<Option<EventsConfig>> + Send>,
    /// The relay's settings; the URL that homes dial is filled in here.
    pub relay: RelayConfig,
    /// Where homes dial in, `ws://` or `wss://`, if that is not under the public URL.
    pub relay_url: Option<String>,
    /// The time.
    pub clock: SharedClock,
}

/// A cloud that runs.
pub struct Cloud {
    accounts: AccountService,
    router: Router,
    bus: Channel,
    health: Health,
    tasks: Vec<JoinHandle<()>>,
}

impl Cloud {
    /// Open the data directory and start everything. Serve [`Self::router`] next.
    ///
    /// # Errors
    /// When the data directory cannot be used, or a setting is unusable.
    pub async fn start(config: CloudConfig, stop: &Stop) -> anyhow::Result<Self> {
        let CloudConfig {
            data_dir,
            public_url,
            lives,
            limits,
            identity_providers,
            mail,
            operator,
            commands_per_minute,
            plans,
            billing,
            mut skill,
            events,
            mut relay,
            relay_url,
            clock,
        } = config;
        prepare_data_dir(&data_dir)?;
        if holds_data(&data_dir) && !SkillKeys::file(&data_dir).exists() {
            let missing = SkillKeys::file(&data_dir);
            tracing::warn!(file = %missing.display(), "there is none of these keys here: made anew. Homes that were paired with others must be paired again, or restore the file");
        }
        let keys = SkillKeys::load_or_create(&data_dir)?;

        let mut accounts = Config::new(public_url.clone(), key_file(&data_dir));
        accounts.relay_url.clone_from(&relay_url);
        accounts.skill_key_set = Some(keys.signed_key_set);
        accounts.lives = lives;
        accounts.limits = limits;
        accounts.operator = operator;
        accounts.identity_providers = identity_providers.read()?;
        accounts.mail = mail.settings(&data_dir)?;
        accounts.commands_per_minute = commands_per_minute;
        accounts.plans = plans;
        accounts.billing = billing.settings().context("cannot read --billing-webhook-secret-file")?;
        let database = DatabaseSettings::Sqlite(database_file(&data_dir));
        let accounts = AccountService::open(accounts, &database, clock.clone())
            .await
            .with_context(|| format!("cannot start the account service, whose data is in {}", data_dir.display()))?;
        let (accounts_channel, accounts_rpc) =
            in_process::serve(tonic::service::Routes::new(accounts.accounts_rpc()), stop.clone());

        let dialled = relay_url.unwrap_or_else(|| format!("{}{CONNECT_PATH}", public_url.replacen("http", "ws", 1)));
        // What a proof of possession names is the URL as HTTP knows it.
        relay.connect_urls = vec![dialled.replacen("ws", "http", 1)];
        let presence = Arc::new(MemoryPresence::new(clock.clone()));
        skill.events = events(keys.vault_key)?;
        // Without somebody who is told, homes are not asked to tell anything.
        relay.events = skill.events.is_some().then(|| Arc::new(MemoryEvents::default()) as Arc<dyn EventQueue>);
        let relay = Relay::new(relay, accounts_channel.clone(), clock.clone(), presence);
        let (bus_channel, bus_rpc) = {
            let routes = tonic::service::Routes::new(relay.bus()).add_service(relay.events());
            in_process::serve(routes, stop.clone())
        };

        let skill = Skill::new(skill, accounts_channel, bus_channel.clone(), keys.signer, clock)?;

        let health = Health::new();
        let router = accounts.router().merge(relay.router()).merge(skill.router()).merge(health.router());
        let lost = accounts.clone();
        let router = router
            .fallback(move |request: axum::extract::Request| async move { lost.not_found(&request) })
            .layer(axum::middleware::map_response(name_the_unknown));
        let mut tasks = vec![tokio::spawn(accounts_rpc), tokio::spawn(bus_rpc)];
        let (running, until) = (accounts.clone(), stop.clone());
        tasks.push(tokio::spawn(async move { running.run(until).await }));
        let until = stop.clone();
        tasks.push(tokio::spawn(async move { relay.run(until).await }));
        let until = stop.clone();
        tasks.push(tokio::spawn(async move { skill.run(until).await }));
        let (checked, known, until) = (accounts.clone(), health.clone(), stop.clone());
        tasks.push(tokio::spawn(async move { checked.watch_database(&known, &until).await }));
        Ok(Self { accounts, router, bus: bus_channel, health, tasks })
    }

    /// Everything that people, Alexa and connectors reach.
    pub fn router(&self) -> Router {
        self.router.clone()
    }

    /// What only operators reach, beside metrics and health.
    pub fn operator_router(&self) -> Router {
        self.accounts.operator_router()
    }

    /// Whether it can do its work.
    #[must_use]
    pub const fn health(&self) -> &Health {
        &self.health
    }

    /// The account service, for operators' verbs.
    #[must_use]
    pub const fn accounts(&self) -> &AccountService {
        &self.accounts
    }

    /// The relay's command bus, for a caller that stands in for the skill.
    #[must_use]
    pub fn bus(&self) -> Channel {
        self.bus.clone()
    }

    /// Wait until everything has ended after a stop, then let go of the database.
    pub async fn ended(self) {
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a part of the cloud ended badly");
            }
        }
        self.accounts.close().await;
    }
}

/// Make the data directory, readable by its owner only.
///
/// # Errors
/// When it cannot be made, or holds a database without the key file that opens it.
pub fn prepare_data_dir(data_dir: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(data_dir)
        .with_context(|| format!("cannot make the data directory {}", data_dir.display()))?;
    let is_new = !has_database(data_dir)?;
    let key_file = key_file(data_dir);
    if is_new && (key_file.exists() || SkillKeys::file(data_dir).exists()) {
        let missing = database_file(data_dir);
        tracing::warn!(file = %missing.display(), "there are keys here, but no database: an empty one is made. If this is a restored copy, stop, remove the new one, and restore the old one, too");
    }
    // A fresh one in its place would only hide what is wrong.
    ensure!(
        !holds_data(data_dir) || key_file.exists(),
        "{} is missing, and without it the database beside it cannot be opened: restore it from a copy of the data directory",
        key_file.display()
    );
    make_private(&database_file(data_dir))
}

/// Whether there is a database in this data directory.
///
/// # Errors
/// When this user may not know, or not use it.
pub fn has_database(data_dir: &Path) -> anyhow::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    match std::fs::OpenOptions::new().read(true).write(true).open(database_file(data_dir)) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            let owner = std::fs::metadata(data_dir).map(|directory| directory.uid());
            let remedy =
                owner.map(|uid| format!("; it belongs to another user: put sudo -u '#{uid}' before the command"));
            let remedy = remedy.unwrap_or_default();
            Err(error)
                .with_context(|| format!("this user may not use the data directory {}{remedy}", data_dir.display()))
        }
        Err(error) => Err(error).with_context(|| format!("cannot use the data directory {}", data_dir.display())),
    }
}

fn holds_data(data_dir: &Path) -> bool {
    std::fs::metadata(database_file(data_dir)).is_ok_and(|file| file.len() > 0)
}

/// Hold the data directory for one `serve`: two would each believe that they hold the homes. Held until dropped.
///
/// # Errors
/// When another process holds it.
pub fn lock_data_dir(data_dir: &Path) -> anyhow::Result<std::fs::File> {
    let path = data_dir.join("serve.lock");
    let file = std::fs::File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => {
            anyhow::bail!("another ma-cloud serve uses the data directory {}; stop it first", data_dir.display())
        }
        Err(std::fs::TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {}", path.display()))
        }
    }
}

/// Make the database file before SQLite does, which would let everybody read it where the directory does.
fn make_private(database: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let made = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(database);
    match made {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error).with_context(|| format!("cannot make {}", database.display())),
    }
}

/// The database in a data directory.
#[must_use]
pub fn database_file(data_dir: &Path) -> PathBuf {
    data_dir.join("ma-cloud.sqlite")
}

/// The key file of the account service in a data directory.
#[must_use]
pub fn key_file(data_dir: &Path) -> PathBuf {
    data_dir.join("account-service.key")
}

/// An empty 405 leaves its reader guessing.
async fn name_the_unknown(response: axum::response::Response) -> axum::response::Response {
    let is_empty = response.headers().get("content-length").is_some_and(|length| length == "0");
    if response.status() == StatusCode::METHOD_NOT_ALLOWED && is_empty {
        let allow = response.headers().get("allow").cloned();
        let mut named = (StatusCode::METHOD_NOT_ALLOWED, "This address does not take that method.\n").into_response();
        if let Some(allow) = allow {
            named.headers_mut().insert("allow", allow);
        }
        return named;
    }
    response
}
