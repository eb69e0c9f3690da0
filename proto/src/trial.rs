//! A home asks for a trial: a sealed command that does nothing, sent to it the whole way and answered the whole way back.
//!
//! The home POSTs a statement, signed with its identity key, to the `trial_endpoint` of the cloud's description, which whoever
//! seals commands answers. That command grants itself no scope, so that no home may carry anything of it out: its sealed
//! refusal is the answer that was wanted. [`Outcome`] says so, and how long each hop took; it tells nothing of the home.

use serde::{Deserialize, Serialize};

use crate::ids::InstanceId;
use crate::jose::{Header, SigningKey, Unverified};

/// The longest statement, in bytes: one takes some 300.
pub const MAX_STATEMENT_LEN: usize = 1024;

/// The media type of a statement.
pub const STATEMENT_TYPE: &str = "application/jwt";

/// The trial came the whole way.
pub const OK: &str = "ok";

/// It came the whole way, to a home whose stop switch is pressed.
pub const STOPPED: &str = "stopped";

const TYP: &str = "macloud-trial+jwt";

const AUDIENCE: &str = "urn:macloud:trial";

/// A statement is good for so many seconds from when it was made, and the clock of who made it may be ahead by as many: more than
/// the minute that the account service lets a home's clock be wrong before it says so. Whoever sends one again within that time has
/// the home tried again, which does nothing, and not more often than it may ask itself.
const LIFE_SECONDS: u64 = 120;

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: InstanceId,
    aud: String,
    iat: u64,
}

/// Why a statement is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// Malformed, of another kind, or not signed by this home.
    #[error("not a home's statement that it wants to be tried")]
    NotOne,
    /// Made more than two minutes ago, or that much later than now. The `Date` of the answer tells the home what time it is.
    #[error("a statement of another time")]
    Age,
}

/// The statement that `home` wants to be tried, made at `now` (seconds since 1970 by the cloud's clock) with its identity `key`.
#[must_use]
pub fn ask(key: &SigningKey, home: &InstanceId, now: u64) -> String {
    let header = Header { typ: Some(TYP.into()), ..Header::default() };
    key.sign_jws(header, &Claims { iss: home.clone(), aud: AUDIENCE.into(), iat: now })
}

/// A statement whose signature has not been looked at.
#[must_use = "an unverified statement proves nothing"]
#[derive(Debug)]
pub struct Statement<'s> {
    home: InstanceId,
    statement: Unverified<'s>,
}

impl<'s> Statement<'s> {
    /// What costs nothing to find out, before anybody is asked for the home's key.
    ///
    /// # Errors
    /// [`StatementError`].
    pub fn parse(statement: &'s str, now: u64) -> Result<Self, StatementError> {
        let statement = Unverified::parse(statement).map_err(|_| StatementError::NotOne)?;
        let Claims { iss, aud, iat } = statement.peek().map_err(|_| StatementError::NotOne)?;
        if statement.header().typ.as_deref() != Some(TYP) || aud != AUDIENCE {
            return Err(StatementError::NotOne);
        }
        if now.abs_diff(iat) > LIFE_SECONDS {
            return Err(StatementError::Age);
        }
        Ok(Self { home: iss, statement })
    }

    /// The home that it says it is of: to find the key by, and for nothing else.
    #[must_use]
    pub const fn claimed_home(&self) -> &InstanceId {
        &self.home
    }

    /// The home that made it, whose identity key this is.
    ///
    /// # Errors
    /// [`StatementError::NotOne`] when another key made it.
    pub fn verify(self, identity: &[u8; 32]) -> Result<InstanceId, StatementError> {
        let Claims { iss, .. } = self.statement.verify(identity).map_err(|_| StatementError::NotOne)?;
        Ok(iss)
    }
}

/// What came of a trial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// [`OK`], [`STOPPED`], or the word for what went wrong.
    pub result: String,
    /// How long each hop took. Where the trial ended early, hops that it did not come to took no time.
    #[serde(default)]
    pub micros: Hops,
}

/// Times in microseconds. They do not overlap.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Hops {
    /// To find out whose statement it is.
    pub resolve: u64,
    /// To seal the command; with a session set up at the home, where there was none.
    pub seal: u64,
    /// On the command bus and in the relay.
    pub relay: u64,
    /// From the relay to the home and back.
    pub link: u64,
    /// In the home, as it says itself.
    pub home: u64,
    /// To open the sealed answer.
    pub open: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn key() -> SigningKey {
        SigningKey::from_seed(&[7; 32])
    }

    fn home() -> InstanceId {
        InstanceId::from_bytes(&[9; 16])
    }

    fn verdict(statement: &str, now: u64) -> Result<InstanceId, StatementError> {
        Statement::parse(statement, now)?.verify(key().public())
    }

    #[test]
    fn a_statement_is_good_for_two_minutes_and_by_its_home_only() {
        let statement = ask(&key(), &home(), NOW);
        assert!(statement.len() <= MAX_STATEMENT_LEN);
        for now in [NOW - 120, NOW, NOW + 120] {
            assert_eq!(verdict(&statement, now), Ok(home()));
        }
        for now in [0, NOW - 121, NOW + 121, u64::MAX] {
            assert_eq!(verdict(&statement, now), Err(StatementError::Age));
        }
        let forged = ask(&SigningKey::from_seed(&[8; 32]), &home(), NOW);
        assert_eq!(verdict(&forged, NOW), Err(StatementError::NotOne));
    }

    /// What the home signs for other ends must never pass as this, nor this as that.
    #[test]
    fn statements_of_another_kind_are_none() {
        let signed = |typ: &str, aud: &str| {
            let header = Header { typ: Some(typ.into()), ..Header::default() };
            key().sign_jws(header, &Claims { iss: home(), aud: aud.into(), iat: NOW })
        };
        assert_eq!(verdict(&signed(TYP, AUDIENCE), NOW), Ok(home()));
        for other in [
            signed("client-authentication+jwt", AUDIENCE),
            signed(TYP, "https://cloud.example"),
            "a.b.c".to_owned(),
            String::new(),
        ] {
            assert_eq!(verdict(&other, NOW), Err(StatementError::NotOne));
        }
    }

    /// An outcome of a newer cloud, with hops that are not known here, is read all the same.
    #[test]
    fn outcomes_grow() {
        let outcome: Outcome = serde_json::from_str(r#"{"result":"ok","micros":{"home":3,"moon":4},"why":1}"#).unwrap();
        assert_eq!(outcome, Outcome { result: OK.into(), micros: Hops { home: 3, ..Hops::default() } });
    }
}
