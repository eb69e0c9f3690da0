//! The endpoints in the answer to `Discover`: players as Alexa may know them.
//!
//! Promises: the same homes and players give the same list in the same order; every name can be spoken and no two are
//! the same; one player that cannot be an endpoint is left out alone; never more than Alexa takes.

use std::collections::HashSet;

use macloud_e2ee::vocabulary::{Player, PlayerKind};
use serde_json::{Value, json};

use crate::directive::Endpoint;
use crate::resolve::Home;

/// Alexa takes at most this many endpoints per customer.
pub const MAX_ENDPOINTS: usize = 300;

/// Longest friendly name by Amazon's message schema, in characters.
const MAX_NAME_CHARS: usize = 128;

/// The endpoints of all homes that answered.
#[must_use]
pub fn endpoints(mut homes: Vec<(Home, Vec<Player>)>) -> Vec<Value> {
    homes.sort_by(|(a, _), (b, _)| a.instance.cmp(&b.instance));
    let mut names = HashSet::new();
    let mut listed = Vec::new();
    for (home, mut players) in homes {
        players.sort_by(|a, b| a.key.cmp(&b.key));
        players.dedup_by(|a, b| a.key == b.key);
        for player in &players {
            let Some(name) = speakable(&player.name) else {
                tracing::debug!(instance.id = %home.instance, player.key = %player.key, "player has no speakable name");
                continue;
            };
            let name = distinct(name, &home.name, &names);
            names.insert(name.to_lowercase());
            listed.push(endpoint(&home, player, &name));
        }
    }
    if listed.len() > MAX_ENDPOINTS {
        tracing::warn!(endpoints = listed.len(), limit = MAX_ENDPOINTS, "more players than Alexa takes; rest left out");
        listed.truncate(MAX_ENDPOINTS);
    }
    listed
}

/// Letters, digits and single spaces: what Alexa can hear and say. `None` when nothing of it is left.
fn speakable(name: &str) -> Option<String> {
    // An apostrophe joins what it stands in ("Anna's" is heard as one word); everything else separates.
    let spaced: String = name
        .chars()
        .filter(|c| !matches!(c, '\'' | '’'))
        .map(|c| if c.is_alphanumeric() || is_joined(c) { c } else { ' ' })
        .collect();
    let words = spaced.split_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().any(char::is_alphanumeric).then(|| cut(&words, MAX_NAME_CHARS))
}

/// Combining marks belong to the letter before them: without them, names in many scripts are misspelt.
const fn is_joined(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{900}'..='\u{903}' | '\u{93a}'..='\u{94f}' | '\u{3099}'..='\u{309a}')
}

/// `name`, or a longer one if it is taken: first with the home's name, then with a number.
fn distinct(name: String, home: &str, taken: &HashSet<String>) -> String {
    let is_free = |candidate: &String| !taken.contains(&candidate.to_lowercase());
    if is_free(&name) {
        return name;
    }
    let with_home = speakable(home).map(|home| with_suffix(&name, &home)).filter(is_free);
    let numbered = || (2..).map(|n: u32| with_suffix(&name, &n.to_string())).find(is_free);
    with_home.or_else(numbered).unwrap_or(name)
}

/// Both, with the name cut rather than what tells it apart.
fn with_suffix(name: &str, suffix: &str) -> String {
    let suffix = cut(suffix, MAX_NAME_CHARS / 2);
    let room = MAX_NAME_CHARS - 1 - suffix.chars().count();
    format!("{} {suffix}", cut(name, room).trim_end())
}

fn cut(text: &str, chars: usize) -> String {
    text.chars().take(chars).collect::<String>().trim_end().to_owned()
}

fn endpoint(home: &Home, player: &Player, name: &str) -> Value {
    let id = Endpoint { instance: home.instance.clone(), player: player.key.clone() };
    let maker = plain(player.manufacturer.as_deref(), 128).unwrap_or_else(|| "Music Assistant".into());
    let model = plain(player.model.as_deref(), 80);
    let description = match &model {
        Some(model) => cut(&format!("{maker} {model}, played by Music Assistant"), 128),
        None => "Music Assistant player".to_owned(),
    };
    let mut attributes = json!({"manufacturer": maker});
    if let Some(model) = model {
        attributes["model"] = json!(model);
    }
    json!({
        "endpointId": id.to_string(),
        "friendlyName": name,
        "manufacturerName": maker,
        "description": description,
        "displayCategories": categories(player.kind),
        "additionalAttributes": attributes,
        "capabilities": capabilities(player)
    })
}

/// Printable, trimmed, bounded; `None` when nothing is left.
fn plain(text: Option<&str>, chars: usize) -> Option<String> {
    let printable: String = text?.chars().filter(|c| !c.is_control()).collect();
    let text = cut(printable.trim(), chars);
    (!text.is_empty()).then_some(text)
}

const fn categories(kind: PlayerKind) -> &'static [&'static str] {
    match kind {
        PlayerKind::Speaker | PlayerKind::StereoPair => &["SPEAKER"],
        PlayerKind::Group => &["SPEAKER", "MUSIC_SYSTEM"],
    }
}

fn capabilities(player: &Player) -> Vec<Value> {
    let mut all = vec![
        json!({"type": "AlexaInterface", "interface": "Alexa", "version": "3"}),
        reporting("Alexa.PowerController", &["powerState"]),
    ];
    if player.can.volume {
        let properties: &[&str] = if player.can.mute { &["volume", "muted"] } else { &["volume"] };
        all.push(reporting("Alexa.Speaker", properties));
    }
    all.push(json!({
        "type": "AlexaInterface", "interface": "Alexa.PlaybackController", "version": "3",
        "supportedOperations": ["Play", "Pause", "Stop", "Next", "Previous", "StartOver", "FastForward", "Rewind"]
    }));
    all.push(reporting("Alexa.PlaybackStateReporter", &["playbackState"]));
    all.push(reporting("Alexa.EndpointHealth", &["connectivity"]));
    all
}

/// Alexa may ask for these at any time; it is not told of changes, so that no state leaves a home unasked.
fn reporting(interface: &str, properties: &[&str]) -> Value {
    let supported: Vec<Value> = properties.iter().map(|name| json!({"name": name})).collect();
    json!({
        "type": "AlexaInterface", "interface": interface, "version": "3",
        "properties": {"supported": supported, "proactivelyReported": false, "retrievable": true}
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_letters_of_every_script_and_lose_the_rest() {
        assert_eq!(speakable("  Küche / Wohn-Zimmer!! ").as_deref(), Some("Küche Wohn Zimmer"));
        assert_eq!(speakable("Anna's 📻 radio").as_deref(), Some("Annas radio"));
        assert_eq!(speakable("お風呂").as_deref(), Some("お風呂"));
        assert_eq!(speakable("रसोई").as_deref(), Some("रसोई"));
        assert_eq!(speakable("🎵 !!"), None);
        assert_eq!(speakable(&"x".repeat(500)).map(|name| name.len()), Some(128));
    }

    #[test]
    fn taken_names_get_the_home_and_then_a_number() {
        let mut taken = HashSet::from(["kitchen".to_owned()]);
        assert_eq!(distinct("Kitchen".into(), "Cottage", &taken), "Kitchen Cottage");
        taken.insert("kitchen cottage".into());
        assert_eq!(distinct("Kitchen".into(), "Cottage", &taken), "Kitchen 2");
        assert_eq!(distinct("Kitchen".into(), "!!", &taken), "Kitchen 2");
        let long = "k".repeat(128);
        taken.insert(long.clone());
        assert_eq!(distinct(long, "!!", &taken).chars().count(), 128);
    }
}
