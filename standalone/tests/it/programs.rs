//! The two programs as somebody runs them: flags, environment, files, output and exit codes.

use std::path::Path;
use std::process::Command;

use macloud_standalone::demo::browser::Browser;

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
        (&["--config", "/nonexistent/file.toml", "serve"], "/nonexistent/file.toml"),
        (&["admin", "client", "create", "--client-id", "a b", "--redirect-uri", "https://x.example/"], "client id"),
        (&["serve", "--listen", "0.0.0.0:0", "--behind-proxy"], "--client-address-header"),
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
    for (args, expected) in cases {
        let output = run(ma_cloud().args(*args).current_dir(&scratch.0), "");
        assert!(!output.status.success(), "{args:?} succeeded");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains(expected), "{args:?} said {text:?}, which does not name {expected:?}");
        assert!(!text.contains("panicked"), "{text}");
    }
}

#[test]
fn the_demo_says_what_is_wrong_with_a_music_assistant() {
    let scratch = Scratch::new();
    let token = scratch.0.join("token");
    std::fs::write(&token, "not-the-token").unwrap();
    let mut home = Running::start(ma_cloud().args(["home", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"]));
    let real = home.until("listening")["ws_url"].as_str().unwrap().to_owned();
    let cases =
        [("ws://127.0.0.1:1/ws", "Music Assistant does not answer"), (&real, "Music Assistant refuses the token")];
    for (url, expected) in cases {
        let output =
            run(ma_cloud().args(["demo", "--once", "--json", "--ma-url", url, "--ma-token-file"]).arg(&token), "");
        assert_eq!(output.status.code(), Some(1));
        let failed = json(&output)["failed"].as_str().unwrap().to_owned();
        assert!(failed.contains(expected), "{url}: {failed}");
    }
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
    let made = admin(&["user", "create", "--email", "ann@example.org", "--password-stdin"]);
    assert!(made.status.success() && String::from_utf8_lossy(&made.stderr).contains("making one"));
    assert!(String::from_utf8_lossy(&admin(&["user", "list"]).stdout).contains("ann@example.org"));
    let rotated = json(&admin(&["keys", "rotate", "--json"]));
    let listed = json(&admin(&["keys", "list", "--json"]));
    assert_eq!((listed[0]["signs"].as_bool(), listed[1]["signs"].as_bool()), (Some(true), Some(false)));
    assert_eq!(listed[1]["id"], rotated["key_id"]);
}
