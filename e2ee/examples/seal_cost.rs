//! What sealing costs: medians over many rounds, on one core.
//!
//! `cargo run --release -p macloud-e2ee --example seal_cost`
#![expect(clippy::print_stdout, reason = "printing is what this program is for")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use macloud_e2ee::home::Home;
use macloud_e2ee::keys::{KeySetRoot, PinnedKeySet, SkillSigner};
use macloud_e2ee::skill::Session;
use macloud_e2ee::vocabulary::{
    Action, Capabilities, Command, Percent, Playback, Player, PlayerKind, PlayerState, Reply, Scopes, Target, Transport,
};
use macloud_proto::ids::{CommandId, InstanceId, PlayerKey};
use macloud_proto::jose::SigningKey;
use macloud_proto::time::Millis;
use ring::rand::{SecureRandom as _, SystemRandom};

const ROUNDS: usize = 2000;

fn main() {
    let mut random = |out: &mut [u8]| SystemRandom::new().fill(out).expect("the system has randomness");
    let instance = InstanceId::from_bytes(&[1; 16]);
    let identity = Arc::new(SigningKey::from_seed(&[2; 32]));
    let signer = SkillSigner::from_seed(&[3; 32]);
    let set = KeySetRoot::from_seed(&[4; 32]).sign_key_set(1, &[signer.public_key(0)]).expect("one key is a set");
    let pinned = PinnedKeySet::pin(&set).expect("it was just signed");
    let now = Millis(0);
    let mut costs = Costs::default();
    let make = |random: &mut dyn macloud_proto::random::Random| {
        Home::new(instance.clone(), Arc::clone(&identity), pinned.clone(), now, random)
    };
    let mut home = make(&mut random);
    let id = CommandId::from_bytes([5; 16]);
    let scopes = Scopes { read: true, control: true };
    let remaining = Duration::from_secs(6);
    let key = PlayerKey::from_bytes(&[7; 15]);
    let command = Command::OnPlayer {
        target: Target::Key(key.clone()),
        action: Action::Transport(Transport::Pause),
        device: None,
    };
    let reply = Reply::Done { player: player(key), found: None, learned: false, other: None, used_here: false };

    // A home's day has room for so many sessions.
    for _ in 0..400 {
        costs.time("home: new pre-key pair (daily)", || make(&mut random));
        let pre_key = costs.time("home: sign a pre-key", || home.signed_pre_key(now, &mut random));
        let session = costs
            .time("skill: establish a session", || {
                Session::establish(&instance, identity.public(), &pre_key, &signer, now, &mut random)
            })
            .expect("the pre-key is true");
        let (sealed, _) = costs
            .time("skill: seal a first command", || session.seal(id, &command, scopes, remaining, now))
            .expect("the session is new");
        costs
            .time("home: accept a setup and open its command", || home.open(id, &sealed, now, &mut random))
            .expect("the command is true");
    }

    let session = {
        let pre_key = home.signed_pre_key(now, &mut random);
        Session::establish(&instance, identity.public(), &pre_key, &signer, now, &mut random)
            .expect("the pre-key is true")
    };
    let (sealed, opener) = session.seal(id, &command, scopes, remaining, now).expect("the session is new");
    let opened = home.open(id, &sealed, now, &mut random).expect("the command is true");
    opener.open(&opened.reply.seal(&reply, now), now).expect("the reply is true");
    for _ in 0..ROUNDS {
        let started = Instant::now();
        let (sealed, opener) = costs
            .time("skill: seal a command", || session.seal(id, &command, scopes, remaining, now))
            .expect("the session has room");
        let opened =
            costs.time("home: open a command", || home.open(id, &sealed, now, &mut random)).expect("it is true");
        let sealed = costs.time("home: seal a reply", || opened.reply.seal(&reply, now));
        costs.time("skill: open a reply", || opener.open(&sealed, now)).expect("it is true");
        costs.add("all four of a later command", started.elapsed());
    }
    costs.print();
}

fn player(key: PlayerKey) -> Player {
    Player {
        key,
        name: "Kitchen".into(),
        kind: PlayerKind::Speaker,
        manufacturer: None,
        model: None,
        can: Capabilities { volume: true, mute: true, order: true, ..Capabilities::default() },
        state: PlayerState {
            available: true,
            powered: true,
            volume: Percent::new(30),
            muted: Some(false),
            playback: Playback::Paused,
            shuffle: Some(false),
            ..PlayerState::default()
        },
    }
}

/// Times by what they are of, in the order of first use.
#[derive(Default)]
struct Costs(Vec<(&'static str, Vec<Duration>)>);

impl Costs {
    fn time<T>(&mut self, what: &'static str, run: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let made = black_box(run());
        self.add(what, started.elapsed());
        made
    }

    fn add(&mut self, what: &'static str, took: Duration) {
        match self.0.iter_mut().find(|(name, _)| *name == what) {
            Some((_, times)) => times.push(took),
            None => self.0.push((what, vec![took])),
        }
    }

    fn print(mut self) {
        println!("{:>10} {:>10}  (microseconds)", "median", "p99");
        for (what, times) in &mut self.0 {
            times.sort_unstable();
            let at = |part: usize| times[(times.len() - 1) * part / 100].as_nanos() as f64 / 1000.0;
            println!("{:>10.1} {:>10.1}  {what}", at(50), at(99));
        }
    }
}
