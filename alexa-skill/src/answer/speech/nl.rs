//! Dutch.

use std::time::Duration;

use macloud_e2ee::vocabulary::{Item, MinuteOfDay, Placement, Playback, Refusal, Repeat, Transport};
use macloud_proto::bus::v1::{not_sent, unknown};

use super::{Everywhere, Heard, Say, Spoken, Units, after, asking, list, roughly, saying};
use crate::dispatch::UsedUp;
use crate::failure::{Failure, TokenFault};

pub(super) fn speak(say: &Say) -> Spoken {
    match say {
        Say::Welcome => asking("Music Assistant staat klaar.", "Wat wil je horen?"),
        Say::Help(players) => asking(&help(players), "Wat wil je horen?"),
        Say::Goodbye => saying("Tot ziens."),
        Say::OneMoment => saying("Een ogenblik, ik wacht nog op je huis."),
        Say::NotUnderstood => {
            asking("Sorry, dat heb ik niet verstaan. Zeg bijvoorbeeld: speel Kind of Blue.", "Wat wil je horen?")
        }
        Say::WhatToPlay => {
            asking("", "Wat wil je horen? Zeg: speel, en dan de naam van een album, artiest, nummer of playlist.")
        }
        Say::WhichPlayer => asking("Sorry, dat heb ik niet verstaan.", "Welke speler bedoel je?"),
        Say::NoSuchTime => saying(
            "Ik heb een tijdsduur nodig van hoogstens twaalf uur. Zeg bijvoorbeeld: stop over 20 minuten, of: spring 30 \
             seconden vooruit.",
        ),
        Say::LinkFirst => saying(
            "Je Music Assistant is nog niet gekoppeld. Ik heb een kaart naar de Alexa-app gestuurd: open die, koppel je account \
             en probeer het dan opnieuw.",
        ),
        Say::Started { item, placement, player } => saying(started(item.as_ref(), *placement, player)),
        Say::Volume(Some(level), player) => {
            saying(format!("Het volume van {} staat op {}.", Heard(player), level.value()))
        }
        Say::Volume(None, player) => saying(format!("Het volume van {} is aangepast.", Heard(player))),
        Say::Muted(true, player) => saying(format!("{} is gedempt.", Heard(player))),
        Say::Muted(false, player) => saying(format!("{} is niet meer gedempt.", Heard(player))),
        Say::Transported(transport, player) => saying(transported(*transport, player)),
        Say::Shuffled(true, player) => saying(format!("Willekeurige volgorde op {}.", Heard(player))),
        Say::Shuffled(false, player) => saying(format!("Weer op volgorde op {}.", Heard(player))),
        Say::Repeats(repeat, player) => saying(repeats(*repeat, player)),
        Say::SoughtTo(0, player) => saying(transported(Transport::StartOver, player)),
        Say::SoughtTo(to, player) => saying(format!("{} gaat verder vanaf {}.", Heard(player), UNITS.say(*to))),
        Say::SoughtBy(by, player) => {
            let way = if *by < 0 { "terug" } else { "vooruit" };
            saying(format!("{} gaat {} {way}.", Heard(player), UNITS.say(by.unsigned_abs())))
        }
        Say::Autoplay(true, player) => {
            saying(format!("Aan het eind gaat {} door met vergelijkbare muziek.", Heard(player)))
        }
        Say::Autoplay(false, player) => saying(format!("{} stopt aan het eind van de wachtrij.", Heard(player))),
        Say::SleepTimer(Some(minutes), player) => {
            saying(format!("{} stopt over {}.", Heard(player), UNITS.say(u32::from(*minutes) * 60)))
        }
        Say::SleepTimer(None, player) => saying(format!("De slaaptimer van {} staat uit.", Heard(player))),
        Say::Similar(player) => saying(format!("Vanaf nu speelt {} vergelijkbare muziek.", Heard(player))),
        Say::Saved(Some(item)) => saying(format!("{} staat nu bij je favorieten.", title(item))),
        Say::Saved(None) => saying("Het staat nu bij je favorieten."),
        Say::Moved(player) => saying(format!("De muziek speelt nu op {}.", Heard(player))),
        Say::Joined(player, Some(other)) => saying(format!("{} speelt samen met {}.", Heard(player), Heard(other))),
        Say::Joined(player, None) => saying(format!("{} speelt mee.", Heard(player))),
        Say::Unjoined(player) => saying(format!("{} staat weer op zichzelf.", Heard(player))),
        Say::UsedHere(player) => saying(format!("Vanaf nu gebruik ik hier {}.", Heard(player))),
        Say::ForgottenHere => saying("Voor deze plek is geen speler meer onthouden."),
        Say::Done => saying("Klaar."),
        Say::NowPlaying { item: Some(item), playback: Playback::Playing, player } => {
            saying(format!("Op {} speelt {}.", Heard(player), title(item)))
        }
        Say::NowPlaying { item: Some(item), playback: Playback::Paused, player } => {
            saying(format!("{} staat op pauze bij {}.", Heard(player), title(item)))
        }
        Say::NowPlaying { item: None, playback: Playback::Playing, player } => {
            saying(format!("{} speelt, maar zegt niet wat.", Heard(player)))
        }
        Say::NowPlaying { player, .. } => saying(format!("Op {} speelt niets.", Heard(player))),
        Say::Learned(said, player) => after(
            speak(said),
            &format!("Vanaf nu gebruik ik hier {}. Klopt dat niet, zeg dan: vergeet de speler hier.", Heard(player)),
        ),
        Say::Everywhere(deed) => saying(everywhere(deed)),
        Say::Except(said, players, failure) => {
            let except = format!("Maar niet op {}: {}", list(players, "en"), failed(failure).text);
            after(speak(said), &except)
        }
        Say::NotEverywhere => saying(
            "Dat kan met één speler tegelijk: zeg zijn naam. Allemaal tegelijk kunnen ze op pauze, stoppen, harder of zachter, of hetzelfde spelen.",
        ),
        Say::Failed(failure) => failed(failure),
    }
}

const UNITS: Units = Units {
    hour: ("één uur", "uur"),
    minute: ("één minuut", "minuten"),
    second: ("één seconde", "seconden"),
    and: "en",
};

/// With players that there are.
fn help(players: &[String]) -> String {
    let play = players
        .first()
        .map_or_else(|| "speel Kind of Blue, ".to_owned(), |first| format!("speel Kind of Blue op {}, ", Heard(first)));
    let go_on = players.get(1).map_or_else(String::new, |other| format!("verplaats de muziek naar {}, ", Heard(other)));
    format!("Je kunt zeggen: {play}{go_on}stop alles, stop over 20 minuten, bewaar dit nummer, of: wat speelt er.")
}

fn everywhere(deed: &Everywhere) -> String {
    match deed {
        Everywhere::Paused => "Alles staat op pauze.".to_owned(),
        Everywhere::Stopped => "Alles is gestopt.".to_owned(),
        Everywhere::Resumed => "Overal speelt de muziek verder.".to_owned(),
        Everywhere::Volume(Some(level)) => format!("Het volume staat overal op {}.", level.value()),
        Everywhere::Volume(None) => "Het volume is overal aangepast.".to_owned(),
        Everywhere::Muted(true) => "Alles is gedempt.".to_owned(),
        Everywhere::Muted(false) => "Niets is meer gedempt.".to_owned(),
        Everywhere::SleepTimer(Some(minutes)) => {
            format!("Overal stopt de muziek over {}.", UNITS.say(u32::from(*minutes) * 60))
        }
        Everywhere::SleepTimer(None) => "Alle slaaptimers staan uit.".to_owned(),
        Everywhere::Plays(Some(item)) => format!("Ik speel {} overal.", title(item)),
        Everywhere::Plays(None) => "Het speelt overal.".to_owned(),
        Everywhere::Alone => "Elke speler staat weer op zichzelf.".to_owned(),
        Everywhere::Ordered => "Overal gedaan.".to_owned(),
    }
}

fn title(item: &Item) -> String {
    super::title(item, "van")
}

fn started(item: Option<&Item>, placement: Placement, player: &str) -> String {
    let player = Heard(player);
    let Some(item) = item.map(title) else {
        return match placement {
            Placement::Replace => format!("Het speelt op {player}."),
            Placement::Next => format!("Het komt hierna op {player}."),
            Placement::Add => format!("Het staat in de wachtrij van {player}."),
        };
    };
    match placement {
        Placement::Replace => format!("Ik speel {item} op {player}."),
        Placement::Next => format!("Hierna komt {item} op {player}."),
        Placement::Add => format!("{item} staat in de wachtrij van {player}."),
    }
}

fn transported(transport: Transport, player: &str) -> String {
    let player = Heard(player);
    match transport {
        Transport::Play => format!("{player} speelt verder."),
        Transport::Pause => format!("{player} staat op pauze."),
        Transport::Stop => format!("{player} is gestopt."),
        Transport::Next => format!("Het volgende op {player}."),
        Transport::Previous => format!("Het vorige op {player}."),
        Transport::StartOver => format!("Vanaf het begin op {player}."),
        Transport::FastForward => format!("Een stukje vooruit op {player}."),
        Transport::Rewind => format!("Een stukje terug op {player}."),
    }
}

fn repeats(repeat: Repeat, player: &str) -> String {
    let player = Heard(player);
    match repeat {
        Repeat::Off => format!("Op {player} wordt niets meer herhaald."),
        Repeat::One => format!("Dit wordt herhaald op {player}."),
        Repeat::All => format!("Alles wordt herhaald op {player}."),
    }
}

/// One sentence for the cause, one for the remedy.
fn failed(failure: &Failure) -> Spoken {
    match failure {
        Failure::InvalidDirective(_) | Failure::NoSuchMode => saying("Sorry, dat kan niet met een speler."),
        Failure::OutOfRange { minimum, maximum } => {
            saying(format!("Dat kan niet. Zeg een getal van {minimum} tot en met {maximum}."))
        }
        Failure::Token(TokenFault::Expired) => saying(
            "De koppeling met je Music Assistant-account is verlopen. Probeer het over een minuut opnieuw. Blijft het zo, koppel \
             je account dan opnieuw in de Alexa-app.",
        ),
        Failure::Token(TokenFault::Invalid) => saying(
            "De koppeling met je Music Assistant-account is niet meer geldig. Ik heb een kaart naar de Alexa-app gestuurd: open \
             die en koppel je account opnieuw.",
        ),
        Failure::Token(TokenFault::Suspended) => {
            saying("Je Music Assistant-account is geblokkeerd. Log in op de website om te zien waarom.")
        }
        Failure::ScopeMissing => link_again(),
        Failure::NoSuchEndpoint => discover_again(),
        Failure::NoHome => saying(
            "Er is nog geen Music Assistant aan je account gekoppeld. Start de connector naast je Music Assistant en volg wat \
             die laat zien.",
        ),
        Failure::HomePaused => paused(),
        Failure::UsedUp(used_up) => day_used_up(*used_up),
        Failure::AccountsAway | Failure::BusAway => {
            saying("De dienst heeft op dit moment een storing. Het ligt niet aan je speakers. Probeer het zo opnieuw.")
        }
        Failure::NotSent(reason) => not_sent(*reason),
        Failure::Away(away) => home_away(Some(*away)),
        Failure::Unknown(reason) => unknown(*reason),
        Failure::TimeUp => slow(),
        Failure::HomeUntrusted => saying(
            "De connector bij jou thuis is niet dezelfde als die je hebt gekoppeld. Heb je hem opnieuw ingericht, koppel hem dan opnieuw \
             op de website.",
        ),
        Failure::SessionBroken | Failure::UnexpectedReply | Failure::GrantNotAccepted => saying(
            "Het lukte niet om een veilige verbinding met je huis te maken. Probeer het opnieuw. Blijft het zo, werk dan de \
             connector bij.",
        ),
        Failure::SameName(name) => saying(format!(
            "Meerdere spelers heten {}. Geef ze elk een eigen naam, in Music Assistant of bij de connector, en zeg die.",
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
        Reason::RateLimited => saying("Dat was te veel tegelijk. Wacht een paar seconden en probeer het opnieuw."),
        Reason::Draining | Reason::LinkLost | Reason::Unlocated => {
            saying("De verbinding met je huis was even weg. Probeer het opnieuw.")
        }
        Reason::Deadline => slow(),
        Reason::Paused => paused(),
        // Without the numbers: from a relay that does not know them.
        Reason::UsedUp => day_used_up(UsedUp { commands_per_day: 0, after: Duration::ZERO }),
        Reason::Cancelled | Reason::Invalid | Reason::Unspecified => {
            saying("De dienst heeft op dit moment een storing. Probeer het over een minuut opnieuw.")
        }
    }
}

fn home_away(away: Option<Duration>) -> Spoken {
    let cause = away.and_then(about).map_or_else(
        || "Ik kan je huis niet bereiken.".to_owned(),
        |time| format!("Je huis is al {time} niet bereikbaar."),
    );
    saying(format!(
        "{cause} Kijk of het apparaat met de connector van Music Assistant aanstaat en internet heeft, en probeer het dan opnieuw."
    ))
}

fn music_assistant_away(away: Option<Duration>) -> Spoken {
    let cause = away.and_then(about).map_or_else(
        || "Je huis is verbonden, maar Music Assistant antwoordt niet.".to_owned(),
        |time| format!("Je huis is verbonden, maar Music Assistant antwoordt al {time} niet."),
    );
    saying(format!("{cause} Kijk of het draait, en probeer het dan opnieuw."))
}

fn about(length: Duration) -> Option<String> {
    roughly(length, "ongeveer", ["minuten", "uur", "dagen"])
}

fn unknown(reason: unknown::Reason) -> Spoken {
    use unknown::Reason;
    match reason {
        Reason::Deadline => saying(
            "Je huis heeft niet op tijd geantwoord. Kijk of het gelukt is, en probeer het anders opnieuw. Blijft het zo, \
             controleer daar dan de internetverbinding.",
        ),
        Reason::Unspecified => {
            saying("Ik kon het antwoord van je huis niet lezen. Kijk of het gelukt is, en probeer het anders opnieuw.")
        }
        Reason::LinkLost => saying(
            "De verbinding met je huis viel weg voor het antwoord kwam. Kijk of het gelukt is, en probeer het anders opnieuw.",
        ),
        Reason::Unresponsive => saying(
            "Je huis reageert niet. Controleer daar de internetverbinding en het apparaat met de connector van Music Assistant, \
             en probeer het dan opnieuw.",
        ),
    }
}

fn refused(refusal: &Refusal) -> Spoken {
    match refusal {
        Refusal::NoPlayerNamed(names) if names.is_empty() => saying(
            "Er is geen speler die ik mag gebruiken. Kies er thuis een paar in de instellingen van de connector.",
        ),
        Refusal::NoPlayerNamed(names) => {
            saying(format!("Er is geen speler met die naam. Je hebt {}.", list(names, "en")))
        }
        Refusal::WhichPlayer(names) if names.is_empty() => {
            saying("Ik weet niet welke speler je bedoelt. Zeg alsjeblieft de hele naam.")
        }
        Refusal::WhichPlayer(names) => {
            asking("Ik weet niet welke speler je bedoelt.", &format!("Welke: {}?", list(names, "of")))
        }
        Refusal::PlayerUnavailable(name) => saying(format!(
            "Music Assistant kan {} niet bereiken. Kijk of de speaker aanstaat en verbonden is.",
            if name.is_empty() { "de speaker".to_owned() } else { Heard(name).to_string() }
        )),
        Refusal::MediaNotFound => saying(
            "Dat kon ik niet vinden in Music Assistant. Probeer het met de naam van de artiest, of met andere woorden.",
        ),
        Refusal::MediaNotFoundYet => saying(
            "Dat kon ik niet vinden, maar ik ben je muziekbibliotheek nog aan het lezen. Probeer het over een paar minuten opnieuw, of noem ook de artiest.",
        ),
        Refusal::NothingToPlay => saying("Daar staat niets in de wachtrij. Zeg me wat ik moet spelen."),
        Refusal::NotSupported => saying("Dat kan die speler niet."),
        Refusal::PlayerBusy => {
            saying("De speler kan nu niet onderbroken worden. Probeer het over een paar seconden opnieuw.")
        }
        Refusal::MusicAssistantAway(away) => music_assistant_away(*away),
        Refusal::MusicAssistantStarting => {
            saying("Music Assistant is net aan het opstarten. Probeer het over een minuut opnieuw.")
        }
        Refusal::MusicAssistantRefusesToken => saying(
            "Music Assistant accepteert zijn connector niet meer. Open thuis de pagina van de connector en verbind hem opnieuw \
             met Music Assistant.",
        ),
        Refusal::MusicAssistantFailed => {
            saying("Het is Music Assistant niet gelukt. In het logboek thuis staat waarom. Probeer het opnieuw.")
        }
        Refusal::Late => slow(),
        Refusal::Stopped => {
            saying("De bediening op afstand staat uit op de connector bij jou thuis. Zet die daar weer aan.")
        }
        Refusal::Busy => busy(),
        Refusal::UnknownCommand => {
            saying("De connector bij jou thuis is daar te oud voor. Werk hem bij en probeer het dan opnieuw.")
        }
        Refusal::Internal => saying(
            "De connector bij jou thuis had een fout. Probeer het opnieuw. Blijft het zo, start hem dan opnieuw.",
        ),
        Refusal::VolumeLimited(most) => saying(format!(
            "Deze speler mag niet harder dan {} procent. Dat staat in de regels van de connector bij jou thuis.",
            most.value()
        )),
        Refusal::QuietHours(Some(end)) => saying(format!(
            "Bij jou thuis is het stiltetijd tot {}: er wordt nu niets gestart of harder gezet.",
            clock(*end)
        )),
        Refusal::QuietHours(None) => saying(
            "Bij jou thuis is het stiltetijd: er wordt nu niets gestart of harder gezet. Tot hoe laat staat in de regels van de \
             connector.",
        ),
        Refusal::OutcomeUnknown => saying(
            "Music Assistant deed er te lang over om te antwoorden. Misschien gebeurt het nog. Wacht even en vraag het alleen \
             opnieuw als er niets gebeurt.",
        ),
        Refusal::DidYouMean(found) => asking("Ik weet het niet zeker.", &format!("Bedoel je {}?", title(found))),
        Refusal::CannotGroup(name) => saying(format!(
            "{} kan niet samen met de andere spelen. Dat kan alleen met spelers van dezelfde soort.",
            if name.is_empty() { "Die speler".to_owned() } else { Heard(name).to_string() }
        )),
        Refusal::UnknownPreset => saying("Die favoriet bestaat niet meer. Vraag om iets anders."),
        Refusal::NothingPlays => saying("Daar speelt niets. Zet eerst muziek op."),
        Refusal::UnknownPlayer => discover_again(),
        Refusal::NotGranted => link_again(),
    }
}

fn paused() -> Spoken {
    saying(
        "De bediening op afstand is gestopt voor je huis. Sta die weer toe op de website, op de pagina van je huizen.",
    )
}

fn day_used_up(UsedUp { commands_per_day, after }: UsedUp) -> Spoken {
    let all = match commands_per_day {
        0 => "De opdrachten van je abonnement zijn op voor vandaag.".to_owned(),
        1 => "De ene opdracht per dag van je abonnement is al gebruikt.".to_owned(),
        most => format!("De {most} opdrachten per dag van je abonnement zijn op."),
    };
    // Days of all people end together, so the time of day is not theirs: how long it takes is.
    let goes_on = match after.as_secs().div_ceil(60) {
        0 => String::new(),
        1 => " Over een minuut gaat het verder.".to_owned(),
        minutes @ 2..90 => format!(" Over {minutes} minuten gaat het verder."),
        minutes => format!(" Over ongeveer {} uur gaat het verder.", (minutes + 30) / 60),
    };
    saying(format!("{all}{goes_on} Wat je abonnement toestaat, staat op de website."))
}

fn link_again() -> Spoken {
    saying(
        "De toestemming van je account laat dit niet toe. Koppel je account opnieuw in de Alexa-app, en sta toe dat spelers \
         bediend worden.",
    )
}

fn discover_again() -> Spoken {
    saying("Die speler ken ik niet meer. Zeg: Alexa, zoek mijn apparaten.")
}

fn slow() -> Spoken {
    saying(
        "Je huis deed er te lang over om te antwoorden. Probeer het opnieuw. Blijft het zo, controleer daar dan de internetverbinding.",
    )
}

fn busy() -> Spoken {
    saying("Je huis heeft het op dit moment te druk. Probeer het over een paar seconden opnieuw.")
}

fn clock(at: MinuteOfDay) -> String {
    match at.hour_and_minute() {
        (0, 0) => "middernacht".into(),
        (hour, 0) => format!("{hour} uur"),
        (hour, minute) => format!("{hour}:{minute:02} uur"),
    }
}
