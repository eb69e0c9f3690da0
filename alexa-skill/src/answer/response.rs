//! How the custom part wraps what it says.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::answer::speech::{Locale, Say};
use crate::conversation::Open;

/// What goes with what is said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Besides {
    /// What is open, should it be a question.
    pub open: Option<Open>,
    /// What the way of this request is found again by: shown where it went wrong.
    pub code: Option<String>,
    /// Names that may be heard next, should it be a question.
    pub names: Names,
}

/// Names that Alexa is told for the rest of a conversation, so that it hears them right.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// Of players.
    pub players: Vec<String>,
    /// Of homes, where there are several.
    pub homes: Vec<String>,
}

/// The answer that says `say`; a question leaves what is open to the next turn.
#[must_use]
pub fn speaking(locale: Locale, say: &Say, besides: &Besides) -> Value {
    let spoken = locale.speak(say);
    let asks = spoken.question.is_some();
    let mut response = json!({"outputSpeech": ssml(&spoken.text), "shouldEndSession": !asks});
    if let Some(question) = &spoken.question {
        response["reprompt"] = json!({"outputSpeech": ssml(question)});
    }
    if say.asks_to_link() {
        response["card"] = json!({"type": "LinkAccount"});
    } else if say.is_worth_a_card() {
        let code = besides.code.as_ref().filter(|_| matches!(say, Say::Failed(_)));
        let code = code.map_or_else(String::new, |code| format!("\n\n{}: {code}", locale.code_word()));
        response["card"] = json!({"type": "Simple", "title": TITLE, "content": spoken.plain() + &code});
    }
    if let Some(directive) = besides.names.directive().filter(|_| asks) {
        response["directives"] = json!([directive]);
    }
    let mut envelope = json!({"version": "1.0", "response": response});
    if let Some(open) = besides.open.as_ref().filter(|_| asks) {
        envelope["sessionAttributes"] = open.to_attributes();
    }
    envelope
}

/// The answer where nothing may be said.
#[must_use]
pub fn silence() -> Value {
    json!({"version": "1.0", "response": {}})
}

impl Names {
    /// `None` without any names.
    fn directive(&self) -> Option<Value> {
        let mut room = MOST_NAMES;
        let types: Vec<Value> = [("HOME", &self.homes), ("PLAYER", &self.players)]
            .into_iter()
            .filter_map(|(kind, names)| {
                let values = values(names, room);
                room -= values.len();
                (!values.is_empty()).then(|| json!({"name": kind, "values": values}))
            })
            .collect();
        let directive = json!({"type": "Dialog.UpdateDynamicEntities", "updateBehavior": "REPLACE", "types": types});
        (!types.is_empty()).then_some(directive)
    }
}

fn values(names: &[String], most: usize) -> Vec<Value> {
    let mut seen = HashSet::new();
    let names = names.iter().map(|name| name.trim());
    let names = names.filter(|name| name.chars().any(char::is_alphanumeric) && name.chars().count() <= MOST_NAME_CHARS);
    let names = names.filter(|name| seen.insert(name.to_lowercase())).take(most);
    names.map(|name| json!({"name": {"value": name}})).collect()
}

fn ssml(text: &str) -> Value {
    json!({"type": "SSML", "ssml": format!("<speak>{text}</speak>")})
}

/// The product's name, which is in no language.
const TITLE: &str = "Music Assistant";
/// Alexa takes no more at once, of all types together.
const MOST_NAMES: usize = 100;
const MOST_NAME_CHARS: usize = 140;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Failure;
    use macloud_e2ee::vocabulary::Refusal;

    #[test]
    fn names_are_told_once_and_no_more_than_fit() {
        let many = |count: usize| (0..count).map(|n| format!("Room {n}")).collect::<Vec<_>>();
        let names =
            Names { players: many(300), homes: vec!["Home".into(), "home".into(), " ".into(), "x".repeat(141)] };
        let directive = names.directive().unwrap();
        assert_eq!(directive["types"][0], json!({"name": "HOME", "values": [{"name": {"value": "Home"}}]}));
        assert_eq!(directive["types"][1]["values"].as_array().unwrap().len(), 99);
        assert_eq!(Names::default().directive(), None);
        let besides = Besides { names, ..Besides::default() };
        assert_eq!(speaking(Locale::English, &Say::Welcome, &besides)["response"]["directives"], json!([directive]));
        let over = speaking(Locale::English, &Say::Goodbye, &besides);
        assert_eq!(over["response"].get("directives"), None, "nobody answers that");
    }

    #[test]
    fn a_card_says_what_went_wrong_and_how_to_find_it_again() {
        let besides = Besides { code: Some("7h3kq0aa".into()), ..Besides::default() };
        let failed = |failure| speaking(Locale::Spanish, &Say::Failed(failure), &besides)["response"]["card"].clone();
        let card = failed(Failure::Refused(Refusal::NothingPlays));
        assert_eq!((&card["type"], &card["title"]), (&json!("Simple"), &json!("Music Assistant")));
        assert_eq!(card["content"], "Ahí no suena nada. Pon música primero.\n\nCódigo: 7h3kq0aa");
        assert_eq!(failed(Failure::ScopeMissing), json!({"type": "LinkAccount"}), "there is room for one card");
        assert_eq!(speaking(Locale::Spanish, &Say::Done, &besides)["response"].get("card"), None);
        let help = speaking(Locale::English, &Say::Help(Vec::new()), &besides)["response"]["card"]["content"].clone();
        assert!(!help.as_str().unwrap().contains("7h3kq0aa"), "what worked needs no code");
    }
}
