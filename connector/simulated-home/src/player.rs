//! Players: what they can do, what they are doing, and how Music Assistant shows them.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::catalog::Catalog;
use crate::queue::Queue;
use crate::timing::Timing;

/// A player to put into a home.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlayerConfig {
    /// Its id: opaque to clients. Queue and player share it.
    pub id: String,
    /// What people call it. Names need not differ.
    pub name: String,
    /// 0 to 100 at the start.
    #[serde(default = "default_volume")]
    pub volume: i64,
    /// Whether it can be switched on and off. Without, "off" only stops the music and it stays `powered`.
    #[serde(default)]
    pub power: bool,
    /// Whether it can be muted. Without, muting succeeds and does nothing.
    #[serde(default)]
    pub mute: bool,
    /// `false` for a player that is not there yet.
    #[serde(default = "yes")]
    pub available: bool,
    /// A wrapper whose output is not loaded: looks available, and everything fails.
    #[serde(default)]
    pub degraded: bool,
}

fn default_volume() -> i64 {
    20
}

fn yes() -> bool {
    true
}

impl PlayerConfig {
    /// A player with volume but neither power nor mute control, like most that Music Assistant has.
    #[must_use]
    pub fn new(id: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            name: name.into(),
            volume: default_volume(),
            power: false,
            mute: false,
            available: true,
            degraded: false,
        }
    }

    /// With power control.
    #[must_use]
    pub fn with_power(mut self) -> Self {
        self.power = true;
        self
    }

    /// With mute control.
    #[must_use]
    pub fn with_mute(mut self) -> Self {
        self.mute = true;
        self
    }

    /// So many players, with volume and mute, in numbered rooms.
    #[must_use]
    pub fn many(count: usize) -> Vec<Self> {
        (1..=count).map(|room| Self::new(format!("up0004{room:08x}"), format!("Room {room}")).with_mute()).collect()
    }

    /// The three players of the default home: Kitchen (volume only), Living Room (and mute), Bedroom (and power).
    #[must_use]
    pub fn defaults() -> Vec<Self> {
        vec![
            Self::new("up000420000001", "Kitchen"),
            Self::new("up000420000002", "Living Room").with_mute(),
            Self::new("up000420000003", "Bedroom").with_mute().with_power(),
        ]
    }
}

/// What a player is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Playback {
    /// Nothing, or stopped.
    Idle,
    /// Stopped so that it can go on.
    Paused,
    /// Making sound.
    Playing,
}

impl Playback {
    /// The word of Music Assistant's `playback_state`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Paused => "paused",
            Self::Playing => "playing",
        }
    }
}

/// Whether a player is a speaker or a permanent group of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Role {
    Speaker,
    SyncGroup { members: Vec<String> },
}

/// A player of the simulated home, with its queue.
#[derive(Debug, Clone)]
pub(crate) struct Player {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) number: usize,
    pub(crate) role: Role,
    pub(crate) available: bool,
    pub(crate) degraded: bool,
    pub(crate) has_power: bool,
    pub(crate) has_mute: bool,
    pub(crate) powered: bool,
    pub(crate) volume: i64,
    pub(crate) muted: bool,
    pub(crate) playback: Playback,
    /// What the latest command wants it to do; `playback` follows a moment later.
    pub(crate) intended: Playback,
    /// Out of the wall: it does not come back by itself.
    pub(crate) unplugged: bool,
    /// Itself first, then its followers; empty while it leads nobody.
    pub(crate) group_members: Vec<String>,
    pub(crate) synced_to: Option<String>,
    /// Whether an output has been in use: features change with it.
    pub(crate) output_used: bool,
    /// Number of the latest command that steers playback; effects of earlier ones are void.
    pub(crate) orders: u64,
    /// Number of the stream that was started last.
    pub(crate) streams: u64,
    /// Until then a track is being loaded.
    loading_until: f64,
    /// So many attempts to move within it fail meanwhile: one after "next", two, half a second apart, where the music began.
    loading_refusals: u8,
    /// Until then it plays without saying what: the queue's current item goes missing while a stream starts.
    pub(crate) untold_until: f64,
    /// It has just come (back) and does not know its volume yet.
    pub(crate) volume_forgotten: bool,
    /// When it takes the next command.
    pub(crate) free_at: f64,
    pub(crate) queue: Queue,
}

impl Player {
    pub(crate) fn new(config: &PlayerConfig, number: usize, now: f64) -> Self {
        Self {
            id: config.id.clone(),
            name: config.name.clone(),
            number,
            role: Role::Speaker,
            available: config.available,
            degraded: config.degraded,
            has_power: config.power,
            has_mute: config.mute,
            powered: true,
            volume: config.volume,
            muted: false,
            playback: Playback::Idle,
            intended: Playback::Idle,
            unplugged: !config.available,
            group_members: Vec::new(),
            synced_to: None,
            output_used: false,
            orders: 0,
            streams: 0,
            loading_until: 0.0,
            loading_refusals: 0,
            untold_until: 0.0,
            volume_forgotten: false,
            free_at: 0.0,
            queue: Queue::new(now),
        }
    }

    /// Whether its output works: an unavailable or degraded player shows no features and no controls.
    pub(crate) fn works(&self) -> bool {
        self.available && !self.degraded
    }

    pub(crate) fn is_speaker(&self) -> bool {
        self.role == Role::Speaker
    }

    pub(crate) fn load_until(&mut self, until: f64, refusals: u8) {
        (self.loading_until, self.loading_refusals) = (until, refusals);
    }

    /// Whether it refuses to move within what it plays because that is being loaded. Each time counts.
    pub(crate) fn refuses_while_loading(&mut self, now: f64) -> bool {
        let refuses = now < self.loading_until && self.loading_refusals > 0;
        self.loading_refusals -= u8::from(refuses);
        refuses
    }

    /// Whether it says what it plays.
    pub(crate) fn tells(&self, now: f64) -> bool {
        self.playback != Playback::Playing || now >= self.untold_until
    }

    /// What it says its volume is.
    pub(crate) fn shown_volume(&self) -> i64 {
        if self.volume_forgotten { Timing::FORGOTTEN_VOLUME } else { self.volume }
    }

    fn members(&self) -> &[String] {
        if self.is_speaker() { &self.group_members } else { self.static_members() }
    }

    /// Those of a permanent group.
    fn static_members(&self) -> &[String] {
        match &self.role {
            Role::Speaker => &[],
            Role::SyncGroup { members } => members,
        }
    }

    fn mac(&self) -> String {
        format!("00:04:20:00:{:02x}:{:02x}", self.number / 256, self.number % 256)
    }

    fn ip_address(&self) -> String {
        format!("192.168.77.{}", 10 + self.number % 200)
    }

    fn features(&self) -> Vec<&'static str> {
        if !self.is_speaker() {
            let of_leader = self.is_active_group().then_some(["volume_set", "gapless_playback", "enqueue"]);
            return of_leader.into_iter().flatten().chain(["play_media"]).collect();
        }
        if !self.works() {
            return Vec::new();
        }
        let mut features = Vec::new();
        if self.output_used {
            features.extend(["pause", "enqueue", "multi_device_dsp", "gapless_playback"]);
        }
        features.extend(["set_members", "volume_set"]);
        features.extend(self.has_mute.then_some("volume_mute"));
        features.extend(self.has_power.then_some("power"));
        features
    }

    fn device_info(&self) -> Value {
        if !self.is_speaker() {
            return json!({
                "model": "Sync Group Player", "manufacturer": "Music Assistant", "software_version": null, "model_id": null,
                "manufacturer_id": null, "identifiers": {}, "mac_address": null, "ip_address": null,
            });
        }
        json!({
            "model": "SqueezeLite",
            "manufacturer": "squeezeplay",
            "software_version": null,
            "model_id": null,
            "manufacturer_id": null,
            "identifiers": {"ip_address": self.ip_address(), "mac_address": self.mac()},
            "mac_address": self.mac(),
            "ip_address": self.ip_address(),
        })
    }

    fn output_protocols(&self) -> Value {
        if self.is_speaker() {
            json!([{
                "output_protocol_id": self.mac(), "name": "Squeezelite", "protocol_domain": "squeezelite",
                "is_native": false, "priority": 20, "available": self.works(),
            }])
        } else {
            json!([{
                "output_protocol_id": "native", "name": "Sync Group Player", "protocol_domain": "sync_group",
                "is_native": true, "priority": 0, "available": true,
            }])
        }
    }

    fn control(&self, present: bool) -> Value {
        if present && self.works() && self.is_speaker() { json!(self.mac()) } else { json!("none") }
    }

    /// A permanent group that plays has its leader's features and volume control, and still no level of its own.
    fn volume_control(&self) -> Value {
        if self.is_active_group() { json!("native") } else { self.control(true) }
    }

    fn is_active_group(&self) -> bool {
        !self.is_speaker() && self.playback != Playback::Idle
    }
}

/// What a player's object also shows of others: its leader, its followers, its permanent group.
pub(crate) struct Surroundings<'a> {
    /// The player whose queue is heard here: itself or its leader.
    pub(crate) source: &'a Player,
    /// With whom it could play in step.
    pub(crate) can_group_with: Vec<String>,
    pub(crate) group_volume: i64,
    pub(crate) active_group: Option<String>,
}

/// The object of `players/get`, `players/all` and the player events.
pub(crate) fn render(player: &Player, around: &Surroundings<'_>, catalog: &Catalog, now: f64) -> Value {
    let source = around.source;
    let state = source.playback.name();
    let running = source.playback != Playback::Idle;
    let speaker = player.is_speaker();
    let shows_volume = speaker && player.works();
    let mut value = json!({
        "player_id": player.id,
        "provider": if speaker { "universal_player" } else { "sync_group" },
        "type": if speaker { "player" } else { "group" },
        "name": player.name,
        "available": player.available,
        "device_info": player.device_info(),
        "supported_features": player.features(),
        "playback_state": state,
        "elapsed_time": running.then(|| round_millis(source.queue.position(source.playback, now))),
        "elapsed_time_last_updated": running.then_some(now),
        "powered": player.powered,
        "volume_level": shows_volume.then_some(player.shown_volume()),
        "volume_muted": (shows_volume && player.has_mute).then_some(player.muted),
        "group_members": player.members(),
        "static_group_members": player.static_members(),
        "can_group_with": around.can_group_with,
        "synced_to": player.synced_to,
        "active_sound_mode": null,
        "sound_mode_list": [],
        "options": [],
        "active_source": source.id,
        "source_list": [{
            "id": player.id, "name": "Music Assistant Queue", "passive": false,
            "can_play_pause": true, "can_seek": true, "can_next_previous": true,
        }],
        "active_group": around.active_group,
        "current_media": if source.tells(now) {
            source.queue.current_media(&source.id, source.playback, catalog, now)
        } else {
            Value::Null
        },
    });
    extend(&mut value, player, around, state);
    value
}

/// The rest of the object; in two parts because `json!` has a depth limit.
fn extend(value: &mut Value, player: &Player, around: &Surroundings<'_>, state: &str) {
    let speaker = player.is_speaker();
    let rest = json!({
        "enabled": true,
        "hide_in_ui": false,
        "expose_to_ha": true,
        "icon": if speaker { "mdi-speaker" } else { "mdi-speaker-multiple" },
        "group_volume": around.group_volume,
        "extra_attributes": {},
        "power_control": if player.has_power && player.works() { "native" } else { "none" },
        "volume_control": player.volume_control(),
        "mute_control": player.control(player.has_mute),
        "output_protocols": player.output_protocols(),
        "active_output_protocol": (player.output_used && speaker).then(|| player.mac()),
        "display_name": player.name,
        "state": state,
        "group_childs": player.members(),
        "extra_data": {},
        "hide_player_in_ui": ["when_unavailable", "when_synced", "when_group_active"],
    });
    if let (Value::Object(value), Value::Object(rest)) = (value, rest) {
        value.extend(rest);
    }
}

fn round_millis(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}
