//! The state directory: what is kept, from whom, and what becomes of it when something is lost, cut short or in the wrong place.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use macloud_connector::connector::OpenError;
use macloud_connector::music_assistant::token::Token;
use macloud_connector::pairing::PairError;
use macloud_connector::state::{StateDir, StateError};
use macloud_connector::{Connector, ConnectorOptions};
use macloud_e2ee::vocabulary;

use crate::chain::Home;
use crate::cloud::{Sent, both};
use crate::music_assistant::tempdir;
use crate::program::output_of;

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

#[test]
fn what_root_writes_for_a_service_is_for_the_service() {
    use std::os::unix::fs::MetadataExt as _;
    if !rustix::process::geteuid().is_root() {
        return; // Only root can write for another user.
    }
    let (directory, elsewhere) = (tempdir("of-a-service"), tempdir("of-root"));
    let state = StateDir::open(&directory).unwrap();
    std::os::unix::fs::chown(&directory, Some(65_534), Some(65_534)).unwrap();
    // The service's user may have put this there, to have root write through it.
    let foreign = elsewhere.join("foreign");
    std::fs::write(&foreign, "as it was").unwrap();
    std::os::unix::fs::symlink(&foreign, directory.join(".music-assistant.token.new")).unwrap();
    drop(state.lock().unwrap());
    state.save_token(&Token::parse("a token").unwrap()).unwrap();
    for file in [state.token_file(), directory.join("lock")] {
        let is = std::fs::symlink_metadata(&file).unwrap();
        assert!(is.is_file() && (is.uid(), is.gid()) == (65_534, 65_534), "{}", file.display());
        assert_eq!(mode(&file), 0o600);
    }
    assert_eq!(std::fs::read_to_string(foreign).unwrap(), "as it was");
    for made in [directory, elsewhere] {
        std::fs::remove_dir_all(made).unwrap();
    }
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

#[tokio::test]
async fn what_a_newer_program_wrote_is_refused_and_not_touched() {
    let home = Home::paired().await;
    std::fs::write(home.state_dir.join("format"), "2\n").unwrap();
    // As something that this version cannot read.
    std::fs::write(home.state_dir.join("pairing.json"), "{\"homes\": []}").unwrap();
    let before = contents(&home.state_dir);
    for verb in ["run", "status", "leave"] {
        let meant: &[&str] = if verb == "leave" { &["--yes"] } else { &[] };
        let refused = home.output(verb, meant).await;
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(1), "{verb}: {said}");
        assert!(said.contains("format is 2") && said.contains("Update this ma-connector"), "{verb}: {said}");
    }
    assert!(matches!(home.pair().await, Err(PairError::State(StateError::Newer { format: 2, known: 1, .. }))));
    let diagnosis = macloud_connector::doctor::examine(home.options()).await;
    assert!(diagnosis.checks[0].detail.contains("Update this ma-connector"), "{diagnosis:?}");
    let mut after = contents(&home.state_dir);
    after.retain(|(name, _)| name != "lock");
    assert_eq!(after, before.into_iter().filter(|(name, _)| name != "lock").collect::<Vec<_>>());
    // The stop switch works whatever the rest is.
    assert_eq!(home.output("stop", &[]).await.status.code(), Some(0));
    assert!(home.state_dir.join("stopped").exists());
}

#[test]
fn a_copy_of_the_directory_is_another_installation() {
    let (original, copy) = (tempdir("original"), tempdir("copy"));
    let id = StateDir::open(&original).unwrap().install_id().unwrap();
    assert_eq!(StateDir::open(&original).unwrap().install_id().unwrap(), id, "it stays over restarts");
    let copied = StateDir::open(&copy).unwrap();
    for (name, bytes) in contents(&original) {
        std::fs::write(copy.join(name), bytes).unwrap();
    }
    assert_ne!(copied.install_id().unwrap(), id);
}

fn contents(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(directory).unwrap().map(Result::unwrap);
    let mut files: Vec<_> =
        entries.map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap())).collect();
    files.sort();
    files
}

#[tokio::test]
async fn what_a_disk_has_lost_is_taken_from_what_was_there_before() {
    let home = Home::paired().await;
    let state = StateDir::existing(&home.state_dir).unwrap();
    let (pairing, keys) = (state.pairing().unwrap().unwrap(), state.skill_keys().unwrap().unwrap());
    let mut renamed = pairing.clone();
    renamed.home_name = "Renamed".into();
    state.save_pairing(&renamed, &keys).unwrap();
    for lost in [&b""[..], b"{\"cloud\": \"htt", &[0; 300]] {
        std::fs::write(home.state_dir.join("pairing.json"), lost).unwrap();
        assert_eq!(state.pairing().unwrap().unwrap(), pairing);
    }
    drop(Connector::open(home.options()).unwrap());
    // What is damaged does not become what was there before.
    state.save_pairing(&renamed, &keys).unwrap();
    std::fs::write(home.state_dir.join("pairing.json"), b"").unwrap();
    assert_eq!(state.pairing().unwrap().unwrap(), pairing);
    // Rules are edited by hand: a mistake there must not bring older ones back.
    state.save_rules(&serde_json::from_str(r#"{"tell_changes": true}"#).unwrap()).unwrap();
    state.save_rules(&macloud_connector::rules::Rules::default()).unwrap();
    std::fs::write(home.state_dir.join("rules.json"), b"{").unwrap();
    assert!(matches!(state.rules(), Err(StateError::Rules { .. })));
}

#[test]
fn rules_that_are_changed_at_the_same_time_are_all_kept() {
    let directory = tempdir("together");
    let state = StateDir::open(&directory).unwrap();
    let players: Vec<String> = (0..8).map(|number| format!("player-{number}")).collect();
    std::thread::scope(|scope| {
        for id in &players {
            scope.spawn(|| state.change_rules(|rules| rules.change(id, id, |own| own.hidden = true)).unwrap());
        }
    });
    assert!(state.rules().unwrap().players.keys().eq(&players));
    let _ = std::fs::remove_dir_all(&directory);
}

/// Run it as on a full disk: every write to a file fails, whoever runs the test.
pub async fn on_full_disk(program: &Command) -> Output {
    let mut shell = Command::new("sh");
    // Files have no room at all; the signal that would come with it is not wanted.
    shell.args(["-c", "trap '' XFSZ; ulimit -f 0; exec \"$0\" \"$@\""]).arg(program.get_program());
    shell.args(program.get_args()).stdin(Stdio::null());
    output_of(shell).await
}

#[tokio::test]
async fn a_full_disk_loses_nothing_and_is_named() {
    let home = Home::paired().await;
    let state = StateDir::existing(&home.state_dir).unwrap();
    let key = state.public_identity().unwrap();
    let before = contents(&home.state_dir);
    let cloud = home.cloud.url.to_string();
    let mut pair = home.program("pair");
    pair.args(["--cloud", &cloud, "--ma-url", home.ma.url.as_str()]);
    let mut rules = Command::new(env!("CARGO_BIN_EXE_ma-connector"));
    rules.args(["rules", "quiet", "--from", "22:00", "--to", "07:00", "--state-dir"]).arg(&home.state_dir);
    for program in [pair, rules] {
        let output = on_full_disk(&program).await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("The disk is full: make room"), "{said}");
        assert_eq!(contents(&home.state_dir), before, "nothing is lost, and nothing half-written is left");
    }
    assert_eq!(state.public_identity().unwrap(), key);
    drop(Connector::open(home.options()).unwrap());
}

/// A connector goes on when its disk fills up: what it cannot write down it still does.
#[tokio::test]
async fn a_connector_runs_on_a_full_disk() {
    if !rustix::process::geteuid().is_root() {
        return; // Only root can mount.
    }
    let home = Home::paired().await;
    let disk = tempdir("full-disk");
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k,mode=700", "none"]).arg(&disk).status();
    if !mounted.is_ok_and(|status| status.success()) {
        return; // Not in every container.
    }
    let _mount = Mount(disk.clone());
    // Once it has run there is nothing that it must write to start.
    drop(Connector::open(home.options()).unwrap());
    for (name, bytes) in contents(&home.state_dir) {
        std::fs::write(disk.join(&name), bytes).unwrap();
        set_mode(&disk.join(&name), 0o600);
    }
    std::fs::write(disk.join("filler"), vec![0; 1 << 20]).unwrap_err();
    let mut running = Home::run_with(ConnectorOptions { state_dir: disk.clone(), ..home.options() });
    let mut relay = home.cloud.next_session(1).await;
    running.ma_ready().await;
    let session = home.cloud.establish(&mut relay).await;
    let list = vocabulary::Command::ListPlayers;
    let reply = relay.ask(&mut Sent::seal(&session, &list, both(), Duration::from_secs(8))).await;
    assert!(matches!(reply, vocabulary::Reply::Players { .. }), "{reply:?}");
    let state = StateDir::existing(&disk).unwrap();
    let full = state.save_token(&Token::parse(&"x".repeat(5000)).unwrap()).unwrap_err();
    assert!(full.to_string().contains("The disk is full"), "{full}");
    assert_eq!(state.token(), Token::parse(crate::scripted::TOKEN));
    running.stop().await;
    // What was kept is whole.
    drop(Connector::open(ConnectorOptions { state_dir: disk.clone(), ..home.options() }).unwrap());
}

struct Mount(PathBuf);

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
        let _ = std::fs::remove_dir(&self.0);
    }
}
