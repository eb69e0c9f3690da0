//! Authorization codes: issued once, redeemed at most once.

use macloud_proto::ids::{AccountId, GrantId};

use super::{Db, Result, Tx, parse_id, statements, values};

statements! {
    INSERT = "INSERT INTO codes (code_hash, grant_id, client_id, account_id, redirect_uri, challenge, nonce, scopes, signed_in_at, expires_at, dpop_jkt) \
              VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
    /// The one place where a code is spent: of any number of parallel requests, on any number of nodes, one gets the row.
    REDEEM = "UPDATE codes SET used_at = $3 WHERE code_hash = $1 AND client_id = $2 AND used_at IS NULL AND expires_at > $3 \
              AND EXISTS (SELECT 1 FROM accounts a WHERE a.id = codes.account_id AND a.suspended_at IS NULL) \
              RETURNING grant_id, account_id, redirect_uri, challenge, nonce, scopes, signed_in_at, dpop_jkt";
    /// Waits for a redeeming under way: whoever ends an account's grants ends these first, and then finds that one's grant, too.
    END_OPEN = "DELETE FROM codes WHERE account_id = $1 AND used_at IS NULL";
    END_OPEN_OF_CLIENT = "DELETE FROM codes WHERE account_id = $1 AND client_id = $2 AND used_at IS NULL";
    SPENT = "SELECT grant_id FROM codes WHERE code_hash = $1 AND client_id = $2 AND used_at IS NOT NULL";
}

/// What a code stands for. No `Debug`: it carries a nonce and a redirect URI that are the client's own.
pub(crate) struct Code {
    pub(crate) grant_id: GrantId,
    pub(crate) account_id: AccountId,
    pub(crate) redirect_uri: String,
    /// PKCE S256 challenge, if the request had one.
    pub(crate) challenge: Option<String>,
    pub(crate) nonce: Option<String>,
    pub(crate) scopes: String,
    pub(crate) signed_in_at: i64,
    /// The key that whoever redeems it must prove to have, as a thumbprint.
    pub(crate) dpop_jkt: Option<String>,
}

#[derive(sqlx::FromRow)]
struct CodeRow {
    grant_id: String,
    account_id: String,
    redirect_uri: String,
    challenge: Option<String>,
    nonce: Option<String>,
    scopes: String,
    signed_in_at: i64,
    dpop_jkt: Option<String>,
}

pub(crate) async fn insert(tx: &mut Tx, hash: &[u8; 32], client_id: &str, code: &Code, expires_at: i64) -> Result<()> {
    tx.write(
        INSERT,
        values![
            hash,
            code.grant_id.as_str(),
            client_id,
            code.account_id.as_str(),
            &code.redirect_uri,
            code.challenge.as_deref(),
            code.nonce.as_deref(),
            &code.scopes,
            code.signed_in_at,
            expires_at,
            code.dpop_jkt.as_deref()
        ],
    )
    .await?;
    Ok(())
}

/// Spend the code. `None`: unknown, another client's, expired, or already spent.
pub(crate) async fn redeem(tx: &mut Tx, hash: &[u8; 32], client_id: &str, now: i64) -> Result<Option<Code>> {
    let row: Option<CodeRow> = tx.optional(REDEEM, values![hash, client_id, now]).await?;
    row.map(|row| {
        Ok(Code {
            grant_id: parse_id(&row.grant_id, "codes", "grant_id")?,
            account_id: parse_id(&row.account_id, "codes", "account_id")?,
            redirect_uri: row.redirect_uri,
            challenge: row.challenge,
            nonce: row.nonce,
            scopes: row.scopes,
            signed_in_at: row.signed_in_at,
            dpop_jkt: row.dpop_jkt,
        })
    })
    .transpose()
}

/// What an account allowed and nobody fetched yet is not fetched any more.
pub(super) async fn end_open(tx: &mut Tx, account: &AccountId) -> Result<()> {
    tx.write(END_OPEN, values![account.as_str()]).await?;
    Ok(())
}

/// The same for one client.
pub(super) async fn end_open_of_client(tx: &mut Tx, account: &AccountId, client_id: &str) -> Result<()> {
    tx.write(END_OPEN_OF_CLIENT, values![account.as_str(), client_id]).await?;
    Ok(())
}

/// The grant that a spent code of this client brought into being.
pub(crate) async fn grant_of_spent(db: &Db, hash: &[u8; 32], client_id: &str) -> Result<Option<GrantId>> {
    let row: Option<(String,)> = db.optional(SPENT, values![hash, client_id]).await?;
    row.map(|(id,)| parse_id(&id, "codes", "grant_id")).transpose()
}
