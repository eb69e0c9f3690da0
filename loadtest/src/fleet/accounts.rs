//! As much of an account service as a relay needs: keys, and a stream on which nothing ever changes.

use std::net::SocketAddr;
use std::time::Duration;

use macloud_proto::accounts::v1::accounts_server::{Accounts, AccountsServer};
use macloud_proto::accounts::v1::{self as accounts, change};
use macloud_proto::ids::InstanceId;
use macloud_proto::instance_token::{self, Claims, Confirmation, Limits, RELAY_AUDIENCE};
use macloud_proto::jose::{Jwk, SigningKey, thumbprint};
use macloud_service_kit::clock;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

/// Serve it on loopback, for as long as this program runs.
pub(crate) async fn serve() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let service = AccountsServer::new(Signer);
    tokio::spawn(Server::builder().add_service(service).serve_with_incoming(TcpIncoming::from(listener)));
    Ok(address)
}

/// What a home needs to dial in.
#[derive(Clone)]
pub(crate) struct Identity {
    pub(crate) instance: InstanceId,
    pub(crate) seed: [u8; 32],
}

impl Identity {
    /// Of the home of this number.
    pub(crate) fn new(number: u64) -> Self {
        let mut seed = [0x48; 32];
        seed[..8].copy_from_slice(&number.to_be_bytes());
        let mut id = [0x49; 16];
        id[..8].copy_from_slice(&number.to_be_bytes());
        Self { instance: InstanceId::from_bytes(&id), seed }
    }

    pub(crate) fn key(&self) -> SigningKey {
        SigningKey::from_seed(&self.seed)
    }

    /// A token for the relay, and when it is of no use any more, in seconds since 1970.
    pub(crate) fn token(&self) -> (String, u64) {
        let now = clock::system().unix_seconds();
        let claims = Claims {
            iss: ISSUER.into(),
            aud: RELAY_AUDIENCE.into(),
            sub: self.instance.clone(),
            client_id: self.instance.clone(),
            iat: now,
            exp: now + LIFE_SECONDS,
            jti: "t".into(),
            cnf: Confirmation { jkt: thumbprint(self.key().public()) },
            limits: Limits { commands_per_minute: u32::MAX, day: None },
            paused: false,
        };
        (instance_token::sign(&signing_key(), KEY_ID, &claims), now + LIFE_SECONDS)
    }
}

struct Signer;

#[tonic::async_trait]
impl Accounts for Signer {
    type WatchChangesStream = ReceiverStream<Result<accounts::Change, Status>>;

    async fn resolve_access(
        &self,
        _: Request<accounts::ResolveAccessRequest>,
    ) -> Result<Response<accounts::ResolveAccessAnswer>, Status> {
        Err(Status::unimplemented("no relay asks for this"))
    }

    async fn store_event_grant(
        &self,
        _: Request<accounts::StoreEventGrantRequest>,
    ) -> Result<Response<accounts::StoreEventGrantAnswer>, Status> {
        Err(Status::unimplemented("no relay asks for this"))
    }

    async fn note_customer(
        &self,
        _: Request<accounts::NoteCustomerRequest>,
    ) -> Result<Response<accounts::NoteCustomerAnswer>, Status> {
        Err(Status::unimplemented("no relay asks for this"))
    }

    async fn customer_left(
        &self,
        _: Request<accounts::CustomerLeftRequest>,
    ) -> Result<Response<accounts::CustomerLeftAnswer>, Status> {
        Err(Status::unimplemented("no relay asks for this"))
    }

    async fn event_audience(
        &self,
        _: Request<accounts::EventAudienceRequest>,
    ) -> Result<Response<accounts::EventAudienceAnswer>, Status> {
        Err(Status::unimplemented("no relay asks for this"))
    }

    async fn report_use(
        &self,
        _: Request<accounts::ReportUseRequest>,
    ) -> Result<Response<accounts::ReportUseAnswer>, Status> {
        Err(Status::unimplemented("no relay asks for this"))
    }

    async fn watch_changes(
        &self,
        _: Request<accounts::WatchChangesRequest>,
    ) -> Result<Response<Self::WatchChangesStream>, Status> {
        let (sender, receiver) = mpsc::channel(4);
        tokio::spawn(async move {
            let mut subject = change::Subject::Start(accounts::Start { gap: false });
            while sender
                .send(Ok(accounts::Change { sequence: 0, subject: Some(subject), happened_at: 0 }))
                .await
                .is_ok()
            {
                tokio::time::sleep(Duration::from_secs(1)).await;
                subject = change::Subject::Heartbeat(accounts::Heartbeat {});
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn signing_keys(
        &self,
        _: Request<accounts::SigningKeysRequest>,
    ) -> Result<Response<accounts::SigningKeysAnswer>, Status> {
        let key = Jwk { kid: Some(KEY_ID.into()), ..Jwk::ed25519(signing_key().public()) };
        let jwk_set = serde_json::json!({ "keys": [key] }).to_string();
        Ok(Response::new(accounts::SigningKeysAnswer { jwk_set, issuer: ISSUER.into() }))
    }
}

fn signing_key() -> SigningKey {
    SigningKey::from_seed(&[0x41; 32])
}

const ISSUER: &str = "https://cloud.example";
const KEY_ID: &str = "k1";
/// The longest that a relay accepts.
const LIFE_SECONDS: u64 = 900;
