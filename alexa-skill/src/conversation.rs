//! What a question left open: carried to the next turn in Alexa's session attributes, and put together there with the
//! answer.
//!
//! "Play Abbey Road in the kitchen." "Which one: kitchen in Home or kitchen in Cottage?" "The cottage." Or: "Did you mean
//! Abbey Road by The Beatles?" "Yes." The attributes come back inside a signed request, but were in other hands meanwhile: what does not read as ours is dropped.

use macloud_e2ee::vocabulary::{
    Action, Item, MAX_SLEEP_MINUTES, Percent, Placement, Refusal, Repeat, Target, Transport, clean_text,
};
use serde_json::{Map, Value, json};

use crate::answer::speech::Say;
use crate::failure::Failure;
use crate::package::{kind_of_word, kind_word};
use crate::request::{Intent, Wish};

/// What the person was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open(Left);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Left {
    /// An intent that lacks something.
    Lacking(Intent),
    /// Something that may have been meant, and is played after a "yes".
    Doubted(Wish),
}

impl Open {
    /// `intent`, if an answer could make it complete.
    #[must_use]
    pub fn of(intent: &Intent) -> Option<Self> {
        to_json(intent).is_some().then(|| Self(Left::Lacking(intent.clone())))
    }

    /// What is open after a home's `refusal` of it: whether what it found is meant, if it asks that.
    #[must_use]
    pub fn after(self, refusal: &Refusal) -> Self {
        match (self.0, refusal) {
            (Left::Lacking(Intent::Play(wish)), Refusal::DidYouMean(found)) => Self(Left::Doubted(Wish {
                media: Some(found.title.clone()),
                artist: found.artist.clone(),
                kind: found.kind,
                ..wish
            })),
            (left, _) => Self(left),
        }
    }

    /// From a request's session attributes. Never panics, whatever they hold.
    #[must_use]
    pub fn read(attributes: &Value) -> Option<Self> {
        let open = attributes.get(NAME)?.as_object()?;
        match from_json(open)? {
            Intent::Play(wish) if open.get("doubted") == Some(&Value::Bool(true)) && wish.media.is_some() => {
                Some(Self(Left::Doubted(wish)))
            }
            intent => Some(Self(Left::Lacking(intent))),
        }
    }

    /// The session attributes of a response.
    #[must_use]
    pub fn to_attributes(&self) -> Value {
        let (open, doubted) = match &self.0 {
            Left::Lacking(intent) => (to_json(intent), false),
            Left::Doubted(wish) => (Some(wish_json(wish)), true),
        };
        let mut open = open.unwrap_or_default();
        if doubted {
            open["doubted"] = true.into();
        }
        json!({NAME: open})
    }

    /// The question once more, for who was not understood.
    #[must_use]
    pub fn asked_again(&self) -> Say {
        match &self.0 {
            Left::Doubted(wish) => {
                let (title, artist) = (wish.media.clone().unwrap_or_default(), wish.artist.clone());
                let found = Item { title, artist, album: None, kind: wish.kind };
                Say::Failed(Failure::Refused(Refusal::DidYouMean(found)))
            }
            Left::Lacking(Intent::Play(wish)) if wish.media.is_none() && wish.artist.is_none() => Say::WhatToPlay,
            Left::Lacking(_) => Say::WhichPlayer,
        }
    }

    /// Whether `said` says nothing towards it: then it is asked again.
    #[must_use]
    pub fn is_missed_by(&self, said: &Intent) -> bool {
        match said {
            Intent::Fallback => true,
            Intent::Yes => matches!(self.0, Left::Lacking(_)),
            _ => false,
        }
    }

    /// What is meant by `said`, now that this was open.
    #[must_use]
    pub fn complete(self, said: Intent) -> Intent {
        match (self.0, said) {
            (Left::Lacking(open), said) => supplied(open, said),
            (Left::Doubted(wish), Intent::Yes) => Intent::Play(Wish { sure: true, ..wish }),
            // "Did you mean …?" "In the kitchen."
            (Left::Doubted(wish), Intent::AnswerPlayer(player)) => {
                Intent::Play(Wish { player: player.or(wish.player), sure: true, ..wish })
            }
            // Something else, then, in the same place.
            (Left::Doubted(wish), said @ (Intent::No | Intent::Play(_) | Intent::AnswerMedia(_))) => {
                let open = Wish { media: None, artist: None, kind: None, ..wish };
                if said == Intent::No { Intent::Play(open) } else { supplied(Intent::Play(open), said) }
            }
            (Left::Doubted(_), said) => alone(said),
        }
    }
}

/// `open`, with what it lacked.
fn supplied(open: Intent, said: Intent) -> Intent {
    match (open, said) {
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
        (Intent::Act(action, open), Intent::AnswerPlayer(player)) => of_two(action, open, player),
        (_, said) => alone(said),
    }
}

/// Which of an action's players the answer means: the only one that was named, or else the one that it has a word of.
fn of_two(action: Action, player: Option<String>, answer: Option<String>) -> Intent {
    let fits = |name: &str| answer.as_deref().is_some_and(|answer| share_a_word(name, answer));
    let (other, with): (_, fn(Target) -> Action) = match action {
        Action::MoveTo(Target::Named(other)) => (other, Action::MoveTo),
        Action::JoinTo(Target::Named(other)) => (other, Action::JoinTo),
        action => return Intent::Act(action, answered(player, answer)),
    };
    if player.is_none() || fits(&other) && !player.as_deref().is_some_and(fits) {
        let other = answered(Some(other), answer).map_or(Target::Unnamed, Target::Named);
        return Intent::Act(with(other), player);
    }
    Intent::Act(with(Target::Named(other)), answered(player, answer))
}

/// What is meant by `said` when nothing was open.
#[must_use]
pub fn alone(said: Intent) -> Intent {
    match said {
        Intent::AnswerMedia(media) => Intent::Play(Wish { media, ..Wish::default() }),
        Intent::AnswerPlayer(player) => Intent::Play(Wish { player, ..Wish::default() }),
        // To "what would you like to hear?"
        Intent::Yes => Intent::Play(Wish::default()),
        Intent::No => Intent::Leave,
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
        Intent::Play(wish) => Some(wish_json(wish)),
        Intent::Act(action, player) => {
            let (word, amount, other) = action_word(action)?;
            Some(json!({"do": word, "amount": amount, "other": other, "player": player}))
        }
        Intent::AnswerMedia(_)
        | Intent::AnswerPlayer(_)
        | Intent::Yes
        | Intent::No
        | Intent::NoSuchVolume
        | Intent::NoSuchTime
        | Intent::Help
        | Intent::StopOrLeave
        | Intent::Leave
        | Intent::Fallback => None,
    }
}

fn wish_json(wish: &Wish) -> Value {
    json!({
        "do": "play",
        "media": wish.media,
        "artist": wish.artist,
        "kind": wish.kind.map(kind_word),
        "player": wish.player,
        "placement": placement_word(wish.placement),
        "sure": wish.sure,
    })
}

fn from_json(open: &Map<String, Value>) -> Option<Intent> {
    let text = |name: &str| open.get(name).and_then(Value::as_str).map(clean_text).filter(|text| !text.is_empty());
    let word = open.get("do")?.as_str()?;
    if word == "play" {
        return Some(Intent::Play(Wish {
            media: text("media"),
            artist: text("artist"),
            kind: open.get("kind").and_then(Value::as_str).and_then(kind_of_word),
            player: text("player"),
            placement: PLACEMENTS
                .into_iter()
                .find(|placement| open.get("placement").is_some_and(|word| word == placement_word(*placement)))?,
            sure: open.get("sure") == Some(&Value::Bool(true)),
        }));
    }
    let amount = open.get("amount").and_then(Value::as_i64);
    let other = || text("other").map_or(Target::Unnamed, Target::Named);
    let action = ACTIONS.into_iter().find(|action| action_word(action).is_some_and(|(known, ..)| known == word))?;
    let action = match action {
        Action::SetVolume(_) => Action::SetVolume(u8::try_from(amount?).ok().and_then(Percent::new)?),
        Action::AdjustVolume(_) => {
            Action::AdjustVolume(i8::try_from(amount?).ok().filter(|by| (-100..=100).contains(by))?)
        }
        Action::SeekTo(_) => Action::SeekTo(u32::try_from(amount?).ok().filter(|to| *to <= LONGEST_SEEK)?),
        Action::SeekBy(_) => {
            Action::SeekBy(i32::try_from(amount?).ok().filter(|by| by.unsigned_abs() <= LONGEST_SEEK)?)
        }
        Action::SetSleepTimer(Some(_)) => Action::SetSleepTimer(Some(
            u16::try_from(amount?).ok().filter(|minutes| (1..=MAX_SLEEP_MINUTES).contains(minutes))?,
        )),
        Action::MoveTo(_) => Action::MoveTo(other()),
        Action::JoinTo(_) => Action::JoinTo(other()),
        action => action,
    };
    Some(Intent::Act(action, text("player")))
}

/// A day, the longest time that is read.
const LONGEST_SEEK: u32 = 86_400;

/// One of each kind that can be open.
const ACTIONS: [Action; 31] = [
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
    Action::SeekTo(0),
    Action::SeekBy(0),
    Action::SetAutoplay(true),
    Action::SetAutoplay(false),
    Action::SetSleepTimer(Some(1)),
    Action::SetSleepTimer(None),
    Action::PlaySimilar,
    Action::SaveCurrent,
    Action::MoveTo(Target::Unnamed),
    Action::JoinTo(Target::Unnamed),
    Action::Unjoin,
    Action::UseHere,
    Action::ForgetHere,
];

/// The word for an action, its amount, and its other player.
fn action_word(action: &Action) -> Option<(&'static str, Option<i64>, Option<&str>)> {
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
    let plain = |word| Some((word, None, None));
    let amount = |word, amount: i64| Some((word, Some(amount), None));
    match action {
        Action::Read => plain("read"),
        Action::SetVolume(level) => amount("set_volume", level.value().into()),
        Action::AdjustVolume(by) => amount("adjust_volume", (*by).into()),
        Action::SetMute(true) => plain("mute"),
        Action::SetMute(false) => plain("unmute"),
        Action::Transport(which) => plain(transport(*which)),
        Action::SetShuffle(true) => plain("shuffle"),
        Action::SetShuffle(false) => plain("do_not_shuffle"),
        Action::SetRepeat(Repeat::Off) => plain("do_not_repeat"),
        Action::SetRepeat(Repeat::One) => plain("repeat_one"),
        Action::SetRepeat(Repeat::All) => plain("repeat_all"),
        Action::SeekTo(to) => amount("seek_to", (*to).into()),
        Action::SeekBy(by) => amount("seek_by", (*by).into()),
        Action::SetAutoplay(true) => plain("autoplay"),
        Action::SetAutoplay(false) => plain("no_autoplay"),
        Action::SetSleepTimer(Some(minutes)) => amount("sleep", (*minutes).into()),
        Action::SetSleepTimer(None) => plain("no_sleep"),
        Action::PlaySimilar => plain("similar"),
        Action::SaveCurrent => plain("save"),
        Action::MoveTo(other) => Some(("move", None, name_of(other))),
        Action::JoinTo(other) => Some(("join", None, name_of(other))),
        Action::Unjoin => plain("unjoin"),
        Action::UseHere => plain("use_here"),
        Action::ForgetHere => plain("forget_here"),
        // Nobody says it to the custom part; and playing is a wish of its own.
        Action::SetPower(_) | Action::Play { .. } | Action::PlayPreset(_) => None,
    }
}

fn name_of(target: &Target) -> Option<&str> {
    match target {
        Target::Named(name) => Some(name),
        Target::Key(_) | Target::Unnamed => None,
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
    use macloud_e2ee::vocabulary::MediaKind;

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
        assert_eq!((alone(Intent::Yes), alone(Intent::No)), (play(None, None), Intent::Leave));
        assert_eq!(alone(Intent::AnswerPlayer(some("kitchen"))), play(None, Some("kitchen")));
    }

    #[test]
    fn yes_plays_what_was_found_and_no_asks_for_something_else() {
        let wish = Wish { media: some("abby rode"), player: some("kitchen"), ..Wish::default() };
        let wish = Wish { placement: Placement::Add, ..wish };
        let found =
            Item { title: "Abbey Road".into(), artist: some("The Beatles"), album: None, kind: Some(MediaKind::Album) };
        let doubt = Refusal::DidYouMean(found.clone());
        let open = Open::of(&Intent::Play(wish.clone())).unwrap().after(&doubt);
        assert_eq!(Open::read(&open.to_attributes()), Some(open.clone()));
        assert_eq!(open.asked_again(), Say::Failed(Failure::Refused(doubt.clone())));
        let is = Wish { media: some("Abbey Road"), artist: some("The Beatles"), kind: found.kind, ..wish.clone() };
        let sure = |player: &str| Intent::Play(Wish { player: some(player), sure: true, ..is.clone() });
        let other = |media| Intent::Play(Wish { media, ..wish.clone() });
        for (said, meant) in [
            (Intent::Yes, sure("kitchen")),
            (Intent::AnswerPlayer(some("bathroom")), sure("bathroom")),
            (Intent::No, other(None)),
            (Intent::AnswerMedia(some("help")), other(some("help"))),
            (play(Some("help"), None), play(Some("help"), Some("kitchen"))),
            (Intent::Help, Intent::Help),
        ] {
            assert_eq!(open.clone().complete(said.clone()), meant, "{said:?}");
        }
        assert!(open.is_missed_by(&Intent::Fallback) && !open.is_missed_by(&Intent::Yes));
        let which = Open::of(&play(Some("x"), None)).unwrap().after(&Refusal::WhichPlayer(Vec::new()));
        assert!(which.is_missed_by(&Intent::Yes), "which player is not answered by yes");
    }

    #[test]
    fn of_two_players_the_one_is_meant_that_was_asked_about() {
        let move_to = |other: &str, player: Option<&str>| {
            Intent::Act(Action::MoveTo(Target::Named(other.into())), player.map(Into::into))
        };
        for (open, answer, meant) in [
            (move_to("kids", None), "kids upstairs", move_to("kids upstairs", None)),
            (move_to("kids", Some("bath")), "kids upstairs", move_to("kids upstairs", Some("bath"))),
            (move_to("kids", Some("bath")), "bath left", move_to("kids", Some("bath left"))),
            (move_to("kids", Some("bath")), "cottage", move_to("kids", Some("bath in cottage"))),
        ] {
            let said = Intent::AnswerPlayer(some(answer));
            assert_eq!(Open::of(&open).unwrap().complete(said), meant, "{open:?} {answer}");
        }
    }

    #[test]
    fn everything_that_can_be_open_survives_the_way_through_alexa() {
        let wish = Wish {
            media: some("kind of blue"),
            artist: some("miles davis"),
            player: some("kitchen"),
            kind: Some(MediaKind::Audiobook),
            placement: Placement::Next,
            sure: true,
        };
        let acts = ACTIONS.map(|action| Intent::Act(action, some("kitchen")));
        let amounts = [
            Action::SetVolume(Percent::clamped(30)),
            Action::AdjustVolume(-10),
            Action::SeekTo(86_400),
            Action::SeekBy(-30),
            Action::SetSleepTimer(Some(720)),
            Action::MoveTo(Target::Named("bathroom".into())),
            Action::JoinTo(Target::Named("bathroom".into())),
        ];
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
            json!({"open": {"do": "seek_to", "amount": -1}}),
            json!({"open": {"do": "seek_by", "amount": 86_401}}),
            json!({"open": {"do": "sleep", "amount": 721}}),
            json!({"open": {"do": "sleep"}}),
        ] {
            assert_eq!(Open::read(&wrong), None, "{wrong}");
        }
        let long = json!({"open": {"do": "play", "placement": "add", "media": "x".repeat(9999), "player": 7}});
        let Some(Open(Left::Lacking(Intent::Play(wish)))) = Open::read(&long) else { panic!("it is ours") };
        assert_eq!((wish.media.unwrap().len(), wish.player), (256, None));
    }
}
