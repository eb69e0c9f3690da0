//! What people see: server-rendered pages that work without JavaScript, in any browser and in the Alexa app's web view.
//!
//! Every form carries a token that binds it to the browser's cookie, and every POST must come from our own pages. What
//! can go wrong ends in [`PageError`], which says in plain words what to do.

pub(crate) mod confirm;
pub(crate) mod consent;
pub(crate) mod visitor;

mod account;
mod activity;
mod apps;
mod assets;
mod codes;
mod credentials;
mod email_change;
mod headers;
mod home_assistant;
mod homes;
mod join;
mod known;
mod landing;
mod legal;
mod link_doctor;
mod mailed;
mod pair;
mod passkeys;
mod plan;
mod second_step;
mod security;
mod sessions;
mod sign_in;
mod sign_up;
mod upstream;
mod when;

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse as _, Response};
use axum::routing::{get, post};

use self::visitor::Visitor;
use crate::form::{Form, FormError, encode};
use crate::oauth;
use crate::passwords::PasswordError;
use crate::rate_limits::TooMany;
use crate::routes::Routes;
use crate::shared::Shared;
use crate::store::web_sessions::{self, Session};
use crate::store::{StoreError, Tx};
use crate::words::{self, Language};

pub(crate) use self::headers::with_headers;

/// For [`crate::fuzzing`].
pub(crate) fn may_come_next(text: &str) -> bool {
    credentials::is_ours(text)
}

pub(crate) fn routes() -> Routes {
    Routes::new()
        .route("/", get(landing::show))
        .route("/sign-up", get(sign_up::show).post(sign_up::submit))
        .route("/sign-up/code", post(sign_up::confirm))
        .route("/sign-in", get(sign_in::show).post(sign_in::submit))
        .route("/sign-in/code", post(second_step::submit))
        .route("/sign-in/passkey", post(passkeys::sign_in))
        .route("/sign-in/with/{provider}", post(upstream::begin))
        .route("/sign-in/from/{provider}", get(upstream::finish))
        .route("/security/providers", get(upstream::show))
        .route("/security/providers/link/{provider}", post(upstream::link))
        .route("/security/providers/unlink", post(upstream::unlink))
        .route("/sign-in/app", post(second_step::show_again))
        .route("/security/passkeys", get(passkeys::show))
        .route("/security/passkeys/add", post(passkeys::add))
        .route("/security/passkeys/{id}/rename", post(passkeys::rename))
        .route("/security/passkeys/{id}/remove", post(passkeys::remove))
        .route("/security", get(security::show))
        .route("/security/password", post(security::change_password))
        .route("/security/email", post(email_change::begin))
        .route("/security/email/confirm", post(email_change::confirm))
        .route("/security/app", post(security::begin_app))
        .route("/security/app/confirm", post(security::confirm_app))
        .route("/security/app/off", post(security::turn_off))
        .route("/security/recovery-codes", post(security::renew_codes))
        .route("/forgot", get(mailed::show_forgot).post(mailed::forgot))
        .route("/reset", get(mailed::show_forgot).post(mailed::reset))
        .route("/verify", get(mailed::show_verify).post(mailed::verify))
        .route("/activity", get(activity::show))
        .route("/link-doctor", get(link_doctor::show))
        .route("/plan", get(plan::show))
        .route("/account/export", post(account::take_along))
        .route("/account/delete", get(account::ask_delete).post(account::delete))
        .route("/sign-out", get(sessions::ask_sign_out).post(sessions::sign_out))
        .route("/pair", get(pair::show).post(pair::submit))
        .route("/homes", get(homes::list))
        .route("/homes/{id}", get(homes::show))
        .route("/homes/{id}/invite", get(homes::people::ask).post(homes::people::invite))
        .route("/homes/{id}/invitations/{invitation}/revoke", post(homes::people::revoke))
        .route("/homes/{id}/members/{member}/remove", get(homes::people::ask_remove).post(homes::people::remove))
        .route("/homes/{id}/leave", get(homes::people::ask_leave).post(homes::people::leave))
        .route("/homes/{id}/move", get(homes::moving::ask).post(homes::moving::offer))
        .route("/join", get(join::show).post(join::submit))
        .route("/homes/{id}/rename", post(homes::rename))
        .route("/homes/{id}/pause", post(homes::pause))
        .route("/homes/{id}/resume", post(homes::resume))
        .route("/homes/{id}/unlink", get(homes::ask_unlink).post(homes::unlink))
        .route("/home-assistant/callback", get(home_assistant::callback).post(home_assistant::bring))
        .route("/homes/{id}/home-assistant/remove", post(home_assistant::remove))
        .route("/apps", get(apps::list))
        .route("/apps/{client}/unlink", get(apps::ask_unlink).post(apps::unlink))
        .route("/sessions", get(sessions::list))
        .route("/sessions/others/end", post(sessions::end_others))
        .route("/sessions/{id}/end", post(sessions::end))
        .route("/privacy", get(legal::privacy))
        .route("/terms", get(legal::terms))
        .route("/language/{tag}", get(words::choose))
        .route("/assets/{file}", get(assets::serve))
}

/// Why a person gets an error page.
#[derive(Debug)]
pub(crate) enum PageError {
    /// The request makes no sense; the message says what to do.
    BadRequest(&'static str),
    /// The form did not come from a page of ours, or from one that is too old.
    Forgery,
    /// Posted from a page at another address than the public one.
    WrongAddress,
    /// Nobody may create an account here by themselves.
    SignUpClosed,
    NotFound,
    TooLong,
    /// The form did not arrive in time.
    TooSlow,
    TooMany(TooMany),
    /// Too many sign-ins at this moment.
    Busy,
    /// Our own fault.
    Unavailable,
}

/// What every page has around it.
pub(crate) struct Frame {
    title: String,
    email: Option<String>,
    /// The part of the account that this page belongs to.
    place: Option<Place>,
    /// Links to the other pages; off where leaving would lose what one came for.
    links: bool,
    stylesheet: &'static str,
    icon: &'static str,
}

impl Frame {
    pub(crate) fn new(title: impl Into<String>, session: Option<&Session>) -> Self {
        Self {
            title: title.into(),
            place: None,
            email: session.map(|session| session.email.clone()),
            links: session.is_some(),
            stylesheet: assets::stylesheet_url(),
            icon: assets::icon_url(),
        }
    }

    /// A page of this part of the account.
    pub(crate) fn at(self, place: Place) -> Self {
        Self { place: Some(place), ..self }
    }

    /// The same page in the other languages: name, tag, link.
    fn languages(&self) -> Vec<(&'static str, &'static str, String)> {
        let others = Language::ALL.into_iter().filter(|language| *language != words::language());
        let back = encode(&words::here());
        others.map(|other| (other.own_name(), other.tag(), format!("/language/{}?back={back}", other.tag()))).collect()
    }

    /// For one question in the middle of something.
    pub(crate) fn without_links(self) -> Self {
        Self { links: false, ..self }
    }
}

/// The parts of an account that are linked from everywhere.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Homes,
    Apps,
    Activity,
    Plan,
    Security,
}

impl Place {
    const ALL: [Self; 5] = [Self::Homes, Self::Apps, Self::Activity, Self::Plan, Self::Security];

    const fn path(self) -> &'static str {
        match self {
            Self::Homes => "/homes",
            Self::Apps => "/apps",
            Self::Activity => "/activity",
            Self::Plan => "/plan",
            Self::Security => "/security",
        }
    }

    fn name(self) -> String {
        words::say(match self {
            Self::Homes => "frame-homes",
            Self::Apps => "frame-apps",
            Self::Activity => "frame-activity",
            Self::Plan => "frame-plan",
            Self::Security => "frame-security",
        })
    }
}

/// A page for this visitor.
pub(crate) fn page(shared: &Shared, visitor: &Visitor, status: StatusCode, template: &impl Template) -> Response {
    let mut response = render(status, template);
    visitor.set_cookies(shared, &mut response);
    response
}

/// A page with our one script. It works without it, too.
pub(crate) fn page_with_script(
    shared: &Shared,
    visitor: &Visitor,
    status: StatusCode,
    template: &impl Template,
) -> Response {
    let mut response = page(shared, visitor, status, template);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, headers::script_policy());
    response
}

fn render(status: StatusCode, template: &impl Template) -> Response {
    let mut response = match template.render() {
        Ok(html) => (status, Html(html)).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page template failed");
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    };
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, headers::page_policy(None));
    response
}

/// Go there with GET. Never 307 or 308: those would carry a posted password along.
pub(crate) fn see_other(location: &str) -> Response {
    let location = HeaderValue::from_str(location).unwrap_or(HeaderValue::from_static("/"));
    (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response()
}

/// A form that one of our own pages sent.
pub(crate) struct Posted {
    pub(crate) visitor: Visitor,
    pub(crate) form: Form,
    pub(crate) parts: Parts,
}

/// Read a posted form, and make sure that it comes from our own page, served to this browser.
pub(crate) async fn posted(shared: &Shared, request: Request, form_name: &str) -> Result<Posted, PageError> {
    let (parts, body) = request.into_parts();
    check_origin(shared, &parts.headers)?;
    let visitor = Visitor::of(shared, &parts.headers).await?;
    let form = Form::read(&parts.headers, body).await?;
    let token = form.value("form_token").unwrap_or_default();
    if !visitor.owns_form(shared, form_name, token) {
        return Err(PageError::Forgery);
    }
    Ok(Posted { visitor, form, parts })
}

/// Begin a transaction for somebody who is signed in, and stays so until it ends. So a new password, which ends sessions and
/// what they made, finds whatever is made in it, or it is not made at all.
pub(crate) async fn begin_as(shared: &Shared, session: &Session) -> Result<Tx, PageError> {
    let mut tx = shared.db.begin().await?;
    if web_sessions::hold(&mut tx, session).await? { Ok(tx) } else { Err(PageError::Forgery) }
}

/// An id that one of our own pages named: 16 letters and digits. Nothing else goes on to the database.
fn own_id(id: &str) -> Result<&str, PageError> {
    let fits = id.len() == 16 && id.bytes().all(|b| b.is_ascii_alphanumeric());
    if fits { Ok(id) } else { Err(PageError::NotFound) }
}

/// Browsers say where a POST comes from. Programs that are no browsers do not, and need the form token anyway.
fn check_origin(shared: &Shared, headers: &HeaderMap) -> Result<(), PageError> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    if text("sec-fetch-site").is_some_and(|site| site != "same-origin" && site != "none") {
        return Err(PageError::Forgery);
    }
    match text("origin") {
        Some(origin) if origin != shared.issuer => Err(PageError::WrongAddress),
        _ => Ok(()),
    }
}

/// Nobody waits for ever, whatever the answer hangs on: a database behind a broken network does not even fail.
pub(crate) async fn in_time(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let is_page = !path.starts_with("/oauth/") || oauth::PAGES.contains(&path);
    match tokio::time::timeout(DEADLINE, next.run(request)).await {
        Ok(response) => response,
        Err(_) if is_page => error_page(&shared, &PageError::Unavailable),
        Err(_) => oauth::unavailable(),
    }
}

/// Turn an outcome into what is sent.
pub(crate) fn answer(shared: &Shared, outcome: Result<Response, PageError>) -> Response {
    outcome.unwrap_or_else(|error| error_page(shared, &error))
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage {
    frame: Frame,
    heading: String,
    text: String,
}

impl PageError {
    /// As a try to sign in is counted that came to it.
    const fn label(&self) -> &'static str {
        match self {
            Self::BadRequest(_)
            | Self::Forgery
            | Self::WrongAddress
            | Self::NotFound
            | Self::TooLong
            | Self::TooSlow => "invalid",
            Self::SignUpClosed => "refused",
            Self::TooMany(_) => "too_many",
            Self::Busy => "shed",
            Self::Unavailable => "unavailable",
        }
    }
}

/// The outcome of a try to sign in this way, counted if it is none that was counted as what it is.
fn counted<T>(shared: &Shared, way: &'static str, outcome: Result<T, PageError>) -> Result<T, PageError> {
    outcome.inspect_err(|error| shared.metrics.sign_in(way, error.label()))
}

/// The one place where a [`PageError`] becomes a page.
fn error_page(shared: &Shared, error: &PageError) -> Response {
    let (status, heading, text) = match error {
        PageError::BadRequest(text) => (StatusCode::BAD_REQUEST, "problem-bad-request", words::say(text)),
        PageError::Forgery => (StatusCode::FORBIDDEN, "problem-expired", words::say("problem-expired-text")),
        PageError::WrongAddress => {
            let address = [("address", shared.issuer.as_str().into())];
            (StatusCode::FORBIDDEN, "problem-address", words::with("problem-address-text", address))
        }
        PageError::SignUpClosed => (StatusCode::FORBIDDEN, "signup-closed-title", words::say("signup-closed")),
        PageError::NotFound => (StatusCode::NOT_FOUND, "problem-not-found", words::say("problem-not-found-text")),
        PageError::TooLong => (StatusCode::PAYLOAD_TOO_LARGE, "problem-too-long", words::say("problem-too-long-text")),
        PageError::TooSlow => (StatusCode::REQUEST_TIMEOUT, "problem-too-slow", words::say("problem-too-slow-text")),
        PageError::TooMany(TooMany { retry_after_seconds }) => {
            let time = [("time", when::duration(*retry_after_seconds).into())];
            (StatusCode::TOO_MANY_REQUESTS, "problem-too-many", words::with("problem-too-many-text", time))
        }
        PageError::Busy => (StatusCode::SERVICE_UNAVAILABLE, "problem-busy", words::say("problem-busy-text")),
        PageError::Unavailable => {
            (StatusCode::SERVICE_UNAVAILABLE, "problem-unavailable", words::say("problem-unavailable-text"))
        }
    };
    let heading = words::say(heading);
    let mut response = render(status, &ErrorPage { frame: Frame::new(heading.as_str(), None), heading, text });
    let retry_after = match error {
        PageError::TooMany(TooMany { retry_after_seconds }) => Some(*retry_after_seconds),
        PageError::Busy => Some(3),
        PageError::Unavailable => Some(10),
        _ => None,
    };
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// The page for paths that nobody serves.
pub(crate) fn not_found(shared: &Shared) -> Response {
    headers::protected(shared, error_page(shared, &PageError::NotFound))
}

impl From<StoreError> for PageError {
    fn from(error: StoreError) -> Self {
        tracing::warn!(%error, "the database did not answer a page");
        Self::Unavailable
    }
}

impl From<TooMany> for PageError {
    fn from(error: TooMany) -> Self {
        Self::TooMany(error)
    }
}

impl From<PasswordError> for PageError {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Busy => Self::Busy,
            PasswordError::Unusable => {
                tracing::error!(%error, "a password could not be hashed or compared");
                Self::Unavailable
            }
        }
    }
}

impl From<FormError> for PageError {
    fn from(error: FormError) -> Self {
        match error {
            FormError::TooLong => Self::TooLong,
            FormError::TooSlow => Self::TooSlow,
            FormError::ContentType | FormError::Interrupted => Self::BadRequest("problem-form-odd"),
            FormError::Encoding | FormError::ControlCharacter => Self::BadRequest("problem-form-characters"),
            FormError::Duplicate => Self::BadRequest("problem-form-damaged"),
        }
    }
}

/// Longer than a form may take to arrive, and than the database may take to fail.
const DEADLINE: Duration = Duration::from_secs(20);
