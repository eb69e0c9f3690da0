//! Homes: the registry of identity keys.

use macloud_proto::ids::{AccountId, InstanceId};

use super::{Db, Result, StoreError, Tx, changes, parse_bytes, parse_id, statements, values};

statements! {
    LIVING_BY_KEY = "SELECT id, account_id, name, identity_key, paired_at, last_token_at, paused_at FROM instances WHERE identity_key = $1 AND ended_at IS NULL";
    LIVING_BY_ID = "SELECT id, account_id, name, identity_key, paired_at, last_token_at, paused_at FROM instances WHERE id = $1 AND ended_at IS NULL";
    LIVING_OF_ACCOUNT = "SELECT id, account_id, name, identity_key, paired_at, last_token_at, paused_at FROM instances \
                         WHERE account_id = $1 AND ended_at IS NULL ORDER BY paired_at, id";
    INSERT = "INSERT INTO instances (id, account_id, name, identity_key, paired_at) VALUES ($1, $2, $3, $4, $5)";
    RENAME = "UPDATE instances SET name = $3 WHERE id = $1 AND account_id = $2 AND ended_at IS NULL";
    END = "UPDATE instances SET ended_at = $3 WHERE id = $1 AND account_id = $2 AND ended_at IS NULL";
    PAUSE = "UPDATE instances SET paused_at = $3 WHERE id = $1 AND account_id = $2 AND ended_at IS NULL AND paused_at IS NULL";
    RESUME = "UPDATE instances SET paused_at = NULL WHERE id = $1 AND account_id = $2 AND ended_at IS NULL AND paused_at IS NOT NULL";
    LIVING_IDS_OF_ACCOUNT = "SELECT id FROM instances WHERE account_id = $1 AND ended_at IS NULL ORDER BY id";
    TOUCH = "UPDATE instances SET last_token_at = $2 WHERE id = $1 AND ended_at IS NULL \
             AND EXISTS (SELECT 1 FROM accounts a WHERE a.id = instances.account_id AND a.suspended_at IS NULL)";
}

/// A living home.
#[derive(Debug, Clone)]
pub(crate) struct Instance {
    pub(crate) id: InstanceId,
    pub(crate) account_id: AccountId,
    pub(crate) name: String,
    pub(crate) identity_key: [u8; 32],
    pub(crate) paired_at: i64,
    /// When it last asked for a token: about when it was last seen.
    pub(crate) last_token_at: Option<i64>,
    pub(crate) paused: bool,
}

#[derive(sqlx::FromRow)]
struct InstanceRow {
    id: String,
    account_id: String,
    name: String,
    identity_key: Vec<u8>,
    paired_at: i64,
    last_token_at: Option<i64>,
    paused_at: Option<i64>,
}

impl TryFrom<InstanceRow> for Instance {
    type Error = StoreError;
    fn try_from(row: InstanceRow) -> Result<Self> {
        Ok(Self {
            id: parse_id(&row.id, "instances", "id")?,
            account_id: parse_id(&row.account_id, "instances", "account_id")?,
            name: row.name,
            identity_key: parse_bytes(&row.identity_key, "instances", "identity_key")?,
            paired_at: row.paired_at,
            last_token_at: row.last_token_at,
            paused: row.paused_at.is_some(),
        })
    }
}

pub(crate) async fn by_id(db: &Db, id: &InstanceId) -> Result<Option<Instance>> {
    let row: Option<InstanceRow> = db.optional(LIVING_BY_ID, values![id.as_str()]).await?;
    row.map(Instance::try_from).transpose()
}

pub(crate) async fn by_key(db: &Db, key: &[u8; 32]) -> Result<Option<Instance>> {
    let row: Option<InstanceRow> = db.optional(LIVING_BY_KEY, values![key]).await?;
    row.map(Instance::try_from).transpose()
}

pub(crate) async fn of_account(db: &Db, account: &AccountId) -> Result<Vec<Instance>> {
    let rows: Vec<InstanceRow> = db.rows(LIVING_OF_ACCOUNT, values![account.as_str()]).await?;
    rows.into_iter().map(Instance::try_from).collect()
}

/// Give the home with this key to `account`. The account that already has it keeps the id (and takes the new name);
/// anyone else's home with this key ends, and a home with the id `fresh` begins.
pub(crate) async fn register(
    tx: &mut Tx,
    account: &AccountId,
    key: &[u8; 32],
    name: &str,
    fresh: &InstanceId,
    now: i64,
) -> Result<InstanceId> {
    let row: Option<InstanceRow> = tx.optional(LIVING_BY_KEY, values![key]).await?;
    let living = row.map(Instance::try_from).transpose()?;
    let id = match living {
        Some(living) if living.account_id == *account => {
            tx.write(RENAME, values![living.id.as_str(), account.as_str(), name]).await?;
            living.id
        }
        other => {
            if let Some(other) = other {
                end(tx, &other.account_id, &other.id, now).await?;
            }
            tx.write(INSERT, values![fresh.as_str(), account.as_str(), name, key, now]).await?;
            fresh.clone()
        }
    };
    changes::append(tx, &changes::Subject::HomesChanged(account.clone()), now).await?;
    Ok(id)
}

/// Unlink. Whether there was such a home of this account.
pub(crate) async fn end(tx: &mut Tx, account: &AccountId, id: &InstanceId, now: i64) -> Result<bool> {
    if tx.write(END, values![id.as_str(), account.as_str(), now]).await? == 0 {
        return Ok(false);
    }
    changes::append(tx, &changes::Subject::InstanceEnded(id.clone()), now).await?;
    changes::append(tx, &changes::Subject::HomesChanged(account.clone()), now).await?;
    Ok(true)
}

/// Pause or resume. Whether something changed.
pub(crate) async fn set_paused(
    tx: &mut Tx,
    account: &AccountId,
    id: &InstanceId,
    paused: bool,
    now: i64,
) -> Result<bool> {
    let changed = if paused {
        tx.write(PAUSE, values![id.as_str(), account.as_str(), now]).await?
    } else {
        tx.write(RESUME, values![id.as_str(), account.as_str()]).await?
    };
    if changed == 0 {
        return Ok(false);
    }
    // Skill and relay both refuse for a paused home as soon as they hear of it. The link stays up: resuming must work as
    // quickly.
    let id = id.clone();
    let told = if paused { changes::Subject::HomePaused(id) } else { changes::Subject::HomeResumed(id) };
    changes::append(tx, &told, now).await?;
    changes::append(tx, &changes::Subject::HomesChanged(account.clone()), now).await?;
    Ok(true)
}

/// Rename. Whether there is such a home of this account.
pub(crate) async fn rename(tx: &mut Tx, account: &AccountId, id: &InstanceId, name: &str, now: i64) -> Result<bool> {
    if tx.write(RENAME, values![id.as_str(), account.as_str(), name]).await? == 0 {
        return Ok(false);
    }
    changes::append(tx, &changes::Subject::HomesChanged(account.clone()), now).await?;
    Ok(true)
}

/// The living homes of an account.
pub(crate) async fn living_of_account(tx: &mut Tx, account: &AccountId) -> Result<Vec<InstanceId>> {
    let rows: Vec<(String,)> = tx.rows(LIVING_IDS_OF_ACCOUNT, values![account.as_str()]).await?;
    rows.iter().map(|(id,)| parse_id(id, "instances", "id")).collect()
}

/// Have the sockets of all homes of an account closed. They live on, and may dial in again when they get a token.
pub(crate) async fn disconnect_all(tx: &mut Tx, account: &AccountId, now: i64) -> Result<()> {
    for id in living_of_account(tx, account).await? {
        changes::append(tx, &changes::Subject::InstanceEnded(id), now).await?;
    }
    Ok(())
}

/// Note that the home asked for a token. Whether it may have one: it lives, and its account is not suspended.
pub(crate) async fn touch(db: &Db, id: &InstanceId, now: i64) -> Result<bool> {
    Ok(db.write(TOUCH, values![id.as_str(), now]).await? == 1)
}
