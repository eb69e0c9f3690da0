//! What outlives the process, in the directory `acme` within the data directory: the account's key, the certificate with its
//! key, and the plan. Each file is its owner's only, and replaced as a whole or not at all.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use macloud_service_kit::tls::{Certificate, TlsError};
use rcgen::KeyPair;

use super::schedule::Plan;

/// The directory.
#[derive(Debug)]
pub(super) struct Kept(PathBuf);

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
    /// What was issued cannot be served. What was kept before stays.
    #[error("what was issued cannot be served: {0}")]
    Issued(TlsError),
}

impl Kept {
    pub(super) fn within(data_dir: &Path) -> Self {
        Self(data_dir.join("acme"))
    }

    /// Where the certificate and its key are, or will be: one PEM file, as two would not be replaced together.
    pub(super) fn certificate_file(&self) -> PathBuf {
        self.0.join("certificate.pem")
    }

    /// Replace the certificate and its key, if they can be served.
    pub(super) fn install(&self, pem: &str) -> Result<(), KeepError> {
        let file = self.certificate_file();
        let unfinished = self.write_beside(&file, pem)?;
        if let Err(error) = Certificate::load(&unfinished, &unfinished) {
            let _ = std::fs::remove_file(&unfinished);
            return Err(KeepError::Issued(error));
        }
        self.put_in_place(&unfinished, &file)
    }

    /// The plan that was written last. None where there is none, or it cannot be read: then everything begins anew.
    pub(super) fn plan(&self) -> Option<Plan> {
        serde_json::from_slice(&std::fs::read(self.plan_file()).ok()?).ok()
    }

    pub(super) fn write_plan(&self, plan: &Plan) -> Result<(), KeepError> {
        let text = serde_json::to_string_pretty(plan).expect("a plan is text and numbers");
        self.write(&self.plan_file(), &text)
    }

    /// The key that says who we are at the authority; made on first use.
    pub(super) fn account_key(&self) -> Result<KeyPair, KeepError> {
        let path = self.0.join("account.pem");
        match std::fs::read_to_string(&path) {
            Ok(pem) => KeyPair::from_pem(&pem).map_err(|source| KeepError::AccountKey { path, source }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let made =
                    KeyPair::generate().map_err(|source| KeepError::AccountKey { path: path.clone(), source })?;
                self.write(&path, &made.serialize_pem())?;
                Ok(made)
            }
            Err(source) => Err(KeepError::File { path, source }),
        }
    }

    fn plan_file(&self) -> PathBuf {
        self.0.join("plan.json")
    }

    fn write(&self, path: &Path, text: &str) -> Result<(), KeepError> {
        let unfinished = self.write_beside(path, text)?;
        self.put_in_place(&unfinished, path)
    }

    fn write_beside(&self, path: &Path, text: &str) -> Result<PathBuf, KeepError> {
        let unfinished = path.with_extension("new");
        let write = || -> io::Result<()> {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.0)?;
            // One that a crash left behind may be of any mode.
            let _ = std::fs::remove_file(&unfinished);
            let mut file = File::options().write(true).create_new(true).mode(0o600).open(&unfinished)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()
        };
        write().map_err(|source| KeepError::File { path: unfinished.clone(), source })?;
        Ok(unfinished)
    }

    fn put_in_place(&self, unfinished: &Path, path: &Path) -> Result<(), KeepError> {
        let put =
            || File::open(&self.0).and_then(|dir| std::fs::rename(unfinished, path).and_then(|()| dir.sync_all()));
        put().map_err(|source| KeepError::File { path: path.into(), source })
    }
}
