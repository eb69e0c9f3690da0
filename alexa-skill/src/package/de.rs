//! German.

use macloud_e2ee::vocabulary::MediaKind;

use super::{Language, Published};

pub(super) const GERMAN: Language = Language {
    parts: &[
        ("@at", "(in der|im|auf dem|auf der|in|auf) {player}"),
        ("@room", "(in der|im|auf dem|auf der|auf) {player}"),
        ("@den", "(den |die |das |)"),
    ],
    intents: &[
        (
            "PlayMediaIntent",
            &[
                "(spiel|spiele|starte|ich möchte hören) {media}( @at|)",
                "(spiel|spiele) {media} von {artist}( @at|)",
                "(spiel|spiele|starte) (das|den|die) {mediaType} {media}( @at|)",
                "(spiel|spiele) (das|den|die) {mediaType} {media} von {artist}( @at|)",
                "(spiel|spiele) (|meine |mein ){mediaType} {media}( @at|)",
                "(spiel|spiele) (musik|etwas|was|lieder) von {artist}( @at|)",
                "(mach|leg) {media} (an|auf)",
                "{media}( von {artist}|)( @room|) (spielen|zu spielen)",
                "er soll {media}( von {artist}|)( @room|) spielen",
            ],
        ),
        (
            "PlayGenreIntent",
            &[
                "(spiel|spiele) (etwas|ein bisschen|ein wenig|mal) {genre}( musik|)( @at|)",
                "(spiel|spiele) {genre} musik( @at|)",
                "(etwas|ein bisschen) {genre}( @room|) zu spielen",
            ],
        ),
        (
            "PlayNextIntent",
            &[
                "(spiel|spiele) als nächstes (|das {mediaType} |den {mediaType} |die {mediaType} ){media}( @at|)",
                "(spiel|spiele) als nächstes {media} von {artist}( @at|)",
                "(spiel|spiele) {media} als nächstes( @at|)",
                "(spiel|spiele) danach {media}",
            ],
        ),
        (
            "AddToQueueIntent",
            &[
                "(füge|füg) (|das {mediaType} |den {mediaType} |die {mediaType} ){media} (zur warteschlange|zur wiedergabeliste) hinzu",
                "(füge|füg) {media} von {artist} zur warteschlange hinzu",
                "setz (|das {mediaType} |den {mediaType} |die {mediaType} ){media}( von {artist}|) auf die warteschlange( @at|)",
                "stell {media}( von {artist}|) hinten an( @at|)",
            ],
        ),
        (
            "AnswerMediaIntent",
            &[
                "ich (möchte|will|würde gern) {query} hören",
                "ich hätte gern {query}",
                "such nach {query}",
                "suche {query}",
                "finde {query}",
                "wie wäre es mit {query}",
                "es heißt {query}",
            ],
        ),
        (
            "AnswerPlayerIntent",
            &[
                "(|der |die |das |in der |im |auf dem |auf der |in |auf |ich meine die |ich meine das |ich meine den |nimm die |nimm das |nimm den ){player}",
                "(|die |das |der |den ){player} (in|im|in der|in dem) {home}",
                "(die|das|der|den) (in|im|in der|in dem) {home}",
            ],
        ),
        (
            "WhatsPlayingIntent",
            &[
                "was (läuft|spielt)( gerade|)( @room|)",
                "(welches lied|welcher song|welches stück) ist das( @room|)",
                "wie heißt (das lied|der song|das stück|das)",
                "wer (ist|singt) das",
                "was ist das für ein (lied|song|stück)( @room|)",
            ],
        ),
        (
            "PausePlayerIntent",
            &["(pausiere|pausier) @den{player}", "(pause|pausiere die musik|halte die musik an) @room"],
        ),
        (
            "ResumePlayerIntent",
            &[
                "setze @den{player} fort",
                "(spiel|spiele|mach) @room weiter",
                "weiter @room",
                "setze die musik @room fort",
            ],
        ),
        (
            "StopPlayerIntent",
            &[
                "stoppe @den{player}",
                "(stopp|stoppe|beende) die musik( @room|)",
                "(mach|schalte) die musik (@room |)aus",
            ],
        ),
        (
            "SkipPlayerIntent",
            &["nächstes (lied|stück) @room", "nächster (titel|song) @room", "überspring(|e) das lied @room"],
        ),
        (
            "SetVolumeIntent",
            &[
                "(stell|stelle|setz|setze|mach) die lautstärke auf {level}( prozent|)",
                "(stell|stelle|setz|setze|mach) die lautstärke ((von |vom |von der |der |des ){player}|@at) auf {level}( prozent|)",
                "lautstärke( auf|) {level}( prozent|)",
                "{player} (auf |)lautstärke {level}",
            ],
        ),
        (
            "VolumeUpIntent",
            &[
                "lauter( @room|)",
                "(mach|mache|stell) (es |)lauter",
                "(mach|mache|stell) @den{player} lauter",
                "(mach|mache) die musik (@room |)lauter",
                "lautstärke hoch",
            ],
        ),
        (
            "VolumeDownIntent",
            &[
                "leiser( @room|)",
                "(mach|mache|stell) (es |)leiser",
                "(mach|mache|stell) @den{player} leiser",
                "(mach|mache) die musik (@room |)leiser",
                "lautstärke runter",
            ],
        ),
        ("MuteIntent", &["(stumm|ton aus)( @room|)", "(schalte|stell|mach) @den{player} stumm", "stumm schalten"]),
        (
            "UnmuteIntent",
            &[
                "ton (wieder |)an( @room|)",
                "hebe die stummschaltung( @room|) auf",
                "(schalte|mach) den ton( @room|) (wieder |)(an|ein)",
                "nicht mehr stumm",
            ],
        ),
        (
            "ShufflePlayerIntent",
            &[
                "zufällige reihenfolge @room",
                "(zufallswiedergabe|mischen) @room",
                "(schalte|mach) die zufallswiedergabe @room (an|ein)",
            ],
        ),
        (
            "RepeatSongIntent",
            &[
                "wiederhole (dieses|das) (lied|stück)( @room|)",
                "wiederhole (diesen|den) (titel|song)( @room|)",
                "(dieses|das) lied wiederholen",
            ],
        ),
        (
            "SeekToIntent",
            &[
                "(spring|springe|geh|gehe|spul|spule) (zu|auf|bis) {time}( @at|)",
                "(spiel|spiele|starte) (ab|bei) {time}( @at|)",
                "(zu|auf) {time} (springen|zu springen)",
            ],
        ),
        (
            "SeekForwardIntent",
            &[
                "(spring|springe|spul|spule|geh|gehe) (@room |)(um |){time} (vor|weiter|nach vorne)",
                "überspring(|e) {time}( @room|)",
                "{time} (vorspulen|vorspringen|weiter)( @room|)",
            ],
        ),
        (
            "SeekBackIntent",
            &[
                "(spring|springe|spul|spule|geh|gehe) (@room |)(um |){time} zurück",
                "{time} (zurückspulen|zurückspringen|zurück)( @room|)",
            ],
        ),
        (
            "AutoplayOnIntent",
            &[
                "(schalte|mach) (das |)autoplay( @room|) (an|ein)",
                "autoplay an( @room|)",
                "spiel(|e)( @room|) immer weiter",
                "(mach|spiel) danach mit ähnlicher musik weiter",
                "hör nicht auf( zu spielen|)",
            ],
        ),
        (
            "AutoplayOffIntent",
            &[
                "(schalte|mach) (das |)autoplay( @room|) aus",
                "autoplay aus( @room|)",
                "(hör|höre) am ende der warteschlange auf( @room|)",
                "(stopp|stoppe) am ende der warteschlange( @room|)",
            ],
        ),
        (
            "SleepTimerIntent",
            &[
                "(stopp|stoppe|beende) (die musik |die wiedergabe |)in {time}( @room|)",
                "(stopp|stoppe) @den{player} in {time}",
                "(hör|höre) in {time} auf( zu spielen|)( @room|)",
                "(stell|stelle|setz|setze) (einen|den) (sleeptimer|sleep timer|einschlaftimer) auf {time}( @room|)",
                "(sleeptimer|sleep timer|einschlaftimer) {time}( @room|)",
                "(schalte|mach) die musik (@room |)in {time} aus",
                "in {time} (aufzuhören|zu stoppen)( @room|)",
            ],
        ),
        (
            "SleepTimerOffIntent",
            &[
                "(lösche|stopp|stoppe|beende) den (sleeptimer|sleep timer|einschlaftimer)( @room|)",
                "(schalte|stell|stelle) den (sleeptimer|sleep timer|einschlaftimer) (@room |)(aus|ab)",
                "kein (sleeptimer|sleep timer|einschlaftimer)( mehr|)( @room|)",
            ],
        ),
        (
            "PlaySimilarIntent",
            &[
                "(spiel|spiele) (etwas|was) ähnliches( @at|)",
                "(spiel|spiele) ähnliche (musik|lieder)( @at|)",
                "(spiel|spiele) mehr (davon|so etwas|in der art)( @at|)",
                "(starte|mach) ein radio (davon|aus diesem lied)( @at|)",
            ],
        ),
        (
            "SaveCurrentIntent",
            &[
                "(speicher|speichere|merk dir|merke dir) (das|dieses|dieses lied|diesen song|das lied)( @room|)",
                "(füge|füg) (das|dieses lied|diesen song) (meinen favoriten|zu meinen favoriten|meiner bibliothek) hinzu( @room|)",
                "(das|dieses lied|dieser song) gefällt mir",
                "(das|dieses lied) als favorit speichern",
            ],
        ),
        (
            "MovePlayerIntent",
            &[
                "(verschieb|verschiebe|übertrag|übertrage|schick|schicke|bring|bringe) (die musik|das|sie) (in die|ins|in den|auf die|auf das|auf den|auf|nach) {other}",
                "(verschieb|verschiebe|übertrag|übertrage) (die musik|das) (von der|vom|von) {player} (in die|ins|in den|auf die|auf das|auf den|auf) {other}",
                "(spiel|spiele|mach) (das|die musik) (stattdessen |)(in der|im|auf dem|auf der|auf) {other} weiter",
                "nimm die musik mit (in die|ins|in den) {other}",
            ],
        ),
        (
            "JoinPlayersIntent",
            &[
                "(spiel|spiele) @den{player} zusammen mit (der |dem |){other}",
                "(verbinde|gruppiere|kopple|koppel) @den{player} (mit|und) (der |dem |die |das |den |){other}",
                "(spiel|spiele) (das|die musik|es) auch (in der|im|auf dem|auf der|auf) {player}",
                "(nimm|hol) @den{player} dazu",
            ],
        ),
        (
            "UnjoinPlayerIntent",
            &[
                "(trenne|löse) @den{player}( aus der gruppe|)",
                "(nimm|entferne) @den{player} aus der gruppe",
                "(spiel|spiele) @den{player} (alleine|allein)",
                "gruppe (auflösen|trennen)",
                "löse die gruppe auf",
            ],
        ),
        (
            "UseHereIntent",
            &[
                "(nimm|benutze|nutze|verwende) hier (immer |)@den{player}",
                "(nimm|benutze|nutze|verwende) @den{player} (hier|für diesen raum|in diesem raum)",
                "(spiel|spiele) hier immer (auf dem|auf der|in der|im|auf) {player}",
            ],
        ),
        (
            "ForgetHereIntent",
            &[
                "vergiss (den|diesen|meinen) (player|lautsprecher)( hier|)",
                "vergiss welcher (player|lautsprecher) hier ist",
                "vergiss diesen raum",
            ],
        ),
        ("AMAZON.PauseIntent", &["pausiere die musik", "halte die musik an"]),
        ("AMAZON.ResumeIntent", &["setze die musik fort", "spiel weiter", "weiter", "mach weiter"]),
        ("AMAZON.NextIntent", &["nächstes lied", "nächster titel", "überspring das lied"]),
        ("AMAZON.PreviousIntent", &["vorheriges lied", "vorheriger titel", "ein lied zurück"]),
        ("AMAZON.StartOverIntent", &["von vorne", "noch mal von vorne", "spiel das lied noch mal"]),
        ("AMAZON.ShuffleOnIntent", &["zufallswiedergabe an", "zufällige reihenfolge"]),
        ("AMAZON.ShuffleOffIntent", &["zufallswiedergabe aus", "nicht mehr mischen"]),
        ("AMAZON.LoopOnIntent", &["wiederhole alles", "alles wiederholen"]),
        ("AMAZON.LoopOffIntent", &["wiederholung aus", "nicht mehr wiederholen"]),
    ],
    kinds: &[
        (MediaKind::Track, "lied|song|titel|stück"),
        (MediaKind::Album, "album|platte"),
        (MediaKind::Artist, "künstler|künstlerin|band|sänger|sängerin"),
        (MediaKind::Playlist, "playlist|playliste|wiedergabeliste"),
        (MediaKind::Radio, "radiosender|sender|radio"),
        (MediaKind::Audiobook, "hörbuch|hörspiel|buch"),
        (MediaKind::Podcast, "podcast|sendung"),
    ],
    types: &[
        (
            "MEDIA",
            &[
                "kind of blue|das album kind of blue",
                "abbey road|die abbey road",
                "thriller|das thriller",
                "bochum|vier sechzig bochum",
                "die mensch maschine|mensch maschine",
                "autobahn|die autobahn",
                "neunundneunzig luftballons|luftballons",
                "atemlos durch die nacht|atemlos",
                "über den wolken|wolken",
                "die vier jahreszeiten|vier jahreszeiten",
                "die zauberflöte|zauberflöte",
                "die mondscheinsonate|mondscheinsonate",
                "meine favoriten|favoriten|meine lieblingslieder",
                "mein mix der woche|mix der woche",
                "dinner jazz|die playlist dinner jazz",
                "sport|die sport playlist",
                "einschlafmusik|die einschlafmusik",
                "deutschlandfunk|der deutschlandfunk",
                "bayern drei|das bayern drei",
                "w. d. r. zwei|w. d. r. zwei radio",
                "radio paradise|das radio paradise",
                "die nachrichten|nachrichten",
                "die drei fragezeichen|drei fragezeichen",
                "benjamin blümchen|blümchen",
                "bibi und tina|bibi",
            ],
        ),
        (
            "ARTIST",
            &[
                "herbert grönemeyer|grönemeyer",
                "kraftwerk|die band kraftwerk",
                "die ärzte|ärzte",
                "die toten hosen|toten hosen",
                "nena|die sängerin nena",
                "udo lindenberg|lindenberg",
                "helene fischer|die helene fischer",
                "die fantastischen vier|fanta vier",
                "johann sebastian bach|bach",
                "ludwig van beethoven|beethoven",
                "wolfgang amadeus mozart|mozart",
                "miles davis|davis",
                "the beatles|die beatles|beatles",
                "daft punk|die daft punk",
                "nina simone|simone",
                "rammstein|die band rammstein",
            ],
        ),
        (
            "PLAYER",
            &[
                "küche|die küche|der küche",
                "wohnzimmer|das wohnzimmer|stube",
                "schlafzimmer|das schlafzimmer",
                "bad|badezimmer|das bad",
                "büro|arbeitszimmer|das büro",
                "esszimmer|das esszimmer",
                "kinderzimmer|das kinderzimmer",
                "garage|die garage",
                "garten|der garten",
                "terrasse|die terrasse",
                "balkon|der balkon",
                "keller|der keller",
                "flur|diele|gang",
                "gästezimmer|das gästezimmer",
                "dachboden|speicher",
                "oben|obergeschoss",
                "unten|erdgeschoss",
                "überall|alle lautsprecher|alle räume",
                "das ganze haus|ganzes haus",
                "küchenlautsprecher|lautsprecher in der küche",
            ],
        ),
        (
            "HOME",
            &[
                "zuhause|daheim|mein zuhause",
                "haus|unser haus|mein haus",
                "wohnung|die wohnung",
                "ferienhaus|ferienwohnung|wochenendhaus",
                "hütte|berghütte",
                "gartenhaus|laube|schrebergarten",
                "büro|arbeit",
                "studio|werkstatt",
                "laden|geschäft",
                "hof|bauernhof",
                "bei meinen eltern|meine eltern|elternhaus",
            ],
        ),
        (
            "GENRE",
            &[
                "jazz|jazzmusik",
                "rock|rockmusik",
                "pop|popmusik",
                "klassik|klassische",
                "blues|den blues",
                "soul|soulmusik",
                "funk|funkmusik",
                "hip hop|rap|deutschrap",
                "elektro|elektronische",
                "house|deep house",
                "techno|technomusik",
                "ambient|entspannungsmusik",
                "folk|volksmusik",
                "schlager|deutsche schlager",
                "country|countrymusik",
                "reggae|ska",
                "metal|heavy metal",
                "punk|punkrock",
                "indie|indie rock",
                "latin|salsa",
                "swing|big band",
                "bossa nova|bossa",
                "disco|discomusik",
                "oper|opern|arien",
                "barock|barockmusik",
                "filmmusik|soundtracks",
                "weihnachtsmusik|weihnachtslieder",
                "kinderlieder|kindermusik",
            ],
        ),
    ],
    published: Published {
        summary: "Spiele und steuere die Musik deines eigenen Music Assistant auf den Lautsprechern zu Hause.",
        description: "Steuere die Lautsprecher deines Music Assistant mit der Stimme: ein und aus, Lautstärke, Pause, \
vor und zurück, und suche und spiele alles, was deine Bibliothek und deine Streamingdienste haben. Nimm die Musik mit in \
einen anderen Raum, lass Lautsprecher zusammen spielen, stelle einen Einschlaftimer, springe an eine Stelle im Lied und \
merke dir, was dir gefällt.\n\nDu brauchst zu Hause einen laufenden Music Assistant und dessen Cloud-Connector, mit \
deinem Konto verbunden. Aktiviere den Skill, melde dich an, erlaube den Zugriff und lass Alexa deine Geräte suchen.\n\n\
Befehle sind zwischen dem Skill und deinem Zuhause versiegelt: Was sie dazwischen befördert, kann sie nicht lesen.",
        example_phrases: [
            "Alexa, öffne music assistant",
            "Alexa, sage music assistant spiele Kind of Blue in der Küche",
            "Alexa, frage music assistant was läuft in der Küche",
        ],
        keywords: &["music assistant", "lautsprecher", "multiroom", "playlist", "radio"],
    },
};
