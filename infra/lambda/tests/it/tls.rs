//! Over TLS, as outside of tests.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use macloud_lambda_forwarder::forward::Forwarder;
use macloud_lambda_forwarder::runtime::Invocation;
use macloud_lambda_forwarder::settings::Settings;
use macloud_lambda_forwarder::skill::{Skill, public_roots};
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{RootCertStore, ServerConfig};
use serde_json::Value;
use tokio_rustls::TlsAcceptor;

use super::support::backend::Backend;
use super::support::{answer_to, error_type, pause};

/// For `localhost`, and the certificate itself, to be trusted.
fn server() -> (TlsAcceptor, CertificateDer<'static>) {
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&key).unwrap().der().clone();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    (TlsAcceptor::from(Arc::new(config)), certificate)
}

fn forwarder(url: String, roots: RootCertStore) -> Forwarder {
    let settings = Settings::read(|name| (name == "MACLOUD_SKILL_URL").then(|| url.clone())).unwrap();
    Forwarder::new(Skill::new(settings, roots))
}

async fn send(forwarder: &mut Forwarder) -> Value {
    let deadline = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_secs(8);
    let event = Some(Bytes::from(pause().to_string()));
    let invocation = Invocation { id: "invocation".into(), deadline: Some(deadline), event };
    serde_json::from_slice(&forwarder.answer(&invocation).await).unwrap()
}

#[tokio::test]
async fn the_backend_is_asked_over_tls_and_must_prove_its_name() {
    let (acceptor, certificate) = server();
    let backend = Backend::with_tls(acceptor).await;
    let port = backend.address.port();
    let mut trusting = RootCertStore::empty();
    trusting.add(certificate).unwrap();
    let mut good = forwarder(format!("https://localhost:{port}"), trusting.clone());
    for _ in 0..2 {
        assert_eq!(send(&mut good).await, answer_to(&pause()));
    }
    assert_eq!(backend.connections(), 1, "the handshake is made once");
    for (url, roots, why) in [
        (format!("https://localhost:{port}"), public_roots(), "an unknown authority"),
        (format!("https://127.0.0.1:{port}"), trusting, "another name"),
    ] {
        let event = send(&mut forwarder(url, roots)).await;
        assert_eq!(error_type(&pause(), &event), "BRIDGE_UNREACHABLE", "{why}");
        assert!(event["event"]["payload"]["message"].as_str().unwrap().contains("prove"), "{why}: {event}");
    }
    assert_eq!(backend.requests().len(), 2, "nobody else was told the token");
}

#[tokio::test]
async fn a_host_that_takes_connections_and_says_nothing_is_given_up_after_seconds() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut waiting = forwarder(format!("https://localhost:{}", listener.local_addr().unwrap().port()), public_roots());
    let started = Instant::now();
    assert_eq!(error_type(&pause(), &send(&mut waiting).await), "BRIDGE_UNREACHABLE");
    let took = started.elapsed();
    assert!(took >= Duration::from_secs(3) && took < Duration::from_secs(5), "{took:?}");
}
