//! The envelopes and error codes of Music Assistant's API.
//!
//! Codes and texts are those of a recorded server (API schema 29). Clients should decide on the code alone, newer servers
//! translate the texts; we keep the recorded English so that transcripts can be compared.

use serde_json::{Value, json};

/// Music Assistant sends at most this many items of a streamed result in one frame.
pub(crate) const ITEMS_PER_FRAME: usize = 500;

/// An error answer: a number that clients decide on and a text for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) code: u16,
    pub(crate) details: String,
}

impl Failure {
    pub(crate) fn new(code: u16, details: impl Into<String>) -> Self {
        Self { code, details: details.into() }
    }

    /// An uncaught error inside the server: bad argument types, unknown keys, endless recursion.
    pub(crate) fn internal(details: impl Into<String>) -> Self {
        Self::new(code::INTERNAL, details)
    }

    /// What Python's `KeyError` looks like from outside: commands to queues that do not exist end here.
    pub(crate) fn missing_key(key: &str) -> Self {
        Self::internal(format!("'{key}'"))
    }

    pub(crate) fn argument(name: &str, class: &str) -> Self {
        Self::internal(format!("\"`{name}` of type `<class '{class}'>` is required.\""))
    }

    pub(crate) fn recursion() -> Self {
        Self::internal("maximum recursion depth exceeded")
    }

    pub(crate) fn player_command(details: impl Into<String>) -> Self {
        Self::new(code::PLAYER_COMMAND_FAILED, details)
    }

    pub(crate) fn unavailable(what: &str, id: &str) -> Self {
        Self::new(code::UNAVAILABLE, format!("{what} {id} is not available"))
    }

    pub(crate) fn invalid_command(details: impl Into<String>) -> Self {
        Self::new(code::INVALID_COMMAND, details)
    }

    pub(crate) fn forbidden(details: impl Into<String>) -> Self {
        Self::new(code::FORBIDDEN, details)
    }

    /// Inside `players/cmd/*` every error is reported as a failed player command, whatever it was.
    pub(crate) fn into_player_command(self) -> Self {
        match self.code {
            code::FORBIDDEN => self,
            code::INTERNAL if self.details.starts_with("\"`") => self,
            _ => Self::player_command(self.details),
        }
    }
}

/// The numbers of `error_code`.
pub(crate) mod code {
    pub(crate) const MEDIA_NOT_FOUND: u16 = 2;
    pub(crate) const INVALID_DATA: u16 = 3;
    pub(crate) const QUEUE_EMPTY: u16 = 8;
    pub(crate) const UNSUPPORTED: u16 = 9;
    pub(crate) const UNAVAILABLE: u16 = 10;
    pub(crate) const PLAYER_COMMAND_FAILED: u16 = 11;
    pub(crate) const INVALID_COMMAND: u16 = 12;
    pub(crate) const AUTHENTICATION_REQUIRED: u16 = 20;
    pub(crate) const AUTHENTICATION_FAILED: u16 = 21;
    pub(crate) const FORBIDDEN: u16 = 22;
    pub(crate) const INVALID_TOKEN: u16 = 23;
    pub(crate) const SETUP_REQUIRED: u16 = 503;
    pub(crate) const INTERNAL: u16 = 999;
}

/// What a command came to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answer {
    /// One value, `null` for nearly every action.
    Value(Value),
    /// A list that is sent in frames of [`ITEMS_PER_FRAME`], all but the last marked `partial`.
    Streamed(Vec<Value>),
}

impl Answer {
    pub(crate) fn null() -> Self {
        Self::Value(Value::Null)
    }

    /// The frames that carry this answer over a WebSocket.
    pub(crate) fn into_frames(self, message_id: &str) -> Vec<String> {
        match self {
            Self::Value(result) => vec![success(message_id, &result, false)],
            Self::Streamed(mut items) => {
                let mut frames = Vec::new();
                while items.len() > ITEMS_PER_FRAME {
                    let rest = items.split_off(ITEMS_PER_FRAME);
                    frames.push(success(message_id, &Value::Array(items), true));
                    items = rest;
                }
                frames.push(success(message_id, &Value::Array(items), false));
                frames
            }
        }
    }

    /// The body that carries this answer over HTTP: no envelope, no parts.
    pub(crate) fn into_body(self) -> Value {
        match self {
            Self::Value(value) => value,
            Self::Streamed(items) => Value::Array(items),
        }
    }
}

fn success(message_id: &str, result: &Value, partial: bool) -> String {
    json!({"message_id": message_id, "result": result, "partial": partial}).to_string()
}

/// The frame of a failed command.
pub(crate) fn error(message_id: &str, failure: &Failure) -> String {
    json!({"message_id": message_id, "error_code": failure.code, "details": failure.details}).to_string()
}

/// The frame of an event.
pub(crate) fn event(name: &str, object_id: Option<&str>, data: &Value) -> String {
    json!({"event": name, "object_id": object_id, "data": data}).to_string()
}

/// A request as it arrives. Without a string `message_id` there is nothing to answer to, and Music Assistant hangs up.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct Request {
    pub(crate) message_id: String,
    pub(crate) command: String,
    #[serde(default)]
    pub(crate) args: Option<serde_json::Map<String, Value>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_go_out_in_partial_frames() {
        let frames = Answer::Streamed((0..1213).map(Value::from).collect()).into_frames("7");
        let parts: Vec<(bool, usize)> = frames
            .iter()
            .map(|frame| serde_json::from_str::<Value>(frame).unwrap())
            .map(|frame| (frame["partial"].as_bool().unwrap(), frame["result"].as_array().unwrap().len()))
            .collect();
        assert_eq!(parts, [(true, 500), (true, 500), (false, 213)]);
    }

    #[test]
    fn an_exact_multiple_still_ends_with_a_whole_last_frame() {
        let frames = Answer::Streamed((0..500).map(Value::from).collect()).into_frames("7");
        assert_eq!(frames.len(), 1);
        assert!(frames[0].contains("\"partial\":false"));
    }

    #[test]
    fn player_commands_hide_the_original_code_but_not_bad_arguments() {
        assert_eq!(Failure::recursion().into_player_command().code, 11);
        assert_eq!(Failure::argument("volume_level", "int").into_player_command().code, 999);
        assert_eq!(Failure::forbidden("no").into_player_command().code, 22);
    }
}
