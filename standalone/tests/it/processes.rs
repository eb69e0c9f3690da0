//! The two programs as processes, for tests.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use macloud_standalone::demo::browser::Browser;
use serde_json::Value;

/// The person whose home it is.
pub(crate) const EMAIL: &str = "ann@example.org";

/// Her password.
pub(crate) const PASSWORD: &str = "correct horse battery";

pub(crate) fn ma_cloud() -> Command {
    Command::new(env!("CARGO_BIN_EXE_ma-cloud"))
}

/// Where the programs of the workspace are: every run over the workspace builds them beside ours.
pub(crate) fn programs() -> &'static Path {
    let dir = Path::new(env!("CARGO_BIN_EXE_ma-cloud")).parent().unwrap();
    for name in ["ma-connector", "ma-alexa-skill", "macloud-relay", "macloud-account-service"] {
        assert!(dir.join(name).exists(), "{name} is not built: test with --workspace");
    }
    dir
}

pub(crate) fn ma_connector() -> Command {
    Command::new(programs().join("ma-connector"))
}

pub(crate) struct Scratch(pub(crate) PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("ma-cloud-programs-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(crate) struct Running {
    pub(crate) child: Child,
    lines: BufReader<std::process::ChildStdout>,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        Self::logging(command, Stdio::null())
    }

    /// With its log to this place.
    pub(crate) fn logging(command: &mut Command, log: Stdio) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines }
    }

    /// The next JSON line.
    pub(crate) fn event(&mut self) -> Value {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    /// The next event of this name.
    pub(crate) fn until(&mut self, name: &str) -> Value {
        loop {
            let event = self.event();
            if event["event"] == name {
                return event;
            }
        }
    }

    pub(crate) fn terminate(mut self) -> std::process::ExitStatus {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        self.child.wait().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn run(command: &mut Command, stdin: &str) -> Output {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    child.wait_with_output().unwrap()
}

pub(crate) fn json(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text)
        .unwrap_or_else(|error| panic!("{error}: {text:?} {}", String::from_utf8_lossy(&output.stderr)))
}

/// What the person with the phone does: sign in, look at the fingerprint, press "allow".
pub(crate) async fn approve(browser: &mut Browser, cloud: &str, link: &str) {
    let sign_in = browser.page(&format!("{cloud}/sign-in").parse().unwrap()).await.unwrap();
    let form = sign_in.form_with("password").unwrap();
    browser.submit(&form, &[("email", EMAIL), ("password", PASSWORD)]).await.unwrap();
    let page = browser.page(&link.parse().unwrap()).await.unwrap();
    let form = page.form_with("decision").unwrap();
    browser.submit(&form, &[("decision", "allow")]).await.unwrap().page().unwrap();
}
