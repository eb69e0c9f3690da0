//! The hosted service as processes of their own, as `infra/local-cluster` starts it: two relays, two skills, PostgreSQL, Redis.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use macloud_standalone::demo::pretend_alexa::PretendAlexa;
use serde_json::{Value, json};

use crate::processes::{EMAIL, PASSWORD, PairedHome, REDIRECT_URI, Scratch, json as read, programs, run};
use crate::support::{eventually, verdict};

pub(crate) struct Cluster {
    pub(crate) dir: PathBuf,
    pub(crate) about: Value,
}

impl Cluster {
    pub(crate) fn up(scratch: &Scratch) -> Self {
        let dir = scratch.0.join("cluster");
        let up = run(
            script("up", &dir).args(["--json", "--bin-dir"]).arg(programs()).args([
                "--",
                "--pairing-poll-seconds",
                "1",
            ]),
            "",
        );
        assert!(up.status.success(), "{}", String::from_utf8_lossy(&up.stderr));
        Self { about: read(&up), dir }
    }

    pub(crate) fn text(&self, pointer: &str) -> &str {
        self.about.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no {pointer} in {}", self.about))
    }

    /// Stop this process as its manager would, and start it anew.
    pub(crate) async fn restart(&mut self, name: &str) {
        let mut restart = script("restart", &self.dir);
        restart.args([name, "--json"]);
        let restarted = tokio::task::spawn_blocking(move || run(&mut restart, "")).await.unwrap();
        assert!(restarted.status.success(), "{}", String::from_utf8_lossy(&restarted.stderr));
        self.about = read(&restarted);
    }

    pub(crate) fn admin(&self, args: &[&str], stdin: &str) -> Value {
        let command: Vec<&str> =
            self.about["admin_command"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        read(&run(Command::new(command[0]).args(&command[1..]).args(args).arg("--json"), stdin))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = script("down", &self.dir).status();
    }
}

fn script(verb: &str, dir: &Path) -> Command {
    let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../infra/local-cluster"));
    command.arg(verb).arg("--dir").arg(dir);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn two_relays_and_two_skills_serve_a_home_through_replacement_and_loss_of_relays() {
    if std::env::var_os("MACLOUD_TEST_EMBEDDED_ONLY").is_some() {
        return;
    }
    macloud_service_kit::tls::install_provider();
    let scratch = Scratch::new();
    let mut cluster = Cluster::up(&scratch);
    let url = cluster.text("/account_service/url").to_owned();

    cluster.admin(&["user", "create", "--email", EMAIL, "--password-stdin"], PASSWORD);
    let client = cluster.admin(&["client", "create", "--client-id", "alexa", "--redirect-uri", REDIRECT_URI], "");
    let mut home = PairedHome::new(&scratch.0, &url, None, Stdio::null()).await;

    let mut alexa = home.link(&url, &client).await;

    let mut kitchen = String::new();
    for skill in ["/skills/0/url", "/skills/1/url"] {
        alexa.use_skill(cluster.text(skill).parse().unwrap());
        let found =
            eventually(WAIT, "Discover.Response", async || alexa.send_directive(&alexa.discover()).await.unwrap())
                .await;
        let endpoints = found["event"]["payload"]["endpoints"].as_array().unwrap();
        let endpoint = endpoints.iter().find(|endpoint| endpoint["friendlyName"] == "Kitchen").unwrap();
        kitchen = endpoint["endpointId"].as_str().unwrap().to_owned();
        assert!(kitchen.starts_with(&home.instance_id));
        assert_eq!(verdict(&set_volume(&alexa, &kitchen, 31).await), "Response", "through {skill}");
    }

    // Both are replaced, one after the other, and Alexa notices nothing.
    for name in ["relay-1", "relay-2"] {
        let replaced = cluster.restart(name);
        let mut replaced = std::pin::pin!(replaced);
        let mut level = 0;
        while tokio::time::timeout(Duration::from_millis(20), &mut replaced).await.is_err() {
            level = (level + 1) % 60;
            let answer = set_volume(&alexa, &kitchen, level).await;
            assert_eq!(verdict(&answer), "Response", "while {name} is replaced: {answer}");
        }
        // A skill finds a node again within a second.
        for _ in 0..20 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            assert_eq!(verdict(&set_volume(&alexa, &kitchen, 30).await), "Response", "after {name} was replaced");
        }
    }

    // Whichever relay holds the home: the first one dies, then it comes back no more and the other must do.
    let relays = cluster.about["relays"].as_array().unwrap();
    let holder = if holds_a_home(&relays[0]).await { &relays[0] } else { &relays[1] };
    assert!(holds_a_home(holder).await, "no relay says that it holds the home");
    let pid = holder["pid"].to_string();
    assert!(Command::new("kill").args(["-KILL", &pid]).status().unwrap().success());
    for skill in ["/skills/0/url", "/skills/1/url"] {
        alexa.use_skill(cluster.text(skill).parse().unwrap());
        let answer = eventually(WAIT, "Response", async || set_volume(&alexa, &kitchen, 32).await).await;
        assert_eq!(verdict(&answer), "Response", "through {skill}, after the relay died");
    }
    let status = run(script("status", &cluster.dir).arg("--json"), "");
    assert_eq!(status.status.code(), Some(1), "a relay is gone");
    assert!(home.connector.terminate().success());
}

/// For redials and new leases.
pub(crate) const WAIT: Duration = Duration::from_secs(20);

pub(crate) async fn set_volume(alexa: &PretendAlexa, endpoint: &str, level: u8) -> Value {
    let directive = alexa.control("Alexa.Speaker", "SetVolume", endpoint, json!({"volume": level}));
    alexa.send_directive(&directive).await.unwrap()
}

pub(crate) async fn holds_a_home(relay: &Value) -> bool {
    let client = macloud_service_kit::client::client(Duration::from_secs(5));
    let metrics =
        client.get(format!("{}/metrics", relay["admin"].as_str().unwrap())).send().await.unwrap().text().await;
    let metrics = metrics.unwrap();
    let connected = metrics.lines().find(|line| line.starts_with("macloud_relay_connections"));
    connected.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).is_some_and(|count| count > 0.0)
}
