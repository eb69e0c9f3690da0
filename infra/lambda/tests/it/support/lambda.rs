//! Lambda's runtime API, as the function sees it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tokio::io::BufReader;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, mpsc};
use tokio::time::timeout;

use super::wire::{self, Arrived};

/// What the function is given.
struct Invocation {
    id: String,
    deadline_ms: u128,
    event: Vec<u8>,
}

/// What it said to that.
pub struct Told {
    /// `response` or `error`.
    pub what: String,
    pub body: Vec<u8>,
}

pub struct Lambda {
    pub address: SocketAddr,
    invocations: mpsc::UnboundedSender<Invocation>,
    told: Mutex<mpsc::UnboundedReceiver<Arrived>>,
    takes_no_answer: Arc<AtomicBool>,
    number: AtomicU32,
}

impl Lambda {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (invocations, waiting) = mpsc::unbounded_channel();
        let (tell, told) = mpsc::unbounded_channel();
        let takes_no_answer = Arc::new(AtomicBool::new(false));
        let (waiting, refusing) = (Arc::new(Mutex::new(waiting)), Arc::clone(&takes_no_answer));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&waiting), tell.clone(), Arc::clone(&refusing)));
            }
        });
        Self { address, invocations, told: Mutex::new(told), takes_no_answer, number: AtomicU32::new(0) }
    }

    /// Give the function something that must be answered within this time; what it says.
    pub async fn invoke(&self, event: &[u8], within: Duration) -> Told {
        let id = format!("invocation-{}", self.number.fetch_add(1, Ordering::SeqCst));
        let deadline_ms = (SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + within).as_millis();
        self.invocations.send(Invocation { id: id.clone(), deadline_ms, event: event.to_vec() }).unwrap();
        self.said(&id).await
    }

    /// The function's next word, which must be about this invocation.
    pub async fn said(&self, id: &str) -> Told {
        let told = self.next_word().await;
        let start = format!("POST /2018-06-01/runtime/invocation/{id}/");
        let what = told.line.strip_prefix(&start).unwrap_or_else(|| panic!("{} is not about {id}", told.line));
        Told { what: what.strip_suffix(" HTTP/1.1").unwrap().to_owned(), body: told.body }
    }

    pub async fn next_word(&self) -> Arrived {
        timeout(Duration::from_secs(20), self.told.lock().await.recv())
            .await
            .expect("the function says something")
            .unwrap()
    }

    /// Give the function a directive, with Alexa's usual time for it; the event that it answers.
    pub async fn send(&self, directive: &Value) -> Value {
        let told = self.invoke(directive.to_string().as_bytes(), Duration::from_secs(8)).await;
        assert_eq!(told.what, "response");
        serde_json::from_slice(&told.body).unwrap()
    }

    /// From now on, or not any more.
    pub fn take_no_answer(&self, refuse: bool) {
        self.takes_no_answer.store(refuse, Ordering::SeqCst);
    }
}

async fn serve(
    stream: TcpStream,
    waiting: Arc<Mutex<mpsc::UnboundedReceiver<Invocation>>>,
    tell: mpsc::UnboundedSender<Arrived>,
    takes_no_answer: Arc<AtomicBool>,
) {
    stream.set_nodelay(true).unwrap();
    let mut stream = BufReader::new(stream);
    while let Some(arrived) = wire::read(&mut stream).await {
        if arrived.line == "GET /2018-06-01/runtime/invocation/next HTTP/1.1" {
            let Some(invocation) = waiting.lock().await.recv().await else { return };
            let headers = [
                ("lambda-runtime-aws-request-id", invocation.id),
                ("lambda-runtime-deadline-ms", invocation.deadline_ms.to_string()),
                ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:000000000000:function:f".into()),
            ];
            wire::write(&mut stream, 200, &headers, &invocation.event).await;
        } else {
            let refuse = takes_no_answer.load(Ordering::SeqCst) && arrived.line.ends_with("/response HTTP/1.1");
            if !refuse {
                tell.send(arrived).unwrap();
            }
            wire::write(&mut stream, if refuse { 413 } else { 202 }, &[], b"{}").await;
        }
    }
}
