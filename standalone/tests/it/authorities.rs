//! Account services as processes behind one address that stays while they come and go, and an app that keeps what it was
//! given there.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use macloud_proto::jose::sha256_base64url;
use macloud_standalone::demo::browser::{Browser, Landing};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

use crate::processes::{EMAIL, PASSWORD, REDIRECT_URI, Running, Scratch, json, ma_cloud, programs, run};

/// Where the accounts are kept.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Sqlite,
    Postgres,
}

/// One address, before any number of processes: each connection goes to the next of them.
pub(crate) struct Front {
    pub(crate) url: String,
    behind: Arc<Mutex<Behind>>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct Behind {
    addresses: Vec<SocketAddr>,
    turn: usize,
}

impl Front {
    pub(crate) async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let behind = Arc::new(Mutex::new(Behind::default()));
        let known = behind.clone();
        let task = tokio::spawn(async move {
            loop {
                let (mut caller, _) = listener.accept().await.unwrap();
                let known = known.clone();
                tokio::spawn(async move {
                    let next = known.lock().unwrap().next();
                    // Nobody behind, or gone at this moment: the caller's connection ends, as a balancer would end it.
                    let Some(next) = next else { return };
                    let Ok(mut process) = TcpStream::connect(next).await else { return };
                    let _ = tokio::io::copy_bidirectional(&mut caller, &mut process).await;
                });
            }
        });
        Self { url, behind, task }
    }

    pub(crate) fn lead_to(&self, addresses: Vec<SocketAddr>) {
        *self.behind.lock().unwrap() = Behind { addresses, turn: 0 };
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Behind {
    fn next(&mut self) -> Option<SocketAddr> {
        self.turn += 1;
        self.addresses.get(self.turn % self.addresses.len().max(1)).copied()
    }
}

/// A database, the person in it, and how to start processes on it.
pub(crate) struct Accounts {
    pub(crate) front: Front,
    kind: Kind,
    scratch: Scratch,
    database: Option<(String, String)>,
}

impl Accounts {
    /// With a fresh database and one person. `None`, as in the account service's own tests, only when PostgreSQL was
    /// deliberately left out.
    pub(crate) async fn new(kind: Kind) -> Option<Self> {
        macloud_service_kit::tls::install_provider();
        let database = match kind {
            Kind::Sqlite => None,
            Kind::Postgres => Some(fresh_database().await?),
        };
        let accounts = Self { front: Front::open().await, kind, scratch: Scratch::new(), database };
        let key: [u8; 32] = macloud_service_kit::random::bytes();
        std::fs::write(accounts.key_file(), URL_SAFE_NO_PAD.encode(key)).unwrap();
        accounts.admin(&["user", "create", "--email", EMAIL, "--password-stdin"], PASSWORD);
        Some(accounts)
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.scratch.0.join("data")
    }

    fn key_file(&self) -> PathBuf {
        self.scratch.0.join("accounts.key")
    }

    /// What an operator's command says.
    pub(crate) fn admin(&self, args: &[&str], stdin: &str) -> Value {
        let mut command = ma_cloud();
        command.arg("admin").args(args).arg("--json");
        match &self.database {
            None => command.arg("--data-dir").arg(self.data_dir()),
            Some((_, url)) => command.args(["--database-url", url, "--account-key-file"]).arg(self.key_file()),
        };
        json(&run(&mut command, stdin))
    }

    /// Where the database is, on PostgreSQL.
    pub(crate) fn database_url(&self) -> &str {
        &self.database.as_ref().unwrap().1
    }

    /// Lose the database on PostgreSQL, and have an empty one in its place.
    pub(crate) async fn lose_database(&self) {
        let (server, url) = self.database.as_ref().unwrap();
        let name = Url::parse(url).unwrap().path().trim_start_matches('/').to_owned();
        let mut connection = sqlx::PgConnection::connect(server).await.unwrap();
        connection.execute(AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)"))).await.unwrap();
        connection.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
    }

    /// An app of this name: as Alexa is one, or one without a secret.
    pub(crate) fn app(&self, id: &str, flags: &[&str]) -> App {
        let create = ["client", "create", "--client-id", id, "--redirect-uri", REDIRECT_URI];
        let created = self.admin(&[&create[..], flags].concat(), "");
        let http = macloud_service_kit::client::client(Duration::from_secs(20));
        App { http, id: id.into(), secret: created["client_secret"].as_str().map(str::to_owned) }
    }

    /// One more process, ready. It keeps to `ma-cloud serve` on SQLite, as people do, and to the account service's own
    /// program on PostgreSQL.
    pub(crate) fn start(&self) -> (Running, SocketAddr) {
        let mut command = match &self.database {
            None => {
                let mut command = ma_cloud();
                command.arg("serve").arg("--data-dir").arg(self.data_dir());
                command
            }
            Some((_, url)) => {
                let mut command = account_service();
                command.args(["--rpc-listen", "127.0.0.1:0", "--database-url", url, "--database-connections", "8"]);
                command.arg("--account-key-file").arg(self.key_file()).arg("--data-dir").arg(self.data_dir());
                command
            }
        };
        self.listening(&mut command)
    }

    /// The account service's own program on the SQLite file that `ma-cloud` made, which must not be running.
    pub(crate) fn start_beside_on_sqlite(&self) -> (Running, SocketAddr) {
        assert!(self.kind == Kind::Sqlite);
        let (made, wanted) = (self.data_dir().join("ma-cloud.sqlite"), self.data_dir().join("accounts.db"));
        if made.exists() {
            std::fs::rename(made, wanted).unwrap();
        }
        let mut command = account_service();
        command.args(["--rpc-listen", "127.0.0.1:0"]).arg("--data-dir").arg(self.data_dir());
        command.arg("--account-key-file").arg(self.data_dir().join("account-service.key"));
        self.listening(&mut command)
    }

    fn listening(&self, command: &mut Command) -> (Running, SocketAddr) {
        command.args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--public-url", &self.front.url]);
        let mut process = Running::start(command);
        let address = process.until("listening")["address"].as_str().unwrap().parse().unwrap();
        (process, address)
    }

    /// Her browser, signed in.
    pub(crate) async fn browser(&self) -> Browser {
        let mut browser = Browser::new();
        let sign_in = format!("{}/sign-in", self.front.url).parse().unwrap();
        let page = browser.page(&sign_in).await.unwrap();
        let form = page.form_with("password").unwrap();
        browser.submit(&form, &[("email", EMAIL), ("password", PASSWORD)]).await.unwrap().page().unwrap();
        browser
    }

    /// Let her allow the app: a code, and the verifier that goes with it.
    pub(crate) async fn consent(&self, browser: &mut Browser, app: &App) -> anyhow::Result<Code> {
        let verifier: [u8; 32] = macloud_service_kit::random::bytes();
        let verifier: String = verifier.iter().map(|byte| format!("{byte:02x}")).collect();
        let query = [
            ("response_type", "code"),
            ("client_id", &app.id),
            ("redirect_uri", REDIRECT_URI),
            ("scope", "openid music_assistant.read music_assistant.control"),
            ("state", "s"),
            ("code_challenge", &sha256_base64url(verifier.as_bytes())),
            ("code_challenge_method", "S256"),
        ];
        let url = Url::parse_with_params(&format!("{}/oauth/authorize", self.front.url), query)?;
        let page = browser.page(&url).await?;
        let form = page.form_with("decision")?;
        let Landing::Elsewhere(back) = browser.submit(&form, &[("decision", "allow")]).await? else {
            anyhow::bail!("consent led to another page")
        };
        let code = back.query_pairs().find(|(name, _)| name == "code").map(|(_, value)| value.into_owned());
        Ok(Code { code: code.ok_or_else(|| anyhow::anyhow!("no code came back"))?, verifier })
    }

    /// Tidy up.
    pub(crate) async fn finish(self) {
        if let Some((server, url)) = &self.database {
            let name = Url::parse(url).unwrap().path().trim_start_matches('/').to_owned();
            let mut connection = sqlx::PgConnection::connect(server).await.unwrap();
            let drop = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
            connection.execute(AssertSqlSafe(drop)).await.unwrap();
        }
    }
}

fn account_service() -> Command {
    let mut command = Command::new(programs().join("macloud-account-service"));
    command.args(["--log", "warn"]);
    command
}

/// The server's URL and the new database's.
async fn fresh_database() -> Option<(String, String)> {
    let Ok(server) = std::env::var("MACLOUD_TEST_POSTGRES_URL") else {
        assert!(
            std::env::var("MACLOUD_TEST_EMBEDDED_ONLY").is_ok_and(|value| value == "1"),
            "set MACLOUD_TEST_POSTGRES_URL, or MACLOUD_TEST_EMBEDDED_ONLY=1 to leave PostgreSQL untested"
        );
        eprintln!("SKIPPED on PostgreSQL, because MACLOUD_TEST_EMBEDDED_ONLY=1");
        return None;
    };
    let random: [u8; 10] = macloud_service_kit::random::bytes();
    let name = format!("macloud_nodes_{}", macloud_proto::ids::base32(&random));
    let mut connection = sqlx::PgConnection::connect(&server).await.unwrap();
    connection.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
    let mut url = Url::parse(&server).unwrap();
    url.set_path(&name);
    Some((server, url.into()))
}

/// A code that the app was given.
#[derive(Clone)]
pub(crate) struct Code {
    pub(crate) code: String,
    pub(crate) verifier: String,
}

/// An OAuth client.
#[derive(Clone)]
pub(crate) struct App {
    http: reqwest::Client,
    id: String,
    secret: Option<String>,
}

/// Status and JSON of an answer that arrived whole.
pub(crate) type Answer = reqwest::Result<(u16, Value)>;

impl App {
    async fn post(&self, url: String, form: &[(&str, &str)]) -> Answer {
        let mut form: BTreeMap<&str, &str> = form.iter().copied().collect();
        let mut request = self.http.post(url);
        match &self.secret {
            Some(secret) => request = request.basic_auth(&self.id, Some(secret)),
            None => {
                form.insert("client_id", &self.id);
            }
        }
        let answer = request.form(&form).send().await?;
        let status = answer.status().as_u16();
        Ok((status, answer.json().await?))
    }

    /// Redeem a code at `base`.
    pub(crate) async fn redeem(&self, base: &str, code: &Code) -> Answer {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", &code.code),
            ("code_verifier", &code.verifier),
            ("redirect_uri", REDIRECT_URI),
        ];
        self.post(format!("{base}/oauth/token"), &form).await
    }

    pub(crate) async fn refresh(&self, base: &str, token: &str) -> Answer {
        let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
        self.post(format!("{base}/oauth/token"), &form).await
    }

    /// Whether a token is good.
    pub(crate) async fn is_active(&self, base: &str, token: &str) -> bool {
        let (status, answer) = self.post(format!("{base}/oauth/introspect"), &[("token", token)]).await.unwrap();
        assert_eq!(status, 200, "{answer}");
        answer["active"].as_bool().unwrap()
    }
}

pub(crate) fn text(answer: &Value, name: &str) -> String {
    answer[name].as_str().unwrap_or_else(|| panic!("no {name} in {answer}")).to_owned()
}
