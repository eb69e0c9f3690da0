//! Who one is in the Home Assistant at home: connector, cloud, browser and a Home Assistant that does as tests tell it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use macloud_connector::home_assistant::{BindError, BindOptions, Link, bind};
use macloud_connector::network::Dialer;
use macloud_service_kit::clock;
use macloud_standalone::demo::stage::Stage;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use url::Url;

use crate::support::stage;

/// What a Home Assistant was asked, and how it is.
#[derive(Default)]
struct Seen {
    forms: Vec<String>,
    token_refused: bool,
}

/// A Home Assistant, as far as signing in goes: the token endpoint and the WebSocket behind it.
struct FakeHome {
    url: Url,
    seen: Arc<Mutex<Seen>>,
}

impl FakeHome {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let seen = Arc::<Mutex<Seen>>::default();
        let own = seen.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, own.clone()));
            }
        });
        Self { url, seen }
    }

    fn forms(&self) -> Vec<String> {
        self.seen.lock().unwrap().forms.clone()
    }
}

async fn answer(mut stream: TcpStream, seen: Arc<Mutex<Seen>>) {
    let mut first = [0; 20];
    while stream.peek(&mut first).await.unwrap() < first.len() {}
    if first.starts_with(b"GET /api/websocket") {
        return tell_who_it_is(stream, &seen).await;
    }
    let mut request = Vec::new();
    let form = loop {
        let mut chunk = [0; 4096];
        let length = stream.read(&mut chunk).await.unwrap();
        request.extend_from_slice(&chunk[..length]);
        let text = String::from_utf8(request.clone()).unwrap();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let announced = head.to_ascii_lowercase().split("content-length: ").nth(1).unwrap().to_owned();
        if body.len() == announced.split("\r\n").next().unwrap().parse::<usize>().unwrap() {
            assert!(head.starts_with("POST /auth/token HTTP/1.1"), "{head}");
            break body.to_owned();
        }
    };
    let good = form.contains("code=the-right-code") || form.contains("action=revoke");
    seen.lock().unwrap().forms.push(form);
    let body = json!({ "access_token": "an-access-token", "refresh_token": "a-refresh-token", "token_type": "Bearer" });
    let (status, body) =
        if good { ("200 OK", body) } else { ("400 Bad Request", json!({ "error": "invalid_request" })) };
    let body = body.to_string();
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
}

async fn tell_who_it_is(stream: TcpStream, seen: &Mutex<Seen>) {
    let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
    let refused = seen.lock().unwrap().token_refused;
    socket
        .send(Message::text(json!({ "type": "auth_required", "ha_version": "2026.11.0" }).to_string()))
        .await
        .unwrap();
    while let Some(Ok(message)) = socket.next().await {
        let Message::Text(text) = message else { continue };
        let asked: Value = serde_json::from_str(&text).unwrap();
        let told = match asked["type"].as_str().unwrap() {
            "auth" if refused || asked["access_token"] != "an-access-token" => json!({ "type": "auth_invalid" }),
            "auth" => json!({ "type": "auth_ok" }),
            "auth/current_user" => json!({
                "id": asked["id"], "type": "result", "success": true,
                "result": { "id": "c0ffee", "name": "Ada", "is_owner": true, "is_admin": true, "credentials": [] },
            }),
            other => panic!("asked for {other}"),
        };
        socket.send(Message::text(told.to_string())).await.unwrap();
    }
}

/// Bind; the person's browser brings this code.
async fn bind_with(stage: &mut Stage, home: &FakeHome, code: &str) -> Result<String, BindError> {
    let options = BindOptions {
        state_dir: stage.state_dir.clone(),
        url: home.url.clone(),
        cloud_dialer: Dialer::new(None, false).unwrap(),
        home_dialer: Dialer::new(None, true).unwrap(),
        clock: clock::system(),
    };
    let (shown, link) = tokio::sync::oneshot::channel::<Link>();
    let mut shown = Some(shown);
    let binding = bind(options, move |link| shown.take().unwrap().send(link.clone()).unwrap());
    let person = async {
        let Ok(link) = link.await else { return };
        assert_eq!(link.url.path(), "/auth/authorize");
        let value = |name: &str| {
            let found = link.url.query_pairs().find(|(other, _)| other == name);
            found.unwrap_or_else(|| panic!("no {name} in {}", link.url)).1.into_owned()
        };
        assert_eq!(value("client_id"), stage.cloud_url.as_str(), "Home Assistant knows the cloud by its address");
        let mut back: Url = value("redirect_uri").parse().unwrap();
        assert!(back.as_str().starts_with(stage.cloud_url.as_str()), "and sends browsers back only there");
        back.query_pairs_mut().append_pair("code", code).append_pair("state", &value("state"));
        let page = stage.browser.page(&back).await.unwrap();
        let form = page.form_to("/home-assistant/callback").unwrap();
        let done = stage.browser.submit(&form, &[]).await.unwrap().page().unwrap();
        assert_eq!(done.status, 200, "{}", done.html);
    };
    let (user, ()) = tokio::join!(tokio::time::timeout(Duration::from_secs(60), binding), person);
    user.expect("in time").map(|user| user.name)
}

async fn homes(stage: &mut Stage) -> String {
    let url = stage.cloud_url.join(&format!("/homes/{}", stage.instance_id)).unwrap();
    stage.browser.page(&url).await.unwrap().html
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_home_tells_who_its_owner_is_in_its_home_assistant() {
    let (mut stage, _gate) = stage().await;
    let home = FakeHome::start().await;
    assert!(matches!(bind_with(&mut stage, &home, "a-wrong-code").await, Err(BindError::Refused(_))));
    assert!(!homes(&mut stage).await.contains("Home Assistant: Ada"));

    home.seen.lock().unwrap().token_refused = true;
    assert!(matches!(bind_with(&mut stage, &home, "the-right-code").await, Err(BindError::Refused(_))));
    let revoked = "action=revoke&token=a-refresh-token";
    assert_eq!(home.forms().last().unwrap(), revoked, "the access is given back whatever came of it");
    home.seen.lock().unwrap().token_refused = false;

    assert_eq!(bind_with(&mut stage, &home, "the-right-code").await.unwrap(), "Ada");
    let forms = home.forms();
    assert!(forms[forms.len() - 2].starts_with("grant_type=authorization_code&code=the-right-code&client_id=http"));
    assert_eq!(forms.last().unwrap(), revoked);
    assert!(homes(&mut stage).await.contains("Home Assistant: Ada (owner)"));
    stage.strike().await;
}
