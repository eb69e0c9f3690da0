//! Browsers that are signed in.

use macloud_proto::ids::AccountId;

use super::{Db, Result, parse_id, statements, values};

statements! {
    INSERT = "INSERT INTO web_sessions (cookie_hash, id, account_id, signed_in_at, last_seen_at, expires_at, device) VALUES ($1, $2, $3, $4, $4, $5, $6)";
    LIVING = "SELECT s.id, s.account_id, a.email, s.signed_in_at, s.last_seen_at FROM web_sessions s JOIN accounts a ON a.id = s.account_id \
              WHERE s.cookie_hash = $1 AND s.expires_at > $2 AND a.suspended_at IS NULL";
    SEEN = "UPDATE web_sessions SET last_seen_at = $2 WHERE cookie_hash = $1";
    END = "DELETE FROM web_sessions WHERE cookie_hash = $1";
    END_ONE = "DELETE FROM web_sessions WHERE account_id = $1 AND id = $2";
    END_ALL = "DELETE FROM web_sessions WHERE account_id = $1";
    END_OTHERS = "DELETE FROM web_sessions WHERE account_id = $1 AND id <> $2";
    OF_ACCOUNT = "SELECT id, signed_in_at, last_seen_at, device FROM web_sessions WHERE account_id = $1 AND expires_at > $2 ORDER BY last_seen_at DESC, id";
}

/// A signed-in browser. No `Debug`: it holds an address.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) account_id: AccountId,
    pub(crate) email: String,
    pub(crate) signed_in_at: i64,
    pub(crate) last_seen_at: i64,
}

/// A signed-in browser as a line in its owner's list.
#[derive(sqlx::FromRow)]
pub(crate) struct ListedSession {
    pub(crate) id: String,
    pub(crate) signed_in_at: i64,
    pub(crate) last_seen_at: i64,
    pub(crate) device: String,
}

#[derive(sqlx::FromRow)]
struct SessionRow {
    id: String,
    account_id: String,
    email: String,
    signed_in_at: i64,
    last_seen_at: i64,
}

pub(crate) async fn insert(
    db: &Db,
    cookie: &[u8; 32],
    id: &str,
    account: &AccountId,
    now: i64,
    expires_at: i64,
    device: &str,
) -> Result<()> {
    db.write(INSERT, values![cookie, id, account.as_str(), now, expires_at, device]).await?;
    Ok(())
}

/// The session of a cookie, if it lives and its account is not suspended.
pub(crate) async fn living(db: &Db, cookie: &[u8; 32], now: i64) -> Result<Option<Session>> {
    let row: Option<SessionRow> = db.optional(LIVING, values![cookie, now]).await?;
    row.map(|row| {
        Ok(Session {
            id: row.id,
            account_id: parse_id(&row.account_id, "web_sessions", "account_id")?,
            email: row.email,
            signed_in_at: row.signed_in_at,
            last_seen_at: row.last_seen_at,
        })
    })
    .transpose()
}

pub(crate) async fn seen(db: &Db, cookie: &[u8; 32], now: i64) -> Result<()> {
    db.write(SEEN, values![cookie, now]).await?;
    Ok(())
}

pub(crate) async fn end(db: &Db, cookie: &[u8; 32]) -> Result<()> {
    db.write(END, values![cookie]).await?;
    Ok(())
}

pub(crate) async fn end_one(db: &Db, account: &AccountId, id: &str) -> Result<()> {
    db.write(END_ONE, values![account.as_str(), id]).await?;
    Ok(())
}

/// End all of an account's sessions.
pub(crate) async fn end_all(db: &Db, account: &AccountId) -> Result<()> {
    db.write(END_ALL, values![account.as_str()]).await?;
    Ok(())
}

/// End all of an account's sessions but one.
pub(crate) async fn end_others(db: &Db, account: &AccountId, keep: &str) -> Result<()> {
    db.write(END_OTHERS, values![account.as_str(), keep]).await?;
    Ok(())
}

pub(crate) async fn of_account(db: &Db, account: &AccountId, now: i64) -> Result<Vec<ListedSession>> {
    db.rows(OF_ACCOUNT, values![account.as_str(), now]).await
}
