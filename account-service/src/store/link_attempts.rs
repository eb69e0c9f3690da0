//! Attempts to link an app: how far each came, and what stopped it.

use macloud_proto::ids::{AccountId, GrantId};

use super::uses::stored;
use super::{Db, Result, StoreError, Tx, statements, values};

statements! {
    /// Attempts can be made without end: without an account, only so many are kept, and of each account only so many of a
    /// day. What came late, because it waited for the database, changes nothing that is newer.
    NOTE = "INSERT INTO link_attempts (id, browser_hash, account_id, client_id, host, stage, cause, began_at, changed_at) \
            SELECT $1, $2, CAST($3 AS TEXT), $4, $5, $6, $7, $8, $8 FROM change_counter \
            WHERE (CAST($3 AS TEXT) IS NULL AND (SELECT COUNT(*) FROM link_attempts WHERE account_id IS NULL) < 2000) \
            OR (CAST($3 AS TEXT) IS NOT NULL AND (SELECT COUNT(*) FROM link_attempts WHERE account_id = $3 AND began_at + 86400 > $8) < 50) \
            OR EXISTS (SELECT 1 FROM link_attempts WHERE id = $1) \
            ON CONFLICT (id) DO UPDATE SET stage = excluded.stage, cause = excluded.cause, changed_at = excluded.changed_at, \
            browser_hash = COALESCE(excluded.browser_hash, link_attempts.browser_hash), \
            account_id = COALESCE(link_attempts.account_id, excluded.account_id) WHERE link_attempts.changed_at <= excluded.changed_at";
    /// A second account that takes over the same request gets none of the first one's attempt.
    GIVE_CODE = "UPDATE link_attempts SET stage = 'code', cause = NULL, grant_id = $3, changed_at = $4 WHERE id = $1 AND account_id = $2";
    STOP = "UPDATE link_attempts SET cause = $2, changed_at = $3 WHERE grant_id = $1 AND changed_at <= $3";
    GRANT_OF_CODE = "SELECT grant_id, client_id FROM codes WHERE code_hash = $1";
    LATEST = "SELECT l.client_id, c.name, l.host, l.stage, l.cause, l.began_at, g.created_at, \
              (SELECT MIN(p.issued_at) FROM token_pairs p WHERE p.grant_id = g.id AND p.parent_hash IS NOT NULL), g.ended_at, '' \
              FROM link_attempts l LEFT JOIN clients c ON c.id = l.client_id LEFT JOIN grants g ON g.id = l.grant_id \
              WHERE l.account_id = $1 OR (l.account_id IS NULL AND l.browser_hash = $2) ORDER BY l.began_at DESC, l.id LIMIT 10";
    OF_ALL = "SELECT l.client_id, c.name, l.host, l.stage, l.cause, l.began_at, g.created_at, \
              (SELECT MIN(p.issued_at) FROM token_pairs p WHERE p.grant_id = g.id AND p.parent_hash IS NOT NULL), g.ended_at, COALESCE(a.email, '') \
              FROM link_attempts l LEFT JOIN clients c ON c.id = l.client_id LEFT JOIN grants g ON g.id = l.grant_id \
              LEFT JOIN accounts a ON a.id = l.account_id ORDER BY l.began_at DESC, l.id LIMIT $1";
}

stored! {
    /// How far an attempt came.
    Stage {
        /// The app sent somebody here.
        Request = "request",
        /// They were asked to sign in.
        SignIn = "sign_in",
        /// They were asked whether they allow it.
        Consent = "consent",
        /// They did, and the app was given a code.
        Code = "code",
    }
}

stored! {
    /// What stopped an attempt.
    Cause {
        /// No such client.
        UnknownClient = "unknown_client",
        /// An address that the client has not registered.
        Redirect = "redirect",
        /// The client must use PKCE and did not.
        PkceMissing = "pkce_missing",
        /// The request is wrong in another way.
        Request = "request",
        /// The pushed request is used up or too old.
        PushedGone = "pushed_gone",
        /// Somebody said no.
        Denied = "denied",
        /// The client did not prove itself.
        ClientAuth = "client_auth",
        /// The code came too late.
        CodeExpired = "code_expired",
        /// The code came twice: what it gave was taken back.
        CodeUsedTwice = "code_used_twice",
        /// Another client came with the code.
        CodeOfAnother = "code_of_another",
        /// The code came with another address than it was asked for with.
        CodeRedirect = "code_redirect",
        /// The PKCE verifier does not fit.
        Verifier = "verifier",
        /// Our database did not answer.
        Database = "database",
        /// The client did not prove itself when it came for the next token.
        RefreshClientAuth = "refresh_client_auth",
    }
}

/// Where an attempt stands.
pub(crate) struct Seen<'a> {
    pub(crate) id: &'a str,
    pub(crate) browser: Option<&'a [u8; 32]>,
    pub(crate) account: Option<&'a AccountId>,
    pub(crate) client_id: &'a str,
    pub(crate) host: &'a str,
    pub(crate) stage: Stage,
    pub(crate) cause: Option<Cause>,
}

/// An attempt as people see it.
#[derive(Debug, Clone)]
pub(crate) struct LinkAttempt {
    pub(crate) client_id: String,
    /// The client's name, if it is one of ours.
    pub(crate) client: Option<String>,
    pub(crate) host: String,
    pub(crate) stage: Stage,
    pub(crate) cause: Option<Cause>,
    pub(crate) began_at: i64,
    /// When the code became tokens.
    pub(crate) linked_at: Option<i64>,
    pub(crate) refreshed_at: Option<i64>,
    pub(crate) ended_at: Option<i64>,
    pub(crate) email: Option<String>,
}

/// Note where an attempt stands.
pub(crate) async fn note(db: &Db, seen: &Seen<'_>, now: i64) -> Result<()> {
    let Seen { id, browser, account, client_id, host, stage, cause } = seen;
    let browser = browser.map(|hash| &hash[..]);
    let account = account.map(AccountId::as_str);
    let cause = cause.map(Cause::text);
    db.write(NOTE, values![*id, browser, account, *client_id, *host, stage.text(), cause, now]).await?;
    Ok(())
}

/// The app was given a code, which brings this grant into being.
pub(crate) async fn give_code(tx: &mut Tx, id: &str, account: &AccountId, grant: &GrantId, now: i64) -> Result<()> {
    tx.write(GIVE_CODE, values![id, account.as_str(), grant.as_str(), now]).await?;
    Ok(())
}

/// The attempt that led to this grant was stopped.
pub(crate) async fn stop(db: &Db, grant: &GrantId, cause: Cause, now: i64) -> Result<()> {
    db.write(STOP, values![grant.as_str(), cause.text(), now]).await?;
    Ok(())
}

/// The grant that a code stands for and the client that it was made for, whoever has it and whatever became of it.
pub(crate) async fn grant_of_code(db: &Db, code_hash: &[u8; 32]) -> Result<Option<(GrantId, String)>> {
    let row: Option<(String, String)> = db.optional(GRANT_OF_CODE, values![code_hash]).await?;
    row.map(|(id, client)| Ok((super::parse_id(&id, "codes", "grant_id")?, client))).transpose()
}

type AttemptRow =
    (String, Option<String>, String, String, Option<String>, i64, Option<i64>, Option<i64>, Option<i64>, String);

/// The newest ten of an account and, of those without one, of a browser.
pub(crate) async fn latest(
    db: &Db,
    account: Option<&AccountId>,
    browser: Option<&[u8; 32]>,
) -> Result<Vec<LinkAttempt>> {
    let account = account.map(AccountId::as_str);
    let rows: Vec<AttemptRow> = db.rows(LATEST, values![account, browser.map(|hash| &hash[..])]).await?;
    rows.into_iter().map(attempt).collect()
}

/// The newest of all.
pub(crate) async fn of_all(db: &Db, most: i64) -> Result<Vec<LinkAttempt>> {
    let rows: Vec<AttemptRow> = db.rows(OF_ALL, values![most]).await?;
    rows.into_iter().map(attempt).collect()
}

fn attempt(row: AttemptRow) -> Result<LinkAttempt> {
    let (client_id, client, host, stage, cause, began_at, linked_at, refreshed_at, ended_at, email) = row;
    let cannot_be = |column| StoreError::Inconsistent { table: "link_attempts", column };
    let cause = cause.map(|cause| Cause::parse(&cause).ok_or(cannot_be("cause"))).transpose()?;
    Ok(LinkAttempt {
        client_id,
        client,
        host,
        stage: Stage::parse(&stage).ok_or(cannot_be("stage"))?,
        cause,
        began_at,
        linked_at,
        refreshed_at,
        ended_at,
        email: Some(email).filter(|email| !email.is_empty()),
    })
}
