//! What operators look at: accounts with what belongs to them, and homes, page by page.

use macloud_proto::ids::{AccountId, InstanceId};

use super::{Db, Result, StoreError, Tx, known_browsers, parse_id, statements, values};

statements! {
    USERS = "SELECT a.id, a.email, a.created_at, a.suspended_at, a.email_verified_at, \
             (SELECT COUNT(*) FROM totp_secrets t WHERE t.account_id = a.id AND t.confirmed_at IS NOT NULL) AS second_steps, \
             (SELECT COUNT(*) FROM instances i WHERE i.account_id = a.id AND i.ended_at IS NULL) AS homes, \
             (SELECT COUNT(*) FROM grants g WHERE g.account_id = a.id AND g.ended_at IS NULL) AS apps, \
             (SELECT COUNT(*) FROM web_sessions s WHERE s.account_id = a.id) AS sessions \
             FROM accounts a WHERE a.id > $1 ORDER BY a.id LIMIT $2";
    USER = "SELECT a.id, a.email, a.created_at, a.suspended_at, a.email_verified_at, \
            (SELECT COUNT(*) FROM totp_secrets t WHERE t.account_id = a.id AND t.confirmed_at IS NOT NULL) AS second_steps, \
            (SELECT COUNT(*) FROM instances i WHERE i.account_id = a.id AND i.ended_at IS NULL) AS homes, \
            (SELECT COUNT(*) FROM grants g WHERE g.account_id = a.id AND g.ended_at IS NULL) AS apps, \
            (SELECT COUNT(*) FROM web_sessions s WHERE s.account_id = a.id) AS sessions \
            FROM accounts a WHERE a.id = $1";
    HOMES = "SELECT id FROM instances WHERE ended_at IS NULL AND id > $1 AND ($2 = '' OR account_id = $2) ORDER BY id LIMIT $3";
    END_SESSIONS = "DELETE FROM web_sessions WHERE account_id = $1";
}

/// An account with what belongs to it. No `Debug`: it holds an address.
pub(crate) struct UserRow {
    pub(crate) id: AccountId,
    pub(crate) email: String,
    pub(crate) created_at: i64,
    pub(crate) suspended: bool,
    pub(crate) email_verified: bool,
    pub(crate) second_step: bool,
    pub(crate) homes: i64,
    pub(crate) apps: i64,
    pub(crate) sessions: i64,
}

#[derive(sqlx::FromRow)]
struct StoredUser {
    id: String,
    email: String,
    created_at: i64,
    suspended_at: Option<i64>,
    email_verified_at: Option<i64>,
    second_steps: i64,
    homes: i64,
    apps: i64,
    sessions: i64,
}

impl TryFrom<StoredUser> for UserRow {
    type Error = StoreError;
    fn try_from(row: StoredUser) -> Result<Self> {
        Ok(Self {
            id: parse_id(&row.id, "accounts", "id")?,
            email: row.email,
            created_at: row.created_at,
            suspended: row.suspended_at.is_some(),
            email_verified: row.email_verified_at.is_some(),
            second_step: row.second_steps > 0,
            homes: row.homes,
            apps: row.apps,
            sessions: row.sessions,
        })
    }
}

/// Accounts in the order of their ids, behind `after`.
pub(crate) async fn users(db: &Db, after: &str, limit: u32) -> Result<Vec<UserRow>> {
    let rows: Vec<StoredUser> = db.rows(USERS, values![after, i64::from(limit)]).await?;
    rows.into_iter().map(UserRow::try_from).collect()
}

pub(crate) async fn user(db: &Db, id: &AccountId) -> Result<Option<UserRow>> {
    let row: Option<StoredUser> = db.optional(USER, values![id.as_str()]).await?;
    row.map(UserRow::try_from).transpose()
}

/// The ids of living homes in their order, behind `after`; of one account, or all.
pub(crate) async fn homes(db: &Db, account: Option<&AccountId>, after: &str, limit: u32) -> Result<Vec<InstanceId>> {
    let account = account.map_or("", AccountId::as_str);
    let rows: Vec<(String,)> = db.rows(HOMES, values![after, account, i64::from(limit)]).await?;
    rows.iter().map(|(id,)| parse_id(id, "instances", "id")).collect()
}

/// Sign an account out everywhere. How many browsers were signed in.
pub(crate) async fn end_sessions(tx: &mut Tx, account: &AccountId) -> Result<u64> {
    known_browsers::end_all(tx, account).await?;
    tx.write(END_SESSIONS, values![account.as_str()]).await
}
