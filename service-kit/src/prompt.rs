//! Tasks that wake themselves go on at once.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;
use hyper::rt::Executor;

/// Runs the tasks of an HTTP/2 connection on tokio's runtime.
///
/// A task of HTTP/2 that sends a message wakes itself while it does so, since the bytes that it has just given away are room for the
/// next ones. To tokio that is a task that yields: it goes behind all others, and an idle thread is woken that might take it over. For
/// a stream that carries one message after the other, that costs more than the message. Here such a task is simply polled again.
#[derive(Debug, Clone, Copy, Default)]
pub struct Prompt;

impl<F> Executor<F> for Prompt
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, future: F) {
        tokio::spawn(Prompted::new(async move { drop(future.await) }));
    }
}

struct Prompted {
    future: Pin<Box<dyn Future<Output = ()> + Send>>,
    shared: Arc<Shared>,
    /// Of `shared`.
    waker: Waker,
}

struct Shared {
    /// To wake when it was not being polled.
    task: AtomicWaker,
    state: AtomicU8,
}

impl Prompted {
    fn new(future: impl Future<Output = ()> + Send + 'static) -> Self {
        let shared = Arc::new(Shared { task: AtomicWaker::new(), state: AtomicU8::new(RESTING) });
        let waker = Waker::from(shared.clone());
        Self { future: Box::pin(future), shared, waker }
    }
}

impl Future for Prompted {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.shared.task.register(context.waker());
        for _ in 0..POLLS_A_TURN {
            this.shared.state.store(POLLED, Ordering::Release);
            if this.future.as_mut().poll(&mut Context::from_waker(&this.waker)).is_ready() {
                return Poll::Ready(());
            }
            let rests = this.shared.state.compare_exchange(POLLED, RESTING, Ordering::AcqRel, Ordering::Acquire);
            if rests.is_ok() {
                return Poll::Pending;
            }
        }
        // Let others have their turn.
        this.shared.state.store(RESTING, Ordering::Release);
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Wake for Shared {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let woken = self.state.compare_exchange(POLLED, WOKEN, Ordering::AcqRel, Ordering::Acquire);
        if woken == Err(RESTING) {
            self.task.wake();
        }
    }
}

const RESTING: u8 = 0;
const POLLED: u8 = 1;
/// While it was polled.
const WOKEN: u8 = 2;

const POLLS_A_TURN: usize = 8;

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::atomic::AtomicUsize;
    use std::time::Duration;

    use tokio::sync::{mpsc, oneshot};

    use super::*;

    /// Of a future that wakes itself so many times: how many turns it takes.
    fn turns(wakes: usize) -> usize {
        let mut polls = 0;
        let mut prompted = Prompted::new(poll_fn(move |context| {
            polls += 1;
            if polls > wakes {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        }));
        let told = Arc::new(Told::default());
        let waker = Waker::from(told.clone());
        let mut turns = 1;
        while Pin::new(&mut prompted).poll(&mut Context::from_waker(&waker)).is_pending() {
            assert_eq!(told.0.load(Ordering::Relaxed), turns, "it asks for each further turn, once");
            turns += 1;
        }
        turns
    }

    #[derive(Default)]
    struct Told(AtomicUsize);

    impl Wake for Told {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn who_wakes_itself_goes_on_at_once_but_not_without_end() {
        assert_eq!(turns(0), 1);
        assert_eq!(turns(POLLS_A_TURN - 1), 1);
        assert_eq!(turns(POLLS_A_TURN), 2);
        assert_eq!(turns(20), 3);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_wake_up_is_lost_whoever_wakes() {
        let (ask, mut asked) = mpsc::unbounded_channel::<oneshot::Sender<u32>>();
        Prompt.execute(async move {
            let mut count = 0;
            while let Some(answer) = asked.recv().await {
                count += 1;
                let _ = answer.send(count);
            }
        });
        for number in 1..=20_000 {
            let (answer, answered) = oneshot::channel();
            ask.send(answer).unwrap();
            let told = tokio::time::timeout(Duration::from_secs(10), answered).await;
            assert_eq!(told.expect("it was woken"), Ok(number));
        }
    }
}
