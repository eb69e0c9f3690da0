//! Authenticator apps and recovery codes.

use macloud_proto::ids::AccountId;

use super::{Db, Result, Tx, statements, values};

statements! {
    /// Beginning anew replaces what was begun, never what is in use.
    BEGIN = "INSERT INTO totp_secrets (account_id, sealed_secret, created_at, last_step) VALUES ($1, $2, $3, 0) \
             ON CONFLICT (account_id) DO UPDATE SET sealed_secret = excluded.sealed_secret, created_at = excluded.created_at \
             WHERE totp_secrets.confirmed_at IS NULL";
    OF_ACCOUNT = "SELECT sealed_secret, confirmed_at FROM totp_secrets WHERE account_id = $1";
    /// Only the secret that the code proved: another page may have begun anew meanwhile.
    CONFIRM = "UPDATE totp_secrets SET confirmed_at = $2, last_step = $3 WHERE account_id = $1 AND confirmed_at IS NULL AND sealed_secret = $4";
    /// The one place where a code is used.
    USE_STEP = "UPDATE totp_secrets SET last_step = $2 WHERE account_id = $1 AND confirmed_at IS NOT NULL AND last_step < $2";
    END = "DELETE FROM totp_secrets WHERE account_id = $1";
    ADD_CODE = "INSERT INTO recovery_codes (account_id, code_hash) VALUES ($1, $2)";
    END_CODES = "DELETE FROM recovery_codes WHERE account_id = $1";
    /// The one place where a recovery code is used.
    USE_CODE = "DELETE FROM recovery_codes WHERE account_id = $1 AND code_hash = $2";
    COUNT_CODES = "SELECT COUNT(*) FROM recovery_codes WHERE account_id = $1";
}

/// An account's authenticator app. No `Debug`.
pub(crate) struct Totp {
    pub(crate) sealed_secret: Vec<u8>,
    /// Begun only, until the person has typed a first code.
    pub(crate) confirmed: bool,
}

pub(crate) async fn begin(db: &Db, account: &AccountId, sealed_secret: &[u8], now: i64) -> Result<()> {
    db.write(BEGIN, values![account.as_str(), sealed_secret, now]).await?;
    Ok(())
}

pub(crate) async fn of_account(db: &Db, account: &AccountId) -> Result<Option<Totp>> {
    let row: Option<(Vec<u8>, Option<i64>)> = db.optional(OF_ACCOUNT, values![account.as_str()]).await?;
    Ok(row.map(|(sealed_secret, confirmed_at)| Totp { sealed_secret, confirmed: confirmed_at.is_some() }))
}

/// Make this secret count, with these recovery codes. Whether it is still what was begun.
pub(crate) async fn confirm(
    tx: &mut Tx,
    account: &AccountId,
    sealed_secret: &[u8],
    step: i64,
    codes: &[[u8; 32]],
    now: i64,
) -> Result<bool> {
    if tx.write(CONFIRM, values![account.as_str(), now, step, sealed_secret]).await? == 0 {
        return Ok(false);
    }
    replace_codes(tx, account, codes).await?;
    Ok(true)
}

/// Put these recovery codes in the place of all others.
pub(crate) async fn replace_codes(tx: &mut Tx, account: &AccountId, codes: &[[u8; 32]]) -> Result<()> {
    tx.write(END_CODES, values![account.as_str()]).await?;
    for code in codes {
        tx.write(ADD_CODE, values![account.as_str(), code]).await?;
    }
    Ok(())
}

/// Use the code of a step. Whether neither it nor a later one was used before.
pub(crate) async fn use_step(db: &Db, account: &AccountId, step: i64) -> Result<bool> {
    Ok(db.write(USE_STEP, values![account.as_str(), step]).await? == 1)
}

/// Use a recovery code. Whether it was good.
pub(crate) async fn use_code(db: &Db, account: &AccountId, code: &[u8; 32]) -> Result<bool> {
    Ok(db.write(USE_CODE, values![account.as_str(), code]).await? == 1)
}

pub(crate) async fn codes_left(db: &Db, account: &AccountId) -> Result<i64> {
    let row: Option<(i64,)> = db.optional(COUNT_CODES, values![account.as_str()]).await?;
    Ok(row.map_or(0, |(count,)| count))
}

/// Turn the second step off. Whether it was on or begun.
pub(crate) async fn end(tx: &mut Tx, account: &AccountId) -> Result<bool> {
    tx.write(END_CODES, values![account.as_str()]).await?;
    Ok(tx.write(END, values![account.as_str()]).await? == 1)
}
