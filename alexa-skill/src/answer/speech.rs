//! What the custom part says. [`Say`] is what there is to say, in no language; each language has a file that words it.
//!
//! Spoken errors name the cause and the remedy, never internals. Whatever comes from outside (titles, names) is escaped
//! where it enters a sentence: see [`Heard`].
//!
//! To add a language: a file beside `speech/en.rs` with the same function, a variant of [`Locale`], and the interaction
//! model under `infra/skill-package`.

mod en;

use std::fmt;

use macloud_e2ee::vocabulary::{
    Action, Item, MAX_TEXT_CHARS, Percent, Placement, Playback, Player, Refusal, Repeat, Transport,
};

use crate::failure::{Failure, TokenFault};

/// What there is to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Say {
    /// The skill was opened: what would you like?
    Welcome,
    /// What one can say here.
    Help,
    /// Leaving.
    Goodbye,
    /// Not understood: what would you like?
    NotUnderstood,
    /// Play what?
    WhatToPlay,
    /// Not understood: on which player?
    WhichPlayer,
    /// The account must be linked first.
    LinkFirst,
    /// Found, and started or put in the queue.
    Started {
        /// What was found.
        item: Option<Item>,
        /// Where in the queue it went.
        placement: Placement,
        /// The player's name.
        player: String,
    },
    /// How loud a player is now.
    Volume(Option<Percent>, String),
    /// Muted, or not any more.
    Muted(bool, String),
    /// In random order, or not any more.
    Shuffled(bool, String),
    /// What is repeated from now on.
    Repeats(Repeat, String),
    /// Playback control was carried out.
    Transported(Transport, String),
    /// Another change was carried out.
    Done,
    /// What a player plays.
    NowPlaying {
        /// What it plays.
        item: Option<Item>,
        /// Playing, paused or stopped.
        playback: Playback,
        /// The player's name.
        player: String,
    },
    /// It did not work, and why.
    Failed(Failure),
}

impl Say {
    /// What to say after `action` was carried out on `player`.
    #[must_use]
    pub fn done(action: &Action, player: Player, found: Option<Item>) -> Self {
        match action {
            Action::Read => Self::NowPlaying {
                item: player.state.now_playing,
                playback: player.state.playback,
                player: player.name,
            },
            Action::Transport(transport) => Self::Transported(*transport, player.name),
            Action::Play { placement, .. } => Self::Started { item: found, placement: *placement, player: player.name },
            Action::SetVolume(_) | Action::AdjustVolume(_) => Self::Volume(player.state.volume, player.name),
            Action::SetMute(muted) => Self::Muted(*muted, player.name),
            Action::SetShuffle(on) => Self::Shuffled(*on, player.name),
            Action::SetRepeat(repeat) => Self::Repeats(*repeat, player.name),
            Action::SetPower(_)
            | Action::SeekTo(_)
            | Action::SeekBy(_)
            | Action::SetAutoplay(_)
            | Action::SetSleepTimer(_)
            | Action::PlayPreset(_)
            | Action::PlaySimilar
            | Action::SaveCurrent
            | Action::MoveTo(_)
            | Action::JoinTo(_)
            | Action::Unjoin
            | Action::UseHere
            | Action::ForgetHere => Self::Done,
        }
    }

    /// Whether the card that leads to linking belongs to it.
    #[must_use]
    pub const fn asks_to_link(&self) -> bool {
        matches!(
            self,
            Self::LinkFirst
                | Self::Failed(
                    Failure::Token(TokenFault::Invalid) | Failure::ScopeMissing | Failure::Refused(Refusal::NotGranted)
                )
        )
    }
}

/// A wording of a [`Say`], as SSML without its root element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spoken {
    /// What is said.
    pub text: String,
    /// If an answer is expected: the question to repeat when none comes. The microphone opens only then.
    pub question: Option<String>,
}

/// The languages that have words.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Locale {
    /// English, in all its countries. The reference, and what others fall back to.
    #[default]
    English,
}

impl Locale {
    /// The one for a tag as Alexa sends it (`en-GB`); none for a language without words.
    #[must_use]
    pub fn of(tag: &str) -> Option<Self> {
        let language = tag.split('-').next().unwrap_or(tag);
        match language.to_ascii_lowercase().as_str() {
            "en" => Some(Self::English),
            _ => None,
        }
    }

    /// The wording of `say`.
    #[must_use]
    pub fn speak(self, say: &Say) -> Spoken {
        match self {
            Self::English => en::speak(say),
        }
    }
}

/// Text from outside, made safe to stand in SSML: bounded, without control characters, escaped.
struct Heard<'a>(&'a str);

impl fmt::Display for Heard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars().filter(|c| !c.is_control()).take(MAX_TEXT_CHARS) {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&apos;")?,
                // Not allowed in XML even when escaped.
                '\u{fffe}' | '\u{ffff}' => {}
                c => fmt::Write::write_char(f, c)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linking_again_is_asked_for_where_it_helps_and_not_for_what_passes() {
        for failure in
            [Failure::Token(TokenFault::Invalid), Failure::ScopeMissing, Failure::Refused(Refusal::NotGranted)]
        {
            assert!(Say::Failed(failure.clone()).asks_to_link(), "{failure:?}");
        }
        for failure in [Failure::Token(TokenFault::Expired), Failure::AccountsAway, Failure::Refused(Refusal::Stopped)]
        {
            assert!(!Say::Failed(failure.clone()).asks_to_link(), "{failure:?}");
        }
    }

    #[test]
    fn a_language_without_words_is_not_taken_for_another() {
        assert_eq!(
            [Locale::of("en-GB"), Locale::of("EN"), Locale::of("de-DE"), Locale::of("")],
            [Some(Locale::English), Some(Locale::English), None, None]
        );
    }

    #[test]
    fn text_from_outside_cannot_become_markup() {
        let heard = Heard("AC/DC <break time=\"10s\"/> & 'friends'\u{7}\u{ffff}").to_string();
        assert_eq!(heard, "AC/DC &lt;break time=&quot;10s&quot;/&gt; &amp; &apos;friends&apos;");
        assert_eq!(Heard(&"x".repeat(9999)).to_string().len(), MAX_TEXT_CHARS);
    }
}
