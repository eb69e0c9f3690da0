//! A certificate chain as Alexa publishes it: read, traced to a trusted root, and its first certificate used to check
//! a signature.

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage};

/// Who signs for Alexa. Compared exactly: a name check for TLS would let a wildcard stand for it.
const SIGNER: &str = "echo-api.amazon.com";

/// Real chains have 4 certificates and 7 KiB.
const MAX_CERTIFICATES: usize = 10;
/// Longer is not even read.
pub(super) const MAX_PEM_BYTES: usize = 64 * 1024;

/// Why a chain or a signature is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// Not PEM, too long, or without a certificate.
    #[error("the certificate chain cannot be read")]
    Unreadable,
    /// Of somebody else.
    #[error("the signing certificate is not for Alexa")]
    WrongName,
    /// Expired, not yet valid, or not issued by a trusted authority.
    #[error("the certificate chain is not trusted: {0}")]
    Untrusted(webpki::Error),
    /// Of other bytes, or by another key.
    #[error("the signature is wrong")]
    Signature,
}

/// The certification authorities that may vouch for Alexa's signing certificates.
pub struct Roots(Vec<TrustAnchor<'static>>);

impl Roots {
    /// The public ones, and these.
    ///
    /// # Errors
    /// When one of `extra` is no certificate.
    pub fn new(extra: &[CertificateDer<'static>]) -> Result<Self, ChainError> {
        let mut roots = webpki_roots::TLS_SERVER_ROOTS.to_vec();
        for root in extra {
            roots.push(webpki::anchor_from_trusted_cert(root).map_err(|_| ChainError::Unreadable)?.to_owned());
        }
        Ok(Self(roots))
    }
}

/// A chain, the signing certificate first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    signer: CertificateDer<'static>,
    issuers: Vec<CertificateDer<'static>>,
}

impl Chain {
    /// Read PEM. Never panics, whatever `pem` holds.
    ///
    /// # Errors
    /// [`ChainError::Unreadable`].
    pub fn parse(pem: &[u8]) -> Result<Self, ChainError> {
        if pem.len() > MAX_PEM_BYTES {
            return Err(ChainError::Unreadable);
        }
        let read = CertificateDer::pem_slice_iter(pem).take(MAX_CERTIFICATES + 1).collect::<Result<Vec<_>, _>>();
        let mut certificates = read.map_err(|_| ChainError::Unreadable)?.into_iter();
        let chain =
            Self { signer: certificates.next().ok_or(ChainError::Unreadable)?, issuers: certificates.collect() };
        if chain.issuers.len() < MAX_CERTIFICATES { Ok(chain) } else { Err(ChainError::Unreadable) }
    }

    /// Whether the first certificate is Alexa's and, at this time (seconds since 1970), a root vouches for it.
    ///
    /// # Errors
    /// [`ChainError::WrongName`] or [`ChainError::Untrusted`].
    pub fn check_trust(&self, roots: &Roots, now: u64) -> Result<(), ChainError> {
        let signer = self.signer()?;
        if !signer.valid_dns_names().any(|name| name == SIGNER) {
            return Err(ChainError::WrongName);
        }
        let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(now));
        let usage = KeyUsage::server_auth();
        signer
            .verify_for_usage(ALL_VERIFICATION_ALGS, &roots.0, &self.issuers, now, usage, None, None)
            .map(|_| ())
            .map_err(ChainError::Untrusted)
    }

    /// Whether the first certificate's key signed these bytes, with RSA PKCS#1 v1.5 and SHA-256 and nothing else.
    ///
    /// # Errors
    /// [`ChainError::Signature`].
    pub fn check_signature(&self, body: &[u8], signature: &[u8]) -> Result<(), ChainError> {
        let checked = self.signer()?.verify_signature(webpki::ring::RSA_PKCS1_2048_8192_SHA256, body, signature);
        checked.map_err(|_| ChainError::Signature)
    }

    fn signer(&self) -> Result<EndEntityCert<'_>, ChainError> {
        EndEntityCert::try_from(&self.signer).map_err(|_| ChainError::Unreadable)
    }
}
