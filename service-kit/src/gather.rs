//! Messages that are ready at the same time leave together.

use std::future::Future as _;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use futures_util::Stream;

/// A stream whose messages may come together.
pub trait Expecting: Stream {
    /// Whether another message may follow at once the one that was given last.
    fn expects_more(&self) -> bool;
}

/// A stream that has run dry, and expects more, lets every task that is ready go first before it gives its next message: what these add
/// goes out in the same write, at the price of one turn of the scheduler when there is nothing else to do. What comes alone is given at
/// once.
///
/// For what many tasks feed and one connection carries, such as a stream of the command bus. Without it the first message wakes
/// the connection, which writes it alone.
#[derive(Debug)]
pub struct Gathered<S: Stream> {
    stream: S,
    /// Came first after the stream had run dry.
    first: Option<S::Item>,
    is_dry: bool,
}

impl<S: Expecting> Gathered<S> {
    /// `stream`, gathered.
    pub const fn new(stream: S) -> Self {
        Self { stream, first: None, is_dry: true }
    }
}

impl<S: Expecting + Unpin> Stream for Gathered<S>
where
    S::Item: Unpin,
{
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(first));
        }
        match Pin::new(&mut self.stream).poll_next(context) {
            Poll::Pending => {
                self.is_dry = true;
                Poll::Pending
            }
            Poll::Ready(Some(first)) if self.is_dry && self.stream.expects_more() => {
                self.first = Some(first);
                self.is_dry = false;
                // The runtime wakes it when nothing else is ready to run.
                let _ = pin!(tokio::task::yield_now()).poll(context);
                Poll::Pending
            }
            ready => ready,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::StreamExt as _;
    use std::sync::{Arc, Mutex};
    use tokio::sync::mpsc;

    /// What one writer takes between two rests, when `senders` tasks are ready together.
    async fn writes(senders: u32, expects_more: bool) -> Vec<Vec<u32>> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let mut gathered = Gathered::new(Queue { receiver, expects_more });
        let writes = Arc::new(Mutex::new(Vec::new()));
        let written = writes.clone();
        let writer = tokio::spawn(async move {
            while let Some(first) = gathered.next().await {
                let mut write = vec![first];
                while let Some(Some(more)) = futures_util::FutureExt::now_or_never(gathered.next()) {
                    write.push(more);
                }
                written.lock().unwrap().push(write);
            }
        });
        tokio::task::yield_now().await;
        for number in 0..senders {
            let sender = sender.clone();
            tokio::spawn(async move { sender.send(number).unwrap() });
        }
        drop(sender);
        writer.await.unwrap();
        writes.lock().unwrap().clone()
    }

    struct Queue {
        receiver: mpsc::UnboundedReceiver<u32>,
        expects_more: bool,
    }

    impl Stream for Queue {
        type Item = u32;

        fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<u32>> {
            self.receiver.poll_recv(context)
        }
    }

    impl Expecting for Queue {
        fn expects_more(&self) -> bool {
            self.expects_more
        }
    }

    #[tokio::test]
    async fn what_is_ready_together_is_written_together_and_in_order() {
        assert_eq!(writes(1, true).await, [vec![0]]);
        assert_eq!(writes(5, true).await, [vec![0, 1, 2, 3, 4]]);
    }

    #[tokio::test]
    async fn what_comes_alone_is_given_at_once() {
        for (expects_more, given) in [(false, Some(Some(7))), (true, None)] {
            let (sender, receiver) = mpsc::unbounded_channel();
            let mut gathered = Gathered::new(Queue { receiver, expects_more });
            sender.send(7).unwrap();
            assert_eq!(futures_util::FutureExt::now_or_never(gathered.next()), given);
        }
    }

    #[tokio::test]
    async fn nothing_is_lost_at_the_end() {
        for expects_more in [false, true] {
            let (sender, receiver) = mpsc::unbounded_channel();
            for number in 0..3 {
                sender.send(number).unwrap();
            }
            drop(sender);
            assert_eq!(Gathered::new(Queue { receiver, expects_more }).collect::<Vec<_>>().await, [0, 1, 2]);
        }
    }
}
