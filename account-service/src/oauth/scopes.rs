//! Scopes: which there are, and what they mean in plain words.

use crate::words;
use macloud_proto::{SCOPE_CONTROL, SCOPE_READ};

/// Every scope a person can grant, in the order in which they are written.
const KNOWN: [&str; 6] = [SCOPE_READ, SCOPE_CONTROL, "openid", "email", "profile", "offline_access"];

pub(super) const fn known() -> &'static [&'static str] {
    &KNOWN
}

/// The scopes asked for that exist, in our order. Unknown ones are not granted, and are not an error (RFC 6749 section 3.3).
/// `None` when nothing is left.
pub(super) fn grantable(asked: &str) -> Option<String> {
    let asked: Vec<&str> = asked.split(' ').collect();
    let granted: Vec<&str> = KNOWN.into_iter().filter(|scope| asked.contains(scope)).collect();
    (!granted.is_empty()).then(|| granted.join(" "))
}

/// Whether every scope of `asked` is in `granted`.
pub(super) fn covers(granted: &str, asked: &str) -> bool {
    asked.split(' ').filter(|scope| !scope.is_empty()).all(|scope| contains(granted, scope))
}

pub(super) fn contains(scopes: &str, scope: &str) -> bool {
    scopes.split(' ').any(|other| other == scope)
}

/// What a list of scopes allows, a sentence each, for people.
pub(crate) fn explain(scopes: &str) -> Vec<String> {
    let sentence = |scope: &str| match scope {
        SCOPE_READ => Some("consent-scope-read"),
        SCOPE_CONTROL => Some("consent-scope-control"),
        "email" => Some("consent-scope-email"),
        // Being recognised and staying linked are what linking means; a line for each would only be noise.
        _ => None,
    };
    KNOWN.into_iter().filter(|scope| contains(scopes, scope)).filter_map(sentence).map(words::say).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_scopes_are_never_granted() {
        assert_eq!(grantable("admin music_assistant.control openid"), Some("music_assistant.control openid".into()));
        assert_eq!(grantable("admin"), None);
        assert_eq!(grantable(""), None);
    }

    #[test]
    fn narrowing_is_not_widening() {
        assert!(covers("a b", "b") && covers("a b", "") && !covers("a b", "c") && !covers("ab", "a"));
    }

    #[test]
    fn the_scopes_of_alexa_are_explained() {
        assert_eq!(explain("music_assistant.read music_assistant.control offline_access").len(), 2);
    }
}
