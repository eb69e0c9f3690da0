//! Lambda's runtime API, on this machine: what is the next directive, and here is its answer.

use std::time::Duration;

use bytes::Bytes;
use http::uri::Authority;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use serde_json::json;
use tokio::net::TcpStream;

use crate::connection::{Connection, Failure};
use crate::directive::MAX_BYTES;

/// The runtime API.
#[derive(Debug)]
pub struct Runtime {
    address: Authority,
    kept: Option<Connection>,
}

/// What Lambda wants answered.
pub struct Invocation {
    /// Lambda's name for it.
    pub id: String,
    /// When Lambda gives up, since 1970. `None` if it does not say.
    pub deadline: Option<Duration>,
    /// What came. `None` if that is longer than any directive is.
    pub event: Option<Bytes>,
}

/// Why the runtime API cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RuntimeError {
    /// Nobody is there, or it broke off.
    #[error("the runtime API cannot be reached")]
    Away,
    /// It said no.
    #[error("the runtime API answered {0}")]
    Status(StatusCode),
    /// It did not name the invocation, or in a form that no address can have.
    #[error("the runtime API gave no request id that can be used")]
    NoRequestId,
}

impl Runtime {
    /// At this address. Nothing is opened yet.
    #[must_use]
    pub const fn at(address: Authority) -> Self {
        Self { address, kept: None }
    }

    /// Wait for what is to be answered, as long as it takes.
    ///
    /// # Errors
    /// When the runtime API cannot be used.
    pub async fn next(&mut self) -> Result<Invocation, RuntimeError> {
        let (head, event) = self.call(Method::GET, "invocation/next", Bytes::new()).await?.into_parts();
        if head.status != StatusCode::OK {
            return Err(RuntimeError::Status(head.status));
        }
        let id = text(&head.headers, "lambda-runtime-aws-request-id").ok_or(RuntimeError::NoRequestId)?.to_owned();
        let deadline = text(&head.headers, "lambda-runtime-deadline-ms").and_then(|millis| millis.parse().ok());
        Ok(Invocation { id, deadline: deadline.map(Duration::from_millis), event })
    }

    /// Answer an invocation.
    ///
    /// # Errors
    /// When the runtime API cannot be used, or does not take this answer.
    pub async fn respond(&mut self, id: &str, answer: Bytes) -> Result<(), RuntimeError> {
        self.tell(&format!("invocation/{id}/response"), answer).await
    }

    /// Say that an invocation has no answer. Alexa then says something general.
    ///
    /// # Errors
    /// When the runtime API cannot be used.
    pub async fn fail(&mut self, id: &str, kind: &str, message: &str) -> Result<(), RuntimeError> {
        self.tell(&format!("invocation/{id}/error"), error(kind, message)).await
    }

    /// Say that there will be no answers at all.
    ///
    /// # Errors
    /// When the runtime API cannot be used.
    pub async fn cannot_start(&mut self, message: &str) -> Result<(), RuntimeError> {
        self.tell("init/error", error("Runtime.BadConfiguration", message)).await
    }

    async fn tell(&mut self, what: &str, body: Bytes) -> Result<(), RuntimeError> {
        let status = self.call(Method::POST, what, body).await?.status();
        if status.is_success() { Ok(()) } else { Err(RuntimeError::Status(status)) }
    }

    async fn call(&mut self, method: Method, what: &str, body: Bytes) -> Result<Response<Option<Bytes>>, RuntimeError> {
        let request = Request::builder()
            .method(method)
            .uri(format!("/2018-06-01/runtime/{what}"))
            .header(header::HOST, self.address.as_str())
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|_| RuntimeError::NoRequestId)?;
        if let Some(mut connection) = self.kept.take() {
            let answer = connection.send(request.clone(), MAX_BYTES).await;
            // Otherwise it was closed meanwhile.
            if !matches!(answer, Err(Failure::NotSent)) {
                return self.finish(connection, answer);
            }
        }
        let address = (self.address.host().trim_matches(['[', ']']), self.address.port_u16().unwrap_or(80));
        let stream = TcpStream::connect(address).await.map_err(|_| RuntimeError::Away)?;
        // A request is small; waiting to fill a packet adds 40 ms.
        let _ = stream.set_nodelay(true);
        let mut connection = Connection::over(stream).await.map_err(|_| RuntimeError::Away)?;
        let answer = connection.send(request, MAX_BYTES).await;
        self.finish(connection, answer)
    }

    fn finish(
        &mut self,
        connection: Connection,
        answer: Result<Response<Option<Bytes>>, Failure>,
    ) -> Result<Response<Option<Bytes>>, RuntimeError> {
        let answer = answer.map_err(|_| RuntimeError::Away)?;
        // What is too long was not read to its end.
        self.kept = answer.body().is_some().then_some(connection);
        Ok(answer)
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn error(kind: &str, message: &str) -> Bytes {
    json!({"errorType": kind, "errorMessage": message}).to_string().into()
}
