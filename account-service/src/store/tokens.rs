//! Access and refresh tokens, kept as hashes, and the two ways they rotate.
//!
//! A row is a pair: an access token and the refresh token issued beside it. A refresh adds a row whose `parent_hash` is
//! the refresh token used: with overlap see [`super::rotations`], strictly see [`spend`].

use macloud_proto::ids::{AccountId, GrantId};

use super::{Db, Result, Tx, parse_id, statements, values};

statements! {
    INSERT = "INSERT INTO token_pairs (access_hash, refresh_hash, grant_id, parent_hash, scopes, issued_at, access_expires_at, refresh_expires_at, dpop_jkt) \
              VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    SIBLINGS = "SELECT COUNT(*) FROM token_pairs WHERE parent_hash = $1";
    /// The pairs that a refresh token gave long ago and that nobody ever used: their answers were lost.
    DROP_LOST_SIBLINGS = "DELETE FROM token_pairs WHERE parent_hash = $1 AND issued_at <= $2 AND access_expires_at <= $2 \
              AND NOT EXISTS (SELECT 1 FROM token_pairs later WHERE later.parent_hash = token_pairs.refresh_hash)";
    /// The one place where a token with strict rotation is spent. Nothing else proves who refreshes, so a token that is
    /// bound to a key is good with that key only.
    SPEND = "UPDATE token_pairs SET used_at = $3 WHERE refresh_hash = $1 AND used_at IS NULL AND refresh_expires_at > $3 \
             AND (dpop_jkt IS NULL OR dpop_jkt = $4) \
             AND EXISTS (SELECT 1 FROM grants g JOIN accounts a ON a.id = g.account_id \
                         WHERE g.id = token_pairs.grant_id AND g.client_id = $2 AND g.ended_at IS NULL AND a.suspended_at IS NULL) \
             RETURNING grant_id";
    BY_REFRESH = "SELECT g.id AS grant_id, g.client_id, g.account_id, g.scopes AS grant_scopes, g.scopes, p.issued_at, p.access_expires_at, p.refresh_expires_at, \
                  p.access_ended_at, p.used_at, p.dpop_jkt, g.ended_at, a.suspended_at \
                  FROM token_pairs p JOIN grants g ON g.id = p.grant_id JOIN accounts a ON a.id = g.account_id WHERE p.refresh_hash = $1";
    BY_ACCESS = "SELECT g.id AS grant_id, g.client_id, g.account_id, g.scopes AS grant_scopes, p.scopes, p.issued_at, p.access_expires_at, p.refresh_expires_at, \
                 p.access_ended_at, p.used_at, p.dpop_jkt, g.ended_at, a.suspended_at \
                 FROM token_pairs p JOIN grants g ON g.id = p.grant_id JOIN accounts a ON a.id = g.account_id WHERE p.access_hash = $1";
    END_ACCESS = "UPDATE token_pairs SET access_ended_at = $2 WHERE access_hash = $1 AND access_ended_at IS NULL";
    SUPERSEDED = "SELECT COUNT(*) FROM token_pairs next JOIN token_pairs later ON later.parent_hash = next.refresh_hash \
                  WHERE next.parent_hash = $1 AND later.issued_at <= $2";
}

/// The hashes and lives of a pair that is about to be issued.
#[derive(Debug, Clone)]
pub(crate) struct NewPair {
    pub(crate) access_hash: [u8; 32],
    pub(crate) refresh_hash: [u8; 32],
    pub(crate) issued_at: i64,
    pub(crate) access_expires_at: i64,
    pub(crate) refresh_expires_at: i64,
    /// The key that the pair is bound to, as a thumbprint: the access token always, the refresh token under strict rotation.
    pub(crate) dpop_jkt: Option<String>,
}

/// All that is known of a token.
#[derive(Debug)]
pub(crate) struct TokenState {
    pub(crate) grant_id: GrantId,
    pub(crate) account_id: AccountId,
    pub(crate) client_id: String,
    /// What the person allowed.
    pub(crate) grant_scopes: String,
    /// What this token may be used for.
    pub(crate) scopes: String,
    pub(crate) issued_at: i64,
    pub(crate) access_expires_at: i64,
    pub(crate) refresh_expires_at: i64,
    /// The access token alone was revoked.
    pub(crate) access_ended: bool,
    /// Spent, under strict rotation.
    pub(crate) used: bool,
    pub(crate) grant_ended: bool,
    pub(crate) suspended: bool,
    /// The key that it is bound to, as a thumbprint.
    pub(crate) dpop_jkt: Option<String>,
}

#[derive(sqlx::FromRow)]
struct TokenRow {
    grant_id: String,
    client_id: String,
    account_id: String,
    grant_scopes: String,
    scopes: String,
    issued_at: i64,
    access_expires_at: i64,
    refresh_expires_at: i64,
    access_ended_at: Option<i64>,
    used_at: Option<i64>,
    ended_at: Option<i64>,
    suspended_at: Option<i64>,
    dpop_jkt: Option<String>,
}

impl TryFrom<TokenRow> for TokenState {
    type Error = super::StoreError;
    fn try_from(row: TokenRow) -> Result<Self> {
        Ok(Self {
            grant_id: parse_id(&row.grant_id, "grants", "id")?,
            account_id: parse_id(&row.account_id, "grants", "account_id")?,
            client_id: row.client_id,
            grant_scopes: row.grant_scopes,
            scopes: row.scopes,
            issued_at: row.issued_at,
            access_expires_at: row.access_expires_at,
            refresh_expires_at: row.refresh_expires_at,
            access_ended: row.access_ended_at.is_some(),
            used: row.used_at.is_some(),
            grant_ended: row.ended_at.is_some(),
            suspended: row.suspended_at.is_some(),
            dpop_jkt: row.dpop_jkt,
        })
    }
}

/// Add a pair. `parent` is the refresh token it was got with, if any.
pub(crate) async fn insert(
    tx: &mut Tx,
    pair: &NewPair,
    grant: &GrantId,
    parent: Option<&[u8; 32]>,
    scopes: &str,
) -> Result<()> {
    let parent = parent.map(<[u8; 32]>::as_slice);
    tx.write(
        INSERT,
        values![
            &pair.access_hash,
            &pair.refresh_hash,
            grant.as_str(),
            parent,
            scopes,
            pair.issued_at,
            pair.access_expires_at,
            pair.refresh_expires_at,
            pair.dpop_jkt.as_deref()
        ],
    )
    .await?;
    Ok(())
}

/// Whether so many pairs were got with this refresh token that no further one is given.
pub(crate) async fn has_too_many_siblings(db: &Db, used: &[u8; 32]) -> Result<bool> {
    let row: Option<(i64,)> = db.optional(SIBLINGS, values![used]).await?;
    Ok(row.is_some_and(|(count,)| count >= MAX_SIBLINGS))
}

/// Make room below the limit: forget the pairs of this refresh token whose answers were evidently lost.
pub(crate) async fn drop_lost_siblings(db: &Db, used: &[u8; 32], now: i64) -> Result<u64> {
    db.write(DROP_LOST_SIBLINGS, values![used, now - LOST_AFTER_SECONDS]).await
}

/// Spend a refresh token that may be used once. `jkt` is the key that was proved. `None` when it is not good (any more).
pub(crate) async fn spend(
    tx: &mut Tx,
    used: &[u8; 32],
    client_id: &str,
    jkt: Option<&str>,
    now: i64,
) -> Result<Option<GrantId>> {
    let row: Option<(String,)> = tx.optional(SPEND, values![used, client_id, now, jkt]).await?;
    row.map(|(grant,)| parse_id(&grant, "token_pairs", "grant_id")).transpose()
}

pub(crate) async fn by_refresh(db: &Db, hash: &[u8; 32]) -> Result<Option<TokenState>> {
    let row: Option<TokenRow> = db.optional(BY_REFRESH, values![hash]).await?;
    row.map(TokenState::try_from).transpose()
}

pub(crate) async fn by_access(db: &Db, hash: &[u8; 32]) -> Result<Option<TokenState>> {
    let row: Option<TokenRow> = db.optional(BY_ACCESS, values![hash]).await?;
    row.map(TokenState::try_from).transpose()
}

/// End one access token alone.
pub(crate) async fn end_access(tx: &mut Tx, hash: &[u8; 32], now: i64) -> Result<bool> {
    Ok(tx.write(END_ACCESS, values![hash, now]).await? == 1)
}

/// Whether a successor of this refresh token was used at or before `cut`.
pub(crate) async fn is_superseded(db: &Db, hash: &[u8; 32], cut: i64) -> Result<bool> {
    let row: Option<(i64,)> = db.optional(SUPERSEDED, values![hash, cut]).await?;
    Ok(row.is_some_and(|(count,)| count > 0))
}

/// Pairs got with one refresh token. Alexa asks a handful of times at once; whoever asks for more without ever using an
/// answer is broken, and would fill the table.
pub(super) const MAX_SIBLINGS: i64 = 128;
/// An answer that was not used for this long after its access token expired has not arrived.
const LOST_AFTER_SECONDS: i64 = 3600;
