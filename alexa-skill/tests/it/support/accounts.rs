//! An account service that says what it is told to say.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use macloud_proto::accounts::v1::accounts_server::{Accounts, AccountsServer};
use macloud_proto::accounts::v1::change::Subject;
use macloud_proto::accounts::v1::resolve_access_answer::Status as TokenStatus;
use macloud_proto::accounts::v1::*;
use macloud_proto::ids::{AccountId, GrantId};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Server};
use tonic::{Request, Response, Status};

use super::home::FakeHome;

#[derive(Clone, Default)]
pub struct FakeAccounts(Arc<State>);

#[derive(Default)]
struct State {
    tokens: Mutex<HashMap<String, ResolveAccessAnswer>>,
    homes: Mutex<Vec<Home>>,
    /// Look-ups fail with this many more errors; all of them when `u64::MAX`.
    failing: AtomicU64,
    delay_ms: AtomicU64,
    look_ups: AtomicU64,
    watchers: Mutex<Vec<mpsc::Sender<Result<Change, Status>>>>,
    watched: AtomicU64,
    hushed: AtomicBool,
    refuses_watches: AtomicBool,
    loses_grants: AtomicBool,
    grants: Mutex<Vec<StoreEventGrantRequest>>,
    customers: Mutex<HashMap<Vec<u8>, String>>,
    left: Mutex<Vec<String>>,
    audiences: Mutex<HashMap<String, EventAudienceAnswer>>,
    loses_reports: AtomicBool,
    reports: Mutex<Vec<ReportUseRequest>>,
}

pub fn account() -> AccountId {
    AccountId::from_bytes(&[0xac; 16])
}

pub fn grant() -> GrantId {
    GrantId::from_bytes(&[0x61; 16])
}

impl FakeAccounts {
    pub fn channel(&self) -> Channel {
        super::wire::serve(Server::builder().add_service(AccountsServer::new(self.clone())))
    }

    /// This token works, with both scopes.
    pub fn allow(&self, token: &str) {
        self.allow_with(token, &["music_assistant.read", "music_assistant.control", "openid"]);
    }

    pub fn allow_with(&self, token: &str, scopes: &[&str]) {
        self.allow_for(token, scopes, 3600);
    }

    /// This token works for so many seconds.
    pub fn allow_for(&self, token: &str, scopes: &[&str], valid_for_seconds: u32) {
        self.answer(
            token,
            ResolveAccessAnswer {
                status: TokenStatus::Active.into(),
                account_id: account().to_string(),
                grant_id: grant().to_string(),
                client_id: "alexa".into(),
                scopes: scopes.iter().map(|&scope| scope.into()).collect(),
                valid_for_seconds,
                homes: Vec::new(),
            },
        );
    }

    pub fn deny(&self, token: &str, status: TokenStatus) {
        self.answer(token, ResolveAccessAnswer { status: status.into(), ..Default::default() });
    }

    fn answer(&self, token: &str, answer: ResolveAccessAnswer) {
        self.0.tokens.lock().unwrap().insert(token.into(), answer);
    }

    pub fn add_home(&self, home: &FakeHome, name: &str) {
        self.0.homes.lock().unwrap().push(Home {
            instance_id: home.instance.to_string(),
            name: name.into(),
            identity_key: home.identity().to_vec().into(),
            paused: false,
        });
    }

    pub fn change_homes(&self, change: impl FnOnce(&mut Vec<Home>)) {
        change(&mut self.0.homes.lock().unwrap());
    }

    pub fn fail(&self, times: u64) {
        self.0.failing.store(times, Ordering::SeqCst);
    }

    pub fn delay(&self, by: Duration) {
        self.0.delay_ms.store(by.as_millis() as u64, Ordering::SeqCst);
    }

    pub fn look_ups(&self) -> u64 {
        self.0.look_ups.load(Ordering::SeqCst)
    }

    /// Who hears of a home; `None` when there is no such home.
    pub fn set_audience(&self, home: &FakeHome, audience: Option<EventAudienceAnswer>) {
        let mut audiences = self.0.audiences.lock().unwrap();
        match audience {
            Some(audience) => audiences.insert(home.instance.to_string(), audience),
            None => audiences.remove(&home.instance.to_string()),
        };
    }

    /// Accounts whose customers have left.
    pub fn left(&self) -> Vec<String> {
        self.0.left.lock().unwrap().clone()
    }

    pub fn grants(&self) -> Vec<StoreEventGrantRequest> {
        self.0.grants.lock().unwrap().clone()
    }

    /// Everything that was reported, refused or not.
    pub fn reports(&self) -> Vec<ReportUseRequest> {
        self.0.reports.lock().unwrap().clone()
    }

    pub fn lose_reports(&self, lose: bool) {
        self.0.loses_reports.store(lose, Ordering::SeqCst);
    }

    /// How often somebody has begun to follow changes.
    pub fn watches(&self) -> u64 {
        self.0.watched.load(Ordering::SeqCst)
    }

    pub async fn push(&self, subject: Subject) {
        let watchers = self.0.watchers.lock().unwrap().clone();
        for watcher in watchers {
            let _ = watcher.send(Ok(Change { sequence: 2, subject: Some(subject.clone()), happened_at: 0 })).await;
        }
    }

    /// Streams stay open, and nothing comes on them any more.
    pub fn hush(&self) {
        self.0.hushed.store(true, Ordering::SeqCst);
    }

    /// Nobody can follow changes any more.
    pub fn refuse_watches(&self) {
        self.0.refuses_watches.store(true, Ordering::SeqCst);
    }

    /// Grants cannot be kept.
    pub fn lose_grants(&self) {
        self.0.loses_grants.store(true, Ordering::SeqCst);
    }

    pub fn find_grants(&self) {
        self.0.loses_grants.store(false, Ordering::SeqCst);
    }

    pub fn break_watches(&self) {
        self.0.watchers.lock().unwrap().clear();
    }
}

async fn beat(state: Arc<State>, watcher: mpsc::WeakSender<Result<Change, Status>>, sequence: u64) {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let Some(watcher) = watcher.upgrade() else { return };
        if !state.hushed.load(Ordering::SeqCst) {
            let subject = Some(Subject::Heartbeat(Heartbeat {}));
            let _ = watcher.try_send(Ok(Change { sequence, subject, happened_at: 0 }));
        }
    }
}

#[tonic::async_trait]
impl Accounts for FakeAccounts {
    async fn resolve_access(
        &self,
        request: Request<ResolveAccessRequest>,
    ) -> Result<Response<ResolveAccessAnswer>, Status> {
        self.0.look_ups.fetch_add(1, Ordering::SeqCst);
        let delay = self.0.delay_ms.load(Ordering::SeqCst);
        if delay > 0 {
            tokio::time::sleep(Duration::from_millis(delay)).await;
        }
        let failing = self.0.failing.load(Ordering::SeqCst);
        if failing > 0 {
            if failing < u64::MAX {
                self.0.failing.store(failing - 1, Ordering::SeqCst);
            }
            return Err(Status::unavailable("the database is away"));
        }
        let token = request.into_inner().access_token;
        let known = self.0.tokens.lock().unwrap().get(&token).cloned();
        let mut answer =
            known.unwrap_or(ResolveAccessAnswer { status: TokenStatus::Invalid.into(), ..Default::default() });
        if answer.status() == TokenStatus::Active {
            answer.homes = self.0.homes.lock().unwrap().clone();
        }
        Ok(Response::new(answer))
    }

    type WatchChangesStream = ReceiverStream<Result<Change, Status>>;

    async fn watch_changes(
        &self,
        request: Request<WatchChangesRequest>,
    ) -> Result<Response<Self::WatchChangesStream>, Status> {
        if self.0.refuses_watches.load(Ordering::SeqCst) {
            return Err(Status::unavailable("the database is away"));
        }
        let (changes, stream) = mpsc::channel(16);
        let start = Start { gap: false };
        let sequence = request.into_inner().since.max(1);
        let _ = changes.try_send(Ok(Change { sequence, subject: Some(Subject::Start(start)), happened_at: 0 }));
        tokio::spawn(beat(Arc::clone(&self.0), changes.downgrade(), sequence));
        self.0.watchers.lock().unwrap().push(changes);
        self.0.watched.fetch_add(1, Ordering::SeqCst);
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn signing_keys(&self, _: Request<SigningKeysRequest>) -> Result<Response<SigningKeysAnswer>, Status> {
        Err(Status::unimplemented("not for the skill"))
    }

    async fn store_event_grant(
        &self,
        request: Request<StoreEventGrantRequest>,
    ) -> Result<Response<StoreEventGrantAnswer>, Status> {
        if self.0.loses_grants.load(Ordering::SeqCst) {
            return Err(Status::unavailable("the database is away"));
        }
        self.0.grants.lock().unwrap().push(request.into_inner());
        Ok(Response::new(StoreEventGrantAnswer {}))
    }

    async fn note_customer(
        &self,
        request: Request<NoteCustomerRequest>,
    ) -> Result<Response<NoteCustomerAnswer>, Status> {
        if self.0.loses_grants.load(Ordering::SeqCst) {
            return Err(Status::unavailable("the database is away"));
        }
        let NoteCustomerRequest { customer, account_id } = request.into_inner();
        self.0.customers.lock().unwrap().insert(customer.to_vec(), account_id);
        Ok(Response::new(NoteCustomerAnswer {}))
    }

    async fn customer_left(
        &self,
        request: Request<CustomerLeftRequest>,
    ) -> Result<Response<CustomerLeftAnswer>, Status> {
        if self.0.loses_grants.load(Ordering::SeqCst) {
            return Err(Status::unavailable("the database is away"));
        }
        let customer = request.into_inner().customer.to_vec();
        let account_id = self.0.customers.lock().unwrap().remove(&customer).unwrap_or_default();
        self.0.left.lock().unwrap().extend((!account_id.is_empty()).then(|| account_id.clone()));
        Ok(Response::new(CustomerLeftAnswer { account_id }))
    }

    async fn event_audience(
        &self,
        request: Request<EventAudienceRequest>,
    ) -> Result<Response<EventAudienceAnswer>, Status> {
        let audience = self.0.audiences.lock().unwrap().get(&request.into_inner().instance_id).cloned();
        audience.map(Response::new).ok_or_else(|| Status::not_found("no such home"))
    }

    async fn report_use(&self, request: Request<ReportUseRequest>) -> Result<Response<ReportUseAnswer>, Status> {
        self.0.reports.lock().unwrap().push(request.into_inner());
        if self.0.loses_reports.load(Ordering::SeqCst) {
            return Err(Status::unavailable("the database is away"));
        }
        Ok(Response::new(ReportUseAnswer {}))
    }
}
