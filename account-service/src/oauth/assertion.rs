//! Assertions with which clients and homes authenticate (RFC 7523): what both have in common.

use macloud_proto::jose::Unverified;
use serde::Deserialize;

use super::error::OAuthError;
use crate::form::Form;
use crate::secrets;
use crate::shared::Shared;
use crate::store::seen_proofs;

/// The only value of `client_assertion_type`.
pub(super) const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Longer-lived assertions are refused, so that their ids need not be remembered for long.
const MAX_SECONDS: i64 = 300;
const LEEWAY_SECONDS: i64 = 60;

/// What an assertion claims. Verify its signature before believing any of it.
#[derive(Deserialize)]
pub(super) struct Assertion {
    iss: String,
    sub: String,
    aud: Audience,
    #[serde(default)]
    iat: Option<i64>,
    #[serde(default)]
    nbf: Option<i64>,
    exp: i64,
    jti: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

/// Whether a JWS says that it is an assertion, or at least nothing else.
pub(super) fn is_one(token: &Unverified<'_>) -> bool {
    matches!(token.header().typ.as_deref(), None | Some("client-authentication+jwt" | "JWT"))
}

/// Whom an assertion claims to come from, unverified: to find the keys by.
pub(super) fn issuer(text: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Issuer {
        iss: String,
    }
    let claims: Issuer = Unverified::parse_of_client(text).ok()?.peek().ok()?;
    Some(claims.iss)
}

impl Assertion {
    /// Who made it, as the kind of id that is expected; unverified until the signature is.
    pub(super) fn issuer<T: std::str::FromStr>(&self) -> Option<T> {
        self.iss.parse().ok()
    }

    /// Check what is claimed: by this client, about itself, for us and for now.
    pub(super) fn check(&self, shared: &Shared, client_id: &str, form: &Form) -> Result<(), OAuthError> {
        const REFUSED: OAuthError = OAuthError::InvalidClient("The assertion is not valid");
        if form.value("client_assertion_type") != Some(TYPE) {
            return Err(OAuthError::InvalidClient("client_assertion_type is unknown"));
        }
        let named = form.value("client_id").unwrap_or(client_id);
        let is_own = self.iss == client_id && self.sub == client_id && named == client_id;
        if !is_own || !self.is_for_us(shared) || self.jti.is_empty() || self.jti.len() > 128 {
            return Err(REFUSED);
        }
        self.check_times(shared.now())
    }

    /// An assertion that names somebody else too could have been made for, and taken from, them.
    fn is_for_us(&self, shared: &Shared) -> bool {
        let ours = |aud: &String| *aud == shared.issuer || *aud == shared.url("/oauth/token");
        match &self.aud {
            Audience::One(aud) => ours(aud),
            Audience::Many(all) => !all.is_empty() && all.iter().all(ours),
        }
    }

    /// Whose clock is wrong learns the time from the answer's `Date` and tries again.
    fn check_times(&self, now: i64) -> Result<(), OAuthError> {
        let wrong = Err(OAuthError::InvalidClient("The assertion is expired, from the future, or lives too long"));
        let issued = self.iat.unwrap_or(now);
        let begins = self.nbf.unwrap_or(issued);
        // Saturating: these numbers are a stranger's.
        let soon = now.saturating_add(LEEWAY_SECONDS);
        if self.exp.saturating_add(LEEWAY_SECONDS) <= now || issued > soon || begins > soon {
            return wrong;
        }
        if self.exp > issued.saturating_add(MAX_SECONDS) || self.exp > soon.saturating_add(MAX_SECONDS) {
            return wrong;
        }
        Ok(())
    }

    /// Refuse it if it was used before, on any node.
    pub(super) async fn use_up(&self, shared: &Shared) -> Result<(), OAuthError> {
        let place = secrets::hash(&format!("assertion\0{}\0{}", self.iss, self.jti));
        if seen_proofs::is_first(&shared.db, &place, self.exp.saturating_add(LEEWAY_SECONDS)).await? {
            Ok(())
        } else {
            Err(OAuthError::InvalidClient("This assertion was used before"))
        }
    }
}

/// For [`crate::fuzzing`].
pub(crate) fn fuzz(text: &str) {
    if let Ok(token) = Unverified::parse_of_client(text)
        && is_one(&token)
        && let Ok(claims) = token.peek::<Assertion>()
    {
        let _ = claims.check_times(1_800_000_000);
    }
    let _ = issuer(text);
}
