//! Codes that were sent by mail to whoever asked on a page: to sign up, to set a new password, to change one's address.
//!
//! Each belongs to the page that asked, by the hash of that page's ticket. A stranger who asks for the same address gets
//! a code and tries of their own.

use macloud_proto::ids::AccountId;

use super::{Db, Result, Tx, parse_bytes, parse_id, statements, values};

statements! {
    INSERT = "INSERT INTO mail_challenges (ticket_hash, purpose, account_id, email, password_hash, code_hash, expires_at, tries_left) \
              VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    /// Counted before it is judged: parallel guesses get no more tries than others.
    TRY = "UPDATE mail_challenges SET tries_left = tries_left - 1 WHERE ticket_hash = $1 AND purpose = $2 AND expires_at > $3 AND tries_left > 0 \
           RETURNING code_hash, account_id, email, password_hash";
    /// The one place where a code is used.
    USE = "DELETE FROM mail_challenges WHERE ticket_hash = $1 AND code_hash = $2";
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

/// A code that is right, and was not used yet.
pub(crate) struct Right {
    pub(crate) meant: Meant,
    ticket: [u8; 32],
    code: [u8; 32],
}

type Tried = (Vec<u8>, Option<String>, Option<String>, Option<String>);

/// Try a code. It counts once [`use_up`] says so.
pub(crate) async fn try_out(
    db: &Db,
    ticket: &[u8; 32],
    purpose: Purpose,
    code: &[u8; 32],
    now: i64,
) -> Result<Option<Right>> {
    let row: Option<Tried> = db.write_one(TRY, values![ticket, purpose.text(), now]).await?;
    let Some((stored, account, email, password_hash)) = row else { return Ok(None) };
    if parse_bytes::<32>(&stored, "mail_challenges", "code_hash")? != *code {
        return Ok(None);
    }
    let account = account.map(|id| parse_id(&id, "mail_challenges", "account_id")).transpose()?;
    Ok(Some(Right { meant: Meant { account, email, password_hash }, ticket: *ticket, code: *code }))
}

/// Use a right code, together with what it is for: what could not be done leaves the code as it was. Whether nobody else used
/// it at the same moment.
pub(crate) async fn use_up(tx: &mut Tx, right: &Right) -> Result<bool> {
    Ok(tx.write(USE, values![&right.ticket, &right.code]).await? == 1)
}

/// Whatever else was asked for on behalf of an account counts no more.
pub(crate) async fn end_of_account(tx: &mut Tx, account: &AccountId) -> Result<()> {
    tx.write(END_OF_ACCOUNT, values![account.as_str()]).await?;
    Ok(())
}
