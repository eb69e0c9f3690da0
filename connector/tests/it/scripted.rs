//! A Music Assistant that does what the test says: real sockets, scripted answers, and a log of what was asked.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use macloud_connector::music_assistant::{Condition, MusicAssistant, Settings, Timing, TokenSource, token::Token};
use macloud_connector::network::Dialer;
use macloud_service_kit::clock;
use macloud_service_kit::stop::Stop;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

pub const TOKEN: &str = "scripted-token-that-must-stay-secret";

/// How a command is answered.
#[derive(Clone)]
pub enum Answer {
    Result(Value),
    Parts(Vec<Value>),
    Error(i64),
    Silence,
    Close,
}

/// What the server is at the moment; tests change it at any time.
pub struct Script {
    pub hello: Value,
    pub token: String,
    pub players: Vec<Value>,
    pub queues: Vec<Value>,
    /// Answers to commands, instead of the built-in ones.
    pub answers: HashMap<String, Answer>,
    /// Library items by list name ("tracks"), found when the search is in their name.
    pub library: HashMap<String, Vec<Value>>,
    /// All commands that were asked, `auth` without its token.
    pub log: Vec<(String, Value)>,
    pub connections: usize,
}

/// The server. Dropping it closes everything.
pub struct Scripted {
    pub script: Arc<Mutex<Script>>,
    pub url: url::Url,
    events: broadcast::Sender<String>,
    cut: broadcast::Sender<()>,
    logged: watch::Sender<usize>,
    _tasks: JoinSet<()>,
}

pub fn hello() -> Value {
    json!({"server_id": "fbbbeec178a04df7", "server_version": "2.9.13", "schema_version": 31,
        "min_supported_schema_version": 28, "onboard_done": true, "status": "running"})
}

pub fn player(id: &str, name: &str, extra: Value) -> Value {
    let mut value = json!({"player_id": id, "provider": "universal_player", "type": "player", "name": name,
        "available": true, "playback_state": "idle", "powered": true, "volume_level": 20, "volume_muted": null,
        "group_members": [], "synced_to": null, "active_source": id, "power_control": "none",
        "volume_control": "x", "mute_control": "none", "enabled": true, "hide_in_ui": false, "expose_to_ha": true,
        "device_info": {"model": "SqueezeLite", "manufacturer": "squeezeplay"}});
    merge(&mut value, extra);
    value
}

pub fn queue(id: &str, items: u64, extra: Value) -> Value {
    let mut value = json!({"queue_id": id, "active": true, "available": true, "items": items, "state": "idle",
        "current_item": null});
    merge(&mut value, extra);
    value
}

pub fn media(kind: &str, id: u32, name: &str, artist: Option<&str>) -> Value {
    let artists: Vec<Value> = artist.iter().map(|artist| json!({"name": artist})).collect();
    json!({"item_id": id.to_string(), "provider": "library", "name": name, "version": "",
        "uri": format!("library://{kind}/{id}"), "is_playable": true, "media_type": kind, "artists": artists,
        "favorite": false, "provider_mappings": [{"available": true}]})
}

fn merge(value: &mut Value, extra: Value) {
    let (Value::Object(value), Value::Object(extra)) = (value, extra) else { panic!("objects expected") };
    value.extend(extra);
}

/// Waits for tests: as long as needed on a busy machine, over as soon as it happens.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub fn quick() -> Timing {
    Timing {
        first_retry: Duration::from_millis(20),
        restart_retry: Duration::from_millis(50),
        restart_patience: Duration::from_secs(600),
        longest_retry: Duration::from_millis(100),
        starting_poll: Duration::from_millis(30),
        grace: Duration::from_millis(300),
        token_retry: Duration::from_millis(50),
        slow_retry: Duration::from_millis(150),
        reload: Duration::from_secs(900),
    }
}

impl Scripted {
    pub async fn start() -> Self {
        Self::start_with(vec![player("up1", "Kitchen", json!({}))], vec![queue("up1", 3, json!({}))]).await
    }

    pub async fn start_with(players: Vec<Value>, queues: Vec<Value>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}/ws", listener.local_addr().unwrap()).parse().unwrap();
        let script = Arc::new(Mutex::new(Script {
            hello: hello(),
            token: TOKEN.into(),
            players,
            queues,
            answers: HashMap::new(),
            library: HashMap::new(),
            log: Vec::new(),
            connections: 0,
        }));
        let (events, _) = broadcast::channel(256);
        let (cut, _) = broadcast::channel(4);
        let logged = watch::Sender::new(0);
        let mut tasks = JoinSet::new();
        let serve = {
            let (script, events, cut, logged) = (Arc::clone(&script), events.clone(), cut.clone(), logged.clone());
            async move {
                let mut connections = JoinSet::new();
                while let Ok((stream, _)) = listener.accept().await {
                    script.lock().unwrap().connections += 1;
                    let connection =
                        connection(stream, Arc::clone(&script), events.subscribe(), cut.subscribe(), logged.clone());
                    connections.spawn(connection);
                }
            }
        };
        tasks.spawn(serve);
        Self { script, url, events, cut, logged, _tasks: tasks }
    }

    pub fn edit<T>(&self, edit: impl FnOnce(&mut Script) -> T) -> T {
        edit(&mut self.script.lock().unwrap())
    }

    pub fn answer(&self, command: &str, answer: Answer) {
        self.edit(|script| script.answers.insert(command.into(), answer));
    }

    /// Change a player and tell everybody.
    pub fn update_player(&self, id: &str, extra: Value) {
        let player = self.edit(|script| {
            let player = script.players.iter_mut().find(|player| player["player_id"] == id).unwrap();
            merge(player, extra);
            player.clone()
        });
        self.event("player_updated", id, player);
    }

    pub fn event(&self, name: &str, object: &str, data: Value) {
        // Nobody may be connected.
        let _ = self.events.send(json!({"event": name, "object_id": object, "data": data}).to_string());
    }

    /// Close all connections, as a restart does.
    pub fn cut(&self) {
        let _ = self.cut.send(());
    }

    /// All calls of `command` so far.
    pub fn calls(&self, command: &str) -> Vec<Value> {
        self.edit(|script| {
            script.log.iter().filter(|(name, _)| name == command).map(|(_, args)| args.clone()).collect()
        })
    }

    /// Wait until `command` was called `count` times in all.
    pub async fn called(&self, command: &str, count: usize) {
        let mut logged = self.logged.subscribe();
        let enough = async {
            while self.calls(command).len() < count {
                logged.changed().await.unwrap();
            }
        };
        timeout(PATIENCE, enough).await.unwrap_or_else(|_| panic!("{command} was not called {count} times"));
    }

    pub fn settings(&self) -> Settings {
        Settings {
            url: self.url.clone(),
            token: TokenSource::Fixed(Token::parse(TOKEN).unwrap()),
            dialer: Dialer::new(None, true).unwrap(),
            clock: clock::system(),
            timing: quick(),
        }
    }

    /// A client that runs until the returned guard is dropped.
    pub fn client(&self) -> Client {
        self.client_with(self.settings())
    }

    pub fn client_with(&self, settings: Settings) -> Client {
        let ma = MusicAssistant::new(settings);
        let stop = Stop::new();
        let mut task = JoinSet::new();
        let (running, told) = (ma.clone(), stop.clone());
        task.spawn(async move { running.run(told).await });
        Client { ma, _task: task }
    }

    /// A client that is ready, with what is known no longer in doubt.
    pub async fn settled(&self) -> Client {
        let client = self.client();
        client.ready().await;
        self.called("player_queues/all", 2).await;
        // Answers come in order here: after this one, both lists are taken over.
        client.ma.call("info", json!({}), PATIENCE).await.unwrap();
        assert!(!client.ma.is_settling());
        client
    }
}

pub struct Client {
    pub ma: MusicAssistant,
    _task: JoinSet<()>,
}

impl Client {
    pub async fn ready(&self) {
        self.condition(Condition::is_ready).await;
    }

    pub async fn condition(&self, wanted: impl Fn(&Condition) -> bool) -> Condition {
        let mut conditions = self.ma.conditions();
        let found = timeout(PATIENCE, conditions.wait_for(|condition| wanted(condition))).await;
        found.unwrap_or_else(|_| panic!("still {:?}", self.ma.condition())).unwrap().clone()
    }
}

async fn connection(
    stream: TcpStream,
    script: Arc<Mutex<Script>>,
    mut events: broadcast::Receiver<String>,
    mut cut: broadcast::Receiver<()>,
    logged: watch::Sender<usize>,
) {
    let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else { return };
    let hello = script.lock().unwrap().hello.to_string();
    if socket.send(Message::text(hello)).await.is_err() {
        return;
    }
    let mut authenticated = false;
    loop {
        let frame = tokio::select! {
            frame = socket.next() => frame,
            Ok(event) = events.recv() => {
                if authenticated && socket.send(Message::text(event)).await.is_err() {
                    return;
                }
                continue;
            }
            _ = cut.recv() => {
                let _ = socket.close(None).await;
                return;
            }
        };
        let Some(Ok(frame)) = frame else { return };
        let Message::Text(text) = frame else { continue };
        let request: Value = serde_json::from_str(&text).unwrap();
        let (id, command) = (request["message_id"].clone(), request["command"].as_str().unwrap().to_owned());
        let mut args = request["args"].clone();
        let answer = answer(&mut script.lock().unwrap(), &command, &mut args, &mut authenticated);
        logged.send_modify(|count| *count += 1);
        let frames = match answer {
            Answer::Result(result) => vec![json!({"message_id": id, "result": result, "partial": false})],
            Answer::Parts(parts) => {
                let last = parts.len() - 1;
                let part = |(at, part)| json!({"message_id": id, "result": part, "partial": at != last});
                parts.into_iter().enumerate().map(part).collect()
            }
            Answer::Error(code) => vec![json!({"message_id": id, "error_code": code, "details": "irgendwas"})],
            Answer::Silence => vec![],
            Answer::Close => {
                let _ = socket.close(None).await;
                return;
            }
        };
        for frame in frames {
            if socket.send(Message::text(frame.to_string())).await.is_err() {
                return;
            }
        }
    }
}

fn answer(script: &mut Script, command: &str, args: &mut Value, authenticated: &mut bool) -> Answer {
    let right = args["token"] == script.token.as_str();
    if command == "auth" {
        args["token"] = "…".into();
    }
    script.log.push((command.to_owned(), args.clone()));
    if let Some(answer) = script.answers.get(command) {
        *authenticated |= command == "auth" && matches!(answer, Answer::Result(_));
        return answer.clone();
    }
    match command {
        "auth" if right => {
            *authenticated = true;
            Answer::Result(json!({"authenticated": true, "user": {"role": "user"}}))
        }
        "auth" => Answer::Error(23),
        _ if !*authenticated => Answer::Error(20),
        "players/all" => Answer::Result(script.players.clone().into()),
        "player_queues/all" => Answer::Result(script.queues.clone().into()),
        "info" => Answer::Result(script.hello.clone()),
        "music/search" => Answer::Result(json!({})),
        "music/item_by_uri" => Answer::Error(2),
        _ => match command.strip_prefix("music/").and_then(|rest| rest.strip_suffix("/library_items")) {
            Some(list) => {
                assert!(args["limit"].is_number(), "library lists must be asked for with a limit");
                let search = args["search"].as_str().unwrap_or_default().to_lowercase();
                let found = script.library.get(list).into_iter().flatten();
                let found = found.filter(|item| item["name"].as_str().unwrap().to_lowercase().contains(&search));
                Answer::Result(found.cloned().collect::<Vec<_>>().into())
            }
            // Everything else succeeds without a word, as it does there.
            None => Answer::Result(Value::Null),
        },
    }
}
