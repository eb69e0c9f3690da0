//! The consent page: what an app asks for, in plain words, and two buttons.

use askama::Template;
use axum::http::{StatusCode, header};
use axum::response::Response;

use super::visitor::Visitor;
use super::{Frame, headers, page};
use crate::shared::Shared;
use crate::words;

/// Name of the consent form.
pub(crate) const FORM: &str = "consent";

/// What the person is asked.
pub(crate) struct Question<'a> {
    pub(crate) app: &'a str,
    pub(crate) allows: Vec<String>,
    /// Whether it is about somebody's music at all.
    pub(crate) controls: bool,
    pub(crate) email: &'a str,
    pub(crate) homes: Vec<String>,
    /// The authorization request, as its query string.
    pub(crate) request: String,
    /// Where the app's redirect leads.
    pub(crate) origin: String,
}

#[derive(Template)]
#[template(path = "consent.html")]
struct Consent<'a> {
    frame: Frame,
    form_token: String,
    question: &'a Question<'a>,
}

/// The page.
pub(crate) fn page_for(shared: &Shared, visitor: &Visitor, question: &Question<'_>) -> Response {
    let frame = Frame::new(words::say("consent-title"), visitor.session.as_ref()).without_links();
    let template = Consent { frame, form_token: visitor.form_token(shared, FORM), question };
    let mut response = page(shared, visitor, StatusCode::OK, &template);
    let policy = headers::page_policy(Some(&question.origin));
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}
