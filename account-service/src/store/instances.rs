//! Homes: the registry of identity keys.

use macloud_proto::ids::{AccountId, InstanceId};

use super::{
    Db, Result, StoreError, Tx, changes, invitations, members, pairings, parse_bytes, parse_id, statements, values,
};

statements! {
    LIVING_BY_KEY = "SELECT id, account_id, name, identity_key, paired_at, last_token_at, paused_at, replaced_key, replaced_at FROM instances WHERE identity_key = $1 AND ended_at IS NULL";
    LIVING_BY_ID = "SELECT id, account_id, name, identity_key, paired_at, last_token_at, paused_at, replaced_key, replaced_at FROM instances WHERE id = $1 AND ended_at IS NULL";
    LIVING_OF_ACCOUNT = "SELECT id, account_id, name, identity_key, paired_at, last_token_at, paused_at, replaced_key, replaced_at FROM instances \
                         WHERE account_id = $1 AND ended_at IS NULL ORDER BY paired_at, id";
    INSERT = "INSERT INTO instances (id, account_id, name, identity_key, paired_at) VALUES ($1, $2, $3, $4, $5)";
    RENAME = "UPDATE instances SET name = $3 WHERE id = $1 AND account_id = $2 AND ended_at IS NULL";
    END = "UPDATE instances SET ended_at = $3 WHERE id = $1 AND account_id = $2 AND ended_at IS NULL";
    /// By the owner and by members, not by guests.
    PAUSE = "UPDATE instances SET paused_at = $3 WHERE id = $1 AND ended_at IS NULL AND paused_at IS NULL AND (account_id = $2 \
             OR EXISTS (SELECT 1 FROM members m WHERE m.instance_id = instances.id AND m.account_id = $2 AND m.role = 'member'))";
    RESUME = "UPDATE instances SET paused_at = NULL WHERE id = $1 AND ended_at IS NULL AND paused_at IS NOT NULL AND (account_id = $2 \
              OR EXISTS (SELECT 1 FROM members m WHERE m.instance_id = instances.id AND m.account_id = $2 AND m.role = 'member'))";
    LIVING_IDS_OF_ACCOUNT = "SELECT id FROM instances WHERE account_id = $1 AND ended_at IS NULL ORDER BY id";
    /// A home moves to new hardware, if it is still its owner's.
    REPLACE = "UPDATE instances SET identity_key = $3, replaced_key = identity_key, replaced_at = $4, last_token_at = NULL \
               WHERE id = $1 AND account_id = $2 AND ended_at IS NULL AND identity_key <> $3";
    TOUCH = "UPDATE instances SET last_token_at = $2 WHERE id = $1 AND ended_at IS NULL \
             AND EXISTS (SELECT 1 FROM accounts a WHERE a.id = instances.account_id AND a.suspended_at IS NULL) RETURNING account_id, paused_at";
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
    /// The key it had before it moved to new hardware, and when it did.
    pub(crate) replaced: Option<([u8; 32], i64)>,
}

#[derive(sqlx::FromRow)]
pub(super) struct InstanceRow {
    id: String,
    account_id: String,
    name: String,
    identity_key: Vec<u8>,
    paired_at: i64,
    last_token_at: Option<i64>,
    paused_at: Option<i64>,
    replaced_key: Option<Vec<u8>>,
    replaced_at: Option<i64>,
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
            replaced: row
                .replaced_key
                .zip(row.replaced_at)
                .map(|(key, at)| Ok::<_, StoreError>((parse_bytes(&key, "instances", "replaced_key")?, at)))
                .transpose()?,
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

/// The homes that an account owns.
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
            members::tell_users(tx, &living.id, now).await?;
            living.id
        }
        other => {
            if let Some(other) = other {
                end(tx, &other.account_id, &other.id, now).await?;
            }
            tx.write(INSERT, values![fresh.as_str(), account.as_str(), name, key, now]).await?;
            changes::append(tx, &changes::Subject::HomesChanged(account.clone()), now).await?;
            fresh.clone()
        }
    };
    Ok(id)
}

/// Move a home to new hardware: it keeps its id, its name and its people, and has this key from now on. Whether it did; no
/// when it is not (any more) a home of this account.
pub(crate) async fn replace(
    tx: &mut Tx,
    account: &AccountId,
    id: &InstanceId,
    key: &[u8; 32],
    now: i64,
) -> Result<bool> {
    let row: Option<InstanceRow> = tx.optional(LIVING_BY_KEY, values![key]).await?;
    let holder = row.map(Instance::try_from).transpose()?;
    if let Some(holder) = holder.filter(|holder| holder.id != *id) {
        end(tx, &holder.account_id, &holder.id, now).await?;
    }
    if tx.write(REPLACE, values![id.as_str(), account.as_str(), key, now]).await? == 0 {
        return Ok(false);
    }
    let thumbprint = macloud_proto::jose::thumbprint(key);
    changes::append(tx, &changes::Subject::KeyChanged(id.clone(), thumbprint), now).await?;
    members::tell_users(tx, id, now).await?;
    Ok(true)
}

/// Unlink, for its owner and for everybody it is shared with. Whether there was such a home of this account.
pub(crate) async fn end(tx: &mut Tx, account: &AccountId, id: &InstanceId, now: i64) -> Result<bool> {
    if tx.write(END, values![id.as_str(), account.as_str(), now]).await? == 0 {
        return Ok(false);
    }
    invitations::delete_all(tx, id).await?;
    for member in members::remove_all(tx, id).await? {
        changes::append(tx, &changes::Subject::HomesChanged(member), now).await?;
    }
    changes::append(tx, &changes::Subject::InstanceEnded(id.clone()), now).await?;
    changes::append(tx, &changes::Subject::HomesChanged(account.clone()), now).await?;
    Ok(true)
}

/// Unlink every home of an account, and what it allowed that could still become one.
pub(crate) async fn end_of_account(tx: &mut Tx, account: &AccountId, now: i64) -> Result<()> {
    pairings::end_open(tx, account).await?;
    for id in living_of_account(tx, account).await? {
        end(tx, account, &id, now).await?;
    }
    Ok(())
}

/// Pause or resume, as its owner or a member. Whether something changed.
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
    let subject = if paused { changes::Subject::HomePaused } else { changes::Subject::HomeResumed };
    changes::append(tx, &subject(id.clone()), now).await?;
    members::tell_users(tx, id, now).await?;
    Ok(true)
}

/// Rename. Whether there is such a home of this account.
pub(crate) async fn rename(tx: &mut Tx, account: &AccountId, id: &InstanceId, name: &str, now: i64) -> Result<bool> {
    if tx.write(RENAME, values![id.as_str(), account.as_str(), name]).await? == 0 {
        return Ok(false);
    }
    members::tell_users(tx, id, now).await?;
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

/// How a home stands that may have a token.
pub(crate) struct Touched {
    pub(crate) account_id: AccountId,
    pub(crate) paused: bool,
}

/// Note that the home asked for a token. `None` when it may not have one: it lives no more, or its account is suspended.
pub(crate) async fn touch(db: &Db, id: &InstanceId, now: i64) -> Result<Option<Touched>> {
    let row: Option<(String, Option<i64>)> = db.write_one(TOUCH, values![id.as_str(), now]).await?;
    row.map(|(account, paused_at)| {
        let account_id = parse_id(&account, "instances", "account_id")?;
        Ok(Touched { account_id, paused: paused_at.is_some() })
    })
    .transpose()
}
