//! The page as a browser meets it: the first run from end to end, every form, and those whom it does not listen to.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use macloud_connector::ConnectorOptions;
use macloud_connector::music_assistant::sign_in::{SignInError, TOKEN_NAME, check, look, sign_in};
use macloud_connector::music_assistant::token::Token;
use macloud_connector::network::Dialer;
use macloud_connector::network::request::{HttpRequest, Limits};
use macloud_connector::page::{Page, PageError, PageSettings};
use macloud_connector::state::StateDir;
use macloud_e2ee::vocabulary::{Action, Command, MediaQuery, Placement, Reply, Target, Transport};
use macloud_service_kit::stop::Stop;
use macloud_simulated_home::{HomeConfig, RunningHome, SimulatedHome, Timing};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use zeroize::Zeroizing;

use crate::chain::Home;
use crate::cloud::{Cloud, DEVICE_CODE, Decision, Sent, TOKEN_PREFIX, both};
use crate::scripted::{PATIENCE, player};

const PASSWORD: &str = "simulated-home";
const AMPLE: Duration = Duration::from_secs(8);

/// A page that is served, and what it answers.
struct Served {
    address: SocketAddr,
    stop: Stop,
    task: JoinSet<Result<(), PageError>>,
}

/// An answer.
#[derive(Debug)]
struct Got {
    status: u16,
    head: String,
    body: String,
}

impl Got {
    fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    fn form_token(&self) -> &str {
        let (_, rest) = self.body.split_once("name=\"form_token\" value=\"").expect("a form");
        rest.split('"').next().unwrap()
    }
}

fn at(address: SocketAddr) -> PageSettings {
    PageSettings { address, hosts: Vec::new(), ingress: None, cloud: None }
}

fn any_port() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

impl Served {
    async fn start(options: ConnectorOptions) -> Self {
        Self::start_with(options, at(any_port())).await
    }

    async fn start_with(options: ConnectorOptions, settings: PageSettings) -> Self {
        let page = Page::open(options, settings, Arc::new(|_| {})).await.unwrap();
        let (address, stop) = (page.address().unwrap(), Stop::new());
        let mut task = JoinSet::new();
        task.spawn(page.run(stop.clone()));
        Self { address, stop, task }
    }

    async fn stop(mut self) {
        self.stop.stop_soft();
        timeout(PATIENCE, self.task.join_next()).await.expect("it did not stop").unwrap().unwrap().unwrap();
    }

    async fn send(&self, request: &str) -> Got {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("no answer").unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").expect(&text);
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Got { status, head: head.to_owned(), body: body.to_owned() }
    }

    async fn get_with(&self, path: &str, headers: &str) -> Got {
        self.send(&format!("GET {path} HTTP/1.1\r\nConnection: close\r\n{headers}\r\n")).await
    }

    async fn get(&self, path: &str) -> Got {
        self.get_with(path, &format!("Host: {}\r\n", self.address)).await
    }

    async fn post_with(&self, path: &str, headers: &str, body: &str) -> Got {
        let kind = "Content-Type: application/x-www-form-urlencoded";
        let length = body.len();
        let head = format!("POST {path} HTTP/1.1\r\nConnection: close\r\n{kind}\r\nContent-Length: {length}\r\n");
        self.send(&format!("{head}{headers}\r\n{body}")).await
    }

    /// Fill in a form as a browser does, with the token that is on a page.
    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Got {
        let token = self.get("/sign-in").await.form_token().to_owned();
        let fields = fields.iter().copied().chain([("form_token", token.as_str())]);
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let host = self.address;
        let own = format!("Host: {host}\r\nOrigin: http://{host}\r\nSec-Fetch-Site: same-origin\r\n");
        self.post_with(path, &own, &body).await
    }

    async fn done(&self, path: &str, fields: &[(&str, &str)]) {
        let got = self.post(path, fields).await;
        assert_eq!(got.status, 303, "{}", got.body);
    }

    /// The page at `path`, once it says this.
    async fn until(&self, path: &str, said: &str) -> Got {
        let there = async {
            loop {
                let got = self.get(path).await;
                if got.body.contains(said) {
                    return got;
                }
                sleep(Duration::from_millis(20)).await;
            }
        };
        match timeout(PATIENCE, there).await {
            Ok(got) => got,
            Err(_) => panic!("{path} never says {said}: {}", self.get(path).await.body),
        }
    }
}

async fn simulated() -> RunningHome {
    SimulatedHome::start(HomeConfig { timing: Timing::fast(), ..HomeConfig::default() }).await.unwrap()
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn secret(text: &str) -> Zeroizing<String> {
    Zeroizing::new(text.to_owned())
}

#[tokio::test]
async fn a_password_becomes_a_token_of_the_connectors_own_and_nothing_else_is_left() {
    let (home, dialer) = (simulated().await, Dialer::new(None, true).unwrap());
    let url = home.ws_url().parse().unwrap();
    assert!(look(&url, &dialer).await.unwrap().set_up);
    let wrong = sign_in(&url, &dialer, "admin", secret("guessed")).await;
    assert_eq!(wrong, Err(SignInError::WrongPassword));
    let token = sign_in(&url, &dialer, "admin", secret(PASSWORD)).await.unwrap();
    assert_eq!(check(&url, &dialer, &token).await, Ok(()));
    assert!(token.ends_at().is_some());
    assert_eq!(check(&url, &dialer, &Token::parse("made-up").unwrap()).await, Err(SignInError::WrongToken));
    let api = format!("{}/api", home.http_url()).parse().unwrap();
    let question = json!({"command": "auth/tokens", "args": {}}).to_string();
    let question = HttpRequest::post(&api, "application/json", question)
        .with(http::header::AUTHORIZATION, format!("Bearer {}", home.token()));
    let listed = dialer.ask(question, Limits { time: PATIENCE, bytes: 64 << 10 }).await.unwrap();
    let listed: serde_json::Value = serde_json::from_slice(listed.body()).unwrap();
    let mut names: Vec<&str> = listed.as_array().unwrap().iter().filter_map(|one| one["name"].as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, [TOKEN_NAME, "simulated home"], "the session is given back: {listed}");
}

#[tokio::test]
async fn who_cannot_be_signed_in_to_is_named_as_such() {
    let dialer = Dialer::new(None, true).unwrap();
    for (config, error) in [
        (HomeConfig { onboard_done: false, ..HomeConfig::default() }, SignInError::SetUpNeeded),
        (HomeConfig { schema_version: 27, ..HomeConfig::default() }, SignInError::TooOld { schema: 27 }),
    ] {
        let home = SimulatedHome::start(config).await.unwrap();
        let url = home.ws_url().parse().unwrap();
        assert_eq!(sign_in(&url, &dialer, "admin", secret(PASSWORD)).await, Err(error));
    }
    let cloud = Cloud::start().await;
    let elsewhere = cloud.url.as_str().replacen("http", "ws", 1).parse().unwrap();
    assert_eq!(look(&elsewhere, &dialer).await, Err(SignInError::NotMusicAssistant));
    let nobody = "ws://127.0.0.1:9/ws".parse().unwrap();
    assert!(matches!(look(&nobody, &dialer).await, Err(SignInError::Unreachable(_))));
}

#[tokio::test]
async fn the_first_run_needs_no_terminal() {
    let (ma, mut home) = (simulated().await, Home::unpaired().await);
    home.state_dir = home.state_dir.join("made by the page");
    home.cloud.edit(|script| (script.decision, script.interval) = (Decision::Pending, 1));
    let page = Served::start(home.options()).await;
    let first = page.get("/").await;
    assert!(first.status == 200 && first.body.contains("Find Music Assistant"), "{}", first.body);
    assert!(first.body.contains("aria-current=\"step\""), "{}", first.body);

    let wrong = page.post("/music-assistant", &[("url", home.cloud.url.as_str())]).await;
    assert_eq!(wrong.status, 422);
    assert!(wrong.body.contains("not Music Assistant"), "{}", wrong.body);
    page.done("/music-assistant", &[("url", &ma.http_url())]).await;

    page.until("/", "Sign in to Music Assistant").await;
    let wrong = page.post("/sign-in", &[("username", "admin"), ("password", "guessed wrong")]).await;
    assert_eq!(wrong.status, 422);
    assert!(wrong.body.contains("does not know this name") && wrong.body.contains("value=\"admin\""), "{}", wrong.body);
    assert!(!wrong.body.contains("guessed wrong"));
    page.done("/sign-in", &[("username", "admin"), ("password", PASSWORD)]).await;
    let state = StateDir::existing(&home.state_dir).unwrap();
    assert_eq!(mode(&state.token_file()), 0o600);
    let token = std::fs::read_to_string(state.token_file()).unwrap();

    let third = page.until("/", "Connect to the cloud").await;
    assert!(!third.body.contains(&token));
    let wrong = page.post("/pair", &[("cloud", "http://cloud.example")]).await;
    assert!(wrong.status == 422 && wrong.body.contains("not encrypted"), "{}", wrong.body);
    page.done("/pair", &[("cloud", home.cloud.url.as_str()), ("name", "Ferienhaus")]).await;
    let code = page.until("/", "WDJB-MJHT").await;
    let key = state.public_identity().unwrap().unwrap();
    assert!(code.body.contains(&macloud_proto::ids::fingerprint(&key)), "{}", code.body);
    assert!(code.body.contains("<path fill=\"#000\"") && code.body.contains("data-refresh=\"3\""), "{}", code.body);
    assert!(!code.body.contains(DEVICE_CODE));
    page.done("/pair-cancel", &[]).await;
    page.until("/", "Get a code").await;
    page.done("/pair", &[("cloud", home.cloud.url.as_str())]).await;
    page.until("/pair", "WDJB-MJHT").await;
    home.cloud.edit(|script| script.decision = Decision::Allow);

    let _relay = home.cloud.next_session(1).await;
    assert_eq!(page.get("/pair").await.header("location"), Some("./done"));
    let done = page.until("/done", "All is connected.").await;
    assert!(done.body.contains("<li>Kitchen</li>"), "{}", done.body);
    let status = page.until("/", "This home").await;
    for text in [&done.body, &status.body] {
        for secret in [token.as_str(), TOKEN_PREFIX, DEVICE_CODE, PASSWORD] {
            assert!(!text.contains(secret), "{secret}");
        }
    }
    page.stop().await;
    std::fs::remove_dir_all(home.state_dir.parent().unwrap()).unwrap();
}

#[tokio::test]
async fn a_home_that_was_paired_at_a_terminal_meanwhile_is_connected() {
    let home = Home::unpaired().await;
    let page = Served::start(home.options()).await;
    assert_eq!(page.get("/").await.status, 200);
    home.pair().await.unwrap();
    let _relay = home.cloud.next_session(1).await;
    page.until("/", "Test home").await;
    page.stop().await;
}

#[tokio::test]
async fn a_refused_pairing_is_said_and_can_be_tried_again() {
    let home = Home::unpaired().await;
    let page = Served::start(home.options()).await;
    home.cloud.edit(|script| script.decision = Decision::Deny);
    page.done("/pair", &[("cloud", home.cloud.url.as_str())]).await;
    let failed = page.until("/pair", "pairing was refused").await;
    assert!(failed.body.contains("Get a code"), "{}", failed.body);
    page.stop().await;
}

#[tokio::test]
async fn what_is_filled_in_is_obeyed() {
    let home = Home::paired().await;
    home.ma.edit(|script| script.players.push(player("up2", "Bath <b>", json!({}))));
    let page = Served::start(home.options()).await;
    let mut relay = home.cloud.next_session(1).await;
    let status = page.until("/", "Bath &#60;b&#62;").await;
    assert!(!status.body.contains("Bath <b>"), "names are text");
    for said in ["Test home", "Kitchen", "Quiet hours", "data-live"] {
        assert!(status.body.contains(said), "{said}: {}", status.body);
    }
    let session = home.cloud.establish(&mut relay).await;
    let state = StateDir::existing(&home.state_dir).unwrap();

    page.done("/player", &[("id", "up2"), ("alias", ""), ("max_volume", "")]).await;
    page.done("/player", &[("id", "up1"), ("exposed", "on"), ("alias", "Cooking place"), ("max_volume", "60")]).await;
    let rules = serde_json::to_value(state.rules().unwrap()).unwrap();
    let kitchen = json!({"name": "Kitchen", "alias": "Cooking place", "max_volume": 60});
    assert_eq!(rules["players"], json!({"up1": kitchen, "up2": {"name": "Bath <b>", "hidden": true}}));
    let reply = relay.ask(&mut Sent::seal(&session, &Command::ListPlayers, both(), AMPLE)).await;
    let Reply::Players { players, .. } = reply else { panic!("{reply:?}") };
    assert_eq!(players.iter().map(|player| player.name.as_str()).collect::<Vec<_>>(), ["Cooking place"]);
    for name in ["cooking place", "kitchen"] {
        let action = Action::Transport(Transport::Pause);
        let pause = Command::OnPlayer { target: Target::Named(name.into()), action, device: None };
        let reply = relay.ask(&mut Sent::seal(&session, &pause, both(), AMPLE)).await;
        assert!(matches!(&reply, Reply::Done { player, .. } if player.name == "Cooking place"), "{reply:?}");
    }
    let media = MediaQuery { text: "an embarrassing song".into(), artist: None, kind: None, sure: false };
    let action = Action::Play { media, placement: Placement::Replace };
    let play = Command::OnPlayer { target: Target::Named("kitchen".into()), action, device: None };
    relay.ask(&mut Sent::seal(&session, &play, both(), AMPLE)).await;
    let recent = page.get("/").await.body;
    assert!(recent.contains("<strong>Pause</strong> · Cooking place"), "{recent}");
    assert!(recent.contains("not found") && !recent.contains("embarrassing"), "{recent}");

    page.done("/quiet", &[("from", "22:00"), ("to", "07:00")]).await;
    assert!(state.rules().unwrap().quiet_hours.is_some());
    page.done("/quiet", &[("from", "22:00"), ("to", "07:00"), ("off", "off")]).await;
    assert!(state.rules().unwrap().quiet_hours.is_none());
    page.done("/tell", &[("on", "on")]).await;
    assert!(state.rules().unwrap().tell_changes);
    page.done("/tell", &[]).await;
    assert!(!state.rules().unwrap().tell_changes);
    page.done("/stop", &[("on", "on")]).await;
    assert!(state.is_stopped() && page.get("/").await.body.contains("Carry out commands again"));
    let reply = relay.ask(&mut Sent::seal(&session, &Command::ListPlayers, both(), AMPLE)).await;
    assert!(matches!(reply, Reply::Refused(_)), "{reply:?}");
    page.done("/stop", &[]).await;
    assert!(!state.is_stopped());
    page.done("/doctor", &[]).await;
    let report = page.until("/doctor", "<textarea").await;
    assert!(report.body.contains("pairing: Paired") && report.body.contains("data-copy"), "{}", report.body);
    page.stop().await;
}

#[tokio::test]
async fn what_is_filled_in_wrongly_changes_nothing() {
    let home = Home::paired().await;
    home.ma.edit(|script| script.players.push(player("up2", "Bathroom", json!({}))));
    let page = Served::start(home.options()).await;
    let _relay = home.cloud.next_session(1).await;
    page.until("/", "Kitchen").await;
    for (path, fields) in [
        ("/player", &[("id", "up1"), ("exposed", "on"), ("max_volume", "101")][..]),
        ("/player", &[("id", "up1"), ("exposed", "on"), ("alias", "!!")]),
        ("/player", &[("id", "up1"), ("exposed", "on"), ("alias", "bath room")]),
        ("/player", &[("id", "no such player")]),
        ("/quiet", &[("from", "25:00"), ("to", "07:00")]),
        ("/quiet", &[("from", "22:00")]),
        ("/sign-in", &[("username", "admin")]),
        ("/token", &[("token", " ")]),
        ("/music-assistant", &[("url", "ftp://nowhere")]),
        ("/pair", &[("cloud", "not an address")]),
    ] {
        let got = page.post(path, fields).await;
        assert_eq!(got.status, 422, "{path} {fields:?}: {}", got.body);
        assert!(got.body.contains("role=\"alert\""), "{path}");
    }
    let rules = StateDir::existing(&home.state_dir).unwrap().rules().unwrap();
    assert_eq!(rules, macloud_connector::rules::Rules::default());
    let taken = page.post("/player", &[("id", "up1"), ("exposed", "on"), ("alias", "bath room")]).await.body;
    assert!(taken.contains("is called “bath room” already: Bathroom"), "{taken}");
    assert_eq!(page.post("/nothing", &[]).await.status, 404);
    assert_eq!(page.get("/nothing").await.status, 404);
    page.stop().await;
}

#[tokio::test]
async fn a_player_whose_name_cannot_be_said_is_shown_as_such_until_it_is_called_something() {
    let home = Home::paired().await;
    home.ma.edit(|script| script.players.push(player("up2", "***", json!({}))));
    let page = Served::start(home.options()).await;
    let _relay = home.cloud.next_session(1).await;
    page.until("/", "name cannot be said").await;
    page.done("/player", &[("id", "up2"), ("exposed", "on"), ("alias", "Stars")]).await;
    assert!(!page.get("/").await.body.contains("name cannot be said"));
    page.stop().await;
}

#[tokio::test]
async fn a_new_token_and_a_new_pairing_need_no_restart() {
    let home = Home::paired().await;
    let page = Served::start(home.options()).await;
    let _relay = home.cloud.next_session(1).await;
    page.until("/", "Players that Alexa may use: 1").await;
    home.ma.edit(|script| script.token = "renewed".into());
    home.ma.cut();
    page.until("/", "/sign-in\">Sign in again").await;
    page.done("/token", &[("token", "renewed")]).await;
    page.until("/", "Players that Alexa may use: 1").await;
    page.done("/pair", &[("cloud", home.cloud.url.as_str())]).await;
    let _relay = home.cloud.next_session(1).await;
    page.until("/done", "All is connected.").await;
    page.stop().await;
}

#[tokio::test]
async fn other_pages_and_strangers_are_not_listened_to() {
    let home = Home::paired().await;
    let page = Served::start(home.options()).await;
    let _relay = home.cloud.next_session(1).await;
    let token = page.until("/", "Kitchen").await.form_token().to_owned();
    let own = format!("Host: {}\r\n", page.address);
    let rebound = page.get_with("/", "Host: evil.example\r\n").await;
    assert_eq!(rebound.status, 421);
    assert!(!rebound.body.contains("Kitchen"));
    let stop = format!("on=on&form_token={token}");
    for (headers, body, status) in [
        (own.clone(), "on=on", 403),
        (own.clone(), "on=on&form_token=guessed", 403),
        (format!("{own}Origin: http://evil.example\r\n"), stop.as_str(), 403),
        (format!("{own}Origin: null\r\n"), stop.as_str(), 403),
        (format!("{own}Sec-Fetch-Site: cross-site\r\n"), stop.as_str(), 403),
        ("Host: evil.example\r\n".into(), stop.as_str(), 421),
        (own.clone(), "on=on&on=off", 400),
    ] {
        let got = page.post_with("/stop", &headers, body).await;
        assert_eq!(got.status, status, "{headers} {body}");
    }
    let head = format!("POST /stop HTTP/1.1\r\nConnection: close\r\n{own}");
    let long = "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 16385\r\n\r\n";
    assert_eq!(page.send(&format!("{head}{long}")).await.status, 413);
    let chunk = format!("4001\r\n{}\r\n0\r\n\r\n", "a".repeat(0x4001));
    let chunked = "Content-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(page.send(&format!("{head}{chunked}{chunk}")).await.status, 413);
    let json = "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
    assert_eq!(page.send(&format!("{head}{json}")).await.status, 415);
    assert_eq!(page.send(&format!("PUT / HTTP/1.1\r\nConnection: close\r\n{own}\r\n")).await.status, 405);
    assert!(!StateDir::existing(&home.state_dir).unwrap().is_stopped());

    let good = page.get("/").await;
    let policy = good.header("content-security-policy").unwrap();
    for rule in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"] {
        assert!(policy.contains(rule), "{policy}");
    }
    assert!(!good.body.contains("<script>") && !good.body.contains("style=\""), "{}", good.body);
    assert_eq!((good.header("x-frame-options"), good.header("cache-control")), (Some("DENY"), Some("no-store")));
    page.stop().await;
}

#[tokio::test]
async fn behind_ingress_it_is_for_its_peer_and_leads_nowhere_else() {
    let home = Home::unpaired().await;
    let here: IpAddr = [127, 0, 0, 1].into();
    let served = |ingress| PageSettings { ingress: Some(ingress), ..at(any_port()) };
    let page = Served::start_with(home.options(), served(here)).await;
    let headers = "Host: homeassistant.local:8123\r\nX-Ingress-Path: /api/hassio_ingress/8Zk-x_1\r\n";
    let got = page.get_with("/", headers).await;
    assert_eq!((got.status, got.header("x-frame-options")), (200, Some("SAMEORIGIN")));
    assert!(got.header("content-security-policy").unwrap().contains("frame-ancestors 'self'"));
    let places = ["href=\"", "action=\"", "src=\""];
    for link in places.iter().flat_map(|place| got.body.split(place).skip(1)) {
        assert!(link.starts_with("./") || link.starts_with('#'), "{link}");
    }
    let body = format!("form_token={}", got.form_token());
    let searched = page.post_with("/search", headers, &body).await;
    assert_eq!((searched.status, searched.header("location")), (303, Some("./music-assistant")));
    page.stop().await;

    let page = Served::start_with(home.options(), served([172, 30, 32, 2].into())).await;
    let foreign = page.get_with("/", headers).await;
    assert!(foreign.status == 403 && !foreign.body.contains("form"), "{}", foreign.body);
    page.stop().await;

    let open = Page::open(home.options(), at(([0, 0, 0, 0], 0).into()), Arc::new(|_| {})).await;
    assert!(matches!(open, Err(PageError::NotLoopback(_))));
}

#[tokio::test]
async fn each_reads_it_in_their_own_language() {
    let home = Home::unpaired().await;
    let page = Served::start(home.options()).await;
    let headers = format!("Host: {}\r\nAccept-Language: de-AT,de;q=0.9,en;q=0.5\r\n", page.address);
    let german = page.get_with("/", &headers).await.body;
    assert!(german.contains("<html lang=\"de\">") && german.contains("Music Assistant finden"), "{german}");
    for (path, kind) in [("/style.css", "text/css"), ("/page.js", "text/javascript"), ("/icon.svg", "image/svg+xml")] {
        let asset = page.get(path).await;
        assert!(asset.status == 200 && asset.header("content-type").unwrap().starts_with(kind), "{path}");
    }
    page.stop().await;
}

#[tokio::test]
async fn who_says_nothing_does_not_keep_others_out() {
    let home = Home::unpaired().await;
    let page = Served::start(home.options()).await;
    let half_a_form = format!(
        "POST /search HTTP/1.1\r\nHost: {}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 99\r\n\r\na",
        page.address
    );
    let mut silent: Vec<TcpStream> = Vec::new();
    for count in 0..161 {
        let mut stream = TcpStream::connect(page.address).await.unwrap();
        // Nothing, half a head, half a form.
        let said = [&b""[..], b"GET / HTTP/1.1\r\nHost: ", half_a_form.as_bytes()][count % 3];
        stream.write_all(said).await.unwrap();
        silent.push(stream);
    }
    // Far from the time that each of them has.
    let got = timeout(Duration::from_secs(4), page.get("/")).await.expect("kept out");
    assert_eq!(got.status, 200);
    drop(silent);
    page.stop().await;
}

#[tokio::test]
async fn what_a_form_says_is_done_whoever_else_comes() {
    let home = Home::unpaired().await;
    let page = Served::start(home.options()).await;
    let slow = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", slow.local_addr().unwrap());
    let asked = async {
        let (asked, _) = slow.accept().await.unwrap();
        let mut silent = Vec::new();
        for _ in 0..100 {
            silent.push(TcpStream::connect(page.address).await.unwrap());
        }
        assert_eq!(page.get("/").await.status, 200);
        drop(asked);
        silent
    };
    let fields = [("url", url.as_str())];
    let (answer, _silent) = tokio::join!(page.post("/music-assistant", &fields), asked);
    assert_eq!(answer.status, 422, "that nobody answers is an answer: {}", answer.body);
    page.stop().await;
}
