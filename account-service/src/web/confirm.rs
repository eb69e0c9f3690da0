//! "Are you sure?": one page for everything that is hard to undo.

use askama::Template;
use axum::http::{StatusCode, header};
use axum::response::Response;

use super::visitor::Visitor;
use super::{Frame, headers, page};
use crate::shared::Shared;

/// What is asked.
pub(crate) struct Question<'a> {
    /// Name of the form.
    pub(crate) form: &'a str,
    pub(crate) title: String,
    pub(crate) heading: String,
    pub(crate) text: String,
    /// Where the form posts to.
    pub(crate) action: String,
    pub(crate) yes: String,
    /// Where "no" leads.
    pub(crate) back: String,
}

#[derive(Template)]
#[template(path = "confirm.html")]
struct Confirm<'a> {
    frame: Frame,
    form_token: String,
    question: &'a Question<'a>,
}

pub(crate) fn ask(shared: &Shared, visitor: &Visitor, question: &Question<'_>) -> Response {
    let frame = Frame::new(question.title.as_str(), visitor.session.as_ref());
    let template = Confirm { frame, form_token: visitor.form_token(shared, question.form), question };
    page(shared, visitor, StatusCode::OK, &template)
}

/// The same, where "yes" may lead to a page of another origin.
pub(crate) fn ask_and_leave(
    shared: &Shared,
    visitor: &Visitor,
    question: &Question<'_>,
    origin: Option<&str>,
) -> Response {
    let mut response = ask(shared, visitor, question);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, headers::page_policy(origin));
    response
}
