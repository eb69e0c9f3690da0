//! One command's passage to a home and back: seal, dispatch, open the reply.
//!
//! Two things are put right on the way, within the same deadline and each once: a link that broke (the same bytes are
//! sent again, which the home carries out once), and a home that has lost its sessions (another is set up with the
//! pre-key that it answers with).

use std::sync::Arc;

use bytes::Bytes;
use macloud_e2ee::skill::{Answer as Opened, ReplyOpener, Session};
use macloud_e2ee::vocabulary::{Action, Command, Placement, Reply, Scopes, Transport};
use macloud_proto::bus::v1::dispatch::Class;
use macloud_proto::bus::v1::{not_sent, unknown};
use macloud_proto::ids::CommandId;
use macloud_proto::time::Millis;
use macloud_service_kit::clock::SharedClock;
use macloud_service_kit::random;
use tokio::time::{Duration, Instant};

use crate::dispatch::{Answer, Bus, Outcome};
use crate::failure::Failure;
use crate::resolve::Home;
use crate::resolve::watch::HomesForgotten as _;
use crate::seal::{PreKeys, Sessions};
use crate::trace::{Passage, Stopwatch};

/// Carries commands to homes.
#[derive(Clone)]
pub struct Carrier {
    /// The sessions to seal in.
    pub sessions: Arc<Sessions>,
    /// The bus to send on.
    pub bus: Bus,
    /// For the homes' judgement of lateness.
    pub clock: SharedClock,
}

/// With less time left, trying again would only be late.
const WORTH_TRYING: Duration = Duration::from_millis(250);

/// Whether an earlier attempt may have been carried out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    NotDone,
    MayBeDone(unknown::Reason),
}

impl Carrier {
    /// Carry `command` to `home`, and its reply back. A refusal is a failure like any other.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn carry(
        &self,
        home: &Home,
        command: &Command,
        scopes: Scopes,
        deadline: Instant,
    ) -> (Result<Reply, Failure>, Passage) {
        let mut passage = Passage::new(home.instance.clone(), CommandId::from_bytes(random::bytes()));
        let result = match self.pass(home, command, scopes, deadline, &mut passage).await {
            Ok(Reply::Refused(refusal)) => Err(Failure::Refused(refusal)),
            result => result,
        };
        (result, passage)
    }

    async fn pass(
        &self,
        home: &Home,
        command: &Command,
        scopes: Scopes,
        deadline: Instant,
        passage: &mut Passage,
    ) -> Result<Reply, Failure> {
        let mut watch = Stopwatch::start();
        let session = self.sessions.session(home, &FromHome { bus: &self.bus, deadline }).await;
        passage.seal += watch.lap();
        let (mut session, mut is_new) = session?;
        let mut before = Before::NotDone;
        for last in [false, true] {
            passage.sessions_set_up += u32::from(is_new);
            let (sealed, opener) = self.seal(&session, passage.command_id, command, scopes, deadline)?;
            passage.seal += watch.lap();
            let delivered = self.deliver(home, class(command), sealed, deadline, passage, &mut before).await;
            passage.dispatch += watch.lap();
            let opened = self.open(home, opener, &delivered?);
            passage.open += watch.lap();
            match opened? {
                Opened::Reply(reply) => return Ok(reply),
                Opened::SetUpAgain { .. } if last => break,
                Opened::KeyUnknown => return Err(before.unless_done(Failure::SessionBroken)),
                Opened::SetUpAgain { signed_pre_key } => {
                    // The home has restarted and does not know any more what it has carried out.
                    if let Before::MayBeDone(reason) = before
                        && !is_repeatable(command)
                    {
                        return Err(Failure::Unknown(reason));
                    }
                    (session, is_new) = self.sessions.replace(home, &session, &signed_pre_key).await?;
                }
            }
        }
        Err(Failure::SessionBroken)
    }

    fn seal(
        &self,
        session: &Session,
        command_id: CommandId,
        command: &Command,
        scopes: Scopes,
        deadline: Instant,
    ) -> Result<(Bytes, ReplyOpener), Failure> {
        let remaining = deadline.saturating_duration_since(Instant::now());
        let sealed = session.seal(command_id, command, scopes, remaining, self.now());
        sealed.map(|(sealed, opener)| (sealed.into(), opener)).map_err(|_| Failure::SessionBroken)
    }

    /// The same bytes twice at most: the home opens them once, and answers the second with what it kept.
    async fn deliver(
        &self,
        home: &Home,
        class: Class,
        sealed: Bytes,
        deadline: Instant,
        passage: &mut Passage,
        before: &mut Before,
    ) -> Result<Bytes, Failure> {
        for last in [false, true] {
            passage.sends += 1;
            let sent = self.bus.dispatch(&home.instance, passage.command_id, class, sealed.clone(), deadline).await;
            let Answer { outcome, node, timing, sent_before, .. } =
                sent.map_err(|failure| before.unless_done(failure))?;
            passage.node = node;
            passage.relay = timing.or(passage.relay);
            if sent_before {
                *before = Before::MayBeDone(unknown::Reason::LinkLost);
            }
            if let Outcome::Unknown(reason) = outcome {
                *before = Before::MayBeDone(reason);
            }
            let failure = match outcome {
                Outcome::Delivered(sealed) => return Ok(sealed),
                outcome => failure_of(&outcome),
            };
            if last || !is_worth_another_try(&failure, deadline) {
                return Err(before.unless_done(failure));
            }
        }
        Err(Failure::SessionBroken)
    }

    fn open(&self, home: &Home, opener: ReplyOpener, sealed: &[u8]) -> Result<Opened, Failure> {
        opener.open(sealed, self.now()).map_err(|error| {
            tracing::warn!(instance.id = %home.instance, %error, "cannot open a reply");
            self.sessions.forget(&home.instance);
            // Whatever the home says: it has had the command.
            Failure::Unknown(unknown::Reason::Unspecified)
        })
    }

    fn now(&self) -> Millis {
        Millis(self.clock.monotonic_millis())
    }
}

/// Asks the home itself, over the bus.
struct FromHome<'b> {
    bus: &'b Bus,
    deadline: Instant,
}

impl PreKeys for FromHome<'_> {
    async fn fetch(&self, home: &Home, fresh: bool) -> Result<Bytes, Failure> {
        let mut failure = Failure::SessionBroken;
        for _ in 0..2 {
            match self.bus.fetch_pre_key(&home.instance, fresh, self.deadline).await?.outcome {
                Outcome::PreKey(signed) => return Ok(signed),
                outcome => failure = failure_of(&outcome),
            }
            if !is_worth_another_try(&failure, self.deadline) {
                break;
            }
        }
        Err(failure)
    }
}

impl Before {
    /// "Not connected" on the second try must not hide that the first may have worked.
    fn unless_done(self, failure: Failure) -> Failure {
        match self {
            Self::NotDone => failure,
            Self::MayBeDone(reason) => Failure::Unknown(reason),
        }
    }
}

fn failure_of(outcome: &Outcome) -> Failure {
    match outcome {
        // The relay has heard of it a moment earlier than this process.
        Outcome::NotSent(not_sent::Reason::Paused) => Failure::HomePaused,
        Outcome::NotSent(reason) => Failure::NotSent(*reason),
        Outcome::Away(away) => Failure::Away(*away),
        Outcome::UsedUp(used_up) => Failure::UsedUp(*used_up),
        Outcome::Unknown(reason) => Failure::Unknown(*reason),
        Outcome::Delivered(_) | Outcome::PreKey(_) => Failure::SessionBroken,
    }
}

fn is_worth_another_try(failure: &Failure, deadline: Instant) -> bool {
    let may_help = match failure {
        Failure::NotSent(reason) => matches!(reason, not_sent::Reason::LinkLost | not_sent::Reason::Draining),
        // A deadline that has passed leaves no time, whatever the clock here says.
        Failure::Unknown(reason) => *reason != unknown::Reason::Deadline,
        _ => false,
    };
    may_help && deadline.saturating_duration_since(Instant::now()) > WORTH_TRYING
}

/// Whether it counts against the home's plan: looking never does.
const fn class(command: &Command) -> Class {
    match command {
        Command::ListPlayers | Command::OnPlayer { action: Action::Read, .. } => Class::Read,
        Command::OnPlayer { .. } => Class::Command,
    }
}

/// Whether carrying it out twice leaves the home as carrying it out once does.
const fn is_repeatable(command: &Command) -> bool {
    match command {
        Command::ListPlayers => true,
        Command::OnPlayer { action, .. } => match action {
            Action::Read
            | Action::SetPower(_)
            | Action::SetVolume(_)
            | Action::SetMute(_)
            | Action::SetShuffle(_)
            | Action::SetRepeat(_)
            | Action::SeekTo(_)
            | Action::SetAutoplay(_)
            | Action::SetSleepTimer(_)
            | Action::PlayPreset(_)
            | Action::SaveCurrent
            | Action::JoinTo(_)
            | Action::Unjoin
            | Action::UseHere
            | Action::ForgetHere => true,
            Action::AdjustVolume(_) | Action::SeekBy(_) => false,
            // Like what has just been started; from where nothing plays any more.
            Action::PlaySimilar | Action::MoveTo(_) => false,
            Action::Transport(transport) => match transport {
                Transport::Play | Transport::Pause | Transport::Stop | Transport::StartOver => true,
                Transport::Next | Transport::Previous | Transport::FastForward | Transport::Rewind => false,
            },
            Action::Play { placement, .. } => matches!(placement, Placement::Replace),
        },
    }
}
