//! A home is unlinked: its owner says so on the web page, or it takes leave itself.

use crate::shared::Shared;
use crate::store::activity::{self, Kind};
use crate::store::instances::{self, Instance};
use crate::store::{StoreError, members};

/// Unlink, for its owner and for everybody it is shared with; they can read of it later. Whether it was still linked.
pub(crate) async fn unlink(shared: &Shared, home: &Instance) -> Result<bool, StoreError> {
    let now = shared.now();
    let members = members::of_home(&shared.db, &home.id, now).await?;
    let mut tx = shared.db.begin().await?;
    let ended = instances::end(&mut tx, &home.account_id, &home.id, now).await?;
    shared.commit(tx).await?;
    if ended {
        activity::note(&shared.db, &home.account_id, Kind::HomeUnlinked, &home.name, now).await;
        for member in members {
            activity::note(&shared.db, &member.account_id, Kind::HomeLost, &home.name, now).await;
        }
    }
    Ok(ended)
}
