//! A title that appears nowhere but at the two ends: not in logs, traces or metrics, not on the bus or the link, not in Redis.

use std::io::Write;
use std::sync::{Arc, Mutex};

use macloud_service_kit::metrics::Metrics;
use macloud_simulated_home::{HomeConfig, Library};
use macloud_standalone::demo::tour::speech;
use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;

use crate::support::stage_with;

const CANARY: &str = "Xylocanary Zephyrquartz";

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Captured {
    type Writer = Self;
    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

fn contains(haystack: &[u8], needle: &str) -> bool {
    let needle = needle.as_bytes();
    haystack.windows(needle.len()).any(|window| window.eq_ignore_ascii_case(needle))
}

/// Runs in a process of its own under nextest, and must: it takes the process's log.
#[tokio::test(flavor = "multi_thread")]
async fn a_song_title_is_seen_at_the_two_ends_only() {
    let log = Captured::default();
    // All of ours, and all of the libraries but the WebSocket's own trace lines: the simulated home speaks plain JSON over
    // one in this very process.
    tracing_subscriber::fmt()
        .with_env_filter("trace,tungstenite=debug,tokio_tungstenite=debug")
        .with_writer(log.clone())
        .init();
    let metrics = Metrics::install("ma-cloud").unwrap();
    let redis = RedisMonitor::start();

    let library = Library::from_json(
        &json!({"artists": [{"name": CANARY, "albums": [{"title": "Plain album", "tracks": [{"title": CANARY, "seconds": 200}]}]}]}).to_string(),
    )
    .unwrap();
    let (stage, gate) = stage_with(HomeConfig { library, ..HomeConfig::default() }).await;
    let request = stage.alexa.intent("PlayMediaIntent", &[("media", CANARY), ("player", "Kitchen")]);
    let said = speech(&stage.alexa.send_custom(&request).await.unwrap()).unwrap();
    assert!(said.contains(CANARY), "the canary must really have been sung: {said}");
    stage.player_becomes("Kitchen", "playing", |room| room.playing).await.unwrap();
    let tokens = stage.alexa.tokens().unwrap().clone();
    let password = stage.person.clone();
    let trace = stage.hops.take_latest().unwrap();
    let saw = stage.hops.relay_saw(&trace, &[CANARY, "Kitchen", "PlayMedia"]).expect("the relay carried it");
    let rendered = metrics.render().unwrap();
    stage.strike().await;

    assert!(rendered.contains(r#"service_name="ma-cloud""#), "whose metrics are these?");
    let logged = log.0.lock().unwrap().clone();
    assert!(logged.len() > 1000, "the log was captured");
    let link = gate.passed();
    assert!(link.len() > 1000, "the link was captured");
    assert!(!saw.plaintext_found, "the bus saw it");
    for word in [CANARY, "Zephyrquartz"] {
        assert!(!contains(&link, word), "the link saw {word}");
        assert!(!contains(rendered.as_bytes(), word), "the metrics hold {word}");
        assert!(!contains(&redis.seen(), word), "Redis saw {word}");
        // The pretend Alexa and the simulated home run in this process too, but both ends log no content either.
        assert!(!contains(&logged, word), "the log holds {word}: {}", line_with(&logged, word));
    }
    for secret in [&tokens.access_token, &tokens.refresh_token, &password.0, &password.1] {
        assert!(!contains(&logged, secret), "the log holds a secret: {}", line_with(&logged, secret));
        assert!(!contains(rendered.as_bytes(), secret), "the metrics hold a secret");
    }
}

fn line_with(log: &[u8], word: &str) -> String {
    let text = String::from_utf8_lossy(log);
    let line = text.lines().find(|line| line.to_lowercase().contains(&word.to_lowercase())).unwrap_or_default();
    line.chars().take(400).collect()
}

/// `MONITOR` on the tests' Redis, if there is one.
struct RedisMonitor {
    seen: Arc<Mutex<Vec<u8>>>,
}

impl RedisMonitor {
    fn start() -> Self {
        use std::io::Read as _;
        let seen: Arc<Mutex<Vec<u8>>> = Arc::default();
        let Ok(url) = std::env::var("MACLOUD_TEST_REDIS_URL") else {
            assert!(
                std::env::var_os("MACLOUD_TEST_EMBEDDED_ONLY").is_some(),
                "MACLOUD_TEST_REDIS_URL is not set: run infra/test, or infra/test --quick to leave Redis out"
            );
            return Self { seen };
        };
        let address = url.trim_start_matches("redis://").trim_end_matches('/').to_owned();
        let mut stream = std::net::TcpStream::connect(address).expect("the tests' Redis answers");
        stream.write_all(b"MONITOR\r\n").unwrap();
        let mut ok = [0; 5];
        stream.read_exact(&mut ok).unwrap();
        assert_eq!(&ok, b"+OK\r\n");
        let writer = seen.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = stream.read(&mut buffer) {
                writer.lock().unwrap().extend_from_slice(&buffer[..length]);
            }
        });
        Self { seen }
    }

    fn seen(&self) -> Vec<u8> {
        self.seen.lock().unwrap().clone()
    }
}
