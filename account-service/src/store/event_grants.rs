//! Event-gateway grants: sealed by the skill, kept here, readable only there.

use macloud_proto::ids::AccountId;

use super::{Db, Result, Tx, statements, values};

statements! {
    UPSERT = "INSERT INTO event_grants (account_id, region, sealed, stored_at) \
              SELECT id, $2, $3, $4 FROM accounts WHERE id = $1 \
              ON CONFLICT (account_id, region) DO UPDATE SET sealed = excluded.sealed, stored_at = excluded.stored_at";
    DELETE = "DELETE FROM event_grants WHERE account_id = $1 AND region = $2";
    END_ALL = "DELETE FROM event_grants WHERE account_id = $1";
}

/// Whether the account exists.
pub(crate) async fn store(db: &Db, account: &AccountId, region: &str, sealed: &[u8], now: i64) -> Result<bool> {
    Ok(db.write(UPSERT, values![account.as_str(), region, sealed, now]).await? == 1)
}

pub(crate) async fn delete(db: &Db, account: &AccountId, region: &str) -> Result<()> {
    db.write(DELETE, values![account.as_str(), region]).await?;
    Ok(())
}

/// Nobody's event gateway hears of this account's homes any more.
pub(crate) async fn end_all(tx: &mut Tx, account: &AccountId) -> Result<()> {
    tx.write(END_ALL, values![account.as_str()]).await?;
    Ok(())
}
