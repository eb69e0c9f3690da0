//! The first page.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::visitor::Visitor;
use super::{Frame, answer, page};
use crate::config::SignUp;
use crate::shared::Shared;
use crate::words;

#[derive(Template)]
#[template(path = "landing.html")]
struct Landing {
    frame: Frame,
    may_sign_up: bool,
    has_app: bool,
}

/// GET `/`.
pub(super) async fn show(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let has_app = shared.has_app_to_link().await;
    let outcome = Visitor::of(&shared, &headers).await.map(|visitor| {
        let frame = Frame::new(words::say("landing-title"), visitor.session.as_ref());
        let may_sign_up = shared.config.limits.sign_up != SignUp::Closed;
        page(&shared, &visitor, StatusCode::OK, &Landing { frame, may_sign_up, has_app })
    });
    answer(&shared, outcome)
}
