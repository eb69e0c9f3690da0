//! Every column that holds something sealed with the key file: what sealing anew has to visit. A test compares this list
//! with the schema.

use super::{Db, Result, statements, values};

statements! {
    SIGNING_KEYS = "SELECT kid, sealed_seed FROM signing_keys ORDER BY kid";
    SET_SIGNING_KEY = "UPDATE signing_keys SET sealed_seed = $3 WHERE kid = $1 AND sealed_seed = $2";
    TOTP_SECRETS = "SELECT account_id, sealed_secret FROM totp_secrets ORDER BY account_id";
    SET_TOTP_SECRET = "UPDATE totp_secrets SET sealed_secret = $3 WHERE account_id = $1 AND sealed_secret = $2";
    HOME_ASSISTANT_CODES = "SELECT instance_id, sealed_code FROM home_assistant_trips WHERE sealed_code IS NOT NULL ORDER BY instance_id";
    SET_HOME_ASSISTANT_CODE = "UPDATE home_assistant_trips SET sealed_code = $3 WHERE instance_id = $1 AND sealed_code = $2";
    HASH_KEYS = "SELECT name, sealed_key FROM hash_keys ORDER BY name";
    SET_HASH_KEY = "UPDATE hash_keys SET sealed_key = $3 WHERE name = $1 AND sealed_key = $2";
    ADD_HASH_KEY = "INSERT INTO hash_keys (name, sealed_key) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
    HASH_KEY = "SELECT sealed_key FROM hash_keys WHERE name = $1";
}

/// A column of sealed things.
pub(crate) struct Column {
    pub(crate) table: &'static str,
    pub(crate) column: &'static str,
    list: &'static str,
    set: &'static str,
}

/// All of them. What is kept at the key `k` of a table is sealed for the place `table/k`.
pub(crate) const COLUMNS: [Column; 4] = [
    Column { table: "signing_keys", column: "sealed_seed", list: SIGNING_KEYS, set: SET_SIGNING_KEY },
    Column { table: "totp_secrets", column: "sealed_secret", list: TOTP_SECRETS, set: SET_TOTP_SECRET },
    Column {
        table: "home_assistant_trips",
        column: "sealed_code",
        list: HOME_ASSISTANT_CODES,
        set: SET_HOME_ASSISTANT_CODE,
    },
    Column { table: "hash_keys", column: "sealed_key", list: HASH_KEYS, set: SET_HASH_KEY },
];

/// Columns that hold something sealed by somebody else, with a key that is not ours.
pub(crate) const SEALED_ELSEWHERE: [(&str, &str); 1] = [("event_grants", "sealed")];

impl Column {
    /// Every sealed thing of this column, with its row's key.
    pub(crate) async fn list(&self, db: &Db) -> Result<Vec<(String, Vec<u8>)>> {
        db.rows(self.list, values![]).await
    }

    /// Where the thing at `key` is kept, so that it opens only there.
    pub(crate) fn place(&self, key: &str) -> String {
        format!("{}/{key}", self.table)
    }

    /// Put `new` in the place of `old`. Not when it changed or went meanwhile: what is there then is newer than `new`.
    pub(crate) async fn replace(&self, db: &Db, key: &str, old: &[u8], new: &[u8]) -> Result<bool> {
        Ok(db.write(self.set, values![key, old, new]).await? == 1)
    }
}

/// The sealed hash key that all processes share: the one that is there, or else `fresh`, which is there from now on.
pub(crate) async fn hash_key(db: &Db, name: &str, fresh: &[u8]) -> Result<Vec<u8>> {
    let wrong = super::StoreError::Inconsistent { table: "hash_keys", column: "name" };
    let known: Option<(Vec<u8>,)> = db.optional(HASH_KEY, values![name]).await?;
    if let Some((sealed,)) = known {
        return Ok(sealed);
    }
    // Another process may do the same now: whoever is first has made it, for both.
    db.write(ADD_HASH_KEY, values![name, fresh]).await?;
    let known: Option<(Vec<u8>,)> = db.optional(HASH_KEY, values![name]).await?;
    known.map(|(sealed,)| sealed).ok_or(wrong)
}
