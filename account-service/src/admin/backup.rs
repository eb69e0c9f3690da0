//! What backups need of the database: a look whether a copy is good, and the word that it was restored.

use super::AdminError;
use super::audit::Act;
use crate::AccountService;
use crate::store::restores::{self, Holdings, Restored};
use crate::store::sealed::COLUMNS;

impl AccountService {
    /// What this database holds. Fails when something is wrong with it, or does not open with the key file.
    ///
    /// # Errors
    /// See [`AdminError`].
    pub async fn examine(&self) -> Result<Holdings, AdminError> {
        let (db, master) = (&self.shared.db, &self.shared.master);
        if !db.is_whole().await? {
            return Err(AdminError::Damaged("its file is damaged"));
        }
        for column in &COLUMNS {
            for (key, sealed) in column.list(db).await? {
                if master.open(&column.place(&key), &sealed).is_none() {
                    return Err(AdminError::Damaged("something in it does not open with any key of the key file"));
                }
            }
        }
        Ok(restores::holdings(db).await?)
    }

    /// Say that this database is a copy from before. To be called before anybody is served: links whose tokens were
    /// refreshed since the copy was made go on, and what may have been used up or ended since is ended.
    ///
    /// # Errors
    /// The database's.
    pub async fn mark_restored(&self) -> Result<Restored, AdminError> {
        let mut tx = self.shared.db.begin().await?;
        let noted = restores::note(&mut tx, self.shared.now()).await;
        self.finish(tx, &Act::new("backup.restored"), noted.map_err(AdminError::from)).await
    }
}
