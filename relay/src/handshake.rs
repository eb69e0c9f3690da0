//! Dialling in, as HTTP: a home's request becomes a WebSocket, or an answer that says what to do instead.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use macloud_proto::ids::InstanceId;
use macloud_proto::link::SUBPROTOCOL;
use macloud_proto::link::frame::Hello;
use macloud_proto::link::introduction::{HELLO_HEADER, TAKEN};
use macloud_service_kit::http::{Handshaken, Peer, Security, client_address, network};
use macloud_service_kit::places::Place;
use macloud_service_kit::random;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::admission::Refusal;
use crate::node::Node;
use crate::session::{self, Introduction};

/// GET [`CONNECT_PATH`](crate::CONNECT_PATH).
pub(crate) async fn connect(State(node): State<Arc<Node>>, request: Request) -> Response {
    let (answer, result) = match try_connect(&node, request).await {
        Ok(response) => (response, "admitted"),
        Err(no) => no.into_parts(&node),
    };
    node.metrics.admission(result);
    answer
}

async fn try_connect(node: &Arc<Node>, request: Request) -> Result<Response, No> {
    if node.is_draining() {
        return Err(No::Busy("the node is leaving"));
    }
    if request.extensions().get::<Peer>().is_some_and(|peer| peer.security == Security::Tls12) {
        return Err(No::OldTls);
    }
    let key = websocket_key(&request)?;
    let hello = hello(&request)?;
    let (parts, body) = request.into_parts();
    let room = Room::take(node, &parts)?;
    let now = node.unix_seconds();
    let admitted = node.admission.admit(&parts.headers, now).await.map_err(No::Refused)?;
    let claims = &admitted.claims;
    if node.standing.needs_newer_from(&claims.sub, claims.iat).is_some_and(|from| from <= now) {
        return Err(No::Refused(Refusal::Token("the home's plan has changed: get a newer token")));
    }
    let home = place_of_home(node, &claims.sub)?;
    // Taken where the way there and back is known, which otherwise shows in how long the home takes to say hello: not behind a proxy,
    // which may have made a handshake of its own.
    let is_direct = node.config.client_address_header.is_none();
    let handshaken = parts.extensions.get::<Handshaken>().cloned().filter(|_| is_direct);
    let introduction = hello.zip(handshaken).map(|(hello, handshaken)| Introduction {
        hello,
        round_trip: handshaken.round_trip,
        kept: handshaken.cork.keep(),
    });
    let is_introduced = introduction.is_some();
    let upgrade = hyper::upgrade::on(Request::from_parts(parts, body));
    session::spawn(node.clone(), upgrade, admitted, introduction, room, home);
    let mut answer = switching_protocols(key, &node.admission.nonces.newest());
    if is_introduced {
        answer.headers_mut().insert(HELLO_HEADER, HeaderValue::from_static(TAKEN));
    }
    Ok(answer)
}

/// What a home says in its request already.
fn hello(request: &Request) -> Result<Option<Hello>, No> {
    let Some(value) = request.headers().get(HELLO_HEADER) else { return Ok(None) };
    let hello = value.to_str().ok().and_then(Hello::from_header);
    hello.map(Some).ok_or(No::Malformed("Link-Hello is not a Hello in base64url"))
}

/// Room on the node, taken before anything is verified and given back by dropping it.
#[derive(Debug)]
pub(crate) struct Room {
    /// Until Welcome.
    pub(crate) handshake: Handshake,
    /// Until the session ends.
    pub(crate) connection: OwnedSemaphorePermit,
}

/// One of the node's handshakes, and one of those that its network may have.
#[derive(Debug)]
pub(crate) struct Handshake {
    _of_the_node: OwnedSemaphorePermit,
    _of_its_network: Option<Place<IpAddr>>,
}

impl Room {
    fn take(node: &Node, parts: &Parts) -> Result<Self, No> {
        let from = client_address(parts, node.config.client_address_header.as_deref());
        let of_its_network = from.map(network).filter(|network| !network.is_loopback()).map(|network| {
            let place = node.networks.take(&network, node.config.max_handshakes_per_network);
            place.ok_or(No::TooMany("too many homes are dialling in from this network"))
        });
        let of_its_network = of_its_network.transpose()?;
        let take = |semaphore: &Arc<Semaphore>| semaphore.clone().try_acquire_owned();
        match (take(&node.handshakes), take(&node.connections)) {
            (Ok(of_the_node), Ok(connection)) => {
                let handshake = Handshake { _of_the_node: of_the_node, _of_its_network: of_its_network };
                Ok(Self { handshake, connection })
            }
            (Err(_), _) => Err(No::Busy("too many homes are dialling in")),
            (_, Err(_)) => Err(No::Busy("this node is full")),
        }
    }
}

/// A place among the admitted that have not been welcomed: a home that never says hello keeps its own places only. When
/// half of all are taken, each home gets one, so that the other half is left for others.
fn place_of_home(node: &Node, instance: &InstanceId) -> Result<Place<InstanceId>, No> {
    let config = &node.config;
    let scarce = node.handshakes.available_permits() < config.max_handshakes / 2;
    let most = if scarce { 1 } else { config.max_handshakes_per_home };
    node.greeting.take(instance, most).ok_or(No::TooMany("this home is dialling in already"))
}

/// The checks of RFC 6455 section 4.2.1. Gives `Sec-WebSocket-Key`.
fn websocket_key(request: &Request) -> Result<HeaderValue, No> {
    let headers = request.headers();
    if request.method() != Method::GET || request.version() != Version::HTTP_11 {
        return Err(No::NotWebSocket("a WebSocket upgrade is a GET over HTTP/1.1"));
    }
    if !has_token(headers, &header::UPGRADE, "websocket") || !has_token(headers, &header::CONNECTION, "upgrade") {
        return Err(No::NotWebSocket("this is where homes dial in by WebSocket"));
    }
    if headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err(No::WebSocketVersion);
    }
    let key = headers.get(header::SEC_WEBSOCKET_KEY).ok_or(No::Malformed("Sec-WebSocket-Key is missing"))?;
    if STANDARD.decode(key).map_or(true, |nonce| nonce.len() != 16) {
        return Err(No::Malformed("Sec-WebSocket-Key is not 16 bytes in base64"));
    }
    if !has_token(headers, &header::SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL) {
        return Err(No::Malformed("the subprotocol macloud.link.v1 was not offered"));
    }
    Ok(key.clone())
}

/// Whether a comma-separated header names this token.
fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|word| word.trim().eq_ignore_ascii_case(token))
}

fn switching_protocols(key: HeaderValue, nonce: &str) -> Response {
    let mut text = key.as_bytes().to_vec();
    text.extend_from_slice(WEBSOCKET_GUID);
    let accept = STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &text));
    let headers = [
        (header::CONNECTION, "Upgrade"),
        (header::UPGRADE, "websocket"),
        (header::SEC_WEBSOCKET_ACCEPT, accept.as_str()),
        (header::SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL),
        (DPOP_NONCE, nonce),
    ];
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}

/// Every way not to connect.
#[derive(Debug)]
enum No {
    Refused(Refusal),
    Busy(&'static str),
    TooMany(&'static str),
    OldTls,
    NotWebSocket(&'static str),
    WebSocketVersion,
    Malformed(&'static str),
}

impl No {
    /// The answer, and its name in the metrics.
    fn into_parts(self, node: &Node) -> (Response, &'static str) {
        match self {
            Self::Refused(refusal) => refused(refusal, node),
            Self::Busy(why) | Self::TooMany(why) | Self::Malformed(why) | Self::NotWebSocket(why) => self.plain(why),
            Self::OldTls => self.plain("connect with TLS 1.3"),
            Self::WebSocketVersion => self.plain("only version 13 of the WebSocket protocol is spoken"),
        }
    }

    fn plain(&self, why: &str) -> (Response, &'static str) {
        let (status, error) = match self {
            Self::Busy(_) | Self::Refused(_) => (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable"),
            Self::TooMany(_) => (StatusCode::TOO_MANY_REQUESTS, "too_many_requests"),
            Self::OldTls => (StatusCode::FORBIDDEN, "tls_too_old"),
            Self::NotWebSocket(_) | Self::WebSocketVersion => (StatusCode::UPGRADE_REQUIRED, "upgrade_required"),
            Self::Malformed(_) => (StatusCode::BAD_REQUEST, "invalid_request"),
        };
        let mut response = answer(status, error, why);
        let headers = response.headers_mut();
        if status == StatusCode::UPGRADE_REQUIRED {
            headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
            headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        }
        if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
            headers.insert(header::RETRY_AFTER, retry_after());
        }
        (response, error)
    }
}

/// RFC 9449 section 7.1 and 9, and RFC 6750 section 3.
fn refused(refusal: Refusal, node: &Node) -> (Response, &'static str) {
    let (error, why) = match refusal {
        Refusal::Unavailable(why) => return No::Busy(why).plain(why),
        Refusal::TooOften => return No::TooMany("").plain("this home dials in too often"),
        // Without credentials no error code is given.
        Refusal::NoToken => ("", "an instance token with proof of possession is needed"),
        Refusal::Nonce => ("use_dpop_nonce", "the proof needs the nonce that comes with this answer"),
        Refusal::Proof(why) => ("invalid_dpop_proof", why),
        Refusal::Token(why) => ("invalid_token", why),
        Refusal::Revoked => ("invalid_token", "the home was unlinked, or must prove anew that it was not"),
    };
    let challenge = match error {
        "" => r#"DPoP algs="EdDSA""#.to_owned(),
        error => format!(r#"DPoP error="{error}", error_description="{why}", algs="EdDSA""#),
    };
    let mut response = answer(StatusCode::UNAUTHORIZED, if error.is_empty() { "invalid_request" } else { error }, why);
    let headers = response.headers_mut();
    let text = |text: &str| HeaderValue::from_str(text).expect("made of printable ASCII only");
    headers.insert(header::WWW_AUTHENTICATE, text(&challenge));
    headers.insert(DPOP_NONCE, text(&node.admission.nonces.newest()));
    (response, if error.is_empty() { "no_token" } else { error })
}

fn answer(status: StatusCode, error: &str, why: &str) -> Response {
    let body = serde_json::json!({ "error": error, "error_description": why });
    let mut response = (status, Json(body)).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A few seconds, drawn for each: the homes turned away together must not come back together.
fn retry_after() -> HeaderValue {
    HeaderValue::from(1 + random::up_to(4))
}

const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");
const WEBSOCKET_GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
