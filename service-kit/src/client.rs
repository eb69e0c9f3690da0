//! The HTTP client that services use: ring, bundled roots, a time limit, and no redirects, so that an answer from
//! outside cannot send a request with our credentials elsewhere.

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;

/// A client whose requests take at most `timeout`, connecting included.
///
/// # Panics
/// Never: the configuration is fixed.
#[must_use]
pub fn client(timeout: Duration) -> reqwest::Client {
    builder(timeout).build().expect("a fixed configuration builds")
}

/// The same before it is built, for whoever has to be stricter.
///
/// # Panics
/// Never: the configuration is fixed.
pub fn builder(timeout: Duration) -> reqwest::ClientBuilder {
    builder_trusting(timeout, &[])
}

/// The same for whoever also trusts these roots. One that is no certificate is left out.
///
/// # Panics
/// Never: the configuration is fixed.
pub fn builder_trusting(timeout: Duration, more: &[CertificateDer<'static>]) -> reqwest::ClientBuilder {
    let mut roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    roots.add_parsable_certificates(more.iter().cloned());
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the ring provider supports rustls's default versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .timeout(timeout)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
}
