//! What goes wrong, as problem details (RFC 9457): the one place where it becomes HTTP.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::admin::AdminError;
use crate::form::FormError;
use crate::oauth::resource::Refusal;
use crate::store::StoreError;

/// A refusal.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    headers: HeaderMap,
}

impl Problem {
    pub(super) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), headers: HeaderMap::new() }
    }

    pub(super) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", detail)
    }

    pub(super) fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "unknown", format!("there is no such {what}"))
    }

    pub(super) fn overheard() -> Self {
        const WHY: &str =
            "from another machine, programs come here over TLS 1.3 (--admin-tls-cert and --admin-tls-key)";
        let mut problem = Self::new(StatusCode::FORBIDDEN, "not_protected", WHY);
        // No token would change this.
        let challenge = HeaderValue::from_static(r#"Bearer error="invalid_request""#);
        problem.headers.insert(header::WWW_AUTHENTICATE, challenge);
        problem
    }

    pub(super) fn unavailable() -> Self {
        let mut problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "something is away: try again");
        problem.headers.insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
        problem
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut body = json!({
            "type": "about:blank",
            "title": self.status.canonical_reason().unwrap_or_default(),
            "status": self.status.as_u16(),
            "code": self.code,
        });
        if !self.detail.is_empty() {
            body["detail"] = self.detail.into();
        }
        (self.status, [("content-type", "application/problem+json")], self.headers, body.to_string()).into_response()
    }
}

impl From<AdminError> for Problem {
    fn from(error: AdminError) -> Self {
        let status = match &error {
            AdminError::Unknown(_) => StatusCode::NOT_FOUND,
            AdminError::Exists(_) | AdminError::Already(_) | AdminError::NoSecret(_) => StatusCode::CONFLICT,
            AdminError::Email
            | AdminError::Who
            | AdminError::Password(_)
            | AdminError::ClientId
            | AdminError::RedirectUri(_)
            | AdminError::AccessTokenSeconds
            | AdminError::SecretOverlap
            | AdminError::Keys(_)
            | AdminError::OwnScopes
            | AdminError::Combination(_)
            | AdminError::PlanName
            | AdminError::Rotation => StatusCode::BAD_REQUEST,
            AdminError::Hashing
            | AdminError::Unreadable(_)
            | AdminError::StillSealed(_)
            | AdminError::NotYet
            | AdminError::Damaged(_)
            | AdminError::KeyFile(_)
            | AdminError::Store(_)
            | AdminError::Signing(_) => {
                tracing::warn!(%error, "an operator's call could not be done");
                return Self::unavailable();
            }
        };
        Self::new(status, error.code(), error.to_string())
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        AdminError::from(error).into()
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        if matches!(refusal, Refusal::Other(_)) {
            return Self::unavailable();
        }
        let (code, detail) = match &refusal {
            Refusal::Missing => ("invalid_token", "an access token for operators is needed"),
            Refusal::Invalid => {
                ("invalid_token", "the access token is unknown, expired, revoked, or shown without its proof")
            }
            Refusal::Insufficient(_) => ("insufficient_scope", "the access token does not allow this"),
            Refusal::Proof(_) | Refusal::Other(_) => ("invalid_dpop_proof", "the DPoP proof is missing or not valid"),
        };
        // The challenge is OAuth's own; only the body is ours.
        let response = refusal.into_response();
        let mut problem = Self::new(response.status(), code, detail);
        for name in [header::WWW_AUTHENTICATE, header::HeaderName::from_static("dpop-nonce")] {
            problem.headers.extend(response.headers().get(&name).map(|value| (name, value.clone())));
        }
        problem
    }
}

impl From<FormError> for Problem {
    fn from(error: FormError) -> Self {
        match error {
            FormError::TooLong => Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_long", error.to_string()),
            FormError::TooSlow => Self::new(StatusCode::REQUEST_TIMEOUT, "too_slow", error.to_string()),
            FormError::ContentType
            | FormError::Encoding
            | FormError::ControlCharacter
            | FormError::Duplicate
            | FormError::Interrupted => Self::bad_request(error.to_string()),
        }
    }
}
