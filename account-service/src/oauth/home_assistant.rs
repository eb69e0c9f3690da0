//! POST `/oauth/home-assistant`: a home finds out who its owner is in the Home Assistant beside it.
//!
//! Home Assistant gives its codes to whoever asks from our address, but nobody can redeem them from here: it is at home.
//! So the home asks for a way (`step=begin`), a person goes it in a browser and brings a code (see `web::home_assistant`),
//! the home fetches the code (`step=poll`), redeems it itself, and gives its word for who it was (`step=state`), signed
//! with its key. What that word says is about that home only.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::response::{IntoResponse as _, Response};
use macloud_proto::jose::Unverified;
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::OAuthError;
use super::instance_grant;
use crate::form::Form;
use crate::names::clean_name;
use crate::rate_limits::Attempt;
use crate::secrets::{Kind, Secret, lookup_hash};
use crate::shared::Shared;
use crate::store::activity;
use crate::store::home_assistant::{self, Trip, User};
use crate::store::instances::Instance;

/// Where it is, for discovery.
pub(super) const PATH: &str = "/oauth/home-assistant";

pub(super) async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    match try_answer(&shared, &parts, body).await {
        Ok(answer) => super::json(&answer),
        Err(refusal) => refusal.into_response(),
    }
}

async fn try_answer(shared: &Shared, parts: &Parts, body: Body) -> Result<Value, OAuthError> {
    let form = Form::read(&parts.headers, body).await?;
    let home = instance_grant::authenticated(shared, &parts.headers, &form, PATH).await?;
    match form.value("step") {
        Some("begin") => begin(shared, &home, &form).await,
        Some("poll") => poll(shared, &home, &form).await,
        Some("state") => take_word(shared, &home, &form).await,
        _ => Err(OAuthError::InvalidRequest("step must be begin, poll or state")),
    }
}

async fn begin(shared: &Shared, home: &Instance, form: &Form) -> Result<Value, OAuthError> {
    let url = form.value("url").filter(|url| is_acceptable(url));
    let url = url.ok_or(OAuthError::InvalidRequest("url must be the http or https address of a Home Assistant"))?;
    let limits = &shared.config.limits;
    shared.rate_limits.count(Attempt::Pairing, home.id.as_str(), limits.pairings_per_address)?;
    let (ticket, state) = (Secret::new(Kind::HomeTicket), Secret::new(Kind::Trip));
    let nonce = Secret::new(Kind::Trip).into_string();
    let trip = Trip { instance: &home.id, url, nonce: &nonce, expires_at: shared.now() + SECONDS };
    home_assistant::begin(&shared.db, &ticket.hash(), &state.hash(), &trip).await?;
    Ok(json!({
        "ticket": ticket.as_str(),
        "state": state.as_str(),
        // As Home Assistant wants it: our address is our name, and the way back begins with it.
        "client_id": shared.url("/"),
        "redirect_uri": shared.url("/home-assistant/callback"),
        "expires_in": SECONDS,
        "interval": POLL_SECONDS,
    }))
}

async fn poll(shared: &Shared, home: &Instance, form: &Form) -> Result<Value, OAuthError> {
    let ticket = ticket(form)?;
    let now = shared.now();
    if let Some((sealed, nonce)) = home_assistant::deliver(&shared.db, &ticket, &home.id, now).await? {
        let code =
            shared.master.open(&place_of(home.id.as_str()), &sealed).and_then(|code| String::from_utf8(code).ok());
        let code = code.ok_or(OAuthError::Unavailable)?;
        return Ok(json!({ "code": code, "nonce": nonce }));
    }
    if home_assistant::is_waiting(&shared.db, &ticket, &home.id, now).await? {
        Err(OAuthError::AuthorizationPending)
    } else {
        Err(OAuthError::ExpiredToken)
    }
}

/// What a home signs.
#[derive(Deserialize)]
struct Word {
    iss: String,
    aud: String,
    nonce: String,
    ha_user_id: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    is_owner: bool,
}

async fn take_word(shared: &Shared, home: &Instance, form: &Form) -> Result<Value, OAuthError> {
    const WRONG: OAuthError = OAuthError::InvalidRequest("The statement is not valid");
    let ticket = ticket(form)?;
    let word = Unverified::parse(form.value("statement").unwrap_or_default()).map_err(|_| WRONG)?;
    if word.header().typ.as_deref() != Some("macloud-home-assistant+jwt") {
        return Err(WRONG);
    }
    let word: Word = word.verify(&home.identity_key).map_err(|_| WRONG)?;
    let plain =
        |text: &str| (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if word.iss != home.id.as_str() || word.aud != shared.issuer || !plain(&word.ha_user_id) {
        return Err(WRONG);
    }
    let name = clean_name(&word.name).unwrap_or_default();
    let user = User { id: &word.ha_user_id, name: &name, is_owner: word.is_owner };
    let mut tx = shared.db.begin().await?;
    let bound = home_assistant::bind(&mut tx, &ticket, &home.id, &word.nonce, &user, shared.now()).await?;
    let account = bound.ok_or(OAuthError::ExpiredToken)?;
    tx.commit().await?;
    tracing::info!(instance.id = %home.id, account.id = %account, "a Home Assistant user was bound to a home");
    activity::note(&shared.db, &account, activity::Kind::HomeAssistantBound, &home.name, shared.now()).await;
    Ok(json!({ "bound": true }))
}

fn ticket(form: &Form) -> Result<[u8; 32], OAuthError> {
    let ticket = form.value("ticket").and_then(|ticket| lookup_hash(Kind::HomeTicket, ticket));
    ticket.ok_or(OAuthError::InvalidRequest("ticket is missing or malformed"))
}

/// Where a home's code is sealed, so that it opens for no other.
pub(crate) fn place_of(instance: &str) -> String {
    format!("home_assistant_trips/{instance}")
}

/// Only shown to the person: nobody here connects to it.
fn is_acceptable(url: &str) -> bool {
    url.len() <= 200
        && url::Url::parse(url).is_ok_and(|parsed| {
            matches!(parsed.scheme(), "http" | "https") && parsed.host().is_some() && parsed.username().is_empty()
        })
}

/// As long as Home Assistant keeps its codes, and some more for signing in there.
const SECONDS: i64 = 900;
const POLL_SECONDS: i64 = 3;
