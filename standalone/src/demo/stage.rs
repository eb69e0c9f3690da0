//! The stage on which the demo, the whole-system tests and the benchmark play: a cloud, a person who signed up through
//! the real pages, a paired home with a running connector, and a pretend Alexa that linked the account.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use axum::Router;
use axum::routing::get;
use macloud_account_service::{Limits, Lives, NewClient};
use macloud_alexa_skill::SkillConfig;
use macloud_connector::music_assistant;
use macloud_connector::music_assistant::token::Token;
use macloud_connector::music_assistant::{Condition, MusicAssistant, TokenSource};
use macloud_connector::network::Dialer;
use macloud_connector::{Connector, ConnectorOptions, PairOptions};
use macloud_proto::link::redial::RedialSettings;
use macloud_relay::{CONNECT_PATH, RelayConfig, Tap};
use macloud_service_kit::clock::{self, SharedClock};
use macloud_service_kit::http::Server;
use macloud_service_kit::random;
use macloud_service_kit::stop::Stop;
use macloud_simulated_home::{HomeConfig, Playback, Quirks, RunningHome, SimulatedHome, Timing};
use serde_json::Value;
use tokio::task::JoinHandle;
use url::Url;

use super::browser::Browser;
use super::gate::Gate;
use super::hops::HopLog;
use super::pretend_alexa::{CHAIN_PATH, PretendAlexa, Registration, SIGNING_CHAIN, SIGNING_ROOT, SKILL_ID};
use super::tour::{PATIENCE, Step, property};
use crate::cloud::{Cloud, CloudConfig};

/// Which Music Assistant the home has.
pub enum Music {
    /// A simulated one.
    Simulated(Box<HomeConfig>),
    /// One that runs somewhere.
    Real {
        /// Its WebSocket URL.
        url: String,
        /// File with a long-lived token.
        token_file: PathBuf,
    },
}

impl Music {
    /// A simulated home that answers at once and whose players move as slowly as real ones. It finds similar music, as those do
    /// that have a streaming service.
    #[must_use]
    pub fn simulated() -> Self {
        let quirks = Quirks { similar_tracks: true, ..Quirks::default() };
        Self::Simulated(Box::new(HomeConfig { timing: Timing::prompt(), quirks, ..HomeConfig::default() }))
    }

    /// That one, with its control API on a free port of loopback, for a person to let things go wrong.
    #[must_use]
    pub fn simulated_and_controlled() -> Self {
        let control = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        match Self::simulated() {
            Self::Simulated(config) => Self::Simulated(Box::new(HomeConfig { control, ..*config })),
            real @ Self::Real { .. } => real,
        }
    }
}

/// How to set the stage.
pub struct StageConfig {
    /// Where the cloud listens.
    pub listen: SocketAddr,
    /// Which Music Assistant.
    pub music: Music,
    /// Limits of the account service.
    pub limits: Limits,
    /// Lives of the account service.
    pub lives: Lives,
    /// Settings of the relay.
    pub relay: RelayConfig,
    /// Settings of the skill; what makes the pretend Alexa believed is filled in.
    pub skill: SkillConfig,
    /// The cloud's clock.
    pub clock: SharedClock,
    /// What the connector's link passes through, if anything.
    pub gate: Option<Gate>,
    /// What accounts may use.
    pub plans: macloud_account_service::PlanArgs,
}

/// An endpoint that discovery found.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Endpoint {
    /// Its id.
    pub endpoint_id: String,
    /// Its name.
    pub friendly_name: String,
    /// It is a favourite, which is put on and cannot be steered.
    pub is_scene: bool,
}

/// What is checked of a player: the truth of the simulated home, or what a real one reports.
#[derive(Debug, Clone, Copy)]
pub struct RoomState {
    /// It plays.
    pub playing: bool,
    /// Its level.
    pub volume: Option<u8>,
}

impl fmt::Display for RoomState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.playing { "it plays" } else { "it does not play" })?;
        match self.volume {
            Some(level) => write!(f, ", at volume {level}"),
            None => Ok(()),
        }
    }
}

/// The stage, set.
pub struct Stage {
    /// Where the cloud is reached.
    pub cloud_url: Url,
    /// The simulated Music Assistant, if it is one.
    pub simulated: Option<RunningHome>,
    /// The pretend Alexa, linked.
    pub alexa: PretendAlexa,
    /// The person's browser, signed in.
    pub browser: Browser,
    /// Hops of what was sent.
    pub hops: HopLog,
    /// The home's fingerprint.
    pub fingerprint: String,
    /// The home's id.
    pub instance_id: String,
    /// What discovery found last.
    pub endpoints: Vec<Endpoint>,
    /// What setting the stage took.
    pub set_up_steps: Vec<Step>,
    /// The person's e-mail address and password.
    pub person: (String, String),
    /// Where the connector keeps its state.
    pub state_dir: PathBuf,
    redial: RedialSettings,
    connector: Option<(Stop, JoinHandle<()>)>,
    cloud_stop: Stop,
    cloud: Option<Cloud>,
    serving: Vec<JoinHandle<()>>,
    dir: TemporaryDir,
}

impl Default for StageConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            music: Music::simulated(),
            limits: Limits::default(),
            lives: Lives { pairing_poll_seconds: 1, ..Lives::default() },
            relay: RelayConfig::default(),
            skill: SkillConfig::default(),
            clock: clock::system(),
            gate: None,
            plans: macloud_account_service::PlanArgs::default(),
        }
    }
}

/// The redirect URI of the pretend Alexa: never loaded, only compared.
const REDIRECT_URI: &str = "https://pitangui.amazon.com/api/skill/link/PRETEND";

impl Stage {
    /// Set it. `tell` hears of each step as it ends.
    ///
    /// # Errors
    /// When a step fails; the error names it.
    pub async fn set(config: StageConfig, mut tell: impl FnMut(&Step)) -> anyhow::Result<Self> {
        let mut steps = Steps { done: Vec::new(), tell: &mut tell };
        let dir = TemporaryDir::new()?;
        let hops = HopLog::default();
        let clock = config.clock.clone();

        let at = Instant::now();
        let (music_url, token_file, simulated) = find_music(config.music, dir.path()).await.context("the home")?;
        match &simulated {
            Some(home) => {
                let players = home.state().players.len();
                steps.done("a simulated Music Assistant", at, format!("{} with {players} players", home.ws_url()));
            }
            None => {
                let found = meet_music_assistant(&music_url, &token_file, clock.clone()).await?;
                steps.done("your Music Assistant", at, found);
            }
        }

        let at = Instant::now();
        let cloud_stop = Stop::new();
        let certificates = Server::bind((Ipv4Addr::LOCALHOST, 0).into(), None).await?;
        let certificate_base: Url = format!("http://{}", certificates.local_addr()?).parse()?;
        let chain = Router::new().route(CHAIN_PATH, get(|| async { SIGNING_CHAIN }));
        let listener =
            Server::bind(config.listen, None).await.with_context(|| format!("cannot listen on {}", config.listen))?;
        let cloud_url: Url = format!("http://{}", listener.local_addr()?).parse()?;
        if let Some(gate) = &config.gate {
            gate.lead_to(listener.local_addr()?);
        }
        let cloud_config = CloudConfig {
            data_dir: dir.path().join("cloud"),
            public_url: cloud_url.as_str().trim_end_matches('/').to_owned(),
            lives: config.lives,
            limits: config.limits,
            identity_providers: macloud_account_service::IdentityProviderArgs::default(),
            mail: macloud_account_service::MailArgs::default(),
            operator: macloud_account_service::Operator::default(),
            commands_per_minute: COMMANDS_PER_MINUTE,
            plans: config.plans,
            billing: macloud_account_service::BillingArgs::default(),
            skill: with_pretend_alexa(config.skill, certificate_base, &hops)?,
            events: Box::new(|_| Ok(None)),
            relay_url: config.gate.as_ref().map(|gate| format!("ws://{}{CONNECT_PATH}", gate.address())),
            relay: with_tap(config.relay, &hops),
            clock: clock.clone(),
        };
        let cloud = Box::pin(Cloud::start(cloud_config, &cloud_stop)).await.context("the cloud")?;
        let serving = vec![
            tokio::spawn(listener.serve(cloud.router(), cloud_stop.clone())),
            tokio::spawn(certificates.serve(chain, cloud_stop.clone())),
        ];
        steps.done("the cloud", at, format!("accounts, relay and skill on {cloud_url}"));

        let at = Instant::now();
        let mut browser = Browser::new();
        let person = ("listener@example.org".to_owned(), format!("demo-{}", base32_word()));
        sign_up(&mut browser, &cloud_url, &person).await.context("signing up")?;
        steps.done("a person signs up", at, "through the real page, without scripts".into());

        let at = Instant::now();
        let state_dir = dir.path().join("connector");
        let (instance_id, fingerprint) =
            pair(&mut browser, &cloud_url, &state_dir, (&music_url, &token_file), "Demo home")
                .await
                .context("pairing")?;
        steps.done("the home is paired", at, format!("fingerprint {fingerprint}, equal at both ends"));

        let at = Instant::now();
        let client = NewClient {
            client_id: "pretend-alexa".into(),
            name: None,
            redirect_uris: vec![REDIRECT_URI.into()],
            post_logout_redirect_uris: Vec::new(),
            require_pkce: true,
            public: false,
            access_token_seconds: None,
            ..NewClient::default()
        };
        let created = cloud.accounts().create_client(client).await?;
        let registration = Registration {
            client_id: created.client.id,
            client_secret: created.client_secret.context("a confidential client has a secret")?,
            redirect_uri: REDIRECT_URI.into(),
        };
        let mut alexa = PretendAlexa::new(cloud_url.clone(), registration, clock);
        alexa.link(&mut browser, &person.0, &person.1).await.context("linking")?;
        steps.done("Alexa is linked", at, "authorization code with PKCE through the real consent page".into());

        let set_up_steps = std::mem::take(&mut steps.done);
        let mut stage = Self {
            cloud_url,
            simulated,
            alexa,
            browser,
            hops,
            fingerprint,
            instance_id,
            endpoints: Vec::new(),
            set_up_steps,
            person,
            state_dir,
            // Nobody else dials here: no need to spread out for long.
            redial: RedialSettings { first: Duration::from_millis(100), ..RedialSettings::default() },
            connector: None,
            cloud_stop,
            cloud: Some(cloud),
            serving,
            dir,
        };
        let at = Instant::now();
        stage.start_connector()?;
        stage.until_online().await.context("the connector")?;
        let mut steps = Steps { done: std::mem::take(&mut stage.set_up_steps), tell: &mut tell };
        steps.done("the home is online", at, "its connector dialled the relay".into());
        stage.set_up_steps = steps.done;
        Ok(stage)
    }

    /// The cloud. None once it was struck.
    #[must_use]
    pub const fn cloud(&self) -> Option<&Cloud> {
        self.cloud.as_ref()
    }

    /// Start the connector (again).
    ///
    /// # Errors
    /// When its state cannot be read.
    pub fn start_connector(&mut self) -> anyhow::Result<()> {
        let stop = Stop::new();
        let connector = Connector::open(ConnectorOptions {
            state_dir: self.state_dir.clone(),
            ma_url: None,
            ma_token_file: None,
            dialer: Dialer::new(None, false)?,
            // Music Assistant's certificate, if it has one, is its owner's own.
            ma_dialer: Dialer::new(None, true)?,
            timing: music_assistant::Timing::default(),
            redial: self.redial.clone(),
            clock: clock::system(),
        })?;
        let until = stop.clone();
        let running = tokio::spawn(async move { connector.run(until).await });
        self.connector = Some((stop, running));
        Ok(())
    }

    /// Stop the connector as a person would.
    pub async fn stop_connector(&mut self) {
        if let Some((stop, running)) = self.connector.take() {
            stop.stop_soft();
            let _ = running.await;
        }
    }

    /// Take the connector away as a power cut would.
    pub async fn kill_connector(&mut self) {
        if let Some((_, running)) = self.connector.take() {
            running.abort();
            let _ = running.await;
        }
    }

    /// Wait until commands reach the home.
    ///
    /// # Errors
    /// When they do not within ten seconds.
    pub async fn until_online(&mut self) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            let (event, _) = self.discover().await?;
            if !self.endpoints.is_empty() {
                return Ok(());
            }
            ensure!(
                begun.elapsed() < Duration::from_secs(10),
                "no players after ten seconds: {}",
                event["event"]["payload"]
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Discover, and keep what was found.
    ///
    /// # Errors
    /// When the skill does not answer.
    pub async fn discover(&mut self) -> anyhow::Result<(Value, Step)> {
        let started = Instant::now();
        let event = self.alexa.send_directive(&self.alexa.discover()).await?;
        let step = self.step("Alexa discovers".into(), started, &[], String::new());
        let endpoints = event["event"]["payload"]["endpoints"].as_array().map(Vec::as_slice).unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let found = endpoints.iter().map(|endpoint| Endpoint {
            endpoint_id: text(&endpoint["endpointId"]),
            friendly_name: text(&endpoint["friendlyName"]),
            is_scene: endpoint["displayCategories"].as_array().is_some_and(|all| all.contains(&"SCENE_TRIGGER".into())),
        });
        self.endpoints = found.collect();
        Ok((event, step))
    }

    /// The endpoint of this name.
    ///
    /// # Errors
    /// When discovery found none.
    pub fn endpoint(&self, name: &str) -> anyhow::Result<&str> {
        let found = self.endpoints.iter().find(|endpoint| endpoint.friendly_name == name);
        found.map(|endpoint| endpoint.endpoint_id.as_str()).with_context(|| format!("no endpoint is called {name:?}"))
    }

    /// How a player is.
    ///
    /// # Errors
    /// When a real one cannot be asked.
    pub async fn room(&self, name: &str) -> anyhow::Result<RoomState> {
        if let Some(home) = &self.simulated {
            let state = home.state();
            let player = state.named(name).with_context(|| format!("the home has no player {name:?}"))?;
            return Ok(RoomState {
                playing: player.state == Playback::Playing,
                volume: u8::try_from(player.volume).ok(),
            });
        }
        let directive = self.alexa.control("Alexa", "ReportState", self.endpoint(name)?, serde_json::json!({}));
        let report = self.alexa.send_directive(&directive).await?;
        let _ = self.hops.take_latest();
        let playing = property(&report, "playbackState").is_some_and(|value| value["state"] == "PLAYING");
        let volume = property(&report, "volume").and_then(Value::as_u64).and_then(|level| u8::try_from(level).ok());
        Ok(RoomState { playing, volume })
    }

    /// Wait until a player is as it should be.
    ///
    /// # Errors
    /// When it is not after some seconds.
    pub async fn player_becomes(
        &self,
        name: &str,
        what: &str,
        wanted: impl Fn(&RoomState) -> bool,
    ) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            let state = self.room(name).await?;
            if wanted(&state) {
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                bail!("{name} is not {what} after {PATIENCE:?}: {state}");
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    /// Take everything down, the temporary directory included.
    pub async fn strike(mut self) {
        self.stop_connector().await;
        self.cloud_stop.stop_soft();
        for task in self.serving.drain(..) {
            let _ = task.await;
        }
        self.cloud_stop.stop_hard();
        if let Some(cloud) = self.cloud.take() {
            cloud.ended().await;
        }
        if let Some(home) = self.simulated.take() {
            home.stop().await;
        }
        drop(self.dir);
    }
}

/// Enough for a benchmark's closed loop.
const COMMANDS_PER_MINUTE: u32 = 1_000_000;

/// For a Music Assistant to be reached, and to finish starting.
const MEETING_LIMIT: Duration = Duration::from_secs(15);

struct Steps<'a, F> {
    done: Vec<Step>,
    tell: &'a mut F,
}

impl<F: FnMut(&Step)> Steps<'_, F> {
    fn done(&mut self, name: &str, since: Instant, detail: String) {
        let millis = since.elapsed().as_secs_f64() * 1000.0;
        let step = Step { name: name.into(), ok: true, millis, detail, hops: Vec::new(), relay_saw: None };
        (self.tell)(&step);
        self.done.push(step);
    }
}

async fn find_music(music: Music, dir: &Path) -> anyhow::Result<(String, PathBuf, Option<RunningHome>)> {
    match music {
        Music::Real { url, token_file } => Ok((url, token_file, None)),
        Music::Simulated(config) => {
            let home = SimulatedHome::start(*config).await?;
            let token_file = dir.join("music-assistant-token");
            std::fs::write(&token_file, home.token())?;
            Ok((home.ws_url(), token_file, Some(home)))
        }
    }
}

/// Connect once, so that a wrong address or token is said as what it is, and not as a home that never comes online.
async fn meet_music_assistant(url: &str, token_file: &Path, clock: SharedClock) -> anyhow::Result<String> {
    let token = std::fs::read_to_string(token_file).with_context(|| format!("cannot read {}", token_file.display()))?;
    let token = Token::parse(&token).with_context(|| format!("{} holds no token", token_file.display()))?;
    let ma = MusicAssistant::new(music_assistant::Settings {
        url: url.parse().with_context(|| format!("{url} is not a URL"))?,
        token: TokenSource::Fixed(token),
        dialer: Dialer::new(None, true)?,
        clock,
        timing: music_assistant::Timing::default(),
    });
    let mut conditions = ma.conditions();
    let judged = async {
        let passing = [Condition::Connecting, Condition::Starting];
        let judged = conditions.wait_for(|condition| !passing.contains(condition));
        let _ = tokio::time::timeout(MEETING_LIMIT, judged).await;
    };
    tokio::select! {
        () = judged => {}
        () = ma.run(Stop::new()) => {}
    }
    let condition = match ma.condition() {
        // It would be tried again for a minute; whoever watches a demo wants to hear it now.
        Condition::TokenDoubted => Condition::TokenRefused,
        condition => condition,
    };
    match condition {
        Condition::Ready { .. } => {}
        // What a connector would advise is about a connector.
        Condition::TokenRefused | Condition::NoToken => bail!(
            "{url}: Music Assistant refuses the token in {}. Create one in its web page under Settings, Profile, long-lived access tokens, and put it in that file.",
            token_file.display()
        ),
        other => bail!("{url}: {}", other.explanation()),
    }
    Ok(condition.explanation())
}

async fn sign_up(browser: &mut Browser, cloud: &Url, person: &(String, String)) -> anyhow::Result<()> {
    let page = browser.page(&cloud.join("/sign-up")?).await?;
    let form = page.form_with("password")?;
    let after = browser.submit(&form, &[("email", &person.0), ("password", &person.1)]).await?.page()?;
    ensure!(after.status == 200, "the page {:?} answered {}", after.title(), after.status);
    Ok(())
}

/// Sign in with a password.
pub(crate) async fn sign_in(browser: &mut Browser, cloud: &Url, email: &str, password: &str) -> anyhow::Result<()> {
    let page = browser.page(&cloud.join("/sign-in")?).await?;
    let form = page.form_with("password")?;
    let after = browser.submit(&form, &[("email", email), ("password", password)]).await?.page()?;
    ensure!(after.status == 200, "the page {:?} answered {}", after.title(), after.status);
    Ok(())
}

/// Pair as a person does: the connector shows a code, the browser opens the link and presses "allow".
pub(crate) async fn pair(
    browser: &mut Browser,
    cloud: &Url,
    state_dir: &Path,
    (music_url, token_file): (&str, &Path),
    name: &str,
) -> anyhow::Result<(String, String)> {
    let (codes, mut code) = tokio::sync::mpsc::channel(1);
    let token = std::fs::read_to_string(token_file).with_context(|| format!("cannot read {}", token_file.display()))?;
    let options = PairOptions {
        cloud: cloud.clone(),
        state_dir: state_dir.to_owned(),
        name: Some(name.to_owned()),
        ma_url: Some(music_url.parse().with_context(|| format!("{music_url} is not a URL"))?),
        ma_token: Token::parse(&token),
        dialer: Dialer::new(None, false)?,
        clock: clock::system(),
    };
    let pairing = macloud_connector::pair(options, move |code| {
        let _ = codes.try_send(code.clone());
    });
    let approving = async {
        let code = code.recv().await.context("the connector showed no code")?;
        let page = browser.page(&code.verification_uri_complete.parse()?).await?;
        ensure!(page.html.contains(&code.fingerprint), "the page does not show the connector's fingerprint");
        let form = page.form_with("decision")?;
        browser.submit(&form, &[("decision", "allow")]).await?.page()?;
        Ok(code.fingerprint)
    };
    let (paired, fingerprint) = tokio::join!(pairing, approving);
    let fingerprint: anyhow::Result<String> = fingerprint;
    Ok((paired?.instance_id.to_string(), fingerprint?))
}

fn with_pretend_alexa(mut skill: SkillConfig, certificate_base: Url, hops: &HopLog) -> anyhow::Result<SkillConfig> {
    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::pem::PemObject as _;
    skill.verify.application_ids.push(SKILL_ID.into());
    skill.verify.dangerous.fetch_base = Some(certificate_base);
    skill.verify.dangerous.extra_roots.push(CertificateDer::from_pem_slice(SIGNING_ROOT.as_bytes())?);
    skill.observer = Some(hops.observer());
    Ok(skill)
}

fn with_tap(mut relay: RelayConfig, hops: &HopLog) -> RelayConfig {
    let hops = hops.clone();
    relay.tap = Some(Tap(Arc::new(move |command_id, sealed: &[u8]| hops.relayed(command_id, sealed))));
    relay
}

fn base32_word() -> String {
    macloud_proto::ids::base32(&random::bytes::<15>())
}

/// A directory that goes when this does.
struct TemporaryDir(PathBuf);

impl TemporaryDir {
    fn new() -> anyhow::Result<Self> {
        use std::os::unix::fs::DirBuilderExt as _;
        let path = std::env::temp_dir().join(format!("ma-cloud-demo-{}", base32_word()));
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self(path))
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TemporaryDir {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, path = %self.0.display(), "a temporary directory stays behind");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_is_told_in_words() {
        let silent = RoomState { playing: false, volume: Some(30) };
        assert_eq!(silent.to_string(), "it does not play, at volume 30");
        assert_eq!(RoomState { playing: true, volume: None }.to_string(), "it plays");
    }
}
