//! What an answer must repeat of its directive, and whether it is one to pass on.
//!
//! Only this much is read; what a directive asks is the skill backend's business.

use serde_json::{Map, Value};

use crate::event::Refusal;

/// Alexa's own limit for a message.
pub const MAX_BYTES: usize = 256 * 1024;

/// What an answer repeats of its directive. As little as nothing is known of what is no directive.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct ReplyTo {
    /// The form of the answer depends on it.
    pub kind: Kind,
    /// Opaque; goes back byte for byte. Answers to `AcceptGrant` and `Discover` carry none.
    pub correlation_token: Option<String>,
    /// The endpoint's id as it came, if it can stand in an event.
    pub endpoint_id: Option<String>,
}

/// Which directives are answered in a form of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// `Alexa.Authorization` `AcceptGrant`.
    AcceptGrant,
    /// `Alexa.Discovery` `Discover`.
    Discover,
    /// Whatever else.
    #[default]
    Other,
}

/// Read a directive. Never panics, whatever `body` holds.
///
/// # Errors
/// When no backend could do anything with it; with what the answer must repeat, as far as it can be told.
pub fn read(body: &[u8]) -> Result<ReplyTo, (ReplyTo, Refusal)> {
    let nothing = |refusal| (ReplyTo::default(), refusal);
    if body.len() > MAX_BYTES {
        return Err(nothing(Refusal::TooLarge));
    }
    let message: Value = serde_json::from_slice(body).map_err(|_| nothing(Refusal::NoDirective))?;
    let directive = object(&message, "directive").ok_or_else(|| nothing(Refusal::NoDirective))?;
    let header = directive.get("header").and_then(Value::as_object).ok_or_else(|| nothing(Refusal::NoDirective))?;
    let reply_to = reply_to(directive, header);
    match text(header, "payloadVersion") {
        Some("3") => Ok(reply_to),
        _ => Err((reply_to, Refusal::OtherVersion)),
    }
}

fn reply_to(directive: &Map<String, Value>, header: &Map<String, Value>) -> ReplyTo {
    let kind = match (text(header, "namespace"), text(header, "name")) {
        (Some("Alexa.Authorization"), Some("AcceptGrant")) => Kind::AcceptGrant,
        (Some("Alexa.Discovery"), Some("Discover")) => Kind::Discover,
        _ => Kind::Other,
    };
    if kind != Kind::Other {
        return ReplyTo { kind, ..ReplyTo::default() };
    }
    let token = text(header, "correlationToken").filter(|token| !token.is_empty());
    let endpoint = directive.get("endpoint").and_then(Value::as_object);
    let id = endpoint.and_then(|endpoint| text(endpoint, "endpointId")).filter(|id| can_be_repeated(id));
    ReplyTo { kind, correlation_token: token.map(str::to_owned), endpoint_id: id.map(str::to_owned) }
}

/// Amazon's own message schema: 1 to 256 of these characters. Repeating anything else would spoil the answer.
fn can_be_repeated(id: &str) -> bool {
    (1..=256).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-=#;:?@&".contains(&b))
}

fn object<'v>(parent: &'v Value, name: &str) -> Option<&'v Map<String, Value>> {
    parent.get(name).and_then(Value::as_object)
}

fn text<'v>(object: &'v Map<String, Value>, name: &str) -> Option<&'v str> {
    object.get(name).and_then(Value::as_str)
}

/// Without the token, which is Alexa's own.
impl std::fmt::Debug for ReplyTo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReplyTo").field("kind", &self.kind).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn directive(namespace: &str, name: &str) -> Value {
        json!({"directive": {
            "header": {
                "namespace": namespace, "name": name, "messageId": "m", "payloadVersion": "3",
                "correlationToken": "é+/= \"quoted\"\n"
            },
            "endpoint": {"endpointId": "home_player", "scope": {"type": "BearerToken", "token": "t"}},
            "payload": {}
        }})
    }

    fn read_value(message: &Value) -> Result<ReplyTo, (ReplyTo, Refusal)> {
        read(message.to_string().as_bytes())
    }

    #[test]
    fn what_an_answer_repeats_depends_on_the_directive() {
        let other = read_value(&directive("Alexa.Speaker", "SetVolume")).unwrap();
        assert_eq!(other.correlation_token.as_deref(), Some("é+/= \"quoted\"\n"));
        assert_eq!(other.endpoint_id.as_deref(), Some("home_player"));
        for (namespace, name, kind) in
            [("Alexa.Discovery", "Discover", Kind::Discover), ("Alexa.Authorization", "AcceptGrant", Kind::AcceptGrant)]
        {
            assert_eq!(read_value(&directive(namespace, name)), Ok(ReplyTo { kind, ..ReplyTo::default() }));
        }
    }

    #[test]
    fn what_cannot_stand_in_an_event_is_not_repeated() {
        let mut odd = directive("Alexa.Speaker", "SetVolume");
        for id in [json!(""), json!("with space.and dot"), json!("x".repeat(257)), json!(7), json!(null)] {
            odd["directive"]["endpoint"]["endpointId"] = id;
            assert_eq!(read_value(&odd).unwrap().endpoint_id, None);
        }
        for token in [json!(""), json!(7), json!(null), json!({})] {
            odd["directive"]["header"]["correlationToken"] = token;
            assert_eq!(read_value(&odd).unwrap().correlation_token, None);
        }
    }

    #[test]
    fn another_version_is_refused_and_answered_like_the_directive_it_is() {
        for version in [json!("2"), json!(3), json!("3.0"), json!(null)] {
            let mut old = directive("Alexa.Speaker", "SetVolume");
            old["directive"]["header"]["payloadVersion"] = version;
            let (reply_to, refusal) = read_value(&old).unwrap_err();
            assert_eq!((refusal, reply_to.endpoint_id.as_deref()), (Refusal::OtherVersion, Some("home_player")));
        }
    }

    #[test]
    fn what_is_no_directive_is_refused() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        for body in
            ["", "{", "[]", "null", "3", "{\"directive\":[]}", "{\"directive\":{\"header\":3}}", "\u{0}", deep.as_str()]
        {
            assert_eq!(read(body.as_bytes()), Err((ReplyTo::default(), Refusal::NoDirective)));
        }
        assert_eq!(read(b"\xff"), Err((ReplyTo::default(), Refusal::NoDirective)));
        let large = vec![b' '; MAX_BYTES + 1];
        assert_eq!(read(&large), Err((ReplyTo::default(), Refusal::TooLarge)));
        let mut padded = directive("Alexa.Speaker", "SetVolume").to_string().into_bytes();
        padded.resize(MAX_BYTES, b' ');
        assert!(read(&padded).is_ok(), "as large as it may be");
    }
}
