//! A skill backend that does what a test wants.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::answer_to;
use super::wire::{self, Arrived};

/// What to do with a request.
#[derive(Clone)]
pub enum How {
    /// Answer it, as a skill would.
    Answer,
    /// Say this.
    Say(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// Say nothing, and keep the connection.
    Silence,
    /// Break off in the middle of the answer.
    Cut,
    /// Break off before it.
    HangUp,
    /// Answer, and close the connection without announcing it.
    AnswerAndClose,
}

#[derive(Clone)]
pub struct Backend {
    pub address: SocketAddr,
    seen: Arc<Seen>,
}

struct Seen {
    connections: AtomicUsize,
    requests: Mutex<Vec<Arrived>>,
    how: Mutex<How>,
}

impl Backend {
    pub async fn start() -> Self {
        Self::listen(None).await
    }

    pub async fn with_tls(tls: TlsAcceptor) -> Self {
        Self::listen(Some(tls)).await
    }

    async fn listen(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let seen = Arc::new(Seen {
            connections: AtomicUsize::new(0),
            requests: Mutex::default(),
            how: Mutex::new(How::Answer),
        });
        let backend = Self { address: listener.local_addr().unwrap(), seen: Arc::clone(&seen) };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                seen.connections.fetch_add(1, Ordering::SeqCst);
                let (tls, seen) = (tls.clone(), Arc::clone(&seen));
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, &seen).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, &seen).await;
                            }
                        }
                    }
                });
            }
        });
        backend
    }

    pub fn does(&self, how: How) {
        *self.seen.how.lock().unwrap() = how;
    }

    pub fn requests(&self) -> Vec<Arrived> {
        self.seen.requests.lock().unwrap().clone()
    }

    pub fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, seen: &Seen) {
    let mut stream = BufReader::new(stream);
    while let Some(arrived) = wire::read(&mut stream).await {
        let answer = serde_json::from_slice(&arrived.body).map(|directive| answer_to(&directive).to_string());
        let answer = answer.unwrap_or_default();
        seen.requests.lock().unwrap().push(arrived);
        let how = seen.how.lock().unwrap().clone();
        let json = [("content-type", "application/json".to_owned())];
        match how {
            How::Answer => wire::write(&mut stream, 200, &json, answer.as_bytes()).await,
            How::Say(status, headers, body) => wire::write(&mut stream, status, &headers, &body).await,
            // Until the other side has enough.
            How::Silence => {}
            How::Cut => {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"event\":").await;
                let _ = stream.flush().await;
                return;
            }
            How::HangUp => return,
            How::AnswerAndClose => return wire::write(&mut stream, 200, &json, answer.as_bytes()).await,
        }
    }
}
