//! Nothing secret is kept in clear, and nothing secret or personal is logged.

use std::io;
use std::sync::{Arc, Mutex};

use macloud_account_service::DatabaseSettings;
use sqlx::{AssertSqlSafe, Connection as _};
use tracing_subscriber::fmt::MakeWriter;

use crate::harness::{Authorization, Kind, PASSWORD, World, basic, encode_form, text};
use crate::pairing::{Connector, decide};

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Captured {
    type Writer = Self;
    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// Everything in the database: texts as they are, bytes also in hexadecimal.
async fn dump(world: &World) -> Vec<u8> {
    match &world.database {
        DatabaseSettings::Sqlite(path) => {
            let beside = |suffix: &str| std::fs::read(format!("{}{suffix}", path.display())).unwrap_or_default();
            [std::fs::read(path).unwrap(), beside("-wal")].concat()
        }
        DatabaseSettings::Postgres { url, .. } => {
            let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
            let mut tables: Vec<String> =
                world.service.check_schema().await.unwrap().1.into_iter().map(|(table, _)| table).collect();
            tables.dedup();
            let mut dump = Vec::new();
            for table in tables {
                let rows: Vec<(String,)> = sqlx::query_as(AssertSqlSafe(format!("SELECT t::text FROM {table} t")))
                    .fetch_all(&mut connection)
                    .await
                    .unwrap();
                dump.extend(rows.into_iter().flat_map(|(row,)| row.into_bytes()));
            }
            dump
        }
    }
}

fn contains(haystack: &[u8], needle: &str) -> bool {
    let hex: String = needle.bytes().map(|byte| format!("{byte:02x}")).collect();
    [needle.as_bytes(), hex.as_bytes()].iter().any(|needle| haystack.windows(needle.len()).any(|part| part == *needle))
}

/// The code that a mail carries: two groups of four letters.
fn code_in(mail: &str) -> Option<String> {
    let is_group = |group: &str| group.len() == 4 && group.bytes().all(|letter| letter.is_ascii_uppercase());
    let is_code = |word: &&str| word.split_once('-').is_some_and(|(one, other)| is_group(one) && is_group(other));
    mail.split_whitespace().find(is_code).map(str::to_owned)
}

async fn use_everything(world: &World) {
    let log = Captured::default();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(log.clone()).finish();
    let guard = tracing::subscriber::set_default(subscriber);

    let mut secrets: Vec<String> = vec![PASSWORD.into()];
    let client = world.alexa().await;
    secrets.push(client.client_secret.clone().unwrap());
    let mut browser = world.person("ada@example.org").await;
    secrets.push(browser.cookie.clone().unwrap());
    let asked = Authorization::new("alexa");
    let code = browser.allow(&asked).await;
    secrets.push(asked.verifier.clone().unwrap());
    secrets.push(code.clone());
    let tokens = world.redeem(&client, &code, &asked).await.json();
    let fresh = world.refresh(&client, text(&tokens, "refresh_token")).await.json();
    for answer in [&tokens, &fresh] {
        for name in ["access_token", "refresh_token", "id_token"] {
            secrets.push(text(answer, name).into());
        }
    }
    let connector = Connector::new();
    let begun = connector.begin(world, "Pi").await;
    secrets.push(text(&begun, "device_code").into());
    secrets.push(text(&begun, "user_code").into());
    secrets.push(text(&begun, "user_code").replace('-', ""));
    decide(&mut browser, &begun, "allow").await;
    secrets.push(text(&connector.poll(world, &begun).await.json(), "access_token").into());
    // A pushed request, a second step with its recovery codes, mailed codes, a new password.
    let form: Vec<(String, String)> = asked.parameters();
    let pushed = crate::harness::raw_request("/oauth/par", &[("authorization", &basic(&client))], encode_form(&form));
    secrets.push(text(&world.send(pushed).await.json(), "request_uri").into());
    let (app, recovery_codes) = crate::second_step::turn_on(world, &mut browser).await;
    secrets.push(app.key_in_base32());
    secrets.extend(recovery_codes.iter().flat_map(|code| [code.clone(), code.replace('-', "")]));
    let mut eve = world.person("eve@example.org").await;
    secrets.push(eve.cookie.clone().unwrap());
    let page = eve.get("/security").await;
    let hidden = page.hidden_fields("/security/password").into_iter();
    secrets.extend(hidden.filter(|(name, _)| name == "form_token").map(|(_, value)| value));
    eve.submit(&page, "/security/password", &[("new_password", "another long one")]).await;
    secrets.push("another long one".into());
    let mut wrong = world.browser();
    let sign_in = wrong.get("/sign-in").await;
    wrong.submit(&sign_in, "/sign-in", &[("email", "eve@example.org"), ("password", "mistyped password")]).await;
    secrets.push("mistyped password".into());
    let mut forgetful = world.browser();
    let page = forgetful.get("/forgot").await;
    forgetful.submit(&page, "/forgot", &[("email", "eve@example.org")]).await;
    let mails = world.mails();
    let codes: Vec<String> = mails.iter().filter_map(|mail| code_in(mail)).collect();
    assert!(!codes.is_empty(), "no code came by mail");
    secrets.extend(codes.iter().flat_map(|code| [code.clone(), code.replace('-', "")]));
    // And the ways that log the most: refusals.
    world.redeem(&client, &code, &asked).await;
    world.refresh(&client, text(&fresh, "refresh_token")).await;
    let dumped = dump(world).await;
    world.lose_database().await;
    world.refresh(&client, text(&fresh, "refresh_token")).await;
    drop(guard);

    let key = std::fs::read_to_string(&world.config.key_file).unwrap();
    secrets.push(key);
    let log = log.0.lock().unwrap().clone();
    assert!(contains(&log, "linked") && contains(&log, "used twice") && contains(&log, "did not answer"));
    for secret in &secrets {
        assert!(!contains(&dumped, secret), "{}… is in the database", &secret[..6]);
        assert!(!contains(&log, secret), "{}… is in the log", &secret[..6]);
    }
    assert!(!contains(&log, "@example.org"), "an address is in the log");
    assert!(contains(&dumped, "ada@example.org"), "the dump is empty");
}

// One thread each: the log is captured for the current thread.
#[tokio::test]
async fn nothing_leaks_on_sqlite() {
    World::with(Kind::Sqlite, use_everything).await;
}

#[tokio::test]
async fn nothing_leaks_on_postgres() {
    World::with(Kind::Postgres, use_everything).await;
}

#[cfg(unix)]
#[tokio::test]
async fn the_key_file_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    World::with(Kind::Sqlite, async |world| {
        let mode = std::fs::metadata(&world.config.key_file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    })
    .await;
}
