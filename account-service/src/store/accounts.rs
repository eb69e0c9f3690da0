//! People.

use macloud_proto::ids::AccountId;

use super::{Db, Result, Tx, changes, grants, instances, members, parse_id, statements, values};

statements! {
    INSERT = "INSERT INTO accounts (id, email, password_hash, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT (email) DO NOTHING";
    BY_EMAIL = "SELECT id, email, password_hash, suspended_at, created_at, email_verified_at FROM accounts WHERE email = $1";
    BY_ID = "SELECT id, email, password_hash, suspended_at, created_at, email_verified_at FROM accounts WHERE id = $1";
    LIST = "SELECT id, email, password_hash, suspended_at, created_at, email_verified_at FROM accounts ORDER BY created_at, id";
    /// Only while the old hash is still there: a password that was changed meanwhile stays changed.
    REHASH = "UPDATE accounts SET password_hash = $3 WHERE id = $1 AND password_hash = $2";
    VERIFY = "UPDATE accounts SET email_verified_at = $2 WHERE id = $1 AND email_verified_at IS NULL";
    /// Its new address is proved already. No row when somebody else has it by now.
    CHANGE_EMAIL = "UPDATE accounts SET email = $2, email_verified_at = $3 WHERE id = $1 \
                    AND NOT EXISTS (SELECT 1 FROM accounts WHERE email = $2)";
    SET_PASSWORD = "UPDATE accounts SET password_hash = $2 WHERE id = $1";
    /// Holds the account's row until the transaction ends.
    HOLD = "UPDATE accounts SET created_at = created_at WHERE id = $1";
    DELETE = "DELETE FROM accounts WHERE id = $1";
    SUSPEND = "UPDATE accounts SET suspended_at = $2 WHERE id = $1 AND suspended_at IS NULL";
    RESUME = "UPDATE accounts SET suspended_at = NULL WHERE id = $1 AND suspended_at IS NOT NULL";
}

/// An account. No `Debug`: it holds an address and a password hash.
pub(crate) struct Account {
    pub(crate) id: AccountId,
    pub(crate) email: String,
    pub(crate) password_hash: String,
    pub(crate) suspended: bool,
    pub(crate) created_at: i64,
    /// Somebody showed that mail to this address reaches them.
    pub(crate) email_verified: bool,
}

#[derive(sqlx::FromRow)]
struct AccountRow {
    id: String,
    email: String,
    password_hash: String,
    suspended_at: Option<i64>,
    created_at: i64,
    email_verified_at: Option<i64>,
}

impl TryFrom<AccountRow> for Account {
    type Error = super::StoreError;
    fn try_from(row: AccountRow) -> Result<Self> {
        Ok(Self {
            id: parse_id(&row.id, "accounts", "id")?,
            email: row.email,
            password_hash: row.password_hash,
            suspended: row.suspended_at.is_some(),
            created_at: row.created_at,
            email_verified: row.email_verified_at.is_some(),
        })
    }
}

/// Whether it was added; no when the address is taken.
pub(crate) async fn insert(db: &Db, id: &AccountId, email: &str, password_hash: &str, now: i64) -> Result<bool> {
    Ok(db.write(INSERT, values![id.as_str(), email, password_hash, now]).await? == 1)
}

/// The same within a transaction, for somebody who showed that the address is theirs. Without a hash they sign in otherwise.
pub(crate) async fn insert_proved(
    tx: &mut Tx,
    id: &AccountId,
    email: &str,
    password_hash: &str,
    now: i64,
) -> Result<bool> {
    if tx.write(INSERT, values![id.as_str(), email, password_hash, now]).await? == 0 {
        return Ok(false);
    }
    tx.write(VERIFY, values![id.as_str(), now]).await?;
    Ok(true)
}

pub(crate) async fn by_email(db: &Db, email: &str) -> Result<Option<Account>> {
    let row: Option<AccountRow> = db.optional(BY_EMAIL, values![email]).await?;
    row.map(Account::try_from).transpose()
}

pub(crate) async fn by_id(db: &Db, id: &AccountId) -> Result<Option<Account>> {
    let row: Option<AccountRow> = db.optional(BY_ID, values![id.as_str()]).await?;
    row.map(Account::try_from).transpose()
}

/// Put a hash of the same password in the place of an old one. Whether the old one was still there.
pub(crate) async fn rehash(db: &Db, id: &AccountId, old: &str, new: &str) -> Result<bool> {
    Ok(db.write(REHASH, values![id.as_str(), old, new]).await? == 1)
}

/// Note that mail to this account's address reaches its owner.
pub(crate) async fn verify_email(db: &Db, id: &AccountId, now: i64) -> Result<()> {
    db.write(VERIFY, values![id.as_str(), now]).await?;
    Ok(())
}

/// Note the same within a transaction. Whether nobody had shown it before.
pub(crate) async fn prove_email(tx: &mut Tx, id: &AccountId, now: i64) -> Result<bool> {
    Ok(tx.write(VERIFY, values![id.as_str(), now]).await? == 1)
}

/// Move an account to an address that is shown to be its owner's. Whether nobody else had it.
pub(crate) async fn change_email(tx: &mut Tx, id: &AccountId, email: &str, now: i64) -> Result<bool> {
    match tx.write(CHANGE_EMAIL, values![id.as_str(), email, now]).await {
        Ok(rows) => Ok(rows == 1),
        // Two at the same moment: the constraint decides.
        Err(error) if error.is_conflict() => Ok(false),
        Err(error) => Err(error),
    }
}

pub(crate) async fn set_password(tx: &mut Tx, id: &AccountId, hash: &str) -> Result<()> {
    tx.write(SET_PASSWORD, values![id.as_str(), hash]).await?;
    Ok(())
}

/// Let nobody else change how to sign in to an account until the transaction ends: neither its password nor its other ways,
/// nor its sessions. Taken before all else in a transaction, so that nobody waits for each other.
pub(crate) async fn hold(tx: &mut Tx, id: &AccountId) -> Result<()> {
    tx.write(HOLD, values![id.as_str()]).await?;
    Ok(())
}

pub(crate) async fn list(db: &Db) -> Result<Vec<Account>> {
    let rows: Vec<AccountRow> = db.rows(LIST, values![]).await?;
    rows.into_iter().map(Account::try_from).collect()
}

/// Whether it changed.
pub(crate) async fn set_suspended(tx: &mut Tx, id: &AccountId, suspended: bool, now: i64) -> Result<bool> {
    let changed = if suspended {
        tx.write(SUSPEND, values![id.as_str(), now]).await?
    } else {
        tx.write(RESUME, values![id.as_str()]).await?
    };
    if changed == 0 {
        return Ok(false);
    }
    if suspended {
        instances::disconnect_all(tx, id, now).await?;
        changes::append(tx, &changes::Subject::AccountEnded(id.clone()), now).await?;
    } else {
        changes::append(tx, &changes::Subject::HomesChanged(id.clone()), now).await?;
        // Whoever its homes are shared with lost them when they ended, and gets them back.
        for home in instances::living_of_account(tx, id).await? {
            members::tell_members(tx, &home, now).await?;
        }
    }
    Ok(true)
}

/// Delete an account and, by cascade, everything that is kept about it. Whoever caches its tokens or holds its sockets
/// hears of it.
pub(crate) async fn delete(tx: &mut Tx, id: &AccountId, now: i64) -> Result<bool> {
    let grants = grants::living_of_account(tx, id).await?;
    let homes = instances::living_of_account(tx, id).await?;
    if tx.write(DELETE, values![id.as_str()]).await? == 0 {
        return Ok(false);
    }
    let grants = grants.into_iter().map(changes::Subject::GrantEnded);
    let homes = homes.into_iter().map(changes::Subject::InstanceEnded);
    for subject in grants.chain(homes).chain([changes::Subject::AccountEnded(id.clone())]) {
        changes::append(tx, &subject, now).await?;
    }
    Ok(true)
}
