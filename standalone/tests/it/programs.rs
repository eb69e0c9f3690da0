//! The two programs as somebody runs them: flags, environment, files, output and exit codes.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

fn ma_cloud() -> Command {
    Command::new(env!("CARGO_BIN_EXE_ma-cloud"))
}

/// Built beside ours by every run over the workspace.
fn ma_connector() -> Command {
    let path = Path::new(env!("CARGO_BIN_EXE_ma-cloud")).with_file_name("ma-connector");
    assert!(path.exists(), "{} is not built: test with --workspace", path.display());
    Command::new(path)
}

struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
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

struct Running {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
}

impl Running {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines }
    }

    /// The next JSON line.
    fn event(&mut self) -> Value {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    /// The next event of this name.
    fn until(&mut self, name: &str) -> Value {
        loop {
            let event = self.event();
            if event["event"] == name {
                return event;
            }
        }
    }

    fn terminate(mut self) -> std::process::ExitStatus {
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

fn run(command: &mut Command, stdin: &str) -> Output {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    child.wait_with_output().unwrap()
}

fn json(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text)
        .unwrap_or_else(|error| panic!("{error}: {text:?} {}", String::from_utf8_lossy(&output.stderr)))
}

#[test]
fn serve_admin_home_pair_run_status_and_doctor_work_together() {
    let scratch = Scratch::new();
    let data = scratch.0.join("data");
    let state = scratch.0.join("state");
    let token = scratch.0.join("token");

    let mut home = Running::start(ma_cloud().args(["home", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"]));
    let home_says = home.until("listening");
    std::fs::write(&token, home_says["token"].as_str().unwrap()).unwrap();

    let mut cloud = Running::start(
        ma_cloud()
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(&data)
            .args(["--pairing-poll-seconds", "1"]),
    );
    let url = cloud.until("listening")["public_url"].as_str().unwrap().to_owned();

    let admin = |args: &[&str], stdin: &str| {
        run(ma_cloud().arg("admin").args(args).arg("--data-dir").arg(&data).arg("--json"), stdin)
    };
    let user =
        json(&admin(&["user", "create", "--email", "ann@example.org", "--password-stdin"], "correct horse battery\n"));
    assert_eq!(user["account_id"].as_str().unwrap().len(), 26);
    let again = admin(&["user", "create", "--email", "ann@example.org", "--password-stdin"], "correct horse battery\n");
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&again.stderr).contains("exists already"));
    let client = json(&admin(
        &[
            "client",
            "create",
            "--client-id",
            "alexa",
            "--redirect-uri",
            "https://layla.amazon.com/api/skill/link/X",
            "--require-pkce",
        ],
        "",
    ));
    assert!(client["client_secret"].as_str().unwrap().len() >= 40);

    let mut pairing = Running::start(
        ma_connector()
            .args(["pair", "--json", "--cloud", &url, "--state-dir"])
            .arg(&state)
            .args(["--ma-url", home_says["ws_url"].as_str().unwrap(), "--ma-token-file"])
            .arg(&token),
    );
    let code = pairing.until("code");
    approve(&url, code["verification_uri_complete"].as_str().unwrap());
    let paired = pairing.until("paired");
    assert_eq!(paired["instance_id"].as_str().unwrap().len(), 26);
    assert_eq!(paired["fingerprint"], code["fingerprint"]);
    assert!(pairing.child.wait().unwrap().success());

    let mut connector = Running::start(ma_connector().args(["run", "--state-dir"]).arg(&state));
    connector.until("online");
    let status = run(ma_connector().args(["status", "--json", "--state-dir"]).arg(&state), "");
    assert!(status.status.success(), "{status:?}");
    assert_eq!(json(&status)["instance_id"], paired["instance_id"]);
    let doctor = run(ma_connector().args(["doctor", "--json", "--state-dir"]).arg(&state), "");
    assert!(doctor.status.success(), "{}", String::from_utf8_lossy(&doctor.stdout));

    assert!(connector.terminate().success());
    assert!(cloud.terminate().success());
    assert!(home.terminate().success());
}

/// What the person with the phone does: sign in, look at the fingerprint, press "allow".
fn approve(cloud: &str, link: &str) {
    use macloud_standalone::demo::browser::Browser;
    macloud_service_kit::tls::install_provider();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut browser = Browser::new();
        let sign_in = browser.page(&format!("{cloud}/sign-in").parse().unwrap()).await.unwrap();
        let form = sign_in.form_with("password").unwrap();
        let answers = [("email", "ann@example.org"), ("password", "correct horse battery")];
        browser.submit(&form, &answers).await.unwrap();
        let page = browser.page(&link.parse().unwrap()).await.unwrap();
        let form = page.form_with("decision").unwrap();
        browser.submit(&form, &[("decision", "allow")]).await.unwrap().page().unwrap();
    });
}

#[test]
fn mistakes_on_the_command_line_are_named() {
    let scratch = Scratch::new();
    let cases: [(&[&str], &str); 7] = [
        (&[], "Usage"),
        (&["serve", "--listen", "nowhere"], "--listen"),
        (&["serve", "--listen", "0.0.0.0:0"], "plain HTTP"),
        (&["serve", "--sign-in-per-address", "many"], "REQUESTS/SECONDS"),
        (&["demo", "--ma-url", "ws://127.0.0.1:1/ws"], "--ma-token-file"),
        (&["--config", "/nonexistent/file.toml", "serve"], "/nonexistent/file.toml"),
        (&["admin", "client", "create", "--client-id", "a b", "--redirect-uri", "https://x.example/"], "client id"),
    ];
    for (args, expected) in cases {
        let output = run(ma_cloud().args(args).current_dir(&scratch.0), "");
        assert!(!output.status.success(), "{args:?} succeeded");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains(expected), "{args:?} said {text:?}, which does not name {expected:?}");
        assert!(!text.contains("panicked"), "{text}");
    }
}

#[test]
fn a_configuration_file_and_the_environment_work_like_flags() {
    let scratch = Scratch::new();
    let file = scratch.0.join("ma-cloud.toml");
    let data = scratch.0.join("from-file");
    std::fs::write(&file, format!("[serve]\nlisten = '127.0.0.1:0'\ndata_dir = '{}'\n", data.display())).unwrap();
    let mut cloud =
        Running::start(ma_cloud().arg("--config").arg(&file).arg("serve").env("MACLOUD_ADMIN_LISTEN", "127.0.0.1:0"));
    let listening = cloud.until("listening");
    assert!(listening["admin_address"].as_str().unwrap().starts_with("127.0.0.1:"));
    assert!(cloud.terminate().success());
    assert!(data.join("ma-cloud.sqlite").exists());
}
