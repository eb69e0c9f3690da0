//! German.

use std::time::Duration;

use macloud_e2ee::vocabulary::{Item, MinuteOfDay, Placement, Playback, Refusal, Repeat, Transport};
use macloud_proto::bus::v1::{not_sent, unknown};

use super::{Everywhere, Heard, Say, Spoken, Units, after, asking, list, roughly, saying};
use crate::dispatch::UsedUp;
use crate::failure::{Failure, TokenFault};

pub(super) fn speak(say: &Say) -> Spoken {
    match say {
        Say::Welcome => asking("Music Assistant ist bereit.", "Was möchtest du hören?"),
        Say::Help(players) => asking(&help(players), "Was möchtest du hören?"),
        Say::Goodbye => saying("Bis bald."),
        Say::OneMoment => saying("Einen Moment, ich warte noch auf dein Zuhause."),
        Say::NotUnderstood => {
            asking("Das habe ich nicht verstanden. Sag zum Beispiel: spiele Kind of Blue.", "Was möchtest du hören?")
        }
        Say::WhatToPlay => asking(
            "",
            "Was möchtest du hören? Sag: spiele, und dann den Namen eines Albums, Künstlers, Liedes oder einer Playlist.",
        ),
        Say::WhichPlayer => asking("Das habe ich nicht verstanden.", "Welchen Player meinst du?"),
        Say::NoSuchTime => saying(
            "Dafür brauche ich eine Dauer von höchstens zwölf Stunden. Sag zum Beispiel: stoppe in 20 Minuten, oder: \
             springe 30 Sekunden vor.",
        ),
        Say::LinkFirst => saying(
            "Dein Music Assistant ist noch nicht verknüpft. In der Alexa-App findest du jetzt eine Karte: Öffne sie, \
             verknüpfe dein Konto und versuche es dann noch einmal.",
        ),
        Say::Started { item, placement, player } => saying(started(item.as_ref(), *placement, player)),
        Say::Volume(Some(level), player) => {
            saying(format!("Die Lautstärke von {} ist {}.", Heard(player), level.value()))
        }
        Say::Volume(None, player) => saying(format!("Die Lautstärke von {} ist geändert.", Heard(player))),
        Say::Muted(true, player) => saying(format!("{} ist stumm.", Heard(player))),
        Say::Muted(false, player) => saying(format!("{} ist nicht mehr stumm.", Heard(player))),
        Say::Transported(transport, player) => saying(transported(*transport, player)),
        Say::Shuffled(true, player) => saying(format!("Zufällige Reihenfolge auf {}.", Heard(player))),
        Say::Shuffled(false, player) => saying(format!("Wieder der Reihe nach auf {}.", Heard(player))),
        Say::Repeats(repeat, player) => saying(repeats(*repeat, player)),
        Say::SoughtTo(0, player) => saying(transported(Transport::StartOver, player)),
        Say::SoughtTo(to, player) => saying(format!("{} spielt ab {}.", Heard(player), DATIVE.say(*to))),
        Say::SoughtBy(by, player) => {
            let way = if *by < 0 { "zurück" } else { "vor" };
            saying(format!("{} springt {} {way}.", Heard(player), ACCUSATIVE.say(by.unsigned_abs())))
        }
        Say::Autoplay(true, player) => saying(format!("{} spielt am Ende mit ähnlicher Musik weiter.", Heard(player))),
        Say::Autoplay(false, player) => saying(format!("{} hört am Ende der Warteschlange auf.", Heard(player))),
        Say::SleepTimer(Some(minutes), player) => {
            saying(format!("{} hört in {} auf.", Heard(player), DATIVE.say(u32::from(*minutes) * 60)))
        }
        Say::SleepTimer(None, player) => saying(format!("Der Einschlaftimer von {} ist aus.", Heard(player))),
        Say::Similar(player) => saying(format!("Ab jetzt läuft auf {} ähnliche Musik.", Heard(player))),
        Say::Saved(Some(item)) => saying(format!("{} ist jetzt bei deinen Favoriten.", title(item))),
        Say::Saved(None) => saying("Das ist jetzt bei deinen Favoriten."),
        Say::Moved(player) => saying(format!("Die Musik spielt jetzt auf {}.", Heard(player))),
        Say::Joined(player, Some(other)) => saying(format!("{} spielt zusammen mit {}.", Heard(player), Heard(other))),
        Say::Joined(player, None) => saying(format!("{} spielt mit.", Heard(player))),
        Say::Unjoined(player) => saying(format!("{} ist wieder für sich.", Heard(player))),
        Say::UsedHere(player) => saying(format!("Ab jetzt nehme ich hier {}.", Heard(player))),
        Say::ForgottenHere => saying("Für diesen Platz ist jetzt kein Player mehr gemerkt."),
        Say::Done => saying("Erledigt."),
        Say::NowPlaying { item: Some(item), playback: Playback::Playing, player } => {
            saying(format!("Auf {} läuft {}.", Heard(player), title(item)))
        }
        Say::NowPlaying { item: Some(item), playback: Playback::Paused, player } => {
            saying(format!("{} ist pausiert, bei {}.", Heard(player), title(item)))
        }
        Say::NowPlaying { item: None, playback: Playback::Playing, player } => {
            saying(format!("{} spielt, sagt aber nicht, was.", Heard(player)))
        }
        Say::NowPlaying { player, .. } => saying(format!("Auf {} läuft nichts.", Heard(player))),
        Say::Learned(said, player) => after(
            speak(said),
            &format!("Ab jetzt nehme ich hier {}. Wenn das falsch ist, sag: vergiss den Player hier.", Heard(player)),
        ),
        Say::Everywhere(deed) => saying(everywhere(deed)),
        Say::Except(said, players, failure) => {
            let except = format!("Aber nicht auf {}: {}", list(players, "und"), failed(failure).text);
            after(speak(said), &except)
        }
        Say::NotEverywhere => saying(
            "Das geht nur mit einem Player: sag seinen Namen. Alle zugleich können pausieren, aufhören, lauter oder leiser werden, oder dasselbe spielen.",
        ),
        Say::Failed(failure) => failed(failure),
    }
}

/// "Eine Minute vor".
const ACCUSATIVE: Units = Units {
    hour: ("eine Stunde", "Stunden"),
    minute: ("eine Minute", "Minuten"),
    second: ("eine Sekunde", "Sekunden"),
    and: "und",
};

/// "In einer Minute".
const DATIVE: Units = Units {
    hour: ("einer Stunde", "Stunden"),
    minute: ("einer Minute", "Minuten"),
    second: ("einer Sekunde", "Sekunden"),
    and: "und",
};

/// With players that there are.
fn help(players: &[String]) -> String {
    let play = players.first().map_or_else(
        || "spiele Kind of Blue, ".to_owned(),
        |first| format!("spiele Kind of Blue auf {}, ", Heard(first)),
    );
    let go_on = players.get(1).map_or_else(String::new, |other| format!("verschiebe die Musik auf {}, ", Heard(other)));
    format!(
        "Du kannst sagen: {play}{go_on}pausiere alles, stoppe in 20 Minuten, merk dir dieses Lied, oder: was läuft."
    )
}

fn everywhere(deed: &Everywhere) -> String {
    match deed {
        Everywhere::Paused => "Überall ist Pause.".to_owned(),
        Everywhere::Stopped => "Überall ist gestoppt.".to_owned(),
        Everywhere::Resumed => "Überall geht es weiter.".to_owned(),
        Everywhere::Volume(Some(level)) => format!("Die Lautstärke ist überall {}.", level.value()),
        Everywhere::Volume(None) => "Die Lautstärke ist überall geändert.".to_owned(),
        Everywhere::Muted(true) => "Überall ist der Ton aus.".to_owned(),
        Everywhere::Muted(false) => "Überall ist der Ton wieder an.".to_owned(),
        Everywhere::SleepTimer(Some(minutes)) => {
            format!("In {} hört die Musik überall auf.", DATIVE.say(u32::from(*minutes) * 60))
        }
        Everywhere::SleepTimer(None) => "Alle Einschlaftimer sind aus.".to_owned(),
        Everywhere::Plays(Some(item)) => format!("Ich spiele {} überall.", title(item)),
        Everywhere::Plays(None) => "Es läuft überall.".to_owned(),
        Everywhere::Alone => "Jeder Player ist wieder für sich.".to_owned(),
        Everywhere::Ordered => "Überall erledigt.".to_owned(),
    }
}

fn title(item: &Item) -> String {
    super::title(item, "von")
}

fn started(item: Option<&Item>, placement: Placement, player: &str) -> String {
    let player = Heard(player);
    let Some(item) = item.map(title) else {
        return match placement {
            Placement::Replace => format!("Es läuft auf {player}."),
            Placement::Next => format!("Es kommt als Nächstes auf {player}."),
            Placement::Add => format!("Es ist in der Warteschlange von {player}."),
        };
    };
    match placement {
        Placement::Replace => format!("Ich spiele {item} auf {player}."),
        Placement::Next => format!("Als Nächstes kommt {item} auf {player}."),
        Placement::Add => format!("{item} ist in der Warteschlange von {player}."),
    }
}

fn transported(transport: Transport, player: &str) -> String {
    let player = Heard(player);
    match transport {
        Transport::Play => format!("Weiter auf {player}."),
        Transport::Pause => format!("{player} ist pausiert."),
        Transport::Stop => format!("{player} ist gestoppt."),
        Transport::Next => format!("Das Nächste auf {player}."),
        Transport::Previous => format!("Das Vorige auf {player}."),
        Transport::StartOver => format!("Von vorne auf {player}."),
        Transport::FastForward => format!("Ein Stück vor auf {player}."),
        Transport::Rewind => format!("Ein Stück zurück auf {player}."),
    }
}

fn repeats(repeat: Repeat, player: &str) -> String {
    let player = Heard(player);
    match repeat {
        Repeat::Off => format!("Auf {player} wird nichts mehr wiederholt."),
        Repeat::One => format!("Das wird auf {player} wiederholt."),
        Repeat::All => format!("Alles wird auf {player} wiederholt."),
    }
}

/// One sentence for the cause, one for the remedy.
fn failed(failure: &Failure) -> Spoken {
    match failure {
        Failure::InvalidDirective(_) | Failure::NoSuchMode => saying("Das geht mit einem Player leider nicht."),
        Failure::OutOfRange { minimum, maximum } => {
            saying(format!("Das geht nicht. Sag eine Zahl von {minimum} bis {maximum}."))
        }
        Failure::Token(TokenFault::Expired) => saying(
            "Die Verknüpfung mit deinem Music-Assistant-Konto ist abgelaufen. Versuche es in einer Minute noch einmal. Bleibt es \
             so, verknüpfe dein Konto in der Alexa-App neu.",
        ),
        Failure::Token(TokenFault::Invalid) => saying(
            "Die Verknüpfung mit deinem Music-Assistant-Konto gilt nicht mehr. In der Alexa-App findest du eine Karte: Öffne \
             sie und verknüpfe dein Konto neu.",
        ),
        Failure::Token(TokenFault::Suspended) => {
            saying("Dein Music-Assistant-Konto ist gesperrt. Melde dich auf der Website an: Dort steht, warum.")
        }
        Failure::ScopeMissing => link_again(),
        Failure::NoSuchEndpoint => discover_again(),
        Failure::NoHome => saying(
            "Mit deinem Konto ist noch kein Music Assistant verbunden. Starte den Connector neben deinem Music Assistant und \
             folge dem, was er zeigt.",
        ),
        Failure::HomePaused => paused(),
        Failure::UsedUp(used_up) => day_used_up(*used_up),
        Failure::AccountsAway | Failure::BusAway => saying(
            "Der Dienst hat gerade eine Störung. An deinen Lautsprechern liegt es nicht. Versuche es gleich noch einmal.",
        ),
        Failure::NotSent(reason) => not_sent(*reason),
        Failure::Away(away) => home_away(Some(*away)),
        Failure::Unknown(reason) => unknown(*reason),
        Failure::TimeUp => slow(),
        Failure::HomeUntrusted => saying(
            "Der Connector bei dir zu Hause ist nicht der, der verbunden wurde. Hast du ihn neu eingerichtet, dann verbinde \
             ihn auf der Website neu.",
        ),
        Failure::SessionBroken | Failure::UnexpectedReply | Failure::GrantNotAccepted => saying(
            "Die sichere Verbindung zu dir nach Hause kam nicht zustande. Versuche es noch einmal. Bleibt es so, aktualisiere \
             den Connector.",
        ),
        Failure::SameName(name) => saying(format!(
            "Mehrere Player heißen {}. Gib jedem einen eigenen Namen, in Music Assistant oder am Connector, und sag dann den.",
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
        Reason::RateLimited => {
            saying("Das war zu viel auf einmal. Warte ein paar Sekunden und versuche es noch einmal.")
        }
        Reason::Draining | Reason::LinkLost | Reason::Unlocated => {
            saying("Die Verbindung zu dir nach Hause war kurz unterbrochen. Versuche es noch einmal.")
        }
        Reason::Deadline => slow(),
        Reason::Paused => paused(),
        // Without the numbers: from a relay that does not know them.
        Reason::UsedUp => day_used_up(UsedUp { commands_per_day: 0, after: Duration::ZERO }),
        Reason::Cancelled | Reason::Invalid | Reason::Unspecified => {
            saying("Der Dienst hat gerade eine Störung. Versuche es in einer Minute noch einmal.")
        }
    }
}

fn home_away(away: Option<Duration>) -> Spoken {
    let cause = away.and_then(about).map_or_else(
        || "Ich erreiche dein Zuhause nicht.".to_owned(),
        |time| format!("Dein Zuhause ist seit {time} nicht erreichbar."),
    );
    saying(format!(
        "{cause} Sieh nach, ob das Gerät mit dem Connector von Music Assistant läuft und Internet hat, und versuche es dann noch einmal."
    ))
}

fn music_assistant_away(away: Option<Duration>) -> Spoken {
    let cause = away.and_then(about).map_or_else(
        || "Dein Zuhause ist verbunden, aber Music Assistant antwortet nicht.".to_owned(),
        |time| format!("Dein Zuhause ist verbunden, aber Music Assistant antwortet seit {time} nicht."),
    );
    saying(format!("{cause} Sieh nach, ob er läuft, und versuche es dann noch einmal."))
}

fn about(length: Duration) -> Option<String> {
    roughly(length, "etwa", ["Minuten", "Stunden", "Tagen"])
}

fn unknown(reason: unknown::Reason) -> Spoken {
    use unknown::Reason;
    match reason {
        Reason::Deadline => saying(
            "Dein Zuhause hat nicht rechtzeitig geantwortet. Sieh nach, ob es geklappt hat, und versuche es sonst noch einmal. \
             Bleibt es so, prüfe dort die Internetverbindung.",
        ),
        Reason::Unspecified => saying(
            "Ich konnte die Antwort deines Zuhauses nicht lesen. Sieh nach, ob es geklappt hat, und versuche es sonst noch \
             einmal.",
        ),
        Reason::LinkLost => saying(
            "Die Verbindung zu dir nach Hause brach vor der Antwort ab. Sieh nach, ob es geklappt hat, und versuche es sonst \
             noch einmal.",
        ),
        Reason::Unresponsive => saying(
            "Dein Zuhause antwortet nicht. Prüfe dort die Internetverbindung und das Gerät mit dem Connector, und versuche es \
             dann noch einmal.",
        ),
    }
}

fn refused(refusal: &Refusal) -> Spoken {
    match refusal {
        Refusal::NoPlayerNamed(names) if names.is_empty() => {
            saying("Es gibt keinen Player, den ich benutzen darf. Gib zu Hause am Connector welche frei.")
        }
        Refusal::NoPlayerNamed(names) => saying(format!("So heißt kein Player. Du hast {}.", list(names, "und"))),
        Refusal::WhichPlayer(names) if names.is_empty() => {
            saying("Mehrere Player könnten gemeint sein. Sag bitte den vollen Namen.")
        }
        Refusal::WhichPlayer(names) => {
            asking("Mehrere Player könnten gemeint sein.", &format!("Welcher: {}?", list(names, "oder")))
        }
        Refusal::PlayerUnavailable(name) => saying(format!(
            "Music Assistant erreicht {} nicht. Sieh nach, ob der Lautsprecher eingeschaltet und verbunden ist.",
            if name.is_empty() { "den Lautsprecher".to_owned() } else { Heard(name).to_string() }
        )),
        Refusal::MediaNotFound => saying(
            "Das habe ich in Music Assistant nicht gefunden. Versuche es mit dem Namen des Künstlers oder mit anderen Worten.",
        ),
        Refusal::MediaNotFoundYet => saying(
            "Das habe ich nicht gefunden, aber ich lese deine Musikbibliothek noch ein. Versuche es in ein paar Minuten noch einmal, oder nenne auch den Künstler.",
        ),
        Refusal::NothingToPlay => saying("Dort ist nichts in der Warteschlange. Sag mir, was ich spielen soll."),
        Refusal::NotSupported => saying("Das kann dieser Player nicht."),
        Refusal::PlayerBusy => {
            saying("Der Player lässt sich gerade nicht unterbrechen. Versuche es in ein paar Sekunden noch einmal.")
        }
        Refusal::MusicAssistantAway(away) => music_assistant_away(*away),
        Refusal::MusicAssistantStarting => {
            saying("Music Assistant startet gerade. Versuche es in einer Minute noch einmal.")
        }
        Refusal::MusicAssistantRefusesToken => saying(
            "Music Assistant nimmt seinen Connector nicht mehr an. Öffne zu Hause die Seite des Connectors und verbinde ihn \
             neu mit Music Assistant.",
        ),
        Refusal::MusicAssistantFailed => saying(
            "Music Assistant konnte das nicht. Warum, steht zu Hause in seinem Protokoll. Versuche es noch einmal.",
        ),
        Refusal::Late => slow(),
        Refusal::Stopped => {
            saying("Die Fernsteuerung ist am Connector bei dir zu Hause ausgeschaltet. Schalte sie dort wieder ein.")
        }
        Refusal::Busy => busy(),
        Refusal::UnknownCommand => saying(
            "Der Connector bei dir zu Hause ist dafür zu alt. Aktualisiere ihn und versuche es dann noch einmal.",
        ),
        Refusal::Internal => saying(
            "Der Connector bei dir zu Hause hatte einen Fehler. Versuche es noch einmal. Bleibt es so, starte ihn neu.",
        ),
        Refusal::VolumeLimited(most) => saying(format!(
            "Lauter als {} Prozent darf dieser Player nicht sein. So steht es in den Regeln des Connectors bei dir zu Hause.",
            most.value()
        )),
        Refusal::QuietHours(Some(end)) => saying(format!(
            "Bei dir zu Hause ist Ruhezeit bis {}: Jetzt wird nichts gestartet oder lauter gestellt.",
            clock(*end)
        )),
        Refusal::QuietHours(None) => saying(
            "Bei dir zu Hause ist Ruhezeit: Jetzt wird nichts gestartet oder lauter gestellt. Bis wann, steht dort in den \
             Regeln des Connectors.",
        ),
        Refusal::OutcomeUnknown => saying(
            "Music Assistant hat zu lange nicht geantwortet. Vielleicht macht er es noch. Warte kurz und frage nur noch einmal, \
             wenn nichts geschieht.",
        ),
        Refusal::DidYouMean(found) => asking("Ich bin nicht sicher.", &format!("Meinst du {}?", title(found))),
        Refusal::CannotGroup(name) => saying(format!(
            "{} kann mit dem anderen nicht zusammen spielen. Das geht nur mit Playern der gleichen Art.",
            if name.is_empty() { "Dieser Player".to_owned() } else { Heard(name).to_string() }
        )),
        Refusal::UnknownPreset => saying("Diesen Favoriten gibt es nicht mehr. Wünsch dir etwas anderes."),
        Refusal::NothingPlays => saying("Dort läuft gerade nichts. Starte zuerst Musik."),
        Refusal::UnknownPlayer => discover_again(),
        Refusal::NotGranted => link_again(),
    }
}

fn paused() -> Spoken {
    saying("Die Fernsteuerung ist für dein Zuhause angehalten. Erlaube sie auf der Website unter Zuhause wieder.")
}

fn day_used_up(UsedUp { commands_per_day, after }: UsedUp) -> Spoken {
    let all = match commands_per_day {
        0 => "Die Befehle deines Tarifs sind für heute aufgebraucht.".to_owned(),
        1 => "Der eine Befehl am Tag, den dein Tarif erlaubt, ist für heute aufgebraucht.".to_owned(),
        most => format!("Die {most} Befehle deines Tarifs sind für heute aufgebraucht."),
    };
    // Days of all people end together, so the time of day is not theirs: how long it takes is.
    let goes_on = match after.as_secs().div_ceil(60) {
        0 => String::new(),
        1 => " In einer Minute geht es weiter.".to_owned(),
        minutes @ 2..90 => format!(" In {minutes} Minuten geht es weiter."),
        minutes => format!(" In etwa {} Stunden geht es weiter.", (minutes + 30) / 60),
    };
    saying(format!("{all}{goes_on} Was dein Tarif erlaubt, steht auf der Website."))
}

fn link_again() -> Spoken {
    saying(
        "Die Verknüpfung deines Kontos erlaubt das nicht. Verknüpfe dein Konto in der Alexa-App neu, und erlaube dabei, Player \
         zu steuern.",
    )
}

fn discover_again() -> Spoken {
    saying("Diesen Player kenne ich nicht mehr. Sag: Alexa, suche neue Geräte.")
}

fn slow() -> Spoken {
    saying(
        "Dein Zuhause hat zu lange für die Antwort gebraucht. Versuche es noch einmal. Bleibt es so, prüfe dort die \
         Internetverbindung.",
    )
}

fn busy() -> Spoken {
    saying("Dein Zuhause hat gerade zu viel zu tun. Versuche es in ein paar Sekunden noch einmal.")
}

fn clock(at: MinuteOfDay) -> String {
    match at.hour_and_minute() {
        (0, 0) => "Mitternacht".into(),
        (1, 0) => "ein Uhr".into(),
        (hour, 0) => format!("{hour} Uhr"),
        (hour, minute) => format!("{hour}:{minute:02} Uhr"),
    }
}
