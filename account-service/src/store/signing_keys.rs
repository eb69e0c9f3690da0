//! The keys that sign, sealed with the key file.

use super::{Db, Result, StoreError, Tx, parse_bytes, statements, values};

statements! {
    INSERT = "INSERT INTO signing_keys (generation, kid, public_key, sealed_seed, use_from) VALUES ($1, $2, $3, $4, $5) \
              ON CONFLICT (generation) DO NOTHING";
    KID = "SELECT kid FROM signing_keys WHERE generation = $1";
    LIST = "SELECT generation, kid, public_key, sealed_seed, use_from FROM signing_keys ORDER BY generation";
    DELETE = "DELETE FROM signing_keys WHERE generation = $1";
}

/// A key as it is stored.
pub(crate) struct StoredKey {
    pub(crate) generation: i64,
    pub(crate) kid: String,
    pub(crate) public: [u8; 32],
    pub(crate) sealed_seed: Vec<u8>,
    /// Published before this time, used from it on.
    pub(crate) use_from: i64,
}

#[derive(sqlx::FromRow)]
struct KeyRow {
    generation: i64,
    kid: String,
    public_key: Vec<u8>,
    sealed_seed: Vec<u8>,
    use_from: i64,
}

/// Whether it was added; no when another process was first with this generation.
pub(crate) async fn insert(tx: &mut Tx, key: &StoredKey) -> Result<bool> {
    let added =
        tx.write(INSERT, values![key.generation, &key.kid, &key.public, &key.sealed_seed, key.use_from]).await?;
    Ok(added == 1)
}

/// The id of the key with this generation, which is there.
pub(crate) async fn kid(tx: &mut Tx, generation: i64) -> Result<String> {
    let row: Option<(String,)> = tx.optional(KID, values![generation]).await?;
    row.map(|(kid,)| kid).ok_or(StoreError::Inconsistent { table: "signing_keys", column: "generation" })
}

pub(crate) async fn list(db: &Db) -> Result<Vec<StoredKey>> {
    let rows: Vec<KeyRow> = db.rows(LIST, values![]).await?;
    rows.into_iter()
        .map(|row| {
            Ok(StoredKey {
                generation: row.generation,
                kid: row.kid,
                public: parse_bytes(&row.public_key, "signing_keys", "public_key")?,
                sealed_seed: row.sealed_seed,
                use_from: row.use_from,
            })
        })
        .collect()
}

pub(crate) async fn delete(db: &Db, generation: i64) -> Result<()> {
    db.write(DELETE, values![generation]).await?;
    Ok(())
}
