//! The canary's home: a simulated Music Assistant with one player, and a real connector that is paired with the cloud.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use macloud_connector::music_assistant;
use macloud_connector::network::Dialer;
use macloud_connector::state::StateDir;
use macloud_connector::status::Event;
use macloud_connector::{Connector, ConnectorOptions};
use macloud_proto::ids::base32;
use macloud_proto::link::redial::RedialSettings;
use macloud_service_kit::stop::Stop;
use macloud_service_kit::{clock, random};
use macloud_simulated_home::{HomeConfig, Playback, PlayerConfig, RunningHome, SimulatedHome, Timing};
use tokio::task::JoinHandle;
use url::Url;

use super::keep;
use crate::demo::browser::Browser;
use crate::demo::stage;

/// What the one player is called.
pub const PLAYER: &str = "Canary";

/// The home.
pub struct CanaryHome {
    music: RunningHome,
    token_file: PathBuf,
    connector_dir: PathBuf,
    told: Arc<Mutex<Told>>,
    connector: Option<(Stop, JoinHandle<()>)>,
}

/// What its connector says of itself.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// It is connected with a relay.
    pub online: bool,
    /// Its owner has paused it.
    pub paused: bool,
    /// Why not, in its words.
    pub why_offline: String,
    /// What is the matter with Music Assistant, if anything.
    pub music_trouble: Option<String>,
}

impl CanaryHome {
    /// Start Music Assistant; the connector comes later, when it is paired.
    pub(super) async fn start(state_dir: &Path) -> anyhow::Result<Self> {
        let token_file = state_dir.join("music-assistant-token");
        let token = match std::fs::read_to_string(&token_file) {
            Ok(token) => token.trim().to_owned(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let token = base32(&random::bytes::<30>());
                keep(&token_file, &token).with_context(|| format!("cannot write {}", token_file.display()))?;
                token
            }
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", token_file.display())),
        };
        let config = HomeConfig {
            timing: Timing::prompt(),
            token: Some(token),
            // The same home after each start.
            server_id: Some("00000000000000000000000000ca11a7".into()),
            players: vec![PlayerConfig::new("up00ca11a70001", PLAYER)],
            ..HomeConfig::default()
        };
        let music = SimulatedHome::start(config).await.context("cannot start the simulated Music Assistant")?;
        let told = Arc::new(Mutex::new(Told { why_offline: "It is not paired yet.".into(), ..Told::default() }));
        Ok(Self { music, token_file, connector_dir: state_dir.join("connector"), told, connector: None })
    }

    /// The simulated Music Assistant: what is really played there.
    #[must_use]
    pub const fn music(&self) -> &RunningHome {
        &self.music
    }

    /// What the connector says of itself.
    #[must_use]
    pub fn told(&self) -> Told {
        lock(&self.told).clone()
    }

    /// Have it paired and its connector running. Pairs it the first time, as the owner of the account would.
    pub(super) async fn furnish(&mut self, cloud: &Url, email: &str, password: &str) -> anyhow::Result<()> {
        if self.connector.as_ref().is_some_and(|(_, running)| !running.is_finished()) {
            return Ok(());
        }
        let is_paired = StateDir::existing(&self.connector_dir).is_some_and(|state| StateDir::is_paired(&state));
        if !is_paired {
            let mut browser = Browser::new();
            stage::sign_in(&mut browser, cloud, email, password).await.context("signing in to pair the home")?;
            let music_url = self.music.ws_url();
            stage::pair(&mut browser, cloud, &self.connector_dir, (&music_url, &self.token_file), PLAYER)
                .await
                .context("pairing the home")?;
        }
        let connector = Connector::open(ConnectorOptions {
            state_dir: self.connector_dir.clone(),
            // Its port is another one after each start.
            ma_url: Some(self.music.ws_url().parse().context("the simulated home's address")?),
            ma_token_file: Some(self.token_file.clone()),
            dialer: Dialer::new(None, false)?,
            ma_dialer: Dialer::new(None, true)?,
            timing: music_assistant::Timing::default(),
            redial: RedialSettings::default(),
            clock: clock::system(),
        })?;
        let told = Arc::clone(&self.told);
        connector.observe(Arc::new(move |event: &Event| lock(&told).hear(event)));
        let stop = Stop::new();
        let until = stop.clone();
        self.connector = Some((stop, tokio::spawn(async move { connector.run(until).await })));
        Ok(())
    }

    /// Wait until its connector is online.
    pub(super) async fn until_online(&self) -> anyhow::Result<()> {
        let begun = tokio::time::Instant::now();
        while !self.told().online {
            ensure!(begun.elapsed() < ONLINE_LIMIT, "the home is not connected: {}", self.told().why_offline);
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Ok(())
    }

    /// Wait until the player is as it should be; whether it is.
    pub(super) async fn becomes(&self, wanted: impl Fn(Playback, i64) -> bool) -> bool {
        let there =
            self.music.until(|state| state.named(PLAYER).is_some_and(|player| wanted(player.state, player.volume)));
        tokio::time::timeout(TRUTH_LIMIT, there).await.is_ok()
    }

    pub(super) async fn close(mut self) {
        if let Some((stop, running)) = self.connector.take() {
            stop.stop_soft();
            let _ = running.await;
        }
        self.music.stop().await;
    }
}

impl Told {
    fn hear(&mut self, event: &Event) {
        match event {
            Event::Online { paused: true, .. } => {
                (self.online, self.paused) = (false, true);
                self.why_offline = "It is paused on the cloud's web page.".into();
            }
            Event::Online { .. } => (self.online, self.paused) = (true, false),
            Event::Offline { explanation, .. } => {
                (self.online, self.paused) = (false, false);
                self.why_offline.clone_from(explanation);
            }
            Event::MusicAssistant { state, explanation, .. } => {
                self.music_trouble = (state != "ready").then(|| explanation.clone());
            }
            Event::Stopped | Event::Resumed | Event::Command { .. } => {}
        }
    }
}

fn lock(told: &Mutex<Told>) -> std::sync::MutexGuard<'_, Told> {
    told.lock().expect("no code panics while holding this lock")
}

/// Longer than one failed try to dial in takes, and the pause after it.
const ONLINE_LIMIT: Duration = Duration::from_secs(12);
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// For the player to do what the cloud has said that it does.
const TRUTH_LIMIT: Duration = Duration::from_secs(5);
