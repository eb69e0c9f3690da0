//! Serving an [`axum::Router`] with bounds on everything that a stranger can hold open.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use opentelemetry::KeyValue;
use opentelemetry::metrics::Counter;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio::time::error::Elapsed;
use tokio_rustls::{LazyConfigAcceptor, StartHandshake};
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use crate::corked::{Cork, Corked};
use crate::places::{Place, Places};
use crate::socket;
use crate::stop::Stop;
use crate::tickets::TicketKeys;
use crate::tls::{Certificate, server_config};

/// Who is at the other end. In the extensions of every request.
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    /// The address of the TCP connection; behind a proxy, the proxy's.
    pub addr: SocketAddr,
    /// The connection's protection.
    pub security: Security,
}

/// What is known of a connection on which this server has made a TLS 1.3 handshake. In the extensions of its HTTP/1 requests.
#[derive(Debug, Clone)]
pub struct Handshaken {
    /// From the server's first flight to the client's second: the way to it and back, and what it took in between.
    pub round_trip: Duration,
    /// Over what is written to the connection.
    pub cork: Cork,
}

/// Where a request comes from: what the proxy in front says in the header `declared_in`, else the connection's address. Name a
/// header only behind a proxy that always sets it: otherwise anyone could claim any address.
#[must_use]
pub fn client_address(parts: &Parts, declared_in: Option<&str>) -> Option<IpAddr> {
    let declared = declared_in.and_then(|name| {
        // The last entry is the one our own proxy added.
        let value = parts.headers.get_all(name).iter().next_back()?.to_str().ok()?;
        value.rsplit(',').next()?.trim().parse().ok()
    });
    declared.or_else(|| parts.extensions.get::<Peer>().map(|peer| peer.addr.ip()))
}

/// Who an address stands for when it is counted: IPv6 customers get whole /64 networks.
#[must_use]
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

/// How a connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// Not by us: loopback, or TLS ends at a proxy.
    Plain,
    /// TLS below 1.3.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

/// Bounds of a server.
#[derive(Debug, Clone, Copy)]
pub struct ServerLimits {
    /// TLS handshakes whose hello is being answered, which is nearly all the work that there is in one. More wait. Who has the answer
    /// takes no place any more: neither those who are far away nor those who never go on keep others waiting.
    pub handshakes: usize,
    /// For the first message of a TLS handshake to arrive, before it takes one of the places above: whoever connects and
    /// says nothing must not keep others waiting.
    pub hello_timeout: Duration,
    /// Connections from one [`network`] that have not made their first request yet. More are turned away at once, so that no
    /// stranger takes all the open files there are. Not for a server behind a proxy, where everyone has the proxy's address.
    pub waiting_per_network: usize,
    /// Connections from one [`network`] in all, but for those that became something else, such as a WebSocket: whoever serves
    /// those has bounds of its own. More are turned away at once. Not for a server behind a proxy.
    pub open_per_network: usize,
    /// For its turn to make the handshake. Connectors give up after ten seconds, and for whoever has waited nearly as long the
    /// work would be for nobody: a storm that is too much for the machine would otherwise be nothing but such work.
    pub turn_timeout: Duration,
    /// For the rest of a TLS handshake.
    pub handshake_timeout: Duration,
    /// For the head of each request, and from a connection's start to its first request.
    pub header_timeout: Duration,
    /// An HTTP/2 connection on which nothing was asked for this long ends. Browsers and proxies keep theirs for a while, and
    /// make a new one without anybody noticing. HTTP/1 connections wait no longer than for a head.
    pub idle_timeout: Duration,
    /// An HTTP/2 connection ends when it took back more requests than it let be answered, by so many. Not for a server behind a
    /// proxy, whose connections are many people's.
    pub taken_back: usize,
    /// After a soft stop, requests in flight get this long.
    pub drain_timeout: Duration,
    /// A peer that acknowledges nothing for this long is gone; see [`socket::set_user_timeout`].
    pub user_timeout: Duration,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            handshakes: 32,
            hello_timeout: Duration::from_secs(5),
            // Whole villages share an address, and come back together after a power cut.
            waiting_per_network: 256,
            open_per_network: 1024,
            turn_timeout: Duration::from_secs(8),
            handshake_timeout: Duration::from_secs(5),
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(120),
            // A page's pictures that somebody did not wait for, several times over.
            taken_back: 200,
            drain_timeout: Duration::from_secs(10),
            user_timeout: Duration::from_secs(15),
        }
    }
}

/// A bound listener that is not serving yet.
#[derive(Debug)]
#[must_use = "a server does nothing until `serve`"]
pub struct Server {
    listener: TcpListener,
    certificate: Option<Arc<Certificate>>,
    ticket_keys: Option<Arc<TicketKeys>>,
    limits: ServerLimits,
}

impl Server {
    /// Bind `addr`; with a certificate, serve TLS.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn bind(addr: SocketAddr, certificate: Option<Arc<Certificate>>) -> io::Result<Self> {
        let listener = TcpListener::bind(addr).await?;
        Ok(Self { listener, certificate, ticket_keys: None, limits: ServerLimits::default() })
    }

    /// With keys for TLS session tickets that other processes behind the same address have, too. By default it makes its own.
    pub fn with_ticket_keys(mut self, keys: Option<Arc<TicketKeys>>) -> Self {
        self.ticket_keys = keys;
        self
    }

    /// With other bounds than the default ones.
    pub const fn with_limits(mut self, limits: ServerLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Everyone comes from the address of a proxy, and on its connections: do not count by address or connection here.
    pub const fn behind_proxy(mut self) -> Self {
        self.limits.waiting_per_network = usize::MAX;
        self.limits.open_per_network = usize::MAX;
        self.limits.taken_back = usize::MAX;
        self
    }

    /// The address that was bound.
    ///
    /// # Errors
    /// When the operating system cannot tell.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serve until a soft stop, then let requests in flight finish, at most until the drain time is over or a hard stop comes.
    pub async fn serve(self, router: Router, stop: Stop) {
        let handshakes = Arc::new(Semaphore::new(self.limits.handshakes));
        let (waiting, open) = (Arc::new(Places::default()), Arc::new(Places::default()));
        let ticket_keys = self.ticket_keys;
        let tls = self.certificate.map(|certificate| Tls::of(certificate, ticket_keys));
        let shed = Shed::new();
        let tasks = TaskTracker::new();
        loop {
            // Stop first: under a storm of connections the accept arm is always ready.
            let accepted = tokio::select! {
                biased;
                () = stop.soft() => break,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, addr)) => {
                    let from = network(addr.ip());
                    let waits = waiting.take(&from, self.limits.waiting_per_network);
                    let Some(waits) = waits else {
                        shed.count("network_waits");
                        turn_away(&stream, tls.is_some());
                        continue;
                    };
                    let Some(open) = open.take(&from, self.limits.open_per_network) else {
                        shed.count("network_open");
                        turn_away(&stream, tls.is_some());
                        continue;
                    };
                    let (router, stop, shed) = (router.clone(), stop.clone(), shed.clone());
                    let connection = Connection { addr, waits, open, limits: self.limits, router, stop, shed };
                    tasks.spawn(connection.run(stream, tls.clone(), handshakes.clone()));
                }
                Err(error) => {
                    // Out of file descriptors, mostly. Accepting at full speed would only burn the processor.
                    tracing::warn!(%error, "cannot accept a connection");
                    shed.count("cannot_accept");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
        drop(self.listener);
        tasks.close();
        tokio::select! {
            () = tasks.wait() => {}
            () = stop.hard() => {}
            () = tokio::time::sleep(self.limits.drain_timeout) => {}
        }
    }
}

/// Say that it is too much, without waiting for anything. Within TLS that would cost a handshake, so nothing is said.
fn turn_away(stream: &TcpStream, tls: bool) {
    if !tls {
        let _ = stream.try_write(TOO_MANY);
    }
}

const TOO_MANY: &[u8] =
    b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 5\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

struct Connection {
    addr: SocketAddr,
    /// Given back at the first request.
    waits: Place<IpAddr>,
    /// Given back when the connection ends, or becomes something else.
    open: Place<IpAddr>,
    limits: ServerLimits,
    router: Router,
    stop: Stop,
    shed: Shed,
}

/// Connections that were let go before their first request, and why: what a storm or a stranger costs.
#[derive(Clone)]
struct Shed(Counter<u64>);

impl Shed {
    fn new() -> Self {
        let meter = opentelemetry::global::meter("macloud.http");
        let counter = meter.u64_counter("macloud.http.shed");
        Self(counter.with_description("Connections let go before their first request, by reason").build())
    }

    fn count(&self, reason: &'static str) {
        self.0.add(1, &[KeyValue::new("reason", reason)]);
    }
}

/// How handshakes are made.
#[derive(Clone)]
struct Tls {
    certificate: Arc<Certificate>,
    usual: Arc<rustls::ServerConfig>,
}

impl Tls {
    fn of(certificate: Arc<Certificate>, ticket_keys: Option<Arc<TicketKeys>>) -> Self {
        let usual = server_config(certificate.clone(), ticket_keys);
        Self { certificate, usual }
    }
}

impl Connection {
    async fn run(self, stream: TcpStream, tls: Option<Tls>, handshakes: Arc<Semaphore>) {
        // Frames and headers are small; waiting to fill a packet adds 40 ms.
        let _ = stream.set_nodelay(true);
        let _ = socket::set_user_timeout(&stream, self.limits.user_timeout);
        let Some(tls) = tls else {
            return Box::pin(self.serve(stream, Security::Plain, None)).await;
        };
        let hello = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), Corked::new(stream));
        let mut hello = match tokio::time::timeout(self.limits.hello_timeout, hello).await {
            Ok(Ok(hello)) => hello,
            Ok(Err(error)) => {
                self.shed.count("handshake_failed");
                return tracing::debug!(%error, "no TLS handshake");
            }
            Err(_) => {
                self.shed.count("silent");
                return tracing::debug!("connected, and said nothing");
            }
        };
        let Ok(Ok(permit)) = tokio::time::timeout(self.limits.turn_timeout, handshakes.acquire_owned()).await else {
            self.shed.count("handshake_turn");
            return tracing::debug!("too many make TLS handshakes");
        };
        if let Some(answer) = tls.certificate.challenges().answer(&hello.client_hello()) {
            return self.prove(hello, answer, permit).await;
        }
        hello.io.cork();
        let handshake = {
            let handshake = pin!(hello.into_stream(tls.usual).into_fallible());
            self.in_time(handshake, permit).await
        };
        match handshake {
            Ok((Ok(mut stream), round_trip)) => {
                let (corked, session) = stream.get_mut();
                let tls13 = session.protocol_version() == Some(rustls::ProtocolVersion::TLSv1_3);
                // Before TLS 1.3 the client waits for what is held.
                let handshaken = tls13.then(|| Handshaken { round_trip, cork: corked.handle() });
                if tls13 {
                    corked.uncork_for_an_answer();
                } else {
                    corked.uncork();
                }
                // Boxed: what the handshake took is not held for as long as the connection lives.
                let security = if tls13 { Security::Tls13 } else { Security::Tls12 };
                Box::pin(self.serve(stream, security, handshaken)).await;
            }
            Ok((Err((error, mut stream)), _)) => {
                self.shed.count("handshake_failed");
                tracing::debug!(%error, "TLS handshake failed");
                // The alert that says why is small, and not worth waiting for.
                stream.uncork();
                let _ = stream.flush().now_or_never();
            }
            Err(_) => {
                self.shed.count("handshake_slow");
                tracing::debug!("TLS handshake timed out");
            }
        }
    }

    /// An authority asks whether this is the machine of a name: the handshake is the whole answer (RFC 8737, section 3).
    async fn prove(
        &self,
        hello: StartHandshake<Corked<TcpStream>>,
        answer: Arc<rustls::ServerConfig>,
        permit: OwnedSemaphorePermit,
    ) {
        let proof = pin!(async { hello.into_stream(answer).await?.shutdown().await });
        match self.in_time(proof, permit).await {
            Ok((Ok(()), _)) => {
                tracing::info!("a certificate authority looked at this machine's proof that the name is its own");
            }
            Ok((Err(error), _)) => tracing::debug!(%error, "a certificate authority left before it saw the proof"),
            Err(_) => tracing::debug!("a certificate authority did not finish its TLS handshake in time"),
        }
    }

    /// What comes of `handshake`, which has its place until the client's hello is answered; and how long after that it was over.
    async fn in_time<F: Future>(
        &self,
        mut handshake: Pin<&mut F>,
        permit: OwnedSemaphorePermit,
    ) -> Result<(F::Output, Duration), Elapsed> {
        let limit = tokio::time::timeout(self.limits.handshake_timeout, async {
            // The hello is here already, so one poll answers it, and then waits for the client.
            let answered = poll_fn(|context| Poll::Ready(handshake.as_mut().poll(context))).await;
            drop(permit);
            let at = Instant::now();
            let done = match answered {
                Poll::Ready(done) => done,
                Poll::Pending => handshake.await,
            };
            (done, at.elapsed())
        });
        limit.await
    }

    async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        self,
        stream: S,
        security: Security,
        handshaken: Option<Handshaken>,
    ) {
        let Self { addr, waits, open, limits, router, stop, shed } = self;
        let (waits, open) = (Arc::new(Mutex::new(Some(waits))), Arc::new(Mutex::new(Some(open))));
        let first = waits.clone();
        let streams = Arc::new(Streams::default());
        let in_service = streams.clone();
        let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
            drop(take(&first));
            request.extensions_mut().insert(Peer { addr, security });
            if let Some(handshaken) = handshaken.clone().filter(|_| request.version() == hyper::Version::HTTP_11) {
                request.extensions_mut().insert(handshaken);
            }
            let asked = (request.version() == hyper::Version::HTTP_2).then(|| Asked::on(&in_service));
            let names_one_host = names_one_host(&request);
            let (answer, open) = (router.clone().oneshot(request), open.clone());
            async move {
                let answer = if names_one_host { answer.await } else { Ok(StatusCode::BAD_REQUEST.into_response()) };
                let answer = match asked {
                    Some(asked) => answer.map(|answer| asked.answered(answer)),
                    None => answer,
                };
                if answer.as_ref().is_ok_and(|answer| answer.status() == StatusCode::SWITCHING_PROTOCOLS) {
                    drop(take(&open));
                }
                answer
            }
        });
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.header_timeout);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(250)
            .max_pending_accept_reset_streams(RESETS)
            .max_local_error_reset_streams(RESETS)
            .keep_alive_interval(Duration::from_secs(60));
        let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        // hyper counts the time for a head from its first byte on, and waits for that byte for ever.
        let silent = async {
            tokio::time::sleep(limits.header_timeout).await;
            if take(&waits).is_none() {
                std::future::pending::<()>().await;
            }
        };
        let result = tokio::select! {
            result = connection.as_mut() => result,
            () = silent => return shed.count("silent"),
            () = streams.taken_back(limits.taken_back) => {
                return tracing::debug!("took back too many requests");
            }
            () = streams.none_for(limits.idle_timeout) => {
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    result = connection.as_mut() => result,
                    () = tokio::time::sleep(limits.header_timeout) => return,
                    () = stop.hard() => return,
                }
            }
            () = stop.soft() => {
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    result = connection.as_mut() => result,
                    () = stop.hard() => return,
                }
            }
        };
        if let Err(error) = result {
            tracing::debug!(%error, "connection ended");
        }
    }
}

/// RFC 9112, section 3.2, and RFC 9113, section 8.3.1. Whoever stands in front may have read another of two, or none.
fn names_one_host<B>(request: &hyper::Request<B>) -> bool {
    let mut named = request.headers().get_all(header::HOST).iter();
    match (named.next(), named.next()) {
        (None, _) => request.version() != hyper::Version::HTTP_11,
        (Some(host), None) => is_host(host.as_bytes()),
        (Some(_), Some(_)) => false,
    }
}

/// A name or address, perhaps with a port, and nothing else of an authority; empty where the target has none.
fn is_host(value: &[u8]) -> bool {
    value.is_empty() || (!value.contains(&b'@') && Authority::try_from(value).is_ok())
}

/// What is asked on an HTTP/2 connection.
#[derive(Default)]
struct Streams {
    open: AtomicUsize,
    /// How many more were taken back than answered.
    taken_back: AtomicUsize,
    changed: Notify,
    given_up: Notify,
}

impl Streams {
    /// Until nothing was asked for so long. Never on a connection on which nothing ever was: `waits` is for those.
    async fn none_for(&self, idle: Duration) {
        self.changed.notified().await;
        loop {
            if self.open.load(Ordering::Acquire) > 0 {
                self.changed.notified().await;
            } else if tokio::time::timeout(idle, self.changed.notified()).await.is_err() {
                return;
            }
        }
    }

    /// Until more than so many were taken back.
    async fn taken_back(&self, most: usize) {
        while self.taken_back.load(Ordering::Acquire) <= most {
            self.given_up.notified().await;
        }
    }
}

/// A request on an HTTP/2 connection, until its answer went out, or until it was taken back.
struct Asked {
    streams: Arc<Streams>,
    answered: bool,
}

impl Asked {
    fn on(streams: &Arc<Streams>) -> Self {
        streams.open.fetch_add(1, Ordering::AcqRel);
        streams.changed.notify_one();
        Self { streams: streams.clone(), answered: false }
    }

    fn answered(mut self, answer: Response<Body>) -> Response<Body> {
        self.answered = true;
        answer.map(|body| Body::new(Answering { body, _asked: self }))
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        let Streams { open, taken_back, changed, given_up } = &*self.streams;
        open.fetch_sub(1, Ordering::AcqRel);
        changed.notify_one();
        if self.answered {
            let _ = taken_back.fetch_update(Ordering::AcqRel, Ordering::Acquire, |count| count.checked_sub(1));
        } else {
            taken_back.fetch_add(1, Ordering::AcqRel);
            given_up.notify_one();
        }
    }
}

/// An answer on its way.
struct Answering {
    body: Body,
    _asked: Asked,
}

impl hyper::body::Body for Answering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        self.body.size_hint()
    }
}

/// Streams that are reset before they are looked at, and such as are reset for their own faults.
const RESETS: usize = 20;

fn take<T>(slot: &Mutex<Option<T>>) -> Option<T> {
    slot.lock().expect("no code panics while holding this lock").take()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_network_is_one_stranger() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8:0:0:ffff::2"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.2"), of("192.0.2.1"));
    }

    #[test]
    fn a_request_names_one_host() {
        let request = |version, hosts: &[&str]| {
            let request = axum::http::Request::get("/").version(version);
            hosts.iter().fold(request, |request, host| request.header("host", *host)).body(()).unwrap()
        };
        let is_taken = |version, hosts: &[&str]| names_one_host(&request(version, hosts));
        use axum::http::Version;
        for good in ["cloud.example", "cloud.example:8443", "192.0.2.1", "[2001:db8::1]:80", ""] {
            assert!(is_taken(Version::HTTP_11, &[good]), "{good}");
        }
        for bad in ["a b", "a/b", "a@cloud.example", "a, b", "a:b:c", "http://a"] {
            assert!(!is_taken(Version::HTTP_11, &[bad]), "{bad}");
        }
        assert!(!is_taken(Version::HTTP_11, &[]) && is_taken(Version::HTTP_10, &[]) && is_taken(Version::HTTP_2, &[]));
        for version in [Version::HTTP_10, Version::HTTP_11, Version::HTTP_2] {
            assert!(!is_taken(version, &["a", "a"]), "{version:?}");
        }
    }

    #[test]
    fn a_declared_address_counts_only_where_it_is_expected() {
        let request = axum::http::Request::get("/").header("x-client", "10.0.0.1, 192.0.2.1").body(()).unwrap();
        let (mut parts, ()) = request.into_parts();
        assert_eq!(client_address(&parts, None), None);
        parts.extensions.insert(Peer { addr: ([127, 0, 0, 1], 9).into(), security: Security::Plain });
        assert_eq!(client_address(&parts, None), Some([127, 0, 0, 1].into()));
        assert_eq!(client_address(&parts, Some("x-client")), Some([192, 0, 2, 1].into()), "what our own proxy added");
        assert_eq!(client_address(&parts, Some("x-other")), Some([127, 0, 0, 1].into()));
    }
}
