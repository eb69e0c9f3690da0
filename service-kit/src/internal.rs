//! TLS among the services of one cloud: version 1.3, and each side shows a certificate of the cloud's own authority. Whoever has
//! one is trusted; there are no other credentials between services.
//!
//! Certificates are replaced while the service runs: the files are read again on SIGHUP, and when one of them has changed. What
//! is connected stays connected.

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};
use std::time::{Duration, SystemTime};

use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use crate::clock::SharedClock;
use crate::expiry;
use crate::socket;
use crate::tls::TlsError;
use crate::watched;

/// This service's certificate among the others, and theirs.
#[derive(Debug)]
pub struct InternalTls {
    files: Files,
    current: RwLock<Current>,
}

#[derive(Debug)]
struct Files {
    authority: PathBuf,
    chain: PathBuf,
    key: PathBuf,
}

/// When the files were written.
type Times = [Option<SystemTime>; 3];

#[derive(Debug, Clone)]
struct Current {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
    /// In seconds since 1970.
    ends_at: Option<u64>,
}

impl InternalTls {
    /// Read three PEM files: the certificates of the authority, and this service's chain and private key.
    ///
    /// # Errors
    /// When one cannot be read, or they do not belong together.
    pub fn load(authority: &Path, chain: &Path, key: &Path) -> Result<Arc<Self>, TlsError> {
        let files = Files { authority: authority.into(), chain: chain.into(), key: key.into() };
        let current = RwLock::new(files.read()?);
        Ok(Arc::new(Self { files, current }))
    }

    /// Read the files again; new connections use them at once. On error the old ones stay.
    ///
    /// # Errors
    /// As [`InternalTls::load`].
    pub fn reload(&self) -> Result<(), TlsError> {
        let fresh = self.files.read()?;
        *self.current.write().expect("no code panics while holding this lock") = fresh;
        Ok(())
    }

    /// Read the files again whenever they change, or a SIGHUP asks for it. For ever; cancelling it is safe.
    ///
    /// # Errors
    /// When the operating system does not let the signal be caught.
    pub async fn keep_fresh(self: &Arc<Self>) -> io::Result<()> {
        let tls = self.clone();
        watched::watch(self.files.changed_at(), move |told, seen| tls.look(told, seen)).await
    }

    /// Read the files again if they are not as they were `seen`, or must be read: how they are now.
    fn look(&self, must: bool, seen: Times) -> Times {
        let now = self.files.changed_at();
        if must || now != seen {
            match self.reload() {
                Ok(()) => tracing::info!("the internal certificates were read again"),
                Err(error) => tracing::error!(%error, "cannot read the internal certificates again: the old ones stay"),
            }
        }
        now
    }

    /// Accept connections whose other side shows a certificate of the authority, for as long as they are received.
    pub fn accept(self: &Arc<Self>, listener: TcpListener) -> mpsc::Receiver<io::Result<server::TlsStream<TcpStream>>> {
        let (sender, accepted) = mpsc::channel(WAITING);
        let tls = self.clone();
        tokio::spawn(async move {
            let places = Arc::new(Semaphore::new(HANDSHAKES));
            loop {
                let stream = tokio::select! {
                    () = sender.closed() => return,
                    stream = listener.accept() => stream,
                };
                let Ok((stream, _)) = stream else {
                    // Out of file descriptors, mostly. Accepting at full speed would only burn the processor.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                };
                let Ok(place) = places.clone().acquire_owned().await else { return };
                let (acceptor, sender) = (TlsAcceptor::from(tls.current().server), sender.clone());
                tokio::spawn(async move {
                    prepare(&stream);
                    match limited(acceptor.accept(stream)).await {
                        Ok(stream) => drop(sender.send(Ok(stream)).await),
                        Err(error) => Fault::of(&error).log(&error),
                    }
                    drop(place);
                });
            }
        });
        accepted
    }

    /// Connect to the service at this host, which must show a certificate for that name.
    ///
    /// # Errors
    /// When it cannot be reached, or shows another.
    pub async fn connect(&self, host: &str, port: u16) -> io::Result<client::TlsStream<TcpStream>> {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let stream = limited(TcpStream::connect((host, port))).await?;
        prepare(&stream);
        limited(TlsConnector::from(self.current().client).connect(name, stream)).await
    }

    /// Report how long this service's certificate is still good, whenever metrics are read.
    pub fn observe_expiry(self: &Arc<Self>, clock: SharedClock) {
        let tls = Arc::downgrade(self);
        expiry::observe("internal", clock, move || tls.upgrade()?.current().ends_at);
    }

    fn current(&self) -> Current {
        self.current.read().expect("no code panics while holding this lock").clone()
    }
}

/// Whose certificate a handshake failed for, as far as the accepting side can know.
#[derive(Debug, PartialEq, Eq)]
enum Fault {
    /// The caller's: none, of another authority, or not good at this time.
    Theirs,
    /// Ours: the caller has said that it does not accept it.
    Ours,
    /// Nobody's: the caller left, was silent for too long, or speaks something else.
    Nobodys,
}

impl Fault {
    fn of(error: &io::Error) -> Self {
        use rustls::{AlertDescription as Alert, Error};
        match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
            Some(Error::NoCertificatesPresented | Error::InvalidCertificate(_)) => Self::Theirs,
            // In TLS 1.3 the caller has judged ours before it shows its own, so an alert about certificates that comes while we wait
            // for that can mean nothing else.
            Some(Error::AlertReceived(
                Alert::BadCertificate
                | Alert::UnsupportedCertificate
                | Alert::CertificateRevoked
                | Alert::CertificateExpired
                | Alert::CertificateUnknown
                | Alert::UnknownCA
                // The signature does not fit: of an authority that has the same name, such as one that was made anew.
                | Alert::DecryptError,
            )) => Self::Ours,
            _ => Self::Nobodys,
        }
    }

    fn log(&self, error: &io::Error) {
        match self {
            Self::Theirs => tracing::warn!(%error, "a caller showed no certificate that is good in this cloud"),
            Self::Ours => tracing::error!(%error, "a caller does not accept the certificate of this process"),
            Self::Nobodys => tracing::warn!(%error, "a caller did not finish its handshake"),
        }
    }
}

impl Files {
    fn read(&self) -> Result<Current, TlsError> {
        let mut roots = RootCertStore::empty();
        for root in certificates("the authority's certificates", &self.authority)? {
            roots.add(root)?;
        }
        let roots = Arc::new(roots);
        let chain = certificates("the certificate chain", &self.chain)?;
        let ends_at = expiry::of_chain(&chain);
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|reason| TlsError::Read {
            what: "the private key",
            path: self.key.clone(),
            reason,
        })?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone());
        let verifier = verifier.build().map_err(|error| rustls::Error::General(error.to_string()))?;
        let mut server = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain.clone(), key.clone_key())?;
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)?;
        server.alpn_protocols = vec![b"h2".to_vec()];
        client.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Current { server: Arc::new(server), client: Arc::new(client), ends_at })
    }

    fn changed_at(&self) -> Times {
        [&self.authority, &self.chain, &self.key]
            .map(|file| std::fs::metadata(file).and_then(|file| file.modified()).ok())
    }
}

fn certificates(what: &'static str, file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    CertificateDer::pem_file_iter(file).and_then(Iterator::collect).map_err(|reason| TlsError::Read {
        what,
        path: file.into(),
        reason,
    })
}

fn prepare(stream: &TcpStream) {
    // Calls are small; waiting to fill a packet adds 40 ms.
    let _ = stream.set_nodelay(true);
    let _ = socket::set_user_timeout(stream, USER_TIMEOUT);
}

async fn limited<T>(step: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(LIMIT, step).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

const LIMIT: Duration = Duration::from_secs(3);
const USER_TIMEOUT: Duration = Duration::from_secs(5);
/// Connected, and not taken yet.
const WAITING: usize = 64;
const HANDSHAKES: usize = 64;

#[cfg(test)]
mod tests {
    use rustls::{AlertDescription, CertificateError, Error};

    use super::*;

    #[test]
    fn a_failed_handshake_is_blamed_on_whose_certificate_it_was() {
        let fault = |error: Error| Fault::of(&io::Error::new(io::ErrorKind::InvalidData, error));
        assert_eq!(fault(Error::NoCertificatesPresented), Fault::Theirs);
        assert_eq!(fault(Error::InvalidCertificate(CertificateError::Expired)), Fault::Theirs);
        assert_eq!(fault(Error::AlertReceived(AlertDescription::CertificateExpired)), Fault::Ours);
        assert_eq!(fault(Error::AlertReceived(AlertDescription::DecryptError)), Fault::Ours);
        assert_eq!(fault(Error::AlertReceived(AlertDescription::ProtocolVersion)), Fault::Nobodys);
        assert_eq!(Fault::of(&io::ErrorKind::UnexpectedEof.into()), Fault::Nobodys);
    }
}
