//! The listening sockets and the HTTP side of the protocol: `/info`, `/api`, signing in, and the way into `/ws`.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::accounts::Caller;
use crate::args::Args;
use crate::home::Home;
use crate::session;
use crate::wire::code;

/// The routes of a Music Assistant server, as far as they are simulated.
pub(crate) fn router(home: Arc<Home>) -> Router {
    Router::new()
        .route("/info", get(async |State(home): State<Arc<Home>>| Json(home.hello())))
        .route("/ws", get(upgrade))
        .route("/api", post(api))
        .route("/auth/login", post(login))
        .route("/auth/providers", get(auth_providers))
        .route("/auth/me", get(me))
        .with_state(home)
}

/// Which connections a listener takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// The simulated server's own: shut while it is down, and everybody leaves when it goes down.
    Protocol,
    /// The control API: always open.
    Control,
}

/// Serves until the home stops.
pub(crate) async fn serve(home: Arc<Home>, listener: TcpListener, router: Router, door: Door) {
    loop {
        let accepted = tokio::select! {
            () = home.stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        // A failed accept is the peer's or the file table's trouble; the next one may work.
        let Ok((stream, _)) = accepted else {
            tokio::task::yield_now().await;
            continue;
        };
        // Without it, replies wait for acknowledgements; if it cannot be set, they do.
        let _ = stream.set_nodelay(true);
        take(&home, stream, router.clone(), door);
    }
}

/// Serve a connection, unless the door is shut. Whether it is open.
pub(crate) fn take<S>(home: &Arc<Home>, stream: S, router: Router, door: Door) -> bool
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let shut = door == Door::Protocol && (home.is_down() || home.faults().refuse_connections);
    if !shut {
        home.tasks.spawn(connection(Arc::clone(home), stream, router, door));
    }
    !shut
}

async fn connection<S>(home: Arc<Home>, stream: S, router: Router, door: Door)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let end = if door == Door::Protocol { home.epoch() } else { home.stop.clone() };
    let service = TowerToHyperService::new(router);
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades();
    tokio::select! {
        () = end.cancelled() => {}
        // Errors here are peers that went away in the middle.
        _ = connection => {}
    }
}

async fn upgrade(State(home): State<Arc<Home>>, mut request: Request) -> Response {
    let header = |name| request.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let wanted = header(header::UPGRADE).is_some_and(|value| value.eq_ignore_ascii_case("websocket"));
    let accept = header(header::SEC_WEBSOCKET_KEY).filter(|_| wanted).map(|key| derive_accept_key(key.as_bytes()));
    let Some(accept) = accept else {
        return (StatusCode::BAD_REQUEST, "No WebSocket UPGRADE hdr: None").into_response();
    };
    let upgraded = hyper::upgrade::on(&mut request);
    let epoch = home.epoch();
    let tasks = home.tasks.clone();
    tasks.spawn(async move {
        if let Ok(upgraded) = upgraded.await {
            session::run(home, TokioIo::new(upgraded), epoch).await;
        }
    });
    let headers = [
        (header::CONNECTION, "Upgrade".to_owned()),
        (header::UPGRADE, "websocket".to_owned()),
        (header::SEC_WEBSOCKET_ACCEPT, accept),
    ];
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}

/// `POST /api`: the bare result, and of errors hardly more than that there was one.
async fn api(State(home): State<Arc<Home>>, headers: HeaderMap, body: Bytes) -> Response {
    let refuse = |status: StatusCode, text: String| (status, text).into_response();
    let Some(caller) = bearer(&home, &headers) else {
        return refuse(StatusCode::UNAUTHORIZED, "Authentication required".to_owned());
    };
    let Ok(Value::Object(request)) = serde_json::from_slice::<Value>(&body) else {
        return refuse(StatusCode::BAD_REQUEST, format!("Invalid JSON: {}", String::from_utf8_lossy(&body)));
    };
    let command = request.get("command").and_then(Value::as_str).unwrap_or_default();
    let no_args = Map::new();
    let args = request.get("args").and_then(Value::as_object).unwrap_or(&no_args);
    home.count(command);
    let executed = home.execute(&caller, command, &Args::new(args));
    let wait = executed.reply_after + home.faults().delay(command);
    tokio::time::sleep(wait).await;
    home.dispatch(executed.later);
    match executed.outcome {
        Ok(answer) => Json(answer.into_body()).into_response(),
        Err(failure) if failure.code == code::INVALID_COMMAND && failure.details.ends_with(command) => {
            refuse(StatusCode::BAD_REQUEST, format!("Invalid Command: {command}"))
        }
        Err(failure) if failure.code == code::FORBIDDEN => refuse(StatusCode::FORBIDDEN, failure.details),
        Err(_) => refuse(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error".to_owned()),
    }
}

fn bearer(home: &Home, headers: &HeaderMap) -> Option<Caller> {
    let token = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")?;
    if home.faults().refuse_token {
        return None;
    }
    home.accounts().caller(token, home.clock.now())
}

async fn login(State(home): State<Arc<Home>>, body: Bytes) -> Response {
    let args = serde_json::from_slice::<Map<String, Value>>(&body).unwrap_or_default();
    let nothing = Map::new();
    let credentials = args.get("credentials").and_then(Value::as_object).unwrap_or(&nothing);
    let device = Args::new(&args).optional_string("device_name");
    match home.accounts().sign_in(&Args::new(credentials), device, home.clock.now()) {
        Ok((token, user)) => Json(json!({"success": true, "token": token, "user": user.render()})).into_response(),
        Err(failure) => {
            (StatusCode::UNAUTHORIZED, Json(json!({"success": false, "error": failure.details}))).into_response()
        }
    }
}

async fn auth_providers() -> Json<Value> {
    Json(json!([{"provider_id": "builtin", "provider_type": "builtin", "requires_redirect": false}]))
}

async fn me(State(home): State<Arc<Home>>, headers: HeaderMap) -> Response {
    match bearer(&home, &headers) {
        Some(caller) => Json(caller.user.render()).into_response(),
        None => (StatusCode::UNAUTHORIZED, "Authentication required").into_response(),
    }
}
