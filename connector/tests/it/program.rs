//! The program itself: its lines, its exit codes, and that it keeps its secrets.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use macloud_connector::ConnectorOptions;
use macloud_connector::memory::Device;
use macloud_connector::music_assistant::token::Token;
use macloud_connector::state::StateDir;
use macloud_connector::status::Event;
use macloud_e2ee::vocabulary::{self, DeviceKey};
use macloud_proto::ids::PlayerKey;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::chain::Home;
use crate::cloud::{DEVICE_CODE, Sent, TOKEN_PREFIX, both};
use crate::scripted::{PATIENCE, TOKEN, player};

impl Home {
    pub fn program(&self, verb: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ma-connector"));
        command.arg(verb).arg("--state-dir").arg(&self.state_dir);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // Whoever runs the tests may need a proxy for other things.
        for variable in ["HTTPS_PROXY", "https_proxy", "http_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"] {
            command.env_remove(variable);
        }
        command
    }

    pub async fn output(&self, verb: &str, args: &[&str]) -> Output {
        let mut program = self.program(verb);
        program.args(args);
        output_of(program).await
    }
}

/// The servers run on this thread, so the program is waited for on another.
pub async fn output_of(mut program: Command) -> Output {
    let output = spawn_blocking(move || program.output().unwrap());
    timeout(PATIENCE, output).await.expect("it did not end").unwrap()
}

pub fn lines(output: &Output) -> Vec<Value> {
    String::from_utf8_lossy(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn check<'d>(diagnosis: &'d Value, name: &str) -> &'d Value {
    let checks = diagnosis["checks"].as_array().unwrap();
    checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("no {name} in {diagnosis}"))
}

#[tokio::test]
async fn pair_prints_its_lines_and_run_its_changes_and_neither_a_secret() {
    let home = Home::unpaired().await;
    let token_file = home.state_dir.join("given-token");
    std::fs::write(&token_file, TOKEN).unwrap();
    let cloud = home.cloud.url.to_string();
    let ma_url = home.ma.url.to_string();
    let args = [
        "--cloud",
        &cloud,
        "--ma-url",
        &ma_url,
        "--ma-token-file",
        token_file.to_str().unwrap(),
        "--json",
        "--log",
        "trace",
    ];
    let paired = home.output("pair", &args).await;
    let printed = lines(&paired);
    assert_eq!(printed.len(), 2, "{paired:?}");
    assert_eq!((&printed[0]["event"], &printed[0]["user_code"]), (&json!("code"), &json!("WDJB-MJHT")));
    assert_eq!((&printed[1]["event"], &printed[1]["home_name"]), (&json!("paired"), &json!("Test home")));
    assert_eq!(printed[0]["fingerprint"], printed[1]["fingerprint"]);
    for key in ["verification_uri", "verification_uri_complete", "expires_in"] {
        assert!(!printed[0][key].is_null(), "{key}");
    }

    let mut running = home.program("run").args(["--log", "debug"]).spawn().unwrap();
    let lines_out = BufReader::new(running.stdout.take().unwrap()).lines();
    let (tell, mut out) = mpsc::unbounded_channel();
    std::thread::spawn(move || lines_out.map_while(Result::ok).all(|line| tell.send(line).is_ok()));
    let mut log = running.stderr.take().unwrap();
    let log = std::thread::spawn(move || {
        let mut text = String::new();
        log.read_to_string(&mut text).unwrap();
        text
    });
    let mut relay = home.cloud.next_session(1).await;
    let (mut online, mut ready) = (false, false);
    let mut told = String::new();
    while !(online && ready) {
        let line = timeout(PATIENCE, out.recv()).await.unwrap().unwrap();
        let event: Value = serde_json::from_str(&line).unwrap();
        online |= event["event"] == "online";
        ready |= event["event"] == "music_assistant" && event["state"] == "ready";
        told.push_str(&line);
    }
    let session = home.cloud.establish(&mut relay).await;
    let list = vocabulary::Command::ListPlayers;
    relay.ask(&mut Sent::seal(&session, &list, both(), Duration::from_secs(8))).await;

    let status = home.output("status", &["--json"]).await;
    assert_eq!(status.status.code(), Some(0));
    let status = lines(&status).remove(0);
    assert_eq!(status["rules"]["hidden"], 0, "{status}");
    let diagnosis = home.output("doctor", &["--json"]).await;
    assert_eq!(diagnosis.status.code(), Some(0), "{}", String::from_utf8_lossy(&diagnosis.stdout));
    assert_eq!(check(&lines(&diagnosis)[0], "commands")["ok"], true);
    let stopped = home.output("stop", &[]).await;
    assert_eq!(stopped.status.code(), Some(0));
    let line = timeout(PATIENCE, out.recv()).await.unwrap().unwrap();
    assert_eq!(line, r#"{"event":"stopped"}"#);
    home.output("resume", &[]).await;
    let mut beside = Command::new(env!("CARGO_BIN_EXE_ma-connector"));
    beside.args(["stop", "--state-dir"]).arg(std::env::temp_dir()).stderr(Stdio::piped());
    let beside = output_of(beside).await;
    assert_eq!(beside.status.code(), Some(3), "nothing is stopped there, and nobody must believe it");
    assert!(String::from_utf8_lossy(&beside.stderr).contains("give the directory of the one that is meant"));
    let in_use = home.output("run", &[]).await;
    assert_eq!(in_use.status.code(), Some(4));
    assert!(String::from_utf8_lossy(&in_use.stderr).contains("Stop it first"));

    Command::new("kill").arg(running.id().to_string()).status().unwrap();
    let ended = spawn_blocking(move || running.wait().unwrap());
    assert_eq!(timeout(PATIENCE, ended).await.unwrap().unwrap().code(), Some(0));
    let logged = log.join().unwrap();
    assert_eq!((&status["running"], &status["relay"]["state"]), (&json!(true), &json!("online")));
    for text in [told, logged, status.to_string(), String::from_utf8_lossy(&paired.stderr).into_owned()] {
        for secret in [TOKEN, TOKEN_PREFIX, DEVICE_CODE, "Kitchen"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
    let after = home.output("status", &["--json"]).await;
    assert_eq!(after.status.code(), Some(1));
    let after = lines(&after).remove(0);
    assert_eq!((&after["running"], &after["relay"]), (&json!(false), &Value::Null));
}

#[tokio::test]
async fn what_is_missing_is_said_with_its_remedy() {
    let home = Home::unpaired().await;
    let run = home.output("run", &[]).await;
    assert_eq!(run.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&run.stderr).contains("ma-connector pair --cloud URL --state-dir"), "{run:?}");
    let diagnosis = home.output("doctor", &["--json", "--ma-url", home.ma.url.as_str()]).await;
    assert_eq!(diagnosis.status.code(), Some(3));
    let diagnosis = lines(&diagnosis).remove(0);
    assert_eq!(check(&diagnosis, "pairing")["ok"], false);
    assert!(check(&diagnosis, "Music Assistant token")["fix"].as_str().unwrap().contains("--ma-token-file"));
    let pair = home.output("pair", &["--cloud", "http://cloud.example"]).await;
    assert_eq!(pair.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&pair.stderr).contains("not encrypted"), "{pair:?}");
    let usage = home.output("run", &["--colour", "blue"]).await;
    assert_eq!(usage.status.code(), Some(2));
    let mut nowhere = Command::new(env!("CARGO_BIN_EXE_ma-connector"));
    nowhere.args(["status", "--state-dir", "/nonexistent/state"]);
    let nowhere = output_of(nowhere).await;
    assert_eq!(nowhere.status.code(), Some(3));
    let status = home.output("status", &["--json"]).await;
    assert_eq!((status.status.code(), &lines(&status)[0]["paired"]), (Some(3), &json!(false)));
    assert!(String::from_utf8_lossy(&nowhere.stderr).contains("does not exist"));
}

#[tokio::test]
async fn doctor_names_the_broken_hop() {
    let home = Home::paired().await;
    let examine = || async {
        let output = home.output("doctor", &["--json"]).await;
        (output.status.code(), lines(&output).remove(0))
    };
    let (code, good) = examine().await;
    assert_eq!((code, &good["ok"]), (Some(0), &json!(true)), "{good}");

    home.ma.edit(|script| script.token = "another".into());
    let (code, diagnosis) = examine().await;
    assert_eq!(code, Some(1));
    assert_eq!(check(&diagnosis, "Music Assistant")["ok"], true);
    assert_eq!(check(&diagnosis, "Music Assistant token")["ok"], false);
    home.ma.edit(|script| script.token = TOKEN.into());

    home.ma.edit(|script| script.hello["schema_version"] = json!(26));
    let (_, diagnosis) = examine().await;
    assert!(check(&diagnosis, "Music Assistant")["fix"].as_str().unwrap().contains("Update Music Assistant"));
    home.ma.edit(|script| script.hello["schema_version"] = json!(30));

    home.cloud.edit(|script| script.relay_refuses = Some((502, None)));
    let (_, diagnosis) = examine().await;
    assert_eq!(check(&diagnosis, "relay")["ok"], false);
    assert_eq!(check(&diagnosis, "access to the cloud")["ok"], true);
    home.cloud.edit(|script| script.relay_refuses = None);

    home.cloud.edit(|script| script.revoked = true);
    let (_, diagnosis) = examine().await;
    assert!(check(&diagnosis, "access to the cloud")["fix"].as_str().unwrap().contains("pair again"));
    home.cloud.edit(|script| script.revoked = false);

    home.cloud.edit(|script| script.paused = true);
    let (code, diagnosis) = examine().await;
    assert_eq!(code, Some(1), "paused is not healthy");
    assert_eq!(check(&diagnosis, "access to the cloud")["ok"], true);
    assert!(check(&diagnosis, "pause in the cloud")["fix"].as_str().unwrap().contains("resume this home"));
    home.cloud.edit(|script| script.paused = false);

    home.output("stop", &[]).await;
    let (_, diagnosis) = examine().await;
    assert!(check(&diagnosis, "stop switch")["fix"].as_str().unwrap().contains("resume"));
}

#[tokio::test]
async fn a_cloud_with_other_keys_than_at_pairing_is_noticed() {
    let home = Home::paired().await;
    let good = home.output("doctor", &["--json"]).await;
    assert_eq!(check(&lines(&good)[0], "keys of the cloud")["ok"], true);
    home.cloud.replace_root();
    let idle = home.output("doctor", &["--json"]).await;
    assert_eq!(idle.status.code(), Some(1));
    let fix = check(&lines(&idle)[0], "keys of the cloud")["fix"].as_str().unwrap().to_owned();
    assert!(fix.contains("pair again"), "{fix}");
    for _ in [good, idle] {
        drop(home.cloud.next_socket().await);
    }

    let running = home.run();
    let _relay = home.cloud.next_session(1).await;
    let noticed = async {
        loop {
            let status = home.output("status", &[]).await;
            let text = String::from_utf8(status.stdout).unwrap();
            if text.contains("Connected to the cloud") {
                return (status.status.code(), text);
            }
        }
    };
    let (code, text) = timeout(PATIENCE, noticed).await.unwrap();
    assert_eq!(code, Some(1), "no command works");
    assert!(text.contains("other keys than at pairing") && text.contains("pair again"), "{text}");
    assert_eq!(home.output("doctor", &[]).await.status.code(), Some(1));
    running.stop().await;
    home.pair().await.unwrap();
    assert_eq!(home.output("doctor", &[]).await.status.code(), Some(0));
}

#[tokio::test]
async fn the_trouble_with_the_keys_ends_with_its_cause() {
    let home = Home::paired().await;
    let right = home.cloud.edit(|script| script.key_set.clone());
    home.cloud.replace_root();
    let running = home.run();
    let relay = home.cloud.next_session(1).await;
    let until = async |code: i32| {
        while home.output("status", &[]).await.status.code() != Some(code) {}
    };
    timeout(PATIENCE, until(1)).await.expect("the trouble was not noticed");
    home.cloud.edit(|script| script.key_set = right);
    drop(relay);
    let _relay = home.cloud.next_session(2).await;
    timeout(PATIENCE, until(0)).await.expect("the trouble stayed");
    running.stop().await;
}

#[tokio::test]
async fn a_pairing_that_lacks_its_keys_is_not_taken_for_none() {
    let home = Home::paired().await;
    std::fs::remove_file(home.state_dir.join("skill-keys")).unwrap();
    let run = home.output("run", &[]).await;
    let said = String::from_utf8_lossy(&run.stderr).into_owned();
    assert_eq!(run.status.code(), Some(1), "{said}");
    assert!(said.contains("skill-keys is missing, though this home is paired"), "{said}");
}

#[tokio::test]
async fn a_home_of_another_user_is_not_taken_for_an_unpaired_one() {
    use std::os::unix::process::CommandExt as _;
    if !rustix::process::geteuid().is_root() {
        return; // Only root can become another user.
    }
    let home = Home::paired().await;
    // The other user may not look into where programs are built.
    let program = std::env::temp_dir().join(format!("ma-connector-of-another-{}", std::process::id()));
    std::fs::copy(env!("CARGO_BIN_EXE_ma-connector"), &program).unwrap();
    let mut run = Command::new(&program);
    run.args(["run", "--state-dir"]).arg(&home.state_dir).uid(65_534).gid(65_534).current_dir("/");
    let run = output_of(run).await;
    std::fs::remove_file(program).unwrap();
    let said = String::from_utf8_lossy(&run.stderr).into_owned();
    assert_eq!(run.status.code(), Some(1), "{said}");
    assert!(said.contains("Permission denied") && !said.contains("not paired"), "{said}");
}

#[tokio::test]
async fn a_token_that_was_accepted_is_kept_for_every_command() {
    let home = Home::paired().await;
    home.ma.edit(|script| script.players.push(player("up2", "Bath", json!({}))));
    home.ma.edit(|script| script.token = "renewed".into());
    let given = home.state_dir.join("given-token");
    std::fs::write(&given, "renewed").unwrap();
    assert_eq!(home.output("doctor", &[]).await.status.code(), Some(1));
    drop(home.cloud.next_socket().await);
    let mut running = Home::run_with(ConnectorOptions { ma_token_file: Some(given), ..home.options() });
    let _relay = home.cloud.next_session(1).await;
    running.ma_ready().await;
    let state = StateDir::existing(&home.state_dir).unwrap();
    let kept = async {
        while state.token() != Token::parse("renewed") {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, kept).await.expect("it was not kept");
    assert_eq!(home.output("doctor", &[]).await.status.code(), Some(0));
    let mut hide = Command::new(env!("CARGO_BIN_EXE_ma-connector"));
    hide.args(["rules", "hide", "Kitchen", "--state-dir"]).arg(&home.state_dir);
    assert_eq!(output_of(hide).await.status.code(), Some(0));
    running.stop().await;
    assert_eq!(home.output("doctor", &[]).await.status.code(), Some(0));
}

#[tokio::test]
async fn a_token_that_is_refused_is_not_kept() {
    let home = Home::paired().await;
    home.ma.edit(|script| script.token = "another".into());
    let given = home.state_dir.join("given-token");
    std::fs::write(&given, "wrong").unwrap();
    let mut running = Home::run_with(ConnectorOptions { ma_token_file: Some(given), ..home.options() });
    let refused = |event: &Event| matches!(event, Event::MusicAssistant { state, .. } if state.starts_with("token_"));
    running.heard("a refused token", refused).await;
    assert_eq!(StateDir::existing(&home.state_dir).unwrap().token(), Token::parse(TOKEN));
    running.stop().await;
}

#[tokio::test]
async fn doctor_asks_the_connector_that_runs() {
    let home = Home::paired().await;
    let mut running = home.run();
    let _relay = home.cloud.next_session(1).await;
    running.ma_ready().await;
    let asked = home.ma.edit(|script| script.connections);
    let diagnosis = home.output("doctor", &["--json"]).await;
    assert_eq!(check(&lines(&diagnosis)[0], "Music Assistant")["ok"], true);
    assert_eq!(home.ma.edit(|script| script.connections), asked, "it looked for itself");
    running.stop().await;
}

#[tokio::test]
async fn pairing_says_first_what_is_wrong_with_music_assistant() {
    let home = Home::unpaired().await;
    let token = home.state_dir.join("given-token");
    std::fs::write(&token, "wrong").unwrap();
    let (cloud, token) = (home.cloud.url.as_str(), token.to_str().unwrap());
    let pair = async |ma_url: &str| {
        let args = ["--cloud", cloud, "--ma-url", ma_url, "--ma-token-file", token, "--json"];
        let output = home.output("pair", &args).await;
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let refused = pair(home.ma.url.as_str()).await;
    assert!(refused.contains("refuses the token") && refused.contains("Pairing goes on"), "{refused}");
    let nobody = pair(&nobody_there()).await;
    assert!(nobody.contains("does not answer") && nobody.contains("--ma-url"), "{nobody}");
    std::fs::write(token, TOKEN).unwrap();
    assert_eq!(pair(home.ma.url.as_str()).await, "");
}

#[tokio::test]
async fn pairing_without_a_token_says_that_nobody_is_there() {
    let home = Home::unpaired().await;
    let cloud = home.cloud.url.as_str();
    let nobody = home.output("pair", &["--cloud", cloud, "--ma-url", &nobody_there(), "--json"]).await;
    let said = String::from_utf8(nobody.stderr).unwrap();
    assert!(nobody.status.success() && said.contains("does not answer") && said.contains("Pairing goes on"), "{said}");
    let there = home.output("pair", &["--cloud", cloud, "--ma-url", home.ma.url.as_str(), "--json"]).await;
    assert_eq!(String::from_utf8(there.stderr).unwrap(), "");
}

#[tokio::test]
async fn players_that_cannot_be_listed_are_not_one_player() {
    let home = Home::paired().await;
    let players = home.output("players", &["--ma-url", &nobody_there()]).await;
    let said = String::from_utf8(players.stderr).unwrap();
    assert!(
        players.status.code() == Some(1) && said.contains("the players cannot be listed: Music Assistant"),
        "{said}"
    );
}

#[tokio::test]
async fn pairing_again_needs_no_address() {
    let home = Home::unpaired().await;
    let nowhere = home.output("pair", &[]).await;
    assert_eq!(nowhere.status.code(), Some(2), "{nowhere:?}");
    assert!(String::from_utf8_lossy(&nowhere.stderr).contains("--cloud"), "{nowhere:?}");
    home.pair().await.unwrap();
    let again = home.output("pair", &["--json"]).await;
    assert_eq!(again.status.code(), Some(0), "{again:?}");
}

#[tokio::test]
async fn an_address_that_is_written_wrongly_is_told_how_to_write_it() {
    let home = Home::unpaired().await;
    // As a server answers that is spoken to in the clear and speaks TLS, and the other way round.
    let speaks_tls = answering(b"\x15\x03\x01\x00\x02\x02\x16").await;
    let speaks_plain = answering(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await;
    for (cloud, code, advice) in [
        ("music.example.org", 2, "https://music.example.org"),
        ("http://cloud.example", 1, "--dangerous-allow-plain"),
        (&speaks_plain.replace("http:", "https:"), 1, "not encrypted; it may be at http://"),
        (&speaks_tls, 1, "it may be at https://"),
    ] {
        let pair = home.output("pair", &["--cloud", cloud]).await;
        let said = String::from_utf8_lossy(&pair.stderr).into_owned();
        assert_eq!(pair.status.code(), Some(code), "{cloud}: {said}");
        assert!(said.contains(advice) && !said.contains("internet connection"), "{cloud}: {said}");
    }
}

/// Answers this to whatever is said, and no more.
async fn answering(answer: &'static [u8]) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = [0; 1024];
            let _ = stream.read(&mut asked).await;
            let _ = stream.write_all(answer).await;
        }
    });
    url
}

#[tokio::test]
async fn options_come_from_a_file_and_the_environment_too() {
    let home = Home::paired().await;
    let config = home.state_dir.join("config.toml");
    let state_dir = home.state_dir.to_str().unwrap();
    std::fs::write(&config, format!("state_dir = '{state_dir}'\njson = true\n")).unwrap();
    let mut by_file = Command::new(env!("CARGO_BIN_EXE_ma-connector"));
    by_file.arg("status").arg("--config").arg(&config);
    let by_file = output_of(by_file).await;
    assert_eq!(lines(&by_file)[0]["paired"], true, "{by_file:?}");
    let mut by_environment = Command::new(env!("CARGO_BIN_EXE_ma-connector"));
    by_environment.arg("status").env("MACONNECTOR_STATE_DIR", state_dir).env("MACONNECTOR_JSON", "true");
    let by_environment = output_of(by_environment).await;
    assert_eq!(lines(&by_environment)[0]["paired"], true, "{by_environment:?}");
}

#[tokio::test]
async fn the_text_for_people_is_about_people_things() {
    let home = Home::paired().await;
    home.ma.edit(|script| script.players.push(player("up2", "Bath", json!({}))));
    let status = home.output("status", &[]).await;
    let text = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(text.contains("Test home") && text.contains("not running") && text.contains("Fingerprint:"), "{text}");
    let doctor = home.output("doctor", &[]).await;
    let text = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(text.lines().all(|line| line.starts_with("ok  ")), "{text}");
}

#[tokio::test]
async fn in_full_the_status_says_of_each_player_what_the_page_does() {
    let home = Home::paired().await;
    home.ma.edit(|script| script.players.push(player("up2", "Bath", json!({}))));
    let rules = json!({
        "players": {"up1": {"alias": "Cooking", "max_volume": 60}, "up2": {"hidden": true}},
        "quiet_hours": {"from": "22:00", "to": "07:00"},
    });
    let state = StateDir::existing(&home.state_dir).unwrap();
    state.save_rules(&serde_json::from_value(rules).unwrap()).unwrap();
    let text = String::from_utf8(home.output("status", &["--full"]).await.stdout).unwrap();
    for said in [
        "players: 1 hidden, 1 called otherwise, 1 with a highest volume",
        "Quiet hours:     22:00 to 07:00",
        "Player:          Kitchen (up1), called Cooking, no louder than 60",
        "Player:          Bath (up2), hidden",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
    let without = String::from_utf8(home.output("status", &[]).await.stdout).unwrap();
    assert!(!without.contains("Kitchen") && !without.contains("Cooking"), "{without}");
    let status = lines(&home.output("status", &["--full", "--json"]).await).remove(0);
    assert_eq!(status["each_player"][1]["exposed"], false, "{status}");
    assert_eq!(status["rules"]["quiet_hours"]["from"], "22:00");
}

/// A free port is one that nobody answers at, for as long as a test takes.
fn nobody_there() -> String {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", free.local_addr().unwrap())
}

#[tokio::test]
async fn errors_say_each_cause_once() {
    let home = Home::unpaired().await;
    let pair = home.output("pair", &["--cloud", &nobody_there()]).await;
    let text = String::from_utf8_lossy(&pair.stderr).into_owned();
    assert_eq!(pair.status.code(), Some(1));
    assert_eq!(text.matches("onnection refused").count(), 1, "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    let mut unusable = Command::new(env!("CARGO_BIN_EXE_ma-connector"));
    std::fs::write(home.state_dir.join("plain"), "").unwrap();
    unusable.args(["pair", "--cloud", "http://127.0.0.1:1", "--state-dir"]).arg(home.state_dir.join("plain/state"));
    let text = String::from_utf8_lossy(&output_of(unusable).await.stderr).into_owned();
    assert_eq!(text.matches("Not a directory").count(), 1, "{text}");
}

#[tokio::test]
async fn what_run_prints_is_not_logged_again() {
    let home = Home::paired().await;
    home.ma.edit(|script| script.hello["schema_version"] = json!(26));
    let mut running = home.program("run").spawn().unwrap();
    let mut out = BufReader::new(running.stdout.take().unwrap());
    let _relay = home.cloud.next_session(1).await;
    let read = spawn_blocking(move || {
        let mut told = String::new();
        while !(told.contains("\"online\"") && told.contains("too_old")) {
            assert!(out.read_line(&mut told).unwrap() > 0, "{told}");
        }
        told
    });
    let told = timeout(PATIENCE, read).await.unwrap().unwrap();
    Command::new("kill").arg(running.id().to_string()).status().unwrap();
    let ended = spawn_blocking(move || running.wait_with_output().unwrap());
    let ended = timeout(PATIENCE, ended).await.unwrap().unwrap();
    let log = String::from_utf8_lossy(&ended.stderr).into_owned();
    for said in ["Update Music Assistant", "online", "node-a"] {
        assert!(told.contains(said), "{said}: {told}");
        assert!(!log.contains(said), "{said}: {log}");
    }
}

#[tokio::test]
async fn help_says_first_what_it_does_and_keeps_global_options_apart() {
    let help = async |args: &[&str]| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_ma-connector"));
        program.args(args);
        let output = output_of(program).await;
        assert_eq!(output.status.code(), Some(0));
        String::from_utf8(output.stdout).unwrap()
    };
    let first = |text: &str| text.lines().next().unwrap_or_default().to_owned();
    let whole = help(&["--help"]).await;
    assert!(first(&whole).starts_with("Lets Alexa reach"), "{whole}");
    assert!(whole.contains("Exit codes:") && whole.contains("MACONNECTOR_STATE_DIR"), "{whole}");
    for (verb, does) in [
        ("pair", "Register this home"),
        ("sign-in", "Give this home another token"),
        ("run", "Connect this home"),
        ("status", "Say how"),
        ("doctor", "Look at every hop"),
        ("stop", "Carry out nothing"),
        ("resume", "Undo"),
        ("backup", "Write this home"),
        ("restore", "Put a home"),
        ("leave", "Before the connector"),
    ] {
        let text = help(&[verb, "--help"]).await;
        assert!(first(&text).starts_with(does), "{text}");
        let (own, global) = text.split_once("\nGeneral options:\n").unwrap_or_else(|| panic!("{text}"));
        assert!(own.contains("--state-dir <DIR>") && !own.contains("--log"), "{text}");
        assert!(global.contains("--config <FILE>") && global.contains("--log-format"), "{text}");
        assert!(whole.contains(&format!("\n  {verb} ")), "{whole}");
    }
}

#[tokio::test]
async fn a_number_for_a_path_in_the_file_is_a_mistake() {
    let home = Home::unpaired().await;
    let config = home.state_dir.join("config.toml");
    std::fs::write(&config, "state-dir = 5\n").unwrap();
    let mut run = Command::new(env!("CARGO_BIN_EXE_ma-connector"));
    run.arg("run").arg("--config").arg(&config).current_dir(&home.state_dir);
    let run = output_of(run).await;
    assert_eq!(run.status.code(), Some(2), "{run:?}");
    assert!(String::from_utf8_lossy(&run.stderr).contains("\"state-dir\" a number"), "{run:?}");
    assert!(!home.state_dir.join("5").exists());
}

#[tokio::test]
async fn players_are_said_to_be_old_news_while_music_assistant_is_away() {
    let home = Home::paired().await;
    let running = home.run();
    let _relay = home.cloud.next_session(1).await;
    let until = async |wanted: &str| {
        loop {
            let text = String::from_utf8(home.output("status", &[]).await.stdout).unwrap();
            if text.contains(wanted) {
                return text;
            }
        }
    };
    let there = timeout(PATIENCE, until("Connected to Music Assistant")).await.unwrap();
    assert!(there.ends_with("Players:         1\n"), "{there}");
    home.ma.edit(|script| script.hello["schema_version"] = json!(26));
    home.ma.cut();
    timeout(PATIENCE, until("Players:         1, as last seen")).await.unwrap();
    running.stop().await;
}

#[tokio::test]
async fn pairing_ends_with_the_next_step() {
    let mut home = Home::unpaired().await;
    let outer = home.state_dir.clone();
    home.state_dir = outer.join("my state");
    let paired = home.output("pair", &["--cloud", home.cloud.url.as_str()]).await;
    let text = String::from_utf8(paired.stdout).unwrap();
    let last = text.lines().rev().find(|line| line.starts_with("Paired as")).unwrap();
    let state_dir = home.state_dir.display();
    assert!(last.contains(&format!("Next: ma-connector sign-in --state-dir '{state_dir}'")), "{text}");
    assert!(text.contains(&format!("then: ma-connector run --state-dir '{state_dir}'")), "{text}");
    std::fs::remove_dir_all(outer).unwrap();
}

#[tokio::test]
async fn rules_are_shown_changed_and_obeyed_within_a_second() {
    let home = Home::paired().await;
    home.ma.edit(|script| script.players.push(player("up2", "Bath", json!({}))));
    let rules = async |args: &[&str]| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_ma-connector"));
        program.arg("rules").args(args).arg("--state-dir").arg(&home.state_dir);
        output_of(program).await
    };
    let shown = async |args: &[&str]| {
        let output = rules(&[args, &["--json"]].concat()).await;
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let mut value = lines(&output).remove(0);
        assert!(value["local_time"].is_string());
        value.as_object_mut().unwrap().remove("local_time");
        value
    };
    assert_eq!(shown(&["show"]).await, json!({}));
    let bath = json!({"players": {"up2": {"name": "Bath", "hidden": true}}});
    // What would do in speech could be another player here.
    for unlike in ["the bath", "Bath 2", "Bth", "bath room"] {
        let refused = rules(&["hide", unlike]).await;
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(1), "{unlike}: {said}");
        assert!(said.contains(&format!("there is no player {unlike:?}")), "{said}");
    }
    let proposed = String::from_utf8(rules(&["hide", "the bath"]).await.stderr).unwrap();
    assert!(proposed.contains("did you mean Bath?"), "{proposed}");
    assert_eq!(shown(&["show"]).await, json!({}));
    assert_eq!(shown(&["hide", "bath"]).await, bath);
    let kitchen = shown(&["limit", "up1", "--volume", "60"]).await;
    assert_eq!(kitchen["players"]["up1"], json!({"name": "Kitchen", "max_volume": 60}));
    let quiet = shown(&["quiet", "--from", "22:00", "--to", "7:00"]).await;
    assert_eq!(quiet["quiet_hours"], json!({"from": "22:00", "to": "07:00"}));
    let text = String::from_utf8(rules(&["show"]).await.stdout).unwrap();
    for said in ["Bath (up2): hidden", "Kitchen (up1): no louder than 60", "22:00 to 07:00"] {
        assert!(text.contains(said), "{text}");
    }
    for (wrong, code) in [
        (&["hide", "attic"][..], 1),
        (&["limit", "kitchen"], 2),
        (&["limit", "kitchen", "--volume", "101"], 2),
        (&["quiet", "--from", "22:00"], 2),
    ] {
        assert_eq!(rules(wrong).await.status.code(), Some(code), "{wrong:?}");
    }
    for lacking in [&["limit", "kitchen"][..], &["quiet"]] {
        let said = String::from_utf8(rules(lacking).await.stderr).unwrap();
        assert!(said.contains("--off"), "{said}");
    }
    let upstairs = player("g", "Upstairs", json!({"type": "group", "group_members": ["up2"]}));
    home.ma.edit(|script| script.players.push(upstairs));
    let warned = String::from_utf8(rules(&["hide", "bath"]).await.stderr).unwrap();
    assert!(warned.contains("Bath can still be heard through the group Upstairs"), "{warned}");
    home.ma.edit(|script| script.players.pop());
    shown(&["quiet", "--off"]).await;

    let mut running = home.run();
    let mut relay = home.cloud.next_session(1).await;
    running.ma_ready().await;
    let session = home.cloud.establish(&mut relay).await;
    let listed = async |relay: &mut crate::cloud::RelaySession| {
        let list = vocabulary::Command::ListPlayers;
        let reply = relay.ask(&mut Sent::seal(&session, &list, both(), Duration::from_secs(8))).await;
        let vocabulary::Reply::Players { players, .. } = reply else { panic!("{reply:?}") };
        players.into_iter().map(|player| player.name).collect::<Vec<_>>()
    };
    assert_eq!(listed(&mut relay).await, ["Kitchen"]);
    assert_eq!(shown(&["expose", "bath"]).await, json!({"players": {"up1": {"name": "Kitchen", "max_volume": 60}}}));
    let obeyed = async { while listed(&mut relay).await.len() < 2 {} };
    timeout(Duration::from_secs(1), obeyed).await.expect("the rules did not come into force");

    // A mistake made by hand opens nothing, and is named at the next start.
    std::fs::write(home.state_dir.join("rules.json"), r#"{"players": {"up1": {"hiden": true}}}"#).unwrap();
    running.stop().await;
    let start = home.output("run", &[]).await;
    assert_eq!(start.status.code(), Some(1));
    let text = String::from_utf8_lossy(&start.stderr).into_owned();
    assert!(text.contains("rules.json") && text.contains("`hiden`") && text.contains("Correct it"), "{text}");
}

#[tokio::test]
async fn no_player_gets_the_name_of_another_and_those_that_have_it_are_named() {
    let home = Home::paired().await;
    home.ma.edit(|script| script.players.push(player("up2", "Büro", json!({}))));
    let rules = async |args: &[&str]| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_ma-connector"));
        program.arg("rules").args(args).arg("--state-dir").arg(&home.state_dir);
        let output = output_of(program).await;
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, said) = rules(&["call", "Kitchen", "--as", "buro"]).await;
    assert!(code == Some(1) && said.contains("is called \"buro\" already: Büro (up2)"), "{said}");
    assert_eq!(
        StateDir::existing(&home.state_dir).unwrap().rules().unwrap(),
        macloud_connector::rules::Rules::default()
    );
    assert_eq!(rules(&["hide", "up2"]).await.0, Some(0));
    assert_eq!(rules(&["call", "Kitchen", "--as", "Büro"]).await.0, Some(0), "nobody else answers to it");
    let (code, said) = rules(&["expose", "up2"]).await;
    assert!(code == Some(0) && said.contains("Kitchen (up1) is called Büro, too"), "{said}");

    let players = String::from_utf8(home.output("players", &[]).await.stdout).unwrap();
    assert_eq!(players.matches("shares a name with another").count(), 2, "{players}");
    let looked = lines(&home.output("doctor", &["--json"]).await).remove(0);
    // Which has dialled the relay for a trial.
    drop(home.cloud.next_socket().await);
    let mut running = home.run();
    let _relay = home.cloud.next_session(1).await;
    running.ma_ready().await;
    let told = lines(&home.output("doctor", &["--json"]).await).remove(0);
    for diagnosis in [looked, told] {
        let names = check(&diagnosis, "names");
        assert!(names["ok"] == false && names["detail"].as_str().unwrap().starts_with("2 players share"), "{names}");
        assert!(!names.to_string().contains("Büro"), "{names}");
    }
    running.stop().await;
}

#[tokio::test]
async fn which_player_a_device_is_used_with_is_shown_and_forgotten() {
    let home = Home::paired().await;
    let state = StateDir::open(&home.state_dir).unwrap();
    let device = |key: char, name: &str| Device {
        device: key.to_string().repeat(26),
        player: PlayerKey::derive("server", name),
        name: name.into(),
        used_at: 1_795_000_000,
    };
    state.save_devices(&[device('a', "Kitchen"), device('b', "Bath"), device('c', "Bath")]).unwrap();
    let rules = async |args: &[&str]| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_ma-connector"));
        program.arg("rules").args(args).arg("--state-dir").arg(&home.state_dir);
        output_of(program).await
    };
    let shown = String::from_utf8(rules(&["show"]).await.stdout).unwrap();
    assert!(shown.contains("Voice device aaaaaaaa: is used with Kitchen"), "{shown}");
    let listed = lines(&rules(&["show", "--json"]).await).remove(0);
    assert_eq!(listed["devices"].as_array().unwrap().len(), 3);
    for (unknown, code) in [(&["forget", "attic"][..], 1), (&["forget", "aaa"], 1), (&["forget"], 2)] {
        assert_eq!(rules(unknown).await.status.code(), Some(code), "{unknown:?}");
    }
    assert_eq!(rules(&["forget", "aaaaaaaa"]).await.status.code(), Some(0));
    assert_eq!(state.devices().unwrap().len(), 2);
    assert_eq!(rules(&["forget", "bath"]).await.status.code(), Some(0));
    assert!(state.devices().unwrap().is_empty());
    let none = String::from_utf8(rules(&["forget", "--all"]).await.stdout).unwrap();
    assert!(none.contains("no voice device to forget"), "{none}");
    state.save_devices(&[device('a', "Kitchen"), device('b', "Bath")]).unwrap();
    let two = String::from_utf8(rules(&["forget", "--all"]).await.stdout).unwrap();
    assert!(two.contains("Forgot which player 2 voice devices"), "{two}");
    assert_eq!(lines(&rules(&["forget", "--all", "--json"]).await)[0]["forgotten"], 0);

    // A connector that runs forgets with it; and says when a player will stop.
    let mut running = home.run();
    let mut relay = home.cloud.next_session(1).await;
    running.ma_ready().await;
    let session = home.cloud.establish(&mut relay).await;
    let device = Some(DeviceKey::from_bytes([1; 16]));
    let mut on_kitchen = async |target, action| {
        let command = vocabulary::Command::OnPlayer { target, action, device };
        relay.ask(&mut Sent::seal(&session, &command, both(), Duration::from_secs(8))).await
    };
    let timer = vocabulary::Action::SetSleepTimer(Some(20));
    let reply = on_kitchen(vocabulary::Target::Named("kitchen".into()), timer).await;
    assert!(matches!(reply, vocabulary::Reply::Done { learned: true, .. }), "{reply:?}");
    let status = String::from_utf8(home.output("status", &[]).await.stdout).unwrap();
    assert!(status.contains("Kitchen stops in 20 min"), "{status}");
    let asked = async {
        loop {
            let status = lines(&home.output("status", &["--json"]).await).remove(0);
            if status["recent"][0]["kind"] == "sleep" {
                return status;
            }
        }
    };
    let status = timeout(PATIENCE, asked).await.expect("what was asked is not told");
    assert!(status["recent"][0]["refused"].is_null() && status["commands"]["done"] == 1, "{status}");
    assert_eq!(rules(&["forget", "kitchen"]).await.status.code(), Some(0));
    let again = async {
        loop {
            let pause = vocabulary::Action::Transport(vocabulary::Transport::Pause);
            let reply = on_kitchen(vocabulary::Target::Named("kitchen".into()), pause).await;
            if matches!(reply, vocabulary::Reply::Done { learned: true, .. }) {
                return;
            }
        }
    };
    timeout(PATIENCE, again).await.expect("it was not forgotten");
}

#[tokio::test]
async fn a_page_waits_for_a_home_that_is_not_paired_yet() {
    let home = Home::unpaired().await;
    // As systemd would listen: it ends whoever does not say that all is well.
    let manager = home.state_dir.join("notify");
    let heard = std::os::unix::net::UnixDatagram::bind(&manager).unwrap();
    let mut running = home.program("run");
    running.args(["--page", "127.0.0.1:0"]).env("NOTIFY_SOCKET", &manager).env("WATCHDOG_USEC", "300000");
    let mut running = running.spawn().unwrap();
    let mut out = BufReader::new(running.stdout.take().unwrap());
    let first = spawn_blocking(move || {
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        line
    });
    let first: Value = serde_json::from_str(&timeout(PATIENCE, first).await.unwrap().unwrap()).unwrap();
    assert_eq!(first["event"], "page");
    let well = spawn_blocking(move || {
        heard.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut word = [0; 64];
        loop {
            let count = heard.recv(&mut word).unwrap();
            if word.starts_with(b"WATCHDOG=1") && count == 10 {
                return;
            }
        }
    });
    timeout(PATIENCE, well).await.unwrap().unwrap();
    let mut stream = tokio::net::TcpStream::connect(first["address"].as_str().unwrap()).await.unwrap();
    stream.write_all(b"GET /sign-in HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("current-password"), "{answer}");
    Command::new("kill").arg(running.id().to_string()).status().unwrap();
    let ended = spawn_blocking(move || running.wait().unwrap());
    assert_eq!(timeout(PATIENCE, ended).await.unwrap().unwrap().code(), Some(0));
    let open = home.output("run", &["--page", "0.0.0.0:0"]).await;
    assert_eq!(open.status.code(), Some(2), "{open:?}");
    assert!(String::from_utf8_lossy(&open.stderr).contains("--page-behind-ingress"), "{open:?}");
}

/// What comes of it for the simulated home's user, with this password.
async fn with_password(mut program: Command, password: &'static str) -> Output {
    use std::io::Write as _;
    program.args(["--ma-username", "admin", "--ma-password-stdin", "--json"]).stdin(Stdio::piped());
    let ran = spawn_blocking(move || {
        let mut child = program.spawn().unwrap();
        writeln!(child.stdin.take().unwrap(), "{password}").unwrap();
        child.wait_with_output().unwrap()
    });
    timeout(PATIENCE, ran).await.expect("it did not end").unwrap()
}

#[tokio::test]
async fn a_refused_token_is_replaced_beside_the_connector_that_runs() {
    let home = Home::paired().await;
    home.ma.edit(|script| script.token = "renewed".into());
    let mut running = home.run();
    let refused = |event: &Event| matches!(event, Event::MusicAssistant { state, .. } if state == "token_refused");
    running.heard("a refused token", refused).await;
    let diagnosis = lines(&home.output("doctor", &["--json"]).await).remove(0);
    assert!(check(&diagnosis, "Music Assistant token")["fix"].as_str().unwrap().contains("`ma-connector sign-in`"));

    let given = home.state_dir.join("given-token");
    let given = given.to_str().unwrap();
    let state = StateDir::existing(&home.state_dir).unwrap();
    for (token, why) in [("wrong", "refuses this token"), ("", "is empty")] {
        std::fs::write(given, token).unwrap();
        let failed = home.output("sign-in", &["--ma-token-file", given]).await;
        let said = String::from_utf8(failed.stderr).unwrap();
        assert!(failed.status.code() == Some(1) && said.contains(why), "{said}");
        assert_eq!(state.token(), Token::parse(TOKEN), "what was there stays");
    }
    let nobody = home.output("sign-in", &[]).await;
    assert!(String::from_utf8_lossy(&nobody.stderr).contains("--ma-username NAME"), "{nobody:?}");

    std::fs::write(given, "renewed").unwrap();
    let renewed = home.output("sign-in", &["--ma-token-file", given]).await;
    assert_eq!(renewed.status.code(), Some(0), "{renewed:?}");
    running.ma_ready().await;
    running.stop().await;
}

#[tokio::test]
async fn a_password_gets_another_token_beside_the_connector_that_runs() {
    let home = Home::paired().await;
    let ma = macloud_simulated_home::SimulatedHome::start(macloud_simulated_home::HomeConfig::default()).await.unwrap();
    let url = ma.http_url();
    let mut running = Home::run_with(ConnectorOptions { ma_url: url.parse().ok(), ..home.options() });
    let refused = |event: &Event| matches!(event, Event::MusicAssistant { state, .. } if state.starts_with("token_"));
    running.heard("a refused token", refused).await;
    let mut sign_in = home.program("sign-in");
    sign_in.args(["--ma-url", &url]);
    let signed_in = with_password(sign_in, "simulated-home").await;
    assert_eq!(lines(&signed_in)[0]["event"], "signed_in", "{signed_in:?}");
    running.ma_ready().await;
    running.stop().await;
}

#[tokio::test]
async fn pairing_signs_in_with_a_password_from_standard_input() {
    let home = Home::unpaired().await;
    let ma = macloud_simulated_home::SimulatedHome::start(macloud_simulated_home::HomeConfig::default()).await.unwrap();
    let pair = async |password: &'static str| {
        let mut pair = home.program("pair");
        pair.args(["--cloud", home.cloud.url.as_str(), "--ma-url", &ma.http_url()]);
        with_password(pair, password).await
    };
    let wrong = pair("guessed").await;
    assert_eq!(wrong.status.code(), Some(1), "{wrong:?}");
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("does not know this name"), "{wrong:?}");
    let state = StateDir::existing(&home.state_dir).unwrap();
    assert!(state.token().is_none() && !state.is_paired());
    let paired = pair("simulated-home").await;
    assert_eq!(paired.status.code(), Some(0), "{paired:?}");
    assert!(state.token().is_some_and(|token| token.ends_at().is_some()));
    let players = home.output("players", &["--json"]).await;
    assert!(
        lines(&players).iter().any(|player| player["name"] == "Kitchen" && player["exposed"] == true),
        "{players:?}"
    );
    let stopped = home.output("stop", &["--json"]).await;
    assert_eq!(lines(&stopped), [json!({"event": "stopped"})]);
}
