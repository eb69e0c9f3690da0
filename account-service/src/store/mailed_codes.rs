//! Codes that were sent by mail.

use macloud_proto::ids::AccountId;

use super::{Db, Result, parse_bytes, statements, values};

statements! {
    REPLACE = "INSERT INTO mailed_codes (account_id, purpose, code_hash, expires_at, tries_left) VALUES ($1, $2, $3, $4, $5) \
               ON CONFLICT (account_id, purpose) DO UPDATE SET code_hash = excluded.code_hash, expires_at = excluded.expires_at, \
               tries_left = excluded.tries_left";
    /// Counted before it is judged: parallel guesses get no more tries than others.
    TRY = "UPDATE mailed_codes SET tries_left = tries_left - 1 WHERE account_id = $1 AND purpose = $2 AND expires_at > $3 AND tries_left > 0 \
           RETURNING code_hash";
    /// The one place where a code is used.
    USE = "DELETE FROM mailed_codes WHERE account_id = $1 AND purpose = $2 AND code_hash = $3";
}

/// What a code is for. The text is what is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To show that mail reaches its reader.
    Verify,
}

impl Purpose {
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Verify => "verify",
        }
    }
}

/// Put this code in the place of any other for the same purpose.
pub(crate) async fn replace(
    db: &Db,
    account: &AccountId,
    purpose: Purpose,
    code: &[u8; 32],
    expires_at: i64,
    tries: i64,
) -> Result<()> {
    db.write(REPLACE, values![account.as_str(), purpose.text(), code, expires_at, tries]).await?;
    Ok(())
}

/// Use a code. Whether it was right, and nobody else used it at the same moment.
pub(crate) async fn use_up(db: &Db, account: &AccountId, purpose: Purpose, code: &[u8; 32], now: i64) -> Result<bool> {
    let row: Option<(Vec<u8>,)> = db.write_one(TRY, values![account.as_str(), purpose.text(), now]).await?;
    let Some((stored,)) = row else { return Ok(false) };
    let stored: [u8; 32] = parse_bytes(&stored, "mailed_codes", "code_hash")?;
    Ok(stored == *code && db.write(USE, values![account.as_str(), purpose.text(), code]).await? == 1)
}
