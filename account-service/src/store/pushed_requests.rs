//! Authorization requests that clients pushed ahead (RFC 9126): read as often as pages are reloaded, decided once.

use super::{Db, Result, Tx, statements, values};

statements! {
    INSERT = "INSERT INTO pushed_requests (request_hash, client_id, request, expires_at) VALUES ($1, $2, $3, $4)";
    LIVING = "SELECT request, expires_at FROM pushed_requests WHERE request_hash = $1 AND client_id = $2 AND expires_at > $3";
    /// The one place where a pushed request is used up.
    TAKE = "DELETE FROM pushed_requests WHERE request_hash = $1 AND expires_at > $2";
}

pub(crate) async fn insert(db: &Db, hash: &[u8; 32], client_id: &str, request: &str, expires_at: i64) -> Result<()> {
    db.write(INSERT, values![hash, client_id, request, expires_at]).await?;
    Ok(())
}

/// The request of this client and when it ends, if it is still to be decided.
pub(crate) async fn living(db: &Db, hash: &[u8; 32], client_id: &str, now: i64) -> Result<Option<(String, i64)>> {
    db.optional(LIVING, values![hash, client_id, now]).await
}

/// Use it up. Whether it was still there.
pub(crate) async fn take(tx: &mut Tx, hash: &[u8; 32], now: i64) -> Result<bool> {
    Ok(tx.write(TAKE, values![hash, now]).await? == 1)
}
