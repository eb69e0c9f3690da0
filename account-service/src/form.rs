//! Query strings and form bodies, parsed once and strictly: what comes out holds no control characters and no parameter twice.
//!
//! Strict, because each laxness was a hole somewhere: two `redirect_uri`s read differently by two readers, a NUL that
//! a database refuses with an internal error, a JSON body that a framework accepts where a browser could post a form.

use axum::body::Body;
use axum::http::{HeaderMap, header};

/// Parameters in the order they came. Empty values count as absent (RFC 6749 section 3.1).
#[derive(Clone, Default)]
pub(crate) struct Form(Vec<(String, String)>);

/// Why a form is refused. Carries nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FormError {
    #[error("the request is too long")]
    TooLong,
    #[error("the body must be application/x-www-form-urlencoded")]
    ContentType,
    #[error("a parameter is not valid UTF-8")]
    Encoding,
    #[error("a parameter holds control characters")]
    ControlCharacter,
    #[error("a parameter occurs more than once")]
    Duplicate,
    #[error("the body ended early")]
    Interrupted,
    #[error("the body did not arrive in time")]
    TooSlow,
}

impl Form {
    /// Parse `application/x-www-form-urlencoded` text.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, FormError> {
        if text.len() > MAX_BYTES {
            return Err(FormError::TooLong);
        }
        let mut pairs: Vec<(String, String)> = Vec::new();
        for part in text.split(|&b| b == b'&').filter(|part| !part.is_empty()) {
            let (name, value) = match part.iter().position(|&b| b == b'=') {
                Some(at) => (decode(&part[..at])?, decode(&part[at + 1..])?),
                None => (decode(part)?, String::new()),
            };
            if pairs.len() >= MAX_PARAMETERS {
                return Err(FormError::TooLong);
            }
            if pairs.iter().any(|(other, _)| *other == name) {
                return Err(FormError::Duplicate);
            }
            pairs.push((name, value));
        }
        Ok(Self(pairs))
    }

    /// Read a request's body as a form.
    pub(crate) async fn read(headers: &HeaderMap, body: Body) -> Result<Self, FormError> {
        let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(FormError::ContentType);
        }
        Self::parse(&read_bytes(headers, body).await?)
    }

    /// The value of a parameter, unless it is absent or empty.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(other, _)| other == name)?;
        (!value.is_empty()).then_some(value)
    }

    /// The names of all parameters.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// As a query string, without the parameters named.
    pub(crate) fn to_query_without(&self, without: &[&str]) -> String {
        let kept = self.0.iter().filter(|(name, _)| !without.contains(&name.as_str()));
        kept.map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect::<Vec<_>>().join("&")
    }
}

/// Read a request's body, of whatever kind: not too long, and not too slowly.
pub(crate) async fn read_bytes(headers: &HeaderMap, body: Body) -> Result<Vec<u8>, FormError> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > MAX_BYTES) {
        return Err(FormError::TooLong);
    }
    match tokio::time::timeout(BODY_LIMIT, axum::body::to_bytes(body, MAX_BYTES)).await {
        Ok(Ok(bytes)) => Ok(bytes.into()),
        Ok(Err(error)) if is_length_limit(&error) => Err(FormError::TooLong),
        Ok(Err(_)) => Err(FormError::Interrupted),
        Err(_) => Err(FormError::TooSlow),
    }
}

/// Percent-encode everything but RFC 3986's unreserved characters. A space becomes `%20`, which every reader understands.
pub(crate) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn decode(text: &[u8]) -> Result<String, FormError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, after)) = rest.split_first() {
        let (byte, after) = match (first, after) {
            (b'+', _) => (b' ', after),
            (b'%', [high, low, after @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, after),
                // A stray percent sign stands for itself, as in browsers.
                _ => (b'%', &rest[1..]),
            },
            _ => (first, after),
        };
        bytes.push(byte);
        rest = after;
    }
    let decoded = String::from_utf8(bytes).map_err(|_| FormError::Encoding)?;
    if decoded.chars().any(char::is_control) { Err(FormError::ControlCharacter) } else { Ok(decoded) }
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

/// Whether a body is longer than it may be, and not just cut off.
pub(crate) fn is_length_limit(error: &axum::Error) -> bool {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = source {
        if error.to_string().contains("length limit exceeded") {
            return true;
        }
        source = error.source();
    }
    false
}

/// A form of a few hundred bytes that takes longer is not being sent by a person.
const BODY_LIMIT: std::time::Duration = std::time::Duration::from_secs(10);
/// Ours are below 8 KiB; Alexa's `state` is a few hundred bytes.
const MAX_BYTES: usize = 64 * 1024;
const MAX_PARAMETERS: usize = 64;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pairs(text: &str) -> Result<Vec<(String, String)>, FormError> {
        Form::parse(text.as_bytes()).map(|form| form.0)
    }

    #[test]
    fn the_usual_and_the_odd() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(pairs("a=1&b=x+y%2B%C3%BC"), Ok(vec![pair("a", "1"), pair("b", "x y+ü")]));
        assert_eq!(pairs("&&a&"), Ok(vec![pair("a", "")]));
        assert_eq!(pairs("a=%zz%"), Ok(vec![pair("a", "%zz%")]));
        assert_eq!(Form::parse(b"a=").unwrap().value("a"), None);
    }

    #[test]
    fn the_refused() {
        assert_eq!(pairs("a=1&b=2&a=1"), Err(FormError::Duplicate));
        assert_eq!(pairs("a=1&%61=2"), Err(FormError::Duplicate));
        assert_eq!(pairs("a=%00"), Err(FormError::ControlCharacter));
        assert_eq!(pairs("a%0A=1"), Err(FormError::ControlCharacter));
        assert_eq!(pairs("a=%C2%85"), Err(FormError::ControlCharacter));
        assert_eq!(pairs("a=%ff"), Err(FormError::Encoding));
        assert_eq!(pairs(&"a".repeat(MAX_BYTES + 1)), Err(FormError::TooLong));
        let many: Vec<String> = (0..=MAX_PARAMETERS).map(|n| format!("p{n}=1")).collect();
        assert_eq!(pairs(&many.join("&")), Err(FormError::TooLong));
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
            if let Ok(form) = Form::parse(&bytes) {
                prop_assert!(form.0.iter().all(|(name, value)| !name.contains(char::is_control) && !value.contains(char::is_control)));
            }
        }

        #[test]
        fn what_was_encoded_is_read_back(name in "[^\\p{Cc}]{1,20}", value in "[^\\p{Cc}]{1,200}") {
            let form = Form::parse(format!("{}={}", encode(&name), encode(&value)).as_bytes()).unwrap();
            prop_assert_eq!(form.value(&name), Some(value.as_str()));
            let again = Form::parse(form.to_query_without(&[]).as_bytes()).unwrap();
            prop_assert_eq!(again.0, form.0);
        }
    }
}
