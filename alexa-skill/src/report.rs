//! Report: what was done for people, as counts by kind and result, to the account service. Never what was played or where.
//!
//! No answer ever waits for it. What is noted goes into a bounded queue, is counted together, and is sent about once a
//! second; a batch that fails is sent again under the same id, so that it counts once. While the account service is away,
//! counts grow and little else; what finds no room is dropped, and that is counted too.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use macloud_e2ee::vocabulary::{Action, Command, Refusal, Reply};
use macloud_proto::accounts::v1::accounts_client::AccountsClient;
use macloud_proto::accounts::v1::r#use::{Kind, Result as Ended};
use macloud_proto::accounts::v1::{ReportUseRequest, Use};
use macloud_proto::bus::v1::not_sent;
use macloud_proto::ids::{GrantId, InstanceId};
use macloud_service_kit::clock::SharedClock;
use macloud_service_kit::random;
use macloud_service_kit::stop::Stop;
use opentelemetry::metrics::Counter;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tonic::transport::Channel;

use crate::failure::Failure;

/// Where everybody notes what they did.
pub(crate) struct Reports {
    queue: mpsc::Sender<Noted>,
    /// Taken by [`Reports::run`].
    noted: Mutex<Option<mpsc::Receiver<Noted>>>,
    accounts: AccountsClient<Channel>,
    clock: SharedClock,
    dropped: Counter<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    grant: GrantId,
    instance: InstanceId,
    kind: Kind,
    ended: Ended,
}

#[derive(Debug)]
struct Noted {
    key: Key,
    at: u64,
}

/// A command that has begun. Dropped before its end is known, it has taken too long.
#[must_use = "what is dropped at once is reported as timed out"]
pub(crate) struct Noting<'r> {
    reports: &'r Reports,
    key: Key,
}

impl Reports {
    pub(crate) fn new(accounts: Channel, clock: SharedClock) -> Self {
        let (queue, noted) = mpsc::channel(MOST_QUEUED);
        let dropped = opentelemetry::global::meter("macloud.skill")
            .u64_counter("macloud.skill.unreported")
            .with_description("Commands that could not be reported to the account service, for lack of room")
            .build();
        Self { queue, noted: Mutex::new(Some(noted)), accounts: AccountsClient::new(accounts), clock, dropped }
    }

    /// A command is on its way.
    pub(crate) fn begin(&self, grant: &GrantId, instance: &InstanceId, command: &Command) -> Noting<'_> {
        let key = Key { grant: grant.clone(), instance: instance.clone(), kind: kind(command), ended: Ended::TimedOut };
        Noting { reports: self, key }
    }

    fn note(&self, key: Key) {
        if self.queue.try_send(Noted { key, at: self.clock.unix_seconds() }).is_err() {
            self.dropped.add(1, &[]);
        }
    }

    /// Send what is noted until `stop`, and then what is left. To be run once.
    pub(crate) async fn run(&self, stop: &Stop) {
        let taken = self.noted.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        let Some(mut noted) = taken else { return };
        let mut gathered = Gathered::default();
        let mut sending: Option<Sending<'_>> = None;
        let mut send_at = None;
        let mut pause = EVERY;
        loop {
            tokio::select! {
                // Stopping first; what is noted before what is sent, so that the queue stays empty.
                biased;
                () = stop.soft() => break,
                Some(Noted { key, at }) = noted.recv() => {
                    if !gathered.add(key, at) {
                        self.dropped.add(1, &[]);
                    }
                    send_at.get_or_insert_with(|| Instant::now() + EVERY);
                }
                sent = finished(&mut sending) => {
                    sending = None;
                    pause = if sent { EVERY } else { (pause * 2).min(LONGEST_PAUSE) };
                    if sent {
                        gathered.batch = None;
                    }
                    send_at = gathered.is_waiting().then(|| Instant::now() + pause);
                }
                () = at(send_at), if sending.is_none() => {
                    send_at = None;
                    sending = gathered.next_batch().map(|batch| Box::pin(self.send(batch)) as Sending<'_>);
                }
            }
        }
        drop(sending);
        while let Ok(Noted { key, at }) = noted.try_recv() {
            gathered.add(key, at);
        }
        // The account service may be stopping too: what is left then is lost.
        while let Some(batch) = gathered.next_batch() {
            if !self.send(batch).await {
                return tracing::debug!("the last counts could not be reported");
            }
            gathered.batch = None;
        }
    }

    async fn send(&self, batch: ReportUseRequest) -> bool {
        let mut accounts = self.accounts.clone();
        match timeout(PATIENCE, accounts.report_use(batch)).await {
            Ok(Ok(_)) => true,
            // It will never be taken: sent again without end, it would keep everything behind it from being counted.
            Ok(Err(status)) if matches!(status.code(), tonic::Code::InvalidArgument | tonic::Code::Unimplemented) => {
                tracing::error!(code = ?status.code(), "the account service does not take counts of what was done");
                true
            }
            Ok(Err(status)) => {
                tracing::debug!(code = ?status.code(), "cannot report what was done: trying again");
                false
            }
            Err(_) => false,
        }
    }
}

impl Noting<'_> {
    /// This is what came of it.
    pub(crate) fn end(mut self, result: &Result<Reply, Failure>) {
        self.key.ended = match result {
            Ok(_) => Ended::Done,
            Err(failure) => ended(failure),
        };
    }
}

impl Drop for Noting<'_> {
    fn drop(&mut self) {
        self.reports.note(self.key.clone());
    }
}

/// What was noted and not yet sent, and the batch that is being sent.
#[derive(Default)]
struct Gathered {
    counts: HashMap<Key, (u32, u64)>,
    batch: Option<ReportUseRequest>,
}

impl Gathered {
    /// Whether there was room.
    fn add(&mut self, key: Key, at: u64) -> bool {
        if self.counts.len() >= MOST_GATHERED && !self.counts.contains_key(&key) {
            return false;
        }
        let (count, last_at) = self.counts.entry(key).or_default();
        *count = count.saturating_add(1);
        *last_at = at.max(*last_at);
        true
    }

    fn is_waiting(&self) -> bool {
        self.batch.is_some() || !self.counts.is_empty()
    }

    /// The batch that was tried before, or a new one.
    fn next_batch(&mut self) -> Option<ReportUseRequest> {
        if self.batch.is_none() && !self.counts.is_empty() {
            let keys: Vec<Key> = self.counts.keys().take(MOST_IN_A_BATCH).cloned().collect();
            let uses = keys.into_iter().filter_map(|key| {
                let (count, last_at) = self.counts.remove(&key)?;
                let Key { grant, instance, kind, ended } = key;
                Some(Use {
                    grant_id: grant.to_string(),
                    instance_id: instance.to_string(),
                    kind: kind.into(),
                    result: ended.into(),
                    count,
                    last_at,
                })
            });
            let uses = uses.collect();
            let batch_id = Bytes::copy_from_slice(&random::bytes::<16>());
            self.batch = Some(ReportUseRequest { batch_id, uses });
        }
        self.batch.clone()
    }
}

fn kind(command: &Command) -> Kind {
    match command {
        Command::ListPlayers => Kind::Discovery,
        Command::OnPlayer { action, .. } => match action {
            Action::Read => Kind::Read,
            Action::SetPower(_) => Kind::Power,
            Action::SetVolume(_) | Action::AdjustVolume(_) | Action::SetMute(_) => Kind::Volume,
            Action::Transport(_)
            | Action::SeekTo(_)
            | Action::SeekBy(_)
            | Action::SaveCurrent
            | Action::MoveTo(_)
            | Action::JoinTo(_)
            | Action::Unjoin => Kind::Playback,
            Action::Play { .. } | Action::PlayPreset(_) | Action::PlaySimilar => Kind::PlayMedia,
            Action::SetShuffle(_)
            | Action::SetRepeat(_)
            | Action::SetAutoplay(_)
            | Action::SetSleepTimer(_)
            | Action::UseHere
            | Action::ForgetHere => Kind::Mode,
        },
    }
}

fn ended(failure: &Failure) -> Ended {
    use not_sent::Reason;
    match failure {
        Failure::HomePaused | Failure::NotSent(Reason::Paused) => Ended::Paused,
        Failure::UsedUp(_) | Failure::NotSent(Reason::RateLimited | Reason::UsedUp) => Ended::OverLimit,
        Failure::Away(_)
        | Failure::NotSent(Reason::NotConnected | Reason::LinkLost | Reason::Draining | Reason::Unlocated) => {
            Ended::Offline
        }
        Failure::Unknown(_) | Failure::TimeUp => Ended::TimedOut,
        Failure::Refused(refusal) => refused(refusal),
        Failure::NotSent(
            Reason::Busy | Reason::Deadline | Reason::Cancelled | Reason::Invalid | Reason::Unspecified,
        )
        | Failure::InvalidDirective(_)
        | Failure::OutOfRange { .. }
        | Failure::NoSuchMode
        | Failure::Token(_)
        | Failure::ScopeMissing
        | Failure::NoSuchEndpoint
        | Failure::NoHome
        | Failure::AccountsAway
        | Failure::BusAway
        | Failure::HomeUntrusted
        | Failure::SessionBroken
        | Failure::UnexpectedReply
        | Failure::SameName(_)
        | Failure::GrantNotAccepted => Ended::Failed,
    }
}

fn refused(refusal: &Refusal) -> Ended {
    match refusal {
        Refusal::VolumeLimited(_) | Refusal::QuietHours(_) | Refusal::Stopped | Refusal::NotGranted => Ended::Refused,
        Refusal::Late | Refusal::OutcomeUnknown => Ended::TimedOut,
        Refusal::Internal => Ended::Failed,
        Refusal::UnknownPlayer
        | Refusal::NoPlayerNamed(_)
        | Refusal::WhichPlayer(_)
        | Refusal::PlayerUnavailable(_)
        | Refusal::MediaNotFound
        | Refusal::MediaNotFoundYet
        | Refusal::NothingToPlay
        | Refusal::NotSupported
        | Refusal::PlayerBusy
        | Refusal::MusicAssistantAway(_)
        | Refusal::MusicAssistantStarting
        | Refusal::MusicAssistantRefusesToken
        | Refusal::MusicAssistantFailed
        | Refusal::Busy
        | Refusal::UnknownCommand
        | Refusal::DidYouMean(_)
        | Refusal::CannotGroup(_)
        | Refusal::UnknownPreset
        | Refusal::NothingPlays => Ended::NotPossible,
    }
}

type Sending<'r> = Pin<Box<dyn Future<Output = bool> + Send + 'r>>;

async fn finished(sending: &mut Option<Sending<'_>>) -> bool {
    match sending {
        Some(sending) => sending.await,
        None => std::future::pending().await,
    }
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// Soon enough for a page that somebody opens after speaking, seldom enough to cost the account service little.
const EVERY: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Nobody waits for it, and a full batch is a thousand lines to write.
const PATIENCE: Duration = Duration::from_secs(5);
/// The queue is emptied at once; this is for a burst while the task does not get its turn.
const MOST_QUEUED: usize = 4096;
/// While the account service is away: some 3 MiB.
const MOST_GATHERED: usize = 20_000;
/// What the account service takes at once.
const MOST_IN_A_BATCH: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u32, ended: Ended) -> Key {
        let bytes: [u8; 16] = std::array::from_fn(|at| if at < 4 { number.to_be_bytes()[at] } else { 0 });
        let (grant, instance) = (GrantId::from_bytes(&[1; 16]), InstanceId::from_bytes(&bytes));
        Key { grant, instance, kind: Kind::Volume, ended }
    }

    #[test]
    fn equal_uses_are_counted_together_and_a_failed_batch_is_sent_again_as_it_was() {
        let mut gathered = Gathered::default();
        for at in [5, 9, 7] {
            assert!(gathered.add(key(1, Ended::Done), at));
        }
        assert!(gathered.add(key(1, Ended::Offline), 1));
        let batch = gathered.next_batch().unwrap();
        let done: Vec<_> = batch.uses.iter().filter(|r#use| r#use.result() == Ended::Done).collect();
        assert_eq!((batch.uses.len(), done[0].count, done[0].last_at), (2, 3, 9));
        assert!(gathered.add(key(1, Ended::Done), 10));
        assert_eq!(gathered.next_batch().unwrap(), batch);
        gathered.batch = None;
        let next = gathered.next_batch().unwrap();
        assert_eq!((next.uses.len(), next.uses[0].count), (1, 1));
        assert_ne!(next.batch_id, batch.batch_id);
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut gathered = Gathered::default();
        for number in 0..MOST_GATHERED as u32 {
            assert!(gathered.add(key(number, Ended::Done), 1));
        }
        assert!(!gathered.add(key(u32::MAX, Ended::Done), 1), "no room for another");
        assert!(gathered.add(key(0, Ended::Done), 1), "but for more of the same");
        assert_eq!(gathered.next_batch().unwrap().uses.len(), MOST_IN_A_BATCH);
    }
}
