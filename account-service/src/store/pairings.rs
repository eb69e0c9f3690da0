//! Pairings under way (RFC 8628): asked for by a connector, decided by a person, redeemed once.

use macloud_proto::ids::{AccountId, InstanceId};

use super::{Db, Result, StoreError, Tx, parse_bytes, parse_id, statements, values};

statements! {
    INSERT = "INSERT INTO pairings (device_code_hash, user_code_hash, identity_key, name, expires_at, poll_interval) \
              VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (user_code_hash) DO NOTHING";
    BY_DEVICE_CODE = "SELECT identity_key, name, expires_at, allowed, account_id, redeemed_at FROM pairings WHERE device_code_hash = $1";
    OPEN_BY_USER_CODE = "SELECT identity_key, name, expires_at, allowed, account_id, redeemed_at FROM pairings \
                         WHERE user_code_hash = $1 AND decided_at IS NULL AND expires_at > $2";
    /// Allowed, but its connector has not come for it. The living home of the same key, if any, is shown as it is.
    WAITING = "SELECT identity_key, name FROM pairings WHERE account_id = $1 AND allowed AND redeemed_at IS NULL AND expires_at > $2 \
               AND NOT EXISTS (SELECT 1 FROM instances i WHERE i.identity_key = pairings.identity_key AND i.account_id = $1 AND i.ended_at IS NULL) \
               ORDER BY expires_at";
    /// The one place where a pairing is decided.
    DECIDE = "UPDATE pairings SET decided_at = $2, allowed = $3, account_id = $4, name = $5, replaces = $6 \
              WHERE user_code_hash = $1 AND decided_at IS NULL AND expires_at > $2";
    /// Waits for a redeeming under way: whoever ends an account's homes ends these first, and then finds that one's home, too.
    END_OPEN = "DELETE FROM pairings WHERE account_id = $1 AND redeemed_at IS NULL";
    POLL = "UPDATE pairings SET polled_at = $2 WHERE device_code_hash = $1 AND (polled_at IS NULL OR polled_at + poll_interval <= $2)";
    SLOW_DOWN = "UPDATE pairings SET polled_at = $2, poll_interval = poll_interval + 5 WHERE device_code_hash = $1";
    /// The one place where a pairing is redeemed.
    REDEEM = "UPDATE pairings SET redeemed_at = $2 WHERE device_code_hash = $1 AND redeemed_at IS NULL AND allowed AND expires_at > $2 \
              RETURNING account_id, name, replaces";
}

/// A pairing.
#[derive(Debug)]
pub(crate) struct Pairing {
    pub(crate) identity_key: [u8; 32],
    /// Suggested by the connector, or as the person changed it.
    pub(crate) name: String,
    pub(crate) expires_at: i64,
    /// The person's decision, once there is one.
    pub(crate) allowed: Option<bool>,
    /// Who decided.
    pub(crate) account_id: Option<AccountId>,
    pub(crate) redeemed: bool,
}

#[derive(sqlx::FromRow)]
struct PairingRow {
    identity_key: Vec<u8>,
    name: String,
    expires_at: i64,
    allowed: Option<bool>,
    account_id: Option<String>,
    redeemed_at: Option<i64>,
}

impl TryFrom<PairingRow> for Pairing {
    type Error = StoreError;
    fn try_from(row: PairingRow) -> Result<Self> {
        Ok(Self {
            identity_key: parse_bytes(&row.identity_key, "pairings", "identity_key")?,
            name: row.name,
            expires_at: row.expires_at,
            allowed: row.allowed,
            account_id: row.account_id.map(|id| parse_id(&id, "pairings", "account_id")).transpose()?,
            redeemed: row.redeemed_at.is_some(),
        })
    }
}

/// Whether it was added; no when the user code is taken (draw another).
pub(crate) async fn insert(
    db: &Db,
    device_code: &[u8; 32],
    user_code: &[u8; 32],
    identity_key: &[u8; 32],
    name: &str,
    expires_at: i64,
    poll_interval: i64,
) -> Result<bool> {
    let added =
        db.write(INSERT, values![device_code, user_code, identity_key, name, expires_at, poll_interval]).await?;
    Ok(added == 1)
}

pub(crate) async fn by_device_code(db: &Db, device_code: &[u8; 32]) -> Result<Option<Pairing>> {
    let row: Option<PairingRow> = db.optional(BY_DEVICE_CODE, values![device_code]).await?;
    row.map(Pairing::try_from).transpose()
}

/// A pairing that still waits for its decision.
pub(crate) async fn open_by_user_code(db: &Db, user_code: &[u8; 32], now: i64) -> Result<Option<Pairing>> {
    let row: Option<PairingRow> = db.optional(OPEN_BY_USER_CODE, values![user_code, now]).await?;
    row.map(Pairing::try_from).transpose()
}

/// The homes that this account allowed and whose connectors have not come for it yet: key and name.
pub(crate) async fn waiting(db: &Db, account: &AccountId, now: i64) -> Result<Vec<([u8; 32], String)>> {
    let rows: Vec<(Vec<u8>, String)> = db.rows(WAITING, values![account.as_str(), now]).await?;
    rows.into_iter().map(|(key, name)| Ok((parse_bytes(&key, "pairings", "identity_key")?, name))).collect()
}

/// Whether this decision counted; no when somebody decided before, or it was too late.
pub(crate) async fn decide(
    tx: &mut Tx,
    user_code: &[u8; 32],
    account: &AccountId,
    allowed: bool,
    name: &str,
    replaces: Option<&InstanceId>,
    now: i64,
) -> Result<bool> {
    let replaces = replaces.map(InstanceId::as_str);
    Ok(tx.write(DECIDE, values![user_code, now, allowed, account.as_str(), name, replaces]).await? == 1)
}

/// Note a poll. Whether it came no sooner than allowed; if not, the interval grows by five seconds (RFC 8628 section 3.5).
pub(crate) async fn poll(db: &Db, device_code: &[u8; 32], now: i64) -> Result<bool> {
    if db.write(POLL, values![device_code, now]).await? == 1 {
        return Ok(true);
    }
    db.write(SLOW_DOWN, values![device_code, now]).await?;
    Ok(false)
}

/// What a person allowed.
pub(crate) struct Allowed {
    pub(crate) account: AccountId,
    pub(crate) name: String,
    /// The home of that account which moves to this hardware, if it is no new one.
    pub(crate) replaces: Option<InstanceId>,
}

/// Redeem an allowed pairing. `None` when it was redeemed before.
pub(crate) async fn redeem(tx: &mut Tx, device_code: &[u8; 32], now: i64) -> Result<Option<Allowed>> {
    let row: Option<(Option<String>, String, Option<String>)> = tx.optional(REDEEM, values![device_code, now]).await?;
    row.map(|(account, name, replaces)| {
        let account = account.ok_or(StoreError::Inconsistent { table: "pairings", column: "account_id" })?;
        let replaces = replaces.map(|id| parse_id(&id, "pairings", "replaces")).transpose()?;
        Ok(Allowed { account: parse_id(&account, "pairings", "account_id")?, name, replaces })
    })
    .transpose()
}

/// What an account allowed and no connector fetched yet is not fetched any more.
pub(super) async fn end_open(tx: &mut Tx, account: &AccountId) -> Result<()> {
    tx.write(END_OPEN, values![account.as_str()]).await?;
    Ok(())
}
