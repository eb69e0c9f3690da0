//! What people allowed clients to do.

use macloud_proto::ids::{AccountId, GrantId};

use super::{Db, Result, StoreError, Tx, changes, codes, parse_id, statements, values};

statements! {
    INSERT = "INSERT INTO grants (id, account_id, client_id, scopes, signed_in_at, created_at) VALUES ($1, $2, $3, $4, $5, $6)";
    END = "UPDATE grants SET ended_at = $2 WHERE id = $1 AND ended_at IS NULL";
    END_OF_CLIENT = "UPDATE grants SET ended_at = $3 WHERE account_id = $1 AND client_id = $2 AND ended_at IS NULL RETURNING id";
    LIVING_OF_CLIENT = "SELECT id FROM grants WHERE client_id = $1 AND ended_at IS NULL ORDER BY id";
    /// In one order for all: whoever ends them one by one waits for another who does, and never crosswise.
    LIVING_OF_ACCOUNT = "SELECT id FROM grants WHERE account_id = $1 AND ended_at IS NULL ORDER BY id";
    COVERING = "SELECT scopes FROM grants WHERE account_id = $1 AND client_id = $2 AND ended_at IS NULL";
    IDENTITY = "SELECT g.account_id, g.signed_in_at, a.email, a.email_verified_at FROM grants g JOIN accounts a ON a.id = g.account_id WHERE g.id = $1";
    APPS = "SELECT g.client_id, c.name, g.scopes, g.created_at, \
            (SELECT MAX(p.issued_at) FROM token_pairs p WHERE p.grant_id = g.id) AS last_used_at \
            FROM grants g JOIN clients c ON c.id = g.client_id \
            WHERE g.account_id = $1 AND g.ended_at IS NULL ORDER BY g.created_at DESC";
}

/// A living grant, as its owner sees it.
#[derive(sqlx::FromRow)]
pub(crate) struct LinkedApp {
    pub(crate) client_id: String,
    pub(crate) name: String,
    pub(crate) scopes: String,
    pub(crate) created_at: i64,
    pub(crate) last_used_at: Option<i64>,
}

/// Who a grant belongs to, for id tokens and userinfo.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) account_id: AccountId,
    pub(crate) signed_in_at: i64,
    pub(crate) email: String,
    pub(crate) email_verified: bool,
}

type IdentityRow = (String, i64, String, Option<i64>);

impl TryFrom<IdentityRow> for Identity {
    type Error = StoreError;
    fn try_from((account_id, signed_in_at, email, verified_at): IdentityRow) -> Result<Self> {
        let account_id = parse_id(&account_id, "grants", "account_id")?;
        Ok(Self { account_id, signed_in_at, email, email_verified: verified_at.is_some() })
    }
}

pub(crate) async fn insert(
    tx: &mut Tx,
    id: &GrantId,
    account: &AccountId,
    client_id: &str,
    scopes: &str,
    signed_in_at: i64,
    now: i64,
) -> Result<()> {
    tx.write(INSERT, values![id.as_str(), account.as_str(), client_id, scopes, signed_in_at, now]).await?;
    Ok(())
}

/// End one grant. Whether it was living.
pub(crate) async fn end(tx: &mut Tx, id: &GrantId, now: i64) -> Result<bool> {
    let ended = tx.write(END, values![id.as_str(), now]).await? == 1;
    if ended {
        changes::append(tx, &changes::Subject::GrantEnded(id.clone()), now).await?;
    }
    Ok(ended)
}

/// End every grant that an account gave to a client, and every code that could still become one. How many grants.
pub(crate) async fn end_of_client(tx: &mut Tx, account: &AccountId, client_id: &str, now: i64) -> Result<usize> {
    codes::end_open_of_client(tx, account, client_id).await?;
    let ended: Vec<(String,)> = tx.rows(END_OF_CLIENT, values![account.as_str(), client_id, now]).await?;
    for (id,) in &ended {
        changes::append(tx, &changes::Subject::GrantEnded(parse_id(id, "grants", "id")?), now).await?;
    }
    Ok(ended.len())
}

/// End every grant that an account gave, and every code that could still become one.
pub(crate) async fn end_of_account(tx: &mut Tx, account: &AccountId, now: i64) -> Result<()> {
    codes::end_open(tx, account).await?;
    for id in living_of_account(tx, account).await? {
        end(tx, &id, now).await?;
    }
    Ok(())
}

/// Every living grant of a client, whoever gave it.
pub(crate) async fn living_of_client(tx: &mut Tx, client_id: &str) -> Result<Vec<GrantId>> {
    let rows: Vec<(String,)> = tx.rows(LIVING_OF_CLIENT, values![client_id]).await?;
    rows.iter().map(|(id,)| parse_id(id, "grants", "id")).collect()
}

/// Every living grant that an account gave.
pub(crate) async fn living_of_account(tx: &mut Tx, account: &AccountId) -> Result<Vec<GrantId>> {
    let rows: Vec<(String,)> = tx.rows(LIVING_OF_ACCOUNT, values![account.as_str()]).await?;
    rows.iter().map(|(id,)| parse_id(id, "grants", "id")).collect()
}

/// The scopes of each living grant that an account gave to a client.
pub(crate) async fn scopes_given(db: &Db, account: &AccountId, client_id: &str) -> Result<Vec<String>> {
    let rows: Vec<(String,)> = db.rows(COVERING, values![account.as_str(), client_id]).await?;
    Ok(rows.into_iter().map(|(scopes,)| scopes).collect())
}

pub(crate) async fn identity(db: &Db, id: &GrantId) -> Result<Option<Identity>> {
    let row: Option<IdentityRow> = db.optional(IDENTITY, values![id.as_str()]).await?;
    row.map(Identity::try_from).transpose()
}

/// The same within a transaction.
pub(crate) async fn identity_in(tx: &mut Tx, id: &GrantId) -> Result<Option<Identity>> {
    let row: Option<IdentityRow> = tx.optional(IDENTITY, values![id.as_str()]).await?;
    row.map(Identity::try_from).transpose()
}

pub(crate) async fn linked_apps(db: &Db, account: &AccountId) -> Result<Vec<LinkedApp>> {
    db.rows(APPS, values![account.as_str()]).await
}
