//! Signing in.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::credentials::{Entered, Next};
use super::visitor::Visitor;
use super::{Frame, PageError, answer, page, second_step, see_other};
use crate::config::SignUp;
use crate::form::Form;
use crate::passwords::{self, Passwords, normalise_email};
use crate::rate_limits::Attempt;
use crate::shared::Shared;
use crate::store::accounts::{self, Account};
use crate::words;

const FORM: &str = "sign-in";

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignIn<'a> {
    frame: Frame,
    form_token: String,
    next: &'a Next,
    email: &'a str,
    error: Option<&'static str>,
    may_sign_up: bool,
}

/// GET `/sign-in?next=…`; with `again`, even somebody who is signed in has to.
pub(super) async fn show(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    answer(&shared, try_show(&shared, request).await)
}

async fn try_show(shared: &Shared, request: Request) -> Result<Response, PageError> {
    let visitor = Visitor::of(shared, request.headers()).await?;
    let form = Form::parse(request.uri().query().unwrap_or_default().as_bytes())?;
    let next = Next::of(&form);
    if visitor.session.is_some() && form.value("again").is_none() {
        return Ok(see_other(next.location()));
    }
    Ok(sign_in_page(shared, &visitor, StatusCode::OK, &next, "", None))
}

/// POST `/sign-in`.
pub(super) async fn submit(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    answer(&shared, try_submit(&shared, request).await)
}

async fn try_submit(shared: &Shared, request: Request) -> Result<Response, PageError> {
    let entered = Entered::read(shared, request, FORM).await?;
    let again =
        |status, error| sign_in_page(shared, &entered.visitor, status, &entered.next, entered.email(), Some(error));
    match check_password(shared, &entered).await? {
        Verdict::Right(account) => {
            renew_hash(shared, &account, entered.password()).await?;
            if second_step::is_on(shared, &account.id).await? {
                return second_step::ask(shared, &entered, &account.id).await;
            }
            tracing::info!(account.id = %account.id, "signed in");
            entered.go_on(shared, &account.id, &account.email).await
        }
        Verdict::Wrong => {
            let error = "signin-mismatch";
            Ok(again(StatusCode::UNPROCESSABLE_ENTITY, error))
        }
        Verdict::Suspended => {
            let error = "signin-suspended";
            Ok(again(StatusCode::FORBIDDEN, error))
        }
    }
}

enum Verdict {
    Right(Account),
    /// Unknown address and wrong password are one case, in answer and in work.
    Wrong,
    Suspended,
}

async fn check_password(shared: &Shared, entered: &Entered) -> Result<Verdict, PageError> {
    let limits = &shared.config.limits;
    let address = entered.address(shared);
    let count = |what, who: &str, rate| shared.rate_limits.count(what, who, rate);
    count(Attempt::SignIn, &address, limits.sign_in_per_address)?;
    let email = normalise_email(entered.email()).unwrap_or_default();
    let here = format!("{email}\0{address}");
    // Counted before the work: parallel guesses must not slip through.
    count(Attempt::WrongPasswordHere, &here, limits.wrong_passwords_per_account_and_address)?;
    count(Attempt::WrongPassword, &email, limits.wrong_passwords_per_account)?;
    let compared = compare(shared, &email, entered.password()).await;
    // And given back unless it was a wrong guess: of who was sent away in a crowd, no password was looked at.
    if !matches!(compared, Ok((false, _))) {
        shared.rate_limits.give_back(Attempt::WrongPasswordHere, &here, limits.wrong_passwords_per_account_and_address);
        shared.rate_limits.give_back(Attempt::WrongPassword, &email, limits.wrong_passwords_per_account);
    }
    let (right, account) = compared?;
    if !right {
        return Ok(Verdict::Wrong);
    }
    Ok(match account {
        Some(account) if account.suspended => Verdict::Suspended,
        Some(account) => Verdict::Right(account),
        None => Verdict::Wrong,
    })
}

/// Whether the password is that of the account with this address, and the account, if there is one.
async fn compare(shared: &Shared, email: &str, password: &str) -> Result<(bool, Option<Account>), PageError> {
    let account = accounts::by_email(&shared.db, email).await?;
    let stored = account.as_ref().map(|account| account.password_hash.as_str());
    let password = Some(password).filter(|password| password.len() <= passwords::MAX_BYTES);
    let right = shared.passwords.verify(password.unwrap_or_default(), stored).await?;
    Ok((right, account))
}

/// The only moment at which a hash can be made anew is when its password is at hand. On a busy day it waits for another.
async fn renew_hash(shared: &Shared, account: &Account, password: &str) -> Result<(), PageError> {
    if Passwords::is_outdated(&account.password_hash)
        && let Ok(hash) = shared.passwords.hash(password).await
    {
        accounts::rehash(&shared.db, &account.id, &account.password_hash, &hash).await?;
        tracing::info!(account.id = %account.id, "a password hash was brought up to date");
    }
    Ok(())
}

fn sign_in_page(
    shared: &Shared,
    visitor: &Visitor,
    status: StatusCode,
    next: &Next,
    email: &str,
    error: Option<&'static str>,
) -> Response {
    let template = SignIn {
        frame: Frame::new(words::say("signin-title"), None),
        form_token: visitor.form_token(shared, FORM),
        next,
        email,
        error,
        may_sign_up: shared.config.limits.sign_up == SignUp::Open,
    };
    page(shared, visitor, status, &template)
}
