//! The frames of Music Assistant's WebSocket API, read tolerantly.
//!
//! Servers between API schema 28 and whatever is newest share the envelope and little else, so nothing here is refused
//! for an unknown field, value or event. What cannot be understood is [`Incoming::Unknown`] and is skipped.

use serde_json::{Value, json};

use super::fields::Fields;

/// The oldest API schema that can be served: before it, Music Assistant had no authentication.
pub const MIN_SCHEMA: u64 = 28;

/// What the server says first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// Stable per data directory. A different one means different players, whatever their names.
    pub server_id: String,
    /// For people only: development builds call themselves `0.0.0`.
    pub server_version: String,
    /// The API schema.
    pub schema: u64,
    /// Whether the owner has finished the set-up. Servers that do not say are taken to be set up.
    pub set_up: bool,
    /// Whether everything is loaded. Servers before schema 29 do not say and are taken to be running.
    pub running: bool,
}

/// An error code of Music Assistant. The text that comes with it is localised, so only the number is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorCode(pub i64);

impl ErrorCode {
    /// Not found.
    pub const NOT_FOUND: Self = Self(2);
    /// "Queue empty".
    pub const QUEUE_EMPTY: Self = Self(8);
    /// The player or provider cannot do that.
    pub const UNSUPPORTED: Self = Self(9);
    /// The player or queue is not available.
    pub const UNAVAILABLE: Self = Self(10);
    /// The player did not do it.
    pub const COMMAND_FAILED: Self = Self(11);
    /// No such command (in this version).
    pub const INVALID_COMMAND: Self = Self(12);
    /// The token's user may not do that.
    pub const FORBIDDEN: Self = Self(22);
    /// The set-up is not finished.
    pub const SET_UP_REQUIRED: Self = Self(503);

    /// Whether the token itself is refused: 20, 21 or 23.
    #[must_use]
    pub const fn refuses_token(self) -> bool {
        matches!(self.0, 20 | 21 | 23)
    }
}

/// One frame from the server.
#[derive(Debug, Clone, PartialEq)]
pub enum Incoming {
    /// The first frame.
    Hello(Hello),
    /// An answer, or a part of one.
    Reply {
        /// The id of the request.
        id: String,
        /// The result, or why not.
        result: Result<Value, ErrorCode>,
        /// More parts follow; the result is a list and so are they.
        partial: bool,
    },
    /// Something happened.
    Event {
        /// What.
        name: String,
        /// To what.
        object: Option<String>,
        /// The whole object as it is now, for those events that are about one.
        data: Value,
    },
    /// Nothing that is known here.
    Unknown,
}

/// Read one text frame.
#[must_use]
pub fn decode(text: &str) -> Incoming {
    serde_json::from_str(text).map_or(Incoming::Unknown, read)
}

fn read(mut value: Value) -> Incoming {
    let fields = Fields(&value);
    if let Some(id) = fields.text(&["message_id"]) {
        let partial = fields.flag(&["partial"]).unwrap_or(false);
        let result = match fields.0.get("error_code") {
            None | Some(Value::Null) => Ok(take(&mut value, "result")),
            Some(code) => Err(ErrorCode(code.as_i64().unwrap_or(999))),
        };
        return Incoming::Reply { id, result, partial };
    }
    if let Some(name) = fields.text(&["event"]) {
        let object = fields.text(&["object_id"]);
        return Incoming::Event { name, object, data: take(&mut value, "data") };
    }
    hello(fields).map_or(Incoming::Unknown, Incoming::Hello)
}

/// Read the hello, which is also the answer to `info`.
#[must_use]
pub fn hello(fields: Fields<'_>) -> Option<Hello> {
    Some(Hello {
        server_id: fields.text(&["server_id"])?,
        server_version: fields.text(&["server_version"]).unwrap_or_default(),
        schema: fields.0.get("schema_version")?.as_u64()?,
        set_up: fields.flag(&["onboard_done"]).unwrap_or(true),
        // One that is stopping still does everything, and was seen to take forty seconds over it, or for ever.
        running: fields.text(&["status"]).is_none_or(|status| !["starting", "stopped"].contains(&&*status)),
    })
}

fn take(value: &mut Value, key: &str) -> Value {
    value.get_mut(key).map(Value::take).unwrap_or_default()
}

/// Write a request. The server closes the connection on anything malformed, without a word.
#[must_use]
pub fn request(id: u64, command: &str, args: &Value) -> String {
    json!({ "message_id": id.to_string(), "command": command, "args": args }).to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hello_of_a_newer_server_is_understood() {
        let text = r#"{"server_id":"ab","server_version":"2.11","schema_version":77,"min_supported_schema_version":28,
            "internal_url":"http://x","status":"starting","has_remote_access":true,"onboard_done":true}"#;
        let Incoming::Hello(hello) = decode(text) else { panic!("not a hello") };
        assert_eq!((hello.schema, hello.running, hello.set_up), (77, false, true));
    }

    #[test]
    fn a_hello_without_status_is_of_a_running_server() {
        let Incoming::Hello(hello) = decode(r#"{"server_id":"ab","schema_version":28}"#) else { panic!("not a hello") };
        assert!(hello.running && hello.set_up);
    }

    #[test]
    fn replies_errors_and_events_are_told_apart() {
        let ok = decode(r#"{"message_id":"7","result":null,"partial":false}"#);
        assert_eq!(ok, Incoming::Reply { id: "7".into(), result: Ok(Value::Null), partial: false });
        let error = decode(r#"{"message_id":"7","error_code":23,"details":"Ungültiges Token"}"#);
        assert_eq!(error, Incoming::Reply { id: "7".into(), result: Err(ErrorCode(23)), partial: false });
        let strange = decode(r#"{"message_id":7,"error_code":"new-style"}"#);
        assert_eq!(strange, Incoming::Reply { id: "7".into(), result: Err(ErrorCode(999)), partial: false });
        let Incoming::Event { name, object, .. } = decode(r#"{"event":"spoken","object_id":null,"data":3}"#) else {
            panic!("not an event")
        };
        assert_eq!((name.as_str(), object), ("spoken", None));
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in ".{0,400}") {
            let _ = decode(&text);
        }

        #[test]
        fn mutated_frames_are_read_without_panic(at in 0usize..200, byte in 0u8..128) {
            let mut text = br#"{"message_id":"1","partial":true,"result":[{"player_id":"x","name":"K\u00fcche","volume_level":20}],"error_code":null}"#.to_vec();
            let at = at % text.len();
            text[at] = byte;
            if let Ok(text) = std::str::from_utf8(&text) {
                let _ = decode(text);
            }
        }
    }
}
