//! What the owner allows: which players are exposed, how loud each may be made, and when the home is to be quiet.
//!
//! The rules lie at home (`rules.json` in the state directory) and are enforced there, so that nothing in the cloud, and nobody
//! who got hold of it, can go beyond them. They bind what comes through the cloud; whoever stands at the speaker does as they like.

pub mod local_time;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use macloud_service_kit::clock::{self, SharedClock};
use serde::{Deserialize, Serialize};

use crate::music_assistant::model::Player;
use local_time::Zone;

/// The rules as they are kept. What is not mentioned is allowed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
// A misspelt rule must not silently be none.
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// By Music Assistant's id of the player, which a new name does not change.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub players: BTreeMap<String, PlayerRules>,
    /// When nothing is started or turned up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quiet_hours: Option<QuietHours>,
}

/// The rules of one player.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PlayerRules {
    /// Its name when the rule was made: for whoever reads the file.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// It does not exist, as far as the cloud can tell.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub hidden: bool,
    /// It is never made louder than this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_volume: Option<Level>,
}

/// From one time of day to another, over midnight if need be. Two equal times are the whole day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuietHours {
    /// The first quiet minute.
    pub from: TimeOfDay,
    /// The first minute after.
    pub to: TimeOfDay,
}

/// 0 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Level(u8);

/// A minute of the day, written `22:30`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TimeOfDay(u16);

/// The rules in force and the clock that they go by. Shared by whoever obeys them; replaced when the file changes.
#[derive(Clone)]
pub struct HouseRules {
    rules: Arc<Mutex<Arc<Rules>>>,
    clock: SharedClock,
    zone: Zone,
}

impl Rules {
    /// Whether the cloud may know of this player.
    #[must_use]
    pub fn expose(&self, player: &Player) -> bool {
        !self.players.get(&player.id).is_some_and(|rules| rules.hidden)
    }

    /// The highest level that `player` may be set to. A group that is set as a whole is as limited as its most limited member.
    #[must_use]
    pub fn ceiling(&self, player: &Player) -> u8 {
        let members = player.members.iter().filter(|_| player.has_group_volume());
        let limits = members.chain([&player.id]).filter_map(|id| self.players.get(id)?.max_volume);
        limits.min().map_or(100, |level| level.0)
    }

    /// Change the rules of one player. Those that say nothing any more are left out.
    pub fn change(&mut self, id: &str, name: &str, change: impl FnOnce(&mut PlayerRules)) {
        let rules = self.players.entry(id.to_owned()).or_default();
        name.clone_into(&mut rules.name);
        change(rules);
        self.players.retain(|_, rules| rules.hidden || rules.max_volume.is_some());
    }
}

impl QuietHours {
    /// Whether `now` is within.
    #[must_use]
    pub fn contain(self, now: TimeOfDay) -> bool {
        let (from, to) = (self.from, self.to);
        if from < to { from <= now && now < to } else { from <= now || now < to }
    }
}

impl HouseRules {
    /// With these rules, by this clock in this zone.
    #[must_use]
    pub fn new(rules: Rules, clock: SharedClock, zone: Zone) -> Self {
        Self { rules: Arc::new(Mutex::new(Arc::new(rules))), clock, zone }
    }

    /// Everything is allowed, always.
    #[must_use]
    pub fn none() -> Self {
        Self::new(Rules::default(), clock::system(), Zone::UTC)
    }

    /// The rules in force.
    #[must_use]
    pub fn current(&self) -> Arc<Rules> {
        Arc::clone(&self.rules.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on these.
    pub fn replace(&self, rules: Rules) {
        *self.rules.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
    }

    /// Whether the home is to be quiet now.
    #[must_use]
    pub fn is_quiet_time(&self) -> bool {
        self.current().quiet_hours.is_some_and(|hours| hours.contain(self.time_of_day()))
    }

    /// What the clock at home shows.
    #[must_use]
    pub fn time_of_day(&self) -> TimeOfDay {
        TimeOfDay(self.zone.minute_of_day(self.clock.unix_seconds()))
    }
}

impl Level {
    /// The number.
    #[must_use]
    pub const fn value(self) -> u8 {
        self.0
    }
}

/// What is no level or time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// A level.
    #[error("a volume is a number from 0 to 100")]
    Level,
    /// A time.
    #[error("a time of day is written as 22:30")]
    Time,
}

impl TryFrom<u8> for Level {
    type Error = Unreadable;

    fn try_from(level: u8) -> Result<Self, Unreadable> {
        if level <= 100 { Ok(Self(level)) } else { Err(Unreadable::Level) }
    }
}

impl From<Level> for u8 {
    fn from(level: Level) -> Self {
        level.0
    }
}

impl FromStr for Level {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        text.trim_end_matches('%').parse::<u8>().map_err(|_| Unreadable::Level)?.try_into()
    }
}

impl FromStr for TimeOfDay {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        let (hour, minute) = text.split_once(':').ok_or(Unreadable::Time)?;
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(hour) || !digits(minute) || minute.len() != 2 {
            return Err(Unreadable::Time);
        }
        match (hour.parse::<u16>(), minute.parse::<u16>()) {
            (Ok(hour @ 0..24), Ok(minute @ 0..60)) => Ok(Self(60 * hour + minute)),
            _ => Err(Unreadable::Time),
        }
    }
}

impl TryFrom<String> for TimeOfDay {
    type Error = Unreadable;

    fn try_from(text: String) -> Result<Self, Unreadable> {
        text.parse()
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl From<TimeOfDay> for String {
    fn from(time: TimeOfDay) -> Self {
        time.to_string()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(time: &str) -> TimeOfDay {
        time.parse().unwrap()
    }

    #[test]
    fn quiet_hours_go_over_midnight() {
        let night = QuietHours { from: at("22:00"), to: at("07:00") };
        let noon = QuietHours { from: at("12:00"), to: at("14:30") };
        let always = QuietHours { from: at("08:00"), to: at("8:00") };
        for (time, quiet) in [
            ("21:59", [false, false]),
            ("22:00", [true, false]),
            ("06:59", [true, false]),
            ("07:00", [false, false]),
            ("14:29", [false, true]),
            ("14:30", [false, false]),
        ] {
            assert_eq!([night.contain(at(time)), noon.contain(at(time))], quiet, "{time}");
            assert!(always.contain(at(time)));
        }
    }

    #[test]
    fn rules_are_written_as_people_read_them() {
        let text = json!({
            "players": {"up1": {"name": "Kitchen", "max_volume": 60}, "up2": {"name": "Bath", "hidden": true}},
            "quiet_hours": {"from": "22:00", "to": "07:00"},
        });
        let rules: Rules = serde_json::from_value(text.clone()).unwrap();
        assert_eq!(serde_json::to_value(&rules).unwrap(), text);
        for mistake in [
            json!({"player": {}}),
            json!({"players": {"up1": {"hiden": true}}}),
            json!({"players": {"up1": {"max_volume": 101}}}),
            json!({"players": {"up1": {"max_volume": -1}}}),
            json!({"quiet_hours": {"from": "22:00"}}),
            json!({"quiet_hours": {"from": "22:00", "to": "24:00"}}),
            json!({"quiet_hours": {"from": "22:00", "to": "7"}}),
        ] {
            assert!(serde_json::from_value::<Rules>(mistake.clone()).is_err(), "{mistake}");
        }
    }

    #[test]
    fn a_rule_that_says_nothing_is_left_out() {
        let mut rules = Rules::default();
        rules.change("up1", "Kitchen", |player| player.hidden = true);
        rules.change("up1", "Kitchen", |player| player.max_volume = Level::try_from(60).ok());
        rules.change("up1", "Kitchen", |player| player.hidden = false);
        assert_eq!(rules.players["up1"].max_volume.map(Level::value), Some(60));
        rules.change("up1", "Kitchen", |player| player.max_volume = None);
        assert_eq!(rules, Rules::default());
    }

    #[test]
    fn a_group_is_as_limited_as_its_most_limited_member() {
        let mut rules = Rules::default();
        rules.change("a", "A", |player| player.max_volume = Level::try_from(40).ok());
        let player = |extra: serde_json::Value| {
            let mut value = json!({"player_id": "g", "type": "group", "group_members": ["a", "b"]});
            value.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            Player::read(&value).unwrap()
        };
        assert_eq!(rules.ceiling(&player(json!({}))), 40);
        assert_eq!(
            rules.ceiling(&player(json!({"type": "player", "volume_control": "x"}))),
            100,
            "leads, and is set alone"
        );
        rules.change("g", "G", |player| player.max_volume = Level::try_from(30).ok());
        assert_eq!(rules.ceiling(&player(json!({}))), 30);
    }
}
