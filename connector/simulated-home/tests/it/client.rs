//! A client as simple as can be, and a home that loses no time.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use macloud_simulated_home::{HomeConfig, RunningHome, SimulatedHome, Timing};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

pub(crate) const KITCHEN: &str = "up000420000001";
pub(crate) const LIVING_ROOM: &str = "up000420000002";
pub(crate) const BEDROOM: &str = "up000420000003";

/// Long enough for any machine; only a failing test waits this long.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn fast() -> HomeConfig {
    HomeConfig { timing: Timing::fast(), ..HomeConfig::default() }
}

pub(crate) async fn start(config: HomeConfig) -> RunningHome {
    SimulatedHome::start(config).await.unwrap()
}

pub(crate) async fn patiently<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("it never happened")
}

/// What a socket said last.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Heard {
    Frame(Value),
    /// With the code of the close frame, if there was one.
    Closed(Option<u16>),
}

pub(crate) struct Client {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    pub(crate) hello: Value,
    /// Events that came while waiting for an answer.
    pub(crate) events: Vec<Value>,
    next_id: u64,
}

impl Client {
    /// Connects and reads the hello.
    pub(crate) async fn connect(home: &RunningHome) -> Self {
        let (socket, _) = patiently(connect_async(home.ws_url())).await.unwrap();
        let mut client = Self { socket, hello: Value::Null, events: Vec::new(), next_id: 1 };
        let Heard::Frame(hello) = client.hear().await else { panic!("no hello") };
        client.hello = hello;
        client
    }

    /// Connects and signs in as the administrator.
    pub(crate) async fn signed_in(home: &RunningHome) -> Self {
        let mut client = Self::connect(home).await;
        let answer = client.ask("auth", json!({"token": home.token()})).await;
        assert_eq!(answer["result"]["authenticated"], true, "{answer}");
        client
    }

    pub(crate) async fn hear(&mut self) -> Heard {
        loop {
            match patiently(self.socket.next()).await {
                Some(Ok(Message::Text(text))) => return Heard::Frame(serde_json::from_str(text.as_str()).unwrap()),
                Some(Ok(Message::Close(frame))) => return Heard::Closed(frame.map(|frame| frame.code.into())),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Heard::Closed(None),
            }
        }
    }

    /// Waits for the end of the connection, passing over what still comes.
    pub(crate) async fn end(&mut self) -> Option<u16> {
        loop {
            if let Heard::Closed(code) = self.hear().await {
                return code;
            }
        }
    }

    pub(crate) async fn say(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.unwrap();
    }

    /// `false` if the connection is gone.
    pub(crate) async fn try_say(&mut self, text: &str) -> bool {
        self.socket.send(Message::text(text)).await.is_ok()
    }

    pub(crate) async fn send(&mut self, command: &str, args: Value) -> String {
        let id = self.next_id.to_string();
        self.next_id += 1;
        self.say(&json!({"message_id": id, "command": command, "args": args}).to_string()).await;
        id
    }

    /// Sends a command and waits for its (last) answer.
    pub(crate) async fn ask(&mut self, command: &str, args: Value) -> Value {
        self.frames(command, args).await.pop().unwrap()
    }

    /// Sends a command and collects all frames of its answer.
    pub(crate) async fn frames(&mut self, command: &str, args: Value) -> Vec<Value> {
        let id = self.send(command, args).await;
        let mut frames = Vec::new();
        loop {
            let Heard::Frame(frame) = self.hear().await else { panic!("closed while waiting for {command}") };
            if frame.get("event").is_some() {
                self.events.push(frame);
                continue;
            }
            assert_eq!(frame["message_id"], id);
            let partial = frame["partial"] == true;
            frames.push(frame);
            if !partial {
                return frames;
            }
        }
    }

    /// The result of a command that succeeds.
    pub(crate) async fn result(&mut self, command: &str, args: Value) -> Value {
        let answer = self.ask(command, args).await;
        assert!(answer.get("error_code").is_none(), "{command}: {answer}");
        answer["result"].clone()
    }

    /// Code and text of a command that fails.
    pub(crate) async fn failure(&mut self, command: &str, args: Value) -> (u64, String) {
        let answer = self.ask(command, args).await;
        let details = answer["details"].as_str().unwrap_or_else(|| panic!("{command}: {answer}"));
        (answer["error_code"].as_u64().unwrap(), details.to_owned())
    }

    /// The next event of a name about an object, from now on or among those already here.
    pub(crate) async fn event(&mut self, name: &str, object_id: &str) -> Value {
        let fits = |event: &Value| event["event"] == name && event["object_id"] == object_id;
        if let Some(place) = self.events.iter().position(&fits) {
            return self.events.remove(place);
        }
        loop {
            match self.hear().await {
                Heard::Frame(frame) if fits(&frame) => return frame,
                Heard::Frame(frame) => self.events.push(frame),
                Heard::Closed(code) => panic!("closed ({code:?}) while waiting for {name}"),
            }
        }
    }

    /// Waits until an event shows a player like this.
    pub(crate) async fn player_event(&mut self, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let event = self.event("player_updated", id).await;
            if wanted(&event["data"]) {
                return event["data"].clone();
            }
        }
    }
}
