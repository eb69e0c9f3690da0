//! Names that lead to no player: one that two have, since who says it can only be asked which one is meant, and there is no answer
//! to that; and one that cannot be said.
//!
//! A player is called what the owner calls it, and by its name in Music Assistant as well. Hidden ones are called nothing.

use std::collections::{BTreeMap, BTreeSet};

use crate::execute::words::normalized;

use super::{Alias, Rules};

/// A player as it is told apart: its id and its name, both of Music Assistant.
pub type Named<'p> = (&'p str, &'p str);

impl Rules {
    /// That one of `players`, other than `id`, that answers to `name` already.
    #[must_use]
    pub fn namesake<'p>(
        &self,
        players: impl IntoIterator<Item = Named<'p>>,
        id: &str,
        name: &str,
    ) -> Option<Named<'p>> {
        let wanted = as_heard(name)?;
        let is_taken = |player: &Named<'_>| player.0 != id && self.heard_names(*player).contains(&wanted);
        players.into_iter().find(is_taken)
    }

    /// The ids of those of `players` that share a name with another.
    #[must_use]
    pub fn namesakes<'p>(&self, players: impl IntoIterator<Item = Named<'p>>) -> BTreeSet<&'p str> {
        let mut by_name: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
        for player in players {
            for name in self.heard_names(player) {
                by_name.entry(name).or_default().insert(player.0);
            }
        }
        by_name.into_values().filter(|ids| ids.len() > 1).flatten().collect()
    }

    /// The ids of those of `players` in whose names nothing can be said: Alexa is not told of them.
    #[must_use]
    pub fn unspeakable<'p>(&self, players: impl IntoIterator<Item = Named<'p>>) -> BTreeSet<&'p str> {
        let is_called = |id: &str| self.players.get(id).is_some_and(|rules| rules.alias.is_some());
        let is_silent = |name: &str| !name.chars().any(char::is_alphanumeric);
        let found = players.into_iter().filter(|(id, name)| is_silent(name) && !is_called(id) && !self.is_hidden(id));
        found.map(|(id, _)| id).collect()
    }

    /// The players that have rules, by the names that they had then: all that is known without Music Assistant.
    pub fn ruled(&self) -> impl Iterator<Item = Named<'_>> {
        self.players.iter().map(|(id, rules)| (id.as_str(), rules.name.as_str()))
    }

    /// What a player answers to.
    fn heard_names(&self, (id, name): Named<'_>) -> Vec<String> {
        if self.is_hidden(id) {
            return Vec::new();
        }
        let alias = self.players.get(id).and_then(|rules| rules.alias.as_ref()).map(Alias::as_str);
        [alias, Some(name)].into_iter().flatten().filter_map(as_heard).collect()
    }
}

/// What is heard of a name: neither case nor accents, signs and spaces. Nothing, of one that cannot be said.
fn as_heard(name: &str) -> Option<String> {
    Some(normalized(name).replace(' ', "")).filter(|heard| !heard.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAYERS: [Named<'_>; 4] = [("up1", "Kitchen"), ("up2", "Living Room"), ("up3", "Büro"), ("up4", "***")];

    fn called(id: &str, alias: &str) -> Rules {
        let mut rules = Rules::default();
        rules.change(id, "", |player| player.alias = alias.parse().ok());
        rules
    }

    #[test]
    fn a_name_is_taken_however_it_is_written() {
        let rules = called("up1", "Cooking Place");
        for (name, taken_by) in [
            ("living room", Some("up2")),
            ("LivingRoom", Some("up2")),
            ("Buro", Some("up3")),
            ("cooking place", Some("up1")),
            ("Kitchen", Some("up1")),
            ("Bath", None),
            ("???", None),
        ] {
            let found = rules.namesake(PLAYERS, "up9", name).map(|(id, _)| id);
            assert_eq!(found, taken_by, "{name}");
        }
    }

    #[test]
    fn a_player_may_keep_its_own_name_and_have_that_of_a_hidden_one() {
        let mut rules = called("up1", "Cooking");
        assert_eq!(rules.namesake(PLAYERS, "up1", "kitchen"), None);
        rules.change("up2", "Living Room", |player| player.hidden = true);
        assert_eq!(rules.namesake(PLAYERS, "up1", "Living Room"), None);
    }

    #[test]
    fn a_name_of_signs_alone_cannot_be_said() {
        let names = [("up1", "***"), ("up2", "📻 !"), ("up3", "お風呂"), ("up4", "रसोई"), ("up5", "5")];
        assert_eq!(Rules::default().unspeakable(names), BTreeSet::from(["up1", "up2"]));
        let mut rules = called("up1", "Stars");
        rules.change("up2", "", |player| player.hidden = true);
        assert!(rules.unspeakable(names).is_empty(), "one has another name, and nobody is to say the other");
    }

    #[test]
    fn namesakes_are_found_whoever_named_them() {
        assert!(called("up1", "Kitchen!").namesakes(PLAYERS).is_empty(), "its own name twice is one");
        assert_eq!(called("up1", "livingroom").namesakes(PLAYERS), BTreeSet::from(["up1", "up2"]));
        let twice = PLAYERS.into_iter().chain([("up5", "Kitchen")]);
        assert_eq!(Rules::default().namesakes(twice.clone()), BTreeSet::from(["up1", "up5"]));
        let mut rules = Rules::default();
        rules.change("up5", "Kitchen", |player| player.hidden = true);
        assert!(rules.namesakes(twice).is_empty());
    }
}
