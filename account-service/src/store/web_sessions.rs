//! Browsers that are signed in. Whoever ends a session from elsewhere does not know the browser any more, either.

use macloud_proto::ids::AccountId;

use super::{Db, Result, Tx, accounts, known_browsers, parse_id, statements, values};

statements! {
    /// Only while the password is the one that was there when somebody began to show who they are.
    INSERT = "INSERT INTO web_sessions (cookie_hash, id, account_id, signed_in_at, last_seen_at, expires_at, device) \
              SELECT $1, $2, a.id, $4, $5, $6, $7 FROM accounts a WHERE a.id = $3 AND a.suspended_at IS NULL AND a.password_hash = $8";
    LIVING = "SELECT s.id, s.account_id, a.email, s.signed_in_at, s.last_seen_at FROM web_sessions s JOIN accounts a ON a.id = s.account_id \
              WHERE s.cookie_hash = $1 AND s.expires_at > $2 AND a.suspended_at IS NULL";
    LIVES = "SELECT id FROM web_sessions WHERE account_id = $1 AND id = $2";
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

/// Whether it was added; no when the account was suspended or its password changed since `password_hash` was read. Whoever
/// knew the old one must not be signed in by it after everybody was signed out.
pub(crate) async fn insert(
    tx: &mut Tx,
    cookie: &[u8; 32],
    session: &Session,
    password_hash: &str,
    expires_at: i64,
    device: &str,
) -> Result<bool> {
    let Session { id, account_id, signed_in_at, last_seen_at, .. } = session;
    accounts::hold(tx, account_id).await?;
    let (account, device, hash) = (account_id.as_str(), device, password_hash);
    let values = values![cookie, id, account, *signed_in_at, *last_seen_at, expires_at, device, hash];
    Ok(tx.write(INSERT, values).await? == 1)
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

pub(crate) async fn end_one(tx: &mut Tx, account: &AccountId, id: &str) -> Result<()> {
    tx.write(END_ONE, values![account.as_str(), id]).await?;
    known_browsers::end_one(tx, account, id).await
}

/// End all of an account's sessions.
pub(crate) async fn end_all(tx: &mut Tx, account: &AccountId) -> Result<()> {
    tx.write(END_ALL, values![account.as_str()]).await?;
    known_browsers::end_all(tx, account).await
}

/// End all of an account's sessions but one.
pub(crate) async fn end_others(tx: &mut Tx, account: &AccountId, keep: &str) -> Result<()> {
    tx.write(END_OTHERS, values![account.as_str(), keep]).await?;
    known_browsers::end_others(tx, account, keep).await
}

/// Hold a session's account, see [`accounts::hold`]. Whether the session lives; then it does until the transaction ends.
pub(crate) async fn hold(tx: &mut Tx, session: &Session) -> Result<bool> {
    let account = &session.account_id;
    accounts::hold(tx, account).await?;
    // A statement of its own: on PostgreSQL it sees what was committed while the first one waited.
    let row: Option<(String,)> = tx.optional(LIVES, values![account.as_str(), &session.id]).await?;
    Ok(row.is_some())
}

pub(crate) async fn of_account(db: &Db, account: &AccountId, now: i64) -> Result<Vec<ListedSession>> {
    db.rows(OF_ACCOUNT, values![account.as_str(), now]).await
}
