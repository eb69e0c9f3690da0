//! What was done through linked apps, as counts by the hour.

use macloud_proto::ids::{GrantId, InstanceId};

use super::{Result, Tx, statements, values};

statements! {
    BATCH = "INSERT INTO use_batches (batch_id, counted_at) VALUES ($1, $2) ON CONFLICT (batch_id) DO NOTHING";
    /// A grant or a home that is gone meanwhile counts nowhere.
    ADD = "INSERT INTO uses (hour, grant_id, account_id, instance_id, kind, result, times, last_at) \
           SELECT $1, g.id, g.account_id, i.id, $4, $5, $6, $7 FROM grants g JOIN instances i ON i.id = $3 WHERE g.id = $2 \
           ON CONFLICT (hour, grant_id, instance_id, kind, result) DO UPDATE SET times = uses.times + excluded.times, \
           last_at = CASE WHEN excluded.last_at > uses.last_at THEN excluded.last_at ELSE uses.last_at END";
}

/// The words of a small enum, as they are stored.
macro_rules! stored {
    ($(#[$doc:meta])* $name:ident { $($(#[$case_doc:meta])* $case:ident = $text:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum $name { $($(#[$case_doc])* $case),* }
        impl $name {
            /// As it is stored.
            pub(crate) const fn text(self) -> &'static str {
                match self { $(Self::$case => $text),* }
            }
        }
    };
}

stored! {
    /// What was asked for.
    UseKind {
        /// Which players there are.
        Discovery = "discovery",
        /// How a player stands.
        Read = "read",
        /// Play, pause and the like.
        Playback = "playback",
        /// Louder, softer, silent.
        Volume = "volume",
        /// On and off.
        Power = "power",
        /// Shuffle, repeat and the like.
        Mode = "mode",
        /// Search and play.
        PlayMedia = "play_media",
    }
}

stored! {
    /// What came of it.
    UseResult {
        /// The home did it.
        Done = "done",
        /// A rule of the home forbids it.
        Refused = "refused",
        /// The home could not do it.
        NotPossible = "not_possible",
        /// The home was not connected.
        Offline = "offline",
        /// No answer in time.
        TimedOut = "timed_out",
        /// The home was paused.
        Paused = "paused",
        /// The plan's commands were used up, or came too fast.
        OverLimit = "over_limit",
        /// A fault of the service.
        Failed = "failed",
    }
}

/// So many of one kind that ended in one way.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Used {
    pub(crate) grant: GrantId,
    pub(crate) instance: InstanceId,
    pub(crate) kind: UseKind,
    pub(crate) result: UseResult,
    pub(crate) times: i64,
    pub(crate) last_at: i64,
}

/// Count a batch, once. Whether it was new.
pub(crate) async fn count(tx: &mut Tx, batch: &[u8; 16], uses: &mut [Used], now: i64) -> Result<bool> {
    if tx.write(BATCH, values![&batch[..], now]).await? == 0 {
        return Ok(false);
    }
    // In one order, so that two processes that report the same lines do not wait for each other in a circle.
    uses.sort();
    for used in uses {
        let hour = used.last_at - used.last_at.rem_euclid(HOUR);
        let (grant, instance) = (used.grant.as_str(), used.instance.as_str());
        let (kind, result) = (used.kind.text(), used.result.text());
        tx.write(ADD, values![hour, grant, instance, kind, result, used.times, used.last_at]).await?;
    }
    Ok(true)
}

const HOUR: i64 = 3600;
