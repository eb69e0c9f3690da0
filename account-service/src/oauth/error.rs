//! Everything an OAuth endpoint may refuse with, and the one place where that becomes HTTP.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::form::FormError;
use crate::rate_limits::TooMany;
use crate::store::StoreError;

/// A refusal. Descriptions are plain ASCII and the same for everybody (RFC 6749 section 5.2).
#[derive(Debug)]
pub(crate) enum OAuthError {
    InvalidRequest(&'static str),
    TooLong,
    /// The body did not arrive in time: the caller's fault, or its network's.
    TooSlow,
    /// Client authentication failed.
    InvalidClient(&'static str),
    /// The home has other hardware now, and this was its key before.
    HomeMoved,
    InvalidGrant(&'static str),
    /// The client is known, and may not do this.
    UnauthorizedClient(&'static str),
    UnsupportedGrantType,
    InvalidScope(&'static str),
    /// A pushed authorization request is wrong: the code and the description that the browser would have carried back.
    Authorization(&'static str, &'static str),
    /// Denied by the person, or the account is suspended.
    AccessDenied(&'static str),
    AuthorizationPending,
    SlowDown,
    ExpiredToken,
    InvalidDpopProof(&'static str),
    /// Come again with this nonce in the proof.
    UseDpopNonce(String),
    TooMany(TooMany),
    /// Somebody deleted what this was about at this moment. Whoever comes again hears what it was.
    Gone,
    /// Our own fault, never the caller's: must not be taken for a revocation.
    Unavailable,
}

impl OAuthError {
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::InvalidRequest(_) | Self::TooLong | Self::TooSlow => "invalid_request",
            Self::InvalidClient(_) | Self::HomeMoved => "invalid_client",
            Self::InvalidGrant(_) => "invalid_grant",
            Self::UnauthorizedClient(_) => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::InvalidScope(_) => "invalid_scope",
            Self::Authorization(code, _) => code,
            Self::AccessDenied(_) => "access_denied",
            Self::AuthorizationPending => "authorization_pending",
            Self::SlowDown => "slow_down",
            Self::ExpiredToken => "expired_token",
            Self::InvalidDpopProof(_) => "invalid_dpop_proof",
            Self::UseDpopNonce(_) => "use_dpop_nonce",
            Self::TooMany(_) | Self::Gone | Self::Unavailable => "temporarily_unavailable",
        }
    }

    /// As it is counted: the code, but what we fail at apart from what we turn away.
    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::TooMany(_) => "shed",
            other => other.code(),
        }
    }

    fn description(&self) -> &'static str {
        match self {
            Self::InvalidRequest(text)
            | Self::InvalidClient(text)
            | Self::InvalidGrant(text)
            | Self::UnauthorizedClient(text)
            | Self::InvalidScope(text)
            | Self::Authorization(_, text)
            | Self::AccessDenied(text)
            | Self::InvalidDpopProof(text) => text,
            Self::HomeMoved => "The home has moved to other hardware, and this key is not its key any more",
            Self::TooLong => "The request is too long",
            Self::TooSlow => "The body did not arrive in time",
            Self::UnsupportedGrantType => "This grant type is not supported",
            Self::AuthorizationPending => "Nobody has decided yet",
            Self::SlowDown => "Ask less often",
            Self::ExpiredToken => "The pairing was not decided in time",
            Self::UseDpopNonce(_) => "The DPoP proof needs the nonce given in this answer",
            Self::TooMany(_) => "Too many requests",
            Self::Gone | Self::Unavailable => "Try again in a moment",
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::InvalidClient(_) | Self::HomeMoved => StatusCode::UNAUTHORIZED,
            Self::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Gone | Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::InvalidRequest(_)
            | Self::InvalidGrant(_)
            | Self::UnauthorizedClient(_)
            | Self::UnsupportedGrantType
            | Self::InvalidScope(_)
            | Self::Authorization(..)
            | Self::AccessDenied(_)
            | Self::AuthorizationPending
            | Self::SlowDown
            | Self::ExpiredToken
            | Self::InvalidDpopProof(_)
            | Self::UseDpopNonce(_) => StatusCode::BAD_REQUEST,
        }
    }
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        let mut body = serde_json::json!({ "error": self.code(), "error_description": self.description() });
        if matches!(self, Self::HomeMoved) {
            // For the connector, which tells its owner.
            body["home"] = "moved".into();
        }
        let mut response = super::json(&body);
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        match &self {
            Self::InvalidClient(_) | Self::HomeMoved => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"MA Cloud\""));
            }
            Self::UseDpopNonce(nonce) => {
                let nonce = HeaderValue::from_str(nonce).expect("a nonce is base64url");
                headers.insert("dpop-nonce", nonce);
            }
            Self::TooMany(TooMany { retry_after_seconds }) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(*retry_after_seconds));
            }
            Self::Gone | Self::Unavailable => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
            }
            _ => {}
        }
        response
    }
}

impl From<StoreError> for OAuthError {
    fn from(error: StoreError) -> Self {
        tracing::warn!(%error, "the database did not answer an OAuth request");
        if error.is_orphaned() { Self::Gone } else { Self::Unavailable }
    }
}

impl From<TooMany> for OAuthError {
    fn from(error: TooMany) -> Self {
        Self::TooMany(error)
    }
}

impl From<FormError> for OAuthError {
    fn from(error: FormError) -> Self {
        match error {
            FormError::TooLong => Self::TooLong,
            FormError::ContentType => Self::InvalidRequest("The body must be application/x-www-form-urlencoded"),
            FormError::Encoding => Self::InvalidRequest("A parameter is not valid UTF-8"),
            FormError::ControlCharacter => Self::InvalidRequest("A parameter holds control characters"),
            FormError::Duplicate => Self::InvalidRequest("A parameter occurs more than once"),
            FormError::Interrupted => Self::InvalidRequest("The body ended early"),
            FormError::TooSlow => Self::TooSlow,
        }
    }
}
