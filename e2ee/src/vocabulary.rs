//! The vocabulary between the two ends: what can be asked of a home, and what a home can answer.
//!
//! Every type here can only hold what is meaningful, so that neither end has to validate twice. The wire form is
//! `macloud.home.v1` (`proto/macloud/home/v1/home.proto`), padded and sealed; see [`crate`].

use std::time::Duration;

use macloud_proto::ids::{PlayerKey, PresetKey};

/// Longest text that a person said or a home named, in characters; longer input is cut at a character border.
pub const MAX_TEXT_CHARS: usize = 256;

/// Most players in one answer: Alexa takes at most 300 endpoints per customer.
pub const MAX_PLAYERS: usize = 300;

/// Most favourites in one answer: more than anybody remembers by name.
pub const MAX_PRESETS: usize = 40;

/// Most players, and most favourites, that one event says are gone.
pub const MAX_GONE: usize = 64;

/// Longest time that a sleep timer is set to, in minutes: half a day.
pub const MAX_SLEEP_MINUTES: u16 = 720;

/// `text` as it may cross between the ends: without control characters and those that change a text's direction or hide
/// in it, cut at [`MAX_TEXT_CHARS`]. Both ends apply it to whatever they send and receive, so that a player's name can
/// neither forge a line in a log nor dress up as another.
#[must_use]
pub fn clean_text(text: &str) -> String {
    // Nearly all of them are: they are taken as they are. Without a way out of the middle, many bytes are looked at together.
    if text.len() <= MAX_TEXT_CHARS && text.bytes().fold(true, |plain, byte| plain & matches!(byte, b' '..=b'~')) {
        return text.to_owned();
    }
    text.chars().filter(|c| !is_unwelcome(*c)).take(MAX_TEXT_CHARS).collect()
}

fn is_unwelcome(c: char) -> bool {
    // Zero-width joiners (U+200C, U+200D) stay: Persian words and many emoji need them.
    c.is_control()
        || matches!(
            c,
            '\u{200b}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// An authentic command that this version does not understand: it comes from a newer caller. To be answered with
/// [`Refusal::UnknownCommand`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the command is not known to this version")]
pub struct UnknownCommand;

/// What is asked of a home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// All players that the owner exposes, with their state. Needs the read scope.
    ListPlayers,
    /// Something on one player. [`Action::Read`] needs the read scope, everything else the control scope.
    OnPlayer {
        /// Which player.
        target: Target,
        /// What to do there.
        action: Action,
        /// The voice device that the person speaks to. `None` where nobody spoke to one that is known.
        device: Option<DeviceKey>,
    },
}

/// A voice device, as homes know it: what its maker calls it, hashed with a key that only the caller has, for each account
/// another. To be told from others, and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeviceKey([u8; 16]);

impl DeviceKey {
    /// From the first 16 bytes of the keyed hash.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// Which player is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Exactly this one, as an endpoint that was discovered.
    Key(PlayerKey),
    /// The one that a person named aloud; the home matches the name.
    Named(String),
    /// None was named: the one that this device is used with, else the one that plays, else the one that played last, else the
    /// only one.
    Unnamed,
}

/// What can be done on a player.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Report the state and what is playing.
    Read,
    /// On (resume what was queued, where a player has no power control) or off (stop, likewise).
    SetPower(bool),
    /// To this level.
    SetVolume(Percent),
    /// By this much, -100 to 100; the result is clamped to 0 to 100.
    AdjustVolume(i8),
    /// Mute or unmute.
    SetMute(bool),
    /// Playback control.
    Transport(Transport),
    /// Find something and play it.
    Play {
        /// What to find.
        media: MediaQuery,
        /// Where in the queue it goes.
        placement: Placement,
    },
    /// Play the queue in random order, or in its own.
    SetShuffle(bool),
    /// What to play again.
    SetRepeat(Repeat),
    /// To so many seconds from the beginning of what plays, or to its end.
    SeekTo(u32),
    /// By so many seconds, within what plays.
    SeekBy(i32),
    /// Go on with similar music when the queue ends, or fall silent.
    SetAutoplay(bool),
    /// Stop in so many minutes, 1 to [`MAX_SLEEP_MINUTES`]; `None`: not any more.
    SetSleepTimer(Option<u16>),
    /// Play this favourite, instead of what was queued.
    PlayPreset(PresetKey),
    /// Go on with music like that which plays.
    PlaySimilar,
    /// Make what plays a favourite.
    SaveCurrent,
    /// Let the music go on there, and stop here. Unnamed, the other is the player that the device is used with.
    MoveTo(Target),
    /// Play along with that one.
    JoinTo(Target),
    /// Play alone again.
    Unjoin,
    /// The device is used with this player from now on.
    UseHere,
    /// The device is used with no player in particular any more.
    ForgetHere,
}

impl Action {
    /// Whether this changes anything in the home, and so needs the control scope.
    #[must_use]
    pub const fn is_control(&self) -> bool {
        !matches!(self, Self::Read)
    }
}

/// Playback control.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Resume the queue.
    Play,
    /// Pause.
    Pause,
    /// Stop.
    Stop,
    /// Next item.
    Next,
    /// Previous item.
    Previous,
    /// The current item from its beginning.
    StartOver,
    /// Ten seconds on.
    FastForward,
    /// Ten seconds back.
    Rewind,
}

/// What a queue plays again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// Nothing.
    Off,
    /// The current item.
    One,
    /// The whole queue.
    All,
}

/// What to search for, as far as the person said it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MediaQuery {
    /// The name of it, or all that was said.
    pub text: String,
    /// "by …".
    pub artist: Option<String>,
    /// "the album …".
    pub kind: Option<MediaKind>,
    /// The person was asked, and said yes: [`Refusal::DidYouMean`] is no answer to this.
    pub sure: bool,
}

/// Kinds of media.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MediaKind {
    /// A track.
    Track,
    /// An album.
    Album,
    /// An artist.
    Artist,
    /// A playlist.
    Playlist,
    /// A radio station.
    Radio,
    /// Music of a genre.
    Genre,
    /// An audiobook.
    Audiobook,
    /// A podcast.
    Podcast,
}

/// Where newly found media goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// Now, instead of what was queued.
    Replace,
    /// After the current item.
    Next,
    /// At the end.
    Add,
}

/// A whole number from 0 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent(u8);

impl Percent {
    /// Silence.
    pub const ZERO: Self = Self(0);

    /// `value` if it is 0 to 100.
    #[must_use]
    pub const fn new(value: u8) -> Option<Self> {
        if value <= 100 { Some(Self(value)) } else { None }
    }

    /// The nearest percent.
    #[must_use]
    pub fn clamped(value: i64) -> Self {
        Self(value.clamp(0, 100) as u8)
    }

    /// The number.
    #[must_use]
    pub const fn value(self) -> u8 {
        self.0
    }
}

/// A minute of the day, by the clock of the home.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MinuteOfDay(u16);

impl MinuteOfDay {
    /// So many minutes after midnight, if that is less than a day.
    #[must_use]
    pub const fn new(minutes: u16) -> Option<Self> {
        if minutes < 24 * 60 { Some(Self(minutes)) } else { None }
    }

    /// Since midnight.
    #[must_use]
    pub const fn minutes(self) -> u16 {
        self.0
    }

    /// 0 to 23, and 0 to 59.
    #[must_use]
    pub const fn hour_and_minute(self) -> (u16, u16) {
        (self.0 / 60, self.0 % 60)
    }
}

/// What a home answers.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "made once per command and taken apart at once; never kept in numbers")]
pub enum Reply {
    /// To [`Command::ListPlayers`].
    Players {
        /// All players that the owner exposes.
        players: Vec<Player>,
        /// The home's favourites, by name. At most [`MAX_PRESETS`].
        presets: Vec<Preset>,
        /// The owner's language (BCP 47), where known.
        locale: Option<String>,
    },
    /// To [`Command::OnPlayer`]: done, and this is how the player is now (for changes: as was asked for, where Music
    /// Assistant has not confirmed it yet).
    Done {
        /// The player it was done on.
        player: Player,
        /// For [`Action::Play`] and whatever else plays or keeps something: what that is.
        found: Option<Item>,
        /// The person named this player to a device that had none: it is the one that the device is used with from now on.
        learned: bool,
        /// For [`Action::MoveTo`] and [`Action::JoinTo`]: the other player.
        other: Option<Player>,
        /// For [`Action::Read`] of no player in particular: it is the one that the device is used with.
        used_here: bool,
    },
    /// Not done, and why. One of the reasons is that nobody knows: [`Refusal::OutcomeUnknown`].
    Refused(Refusal),
}

/// A player as the cloud may know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Player {
    /// Its stable key.
    pub key: PlayerKey,
    /// As its owner named it.
    pub name: String,
    /// Single speaker or several.
    pub kind: PlayerKind,
    /// Maker and model, where known.
    pub manufacturer: Option<String>,
    /// Model, where known.
    pub model: Option<String>,
    /// What it can do, independent of its state at the moment, so that endpoints do not flap.
    pub can: Capabilities,
    /// How it is.
    pub state: PlayerState,
}

/// A favourite of the home that can be played by its key: a playlist or a radio station.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preset {
    /// Its stable key.
    pub key: PresetKey,
    /// What it is called.
    pub name: String,
    /// [`MediaKind::Playlist`] or [`MediaKind::Radio`].
    pub kind: MediaKind,
}

/// What a home tells without being asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// How a player is now: what may have changed is not said, since what was told before may not have arrived.
    Player {
        /// Which.
        key: PlayerKey,
        /// What it can do.
        can: Capabilities,
        /// How it is, but for what it plays: [`PlayerState::now_playing`] and [`PlayerState::position`] are left out.
        state: PlayerState,
    },
    /// Which players and favourites the home has now. An event has room for some thirty; the last are left out.
    Players {
        /// Those that are exposed, the newest first; of their state, what they play is left out as above.
        players: Vec<Player>,
        /// The favourites, the newest first.
        presets: Vec<Preset>,
        /// Players that were told of earlier and are not exposed any more, the latest first. At most [`MAX_GONE`].
        gone: Vec<PlayerKey>,
        /// Favourites likewise.
        gone_presets: Vec<PresetKey>,
    },
}

/// Kinds of players that are exposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlayerKind {
    /// One speaker.
    Speaker,
    /// Two as one.
    StereoPair,
    /// A permanent group.
    Group,
}

/// What a player can do beyond playback control, which every player can.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// Real power control. Without it, on and off resume and stop.
    pub power: bool,
    /// Absolute volume.
    pub volume: bool,
    /// Mute, real or by the connector's remembering the level.
    pub mute: bool,
    /// Shuffle and repeat.
    pub order: bool,
    /// Seek within what plays, where that has an end.
    pub seek: bool,
    /// Go on with similar music when the queue ends.
    pub autoplay: bool,
    /// Play together with some other player.
    pub group: bool,
    /// A sleep timer.
    pub sleep: bool,
    /// Volume by steps alone. Excludes [`Self::volume`].
    pub steps: bool,
}

/// How a player is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlayerState {
    /// Music Assistant can reach it.
    pub available: bool,
    /// On. For players without power control: playing or paused.
    pub powered: bool,
    /// Level, where it has one.
    pub volume: Option<Percent>,
    /// Muted, where it can be.
    pub muted: Option<bool>,
    /// Playing, paused or stopped.
    pub playback: Playback,
    /// What is playing or paused.
    pub now_playing: Option<Item>,
    /// Whether its queue is shuffled, where known.
    pub shuffle: Option<bool>,
    /// What its queue repeats, where known.
    pub repeat: Option<Repeat>,
    /// How many seconds of what is playing or paused have been heard, where known.
    pub position: Option<u32>,
    /// Whether it goes on with similar music when the queue ends, where known.
    pub autoplay: Option<bool>,
    /// In how many minutes it will stop by itself, rounded up.
    pub sleep_timer: Option<u16>,
    /// The favourite that was started here, while it is what plays.
    pub preset: Option<PresetKey>,
}

/// Playback state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Playback {
    /// Playing.
    Playing,
    /// Paused.
    Paused,
    /// Stopped or idle.
    #[default]
    Stopped,
}

/// Something that plays or was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its title.
    pub title: String,
    /// Its artist, or artists joined for speech.
    pub artist: Option<String>,
    /// Its album.
    pub album: Option<String>,
    /// What it is, where known.
    pub kind: Option<MediaKind>,
}

/// Why a home did not do what was asked. Each has its own words for people at the front that speaks to them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The key is of no player that is exposed (any more).
    UnknownPlayer,
    /// No player has a name like the one that was said; these exist.
    NoPlayerNamed(Vec<String>),
    /// Several could be meant; ask which.
    WhichPlayer(Vec<String>),
    /// Music Assistant cannot reach the player.
    PlayerUnavailable(String),
    /// Nothing was found for the query.
    MediaNotFound,
    /// Nothing was found for the query, but the home's library has not been read to its end: it may be found later. To callers
    /// that are older than this it is [`Refusal::MediaNotFound`].
    MediaNotFoundYet,
    /// There is nothing queued to play, or nothing that plays.
    NothingToPlay,
    /// The player cannot do that.
    NotSupported,
    /// The player does something that cannot be interrupted, such as an announcement.
    PlayerBusy,
    /// Music Assistant does not answer the connector, and has not for so long, to the second. `None` where that is not known.
    MusicAssistantAway(Option<Duration>),
    /// Music Assistant is starting.
    MusicAssistantStarting,
    /// Music Assistant does not accept the connector's token any more: the owner must connect it again.
    MusicAssistantRefusesToken,
    /// Music Assistant took the command and failed.
    MusicAssistantFailed,
    /// The command came too late to be carried out in time, and was not.
    Late,
    /// The scopes granted to the caller do not cover this.
    NotGranted,
    /// The owner pressed "stop now" at the connector.
    Stopped,
    /// The connector has too much to do.
    Busy,
    /// The connector does not know this command: it is older than the caller.
    UnknownCommand,
    /// A fault of the connector.
    Internal,
    /// Music Assistant was told and has not answered: it may have done it, may do it yet, or never will. The only reason
    /// that does not say "not done", so the only one after which "try again" would be bad advice.
    OutcomeUnknown,
    /// The owner lets nobody make the player louder than this.
    VolumeLimited(Percent),
    /// The owner wants it quiet until then: nothing is started or made louder. `None` where it never ends, or an older home does
    /// not say when.
    QuietHours(Option<MinuteOfDay>),
    /// Only this was found, and it may not be what was meant; nothing was done. Said yes to, it is asked for by its title, artist
    /// and kind, [surely](MediaQuery::sure).
    DidYouMean(Item),
    /// The player cannot play together with this one.
    CannotGroup(String),
    /// No favourite has this key (any more).
    UnknownPreset,
    /// Nothing plays that could be kept, continued with the like of it, or moved.
    NothingPlays,
}

/// The scopes granted to a caller, sealed into each command.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Scopes {
    /// `music_assistant.read`.
    pub read: bool,
    /// `music_assistant.control`.
    pub control: bool,
}

impl Scopes {
    /// None: nothing may be carried out. So a command is sealed that is only to come to the home and be answered; see
    /// [`macloud_proto::trial`].
    pub const NONE: Self = Self { read: false, control: false };

    /// Whether `command` is covered.
    #[must_use]
    pub const fn cover(self, command: &Command) -> bool {
        match command {
            Command::ListPlayers => self.read,
            Command::OnPlayer { action, .. } => self.cover_action(action),
        }
    }

    /// Whether `action`, on whichever player, is covered.
    #[must_use]
    pub const fn cover_action(self, action: &Action) -> bool {
        if action.is_control() { self.control } else { self.read }
    }
}
