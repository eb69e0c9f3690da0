//! Serving gRPC to the other programs of a cloud.

use std::io;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use futures_util::{Stream, StreamExt as _};
use hyper::server::conn::http2;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::task::TaskTracker;

use crate::prompt::Prompt;
use crate::stop::Stop;

/// Serve these routes on each connection until a soft stop, then until the streams that are open have ended. Cancelling it leaves the
/// connections that are there to themselves.
///
/// A peer that has vanished is noticed within three seconds, whatever its TCP connection looks like.
pub async fn serve<C>(routes: Router, connections: impl Stream<Item = io::Result<C>>, stop: Stop)
where
    C: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = http2::Builder::new(Prompt);
    builder.timer(TokioTimer::new());
    // Callers are of this cloud.
    builder.max_concurrent_streams(None);
    builder.keep_alive_interval(KEEP_ALIVE_EVERY).keep_alive_timeout(KEEP_ALIVE_LIMIT);
    let open = TaskTracker::new();
    {
        // Gone, and with it the listener, before the last streams are waited for.
        let mut connections = pin!(connections);
        loop {
            let connection = tokio::select! {
                () = stop.soft() => break,
                connection = connections.next() => connection,
            };
            let connection = match connection {
                Some(Ok(connection)) => connection,
                Some(Err(_)) => continue,
                None => break,
            };
            let served = builder.serve_connection(TokioIo::new(connection), TowerToHyperService::new(routes.clone()));
            let stop = stop.clone();
            open.spawn(async move {
                let mut served = pin!(served);
                let ended = tokio::select! {
                    ended = served.as_mut() => ended,
                    () = stop.soft() => {
                        served.as_mut().graceful_shutdown();
                        served.await
                    }
                };
                if let Err(error) = ended {
                    tracing::debug!(%error, "a gRPC connection ended");
                }
            });
        }
    }
    open.close();
    open.wait().await;
}

/// Each side asks the other so often, unless something else was heard.
pub const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(1);
/// And waits so long for the answer.
pub const KEEP_ALIVE_LIMIT: Duration = Duration::from_secs(2);
