//! "Are you sure?": one page for everything that is hard to undo.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use super::visitor::Visitor;
use super::{Frame, page};
use crate::shared::Shared;

/// What is asked.
pub(super) struct Question<'a> {
    /// Name of the form.
    pub(super) form: &'a str,
    pub(super) title: &'static str,
    pub(super) heading: String,
    pub(super) text: String,
    /// Where the form posts to.
    pub(super) action: String,
    pub(super) yes: &'static str,
    /// Where "no" leads.
    pub(super) back: &'static str,
}

#[derive(Template)]
#[template(path = "confirm.html")]
struct Confirm<'a> {
    frame: Frame,
    form_token: String,
    question: &'a Question<'a>,
}

pub(super) fn ask(shared: &Shared, visitor: &Visitor, question: &Question<'_>) -> Response {
    let frame = Frame::new(question.title, visitor.session.as_ref());
    let template = Confirm { frame, form_token: visitor.form_token(shared, question.form), question };
    page(shared, visitor, StatusCode::OK, &template)
}
