//! A home's public key, as a connector names it when it asks to be paired.
//!
//! Ed25519 has eight points of small order: with one of them as the public key, a signature that anybody can make up holds
//! for every eighth message wherever verification is no stricter than RFC 8032 asks, so such a home would be everybody's. And a key
//! that can be written in two ways would be two homes to us and one to mathematics. Both are refused at this door; an
//! honest key generator never makes either.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The key written as 43 characters of base64url, if it may be a home's.
pub(super) fn parse(text: &str) -> Option<[u8; 32]> {
    let key: [u8; 32] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
    is_honest(&key).then_some(key)
}

/// Whether an honest key generator could have made this key.
pub(crate) fn is_honest(key: &[u8; 32]) -> bool {
    // What is refused here is refused with either sign.
    let y = without_sign(*key);
    is_reduced(&y) && !SMALL_ORDER.contains(&y)
}

/// The highest bit is the sign of x.
fn without_sign(mut key: [u8; 32]) -> [u8; 32] {
    key[31] &= 0x7f;
    key
}

/// Whether `y` is below the field's prime, 2^255 - 19, in little-endian bytes.
fn is_reduced(y: &[u8; 32]) -> bool {
    y[31] != 0x7f || y[1..31].iter().any(|byte| *byte != 0xff) || y[0] < 0xed
}

/// The y coordinates of the eight points whose order divides the cofactor: 1, -1, 0, and the two of order eight.
const SMALL_ORDER: [[u8; 32]; 5] = [
    little(1),
    [
        0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f,
    ],
    little(0),
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf,
        0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20,
        0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
];

const fn little(number: u8) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[0] = number;
    bytes
}

#[cfg(test)]
mod tests {
    use macloud_proto::jose::{SigningKey, verify};
    use macloud_service_kit::random;
    use ring::signature::{ED25519, UnparsedPublicKey};

    use super::*;

    fn with_sign(mut y: [u8; 32]) -> [u8; 32] {
        y[31] |= 0x80;
        y
    }

    #[test]
    fn every_small_order_key_takes_forgeries_and_none_is_accepted() {
        let points: Vec<[u8; 32]> = SMALL_ORDER.into_iter().flat_map(|y| [y, with_sign(y)]).collect();
        for key in &points {
            // No private key exists: the signature is one of the points themselves, and zero. Which point fits depends on
            // the message, as a throw of the dice would.
            let tries = || {
                (0..50u8).flat_map(|message| points.iter().map(move |point| ([message], [*point, [0; 32]].concat())))
            };
            let lenient = UnparsedPublicKey::new(&ED25519, key);
            let forged = tries().any(|(message, signature)| lenient.verify(&message, &signature).is_ok());
            assert!(tries().all(|(message, signature)| verify(key, &message, &signature).is_err()), "ours is strict");
            // The points 1 and -1 have x = 0, which takes no sign.
            let is_point = key[31] & 0x80 == 0 || !SMALL_ORDER[..2].contains(&without_sign(*key));
            assert!(forged || !is_point, "the point would not be dangerous: a digit of it is wrong");
            assert_eq!(parse(&URL_SAFE_NO_PAD.encode(key)), None);
        }
    }

    #[test]
    fn a_key_has_one_spelling() {
        for least in 0xed..=0xff {
            let mut key = [0xff; 32];
            (key[0], key[31]) = (least, 0x7f);
            assert_eq!(parse(&URL_SAFE_NO_PAD.encode(key)), None, "{least:x}");
            assert_eq!(parse(&URL_SAFE_NO_PAD.encode(with_sign(key))), None, "{least:x}");
        }
        for text in ["", "AAAA", &"A".repeat(44), &"!".repeat(43)] {
            assert_eq!(parse(text), None);
        }
    }

    #[test]
    fn honest_keys_are_accepted() {
        for _ in 0..100 {
            let key = *SigningKey::from_seed(&random::bytes()).public();
            assert_eq!(parse(&URL_SAFE_NO_PAD.encode(key)), Some(key));
        }
    }
}
