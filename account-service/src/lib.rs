//! The account service of MA Cloud: people's accounts and homes, the OAuth 2.0 / OpenID Connect server that Alexa
//! links to, and its web pages.
//!
//! - [`AccountService`] is the whole of it: [`open`](AccountService::open), [`router`](AccountService::router) for
//!   people and clients, [`accounts_rpc`](AccountService::accounts_rpc) for the other parts of the cloud,
//!   [`run`](AccountService::run) for what happens by itself, and the operator's functions (`create_user`, `create_client`, …).
//! - `oauth` is the protocol: each endpoint is a file that tells its story from request to answer.
//! - `web` is what people see: pages that work without JavaScript.
//! - `words` is what the pages say, in each language.
//! - `store` is the only place with SQL.
//!
//! What it promises: a code is redeemed once and a strict token rotated once, whatever runs in parallel; a database that
//! is away is "try again later", never "not authorised"; no token, code, password or cookie is kept in clear.

mod admin;
mod admin_plans;
mod billing;
mod config;
mod form;
#[doc(hidden)]
pub mod fuzzing;
mod key_ring;
mod link_doctor;
mod mail;
mod metrics;
mod names;
mod oauth;
mod operator_api;
mod passkeys;
mod passwords;
mod plans;
mod providers;
mod rate_limits;
mod routes;
mod rpc;
mod second_factor;
mod secrets;
mod shared;
mod signing;
mod store;
mod unlinking;
mod use_reports;
mod web;
mod words;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use macloud_proto::accounts::v1::accounts_server::AccountsServer;
use macloud_service_kit::clock::SharedClock;
use macloud_service_kit::health::Health;
use macloud_service_kit::stop::Stop;

pub use crate::admin::{
    Actor, AdminError, ClientChange, ClientView, CreatedClient, Home, NewClient, PublishedKey, Resealed, User,
    UserDetails, check_new_client, check_new_user,
};
pub use crate::admin_plans::{Allowance, LinkAttemptReport, PlanOfUser};
pub use crate::billing::{BillingArgs, BillingSettings, InvalidPrice, Price};
pub use crate::config::{Config, InvalidRate, Limits, Lives, Operator, Rate, SignUp};
pub use crate::key_ring::{FileKey, KeyFileError};
pub use crate::mail::{MailArgs, MailError, MailSettings, try_mail};
pub use crate::operator_api::AdminTlsArgs;
pub use crate::passwords::PasswordRule;
pub use crate::plans::{InvalidPlan, Plan, PlanArgs};
pub use crate::providers::{IdentityProvider, IdentityProviderArgs, IdentityProviderError};
pub use crate::rpc::AccountsRpc;
pub use crate::signing::SigningError;
pub use crate::store::audit::{AuditEntry, AuditQuery};
pub use crate::store::clients::{Client, Rotation};
pub use crate::store::restores::{Holdings, Restored};
pub use crate::store::{DatabaseSettings, StoreError, snapshot};

use crate::routes::Routes;
use crate::shared::Shared;

/// The account service. Cheap to clone; all clones are one service.
#[derive(Clone)]
pub struct AccountService {
    shared: Arc<Shared>,
    /// Who operates, for the audit.
    actor: Actor,
}

/// Why the service cannot start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Not an origin, or plain http to somewhere else than this machine.
    #[error("the public URL must be https://host (or http://127.0.0.1:port), in lower case, without path")]
    PublicUrl,
    /// The key file.
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The signing keys.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// Another provider to sign in with.
    #[error(transparent)]
    IdentityProvider(#[from] IdentityProviderError),
    /// Mail.
    #[error(transparent)]
    Mail(#[from] MailError),
    /// Two plans of one name: nobody could have the second.
    #[error("--plan names {0:?} twice")]
    PlanTwice(String),
    /// Whoever paid this price would have another plan.
    #[error("--billing-price names the plan {0:?}, which no --plan describes")]
    PlanUnknown(String),
}

/// Whether people can be told this URL as the address of the service: an origin, https or on this machine.
///
/// # Errors
/// [`OpenError::PublicUrl`].
pub fn check_public_url(url: &str) -> Result<(), OpenError> {
    shared::check_public_url(url).map(drop)
}

impl AccountService {
    /// Open the database (creating and migrating it), the key file and the signing keys.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open(config: Config, database: &DatabaseSettings, clock: SharedClock) -> Result<Self, OpenError> {
        Ok(Self { shared: Shared::open(config, database, clock).await?, actor: Actor::Program })
    }

    /// Everything that people and OAuth clients reach.
    pub fn router(&self) -> Router {
        let router = public_routes().serve(self.shared.clone());
        let in_language = axum::middleware::from_fn_with_state(self.shared.clone(), words::in_language_of);
        let in_time = axum::middleware::from_fn_with_state(self.shared.clone(), web::in_time);
        let router = router.layer(in_time).layer(in_language);
        self.timed(web::with_headers(router, self.shared.clone()))
    }

    /// The paths that [`router`](Self::router) answers, as it was told them.
    #[doc(hidden)]
    #[must_use]
    pub fn paths() -> Vec<&'static str> {
        public_routes().paths().to_vec()
    }

    /// The API for operators. For the listener that only operators reach: what it does needs a token too, but strangers
    /// should not even be able to try one. Whoever comes from another machine must come with TLS 1.3.
    pub fn operator_router(&self) -> Router {
        let router = operator_api::routes().serve(self.clone());
        let router = router.route_layer(axum::middleware::from_fn(operator_api::unless_overheard));
        self.timed(web::with_headers(router, self.shared.clone()))
    }

    /// Outside of everything else: what is counted is what was answered.
    fn timed(&self, router: Router) -> Router {
        router.layer(axum::middleware::from_fn_with_state(self.shared.clone(), metrics::timed))
    }

    /// The paths that [`operator_router`](Self::operator_router) answers.
    #[doc(hidden)]
    #[must_use]
    pub fn operator_paths() -> Vec<&'static str> {
        operator_api::routes().paths().to_vec()
    }

    /// The page for paths that nobody serves, to be the fallback of whatever [`router`](Self::router) is merged into.
    #[must_use]
    pub fn not_found(&self, request: &axum::extract::Request) -> axum::response::Response {
        words::in_language_of_now(request, || web::not_found(&self.shared))
    }

    /// What the other parts of the cloud ask.
    #[must_use]
    pub fn accounts_rpc(&self) -> AccountsServer<AccountsRpc> {
        AccountsRpc::server(self.shared.clone())
    }

    /// What happens by itself until a soft stop: hearing of other processes' changes, sending mail, and deleting
    /// what has had its time.
    pub async fn run(&self, stop: Stop) {
        let others = async {
            tokio::select! {
                () = stop.soft() => {}
                () = self.hear_of_changes() => {}
                () = self.keep_house() => {}
            }
        };
        tokio::join!(others, self.shared.mail.deliver(&stop));
    }

    /// Whether the database takes writes. One that only answers is of no use: nobody could sign in, link or refresh. Nor is one
    /// that does not answer at all, not even with an error.
    ///
    /// # Errors
    /// The database's.
    pub async fn check_database(&self) -> Result<(), StoreError> {
        let check = store::changes::rewrite(&self.shared.db);
        tokio::time::timeout(DATABASE_PATIENCE, check).await.unwrap_or(Err(StoreError::Silent))
    }

    /// Keep `health` told whether the database takes writes, until a soft stop.
    pub async fn watch_database(&self, health: &Health, stop: &Stop) {
        let mut was_good = true;
        while !stop.is_stopping() {
            let outcome = self.check_database().await;
            match &outcome {
                Err(error) if was_good => {
                    tracing::error!(%error, "the database takes no writes: not ready until it does");
                }
                Ok(()) if !was_good => tracing::info!("the database takes writes again"),
                Ok(()) | Err(_) => {}
            }
            was_good = outcome.is_ok();
            health.set("database", was_good);
            tokio::select! {
                () = stop.soft() => {}
                () = tokio::time::sleep(DATABASE_CHECK) => {}
            }
        }
    }

    /// Let go of the database.
    pub async fn close(&self) {
        self.shared.db.close().await;
    }

    /// Prepare every SQL statement: the names and errors of those that cannot be. Also every table and column, sorted.
    ///
    /// # Errors
    /// The database's.
    #[doc(hidden)]
    pub async fn check_schema(&self) -> Result<(Vec<(&'static str, String)>, Vec<(String, String)>), StoreError> {
        Ok((self.shared.db.prepare_all().await, self.shared.db.columns().await?))
    }

    /// The columns that sealing anew visits, and those that are sealed by others.
    #[doc(hidden)]
    #[must_use]
    pub fn sealed_columns() -> Vec<(&'static str, &'static str)> {
        let ours = store::sealed::COLUMNS.iter().map(|column| (column.table, column.column));
        ours.chain(store::sealed::SEALED_ELSEWHERE).collect()
    }

    /// Delete now what has had its time: how many rows went.
    ///
    /// # Errors
    /// The database's, or the key file's.
    pub async fn housekeep(&self) -> Result<u64, OpenError> {
        let shared = &self.shared;
        shared.master.ring().reload();
        let overlap = shared.config.lives.rotation_overlap_seconds.into();
        link_doctor::write_up(shared).await?;
        let deleted = store::housekeeping::run(&shared.db, shared.now(), overlap).await?;
        let key_seconds = shared.config.lives.signing_key_seconds.into();
        shared.signing.rotate_when_due(&shared.db, &shared.master, key_seconds).await?;
        shared.signing.retire(&shared.db, &shared.master).await?;
        Ok(deleted)
    }

    /// Changes of this process wake their watchers at once; those of others are found here.
    async fn hear_of_changes(&self) {
        let mut known = None;
        loop {
            match store::changes::last(&self.shared.db).await {
                Ok(last) => {
                    if known != Some(last) {
                        known = Some(last);
                        self.shared.wake_watchers();
                    }
                    tokio::time::sleep(CHANGE_POLL).await;
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot read the change log: trying again");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }

    async fn keep_house(&self) {
        loop {
            match self.housekeep().await {
                Ok(0) => {}
                Ok(deleted) => tracing::debug!(deleted, "deleted what has had its time"),
                Err(error) => tracing::warn!(%error, "housekeeping did not finish: it will be tried again"),
            }
            tokio::time::sleep(HOUSEKEEPING_EVERY).await;
        }
    }
}

fn public_routes() -> Routes {
    oauth::routes().merge(web::routes()).merge(billing::routes())
}

/// A revocation on another node must reach the watchers of this one within 200 ms.
const CHANGE_POLL: Duration = Duration::from_millis(150);
/// Each is a write to the disk: seldom enough to cost nothing, often enough to take a node out of service in time.
const DATABASE_CHECK: Duration = Duration::from_secs(5);
/// Longer than to wait for a connection and for a lock takes together.
const DATABASE_PATIENCE: Duration = Duration::from_secs(5);
/// Also how often rotated signing keys are noticed.
const HOUSEKEEPING_EVERY: Duration = Duration::from_secs(60);
