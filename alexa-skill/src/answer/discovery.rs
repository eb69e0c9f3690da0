//! The endpoints in the answer to `Discover`: players as Alexa may know them.
//!
//! Promises: the same homes and players give the same list in the same order; every name can be spoken and no two are
//! the same; one player that cannot be an endpoint is left out alone; never more than Alexa takes.

mod names;

use std::collections::HashSet;

use macloud_e2ee::vocabulary::{Player, PlayerKind, Repeat};
use serde_json::{Value, json};

use crate::directive::{Endpoint, REPEAT, REPEAT_MODES, SHUFFLE};
use crate::resolve::Home;

/// Alexa takes at most this many endpoints per customer.
pub const MAX_ENDPOINTS: usize = 300;

/// Longest friendly name by Amazon's message schema, in characters.
const MAX_NAME_CHARS: usize = 128;

/// The endpoints of all homes that answered.
#[must_use]
pub fn endpoints(mut homes: Vec<(Home, Vec<Player>)>, tells_changes: bool) -> Vec<Value> {
    homes.sort_by(|(a, _), (b, _)| a.instance.cmp(&b.instance));
    for (home, players) in &mut homes {
        players.sort_by(|a, b| a.key.cmp(&b.key));
        players.dedup_by(|a, b| a.key == b.key);
        players.retain(|player| {
            let has_name = speakable(&player.name).is_some();
            if !has_name {
                tracing::debug!(instance.id = %home.instance, player.key = %player.key, "player has no speakable name");
            }
            has_name
        });
    }
    let shares = shares(&homes.iter().map(|(_, players)| players.len()).collect::<Vec<_>>());
    let mut names = HashSet::new();
    let mut listed = Vec::new();
    for ((home, players), share) in homes.iter().zip(shares) {
        if players.len() > share {
            tracing::warn!(
                instance.id = %home.instance,
                players = players.len(),
                listed = share,
                limit = MAX_ENDPOINTS,
                "more players than Alexa takes; the rest is left out"
            );
        }
        for player in &players[..share] {
            let Some(name) = speakable(&player.name) else { continue };
            let name = distinct(name, &home.name, &names);
            names.insert(name.to_lowercase());
            let mut endpoint = endpoint(home, player, &name);
            if tells_changes {
                promise_changes(&mut endpoint);
            }
            listed.push(endpoint);
        }
    }
    listed
}

/// Alexa is told when any of its properties changes, as far as the home's owner lets it be told.
fn promise_changes(endpoint: &mut Value) {
    for capability in endpoint["capabilities"].as_array_mut().into_iter().flatten() {
        if let Some(properties) = capability.get_mut("properties") {
            properties["proactivelyReported"] = json!(true);
        }
    }
}

/// How many of each home's players are listed, so that all together are no more than Alexa takes: a small home is not
/// left out because of a large one.
fn shares(wanted: &[usize]) -> Vec<usize> {
    let mut shares = vec![0; wanted.len()];
    let mut by_size: Vec<usize> = (0..wanted.len()).collect();
    by_size.sort_by_key(|&home| wanted[home]);
    let mut left = MAX_ENDPOINTS;
    for (dealt, &home) in by_size.iter().enumerate() {
        let fair = left / (by_size.len() - dealt);
        shares[home] = wanted[home].min(fair);
        left -= shares[home];
    }
    shares
}

/// Letters, digits and single spaces: what Alexa can hear and say. `None` when nothing of it is left.
fn speakable(name: &str) -> Option<String> {
    // An apostrophe joins what it stands in ("Anna's" is heard as one word), and so do the marks without a width that
    // join or part letters in Persian and Indian scripts; everything else separates.
    let spaced: String = name
        .chars()
        .filter(|c| !matches!(c, '\'' | '’' | '\u{200c}' | '\u{200d}'))
        .map(|c| if c.is_alphanumeric() || is_mark(c) { c } else { ' ' })
        .collect();
    let words = spaced.split_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().any(char::is_alphanumeric).then(|| cut(&words, MAX_NAME_CHARS))
}

/// Combining marks belong to the letter before them: without them, names in many scripts are misspelt. Those that are
/// not letters by themselves to [`char::is_alphanumeric`], script by script.
const fn is_mark(c: char) -> bool {
    match c {
        // The scripts of India, each with 128 places in the same order: the dot below, and the sign that takes the
        // vowel away.
        '\u{900}'..='\u{d7f}' if matches!(c as u32 & 0x7f, 0x3c | 0x4d) => true,
        '\u{951}'..='\u{954}' | '\u{afa}'..='\u{aff}' | '\u{d3b}' | '\u{dca}' => true,
        // Latin, Greek, Cyrillic and whatever else takes accents.
        '\u{300}'..='\u{36f}' | '\u{483}'..='\u{487}' | '\u{1ab0}'..='\u{1abd}' | '\u{1abf}'..='\u{1ace}' => true,
        '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20dc}' | '\u{20e1}' | '\u{20e5}'..='\u{20f0}' => true,
        '\u{2cef}'..='\u{2cf1}' | '\u{2d7f}' | '\u{a66f}' | '\u{a67c}' | '\u{a67d}' | '\u{fe20}'..='\u{fe2f}' => true,
        // Hebrew, Arabic, Syriac, Thaana, N'Ko, Samaritan, Mandaic.
        '\u{591}'..='\u{5bd}' | '\u{5bf}' | '\u{5c1}' | '\u{5c2}' | '\u{5c4}' | '\u{5c5}' | '\u{5c7}' => true,
        '\u{610}'..='\u{61a}' | '\u{64b}'..='\u{65f}' | '\u{670}' | '\u{6d6}'..='\u{6dc}' => true,
        '\u{6df}'..='\u{6e4}' | '\u{6e7}' | '\u{6e8}' | '\u{6ea}'..='\u{6ed}' | '\u{711}' => true,
        '\u{730}'..='\u{74a}' | '\u{7a6}'..='\u{7b0}' | '\u{7eb}'..='\u{7f3}' | '\u{7fd}' => true,
        '\u{816}'..='\u{82d}' | '\u{859}'..='\u{85b}' | '\u{897}'..='\u{89f}' | '\u{8ca}'..='\u{8e1}' => true,
        '\u{8e3}'..='\u{8ff}' => true,
        // Thai, Lao, Tibetan, Burmese, Khmer.
        '\u{e38}'..='\u{e3a}' | '\u{e47}'..='\u{e4e}' | '\u{eb8}'..='\u{ebc}' | '\u{ec8}'..='\u{ece}' => true,
        '\u{f18}' | '\u{f19}' | '\u{f35}' | '\u{f37}' | '\u{f39}' | '\u{f71}'..='\u{f84}' => true,
        '\u{f86}' | '\u{f87}' | '\u{fc6}' | '\u{1037}' | '\u{1039}' | '\u{103a}' | '\u{108d}' => true,
        '\u{135d}'..='\u{135f}' | '\u{1714}' | '\u{1734}' | '\u{17c9}'..='\u{17d3}' | '\u{17dd}' => true,
        // Balinese, Sundanese, Javanese and neighbours.
        '\u{1a60}' | '\u{1a75}'..='\u{1a7c}' | '\u{1a7f}' | '\u{1b34}' | '\u{1b44}' | '\u{1b6b}'..='\u{1b73}' => true,
        '\u{1baa}' | '\u{1bab}' | '\u{1be6}' | '\u{1bf2}' | '\u{1bf3}' | '\u{1c37}' | '\u{1cd0}'..='\u{1cd2}' => true,
        '\u{a806}' | '\u{a8c4}' | '\u{a8e0}'..='\u{a8f1}' | '\u{a92b}'..='\u{a92d}' | '\u{a953}' => true,
        '\u{a9b3}' | '\u{a9c0}' | '\u{aabf}' | '\u{aac1}' | '\u{aaf6}' | '\u{abec}' | '\u{abed}' => true,
        // Chinese tones and Japanese voicing.
        '\u{302a}'..='\u{302f}' | '\u{3099}' | '\u{309a}' => true,
        _ => false,
    }
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
    if player.can.order {
        all.extend(order());
    }
    all.push(reporting("Alexa.EndpointHealth", &["connectivity"]));
    all
}

/// "Turn on shuffle on the kitchen", "set repeat to one song on the kitchen".
fn order() -> [Value; 2] {
    let mut shuffle = reporting("Alexa.ToggleController", &["toggleState"]);
    shuffle["instance"] = json!(SHUFFLE);
    shuffle["capabilityResources"] = names::resources(&names::SHUFFLE);
    let mut repeat = reporting("Alexa.ModeController", &["mode"]);
    repeat["instance"] = json!(REPEAT);
    repeat["capabilityResources"] = names::resources(&names::REPEAT);
    let modes = REPEAT_MODES.map(|(repeat, value)| {
        let words = match repeat {
            Repeat::Off => &names::REPEAT_OFF,
            Repeat::One => &names::REPEAT_ONE,
            Repeat::All => &names::REPEAT_ALL,
        };
        json!({"value": value, "modeResources": names::resources(words)})
    });
    repeat["configuration"] = json!({"ordered": false, "supportedModes": modes});
    [shuffle, repeat]
}

/// Alexa may ask for these at any time; while events are off it is not told of changes, so that no state leaves a home unasked.
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
        for whole in [
            "रसोई",
            "क्लब",
            "சமையலறை",
            "వంటగది",
            "ห้องครัว",
            "ຫ້ອງຄົວ",
            "מִטְבָּח",
            "مَطبخ",
            "မီးဖိုချောင်",
            "ផ្ទះបាយ",
            "Cafe\u{301}",
            "が",
        ] {
            assert_eq!(speakable(whole).as_deref(), Some(whole));
        }
        assert_eq!(speakable("آشپز\u{200c}خانه").as_deref(), Some("آشپزخانه"));
        assert_eq!(speakable("घर। रसोई").as_deref(), Some("घर रसोई"), "a danda is no mark");
        assert_eq!(speakable("🎵 !!"), None);
        assert_eq!(speakable(&"x".repeat(500)).map(|name| name.len()), Some(128));
    }

    #[test]
    fn a_small_home_is_not_left_out_because_of_a_large_one() {
        assert_eq!(shares(&[]), [0; 0]);
        assert_eq!(shares(&[3, 200]), [3, 200]);
        assert_eq!(shares(&[400, 10]), [290, 10]);
        assert_eq!(shares(&[500, 100, 500]), [100, 100, 100]);
        assert_eq!(shares(&[150, 20, 400]), [140, 20, 140]);
        assert_eq!(shares(&[7; 100]).iter().sum::<usize>(), 300);
        assert_eq!(shares(&[1; 400]).iter().sum::<usize>(), 300);
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
