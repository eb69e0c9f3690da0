//! Privacy and terms: what anybody may want to read before they trust this service with their home.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::visitor::Visitor;
use super::{Frame, answer, page};
use crate::config::Operator;
use crate::shared::Shared;
use crate::words;

#[derive(Template)]
#[template(path = "privacy.html")]
struct Privacy<'a> {
    frame: Frame,
    operator: &'a Operator,
}

#[derive(Template)]
#[template(path = "terms.html")]
struct Terms {
    frame: Frame,
}

/// GET `/privacy`.
pub(super) async fn privacy(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let outcome = Visitor::of(&shared, &headers).await.map(|visitor| {
        let frame = Frame::new(words::say("privacy-title"), visitor.session.as_ref());
        page(&shared, &visitor, StatusCode::OK, &Privacy { frame, operator: &shared.config.operator })
    });
    answer(&shared, outcome)
}

/// GET `/terms`.
pub(super) async fn terms(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let outcome = Visitor::of(&shared, &headers).await.map(|visitor| {
        let frame = Frame::new(words::say("terms-title"), visitor.session.as_ref());
        page(&shared, &visitor, StatusCode::OK, &Terms { frame })
    });
    answer(&shared, outcome)
}
