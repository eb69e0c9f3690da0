//! My homes: those that one owns, those that others share, and the page of each.
//!
//! What somebody may do depends on what they are to the home: its owner decides about it, a member may stop it, a guest
//! uses it. Every address with somebody else's home in it answers as if that home did not exist.

pub(super) mod moving;
pub(super) mod people;

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use macloud_proto::ids::{InstanceId, fingerprint};

use super::home_assistant::Bound;
use super::security::{is_recent, sign_in_again};
use super::visitor::Visitor;
use super::{Frame, PageError, Place, Posted, answer, confirm, page, posted, see_other, when};
use crate::form::encode;
use crate::names::clean_name;
use crate::shared::Shared;
use crate::store::activity::{self, Kind};
use crate::store::home_assistant;
use crate::store::instances;
use crate::store::members::{self, Reached, Role};
use crate::store::web_sessions::Session;
use crate::store::{pairings, uses};
use crate::unlinking;
use crate::words::{say, with};

pub(super) const FORM: &str = "homes";

#[derive(Template)]
#[template(path = "homes.html")]
struct Homes {
    frame: Frame,
    homes: Vec<ShownHome>,
    waiting: Vec<WaitingHome>,
    command: String,
}

#[derive(Template)]
#[template(path = "home.html")]
struct Home {
    frame: Frame,
    form_token: String,
    home: ShownHome,
    home_assistant: Vec<Bound>,
    same_name: bool,
    members: Vec<ShownMember>,
    invitations: Vec<ShownInvitation>,
    command: String,
}

/// A home, for whoever reaches it.
struct ShownHome {
    id: InstanceId,
    name: String,
    fingerprint: String,
    paired: String,
    seen: Option<String>,
    /// When it last did what it was asked.
    proven: Option<String>,
    /// It moved to new hardware lately.
    moved: Option<String>,
    paused: bool,
    role: Role,
    /// Whose it is, when it is somebody else's.
    owner: Option<String>,
    owner_suspended: bool,
    /// How much of a guest's time is left.
    left: Option<String>,
}

impl ShownHome {
    fn of(reached: Reached, now: i64) -> Self {
        let Reached { home, role, owner_email, owner_suspended, until, .. } = reached;
        Self {
            id: home.id,
            name: home.name,
            fingerprint: fingerprint(&home.identity_key),
            paired: when::date(home.paired_at),
            seen: home.last_token_at.map(|at| when::ago(now, at)),
            proven: None,
            moved: home.replaced.filter(|(_, at)| now - at < SHOWN_AS_MOVED_SECONDS).map(|(key, at)| {
                let arguments = [("date", when::date(at).into()), ("fingerprint", fingerprint(&key).into())];
                with("moving-before-text", &arguments)
            }),
            paused: home.paused,
            role,
            owner: owner_email,
            owner_suspended,
            left: until.map(|until| time_left(now, until)),
        }
    }

    fn is_mine(&self) -> bool {
        self.role == Role::Owner
    }

    /// Told apart from a home of the same name.
    fn is_called_like(&self, other: &Self) -> bool {
        self.id != other.id && self.name.to_lowercase() == other.name.to_lowercase()
    }
}

/// Allowed by this person; its connector has not come for its token yet.
struct WaitingHome {
    name: String,
    fingerprint: String,
}

struct ShownMember {
    id: String,
    name: String,
    joined: String,
    left: Option<String>,
}

struct ShownInvitation {
    id: String,
    name: String,
    what: String,
    email: Option<String>,
    left: String,
}

/// GET `/homes`.
pub(super) async fn list(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    answer(&shared, try_list(&shared, &headers).await)
}

async fn try_list(shared: &Shared, headers: &HeaderMap) -> Result<Response, PageError> {
    let visitor = Visitor::of(shared, headers).await?;
    let Some(session) = &visitor.session else { return Ok(sign_in_first("/homes")) };
    let now = shared.now();
    let homes = members::reached(&shared.db, &session.account_id, now).await?;
    let waiting = pairings::waiting(&shared.db, &session.account_id, now).await?;
    let waiting = waiting.into_iter().map(|(key, name)| WaitingHome { name, fingerprint: fingerprint(&key) });
    let shown_homes = homes.into_iter().map(|home| ShownHome::of(home, now)).collect();
    let template = Homes {
        frame: Frame::new(say("homes-title"), Some(session)).at(Place::Homes),
        homes: shown_homes,
        waiting: waiting.collect(),
        command: shared.pair_command(),
    };
    Ok(page(shared, &visitor, StatusCode::OK, &template))
}

/// GET `/homes/{id}`.
pub(super) async fn show(State(shared): State<Arc<Shared>>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    answer(&shared, try_show(&shared, &id, &headers).await)
}

async fn try_show(shared: &Shared, id: &str, headers: &HeaderMap) -> Result<Response, PageError> {
    let visitor = Visitor::of(shared, headers).await?;
    let Some(session) = &visitor.session else { return Ok(sign_in_first("/homes")) };
    let now = shared.now();
    let mut home = ShownHome::of(reached(shared, session, id).await?, now);
    // Not for guests: it tells when others used the home.
    if home.role.may_pause() {
        home.proven = uses::last_done(&shared.db, &home.id).await?.map(|at| when::ago(now, at));
    }
    let all = members::reached(&shared.db, &session.account_id, now).await?;
    let same_name = all.into_iter().any(|other| home.is_called_like(&ShownHome::of(other, now)));
    let (members, invitations) = if home.is_mine() { people::of(shared, &home.id).await? } else { Default::default() };
    let bound = home_assistant::of_account(&shared.db, &session.account_id).await?;
    let bound = bound.into_iter().filter(|one| one.instance_id == home.id.as_str()).map(Bound::of).collect();
    let template = Home {
        frame: Frame::new(home.name.clone(), Some(session)).at(Place::Homes),
        form_token: visitor.form_token(shared, FORM),
        home,
        home_assistant: bound,
        same_name,
        members,
        invitations,
        command: shared.pair_command(),
    };
    Ok(page(shared, &visitor, StatusCode::OK, &template))
}

/// POST `/homes/{id}/pause`: nothing is sent to this home until it is resumed: the skill sends nothing, and the relay lets nothing
/// through. Its link stays up; what the home itself enforces is `ma-connector stop`.
pub(super) async fn pause(State(shared): State<Arc<Shared>>, Path(id): Path<String>, request: Request) -> Response {
    answer(&shared, set_paused(&shared, &id, request, true).await)
}

/// POST `/homes/{id}/resume`.
pub(super) async fn resume(State(shared): State<Arc<Shared>>, Path(id): Path<String>, request: Request) -> Response {
    answer(&shared, set_paused(&shared, &id, request, false).await)
}

async fn set_paused(shared: &Shared, id: &str, request: Request, paused: bool) -> Result<Response, PageError> {
    let Posted { visitor, .. } = posted(shared, request, FORM).await?;
    let Some(session) = &visitor.session else { return Ok(sign_in_first("/homes")) };
    let Reached { home, role, shown_as, .. } = reached(shared, session, id).await?;
    if !role.may_pause() {
        return Err(PageError::NotFound);
    }
    let now = shared.now();
    let mut tx = shared.db.begin().await?;
    let changed = instances::set_paused(&mut tx, &session.account_id, &home.id, paused, now).await?;
    shared.commit(tx).await?;
    if changed {
        let kind = if paused { Kind::HomePaused } else { Kind::HomeResumed };
        tracing::info!(instance.id = %home.id, account.id = %session.account_id, ?kind, "a home was paused or resumed");
        activity::note(&shared.db, &session.account_id, kind, &home.name, now).await;
        if let Some(shown_as) = shown_as {
            let what = people::named(&shown_as, &home.name);
            activity::note(&shared.db, &home.account_id, kind, &what, now).await;
        }
    }
    Ok(see_other(&page_of(&home.id)))
}

/// POST `/homes/{id}/rename`.
pub(super) async fn rename(State(shared): State<Arc<Shared>>, Path(id): Path<String>, request: Request) -> Response {
    answer(&shared, try_rename(&shared, &id, request).await)
}

async fn try_rename(shared: &Shared, id: &str, request: Request) -> Result<Response, PageError> {
    let Posted { visitor, form, .. } = posted(shared, request, FORM).await?;
    let Some(session) = &visitor.session else { return Ok(sign_in_first("/homes")) };
    let home = owned(shared, session, id).await?.home;
    let name = form.value("name").and_then(clean_name);
    let name = name.ok_or(PageError::BadRequest("homes-name-missing"))?;
    let now = shared.now();
    let mut tx = shared.db.begin().await?;
    instances::rename(&mut tx, &session.account_id, &home.id, &name, now).await?;
    shared.commit(tx).await?;
    tracing::info!(instance.id = %home.id, account.id = %session.account_id, "a home was renamed");
    activity::note(&shared.db, &session.account_id, Kind::HomeRenamed, &name, now).await;
    Ok(see_other(&page_of(&home.id)))
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
    let Some(session) = &visitor.session else { return Ok(sign_in_first("/homes")) };
    let home = owned(shared, session, id).await?.home;
    if !is_recent(shared, session) {
        return Ok(sign_in_again(&format!("/homes/{}/unlink", home.id)));
    }
    let others = members::of_home(&shared.db, &home.id, shared.now()).await?.len();
    let question = confirm::Question {
        form: FORM,
        title: say("home-unlink-title"),
        heading: with("home-unlink-heading", &[("home", home.name.into())]),
        text: match others {
            0 => say("home-unlink-text"),
            others => with("home-unlink-text-shared", &[("count", others.into())]),
        },
        action: format!("/homes/{}/unlink", home.id),
        yes: say("home-unlink-yes"),
        back: page_of(&home.id),
    };
    Ok(confirm::ask(shared, &visitor, &question))
}

/// POST `/homes/{id}/unlink`.
pub(super) async fn unlink(State(shared): State<Arc<Shared>>, Path(id): Path<String>, request: Request) -> Response {
    answer(&shared, try_unlink(&shared, &id, request).await)
}

async fn try_unlink(shared: &Shared, id: &str, request: Request) -> Result<Response, PageError> {
    let Posted { visitor, .. } = posted(shared, request, FORM).await?;
    let Some(session) = &visitor.session else { return Ok(sign_in_first("/homes")) };
    let home = owned(shared, session, id).await?.home;
    if !is_recent(shared, session) {
        return Ok(sign_in_again(&format!("/homes/{}/unlink", home.id)));
    }
    if unlinking::unlink(shared, &home).await? {
        tracing::info!(instance.id = %home.id, account.id = %session.account_id, "a home was unlinked by its owner");
    }
    Ok(see_other("/homes"))
}

/// A home that this person reaches; any other is as unknown as one that never was.
async fn reached(shared: &Shared, session: &Session, id: &str) -> Result<Reached, PageError> {
    let id: InstanceId = id.parse().map_err(|_| PageError::NotFound)?;
    let reached = members::reached_one(&shared.db, &session.account_id, &id, shared.now()).await?;
    reached.ok_or(PageError::NotFound)
}

/// A home that this person owns.
async fn owned(shared: &Shared, session: &Session, id: &str) -> Result<Reached, PageError> {
    let reached = reached(shared, session, id).await?;
    if reached.role == Role::Owner { Ok(reached) } else { Err(PageError::NotFound) }
}

fn page_of(id: &InstanceId) -> String {
    format!("/homes/{id}")
}

fn sign_in_first(next: &str) -> Response {
    see_other(&format!("/sign-in?next={}", encode(next)))
}

/// Such as "3 days".
fn time_left(now: i64, until: i64) -> String {
    when::duration(until.saturating_sub(now).max(0).unsigned_abs())
}

/// Long enough for everybody in the house to have looked.
const SHOWN_AS_MOVED_SECONDS: i64 = 30 * 86_400;
