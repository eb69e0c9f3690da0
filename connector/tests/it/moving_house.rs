//! A home that goes on elsewhere: on another machine from a backup, with another cloud, and back.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use macloud_connector::ConnectorOptions;
use macloud_connector::memory::Device;
use macloud_connector::music_assistant::token::Token;
use macloud_connector::rules::Rules;
use macloud_connector::state::StateDir;
use macloud_connector::status::{Event, LinkState};
use macloud_e2ee::vocabulary::{self, Reply};
use macloud_proto::ids::PlayerKey;
use macloud_proto::link::GoodbyeReason;
use macloud_proto::link::frame::{FromConnector, FromRelay, Goodbye};
use macloud_proto::link::redial::RedialSettings;
use serde_json::json;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::chain::Home;
use crate::cloud::{Cloud, Sent, both};
use crate::doctor::{encrypted, pair_with, says};
use crate::music_assistant::tempdir;
use crate::program::{lines, output_of};
use crate::scripted::{PATIENCE, TOKEN, player};

const PASSPHRASE: &str = "five words by chance, or so";

/// A machine that the home is to move to.
struct Elsewhere {
    directory: PathBuf,
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

impl Elsewhere {
    fn new() -> Self {
        Self { directory: tempdir("elsewhere") }
    }

    fn state_dir(&self) -> PathBuf {
        self.directory.join("state")
    }

    fn file(&self) -> PathBuf {
        self.directory.join("home.backup")
    }

    async fn restore(&self, passphrase: &str) -> Output {
        let mut program = Command::new(env!("CARGO_BIN_EXE_ma-connector"));
        program.arg("restore").arg("--in").arg(self.file()).arg("--state-dir").arg(self.state_dir());
        with_passphrase(program, passphrase).await
    }
}

async fn backup(home: &Home, file: &Path, args: &[&str]) -> Output {
    let mut program = home.program("backup");
    program.arg("--out").arg(file).args(args);
    with_passphrase(program, PASSPHRASE).await
}

async fn with_passphrase(mut program: Command, passphrase: &str) -> Output {
    let line = format!("{passphrase}\n");
    program.arg("--passphrase-stdin").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let done = spawn_blocking(move || {
        let mut running = program.spawn().unwrap();
        // Who refuses for another reason does not read it.
        let _ = running.stdin.take().unwrap().write_all(line.as_bytes());
        running.wait_with_output().unwrap()
    });
    timeout(PATIENCE, done).await.expect("it did not end").unwrap()
}

/// A home with everything that is worth keeping.
async fn lived_in() -> Home {
    let home = Home::paired().await;
    home.ma.edit(|script| script.players.push(player("up2", "Bath", json!({}))));
    let state = StateDir::existing(&home.state_dir).unwrap();
    state.save_rules(&rules()).unwrap();
    state.save_devices(&[device()]).unwrap();
    home
}

fn rules() -> Rules {
    serde_json::from_value(json!({"players": {"up2": {"name": "Bath", "hidden": true}}})).unwrap()
}

fn device() -> Device {
    Device {
        device: "a".repeat(26),
        player: PlayerKey::derive("server", "up1"),
        name: "Kitchen".into(),
        used_at: 1_795_000_000,
    }
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test]
async fn a_home_goes_on_elsewhere_as_the_same_home() {
    let (home, elsewhere) = (lived_in().await, Elsewhere::new());
    let mut running = home.run();
    let _old = home.cloud.next_session(1).await;
    running.ma_ready().await;
    let made = backup(&home, &elsewhere.file(), &[]).await;
    assert_eq!(made.status.code(), Some(0), "{}", said(&made));
    let metadata = std::fs::metadata(elsewhere.file()).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    let again = backup(&home, &elsewhere.file(), &[]).await;
    assert_eq!(again.status.code(), Some(1), "nothing is written over: {}", said(&again));
    assert!(said(&again).contains("is there already") && !said(&again).contains("os error"), "{}", said(&again));

    let wrong = elsewhere.restore("another passphrase").await;
    assert_eq!(wrong.status.code(), Some(1));
    assert!(said(&wrong).contains("passphrase is wrong") && !elsewhere.state_dir().exists(), "{}", said(&wrong));
    let restored = elsewhere.restore(PASSPHRASE).await;
    assert_eq!(restored.status.code(), Some(0), "{}", said(&restored));
    for step in ["First stop the connector", "ma-connector run", "--ma-token-file FILE"] {
        assert!(said(&restored).contains(step), "{step}: {}", said(&restored));
    }
    for output in [&made, &restored] {
        assert!(!said(output).contains(TOKEN) && !said(output).contains(PASSPHRASE), "{}", said(output));
    }
    let (before, after) =
        (StateDir::existing(&home.state_dir).unwrap(), StateDir::existing(elsewhere.state_dir()).unwrap());
    assert_eq!(before.public_identity().unwrap(), after.public_identity().unwrap());
    assert_eq!(before.pairing().unwrap(), after.pairing().unwrap());
    assert_eq!((after.rules().unwrap(), after.devices().unwrap()), (rules(), vec![device()]));
    assert_eq!(after.music_assistant().unwrap(), before.music_assistant().unwrap());
    assert_eq!(after.token(), None, "not without being asked");
    for entry in std::fs::read_dir(elsewhere.state_dir()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.file_name());
    }
    let occupied = elsewhere.restore(PASSPHRASE).await;
    assert!(said(&occupied).contains("holds a home already"), "{}", said(&occupied));
    running.stop().await;
}

#[tokio::test]
async fn what_was_restored_takes_over_and_the_old_one_says_so() {
    let (home, elsewhere) = (lived_in().await, Elsewhere::new());
    let made = backup(&home, &elsewhere.file(), &["--with-ma-token", "--json"]).await;
    assert_eq!(lines(&made)[0]["with_ma_token"], true, "{}", said(&made));
    let patient = Duration::from_secs(60);
    let redial = RedialSettings { replaced: (patient, patient), ..home.options().redial };
    let mut old = Home::run_with(ConnectorOptions { redial, ..home.options() });
    let mut first = home.cloud.next_socket().await;
    let FromConnector::Hello(of_old) = first.receive().await else { panic!("no hello") };
    first.welcome(1).await;
    old.heard("online", |event| matches!(event, Event::Online { .. })).await;

    assert_eq!(elsewhere.restore(PASSPHRASE).await.status.code(), Some(0));
    let restored = ConnectorOptions { state_dir: elsewhere.state_dir(), ..home.options() };
    assert_eq!(StateDir::existing(elsewhere.state_dir()).unwrap().token(), Token::parse(TOKEN));
    let mut new = Home::run_with(restored);
    let mut second = home.cloud.next_socket().await;
    let FromConnector::Hello(of_new) = second.receive().await else { panic!("no hello") };
    assert_ne!(of_old.install_id, of_new.install_id, "the relay tells the two apart");
    second.welcome(2).await;
    // As the relay does.
    first.send(FromRelay::Goodbye(Goodbye { reason: GoodbyeReason::Replaced, detail: String::new() })).await;
    let told = |event: &Event| matches!(event, Event::Offline { explanation, .. } if explanation.contains("If you moved the connector, stop the old one"));
    old.heard("that it was replaced", told).await;
    let state = StateDir::existing(&home.state_dir).unwrap();
    let status: macloud_connector::status::Status = state.status().unwrap().unwrap();
    assert!(matches!(status.relay, LinkState::Replaced { .. }), "{:?}", status.relay);
    old.stop().await;

    // And the new one is the home, rules included.
    new.ma_ready().await;
    let session = home.cloud.establish(&mut second).await;
    let list = Sent::seal(&session, &vocabulary::Command::ListPlayers, both(), Duration::from_secs(8));
    let reply = ask(&mut second, list).await;
    assert_eq!(names(&reply), ["Kitchen"], "Bath is hidden");
    new.stop().await;
}

async fn ask(relay: &mut crate::cloud::RelaySession, mut sent: Sent) -> Reply {
    relay.ask(&mut sent).await
}

fn names(reply: &Reply) -> Vec<String> {
    let Reply::Players { players, .. } = reply else { panic!("{reply:?}") };
    players.iter().map(|player| player.name.clone()).collect()
}

#[tokio::test]
async fn what_is_no_backup_is_not_restored() {
    let elsewhere = Elsewhere::new();
    std::fs::write(elsewhere.file(), "something else").unwrap();
    let refused = elsewhere.restore(PASSPHRASE).await;
    assert!(said(&refused).contains("not a backup of ma-connector"), "{}", said(&refused));
    // One that would take all memory, were it believed.
    let hostile = [&b"MACLOUD-HOME-BAK\x01\x01\xff\xff\xff\xff\xff\xff"[..], &[0; 100]].concat();
    std::fs::write(elsewhere.file(), hostile).unwrap();
    let refused = elsewhere.restore(PASSPHRASE).await;
    assert!(said(&refused).contains("more work than any"), "{}", said(&refused));
    assert!(!elsewhere.state_dir().exists());
    let home = Home::unpaired().await;
    let nothing = backup(&home, &elsewhere.directory.join("none"), &[]).await;
    assert_eq!(nothing.status.code(), Some(3), "{}", said(&nothing));
    let mut no_terminal = Command::new(env!("CARGO_BIN_EXE_ma-connector"));
    no_terminal.arg("restore").arg("--in").arg(elsewhere.file()).arg("--state-dir").arg(elsewhere.state_dir());
    no_terminal.stdin(Stdio::null());
    assert_eq!(output_of(no_terminal).await.status.code(), Some(1));
}

#[tokio::test]
async fn a_restore_that_was_cut_short_is_done_again() {
    let (home, elsewhere) = (lived_in().await, Elsewhere::new());
    backup(&home, &elsewhere.file(), &[]).await;
    // The key was written, and nothing else.
    std::fs::create_dir(elsewhere.state_dir()).unwrap();
    std::fs::copy(home.state_dir.join("identity.key"), elsewhere.state_dir().join("identity.key")).unwrap();
    let restored = elsewhere.restore(PASSPHRASE).await;
    assert_eq!(restored.status.code(), Some(0), "{}", said(&restored));
    // With another home's key it is another home's directory.
    let others = Elsewhere::new();
    std::fs::copy(elsewhere.file(), others.file()).unwrap();
    let key = *StateDir::open(others.state_dir()).unwrap().identity().unwrap().public();
    let refused = others.restore(PASSPHRASE).await;
    assert!(said(&refused).contains("holds a home already"), "{}", said(&refused));
    assert_eq!(StateDir::existing(others.state_dir()).unwrap().public_identity().unwrap(), Some(key));
}

#[tokio::test]
async fn a_restore_writes_over_no_rules_and_not_beside_a_connector() {
    let (home, elsewhere) = (lived_in().await, Elsewhere::new());
    backup(&home, &elsewhere.file(), &[]).await;
    let state = StateDir::open(elsewhere.state_dir()).unwrap();
    let own: Rules =
        serde_json::from_value(json!({"players": {"up1": {"name": "Kitchen", "max_volume": 40}}})).unwrap();
    state.save_rules(&own).unwrap();
    let refused = elsewhere.restore(PASSPHRASE).await;
    assert!(said(&refused).contains("has rules already"), "{}", said(&refused));
    assert!(state.rules().unwrap() == own && !state.is_paired());
    assert_eq!(state.public_identity().unwrap(), None);

    state.save_rules(&Rules::default()).unwrap();
    let lock = state.lock().unwrap();
    let refused = elsewhere.restore(PASSPHRASE).await;
    assert_eq!(refused.status.code(), Some(4), "{}", said(&refused));
    assert!(!state.is_paired());
    drop(lock);
    let restored = elsewhere.restore(PASSPHRASE).await;
    assert_eq!(restored.status.code(), Some(0), "{}", said(&restored));
}

#[tokio::test]
async fn with_another_cloud_a_home_keeps_its_rules_its_players_and_what_it_learned() {
    let mut home = lived_in().await;
    let state = StateDir::existing(&home.state_dir).unwrap();
    let listed = home.state_dir.join("listed.json");
    let key = state.public_identity().unwrap();
    let players = async |home: &Home| {
        let mut running = home.run();
        let mut relay = home.cloud.next_session(1).await;
        running.ma_ready().await;
        let session = home.cloud.establish(&mut relay).await;
        let list = Sent::seal(&session, &vocabulary::Command::ListPlayers, both(), Duration::from_secs(8));
        let reply = ask(&mut relay, list).await;
        running.stop().await;
        let Reply::Players { players, .. } = reply else { panic!("{reply:?}") };
        players.into_iter().map(|player| (player.key, player.name)).collect::<Vec<_>>()
    };
    let before = players(&home).await;
    assert_eq!(before.len(), 1);

    // The same cloud again: it knows what it was told.
    std::fs::write(&listed, "{}").unwrap();
    home.pair().await.unwrap();
    assert!(listed.exists());
    // Another one, such as one's own.
    home.cloud = Cloud::start().await;
    home.pair().await.unwrap();
    assert!(!listed.exists(), "the other cloud was told of nothing yet");
    assert_eq!(state.pairing().unwrap().unwrap().cloud, home.cloud.url);
    assert_eq!(state.public_identity().unwrap(), key);
    assert_eq!((state.rules().unwrap(), state.devices().unwrap()), (rules(), vec![device()]));
    assert_eq!(players(&home).await, before, "by the same keys");
}

#[tokio::test]
async fn whom_pairing_trusted_is_trusted_ever_after_and_after_a_move() {
    let home = Home::unpaired().await;
    let (port, authority) = encrypted().await;
    let file = home.state_dir.with_extension("pem");
    // Somebody's key in the same file is not taken along.
    let private = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n";
    std::fs::write(&file, format!("{authority}{private}")).unwrap();
    let (cloud, authorities) = (home.cloud.url.to_string(), file.to_str().unwrap().to_owned());
    let paired = home.output("pair", &["--cloud", &cloud, "--extra-ca-file", &authorities]).await;
    assert_eq!(paired.status.code(), Some(0), "{paired:?}");
    std::fs::remove_file(&file).unwrap();
    let kept = home.state_dir.join("authorities.pem");
    assert_eq!(std::fs::read_to_string(&kept).unwrap(), authority.replace("\r\n", "\n"));
    pair_with(&home, &format!("https://localhost:{port}/"));
    let examine = async |args: &[&str]| lines(&home.output("doctor", &[&["--json"], args].concat()).await).remove(0);
    says(&examine(&[]).await, "TLS", true, "It ends in");
    says(&examine(&["--extra-ca-file", "none"]).await, "TLS", false, "--extra-ca-file");

    let there = Elsewhere::new();
    assert_eq!(backup(&home, &there.file(), &[]).await.status.code(), Some(0));
    let restored = there.restore(PASSPHRASE).await;
    assert_eq!(restored.status.code(), Some(0), "{restored:?}");
    assert_eq!(std::fs::read(there.state_dir().join("authorities.pem")).unwrap(), std::fs::read(&kept).unwrap());
    // Which is what the next step counts on.
    assert!(!String::from_utf8_lossy(&restored.stdout).contains("--extra-ca-file"), "{restored:?}");
    pair_with(&home, &cloud);
    home.output("run", &["--extra-ca-file", "none", "--page", "192.0.2.1:1"]).await;
    assert!(kept.exists(), "what does not start changes nothing");
}

#[tokio::test]
async fn the_passphrase_may_be_in_a_file() {
    let home = Home::paired().await;
    let there = Elsewhere::new();
    let file = there.directory.join("passphrase");
    std::fs::write(&file, format!("{PASSPHRASE}\nmore\n")).unwrap();
    let (file, out) = (file.to_str().unwrap(), there.file());
    let backed_up = home.output("backup", &["--out", out.to_str().unwrap(), "--passphrase-file", file]).await;
    assert_eq!(backed_up.status.code(), Some(0), "{backed_up:?}");
    assert_eq!(there.restore(PASSPHRASE).await.status.code(), Some(0));
    let both = home.output("backup", &["--out", "x", "--passphrase-file", file, "--passphrase-stdin"]).await;
    assert_eq!(both.status.code(), Some(2), "{both:?}");
}
