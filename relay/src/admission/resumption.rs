//! Tickets with which a home that was let in may dial in again without signatures: what its token said, sealed for relays.
//! Nothing is remembered for them. Nodes that share the key of nonces take each other's.

use bytes::Bytes;
use macloud_proto::instance_token::{Claims, MAX_LIFE_SECONDS};
use macloud_proto::link::resumption::{Credential, SECRET_BYTES};
use macloud_service_kit::clock::SharedClock;
use macloud_service_kit::random;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;

use crate::config::NonceKey;

/// Seals and opens tickets. Each hour has a key of its own, derived from the nodes' shared one: a random nonce is safe for the
/// tickets of an hour.
pub(crate) struct Resumption {
    key: hmac::Key,
    clock: SharedClock,
}

impl std::fmt::Debug for Resumption {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Resumption")
    }
}

/// What a ticket says.
pub(crate) struct Ticket {
    /// Of the token that the home dialled in with.
    pub(crate) claims: Claims,
    /// Which installation it was given to.
    pub(crate) install_id: [u8; 16],
    /// The ticket itself, and the secret that goes with it.
    pub(crate) credential: Credential,
}

impl Resumption {
    /// With a `key` of its own (`None`), tickets are good at this node while the process lives.
    pub(crate) fn new(clock: SharedClock, key: Option<NonceKey>) -> Self {
        let key = key.map_or_else(random::bytes, |NonceKey(key)| key);
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, &key), clock }
    }

    /// For the home with this token, at this installation. None when the token ends now, or says more than a ticket may hold.
    pub(crate) fn issue(&self, claims: &Claims, install_id: [u8; 16]) -> Option<Credential> {
        if claims.exp <= self.unix_seconds() {
            return None;
        }
        let secret: [u8; SECRET_BYTES] = random::bytes();
        let hour = self.hour();
        let nonce: [u8; NONCE_LEN] = random::bytes();
        let mut sealed = [&secret[..], &install_id].concat();
        serde_json::to_writer(&mut sealed, claims).ok()?;
        let prefix = prefix(hour, nonce);
        let seal =
            self.of(hour).seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(prefix), &mut sealed);
        seal.ok()?;
        Credential::from_parts([&prefix[..], &sealed].concat().into(), &secret)
    }

    /// What a ticket of ours says, unless it has ended.
    pub(crate) fn open(&self, ticket: Bytes) -> Option<Ticket> {
        let (prefix, sealed) = ticket.split_first_chunk::<PREFIX_BYTES>()?;
        let (hour, nonce) = prefix.split_first_chunk::<8>()?;
        let hour = u64::from_be_bytes(*hour);
        // A token begun in the hour before may be in its time still; a node whose clock is ahead may have begun the next.
        let now = self.hour();
        if !(now.saturating_sub(1)..=now + 1).contains(&hour) {
            return None;
        }
        let (mut sealed, nonce) = (sealed.to_vec(), Nonce::try_assume_unique_for_key(nonce).ok()?);
        let opened = self.of(hour).open_in_place(nonce, Aad::from(*prefix), &mut sealed).ok()?;
        let (secret, rest) = opened.split_first_chunk::<SECRET_BYTES>()?;
        let (install_id, claims) = rest.split_first_chunk::<16>()?;
        let claims: Claims = serde_json::from_slice(claims).ok()?;
        let (secret, install_id) = (*secret, *install_id);
        let credential = Credential { ticket, secret };
        // Without the leeway that a token's end has: its holder can always dial in with the token.
        (self.unix_seconds() < claims.exp).then_some(Ticket { claims, install_id, credential })
    }

    fn of(&self, hour: u64) -> LessSafeKey {
        let mut text = LABEL.to_vec();
        text.extend_from_slice(&hour.to_be_bytes());
        let key = hmac::sign(&self.key, &text);
        LessSafeKey::new(
            UnboundKey::new(&CHACHA20_POLY1305, key.as_ref()).expect("HMAC-SHA256 gives the 32 bytes of a key"),
        )
    }

    fn hour(&self) -> u64 {
        self.unix_seconds() / MAX_LIFE_SECONDS
    }

    fn unix_seconds(&self) -> u64 {
        self.clock.unix_millis() / 1000
    }
}

/// What stands before the sealed part, and is bound to it.
fn prefix(hour: u64, nonce: [u8; NONCE_LEN]) -> [u8; PREFIX_BYTES] {
    let mut prefix = [0; PREFIX_BYTES];
    prefix[..8].copy_from_slice(&hour.to_be_bytes());
    prefix[8..].copy_from_slice(&nonce);
    prefix
}

const PREFIX_BYTES: usize = 8 + NONCE_LEN;
const LABEL: &[u8] = b"macloud/relay/resumption/1\0";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use macloud_proto::ids::InstanceId;
    use macloud_proto::instance_token::{Confirmation, Limits, RELAY_AUDIENCE};
    use macloud_service_kit::clock::ManualClock;

    use super::*;

    const KEY: Option<NonceKey> = Some(NonceKey([7; 32]));

    fn claims(exp: u64) -> Claims {
        let home = InstanceId::from_bytes(&[1; 16]);
        Claims {
            iss: "https://cloud.example".into(),
            aud: RELAY_AUDIENCE.into(),
            sub: home.clone(),
            client_id: home,
            iat: exp - 900,
            exp,
            jti: "t".into(),
            cnf: Confirmation { jkt: "k".repeat(43) },
            limits: Limits { commands_per_minute: 60, day: None },
            paused: false,
        }
    }

    #[test]
    fn a_ticket_says_what_the_token_said_until_the_token_ends() {
        let clock = ManualClock::at(1_000);
        let resumption = Resumption::new(clock.clone(), KEY);
        let given = resumption.issue(&claims(1900), [2; 16]).unwrap();
        let another_node = Resumption::new(clock.clone(), KEY);
        let ticket = another_node.open(given.ticket.clone()).unwrap();
        assert_eq!((ticket.claims, ticket.install_id), (claims(1900), [2; 16]));
        assert!(ticket.credential == given);
        clock.advance(Duration::from_secs(899));
        assert!(resumption.open(given.ticket.clone()).is_some());
        clock.advance(Duration::from_secs(1));
        assert!(resumption.open(given.ticket).is_none());
        assert!(resumption.issue(&claims(1900), [2; 16]).is_none());
    }

    #[test]
    fn a_token_that_spans_two_hours_has_its_ticket_all_the_time() {
        let clock = ManualClock::at(3_599);
        let resumption = Resumption::new(clock.clone(), KEY);
        let given = resumption.issue(&claims(3599 + 3600), [2; 16]).unwrap();
        clock.advance(Duration::from_secs(3599));
        assert!(resumption.open(given.ticket).is_some());
    }

    #[test]
    fn tickets_of_another_key_and_changed_ones_are_nothing() {
        let clock = ManualClock::at(1_000);
        let resumption = Resumption::new(clock.clone(), KEY);
        let given = resumption.issue(&claims(1900), [2; 16]).unwrap().ticket;
        assert!(Resumption::new(clock.clone(), Some(NonceKey([8; 32]))).open(given.clone()).is_none(), "rotated");
        assert!(Resumption::new(clock, None).open(given.clone()).is_none());
        for at in 0..given.len() {
            let mut changed = given.to_vec();
            changed[at] ^= 1;
            assert!(resumption.open(changed.into()).is_none(), "byte {at}");
            assert!(resumption.open(given.slice(..at)).is_none(), "cut at {at}");
        }
    }
}
