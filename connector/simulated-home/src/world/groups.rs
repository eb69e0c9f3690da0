//! Players in step: a leader and its followers, and permanent groups.

use super::{Signal, World};
use crate::player::{Player, Role};
use crate::wire::Failure;

impl World {
    /// Ids of the players that follow this one.
    pub(super) fn followers(&self, index: usize) -> impl Iterator<Item = &str> {
        let leader = &self.players[index].id;
        self.players
            .iter()
            .filter(move |player| player.synced_to.as_ref() == Some(leader))
            .map(|player| player.id.as_str())
    }

    pub(super) fn group_volume(&self, player: &Player) -> i64 {
        let members: &[String] = match &player.role {
            Role::SyncGroup { members } => members,
            Role::Speaker => &player.group_members,
        };
        let levels: Vec<i64> =
            members.iter().filter_map(|id| self.index(id)).map(|index| self.players[index].volume).collect();
        match (levels.len(), player.is_speaker() && player.works()) {
            (0, true) => player.volume,
            (0, false) => 0,
            (count, _) => levels.iter().sum::<i64>() / count as i64,
        }
    }

    pub(crate) fn group_level(&self, index: usize) -> i64 {
        self.group_volume(&self.players[index])
    }

    /// The permanent group that is playing on this player.
    pub(super) fn active_group(&self, player: &Player) -> Option<String> {
        let groups = self.players.iter().filter(|group| group.playback != crate::player::Playback::Idle);
        groups
            .filter(|group| matches!(&group.role, Role::SyncGroup { members } if members.contains(&player.id)))
            .map(|group| group.id.clone())
            .next()
    }

    /// `players/cmd/group`: `child` follows `leader` from now on. Grouping with oneself does nothing.
    pub(crate) fn group(&mut self, child: &str, leader: &str) -> Result<(), Failure> {
        let (Some(child), Some(leader)) = (self.index(child), self.index(leader)) else { return Ok(()) };
        if child == leader || !self.players[child].works() {
            return Ok(());
        }
        if !self.players[leader].works() {
            return Err(Failure::unavailable("Player", &self.players[leader].id));
        }
        self.occupy(child, self.timing.transport_reply);
        if self.quirks.cyclic_groups {
            self.follow_each_other(child, leader);
            return Ok(());
        }
        let leader = self.leader(leader)?;
        if !self.can_group_with(&self.players[leader]).contains(&self.players[child].id) {
            // Not a word of it but in the server's log.
            return Ok(());
        }
        if child == leader || self.players[child].synced_to.as_ref() == Some(&self.players[leader].id) {
            return Ok(());
        }
        self.ungroup(child);
        self.stop(child);
        self.join(child, leader);
        Ok(())
    }

    fn join(&mut self, child: usize, leader: usize) {
        let (child_id, leader_id) = (self.players[child].id.clone(), self.players[leader].id.clone());
        let members = &mut self.players[leader].group_members;
        if members.is_empty() {
            members.push(leader_id.clone());
        }
        members.push(child_id.clone());
        self.players[child].output_used = true;
        self.players[child].synced_to = Some(leader_id.clone());
        for id in [leader_id, child_id] {
            self.tell(self.timing.player_update, Signal::PlayerUpdated(id.clone()));
            self.tell(self.timing.player_update, Signal::QueueUpdated(id));
        }
    }

    /// What the recorded server with the defect did instead: no members, and both follow.
    fn follow_each_other(&mut self, one: usize, other: usize) {
        for (from, to) in [(one, other), (other, one)] {
            let leader = self.players[to].id.clone();
            self.stop(from);
            self.players[from].synced_to = Some(leader);
            self.players[from].group_members.clear();
            let id = self.players[from].id.clone();
            self.tell(self.timing.player_update, Signal::PlayerUpdated(id));
        }
    }

    /// `players/cmd/ungroup` and everything else that takes a player out of its group.
    pub(crate) fn ungroup(&mut self, index: usize) {
        let mut signals = Vec::new();
        self.leave_group(index, &mut signals);
        for signal in signals {
            self.tell(self.timing.player_update, signal);
        }
    }

    /// Takes a player out of its group, or, if it leads one, dissolves it. The members fall silent.
    pub(super) fn leave_group(&mut self, index: usize, signals: &mut Vec<Signal>) {
        let id = self.players[index].id.clone();
        if let Some(leader) = self.players[index].synced_to.take() {
            if let Some(leader) = self.index(&leader) {
                self.forget_member(leader, &id);
                signals.push(Signal::PlayerUpdated(self.players[leader].id.clone()));
            }
            signals.push(Signal::PlayerUpdated(id.clone()));
            signals.push(Signal::QueueUpdated(id));
            return;
        }
        let followers: Vec<String> = self.followers(index).map(str::to_owned).collect();
        if followers.is_empty() {
            return;
        }
        for player in self.players.iter_mut().filter(|player| player.synced_to.as_ref() == Some(&id)) {
            player.synced_to = None;
        }
        self.players[index].group_members.clear();
        signals.extend(followers.into_iter().chain([id]).map(Signal::PlayerUpdated));
    }

    fn forget_member(&mut self, leader: usize, member: &str) {
        let members = &mut self.players[leader].group_members;
        members.retain(|id| id != member);
        if members.len() == 1 {
            members.clear();
        }
    }

    /// `players/cmd/set_members`.
    pub(crate) fn set_members(&mut self, leader: &str, add: &[String], remove: &[String]) -> Result<(), Failure> {
        let Some(index) = self.index(leader) else { return Err(Failure::unavailable("Player", leader)) };
        for member in remove {
            let follows = self.index(member).filter(|at| self.players[*at].synced_to.as_deref() == Some(leader));
            if let Some(member) = follows {
                self.ungroup(member);
            }
        }
        self.occupy(index, self.timing.transport_reply);
        add.iter().try_for_each(|member| self.group(member, leader))
    }

    /// `players/cmd/group_volume`: the average moves, the members' distances stay.
    pub(crate) fn set_group_volume(&mut self, id: &str, level: i64) {
        let Some(index) = self.index(id).filter(|index| self.players[*index].works()) else { return };
        let change = level - self.group_volume(&self.players[index]);
        self.occupy(index, self.timing.transport_reply);
        for member in self.volume_members(index) {
            let level = (self.players[member].volume + change).clamp(0, 100);
            self.change_volume(member, level);
        }
    }

    fn volume_members(&self, index: usize) -> Vec<usize> {
        let player = &self.players[index];
        let members = match &player.role {
            Role::SyncGroup { members } => members.clone(),
            Role::Speaker if player.group_members.is_empty() => vec![player.id.clone()],
            Role::Speaker => player.group_members.clone(),
        };
        members.iter().filter_map(|id| self.index(id)).filter(|index| self.players[*index].works()).collect()
    }
}
