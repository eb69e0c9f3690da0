//! What happened to one's account: who signed in, what was linked, paused or changed.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::visitor::Visitor;
use super::{Frame, answer, page, see_other, when};
use crate::shared::Shared;
use crate::store::activity::{self, Happened, Kind};

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
        let frame = Frame::new("What happened", Some(session));
        Ok(page(&shared, &visitor, StatusCode::OK, &Activity { frame, lines }))
    };
    answer(&shared, outcome.await)
}

fn told(line: &Happened) -> String {
    let what = &line.detail;
    match line.kind {
        Kind::SignedUp => "You created this account".into(),
        Kind::SignedIn => format!("Somebody signed in with {what}"),
        Kind::PasswordChanged => "The password was changed".into(),
        Kind::SecondStepOn => "The second step was turned on".into(),
        Kind::SecondStepOff => "The second step was turned off".into(),
        Kind::RecoveryCodesRenewed => "New recovery codes were made".into(),
        Kind::AppLinked => format!("{what} was linked"),
        Kind::AppUnlinked => format!("{what} was unlinked"),
        Kind::HomeAllowed => format!("{what} was allowed to connect"),
        Kind::HomeRefused => format!("{what} was not allowed to connect"),
        Kind::HomeLinked => format!("{what} connected"),
        Kind::HomePaused => format!("{what} was paused"),
        Kind::HomeResumed => format!("{what} was resumed"),
        Kind::HomeRenamed => format!("A home was renamed to {what}"),
        Kind::HomeUnlinked => format!("{what} was unlinked"),
        Kind::DataExported => "A copy of your data was made".into(),
    }
}
