//! Serving an [`axum::Router`] with bounds on everything that a stranger can hold open.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::LazyConfigAcceptor;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use crate::socket;
use crate::stop::Stop;
use crate::tls::{Certificate, server_config};

/// Who is at the other end. In the extensions of every request.
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    /// The address of the TCP connection; behind a proxy, the proxy's.
    pub addr: SocketAddr,
    /// The connection's protection.
    pub security: Security,
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
    /// TLS handshakes in flight. More wait: in a storm of reconnects this brings the median home back sooner.
    pub handshakes: usize,
    /// For the first message of a TLS handshake to arrive, before it takes one of the places above: whoever connects and
    /// says nothing must not keep others waiting.
    pub hello_timeout: Duration,
    /// For the rest of a TLS handshake.
    pub handshake_timeout: Duration,
    /// For the head of each request, and from a connection's start to its first request.
    pub header_timeout: Duration,
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
            handshake_timeout: Duration::from_secs(5),
            header_timeout: Duration::from_secs(10),
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
    limits: ServerLimits,
}

impl Server {
    /// Bind `addr`; with a certificate, serve TLS.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn bind(addr: SocketAddr, certificate: Option<Arc<Certificate>>) -> io::Result<Self> {
        Ok(Self { listener: TcpListener::bind(addr).await?, certificate, limits: ServerLimits::default() })
    }

    /// With other bounds than the default ones.
    pub const fn with_limits(mut self, limits: ServerLimits) -> Self {
        self.limits = limits;
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
        let tls = self.certificate.map(server_config);
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
                    let connection =
                        Connection { addr, limits: self.limits, router: router.clone(), stop: stop.clone() };
                    tasks.spawn(connection.run(stream, tls.clone(), handshakes.clone()));
                }
                Err(error) => {
                    // Out of file descriptors, mostly. Accepting at full speed would only burn the processor.
                    tracing::warn!(%error, "cannot accept a connection");
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

struct Connection {
    addr: SocketAddr,
    limits: ServerLimits,
    router: Router,
    stop: Stop,
}

impl Connection {
    async fn run(self, stream: TcpStream, tls: Option<Arc<rustls::ServerConfig>>, handshakes: Arc<Semaphore>) {
        // Frames and headers are small; waiting to fill a packet adds 40 ms.
        let _ = stream.set_nodelay(true);
        let _ = socket::set_user_timeout(&stream, self.limits.user_timeout);
        let Some(tls) = tls else {
            return self.serve(stream, Security::Plain).await;
        };
        let hello = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream);
        let hello = match tokio::time::timeout(self.limits.hello_timeout, hello).await {
            Ok(Ok(hello)) => hello,
            Ok(Err(error)) => return tracing::debug!(%error, "no TLS handshake"),
            Err(_) => return tracing::debug!("connected, and said nothing"),
        };
        let permit = handshakes.acquire_owned().await;
        let handshake = tokio::time::timeout(self.limits.handshake_timeout, hello.into_stream(tls)).await;
        drop(permit);
        match handshake {
            Ok(Ok(stream)) => {
                let version = stream.get_ref().1.protocol_version();
                let tls13 = version == Some(rustls::ProtocolVersion::TLSv1_3);
                self.serve(stream, if tls13 { Security::Tls13 } else { Security::Tls12 }).await;
            }
            Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
            Err(_) => tracing::debug!("TLS handshake timed out"),
        }
    }

    async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(self, stream: S, security: Security) {
        let Self { addr, limits, router, stop } = self;
        let asked = Arc::new(AtomicBool::new(false));
        let first = asked.clone();
        let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
            first.store(true, Ordering::Relaxed);
            request.extensions_mut().insert(Peer { addr, security });
            router.clone().oneshot(request)
        });
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.header_timeout);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(250)
            .keep_alive_interval(Duration::from_secs(60));
        let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        // hyper counts the time for a head from its first byte on, and waits for that byte for ever.
        let silent = async {
            tokio::time::sleep(limits.header_timeout).await;
            if asked.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
        };
        let result = tokio::select! {
            result = connection.as_mut() => result,
            () = silent => return,
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
