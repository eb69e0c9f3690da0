//! One-time proofs (DPoP, client assertions) already seen, on any node.

use super::{Db, Result, statements, values};

statements! {
    INSERT = "INSERT INTO seen_proofs (proof_hash, expires_at) VALUES ($1, $2) ON CONFLICT (proof_hash) DO NOTHING";
}

/// Whether it was seen for the first time.
pub(crate) async fn is_first(db: &Db, proof: &[u8; 32], expires_at: i64) -> Result<bool> {
    Ok(db.write(INSERT, values![proof, expires_at]).await? == 1)
}
