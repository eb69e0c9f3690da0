//! Messages that are ready at the same time leave together.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::Stream;

/// A stream that has run dry lets every task that is ready go first before it gives its next message: what these add goes out in
/// the same write, at the price of one turn of the scheduler when there is nothing else to do.
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

impl<S: Stream> Gathered<S> {
    /// `stream`, gathered.
    pub const fn new(stream: S) -> Self {
        Self { stream, first: None, is_dry: true }
    }
}

impl<S: Stream + Unpin> Stream for Gathered<S>
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
            Poll::Ready(Some(first)) if self.is_dry => {
                self.first = Some(first);
                self.is_dry = false;
                // A task that wakes itself goes behind those that wait to run.
                context.waker().wake_by_ref();
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
    async fn writes(senders: u32) -> Vec<Vec<u32>> {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let stream = futures_util::stream::poll_fn(move |context| receiver.poll_recv(context));
        let mut gathered = Gathered::new(stream);
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

    #[tokio::test]
    async fn what_is_ready_together_is_written_together_and_in_order() {
        assert_eq!(writes(1).await, [vec![0]]);
        assert_eq!(writes(5).await, [vec![0, 1, 2, 3, 4]]);
    }

    #[tokio::test]
    async fn nothing_is_lost_at_the_end() {
        let gathered = Gathered::new(futures_util::stream::iter(0..3));
        assert_eq!(gathered.collect::<Vec<_>>().await, [0, 1, 2]);
        assert_eq!(Gathered::new(futures_util::stream::empty::<u32>()).next().await, None);
    }
}
