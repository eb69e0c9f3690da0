//! An account service and a relay that do what the test says, on one real socket, and the skill that seals commands.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use macloud_e2ee::event::{EventLabel, EventOpener};
use macloud_e2ee::keys::{KeySetRoot, SkillSigner};
use macloud_e2ee::skill::{Answer, ReplyOpener, Session};
use macloud_e2ee::vocabulary::{Command, News, PlayerState, Reply, Scopes};
use macloud_proto::dpop;
use macloud_proto::ids::{CommandId, InstanceId, fingerprint};
use macloud_proto::jose::Unverified;
use macloud_proto::link::frame::{self, FromConnector, FromRelay, Welcome};
use macloud_proto::link::resumption::{self, Credential};
use macloud_proto::time::Millis;
use macloud_proto::trial::Statement;
use macloud_service_kit::clock::{Clock as _, SystemClock};
use macloud_service_kit::random;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};

use crate::scripted::PATIENCE;

pub const DEVICE_CODE: &str = "device-code-that-must-stay-secret";
pub const TOKEN_PREFIX: &str = "instance-token-that-must-stay-secret";

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    Pending,
    Allow,
    Deny,
}

/// What the cloud is at the moment; tests change it at any time.
pub struct CloudScript {
    pub decision: Decision,
    pub slow_down_once: bool,
    pub other_fingerprint: bool,
    pub interval: u64,
    pub expires_in: u64,
    pub revoked: bool,
    /// The owner has paused the home on the web page.
    pub paused: bool,
    /// Seconds that the cloud's clock is ahead of the home's.
    pub ahead: i64,
    pub nonce: String,
    pub relay_nonce: String,
    /// So many times the relay wants another nonce than the one it gave last, as nodes do that do not know of each other.
    pub other_nonces: u32,
    pub tokens: u32,
    pub newest_token: String,
    /// Answer to upgrades instead of letting in: status and `Retry-After`.
    pub relay_refuses: Option<(u16, Option<u32>)>,
    /// So many upgrades with a valid token are refused all the same.
    pub relay_doubts: u32,
    /// What opens a session in place of a token, and how often such was shown.
    pub takes: Option<Credential>,
    pub tickets_shown: u32,
    pub key_set: Vec<u8>,
    pub identity: Option<[u8; 32]>,
    pub polls: u32,
    pub token_requests: u32,
    pub upgrades: u32,
    /// The home goes on on other hardware.
    pub moved: bool,
    /// So many homes took leave.
    pub left: u32,
    /// What is answered to homes that ask to be tried, one after the other; none are tried when there is nothing.
    pub trials: VecDeque<(u16, Value)>,
}

pub struct Cloud {
    pub script: Arc<Mutex<CloudScript>>,
    pub url: url::Url,
    pub signer: SkillSigner,
    root: KeySetRoot,
    sessions: tokio::sync::Mutex<mpsc::UnboundedReceiver<WebSocketStream<TcpStream>>>,
    _tasks: JoinSet<()>,
}

pub fn instance() -> InstanceId {
    InstanceId::from_bytes(&[9; 16])
}

impl Cloud {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        Self::serve(listener, url)
    }

    /// One that says everywhere that it is at `url`, and where it really is.
    pub async fn called(url: &str) -> (Self, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (Self::serve(listener, url.parse().unwrap()), address)
    }

    fn serve(listener: TcpListener, url: url::Url) -> Self {
        let (root, signer) = (KeySetRoot::from_seed(&[1; 32]), SkillSigner::from_seed(&[2; 32]));
        let script = Arc::new(Mutex::new(CloudScript {
            decision: Decision::Allow,
            slow_down_once: false,
            other_fingerprint: false,
            interval: 0,
            expires_in: 600,
            revoked: false,
            paused: false,
            ahead: 0,
            nonce: "nonce-1".into(),
            relay_nonce: "relay-nonce-1".into(),
            other_nonces: 0,
            tokens: 0,
            newest_token: String::new(),
            relay_refuses: None,
            relay_doubts: 0,
            takes: None,
            tickets_shown: 0,
            key_set: root.sign_key_set(1, &[signer.public_key(0), signer.event_key(0)]).unwrap(),
            identity: None,
            polls: 0,
            token_requests: 0,
            upgrades: 0,
            moved: false,
            left: 0,
            trials: VecDeque::new(),
        }));
        let (opened, sessions) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        let (shared, base) = (Arc::clone(&script), url.clone());
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(connection(stream, Arc::clone(&shared), base.clone(), opened.clone()));
            }
        });
        Self { script, url, signer, root, sessions: tokio::sync::Mutex::new(sessions), _tasks: tasks }
    }

    pub fn edit<T>(&self, edit: impl FnOnce(&mut CloudScript) -> T) -> T {
        edit(&mut self.script.lock().unwrap())
    }

    /// The skill gets another key, and the key set says so.
    pub fn rotate_skill_key(&mut self) {
        self.signer = SkillSigner::from_seed(&[3; 32]);
        let signed = self.root.sign_key_set(2, &[self.signer.public_key(0)]).unwrap();
        self.edit(|script| script.key_set = signed);
    }

    /// The skill signs with a key that is in no key set.
    pub fn use_unknown_skill_key(&mut self) {
        self.signer = SkillSigner::from_seed(&[77; 32]);
    }

    /// The cloud was set up anew: its keys have another root.
    pub fn replace_root(&self) {
        let (root, signer) = (KeySetRoot::from_seed(&[4; 32]), SkillSigner::from_seed(&[5; 32]));
        self.edit(|script| script.key_set = root.sign_key_set(1, &[signer.public_key(0)]).unwrap());
    }

    /// The next session that a connector opens, before its hello was read.
    pub async fn next_socket(&self) -> RelaySession {
        let socket = timeout(PATIENCE, async { self.sessions.lock().await.recv().await }).await;
        RelaySession { socket: socket.expect("nobody dialled").unwrap() }
    }

    /// The next session, welcomed.
    pub async fn next_session(&self, epoch: u64) -> RelaySession {
        let mut session = self.next_socket().await;
        let FromConnector::Hello(_) = session.receive().await else { panic!("no hello") };
        session.welcome(epoch).await;
        session
    }

    /// A session of a home whose key another installation uses as well.
    pub async fn contested_session(&self, epoch: u64) -> RelaySession {
        let mut session = self.next_socket().await;
        let FromConnector::Hello(_) = session.receive().await else { panic!("no hello") };
        session.welcome_as(epoch, true).await;
        session
    }

    /// How a player is, as the home tells it by this event.
    pub fn open(&self, event: &frame::Event) -> PlayerState {
        match self.news(event) {
            News::Player { state, .. } => state,
            other => panic!("{other:?}"),
        }
    }

    /// What the home tells by this event.
    pub fn news(&self, event: &frame::Event) -> News {
        let identity = self.edit(|script| script.identity.unwrap());
        let label = EventLabel { event_id: &event.event_id, key: &event.key };
        let now = SystemClock.unix_seconds();
        EventOpener::default().open(&self.signer, &instance(), &identity, &label, &event.sealed, now).unwrap().news
    }

    /// Set up a sealed session through `session`.
    pub async fn establish(&self, session: &mut RelaySession) -> Session {
        session.send(FromRelay::PreKeyRequest(7)).await;
        let FromConnector::PreKeyAnswer(answer) = session.receive().await else { panic!("no pre-key") };
        assert_eq!(answer.request_id, 7);
        let identity = self.edit(|script| script.identity.unwrap());
        Session::establish(&instance(), &identity, &answer.signed_pre_key, &self.signer, now(), &mut random::fill)
            .unwrap()
    }
}

pub fn now() -> Millis {
    Millis(SystemClock.monotonic_millis())
}

pub fn both() -> Scopes {
    Scopes { read: true, control: true }
}

/// A sealed command on its way.
pub struct Sent {
    pub id: CommandId,
    pub sealed: Bytes,
    opener: Option<ReplyOpener>,
}

impl Sent {
    pub fn seal(session: &Session, command: &Command, scopes: Scopes, remaining: Duration) -> Self {
        let id = CommandId::from_bytes(random::bytes());
        let (sealed, opener) = session.seal(id, command, scopes, remaining, now()).unwrap();
        Self { id, sealed: sealed.into(), opener: Some(opener) }
    }

    pub fn open(&mut self, sealed: &[u8]) -> Answer {
        self.opener.take().unwrap().open(sealed, now()).unwrap()
    }

    pub fn reply(&mut self, sealed: &[u8]) -> Reply {
        match self.open(sealed) {
            Answer::Reply(reply) => reply,
            Answer::SetUpAgain { .. } => panic!("set up again"),
            Answer::KeyUnknown => panic!("the key is not known"),
        }
    }
}

/// The relay's end of one session.
pub struct RelaySession {
    socket: WebSocketStream<TcpStream>,
}

impl RelaySession {
    pub async fn welcome(&mut self, epoch: u64) {
        self.welcome_as(epoch, false).await;
    }

    pub async fn welcome_as(&mut self, epoch: u64, contested: bool) {
        self.welcome_with(epoch, contested, None).await;
    }

    pub async fn welcome_with(&mut self, epoch: u64, contested: bool, resumption: Option<Credential>) {
        let welcome = Welcome {
            version: 1,
            session_epoch: epoch,
            ping_interval: Duration::from_secs(25),
            reconnect_window: Duration::from_millis(20),
            dpop_nonce: String::new(),
            node_id: "node-a".into(),
            contested,
            paused: false,
            events: true,
            resumption,
        };
        self.send(FromRelay::Welcome(welcome)).await;
    }

    pub async fn send(&mut self, frame: FromRelay) {
        self.socket.send(Message::Binary(frame.encode())).await.unwrap();
    }

    pub async fn command(&mut self, sent: &Sent) {
        let command = frame::Command {
            command_id: sent.id,
            remaining: Duration::from_secs(5),
            sealed: sent.sealed.clone(),
            traceparent: String::new(),
        };
        self.send(FromRelay::Command(command)).await;
    }

    /// The next frame, which is an event.
    pub async fn event(&mut self) -> frame::Event {
        match self.receive().await {
            FromConnector::Event(event) => event,
            other => panic!("{other:?} instead of an event"),
        }
    }

    /// The next frame, or `None` at the end. Credit is skipped.
    pub async fn next(&mut self) -> Option<FromConnector> {
        self.next_within(PATIENCE).await
    }

    /// The same of a frame that is a while in coming.
    pub async fn next_within(&mut self, patience: Duration) -> Option<FromConnector> {
        loop {
            let message = timeout(patience, self.socket.next()).await.expect("no frame came");
            match message {
                Some(Ok(Message::Binary(bytes))) => match FromConnector::decode(bytes).unwrap() {
                    FromConnector::Credit(_) => {}
                    frame => return Some(frame),
                },
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => {}
            }
        }
    }

    pub async fn receive(&mut self) -> FromConnector {
        self.next().await.expect("the session ended")
    }

    pub async fn received(&mut self, id: CommandId) {
        assert_eq!(self.receive().await, FromConnector::Received(id));
    }

    pub async fn reply_to(&mut self, id: CommandId) -> Bytes {
        match self.receive().await {
            FromConnector::Reply(reply) if reply.command_id == id => reply.sealed,
            other => panic!("{other:?}"),
        }
    }

    /// Send, and wait for the confirmation and the reply.
    pub async fn ask(&mut self, sent: &mut Sent) -> Reply {
        self.command(sent).await;
        self.received(sent.id).await;
        let sealed = self.reply_to(sent.id).await;
        sent.reply(&sealed)
    }
}

async fn connection(
    mut stream: TcpStream,
    script: Arc<Mutex<CloudScript>>,
    base: url::Url,
    opened: mpsc::UnboundedSender<WebSocketStream<TcpStream>>,
) {
    let mut seen = [0; 16];
    while stream.peek(&mut seen).await.is_ok_and(|count| count < seen.len()) {
        tokio::task::yield_now().await;
    }
    if seen.starts_with(b"GET /relay") {
        #[expect(clippy::result_large_err, reason = "the WebSocket library's signature")]
        let callback = |request: &Request, response: Response| admit(&script, &base, request, response);
        if let Ok(socket) = tokio_tungstenite::accept_hdr_async(stream, callback).await {
            let _ = opened.send(socket);
        }
        return;
    }
    let Some((head, body)) = read_request(&mut stream).await else { return };
    let answer = respond(&mut script.lock().unwrap(), &base, &head, &body);
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}

pub async fn read_request(stream: &mut TcpStream) -> Option<(String, String)> {
    let mut bytes = Vec::new();
    loop {
        let mut part = [0; 4096];
        let count = stream.read(&mut part).await.ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&part[..count]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = header(head, "content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        if body.len() >= length {
            return Some((head.to_owned(), body.to_owned()));
        }
    }
}

pub fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}

fn respond(script: &mut CloudScript, base: &url::Url, head: &str, body: &str) -> String {
    let path = head.split(' ').nth(1).unwrap_or_default();
    let form: HashMap<String, String> = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let (status, value, nonce) = match path {
        "/.well-known/openid-configuration" => (
            200,
            json!({"issuer": base.as_str().trim_end_matches('/'), "token_endpoint": base.join("oauth/token").unwrap().as_str(),
                "device_authorization_endpoint": base.join("oauth/device_authorization").unwrap().as_str(),
                "leave_endpoint": base.join("oauth/leave").unwrap().as_str(),
                "trial_endpoint": base.join("alexa/v1/trial").unwrap().as_str()}),
            None,
        ),
        "/oauth/device_authorization" => device_authorization(script, base, &form),
        "/oauth/token" => token(script, base, head, &form),
        "/oauth/leave" => leave(script, base, head, &form),
        "/alexa/v1/trial" => trial(script, body),
        _ => (404, json!({}), None),
    };
    let date = http_date(SystemClock.unix_seconds().saturating_add_signed(script.ahead));
    let nonce = nonce.map_or_else(String::new, |nonce| format!("DPoP-Nonce: {nonce}\r\n"));
    let wait = if status == 429 { "Retry-After: 0\r\n" } else { "" };
    let body = value.to_string();
    format!(
        "HTTP/1.1 {status} X\r\nDate: {date}\r\n{nonce}{wait}Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

type Answered = (u16, Value, Option<String>);

fn error(status: u16, code: &str) -> Answered {
    (status, json!({"error": code, "error_description": "a text that is for developers"}), None)
}

fn device_authorization(script: &mut CloudScript, base: &url::Url, form: &HashMap<String, String>) -> Answered {
    let key: [u8; 32] = URL_SAFE_NO_PAD.decode(&form["instance_key"]).unwrap().try_into().unwrap();
    let proof = Unverified::parse(&form["instance_proof"]).unwrap();
    assert_eq!(proof.header().typ.as_deref(), Some("macloud-pair+jwt"));
    let claims: Value = proof.verify(&key).unwrap();
    assert_eq!(claims["aud"], base.as_str().trim_end_matches('/'));
    assert_eq!((form["client_id"].as_str(), form["scope"].as_str()), ("ma-connector", "pair"));
    script.identity = Some(key);
    let shown = if script.other_fingerprint { fingerprint(&[0; 32]) } else { fingerprint(&key) };
    let answer = json!({"device_code": DEVICE_CODE, "user_code": "WDJB-MJHT", "verification_uri": base.join("pair").unwrap().as_str(),
        "verification_uri_complete": base.join("pair?user_code=WDJB-MJHT").unwrap().as_str(),
        "expires_in": script.expires_in, "interval": script.interval, "fingerprint": shown});
    (200, answer, None)
}

/// The key that a request to this path proves to have, or the answer that asks for another proof.
fn proved(script: &CloudScript, base: &url::Url, head: &str, path: &str) -> Result<[u8; 32], Answered> {
    let url = base.join(path).unwrap();
    let request = dpop::Request { method: "POST", url: url.as_str(), access_token: None };
    let nonce = script.nonce.clone();
    let proof = match dpop::verify(header(head, "dpop").unwrap(), request, |given| given == nonce) {
        Ok(proof) => proof,
        Err(dpop::DpopError::Nonce) => {
            let (status, value, _) = error(400, "use_dpop_nonce");
            return Err((status, value, Some(nonce)));
        }
        Err(other) => panic!("{other}"),
    };
    assert_eq!(Some(proof.key), script.identity);
    Ok(proof.key)
}

/// Whether the home is let in with its assertion, or the answer that refuses it.
fn authenticated(script: &CloudScript, key: &[u8; 32], form: &HashMap<String, String>) -> Result<(), Answered> {
    let assertion = Unverified::parse(&form["client_assertion"]).unwrap();
    let claims: Value = assertion.verify(key).unwrap();
    assert_eq!((&claims["iss"], &claims["sub"]), (&json!(instance()), &json!(instance())));
    assert!(claims["exp"].as_u64().unwrap() <= claims["iat"].as_u64().unwrap() + 300);
    let now = SystemClock.unix_seconds().saturating_add_signed(script.ahead);
    let fresh = claims["iat"].as_u64().unwrap().abs_diff(now) < 60;
    if script.moved {
        return Err((401, json!({"error": "invalid_client", "home": "moved"}), None));
    }
    if script.revoked || !fresh { Err(error(401, "invalid_client")) } else { Ok(()) }
}

fn leave(script: &mut CloudScript, base: &url::Url, head: &str, form: &HashMap<String, String>) -> Answered {
    let home = proved(script, base, head, "oauth/leave").and_then(|key| authenticated(script, &key, form));
    if let Err(refusal) = home {
        return refusal;
    }
    script.left += 1;
    script.revoked = true;
    (200, json!({"left": true}), None)
}

fn trial(script: &mut CloudScript, body: &str) -> Answered {
    let now = SystemClock.unix_seconds().saturating_add_signed(script.ahead);
    let home = Statement::parse(body, now).and_then(|statement| statement.verify(&script.identity.unwrap()));
    match home {
        Ok(home) => assert_eq!(home, instance()),
        Err(_) => return error(401, "refused"),
    }
    let (status, answer) = script.trials.pop_front().unwrap_or((404, json!({})));
    (status, answer, None)
}

fn token(script: &mut CloudScript, base: &url::Url, head: &str, form: &HashMap<String, String>) -> Answered {
    script.token_requests += 1;
    let key = match proved(script, base, head, "oauth/token") {
        Ok(key) => key,
        Err(refusal) => return refusal,
    };
    if form["grant_type"] == "client_credentials" {
        if let Err(refusal) = authenticated(script, &key, form) {
            return refusal;
        }
    } else {
        script.polls += 1;
        assert_eq!(form["device_code"], DEVICE_CODE);
        if std::mem::take(&mut script.slow_down_once) {
            return error(400, "slow_down");
        }
        match script.decision {
            Decision::Pending => return error(400, "authorization_pending"),
            Decision::Deny => return error(400, "access_denied"),
            Decision::Allow => {}
        }
    }
    script.tokens += 1;
    script.newest_token = format!("{TOKEN_PREFIX}-{}", script.tokens);
    let relay = base.join("relay/v1/connect").unwrap().as_str().replacen("http", "ws", 1);
    let answer = json!({"access_token": script.newest_token, "token_type": "DPoP", "expires_in": 900, "scope": "relay",
        "instance_id": instance(), "home_name": "Test home", "relay_url": relay, "paused": script.paused,
        "skill_key_set": URL_SAFE_NO_PAD.encode(&script.key_set)});
    (200, answer, None)
}

#[expect(clippy::result_large_err, reason = "the WebSocket library's signature")]
fn admit(
    script: &Mutex<CloudScript>,
    base: &url::Url,
    request: &Request,
    mut response: Response,
) -> Result<Response, ErrorResponse> {
    let mut script = script.lock().unwrap();
    script.upgrades += 1;
    let refuse = |status: u16, headers: &[(&'static str, String)]| {
        let mut refusal = ErrorResponse::new(None);
        *refusal.status_mut() = status.try_into().unwrap();
        for (name, value) in headers {
            refusal.headers_mut().insert(*name, value.parse().unwrap());
        }
        Err(refusal)
    };
    if let Some((status, after)) = script.relay_refuses {
        let after: Vec<_> = after.map(|after| ("retry-after", after.to_string())).into_iter().collect();
        return refuse(status, &after);
    }
    let text = |name| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    assert_eq!(text("sec-websocket-protocol"), "macloud.link.v1");
    let url = base.join("relay/v1/connect").unwrap();
    if let Some(ticket) = resumption::ticket(text("authorization")) {
        script.tickets_shown += 1;
        let proof = resumption::Proof::parse(text(resumption::PROOF_HEADER)).unwrap();
        let taken = script.takes.as_ref().filter(|credential| credential.ticket == ticket);
        if !taken.is_some_and(|credential| credential.verifies(&proof, url.as_str())) {
            return refuse(401, &[("www-authenticate", "DPoP error=\"invalid_token\"".into())]);
        }
        assert_eq!(proof.nonce, script.relay_nonce);
        response.headers_mut().insert("sec-websocket-protocol", "macloud.link.v1".parse().unwrap());
        return Ok(response);
    }
    let token = text("authorization").strip_prefix("DPoP ").unwrap();
    if script.other_nonces > 0 {
        script.other_nonces -= 1;
        script.relay_nonce = format!("relay-nonce-of-another-{}", script.other_nonces);
    }
    let proved = dpop::Request { method: "GET", url: url.as_str(), access_token: Some(token) };
    match dpop::verify(text("dpop"), proved, |nonce| nonce == script.relay_nonce) {
        Err(dpop::DpopError::Nonce) => {
            let wants = [
                ("www-authenticate", "DPoP error=\"use_dpop_nonce\"".into()),
                ("dpop-nonce", script.relay_nonce.clone()),
            ];
            return refuse(401, &wants);
        }
        other => assert_eq!(Some(other.unwrap().key), script.identity),
    }
    let doubted = script.relay_doubts > 0;
    script.relay_doubts -= u32::from(doubted);
    if token != script.newest_token || script.revoked || doubted {
        return refuse(401, &[("www-authenticate", "DPoP error=\"invalid_token\"".into())]);
    }
    response.headers_mut().insert("sec-websocket-protocol", "macloud.link.v1".parse().unwrap());
    Ok(response)
}

pub fn http_date(seconds: u64) -> String {
    let format = time::macros::format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    time::OffsetDateTime::from_unix_timestamp(seconds as i64).unwrap().format(&format).unwrap()
}
