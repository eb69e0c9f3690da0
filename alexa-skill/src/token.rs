//! An access token that Alexa sent: opaque, never shown, used to look up whom it speaks for.

use std::fmt;

use macloud_proto::secret_form::{ACCESS_TOKEN_PREFIX, is_well_formed};
use ring::digest::{SHA256, digest};

/// A bearer token of the form that ours have. Its `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessToken(Box<str>);

impl AccessToken {
    /// `text` if we could have made it. Whatever else strangers send never reaches the account service.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        is_well_formed(ACCESS_TOKEN_PREFIX, text).then(|| Self(text.into()))
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
