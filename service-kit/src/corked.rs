//! A stream on which what is written waits for what follows it, as long as something may.
//!
//! The last that a server says in a TLS 1.3 handshake is a ticket, and mostly it says more at once: the answer to the request that
//! came in one segment with the last of the client's handshake. Apart, they are two system calls, two segments, and the client
//! is woken twice; of the processor time of a home's connect that was about a fortieth.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// While it is [corked](Corked::cork) it holds back what is written and flushed until nothing more can be read, which is when the
/// other side waits for it. So that suits a conversation in which nobody speaks without end, such as a handshake. Once it is
/// [uncorked](Corked::uncork), what is held leaves with what is written next, and nothing is held any more.
///
/// Dropping it loses what is held, as with any writer that is not flushed.
#[derive(Debug)]
pub(crate) struct Corked<S> {
    stream: S,
    held: Vec<u8>,
    corked: bool,
}

impl<S> Corked<S> {
    /// Not corked.
    pub(crate) const fn new(stream: S) -> Self {
        Self { stream, held: Vec::new(), corked: false }
    }

    /// From now on a flush waits.
    pub(crate) const fn cork(&mut self) {
        self.corked = true;
    }

    /// From now on a flush is one.
    pub(crate) const fn uncork(&mut self) {
        self.corked = false;
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
        if !self.corked
            && let Poll::Ready(Err(error)) = self.poll_let_go(context)
        {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(parts.iter().map(|part| part.len()).sum()))
    }

    const fn is_holding(&self) -> bool {
        self.corked || !self.held.is_empty()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Corked<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let read = Pin::new(&mut this.stream).poll_read(context, into);
        // Nothing came, so the other side may be waiting for what is held.
        if read.is_pending()
            && let Poll::Ready(Err(error)) = this.poll_let_go(context)
        {
            return Poll::Ready(Err(error));
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
        if this.corked {
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
