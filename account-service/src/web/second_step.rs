//! The second step of signing in, for those who have turned it on: a code from their app, or a recovery code.
//!
//! Between the steps nothing is kept: a sealed ticket in the form says whose password was right. It opens only for the
//! browser it was made for, for ten minutes, and while the password is still that one.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use macloud_proto::ids::AccountId;

use super::credentials::{Entered, Next};
use super::passkeys::{self, Asked, Purpose};
use super::visitor::Visitor;
use super::{Frame, PageError, answer, counted, known, page_with_script, sign_in};
use crate::rate_limits::Attempt;
use crate::second_factor::{matching_step, normalise_recovery_code};
use crate::secrets;
use crate::shared::Shared;
use crate::store::accounts::{self, Account};
use crate::store::second_factors;
use crate::words;

const FORM: &str = "second-step";
const WAY: &str = "second_step";

#[derive(Template)]
#[template(path = "second_step.html")]
struct SecondStep<'a> {
    frame: Frame,
    form_token: String,
    next: &'a Next,
    ticket: &'a str,
    passkey: Option<Asked>,
    script: &'static str,
    error: Option<String>,
}

/// Whether there is an app that shows codes for this account; then signing in takes a second step.
pub(super) async fn has_app(shared: &Shared, account: &AccountId) -> Result<bool, PageError> {
    Ok(second_factors::of_account(&shared.db, account).await?.is_some_and(|totp| totp.confirmed))
}

/// Ask for the code of an account whose password was right, or whom another provider knows.
pub(super) async fn ask(
    shared: &Shared,
    visitor: &Visitor,
    next: &Next,
    account: &Account,
) -> Result<Response, PageError> {
    let ticket = ticket(shared, visitor, &account.id, &account.password_hash);
    ask_with(shared, visitor, next, &account.id, &ticket, None).await
}

async fn ask_with(
    shared: &Shared,
    visitor: &Visitor,
    next: &Next,
    account: &AccountId,
    ticket: &str,
    error: Option<String>,
) -> Result<Response, PageError> {
    let status = if error.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let template = SecondStep {
        frame: Frame::new(words::say("step-title"), None),
        form_token: visitor.form_token(shared, FORM),
        next,
        ticket,
        passkey: passkeys::ask_for_second_step(shared, visitor, account).await?,
        script: passkeys::script(),
        error,
    };
    Ok(page_with_script(shared, visitor, status, &template))
}

/// POST `/sign-in/code`: a code, or the answer of a passkey.
pub(super) async fn submit(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    answer(&shared, counted(&shared, WAY, try_submit(&shared, request).await))
}

async fn try_submit(shared: &Shared, request: Request) -> Result<Response, PageError> {
    let entered = Entered::read(shared, request, FORM).await?;
    let ticket = entered.value("ticket");
    let (account, password) = read_ticket(shared, &entered.visitor, ticket).ok_or(PageError::Forgery)?;
    let account = accounts::by_id(&shared.db, &account).await?.filter(|account| !account.suspended);
    let account = account.filter(|account| password_mark(&account.password_hash) == password);
    let account = account.ok_or(PageError::Forgery)?;
    let error = match entered.value("credential") {
        "" if is_right(shared, entered.headers(), &account.id, entered.value("code")).await? => None,
        "" => Some(words::say("step-wrong")),
        credential if has_passkey(shared, &entered, &account.id, credential).await? => None,
        _ => Some(words::say("identity-passkey-wrong")),
    };
    if error.is_some() {
        // The same ticket: wrong codes must not prolong it.
        let page = ask_with(shared, &entered.visitor, &entered.next, &account.id, ticket, error).await?;
        shared.metrics.sign_in(WAY, "wrong");
        return Ok(page);
    }
    tracing::info!(account.id = %account.id, "signed in with a second step");
    let page = entered.go_on(shared, &account).await?;
    shared.metrics.sign_in(WAY, "ok");
    Ok(page)
}

async fn has_passkey(
    shared: &Shared,
    entered: &Entered,
    account: &AccountId,
    credential: &str,
) -> Result<bool, PageError> {
    let (purpose, ticket) = (Purpose::SecondStep(account), entered.value("passkey_ticket"));
    let shown = passkeys::judge(shared, &entered.visitor, purpose, ticket, credential).await?;
    Ok(shown.is_some_and(|shown| shown.id == *account))
}

/// POST `/sign-in/app`: somebody who is signed in shows anew that it is them, by a code of their app.
pub(super) async fn show_again(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let outcome = async {
        let entered = Entered::read(&shared, request, sign_in::FORM).await?;
        let Some(session) = entered.visitor.session.clone() else { return Err(PageError::Forgery) };
        let account = accounts::by_id(&shared.db, &session.account_id).await?.ok_or(PageError::Forgery)?;
        if !is_right(&shared, entered.headers(), &account.id, entered.value("code")).await? {
            return sign_in::again(&shared, &entered, words::say("identity-app-code-wrong")).await;
        }
        entered.go_on(&shared, &account).await
    };
    answer(&shared, outcome.await)
}

/// Whether this is a code of the account's app, or one of its recovery codes; either works once. Whoever found out the password
/// can use up the tries of the account, but not those of a browser that is known there.
pub(super) async fn is_right(
    shared: &Shared,
    headers: &HeaderMap,
    account: &AccountId,
    typed: &str,
) -> Result<bool, PageError> {
    let limit = shared.config.limits.wrong_second_steps_per_account;
    let known = known::at(shared, headers, account).await?.map(|known| known.browser);
    let count = |who: &str| shared.rate_limits.count(Attempt::WrongSecondStep, who, limit);
    let who = match known {
        Some(browser) if count(&browser).is_ok() => browser,
        _ => {
            count(account.as_str())?;
            account.to_string()
        }
    };
    let judged = use_up(shared, account, typed).await;
    // Given back unless it was a wrong guess: what we could not look at is none.
    if !matches!(judged, Ok(false)) {
        shared.rate_limits.give_back(Attempt::WrongSecondStep, &who, limit);
    }
    judged
}

async fn use_up(shared: &Shared, account: &AccountId, typed: &str) -> Result<bool, PageError> {
    let Some(totp) = second_factors::of_account(&shared.db, account).await?.filter(|totp| totp.confirmed) else {
        return Ok(false);
    };
    if let Some(code) = normalise_recovery_code(typed) {
        let hash = shared.master.recovery_code_hash(account.as_str(), &code);
        return Ok(second_factors::use_code(&shared.db, account, &hash).await?);
    }
    let secret = open_secret(shared, account, &totp.sealed_secret)?;
    let Some(step) = matching_step(&secret, typed, shared.now()) else { return Ok(false) };
    Ok(second_factors::use_step(&shared.db, account, step).await?)
}

/// Where a secret is kept, so that it opens only there.
pub(super) fn place(account: &AccountId) -> String {
    format!("totp_secrets/{account}")
}

pub(super) fn open_secret(shared: &Shared, account: &AccountId, sealed: &[u8]) -> Result<Vec<u8>, PageError> {
    shared.master.open(&place(account), sealed).ok_or_else(|| {
        tracing::error!(account.id = %account, "the secret of an authenticator app was sealed with another key file");
        PageError::Unavailable
    })
}

fn ticket(shared: &Shared, visitor: &Visitor, account: &AccountId, password_hash: &str) -> String {
    let expires_at = shared.now() + TICKET_SECONDS;
    let place = ticket_place(shared, visitor);
    let text = format!("{expires_at} {account} {}", password_mark(password_hash));
    URL_SAFE_NO_PAD.encode(shared.master.seal(&place, text.as_bytes()))
}

/// Whose password was right, and the mark of that password.
fn read_ticket(shared: &Shared, visitor: &Visitor, ticket: &str) -> Option<(AccountId, String)> {
    let sealed = URL_SAFE_NO_PAD.decode(ticket).ok()?;
    let plain = String::from_utf8(shared.master.open(&ticket_place(shared, visitor), &sealed)?).ok()?;
    let mut words = plain.split(' ');
    let (expires_at, account, mark) = (words.next()?, words.next()?, words.next()?);
    let is_fresh = expires_at.parse::<i64>().ok()? > shared.now();
    if is_fresh { Some((account.parse().ok()?, mark.to_owned())) } else { None }
}

/// Changes with the password.
fn password_mark(password_hash: &str) -> String {
    URL_SAFE_NO_PAD.encode(secrets::hash(password_hash))
}

/// The form token stands for the browser's cookie.
fn ticket_place(shared: &Shared, visitor: &Visitor) -> String {
    format!("second-step/{}", visitor.form_token(shared, FORM))
}

const TICKET_SECONDS: i64 = 600;
