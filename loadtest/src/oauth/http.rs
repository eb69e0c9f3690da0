//! A client with one keep-alive connection, cheap enough to leave the processor to the servers that are measured.

use std::net::SocketAddr;

use anyhow::Context as _;
use http::header::{self, HeaderName};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    /// Its body, when it is text of the expected status.
    pub(crate) fn text(&self, expected: StatusCode) -> anyhow::Result<&str> {
        let text = std::str::from_utf8(&self.body).context("the answer is no text")?;
        anyhow::ensure!(self.status == expected, "{} instead of {expected}: {text:.300}", self.status);
        Ok(text)
    }

    pub(crate) fn header(&self, name: HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// One connection, opened at the first request and again when the server has closed it.
pub(crate) struct Connection {
    address: SocketAddr,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Connection {
    pub(crate) const fn to(address: SocketAddr) -> Self {
        Self { address, sender: None }
    }

    pub(crate) async fn get(&mut self, path: &str, headers: &[(HeaderName, &str)]) -> anyhow::Result<Answer> {
        self.send(Method::GET, path, headers, String::new()).await
    }

    pub(crate) async fn post(
        &mut self,
        path: &str,
        headers: &[(HeaderName, &str)],
        form: String,
    ) -> anyhow::Result<Answer> {
        self.send(Method::POST, path, headers, form).await
    }

    async fn send(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(HeaderName, &str)],
        form: String,
    ) -> anyhow::Result<Answer> {
        let mut request = Request::builder().method(&method).uri(path).header(header::HOST, self.address.to_string());
        if method == Method::POST {
            request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        let request = request.body(Full::from(form))?;
        let response = self.open().await?.send_request(request).await.context("no answer")?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.context("the answer ended early")?.to_bytes();
        Ok(Answer { status: parts.status, headers: parts.headers, body })
    }

    /// Be connected, without asking for anything.
    pub(crate) async fn open(&mut self) -> anyhow::Result<&mut SendRequest<Full<Bytes>>> {
        if let Some(sender) = &mut self.sender
            && sender.ready().await.is_err()
        {
            self.sender = None;
        }
        if self.sender.is_none() {
            let stream = TcpStream::connect(self.address).await.context("cannot connect")?;
            stream.set_nodelay(true)?;
            let (sender, connection) = handshake(TokioIo::new(stream)).await?;
            // Ends by itself when the sender is dropped; what it ends with, the request in flight has heard.
            tokio::spawn(connection);
            self.sender = Some(sender);
        }
        self.sender.as_mut().context("just made")
    }
}

/// A form, or a query string.
pub(crate) fn encode(pairs: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}
