//! What happened to one's account: who signed in, what was linked, paused or changed.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::visitor::Visitor;
use super::{Frame, Place, answer, page, see_other, sessions, when};
use crate::shared::Shared;
use crate::store::activity::{self, Happened, Kind};
use crate::words;

#[derive(Template)]
#[template(path = "activity.html")]
struct Activity {
    frame: Frame,
    lines: Vec<Line>,
}

struct Line {
    told: String,
    when: String,
}

/// GET `/activity`.
pub(super) async fn show(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let outcome = async {
        let visitor = Visitor::of(&shared, &headers).await?;
        let Some(session) = &visitor.session else { return Ok(see_other("/sign-in?next=%2Factivity")) };
        let now = shared.now();
        let happened = activity::of_account(&shared.db, &session.account_id).await?;
        let lines = happened.iter().map(|line| Line { told: told(line), when: when::ago(now, line.at) }).collect();
        let frame = Frame::new(words::say("activity-title"), Some(session)).at(Place::Activity);
        Ok(page(&shared, &visitor, StatusCode::OK, &Activity { frame, lines }))
    };
    answer(&shared, outcome.await)
}

fn told(line: &Happened) -> String {
    let key = match line.kind {
        Kind::SignedUp => "activity-signed-up",
        Kind::SignedIn => "activity-signed-in",
        Kind::PasswordChanged => "activity-password-changed",
        Kind::SecondStepOn => "activity-second-step-on",
        Kind::SecondStepOff => "activity-second-step-off",
        Kind::RecoveryCodesRenewed => "activity-recovery-codes-renewed",
        Kind::AppLinked => "activity-app-linked",
        Kind::AppUnlinked => "activity-app-unlinked",
        Kind::HomeAllowed => "activity-home-allowed",
        Kind::HomeRefused => "activity-home-refused",
        Kind::HomeLinked => "activity-home-linked",
        Kind::HomePaused => "activity-home-paused",
        Kind::HomeResumed => "activity-home-resumed",
        Kind::HomeRenamed => "activity-home-renamed",
        Kind::HomeUnlinked => "activity-home-unlinked",
        Kind::DataExported => "activity-data-exported",
    };
    let what = if line.kind == Kind::SignedIn { sessions::device(&line.detail) } else { line.detail.clone() };
    words::with(key, [("what", what.into())])
}
