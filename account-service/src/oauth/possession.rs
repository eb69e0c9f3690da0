//! Proof of possession for clients (RFC 9449): a token that a proof came with is of use only together with that key.
//!
//! Every proof needs a nonce of ours, so that neither the prover's clock nor a recorded proof matters, and counts once.
//! For any client it is a choice; a client registered with `require_dpop` gets no token without. What is bound stays so:
//! presented as a mere bearer token it is refused.

use axum::http::HeaderMap;
use macloud_proto::dpop::{self, DpopError, Proof};
use macloud_proto::jose::PublicKey;

use super::error::OAuthError;
use crate::secrets::{self, DPOP_NONCE_SECONDS};
use crate::shared::Shared;
use crate::store::clients::Client;
use crate::store::seen_proofs;

/// A proof that fits its request. It is not used up yet: what else is wrong with the request is told first.
#[must_use = "a proof counts once: use it up"]
pub(super) struct Possession {
    /// The thumbprint of the key.
    pub(super) jkt: String,
    seen: [u8; 32],
}

/// The proof that a request to one of our own endpoints comes with, if any.
pub(super) fn shown(
    shared: &Shared,
    headers: &HeaderMap,
    method: &str,
    path: &str,
) -> Result<Option<Possession>, OAuthError> {
    shown_at(shared, headers, method, &shared.url(path), None)
}

/// The same at any URL, beside an access token.
pub(super) fn shown_at(
    shared: &Shared,
    headers: &HeaderMap,
    method: &str,
    url: &str,
    access_token: Option<&str>,
) -> Result<Option<Possession>, OAuthError> {
    let mut proofs = headers.get_all("dpop").iter();
    let (proof, None) = (proofs.next(), proofs.next()) else {
        return Err(OAuthError::InvalidDpopProof("There is more than one DPoP header"));
    };
    let Some(proof) = proof else { return Ok(None) };
    let proof = proof.to_str().map_err(|_| OAuthError::InvalidDpopProof("The DPoP header is malformed"))?;
    let now = shared.clock.unix_seconds();
    let request = dpop::Request { method, url, access_token };
    let fresh = |nonce: &str| shared.master.dpop_nonce_is_current(nonce, now);
    let Proof { thumbprint, jti, .. }: Proof<PublicKey> =
        dpop::verify_of_client(proof, request, fresh).map_err(|error| refusal(shared, error))?;
    let seen = secrets::hash(&format!("dpop\0{thumbprint}\0{jti}"));
    Ok(Some(Possession { jkt: thumbprint, seen }))
}

/// What is said about a proof that does not hold.
pub(super) fn refusal(shared: &Shared, error: DpopError) -> OAuthError {
    match error {
        DpopError::Nonce => OAuthError::UseDpopNonce(shared.master.dpop_nonce(shared.clock.unix_seconds())),
        DpopError::Jose(_) | DpopError::Header | DpopError::Jti => {
            OAuthError::InvalidDpopProof("The DPoP proof is not valid")
        }
        DpopError::Request => OAuthError::InvalidDpopProof("The DPoP proof is for another method or URL"),
        DpopError::AccessToken => {
            OAuthError::InvalidDpopProof("The DPoP proof is for another access token, or for none")
        }
    }
}

impl Possession {
    /// Refuse what was seen before, on any node.
    pub(super) async fn use_up(&self, shared: &Shared) -> Result<(), OAuthError> {
        let until = shared.now() + DPOP_NONCE_SECONDS as i64 + 60;
        if seen_proofs::is_first(&shared.db, &self.seen, until).await? {
            Ok(())
        } else {
            Err(OAuthError::InvalidDpopProof("This proof was used before"))
        }
    }
}

/// The key that this client's next tokens are bound to. Uses the proof up.
pub(super) async fn key_for(
    shared: &Shared,
    client: &Client,
    shown: Option<Possession>,
) -> Result<Option<String>, OAuthError> {
    match shown {
        Some(possession) => {
            possession.use_up(shared).await?;
            Ok(Some(possession.jkt))
        }
        None if client.require_dpop => Err(OAuthError::InvalidDpopProof("This client must send a DPoP proof")),
        None => Ok(None),
    }
}

/// Whether a text has the form of a thumbprint.
pub(super) fn is_thumbprint(text: &str) -> bool {
    text.len() == 43 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
}
