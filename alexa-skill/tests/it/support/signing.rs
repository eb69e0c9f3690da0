//! Signed requests as Alexa makes them, with a certification authority of our own.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{Request, StatusCode};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use macloud_alexa_skill::SkillConfig;
use macloud_alexa_skill::verify::{Dangerous, VerifyConfig};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, date_time_ymd};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaEncoding, RsaKeyPair};
use rustls_pki_types::CertificateDer;
use serde_json::{Value, json};

pub const APPLICATION: &str = "amzn1.ask.skill.11111111-2222-3333-4444-555555555555";
pub const SIGNER: &str = "echo-api.amazon.com";
pub const CERT_URL: &str = "https://s3.amazonaws.com/echo.api/echo-api-cert.pem";

/// `ring` cannot make RSA keys, so one is kept here. It signs nothing but requests of these tests.
const RSA_KEY: &str = include_str!("../../fixtures/signing/test-only-rsa-key.pem");

/// A certification authority, and a server that publishes chains.
pub struct Authority {
    pub root: CertificateDer<'static>,
    root_pem: String,
    intermediate_pem: String,
    intermediate: Issuer<'static, KeyPair>,
    pub published: Published,
    pub base: url::Url,
}

type Published = Arc<Mutex<Chains>>;

#[derive(Default)]
pub struct Chains {
    by_name: HashMap<String, String>,
    pub fetches: u64,
    pub trouble: Trouble,
}

/// What is wrong with the server that publishes chains.
#[derive(Debug, Clone, Copy, Default)]
pub enum Trouble {
    #[default]
    None,
    /// It fails.
    Fails,
    /// It does not answer.
    Hangs,
    /// It does not answer about chains whose names begin so.
    HangsAbout(&'static str),
}

/// What a test leaf looks like.
pub struct Leaf {
    pub names: Vec<&'static str>,
    pub years: (i32, i32),
}

impl Default for Leaf {
    fn default() -> Self {
        Self { names: vec![SIGNER], years: (2026, 2028) }
    }
}

impl Authority {
    pub async fn new() -> Self {
        let root_key = KeyPair::generate().unwrap();
        let root_params = authority_params("Test root");
        let root = root_params.self_signed(&root_key).unwrap();
        let root_issuer = Issuer::new(root_params, root_key);
        let key = KeyPair::generate().unwrap();
        let params = authority_params("Test intermediate");
        let intermediate = params.signed_by(&key, &root_issuer).unwrap();
        let published = Published::default();
        let base = publish(Arc::clone(&published)).await;
        let authority = Self {
            root: root.der().clone(),
            root_pem: root.pem(),
            intermediate_pem: intermediate.pem(),
            intermediate: Issuer::new(params, key),
            published,
            base,
        };
        authority.put("echo-api-cert.pem", authority.chain(&Leaf::default()));
        authority
    }

    pub fn put(&self, name: &str, chain: String) {
        self.published.lock().unwrap().by_name.insert(name.into(), chain);
    }

    pub fn trouble(&self, trouble: Trouble) {
        self.published.lock().unwrap().trouble = trouble;
    }

    pub fn fetches(&self) -> u64 {
        self.published.lock().unwrap().fetches
    }

    pub fn chain(&self, leaf: &Leaf) -> String {
        format!("{}{}", self.leaf(leaf), self.intermediate_pem)
    }

    pub fn chain_with_root(&self) -> String {
        format!("{}{}", self.chain(&Leaf::default()), self.root_pem)
    }

    pub fn intermediate_first(&self) -> String {
        format!("{}{}", self.intermediate_pem, self.leaf(&Leaf::default()))
    }

    pub fn leaf(&self, leaf: &Leaf) -> String {
        leaf_params(leaf).signed_by(&rsa_key(), &self.intermediate).unwrap().pem()
    }

    pub fn self_signed_leaf() -> String {
        leaf_params(&Leaf::default()).self_signed(&rsa_key()).unwrap().pem()
    }

    /// A leaf that a leaf vouches for.
    pub fn chain_through_a_leaf(&self) -> String {
        let middle_key = KeyPair::generate().unwrap();
        let middle_params = leaf_params(&Leaf { names: vec!["middle.example"], ..Leaf::default() });
        let middle = middle_params.signed_by(&middle_key, &self.intermediate).unwrap();
        let leaf = leaf_params(&Leaf::default()).signed_by(&rsa_key(), &Issuer::new(middle_params, middle_key));
        format!("{}{}{}", leaf.unwrap().pem(), middle.pem(), self.intermediate_pem)
    }

    /// A skill that believes this authority.
    pub fn config(&self) -> SkillConfig {
        let dangerous =
            Dangerous { fetch_base: Some(self.base.clone()), extra_roots: vec![self.root.clone()], clock: None };
        let verify = VerifyConfig { application_ids: vec![APPLICATION.into()], dangerous, ..VerifyConfig::default() };
        SkillConfig { verify, ..SkillConfig::default() }
    }
}

fn rsa_key() -> KeyPair {
    KeyPair::from_pem(RSA_KEY).unwrap()
}

fn authority_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2036, 1, 1);
    params
}

fn leaf_params(leaf: &Leaf) -> CertificateParams {
    let names: Vec<String> = leaf.names.iter().map(|&name| name.into()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, SIGNER);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.not_before = date_time_ymd(leaf.years.0, 1, 1);
    params.not_after = date_time_ymd(leaf.years.1, 1, 1);
    params
}

async fn publish(published: Published) -> url::Url {
    async fn chain(State(published): State<Published>, Path(name): Path<String>) -> Result<String, StatusCode> {
        let (chain, trouble) = {
            let mut published = published.lock().unwrap();
            published.fetches += 1;
            (published.by_name.get(&name).cloned(), published.trouble)
        };
        match trouble {
            Trouble::Fails => Err(StatusCode::SERVICE_UNAVAILABLE),
            Trouble::Hangs => std::future::pending().await,
            Trouble::HangsAbout(start) if name.starts_with(start) => std::future::pending().await,
            Trouble::None | Trouble::HangsAbout(_) => chain.ok_or(StatusCode::NOT_FOUND),
        }
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let router = Router::new().route("/echo.api/{name}", get(chain)).with_state(published);
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    base
}

pub fn sign(body: &[u8]) -> String {
    sign_with(&RSA_PKCS1_SHA256, body)
}

pub fn sign_with(encoding: &'static dyn RsaEncoding, body: &[u8]) -> String {
    let key = signing_key();
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(encoding, &SystemRandom::new(), body, &mut signature).unwrap();
    STANDARD.encode(signature)
}

/// Read once: that takes longer than signing.
fn signing_key() -> &'static RsaKeyPair {
    static KEY: LazyLock<RsaKeyPair> = LazyLock::new(|| {
        let der = rustls_pki_types::PrivatePkcs8KeyDer::from(pem_body(RSA_KEY));
        RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).unwrap()
    });
    &KEY
}

/// The public half, as its own structure.
pub fn public_key() -> Vec<u8> {
    signing_key().public().as_ref().to_vec()
}

fn pem_body(pem: &str) -> Vec<u8> {
    let lines: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    STANDARD.decode(lines).unwrap()
}

pub fn post(cert_url: &str, signature: &str, body: &[u8]) -> Request<Body> {
    Request::post("/alexa/v1/custom")
        .header("content-type", "application/json")
        .header("SignatureCertChainUrl", cert_url)
        .header("Signature", "b2xkIFNIQS0xIHNpZ25hdHVyZXMgYXJlIGlnbm9yZWQ=")
        .header("Signature-256", signature)
        .body(Body::from(body.to_vec()))
        .unwrap()
}

/// As Alexa sends it, made now, with a linked account.
pub fn request(kind: &str, intent: Value) -> Value {
    let mut request = json!({
        "type": kind, "requestId": "amzn1.echo-api.request.1", "timestamp": "2026-11-22T00:00:00Z", "locale": "en-US"
    });
    if !intent.is_null() {
        request["intent"] = intent;
    }
    let application = json!({"applicationId": APPLICATION});
    let user = json!({"userId": "amzn1.ask.account.A", "accessToken": super::TOKEN});
    json!({
        "version": "1.0",
        "session": {
            "new": true, "sessionId": "amzn1.echo-api.session.1", "application": application, "attributes": {},
            "user": user
        },
        "context": {"System": {
            "application": application, "user": user, "device": {"deviceId": "d", "supportedInterfaces": {}},
            "apiEndpoint": "https://api.amazonalexa.com", "apiAccessToken": "secret"
        }},
        "request": request
    })
}

pub fn intent(name: &str, slots: &[(&str, &str)]) -> Value {
    let slots: serde_json::Map<String, Value> =
        slots.iter().map(|&(name, value)| (name.into(), json!({"name": name, "value": value}))).collect();
    request("IntentRequest", json!({"name": name, "confirmationStatus": "NONE", "slots": slots}))
}
