//! English.

use std::time::Duration;

use macloud_e2ee::vocabulary::{Item, MinuteOfDay, Placement, Playback, Refusal, Repeat, Transport};
use macloud_proto::bus::v1::{not_sent, unknown};

use super::{Everywhere, Heard, Say, Spoken, Units, after, asking, list, roughly, saying};
use crate::dispatch::UsedUp;
use crate::failure::{Failure, TokenFault};

pub(super) fn speak(say: &Say) -> Spoken {
    match say {
        Say::Welcome => asking("Music Assistant is ready.", "What would you like to hear?"),
        Say::Help(players) => asking(&help(players), "What would you like to hear?"),
        Say::Goodbye => saying("Goodbye."),
        Say::OneMoment => saying("One moment, I am waiting for your home."),
        Say::NotUnderstood => {
            asking("Sorry, I did not get that. Try: play Kind of Blue.", "What would you like to hear?")
        }
        Say::WhatToPlay => asking(
            "",
            "What would you like to hear? Say play, and then the name of an album, artist, song or playlist.",
        ),
        Say::WhichPlayer => asking("Sorry, I did not get that.", "Which player do you mean?"),
        Say::NoSuchTime => saying(
            "I need a length of time, up to twelve hours. Say, for example: stop in 20 minutes, or skip 30 seconds.",
        ),
        Say::LinkFirst => saying(
            "Your Music Assistant is not linked yet. I sent a card to the Alexa app: open it and link your account, \
             then try again.",
        ),
        Say::Started { item, placement, player } => saying(started(item.as_ref(), *placement, player)),
        Say::Volume(Some(level), player) => saying(format!("The volume of {} is {}.", Heard(player), level.value())),
        Say::Volume(None, player) => saying(format!("Changed the volume of {}.", Heard(player))),
        Say::Muted(true, player) => saying(format!("Muted {}.", Heard(player))),
        Say::Muted(false, player) => saying(format!("{} is not muted any more.", Heard(player))),
        Say::Transported(transport, player) => saying(transported(*transport, player)),
        Say::Shuffled(true, player) => saying(format!("Shuffling on {}.", Heard(player))),
        Say::Shuffled(false, player) => saying(format!("No longer shuffling on {}.", Heard(player))),
        Say::Repeats(repeat, player) => saying(repeats(*repeat, player)),
        Say::SoughtTo(0, player) => saying(transported(Transport::StartOver, player)),
        Say::SoughtTo(to, player) => saying(format!("{} goes on from {}.", Heard(player), UNITS.say(*to))),
        Say::SoughtBy(by, player) => {
            let (verb, way) = if *by < 0 { ("goes", "back") } else { ("skips", "ahead") };
            saying(format!("{} {verb} {} {way}.", Heard(player), UNITS.say(by.unsigned_abs())))
        }
        Say::Autoplay(true, player) => saying(format!("{} goes on with similar music at the end.", Heard(player))),
        Say::Autoplay(false, player) => saying(format!("{} stops at the end of its queue.", Heard(player))),
        Say::SleepTimer(Some(minutes), player) => {
            saying(format!("{} stops in {}.", Heard(player), UNITS.say(u32::from(*minutes) * 60)))
        }
        Say::SleepTimer(None, player) => saying(format!("The sleep timer of {} is off.", Heard(player))),
        Say::Similar(player) => saying(format!("From now on, {} plays similar music.", Heard(player))),
        Say::Saved(Some(item)) => saying(format!("Saved {} to your favorites.", title(item))),
        Say::Saved(None) => saying("Saved to your favorites."),
        Say::Moved(player) => saying(format!("The music now plays on {}.", Heard(player))),
        Say::Joined(player, Some(other)) => saying(format!("{} plays together with {}.", Heard(player), Heard(other))),
        Say::Joined(player, None) => saying(format!("{} plays along.", Heard(player))),
        Say::Unjoined(player) => saying(format!("{} is on its own again.", Heard(player))),
        Say::UsedHere(player) => saying(format!("From now on, {} is used here.", Heard(player))),
        Say::ForgottenHere => saying("No player is set for this place any more."),
        Say::Done => saying("Done."),
        Say::NowPlaying { item: Some(item), playback: Playback::Playing, player } => {
            saying(format!("{} plays {}.", Heard(player), title(item)))
        }
        Say::NowPlaying { item: Some(item), playback: Playback::Paused, player } => {
            saying(format!("{} is paused at {}.", Heard(player), title(item)))
        }
        Say::NowPlaying { item: None, playback: Playback::Playing, player } => {
            saying(format!("{} is playing, but does not say what.", Heard(player)))
        }
        Say::NowPlaying { player, .. } => saying(format!("Nothing is playing on {}.", Heard(player))),
        Say::Learned(said, player) => after(
            speak(said),
            &format!("From now on I use {} here. If that is wrong, say: forget the player here.", Heard(player)),
        ),
        Say::Everywhere(deed) => saying(everywhere(deed)),
        Say::Except(said, players, failure) => {
            let except = format!("But not on {}: {}", list(players, "and"), failed(failure).text);
            after(speak(said), &except)
        }
        Say::NotEverywhere => saying(
            "That goes for one player at a time: say its name. All players at once can be paused, stopped, made louder or quieter, or play the same.",
        ),
        Say::Failed(failure) => failed(failure),
    }
}

const UNITS: Units = Units {
    hour: ("one hour", "hours"),
    minute: ("one minute", "minutes"),
    second: ("one second", "seconds"),
    and: "and",
};

/// With players that there are.
fn help(players: &[String]) -> String {
    let play = players
        .first()
        .map_or_else(|| "play Kind of Blue, ".to_owned(), |first| format!("play Kind of Blue on {}, ", Heard(first)));
    let go_on = players.get(1).map_or_else(String::new, |other| format!("move the music to {}, ", Heard(other)));
    format!("You can say: {play}{go_on}pause everything, stop in 20 minutes, save this song, or what's playing.")
}

fn everywhere(deed: &Everywhere) -> String {
    match deed {
        Everywhere::Paused => "Paused everywhere.".to_owned(),
        Everywhere::Stopped => "Stopped everywhere.".to_owned(),
        Everywhere::Resumed => "Resuming everywhere.".to_owned(),
        Everywhere::Volume(Some(level)) => format!("The volume is {} everywhere.", level.value()),
        Everywhere::Volume(None) => "Changed the volume everywhere.".to_owned(),
        Everywhere::Muted(true) => "Muted everywhere.".to_owned(),
        Everywhere::Muted(false) => "No longer muted anywhere.".to_owned(),
        Everywhere::SleepTimer(Some(minutes)) => {
            format!("The music stops everywhere in {}.", UNITS.say(u32::from(*minutes) * 60))
        }
        Everywhere::SleepTimer(None) => "All sleep timers are off.".to_owned(),
        Everywhere::Plays(Some(item)) => format!("Playing {} everywhere.", title(item)),
        Everywhere::Plays(None) => "Playing everywhere.".to_owned(),
        Everywhere::Alone => "Each player is on its own again.".to_owned(),
        Everywhere::Ordered => "Done everywhere.".to_owned(),
    }
}

fn title(item: &Item) -> String {
    super::title(item, "by")
}

fn started(item: Option<&Item>, placement: Placement, player: &str) -> String {
    let (item, player) = (item.map_or_else(|| "that".to_owned(), title), Heard(player));
    match placement {
        Placement::Replace if item == "that" => format!("Playing on {player}."),
        Placement::Replace => format!("Playing {item} on {player}."),
        Placement::Next => format!("Playing {item} next on {player}."),
        Placement::Add => format!("Added {item} to the queue of {player}."),
    }
}

fn transported(transport: Transport, player: &str) -> String {
    let player = Heard(player);
    match transport {
        Transport::Play => format!("Resuming on {player}."),
        Transport::Pause => format!("Paused {player}."),
        Transport::Stop => format!("Stopped {player}."),
        Transport::Next => format!("Next on {player}."),
        Transport::Previous => format!("Previous on {player}."),
        Transport::StartOver => format!("From the beginning on {player}."),
        Transport::FastForward => format!("Skipping ahead on {player}."),
        Transport::Rewind => format!("Skipping back on {player}."),
    }
}

fn repeats(repeat: Repeat, player: &str) -> String {
    let player = Heard(player);
    match repeat {
        Repeat::Off => format!("No longer repeating on {player}."),
        Repeat::One => format!("Repeating this on {player}."),
        Repeat::All => format!("Repeating everything on {player}."),
    }
}

/// One sentence for the cause, one for the remedy.
fn failed(failure: &Failure) -> Spoken {
    match failure {
        Failure::InvalidDirective(_) | Failure::NoSuchMode => saying("Sorry, I can't do that with a player."),
        Failure::OutOfRange { minimum, maximum } => {
            saying(format!("That is not possible. Say a number from {minimum} to {maximum}."))
        }
        Failure::Token(TokenFault::Expired) => saying(
            "The link to your Music Assistant account has expired. Try again in a minute. If it stays like this, link \
             your account again in the Alexa app.",
        ),
        Failure::Token(TokenFault::Invalid) => saying(
            "The link to your Music Assistant account is no longer valid. I sent a card to the Alexa app: open it and \
             link your account again.",
        ),
        Failure::Token(TokenFault::Suspended) => {
            saying("Your Music Assistant account is suspended. Sign in on the website to see why.")
        }
        Failure::ScopeMissing => link_again(),
        Failure::NoSuchEndpoint => discover_again(),
        Failure::NoHome => saying(
            "No Music Assistant is paired with your account yet. Start the connector beside your Music Assistant and \
             follow what it shows.",
        ),
        Failure::HomePaused => paused(),
        Failure::UsedUp(used_up) => day_used_up(*used_up),
        Failure::AccountsAway | Failure::BusAway => {
            saying("The service has a problem at the moment. It is not your speakers. Please try again in a minute.")
        }
        Failure::NotSent(reason) => not_sent(*reason),
        Failure::Away(away) => home_away(Some(*away)),
        Failure::Unknown(reason) => unknown(*reason),
        Failure::TimeUp => slow(),
        Failure::HomeUntrusted => saying(
            "The connector in your home is not the one that was paired. If you set it up anew, pair it again on the \
             website.",
        ),
        Failure::SessionBroken | Failure::UnexpectedReply | Failure::GrantNotAccepted => saying(
            "I could not set up a secure connection to your home. Please try again. If it stays like this, update the \
             connector.",
        ),
        Failure::SameName(name) => saying(format!(
            "Several players are called {}. Give each a name of its own, in Music Assistant or at the connector, and say that.",
            Heard(name)
        )),
        Failure::Refused(refusal) => refused(refusal),
    }
}

fn not_sent(reason: not_sent::Reason) -> Spoken {
    use not_sent::Reason;
    match reason {
        Reason::NotConnected => home_away(None),
        Reason::Busy => busy(),
        Reason::RateLimited => saying("That was too much at once. Please wait a few seconds and try again."),
        Reason::Draining | Reason::LinkLost | Reason::Unlocated => {
            saying("The connection to your home was lost for a moment. Please try again.")
        }
        Reason::Deadline => slow(),
        Reason::Paused => paused(),
        // Without the numbers: from a relay that does not know them.
        Reason::UsedUp => day_used_up(UsedUp { commands_per_day: 0, after: Duration::ZERO }),
        Reason::Cancelled | Reason::Invalid | Reason::Unspecified => {
            saying("The service has a problem at the moment. Please try again in a minute.")
        }
    }
}

fn home_away(away: Option<Duration>) -> Spoken {
    let cause = away.and_then(about).map_or_else(
        || "I can't reach your home.".to_owned(),
        |time| format!("Your home has been offline for {time}."),
    );
    saying(format!(
        "{cause} Check that the machine with the Music Assistant connector is on and has internet, then try again."
    ))
}

fn music_assistant_away(away: Option<Duration>) -> Spoken {
    let cause = away.and_then(about).map_or_else(
        || "Your home is connected, but Music Assistant does not answer.".to_owned(),
        |time| format!("Your home is connected, but Music Assistant has not answered for {time}."),
    );
    saying(format!("{cause} Check that it is running, then try again."))
}

fn about(length: Duration) -> Option<String> {
    roughly(length, "about", ["minutes", "hours", "days"])
}

fn unknown(reason: unknown::Reason) -> Spoken {
    use unknown::Reason;
    match reason {
        Reason::Deadline => saying(
            "Your home did not answer in time. Check whether it was done, and try again if not. If it stays like \
             this, check its internet connection.",
        ),
        Reason::Unspecified => {
            saying("I could not read what your home answered. Check whether it was done, and try again if not.")
        }
        Reason::LinkLost => saying(
            "The connection to your home broke before it answered. Check whether it was done, and try again if not.",
        ),
        Reason::Unresponsive => saying(
            "Your home does not respond. Check its internet connection and the machine with the Music Assistant \
             connector, then try again.",
        ),
    }
}

fn refused(refusal: &Refusal) -> Spoken {
    match refusal {
        Refusal::NoPlayerNamed(names) if names.is_empty() => {
            saying("There is no player that I may use. Choose some in the connector's settings at home.")
        }
        Refusal::NoPlayerNamed(names) => {
            saying(format!("There is no player with that name. You have {}.", list(names, "and")))
        }
        Refusal::WhichPlayer(names) if names.is_empty() => {
            saying("Several players could be meant. Please say the player's full name.")
        }
        Refusal::WhichPlayer(names) => {
            asking("Several players could be meant.", &format!("Which one: {}?", list(names, "or")))
        }
        Refusal::PlayerUnavailable(name) => saying(format!(
            "Music Assistant can't reach {}. Check that the speaker is on and connected.",
            if name.is_empty() { "the speaker".to_owned() } else { Heard(name).to_string() }
        )),
        Refusal::MediaNotFound => {
            saying("I could not find that in Music Assistant. Try it with the artist's name, or in other words.")
        }
        Refusal::MediaNotFoundYet => saying(
            "I could not find that, but I am still reading your music library. Try again in a few minutes, or name the artist as well.",
        ),
        Refusal::NothingToPlay => saying("Nothing is queued there. Tell me what to play."),
        Refusal::NotSupported => saying("That player can't do that."),
        Refusal::PlayerBusy => saying("The player can't be interrupted at the moment. Try again in a few seconds."),
        Refusal::MusicAssistantAway(away) => music_assistant_away(*away),
        Refusal::MusicAssistantStarting => saying("Music Assistant is just starting. Try again in a minute."),
        Refusal::MusicAssistantRefusesToken => saying(
            "Music Assistant does not accept its connector any more. Open the connector's page at home and connect it \
             to Music Assistant again.",
        ),
        Refusal::MusicAssistantFailed => {
            saying("Music Assistant could not do that. Its log at home says why. Please try again.")
        }
        Refusal::Late => slow(),
        Refusal::Stopped => {
            saying("Remote control is switched off at the connector in your home. Switch it on again there.")
        }
        Refusal::Busy => busy(),
        Refusal::UnknownCommand => {
            saying("The connector in your home is too old for that. Please update it, then try again.")
        }
        Refusal::Internal => {
            saying("The connector in your home failed. Please try again. If it stays like this, restart it.")
        }
        Refusal::VolumeLimited(most) => saying(format!(
            "This player may not be louder than {} percent. The rules of the connector in your home say so.",
            most.value()
        )),
        Refusal::QuietHours(Some(end)) => {
            saying(format!("It is quiet time in your home until {}: nothing is started or turned up now.", clock(*end)))
        }
        Refusal::QuietHours(None) => saying(
            "It is quiet time in your home: nothing is started or turned up now. The rules of the connector there say \
             until when.",
        ),
        Refusal::OutcomeUnknown => saying(
            "Music Assistant took too long to answer. It may still do it. Wait a moment, and ask again only if nothing \
             happens.",
        ),
        Refusal::DidYouMean(found) => asking("I am not sure.", &format!("Did you mean {}?", title(found))),
        Refusal::CannotGroup(name) => saying(format!(
            "{} can't play together with that one. Only players of the same kind can.",
            if name.is_empty() { "That player".to_owned() } else { Heard(name).to_string() }
        )),
        Refusal::UnknownPreset => saying("That favorite is not there any more. Ask for something else."),
        Refusal::NothingPlays => saying("Nothing is playing there. Start some music first."),
        Refusal::UnknownPlayer => discover_again(),
        Refusal::NotGranted => link_again(),
    }
}

fn paused() -> Spoken {
    saying("Remote control is stopped for your home. Allow it again on the website, under my homes.")
}

fn day_used_up(UsedUp { commands_per_day, after }: UsedUp) -> Spoken {
    let all = match commands_per_day {
        0 => "Today's commands of your plan are used up.".to_owned(),
        1 => "The one command a day of your plan is used up for today.".to_owned(),
        most => format!("Today's {most} commands of your plan are used up."),
    };
    // Days of all people end together, so the time of day is not theirs: how long it takes is.
    let goes_on = match after.as_secs().div_ceil(60) {
        0 => String::new(),
        1 => " It goes on in a minute.".to_owned(),
        minutes @ 2..90 => format!(" It goes on in {minutes} minutes."),
        minutes => format!(" It goes on in about {} hours.", (minutes + 30) / 60),
    };
    saying(format!("{all}{goes_on} What your plan allows is on the website, under plan."))
}

fn link_again() -> Spoken {
    saying(
        "Your account link does not allow this. Link your account again in the Alexa app, and allow controlling \
         players.",
    )
}

fn discover_again() -> Spoken {
    saying("I don't know that player any more. Say: Alexa, discover devices.")
}

fn slow() -> Spoken {
    saying("Your home took too long to answer. Please try again. If it stays like this, check its internet connection.")
}

fn busy() -> Spoken {
    saying("Your home has too much to do at the moment. Please try again in a few seconds.")
}

/// By a clock of twelve hours, which both kinds of English understand.
fn clock(at: MinuteOfDay) -> String {
    let (hour, minute) = at.hour_and_minute();
    let half = if hour < 12 { "AM" } else { "PM" };
    let shown = (hour + 11) % 12 + 1;
    match (hour, minute) {
        (0, 0) => "midnight".into(),
        (12, 0) => "noon".into(),
        (_, 0) => format!("{shown} {half}"),
        _ => format!("{shown}:{minute:02} {half}"),
    }
}
