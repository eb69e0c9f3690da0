//! The two programs as processes, for tests.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use macloud_service_kit::clock;
use macloud_standalone::demo::browser::Browser;
use macloud_standalone::demo::pretend_alexa::{PretendAlexa, Registration};
use serde_json::Value;

/// The person whose home it is.
pub(crate) const EMAIL: &str = "ann@example.org";

/// Where her Alexa gets its codes.
pub(crate) const REDIRECT_URI: &str = "https://layla.amazon.com/api/skill/link/X";

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

/// A simulated home and its connector, paired with a cloud by [`EMAIL`], who must exist there. They end when it is dropped.
pub(crate) struct PairedHome {
    /// Her browser, signed in.
    pub(crate) browser: Browser,
    pub(crate) instance_id: String,
    pub(crate) connector: Running,
    _music: Running,
}

impl PairedHome {
    /// With its files in `dir`. `library` may name a file with music; `log` takes what the connector logs.
    pub(crate) async fn new(dir: &Path, cloud: &str, library: Option<&Path>, log: Stdio) -> Self {
        let (token, state) = (dir.join("token"), dir.join("state"));
        let mut music = ma_cloud();
        music.args(["home", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", "--timing", "fast"]);
        music.arg("--ma-token-file").arg(&token);
        if let Some(library) = library {
            music.arg("--library").arg(library);
        }
        let mut music = Running::start(&mut music);
        let ma_url = music.until("listening")["ws_url"].as_str().unwrap().to_owned();
        let mut pairing = ma_connector();
        pairing.args(["pair", "--json", "--cloud", cloud, "--ma-url", &ma_url, "--ma-token-file"]).arg(&token);
        let mut pairing = Running::start(pairing.arg("--state-dir").arg(&state));
        let code = pairing.until("code");
        let mut browser = Browser::new();
        approve(&mut browser, cloud, code["verification_uri_complete"].as_str().unwrap()).await;
        let instance_id = pairing.until("paired")["instance_id"].as_str().unwrap().to_owned();
        let mut run = ma_connector();
        let mut connector = Running::logging(run.args(["run", "--log", "debug", "--state-dir"]).arg(&state), log);
        connector.until("online");
        Self { browser, instance_id, connector, _music: music }
    }

    /// An Alexa that she has linked. `client` is what creating the OAuth client `alexa` with [`REDIRECT_URI`] said.
    pub(crate) async fn link(&mut self, cloud: &str, client: &Value) -> PretendAlexa {
        let registration = Registration {
            client_id: "alexa".into(),
            client_secret: client["client_secret"].as_str().unwrap().into(),
            redirect_uri: REDIRECT_URI.into(),
        };
        let mut alexa = PretendAlexa::new(cloud.parse().unwrap(), registration, clock::system());
        alexa.link(&mut self.browser, EMAIL, PASSWORD).await.unwrap();
        alexa
    }
}
