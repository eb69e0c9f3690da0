//! Signing up: with a mail server in two steps, so that whoever asks learns nothing about who has an account; without one
//! at once.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use macloud_proto::ids::AccountId;
use macloud_service_kit::random;

use super::credentials::{Entered, Next};
use super::known::Trier;
use super::mailed::send_code;
use super::visitor::Visitor;
use super::{Frame, PageError, answer, codes, page};
use crate::config;
use crate::form::Form;
use crate::passwords::{self, normalise_email};
use crate::rate_limits::Attempt;
use crate::secrets::Secret;
use crate::shared::Shared;
use crate::store::mail_challenges::{self, Meant, Purpose};
use crate::store::{accounts, activity};
use crate::words;

const FORM: &str = "sign-up";
const CODE_FORM: &str = "sign-up-code";

#[derive(Template)]
#[template(path = "sign_up.html")]
struct SignUp<'a> {
    frame: Frame,
    form_token: String,
    next: &'a Next,
    email: &'a str,
    problem: Problem,
}

#[derive(Template)]
#[template(path = "sign_up_code.html")]
struct SignUpCode<'a> {
    frame: Frame,
    form_token: String,
    next: &'a Next,
    email: &'a str,
    ticket: &'a str,
    /// Mail waits in a directory of this machine.
    as_files: bool,
    error: Option<String>,
}

/// What has to be changed.
#[derive(Clone, Copy)]
enum Problem {
    None,
    Email(&'static str),
    Password(&'static str),
}

/// GET `/sign-up?next=…`.
pub(super) async fn show(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    answer(&shared, try_show(&shared, request).await)
}

async fn try_show(shared: &Shared, request: Request) -> Result<Response, PageError> {
    check_open(shared)?;
    let visitor = Visitor::of(shared, request.headers()).await?;
    let form = Form::parse(request.uri().query().unwrap_or_default().as_bytes())?;
    Ok(sign_up_page(shared, &visitor, StatusCode::OK, &Next::of(&form), "", Problem::None))
}

/// POST `/sign-up`.
pub(super) async fn submit(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    answer(&shared, try_submit(&shared, request).await)
}

/// Operators may keep the door shut; also for a form that was opened before they did.
fn check_open(shared: &Shared) -> Result<(), PageError> {
    match shared.config.limits.sign_up {
        config::SignUp::Open | config::SignUp::Confirmed => Ok(()),
        config::SignUp::Closed => Err(PageError::SignUpClosed),
    }
}

async fn try_submit(shared: &Shared, request: Request) -> Result<Response, PageError> {
    check_open(shared)?;
    let entered = Entered::read(shared, request, FORM).await?;
    match try_sign_up(shared, &entered).await? {
        Ok(SignedUp::Now(id, email)) => {
            send_code(shared, &id, &email).await?;
            welcome(shared, entered, &id).await
        }
        Ok(SignedUp::OnceConfirmed(ticket)) => Ok(code_page(shared, &entered, ticket.as_str(), None)),
        Err(problem) => {
            let Entered { visitor, next, .. } = &entered;
            Ok(sign_up_page(shared, visitor, StatusCode::UNPROCESSABLE_ENTITY, next, entered.email(), problem))
        }
    }
}

enum SignedUp {
    Now(AccountId, String),
    /// When the code is typed, in the page with this ticket.
    OnceConfirmed(Secret),
}

async fn try_sign_up(shared: &Shared, entered: &Entered) -> Result<Result<SignedUp, Problem>, PageError> {
    let Some(email) = normalise_email(entered.email()) else {
        return Ok(Err(Problem::Email("signup-email-wrong")));
    };
    if let Err(rule) = passwords::check_new(entered.password(), &email) {
        return Ok(Err(Problem::Password(rule.message())));
    }
    let from = entered.address(shared);
    shared.rate_limits.count(Attempt::SignUp, &from, shared.config.limits.sign_up_per_address)?;
    if code_comes_first(shared) {
        codes::count_mail(shared, &Trier::stranger(from), &email)?;
        let hash = shared.passwords.hash(entered.password()).await?;
        return Ok(Ok(SignedUp::OnceConfirmed(send_first_code(shared, email, hash).await?)));
    }
    let hash = shared.passwords.hash(entered.password()).await?;
    let id = AccountId::from_bytes(&random::bytes());
    if accounts::insert(&shared.db, &id, &email, &hash, shared.now()).await? {
        Ok(Ok(SignedUp::Now(id, email)))
    } else {
        Ok(Err(Problem::Email("signup-email-taken")))
    }
}

/// Whether an account comes into being only with the mailed code, so that nobody learns here who has one.
fn code_comes_first(shared: &Shared) -> bool {
    match shared.config.limits.sign_up {
        config::SignUp::Open => shared.mail.has_server(),
        config::SignUp::Confirmed => true,
        config::SignUp::Closed => false,
    }
}

/// Mail goes to the address either way, and the same is kept: at the browser nothing tells whether it has an account.
async fn send_first_code(shared: &Shared, email: String, password_hash: String) -> Result<Secret, PageError> {
    let known = accounts::by_email(&shared.db, &email).await?.is_some();
    let meant = Meant { account: None, email: Some(email.clone()), password_hash: Some(password_hash) };
    let (ticket, code) = codes::begin(shared, Purpose::SignUp, &meant).await?;
    if known {
        let text = words::with("identity-mail-known", &[("cloud", shared.issuer.as_str().into())]);
        shared.mail.send(&email, &words::say("identity-mail-known-subject"), &text);
    } else {
        codes::send(shared, Purpose::SignUp, &email, &code);
    }
    Ok(ticket)
}

/// POST `/sign-up/code`: what was mailed. With it the account comes into being.
pub(super) async fn confirm(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    answer(&shared, try_confirm(&shared, request).await)
}

async fn try_confirm(shared: &Shared, request: Request) -> Result<Response, PageError> {
    check_open(shared)?;
    let entered = Entered::read(shared, request, CODE_FORM).await?;
    let wrong = || {
        let ticket = entered.value("ticket").to_owned();
        code_page(shared, &entered, &ticket, Some(words::say("mailed-code-wrong")))
    };
    let Some(right) = codes::judge(shared, Purpose::SignUp, &entered).await? else { return Ok(wrong()) };
    let Meant { email: Some(email), password_hash: Some(hash), .. } = &right.meant else {
        return Err(PageError::Unavailable);
    };
    let id = AccountId::from_bytes(&random::bytes());
    let mut tx = shared.db.begin().await?;
    if !mail_challenges::use_up(&mut tx, &right).await? {
        return Ok(wrong());
    }
    if !accounts::insert_proved(&mut tx, &id, email, hash, shared.now()).await? {
        // Typed twice, in two pages: the address is theirs, so they may know.
        let problem = Problem::Email("signup-email-taken");
        let Entered { visitor, next, .. } = &entered;
        return Ok(sign_up_page(shared, visitor, StatusCode::UNPROCESSABLE_ENTITY, next, email, problem));
    }
    tx.commit().await?;
    welcome(shared, entered, &id).await
}

/// Sign a new account's person in, and send them on.
async fn welcome(shared: &Shared, entered: Entered, id: &AccountId) -> Result<Response, PageError> {
    tracing::info!(account.id = %id, "signed up");
    activity::note(&shared.db, id, activity::Kind::SignedUp, "", shared.now()).await;
    let account = accounts::by_id(&shared.db, id).await?.ok_or(PageError::Unavailable)?;
    entered.go_on(shared, &account).await
}

fn code_page(shared: &Shared, entered: &Entered, ticket: &str, error: Option<String>) -> Response {
    let status = if error.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let template = SignUpCode {
        frame: Frame::new(words::say("signup-title"), None),
        form_token: entered.visitor.form_token(shared, CODE_FORM),
        next: &entered.next,
        email: entered.email(),
        ticket,
        as_files: shared.mail.writes_files(),
        error,
    };
    page(shared, &entered.visitor, status, &template)
}

fn sign_up_page(
    shared: &Shared,
    visitor: &Visitor,
    status: StatusCode,
    next: &Next,
    email: &str,
    problem: Problem,
) -> Response {
    let frame = Frame::new(words::say("signup-title"), None);
    let template = SignUp { frame, form_token: visitor.form_token(shared, FORM), next, email, problem };
    page(shared, visitor, status, &template)
}
