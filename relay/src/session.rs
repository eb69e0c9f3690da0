//! One home's connection: a task that owns the socket and the link's state machine, and obeys the machine.

use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::{Sink, SinkExt as _, Stream as _};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use macloud_proto::ids::{CommandId, InstanceId};
use macloud_proto::instance_token::Claims;
use macloud_proto::link::frame::Hello;
use macloud_proto::link::relay_side::{
    Ended, NotSent, Outcome, Registration, RelayEvent, RelaySide, Submission, Timing,
};
use macloud_proto::link::{GoodbyeReason, Transmit};
use macloud_proto::time::Micros;
use macloud_service_kit::corked::Kept;
use macloud_service_kit::places::Place;
use macloud_service_kit::random;
use tokio::sync::mpsc;
use tokio::time::Sleep;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

use crate::admission::Admitted;
use crate::dispatch::{Ask, PendingCall};
use crate::handshake::Room;
use crate::meters::Meter;
use crate::node::Node;
use crate::presence::{Claim, Claimed};
use crate::sessions::{Entered, SessionHandle};
use crate::{drain, elsewhere, events, renewal};

/// What the rest of the node tells a session. Both kinds are boxed: a channel keeps room for 32 of them for each home,
/// all the time.
#[derive(Debug)]
pub(crate) enum Input {
    /// Send this, and say what became of it.
    Call(Box<PendingCall>),
    /// Something rarer.
    Order(Box<Order>),
}

/// See [`Input::Order`].
#[derive(Debug)]
pub(crate) enum Order {
    /// The caller of this command does not wait any more.
    Cancel(CommandId),
    /// The home's owner has paused it, or lets it go on.
    Pause(bool),
    /// What the home told under this id is in the queue.
    EventTaken([u8; 16]),
    /// Ask the home to dial elsewhere.
    Drain { reconnect_after: Duration, leaving_in: Duration },
    /// End the session.
    Close(GoodbyeReason, &'static str),
}

impl From<Order> for Input {
    fn from(order: Order) -> Self {
        Self::Order(Box::new(order))
    }
}

/// Hello, said within the upgrade.
#[derive(Debug)]
pub(crate) struct Introduction {
    pub(crate) hello: Hello,
    /// To the home and back.
    pub(crate) round_trip: Duration,
    /// The upgrade's answer waits for Welcome.
    pub(crate) kept: Kept,
}

/// Start the session of an admitted home; it begins when the upgrade's answer has been sent.
///
/// What is only needed to begin and to end is boxed apart, so that it does not stay in the task for the connection's
/// whole life: idle homes are most of the relay's memory.
pub(crate) fn spawn(
    node: Arc<Node>,
    upgrade: OnUpgrade,
    admitted: Admitted,
    introduction: Option<Introduction>,
    room: Room,
    home: Place<InstanceId>,
) {
    let tasks = node.tasks.clone();
    let Room { handshake, connection } = room;
    tasks.spawn(async move {
        let begun = Box::pin(begin(node, upgrade, admitted, introduction)).await;
        drop((handshake, home));
        let Some((mut driver, registered)) = begun else { return };
        if let Step::Ended(ended) = driver.run().await {
            let Registered { instance, epoch, .. } = &registered;
            tracing::info!(instance.id = %instance, session.epoch = epoch, ?ended, "home disconnected");
        }
        Box::pin(registered.leave(driver)).await;
        drop(connection);
    });
}

/// From the upgrade to the Welcome.
async fn begin(
    node: Arc<Node>,
    upgrade: OnUpgrade,
    admitted: Admitted,
    introduction: Option<Introduction>,
) -> Option<(Box<Driver>, Registered)> {
    let Admitted { claims, installation } = admitted;
    let upgraded = match tokio::time::timeout(node.config.link.hello_limit, upgrade).await {
        Ok(Ok(upgraded)) => upgraded,
        Ok(Err(error)) => {
            tracing::debug!(%error, "the upgrade failed");
            return None;
        }
        Err(_) => {
            tracing::debug!("the upgrade took too long");
            return None;
        }
    };
    let (mut driver, inbox) = Driver::new(node.clone(), upgraded, &claims).await;
    let mut kept = introduction.map(|Introduction { hello, round_trip, kept }| {
        driver.machine.introduced(hello, round_trip, node.now());
        kept
    });
    let step = match driver.report() {
        Some(step) => step,
        None => {
            drop(kept.take());
            driver.run().await
        }
    };
    let hello = match step {
        Step::Hello(hello) => hello,
        Step::Ended(ended) => {
            tracing::debug!(instance.id = %claims.sub, ?ended, "ended before hello");
            return None;
        }
    };
    if installation.is_some_and(|installation| installation != hello.install_id) {
        // A ticket in the wrong hands must not become a session under another name.
        drop(kept);
        driver.machine.close(GoodbyeReason::Protocol, "the ticket was given to another installation", node.now());
        driver.run().await;
        return None;
    }
    let claimed = claim(&node, &claims.sub, hello.install_id).await;
    node.metrics.connected(1);
    let (issued_at, key) = (claims.iat, claims.cnf.jkt.as_str().into());
    let registered = Registered { node, instance: claims.sub.clone(), issued_at, key, epoch: claimed.epoch };
    registered.enter(&mut driver, hello, &claims, &claimed, inbox).await;
    // Now Welcome is what is written next.
    drop(kept);
    Some((driver, registered))
}

/// The session's place in the directory. When that is away, the home is taken in all the same, under an epoch of this node's
/// own clock: connected homes matter more than a perfect directory, which is told when it is back.
async fn claim(node: &Node, instance: &InstanceId, install_id: [u8; 16]) -> Claimed {
    // Whatever clock made the epoch of the session that is here: the new one is newer.
    let above = node.sessions.find(instance).map_or(0, |session| session.epoch);
    let lease = node.peers.as_ref().map(|peers| &peers.lease);
    if !lease.is_some_and(|lease| lease.is_directory_away(node.now())) {
        let claim = node.presence.claim(Claim { instance, node_id: &node.config.node_id, install_id, above });
        if let Ok(Ok(claimed)) = tokio::time::timeout(PRESENCE_LIMIT, claim).await {
            return claimed;
        }
        tracing::warn!(instance.id = %instance, "presence is unavailable; the session is known to this node only");
    }
    if let Some(lease) = lease {
        lease.missed_one();
    }
    let epoch = node.clock.0.unix_millis().max(above + 1);
    Claimed { epoch, before: None, other_installation: false, contested: false }
}

/// A session that is in the tables, until it leaves.
struct Registered {
    node: Arc<Node>,
    instance: InstanceId,
    issued_at: u64,
    key: Box<str>,
    epoch: u64,
}

impl Registered {
    /// Take the home's place and greet it, then tell the session that had the place before.
    async fn enter(
        &self,
        driver: &mut Driver,
        hello: Hello,
        claims: &Claims,
        claimed: &Claimed,
        inbox: mpsc::Sender<Input>,
    ) {
        let (node, instance) = (&self.node, &self.instance);
        let Self { epoch, issued_at, .. } = *self;
        let renew_at = renewal::due(node);
        let key = self.key.clone();
        let handle = SessionHandle { epoch, install_id: hello.install_id, issued_at, key, renew_at, inbox };
        let install_id = handle.install_id;
        let entered = node.sessions.enter(instance, handle);
        driver.registered = Some(self.epoch);
        let now = node.now();
        if matches!(entered, Entered::TooOld) {
            return driver.machine.close(GoodbyeReason::Replaced, "a newer session took over", now);
        }
        // Looked at again, since the home may have been revoked between its admission and its place in the table.
        if node.admission.revoked.refuses(instance, self.issued_at, &self.key) {
            return driver.machine.close(GoodbyeReason::Revoked, "the home was unlinked", now);
        }
        // Here, or on another node; the directory may be away, and know less than this node.
        let replaced_here = matches!(&entered, Entered::Replaced(old) if old.install_id != install_id);
        let other_installation = replaced_here || claimed.other_installation;
        let contested = claimed.contested;
        elsewhere::supersede(node, instance, claimed.epoch, claimed.before.clone(), Some(claimed));
        driver.machine.welcome(Registration {
            epoch,
            dpop_nonce: node.admission.nonces.newest().to_string(),
            node_id: node.config.node_id.clone(),
            reconnect_window: drain::reconnect_window(node),
            contested,
            // Asked after the session is in the table: a pause from now on finds it there.
            paused: node.standing.is_paused(claims),
            events: node.config.events.is_some(),
            resumption: node.admission.credential(claims, install_id),
        });
        if node.is_draining() {
            // It was let in just before, and the round of asking has passed it by.
            driver.machine.drain(Duration::ZERO, node.config.drain_grace, now);
        }
        if let Some((reconnect_after, leaving_in)) = drain::for_new_limits(node, instance, issued_at) {
            driver.machine.drain(reconnect_after, leaving_in, now);
        }
        tracing::info!(instance.id = %instance, session.epoch = self.epoch, software = hello.software, "home connected");
        if matches!(entered, Entered::Replaced(_)) || claimed.before.is_some() {
            node.metrics.takeover(!other_installation);
        }
        if contested {
            node.metrics.contested();
            tracing::warn!(instance.id = %instance, "two installations use one home's key and displace each other");
        } else if other_installation {
            tracing::info!(instance.id = %instance, "another installation uses this home's key");
        }
        if let Entered::Replaced(old) = entered {
            let detail = elsewhere::replaced_by(other_installation, contested);
            // Its task takes from its inbox at all times, so this does not wait for long.
            let _ = old.inbox.send(Order::Close(GoodbyeReason::Replaced, detail).into()).await;
        }
    }

    async fn leave(self, mut driver: Box<Driver>) {
        self.node.sessions.leave(&self.instance, self.epoch);
        driver.answer_inbox();
        drop(driver);
        let release = self.node.presence.release(&self.instance, self.epoch);
        // What cannot be told is found out by whoever asks this node for the home.
        let _ = tokio::time::timeout(PRESENCE_LIMIT, release).await;
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.node.sessions.leave(&self.instance, self.epoch);
        self.node.metrics.connected(-1);
    }
}

/// Where the driver hands over to whoever runs it.
#[derive(Debug)]
enum Step {
    Hello(Hello),
    Ended(Ended),
}

/// Socket and machine.
struct Driver {
    node: Arc<Node>,
    instance: InstanceId,
    machine: RelaySide<Box<PendingCall>>,
    socket: WebSocketStream<TokioIo<Upgraded>>,
    inbox: mpsc::Receiver<Input>,
    /// What is left of the day, if the home's plan has such a limit.
    meter: Option<Arc<Meter>>,
    timer: Pin<Box<Sleep>>,
    timer_at: Option<Micros>,
    unflushed: bool,
    unreadable: bool,
    /// The epoch under which the session is in the table.
    registered: Option<u64>,
}

impl Driver {
    async fn new(node: Arc<Node>, upgraded: Upgraded, claims: &Claims) -> (Box<Self>, mpsc::Sender<Input>) {
        let config = &node.config;
        let commands_per_minute = claims.limits.commands_per_minute.min(config.max_commands_per_minute);
        let mut settings = config.link.clone();
        settings.commands_per_minute = Some(commands_per_minute);
        // What costs nobody anything is bounded all the same.
        settings.reads_per_minute = Some(config.max_commands_per_minute);
        let machine = RelaySide::new(settings, node.now(), &mut random::fill);
        let socket = websocket(upgraded, config.read_buffer_bytes, config.write_buffer_bytes).await;
        let (sender, inbox) = mpsc::channel(config.inbox_calls);
        let timer = Box::pin(tokio::time::sleep(Duration::ZERO));
        let driver = Self {
            instance: claims.sub.clone(),
            meter: node.meters.of(claims, node.unix_seconds()),
            machine,
            socket,
            inbox,
            timer,
            timer_at: None,
            unflushed: false,
            unreadable: false,
            registered: None,
            node,
        };
        (Box::new(driver), sender)
    }

    /// Run until there is something to decide. Safe to cancel.
    async fn run(&mut self) -> Step {
        poll_fn(|context| self.poll(context)).await
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Step> {
        loop {
            let now = self.node.now();
            // Calls and closings before frames, so that a home which talks without end cannot keep them out.
            let more = self.poll_inbox(context, now) | self.poll_socket(context, now);
            self.poll_timer(context, now);
            self.poll_write(context, now);
            if let Some(step) = self.report() {
                return Poll::Ready(step);
            }
            if self.set_timer(context) {
                continue;
            }
            if more {
                // Enough for one turn: let other connections have theirs.
                context.waker().wake_by_ref();
            }
            return Poll::Pending;
        }
    }

    /// Whether there may be more than was taken in this turn.
    fn poll_inbox(&mut self, context: &mut Context<'_>, now: Micros) -> bool {
        for _ in 0..INPUTS_A_TURN {
            match self.inbox.poll_recv(context) {
                Poll::Ready(Some(input)) => self.take(input, now),
                Poll::Ready(None) | Poll::Pending => return false,
            }
        }
        true
    }

    fn take(&mut self, input: Input, now: Micros) {
        match input {
            Input::Call(call) => self.submit(call, now),
            Input::Order(order) => match *order {
                Order::Cancel(id) => self.machine.cancel(id),
                Order::EventTaken(event_id) => self.machine.event_taken(event_id),
                Order::Pause(paused) => self.machine.set_paused(paused),
                Order::Drain { reconnect_after, leaving_in } => self.machine.drain(reconnect_after, leaving_in, now),
                Order::Close(reason, detail) => self.machine.close(reason, detail, now),
            },
        }
    }

    fn submit(&mut self, mut call: Box<PendingCall>, now: Micros) {
        call.mark_given();
        let (arrived, deadline) = (call.arrived, call.deadline);
        match call.ask.clone() {
            Ask::PreKey { fresh } => self.machine.fetch_pre_key(call, fresh, deadline, now),
            Ask::Command { command_id, sealed, counts } => {
                // A pause is the owner's word, and comes before what the plan says.
                if let Some(meter) = self.meter.as_ref().filter(|_| counts && !self.machine.is_paused())
                    && let Err(used_up) = call.charge(meter, self.node.unix_seconds())
                {
                    return call.refuse_used_up(used_up);
                }
                let traceparent = call.traceparent.clone();
                let submission = Submission { command_id, counts, sealed, traceparent, arrived, deadline };
                self.machine.submit(call, submission, now);
            }
        }
    }

    /// Whether there may be more than was read in this turn.
    fn poll_socket(&mut self, context: &mut Context<'_>, now: Micros) -> bool {
        for _ in 0..MESSAGES_A_TURN {
            if self.unreadable || self.machine.is_closed() {
                return false;
            }
            match Pin::new(&mut self.socket).poll_next(context) {
                Poll::Ready(Some(Ok(message))) => self.read(message, now),
                Poll::Ready(Some(Err(error))) => self.read_failed(&error, now),
                Poll::Ready(None) => self.machine.handle_socket_closed(),
                Poll::Pending => return false,
            }
        }
        true
    }

    fn read(&mut self, message: Message, now: Micros) {
        match message {
            Message::Binary(bytes) => self.machine.handle_message(bytes, now),
            Message::Text(_) => self.machine.handle_text(now),
            Message::Ping(_) | Message::Pong(_) => self.machine.handle_ping_or_pong(now),
            // The library answers it and then reports the end.
            Message::Close(_) | Message::Frame(_) => {}
        }
    }

    fn read_failed(&mut self, error: &WsError, now: Micros) {
        self.unreadable = true;
        match error {
            WsError::Capacity(_) => self.machine.handle_unreadable("message too long", now),
            WsError::Utf8(_) => self.machine.handle_text(now),
            WsError::Protocol(error) if !is_plain_end(error) => self.machine.handle_unreadable("not RFC 6455", now),
            _ => self.machine.handle_socket_closed(),
        }
    }

    fn poll_timer(&mut self, context: &mut Context<'_>, now: Micros) {
        if self.timer_at.is_some() && self.timer.as_mut().poll(context).is_ready() {
            self.timer_at = None;
            self.machine.handle_timeout(now, &mut random::fill);
            // Mostly the time for a ping: so a home hears of it within one silence of growth, and no home is woken for it.
            self.machine.spread_over(drain::reconnect_window(&self.node));
        }
    }

    /// Hand the machine's frames to the socket while it takes them, then flush once.
    fn poll_write(&mut self, context: &mut Context<'_>, now: Micros) {
        while !self.machine.is_closed() {
            match self.socket.poll_ready_unpin(context) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return self.machine.handle_socket_closed(),
                Poll::Pending => return,
            }
            let Some(transmit) = self.machine.poll_transmit(now) else { break };
            self.unflushed = true;
            if Pin::new(&mut self.socket).start_send(to_message(transmit)).is_err() {
                return self.machine.handle_socket_closed();
            }
        }
        if self.unflushed {
            match Pin::new(&mut self.socket).poll_flush(context) {
                Poll::Ready(Ok(())) => {
                    self.unflushed = false;
                    self.machine.handle_flushed();
                }
                Poll::Ready(Err(_)) => self.machine.handle_socket_closed(),
                Poll::Pending => {}
            }
        }
    }

    /// Pass on what the machine reports, until there is something for whoever runs this.
    fn report(&mut self) -> Option<Step> {
        self.leave_early();
        while let Some(event) = self.machine.poll_event() {
            match event {
                RelayEvent::Hello(hello) => return Some(Step::Hello(hello)),
                RelayEvent::Answered { token, outcome, timing } => token.settle(outcome, timing),
                RelayEvent::HomeEvent(event) => events::arrived(&self.node, &self.instance, event),
                RelayEvent::Dropped(what) => self.node.metrics.dropped(what),
                RelayEvent::Ended(ended) => return Some(Step::Ended(ended)),
            }
        }
        None
    }

    /// A session that has begun to end takes no more calls: leave the table before the answers go out, so that a retry
    /// finds the session that came after, or none.
    fn leave_early(&mut self) {
        if !self.machine.is_open()
            && let Some(epoch) = self.registered.take()
        {
            self.node.sessions.leave(&self.instance, epoch);
        }
    }

    /// Arm the timer for the machine. Whether its time has come already.
    fn set_timer(&mut self, context: &mut Context<'_>) -> bool {
        let Some(at) = self.machine.poll_timeout() else { return false };
        // A timer that is set for earlier stays: re-arming for every command would cost more than one early wake-up.
        if self.timer_at.is_some_and(|set| set <= at) {
            return false;
        }
        self.timer_at = Some(at);
        let instant = self.node.instant(at);
        self.timer.as_mut().reset(instant);
        self.timer.as_mut().poll(context).is_ready()
    }

    /// Calls that arrived when nobody looked any more.
    fn answer_inbox(&mut self) {
        self.inbox.close();
        while let Ok(input) = self.inbox.try_recv() {
            if let Input::Call(call) = input {
                call.settle(Outcome::NotSent(NotSent::LinkLost), Timing::default());
            }
        }
    }
}

async fn websocket(upgraded: Upgraded, read: usize, write: usize) -> WebSocketStream<TokioIo<Upgraded>> {
    let frame = macloud_proto::MAX_FRAME_BYTES;
    let config = WebSocketConfig::default()
        .read_buffer_size(read)
        .write_buffer_size(write)
        // What was gathered, one frame beyond, and room for the library's own pongs.
        .max_write_buffer_size(write + 2 * frame)
        .max_message_size(Some(frame))
        .max_frame_size(Some(frame));
    // There is no handshake left to make, so this is ready at once.
    WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await
}

fn to_message(transmit: Transmit) -> Message {
    match transmit {
        Transmit::Binary(bytes) => Message::Binary(bytes),
        Transmit::Ping => Message::Ping(bytes::Bytes::new()),
        Transmit::Close(code) => Message::Close(Some(CloseFrame { code: code.into(), reason: "".into() })),
    }
}

/// A socket that simply ended, as opposed to one that spoke nonsense.
fn is_plain_end(error: &tokio_tungstenite::tungstenite::error::ProtocolError) -> bool {
    use tokio_tungstenite::tungstenite::error::ProtocolError;
    matches!(error, ProtocolError::ResetWithoutClosingHandshake | ProtocolError::SendAfterClosing)
}

const INPUTS_A_TURN: usize = 64;
const MESSAGES_A_TURN: usize = 64;
/// The presence store may delay a session's begin and end by this much, not more.
const PRESENCE_LIMIT: Duration = Duration::from_secs(2);
