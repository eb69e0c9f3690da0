//! Opening connections: to the relay, to the account service, and to Music Assistant.
//!
//! TLS is 1.3 with the roots that browsers trust, plus those of one extra file for people who run their own authority.
//! Plain connections go to this machine only, unless the configuration allows more. A dialer that knows of [`proxy`] goes through
//! one, by a [`tunnel`]: who is at its end is proved as ever. WebSockets can also be led to something within this process.

pub mod proxy;
pub mod request;
pub mod tunnel;

use std::any::Any;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use http::{Request, Response};
use macloud_service_kit::corked::Corked;
use proxy::{Proxies, SettingError, Way};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite, BufReader, DuplexStream, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tunnel::TunnelError;
use url::{Host, Url};

/// What this program calls itself in requests.
pub const USER_AGENT: &str = concat!("ma-connector/", env!("CARGO_PKG_VERSION"));

/// Per address of a name; a name may have several, some of them unreachable.
const CONNECT_LIMIT: Duration = Duration::from_secs(4);

/// Before the next address of a name is tried, too: RFC 8305 recommends it.
const HEAD_START: Duration = Duration::from_millis(250);

/// From the first byte to the end of the WebSocket handshake, what a proxy takes included.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);

/// A connection whose peer does not acknowledge what was sent is given up after this: well before a person would.
const USER_TIMEOUT: Duration = Duration::from_secs(15);

/// First TCP keep-alive probe after this much silence. The protocols above have probes of their own.
const KEEPALIVE: Duration = Duration::from_secs(45);

/// Why a connection could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The address is not one that can be dialled.
    #[error("{0}")]
    Address(&'static str),
    /// A plain connection to another machine was not allowed.
    #[error(
        "what begins with http:// or ws:// is not encrypted, and for this machine only: use https://, or, for a trial, --dangerous-allow-plain"
    )]
    Plain,
    /// Nobody answers there.
    #[error("no connection: {0}")]
    Connect(io::Error),
    /// The peer did not go on in time.
    #[error("no answer in time")]
    TimedOut,
    /// TLS failed: a wrong name, an unknown authority, an old version.
    #[error("{}", tls_trouble(.0).unwrap_or_else(|| format!("the encrypted connection failed: {}", .0)))]
    Tls(#[source] io::Error),
    /// TLS failed behind a proxy, because of an authority that nobody here trusts.
    #[error("{}; {LOOKS_INSIDE}", tls_trouble(.0).unwrap_or_default())]
    TlsBehindProxy(#[source] io::Error),
    /// A proxy was named in a way that is not understood.
    #[error(transparent)]
    Proxy(#[from] SettingError),
    /// The proxy does not lead there.
    #[error("{}; {}", .0, .0.cure())]
    Tunnel(#[from] TunnelError),
    /// The peer answered the upgrade with something else.
    #[error("the server refused the connection with HTTP status {}", .0.status().as_u16())]
    Refused(Box<Response<Option<Vec<u8>>>>),
    /// The upgrade failed otherwise.
    #[error("not a WebSocket server: {0}")]
    WebSocket(Box<tungstenite::Error>),
}

/// What may be between a proxy and a certificate that nobody here trusts.
pub(crate) const LOOKS_INSIDE: &str = "a proxy that looks into encrypted connections signs them with an authority of its own, which has to be given with --extra-ca-file, too, unless it lets those to the cloud alone";

/// Opens connections under one set of rules.
#[derive(Clone)]
pub struct Dialer {
    tls: Arc<ClientConfig>,
    allow_plain: bool,
    trusts_more: bool,
    proxies: Proxies,
    within: Option<Arc<Within>>,
    hold: Option<Arc<Hold>>,
}

/// Opens a connection to something within this process.
type Within = dyn Fn(&Url) -> io::Result<DuplexStream> + Send + Sync;

/// Makes what is held while an HTTP request is under way.
type Hold = dyn Fn() -> Held + Send + Sync;

/// Dropped when an HTTP request is over.
pub type Held = Box<dyn Any + Send>;

/// An open WebSocket.
pub type WebSocket = WebSocketStream<Stream>;

impl Dialer {
    /// With the usual roots and, if given, those in a PEM file. `allow_plain` extends plain connections beyond this machine. No
    /// proxy is used, whatever the environment says.
    ///
    /// # Errors
    /// When the file cannot be read or holds no certificate.
    pub fn new(extra_authorities: Option<&Path>, allow_plain: bool) -> io::Result<Self> {
        let trusts_more = extra_authorities.is_some();
        Ok(Self {
            tls: Arc::new(client_config(extra_authorities)?),
            allow_plain,
            trusts_more,
            proxies: Proxies::default(),
            within: None,
            hold: None,
        })
    }

    /// Whether other authorities are trusted than those that browsers trust.
    pub(crate) const fn trusts_more(&self) -> bool {
        self.trusts_more
    }

    /// The same, but through the proxies that are named, if one leads to an address.
    #[must_use]
    pub fn through(mut self, proxies: Proxies) -> Self {
        self.proxies = proxies;
        self
    }

    /// The way to `url` under these rules.
    pub(crate) fn way_to(&self, url: &Url) -> Result<Way<'_>, SettingError> {
        self.proxies.way_to(url)
    }

    /// The same, but WebSockets go where `open` leads them and not over the network, and are not encrypted: for a server
    /// within this process, and for time that is not real, with which sockets do not go.
    #[must_use]
    pub fn within(mut self, open: impl Fn(&Url) -> io::Result<DuplexStream> + Send + Sync + 'static) -> Self {
        self.within = Some(Arc::new(open));
        self
    }

    /// The same, but what `hold` makes lives for as long as an HTTP request is under way, which takes a real socket everywhere:
    /// time that is not real must stand still meanwhile, or a request lasts as long as this machine is busy.
    #[must_use]
    pub fn holding(mut self, hold: impl Fn() -> Held + Send + Sync + 'static) -> Self {
        self.hold = Some(Arc::new(hold));
        self
    }

    /// To be kept while an HTTP request is under way.
    pub(crate) fn hold(&self) -> Option<Held> {
        self.hold.as_ref().map(|hold| hold())
    }

    /// Whether `url` may be used under these rules.
    ///
    /// # Errors
    /// [`DialError::Plain`], or [`DialError::Address`] for other schemes.
    pub fn check(&self, url: &Url) -> Result<(), DialError> {
        match url.scheme() {
            "https" | "wss" => Ok(()),
            "http" | "ws" if self.allow_plain || is_loopback(url) => Ok(()),
            "http" | "ws" => Err(DialError::Plain),
            _ => Err(DialError::Address("the address must begin with https, wss, http or ws")),
        }
    }

    /// Open a WebSocket. `request` carries URL and headers.
    ///
    /// # Errors
    /// Any [`DialError`]; nothing stays open then.
    pub async fn websocket(
        &self,
        url: &Url,
        request: Request<()>,
        config: WebSocketConfig,
    ) -> Result<(WebSocket, Response<Option<Vec<u8>>>), DialError> {
        self.check(url)?;
        let begun = match &self.within {
            Some(open) => Begun::There(Stream::Within(open(url).map_err(DialError::Connect)?)),
            None => self.begin(url).await?,
        };
        let opening = async {
            let stream = self.finish(url, begun).await?;
            tokio_tungstenite::client_async_with_config(request, stream, Some(config)).await.map_err(
                |error| match error {
                    tungstenite::Error::Http(response) => DialError::Refused(response),
                    other => DialError::WebSocket(Box::new(other)),
                },
            )
        };
        timeout(HANDSHAKE_LIMIT, Box::pin(opening)).await.map_err(|_| DialError::TimedOut)?
    }

    /// The connection of the system's that the way to `url` begins with.
    async fn begin(&self, url: &Url) -> Result<Begun<'_>, DialError> {
        match self.way_to(url)? {
            Way::Direct | Way::Past(..) => Ok(Begun::There(Stream::Plain(tcp(url).await?))),
            Way::Through(proxy) => {
                let stream = tcp(proxy.url()).await.map_err(unreachable)?;
                Ok(Begun::AtProxy(Stream::Plain(stream), proxy))
            }
        }
    }

    /// What is left of the way: through the proxy, and the encryption.
    async fn finish(&self, url: &Url, begun: Begun<'_>) -> Result<Stream, DialError> {
        let (stream, proxy) = match begun {
            Begun::There(stream) => return self.secure(url, stream).await,
            Begun::AtProxy(stream, proxy) => (stream, proxy),
        };
        let stream = self.secure(proxy.url(), stream).await.map_err(unreachable)?;
        let stream = tunnel::lead_on(stream, proxy, &authority(url)?).await?;
        self.secure(url, stream).await.map_err(behind_proxy)
    }

    /// Put the encryption on a connection that `url` asks for.
    pub(crate) async fn secure(&self, url: &Url, stream: Stream) -> Result<Stream, DialError> {
        if matches!(url.scheme(), "http" | "ws") || matches!(stream, Stream::Within(_)) {
            return Ok(stream);
        }
        let name = match url.host() {
            Some(Host::Domain(name)) => ServerName::try_from(name.to_owned()).ok(),
            Some(Host::Ipv4(address)) => Some(ServerName::from(IpAddr::V4(address))),
            Some(Host::Ipv6(address)) => Some(ServerName::from(IpAddr::V6(address))),
            None => None,
        };
        let name = name.ok_or(DialError::Address("the address has no valid host name"))?;
        // The last of the handshake leaves with the request that follows.
        let mut stream = Corked::new(stream);
        stream.cork();
        let mut stream =
            TlsConnector::from(Arc::clone(&self.tls)).connect(name, stream).await.map_err(DialError::Tls)?;
        stream.get_mut().0.uncork();
        Ok(Stream::Tls(Box::new(stream)))
    }
}

/// A way that has begun.
enum Begun<'p> {
    /// It leads there.
    There(Stream),
    /// It leads to the proxy.
    AtProxy(Stream, &'p proxy::Proxy),
}

fn unreachable(error: DialError) -> DialError {
    TunnelError::Unreachable(Box::new(error)).into()
}

/// What failed behind a proxy, and may be its doing.
pub(crate) fn behind_proxy(error: DialError) -> DialError {
    use rustls::{CertificateError, Error};
    match error {
        DialError::Tls(error) => match cause(&error) {
            Some(Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::Other(_))) => {
                DialError::TlsBehindProxy(error)
            }
            _ => DialError::Tls(error),
        },
        other => other,
    }
}

/// A GET request that asks for a WebSocket at `url`.
///
/// # Errors
/// [`DialError::Address`] when `url` has no host.
pub fn upgrade_request(url: &Url) -> Result<http::request::Builder, DialError> {
    Ok(Request::builder()
        .uri(url.as_str())
        .header("Host", host_field(url)?)
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", tungstenite::handshake::client::generate_key())
        .header("User-Agent", USER_AGENT))
}

/// What the field `Host` says: the port only where it is not the usual one.
fn host_field(url: &Url) -> Result<String, DialError> {
    let host = url.host_str().ok_or(NO_HOST)?;
    Ok(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}

/// Host and port, as a proxy is asked for them (RFC 9112 section 3.2.3).
pub(crate) fn authority(url: &Url) -> Result<String, DialError> {
    let host = url.host_str().ok_or(NO_HOST)?;
    let port = url.port_or_known_default().ok_or(DialError::Address("the address has no port"))?;
    Ok(format!("{host}:{port}"))
}

const NO_HOST: DialError = DialError::Address("the address has no host name");

/// Whether `url` names this machine.
#[must_use]
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// What is wrong with the other end's encryption, if that is what `error` comes from, in words that say what helps.
pub(crate) fn tls_trouble(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    use rustls::{CertificateError, Error};
    let text = match cause(error)? {
        Error::InvalidCertificate(certificate) => match certificate {
            CertificateError::UnknownIssuer => {
                "no authority that is trusted here has signed its certificate; give the one that has with --extra-ca-file"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "its certificate is for another name than the address"
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "its certificate has expired, or this machine's clock is wrong"
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "its certificate is not valid yet, or this machine's clock is wrong"
            }
            // How a certificate looks that has signed itself.
            CertificateError::Other(_) => {
                "its certificate is not one that an authority has signed for a server; have one signed, and give the authority with --extra-ca-file if it is your own"
            }
            other => return Some(format!("its certificate cannot be accepted ({other})")),
        },
        Error::InvalidMessage(_) => "what answers is not encrypted; it may be at http://, or at another port",
        Error::PeerIncompatible(_) | Error::AlertReceived(rustls::AlertDescription::ProtocolVersion) => {
            "it does not speak TLS 1.3, the least that is accepted"
        }
        other => return Some(format!("the encrypted connection failed ({other})")),
    };
    Some(text.into())
}

/// The first cause of this kind. An I/O error hides what it was made from between itself and its source.
pub(crate) fn cause<'e, T: std::error::Error + 'static>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e T> {
    let mut next = Some(error);
    while let Some(error) = next {
        let inside = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let inside = inside.and_then(|inside| cause(inside));
        if let Some(found) = error.downcast_ref().or(inside) {
            return Some(found);
        }
        next = error.source();
    }
    None
}

async fn tcp(url: &Url) -> Result<TcpStream, DialError> {
    let stream = race(url_addresses(url).await?, TcpStream::connect).await?;
    tune(&stream);
    Ok(stream)
}

/// The connection to whichever of `addresses` answers first (RFC 8305): a home's IPv6 may lead nowhere and its IPv4 work, or the
/// other way round, and nobody says so. An address is tried when the one before it has failed or has had its [`HEAD_START`].
async fn race<S, C>(addresses: Vec<SocketAddr>, connect: impl Fn(SocketAddr) -> C) -> Result<S, DialError>
where
    C: Future<Output = io::Result<S>>,
{
    let mut untried = by_turns(addresses).into_iter();
    let mut tried = FuturesUnordered::new();
    let mut last = DialError::Address("the host name has no address");
    loop {
        match untried.next() {
            Some(address) => tried.push(timeout(CONNECT_LIMIT, connect(address))),
            None if tried.is_empty() => return Err(last),
            None => {}
        }
        tokio::select! {
            biased;
            Some(ended) = tried.next() => match ended {
                Ok(Ok(connected)) => return Ok(connected),
                Ok(Err(error)) => last = DialError::Connect(error),
                Err(_) => last = DialError::TimedOut,
            },
            () = sleep(HEAD_START), if untried.len() > 0 => {}
        }
    }
}

/// The two families by turns, each in its order, beginning with the one that the system puts first.
fn by_turns(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v4 = addresses.first().is_some_and(SocketAddr::is_ipv4);
    let (ones, others): (Vec<_>, Vec<_>) = addresses.into_iter().partition(|address| address.is_ipv4() == first_is_v4);
    let (mut ones, mut others) = (ones.into_iter(), others.into_iter());
    let pairs = std::iter::from_fn(|| Some([ones.next(), others.next()]).filter(|pair| *pair != [None, None]));
    pairs.flatten().flatten().collect()
}

async fn url_addresses(url: &Url) -> Result<Vec<SocketAddr>, DialError> {
    let port = url.port_or_known_default().ok_or(DialError::Address("the address has no port"))?;
    match url.host() {
        Some(Host::Ipv4(address)) => Ok(vec![(address, port).into()]),
        Some(Host::Ipv6(address)) => Ok(vec![(address, port).into()]),
        Some(Host::Domain(name)) => {
            let found = timeout(CONNECT_LIMIT, tokio::net::lookup_host((name, port)));
            Ok(found.await.map_err(|_| DialError::TimedOut)?.map_err(DialError::Connect)?.collect())
        }
        None => Err(NO_HOST),
    }
}

/// Best effort: a system that knows none of these options still works, only notices a dead peer later.
fn tune(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    let socket = socket2::SockRef::from(stream);
    let keepalive = socket2::TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE / 3);
    let _ = socket.set_tcp_keepalive(&keepalive);
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let _ = socket.set_tcp_user_timeout(Some(USER_TIMEOUT));
}

/// The certificates in this PEM, and nothing else that may be in it.
///
/// # Errors
/// When one cannot be read, or there is none.
pub(crate) fn certificates(pem: &[u8]) -> io::Result<String> {
    let broken = |error: rustls::pki_types::pem::Error| io::Error::new(io::ErrorKind::InvalidData, error.to_string());
    let mut text = String::new();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let encoded = STANDARD.encode(certificate.map_err(broken)?);
        text.push_str("-----BEGIN CERTIFICATE-----\n");
        for line in encoded.as_bytes().chunks(64) {
            text.extend(line.iter().copied().map(char::from).chain(['\n']));
        }
        text.push_str("-----END CERTIFICATE-----\n");
    }
    if text.is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "there is no certificate in it"));
    }
    Ok(text)
}

fn client_config(extra_authorities: Option<&Path>) -> io::Result<ClientConfig> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(path) = extra_authorities {
        let unreadable =
            |error: rustls::pki_types::pem::Error| io::Error::new(io::ErrorKind::InvalidData, error.to_string());
        let mut added = 0;
        for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
            roots.add(certificate.map_err(unreadable)?).map_err(io::Error::other)?;
            added += 1;
        }
        if added == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the file holds no certificate"));
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(io::Error::other)?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// A connection, encrypted or not.
#[derive(Debug)]
pub enum Stream {
    /// Not encrypted.
    Plain(TcpStream),
    /// TLS, over one of the others.
    Tls(Box<TlsStream<Corked<Stream>>>),
    /// Through a proxy, with what it sent at once.
    Tunnel(Box<BufReader<Stream>>),
    /// To something within this process.
    Within(DuplexStream),
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tunnel(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Within(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tunnel(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Within(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tunnel(stream) => Pin::new(stream).poll_flush(cx),
            Self::Within(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tunnel(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Within(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn dead_peers_are_noticed_by_the_system_too() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("ws://{}/", listener.local_addr().unwrap())).unwrap();
        let stream = tcp(&url).await.unwrap();
        let socket = socket2::SockRef::from(&stream);
        assert!(socket.tcp_nodelay().unwrap() && socket.keepalive().unwrap());
        #[cfg(any(target_os = "linux", target_os = "android"))]
        {
            assert_eq!(socket.tcp_keepalive_time().unwrap(), KEEPALIVE);
            assert_eq!(socket.tcp_user_timeout().unwrap(), Some(USER_TIMEOUT));
        }
    }

    /// Of these, an address that ends in 1 answers, in 2 refuses, and in 3 says nothing.
    async fn raced(addresses: &[&str]) -> (Result<SocketAddr, DialError>, Duration) {
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        let begun = tokio::time::Instant::now();
        let connect = |address: SocketAddr| async move {
            match address.ip().to_string().chars().next_back() {
                Some('1') => Ok(address),
                Some('2') => Err(io::ErrorKind::ConnectionRefused.into()),
                _ => std::future::pending().await,
            }
        };
        (race(addresses, connect).await, begun.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_family_that_leads_nowhere_costs_a_moment_and_no_timeout() {
        let (v4, v6) = ("192.0.2.1:443", "[2001:db8::1]:443");
        for (addresses, winner, took) in [
            (&[v6, v4][..], v6, 0),
            (&["[2001:db8::3]:443", "[2001:db8::13]:443", v4], v4, 250),
            (&["192.0.2.3:443", v6], v6, 250),
            (&["[2001:db8::2]:443", v4], v4, 0),
            (&["192.0.2.3:443", "[2001:db8::3]:443", v4], v4, 500),
        ] {
            let (won, after) = raced(addresses).await;
            assert_eq!((won.unwrap(), after), (winner.parse().unwrap(), Duration::from_millis(took)), "{addresses:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn where_nobody_answers_the_last_reason_is_told() {
        assert!(matches!(raced(&[]).await.0, Err(DialError::Address(_))));
        let (refused, after) = raced(&["192.0.2.2:443", "[2001:db8::2]:443"]).await;
        assert!(matches!(refused, Err(DialError::Connect(_))) && after.is_zero(), "{refused:?}");
        let (silent, after) = raced(&["192.0.2.3:443", "[2001:db8::3]:443"]).await;
        assert!(matches!(silent, Err(DialError::TimedOut)), "{silent:?}");
        assert_eq!(after, CONNECT_LIMIT + HEAD_START, "side by side, not one after the other");
    }

    #[test]
    fn what_is_wrong_with_a_certificate_is_said_with_what_helps() {
        use rustls::{CertificateError, Error};
        let certificate = |wrong| Error::InvalidCertificate(wrong);
        for (error, said) in [
            (certificate(CertificateError::UnknownIssuer), "--extra-ca-file"),
            (certificate(CertificateError::NotValidForName), "another name"),
            (certificate(CertificateError::Expired), "expired"),
            (Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType), "not encrypted"),
        ] {
            // As the TLS library hands it on.
            let error = io::Error::new(io::ErrorKind::InvalidData, error);
            let text = DialError::Tls(error).to_string();
            assert!(text.contains(said), "{text}");
        }
        assert_eq!(tls_trouble(&io::Error::other("reset")), None);
    }

    #[test]
    fn plain_connections_stay_on_this_machine_unless_allowed() {
        let strict = Dialer::new(None, false).unwrap();
        let lax = Dialer::new(None, true).unwrap();
        for (url, allowed) in [
            ("wss://relay.example/x", true),
            ("https://cloud.example", true),
            ("ws://127.0.0.1:1/x", true),
            ("ws://[::1]:1/x", true),
            ("http://localhost:8080", true),
            ("ws://relay.example/x", false),
            ("http://192.168.1.2", false),
            ("http://localhost.example", false),
        ] {
            let url = Url::parse(url).unwrap();
            assert_eq!(strict.check(&url).is_ok(), allowed, "{url}");
            assert!(lax.check(&url).is_ok(), "{url}");
        }
        assert!(lax.check(&Url::parse("ftp://localhost/").unwrap()).is_err());
    }
}
