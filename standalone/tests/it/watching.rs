//! The canary against a cloud: a round that succeeds, and what it says when a part of the way breaks.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use macloud_account_service::NewClient;
use macloud_service_kit::clock;
use macloud_simulated_home::Faults;
use macloud_standalone::canary::round::{Canary, CanarySettings, Hop, Report, Verdict};
use macloud_standalone::demo::gate::{Gate, Mood};
use macloud_standalone::demo::pretend_alexa::Registration;
use macloud_standalone::demo::stage::Stage;
use serde_json::Value;

use crate::processes::{Running, Scratch, json, ma_cloud, run};
use crate::support::stage;

const REDIRECT_URI: &str = "https://canary.invalid/linked";

async fn settings(stage: &Stage, state_dir: PathBuf) -> CanarySettings {
    let client = NewClient {
        client_id: "canary".into(),
        redirect_uris: vec![REDIRECT_URI.into()],
        require_pkce: true,
        ..NewClient::default()
    };
    let created = stage.cloud().unwrap().accounts().create_client(client).await.unwrap();
    again(stage, state_dir, created.client_secret.unwrap())
}

fn again(stage: &Stage, state_dir: PathBuf, client_secret: String) -> CanarySettings {
    let registration = Registration { client_id: "canary".into(), client_secret, redirect_uri: REDIRECT_URI.into() };
    CanarySettings {
        cloud: stage.cloud_url.clone(),
        skill: stage.cloud_url.clone(),
        email: stage.person.0.clone(),
        password: stage.person.1.clone(),
        registration,
        forwarder_key: None,
        state_dir,
        slow: Duration::from_secs(5),
        refresh_every: Duration::from_secs(86_400),
        clock: clock::system(),
    }
}

/// The step that failed: its name, the part to blame, and the words.
fn failed(report: &Report) -> (&'static str, Hop, String) {
    let step = report.steps.iter().find(|step| step.verdict == Verdict::Failed);
    let step = step.unwrap_or_else(|| panic!("nothing failed: {report:?}"));
    let trouble = step.trouble.clone().unwrap();
    (step.name, trouble.hop, trouble.problem)
}

async fn until_well(canary: &mut Canary) -> Report {
    let begun = tokio::time::Instant::now();
    loop {
        let report = canary.round().await;
        if report.ok || begun.elapsed() > Duration::from_secs(40) {
            return report;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_uses_the_cloud_as_people_do_and_says_which_part_of_the_way_is_broken() {
    let scratch = Scratch::new();
    let (mut stage, gate): (Stage, Gate) = stage().await;
    // There is one home more in this account, with players of its own: they are left alone.
    let settings = settings(&stage, scratch.0.join("state")).await;
    let (secret, password) = (settings.registration.client_secret.clone(), settings.password.clone());
    let mut canary = Canary::open(settings).await.unwrap();
    let mut told = Vec::new();

    let report = canary.round().await;
    assert!(report.ok, "{report:?}");
    assert_eq!(report.steps.len(), 8);
    let truth = canary.home().music().state();
    assert_eq!(truth.players[0].volume, 21, "the first round's own volume");
    told.push(report);

    // The relay cannot be reached by homes any more.
    gate.set(Mood::Cut);
    while canary.home().told().online {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let cut = canary.round().await;
    let (step, hop, problem) = failed(&cut);
    assert_eq!((step, hop), ("home", Hop::Relay), "{problem}");
    assert!(problem.starts_with("the home is not connected: "), "{problem}");
    assert!(cut.steps.last().is_some_and(|last| last.verdict == Verdict::NotTried));
    told.push(cut);
    gate.set(Mood::Open);
    assert!(until_well(&mut canary).await.ok);

    // Music Assistant at home fails.
    canary.home().music().fault(&Faults {
        refuse_connections: Some(true),
        drop_connections: true,
        ..Faults::default()
    });
    while canary.home().told().music_trouble.is_none() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let ill = canary.round().await;
    let (_, hop, problem) = failed(&ill);
    assert_eq!(hop, Hop::Home, "{problem}");
    told.push(ill);
    canary.home().music().clear_faults();
    assert!(until_well(&mut canary).await.ok);

    // Started again, it goes on with what it kept: paired and linked once.
    canary.close().await;
    let mut canary = Canary::open(again(&stage, scratch.0.join("state"), secret.clone())).await.unwrap();
    let report = until_well(&mut canary).await;
    assert!(report.ok, "{report:?}");
    let tokens = std::fs::read_to_string(scratch.0.join("state/tokens.json")).unwrap();
    let tokens: Value = serde_json::from_str(&tokens).unwrap();

    // The link is ended behind its back.
    let account = stage.cloud().unwrap().accounts();
    account.delete_client("canary").await.unwrap();
    let mut orphan = Canary::open(again(&stage, scratch.0.join("orphan"), secret.clone())).await.unwrap();
    let unlinked = orphan.round().await;
    let (step, hop, _) = failed(&unlinked);
    assert_eq!((step, hop), ("link", Hop::AccountService));
    told.push(unlinked);
    orphan.close().await;
    canary.close().await;

    // The whole cloud is gone.
    stage.stop_connector().await;
    let gone = again(&stage, scratch.0.join("state"), secret.clone());
    stage.strike().await;
    let mut canary = Canary::open(gone).await.unwrap();
    let report = canary.round().await;
    let (step, hop, _) = failed(&report);
    assert_eq!((step, hop), ("accounts", Hop::AccountService));
    told.push(report);
    canary.close().await;

    let told = serde_json::to_string(&told).unwrap();
    let (access, refresh) = (tokens["access_token"].as_str().unwrap(), tokens["refresh_token"].as_str().unwrap());
    for secret in [&secret, &password, access, refresh, "listener@example.org"] {
        assert!(!told.contains(secret), "a secret is told");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_canary_program_shows_what_it_found_on_a_page_and_in_metrics() {
    let scratch = Scratch::new();
    let file = |name: &str| scratch.0.join(name);
    let data = file("data");
    let admin = |arguments: &[&str], stdin: &str| {
        let mut command = ma_cloud();
        command.arg("admin").args(arguments).arg("--json").arg("--data-dir").arg(&data);
        json(&run(&mut command, stdin))
    };
    let mut serve = Running::start(ma_cloud().args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(&data));
    let listening = serve.until("listening");
    let cloud = listening["public_url"].as_str().unwrap();
    admin(&["user", "create", "--email", "canary@example.org", "--password-stdin"], "correct horse battery");
    let client =
        admin(&["client", "create", "--client-id", "canary", "--require-pkce", "--redirect-uri", REDIRECT_URI], "");
    private(&file("person"), "canary@example.org\ncorrect horse battery\n");
    private(&file("secret"), client["client_secret"].as_str().unwrap());

    let canary = |more: &[&str]| {
        let mut command = ma_cloud();
        command.args(["canary", "--cloud", cloud, "--person-file"]).arg(file("person"));
        command.arg("--client-secret-file").arg(file("secret")).arg("--state-dir").arg(file("state"));
        command.args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--slow-ms", "20000"]);
        command.args(["--outside", &format!("here={cloud}/,nowhere=http://127.0.0.1:1/")]).args(more);
        command
    };
    let once = run(&mut canary(&["--once"]), "");
    assert!(once.status.success(), "{} {}", json(&once), String::from_utf8_lossy(&once.stderr));
    assert_eq!(json(&once)["ok"], true);

    let mut running = Running::start(&mut canary(&["--every-seconds", "1"]));
    let addresses = running.until("listening");
    let get = async |address: &str, path: &str| {
        let url = format!("http://{}{path}", addresses[address].as_str().unwrap());
        macloud_service_kit::client::client(Duration::from_secs(5)).get(url).send().await.unwrap().text().await.unwrap()
    };
    assert_eq!(running.until("round")["ok"], true);
    assert_eq!(running.until("round")["ok"], true);
    let page = get("address", "/status").await;
    for words in ["Music plays", "works", "100.00 %", "here", "does not answer", "ma-connector doctor"] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let told: Value = serde_json::from_str(&get("address", "/status.json").await).unwrap();
    assert_eq!(told["ok"], true);
    assert_eq!(told["us"][4]["name"], "play");
    assert_eq!(told["us"][4]["verdict"], "ok");
    assert_eq!(told["amazon"][0]["ok"], true);
    assert_eq!(told["amazon"][1]["ok"], false);
    let metrics = get("admin_address", "/metrics").await;
    for name in ["macloud_canary_rounds_total", "macloud_canary_good", "macloud_canary_step_duration_seconds_count"] {
        assert!(metrics.contains(name), "{name}");
    }

    serve.terminate();
    loop {
        let round = running.until("round");
        if round["steps"][0]["verdict"] == "failed" {
            break;
        }
    }
    let page = get("address", "/status").await;
    assert!(page.contains("Something is wrong here.") && page.contains("the account service"), "{page}");
    running.terminate();
    let history = std::fs::read_to_string(file("state/history.json")).unwrap();
    assert!(history.contains("\"play\""), "{history}");

    // What others can read is not taken for a secret.
    let open = Command::new("chmod").arg("644").arg(file("person")).status().unwrap();
    assert!(open.success());
    let refused = run(&mut canary(&["--once"]), "");
    assert!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("chmod 600"));
}

fn private(file: &std::path::Path, content: &str) {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let made = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
    made.unwrap().write_all(content.as_bytes()).unwrap();
}
