//! What outlives the process, in the directory `acme` within the data directory: the account's key and, in a directory for each name
//! and authority, the certificate with its key, and the plan. So what is kept for a name is served for no other, and is there still when
//! somebody goes back to it. Each file is its owner's only, and replaced as a whole or not at all.

use std::fs::File;
use std::io::{self, Write as _};
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use macloud_service_kit::tls::{Certificate, TlsError};
use rcgen::KeyPair;
use url::form_urlencoded::byte_serialize;

use super::Settings;
use super::schedule::Plan;

/// What is kept for one name and authority.
#[derive(Debug)]
pub(super) struct Kept {
    name: String,
    account: PathBuf,
    certificate: PathBuf,
    plan: PathBuf,
}

/// Why something cannot be kept, or is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// The file system refuses.
    #[error("cannot use {}: {source}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
    /// The account's key is no key. It is not replaced: somebody may want it back.
    #[error("{} holds no account key: {source}", path.display())]
    AccountKey {
        /// Which file.
        path: PathBuf,
        /// What went wrong.
        source: rcgen::Error,
    },
    /// A certificate cannot be served. What was kept before stays.
    #[error("the certificate cannot be served: {0}")]
    Certificate(TlsError),
    /// A certificate is for something else. What was kept before stays.
    #[error("the certificate is not for {0}")]
    OtherName(String),
    /// What was issued is over, begins later, or has dates that cannot be read. What was kept before stays.
    #[error("the certificate that was issued is not good today")]
    OtherTime,
    /// What was issued does not fit into a handshake. What was kept before stays.
    #[error("the certificate that was issued comes with {0} bytes of others, which no handshake has room for")]
    TooLong(usize),
}

impl KeepError {
    /// What helps, as a sentence. Empty where nobody knows.
    pub(super) const fn remedy(&self) -> &'static str {
        match self {
            Self::File { .. } => "The data directory must be there, writable, and not full.",
            Self::AccountKey { .. } => "Put the right one back, or move the file away: a new account is made then.",
            Self::OtherTime => "Is this machine's clock right?",
            Self::Certificate(_) | Self::OtherName(_) | Self::TooLong(_) => "",
        }
    }
}

impl Kept {
    pub(super) fn within(data_dir: &Path, settings: &Settings) -> Self {
        let all = data_dir.join("acme");
        let authority: String = byte_serialize(settings.directory.as_bytes()).collect();
        let own = all.join(&settings.name).join(authority);
        Self {
            name: settings.name.clone(),
            account: all.join("account.pem"),
            certificate: own.join("certificate.pem"),
            plan: own.join("plan.json"),
        }
    }

    /// Where the certificate and its key are, or will be: one PEM file, as two would not be replaced together.
    pub(super) fn certificate_file(&self) -> &Path {
        &self.certificate
    }

    /// Have what is kept be served, if something is, and can be.
    pub(super) fn load(&self, served: &Certificate) -> Result<(), KeepError> {
        if !self.certificate.exists() {
            return Ok(());
        }
        self.check(&self.certificate)?;
        served.reload().map_err(KeepError::Certificate)
    }

    /// Replace the certificate and its key, if they can be served. Gives from when until when they are good.
    pub(super) fn install(&self, pem: &str, now: u64) -> Result<Range<u64>, KeepError> {
        if pem.len() > LONGEST {
            return Err(KeepError::TooLong(pem.len()));
        }
        let unfinished = write_beside(&self.certificate, pem)?;
        match self.check(&unfinished).and_then(|certificate| good_at(now, &certificate)) {
            Ok(valid) => put_in_place(&unfinished, &self.certificate).map(|()| valid),
            Err(error) => {
                let _ = std::fs::remove_file(&unfinished);
                Err(error)
            }
        }
    }

    fn check(&self, file: &Path) -> Result<Arc<Certificate>, KeepError> {
        let certificate = Certificate::load(file, file).map_err(KeepError::Certificate)?;
        if certificate.is_for(&self.name) { Ok(certificate) } else { Err(KeepError::OtherName(self.name.clone())) }
    }

    /// The plan that was written last. None where there is none, or it cannot be read.
    pub(super) fn plan(&self) -> Option<Plan> {
        serde_json::from_slice(&std::fs::read(&self.plan).ok()?).ok()
    }

    pub(super) fn write_plan(&self, plan: &Plan) -> Result<(), KeepError> {
        let text = serde_json::to_string_pretty(plan).expect("a plan is text and numbers");
        write(&self.plan, &text)
    }

    /// The key that says who we are at the authority; made on first use.
    pub(super) fn account_key(&self) -> Result<KeyPair, KeepError> {
        let path = &self.account;
        let unusable = |source| KeepError::AccountKey { path: path.clone(), source };
        match std::fs::read_to_string(path) {
            Ok(pem) => KeyPair::from_pem(&pem).map_err(unusable),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let made = KeyPair::generate().map_err(unusable)?;
                write(path, &made.serialize_pem())?;
                Ok(made)
            }
            Err(source) => Err(KeepError::File { path: path.clone(), source }),
        }
    }
}

/// Authorities send two or three certificates of less than 2 KiB; clients of TLS take 64 KiB at most.
const LONGEST: usize = 32 << 10;

/// When it is good, if that is now. It may begin a little later by this machine's clock, which may be slow.
fn good_at(now: u64, certificate: &Certificate) -> Result<Range<u64>, KeepError> {
    let is_good = |valid: &Range<u64>| valid.start <= now + CLOCKS_DIFFER && now < valid.end;
    certificate.validity().filter(is_good).ok_or(KeepError::OtherTime)
}

const CLOCKS_DIFFER: u64 = 86_400;

fn write(path: &Path, text: &str) -> Result<(), KeepError> {
    let unfinished = write_beside(path, text)?;
    put_in_place(&unfinished, path)
}

fn write_beside(path: &Path, text: &str) -> Result<PathBuf, KeepError> {
    let unfinished = path.with_extension("new");
    let write = || -> io::Result<()> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory_of(path))?;
        // One that a crash left behind may be of any mode.
        let _ = std::fs::remove_file(&unfinished);
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(&unfinished)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    write().map_err(|source| KeepError::File { path: unfinished.clone(), source })?;
    Ok(unfinished)
}

fn put_in_place(unfinished: &Path, path: &Path) -> Result<(), KeepError> {
    let put = || {
        let directory = File::open(directory_of(path))?;
        std::fs::rename(unfinished, path)?;
        directory.sync_all()
    };
    put().map_err(|source| KeepError::File { path: path.into(), source })
}

fn directory_of(path: &Path) -> &Path {
    path.parent().expect("each file lies in a directory of ours")
}
