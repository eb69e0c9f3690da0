//! The vocabulary survives the way, whole; and what is not in it does no harm.

use std::time::Duration;

use macloud_e2ee::skill::Answer;
use macloud_e2ee::vocabulary::{
    Action, Capabilities, Command, DeviceKey, Item, MAX_PLAYERS, MAX_PRESETS, MAX_SLEEP_MINUTES, MAX_TEXT_CHARS,
    MediaKind, MediaQuery, MinuteOfDay, Percent, Placement, Playback, Player, PlayerKind, PlayerState, Preset, Refusal,
    Repeat, Reply, Scopes, Target, Transport, clean_text,
};
use macloud_proto::MAX_SEALED_BYTES;
use macloud_proto::ids::{PlayerKey, PresetKey};
use proptest::option;
use proptest::prelude::*;

use crate::support::{Ends, SIX_SECONDS, command_id, kitchen};

/// `command` as the home understands it.
fn over_there(ends: &mut Ends, command: &Command, scopes: Scopes) -> (Command, Scopes) {
    let session = ends.establish();
    let (sealed, _) = session.seal(command_id(1), command, scopes, SIX_SECONDS, ends.skill_now()).unwrap();
    let opened = ends.open(1, &sealed).unwrap();
    (opened.command.unwrap(), opened.scopes)
}

/// `reply` as the skill understands it, and how many bytes it took.
fn back_here(ends: &mut Ends, reply: &Reply) -> (Reply, usize) {
    let session = ends.establish();
    let (sealed, opener) = ends.seal(&session, 1);
    let sealed = ends.open(1, &sealed).unwrap().reply.seal(reply, ends.home_now());
    match opener.open(&sealed, ends.skill_now()) {
        Ok(Answer::Reply(reply)) => (reply, sealed.len()),
        other => panic!("{other:?}"),
    }
}

fn text() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9 äßçñ愛 '’!🎵-]{0,40}"
}

fn player_key() -> impl Strategy<Value = PlayerKey> {
    any::<[u8; 15]>().prop_map(|bytes| PlayerKey::from_bytes(&bytes))
}

fn preset_key() -> impl Strategy<Value = PresetKey> {
    any::<[u8; 15]>().prop_map(|bytes| PresetKey::from_bytes(&bytes))
}

fn media_kind() -> impl Strategy<Value = MediaKind> {
    use MediaKind::{Album, Artist, Audiobook, Genre, Playlist, Podcast, Radio, Track};
    prop::sample::select(vec![Track, Album, Artist, Playlist, Radio, Genre, Audiobook, Podcast])
}

fn percent() -> impl Strategy<Value = Percent> {
    (0i64..=100).prop_map(Percent::clamped)
}

fn action() -> impl Strategy<Value = Action> {
    use Transport::{FastForward, Next, Pause, Play, Previous, Rewind, StartOver, Stop};
    let transports = vec![Play, Pause, Stop, Next, Previous, StartOver, FastForward, Rewind];
    let placements = vec![Placement::Replace, Placement::Next, Placement::Add];
    prop_oneof![
        Just(Action::Read),
        any::<bool>().prop_map(Action::SetPower),
        percent().prop_map(Action::SetVolume),
        (-100i8..=100).prop_map(Action::AdjustVolume),
        any::<bool>().prop_map(Action::SetMute),
        prop::sample::select(transports).prop_map(Action::Transport),
        (text(), option::of(text()), option::of(media_kind()), any::<bool>(), prop::sample::select(placements))
            .prop_map(|(text, artist, kind, sure, placement)| Action::Play {
                media: MediaQuery { text, artist, kind, sure },
                placement
            }),
        any::<bool>().prop_map(Action::SetShuffle),
        repeat().prop_map(Action::SetRepeat),
        newer_action(),
    ]
}

/// Those that came later.
fn newer_action() -> impl Strategy<Value = Action> {
    use Action::{ForgetHere, PlaySimilar, SaveCurrent, Unjoin, UseHere};
    prop_oneof![
        any::<u32>().prop_map(Action::SeekTo),
        any::<i32>().prop_map(Action::SeekBy),
        any::<bool>().prop_map(Action::SetAutoplay),
        option::of(1..=MAX_SLEEP_MINUTES).prop_map(Action::SetSleepTimer),
        preset_key().prop_map(Action::PlayPreset),
        target().prop_map(Action::MoveTo),
        target().prop_map(Action::JoinTo),
        prop::sample::select(vec![PlaySimilar, SaveCurrent, Unjoin, UseHere, ForgetHere]),
    ]
}

fn target() -> impl Strategy<Value = Target> {
    prop_oneof![player_key().prop_map(Target::Key), text().prop_map(Target::Named), Just(Target::Unnamed)]
}

fn repeat() -> impl Strategy<Value = Repeat> {
    prop::sample::select(vec![Repeat::Off, Repeat::One, Repeat::All])
}

fn command() -> impl Strategy<Value = Command> {
    let device = option::of(any::<[u8; 16]>().prop_map(DeviceKey::from_bytes));
    prop_oneof![
        1 => Just(Command::ListPlayers),
        9 => (target(), action(), device)
            .prop_map(|(target, action, device)| Command::OnPlayer { target, action, device }),
    ]
}

fn item() -> impl Strategy<Value = Item> {
    (text(), option::of(text()), option::of(text()), option::of(media_kind()))
        .prop_map(|(title, artist, album, kind)| Item { title, artist, album, kind })
}

fn player() -> impl Strategy<Value = Player> {
    let kinds = vec![PlayerKind::Speaker, PlayerKind::StereoPair, PlayerKind::Group];
    let playbacks = vec![Playback::Playing, Playback::Paused, Playback::Stopped];
    let state = (
        any::<(bool, bool)>(),
        option::of(percent()),
        any::<Option<bool>>(),
        prop::sample::select(playbacks),
        option::of(item()),
        (any::<Option<bool>>(), option::of(repeat())),
        (any::<Option<u32>>(), any::<Option<bool>>(), option::of(0..=MAX_SLEEP_MINUTES), option::of(preset_key())),
    )
        .prop_map(|((available, powered), volume, muted, playback, now_playing, (shuffle, repeat), newer)| {
            let (position, autoplay, sleep_timer, preset) = newer;
            PlayerState {
                available,
                powered,
                volume,
                muted,
                playback,
                now_playing,
                shuffle,
                repeat,
                position,
                autoplay,
                sleep_timer,
                preset,
            }
        });
    let can = any::<[bool; 9]>().prop_map(|[power, loud, mute, order, seek, autoplay, group, sleep, steps]| {
        Capabilities { power, volume: loud && !steps, mute, order, seek, autoplay, group, sleep, steps }
    });
    (player_key(), text(), prop::sample::select(kinds), option::of(text()), option::of(text()), can, state).prop_map(
        |(key, name, kind, manufacturer, model, can, state)| Player {
            key,
            name,
            kind,
            manufacturer,
            model,
            can,
            state,
        },
    )
}

fn refusal() -> impl Strategy<Value = Refusal> {
    let names = || prop::collection::vec(text(), 0..5);
    let plain = vec![
        Refusal::UnknownPlayer,
        Refusal::OutcomeUnknown,
        Refusal::QuietHours(None),
        Refusal::MediaNotFound,
        Refusal::MediaNotFoundYet,
        Refusal::NothingToPlay,
        Refusal::NotSupported,
        Refusal::PlayerBusy,
        Refusal::MusicAssistantAway(None),
        Refusal::MusicAssistantStarting,
        Refusal::MusicAssistantRefusesToken,
        Refusal::MusicAssistantFailed,
        Refusal::Late,
        Refusal::NotGranted,
        Refusal::Stopped,
        Refusal::Busy,
        Refusal::UnknownCommand,
        Refusal::Internal,
        Refusal::UnknownPreset,
        Refusal::NothingPlays,
    ];
    prop_oneof![
        5 => prop::sample::select(plain),
        1 => names().prop_map(Refusal::NoPlayerNamed),
        1 => names().prop_map(Refusal::WhichPlayer),
        1 => text().prop_map(Refusal::PlayerUnavailable),
        1 => any::<u32>().prop_map(|away| Refusal::MusicAssistantAway(Some(Duration::from_secs(away.into())))),
        1 => percent().prop_map(Refusal::VolumeLimited),
        1 => (0..1440_u16).prop_map(|minutes| Refusal::QuietHours(MinuteOfDay::new(minutes))),
        1 => item().prop_map(Refusal::DidYouMean),
        1 => text().prop_map(Refusal::CannotGroup),
    ]
}

fn preset() -> impl Strategy<Value = Preset> {
    (preset_key(), text(), prop::sample::select(vec![MediaKind::Playlist, MediaKind::Radio]))
        .prop_map(|(key, name, kind)| Preset { key, name, kind })
}

fn reply() -> impl Strategy<Value = Reply> {
    prop_oneof![
        (prop::collection::vec(player(), 0..6), prop::collection::vec(preset(), 0..6), option::of("[a-z]{2}-[A-Z]{2}"))
            .prop_map(|(players, presets, locale)| Reply::Players { players, presets, locale }),
        (player(), option::of(item()), any::<bool>(), option::of(player()), any::<bool>()).prop_map(
            |(player, found, learned, other, used_here)| Reply::Done { player, found, learned, other, used_here }
        ),
        refusal().prop_map(Reply::Refused),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn every_command_arrives_as_it_was(command in command(), read in any::<bool>(), control in any::<bool>()) {
        let scopes = Scopes { read, control };
        prop_assert_eq!(over_there(&mut Ends::new(), &command, scopes), (command, scopes));
    }

    #[test]
    fn every_reply_arrives_as_it_was(reply in reply()) {
        prop_assert_eq!(back_here(&mut Ends::new(), &reply).0, reply);
    }

    #[test]
    fn cleaning_twice_changes_no_more(text in any::<String>()) {
        let once = clean_text(&text);
        prop_assert_eq!(clean_text(&once), once.clone());
        prop_assert!(once.chars().count() <= MAX_TEXT_CHARS);
        prop_assert!(!once.chars().any(char::is_control));
    }
}

#[test]
fn texts_lose_what_could_deceive_and_keep_what_people_write() {
    assert_eq!(clean_text("Kit\u{0}chen\r\nERROR \u{1b}[31m"), "KitchenERROR [31m");
    assert_eq!(clean_text("a\u{202e}b\u{2066}c\u{200b}d\u{feff}e"), "abcde");
    assert_eq!(
        clean_text("👨\u{200d}👩\u{200d}👧 می\u{200c}خواهم Wohnküche"),
        "👨\u{200d}👩\u{200d}👧 می\u{200c}خواهم Wohnküche"
    );
}

#[test]
fn texts_are_cut_at_a_character_and_cleaned_on_the_way() {
    let mut ends = Ends::new();
    let named =
        |text: &str| Command::OnPlayer { target: Target::Named(text.into()), action: Action::Read, device: None };
    let (arrived, _) = over_there(&mut ends, &named(&"ü\n".repeat(400)), Scopes::default());
    assert_eq!(arrived, named(&"ü".repeat(MAX_TEXT_CHARS)));
}

#[test]
fn the_longest_command_fits() {
    let long = "🎵".repeat(MAX_TEXT_CHARS);
    let kind = Some(MediaKind::Playlist);
    let media = MediaQuery { text: long.clone(), artist: Some(long.clone()), kind, sure: true };
    let action = Action::Play { media, placement: Placement::Add };
    let device = Some(DeviceKey::from_bytes([7; 16]));
    let command = Command::OnPlayer { target: Target::Named(long), action, device };
    assert_eq!(over_there(&mut Ends::new(), &command, Scopes::default()).0, command);
}

#[test]
fn three_hundred_ordinary_players_fit_whole() {
    let players: Vec<Player> = (0..300u16)
        .map(|at| Player {
            key: PlayerKey::derive("server", &at.to_string()),
            name: format!("Speaker number {at}"),
            ..kitchen()
        })
        .collect();
    let presets = (0..40u8).map(|at| Preset {
        key: PresetKey::from_bytes(&[at; 15]),
        name: format!("Favourite playlist number {at}"),
        kind: MediaKind::Playlist,
    });
    let reply = Reply::Players { players, presets: presets.collect(), locale: Some("en-GB".into()) };
    assert_eq!(back_here(&mut Ends::new(), &reply).0, reply);
}

#[test]
fn an_answer_too_long_for_a_frame_is_shortened_and_never_fails() {
    let long = "愛".repeat(MAX_TEXT_CHARS);
    let item = Item { title: long.clone(), artist: Some(long.clone()), album: Some(long.clone()), kind: None };
    let longest = |at: usize| {
        let mut player = kitchen();
        player.key = PlayerKey::derive("server", &at.to_string());
        player.name.clone_from(&long);
        player.manufacturer = Some(long.clone());
        player.model = Some(long.clone());
        player.state.now_playing = Some(item.clone());
        player
    };
    let favourite =
        |at: u8| Preset { key: PresetKey::from_bytes(&[at; 15]), name: long.clone(), kind: MediaKind::Radio };
    let players = Reply::Players {
        players: (0..400).map(longest).collect(),
        presets: (0..90).map(favourite).collect(),
        locale: None,
    };
    let (reply, bytes) = back_here(&mut Ends::new(), &players);
    assert!(bytes <= MAX_SEALED_BYTES);
    let Reply::Players { players, presets, .. } = reply else { panic!("{reply:?}") };
    assert!(players.len() > 200 && players.len() <= MAX_PLAYERS, "{} players", players.len());
    assert!(presets.len() <= MAX_PRESETS);
    assert_eq!(players[0].name.chars().count(), 64);
    assert_eq!((&players[0].model, &players[0].state.now_playing), (&None, &None));

    let [player, other] = [longest(1), longest(2)];
    let whole = Reply::Done { player, found: Some(item), learned: true, other: Some(other), used_here: true };
    assert_eq!(back_here(&mut Ends::new(), &whole).0, whole);

    let (reply, bytes) = back_here(&mut Ends::new(), &Reply::Refused(Refusal::WhichPlayer(vec![long; 500])));
    assert!(bytes <= MAX_SEALED_BYTES);
    assert!(matches!(reply, Reply::Refused(Refusal::WhichPlayer(names)) if names.len() > 50));
}

#[test]
fn scopes_cover_what_they_say() {
    let read = Scopes { read: true, control: false };
    let control = Scopes { read: false, control: true };
    let on = |action| Command::OnPlayer { target: Target::Unnamed, action, device: None };
    assert!(
        read.cover(&Command::ListPlayers) && read.cover(&on(Action::Read)) && !read.cover(&on(Action::SetMute(true)))
    );
    assert!(!control.cover(&Command::ListPlayers) && control.cover(&on(Action::SetPower(true))));
    assert!(!Scopes::default().cover(&Command::ListPlayers));
}
