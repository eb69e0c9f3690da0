//! More of what plays, and keeping it.

use std::time::Duration;

use macloud_e2ee::vocabulary::{MediaKind, Placement, Refusal, Reply};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Executor, not_announcing, refusal_of, report};
use crate::music_assistant::fields::Fields;
use crate::music_assistant::message::ErrorCode;
use crate::music_assistant::model::{Activity, Media, Player};
use crate::music_assistant::{CallError, READ_LIMIT};

/// From this API schema on, music like something is a playlist of its own.
const RADIO_PLAYLISTS: u64 = 34;

impl Executor {
    /// Play music like that which plays.
    pub(super) async fn play_similar(&self, player: &Player, limit: Duration) -> Result<Reply, Refusal> {
        let deadline = Instant::now() + limit;
        let seed = self.what_plays(player)?;
        let uri = match (&seed.uri, seed.kind) {
            (_, Some(MediaKind::Radio | MediaKind::Audiobook | MediaKind::Podcast)) | (None, _) => {
                return Err(Refusal::NotSupported);
            }
            (Some(uri), _) => uri,
        };
        // A server that finds nobody to ask for similar music has emptied the queue by then.
        if !self.finds_similar(limit).await? {
            return Err(Refusal::NotSupported);
        }
        let args = if self.ma.schema().is_some_and(|schema| schema >= RADIO_PLAYLISTS) {
            json!({ "media": format!("radio_playlist://playlist/{uri}") })
        } else {
            json!({ "media": uri, "radio_mode": true })
        };
        self.put(player, args, Placement::Replace, report::item(&seed), deadline).await
    }

    /// Make what plays a favourite.
    pub(super) async fn save_current(&self, player: &Player, limit: Duration) -> Result<Reply, Refusal> {
        let deadline = Instant::now() + limit;
        let media = self.what_plays(player)?;
        let left = || deadline.saturating_duration_since(Instant::now());
        let args = json!({ "player_id": self.leader(player).id });
        let saved = self.ma.call("players/add_currently_playing_to_favorites", args, left()).await;
        let is_station = media.kind == Some(MediaKind::Radio);
        let (saved, found) = match (saved, &media.uri) {
            // Not known to this server; or a station that does not say what it plays: then it is the station that is liked.
            (Err(CallError::Refused(ErrorCode::INVALID_COMMAND | ErrorCode::COMMAND_FAILED)), Some(uri)) => {
                let saved = self.ma.call("music/favorites/add_item", json!({ "item": uri }), left()).await;
                (saved, report::item(&media))
            }
            // What a station plays is what its player says.
            (saved, _) => {
                let heard = self.leader(player).media.filter(|_| is_station);
                (saved, report::item(heard.as_ref().unwrap_or(&media)))
            }
        };
        saved.map_err(|error| match error {
            CallError::TimedOut | CallError::Lost | CallError::TooLarge => Refusal::OutcomeUnknown,
            error => refusal_of(error, &self.called(player)),
        })?;
        self.done_with(&player.id, Some(found), |_| {})
    }

    /// What plays or is paused in the queue that is heard on `player`.
    fn what_plays(&self, player: &Player) -> Result<Media, Refusal> {
        let leader = self.leader(player);
        not_announcing(player, &leader)?;
        let directory = self.ma.directory();
        let queue = directory.queue(&leader.id);
        let is_on = leader.activity != Activity::Idle || queue.is_some_and(|queue| queue.activity != Activity::Idle);
        if directory.plays_own_source(&leader) {
            // From an input: Music Assistant hears only what it says of itself.
            return if is_on { Err(Refusal::NotSupported) } else { Err(Refusal::NothingPlays) };
        }
        queue.filter(|_| is_on).and_then(|queue| queue.media.clone()).ok_or(Refusal::NothingPlays)
    }

    /// Whether some provider of music is asked for what is similar.
    async fn finds_similar(&self, limit: Duration) -> Result<bool, Refusal> {
        let providers = self.ma.call("providers", json!({}), READ_LIMIT.min(limit)).await;
        let providers = providers.map_err(|error| refusal_of(error, ""))?;
        let features = |provider: &Value| Fields(provider).texts(&["supported_features"]);
        let providers = providers.as_array().map_or(&[][..], Vec::as_slice);
        Ok(providers.iter().flat_map(features).any(|feature| feature == "similar_tracks"))
    }
}
