//! Browsers that somebody has signed in from. They are known longer than anybody is signed in there, and no longer once a
//! session is ended from elsewhere: see [`super::web_sessions`].

use macloud_proto::ids::AccountId;

use super::{Db, Result, Tx, parse_id, statements, values};

statements! {
    /// Others who use the same browser come along.
    RENEW = "UPDATE known_browsers SET browser_hash = $2 WHERE browser_hash = $1";
    KEEP = "INSERT INTO known_browsers (browser_hash, account_id, session_id, expires_at) VALUES ($1, $2, $3, $4) \
            ON CONFLICT (browser_hash, account_id) DO UPDATE SET session_id = excluded.session_id, expires_at = excluded.expires_at";
    PEOPLE = "SELECT k.account_id, a.email, k.session_id FROM known_browsers k JOIN accounts a ON a.id = k.account_id WHERE k.browser_hash = $1 AND k.expires_at > $2";
    END_ONE = "DELETE FROM known_browsers WHERE account_id = $1 AND session_id = $2";
    END_ALL = "DELETE FROM known_browsers WHERE account_id = $1";
    END_OTHERS = "DELETE FROM known_browsers WHERE account_id = $1 AND session_id <> $2";
}

/// A browser, from where somebody signs in: under a fresh hash, so that nobody who knew the old cookie comes along.
pub(crate) async fn keep(
    tx: &mut Tx,
    (old, fresh): (Option<&[u8; 32]>, &[u8; 32]),
    account: &AccountId,
    session: &str,
    expires_at: i64,
) -> Result<()> {
    if let Some(old) = old {
        tx.write(RENEW, values![old, fresh]).await?;
    }
    tx.write(KEEP, values![fresh, account.as_str(), session, expires_at]).await?;
    Ok(())
}

/// Somebody who signed in from a browser. No `Debug`: it holds an address.
pub(crate) struct Person {
    pub(crate) account: AccountId,
    pub(crate) email: String,
    /// Their last session there.
    pub(crate) session: String,
}

/// Who signed in from this browser.
pub(crate) async fn people(db: &Db, browser: &[u8; 32], now: i64) -> Result<Vec<Person>> {
    let rows: Vec<(String, String, String)> = db.rows(PEOPLE, values![browser, now]).await?;
    let parse = |(account, email, session): (String, String, String)| {
        Ok(Person { account: parse_id(&account, "known_browsers", "account_id")?, email, session })
    };
    rows.into_iter().map(parse).collect()
}

/// No more the browser that this session is or was of.
pub(super) async fn end_one(tx: &mut Tx, account: &AccountId, session: &str) -> Result<()> {
    tx.write(END_ONE, values![account.as_str(), session]).await?;
    Ok(())
}

pub(super) async fn end_all(tx: &mut Tx, account: &AccountId) -> Result<()> {
    tx.write(END_ALL, values![account.as_str()]).await?;
    Ok(())
}

/// No more any but the one of this session.
pub(super) async fn end_others(tx: &mut Tx, account: &AccountId, keep: &str) -> Result<()> {
    tx.write(END_OTHERS, values![account.as_str(), keep]).await?;
    Ok(())
}
