//! A home whose only way to the cloud is a proxy.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use macloud_connector::network::proxy::Proxies;
use macloud_connector::network::request::{HttpError, HttpRequest, Limits};
use macloud_connector::network::{DialError, Dialer};
use macloud_connector::status::Event;
use macloud_connector::{PairOptions, pair};
use macloud_e2ee::vocabulary::{Command, Reply};
use macloud_service_kit::clock;
use rustls::pki_types::PrivateKeyDer;
use rustls::{HandshakeKind, ServerConfig};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use url::Url;

use crate::chain::Home;
use crate::cloud::{Cloud, Sent, both};
use crate::doctor::{check, find, pair_with, says};
use crate::program::{lines, output_of};
use crate::scripted::{PATIENCE, Scripted, TOKEN};

/// A name that leads nowhere but through the proxy: it is never resolved here.
const CLOUD: &str = "http://cloud.invalid/";

const LIMITS: Limits = Limits { time: PATIENCE, bytes: 1 << 10 };

/// What a proxy does when it is asked.
#[derive(Clone)]
enum Says {
    /// It leads there, whatever name it was asked for.
    LeadsTo(SocketAddr),
    /// The same, for whoever tells this.
    LeadsWhoever(&'static str, SocketAddr),
    Answers(&'static str),
    /// This, for as long as somebody listens.
    Repeats(&'static str),
    HangsUp,
}

/// A proxy that does what the test says, and remembers what passed by.
struct Proxy {
    address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    _serving: JoinSet<()>,
}

#[derive(Default)]
struct Seen {
    /// What it was asked, one head each.
    asked: Vec<String>,
    /// What went from the home through it.
    passed: Vec<u8>,
}

impl Proxy {
    async fn that(says: Says) -> Self {
        Self::start(says, None).await
    }

    async fn start(says: Says, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, seen) = (listener.local_addr().unwrap(), Arc::<Mutex<Seen>>::default());
        let (shared, mut serving) = (Arc::clone(&seen), JoinSet::new());
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (says, seen, tls) = (says.clone(), Arc::clone(&shared), tls.clone());
                connections.spawn(async move {
                    match tls {
                        Some(tls) => serve(tls.accept(stream).await.ok()?, says, &seen).await,
                        None => serve(stream, says, &seen).await,
                    }
                });
            }
        });
        Self { address, seen, _serving: serving }
    }

    /// What it was asked, one head each.
    fn asked(&self) -> Vec<String> {
        self.seen.lock().unwrap().asked.clone()
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

async fn serve(mut home: impl AsyncRead + AsyncWrite + Unpin, says: Says, seen: &Mutex<Seen>) -> Option<()> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        head.push(home.read_u8().await.ok()?.into());
    }
    seen.lock().unwrap().asked.push(head.clone());
    match says {
        Says::LeadsWhoever(secret, _) if !head.contains(&format!("Proxy-Authorization: {secret}\r\n")) => {
            let refusal = "HTTP/1.1 407 X\r\nProxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n";
            home.write_all(refusal.as_bytes()).await.ok()?;
        }
        Says::LeadsWhoever(_, to) | Says::LeadsTo(to) => {
            let mut there = TcpStream::connect(to).await.ok()?;
            home.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.ok()?;
            pass_on(home, &mut there, seen).await;
        }
        Says::Answers(text) => home.write_all(text.as_bytes()).await.ok()?,
        Says::Repeats(text) => while home.write_all(text.as_bytes()).await.is_ok() {},
        Says::HangsUp => {}
    }
    Some(())
}

async fn pass_on(home: impl AsyncRead + AsyncWrite + Unpin, there: &mut TcpStream, seen: &Mutex<Seen>) {
    let (mut from_home, mut to_home) = tokio::io::split(home);
    let (mut from_there, mut to_there) = there.split();
    let outward = async {
        let mut part = [0; 4096];
        while let Ok(count @ 1..) = from_home.read(&mut part).await {
            seen.lock().unwrap().passed.extend_from_slice(&part[..count]);
            if to_there.write_all(&part[..count]).await.is_err() {
                return;
            }
        }
    };
    let inward = tokio::io::copy(&mut from_there, &mut to_home);
    tokio::select! { () = outward => {}, _ = inward => {} }
}

fn through(proxy: &str, dialer: Dialer) -> Dialer {
    dialer.through(Proxies::chosen(Some(&proxy.parse().unwrap()), |_| None).unwrap())
}

/// A home that is paired with a cloud which it reaches through this proxy alone.
async fn home_behind_a_proxy() -> (Home, Proxy) {
    let (cloud, address) = Cloud::called(CLOUD).await;
    let home = Home { cloud, ma: Scripted::start().await, state_dir: crate::music_assistant::tempdir("proxy") };
    let proxy = Proxy::that(Says::LeadsTo(address)).await;
    let options = PairOptions {
        cloud: home.cloud.url.clone(),
        state_dir: home.state_dir.clone(),
        name: None,
        ma_url: Some(home.ma.url.clone()),
        ma_token: macloud_connector::music_assistant::token::Token::parse(TOKEN),
        dialer: through(&proxy.url(), Dialer::new(None, true).unwrap()),
        clock: clock::system(),
    };
    timeout(PATIENCE, pair(options, |_| {})).await.unwrap().unwrap();
    (home, proxy)
}

#[tokio::test]
async fn a_home_whose_only_way_out_is_a_proxy_pairs_connects_and_obeys() {
    let (home, proxy) = home_behind_a_proxy().await;
    let mut options = home.options();
    options.dialer = through(&proxy.url(), Dialer::new(None, true).unwrap());
    let mut running = Home::run_with(options);
    let mut relay = home.cloud.next_session(1).await;
    running.ma_ready().await;
    running.heard("online", |event| matches!(event, Event::Online { epoch: 1, .. })).await;
    let session = home.cloud.establish(&mut relay).await;
    let mut sent = Sent::seal(&session, &Command::ListPlayers, both(), Duration::from_secs(8));
    assert!(matches!(relay.ask(&mut sent).await, Reply::Players { .. }));
    running.stop().await;
    // Music Assistant's port is in none of them: what is at home is spoken to directly.
    let asked = proxy.asked();
    assert!(asked.len() > 3 && asked.iter().all(|head| head.starts_with("CONNECT cloud.invalid:80 HTTP/1.1\r\n")));
    assert!(!asked.concat().contains("Authorization"), "{asked:?}");
}

/// Speaks TLS 1.3 under this name, by a certificate that is its own authority, which is in the file.
fn tls(name: &str) -> (TlsAcceptor, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec![name.into()]).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    let certificate = params.self_signed(&key).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
    (TlsAcceptor::from(Arc::new(config)), certificate.pem())
}

/// A server that says what it was asked.
async fn echo(tls: TlsAcceptor) -> (SocketAddr, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, mut serving) = (listener.local_addr().unwrap(), JoinSet::new());
    serving.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // Who does not trust it goes away here.
            let Ok(mut stream) = tls.accept(stream).await else { continue };
            let mut head = vec![0; 1 << 10];
            let count = stream.read(&mut head).await.unwrap();
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {count}\r\n\r\n");
            stream.write_all(&[answer.as_bytes(), &head[..count]].concat()).await.unwrap();
        }
    });
    (address, serving)
}

#[tokio::test]
async fn whoever_connects_again_resumes_the_encryption() {
    let (acceptor, certificate) = tls("localhost");
    let authorities = Authorities::of(&[&certificate]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("https://localhost:{}/", listener.local_addr().unwrap().port())).unwrap();
    let dialer = authorities.dialer();
    for expected in [HandshakeKind::Full, HandshakeKind::Resumed] {
        let serve = async {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = acceptor.accept(stream).await.unwrap();
            let _ = stream.read(&mut [0; 1 << 10]).await.unwrap();
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
            stream.get_ref().1.handshake_kind()
        };
        let (kind, answer) = tokio::join!(serve, dialer.ask(HttpRequest::get(&url), LIMITS));
        assert_eq!((kind, answer.unwrap().status().as_u16()), (Some(expected), 204));
    }
}

struct Authorities(PathBuf);

impl Authorities {
    fn of(certificates: &[&str]) -> Self {
        let file = crate::music_assistant::tempdir("authorities").join("authorities.pem");
        std::fs::write(&file, certificates.concat()).unwrap();
        Self(file)
    }

    fn dialer(&self) -> Dialer {
        Dialer::new(Some(&self.0), false).unwrap()
    }
}

impl Drop for Authorities {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(self.0.parent().unwrap());
    }
}

#[tokio::test]
async fn the_encryption_ends_at_the_cloud_whatever_the_proxy_speaks() {
    let (cloud_tls, cloud_authority) = tls("cloud.invalid");
    let (proxy_tls, proxy_authority) = tls("localhost");
    let (cloud, _serving) = echo(cloud_tls).await;
    let authorities = Authorities::of(&[&cloud_authority, &proxy_authority]);
    let url = Url::parse("https://cloud.invalid/the/path").unwrap();
    for proxy_tls in [None, Some(proxy_tls)] {
        let scheme = if proxy_tls.is_some() { "https" } else { "http" };
        let proxy = Proxy::start(Says::LeadsWhoever("Basic YWRhOnNlY3JldA==", cloud), proxy_tls).await;
        let named = format!("{scheme}://ada:secret@localhost:{}", proxy.address.port());
        let dialer = through(&named, authorities.dialer());
        let answer = dialer.ask(HttpRequest::get(&url), LIMITS).await.unwrap();
        let heard = String::from_utf8_lossy(answer.body());
        assert!(
            heard.starts_with("GET /the/path HTTP/1.1\r\n") && heard.contains("host: cloud.invalid\r\n"),
            "{heard}"
        );
        assert!(!heard.to_lowercase().contains("proxy"), "name and password are for the proxy alone: {heard}");
        let passed = proxy.seen.lock().unwrap().passed.clone();
        let passed = String::from_utf8_lossy(&passed);
        assert!(!passed.is_empty() && !passed.contains("GET") && !passed.contains("/the/path"), "{passed}");
    }
    // Nothing is believed because a proxy led there.
    let strict = Authorities::of(&[&proxy_authority]);
    let proxy = Proxy::that(Says::LeadsTo(cloud)).await;
    let error = through(&proxy.url(), strict.dialer()).ask(HttpRequest::get(&url), LIMITS).await.unwrap_err();
    assert!(matches!(error, HttpError::Dial(DialError::TlsBehindProxy(_))), "{error:?}");
    assert!(error.to_string().contains("looks into encrypted connections"), "{error}");
}

/// What the doctor of a home says that goes through this proxy.
async fn doctor(home: &Home, proxy: &str, args: &[&str]) -> (Value, String) {
    let mut program = home.program("doctor");
    // As whoever configures it safely does it, with a log that tells all it ever tells.
    program.env("MACONNECTOR_PROXY", proxy).args(["--json", "--dangerous-allow-plain", "--log", "trace"]).args(args);
    let output = output_of(program).await;
    let diagnosis = lines(&output).remove(0);
    (diagnosis, String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[tokio::test]
async fn the_doctor_says_what_the_proxy_says_and_its_cure() {
    let (home, good) = home_behind_a_proxy().await;
    let (diagnosis, told) = doctor(&home, &good.url(), &[]).await;
    assert_eq!(diagnosis["ok"], true, "{diagnosis}");
    says(&diagnosis, "proxy", true, "the one that --proxy names");
    says(&diagnosis, "TCP to the proxy", true, "Connected in");
    assert!(find(&diagnosis, "DNS").is_none(), "the proxy knows where the cloud is: {diagnosis}");
    assert!(!told.contains(&good.address.to_string()), "a proxy's name may tell whose network this is: {told}");
    let (full, _) = doctor(&home, &good.url(), &["--full"]).await;
    says(&full, "proxy", true, &good.address.to_string());

    for (answer, said) in [
        (Says::Answers("HTTP/1.1 403 X\r\n\r\n"), "HTTP status 403, Forbidden"),
        (Says::Answers("HTTP/1.1 403 X\r\n\r\n"), "Ask whoever runs it to allow connections"),
        (Says::Answers("HTTP/1.1 502 X\r\n\r\n"), "did not get to the cloud"),
        (Says::Answers("HTTP/1.1 302 X\r\nLocation: http://portal.ada/\r\n\r\n"), "open any page in a browser"),
        (Says::Answers("SSH-2.0-OpenSSH\r\n"), "does not speak as an HTTP proxy does"),
        (Says::Repeats("HTTP/1.1 200 OK\r\nX: 0123456789012345678901234567890123456789\r\n"), "is too long"),
        (Says::HangsUp, "closed the connection"),
        (Says::Answers("HTTP/1.1 407 X\r\nProxy-Authenticate: Negotiate\r\n\r\n"), "Basic is supported"),
        (Says::Answers("HTTP/1.1 407 X\r\n\r\n"), "does not accept the name and password"),
    ] {
        let proxy = Proxy::that(answer).await;
        let (diagnosis, told) = doctor(&home, &format!("http://ada:secret@{}", proxy.address), &[]).await;
        says(&diagnosis, "proxy", false, said);
        assert!(find(&diagnosis, "cloud").is_none(), "what comes after the broken hop is not looked at: {diagnosis}");
        let secrets = ["secret", "ada:", "YWRhOnNlY3JldA", "portal", "cloud.invalid"];
        assert!(!secrets.iter().any(|secret| told.contains(secret)), "{told}");
    }
    let proxy = Proxy::that(Says::LeadsWhoever("Basic YWRhOnNlY3JldA==", good.address)).await;
    says(&doctor(&home, &proxy.url(), &[]).await.0, "proxy", false, "http://NAME:PASSWORD@");
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    says(&doctor(&home, &format!("http://{nobody}"), &[]).await.0, "TCP to the proxy", false, "--proxy none");
    says(&doctor(&home, "http://proxy-of-ada.invalid", &[]).await.0, "DNS of the proxy", false, "cannot be resolved");
}

#[tokio::test]
async fn the_environments_proxy_is_used_but_for_what_it_excepts_or_is_turned_off_for() {
    let (home, proxy) = home_behind_a_proxy().await;
    let examine = async |variables: &[(&str, &str)], args: &[&str]| {
        let mut program = home.program("doctor");
        program.args(["--json", "--dangerous-allow-plain"]).args(args).envs(variables.iter().copied());
        lines(&output_of(program).await).remove(0)
    };
    let everywhere = ("ALL_PROXY", proxy.url());
    let everywhere = (everywhere.0, everywhere.1.as_str());
    says(&examine(&[everywhere], &[]).await, "proxy", true, "the one that ALL_PROXY names");
    let excepted = examine(&[everywhere, ("NO_PROXY", "x.example,.invalid")], &[]).await;
    says(&excepted, "proxy", true, "not used, as NO_PROXY names the cloud");
    assert_eq!(check(&excepted, "DNS")["ok"], false, "{excepted}");
    let off = examine(&[everywhere], &["--proxy", "none"]).await;
    assert!(find(&off, "proxy").is_none() && check(&off, "DNS")["ok"] == false, "{off}");
    says(&examine(&[("ALL_PROXY", "socks5://ada:secret@x")], &[]).await, "proxy", false, "SOCKS is not");
    pair_with(&home, "http://127.0.0.1:9/");
    says(&examine(&[everywhere], &[]).await, "proxy", true, "not used, as the cloud is on this machine");

    let wrong = home.output("run", &["--proxy", "socks5://ada:secret@proxy.example"]).await;
    let told = String::from_utf8_lossy(&wrong.stderr);
    assert_eq!(wrong.status.code(), Some(2), "{told}");
    assert!(told.contains("SOCKS") && !told.contains("secret"), "{told}");
}
