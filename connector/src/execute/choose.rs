//! Which player is meant, and which one a voice device is used with.

use macloud_e2ee::vocabulary::{Action, DeviceKey, MAX_PLAYERS, Refusal, Reply, Target, clean_text};

use super::names::{self, Match};
use super::{Executor, report};
use crate::music_assistant::directory::Directory;
use crate::music_assistant::model::{Activity, Player};
use crate::rules::Rules;

/// Whom one who names nobody means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unnamed<'a> {
    /// The player of the device, else the one that plays, else the one that played last.
    Usual,
    /// Wherever the music is, but for this player.
    Music(&'a str),
}

impl Executor {
    /// The player that `target` means to one who speaks to `device`.
    pub(super) fn choose(
        &self,
        target: &Target,
        device: Option<&DeviceKey>,
        unnamed: Unnamed<'_>,
    ) -> Result<Player, Refusal> {
        let rules = self.house.current();
        let directory = self.ma.directory();
        let exposed = || directory.exposed().filter(|player| rules.expose(player));
        match target {
            Target::Key(key) => match directory.by_key(key).filter(|player| rules.expose(player)) {
                Some(player) => Ok(player.clone()),
                None if self.ma.is_settling() => Err(Refusal::MusicAssistantStarting),
                None => Err(Refusal::UnknownPlayer),
            },
            Target::Named(name) => choose_named(name, &exposed().collect::<Vec<_>>(), &rules),
            Target::Unnamed => {
                let own = self.own_player(&directory, device).filter(|player| rules.expose(player));
                match (own, unnamed) {
                    (Some(own), Unnamed::Usual) => Ok(own.clone()),
                    (Some(own), Unnamed::Music(except)) if own.id != except && plays(&directory, own) => {
                        Ok(own.clone())
                    }
                    (own, unnamed) => {
                        let except = if let Unnamed::Music(except) = unnamed { except } else { "" };
                        let all: Vec<&Player> =
                            exposed().filter(|player| player.available && player.id != except).collect();
                        likely(&directory, &all, own.filter(|own| own.id != except), &rules)
                    }
                }
            }
        }
    }

    /// The other player of a move or a join. Unnamed, it is the one that the device is used with.
    pub(super) fn choose_other(&self, target: &Target, device: Option<&DeviceKey>) -> Result<Player, Refusal> {
        if *target != Target::Unnamed {
            return self.choose(target, device, Unnamed::Usual);
        }
        let rules = self.house.current();
        let directory = self.ma.directory();
        let own = self.own_player(&directory, device).filter(|player| rules.expose(player)).cloned();
        own.ok_or_else(|| {
            let all: Vec<&Player> = directory.exposed().filter(|player| rules.expose(player)).collect();
            Refusal::WhichPlayer(names_of(&all, &rules))
        })
    }

    /// The player that this device is used with, if it is there.
    fn own_player<'d>(&self, directory: &'d Directory, device: Option<&DeviceKey>) -> Option<&'d Player> {
        let key = self.memory.player_of(device?, self.house.unix_seconds())?;
        directory.by_key(&key)
    }

    /// `reply`, with whether `player`, whom nobody named, is the one that the device is used with.
    pub(super) fn told_if_own(
        &self,
        reply: Reply,
        target: &Target,
        device: Option<&DeviceKey>,
        player: &Player,
    ) -> Reply {
        let own = || self.own_player(&self.ma.directory(), device).is_some_and(|own| own.id == player.id);
        match reply {
            Reply::Done { player, found, learned, other, .. } => {
                Reply::Done { player, found, learned, other, used_here: *target == Target::Unnamed && own() }
            }
            other => other,
        }
    }

    /// Use this device with this player from now on.
    pub(super) fn use_here(&self, player: &Player, device: Option<&DeviceKey>) -> Result<Reply, Refusal> {
        self.remember(player, device.ok_or(Refusal::NotSupported)?);
        self.done(&player.id, |_| {})
    }

    /// Use this device with no player in particular any more. Answered with the one that it was used with.
    pub(super) fn forget_here(&self, target: &Target, device: Option<&DeviceKey>) -> Result<Reply, Refusal> {
        let device = device.ok_or(Refusal::NotSupported)?;
        let was = self.own_player(&self.ma.directory(), Some(device)).map(|player| player.id.clone());
        self.memory.forget(device);
        match was {
            Some(id) => self.done(&id, |_| {}),
            None => self.done(&self.choose(target, None, Unnamed::Usual)?.id, |_| {}),
        }
    }

    /// `reply`, with what was learned from its success: a device that has no player of its own gets the first that a person
    /// names to it.
    pub(super) fn learn(
        &self,
        reply: Reply,
        target: &Target,
        action: &Action,
        device: Option<&DeviceKey>,
        player: &Player,
    ) -> Reply {
        let (Some(device), Target::Named(_), true) = (device, target, is_use(action)) else { return reply };
        if self.memory.player_of(device, self.house.unix_seconds()).is_some() {
            return reply;
        }
        match reply {
            Reply::Done { player: told, found, other, used_here, .. } => {
                self.remember(player, device);
                Reply::Done { player: told, found, learned: true, other, used_here }
            }
            other => other,
        }
    }

    fn remember(&self, player: &Player, device: &DeviceKey) {
        let Some(key) = self.ma.directory().key_of(player) else { return };
        let name = clean_text(self.house.current().name_of(player));
        self.memory.learn(device, key, &name, self.house.unix_seconds());
    }
}

/// Whether who asks for this of a named player uses that player where they are.
const fn is_use(action: &Action) -> bool {
    match action {
        Action::SetPower(_)
        | Action::SetVolume(_)
        | Action::AdjustVolume(_)
        | Action::SetMute(_)
        | Action::Transport(_)
        | Action::Play { .. }
        | Action::SetShuffle(_)
        | Action::SetRepeat(_)
        | Action::SeekTo(_)
        | Action::SeekBy(_)
        | Action::SetAutoplay(_)
        | Action::SetSleepTimer(_)
        | Action::PlayPreset(_)
        | Action::PlaySimilar
        | Action::SaveCurrent => true,
        // Of these somebody may speak in any room.
        Action::Read
        | Action::MoveTo(_)
        | Action::JoinTo(_)
        | Action::Unjoin
        | Action::UseHere
        | Action::ForgetHere => false,
    }
}

/// Of `all`, the one that plays, else `own`, else the one that played last, else the only one.
fn likely(directory: &Directory, all: &[&Player], own: Option<&Player>, rules: &Rules) -> Result<Player, Refusal> {
    let playing: Vec<&Player> = all
        .iter()
        .copied()
        .filter(|player| player.activity == Activity::Playing && player.synced_to.is_none())
        // A group and its members play the same: the group stands for them.
        .filter(|player| player.active_group.as_ref().is_none_or(|group| directory.player(group).is_none()))
        .collect();
    match (playing.as_slice(), own) {
        ([one], _) => Ok((*one).clone()),
        ([], Some(own)) => Ok(own.clone()),
        ([], None) => match (directory.last_played(all), all) {
            (Some(last), _) => Ok(last.clone()),
            (None, [only]) => Ok((*only).clone()),
            (None, []) => Err(Refusal::NoPlayerNamed(Vec::new())),
            (None, _) => Err(Refusal::WhichPlayer(names_of(all, rules))),
        },
        _ => Err(Refusal::WhichPlayer(names_of(&playing, rules))),
    }
}

fn plays(directory: &Directory, player: &Player) -> bool {
    directory.leader_of(&player.id).unwrap_or(player).activity == Activity::Playing
}

/// By what it is called through the cloud, or by its name in Music Assistant: people know both.
fn choose_named(name: &str, players: &[&Player], rules: &Rules) -> Result<Player, Refusal> {
    let called = players.iter().map(|player| (*player, rules.name_of(player)));
    let renamed = players.iter().filter(|player| rules.name_of(player) != player.name);
    let called: Vec<(&Player, &str)> = called.chain(renamed.map(|player| (*player, player.name.as_str()))).collect();
    let names: Vec<&str> = called.iter().map(|(_, name)| *name).collect();
    let several = match names::find(name, &names) {
        Match::One(at) => return Ok(called[at].0.clone()),
        Match::Several(several) => several,
        Match::None => return Err(Refusal::NoPlayerNamed(names_of(players, rules))),
    };
    let mut several: Vec<&Player> = several.into_iter().map(|at| called[at].0).collect();
    several.sort_by_key(|player| player.id.as_str());
    several.dedup_by_key(|player| player.id.as_str());
    // Of several with the same name, the one that is there is meant.
    if several.iter().any(|player| player.available) {
        several.retain(|player| player.available);
    }
    match several.as_slice() {
        [one] => Ok((*one).clone()),
        _ => Err(Refusal::WhichPlayer(names_of(&several, rules))),
    }
}

fn names_of(players: &[&Player], rules: &Rules) -> Vec<String> {
    players.iter().take(MAX_PLAYERS).map(|player| report::cut(rules.name_of(player))).collect()
}
