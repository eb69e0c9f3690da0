//! Starting a home, and the handle on it while it runs.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::DuplexStream;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::accounts::{Accounts, fresh_secret};
use crate::clock::HomeClock;
use crate::control::{self, ControlError, PlayerChange, RestartPlan};
use crate::faults::Faults;
use crate::home::{Home, Identity};
use crate::library::{Library, TrackName};
use crate::player::PlayerConfig;
use crate::random::unique;
use crate::script::Script;
use crate::server::{self, Door};
use crate::state::{Heard, HomeState};
use crate::timing::Timing;
use crate::world::{Quirks, World};

/// How a simulated home shall be.
#[derive(Clone)]
pub struct HomeConfig {
    /// Where the protocol is served; port 0 for any. Loopback by default.
    pub listen: SocketAddr,
    /// Where the control API is served, if at all. It has no authentication: keep it on loopback.
    pub control: Option<SocketAddr>,
    /// The music.
    pub library: Library,
    /// The players. If empty, those that the library's file names; if it names none, [`PlayerConfig::defaults`].
    pub players: Vec<PlayerConfig>,
    /// A token to accept. Without, one is made up: [`RunningHome::token`].
    pub token: Option<String>,
    /// Where tokens that it makes outlive it. Without, they end with it.
    pub tokens_file: Option<PathBuf>,
    /// Name and password of the administrator, for `auth/login`.
    pub login: (String, String),
    /// How long things take.
    pub timing: Timing,
    /// What time it is there.
    pub clock: Arc<HomeClock>,
    /// Departures from the plain server.
    pub quirks: Quirks,
    /// The server's id: 32 hex digits, made up if left out.
    pub server_id: Option<String>,
    /// What the hello calls the server.
    pub name: Option<String>,
    /// The API schema that it speaks: names and fields are those of that time, as far as they are known.
    pub schema_version: u32,
    /// The oldest schema it claims to accept.
    pub min_supported_schema_version: u32,
    /// `false` plays a server nobody has set up: hello, error 503, end.
    pub onboard_done: bool,
    /// What happens by itself.
    pub script: Option<Script>,
}

/// The newest API schema that anybody has seen in a server's source.
pub const NEWEST_SCHEMA: u32 = 77;

impl Default for HomeConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            control: None,
            library: Library::demo(),
            players: Vec::new(),
            token: None,
            tokens_file: None,
            login: ("admin".to_owned(), "simulated-home".to_owned()),
            timing: Timing::measured(),
            clock: Arc::new(HomeClock::system()),
            quirks: Quirks::default(),
            server_id: None,
            name: None,
            schema_version: 29,
            min_supported_schema_version: 28,
            onboard_done: true,
            script: None,
        }
    }
}

/// Starts homes.
#[derive(Debug, Clone, Copy)]
pub struct SimulatedHome;

impl SimulatedHome {
    /// Binds and serves. When this returns, clients can connect.
    ///
    /// # Errors
    /// A port that is taken, an address that is not this machine's, or a file of tokens that cannot be used.
    pub async fn start(config: HomeConfig) -> std::io::Result<RunningHome> {
        let listener = TcpListener::bind(config.listen).await?;
        let control = match config.control {
            Some(address) => Some(TcpListener::bind(address).await?),
            None => None,
        };
        let address = listener.local_addr()?;
        let control_address = control.as_ref().map(TcpListener::local_addr).transpose()?;
        let script = config.script.clone();
        let (home, token) = furnish(config, address)?;
        let home = Arc::new(home);
        let router = server::router(Arc::clone(&home));
        home.tasks.spawn(server::serve(Arc::clone(&home), listener, router, Door::Protocol));
        if let Some(control) = control {
            let router = control::router(Arc::clone(&home));
            home.tasks.spawn(server::serve(Arc::clone(&home), control, router, Door::Control));
        }
        home.tasks.spawn(Arc::clone(&home).keep_time());
        if let Some(script) = script {
            home.tasks.spawn(script.play(Arc::clone(&home)));
        }
        Ok(RunningHome { home, address, control_address, token })
    }
}

/// Which server speaks this schema. Where no exact one is known, the nearest before it.
const fn version_of(schema: u32) -> &'static str {
    match schema {
        0..=28 => "2.7.0",
        29..=31 => "2.8.0.dev2026022803",
        32..=45 => "2.10.0",
        _ => "2.11.0.dev",
    }
}

fn furnish(config: HomeConfig, address: SocketAddr) -> std::io::Result<(Home, String)> {
    let now = config.clock.now();
    let mut accounts = Accounts::default();
    accounts.add_user(&config.login.0, &config.login.1, true, Vec::new(), now);
    let token = config.token.unwrap_or_else(|| fresh_secret(now));
    accounts.accept(token.clone(), "simulated home", now);
    if let Some(file) = config.tokens_file {
        accounts.keep_tokens_in(file, now)?;
    }
    let players = match (config.players.is_empty(), config.library.players.is_empty()) {
        (false, _) => config.players,
        (true, false) => config.library.players.clone(),
        (true, true) => PlayerConfig::defaults(),
    };
    let mut world = World::new(&config.library, &players, config.timing, config.quirks, now);
    world.schema = config.schema_version;
    let made_up = || format!("{:016x}{:016x}", unique("server"), unique("server"));
    let identity = Identity {
        server_id: config.server_id.unwrap_or_else(made_up),
        server_version: version_of(config.schema_version).to_owned(),
        schema_version: config.schema_version,
        min_supported_schema_version: config.min_supported_schema_version,
        base_url: format!("http://{address}"),
        name: config.name,
        onboard_done: config.onboard_done,
    };
    Ok((Home::new(identity, config.clock, world, accounts), token))
}

/// A home that runs until it is stopped or this handle is dropped.
pub struct RunningHome {
    home: Arc<Home>,
    address: SocketAddr,
    control_address: Option<SocketAddr>,
    token: String,
}

impl RunningHome {
    /// Where the protocol is served.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The WebSocket's URL, as a connector is given it.
    #[must_use]
    pub fn ws_url(&self) -> String {
        format!("ws://{}/ws", self.address)
    }

    /// The server's HTTP base, without a slash at the end.
    #[must_use]
    pub fn http_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A long-lived token of the administrator.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The control API's base, if it was asked for.
    #[must_use]
    pub fn control_url(&self) -> Option<String> {
        self.control_address.map(|address| format!("http://{address}"))
    }

    /// The server's id, as the hello tells it.
    #[must_use]
    pub fn server_id(&self) -> &str {
        &self.home.identity.server_id
    }

    /// How things really stand.
    #[must_use]
    pub fn state(&self) -> HomeState {
        self.home.state()
    }

    /// A number that grows with every change: wait on it, then look at [`RunningHome::state`].
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.home.changes.subscribe()
    }

    /// Waits until the home is as `wanted`, and returns that state. Waits for ever if it never is: put a time limit around.
    pub async fn until(&self, wanted: impl Fn(&HomeState) -> bool) -> HomeState {
        let mut changes = self.changes();
        loop {
            changes.mark_unchanged();
            let state = self.state();
            if wanted(&state) {
                return state;
            }
            // Cannot fail: the home owns the sending side.
            let _ = changes.changed().await;
        }
    }

    /// Lets `by` pass at once: playing queues move on, tracks end. Timers of [`Timing`] are not hastened.
    pub fn advance(&self, by: Duration) {
        self.home.clock.skip(by);
        self.home.apply(Vec::new());
    }

    /// Adds a player while running.
    ///
    /// # Errors
    /// An id or name that is missing, or an id that is taken.
    pub fn add_player(&self, config: &PlayerConfig) -> Result<(), ControlError> {
        self.home.add_player(config)
    }

    /// Removes a player for good.
    ///
    /// # Errors
    /// No such player.
    pub fn remove_player(&self, id: &str) -> Result<(), ControlError> {
        self.home.remove_player(id)
    }

    /// Changes a player as somebody in the room, or in Music Assistant's settings, would.
    ///
    /// # Errors
    /// No such player.
    pub fn change_player(&self, id: &str, change: PlayerChange) -> Result<(), ControlError> {
        self.home.change_player(id, change)
    }

    /// Pulls a player's plug; the server notices after [`Timing::notice_lost`].
    ///
    /// # Errors
    /// No such player.
    pub fn unplug(&self, id: &str) -> Result<(), ControlError> {
        self.home.set_plugged(id, false)
    }

    /// Puts the plug back in.
    ///
    /// # Errors
    /// No such player.
    pub fn plug(&self, id: &str) -> Result<(), ControlError> {
        self.home.set_plugged(id, true)
    }

    /// Restarts the server: connections break, the port is dead for a while, players come back by and by.
    ///
    /// # Errors
    /// It is restarting already.
    pub fn restart(&self, plan: RestartPlan) -> Result<(), ControlError> {
        self.home.restart(plan)
    }

    /// Makes things go wrong.
    pub fn fault(&self, faults: &Faults) {
        self.home.fault(faults);
    }

    /// Takes all lasting faults away.
    pub fn clear_faults(&self) {
        self.home.clear_faults();
    }

    /// Adds a playlist to the library, as somebody would in Music Assistant. Cached searches do not know it.
    ///
    /// # Errors
    /// A track that is not in the library.
    pub fn add_playlist(&self, name: &str, tracks: &[TrackName]) -> Result<(), ControlError> {
        self.home.add_playlist(name, tracks)
    }

    /// Connects to the server within this process, without a socket: so that it can also be spoken to where tokio's time is
    /// paused, which runs on while sockets are waited for.
    ///
    /// # Errors
    /// Connections are refused at the moment.
    pub fn connect(&self) -> std::io::Result<DuplexStream> {
        let (near, far) = tokio::io::duplex(PIPE_BYTES);
        let router = server::router(Arc::clone(&self.home));
        match server::take(&self.home, far, router, Door::Protocol) {
            true => Ok(near),
            false => Err(std::io::ErrorKind::ConnectionRefused.into()),
        }
    }

    /// Accepts this long-lived token of the administrator, too.
    pub fn accept_token(&self, token: &str) {
        self.home.accept_token(token);
    }

    /// The latest commands that arrived, oldest first, and forgets them. At most a thousand are remembered.
    #[must_use]
    pub fn take_heard(&self) -> Vec<Heard> {
        self.home.heard().drain(..).collect()
    }

    /// Stops serving and waits until all of the home's tasks have ended.
    pub async fn stop(self) {
        self.home.stop.cancel();
        self.home.tasks.close();
        self.home.tasks.wait().await;
    }
}

/// What a connection within the process holds in each direction before the writer waits: about as much as a socket.
const PIPE_BYTES: usize = 64 << 10;

impl Drop for RunningHome {
    /// Ends the home's tasks soon, without waiting for them.
    fn drop(&mut self) {
        self.home.stop.cancel();
    }
}
