//! The second step of signing in: codes of an authenticator app (RFC 6238) and recovery codes, as pure functions.
//!
//! What every app understands and no other setting: SHA-1, six digits, thirty seconds. The hash is no weakness here: what
//! is guessed is a number of six digits, and tries are limited.

use macloud_proto::ids::base32;
use macloud_service_kit::random;
use ring::hmac;

use crate::form::encode;

/// A fresh secret for an app: as long as the hash that uses it.
pub(crate) fn new_secret() -> [u8; 20] {
    random::bytes()
}

/// The step whose code was typed: the current one or one of its neighbours, for clocks that are a little off.
pub(crate) fn matching_step(secret: &[u8], typed: &str, now: i64) -> Option<i64> {
    let typed = digits(typed)?;
    let current = now.div_euclid(STEP_SECONDS);
    [current, current - 1, current + 1].into_iter().find(|step| code(secret, *step) == typed)
}

/// What an app shows as six digits in this step.
pub(crate) fn code(secret: &[u8], step: i64) -> u32 {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let tag = tag.as_ref();
    let at = usize::from(tag[19] & 0x0f);
    let four = [tag[at] & 0x7f, tag[at + 1], tag[at + 2], tag[at + 3]];
    u32::from_be_bytes(four) % 1_000_000
}

/// Six digits, as people type them.
fn digits(typed: &str) -> Option<u32> {
    let typed: String = typed.chars().filter(|c| !c.is_whitespace()).collect();
    let plain = typed.len() == 6 && typed.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| typed.parse().ok()).flatten()
}

/// The secret as apps and people read it: base32 of RFC 4648, in groups of four.
pub(crate) fn secret_text(secret: &[u8; 20]) -> String {
    let letters = rfc_base32(secret);
    letters.as_bytes().chunks(4).map(|group| String::from_utf8_lossy(group)).collect::<Vec<_>>().join(" ")
}

/// What the QR code says to the app.
pub(crate) fn app_link(email: &str, secret: &[u8; 20]) -> String {
    format!("otpauth://totp/MA%20Cloud:{}?secret={}&issuer=MA%20Cloud", encode(email), rfc_base32(secret))
}

fn rfc_base32(bytes: &[u8; 20]) -> String {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let fives = bytes.chunks(5).flat_map(|five| {
        let number = five.iter().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
        (0..8).rev().map(move |place| char::from(LETTERS[(number >> (5 * place) & 31) as usize]))
    });
    fives.collect()
}

/// Ten fresh recovery codes of fifty random bits, such as `3xk0f-9a2bq`.
pub(crate) fn new_recovery_codes() -> Vec<String> {
    let code = |_| {
        let letters = base32(&random::bytes::<7>());
        format!("{}-{}", &letters[..5], &letters[5..10])
    };
    (0..10).map(code).collect()
}

/// A recovery code as people may type it, as it is looked up. `None` when it cannot be one.
pub(crate) fn normalise_recovery_code(typed: &str) -> Option<String> {
    if typed.len() > 64 {
        return None;
    }
    let letters = typed.chars().filter(|c| !c.is_whitespace() && *c != '-').collect::<String>().to_ascii_lowercase();
    (letters.len() == 10 && letters.bytes().all(|b| b.is_ascii_alphanumeric())).then_some(letters)
}

const STEP_SECONDS: i64 = 30;

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8; 20] = b"12345678901234567890";

    #[test]
    fn codes_are_those_of_rfc_6238() {
        for (time, expected) in
            [(59, 287_082), (1_111_111_109, 81_804), (1_234_567_890, 5_924), (20_000_000_000, 353_130)]
        {
            assert_eq!(code(SECRET, time / 30), expected);
        }
        assert_eq!(secret_text(SECRET), "GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ");
        assert!(app_link("a+b@c", SECRET).starts_with("otpauth://totp/MA%20Cloud:a%2Bb%40c?secret=GEZDGNBVGY3TQOJQ"));
    }

    #[test]
    fn a_clock_may_be_half_a_minute_off() {
        for (now, step) in [(59, Some(1)), (30, Some(1)), (89, Some(1)), (0, Some(1)), (90, None), (-1, None)] {
            assert_eq!(matching_step(SECRET, " 287 082", now), step, "{now}");
        }
        for wrong in ["", "28708", "2870820", "28708a", "+87082"] {
            assert_eq!(matching_step(SECRET, wrong, 59), None, "{wrong}");
        }
    }

    #[test]
    fn recovery_codes_are_read_as_people_type_them() {
        let codes = new_recovery_codes();
        assert_eq!(codes.len(), 10);
        let plain = normalise_recovery_code(&codes[0]).unwrap();
        assert_eq!(normalise_recovery_code(&format!(" {} ", codes[0].to_uppercase().replace('-', " "))), Some(plain));
        for wrong in ["", "abcde", "abcde-fghi!", &"a".repeat(65)] {
            assert_eq!(normalise_recovery_code(wrong), None);
        }
    }
}
