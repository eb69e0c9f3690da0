//! What operators did, and which plans came by payment. Rows are added and, when they are old, deleted; nothing changes them.

use macloud_proto::ids::AccountId;

use super::{Db, Result, Tx, statements, values};

statements! {
    /// Takes the counter's row lock until the transaction ends: the order of numbers is the order of commits, and none is missing.
    NEXT = "UPDATE audit_counter SET last = last + 1 WHERE id = 1 RETURNING last";
    INSERT = "INSERT INTO audit (sequence, happened_at, actor_kind, actor, action, account_id, subject, outcome) \
              VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    /// Newest first. A missing value filters nothing; a kind is an action or the part of it before the dot.
    SEARCH = "SELECT sequence, happened_at, actor_kind, actor, action, account_id, subject, outcome FROM audit \
              WHERE sequence < $1 AND happened_at >= $2 AND happened_at < $3 \
              AND ($4 = '' OR account_id = $4) AND ($5 = '' OR action = $5 OR substr(action, 1, length($5) + 1) = $5 || '.') \
              AND ($6 = '' OR actor = $6) ORDER BY sequence DESC LIMIT $7";
}

/// An entry to be.
pub(crate) struct Entry<'a> {
    pub(crate) happened_at: i64,
    pub(crate) actor_kind: &'a str,
    pub(crate) actor: &'a str,
    pub(crate) action: &'a str,
    pub(crate) account_id: Option<&'a AccountId>,
    pub(crate) subject: Option<&'a str>,
    pub(crate) outcome: &'a str,
}

/// What an operator did.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, sqlx::FromRow)]
pub struct AuditEntry {
    /// Its number: they have no gaps.
    pub sequence: i64,
    /// When, in seconds since 1970.
    pub happened_at: i64,
    /// `client`, `command line` or `program`; `payment` for a plan that came by payment.
    pub actor_kind: String,
    /// The client's id, or the operating system's user.
    pub actor: String,
    /// What, such as `user.suspend`.
    pub action: String,
    /// The account that it was done to.
    pub account_id: Option<String>,
    /// What else it was done to: a client, a home or a key.
    pub subject: Option<String>,
    /// `done`, or why not.
    pub outcome: String,
}

/// Which entries to look for.
#[derive(Debug, Clone, Default)]
pub struct AuditQuery {
    /// Only about this account.
    pub account: Option<AccountId>,
    /// Only this action, or only actions on this kind of thing (`user`, `client`, …).
    pub kind: Option<String>,
    /// Only by this client or user.
    pub actor: Option<String>,
    /// Not before, in seconds since 1970.
    pub since: Option<i64>,
    /// Before, in seconds since 1970.
    pub until: Option<i64>,
    /// Only entries with a smaller number: the last of the page before.
    pub before: Option<i64>,
    /// At most so many, 1 to 1000.
    pub limit: u32,
}

/// Add an entry as the last step of a transaction.
pub(crate) async fn append(tx: &mut Tx, entry: &Entry<'_>) -> Result<()> {
    let next: Option<(i64,)> = tx.optional(NEXT, values![]).await?;
    let (sequence,) = next.ok_or(super::StoreError::Inconsistent { table: "audit_counter", column: "id" })?;
    let values = values![
        sequence,
        entry.happened_at,
        entry.actor_kind,
        entry.actor,
        entry.action,
        entry.account_id.map(AccountId::as_str),
        entry.subject,
        entry.outcome
    ];
    tx.write(INSERT, values).await?;
    Ok(())
}

pub(crate) async fn search(db: &Db, query: &AuditQuery) -> Result<Vec<AuditEntry>> {
    let values = values![
        query.before.unwrap_or(i64::MAX),
        query.since.unwrap_or(0),
        query.until.unwrap_or(i64::MAX),
        query.account.as_ref().map_or("", AccountId::as_str),
        query.kind.as_deref().unwrap_or_default(),
        query.actor.as_deref().unwrap_or_default(),
        i64::from(query.limit.clamp(1, 1000))
    ];
    db.rows(SEARCH, values).await
}
