//! Homes, as operators see and treat them.

use macloud_proto::ids::{AccountId, InstanceId};

use super::AdminError;
use super::audit::Act;
use crate::AccountService;
use crate::store::instances::Instance;
use crate::store::{activity, instances, operators};

/// A linked home as an operator sees it. Its name is its owner's affair, and is not shown.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Home {
    /// Its id.
    pub id: InstanceId,
    /// Whose it is.
    pub account_id: AccountId,
    /// When it was linked, in seconds since 1970.
    pub paired_at: i64,
    /// When it last asked for a token, in seconds since 1970: about when it was last there.
    pub last_token_at: Option<i64>,
    /// Whether it is paused.
    pub paused: bool,
    /// What its owner compares at pairing.
    pub fingerprint: String,
}

impl AccountService {
    /// Linked homes in the order of their ids: at most `limit` of those behind `after`; all, or those of one account.
    ///
    /// # Errors
    /// The database's.
    pub async fn page_of_homes(
        &self,
        account: Option<&AccountId>,
        after: &str,
        limit: u32,
    ) -> Result<Vec<Home>, AdminError> {
        let ids = operators::homes(&self.shared.db, account, after, limit).await?;
        let mut homes = Vec::with_capacity(ids.len());
        for id in ids {
            // One that went in between is simply not there any more.
            homes.extend(instances::by_id(&self.shared.db, &id).await?.map(Home::from));
        }
        Ok(homes)
    }

    /// One linked home.
    ///
    /// # Errors
    /// See [`AdminError`].
    pub async fn show_home(&self, id: &str) -> Result<Home, AdminError> {
        self.home(&Act::new("home.show"), id).await.map(Home::from)
    }

    /// Unlink a home. Its socket closes at once, and it has to be paired anew.
    ///
    /// # Errors
    /// See [`AdminError`].
    pub async fn unlink_home(&self, id: &str) -> Result<(), AdminError> {
        let act = Act::new("home.unlink").on(id);
        let home = self.home(&act, id).await?;
        let mut tx = self.shared.db.begin().await?;
        let outcome = match instances::end(&mut tx, &home.account_id, &home.id, self.shared.now()).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(AdminError::Unknown("home")),
            Err(error) => Err(error.into()),
        };
        self.finish(tx, &act.on_account(&home.account_id), outcome).await?;
        self.tell_owner(&home, activity::Kind::HomeUnlinked).await;
        Ok(())
    }

    /// Pause a home, or resume it.
    ///
    /// # Errors
    /// See [`AdminError`].
    pub async fn set_home_paused(&self, id: &str, paused: bool) -> Result<(), AdminError> {
        let act = Act::new(if paused { "home.pause" } else { "home.resume" }).on(id);
        let home = self.home(&act, id).await?;
        let mut tx = self.shared.db.begin().await?;
        let changed = instances::set_paused(&mut tx, &home.account_id, &home.id, paused, self.shared.now()).await;
        // Doing it again changes nothing, and is no mistake.
        if self.finish(tx, &act.on_account(&home.account_id), changed.map_err(AdminError::from)).await? {
            let kind = if paused { activity::Kind::HomePaused } else { activity::Kind::HomeResumed };
            self.tell_owner(&home, kind).await;
        }
        Ok(())
    }

    /// The owner sees in the activity list what happened to the home.
    async fn tell_owner(&self, home: &Instance, kind: activity::Kind) {
        activity::note(&self.shared.db, &home.account_id, kind, &home.name, self.shared.now()).await;
    }

    async fn home(&self, act: &Act, id: &str) -> Result<Instance, AdminError> {
        let found = match id.parse::<InstanceId>() {
            Ok(id) => instances::by_id(&self.shared.db, &id).await?,
            Err(_) => None,
        };
        match found {
            Some(home) => Ok(home),
            None => Err(self.refused(act, AdminError::Unknown("home")).await),
        }
    }
}

impl From<Instance> for Home {
    fn from(home: Instance) -> Self {
        Self {
            fingerprint: macloud_proto::ids::fingerprint(&home.identity_key),
            id: home.id,
            account_id: home.account_id,
            paired_at: home.paired_at,
            last_token_at: home.last_token_at,
            paused: home.paused,
        }
    }
}
