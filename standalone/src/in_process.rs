//! gRPC between the parts of one process: the real contracts over an in-memory pipe, with no port that a stranger on the
//! machine could reach and so no certificates to manage.

use hyper_util::rt::TokioIo;
use macloud_service_kit::stop::Stop;
use tokio::io::DuplexStream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};

/// Bytes in flight per direction and connection: a few of the largest messages.
const PIPE_BYTES: usize = 256 * 1024;

/// Connections that wait to be accepted. Each caller keeps one or two.
const WAITING: usize = 16;

/// Serve `routes` until a hard stop, and give a channel that reaches them. The channel connects on first use and again
/// after an error, as one over TCP does.
///
/// # Panics
/// Never: the placeholder address is valid.
pub fn serve(routes: tonic::service::Routes, stop: Stop) -> (Channel, impl Future<Output = ()> + Send) {
    let (connect, accept) = mpsc::channel::<Result<DuplexStream, std::io::Error>>(WAITING);
    let serving = async move {
        let server = tonic::transport::Server::builder().add_routes(routes);
        let ended = server.serve_with_incoming_shutdown(ReceiverStream::new(accept), async move { stop.hard().await });
        if let Err(error) = ended.await {
            tracing::error!(%error, "the in-process gRPC server ended");
        }
    };
    let connector = tower::service_fn(move |_| {
        let connect = connect.clone();
        async move {
            let (client, server) = tokio::io::duplex(PIPE_BYTES);
            let gone = || std::io::Error::new(std::io::ErrorKind::ConnectionRefused, "the service has stopped");
            connect.send(Ok(server)).await.map_err(|_| gone())?;
            Ok::<_, std::io::Error>(TokioIo::new(client))
        }
    });
    (Endpoint::from_static("http://in-process").connect_with_connector_lazy(connector), serving)
}
