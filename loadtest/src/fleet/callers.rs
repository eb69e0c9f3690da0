//! Callers, as the Alexa skill is one: commands over its own bus client, sealed by its own sessions, and each reply checked for
//! being the one to this very command.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use macloud_alexa_skill::dispatch::{self, Bus, BusConfig};
use macloud_e2ee::skill::{self, Session};
use macloud_e2ee::vocabulary::{Action, Command, MediaQuery, Placement, Reply, Scopes, Target};
use macloud_loadtest::sample::Outcome;
use macloud_proto::bus::v1::dispatch::Class;
use macloud_proto::ids::CommandId;
use macloud_proto::time::Millis;
use macloud_service_kit::random;
use macloud_service_kit::stop::Stop;
use tokio::sync::{Mutex, RwLock};
use tokio::time::Instant;
use tonic::transport::Channel;

use super::accounts::Identity;
use super::homes::skill_signer;

/// Callers that share one bus client.
pub(crate) struct Callers {
    bus: Bus,
    homes: Vec<Callee>,
    sealed: bool,
    started: Instant,
    next: AtomicU64,
    /// This run's, in each command's id.
    run: [u8; 8],
    /// The longest that a command may take.
    budget: Duration,
    /// What became of each command, if that is kept.
    ledger: Mutex<Vec<(CommandId, bool)>>,
    keeps_ledger: AtomicBool,
}

/// A home as its callers know it.
struct Callee {
    identity: Identity,
    session: RwLock<Option<Arc<Session>>>,
}

impl Callers {
    /// For the homes of these numbers.
    pub(crate) async fn new(buses: Vec<Channel>, homes: std::ops::Range<u64>, sealed: bool) -> anyhow::Result<Self> {
        let bus = Bus::new(buses, BusConfig::default());
        tokio::spawn({
            let bus = bus.clone();
            async move { bus.run(Stop::new()).await }
        });
        let callee = |number| Callee { identity: Identity::new(number), session: RwLock::default() };
        let callers = Self {
            bus,
            homes: homes.map(callee).collect(),
            sealed,
            started: Instant::now(),
            next: AtomicU64::new(1),
            run: random::bytes(),
            budget: BusConfig::default().budget,
            ledger: Mutex::default(),
            keeps_ledger: AtomicBool::new(false),
        };
        for _ in 0..400 {
            if callers.bus.streams() > 0 {
                return Ok(callers);
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        anyhow::bail!("no relay opens a stream of the command bus")
    }

    /// Make the sealed sessions with all homes, so that no command pays for it later.
    pub(crate) async fn warm_up(&self) -> anyhow::Result<()> {
        for home in 0..self.homes.len() {
            let mut outcome = Outcome::Done;
            for _ in 0..50 {
                outcome = self.call(home, Bytes::from_static(&[0; 1024])).await;
                if outcome == Outcome::Done {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            anyhow::ensure!(outcome == Outcome::Done, "home {home} does not answer: {outcome:?}");
        }
        Ok(())
    }

    /// From now on keep whether each command may have been executed.
    pub(crate) fn keep_ledger(&self) {
        self.keeps_ledger.store(true, Ordering::Relaxed);
    }

    /// Each command, and whether its answer says that nothing was sent.
    pub(crate) async fn take_ledger(&self) -> Vec<(CommandId, bool)> {
        std::mem::take(&mut *self.ledger.lock().await)
    }

    /// One command, and its answer within the time that a caller has.
    pub(crate) async fn call(&self, home: usize, payload: Bytes) -> Outcome {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let id = self.command_id(number);
        let callee = &self.homes[home];
        let outcome = if self.sealed {
            self.sealed_call(callee, id, number, payload.len()).await
        } else {
            match self.send(callee, id, payload.clone()).await {
                Ok(reply) if reply == payload => Outcome::Done,
                Ok(_) => Outcome::Wrong("the reply to something else".into()),
                Err(outcome) => outcome,
            }
        };
        if self.keeps_ledger.load(Ordering::Relaxed) {
            self.ledger.lock().await.push((id, matches!(outcome, Outcome::Refused(_))));
        }
        outcome
    }

    async fn sealed_call(&self, callee: &Callee, id: CommandId, number: u64, bytes: usize) -> Outcome {
        let session = match self.session(callee).await {
            Ok(session) => session,
            Err(outcome) => return outcome,
        };
        let name = format!("player {number}");
        let command = command(&name, bytes);
        let scopes = Scopes { read: true, control: true };
        let (sealed, opener) = match session.seal(id, &command, scopes, self.budget, self.now()) {
            Ok(sealed) => sealed,
            Err(error) => return Outcome::Wrong(error.to_string()),
        };
        let reply = match self.send(callee, id, sealed.into()).await {
            Ok(reply) => reply,
            Err(outcome) => return outcome,
        };
        match opener.open(&reply, self.now()) {
            Ok(skill::Answer::Reply(Reply::Done { player, .. })) if player.name == name => Outcome::Done,
            Ok(skill::Answer::Reply(other)) => Outcome::Wrong(format!("{other:?}")),
            Ok(skill::Answer::SetUpAgain { .. }) => {
                *callee.session.write().await = None;
                Outcome::Refused("set up again".into())
            }
            Ok(skill::Answer::KeyUnknown) => Outcome::Refused("the key is not known".into()),
            Err(error) => Outcome::Wrong(error.to_string()),
        }
    }

    async fn session(&self, callee: &Callee) -> Result<Arc<Session>, Outcome> {
        if let Some(session) = &*callee.session.read().await {
            return Ok(session.clone());
        }
        let mut place = callee.session.write().await;
        if let Some(session) = &*place {
            return Ok(session.clone());
        }
        let instance = &callee.identity.instance;
        let answer = self.bus.fetch_pre_key(instance, false, Instant::now() + self.budget).await;
        let pre_key = match answer.map_err(|error| Outcome::Refused(format!("{error:?}")))?.outcome {
            dispatch::Outcome::PreKey(pre_key) => pre_key,
            other => return Err(told(other)),
        };
        let key = callee.identity.key();
        let made = Session::establish(instance, key.public(), &pre_key, &skill_signer(), self.now(), &mut random::fill);
        let session = Arc::new(made.map_err(|error| Outcome::Wrong(error.to_string()))?);
        *place = Some(session.clone());
        Ok(session)
    }

    async fn send(&self, callee: &Callee, id: CommandId, sealed: Bytes) -> Result<Bytes, Outcome> {
        let deadline = Instant::now() + self.budget;
        let answer = self.bus.dispatch(&callee.identity.instance, id, Class::Command, sealed, deadline).await;
        if Instant::now() > deadline + GRACE {
            return Err(Outcome::Wrong("answered after its deadline".into()));
        }
        match answer {
            Ok(answer) => match answer.outcome {
                dispatch::Outcome::Delivered(reply) => Ok(reply),
                other => Err(told(other)),
            },
            Err(_) => Err(Outcome::Refused("no stream of the bus is open".into())),
        }
    }

    /// Unlike those of any other run.
    fn command_id(&self, number: u64) -> CommandId {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&number.to_be_bytes());
        id[8..].copy_from_slice(&self.run);
        CommandId::from_bytes(id)
    }

    fn now(&self) -> Millis {
        Millis(self.started.elapsed().as_millis() as u64)
    }
}

fn told(outcome: dispatch::Outcome) -> Outcome {
    match outcome {
        dispatch::Outcome::NotSent(reason) => Outcome::Refused(reason.as_str_name().to_ascii_lowercase()),
        dispatch::Outcome::Unknown(reason) => Outcome::Unknown(reason.as_str_name().to_ascii_lowercase()),
        other => Outcome::Wrong(format!("{other:?}")),
    }
}

/// "Play …" on the player of that name, of about that many bytes before it is padded.
fn command(player: &str, bytes: usize) -> Command {
    let text = "t".repeat((bytes / 3).min(240));
    let media = MediaQuery { text: text.clone(), artist: Some(text), ..MediaQuery::default() };
    let action = Action::Play { media, placement: Placement::Replace };
    Command::OnPlayer { target: Target::Named(player.into()), action, device: None }
}

/// The bus may answer a little later than it promises, in case the relay is silent at the deadline.
const GRACE: Duration = Duration::from_millis(500);
