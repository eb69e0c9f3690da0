//! Who is the client? One way to prove it per request: HTTP Basic, a secret in the body, or nothing for public clients.

use std::sync::Arc;

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq as _;

use super::error::OAuthError;
use crate::form::Form;
use crate::secrets;
use crate::shared::Shared;
use crate::store::clients::Client;

/// The authenticated client of a request.
pub(super) async fn authenticate(shared: &Shared, headers: &HeaderMap, form: &Form) -> Result<Arc<Client>, OAuthError> {
    let (id, secret) = presented(headers, form)?;
    // Secrets are 256 random bits: one hash is enough, and says nothing about which of id and secret was wrong.
    let presented = secret.map(|secret| secrets::hash(&secret));
    if let Some(client) = shared.client(&id).await?.filter(|client| is_proved(client, presented)) {
        return Ok(client);
    }
    // An operator may just have created the client anew, with another secret.
    let client = shared.client_now(&id).await?.filter(|client| is_proved(client, presented));
    client.ok_or(OAuthError::InvalidClient("Client authentication failed"))
}

fn is_proved(client: &Client, presented: Option<[u8; 32]>) -> bool {
    match (client.secret_hash, presented) {
        (Some(known), Some(hash)) => known.ct_eq(&hash).into(),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// Client id and secret as presented, in whichever one way.
fn presented(headers: &HeaderMap, form: &Form) -> Result<(String, Option<String>), OAuthError> {
    if form.value("client_assertion").is_some() || form.value("client_assertion_type").is_some() {
        return Err(OAuthError::InvalidClient("This client does not authenticate by assertion"));
    }
    let body_id = form.value("client_id");
    let body_secret = form.value("client_secret");
    let mut authorization = headers.get_all(header::AUTHORIZATION).iter();
    match (authorization.next(), authorization.next()) {
        (None, _) => {
            let id = body_id.ok_or(OAuthError::InvalidClient("Client authentication is missing"))?;
            Ok((id.to_owned(), body_secret.map(str::to_owned)))
        }
        (Some(_), Some(_)) => Err(OAuthError::InvalidRequest("There is more than one Authorization header")),
        (Some(_), None) if body_secret.is_some() => {
            Err(OAuthError::InvalidRequest("The client authenticates in more than one way"))
        }
        (Some(value), None) => {
            let (id, secret) = value
                .to_str()
                .ok()
                .and_then(basic)
                .ok_or(OAuthError::InvalidClient("The Authorization header is not HTTP Basic"))?;
            if body_id.is_some_and(|body_id| body_id != id) {
                return Err(OAuthError::InvalidClient("client_id differs from the Authorization header"));
            }
            Ok((id, Some(secret)))
        }
    }
}

/// RFC 6749 section 2.3.1: both halves are form-encoded before they become a user name and a password.
pub(crate) fn basic(header: &str) -> Option<(String, String)> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = decoded.split_once(':')?;
    Some((unescape(id)?, unescape(secret)?))
}

fn unescape(half: &str) -> Option<String> {
    // A bare `&` or `=` cannot occur in a form-encoded value; everything else is the form's own decoding.
    if half.contains(['&', '=']) {
        return None;
    }
    let form = Form::parse(format!("v={half}").as_bytes()).ok()?;
    form.value("v").map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header(text: &str) -> String {
        format!("Basic {}", STANDARD.encode(text))
    }

    #[test]
    fn basic_is_decoded() {
        assert_eq!(basic(&header("a%20b:c%3Ad+e")), Some(("a b".into(), "c:d e".into())));
        assert_eq!(basic(&header("a:b").replacen("Basic", "bAsIc", 1)), Some(("a".into(), "b".into())));
        for wrong in
            ["", "Basic", "Basic *", "Bearer YTpi", &header("ab"), &header("a:%00"), &header(":b"), &header("a=1:b")]
        {
            assert_eq!(basic(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn any_header_is_read_or_refused(text in "\\PC{0,80}") {
            let _ = basic(&text);
            let _ = basic(&header(&text));
        }
    }
}
