//! Connecting a home: the person types (or scans) the code, compares the fingerprint, names the home and decides.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use macloud_proto::ids::{InstanceId, fingerprint};

use super::security::{is_recent, sign_in_again};
use super::visitor::Visitor;
use super::{Frame, PageError, Posted, answer, begin_as, page, posted, see_other};
use crate::form::{Form, encode};
use crate::names::clean_name;
use crate::oauth::normalise_user_code;
use crate::plans;
use crate::rate_limits::{Attempt, address_key};
use crate::shared::Shared;
use crate::store::members::{self, Role};
use crate::store::pairings::{self, Pairing};
use crate::store::web_sessions::Session;
use crate::store::{activity, instances};
use crate::words;

const FORM: &str = "pair";

#[derive(Template)]
#[template(path = "pair_enter.html")]
struct Enter {
    frame: Frame,
    form_token: String,
    typed: String,
    error: Option<String>,
    command: String,
}

#[derive(Template)]
#[template(path = "pair_confirm.html")]
struct Confirm {
    frame: Frame,
    form_token: String,
    user_code: String,
    name: String,
    fingerprint: String,
    /// The key is a home of somebody else, or of this account already.
    known: Known,
    /// The homes that this one may replace.
    homes: Vec<Replaceable>,
}

/// A home of this person, which may move to the hardware that pairs.
struct Replaceable {
    id: InstanceId,
    name: String,
    fingerprint: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    No,
    Mine,
    Elsewhere,
}

#[derive(Template)]
#[template(path = "pair_done.html")]
struct Done {
    frame: Frame,
    allowed: bool,
    name: String,
    /// The fingerprint of the hardware that was replaced.
    replaced: Option<String>,
    has_app: bool,
}

/// GET `/pair?user_code=…`. Opening the link decides nothing.
pub(super) async fn show(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    answer(&shared, try_show(&shared, request).await)
}

async fn try_show(shared: &Shared, request: Request) -> Result<Response, PageError> {
    let (parts, _) = request.into_parts();
    let visitor = Visitor::of(shared, &parts.headers).await?;
    let form = Form::parse(parts.uri.query().unwrap_or_default().as_bytes())?;
    let typed = form.value("user_code").unwrap_or_default();
    match visitor.session.clone() {
        None => Ok(sign_in_first(typed)),
        Some(_) if typed.is_empty() => Ok(enter(shared, &visitor, StatusCode::OK, String::new(), None)),
        Some(session) => look_up(shared, &visitor, &session, &parts, typed).await,
    }
}

/// POST `/pair`: a typed code, or with `decision` the answer.
pub(super) async fn submit(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    answer(&shared, try_submit(&shared, request).await)
}

async fn try_submit(shared: &Shared, request: Request) -> Result<Response, PageError> {
    let Posted { visitor, form, parts } = posted(shared, request, FORM).await?;
    let typed = form.value("user_code").unwrap_or_default();
    let Some(session) = visitor.session.clone() else { return Ok(sign_in_first(typed)) };
    match form.value("decision") {
        None => look_up(shared, &visitor, &session, &parts, typed).await,
        Some("allow") => decide(shared, &visitor, &session, &parts, &form, true).await,
        Some("deny") => decide(shared, &visitor, &session, &parts, &form, false).await,
        Some(_) => Err(PageError::BadRequest("problem-choose-one")),
    }
}

fn sign_in_first(typed: &str) -> Response {
    see_other(&format!("/sign-in?next={}", encode(&with_code(typed))))
}

fn with_code(typed: &str) -> String {
    if typed.is_empty() { "/pair".into() } else { format!("/pair?user_code={}", encode(typed)) }
}

async fn replaceable(shared: &Shared, session: &Session) -> Result<Vec<Replaceable>, PageError> {
    let reached = members::reached(&shared.db, &session.account_id, shared.now()).await?;
    let own = reached.into_iter().filter(|reached| reached.role == Role::Owner).map(|reached| reached.home);
    Ok(own
        .map(|home| Replaceable { id: home.id, name: home.name, fingerprint: fingerprint(&home.identity_key) })
        .collect())
}

/// The home that the form says is replaced: one of this person's own, or none.
async fn replaced(
    shared: &Shared,
    session: &Session,
    form: &Form,
    allowed: bool,
) -> Result<Option<Replaceable>, PageError> {
    let wanted = form.value("replaces").filter(|id| allowed && !id.is_empty());
    let Some(id) = wanted else { return Ok(None) };
    let own = replaceable(shared, session).await?;
    own.into_iter().find(|home| home.id.as_str() == id).ok_or(PageError::NotFound).map(Some)
}

/// Show what the code stands for. Wrong codes are counted, so that nobody finds another person's home by guessing.
async fn look_up(
    shared: &Shared,
    visitor: &Visitor,
    session: &Session,
    parts: &Parts,
    typed: &str,
) -> Result<Response, PageError> {
    let Some((user_code, pairing)) = find(shared, session, parts, typed).await? else {
        let error = words::say("pair-code-wrong");
        return Ok(enter(shared, visitor, StatusCode::UNPROCESSABLE_ENTITY, typed.to_owned(), Some(error)));
    };
    let known = match instances::by_key(&shared.db, &pairing.identity_key).await? {
        None => Known::No,
        Some(home) if home.account_id == session.account_id => Known::Mine,
        Some(_) => Known::Elsewhere,
    };
    let homes = match known {
        // It is one of them, or comes from elsewhere as it is.
        Known::Mine | Known::Elsewhere => Vec::new(),
        Known::No => replaceable(shared, session).await?,
    };
    let template = Confirm {
        frame: Frame::new(words::say("pair-confirm-title"), Some(session)),
        form_token: visitor.form_token(shared, FORM),
        user_code: format!("{}-{}", &user_code[..4], &user_code[4..]),
        name: pairing.name,
        fingerprint: fingerprint(&pairing.identity_key),
        known,
        homes,
    };
    Ok(page(shared, visitor, StatusCode::OK, &template))
}

async fn decide(
    shared: &Shared,
    visitor: &Visitor,
    session: &Session,
    parts: &Parts,
    form: &Form,
    allowed: bool,
) -> Result<Response, PageError> {
    let typed = form.value("user_code").unwrap_or_default();
    let again = || {
        let gone = words::say("pair-code-gone");
        enter(shared, visitor, StatusCode::UNPROCESSABLE_ENTITY, typed.to_owned(), Some(gone))
    };
    let Some((user_code, pairing)) = find(shared, session, parts, typed).await? else { return Ok(again()) };
    let replaced = replaced(shared, session, form, allowed).await?;
    if replaced.is_some() && !is_recent(shared, session) {
        return Ok(sign_in_again(&with_code(typed)));
    }
    if allowed
        && replaced.is_none()
        && instances::by_key(&shared.db, &pairing.identity_key)
            .await?
            .is_none_or(|home| home.account_id != session.account_id)
        && let Err(most) = plans::may_connect_home(shared, &session.account_id).await?
    {
        let error = words::with("plan-too-many-homes", &[("most", most.into())]);
        return Ok(enter(shared, visitor, StatusCode::CONFLICT, typed.to_owned(), Some(error)));
    }
    let typed_name = form.value("name").and_then(clean_name).unwrap_or(pairing.name);
    // It keeps its name: whoever wants another one renames it.
    let name = replaced.as_ref().map_or(typed_name, |home| home.name.clone());
    let (hash, replaces) = (shared.master.user_code_hash(&user_code), replaced.as_ref().map(|home| &home.id));
    let mut tx = begin_as(shared, session).await?;
    if !pairings::decide(&mut tx, &hash, &session.account_id, allowed, &name, replaces, shared.now()).await? {
        return Ok(again());
    }
    tx.commit().await?;
    shared.metrics.pairing(if allowed { "allowed" } else { "declined" });
    tracing::info!(account.id = %session.account_id, allowed, "a pairing was decided");
    let kind = if allowed { activity::Kind::HomeAllowed } else { activity::Kind::HomeRefused };
    activity::note(&shared.db, &session.account_id, kind, &name, shared.now()).await;
    let title = words::say(if allowed { "pair-done-title" } else { "pair-refused" });
    let template = Done {
        frame: Frame::new(title, Some(session)),
        allowed,
        name,
        replaced: replaced.map(|home| home.fingerprint),
        has_app: shared.has_app_to_link().await,
    };
    Ok(page(shared, visitor, StatusCode::OK, &template))
}

/// The open pairing of a typed code, with the code as it is looked up.
async fn find(
    shared: &Shared,
    session: &Session,
    parts: &Parts,
    typed: &str,
) -> Result<Option<(String, Pairing)>, PageError> {
    let rate = shared.config.limits.wrong_pairing_codes;
    let address = address_key(shared.client_address(parts));
    let account = session.account_id.as_str();
    let count = |who: &str| shared.rate_limits.count(Attempt::WrongPairingCode, who, rate);
    count(&address)?;
    count(account)?;
    let Some(user_code) = normalise_user_code(typed) else { return Ok(None) };
    let hash = shared.master.user_code_hash(&user_code);
    let found = pairings::open_by_user_code(&shared.db, &hash, shared.now()).await;
    // Given back unless it was a wrong guess: what we could not look at is none.
    if !matches!(found, Ok(None)) {
        shared.rate_limits.give_back(Attempt::WrongPairingCode, &address, rate);
        shared.rate_limits.give_back(Attempt::WrongPairingCode, account, rate);
    }
    Ok(found?.map(|pairing| (user_code, pairing)))
}

fn enter(shared: &Shared, visitor: &Visitor, status: StatusCode, typed: String, error: Option<String>) -> Response {
    let frame = Frame::new(words::say("pair-title"), visitor.session.as_ref());
    let (form_token, command) = (visitor.form_token(shared, FORM), shared.pair_command());
    let template = Enter { frame, form_token, typed, error, command };
    page(shared, visitor, status, &template)
}
