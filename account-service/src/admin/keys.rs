//! The keys that sign tokens, and those of the key file that guard them and other secrets in the database.

use super::AdminError;
use super::audit::Act;
use crate::AccountService;
use crate::key_ring::{FileKey, Renewed};
use crate::shared::Shared;
use crate::store::sealed::COLUMNS;

/// A signing key as an operator sees it.
#[derive(Debug, Clone, serde::Serialize)]
pub struct PublishedKey {
    /// Its id, as in the published set.
    pub id: String,
    /// From when on it signs, in seconds since 1970.
    pub use_from: i64,
    /// Whether it is the one that signs now.
    pub signs: bool,
}

/// What sealing anew did.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Resealed {
    /// Sealed with the newest key now.
    pub renewed: usize,
    /// Sealed with it before.
    pub were_new: usize,
    /// Left as they are, because no key of the file opens them.
    pub unreadable: usize,
}

impl AccountService {
    /// Publish a new signing key, used a few minutes later. Its key id.
    ///
    /// # Errors
    /// The database's, or the key file's.
    pub async fn rotate_signing_key(&self) -> Result<String, AdminError> {
        let Shared { db, master, signing, .. } = &*self.shared;
        let mut tx = db.begin().await?;
        let rotated = signing.rotate(&mut tx, master).await;
        let mut act = Act::new("key.rotate");
        if let Ok(id) = &rotated {
            act = act.on(id);
        }
        let id = self.finish(tx, &act, rotated.map_err(AdminError::from)).await?;
        signing.reload(db, master).await?;
        Ok(id)
    }

    /// The signing keys that are published, oldest first.
    #[must_use]
    pub fn list_signing_keys(&self) -> Vec<PublishedKey> {
        let keys = self.shared.signing.published().into_iter();
        keys.map(|(id, use_from, signs)| PublishedKey { id, use_from, signs }).collect()
    }

    /// The keys of the key file, oldest first.
    #[must_use]
    pub fn list_file_keys(&self) -> Vec<FileKey> {
        self.shared.master.ring().list()
    }

    /// Add a key to the key file. It seals from `after_seconds` on, when every process has read it; the others still open.
    ///
    /// # Errors
    /// The key file's.
    pub async fn add_file_key(&self, after_seconds: u32) -> Result<FileKey, AdminError> {
        let act = Act::new("key_file.add");
        match self.shared.master.ring().add(after_seconds) {
            Ok(key) => {
                self.note(&act.on(&key.id)).await?;
                Ok(key)
            }
            Err(error) => Err(self.refused(&act, error.into()).await),
        }
    }

    /// Seal everything in the database with the newest key of the file. May be repeated, cut short, and run beside the
    /// service.
    ///
    /// # Errors
    /// See [`AdminError`].
    pub async fn re_encrypt(&self) -> Result<Resealed, AdminError> {
        let act = Act::new("key_file.re_encrypt");
        if self.list_file_keys().last().is_some_and(|newest| !newest.seals) {
            return Err(self.refused(&act, AdminError::NotYet).await);
        }
        let mut done = Resealed::default();
        for column in &COLUMNS {
            for (key, sealed) in column.list(&self.shared.db).await? {
                match self.shared.master.ring().renew(&column.place(&key), &sealed) {
                    Some(Renewed::Newest) => done.were_new += 1,
                    Some(Renewed::Again(anew)) => {
                        // One that changed or went meanwhile is the next run's.
                        done.renewed += usize::from(column.replace(&self.shared.db, &key, &sealed, &anew).await?);
                    }
                    None => done.unreadable += 1,
                }
            }
        }
        self.note(&act).await?;
        Ok(done)
    }

    /// Take every key out of the key file that is not needed any more. The ids of those that went.
    ///
    /// # Errors
    /// See [`AdminError`]; as long as something needs an old key, nothing goes.
    pub async fn drop_old_file_keys(&self) -> Result<Vec<String>, AdminError> {
        let act = Act::new("key_file.drop_old");
        match self.try_drop_old_file_keys().await {
            Ok(ids) => {
                self.note(&act).await?;
                Ok(ids)
            }
            Err(error) => Err(self.refused(&act, error).await),
        }
    }

    async fn try_drop_old_file_keys(&self) -> Result<Vec<String>, AdminError> {
        let (mut old, mut unreadable) = (0, 0);
        for column in &COLUMNS {
            for (key, sealed) in column.list(&self.shared.db).await? {
                match self.shared.master.ring().renew(&column.place(&key), &sealed) {
                    Some(Renewed::Newest) => {}
                    Some(Renewed::Again(_)) => old += 1,
                    None => unreadable += 1,
                }
            }
        }
        match (old, unreadable) {
            // Somebody may still seal with an old one, behind this look.
            (0, 0) if !self.shared.master.ring().has_settled() => Err(AdminError::NotYet),
            (0, 0) => Ok(self.shared.master.ring().drop_old()?),
            (0, unreadable) => Err(AdminError::Unreadable(unreadable)),
            (old, _) => Err(AdminError::StillSealed(old)),
        }
    }
}
