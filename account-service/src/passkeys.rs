//! Passkeys (WebAuthn): what a browser is asked, and whether its answer is right.
//!
//! Every ceremony asks the authenticator to verify its user (a finger, a face, a PIN), so a passkey is both steps of
//! signing in. Which authenticator made it is not asked: attestation would tell us about people's devices and refuse some.

use macloud_proto::ids::AccountId;
use serde_json::{Value, json};
use webauthn_rs::prelude::{
    DiscoverableAuthentication, Passkey, PasskeyRegistration, PublicKeyCredential, RegisterPublicKeyCredential, Uuid,
    Webauthn, WebauthnBuilder,
};

use crate::secrets;

/// Asks and judges, for one origin.
pub(crate) struct Passkeys(Webauthn);

/// A question to the browser.
pub(crate) struct Question {
    /// What the browser's interface takes, with bytes as base64url text.
    pub(crate) options: Value,
    /// What judging the answer needs. Not for the browser's eyes only because it must not choose it.
    pub(crate) state: String,
}

/// A passkey that was made.
pub(crate) struct Made {
    pub(crate) credential_id: Vec<u8>,
    pub(crate) passkey: String,
}

impl Passkeys {
    /// For the service at this origin; none where browsers know no passkeys, which are bound to a domain.
    pub(crate) fn new(origin: &str) -> Option<Self> {
        let origin = url::Url::parse(origin).ok()?;
        let builder = WebauthnBuilder::new(origin.domain()?, &origin).ok()?;
        Some(Self(builder.rp_name("MA Cloud").build().ok()?))
    }

    /// Ask to make a passkey, on an authenticator that has none of these.
    pub(crate) fn ask_to_make(&self, account: &AccountId, email: &str, known: &[Vec<u8>]) -> Option<Question> {
        let known = known.to_vec();
        let asked = self.0.start_passkey_registration(user(account), email, email, Some(known));
        let (challenge, state) = asked.ok()?;
        let mut options = serde_json::to_value(&challenge).ok()?["publicKey"].take();
        // Kept on the device where it can be, so that signing in needs no address typed.
        options["authenticatorSelection"]["residentKey"] = json!("preferred");
        Some(Question { options, state: serde_json::to_string(&state).ok()? })
    }

    /// What was made, if it answers that question.
    pub(crate) fn made(&self, state: &str, answer: &str) -> Option<Made> {
        let state: PasskeyRegistration = serde_json::from_str(state).ok()?;
        let answer: RegisterPublicKeyCredential = serde_json::from_str(answer).ok()?;
        let passkey = self.0.finish_passkey_registration(&answer, &state).ok()?;
        Some(Made { credential_id: passkey.cred_id().clone(), passkey: serde_json::to_string(&passkey).ok()? })
    }

    /// Ask for a passkey: one of these, or whichever the person has for this site.
    pub(crate) fn ask(&self, known: &[Vec<u8>]) -> Option<Question> {
        let (challenge, state) = self.0.start_discoverable_authentication().ok()?;
        let mut options = serde_json::to_value(&challenge).ok()?["publicKey"].take();
        let allowed = known.iter().map(|id| json!({ "type": "public-key", "id": base64url(id) }));
        options["allowCredentials"] = allowed.collect();
        Some(Question { options, state: serde_json::to_string(&state).ok()? })
    }

    /// Whether this answers that question with this passkey of this account: the passkey as it is to be kept from now on.
    pub(crate) fn judge(
        &self,
        state: &str,
        answer: &PublicKeyCredential,
        account: &AccountId,
        passkey: &str,
    ) -> Option<String> {
        let state: DiscoverableAuthentication = serde_json::from_str(state).ok()?;
        let mut passkey: Passkey = serde_json::from_str(passkey).ok()?;
        if answer.get_user_unique_id().is_some_and(|told| told != user(account).as_bytes()) {
            return None;
        }
        let result = self.0.finish_discoverable_authentication_v2(answer, state, &passkey).ok()?;
        passkey.update_credential(&result)?;
        serde_json::to_string(&passkey).ok()
    }
}

/// What an answer claims, to look the passkey up.
pub(crate) fn parse_answer(text: &str) -> Option<PublicKeyCredential> {
    serde_json::from_str(text).ok()
}

/// How authenticators know an account: the same for all of its passkeys, and nothing that tells who it is.
fn user(account: &AccountId) -> Uuid {
    let hash = secrets::hash(&format!("passkey user\0{account}"));
    Uuid::from_slice(&hash[..16]).expect("16 bytes")
}

fn base64url(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passkeys_need_a_domain() {
        assert!(Passkeys::new("https://cloud.example").is_some());
        assert!(Passkeys::new("http://localhost:8080").is_some());
        assert!(Passkeys::new("http://127.0.0.1:8080").is_none());
        assert!(Passkeys::new("").is_none());
    }
}
