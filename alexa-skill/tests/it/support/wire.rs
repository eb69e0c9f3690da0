//! gRPC in memory: a channel whose connections a test can break.

use std::io;

use hyper_util::rt::TokioIo;
use tokio::io::DuplexStream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::transport::server::Router;
use tonic::transport::{Channel, Endpoint};
use tower::service_fn;

/// Serve `router` in this process, and a channel to it.
pub fn serve(router: Router) -> Channel {
    let (connect, connections) = mpsc::unbounded_channel::<io::Result<DuplexStream>>();
    tokio::spawn(router.serve_with_incoming(UnboundedReceiverStream::new(connections)));
    Endpoint::from_static("http://in-process").connect_with_connector_lazy(service_fn(move |_| {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let connected = connect.send(Ok(theirs));
        async move {
            connected.map_err(|_| io::Error::from(io::ErrorKind::ConnectionRefused))?;
            Ok::<_, io::Error>(TokioIo::new(ours))
        }
    }))
}
