//! What was said to the custom part, in our words.

use macloud_e2ee::vocabulary::{Action, MediaKind, MediaQuery, Placement, Target, Transport};

use crate::answer::speech::Say;
use crate::request::{Ask, Intent};

/// What a request of the custom part leads to.
#[derive(Debug, PartialEq, Eq)]
pub enum Turn {
    /// Something to do in a home, then something to say.
    Do {
        /// Where.
        target: Target,
        /// What.
        action: Action,
    },
    /// Only something to say.
    Say(Say),
    /// Nothing may be said.
    Silence,
}

/// What `ask` leads to.
#[must_use]
pub fn turn(ask: Ask) -> Turn {
    match ask {
        Ask::Launch => Turn::Say(Say::Welcome),
        Ask::SessionEnded | Ask::Other => Turn::Silence,
        Ask::Intent(intent) => match intent {
            Intent::PlayMedia { media, artist, player, kind } => match query(media, artist, kind) {
                Some(media) => {
                    Turn::Do { target: target(player), action: Action::Play { media, placement: Placement::Replace } }
                }
                None => Turn::Say(Say::WhatToPlay),
            },
            Intent::Pause => transport(Transport::Pause),
            Intent::Resume => transport(Transport::Play),
            Intent::Next => transport(Transport::Next),
            Intent::Previous => transport(Transport::Previous),
            Intent::WhatsPlaying { player } => Turn::Do { target: target(player), action: Action::Read },
            Intent::Help => Turn::Say(Say::Help),
            Intent::Leave => Turn::Say(Say::Goodbye),
            Intent::Fallback => Turn::Say(Say::NotUnderstood),
        },
    }
}

/// "Play Miles Davis" may fill only the artist: then the artist is what to find.
fn query(media: Option<String>, artist: Option<String>, kind: Option<MediaKind>) -> Option<MediaQuery> {
    match (media, artist) {
        (Some(text), artist) => Some(MediaQuery { text, artist, kind }),
        (None, Some(text)) => Some(MediaQuery { text, artist: None, kind: Some(kind.unwrap_or(MediaKind::Artist)) }),
        (None, None) => None,
    }
}

fn target(player: Option<String>) -> Target {
    player.map_or(Target::Unnamed, Target::Named)
}

const fn transport(transport: Transport) -> Turn {
    Turn::Do { target: Target::Unnamed, action: Action::Transport(transport) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_artist_alone_is_what_to_find() {
        let said = Intent::PlayMedia { media: None, artist: Some("nina simone".into()), player: None, kind: None };
        let media = MediaQuery { text: "nina simone".into(), artist: None, kind: Some(MediaKind::Artist) };
        let play = Action::Play { media, placement: Placement::Replace };
        assert_eq!(turn(Ask::Intent(said)), Turn::Do { target: Target::Unnamed, action: play });
        let nothing = Intent::PlayMedia { media: None, artist: None, player: Some("kitchen".into()), kind: None };
        assert_eq!(turn(Ask::Intent(nothing)), Turn::Say(Say::WhatToPlay));
    }
}
