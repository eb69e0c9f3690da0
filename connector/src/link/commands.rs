//! What happens to a command that has arrived: remembered, opened, judged, executed, sealed.
//!
//! This outlives sessions. A command is executed once, whichever session brings it and however often.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use macloud_e2ee::home::{Home, OpenError, Opened};
use macloud_e2ee::keys::{KeySetError, PinnedKeySet};
use macloud_e2ee::vocabulary::{Command, Player, Preset, Refusal, Reply, Scopes};
use macloud_proto::ids::{CommandId, PlayerKey};
use macloud_proto::link::command_memory::{CommandMemory, Verdict};
use macloud_proto::link::frame::{self, HomeTime};
use macloud_proto::time::Millis;
use macloud_service_kit::clock::SharedClock;
use macloud_service_kit::random;
use macloud_service_kit::stop::Stop;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_util::task::TaskTracker;

use super::dial::Admission;
use super::recent::{self, Recent, RecentCommand};
use super::session::ToSession;
use crate::execute::Executor;
use crate::music_assistant::READ_LIMIT;
use crate::music_assistant::asked::{self, Waited};
use crate::status::{Event, Events};

/// The key set is asked for again at most this often, whoever signs with unknown keys.
const KEY_SET_EVERY: Duration = Duration::from_secs(60);

/// A new key set must come well within a command's deadline to be of use to it.
const KEY_SET_LIMIT: Duration = Duration::from_secs(3);

/// The commands of one home.
pub struct Commands {
    home: Mutex<Home>,
    memory: Mutex<CommandMemory<mpsc::Sender<ToSession>>>,
    executor: Executor,
    stopped: AtomicBool,
    keys_refused: Mutex<Option<KeySetError>>,
    clock: SharedClock,
    events: Events,
    recent: Recent,
    tasks: TaskTracker,
    renewal: OnceLock<std::sync::Weak<super::Link>>,
    renewed_at: AtomicU64,
}

/// What became of a command that arrived.
pub(super) enum Taken {
    /// Send this back.
    Answer { id: CommandId, sealed: Bytes },
    /// There will be no reply.
    Release(CommandId),
    /// The reply comes later.
    Executing,
}

impl Commands {
    pub(crate) fn new(home: Home, executor: Executor, clock: SharedClock, events: Events) -> Self {
        Self {
            home: Mutex::new(home),
            memory: Mutex::default(),
            executor,
            stopped: AtomicBool::new(false),
            keys_refused: Mutex::default(),
            clock,
            events,
            recent: Recent::default(),
            tasks: TaskTracker::new(),
            renewal: OnceLock::new(),
            renewed_at: AtomicU64::new(0),
        }
    }

    /// Where a newer key set can be had.
    pub(crate) fn renew_through(&self, link: &Arc<super::Link>) {
        // Set once, when the connector is put together.
        let _ = self.renewal.set(Arc::downgrade(link));
    }

    /// The time by this process's clock.
    #[must_use]
    pub fn now(&self) -> Millis {
        Millis(self.clock.monotonic_millis())
    }

    /// The home's sealed sessions, for a moment.
    pub fn home(&self) -> MutexGuard<'_, Home> {
        lock(&self.home)
    }

    /// Press or release "stop now".
    pub(crate) fn set_stopped(&self, stopped: bool) {
        self.stopped.store(stopped, Ordering::Relaxed);
    }

    /// Erase keys that have lived long enough, also when nobody talks to this home. Cheap; to be called now and then.
    pub(crate) fn rotate_if_due(&self) {
        self.home().rotate_if_due(self.now(), &mut random::fill);
    }

    /// What was asked lately.
    pub(crate) const fn recent(&self) -> &Recent {
        &self.recent
    }

    /// Whether "stop now" is pressed.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Take the key set that the cloud has now, if it comes from where the pinned one does. Whether it is a newer one.
    ///
    /// # Errors
    /// The pinned one then stays: what the cloud says later must not weaken what was pinned at pairing.
    pub(crate) fn take_key_set(&self, signed: &[u8]) -> Result<Option<PinnedKeySet>, KeySetError> {
        let taken = {
            let mut home = self.home();
            home.note_wall_clock(self.clock.unix_seconds());
            let known = home.skill_keys().version();
            let taken = home.update_skill_keys(signed);
            taken.map(|()| (home.skill_keys().version() != known).then(|| home.skill_keys().clone()))
        };
        *lock(&self.keys_refused) = taken.as_ref().err().copied();
        taken
    }

    /// Why the key set that the cloud has is not accepted, where it is not.
    pub(crate) fn keys_refused(&self) -> Option<KeySetError> {
        *lock(&self.keys_refused)
    }

    /// All players that the cloud may know of, as they are now.
    pub(crate) fn exposed_players(&self) -> Vec<Player> {
        self.executor.exposed_players()
    }

    /// The home's favourites, as the cloud may know them; nothing, while they could not be read yet.
    pub async fn presets(&self) -> Option<Vec<Preset>> {
        self.executor.presets(READ_LIMIT).await
    }

    /// Stop players whose sleep timers end, until told to stop. While "stop now" is pressed they end in vain.
    pub(crate) async fn keep_timers(&self, stop: &Stop) {
        self.executor.keep_timers(stop, || self.is_stopped()).await;
    }

    /// Wait for what is being executed, for at most `limit`.
    pub(crate) async fn finish(&self, limit: Duration) {
        self.tasks.close();
        // Past the limit they are left to the runtime; the replies would reach nobody.
        let _ = timeout(limit, self.tasks.wait()).await;
    }

    /// Commands that are being carried out.
    pub(crate) fn under_way(&self) -> usize {
        self.tasks.len()
    }

    pub(super) fn signed_pre_key(&self) -> Vec<u8> {
        self.home().signed_pre_key(self.now(), &mut random::fill)
    }

    /// A command has arrived on `session` and was confirmed.
    pub(super) fn take(self: &Arc<Self>, command: frame::Command, session: &mpsc::Sender<ToSession>) -> Taken {
        let id = command.command_id;
        let arrived = Instant::now();
        match lock(&self.memory).begin(id, session.clone(), self.now()) {
            Verdict::Execute => {}
            Verdict::InProgress => return Taken::Executing,
            Verdict::Answered(sealed) => return Taken::Answer { id, sealed },
            Verdict::Full => return Taken::Release(id),
        }
        match self.open(id, &command.sealed) {
            Ok(opened) => {
                self.start(id, opened, arrived);
                Taken::Executing
            }
            Err((OpenError::UnknownSkillKey, _)) if self.may_renew() => {
                let (this, session) = (Arc::clone(self), session.clone());
                let sealed = command.sealed;
                self.tasks.spawn(async move { this.open_with_newer_keys(id, &sealed, arrived, &session).await });
                Taken::Executing
            }
            Err((reason, answer)) => {
                tracing::warn!(command.id = %id, "a command could not be opened: {reason}");
                // Nothing was done, so the same command may come again, sealed anew.
                lock(&self.memory).forget(id);
                match answer {
                    Some(sealed) => Taken::Answer { id, sealed },
                    None => Taken::Release(id),
                }
            }
        }
    }

    fn open(&self, id: CommandId, sealed: &[u8]) -> Result<Opened, (OpenError, Option<Bytes>)> {
        let opened = self.home().open(id, sealed, self.now(), &mut random::fill);
        opened.map_err(|failure| (failure.reason, failure.answer.map(Bytes::from)))
    }

    fn start(self: &Arc<Self>, id: CommandId, opened: Opened, arrived: Instant) {
        let this = Arc::clone(self);
        self.tasks.spawn(async move {
            let Opened { command, scopes, remaining, reply: sealer } = opened;
            let is_trial = scopes == Scopes::NONE;
            let (kind, meant) = match &command {
                _ if is_trial => ("trial", None),
                Ok(command) => (recent::kind(command), recent::key(command)),
                Err(_) => ("unknown", None),
            };
            let (reply, waited) = match command {
                Ok(command) => asked::noting(this.judge_and_execute(command, scopes, remaining)).await,
                Err(_) => (Reply::Refused(Refusal::UnknownCommand), None),
            };
            // "Not granted" is all that a trial wants to hear.
            let refused = recent::refused(&reply).filter(|why| !(is_trial && *why == "not_granted"));
            let done = refused.is_none();
            this.note(kind, meant, &reply, refused);
            let now = this.now();
            let sealed = Bytes::from(sealer.seal(&reply, now));
            let took = arrived.elapsed();
            tracing::debug!(command.id = %id, done, took_ms = took.as_millis() as u64, "command answered");
            this.events.tell(&Event::Command { id: id.to_string(), done, micros: took.as_micros() as u64 });
            let asked_by = lock(&this.memory).finish(id, sealed.clone(), now);
            if let Some(session) = asked_by {
                // A session that has ended, or is that far behind, will see a retry if anybody still wants this.
                let _ = session.try_send(ToSession::Reply { id, sealed, took: home_time(arrived, took, waited) });
            }
        });
    }

    fn note(&self, kind: &'static str, meant: Option<PlayerKey>, reply: &Reply, refused: Option<&'static str>) {
        let player = match reply {
            Reply::Done { player, .. } => Some(player.name.clone()),
            Reply::Players { .. } | Reply::Refused(_) => meant.and_then(|key| self.executor.name_of(&key)),
        };
        self.recent.note(RecentCommand { at: self.clock.unix_seconds(), kind, player, refused });
    }

    async fn judge_and_execute(&self, command: Command, scopes: Scopes, remaining: Duration) -> Reply {
        if self.is_stopped() {
            return Reply::Refused(Refusal::Stopped);
        }
        if !scopes.cover(&command) {
            return Reply::Refused(Refusal::NotGranted);
        }
        if remaining.is_zero() {
            return Reply::Refused(Refusal::Late);
        }
        let changes = matches!(&command, Command::OnPlayer { action, .. } if action.is_control());
        // The executor keeps its own, shorter limits; this one holds whatever they are.
        let executed = Box::pin(self.executor.execute(command, remaining));
        let late = if changes { Refusal::OutcomeUnknown } else { Refusal::Late };
        timeout(remaining, executed).await.unwrap_or(Reply::Refused(late))
    }

    /// The skill may have a newer key than this home knows of. Ask once, then open the same bytes again.
    async fn open_with_newer_keys(
        self: Arc<Self>,
        id: CommandId,
        sealed: &[u8],
        arrived: Instant,
        session: &mpsc::Sender<ToSession>,
    ) {
        if let Some(link) = self.renewal.get().and_then(std::sync::Weak::upgrade) {
            let renewed = timeout(KEY_SET_LIMIT, link.admission().renew()).await;
            if !matches!(renewed, Ok(Ok(_))) {
                tracing::warn!("no newer key set could be had");
            }
        }
        match self.open(id, sealed) {
            Ok(opened) => self.start(id, opened, arrived),
            Err((reason, answer)) => {
                tracing::warn!(command.id = %id, "a command could not be opened: {reason}");
                lock(&self.memory).forget(id);
                let message = match answer {
                    Some(sealed) => ToSession::Reply { id, sealed, took: arrived.elapsed().into() },
                    None => ToSession::Release(id),
                };
                // If that session has ended, so has the wait for this.
                let _ = session.try_send(message);
            }
        }
    }

    fn may_renew(&self) -> bool {
        let now = self.now().0.max(1);
        let last = self.renewed_at.load(Ordering::Relaxed);
        let due = last == 0 || now.saturating_sub(last) >= KEY_SET_EVERY.as_millis() as u64;
        if due {
            self.renewed_at.store(now, Ordering::Relaxed);
        }
        due
    }
}

impl super::Link {
    pub(super) const fn admission(&self) -> &Admission {
        &self.admission
    }
}

/// What is said of a command's time outside of its sealed reply.
fn home_time(arrived: Instant, whole: Duration, waited: Option<Waited>) -> HomeTime {
    waited.map_or_else(
        || whole.into(),
        |Waited { from, until }| HomeTime { whole, music_after: from - arrived, music: until - from },
    )
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is behind these locks is consistent between its own calls.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
