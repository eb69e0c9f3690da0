//! The two programs as somebody runs them: flags, environment, files, output and exit codes.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use macloud_alexa_skill::package::LOCALES;
use macloud_standalone::demo::browser::Browser;
use serde_json::Value;

use crate::processes::{self, EMAIL, PASSWORD, Running, Scratch, json, ma_cloud, ma_connector, run};

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
    let password = format!("{PASSWORD}\n");
    let user = json(&admin(&["user", "create", "--email", EMAIL, "--password-stdin"], &password));
    assert_eq!(user["account_id"].as_str().unwrap().len(), 26);
    let again = admin(&["user", "create", "--email", EMAIL, "--password-stdin"], &password);
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
    macloud_service_kit::tls::install_provider();
    tokio::runtime::Runtime::new().unwrap().block_on(processes::approve(
        &mut Browser::new(),
        &url,
        code["verification_uri_complete"].as_str().unwrap(),
    ));
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
    let whole_way =
        json(&doctor)["checks"].as_array().unwrap().iter().find(|check| check["name"] == "end to end").cloned();
    assert!(whole_way.is_some_and(|check| check["detail"].as_str().unwrap().contains("its answer went back")));

    assert!(connector.terminate().success());
    assert!(cloud.terminate().success());
    assert!(home.terminate().success());
}

#[test]
fn mistakes_on_the_command_line_are_named() {
    let scratch = Scratch::new();
    let cases: &[(&[&str], &str)] = &[
        (&[], "Usage"),
        (&["serve", "--listen", "nowhere"], "--listen"),
        (&["serve", "--listen", "0.0.0.0:0"], "plain HTTP"),
        (&["serve", "--sign-in-per-address", "many"], "REQUESTS/SECONDS"),
        (&["serve", "--code-seconds", "0"], "invalid value '0' for '--code-seconds <SECONDS>': 0 is not in 1..=600"),
        (&["serve", "--default-access-token-seconds", "359"], "360..=2592000"),
        (&["demo", "--ma-url", "ws://127.0.0.1:1/ws"], "--ma-token-file"),
        (&["demo", "--ma-url", "ftp://127.0.0.1:1", "--ma-token-file", "t"], "http://HOST:8095"),
        (&["serve", "--alexa-skill-id", ""], "--alexa-skill-id"),
        (&["serve", "--tls-cert", "empty.pem", "--tls-key", "empty.pem"], "empty.pem holds no certificate"),
        (&["serve", "--mail-server-file", "nowhere", "--mail-from", "a@example.org"], "--mail-server-file nowhere"),
        (
            &["serve", "--tls-cert", "c.pem", "--tls-key", "k.pem", "--public-url", "http://localhost:9443"],
            "give https://localhost:9443",
        ),
        (&["serve", "--acme", "--public-url", "https://music.example.org"], "--acme needs --acme-terms-agreed"),
        (&["serve", "--acme", "--acme-terms-agreed"], "--acme needs --public-url https://NAME"),
        (&["serve", "--acme", "--acme-terms-agreed", "--public-url", "https://192.0.2.1"], "not for an address"),
        (&["serve", "--acme", "--acme-terms-agreed", "--public-url", "https://localhost"], "no authority can reach"),
        (&["serve", "--acme", "--public-url", "http://music.example.org"], "give https://music.example.org"),
        (&["serve", "--acme", "--behind-proxy"], "--acme does not go with --behind-proxy"),
        (&["serve", "--acme", "--tls-cert", "c.pem", "--tls-key", "k.pem"], "leave one of them out"),
        (
            &["admin", "mail", "test", "--to", "ann@example.org", "--data-dir", "nowhere"],
            "there is no MA Cloud database",
        ),
        (&["--config", "/nonexistent/file.toml", "serve"], "/nonexistent/file.toml"),
        (&["admin", "client", "create", "--client-id", "a b", "--redirect-uri", "https://x.example/"], "client id"),
        (&["serve", "--listen", "0.0.0.0:0", "--behind-proxy"], "--client-address-header"),
        (
            &["serve", "--listen", "127.0.0.1:0", "--client-address-header", "x-forwarded-for"],
            "goes with --behind-proxy",
        ),
        (
            &["serve", "--listen", "127.0.0.1:0", "--public-url", "https://x.example/path"],
            "--public-url \"https://x.example/path\" cannot be used",
        ),
        (
            &["serve", "--tls-cert", "/nonexistent/c.pem", "--tls-key", "k.pem"],
            "--tls-cert and --tls-key cannot be used: cannot read the certificate chain from /nonexistent/c.pem",
        ),
        (&["admin", "user", "show"], "--email"),
        (&["admin", "client", "create", "--client-id", "x"], "--redirect-uri"),
        (&["admin", "client", "create", "--client-id", "x", "--own-scope", "openid"], "ma_cloud.admin"),
        (
            &[
                "admin",
                "client",
                "create",
                "--client-id",
                "x",
                "--own-scope",
                "ma_cloud.admin",
                "--jwks-file",
                "/nonexistent/k",
            ],
            "--jwks-file /nonexistent/k",
        ),
        (
            &[
                "serve",
                "--listen",
                "0.0.0.0:0",
                "--behind-proxy",
                "--client-address-header",
                "x-forwarded-for",
                "--public-url",
                "https://x.example",
                "--dangerous-request-clock",
                "7",
            ],
            "refusing the dangerous settings",
        ),
        (&["demo", "--simulator-listen", "192.0.2.1:80"], "--simulator-listen"),
        (
            &["home", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", "--ma-token-file", "/nonexistent/t"],
            "/nonexistent/t",
        ),
    ];
    std::fs::write(scratch.0.join("empty.pem"), "").unwrap();
    for (args, expected) in cases {
        let output = run(ma_cloud().args(*args).current_dir(&scratch.0), "");
        assert!(!output.status.success(), "{args:?} succeeded");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains(expected), "{args:?} said {text:?}, which does not name {expected:?}");
        assert!(!text.contains("panicked"), "{text}");
        if args.contains(&"--mail-server-file") {
            assert_eq!(text.matches("(os error 2)").count(), 1, "{text}");
        }
    }
}

#[test]
fn an_answer_that_nobody_reads_is_no_failure() {
    let scratch = Scratch::new();
    let mut create = ma_cloud();
    create.args(["admin", "skill-keys", "create", "--out"]).arg(scratch.0.join("keys"));
    let mut child = create.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let ended = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(ended.status.success() && !said.contains("panicked"), "{said}");
}

#[test]
fn the_demo_says_what_is_wrong_with_a_music_assistant() {
    let scratch = Scratch::new();
    let token = scratch.0.join("token");
    std::fs::write(&token, "not-the-token").unwrap();
    let mut home = Running::start(ma_cloud().args(["home", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"]));
    let real = home.until("listening")["ws_url"].as_str().unwrap().to_owned();
    // As the browser has it, and as its API does.
    let in_browser = real.replace("ws://", "http://").replace("/ws", "");
    let cases = [
        ("127.0.0.1:1", "Music Assistant does not answer"),
        (&real, "Music Assistant refuses the token"),
        (&in_browser, "Music Assistant refuses the token"),
    ];
    for (url, expected) in cases {
        let output =
            run(ma_cloud().args(["demo", "--once", "--json", "--ma-url", url, "--ma-token-file"]).arg(&token), "");
        assert_eq!(output.status.code(), Some(1));
        let failed = json(&output)["failed"].as_str().unwrap().to_owned();
        assert!(failed.contains(expected), "{url}: {failed}");
        // What is called here is no connector.
        assert!(!failed.contains("ma-connector"), "{url}: {failed}");
    }
}

/// What is said in every language leads to what stands there, and what does not is named.
#[test]
fn the_demo_does_what_a_script_says_and_tells_what_is_not_as_expected() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts/every-language.jsonl");
    let logged = ["--log", "warn,macloud_alexa_skill=info", "--log-format", "json"];
    let output = run(ma_cloud().args(["demo", "--json", "--script"]).arg(&script).args(logged), "");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (end, lines) = lines.split_last().expect("something is told");
    let failed: Vec<String> = lines
        .iter()
        .filter(|line| line["ok"] != true)
        .map(|line| format!("line {}, {}: {}", line["line"], line["heard"], line["failed"]))
        .collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert!(output.status.success(), "{end} {}", String::from_utf8_lossy(&output.stderr));
    assert_eq!((&end["ok"], end["lines"].as_u64()), (&Value::Bool(true), Some(lines.len() as u64)));
    for locale in LOCALES {
        assert!(lines.iter().any(|line| line["locale"] == locale), "{locale}");
    }
    let played = lines.iter().find(|line| line["request"]["request"]["intent"]["name"] == "PlayMediaIntent").unwrap();
    assert!(played["hops"].as_array().unwrap().iter().any(|hop| hop["step"] == "open, execute"), "{played}");
    assert_eq!(played["players"].as_array().unwrap().len(), 3);
    every_code_on_a_card_leads_to_the_hops(lines, &String::from_utf8_lossy(&output.stderr));

    let scratch = Scratch::new();
    let wrong = scratch.0.join("wrong.jsonl");
    std::fs::write(&wrong, "{\"intent\": \"AMAZON.CancelIntent\", \"expect\": {\"speech\": [\"Hello\"]}}\n").unwrap();
    let output = run(ma_cloud().args(["demo", "--script"]).arg(&wrong), "");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("NOT AS EXPECTED: \"Hello\" is not in what is said: \"Goodbye.\""), "{said}");
    std::fs::write(&wrong, "{\"sya\": \"stop\"}").unwrap();
    let output = run(ma_cloud().args(["demo", "--script"]).arg(&wrong), "");
    assert!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains("line 1"), "{output:?}");
}

#[test]
fn the_demo_says_how_to_make_its_music_assistant_fail() {
    use std::io::BufRead as _;
    let mut command = ma_cloud();
    command.args(["demo", "--simulator-listen", "127.0.0.1:0"]).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut demo = command.stderr(Stdio::null()).spawn().unwrap();
    let mut lines = std::io::BufReader::new(demo.stdout.take().unwrap()).lines().map(Result::unwrap);
    let told: Vec<String> = lines.by_ref().take_while(|line| !line.starts_with("The account's pages")).collect();
    // As they stand there, in the shell of a person.
    let typed = told.iter().filter_map(|line| Some(format!("curl -fsS{}", line.strip_prefix("  curl")?)));
    let done: Vec<_> = typed.map(|line| (Command::new("sh").args(["-c", &line]).output().unwrap(), line)).collect();
    assert!(Command::new("kill").args(["-TERM", &demo.id().to_string()]).status().unwrap().success());
    assert!(demo.wait().unwrap().success());
    assert_eq!(done.len(), 3, "{told:?}");
    for (output, line) in done {
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// Whoever is quoted what stands on a card finds what became of it in the skill's log.
fn every_code_on_a_card_leads_to_the_hops(lines: &[Value], log: &str) {
    let log: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let cards = lines.iter().filter_map(|line| line["response"]["response"]["card"]["content"].as_str());
    let codes: Vec<&str> = cards.filter_map(|card| Some(card.split_once("\n\n")?.1.rsplit_once(": ")?.1)).collect();
    let mut at_home = 0;
    for code in codes {
        let line = log.iter().find(|line| line["command.code"] == code).unwrap_or_else(|| panic!("{code}: {log:#?}"));
        let has = |hop: &str| line[format!("{hop}_ms")].is_u64();
        for hop in ["verify", "resolve", "seal", "dispatch", "total"] {
            assert!(has(hop), "{hop}: {line:#}");
        }
        // Some fail before anything is sent to a home.
        if has("home") {
            at_home += 1;
            assert!(has("queue_wait") && has("link"), "{line:#}");
        }
    }
    assert!(at_home > 1, "some fail at home");
}

fn serve(data_dir: &Path) -> Command {
    let mut command = ma_cloud();
    command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(data_dir);
    command
}

#[test]
fn one_data_directory_is_one_cloud_and_is_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let scratch = Scratch::new();
    let data = scratch.0.join("data");
    let mut cloud = Running::start(&mut serve(&data));
    cloud.until("listening");
    let second = run(&mut serve(&data), "");
    assert_eq!(second.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&second.stderr).contains("another ma-cloud serve uses the data directory"));
    for entry in std::fs::read_dir(&data).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert!(entry.file_name() == "serve.lock" || mode & 0o077 == 0, "{:?} has mode {mode:o}", entry.file_name());
    }
    assert!(cloud.terminate().success());
}

#[test]
fn what_opens_only_through_a_proxy_is_said_to() {
    let told = |public_url: &[&str]| {
        let scratch = Scratch::new();
        let log = scratch.0.join("log");
        let mut command = serve(&scratch.0.join("data"));
        let mut cloud = Running::logging(command.args(public_url), std::fs::File::create(&log).unwrap().into());
        let address = cloud.until("listening")["address"].as_str().unwrap().to_owned();
        assert!(cloud.terminate().success());
        (std::fs::read_to_string(log).unwrap(), address)
    };
    let (said, address) = told(&["--public-url", "https://localhost:9443"]);
    assert!(said.contains(&format!("plain HTTP on {address}: https://localhost:9443 opens once a proxy")), "{said}");
    assert!(!said.contains("in a browser"), "{said}");
    let (said, address) = told(&[]);
    assert!(
        said.contains(&format!("open http://{address} in a browser")) && !said.contains("proxy in front"),
        "{said}"
    );
}

#[test]
fn a_database_without_its_key_file_is_left_alone() {
    let scratch = Scratch::new();
    let data = scratch.0.join("data");
    let mut cloud = Running::start(&mut serve(&data));
    cloud.until("listening");
    assert!(cloud.terminate().success());
    let (key, aside) = (data.join("account-service.key"), scratch.0.join("aside"));
    std::fs::rename(&key, &aside).unwrap();
    for command in [&mut serve(&data), ma_cloud().args(["admin", "user", "list", "--data-dir"]).arg(&data)] {
        let refused = run(command, "");
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(1), "{said}");
        assert!(said.contains("account-service.key is missing") && said.contains("restore it"), "{said}");
        assert!(!key.exists(), "a wrong one would hide that the right one is missing");
    }
    std::fs::rename(&aside, &key).unwrap();
    let mut cloud = Running::start(&mut serve(&data));
    cloud.until("listening");
    assert!(cloud.terminate().success());
}

#[test]
fn keys_without_their_database_are_noticed() {
    let scratch = Scratch::new();
    let data = scratch.0.join("data");
    let mut cloud = Running::start(&mut serve(&data));
    cloud.until("listening");
    assert!(cloud.terminate().success());
    for name in ["ma-cloud.sqlite", "ma-cloud.sqlite-wal", "ma-cloud.sqlite-shm"] {
        // The last two are there only while it runs.
        let _ = std::fs::remove_file(data.join(name));
    }
    let log = scratch.0.join("log");
    let mut cloud = Running::logging(&mut serve(&data), std::fs::File::create(&log).unwrap().into());
    cloud.until("listening");
    assert!(cloud.terminate().success());
    let said = std::fs::read_to_string(&log).unwrap();
    assert!(said.contains("there are keys here, but no database"), "{said}");
}

#[test]
fn the_simulated_home_keeps_its_token() {
    let scratch = Scratch::new();
    let file = scratch.0.join("token");
    let token = || {
        let mut command = ma_cloud();
        command.args(["home", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", "--ma-token-file"]).arg(&file);
        Running::start(&mut command).until("listening")["token"].as_str().unwrap().to_owned()
    };
    assert_eq!(token(), token());
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

#[test]
fn admin_verbs_do_not_make_a_cloud_where_none_is_unless_they_create() {
    let scratch = Scratch::new();
    let mistyped = scratch.0.join("mistyped");
    let admin =
        |args: &[&str]| run(ma_cloud().arg("admin").args(args).arg("--data-dir").arg(&mistyped), "long enough\n");
    for verb in [
        &["user", "list"][..],
        &["user", "suspend", "--email", "ann@example.org"],
        &["client", "list"],
        &["client", "delete", "--client-id", "alexa"],
        &["keys", "rotate"],
    ] {
        let refused = admin(verb);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(1), "{verb:?}: {said}");
        assert!(said.contains("mistyped") && said.contains("ma-cloud serve"), "{said}");
        assert!(!mistyped.exists(), "{verb:?} made something");
    }
    for impossible in [
        &["user", "create", "--email", "nonsense", "--password-stdin"][..],
        &["client", "create", "--client-id", "a b", "--redirect-uri", "https://x.example/"],
        &["client", "create", "--client-id", "a", "--redirect-uri", "http://x.example/"],
    ] {
        assert_eq!(admin(impossible).status.code(), Some(1), "{impossible:?}");
        assert!(!mistyped.exists(), "{impossible:?} made something");
    }
    let mut short = ma_cloud();
    short
        .args(["admin", "user", "create", "--email", "ann@example.org", "--password-stdin", "--data-dir"])
        .arg(&mistyped);
    assert_eq!(run(&mut short, "short\n").status.code(), Some(1));
    assert!(!mistyped.exists(), "a password that is too short made something");
    let made = admin(&["user", "create", "--email", "ann@example.org", "--password-stdin"]);
    assert!(made.status.success() && String::from_utf8_lossy(&made.stderr).contains("making one"));
    for created in [made, admin(&["user", "create", "--email", "ben@example.org", "--password-stdin"])] {
        let said = String::from_utf8_lossy(&created.stdout).into_owned();
        assert!(said.contains(mistyped.join("ma-cloud.sqlite").to_str().unwrap()), "{said}");
    }
    assert!(String::from_utf8_lossy(&admin(&["user", "list"]).stdout).contains("ann@example.org"));
    let given = json(&admin(&["plan", "set", "--email", "ann@example.org", "--plan", "foo", "--json"]));
    assert!(given["note"].as_str().is_some_and(|note| note.contains("only serve knows")), "{given}");
    let rotated = json(&admin(&["keys", "rotate", "--json"]));
    let listed = json(&admin(&["keys", "list", "--json"]));
    assert_eq!((listed[0]["signs"].as_bool(), listed[1]["signs"].as_bool()), (Some(true), Some(false)));
    assert_eq!(listed[1]["id"], rotated["key_id"]);
}

/// Somebody who may look into nothing of ours, if there can be one: only root can become another user.
fn as_somebody_else(command: &mut Command) -> Option<&mut Command> {
    use std::os::unix::process::CommandExt as _;
    let is_root = rustix::process::geteuid().is_root();
    is_root.then(|| command.uid(65_534).gid(65_534).current_dir("/"))
}

#[test]
fn a_data_directory_of_another_user_is_not_taken_for_an_empty_one() {
    use std::os::unix::fs::PermissionsExt as _;
    let scratch = Scratch::new();
    let program = scratch.0.join("ma-cloud");
    std::fs::copy(env!("CARGO_BIN_EXE_ma-cloud"), &program).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::set_permissions(&scratch.0, std::fs::Permissions::from_mode(0o755)).unwrap();
    let data = scratch.0.join("data");
    let mut cloud = Running::start(&mut serve(&data));
    cloud.until("listening");
    assert!(cloud.terminate().success());
    for verb in [
        &["admin", "user", "list"][..],
        &["admin", "user", "create", "--email", "ann@example.org", "--password-stdin"],
        &["serve", "--listen", "127.0.0.1:0"],
    ] {
        let mut command = Command::new(&program);
        command.args(verb).arg("--data-dir").arg(&data);
        let Some(command) = as_somebody_else(&mut command) else { return };
        let refused = run(command, "long enough\n");
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(1), "{said}");
        assert!(said.contains("sudo -u '#0'") && !said.contains("there is no MA Cloud"), "{said}");
    }
}

#[test]
fn a_mail_server_that_is_away_is_found_out_before_anybody_waits_for_a_code() {
    let scratch = Scratch::new();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let file = scratch.0.join("mail-server");
    std::fs::write(&file, format!("smtps://user:secret-word@{free}")).unwrap();
    let with_mail = |command: &mut Command| {
        let mail = ["--mail-from", "cloud@example.org", "--mail-server-file", file.to_str().unwrap()];
        run(command.args(mail), "")
    };
    let tried = with_mail(ma_cloud().args(["admin", "mail", "test", "--to", "ann@example.org"]));
    let said = String::from_utf8_lossy(&tried.stderr).into_owned();
    assert_eq!(tried.status.code(), Some(1), "{said}");
    assert!(said.contains(&free.to_string()) && said.contains("no connection"), "{said}");
    assert!(!said.contains("secret-word"), "{said}");

    let data = scratch.0.join("data");
    json(&run(
        ma_cloud()
            .args(["admin", "client", "create", "--json", "--client-id", "a", "--redirect-uri", "https://x.example/"])
            .arg("--data-dir")
            .arg(&data),
        "",
    ));
    let written = run(
        ma_cloud().args(["admin", "mail", "test", "--json", "--to", "ann@example.org", "--data-dir"]).arg(&data),
        "",
    );
    let path = json(&written)["written_to"].as_str().unwrap().to_owned();
    assert!(std::fs::read_to_string(path).unwrap().contains("To: ann@example.org"));
}

/// A terminal, and a program with it as its standard input. What the person there sees comes out of the first.
fn at_a_terminal(command: &mut Command) -> (std::fs::File, std::process::Child) {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let person = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&person).unwrap();
    unlockpt(&person).unwrap();
    let name = ptsname(&person, Vec::new()).unwrap();
    let terminal = std::fs::OpenOptions::new().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    let child = command.stdin(terminal.try_clone().unwrap()).stdout(Stdio::piped()).stderr(terminal).spawn().unwrap();
    (person.into(), child)
}

/// What stands on the terminal once this has appeared there.
fn shown(terminal: &mut std::fs::File, until: &str) -> String {
    let mut text = String::new();
    while !text.contains(until) {
        let mut part = [0; 256];
        let count = terminal.read(&mut part).unwrap();
        text.push_str(&String::from_utf8_lossy(&part[..count]));
    }
    text
}

#[test]
fn a_person_at_a_terminal_is_asked_and_their_password_is_not_shown() {
    let scratch = Scratch::new();
    let data = scratch.0.join("data");
    let admin = |args: &[&str]| {
        let mut command = ma_cloud();
        command.arg("admin").args(args).arg("--data-dir").arg(&data).args(["--log", "error"]);
        command
    };
    let mut create = admin(&["user", "create", "--email", EMAIL, "--password-stdin"]);
    let (mut terminal, mut child) = at_a_terminal(&mut create);
    drop(create);
    shown(&mut terminal, "Password");
    writeln!(terminal, "{PASSWORD}").unwrap();
    assert!(child.wait().unwrap().success());
    let mut after = [0; 1024];
    let count = terminal.read(&mut after).unwrap_or_default();
    let after = String::from_utf8_lossy(&after[..count]).into_owned();
    assert!(!after.contains(PASSWORD), "{after}");

    let is_there = || String::from_utf8_lossy(&run(&mut admin(&["user", "list"]), "").stdout).contains(EMAIL);
    for (answer, stays) in [("no", true), ("yes", false)] {
        let mut delete = admin(&["user", "delete", "--email", EMAIL]);
        let (mut terminal, mut child) = at_a_terminal(&mut delete);
        drop(delete);
        shown(&mut terminal, "Type yes");
        writeln!(terminal, "{answer}").unwrap();
        assert_eq!(child.wait().unwrap().success(), !stays);
        assert_eq!(is_there(), stays);
    }
}
