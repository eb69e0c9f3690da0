//! A whole account service in this process: on a fresh database, with a clock that tests move, and browsers to use it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use macloud_account_service::{
    AccountService, AccountsRpc, Config, CreatedClient, DatabaseSettings, Limits, Lives, NewClient, Rate, SignUp,
};
use macloud_proto::accounts::v1::accounts_client::AccountsClient;
use macloud_proto::accounts::v1::accounts_server::AccountsServer;
use macloud_proto::jose::sha256_base64url;
use macloud_service_kit::clock::ManualClock;
use macloud_service_kit::random;
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, SqlSafeStr as _};
use tower::ServiceExt as _;

pub const ISSUER: &str = "https://cloud.example";
pub const REDIRECT: &str = "https://layla.amazon.com/api/skill/link/M1";
pub const SIGNED_OUT: &str = "https://app.example/signed-out?from=cloud";
pub const PASSWORD: &str = "correct horse battery";
pub const NOW: u64 = 1_795_305_600;

/// Runs each test once on SQLite and once on PostgreSQL.
macro_rules! on_both_databases {
    ($(async fn $name:ident($world:ident: &World) $body:block)*) => {
        $(
            mod $name {
                use crate::harness::{Kind, World};

                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn sqlite() {
                    World::with(Kind::Sqlite, async |world| super::$name(world).await).await;
                }

                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn postgres() {
                    World::with(Kind::Postgres, async |world| super::$name(world).await).await;
                }
            }

            async fn $name($world: &World) $body
        )*
    };
}
pub(crate) use on_both_databases;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Sqlite,
    Postgres,
}

pub struct World {
    pub service: AccountService,
    pub clock: Arc<ManualClock>,
    pub database: DatabaseSettings,
    pub config: Config,
    router: Router,
    directory: PathBuf,
    created: Option<(String, String)>,
}

impl World {
    /// Run `test` in a fresh world; tidy up when it succeeded.
    pub async fn with(kind: Kind, test: impl AsyncFnOnce(&Self)) {
        Self::with_settings(kind, |_| {}, test).await;
    }

    /// The same, with changed settings.
    pub async fn with_settings(kind: Kind, change: impl FnOnce(&mut Config), test: impl AsyncFnOnce(&Self)) {
        Self::prepared(kind, async |_| {}, change, test).await;
    }

    /// The same, on a database with which something was done before the service opens it.
    pub async fn prepared(
        kind: Kind,
        prepare: impl AsyncFnOnce(&DatabaseSettings),
        change: impl FnOnce(&mut Config),
        test: impl AsyncFnOnce(&Self),
    ) {
        let Some(world) = Self::make(kind, prepare, change).await else { return };
        test(&world).await;
        world.finish().await;
    }

    async fn make(
        kind: Kind,
        prepare: impl AsyncFnOnce(&DatabaseSettings),
        change: impl FnOnce(&mut Config),
    ) -> Option<Self> {
        let directory = std::env::temp_dir().join(format!("macloud-accounts-{}", unique()));
        let (database, created) = match kind {
            Kind::Sqlite => (DatabaseSettings::Sqlite(directory.join("accounts.db")), None),
            Kind::Postgres => {
                let server = postgres_url()?;
                let name = format!("macloud_test_{}", unique());
                let url = create_database(&server, &name).await;
                (DatabaseSettings::Postgres { url, max_connections: 8 }, Some((server, name)))
            }
        };
        let mut config = Config::new(ISSUER, directory.join("account.key"));
        config.limits = unlimited();
        config.skill_key_set = Some(b"signed key set".to_vec());
        change(&mut config);
        prepare(&database).await;
        let clock = ManualClock::at(NOW);
        let service = AccountService::open(config.clone(), &database, clock.clone()).await.unwrap();
        Some(Self { router: service.router(), service, clock, database, config, directory, created })
    }

    /// A second process on the same database.
    pub async fn second_node(&self) -> AccountService {
        AccountService::open(self.config.clone(), &self.database, self.clock.clone()).await.unwrap()
    }

    async fn finish(self) {
        self.service.close().await;
        if let Some((server, name)) = &self.created {
            drop_database(server, name).await;
        }
        // With PostgreSQL and another world's key file there is none.
        if self.directory.exists() {
            std::fs::remove_dir_all(&self.directory).unwrap();
        }
    }

    /// Take the database away, as a crash of its server would.
    pub async fn lose_database(&self) {
        match &self.created {
            Some((server, name)) => drop_database(server, name).await,
            None => self.service.close().await,
        }
    }

    /// Change the database behind the service's back.
    pub async fn execute(&self, sql: String) {
        match &self.database {
            DatabaseSettings::Sqlite(path) => {
                let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
                let mut connection = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
                connection.execute(AssertSqlSafe(sql)).await.unwrap();
                connection.close().await.unwrap();
            }
            DatabaseSettings::Postgres { url, .. } => {
                let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
                connection.execute(AssertSqlSafe(sql)).await.unwrap();
                connection.close().await.unwrap();
            }
        }
    }

    /// Keep everybody else from writing to a table (of SQLite: to all), until it is let go.
    pub async fn hold(&self, table: &str) -> Held {
        match &self.database {
            DatabaseSettings::Sqlite(path) => {
                let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
                let mut connection = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
                connection.execute("BEGIN IMMEDIATE").await.unwrap();
                Held::Sqlite(connection)
            }
            DatabaseSettings::Postgres { url, .. } => {
                let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
                let lock = format!("BEGIN; LOCK TABLE {table} IN EXCLUSIVE MODE");
                connection.execute(AssertSqlSafe(lock)).await.unwrap();
                Held::Postgres(connection)
            }
        }
    }

    /// Have every write of a kind, such as `DELETE ON web_sessions`, do something more inside of the database.
    pub async fn on_every(&self, write: &str, more: &str) {
        let sql = match &self.database {
            DatabaseSettings::Sqlite(_) => format!("CREATE TRIGGER more AFTER {write} BEGIN {more}; END"),
            DatabaseSettings::Postgres { .. } => format!(
                "CREATE FUNCTION more() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {more}; RETURN NULL; END $$; \
                 CREATE TRIGGER more AFTER {write} FOR EACH ROW EXECUTE FUNCTION more()"
            ),
        };
        self.execute(sql).await;
    }

    /// No more of [`Self::on_every`].
    pub async fn no_more(&self, table: &str) {
        let sql = match &self.database {
            DatabaseSettings::Sqlite(_) => "DROP TRIGGER more".to_owned(),
            DatabaseSettings::Postgres { .. } => format!("DROP TRIGGER more ON {table}"),
        };
        self.execute(sql).await;
    }

    /// Those of these statements that the database does not understand, with the reason.
    pub async fn not_understood(&self, statements: &[&'static str]) -> Vec<(&'static str, String)> {
        let mut failures = Vec::new();
        match &self.database {
            DatabaseSettings::Sqlite(path) => {
                let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
                let mut connection = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
                for &sql in statements {
                    let outcome = connection.prepare(sql.into_sql_str()).await.map(drop);
                    failures.extend(outcome.err().map(|error| (sql, error.to_string())));
                }
            }
            DatabaseSettings::Postgres { url, .. } => {
                let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
                for &sql in statements {
                    let outcome = connection.prepare(sql.into_sql_str()).await.map(drop);
                    failures.extend(outcome.err().map(|error| (sql, error.to_string())));
                }
            }
        }
        failures
    }

    /// One text out of the database.
    pub async fn look_up(&self, sql: &'static str) -> String {
        match &self.database {
            DatabaseSettings::Sqlite(path) => {
                let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
                let mut connection = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
                sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap()
            }
            DatabaseSettings::Postgres { url, .. } => {
                let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
                sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap()
            }
        }
    }

    /// The mails that were sent so far, in no order.
    pub fn mails(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.directory.join("mail")) else { return Vec::new() };
        entries.map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap()).collect()
    }

    pub fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// Send one request.
    pub async fn send(&self, request: Request<Body>) -> Answer {
        send(self.router.clone(), request).await
    }

    /// POST a form to an OAuth endpoint.
    pub async fn post(&self, path: &str, headers: &[(&str, &str)], form: &[(&str, &str)]) -> Answer {
        self.send(form_request(path, headers, form)).await
    }

    /// POST to the token endpoint with HTTP Basic.
    pub async fn token(&self, client: &CreatedClient, form: &[(&str, &str)]) -> Answer {
        self.post("/oauth/token", &[("authorization", &basic(client))], form).await
    }

    pub async fn refresh(&self, client: &CreatedClient, refresh_token: &str) -> Answer {
        self.token(client, &[("grant_type", "refresh_token"), ("refresh_token", refresh_token)]).await
    }

    /// A confidential client as Alexa is one.
    pub async fn alexa(&self) -> CreatedClient {
        self.client("alexa", false).await
    }

    pub async fn client(&self, id: &str, public: bool) -> CreatedClient {
        let new = NewClient {
            client_id: id.into(),
            name: None,
            redirect_uris: vec![REDIRECT.into(), "http://127.0.0.1:9/cb?fixed=1".into()],
            post_logout_redirect_uris: vec![SIGNED_OUT.into()],
            require_pkce: false,
            public,
            access_token_seconds: None,
            ..NewClient::default()
        };
        self.service.create_client(new).await.unwrap()
    }

    /// A person with an account, signed in.
    pub async fn person(&self, email: &str) -> Browser<'_> {
        self.service.create_user(email, PASSWORD).await.unwrap();
        let mut browser = self.browser();
        let page = browser.get("/sign-in").await;
        let landed = browser.submit(&page, "/sign-in", &[("email", email), ("password", PASSWORD)]).await;
        assert_eq!(landed.status, StatusCode::SEE_OTHER, "{}", landed.text);
        browser
    }

    pub fn browser(&self) -> Browser<'_> {
        Browser { world: self, cookie: None, known: None, language: None, prefers: None, from: None }
    }

    /// Link the client to a new account, the whole way; the token answer.
    pub async fn link(&self, client: &CreatedClient, email: &str) -> Value {
        let mut browser = self.person(email).await;
        self.link_as(client, &mut browser).await
    }

    pub async fn link_as(&self, client: &CreatedClient, browser: &mut Browser<'_>) -> Value {
        let asked = Authorization::new(&client.client.id);
        let code = browser.allow(&asked).await;
        let answer = self.redeem(client, &code, &asked).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        answer.json()
    }

    pub async fn redeem(&self, client: &CreatedClient, code: &str, asked: &Authorization) -> Answer {
        let form = asked.redemption(code);
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        if client.client_secret.is_some() {
            self.token(client, &form).await
        } else {
            let form: Vec<_> = form.into_iter().chain([("client_id", client.client.id.as_str())]).collect();
            self.post("/oauth/token", &[], &form).await
        }
    }

    /// Whether an access token works.
    pub async fn is_active(&self, client: &CreatedClient, token: &str) -> bool {
        let answer = self.post("/oauth/introspect", &[("authorization", &basic(client))], &[("token", token)]).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        answer.json()["active"].as_bool().unwrap()
    }

    pub fn accounts(&self) -> AccountsClient<AccountsServer<AccountsRpc>> {
        AccountsClient::new(self.service.accounts_rpc())
    }
}

/// What [`World::hold`] keeps.
pub enum Held {
    Sqlite(sqlx::SqliteConnection),
    Postgres(sqlx::PgConnection),
}

impl Held {
    pub async fn let_go(self) {
        match self {
            Self::Sqlite(mut connection) => drop(connection.execute("ROLLBACK").await.unwrap()),
            Self::Postgres(mut connection) => drop(connection.execute("ROLLBACK").await.unwrap()),
        }
    }
}

/// An authorization request as a client makes it.
#[derive(Clone)]
pub struct Authorization {
    pub client_id: String,
    pub redirect_uri: String,
    pub state: String,
    pub scope: String,
    pub verifier: Option<String>,
    pub more: Vec<(String, String)>,
}

impl Authorization {
    pub fn new(client_id: &str) -> Self {
        Self {
            client_id: client_id.into(),
            redirect_uri: REDIRECT.into(),
            state: "a state".into(),
            scope: "music_assistant.read music_assistant.control openid email".into(),
            verifier: Some(unique().repeat(3)),
            more: vec![("nonce".into(), "n-1".into())],
        }
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.more.push((name.into(), value.into()));
        self
    }

    pub fn parameters(&self) -> Vec<(String, String)> {
        let mut all: Vec<(String, String)> = [
            ("response_type", "code"),
            ("client_id", &self.client_id),
            ("redirect_uri", &self.redirect_uri),
            ("state", &self.state),
            ("scope", &self.scope),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        if let Some(verifier) = &self.verifier {
            all.push(("code_challenge".into(), sha256_base64url(verifier.as_bytes())));
            all.push(("code_challenge_method".into(), "S256".into()));
        }
        all.extend(self.more.clone());
        all
    }

    pub fn path(&self) -> String {
        format!("/oauth/authorize?{}", encode_form(&self.parameters()))
    }

    pub fn redemption(&self, code: &str) -> Vec<(&'static str, String)> {
        let mut form = vec![
            ("grant_type", "authorization_code".to_owned()),
            ("code", code.to_owned()),
            ("redirect_uri", self.redirect_uri.clone()),
        ];
        form.extend(self.verifier.clone().map(|verifier| ("code_verifier", verifier)));
        form
    }
}

/// A browser: keeps its cookie, fills in forms.
pub struct Browser<'w> {
    pub world: &'w World,
    pub cookie: Option<String>,
    /// The cookie by which it is known where somebody signed in from it.
    pub known: Option<String>,
    /// The cookie that remembers its language.
    pub language: Option<String>,
    /// What it sends as `Accept-Language`.
    pub prefers: Option<&'static str>,
    /// Where it is, for limits: what the proxy in front says in `x-client`.
    pub from: Option<String>,
}

impl Browser<'_> {
    pub async fn get(&mut self, path: &str) -> Answer {
        let request = self.request(Method::GET, path).body(Body::empty()).unwrap();
        let answer = self.world.send(request).await;
        self.keep_cookie(&answer);
        answer
    }

    /// Submit the form of `page` that posts to `action`, with these fields beside its hidden ones.
    pub async fn submit(&mut self, page: &Answer, action: &str, fields: &[(&str, &str)]) -> Answer {
        let mut all = page.hidden_fields(action);
        all.extend(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        self.post(action, &all).await
    }

    pub async fn post(&mut self, path: &str, fields: &[(String, String)]) -> Answer {
        let request = self
            .request(Method::POST, path)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("origin", self.world.config.public_url.as_str())
            .header("sec-fetch-site", "same-origin")
            .body(Body::from(encode_form(fields)))
            .unwrap();
        let answer = self.world.send(request).await;
        self.keep_cookie(&answer);
        answer
    }

    fn request(&self, method: Method, path: &str) -> http::request::Builder {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(cookie) = &self.cookie {
            request = request.header("cookie", format!("__Host-macloud={cookie}"));
        }
        if let Some(known) = &self.known {
            request = request.header("cookie", format!("__Host-macloud-known={known}"));
        }
        if let Some(language) = &self.language {
            request = request.header("cookie", format!("macloud-language={language}"));
        }
        if let Some(from) = &self.from {
            request = request.header("x-client", from);
        }
        match self.prefers {
            Some(languages) => request.header("accept-language", languages),
            None => request,
        }
    }

    fn keep_cookie(&mut self, answer: &Answer) {
        for value in answer.headers.get_all(header::SET_COOKIE) {
            let (pair, _) = value.to_str().unwrap().split_once(';').unwrap();
            match pair.split_once('=').unwrap() {
                ("__Host-macloud", value) => self.cookie = Some(value.to_owned()),
                ("__Host-macloud-known", value) => self.known = Some(value.to_owned()),
                ("macloud-language", value) => self.language = Some(value.to_owned()),
                (other, _) => panic!("an unknown cookie: {other}"),
            }
        }
    }

    /// Open the consent page and press a button; where the browser is sent.
    pub async fn consent(&mut self, asked: &Authorization, decision: &str) -> Answer {
        let page = self.get(&asked.path()).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.text);
        self.submit(&page, "/oauth/consent", &[("decision", decision)]).await
    }

    /// Allow, and take the code out of the redirect.
    pub async fn allow(&mut self, asked: &Authorization) -> String {
        let answer = self.consent(asked, "allow").await;
        answer.redirect_parameter("code").unwrap_or_else(|| panic!("no code: {}", answer.text))
    }
}

/// What came back.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("{} is not JSON: {}", self.status, self.text))
    }

    /// The OAuth error code, empty when there is none.
    pub fn error(&self) -> String {
        self.json()["error"].as_str().unwrap_or_default().to_owned()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn location(&self) -> &str {
        self.header("location")
    }

    pub fn redirect_parameter(&self, name: &str) -> Option<String> {
        let url = url::Url::parse(self.location()).ok()?;
        url.query_pairs().find(|(other, _)| other == name).map(|(_, value)| value.into_owned())
    }

    /// The hidden fields of the form that posts to `action`.
    pub fn hidden_fields(&self, action: &str) -> Vec<(String, String)> {
        let start = self.text.find(&format!("action=\"{action}\""));
        let form = &self.text[start.unwrap_or_else(|| panic!("no form for {action} in {}", self.text))..];
        let form = &form[..form.find("</form>").unwrap()];
        let inputs = form.split("<input type=\"hidden\" ").skip(1);
        inputs.map(|input| (attribute(input, "name"), attribute(input, "value"))).collect()
    }
}

pub fn attribute(tag: &str, name: &str) -> String {
    let after = tag.split_once(&format!("{name}=\"")).unwrap().1;
    let value = after.split_once('"').unwrap().0;
    value
        .replace("&#34;", "\"")
        .replace("&#39;", "'")
        .replace("&#60;", "<")
        .replace("&#62;", ">")
        .replace("&#38;", "&")
        .replace("&amp;", "&")
}

pub async fn send(router: Router, request: Request<Body>) -> Answer {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let response = router.oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let answer =
        Answer { status: parts.status, headers: parts.headers, text: String::from_utf8(bytes.into()).unwrap() };
    crate::contract::check(&method, &path, &answer);
    answer
}

pub fn form_request(path: &str, headers: &[(&str, &str)], form: &[(&str, &str)]) -> Request<Body> {
    let pairs: Vec<(String, String)> = form.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    raw_request(path, headers, encode_form(&pairs))
}

pub fn raw_request(path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Request<Body> {
    let mut request = Request::builder().method(Method::POST).uri(path);
    if !headers.iter().any(|(name, _)| *name == "content-type") {
        request = request.header("content-type", "application/x-www-form-urlencoded");
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body.into()).unwrap()
}

pub fn encode_form(pairs: &[(String, String)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

pub fn basic(client: &CreatedClient) -> String {
    let secret = client.client_secret.as_deref().unwrap();
    format!("Basic {}", STANDARD.encode(format!("{}:{secret}", client.client.id)))
}

/// Text that no other test has.
pub fn unique() -> String {
    let bytes: [u8; 10] = random::bytes();
    macloud_proto::ids::base32(&bytes)
}

pub fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}"))
}

/// Tests that are not about limits must not run into them.
fn unlimited() -> Limits {
    Limits {
        sign_in_per_address: Rate::OFF,
        wrong_passwords_per_account_and_address: Rate::OFF,
        wrong_passwords_per_account: Rate::OFF,
        wrong_second_steps_per_account: Rate::OFF,
        mailed_codes: Rate::OFF,
        mailed_codes_per_network: Rate::OFF,
        mails_per_mailbox: Rate::OFF,
        sign_up: SignUp::Open,
        sign_up_per_address: Rate::OFF,
        wrong_pairing_codes: Rate::OFF,
        wrong_invitation_codes: Rate::OFF,
        invitations_per_account: Rate::OFF,
        invitation_mails_per_mailbox: Rate::OFF,
        pairings_per_address: Rate::OFF,
        pushed_requests_per_address: Rate::OFF,
        client_address_header: None,
        // Many tests hash at once on few cores.
        password_wait_ms: 60_000,
    }
}

pub fn lives() -> Lives {
    Lives::default()
}

/// The throw-away server to test on. `None`, loudly, only when that was asked for.
#[expect(clippy::print_stderr, reason = "a skipped half of the tests must be heard of")]
fn postgres_url() -> Option<String> {
    if let Ok(url) = std::env::var("MACLOUD_TEST_POSTGRES_URL") {
        return Some(url);
    }
    assert!(
        std::env::var("MACLOUD_TEST_EMBEDDED_ONLY").is_ok_and(|value| value == "1"),
        "set MACLOUD_TEST_POSTGRES_URL to the superuser URL of a throw-away PostgreSQL server, or MACLOUD_TEST_EMBEDDED_ONLY=1 to leave PostgreSQL untested"
    );
    eprintln!("SKIPPED on PostgreSQL, because MACLOUD_TEST_EMBEDDED_ONLY=1");
    None
}

async fn create_database(server: &str, name: &str) -> String {
    let mut connection = sqlx::PgConnection::connect(server).await.unwrap();
    connection.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
    let mut url = url::Url::parse(server).unwrap();
    url.set_path(name);
    url.into()
}

async fn drop_database(server: &str, name: &str) {
    let mut connection = sqlx::PgConnection::connect(server).await.unwrap();
    connection.execute(AssertSqlSafe(format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"))).await.unwrap();
}
