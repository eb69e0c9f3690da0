//! What the owner allows: which players are exposed and under which name, how loud each may be made, and when the home is to be quiet.
//!
//! The rules lie at home (`rules.json` in the state directory) and are enforced there, so that nothing in the cloud, and nobody
//! who got hold of it, can go beyond them. They bind what comes through the cloud; whoever stands at the speaker does as they like.

pub mod local_time;
pub mod namesakes;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use macloud_e2ee::vocabulary::{MinuteOfDay, clean_text};
use macloud_service_kit::clock::{self, SharedClock};
use serde::{Deserialize, Serialize};

use crate::music_assistant::directory::Directory;
use crate::music_assistant::model::{Player, PlayerType};
use local_time::Zone;

/// A group may be in a group, in a group.
const MAX_NESTING: u8 = 4;

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
    /// The cloud is told how players are whenever that changes, without being asked. The only rule that allows something.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub tell_changes: bool,
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
    /// What it is called through the cloud, instead of its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alias: Option<Alias>,
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

/// A name to be spoken: something that can be said, and not longer than Alexa takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Alias(String);

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
        !self.is_hidden(&player.id)
    }

    /// What this player is called through the cloud.
    #[must_use]
    pub fn name_of<'a>(&'a self, player: &'a Player) -> &'a str {
        let alias = self.players.get(&player.id).and_then(|rules| rules.alias.as_ref());
        alias.map_or(player.name.as_str(), Alias::as_str)
    }

    /// The highest level that `player` may be set to. A group, as a whole, to where each member stays within its own.
    #[must_use]
    pub fn ceiling(&self, directory: &Directory, player: &Player) -> u8 {
        self.ceiling_within(directory, player, MAX_NESTING)
    }

    fn ceiling_within(&self, directory: &Directory, player: &Player, nesting: u8) -> u8 {
        let own = self.limit(&player.id);
        if player.kind != PlayerType::Group {
            return own;
        }
        if let Some(members) = self.moved_singly(directory, player) {
            let present = average(members.iter().copied()).map_or(0, i16::from);
            let highest = members.iter().filter(|member| self.limit(&member.id) < 100).map(|member| {
                let kept_apart = present + i16::from(self.limit(&member.id)) - i16::from(member.level().unwrap_or(0));
                kept_apart.clamp(0, 100) as u8
            });
            return highest.min().unwrap_or(100).min(own);
        }
        let members = directory.members_of(player);
        let unknown = members.is_empty() || nesting == 0;
        // Of a group whose members nobody has seen yet, anybody may be a member.
        let limited: Vec<(u8, Option<&Player>)> = if unknown {
            let others = self.players.keys().filter(|id| **id != player.id);
            others.map(|id| (self.limit(id), directory.player(id))).collect()
        } else {
            let found = members.iter().map(|id| (*id, directory.player(id)));
            found
                .map(|(id, member)| {
                    (
                        member.map_or(self.limit(id), |member| self.ceiling_within(directory, member, nesting - 1)),
                        member,
                    )
                })
                .collect()
        };
        let present = i16::from(least_level(directory, player).unwrap_or(0));
        let highest = limited.into_iter().filter(|(limit, _)| *limit < 100).map(|(limit, member)| {
            let Some(level) = member.and_then(Player::level) else { return limit };
            let (limit, level) = (i16::from(limit), i16::from(level));
            // Music Assistant moves each member by as much as the average.
            let kept_apart = present + limit - level;
            let highest = if player.has_group_volume() && !unknown {
                kept_apart
            } else {
                // A group with a volume of its own brings its members near to it in its own way.
                kept_apart.min(limit)
            };
            highest.clamp(0, 100) as u8
        });
        highest.min().unwrap_or(100).min(own)
    }

    /// The level of `player`, from which it is made louder or quieter. That of a group is what its members make: what it says of
    /// itself is late, because they are told one after the other, and nothing while it is idle.
    #[must_use]
    pub fn level(&self, directory: &Directory, player: &Player) -> Option<u8> {
        match self.moved_singly(directory, player) {
            Some(members) => average(members.into_iter()),
            None if player.has_group_volume() => least_level(directory, player),
            None => player.level(),
        }
    }

    /// Those players that a change of the volume of `group` moves one by one, each by as much, where Music Assistant would move
    /// others: the hidden ones as well, or, while the group is idle and names nobody, none at all.
    #[must_use]
    pub fn moved_singly<'a>(&self, directory: &'a Directory, group: &Player) -> Option<Vec<&'a Player>> {
        if group.kind != PlayerType::Group {
            return None;
        }
        let mut members = Vec::new();
        let hides = self.gather(directory, group, MAX_NESTING, &mut members);
        let is_idle = group.has_group_volume() && group.members.iter().all(|id| *id == group.id);
        // Of a group whose members nobody has seen yet, only Music Assistant knows whom to move.
        if !hides && (members.is_empty() || !is_idle) {
            return None;
        }
        members.retain(|member| moves(member));
        Some(members)
    }

    /// Those players that are silenced one by one with `group`, and made to sound again: Music Assistant moves all of them by as much as
    /// the average, so who was louder than that would still be heard. `None` where nobody has seen them, or it has a volume of its own.
    #[must_use]
    pub fn silenced_singly<'a>(&self, directory: &'a Directory, group: &Player) -> Option<Vec<&'a Player>> {
        if group.kind != PlayerType::Group || !group.has_group_volume() {
            return None;
        }
        let mut members = Vec::new();
        self.gather(directory, group, MAX_NESTING, &mut members);
        members.retain(|member| moves(member));
        (!members.is_empty()).then_some(members)
    }

    /// Put the players of `group`, and of the groups in it, into `members`, but for the hidden ones. Whether there are such.
    fn gather<'a>(&self, directory: &'a Directory, group: &Player, nesting: u8, members: &mut Vec<&'a Player>) -> bool {
        let mut hides = false;
        for member in directory.members_of(group) {
            let Some(member) = directory.player(member) else { continue };
            if self.is_hidden(&member.id) {
                hides = true;
            } else if member.kind == PlayerType::Group {
                hides |= nesting > 0 && self.gather(directory, member, nesting - 1, members);
            } else if !members.iter().any(|known| known.id == member.id) {
                members.push(member);
            }
        }
        hides
    }

    fn is_hidden(&self, id: &str) -> bool {
        self.players.get(id).is_some_and(|rules| rules.hidden)
    }

    fn limit(&self, id: &str) -> u8 {
        self.players.get(id).and_then(|rules| rules.max_volume).map_or(100, Level::value)
    }

    /// How many are hidden.
    #[must_use]
    pub fn hidden_players(&self) -> usize {
        self.count(|player| player.hidden)
    }

    /// How many have a highest volume.
    #[must_use]
    pub fn limited_players(&self) -> usize {
        self.count(|player| player.max_volume.is_some())
    }

    /// How many are called something else than in Music Assistant.
    #[must_use]
    pub fn renamed_players(&self) -> usize {
        self.count(|player| player.alias.is_some())
    }

    fn count(&self, of: impl Fn(&PlayerRules) -> bool) -> usize {
        self.players.values().filter(|player| of(player)).count()
    }

    /// Change the rules of one player. Those that say nothing any more are left out.
    pub fn change(&mut self, id: &str, name: &str, change: impl FnOnce(&mut PlayerRules)) {
        let rules = self.players.entry(id.to_owned()).or_default();
        name.clone_into(&mut rules.name);
        change(rules);
        self.players.retain(|_, rules| rules.hidden || rules.alias.is_some() || rules.max_volume.is_some());
    }
}

/// What a group says its level is, or what its members make if that is less.
fn least_level(directory: &Directory, group: &Player) -> Option<u8> {
    let members = directory.members_of(group);
    let heard = members
        .iter()
        .filter_map(|id| directory.player(id))
        .filter(|member| member.available && member.powered != Some(false));
    group.level().into_iter().chain(average(heard)).min()
}

/// Whether it has a volume that can be changed now.
fn moves(member: &Player) -> bool {
    member.available && member.powered != Some(false) && member.volume_control
}

/// The average level of those that have one.
fn average<'a>(players: impl Iterator<Item = &'a Player>) -> Option<u8> {
    let levels: Vec<u32> = players.filter_map(Player::level).map(u32::from).collect();
    let count = u32::try_from(levels.len()).ok().filter(|count| *count > 0)?;
    u8::try_from(levels.iter().sum::<u32>() / count).ok()
}

impl QuietHours {
    /// Whether `now` is within.
    #[must_use]
    pub fn contain(self, now: TimeOfDay) -> bool {
        let (from, to) = (self.from, self.to);
        if from < to { from <= now && now < to } else { from <= now || now < to }
    }

    /// When the home need not be quiet any more, if that ever is.
    #[must_use]
    pub fn end(self) -> Option<MinuteOfDay> {
        if self.from == self.to { None } else { MinuteOfDay::new(self.to.0) }
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

    /// The quiet hours, while they are.
    #[must_use]
    pub fn quiet_hours_now(&self) -> Option<QuietHours> {
        self.current().quiet_hours.filter(|hours| hours.contain(self.time_of_day()))
    }

    /// The time by the clock at home, in seconds since 1970.
    #[must_use]
    pub fn unix_seconds(&self) -> u64 {
        self.clock.unix_seconds()
    }

    /// What the clock at home shows.
    #[must_use]
    pub fn time_of_day(&self) -> TimeOfDay {
        self.time_of(self.unix_seconds())
    }

    /// What the clock at home shows so many seconds after 1970.
    #[must_use]
    pub fn time_of(&self, unix_seconds: u64) -> TimeOfDay {
        TimeOfDay(self.zone.minute_of_day(unix_seconds))
    }
}

impl Level {
    /// The number.
    #[must_use]
    pub const fn value(self) -> u8 {
        self.0
    }
}

impl Alias {
    /// Longer names are no use to anybody who speaks them, and Alexa takes 128 characters.
    const MAX_CHARS: usize = 60;

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What is no level, time of day or name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// A level.
    #[error("a volume is a number from 0 to 100")]
    Level,
    /// A time.
    #[error("a time of day is written as 22:30")]
    Time,
    /// A name.
    #[error("a name has a letter or a digit, and at most {} characters", Alias::MAX_CHARS)]
    Alias,
}

impl TryFrom<String> for Alias {
    type Error = Unreadable;

    fn try_from(text: String) -> Result<Self, Unreadable> {
        text.parse()
    }
}

impl From<Alias> for String {
    fn from(alias: Alias) -> Self {
        alias.0
    }
}

impl FromStr for Alias {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        let name = clean_text(text).split_whitespace().collect::<Vec<_>>().join(" ");
        let can_be_said = name.chars().any(char::is_alphanumeric) && name.chars().count() <= Self::MAX_CHARS;
        if can_be_said { Ok(Self(name)) } else { Err(Unreadable::Alias) }
    }
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
        assert_eq!([night, noon, always].map(QuietHours::end), [MinuteOfDay::new(420), MinuteOfDay::new(870), None]);
    }

    #[test]
    fn rules_are_written_as_people_read_them() {
        let text = json!({
            "players": {"up1": {"name": "Kitchen", "alias": "Cooking", "max_volume": 60}, "up2": {"name": "Bath", "hidden": true}},
            "quiet_hours": {"from": "22:00", "to": "07:00"},
        });
        let rules: Rules = serde_json::from_value(text.clone()).unwrap();
        assert_eq!(serde_json::to_value(&rules).unwrap(), text);
        for mistake in [
            json!({"player": {}}),
            json!({"players": {"up1": {"hiden": true}}}),
            json!({"players": {"up1": {"max_volume": 101}}}),
            json!({"players": {"up1": {"max_volume": -1}}}),
            json!({"players": {"up1": {"alias": " !"}}}),
            json!({"players": {"up1": {"alias": "a".repeat(61)}}}),
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
        rules.change("up1", "Kitchen", |player| player.alias = "  Cooking \u{202e} place".parse().ok());
        rules.change("up1", "Kitchen", |player| player.max_volume = None);
        assert_eq!(rules.players["up1"].alias.as_ref().map(Alias::as_str), Some("Cooking place"));
        rules.change("up1", "Kitchen", |player| player.alias = None);
        assert_eq!(rules, Rules::default());
    }

    #[test]
    fn a_group_goes_to_where_each_member_stays_within_its_own_limit() {
        let mut rules = Rules::default();
        rules.change("a", "A", |player| player.max_volume = Level::try_from(40).ok());
        let mut directory = Directory::default();
        let mut ceiling = |rules: &Rules, levels: [u8; 2], group: serde_json::Value| {
            let [a, b] = levels;
            let mut value = json!({"player_id": "g", "type": "group", "group_volume": u16::from(a + b) / 2});
            value.as_object_mut().unwrap().extend(group.as_object().unwrap().clone());
            let players = json!([
                {"player_id": "a", "type": "player", "volume_level": a, "volume_control": "x"},
                {"player_id": "b", "type": "player", "volume_level": b, "volume_control": "x"},
                value,
            ]);
            directory.load_players(&players, false);
            rules.ceiling(&directory, directory.player("g").unwrap())
        };
        let (idle, playing) = (json!({"group_members": []}), json!({"group_members": ["a", "b"]}));
        let silent = json!({"group_members": [], "group_volume": 0});
        assert_eq!(ceiling(&rules, [20, 0], idle.clone()), 30, "anybody may be in it");
        assert_eq!(ceiling(&rules, [0, 20], idle.clone()), 40, "anybody may be in it");
        assert_eq!(ceiling(&rules, [0, 20], json!({"group_members": ["b"]})), 100);
        assert_eq!(ceiling(&rules, [0, 20], json!({"static_group_members": ["a", "b"]})), 50);
        assert_eq!(ceiling(&rules, [40, 0], playing.clone()), 20);
        assert_eq!(ceiling(&rules, [40, 0], idle.clone()), 20, "it was seen");
        assert_eq!(ceiling(&rules, [30, 30], silent), 40, "an idle group says 0");
        assert_eq!(ceiling(&rules, [0, 40], playing.clone()), 60);
        assert_eq!(ceiling(&rules, [80, 60], playing.clone()), 30, "somebody turned the knob");
        assert_eq!(
            ceiling(&rules, [20, 20], json!({"group_members": ["a", "b"], "group_volume": 60})),
            40,
            "late news"
        );
        let own = json!({"group_members": ["a", "b"], "volume_control": "x", "volume_level": 20});
        assert_eq!(ceiling(&rules, [0, 40], own.clone()), 40, "a volume of its own");
        assert_eq!(ceiling(&rules, [40, 0], own), 20, "a volume of its own");
        let leads = json!({"type": "player", "volume_control": "x", "group_members": ["g", "a"]});
        assert_eq!(ceiling(&rules, [40, 0], leads), 100, "leads, and is set alone");
        rules.change("g", "G", |player| player.max_volume = Level::try_from(15).ok());
        assert_eq!(ceiling(&rules, [40, 0], playing), 15);
    }
}
