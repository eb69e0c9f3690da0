//! Spanish.

use std::time::Duration;

use macloud_e2ee::vocabulary::{Item, MinuteOfDay, Placement, Playback, Refusal, Repeat, Transport};
use macloud_proto::bus::v1::{not_sent, unknown};

use super::{Everywhere, Heard, Say, Spoken, Units, after, asking, list, roughly, saying};
use crate::dispatch::UsedUp;
use crate::failure::{Failure, TokenFault};

pub(super) fn speak(say: &Say) -> Spoken {
    match say {
        Say::Welcome => asking("Music Assistant está listo.", "¿Qué quieres escuchar?"),
        Say::Help(players) => asking(&help(players), "¿Qué quieres escuchar?"),
        Say::Goodbye => saying("Hasta luego."),
        Say::OneMoment => saying("Un momento, espero la respuesta de tu casa."),
        Say::NotUnderstood => {
            asking("Perdona, no te he entendido. Di, por ejemplo: pon Kind of Blue.", "¿Qué quieres escuchar?")
        }
        Say::WhatToPlay => asking(
            "",
            "¿Qué quieres escuchar? Di: pon, y luego el nombre de un disco, un artista, una canción o una lista.",
        ),
        Say::WhichPlayer => asking("Perdona, no te he entendido.", "¿Qué reproductor quieres?"),
        Say::NoSuchTime => saying(
            "Necesito una duración de doce horas como máximo. Di, por ejemplo: para en 20 minutos, o: avanza 30 segundos.",
        ),
        Say::LinkFirst => saying(
            "Tu Music Assistant todavía no está vinculado. Te he enviado una tarjeta a la aplicación Alexa: ábrela, vincula tu \
             cuenta y vuelve a intentarlo.",
        ),
        Say::Started { item, placement, player } => saying(started(item.as_ref(), *placement, player)),
        Say::Volume(Some(level), player) => {
            saying(format!("El volumen de {} está en {}.", Heard(player), level.value()))
        }
        Say::Volume(None, player) => saying(format!("He cambiado el volumen de {}.", Heard(player))),
        Say::Muted(true, player) => saying(format!("{} está en silencio.", Heard(player))),
        Say::Muted(false, player) => saying(format!("{} vuelve a tener sonido.", Heard(player))),
        Say::Transported(transport, player) => saying(transported(*transport, player)),
        Say::Shuffled(true, player) => saying(format!("Reproducción aleatoria en {}.", Heard(player))),
        Say::Shuffled(false, player) => saying(format!("Sin reproducción aleatoria en {}.", Heard(player))),
        Say::Repeats(repeat, player) => saying(repeats(*repeat, player)),
        Say::SoughtTo(0, player) => saying(transported(Transport::StartOver, player)),
        Say::SoughtTo(to, player) => saying(format!("{} sigue desde {}.", Heard(player), UNITS.say(*to))),
        Say::SoughtBy(by, player) => {
            let verb = if *by < 0 { "retrocede" } else { "avanza" };
            saying(format!("{} {verb} {}.", Heard(player), UNITS.say(by.unsigned_abs())))
        }
        Say::Autoplay(true, player) => saying(format!("Al final, {} seguirá con música parecida.", Heard(player))),
        Say::Autoplay(false, player) => saying(format!("{} se parará al final de la cola.", Heard(player))),
        Say::SleepTimer(Some(minutes), player) => {
            saying(format!("{} se parará en {}.", Heard(player), UNITS.say(u32::from(*minutes) * 60)))
        }
        Say::SleepTimer(None, player) => saying(format!("He quitado el temporizador de {}.", Heard(player))),
        Say::Similar(player) => saying(format!("Ahora suena música parecida en {}.", Heard(player))),
        Say::Saved(Some(item)) => saying(format!("He guardado {} en tus favoritos.", title(item))),
        Say::Saved(None) => saying("Lo he guardado en tus favoritos."),
        Say::Moved(player) => saying(format!("Ahora la música suena en {}.", Heard(player))),
        Say::Joined(player, Some(other)) => saying(format!("{} suena junto con {}.", Heard(player), Heard(other))),
        Say::Joined(player, None) => saying(format!("{} suena también.", Heard(player))),
        Say::Unjoined(player) => saying(format!("{} vuelve a ir por separado.", Heard(player))),
        Say::UsedHere(player) => saying(format!("A partir de ahora uso {} aquí.", Heard(player))),
        Say::ForgottenHere => saying("Ya no hay ningún reproductor recordado para este sitio."),
        Say::Done => saying("Hecho."),
        Say::NowPlaying { item: Some(item), playback: Playback::Playing, player } => {
            saying(format!("En {} suena {}.", Heard(player), title(item)))
        }
        Say::NowPlaying { item: Some(item), playback: Playback::Paused, player } => {
            saying(format!("{} está en pausa, en {}.", Heard(player), title(item)))
        }
        Say::NowPlaying { item: None, playback: Playback::Playing, player } => {
            saying(format!("{} está sonando, pero no dice qué.", Heard(player)))
        }
        Say::NowPlaying { player, .. } => saying(format!("En {} no suena nada.", Heard(player))),
        Say::Learned(said, player) => after(
            speak(said),
            &format!("A partir de ahora uso {} aquí. Si no es así, di: olvida el reproductor de aquí.", Heard(player)),
        ),
        Say::Everywhere(deed) => saying(everywhere(deed)),
        Say::Except(said, players, failure) => {
            let except = format!("Pero no en {}: {}", list(players, "y"), failed(failure).text);
            after(speak(said), &except)
        }
        Say::NotEverywhere => saying(
            "Eso se hace con un solo reproductor: di su nombre. Todos a la vez se pueden pausar, parar, subir o bajar, o poner con la misma música.",
        ),
        Say::Failed(failure) => failed(failure),
    }
}

const UNITS: Units = Units {
    hour: ("una hora", "horas"),
    minute: ("un minuto", "minutos"),
    second: ("un segundo", "segundos"),
    and: "y",
};

/// With players that there are.
fn help(players: &[String]) -> String {
    let play = players
        .first()
        .map_or_else(|| "pon Kind of Blue, ".to_owned(), |first| format!("pon Kind of Blue en {}, ", Heard(first)));
    let go_on = players.get(1).map_or_else(String::new, |other| format!("pasa la música a {}, ", Heard(other)));
    format!("Puedes decir: {play}{go_on}para todo, para en 20 minutos, guarda esta canción, o: qué suena.")
}

fn everywhere(deed: &Everywhere) -> String {
    match deed {
        Everywhere::Paused => "Todo está en pausa.".to_owned(),
        Everywhere::Stopped => "Todo está parado.".to_owned(),
        Everywhere::Resumed => "La música sigue en todas partes.".to_owned(),
        Everywhere::Volume(Some(level)) => format!("El volumen está en {} en todas partes.", level.value()),
        Everywhere::Volume(None) => "He cambiado el volumen en todas partes.".to_owned(),
        Everywhere::Muted(true) => "Todo está en silencio.".to_owned(),
        Everywhere::Muted(false) => "Vuelve a haber sonido en todas partes.".to_owned(),
        Everywhere::SleepTimer(Some(minutes)) => {
            format!("La música se parará en todas partes en {}.", UNITS.say(u32::from(*minutes) * 60))
        }
        Everywhere::SleepTimer(None) => "He quitado todos los temporizadores.".to_owned(),
        Everywhere::Plays(Some(item)) => format!("Pongo {} en todas partes.", title(item)),
        Everywhere::Plays(None) => "Ya suena en todas partes.".to_owned(),
        Everywhere::Alone => "Cada reproductor vuelve a ir por separado.".to_owned(),
        Everywhere::Ordered => "Hecho en todas partes.".to_owned(),
    }
}

fn title(item: &Item) -> String {
    super::title(item, "de")
}

fn started(item: Option<&Item>, placement: Placement, player: &str) -> String {
    let player = Heard(player);
    let Some(item) = item.map(title) else {
        return match placement {
            Placement::Replace => format!("Ya suena en {player}."),
            Placement::Next => format!("Sonará a continuación en {player}."),
            Placement::Add => format!("Está en la cola de {player}."),
        };
    };
    match placement {
        Placement::Replace => format!("Pongo {item} en {player}."),
        Placement::Next => format!("A continuación, {item} en {player}."),
        Placement::Add => format!("He añadido {item} a la cola de {player}."),
    }
}

fn transported(transport: Transport, player: &str) -> String {
    let player = Heard(player);
    match transport {
        Transport::Play => format!("Sigue sonando {player}."),
        Transport::Pause => format!("{player} está en pausa."),
        Transport::Stop => format!("{player} está parado."),
        Transport::Next => format!("Lo siguiente en {player}."),
        Transport::Previous => format!("Lo anterior en {player}."),
        Transport::StartOver => format!("Desde el principio en {player}."),
        Transport::FastForward => format!("Un poco adelante en {player}."),
        Transport::Rewind => format!("Un poco atrás en {player}."),
    }
}

fn repeats(repeat: Repeat, player: &str) -> String {
    let player = Heard(player);
    match repeat {
        Repeat::Off => format!("Ya no se repite nada en {player}."),
        Repeat::One => format!("Se repite esta canción en {player}."),
        Repeat::All => format!("Se repite todo en {player}."),
    }
}

/// One sentence for the cause, one for the remedy.
fn failed(failure: &Failure) -> Spoken {
    match failure {
        Failure::InvalidDirective(_) | Failure::NoSuchMode => {
            saying("Lo siento, eso no se puede hacer con un reproductor.")
        }
        Failure::OutOfRange { minimum, maximum } => {
            saying(format!("Eso no es posible. Di un número de {minimum} a {maximum}."))
        }
        Failure::Token(TokenFault::Expired) => saying(
            "La vinculación con tu cuenta de Music Assistant ha caducado. Inténtalo dentro de un minuto. Si sigue así, vincula \
             otra vez tu cuenta en la aplicación Alexa.",
        ),
        Failure::Token(TokenFault::Invalid) => saying(
            "La vinculación con tu cuenta de Music Assistant ya no es válida. Te he enviado una tarjeta a la aplicación Alexa: \
             ábrela y vincula otra vez tu cuenta.",
        ),
        Failure::Token(TokenFault::Suspended) => {
            saying("Tu cuenta de Music Assistant está suspendida. Inicia sesión en la web para saber por qué.")
        }
        Failure::ScopeMissing => link_again(),
        Failure::NoSuchEndpoint => discover_again(),
        Failure::NoHome => saying(
            "Tu cuenta todavía no tiene ningún Music Assistant conectado. Inicia el conector junto a tu Music Assistant y sigue \
             lo que muestra.",
        ),
        Failure::HomePaused => paused(),
        Failure::UsedUp(used_up) => day_used_up(*used_up),
        Failure::AccountsAway | Failure::BusAway => saying(
            "El servicio tiene un problema en este momento. La culpa no es de tus altavoces. Inténtalo dentro de un minuto.",
        ),
        Failure::NotSent(reason) => not_sent(*reason),
        Failure::Away(away) => home_away(Some(*away)),
        Failure::Unknown(reason) => unknown(*reason),
        Failure::TimeUp => slow(),
        Failure::HomeUntrusted => saying(
            "El conector de tu casa no es el que se conectó. Si lo has instalado de nuevo, vuelve a conectarlo en la web.",
        ),
        Failure::SessionBroken | Failure::UnexpectedReply | Failure::GrantNotAccepted => saying(
            "No he podido establecer una conexión segura con tu casa. Inténtalo otra vez. Si sigue así, actualiza el conector.",
        ),
        Failure::SameName(name) => saying(format!(
            "Varios reproductores se llaman {}. Dale a cada uno su propio nombre, en Music Assistant o en el conector, y dilo.",
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
        Reason::RateLimited => saying("Eso ha sido demasiado a la vez. Espera unos segundos y vuelve a intentarlo."),
        Reason::Draining | Reason::LinkLost | Reason::Unlocated => {
            saying("La conexión con tu casa se ha perdido un momento. Inténtalo otra vez.")
        }
        Reason::Deadline => slow(),
        Reason::Paused => paused(),
        // Without the numbers: from a relay that does not know them.
        Reason::UsedUp => day_used_up(UsedUp { commands_per_day: 0, after: Duration::ZERO }),
        Reason::Cancelled | Reason::Invalid | Reason::Unspecified => {
            saying("El servicio tiene un problema en este momento. Inténtalo dentro de un minuto.")
        }
    }
}

fn home_away(away: Option<Duration>) -> Spoken {
    let cause = away.and_then(about).map_or_else(
        || "No consigo llegar a tu casa.".to_owned(),
        |time| format!("Tu casa no está conectada desde hace {time}."),
    );
    saying(format!(
        "{cause} Comprueba que el equipo con el conector de Music Assistant está encendido y tiene Internet, y vuelve a intentarlo."
    ))
}

fn music_assistant_away(away: Option<Duration>) -> Spoken {
    let cause = away.and_then(about).map_or_else(
        || "Tu casa está conectada, pero Music Assistant no responde.".to_owned(),
        |time| format!("Tu casa está conectada, pero Music Assistant no responde desde hace {time}."),
    );
    saying(format!("{cause} Comprueba que está en marcha y vuelve a intentarlo."))
}

fn about(length: Duration) -> Option<String> {
    roughly(length, "unas", ["minutos", "horas", "días"])
}

fn unknown(reason: unknown::Reason) -> Spoken {
    use unknown::Reason;
    match reason {
        Reason::Deadline => saying(
            "Tu casa no ha respondido a tiempo. Mira si se ha hecho y, si no, inténtalo otra vez. Si sigue así, comprueba su \
             conexión a Internet.",
        ),
        Reason::Unspecified => {
            saying("No he podido leer lo que ha respondido tu casa. Mira si se ha hecho y, si no, inténtalo otra vez.")
        }
        Reason::LinkLost => saying(
            "La conexión con tu casa se ha cortado antes de la respuesta. Mira si se ha hecho y, si no, inténtalo otra vez.",
        ),
        Reason::Unresponsive => saying(
            "Tu casa no responde. Comprueba su conexión a Internet y el equipo con el conector de Music Assistant, y vuelve a \
             intentarlo.",
        ),
    }
}

fn refused(refusal: &Refusal) -> Spoken {
    match refusal {
        Refusal::NoPlayerNamed(names) if names.is_empty() => {
            saying("No hay ningún reproductor que pueda usar. Elige alguno en los ajustes del conector, en casa.")
        }
        Refusal::NoPlayerNamed(names) => {
            saying(format!("Ningún reproductor se llama así. Tienes {}.", list(names, "y")))
        }
        Refusal::WhichPlayer(names) if names.is_empty() => {
            saying("Puede ser más de un reproductor. Di el nombre completo, por favor.")
        }
        Refusal::WhichPlayer(names) => {
            asking("Puede ser más de un reproductor.", &format!("¿Cuál: {}?", list(names, "o")))
        }
        Refusal::PlayerUnavailable(name) => saying(format!(
            "Music Assistant no consigue llegar a {}. Comprueba que el altavoz está encendido y conectado.",
            if name.is_empty() { "ese altavoz".to_owned() } else { Heard(name).to_string() }
        )),
        Refusal::MediaNotFound => {
            saying("No lo he encontrado en Music Assistant. Prueba con el nombre del artista, o con otras palabras.")
        }
        Refusal::MediaNotFoundYet => saying(
            "No lo he encontrado, pero todavía estoy leyendo tu biblioteca de música. Inténtalo de nuevo en unos minutos, o di también el artista.",
        ),
        Refusal::NothingToPlay => saying("Ahí no hay nada en la cola. Dime qué quieres que ponga."),
        Refusal::NotSupported => saying("Ese reproductor no puede hacerlo."),
        Refusal::PlayerBusy => {
            saying("El reproductor no se puede interrumpir en este momento. Inténtalo dentro de unos segundos.")
        }
        Refusal::MusicAssistantAway(away) => music_assistant_away(*away),
        Refusal::MusicAssistantStarting => saying("Music Assistant está arrancando. Inténtalo dentro de un minuto."),
        Refusal::MusicAssistantRefusesToken => saying(
            "Music Assistant ya no acepta su conector. Abre en casa la página del conector y conéctalo otra vez a Music \
             Assistant.",
        ),
        Refusal::MusicAssistantFailed => {
            saying("Music Assistant no ha podido hacerlo. Su registro, en casa, dice por qué. Inténtalo otra vez.")
        }
        Refusal::Late => slow(),
        Refusal::Stopped => {
            saying("El control a distancia está desactivado en el conector de tu casa. Vuelve a activarlo allí.")
        }
        Refusal::Busy => busy(),
        Refusal::UnknownCommand => {
            saying("El conector de tu casa es demasiado antiguo para eso. Actualízalo y vuelve a intentarlo.")
        }
        Refusal::Internal => saying("El conector de tu casa ha fallado. Inténtalo otra vez. Si sigue así, reinícialo."),
        Refusal::VolumeLimited(most) => saying(format!(
            "Este reproductor no puede pasar del {} por ciento. Así lo dicen las reglas del conector de tu casa.",
            most.value()
        )),
        Refusal::QuietHours(Some(end)) => {
            saying(format!("En tu casa es hora de silencio hasta {}: ahora no se pone ni se sube nada.", clock(*end)))
        }
        Refusal::QuietHours(None) => saying(
            "En tu casa es hora de silencio: ahora no se pone ni se sube nada. Las reglas del conector dicen hasta cuándo.",
        ),
        Refusal::OutcomeUnknown => saying(
            "Music Assistant ha tardado demasiado en responder. Puede que aún lo haga. Espera un momento y pídelo otra vez solo \
             si no pasa nada.",
        ),
        Refusal::DidYouMean(found) => asking("No estoy segura.", &format!("¿Te refieres a {}?", title(found))),
        Refusal::CannotGroup(name) => saying(format!(
            "{} no puede sonar junto con el otro. Solo pueden los reproductores del mismo tipo.",
            if name.is_empty() { "Ese reproductor".to_owned() } else { Heard(name).to_string() }
        )),
        Refusal::UnknownPreset => saying("Ese favorito ya no existe. Pide otra cosa."),
        Refusal::NothingPlays => saying("Ahí no suena nada. Pon música primero."),
        Refusal::UnknownPlayer => discover_again(),
        Refusal::NotGranted => link_again(),
    }
}

fn paused() -> Spoken {
    saying(
        "El control a distancia está detenido para tu casa. Permítelo de nuevo en la web, en la página de tus casas.",
    )
}

fn day_used_up(UsedUp { commands_per_day, after }: UsedUp) -> Spoken {
    let all = match commands_per_day {
        0 => "Las órdenes de tu plan se han agotado por hoy.".to_owned(),
        1 => "La única orden al día de tu plan ya está usada.".to_owned(),
        most => format!("Las {most} órdenes al día de tu plan se han agotado."),
    };
    // Days of all people end together, so the time of day is not theirs: how long it takes is.
    let goes_on = match after.as_secs().div_ceil(60) {
        0 => String::new(),
        1 => " Se reanuda dentro de un minuto.".to_owned(),
        minutes @ 2..90 => format!(" Se reanuda dentro de {minutes} minutos."),
        minutes => format!(" Se reanuda dentro de unas {} horas.", (minutes + 30) / 60),
    };
    saying(format!("{all}{goes_on} En la web está lo que permite tu plan."))
}

fn link_again() -> Spoken {
    saying(
        "El permiso de tu cuenta no lo permite. Vincula otra vez tu cuenta en la aplicación Alexa, y permite controlar los \
         reproductores.",
    )
}

fn discover_again() -> Spoken {
    saying("Ya no conozco ese reproductor. Di: Alexa, busca mis dispositivos.")
}

fn slow() -> Spoken {
    saying(
        "Tu casa ha tardado demasiado en responder. Inténtalo otra vez. Si sigue así, comprueba su conexión a Internet.",
    )
}

fn busy() -> Spoken {
    saying("Tu casa tiene demasiado que hacer en este momento. Inténtalo dentro de unos segundos.")
}

fn clock(at: MinuteOfDay) -> String {
    match at.hour_and_minute() {
        (0, 0) => "la medianoche".into(),
        (1, 0) => "la una".into(),
        (1, minute) => format!("la 1:{minute:02}"),
        (hour, 0) => format!("las {hour}"),
        (hour, minute) => format!("las {hour}:{minute:02}"),
    }
}
