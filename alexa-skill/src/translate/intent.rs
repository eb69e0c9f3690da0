//! What was said to the custom part, in our words.

use macloud_e2ee::vocabulary::{Action, MediaKind, MediaQuery, Target, Transport};

use crate::answer::speech::Say;
use crate::conversation::{Open, alone};
use crate::failure::Failure;
use crate::request::{Ask, Intent, Wish};

/// What a request of the custom part leads to.
#[derive(Debug, PartialEq, Eq)]
pub enum Turn {
    /// Something to do in a home, then something to say.
    Do {
        /// Where.
        target: Target,
        /// What. `None`: nothing yet, as it was not said what to play; but there must be such a player.
        action: Option<Action>,
    },
    /// Only something to say.
    Say(Say),
    /// Nothing may be said.
    Silence,
}

/// What `ask` leads to, and what is left open should it lead to a question. `open` is what the last one left.
#[must_use]
pub fn turn(ask: Ask, open: Option<Open>) -> (Turn, Option<Open>) {
    let said = match ask {
        Ask::Launch => return (Turn::Say(Say::Welcome), None),
        Ask::SessionEnded | Ask::SkillEvent(_) | Ask::Other => return (Turn::Silence, None),
        Ask::Intent(said) => said,
    };
    let meant = match open {
        Some(open) if open.is_missed_by(&said) => return (Turn::Say(open.asked_again()), Some(open)),
        Some(open) => open.complete(said),
        None => alone(said),
    };
    let open = Open::of(&meant);
    (meaning(meant), open)
}

fn meaning(intent: Intent) -> Turn {
    match intent {
        Intent::Play(Wish { media, artist, player, kind, placement, sure }) => match query(media, artist, kind, sure) {
            Some(media) => Turn::Do { target: target(player), action: Some(Action::Play { media, placement }) },
            None if player.is_some() => Turn::Do { target: target(player), action: None },
            None => Turn::Say(Say::WhatToPlay),
        },
        Intent::Act(action, player) => Turn::Do { target: target(player), action: Some(action) },
        Intent::NoSuchVolume => Turn::Say(Say::Failed(Failure::OutOfRange { minimum: 0, maximum: 100 })),
        Intent::NoSuchTime => Turn::Say(Say::NoSuchTime),
        Intent::Help => Turn::Say(Say::Help(Vec::new())),
        Intent::StopOrLeave => Turn::Do { target: Target::Unnamed, action: Some(Action::Transport(Transport::Stop)) },
        Intent::Leave => Turn::Say(Say::Goodbye),
        // Answers have become wishes before.
        Intent::AnswerMedia(_) | Intent::AnswerPlayer(_) | Intent::Yes | Intent::No | Intent::Fallback => {
            Turn::Say(Say::NotUnderstood)
        }
    }
}

/// "Play Miles Davis" may fill only the artist: then the artist is what to find.
fn query(media: Option<String>, artist: Option<String>, kind: Option<MediaKind>, sure: bool) -> Option<MediaQuery> {
    match (media, artist) {
        (Some(text), artist) => Some(MediaQuery { text, artist, kind, sure }),
        (None, Some(text)) => {
            Some(MediaQuery { text, artist: None, kind: Some(kind.unwrap_or(MediaKind::Artist)), sure })
        }
        (None, None) => None,
    }
}

fn target(player: Option<String>) -> Target {
    player.map_or(Target::Unnamed, Target::Named)
}

#[cfg(test)]
mod tests {
    use super::*;
    use macloud_e2ee::vocabulary::Placement;

    #[test]
    fn an_artist_alone_is_what_to_find() {
        let said = Wish { artist: Some("nina simone".into()), ..Wish::default() };
        let media = MediaQuery { text: "nina simone".into(), artist: None, kind: Some(MediaKind::Artist), sure: false };
        let action = Some(Action::Play { media, placement: Placement::Replace });
        let play = Turn::Do { target: Target::Unnamed, action };
        assert_eq!(turn(Ask::Intent(Intent::Play(said)), None).0, play);
        let nothing = Intent::Play(Wish { player: Some("kitchen".into()), ..Wish::default() });
        let (turn, open) = turn(Ask::Intent(nothing.clone()), None);
        let there = Turn::Do { target: Target::Named("kitchen".into()), action: None };
        assert_eq!((turn, open), (there, Open::of(&nothing)));
    }

    #[test]
    fn what_was_not_understood_is_asked_again_and_stays_open() {
        let open = Open::of(&Intent::Act(Action::Read, None));
        let again = turn(Ask::Intent(Intent::Fallback), open.clone());
        assert_eq!(again, (Turn::Say(Say::WhichPlayer), open));
        assert_eq!(turn(Ask::Intent(Intent::Fallback), None), (Turn::Say(Say::NotUnderstood), None));
    }
}
