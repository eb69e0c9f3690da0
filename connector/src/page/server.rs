//! The small HTTP server: one request a connection, a few connections at once, and a limit for each step.
//! Those who are slow give way to those who come.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use macloud_service_kit::stop::Stop;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};
use zeroize::Zeroizing;

use super::form::{Form, MAX_BYTES};
use super::request::{Caller, Refused};
use super::{Shared, routes};

/// One browser opens a handful.
const CONNECTIONS: usize = 32;

/// For a request's head.
const HEAD_LIMIT: Duration = Duration::from_secs(5);

/// For a whole request: signing in to Music Assistant may take half of it.
const REQUEST_LIMIT: Duration = Duration::from_secs(30);

/// Headers of a request, together. Those that Home Assistant hands on are long.
const MAX_HEAD: usize = 32 << 10;

/// After being told to stop, this long for what is under way.
const STOP_LIMIT: Duration = Duration::from_secs(1);

/// When the system has no connection to give, it is asked again after this.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

pub(super) type Answer = Response<Full<Bytes>>;

/// Serve until told to stop.
pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>, stop: Stop) {
    let mut open = Connections::default();
    loop {
        let next = async {
            let (stream, peer) = accept(&listener).await;
            open.make_room().await;
            (stream, peer)
        };
        let (stream, peer) = tokio::select! {
            () = stop.soft() => break,
            next = next => next,
        };
        open.serve(Arc::clone(&shared), stream, peer);
    }
    shared.tasks.close();
    // Past the limit they end with what holds them.
    let _ = timeout(STOP_LIMIT, open.all_ended()).await;
}

async fn accept(listener: &TcpListener) -> (TcpStream, IpAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, peer.ip()),
            Err(_) => sleep(ACCEPT_AGAIN).await,
        }
    }
}

/// The connections that are open. When there is no place for another, the one goes that has been listened to, or spoken to, for
/// the longest: whoever opens many and says nothing keeps nobody out, and no form is cut short while what it says is done.
#[derive(Default)]
struct Connections {
    tasks: JoinSet<()>,
    /// The oldest first.
    known: Vec<Connection>,
}

struct Connection {
    task: AbortHandle,
    /// Its request was read, and is not answered yet.
    works: Arc<AtomicBool>,
}

impl Connections {
    async fn make_room(&mut self) {
        while self.tasks.try_join_next().is_some() {}
        self.known.retain(|connection| !connection.task.is_finished());
        if self.tasks.len() < CONNECTIONS {
            return;
        }
        if let Some(idle) = self.known.iter().find(|connection| !connection.works.load(Ordering::Relaxed)) {
            idle.task.abort();
        }
        // That one, or else the first whose answer is there.
        let _ = self.tasks.join_next().await;
    }

    fn serve(&mut self, shared: Arc<Shared>, stream: TcpStream, peer: IpAddr) {
        let works: Arc<AtomicBool> = Arc::default();
        let task = self.tasks.spawn(connection(shared, stream, peer, Arc::clone(&works)));
        self.known.push(Connection { task, works });
    }

    async fn all_ended(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}

async fn connection(shared: Arc<Shared>, stream: TcpStream, peer: IpAddr, works: Arc<AtomicBool>) {
    // Without it answers may wait for acknowledgements; if it cannot be set, they do.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let (shared, works) = (Arc::clone(&shared), Arc::clone(&works));
        async move {
            let answer = answer(&shared, peer, request, &works).await;
            works.store(false, Ordering::Relaxed);
            Ok::<_, Infallible>(answer)
        }
    });
    let mut server = http1::Builder::new();
    server.keep_alive(false).timer(TokioTimer::new()).header_read_timeout(HEAD_LIMIT).max_buf_size(MAX_HEAD);
    // Errors are browsers that went away.
    let _ = timeout(REQUEST_LIMIT, server.serve_connection(TokioIo::new(stream), service)).await;
}

async fn answer(shared: &Arc<Shared>, peer: IpAddr, request: Request<Incoming>, works: &AtomicBool) -> Answer {
    let (head, body) = request.into_parts();
    let caller = match Caller::judge(&shared.settings, peer, &head.method, &head.headers) {
        Ok(caller) => caller,
        Err(refused) => return refusal(refused),
    };
    let path = head.uri.path().to_owned();
    let framed = caller.framed;
    let answer = match head.method {
        Method::GET | Method::HEAD => routes::show(shared, &caller, &path),
        Method::POST => match read(&head.headers, body).await {
            Ok(form) if form.value("form_token").is_some_and(|token| shared.is_form_token(token)) => {
                works.store(true, Ordering::Relaxed);
                Box::pin(routes::change(shared, &caller, &path, &form)).await
            }
            Ok(_) => routes::stale(shared, &caller),
            Err(status) => plain(status, "this form is not understood, or too long"),
        },
        _ => plain(StatusCode::METHOD_NOT_ALLOWED, "the page is read or filled in, and nothing else"),
    };
    guarded(answer, framed)
}

/// The form in a body.
async fn read(headers: &HeaderMap, body: Incoming) -> Result<Form, StatusCode> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > MAX_BYTES) {
        return Err(StatusCode::PAYLOAD_TOO_LARGE);
    }
    let body = Limited::new(body, MAX_BYTES).collect().await.map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)?;
    let body = Zeroizing::new(body.to_bytes().to_vec());
    Form::parse(&body).map_err(|_| StatusCode::BAD_REQUEST)
}

fn refusal(refused: Refused) -> Answer {
    let text = match refused {
        Refused::ForeignPeer => "this page is served to Home Assistant's ingress only",
        Refused::UnknownHost => {
            "this page is not known under this name: open it as localhost, or give the name with --page-host"
        }
        Refused::OtherOrigin => "this form was sent by another page: open this page itself, and try again",
    };
    let status = match refused {
        Refused::UnknownHost => StatusCode::MISDIRECTED_REQUEST,
        Refused::ForeignPeer | Refused::OtherOrigin => StatusCode::FORBIDDEN,
    };
    guarded(plain(status, text), false)
}

/// A few words for whoever is not a person with a browser.
pub(super) fn plain(status: StatusCode, text: &'static str) -> Answer {
    let mut answer = Response::new(Full::from(text));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    answer
}

/// What every answer says of itself.
fn guarded(mut answer: Answer, framed: bool) -> Answer {
    let (ancestors, frames) = if framed { ("'self'", "SAMEORIGIN") } else { ("'none'", "DENY") };
    let policy = format!(
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors {ancestors}"
    );
    let headers = answer.headers_mut();
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static(frames));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Not "no-referrer": a browser would then hide the origin of this page's own forms.
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    answer
}
