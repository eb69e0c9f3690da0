//! Codes by mail for a page that asked: sending them, and judging what is typed.
//!
//! A code belongs to the page that asked for it, by a ticket in its form. So a stranger who asks for somebody's address
//! gets a code of their own and tries of their own, and takes nothing from whoever holds a code already. Where no account
//! is meant, all the same steps are taken, and the code goes to nobody.

use super::PageError;
use super::credentials::Entered;
use super::known::Trier;
use crate::oauth::{draw_user_code, normalise_user_code};
use crate::rate_limits::Attempt;
use crate::secrets::{Kind, Secret, lookup_hash};
use crate::shared::Shared;
use crate::store::mail_challenges::{self, Code, Meant, Purpose, Right};
use crate::words;

/// Count a mail that somebody wants sent to this address: for them at this address, for their network, and for the
/// address from anywhere. The last is high, and the only one that strangers can use up for somebody. Those who are known there
/// have, all together, as many to themselves as one stranger.
pub(super) fn count_mail(shared: &Shared, trier: &Trier, email: &str) -> Result<(), PageError> {
    let limits = &shared.config.limits;
    let from_here = (Attempt::MailedCodeHere, trier.network.as_str(), limits.mailed_codes_per_network);
    if let Some(known) = &trier.known {
        let as_known = [(Attempt::MailedCode, known.account.as_str(), limits.mailed_codes), from_here];
        if shared.rate_limits.count_all(&as_known).is_ok() {
            return Ok(());
        }
    }
    let here = format!("{email}\0{}", trier.network);
    shared.rate_limits.count_all(&[
        (Attempt::MailedCode, &here, limits.mailed_codes),
        from_here,
        (Attempt::Mailbox, email, limits.mails_per_mailbox),
    ])?;
    Ok(())
}

/// Make a code for a page: the ticket for the page's form, and the code for the mail.
pub(super) async fn begin(shared: &Shared, purpose: Purpose, meant: &Meant) -> Result<(Secret, String), PageError> {
    let ticket = Secret::new(Kind::MailTicket);
    let code = draw_user_code();
    let hash = hash(shared, purpose, ticket.as_str(), &code).expect("we drew it");
    let kept = Code { hash, expires_at: shared.now() + SECONDS, tries: TRIES };
    mail_challenges::insert(&shared.db, &ticket.hash(), purpose, meant, &kept).await?;
    Ok((ticket, code))
}

/// Send a code to whom it is meant for.
pub(super) fn send(shared: &Shared, purpose: Purpose, email: &str, code: &str) {
    let what_for = match purpose {
        Purpose::SignUp => "identity-mail-sign-up",
        Purpose::Reset => "mailed-code-reset",
        Purpose::ChangeEmail => "identity-mail-change",
    };
    mail(shared, what_for, email, code);
}

/// The one mail with a code: what for, the code, and what to do about it.
pub(super) fn mail(shared: &Shared, what_for: &str, email: &str, code: &str) {
    let before = words::with(what_for, [("cloud", shared.issuer.as_str().into())]);
    let text = format!("{before}\n\n    {code}\n\n{}\n", words::say("mailed-code-after"));
    shared.mail.send(email, &words::with("mailed-code-subject", [("code", code.into())]), &text);
}

/// Judge what was typed into a page. A right code is used up by whoever does what it is for.
pub(super) async fn judge(shared: &Shared, purpose: Purpose, entered: &Entered) -> Result<Option<Right>, PageError> {
    judge_typed(shared, purpose, entered.value("ticket"), entered.value("code")).await
}

pub(super) async fn judge_typed(
    shared: &Shared,
    purpose: Purpose,
    ticket: &str,
    typed: &str,
) -> Result<Option<Right>, PageError> {
    let Some(ticket_hash) = lookup_hash(Kind::MailTicket, ticket) else { return Ok(None) };
    let Some(hash) = hash(shared, purpose, ticket, typed) else { return Ok(None) };
    Ok(mail_challenges::try_out(&shared.db, &ticket_hash, purpose, &hash, shared.now()).await?)
}

fn hash(shared: &Shared, purpose: Purpose, ticket: &str, code: &str) -> Option<[u8; 32]> {
    let code = normalise_user_code(code)?;
    Some(shared.master.mailed_code_hash(purpose.text(), ticket, &code))
}

const SECONDS: i64 = 900;
/// Of 25 billion codes.
const TRIES: i64 = 5;
