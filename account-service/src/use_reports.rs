//! Reports of what was done: checked, and counted once.

use macloud_proto::accounts::v1::r#use::{Kind, Result as Ended};
use macloud_proto::accounts::v1::{ReportUseRequest, Use};
use tonic::Status;

use crate::plans;
use crate::shared::Shared;
use crate::store::StoreError;
use crate::store::uses::{self, UseKind, UseResult, Used};

/// A batch whose form is right.
pub(crate) struct Batch {
    id: [u8; 16],
    uses: Vec<Used>,
}

impl Batch {
    /// Check what was sent. A use of a kind or result that this version does not know is left out alone: it comes from a newer
    /// caller.
    pub(crate) fn check(request: ReportUseRequest, now: i64) -> Result<Self, Status> {
        let id = request.batch_id[..].try_into().map_err(|_| Status::invalid_argument("batch_id has not 16 bytes"))?;
        if request.uses.len() > MOST_USES {
            return Err(Status::invalid_argument("more than 1000 uses in a batch"));
        }
        let uses = request.uses.into_iter().map(|one| used(one, now));
        let uses: Vec<Option<Used>> = uses.collect::<Result<_, _>>()?;
        Ok(Self { id, uses: uses.into_iter().flatten().collect() })
    }

    /// Count it, unless it was counted before.
    pub(crate) async fn count(mut self, shared: &Shared) -> Result<(), StoreError> {
        let now = shared.now();
        let mut tx = shared.db.begin().await?;
        if !uses::count(&mut tx, &self.id, &mut self.uses, now).await? {
            return Ok(());
        }
        tx.commit().await?;
        let counted = self.uses.into_iter().filter(|used| used.kind.counts() && used.result.reached_home());
        // They are counted: a caller that is told otherwise would only send them again.
        if let Err(error) = plans::after_use(shared, counted.map(|used| used.instance).collect()).await {
            tracing::warn!(%error, "whether plans are used up could not be looked at: the next report does it");
        }
        Ok(())
    }
}

fn used(one: Use, now: i64) -> Result<Option<Used>, Status> {
    let (Some(kind), Some(result)) = (kind(one.kind()), result(one.result())) else { return Ok(None) };
    let grant = one.grant_id.parse().map_err(|_| Status::invalid_argument("a grant_id is malformed"))?;
    let instance = one.instance_id.parse().map_err(|_| Status::invalid_argument("an instance_id is malformed"))?;
    // A caller's clock may differ; a report from the future would stay on top of everything, one from long ago is late.
    let last_at = i64::try_from(one.last_at).unwrap_or(now).clamp(now - LATEST, now);
    Ok(Some(Used { grant, instance, kind, result, times: one.count.into(), last_at }))
}

fn kind(kind: Kind) -> Option<UseKind> {
    Some(match kind {
        Kind::Discovery => UseKind::Discovery,
        Kind::Read => UseKind::Read,
        Kind::Playback => UseKind::Playback,
        Kind::Volume => UseKind::Volume,
        Kind::Power => UseKind::Power,
        Kind::Mode => UseKind::Mode,
        Kind::PlayMedia => UseKind::PlayMedia,
        Kind::Unspecified => return None,
    })
}

fn result(result: Ended) -> Option<UseResult> {
    Some(match result {
        Ended::Done => UseResult::Done,
        Ended::Refused => UseResult::Refused,
        Ended::NotPossible => UseResult::NotPossible,
        Ended::Offline => UseResult::Offline,
        Ended::TimedOut => UseResult::TimedOut,
        Ended::Paused => UseResult::Paused,
        Ended::OverLimit => UseResult::OverLimit,
        Ended::Failed => UseResult::Failed,
        Ended::Unspecified => return None,
    })
}

const MOST_USES: usize = 1000;
/// A batch that could not be reported for a day is counted as a day old.
const LATEST: i64 = 24 * 3600;
