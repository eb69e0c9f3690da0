//! The audit: what operators did, and how it is noted.

use macloud_proto::ids::AccountId;

use super::AdminError;
use crate::AccountService;
use crate::shared::is_client_id;
use crate::store::Tx;
use crate::store::audit::{self, AuditEntry, AuditQuery, Entry};

/// Who operates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// A program that embeds the service, such as the demo.
    Program,
    /// Somebody at the command line, as this user of the operating system.
    CommandLine(String),
    /// A client with a token for operators.
    Client(String),
}

impl Actor {
    const fn kind(&self) -> &'static str {
        match self {
            Self::Program => "program",
            Self::CommandLine(_) => "command line",
            Self::Client(_) => "client",
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::Program => "",
            Self::CommandLine(name) | Self::Client(name) => name,
        }
    }
}

/// Something that an operator does: the action, and to whom or what.
#[derive(Debug, Clone)]
pub(crate) struct Act {
    pub(super) action: &'static str,
    pub(super) account: Option<AccountId>,
    pub(super) subject: Option<String>,
}

impl Act {
    pub(crate) const fn new(action: &'static str) -> Self {
        Self { action, account: None, subject: None }
    }

    pub(crate) fn on_account(mut self, account: &AccountId) -> Self {
        self.account = Some(account.clone());
        self
    }

    /// `subject` may be whatever somebody typed: only what has the form of an id is noted.
    pub(crate) fn on(mut self, subject: &str) -> Self {
        self.subject = is_client_id(subject).then(|| subject.to_owned());
        self
    }
}

impl AccountService {
    /// The same service, with what is done through it noted as done by `actor`.
    #[must_use]
    pub fn acting_as(&self, actor: Actor) -> Self {
        Self { shared: self.shared.clone(), actor }
    }

    /// The entries of the audit that fit, newest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn search_audit(&self, query: &AuditQuery) -> Result<Vec<AuditEntry>, AdminError> {
        Ok(audit::search(&self.shared.db, query).await?)
    }

    /// Note what was done in `tx` and make it last; or undo it, and note why it was refused.
    pub(crate) async fn finish<T>(
        &self,
        mut tx: Tx,
        act: &Act,
        outcome: Result<T, AdminError>,
    ) -> Result<T, AdminError> {
        match outcome {
            Ok(value) => {
                audit::append(&mut tx, &self.entry(act, "done")).await?;
                self.shared.commit(tx).await?;
                Ok(value)
            }
            Err(error) => {
                drop(tx);
                Err(self.refused(act, error).await)
            }
        }
    }

    /// Note something that has no transaction of its own.
    pub(crate) async fn note(&self, act: &Act) -> Result<(), AdminError> {
        let tx = self.shared.db.begin().await?;
        self.finish(tx, act, Ok(())).await
    }

    /// Note a refusal.
    pub(crate) async fn refused(&self, act: &Act, error: AdminError) -> AdminError {
        let outcome = async {
            let mut tx = self.shared.db.begin().await?;
            audit::append(&mut tx, &self.entry(act, error.code())).await?;
            tx.commit().await
        };
        if let Err(store) = outcome.await {
            tracing::warn!(action = act.action, error = %store, "a refused action could not be noted in the audit");
        }
        error
    }

    fn entry<'a>(&'a self, act: &'a Act, outcome: &'a str) -> Entry<'a> {
        Entry {
            happened_at: self.shared.now(),
            actor_kind: self.actor.kind(),
            actor: self.actor.name(),
            action: act.action,
            account_id: act.account.as_ref(),
            subject: act.subject.as_deref(),
            outcome,
        }
    }
}
