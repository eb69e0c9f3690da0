//! Taking one's data along, and leaving for good.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};

use super::homes::people::named;
use super::security::{FORM, recently_signed_in, sign_in_first};
use super::visitor::Visitor;
use super::{Frame, PageError, answer, begin_as, page, second_step};
use crate::passwords::normalise_email;
use crate::shared::Shared;
use crate::store::web_sessions::Session;
use crate::store::{accounts, activity, export, members, plans};
use crate::words;

#[derive(Template)]
#[template(path = "delete_account.html")]
struct Delete {
    frame: Frame,
    form_token: String,
    second_step: bool,
    /// How many people lose a home by it.
    others: usize,
    /// They pay for a plan, which does not end by it.
    paid: bool,
    error: Option<&'static str>,
}

#[derive(Template)]
#[template(path = "deleted.html")]
struct Deleted {
    frame: Frame,
}

/// POST `/account/export`: everything that is kept about this person, as a file.
pub(super) async fn take_along(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let outcome = async {
        let (_, session) = match recently_signed_in(&shared, request).await? {
            Ok(both) => both,
            Err(elsewhere) => return Ok(elsewhere),
        };
        let data = export::of_account(&shared.db, &session.account_id).await?;
        activity::note(&shared.db, &session.account_id, activity::Kind::DataExported, "", shared.now()).await;
        let headers = [
            ("content-type", "application/json"),
            ("content-disposition", "attachment; filename=\"ma-cloud-data.json\""),
        ];
        Ok((headers, format!("{data:#}\n")).into_response())
    };
    answer(&shared, outcome.await)
}

/// GET `/account/delete`.
pub(super) async fn ask_delete(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let outcome = async {
        let visitor = Visitor::of(&shared, &headers).await?;
        let Some(session) = visitor.session.clone() else { return Ok(sign_in_first()) };
        ask(&shared, &visitor, &session, StatusCode::OK, None).await
    };
    answer(&shared, outcome.await)
}

async fn ask(
    shared: &Shared,
    visitor: &Visitor,
    session: &Session,
    status: StatusCode,
    error: Option<&'static str>,
) -> Result<Response, PageError> {
    let template = Delete {
        frame: Frame::new(words::say("leaving-title"), Some(session)),
        form_token: visitor.form_token(shared, FORM),
        second_step: second_step::has_app(shared, &session.account_id).await?,
        others: members::of_owner(&shared.db, &session.account_id, shared.now()).await?.len(),
        paid: plans::is_paid_for(&shared.db, &session.account_id).await?,
        error,
    };
    Ok(page(shared, visitor, status, &template))
}

/// POST `/account/delete`. There is no way back, so it takes the address typed in full, and a code where there is one.
pub(super) async fn delete(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    answer(&shared, try_delete(&shared, request).await)
}

async fn try_delete(shared: &Shared, request: Request) -> Result<Response, PageError> {
    let (posted, session) = match recently_signed_in(shared, request).await? {
        Ok(both) => both,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let account = &session.account_id;
    let typed = posted.form.value("email").and_then(normalise_email);
    let problem = if typed.as_ref() != Some(&session.email) {
        Some("leaving-email-wrong")
    } else if posted.form.value("payment").is_none() && plans::is_paid_for(&shared.db, account).await? {
        Some("leaving-paid-unread")
    } else if second_step::has_app(shared, account).await?
        && !second_step::is_right(shared, &posted.parts.headers, account, posted.form.value("code").unwrap_or_default())
            .await?
    {
        Some("security-code-wrong")
    } else {
        None
    };
    if problem.is_some() {
        return ask(shared, &posted.visitor, &session, StatusCode::UNPROCESSABLE_ENTITY, problem).await;
    }
    let now = shared.now();
    let who_loses = members::of_owner(&shared.db, account, now).await?;
    let who_shared = members::owners_of(&shared.db, account, now).await?;
    let mut tx = begin_as(shared, &session).await?;
    accounts::delete(&mut tx, account, now).await?;
    shared.commit(tx).await?;
    for (member, home) in who_loses {
        activity::note(&shared.db, &member, activity::Kind::HomeLost, &home, now).await;
    }
    for (owner, home, shown_as) in who_shared {
        activity::note(&shared.db, &owner, activity::Kind::MemberLeft, &named(&shown_as, &home), now).await;
    }
    tracing::info!(account.id = %account, "deleted by its owner");
    let stranger = posted.visitor.signed_out(shared).await?;
    Ok(page(shared, &stranger, StatusCode::OK, &Deleted { frame: Frame::new(words::say("leaving-done-title"), None) }))
}
