//! The process's one TLS provider, and (feature `server`) certificates that can be replaced while serving.

/// Make ring the process's TLS provider. Call first thing in `main`; calling again changes nothing.
pub fn install_provider() {
    // An error means that a provider is installed already, which is what was asked for.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

#[cfg(feature = "server")]
mod challenge;
#[cfg(feature = "server")]
pub use challenge::Answering;
#[cfg(feature = "server")]
pub use server::{Certificate, TlsError, connect, reload_on_hangup, server_config};

#[cfg(feature = "server")]
mod server {
    use std::io;
    use std::ops::Range;
    use std::path::{Path, PathBuf};
    use std::sync::{Arc, RwLock};

    use rustls::client::verify_server_name;
    use rustls::server::{ClientHello, ParsedCertificate, ProducesTickets, ResolvesServerCert};
    use rustls::sign::CertifiedKey;
    use rustls_pki_types::pem::PemObject as _;
    use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
    use tokio::io::{AsyncRead, AsyncWrite};
    use tokio::signal::unix::{SignalKind, signal};

    use super::challenge::{Answering, Challenges};
    use crate::clock::SharedClock;
    use crate::expiry;
    use crate::tickets::TicketKeys;

    /// Why a certificate cannot be served.
    #[derive(Debug, thiserror::Error)]
    pub enum TlsError {
        /// A file cannot be read as PEM.
        #[error("cannot read {what} from {path}: {reason}")]
        Read {
            /// Certificate chain or private key.
            what: &'static str,
            /// Which file.
            path: PathBuf,
            /// What went wrong. Part of the message, so not a source: whoever prints all causes would say it twice.
            reason: rustls_pki_types::pem::Error,
        },
        /// The file is PEM, but of something else.
        #[error("{path} holds no certificate")]
        NoCertificate {
            /// Which file.
            path: PathBuf,
        },
        /// Key and certificate do not belong together, or the key's kind is not supported.
        #[error("the certificate and key cannot be used: {0}")]
        Use(rustls::Error),
    }

    impl From<rustls::Error> for TlsError {
        fn from(error: rustls::Error) -> Self {
            Self::Use(error)
        }
    }

    /// A certificate chain and key from two PEM files, re-read on [`Certificate::reload`]. Both may be in one file.
    #[derive(Debug)]
    pub struct Certificate {
        chain: PathBuf,
        key: PathBuf,
        /// None while it is awaited.
        current: RwLock<Option<Arc<CertifiedKey>>>,
        challenges: Challenges,
    }

    impl Certificate {
        /// Read both files.
        ///
        /// # Errors
        /// When one cannot be read, or they do not belong together.
        pub fn load(chain: &Path, key: &Path) -> Result<Arc<Self>, TlsError> {
            let certificate = Self::awaited(chain, key);
            certificate.reload()?;
            Ok(certificate)
        }

        /// These files, which need not be there yet. Until [`Certificate::reload`] reads them, every handshake ends with an alert,
        /// but those that validate a name: see [`Certificate::answer_challenge`].
        #[must_use]
        pub fn awaited(chain: &Path, key: &Path) -> Arc<Self> {
            let (current, challenges) = (RwLock::default(), Challenges::default());
            Arc::new(Self { chain: chain.into(), key: key.into(), current, challenges })
        }

        /// Read the files again; new handshakes use them at once. On error the old certificate stays.
        ///
        /// # Errors
        /// As [`Certificate::load`].
        pub fn reload(&self) -> Result<(), TlsError> {
            let fresh = Arc::new(read(&self.chain, &self.key)?);
            *self.current.write().expect("no code panics while holding this lock") = Some(fresh);
            Ok(())
        }

        /// When the first certificate of the chain begins to be good and when the first of any of them ends, in seconds since 1970.
        /// None while it is awaited, or where a date cannot be read.
        #[must_use]
        pub fn validity(&self) -> Option<Range<u64>> {
            expiry::validity(&self.current()?.cert)
        }

        /// Whether it is for this name, as clients see it (RFC 9525): not while it is awaited.
        #[must_use]
        pub fn is_for(&self, name: &str) -> bool {
            let (Some(current), Ok(name)) = (self.current(), ServerName::try_from(name)) else { return false };
            let parsed = current.cert.first().and_then(|own| ParsedCertificate::try_from(own).ok());
            parsed.is_some_and(|own| verify_server_name(&own, &name).is_ok())
        }

        /// Until the answer is dropped, whoever validates this name with TLS-ALPN-01 (RFC 8737) is shown this certificate, made
        /// for just that, in a handshake that leads nowhere else. All other handshakes are what they were.
        ///
        /// # Errors
        /// When the key's kind is not supported.
        pub fn answer_challenge(
            self: &Arc<Self>,
            name: &str,
            shown: CertificateDer<'static>,
            key: &PrivateKeyDer<'_>,
        ) -> Result<Answering, TlsError> {
            let signing = rustls::crypto::ring::sign::any_supported_type(key)?;
            self.challenges.begin(name, CertifiedKey::new(vec![shown], signing));
            Ok(Answering::new(self.clone(), name))
        }

        pub(crate) const fn challenges(&self) -> &Challenges {
            &self.challenges
        }

        /// Report how long it is still good, as the certificate of this listener, whenever metrics are read.
        pub fn observe_expiry(self: &Arc<Self>, listener: &'static str, clock: SharedClock) {
            let certificate = Arc::downgrade(self);
            expiry::observe(listener, clock, move || {
                let current = certificate.upgrade()?.current()?;
                expiry::of_chain(&current.cert)
            });
        }

        fn current(&self) -> Option<Arc<CertifiedKey>> {
            self.current.read().expect("no code panics while holding this lock").clone()
        }
    }

    /// From the return of this on, SIGHUP makes these certificates be read again, and kills nobody: without certificates it
    /// does nothing. What is connected stays connected.
    ///
    /// # Errors
    /// When the operating system does not let the signal be caught.
    pub fn reload_on_hangup(certificates: Vec<Arc<Certificate>>) -> io::Result<()> {
        let mut hangup = signal(SignalKind::hangup())?;
        tokio::spawn(async move {
            while hangup.recv().await.is_some() {
                for certificate in &certificates {
                    // A thread of its own: a file system that hangs must stop nothing else, nor keep the program from ending.
                    let certificate = certificate.clone();
                    std::thread::spawn(move || match certificate.reload() {
                        Ok(()) => tracing::info!("the certificate was read again"),
                        Err(error) => {
                            tracing::error!(%error, "the certificate was not read again: the old one stays");
                        }
                    });
                }
            }
        });
        Ok(())
    }

    /// TLS over this stream, to a server that must have a certificate of a public authority for that name.
    ///
    /// # Errors
    /// When it has none, or the connection breaks.
    ///
    /// # Panics
    /// Never: the configuration is fixed.
    pub async fn connect<S>(name: &str, stream: S) -> io::Result<tokio_rustls::client::TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the ring provider supports rustls's default versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }

    impl ResolvesServerCert for Certificate {
        fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
            self.current()
        }
    }

    fn read(chain: &Path, key: &Path) -> Result<CertifiedKey, TlsError> {
        let certificates = CertificateDer::pem_file_iter(chain)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|reason| TlsError::Read { what: "the certificate chain", path: chain.into(), reason })?;
        if certificates.is_empty() {
            return Err(TlsError::NoCertificate { path: chain.into() });
        }
        let private = PrivateKeyDer::from_pem_file(key).map_err(|reason| TlsError::Read {
            what: "the private key",
            path: key.into(),
            reason,
        })?;
        let signing = rustls::crypto::ring::sign::any_supported_type(&private)?;
        let certified = CertifiedKey::new(certificates, signing);
        certified.keys_match()?;
        Ok(certified)
    }

    /// Settings for TLS 1.3, and 1.2 with AEAD suites: Amazon's account linking client is known to fail on hosts that
    /// offer 1.3 alone. Paths that must not be reached below 1.3 check [`crate::http::Peer`]. Without ticket keys that several
    /// processes share, this one makes its own.
    ///
    /// # Panics
    /// Never: the provider supports both versions.
    #[must_use]
    pub fn server_config(
        certificate: Arc<Certificate>,
        ticket_keys: Option<Arc<TicketKeys>>,
    ) -> Arc<rustls::ServerConfig> {
        let mut provider = rustls::crypto::ring::default_provider();
        // The suite that RFC 8446 (section 9.1) has everybody implement, first: a handshake hashes for some twenty keys, and SHA-256 has
        // instructions of its own nearly everywhere, SHA-384 hardly anywhere.
        let rank =
            |suite: &rustls::SupportedCipherSuite| suite.suite() != rustls::CipherSuite::TLS13_AES_128_GCM_SHA256;
        provider.cipher_suites.sort_by_key(rank);
        let mut config = rustls::ServerConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .expect("the ring provider supports TLS 1.2 and 1.3")
            .with_no_client_auth()
            .with_cert_resolver(certificate);
        config.ignore_client_order = true;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        // Resuming saves the signature, which is most of what a handshake costs here: a fleet that lost its connections comes back
        // in half the time. The tickets hold all there is to a session, under a key that changes every six hours; nothing is kept.
        let tickets = match ticket_keys {
            Some(keys) => Some(keys as Arc<dyn ProducesTickets>),
            None => rustls::crypto::ring::Ticketer::new().ok(),
        };
        if let Some(tickets) = tickets {
            config.ticketer = tickets;
            config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
        }
        // One ticket: a connector resumes once per reconnect, and each ticket costs bytes on every handshake.
        config.send_tls13_tickets = 1;
        Arc::new(config)
    }
}
