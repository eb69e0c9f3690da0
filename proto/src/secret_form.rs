//! How the secrets look that the account service hands out: a prefix that people and secret scanners recognise, then
//! 256 random bits. Whoever takes one in checks its form first, so that what cannot be one costs no look-up.

/// What an access token begins with.
pub const ACCESS_TOKEN_PREFIX: &str = "mca_";

/// Characters of 32 bytes in base64url, without padding.
const RANDOM_CHARS: usize = 43;

/// Whether `text` has the form of a secret with this prefix.
#[must_use]
pub fn is_well_formed(prefix: &str, text: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(|random| {
        random.len() == RANDOM_CHARS && random.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_prefix_and_43_characters_of_base64url_are_a_secret() {
        let random = "AZaz09-_".repeat(5) + "abc";
        let token = format!("{ACCESS_TOKEN_PREFIX}{random}");
        assert!(is_well_formed(ACCESS_TOKEN_PREFIX, &token));
        assert!(is_well_formed("", &random));
        for wrong in [
            "",
            "mca_",
            &random,
            &token[..46],
            &format!("{token}x"),
            &token.replace('Z', "="),
            &token.replace('Z', "é"),
        ] {
            assert!(!is_well_formed(ACCESS_TOKEN_PREFIX, wrong), "{wrong:?}");
        }
        assert!(!is_well_formed("mcr_", &token));
    }
}
