//! Which reply belongs to which command, for systems that only carry messages one way: commands are numbered, and a reply
//! bears its command's number.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use bytes::{Buf as _, Bytes};
use macloud_loadtest::sample::Outcome;
use tokio::sync::oneshot;

use crate::peer::reply;

/// The caller's commands without a reply.
#[derive(Default)]
pub(crate) struct Waiting(Mutex<Table>);

#[derive(Default)]
struct Table {
    next: u64,
    senders: HashMap<u64, oneshot::Sender<Bytes>>,
}

impl Waiting {
    /// The message for a command, and where its reply will be.
    pub(crate) fn add(self: &Arc<Self>, command: &[u8]) -> (Vec<u8>, Reply) {
        let (sender, receiver) = oneshot::channel();
        let number = {
            let mut table = self.0.lock().expect("nobody panics with it");
            table.next += 1;
            let number = table.next;
            table.senders.insert(number, sender);
            number
        };
        let message = [&number.to_be_bytes(), command].concat();
        (message, Reply { number, receiver, waiting: self.clone() })
    }

    /// A home's message. One that comes too late is dropped.
    pub(crate) fn arrived(&self, mut message: Bytes) {
        let Ok(number) = message.try_get_u64() else { return };
        let sender = self.0.lock().expect("nobody panics with it").senders.remove(&number);
        if let Some(sender) = sender {
            let _ = sender.send(message);
        }
    }
}

/// A reply that is still to come. Nobody waits for it once this is dropped.
pub(crate) struct Reply {
    number: u64,
    receiver: oneshot::Receiver<Bytes>,
    waiting: Arc<Waiting>,
}

impl Reply {
    pub(crate) async fn come(mut self) -> Result<Bytes, Outcome> {
        (&mut self.receiver).await.map_err(|_| Outcome::Unknown("it was given up".into()))
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        self.waiting.0.lock().expect("nobody panics with it").senders.remove(&self.number);
    }
}

/// What a home sends back for a command's message.
pub(crate) fn answer(home: usize, message: &[u8]) -> Option<Vec<u8>> {
    let (number, command) = message.split_first_chunk::<8>()?;
    Some([number, reply(home, command).as_slice()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn replies_find_their_commands_in_any_order() {
        let waiting = Arc::new(Waiting::default());
        let (first, first_reply) = waiting.add(b"play");
        let (second, second_reply) = waiting.add(b"stop");
        waiting.arrived(answer(2, &second).unwrap().into());
        waiting.arrived(answer(1, &first).unwrap().into());
        assert_eq!(first_reply.come().await, Ok(reply(1, b"play").into()));
        assert_eq!(second_reply.come().await, Ok(reply(2, b"stop").into()));
        assert!(waiting.0.lock().unwrap().senders.is_empty());
    }

    #[tokio::test]
    async fn late_replies_and_rubbish_are_dropped() {
        let waiting = Arc::new(Waiting::default());
        let (message, reply) = waiting.add(b"play");
        drop(reply);
        assert!(waiting.0.lock().unwrap().senders.is_empty());
        waiting.arrived(answer(1, &message).unwrap().into());
        waiting.arrived(Bytes::from_static(b"short"));
        assert_eq!(answer(1, b"short"), None);
    }
}
