//! Which players and favourites the cloud was told that there are, so that it is told when some come, change or go.
//!
//! It is kept over restarts, because what goes while the connector is off is to be told too. What changes often is not told
//! before it has stayed the same for a while.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use macloud_e2ee::vocabulary::{Capabilities, MAX_GONE, News, Player, PlayerState, Preset};
use macloud_proto::ids::{PlayerKey, PresetKey};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// What was told, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Listed {
    players: Things<PlayerKey>,
    presets: Things<PresetKey>,
}

/// Those that are there, each with a hash of what is told of it, and the latest of those that were.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Things<K: Ord> {
    there: BTreeMap<K, u64>,
    gone: Vec<K>,
}

impl<K: Ord> Default for Things<K> {
    fn default() -> Self {
        Self { there: BTreeMap::new(), gone: Vec::new() }
    }
}

/// What was told, and what is not told yet.
#[derive(Default)]
pub(super) struct Listing {
    pub(super) told: Listed,
    /// How it is now, and since when.
    now: Option<(Listed, Instant)>,
}

impl Listing {
    /// After this was told.
    pub(super) const fn after(told: Listed) -> Self {
        Self { told, now: None }
    }

    /// What is to be told, and what is told then. Nothing, as long as it has not been so for a while.
    pub(super) fn due(&mut self, players: Vec<Player>, presets: Vec<Preset>, now: Instant) -> Option<(News, Listed)> {
        let is = self.told.with(&players, &presets);
        if is == self.told {
            self.now = None;
            return None;
        }
        match &self.now {
            Some((seen, since)) if *seen == is => {
                let has_settled = now - *since >= SETTLED;
                has_settled.then(|| (self.told.news(players, presets, &is), is))
            }
            _ => {
                self.now = Some((is, now));
                None
            }
        }
    }
}

impl Listed {
    fn with(&self, players: &[Player], presets: &[Preset]) -> Self {
        let players = players.iter().map(|player| (player.key.clone(), hash_of_player(player)));
        let presets = presets.iter().map(|preset| (preset.key.clone(), hash_of(|hasher| preset.name.hash(hasher))));
        Self { players: self.players.with(players.collect()), presets: self.presets.with(presets.collect()) }
    }

    /// What is new comes first, because there may not be room for all.
    fn news(&self, mut players: Vec<Player>, mut presets: Vec<Preset>, is: &Self) -> News {
        players.sort_by_key(|player| !self.players.is_other(&player.key, &is.players));
        presets.sort_by_key(|preset| !self.presets.is_other(&preset.key, &is.presets));
        for player in &mut players {
            player.state = PlayerState { now_playing: None, position: None, ..std::mem::take(&mut player.state) };
        }
        News::Players { players, presets, gone: is.players.gone.clone(), gone_presets: is.presets.gone.clone() }
    }
}

impl<K: Ord + Clone> Things<K> {
    fn with(&self, there: BTreeMap<K, u64>) -> Self {
        let before = self.there.keys().chain(&self.gone);
        let gone = before.filter(|key| !there.contains_key(*key)).take(MAX_GONE).cloned().collect();
        Self { there, gone }
    }

    fn is_other(&self, key: &K, is: &Self) -> bool {
        self.there.get(key) != is.there.get(key)
    }
}

/// Of what makes it another endpoint, not of how it is.
fn hash_of_player(player: &Player) -> u64 {
    let Player { name, kind, manufacturer, model, can, .. } = player;
    let Capabilities { power, volume, mute, order, seek, autoplay, group, sleep, steps } = *can;
    hash_of(|hasher| {
        (name, *kind as u8, manufacturer, model).hash(hasher);
        [power, volume, mute, order, seek, autoplay, group, sleep, steps].hash(hasher);
    })
}

fn hash_of(what: impl FnOnce(&mut DefaultHasher)) -> u64 {
    let mut hasher = DefaultHasher::new();
    what(&mut hasher);
    hasher.finish()
}

/// Music Assistant and its players restart within this time.
const SETTLED: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;
    use macloud_e2ee::vocabulary::{MediaKind, PlayerKind};

    fn player(name: &str) -> Player {
        Player {
            key: PlayerKey::derive("server", name),
            name: name.into(),
            kind: PlayerKind::Speaker,
            manufacturer: None,
            model: None,
            can: Capabilities::default(),
            state: PlayerState { position: Some(7), ..PlayerState::default() },
        }
    }

    fn preset(name: &str) -> Preset {
        Preset { key: PresetKey::derive("server", "radio", name), name: name.into(), kind: MediaKind::Radio }
    }

    #[test]
    fn what_comes_changes_and_goes_is_told_once_when_it_has_settled() {
        let (mut listing, start) = (Listing::default(), Instant::now());
        let mut look = |seconds, players: &[Player], presets: &[Preset]| {
            let at = start + Duration::from_secs(seconds);
            let (news, told) = listing.due(players.to_vec(), presets.to_vec(), at)?;
            // As after a restart.
            listing.told = serde_json::from_str(&serde_json::to_string(&told).unwrap()).unwrap();
            let News::Players { players, presets, gone, gone_presets } = news else { panic!("{news:?}") };
            assert!(players.iter().all(|player| player.state.position.is_none()));
            let names = players.into_iter().map(|player| player.name);
            let names: Vec<String> = names.chain(presets.into_iter().map(|preset| preset.name)).collect();
            Some((names, gone, gone_presets))
        };
        let (kitchen, bath, jazz) = (player("Kitchen"), player("Bath"), preset("Jazz"));
        let one = std::slice::from_ref(&jazz);
        assert_eq!(look(0, std::slice::from_ref(&kitchen), one), None);
        assert_eq!(look(10, &[kitchen.clone(), bath.clone()], one), None, "it goes on");
        assert_eq!(look(39, &[kitchen.clone(), bath.clone()], one), None);
        let all = ["Kitchen", "Bath", "Jazz"].map(str::to_owned).to_vec();
        assert_eq!(look(40, &[kitchen.clone(), bath.clone()], one), Some((all, vec![], vec![])));
        assert_eq!(look(90, &[kitchen.clone(), bath.clone()], one), None, "told");
        assert_eq!(look(91, &[], &[]), None);
        assert_eq!(look(99, &[kitchen.clone(), bath.clone()], one), None, "a restart is no news");
        assert_eq!(look(200, &[], &[]), None);
        assert_eq!(look(201, &[kitchen.clone(), bath.clone()], one), None);

        let mut louder = bath.clone();
        louder.can.volume = true;
        let is = [kitchen.clone(), louder];
        assert_eq!(look(300, &is, &[]), None);
        let names = ["Bath", "Kitchen"].map(str::to_owned).to_vec();
        assert_eq!(look(330, &is, &[]), Some((names, vec![], vec![jazz.key.clone()])), "what has changed comes first");
        assert_eq!(look(400, &is[1..], &[]), None);
        let names = vec!["Bath".to_owned()];
        assert_eq!(look(430, &is[1..], &[]), Some((names, vec![kitchen.key.clone()], vec![jazz.key.clone()])));
        assert_eq!(look(500, &is, &[]), None);
        let names = ["Kitchen", "Bath"].map(str::to_owned).to_vec();
        assert_eq!(look(530, &is, &[]), Some((names, vec![], vec![jazz.key])), "it is there again");
    }

    #[test]
    fn of_those_that_are_gone_only_the_latest_are_kept() {
        let mut things = Things::<PlayerKey>::default();
        for number in 0..2 * MAX_GONE {
            things = things.with(BTreeMap::from([(player(&number.to_string()).key, 1)]));
        }
        assert_eq!(things.gone.len(), MAX_GONE);
        assert_eq!(things.gone[0], player(&(2 * MAX_GONE - 2).to_string()).key);
    }
}
