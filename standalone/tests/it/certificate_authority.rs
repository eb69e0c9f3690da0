//! A small certificate authority for tests (RFC 8555), which believes nothing: it checks nonces and signatures, really dials for
//! TLS-ALPN-01 (RFC 8737), and issues for the key in the request only. What it does wrong, a test asks of it.

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use macloud_service_kit::clock::SharedClock;
use macloud_service_kit::http::Server;
use macloud_service_kit::random;
use macloud_service_kit::stop::Stop;
use macloud_service_kit::tls::Certificate;
use rcgen::{BasicConstraints, CertificateParams, CertificateSigningRequestParams, IsCa, Issuer, KeyPair, SanType};
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::net::TcpStream;

/// What the authority does, until it is told otherwise.
#[derive(Debug, Clone, Default)]
pub(crate) struct Behaviour {
    /// What it dials where others would dial port 443 of the name. Nothing is there until a test says.
    pub(crate) dials: Option<SocketAddr>,
    /// So many requests are told that their nonce is bad.
    pub(crate) bad_nonces: u32,
    /// New orders are refused, for so many seconds.
    pub(crate) rate_limited: Option<u64>,
    /// It issues for a key of its own.
    pub(crate) for_another_key: bool,
    /// It issues for a name of its own.
    pub(crate) for_another_name: bool,
    /// What it issues begins to be good in so many days; if negative, so many days ago.
    pub(crate) begins_in_days: i64,
    /// It sends along so many certificates of its own.
    pub(crate) more_certificates: usize,
    /// Only its front answers, and says that there is nobody behind it.
    pub(crate) away: bool,
    /// How long what it issues is good.
    pub(crate) days: u64,
}

#[derive(Debug, Default)]
struct Books {
    nonces: HashSet<String>,
    /// Each one's public key (x and y).
    accounts: Vec<(Value, Value)>,
    contacts: Vec<Value>,
    orders: Vec<OneOrder>,
}

#[derive(Debug, Clone)]
struct OneOrder {
    name: String,
    status: &'static str,
    proof: &'static str,
    problem: Option<Value>,
    token: String,
    chain: Option<String>,
}

struct Inside {
    base: String,
    behaviour: Mutex<Behaviour>,
    books: Mutex<Books>,
    clock: SharedClock,
    issuer: Issuer<'static, KeyPair>,
}

/// A running authority. It ends when it is dropped.
pub(crate) struct Authority {
    inside: Arc<Inside>,
    /// Who has signed what it issues.
    pub(crate) root: CertificateDer<'static>,
    /// Its own certificate, as PEM: for `--acme-root`.
    pub(crate) own_root: PathBuf,
    stop: Stop,
}

impl Authority {
    pub(crate) async fn start(dir: &Path, clock: SharedClock) -> Self {
        macloud_service_kit::tls::install_provider();
        let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let own_root = dir.join("authority.pem");
        std::fs::write(&own_root, own.cert.pem()).unwrap();
        let both = dir.join("authority-and-key.pem");
        std::fs::write(&both, format!("{}{}", own.cert.pem(), own.signing_key.serialize_pem())).unwrap();
        let server = Server::bind((Ipv4Addr::LOCALHOST, 0).into(), Some(Certificate::load(&both, &both).unwrap()));
        let server = server.await.unwrap();
        let base = format!("https://localhost:{}", server.local_addr().unwrap().port());

        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let root = params.self_signed(&key).unwrap().der().clone();
        let behaviour = Mutex::new(Behaviour { days: 90, ..Behaviour::default() });
        let inside = Inside { base, behaviour, books: Mutex::default(), clock, issuer: Issuer::new(params, key) };
        let (inside, stop) = (Arc::new(inside), Stop::new());
        let router = Router::new().fallback(serve).with_state(inside.clone());
        tokio::spawn(server.serve(router, stop.clone()));
        Self { inside, root, own_root, stop }
    }

    pub(crate) fn directory(&self) -> String {
        format!("{}/directory", self.inside.base)
    }

    pub(crate) fn behave(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut self.inside.behaviour.lock().unwrap());
    }

    pub(crate) fn behaviour(&self) -> Behaviour {
        self.inside.behaviour.lock().unwrap().clone()
    }

    pub(crate) fn orders(&self) -> usize {
        self.inside.books.lock().unwrap().orders.len()
    }

    pub(crate) fn accounts(&self) -> usize {
        self.inside.books.lock().unwrap().accounts.len()
    }

    pub(crate) fn contacts(&self) -> Vec<Value> {
        self.inside.books.lock().unwrap().contacts.clone()
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        self.stop.stop_hard();
    }
}

type Answer = Result<(StatusCode, Option<String>, Value), (StatusCode, &'static str, String)>;

async fn serve(State(inside): State<Arc<Inside>>, request: Request) -> Response {
    let (path, method) = (request.uri().path().to_owned(), request.method().clone());
    let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
    if inside.behaviour.lock().unwrap().away {
        return (StatusCode::SERVICE_UNAVAILABLE, "<h1>Service unavailable</h1>").into_response();
    }
    let mut response = match (method, path.as_str()) {
        (Method::GET, "/directory") => inside.directory().into_response(),
        (Method::HEAD, "/nonce") => StatusCode::OK.into_response(),
        (Method::POST, path) => match inside.posted(path, &body).await {
            Ok((status, location, Value::String(chain))) => respond(status, location, chain),
            Ok((status, location, value)) => respond(status, location, value.to_string()),
            Err((status, kind, detail)) => {
                let problem = json!({"type": format!("urn:ietf:params:acme:error:{kind}"), "detail": detail});
                respond(status, None, problem.to_string())
            }
        },
        _ => StatusCode::NOT_FOUND.into_response(),
    };
    let nonce = URL_SAFE_NO_PAD.encode(random::bytes::<16>());
    inside.books.lock().unwrap().nonces.insert(nonce.clone());
    let headers = response.headers_mut();
    headers.insert("replay-nonce", nonce.parse().unwrap());
    let limited = inside.behaviour.lock().unwrap().rate_limited;
    if let (true, Some(seconds)) = (path == "/order", limited) {
        headers.insert("retry-after", HeaderValue::from(seconds));
    }
    response
}

fn respond(status: StatusCode, location: Option<String>, body: String) -> Response {
    let mut response = (status, body).into_response();
    if let Some(location) = location {
        response.headers_mut().insert("location", location.parse().unwrap());
    }
    response
}

/// A request of somebody who has signed it.
struct Signed {
    key: (Value, Value),
    payload: Value,
}

fn refusal(kind: &'static str, detail: &str) -> (StatusCode, &'static str, String) {
    (StatusCode::BAD_REQUEST, kind, detail.to_owned())
}

fn decoded(value: &Value) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(value.as_str().unwrap()).unwrap()
}

impl Inside {
    fn directory(&self) -> axum::Json<Value> {
        let at = |path: &str| format!("{}/{path}", self.base);
        axum::Json(json!({"newNonce": at("nonce"), "newAccount": at("account"), "newOrder": at("order")}))
    }

    /// RFC 8555, section 6: nonce, URL, key and signature.
    fn verified(&self, path: &str, body: &Bytes) -> Result<Signed, (StatusCode, &'static str, String)> {
        let body: Value = serde_json::from_slice(body).map_err(|_| refusal("malformed", "no JSON"))?;
        let header: Value = serde_json::from_slice(&decoded(&body["protected"])).unwrap();
        let mut books = self.books.lock().unwrap();
        let is_fresh = books.nonces.remove(header["nonce"].as_str().unwrap_or_default());
        let mut behaviour = self.behaviour.lock().unwrap();
        if !is_fresh || behaviour.bad_nonces > 0 {
            behaviour.bad_nonces = behaviour.bad_nonces.saturating_sub(1);
            return Err(refusal("badNonce", "that nonce is none of ours, or used up"));
        }
        if header["url"] != format!("{}{path}", self.base) || header["alg"] != "ES256" {
            return Err(refusal("malformed", "signed for another URL, or not with ES256"));
        }
        let key = match header["kid"].as_str().map(|kid| kid.rsplit('/').next().unwrap().parse::<usize>()) {
            Some(Ok(account)) => books.accounts.get(account).cloned(),
            None if path == "/account" => Some((header["jwk"]["x"].clone(), header["jwk"]["y"].clone())),
            _ => None,
        };
        let key = key.ok_or_else(|| refusal("accountDoesNotExist", "nobody we know"))?;
        let public = [vec![4], decoded(&key.0), decoded(&key.1)].concat();
        let signed = format!("{}.{}", body["protected"].as_str().unwrap(), body["payload"].as_str().unwrap());
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, public)
            .verify(signed.as_bytes(), &decoded(&body["signature"]))
            .map_err(|_| refusal("unauthorized", "the signature is wrong"))?;
        Ok(Signed { key, payload: serde_json::from_slice(&decoded(&body["payload"])).unwrap_or(Value::Null) })
    }

    async fn posted(&self, path: &str, body: &Bytes) -> Answer {
        let signed = self.verified(path, body)?;
        let (what, number) = path[1..].split_once('/').unwrap_or((&path[1..], "0"));
        let number: usize = number.parse().map_err(|_| refusal("malformed", "no such thing"))?;
        match what {
            "account" if path == "/account" => Ok(self.account(signed)),
            "account" => {
                self.books.lock().unwrap().contacts.push(signed.payload["contact"].clone());
                Ok((StatusCode::OK, None, json!({"status": "valid"})))
            }
            "order" if path == "/order" => self.new_order(&signed.payload),
            "challenge" => Ok(self.challenge(number, &signed.key).await),
            "finalize" => self.finalize(number, &signed.payload),
            _ => Ok((StatusCode::OK, None, self.shown(what, number))),
        }
    }

    fn account(&self, signed: Signed) -> (StatusCode, Option<String>, Value) {
        assert_eq!(signed.payload["termsOfServiceAgreed"], true);
        let mut books = self.books.lock().unwrap();
        let known = books.accounts.iter().position(|key| *key == signed.key);
        let number = known.unwrap_or_else(|| {
            books.accounts.push(signed.key);
            books.accounts.len() - 1
        });
        let status = if known.is_some() { StatusCode::OK } else { StatusCode::CREATED };
        (status, Some(format!("{}/account/{number}", self.base)), json!({"status": "valid"}))
    }

    fn new_order(&self, wanted: &Value) -> Answer {
        if self.behaviour.lock().unwrap().rate_limited.is_some() {
            let detail = "too many certificates already issued for this exact set of names".to_owned();
            return Err((StatusCode::TOO_MANY_REQUESTS, "rateLimited", detail));
        }
        let name = wanted["identifiers"][0]["value"].as_str().unwrap().to_owned();
        let token = URL_SAFE_NO_PAD.encode(random::bytes::<16>());
        let number = {
            let mut books = self.books.lock().unwrap();
            books.orders.push(OneOrder {
                name,
                status: "pending",
                proof: "pending",
                problem: None,
                token,
                chain: None,
            });
            books.orders.len() - 1
        };
        Ok((StatusCode::CREATED, Some(format!("{}/order/{number}", self.base)), self.shown("order", number)))
    }

    fn shown(&self, what: &str, number: usize) -> Value {
        let at = |path: &str| format!("{}/{path}/{number}", self.base);
        let order = self.books.lock().unwrap().orders[number].clone();
        let mut challenge =
            json!({"type": "tls-alpn-01", "url": at("challenge"), "status": order.proof, "token": order.token});
        if let Some(problem) = order.problem {
            challenge["error"] = problem;
        }
        match what {
            "order" => json!({
                "status": order.status, "authorizations": [at("authorization")], "finalize": at("finalize"),
                "certificate": order.chain.map(|_| at("certificate")),
            }),
            "authorization" => json!({
                "identifier": {"type": "dns", "value": order.name}, "status": order.proof,
                "challenges": [{"type": "http-01", "url": at("other"), "status": "pending", "token": "x"}, challenge],
            }),
            "certificate" => Value::String(order.chain.unwrap()),
            _ => challenge,
        }
    }

    async fn challenge(&self, number: usize, key: &(Value, Value)) -> (StatusCode, Option<String>, Value) {
        let (name, token) = {
            let books = self.books.lock().unwrap();
            (books.orders[number].name.clone(), books.orders[number].token.clone())
        };
        let jwk = format!(r#"{{"crv":"P-256","kty":"EC","x":{},"y":{}}}"#, key.0, key.1);
        let thumbprint = ring::digest::digest(&ring::digest::SHA256, jwk.as_bytes());
        let authorization = format!("{token}.{}", URL_SAFE_NO_PAD.encode(thumbprint));
        let digest = ring::digest::digest(&ring::digest::SHA256, authorization.as_bytes());
        let problem = self.dial(&name, digest.as_ref()).await.err();
        let mut books = self.books.lock().unwrap();
        let order = &mut books.orders[number];
        (order.status, order.proof) = if problem.is_some() { ("invalid", "invalid") } else { ("ready", "valid") };
        order.problem = problem
            .map(|(kind, detail)| json!({"type": format!("urn:ietf:params:acme:error:{kind}"), "detail": detail}));
        drop(books);
        // As those do that take their time: what came of it is seen later.
        let mut shown = self.shown("challenge", number);
        (shown["status"], shown["error"]) = (json!("processing"), Value::Null);
        (StatusCode::OK, None, shown)
    }

    /// RFC 8737, section 3.
    async fn dial(&self, name: &str, digest: &[u8]) -> Result<(), (&'static str, String)> {
        let address = until_told(|| self.behaviour.lock().unwrap().dials).await;
        let stream = TcpStream::connect(address).await.map_err(|error| ("connection", error.to_string()))?;
        let mut config = rustls::ClientConfig::builder()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anyone))
            .with_no_client_auth();
        config.alpn_protocols = vec![b"acme-tls/1".to_vec()];
        let (config, name_there) = (Arc::new(config), ServerName::try_from(name.to_owned()).unwrap());
        let seen = tokio_rustls::TlsConnector::from(config).connect(name_there, stream).await;
        let seen = seen.map_err(|error| ("tls", error.to_string()))?;
        let tls = seen.get_ref().1;
        let shown = &tls.peer_certificates().unwrap()[0];
        // id-pe-acmeIdentifier, critical, an octet string of an octet string of 32 bytes.
        let mut extension = vec![6, 8, 0x2b, 6, 1, 5, 5, 7, 1, 31, 1, 1, 0xff, 4, 34, 4, 32];
        extension.extend(digest);
        let names = [&[0x82, name.len() as u8], name.as_bytes()].concat();
        let holds = |part: &[u8]| shown.windows(part.len()).any(|window| window == part);
        if tls.alpn_protocol() == Some(b"acme-tls/1") && holds(&extension) && holds(&names) {
            return Ok(());
        }
        Err(("unauthorized", "the certificate shown there is not the one wanted".into()))
    }

    fn finalize(&self, number: usize, payload: &Value) -> Answer {
        if self.books.lock().unwrap().orders[number].status != "ready" {
            return Err((StatusCode::FORBIDDEN, "orderNotReady", "nothing is proved".into()));
        }
        let behaviour = self.behaviour.lock().unwrap().clone();
        let mut request = CertificateSigningRequestParams::from_der(&decoded(&payload["csr"]).into()).unwrap();
        let now = OffsetDateTime::from_unix_timestamp(self.clock.unix_seconds() as i64).unwrap();
        if behaviour.for_another_name {
            request.params.subject_alt_names = vec![SanType::DnsName("other.example.org".try_into().unwrap())];
        }
        request.params.not_before = now + time::Duration::days(behaviour.begins_in_days);
        request.params.not_after = request.params.not_before + Duration::from_secs(behaviour.days * 86_400);
        let chain = if behaviour.for_another_key {
            request.params.signed_by(&KeyPair::generate().unwrap(), &self.issuer)
        } else {
            request.signed_by(&self.issuer)
        };
        let chain = chain.unwrap().pem().repeat(1 + behaviour.more_certificates);
        let mut books = self.books.lock().unwrap();
        (books.orders[number].status, books.orders[number].chain) = ("valid", Some(chain));
        drop(books);
        Ok((StatusCode::OK, None, self.shown("order", number)))
    }
}

/// A program that a test starts says only then where it listens.
async fn until_told<T>(told: impl Fn() -> Option<T>) -> T {
    loop {
        if let Some(told) = told() {
            return told;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Believes every certificate: the authority looks at it itself.
#[derive(Debug)]
struct Anyone;

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
