//! Where I am signed in, and signing out.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::visitor::Visitor;
use super::{Frame, PageError, Place, answer, begin_as, confirm, own_id, page, posted, see_other, when};
use crate::shared::Shared;
use crate::store::web_sessions;
use crate::words;

const FORM: &str = "sessions";

#[derive(Template)]
#[template(path = "sessions.html")]
struct Sessions {
    frame: Frame,
    form_token: String,
    sessions: Vec<ShownSession>,
}

struct ShownSession {
    id: String,
    device: String,
    signed_in: String,
    seen: String,
    this: bool,
}

/// GET `/sessions`.
pub(super) async fn list(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    answer(&shared, try_list(&shared, &headers).await)
}

async fn try_list(shared: &Shared, headers: &HeaderMap) -> Result<Response, PageError> {
    let visitor = Visitor::of(shared, headers).await?;
    let Some(session) = &visitor.session else { return Ok(see_other("/sign-in?next=%2Fsessions")) };
    let now = shared.now();
    let listed = web_sessions::of_account(&shared.db, &session.account_id, now).await?;
    let (here, others): (Vec<_>, Vec<_>) = listed.into_iter().partition(|other| other.id == session.id);
    let sessions = here.into_iter().chain(others).map(|other| ShownSession {
        this: other.id == session.id,
        id: other.id,
        device: device(&other.device),
        signed_in: when::date(other.signed_in_at),
        seen: when::ago(now, other.last_seen_at),
    });
    let template = Sessions {
        frame: Frame::new(words::say("sessions-title"), Some(session)).at(Place::Security),
        form_token: visitor.form_token(shared, FORM),
        sessions: sessions.collect(),
    };
    Ok(page(shared, &visitor, StatusCode::OK, &template))
}

/// A device as it is stored ("Firefox on Linux"), in the reader's language.
pub(super) fn device(stored: &str) -> String {
    match stored.split_once(" on ") {
        Some((browser, system)) => {
            words::with("sessions-device", [("browser", browser.into()), ("system", system.into())])
        }
        None => stored.to_owned(),
    }
}

/// POST `/sessions/{id}/end`.
pub(super) async fn end(State(shared): State<Arc<Shared>>, Path(id): Path<String>, request: Request) -> Response {
    let outcome = async {
        let posted = posted(&shared, request, FORM).await?;
        let Some(session) = &posted.visitor.session else { return Ok(see_other("/sign-in?next=%2Fsessions")) };
        let id = own_id(&id)?;
        let mut tx = begin_as(&shared, session).await?;
        web_sessions::end_one(&mut tx, &session.account_id, id).await?;
        tx.commit().await?;
        Ok(see_other("/sessions"))
    };
    answer(&shared, outcome.await)
}

/// POST `/sessions/others/end`.
pub(super) async fn end_others(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let outcome = async {
        let mut posted = posted(&shared, request, FORM).await?;
        let Some(session) = posted.visitor.session.clone() else { return Ok(see_other("/sign-in?next=%2Fsessions")) };
        let mut tx = begin_as(&shared, &session).await?;
        posted.visitor.end_others(&mut tx, &shared, &posted.parts.headers, &session).await?;
        tx.commit().await?;
        let mut response = see_other("/sessions");
        posted.visitor.set_cookies(&shared, &mut response);
        Ok(response)
    };
    answer(&shared, outcome.await)
}

/// GET `/sign-out`.
pub(super) async fn ask_sign_out(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let outcome = Visitor::of(&shared, &headers).await.map(|visitor| {
        if visitor.session.is_none() {
            return see_other("/");
        }
        let question = confirm::Question {
            form: FORM,
            title: words::say("sessions-ask-title"),
            heading: words::say("sessions-ask-title"),
            text: words::say("sessions-ask-text"),
            action: "/sign-out".into(),
            yes: words::say("sessions-ask-yes"),
            back: "/homes".into(),
        };
        confirm::ask(&shared, &visitor, &question)
    });
    answer(&shared, outcome)
}

/// POST `/sign-out`.
pub(super) async fn sign_out(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let outcome = async {
        let posted = posted(&shared, request, FORM).await?;
        let visitor = posted.visitor.signed_out(&shared).await?;
        let mut response = see_other("/");
        visitor.set_cookies(&shared, &mut response);
        Ok(response)
    };
    answer(&shared, outcome.await)
}
