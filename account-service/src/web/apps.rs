//! Linked apps: who may do what, and "unlink".

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::visitor::Visitor;
use super::{Frame, PageError, Place, answer, confirm, page, posted, see_other, when};
use crate::oauth::explain_scopes;
use crate::shared::Shared;
use crate::store::activity;
use crate::store::grants::{self, LinkedApp};
use crate::store::uses;
use crate::words;

const FORM: &str = "apps";

#[derive(Template)]
#[template(path = "apps.html")]
struct Apps {
    frame: Frame,
    apps: Vec<ShownApp>,
    /// Whether there is one to link at all.
    has_app: bool,
}

/// All that one app may do, however often it was linked.
struct ShownApp {
    client_id: String,
    name: String,
    allows: Vec<String>,
    linked: String,
    /// When it last did something.
    used: Option<String>,
    /// When it last got a new access token.
    renewed: Option<String>,
}

/// GET `/apps`.
pub(super) async fn list(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    answer(&shared, try_list(&shared, &headers).await)
}

async fn try_list(shared: &Shared, headers: &HeaderMap) -> Result<Response, PageError> {
    let visitor = Visitor::of(shared, headers).await?;
    let Some(session) = &visitor.session else { return Ok(see_other("/sign-in?next=%2Fapps")) };
    let grants = grants::linked_apps(&shared.db, &session.account_id).await?;
    let mut apps = Vec::new();
    for app in merged(grants) {
        let used_at = uses::last_by_client(&shared.db, &session.account_id, &app.client_id).await?;
        apps.push(shown(&app, used_at, shared.now()));
    }
    let frame = Frame::new(words::say("apps-title"), Some(session)).at(Place::Apps);
    let has_app = shared.has_app_to_link().await;
    Ok(page(shared, &visitor, StatusCode::OK, &Apps { frame, apps, has_app }))
}

/// One line per app: the union of what it may do, the first link and the latest use.
fn merged(grants: Vec<LinkedApp>) -> Vec<LinkedApp> {
    let mut apps: Vec<LinkedApp> = Vec::new();
    for grant in grants {
        match apps.iter_mut().find(|app| app.client_id == grant.client_id) {
            Some(app) => {
                app.scopes = format!("{} {}", app.scopes, grant.scopes);
                app.created_at = app.created_at.min(grant.created_at);
                app.last_used_at = app.last_used_at.max(grant.last_used_at);
            }
            None => apps.push(grant),
        }
    }
    apps
}

fn shown(app: &LinkedApp, used_at: Option<i64>, now: i64) -> ShownApp {
    ShownApp {
        client_id: app.client_id.clone(),
        name: app.name.clone(),
        allows: explain_scopes(&app.scopes),
        linked: when::date(app.created_at),
        used: used_at.map(|at| when::ago(now, at)),
        renewed: app.last_used_at.map(|at| when::ago(now, at)),
    }
}

/// GET `/apps/{client}/unlink`.
pub(super) async fn ask_unlink(
    State(shared): State<Arc<Shared>>,
    Path(client): Path<String>,
    headers: HeaderMap,
) -> Response {
    answer(&shared, try_ask_unlink(&shared, &client, &headers).await)
}

async fn try_ask_unlink(shared: &Shared, client_id: &str, headers: &HeaderMap) -> Result<Response, PageError> {
    let visitor = Visitor::of(shared, headers).await?;
    let Some(session) = &visitor.session else { return Ok(see_other("/sign-in?next=%2Fapps")) };
    let grants = grants::linked_apps(&shared.db, &session.account_id).await?;
    let app = grants.into_iter().find(|app| app.client_id == client_id).ok_or(PageError::NotFound)?;
    let question = confirm::Question {
        form: FORM,
        title: words::say("apps-unlink-title"),
        heading: words::with("apps-unlink-heading", [("app", app.name.as_str().into())]),
        text: words::with("apps-unlink-text", [("app", app.name.as_str().into())]),
        action: format!("/apps/{}/unlink", app.client_id),
        yes: words::say("apps-unlink-yes"),
        back: "/apps".into(),
    };
    Ok(confirm::ask(shared, &visitor, &question))
}

/// POST `/apps/{client}/unlink`.
pub(super) async fn unlink(
    State(shared): State<Arc<Shared>>,
    Path(client): Path<String>,
    request: Request,
) -> Response {
    answer(&shared, try_unlink(&shared, &client, request).await)
}

async fn try_unlink(shared: &Shared, client_id: &str, request: Request) -> Result<Response, PageError> {
    let posted = posted(shared, request, FORM).await?;
    let Some(session) = &posted.visitor.session else { return Ok(see_other("/sign-in?next=%2Fapps")) };
    // Only a known client's id may go on to the database: this one came out of the address bar.
    let client = shared.client(client_id).await?.ok_or(PageError::NotFound)?;
    let mut tx = shared.db.begin().await?;
    let ended = grants::end_of_client(&mut tx, &session.account_id, &client.id, shared.now()).await?;
    shared.commit(tx).await?;
    if ended > 0 {
        tracing::info!(account.id = %session.account_id, client.id = %client.id, grants = ended, "unlinked by its owner");
        activity::note(&shared.db, &session.account_id, activity::Kind::AppUnlinked, &client.name, shared.now()).await;
    }
    Ok(see_other("/apps"))
}
