//! What the other parts of the cloud may ask: `macloud.accounts.v1.Accounts`.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;
use macloud_proto::accounts::v1::accounts_server::{Accounts, AccountsServer};
use macloud_proto::accounts::v1::resolve_access_answer::Status as AccessStatus;
use macloud_proto::accounts::v1::{
    Change, CustomerLeftAnswer, CustomerLeftRequest, EventAudienceAnswer, EventAudienceRequest, EventGrant, Heartbeat,
    Home, KeyChanged, NoteCustomerAnswer, NoteCustomerRequest, ReportUseAnswer, ReportUseRequest, ResolveAccessAnswer,
    ResolveAccessRequest, SigningKeysAnswer, SigningKeysRequest, Start, StoreEventGrantAnswer, StoreEventGrantRequest,
    WatchChangesRequest, change,
};
use macloud_proto::ids::{AccountId, InstanceId};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use crate::secrets::{Kind, lookup_hash};
use crate::shared::Shared;
use crate::store::changes::{self, Subject};
use crate::store::{StoreError, event_grants, instances, members, restores, tokens};
use crate::use_reports::Batch;

/// The server of the contract.
#[derive(Clone)]
pub struct AccountsRpc {
    shared: Arc<Shared>,
}

impl AccountsRpc {
    pub(crate) fn server(shared: Arc<Shared>) -> AccountsServer<Self> {
        AccountsServer::new(Self { shared })
    }

    async fn resolve(&self, access_token: &str) -> Result<ResolveAccessAnswer, StoreError> {
        let with = |status: AccessStatus| ResolveAccessAnswer { status: status.into(), ..Default::default() };
        let Some(hash) = lookup_hash(Kind::Access, access_token) else { return Ok(with(AccessStatus::Invalid)) };
        let Some(token) = tokens::by_access(&self.shared.db, &hash).await? else {
            // One that was lost with the time before a restore makes nobody link again: whoever has it fetches another.
            let lost = restores::lately(&self.shared.db, self.shared.now()).await?;
            return Ok(with(if lost { AccessStatus::Expired } else { AccessStatus::Invalid }));
        };
        // A token that is bound to a key is no bearer token: what comes this way comes without a proof.
        if token.grant_ended || token.access_ended || token.dpop_jkt.is_some() {
            return Ok(with(AccessStatus::Invalid));
        }
        if token.suspended {
            return Ok(with(AccessStatus::Suspended));
        }
        let left = token.access_expires_at - self.shared.now();
        if left <= 0 {
            return Ok(with(AccessStatus::Expired));
        }
        let now = self.shared.now();
        let mut homes = members::reached(&self.shared.db, &token.account_id, now).await?;
        // Nobody keeps this answer for longer than it is true: a guest's reach ends when their time does.
        let ends = homes.iter().filter_map(|reached| reached.until).min().map(|until| until - now);
        let left = ends.map_or(left, |ends| ends.min(left));
        homes.retain(|reached| !reached.owner_suspended);
        Ok(ResolveAccessAnswer {
            status: AccessStatus::Active.into(),
            account_id: token.account_id.to_string(),
            grant_id: token.grant_id.to_string(),
            client_id: token.client_id,
            scopes: token.scopes.split(' ').map(Into::into).collect(),
            valid_for_seconds: u32::try_from(left).unwrap_or(u32::MAX),
            homes: homes.into_iter().map(home).collect(),
        })
    }
}

#[tonic::async_trait]
impl Accounts for AccountsRpc {
    async fn resolve_access(
        &self,
        request: Request<ResolveAccessRequest>,
    ) -> Result<Response<ResolveAccessAnswer>, Status> {
        let answer = self.resolve(&request.into_inner().access_token).await.map_err(|error| away(&error))?;
        Ok(Response::new(answer))
    }

    type WatchChangesStream = Pin<Box<dyn Stream<Item = Result<Change, Status>> + Send>>;

    async fn watch_changes(
        &self,
        request: Request<WatchChangesRequest>,
    ) -> Result<Response<Self::WatchChangesStream>, Status> {
        // Subscribed before the first read: a change committed in between wakes the follower.
        let wake = self.shared.watch_changes();
        let (start, from) = start(&self.shared, &request.into_inner()).await.map_err(|error| away(&error))?;
        let (sender, receiver) = mpsc::channel(64);
        // Ends by itself when the watcher goes away (`send` fails), which it notices at the latest at the next change.
        tokio::spawn(follow(self.shared.clone(), start, from, wake, sender));
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn signing_keys(&self, _: Request<SigningKeysRequest>) -> Result<Response<SigningKeysAnswer>, Status> {
        // Asked rarely, mostly because a key was unknown: then another process may just have rotated.
        if let Err(error) = self.shared.signing.reload(&self.shared.db, &self.shared.master).await {
            tracing::warn!(%error, "cannot read the signing keys again: answering those known");
        }
        let answer = SigningKeysAnswer { jwk_set: self.shared.signing.jwk_set(), issuer: self.shared.issuer.clone() };
        Ok(Response::new(answer))
    }

    async fn store_event_grant(
        &self,
        request: Request<StoreEventGrantRequest>,
    ) -> Result<Response<StoreEventGrantAnswer>, Status> {
        let request = request.into_inner();
        let account: AccountId =
            request.account_id.parse().map_err(|_| Status::invalid_argument("account_id is malformed"))?;
        if !["NA", "EU", "FE"].contains(&request.region.as_str()) {
            return Err(Status::invalid_argument("region must be NA, EU or FE"));
        }
        if request.sealed.len() > MAX_SEALED_GRANT {
            return Err(Status::invalid_argument("sealed is too long"));
        }
        let stored = if request.sealed.is_empty() {
            event_grants::delete(&self.shared.db, &account, &request.region).await.map(|()| true)
        } else {
            let now = self.shared.now();
            event_grants::store(&self.shared.db, &account, &request.region, &request.sealed, now).await
        };
        match stored.map_err(|error| away(&error))? {
            true => Ok(Response::new(StoreEventGrantAnswer {})),
            false => Err(Status::not_found("no such account")),
        }
    }

    async fn note_customer(
        &self,
        request: Request<NoteCustomerRequest>,
    ) -> Result<Response<NoteCustomerAnswer>, Status> {
        let NoteCustomerRequest { customer, account_id } = request.into_inner();
        let account: AccountId = account_id.parse().map_err(|_| Status::invalid_argument("account_id is malformed"))?;
        let (db, now) = (&self.shared.db, self.shared.now());
        match event_grants::note_customer(db, &account, hash_of(&customer)?, now).await.map_err(|error| away(&error))? {
            true => Ok(Response::new(NoteCustomerAnswer {})),
            false => Err(Status::not_found("no such account")),
        }
    }

    async fn customer_left(
        &self,
        request: Request<CustomerLeftRequest>,
    ) -> Result<Response<CustomerLeftAnswer>, Status> {
        let customer = request.into_inner().customer;
        let left = event_grants::customer_left(&self.shared.db, hash_of(&customer)?).await;
        let account_id = left.map_err(|error| away(&error))?.map(|account| account.to_string());
        Ok(Response::new(CustomerLeftAnswer { account_id: account_id.unwrap_or_default() }))
    }

    async fn event_audience(
        &self,
        request: Request<EventAudienceRequest>,
    ) -> Result<Response<EventAudienceAnswer>, Status> {
        let instance = request.into_inner().instance_id;
        let instance: InstanceId =
            instance.parse().map_err(|_| Status::invalid_argument("instance_id is malformed"))?;
        let (db, now) = (&self.shared.db, self.shared.now());
        let home = instances::by_id(db, &instance).await.map_err(|error| away(&error))?;
        let home = home.ok_or_else(|| Status::not_found("no such home"))?;
        let mut answer = EventAudienceAnswer {
            identity_key: home.identity_key.to_vec().into(),
            paused: home.paused,
            ..Default::default()
        };
        for listening in event_grants::audience(db, &home, now).await.map_err(|error| away(&error))? {
            let account_id = listening.account.to_string();
            let authorization = listening.authorization.to_string();
            match answer.grants.last_mut() {
                Some(last) if last.account_id == account_id && last.region == listening.region => {
                    last.authorizations.push(authorization);
                }
                _ => answer.grants.push(EventGrant {
                    account_id,
                    region: listening.region,
                    sealed: listening.sealed.into(),
                    stored_at: u64::try_from(listening.stored_at).unwrap_or_default(),
                    authorizations: vec![authorization],
                }),
            }
        }
        Ok(Response::new(answer))
    }

    async fn report_use(&self, request: Request<ReportUseRequest>) -> Result<Response<ReportUseAnswer>, Status> {
        let batch = Batch::check(request.into_inner(), self.shared.now())?;
        let shared = self.shared.clone();
        // A task of its own, that a caller who has no more patience does not undo: it sends the same batch again, and would
        // have all of it done anew, and again.
        let counted = tokio::spawn(async move { batch.count(&shared).await }).await;
        counted.map_err(|_| Status::internal("the batch could not be counted"))?.map_err(|error| away(&error))?;
        Ok(Response::new(ReportUseAnswer {}))
    }
}

/// The first message, and the sequence that the follower goes on from.
async fn start(shared: &Shared, request: &WatchChangesRequest) -> Result<(Change, u64), StoreError> {
    let since = request.since;
    let last = changes::last(&shared.db).await?;
    let oldest = changes::oldest(&shared.db).await?;
    // Everything after `since` is still there if nothing happened since, or the next one is.
    let complete = since == last || since < last && oldest.is_some_and(|oldest| oldest <= since + 1);
    let (gap, from) = match since {
        0 if request.replay_seconds > 0 => {
            let first = changes::first_since(&shared.db, shared.now() - i64::from(request.replay_seconds)).await?;
            (false, first.map_or(last, |first| first - 1))
        }
        0 => (false, last),
        since if complete => (false, since),
        _ => (true, last),
    };
    let subject = Some(change::Subject::Start(Start { gap }));
    Ok((Change { sequence: from, subject, happened_at: shared.clock.unix_seconds() }, from))
}

async fn follow(
    shared: Arc<Shared>,
    start: Change,
    mut from: u64,
    mut wake: tokio::sync::watch::Receiver<u64>,
    sender: mpsc::Sender<Result<Change, Status>>,
) {
    let _counted = shared.metrics.follower();
    if sender.send(Ok(start)).await.is_err() {
        return;
    }
    let mut failing_since = None;
    // By what was said, not by what was heard: whoever wakes us for nothing must not keep the beat from followers.
    let mut said = Instant::now();
    loop {
        let read = timeout(READ_PATIENCE, changes::after(&shared.db, from)).await;
        let new = match read {
            Ok(Ok(new)) => new,
            failed => {
                match failed {
                    Ok(Err(error)) => tracing::warn!(%error, "cannot read the change log: trying again"),
                    _ => tracing::warn!("the change log cannot be read in time: trying again"),
                }
                let since = *failing_since.get_or_insert_with(Instant::now);
                if since.elapsed() >= READ_PATIENCE {
                    // Whoever follows must not believe that nothing is revoked.
                    let _ = sender.send(Err(Status::unavailable("the database is away: follow again"))).await;
                    return;
                }
                tokio::time::sleep(READ_AGAIN_AFTER).await;
                continue;
            }
        };
        failing_since = None;
        let full = new.len() == 500;
        if new.is_empty() && said.elapsed() >= HEARTBEAT {
            let heartbeat = change::Subject::Heartbeat(Heartbeat {});
            let happened_at = shared.clock.unix_seconds();
            if sender.send(Ok(Change { sequence: from, subject: Some(heartbeat), happened_at })).await.is_err() {
                return;
            }
            said = Instant::now();
        }
        for change in new {
            from = change.sequence;
            let Some(what) = change.subject else { continue };
            let happened_at = change.happened_at.unsigned_abs();
            let message = Change { sequence: from, subject: Some(subject(what)), happened_at };
            if sender.send(Ok(message)).await.is_err() {
                return;
            }
            said = Instant::now();
        }
        if full {
            continue;
        }
        tokio::select! {
            () = sender.closed() => return,
            woken = wake.changed() => {
                if woken.is_err() {
                    return;
                }
            }
            () = tokio::time::sleep_until(said + HEARTBEAT) => {}
        }
    }
}

/// As long as the database does not answer, nobody knows what is revoked. Longer than this is not kept from followers.
const READ_PATIENCE: Duration = Duration::from_secs(1);
const READ_AGAIN_AFTER: Duration = Duration::from_millis(250);

/// Followers take three seconds of silence for a lost stream.
const HEARTBEAT: Duration = Duration::from_secs(1);

fn subject(subject: Subject) -> change::Subject {
    match subject {
        Subject::GrantEnded(id) => change::Subject::GrantEnded(id.to_string()),
        Subject::InstanceEnded(id) => change::Subject::InstanceEnded(id.to_string()),
        Subject::AccountEnded(id) => change::Subject::AccountEnded(id.to_string()),
        Subject::KeyChanged(id, key_thumbprint) => {
            change::Subject::KeyChanged(KeyChanged { instance_id: id.to_string(), key_thumbprint })
        }
        Subject::HomesChanged(id) => change::Subject::HomesChanged(id.to_string()),
        Subject::HomePaused(id) => change::Subject::HomePaused(id.to_string()),
        Subject::HomeResumed(id) => change::Subject::HomeResumed(id.to_string()),
        Subject::LimitsChanged(id) => change::Subject::LimitsChanged(id.to_string()),
    }
}

fn home(reached: members::Reached) -> Home {
    let instance = reached.home;
    Home {
        instance_id: instance.id.to_string(),
        name: instance.name,
        identity_key: instance.identity_key.to_vec().into(),
        paused: instance.paused,
    }
}

/// A customer's name at Amazon, hashed.
fn hash_of(customer: &[u8]) -> Result<&[u8], Status> {
    if customer.len() == 32 { Ok(customer) } else { Err(Status::invalid_argument("customer must have 32 bytes")) }
}

fn away(error: &StoreError) -> Status {
    tracing::warn!(%error, "the database did not answer a call");
    Status::unavailable("the database is away: try again")
}

/// A refresh token of Login with Amazon and its envelope are some 3 KiB.
const MAX_SEALED_GRANT: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use macloud_proto::ids::base32;
    use macloud_service_kit::clock::ManualClock;
    use macloud_service_kit::random;

    use super::*;
    use crate::config::Config;
    use crate::store::DatabaseSettings;

    #[tokio::test]
    async fn being_woken_for_nothing_does_not_stop_the_beat() {
        let directory = std::env::temp_dir().join(format!("macloud-rpc-{}", base32(&random::bytes::<8>())));
        let config = Config::new("https://cloud.example", directory.join("account.key"));
        let database = DatabaseSettings::Sqlite(directory.join("accounts.db"));
        let shared = Shared::open(config, &database, ManualClock::at(1)).await.unwrap();
        let (start, from) = start(&shared, &WatchChangesRequest::default()).await.unwrap();
        let (sender, mut told) = mpsc::channel(64);
        let following = tokio::spawn(follow(shared.clone(), start, from, shared.watch_changes(), sender));
        let waking = tokio::spawn({
            let shared = shared.clone();
            async move {
                loop {
                    shared.wake_watchers();
                    tokio::time::sleep(HEARTBEAT / 5).await;
                }
            }
        });
        told.recv().await.unwrap().unwrap();
        for _ in 0..2 {
            let beat = timeout(4 * HEARTBEAT, told.recv()).await.expect("followers wait for it").unwrap().unwrap();
            assert!(matches!(beat.subject, Some(change::Subject::Heartbeat(_))), "{beat:?}");
        }
        waking.abort();
        drop(told);
        following.await.unwrap();
        shared.db.close().await;
        std::fs::remove_dir_all(directory).unwrap();
    }
}
