//! Italian.

use std::time::Duration;

use macloud_e2ee::vocabulary::{Item, MinuteOfDay, Placement, Playback, Refusal, Repeat, Transport};
use macloud_proto::bus::v1::{not_sent, unknown};

use super::{Everywhere, Heard, Say, Spoken, Units, after, asking, list, roughly, saying};
use crate::dispatch::UsedUp;
use crate::failure::{Failure, TokenFault};

pub(super) fn speak(say: &Say) -> Spoken {
    match say {
        Say::Welcome => asking("Music Assistant è pronto.", "Cosa vuoi ascoltare?"),
        Say::Help(players) => asking(&help(players), "Cosa vuoi ascoltare?"),
        Say::Goodbye => saying("A presto."),
        Say::OneMoment => saying("Un momento, aspetto la risposta da casa tua."),
        Say::NotUnderstood => {
            asking("Scusa, non ho capito. Di' per esempio: metti Kind of Blue.", "Cosa vuoi ascoltare?")
        }
        Say::WhatToPlay => asking(
            "",
            "Cosa vuoi ascoltare? Di': metti, e poi il nome di un album, un artista, una canzone o una playlist.",
        ),
        Say::WhichPlayer => asking("Scusa, non ho capito.", "Quale lettore intendi?"),
        Say::NoSuchTime => saying(
            "Mi serve una durata di dodici ore al massimo. Di' per esempio: fermati tra 20 minuti, oppure: vai avanti di 30 \
             secondi.",
        ),
        Say::LinkFirst => saying(
            "Il tuo Music Assistant non è ancora collegato. Ti ho inviato una scheda nell'app Alexa: aprila, collega il tuo \
             account e riprova.",
        ),
        Say::Started { item, placement, player } => saying(started(item.as_ref(), *placement, player)),
        Say::Volume(Some(level), player) => saying(format!("Il volume di {} è a {}.", Heard(player), level.value())),
        Say::Volume(None, player) => saying(format!("Ho cambiato il volume di {}.", Heard(player))),
        Say::Muted(true, player) => saying(format!("Audio disattivato su {}.", Heard(player))),
        Say::Muted(false, player) => saying(format!("Audio riattivato su {}.", Heard(player))),
        Say::Transported(transport, player) => saying(transported(*transport, player)),
        Say::Shuffled(true, player) => saying(format!("Riproduzione casuale su {}.", Heard(player))),
        Say::Shuffled(false, player) => saying(format!("Niente più riproduzione casuale su {}.", Heard(player))),
        Say::Repeats(repeat, player) => saying(repeats(*repeat, player)),
        Say::SoughtTo(0, player) => saying(transported(Transport::StartOver, player)),
        Say::SoughtTo(to, player) => saying(format!("{} riparte da {}.", Heard(player), UNITS.say(*to))),
        Say::SoughtBy(by, player) => {
            let way = if *by < 0 { "indietro" } else { "avanti" };
            saying(format!("{} va {way} di {}.", Heard(player), UNITS.say(by.unsigned_abs())))
        }
        Say::Autoplay(true, player) => saying(format!("Alla fine {} continuerà con musica simile.", Heard(player))),
        Say::Autoplay(false, player) => saying(format!("{} si fermerà alla fine della coda.", Heard(player))),
        Say::SleepTimer(Some(minutes), player) => {
            saying(format!("{} si fermerà tra {}.", Heard(player), UNITS.say(u32::from(*minutes) * 60)))
        }
        Say::SleepTimer(None, player) => saying(format!("Ho tolto il timer di {}.", Heard(player))),
        Say::Similar(player) => saying(format!("Da ora su {} c'è musica simile.", Heard(player))),
        Say::Saved(Some(item)) => saying(format!("Ho salvato {} nei tuoi preferiti.", title(item))),
        Say::Saved(None) => saying("L'ho salvato nei tuoi preferiti."),
        Say::Moved(player) => saying(format!("Ora la musica è su {}.", Heard(player))),
        Say::Joined(player, Some(other)) => saying(format!("{} suona insieme a {}.", Heard(player), Heard(other))),
        Say::Joined(player, None) => saying(format!("Suona anche {}.", Heard(player))),
        Say::Unjoined(player) => saying(format!("{} è di nuovo per conto suo.", Heard(player))),
        Say::UsedHere(player) => saying(format!("D'ora in poi qui uso {}.", Heard(player))),
        Say::ForgottenHere => saying("Per questo posto non ricordo più nessun lettore."),
        Say::Done => saying("Fatto."),
        Say::NowPlaying { item: Some(item), playback: Playback::Playing, player } => {
            saying(format!("Su {} c'è {}.", Heard(player), title(item)))
        }
        Say::NowPlaying { item: Some(item), playback: Playback::Paused, player } => {
            saying(format!("{} è in pausa su {}.", Heard(player), title(item)))
        }
        Say::NowPlaying { item: None, playback: Playback::Playing, player } => {
            saying(format!("{} sta suonando, ma non dice cosa.", Heard(player)))
        }
        Say::NowPlaying { player, .. } => saying(format!("Su {} non c'è niente.", Heard(player))),
        Say::Learned(said, player) => after(
            speak(said),
            &format!("D'ora in poi qui uso {}. Se è sbagliato, di': dimentica il lettore qui.", Heard(player)),
        ),
        Say::Everywhere(deed) => saying(everywhere(deed)),
        Say::Except(said, players, failure) => {
            let except = format!("Ma non su {}: {}", list(players, "e"), failed(failure).text);
            after(speak(said), &except)
        }
        Say::NotEverywhere => saying(
            "Questo si fa con un lettore alla volta: di' il suo nome. Tutti insieme si possono mettere in pausa, fermare, alzare o abbassare, o far suonare la stessa musica.",
        ),
        Say::Failed(failure) => failed(failure),
    }
}

const UNITS: Units =
    Units { hour: ("un'ora", "ore"), minute: ("un minuto", "minuti"), second: ("un secondo", "secondi"), and: "e" };

/// With players that there are.
fn help(players: &[String]) -> String {
    let play = players
        .first()
        .map_or_else(|| "metti Kind of Blue, ".to_owned(), |first| format!("metti Kind of Blue su {}, ", Heard(first)));
    let go_on = players.get(1).map_or_else(String::new, |other| format!("sposta la musica su {}, ", Heard(other)));
    format!(
        "Puoi dire: {play}{go_on}ferma tutto, fermati tra 20 minuti, salva questa canzone, oppure: cosa sta suonando."
    )
}

fn everywhere(deed: &Everywhere) -> String {
    match deed {
        Everywhere::Paused => "Tutto è in pausa.".to_owned(),
        Everywhere::Stopped => "Tutto è fermo.".to_owned(),
        Everywhere::Resumed => "La musica riprende dappertutto.".to_owned(),
        Everywhere::Volume(Some(level)) => format!("Il volume è a {} dappertutto.", level.value()),
        Everywhere::Volume(None) => "Ho cambiato il volume dappertutto.".to_owned(),
        Everywhere::Muted(true) => "Audio disattivato dappertutto.".to_owned(),
        Everywhere::Muted(false) => "Audio riattivato dappertutto.".to_owned(),
        Everywhere::SleepTimer(Some(minutes)) => {
            format!("La musica si fermerà dappertutto tra {}.", UNITS.say(u32::from(*minutes) * 60))
        }
        Everywhere::SleepTimer(None) => "Ho tolto tutti i timer.".to_owned(),
        Everywhere::Plays(Some(item)) => format!("Ecco {} dappertutto.", title(item)),
        Everywhere::Plays(None) => "Ecco, suona dappertutto.".to_owned(),
        Everywhere::Alone => "Ogni lettore è di nuovo per conto suo.".to_owned(),
        Everywhere::Ordered => "Fatto dappertutto.".to_owned(),
    }
}

fn title(item: &Item) -> String {
    super::title(item, "di")
}

fn started(item: Option<&Item>, placement: Placement, player: &str) -> String {
    let player = Heard(player);
    let Some(item) = item.map(title) else {
        return match placement {
            Placement::Replace => format!("Ecco, suona su {player}."),
            Placement::Next => format!("Viene subito dopo su {player}."),
            Placement::Add => format!("È nella coda di {player}."),
        };
    };
    match placement {
        Placement::Replace => format!("Ecco {item} su {player}."),
        Placement::Next => format!("Subito dopo, {item} su {player}."),
        Placement::Add => format!("Ho aggiunto {item} alla coda di {player}."),
    }
}

fn transported(transport: Transport, player: &str) -> String {
    let player = Heard(player);
    match transport {
        Transport::Play => format!("Riprendo su {player}."),
        Transport::Pause => format!("{player} è in pausa."),
        Transport::Stop => format!("{player} è fermo."),
        Transport::Next => format!("Il prossimo su {player}."),
        Transport::Previous => format!("Il precedente su {player}."),
        Transport::StartOver => format!("Dall'inizio su {player}."),
        Transport::FastForward => format!("Un po' avanti su {player}."),
        Transport::Rewind => format!("Un po' indietro su {player}."),
    }
}

fn repeats(repeat: Repeat, player: &str) -> String {
    let player = Heard(player);
    match repeat {
        Repeat::Off => format!("Su {player} non si ripete più niente."),
        Repeat::One => format!("Questo si ripete su {player}."),
        Repeat::All => format!("Si ripete tutto su {player}."),
    }
}

/// One sentence for the cause, one for the remedy.
fn failed(failure: &Failure) -> Spoken {
    match failure {
        Failure::InvalidDirective(_) | Failure::NoSuchMode => {
            saying("Mi dispiace, con un lettore questo non si può fare.")
        }
        Failure::OutOfRange { minimum, maximum } => {
            saying(format!("Non è possibile. Di' un numero da {minimum} a {maximum}."))
        }
        Failure::Token(TokenFault::Expired) => saying(
            "Il collegamento con il tuo account Music Assistant è scaduto. Riprova tra un minuto. Se continua così, collega di \
             nuovo il tuo account nell'app Alexa.",
        ),
        Failure::Token(TokenFault::Invalid) => saying(
            "Il collegamento con il tuo account Music Assistant non è più valido. Ti ho inviato una scheda nell'app Alexa: \
             aprila e collega di nuovo il tuo account.",
        ),
        Failure::Token(TokenFault::Suspended) => {
            saying("Il tuo account Music Assistant è sospeso. Accedi al sito per sapere perché.")
        }
        Failure::ScopeMissing => link_again(),
        Failure::NoSuchEndpoint => discover_again(),
        Failure::NoHome => saying(
            "Al tuo account non è ancora collegato nessun Music Assistant. Avvia il connettore accanto al tuo Music Assistant e \
             segui quello che mostra.",
        ),
        Failure::HomePaused => paused(),
        Failure::UsedUp(used_up) => day_used_up(*used_up),
        Failure::AccountsAway | Failure::BusAway => saying(
            "Il servizio ha un problema in questo momento. Non dipende dai tuoi altoparlanti. Riprova tra un minuto.",
        ),
        Failure::NotSent(reason) => not_sent(*reason),
        Failure::Away(away) => home_away(Some(*away)),
        Failure::Unknown(reason) => unknown(*reason),
        Failure::TimeUp => slow(),
        Failure::HomeUntrusted => saying(
            "Il connettore a casa tua non è quello che era stato collegato. Se l'hai installato di nuovo, collegalo di nuovo \
             sul sito.",
        ),
        Failure::SessionBroken | Failure::UnexpectedReply | Failure::GrantNotAccepted => saying(
            "Non sono riuscita a creare una connessione sicura con casa tua. Riprova. Se continua così, aggiorna il connettore.",
        ),
        Failure::SameName(name) => saying(format!(
            "Più lettori si chiamano {}. Dai a ciascuno un nome suo, in Music Assistant o nel connettore, e di' quello.",
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
        Reason::RateLimited => saying("Era troppo tutto insieme. Aspetta qualche secondo e riprova."),
        Reason::Draining | Reason::LinkLost | Reason::Unlocated => {
            saying("La connessione con casa tua si è interrotta per un attimo. Riprova.")
        }
        Reason::Deadline => slow(),
        Reason::Paused => paused(),
        // Without the numbers: from a relay that does not know them.
        Reason::UsedUp => day_used_up(UsedUp { commands_per_day: 0, after: Duration::ZERO }),
        Reason::Cancelled | Reason::Invalid | Reason::Unspecified => {
            saying("Il servizio ha un problema in questo momento. Riprova tra un minuto.")
        }
    }
}

fn home_away(away: Option<Duration>) -> Spoken {
    let cause = away.and_then(about).map_or_else(
        || "Non riesco a raggiungere casa tua.".to_owned(),
        |time| format!("Casa tua non è raggiungibile da {time}."),
    );
    saying(format!(
        "{cause} Controlla che il dispositivo con il connettore di Music Assistant sia acceso e connesso a Internet, poi riprova."
    ))
}

fn music_assistant_away(away: Option<Duration>) -> Spoken {
    let cause = away.and_then(about).map_or_else(
        || "Casa tua è connessa, ma Music Assistant non risponde.".to_owned(),
        |time| format!("Casa tua è connessa, ma Music Assistant non risponde da {time}."),
    );
    saying(format!("{cause} Controlla che sia in funzione, poi riprova."))
}

fn about(length: Duration) -> Option<String> {
    roughly(length, "circa", ["minuti", "ore", "giorni"])
}

fn unknown(reason: unknown::Reason) -> Spoken {
    use unknown::Reason;
    match reason {
        Reason::Deadline => saying(
            "Casa tua non ha risposto in tempo. Controlla se è stato fatto, altrimenti riprova. Se continua così, controlla la \
             sua connessione a Internet.",
        ),
        Reason::Unspecified => saying(
            "Non sono riuscita a leggere la risposta di casa tua. Controlla se è stato fatto, altrimenti riprova.",
        ),
        Reason::LinkLost => saying(
            "La connessione con casa tua si è interrotta prima della risposta. Controlla se è stato fatto, altrimenti riprova.",
        ),
        Reason::Unresponsive => saying(
            "Casa tua non risponde. Controlla la sua connessione a Internet e il dispositivo con il connettore di Music \
             Assistant, poi riprova.",
        ),
    }
}

fn refused(refusal: &Refusal) -> Spoken {
    match refusal {
        Refusal::NoPlayerNamed(names) if names.is_empty() => saying(
            "Non c'è nessun lettore che posso usare. Scegline qualcuno nelle impostazioni del connettore, a casa.",
        ),
        Refusal::NoPlayerNamed(names) => saying(format!("Nessun lettore si chiama così. Hai {}.", list(names, "e"))),
        Refusal::WhichPlayer(names) if names.is_empty() => {
            saying("I lettori possibili sono più di uno. Di' il nome completo, per favore.")
        }
        Refusal::WhichPlayer(names) => {
            asking("I lettori possibili sono più di uno.", &format!("Quale: {}?", list(names, "o")))
        }
        Refusal::PlayerUnavailable(name) => saying(format!(
            "Music Assistant non riesce a raggiungere {}. Controlla che l'altoparlante sia acceso e connesso.",
            if name.is_empty() { "l'altoparlante".to_owned() } else { Heard(name).to_string() }
        )),
        Refusal::MediaNotFound => {
            saying("Non l'ho trovato in Music Assistant. Prova con il nome dell'artista, o con altre parole.")
        }
        Refusal::MediaNotFoundYet => saying(
            "Non l'ho trovato, ma sto ancora leggendo la tua libreria musicale. Riprova tra qualche minuto, oppure di' anche l'artista.",
        ),
        Refusal::NothingToPlay => saying("Lì la coda è vuota. Dimmi cosa mettere."),
        Refusal::NotSupported => saying("Quel lettore non può farlo."),
        Refusal::PlayerBusy => {
            saying("In questo momento il lettore non può essere interrotto. Riprova tra qualche secondo.")
        }
        Refusal::MusicAssistantAway(away) => music_assistant_away(*away),
        Refusal::MusicAssistantStarting => saying("Music Assistant si sta avviando. Riprova tra un minuto."),
        Refusal::MusicAssistantRefusesToken => saying(
            "Music Assistant non accetta più il suo connettore. A casa, apri la pagina del connettore e collegalo di nuovo a \
             Music Assistant.",
        ),
        Refusal::MusicAssistantFailed => {
            saying("Music Assistant non ci è riuscito. Il suo registro, a casa, dice perché. Riprova.")
        }
        Refusal::Late => slow(),
        Refusal::Stopped => saying("Il controllo a distanza è disattivato nel connettore di casa tua. Riattivalo lì."),
        Refusal::Busy => busy(),
        Refusal::UnknownCommand => {
            saying("Il connettore di casa tua è troppo vecchio per questo. Aggiornalo, poi riprova.")
        }
        Refusal::Internal => {
            saying("Il connettore di casa tua ha avuto un errore. Riprova. Se continua così, riavvialo.")
        }
        Refusal::VolumeLimited(most) => saying(format!(
            "Questo lettore non può superare il {} per cento. Lo dicono le regole del connettore di casa tua.",
            most.value()
        )),
        Refusal::QuietHours(Some(end)) => saying(format!(
            "A casa tua è l'ora del silenzio fino {}: adesso non si avvia e non si alza niente.",
            clock(*end)
        )),
        Refusal::QuietHours(None) => saying(
            "A casa tua è l'ora del silenzio: adesso non si avvia e non si alza niente. Le regole del connettore dicono fino a \
             quando.",
        ),
        Refusal::OutcomeUnknown => saying(
            "Music Assistant ci ha messo troppo a rispondere. Forse lo farà ancora. Aspetta un momento e chiedi di nuovo solo \
             se non succede niente.",
        ),
        Refusal::DidYouMean(found) => asking("Non sono sicura.", &format!("Intendevi {}?", title(found))),
        Refusal::CannotGroup(name) => saying(format!(
            "{} non può suonare insieme all'altro. Possono farlo solo lettori dello stesso tipo.",
            if name.is_empty() { "Quel lettore".to_owned() } else { Heard(name).to_string() }
        )),
        Refusal::UnknownPreset => saying("Quel preferito non c'è più. Chiedi qualcos'altro."),
        Refusal::NothingPlays => saying("Lì non sta suonando niente. Prima metti della musica."),
        Refusal::UnknownPlayer => discover_again(),
        Refusal::NotGranted => link_again(),
    }
}

fn paused() -> Spoken {
    saying("Il controllo a distanza è fermo per casa tua. Consentilo di nuovo sul sito, nella pagina delle tue case.")
}

fn day_used_up(UsedUp { commands_per_day, after }: UsedUp) -> Spoken {
    let all = match commands_per_day {
        0 => "I comandi del tuo piano sono finiti per oggi.".to_owned(),
        1 => "L'unico comando al giorno del tuo piano è già stato usato.".to_owned(),
        most => format!("I {most} comandi al giorno del tuo piano sono finiti."),
    };
    // Days of all people end together, so the time of day is not theirs: how long it takes is.
    let goes_on = match after.as_secs().div_ceil(60) {
        0 => String::new(),
        1 => " Si riprende tra un minuto.".to_owned(),
        minutes @ 2..90 => format!(" Si riprende tra {minutes} minuti."),
        minutes => format!(" Si riprende tra circa {} ore.", (minutes + 30) / 60),
    };
    saying(format!("{all}{goes_on} Sul sito c'è scritto cosa consente il tuo piano."))
}

fn link_again() -> Spoken {
    saying(
        "L'autorizzazione del tuo account non lo consente. Collega di nuovo il tuo account nell'app Alexa, e consenti di \
         controllare i lettori.",
    )
}

fn discover_again() -> Spoken {
    saying("Non conosco più quel lettore. Di': Alexa, trova i miei dispositivi.")
}

fn slow() -> Spoken {
    saying(
        "Casa tua ci ha messo troppo a rispondere. Riprova. Se continua così, controlla la sua connessione a Internet.",
    )
}

fn busy() -> Spoken {
    saying("Casa tua ha troppo da fare in questo momento. Riprova tra qualche secondo.")
}

/// With the preposition, which melts into the article.
fn clock(at: MinuteOfDay) -> String {
    match at.hour_and_minute() {
        (0, 0) => "a mezzanotte".into(),
        (1, 0) => "all'una".into(),
        (1, minute) => format!("all'1:{minute:02}"),
        (hour, 0) => format!("alle {hour}"),
        (hour, minute) => format!("alle {hour}:{minute:02}"),
    }
}
