//! Entrances for `account-service/fuzz` and the property tests to what strangers' texts reach first.

use crate::form::Form;
use crate::secrets::{Kind, lookup_hash};
use crate::{names, oauth, passwords, web};

/// A query string or a form's body.
pub fn form(bytes: &[u8]) {
    let Ok(form) = Form::parse(bytes) else { return };
    // Written again it may be longer than what is read; where it is not, it is the same form.
    if let Ok(again) = Form::parse(form.to_query_without(&[]).as_bytes()) {
        assert_eq!(again.to_query_without(&[]), form.to_query_without(&[]));
    }
}

/// An authorization request of a known client.
pub fn authorize_request(bytes: &[u8]) {
    oauth::fuzz_authorize(bytes);
}

/// A header, a cookie, a token, or something typed.
pub fn text(text: &str) {
    let _ = oauth::basic(text);
    oauth::fuzz_assertion(text);
    for kind in
        [Kind::Access, Kind::Refresh, Kind::Code, Kind::Device, Kind::PushedRequest, Kind::Cookie, Kind::Operator]
    {
        let _ = lookup_hash(kind, text);
    }
    if let Some(code) = oauth::normalise_user_code(text) {
        assert_eq!(oauth::normalise_user_code(&code).as_deref(), Some(code.as_str()));
    }
    if let Some(name) = names::clean_name(text) {
        assert_eq!(names::clean_name(&name).as_deref(), Some(name.as_str()));
    }
    if let Some(email) = passwords::normalise_email(text) {
        assert_eq!(passwords::normalise_email(&email).as_deref(), Some(email.as_str()));
    }
    if web::may_come_next(text) {
        let home = url::Url::parse("https://cloud.example").expect("a constant");
        assert!(home.join(text).is_ok_and(|url| url.origin() == home.origin()), "it leads away");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    fn request() -> impl Strategy<Value = String> {
        let names = ["response_type", "client_id", "state", "scope", "nonce", "prompt", "max_age", "code_challenge"];
        let values = ["code", "openid", "login none", "S256", "0", "music_assistant.control", "%00", "%C3%BC+%26"];
        let challenge = "code_challenge_method=S256&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
        let pair = (prop::sample::select(names.to_vec()), prop::sample::select(values.to_vec()));
        let pairs = prop::collection::vec(pair.prop_map(|(name, value)| format!("{name}={value}")), 0..8);
        (pairs, any::<bool>()).prop_map(move |(mut pairs, with_challenge)| {
            pairs.extend(with_challenge.then(|| challenge.to_owned()));
            pairs.join("&")
        })
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_form_or_none(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            super::form(&bytes);
            super::authorize_request(&bytes);
        }

        #[test]
        fn requests_are_understood_or_refused(request in request()) {
            super::authorize_request(request.as_bytes());
        }

        #[test]
        fn any_text_may_be_typed(text in any::<String>()) {
            super::text(&text);
        }
    }
}
