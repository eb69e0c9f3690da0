//! Signing in.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::Response;

use super::visitor::Visitor;
use super::{Frame, PageError, Posted, answer, page, posted, see_other};
use crate::form::{Form, encode};
use crate::passwords::{self, normalise_email};
use crate::rate_limits::{Attempt, address_key};
use crate::shared::Shared;
use crate::store::accounts::{self, Account};

pub(super) const FORM: &str = "sign-in";

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignIn {
    frame: Frame,
    form_token: String,
    /// Where to go afterwards; empty for the usual place.
    next: String,
    next_encoded: String,
    email: String,
    error: Option<&'static str>,
    reason: Option<&'static str>,
}

/// GET `/sign-in?next=…`; with `again`, even somebody who is signed in has to.
pub(super) async fn show(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    answer(&shared, try_show(&shared, request).await)
}

async fn try_show(shared: &Shared, request: Request) -> Result<Response, PageError> {
    let visitor = Visitor::of(shared, request.headers()).await?;
    let form = Form::parse(request.uri().query().unwrap_or_default().as_bytes())?;
    let next = next_of(&form);
    if visitor.session.is_some() && form.value("again").is_none() {
        return Ok(see_other(next.as_deref().unwrap_or(HOME)));
    }
    Ok(sign_in_page(shared, &visitor, StatusCode::OK, next, String::new(), None))
}

/// POST `/sign-in`.
pub(super) async fn submit(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    answer(&shared, try_submit(&shared, request).await)
}

async fn try_submit(shared: &Shared, request: Request) -> Result<Response, PageError> {
    let Posted { visitor, form, parts } = posted(shared, request, FORM).await?;
    let next = next_of(&form);
    let typed = form.value("email").unwrap_or_default().to_owned();
    let password = form.value("password").unwrap_or_default();
    let address = address_key(shared.client_address(&parts));
    match check_password(shared, &address, &typed, password).await? {
        Verdict::Right(account) => {
            let visitor = visitor.signed_in(shared, &account.id, &account.email, &parts.headers).await?;
            tracing::info!(account.id = %account.id, "signed in");
            let mut response = see_other(next.as_deref().unwrap_or(HOME));
            response.headers_mut().extend(visitor.cookie_to_set(shared).map(|cookie| (header::SET_COOKIE, cookie)));
            Ok(response)
        }
        Verdict::Wrong => {
            let error = "That e-mail address and password do not match. Please check both.";
            Ok(sign_in_page(shared, &visitor, StatusCode::UNPROCESSABLE_ENTITY, next, typed, Some(error)))
        }
        Verdict::Suspended => {
            let error = "This account is suspended. Please contact whoever runs this service.";
            Ok(sign_in_page(shared, &visitor, StatusCode::FORBIDDEN, next, typed, Some(error)))
        }
    }
}

enum Verdict {
    Right(Account),
    /// Unknown address and wrong password are one case, in answer and in work.
    Wrong,
    Suspended,
}

async fn check_password(shared: &Shared, address: &str, typed: &str, password: &str) -> Result<Verdict, PageError> {
    let limits = &shared.config.limits;
    let count = |what, who: &str, rate| shared.rate_limits.count(what, who, rate);
    count(Attempt::SignIn, address, limits.sign_in_per_address)?;
    let email = normalise_email(typed).unwrap_or_default();
    let here = format!("{email}\0{address}");
    // Counted before the work and given back when the password was right: parallel guesses must not slip through.
    count(Attempt::WrongPasswordHere, &here, limits.wrong_passwords_per_account_and_address)?;
    count(Attempt::WrongPassword, &email, limits.wrong_passwords_per_account)?;
    let account = accounts::by_email(&shared.db, &email).await?;
    let stored = account.as_ref().map(|account| account.password_hash.as_str());
    let password = if password.len() > passwords::MAX_BYTES { "" } else { password };
    if !shared.passwords.verify(password, stored).await? {
        return Ok(Verdict::Wrong);
    }
    shared.rate_limits.give_back(Attempt::WrongPasswordHere, &here, limits.wrong_passwords_per_account_and_address);
    shared.rate_limits.give_back(Attempt::WrongPassword, &email, limits.wrong_passwords_per_account);
    Ok(match account {
        Some(account) if account.suspended => Verdict::Suspended,
        Some(account) => Verdict::Right(account),
        None => Verdict::Wrong,
    })
}

fn sign_in_page(
    shared: &Shared,
    visitor: &Visitor,
    status: StatusCode,
    next: Option<String>,
    email: String,
    error: Option<&'static str>,
) -> Response {
    let next = next.unwrap_or_default();
    let template = SignIn {
        frame: Frame::new("Sign in", None),
        form_token: visitor.form_token(shared, FORM),
        next_encoded: encode(&next),
        reason: reason(&next),
        next,
        email,
        error,
    };
    page(shared, visitor, status, &template)
}

/// Why somebody is asked to sign in, when it is not for its own sake.
pub(super) fn reason(next: &str) -> Option<&'static str> {
    if next.starts_with("/oauth/authorize") {
        Some("to link your account")
    } else if next.starts_with("/pair") {
        Some("to connect your home")
    } else {
        None
    }
}

/// Where to go after signing in: one of our own pages, never anywhere else.
pub(super) fn next_of(form: &Form) -> Option<String> {
    let next = form.value("next")?;
    let path = next.split(['?', '#']).next().unwrap_or_default();
    let ours = ["/", "/pair", "/homes", "/apps", "/sessions", "/oauth/authorize"].contains(&path);
    // One leading slash, nothing that a browser or a header could read differently.
    let plain =
        next.len() <= MAX_NEXT && next.bytes().all(|b| b.is_ascii_graphic() && b != b'\\') && !next.contains('#');
    (ours && plain).then(|| next.to_owned())
}

/// Where people land who wanted nothing else.
pub(super) const HOME: &str = "/homes";
/// An authorization request with a long `state`, encoded twice.
const MAX_NEXT: usize = 32 * 1024;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn next(text: &str) -> Option<String> {
        next_of(&Form::parse(format!("next={}", encode(text)).as_bytes()).unwrap())
    }

    #[test]
    fn only_our_own_pages_come_next() {
        assert_eq!(next("/pair?user_code=BCDF-GHJK").as_deref(), Some("/pair?user_code=BCDF-GHJK"));
        assert!(next("/oauth/authorize?a=b%20c").is_some());
        for wrong in [
            "",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "/pair#x",
            "/pair?a b",
            "pair",
            "/sign-out",
            "/pair/../x",
            "javascript:alert(1)",
        ] {
            assert_eq!(next(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_comes_next_stays_here(text in "\\PC{1,60}") {
            if let Some(next) = next(&text) {
                let url = url::Url::parse("https://cloud.example").unwrap().join(&next).unwrap();
                prop_assert_eq!(url.host_str(), Some("cloud.example"));
            }
        }
    }
}
