//! One WebSocket: hello, signing in, commands in, answers and events out.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Map, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_util::sync::CancellationToken;

use crate::accounts::Caller;
use crate::args::Args;
use crate::home::{Client, Home, normal_close};
use crate::wire::{self, Answer, Failure, Request, code};

/// Music Assistant cuts a client for whom this many messages wait.
const QUEUED_MESSAGES: usize = 512;
/// How often the server pings.
const PING_EVERY: Duration = Duration::from_secs(25);

/// Serves a client until one side leaves or the server's current life ends.
pub(crate) async fn run<S>(home: Arc<Home>, stream: S, epoch: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let config = WebSocketConfig::default().read_buffer_size(4096).write_buffer_size(4096);
    let socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
    let (sink, source) = socket.split();
    let (sender, queue) = mpsc::channel(QUEUED_MESSAGES);
    let cut = epoch.child_token();
    let id = home.connect(Client { sender: sender.clone(), cut: cut.clone(), caller: None });
    let session = Session { home: Arc::clone(&home), id, sender, cut: cut.clone(), caller: None };
    tokio::select! {
        () = cut.cancelled() => {}
        () = async { tokio::join!(write(sink, queue, cut.clone()), session.read(source)); } => {}
    }
    home.disconnect(id);
}

/// Writes what is queued, flushing when nothing more waits. A close frame is the last thing written.
async fn write<S>(
    mut sink: SplitSink<WebSocketStream<S>, Message>,
    mut queue: mpsc::Receiver<Message>,
    cut: CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut ping = tokio::time::interval_at(tokio::time::Instant::now() + PING_EVERY, PING_EVERY);
    loop {
        let message = tokio::select! {
            message = queue.recv() => message,
            _ = ping.tick() => Some(Message::Ping(Default::default())),
        };
        let Some(message) = message else { break };
        let last = message.is_close();
        let written = if queue.is_empty() || last { sink.send(message).await } else { sink.feed(message).await };
        if written.is_err() || last {
            break;
        }
    }
    cut.cancel();
}

struct Session {
    home: Arc<Home>,
    id: u64,
    sender: mpsc::Sender<Message>,
    cut: CancellationToken,
    caller: Option<Caller>,
}

impl Session {
    async fn read<S>(mut self, mut source: SplitStream<WebSocketStream<S>>)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.send(&self.home.hello().to_string());
        if !self.home.identity.onboard_done {
            let failure = Failure::new(code::SETUP_REQUIRED, "Setup required");
            self.send(&wire::error("connection", &failure));
            self.close();
            return;
        }
        let mut stalled = self.home.stalled.subscribe();
        while let Some(Ok(message)) = source.next().await {
            // Cannot fail: the home owns the sending side.
            let _ = stalled.wait_for(|stalled| !stalled).await;
            match message {
                Message::Text(text) => self.take(text.as_str()),
                Message::Close(_) => break,
                _ => {}
            }
        }
        self.close();
    }

    fn send(&self, frame: &str) {
        if self.sender.try_send(Message::text(frame)).is_err() {
            self.cut.cancel();
        }
    }

    fn close(&self) {
        if self.sender.try_send(normal_close()).is_err() {
            self.cut.cancel();
        }
    }

    /// Anything but a request with a string `message_id` ends the connection without a word of explanation.
    fn take(&mut self, text: &str) {
        let Ok(request) = serde_json::from_str::<Request>(text) else {
            self.close();
            return;
        };
        self.home.count(&request.command);
        let no_args = Map::new();
        let args = Args::new(request.args.as_ref().unwrap_or(&no_args));
        match request.command.as_str() {
            "auth" => {
                let outcome = self.sign_in(&args);
                self.answer(&request, outcome.map(Answer::Value));
            }
            "auth/login" => {
                let device = args.optional_string("device_name");
                let signed_in = self.home.accounts().sign_in(&args, device, self.home.clock.now());
                let outcome = match signed_in {
                    Ok((token, user)) => json!({"success": true, "access_token": token, "user": user.render()}),
                    Err(failure) => json!({"success": false, "error": failure.details}),
                };
                self.answer(&request, Ok(Answer::Value(outcome)));
            }
            command => match self.caller.clone() {
                Some(caller) => self.execute(&caller, &request, command, &args),
                None => {
                    let details = "Authentication required. Please send auth command first.";
                    self.answer(&request, Err(Failure::new(code::AUTHENTICATION_REQUIRED, details)));
                }
            },
        }
    }

    /// `auth`. After a failure the socket stays open and may try again.
    fn sign_in(&mut self, args: &Args<'_>) -> Result<serde_json::Value, Failure> {
        let token = args.optional_string("token").or_else(|| args.optional_string("access_token"));
        let token = token.ok_or_else(|| Failure::new(code::AUTHENTICATION_REQUIRED, "token required in args"))?;
        let refused = self.home.faults().refuse_token;
        let caller = self.home.accounts().caller(&token, self.home.clock.now()).filter(|_| !refused);
        let caller = caller.ok_or_else(|| Failure::new(code::INVALID_TOKEN, "Invalid or expired token"))?;
        let answer = json!({"authenticated": true, "user": caller.user.render()});
        self.home.signed_in(self.id, caller.clone());
        self.caller = Some(caller);
        Ok(answer)
    }

    /// Executes now and answers when the reply is due: replies overtake each other, as a real server's do.
    fn execute(&self, caller: &Caller, request: &Request, command: &str, args: &Args<'_>) {
        let executed = self.home.execute(caller, command, args);
        let delay = self.home.faults().delay(command);
        let frames = self.frames(request, executed.outcome);
        if executed.reply_after.is_zero() && delay.is_zero() {
            self.send_all(frames);
            self.home.dispatch(executed.later);
            return;
        }
        let (home, sender, cut) = (Arc::clone(&self.home), self.sender.clone(), self.cut.clone());
        self.home.tasks.spawn(async move {
            if !sleep(executed.reply_after, &home.stop).await {
                return;
            }
            // A delay somebody asked for holds back the answer alone; otherwise the answer comes before its effects.
            if delay.is_zero() {
                send_all(&sender, &cut, frames);
                home.dispatch(executed.later);
            } else {
                home.dispatch(executed.later);
                if sleep(delay, &cut).await {
                    send_all(&sender, &cut, frames);
                }
            }
        });
    }

    fn answer(&self, request: &Request, outcome: Result<Answer, Failure>) {
        let delay = self.home.faults().delay(&request.command);
        let frames = self.frames(request, outcome);
        if delay.is_zero() {
            self.send_all(frames);
            return;
        }
        let (sender, cut) = (self.sender.clone(), self.cut.clone());
        self.home.tasks.spawn(async move {
            if sleep(delay, &cut).await {
                send_all(&sender, &cut, frames);
            }
        });
    }

    fn frames(&self, request: &Request, outcome: Result<Answer, Failure>) -> Vec<String> {
        if self.home.faults().leaves_unanswered(&request.command) {
            return Vec::new();
        }
        match outcome {
            Ok(answer) => answer.into_frames(&request.message_id),
            Err(failure) => vec![wire::error(&request.message_id, &failure)],
        }
    }

    fn send_all(&self, frames: Vec<String>) {
        send_all(&self.sender, &self.cut, frames);
    }
}

fn send_all(sender: &mpsc::Sender<Message>, cut: &CancellationToken, frames: Vec<String>) {
    for frame in frames {
        if sender.try_send(Message::text(frame)).is_err() {
            cut.cancel();
        }
    }
}

/// `false` if `end` came first.
async fn sleep(duration: Duration, end: &CancellationToken) -> bool {
    tokio::select! {
        () = tokio::time::sleep(duration) => true,
        () = end.cancelled() => false,
    }
}
