//! What was asked of this home lately, for whoever looks at its page: what kind of thing, of which player, and what came of it.
//!
//! Never what was said, searched for or found. It is kept in memory only, and ends with the process; of the latest few, the status
//! says when and what kind they were.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use macloud_e2ee::vocabulary::{Action, Command, Refusal, Reply, Target, Transport};
use macloud_proto::ids::PlayerKey;
use serde::{Deserialize, Serialize};

/// So many are remembered.
const MOST: usize = 50;

/// So many are told to whoever asks how it stands.
const FEW: usize = 10;

/// A command that came from the cloud.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecentCommand {
    /// Seconds since 1970 when it was answered.
    pub at: u64,
    /// What kind of command: one word.
    pub kind: &'static str,
    /// What the player is called, where one was meant and is known.
    pub player: Option<String>,
    /// Why it was not carried out, in one word; `None` where it was.
    pub refused: Option<&'static str>,
}

/// The same for whoever is not to know which player.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Seconds since 1970 when it was answered.
    pub at: u64,
    /// What kind of command: one word.
    pub kind: String,
    /// Why it was not carried out, in one word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// How many there were since the connector was started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Carried out.
    pub done: u64,
    /// Not carried out.
    pub refused: u64,
    /// Seconds since 1970 when the last one was answered; 0 while there was none.
    pub last_at: u64,
}

/// What was asked lately. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Recent(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    latest: VecDeque<RecentCommand>,
    counts: Counts,
}

impl Recent {
    pub(crate) fn note(&self, command: RecentCommand) {
        let mut kept = self.kept();
        let count = if command.refused.is_some() { &mut kept.counts.refused } else { &mut kept.counts.done };
        *count += 1;
        kept.counts.last_at = command.at;
        if command.refused.is_none() && ["list", "read"].contains(&command.kind) {
            // Alexa looks all the time; what was done is not to be lost among that.
            return;
        }
        if kept.latest.len() >= MOST {
            kept.latest.pop_back();
        }
        kept.latest.push_front(command);
    }

    /// The latest first.
    pub(crate) fn latest(&self) -> Vec<RecentCommand> {
        self.kept().latest.iter().cloned().collect()
    }

    /// The latest few first, without the players.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        let asked = |command: &RecentCommand| Asked {
            at: command.at,
            kind: command.kind.into(),
            refused: command.refused.map(Into::into),
        };
        self.kept().latest.iter().take(FEW).map(asked).collect()
    }

    pub(crate) fn counts(&self) -> Counts {
        self.kept().counts
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // What is behind this lock is consistent between its own calls.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is asked, in one word.
pub(super) const fn kind(command: &Command) -> &'static str {
    let action = match command {
        Command::ListPlayers => return "list",
        Command::OnPlayer { action, .. } => action,
    };
    match action {
        Action::Read => "read",
        Action::SetPower(true) => "on",
        Action::SetPower(false) => "off",
        Action::SetVolume(_) | Action::AdjustVolume(_) => "volume",
        Action::SetMute(_) => "mute",
        Action::Transport(transport) => match transport {
            Transport::Play => "resume",
            Transport::Pause => "pause",
            Transport::Stop => "stop",
            Transport::Next => "next",
            Transport::Previous => "previous",
            Transport::StartOver | Transport::FastForward | Transport::Rewind => "seek",
        },
        Action::SeekTo(_) | Action::SeekBy(_) => "seek",
        Action::Play { .. } | Action::PlayPreset(_) | Action::PlaySimilar => "play",
        Action::SaveCurrent => "save",
        Action::SetShuffle(_) | Action::SetRepeat(_) | Action::SetAutoplay(_) => "order",
        Action::SetSleepTimer(_) => "sleep",
        Action::MoveTo(_) => "move",
        Action::JoinTo(_) | Action::Unjoin => "group",
        Action::UseHere | Action::ForgetHere => "device",
    }
}

/// The player that is meant exactly. A name that somebody spoke is theirs, and not repeated.
pub(super) fn key(command: &Command) -> Option<PlayerKey> {
    match command {
        Command::OnPlayer { target: Target::Key(key), .. } => Some(key.clone()),
        Command::OnPlayer { .. } | Command::ListPlayers => None,
    }
}

/// Why not, in one word.
pub(super) const fn refused(reply: &Reply) -> Option<&'static str> {
    let Reply::Refused(refusal) = reply else { return None };
    Some(match refusal {
        Refusal::UnknownPlayer | Refusal::NoPlayerNamed(_) => "no_such_player",
        Refusal::WhichPlayer(_) => "which_player",
        Refusal::PlayerUnavailable(_) => "player_away",
        Refusal::MediaNotFound | Refusal::MediaNotFoundYet | Refusal::UnknownPreset => "not_found",
        Refusal::NothingToPlay | Refusal::NothingPlays => "nothing_to_play",
        Refusal::NotSupported | Refusal::CannotGroup(_) => "not_supported",
        Refusal::PlayerBusy | Refusal::Busy => "busy",
        Refusal::MusicAssistantAway(_) => "music_assistant_away",
        Refusal::MusicAssistantStarting => "music_assistant_starting",
        Refusal::MusicAssistantRefusesToken => "token_refused",
        Refusal::MusicAssistantFailed | Refusal::Internal => "failed",
        Refusal::Late => "late",
        Refusal::NotGranted => "not_granted",
        Refusal::Stopped => "stopped",
        Refusal::UnknownCommand => "unknown_command",
        Refusal::OutcomeUnknown => "outcome_unknown",
        Refusal::VolumeLimited(_) => "volume_limited",
        Refusal::QuietHours(_) => "quiet_hours",
        Refusal::DidYouMean(_) => "asked_back",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(at: u64, refused: Option<&'static str>) -> RecentCommand {
        RecentCommand { at, kind: "pause", player: None, refused }
    }

    #[test]
    fn the_latest_fifty_are_remembered_and_all_are_counted() {
        let recent = Recent::default();
        for at in 1..=60 {
            recent.note(command(at, (at % 2 == 0).then_some("late")));
        }
        let latest = recent.latest();
        assert_eq!((latest.len(), latest[0].at, latest[49].at), (50, 60, 11));
        assert_eq!(recent.counts(), Counts { done: 30, refused: 30, last_at: 60 });
    }
}
