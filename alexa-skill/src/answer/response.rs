//! How the custom part wraps what it says.

use serde_json::{Value, json};

use crate::answer::speech::{Locale, Say};
use crate::conversation::Open;

/// The answer that says `say`; a question leaves `open` to the next turn.
#[must_use]
pub fn speaking(locale: Locale, say: &Say, open: Option<&Open>) -> Value {
    let spoken = locale.speak(say);
    let mut response = json!({"outputSpeech": ssml(&spoken.text), "shouldEndSession": spoken.question.is_none()});
    if let Some(question) = &spoken.question {
        response["reprompt"] = json!({"outputSpeech": ssml(question)});
    }
    if say.asks_to_link() {
        response["card"] = json!({"type": "LinkAccount"});
    }
    let mut envelope = json!({"version": "1.0", "response": response});
    if let Some(open) = open.filter(|_| spoken.question.is_some()) {
        envelope["sessionAttributes"] = open.to_attributes();
    }
    envelope
}

/// The answer where nothing may be said.
#[must_use]
pub fn silence() -> Value {
    json!({"version": "1.0", "response": {}})
}

fn ssml(text: &str) -> Value {
    json!({"type": "SSML", "ssml": format!("<speak>{text}</speak>")})
}
