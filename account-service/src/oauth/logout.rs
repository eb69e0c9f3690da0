//! `/oauth/logout` (OpenID Connect RP-Initiated Logout): a client wishes that the browser is signed out here too.
//!
//! The person is always asked: anybody can make a browser open this address. Where the browser goes afterwards is only
//! ever an address that the client has registered for it.

use std::sync::Arc;

use axum::extract::{Request, State};

use axum::response::Response;
use serde::Deserialize;

use super::authorize::origin;
use crate::form::{Form, encode};
use crate::shared::Shared;
use crate::store::clients::Client;
use crate::web::visitor::Visitor;
use crate::web::{self, PageError, confirm, see_other};
use crate::words;

const FORM: &str = "logout";

/// GET `/oauth/logout`.
pub(super) async fn by_link(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    web::answer(&shared, ask(&shared, request).await)
}

/// POST `/oauth/logout`. Browsers send no cookie along with a form from another site; with the link that this leads to
/// they do.
pub(super) async fn by_form(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let form = Form::read(&parts.headers, body).await;
    let outcome = form.map(|form| see_other(&format!("/oauth/logout?{}", form.to_query_without(&[]))));
    web::answer(&shared, outcome.map_err(PageError::from))
}

async fn ask(shared: &Shared, request: Request) -> Result<Response, PageError> {
    let query = request.uri().query().unwrap_or_default();
    let form = Form::parse(query.as_bytes())?;
    let target = target(shared, &form).await?;
    let visitor = Visitor::of(shared, request.headers()).await?;
    if visitor.session.is_none() {
        return Ok(see_other(target.as_deref().unwrap_or("/")));
    }
    let question = confirm::Question {
        form: FORM,
        title: words::say("sessions-ask-title"),
        heading: words::say("sessions-too-title"),
        text: words::say("sessions-too-text"),
        action: format!("/oauth/logout/confirm?{}", form.to_query_without(&[])),
        yes: words::say("sessions-ask-yes"),
        back: "/homes".into(),
    };
    let leads_to = target.as_deref().map(origin);
    Ok(confirm::ask_and_leave(shared, &visitor, &question, leads_to.as_deref()))
}

/// POST `/oauth/logout/confirm`.
pub(super) async fn confirmed(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let outcome = async {
        let query = request.uri().query().unwrap_or_default().to_owned();
        let posted = web::posted(&shared, request, FORM).await?;
        let target = target(&shared, &Form::parse(query.as_bytes())?).await?;
        let visitor = posted.visitor.signed_out(&shared).await?;
        let mut response = see_other(target.as_deref().unwrap_or("/"));
        visitor.set_cookies(&shared, &mut response);
        Ok(response)
    };
    web::answer(&shared, outcome.await)
}

/// Where to send the browser, with the client's `state`; `None` when the client did not say.
async fn target(shared: &Shared, form: &Form) -> Result<Option<String>, PageError> {
    let hinted = form.value("id_token_hint").map(|token| client_of(shared, token).ok_or(WRONG)).transpose()?;
    let client_id = match (hinted, form.value("client_id")) {
        (Some(hinted), Some(named)) if hinted != named => return Err(WRONG),
        (hinted, named) => hinted.or(named.map(str::to_owned)),
    };
    let Some(uri) = form.value("post_logout_redirect_uri") else { return Ok(None) };
    let client_id = client_id.ok_or(WRONG)?;
    let knows = |client: &Client| client.post_logout_redirect_uris.iter().any(|known| known == uri);
    let mut client = shared.client(&client_id).await?;
    if !client.as_deref().is_some_and(knows) {
        // An operator may just have changed the client.
        client = shared.client_now(&client_id).await?;
    }
    if !client.as_deref().is_some_and(knows) {
        return Err(WRONG);
    }
    let separator = if uri.contains('?') { '&' } else { '?' };
    let state = form.value("state").map(|state| format!("{separator}state={}", encode(state)));
    Ok(Some(format!("{uri}{}", state.unwrap_or_default())))
}

/// Whom an id token of ours was made for. It may have expired: people sign out late.
fn client_of(shared: &Shared, token: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Claims {
        iss: String,
        aud: String,
        // Only id tokens tell when somebody signed in.
        #[serde(rename = "auth_time")]
        _auth_time: i64,
    }
    let claims: Claims = shared.signing.verify_own(token)?;
    (claims.iss == shared.issuer).then_some(claims.aud)
}

const WRONG: PageError = PageError::BadRequest("sessions-app-wrong");
