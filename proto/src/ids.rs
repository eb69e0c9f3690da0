//! Identifiers that cross process borders. Each type can only hold a well-formed one: parse at the border, pass inward.
//!
//! Text forms use Crockford's base32 in lower case (`0-9 a-z` without `i l o u`): safe in URLs, logs, Alexa endpoint
//! ids and file names, and free of the confusable letters when read aloud.

use std::fmt;
use std::str::FromStr;

use ring::digest::{SHA256, digest};

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Lower-case Crockford base32 without padding; the last character holds the remaining bits, left-aligned.
#[must_use]
pub fn base32(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(5) * 8);
    let (mut acc, mut bits) = (0u32, 0u32);
    for &byte in bytes {
        acc = acc << 8 | u32::from(byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            out.push(char::from(ALPHABET[(acc >> bits & 31) as usize]));
        }
    }
    if bits > 0 {
        out.push(char::from(ALPHABET[(acc << (5 - bits) & 31) as usize]));
    }
    out
}

/// Why a text is not the identifier it should be. Never repeats the text: it may be anything a stranger sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {what}: expected {expected}")]
pub struct InvalidId {
    what: &'static str,
    expected: &'static str,
}

fn check_base32(text: &str, len: usize, what: &'static str, expected: &'static str) -> Result<(), InvalidId> {
    if text.len() == len && text.bytes().all(|b| ALPHABET.contains(&b)) {
        Ok(())
    } else {
        Err(InvalidId { what, expected })
    }
}

macro_rules! base32_id {
    ($(#[$doc:meta])* $name:ident, $len:literal, $bytes:literal, $what:literal, $expected:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            /// Characters of the text form.
            pub const LEN: usize = $len;

            /// From random (or hashed) bytes that the caller supplies.
            #[must_use]
            pub fn from_bytes(bytes: &[u8; $bytes]) -> Self {
                Self(base32(bytes).into())
            }

            /// The text form.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                check_base32(text, $len, $what, $expected)?;
                Ok(Self(text.into()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

base32_id!(
    /// A home: one Music Assistant with its connector. Given by the account service at pairing; also the home's OAuth client id.
    InstanceId, 26, 16, "instance id", "26 characters of lower-case base32"
);
base32_id!(
    /// A player as the cloud knows it: a hash over MA's server id and player id, so that neither Amazon nor the relay
    /// learns a MAC address, and a rename changes nothing.
    PlayerKey, 24, 15, "player key", "24 characters of lower-case base32"
);
base32_id!(
    /// A favourite of a home as the cloud knows it: a hash over MA's server id and what the favourite is called, which
    /// outlives the ids that Music Assistant gives to what is in its library.
    PresetKey, 24, 15, "preset key", "24 characters of lower-case base32"
);
base32_id!(
    /// An account of a person.
    AccountId, 26, 16, "account id", "26 characters of lower-case base32"
);
base32_id!(
    /// One authorization that a person gave to one client; what "unlink" ends.
    GrantId, 26, 16, "grant id", "26 characters of lower-case base32"
);

impl PlayerKey {
    /// The key of MA player `player_id` on MA server `server_id`. Stable for as long as both are.
    #[must_use]
    pub fn derive(server_id: &str, player_id: &str) -> Self {
        let mut text = b"macloud/player/1\0".to_vec();
        text.extend_from_slice(server_id.as_bytes());
        text.push(0);
        text.extend_from_slice(player_id.as_bytes());
        let hash = digest(&SHA256, &text);
        let first: &[u8; 15] = hash.as_ref()[..15].try_into().expect("SHA-256 has 32 bytes");
        Self::from_bytes(first)
    }
}

impl PresetKey {
    /// The key of the favourite of this kind (in Music Assistant's word) and name on MA server `server_id`. The name is to be
    /// folded first, so that its spelling may change in small things.
    #[must_use]
    pub fn derive(server_id: &str, kind: &str, folded_name: &str) -> Self {
        let mut text = b"macloud/preset/1\0".to_vec();
        for part in [server_id, kind, folded_name] {
            text.extend_from_slice(part.as_bytes());
            text.push(0);
        }
        let hash = digest(&SHA256, &text);
        let first: &[u8; 15] = hash.as_ref()[..15].try_into().expect("SHA-256 has 32 bytes");
        Self::from_bytes(first)
    }
}

/// Identifies one command over its whole life, retries included.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CommandId([u8; 16]);

impl CommandId {
    /// From 16 random bytes that the caller supplies.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl TryFrom<&[u8]> for CommandId {
    type Error = InvalidId;
    fn try_from(bytes: &[u8]) -> Result<Self, InvalidId> {
        let bytes = bytes.try_into().map_err(|_| InvalidId { what: "command id", expected: "16 bytes" })?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base32(&self.0))
    }
}

impl fmt::Debug for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CommandId({self})")
    }
}

/// The short form of a home's identity key that a person compares at both ends: 80 bits of SHA-256 as
/// `xxxx-xxxx-xxxx-xxxx`. Finding a second key with the same one costs about 2^80 key generations.
#[must_use]
pub fn fingerprint(identity_key: &[u8; 32]) -> String {
    let mut text = b"macloud/fingerprint/1\0".to_vec();
    text.extend_from_slice(identity_key);
    let hash = digest(&SHA256, &text);
    let letters = base32(&hash.as_ref()[..10]);
    [&letters[..4], &letters[4..8], &letters[8..12], &letters[12..]].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base32_has_the_documented_length_and_alphabet() {
        assert_eq!(base32(&[0xff; 16]).len(), InstanceId::LEN);
        assert_eq!(base32(&[0; 15]).len(), PlayerKey::LEN);
        assert_eq!(base32(b"\x00\x44\x32\x14\xc7"), "01234567");
    }

    #[test]
    fn ids_refuse_what_they_cannot_be() {
        assert!("".parse::<InstanceId>().is_err());
        assert!("0123456789abcdefghjkmnpqrO".parse::<InstanceId>().is_err());
        assert!("0123456789ABCDEFGHJKMNPQRS".parse::<InstanceId>().is_err());
        assert!(CommandId::try_from(&[0u8; 15][..]).is_err());
        let id = InstanceId::from_bytes(&[7; 16]);
        assert_eq!(id.as_str().parse::<InstanceId>(), Ok(id));
    }

    #[test]
    fn player_keys_separate_server_and_player() {
        assert_ne!(PlayerKey::derive("a", "bc"), PlayerKey::derive("ab", "c"));
    }

    #[test]
    fn preset_keys_separate_server_kind_and_name() {
        let key = PresetKey::derive("a", "radio", "jazz");
        assert_eq!(key.as_str().parse(), Ok(key.clone()));
        for other in [("ar", "adio", "jazz"), ("a", "playlist", "jazz"), ("a", "radioj", "azz")] {
            assert_ne!(PresetKey::derive(other.0, other.1, other.2), key);
        }
    }

    #[test]
    fn fingerprint_is_four_groups_of_four() {
        let print = fingerprint(&[1; 32]);
        assert_eq!(print.split('-').map(str::len).collect::<Vec<_>>(), [4, 4, 4, 4]);
        assert_ne!(print, fingerprint(&[2; 32]));
    }
}
