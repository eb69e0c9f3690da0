//! One session of a home as the relay holds it: a state machine without a socket or a clock.
//!
//! What it promises:
//! - every [`submit`](RelaySide::submit) and every [`fetch_pre_key`](RelaySide::fetch_pre_key) is answered by exactly
//!   one [`RelayEvent::Answered`], at its deadline at the latest, and at once when the session ends;
//! - `NotSent` means that the frame was never handed out by [`poll_transmit`](RelaySide::poll_transmit);
//! - control frames and pings never wait behind commands, and commands never exceed the home's credit;
//! - a home that does not confirm a command is probed and evicted within seconds, not at the next ping.
//!
//! What it leaves to its driver: authentication, giving the session its epoch, and finding another session for a
//! command that was not sent. It never looks inside a sealed body.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use super::frame::{
    Event, FrameError, FromConnector, FromRelay, Goodbye, Hello, HomeTime, PreKeyAnswer, Reply, Standing, Welcome,
};
use super::resumption::Credential;
use super::{GoodbyeReason, Transmit, VERSION_MAX, VERSION_MIN, close_code};
use crate::ids::CommandId;
use crate::random::Random;
use crate::time::Micros;

mod commands;
mod liveness;
mod pre_key;
mod rate;

use commands::Commands;
pub use commands::Submission;
use liveness::Liveness;
use pre_key::PreKeyDesk;
use rate::Rate;

/// What a session is bounded by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelaySettings {
    /// Hello must arrive within this time of the start.
    pub hello_limit: Duration,
    /// Shortest silence after which the relay pings. Each wait is drawn between this and `ping_max`, so that pings of
    /// many homes do not fall together.
    pub ping_min: Duration,
    /// Longest silence after which the relay pings; what Welcome announces.
    pub ping_max: Duration,
    /// A ping unanswered for this long ends the session.
    pub pong_limit: Duration,
    /// A written command unconfirmed for this long causes a ping at once.
    pub confirm_limit: Duration,
    /// A home that stays silent for this long after such a ping is evicted; on a slow line, after two of its round trips since the
    /// command was written, and [`RelaySettings::pong_limit`] after the ping at the latest.
    pub probe_limit: Duration,
    /// Bytes handed out but not taken by the socket for this long end the session.
    pub write_limit: Duration,
    /// Commands that may wait to be written; further ones are refused as busy.
    pub queue_commands: usize,
    /// Sealed bytes that may wait to be written; further commands are refused as busy.
    pub queue_bytes: usize,
    /// Commands a minute that count, on average, with a burst of the same size. None for no limit.
    pub commands_per_minute: Option<u32>,
    /// The same for those that do not count: how players stand, and which there are.
    pub reads_per_minute: Option<u32>,
    /// Events a minute that are let through, on average, with a burst of the same size, where the cloud takes events.
    pub events_per_minute: u32,
    /// Frames, pings and pongs a minute that change nothing, with a burst of the same size; twice as many commands a minute
    /// as may be sent come on top, for replies that are late. A home that sends more is broken or hostile.
    pub strays_per_minute: u32,
    /// A pre-key is handed out again without asking the home for this long.
    pub pre_key_cache: Duration,
    /// After a goodbye the peer has this long to close before the socket is dropped.
    pub close_limit: Duration,
}

impl Default for RelaySettings {
    fn default() -> Self {
        Self {
            // A home says hello at once; this leaves time for a slow line and a busy machine.
            hello_limit: Duration::from_secs(5),
            ping_min: Duration::from_secs(20),
            ping_max: Duration::from_secs(30),
            pong_limit: Duration::from_secs(5),
            confirm_limit: Duration::from_millis(1500),
            probe_limit: Duration::from_secs(1),
            write_limit: Duration::from_secs(5),
            queue_commands: 64,
            queue_bytes: 256 * 1024,
            commands_per_minute: None,
            reads_per_minute: None,
            // Twice what a home sends.
            events_per_minute: 120,
            strays_per_minute: 600,
            pre_key_cache: Duration::from_secs(3),
            close_limit: Duration::from_secs(1),
        }
    }
}

/// What a home is told when its session has been registered: see [`Welcome`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Registration {
    /// Greater than that of every session of this home before.
    pub epoch: u64,
    /// For the next proof of possession.
    pub dpop_nonce: String,
    /// This node.
    pub node_id: String,
    /// Over how long the home spreads its next reconnect.
    pub reconnect_window: Duration,
    /// Another installation keeps taking the home's place.
    pub contested: bool,
    /// The home's owner has paused it: no calls go out until [`RelaySide::set_paused`] says otherwise.
    pub paused: bool,
    /// The cloud takes events of this home.
    pub events: bool,
    /// With which the home may dial in next.
    pub resumption: Option<Credential>,
}

impl RelaySettings {
    fn strays(&self) -> u32 {
        let both =
            self.commands_per_minute.unwrap_or_default().saturating_add(self.reads_per_minute.unwrap_or_default());
        self.strays_per_minute.saturating_add(both.saturating_mul(2))
    }
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The home's sealed reply.
    Delivered(Bytes),
    /// The home's signed pre-key.
    PreKey(Bytes),
    /// Nothing was handed to the socket: safe to try again anywhere.
    NotSent(NotSent),
    /// Handed to the socket, no reply. A retry must carry the same command id.
    Unknown(Unknown),
}

/// Why nothing was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotSent {
    /// The queue is full.
    Busy,
    /// The deadline passed in the queue.
    Deadline,
    /// The session ended first.
    LinkLost,
    /// The caller cancelled in time.
    Cancelled,
    /// Over the home's rate; there is room again after this long.
    RateLimited(Duration),
    /// The home's owner has paused it.
    Paused,
    /// The body is too large, or a command of this id is already on its way.
    Invalid,
}

/// Why nothing is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// The deadline passed without a reply.
    Deadline,
    /// The session ended without a reply.
    LinkLost,
    /// The home was evicted because it did not answer.
    Unresponsive,
}

/// Where a call's time went. Zero where a step was not reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timing {
    /// From the call's arrival to handing out its frame.
    pub queued: Duration,
    /// From there to the home's confirmation.
    pub received: Duration,
    /// From there to the home's reply.
    pub replied: Duration,
    /// What the home says it took.
    pub home: HomeTime,
}

/// Why the session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// This side said goodbye, with this reason and detail.
    Here(GoodbyeReason, &'static str),
    /// The home said goodbye.
    There(Goodbye),
    /// The socket ended without a goodbye.
    Lost,
}

/// Something that was dropped, for counting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dropped {
    /// A reply after its command was answered by the deadline.
    LateReply,
    /// A reply to a command that was already answered, or never sent here.
    StrayReply,
    /// A pre-key nobody asked for.
    StrayPreKey,
    /// A kind of frame this version does not know.
    UnknownFrame,
    /// An event where the cloud takes none, or from a home that is paused.
    UnwantedEvent,
    /// An event over the home's rate: the home keeps it, and sends it again.
    EventOverRate,
}

/// What a session reports. `T` is the caller's token of a call, given back with its one answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RelayEvent<T> {
    /// The home introduced itself: register the session, then call [`RelaySide::welcome`] or [`RelaySide::close`].
    Hello(Hello),
    /// The one answer of a call.
    Answered {
        /// The call.
        token: T,
        /// How it ended.
        outcome: Outcome,
        /// Where its time went.
        timing: Timing,
    },
    /// A sealed state change from the home. Call [`RelaySide::event_taken`] once it is where it cannot be lost.
    HomeEvent(Event),
    /// Something was dropped.
    Dropped(Dropped),
    /// The session is over; the socket can be dropped. Always the last event.
    Ended(Ended),
}

/// See the module's text.
#[derive(Debug)]
pub struct RelaySide<T> {
    settings: RelaySettings,
    phase: Phase,
    drain_ends: Option<Micros>,
    control: VecDeque<Control>,
    commands: Commands<T>,
    pre_key: PreKeyDesk<T>,
    rate: Option<Rate>,
    reads: Option<Rate>,
    strays: Rate,
    events_in: Rate,
    takes_events: bool,
    paused: bool,
    told_window: Duration,
    liveness: Liveness,
    unflushed_since: Option<Micros>,
    events: VecDeque<RelayEvent<T>>,
}

#[derive(Debug)]
enum Phase {
    AwaitingHello { begun: Micros },
    Registering { version: u32 },
    Open,
    Closing { until: Micros, why: Ended },
    Closed,
}

/// What waits in the control lane.
#[derive(Debug)]
enum Control {
    Frame(FromRelay),
    Ping,
    Close(u16),
}

impl<T> RelaySide<T> {
    /// A session whose upgrade has just been accepted.
    pub fn new(settings: RelaySettings, now: Micros, random: &mut dyn Random) -> Self {
        Self {
            phase: Phase::AwaitingHello { begun: now },
            drain_ends: None,
            control: VecDeque::new(),
            commands: Commands::default(),
            pre_key: PreKeyDesk::default(),
            rate: settings.commands_per_minute.map(|limit| Rate::full(limit, now)),
            reads: settings.reads_per_minute.map(|limit| Rate::full(limit, now)),
            strays: Rate::full(settings.strays(), now),
            events_in: Rate::full(settings.events_per_minute, now),
            takes_events: false,
            paused: false,
            told_window: Duration::ZERO,
            liveness: Liveness::new(&settings, now, random),
            unflushed_since: None,
            events: VecDeque::new(),
            settings,
        }
    }

    /// The home has said hello within the upgrade (see [`super::introduction`]), and the way to it and back took so long. To be called
    /// before anything else.
    pub fn introduced(&mut self, hello: Hello, round_trip: Duration, now: Micros) {
        if matches!(self.phase, Phase::AwaitingHello { .. }) {
            self.greet(hello, round_trip, now);
        }
    }

    /// Whether the home has been welcomed and the session has not begun to end.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open)
    }

    /// Whether the session is over: nothing more will be reported or sent once the events are polled.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed)
    }

    /// Calls that wait for an answer.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.commands.len() + self.pre_key.waiting()
    }

    /// The session is registered: greet the home.
    pub fn welcome(&mut self, registration: Registration) {
        let Phase::Registering { version } = self.phase else { return };
        let Registration { epoch, dpop_nonce, node_id, reconnect_window, contested, paused, events, resumption } =
            registration;
        self.phase = Phase::Open;
        self.takes_events = events;
        self.paused = paused;
        self.told_window = reconnect_window;
        self.send(FromRelay::Welcome(Welcome {
            version,
            session_epoch: epoch,
            ping_interval: self.settings.ping_max,
            reconnect_window,
            dpop_nonce,
            node_id,
            contested,
            paused,
            events,
            resumption,
        }));
    }

    /// Over how long the home should spread its next reconnect by now. It is told when that has grown by half since it was told last.
    pub fn spread_over(&mut self, reconnect_window: Duration) {
        if self.is_open() && reconnect_window * 2 >= self.told_window * 3 && reconnect_window > self.told_window {
            self.told_window = reconnect_window;
            self.send(FromRelay::Spread(reconnect_window));
        }
    }

    /// Whether the home's owner has paused it.
    pub const fn is_paused(&self) -> bool {
        self.paused
    }

    /// The home's owner has paused it, or lets it go on: nothing is sent while it is paused, and what waits is refused at
    /// once. The home is told, for its owner to see. What it was sent before, it may still do.
    pub fn set_paused(&mut self, paused: bool) {
        if self.paused == paused || !self.takes_calls() {
            return;
        }
        self.paused = paused;
        self.send(FromRelay::Standing(Standing { paused }));
        if paused {
            for token in self.commands.take_queued() {
                self.refuse(token, NotSent::Paused);
            }
        }
    }

    /// Send a command as soon as the home has room for it.
    pub fn submit(&mut self, token: T, submission: Submission, now: Micros) {
        if !self.takes_calls() {
            return self.refuse(token, NotSent::LinkLost);
        }
        if self.paused {
            return self.refuse(token, NotSent::Paused);
        }
        let verdict = self.commands.check(&submission, &self.settings, now);
        let rate = if submission.counts { &mut self.rate } else { &mut self.reads };
        let verdict = verdict.and_then(|()| match rate {
            Some(rate) => rate.take(now).map_err(NotSent::RateLimited),
            None => Ok(()),
        });
        match verdict {
            Ok(()) => self.commands.enqueue(token, submission),
            Err(reason) => self.refuse(token, reason),
        }
    }

    /// Answer with the home's current signed pre-key, from memory when it is younger than
    /// [`RelaySettings::pre_key_cache`] and `fresh` is not set. Callers that ask meanwhile share one request.
    ///
    /// Fetching executes nothing at the home: it is always safe to ask again, after `Unknown` too.
    pub fn fetch_pre_key(&mut self, token: T, fresh: bool, deadline: Micros, now: Micros) {
        if !self.takes_calls() {
            return self.refuse(token, NotSent::LinkLost);
        }
        if self.paused {
            return self.refuse(token, NotSent::Paused);
        }
        if deadline <= now {
            return self.refuse(token, NotSent::Deadline);
        }
        if let Some(cached) = self.pre_key.cached(now).filter(|_| !fresh) {
            return self.answer(token, Outcome::PreKey(cached), Timing::default());
        }
        match self.pre_key.wait(token, deadline, now, &self.settings) {
            Ok(Some(request_id)) => self.send(FromRelay::PreKeyRequest(request_id)),
            Ok(None) => {}
            Err(token) => self.refuse(token, NotSent::Busy),
        }
    }

    /// The caller of this command does not wait any more. One that is still queued is answered `NotSent(Cancelled)`;
    /// for one already sent the home is told, and the answer is whatever comes first, reply or deadline.
    pub fn cancel(&mut self, id: CommandId) {
        if let Some(token) = self.commands.remove_queued(id) {
            self.refuse(token, NotSent::Cancelled);
        } else if self.commands.mark_cancelled(id) {
            self.send(FromRelay::Cancel(id));
        }
    }

    /// An event that was reported is where it cannot be lost: the home need not keep it.
    pub fn event_taken(&mut self, event_id: [u8; 16]) {
        if self.is_open() {
            self.send(FromRelay::EventTaken(event_id));
        }
    }

    /// Ask the home to dial in anew: this node is leaving, or wants a fresh proof. Commands keep flowing until the home has
    /// moved, or until `leaving_in` is over and the session ends as drained. Asking again only counts when it is more urgent.
    pub fn drain(&mut self, reconnect_after: Duration, leaving_in: Duration, now: Micros) {
        let ends = now.plus(leaving_in);
        if self.takes_calls() && self.drain_ends.is_none_or(|asked| ends < asked) {
            self.drain_ends = Some(ends);
            self.send(FromRelay::Drain(super::frame::Drain { reconnect_after, leaving_in }));
        }
    }

    /// End the session from this side: answers every outstanding call, says why, and closes.
    pub fn close(&mut self, reason: GoodbyeReason, detail: &'static str, now: Micros) {
        if matches!(self.phase, Phase::Closing { .. } | Phase::Closed) {
            return;
        }
        self.answer_all(match reason {
            GoodbyeReason::Unresponsive | GoodbyeReason::Slow => Unknown::Unresponsive,
            _ => Unknown::LinkLost,
        });
        self.control.clear();
        self.send(FromRelay::Goodbye(Goodbye { reason, detail: detail.into() }));
        self.begin_closing(close_code(reason), Ended::Here(reason, detail), now);
    }

    /// A binary message arrived.
    pub fn handle_message(&mut self, message: Bytes, now: Micros) {
        if matches!(self.phase, Phase::Closing { .. } | Phase::Closed) {
            return;
        }
        self.liveness.heard(now);
        match FromConnector::decode(message) {
            Ok(frame) => self.handle_frame(frame, now),
            Err(FrameError::TooLong) => self.close(GoodbyeReason::Protocol, "frame too long", now),
            Err(FrameError::Malformed) => self.close(GoodbyeReason::Protocol, "malformed frame", now),
            Err(FrameError::WrongDirection) => self.close(GoodbyeReason::Protocol, "frame of a relay", now),
            Err(FrameError::Field(field)) => self.close(GoodbyeReason::Protocol, field, now),
        }
    }

    /// A text message arrived: never allowed.
    pub fn handle_text(&mut self, now: Micros) {
        self.close(GoodbyeReason::Protocol, "text message", now);
    }

    /// A message was refused by the WebSocket layer before it was whole: too long, or not RFC 6455.
    pub fn handle_unreadable(&mut self, detail: &'static str, now: Micros) {
        self.close(GoodbyeReason::Protocol, detail, now);
    }

    /// A WebSocket ping or pong arrived. The WebSocket layer answers pings itself.
    pub fn handle_ping_or_pong(&mut self, now: Micros) {
        if !self.liveness.ponged(now) {
            self.stray(now);
        }
    }

    /// The socket is gone: end of stream, error, or the close frame has been answered.
    pub fn handle_socket_closed(&mut self) {
        let ended = match std::mem::replace(&mut self.phase, Phase::Closed) {
            Phase::Closed => return,
            Phase::Closing { why, .. } => why,
            Phase::AwaitingHello { .. } | Phase::Registering { .. } | Phase::Open => Ended::Lost,
        };
        self.answer_all(Unknown::LinkLost);
        self.control.clear();
        self.events.push_back(RelayEvent::Ended(ended));
    }

    /// Everything handed out so far has been taken by the operating system.
    pub fn handle_flushed(&mut self) {
        self.unflushed_since = None;
    }

    /// The time asked for by [`poll_timeout`](Self::poll_timeout) has come. Calling it early or often is harmless.
    pub fn handle_timeout(&mut self, now: Micros, random: &mut dyn Random) {
        match &self.phase {
            Phase::Closed => {}
            Phase::Closing { until, .. } if now >= *until => self.handle_socket_closed(),
            Phase::Closing { .. } => {}
            Phase::AwaitingHello { begun } if now >= begun.plus(self.settings.hello_limit) => {
                self.close(GoodbyeReason::Protocol, "no hello in time", now);
            }
            Phase::AwaitingHello { .. } => {}
            Phase::Registering { .. } | Phase::Open => self.keep_time(now, random),
        }
    }

    /// The next thing to send, if the socket has room for it. Handing out a command makes it "written".
    pub fn poll_transmit(&mut self, now: Micros) -> Option<Transmit> {
        let transmit = self.next_transmit(now)?;
        self.unflushed_since.get_or_insert(now);
        self.liveness.sent(now);
        Some(transmit)
    }

    /// The next thing to report.
    pub fn poll_event(&mut self) -> Option<RelayEvent<T>> {
        self.events.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called next. May be earlier than needed, never later.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Micros> {
        match &self.phase {
            Phase::Closed => None,
            Phase::AwaitingHello { begun } => Some(begun.plus(self.settings.hello_limit)),
            Phase::Closing { until, .. } => Some(*until),
            Phase::Registering { .. } | Phase::Open => {
                let stalled = self.unflushed_since.map(|since| since.plus(self.settings.write_limit));
                let others =
                    [self.commands.next_check(), self.pre_key.next_check(&self.settings), self.drain_ends, stalled];
                others.into_iter().flatten().chain([self.liveness.next_check()]).min()
            }
        }
    }

    fn takes_calls(&self) -> bool {
        matches!(self.phase, Phase::Registering { .. } | Phase::Open)
    }

    fn handle_frame(&mut self, frame: FromConnector, now: Micros) {
        match (&self.phase, frame) {
            (_, FromConnector::Goodbye(goodbye)) => self.peer_leaves(goodbye, now),
            (Phase::AwaitingHello { begun }, FromConnector::Hello(hello)) => {
                self.greet(hello, now.since(*begun), now);
            }
            (Phase::Open, frame) => self.handle_open_frame(frame, now),
            _ => self.close(GoodbyeReason::Protocol, "frame out of order", now),
        }
    }

    fn greet(&mut self, hello: Hello, round_trip: Duration, now: Micros) {
        let version = hello.version_max.min(VERSION_MAX);
        if version < hello.version_min.max(VERSION_MIN) {
            return self.close(GoodbyeReason::Version, "no common protocol version", now);
        }
        self.liveness.greeted(round_trip);
        self.phase = Phase::Registering { version };
        self.commands.add_credit(hello.credit);
        self.events.push_back(RelayEvent::Hello(hello));
    }

    fn handle_open_frame(&mut self, frame: FromConnector, now: Micros) {
        match frame {
            FromConnector::Received(id) => {
                let news = self.commands.confirm(id, now);
                self.expect(news, now);
            }
            FromConnector::Credit(commands) => {
                let news = self.commands.add_credit(commands);
                self.expect(news, now);
            }
            FromConnector::Reply(reply) => self.complete(reply, now),
            FromConnector::PreKeyAnswer(answer) => self.hand_out_pre_key(answer, now),
            FromConnector::Event(event) => self.take_event(event, now),
            FromConnector::Unknown => self.dropped(Dropped::UnknownFrame, now),
            FromConnector::Hello(_) => self.close(GoodbyeReason::Protocol, "second hello", now),
            FromConnector::Goodbye(goodbye) => self.peer_leaves(goodbye, now),
        }
    }

    fn complete(&mut self, reply: Reply, now: Micros) {
        match self.commands.complete(&reply, now) {
            Ok((token, timing)) => self.answer(token, Outcome::Delivered(reply.sealed), timing),
            Err(dropped) => self.dropped(dropped, now),
        }
    }

    fn hand_out_pre_key(&mut self, answer: PreKeyAnswer, now: Micros) {
        let PreKeyAnswer { request_id, signed_pre_key } = answer;
        match self.pre_key.answered(request_id, &signed_pre_key, now, &self.settings) {
            Some((waiters, timing)) => {
                for token in waiters {
                    self.answer(token, Outcome::PreKey(signed_pre_key.clone()), timing);
                }
            }
            None => self.dropped(Dropped::StrayPreKey, now),
        }
    }

    fn take_event(&mut self, event: Event, now: Micros) {
        if !self.takes_events || self.paused {
            return self.dropped(Dropped::UnwantedEvent, now);
        }
        match self.events_in.take(now) {
            Ok(()) => self.events.push_back(RelayEvent::HomeEvent(event)),
            Err(_) => self.dropped(Dropped::EventOverRate, now),
        }
    }

    fn peer_leaves(&mut self, goodbye: Goodbye, now: Micros) {
        self.answer_all(Unknown::LinkLost);
        self.control.clear();
        self.begin_closing(super::CLOSE_NORMAL, Ended::There(goodbye), now);
    }

    fn begin_closing(&mut self, code: u16, why: Ended, now: Micros) {
        self.control.push_back(Control::Close(code));
        self.phase = Phase::Closing { until: now.plus(self.settings.close_limit), why };
    }

    /// All that time does to a session that is up.
    fn keep_time(&mut self, now: Micros, random: &mut dyn Random) {
        if self.liveness.is_overdue(now) {
            return self.close(GoodbyeReason::Unresponsive, "no answer to a ping", now);
        }
        if self.unflushed_since.is_some_and(|since| now.since(since) >= self.settings.write_limit) {
            return self.close(GoodbyeReason::Slow, "does not read", now);
        }
        if self.drain_ends.is_some_and(|end| now >= end) {
            return self.close(GoodbyeReason::Drained, "a new session was asked for", now);
        }
        self.expire_commands(now);
        for token in self.pre_key.expire(now) {
            self.answer(token, Outcome::Unknown(Unknown::Deadline), Timing::default());
        }
        let unconfirmed = self.commands.take_unconfirmed(now, &self.settings);
        let unanswered = self.pre_key.take_unconfirmed(now, &self.settings);
        let probe = (unconfirmed || unanswered) && self.liveness.probe(now, &self.settings);
        if probe || self.liveness.ping_if_due(now, &self.settings, random) {
            self.control.push_front(Control::Ping);
        }
    }

    fn expire_commands(&mut self, now: Micros) {
        for token in self.commands.expire_queued(now) {
            self.refuse(token, NotSent::Deadline);
        }
        for (id, token, timing, cancelled) in self.commands.expire_sent(now) {
            if !cancelled {
                self.send(FromRelay::Cancel(id));
            }
            self.answer(token, Outcome::Unknown(Unknown::Deadline), timing);
        }
        self.commands.schedule(&self.settings);
    }

    fn next_transmit(&mut self, now: Micros) -> Option<Transmit> {
        match self.control.pop_front() {
            Some(Control::Frame(frame)) => return Some(Transmit::Binary(frame.encode())),
            Some(Control::Ping) => return Some(Transmit::Ping),
            Some(Control::Close(code)) => return Some(Transmit::Close(code)),
            None => {}
        }
        if !self.is_open() {
            return None;
        }
        for token in self.commands.expire_queued(now) {
            self.refuse(token, NotSent::Deadline);
        }
        let command = self.commands.send_next(now, &self.settings)?;
        Some(Transmit::Binary(FromRelay::Command(command).encode()))
    }

    fn answer_all(&mut self, reason: Unknown) {
        let (queued, sent) = self.commands.take_all();
        for token in queued {
            self.refuse(token, NotSent::LinkLost);
        }
        for (token, timing) in sent {
            self.answer(token, Outcome::Unknown(reason), timing);
        }
        for token in self.pre_key.take_all() {
            self.answer(token, Outcome::Unknown(reason), Timing::default());
        }
    }

    fn send(&mut self, frame: FromRelay) {
        self.control.push_back(Control::Frame(frame));
    }

    fn refuse(&mut self, token: T, reason: NotSent) {
        self.answer(token, Outcome::NotSent(reason), Timing::default());
    }

    fn answer(&mut self, token: T, outcome: Outcome, timing: Timing) {
        self.events.push_back(RelayEvent::Answered { token, outcome, timing });
    }

    fn dropped(&mut self, what: Dropped, now: Micros) {
        self.events.push_back(RelayEvent::Dropped(what));
        self.stray(now);
    }

    fn expect(&mut self, news: bool, now: Micros) {
        if !news {
            self.stray(now);
        }
    }

    /// Something arrived that changes nothing. Now and then that is normal; without end it only costs.
    fn stray(&mut self, now: Micros) {
        if self.strays.take(now).is_err() {
            self.close(GoodbyeReason::Protocol, "too many frames that nobody asked for", now);
        }
    }
}
