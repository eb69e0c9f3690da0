//! The token that Music Assistant gave the connector. It stays in the home: it is never logged and never sent on.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use time::OffsetDateTime;
use zeroize::Zeroizing;

/// How long before its end a token is worth a warning: long enough to act on at leisure.
const WARN_BEFORE: Duration = Duration::from_secs(30 * 86_400);

/// A long-lived access token of Music Assistant.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Zeroizing<String>);

impl Token {
    /// From text, white space around it removed. `None` when nothing is left.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.is_empty() { None } else { Some(Self(Zeroizing::new(text.into()))) }
    }

    /// The text, for the one place that sends it.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }

    /// The text, for the one place that stores it.
    pub(crate) fn as_stored(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The same as text.
    pub(crate) fn as_stored_text(&self) -> &str {
        &self.0
    }

    /// The id by which Music Assistant lists it, if it says so.
    #[must_use]
    pub fn id(&self) -> Option<String> {
        Some(self.claims()?.get("jti")?.as_str()?.to_owned())
    }

    fn claims(&self) -> Option<Value> {
        let payload = self.0.split('.').nth(1)?;
        let payload = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
        serde_json::from_slice(&payload).ok()
    }

    /// When it ends, in seconds since 1970, if it is a JWT that says so. The signature is Music Assistant's business.
    #[must_use]
    pub fn ends_at(&self) -> Option<u64> {
        let end = self.claims()?.get("exp")?.as_f64()?;
        (end >= 0.0).then_some(end as u64)
    }

    /// The day on which it ends (UTC), written `2027-11-23`, if it says when.
    #[must_use]
    pub fn ends_on(&self) -> Option<String> {
        let end = OffsetDateTime::from_unix_timestamp(i64::try_from(self.ends_at()?).ok()?).ok()?;
        Some(end.date().to_string())
    }

    /// How long it still lives, if that is short enough to tell the owner.
    #[must_use]
    pub fn ending_soon(&self, now: u64) -> Option<Duration> {
        let left = Duration::from_secs(self.ends_at()?.saturating_sub(now));
        (left <= WARN_BEFORE).then_some(left)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jwt(claims: &str) -> Token {
        Token::parse(&format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims))).unwrap()
    }

    #[test]
    fn the_end_is_read_from_the_token() {
        assert_eq!(jwt(r#"{"exp":2000000000}"#).ends_at(), Some(2_000_000_000));
        assert_eq!(jwt(r#"{"exp":2000000000.5}"#).ends_at(), Some(2_000_000_000));
        assert_eq!(jwt(r#"{"sub":"x"}"#).ends_at(), None);
        assert_eq!(Token::parse("opaque").unwrap().ends_at(), None);
        assert_eq!(jwt(r#"{"exp":2000000000}"#).ends_on().as_deref(), Some("2033-05-18"));
        assert_eq!(jwt(r#"{"exp":1e300}"#).ends_on(), None);
    }

    #[test]
    fn a_warning_comes_in_the_last_thirty_days() {
        let token = jwt(r#"{"exp":2000000000}"#);
        assert_eq!(token.ending_soon(2_000_000_000 - 31 * 86_400), None);
        assert_eq!(token.ending_soon(2_000_000_000 - 86_400), Some(Duration::from_secs(86_400)));
        assert_eq!(token.ending_soon(2_000_000_001), Some(Duration::ZERO));
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", Token::parse("secret").unwrap()), "Token(…)");
    }
}
