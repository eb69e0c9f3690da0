//! Two ends and nothing between them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use macloud_e2ee::home::{Home, OpenFailure, Opened};
use macloud_e2ee::keys::{KeySetRoot, PinnedKeySet, SkillSigner};
use macloud_e2ee::skill::{ReplyOpener, Session};
use macloud_e2ee::vocabulary::{
    Action, Capabilities, Command, Item, Percent, Playback, Player, PlayerKind, PlayerState, Scopes, Target,
};
use macloud_proto::ids::{CommandId, InstanceId, PlayerKey};
use macloud_proto::jose::SigningKey;
use macloud_proto::random::Random;
use macloud_proto::time::Millis;
use ring::digest::{SHA256, digest};

/// Randomness from a seed: the blocks SHA-256(seed ‖ counter), counter from 0 in 8 bytes, big-endian; a call takes whole
/// blocks and drops what it does not need of the last.
pub(crate) struct Seeded {
    pub(crate) seed: u8,
    pub(crate) counter: u64,
}

impl Random for Seeded {
    fn fill(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(32) {
            let mut block = vec![self.seed];
            block.extend_from_slice(&self.counter.to_be_bytes());
            self.counter += 1;
            chunk.copy_from_slice(&digest(&SHA256, &block).as_ref()[..chunk.len()]);
        }
    }
}

/// A skill and a home, with clocks that have nothing to do with each other.
pub(crate) struct Ends {
    pub(crate) instance: InstanceId,
    pub(crate) identity: Arc<SigningKey>,
    pub(crate) root: KeySetRoot,
    pub(crate) signer: SkillSigner,
    pub(crate) home: Home,
    pub(crate) random: Seeded,
    /// Milliseconds since the start; each end's clock shows this and more.
    pub(crate) elapsed: u64,
}

pub(crate) const HOME_CLOCK: u64 = 5_000_000;
pub(crate) const SKILL_CLOCK: u64 = 70_000;
pub(crate) const BOTH: Scopes = Scopes { read: true, control: true };
pub(crate) const SIX_SECONDS: Duration = Duration::from_secs(6);

impl Ends {
    pub(crate) fn new() -> Self {
        Self::seeded(1)
    }

    pub(crate) fn seeded(seed: u8) -> Self {
        let mut random = Seeded { seed, counter: 0 };
        let instance = InstanceId::from_bytes(&[seed; 16]);
        let identity = Arc::new(SigningKey::from_seed(&[seed.wrapping_add(100); 32]));
        let root = KeySetRoot::from_seed(&[2; 32]);
        let signer = SkillSigner::from_seed(&[3; 32]);
        let set = root.sign_key_set(1, &[signer.public_key(0)]).unwrap();
        let pinned = PinnedKeySet::pin(&set).unwrap();
        let home = Home::new(instance.clone(), Arc::clone(&identity), pinned, Millis(HOME_CLOCK), &mut random);
        Self { instance, identity, root, signer, home, random, elapsed: 0 }
    }

    /// The home's program starts again: same identity and pinned keys, nothing else kept, a clock of its own.
    pub(crate) fn restart_home(&mut self) {
        let pinned = self.home.skill_keys().clone();
        let now = self.home_now();
        self.home = Home::new(self.instance.clone(), Arc::clone(&self.identity), pinned, now, &mut self.random);
    }

    pub(crate) const fn home_now(&self) -> Millis {
        Millis(HOME_CLOCK + self.elapsed)
    }

    pub(crate) const fn skill_now(&self) -> Millis {
        Millis(SKILL_CLOCK + self.elapsed)
    }

    pub(crate) const fn wait(&mut self, duration: Duration) {
        self.elapsed += duration.as_millis() as u64;
    }

    pub(crate) fn pre_key(&mut self) -> Vec<u8> {
        let now = self.home_now();
        self.home.signed_pre_key(now, &mut self.random)
    }

    pub(crate) fn establish(&mut self) -> Session {
        let pre_key = self.pre_key();
        self.establish_to(&pre_key)
    }

    pub(crate) fn establish_to(&mut self, pre_key: &[u8]) -> Session {
        let now = self.skill_now();
        let identity = self.identity.public();
        Session::establish(&self.instance, identity, pre_key, &self.signer, now, &mut self.random).unwrap()
    }

    pub(crate) fn seal(&self, session: &Session, id: u8) -> (Vec<u8>, ReplyOpener) {
        session.seal(command_id(id), &pause(), BOTH, SIX_SECONDS, self.skill_now()).unwrap()
    }

    pub(crate) fn open(&mut self, id: u8, sealed: &[u8]) -> Result<Opened, OpenFailure> {
        let now = self.home_now();
        self.home.open(command_id(id), sealed, now, &mut self.random)
    }

    /// One command there and its reply back, so that the session is confirmed.
    pub(crate) fn confirm(&mut self, session: &Session) {
        let (sealed, opener) = self.seal(session, 250);
        let opened = self.open(250, &sealed).unwrap();
        let reply = opened.reply.seal(&done(), self.home_now());
        opener.open(&reply, self.skill_now()).unwrap();
    }
}

pub(crate) const fn command_id(id: u8) -> CommandId {
    CommandId::from_bytes([id; 16])
}

pub(crate) fn pause() -> Command {
    on_kitchen(Action::Transport(macloud_e2ee::vocabulary::Transport::Pause))
}

pub(crate) fn on_kitchen(action: Action) -> Command {
    Command::OnPlayer { target: Target::Key(PlayerKey::from_bytes(&[7; 15])), action, device: None }
}

pub(crate) fn kitchen() -> Player {
    Player {
        key: PlayerKey::from_bytes(&[7; 15]),
        name: "Kitchen".into(),
        kind: PlayerKind::Speaker,
        manufacturer: Some("Example".into()),
        model: None,
        can: Capabilities { volume: true, mute: true, ..Capabilities::default() },
        state: PlayerState {
            available: true,
            powered: true,
            volume: Percent::new(35),
            muted: Some(false),
            playback: Playback::Paused,
            now_playing: Some(Item {
                title: "So What".into(),
                artist: Some("Miles Davis".into()),
                album: Some("Kind of Blue".into()),
                kind: Some(macloud_e2ee::vocabulary::MediaKind::Track),
            }),
            ..PlayerState::default()
        },
    }
}

pub(crate) fn done() -> macloud_e2ee::vocabulary::Reply {
    macloud_e2ee::vocabulary::Reply::Done {
        player: kitchen(),
        found: None,
        learned: false,
        other: None,
        used_here: false,
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2), "hex comes in pairs");
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// A file of this crate.
pub(crate) fn vectors(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(name)
}

/// A file of the shared test vectors, where a folder `shared` stands beside the project (or beside its worktrees).
pub(crate) fn shared_vectors(name: &str) -> Option<String> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    beside.ancestors().find_map(|folder| std::fs::read_to_string(folder.join("shared/vectors").join(name)).ok())
}
