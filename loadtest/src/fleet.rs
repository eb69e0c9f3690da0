//! Real relays as processes, and everything around them: an account service that only signs tokens, homes that dial in over TLS
//! as real ones do, and callers on the command bus.

pub(crate) mod accounts;
pub(crate) mod callers;
pub(crate) mod homes;
pub(crate) mod nodes;

use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// A directory that goes when we go.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("macloud-{name}-{}", std::process::id()));
        std::fs::create_dir(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The program of that name that was built with this one.
pub(crate) fn beside_us(program: &str) -> anyhow::Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name(program);
    anyhow::ensure!(path.is_file(), "{} is missing: build it with the same profile", path.display());
    Ok(path)
}
