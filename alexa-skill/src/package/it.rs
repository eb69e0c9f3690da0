//! Italian.

use macloud_e2ee::vocabulary::MediaKind;

use super::{Language, Published};

pub(super) const ITALIAN: Language = Language {
    parts: &[
        ("@at", "(in|nel|nella|sul|sulla|su) {player}"),
        ("@room", "(in|nel|nella|sul|sulla|su) {player}"),
        ("@il", "(il |la |lo |)"),
    ],
    intents: &[
        (
            "PlayMediaIntent",
            &[
                "(metti|riproduci|suona|ascolta|fammi sentire) {media}( @at|)",
                "(metti|riproduci|suona) {media} (di|dei) {artist}( @at|)",
                "(metti|riproduci|suona) (il|la) {mediaType} {media}( @at|)",
                "(metti|riproduci) (il|la) {mediaType} {media} di {artist}( @at|)",
                "(metti|riproduci) (|la mia |il mio ){mediaType} {media}( @at|)",
                "(metti|riproduci|suona) (musica|qualcosa|canzoni) (di|dei) {artist}( @at|)",
                "(voglio|vorrei) (sentire|ascoltare) {media}( di {artist}|)( @at|)",
                "di (mettere|riprodurre|suonare) {media}( di {artist}|)( @at|)",
                "di (mettere|riprodurre) (il|la) {mediaType} {media}( @at|)",
            ],
        ),
        (
            "PlayGenreIntent",
            &[
                "(metti|riproduci|suona) (un po' di|del|della) {genre}( @at|)",
                "(metti|riproduci|suona) musica {genre}( @at|)",
                "di mettere (un po' di|del|della) {genre}( @at|)",
            ],
        ),
        (
            "PlayNextIntent",
            &[
                "(metti|riproduci) (subito dopo|dopo) (|il {mediaType} |la {mediaType} ){media}( @at|)",
                "(metti|riproduci) (subito dopo|dopo) {media} di {artist}( @at|)",
                "(metti|riproduci) {media} subito dopo( @at|)",
            ],
        ),
        (
            "AddToQueueIntent",
            &[
                "aggiungi (|il {mediaType} |la {mediaType} ){media} alla coda( @at|)",
                "aggiungi {media} di {artist} alla coda( @at|)",
                "metti {media}( di {artist}|) in coda( @at|)",
                "di aggiungere {media}( di {artist}|) alla coda( @at|)",
            ],
        ),
        (
            "AnswerMediaIntent",
            &[
                "mi piacerebbe (sentire|ascoltare) {query}",
                "cerca {query}",
                "trova {query}",
                "che ne dici di {query}",
                "si chiama {query}",
                "quello che si chiama {query}",
            ],
        ),
        (
            "AnswerPlayerIntent",
            &[
                "(|il |la |lo |in |nel |nella |sul |sulla |su |intendo il |intendo la |usa il |usa la ){player}",
                "(|il |la ){player} (a|in|nel|nella|del|della|di) {home}",
                "(quello|quella) (a|in|nel|nella|del|della|di) {home}",
            ],
        ),
        (
            "WhatsPlayingIntent",
            &[
                "(cosa|che cosa) (sta suonando|suona|c'è)( @room|)",
                "(che canzone è|che canzone è questa|come si chiama questa canzone|che brano è questo)( @room|)",
                "chi (canta|è)",
            ],
        ),
        ("PausePlayerIntent", &["metti in pausa (|il |la ){player}", "metti in pausa la musica @room", "pausa @room"]),
        (
            "ResumePlayerIntent",
            &["(riprendi|continua) (la musica |)@room", "riprendi (il|la) {player}", "fai ripartire la musica @room"],
        ),
        (
            "StopPlayerIntent",
            &["(ferma|interrompi|spegni) la musica( @room|)", "ferma (il|la) {player}", "ferma @room"],
        ),
        (
            "SkipPlayerIntent",
            &[
                "(prossima canzone|prossimo brano|canzone successiva|brano successivo) @room",
                "salta (questa canzone|questo brano) @room",
            ],
        ),
        (
            "SetVolumeIntent",
            &[
                "(imposta|metti|porta|regola) il volume (a|al) {level}( per cento|)( @room|)",
                "(imposta|metti) il volume (del|della|di) {player} (a|al) {level}( per cento|)",
                "(imposta|metti) il volume @room (a|al) {level}( per cento|)",
                "volume (|a |al ){level}( per cento|)",
            ],
        ),
        (
            "VolumeUpIntent",
            &[
                "più (alto|forte)( @room|)",
                "(alza|aumenta) (il volume|la musica)( @room|)",
                "alza il volume (del|della|di) {player}",
            ],
        ),
        (
            "VolumeDownIntent",
            &[
                "più (basso|piano)( @room|)",
                "(abbassa|diminuisci) (il volume|la musica)( @room|)",
                "abbassa il volume (del|della|di) {player}",
            ],
        ),
        ("MuteIntent", &["(togli l'audio|disattiva l'audio|silenzia|silenzio)( @room|)", "silenzia (il|la) {player}"]),
        ("UnmuteIntent", &["(riattiva l'audio|rimetti l'audio|attiva l'audio)( @room|)"]),
        (
            "ShufflePlayerIntent",
            &[
                "(riproduzione casuale|ordine casuale) @room",
                "(attiva|metti) (la riproduzione casuale|l'ordine casuale) @room",
            ],
        ),
        ("RepeatSongIntent", &["ripeti (questa canzone|questo brano|questa)( @room|)"]),
        (
            "SeekToIntent",
            &[
                "(vai|salta|spostati) a {time}( @at|)",
                "(parti|riproduci|comincia) da {time}( @at|)",
                "di andare a {time}( @at|)",
            ],
        ),
        (
            "SeekForwardIntent",
            &[
                "(vai|manda) avanti (di |){time}( @at|)",
                "(salta|avanza di|avanza) {time}( @at|)",
                "di andare avanti di {time}( @at|)",
            ],
        ),
        (
            "SeekBackIntent",
            &[
                "(vai|torna|manda) indietro (di |){time}( @at|)",
                "riavvolgi (di |){time}( @at|)",
                "di tornare indietro di {time}( @at|)",
            ],
        ),
        (
            "AutoplayOnIntent",
            &[
                "attiva (la riproduzione automatica|l'autoplay)( @room|)",
                "(continua|vai avanti) con musica simile( @room|)",
                "non fermare la musica( @room|)",
            ],
        ),
        (
            "AutoplayOffIntent",
            &[
                "disattiva (la riproduzione automatica|l'autoplay)( @room|)",
                "(fermati|ferma la musica) alla fine della coda( @room|)",
            ],
        ),
        (
            "SleepTimerIntent",
            &[
                "(ferma|spegni|interrompi) la musica (tra|fra|dopo) {time}( @room|)",
                "(fermati|ferma) (tra|fra|dopo) {time}( @room|)",
                "ferma (il|la) {player} (tra|fra) {time}",
                "(ferma|spegni) la musica @room (tra|fra) {time}",
                "(imposta|metti) (un timer per lo spegnimento|un timer per dormire|lo spegnimento automatico|il timer di spegnimento) (di|a|tra|fra) {time}( @room|)",
                "(timer di spegnimento|spegnimento automatico) (di |tra |fra |){time}( @room|)",
                "di fermarsi (tra|fra) {time}( @room|)",
            ],
        ),
        (
            "SleepTimerOffIntent",
            &[
                "(annulla|cancella|togli|disattiva) (il timer|il timer di spegnimento|il timer per dormire|lo spegnimento automatico)( @room|)",
            ],
        ),
        (
            "PlaySimilarIntent",
            &[
                "(metti|riproduci) (qualcosa di|musica|canzoni|altro di) (simile|simili)( @at|)",
                "(metti|riproduci) (qualcosa|altra musica|altro) come (questo|questa)( @at|)",
                "(metti|avvia) una radio (da|basata su) questa canzone( @at|)",
            ],
        ),
        (
            "SaveCurrentIntent",
            &[
                "(salva|ricorda|conserva) (questa canzone|questo brano|questa|questo)( @room|)",
                "aggiungi (questa canzone|questo brano|questa|questo) ai (miei |)preferiti( @room|)",
                "aggiungi (questa canzone|questo brano) alla mia libreria( @room|)",
                "mi piace (questa canzone|questo brano|questa)",
                "di salvare questa canzone( @room|)",
            ],
        ),
        (
            "MovePlayerIntent",
            &[
                "(sposta|trasferisci|porta|manda) la musica (in|nel|nella|sul|sulla|su) {other}",
                "(sposta|trasferisci) la musica (dal|dalla|da) {player} (al|alla|a|in|nel|nella) {other}",
                "(continua|riproduci) questa musica (in|nel|nella|su) {other}",
                "di (spostare|trasferire) la musica (in|nel|nella|sul|sulla) {other}",
            ],
        ),
        (
            "JoinPlayersIntent",
            &[
                "(metti|riproduci) @il{player} (insieme a|insieme al|insieme alla|assieme a) {other}",
                "(raggruppa|unisci|collega|sincronizza) @il{player} (con|con il|con la|e|e il|e la|a) {other}",
                "(metti|riproduci) (questa musica|la musica|questo) anche @at",
                "aggiungi (il|la) {player} al gruppo",
            ],
        ),
        (
            "UnjoinPlayerIntent",
            &[
                "(separa|scollega) @il{player}",
                "(togli|rimuovi) (il|la) {player} dal gruppo",
                "(metti|riproduci) (il|la) {player} da (solo|sola)",
                "(sciogli|separa) il gruppo",
            ],
        ),
        (
            "UseHereIntent",
            &[
                "usa (sempre |)@il{player} qui",
                "usa qui @il{player}",
                "(usa|utilizza) @il{player} (per|in) questa stanza",
            ],
        ),
        (
            "ForgetHereIntent",
            &[
                "dimentica (il|questo|il mio) (lettore|diffusore|altoparlante)( qui| di qui|)",
                "dimentica quale (lettore|altoparlante) c'è qui",
                "dimentica questa stanza",
            ],
        ),
        ("AMAZON.PauseIntent", &["metti in pausa", "metti la musica in pausa"]),
        ("AMAZON.ResumeIntent", &["riprendi", "riprendi la musica", "continua"]),
        ("AMAZON.NextIntent", &["prossima canzone", "canzone successiva", "salta questa canzone"]),
        ("AMAZON.PreviousIntent", &["canzone precedente", "brano precedente"]),
        ("AMAZON.StartOverIntent", &["dall'inizio", "ricomincia da capo", "rimetti questa canzone dall'inizio"]),
        ("AMAZON.ShuffleOnIntent", &["attiva la riproduzione casuale", "riproduzione casuale"]),
        ("AMAZON.ShuffleOffIntent", &["disattiva la riproduzione casuale", "basta riproduzione casuale"]),
        ("AMAZON.LoopOnIntent", &["ripeti tutto", "ripeti tutta la coda"]),
        ("AMAZON.LoopOffIntent", &["disattiva la ripetizione", "smetti di ripetere"]),
    ],
    kinds: &[
        (MediaKind::Track, "canzone|brano|titolo|pezzo"),
        (MediaKind::Album, "album|disco"),
        (MediaKind::Artist, "artista|gruppo|cantante"),
        (MediaKind::Playlist, "playlist|lista"),
        (MediaKind::Radio, "stazione radio|stazione|radio"),
        (MediaKind::Audiobook, "audiolibro|libro"),
        (MediaKind::Podcast, "podcast|trasmissione"),
    ],
    types: &[
        (
            "MEDIA",
            &[
                "kind of blue|il disco kind of blue",
                "abbey road|il disco abbey road",
                "thriller|il disco thriller",
                "random access memories|il disco random access memories",
                "volare|nel blu dipinto di blu",
                "azzurro|la canzone azzurro",
                "via con me|la canzone via con me",
                "la donna cannone|donna cannone",
                "creuza de ma|il disco creuza de ma",
                "nessun dorma|l'aria nessun dorma",
                "le quattro stagioni|quattro stagioni",
                "chiaro di luna|il chiaro di luna",
                "i miei preferiti|preferiti|le mie canzoni preferite",
                "novità della settimana|le novità della settimana",
                "cena con amici|la cena con amici",
                "allenamento|la playlist allenamento",
                "per dormire|musica per dormire",
                "radio tre|rai radio tre",
                "radio deejay|radio dee jay",
                "radio paradise|la radio paradise",
                "radio italia|la radio italia",
                "le notizie|notizie|il giornale radio",
                "pinocchio|le avventure di pinocchio",
                "il piccolo principe|piccolo principe",
            ],
        ),
        (
            "ARTIST",
            &[
                "fabrizio de andré|de andré",
                "lucio dalla|dalla",
                "lucio battisti|battisti",
                "paolo conte|conte",
                "mina|la cantante mina",
                "vasco rossi|vasco",
                "laura pausini|pausini",
                "eros ramazzotti|ramazzotti",
                "i måneskin|måneskin",
                "giuseppe verdi|verdi",
                "antonio vivaldi|vivaldi",
                "giacomo puccini|puccini",
                "ennio morricone|morricone",
                "miles davis|davis",
                "i beatles|the beatles|beatles",
                "nina simone|simone",
                "daft punk|i daft punk",
            ],
        ),
        (
            "PLAYER",
            &[
                "cucina|la cucina",
                "soggiorno|salotto|sala",
                "camera da letto|camera|la camera",
                "bagno|il bagno",
                "ufficio|lo studio|studio",
                "sala da pranzo|la sala da pranzo",
                "cameretta|camera dei bambini",
                "garage|il garage",
                "giardino|il giardino",
                "terrazza|terrazzo",
                "balcone|il balcone",
                "cantina|la cantina",
                "corridoio|ingresso",
                "camera degli ospiti|la camera degli ospiti",
                "soffitta|mansarda",
                "piano di sopra|sopra",
                "piano di sotto|sotto",
                "ovunque|tutti gli altoparlanti|tutte le stanze",
                "tutta la casa|la casa intera",
                "altoparlante della cucina|cassa della cucina",
            ],
        ),
        (
            "HOME",
            &[
                "casa|casa mia|casa nostra",
                "appartamento|l'appartamento",
                "casa di campagna|la casa di campagna",
                "casa al mare|la casa al mare",
                "casa delle vacanze|seconda casa",
                "baita|rifugio",
                "chalet|lo chalet",
                "ufficio|lavoro",
                "studio|laboratorio",
                "negozio|bottega",
                "fattoria|cascina",
                "casa dei miei|casa dei miei genitori|miei genitori",
            ],
        ),
        (
            "GENRE",
            &[
                "jazz|musica jazz",
                "rock|musica rock",
                "pop|musica pop",
                "classica|musica classica",
                "blues|il blues",
                "soul|musica soul",
                "funk|il funk",
                "rap|hip hop",
                "elettronica|musica elettronica",
                "house|deep house",
                "techno|la techno",
                "ambient|musica d'ambiente",
                "folk|musica popolare",
                "cantautori|musica d'autore",
                "country|il country",
                "reggae|ska",
                "metal|heavy metal",
                "punk|il punk",
                "indie|musica indie",
                "latina|salsa|musica latina",
                "swing|big band",
                "bossa nova|la bossa nova",
                "disco|disco music",
                "opera|lirica|musica lirica",
                "barocca|musica barocca",
                "colonne sonore|musica da film",
                "canzoni di natale|musica di natale",
                "canzoni per bambini|musica per bambini",
            ],
        ),
    ],
    published: Published {
        summary: "Ascolta e controlla la musica del tuo Music Assistant sugli altoparlanti di casa.",
        description: "Controlla con la voce gli altoparlanti del tuo Music Assistant: accensione, volume, pausa, avanti e \
indietro, e cerca e ascolta tutto quello che c'è nella tua libreria e nei tuoi servizi musicali. Porta la musica da una \
stanza all'altra, raggruppa gli altoparlanti, imposta lo spegnimento automatico, salta a un punto della canzone e salva \
quello che ti piace.\n\nA casa ti servono un Music Assistant attivo e il suo connettore cloud, collegato al tuo account. \
Attiva la skill, accedi, consenti l'accesso e lascia che Alexa cerchi i tuoi dispositivi.\n\nI comandi sono sigillati tra \
la skill e casa tua: ciò che li trasporta non può leggerli.",
        example_phrases: [
            "Alexa, apri music assistant",
            "Alexa, chiedi a music assistant di mettere Kind of Blue in cucina",
            "Alexa, chiedi a music assistant cosa sta suonando in cucina",
        ],
        keywords: &["music assistant", "altoparlanti", "multiroom", "playlist", "radio"],
    },
};
