//! Each driver, as `loadtest compare` drives it. Those that need something installed are run by `cargo test -- --ignored`.
#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap")]

use std::process::Stdio;
use std::time::Duration;

use macloud_loadtest::driver::Remote;
use macloud_loadtest::generator::{Closed, Open};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Command;

const HOMES: usize = 5;

fn driver(name: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_peers"));
    command.arg(name);
    command
}

/// Every command gets its own home's reply, and somebody has paid for that.
async fn homes_reply(name: &str) {
    let mut remote = Remote::start(driver(name)).unwrap();
    let before = remote.costs().await.unwrap();
    assert!(before.len() == 1 && before[0].resident_kib > 0, "{before:?}");
    remote.connect(HOMES).await.unwrap();
    let closed = remote.closed_loop(Closed { in_flight: 2 * HOMES, seconds: 0.5, bytes: 4096 }).await.unwrap();
    assert!(closed.outcomes.done > HOMES as u64 && closed.outcomes.not_done() == 0, "{:?}", closed.outcomes);
    assert!(closed.servers[0].cpu_ms > 0.0, "{:?}", closed.servers);
    let open = Open { per_second: 100.0, seconds: 0.5, bytes: 1, seed: 1 };
    let open = remote.open_loop(open).await.unwrap();
    assert!(open.outcomes.done > 0 && open.outcomes.not_done() == 0, "{:?}", open.outcomes);
}

/// Also when the driver is killed: the comparison leaves nothing behind.
async fn programs_end_with_the_driver(name: &str) {
    let mut child = driver(name).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let (mut orders, reports) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    orders.write_all(b"{\"connect\":1}\n").await.unwrap();
    let report = BufReader::new(reports).lines().next_line().await.unwrap();
    assert_eq!(report.as_deref(), Some("\"connected\""));
    let descendants = descendants(child.id().unwrap());
    assert!(!descendants.is_empty());
    child.kill().await.unwrap();
    let gone = async {
        while descendants.iter().any(|pid| runs(*pid)) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(10), gone).await.is_ok(), "{descendants:?}");
}

fn descendants(pid: u32) -> Vec<u32> {
    let all = std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let children: Vec<u32> = all.filter(|other| stat(*other).is_some_and(|(_, parent)| parent == pid)).collect();
    children.into_iter().flat_map(|child| [vec![child], descendants(child)].concat()).collect()
}

/// One that has ended may wait for somebody to take note.
fn runs(pid: u32) -> bool {
    stat(pid).is_some_and(|(state, _)| state != "Z")
}

/// State and parent, which follow the name in parentheses.
fn stat(pid: u32) -> Option<(String, u32)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = text[text.rfind(')')? + 1..].split_whitespace();
    Some((fields.next()?.into(), fields.next()?.parse().ok()?))
}

#[tokio::test]
async fn iroh_relay() {
    homes_reply("iroh-relay").await;
    programs_end_with_the_driver("iroh-relay").await;
}

#[tokio::test]
async fn iroh_relay_tls() {
    homes_reply("iroh-relay-tls").await;
}

#[tokio::test]
#[ignore = "needs nats-server"]
async fn nats() {
    homes_reply("nats").await;
    programs_end_with_the_driver("nats").await;
}

#[tokio::test]
#[ignore = "needs mosquitto"]
async fn mosquitto() {
    homes_reply("mosquitto").await;
    programs_end_with_the_driver("mosquitto").await;
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn redis() {
    homes_reply("redis").await;
    programs_end_with_the_driver("redis").await;
}

#[tokio::test]
#[ignore = "needs node, and npm ci in socket.io"]
async fn socket_io() {
    homes_reply("socket.io").await;
    programs_end_with_the_driver("socket.io").await;
}

#[tokio::test]
#[ignore = "needs snitun's virtual environment"]
async fn snitun() {
    homes_reply("snitun").await;
    programs_end_with_the_driver("snitun").await;
}
