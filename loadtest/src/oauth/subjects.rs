//! The servers that are measured: each started fresh, with people signed in and apps linked.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use http::StatusCode;
use macloud_account_service::{AccountService, Config, DatabaseSettings, NewClient};
use macloud_loadtest::usage::Tree;
use macloud_service_kit::clock;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;

use super::browser::{Browser, Form, Person};
use super::http::Connection;
use super::load::Payers;
use super::scenarios::{CLIENT_ID, REDIRECT_URI, Site, Tokens};

/// A server that runs, and what its clients and people hold.
pub(crate) struct Subject {
    pub(crate) name: &'static str,
    pub(crate) site: Arc<Site>,
    pub(crate) payers: Payers,
    /// Signed in.
    pub(crate) people: Vec<(Person, Browser)>,
    /// Refresh chains, each as it was left last.
    pub(crate) links: Vec<Tokens>,
    /// Where a form for signing in is, when passwords are really checked.
    pub(crate) sign_in: Option<&'static str>,
    _process: Child,
}

/// Where everything is.
pub(crate) struct Places {
    /// Ours to fill and to remove.
    pub(crate) scratch: PathBuf,
    pub(crate) account_service: PathBuf,
    pub(crate) peer: PathBuf,
    pub(crate) services: PathBuf,
}

/// How the servers are set up.
#[derive(Clone, Copy)]
pub(crate) struct Setup {
    /// Connections to PostgreSQL that each server has, in all its processes together.
    pub(crate) connections: u32,
    pub(crate) peer_processes: u32,
    pub(crate) people: usize,
    pub(crate) links: usize,
}

/// A PostgreSQL of our own, with the settings that a production server has where they cost: what is committed is on the disk.
pub(crate) struct Postgres {
    pub(crate) url: String,
    pub(crate) tree: Tree,
    services: PathBuf,
    directory: PathBuf,
}

impl Postgres {
    pub(crate) async fn start(places: &Places) -> anyhow::Result<Self> {
        let directory = places.scratch.join("services");
        let output = Command::new(&places.services).args(["up", "--durable"]).arg(&directory).output().await;
        let output = output.with_context(|| format!("cannot run {}", places.services.display()))?;
        anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout)?;
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
            line.map(str::to_owned).with_context(|| format!("{name} was not told"))
        };
        let services = places.services.clone();
        let tree = Tree { root: value("POSTGRES_PID")?.parse()? };
        Ok(Self { url: value("MACLOUD_TEST_POSTGRES_URL")?, tree, services, directory })
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let _ = std::process::Command::new(&self.services).arg("down").arg(&self.directory).status();
    }
}

/// Our account service, in a process of its own as the hosted service runs it.
pub(crate) async fn ours(places: &Places, postgres: Option<&Postgres>, setup: Setup) -> anyhow::Result<Subject> {
    let name = if postgres.is_some() { OURS } else { OURS_ON_SQLITE };
    let directory = places.scratch.join(name);
    let port = free_port()?;
    let url = format!("http://127.0.0.1:{port}");
    let database = match postgres {
        Some(postgres) => DatabaseSettings::Postgres { url: postgres.url.clone(), max_connections: 2 },
        None => DatabaseSettings::Sqlite(directory.join("accounts.db")),
    };
    let secret = register_client(&url, &directory.join("account.key"), &database).await?;
    let mut command = Command::new(&places.account_service);
    command.arg("--listen").arg(format!("127.0.0.1:{port}")).args(["--public-url", &url]);
    command.args(["--rpc-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]).arg("--data-dir").arg(&directory);
    command.args(["--sign-in-per-address", "off", "--sign-up-per-address", "off"]);
    if let Some(postgres) = postgres {
        command.args(["--database-url", &postgres.url, "--database-connections", &setup.connections.to_string()]);
    }
    let mut subject = start(name, command, postgres, &directory, &secret).await?;
    subject.sign_in = Some("/sign-in");
    subject.populate(setup, Some("/sign-up")).await?;
    Ok(subject)
}

/// Add the client, as an operator does; its secret.
pub(crate) async fn register_client(url: &str, key_file: &Path, database: &DatabaseSettings) -> anyhow::Result<String> {
    let service = AccountService::open(Config::new(url, key_file), database, clock::system()).await?;
    let client = NewClient {
        client_id: CLIENT_ID.into(),
        name: None,
        redirect_uris: vec![REDIRECT_URI.into()],
        post_logout_redirect_uris: Vec::new(),
        require_pkce: true,
        public: false,
        access_token_seconds: None,
        ..NewClient::default()
    };
    let created = service.create_client(client).await?;
    service.close().await;
    created.client_secret.context("the client has no secret")
}

/// node-oidc-provider, see its directory.
pub(crate) async fn peer(places: &Places, postgres: &Postgres, setup: Setup) -> anyhow::Result<Subject> {
    let installed = places.peer.join("node_modules").is_dir();
    anyhow::ensure!(installed, "run `npm ci` in {} first, or pass --without-peer", places.peer.display());
    let directory = places.scratch.join(PEER);
    std::fs::create_dir_all(&directory)?;
    let secret = "a-secret-of-256-bits-does-not-make-it-slower";
    let mut command = Command::new("node");
    command.arg(places.peer.join("server.mjs")).env("NODE_ENV", "production");
    command.env("PEER_DATABASE_URL", &postgres.url).env("PEER_PORT", free_port()?.to_string());
    command.env("PEER_CONNECTIONS", setup.connections.div_ceil(setup.peer_processes).to_string());
    command.env("PEER_PROCESSES", setup.peer_processes.to_string());
    command.env("PEER_CLIENT_ID", CLIENT_ID).env("PEER_CLIENT_SECRET", secret).env("PEER_REDIRECT_URI", REDIRECT_URI);
    let mut subject = start(PEER, command, Some(postgres), &directory, secret).await?;
    subject.populate(setup, None).await?;
    Ok(subject)
}

/// Start a server and wait until it says that it listens.
async fn start(
    name: &'static str,
    mut command: Command,
    postgres: Option<&Postgres>,
    directory: &Path,
    secret: &str,
) -> anyhow::Result<Subject> {
    let log = directory.join("log");
    command.kill_on_drop(true).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(std::fs::File::create(&log)?);
    let mut process = command.spawn().with_context(|| format!("cannot start {name}"))?;
    let stdout = process.stdout.take().context("standard output was asked for")?;
    let line = tokio::time::timeout(START_LIMIT, BufReader::new(stdout).lines().next_line()).await;
    let line = line.ok().and_then(|line| line.ok().flatten());
    let line = line.with_context(|| format!("{name} does not listen: {}", last_lines(&log)))?;
    let told: Value = serde_json::from_str(&line)?;
    let address: SocketAddr = told["address"].as_str().context("no address")?.parse()?;
    let server = Tree { root: process.id().context("it has ended")? };
    let payers = Payers { server, database: postgres.map(|postgres| postgres.tree) };
    let site = Arc::new(Site::discover(address, secret).await?);
    Ok(Subject { name, site, payers, people: Vec::new(), links: Vec::new(), sign_in: None, _process: process })
}

impl Subject {
    /// Sign people in, and link as many apps as can be in flight.
    async fn populate(&mut self, setup: Setup, sign_up: Option<&'static str>) -> anyhow::Result<()> {
        let mut tasks = JoinSet::new();
        let mut rest = 0..setup.people;
        loop {
            while tasks.len() < AT_ONCE
                && let Some(number) = rest.next()
            {
                let links = setup.links / setup.people + usize::from(number < setup.links % setup.people);
                tasks.spawn(settle(self.site.clone(), number, links, sign_up));
            }
            let Some(settled) = tasks.join_next().await else { return Ok(()) };
            let (person, browser, links) = settled?.with_context(|| format!("cannot populate {}", self.name))?;
            self.people.push((person, browser));
            self.links.extend(links);
        }
    }

    pub(crate) fn connection(&self) -> Connection {
        self.site.connection()
    }
}

/// Make one person known, signed in and linked.
pub(crate) async fn settle(
    site: Arc<Site>,
    number: usize,
    links: usize,
    sign_up: Option<&str>,
) -> anyhow::Result<(Person, Browser, Vec<Tokens>)> {
    let person = Person { email: format!("person-{number}@example.org"), password: format!("pass phrase {number}") };
    let (mut browser, mut client) = (site.browser(), site.connection());
    if let Some(path) = sign_up {
        let page = browser.get(path).await?;
        let form = Form::find(page.text(StatusCode::OK)?).context("no form for signing up")?;
        let answer = browser.submit(&form, &person).await?;
        anyhow::ensure!(answer.status == StatusCode::SEE_OTHER, "signing up: {}", answer.status);
    }
    let mut linked = Vec::new();
    for _ in 0..links {
        linked.push(site.link(&mut browser, &person, &mut client).await?);
    }
    // A connection is made anew when it is needed: a thousand idle ones would only be closed meanwhile.
    let browser = browser.twin(site.connection());
    Ok((person, browser, linked))
}

fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn last_lines(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().rev().take(5).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}

pub(crate) const OURS: &str = "ma-cloud";
pub(crate) const OURS_ON_SQLITE: &str = "ma-cloud-sqlite";
pub(crate) const PEER: &str = "node-oidc-provider";
const START_LIMIT: Duration = Duration::from_secs(30);
/// Few enough for passwords to be hashed without anybody being sent away.
const AT_ONCE: usize = 8;
