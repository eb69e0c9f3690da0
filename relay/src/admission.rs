//! Who may dial in. Everything is checked before anything is spent on the socket, the cheap checks first: a stale nonce
//! costs a hash, and only a proof made for a current nonce is worth verifying two signatures. A home that was let in with its
//! token may come again with a ticket of ours in its place: the same rules hold, without a signature.

use axum::http::{HeaderMap, header};
use bytes::Bytes;
use macloud_proto::dpop::{self, UnverifiedProof};
use macloud_proto::instance_token::{self, Claims, InstanceTokenError};
use macloud_proto::link::resumption as credentials;

pub(crate) mod dial_ins;
pub(crate) mod keys;
pub(crate) mod nonces;
pub(crate) mod replays;
pub(crate) mod resumption;
pub(crate) mod revoked;

use dial_ins::{DialIns, TooOften};
use keys::{KeysUnavailable, SigningKeys};
use nonces::Nonces;
use replays::{Replay, Replays};
use resumption::{Resumption, Ticket};
use revoked::Revoked;

/// Why a home is not admitted: what it may learn. Each is one HTTP answer, see `handshake`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No `Authorization: DPoP`, or more than one.
    NoToken,
    /// The proof needs a current nonce, which comes with the answer.
    Nonce,
    /// The proof does not hold, or was used before.
    Proof(&'static str),
    /// The token is not accepted: get another one.
    Token(&'static str),
    /// The home was unlinked since this one was made, or might have been.
    Revoked,
    /// This home dials in too often.
    TooOften,
    /// Not now: the account service is away and its keys are not known, or too much is going on.
    Unavailable(&'static str),
}

/// The checks and what they remember.
#[derive(Debug)]
pub(crate) struct Admission {
    pub(crate) nonces: Nonces,
    pub(crate) dial_ins: DialIns,
    pub(crate) replays: Replays,
    /// None where no tickets are given or taken.
    pub(crate) resumption: Option<Resumption>,
    pub(crate) keys: SigningKeys,
    pub(crate) revoked: Revoked,
    pub(crate) connect_urls: Vec<String>,
}

/// A home that may begin a session.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) claims: Claims,
    /// Only this installation of it may, if any is named: it dialled in with that one's ticket.
    pub(crate) installation: Option<[u8; 16]>,
}

/// Credentials that hold, and what makes this use of them different from any other.
struct Shown {
    admitted: Admitted,
    proving_key: [u8; 32],
    proof_id: String,
    nonce_period: u64,
}

impl Admission {
    /// Judge the headers of a dial-in at `unix_seconds`.
    pub(crate) async fn admit(&self, headers: &HeaderMap, unix_seconds: u64) -> Result<Admitted, Refusal> {
        let shown = match (ticket(headers), &self.resumption) {
            (Some(ticket), Some(resumption)) => self.check_ticket(resumption, ticket, headers)?,
            _ => self.check_token_and_proof(headers, unix_seconds).await?,
        };
        let claims = &shown.admitted.claims;
        // Before it takes room among the proofs of all homes.
        self.dial_ins.count(&claims.sub).map_err(|TooOften| Refusal::TooOften)?;
        // Only a proof that holds is worth remembering; two at once still find each other here.
        match self.replays.first_use(&shown.proving_key, &shown.proof_id, shown.nonce_period, self.nonces.period()) {
            Replay::First => {}
            Replay::Again => {
                self.dial_ins.take_back(&claims.sub);
                return Err(Refusal::Proof("the proof was used before"));
            }
            Replay::Full => return Err(Refusal::Unavailable("too many dial-ins")),
        }
        if self.revoked.refuses(&claims.sub, claims.iat, &claims.cnf.jkt) {
            return Err(Refusal::Revoked);
        }
        Ok(shown.admitted)
    }

    /// What Welcome gives a home for its next dial-in.
    pub(crate) fn credential(&self, claims: &Claims, install_id: [u8; 16]) -> Option<credentials::Credential> {
        self.resumption.as_ref()?.issue(claims, install_id)
    }

    fn check_ticket(&self, resumption: &Resumption, ticket: Bytes, headers: &HeaderMap) -> Result<Shown, Refusal> {
        let proof = single(headers, credentials::PROOF_HEADER).and_then(credentials::Proof::parse);
        let proof = proof.ok_or(Refusal::Proof("not a proof for a ticket"))?;
        let nonce_period = self.nonces.accepts(proof.nonce).ok_or(Refusal::Nonce)?;
        let ticket = resumption.open(ticket).ok_or(Refusal::Token("the ticket is not accepted: show the token"))?;
        let Ticket { claims, install_id, credential } = ticket;
        if !self.connect_urls.iter().any(|url| credential.verifies(&proof, url)) {
            return Err(Refusal::Proof("the proof is invalid"));
        }
        Ok(Shown {
            admitted: Admitted { claims, installation: Some(install_id) },
            proving_key: credential.secret,
            proof_id: proof.id.to_owned(),
            nonce_period,
        })
    }

    async fn check_token_and_proof(&self, headers: &HeaderMap, unix_seconds: u64) -> Result<Shown, Refusal> {
        let token = access_token(headers)?;
        let proof = single(headers, "dpop").ok_or(Refusal::Nonce)?;
        let proof = UnverifiedProof::parse(proof).map_err(|_| Refusal::Proof("not a DPoP proof"))?;
        // Before any signature is verified.
        let nonce_period = proof.nonce().and_then(|nonce| self.nonces.accepts(nonce)).ok_or(Refusal::Nonce)?;
        let claims = self.check_token(token, unix_seconds).await?;
        let proof = self.check_proof(&proof, token)?;
        if proof.thumbprint != claims.cnf.jkt {
            return Err(Refusal::Token("the token is bound to another key"));
        }
        Ok(Shown {
            admitted: Admitted { claims, installation: None },
            proving_key: proof.key,
            proof_id: proof.jti,
            nonce_period,
        })
    }

    async fn check_token(&self, token: &str, unix_seconds: u64) -> Result<Claims, Refusal> {
        let keys = self.keys.current().await.map_err(|KeysUnavailable| UNAVAILABLE)?;
        let verdict = instance_token::verify(token, &keys.set, &keys.issuer, unix_seconds);
        let verdict = match verdict {
            Err(InstanceTokenError::UnknownKey) => match self.keys.newer_than(&keys).await {
                Some(keys) => instance_token::verify(token, &keys.set, &keys.issuer, unix_seconds),
                None => verdict,
            },
            other => other,
        };
        verdict.map_err(|error| match error {
            InstanceTokenError::Expired => Refusal::Token("the token has expired"),
            InstanceTokenError::UnknownKey => Refusal::Token("the token names an unknown key"),
            InstanceTokenError::TooLong => Refusal::Token("the token lives for too long"),
            InstanceTokenError::Jose(_) | InstanceTokenError::NotOurs => Refusal::Token("the token is invalid"),
        })
    }

    /// The nonce is looked at again: it may have aged while keys were fetched.
    fn check_proof(&self, proof: &UnverifiedProof<'_>, token: &str) -> Result<dpop::Proof, Refusal> {
        let verify = |url: &String| {
            let request = dpop::Request { method: "GET", url, access_token: Some(token) };
            proof.verify(request, |nonce| self.nonces.accepts(nonce).is_some())
        };
        // Usually one URL; while a public name changes, two.
        let mut verdict = Err(dpop::DpopError::Request);
        for url in &self.connect_urls {
            verdict = verify(url);
            if !matches!(verdict, Err(dpop::DpopError::Request)) {
                break;
            }
        }
        verdict.map_err(|error| match error {
            dpop::DpopError::Nonce => Refusal::Nonce,
            dpop::DpopError::Request => Refusal::Proof("the proof was made for another URL"),
            dpop::DpopError::AccessToken => Refusal::Proof("the proof was made for another token"),
            dpop::DpopError::Jose(_) | dpop::DpopError::Header | dpop::DpopError::Jti => {
                Refusal::Proof("the proof is invalid")
            }
        })
    }
}

fn ticket(headers: &HeaderMap) -> Option<Bytes> {
    credentials::ticket(single(headers, header::AUTHORIZATION.as_str())?)
}

fn access_token(headers: &HeaderMap) -> Result<&str, Refusal> {
    let value = single(headers, header::AUTHORIZATION.as_str()).ok_or(Refusal::NoToken)?;
    let (scheme, token) = value.split_once(' ').ok_or(Refusal::NoToken)?;
    if scheme.eq_ignore_ascii_case("DPoP") { Ok(token.trim_start()) } else { Err(Refusal::NoToken) }
}

/// The header's value if it is there once: two of a kind are a smuggling attempt, not a choice.
fn single<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    if values.next().is_some() { None } else { value.to_str().ok() }
}

const UNAVAILABLE: Refusal = Refusal::Unavailable("the account service is unavailable");
