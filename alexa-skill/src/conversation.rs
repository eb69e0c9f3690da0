//! What a question left open: carried to the next turn in Alexa's session attributes, and put together there with the
//! answer.
//!
//! "Play Abbey Road in the kitchen." "Which one: kitchen in Home or kitchen in Cottage?" "The cottage." The attributes
//! come back inside a signed request, but were in other hands meanwhile: what does not read as ours is dropped.

use macloud_e2ee::vocabulary::{Action, MediaKind, Percent, Placement, Repeat, Transport, clean_text};
use serde_json::{Map, Value, json};

use crate::answer::speech::Say;
use crate::request::{Intent, Wish};

/// An intent that lacks something, which the person was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open(Intent);

impl Open {
    /// `intent`, if an answer could make it complete.
    #[must_use]
    pub fn of(intent: &Intent) -> Option<Self> {
        to_json(intent).is_some().then(|| Self(intent.clone()))
    }

    /// From a request's session attributes. Never panics, whatever they hold.
    #[must_use]
    pub fn read(attributes: &Value) -> Option<Self> {
        from_json(attributes.get(NAME)?.as_object()?).map(Self)
    }

    /// The session attributes of a response.
    #[must_use]
    pub fn to_attributes(&self) -> Value {
        json!({NAME: to_json(&self.0)})
    }

    /// The question once more, for who was not understood.
    #[must_use]
    pub const fn asked_again(&self) -> Say {
        match &self.0 {
            Intent::Play(wish) if wish.media.is_none() && wish.artist.is_none() => Say::WhatToPlay,
            _ => Say::WhichPlayer,
        }
    }

    /// What is meant by `said`, now that this was open.
    #[must_use]
    pub fn complete(self, said: Intent) -> Intent {
        match (self.0, said) {
            // "Play in the kitchen." "What?" "Play Abbey Road."
            (Intent::Play(open), Intent::Play(said)) if open.media.is_none() && open.artist.is_none() => {
                Intent::Play(Wish { player: said.player.or(open.player), ..said })
            }
            (Intent::Play(open), Intent::AnswerMedia(media)) => {
                Intent::Play(Wish { media, artist: None, kind: None, ..open })
            }
            (Intent::Play(open), Intent::AnswerPlayer(player)) => {
                Intent::Play(Wish { player: answered(open.player.clone(), player), ..open })
            }
            (Intent::Act(action, open), Intent::AnswerPlayer(player)) => Intent::Act(action, answered(open, player)),
            (_, said) => alone(said),
        }
    }
}

/// What is meant by `said` when nothing was open.
#[must_use]
pub fn alone(said: Intent) -> Intent {
    match said {
        Intent::AnswerMedia(media) => Intent::Play(Wish { media, ..Wish::default() }),
        Intent::AnswerPlayer(player) => Intent::Play(Wish { player, ..Wish::default() }),
        said => said,
    }
}

/// "Kitchen", asked back, and then "the cottage": both together. "Kitchen left" says it all.
fn answered(before: Option<String>, answer: Option<String>) -> Option<String> {
    match (before, answer) {
        (Some(before), Some(answer)) if !share_a_word(&before, &answer) => {
            Some(clean_text(&format!("{before} in {answer}")))
        }
        (before, answer) => answer.or(before),
    }
}

fn share_a_word(one: &str, other: &str) -> bool {
    let (one, other) = (one.to_lowercase(), other.to_lowercase());
    one.split_whitespace().any(|word| other.split_whitespace().any(|another| word == another))
}

const NAME: &str = "open";

fn to_json(intent: &Intent) -> Option<Value> {
    match intent {
        Intent::Play(wish) => Some(json!({
            "do": "play",
            "media": wish.media,
            "artist": wish.artist,
            "kind": wish.kind.map(kind_word),
            "player": wish.player,
            "placement": placement_word(wish.placement),
        })),
        Intent::Act(action, player) => {
            let (word, amount) = action_word(action)?;
            Some(json!({"do": word, "amount": amount, "player": player}))
        }
        Intent::AnswerMedia(_)
        | Intent::AnswerPlayer(_)
        | Intent::NoSuchVolume
        | Intent::Help
        | Intent::Leave
        | Intent::Fallback => None,
    }
}

fn from_json(open: &Map<String, Value>) -> Option<Intent> {
    let text = |name: &str| open.get(name).and_then(Value::as_str).map(clean_text).filter(|text| !text.is_empty());
    let word = open.get("do")?.as_str()?;
    if word == "play" {
        return Some(Intent::Play(Wish {
            media: text("media"),
            artist: text("artist"),
            kind: KINDS.into_iter().find(|kind| open.get("kind").is_some_and(|word| word == kind_word(*kind))),
            player: text("player"),
            placement: PLACEMENTS
                .into_iter()
                .find(|placement| open.get("placement").is_some_and(|word| word == placement_word(*placement)))?,
        }));
    }
    let amount = open.get("amount").and_then(Value::as_i64);
    let action = ACTIONS.into_iter().find(|action| action_word(action).is_some_and(|(known, _)| known == word))?;
    let action = match (action, amount) {
        (Action::SetVolume(_), level) => Action::SetVolume(u8::try_from(level?).ok().and_then(Percent::new)?),
        (Action::AdjustVolume(_), by) => {
            Action::AdjustVolume(i8::try_from(by?).ok().filter(|by| (-100..=100).contains(by))?)
        }
        (action, _) => action,
    };
    Some(Intent::Act(action, text("player")))
}

/// One of each kind that can be open.
const ACTIONS: [Action; 18] = [
    Action::Read,
    Action::SetVolume(Percent::ZERO),
    Action::AdjustVolume(0),
    Action::SetMute(true),
    Action::SetMute(false),
    Action::Transport(Transport::Play),
    Action::Transport(Transport::Pause),
    Action::Transport(Transport::Stop),
    Action::Transport(Transport::Next),
    Action::Transport(Transport::Previous),
    Action::Transport(Transport::StartOver),
    Action::Transport(Transport::FastForward),
    Action::Transport(Transport::Rewind),
    Action::SetShuffle(true),
    Action::SetShuffle(false),
    Action::SetRepeat(Repeat::Off),
    Action::SetRepeat(Repeat::One),
    Action::SetRepeat(Repeat::All),
];

fn action_word(action: &Action) -> Option<(&'static str, Option<i64>)> {
    let transport = |transport: Transport| match transport {
        Transport::Play => "resume",
        Transport::Pause => "pause",
        Transport::Stop => "stop",
        Transport::Next => "next",
        Transport::Previous => "previous",
        Transport::StartOver => "start_over",
        Transport::FastForward => "fast_forward",
        Transport::Rewind => "rewind",
    };
    match action {
        Action::Read => Some(("read", None)),
        Action::SetVolume(level) => Some(("set_volume", Some(level.value().into()))),
        Action::AdjustVolume(by) => Some(("adjust_volume", Some((*by).into()))),
        Action::SetMute(true) => Some(("mute", None)),
        Action::SetMute(false) => Some(("unmute", None)),
        Action::Transport(which) => Some((transport(*which), None)),
        Action::SetShuffle(true) => Some(("shuffle", None)),
        Action::SetShuffle(false) => Some(("do_not_shuffle", None)),
        Action::SetRepeat(Repeat::Off) => Some(("do_not_repeat", None)),
        Action::SetRepeat(Repeat::One) => Some(("repeat_one", None)),
        Action::SetRepeat(Repeat::All) => Some(("repeat_all", None)),
        // Nobody says it to the custom part; and playing is a wish of its own.
        Action::SetPower(_) | Action::Play { .. } => None,
        Action::SeekTo(_)
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
        | Action::ForgetHere => None,
    }
}

const KINDS: [MediaKind; 8] = [
    MediaKind::Track,
    MediaKind::Album,
    MediaKind::Artist,
    MediaKind::Playlist,
    MediaKind::Radio,
    MediaKind::Genre,
    MediaKind::Audiobook,
    MediaKind::Podcast,
];

const fn kind_word(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Track => "track",
        MediaKind::Album => "album",
        MediaKind::Artist => "artist",
        MediaKind::Playlist => "playlist",
        MediaKind::Radio => "radio",
        MediaKind::Genre => "genre",
        MediaKind::Audiobook => "audiobook",
        MediaKind::Podcast => "podcast",
    }
}

const PLACEMENTS: [Placement; 3] = [Placement::Replace, Placement::Next, Placement::Add];

const fn placement_word(placement: Placement) -> &'static str {
    match placement {
        Placement::Replace => "replace",
        Placement::Next => "next",
        Placement::Add => "add",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    fn play(media: Option<&str>, player: Option<&str>) -> Intent {
        Intent::Play(Wish { media: media.map(Into::into), player: player.map(Into::into), ..Wish::default() })
    }

    #[test]
    fn an_answer_completes_what_was_open() {
        let pause = |player| Intent::Act(Action::Transport(Transport::Pause), player);
        for (open, said, meant) in [
            (
                play(Some("abbey road"), None),
                Intent::AnswerPlayer(some("kitchen")),
                play(Some("abbey road"), Some("kitchen")),
            ),
            (
                play(Some("x"), Some("kids")),
                Intent::AnswerPlayer(some("kids upstairs")),
                play(Some("x"), Some("kids upstairs")),
            ),
            (
                play(Some("x"), Some("Kitchen")),
                Intent::AnswerPlayer(some("cottage")),
                play(Some("x"), Some("Kitchen in cottage")),
            ),
            (play(Some("x"), Some("kitchen")), Intent::AnswerPlayer(None), play(Some("x"), Some("kitchen"))),
            (play(None, Some("kitchen")), Intent::AnswerMedia(some("jazz")), play(Some("jazz"), Some("kitchen"))),
            (play(None, Some("kitchen")), play(Some("jazz"), None), play(Some("jazz"), Some("kitchen"))),
            (play(None, Some("kitchen")), play(Some("jazz"), Some("attic")), play(Some("jazz"), Some("attic"))),
            (pause(None), Intent::AnswerPlayer(some("kitchen")), pause(some("kitchen"))),
            (pause(some("kitchen")), play(Some("jazz"), None), play(Some("jazz"), None)),
            (play(Some("x"), Some("kitchen")), Intent::Help, Intent::Help),
        ] {
            assert_eq!(Open::of(&open).unwrap().complete(said.clone()), meant, "{open:?} {said:?}");
        }
        assert_eq!(alone(Intent::AnswerMedia(some("jazz"))), play(Some("jazz"), None));
        assert_eq!(alone(Intent::AnswerPlayer(some("kitchen"))), play(None, Some("kitchen")));
    }

    #[test]
    fn everything_that_can_be_open_survives_the_way_through_alexa() {
        let wish = Wish {
            media: some("kind of blue"),
            artist: some("miles davis"),
            player: some("kitchen"),
            kind: Some(MediaKind::Album),
            placement: Placement::Next,
        };
        let acts = ACTIONS.map(|action| Intent::Act(action, some("kitchen")));
        let amounts = [Action::SetVolume(Percent::clamped(30)), Action::AdjustVolume(-10)];
        let amounts = amounts.map(|action| Intent::Act(action, None));
        for intent in [Intent::Play(wish), play(None, None)].into_iter().chain(acts).chain(amounts) {
            let open = Open::of(&intent).unwrap();
            assert_eq!(Open::read(&open.to_attributes()), Some(open), "{intent:?}");
        }
    }

    #[test]
    fn what_is_not_ours_is_dropped_and_what_is_too_long_is_cut() {
        for wrong in [
            json!(null),
            json!({"open": []}),
            json!({"open": {"do": "erase"}}),
            json!({"open": {"do": "play", "placement": "elsewhere"}}),
            json!({"open": {"do": "set_volume", "amount": 200}}),
            json!({"open": {"do": "set_volume"}}),
            json!({"open": {"do": "adjust_volume", "amount": -101}}),
        ] {
            assert_eq!(Open::read(&wrong), None, "{wrong}");
        }
        let long = json!({"open": {"do": "play", "placement": "add", "media": "x".repeat(9999), "player": 7}});
        let Some(Open(Intent::Play(wish))) = Open::read(&long) else { panic!("it is ours") };
        assert_eq!((wish.media.unwrap().len(), wish.player), (256, None));
    }
}
