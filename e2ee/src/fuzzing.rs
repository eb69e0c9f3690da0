//! Entrances for `e2ee/fuzz` and the property tests to decoders that are otherwise reached only behind a key.

use crate::{padding, wire};

/// The body of a command, as if it had been opened.
pub fn command_body(bytes: &[u8]) {
    let (scopes, command) = wire::decode_command(bytes);
    if let Ok(command) = command {
        let again = wire::encode_command(&command, scopes);
        assert_eq!(wire::decode_command(&again), (scopes, Ok(command)), "what was decoded once decodes again");
    }
}

/// The body of a reply, as if it had been opened.
pub fn reply_body(bytes: &[u8]) {
    if let Some((clock, reply)) = wire::decode_reply(bytes) {
        let again = wire::encode_reply(&reply, clock);
        assert!(wire::decode_reply(&again).is_some(), "what was decoded once decodes again");
    }
}

/// The body of an event, as if it had been opened.
pub fn event_body(bytes: &[u8]) {
    if let Some((told_at, news)) = wire::decode_news(bytes) {
        let again = wire::encode_news(&news, told_at);
        assert_eq!(wire::decode_news(&again), Some((told_at, news)), "what was decoded once decodes again");
    }
}

/// A padded plaintext.
pub fn padded(bytes: &[u8]) {
    if let Some(body) = padding::unpad(bytes) {
        assert_eq!(padding::pad(body, 0).as_deref().map(|padded| padding::unpad(padded) == Some(body)), Some(true));
    }
}

/// Bodies to start from.
#[must_use]
pub fn sample_bodies() -> Vec<Vec<u8>> {
    use crate::vocabulary::{
        Action, Command, DeviceKey, Item, MediaKind, MediaQuery, Placement, Preset, Refusal, Reply, Scopes, Target,
    };
    use macloud_proto::ids::PresetKey;

    let (artist, kind) = (Some("Miles".to_owned()), Some(MediaKind::Album));
    let media = MediaQuery { text: "Kind of Blue".into(), artist: artist.clone(), kind, sure: true };
    let action = Action::Play { media, placement: Placement::Next };
    let device = Some(DeviceKey::from_bytes([7; 16]));
    let play = Command::OnPlayer { target: Target::Named("Kitchen".into()), action, device };
    let unnamed = |action| Command::OnPlayer { target: Target::Unnamed, action, device: None };
    let volume = unnamed(Action::AdjustVolume(-10));
    let moved = unnamed(Action::MoveTo(Target::Named("Bath".into())));
    let timer = unnamed(Action::SetSleepTimer(Some(20)));
    let key = PresetKey::from_bytes(&[5; 15]);
    let preset = unnamed(Action::PlayPreset(key.clone()));
    let item = Item { title: "Kind of Blue".into(), artist, album: None, kind };
    let proposed = Reply::Refused(Refusal::DidYouMean(item));
    let presets = vec![Preset { key, name: "Jazz".into(), kind: MediaKind::Radio }];
    let list = Reply::Players { players: vec![], presets, locale: Some("de-DE".into()) };
    let both = Scopes { read: true, control: true };
    let which = Reply::Refused(Refusal::WhichPlayer(vec!["Kitchen".into(), "Kitchen 2".into()]));
    vec![
        wire::encode_command(&play, both).to_vec(),
        wire::encode_command(&volume, both).to_vec(),
        wire::encode_command(&moved, both).to_vec(),
        wire::encode_command(&timer, both).to_vec(),
        wire::encode_command(&preset, both).to_vec(),
        wire::encode_command(&Command::ListPlayers, both).to_vec(),
        wire::encode_reply(&which, macloud_proto::time::Millis(7)).to_vec(),
        wire::encode_reply(&proposed, macloud_proto::time::Millis(7)).to_vec(),
        wire::encode_reply(&list, macloud_proto::time::Millis(7)).to_vec(),
    ]
}
