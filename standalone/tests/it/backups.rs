//! Everything is lost but a backup: what was linked and paired when it was made goes on, whatever happened since.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use macloud_standalone::demo::browser::Browser;
use macloud_standalone::demo::pretend_alexa::PretendAlexa;
use serde_json::Value;

use crate::authorities::{Accounts, Kind, text};
use crate::processes::{EMAIL, PASSWORD, PairedHome, REDIRECT_URI, Scratch, json, ma_cloud, run};
use crate::support::{eventually, verdict};

/// `ma-cloud admin backup` with these flags.
fn backup(verb: &str, data_dir: &Path, passphrase: &Path, flags: &[(&str, &Path)]) -> Output {
    let mut command = ma_cloud();
    command.args(["admin", "backup", verb, "--json", "--data-dir"]).arg(data_dir);
    command.arg("--passphrase-file").arg(passphrase);
    for (flag, path) in flags {
        command.arg(flag).arg(path);
    }
    run(&mut command, "")
}

fn says(output: &Output, what: &str) {
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && told.contains(what), "{told}");
}

async fn discovered(alexa: &PretendAlexa) -> Value {
    let found = async || {
        let answer = alexa.send_directive(&alexa.discover()).await.unwrap();
        let is_empty = answer["event"]["payload"]["endpoints"].as_array().is_none_or(Vec::is_empty);
        if is_empty { Value::Null } else { answer }
    };
    eventually(Duration::from_secs(30), "Discover.Response", found).await
}

#[tokio::test(flavor = "multi_thread")]
async fn links_and_homes_outlive_the_loss_of_all_but_a_backup() {
    let accounts = Accounts::new(Kind::Sqlite).await.unwrap();
    let url = accounts.front.url.clone();
    let scratch = Scratch::new();
    let (passphrase, file) = (scratch.0.join("passphrase"), scratch.0.join("backup"));
    std::fs::write(&passphrase, "correct horse battery staple\n").unwrap();
    let create = ["client", "create", "--client-id", "alexa", "--redirect-uri", REDIRECT_URI];
    let client = accounts.admin(&create, "");
    let public = accounts.app("public", &["--public"]);

    let (mut cloud, address) = accounts.start();
    accounts.front.lead_to(vec![address]);
    let mut home = PairedHome::new(&scratch.0, &url, None, Stdio::null()).await;
    let mut alexa = home.link(&url, &client).await;
    let code = accounts.consent(&mut home.browser, &public).await.unwrap();
    let at_backup = public.redeem(&url, &code).await.unwrap().1;

    // Beside the running cloud.
    let made = json(&backup("create", &accounts.data_dir(), &passphrase, &[("--out", &file)]));
    assert_eq!((made["people"].as_i64(), made["homes"].as_i64(), made["links"].as_i64()), (Some(1), Some(1), Some(2)));
    assert_eq!(made["files"], "account-service.key, skill-keys.json, ma-cloud.sqlite");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let sealed = std::fs::read(&file).unwrap();
    assert!(!sealed.windows(EMAIL.len()).any(|window| window == EMAIL.as_bytes()), "it is not sealed");
    says(&backup("create", &accounts.data_dir(), &passphrase, &[("--out", &file)]), "is there already");
    let left = std::fs::read_dir(&scratch.0)
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with(".ma-cloud-backup"));
    assert_eq!(left.count(), 0, "what is not sealed does not stay");

    // What happens after it is lost.
    for _ in 0..3 {
        alexa.refresh().await.unwrap();
    }
    assert_eq!(verdict(&discovered(&alexa).await), "Discover.Response");
    let spent = text(&at_backup, "refresh_token");
    assert_eq!(public.refresh(&url, &spent).await.unwrap().0, 200);
    says(&backup("restore", &accounts.data_dir(), &passphrase, &[("--in", &file)]), "nothing is restored over a cloud");
    cloud.child.kill().unwrap();
    cloud.child.wait().unwrap();
    accounts.front.lead_to(Vec::new());
    std::fs::remove_dir_all(accounts.data_dir()).unwrap();

    let another = scratch.0.join("another");
    std::fs::write(&another, "another passphrase of the kind\n").unwrap();
    says(&backup("restore", &accounts.data_dir(), &another, &[("--in", &file)]), "the passphrase is another");
    assert!(!accounts.data_dir().join("account-service.key").exists());
    let checked = json(&backup("verify", &accounts.data_dir(), &passphrase, &[("--in", &file)]));
    assert_eq!(checked["made_at"], made["made_at"]);
    let restored = json(&backup("restore", &accounts.data_dir(), &passphrase, &[("--in", &file)]));
    assert_eq!(restored["sessions_ended"].as_i64(), Some(1));
    for name in ["account-service.key", "skill-keys.json", "ma-cloud.sqlite"] {
        let mode = std::fs::metadata(accounts.data_dir().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }

    let (cloud, address) = accounts.start();
    accounts.front.lead_to(vec![address]);
    // Alexa comes with an access token that nobody knows any more, and fetches another with one that nobody knows either.
    let answer = alexa.send_directive(&alexa.discover()).await.unwrap();
    assert_eq!(verdict(&answer), "ErrorResponse EXPIRED_AUTHORIZATION_CREDENTIAL");
    alexa.refresh().await.unwrap();
    assert_eq!(verdict(&discovered(&alexa).await), "Discover.Response", "the home comes back by itself, with its keys");
    alexa.refresh().await.unwrap();
    // What was spent is not good again, though this database believes that it never was.
    assert_eq!(public.refresh(&url, &spent).await.unwrap().0, 400);
    let page = home.browser.page(&format!("{url}/security").parse().unwrap()).await.unwrap();
    assert_eq!(page.url.path(), "/sign-in", "she must sign in again");
    let mut browser = Browser::new();
    let page = browser.page(&format!("{url}/sign-in").parse().unwrap()).await.unwrap();
    let form = page.form_with("password").unwrap();
    browser.submit(&form, &[("email", EMAIL), ("password", PASSWORD)]).await.unwrap().page().unwrap();
    let audit = accounts.admin(&["audit", "--kind", "backup"], "");
    assert_eq!(audit[0]["action"], "backup.restored");
    assert!(cloud.terminate().success());
    drop(home);
    accounts.finish().await;
}

/// `infra/backup` with these arguments.
fn infra_backup(args: &[&str]) -> String {
    let output = run(Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../infra/backup")).args(args), "");
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_outlives_the_restore_of_a_dump_of_postgres() {
    let Some(accounts) = Accounts::new(Kind::Postgres).await else { return };
    let url = accounts.front.url.clone();
    let app = accounts.app("alexa", &[]);
    let (mut process, address) = accounts.start();
    accounts.front.lead_to(vec![address]);
    let mut browser = accounts.browser().await;
    let code = accounts.consent(&mut browser, &app).await.unwrap();
    let mut token = text(&app.redeem(&url, &code).await.unwrap().1, "refresh_token");
    let scratch = Scratch::new();
    let dump = scratch.0.join("dump").display().to_string();
    infra_backup(&["dump", "--database-url", accounts.database_url(), "--out", &dump]);
    for _ in 0..2 {
        token = text(&app.refresh(&url, &token).await.unwrap().1, "refresh_token");
    }
    process.child.kill().unwrap();
    process.child.wait().unwrap();
    accounts.lose_database().await;

    infra_backup(&["restore-dump", "--in", &dump, "--database-url", accounts.database_url()]);
    assert_eq!(accounts.admin(&["backup", "examine"], "")["links"].as_i64(), Some(1));
    assert_eq!(accounts.admin(&["backup", "mark-restored"], "")["sessions_ended"].as_i64(), Some(1));
    let (process, address) = accounts.start();
    accounts.front.lead_to(vec![address]);
    let (status, answer) = app.refresh(&url, &token).await.unwrap();
    assert_eq!(status, 200, "{answer}");
    assert!(app.is_active(&url, &text(&answer, "access_token")).await);
    assert!(process.terminate().success());
    accounts.finish().await;
}

/// A server of its own, whose log is archived.
const POINT_IN_TIME: &str = r#"
bin=$(ls -d /usr/lib/postgresql/*/bin | tail -n 1); as=
[ $(id -u) -ne 0 ] || { as='setpriv --reuid=postgres --regid=postgres --clear-groups --'; chown postgres:postgres "$DIR"; }
$as mkdir "$DIR/archive" "$DIR/socket"
$as $bin/initdb -D "$DIR/pg" -U macloud -A trust --no-sync >/dev/null
serve() {
    $as $bin/pg_ctl -w -D "$1" -l "$DIR/log" start -o "-c listen_addresses= -c unix_socket_directories=$DIR/socket         -c fsync=off ${2-}" >/dev/null || { tail "$DIR/log"; exit 1; }
}
ask() { $bin/psql -q -A -t -h "$DIR/socket" -U macloud -d postgres -c "$1"; }
serve "$DIR/pg" "-c archive_mode=on -c archive_command='cp %p $DIR/archive/%f'"
ask "CREATE TABLE kept (n INT); INSERT INTO kept VALUES (1)"
$as "$BACKUP" base --database-url "postgres://macloud@/postgres?host=$DIR/socket" --out "$DIR/base"
ask "INSERT INTO kept VALUES (2)"
until=$(ask "SELECT clock_timestamp()")
ask "SELECT pg_sleep(0.1); INSERT INTO kept VALUES (3)"
ask "SELECT pg_switch_wal()" >/dev/null
$as $bin/pg_ctl -D "$DIR/pg" -m fast -w stop >/dev/null
$as "$BACKUP" restore-base --in "$DIR/base" --log "$DIR/archive" --until "$until" --data-dir "$DIR/restored" >/dev/null
serve "$DIR/restored"
ask "SELECT string_agg(n::text, ' ' ORDER BY n) FROM kept"
$as $bin/pg_ctl -D "$DIR/restored" -m immediate -w stop >/dev/null
"#;

#[test]
fn a_server_of_postgres_comes_back_as_it_was_at_a_time() {
    if std::env::var_os("MACLOUD_TEST_EMBEDDED_ONLY").is_some() {
        return;
    }
    let scratch = Scratch::new();
    let dir = scratch.0.join("server");
    std::fs::create_dir(&dir).unwrap();
    let mut script = Command::new("bash");
    script.args(["-euc", POINT_IN_TIME]).env("DIR", &dir);
    // Whoever PostgreSQL runs as may not be able to read where this is.
    let backup = scratch.0.join("backup");
    std::fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/../infra/backup"), &backup).unwrap();
    let output = run(script.env("BACKUP", &backup), "");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "1 2");
}
