//! A home: the real sealed sessions, and players that do as they are told.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use macloud_e2ee::event::{EventLabel, Moment};
use macloud_e2ee::home::Home;
use macloud_e2ee::keys::{KeySetRoot, PinnedKeySet, SkillSigner};
use macloud_e2ee::vocabulary::*;
use macloud_proto::bus::v1::HomeEvent;
use macloud_proto::ids::{CommandId, InstanceId, PlayerKey, PresetKey};
use macloud_proto::jose::SigningKey;
use macloud_proto::time::Millis;
use macloud_proto::trial;
use macloud_service_kit::random;

use super::player;

pub const SKILL_SEED: [u8; 32] = [0x51; 32];

pub struct FakeHome {
    pub instance: InstanceId,
    number: u8,
    identity: Mutex<Arc<SigningKey>>,
    state: Mutex<State>,
}

struct State {
    home: Home,
    players: Vec<Player>,
    presets: Vec<Preset>,
    /// What was answered before, as a connector remembers it.
    answered: HashMap<CommandId, Vec<u8>>,
    /// Answered instead of being carried out.
    refusals: VecDeque<Refusal>,
    replies: VecDeque<Reply>,
    carried_out: Vec<(Command, Scopes)>,
    /// Commands that granted nothing.
    trials: u32,
    now: u64,
}

impl FakeHome {
    pub fn new(number: u8) -> Arc<Self> {
        let identity = Arc::new(SigningKey::from_seed(&[number; 32]));
        let instance = super::instance(number);
        let state = State {
            home: sealed_home(&instance, &identity, 0),
            players: vec![some_player(player(number, 1), "Kitchen"), some_player(player(number, 2), "Bathroom")],
            presets: Vec::new(),
            answered: HashMap::new(),
            refusals: VecDeque::new(),
            replies: VecDeque::new(),
            carried_out: Vec::new(),
            trials: 0,
            now: 1,
        };
        Arc::new(Self { instance, number, identity: Mutex::new(identity), state: Mutex::new(state) })
    }

    pub fn identity(&self) -> [u8; 32] {
        *self.identity.lock().unwrap().public()
    }

    pub fn signed_pre_key(&self) -> Vec<u8> {
        let mut state = self.state.lock().unwrap();
        let now = Millis(state.now);
        state.home.signed_pre_key(now, &mut |out: &mut [u8]| random::fill(out))
    }

    /// The statement that this home wants to be tried.
    pub fn asks_for_a_trial(&self, unix_seconds: u64) -> String {
        trial::ask(&self.identity.lock().unwrap(), &self.instance, unix_seconds)
    }

    /// How often it was.
    pub fn trials(&self) -> u32 {
        self.state.lock().unwrap().trials
    }

    /// What a connector does with a command. `None` where it answers nothing.
    pub fn receive(&self, command_id: CommandId, sealed: &[u8]) -> Option<Vec<u8>> {
        let mut state = self.state.lock().unwrap();
        if let Some(answer) = state.answered.get(&command_id) {
            return Some(answer.clone());
        }
        state.now += 1;
        let now = Millis(state.now);
        let opened = match state.home.open(command_id, sealed, now, &mut |out: &mut [u8]| random::fill(out)) {
            Ok(opened) => opened,
            Err(failure) => return failure.answer,
        };
        let command = opened.command.unwrap();
        assert!(!opened.remaining.is_zero(), "the skill sends nothing late");
        if opened.scopes == Scopes::NONE {
            state.trials += 1;
            let refusal = state.refusals.pop_front().unwrap_or(Refusal::NotGranted);
            return Some(opened.reply.seal(&Reply::Refused(refusal), now));
        }
        assert!(opened.scopes.cover(&command), "the skill sends nothing that was not granted");
        let reply = state.answer(&command);
        state.carried_out.push((command, opened.scopes));
        let sealed = opened.reply.seal(&reply, now);
        state.answered.insert(command_id, sealed.clone());
        Some(sealed)
    }

    /// What the home tells of a player as it is now, under this id, as the relay hands it over.
    pub fn tell(&self, number: u8, id: u8, unix_seconds: u64) -> HomeEvent {
        let Player { key: player, can, state: is, .. } = self.player(number);
        let key = self.state.lock().unwrap().home.event_key(&player);
        self.event(&News::Player { key: player, can, state: is }, key, id, unix_seconds)
    }

    /// What the home tells of which players and favourites it has now, and which it had.
    pub fn tell_players(&self, gone: &[PlayerKey], gone_presets: &[PresetKey], id: u8, unix_seconds: u64) -> HomeEvent {
        let (players, presets, key) = {
            let state = self.state.lock().unwrap();
            (state.players.clone(), state.presets.clone(), state.home.event_key_of_players())
        };
        let news = News::Players { players, presets, gone: gone.to_vec(), gone_presets: gone_presets.to_vec() };
        self.event(&news, key, id, unix_seconds)
    }

    fn event(&self, news: &News, key: [u8; 16], id: u8, unix_seconds: u64) -> HomeEvent {
        let mut state = self.state.lock().unwrap();
        state.now += 1;
        let moment = Moment { now: Millis(state.now), unix_millis: unix_seconds * 1000 + state.now };
        let event_id = [id; 16];
        let label = EventLabel { event_id: &event_id, key: &key };
        let sealed = state.home.seal_event(&label, news, moment, &mut |out: &mut [u8]| random::fill(out)).unwrap();
        HomeEvent {
            mark: format!("mark-{id}"),
            instance_id: self.instance.to_string(),
            event_id: event_id.to_vec().into(),
            key: key.to_vec().into(),
            sealed: sealed.into(),
            waited_ms: 5,
        }
    }

    /// All sessions, the pre-key and the memory of answers are gone; the players are not.
    pub fn restart(&self) {
        let mut state = self.state.lock().unwrap();
        state.home = sealed_home(&self.instance, &self.identity.lock().unwrap(), state.now);
        state.answered.clear();
    }

    /// As after setting up anew: another identity key under the same instance.
    pub fn change_identity(&self, seed: u8) {
        *self.identity.lock().unwrap() = Arc::new(SigningKey::from_seed(&[seed; 32]));
        self.restart();
    }

    pub fn refuse_next(&self, refusal: Refusal) {
        self.state.lock().unwrap().refusals.push_back(refusal);
    }

    pub fn reply_next(&self, reply: Reply) {
        self.state.lock().unwrap().replies.push_back(reply);
    }

    pub fn change_players(&self, change: impl FnOnce(&mut Vec<Player>)) {
        change(&mut self.state.lock().unwrap().players);
    }

    /// The home has a favourite playlist of this name.
    pub fn add_preset(&self, name: &str) -> PresetKey {
        let key = some_preset(name);
        let preset = Preset { key: key.clone(), name: name.into(), kind: MediaKind::Playlist };
        self.state.lock().unwrap().presets.push(preset);
        key
    }

    pub fn remove_preset(&self, key: &PresetKey) {
        self.state.lock().unwrap().presets.retain(|preset| preset.key != *key);
    }

    pub fn player(&self, number: u8) -> Player {
        let key = player(self.number, number);
        self.state.lock().unwrap().players.iter().find(|player| player.key == key).cloned().unwrap()
    }

    pub fn carried_out(&self) -> Vec<Command> {
        self.state.lock().unwrap().carried_out.iter().map(|(command, _)| command.clone()).collect()
    }

    /// The commands that changed something.
    pub fn changes(&self) -> Vec<Action> {
        let on_player = |command| match command {
            Command::OnPlayer { action, .. } if action.is_control() => Some(action),
            _ => None,
        };
        self.carried_out().into_iter().filter_map(on_player).collect()
    }
}

fn sealed_home(instance: &InstanceId, identity: &Arc<SigningKey>, now: u64) -> Home {
    let signer = SkillSigner::from_seed(&SKILL_SEED);
    let keys = [signer.public_key(0), signer.event_key(0)];
    let signed = KeySetRoot::from_seed(&[0x99; 32]).sign_key_set(1, &keys).unwrap();
    let pinned = PinnedKeySet::pin(&signed).unwrap();
    let mut random = |out: &mut [u8]| random::fill(out);
    Home::new(instance.clone(), Arc::clone(identity), pinned, Millis(now), &mut random)
}

pub fn some_player(key: PlayerKey, name: &str) -> Player {
    Player {
        key,
        name: name.into(),
        kind: PlayerKind::Speaker,
        manufacturer: Some("Sonos".into()),
        model: Some("One".into()),
        can: Capabilities {
            power: true,
            volume: true,
            mute: true,
            order: true,
            seek: true,
            autoplay: true,
            group: false,
            sleep: true,
            steps: false,
        },
        state: PlayerState {
            available: true,
            powered: true,
            volume: Percent::new(30),
            muted: Some(false),
            playback: Playback::Stopped,
            shuffle: Some(false),
            repeat: Some(Repeat::Off),
            autoplay: Some(false),
            ..PlayerState::default()
        },
    }
}

pub fn some_preset(name: &str) -> PresetKey {
    PresetKey::derive("server", "playlist", name)
}

impl State {
    fn answer(&mut self, command: &Command) -> Reply {
        if let Some(refusal) = self.refusals.pop_front() {
            return Reply::Refused(refusal);
        }
        if let Some(reply) = self.replies.pop_front() {
            return reply;
        }
        let Command::OnPlayer { target, action, .. } = command else {
            return Reply::Players { players: self.players.clone(), presets: self.presets.clone(), locale: None };
        };
        let found = self.players.iter().position(|player| match target {
            Target::Key(key) => player.key == *key,
            Target::Named(name) => player.name.eq_ignore_ascii_case(name),
            Target::Unnamed => true,
        });
        let Some(at) = found else {
            let names = self.players.iter().map(|player| player.name.clone()).collect();
            return Reply::Refused(match target {
                Target::Named(_) => Refusal::NoPlayerNamed(names),
                _ => Refusal::UnknownPlayer,
            });
        };
        if let Action::PlayPreset(key) = action
            && !self.presets.iter().any(|preset| preset.key == *key)
        {
            return Reply::Refused(Refusal::UnknownPreset);
        }
        let player = &mut self.players[at];
        let found = act(&mut player.state, action);
        Reply::Done { player: player.clone(), found, learned: false, other: None, used_here: false }
    }
}

fn act(state: &mut PlayerState, action: &Action) -> Option<Item> {
    match action {
        Action::Read => {}
        Action::SetPower(on) => state.powered = *on,
        Action::SetVolume(level) => state.volume = Some(*level),
        Action::AdjustVolume(by) => {
            let level = i64::from(state.volume.map_or(0, Percent::value)) + i64::from(*by);
            state.volume = Some(Percent::clamped(level));
        }
        Action::SetMute(mute) => state.muted = Some(*mute),
        Action::SetShuffle(on) => state.shuffle = Some(*on),
        Action::SetRepeat(repeat) => state.repeat = Some(*repeat),
        Action::SeekTo(seconds) => state.position = Some(*seconds),
        Action::SeekBy(by) => state.position = Some(state.position.unwrap_or(0).saturating_add_signed(*by)),
        Action::SetAutoplay(on) => state.autoplay = Some(*on),
        Action::SetSleepTimer(minutes) => state.sleep_timer = *minutes,
        Action::PlayPreset(preset) => {
            state.playback = Playback::Playing;
            state.preset = Some(preset.clone());
        }
        Action::Transport(Transport::Pause) => state.playback = Playback::Paused,
        Action::Transport(Transport::Stop) => state.playback = Playback::Stopped,
        Action::Transport(_) => state.playback = Playback::Playing,
        Action::Play { media, .. } => {
            let item = Item { title: media.text.clone(), artist: media.artist.clone(), album: None, kind: media.kind };
            state.playback = Playback::Playing;
            state.now_playing = Some(item.clone());
            return Some(item);
        }
        _ => {}
    }
    None
}
