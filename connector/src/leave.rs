//! Taking leave: the connector is being removed, and nothing shall be left that could still be used.
//!
//! The home is unlinked in the cloud, Music Assistant's token given back if it was made for the connector, and the state directory
//! emptied. A cloud that cannot be told keeps all of it as it is: the home's key is the only word that the cloud takes for its own,
//! and once it is deleted nobody can try again. Who does not want to wait says so. Music Assistant keeps nobody waiting; what is left
//! to do by hand is said.

use std::sync::Arc;

use macloud_proto::jose::SigningKey;
use serde::Serialize;

use crate::cloud::{Cloud, CloudError};
use crate::connector::{ConnectorOptions, ma_settings};
use crate::music_assistant::MusicAssistant;
use crate::music_assistant::give_back::{GivenBack, give_back};
use crate::state::{Pairing, StateDir, StateError};

/// What became of the home in the cloud.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum InTheCloud {
    /// It is unlinked.
    Unlinked,
    /// It was not there any more.
    WasGone,
    /// It goes on with another connector, which is not to be disturbed.
    GoesOnElsewhere,
    /// It stays, as was wished.
    Kept,
    /// It never was in a cloud.
    NeverPaired,
    /// The cloud could not be told. Why, for people.
    NotTold(String),
}

/// What is wished of taking leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// The cloud is told, or nothing is changed.
    Unlink,
    /// The cloud is told if that is possible.
    UnlinkIfPossible,
    /// The home stays in the cloud, and can be paired again with other hardware.
    KeepInTheCloud,
}

/// Why nobody took leave.
#[derive(Debug, thiserror::Error)]
pub enum LeaveError {
    /// In use, or it could not be emptied. Done again, it goes on where it stopped.
    #[error(transparent)]
    State(#[from] StateError),
    /// The cloud is to be told, and could not be.
    #[error(
        "nothing was changed, as the cloud could not be told: {0}. Try again later; or, with --force, let this machine forget the home, and unlink it on the cloud's web page, under Homes"
    )]
    NotTold(String),
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Leave {
    /// In the cloud.
    pub cloud: InTheCloud,
    /// With Music Assistant's token, where there was one.
    pub music_assistant_token: Option<GivenBack>,
    /// What is left to do by hand.
    pub by_hand: Vec<String>,
}

/// Take leave.
///
/// # Errors
/// [`LeaveError`].
pub async fn leave(state: StateDir, options: &ConnectorOptions, wish: Wish) -> Result<Leave, LeaveError> {
    let lock = state.lock()?;
    let mut by_hand = Vec::new();
    // The key is needed for it, so it comes first.
    let cloud = match wish {
        Wish::KeepInTheCloud => InTheCloud::Kept,
        Wish::Unlink | Wish::UnlinkIfPossible => leave_cloud(&state, options).await,
    };
    match &cloud {
        InTheCloud::NotTold(why) if wish == Wish::Unlink => return Err(LeaveError::NotTold(why.clone())),
        InTheCloud::NotTold(why) => by_hand.push(format!(
            "The cloud was not told ({why}): unlink this home on its web page, under Homes. Until then it is shown there as not connected."
        )),
        InTheCloud::GoesOnElsewhere => {
            by_hand.push("This home has moved to other hardware and goes on there: it was not unlinked.".into());
        }
        _ => {}
    }
    let music_assistant_token = give_token_back(&state, options).await;
    match music_assistant_token {
        Some(GivenBack::NotOurs) => by_hand.push(
            "Music Assistant's token was made by hand: if nothing else uses it, delete it there under Settings, Profile.".into(),
        ),
        Some(GivenBack::Failed) => by_hand.push(
            "Music Assistant could not be told: delete the connector's token there under Settings, Profile.".into(),
        ),
        _ => {}
    }
    state.clear(lock)?;
    Ok(Leave { cloud, music_assistant_token, by_hand })
}

async fn leave_cloud(state: &StateDir, options: &ConnectorOptions) -> InTheCloud {
    let (pairing, identity) = match (state.pairing(), state.existing_identity()) {
        (Ok(None), _) => return InTheCloud::NeverPaired,
        (Ok(Some(pairing)), Ok(Some(seed))) => (pairing, Arc::new(SigningKey::from_seed(&seed))),
        (Err(error), _) | (_, Err(error)) => return InTheCloud::NotTold(error.to_string()),
        (Ok(Some(_)), Ok(None)) => return InTheCloud::NotTold("its key is gone".into()),
    };
    match unlink(&pairing, &identity, options).await {
        Ok(()) => InTheCloud::Unlinked,
        Err(CloudError::Unauthorized) => InTheCloud::WasGone,
        Err(CloudError::Moved) => InTheCloud::GoesOnElsewhere,
        Err(error) => InTheCloud::NotTold(error.to_string()),
    }
}

async fn unlink(pairing: &Pairing, identity: &SigningKey, options: &ConnectorOptions) -> Result<(), CloudError> {
    let cloud = Cloud::new(pairing.cloud.clone(), options.dialer.clone(), Arc::clone(&options.clock))?;
    cloud.leave(identity, &pairing.instance_id).await
}

/// Only the one that is kept here: another was given for one run, and is somebody's.
async fn give_token_back(state: &StateDir, options: &ConnectorOptions) -> Option<GivenBack> {
    let token = state.token()?;
    let kept = ConnectorOptions { ma_token_file: None, ..options.clone() };
    match ma_settings(state, &kept) {
        Ok(settings) => Some(give_back(&MusicAssistant::new(settings), &token).await),
        Err(_) => Some(GivenBack::Failed),
    }
}
