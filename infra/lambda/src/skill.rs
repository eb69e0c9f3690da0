//! The skill backend, as it is called: TLS 1.3, one connection that is kept while directives follow each other closely, and
//! one deadline for everything.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use ring::hmac;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;

use crate::connection::{Connection, Failure};
use crate::event::Fault;
use crate::settings::{Origin, Settings};

/// Where a backend takes directives.
pub const PATH: &str = "/alexa/v1/smart-home";

/// Milliseconds that the backend has for its answer.
pub const REMAINING: &str = "x-macloud-remaining-ms";

/// HMAC-SHA256 of the body, in base64.
pub const SIGNATURE: &str = "x-macloud-signature";

/// Of the time until our deadline, this much is for the ways there and back.
pub const ON_THE_WAY: Duration = Duration::from_millis(300);

/// Alexa takes 256 KiB of endpoints at most; this leaves room for whatever it may take one day.
pub const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// The skill backend.
pub struct Skill {
    settings: Settings,
    tls: TlsConnector,
    kept: Option<Kept>,
}

/// A connection that nothing is awaited on.
struct Kept {
    connection: Connection,
    since: Instant,
    /// Lambda stops the whole machine between directives, and no clock is promised to run on: whichever ran further counts.
    since_wall: Duration,
}

impl Skill {
    /// The backend that the settings name, if its certificate comes from one of these roots. Nothing is opened yet.
    #[must_use]
    pub fn new(settings: Settings, roots: RootCertStore) -> Self {
        Self { settings, tls: connector(roots), kept: None }
    }

    /// Post a directive; the body of the answer, unless the deadline is over before.
    ///
    /// A directive is sent twice only if the backend has seen nothing of it the first time: "next song" must not skip two.
    ///
    /// # Errors
    /// When there is no whole answer with status 200 in time.
    pub async fn ask(&mut self, directive: &Bytes, deadline: Instant) -> Result<Bytes, Fault> {
        timeout_at(deadline, self.ask_before(directive, deadline)).await.unwrap_or(Err(Fault::Late))
    }

    /// A connection is taken while it is used. So one that was given up is closed, and no late answer is ever found on it.
    async fn ask_before(&mut self, directive: &Bytes, deadline: Instant) -> Result<Bytes, Fault> {
        if let Some(mut connection) = self.take_kept() {
            let answer = connection.send(self.request(directive, deadline)?, MAX_ANSWER_BYTES).await;
            // Otherwise the backend closed it meanwhile.
            if !matches!(answer, Err(Failure::NotSent)) {
                return self.finish(connection, answer);
            }
        }
        let mut connection = timeout(CONNECT, self.connect()).await.unwrap_or(Err(Fault::Unreachable))?;
        let answer = connection.send(self.request(directive, deadline)?, MAX_ANSWER_BYTES).await;
        self.finish(connection, answer)
    }

    fn finish(
        &mut self,
        connection: Connection,
        answer: Result<Response<Option<Bytes>>, Failure>,
    ) -> Result<Bytes, Fault> {
        let (head, body) = answer.map_err(|_| Fault::Broken)?.into_parts();
        let body = body.ok_or(Fault::TooLarge)?;
        self.kept = Some(Kept { connection, since: Instant::now(), since_wall: wall_clock() });
        if head.status == StatusCode::OK {
            return Ok(body);
        }
        let retry_after = head.headers.contains_key(header::RETRY_AFTER);
        Err(Fault::Status { status: head.status.as_u16(), retry_after })
    }

    fn take_kept(&mut self) -> Option<Connection> {
        let kept = self.kept.take()?;
        let idle = kept.since.elapsed().max(wall_clock().saturating_sub(kept.since_wall));
        (idle < KEEP).then_some(kept.connection)
    }

    fn request(&self, directive: &Bytes, deadline: Instant) -> Result<Request<Full<Bytes>>, Fault> {
        let remaining = deadline.saturating_duration_since(Instant::now()).saturating_sub(ON_THE_WAY);
        // Nobody would hear what the backend makes of it.
        if remaining.is_zero() {
            return Err(Fault::Late);
        }
        let mut request = Request::post(PATH)
            .header(header::HOST, self.settings.skill.authority.as_str())
            .header(header::CONTENT_TYPE, "application/json")
            .header(REMAINING, remaining.as_millis().to_string());
        if let Some(key) = &self.settings.key {
            request = request.header(SIGNATURE, STANDARD.encode(hmac::sign(key, directive)));
        }
        // All of it is fixed or was checked when it was read.
        request.body(Full::new(directive.clone())).map_err(|_| Fault::Broken)
    }

    async fn connect(&self) -> Result<Connection, Fault> {
        let Origin { tls, host, .. } = &self.settings.skill;
        let stream = self.dial().await.map_err(|_| Fault::Unreachable)?;
        // A request is small; waiting to fill a packet adds 40 ms.
        let _ = stream.set_nodelay(true);
        let connection = if *tls {
            let name = ServerName::try_from(host.clone()).map_err(|_| Fault::Untrusted)?;
            Connection::over(self.tls.connect(name, stream).await.map_err(|error| no_handshake(&error))?).await
        } else {
            Connection::over(stream).await
        };
        connection.map_err(|_| Fault::Unreachable)
    }

    /// One address after the other, so that one which is gone does not hide the others.
    async fn dial(&self) -> io::Result<TcpStream> {
        let Origin { host, port, .. } = &self.settings.skill;
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for address in lookup_host((host.as_str(), *port)).await? {
            match timeout(CONNECT_ONE, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => last = error,
                Err(_) => last = io::ErrorKind::TimedOut.into(),
            }
        }
        Err(last)
    }
}

impl std::fmt::Debug for Skill {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Skill").field("origin", &self.settings.skill).finish_non_exhaustive()
    }
}

/// The authorities that browsers trust.
#[must_use]
pub fn public_roots() -> RootCertStore {
    RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }
}

fn connector(roots: RootCertStore) -> TlsConnector {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("ring's suites include those of TLS 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    TlsConnector::from(Arc::new(config))
}

/// A broken line is one thing, a certificate that does not fit another: the second does not pass by itself.
fn no_handshake(error: &io::Error) -> Fault {
    let tls = error.get_ref().and_then(|source| source.downcast_ref::<rustls::Error>());
    if tls.is_some() { Fault::Untrusted } else { Fault::Unreachable }
}

/// Since 1970.
pub(crate) fn wall_clock() -> Duration {
    #[expect(
        clippy::disallowed_methods,
        reason = "Lambda tells its deadlines by the wall clock, and this is all that reads it"
    )]
    let now = std::time::SystemTime::now();
    now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default()
}

/// For a name's addresses, a connection and its handshake. A host that is gone is then spoken of after seconds, not after seven.
const CONNECT: Duration = Duration::from_secs(3);

/// For one address.
const CONNECT_ONE: Duration = Duration::from_millis(1500);

/// The skill closes a connection that nothing was asked on for ten seconds. One that we gave up first cannot be closed under a directive.
const KEEP: Duration = Duration::from_secs(8);
