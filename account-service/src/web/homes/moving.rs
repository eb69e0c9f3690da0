//! Giving a home to another account: an offer, which the other one accepts like an invitation (see `web::join`).
//!
//! The home keeps its id, its key, its link and the ids that Alexa knows it by: the old owner's Alexa loses it and the
//! new one's finds it, and nobody links anything again.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::super::security::{is_recent, sign_in_again};
use super::super::visitor::Visitor;
use super::super::{Frame, PageError, Place, Posted, answer, page, posted};
use super::people::{Wish, make, show_link};
use super::{FORM, owned, sign_in_first};
use crate::passwords::normalise_email;
use crate::shared::Shared;
use crate::store::activity::{self, Kind};
use crate::store::instances::Instance;
use crate::store::members::Role;
use crate::store::web_sessions::Session;
use crate::words::{say, with};

#[derive(Template)]
#[template(path = "move.html")]
struct Move {
    frame: Frame,
    form_token: String,
    home: Instance,
    email: String,
    problem: Option<String>,
}

/// GET `/homes/{id}/move`.
pub(in crate::web) async fn ask(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let outcome = async {
        let visitor = Visitor::of(&shared, &headers).await?;
        let Some(session) = visitor.session.clone() else { return Ok(sign_in_first("/homes")) };
        let home = owned(&shared, &session, &id).await?.home;
        if !is_recent(&shared, &session) {
            return Ok(sign_in_again(&format!("/homes/{}/move", home.id)));
        }
        Ok(form(&shared, &visitor, &session, home, StatusCode::OK, "", None))
    };
    answer(&shared, outcome.await)
}

fn form(
    shared: &Shared,
    visitor: &Visitor,
    session: &Session,
    home: Instance,
    status: StatusCode,
    email: &str,
    problem: Option<&str>,
) -> Response {
    let template = Move {
        frame: Frame::new(say("moving-title"), Some(session)).at(Place::Homes),
        form_token: visitor.form_token(shared, FORM),
        home,
        email: email.into(),
        problem: problem.map(say),
    };
    page(shared, visitor, status, &template)
}

/// POST `/homes/{id}/move`. Always for one address: whoever finds the link somewhere must not get the home.
pub(in crate::web) async fn offer(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    answer(&shared, try_offer(&shared, &id, request).await)
}

async fn try_offer(shared: &Shared, id: &str, request: Request) -> Result<Response, PageError> {
    let Posted { visitor, form: typed, .. } = posted(shared, request, FORM).await?;
    let Some(session) = visitor.session.clone() else { return Ok(sign_in_first("/homes")) };
    let home = owned(shared, &session, id).await?.home;
    if !is_recent(shared, &session) {
        return Ok(sign_in_again(&format!("/homes/{}/move", home.id)));
    }
    let entered = typed.value("email").unwrap_or_default();
    let status = StatusCode::UNPROCESSABLE_ENTITY;
    let Some(email) = normalise_email(entered) else {
        return Ok(form(shared, &visitor, &session, home, status, entered, Some("moving-problem-email")));
    };
    if email == session.email {
        return Ok(form(shared, &visitor, &session, home, status, entered, Some("moving-problem-own")));
    }
    let stays = typed.value("stays").is_some();
    let wish = Wish { role: Role::Owner, guest_seconds: None, stays, shown_as: &email, email: Some(&email) };
    let Some(code) = make(shared, &session, &home, &wish).await? else {
        return Ok(form(shared, &visitor, &session, home, status, entered, Some("moving-problem-full")));
    };
    activity::note(&shared.db, &session.account_id, Kind::HomeOffered, &home.name, shared.now()).await;
    let heading = with("moving-offered-heading", &[("home", (&home.name).into())]);
    show_link(shared, &visitor, &session, &home, &code, heading, say("moving-offered-text"), Some(email)).await
}
