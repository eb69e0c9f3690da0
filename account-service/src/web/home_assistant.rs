//! The way back from a home's own Home Assistant: whoever owns the home brings a code for it.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use macloud_proto::ids::InstanceId;

use super::visitor::Visitor;
use super::{Frame, PageError, answer, page, posted, see_other};
use crate::form::{Form, encode};
use crate::oauth::home_assistant_place;
use crate::secrets::{Kind, lookup_hash};
use crate::shared::Shared;
use crate::store::activity;
use crate::store::home_assistant::{self, Asked};
use crate::words;

const FORM: &str = "binding";

#[derive(Template)]
#[template(path = "home_assistant.html")]
struct Back {
    frame: Frame,
    form_token: String,
    asked: Option<Asked>,
    code: String,
    state: String,
    done: bool,
}

/// GET `/home-assistant/callback?code=…&state=…`. Opening the link decides nothing.
pub(super) async fn callback(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let outcome = async {
        let (parts, _) = request.into_parts();
        let visitor = Visitor::of(&shared, &parts.headers).await?;
        let form = Form::parse(parts.uri.query().unwrap_or_default().as_bytes())?;
        let value = |name| form.value(name).unwrap_or_default().to_owned();
        let (code, state) = (value("code"), value("state"));
        let Some(session) = visitor.session.clone() else {
            let back = format!("/home-assistant/callback?code={}&state={}", encode(&code), encode(&state));
            return Ok(see_other(&format!("/sign-in?next={}", encode(&back))));
        };
        let asked = match lookup_hash(Kind::Trip, &state) {
            Some(state) => home_assistant::asked(&shared.db, &state, &session.account_id, shared.now()).await?,
            None => None,
        };
        let asked = asked.filter(|_| is_code(&code));
        let status = if asked.is_some() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
        let frame = Frame::new(words::say("identity-home-assistant-title"), Some(&session));
        let form_token = visitor.form_token(&shared, FORM);
        Ok(page(&shared, &visitor, status, &Back { frame, form_token, asked, code, state, done: false }))
    };
    answer(&shared, outcome.await)
}

/// POST the same: the owner says yes.
pub(super) async fn bring(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let outcome = async {
        let posted = posted(&shared, request, FORM).await?;
        let Some(session) = posted.visitor.session.clone() else { return Ok(see_other("/sign-in")) };
        let value = |name| posted.form.value(name).unwrap_or_default();
        let account = &session.account_id;
        let state = lookup_hash(Kind::Trip, value("state")).filter(|_| is_code(value("code")));
        let mut done = false;
        if let Some(state) = state
            && let Some(asked) = home_assistant::asked(&shared.db, &state, account, shared.now()).await?
        {
            let sealed = shared.master.seal(&home_assistant_place(&asked.id), value("code").as_bytes());
            done = home_assistant::bring(&shared.db, &state, account, &sealed, shared.now()).await?;
        }
        let status = if done { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
        let frame = Frame::new(words::say("identity-home-assistant-title"), Some(&session));
        let form_token = posted.visitor.form_token(&shared, FORM);
        let (code, state) = (String::new(), String::new());
        Ok(page(&shared, &posted.visitor, status, &Back { frame, form_token, asked: None, code, state, done }))
    };
    answer(&shared, outcome.await)
}

/// POST `/homes/{id}/home-assistant/remove`: from the page with the homes.
pub(super) async fn remove(State(shared): State<Arc<Shared>>, Path(id): Path<String>, request: Request) -> Response {
    let outcome = async {
        let posted = posted(&shared, request, super::homes::FORM).await?;
        let Some(session) = posted.visitor.session else { return Ok(see_other("/sign-in?next=%2Fhomes")) };
        let id: InstanceId = id.parse().map_err(|_| PageError::NotFound)?;
        let user = posted.form.value("user").unwrap_or_default();
        if home_assistant::remove(&shared.db, &session.account_id, &id, user).await? {
            let kind = activity::Kind::HomeAssistantRemoved;
            activity::note(&shared.db, &session.account_id, kind, "", shared.now()).await;
        }
        Ok(see_other(&format!("/homes/{id}")))
    };
    answer(&shared, outcome.await)
}

/// Who one is in the Home Assistant of a home, as a line on its card.
pub(super) struct Bound {
    pub(super) user: String,
    pub(super) text: String,
}

impl Bound {
    pub(super) fn of(listed: home_assistant::Listed) -> Self {
        let name = if listed.name.is_empty() { listed.ha_user_id.clone() } else { listed.name };
        let key = if listed.is_owner { "identity-home-assistant-owner" } else { "identity-home-assistant-user" };
        Self { user: listed.ha_user_id, text: words::with(key, &[("name", name.into())]) }
    }
}

/// What Home Assistant's codes look like, with room for other days.
fn is_code(text: &str) -> bool {
    (1..=512).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b))
}
