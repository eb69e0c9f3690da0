//! Spanish.

use macloud_e2ee::vocabulary::MediaKind;

use super::{Language, Published};

pub(super) const SPANISH: Language = Language {
    parts: &[
        ("@at", "(en la|en el|en los|en) {player}"),
        ("@room", "(en la|en el|en los|en) {player}"),
        ("@el", "(el |la |los |)"),
    ],
    intents: &[
        (
            "PlayMediaIntent",
            &[
                "(pon|reproduce|toca|escucha) {media}( @at|)",
                "(pon|reproduce|toca) {media} de {artist}( @at|)",
                "(pon|reproduce|toca) (el|la) {mediaType} {media}( @at|)",
                "(pon|reproduce) (el|la) {mediaType} {media} de {artist}( @at|)",
                "(pon|reproduce) (|mi ){mediaType} {media}( @at|)",
                "(pon|reproduce|toca) (música|algo|canciones) de {artist}( @at|)",
                "quiero (oír|escuchar) {media}( de {artist}|)( @at|)",
                "que (ponga|reproduzca|toque) {media}( de {artist}|)( @at|)",
                "que (ponga|reproduzca) (el|la) {mediaType} {media}( @at|)",
            ],
        ),
        (
            "PlayGenreIntent",
            &[
                "(pon|reproduce|toca) (algo de|un poco de) {genre}( @at|)",
                "(pon|reproduce|toca) música {genre}( @at|)",
                "que (ponga|reproduzca) (algo de|un poco de) {genre}( @at|)",
            ],
        ),
        (
            "PlayNextIntent",
            &[
                "(pon|reproduce) (después|a continuación) (|el {mediaType} |la {mediaType} ){media}( @at|)",
                "(pon|reproduce) (después|a continuación) {media} de {artist}( @at|)",
                "(pon|reproduce) {media} a continuación( @at|)",
            ],
        ),
        (
            "AddToQueueIntent",
            &[
                "(añade|agrega) (|el {mediaType} |la {mediaType} ){media} a la cola( @at|)",
                "(añade|agrega) {media} de {artist} a la cola( @at|)",
                "pon {media} en la cola",
                "que añada {media}( de {artist}|) a la cola( @at|)",
            ],
        ),
        (
            "AnswerMediaIntent",
            &[
                "me gustaría (oír|escuchar) {query}",
                "quisiera (oír|escuchar) {query}",
                "busca {query}",
                "encuentra {query}",
                "qué tal {query}",
                "se llama {query}",
            ],
        ),
        (
            "AnswerPlayerIntent",
            &[
                "(|el |la |los |en el |en la |en los |en |me refiero al |me refiero a la |usa el |usa la ){player}",
                "(|el |la ){player} (en|en el|en la|de|del|de la) {home}",
                "(el|la) (de|del|de la|que está en) {home}",
            ],
        ),
        (
            "WhatsPlayingIntent",
            &[
                "qué (suena|está sonando|se escucha)( @room|)",
                "(qué canción es esta|qué canción es|cómo se llama esta canción|qué tema es este)( @room|)",
                "quién (canta|es)",
                "lo que (suena|está sonando)( @room|)",
            ],
        ),
        ("PausePlayerIntent", &["pausa (la música |)@room", "pon @el{player} en pausa", "pausa (el|la) {player}"]),
        (
            "ResumePlayerIntent",
            &[
                "(reanuda|continúa|sigue) (la música |)@room",
                "(reanuda|continúa) (el|la) {player}",
                "sigue con la música @room",
            ],
        ),
        (
            "StopPlayerIntent",
            &[
                "(para|detén) (la música |)@room",
                "(para|detén) la música",
                "(para|detén) (el|la) {player}",
                "quita la música( @room|)",
            ],
        ),
        (
            "SkipPlayerIntent",
            &["(siguiente canción|siguiente tema|siguiente) @room", "(pasa|salta) (esta canción|la canción) @room"],
        ),
        (
            "SetVolumeIntent",
            &[
                "(pon|ajusta|sube|baja) el volumen (a|al) {level}( por ciento|)( @room|)",
                "(pon|ajusta) el volumen (de la|del|de) {player} (a|al) {level}( por ciento|)",
                "(pon|ajusta) el volumen @room (a|al) {level}( por ciento|)",
                "volumen (|a |al ){level}( por ciento|)",
            ],
        ),
        (
            "VolumeUpIntent",
            &[
                "más (alto|fuerte)( @room|)",
                "sube (el volumen|la música)( @room|)",
                "sube el volumen (de la|del|de) {player}",
            ],
        ),
        (
            "VolumeDownIntent",
            &[
                "más (bajo|flojo|suave)( @room|)",
                "baja (el volumen|la música)( @room|)",
                "baja el volumen (de la|del|de) {player}",
            ],
        ),
        ("MuteIntent", &["(silencio|silencia)( @room|)", "silencia (el|la) {player}", "quita el sonido( @room|)"]),
        ("UnmuteIntent", &["(quita el silencio|pon el sonido|activa el sonido|devuelve el sonido)( @room|)"]),
        (
            "ShufflePlayerIntent",
            &[
                "(reproducción aleatoria|modo aleatorio) @room",
                "(activa|pon) (la reproducción aleatoria|el modo aleatorio) @room",
            ],
        ),
        ("RepeatSongIntent", &["repite esta canción( @room|)", "(repite|repetir) (este tema|esto)( @room|)"]),
        (
            "SeekToIntent",
            &[
                "(ve|salta|avanza|vete) (a|hasta) {time}( @at|)",
                "(empieza|reproduce|pon) (en|desde) {time}",
                "que (vaya|salte) a {time}( @at|)",
            ],
        ),
        ("SeekForwardIntent", &["(avanza|adelanta|salta) {time}( @at|)", "que (avance|adelante|salte) {time}( @at|)"]),
        (
            "SeekBackIntent",
            &[
                "(retrocede|rebobina) {time}( @at|)",
                "(vuelve|ve) {time} (atrás|hacia atrás)( @at|)",
                "que retroceda {time}( @at|)",
            ],
        ),
        (
            "AutoplayOnIntent",
            &[
                "activa (la reproducción automática|el autoplay)( @room|)",
                "(sigue|continúa) con música (parecida|similar)( @room|)",
                "(no pares|que no pare) la música( @room|)",
            ],
        ),
        (
            "AutoplayOffIntent",
            &[
                "desactiva (la reproducción automática|el autoplay)( @room|)",
                "(para|detente) al (final de|terminar) la cola( @room|)",
            ],
        ),
        (
            "SleepTimerIntent",
            &[
                "(para|detén|apaga) (la música |)(en|dentro de) {time}( @room|)",
                "(para|detén) (el|la) {player} (en|dentro de) {time}",
                "(para|detén) la música @room (en|dentro de) {time}",
                "(pon|programa) (un temporizador de apagado|un temporizador para dormir|el temporizador de sueño|el apagado) (de|en|a|para) {time}( @room|)",
                "(temporizador de apagado|temporizador de sueño|apagado) (de |en |){time}( @room|)",
                "que (pare|se pare) (en|dentro de) {time}( @room|)",
            ],
        ),
        (
            "SleepTimerOffIntent",
            &[
                "(cancela|quita|desactiva) (el temporizador|el temporizador de apagado|el temporizador para dormir|el temporizador de sueño)( @room|)",
            ],
        ),
        (
            "PlaySimilarIntent",
            &[
                "(pon|reproduce) (algo|música|canciones) (parecido|parecida|parecidas|similar|similares)( @at|)",
                "(pon|reproduce) (algo|más|más música) como (esto|esta)( @at|)",
                "(pon|crea) una radio (de|a partir de) esta canción( @at|)",
            ],
        ),
        (
            "SaveCurrentIntent",
            &[
                "(guarda|recuerda|apunta) (esto|esta|esta canción|este tema)( @room|)",
                "(añade|agrega) (esto|esta canción|este tema) a mis favoritos( @room|)",
                "(añade|agrega) (esto|esta canción|este tema) a mi biblioteca( @room|)",
                "me gusta (esto|esta canción|este tema)",
                "que guarde esta canción( @room|)",
            ],
        ),
        (
            "MovePlayerIntent",
            &[
                "(mueve|pasa|transfiere|lleva|manda|envía) (la música|esto) (a la|al|a) {other}",
                "(mueve|pasa|transfiere) (la música|esto) (de la|del|de) {player} (a la|al|a) {other}",
                "(continúa|sigue) (con |)esto (en la|en el|en) {other}",
                "que (mueva|pase|lleve) la música (a la|al|a) {other}",
            ],
        ),
        (
            "JoinPlayersIntent",
            &[
                "(pon|reproduce) @el{player} (junto con|junto a|a la vez que) (el |la |){other}",
                "(agrupa|une|junta|conecta|sincroniza) @el{player} (con|y) (el |la |){other}",
                "(pon|reproduce) (esto|la música) también @at",
                "añade (el|la) {player} al grupo",
            ],
        ),
        (
            "UnjoinPlayerIntent",
            &[
                "(desagrupa|separa) @el{player}",
                "(quita|saca) (el|la) {player} del grupo",
                "(pon|reproduce) (el|la) {player} (solo|sola)",
                "(deshaz|separa) el grupo",
            ],
        ),
        (
            "UseHereIntent",
            &[
                "usa (siempre |)@el{player} aquí",
                "usa aquí @el{player}",
                "(usa|utiliza) @el{player} (para|en) esta habitación",
            ],
        ),
        (
            "ForgetHereIntent",
            &[
                "olvida (el|este|mi) (reproductor|altavoz)( de aquí|)",
                "olvida qué (reproductor|altavoz) hay aquí",
                "olvida esta habitación",
            ],
        ),
        ("AMAZON.PauseIntent", &["pausa la música", "pon la música en pausa"]),
        ("AMAZON.ResumeIntent", &["reanuda la música", "continúa", "sigue"]),
        ("AMAZON.NextIntent", &["siguiente canción", "salta esta canción", "pasa esta canción"]),
        ("AMAZON.PreviousIntent", &["canción anterior", "vuelve a la canción anterior"]),
        ("AMAZON.StartOverIntent", &["desde el principio", "empieza de nuevo", "pon esta canción desde el principio"]),
        ("AMAZON.ShuffleOnIntent", &["activa la reproducción aleatoria", "modo aleatorio"]),
        ("AMAZON.ShuffleOffIntent", &["desactiva la reproducción aleatoria", "quita el modo aleatorio"]),
        ("AMAZON.LoopOnIntent", &["repite todo", "repítelo todo"]),
        ("AMAZON.LoopOffIntent", &["desactiva la repetición", "deja de repetir"]),
    ],
    kinds: &[
        (MediaKind::Track, "canción|tema|pista|título"),
        (MediaKind::Album, "álbum|disco"),
        (MediaKind::Artist, "artista|grupo|banda|cantante"),
        (MediaKind::Playlist, "lista|playlist|lista de reproducción"),
        (MediaKind::Radio, "emisora|radio|emisora de radio"),
        (MediaKind::Audiobook, "audiolibro|libro"),
        (MediaKind::Podcast, "podcast|programa"),
    ],
    types: &[
        (
            "MEDIA",
            &[
                "kind of blue|el disco kind of blue",
                "abbey road|el disco abbey road",
                "thriller|el disco thriller",
                "random access memories|el disco random access memories",
                "entre dos aguas|dos aguas",
                "mediterráneo|el mediterráneo",
                "bamboleo|el bamboleo",
                "la macarena|macarena",
                "despacito|la canción despacito",
                "el concierto de aranjuez|concierto de aranjuez",
                "las cuatro estaciones|cuatro estaciones",
                "claro de luna|el claro de luna",
                "mis favoritos|favoritos|mis canciones favoritas",
                "descubrimiento semanal|mi descubrimiento semanal",
                "cena con amigos|la cena con amigos",
                "deporte|la lista de deporte",
                "para dormir|música para dormir",
                "radio clásica|la radio clásica",
                "cadena ser|la cadena ser",
                "los cuarenta|los cuarenta principales",
                "radio paradise|la radio paradise",
                "las noticias|noticias",
                "don quijote|el quijote",
                "el principito|principito",
            ],
        ),
        (
            "ARTIST",
            &[
                "paco de lucía|de lucía",
                "joan manuel serrat|serrat",
                "rosalía|la rosalía",
                "alejandro sanz|sanz",
                "julio iglesias|iglesias",
                "shakira|la cantante shakira",
                "manu chao|el cantante manu chao",
                "mecano|el grupo mecano",
                "héroes del silencio|héroes",
                "camarón de la isla|camarón",
                "manuel de falla|falla",
                "johann sebastian bach|bach",
                "miles davis|davis",
                "los beatles|the beatles|beatles",
                "nina simone|simone",
                "daft punk|los daft punk",
            ],
        ),
        (
            "PLAYER",
            &[
                "cocina|la cocina",
                "salón|el salón|sala de estar|sala",
                "dormitorio|habitación|el dormitorio",
                "baño|cuarto de baño|el baño",
                "despacho|oficina|estudio",
                "comedor|el comedor",
                "habitación de los niños|cuarto de los niños",
                "garaje|el garaje",
                "jardín|el jardín|patio",
                "terraza|la terraza",
                "balcón|el balcón",
                "sótano|el sótano",
                "pasillo|entrada|recibidor",
                "habitación de invitados|cuarto de invitados",
                "desván|ático|buhardilla",
                "arriba|planta de arriba",
                "abajo|planta baja",
                "toda la casa|todas partes|todos los altavoces",
                "todas las habitaciones|la casa entera",
                "altavoz de la cocina|el altavoz de la cocina",
            ],
        ),
        (
            "HOME",
            &[
                "casa|mi casa|nuestra casa",
                "piso|apartamento|mi piso",
                "casa de campo|la casa de campo",
                "casa de la playa|apartamento de la playa",
                "casa de vacaciones|segunda residencia",
                "cabaña|refugio",
                "chalet|el chalet",
                "oficina|trabajo",
                "estudio|taller",
                "tienda|local",
                "finca|granja",
                "casa de mis padres|mis padres",
            ],
        ),
        (
            "GENRE",
            &[
                "jazz|el jazz",
                "rock|el rock",
                "pop|el pop",
                "clásica|música clásica",
                "blues|el blues",
                "soul|el soul",
                "funk|el funk",
                "rap|hip hop",
                "electrónica|música electrónica",
                "house|deep house",
                "tecno|techno",
                "ambiental|música ambiental",
                "folk|música folk",
                "flamenco|el flamenco",
                "rumba|rumba flamenca",
                "country|el country",
                "reggae|ska",
                "reguetón|reggaeton",
                "heavy|heavy metal|metal",
                "punk|el punk",
                "indie|música indie",
                "salsa|merengue",
                "swing|big band",
                "bossa nova|la bossa nova",
                "disco|música disco",
                "ópera|la ópera",
                "barroca|música barroca",
                "bandas sonoras|música de cine",
                "villancicos|música de navidad",
                "música infantil|canciones infantiles",
            ],
        ),
    ],
    published: Published {
        summary: "Escucha y controla la música de tu propio Music Assistant en los altavoces de casa.",
        description: "Controla con la voz los altavoces de tu Music Assistant: encendido, volumen, pausa, siguiente y \
anterior, y busca y escucha todo lo que tengan tu biblioteca y tus servicios de música. Lleva la música de una habitación \
a otra, agrupa altavoces, programa el apagado, salta a un punto de la canción y guarda lo que te guste.\n\nNecesitas en \
casa un Music Assistant en marcha y su conector de la nube, vinculado a tu cuenta. Activa la skill, inicia sesión, permite \
el acceso y deja que Alexa busque tus dispositivos.\n\nLas órdenes van selladas entre la skill y tu casa: lo que las \
transporta no puede leerlas.",
        example_phrases: [
            "Alexa, abre music assistant",
            "Alexa, dile a music assistant que ponga Kind of Blue en la cocina",
            "Alexa, pregunta a music assistant qué suena en la cocina",
        ],
        keywords: &["music assistant", "altavoces", "multiroom", "playlist", "radio"],
    },
};
