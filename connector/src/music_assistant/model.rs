//! Players, queues and media as Music Assistant describes them, reduced to what the connector uses.

use serde_json::Value;

use macloud_e2ee::vocabulary::{MediaKind, Repeat};

use super::fields::Fields;

/// What a player is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlayerType {
    /// One speaker.
    Player,
    /// Two as one.
    StereoPair,
    /// A permanent group.
    Group,
    /// The inside of another player, a display, or something newer: not for voice.
    Other,
}

/// What a player or queue does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Activity {
    /// It plays.
    Playing,
    /// It is paused.
    Paused,
    /// It is stopped, idle, or in a state that is not known here.
    #[default]
    Idle,
}

impl Activity {
    fn of(fields: Fields<'_>) -> Self {
        match fields.text(&["playback_state", "state"]).as_deref() {
            Some("playing") => Self::Playing,
            Some("paused") => Self::Paused,
            _ => Self::Idle,
        }
    }
}

/// A player.
#[derive(Debug, Clone, PartialEq)]
pub struct Player {
    /// Music Assistant's id of it.
    pub id: String,
    /// The provider that it comes from: others name it where they can play together with all of its players.
    pub provider: Option<String>,
    /// Its name. Not unique.
    pub name: String,
    /// What it is.
    pub kind: PlayerType,
    /// Music Assistant can reach it.
    pub available: bool,
    /// Its owner has not switched it off, hidden it, or kept it from other systems.
    pub shown: bool,
    /// What it does.
    pub activity: Activity,
    /// On, where it says so.
    pub powered: Option<bool>,
    /// Level, where it has one.
    pub volume: Option<u8>,
    /// Level of the whole group that this player leads, where there is one.
    pub group_volume: Option<u8>,
    /// Muted, where it says so.
    pub muted: Option<bool>,
    /// Real power control.
    pub power_control: bool,
    /// Volume control.
    pub volume_control: bool,
    /// Real mute control.
    pub mute_control: bool,
    /// Players grouped with it, where it leads.
    pub members: Vec<String>,
    /// Players that belong to this permanent group even while it is idle, where it says so.
    pub static_members: Vec<String>,
    /// Players, or providers of players, that can follow it. Changes at run time: one that follows lists nobody.
    pub can_group_with: Vec<String>,
    /// The player that it follows.
    pub synced_to: Option<String>,
    /// The group player that it plays for.
    pub active_group: Option<String>,
    /// What it takes its sound from: a queue's id, or an input of its own.
    pub active_source: Option<String>,
    /// It speaks an announcement, and Music Assistant ignores queue commands with success meanwhile.
    pub announcing: bool,
    /// Maker, where known.
    pub manufacturer: Option<String>,
    /// Model, where known.
    pub model: Option<String>,
    /// What is playing or paused.
    pub media: Option<Media>,
}

impl Player {
    /// Read one. `None` when it has no id.
    #[must_use]
    pub fn read(value: &Value) -> Option<Self> {
        let fields = Fields(value);
        let id = fields.some_text(&["player_id"])?;
        let device = fields.inside(&["device_info"]);
        let controls = |name: &str| fields.some_text(&[name]).is_some_and(|control| control != "none");
        let extra = fields.inside(&["extra_attributes", "extra_data"]);
        Some(Self {
            provider: fields.some_text(&["provider"]),
            name: fields.some_text(&["name", "display_name"]).unwrap_or_else(|| id.clone()),
            kind: match fields.text(&["type"]).as_deref() {
                Some("player") => PlayerType::Player,
                Some("stereo_pair") => PlayerType::StereoPair,
                Some("group") => PlayerType::Group,
                _ => PlayerType::Other,
            },
            available: fields.flag(&["available"]).unwrap_or(true),
            shown: fields.flag(&["enabled"]).unwrap_or(true)
                && !fields.flag(&["hide_in_ui"]).unwrap_or(false)
                && fields.flag(&["expose_to_ha"]).unwrap_or(true),
            activity: Activity::of(fields),
            powered: fields.flag(&["powered"]),
            volume: fields.percent(&["volume_level"]),
            group_volume: fields.percent(&["group_volume"]),
            muted: fields.flag(&["volume_muted"]),
            power_control: controls("power_control"),
            volume_control: controls("volume_control"),
            mute_control: controls("mute_control"),
            members: fields.texts(&["group_members", "group_childs"]),
            static_members: fields.texts(&["static_group_members"]),
            can_group_with: fields.texts(&["can_group_with"]),
            synced_to: fields.some_text(&["synced_to"]),
            active_group: fields.some_text(&["active_group"]),
            active_source: fields.some_text(&["active_source"]),
            announcing: extra.flag(&["announcement_in_progress"]).unwrap_or(false),
            manufacturer: device.some_text(&["manufacturer"]),
            model: device.some_text(&["model"]),
            media: fields.any(&["current_media"]).and_then(Media::read),
            id,
        })
    }

    /// Whether people may speak to it.
    #[must_use]
    pub fn is_exposed(&self) -> bool {
        self.shown && self.kind != PlayerType::Other
    }

    /// Whether `other` can follow it.
    #[must_use]
    pub fn takes(&self, other: &Self) -> bool {
        self.can_group_with.iter().any(|with| *with == other.id || Some(with) == other.provider.as_ref())
    }

    /// Whether its volume is that of its members together. A group that plays has the control of its leader, without a level of
    /// its own.
    #[must_use]
    pub fn has_group_volume(&self) -> bool {
        self.kind == PlayerType::Group && (!self.volume_control || self.volume.is_none())
    }

    /// Its level, or that of its members together.
    #[must_use]
    pub fn level(&self) -> Option<u8> {
        if self.has_group_volume() { self.group_volume } else { self.volume }
    }
}

/// A queue.
#[derive(Debug, Clone, PartialEq)]
pub struct Queue {
    /// Its id: that of the player it belongs to.
    pub id: String,
    /// How many items it has.
    pub items: u64,
    /// What it does.
    pub activity: Activity,
    /// The id of the current item, to notice a change of it.
    pub current: Option<String>,
    /// What is current.
    pub media: Option<Media>,
    /// Whether it is shuffled.
    pub shuffle: Option<bool>,
    /// What it repeats.
    pub repeat: Option<Repeat>,
    /// Whether it goes on with similar music at its end, and what the server calls that.
    pub autoplay: Option<(Autoplay, bool)>,
    /// How long the current item is, in seconds. Nothing for what has no end, such as radio.
    pub duration: Option<f64>,
    /// How far it was, in seconds, and when that was by the server's clock, in seconds since 1970.
    pub elapsed: Option<(f64, f64)>,
    /// How fast it plays: 1 but for spoken words.
    pub speed: f64,
    /// What was put into it last, in words for people, where that is more than single tracks.
    pub source: Option<String>,
}

/// The two names of going on with similar music: a server says in its queues which one it knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Autoplay {
    /// "Don't stop the music": servers before 2.10.
    DontStopTheMusic,
    /// "Autoplay".
    Autoplay,
}

impl Queue {
    /// Read one. `None` when it has no id.
    #[must_use]
    pub fn read(value: &Value) -> Option<Self> {
        let fields = Fields(value);
        let current = fields.inside(&["current_item"]);
        Some(Self {
            id: fields.some_text(&["queue_id"])?,
            items: fields.number(&["items"]).map_or(0, |items| items.max(0.0) as u64),
            activity: Activity::of(fields),
            current: current.text(&["queue_item_id"]),
            media: current.any(&["media_item"]).and_then(Media::read).or_else(|| Media::read(current.0)),
            shuffle: fields.flag(&["shuffle_enabled"]),
            repeat: fields.text(&["repeat_mode"]).and_then(|mode| repeat(&mode)),
            autoplay: fields
                .flag(&["autoplay_enabled"])
                .map(|on| (Autoplay::Autoplay, on))
                .or_else(|| Some((Autoplay::DontStopTheMusic, fields.flag(&["dont_stop_the_music_enabled"])?))),
            duration: current.number(&["duration"]).filter(|seconds| *seconds > 0.0),
            elapsed: fields.number(&["elapsed_time"]).zip(fields.number(&["elapsed_time_last_updated"])),
            source: fields.inside(&["extra_attributes"]).some_text(&["active_playlist"]),
            speed: fields.number(&["playback_speed"]).filter(|speed| (0.1..=10.0).contains(speed)).unwrap_or(1.0),
        })
    }
}

/// Something to listen to: playing, queued or found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// Where Music Assistant finds it. Not durable: use it at once.
    pub uri: Option<String>,
    /// Its title.
    pub title: String,
    /// A different recording or edition ("Live", "Deluxe"), as the provider calls it.
    pub version: Option<String>,
    /// Its artists, joined for speech.
    pub artist: Option<String>,
    /// Its album.
    pub album: Option<String>,
    /// What it is.
    pub kind: Option<MediaKind>,
    /// Marked as a favourite.
    pub favorite: bool,
    /// Can be played now.
    pub playable: bool,
}

impl Media {
    /// Read one. `None` when it has no title.
    #[must_use]
    pub fn read(value: &Value) -> Option<Self> {
        let fields = Fields(value);
        let artists: Vec<String> =
            fields.list(&["artists"]).iter().filter_map(|artist| Fields(artist).some_text(&["name"])).collect();
        let mappings = fields.list(&["provider_mappings"]);
        let reachable =
            mappings.is_empty() || mappings.iter().any(|mapping| Fields(mapping).flag(&["available"]).unwrap_or(true));
        Some(Self {
            uri: fields.some_text(&["uri"]),
            title: fields.some_text(&["name", "title"])?,
            version: fields.some_text(&["version"]),
            // Audiobooks have authors.
            artist: match (artists.as_slice(), fields.texts(&["authors"])) {
                ([], authors) if authors.is_empty() => fields.some_text(&["artist"]),
                ([], authors) => Some(authors.join(", ")),
                (artists, _) => Some(artists.join(", ")),
            },
            album: fields.some_text(&["album"]).or_else(|| fields.inside(&["album"]).some_text(&["name"])),
            kind: match fields.text(&["media_type"]).as_deref() {
                Some("track") => Some(MediaKind::Track),
                Some("album") => Some(MediaKind::Album),
                Some("artist") => Some(MediaKind::Artist),
                Some("playlist") => Some(MediaKind::Playlist),
                Some("radio") => Some(MediaKind::Radio),
                Some("genre") => Some(MediaKind::Genre),
                Some("audiobook") => Some(MediaKind::Audiobook),
                Some("podcast") => Some(MediaKind::Podcast),
                _ => None,
            },
            favorite: fields.flag(&["favorite"]).unwrap_or(false),
            playable: reachable && fields.flag(&["is_playable"]).unwrap_or(true),
        })
    }
}

/// Also "unknown", which a server says when it was once told nonsense.
fn repeat(mode: &str) -> Option<Repeat> {
    match mode {
        "off" => Some(Repeat::Off),
        "one" => Some(Repeat::One),
        "all" => Some(Repeat::All),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn both_names_of_a_renamed_field_are_read() {
        let old = Player::read(&json!({"player_id": "a", "state": "playing", "group_childs": ["a", "b"]})).unwrap();
        let new = Player::read(&json!({"player_id": "a", "playback_state": "playing", "group_members": ["a", "b"]}));
        assert_eq!(Some(old), new);
    }

    #[test]
    fn the_level_of_a_group_without_one_of_its_own_is_that_of_its_members() {
        let level = |control: &str, own: Option<u8>| {
            let group = json!({"player_id": "g", "type": "group", "volume_control": control, "volume_level": own,
                "group_volume": 40});
            Player::read(&group).unwrap().level()
        };
        assert_eq!(level("none", None), Some(40), "idle");
        assert_eq!(level("native", None), Some(40), "it plays, and the control is its leader's");
        assert_eq!(level("native", Some(25)), Some(25), "a group of the speakers' maker");
    }

    #[test]
    fn a_queue_says_which_name_its_server_has_for_autoplay() {
        let autoplay = |extra: Value| {
            let mut queue = json!({"queue_id": "a"});
            queue.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            Queue::read(&queue).unwrap().autoplay
        };
        assert_eq!(autoplay(json!({})), None);
        let old = Some((Autoplay::DontStopTheMusic, true));
        assert_eq!(autoplay(json!({"dont_stop_the_music_enabled": true})), old);
        let both = json!({"dont_stop_the_music_enabled": true, "autoplay_enabled": false});
        assert_eq!(autoplay(both), Some((Autoplay::Autoplay, false)));
    }

    #[test]
    fn an_author_is_the_artist_of_a_book() {
        let book = json!({"name": "Momo", "media_type": "audiobook", "authors": ["Michael Ende"]});
        let book = Media::read(&book).unwrap();
        assert_eq!((book.artist.as_deref(), book.kind), (Some("Michael Ende"), Some(MediaKind::Audiobook)));
    }

    #[test]
    fn nulls_and_strange_values_read_as_absent() {
        let player = Player::read(&json!({
            "player_id": "a", "name": null, "type": "hologram", "volume_level": "loud", "powered": 3,
            "playback_state": "dreaming", "group_members": null, "device_info": [], "current_media": {"title": null},
        }))
        .unwrap();
        assert_eq!((player.name.as_str(), player.volume, player.powered), ("a", None, None));
        assert_eq!((player.kind, player.activity, player.media.clone()), (PlayerType::Other, Activity::Idle, None));
        assert!(!player.is_exposed());
    }

    #[test]
    fn levels_outside_the_scale_are_brought_in() {
        let level = |value: Value| Player::read(&json!({"player_id": "a", "volume_level": value})).unwrap().volume;
        assert_eq!(level(json!(-5)), Some(0));
        assert_eq!(level(json!(150)), Some(100));
        assert_eq!(level(json!(40.6)), Some(41));
    }

    #[test]
    fn hidden_disabled_and_inner_players_are_not_exposed() {
        let exposed = |extra: Value| {
            let mut value = json!({"player_id": "a", "type": "player"});
            value.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            Player::read(&value).unwrap().is_exposed()
        };
        assert!(exposed(json!({})));
        assert!(exposed(json!({"type": "group"})));
        assert!(!exposed(json!({"type": "protocol"})));
        assert!(!exposed(json!({"enabled": false})));
        assert!(!exposed(json!({"hide_in_ui": true})));
        assert!(!exposed(json!({"expose_to_ha": false})));
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,20}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 6, |inner| {
            let key = prop_oneof![
                Just("player_id"),
                Just("queue_id"),
                Just("name"),
                Just("uri"),
                Just("artists"),
                Just("album"),
                Just("current_media"),
                Just("current_item"),
                Just("media_item"),
                Just("volume_level"),
                Just("items"),
                Just("device_info"),
                Just("provider_mappings"),
                Just("type"),
                Just("state"),
            ];
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::hash_map(key.prop_map(String::from), inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_json_is_read_without_panic(value in any_json()) {
            let _ = Player::read(&value);
            let _ = Queue::read(&value);
            let _ = Media::read(&value);
        }
    }
}
