//! Who is the client? Exactly one proof per request: HTTP Basic, a secret in the body, a signed assertion (RFC 7523), or
//! nothing for public clients.

use std::sync::Arc;

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use macloud_proto::jose::Unverified;
use subtle::ConstantTimeEq as _;

use super::assertion::{self, Assertion};
use super::error::OAuthError;
use crate::form::Form;
use crate::secrets;
use crate::shared::Shared;
use crate::store::clients::{Client, Credentials};

/// The ways there are, for the metadata.
pub(super) const METHODS: [&str; 4] = ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"];

const FAILED: OAuthError = OAuthError::InvalidClient("Client authentication failed");

/// What a request shows to prove who sends it.
enum Presented<'a> {
    Nothing,
    /// Its hash: secrets are 256 random bits, so one hash is enough, and says nothing about which of id and secret was wrong.
    Secret([u8; 32]),
    Assertion(&'a str),
}

/// The authenticated client of a request.
pub(super) async fn authenticate(shared: &Shared, headers: &HeaderMap, form: &Form) -> Result<Arc<Client>, OAuthError> {
    let (id, presented) = presented(headers, form)?;
    let mut client = shared.client(&id).await?;
    if !client.as_ref().is_some_and(|client| is_proved(client, &presented, shared.now())) {
        // An operator may just have created the client anew, with another secret or other keys.
        client = shared.client_now(&id).await?;
    }
    let client = client.filter(|client| is_proved(client, &presented, shared.now())).ok_or(FAILED)?;
    if let Presented::Assertion(text) = presented {
        let claims = verified(&client, text).ok_or(FAILED)?;
        claims.check(shared, &client.id, form)?;
        // An assertion counts once, on whichever node and at whichever endpoint.
        claims.use_up(shared).await?;
    }
    Ok(client)
}

/// What to say when something was gone. If it was the client, which another process deleted after we looked, it cannot
/// authenticate any more.
pub(super) async fn unless_deleted(shared: &Shared, client: &Client, error: OAuthError) -> OAuthError {
    match error {
        OAuthError::Gone if matches!(shared.client_now(&client.id).await, Ok(None)) => FAILED,
        other => other,
    }
}

fn is_proved(client: &Client, presented: &Presented<'_>, now: i64) -> bool {
    match (&client.credentials, presented) {
        (Credentials::None, Presented::Nothing) => true,
        (Credentials::Secret { hash, old }, Presented::Secret(shown)) => {
            // Both are compared, so that the time tells nothing.
            let is_newest = hash.ct_eq(shown);
            let is_old = old.filter(|old| old.until > now).map_or(0.into(), |old| old.hash.ct_eq(shown));
            (is_newest | is_old).into()
        }
        (Credentials::Keys(_), Presented::Assertion(text)) => verified(client, text).is_some(),
        (Credentials::None | Credentials::Secret { .. } | Credentials::Keys(_), _) => false,
    }
}

/// The claims of an assertion that one of the client's keys signed. Says nothing about what they claim.
fn verified(client: &Client, text: &str) -> Option<Assertion> {
    let Credentials::Keys(keys) = &client.credentials else { return None };
    let token = Unverified::parse_of_client(text).ok().filter(assertion::is_one)?;
    let kid = token.header().kid.clone();
    // Whoever names a key means that one. At most sixteen are registered, and only those of the same algorithm are tried.
    let mut candidates = keys.iter().filter(|key| kid.is_none() || key.jwk.kid.is_none() || key.jwk.kid == kid);
    candidates.find_map(|key| token.verify_of_client(&key.key).ok())
}

/// Client id and proof as presented, in whichever one way.
fn presented<'a>(headers: &HeaderMap, form: &'a Form) -> Result<(String, Presented<'a>), OAuthError> {
    const SEVERAL: OAuthError = OAuthError::InvalidRequest("The client authenticates in more than one way");
    let body_id = form.value("client_id");
    let body_secret = form.value("client_secret");
    let assertion = form.value("client_assertion");
    if assertion.is_some() != form.value("client_assertion_type").is_some() {
        return Err(OAuthError::InvalidRequest("client_assertion and client_assertion_type belong together"));
    }
    let mut authorization = headers.get_all(header::AUTHORIZATION).iter();
    match (authorization.next(), authorization.next()) {
        (Some(_), Some(_)) => Err(OAuthError::InvalidRequest("There is more than one Authorization header")),
        (Some(_), None) if body_secret.is_some() || assertion.is_some() => Err(SEVERAL),
        (Some(value), None) => {
            let (id, secret) = value
                .to_str()
                .ok()
                .and_then(basic)
                .ok_or(OAuthError::InvalidClient("The Authorization header is not HTTP Basic"))?;
            if body_id.is_some_and(|body_id| body_id != id) {
                return Err(OAuthError::InvalidClient("client_id differs from the Authorization header"));
            }
            Ok((id, Presented::Secret(secrets::hash(&secret))))
        }
        (None, _) => match (assertion, body_secret) {
            (Some(_), Some(_)) => Err(SEVERAL),
            (Some(text), None) => {
                let id = assertion::issuer(text).ok_or(FAILED)?;
                Ok((id, Presented::Assertion(text)))
            }
            (None, secret) => {
                let id = body_id.ok_or(OAuthError::InvalidClient("Client authentication is missing"))?;
                let proof = secret.map_or(Presented::Nothing, |secret| Presented::Secret(secrets::hash(secret)));
                Ok((id.to_owned(), proof))
            }
        },
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
    const NAME: &str = "v";
    let form = Form::parse(format!("{NAME}={half}").as_bytes()).ok()?;
    form.value(NAME).map(str::to_owned)
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
