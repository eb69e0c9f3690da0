//! The state directory: what is kept, from whom, and what becomes of it when something is lost, cut short or in the wrong place.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use macloud_connector::Connector;
use macloud_connector::connector::OpenError;
use macloud_connector::music_assistant::token::Token;
use macloud_connector::pairing::PairError;
use macloud_connector::state::{StateDir, StateError};

use crate::chain::Home;
use crate::music_assistant::tempdir;

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn a_lost_key_beside_a_pairing_is_not_replaced() {
    let home = Home::paired().await;
    let key = home.state_dir.join("identity.key");
    let kept = std::fs::read(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    let lost = Connector::open(home.options()).map(drop).unwrap_err();
    assert!(matches!(lost, OpenError::State(StateError::IdentityLost { .. })), "{lost}");
    for remedy in ["Restore it from a backup", "remove pairing.json", "ma-connector pair again"] {
        assert!(lost.to_string().contains(remedy), "{lost}");
    }
    assert!(matches!(home.pair().await, Err(PairError::State(StateError::IdentityLost { .. }))));
    assert!(!key.exists());
    let diagnosis = macloud_connector::doctor::examine(home.options()).await;
    assert!(!diagnosis.ok && diagnosis.checks[0].detail.contains("Restore it"), "{diagnosis:?}");

    // Both remedies work.
    std::fs::write(&key, &kept).unwrap();
    drop(Connector::open(home.options()).unwrap());
    std::fs::remove_file(&key).unwrap();
    std::fs::remove_file(home.state_dir.join("pairing.json")).unwrap();
    home.pair().await.unwrap();
    assert_ne!(std::fs::read(&key).unwrap(), kept);
    drop(Connector::open(home.options()).unwrap());
}

#[tokio::test]
async fn a_damaged_key_is_not_replaced() {
    let home = Home::paired().await;
    let key = home.state_dir.join("identity.key");
    for cut in [0, 31] {
        std::fs::write(&key, vec![7; cut]).unwrap();
        let damaged = Connector::open(home.options()).map(drop).unwrap_err();
        assert!(matches!(damaged, OpenError::State(StateError::Damaged { .. })), "{damaged}");
        assert_eq!(std::fs::read(&key).unwrap().len(), cut);
    }
}

#[test]
fn a_write_that_was_cut_short_leaves_what_was_there() {
    let directory = tempdir("torn");
    let state = StateDir::open(&directory).unwrap();
    let first = *state.identity().unwrap().public();
    // What a power cut in mid-write leaves, readable for everybody.
    let unfinished = directory.join(".music-assistant.token.new");
    std::fs::write(&unfinished, b"half of a to").unwrap();
    set_mode(&unfinished, 0o666);
    std::fs::write(directory.join(".identity.key.new"), [7; 12]).unwrap();
    assert_eq!(state.public_identity().unwrap(), Some(first));
    state.save_token(&Token::parse("a whole token").unwrap()).unwrap();
    assert_eq!(std::fs::read(state.token_file()).unwrap(), b"a whole token");
    assert_eq!(mode(&state.token_file()), 0o600);

    // A write that cannot be finished changes nothing.
    std::fs::create_dir(directory.join(".music-assistant.token.new")).unwrap();
    state.save_token(&Token::parse("another").unwrap()).unwrap_err();
    assert_eq!(std::fs::read(state.token_file()).unwrap(), b"a whole token");
    std::fs::remove_dir_all(directory).unwrap();
}

#[tokio::test]
async fn secrets_that_others_can_read_are_taken_from_them() {
    let home = Home::paired().await;
    let secrets = ["identity.key", "music-assistant.token"].map(|name| home.state_dir.join(name));
    for secret in &secrets {
        set_mode(secret, 0o644);
    }
    drop(Connector::open(home.options()).unwrap());
    assert_eq!(secrets.each_ref().map(|secret| mode(secret)), [0o600, 0o600]);
}

#[tokio::test]
async fn running_where_nothing_was_paired_leaves_no_trace() {
    let home = Home::unpaired().await;
    let mut options = home.options();
    options.state_dir = home.state_dir.join("mistyped");
    assert!(matches!(Connector::open(options.clone()), Err(OpenError::NotPaired(_))));
    assert!(!options.state_dir.exists());
    assert!(!macloud_connector::doctor::examine(options.clone()).await.ok);
    assert!(!options.state_dir.exists());

    // Neither in a directory that is somebody's for something else.
    std::fs::create_dir(&options.state_dir).unwrap();
    set_mode(&options.state_dir, 0o755);
    assert!(matches!(Connector::open(options.clone()), Err(OpenError::NotPaired(_))));
    assert_eq!(std::fs::read_dir(&options.state_dir).unwrap().count(), 0);
    assert_eq!(mode(&options.state_dir), 0o755);
}
