//! The bare parts that a relay is made of: gRPC alone, and a WebSocket over TLS alone. Each server is a process of its own and
//! sends back what comes.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use futures_util::{SinkExt as _, Stream, StreamExt as _};
use macloud_loadtest::driver::{Driver, Server};
use macloud_loadtest::sample::Outcome;
use macloud_proto::bus::v1::command_bus_client::CommandBusClient;
use macloud_proto::bus::v1::command_bus_server::{CommandBus, CommandBusServer};
use macloud_proto::bus::v1::{
    Answer, Call, Delivered, Dispatch, FromRelay, ToRelay, answer, call, from_relay, to_relay,
};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::sync::{Mutex as AsyncMutex, mpsc, oneshot};
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_stream::wrappers::ReceiverStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status, Streaming};

use crate::fleet::Scratch;
use crate::fleet::nodes::HOST;

/// Settings of `loadtest serve-echo`.
#[derive(Debug, clap::Args)]
pub(crate) struct ServerArgs {
    /// PEM certificate: a WebSocket over TLS. Without it gRPC.
    #[arg(long, value_name = "FILE", requires = "key")]
    certificate: Option<std::path::PathBuf>,
    /// Its PEM key.
    #[arg(long, value_name = "FILE")]
    key: Option<std::path::PathBuf>,
}

/// Serve until killed.
#[expect(clippy::print_stdout, reason = "who started it reads the address")]
pub(crate) async fn serve(args: &ServerArgs) -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    match (&args.certificate, &args.key) {
        (Some(certificate), Some(key)) => {
            let chain = vec![CertificateDer::from_pem_file(certificate)?];
            let key = PrivateKeyDer::from_pem_file(key)?;
            let tls = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key)?;
            serve_websocket(listener, TlsAcceptor::from(Arc::new(tls))).await
        }
        _ => {
            let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
            let server = tonic::transport::Server::builder().add_service(CommandBusServer::new(Echo));
            Ok(server.serve_with_incoming(incoming).await?)
        }
    }
}

async fn serve_websocket(listener: TcpListener, tls: TlsAcceptor) -> anyhow::Result<()> {
    loop {
        let (tcp, _) = listener.accept().await?;
        let tls = tls.clone();
        tokio::spawn(async move {
            tcp.set_nodelay(true)?;
            let config = WebSocketConfig::default().read_buffer_size(2048);
            let stream = tls.accept(tcp).await?;
            let mut socket = tokio_tungstenite::accept_async_with_config(stream, Some(config)).await?;
            while let Some(message) = socket.next().await {
                let message = message?;
                if message.is_binary() {
                    socket.send(message).await?;
                }
            }
            anyhow::Ok(())
        });
    }
}

/// Answers each call with what it carries.
struct Echo;

fn echo(call: Call) -> Answer {
    let sealed = match call.body {
        Some(call::Body::Dispatch(dispatch)) => dispatch.sealed,
        _ => Bytes::new(),
    };
    let outcome = Some(answer::Outcome::Delivered(Delivered { sealed }));
    Answer { correlation: call.correlation, outcome, ..Answer::default() }
}

#[tonic::async_trait]
impl CommandBus for Echo {
    type LinkStream = Pin<Box<dyn Stream<Item = Result<FromRelay, Status>> + Send>>;

    async fn link(&self, request: Request<Streaming<ToRelay>>) -> Result<Response<Self::LinkStream>, Status> {
        let calls = request.into_inner().filter_map(async |message| match message.ok()?.body? {
            to_relay::Body::Call(call) => Some(Ok(FromRelay { body: Some(from_relay::Body::Answer(echo(call))) })),
            _ => None,
        });
        Ok(Response::new(Box::pin(calls)))
    }

    async fn dispatch(&self, request: Request<Call>) -> Result<Response<Answer>, Status> {
        Ok(Response::new(echo(request.into_inner())))
    }
}

/// This program as a server, in a process of its own.
struct Process {
    child: Child,
    address: SocketAddr,
}

impl Process {
    async fn start(args: &[&std::ffi::OsStr]) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("serve-echo").args(args).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn()?;
        let mut lines = BufReader::new(child.stdout.take().context("no standard output")?).lines();
        let address = lines.next_line().await?.context("the echo server did not start")?.parse()?;
        Ok(Self { child, address })
    }

    fn servers(&self) -> Vec<Server> {
        self.child.id().map(|pid| Server { name: "echo".into(), pid }).into_iter().collect()
    }
}

/// A caller of gRPC.
pub(super) struct Grpc {
    process: Process,
    channel: Channel,
    stream: Option<OnceLock<Calls>>,
}

/// Calls of a stream.
struct Calls {
    send: mpsc::Sender<ToRelay>,
    waiting: Arc<Mutex<HashMap<u64, oneshot::Sender<Bytes>>>>,
    next: AtomicU64,
}

impl Grpc {
    pub(super) async fn start(streaming: bool) -> anyhow::Result<Self> {
        let process = Process::start(&[]).await?;
        let endpoint = Endpoint::from_shared(format!("http://{}", process.address))?.tcp_nodelay(true);
        let channel = endpoint.connect().await?;
        Ok(Self { process, channel, stream: streaming.then(OnceLock::new) })
    }

    async fn unary(&self, payload: Bytes) -> Option<Bytes> {
        let answer = CommandBusClient::new(self.channel.clone()).dispatch(call(0, payload)).await.ok()?.into_inner();
        sealed(answer)
    }
}

fn call(correlation: u64, payload: Bytes) -> Call {
    let body = call::Body::Dispatch(Dispatch { sealed: payload, ..Dispatch::default() });
    Call { correlation, body: Some(body), ..Call::default() }
}

fn sealed(answer: Answer) -> Option<Bytes> {
    match answer.outcome? {
        answer::Outcome::Delivered(delivered) => Some(delivered.sealed),
        _ => None,
    }
}

impl Calls {
    async fn open(channel: Channel) -> anyhow::Result<Self> {
        let (send, calls) = mpsc::channel(1024);
        let mut answers = CommandBusClient::new(channel).link(ReceiverStream::new(calls)).await?.into_inner();
        let waiting: Arc<Mutex<HashMap<u64, oneshot::Sender<Bytes>>>> = Arc::default();
        tokio::spawn({
            let waiting = waiting.clone();
            async move {
                while let Ok(Some(FromRelay { body: Some(from_relay::Body::Answer(answer)) })) = answers.message().await
                {
                    let caller = waiting.lock().expect("nobody panics with it").remove(&answer.correlation);
                    if let (Some(caller), Some(reply)) = (caller, sealed(answer)) {
                        let _ = caller.send(reply);
                    }
                }
            }
        });
        Ok(Self { send, waiting, next: AtomicU64::new(1) })
    }

    async fn call(&self, payload: Bytes) -> Option<Bytes> {
        let correlation = self.next.fetch_add(1, Ordering::Relaxed);
        let (reply, replied) = oneshot::channel();
        self.waiting.lock().expect("nobody panics with it").insert(correlation, reply);
        self.send.send(ToRelay { body: Some(to_relay::Body::Call(call(correlation, payload))) }).await.ok()?;
        replied.await.ok()
    }
}

impl Driver for Grpc {
    async fn connect(&self, _: usize) -> anyhow::Result<()> {
        if let Some(stream) = &self.stream {
            let _ = stream.set(Calls::open(self.channel.clone()).await?);
        }
        Ok(())
    }

    async fn call(&self, _: usize, payload: Bytes) -> Outcome {
        let calling = async {
            match &self.stream {
                Some(stream) => stream.get()?.call(payload.clone()).await,
                None => self.unary(payload.clone()).await,
            }
        };
        judge(timeout(LIMIT, calling).await.ok().flatten(), &payload)
    }

    fn servers(&self) -> Vec<Server> {
        self.process.servers()
    }
}

fn judge(reply: Option<Bytes>, payload: &Bytes) -> Outcome {
    match reply {
        Some(reply) if reply == *payload => Outcome::Done,
        Some(_) => Outcome::Wrong("not what was sent".into()),
        None => Outcome::Unknown("no answer".into()),
    }
}

type Socket = WebSocketStream<TlsStream<TcpStream>>;

/// Connections over which messages go there and back, one for each home.
pub(super) struct Websocket {
    process: Process,
    tls: TlsConnector,
    sockets: OnceLock<Vec<AsyncMutex<Socket>>>,
    _scratch: Scratch,
}

impl Websocket {
    pub(super) async fn start() -> anyhow::Result<Self> {
        let scratch = Scratch::new("echo")?;
        let made = rcgen::generate_simple_self_signed([HOST.to_owned()])?;
        let (certificate, key) = (scratch.path().join("certificate.pem"), scratch.path().join("key.pem"));
        std::fs::write(&certificate, made.cert.pem())?;
        std::fs::write(&key, made.signing_key.serialize_pem())?;
        let process =
            Process::start(&["--certificate".as_ref(), certificate.as_ref(), "--key".as_ref(), key.as_ref()]).await?;
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone())?;
        let tls = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        Ok(Self { process, tls: TlsConnector::from(Arc::new(tls)), sockets: OnceLock::new(), _scratch: scratch })
    }

    async fn open(&self) -> anyhow::Result<Socket> {
        let tcp = TcpStream::connect(self.process.address).await?;
        tcp.set_nodelay(true)?;
        let tls = self.tls.connect(ServerName::try_from(HOST)?, tcp).await?;
        let config = WebSocketConfig::default().read_buffer_size(2048);
        let url = format!("wss://{HOST}/");
        Ok(tokio_tungstenite::client_async_with_config(url, tls, Some(config)).await?.0)
    }
}

impl Driver for Websocket {
    async fn connect(&self, homes: usize) -> anyhow::Result<()> {
        let mut sockets = Vec::new();
        for _ in 0..homes {
            sockets.push(AsyncMutex::new(self.open().await?));
        }
        let _ = self.sockets.set(sockets);
        Ok(())
    }

    async fn call(&self, home: usize, payload: Bytes) -> Outcome {
        let Some(socket) = self.sockets.get().and_then(|sockets| sockets.get(home)) else {
            return Outcome::Wrong("not connected".into());
        };
        let calling = async {
            let mut socket = socket.lock().await;
            socket.send(Message::Binary(payload.clone())).await.ok()?;
            socket.next().await?.ok().map(Message::into_data)
        };
        judge(timeout(LIMIT, calling).await.ok().flatten(), &payload)
    }

    fn servers(&self) -> Vec<Server> {
        self.process.servers()
    }
}

const LIMIT: Duration = Duration::from_secs(5);
