//! Signing in, and showing anew that it is oneself: by password, passkey, another provider, and then with one's app, too.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::credentials::{Entered, Next};
use super::passkeys::{self, Asked};
use super::upstream::{self, Offered};
use super::visitor::Visitor;
use super::{Frame, PageError, answer, counted, page_with_script, second_step, see_other};
use crate::config::SignUp;
use crate::form::Form;
use crate::passwords::{self, Passwords, normalise_email};
use crate::rate_limits::Attempt;
use crate::shared::Shared;
use crate::store::accounts::{self, Account};
use crate::words;

pub(super) const FORM: &str = "sign-in";

const WAY: &str = "password";

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignIn<'a> {
    frame: Frame,
    form_token: String,
    next: &'a Next,
    email: &'a str,
    error: Option<String>,
    may_sign_up: bool,
    /// Somebody signed in, who is to show anew that it is them, and how they can.
    again: bool,
    password: bool,
    app: bool,
    passkey: Option<Asked>,
    providers: Vec<Offered>,
    provider_token: String,
    script: &'static str,
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
    sign_in_page(shared, &visitor, StatusCode::OK, &next, None, None).await
}

/// POST `/sign-in`.
pub(super) async fn submit(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    answer(&shared, counted(&shared, WAY, try_submit(&shared, request).await))
}

async fn try_submit(shared: &Shared, request: Request) -> Result<Response, PageError> {
    let entered = Entered::read(shared, request, FORM).await?;
    match check_password(shared, &entered).await? {
        Verdict::Right(account) => {
            let account = renew_hash(shared, account, entered.password()).await?;
            if second_step::has_app(shared, &account.id).await? {
                let asked = second_step::ask(shared, &entered.visitor, &entered.next, &account).await?;
                shared.metrics.sign_in(WAY, "second_step");
                return Ok(asked);
            }
            tracing::info!(account.id = %account.id, "signed in");
            let page = entered.go_on(shared, &account).await?;
            shared.metrics.sign_in(WAY, "ok");
            Ok(page)
        }
        Verdict::Wrong => {
            let page = again(shared, &entered, words::say("signin-mismatch")).await?;
            shared.metrics.sign_in(WAY, "wrong");
            Ok(page)
        }
        Verdict::Suspended => {
            let page = refuse_suspended(shared, &entered).await?;
            shared.metrics.sign_in(WAY, "suspended");
            Ok(page)
        }
    }
}

/// The page once more, saying what was wrong.
pub(super) async fn again(shared: &Shared, entered: &Entered, error: String) -> Result<Response, PageError> {
    let Entered { visitor, next, .. } = entered;
    let status = StatusCode::UNPROCESSABLE_ENTITY;
    sign_in_page(shared, visitor, status, next, Some(entered.email()), Some(error)).await
}

pub(super) async fn refuse_suspended(shared: &Shared, entered: &Entered) -> Result<Response, PageError> {
    let error = Some(words::say("signin-suspended"));
    let Entered { visitor, next, .. } = entered;
    sign_in_page(shared, visitor, StatusCode::FORBIDDEN, next, Some(entered.email()), error).await
}

enum Verdict {
    Right(Account),
    /// Unknown address and wrong password are one case, in answer and in work.
    Wrong,
    Suspended,
}

async fn check_password(shared: &Shared, entered: &Entered) -> Result<Verdict, PageError> {
    let limits = &shared.config.limits;
    let email = normalise_email(entered.email()).unwrap_or_default();
    let trier = entered.trier(shared, &email).await?;
    shared.rate_limits.count(Attempt::SignIn, &trier.network, limits.sign_in_per_address)?;
    let here = format!("{email}\0{}", trier.network);
    let few = limits.wrong_passwords_per_account_and_address;
    let as_known = trier.known.as_ref().map(|known| [(Attempt::WrongPasswordByKnown, known.browser.as_str(), few)]);
    let as_stranger = [
        (Attempt::WrongPasswordHere, here.as_str(), few),
        (Attempt::WrongPassword, email.as_str(), limits.wrong_passwords_per_account),
    ];
    // Counted before the work: parallel guesses must not slip through.
    let guess = match &as_known {
        Some(known) if shared.rate_limits.count_all(known).is_ok() => &known[..],
        _ => {
            shared.rate_limits.count_all(&as_stranger)?;
            &as_stranger[..]
        }
    };
    let compared = compare(shared, &email, entered.password()).await;
    // And given back unless it was a wrong guess: of who was sent away in a crowd, no password was looked at.
    if !matches!(compared, Ok((false, _))) {
        shared.rate_limits.give_all_back(guess);
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
async fn renew_hash(shared: &Shared, account: Account, password: &str) -> Result<Account, PageError> {
    if Passwords::is_outdated(&account.password_hash)
        && let Ok(hash) = shared.passwords.hash(password).await
        && accounts::rehash(&shared.db, &account.id, &account.password_hash, &hash).await?
    {
        tracing::info!(account.id = %account.id, "a password hash was brought up to date");
        return Ok(Account { password_hash: hash, ..account });
    }
    Ok(account)
}

/// The page, with all the ways that this service, or the person who is to show anew that it is them, has.
pub(super) async fn sign_in_page(
    shared: &Shared,
    visitor: &Visitor,
    status: StatusCode,
    next: &Next,
    email: Option<&str>,
    error: Option<String>,
) -> Result<Response, PageError> {
    let account = match &visitor.session {
        Some(session) => accounts::by_id(&shared.db, &session.account_id).await?,
        None => None,
    };
    let id = account.as_ref().map(|account| &account.id);
    let known = account.as_ref().map(|account| account.email.as_str());
    let template = SignIn {
        frame: Frame::new(words::say("signin-title"), None),
        form_token: visitor.form_token(shared, FORM),
        next,
        email: email.filter(|email| !email.is_empty()).or(known).unwrap_or_default(),
        error,
        may_sign_up: shared.config.limits.sign_up != SignUp::Closed,
        again: account.is_some(),
        password: account.as_ref().is_none_or(|account| !account.password_hash.is_empty()),
        app: match id {
            Some(id) => second_step::has_app(shared, id).await?,
            None => false,
        },
        passkey: passkeys::ask_to_sign_in(shared, visitor, id).await?,
        providers: upstream::offered(shared, id).await?,
        provider_token: visitor.form_token(shared, upstream::FORM),
        script: passkeys::script(),
    };
    Ok(page_with_script(shared, visitor, status, &template))
}
