//! Codes that were sent by mail to whoever asked on a page: to sign up, to set a new password, to change one's address.
//!
//! Each belongs to the page that asked, by the hash of that page's ticket. A stranger who asks for the same address gets
//! a code and tries of their own.

use macloud_proto::ids::AccountId;

use super::{Db, Result, parse_bytes, parse_id, statements, values};

statements! {
    INSERT = "INSERT INTO mail_challenges (ticket_hash, purpose, account_id, email, password_hash, code_hash, expires_at, tries_left) \
              VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    /// Counted before it is judged: parallel guesses get no more tries than others.
    TRY = "UPDATE mail_challenges SET tries_left = tries_left - 1 WHERE ticket_hash = $1 AND purpose = $2 AND expires_at > $3 AND tries_left > 0 \
           RETURNING code_hash";
    /// The one place where a code is used.
    USE = "DELETE FROM mail_challenges WHERE ticket_hash = $1 AND code_hash = $2 RETURNING account_id, email, password_hash";
    END_OF_ACCOUNT = "DELETE FROM mail_challenges WHERE account_id = $1";
}

/// What a code is for. The text is what is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To make an account for the address it went to.
    SignUp,
    /// To set a new password without the old one.
    Reset,
    /// To move an account to the address it went to.
    ChangeEmail,
}

impl Purpose {
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::SignUp => "sign_up",
            Self::Reset => "reset",
            Self::ChangeEmail => "change_email",
        }
    }
}

/// What the right code leads to. No `Debug`: it holds an address and a password hash.
#[derive(Clone)]
pub(crate) struct Meant {
    /// Whose account; none for an account to be, and where there is none.
    pub(crate) account: Option<AccountId>,
    pub(crate) email: Option<String>,
    pub(crate) password_hash: Option<String>,
}

/// A code and how long it may be tried.
pub(crate) struct Code {
    pub(crate) hash: [u8; 32],
    pub(crate) expires_at: i64,
    pub(crate) tries: i64,
}

pub(crate) async fn insert(db: &Db, ticket: &[u8; 32], purpose: Purpose, meant: &Meant, code: &Code) -> Result<()> {
    let account = meant.account.as_ref().map(AccountId::as_str);
    let (email, password) = (meant.email.as_deref(), meant.password_hash.as_deref());
    let Code { hash, expires_at, tries } = code;
    let values = values![ticket, purpose.text(), account, email, password, hash, *expires_at, *tries];
    db.write(INSERT, values).await?;
    Ok(())
}

/// Use a code: what it was for, if it was right and nobody else used it at the same moment.
pub(crate) async fn use_up(
    db: &Db,
    ticket: &[u8; 32],
    purpose: Purpose,
    code: &[u8; 32],
    now: i64,
) -> Result<Option<Meant>> {
    let row: Option<(Vec<u8>,)> = db.write_one(TRY, values![ticket, purpose.text(), now]).await?;
    let Some((stored,)) = row else { return Ok(None) };
    if parse_bytes::<32>(&stored, "mail_challenges", "code_hash")? != *code {
        return Ok(None);
    }
    let row: Option<(Option<String>, Option<String>, Option<String>)> =
        db.write_one(USE, values![ticket, code]).await?;
    row.map(|(account, email, password_hash)| {
        let account = account.map(|id| parse_id(&id, "mail_challenges", "account_id")).transpose()?;
        Ok(Meant { account, email, password_hash })
    })
    .transpose()
}

/// Whatever else was asked for on behalf of an account counts no more.
pub(crate) async fn end_of_account(db: &Db, account: &AccountId) -> Result<()> {
    db.write(END_OF_ACCOUNT, values![account.as_str()]).await?;
    Ok(())
}
