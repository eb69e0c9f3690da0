//! French.

use std::time::Duration;

use macloud_e2ee::vocabulary::{Item, MinuteOfDay, Placement, Playback, Refusal, Repeat, Transport};
use macloud_proto::bus::v1::{not_sent, unknown};

use super::{Everywhere, Heard, Say, Spoken, Units, after, asking, list, roughly, saying};
use crate::dispatch::UsedUp;
use crate::failure::{Failure, TokenFault};

pub(super) fn speak(say: &Say) -> Spoken {
    match say {
        Say::Welcome => asking("Music Assistant est prêt.", "Que voulez-vous écouter ?"),
        Say::Help(players) => asking(&help(players), "Que voulez-vous écouter ?"),
        Say::Goodbye => saying("À bientôt."),
        Say::OneMoment => saying("Un instant, j'attends la réponse de votre maison."),
        Say::NotUnderstood => {
            asking("Désolée, je n'ai pas compris. Dites par exemple : joue Kind of Blue.", "Que voulez-vous écouter ?")
        }
        Say::WhatToPlay => asking(
            "",
            "Que voulez-vous écouter ? Dites : joue, puis le nom d'un album, d'un artiste, d'une chanson ou d'une playlist.",
        ),
        Say::WhichPlayer => asking("Désolée, je n'ai pas compris.", "Quel lecteur voulez-vous ?"),
        Say::NoSuchTime => saying(
            "Il me faut une durée de douze heures au plus. Dites par exemple : arrête dans 20 minutes, ou : avance de 30 \
             secondes.",
        ),
        Say::LinkFirst => saying(
            "Votre Music Assistant n'est pas encore associé. J'ai envoyé une carte dans l'application Alexa : ouvrez-la, \
             associez votre compte, puis réessayez.",
        ),
        Say::Started { item, placement, player } => saying(started(item.as_ref(), *placement, player)),
        Say::Volume(Some(level), player) => saying(format!("Le volume de {} est à {}.", Heard(player), level.value())),
        Say::Volume(None, player) => saying(format!("Le volume de {} est changé.", Heard(player))),
        Say::Muted(true, player) => saying(format!("Le son est coupé sur {}.", Heard(player))),
        Say::Muted(false, player) => saying(format!("Le son est rétabli sur {}.", Heard(player))),
        Say::Transported(transport, player) => saying(transported(*transport, player)),
        Say::Shuffled(true, player) => saying(format!("Lecture aléatoire sur {}.", Heard(player))),
        Say::Shuffled(false, player) => saying(format!("Fin de la lecture aléatoire sur {}.", Heard(player))),
        Say::Repeats(repeat, player) => saying(repeats(*repeat, player)),
        Say::SoughtTo(0, player) => saying(transported(Transport::StartOver, player)),
        Say::SoughtTo(to, player) => saying(format!("{} reprend à partir {}.", Heard(player), of(&UNITS.say(*to)))),
        Say::SoughtBy(by, player) => {
            let verb = if *by < 0 { "recule" } else { "avance" };
            saying(format!("{} {verb} {}.", Heard(player), of(&UNITS.say(by.unsigned_abs()))))
        }
        Say::Autoplay(true, player) => {
            saying(format!("À la fin, {} continuera avec de la musique similaire.", Heard(player)))
        }
        Say::Autoplay(false, player) => saying(format!("{} s'arrêtera à la fin de la file d'attente.", Heard(player))),
        Say::SleepTimer(Some(minutes), player) => {
            saying(format!("{} s'arrêtera dans {}.", Heard(player), UNITS.say(u32::from(*minutes) * 60)))
        }
        Say::SleepTimer(None, player) => saying(format!("L'arrêt automatique de {} est annulé.", Heard(player))),
        Say::Similar(player) => saying(format!("{} joue maintenant de la musique similaire.", Heard(player))),
        Say::Saved(Some(item)) => saying(format!("{} est maintenant dans vos favoris.", title(item))),
        Say::Saved(None) => saying("C'est maintenant dans vos favoris."),
        Say::Moved(player) => saying(format!("La musique passe maintenant sur {}.", Heard(player))),
        Say::Joined(player, Some(other)) => saying(format!("{} joue avec {}.", Heard(player), Heard(other))),
        Say::Joined(player, None) => saying(format!("{} joue aussi.", Heard(player))),
        Say::Unjoined(player) => saying(format!("{} est de nouveau à part.", Heard(player))),
        Say::UsedHere(player) => saying(format!("Désormais, j'utilise {} ici.", Heard(player))),
        Say::ForgottenHere => saying("Plus aucun lecteur n'est retenu pour cet endroit."),
        Say::Done => saying("C'est fait."),
        Say::NowPlaying { item: Some(item), playback: Playback::Playing, player } => {
            saying(format!("{} joue {}.", Heard(player), title(item)))
        }
        Say::NowPlaying { item: Some(item), playback: Playback::Paused, player } => {
            saying(format!("{} est en pause sur {}.", Heard(player), title(item)))
        }
        Say::NowPlaying { item: None, playback: Playback::Playing, player } => {
            saying(format!("{} joue, mais ne dit pas quoi.", Heard(player)))
        }
        Say::NowPlaying { player, .. } => saying(format!("{} ne joue rien.", Heard(player))),
        Say::Learned(said, player) => after(
            speak(said),
            &format!("Désormais, j'utilise {} ici. Si c'est une erreur, dites : oublie le lecteur ici.", Heard(player)),
        ),
        Say::Everywhere(deed) => saying(everywhere(deed)),
        Say::Except(said, players, failure) => {
            let except = format!("Mais pas sur {} : {}", list(players, "et"), failed(failure).text);
            after(speak(said), &except)
        }
        Say::NotEverywhere => saying(
            "Cela se fait sur un lecteur à la fois : dites son nom. Tous ensemble peuvent se mettre en pause, s'arrêter, changer de volume ou jouer la même musique.",
        ),
        Say::Failed(failure) => failed(failure),
    }
}

const UNITS: Units = Units {
    hour: ("une heure", "heures"),
    minute: ("une minute", "minutes"),
    second: ("une seconde", "secondes"),
    and: "et",
};

/// "D'une minute", "de 30 secondes".
fn of(time: &str) -> String {
    if time.starts_with('u') { format!("d'{time}") } else { format!("de {time}") }
}

/// With players that there are.
fn help(players: &[String]) -> String {
    let play = players
        .first()
        .map_or_else(|| "joue Kind of Blue, ".to_owned(), |first| format!("joue Kind of Blue sur {}, ", Heard(first)));
    let go_on =
        players.get(1).map_or_else(String::new, |other| format!("transfère la musique vers {}, ", Heard(other)));
    format!(
        "Vous pouvez dire : {play}{go_on}arrête tout, arrête dans 20 minutes, enregistre cette chanson, ou : qu'est-ce qui passe."
    )
}

fn everywhere(deed: &Everywhere) -> String {
    match deed {
        Everywhere::Paused => "C'est en pause partout.".to_owned(),
        Everywhere::Stopped => "C'est arrêté partout.".to_owned(),
        Everywhere::Resumed => "La musique reprend partout.".to_owned(),
        Everywhere::Volume(Some(level)) => format!("Le volume est à {} partout.", level.value()),
        Everywhere::Volume(None) => "Le volume est changé partout.".to_owned(),
        Everywhere::Muted(true) => "Le son est coupé partout.".to_owned(),
        Everywhere::Muted(false) => "Le son est rétabli partout.".to_owned(),
        Everywhere::SleepTimer(Some(minutes)) => {
            format!("La musique s'arrêtera partout dans {}.", UNITS.say(u32::from(*minutes) * 60))
        }
        Everywhere::SleepTimer(None) => "Tous les arrêts automatiques sont annulés.".to_owned(),
        Everywhere::Plays(Some(item)) => format!("Voici {} partout.", title(item)),
        Everywhere::Plays(None) => "C'est parti partout.".to_owned(),
        Everywhere::Alone => "Chaque lecteur est de nouveau à part.".to_owned(),
        Everywhere::Ordered => "C'est fait partout.".to_owned(),
    }
}

fn title(item: &Item) -> String {
    super::title(item, "de")
}

fn started(item: Option<&Item>, placement: Placement, player: &str) -> String {
    let player = Heard(player);
    let Some(item) = item.map(title) else {
        return match placement {
            Placement::Replace => format!("C'est parti sur {player}."),
            Placement::Next => format!("Ce sera juste après sur {player}."),
            Placement::Add => format!("C'est ajouté à la file d'attente de {player}."),
        };
    };
    match placement {
        Placement::Replace => format!("Voici {item} sur {player}."),
        Placement::Next => format!("Juste après, {item} sur {player}."),
        Placement::Add => format!("{item} est dans la file d'attente de {player}."),
    }
}

fn transported(transport: Transport, player: &str) -> String {
    let player = Heard(player);
    match transport {
        Transport::Play => format!("Reprise sur {player}."),
        Transport::Pause => format!("{player} est en pause."),
        Transport::Stop => format!("{player} est arrêté."),
        Transport::Next => format!("Le suivant sur {player}."),
        Transport::Previous => format!("Le précédent sur {player}."),
        Transport::StartOver => format!("Depuis le début sur {player}."),
        Transport::FastForward => format!("Un peu plus loin sur {player}."),
        Transport::Rewind => format!("Un peu en arrière sur {player}."),
    }
}

fn repeats(repeat: Repeat, player: &str) -> String {
    let player = Heard(player);
    match repeat {
        Repeat::Off => format!("Plus de répétition sur {player}."),
        Repeat::One => format!("Ce titre passe en boucle sur {player}."),
        Repeat::All => format!("Tout passe en boucle sur {player}."),
    }
}

/// One sentence for the cause, one for the remedy.
fn failed(failure: &Failure) -> Spoken {
    match failure {
        Failure::InvalidDirective(_) | Failure::NoSuchMode => saying("Désolée, ce n'est pas possible avec un lecteur."),
        Failure::OutOfRange { minimum, maximum } => {
            saying(format!("Ce n'est pas possible. Dites un nombre de {minimum} à {maximum}."))
        }
        Failure::Token(TokenFault::Expired) => saying(
            "Le lien avec votre compte Music Assistant a expiré. Réessayez dans une minute. Si cela continue, associez de \
             nouveau votre compte dans l'application Alexa.",
        ),
        Failure::Token(TokenFault::Invalid) => saying(
            "Le lien avec votre compte Music Assistant n'est plus valable. J'ai envoyé une carte dans l'application Alexa : \
             ouvrez-la et associez de nouveau votre compte.",
        ),
        Failure::Token(TokenFault::Suspended) => {
            saying("Votre compte Music Assistant est suspendu. Connectez-vous sur le site pour savoir pourquoi.")
        }
        Failure::ScopeMissing => link_again(),
        Failure::NoSuchEndpoint => discover_again(),
        Failure::NoHome => saying(
            "Aucun Music Assistant n'est encore relié à votre compte. Démarrez le connecteur à côté de votre Music Assistant et \
             suivez ce qu'il affiche.",
        ),
        Failure::HomePaused => paused(),
        Failure::UsedUp(used_up) => day_used_up(*used_up),
        Failure::AccountsAway | Failure::BusAway => saying(
            "Le service a un problème en ce moment. Vos enceintes n'y sont pour rien. Réessayez dans une minute.",
        ),
        Failure::NotSent(reason) => not_sent(*reason),
        Failure::Away(away) => home_away(Some(*away)),
        Failure::Unknown(reason) => unknown(*reason),
        Failure::TimeUp => slow(),
        Failure::HomeUntrusted => saying(
            "Le connecteur de votre maison n'est pas celui qui a été relié. Si vous l'avez réinstallé, reliez-le de nouveau \
             sur le site.",
        ),
        Failure::SessionBroken | Failure::UnexpectedReply | Failure::GrantNotAccepted => saying(
            "Je n'ai pas pu établir une connexion sûre avec votre maison. Réessayez. Si cela continue, mettez le connecteur à \
             jour.",
        ),
        Failure::SameName(name) => saying(format!(
            "Plusieurs lecteurs s'appellent {}. Donnez à chacun son propre nom, dans Music Assistant ou au connecteur, puis dites-le.",
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
        Reason::RateLimited => saying("C'était trop à la fois. Attendez quelques secondes, puis réessayez."),
        Reason::Draining | Reason::LinkLost | Reason::Unlocated => {
            saying("La connexion avec votre maison a été coupée un instant. Réessayez.")
        }
        Reason::Deadline => slow(),
        Reason::Paused => paused(),
        // Without the numbers: from a relay that does not know them.
        Reason::UsedUp => day_used_up(UsedUp { commands_per_day: 0, after: Duration::ZERO }),
        Reason::Cancelled | Reason::Invalid | Reason::Unspecified => {
            saying("Le service a un problème en ce moment. Réessayez dans une minute.")
        }
    }
}

fn home_away(away: Option<Duration>) -> Spoken {
    let cause = away.and_then(about).map_or_else(
        || "Je n'arrive pas à joindre votre maison.".to_owned(),
        |time| format!("Votre maison est injoignable depuis {time}."),
    );
    saying(format!(
        "{cause} Vérifiez que l'appareil du connecteur Music Assistant est allumé et relié à Internet, puis réessayez."
    ))
}

fn music_assistant_away(away: Option<Duration>) -> Spoken {
    let cause = away.and_then(about).map_or_else(
        || "Votre maison est connectée, mais Music Assistant ne répond pas.".to_owned(),
        |time| format!("Votre maison est connectée, mais Music Assistant ne répond plus depuis {time}."),
    );
    saying(format!("{cause} Vérifiez qu'il est en marche, puis réessayez."))
}

fn about(length: Duration) -> Option<String> {
    roughly(length, "environ", ["minutes", "heures", "jours"])
}

fn unknown(reason: unknown::Reason) -> Spoken {
    use unknown::Reason;
    match reason {
        Reason::Deadline => saying(
            "Votre maison n'a pas répondu à temps. Vérifiez si c'est fait, sinon réessayez. Si cela continue, vérifiez sa \
             connexion Internet.",
        ),
        Reason::Unspecified => {
            saying("Je n'ai pas pu lire la réponse de votre maison. Vérifiez si c'est fait, sinon réessayez.")
        }
        Reason::LinkLost => saying(
            "La connexion avec votre maison a été coupée avant la réponse. Vérifiez si c'est fait, sinon réessayez.",
        ),
        Reason::Unresponsive => saying(
            "Votre maison ne répond pas. Vérifiez sa connexion Internet et l'appareil du connecteur Music Assistant, puis \
             réessayez.",
        ),
    }
}

fn refused(refusal: &Refusal) -> Spoken {
    match refusal {
        Refusal::NoPlayerNamed(names) if names.is_empty() => saying(
            "Je n'ai le droit d'utiliser aucun lecteur. Choisissez-en dans les réglages du connecteur, à la maison.",
        ),
        Refusal::NoPlayerNamed(names) => {
            saying(format!("Aucun lecteur ne porte ce nom. Vous avez {}.", list(names, "et")))
        }
        Refusal::WhichPlayer(names) if names.is_empty() => {
            saying("Plusieurs lecteurs sont possibles. Dites le nom complet, s'il vous plaît.")
        }
        Refusal::WhichPlayer(names) => {
            asking("Plusieurs lecteurs sont possibles.", &format!("Lequel : {} ?", list(names, "ou")))
        }
        Refusal::PlayerUnavailable(name) => saying(format!(
            "Music Assistant n'arrive pas à joindre {}. Vérifiez que l'enceinte est allumée et connectée.",
            if name.is_empty() { "l'enceinte".to_owned() } else { Heard(name).to_string() }
        )),
        Refusal::MediaNotFound => saying(
            "Je ne l'ai pas trouvé dans Music Assistant. Essayez avec le nom de l'artiste, ou avec d'autres mots.",
        ),
        Refusal::MediaNotFoundYet => saying(
            "Je ne l'ai pas trouvé, mais je suis encore en train de lire votre bibliothèque musicale. Réessayez dans quelques minutes, ou ajoutez le nom de l'artiste.",
        ),
        Refusal::NothingToPlay => saying("La file d'attente y est vide. Dites-moi quoi jouer."),
        Refusal::NotSupported => saying("Ce lecteur ne sait pas faire cela."),
        Refusal::PlayerBusy => {
            saying("Ce lecteur ne peut pas être interrompu en ce moment. Réessayez dans quelques secondes.")
        }
        Refusal::MusicAssistantAway(away) => music_assistant_away(*away),
        Refusal::MusicAssistantStarting => {
            saying("Music Assistant est en train de démarrer. Réessayez dans une minute.")
        }
        Refusal::MusicAssistantRefusesToken => saying(
            "Music Assistant n'accepte plus son connecteur. Ouvrez la page du connecteur à la maison et reliez-le de nouveau à \
             Music Assistant.",
        ),
        Refusal::MusicAssistantFailed => {
            saying("Music Assistant n'y est pas arrivé. Son journal, à la maison, dit pourquoi. Réessayez.")
        }
        Refusal::Late => slow(),
        Refusal::Stopped => {
            saying("La commande à distance est désactivée sur le connecteur de votre maison. Réactivez-la là-bas.")
        }
        Refusal::Busy => busy(),
        Refusal::UnknownCommand => {
            saying("Le connecteur de votre maison est trop ancien pour cela. Mettez-le à jour, puis réessayez.")
        }
        Refusal::Internal => {
            saying("Le connecteur de votre maison a eu une erreur. Réessayez. Si cela continue, redémarrez-le.")
        }
        Refusal::VolumeLimited(most) => saying(format!(
            "Ce lecteur ne peut pas dépasser {} pour cent. Ce sont les règles du connecteur de votre maison.",
            most.value()
        )),
        Refusal::QuietHours(Some(end)) => saying(format!(
            "C'est l'heure du calme chez vous jusqu'à {} : rien n'est lancé ni monté maintenant.",
            clock(*end)
        )),
        Refusal::QuietHours(None) => saying(
            "C'est l'heure du calme chez vous : rien n'est lancé ni monté maintenant. Les règles du connecteur disent jusqu'à \
             quand.",
        ),
        Refusal::OutcomeUnknown => saying(
            "Music Assistant a mis trop de temps à répondre. Il le fera peut-être encore. Attendez un instant, et ne \
             redemandez que si rien ne se passe.",
        ),
        Refusal::DidYouMean(found) => {
            asking("Je n'en suis pas sûre.", &format!("Vouliez-vous dire {} ?", title(found)))
        }
        Refusal::CannotGroup(name) => saying(format!(
            "{} ne peut pas jouer avec l'autre. Seuls des lecteurs du même type le peuvent.",
            if name.is_empty() { "Ce lecteur".to_owned() } else { Heard(name).to_string() }
        )),
        Refusal::UnknownPreset => saying("Ce favori n'existe plus. Demandez autre chose."),
        Refusal::NothingPlays => saying("Rien n'y est en lecture. Lancez d'abord de la musique."),
        Refusal::UnknownPlayer => discover_again(),
        Refusal::NotGranted => link_again(),
    }
}

fn paused() -> Spoken {
    saying(
        "La commande à distance est arrêtée pour votre maison. Autorisez-la de nouveau sur le site, à la page de vos maisons.",
    )
}

fn day_used_up(UsedUp { commands_per_day, after }: UsedUp) -> Spoken {
    let all = match commands_per_day {
        0 => "Les commandes de votre formule sont épuisées pour aujourd'hui.".to_owned(),
        1 => "La seule commande par jour de votre formule est déjà utilisée.".to_owned(),
        most => format!("Les {most} commandes par jour de votre formule sont épuisées."),
    };
    // Days of all people end together, so the time of day is not theirs: how long it takes is.
    let goes_on = match after.as_secs().div_ceil(60) {
        0 => String::new(),
        1 => " Cela reprend dans une minute.".to_owned(),
        minutes @ 2..90 => format!(" Cela reprend dans {minutes} minutes."),
        minutes => format!(" Cela reprend dans environ {} heures.", (minutes + 30) / 60),
    };
    saying(format!("{all}{goes_on} Ce que permet votre formule est indiqué sur le site."))
}

fn link_again() -> Spoken {
    saying(
        "L'autorisation de votre compte ne le permet pas. Associez de nouveau votre compte dans l'application Alexa, en \
         autorisant la commande des lecteurs.",
    )
}

fn discover_again() -> Spoken {
    saying("Je ne connais plus ce lecteur. Dites : Alexa, recherche mes appareils.")
}

fn slow() -> Spoken {
    saying("Votre maison a mis trop de temps à répondre. Réessayez. Si cela continue, vérifiez sa connexion Internet.")
}

fn busy() -> Spoken {
    saying("Votre maison a trop à faire en ce moment. Réessayez dans quelques secondes.")
}

fn clock(at: MinuteOfDay) -> String {
    let (hour, minute) = at.hour_and_minute();
    let said = match hour {
        0 => "minuit".into(),
        1 => "une heure".into(),
        12 => "midi".into(),
        hour => format!("{hour} heures"),
    };
    if minute == 0 { said } else { format!("{said} {minute}") }
}
