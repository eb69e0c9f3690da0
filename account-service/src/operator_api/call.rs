//! One call of an operator's program: who calls, whether that is allowed, and with what.

use std::collections::HashMap;

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts as _, Path, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use macloud_proto::ids::AccountId;
use serde::Deserialize;

use super::problem::Problem;
use crate::AccountService;
use crate::admin::Actor;
use crate::form::{Form, read_bytes};
use crate::oauth::resource::{self, Refusal};
use crate::oauth::{SCOPE_ADMIN, SCOPE_ADMIN_READ};
use crate::secrets::{Kind, lookup_hash};
use crate::shared::is_client_id;
use crate::store::operator_tokens;

/// A call that only looks.
pub(super) type Look = Call<false>;
/// A call that changes something. That a handler asks for this one is what demands the scope.
pub(super) type Change = Call<true>;

/// A call that is allowed.
pub(super) struct Call<const CHANGES: bool> {
    /// Acts as the client that calls.
    pub(super) service: AccountService,
    /// What the path names, if it names something.
    pub(super) id: String,
    parts: Parts,
    body: Body,
}

impl<const CHANGES: bool> FromRequest<AccountService> for Call<CHANGES> {
    type Rejection = Problem;

    async fn from_request(request: Request, service: &AccountService) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let client_id = admit(service, &parts, CHANGES).await?;
        let named = Path::<HashMap<String, String>>::from_request_parts(&mut parts, service).await;
        let named = named.map_err(|_| Problem::bad_request("the path is not valid UTF-8"))?;
        let id = named.0.into_values().next().unwrap_or_default();
        Ok(Self { service: service.acting_as(Actor::Client(client_id)), id, parts, body })
    }
}

/// The client that calls.
async fn admit(service: &AccountService, parts: &Parts, changes: bool) -> Result<String, Refusal> {
    let shared = &service.shared;
    let shown = resource::shown(parts)?;
    let hash = lookup_hash(Kind::Operator, shown.token).ok_or(Refusal::Invalid)?;
    let token = operator_tokens::by_hash(&shared.db, &hash).await?;
    let token = token.filter(|token| token.is_active(shared.now())).ok_or(Refusal::Invalid)?;
    // The listener has no name of its own: the caller used one of these.
    let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let origins = [format!("http://{host}"), format!("https://{host}"), shared.issuer.clone()];
    let origins = origins.each_ref().map(String::as_str);
    shown.check_possession(shared, parts, &origins, token.dpop_jkt.as_deref()).await?;
    match (token.allows(SCOPE_ADMIN), token.allows(SCOPE_ADMIN_READ)) {
        (true, _) => Ok(token.client_id),
        (false, true) if !changes => Ok(token.client_id),
        _ if changes => Err(Refusal::Insufficient(SCOPE_ADMIN)),
        _ => Err(Refusal::Insufficient(SCOPE_ADMIN_READ)),
    }
}

impl<const CHANGES: bool> Call<CHANGES> {
    /// The account that the path names.
    pub(super) fn account(&self) -> Result<AccountId, Problem> {
        self.id.parse().map_err(|_| Problem::not_found("account"))
    }

    /// The client that the path names.
    pub(super) fn client(&self) -> Result<&str, Problem> {
        Some(self.id.as_str()).filter(|id| is_client_id(id)).ok_or_else(|| Problem::not_found("client"))
    }

    /// The query's parameters: no others than these.
    pub(super) fn query(&self, known: &[&str]) -> Result<Query, Problem> {
        let form = Form::parse(self.parts.uri.query().unwrap_or_default().as_bytes())?;
        if !form.names().all(|name| known.contains(&name)) {
            // A mistyped filter would quietly show everything.
            return Err(Problem::bad_request(format!("the parameters here are: {}", known.join(", "))));
        }
        Ok(Query(form))
    }

    /// The body, which must be JSON.
    pub(super) async fn json<T: for<'de> Deserialize<'de>>(self) -> Result<T, Problem> {
        let content_type = self.parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let essence = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("application/json") {
            let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            return Err(Problem::new(status, "not_json", "the body must be application/json"));
        }
        let bytes = read_bytes(&self.parts.headers, self.body).await?;
        // A list would be read as an object's values in their order, which nobody means.
        if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
            return Err(Problem::bad_request("the body must be a JSON object"));
        }
        serde_json::from_slice(&bytes).map_err(|error| {
            // Where, not what: the message could repeat what was sent.
            let place = format!("line {}, column {}", error.line(), error.column());
            Problem::bad_request(format!("the body is not what is described for this call ({place})"))
        })
    }
}

/// Parameters of a query.
pub(super) struct Query(Form);

impl Query {
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.value(name)
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<i64>, Problem> {
        let wrong = || Problem::bad_request(format!("{name} must be a number that is not negative"));
        let number = |text: &str| text.parse::<i64>().ok().filter(|number| *number >= 0);
        self.text(name).map(|text| number(text).ok_or_else(wrong)).transpose()
    }

    pub(super) fn account(&self, name: &str) -> Result<Option<AccountId>, Problem> {
        let wrong = || Problem::bad_request(format!("{name} must be the id of an account"));
        self.text(name).map(|text| text.parse().map_err(|_| wrong())).transpose()
    }

    /// How many entries a page has.
    pub(super) fn limit(&self) -> Result<u32, Problem> {
        let limit = self.number("limit")?.unwrap_or(100);
        let wrong = || Problem::bad_request("limit must be 1 to 1000");
        u32::try_from(limit).ok().filter(|limit| (1..=1000).contains(limit)).ok_or_else(wrong)
    }
}
