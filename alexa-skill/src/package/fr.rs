//! French.

use macloud_e2ee::vocabulary::MediaKind;

use super::{Language, Published};

pub(super) const FRENCH: Language = Language {
    parts: &[
        ("@at", "(dans la|dans le|dans|sur la|sur le|sur|au) {player}"),
        ("@room", "(dans la|dans le|dans|sur la|sur le|sur|au) {player}"),
        ("@le", "(le |la |)"),
    ],
    intents: &[
        (
            "PlayMediaIntent",
            &[
                "(joue|mets|lance|passe|écoute) {media}( @at|)",
                "(joue|mets|lance|passe) {media} de {artist}( @at|)",
                "(joue|mets|lance|passe) (le|la) {mediaType} {media}( @at|)",
                "(joue|mets|lance) (le|la) {mediaType} {media} de {artist}( @at|)",
                "(joue|mets|lance) (|ma |mon ){mediaType} {media}( @at|)",
                "(joue|mets|passe) (de la musique|quelque chose|des chansons) de {artist}( @at|)",
                "je (veux|voudrais) écouter {media}( de {artist}|)( @at|)",
                "de (jouer|mettre|lancer|passer) {media}( de {artist}|)( @at|)",
                "de (jouer|mettre) (le|la) {mediaType} {media}( @at|)",
            ],
        ),
        (
            "PlayGenreIntent",
            &[
                "(joue|mets|passe) (du|de la|un peu de) {genre}( @at|)",
                "(joue|mets|passe) de la musique {genre}( @at|)",
                "de (jouer|mettre) (du|de la|un peu de) {genre}( @at|)",
            ],
        ),
        (
            "PlayNextIntent",
            &[
                "(joue|mets|passe) ensuite (|le {mediaType} |la {mediaType} ){media}( @at|)",
                "(joue|mets|passe) ensuite {media} de {artist}( @at|)",
                "(joue|mets|passe) {media} juste après( @at|)",
            ],
        ),
        (
            "AddToQueueIntent",
            &[
                "ajoute (|le {mediaType} |la {mediaType} ){media} à la (file d'attente|file)( @at|)",
                "ajoute {media} de {artist} à la (file d'attente|file)( @at|)",
                "mets (|le {mediaType} |la {mediaType} ){media} dans la file d'attente",
                "d'ajouter {media}( de {artist}|) à la file d'attente( @at|)",
            ],
        ),
        (
            "AnswerMediaIntent",
            &[
                "je (veux|voudrais) entendre {query}",
                "j'aimerais (écouter|entendre) {query}",
                "cherche {query}",
                "trouve {query}",
                "et si on écoutait {query}",
                "ça s'appelle {query}",
            ],
        ),
        (
            "AnswerPlayerIntent",
            &[
                "(|le |la |dans le |dans la |dans |sur le |sur la |sur |au |je veux dire le |je veux dire la |utilise le |utilise la ){player}",
                "(|le |la ){player} (à|au|à la|dans|dans le|dans la|de la|du) {home}",
                "(celui|celle) (à|au|à la|dans|dans le|dans la|de la|du) {home}",
            ],
        ),
        (
            "WhatsPlayingIntent",
            &[
                "qu'est-ce qui (passe|joue)( @room|)",
                "qu'est-ce que c'est comme (chanson|musique)( @room|)",
                "(quelle est cette chanson|c'est quoi cette chanson|quel est ce titre|quel est ce morceau)( @room|)",
                "qui (chante|est-ce)",
                "ce qui (passe|joue)( @room|)",
            ],
        ),
        (
            "PausePlayerIntent",
            &["mets @le{player} en pause", "mets (la musique |)en pause @room", "(pause|fais une pause) @room"],
        ),
        (
            "ResumePlayerIntent",
            &["reprends (la musique |la lecture |)@room", "(relance|continue) la musique @room", "continue @room"],
        ),
        (
            "StopPlayerIntent",
            &[
                "arrête (la musique |la lecture |)@room",
                "arrête (la musique|la lecture)",
                "arrête (le|la) {player}",
                "coupe la musique( @room|)",
            ],
        ),
        (
            "SkipPlayerIntent",
            &["(chanson suivante|titre suivant|morceau suivant|suivant) @room", "passe (cette chanson|ce titre) @room"],
        ),
        (
            "SetVolumeIntent",
            &[
                "(mets|règle) le (volume|son) (à|sur) {level}( pour cent|)( @room|)",
                "(mets|règle) le (volume|son) @room (à|sur) {level}( pour cent|)",
                "(mets|règle) le volume (de la|du|de) {player} (à|sur) {level}( pour cent|)",
                "volume (|à |sur ){level}( pour cent|)",
            ],
        ),
        (
            "VolumeUpIntent",
            &[
                "plus fort( @room|)",
                "(monte|augmente) le (son|volume)( @room|)",
                "(monte|augmente) le (son|volume) (de la|du|de) {player}",
            ],
        ),
        (
            "VolumeDownIntent",
            &[
                "moins fort( @room|)",
                "(baisse|diminue) le (son|volume)( @room|)",
                "(baisse|diminue) le (son|volume) (de la|du|de) {player}",
            ],
        ),
        (
            "MuteIntent",
            &["(coupe|enlève) le son( @room|)", "mets @le{player} en sourdine", "(en |)(sourdine|silence)( @room|)"],
        ),
        (
            "UnmuteIntent",
            &["(remets|rétablis) le son( @room|)", "enlève la sourdine( @room|)", "(réactive|rallume) le son( @room|)"],
        ),
        (
            "ShufflePlayerIntent",
            &[
                "(lecture aléatoire|mode aléatoire) @room",
                "(active|mets) (la lecture aléatoire|le mode aléatoire) @room",
            ],
        ),
        (
            "RepeatSongIntent",
            &["répète (cette chanson|ce titre|ce morceau)( @room|)", "(cette chanson|ce titre) en boucle( @room|)"],
        ),
        (
            "SeekToIntent",
            &[
                "(va|avance|saute|place-toi) à {time}( @at|)",
                "(lis|joue|démarre|commence) à (partir de |){time}( @at|)",
                "d'aller à {time}( @at|)",
            ],
        ),
        (
            "SeekForwardIntent",
            &["avance (de |){time}( @at|)", "(saute|passe) {time}( @at|)", "d'avancer de {time}( @at|)"],
        ),
        (
            "SeekBackIntent",
            &[
                "(recule|reviens|retourne) (de |en arrière de |){time}( @at|)",
                "(reviens|retourne) {time} en arrière( @at|)",
                "de reculer de {time}( @at|)",
            ],
        ),
        (
            "AutoplayOnIntent",
            &[
                "active (la lecture automatique|l'autoplay)( @room|)",
                "(continue|enchaîne) avec de la musique similaire( @room|)",
                "n'arrête pas la musique( @room|)",
                "ne t'arrête pas",
            ],
        ),
        (
            "AutoplayOffIntent",
            &[
                "désactive (la lecture automatique|l'autoplay)( @room|)",
                "arrête à la fin de la (file d'attente|file)( @room|)",
                "arrête-toi à la fin de la file",
            ],
        ),
        (
            "SleepTimerIntent",
            &[
                "arrête (la musique |la lecture |)dans {time}( @room|)",
                "arrête (le|la) {player} dans {time}",
                "arrête la musique @room dans {time}",
                "(mets|règle|programme) (un minuteur de sommeil|la minuterie de sommeil|une minuterie|l'arrêt automatique) (de|à|sur|dans) {time}( @room|)",
                "(minuteur de sommeil|minuterie de sommeil|arrêt automatique) (de |dans |){time}( @room|)",
                "d'arrêter (la musique |)dans {time}( @room|)",
            ],
        ),
        (
            "SleepTimerOffIntent",
            &[
                "(annule|supprime|désactive) (le minuteur de sommeil|la minuterie de sommeil|la minuterie|l'arrêt automatique)( @room|)",
                "plus (de minuterie|d'arrêt automatique)( @room|)",
            ],
        ),
        (
            "PlaySimilarIntent",
            &[
                "(joue|mets|passe) (quelque chose de|de la musique) similaire( @at|)",
                "(joue|mets|passe) (quelque chose|de la musique|autre chose) (comme ça|dans le même genre|du même genre)( @at|)",
                "(lance|démarre) une radio à partir de (cette chanson|ce titre)( @at|)",
            ],
        ),
        (
            "SaveCurrentIntent",
            &[
                "(enregistre|garde|retiens|sauvegarde) (ça|cette chanson|ce titre|ce morceau)( @room|)",
                "ajoute (ça|cette chanson|ce titre) à mes favoris( @room|)",
                "ajoute (ça|cette chanson|ce titre) à ma bibliothèque( @room|)",
                "j'aime (bien |)(ça|cette chanson|ce titre)",
                "d'enregistrer cette chanson( @room|)",
            ],
        ),
        (
            "MovePlayerIntent",
            &[
                "(transfère|déplace|envoie|mets|amène) (la musique|ça) (vers la|vers le|vers|dans la|dans le|sur la|sur le|au) {other}",
                "(transfère|déplace) (la musique|ça) (de la|du|de) {player} (vers la|vers le|vers|dans la|dans le|au) {other}",
                "continue (ça|cette musique) (dans la|dans le|dans|sur) {other}",
                "de (transférer|déplacer) la musique (vers la|vers le|vers|dans la|dans le) {other}",
            ],
        ),
        (
            "JoinPlayersIntent",
            &[
                "(joue|mets) @le{player} (en même temps que|ensemble avec|avec) (le |la |){other}",
                "(groupe|associe|connecte|synchronise) @le{player} (avec|et) (le |la |){other}",
                "(joue|mets) (ça|la musique) aussi @at",
                "ajoute (le|la) {player} au groupe",
            ],
        ),
        (
            "UnjoinPlayerIntent",
            &[
                "(dissocie|sépare|dégroupe) @le{player}",
                "(retire|enlève|sors) (le|la) {player} du groupe",
                "(joue|mets) (le|la) {player} (seul|seule|tout seul)",
                "(sépare|défais) le groupe",
            ],
        ),
        (
            "UseHereIntent",
            &[
                "utilise (toujours |)@le{player} ici",
                "utilise ici @le{player}",
                "utilise @le{player} (pour|dans) cette pièce",
            ],
        ),
        (
            "ForgetHereIntent",
            &[
                "oublie (le|ce|mon) (lecteur|haut-parleur)( ici| d'ici|)",
                "oublie (l'enceinte|cette enceinte)( ici| d'ici|)",
                "oublie cette pièce",
            ],
        ),
        ("AMAZON.PauseIntent", &["mets en pause", "mets la musique en pause"]),
        ("AMAZON.ResumeIntent", &["reprends", "reprends la musique", "continue la musique"]),
        ("AMAZON.NextIntent", &["chanson suivante", "titre suivant", "passe cette chanson"]),
        ("AMAZON.PreviousIntent", &["chanson précédente", "titre précédent"]),
        ("AMAZON.StartOverIntent", &["depuis le début", "recommence depuis le début", "remets cette chanson au début"]),
        ("AMAZON.ShuffleOnIntent", &["active la lecture aléatoire", "lecture aléatoire"]),
        ("AMAZON.ShuffleOffIntent", &["désactive la lecture aléatoire", "arrête la lecture aléatoire"]),
        ("AMAZON.LoopOnIntent", &["répète tout", "tout en boucle"]),
        ("AMAZON.LoopOffIntent", &["désactive la répétition", "arrête de répéter"]),
    ],
    kinds: &[
        (MediaKind::Track, "chanson|titre|morceau|piste"),
        (MediaKind::Album, "album|disque"),
        (MediaKind::Artist, "artiste|groupe|chanteur|chanteuse"),
        (MediaKind::Playlist, "playlist|liste de lecture"),
        (MediaKind::Radio, "station de radio|station|radio"),
        (MediaKind::Audiobook, "livre audio|livre"),
        (MediaKind::Podcast, "podcast|émission"),
    ],
    types: &[
        (
            "MEDIA",
            &[
                "kind of blue|l'album kind of blue",
                "abbey road|l'album abbey road",
                "thriller|l'album thriller",
                "random access memories|l'album random access memories",
                "la vie en rose|vie en rose",
                "ne me quitte pas|quitte pas",
                "la bohème|bohème",
                "les champs élysées|aux champs élysées",
                "je veux|la chanson je veux",
                "clair de lune|le clair de lune",
                "le boléro|boléro",
                "les quatre saisons|quatre saisons",
                "mes favoris|favoris|mes chansons préférées",
                "découvertes de la semaine|mes découvertes de la semaine",
                "dîner entre amis|le dîner entre amis",
                "sport|la playlist sport",
                "pour dormir|musique pour dormir",
                "france inter|la radio france inter",
                "france musique|la radio france musique",
                "f. i. p.|la radio f. i. p.",
                "radio paradise|la radio paradise",
                "les informations|les infos|les actualités",
                "le petit prince|petit prince",
                "arsène lupin|les aventures d'arsène lupin",
            ],
        ),
        (
            "ARTIST",
            &[
                "édith piaf|piaf",
                "charles aznavour|aznavour",
                "jacques brel|brel",
                "serge gainsbourg|gainsbourg",
                "georges brassens|brassens",
                "daft punk|les daft punk",
                "stromae|le chanteur stromae",
                "zaz|la chanteuse zaz",
                "angèle|la chanteuse angèle",
                "johnny hallyday|johnny",
                "mylène farmer|farmer",
                "claude debussy|debussy",
                "maurice ravel|ravel",
                "jean-sébastien bach|bach",
                "miles davis|davis",
                "les beatles|beatles|the beatles",
                "nina simone|simone",
            ],
        ),
        (
            "PLAYER",
            &[
                "cuisine|la cuisine",
                "salon|le salon|séjour",
                "chambre|la chambre",
                "salle de bain|salle de bains|la salle de bain",
                "bureau|le bureau",
                "salle à manger|la salle à manger",
                "chambre des enfants|la chambre des enfants",
                "garage|le garage",
                "jardin|le jardin",
                "terrasse|la terrasse",
                "balcon|le balcon",
                "cave|sous-sol",
                "couloir|entrée|l'entrée",
                "chambre d'amis|la chambre d'amis",
                "grenier|combles",
                "en haut|étage|l'étage",
                "en bas|rez-de-chaussée",
                "partout|toutes les enceintes|toutes les pièces",
                "toute la maison|la maison entière",
                "enceinte de la cuisine|l'enceinte de la cuisine",
            ],
        ),
        (
            "HOME",
            &[
                "maison|la maison|chez moi|chez nous",
                "appartement|l'appartement",
                "maison de campagne|la maison de campagne",
                "maison de vacances|résidence secondaire",
                "chalet|le chalet",
                "cabane|la cabane",
                "bureau|travail",
                "studio|atelier",
                "boutique|magasin",
                "ferme|la ferme",
                "chez mes parents|mes parents|la maison de mes parents",
            ],
        ),
        (
            "GENRE",
            &[
                "jazz|le jazz",
                "rock|le rock",
                "pop|la pop",
                "classique|musique classique",
                "blues|le blues",
                "soul|la soul",
                "funk|le funk",
                "rap|hip hop",
                "électro|musique électronique",
                "house|deep house",
                "techno|la techno",
                "ambiance|musique d'ambiance",
                "folk|la folk",
                "chanson française|variété française",
                "country|la country",
                "reggae|ska",
                "métal|heavy metal",
                "punk|le punk",
                "indie|rock indépendant",
                "salsa|musique latine",
                "swing|jazz manouche",
                "bossa nova|la bossa nova",
                "disco|le disco",
                "opéra|l'opéra",
                "baroque|musique baroque",
                "musique de film|bandes originales",
                "musique de noël|chansons de noël",
                "comptines|chansons pour enfants",
            ],
        ),
    ],
    published: Published {
        summary: "Écoutez et contrôlez la musique de votre propre Music Assistant sur les enceintes de la maison.",
        description: "Contrôlez à la voix les enceintes de votre Music Assistant : marche et arrêt, pause, titre suivant \
et précédent, et cherchez et écoutez tout ce que contiennent votre bibliothèque et vos services de streaming. Emmenez la \
musique d'une pièce à l'autre, groupez des enceintes, programmez un arrêt automatique, avancez dans un titre et gardez ce \
que vous aimez.\n\nIl vous faut à la maison un Music Assistant en marche et son connecteur cloud, associé à votre compte. \
Activez la skill, connectez-vous, autorisez l'accès et laissez Alexa rechercher vos appareils.\n\nLes commandes sont \
scellées entre la skill et votre maison : ce qui les transporte ne peut pas les lire.",
        example_phrases: [
            "Alexa, ouvre music assistant",
            "Alexa, demande à music assistant de jouer Kind of Blue dans la cuisine",
            "Alexa, demande à music assistant ce qui passe dans la cuisine",
        ],
        keywords: &["music assistant", "enceintes", "multiroom", "playlist", "radio"],
    },
};
