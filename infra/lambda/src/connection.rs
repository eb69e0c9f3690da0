//! An HTTP/1.1 connection, used for one request after another.
//!
//! HTTP/2 would add nothing: Lambda gives a process one directive at a time.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;

/// Dropping it closes the connection, also while an answer is awaited.
pub(crate) struct Connection {
    requests: SendRequest<Full<Bytes>>,
    driver: JoinHandle<()>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The other side had closed the connection, and has seen nothing of the request.
    #[error("the connection was closed before anything was sent")]
    NotSent,
    /// The other side may have seen the request.
    #[error("the connection broke")]
    Broken,
}

impl Connection {
    pub(crate) async fn over<S>(stream: S) -> Result<Self, Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (requests, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|_| Failure::Broken)?;
        // How it ends is told by the request that it ends.
        let driver = tokio::spawn(async move { drop(connection.await) });
        Ok(Self { requests, driver })
    }

    /// One request, and its whole answer; without a body if that is longer than `most` bytes. After that, and after any failure, the
    /// connection is of no more use.
    pub(crate) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
        most: usize,
    ) -> Result<Response<Option<Bytes>>, Failure> {
        self.requests.ready().await.map_err(|_| Failure::NotSent)?;
        let answer = self.requests.try_send_request(request).await;
        let answer = answer.map_err(|mut error| match error.take_message() {
            Some(_) => Failure::NotSent,
            None => Failure::Broken,
        })?;
        let (head, body) = answer.into_parts();
        let body = match Limited::new(body, most).collect().await {
            Ok(body) => Some(body.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => None,
            Err(_) => return Err(Failure::Broken),
        };
        Ok(Response::from_parts(head, body))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}
