//! The connector put together: state directory, Music Assistant, link, and what is told about them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use macloud_e2ee::home::Home;
use macloud_proto::ids::fingerprint;
use macloud_proto::link::connector_side::ConnectorSettings;
use macloud_proto::link::redial::RedialSettings;
use macloud_proto::time::Millis;
use macloud_service_kit::clock::SharedClock;
use macloud_service_kit::random;
use macloud_service_kit::stop::Stop;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use url::Url;

use crate::cloud::{Cloud, CloudError};
use crate::execute::Executor;
use crate::library;
use crate::link::commands::Commands;
use crate::link::events::Outbox;
use crate::link::recent::{Counts, RecentCommand};
use crate::link::{Admission, KeySetTaker, Link};
use crate::memory::Memory;
use crate::music_assistant::token::Token;
use crate::music_assistant::{Condition, MusicAssistant, Settings, Timing, TokenSource};
use crate::network::Dialer;
use crate::news::Teller;
use crate::rules::local_time::Zone;
use crate::rules::{HouseRules, Rules, TimeOfDay};
use crate::state::{MusicAssistantPlace, Pairing, StateDir, StateError, StateLock, command, is_readable_by_others};
use crate::status::{Event, Events, LinkState, MusicAssistantState, Observer, Status, key_trouble};
use crate::watchdog::Watch;

/// Where Music Assistant usually is: on the same machine.
pub const USUAL_MA_URL: &str = "ws://localhost:8095/ws";

/// How often the stop-now switch is looked at: it must work within a second.
const SWITCH_POLL: Duration = Duration::from_millis(300);

/// The status file is written at most this often.
const STATUS_EVERY: Duration = Duration::from_millis(250);

/// And for the number of commands alone this seldom: nobody waits for it.
const COUNTS_EVERY: Duration = Duration::from_secs(2);

/// How everything stands is looked at this often also if nobody has said a word: a token that is about to end says none.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// What could not be written, for a full disk say, is tried again after this.
const WRITE_AGAIN: Duration = Duration::from_secs(30);

/// What to run.
#[derive(Clone)]
pub struct ConnectorOptions {
    /// The state directory of a paired home.
    pub state_dir: PathBuf,
    /// Music Assistant's address; else the one kept at pairing; else [`USUAL_MA_URL`].
    pub ma_url: Option<Url>,
    /// A file with Music Assistant's token; else the one kept at pairing.
    pub ma_token_file: Option<PathBuf>,
    /// For connections to the cloud.
    pub dialer: Dialer,
    /// For connections to Music Assistant.
    pub ma_dialer: Dialer,
    /// Waits towards Music Assistant.
    pub timing: Timing,
    /// Waits towards the relay.
    pub redial: RedialSettings,
    /// The clock.
    pub clock: SharedClock,
}

/// Why a connector cannot start. The texts say what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The state directory.
    #[error(transparent)]
    State(#[from] StateError),
    /// It is not paired.
    #[error("this connector is not paired with a cloud yet. Run: {}", command("pair --cloud URL", .0))]
    NotPaired(PathBuf),
    /// The cloud's address cannot be used.
    #[error("the cloud's address cannot be used: {0}")]
    Cloud(#[from] CloudError),
}

/// A connector, ready to run.
pub struct Connector {
    state: StateDir,
    _lock: StateLock,
    view: View,
    given_ma_url: Option<Url>,
    memory: Memory,
    outbox: Arc<Outbox>,
    events: Events,
}

/// What can be seen of a connector while it runs, and the switch that stops it at once. Cheap to clone.
#[derive(Clone)]
pub struct View {
    pairing: Pairing,
    fingerprint: String,
    ma: MusicAssistant,
    house: HouseRules,
    link: Arc<Link>,
    commands: Arc<Commands>,
    watch: Watch,
    clock: SharedClock,
}

/// How much there is of what must not grow without end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Commands that are being carried out.
    pub commands: usize,
    /// Requests to Music Assistant that wait for an answer.
    pub requests: usize,
    /// Loops that are watched.
    pub loops: usize,
}

/// Looks into a connector that runs.
#[derive(Clone)]
pub struct Gauge {
    commands: Arc<Commands>,
    ma: MusicAssistant,
    watch: Watch,
}

impl Gauge {
    /// As they are now.
    #[must_use]
    pub fn sizes(&self) -> Sizes {
        let Self { commands, ma, watch } = self;
        Sizes { commands: commands.under_way(), requests: ma.waiting(), loops: watch.count() }
    }
}

impl Connector {
    /// Take the state directory and put everything together. Nothing is connected yet.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(options: ConnectorOptions) -> Result<Self, OpenError> {
        let watch = Watch::new(Arc::clone(&options.clock));
        Self::open_watched(options, watch)
    }

    /// The same, with its loops watched beside others of this process.
    ///
    /// # Errors
    /// [`OpenError`].
    pub(crate) fn open_watched(options: ConnectorOptions, watch: Watch) -> Result<Self, OpenError> {
        // Nothing is written where no home was ever paired: the path may be a mistyped one.
        let Some(state) = StateDir::existing(&options.state_dir) else {
            return Err(OpenError::NotPaired(options.state_dir));
        };
        if state.pairing()?.is_none() {
            return Err(OpenError::NotPaired(options.state_dir));
        }
        let lock = state.lock()?;
        // As it is now that nobody else changes it.
        let Some(pairing) = state.pairing()? else { return Err(OpenError::NotPaired(options.state_dir)) };
        let skill_keys = state.kept_skill_keys()?;
        let identity = state.identity()?;
        state.keep_token_private()?;
        if let Some(file) = options.ma_token_file.as_deref().filter(|file| is_readable_by_others(file)) {
            // Not changed here: where secrets are mounted into a container, this is how they are.
            tracing::warn!(
                "other users of this machine can read Music Assistant's token; chmod 600 {}",
                file.display()
            );
        }
        let ma = MusicAssistant::new(ma_settings(&state, &options)?);
        ma.watched_by(&watch);
        let events = Events::default();
        let now = Millis(options.clock.monotonic_millis());
        let instance = pairing.instance_id.clone();
        let home = Home::new(instance.clone(), Arc::clone(&identity), skill_keys, now, &mut random::fill);
        let house = HouseRules::new(state.rules()?, Arc::clone(&options.clock), Zone::of_this_machine());
        let memory = Memory::open(state.clone());
        let executor = Executor::with_memory(ma.clone(), house.clone(), memory.clone());
        let commands = Arc::new(Commands::new(home, executor, Arc::clone(&options.clock), events.clone()));
        let cloud = Cloud::new(pairing.cloud.clone(), options.dialer.clone(), Arc::clone(&options.clock))?;
        let take_key_set = key_set_taker(state.clone(), Arc::clone(&commands));
        let admission = Admission::new(
            cloud,
            options.dialer,
            Arc::clone(&identity),
            instance,
            pairing.relay_url.clone(),
            take_key_set,
        );
        let settings = ConnectorSettings {
            install_id: state.install_id()?,
            software: concat!("ma-connector ", env!("CARGO_PKG_VERSION")).into(),
            ..ConnectorSettings::default()
        };
        let outbox = Arc::default();
        let (heard, told) = (Arc::clone(&commands), Arc::clone(&outbox));
        let link = Arc::new(Link::new(admission, heard, told, settings, options.redial, watch.clone()));
        commands.renew_through(&link);
        let fingerprint = fingerprint(identity.public());
        let clock = options.clock;
        let given_ma_url = options.ma_url;
        let view = View { pairing, fingerprint, ma, house, link, commands, watch, clock };
        Ok(Self { state, _lock: lock, view, given_ma_url, memory, outbox, events })
    }

    /// What its loops promise.
    #[must_use]
    pub const fn watch(&self) -> &Watch {
        &self.view.watch
    }

    /// To look into it while it runs.
    #[must_use]
    pub fn gauge(&self) -> Gauge {
        let View { commands, ma, watch, .. } = &self.view;
        Gauge { commands: Arc::clone(commands), ma: ma.clone(), watch: watch.clone() }
    }

    /// Be told of everything that happens. At most one observer; it must not wait.
    pub fn observe(&self, observer: Observer) {
        self.events.observe(observer);
    }

    /// The connection to Music Assistant.
    #[must_use]
    pub const fn music_assistant(&self) -> &MusicAssistant {
        &self.view.ma
    }

    /// The pairing that it runs with.
    #[must_use]
    pub const fn pairing(&self) -> &Pairing {
        &self.view.pairing
    }

    /// To look at it while it runs.
    #[must_use]
    pub fn view(&self) -> View {
        self.view.clone()
    }

    /// Run until told to stop; then answer what is under way and take leave of the relay.
    pub async fn run(self, stop: Stop) {
        self.view.commands.set_stopped(self.state.is_stopped());
        // Not a child of `stop`: these end after the link, not with it.
        let quiet = Stop::new();
        let teller = self.teller();
        let watch = &self.view.watch;
        // On the heap: it is kilobytes, and whoever runs this would carry them.
        let everything = async {
            tokio::join!(
                watch.until_told("Music Assistant", &quiet, self.view.ma.run(quiet.child())),
                async {
                    watch.until_told("link", &stop, self.view.link.run(stop.clone())).await;
                    // Music Assistant is needed until the last command is answered, the status until the link has ended.
                    quiet.stop_soft();
                },
                watch.until_told("report", &quiet, self.report(quiet.child())),
                watch.until_told("teller", &stop, teller.run(stop.child())),
                watch.until_told("timers", &quiet, async { self.view.commands.keep_timers(&quiet.child()).await }),
                watch.until_told(
                    "library",
                    &stop,
                    library::keep(&self.view.ma, library::Pace::default(), stop.child())
                ),
            );
        };
        Box::pin(everything).await;
    }

    fn teller(&self) -> Teller {
        Teller {
            ma: self.view.ma.clone(),
            house: self.view.house.clone(),
            commands: Arc::clone(&self.view.commands),
            link: Arc::clone(&self.view.link),
            outbox: Arc::clone(&self.outbox),
            state: self.state.clone(),
        }
    }

    /// Follow what changes: tell it, write it down, and look at the switch.
    async fn report(&self, stop: Stop) {
        let mut conditions = self.view.ma.conditions();
        let mut links = self.view.link.states();
        let mut switch = interval(SWITCH_POLL);
        switch.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut told: Option<Status> = None;
        let mut write_at: Option<Instant> = None;
        let mut not_before = Instant::now();
        let mut rules = self.state.rules_stamp();
        let mut kept = self.state.token();
        let mut counted = Counts::default();
        let mut keep_at = Instant::now();
        let mut players = self.view.ma.changes();
        let mut switches = (self.view.commands.is_stopped(), self.view.commands.keys_refused());
        let (mut stale, mut looked) = (true, Instant::now());
        let pulse = self.view.watch.pulse("report");
        loop {
            // It is here that a thread shows that is blocked, whatever blocks it.
            pulse.within(SWITCH_POLL);
            if Instant::now() >= keep_at && !self.keep_accepted(&mut kept) {
                keep_at = Instant::now() + WRITE_AGAIN;
            }
            // Several times a second it is almost always as it was, on a machine that may run on a battery.
            let look = std::mem::take(&mut stale) || looked.elapsed() >= LOOK_EVERY;
            let status = look.then(|| self.view.status());
            if look {
                looked = Instant::now();
            }
            if let Some(status) = status.filter(|status| told.as_ref().is_none_or(|told| !same(told, status))) {
                // Written before it is told, so that whoever hears of it can read it. Only players that come one by one
                // are worth waiting for.
                let urgent = told.as_ref().is_none_or(|told| is_urgent(told, &status));
                write_at = Some(write_at.map_or(not_before, |at| at.min(not_before)));
                if urgent {
                    write_at = self.write_status();
                }
                self.tell_changes(told.as_ref(), &status);
                told = Some(status);
            }
            tokio::select! {
                () = stop.soft() => break,
                changed = conditions.changed() => if changed.is_ok() { stale = true } else { break },
                changed = links.changed() => if changed.is_ok() { stale = true } else { break },
                () = async { match write_at { Some(at) => sleep_until(at).await, None => std::future::pending().await } } => {
                    not_before = Instant::now() + STATUS_EVERY;
                    write_at = self.write_status();
                }
                _ = switch.tick() => {
                    let switched = (self.state.is_stopped(), self.view.commands.keys_refused());
                    self.view.commands.set_stopped(switched.0);
                    stale = switches != switched || players.has_changed().unwrap_or(false);
                    switches = switched;
                    players.mark_unchanged();
                    self.view.commands.rotate_if_due();
                    let stamp = self.state.rules_stamp();
                    if rules != stamp {
                        rules = stamp;
                        stale = true;
                        self.take_new_rules();
                    }
                    self.memory.take_changes();
                    let counts = self.view.commands.recent().counts();
                    if counted != counts {
                        counted = counts;
                        write_at.get_or_insert(Instant::now() + COUNTS_EVERY);
                    }
                }
            }
        }
        let _ = self.write_status();
    }

    fn take_new_rules(&self) {
        match self.state.rules() {
            Ok(rules) => {
                tracing::info!("the owner's rules have changed");
                self.view.house.replace(rules);
            }
            Err(error) => tracing::error!("{error} Until then the former rules hold."),
        }
    }

    /// When to try again, if it could not be written.
    fn write_status(&self) -> Option<Instant> {
        let error = self.state.save_status(&self.view.status()).err()?;
        tracing::warn!("the status could not be written: {error}");
        Some(Instant::now() + WRITE_AGAIN)
    }

    /// Keep the token that Music Assistant took, and its address if one was given, for the other commands and the next start.
    /// Whether there is nothing left to keep.
    fn keep_accepted(&self, kept: &mut Option<Token>) -> bool {
        let Some(token) = self.view.ma.accepted().filter(|token| kept.as_ref() != Some(token)) else { return true };
        let url = self.given_ma_url.clone();
        let place = url.map_or(Ok(()), |url| self.state.save_music_assistant(&MusicAssistantPlace { url: Some(url) }));
        match place.and_then(|()| self.state.save_token(&token)) {
            Ok(()) => {
                tracing::debug!("kept the token that Music Assistant accepted");
                *kept = Some(token);
                true
            }
            Err(error) => {
                tracing::warn!("the token that Music Assistant accepted could not be kept: {error}");
                false
            }
        }
    }

    fn tell_changes(&self, before: Option<&Status>, now: &Status) {
        if before.is_none_or(|before| before.stopped != now.stopped) && (now.stopped || before.is_some()) {
            self.events.tell(if now.stopped { &Event::Stopped } else { &Event::Resumed });
        }
        let ma = &now.music_assistant;
        if before.is_none_or(|before| before.music_assistant != *ma) {
            if let Some(days) = ma.token_ends_in_days {
                tracing::warn!(days, "Music Assistant's token ends soon; get another with `ma-connector sign-in`");
            }
            self.events.tell(&Event::MusicAssistant {
                state: ma.state.clone(),
                explanation: ma.explanation.clone(),
                players: ma.players,
            });
        }
        if before.is_none_or(|before| before.relay != now.relay) {
            match &now.relay {
                LinkState::Connecting => {}
                LinkState::Online { node, epoch, paused, contested } => {
                    let (node, epoch, paused, contested) = (node.clone(), *epoch, *paused, *contested);
                    self.events.tell(&Event::Online { node, epoch, paused, contested });
                }
                LinkState::Waiting { explanation, retry_in_seconds }
                | LinkState::Replaced { explanation, retry_in_seconds }
                | LinkState::Unauthorized { explanation, retry_in_seconds } => self
                    .events
                    .tell(&Event::Offline { explanation: explanation.clone(), retry_in_seconds: *retry_in_seconds }),
            }
        }
    }
}

impl View {
    /// How it stands.
    #[must_use]
    pub fn status(&self) -> Status {
        let condition = self.ma.condition();
        let rules = self.house.current();
        let (players, namesakes, unspeakable) = {
            let directory = self.ma.directory();
            let players = directory.exposed().filter(|player| rules.expose(player)).count();
            let namesakes = rules.namesakes(directory.exposed_names()).len();
            (players, namesakes, rules.unspeakable(directory.exposed_names()).len())
        };
        Status {
            updated_at: self.clock.unix_seconds(),
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").into(),
            instance_id: self.pairing.instance_id.clone(),
            home_name: self.pairing.home_name.clone(),
            fingerprint: self.fingerprint.clone(),
            stopped: self.commands.is_stopped(),
            key_trouble: self.commands.keys_refused().map(|error| {
                let (trouble, remedy) = key_trouble(error);
                format!("{trouble} {remedy}")
            }),
            commands: self.commands.recent().counts(),
            recent: self.commands.recent().asked(),
            relay: self.link.states().borrow().clone(),
            music_assistant: MusicAssistantState {
                players,
                players_current: condition.is_ready(),
                namesakes,
                unspeakable,
                ..ma_state(&self.ma, &condition)
            },
        }
    }

    /// The connection to Music Assistant.
    #[must_use]
    pub const fn music_assistant(&self) -> &MusicAssistant {
        &self.ma
    }

    /// The pairing that it runs with.
    #[must_use]
    pub const fn pairing(&self) -> &Pairing {
        &self.pairing
    }

    /// What was asked of it lately, the latest first.
    #[must_use]
    pub fn recent(&self) -> Vec<RecentCommand> {
        self.commands.recent().latest()
    }

    /// Obey these rules from now on, without waiting until they are noticed where they are kept.
    pub fn take_rules(&self, rules: Rules) {
        self.house.replace(rules);
    }

    /// Press or release "stop now", likewise.
    pub fn set_stopped(&self, stopped: bool) {
        self.commands.set_stopped(stopped);
    }

    /// What the clock at home, by which quiet hours go, shows so many seconds after 1970.
    #[must_use]
    pub fn time_of(&self, unix_seconds: u64) -> TimeOfDay {
        self.house.time_of(unix_seconds)
    }
}

/// Where Music Assistant is, by options, state directory, and habit, in this order.
///
/// # Errors
/// [`StateError`].
pub fn ma_settings(state: &StateDir, options: &ConnectorOptions) -> Result<Settings, StateError> {
    let kept = state.music_assistant()?;
    Ok(Settings {
        url: ma_place(options.ma_url.clone().or(kept.url)),
        token: match options.ma_token_file.clone() {
            Some(named) => TokenSource::Named(named, state.token_file()),
            None => TokenSource::File(state.token_file()),
        },
        dialer: options.ma_dialer.clone(),
        clock: Arc::clone(&options.clock),
        timing: options.timing,
    })
}

/// The address to dial where this one is known, or none.
pub(crate) fn ma_place(known: Option<Url>) -> Url {
    let usual = || Url::parse(USUAL_MA_URL).expect("a constant that is a URL");
    known.map_or_else(usual, |url| websocket_url(&url))
}

/// How it stands, as far as there is no need to know the home.
pub(crate) fn ma_state(ma: &MusicAssistant, condition: &Condition) -> MusicAssistantState {
    MusicAssistantState {
        state: condition.word().into(),
        explanation: condition.explanation(),
        players: 0,
        players_current: false,
        namesakes: 0,
        unspeakable: 0,
        token_ends_in_days: ma.token_ending_soon().map(|left| left.as_secs() / 86_400),
        token_ends_on: ma.token_ends_on(),
    }
}

/// Music Assistant's address as people write it: `http://192.168.1.5:8095` as in the browser, `ws://…/ws` as its API has
/// it, or `HOST:PORT`.
///
/// # Errors
/// With what to write instead.
pub fn ma_url(text: &str) -> Result<Url, String> {
    let whole = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let wanted = || "write it as http://HOST:8095".to_owned();
    let url = Url::parse(&whole).map_err(|error| format!("{error}; {}", wanted()))?;
    match url.scheme() {
        "http" | "https" | "ws" | "wss" if url.has_host() => Ok(url),
        _ => Err(wanted()),
    }
}

/// People give the address that they see in the browser, such as `http://192.168.1.5:8095`.
#[must_use]
pub fn websocket_url(url: &Url) -> Url {
    let mut url = url.clone();
    let scheme = match url.scheme() {
        "http" => "ws",
        "https" => "wss",
        _ => "",
    };
    if !scheme.is_empty() {
        // Between web schemes this cannot fail.
        let _ = url.set_scheme(scheme);
    }
    if matches!(url.path(), "" | "/") {
        url.set_path("/ws");
    }
    url
}

fn key_set_taker(state: StateDir, commands: Arc<Commands>) -> KeySetTaker {
    Box::new(move |signed| match commands.take_key_set(signed) {
        Ok(None) => true,
        Ok(Some(newer)) => {
            if let Err(error) = state.save_skill_keys(&newer) {
                tracing::warn!("the skill key set could not be kept: {error}");
            }
            true
        }
        Err(error) => {
            let (trouble, remedy) = key_trouble(error);
            tracing::error!("the cloud sent a skill key set that is not accepted: {error}. {trouble} {remedy}");
            false
        }
    })
}

fn is_urgent(before: &Status, now: &Status) -> bool {
    let parts = |status: &Status| {
        let Status { stopped, key_trouble, relay, music_assistant, .. } = status.clone();
        (stopped, key_trouble, relay, music_assistant.state)
    };
    parts(before) != parts(now)
}

fn same(one: &Status, other: &Status) -> bool {
    (&one.relay, &one.music_assistant, one.stopped, &one.key_trouble)
        == (&other.relay, &other.music_assistant, other.stopped, &other.key_trouble)
}

/// Whether this [word](Condition::word) says that Music Assistant is as it should be, or on its way there by itself.
#[must_use]
pub fn is_healthy(condition: &str) -> bool {
    ["ready", "starting"].contains(&condition)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_as_people_give_them_lead_to_the_api() {
        for (given, dialled) in [
            ("192.168.1.5:8095", "ws://192.168.1.5:8095/ws"),
            ("http://192.168.1.5:8095", "ws://192.168.1.5:8095/ws"),
            ("https://ma.home.example/", "wss://ma.home.example/ws"),
            ("ws://192.168.1.5:8095/ws", "ws://192.168.1.5:8095/ws"),
            ("http://host:8095/prefix/ws", "ws://host:8095/prefix/ws"),
        ] {
            assert_eq!(websocket_url(&ma_url(given).unwrap()).as_str(), dialled);
        }
        for wrong in ["ftp://host:8095", "http://", "http://a b"] {
            assert!(ma_url(wrong).unwrap_err().contains("http://HOST:8095"), "{wrong}");
        }
    }
}
