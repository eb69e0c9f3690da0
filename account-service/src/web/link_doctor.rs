//! The link doctor's page: each of the last attempts to link an app, how far it came, and what to do.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::visitor::Visitor;
use super::{Frame, PageError, Place, answer, page, when};
use crate::shared::Shared;
use crate::store::link_attempts::{self, Cause, LinkAttempt, Stage};
use crate::{link_doctor, words};

#[derive(Template)]
#[template(path = "link_doctor.html")]
struct LinkDoctor {
    frame: Frame,
    signed_in: bool,
    attempts: Vec<Shown>,
}

struct Shown {
    app: String,
    when: String,
    outcome: Outcome,
    badge: String,
    what: String,
    /// What somebody at home does.
    cure: Option<String>,
    /// What whoever runs the service or the app does.
    operator: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Good,
    Open,
    Bad,
}

/// GET `/link-doctor`. Also for whoever is not signed in: the attempts of their browser.
pub(super) async fn show(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    answer(&shared, try_show(&shared, &headers).await)
}

async fn try_show(shared: &Shared, headers: &HeaderMap) -> Result<Response, PageError> {
    let visitor = Visitor::of(shared, headers).await?;
    link_doctor::write_up(shared).await?;
    let session = visitor.session.as_ref();
    let account = session.map(|session| &session.account_id);
    let attempts = link_attempts::latest(&shared.db, account, Some(visitor.browser())).await?;
    let template = LinkDoctor {
        frame: Frame::new(words::say("doctor-title"), session).at(Place::Apps),
        signed_in: session.is_some(),
        attempts: attempts.iter().map(|attempt| shown(attempt, shared.now())).collect(),
    };
    Ok(page(shared, &visitor, StatusCode::OK, &template))
}

fn shown(attempt: &LinkAttempt, now: i64) -> Shown {
    let app = match (&attempt.client, attempt.client_id.as_str()) {
        (Some(name), _) => name.clone(),
        (None, "") => words::say("doctor-some-app"),
        (None, id) => id.to_owned(),
    };
    let told = |key: &str| words::with(key, &[("app", app.as_str().into()), ("host", attempt.host.as_str().into())]);
    let (outcome, what, cure, operator) = tell(attempt);
    Shown {
        when: when::ago(now, attempt.began_at),
        badge: words::say(match outcome {
            Outcome::Good => "doctor-linked",
            Outcome::Open => "doctor-open",
            Outcome::Bad => "doctor-failed",
        }),
        what: told(what),
        cure: cure.map(told),
        operator: operator.map(told),
        outcome,
        app,
    }
}

type Told = (Outcome, &'static str, Option<&'static str>, Option<&'static str>);

/// What happened, what to do, and what the operator does.
fn tell(attempt: &LinkAttempt) -> Told {
    use Outcome::{Bad, Good, Open};
    const AGAIN: Option<&str> = Some("doctor-again");
    match (attempt.linked_at, attempt.cause) {
        (Some(_), Some(Cause::CodeUsedTwice)) => {
            (Bad, "doctor-code-used-twice", AGAIN, Some("doctor-code-used-twice-operator"))
        }
        (Some(_), Some(Cause::RefreshClientAuth)) if attempt.refreshed_at.is_none() => {
            (Bad, "doctor-refresh-client-auth", Some("doctor-wait-operator"), Some("doctor-client-auth-operator"))
        }
        (Some(_), _) if attempt.ended_at.is_some() => (Good, "doctor-ended", None, None),
        (Some(_), _) if attempt.refreshed_at.is_some() => (Good, "doctor-works", None, None),
        (Some(_), _) => (Good, "doctor-not-refreshed", None, None),
        (None, Some(cause)) => stopped(cause),
        (None, None) => match attempt.stage {
            Stage::Request | Stage::SignIn => (Open, "doctor-no-sign-in", AGAIN, None),
            Stage::Consent => (Open, "doctor-no-choice", AGAIN, None),
            Stage::Code => (Open, "doctor-no-token", AGAIN, Some("doctor-no-token-operator")),
        },
    }
}

fn stopped(cause: Cause) -> Told {
    use Outcome::Bad;
    const AGAIN: Option<&str> = Some("doctor-again");
    const WAIT: Option<&str> = Some("doctor-wait-operator");
    match cause {
        Cause::UnknownClient => (Bad, "doctor-unknown-client", WAIT, Some("doctor-unknown-client-operator")),
        Cause::Redirect => (Bad, "doctor-redirect", WAIT, Some("doctor-redirect-operator")),
        Cause::PkceMissing => (Bad, "doctor-pkce", WAIT, Some("doctor-pkce-operator")),
        Cause::Request => (Bad, "doctor-request", WAIT, Some("doctor-request-operator")),
        Cause::PushedGone => (Bad, "doctor-pushed-gone", AGAIN, None),
        Cause::Denied => (Bad, "doctor-denied", Some("doctor-denied-cure"), None),
        Cause::ClientAuth => (Bad, "doctor-client-auth", WAIT, Some("doctor-client-auth-operator")),
        Cause::CodeExpired => (Bad, "doctor-code-expired", AGAIN, Some("doctor-code-expired-operator")),
        Cause::CodeUsedTwice => (Bad, "doctor-code-used-twice", AGAIN, Some("doctor-code-used-twice-operator")),
        Cause::CodeOfAnother => (Bad, "doctor-code-of-another", WAIT, Some("doctor-code-of-another-operator")),
        Cause::CodeRedirect => (Bad, "doctor-code-redirect", WAIT, Some("doctor-code-redirect-operator")),
        Cause::Verifier => (Bad, "doctor-verifier", WAIT, Some("doctor-verifier-operator")),
        Cause::Database => (Bad, "doctor-database", AGAIN, Some("doctor-database-operator")),
        Cause::RefreshClientAuth => (Bad, "doctor-refresh-client-auth", WAIT, Some("doctor-client-auth-operator")),
    }
}
