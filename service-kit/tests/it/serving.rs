//! The HTTP server: TLS versions, certificates that change, bounds, and stopping.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Extension;
use axum::routing::get;
use macloud_service_kit::clock;
use macloud_service_kit::http::{Peer, Security, Server, ServerLimits};
use macloud_service_kit::metrics::Metrics;
use macloud_service_kit::stop::Stop;
use macloud_service_kit::tickets::TicketKeys;
use macloud_service_kit::tls::{Certificate, reload_on_hangup};
use rustls::server::ProducesTickets as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

fn router() -> Router {
    let tell = |Extension(peer): Extension<Peer>| async move {
        match peer.security {
            Security::Plain => "plain",
            Security::Tls12 => "1.2",
            Security::Tls13 => "1.3",
        }
    };
    let slow = || async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        "finished"
    };
    Router::new().route("/", get(tell)).route("/slow", get(slow)).route("/never", get(std::future::pending::<()>))
}

struct Files(PathBuf);

impl Files {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("macloud-tls-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let files = Self(dir);
        files.renew();
        files
    }

    /// A new self-signed certificate for localhost; its DER.
    fn renew(&self) -> Vec<u8> {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(self.0.join("cert.pem"), made.cert.pem()).unwrap();
        std::fs::write(self.0.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
        made.cert.der().to_vec()
    }

    fn load(&self) -> Arc<Certificate> {
        Certificate::load(&self.0.join("cert.pem"), &self.0.join("key.pem")).unwrap()
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn start(certificate: Option<Arc<Certificate>>, limits: ServerLimits) -> (SocketAddr, Stop) {
    macloud_service_kit::tls::install_provider();
    let server = Server::bind((Ipv4Addr::LOCALHOST, 0).into(), certificate).await.unwrap().with_limits(limits);
    let address = server.local_addr().unwrap();
    let stop = Stop::new();
    tokio::spawn(server.serve(router(), stop.clone()));
    (address, stop)
}

async fn fetch(address: SocketAddr, root: &[u8], newest: reqwest::tls::Version) -> Result<String, reqwest::Error> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(rustls_pki_types::CertificateDer::from(root.to_vec())).unwrap();
    let versions: &[&rustls::SupportedProtocolVersion] =
        if newest == reqwest::tls::Version::TLS_1_2 { &[&rustls::version::TLS12] } else { &[&rustls::version::TLS13] };
    let tls = rustls::ClientConfig::builder_with_protocol_versions(versions)
        .with_root_certificates(roots)
        .with_no_client_auth();
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .resolve("localhost", address)
        .no_proxy()
        .build()
        .unwrap();
    client.get(format!("https://localhost:{}/", address.port())).send().await?.text().await
}

#[tokio::test]
async fn both_tls_versions_are_served_and_told_apart_and_a_renewed_certificate_is_used_at_once() {
    use reqwest::tls::Version;
    let files = Files::new("reload");
    let first = files.renew();
    let certificate = files.load();
    let (address, _stop) = start(Some(certificate.clone()), ServerLimits::default()).await;
    assert_eq!(fetch(address, &first, Version::TLS_1_3).await.unwrap(), "1.3");
    assert_eq!(fetch(address, &first, Version::TLS_1_2).await.unwrap(), "1.2");
    let second = files.renew();
    assert!(fetch(address, &second, Version::TLS_1_3).await.is_err());
    certificate.reload().unwrap();
    assert_eq!(fetch(address, &second, Version::TLS_1_3).await.unwrap(), "1.3");
    std::fs::write(files.0.join("key.pem"), "rubbish").unwrap();
    assert!(certificate.reload().is_err());
    assert_eq!(fetch(address, &second, Version::TLS_1_3).await.unwrap(), "1.3", "the old certificate stays");
}

#[tokio::test]
async fn whoever_was_here_resumes_however_many_came_since() {
    let files = Files::new("resume");
    let root = files.renew();
    let (address, _stop) = start(Some(files.load()), ServerLimits::default()).await;
    let client = || {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(rustls_pki_types::CertificateDer::from(root.clone())).unwrap();
        tokio_rustls::TlsConnector::from(Arc::new(
            rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth(),
        ))
    };
    let connect = async |client: &tokio_rustls::TlsConnector| {
        let tcp = TcpStream::connect(address).await.unwrap();
        let mut tls = client.connect("localhost".try_into().unwrap(), tcp).await.unwrap();
        // The ticket comes after the handshake.
        tls.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.unwrap();
        let _ = tls.read_to_end(&mut Vec::new()).await;
        tls.get_ref().1.handshake_kind()
    };
    let regular = client();
    assert_eq!(connect(&regular).await, Some(rustls::HandshakeKind::Full));
    // More than the sessions that a server keeps by default.
    for _ in 0..300 {
        assert_eq!(connect(&client()).await, Some(rustls::HandshakeKind::Full));
    }
    assert_eq!(connect(&regular).await, Some(rustls::HandshakeKind::Resumed));
}

#[tokio::test]
async fn whoever_comes_back_to_another_node_resumes_there_where_they_share_keys() {
    let files = Files::new("tickets");
    let root = files.renew();
    let file = files.0.join("tickets");
    // 32 bytes.
    std::fs::write(&file, "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n").unwrap();
    let node = async |shared: bool| {
        macloud_service_kit::tls::install_provider();
        let keys = shared.then(|| TicketKeys::load(&file, clock::system()).unwrap());
        let server = Server::bind((Ipv4Addr::LOCALHOST, 0).into(), Some(files.load())).await.unwrap();
        let server = server.with_ticket_keys(keys.clone());
        let address = server.local_addr().unwrap();
        tokio::spawn(server.serve(router(), Stop::new()));
        (address, keys)
    };
    let mut roots = rustls::RootCertStore::empty();
    roots.add(rustls_pki_types::CertificateDer::from(root)).unwrap();
    let tls = Arc::new(rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth());
    let client = tokio_rustls::TlsConnector::from(tls);
    let kind = async |address: SocketAddr| {
        let tcp = TcpStream::connect(address).await.unwrap();
        let mut tls = client.connect("localhost".try_into().unwrap(), tcp).await.unwrap();
        // The ticket comes after the handshake.
        tls.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.unwrap();
        let _ = tls.read_to_end(&mut Vec::new()).await;
        tls.get_ref().1.handshake_kind().unwrap()
    };
    let ((alone, _), (one, _), (other, keys)) = (node(false).await, node(true).await, node(true).await);
    assert_eq!(kind(one).await, rustls::HandshakeKind::Full);
    assert_eq!(kind(other).await, rustls::HandshakeKind::Resumed);
    assert_eq!(kind(one).await, rustls::HandshakeKind::Resumed);
    // Another key, which the other node has read: what the first one sealed means nothing to it.
    std::fs::write(&file, "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=\n").unwrap();
    keys.unwrap().reload().unwrap();
    assert_eq!(kind(other).await, rustls::HandshakeKind::Full);
    assert_eq!(kind(alone).await, rustls::HandshakeKind::Full);
}

#[tokio::test]
async fn keys_that_change_are_read_again_at_a_hangup() {
    let files = Files::new("ticket-hangup");
    let file = files.0.join("tickets");
    std::fs::write(&file, "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n").unwrap();
    let keys = TicketKeys::load(&file, clock::system()).unwrap();
    let watching = keys.clone();
    let watched = tokio::spawn(async move { watching.keep_fresh().await });
    // From its first turn on it hears the signal, which would end this process otherwise.
    tokio::task::yield_now().await;
    let before = keys.encrypt(b"session").unwrap();
    std::fs::write(&file, "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=\n").unwrap();
    let pid = std::process::id().to_string();
    assert!(std::process::Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
    let started = std::time::Instant::now();
    while keys.decrypt(&before).is_some() {
        assert!(started.elapsed() < Duration::from_secs(5), "it was never read again");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    watched.abort();
}

#[tokio::test]
async fn whoever_is_let_go_is_counted() {
    let metrics = Metrics::install("test").unwrap();
    let files = Files::new("shed");
    let limits =
        ServerLimits { waiting_per_network: 1, hello_timeout: Duration::from_millis(100), ..ServerLimits::default() };
    let (address, _stop) = start(Some(files.load()), limits).await;
    let mut silent = TcpStream::connect(address).await.unwrap();
    let mut one_too_many = TcpStream::connect(address).await.unwrap();
    for stream in [&mut one_too_many, &mut silent] {
        assert_eq!(stream.read_to_end(&mut Vec::new()).await.unwrap(), 0);
    }
    let mut nonsense = TcpStream::connect(address).await.unwrap();
    nonsense.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let _ = nonsense.read_to_end(&mut Vec::new()).await;
    let told = metrics.render().unwrap();
    for reason in ["network_waits", "silent", "handshake_failed"] {
        let counted = told.lines().any(|line| {
            line.starts_with("macloud_http_shed_total{")
                && line.contains(&format!("reason=\"{reason}\""))
                && line.ends_with(" 1")
        });
        assert!(counted, "{reason}: {told}");
    }
}

/// A client that trusts this root, and what it says first.
fn hello(root: Vec<u8>) -> (Arc<rustls::ClientConfig>, Vec<u8>) {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(rustls_pki_types::CertificateDer::from(root)).unwrap();
    let tls = Arc::new(rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth());
    let mut hello = Vec::new();
    rustls::ClientConnection::new(tls.clone(), "localhost".try_into().unwrap()).unwrap().write_tls(&mut hello).unwrap();
    (tls, hello)
}

#[tokio::test]
async fn whoever_waits_too_long_for_a_handshake_is_let_go() {
    let metrics = Metrics::install("test").unwrap();
    let files = Files::new("turn");
    let (_, hello) = hello(files.renew());
    // Nobody's turn ever comes.
    let limits = ServerLimits { handshakes: 0, turn_timeout: Duration::from_millis(200), ..ServerLimits::default() };
    let (address, _stop) = start(Some(files.load()), limits).await;
    let mut refused = TcpStream::connect(address).await.unwrap();
    refused.write_all(&hello).await.unwrap();
    assert!(!matches!(refused.read(&mut [0; 1]).await, Ok(1..)), "closed without a word");
    let told = metrics.render().unwrap();
    assert!(told.contains("reason=\"handshake_turn\""), "{told}");
}

#[tokio::test]
async fn whoever_says_hello_and_then_nothing_keeps_nobody_waiting() {
    const LONG: Duration = Duration::from_secs(3600);
    let files = Files::new("stuck");
    let (tls, hello) = hello(files.renew());
    let limits = ServerLimits { handshakes: 1, turn_timeout: LONG, handshake_timeout: LONG, ..ServerLimits::default() };
    let (address, _stop) = start(Some(files.load()), limits).await;
    let mut stuck = TcpStream::connect(address).await.unwrap();
    stuck.write_all(&hello).await.unwrap();
    stuck.read_exact(&mut [0; 1]).await.unwrap();
    let tcp = TcpStream::connect(address).await.unwrap();
    let whole = tokio_rustls::TlsConnector::from(tls).connect("localhost".try_into().unwrap(), tcp);
    tokio::time::timeout(Duration::from_secs(30), whole).await.expect("its turn comes").unwrap();
}

#[tokio::test]
async fn a_hangup_has_the_certificate_read_again() {
    let files = Files::new("hangup");
    files.renew();
    let certificate = files.load();
    reload_on_hangup(vec![certificate.clone()]).unwrap();
    let (address, _stop) = start(Some(certificate), ServerLimits::default()).await;
    let second = files.renew();
    let pid = std::process::id().to_string();
    assert!(std::process::Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
    let started = std::time::Instant::now();
    while fetch(address, &second, reqwest::tls::Version::TLS_1_3).await.is_err() {
        assert!(started.elapsed() < Duration::from_secs(5), "it was never read again");
    }
}

#[tokio::test]
async fn a_request_in_flight_is_finished_at_a_soft_stop_and_new_ones_are_refused() {
    let (address, stop) = start(None, ServerLimits::default()).await;
    let client = macloud_service_kit::client::client(Duration::from_secs(5));
    let slow = tokio::spawn(client.get(format!("http://{address}/slow")).send());
    tokio::time::sleep(Duration::from_millis(50)).await;
    stop.stop_soft();
    assert_eq!(slow.await.unwrap().unwrap().text().await.unwrap(), "finished");
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn one_address_cannot_hold_every_connection() {
    let limits = ServerLimits { waiting_per_network: 2, ..ServerLimits::default() };
    let (address, _stop) = start(None, limits).await;
    let connect = async |from: [u8; 4]| {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind((from, 0).into()).unwrap();
        socket.connect(address).await.unwrap()
    };
    let ask = async |stream: &mut TcpStream| {
        let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
        let mut answer = vec![0; 200];
        let length = stream.read(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer[..length]).to_lowercase()
    };
    let (mut first, _second) = (connect([127, 0, 0, 1]).await, connect([127, 0, 0, 1]).await);
    let mut turned_away = String::new();
    connect([127, 0, 0, 1]).await.read_to_string(&mut turned_away).await.unwrap();
    assert!(turned_away.starts_with("HTTP/1.1 429") && turned_away.contains("retry-after: 5"), "{turned_away}");
    assert!(ask(&mut connect([127, 0, 0, 2]).await).await.starts_with("http/1.1 200"), "others are served");
    // Whoever has asked for something does not count any more, although its connection stays.
    assert!(ask(&mut first).await.starts_with("http/1.1 200"));
    assert!(ask(&mut connect([127, 0, 0, 1]).await).await.starts_with("http/1.1 200"));
    assert!(ask(&mut first).await.starts_with("http/1.1 200"));
}

#[tokio::test]
async fn one_address_cannot_keep_every_connection_busy() {
    let (address, _stop) = start(None, ServerLimits { open_per_network: 2, ..ServerLimits::default() }).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        assert!(stream.read(&mut [0; 200]).await.unwrap() > 0);
        held.push(stream);
    }
    let mut turned_away = String::new();
    TcpStream::connect(address).await.unwrap().read_to_string(&mut turned_away).await.unwrap();
    assert!(turned_away.starts_with("HTTP/1.1 429"), "{turned_away}");
}

/// Says when the answer it is part of has been given up.
struct Endless(tokio::sync::mpsc::UnboundedSender<()>);

impl Drop for Endless {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_peer_that_takes_nothing_is_given_up() {
    macloud_service_kit::tls::install_provider();
    let (given_up, mut was_given_up) = tokio::sync::mpsc::unbounded_channel();
    let endless = move || {
        let until = Endless(given_up.clone());
        async move {
            let chunk = axum::body::Bytes::from_static(&[0; 16 * 1024]);
            axum::body::Body::from_stream(futures_util::stream::repeat_with(move || {
                let _held = &until;
                Ok::<_, std::io::Error>(chunk.clone())
            }))
        }
    };
    let limits = ServerLimits { user_timeout: Duration::from_millis(300), ..ServerLimits::default() };
    let server = Server::bind((Ipv4Addr::LOCALHOST, 0).into(), None).await.unwrap().with_limits(limits);
    let address = server.local_addr().unwrap();
    tokio::spawn(server.serve(Router::new().route("/", get(endless)), Stop::new()));
    let mut stalled = TcpStream::connect(address).await.unwrap();
    stalled.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    // It stays connected and reads nothing.
    tokio::time::timeout(Duration::from_secs(20), was_given_up.recv()).await.expect("the connection is kept").unwrap();
    drop(stalled);
}

#[tokio::test]
async fn whoever_dawdles_over_a_request_head_is_cut_off() {
    let limits = ServerLimits { header_timeout: Duration::from_millis(100), ..ServerLimits::default() };
    let (address, _stop) = start(None, limits).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n").await.unwrap();
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "the connection is still open");
}

#[tokio::test]
async fn whoever_connects_and_says_nothing_is_cut_off_and_keeps_nobody_waiting() {
    let files = Files::new("silent");
    let root = files.renew();
    let limits = ServerLimits {
        handshakes: 2,
        hello_timeout: Duration::from_millis(500),
        header_timeout: Duration::from_millis(300),
        ..ServerLimits::default()
    };
    let (address, _stop) = start(Some(files.load()), limits).await;
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    let answer =
        tokio::time::timeout(Duration::from_millis(400), fetch(address, &root, reqwest::tls::Version::TLS_1_3));
    assert_eq!(answer.await.expect("nobody waits for the silent").unwrap(), "1.3");
    for mut stream in silent {
        let ended = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut Vec::new())).await;
        assert!(ended.is_ok(), "a silent connection is still open");
    }
    let (plain, _stop) = start(None, limits).await;
    for preface in ["", "PRI * HT", "P"] {
        let mut stream = TcpStream::connect(plain).await.unwrap();
        stream.write_all(preface.as_bytes()).await.unwrap();
        let ended = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut Vec::new())).await;
        assert!(ended.is_ok(), "a connection that sent {preface:?} is still open");
    }
}

/// A connection that speaks HTTP/2 frame by frame.
struct Frames(TcpStream);

impl Frames {
    async fn open(address: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        let mut frames = Self(stream);
        frames.send(SETTINGS, 0, 0, &[]).await.unwrap();
        frames
    }

    async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> std::io::Result<()> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
        frame.extend_from_slice(payload);
        self.0.write_all(&frame).await
    }

    /// Ask for a path, on this stream.
    async fn ask(&mut self, stream: u32, path: &str) -> std::io::Result<()> {
        // `:method: GET` and `:scheme: http` by their numbers; path and authority in clear.
        let mut head = vec![0x82, 0x86, 0x04, u8::try_from(path.len()).unwrap()];
        head.extend_from_slice(path.as_bytes());
        head.extend_from_slice(&[0x01, 1, b'x']);
        self.send(HEADERS, 0x05, stream, &head).await
    }

    async fn take_back(&mut self, stream: u32) -> std::io::Result<()> {
        self.send(RST_STREAM, 0, stream, &8_u32.to_be_bytes()).await
    }

    /// The next frame: its kind and stream; none when the connection has ended.
    async fn next(&mut self) -> Option<(u8, u32)> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        self.0.read_exact(&mut vec![0; length as usize]).await.ok()?;
        Some((head[3], u32::from_be_bytes(head[5..].try_into().unwrap())))
    }

    /// Wait for a frame of this kind.
    async fn wait_for(&mut self, kind: u8) -> Option<u32> {
        loop {
            match self.next().await? {
                (other, stream) if other == kind => return Some(stream),
                _ => {}
            }
        }
    }

    /// That everything sent so far was looked at.
    async fn sync(&mut self) -> Option<u32> {
        self.send(PING, 0, 0, &[0; 8]).await.ok()?;
        self.wait_for(PING).await
    }

    async fn ends(mut self) -> bool {
        tokio::time::timeout(Duration::from_secs(10), async { while self.next().await.is_some() {} }).await.is_ok()
    }
}

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;

#[tokio::test]
async fn an_http2_connection_on_which_nothing_is_asked_any_more_ends() {
    let limits = ServerLimits {
        header_timeout: Duration::from_millis(300),
        idle_timeout: Duration::from_millis(100),
        ..ServerLimits::default()
    };
    let (address, _stop) = start(None, limits).await;
    let mut waiting = Frames::open(address).await;
    waiting.ask(1, "/slow").await.unwrap();
    let mut idle = Frames::open(address).await;
    idle.ask(1, "/").await.unwrap();
    assert_eq!(idle.wait_for(HEADERS).await, Some(1));
    assert!(idle.ends().await, "it is still open, though it never acknowledged that it was to end");
    assert_eq!(waiting.wait_for(HEADERS).await, Some(1), "whoever waits for an answer gets it");
    assert!(waiting.ends().await, "it is still open");
}

#[tokio::test]
async fn whoever_takes_back_more_than_they_let_be_answered_is_cut_off() {
    let (address, _stop) = start(None, ServerLimits { taken_back: 5, ..ServerLimits::default() }).await;
    let mut frames = Frames::open(address).await;
    let mut stream = 1;
    // One by one, so that each was begun before it is taken back: of others the protocol itself allows few.
    for _ in 0..5 {
        frames.ask(stream, "/never").await.unwrap();
        frames.sync().await.unwrap();
        frames.take_back(stream).await.unwrap();
        frames.sync().await.unwrap();
        stream += 2;
    }
    frames.ask(stream, "/").await.unwrap();
    assert_eq!(frames.wait_for(HEADERS).await, Some(stream));
    for _ in 0..2 {
        stream += 2;
        frames.ask(stream, "/never").await.unwrap();
        frames.sync().await.unwrap();
        frames.take_back(stream).await.unwrap();
    }
    assert!(frames.ends().await, "it is still open");

    let mut flood = Frames::open(address).await;
    for stream in (1..100).step_by(2) {
        let (asked, taken) = (flood.ask(stream, "/never").await, flood.take_back(stream).await);
        if asked.and(taken).is_err() {
            break;
        }
    }
    assert!(flood.ends().await, "it is still open");
}

#[tokio::test]
async fn a_request_that_does_not_name_one_host_is_refused() {
    let (address, _stop) = start(None, ServerLimits::default()).await;
    for (head, status) in [
        ("GET / HTTP/1.1\r\nHost: x:1\r\n", "200"),
        ("GET / HTTP/1.1\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n", "400"),
        ("GET http://x/ HTTP/1.1\r\nHost: y/z\r\n", "400"),
    ] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{head:?}: {answer}");
    }
}
