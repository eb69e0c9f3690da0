//! An access token that Alexa sent: opaque, never shown, used to look up whom it speaks for.

use std::fmt;

use ring::digest::{SHA256, digest};

/// Longest token that is looked up. Ours have 47 characters; anything far longer is none of ours.
const MAX_CHARS: usize = 1024;

/// An opaque bearer token. Its `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessToken(Box<str>);

impl AccessToken {
    /// `text` if it could be a token: not empty, not absurdly long, visible ASCII.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let plausible = !text.is_empty() && text.len() <= MAX_CHARS && text.bytes().all(|b| b.is_ascii_graphic());
        plausible.then(|| Self(text.into()))
    }

    /// The token itself, for the account service only.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What caches key on, so that no token lies about in memory longer than its directive.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        digest(&SHA256, self.0.as_bytes()).as_ref().try_into().expect("SHA-256 has 32 bytes")
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken(…)")
    }
}
