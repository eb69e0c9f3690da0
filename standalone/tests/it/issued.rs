//! The cloud as a process of its own, logging and tracing all it can: no secret that it ever gave out or was shown, and no address,
//! is in what it tells operators; and no secret is in its database in clear.
//!
//! What was given out is not listed by hand: everything between the cloud and its callers passes through here in clear.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use macloud_service_kit::clock;
use macloud_service_kit::stop::Stop;
use macloud_standalone::demo::browser::{Browser, Page};
use ring::hmac;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::canary_processes::Collector;
use crate::processes::{EMAIL, PASSWORD, PairedHome, REDIRECT_URI, Running, Scratch, json, ma_cloud, run};

const NEW_PASSWORD: &str = "another horse, another battery";
const MISTYPED: &str = "mistyped horse";
const WEBHOOK_SECRET: &str = "whsec_of_this_test";

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_given_out_is_in_no_span_log_metric_or_database() {
    macloud_service_kit::tls::install_provider();
    let scratch = Scratch::new();
    let path = |name: &str| scratch.0.join(name);
    let stop = Stop::new();
    let collector = Collector::start(&stop).await;
    let wire = Wire::bind().await;
    let url = wire.url.clone();
    std::fs::write(path("webhook"), WEBHOOK_SECRET).unwrap();
    let log = std::fs::File::create(path("cloud.log")).unwrap();
    let mut cloud = Running::logging(
        ma_cloud()
            .args(["serve", "--listen", "127.0.0.1:0", "--public-url", &url, "--pairing-poll-seconds", "1"])
            .args(["--sign-up", "confirmed", "--log", "trace", "--otlp-endpoint", &collector.url])
            .args(["--plan", "free", "--plan", "plus", "--billing-price", "price_plus=plus"])
            .args(["--billing-payment-url", "https://pay.example/b/1", "--billing-webhook-secret-file"])
            .arg(path("webhook"))
            .arg("--data-dir")
            .arg(path("data")),
        Stdio::from(log),
    );
    let listening = cloud.until("listening");
    wire.lead_to(listening["address"].as_str().unwrap());
    let mail = path("data").join("mail");
    let mut secrets = BTreeSet::from([PASSWORD, NEW_PASSWORD, MISTYPED, WEBHOOK_SECRET].map(str::to_owned));

    // Sign up, with a code that comes by mail.
    let mut browser = Browser::new();
    let page = page_at(&mut browser, &url, "/sign-up").await;
    let page = fill_in(&mut browser, &page, "password", &[("email", EMAIL), ("password", PASSWORD)]).await;
    let code = code_in_new_mail(&mail, &mut secrets).await;
    fill_in(&mut browser, &page, "code", &[("code", &code)]).await;
    // Sign in wrongly; pair and link, which sign in rightly; refresh.
    let mut wrong = Browser::new();
    let page = page_at(&mut wrong, &url, "/sign-in").await;
    fill_in(&mut wrong, &page, "password", &[("email", EMAIL), ("password", MISTYPED)]).await;
    let data = path("data");
    let create = ["admin", "client", "create", "--client-id", "alexa", "--redirect-uri", REDIRECT_URI, "--json"];
    let client = json(&run(ma_cloud().args(create).arg("--data-dir").arg(&data), ""));
    secrets.insert(client["client_secret"].as_str().unwrap().to_owned());
    let connector_log = Stdio::from(std::fs::File::create(path("connector.log")).unwrap());
    let mut home = PairedHome::new(&scratch.0, &url, None, connector_log).await;
    let mut alexa = home.link(&url, &client).await;
    alexa.send_directive(&alexa.discover()).await.unwrap();
    alexa.refresh().await.unwrap();
    alexa.send_directive(&alexa.discover()).await.unwrap();
    // A payment, and a message that only claims to be one.
    let plan = page_at(&mut home.browser, &url, "/plan").await;
    let (_, reference) = plan.html.split_once("client_reference_id=").expect("the way to pay");
    let reference = reference.split('"').next().unwrap();
    let paid = json!({ "id": "evt_1", "type": "checkout.session.completed", "created": clock::system().unix_seconds(),
        "data": { "object": { "client_reference_id": reference, "customer": "cus_1", "subscription": "sub_1" } } });
    assert_eq!(webhook(&url, WEBHOOK_SECRET, &paid.to_string(), &mut secrets).await, 200);
    assert_eq!(webhook(&url, "another", &paid.to_string(), &mut secrets).await, 400);
    // A new password, by mail.
    let mut forgetful = Browser::new();
    let page = page_at(&mut forgetful, &url, "/forgot").await;
    let page = fill_in(&mut forgetful, &page, "email", &[("email", EMAIL)]).await;
    let code = code_in_new_mail(&mail, &mut secrets).await;
    fill_in(&mut forgetful, &page, "code", &[("code", &code), ("password", NEW_PASSWORD)]).await;
    assert_eq!(page_at(&mut forgetful, &url, "/security").await.url.path(), "/security", "signed in anew");

    let metrics = format!("http://{}/metrics", listening["admin_address"].as_str().unwrap());
    let client = macloud_service_kit::client::client(Duration::from_secs(10));
    let metrics = client.get(metrics).send().await.unwrap().text().await.unwrap();
    assert!(home.connector.terminate().success());
    assert!(cloud.terminate().success());
    let key = std::fs::read_to_string(data.join("account-service.key")).unwrap();
    secrets.extend(key.split_whitespace().filter(|word| word.len() >= 43).map(str::to_owned));

    let passed = wire.passed();
    let given_out = [
        "mca_",
        "mcr_",
        "mcc_",
        "mcd_",
        "mct_",
        "eyJ",
        "macloud=",
        "macloud-known=",
        "name=\"form_token\" value=\"",
        "user_code\":\"",
        "code_verifier=",
        "password=",
        "Basic ",
    ];
    for form in given_out {
        let found = after_each(&passed, form);
        assert!(!found.is_empty(), "nothing of the form {form} passed");
        secrets.extend(found);
    }
    assert!(secrets.len() > 40, "{}", secrets.len());
    let read = |name: &str| std::fs::read(path(name)).unwrap();
    let database =
        ["ma-cloud.sqlite", "ma-cloud.sqlite-wal"].map(|name| std::fs::read(data.join(name)).unwrap_or_default());
    let places = [
        ("the cloud's log", read("cloud.log"), "signed in", true),
        ("the connector's log", read("connector.log"), "command answered", true),
        ("the spans", collector.seen(), "journey", true),
        ("the metrics", metrics.into_bytes(), "macloud_relay", true),
        ("the database", database.concat(), EMAIL, false),
    ];
    for (place, content, witness, no_address) in places {
        assert!(contains(&content, witness), "{place} was not captured: {} bytes without {witness}", content.len());
        for secret in &secrets {
            assert!(!contains(&content, secret), "{place} holds {}…", &secret[..secret.len().min(12)]);
        }
        for address in [EMAIL, &EMAIL.replace('@', "%40")] {
            assert!(!no_address || !contains(&content, address), "{place} holds an address");
        }
    }
    assert!(!collector.spans().is_empty());
    stop.stop_hard();
}

async fn page_at(browser: &mut Browser, url: &str, path: &str) -> Page {
    browser.page(&format!("{url}{path}").parse().unwrap()).await.unwrap()
}

async fn fill_in(browser: &mut Browser, page: &Page, field: &str, answers: &[(&str, &str)]) -> Page {
    let form = page.form_with(field).unwrap();
    browser.submit(&form, answers).await.unwrap().page().unwrap()
}

/// The code in the only mail that is there; the mail goes.
async fn code_in_new_mail(mail: &Path, secrets: &mut BTreeSet<String>) -> String {
    let is_group = |group: &str| group.len() == 4 && group.bytes().all(|letter| letter.is_ascii_uppercase());
    for _ in 0..200 {
        let files: Vec<_> = std::fs::read_dir(mail).into_iter().flatten().map(|file| file.unwrap().path()).collect();
        if let [file] = files.as_slice() {
            let text = std::fs::read_to_string(file).unwrap();
            let is_code =
                |word: &&str| word.split_once('-').is_some_and(|(one, other)| is_group(one) && is_group(other));
            if let Some(code) = text.split_whitespace().find(is_code) {
                std::fs::remove_file(file).unwrap();
                secrets.extend([code.to_owned(), code.replace('-', "")]);
                return code.to_owned();
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("no mail came");
}

async fn webhook(url: &str, secret: &str, body: &str, secrets: &mut BTreeSet<String>) -> u16 {
    let at = clock::system().unix_seconds();
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, format!("{at}.{body}").as_bytes());
    let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    secrets.insert(hex.clone());
    let client = macloud_service_kit::client::client(Duration::from_secs(10));
    let request =
        client.post(format!("{url}/billing/v1/webhook")).header("stripe-signature", format!("t={at},v1={hex}"));
    request.body(body.to_owned()).send().await.unwrap().status().as_u16()
}

/// What follows `form` wherever it stands, with it where it is part of the secret.
fn after_each(passed: &[u8], form: &str) -> BTreeSet<String> {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.+/=".contains(byte);
    let starts = (0..passed.len()).filter(|at| passed[*at..].starts_with(form.as_bytes()));
    let found = starts.map(|at| {
        let rest = &passed[at + form.len()..];
        let length = rest.iter().take_while(|byte| is_part(byte)).count();
        let rest = String::from_utf8(rest[..length].to_vec()).unwrap();
        if form.ends_with(['_', 'J']) { format!("{form}{rest}") } else { rest }
    });
    found.filter(|secret| secret.len() >= 8).collect()
}

fn contains(haystack: &[u8], needle: &str) -> bool {
    let needle = needle.as_bytes();
    let first = needle[0];
    let mut rest = haystack;
    while let Some(at) = rest.iter().position(|byte| *byte == first) {
        if rest[at..].starts_with(needle) {
            return true;
        }
        rest = &rest[at + 1..];
    }
    false
}

/// What stands between the cloud and everybody, and remembers what passed.
struct Wire {
    url: String,
    /// What passed in one direction of one connection, each.
    passed: Arc<Mutex<Vec<Vec<u8>>>>,
    listener: Mutex<Option<TcpListener>>,
}

impl Wire {
    async fn bind() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        Self { url, passed: Arc::default(), listener: Mutex::new(Some(listener)) }
    }

    fn lead_to(&self, address: &str) {
        let listener = self.listener.lock().unwrap().take().expect("it leads to one place");
        let (address, passed) = (address.to_owned(), self.passed.clone());
        tokio::spawn(async move {
            while let Ok((caller, _)) = listener.accept().await {
                let (address, passed) = (address.clone(), passed.clone());
                tokio::spawn(async move {
                    let Ok(cloud) = TcpStream::connect(&address).await else { return };
                    let ((from_caller, to_caller), (from_cloud, to_cloud)) = (caller.into_split(), cloud.into_split());
                    tokio::join!(pass(from_caller, to_cloud, &passed), pass(from_cloud, to_caller, &passed));
                });
            }
        });
    }

    fn passed(&self) -> Vec<u8> {
        self.passed.lock().unwrap().concat()
    }
}

async fn pass(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    passed: &Mutex<Vec<Vec<u8>>>,
) {
    let mut buffer = vec![0; 16 * 1024];
    let place = {
        let mut passed = passed.lock().unwrap();
        passed.push(Vec::new());
        passed.len() - 1
    };
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        passed.lock().unwrap()[place].extend_from_slice(&buffer[..length]);
        if to.write_all(&buffer[..length]).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}
