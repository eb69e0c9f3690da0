//! The skill: it commands all the while, and looks what became of it at both ends.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use macloud_e2ee::skill::{Answer, Session};
use macloud_e2ee::vocabulary::{Action, Command, Percent, Refusal, Reply, Scopes, Target};
use macloud_proto::ids::CommandId;
use macloud_proto::link::frame;
use macloud_proto::time::Millis;
use macloud_service_kit::random;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

use super::mischief::Dice;
use super::world::{Order, World};
use crate::cloud::instance;

/// As long as Alexa waits, about.
const REMAINING: Duration = Duration::from_secs(5);

/// When there is no trouble, an answer comes before its deadline, or says that there is none.
const ANSWERED_WITHIN: Duration = Duration::from_secs(7);

/// As long after trouble as the relay may still believe in a session that is dead.
const CALM: Duration = Duration::from_secs(120);

const PLAYERS: [(&str, &str); 2] = [("Kitchen", "up000420000001"), ("Bedroom", "up000420000003")];

/// What became of the commands.
#[derive(Debug, Default)]
pub struct Tally {
    pub done: u64,
    pub refused: HashMap<String, u64>,
    pub set_up_again: u64,
    pub silent: u64,
    pub retried: u64,
}

pub struct Commander {
    world: Arc<World>,
    dice: Dice,
    skill: Option<(u64, Session)>,
    next: u64,
    /// What was asked for last with a player and a level, and how often Music Assistant has heard of it.
    asked: HashMap<(String, i64), Asked>,
    pub tally: Tally,
}

struct Asked {
    id: CommandId,
    heard: u32,
}

enum Outcome {
    Done,
    Refused,
    /// Not carried out: another session is needed.
    Again,
    /// Nobody there, or no answer.
    Silent,
}

impl Commander {
    pub fn new(world: Arc<World>, seed: u64) -> Self {
        let tally = Tally::default();
        Self { world, dice: Dice::new(seed ^ 0xC0), skill: None, next: 0, asked: HashMap::new(), tally }
    }

    pub async fn command_for_ever(&mut self) {
        loop {
            sleep(Duration::from_millis(self.dice.between(2_000, 40_000))).await;
            // Now and then several at once, as a group of scenes does.
            for _ in 0..self.dice.between(1, 3) {
                self.command().await;
            }
        }
    }

    /// When nothing is in the way, a command is carried out.
    pub async fn works(&mut self) {
        for _ in 0..3 {
            match self.command().await {
                Outcome::Done => return,
                // A home that does not know the skill's key asks for newer ones once a minute.
                Outcome::Again => sleep(Duration::from_secs(61)).await,
                Outcome::Refused | Outcome::Silent => panic!("nothing is in the way, but: {:?}", self.tally),
            }
        }
        panic!("no session could be set up: {:?}", self.tally);
    }

    async fn command(&mut self) -> Outcome {
        let Some(relayed) = self.world.session() else { return Outcome::Silent };
        if !self.has_skill().await {
            return Outcome::Silent;
        }
        let Some((_, session)) = &self.skill else { return Outcome::Silent };
        self.next += 1;
        let (name, player) = PLAYERS[(self.next % 2) as usize];
        let level = (self.next / 2 % 101) as i64;
        let id = CommandId::from_bytes(random::bytes());
        let target = Target::Named(name.into());
        let action = Action::SetVolume(Percent::clamped(level));
        let command = Command::OnPlayer { target, action, device: None };
        let scopes = Scopes { read: true, control: true };
        let Ok((sealed, opener)) = session.seal(id, &command, scopes, REMAINING, self.now()) else {
            self.skill = None;
            return Outcome::Again;
        };
        let sealed = Bytes::from(sealed);
        self.asked.insert((player.into(), level), Asked { id, heard: 0 });
        let mut replies = self.world.expect(id);
        let home = self.world.home();
        let sent = Instant::now();
        let mut sends = u64::from(self.send(id, &sealed));
        let mut reply = timeout(ANSWERED_WITHIN, replies.recv()).await.ok().flatten();
        if reply.is_none() {
            let same = self.world.session().is_some_and(|session| session.epoch == relayed.epoch);
            assert!(
                !same || self.world.calm_for() < CALM + sent.elapsed(),
                "a command of a session that nothing happened to has no answer",
            );
            // The relay's caller does this itself, with the same bytes, while they are worth anything.
            let other = async |world: &World| {
                while world.session().is_none_or(|session| session.epoch == relayed.epoch) {
                    sleep(Duration::from_millis(100)).await;
                }
            };
            if timeout(Duration::from_secs(20), other(&self.world)).await.is_ok() {
                self.tally.retried += 1;
                sends += u64::from(self.send(id, &sealed));
                reply = timeout(ANSWERED_WITHIN, replies.recv()).await.ok().flatten();
            }
        }
        let mut received = u64::from(reply.is_some());
        while replies.try_recv().is_ok() {
            received += 1;
        }
        assert!(received <= sends, "{received} answers to {sends} sendings");
        self.world.expect_no_more(id);
        let same_home = Arc::ptr_eq(&home, &self.world.home());
        self.look_what_was_heard();
        let Some(reply) = reply else {
            self.tally.silent += 1;
            return Outcome::Silent;
        };
        match opener.open(&reply, self.now()).expect("the answer is authentic") {
            Answer::Reply(Reply::Done { .. }) => {
                self.tally.done += 1;
                let heard = self.asked.get(&(player.into(), level)).map_or(0, |asked| asked.heard);
                assert!(heard == 1 || !same_home, "done, but Music Assistant has heard of it {heard} times");
                Outcome::Done
            }
            Answer::Reply(Reply::Refused(refusal)) => {
                *self.tally.refused.entry(format!("{refusal:?}")).or_default() += 1;
                assert_ne!(refusal, Refusal::NotGranted);
                Outcome::Refused
            }
            Answer::Reply(other) => panic!("{other:?}"),
            Answer::SetUpAgain { .. } | Answer::KeyUnknown => {
                self.tally.set_up_again += 1;
                self.skill = None;
                Outcome::Again
            }
        }
    }

    fn send(&self, id: CommandId, sealed: &Bytes) -> bool {
        let Some(session) = self.world.session() else { return false };
        let (sealed, traceparent) = (sealed.clone(), String::new());
        let command = frame::Command { command_id: id, remaining: REMAINING, sealed, traceparent };
        session.say.try_send(Order::Command(command)).is_ok()
    }

    /// Whether there is a sealed session to seal with.
    async fn has_skill(&mut self) -> bool {
        let (version, signer) = self.world.signer();
        let over = |(with, session): &(u64, Session)| *with != version || session.is_over(self.now());
        if self.skill.as_ref().is_none_or(over) {
            self.skill = None;
            let Some(relayed) = self.world.session() else { return false };
            let (tell, told) = oneshot::channel();
            if relayed.say.try_send(Order::PreKey(tell)).is_err() {
                return false;
            }
            let Ok(Ok(pre_key)) = timeout(Duration::from_secs(5), told).await else { return false };
            let identity = self.world.identity();
            let session =
                Session::establish(&instance(), &identity, &pre_key, &signer, self.now(), &mut random::fill).unwrap();
            self.skill = Some((version, session));
        }
        true
    }

    /// Nothing is carried out twice.
    fn look_what_was_heard(&mut self) {
        for heard in self.world.home().take_heard() {
            if heard.command != "players/cmd/volume_set" {
                continue;
            }
            let player = heard.args["player_id"].as_str().unwrap().to_owned();
            let level = heard.args["volume_level"].as_i64().unwrap();
            let Some(asked) = self.asked.get_mut(&(player, level)) else { panic!("nobody asked for {level}") };
            asked.heard += 1;
            assert!(asked.heard <= 1, "command {} was carried out twice", asked.id);
        }
    }

    fn now(&self) -> Millis {
        Millis(self.world.monotonic())
    }
}
