//! Signing up.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::Response;
use macloud_proto::ids::AccountId;
use macloud_service_kit::random;

use super::sign_in::{HOME, next_of, reason};
use super::visitor::Visitor;
use super::{Frame, PageError, Posted, answer, page, posted, see_other};
use crate::form::{Form, encode};
use crate::passwords::{self, PasswordRule, normalise_email};
use crate::rate_limits::{Attempt, address_key};
use crate::shared::Shared;
use crate::store::accounts;

const FORM: &str = "sign-up";

#[derive(Template)]
#[template(path = "sign_up.html")]
struct SignUp {
    frame: Frame,
    form_token: String,
    next: String,
    next_encoded: String,
    email: String,
    email_error: Option<&'static str>,
    password_error: Option<&'static str>,
    reason: Option<&'static str>,
}

/// GET `/sign-up?next=…`.
pub(super) async fn show(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    answer(&shared, try_show(&shared, request).await)
}

async fn try_show(shared: &Shared, request: Request) -> Result<Response, PageError> {
    let visitor = Visitor::of(shared, request.headers()).await?;
    let form = Form::parse(request.uri().query().unwrap_or_default().as_bytes())?;
    Ok(sign_up_page(shared, &visitor, StatusCode::OK, next_of(&form), String::new(), Problems::default()))
}

/// POST `/sign-up`.
pub(super) async fn submit(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    answer(&shared, try_submit(&shared, request).await)
}

#[derive(Default)]
struct Problems {
    email: Option<&'static str>,
    password: Option<&'static str>,
}

async fn try_submit(shared: &Shared, request: Request) -> Result<Response, PageError> {
    let Posted { visitor, form, parts } = posted(shared, request, FORM).await?;
    let next = next_of(&form);
    let typed = form.value("email").unwrap_or_default().to_owned();
    let password = form.value("password").unwrap_or_default();
    let again = |visitor: &Visitor, problems| {
        sign_up_page(shared, visitor, StatusCode::UNPROCESSABLE_ENTITY, next.clone(), typed.clone(), problems)
    };
    let Some(email) = normalise_email(&typed) else {
        let email = Some("Please enter an e-mail address, such as you@example.org.");
        return Ok(again(&visitor, Problems { email, password: None }));
    };
    if let Err(rule) = passwords::check_new(password, &email) {
        let password = Some(match rule {
            PasswordRule::TooShort => "Please use at least 8 characters.",
            PasswordRule::TooLong => "Please use at most 1024 characters.",
            PasswordRule::IsEmail => "Please do not use your e-mail address as the password.",
        });
        return Ok(again(&visitor, Problems { email: None, password }));
    }
    let address = address_key(shared.client_address(&parts));
    shared.rate_limits.count(Attempt::SignUp, &address, shared.config.limits.sign_up_per_address)?;
    let hash = shared.passwords.hash(password).await?;
    let id = AccountId::from_bytes(&random::bytes());
    if !accounts::insert(&shared.db, &id, &email, &hash, shared.now()).await? {
        let email = Some("There is an account with this e-mail address already. Sign in instead?");
        return Ok(again(&visitor, Problems { email, password: None }));
    }
    let visitor = visitor.signed_in(shared, &id, &email, &parts.headers).await?;
    tracing::info!(account.id = %id, "signed up");
    let mut response = see_other(next.as_deref().unwrap_or(HOME));
    response.headers_mut().extend(visitor.cookie_to_set(shared).map(|cookie| (header::SET_COOKIE, cookie)));
    Ok(response)
}

fn sign_up_page(
    shared: &Shared,
    visitor: &Visitor,
    status: StatusCode,
    next: Option<String>,
    email: String,
    problems: Problems,
) -> Response {
    let next = next.unwrap_or_default();
    let template = SignUp {
        frame: Frame::new("Create your account", None),
        form_token: visitor.form_token(shared, FORM),
        next_encoded: encode(&next),
        reason: reason(&next),
        next,
        email,
        email_error: problems.email,
        password_error: problems.password,
    };
    page(shared, visitor, status, &template)
}
