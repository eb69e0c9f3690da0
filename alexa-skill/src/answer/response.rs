//! How the custom part wraps what it says.

use serde_json::{Value, json};

use crate::answer::speech::{Locale, Say};

/// The answer that says `say`.
#[must_use]
pub fn speaking(locale: Locale, say: &Say) -> Value {
    let spoken = locale.speak(say);
    let mut response = json!({"outputSpeech": ssml(&spoken.text), "shouldEndSession": spoken.question.is_none()});
    if let Some(question) = &spoken.question {
        response["reprompt"] = json!({"outputSpeech": ssml(question)});
    }
    if say.asks_to_link() {
        response["card"] = json!({"type": "LinkAccount"});
    }
    json!({"version": "1.0", "response": response})
}

/// The answer where nothing may be said.
#[must_use]
pub fn silence() -> Value {
    json!({"version": "1.0", "response": {}})
}

fn ssml(text: &str) -> Value {
    json!({"type": "SSML", "ssml": format!("<speak>{text}</speak>")})
}
