//! One session's socket, driven: what arrives goes to the machine, what the machine hands out is sent, what it reports
//! is acted upon. Nothing is decided here.

use std::future::{Future as _, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Sink as _, Stream as _};
use macloud_proto::ids::CommandId;
use macloud_proto::link::connector_side::{ConnectorEvent, ConnectorSettings, ConnectorSide, Ended};
use macloud_proto::link::frame::{Drain, HomeTime, Standing, Welcome};
use macloud_proto::link::{GoodbyeReason, Transmit};
use macloud_proto::time::Millis;
use tokio::sync::mpsc;
use tokio::time::{Sleep, sleep};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use super::commands::{Commands, Taken};
use super::dial::Dialled;
use super::events::Outbox;
use crate::network::WebSocket;
use crate::watchdog::Pulse;

/// Replies and orders that wait for the session. A session has at most its credit of commands under way; replies to
/// commands of earlier sessions come on top.
const INBOX: usize = 256;

/// To a session.
#[derive(Debug)]
pub(crate) enum ToSession {
    /// The reply to a command that came with this session, or was asked again with it.
    Reply { id: CommandId, sealed: Bytes, took: HomeTime },
    /// A command will get no reply.
    Release(CommandId),
    /// A newer session is up: finish, at the latest then.
    Retire(Millis),
    /// The program stops.
    Close,
}

/// From a session.
#[derive(Debug)]
pub(super) enum News {
    Welcomed(Welcome),
    Proven,
    Draining(Drain),
    Standing(Standing),
    /// The reconnect after this session is to be spread over this window.
    Spread(Duration),
    Ended(Ended),
}

/// A session's connections to the rest of the program.
pub(super) struct Ends {
    /// For commands to find this session again.
    pub(super) own: mpsc::Sender<ToSession>,
    pub(super) said: mpsc::Receiver<ToSession>,
    pub(super) tell: mpsc::Sender<News>,
}

pub(super) fn channel() -> (mpsc::Sender<ToSession>, mpsc::Receiver<ToSession>) {
    mpsc::channel(INBOX)
}

/// Run the session to its end.
pub(super) async fn run(
    dialled: Dialled,
    settings: ConnectorSettings,
    commands: Arc<Commands>,
    outbox: Arc<Outbox>,
    ends: Ends,
    pulse: Pulse,
) {
    let Ends { own, mut said, tell } = ends;
    let Dialled { websocket, introduced } = dialled;
    let begin = if introduced { ConnectorSide::introduced } else { ConnectorSide::new };
    let mut machine = begin(settings, commands.now());
    let mut stirred = outbox.stirred();
    let mut socket = Socket { websocket, outgoing: None, unflushed: false, closed: false };
    loop {
        while let Some(event) = machine.poll_event() {
            match event {
                ConnectorEvent::Command(command) => match commands.take(command, &own) {
                    Taken::Answer { id, sealed } => drop(machine.reply(id, sealed, Duration::ZERO)),
                    Taken::Release(id) => machine.release(id),
                    Taken::Executing => {}
                },
                // Everything is begun when it arrives, so there is nothing left to call off.
                ConnectorEvent::Cancelled(_) => {}
                ConnectorEvent::PreKeyRequested(request) => {
                    let signed = commands.signed_pre_key();
                    machine.pre_key(request, signed.into());
                }
                // The link listens for as long as it keeps the session.
                ConnectorEvent::Welcomed(welcome) => drop(tell.try_send(News::Welcomed(welcome))),
                ConnectorEvent::Proven => drop(tell.try_send(News::Proven)),
                ConnectorEvent::Draining(drain) => drop(tell.try_send(News::Draining(drain))),
                ConnectorEvent::Spread(window) => drop(tell.try_send(News::Spread(window))),
                ConnectorEvent::Standing(standing) => drop(tell.try_send(News::Standing(standing))),
                ConnectorEvent::EventTaken(event_id) => drop(outbox.kept().taken(event_id)),
                ConnectorEvent::Ended(ended) => {
                    let _ = tell.try_send(News::Ended(ended));
                    return;
                }
            }
        }
        machine.send_events(&mut outbox.kept(), commands.now());
        let wake_in = machine.poll_timeout().map(|at| at.since(commands.now()));
        let wake_in = wake_in.unwrap_or(Duration::from_secs(3600));
        pulse.within(wake_in);
        let mut timer = pin!(sleep(wake_in));
        let mut told = pin!(stirred.changed());
        let woke = poll_fn(|cx| {
            if told.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Woke::Told);
            }
            socket.poll(cx, &mut machine, &mut said, &mut timer, commands.now())
        });
        let woke = woke.await;
        let now = commands.now();
        match woke {
            Woke::Message(Message::Binary(bytes)) => machine.handle_message(bytes, now),
            Woke::Message(Message::Ping(_)) => machine.handle_ping(now),
            Woke::Message(Message::Pong(_)) => machine.handle_pong(now),
            // The WebSocket layer answers it; the socket ends after that.
            Woke::Message(Message::Close(_) | Message::Frame(_)) => {}
            Woke::Message(Message::Text(_)) => machine.handle_unreadable(now),
            Woke::SocketClosed => machine.handle_socket_closed(),
            Woke::Said(ToSession::Reply { id, sealed, took }) => {
                if machine.reply(id, sealed, took).is_err() {
                    tracing::debug!(command.id = %id, "the session ended before the reply; a retry will find it");
                }
            }
            Woke::Said(ToSession::Release(id)) => machine.release(id),
            Woke::Said(ToSession::Retire(latest)) => machine.retire(latest, now),
            Woke::Said(ToSession::Close) => machine.close(GoodbyeReason::Shutdown, "the connector stops", now),
            Woke::Time => machine.handle_timeout(now),
            // Looked at before each wait.
            Woke::Told => {}
        }
    }
}

enum Woke {
    Message(Message),
    SocketClosed,
    Said(ToSession),
    /// There is something new in the outbox.
    Told,
    Time,
}

struct Socket {
    websocket: WebSocket,
    outgoing: Option<Message>,
    unflushed: bool,
    closed: bool,
}

impl Socket {
    /// Write what there is to write, and return at the first thing that the machine must know. Writing never keeps
    /// from reading: a peer that stops reading is noticed by the machine's own limit.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        machine: &mut ConnectorSide,
        said: &mut mpsc::Receiver<ToSession>,
        timer: &mut Pin<&mut Sleep>,
        now: Millis,
    ) -> Poll<Woke> {
        if self.closed {
            return Poll::Ready(Woke::SocketClosed);
        }
        if self.poll_write(cx, machine, now).is_err() {
            self.closed = true;
            return Poll::Ready(Woke::SocketClosed);
        }
        match Pin::new(&mut self.websocket).poll_next(cx) {
            Poll::Ready(Some(Ok(message))) => return Poll::Ready(Woke::Message(message)),
            Poll::Ready(Some(Err(_)) | None) => {
                self.closed = true;
                return Poll::Ready(Woke::SocketClosed);
            }
            Poll::Pending => {}
        }
        if let Poll::Ready(Some(said)) = said.poll_recv(cx) {
            return Poll::Ready(Woke::Said(said));
        }
        timer.as_mut().poll(cx).map(|()| Woke::Time)
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        machine: &mut ConnectorSide,
        now: Millis,
    ) -> Result<(), tokio_tungstenite::tungstenite::Error> {
        loop {
            if self.outgoing.is_none() {
                self.outgoing = machine.poll_transmit(now).map(message);
            }
            if self.outgoing.is_none() {
                break;
            }
            match Pin::new(&mut self.websocket).poll_ready(cx)? {
                Poll::Ready(()) => {
                    if let Some(message) = self.outgoing.take() {
                        Pin::new(&mut self.websocket).start_send(message)?;
                        self.unflushed = true;
                    }
                }
                Poll::Pending => break,
            }
        }
        if self.unflushed && Pin::new(&mut self.websocket).poll_flush(cx)?.is_ready() {
            self.unflushed = false;
            if self.outgoing.is_none() {
                machine.handle_flushed();
            }
        }
        Ok(())
    }
}

fn message(transmit: Transmit) -> Message {
    match transmit {
        Transmit::Binary(bytes) => Message::Binary(bytes),
        Transmit::Ping => Message::Ping(Bytes::new()),
        Transmit::Close(code) => Message::Close(Some(CloseFrame { code: code.into(), reason: "".into() })),
    }
}
