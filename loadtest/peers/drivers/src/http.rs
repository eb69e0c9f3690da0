//! A caller over HTTP/1.1 with connections that are kept open, as many as there are commands at the same time.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Mutex;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::HOST;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use macloud_loadtest::sample::Outcome;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

/// Open connections to one place.
pub(crate) struct Connections {
    address: SocketAddr,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    idle: Mutex<Vec<SendRequest<Full<Bytes>>>>,
}

impl Connections {
    pub(crate) fn new(port: u16, tls: Option<(TlsConnector, ServerName<'static>)>) -> Self {
        Self { address: (Ipv4Addr::LOCALHOST, port).into(), tls, idle: Mutex::default() }
    }

    /// What a successful answer holds. A connection that fails is not used again.
    pub(crate) async fn post(&self, path: &str, body: Bytes) -> Result<Bytes, Outcome> {
        let mut connection = self.take().await.map_err(|error| Outcome::Refused(format!("{error:#}")))?;
        let request = Request::post(path).header(HOST, "localhost").body(Full::new(body));
        let request = request.map_err(|error| Outcome::Refused(error.to_string()))?;
        let response = connection.send_request(request).await.map_err(|error| Outcome::Unknown(error.to_string()))?;
        let status = response.status();
        let answer = response.into_body().collect().await.map_err(|error| Outcome::Unknown(error.to_string()))?;
        self.idle.lock().expect("nobody panics with it").push(connection);
        match status {
            StatusCode::OK => Ok(answer.to_bytes()),
            StatusCode::SERVICE_UNAVAILABLE => Err(Outcome::Refused(status.to_string())),
            _ => Err(Outcome::Unknown(status.to_string())),
        }
    }

    async fn take(&self) -> anyhow::Result<SendRequest<Full<Bytes>>> {
        loop {
            let idle = self.idle.lock().expect("nobody panics with it").pop();
            let Some(mut connection) = idle else { return self.dial().await };
            if connection.ready().await.is_ok() {
                return Ok(connection);
            }
        }
    }

    async fn dial(&self) -> anyhow::Result<SendRequest<Full<Bytes>>> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        match &self.tls {
            None => speak(stream).await,
            Some((connector, name)) => speak(connector.connect(name.clone(), stream).await?).await,
        }
    }
}

async fn speak(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> anyhow::Result<SendRequest<Full<Bytes>>> {
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    // It ends with the sender; whoever waits for an answer is told when it fails.
    tokio::spawn(connection);
    Ok(sender)
}
