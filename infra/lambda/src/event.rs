//! The answers that are made here, and whether what the skill backend says is one that Alexa could use.
//!
//! Each fault has one Alexa error, in [`Fault::error`] and [`Refusal::message`]. None is an authentication error: people
//! lose their link that way, and what goes wrong here says nothing against it.

use bytes::Bytes;
use ring::rand::{SecureRandom as _, SystemRandom};
use serde_json::{Value, json};

use crate::directive::{Kind, ReplyTo};

/// Why a directive was not passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Larger than Alexa ever sends.
    TooLarge,
    /// Not JSON, or JSON without a directive's header.
    NoDirective,
    /// Of another version than 3.
    OtherVersion,
}

/// Why there is no answer of the skill backend that could be handed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// No connection came about.
    Unreachable,
    /// There is a server, but it cannot prove that it is the right one.
    Untrusted,
    /// No whole answer in time.
    Late,
    /// The connection broke. What was asked may have been done.
    Broken,
    /// Another status than 200.
    Status {
        /// Which.
        status: u16,
        /// It says when to come again.
        retry_after: bool,
    },
    /// More than any answer is long.
    TooLarge,
    /// Not an event, or one that answers something else.
    NotAnAnswer,
}

/// An `ErrorResponse`'s type and message. Alexa may speak about the type; the message is for logs at Amazon: fixed text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlexaError {
    /// Alexa's name of it.
    pub kind: &'static str,
    /// For logs.
    pub message: &'static str,
}

impl Refusal {
    /// A short fixed word for logs.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::TooLarge => "directive_too_large",
            Self::NoDirective => "no_directive",
            Self::OtherVersion => "other_version",
        }
    }

    /// What Alexa is told.
    #[must_use]
    pub const fn error(self) -> AlexaError {
        let message = match self {
            Self::TooLarge => "A directive has at most 256 KiB.",
            Self::NoDirective => "The message has no directive with a header.",
            Self::OtherVersion => "payloadVersion must be 3.",
        };
        AlexaError { kind: "INVALID_DIRECTIVE", message }
    }
}

impl Fault {
    /// A short fixed word for logs.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Untrusted => "untrusted",
            Self::Late => "late",
            Self::Broken => "broken",
            Self::Status { .. } => "status",
            Self::TooLarge => "answer_too_large",
            Self::NotAnAnswer => "not_an_answer",
        }
    }

    /// What Alexa is told.
    #[must_use]
    pub const fn error(self) -> AlexaError {
        let (kind, message) = match self {
            Self::Unreachable => ("BRIDGE_UNREACHABLE", "The cloud cannot be reached."),
            Self::Untrusted => ("BRIDGE_UNREACHABLE", "The cloud could not prove that it is the right one."),
            Self::Late => ("BRIDGE_UNREACHABLE", "The cloud did not answer in time."),
            Self::Broken => ("BRIDGE_UNREACHABLE", "The connection to the cloud broke."),
            Self::Status { status: 413, .. } => ("INVALID_DIRECTIVE", "The cloud finds the directive too large."),
            Self::Status { status: 400 | 415 | 422, .. } => {
                ("INVALID_DIRECTIVE", "The cloud finds no directive in it.")
            }
            // The backend says this when too much is being answered at once, and a proxy when somebody set it a limit.
            Self::Status { status: 429, .. } | Self::Status { status: 503, retry_after: true } => {
                ("RATE_LIMIT_EXCEEDED", "The cloud has too much to do.")
            }
            // What a proxy says that has no backend, or one that does not answer.
            Self::Status { status: 502..=504, .. } => ("BRIDGE_UNREACHABLE", "The cloud is not there at the moment."),
            Self::Status { .. } => ("INTERNAL_ERROR", "The cloud failed."),
            Self::TooLarge | Self::NotAnAnswer => ("INTERNAL_ERROR", "The cloud's answer is none."),
        };
        AlexaError { kind, message }
    }
}

/// The event that says that nothing was done, or that nobody knows.
///
/// `Discover` gets an error as well, not an empty list: that would tell somebody with a house full of players that
/// there are none.
#[must_use]
pub fn failed(reply_to: &ReplyTo, error: AlexaError) -> Bytes {
    let AlexaError { mut kind, message } = error;
    let mut namespace = "Alexa";
    if reply_to.kind == Kind::AcceptGrant {
        // The only error that Alexa knows there.
        (namespace, kind) = ("Alexa.Authorization", "ACCEPT_GRANT_FAILED");
    }
    let mut event = json!({
        "header": {"namespace": namespace, "name": "ErrorResponse", "messageId": message_id(), "payloadVersion": "3"},
        "payload": {"type": kind, "message": message}
    });
    if let Some(token) = &reply_to.correlation_token {
        event["header"]["correlationToken"] = json!(token);
    }
    if let Some(id) = &reply_to.endpoint_id {
        event["endpoint"] = json!({"endpointId": id});
    }
    json!({"event": event}).to_string().into()
}

/// Whether it is an event that answers this directive. What it says is not looked at.
#[must_use]
pub fn answers(reply_to: &ReplyTo, body: &[u8]) -> bool {
    let Ok(message) = serde_json::from_slice::<Value>(body) else { return false };
    let header = &message["event"]["header"];
    let is_event = ["namespace", "name", "messageId"].iter().all(|name| header[name].is_string())
        && header["payloadVersion"] == "3"
        && message["event"]["payload"].is_object();
    // Were it another directive's answer, this would tell.
    is_event && header["correlationToken"].as_str() == reply_to.correlation_token.as_deref()
}

/// A random UUID (version 4).
fn message_id() -> String {
    let mut random = [0; 16];
    // Fails only where the system has no randomness; then there is no TLS either, and an id that is not random does no harm.
    let _ = SystemRandom::new().fill(&mut random);
    random[6] = random[6] & 0x0f | 0x40;
    random[8] = random[8] & 0x3f | 0x80;
    let hex: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATE: AlexaError = Fault::Late.error();

    fn value(event: &Bytes) -> Value {
        serde_json::from_slice(event).unwrap()
    }

    #[test]
    fn an_error_repeats_what_the_directive_had() {
        let reply_to = ReplyTo {
            kind: Kind::Other,
            correlation_token: Some("é+/= \"quoted\"\n".into()),
            endpoint_id: Some("home_player".into()),
        };
        let mut event = value(&failed(&reply_to, LATE));
        let id = event["event"]["header"]["messageId"].take();
        assert_eq!((id.as_str().unwrap().len(), id.as_str().unwrap().as_bytes()[14]), (36, b'4'));
        assert_eq!(
            event,
            json!({"event": {
                "header": {
                    "namespace": "Alexa", "name": "ErrorResponse", "messageId": null, "payloadVersion": "3",
                    "correlationToken": "é+/= \"quoted\"\n"
                },
                "endpoint": {"endpointId": "home_player"},
                "payload": {"type": "BRIDGE_UNREACHABLE", "message": "The cloud did not answer in time."}
            }})
        );
    }

    #[test]
    fn discovery_and_linking_fail_in_their_own_ways() {
        let event = value(&failed(&ReplyTo { kind: Kind::Discover, ..ReplyTo::default() }, LATE));
        assert_eq!(event["event"]["header"]["namespace"], "Alexa");
        assert_eq!(event["event"]["payload"]["type"], "BRIDGE_UNREACHABLE");
        assert_eq!((event["event"].get("endpoint"), event["event"]["header"].get("correlationToken")), (None, None));
        let event = value(&failed(&ReplyTo { kind: Kind::AcceptGrant, ..ReplyTo::default() }, LATE));
        assert_eq!(event["event"]["header"]["namespace"], "Alexa.Authorization");
        assert_eq!(event["event"]["payload"]["type"], "ACCEPT_GRANT_FAILED");
    }

    #[test]
    fn each_status_has_its_error_and_none_is_about_the_link() {
        let kind = |status, retry_after| Fault::Status { status, retry_after }.error().kind;
        assert_eq!(kind(503, true), "RATE_LIMIT_EXCEEDED");
        assert_eq!(kind(503, false), "BRIDGE_UNREACHABLE");
        assert_eq!(
            (kind(429, false), kind(502, false), kind(504, true)),
            ("RATE_LIMIT_EXCEEDED", "BRIDGE_UNREACHABLE", "BRIDGE_UNREACHABLE")
        );
        assert_eq!((kind(400, false), kind(413, false)), ("INVALID_DIRECTIVE", "INVALID_DIRECTIVE"));
        for status in [201, 204, 301, 302, 401, 403, 404, 405, 408, 500, 501, 505] {
            assert_eq!(kind(status, false), "INTERNAL_ERROR", "{status}");
        }
    }

    #[test]
    fn only_an_event_that_answers_the_directive_is_handed_on() {
        let reply_to = ReplyTo { correlation_token: Some("mine".into()), ..ReplyTo::default() };
        let good = json!({
            "context": {"properties": []},
            "event": {
                "header": {
                    "namespace": "Alexa", "name": "Response", "messageId": "m", "payloadVersion": "3",
                    "correlationToken": "mine"
                },
                "endpoint": {"endpointId": "home_player"}, "payload": {}
            }
        });
        let answers = |event: &Value| answers(&reply_to, event.to_string().as_bytes());
        assert!(answers(&good));
        for (place, wrong) in [
            ("/event/header/namespace", json!(null)),
            ("/event/header/name", json!(3)),
            ("/event/header/messageId", json!({})),
            ("/event/header/payloadVersion", json!(3)),
            ("/event/header/correlationToken", json!("another's")),
            ("/event/header/correlationToken", json!(null)),
            ("/event/payload", json!([])),
            ("/event/header", json!("header")),
            ("/event", json!(null)),
        ] {
            let mut bad = good.clone();
            *bad.pointer_mut(place).unwrap() = wrong;
            assert!(!answers(&bad), "{place}");
        }
        assert!(!answers(&json!([good])) && !answers(&json!({"error": "overloaded"})) && !answers(&json!(null)));
        for text in ["", "<html>", "{", "\u{0}"] {
            assert!(!super::answers(&reply_to, text.as_bytes()), "{text}");
        }
        let discover = ReplyTo { kind: Kind::Discover, ..ReplyTo::default() };
        assert!(!super::answers(&discover, good.to_string().as_bytes()), "such an answer carries no token");
    }
}
