//! What all systems here have in common: homes echo what they are sent, behind their number, and each call is bounded in time
//! and checked.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use macloud_loadtest::driver::{Driver, Server};
use macloud_loadtest::sample::Outcome;
use tokio::time::{sleep, timeout};

/// A system whose servers run.
pub(crate) trait Peer: Send + Sync + 'static {
    type Caller: Caller;

    /// Connect so many homes, which reply with [reply] until this process ends, and a caller.
    fn connect(&self, homes: usize) -> impl Future<Output = anyhow::Result<Self::Caller>> + Send;

    fn servers(&self) -> Vec<Server>;
}

/// The side that sends commands.
pub(crate) trait Caller: Send + Sync + 'static {
    /// What the home replied; otherwise why there is no reply. May take forever.
    fn ask(&self, home: usize, command: Bytes) -> impl Future<Output = Result<Bytes, Outcome>> + Send;
}

/// A peer as the generator wants it.
pub(crate) struct Checked<P: Peer> {
    peer: P,
    caller: OnceLock<P::Caller>,
}

impl<P: Peer> Checked<P> {
    pub(crate) fn new(peer: P) -> Self {
        Self { peer, caller: OnceLock::new() }
    }

    async fn call_within(&self, patience: Duration, home: usize, command: Bytes) -> Outcome {
        let Some(caller) = self.caller.get() else { return Outcome::Refused("nothing is connected".into()) };
        match timeout(patience, caller.ask(home, command.clone())).await {
            Ok(Ok(got)) => judge(home, &command, &got),
            Ok(Err(outcome)) => outcome,
            Err(_) => Outcome::Unknown("no answer".into()),
        }
    }

    /// A home that has connected may not be reachable yet: some servers say so before it is true, some do not say it at all.
    async fn wait_for(&self, home: usize) -> anyhow::Result<()> {
        let give_up = Instant::now() + START_LIMIT;
        loop {
            let outcome = self.call_within(FIRST_PATIENCE, home, Bytes::from_static(b"are you there")).await;
            if outcome == Outcome::Done {
                return Ok(());
            }
            anyhow::ensure!(Instant::now() < give_up, "home {home} does not reply: {outcome:?}");
            sleep(BETWEEN_TRIES).await;
        }
    }
}

impl<P: Peer> Driver for Checked<P> {
    async fn connect(&self, homes: usize) -> anyhow::Result<()> {
        let caller = self.peer.connect(homes).await?;
        self.caller.set(caller).ok().context("it is connected already")?;
        each_home(homes, |home| self.wait_for(home)).await?;
        Ok(())
    }

    async fn call(&self, home: usize, payload: Bytes) -> Outcome {
        self.call_within(PATIENCE, home, payload).await
    }

    fn servers(&self) -> Vec<Server> {
        self.peer.servers()
    }
}

/// What a home replies.
pub(crate) fn reply(home: usize, command: &[u8]) -> Vec<u8> {
    [&(home as u32).to_be_bytes(), command].concat()
}

fn judge(home: usize, command: &[u8], got: &[u8]) -> Outcome {
    match got.split_first_chunk() {
        Some((from, echo)) if echo == command && u32::from_be_bytes(*from) as usize == home => Outcome::Done,
        Some((_, echo)) if echo == command => Outcome::Wrong("another home replied".into()),
        _ => Outcome::Wrong("not the reply to this command".into()),
    }
}

/// Do something for every home, not for all at the same time.
pub(crate) async fn each_home<F: Future<Output = anyhow::Result<T>>, T>(
    homes: usize,
    what: impl Fn(usize) -> F,
) -> anyhow::Result<Vec<T>> {
    stream::iter((0..homes).map(what)).buffer_unordered(AT_ONCE).try_collect().await
}

const PATIENCE: Duration = Duration::from_secs(5);
const FIRST_PATIENCE: Duration = Duration::from_secs(1);
const BETWEEN_TRIES: Duration = Duration::from_millis(10);
const START_LIMIT: Duration = Duration::from_secs(30);
/// Less than any server's queue of new connections.
const AT_ONCE: usize = 64;

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn only_this_homes_reply_to_this_command_is_done() {
        assert_eq!(judge(7, b"play", &reply(7, b"play")), Outcome::Done);
        assert_eq!(judge(7, b"play", &reply(8, b"play")), Outcome::Wrong("another home replied".into()));
        for wrong in [reply(7, b"stop"), reply(7, b"play more"), Vec::new(), b"pla".to_vec()] {
            assert_eq!(judge(7, b"play", &wrong), Outcome::Wrong("not the reply to this command".into()));
        }
    }

    /// Its homes are there after so many calls; home 1 never replies after that.
    struct Slow(AtomicUsize);

    impl Peer for Slow {
        type Caller = Self;

        async fn connect(&self, _: usize) -> anyhow::Result<Self> {
            Ok(Self(AtomicUsize::new(3)))
        }

        fn servers(&self) -> Vec<Server> {
            Vec::new()
        }
    }

    impl Caller for Slow {
        async fn ask(&self, home: usize, command: Bytes) -> Result<Bytes, Outcome> {
            if self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
                return Err(Outcome::Refused("not there".into()));
            }
            if home == 1 && command.starts_with(b"play") {
                std::future::pending().await
            } else {
                Ok(reply(home, &command).into())
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn homes_are_waited_for_and_calls_are_bounded() {
        let driver = Checked::new(Slow(AtomicUsize::new(0)));
        assert_eq!(driver.call(0, "play".into()).await, Outcome::Refused("nothing is connected".into()));
        driver.connect(2).await.unwrap();
        assert_eq!(driver.call(0, "play".into()).await, Outcome::Done);
        assert_eq!(driver.call(1, "play".into()).await, Outcome::Unknown("no answer".into()));
        assert!(driver.connect(2).await.is_err());
    }
}
