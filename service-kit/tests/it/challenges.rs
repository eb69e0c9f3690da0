//! Handshakes by which an authority validates a name (RFC 8737), beside those of everybody else.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use macloud_service_kit::http::Server;
use macloud_service_kit::stop::Stop;
use macloud_service_kit::tls::{Answering, Certificate};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::{AlertDescription, DigitallySignedStruct, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

const NAME: &str = "music.example.org";

/// Believes everything: an authority looks at the certificate itself.
#[derive(Debug)]
struct Authority;

impl ServerCertVerifier for Authority {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

type Connected = tokio_rustls::client::TlsStream<TcpStream>;

async fn dial(
    address: SocketAddr,
    name: &str,
    protocols: &[&str],
    version: &'static rustls::SupportedProtocolVersion,
) -> Result<Connected, AlertDescription> {
    let mut config = rustls::ClientConfig::builder_with_protocol_versions(&[version])
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Authority))
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(|error| {
        match error.get_ref().and_then(|cause| cause.downcast_ref::<Error>()) {
            Some(Error::AlertReceived(alert)) => *alert,
            _ => panic!("it ended without an alert: {error}"),
        }
    })
}

fn shown_by(connected: &Connected) -> Vec<u8> {
    connected.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

struct Machine {
    directory: PathBuf,
    certificate: Arc<Certificate>,
    address: SocketAddr,
    stop: Stop,
}

impl Machine {
    /// Without a certificate.
    async fn start(test: &str) -> Self {
        macloud_service_kit::tls::install_provider();
        let directory = std::env::temp_dir().join(format!("macloud-challenge-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let file = directory.join("certificate.pem");
        let certificate = Certificate::awaited(&file, &file);
        let server = Server::bind((Ipv4Addr::LOCALHOST, 0).into(), Some(certificate.clone())).await.unwrap();
        let (address, stop) = (server.local_addr().unwrap(), Stop::new());
        tokio::spawn(server.serve(Router::new().route("/", get(|| async { "served" })), stop.clone()));
        Self { directory, certificate, address, stop }
    }

    /// Certificate and key in one file; the certificate's DER.
    fn install(&self) -> Vec<u8> {
        let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).unwrap();
        let pem = format!("{}{}", made.cert.pem(), made.signing_key.serialize_pem());
        std::fs::write(self.directory.join("certificate.pem"), pem).unwrap();
        self.certificate.reload().unwrap();
        made.cert.der().to_vec()
    }

    /// The certificate shown for a challenge, while it is answered.
    fn answer(&self) -> (Answering, Vec<u8>) {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new([NAME.to_owned()]).unwrap();
        params.custom_extensions = vec![rcgen::CustomExtension::new_acme_identifier(&[7; 32])];
        let shown = params.self_signed(&key).unwrap().der().clone();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        (self.certificate.answer_challenge(NAME, shown.clone(), &key).unwrap(), shown.to_vec())
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.stop.stop_hard();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

#[tokio::test]
async fn who_validates_a_name_sees_the_proof_and_nothing_else_and_everybody_else_is_served_as_ever() {
    use rustls::version::{TLS12, TLS13};
    let machine = Machine::start("proof").await;
    let usual = machine.install();
    let (answering, proof) = machine.answer();
    for (name, version) in [(NAME, &TLS13), (NAME, &TLS12), ("MUSIC.Example.ORG", &TLS13)] {
        let mut seen = dial(machine.address, name, &["acme-tls/1"], version).await.unwrap();
        assert_eq!(seen.get_ref().1.alpn_protocol(), Some(&b"acme-tls/1"[..]));
        assert_eq!(shown_by(&seen), proof);
        assert_eq!(seen.read_to_end(&mut Vec::new()).await.unwrap(), 0, "it ends with the handshake");
    }
    for offered in [&[][..], &["http/1.1"], &["h2", "acme-tls/1"], &["acme-tls/1", "h2"]] {
        let seen = dial(machine.address, NAME, offered, &TLS13).await.unwrap();
        assert_eq!(shown_by(&seen), usual, "{offered:?}");
        assert_ne!(seen.get_ref().1.alpn_protocol(), Some(&b"acme-tls/1"[..]), "{offered:?}");
    }
    let refused = async |name| dial(machine.address, name, &["acme-tls/1"], &TLS13).await.map(|_| ()).unwrap_err();
    for stranger in ["other.example.org", "192.0.2.1"] {
        assert_eq!(refused(stranger).await, AlertDescription::NoApplicationProtocol, "{stranger}");
    }
    drop(answering);
    assert_eq!(refused(NAME).await, AlertDescription::NoApplicationProtocol, "outside of a challenge");
}

#[tokio::test]
async fn an_awaited_certificate_lets_nobody_in_but_who_validates_until_it_is_there() {
    use rustls::version::TLS13;
    let machine = Machine::start("awaited").await;
    assert!(machine.certificate.validity().is_none());
    let refused = dial(machine.address, NAME, &["h2"], &TLS13).await.map(|_| ()).unwrap_err();
    assert_eq!(refused, AlertDescription::AccessDenied);
    let (_answering, proof) = machine.answer();
    assert_eq!(shown_by(&dial(machine.address, NAME, &["acme-tls/1"], &TLS13).await.unwrap()), proof);
    let usual = machine.install();
    assert_eq!(shown_by(&dial(machine.address, NAME, &["h2"], &TLS13).await.unwrap()), usual);
    assert!(machine.certificate.validity().is_some());
}
