//! Who else uses a home: inviting, taking an invitation back, removing somebody, leaving.
//!
//! An owner sees each person under the name they gave when inviting, never the address of that person's account. Whoever
//! is invited sees the owner's address, so that they know from whom the invitation comes.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use macloud_proto::ids::{InstanceId, base32};
use macloud_service_kit::random;

use super::super::visitor::Visitor;
use super::super::{Frame, PageError, Place, Posted, answer, begin_as, confirm, own_id, page, posted, see_other, when};
use super::{FORM, ShownInvitation, ShownMember, owned, page_of, reached, sign_in_first, time_left};
use crate::form::encode;
use crate::names::clean_name;
use crate::oauth::{draw_code, normalise_code};
use crate::passwords::normalise_email;
use crate::plans;
use crate::rate_limits::Attempt;
use crate::shared::Shared;
use crate::store::activity::{self, Kind};
use crate::store::invitations::{self, NewInvitation, Open};
use crate::store::members::{self, Role};
use crate::store::web_sessions::Session;
use crate::store::{accounts, instances::Instance};
use crate::words::{say, with};

/// Twelve letters, 52 bits: an invitation is open for days.
pub(in crate::web) const CODE_GROUPS: usize = 3;
pub(super) const OPEN_SECONDS: i64 = 7 * 86_400;

#[derive(Template)]
#[template(path = "invite.html")]
struct Invite {
    frame: Frame,
    form_token: String,
    home: Instance,
    name: String,
    email: String,
    choice: String,
    problem: Option<Problem>,
}

enum Problem {
    Name,
    Email,
    Full,
}

#[derive(Template)]
#[template(path = "invited.html")]
struct Invited {
    frame: Frame,
    back: String,
    heading: String,
    text: String,
    link: String,
    code: String,
    mailed_to: Option<String>,
}

/// A home's members and open invitations, for its owner.
pub(super) async fn of(
    shared: &Shared,
    home: &InstanceId,
) -> Result<(Vec<ShownMember>, Vec<ShownInvitation>), PageError> {
    let now = shared.now();
    let members = members::of_home(&shared.db, home, now).await?.into_iter().map(|member| ShownMember {
        id: member.id,
        name: member.shown_as,
        joined: when::date(member.joined_at),
        left: member.until.map(|until| time_left(now, until)),
    });
    let invitations = invitations::of_home(&shared.db, home, now).await?.into_iter().map(|open| ShownInvitation {
        what: told_role(&open),
        id: open.id,
        name: open.shown_as,
        email: open.email,
        left: time_left(now, open.expires_at),
    });
    Ok((members.collect(), invitations.collect()))
}

fn told_role(open: &Open) -> String {
    match (open.role, open.guest_seconds) {
        (Role::Owner, _) => say("people-as-owner"),
        (Role::Guest, Some(seconds)) => {
            with("people-as-guest", &[("time", when::duration(seconds.unsigned_abs()).into())])
        }
        (Role::Guest | Role::Member, _) => say("people-as-member"),
    }
}

/// Somebody at a home, for a line of the activity log.
pub(in crate::web) fn named(shown_as: &str, home: &str) -> String {
    format!("{shown_as} ({home})")
}

/// GET `/homes/{id}/invite`.
pub(in crate::web) async fn ask(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let outcome = async {
        let visitor = Visitor::of(&shared, &headers).await?;
        let Some(session) = visitor.session.clone() else { return Ok(sign_in_first("/homes")) };
        let home = owned(&shared, &session, &id).await?.home;
        Ok(form(&shared, &visitor, &session, home, StatusCode::OK, [""; 3], None))
    };
    answer(&shared, outcome.await)
}

fn form(
    shared: &Shared,
    visitor: &Visitor,
    session: &Session,
    home: Instance,
    status: StatusCode,
    [name, email, choice]: [&str; 3],
    problem: Option<Problem>,
) -> Response {
    let template = Invite {
        frame: Frame::new(say("people-invite-title"), Some(session)).at(Place::Homes),
        form_token: visitor.form_token(shared, FORM),
        home,
        name: name.into(),
        email: email.into(),
        choice: if choice.is_empty() { "member" } else { choice }.into(),
        problem,
    };
    page(shared, visitor, status, &template)
}

/// POST `/homes/{id}/invite`.
pub(in crate::web) async fn invite(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    answer(&shared, try_invite(&shared, &id, request).await)
}

async fn try_invite(shared: &Shared, id: &str, request: Request) -> Result<Response, PageError> {
    let Posted { visitor, form: typed, .. } = posted(shared, request, FORM).await?;
    let Some(session) = visitor.session.clone() else { return Ok(sign_in_first("/homes")) };
    let home = owned(shared, &session, id).await?.home;
    let value = |name| typed.value(name).unwrap_or_default();
    let entered = [value("name"), value("email"), value("role")];
    let again = |home, problem| {
        Ok(form(shared, &visitor, &session, home, StatusCode::UNPROCESSABLE_ENTITY, entered, Some(problem)))
    };
    let Some(name) = clean_name(entered[0]) else { return again(home, Problem::Name) };
    let email = match entered[1].trim() {
        "" => None,
        typed => match normalise_email(typed) {
            Some(email) => Some(email),
            None => return again(home, Problem::Email),
        },
    };
    let (role, guest_seconds) = role_of(entered[2]).ok_or(PageError::NotFound)?;
    let wish = Wish { role, guest_seconds, stays: false, shown_as: &name, email: email.as_deref() };
    let Some(code) = make(shared, &session, &home, &wish).await? else { return again(home, Problem::Full) };
    activity::note(&shared.db, &session.account_id, Kind::InvitationMade, &named(&name, &home.name), shared.now())
        .await;
    let heading = with("people-invited-heading", &[("name", name.into())]);
    let text = with("people-invited-text", &[("home", (&home.name).into())]);
    show_link(shared, &visitor, &session, &home, &code, heading, text, email).await
}

/// The choices of the form: a member, or a guest for so many days.
fn role_of(choice: &str) -> Option<(Role, Option<i64>)> {
    match choice {
        "member" => Some((Role::Member, None)),
        "guest-1" => Some((Role::Guest, Some(86_400))),
        "guest-7" => Some((Role::Guest, Some(7 * 86_400))),
        "guest-30" => Some((Role::Guest, Some(30 * 86_400))),
        _ => None,
    }
}

/// What an owner wants to offer.
pub(super) struct Wish<'a> {
    pub(super) role: Role,
    pub(super) guest_seconds: Option<i64>,
    pub(super) stays: bool,
    pub(super) shown_as: &'a str,
    pub(super) email: Option<&'a str>,
}

/// Make an invitation; its code as people read it. `None` when there are too many already.
pub(super) async fn make(
    shared: &Shared,
    session: &Session,
    home: &Instance,
    wish: &Wish<'_>,
) -> Result<Option<String>, PageError> {
    let limit = shared.config.limits.invitations_per_account;
    shared.rate_limits.count(Attempt::Invitation, session.account_id.as_str(), limit)?;
    let code = draw_code(CODE_GROUPS);
    let hash = shared.master.invitation_hash(&normalise_code(&code, CODE_GROUPS).expect("we drew it"));
    let now = shared.now();
    let new = NewInvitation {
        id: &base32(&random::bytes::<10>()),
        code: &hash,
        home: &home.id,
        owner: &session.account_id,
        role: wish.role,
        guest_seconds: wish.guest_seconds,
        stays: wish.stays,
        shown_as: wish.shown_as,
        email: wish.email,
        expires_at: now + OPEN_SECONDS,
    };
    let mut tx = begin_as(shared, session).await?;
    let plan = plans::held(shared, &mut tx, &session.account_id).await?;
    // Offering the home itself adds nobody to it.
    let most = plan.members.filter(|_| wish.role != Role::Owner);
    let made = invitations::insert(&mut tx, &new, most, now).await?;
    shared.commit(tx).await?;
    tracing::info!(instance.id = %home.id, account.id = %session.account_id, made, role = wish.role.text(), "invited");
    Ok(made.then_some(code))
}

/// Show the link, once: only a hash of its code is kept. To an address, it goes by mail, too.
#[expect(clippy::too_many_arguments, reason = "what a page shows, and for whom")]
pub(super) async fn show_link(
    shared: &Shared,
    visitor: &Visitor,
    session: &Session,
    home: &Instance,
    code: &str,
    heading: String,
    text: String,
    email: Option<String>,
) -> Result<Response, PageError> {
    let link = shared.url(&format!("/join?code={}", encode(code)));
    // Mail with somebody else's name on it goes only from those who showed that their own address is theirs.
    let owner = accounts::by_id(&shared.db, &session.account_id).await?;
    let proved = owner.is_some_and(|owner| owner.email_verified);
    let limit = shared.config.limits.invitation_mails_per_mailbox;
    let mailed_to = email.filter(|to| proved && shared.rate_limits.count(Attempt::InvitationMail, to, limit).is_ok());
    if let Some(to) = &mailed_to {
        let arguments = [("owner", (&session.email).into()), ("link", (&link).into())];
        shared.mail.send(to, &say("people-mail-subject"), &with("people-mail-text", &arguments));
    }
    let template = Invited {
        frame: Frame::new(say("people-invited-title"), Some(session)).at(Place::Homes),
        back: page_of(&home.id),
        heading,
        text,
        link,
        code: code.to_owned(),
        mailed_to,
    };
    Ok(page(shared, visitor, StatusCode::OK, &template))
}

/// POST `/homes/{id}/invitations/{invitation}/revoke`.
pub(in crate::web) async fn revoke(
    State(shared): State<Arc<Shared>>,
    Path((id, invitation)): Path<(String, String)>,
    request: Request,
) -> Response {
    let outcome = async {
        let Posted { visitor, .. } = posted(&shared, request, FORM).await?;
        let Some(session) = &visitor.session else { return Ok(sign_in_first("/homes")) };
        let home = owned(&shared, session, &id).await?.home;
        let invitation = own_id(&invitation)?;
        let shown_as = invitations::revoke(&shared.db, &session.account_id, &home.id, invitation).await?;
        let shown_as = shown_as.ok_or(PageError::NotFound)?;
        tracing::info!(instance.id = %home.id, account.id = %session.account_id, "an invitation was taken back");
        let what = named(&shown_as, &home.name);
        activity::note(&shared.db, &session.account_id, Kind::InvitationRevoked, &what, shared.now()).await;
        Ok(see_other(&page_of(&home.id)))
    };
    answer(&shared, outcome.await)
}

/// GET `/homes/{id}/members/{member}/remove`.
pub(in crate::web) async fn ask_remove(
    State(shared): State<Arc<Shared>>,
    Path((id, member)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let outcome = async {
        let visitor = Visitor::of(&shared, &headers).await?;
        let Some(session) = &visitor.session else { return Ok(sign_in_first("/homes")) };
        let home = owned(&shared, session, &id).await?.home;
        let members = members::of_home(&shared.db, &home.id, shared.now()).await?;
        let member = members.into_iter().find(|other| other.id == member).ok_or(PageError::NotFound)?;
        let question = confirm::Question {
            form: FORM,
            title: say("people-remove-title"),
            heading: with("people-remove-heading", &[("name", member.shown_as.into())]),
            text: with("people-remove-text", &[("home", home.name.into())]),
            action: format!("/homes/{}/members/{}/remove", home.id, member.id),
            yes: say("people-remove-yes"),
            back: page_of(&home.id),
        };
        Ok(confirm::ask(&shared, &visitor, &question))
    };
    answer(&shared, outcome.await)
}

/// POST `/homes/{id}/members/{member}/remove`.
pub(in crate::web) async fn remove(
    State(shared): State<Arc<Shared>>,
    Path((id, member)): Path<(String, String)>,
    request: Request,
) -> Response {
    let outcome = async {
        let Posted { visitor, .. } = posted(&shared, request, FORM).await?;
        let Some(session) = &visitor.session else { return Ok(sign_in_first("/homes")) };
        let home = owned(&shared, session, &id).await?.home;
        let member = own_id(&member)?;
        let now = shared.now();
        let mut tx = shared.db.begin().await?;
        let removed = members::remove(&mut tx, &session.account_id, &home.id, member, now).await?;
        shared.commit(tx).await?;
        let (account, shown_as) = removed.ok_or(PageError::NotFound)?;
        tracing::info!(instance.id = %home.id, account.id = %account, "a member was removed by the home's owner");
        let what = named(&shown_as, &home.name);
        activity::note(&shared.db, &session.account_id, Kind::MemberRemoved, &what, now).await;
        activity::note(&shared.db, &account, Kind::HomeLost, &home.name, now).await;
        Ok(see_other(&page_of(&home.id)))
    };
    answer(&shared, outcome.await)
}

/// GET `/homes/{id}/leave`.
pub(in crate::web) async fn ask_leave(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let outcome = async {
        let visitor = Visitor::of(&shared, &headers).await?;
        let Some(session) = &visitor.session else { return Ok(sign_in_first("/homes")) };
        let reached = reached(&shared, session, &id).await?;
        if reached.role == Role::Owner {
            return Err(PageError::NotFound);
        }
        let question = confirm::Question {
            form: FORM,
            title: say("people-leave-title"),
            heading: with("people-leave-heading", &[("home", (&reached.home.name).into())]),
            text: say("people-leave-text"),
            action: format!("/homes/{}/leave", reached.home.id),
            yes: say("people-leave-yes"),
            back: page_of(&reached.home.id),
        };
        Ok(confirm::ask(&shared, &visitor, &question))
    };
    answer(&shared, outcome.await)
}

/// POST `/homes/{id}/leave`.
pub(in crate::web) async fn leave(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    let outcome = async {
        let Posted { visitor, .. } = posted(&shared, request, FORM).await?;
        let Some(session) = &visitor.session else { return Ok(sign_in_first("/homes")) };
        let home = reached(&shared, session, &id).await?.home;
        let now = shared.now();
        let mut tx = shared.db.begin().await?;
        let left = members::leave(&mut tx, &session.account_id, &home.id, now).await?;
        shared.commit(tx).await?;
        let shown_as = left.ok_or(PageError::NotFound)?;
        tracing::info!(instance.id = %home.id, account.id = %session.account_id, "a member left");
        activity::note(&shared.db, &session.account_id, Kind::HomeLeft, &home.name, now).await;
        activity::note(&shared.db, &home.account_id, Kind::MemberLeft, &named(&shown_as, &home.name), now).await;
        Ok(see_other("/homes"))
    };
    answer(&shared, outcome.await)
}
