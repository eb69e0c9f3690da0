//! The running home: the machine, its accounts and faults, the clients that listen, and the timers that drive it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::accounts::{Accounts, Caller};
use crate::args::Args;
use crate::clock::HomeClock;
use crate::commands;
use crate::faults::ActiveFaults;
use crate::script;
use crate::state::{self, Heard, HomeState};
use crate::wire::{self, Answer, Failure};
use crate::world::{Effect, Later, Phase, Signal, World};

/// What the hello says besides the status.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) server_id: String,
    pub(crate) server_version: String,
    pub(crate) schema_version: u32,
    pub(crate) min_supported_schema_version: u32,
    pub(crate) base_url: String,
    pub(crate) name: Option<String>,
    pub(crate) onboard_done: bool,
}

/// A client's end of the line. Its queue is bounded: who does not read is cut.
pub(crate) struct Client {
    pub(crate) sender: mpsc::Sender<Message>,
    pub(crate) cut: CancellationToken,
    /// Who signed in; events go out only from then on.
    pub(crate) caller: Option<Caller>,
}

/// An executed command: its outcome, when to answer, and what happens afterwards.
pub(crate) struct Executed {
    pub(crate) outcome: Result<Answer, Failure>,
    pub(crate) reply_after: Duration,
    pub(crate) later: Vec<Later>,
}

/// Everything a running home consists of.
pub(crate) struct Home {
    pub(crate) identity: Identity,
    pub(crate) clock: Arc<HomeClock>,
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
    pub(crate) stalled: watch::Sender<bool>,
    pub(crate) changes: watch::Sender<u64>,
    world: Mutex<World>,
    accounts: Mutex<Accounts>,
    faults: Mutex<ActiveFaults>,
    clients: Mutex<BTreeMap<u64, Client>>,
    commands: Mutex<BTreeMap<String, u64>>,
    heard: Mutex<VecDeque<Heard>>,
    script: Mutex<Vec<script::Done>>,
    epoch: Mutex<CancellationToken>,
    next_client: AtomicU64,
    ticker: Notify,
}

impl Home {
    pub(crate) fn new(identity: Identity, clock: Arc<HomeClock>, world: World, accounts: Accounts) -> Self {
        let stop = CancellationToken::new();
        Self {
            identity,
            clock,
            tasks: TaskTracker::new(),
            stalled: watch::Sender::new(false),
            changes: watch::Sender::new(0),
            world: Mutex::new(world),
            accounts: Mutex::new(accounts),
            faults: Mutex::default(),
            clients: Mutex::default(),
            commands: Mutex::default(),
            heard: Mutex::default(),
            script: Mutex::default(),
            epoch: Mutex::new(stop.child_token()),
            next_client: AtomicU64::new(1),
            ticker: Notify::new(),
            stop,
        }
    }

    /// The machine, brought up to the present.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        let mut world = lock(&self.world);
        world.advance(self.clock.now());
        world
    }

    pub(crate) fn accounts(&self) -> MutexGuard<'_, Accounts> {
        lock(&self.accounts)
    }

    pub(crate) fn faults(&self) -> MutexGuard<'_, ActiveFaults> {
        lock(&self.faults)
    }

    /// Ends with the current life of the server: at its restart, when connections are dropped, at the stop.
    pub(crate) fn epoch(&self) -> CancellationToken {
        lock(&self.epoch).clone()
    }

    pub(crate) fn state(&self) -> HomeState {
        let clients = lock(&self.clients).values().filter(|client| client.caller.is_some()).count();
        let commands = lock(&self.commands).clone();
        state::picture(&self.world(), clients, commands)
    }

    /// The hello, also the answer to `info` and `GET /info`.
    pub(crate) fn hello(&self) -> Value {
        let identity = &self.identity;
        let mut hello = json!({
            "server_id": identity.server_id,
            "server_version": identity.server_version,
            "schema_version": identity.schema_version,
            "min_supported_schema_version": identity.min_supported_schema_version,
            "base_url": identity.base_url,
            "homeassistant_addon": false,
            "onboard_done": identity.onboard_done,
            "name": identity.name,
        });
        if identity.schema_version >= INTERNAL_URL {
            hello["internal_url"] = json!(identity.base_url);
            hello["external_url"] = Value::Null;
            hello["has_remote_access"] = json!(false);
        }
        if identity.schema_version >= 29 {
            hello["status"] = json!(lock(&self.world).phase.status());
        }
        hello
    }

    pub(crate) fn count(&self, command: &str) {
        *lock(&self.commands).entry(command.to_owned()).or_default() += 1;
    }

    /// The latest commands, oldest first.
    pub(crate) fn heard(&self) -> MutexGuard<'_, VecDeque<Heard>> {
        lock(&self.heard)
    }

    /// What came of the steps of the script so far.
    pub(crate) fn script(&self) -> MutexGuard<'_, Vec<script::Done>> {
        lock(&self.script)
    }

    pub(crate) fn accept_token(&self, token: &str) {
        self.accounts().accept(token.to_owned(), "simulated home", self.clock.now());
    }

    fn note(&self, command: &str, args: &Args<'_>) {
        let mut heard = self.heard();
        if heard.len() == REMEMBERED {
            heard.pop_front();
        }
        heard.push_back(Heard { at: self.clock.now(), command: command.to_owned(), args: args.as_map().clone() });
    }

    /// Executes a command of a signed-in caller.
    pub(crate) fn execute(&self, caller: &Caller, command: &str, args: &Args<'_>) -> Executed {
        self.note(command, args);
        let promised = self.faults().take_failure(command);
        if let Some(failure) = promised {
            return Executed { outcome: Err(failure), reply_after: Duration::ZERO, later: Vec::new() };
        }
        if let Some(outcome) = self.execute_own(caller, command, args) {
            return Executed { outcome: outcome.map(Answer::Value), reply_after: Duration::ZERO, later: Vec::new() };
        }
        let mut world = self.world();
        let (_, mut later) = world.take_outcome();
        let outcome = commands::execute(&mut world, &caller.user, command, args);
        let outcome = outcome.unwrap_or_else(|| Err(Failure::invalid_command(format!("Invalid command: {command}"))));
        let (reply_after, more) = world.take_outcome();
        later.extend(more);
        Executed { outcome, reply_after, later }
    }

    /// Commands about the server and its accounts rather than about music.
    fn execute_own(&self, caller: &Caller, command: &str, args: &Args<'_>) -> Option<Result<Value, Failure>> {
        let now = self.clock.now();
        let user = &caller.user;
        Some(match command {
            "info" => Ok(self.hello()),
            "auth/me" => Ok(user.render()),
            "auth/tokens" => self.accounts().list_tokens(user, args),
            "auth/token/create" => self.accounts().create_token(user, args, now),
            "auth/token/revoke" => {
                let revoked = self.accounts().revoke(user, args);
                revoked.map(|token| {
                    self.hang_up(|caller| caller.token_id == token);
                    Value::Null
                })
            }
            "auth/users" => self.accounts().list_users(user),
            "auth/user/create" => self.accounts().create_user(user, args, now),
            "providers" => Ok(providers(lock(&self.world).quirks.similar_tracks)),
            _ => return None,
        })
    }

    /// Does what a command left behind: at once what takes no time, the rest when its time has come, and what is due at the same
    /// time in the order in which it was left.
    pub(crate) fn dispatch(self: &Arc<Self>, later: Vec<Later>) {
        let (now, mut later): (Vec<Later>, Vec<Later>) = later.into_iter().partition(|later| later.after.is_zero());
        self.apply(now.into_iter().map(|later| later.effect).collect());
        if later.is_empty() {
            return;
        }
        later.sort_by_key(|later| later.after);
        let (home, begun) = (Arc::clone(self), Instant::now());
        self.tasks.spawn(async move {
            for Later { after, effect } in later {
                tokio::select! {
                    () = tokio::time::sleep_until(begun + after) => home.apply(vec![effect]),
                    () = home.stop.cancelled() => return,
                }
            }
        });
    }

    /// Makes effects true and tells everybody. The machine stays locked meanwhile, so that events leave in order.
    pub(crate) fn apply(self: &Arc<Self>, effects: Vec<Effect>) {
        let mut world = self.world();
        let (_, ended) = world.take_outcome();
        let mut signals = Vec::new();
        for effect in ended.into_iter().map(|later| later.effect).chain(effects) {
            world.apply(effect, &mut signals);
            for signal in signals.drain(..) {
                self.publish(&world, &signal);
            }
        }
        let (_, left_behind) = world.take_outcome();
        drop(world);
        self.changes.send_modify(|change| *change += 1);
        self.ticker.notify_one();
        if !left_behind.is_empty() {
            self.dispatch(left_behind);
        }
    }

    fn publish(&self, world: &World, signal: &Signal) {
        let clients = lock(&self.clients);
        if clients.is_empty() {
            return;
        }
        let Some(event) = world.event(signal) else { return };
        let frame = Message::text(wire::event(event.name, Some(&event.object_id), &event.data));
        for client in clients.values() {
            let Some(caller) = &client.caller else { continue };
            let allowed = event.player.as_deref().is_none_or(|player| caller.user.may_use(player));
            if allowed && client.sender.try_send(frame.clone()).is_err() {
                client.cut.cancel();
            }
        }
    }

    /// Keeps the music going: wakes at the end of each track, and now and then to tell the time.
    pub(crate) async fn keep_time(self: Arc<Self>) {
        loop {
            let (next_end, updates) = {
                let world = self.world();
                let updates = world.timing.time_updates;
                (world.next_end(), (!updates.is_zero() && !world.playing_queues().is_empty()).then_some(updates))
            };
            let next_end = next_end.map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or_default());
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = self.ticker.notified() => {}
                () = sleep_if(next_end) => self.apply(Vec::new()),
                () = sleep_if(updates) => self.tell_times(),
            }
        }
    }

    fn tell_times(self: &Arc<Self>) {
        let queues = self.world().playing_queues();
        self.apply(queues.into_iter().map(|queue| Effect::Tell(Signal::QueueTimeUpdated(queue))).collect());
    }

    pub(crate) fn connect(&self, client: Client) -> u64 {
        let id = self.next_client.fetch_add(1, Ordering::Relaxed);
        lock(&self.clients).insert(id, client);
        id
    }

    pub(crate) fn signed_in(&self, client: u64, caller: Caller) {
        if let Some(client) = lock(&self.clients).get_mut(&client) {
            client.caller = Some(caller);
        }
        self.changes.send_modify(|change| *change += 1);
    }

    pub(crate) fn disconnect(&self, client: u64) {
        lock(&self.clients).remove(&client);
        self.changes.send_modify(|change| *change += 1);
    }

    /// Closes the sockets of these callers properly (1000), as when their token is revoked.
    pub(crate) fn hang_up(&self, whose: impl Fn(&Caller) -> bool) {
        for client in lock(&self.clients).values() {
            if client.caller.as_ref().is_some_and(&whose) && client.sender.try_send(normal_close()).is_err() {
                client.cut.cancel();
            }
        }
    }

    /// Breaks every connection without a word.
    pub(crate) fn drop_connections(&self) {
        let ended = std::mem::replace(&mut *lock(&self.epoch), self.stop.child_token());
        ended.cancel();
    }

    pub(crate) fn is_down(&self) -> bool {
        lock(&self.world).phase == Phase::Down
    }
}

/// From this schema on, the hello tells more addresses.
const INTERNAL_URL: u32 = 32;

/// Commands that are remembered.
const REMEMBERED: usize = 1000;

async fn sleep_if(duration: Option<Duration>) {
    match duration {
        Some(duration) => tokio::time::sleep(duration).await,
        None => std::future::pending().await,
    }
}

/// A panic elsewhere does not make the state unusable: every change is a few assignments.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The close frame of Music Assistant: 1000 without a reason, whatever happened.
pub(crate) fn normal_close() -> Message {
    use tokio_tungstenite::tungstenite::protocol::CloseFrame;
    use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
    Message::Close(Some(CloseFrame { code: CloseCode::Normal, reason: "".into() }))
}

/// One of them finds similar tracks, if anybody does.
fn providers(similar_tracks: bool) -> Value {
    let features = if similar_tracks { json!(["search", "similar_tracks"]) } else { json!([]) };
    let provider = |kind: &str, domain: &str, name: &str, instance: &str, streaming: Value| {
        json!({
            "type": kind, "domain": domain, "name": name, "default_name": name, "instance_name_postfix": null,
            "instance_id": instance, "lookup_key": instance,
            "supported_features": if domain == "filesystem_local" { features.clone() } else { json!([]) }, "available": true,
            "is_streaming_provider": streaming,
        })
    };
    json!([
        provider("metadata", "musicbrainz", "MusicBrainz", "musicbrainz", Value::Null),
        provider("music", "builtin", "Music Assistant", "builtin", json!(false)),
        provider(
            "music",
            "filesystem_local",
            "Filesystem (local disk)",
            crate::catalog::PROVIDER_INSTANCE,
            json!(false)
        ),
        provider("player", "universal_player", "Universal Player", "universal_player", Value::Null),
    ])
}
