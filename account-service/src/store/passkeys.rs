//! Passkeys of people.

use macloud_proto::ids::AccountId;

use super::{Db, Result, Tx, parse_id, statements, values};

statements! {
    INSERT = "INSERT INTO passkeys (id, account_id, credential_id, passkey, name, created_at) VALUES ($1, $2, $3, $4, $5, $6) \
              ON CONFLICT (credential_id) DO NOTHING";
    OF_ACCOUNT = "SELECT id, name, credential_id, created_at, last_used_at FROM passkeys WHERE account_id = $1 ORDER BY created_at, id";
    BY_CREDENTIAL = "SELECT id, account_id, passkey FROM passkeys WHERE credential_id = $1";
    USED = "UPDATE passkeys SET passkey = $2, last_used_at = $3 WHERE id = $1";
    RENAME = "UPDATE passkeys SET name = $3 WHERE account_id = $1 AND id = $2";
    DELETE = "DELETE FROM passkeys WHERE account_id = $1 AND id = $2";
    END_ALL = "DELETE FROM passkeys WHERE account_id = $1";
}

/// A passkey as a line in its owner's list.
#[derive(sqlx::FromRow)]
pub(crate) struct Listed {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) credential_id: Vec<u8>,
    pub(crate) created_at: i64,
    pub(crate) last_used_at: Option<i64>,
}

/// A passkey to be checked.
pub(crate) struct Known {
    pub(crate) id: String,
    pub(crate) account_id: AccountId,
    /// As the verifying library wrote it.
    pub(crate) passkey: String,
}

/// Whether it was added; no when somebody has it already.
pub(crate) async fn insert(
    tx: &mut Tx,
    account: &AccountId,
    id: &str,
    credential: &[u8],
    passkey: &str,
    name: &str,
    now: i64,
) -> Result<bool> {
    Ok(tx.write(INSERT, values![id, account.as_str(), credential, passkey, name, now]).await? == 1)
}

pub(crate) async fn of_account(db: &Db, account: &AccountId) -> Result<Vec<Listed>> {
    db.rows(OF_ACCOUNT, values![account.as_str()]).await
}

pub(crate) async fn by_credential(db: &Db, credential: &[u8]) -> Result<Option<Known>> {
    let row: Option<(String, String, String)> = db.optional(BY_CREDENTIAL, values![credential]).await?;
    row.map(|(id, account, passkey)| {
        Ok(Known { id, account_id: parse_id(&account, "passkeys", "account_id")?, passkey })
    })
    .transpose()
}

/// Note that it was used, with its counter as it is now. Whether it was still there.
pub(crate) async fn used(db: &Db, id: &str, passkey: &str, now: i64) -> Result<bool> {
    Ok(db.write(USED, values![id, passkey, now]).await? == 1)
}

pub(crate) async fn rename(db: &Db, account: &AccountId, id: &str, name: &str) -> Result<()> {
    db.write(RENAME, values![account.as_str(), id, name]).await?;
    Ok(())
}

/// Whether it was there.
pub(crate) async fn delete(tx: &mut Tx, account: &AccountId, id: &str) -> Result<bool> {
    Ok(tx.write(DELETE, values![account.as_str(), id]).await? == 1)
}

/// No passkey signs in to this account any more.
pub(crate) async fn end_all(tx: &mut Tx, account: &AccountId) -> Result<()> {
    tx.write(END_ALL, values![account.as_str()]).await?;
    Ok(())
}
