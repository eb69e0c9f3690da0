//! One round: each step timed, judged, and if it failed told with the part of the way that is to blame.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use macloud_alexa_skill::answer::error;
use macloud_alexa_skill::failure::Failure;
use macloud_service_kit::clock::SharedClock;
use macloud_simulated_home::Playback;
use serde::Serialize;
use serde_json::{Value, json};
use url::Url;

use super::home::{CanaryHome, PLAYER, Told};
use super::{keep, make_private};
use crate::demo::browser::Browser;
use crate::demo::pretend_alexa::{PretendAlexa, Registration, Tokens};
use crate::demo::tour::property;

/// The steps in their order. Each needs the one before it.
pub const STEPS: [&str; 8] = ["accounts", "home", "link", "discover", "play", "volume", "state", "pause"];

/// What a canary needs.
pub struct CanarySettings {
    /// The cloud's public URL.
    pub cloud: Url,
    /// Where directives go.
    pub skill: Url,
    /// The account's e-mail address.
    pub email: String,
    /// Its password.
    pub password: String,
    /// The OAuth client that it links as.
    pub registration: Registration,
    /// What directives are signed with, where the skill asks for that.
    pub forwarder_key: Option<[u8; 32]>,
    /// Where the home's keys and the link's tokens are kept.
    pub state_dir: PathBuf,
    /// What takes longer succeeded slowly.
    pub slow: Duration,
    /// A link is refreshed at least so often, and whenever its access token is about to end.
    pub refresh_every: Duration,
    /// The time.
    pub clock: SharedClock,
}

/// How a round went. One line of JSON.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// `round`.
    pub event: &'static str,
    /// Seconds since 1970 of its end.
    pub at: u64,
    /// Whether every step succeeded, slowly or not.
    pub ok: bool,
    /// How long it took.
    pub millis: f64,
    /// The steps in their order.
    pub steps: Vec<Step>,
}

/// How a step went.
#[derive(Debug, Clone, Serialize)]
pub struct Step {
    /// One of [`STEPS`].
    pub name: &'static str,
    /// How it is judged.
    pub verdict: Verdict,
    /// How long it took.
    pub millis: f64,
    /// What is wrong, if something is.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<Trouble>,
}

/// How a step is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It succeeded.
    Ok,
    /// It did, but took too long.
    Slow,
    /// It did not.
    Failed,
    /// One before it failed.
    NotTried,
}

/// What went wrong, and where on the way.
#[derive(Debug, Clone, Serialize)]
pub struct Trouble {
    /// The part that is to blame.
    pub hop: Hop,
    /// In words.
    pub problem: String,
}

/// A part of the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Hop {
    /// Sign-in, pairing and tokens.
    AccountService,
    /// What Alexa's directives come to.
    Skill,
    /// From the skill to the relay, and from there to the home's connection.
    Relay,
    /// The canary's own home: connector and Music Assistant.
    Home,
}

impl Hop {
    /// In words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AccountService => "the account service",
            Self::Skill => "the skill",
            Self::Relay => "the relay",
            Self::Home => "the canary's own home",
        }
    }

    fn is_to_blame(self, error: &anyhow::Error) -> Trouble {
        Trouble { hop: self, problem: format!("{error:#}") }
    }
}

/// The canary: its home, and its Alexa.
pub struct Canary {
    settings: CanarySettings,
    home: CanaryHome,
    alexa: PretendAlexa,
    http: reqwest::Client,
    /// When the link was made or refreshed last, in ms of the monotonic clock.
    linked_at: Option<u64>,
    /// What discovery found.
    endpoint: Option<Endpoint>,
    /// Each round asks for another one, so that what is true was done now.
    level: u8,
}

struct Endpoint {
    id: String,
    /// A favourite that it can play.
    favourite: Option<String>,
}

impl Canary {
    /// With its home started, and the link of before if there was one.
    ///
    /// # Errors
    /// When its state cannot be read, or the simulated home not be started.
    pub async fn open(settings: CanarySettings) -> anyhow::Result<Self> {
        make_private(&settings.state_dir)?;
        let home = CanaryHome::start(&settings.state_dir).await?;
        let mut alexa =
            PretendAlexa::new(settings.cloud.clone(), settings.registration.clone(), settings.clock.clone());
        alexa.use_skill(settings.skill.clone());
        if let Some(key) = &settings.forwarder_key {
            alexa.sign_as_forwarder(key);
        }
        let kept = settings.state_dir.join(TOKENS);
        match std::fs::read_to_string(&kept) {
            Ok(text) => {
                let tokens: Tokens = serde_json::from_str(&text).ok().with_context(|| {
                    format!("{} is no link that was kept here: remove it, to link anew", kept.display())
                })?;
                alexa.resume(tokens);
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", kept.display())),
        }
        let http = macloud_service_kit::client::client(PATIENCE);
        Ok(Self { settings, home, alexa, http, linked_at: None, endpoint: None, level: 20 })
    }

    /// Its home.
    #[must_use]
    pub const fn home(&self) -> &CanaryHome {
        &self.home
    }

    /// Do every step once, until one fails.
    pub async fn round(&mut self) -> Report {
        let begun = Instant::now();
        let mut steps: Vec<Step> = Vec::with_capacity(STEPS.len());
        for name in STEPS {
            let stopped = steps.last().is_some_and(|step| matches!(step.verdict, Verdict::Failed | Verdict::NotTried));
            if stopped {
                steps.push(Step { name, verdict: Verdict::NotTried, millis: 0.0, trouble: None });
                continue;
            }
            let started = Instant::now();
            // Whatever a step waits for has a limit of its own; this one is for what nobody thought of.
            let outcome = match tokio::time::timeout(STEP_LIMIT, Box::pin(self.step(name))).await {
                Ok(outcome) => outcome,
                Err(_) => Err(Trouble { hop: Hop::AccountService, problem: "nothing came back in time".into() }),
            };
            let took = started.elapsed();
            let verdict = match &outcome {
                Err(_) => Verdict::Failed,
                // Pairing and linking are done once, and take what they take.
                Ok(Pace::Judged) if took > self.settings.slow => Verdict::Slow,
                Ok(_) => Verdict::Ok,
            };
            steps.push(Step { name, verdict, millis: took.as_secs_f64() * 1000.0, trouble: outcome.err() });
        }
        Report {
            event: "round",
            at: self.settings.clock.unix_seconds(),
            ok: steps.iter().all(|step| matches!(step.verdict, Verdict::Ok | Verdict::Slow)),
            millis: begun.elapsed().as_secs_f64() * 1000.0,
            steps,
        }
    }

    /// Stop its home.
    pub async fn close(self) {
        self.home.close().await;
    }

    async fn step(&mut self, name: &'static str) -> Result<Pace, Trouble> {
        match name {
            "accounts" => self.accounts().await,
            "home" => self.be_home().await,
            "link" => self.link().await,
            "discover" => self.discover().await,
            "play" => self.play().await,
            "volume" => self.set_volume().await,
            "state" => self.read_state().await,
            _ => self.pause().await,
        }
    }

    /// The account service answers at all.
    async fn accounts(&self) -> Result<Pace, Trouble> {
        let asked = async {
            let url = self.settings.cloud.join("/.well-known/openid-configuration")?;
            let answer = self.http.get(url).send().await?.error_for_status()?;
            let description: Value = answer.json().await?;
            description["token_endpoint"].as_str().context("its description names no token endpoint")?;
            anyhow::Ok(Pace::Judged)
        };
        asked.await.map_err(|error| Hop::AccountService.is_to_blame(&error))
    }

    /// The home is paired and connected.
    async fn be_home(&mut self) -> Result<Pace, Trouble> {
        let CanarySettings { cloud, email, password, .. } = &self.settings;
        let furnished = self.home.furnish(cloud, email, password).await;
        furnished.map_err(|error| Hop::AccountService.is_to_blame(&error))?;
        self.home.until_online().await.map_err(|error| keeps_offline(&self.home.told()).is_to_blame(&error))?;
        Ok(Pace::AsItTakes)
    }

    /// Alexa is linked, and its access token good for this round.
    async fn link(&mut self) -> Result<Pace, Trouble> {
        let now = self.settings.clock.monotonic_millis();
        let age = self.linked_at.map(|then| Duration::from_millis(now.saturating_sub(then)));
        let life = self.alexa.tokens().map(|tokens| Duration::from_secs(tokens.expires_in));
        let pace = match (life, age) {
            (Some(life), Some(age)) if age < self.settings.refresh_every && age + TOKEN_MARGIN < life => {
                return Ok(Pace::Judged);
            }
            (Some(_), _) => {
                let refreshed = self.alexa.refresh().await.context("refreshing the link");
                refreshed.map_err(|error| self.link_trouble(&error))?;
                Pace::Judged
            }
            (None, _) => {
                let CanarySettings { email, password, .. } = &self.settings;
                let linked = self.alexa.link(&mut Browser::new(), email, password).await.context("linking the account");
                linked.map_err(|error| Hop::AccountService.is_to_blame(&error))?;
                Pace::AsItTakes
            }
        };
        self.keep_tokens().map_err(|error| Hop::Home.is_to_blame(&error))?;
        self.linked_at = Some(now);
        Ok(pace)
    }

    /// A link that was ended is not made anew by itself: that nobody ends it is what is watched.
    fn link_trouble(&self, error: &anyhow::Error) -> Trouble {
        let mut trouble = Hop::AccountService.is_to_blame(error);
        if trouble.problem.contains("invalid_grant") {
            let file = self.settings.state_dir.join(TOKENS);
            trouble.problem +=
                &format!(". The link was ended, or lost its place: to link anew, remove {}", file.display());
        }
        trouble
    }

    fn keep_tokens(&self) -> anyhow::Result<()> {
        let file = self.settings.state_dir.join(TOKENS);
        let text = serde_json::to_string(&self.alexa.tokens())?;
        keep(&file, &text).with_context(|| format!("cannot keep the link in {}", file.display()))
    }

    async fn discover(&mut self) -> Result<Pace, Trouble> {
        let event = self.ask(&self.alexa.discover(), "Discover.Response").await?;
        let endpoints = event["event"]["payload"]["endpoints"].as_array().map(Vec::as_slice).unwrap_or_default();
        let ours = endpoints.iter().find(|endpoint| endpoint["friendlyName"] == PLAYER);
        let Some(ours) = ours else {
            let problem = format!("the home is there, but its player is not among the {} found", endpoints.len());
            return Err(Trouble { hop: Hop::Home, problem });
        };
        self.endpoint = Some(Endpoint {
            id: ours["endpointId"].as_str().unwrap_or_default().to_owned(),
            favourite: first_favourite(ours),
        });
        Ok(Pace::Judged)
    }

    async fn play(&self) -> Result<Pace, Trouble> {
        let endpoint = self.endpoint()?;
        let Some(favourite) = &endpoint.favourite else {
            return Err(Trouble {
                hop: Hop::Home,
                problem: "discovery names no favourite that could be played".into(),
            });
        };
        let payload = json!({ "mode": favourite });
        let mut directive = self.alexa.control("Alexa.ModeController", "SetMode", &endpoint.id, payload);
        directive["directive"]["header"]["instance"] = FAVOURITES.into();
        self.ask(&directive, "Response").await?;
        self.must_become("play", |playback, _| playback == Playback::Playing).await
    }

    async fn set_volume(&mut self) -> Result<Pace, Trouble> {
        self.level = if self.level >= 40 { 20 } else { self.level + 1 };
        let level = i64::from(self.level);
        let payload = json!({ "volume": level });
        let directive = self.alexa.control("Alexa.Speaker", "SetVolume", &self.endpoint()?.id, payload);
        self.ask(&directive, "Response").await?;
        self.must_become("have the new volume", |_, volume| volume == level).await
    }

    async fn read_state(&self) -> Result<Pace, Trouble> {
        let directive = self.alexa.control("Alexa", "ReportState", &self.endpoint()?.id, json!({}));
        let event = self.ask(&directive, "StateReport").await?;
        if property(&event, "volume") == Some(&json!(self.level)) {
            return Ok(Pace::Judged);
        }
        Err(Trouble { hop: Hop::Home, problem: "the state that is reported is not the one that was set".into() })
    }

    async fn pause(&self) -> Result<Pace, Trouble> {
        let directive = self.alexa.control("Alexa.PlaybackController", "Pause", &self.endpoint()?.id, json!({}));
        self.ask(&directive, "Response").await?;
        self.must_become("pause", |playback, _| playback != Playback::Playing).await
    }

    fn endpoint(&self) -> Result<&Endpoint, Trouble> {
        let missing = || Trouble { hop: Hop::Home, problem: "no player was discovered".into() };
        self.endpoint.as_ref().ok_or_else(missing)
    }

    /// Send a directive, whose answer must be of this name.
    async fn ask(&self, directive: &Value, wanted: &str) -> Result<Value, Trouble> {
        let answer = self.alexa.send_directive(directive).await;
        let event = answer.map_err(|error| Hop::Skill.is_to_blame(&error))?;
        if event["event"]["header"]["name"] == wanted {
            return Ok(event);
        }
        let payload = &event["event"]["payload"];
        let text = |name: &str| payload[name].as_str().unwrap_or_default();
        Err(blame(text("type"), text("message"), &self.home.told()))
    }

    async fn must_become(&self, what: &str, wanted: impl Fn(Playback, i64) -> bool) -> Result<Pace, Trouble> {
        if self.home.becomes(wanted).await {
            return Ok(Pace::Judged);
        }
        let problem = format!("Alexa was told that it is done, and the player does not {what}");
        Err(Trouble { hop: Hop::Home, problem })
    }
}

/// Whether the time that a step took says something.
enum Pace {
    Judged,
    AsItTakes,
}

/// Which part of the way an error of Alexa's speaks of. What the home itself knows decides where the error alone cannot.
fn blame(kind: &str, message: &str, home: &Told) -> Trouble {
    let said = |failure: Failure| error::alexa(&failure).message == message;
    let (hop, more) = match kind {
        "EXPIRED_AUTHORIZATION_CREDENTIAL" | "INVALID_AUTHORIZATION_CREDENTIAL" => (Hop::AccountService, None),
        _ if said(Failure::AccountsAway) => (Hop::AccountService, None),
        _ if said(Failure::BusAway) => (Hop::Relay, None),
        "BRIDGE_UNREACHABLE" if !home.online => (keeps_offline(home), Some(home.why_offline.clone())),
        "BRIDGE_UNREACHABLE" if home.music_trouble.is_some() => (Hop::Home, home.music_trouble.clone()),
        "BRIDGE_UNREACHABLE" | "ENDPOINT_BUSY" | "RATE_LIMIT_EXCEEDED" => (Hop::Relay, None),
        "INTERNAL_ERROR" => (Hop::Skill, None),
        _ => (Hop::Home, None),
    };
    let more = more.map(|more| format!(" The home says: {more}")).unwrap_or_default();
    Trouble { hop, problem: format!("{kind}: {message}{more}") }
}

/// What keeps a home offline: nobody but its owner pauses it.
const fn keeps_offline(home: &Told) -> Hop {
    if home.paused { Hop::Home } else { Hop::Relay }
}

/// The first favourite that a discovered endpoint can play.
fn first_favourite(endpoint: &Value) -> Option<String> {
    let capabilities = endpoint["capabilities"].as_array()?;
    let modes = capabilities.iter().find(|capability| capability["instance"] == FAVOURITES)?;
    Some(modes["configuration"]["supportedModes"][0]["value"].as_str()?.to_owned())
}

/// What Alexa knows favourites as.
const FAVOURITES: &str = "Player.Preset";
const TOKENS: &str = "tokens.json";
/// Alexa waits this long for an answer to a directive.
const PATIENCE: Duration = Duration::from_secs(8);
/// Pairing, the longest, waits for its own answers.
const STEP_LIMIT: Duration = Duration::from_secs(60);
/// An access token with less time than this is not begun a round with.
const TOKEN_MARGIN: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_put_down_to_the_part_that_they_come_from() {
        let online = Told { online: true, ..Told::default() };
        let offline = Told { why_offline: "no answer".into(), ..Told::default() };
        let ill = Told { music_trouble: Some("It does not answer.".into()), ..online.clone() };
        let away = |failure: Failure| {
            let said = error::alexa(&failure);
            blame(said.kind, said.message, &online)
        };
        assert_eq!(away(Failure::AccountsAway).hop, Hop::AccountService);
        assert_eq!(away(Failure::BusAway).hop, Hop::Relay);
        assert_eq!(away(Failure::UnexpectedReply).hop, Hop::Skill);
        assert_eq!(blame("EXPIRED_AUTHORIZATION_CREDENTIAL", "", &online).hop, Hop::AccountService);
        let cut = blame("BRIDGE_UNREACHABLE", "The home is not connected.", &offline);
        assert_eq!(cut.hop, Hop::Relay);
        assert_eq!(cut.problem, "BRIDGE_UNREACHABLE: The home is not connected. The home says: no answer");
        let paused = Told { paused: true, ..offline };
        assert_eq!(blame("BRIDGE_UNREACHABLE", "x", &paused).hop, Hop::Home, "its owner wants it so");
        assert_eq!(blame("BRIDGE_UNREACHABLE", "x", &ill).hop, Hop::Home);
        assert_eq!(blame("BRIDGE_UNREACHABLE", "x", &online).hop, Hop::Relay);
        assert_eq!(blame("NOT_IN_OPERATION", "x", &online).hop, Hop::Home);
    }
}
