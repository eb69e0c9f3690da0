//! Dialling in again without signatures.
//!
//! With its Welcome a relay may give a [`Credential`]: a ticket that only relays can read, and a secret. A home that has both
//! can dial in with an HMAC where it would otherwise show its token and sign a proof; the relay then verifies no signature. The
//! ticket says what the token said and ends when the token ends, so it lets nobody in whom the token would not.
//!
//! Here is what both ends must agree on: the two header values, and what the HMAC is made over. What a ticket holds is the
//! relay's own business.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use ring::hmac;

/// The `Authorization` scheme that carries a ticket.
pub const SCHEME: &str = "Resume";

/// The header that carries the [proof](Credential::prove), in lower case.
pub const PROOF_HEADER: &str = "resume-proof";

/// Largest ticket. Ours have about 500 bytes.
pub const MAX_TICKET_BYTES: usize = 1536;

/// A secret's length: the output of the hash that it keys (RFC 2104 section 3).
pub const SECRET_BYTES: usize = 32;

/// Longest id of a proof, in characters.
pub const MAX_PROOF_ID: usize = 64;

/// What a relay gives for the next dial-in.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// To be shown; opaque to the home.
    pub ticket: Bytes,
    /// Proves that the ticket is one's own. Never sent by the home, never logged.
    pub secret: [u8; SECRET_BYTES],
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credential").field("ticket_bytes", &self.ticket.len()).finish_non_exhaustive()
    }
}

impl Credential {
    /// Both values of a Welcome. None when there is neither, or one without the other or out of bounds: the home then dials as
    /// if nothing had been given, which always works.
    #[must_use]
    pub fn from_parts(ticket: Bytes, secret: &[u8]) -> Option<Self> {
        let fits = (1..=MAX_TICKET_BYTES).contains(&ticket.len());
        let secret = secret.try_into().ok()?;
        fits.then_some(Self { ticket, secret })
    }

    /// The value of `Authorization`.
    #[must_use]
    pub fn authorization(&self) -> String {
        format!("{SCHEME} {}", URL_SAFE_NO_PAD.encode(&self.ticket))
    }

    /// The value of [`PROOF_HEADER`] for a dial-in at `url`. `nonce` is the relay's, as for a DPoP proof; `id` is random text
    /// without a dot (at least 96 bits), never used again.
    #[must_use]
    pub fn prove(&self, url: &str, nonce: &str, id: &str) -> String {
        let tag = hmac::sign(&self.key(), &proved(&self.ticket, url, nonce, id));
        format!("{nonce}.{id}.{}", URL_SAFE_NO_PAD.encode(tag))
    }

    /// Whether `proof` was made with this secret for this ticket and `url`. Its nonce and id are for the caller to judge.
    #[must_use]
    pub fn verifies(&self, proof: &Proof<'_>, url: &str) -> bool {
        hmac::verify(&self.key(), &proved(&self.ticket, url, proof.nonce, proof.id), &proof.tag).is_ok()
    }

    fn key(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &self.secret)
    }
}

/// A proof that was read and not verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proof<'a> {
    /// The relay's nonce that it was made for.
    pub nonce: &'a str,
    /// Not to be seen again while the nonce is accepted.
    pub id: &'a str,
    tag: [u8; 32],
}

impl<'a> Proof<'a> {
    /// Read the value of [`PROOF_HEADER`]. None when it is not `nonce.id.tag` within bounds.
    #[must_use]
    pub fn parse(value: &'a str) -> Option<Self> {
        let mut parts = value.rsplitn(3, '.');
        let (tag, id, nonce) = (parts.next()?, parts.next()?, parts.next()?);
        let bounded = (1..=MAX_PROOF_ID).contains(&id.len()) && nonce.len() <= super::frame::MAX_NONCE;
        let mut decoded = [0; 32];
        let whole = URL_SAFE_NO_PAD.decode_slice(tag, &mut decoded).is_ok_and(|length| length == decoded.len());
        (bounded && whole).then_some(Self { nonce, id, tag: decoded })
    }
}

/// The ticket in the value of `Authorization`. None when that has another scheme, or no ticket within bounds.
#[must_use]
pub fn ticket(authorization: &str) -> Option<Bytes> {
    let (scheme, text) = authorization.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case(SCHEME) || text.len() > MAX_TICKET_BYTES.div_ceil(3) * 4 {
        return None;
    }
    let ticket = URL_SAFE_NO_PAD.decode(text).ok()?;
    (1..=MAX_TICKET_BYTES).contains(&ticket.len()).then(|| ticket.into())
}

/// Each part behind its length, so that the bytes have one reading only.
fn proved(ticket: &[u8], url: &str, nonce: &str, id: &str) -> Vec<u8> {
    let mut text = LABEL.to_vec();
    for part in [ticket, url.as_bytes(), nonce.as_bytes(), id.as_bytes()] {
        text.extend_from_slice(&(part.len() as u32).to_be_bytes());
        text.extend_from_slice(part);
    }
    text
}

const LABEL: &[u8] = b"macloud/link/resume/1\0";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const URL: &str = "https://relay.example/relay/v1/connect";

    fn credential() -> Credential {
        Credential { ticket: Bytes::from_static(b"ticket"), secret: [7; SECRET_BYTES] }
    }

    #[test]
    fn a_proof_holds_for_its_own_ticket_secret_and_url() {
        let value = credential().prove(URL, "a.nonce", "id");
        let proof = Proof::parse(&value).unwrap();
        assert_eq!((proof.nonce, proof.id), ("a.nonce", "id"));
        assert!(credential().verifies(&proof, URL));
        assert!(!credential().verifies(&proof, "https://evil.example/relay/v1/connect"));
        assert!(!Credential { secret: [8; 32], ..credential() }.verifies(&proof, URL));
        assert!(!Credential { ticket: Bytes::from_static(b"other"), ..credential() }.verifies(&proof, URL));
        for other in [Proof { nonce: "a", ..proof }, Proof { id: "ie", ..proof }, Proof { tag: [0; 32], ..proof }] {
            assert!(!credential().verifies(&other, URL));
        }
    }

    #[test]
    fn the_hmac_is_the_documented_one() {
        // Computed from the text of PROTOCOL.md, section 1.1, with Python's hmac module.
        assert_eq!(credential().prove("https://r/c", "n", "i"), "n.i.Jdtn5VAgFKtLEygFSE56febdizKDBvfyedEKAgqe894");
    }

    #[test]
    fn half_a_credential_is_none() {
        let ticket = Bytes::from_static(b"ticket");
        assert!(Credential::from_parts(ticket.clone(), &[7; 32]) == Some(credential()));
        assert_eq!(Credential::from_parts(ticket, &[7; 31]), None);
        assert_eq!(Credential::from_parts(Bytes::new(), &[7; 32]), None);
        assert_eq!(Credential::from_parts(vec![0; MAX_TICKET_BYTES + 1].into(), &[7; 32]), None);
        assert!(!format!("{:?}", credential()).contains('7'), "a secret is never shown");
    }

    #[test]
    fn a_ticket_is_read_from_its_own_scheme_only() {
        let largest = Credential { ticket: vec![9; MAX_TICKET_BYTES].into(), ..credential() };
        for given in [credential(), largest] {
            assert_eq!(ticket(&given.authorization()), Some(given.ticket));
        }
        let longer = Credential { ticket: vec![9; MAX_TICKET_BYTES + 1].into(), ..credential() };
        assert_eq!(ticket(&longer.authorization()), None);
        for other in ["", "Resume", "Resume ", "Resume *", "DPoP dGlja2V0", "ResumedGlja2V0"] {
            assert_eq!(ticket(other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_read_was_written_so(text in "[ -~]{0,200}") {
            if let Some(proof) = Proof::parse(&text) {
                prop_assert_eq!(&text, &format!("{}.{}.{}", proof.nonce, proof.id, URL_SAFE_NO_PAD.encode(proof.tag)));
            }
            if let Some(read) = ticket(&text) {
                let tail = text.split_once(' ').map(|(_, tail)| tail);
                prop_assert_eq!(tail, Some(&*URL_SAFE_NO_PAD.encode(read)));
            }
        }

        #[test]
        fn no_changed_proof_holds(at in 0..200usize, to in "[ -~]") {
            let made = credential().prove(URL, "nonce", "identity");
            let at = at % made.len();
            let mut changed = made.clone();
            changed.replace_range(at..=at, &to);
            let holds = Proof::parse(&changed).is_some_and(|proof| credential().verifies(&proof, URL));
            prop_assert_eq!(holds, changed == made);
        }
    }
}
