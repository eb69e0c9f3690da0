//! What a player can, and what a favourite can, in Alexa's terms.
//!
//! Two interfaces stand for one volume on purpose: Alexa has `Speaker` in eleven of its locales only, and where it lacks it
//! (French, Portuguese, Hindi, Spanish in the United States) it has `PercentageController`. They say and do the same. Arabic has
//! neither, nor toggles, modes and ranges.

use macloud_e2ee::vocabulary::{MAX_SLEEP_MINUTES, Player, Repeat};
use macloud_proto::ids::PresetKey;
use serde_json::{Value, json};

use super::words::{self, Locale, Words};
use crate::directive::{AUTOPLAY, PRESET, REPEAT, REPEAT_MODES, SHUFFLE, SLEEP_TIMER, preset_mode};

/// How much is said of each player.
#[derive(Debug, Clone, Copy)]
pub(super) struct Detail {
    /// One of few fixed words.
    pub(super) label: &'static str,
    /// Where toggles, modes and ranges have names. Without any, there are none of them.
    pub(super) locales: &'static [Locale],
    /// How many favourites each player has as modes.
    pub(super) presets: usize,
    /// Who made it, how it stands and whether it can be reached, and not only what it can be told.
    pub(super) whole: bool,
}

/// A favourite as one of a player's modes.
pub(super) type PresetMode = (PresetKey, String);

/// Describes players.
#[derive(Clone, Copy)]
pub(super) struct Describer<'p> {
    pub(super) detail: Detail,
    /// The home's favourites.
    pub(super) presets: &'p [PresetMode],
    /// Alexa is told when a property changes, as far as the home's owner lets it be told.
    pub(super) tells_changes: bool,
}

impl Describer<'_> {
    pub(super) fn player(&self, player: &Player) -> Vec<Value> {
        let can = player.can;
        let mut all = vec![alexa(), self.reporting("Alexa.PowerController", &["powerState"])];
        if can.volume {
            let properties: &[&str] = if can.mute { &["volume", "muted"] } else { &["volume"] };
            all.push(self.reporting("Alexa.Speaker", properties));
        } else if can.steps {
            all.push(interface("Alexa.StepSpeaker"));
        }
        all.push(playback(self.detail.whole && can.seek));
        if self.detail.whole {
            all.push(self.reporting("Alexa.PlaybackStateReporter", &["playbackState"]));
            all.push(self.reporting("Alexa.EndpointHealth", &["connectivity"]));
            if can.volume {
                all.push(self.reporting("Alexa.PercentageController", &["percentage"]));
            }
        }
        if can.seek && self.detail.whole {
            all.push(reporting("Alexa.SeekController", &["positionMilliseconds"], Reported::Never));
        }
        if !self.detail.locales.is_empty() {
            self.named_controls(player, &mut all);
        }
        all
    }

    /// "Turn on shuffle on the kitchen", "set repeat to one song on the kitchen".
    fn named_controls(&self, player: &Player, all: &mut Vec<Value>) {
        let can = player.can;
        if can.order {
            all.push(self.toggle(SHUFFLE, &words::SHUFFLE));
            all.push(self.repeat());
        }
        if can.autoplay {
            all.push(self.toggle(AUTOPLAY, &words::AUTOPLAY));
        }
        if can.sleep {
            all.push(self.sleep_timer());
        }
        let presets = &self.presets[..self.presets.len().min(self.detail.presets)];
        if !presets.is_empty() {
            all.push(self.preset(presets));
        }
    }

    fn toggle(&self, instance: &str, words: &Words) -> Value {
        let toggle = self.reporting("Alexa.ToggleController", &["toggleState"]);
        self.named(toggle, instance, words)
    }

    fn repeat(&self) -> Value {
        let mode = self.reporting("Alexa.ModeController", &["mode"]);
        let mut mode = self.named(mode, REPEAT, &words::REPEAT);
        let modes = REPEAT_MODES.map(|(repeat, value)| {
            let words = match repeat {
                Repeat::Off => &words::REPEAT_OFF,
                Repeat::One => &words::REPEAT_ONE,
                Repeat::All => &words::REPEAT_ALL,
            };
            json!({"value": value, "modeResources": words::resources(words, self.detail.locales)})
        });
        mode["configuration"] = json!({"ordered": false, "supportedModes": modes});
        mode
    }

    /// Which one plays is known only while one does, so it cannot be asked for.
    fn preset(&self, presets: &[PresetMode]) -> Value {
        let mode = reporting("Alexa.ModeController", &["mode"], Reported::Never);
        let mut mode = self.named(mode, PRESET, &words::PRESET);
        let modes = presets.iter().map(|(key, name)| {
            let resources = words::same_everywhere(name, self.detail.locales);
            json!({"value": preset_mode(key), "modeResources": resources})
        });
        mode["configuration"] = json!({"ordered": false, "supportedModes": modes.collect::<Vec<_>>()});
        mode
    }

    /// In minutes: Alexa has no unit for that, so those that are set most are named. It counts down by itself, and Alexa is not
    /// told of every minute.
    fn sleep_timer(&self) -> Value {
        let range = reporting("Alexa.RangeController", &["rangeValue"], Reported::WhenAsked);
        let mut range = self.named(range, SLEEP_TIMER, &words::SLEEP_TIMER);
        let named = [(0, words::SLEEP_OFF), (15, words::SLEEP_15), (30, words::SLEEP_30), (60, words::SLEEP_60)];
        let presets = named.map(|(minutes, names)| {
            json!({"rangeValue": minutes, "presetResources": words::resources(&names, self.detail.locales)})
        });
        range["configuration"] = json!({
            "supportedRange": {"minimumValue": 0, "maximumValue": MAX_SLEEP_MINUTES, "precision": 1},
            "presets": presets
        });
        range
    }

    fn named(&self, mut capability: Value, instance: &str, words: &Words) -> Value {
        capability["instance"] = json!(instance);
        capability["capabilityResources"] = words::resources(words, self.detail.locales);
        capability
    }

    fn reporting(&self, interface: &str, properties: &[&str]) -> Value {
        let reported = if self.tells_changes { Reported::WheneverItChanges } else { Reported::WhenAsked };
        reporting(interface, properties, reported)
    }
}

/// What a favourite can: "turn on Jazz Evening".
pub(super) fn scene() -> [Value; 2] {
    let mut scene = interface("Alexa.SceneController");
    scene["supportsDeactivation"] = json!(false);
    [alexa(), scene]
}

/// When Alexa learns of a property. While events are off, no state leaves a home unasked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reported {
    WheneverItChanges,
    WhenAsked,
    /// In the answer to what has changed it, at most.
    Never,
}

fn reporting(name: &str, properties: &[&str], reported: Reported) -> Value {
    let supported: Vec<Value> = properties.iter().map(|name| json!({"name": name})).collect();
    let mut capability = interface(name);
    capability["properties"] = json!({
        "supported": supported,
        "proactivelyReported": reported == Reported::WheneverItChanges,
        "retrievable": reported != Reported::Never
    });
    capability
}

/// The last three go somewhere within what plays.
fn playback(seeks: bool) -> Value {
    let operations = ["Play", "Pause", "Stop", "Next", "Previous", "StartOver", "FastForward", "Rewind"];
    let mut playback = interface("Alexa.PlaybackController");
    playback["supportedOperations"] = json!(if seeks { &operations[..] } else { &operations[..5] });
    playback
}

fn alexa() -> Value {
    interface("Alexa")
}

fn interface(name: &str) -> Value {
    json!({"type": "AlexaInterface", "interface": name, "version": "3"})
}
