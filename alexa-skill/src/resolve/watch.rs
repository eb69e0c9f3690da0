//! Keeps the stream of pushed changes open, and empties what they touch.

use std::time::Duration;

use macloud_proto::accounts::v1::change::Subject;
use macloud_proto::accounts::v1::{Change, KeyChanged, WatchChangesRequest};
use macloud_proto::ids::InstanceId;
use macloud_service_kit::random;
use macloud_service_kit::stop::Stop;
use tonic::Status;

use super::Resolver;

/// What else must hear of changes: whoever keeps sessions with homes.
pub trait HomesForgotten: Send + Sync {
    /// Drop what is kept for this home.
    fn forget(&self, instance: &InstanceId);

    /// Drop everything: some changes were missed.
    fn forget_all(&self);
}

/// The account service beats every second, so silence means that the stream is lost, whatever the connection looks like.
const LONGEST_SILENCE: Duration = Duration::from_secs(3);

async fn heard<T>(next: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
    let silent = |_| Status::deadline_exceeded("the account service is silent");
    tokio::time::timeout(LONGEST_SILENCE, next).await.map_err(silent)?
}

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

impl Resolver {
    /// Whether pushed changes arrive at the moment.
    #[must_use]
    pub fn is_watching(&self) -> bool {
        self.cache.is_watched()
    }

    /// Follow changes until `stop`. Nothing else makes cached answers hold.
    pub async fn watch(&self, homes: &dyn HomesForgotten, stop: &Stop) {
        let mut since = 0;
        let mut pause = FIRST_PAUSE;
        loop {
            tokio::select! {
                // Stopping first: a change that arrives with it helps nobody any more.
                biased;
                () = stop.soft() => return,
                was_live = self.follow(&mut since, homes) => {
                    self.cache.unwatched(self.clock.monotonic_millis());
                    pause = if was_live { FIRST_PAUSE } else { (pause * 2).min(LONGEST_PAUSE) };
                }
            }
            let jittered = Duration::from_millis(random::up_to(pause.as_millis() as u64));
            tokio::select! {
                biased;
                () = stop.soft() => return,
                () = tokio::time::sleep(jittered) => {}
            }
        }
    }

    /// One stream from its opening to its end; whether it was live.
    async fn follow(&self, since: &mut u64, homes: &dyn HomesForgotten) -> bool {
        let mut live = false;
        match self.follow_to_the_end(since, &mut live, homes).await {
            Ok(()) => tracing::warn!("the account service ended the stream of changes"),
            Err(status) => tracing::warn!(code = ?status.code(), "cannot follow the account service's changes"),
        }
        live
    }

    async fn follow_to_the_end(
        &self,
        since: &mut u64,
        live: &mut bool,
        homes: &dyn HomesForgotten,
    ) -> Result<(), Status> {
        let mut accounts = self.accounts.clone();
        let request = WatchChangesRequest { since: *since, replay_seconds: 0 };
        let mut changes = heard(accounts.watch_changes(request)).await?.into_inner();
        while let Some(change) = heard(changes.message()).await? {
            *since = change.sequence.max(*since);
            *live |= matches!(change.subject, Some(Subject::Start(_)));
            self.apply(change, homes);
        }
        Ok(())
    }

    fn apply(&self, change: Change, homes: &dyn HomesForgotten) {
        if matches!(change.subject, Some(Subject::Heartbeat(_))) {
            return;
        }
        self.empty(change.subject, homes);
        // A look-up that is under way may carry what was true before: whoever comes now starts another.
        self.look_ups.part();
    }

    fn empty(&self, subject: Option<Subject>, homes: &dyn HomesForgotten) {
        match subject {
            Some(Subject::Start(start)) => {
                self.cache.watched();
                if start.gap {
                    homes.forget_all();
                }
            }
            Some(Subject::GrantEnded(grant)) => {
                if let Ok(grant) = grant.parse() {
                    self.cache.forget_grant(&grant);
                }
            }
            // With another key, a home's cached identity and sealed sessions are as void as if it had ended.
            Some(Subject::InstanceEnded(instance) | Subject::KeyChanged(KeyChanged { instance_id: instance, .. })) => {
                if let Ok(instance) = instance.parse() {
                    self.cache.forget_home(&instance);
                    homes.forget(&instance);
                }
            }
            Some(Subject::AccountEnded(account) | Subject::HomesChanged(account)) => {
                if let Ok(account) = account.parse() {
                    for instance in self.cache.forget_account(&account) {
                        homes.forget(&instance);
                    }
                }
            }
            // The account is told beside it, as changed homes; the limits are the relay's.
            Some(
                Subject::HomePaused(_) | Subject::HomeResumed(_) | Subject::LimitsChanged(_) | Subject::Heartbeat(_),
            ) => {}
            // Of a newer account service: what it touches is not known, so nothing is trusted.
            None => {
                self.cache.watched();
                homes.forget_all();
            }
        }
    }
}
