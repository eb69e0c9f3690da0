//! What the custom part says. [`Say`] is what there is to say, in no language; each language has a file that words it.
//!
//! Spoken errors name the cause and the remedy, never internals. Whatever comes from outside (titles, names) is escaped
//! where it enters a sentence: see [`Heard`].
//!
//! To add a language: a file beside `speech/en.rs` with the same function, a variant of [`Locale`], and a file of the
//! package (`crate::package`), which says what people say in it.

mod de;
mod en;
mod es;
mod fr;
mod it;
mod nl;

use std::fmt;
use std::time::Duration;

use macloud_e2ee::vocabulary::{
    Action, Item, MAX_TEXT_CHARS, Percent, Placement, Playback, Player, Refusal, Repeat, Transport,
};

use crate::failure::{Failure, TokenFault};

/// What there is to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Say {
    /// The skill was opened: what would you like?
    Welcome,
    /// What one can say here, on players of these names.
    Help(Vec<String>),
    /// Leaving.
    Goodbye,
    /// A home takes its time.
    OneMoment,
    /// Not understood: what would you like?
    NotUnderstood,
    /// Play what?
    WhatToPlay,
    /// Not understood: on which player?
    WhichPlayer,
    /// A time that is none, or too long.
    NoSuchTime,
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
    /// Playing from this second on.
    SoughtTo(u32, String),
    /// So many seconds on, or back.
    SoughtBy(i32, String),
    /// Whether it goes on with similar music in the end.
    Autoplay(bool, String),
    /// It stops in so many minutes, or not any more.
    SleepTimer(Option<u16>, String),
    /// Similar music from now on.
    Similar(String),
    /// This is a favourite now.
    Saved(Option<Item>),
    /// The music goes on there.
    Moved(String),
    /// The first plays along with the other one.
    Joined(String, Option<String>),
    /// It is on its own again, whether or not it plays.
    Unjoined(String),
    /// The device that was spoken to is used with this player.
    UsedHere(String),
    /// It is used with none any more.
    ForgottenHere,
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
    /// What was said first, and that the device that was spoken to is used with this player from now on.
    Learned(Box<Say>, String),
    /// Done on all players of a home.
    Everywhere(Everywhere),
    /// What was said first, but for these players; and why.
    Except(Box<Say>, Vec<String>, Failure),
    /// It cannot be asked of all players at once.
    NotEverywhere,
    /// It did not work, and why.
    Failed(Failure),
}

/// What was done on all players of a home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Everywhere {
    /// Whatever played is paused.
    Paused,
    /// Whatever played is stopped.
    Stopped,
    /// Whatever was paused goes on.
    Resumed,
    /// How loud they are now; `None` where each differs.
    Volume(Option<Percent>),
    /// Muted, or not any more.
    Muted(bool),
    /// They stop in so many minutes, or not any more.
    SleepTimer(Option<u16>),
    /// They play this, together.
    Plays(Option<Item>),
    /// Each is on its own again, whether or not it plays.
    Alone,
    /// Another order of their queues, or another end.
    Ordered,
}

/// What a home says after something was done on a player of its.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// The player it was done on.
    pub player: Player,
    /// The other one, where there are two.
    pub other: Option<Player>,
    /// What was found.
    pub found: Option<Item>,
    /// The device that was spoken to is used with the player from now on.
    pub learned: bool,
}

impl Say {
    /// What to say after `action` was carried out.
    #[must_use]
    pub fn done(action: &Action, done: Done) -> Self {
        let Done { player, other, found, learned } = done;
        let name = player.name.clone();
        let say = match action {
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
            Action::SeekTo(to) => Self::SoughtTo(*to, player.name),
            Action::SeekBy(by) => Self::SoughtBy(*by, player.name),
            Action::SetAutoplay(on) => Self::Autoplay(*on, player.name),
            Action::SetSleepTimer(minutes) => Self::SleepTimer(*minutes, player.name),
            Action::PlaySimilar => Self::Similar(player.name),
            Action::SaveCurrent => Self::Saved(found.or(player.state.now_playing)),
            Action::MoveTo(_) => Self::Moved(other.map_or(player.name, |other| other.name)),
            Action::JoinTo(_) => Self::Joined(player.name, other.map(|other| other.name)),
            Action::Unjoin => Self::Unjoined(player.name),
            Action::UseHere => return Self::UsedHere(player.name),
            Action::ForgetHere => return Self::ForgottenHere,
            Action::SetPower(_) | Action::PlayPreset(_) => Self::Done,
        };
        if learned { Self::Learned(Box::new(say), name) } else { say }
    }

    /// Whether it is worth reading again in the Alexa app: what did not work, and what one may look up later.
    #[must_use]
    pub const fn is_worth_a_card(&self) -> bool {
        matches!(
            self,
            Self::Help(_)
                | Self::NowPlaying { item: Some(_), .. }
                | Self::Learned(..)
                | Self::Except(..)
                | Self::Failed(_)
        )
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

impl Spoken {
    /// What is said, as it is read.
    #[must_use]
    pub fn plain(&self) -> String {
        // The wordings have no elements, and `&amp;` comes last so that nothing is replaced twice.
        let entities = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
        entities.into_iter().fold(self.text.clone(), |text, (entity, c)| text.replace(entity, c))
    }
}

/// The languages that have words.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Locale {
    /// English, in all its countries. The reference, and what others fall back to.
    #[default]
    English,
    /// German.
    German,
    /// French.
    French,
    /// Spanish.
    Spanish,
    /// Italian.
    Italian,
    /// Dutch.
    Dutch,
}

impl Locale {
    /// The one for a tag as Alexa sends it (`en-GB`); none for a language without words.
    #[must_use]
    pub fn of(tag: &str) -> Option<Self> {
        let language = tag.split('-').next().unwrap_or(tag);
        match language.to_ascii_lowercase().as_str() {
            "en" => Some(Self::English),
            "de" => Some(Self::German),
            "fr" => Some(Self::French),
            "es" => Some(Self::Spanish),
            "it" => Some(Self::Italian),
            "nl" => Some(Self::Dutch),
            _ => None,
        }
    }

    /// The wording of `say`.
    #[must_use]
    pub fn speak(self, say: &Say) -> Spoken {
        match self {
            Self::English => en::speak(say),
            Self::German => de::speak(say),
            Self::French => fr::speak(say),
            Self::Spanish => es::speak(say),
            Self::Italian => it::speak(say),
            Self::Dutch => nl::speak(say),
        }
    }

    /// What stands before the code by which a request's way is found again.
    #[must_use]
    pub const fn code_word(self) -> &'static str {
        match self {
            Self::English | Self::German | Self::French | Self::Dutch => "Code",
            Self::Spanish => "Código",
            Self::Italian => "Codice",
        }
    }

    /// A player in a home of several, as it is told apart from others.
    #[must_use]
    pub fn in_home(self, player: &str, home: &str) -> String {
        let joint = match self {
            Self::English | Self::German | Self::Dutch => "in",
            Self::French | Self::Spanish => "de",
            Self::Italian => "di",
        };
        format!("{player} {joint} {home}")
    }
}

fn saying(text: impl Into<String>) -> Spoken {
    Spoken { text: text.into(), question: None }
}

fn asking(text: &str, question: &str) -> Spoken {
    Spoken { text: format!("{text} {question}").trim_start().to_owned(), question: Some(question.to_owned()) }
}

/// Both, one after the other.
fn after(first: Spoken, then: &str) -> Spoken {
    Spoken { text: format!("{} {then}", first.text), question: first.question }
}

/// Its title, and `by` whom.
fn title(item: &Item, by: &str) -> String {
    match &item.artist {
        Some(artist) if artist != &item.title => format!("{} {by} {}", Heard(&item.title), Heard(artist)),
        _ => Heard(&item.title).to_string(),
    }
}

/// The first few, so that nobody listens to thirty names.
fn list(names: &[String], and: &str) -> String {
    const MOST: usize = 5;
    let shown: Vec<String> = names.iter().take(MOST).map(|name| Heard(name).to_string()).collect();
    match shown.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} {and} {last}", first.join(", ")),
    }
}

/// The words for a length of time: each unit as one (with its article) and as many.
struct Units {
    hour: (&'static str, &'static str),
    minute: (&'static str, &'static str),
    second: (&'static str, &'static str),
    and: &'static str,
}

impl Units {
    /// "2 hours, a minute and 5 seconds".
    fn say(&self, seconds: u32) -> String {
        let parts = [(seconds / 3600, self.hour), (seconds / 60 % 60, self.minute), (seconds % 60, self.second)];
        let counted = parts.into_iter().filter(|(count, _)| *count > 0);
        let said: Vec<String> = counted.map(|(count, unit)| Self::counted(count, unit)).collect();
        match said.as_slice() {
            [] => Self::counted(0, self.second),
            [one] => one.clone(),
            [first @ .., last] => format!("{} {} {last}", first.join(", "), self.and),
        }
    }

    fn counted(count: u32, (one, many): (&str, &str)) -> String {
        if count == 1 { one.to_owned() } else { format!("{count} {many}") }
    }
}

/// A length of time as somebody would say it who has not looked at a clock: `hours` are "about" so many. Nothing below two minutes,
/// which are a moment.
fn roughly(length: Duration, about: &str, [minutes, hours, days]: [&str; 3]) -> Option<String> {
    match length.as_secs() / 60 {
        0..2 => None,
        count @ 2..90 => Some(format!("{count} {minutes}")),
        count @ 90..2160 => Some(format!("{about} {} {hours}", (count + 30) / 60)),
        count => Some(format!("{} {days}", (count + 720) / 1440)),
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
    use std::collections::HashMap;

    use super::*;
    use crate::dispatch::UsedUp;
    use macloud_e2ee::vocabulary::{MediaKind, MinuteOfDay};

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
    fn the_end_of_quiet_hours_is_said_as_a_person_would() {
        let hours = [0, 60, 7 * 60, 12 * 60, 19 * 60 + 5];
        for (locale, wanted) in [
            (Locale::English, ["until midnight:", "until 1 AM:", "until 7 AM:", "until noon:", "until 7:05 PM:"]),
            (Locale::German, ["bis Mitternacht:", "bis ein Uhr:", "bis 7 Uhr:", "bis 12 Uhr:", "bis 19:05 Uhr:"]),
            (Locale::French, ["à minuit :", "à une heure :", "à 7 heures :", "à midi :", "à 19 heures 5 :"]),
            (Locale::Spanish, ["la medianoche:", "hasta la una:", "hasta las 7:", "hasta las 12:", "hasta las 19:05:"]),
            (
                Locale::Italian,
                ["fino a mezzanotte:", "fino all'una:", "fino alle 7:", "fino alle 12:", "fino alle 19:05:"],
            ),
            (Locale::Dutch, ["tot middernacht:", "tot 1 uur:", "tot 7 uur:", "tot 12 uur:", "tot 19:05 uur:"]),
        ] {
            for (minutes, wanted) in hours.into_iter().zip(wanted) {
                let failure = Failure::Refused(Refusal::QuietHours(MinuteOfDay::new(minutes)));
                let text = locale.speak(&Say::Failed(failure)).text;
                assert!(text.contains(wanted), "{wanted:?} in {text:?}");
            }
        }
    }

    #[test]
    fn how_long_something_is_away_is_said_as_a_person_would() {
        let said = |minutes: u64, locale: Locale| {
            let away = Duration::from_secs(minutes * 60);
            let said = |failure| locale.speak(&Say::Failed(failure)).text;
            [said(Failure::Away(away)), said(Failure::Refused(Refusal::MusicAssistantAway(Some(away))))]
        };
        for (locale, [minutes, hours, days]) in [
            (Locale::English, ["for 20 minutes.", "for about 2 hours.", "for 2 days."]),
            (Locale::German, ["seit 20 Minuten ", "seit etwa 2 Stunden ", "seit 2 Tagen "]),
            (Locale::French, ["depuis 20 minutes.", "depuis environ 2 heures.", "depuis 2 jours."]),
            (Locale::Spanish, ["desde hace 20 minutos.", "desde hace unas 2 horas.", "desde hace 2 días."]),
            (Locale::Italian, ["da 20 minuti.", "da circa 2 ore.", "da 2 giorni."]),
            (Locale::Dutch, ["al 20 minuten ", "al ongeveer 2 uur ", "al 2 dagen "]),
        ] {
            for (length, wanted) in [(20, minutes), (90, hours), (149, hours), (36 * 60, days), (59 * 60, days)] {
                for text in said(length, locale) {
                    assert!(text.contains(wanted), "{wanted:?} in {text:?}");
                }
            }
            for (moment, unknown) in said(1, locale).into_iter().zip([
                Failure::NotSent(macloud_proto::bus::v1::not_sent::Reason::NotConnected),
                Failure::Refused(Refusal::MusicAssistantAway(None)),
            ]) {
                assert_eq!(moment, locale.speak(&Say::Failed(unknown)).text, "a moment is not worth a word");
            }
        }
    }

    #[test]
    fn a_language_without_words_is_not_taken_for_another() {
        for (tag, locale) in [
            ("en-GB", Some(Locale::English)),
            ("EN", Some(Locale::English)),
            ("de-DE", Some(Locale::German)),
            ("fr-CA", Some(Locale::French)),
            ("es-ES", Some(Locale::Spanish)),
            ("it-IT", Some(Locale::Italian)),
            ("nl-NL", Some(Locale::Dutch)),
            ("ja-JP", None),
            ("", None),
        ] {
            assert_eq!(Locale::of(tag), locale, "{tag}");
        }
    }

    #[test]
    fn text_from_outside_cannot_become_markup() {
        let heard = Heard("AC/DC <break time=\"10s\"/> & 'friends'\u{7}\u{ffff}").to_string();
        assert_eq!(heard, "AC/DC &lt;break time=&quot;10s&quot;/&gt; &amp; &apos;friends&apos;");
        assert_eq!(Heard(&"x".repeat(9999)).to_string().len(), MAX_TEXT_CHARS);
    }

    const LOCALES: [Locale; 6] =
        [Locale::English, Locale::German, Locale::French, Locale::Spanish, Locale::Italian, Locale::Dutch];

    /// Everything there is to say, with each of its forms.
    fn everything() -> Vec<Say> {
        let name = || "Q7".to_owned();
        let item = |artist: Option<&str>| Item {
            title: "X1 & <Y2>".into(),
            artist: artist.map(Into::into),
            album: None,
            kind: Some(MediaKind::Track),
        };
        let mut all = vec![
            Say::Welcome,
            Say::Help(Vec::new()),
            Say::Help(vec![name()]),
            Say::Help(vec![name(), "Q8".into()]),
            Say::NotEverywhere,
            Say::Goodbye,
            Say::OneMoment,
            Say::NotUnderstood,
            Say::WhatToPlay,
            Say::WhichPlayer,
            Say::NoSuchTime,
            Say::LinkFirst,
            Say::Done,
            Say::ForgottenHere,
            Say::Similar(name()),
            Say::Moved(name()),
            Say::Unjoined(name()),
            Say::UsedHere(name()),
            Say::Saved(None),
            Say::Saved(Some(item(Some("Z3")))),
            Say::Joined(name(), None),
            Say::Joined(name(), Some("Q8".into())),
            Say::SleepTimer(None, name()),
            Say::Volume(None, name()),
            Say::Volume(Some(Percent::clamped(30)), name()),
            Say::Learned(Box::new(Say::Muted(true, name())), name()),
        ];
        all.extend([1, 59, 60, 61, 120, 3600, 3661, 7325].map(|to| Say::SoughtTo(to, name())));
        all.extend([-3600, -60, -30, -1, 1, 30, 60, 90].map(|by| Say::SoughtBy(by, name())));
        all.extend([1, 2, 59, 60, 61, 90, 120, 720].map(|minutes| Say::SleepTimer(Some(minutes), name())));
        all.extend(everywhere(item(Some("Z3"))).map(Say::Everywhere));
        let paused = || Box::new(Say::Everywhere(Everywhere::Paused));
        all.push(Say::Except(paused(), vec![name()], Failure::Refused(Refusal::PlayerUnavailable(name()))));
        all.push(Say::Except(paused(), vec![name(), "Q8".into()], Failure::TimeUp));
        for on in [true, false] {
            all.extend([Say::Muted(on, name()), Say::Shuffled(on, name()), Say::Autoplay(on, name())]);
        }
        all.extend([Repeat::Off, Repeat::One, Repeat::All].map(|repeat| Say::Repeats(repeat, name())));
        all.extend(TRANSPORTS.map(|transport| Say::Transported(transport, name())));
        for item in [None, Some(item(None)), Some(item(Some("Z3")))] {
            for placement in [Placement::Replace, Placement::Next, Placement::Add] {
                all.push(Say::Started { item: item.clone(), placement, player: name() });
            }
            for playback in [Playback::Playing, Playback::Paused, Playback::Stopped] {
                all.push(Say::NowPlaying { item: item.clone(), playback, player: name() });
            }
        }
        all.extend(failures().into_iter().map(Say::Failed));
        all
    }

    fn everywhere(item: Item) -> [Everywhere; 13] {
        [
            Everywhere::Paused,
            Everywhere::Stopped,
            Everywhere::Resumed,
            Everywhere::Volume(Some(Percent::clamped(30))),
            Everywhere::Volume(None),
            Everywhere::Muted(true),
            Everywhere::Muted(false),
            Everywhere::SleepTimer(Some(20)),
            Everywhere::SleepTimer(None),
            Everywhere::Plays(Some(item)),
            Everywhere::Plays(None),
            Everywhere::Alone,
            Everywhere::Ordered,
        ]
    }

    const TRANSPORTS: [Transport; 8] = [
        Transport::Play,
        Transport::Pause,
        Transport::Stop,
        Transport::Next,
        Transport::Previous,
        Transport::StartOver,
        Transport::FastForward,
        Transport::Rewind,
    ];

    /// Of each a part of what is said: of minutes, hours and days.
    const AWAY: [Duration; 3] = [Duration::from_mins(20), Duration::from_hours(3), Duration::from_hours(49)];

    fn failures() -> Vec<Failure> {
        use macloud_proto::bus::v1::{not_sent, unknown};
        let used_up = |commands_per_day, after: u64| {
            Failure::UsedUp(UsedUp { commands_per_day, after: Duration::from_secs(after) })
        };
        let mut all = vec![
            Failure::InvalidDirective("x"),
            Failure::OutOfRange { minimum: 0, maximum: 100 },
            Failure::NoSuchMode,
            Failure::Token(TokenFault::Expired),
            Failure::Token(TokenFault::Invalid),
            Failure::Token(TokenFault::Suspended),
            Failure::ScopeMissing,
            Failure::NoSuchEndpoint,
            Failure::NoHome,
            Failure::HomePaused,
            Failure::AccountsAway,
            Failure::BusAway,
            Failure::TimeUp,
            Failure::HomeUntrusted,
            Failure::SessionBroken,
            Failure::UnexpectedReply,
            Failure::GrantNotAccepted,
            Failure::SameName("Q7".into()),
        ];
        all.extend([(0, 0), (1, 60), (100, 120), (100, 5400), (100, 36_000)].map(|(most, after)| used_up(most, after)));
        all.extend(AWAY.map(Failure::Away));
        all.extend(AWAY.map(|away| Failure::Refused(Refusal::MusicAssistantAway(Some(away)))));
        all.extend((0..16).filter_map(|n| not_sent::Reason::try_from(n).ok()).map(Failure::NotSent));
        all.extend((0..16).filter_map(|n| unknown::Reason::try_from(n).ok()).map(Failure::Unknown));
        let names = |count: usize| (0..count).map(|n| format!("Q{n}")).collect::<Vec<_>>();
        let found = Item { title: "X1".into(), artist: Some("Z3".into()), album: None, kind: None };
        let refusals = [
            Refusal::UnknownPlayer,
            Refusal::NoPlayerNamed(names(0)),
            Refusal::NoPlayerNamed(names(1)),
            Refusal::NoPlayerNamed(names(30)),
            Refusal::WhichPlayer(names(0)),
            Refusal::WhichPlayer(names(2)),
            Refusal::PlayerUnavailable(String::new()),
            Refusal::PlayerUnavailable("Q7".into()),
            Refusal::MediaNotFound,
            Refusal::MediaNotFoundYet,
            Refusal::NothingToPlay,
            Refusal::NotSupported,
            Refusal::PlayerBusy,
            Refusal::MusicAssistantAway(None),
            Refusal::MusicAssistantStarting,
            Refusal::MusicAssistantRefusesToken,
            Refusal::MusicAssistantFailed,
            Refusal::Late,
            Refusal::NotGranted,
            Refusal::Stopped,
            Refusal::Busy,
            Refusal::UnknownCommand,
            Refusal::Internal,
            Refusal::OutcomeUnknown,
            Refusal::VolumeLimited(Percent::clamped(40)),
            Refusal::QuietHours(None),
            Refusal::QuietHours(MinuteOfDay::new(7 * 60 + 30)),
            Refusal::DidYouMean(found),
            Refusal::CannotGroup(String::new()),
            Refusal::CannotGroup("Q7".into()),
            Refusal::UnknownPreset,
            Refusal::NothingPlays,
        ];
        all.extend(refusals.map(Failure::Refused));
        all
    }

    /// Only entities of our own making, and no element.
    fn is_well_formed(ssml: &str) -> bool {
        let entities = ["amp;", "lt;", "gt;", "quot;", "apos;"];
        let entity = |rest: &str| entities.iter().any(|entity| rest.starts_with(entity));
        !ssml.contains(['<', '>']) && ssml.split('&').skip(1).all(entity)
    }

    #[test]
    fn every_language_says_everything_briefly_and_well() {
        for locale in LOCALES {
            for say in everything() {
                let Spoken { text, question } = locale.speak(&say);
                let what = format!("{locale:?} {say:?}: {text}");
                assert!(text.chars().count() > 2 && text.chars().count() <= 260, "{what}");
                assert!(is_well_formed(&text) && !text.contains("  ") && text.trim() == text, "{what}");
                assert!(text.ends_with(['.', '?', '!']), "{what}");
                assert!(text.chars().next().is_some_and(|c| c.is_uppercase() || c == '¿' || c.is_numeric()), "{what}");
                assert!(!text.contains("{}") && !text.contains("  ") && !text.contains(" ."), "{what}");
                assert_eq!(text.contains('?'), question.is_some(), "what asks listens, and nothing else does: {what}");
                if let Some(question) = question {
                    assert!(text.ends_with(&question) || matches!(say, Say::WhatToPlay), "{what}");
                    assert!(question.contains('?'), "{what}");
                }
            }
        }
    }

    /// What depends on a number, a name or a choice must be heard to differ.
    #[test]
    fn different_things_are_said_differently_in_every_language() {
        for locale in LOCALES {
            let mut said: HashMap<String, Say> = HashMap::new();
            for say in everything() {
                if matches!(say, Say::Failed(_)) {
                    continue;
                }
                if let Some(other) = said.insert(locale.speak(&say).text, say.clone()) {
                    let same_silence = matches!(
                        (&other, &say),
                        (
                            Say::NowPlaying { .. },
                            Say::NowPlaying { playback: Playback::Paused | Playback::Stopped, .. }
                        )
                    );
                    assert!(same_silence, "{locale:?}: {other:?} and {say:?}");
                }
            }
        }
    }

    /// A fault that has words of its own in one language has them in each, and asks for an answer in each or in none: nobody hears a
    /// vaguer cause or another remedy for the language that they speak.
    #[test]
    fn every_language_tells_the_same_faults_apart() {
        let all = everything();
        let first_said_alike = |locale: Locale| {
            let said: Vec<Spoken> = all.iter().map(|say| locale.speak(say)).collect();
            let first = |text: &str| said.iter().position(|other| other.text == text);
            said.iter().map(|spoken| (first(&spoken.text), spoken.question.is_some())).collect::<Vec<_>>()
        };
        let english = first_said_alike(Locale::English);
        for locale in LOCALES {
            for ((say, theirs), ours) in all.iter().zip(first_said_alike(locale)).zip(&english) {
                let like = |(at, _): (Option<usize>, bool)| at.map(|at| &all[at]);
                assert_eq!(
                    theirs,
                    *ours,
                    "{locale:?}: {say:?} is said as {:?} is, and in English as {:?}",
                    like(theirs),
                    like(*ours)
                );
            }
        }
    }

    /// A word that only English has would be one that was left over.
    #[test]
    fn no_english_is_left_over() {
        const ENGLISH: [&str; 28] = [
            "the", "your", "you", "that", "this", "what", "which", "not", "and", "is", "it", "please", "try", "again",
            "home", "player", "players", "playing", "volume", "by", "with", "from", "song", "account", "link", "open",
            "say", "minutes",
        ];
        // Words that the other language has as well.
        let also = |locale: Locale, word: &str| match locale {
            Locale::English => true,
            Locale::German => matches!(word, "player" | "song"),
            Locale::French => matches!(word, "volume" | "minutes"),
            Locale::Spanish => false,
            Locale::Italian => matches!(word, "volume" | "account"),
            Locale::Dutch => matches!(word, "is" | "volume" | "account" | "link" | "open" | "minutes"),
        };
        for locale in LOCALES {
            for say in everything() {
                let text = locale.speak(&say).text.to_lowercase().replace("kind of blue", "");
                let words = text.split(|c: char| !c.is_alphanumeric());
                let left: Vec<&str> = words.filter(|word| ENGLISH.contains(word) && !also(locale, word)).collect();
                assert!(left.is_empty(), "{locale:?} {left:?}: {text}");
            }
        }
    }

    #[test]
    fn one_and_many_are_told_apart_in_every_language() {
        for (locale, one, two) in [
            (Locale::English, "Q7 stops in one minute.", "Q7 stops in one hour and one minute."),
            (Locale::German, "Q7 hört in einer Minute auf.", "Q7 hört in einer Stunde und einer Minute auf."),
            (Locale::French, "Q7 s'arrêtera dans une minute.", "Q7 s'arrêtera dans une heure et une minute."),
            (Locale::Spanish, "Q7 se parará en un minuto.", "Q7 se parará en una hora y un minuto."),
            (Locale::Italian, "Q7 si fermerà tra un minuto.", "Q7 si fermerà tra un'ora e un minuto."),
            (Locale::Dutch, "Q7 stopt over één minuut.", "Q7 stopt over één uur en één minuut."),
        ] {
            let said = |minutes| locale.speak(&Say::SleepTimer(Some(minutes), "Q7".into())).text;
            assert_eq!(said(1), one);
            assert_eq!(said(61), two);
            assert!(said(20).to_lowercase().contains("20 min"), "{}", said(20));
        }
    }

    #[test]
    fn a_card_shows_what_was_said_as_it_is_written() {
        let spoken = Locale::English.speak(&Say::Muted(true, "Tom & <Jerry>'s &lt;".into()));
        assert_eq!(spoken.plain(), "Muted Tom & <Jerry>'s &lt;.");
    }
}
