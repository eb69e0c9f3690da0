//! What the doctor finds, and that what it says can be shown to anybody.

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use macloud_connector::state::{Pairing, StateDir};
use macloud_connector::status::Event;
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::chain::Home;
use crate::cloud::{TOKEN_PREFIX, instance};
use crate::program::{lines, output_of};
use crate::scripted::{Answer, TOKEN, player};
use crate::state::on_full_disk;

async fn doctor(home: &Home, args: &[&str]) -> Value {
    lines(&home.output("doctor", &[&["--json"][..], args].concat()).await).remove(0)
}

pub fn find<'d>(diagnosis: &'d Value, name: &str) -> Option<&'d Value> {
    diagnosis["checks"].as_array().unwrap().iter().find(|check| check["name"] == name)
}

pub fn check<'d>(diagnosis: &'d Value, name: &str) -> &'d Value {
    find(diagnosis, name).unwrap_or_else(|| panic!("no {name} in {diagnosis}"))
}

pub fn says(diagnosis: &Value, name: &str, ok: bool, text: &str) {
    let check = check(diagnosis, name);
    assert!(check["ok"] == ok && check.to_string().contains(text), "{check} without {text:?}");
}

/// The home is paired with a cloud at this address.
pub fn pair_with(home: &Home, cloud: &str) {
    change(home, |pairing| pairing.cloud = cloud.parse().unwrap());
}

fn change(home: &Home, change: impl FnOnce(&mut Pairing)) {
    let state = StateDir::existing(&home.state_dir).unwrap();
    let keys = state.skill_keys().unwrap().unwrap();
    let mut pairing = state.pairing().unwrap().unwrap();
    change(&mut pairing);
    state.save_pairing(&pairing, &keys).unwrap();
}

#[tokio::test]
async fn what_it_says_can_be_shown_to_anybody() {
    let home = Home::paired().await;
    home.ma.edit(|script| script.players.push(player("up2", "Nursery of Mia", json!({}))));
    let port = home.cloud.url.port().unwrap();
    pair_with(&home, &format!("http://localhost:{port}/"));
    change(&home, |pairing| pairing.home_name = "Villa Ada".into());
    let instance = instance().to_string();
    let secrets = [TOKEN, TOKEN_PREFIX, "Kitchen", "Mia", "Villa", "localhost", "127.0.0.1", &instance, "up1", "::1"];
    let mut said = Vec::new();
    let mut examine = async || {
        for args in [&[][..], &["--json"]] {
            let output = home.output("doctor", args).await;
            said.push(format!(
                "{}{}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            ));
        }
    };
    examine().await;
    // In every kind of trouble, too.
    home.cloud.edit(|script| script.relay_refuses = Some((502, None)));
    examine().await;
    home.cloud.edit(|script| script.revoked = true);
    home.ma.edit(|script| script.token = "another".into());
    examine().await;
    home.ma.edit(|script| script.hello = json!({}));
    pair_with(&home, "https://cloud-of-ada.invalid/");
    examine().await;
    pair_with(&home, &format!("https://localhost:{port}/"));
    examine().await;
    for text in &said {
        for secret in secrets.iter().chain(&["cloud-of-ada"]) {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
    assert_eq!(said.len(), 10);

    pair_with(&home, &format!("http://localhost:{port}/"));
    let full = doctor(&home, &["--full"]).await;
    says(&full, "DNS", true, "localhost: ");
    says(&full, "pairing", true, "Villa Ada");
}

#[tokio::test]
async fn each_step_of_the_way_is_told() {
    let home = Home::paired().await;
    home.ma.edit(|script| script.players.push(player("up2", "Bath", json!({"available": false}))));
    home.ma.edit(|script| script.players.push(player("up3", "Attic", json!({}))));
    let state = StateDir::existing(&home.state_dir).unwrap();
    let rules = json!({"players": {"up3": {"name": "Attic", "hidden": true}}});
    state.save_rules(&serde_json::from_value(rules).unwrap()).unwrap();
    let port = home.cloud.url.port().unwrap();
    pair_with(&home, &format!("http://localhost:{port}/"));
    let good = doctor(&home, &[]).await;
    assert_eq!(good["ok"], true, "{good}");
    says(&good, "disk", true, "can be written to");
    says(&good, "rules", true, "Hidden players: 1");
    says(&good, "DNS", true, "IPv4");
    says(&good, "TCP", true, "Connected in");
    says(&good, "clock", true, "Within 60 s");
    says(&good, "Music Assistant", true, "API schema is 31");
    says(
        &good,
        "players",
        true,
        "2 can be used through the cloud. 1 of them cannot be reached at the moment. Your rules hide 1 more.",
    );

    home.ma.answer("auth/me", Answer::Error(22));
    says(&doctor(&home, &[]).await, "Music Assistant token", false, "may not do what is needed");
    home.ma.answer("auth/me", Answer::Result(json!({"role": "user", "player_filter": ["up1"]})));
    says(&doctor(&home, &[]).await, "Music Assistant token", true, "allows its user 1 players");
    home.cloud.edit(|script| script.ahead = 7200);
    let late = doctor(&home, &[]).await;
    says(&late, "clock", false, "behind the cloud's");
    says(&late, "access to the cloud", true, "accepted");
    home.cloud.edit(|script| script.ahead = 0);
    home.ma.edit(|script| script.players.clear());
    says(&doctor(&home, &[]).await, "players", false, "None can be used");
}

#[tokio::test]
async fn the_whole_way_is_tried_while_the_connector_runs() {
    let home = Home::paired().await;
    let answer = |status: u16, answer: Value| home.cloud.edit(|script| script.trials.push_back((status, answer)));
    answer(200, json!({"result": "ok"}));
    assert!(find(&doctor(&home, &[]).await, "end to end").is_none(), "there is nobody who could answer");
    home.cloud.edit(|script| script.trials.clear());
    // Its look at the relay.
    drop(home.cloud.next_socket().await);

    let mut running = home.run();
    let _relay = home.cloud.next_session(1).await;
    running.heard("online", |event| matches!(event, Event::Online { .. })).await;
    answer(429, json!({"error": "too_soon"}));
    answer(200, json!({"result": "ok", "micros": {"home": 400}}));
    says(&doctor(&home, &[]).await, "end to end", true, "here 0.4");
    answer(200, json!({"result": "not_sent_not_connected"}));
    says(&doctor(&home, &[]).await, "end to end", false, "not_sent_not_connected");
    // Whose clock is wrong goes by the cloud's.
    home.cloud.edit(|script| script.ahead = 7200);
    answer(200, json!({"result": "ok"}));
    says(&doctor(&home, &[]).await, "end to end", true, "its answer went back");
    let untried = doctor(&home, &[]).await;
    assert!(find(&untried, "end to end").is_none(), "a cloud that tries no homes is no trouble: {untried}");
}

#[tokio::test]
async fn without_a_network_what_is_here_is_told_all_the_same_and_soon() {
    let home = Home::paired().await;
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nowhere = nobody.local_addr().unwrap();
    drop(nobody);
    pair_with(&home, &format!("http://{nowhere}/"));
    let begun = Instant::now();
    let mut program = home.program("doctor");
    program.args(["--json", "--ma-url", &format!("http://{nowhere}")]);
    let diagnosis = lines(&output_of(program).await).remove(0);
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    for here in ["state directory", "disk", "rules", "pairing", "stop switch"] {
        assert_eq!(check(&diagnosis, here)["ok"], true, "{diagnosis}");
    }
    says(&diagnosis, "Music Assistant", false, "--ma-url");
    says(&diagnosis, "TCP", false, "give it with --proxy");
    assert!(find(&diagnosis, "cloud").is_none(), "what comes after the broken hop is not looked at");

    pair_with(&home, "https://cloud.invalid/");
    let diagnosis = doctor(&home, &[]).await;
    says(&diagnosis, "DNS", false, "its DNS server");
    assert!(find(&diagnosis, "TCP").is_none(), "{diagnosis}");
}

/// A server that speaks TLS 1.3 as `localhost`, by a certificate that is its own authority.
pub async fn encrypted() -> (u16, String) {
    let mut params = rcgen::CertificateParams::new(vec!["localhost".into()]).unwrap();
    params.distinguished_name.push(rcgen::DnType::OrganizationName, "The Family of Ada");
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            drop(acceptor.accept(stream).await);
        }
    });
    (port, certificate.pem())
}

#[tokio::test]
async fn what_the_encryption_is_like_is_told_and_who_may_be_in_between() {
    let home = Home::paired().await;
    let (port, authority) = encrypted().await;
    let file = home.state_dir.join("authority.pem");
    std::fs::write(&file, authority).unwrap();
    pair_with(&home, &format!("https://localhost:{port}/"));
    let trusted = doctor(&home, &["--extra-ca-file", file.to_str().unwrap()]).await;
    says(&trusted, "TLS", true, "It ends in");
    assert!(!trusted.to_string().contains("Ada"), "an authority of one's own has one's own name: {trusted}");
    assert_eq!(check(&trusted, "cloud")["ok"], false);
    let full = doctor(&home, &["--full", "--extra-ca-file", file.to_str().unwrap()]).await;
    says(&full, "TLS", true, "Signed by The Family of Ada");
    let stranger = doctor(&home, &[]).await;
    says(&stranger, "TLS", false, "--extra-ca-file");
    says(&stranger, "TLS", false, "a page to sign in at");
    assert!(find(&stranger, "cloud").is_none(), "{stranger}");
}

#[tokio::test]
async fn a_full_disk_is_found() {
    let home = Home::paired().await;
    let mut program = home.program("doctor");
    program.arg("--json");
    let diagnosis = lines(&on_full_disk(&program).await).remove(0);
    says(&diagnosis, "disk", false, "The disk is full");
    let mut nowhere = Command::new(env!("CARGO_BIN_EXE_ma-connector"));
    nowhere.args(["doctor", "--json", "--state-dir", "/nonexistent/state"]);
    assert_eq!(lines(&output_of(nowhere).await)[0]["ok"], false);
}
