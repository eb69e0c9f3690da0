//! Signing up.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use macloud_proto::ids::AccountId;
use macloud_service_kit::random;

use super::credentials::{Entered, Next};
use super::mailed::send_code;
use super::visitor::Visitor;
use super::{Frame, PageError, answer, page};
use crate::form::Form;
use crate::passwords::{self, normalise_email};
use crate::rate_limits::Attempt;
use crate::shared::Shared;
use crate::store::mailed_codes::Purpose;
use crate::store::{accounts, activity};
use crate::words;

const FORM: &str = "sign-up";

#[derive(Template)]
#[template(path = "sign_up.html")]
struct SignUp<'a> {
    frame: Frame,
    form_token: String,
    next: &'a Next,
    email: &'a str,
    problem: Problem,
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
        crate::config::SignUp::Open => Ok(()),
        crate::config::SignUp::Closed => Err(PageError::SignUpClosed),
    }
}

async fn try_submit(shared: &Shared, request: Request) -> Result<Response, PageError> {
    check_open(shared)?;
    let entered = Entered::read(shared, request, FORM).await?;
    match sign_up(shared, &entered).await? {
        Ok((id, email)) => {
            tracing::info!(account.id = %id, "signed up");
            send_code(shared, &id, &email, Purpose::Verify).await?;
            activity::note(&shared.db, &id, activity::Kind::SignedUp, "", shared.now()).await;
            entered.go_on(shared, &id, &email).await
        }
        Err(problem) => {
            let Entered { visitor, next, .. } = &entered;
            Ok(sign_up_page(shared, visitor, StatusCode::UNPROCESSABLE_ENTITY, next, entered.email(), problem))
        }
    }
}

async fn sign_up(shared: &Shared, entered: &Entered) -> Result<Result<(AccountId, String), Problem>, PageError> {
    let Some(email) = normalise_email(entered.email()) else {
        return Ok(Err(Problem::Email("signup-email-wrong")));
    };
    if let Err(rule) = passwords::check_new(entered.password(), &email) {
        return Ok(Err(Problem::Password(rule.message())));
    }
    let limit = shared.config.limits.sign_up_per_address;
    shared.rate_limits.count(Attempt::SignUp, &entered.address(shared), limit)?;
    let hash = shared.passwords.hash(entered.password()).await?;
    let id = AccountId::from_bytes(&random::bytes());
    if accounts::insert(&shared.db, &id, &email, &hash, shared.now()).await? {
        Ok(Ok((id, email)))
    } else {
        Ok(Err(Problem::Email("signup-email-taken")))
    }
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
