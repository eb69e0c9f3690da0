//! My homes: what is connected, and the switches for it.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use macloud_proto::ids::{InstanceId, fingerprint};

use super::visitor::Visitor;
use super::{Frame, PageError, Place, answer, confirm, page, posted, see_other, when};
use crate::names::clean_name;
use crate::shared::Shared;
use crate::store::activity::{self, Kind};
use crate::store::instances::{self, Instance};
use crate::store::web_sessions::Session;
use crate::store::{pairings, uses};
use crate::words;

const FORM: &str = "homes";

#[derive(Template)]
#[template(path = "homes.html")]
struct Homes {
    frame: Frame,
    form_token: String,
    homes: Vec<ShownHome>,
    waiting: Vec<WaitingHome>,
}

struct ShownHome {
    id: InstanceId,
    name: String,
    fingerprint: String,
    paired: String,
    seen: Option<String>,
    /// When it last did what it was asked.
    proven: Option<String>,
    paused: bool,
}

/// Allowed by this person; its connector has not come for its token yet.
struct WaitingHome {
    name: String,
    fingerprint: String,
}

/// GET `/homes`.
pub(super) async fn list(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    answer(&shared, try_list(&shared, &headers).await)
}

async fn try_list(shared: &Shared, headers: &HeaderMap) -> Result<Response, PageError> {
    let visitor = Visitor::of(shared, headers).await?;
    let Some(session) = &visitor.session else { return Ok(see_other("/sign-in?next=%2Fhomes")) };
    let now = shared.now();
    let homes = instances::of_account(&shared.db, &session.account_id).await?;
    let waiting = pairings::waiting(&shared.db, &session.account_id, now).await?;
    let waiting = waiting.into_iter().map(|(key, name)| WaitingHome { name, fingerprint: fingerprint(&key) });
    let mut shown_homes = Vec::new();
    for home in homes {
        let proven_at = uses::last_done(&shared.db, &home.id).await?;
        shown_homes.push(shown(home, proven_at, now));
    }
    let template = Homes {
        frame: Frame::new(words::say("homes-title"), Some(session)).at(Place::Homes),
        form_token: visitor.form_token(shared, FORM),
        homes: shown_homes,
        waiting: waiting.collect(),
    };
    Ok(page(shared, &visitor, StatusCode::OK, &template))
}

fn shown(home: Instance, proven_at: Option<i64>, now: i64) -> ShownHome {
    ShownHome {
        id: home.id,
        name: home.name,
        fingerprint: fingerprint(&home.identity_key),
        paired: when::date(home.paired_at),
        seen: home.last_token_at.map(|at| when::ago(now, at)),
        proven: proven_at.map(|at| when::ago(now, at)),
        paused: home.paused,
    }
}

/// POST `/homes/{id}/pause`: nothing is sent to this home until it is resumed: the skill sends nothing, and the relay lets nothing
/// through. Its link stays up; what the home itself enforces is `ma-connector stop`.
pub(super) async fn pause(State(shared): State<Arc<Shared>>, Path(id): Path<String>, request: Request) -> Response {
    answer(&shared, act(&shared, &id, request, Action::Pause).await)
}

/// POST `/homes/{id}/resume`.
pub(super) async fn resume(State(shared): State<Arc<Shared>>, Path(id): Path<String>, request: Request) -> Response {
    answer(&shared, act(&shared, &id, request, Action::Resume).await)
}

/// POST `/homes/{id}/rename`.
pub(super) async fn rename(State(shared): State<Arc<Shared>>, Path(id): Path<String>, request: Request) -> Response {
    answer(&shared, act(&shared, &id, request, Action::Rename).await)
}

/// POST `/homes/{id}/unlink`.
pub(super) async fn unlink(State(shared): State<Arc<Shared>>, Path(id): Path<String>, request: Request) -> Response {
    answer(&shared, act(&shared, &id, request, Action::Unlink).await)
}

/// GET `/homes/{id}/unlink`.
pub(super) async fn ask_unlink(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    answer(&shared, try_ask_unlink(&shared, &id, &headers).await)
}

async fn try_ask_unlink(shared: &Shared, id: &str, headers: &HeaderMap) -> Result<Response, PageError> {
    let visitor = Visitor::of(shared, headers).await?;
    let Some(session) = &visitor.session else { return Ok(see_other("/sign-in?next=%2Fhomes")) };
    let home = mine(shared, session, id).await?;
    let question = confirm::Question {
        form: FORM,
        title: words::say("homes-unlink-title"),
        heading: words::with("homes-unlink-heading", [("name", home.name.as_str().into())]),
        text: words::say("homes-unlink-text"),
        action: format!("/homes/{}/unlink", home.id),
        yes: words::say("homes-unlink-yes"),
        back: "/homes",
    };
    Ok(confirm::ask(shared, &visitor, &question))
}

#[derive(Clone, Copy)]
enum Action {
    Pause,
    Resume,
    Rename,
    Unlink,
}

async fn act(shared: &Shared, id: &str, request: Request, action: Action) -> Result<Response, PageError> {
    let posted = posted(shared, request, FORM).await?;
    let Some(session) = &posted.visitor.session else { return Ok(see_other("/sign-in?next=%2Fhomes")) };
    let home = mine(shared, session, id).await?;
    let (account, now) = (&session.account_id, shared.now());
    let mut tx = shared.db.begin().await?;
    match action {
        Action::Pause => instances::set_paused(&mut tx, account, &home.id, true, now).await?,
        Action::Resume => instances::set_paused(&mut tx, account, &home.id, false, now).await?,
        Action::Unlink => instances::end(&mut tx, account, &home.id, now).await?,
        Action::Rename => {
            let name = posted.form.value("name").and_then(clean_name);
            let name = name.ok_or(PageError::BadRequest("homes-name-missing"))?;
            instances::rename(&mut tx, account, &home.id, &name, now).await?
        }
    };
    shared.commit(tx).await?;
    let (kind, name) = match action {
        Action::Pause => (Kind::HomePaused, home.name),
        Action::Resume => (Kind::HomeResumed, home.name),
        Action::Rename => (Kind::HomeRenamed, posted.form.value("name").and_then(clean_name).unwrap_or(home.name)),
        Action::Unlink => (Kind::HomeUnlinked, home.name),
    };
    tracing::info!(instance.id = %home.id, account.id = %account, ?kind, "a home was changed by its owner");
    activity::note(&shared.db, account, kind, &name, now).await;
    Ok(see_other("/homes"))
}

/// A living home of this person; anybody else's is as unknown as one that never was.
async fn mine(shared: &Shared, session: &Session, id: &str) -> Result<Instance, PageError> {
    let id: InstanceId = id.parse().map_err(|_| PageError::NotFound)?;
    let home = instances::by_id(&shared.db, &id).await?;
    home.filter(|home| home.account_id == session.account_id).ok_or(PageError::NotFound)
}
