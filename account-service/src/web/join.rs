//! The invited person's side: what an invitation or an offer means in plain words, yes or no.
//!
//! A code says nothing about whether it exists until somebody has signed in, and wrong ones are counted. An invitation
//! for an address is shown to nobody else.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use macloud_proto::ids::{base32, fingerprint};
use macloud_service_kit::random;

use super::homes::people::{CODE_GROUPS, named};
use super::security::{is_recent, sign_in_again};
use super::visitor::Visitor;
use super::{Frame, PageError, Place, Posted, answer, begin_as, page, posted, see_other, when};
use crate::form::{Form, encode};
use crate::oauth::normalise_code;
use crate::plans;
use crate::rate_limits::{Attempt, address_key};
use crate::shared::Shared;
use crate::store::accounts;
use crate::store::activity::{self, Kind};
use crate::store::invitations::{self, Answered, Invited, Terms};
use crate::store::members::Role;
use crate::store::web_sessions::Session;
use crate::words::{say, with};

const FORM: &str = "join";

#[derive(Template)]
#[template(path = "join_enter.html")]
struct Enter {
    frame: Frame,
    form_token: String,
    typed: String,
    error: Option<String>,
}

#[derive(Template)]
#[template(path = "join.html")]
struct Join {
    frame: Frame,
    form_token: String,
    code: String,
    invited: Invited,
    fingerprint: String,
    /// How long a guest may stay.
    time: String,
}

/// GET `/join?code=…`. Opening the link decides nothing.
pub(super) async fn show(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let outcome = async {
        let (parts, _) = request.into_parts();
        let visitor = Visitor::of(&shared, &parts.headers).await?;
        let form = Form::parse(parts.uri.query().unwrap_or_default().as_bytes())?;
        let typed = form.value("code").unwrap_or_default();
        match visitor.session.clone() {
            None => Ok(sign_in_first(typed)),
            Some(_) if typed.is_empty() => Ok(enter(&shared, &visitor, StatusCode::OK, "", None)),
            Some(session) => look_up(&shared, &visitor, &session, &parts, typed).await,
        }
    };
    answer(&shared, outcome.await)
}

/// POST `/join`: a typed code, or with `decision` the answer.
pub(super) async fn submit(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    answer(&shared, try_submit(&shared, request).await)
}

async fn try_submit(shared: &Shared, request: Request) -> Result<Response, PageError> {
    let Posted { visitor, form, parts } = posted(shared, request, FORM).await?;
    let typed = form.value("code").unwrap_or_default();
    let Some(session) = visitor.session.clone() else { return Ok(sign_in_first(typed)) };
    match form.value("decision") {
        None => look_up(shared, &visitor, &session, &parts, typed).await,
        Some(decision @ ("accept" | "decline")) => {
            decide(shared, &visitor, &session, &parts, &form, decision == "accept").await
        }
        Some(_) => Err(PageError::NotFound),
    }
}

fn sign_in_first(typed: &str) -> Response {
    see_other(&format!("/sign-in?next={}", encode(&with_code(typed))))
}

fn with_code(typed: &str) -> String {
    if typed.is_empty() { "/join".into() } else { format!("/join?code={}", encode(typed)) }
}

/// Whether it is for this person's address, and they have not shown yet that the address is theirs: anybody can claim one.
async fn is_unproved(shared: &Shared, session: &Session, invited: &Invited) -> Result<bool, PageError> {
    if invited.email.is_none() {
        return Ok(false);
    }
    let account = accounts::by_id(&shared.db, &session.account_id).await?;
    Ok(account.is_none_or(|account| !account.email_verified))
}

/// Show whose the address is, and come back.
fn prove_first(typed: &str) -> Response {
    see_other(&format!("/verify?next={}", encode(&with_code(typed))))
}

async fn look_up(
    shared: &Shared,
    visitor: &Visitor,
    session: &Session,
    parts: &Parts,
    typed: &str,
) -> Result<Response, PageError> {
    let Some((code, invited)) = find(shared, session, parts, typed).await? else {
        let error = Some("join-wrong-code");
        return Ok(enter(shared, visitor, StatusCode::UNPROCESSABLE_ENTITY, typed, error));
    };
    if invited.owner == session.account_id {
        return Ok(enter(shared, visitor, StatusCode::UNPROCESSABLE_ENTITY, typed, Some("join-own")));
    }
    if is_unproved(shared, session, &invited).await? {
        return Ok(prove_first(typed));
    }
    let key: Option<[u8; 32]> = invited.identity_key.as_slice().try_into().ok();
    let template = Join {
        frame: Frame::new(say("join-title"), Some(session)).at(Place::Homes),
        form_token: visitor.form_token(shared, FORM),
        code,
        fingerprint: key.map(|key| fingerprint(&key)).unwrap_or_default(),
        time: invited.guest_seconds.map(|seconds| when::duration(seconds.unsigned_abs())).unwrap_or_default(),
        invited,
    };
    Ok(page(shared, visitor, StatusCode::OK, &template))
}

async fn decide(
    shared: &Shared,
    visitor: &Visitor,
    session: &Session,
    parts: &Parts,
    form: &Form,
    accepted: bool,
) -> Result<Response, PageError> {
    let typed = form.value("code").unwrap_or_default();
    let gone = || enter(shared, visitor, StatusCode::UNPROCESSABLE_ENTITY, typed, Some("join-gone"));
    let Some((code, invited)) = find(shared, session, parts, typed).await? else { return Ok(gone()) };
    if is_unproved(shared, session, &invited).await? {
        return Ok(prove_first(typed));
    }
    let becomes_owner = invited.role == Role::Owner;
    if accepted && becomes_owner && !is_recent(shared, session) {
        return Ok(sign_in_again(&with_code(typed)));
    }
    let (account, now) = (&session.account_id, shared.now());
    let too_many = |most: u32| {
        let error = with("plan-too-many-homes", &[("most", most.into())]);
        enter_with(shared, visitor, StatusCode::CONFLICT, typed, Some(error))
    };
    if accepted
        && becomes_owner
        && let Err(most) = plans::may_connect_home(shared, account).await?
    {
        return Ok(too_many(most));
    }
    let hash = shared.master.invitation_hash(&code);
    let mut tx = begin_as(shared, session).await?;
    let answered = if accepted {
        let terms = Terms {
            keep_members: form.value("keep_members").is_some(),
            keep_owner: form.value("keep_owner").is_some(),
            as_owner: becomes_owner,
        };
        let fresh = [(); 2].map(|()| base32(&random::bytes::<10>()));
        invitations::accept(&mut tx, &hash, account, [&fresh[0], &fresh[1]], terms, now).await?
    } else {
        invitations::decline(&mut tx, &hash, account, now).await?
    };
    // Dropped, the transaction undoes what it did.
    let Some(answered) = answered else { return Ok(gone()) };
    if accepted
        && becomes_owner
        && let Err(most) = plans::has_room(shared, &mut tx, account).await?
    {
        return Ok(too_many(most));
    }
    shared.commit(tx).await?;
    tracing::info!(instance.id = %answered.home, account.id = %account, accepted, role = answered.role.text(), "an invitation was answered");
    note(shared, session, &invited, &answered, accepted).await;
    if !accepted {
        return Ok(see_other("/homes"));
    }
    Ok(see_other(&format!("/homes/{}", answered.home)))
}

/// Both sides see in their activity what came of it; a home that changed hands is told by mail, too.
async fn note(shared: &Shared, session: &Session, invited: &Invited, answered: &Answered, accepted: bool) {
    let (now, home) = (shared.now(), &invited.home_name);
    let what = named(&answered.shown_as, home);
    let (mine, theirs) = match (accepted, answered.role) {
        (false, _) => (None, Kind::InvitationDeclined),
        (true, Role::Owner) => (Some(Kind::HomeTaken), Kind::HomeGiven),
        (true, Role::Member | Role::Guest) => (Some(Kind::HomeJoined), Kind::MemberJoined),
    };
    if let Some(kind) = mine {
        activity::note(&shared.db, &session.account_id, kind, home, now).await;
    }
    let detail = if theirs == Kind::HomeGiven { home } else { &what };
    activity::note(&shared.db, &answered.owner, theirs, detail, now).await;
    for account in &answered.lost {
        activity::note(&shared.db, account, Kind::HomeLost, home, now).await;
    }
    if accepted && answered.role == Role::Owner {
        let arguments = [("home", home.into()), ("owner", (&session.email).into())];
        shared.mail.send(
            &invited.owner_email,
            &say("moving-mail-given-subject"),
            &with("moving-mail-given", &arguments),
        );
        let arguments = [("home", home.into()), ("owner", (&invited.owner_email).into())];
        shared.mail.send(&session.email, &say("moving-mail-taken-subject"), &with("moving-mail-taken", &arguments));
    }
}

/// The open invitation of a typed code, with the code as it is looked up. One for another address is none.
async fn find(
    shared: &Shared,
    session: &Session,
    parts: &Parts,
    typed: &str,
) -> Result<Option<(String, Invited)>, PageError> {
    let rate = shared.config.limits.wrong_invitation_codes;
    let address = address_key(shared.client_address(parts));
    let account = &session.account_id;
    let count = |who: &str| shared.rate_limits.count(Attempt::WrongInvitationCode, who, rate);
    count(&address)?;
    count(account.as_str())?;
    let Some(code) = normalise_code(typed, CODE_GROUPS) else { return Ok(None) };
    let hash = shared.master.invitation_hash(&code);
    let found = invitations::by_code(&shared.db, &hash, account, shared.now()).await;
    // Given back unless it was a wrong guess: what we could not look at is none.
    if !matches!(found, Ok(None)) {
        shared.rate_limits.give_back(Attempt::WrongInvitationCode, &address, rate);
        shared.rate_limits.give_back(Attempt::WrongInvitationCode, account.as_str(), rate);
    }
    let for_me = |invited: &Invited| invited.email.as_ref().is_none_or(|email| *email == session.email);
    Ok(found?.filter(|invited| invited.owner == *account || for_me(invited)).map(|invited| (code, invited)))
}

fn enter(shared: &Shared, visitor: &Visitor, status: StatusCode, typed: &str, error: Option<&str>) -> Response {
    enter_with(shared, visitor, status, typed, error.map(say))
}

fn enter_with(shared: &Shared, visitor: &Visitor, status: StatusCode, typed: &str, error: Option<String>) -> Response {
    let template = Enter {
        frame: Frame::new(say("join-title"), visitor.session.as_ref()).at(Place::Homes),
        form_token: visitor.form_token(shared, FORM),
        typed: typed.to_owned(),
        error,
    };
    page(shared, visitor, status, &template)
}
