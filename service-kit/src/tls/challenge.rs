//! Proving to a certificate authority that a name is this machine's, on the port that serves it: TLS-ALPN-01 (RFC 8737).
//!
//! The authority makes a handshake for the name that offers `acme-tls/1` and no other protocol, and looks at the certificate that
//! it is shown. Nobody else offers that; of whoever does all the same, outside of a challenge, the usual settings make an alert
//! (`no_application_protocol`). Making the certificate is left to whoever speaks with the authority.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::Certificate;

/// What is under validation now: for each name the settings of the handshake that proves it.
#[derive(Debug, Default)]
pub(crate) struct Challenges(Mutex<HashMap<String, Arc<rustls::ServerConfig>>>);

impl Challenges {
    /// What to answer this hello with, if it validates a name that is under validation.
    pub(crate) fn answer(&self, hello: &ClientHello<'_>) -> Option<Arc<rustls::ServerConfig>> {
        let mut protocols = hello.alpn()?;
        let only_that = protocols.next() == Some(PROTOCOL) && protocols.next().is_none();
        let name = hello.server_name().filter(|_| only_that)?.to_ascii_lowercase();
        self.lock().get(&name).cloned()
    }

    pub(super) fn begin(&self, name: &str, shown: CertifiedKey) {
        self.lock().insert(name.to_ascii_lowercase(), settings(shown));
    }

    fn end(&self, name: &str) {
        self.lock().remove(&name.to_ascii_lowercase());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<rustls::ServerConfig>>> {
        self.0.lock().expect("no code panics while holding this lock")
    }
}

/// As long as this lives, the challenge is answered.
#[derive(Debug)]
#[must_use = "dropped, the challenge is answered no more"]
pub struct Answering {
    certificate: Arc<Certificate>,
    name: String,
}

impl Answering {
    pub(super) fn new(certificate: Arc<Certificate>, name: &str) -> Self {
        Self { certificate, name: name.to_owned() }
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.certificate.challenges().end(&self.name);
    }
}

/// Nothing is resumed, and no ticket given: such a session leads nowhere.
fn settings(shown: CertifiedKey) -> Arc<rustls::ServerConfig> {
    let mut config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the ring provider supports rustls's default versions")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Shown(Arc::new(shown))));
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Arc::new(config)
}

/// A resolver of our own, because rustls's looks into the certificate, and refuses one whose `acmeIdentifier` is critical, as RFC
/// 8737 wants it.
#[derive(Debug)]
struct Shown(Arc<CertifiedKey>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

const PROTOCOL: &[u8] = b"acme-tls/1";
