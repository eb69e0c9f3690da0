//! Moving an account to another e-mail address: first the new one is shown to be one's own, then the old one is told.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::known::Trier;
use super::security::{overview, recently_signed_in};
use super::{Frame, PageError, Place, Posted, answer, begin_as, codes, page};
use crate::passwords::normalise_email;
use crate::rate_limits::address_key;
use crate::shared::Shared;
use crate::store::mail_challenges::{self, Meant, Purpose};
use crate::store::web_sessions::Session;
use crate::store::{accounts, activity};
use crate::words;

#[derive(Template)]
#[template(path = "email_change.html")]
struct EmailChange<'a> {
    frame: Frame,
    form_token: String,
    email: &'a str,
    ticket: &'a str,
    /// Mail waits in a directory of this machine.
    as_files: bool,
    error: Option<String>,
}

/// POST `/security/email`: to which address. Whether somebody else has it is not told here.
pub(super) async fn begin(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    answer(&shared, try_begin(&shared, request).await)
}

async fn try_begin(shared: &Shared, request: Request) -> Result<Response, PageError> {
    let (posted, session) = match recently_signed_in(shared, request).await? {
        Ok(both) => both,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let Some(email) = normalise_email(posted.form.value("email").unwrap_or_default()) else {
        let problem = Some(("email", "signup-email-wrong"));
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        return overview(shared, &posted.visitor, &session, status, problem, None).await;
    };
    // Nobody is known at an address that is not theirs yet.
    let from = Trier::stranger(address_key(shared.client_address(&posted.parts)));
    codes::count_mail(shared, &from, &email)?;
    let taken = accounts::by_email(&shared.db, &email).await?.is_some();
    let meant = Meant { account: Some(session.account_id.clone()), email: Some(email.clone()), password_hash: None };
    let (ticket, code) = codes::begin(shared, Purpose::ChangeEmail, &meant).await?;
    if taken {
        let text = words::with("identity-mail-known", &[("cloud", shared.issuer.as_str().into())]);
        shared.mail.send(&email, &words::say("identity-mail-known-subject"), &text);
    } else {
        codes::send(shared, Purpose::ChangeEmail, &email, &code);
    }
    Ok(code_page(shared, &posted, &session, &email, ticket.as_str(), None))
}

/// POST `/security/email/confirm`: the code that went to the new address.
pub(super) async fn confirm(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    answer(&shared, try_confirm(&shared, request).await)
}

async fn try_confirm(shared: &Shared, request: Request) -> Result<Response, PageError> {
    let (posted, session) = match recently_signed_in(shared, request).await? {
        Ok(both) => both,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let value = |name| posted.form.value(name).unwrap_or_default();
    let wrong = || {
        let error = Some(words::say("mailed-code-wrong"));
        Ok(code_page(shared, &posted, &session, value("email"), value("ticket"), error))
    };
    let right = codes::judge_typed(shared, Purpose::ChangeEmail, value("ticket"), value("code")).await?;
    // A page of another account in the same browser is as good as a wrong code.
    let right = right.filter(|right| right.meant.account.as_ref() == Some(&session.account_id));
    let Some((email, right)) = right.and_then(|right| Some((right.meant.email.clone()?, right))) else {
        return wrong();
    };
    let mut tx = begin_as(shared, &session).await?;
    if !mail_challenges::use_up(&mut tx, &right).await? {
        return wrong();
    }
    if !accounts::change_email(&mut tx, &session.account_id, &email, shared.now()).await? {
        drop(tx);
        let problem = Some(("email", "signup-email-taken"));
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        return overview(shared, &posted.visitor, &session, status, problem, None).await;
    }
    mail_challenges::end_of_account(&mut tx, &session.account_id).await?;
    tx.commit().await?;
    tell_old_address(shared, &session).await;
    let session = Session { email, ..session };
    let done = Some("identity-email-changed");
    overview(shared, &posted.visitor, &session, StatusCode::OK, None, done).await
}

/// Whoever took over somebody's browser must not do this unnoticed.
async fn tell_old_address(shared: &Shared, session: &Session) {
    tracing::info!(account.id = %session.account_id, "the e-mail address was changed");
    activity::note(&shared.db, &session.account_id, activity::Kind::EmailChanged, "", shared.now()).await;
    let text = words::with("identity-mail-moved", &[("cloud", shared.issuer.as_str().into())]);
    shared.mail.send(&session.email, &words::say("identity-mail-moved-subject"), &text);
}

fn code_page(
    shared: &Shared,
    posted: &Posted,
    session: &Session,
    email: &str,
    ticket: &str,
    error: Option<String>,
) -> Response {
    let status = if error.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let template = EmailChange {
        frame: Frame::new(words::say("identity-email-title"), Some(session)).at(Place::Security),
        form_token: posted.visitor.form_token(shared, super::security::FORM),
        email,
        ticket,
        as_files: shared.mail.writes_files(),
        error,
    };
    page(shared, &posted.visitor, status, &template)
}
