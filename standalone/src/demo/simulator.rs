//! The simulator page: type or click what one would say, and see the directive, the hops, the answer and the players.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use macloud_alexa_skill::package::LOCALES;
use macloud_service_kit::http::Server;
use macloud_service_kit::stop::Stop;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::stage::Stage;
use super::tour::{property, speech};
use crate::utterance::{self, Utterance};

const INDEX: &str = include_str!("../../assets/simulator/index.html");
const STYLE: &str = include_str!("../../assets/simulator/simulator.css");
const SCRIPT: &str = include_str!("../../assets/simulator/simulator.js");

/// Serve the page until the stop, then give the stage back.
pub async fn serve(stage: Stage, server: Server, stop: Stop) -> Stage {
    let shared = Arc::new(Simulator { stage: Mutex::new(stage), open: Mutex::new(json!({})), stop: stop.clone() });
    let router = Router::new()
        .route("/", get(|| async { asset("text/html; charset=utf-8", INDEX) }))
        .route("/simulator.css", get(|| async { asset("text/css; charset=utf-8", STYLE) }))
        .route("/simulator.js", get(|| async { asset("text/javascript; charset=utf-8", SCRIPT) }))
        .route("/simulator/api/state", get(state))
        .route("/simulator/api/events", get(events))
        .route("/simulator/api/say", post(say))
        .with_state(shared.clone())
        .layer(axum::middleware::from_fn(only_by_its_own_name));
    server.serve(router, stop).await;
    // The page's event streams hold the simulator for a moment longer.
    let mut shared = shared;
    loop {
        match Arc::try_unwrap(shared) {
            Ok(simulator) => return simulator.stage.into_inner(),
            Err(still_held) => shared = still_held,
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// One thing is said at a time, as to a real speaker: so each answer's hops are its own.
struct Simulator {
    stage: Mutex<Stage>,
    /// What the last question left open, in Alexa's keeping.
    open: Mutex<Value>,
    stop: Stop,
}

/// A page elsewhere whose name was made to resolve to this machine must not reach the speakers.
async fn only_by_its_own_name(request: axum::extract::Request, next: axum::middleware::Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let is_address = name.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok();
    if name == "localhost" || is_address {
        next.run(request).await
    } else {
        refuse(StatusCode::FORBIDDEN, "Open this page by the machine's address or as localhost.")
    }
}

fn asset(kind: &'static str, text: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
        ),
    ];
    (headers, text).into_response()
}

async fn state(State(simulator): State<Arc<Simulator>>) -> Json<Value> {
    Json(picture(&*simulator.stage.lock().await).await)
}

async fn events(State(simulator): State<Arc<Simulator>>) -> impl IntoResponse {
    let stream = futures_util::stream::unfold((simulator, String::new()), |(simulator, mut last)| async move {
        loop {
            if simulator.stop.is_stopping() {
                return None;
            }
            let now = picture(&*simulator.stage.lock().await).await.to_string();
            if now != last {
                last.clone_from(&now);
                return Some((Ok::<_, Infallible>(Event::default().data(now)), (simulator, last)));
            }
            tokio::time::sleep(REFRESH).await;
        }
    });
    Sse::new(stream)
}

/// Often enough to see a player move, seldom enough to cost nothing.
const REFRESH: Duration = Duration::from_millis(300);

/// The state as the page wants it.
async fn picture(stage: &Stage) -> Value {
    let players = match &stage.simulated {
        Some(home) => home.state().players.iter().map(simulated_player).collect(),
        None => reported_players(stage).await,
    };
    json!({
        "home": {
            "name": "Demo home",
            "fingerprint": stage.fingerprint,
            "instance_id": stage.instance_id,
            "online": !stage.endpoints.is_empty(),
        },
        "players": players,
        "endpoints": stage.endpoints,
    })
}

fn simulated_player(player: &macloud_simulated_home::PlayerState) -> Value {
    let now_playing = player
        .now_playing
        .as_ref()
        .map(|item| json!({"title": item.title, "artist": item.artist, "album": item.album}));
    json!({
        "id": player.player_id,
        "name": player.name,
        "available": player.available,
        "state": player.state,
        "volume": player.volume,
        "muted": player.muted,
        "powered": player.powered,
        "now_playing": now_playing,
        "elapsed_s": player.elapsed_s.floor(),
        "duration_s": player.duration_s,
    })
}

/// A real Music Assistant is asked as Alexa would.
async fn reported_players(stage: &Stage) -> Vec<Value> {
    let mut players = Vec::new();
    for endpoint in &stage.endpoints {
        let directive = stage.alexa.control("Alexa", "ReportState", &endpoint.endpoint_id, json!({}));
        let report = stage.alexa.send_directive(&directive).await.unwrap_or_default();
        let _ = stage.hops.take_latest();
        let playback =
            property(&report, "playbackState").and_then(|value| value["state"].as_str()).unwrap_or("STOPPED");
        players.push(json!({
            "id": endpoint.endpoint_id,
            "name": endpoint.friendly_name,
            "available": property(&report, "connectivity").is_some_and(|value| value["value"] == "OK"),
            "state": match playback { "PLAYING" => "playing", "PAUSED" => "paused", _ => "idle" },
            "volume": property(&report, "volume"),
            "muted": property(&report, "muted"),
            "powered": property(&report, "powerState").is_some_and(|value| value == "ON"),
            "now_playing": null,
            "elapsed_s": null,
            "duration_s": null,
        }));
    }
    players
}

#[derive(Deserialize)]
struct Said {
    text: Option<String>,
    directive: Option<Value>,
    /// The language that is spoken.
    #[serde(default)]
    locale: Option<String>,
}

async fn say(
    State(simulator): State<Arc<Simulator>>,
    headers: HeaderMap,
    said: Result<Json<Said>, JsonRejection>,
) -> Response {
    // Another site's page must not talk to the home: browsers say where a request comes from.
    if headers.get("sec-fetch-site").is_some_and(|site| site != "same-origin" && site != "none") {
        return refuse(StatusCode::FORBIDDEN, "This page answers its own site only.");
    }
    let said = match said {
        Ok(Json(said)) => said,
        Err(rejection) => return refuse(rejection.status(), &rejection.body_text()),
    };
    let locale = said.locale.as_deref().and_then(|wanted| LOCALES.into_iter().find(|locale| *locale == wanted));
    let mut stage = simulator.stage.lock().await;
    let mut open = simulator.open.lock().await;
    let answer = match (said.text, said.directive) {
        (Some(text), None) => hear(&mut stage, &mut open, locale.unwrap_or(LOCALES[0]), &text).await,
        (None, Some(directive)) => pass_on(&mut stage, "a directive".into(), Kind::SmartHome, directive).await,
        _ => return refuse(StatusCode::BAD_REQUEST, "Send either a text or a directive."),
    };
    match answer {
        Ok(answer) => Json(answer).into_response(),
        Err(error) => refuse(StatusCode::UNPROCESSABLE_ENTITY, &format!("{error:#}")),
    }
}

fn refuse(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({"error": {"message": message}}))).into_response()
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    SmartHome,
    Custom,
}

async fn hear(stage: &mut Stage, open: &mut Value, locale: &str, text: &str) -> anyhow::Result<Value> {
    let names: Vec<String> = stage.endpoints.iter().map(|endpoint| endpoint.friendly_name.clone()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (heard, mut request) = match utterance::parse_in(locale, text, &names)? {
        Utterance::Discover => {
            let directive = stage.alexa.discover();
            return pass_on(stage, text.into(), Kind::SmartHome, directive).await;
        }
        Utterance::SmartHome { namespace, name, payload, player } => {
            let endpoint = find_endpoint(stage, &player)?;
            let directive = stage.alexa.control(namespace, name, &endpoint, payload);
            return pass_on(stage, text.into(), Kind::SmartHome, directive).await;
        }
        Utterance::Launch => (text, stage.alexa.launch()),
        Utterance::Custom { intent, slots } => {
            let slots: Vec<(&str, &str)> = slots.iter().map(|(name, value)| (*name, value.as_str())).collect();
            (text, stage.alexa.intent(intent, &slots))
        }
    };
    // The conversation goes on where a question left it.
    request["request"]["locale"] = locale.into();
    request["session"]["new"] = open.as_object().is_none_or(serde_json::Map::is_empty).into();
    request["session"]["attributes"] = open.take();
    let answer = pass_on(stage, heard.into(), Kind::Custom, request).await?;
    *open = match answer["response"].get("sessionAttributes") {
        Some(attributes) => attributes.clone(),
        None => json!({}),
    };
    Ok(answer)
}

/// Alexa matches device names herself before she sends a directive.
fn find_endpoint(stage: &Stage, player: &str) -> anyhow::Result<String> {
    let plain = |name: &str| name.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ");
    let by_name: HashMap<String, &str> =
        stage.endpoints.iter().map(|e| (plain(&e.friendly_name), e.endpoint_id.as_str())).collect();
    let names: Vec<&str> = stage.endpoints.iter().map(|e| e.friendly_name.as_str()).collect();
    let found = by_name.get(&plain(player)).map(|id| (*id).to_owned());
    found.ok_or_else(|| anyhow::anyhow!("Alexa knows no device called “{player}”. She knows: {}.", names.join(", ")))
}

async fn pass_on(stage: &mut Stage, heard: String, kind: Kind, request: Value) -> anyhow::Result<Value> {
    let started = Instant::now();
    let response = match kind {
        Kind::SmartHome => stage.alexa.send_directive(&request).await?,
        Kind::Custom => stage.alexa.send_custom(&request).await?,
    };
    let names: Vec<String> = stage.endpoints.iter().map(|endpoint| endpoint.friendly_name.clone()).collect();
    let words: Vec<&str> =
        heard.split_whitespace().filter(|word| word.len() > 3).chain(names.iter().map(String::as_str)).collect();
    let step = stage.step(String::new(), started, &words, String::new());
    Ok(json!({
        "heard": heard,
        "kind": if kind == Kind::Custom { "custom" } else { "smart_home" },
        "request": without_tokens(request),
        "speech": speech(&response),
        "response": response,
        "hops": step.hops,
        "total_micros": (step.millis * 1000.0) as u64,
        "relay_saw": step.relay_saw,
    }))
}

/// The page shows the directive, not the keys to the account.
fn without_tokens(mut request: Value) -> Value {
    fn mask(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    if matches!(name.as_str(), "token" | "accessToken" | "apiAccessToken") && value.is_string() {
                        *value = "…".into();
                    } else {
                        mask(value);
                    }
                }
            }
            Value::Array(items) => items.iter_mut().for_each(mask),
            _ => {}
        }
    }
    mask(&mut request);
    request
}
