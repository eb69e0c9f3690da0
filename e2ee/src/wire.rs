//! The vocabulary as bytes: `macloud.home.v1` to and from the types of [`crate::vocabulary`].
//!
//! Every conversion is total. What an honest but newer peer may send that this version does not know becomes
//! [`UnknownCommand`] or the most careful known answer; the rules are written in `home.proto`, field by field.

use std::time::Duration;

use macloud_proto::ids::{PlayerKey, PresetKey};
use macloud_proto::time::Millis;
use prost::Message as _;

use crate::padding::{MAX_BODY, MAX_EVENT_BODY};
use crate::secret::Secret;
use crate::vocabulary::{
    Action, Capabilities, Command, DeviceKey, Item, MAX_GONE, MAX_PLAYERS, MAX_PRESETS, MAX_SLEEP_MINUTES, MediaKind,
    MediaQuery, MinuteOfDay, News, Percent, Placement, Playback, Player, PlayerKind, PlayerState, Preset, Refusal,
    Repeat, Reply, Scopes, Target, Transport, UnknownCommand, clean_text,
};

/// Messages of `macloud.home.v1`.
#[allow(missing_docs, unreachable_pub, unused_qualifications, clippy::all, clippy::pedantic)]
pub(crate) mod v1 {
    include!(concat!(env!("OUT_DIR"), "/macloud.home.v1.rs"));
}

/// The body of a sealed command.
pub(crate) fn encode_command(command: &Command, scopes: Scopes) -> Secret {
    let command = match command {
        Command::ListPlayers => v1::command_body::Command::ListPlayers(v1::ListPlayers {}),
        Command::OnPlayer { target, action, device } => v1::command_body::Command::OnPlayer(v1::OnPlayer {
            target: Some(target_to_wire(target)),
            action: Some(action_to_wire(action)),
            device: device.map(|device| device.as_bytes().to_vec()),
        }),
    };
    let body = v1::CommandBody { may_read: scopes.read, may_control: scopes.control, command: Some(command) };
    Secret::new(body.encode_to_vec())
}

/// What an authentic body of a sealed command says. A body that is not even protobuf grants nothing.
pub(crate) fn decode_command(body: &[u8]) -> (Scopes, Result<Command, UnknownCommand>) {
    let Ok(body) = v1::CommandBody::decode(body) else {
        return (Scopes::default(), Err(UnknownCommand));
    };
    let scopes = Scopes { read: body.may_read, control: body.may_control };
    let command = match body.command {
        Some(v1::command_body::Command::ListPlayers(_)) => Some(Command::ListPlayers),
        Some(v1::command_body::Command::OnPlayer(on)) => on_player_from_wire(on),
        None => None,
    };
    (scopes, command.ok_or(UnknownCommand))
}

/// The body of a sealed reply. What is too long for one frame is shortened: see [`fit`].
pub(crate) fn encode_reply(reply: &Reply, home_clock: Millis) -> Secret {
    let reply = match reply {
        Reply::Players { players, presets, locale } => v1::reply_body::Reply::Players(v1::Players {
            players: players.iter().take(MAX_PLAYERS).map(player_to_wire).collect(),
            presets: presets.iter().take(MAX_PRESETS).map(preset_to_wire).collect(),
            locale: locale.as_deref().map(language_tag),
        }),
        Reply::Done { player, found, learned, other, used_here } => v1::reply_body::Reply::Done(v1::Done {
            player: Some(player_to_wire(player)),
            found: found.as_ref().map(item_to_wire),
            learned: *learned,
            other: other.as_ref().map(player_to_wire),
            used_here: *used_here,
        }),
        Reply::Refused(refusal) => v1::reply_body::Reply::Refused(refusal_to_wire(refusal)),
    };
    let mut body = v1::ReplyBody { home_clock_ms: home_clock.0, reply: Some(reply) };
    fit(&mut body);
    Secret::new(body.encode_to_vec())
}

/// What an authentic body of a sealed reply says, and the home's clock when it was sealed. Nothing if it is not protobuf.
pub(crate) fn decode_reply(body: &[u8]) -> Option<(Millis, Reply)> {
    let body = v1::ReplyBody::decode(body).ok()?;
    let reply = match body.reply {
        Some(v1::reply_body::Reply::Players(list)) => Reply::Players {
            players: list.players.into_iter().filter_map(player_from_wire).take(MAX_PLAYERS).collect(),
            presets: list.presets.into_iter().filter_map(preset_from_wire).take(MAX_PRESETS).collect(),
            locale: list.locale.as_deref().map(language_tag),
        },
        Some(v1::reply_body::Reply::Done(done)) => match done.player.and_then(player_from_wire) {
            Some(player) => Reply::Done {
                player,
                found: done.found.map(item_from_wire),
                learned: done.learned,
                other: done.other.and_then(player_from_wire),
                used_here: done.used_here,
            },
            None => Reply::Refused(Refusal::Internal),
        },
        Some(v1::reply_body::Reply::Refused(refused)) => Reply::Refused(refusal_from_wire(refused)),
        None => Reply::Refused(Refusal::Internal),
    };
    Some((Millis(body.home_clock_ms), reply))
}

/// The body of a sealed event. Of a player nothing is told but what it can do and how it is: neither names nor what it plays
/// and how far that has come.
pub(crate) fn encode_news(news: &News, told_at: u64) -> Secret {
    let news = match news {
        News::Player { key, can, state } => {
            let player = Player {
                key: key.clone(),
                name: String::new(),
                kind: PlayerKind::Speaker,
                manufacturer: None,
                model: None,
                can: *can,
                state: state.clone(),
            };
            v1::event_body::News::Player(player_news_to_wire(&player))
        }
        News::Players { players, presets, gone, gone_presets } => {
            let list = v1::Players {
                players: players.iter().take(MAX_PLAYERS).map(player_news_to_wire).collect(),
                presets: presets.iter().take(MAX_PRESETS).map(preset_to_wire).collect(),
                locale: None,
            };
            v1::event_body::News::Players(v1::PlayersNews {
                list: Some(list),
                gone: gone.iter().take(MAX_GONE).map(|key| key.as_str().to_owned()).collect(),
                gone_presets: gone_presets.iter().take(MAX_GONE).map(|key| key.as_str().to_owned()).collect(),
            })
        }
    };
    let mut body = v1::EventBody { told_at_ms: told_at, news: Some(news) };
    fit_event(&mut body);
    Secret::new(body.encode_to_vec())
}

fn player_news_to_wire(player: &Player) -> v1::Player {
    v1::Player { now_playing: None, position: None, ..player_to_wire(player) }
}

/// What an authentic body of a sealed event says, and when it was told. Nothing, if it is of a newer home.
pub(crate) fn decode_news(body: &[u8]) -> Option<(u64, News)> {
    let body = v1::EventBody::decode(body).ok()?;
    let news = match body.news? {
        v1::event_body::News::Player(player) => {
            let Player { key, can, state, .. } = player_news_from_wire(player)?;
            News::Player { key, can, state }
        }
        v1::event_body::News::Players(news) => {
            let list = news.list.unwrap_or_default();
            News::Players {
                players: list.players.into_iter().filter_map(player_news_from_wire).take(MAX_PLAYERS).collect(),
                presets: list.presets.into_iter().filter_map(preset_from_wire).take(MAX_PRESETS).collect(),
                gone: news.gone.iter().filter_map(|key| key.parse().ok()).take(MAX_GONE).collect(),
                gone_presets: news.gone_presets.iter().filter_map(|key| key.parse().ok()).take(MAX_GONE).collect(),
            }
        }
    };
    Some((body.told_at_ms, news))
}

fn player_news_from_wire(player: v1::Player) -> Option<Player> {
    player_from_wire(v1::Player { now_playing: None, position: None, ..player })
}

/// Shorten `body` until it can be sent. Makers and models go first, then the last favourites and players are left out.
fn fit_event(body: &mut v1::EventBody) {
    if body.encoded_len() <= MAX_EVENT_BODY {
        return;
    }
    if let Some(v1::event_body::News::Players(v1::PlayersNews { list: Some(list), .. })) = &mut body.news {
        list.players.iter_mut().for_each(|player| (player.manufacturer, player.model) = (None, None));
    }
    while body.encoded_len() > MAX_EVENT_BODY {
        let Some(v1::event_body::News::Players(news)) = &mut body.news else { return };
        let left_out = news.list.as_mut().is_some_and(|list| {
            let presets_first = list.presets.len() > list.players.len();
            (presets_first && list.presets.pop().is_some()) || list.players.pop().is_some()
        });
        if !left_out && news.gone_presets.pop().is_none() && news.gone.pop().is_none() {
            return;
        }
    }
}

/// Shorten `body` until it can be sealed: a home with hundreds of players and long titles should still be found.
/// What is playing goes first, then maker and model, then names are cut, then the last favourites, players and names are left
/// out.
fn fit(body: &mut v1::ReplyBody) {
    let steps: [fn(&mut v1::Players); 3] = [
        |list| list.players.iter_mut().for_each(|player| player.now_playing = None),
        |list| list.players.iter_mut().for_each(|player| (player.manufacturer, player.model) = (None, None)),
        |list| {
            let presets = list.presets.iter_mut().map(|preset| &mut preset.name);
            let names = list.players.iter_mut().map(|player| &mut player.name).chain(presets);
            names.for_each(|name| *name = name.chars().take(64).collect());
        },
    ];
    for step in steps {
        if body.encoded_len() <= MAX_BODY {
            return;
        }
        if let Some(v1::reply_body::Reply::Players(list)) = &mut body.reply {
            step(list);
        }
    }
    while body.encoded_len() > MAX_BODY {
        let left_out = match &mut body.reply {
            Some(v1::reply_body::Reply::Players(list)) => list.presets.pop().is_some() || list.players.pop().is_some(),
            Some(v1::reply_body::Reply::Refused(refused)) => refused.names.pop().is_some(),
            Some(v1::reply_body::Reply::Done(_)) | None => false,
        };
        debug_assert!(left_out, "two players and one item are at most fifteen texts, which fit");
        if !left_out {
            return;
        }
    }
}

fn target_to_wire(target: &Target) -> v1::on_player::Target {
    match target {
        Target::Key(key) => v1::on_player::Target::Key(key.as_str().to_owned()),
        Target::Named(name) => v1::on_player::Target::Named(clean_text(name)),
        Target::Unnamed => v1::on_player::Target::Unnamed(v1::Unnamed {}),
    }
}

fn other_to_wire(target: &Target) -> v1::OtherPlayer {
    use v1::other_player::Target as Wire;
    let target = match target {
        Target::Key(key) => Wire::Key(key.as_str().to_owned()),
        Target::Named(name) => Wire::Named(clean_text(name)),
        Target::Unnamed => Wire::Unnamed(v1::Unnamed {}),
    };
    v1::OtherPlayer { target: Some(target) }
}

fn other_from_wire(other: v1::OtherPlayer) -> Option<Target> {
    use v1::other_player::Target as Wire;
    Some(match other.target? {
        Wire::Key(key) => Target::Key(key.parse().ok()?),
        Wire::Named(name) => Target::Named(clean_text(&name)),
        Wire::Unnamed(_) => Target::Unnamed,
    })
}

fn action_to_wire(action: &Action) -> v1::on_player::Action {
    use v1::on_player::Action as Wire;
    match action {
        Action::Read => Wire::Read(v1::Read {}),
        Action::SetPower(on) => Wire::SetPower(*on),
        Action::SetVolume(level) => Wire::SetVolume(level.value().into()),
        Action::AdjustVolume(by) => Wire::AdjustVolume((*by).clamp(-100, 100).into()),
        Action::SetMute(muted) => Wire::SetMute(*muted),
        Action::Transport(transport) => Wire::Transport(transport_to_wire(*transport).into()),
        Action::Play { media, placement } => Wire::Play(v1::Play {
            text: clean_text(&media.text),
            artist: media.artist.as_deref().map(clean_text),
            kind: media.kind.map(|kind| media_kind_to_wire(kind).into()),
            placement: placement_to_wire(*placement).into(),
            sure: media.sure,
        }),
        Action::SetShuffle(on) => Wire::SetShuffle(*on),
        Action::SetRepeat(repeat) => Wire::SetRepeat(repeat_to_wire(*repeat).into()),
        Action::SeekTo(seconds) => Wire::SeekTo(*seconds),
        Action::SeekBy(seconds) => Wire::SeekBy(*seconds),
        Action::SetAutoplay(on) => Wire::SetAutoplay(*on),
        Action::SetSleepTimer(None) => Wire::SetSleepTimer(0),
        Action::SetSleepTimer(Some(minutes)) => Wire::SetSleepTimer((*minutes).clamp(1, MAX_SLEEP_MINUTES).into()),
        Action::PlayPreset(key) => Wire::PlayPreset(key.as_str().to_owned()),
        Action::PlaySimilar => Wire::PlaySimilar(v1::Plain {}),
        Action::SaveCurrent => Wire::SaveCurrent(v1::Plain {}),
        Action::MoveTo(other) => Wire::MoveTo(other_to_wire(other)),
        Action::JoinTo(other) => Wire::JoinTo(other_to_wire(other)),
        Action::Unjoin => Wire::Unjoin(v1::Plain {}),
        Action::UseHere => Wire::UseHere(v1::Plain {}),
        Action::ForgetHere => Wire::ForgetHere(v1::Plain {}),
    }
}

fn on_player_from_wire(on: v1::OnPlayer) -> Option<Command> {
    let target = match on.target? {
        v1::on_player::Target::Key(key) => Target::Key(key.parse().ok()?),
        v1::on_player::Target::Named(name) => Target::Named(clean_text(&name)),
        v1::on_player::Target::Unnamed(_) => Target::Unnamed,
    };
    let device = match on.device {
        None => None,
        Some(bytes) => Some(DeviceKey::from_bytes(bytes.try_into().ok()?)),
    };
    Some(Command::OnPlayer { target, action: action_from_wire(on.action?)?, device })
}

fn action_from_wire(action: v1::on_player::Action) -> Option<Action> {
    use v1::on_player::Action as Wire;
    Some(match action {
        Wire::Read(_) => Action::Read,
        Wire::SetPower(on) => Action::SetPower(on),
        Wire::SetVolume(level) => Action::SetVolume(Percent::new(level.try_into().ok()?)?),
        Wire::AdjustVolume(by) => Action::AdjustVolume(by.try_into().ok().filter(|by| (-100..=100).contains(by))?),
        Wire::SetMute(muted) => Action::SetMute(muted),
        Wire::Transport(transport) => Action::Transport(transport_from_wire(transport)?),
        Wire::SetShuffle(on) => Action::SetShuffle(on),
        Wire::SetRepeat(repeat) => Action::SetRepeat(repeat_from_wire(repeat)?),
        Wire::SeekTo(seconds) => Action::SeekTo(seconds),
        Wire::SeekBy(seconds) => Action::SeekBy(seconds),
        Wire::SetAutoplay(on) => Action::SetAutoplay(on),
        Wire::SetSleepTimer(0) => Action::SetSleepTimer(None),
        Wire::SetSleepTimer(minutes) => {
            Action::SetSleepTimer(Some(u16::try_from(minutes).ok().filter(|minutes| *minutes <= MAX_SLEEP_MINUTES)?))
        }
        Wire::PlayPreset(key) => Action::PlayPreset(key.parse().ok()?),
        Wire::PlaySimilar(_) => Action::PlaySimilar,
        Wire::SaveCurrent(_) => Action::SaveCurrent,
        Wire::MoveTo(other) => Action::MoveTo(other_from_wire(other)?),
        Wire::JoinTo(other) => Action::JoinTo(other_from_wire(other)?),
        Wire::Unjoin(_) => Action::Unjoin,
        Wire::UseHere(_) => Action::UseHere,
        Wire::ForgetHere(_) => Action::ForgetHere,
        Wire::Play(play) => Action::Play {
            placement: placement_from_wire(play.placement)?,
            media: MediaQuery {
                text: clean_text(&play.text),
                artist: play.artist.as_deref().map(clean_text),
                // A kind that this home has no word for must not play a song of that name.
                kind: match play.kind {
                    None => None,
                    Some(kind) => Some(media_kind_from_wire(kind)?),
                },
                sure: play.sure,
            },
        },
    })
}

/// Writes the two directions of one enum from one table, so that they cannot disagree.
macro_rules! same {
    ($to:ident, $from:ident: $ours:ident = $wire:ident { $($name:ident = $wire_name:ident),+ $(,)? }) => {
        const fn $to(value: $ours) -> v1::$wire {
            match value {
                $($ours::$name => v1::$wire::$wire_name,)+
            }
        }

        fn $from(value: i32) -> Option<$ours> {
            match v1::$wire::try_from(value).ok()? {
                v1::$wire::Unspecified => None,
                $(v1::$wire::$wire_name => Some($ours::$name),)+
            }
        }
    };
}

same!(transport_to_wire, transport_from_wire: Transport = Transport {
    Play = Play, Pause = Pause, Stop = Stop, Next = Next, Previous = Previous,
    StartOver = StartOver, FastForward = FastForward, Rewind = Rewind,
});
same!(media_kind_to_wire, media_kind_from_wire: MediaKind = MediaKind {
    Track = Track, Album = Album, Artist = Artist, Playlist = Playlist, Radio = Radio,
    Genre = Genre, Audiobook = Audiobook, Podcast = Podcast,
});
same!(placement_to_wire, placement_from_wire: Placement = Placement { Replace = Replace, Next = Next, Add = Add });
same!(repeat_to_wire, repeat_from_wire: Repeat = Repeat { Off = Off, One = One, All = All });
same!(player_kind_to_wire, player_kind_from_wire: PlayerKind = PlayerKind {
    Speaker = Speaker, StereoPair = StereoPair, Group = Group,
});
same!(playback_to_wire, playback_from_wire: Playback = Playback {
    Playing = Playing, Paused = Paused, Stopped = Stopped,
});

fn player_to_wire(player: &Player) -> v1::Player {
    let (can, state) = (player.can, &player.state);
    v1::Player {
        key: player.key.as_str().to_owned(),
        name: clean_text(&player.name),
        kind: player_kind_to_wire(player.kind).into(),
        manufacturer: player.manufacturer.as_deref().map(clean_text),
        model: player.model.as_deref().map(clean_text),
        can_power: can.power,
        can_volume: can.volume,
        can_mute: can.mute,
        available: state.available,
        powered: state.powered,
        volume: state.volume.map(|level| level.value().into()),
        muted: state.muted,
        playback: playback_to_wire(state.playback).into(),
        now_playing: state.now_playing.as_ref().map(item_to_wire),
        can_order: can.order,
        shuffle: state.shuffle,
        repeat: state.repeat.map(|repeat| repeat_to_wire(repeat).into()),
        can_seek: can.seek,
        can_autoplay: can.autoplay,
        can_group: can.group,
        can_sleep: can.sleep,
        can_steps: can.steps,
        position: state.position,
        autoplay: state.autoplay,
        sleep_timer: state.sleep_timer.map(u32::from),
        preset: state.preset.as_ref().map(|preset| preset.as_str().to_owned()),
    }
}

fn player_from_wire(player: v1::Player) -> Option<Player> {
    let key: PlayerKey = player.key.parse().ok()?;
    Some(Player {
        key,
        name: clean_text(&player.name),
        kind: player_kind_from_wire(player.kind).unwrap_or(PlayerKind::Speaker),
        manufacturer: player.manufacturer.as_deref().map(clean_text),
        model: player.model.as_deref().map(clean_text),
        can: Capabilities {
            power: player.can_power,
            volume: player.can_volume && !player.can_steps,
            mute: player.can_mute,
            order: player.can_order,
            seek: player.can_seek,
            autoplay: player.can_autoplay,
            group: player.can_group,
            sleep: player.can_sleep,
            steps: player.can_steps,
        },
        state: PlayerState {
            available: player.available,
            powered: player.powered,
            volume: player.volume.map(|level| Percent::clamped(level.into())),
            muted: player.muted,
            playback: playback_from_wire(player.playback).unwrap_or(Playback::Stopped),
            now_playing: player.now_playing.map(item_from_wire),
            shuffle: player.shuffle,
            repeat: player.repeat.and_then(repeat_from_wire),
            position: player.position,
            autoplay: player.autoplay,
            sleep_timer: player.sleep_timer.map(|minutes| minutes.min(MAX_SLEEP_MINUTES.into()) as u16),
            preset: player.preset.and_then(|preset| preset.parse().ok()),
        },
    })
}

fn preset_to_wire(preset: &Preset) -> v1::Preset {
    v1::Preset {
        key: preset.key.as_str().to_owned(),
        name: clean_text(&preset.name),
        kind: media_kind_to_wire(preset.kind).into(),
    }
}

fn preset_from_wire(preset: v1::Preset) -> Option<Preset> {
    let key: PresetKey = preset.key.parse().ok()?;
    let kind = media_kind_from_wire(preset.kind)?;
    matches!(kind, MediaKind::Playlist | MediaKind::Radio).then(|| Preset { key, name: clean_text(&preset.name), kind })
}

/// As long as such tags are.
fn language_tag(text: &str) -> String {
    clean_text(text).chars().take(35).collect()
}

fn item_to_wire(item: &Item) -> v1::Item {
    v1::Item {
        title: clean_text(&item.title),
        artist: item.artist.as_deref().map(clean_text),
        album: item.album.as_deref().map(clean_text),
        kind: item.kind.map(|kind| media_kind_to_wire(kind).into()),
    }
}

fn item_from_wire(item: v1::Item) -> Item {
    Item {
        title: clean_text(&item.title),
        artist: item.artist.as_deref().map(clean_text),
        album: item.album.as_deref().map(clean_text),
        kind: item.kind.and_then(media_kind_from_wire),
    }
}

fn refusal_to_wire(refusal: &Refusal) -> v1::Refused {
    use v1::refused::Reason;
    let several = |names: &[String]| names.iter().take(MAX_PLAYERS).map(|name| clean_text(name)).collect();
    let (reason, names) = match refusal {
        Refusal::UnknownPlayer => (Reason::UnknownPlayer, vec![]),
        Refusal::NoPlayerNamed(names) => (Reason::NoPlayerNamed, several(names)),
        Refusal::WhichPlayer(names) => (Reason::WhichPlayer, several(names)),
        Refusal::PlayerUnavailable(name) => (Reason::PlayerUnavailable, vec![clean_text(name)]),
        Refusal::MediaNotFound | Refusal::MediaNotFoundYet => (Reason::MediaNotFound, vec![]),
        Refusal::NothingToPlay => (Reason::NothingToPlay, vec![]),
        Refusal::NotSupported => (Reason::NotSupported, vec![]),
        Refusal::PlayerBusy => (Reason::PlayerBusy, vec![]),
        Refusal::MusicAssistantAway(_) => (Reason::MusicAssistantAway, vec![]),
        Refusal::MusicAssistantStarting => (Reason::MusicAssistantStarting, vec![]),
        Refusal::MusicAssistantRefusesToken => (Reason::MusicAssistantRefusesToken, vec![]),
        Refusal::MusicAssistantFailed => (Reason::MusicAssistantFailed, vec![]),
        Refusal::Late => (Reason::Late, vec![]),
        Refusal::NotGranted => (Reason::NotGranted, vec![]),
        Refusal::Stopped => (Reason::Stopped, vec![]),
        Refusal::Busy => (Reason::Busy, vec![]),
        Refusal::UnknownCommand => (Reason::UnknownCommand, vec![]),
        Refusal::Internal => (Reason::Internal, vec![]),
        Refusal::OutcomeUnknown => (Reason::OutcomeUnknown, vec![]),
        Refusal::VolumeLimited(_) => (Reason::VolumeLimited, vec![]),
        Refusal::QuietHours(_) => (Reason::QuietHours, vec![]),
        Refusal::DidYouMean(_) => (Reason::DidYouMean, vec![]),
        Refusal::CannotGroup(name) => (Reason::CannotGroup, vec![clean_text(name)]),
        Refusal::UnknownPreset => (Reason::UnknownPreset, vec![]),
        Refusal::NothingPlays => (Reason::NothingPlays, vec![]),
    };
    let volume = match refusal {
        Refusal::VolumeLimited(most) => Some(most.value().into()),
        _ => None,
    };
    let item = match refusal {
        Refusal::DidYouMean(item) => Some(item_to_wire(item)),
        _ => None,
    };
    let quiet_until = match refusal {
        Refusal::QuietHours(until) => until.map(|until| until.minutes().into()),
        _ => None,
    };
    let away_seconds = match refusal {
        Refusal::MusicAssistantAway(away) => away.map(|away| u32::try_from(away.as_secs()).unwrap_or(u32::MAX)),
        _ => None,
    };
    let library_unread = *refusal == Refusal::MediaNotFoundYet;
    v1::Refused { reason: reason.into(), names, volume, item, quiet_until, library_unread, away_seconds }
}

fn refusal_from_wire(refused: v1::Refused) -> Refusal {
    use v1::refused::Reason;
    let reason = refused.reason();
    let names: Vec<String> = refused.names.iter().take(MAX_PLAYERS).map(|name| clean_text(name)).collect();
    match reason {
        Reason::Unspecified | Reason::Internal => Refusal::Internal,
        Reason::UnknownPlayer => Refusal::UnknownPlayer,
        Reason::NoPlayerNamed => Refusal::NoPlayerNamed(names),
        Reason::WhichPlayer => Refusal::WhichPlayer(names),
        Reason::PlayerUnavailable => Refusal::PlayerUnavailable(names.into_iter().next().unwrap_or_default()),
        Reason::MediaNotFound if refused.library_unread => Refusal::MediaNotFoundYet,
        Reason::MediaNotFound => Refusal::MediaNotFound,
        Reason::NothingToPlay => Refusal::NothingToPlay,
        Reason::NotSupported => Refusal::NotSupported,
        Reason::PlayerBusy => Refusal::PlayerBusy,
        Reason::MusicAssistantAway => {
            Refusal::MusicAssistantAway(refused.away_seconds.map(|seconds| Duration::from_secs(seconds.into())))
        }
        Reason::MusicAssistantStarting => Refusal::MusicAssistantStarting,
        Reason::MusicAssistantRefusesToken => Refusal::MusicAssistantRefusesToken,
        Reason::MusicAssistantFailed => Refusal::MusicAssistantFailed,
        Reason::Late => Refusal::Late,
        Reason::NotGranted => Refusal::NotGranted,
        Reason::Stopped => Refusal::Stopped,
        Reason::Busy => Refusal::Busy,
        Reason::UnknownCommand => Refusal::UnknownCommand,
        Reason::OutcomeUnknown => Refusal::OutcomeUnknown,
        Reason::VolumeLimited => Refusal::VolumeLimited(Percent::clamped(refused.volume.unwrap_or(100).into())),
        Reason::QuietHours => {
            let until = refused.quiet_until.and_then(|minutes| u16::try_from(minutes).ok());
            Refusal::QuietHours(until.and_then(MinuteOfDay::new))
        }
        Reason::DidYouMean => {
            refused.item.map_or(Refusal::MediaNotFound, |item| Refusal::DidYouMean(item_from_wire(item)))
        }
        Reason::CannotGroup => Refusal::CannotGroup(names.into_iter().next().unwrap_or_default()),
        Reason::UnknownPreset => Refusal::UnknownPreset,
        Reason::NothingPlays => Refusal::NothingPlays,
    }
}

#[cfg(test)]
mod tests {
    use prost::encoding::{WireType, encode_key, encode_varint};

    use super::*;

    fn understood(on: v1::OnPlayer) -> Result<Command, UnknownCommand> {
        let body = v1::CommandBody {
            may_read: true,
            may_control: false,
            command: Some(v1::command_body::Command::OnPlayer(on)),
        };
        let (scopes, command) = decode_command(&body.encode_to_vec());
        assert_eq!(scopes, Scopes { read: true, control: false }, "an unknown command keeps its scopes");
        command
    }

    fn on(action: Option<v1::on_player::Action>) -> v1::OnPlayer {
        v1::OnPlayer { target: Some(v1::on_player::Target::Unnamed(v1::Unnamed {})), action, device: None }
    }

    fn play(kind: Option<i32>, placement: i32) -> v1::on_player::Action {
        v1::on_player::Action::Play(v1::Play { text: "x".into(), artist: None, kind, placement, sure: false })
    }

    #[test]
    fn what_is_not_fully_understood_is_an_unknown_command() {
        use v1::on_player::Action as Wire;
        let unknown = [
            None,
            Some(Wire::SetVolume(101)),
            Some(Wire::SetVolume(u32::MAX)),
            Some(Wire::AdjustVolume(101)),
            Some(Wire::AdjustVolume(-101)),
            Some(Wire::AdjustVolume(i32::MIN)),
            Some(Wire::Transport(0)),
            Some(Wire::Transport(99)),
            Some(Wire::Transport(-1)),
            Some(play(None, 0)),
            Some(play(None, 7)),
            Some(play(Some(0), 1)),
            Some(play(Some(9), 1)),
            Some(Wire::SetRepeat(0)),
            Some(Wire::SetRepeat(4)),
            Some(Wire::SetSleepTimer(721)),
            Some(Wire::SetSleepTimer(u32::MAX)),
            Some(Wire::PlayPreset("jazz".into())),
            Some(Wire::MoveTo(v1::OtherPlayer { target: None })),
            Some(Wire::JoinTo(v1::OtherPlayer { target: Some(v1::other_player::Target::Key("no key".into())) })),
        ];
        for action in unknown {
            assert_eq!(understood(on(action.clone())), Err(UnknownCommand), "{action:?}");
        }
        assert!(understood(on(Some(play(Some(5), 1)))).is_ok());
        let no_target = v1::OnPlayer { target: None, action: Some(Wire::Read(v1::Read {})), device: None };
        assert_eq!(understood(no_target), Err(UnknownCommand));
        let target = Some(v1::on_player::Target::Key("no key".into()));
        let bad_key = v1::OnPlayer { target, action: Some(Wire::Read(v1::Read {})), device: None };
        assert_eq!(understood(bad_key), Err(UnknownCommand));
        let of_device = |bytes: &[u8]| {
            understood(v1::OnPlayer { device: Some(bytes.to_vec()), ..on(Some(Wire::UseHere(v1::Plain {}))) })
        };
        assert_eq!([of_device(&[]), of_device(&[1; 15])], [Err(UnknownCommand), Err(UnknownCommand)]);
        assert!(of_device(&[1; 16]).is_ok());
    }

    #[test]
    fn a_command_or_action_with_a_number_of_the_future_is_unknown() {
        let field = |number: u32, bytes: &[u8]| {
            let mut out = vec![];
            encode_key(number, WireType::LengthDelimited, &mut out);
            encode_varint(bytes.len() as u64, &mut out);
            out.extend_from_slice(bytes);
            out
        };
        assert_eq!(decode_command(&field(9, b"anything")).1, Err(UnknownCommand));
        let mut on_player = field(3, b"");
        on_player.extend_from_slice(&field(42, b"an action of the future"));
        assert_eq!(decode_command(&field(4, &on_player)).1, Err(UnknownCommand));
        assert_eq!(decode_command(&[]).1, Err(UnknownCommand));
        assert_eq!(decode_command(b"\xff\xff\xff"), (Scopes::default(), Err(UnknownCommand)));
    }

    #[test]
    fn fields_of_the_future_in_a_known_command_are_skipped() {
        let mut body = encode_command(&Command::ListPlayers, Scopes::default()).to_vec();
        encode_key(99, WireType::Varint, &mut body);
        encode_varint(1, &mut body);
        assert_eq!(decode_command(&body).1, Ok(Command::ListPlayers));
    }

    fn understood_reply(reply: Option<v1::reply_body::Reply>) -> Reply {
        decode_reply(&v1::ReplyBody { home_clock_ms: 5, reply }.encode_to_vec()).unwrap().1
    }

    #[test]
    fn unknown_answers_become_the_careful_known_ones() {
        use v1::reply_body::Reply as Wire;
        let internal = Reply::Refused(Refusal::Internal);
        assert_eq!(understood_reply(None), internal);
        assert_eq!(understood_reply(Some(Wire::Done(v1::Done::default()))), internal);
        for reason in [0, 10_000, -1] {
            assert_eq!(understood_reply(Some(Wire::Refused(v1::Refused { reason, ..Default::default() }))), internal);
        }
        let bare = |reason: Reason| {
            understood_reply(Some(Wire::Refused(v1::Refused { reason: reason.into(), ..Default::default() })))
        };
        use v1::refused::Reason;
        assert_eq!(bare(Reason::PlayerUnavailable), Reply::Refused(Refusal::PlayerUnavailable(String::new())));
        assert_eq!(bare(Reason::CannotGroup), Reply::Refused(Refusal::CannotGroup(String::new())));
        assert_eq!(bare(Reason::DidYouMean), Reply::Refused(Refusal::MediaNotFound), "nothing to propose");
        assert_eq!(decode_reply(b"\xff"), None);
    }

    #[test]
    fn unknown_states_of_a_player_become_the_careful_known_ones() {
        let key = PlayerKey::from_bytes(&[1; 15]);
        let now_playing = Some(v1::Item { title: "x".into(), kind: Some(77), ..Default::default() });
        let known = v1::Player {
            key: key.as_str().into(),
            kind: 55,
            playback: 66,
            volume: Some(4_000_000_000),
            repeat: Some(88),
            sleep_timer: Some(100_000),
            preset: Some("jazz".into()),
            can_volume: true,
            can_steps: true,
            now_playing,
            ..Default::default()
        };
        let keyless = v1::Player { key: "?".into(), ..known.clone() };
        let preset = |key: &str, kind| v1::Preset { key: key.into(), name: "Jazz".into(), kind };
        let good = PresetKey::from_bytes(&[2; 15]);
        let presets =
            vec![preset("?", 5), preset(good.as_str(), 0), preset(good.as_str(), 1), preset(good.as_str(), 5)];
        let players = v1::Players { players: vec![keyless, known], presets, locale: Some("x".repeat(99)) };
        let Reply::Players { players, presets, locale } =
            understood_reply(Some(v1::reply_body::Reply::Players(players)))
        else {
            panic!("players are players")
        };
        assert_eq!(presets, [Preset { key: good, name: "Jazz".into(), kind: MediaKind::Radio }]);
        assert_eq!(locale.map(|locale| locale.len()), Some(35));
        let [player] = &players[..] else { panic!("the one without a key is left out: {players:?}") };
        assert_eq!((player.kind, player.state.playback), (PlayerKind::Speaker, Playback::Stopped));
        assert_eq!((player.state.volume, player.state.repeat), (Percent::new(100), None));
        assert_eq!((player.state.sleep_timer, player.state.preset.clone()), (Some(MAX_SLEEP_MINUTES), None));
        assert_eq!((player.can.volume, player.can.steps), (false, true));
        assert_eq!(player.state.now_playing.as_ref().and_then(|item| item.kind), None);
    }

    #[test]
    fn as_much_news_of_players_is_told_as_an_event_holds() {
        let player = |at: u16| Player {
            key: PlayerKey::derive("s", &at.to_string()),
            name: format!("Speaker {at}"),
            kind: PlayerKind::Speaker,
            manufacturer: Some("m".repeat(200)),
            model: None,
            can: Capabilities::default(),
            state: PlayerState { position: Some(7), volume: Percent::new(20), ..PlayerState::default() },
        };
        let preset = |at: u16| Preset {
            key: PresetKey::derive("s", "radio", &at.to_string()),
            name: format!("Station {at}"),
            kind: MediaKind::Radio,
        };
        let news = |players: u16| News::Players {
            players: (0..players).map(player).collect(),
            presets: (0..players.min(40)).map(preset).collect(),
            gone: (0..players.min(64)).map(|at| PlayerKey::derive("gone", &at.to_string())).collect(),
            gone_presets: Vec::new(),
        };
        let told = |news: &News| {
            let body = encode_news(news, 5);
            assert!(body.len() <= MAX_EVENT_BODY, "{} bytes", body.len());
            decode_news(&body).unwrap()
        };
        let (told_at, News::Players { players, presets, gone, .. }) = told(&news(3)) else {
            panic!("players are players")
        };
        assert_eq!((told_at, players.len(), presets.len(), gone.len()), (5, 3, 3, 3));
        assert_eq!((players[0].name.as_str(), players[0].state.position), ("Speaker 0", None));
        assert_eq!(players[0].state.volume, Percent::new(20));
        let (_, News::Players { players, gone, .. }) = told(&news(300)) else { panic!("players are players") };
        assert!(players.len() > 10 && players[0].manufacturer.is_none(), "{}", players.len());
        assert_eq!(gone.len(), 64);
    }

    #[test]
    fn more_players_than_allowed_are_cut() {
        let player =
            |at: u16| v1::Player { key: PlayerKey::derive("s", &at.to_string()).as_str().into(), ..Default::default() };
        let preset = |at: u16| v1::Preset {
            key: PresetKey::derive("s", "radio", &at.to_string()).as_str().into(),
            name: String::new(),
            kind: v1::MediaKind::Radio.into(),
        };
        let players = v1::Players {
            players: (0..400).map(player).collect(),
            presets: (0..60).map(preset).collect(),
            locale: None,
        };
        let Reply::Players { players, presets, .. } = understood_reply(Some(v1::reply_body::Reply::Players(players)))
        else {
            panic!("players are players")
        };
        assert_eq!((players.len(), presets.len()), (MAX_PLAYERS, MAX_PRESETS));
    }
}
