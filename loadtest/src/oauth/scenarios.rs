//! What clients and people do, a step at a time: refresh, introspect, link an app, sign in.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use http::StatusCode;
use http::header::{self, HeaderName};
use serde_json::Value;

use super::browser::{Browser, Form, Person};
use super::http::{Connection, encode};
use super::load::Worker;

/// A server under test, as its clients know it.
pub(crate) struct Site {
    pub(crate) address: SocketAddr,
    /// Its issuer.
    pub(crate) origin: String,
    pub(crate) authorize: String,
    pub(crate) token: String,
    pub(crate) introspect: String,
    /// The `Authorization` header of its one client.
    pub(crate) basic: String,
}

/// The client, the same at every server.
pub(crate) const CLIENT_ID: &str = "bench";
pub(crate) const REDIRECT_URI: &str = "https://client.example/callback";
const SCOPE: &str = "openid email offline_access";
/// The example of RFC 7636.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

impl Site {
    /// Learn from its discovery document.
    pub(crate) async fn discover(address: SocketAddr, secret: &str) -> anyhow::Result<Self> {
        let answer = Connection::to(address).get("/.well-known/openid-configuration", &[]).await?;
        let document: Value = serde_json::from_str(answer.text(StatusCode::OK)?)?;
        let origin = text(&document, "issuer")?.to_owned();
        let path = |name: &str| -> anyhow::Result<String> {
            let url = text(&document, name)?;
            Ok(url.strip_prefix(&origin).with_context(|| format!("{name} is elsewhere"))?.to_owned())
        };
        let (authorize, token) = (path("authorization_endpoint")?, path("token_endpoint")?);
        let introspect = path("introspection_endpoint")?;
        Ok(Self { address, authorize, token, introspect, basic: basic(CLIENT_ID, secret), origin })
    }

    pub(crate) fn connection(&self) -> Connection {
        Connection::to(self.address)
    }

    pub(crate) fn browser(&self) -> Browser {
        Browser::new(self.connection(), &self.origin)
    }

    /// POST a form as the client; the JSON that comes back.
    async fn ask(&self, connection: &mut Connection, path: &str, form: &[(&str, &str)]) -> anyhow::Result<Value> {
        let headers: [(HeaderName, &str); 1] = [(header::AUTHORIZATION, &self.basic)];
        let answer = connection.post(path, &headers, encode(form)).await?;
        Ok(serde_json::from_str(answer.text(StatusCode::OK)?)?)
    }

    /// Link the client to the account of whoever sits at `browser`: authorize, consent, token.
    pub(crate) async fn link(
        &self,
        browser: &mut Browser,
        person: &Person,
        client: &mut Connection,
    ) -> anyhow::Result<Tokens> {
        let query = encode(&[
            ("response_type", "code"),
            ("client_id", CLIENT_ID),
            ("redirect_uri", REDIRECT_URI),
            ("scope", SCOPE),
            ("state", "a-state-as-long-as-those-of-most-clients"),
            // Both servers then ask each time.
            ("prompt", "consent"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ]);
        let back = browser.walk(&format!("{}?{query}", self.authorize), person).await?;
        let back = url::Url::parse(&back)?;
        let code = back.query_pairs().find(|(name, _)| name == "code").map(|(_, value)| value.into_owned());
        let code = code.with_context(|| format!("no code: {back}"))?;
        let form = [
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", REDIRECT_URI),
            ("code_verifier", VERIFIER),
        ];
        Tokens::of(&self.ask(client, &self.token, &form).await?)
    }
}

/// What a link gave.
#[derive(Clone)]
pub(crate) struct Tokens {
    pub(crate) access: String,
    pub(crate) refresh: String,
}

impl Tokens {
    fn of(answer: &Value) -> anyhow::Result<Self> {
        text(answer, "id_token")?;
        Ok(Self { access: text(answer, "access_token")?.into(), refresh: text(answer, "refresh_token")?.into() })
    }
}

/// A client that refreshes one link, again and again, each time with what the last time gave.
pub(crate) struct Refresh {
    pub(crate) site: Arc<Site>,
    pub(crate) connection: Connection,
    pub(crate) tokens: Tokens,
}

impl Worker for Refresh {
    async fn connect(&mut self) -> anyhow::Result<()> {
        self.connection.open().await.map(drop)
    }

    async fn step(&mut self) -> anyhow::Result<()> {
        let form = [("grant_type", "refresh_token"), ("refresh_token", self.tokens.refresh.as_str())];
        let answer = self.site.ask(&mut self.connection, &self.site.token, &form).await?;
        let next = Tokens::of(&answer)?;
        anyhow::ensure!(next.refresh != self.tokens.refresh, "the refresh token did not rotate");
        self.tokens = next;
        Ok(())
    }
}

/// A client that asks about one access token.
pub(crate) struct Introspect {
    pub(crate) site: Arc<Site>,
    pub(crate) connection: Connection,
    pub(crate) access: String,
}

impl Worker for Introspect {
    async fn connect(&mut self) -> anyhow::Result<()> {
        self.connection.open().await.map(drop)
    }

    async fn step(&mut self) -> anyhow::Result<()> {
        let form = [("token", self.access.as_str())];
        let answer = self.site.ask(&mut self.connection, &self.site.introspect, &form).await?;
        anyhow::ensure!(answer["active"] == true, "an access token is not active");
        Ok(())
    }
}

/// Somebody who is signed in and links the client anew each time.
pub(crate) struct Link {
    pub(crate) site: Arc<Site>,
    pub(crate) browser: Browser,
    pub(crate) person: Person,
    pub(crate) client: Connection,
}

impl Worker for Link {
    async fn connect(&mut self) -> anyhow::Result<()> {
        self.browser.connect().await?;
        self.client.open().await.map(drop)
    }

    async fn step(&mut self) -> anyhow::Result<()> {
        self.site.link(&mut self.browser, &self.person, &mut self.client).await.map(drop)
    }
}

/// Somebody with the sign-in page before them.
pub(crate) struct SignIn {
    pub(crate) browser: Browser,
    pub(crate) person: Person,
    pub(crate) form: Form,
    /// Told to come back later, in the way that programs and people understand.
    pub(crate) refused: bool,
    /// How long the answer took.
    pub(crate) took: Duration,
}

impl Worker for SignIn {
    async fn connect(&mut self) -> anyhow::Result<()> {
        self.browser.connect().await
    }

    async fn step(&mut self) -> anyhow::Result<()> {
        let begun = Instant::now();
        let answer = self.browser.submit(&self.form, &self.person).await?;
        self.took = begun.elapsed();
        let retry_after = answer.header(header::RETRY_AFTER).and_then(|text| text.parse::<u32>().ok());
        self.refused = answer.status == StatusCode::SERVICE_UNAVAILABLE && retry_after.is_some();
        anyhow::ensure!(self.refused || answer.status == StatusCode::SEE_OTHER, "{} to a sign-in", answer.status);
        Ok(())
    }
}

/// RFC 6749 section 2.3.1, for ids and secrets that need no encoding.
fn basic(id: &str, secret: &str) -> String {
    use base64::Engine as _;
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{id}:{secret}")))
}

fn text<'a>(value: &'a Value, name: &str) -> anyhow::Result<&'a str> {
    value[name].as_str().with_context(|| format!("no {name} in the answer"))
}

#[cfg(test)]
mod tests {
    use macloud_account_service::{AccountService, Config, DatabaseSettings};
    use macloud_service_kit::clock;
    use macloud_service_kit::http::Server;
    use macloud_service_kit::stop::Stop;

    use super::super::subjects::{register_client, settle};
    use super::*;

    /// Our own service changes, and its pages with it: the generator must still find its way.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn every_step_works_on_our_own_service() {
        let directory = std::env::temp_dir().join(format!("macloud-loadtest-steps-{}", std::process::id()));
        let (key_file, database) = (directory.join("key"), DatabaseSettings::Sqlite(directory.join("accounts.db")));
        let server = Server::bind(([127, 0, 0, 1], 0).into(), None).await.unwrap();
        let address = server.local_addr().unwrap();
        let url = format!("http://{address}");
        let secret = register_client(&url, &key_file, &database).await.unwrap();
        let service = AccountService::open(Config::new(url, key_file), &database, clock::system()).await.unwrap();
        let stop = Stop::new();
        let serving = tokio::spawn(server.serve(service.router(), stop.clone()));

        let site = Arc::new(Site::discover(address, &secret).await.unwrap());
        let (person, browser, links) = settle(site.clone(), 1, 2, Some("/sign-up")).await.unwrap();
        let [first, second] = links.try_into().ok().unwrap();
        let mut introspect = Introspect { site: site.clone(), connection: site.connection(), access: first.access };
        introspect.step().await.unwrap();
        introspect.access = "mca_unknown".into();
        introspect.step().await.unwrap_err();
        let mut refresh = Refresh { site: site.clone(), connection: site.connection(), tokens: second };
        for _ in 0..2 {
            refresh.step().await.unwrap();
        }
        let client = site.connection();
        let mut link = Link { site: site.clone(), browser, person: person.clone(), client };
        link.step().await.unwrap();
        let mut browser = site.browser();
        let page = browser.get("/sign-in").await.unwrap();
        let form = Form::find(page.text(StatusCode::OK).unwrap()).unwrap();
        let mut sign_in = SignIn { browser, person, form, refused: false, took: Duration::ZERO };
        sign_in.step().await.unwrap();
        assert!(!sign_in.refused && sign_in.took > Duration::ZERO);

        stop.stop_soft();
        serving.await.unwrap();
        service.close().await;
        std::fs::remove_dir_all(directory).unwrap();
    }
}
