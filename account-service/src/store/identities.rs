//! Who people are at other providers, the ways there, and how many ways to sign in an account has.

use macloud_proto::ids::AccountId;

use super::{Db, Result, StoreError, Tx, parse_id, statements, values};

statements! {
    INSERT = "INSERT INTO identities (issuer, subject, account_id, label, created_at) VALUES ($1, $2, $3, $4, $5) \
              ON CONFLICT (issuer, subject) DO NOTHING";
    OWNER = "SELECT account_id FROM identities WHERE issuer = $1 AND subject = $2";
    OF_ACCOUNT = "SELECT issuer, subject, label, created_at, last_used_at FROM identities WHERE account_id = $1 ORDER BY created_at, issuer";
    USED = "UPDATE identities SET last_used_at = $3, label = $4 WHERE issuer = $1 AND subject = $2";
    DELETE = "DELETE FROM identities WHERE account_id = $1 AND issuer = $2 AND subject = $3";
    END_ALL = "DELETE FROM identities WHERE account_id = $1";
    WAYS = "SELECT (SELECT COUNT(*) FROM accounts WHERE id = $1 AND password_hash <> ''), \
            (SELECT COUNT(*) FROM passkeys WHERE account_id = $1)";
    ISSUERS = "SELECT issuer FROM identities WHERE account_id = $1";
    BEGIN_TRIP = "INSERT INTO sign_in_trips (state_hash, browser, provider, purpose, nonce, verifier, account_id, next, expires_at) \
                  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    /// The one place where a way back is used.
    END_TRIP = "DELETE FROM sign_in_trips WHERE state_hash = $1 AND browser = $2 AND provider = $3 AND expires_at > $4 \
                RETURNING purpose, nonce, verifier, account_id, next, expires_at";
}

/// Somebody at another provider, as a line in their list.
#[derive(sqlx::FromRow)]
pub(crate) struct Listed {
    pub(crate) issuer: String,
    pub(crate) subject: String,
    pub(crate) label: String,
    pub(crate) created_at: i64,
    pub(crate) last_used_at: Option<i64>,
}

/// A way to a provider and back. No `Debug`: it holds secrets.
pub(crate) struct Trip {
    pub(crate) purpose: TripPurpose,
    pub(crate) nonce: String,
    pub(crate) verifier: String,
    pub(crate) next: String,
    pub(crate) expires_at: i64,
}

/// What somebody goes to a provider for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TripPurpose {
    SignIn,
    /// To show anew that it is them.
    SignInAgain,
    /// To sign in there from now on, too.
    Link(AccountId),
}

#[derive(sqlx::FromRow)]
struct TripRow {
    purpose: String,
    nonce: String,
    verifier: String,
    account_id: Option<String>,
    next: String,
    expires_at: i64,
}

/// Whether it was added; no when some account has it already.
pub(crate) async fn insert(
    tx: &mut Tx,
    account: &AccountId,
    issuer: &str,
    subject: &str,
    label: &str,
    now: i64,
) -> Result<bool> {
    Ok(tx.write(INSERT, values![issuer, subject, account.as_str(), label, now]).await? == 1)
}

pub(crate) async fn owner(db: &Db, issuer: &str, subject: &str) -> Result<Option<AccountId>> {
    let row: Option<(String,)> = db.optional(OWNER, values![issuer, subject]).await?;
    row.map(|(id,)| parse_id(&id, "identities", "account_id")).transpose()
}

pub(crate) async fn of_account(db: &Db, account: &AccountId) -> Result<Vec<Listed>> {
    db.rows(OF_ACCOUNT, values![account.as_str()]).await
}

/// Note that it was used. Whether it was still there.
pub(crate) async fn used(db: &Db, issuer: &str, subject: &str, label: &str, now: i64) -> Result<bool> {
    Ok(db.write(USED, values![issuer, subject, now, label]).await? == 1)
}

/// Whether it was there.
pub(crate) async fn delete(tx: &mut Tx, account: &AccountId, issuer: &str, subject: &str) -> Result<bool> {
    Ok(tx.write(DELETE, values![account.as_str(), issuer, subject]).await? == 1)
}

/// No other provider signs in to this account any more.
pub(crate) async fn end_all(tx: &mut Tx, account: &AccountId) -> Result<()> {
    tx.write(END_ALL, values![account.as_str()]).await?;
    Ok(())
}

/// The ways to sign in that an account has, usable or not.
pub(crate) struct Ways {
    pub(crate) password: bool,
    pub(crate) passkeys: bool,
    pub(crate) issuers: Vec<String>,
}

pub(crate) async fn ways(tx: &mut Tx, account: &AccountId) -> Result<Ways> {
    let row: Option<(i64, i64)> = tx.optional(WAYS, values![account.as_str()]).await?;
    let (password, passkeys) = row.unwrap_or_default();
    let issuers: Vec<(String,)> = tx.rows(ISSUERS, values![account.as_str()]).await?;
    let issuers = issuers.into_iter().map(|(issuer,)| issuer).collect();
    Ok(Ways { password: password > 0, passkeys: passkeys > 0, issuers })
}

pub(crate) async fn begin_trip(
    db: &Db,
    state: &[u8; 32],
    browser: &[u8; 32],
    provider: &str,
    trip: &Trip,
) -> Result<()> {
    let (purpose, account) = match &trip.purpose {
        TripPurpose::SignIn => ("sign_in", None),
        TripPurpose::SignInAgain => ("again", None),
        TripPurpose::Link(account) => ("link", Some(account.as_str())),
    };
    let Trip { nonce, verifier, next, expires_at, .. } = trip;
    let values = values![state, browser, provider, purpose, nonce, verifier, account, next, *expires_at];
    db.write(BEGIN_TRIP, values).await?;
    Ok(())
}

/// A browser is back from a provider: the way it went, once.
pub(crate) async fn end_trip(
    db: &Db,
    state: &[u8; 32],
    browser: &[u8; 32],
    provider: &str,
    now: i64,
) -> Result<Option<Trip>> {
    let row: Option<TripRow> = db.write_one(END_TRIP, values![state, browser, provider, now]).await?;
    row.map(|row| {
        let purpose = match (row.purpose.as_str(), &row.account_id) {
            ("sign_in", None) => TripPurpose::SignIn,
            ("again", None) => TripPurpose::SignInAgain,
            ("link", Some(id)) => TripPurpose::Link(parse_id(id, "sign_in_trips", "account_id")?),
            _ => return Err(StoreError::Inconsistent { table: "sign_in_trips", column: "purpose" }),
        };
        let TripRow { nonce, verifier, next, expires_at, .. } = row;
        Ok(Trip { purpose, nonce, verifier, next, expires_at })
    })
    .transpose()
}
