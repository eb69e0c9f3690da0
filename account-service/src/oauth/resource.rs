//! How an access token is shown to us where we are the resource: in the Authorization header and nowhere else, as a bearer
//! token (RFC 6750), or with a proof of possession when it is bound to a key (RFC 9449 section 7).

use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::json;

use super::error::OAuthError;
use super::possession;
use crate::shared::Shared;
use crate::store::StoreError;

/// A token as it was shown, not looked up yet.
pub(crate) struct Shown<'a> {
    pub(crate) token: &'a str,
    with_proof: bool,
}

/// Why a token does not open the door.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// None was shown.
    Missing,
    /// Unknown, expired, revoked, or shown in the wrong way.
    Invalid,
    /// Good, but not for this: the scope that would be.
    Insufficient(&'static str),
    /// The proof of possession is missing or wrong.
    Proof(OAuthError),
    /// Our own fault.
    Other(OAuthError),
}

/// The token that a request shows.
pub(crate) fn shown(parts: &Parts) -> Result<Shown<'_>, Refusal> {
    let mut headers = parts.headers.get_all(header::AUTHORIZATION).iter();
    let header = match (headers.next(), headers.next()) {
        (None, _) => return Err(Refusal::Missing),
        (Some(header), None) => header,
        (Some(_), Some(_)) => return Err(Refusal::Invalid),
    };
    let (scheme, token) = header.to_str().ok().and_then(|text| text.split_once(' ')).ok_or(Refusal::Invalid)?;
    let with_proof = scheme.eq_ignore_ascii_case("dpop");
    if !with_proof && !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Refusal::Missing);
    }
    Ok(Shown { token: token.trim(), with_proof })
}

impl Shown<'_> {
    /// Check that the token is shown in the way that it is bound to: `jkt` is its key, if it has one. `origins` are those
    /// under which this resource is reached.
    pub(crate) async fn check_possession(
        &self,
        shared: &Shared,
        parts: &Parts,
        origins: &[&str],
        jkt: Option<&str>,
    ) -> Result<(), Refusal> {
        let jkt = match (jkt, self.with_proof) {
            (None, false) => return Ok(()),
            // A bound token without its proof is a stolen one; a proof beside an unbound one proves nothing.
            (None, true) | (Some(_), false) => return Err(Refusal::Invalid),
            (Some(jkt), true) => jkt,
        };
        let mut outcome = Ok(None);
        for origin in origins {
            let url = format!("{origin}{}", parts.uri.path());
            outcome = possession::shown_at(shared, &parts.headers, parts.method.as_str(), &url, Some(self.token));
            // Only a proof for another URL may fit the next origin; what else is wrong with it is wrong with all.
            if matches!(outcome, Ok(_) | Err(OAuthError::UseDpopNonce(_))) {
                break;
            }
        }
        let missing = OAuthError::InvalidDpopProof("A DPoP proof is needed");
        let proof = outcome.map_err(Refusal::Proof)?.ok_or(Refusal::Proof(missing))?;
        if proof.jkt != jkt {
            return Err(Refusal::Invalid);
        }
        proof.use_up(shared).await.map_err(|error| match error {
            OAuthError::Gone | OAuthError::Unavailable => Refusal::Other(error),
            _ => Refusal::Proof(error),
        })
    }
}

impl Refusal {
    /// As OAuth wants it.
    pub(crate) fn into_response(self) -> Response {
        let (status, error, challenge) = match &self {
            Self::Missing => (StatusCode::UNAUTHORIZED, "invalid_token", String::new()),
            Self::Invalid => (StatusCode::UNAUTHORIZED, "invalid_token", ", error=\"invalid_token\"".into()),
            Self::Insufficient(scope) => {
                let challenge = format!(", error=\"insufficient_scope\", scope=\"{scope}\"");
                (StatusCode::FORBIDDEN, "insufficient_scope", challenge)
            }
            Self::Proof(error) => (StatusCode::UNAUTHORIZED, error.code(), format!(", error=\"{}\"", error.code())),
            Self::Other(_) => (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", String::new()),
        };
        let (scheme, algorithms) = match &self {
            Self::Proof(_) => ("DPoP", ", algs=\"ES256 EdDSA\""),
            _ => ("Bearer", ""),
        };
        let nonce = match self {
            Self::Other(error) => return error.into_response(),
            Self::Proof(OAuthError::UseDpopNonce(nonce)) => HeaderValue::from_str(&nonce).ok(),
            _ => None,
        };
        let mut response = super::json(&json!({ "error": error }));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        let challenge = format!("{scheme} realm=\"MA Cloud\"{algorithms}{challenge}");
        // Made of constants only.
        if let Ok(challenge) = HeaderValue::from_str(&challenge) {
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        headers.extend(nonce.map(|nonce| (header::HeaderName::from_static("dpop-nonce"), nonce)));
        response
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Other(error.into())
    }
}
