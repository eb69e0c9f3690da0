//! One connection: requests out, replies matched to them, events to whoever listens.
//!
//! Music Assistant cuts a client that leaves 512 messages unread, so the reading half does nothing that can wait.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message, Utf8Bytes};

use super::message::{self, ErrorCode, Incoming};
use super::{CallError, lock};
use crate::network::WebSocket;
use crate::watchdog::Pulse;

/// The largest frame that is accepted: lists come in one frame however long they are.
const MAX_MESSAGE: usize = 32 << 20;

/// Most items that are put together from parts.
const MAX_ITEMS: usize = 10_000;

/// Requests that wait to be written.
const OUTBOUND: usize = 64;

/// Requests under way at once. Above it something is stuck.
const MAX_PENDING: usize = 256;

/// A write that takes longer than this is to a dead server.
const WRITE_LIMIT: Duration = Duration::from_secs(5);

/// Ping after this much silence, and give up after twice as much: the server itself pings every 25 to 30 s.
const SILENCE: Duration = Duration::from_secs(35);

/// How to open a WebSocket to Music Assistant.
pub(super) fn websocket_config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(8 << 10)
        .write_buffer_size(0)
        .max_write_buffer_size(1 << 20)
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE))
}

/// The asking side of one connection.
pub(super) struct Session {
    outbound: mpsc::Sender<Utf8Bytes>,
    next_id: AtomicU64,
    waiting: Mutex<HashMap<u64, Waiting>>,
}

struct Waiting {
    answer: oneshot::Sender<Result<Value, CallError>>,
    parts: Vec<Value>,
    /// The result is handed on between the events that came before and after it, under this name.
    in_order: Option<&'static str>,
}

impl Session {
    pub(super) fn new() -> (Self, mpsc::Receiver<Utf8Bytes>) {
        let (outbound, requests) = mpsc::channel(OUTBOUND);
        (Self { outbound, next_id: AtomicU64::new(1), waiting: Mutex::default() }, requests)
    }

    /// Send a command now; the future waits for the answer.
    pub(super) fn request<'s>(
        &'s self,
        command: &str,
        args: &Value,
    ) -> Result<impl Future<Output = Result<Value, CallError>> + use<'s>, CallError> {
        self.send(command, args, None)
    }

    /// Like [`Self::request`], but the result goes to the event handler, in its place among the events: a list taken
    /// over later than the events that followed it would undo them. The future only tells when that is done.
    pub(super) fn request_in_order<'s>(
        &'s self,
        command: &'static str,
    ) -> Result<impl Future<Output = Result<Value, CallError>> + use<'s>, CallError> {
        self.send(command, &Value::Object(serde_json::Map::new()), Some(command))
    }

    fn send<'s>(
        &'s self,
        command: &str,
        args: &Value,
        in_order: Option<&'static str>,
    ) -> Result<impl Future<Output = Result<Value, CallError>> + use<'s>, CallError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        {
            let mut waiting = lock(&self.waiting);
            if waiting.len() >= MAX_PENDING {
                return Err(CallError::Busy);
            }
            waiting.insert(id, Waiting { answer, parts: Vec::new(), in_order });
        }
        let forget = Forget { session: self, id };
        self.outbound.try_send(message::request(id, command, args).into()).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => CallError::Busy,
            mpsc::error::TrySendError::Closed(_) => CallError::Away,
        })?;
        Ok(async move {
            let _forget = forget;
            answered.await.unwrap_or(Err(CallError::Lost))
        })
    }

    /// How many still wait.
    pub(super) fn waiting(&self) -> usize {
        lock(&self.waiting).len()
    }

    /// Everybody who still waits is told that the connection broke.
    pub(super) fn end(&self) {
        lock(&self.waiting).clear();
    }

    fn reply(
        &self,
        id: &str,
        result: Result<Value, ErrorCode>,
        partial: bool,
        on_event: &mut impl FnMut(&str, Option<&str>, &Value),
    ) {
        let Ok(id) = id.parse() else { return };
        let mut all = lock(&self.waiting);
        let Some(waiting) = all.get_mut(&id) else { return };
        let outcome = match (result, partial) {
            (Err(code), _) => Err(CallError::Refused(code)),
            (Ok(Value::Array(items)), true) if waiting.parts.len() + items.len() <= MAX_ITEMS => {
                waiting.parts.extend(items);
                return;
            }
            (Ok(_), true) => Err(CallError::TooLarge),
            (Ok(Value::Array(items)), false) if !waiting.parts.is_empty() => {
                let mut parts = std::mem::take(&mut waiting.parts);
                parts.extend(items);
                Ok(Value::Array(parts))
            }
            (Ok(result), false) => Ok(result),
        };
        let Some(waiting) = all.remove(&id) else { return };
        drop(all);
        let outcome = match (waiting.in_order, outcome) {
            (Some(name), Ok(result)) => {
                on_event(name, None, &result);
                Ok(Value::Null)
            }
            (_, outcome) => outcome,
        };
        // Whoever asked may have stopped waiting.
        let _ = waiting.answer.send(outcome);
    }
}

/// Removes a request from the waiting ones, however its future ends.
struct Forget<'s> {
    session: &'s Session,
    id: u64,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        lock(&self.session.waiting).remove(&self.id);
    }
}

/// How a connection ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// The server closed it.
    Closed,
    /// It broke, or the server fell silent.
    Broken,
}

/// Carry frames until the connection ends. `on_event` must not wait for anything.
pub(super) async fn pump(
    websocket: WebSocket,
    session: &Session,
    mut requests: mpsc::Receiver<Utf8Bytes>,
    pulse: Option<&Pulse>,
    mut on_event: impl FnMut(&str, Option<&str>, &Value),
) -> Ended {
    let (mut sink, mut stream) = websocket.split();
    let (probe, mut probes) = mpsc::channel::<()>(1);
    let read = async {
        let mut heard = Instant::now();
        let mut probed = false;
        loop {
            if let Some(pulse) = pulse {
                pulse.within(SILENCE * 2);
            }
            let patience = if probed { heard + SILENCE * 2 } else { heard + SILENCE };
            tokio::select! {
                frame = stream.next() => {
                    heard = Instant::now();
                    probed = false;
                    match frame {
                        Some(Ok(Message::Text(text))) => match message::decode(&text) {
                            Incoming::Reply { id, result, partial } => session.reply(&id, result, partial, &mut on_event),
                            Incoming::Event { name, object, data } => on_event(&name, object.as_deref(), &data),
                            Incoming::Hello(_) | Incoming::Unknown => {}
                        },
                        Some(Ok(Message::Close(_))) | None => return Ended::Closed,
                        Some(Ok(_)) => {}
                        Some(Err(tungstenite::Error::ConnectionClosed)) => return Ended::Closed,
                        Some(Err(_)) => return Ended::Broken,
                    }
                }
                () = sleep_until(patience) => {
                    if probed {
                        return Ended::Broken;
                    }
                    probed = true;
                    // A probe that still waits to be written says the same.
                    let _ = probe.try_send(());
                }
            }
        }
    };
    let write = async {
        loop {
            let frame = tokio::select! {
                request = requests.recv() => match request {
                    Some(text) => Message::Text(text),
                    None => return Ended::Broken,
                },
                Some(()) = probes.recv() => Message::Ping(tungstenite::Bytes::new()),
            };
            if !matches!(timeout(WRITE_LIMIT, sink.send(frame)).await, Ok(Ok(()))) {
                return Ended::Broken;
            }
        }
    };
    let ended = tokio::select! {
        ended = read => ended,
        ended = write => ended,
    };
    session.end();
    ended
}
