//! The vocabulary survives the way, whole; and what is not in it does no harm.

use macloud_e2ee::skill::Answer;
use macloud_e2ee::vocabulary::{
    Action, Capabilities, Command, Item, MAX_PLAYERS, MAX_TEXT_CHARS, MediaKind, MediaQuery, Percent, Placement,
    Playback, Player, PlayerKind, PlayerState, Refusal, Repeat, Reply, Scopes, Target, Transport, clean_text,
};
use macloud_proto::MAX_SEALED_BYTES;
use macloud_proto::ids::PlayerKey;
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

fn media_kind() -> impl Strategy<Value = MediaKind> {
    use MediaKind::{Album, Artist, Playlist, Radio, Track};
    prop::sample::select(vec![Track, Album, Artist, Playlist, Radio])
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
        (text(), option::of(text()), option::of(media_kind()), prop::sample::select(placements)).prop_map(
            |(text, artist, kind, placement)| Action::Play { media: MediaQuery { text, artist, kind }, placement }
        ),
        any::<bool>().prop_map(Action::SetShuffle),
        repeat().prop_map(Action::SetRepeat),
    ]
}

fn repeat() -> impl Strategy<Value = Repeat> {
    prop::sample::select(vec![Repeat::Off, Repeat::One, Repeat::All])
}

fn command() -> impl Strategy<Value = Command> {
    let target = prop_oneof![player_key().prop_map(Target::Key), text().prop_map(Target::Named), Just(Target::Unnamed)];
    prop_oneof![
        1 => Just(Command::ListPlayers),
        9 => (target, action()).prop_map(|(target, action)| Command::OnPlayer { target, action }),
    ]
}

fn item() -> impl Strategy<Value = Item> {
    (text(), option::of(text()), option::of(text()), option::of(media_kind()))
        .prop_map(|(title, artist, album, kind)| Item { title, artist, album, kind })
}

fn player() -> impl Strategy<Value = Player> {
    let kinds = vec![PlayerKind::Speaker, PlayerKind::StereoPair, PlayerKind::Group];
    let playbacks = vec![Playback::Playing, Playback::Paused, Playback::Stopped];
    let state =
        (
            any::<(bool, bool)>(),
            option::of(percent()),
            any::<Option<bool>>(),
            prop::sample::select(playbacks),
            option::of(item()),
            (any::<Option<bool>>(), option::of(repeat())),
        )
            .prop_map(|((available, powered), volume, muted, playback, now_playing, (shuffle, repeat))| {
                PlayerState { available, powered, volume, muted, playback, now_playing, shuffle, repeat }
            });
    let can = any::<[bool; 4]>().prop_map(|[power, volume, mute, order]| Capabilities { power, volume, mute, order });
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
        Refusal::QuietHours,
        Refusal::MediaNotFound,
        Refusal::NothingToPlay,
        Refusal::NotSupported,
        Refusal::PlayerBusy,
        Refusal::MusicAssistantAway,
        Refusal::MusicAssistantStarting,
        Refusal::MusicAssistantRefusesToken,
        Refusal::MusicAssistantFailed,
        Refusal::Late,
        Refusal::NotGranted,
        Refusal::Stopped,
        Refusal::Busy,
        Refusal::UnknownCommand,
        Refusal::Internal,
    ];
    prop_oneof![
        5 => prop::sample::select(plain),
        1 => names().prop_map(Refusal::NoPlayerNamed),
        1 => names().prop_map(Refusal::WhichPlayer),
        1 => text().prop_map(Refusal::PlayerUnavailable),
        1 => percent().prop_map(Refusal::VolumeLimited),
    ]
}

fn reply() -> impl Strategy<Value = Reply> {
    prop_oneof![
        prop::collection::vec(player(), 0..6).prop_map(Reply::Players),
        (player(), option::of(item())).prop_map(|(player, found)| Reply::Done { player, found }),
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
    let named = |text: &str| Command::OnPlayer { target: Target::Named(text.into()), action: Action::Read };
    let (arrived, _) = over_there(&mut ends, &named(&"ü\n".repeat(400)), Scopes::default());
    assert_eq!(arrived, named(&"ü".repeat(MAX_TEXT_CHARS)));
}

#[test]
fn the_longest_command_fits() {
    let long = "🎵".repeat(MAX_TEXT_CHARS);
    let media = MediaQuery { text: long.clone(), artist: Some(long.clone()), kind: Some(MediaKind::Playlist) };
    let action = Action::Play { media, placement: Placement::Add };
    let command = Command::OnPlayer { target: Target::Named(long), action };
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
    let reply = Reply::Players(players);
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
    let (reply, bytes) = back_here(&mut Ends::new(), &Reply::Players((0..400).map(longest).collect()));
    assert!(bytes <= MAX_SEALED_BYTES);
    let Reply::Players(players) = reply else { panic!("{reply:?}") };
    assert!(players.len() > 200 && players.len() <= MAX_PLAYERS, "{} players", players.len());
    assert_eq!(players[0].name.chars().count(), 64);
    assert_eq!((&players[0].model, &players[0].state.now_playing), (&None, &None));

    let whole = Reply::Done { player: longest(1), found: Some(item) };
    assert_eq!(back_here(&mut Ends::new(), &whole).0, whole);

    let (reply, bytes) = back_here(&mut Ends::new(), &Reply::Refused(Refusal::WhichPlayer(vec![long; 500])));
    assert!(bytes <= MAX_SEALED_BYTES);
    assert!(matches!(reply, Reply::Refused(Refusal::WhichPlayer(names)) if names.len() > 50));
}

#[test]
fn scopes_cover_what_they_say() {
    let read = Scopes { read: true, control: false };
    let control = Scopes { read: false, control: true };
    let on = |action| Command::OnPlayer { target: Target::Unnamed, action };
    assert!(
        read.cover(&Command::ListPlayers) && read.cover(&on(Action::Read)) && !read.cover(&on(Action::SetMute(true)))
    );
    assert!(!control.cover(&Command::ListPlayers) && control.cover(&on(Action::SetPower(true))));
    assert!(!Scopes::default().cover(&Command::ListPlayers));
}
