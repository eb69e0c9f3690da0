//! A TCP proxy on the connector's way to the relay that can go silent or break, and remembers what passed. It plays the
//! networks in between: a router that forgets a connection, a cable that is pulled, an eavesdropper.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What the gate does with bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// Passes them on.
    Open,
    /// Takes them and passes nothing on; connections stay up. New ones get no answer either.
    Silent,
    /// Breaks what is connected, and refuses new connections.
    Cut,
}

/// The gate. Cheap to clone.
#[derive(Clone)]
pub struct Gate {
    address: SocketAddr,
    mood: watch::Sender<Mood>,
    target: watch::Sender<Option<SocketAddr>>,
    passed: Arc<Mutex<Vec<u8>>>,
}

impl Gate {
    /// Listening on loopback, leading nowhere yet.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn open() -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let gate = Self {
            address: listener.local_addr()?,
            mood: watch::Sender::new(Mood::Open),
            target: watch::Sender::new(None),
            passed: Arc::default(),
        };
        tokio::spawn(gate.clone().accept(listener));
        Ok(gate)
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it leads.
    pub fn lead_to(&self, target: SocketAddr) {
        self.target.send_replace(Some(target));
    }

    /// Change what it does, for connections that are up too.
    pub fn set(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }

    /// Everything that has passed, both ways.
    #[must_use]
    pub fn passed(&self) -> Vec<u8> {
        self.passed.lock().expect("no code panics while holding this lock").clone()
    }

    async fn accept(self, listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            if *self.mood.borrow() != Mood::Cut {
                tokio::spawn(self.clone().join(stream));
            }
        }
    }

    async fn join(self, inner: TcpStream) {
        let target = *self.target.borrow();
        let Some(target) = target else { return };
        let Ok(outer) = TcpStream::connect(target).await else { return };
        let _ = (inner.set_nodelay(true), outer.set_nodelay(true));
        let (inner_read, inner_write) = inner.into_split();
        let (outer_read, outer_write) = outer.into_split();
        let mut mood = self.mood.subscribe();
        tokio::select! {
            () = self.carry(inner_read, outer_write) => {}
            () = self.carry(outer_read, inner_write) => {}
            _ = mood.wait_for(|mood| *mood == Mood::Cut) => {}
        }
    }

    async fn carry(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
        let mut mood = self.mood.subscribe();
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let Ok(length @ 1..) = from.read(&mut buffer).await else { return };
            // Silent means for good as far as these bytes go: they are lost when the connection is.
            if mood.wait_for(|mood| *mood == Mood::Open).await.is_err() {
                return;
            }
            self.passed.lock().expect("no code panics while holding this lock").extend_from_slice(&buffer[..length]);
            if to.write_all(&buffer[..length]).await.is_err() {
                return;
            }
        }
    }
}
