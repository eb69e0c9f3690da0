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
    use crate::vocabulary::{Action, Command, MediaKind, MediaQuery, Placement, Refusal, Reply, Scopes, Target};
    let media = MediaQuery { text: "Kind of Blue".into(), artist: Some("Miles".into()), kind: Some(MediaKind::Album) };
    let action = Action::Play { media, placement: Placement::Next };
    let play = Command::OnPlayer { target: Target::Named("Kitchen".into()), action };
    let volume = Command::OnPlayer { target: Target::Unnamed, action: Action::AdjustVolume(-10) };
    let both = Scopes { read: true, control: true };
    let which = Reply::Refused(Refusal::WhichPlayer(vec!["Kitchen".into(), "Kitchen 2".into()]));
    vec![
        wire::encode_command(&play, both).to_vec(),
        wire::encode_command(&volume, both).to_vec(),
        wire::encode_command(&Command::ListPlayers, both).to_vec(),
        wire::encode_reply(&which, macloud_proto::time::Millis(7)).to_vec(),
    ]
}
