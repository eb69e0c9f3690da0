//! A stream on which what is written waits for what follows it, as long as something may.
//!
//! The last that a client says in a TLS 1.3 handshake is followed by its request at once, and the last that a server says, a ticket,
//! by the answer. Apart, they are two system calls and two segments each, and the other side is woken twice.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// While it is [corked](Corked::cork) it holds back what is written and flushed until nothing more can be read, which is when the
/// other side waits for it. So that suits a conversation in which nobody speaks without end, such as a handshake. Once it is
/// [uncorked](Corked::uncork), what is held leaves with what is written next, with a flush, or when nothing can be read, and then
/// nothing is held any more.
///
/// Dropping it loses what is held, as with any writer that is not flushed.
#[derive(Debug)]
pub struct Corked<S> {
    stream: S,
    held: Vec<u8>,
    cork: Cork,
}

/// Says from elsewhere what a [`Corked`] does.
#[derive(Debug, Clone, Default)]
pub struct Cork(Arc<AtomicU8>);

/// What is held leaves with the next write, with a flush, or when nothing can be read.
const OPEN: u8 = 0;
/// Between the two: what is held leaves with the next write, or when so many reads more than one have found nothing. The TLS library looks
/// once when a handshake is done, and hyper once more while a request is being answered.
const LOOKS: u8 = 2;
/// Everything is held until nothing can be read.
const CORKED: u8 = 254;
/// Everything is held.
const KEPT: u8 = 255;

impl Cork {
    /// Nothing leaves any more, whether the other side waits for it or not, until what this gives is dropped. For an answer that is
    /// followed by something else at once, where whoever wrote the one does not know of the other.
    pub fn keep(&self) -> Kept {
        self.set(KEPT);
        Kept(self.clone())
    }

    fn is(&self) -> u8 {
        self.0.load(Ordering::Acquire)
    }

    fn set(&self, state: u8) {
        self.0.store(state, Ordering::Release);
    }
}

/// Until this is dropped, nothing leaves. What is held then leaves with what is written next, or when somebody waits for more to read.
#[derive(Debug)]
#[must_use = "what is held leaves when this is dropped"]
pub struct Kept(Cork);

impl Drop for Kept {
    fn drop(&mut self) {
        self.0.set(LOOKS);
    }
}

impl<S> Corked<S> {
    /// Not corked.
    pub fn new(stream: S) -> Self {
        Self { stream, held: Vec::new(), cork: Cork::default() }
    }

    /// From now on a flush waits.
    pub fn cork(&mut self) {
        self.cork.set(CORKED);
    }

    /// From now on a flush is one.
    pub fn uncork(&mut self) {
        self.cork.set(OPEN);
    }

    /// From now on a flush is one, once something was written. For what the other side can do without until it gets an answer, as the
    /// tickets of TLS 1.3: while that is made, whoever makes it may flush, and look for more and find nothing. Where no answer is ever
    /// written, what is held may never leave.
    pub(crate) fn uncork_for_an_answer(&mut self) {
        self.cork.set(LOOKS);
    }

    /// To say the same from elsewhere.
    #[must_use]
    pub fn handle(&self) -> Cork {
        self.cork.clone()
    }
}

impl<S: AsyncWrite + Unpin> Corked<S> {
    fn poll_let_go(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.held.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(context, &self.held))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.held.drain(..written);
        }
        // A connection may live for days, and this is of use for its first milliseconds.
        self.held = Vec::new();
        Poll::Ready(Ok(()))
    }

    /// Take these behind what is held already. How many bytes they were.
    fn hold(&mut self, context: &mut Context<'_>, parts: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        if self.held.len() >= MOST {
            ready!(self.poll_let_go(context))?;
        }
        for part in parts {
            self.held.extend_from_slice(part);
        }
        if self.cork.is() <= LOOKS {
            self.cork.set(OPEN);
            if let Poll::Ready(Err(error)) = self.poll_let_go(context) {
                return Poll::Ready(Err(error));
            }
        }
        Poll::Ready(Ok(parts.iter().map(|part| part.len()).sum()))
    }

    fn is_holding(&self) -> bool {
        self.cork.is() > LOOKS || !self.held.is_empty()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Corked<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let read = Pin::new(&mut this.stream).poll_read(context, into);
        if read.is_pending() && !this.held.is_empty() {
            match this.cork.is() {
                KEPT => {}
                looks @ 1..=LOOKS => this.cork.set(looks - 1),
                // The other side may be waiting for what is held.
                _ => {
                    if let Poll::Ready(Err(error)) = this.poll_let_go(context) {
                        return Poll::Ready(Err(error));
                    }
                }
            }
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Corked<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.is_holding() {
            this.hold(context, parts)
        } else {
            Pin::new(&mut this.stream).poll_write_vectored(context, parts)
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.cork.is() > OPEN && this.is_holding() {
            return Poll::Ready(Ok(()));
        }
        ready!(this.poll_let_go(context))?;
        Pin::new(&mut this.stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_let_go(context))?;
        Pin::new(&mut this.stream).poll_shutdown(context)
    }
}

/// A handshake with a long chain of certificates is smaller.
const MOST: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::task::Waker;

    use tokio::io::AsyncWriteExt as _;

    use super::*;

    /// What one end of a connection sees, which takes so many bytes at a time, and then none the next time.
    #[derive(Debug)]
    struct Wire {
        comes: VecDeque<&'static [u8]>,
        written: Vec<Vec<u8>>,
        takes: usize,
        is_full: bool,
    }

    impl Wire {
        fn corked(comes: &[&'static [u8]], takes: usize) -> Corked<Self> {
            let comes = comes.iter().copied().collect();
            let mut stream = Corked::new(Self { comes, written: Vec::new(), takes, is_full: false });
            stream.cork();
            stream
        }
    }

    impl AsyncRead for Wire {
        fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            let Some(next) = self.comes.pop_front() else { return Poll::Pending };
            into.put_slice(next);
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for Wire {
        fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            if self.takes < usize::MAX {
                self.is_full = !self.is_full;
                if self.is_full {
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
            }
            let taken = bytes.len().min(self.takes);
            self.written.push(bytes[..taken].to_vec());
            Poll::Ready(Ok(taken))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    /// Whether something came.
    fn read(stream: &mut Corked<Wire>) -> bool {
        let mut bytes = [0; 16];
        let mut context = Context::from_waker(Waker::noop());
        Pin::new(stream).poll_read(&mut context, &mut ReadBuf::new(&mut bytes)).is_ready()
    }

    #[tokio::test]
    async fn the_end_of_a_handshake_leaves_with_the_answer() {
        let mut stream = Wire::corked(&[b"hello", b"finished, and a request"], usize::MAX);
        assert!(read(&mut stream));
        stream.write_all(b"hello, ").await.unwrap();
        stream.write_all(b"certificate").await.unwrap();
        stream.flush().await.unwrap();
        assert!(stream.stream.written.is_empty(), "something may come that wants an answer, too");
        stream.stream.comes.clear();
        assert!(!read(&mut stream));
        assert_eq!(stream.stream.written.concat(), b"hello, certificate");
        stream.write_all(b"ticket").await.unwrap();
        stream.flush().await.unwrap();
        stream.uncork();
        stream.write_all(b", answer").await.unwrap();
        stream.write_all(b"more").await.unwrap();
        assert_eq!(stream.stream.written[1..], [b"ticket, answer".to_vec(), b"more".to_vec()]);
        assert_eq!(stream.held.capacity(), 0);
    }

    #[tokio::test]
    async fn who_speaks_second_gets_the_end_of_the_handshake_without_an_answer() {
        let mut stream = Wire::corked(&[], usize::MAX);
        stream.write_all(b"finished").await.unwrap();
        stream.flush().await.unwrap();
        stream.uncork();
        assert!(stream.stream.written.is_empty());
        assert!(!read(&mut stream));
        assert_eq!(stream.stream.written.concat(), b"finished");
    }

    #[tokio::test]
    async fn while_an_answer_is_made_some_may_look_for_more() {
        let corked = async || {
            let mut stream = Wire::corked(&[], usize::MAX);
            stream.write_all(b"ticket").await.unwrap();
            stream.uncork_for_an_answer();
            stream.flush().await.unwrap();
            assert!(!read(&mut stream) && !read(&mut stream));
            assert!(stream.stream.written.is_empty());
            stream
        };
        let mut answered = corked().await;
        answered.write_all(b", answer").await.unwrap();
        assert_eq!(answered.stream.written, [b"ticket, answer"]);
        let mut waited = corked().await;
        assert!(!read(&mut waited));
        assert_eq!(waited.stream.written, [b"ticket"]);
        let mut full = corked().await;
        full.uncork_for_an_answer();
        full.stream.takes = 3;
        full.write_all(b", answer").await.unwrap();
        full.flush().await.unwrap();
        assert_eq!(full.stream.written.concat(), b"ticket, answer");
    }

    #[tokio::test]
    async fn what_is_kept_leaves_with_what_follows() {
        let mut stream = Wire::corked(&[], usize::MAX);
        stream.uncork();
        let kept = stream.handle().keep();
        stream.write_all(b"go on").await.unwrap();
        stream.flush().await.unwrap();
        assert!((0..9).all(|_| !read(&mut stream)));
        assert!(stream.stream.written.is_empty());
        drop(kept);
        assert!(!read(&mut stream));
        stream.write_all(b", welcome").await.unwrap();
        stream.write_all(b"more").await.unwrap();
        assert_eq!(stream.stream.written, [b"go on, welcome".to_vec(), b"more".to_vec()]);
        let mut silent = Wire::corked(&[], usize::MAX);
        let kept = silent.handle().keep();
        silent.write_all(b"go on").await.unwrap();
        drop(kept);
        assert!((0..3).all(|_| !read(&mut silent)));
        assert_eq!(silent.stream.written, [b"go on"], "nothing follows");
    }

    #[tokio::test]
    async fn a_slow_reader_gets_everything_in_order() {
        let mut stream = Wire::corked(&[], 3);
        stream.write_all(b"one two ").await.unwrap();
        assert!(!read(&mut stream));
        stream.uncork();
        stream.write_all(b"three ").await.unwrap();
        stream.write_all(b"four").await.unwrap();
        stream.flush().await.unwrap();
        assert_eq!(stream.stream.written.concat(), b"one two three four");
    }

    #[tokio::test]
    async fn what_is_held_is_bounded_and_survives_a_shutdown() {
        let mut stream = Wire::corked(&[], usize::MAX);
        stream.write_all(&[0; MOST]).await.unwrap();
        stream.write_all(&[1; 5]).await.unwrap();
        assert_eq!((stream.stream.written.concat().len(), stream.held.len()), (MOST, 5));
        stream.shutdown().await.unwrap();
        assert_eq!(stream.stream.written.concat().len(), MOST + 5);
    }
}
