//! The simulator page: type or click what one would say, and see the directive, the hops, the answer and the players.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

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
use super::talk::{Talk, Voice, picture};

const INDEX: &str = include_str!("../../assets/simulator/index.html");
const STYLE: &str = include_str!("../../assets/simulator/simulator.css");
const SCRIPT: &str = include_str!("../../assets/simulator/simulator.js");

/// Serve the page until the stop, then give the stage back.
pub async fn serve(stage: Stage, server: Server, stop: Stop) -> Stage {
    let shared = Arc::new(Simulator { stage: Mutex::new(stage), talk: Mutex::default(), stop: stop.clone() });
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
    talk: Mutex<Talk>,
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

#[derive(Deserialize)]
struct Said {
    text: Option<String>,
    directive: Option<Value>,
    /// The language that is spoken.
    #[serde(default)]
    locale: Option<String>,
    /// Which device is spoken to.
    #[serde(default)]
    device: Option<String>,
    /// Whether the account is linked to who speaks.
    #[serde(default = "yes")]
    linked: bool,
}

const fn yes() -> bool {
    true
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
    let device = said.device.as_deref().filter(|device| device.len() <= 40).unwrap_or_default();
    let voice = Voice { locale: locale.unwrap_or(LOCALES[0]), device, linked: said.linked };
    let mut stage = simulator.stage.lock().await;
    let mut talk = simulator.talk.lock().await;
    let answer = match (said.text, said.directive) {
        (Some(text), None) => talk.hear(&mut stage, voice, &text).await,
        (None, Some(directive)) => talk.directive(&mut stage, directive).await,
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
