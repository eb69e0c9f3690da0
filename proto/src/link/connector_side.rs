//! One session as the home holds it: a state machine without a socket or a clock.
//!
//! What it promises:
//! - every command is confirmed with Received before it is reported, so the relay knows the home is alive however
//!   long the execution takes;
//! - control frames never wait behind replies, replies never behind events; every queue is bounded;
//! - each command's credit is given back exactly once, when it is replied to or [released](ConnectorSide::release);
//! - a relay that has been silent for its ping interval is asked whether it is there, and given up seconds later.
//!
//! What it leaves to its driver: when to dial ([`Redial`](super::redial::Redial)), what was executed already
//! ([`CommandMemory`](super::command_memory::CommandMemory)) and what there is to tell ([`EventOutbox`]), both of which outlive a
//! session, and the sealed bodies.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;

use super::event_outbox::EventOutbox;
use super::frame::{
    Command, Drain, Event, FromConnector, FromRelay, Goodbye, Hello, HomeTime, PreKeyAnswer, Reply, Standing, Welcome,
};
use super::{CLOSE_NORMAL, GoodbyeReason, Transmit, VERSION_MAX, VERSION_MIN, close_code};
use crate::MAX_SEALED_BYTES;
use crate::ids::CommandId;
use crate::time::Millis;

/// What a home's session is bounded by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectorSettings {
    /// 16 random bytes made once per installation.
    pub install_id: [u8; 16],
    /// The program's version, at most 64 printable ASCII characters; more is cut off.
    pub software: String,
    /// Commands taken at once; at least one.
    pub credit: u32,
    /// Welcome must arrive within this time of the upgrade.
    pub welcome_limit: Duration,
    /// Bytes handed out but not taken by the socket for this long end the session.
    pub write_limit: Duration,
    /// After a ping of ours the relay has this long to say anything.
    pub pong_limit: Duration,
    /// After a goodbye the relay has this long to close before the socket is dropped.
    pub close_limit: Duration,
}

impl Default for ConnectorSettings {
    fn default() -> Self {
        Self {
            install_id: [0; 16],
            software: String::new(),
            credit: 32,
            welcome_limit: Duration::from_secs(10),
            write_limit: Duration::from_secs(10),
            // A bad line answers within two or three. With the relay's interval of 30 s and the wait below, a node that has
            // vanished is left within 35 s.
            pong_limit: Duration::from_secs(4),
            close_limit: Duration::from_secs(1),
        }
    }
}

impl ConnectorSettings {
    /// What a session with these settings says first.
    #[must_use]
    pub fn hello(&self) -> Hello {
        let software = self.software.chars().filter(|c| matches!(c, ' '..='~'));
        Hello {
            version_min: VERSION_MIN,
            version_max: VERSION_MAX,
            install_id: self.install_id,
            software: software.take(super::frame::MAX_SOFTWARE).collect(),
            credit: self.credit(),
        }
    }

    fn credit(&self) -> u32 {
        self.credit.clamp(1, super::frame::MAX_CREDIT)
    }
}

/// Why the session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// This side said goodbye, with this reason and detail.
    Here(GoodbyeReason, &'static str),
    /// The relay said goodbye.
    There(Goodbye),
    /// The socket ended without a goodbye.
    Lost,
    /// The relay was silent for too long, or took nothing for too long.
    Silent,
}

/// What a session reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConnectorEvent {
    /// The session is up.
    Welcomed(Welcome),
    /// The relay has asked something of the home since Welcome, or whether it is there: it did not only take it in to let it go. Once
    /// per session.
    Proven,
    /// A command has arrived and been confirmed. Ask the command memory what to do with it, and end with
    /// [`ConnectorSide::reply`] or [`ConnectorSide::release`].
    Command(Command),
    /// Nobody waits for this command any more. If it has not begun, do not begin it, and release it.
    Cancelled(CommandId),
    /// Answer with [`ConnectorSide::pre_key`].
    PreKeyRequested(u64),
    /// The node is leaving: dial a new session, and [retire](ConnectorSide::retire) this one once that is welcomed.
    Draining(Drain),
    /// Whether the home is paused in the cloud has changed.
    Standing(Standing),
    /// The reconnect after this session is to be spread over this window, instead of the one in Welcome.
    Spread(Duration),
    /// The cloud has this event: tell the [outbox](EventOutbox::taken).
    EventTaken([u8; 16]),
    /// The session is over; the socket can be dropped. Always the last event.
    Ended(Ended),
}

/// Why something was not taken for sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The session is not up, or is ending.
    #[error("the session is not open")]
    NotOpen,
    /// The body exceeds the protocol's bound.
    #[error("the body is too large for a frame")]
    TooLarge,
}

/// See the module's text.
#[derive(Debug)]
pub struct ConnectorSide {
    settings: ConnectorSettings,
    phase: Phase,
    control: VecDeque<Control>,
    replies: VecDeque<Reply>,
    events_out: VecDeque<Event>,
    /// When the outbox has something to send again.
    events_due: Option<Millis>,
    /// The cloud keeps nothing from reaching this home, so nothing is told to it either.
    paused: bool,
    /// Commands taken and not yet given back, with how often each was sent here.
    open: HashMap<CommandId, u32>,
    credit_owed: u32,
    last_heard: Millis,
    /// A ping of ours is out, and nothing has been heard since.
    pinged: Option<Millis>,
    /// How much longer than announced a silence lasts before we ping.
    patience: Duration,
    unflushed_since: Option<Millis>,
    retire_at: Option<Millis>,
    reports: VecDeque<ConnectorEvent>,
}

#[derive(Debug)]
enum Phase {
    AwaitingWelcome { until: Millis },
    Open { ping_interval: Duration, proven: bool, session: u64, takes_events: bool },
    Closing { until: Millis, why: Ended },
    Closed,
}

#[derive(Debug)]
enum Control {
    Frame(FromConnector),
    Ping,
    Close(u16),
}

impl ConnectorSide {
    /// A session whose upgrade has just been accepted. Hello is the first thing it sends.
    #[must_use]
    pub fn new(settings: ConnectorSettings, now: Millis) -> Self {
        let hello = settings.hello();
        let mut session = Self::introduced(settings, now);
        session.control.push_back(Control::Frame(FromConnector::Hello(hello)));
        session
    }

    /// A session whose upgrade has just been accepted, [Hello](ConnectorSettings::hello) included (see [`super::introduction`]).
    #[must_use]
    pub fn introduced(mut settings: ConnectorSettings, now: Millis) -> Self {
        settings.credit = settings.credit();
        Self {
            phase: Phase::AwaitingWelcome { until: now.plus(settings.welcome_limit) },
            control: VecDeque::new(),
            replies: VecDeque::new(),
            events_out: VecDeque::new(),
            events_due: None,
            paused: false,
            open: HashMap::new(),
            credit_owed: 0,
            last_heard: now,
            pinged: None,
            patience: patience(&settings.install_id),
            unflushed_since: None,
            retire_at: None,
            reports: VecDeque::new(),
            settings,
        }
    }

    /// Whether the relay has welcomed the home and the session has not begun to end.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open { .. })
    }

    /// Whether the session is over.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed)
    }

    /// Send the sealed reply to a command of this session. A reply nobody here waits for is sent too: the relay counts
    /// and drops it.
    ///
    /// # Errors
    /// When the session has ended (keep the reply in the command memory: a retry will ask for it) or the body is too large.
    pub fn reply(&mut self, id: CommandId, sealed: Bytes, home: impl Into<HomeTime>) -> Result<(), SendError> {
        if sealed.len() > MAX_SEALED_BYTES {
            return Err(SendError::TooLarge);
        }
        if !self.is_open() {
            return Err(SendError::NotOpen);
        }
        self.replies.push_back(Reply { command_id: id, sealed, home: home.into() });
        self.release(id);
        Ok(())
    }

    /// A command of this session needs no reply from here: it was cancelled, or is already being executed for another
    /// delivery of the same id. Gives its credit back.
    pub fn release(&mut self, id: CommandId) {
        let Some(deliveries) = self.open.remove(&id) else { return };
        self.credit_owed += deliveries;
        // Given back in batches of half the window: fewer frames, and the relay never runs dry meanwhile.
        if self.credit_owed >= (self.settings.credit / 2).max(1) && self.is_open() {
            let credit = std::mem::take(&mut self.credit_owed);
            self.control.push_back(Control::Frame(FromConnector::Credit(credit)));
        }
    }

    /// Answer a pre-key request. Nothing is sent when the session has ended or the key exceeds the protocol's bound.
    pub fn pre_key(&mut self, request_id: u64, signed_pre_key: Bytes) {
        if self.is_open() && signed_pre_key.len() <= super::frame::MAX_PRE_KEY_BYTES {
            let answer = PreKeyAnswer { request_id, signed_pre_key };
            self.control.push_back(Control::Frame(FromConnector::PreKeyAnswer(answer)));
        }
    }

    /// Send what the outbox has for this session now, where the cloud takes events; all of it stays in the outbox until it is
    /// taken. To be called after every other method, and whenever something was put in.
    pub fn send_events(&mut self, outbox: &mut EventOutbox, now: Millis) {
        self.events_due = None;
        let Phase::Open { session, takes_events: true, .. } = self.phase else { return };
        if self.paused || self.retire_at.is_some() {
            return;
        }
        while let Some(event) = outbox.next(session, now) {
            self.events_out.push_back(event);
        }
        self.events_due = outbox.due(session);
    }

    /// A newer session has taken over: finish the commands taken here, then say goodbye, at `latest` in any case.
    pub fn retire(&mut self, latest: Millis, now: Millis) {
        self.retire_at.get_or_insert(latest);
        self.leave_if_done(now);
    }

    /// End the session from this side.
    pub fn close(&mut self, reason: GoodbyeReason, detail: &'static str, now: Millis) {
        if matches!(self.phase, Phase::Closing { .. } | Phase::Closed) {
            return;
        }
        self.control.clear();
        // Replies that are ready go out first: their commands were executed, and somebody waits for them.
        self.flush_replies();
        let goodbye = Goodbye { reason, detail: detail.into() };
        self.control.push_back(Control::Frame(FromConnector::Goodbye(goodbye)));
        self.begin_closing(close_code(reason), Ended::Here(reason, detail), now);
    }

    /// A binary message arrived.
    pub fn handle_message(&mut self, message: Bytes, now: Millis) {
        if matches!(self.phase, Phase::Closing { .. } | Phase::Closed) {
            return;
        }
        self.heard(now);
        match FromRelay::decode(message) {
            Ok(frame) => self.handle_frame(frame, now),
            Err(_) => self.close(GoodbyeReason::Protocol, "malformed frame", now),
        }
    }

    /// A text message arrived, or one that the WebSocket layer could not read: never allowed.
    pub fn handle_unreadable(&mut self, now: Millis) {
        self.close(GoodbyeReason::Protocol, "unreadable message", now);
    }

    /// A WebSocket ping arrived. The WebSocket layer answers it itself.
    pub fn handle_ping(&mut self, now: Millis) {
        self.heard(now);
        self.prove();
    }

    /// A WebSocket pong arrived.
    pub fn handle_pong(&mut self, now: Millis) {
        self.heard(now);
        self.prove();
    }

    /// The socket is gone: end of stream, error, or the close frame has been answered.
    pub fn handle_socket_closed(&mut self) {
        match std::mem::replace(&mut self.phase, Phase::Closed) {
            Phase::Closed => {}
            Phase::Closing { why, .. } => self.end(why),
            Phase::AwaitingWelcome { .. } | Phase::Open { .. } => self.end(Ended::Lost),
        }
    }

    /// Everything handed out so far has been taken by the operating system.
    pub fn handle_flushed(&mut self) {
        self.unflushed_since = None;
    }

    /// The time asked for by [`poll_timeout`](Self::poll_timeout) has come. Calling it early or often is harmless.
    pub fn handle_timeout(&mut self, now: Millis) {
        match &self.phase {
            Phase::Closed => {}
            Phase::Closing { until, .. } if now >= *until => self.handle_socket_closed(),
            Phase::Closing { .. } => {}
            Phase::AwaitingWelcome { until } if now >= *until => self.give_up(),
            Phase::Open { ping_interval, .. } if now >= self.silent_at(*ping_interval) => self.give_up(),
            Phase::AwaitingWelcome { .. } | Phase::Open { .. } => {
                if self.stalled_at().is_some_and(|at| now >= at) {
                    self.give_up();
                } else {
                    self.ping_if_due(now);
                    self.leave_if_done(now);
                }
            }
        }
    }

    /// The next thing to send, if the socket has room for it.
    pub fn poll_transmit(&mut self, now: Millis) -> Option<Transmit> {
        let transmit = match self.control.pop_front() {
            Some(Control::Frame(frame)) => Transmit::Binary(frame.encode()),
            Some(Control::Ping) => Transmit::Ping,
            Some(Control::Close(code)) => Transmit::Close(code),
            None => Transmit::Binary(self.next_data(now)?.encode()),
        };
        self.unflushed_since.get_or_insert(now);
        Some(transmit)
    }

    /// The next thing to report.
    pub fn poll_event(&mut self) -> Option<ConnectorEvent> {
        self.reports.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called next. May be earlier than needed, never later.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Millis> {
        match &self.phase {
            Phase::Closed => None,
            Phase::Closing { until, .. } => Some(*until),
            Phase::AwaitingWelcome { until } => [Some(*until), self.stalled_at()].into_iter().flatten().min(),
            Phase::Open { ping_interval, .. } => {
                let (silent, ping) = (self.silent_at(*ping_interval), self.ping_due(*ping_interval));
                let times = [Some(silent), ping, self.stalled_at(), self.retire_at, self.events_due];
                times.into_iter().flatten().min()
            }
        }
    }

    fn heard(&mut self, now: Millis) {
        self.last_heard = now;
        self.pinged = None;
    }

    fn prove(&mut self) {
        if let Phase::Open { proven: proven @ false, .. } = &mut self.phase {
            *proven = true;
            self.reports.push_back(ConnectorEvent::Proven);
        }
    }

    /// A machine that has slept need not ask after twice the interval: the relay has let it go.
    fn silent_at(&self, ping_interval: Duration) -> Millis {
        let asleep = self.last_heard.plus(ping_interval * 2);
        self.pinged.map_or(asleep, |at| at.plus(self.settings.pong_limit).min(asleep))
    }

    fn ping_due(&self, ping_interval: Duration) -> Option<Millis> {
        self.pinged.is_none().then(|| self.last_heard.plus(ping_interval + self.patience))
    }

    /// The relay pings by itself within its interval, so that there is nothing to ask as long as it lives.
    fn ping_if_due(&mut self, now: Millis) {
        let Phase::Open { ping_interval, .. } = self.phase else { return };
        if self.ping_due(ping_interval).is_some_and(|at| now >= at) {
            self.pinged = Some(now);
            self.control.push_front(Control::Ping);
        }
    }

    fn stalled_at(&self) -> Option<Millis> {
        self.unflushed_since.map(|since| since.plus(self.settings.write_limit))
    }

    fn handle_frame(&mut self, frame: FromRelay, now: Millis) {
        match (&self.phase, frame) {
            (_, FromRelay::Goodbye(goodbye)) => self.relay_leaves(goodbye, now),
            (Phase::AwaitingWelcome { .. }, FromRelay::Welcome(welcome)) => self.begin(welcome, now),
            (Phase::Open { .. }, frame) => self.handle_open_frame(frame, now),
            _ => self.close(GoodbyeReason::Protocol, "frame out of order", now),
        }
    }

    fn begin(&mut self, welcome: Welcome, now: Millis) {
        if !(VERSION_MIN..=VERSION_MAX).contains(&welcome.version) {
            return self.close(GoodbyeReason::Version, "no common protocol version", now);
        }
        let Welcome { ping_interval, session_epoch: session, events: takes_events, paused, .. } = welcome;
        self.phase = Phase::Open { ping_interval, proven: false, session, takes_events };
        self.paused = paused;
        self.reports.push_back(ConnectorEvent::Welcomed(welcome));
    }

    fn handle_open_frame(&mut self, frame: FromRelay, now: Millis) {
        match frame {
            FromRelay::Command(command) => {
                self.prove();
                self.take_command(command, now);
            }
            FromRelay::PreKeyRequest(id) => {
                self.prove();
                self.reports.push_back(ConnectorEvent::PreKeyRequested(id));
            }
            FromRelay::Cancel(id) => self.reports.push_back(ConnectorEvent::Cancelled(id)),
            FromRelay::Drain(drain) => self.reports.push_back(ConnectorEvent::Draining(drain)),
            FromRelay::Standing(standing) => {
                self.paused = standing.paused;
                self.reports.push_back(ConnectorEvent::Standing(standing));
            }
            FromRelay::Spread(window) => self.reports.push_back(ConnectorEvent::Spread(window)),
            FromRelay::EventTaken(event_id) => self.reports.push_back(ConnectorEvent::EventTaken(event_id)),
            FromRelay::Unknown => {}
            FromRelay::Welcome(_) => self.close(GoodbyeReason::Protocol, "second welcome", now),
            FromRelay::Goodbye(goodbye) => self.relay_leaves(goodbye, now),
        }
    }

    fn relay_leaves(&mut self, goodbye: Goodbye, now: Millis) {
        self.control.clear();
        self.begin_closing(CLOSE_NORMAL, Ended::There(goodbye), now);
    }

    fn take_command(&mut self, command: Command, now: Millis) {
        let taken: u32 = self.open.values().sum();
        if taken + self.credit_owed >= self.settings.credit {
            return self.close(GoodbyeReason::Protocol, "more commands than credit", now);
        }
        *self.open.entry(command.command_id).or_default() += 1;
        self.control.push_back(Control::Frame(FromConnector::Received(command.command_id)));
        self.reports.push_back(ConnectorEvent::Command(command));
    }

    fn next_data(&mut self, now: Millis) -> Option<FromConnector> {
        if !self.is_open() {
            return None;
        }
        if let Some(reply) = self.replies.pop_front() {
            self.leave_if_done(now);
            return Some(FromConnector::Reply(reply));
        }
        self.events_out.pop_front().map(FromConnector::Event)
    }

    fn leave_if_done(&mut self, now: Millis) {
        let Some(latest) = self.retire_at else { return };
        let done = self.open.is_empty() && self.replies.is_empty();
        if self.is_open() && (done || now >= latest) {
            self.close(GoodbyeReason::Shutdown, "a newer session took over", now);
        }
    }

    fn flush_replies(&mut self) {
        let replies = self.replies.drain(..).map(|reply| Control::Frame(FromConnector::Reply(reply)));
        self.control.extend(replies);
    }

    fn begin_closing(&mut self, code: u16, why: Ended, now: Millis) {
        self.control.push_back(Control::Close(code));
        self.phase = Phase::Closing { until: now.plus(self.settings.close_limit), why };
    }

    /// Nothing said now would arrive: drop the socket at once.
    fn give_up(&mut self) {
        self.phase = Phase::Closed;
        self.end(Ended::Silent);
    }

    fn end(&mut self, why: Ended) {
        self.control.clear();
        self.replies.clear();
        self.events_out.clear();
        self.open.clear();
        self.reports.push_back(ConnectorEvent::Ended(why));
    }
}

/// Half a second for the relay's own ping to arrive, and up to as much again, by the installation: homes that have lost the same
/// node ask, and dial, one after the other.
fn patience(install_id: &[u8; 16]) -> Duration {
    let drawn = u16::from_be_bytes([install_id[0], install_id[1]]);
    Duration::from_millis(500 + u64::from(drawn) * 500 / 65_536)
}
