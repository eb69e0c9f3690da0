//! Codes by mail: to set a new password without the old one, and to confirm one's address.
//!
//! Codes and no links: in the Alexa app's own browser a link from the mail would open somewhere else, and the way there
//! would be lost. These pages tell nobody whether an address has an account.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use macloud_proto::ids::AccountId;

use super::credentials::{Entered, Next};
use super::visitor::Visitor;
use super::{Frame, PageError, answer, codes, page, posted, second_step, see_other};
use crate::form::{Form, encode};
use crate::oauth::{draw_user_code, normalise_user_code};
use crate::passwords::{self, normalise_email};
use crate::rate_limits::Attempt;
use crate::shared::Shared;
use crate::store::accounts::{self, Account};
use crate::store::mail_challenges::{self as challenges, Meant, Right};
use crate::store::mailed_codes::{self, Purpose};
use crate::store::web_sessions::Session;
use crate::store::{
    Tx, activity, event_grants, grants, home_assistant, identities, instances, members, passkeys, second_factors,
    web_sessions,
};
use crate::words;

const FORM: &str = "mailed";

#[derive(Template)]
#[template(path = "forgot.html")]
struct Forgot<'a> {
    frame: Frame,
    form_token: String,
    next: &'a Next,
}

#[derive(Template)]
#[template(path = "reset.html")]
struct Reset<'a> {
    frame: Frame,
    form_token: String,
    next: &'a Next,
    email: &'a str,
    ticket: &'a str,
    /// Mail waits in a directory of this machine.
    as_files: bool,
    error: Option<&'static str>,
}

#[derive(Template)]
#[template(path = "verify.html")]
struct Verify<'a> {
    frame: Frame,
    form_token: String,
    next: &'a Next,
    /// They come from an invitation that is for this address alone.
    invited: bool,
    email: String,
    sent: bool,
    as_files: bool,
    error: Option<&'static str>,
}

/// GET `/forgot?next=…`.
pub(super) async fn show_forgot(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let outcome = async {
        let visitor = Visitor::of(&shared, &parts.headers).await?;
        let form = Form::parse(parts.uri.query().unwrap_or_default().as_bytes())?;
        let frame = Frame::new(words::say("mailed-forgot-title"), None);
        let template = Forgot { frame, form_token: visitor.form_token(&shared, FORM), next: &Next::of(&form) };
        Ok(page(&shared, &visitor, StatusCode::OK, &template))
    };
    answer(&shared, outcome.await)
}

/// POST `/forgot`: send a code to the account of this address, if there is one.
pub(super) async fn forgot(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let outcome = async {
        let entered = Entered::read(&shared, request, FORM).await?;
        let email = normalise_email(entered.email()).unwrap_or_default();
        codes::count_mail(&shared, &entered.trier(&shared, &email).await?, &email)?;
        let account = accounts::by_email(&shared.db, &email).await?.filter(|account| !account.suspended);
        let id = account.as_ref().map(|account| account.id.clone());
        let meant = Meant { account: id, email: None, password_hash: None };
        let (ticket, code) = codes::begin(&shared, challenges::Purpose::Reset, &meant).await?;
        if let Some(account) = account {
            codes::send(&shared, challenges::Purpose::Reset, &account.email, &code);
        }
        Ok(reset_page(&shared, &entered, ticket.as_str(), None))
    };
    answer(&shared, outcome.await)
}

/// POST `/reset`: the code, and the new password.
pub(super) async fn reset(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    answer(&shared, try_reset(&shared, request).await)
}

async fn try_reset(shared: &Shared, request: Request) -> Result<Response, PageError> {
    let entered = Entered::read(shared, request, FORM).await?;
    let again = |error| Ok(reset_page(shared, &entered, entered.value("ticket"), Some(error)));
    let email = normalise_email(entered.email()).unwrap_or_default();
    if let Err(rule) = passwords::check_new(entered.password(), &email) {
        return again(rule.message());
    }
    // The code has its own tries; this bounds the hashing.
    let from = entered.address(shared);
    shared.rate_limits.count(Attempt::SignIn, &from, shared.config.limits.sign_in_per_address)?;
    // Before anything is known about the account: both cases take the same work.
    let hash = shared.passwords.hash(entered.password()).await?;
    let right = codes::judge(shared, challenges::Purpose::Reset, &entered).await?;
    let account = match right.as_ref().and_then(|right| right.meant.account.as_ref()) {
        Some(id) => accounts::by_id(&shared.db, id).await?.filter(|account| !account.suspended),
        None => None,
    };
    let (Some(right), Some(account)) = (right, account) else { return again("mailed-code-wrong") };
    let account = Account { password_hash: hash, ..account };
    if !set_anew(shared, &right, &account).await? {
        return again("mailed-code-wrong");
    }
    tracing::info!(account.id = %account.id, "the password was set anew by a mailed code");
    activity::note(&shared.db, &account.id, activity::Kind::PasswordChanged, "", shared.now()).await;
    shared.mail.send(&account.email, &words::say("mailed-changed-subject"), &words::say("mailed-changed-text"));
    if second_step::has_app(shared, &account.id).await? {
        return second_step::ask(shared, &entered.visitor, &entered.next, &account).await;
    }
    entered.go_on(shared, &account).await
}

/// Use a right code to give an account the password that is in it now. Whether nobody else used it at the same moment.
async fn set_anew(shared: &Shared, right: &Right, account: &Account) -> Result<bool, PageError> {
    let mut tx = shared.db.begin().await?;
    // First of all: it holds the account, so that nobody signs in or makes anything with what is about to end.
    accounts::set_password(&mut tx, &account.id, &account.password_hash).await?;
    if !challenges::use_up(&mut tx, right).await? {
        return Ok(false);
    }
    web_sessions::end_all(&mut tx, &account.id).await?;
    challenges::end_of_account(&mut tx, &account.id).await?;
    if accounts::prove_email(&mut tx, &account.id, shared.now()).await? {
        end_what_came_before(&mut tx, &account.id, shared.now()).await?;
    }
    shared.commit(tx).await?;
    Ok(true)
}

/// Until now nobody had shown that the address is theirs: whoever made the account may be somebody else, and what they linked,
/// paired, allowed or set up must not outlive the first proof.
async fn end_what_came_before(tx: &mut Tx, account: &AccountId, now: i64) -> Result<(), PageError> {
    passkeys::end_all(tx, account).await?;
    identities::end_all(tx, account).await?;
    second_factors::end(tx, account).await?;
    event_grants::end_all(tx, account).await?;
    home_assistant::forget(tx, account).await?;
    grants::end_of_account(tx, account, now).await?;
    instances::end_of_account(tx, account, now).await?;
    Ok(members::leave_all(tx, account, now).await?)
}

fn reset_page(shared: &Shared, entered: &Entered, ticket: &str, error: Option<&'static str>) -> Response {
    let status = if error.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let template = Reset {
        frame: Frame::new(words::say("mailed-forgot-title"), None),
        form_token: entered.visitor.form_token(shared, FORM),
        next: &entered.next,
        email: entered.email(),
        ticket,
        as_files: shared.mail.writes_files(),
        error,
    };
    page(shared, &entered.visitor, status, &template)
}

/// GET `/verify?next=…`.
pub(super) async fn show_verify(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let outcome = async {
        let (parts, _) = request.into_parts();
        let visitor = Visitor::of(&shared, &parts.headers).await?;
        let next = Next::of(&Form::parse(parts.uri.query().unwrap_or_default().as_bytes())?);
        let Some(session) = visitor.session.clone() else { return Ok(sign_in_to_verify(&next)) };
        Ok(verify_page(&shared, &visitor, &session, &next, Typed::Nothing))
    };
    answer(&shared, outcome.await)
}

fn sign_in_to_verify(next: &Next) -> Response {
    see_other(&format!("/sign-in?next={}", encode(&next.link("/verify"))))
}

/// POST `/verify`: a code, or without one the wish for a fresh one.
pub(super) async fn verify(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let outcome = async {
        let posted = posted(&shared, request, FORM).await?;
        let next = Next::of(&posted.form);
        let Some(session) = posted.visitor.session.clone() else { return Ok(sign_in_to_verify(&next)) };
        let Some(typed) = posted.form.value("code") else {
            let limit = shared.config.limits.mailed_codes;
            // Not the address: strangers can use that up.
            shared.rate_limits.count(Attempt::MailedCode, session.account_id.as_str(), limit)?;
            send_code(&shared, &session.account_id, &session.email).await?;
            return Ok(verify_page(&shared, &posted.visitor, &session, &next, Typed::AnotherWanted));
        };
        if !is_right(&shared, &session.account_id, Purpose::Verify, typed).await? {
            return Ok(verify_page(&shared, &posted.visitor, &session, &next, Typed::Wrong));
        }
        accounts::verify_email(&shared.db, &session.account_id, shared.now()).await?;
        Ok(see_other(if next.text().is_empty() { "/security" } else { next.location() }))
    };
    answer(&shared, outcome.await)
}

/// What somebody did on the page before.
enum Typed {
    Nothing,
    AnotherWanted,
    Wrong,
}

fn verify_page(shared: &Shared, visitor: &Visitor, session: &Session, next: &Next, typed: Typed) -> Response {
    let (status, sent, error) = match typed {
        Typed::Nothing => (StatusCode::OK, false, None),
        Typed::AnotherWanted => (StatusCode::OK, true, None),
        Typed::Wrong => (StatusCode::UNPROCESSABLE_ENTITY, false, Some("mailed-code-wrong")),
    };
    let template = Verify {
        frame: Frame::new(words::say("mailed-verify-title"), Some(session)),
        form_token: visitor.form_token(shared, FORM),
        next,
        invited: next.text().starts_with("/join"),
        email: session.email.clone(),
        sent,
        as_files: shared.mail.writes_files(),
        error,
    };
    page(shared, visitor, status, &template)
}

/// Send a fresh code to confirm an address; the one before stops working.
pub(super) async fn send_code(shared: &Shared, account: &AccountId, email: &str) -> Result<(), PageError> {
    let code = draw_user_code();
    let normalised = normalise_user_code(&code).expect("we drew it");
    let hash = shared.master.mailed_code_hash(Purpose::Verify.text(), account.as_str(), &normalised);
    mailed_codes::replace(&shared.db, account, Purpose::Verify, &hash, shared.now() + CODE_SECONDS, TRIES).await?;
    codes::mail(shared, "mailed-code-verify", email, &code);
    Ok(())
}

async fn is_right(shared: &Shared, account: &AccountId, purpose: Purpose, typed: &str) -> Result<bool, PageError> {
    let Some(code) = normalise_user_code(typed) else { return Ok(false) };
    let hash = shared.master.mailed_code_hash(purpose.text(), account.as_str(), &code);
    Ok(mailed_codes::use_up(&shared.db, account, purpose, &hash, shared.now()).await?)
}

const CODE_SECONDS: i64 = 900;
/// Of 25 billion codes.
const TRIES: i64 = 5;
