//! How long things take in the simulated home.

use std::time::Duration;

/// Delays between a command, its reply and what players then do.
///
/// [`Timing::measured`] follows what was measured on a real server; [`Timing::prompt`] answers at once, so that one sees what
/// the way to the home costs; [`Timing::fast`] leaves every wait out and is for tests and benchmarks. In all of them the
/// reply to a command comes before the state changes it causes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// From a transport or volume command to its reply.
    pub transport_reply: Duration,
    /// From `play_media` to its reply: the server resolves the media first.
    pub play_media_reply: Duration,
    /// From a command to the `player_updated` that shows it. The server gathers changes for about this long.
    pub player_update: Duration,
    /// From `play` or `play_media` to `playing`.
    pub start_playing: Duration,
    /// From `next` or `previous` to the last of the events that follow, and from the start of a stream to the queue's
    /// saying again what plays.
    pub settle: Duration,
    /// From moving within a track to the sound from there. The server starts a new stream, and when that comes it plays,
    /// even if the player was paused meanwhile.
    pub stream_restart: Duration,
    /// After a player has come (back), so long it says [`Timing::FORGOTTEN_VOLUME`] instead of its volume.
    pub volume_recall: Duration,
    /// From pulling a player's plug to `available: false`.
    pub notice_lost: Duration,
    /// From plugging it in to `available: true`.
    pub notice_back: Duration,
    /// A player takes at most one command in this time; others wait, and their replies with them.
    pub throttle: Duration,
    /// How often a playing queue tells its elapsed time; zero for never.
    pub time_updates: Duration,
}

impl Timing {
    /// What a player that has just come (back) says its volume is.
    pub const FORGOTTEN_VOLUME: i64 = 50;

    /// What a real server showed.
    #[must_use]
    pub const fn measured() -> Self {
        Self {
            transport_reply: Duration::from_millis(3),
            play_media_reply: Duration::from_millis(60),
            player_update: Duration::from_millis(250),
            start_playing: Duration::from_millis(300),
            settle: Duration::from_millis(1000),
            stream_restart: Duration::from_millis(1900),
            volume_recall: Duration::from_millis(750),
            notice_lost: Duration::from_millis(2000),
            notice_back: Duration::from_millis(2300),
            throttle: Duration::from_millis(50),
            time_updates: Duration::from_secs(5),
        }
    }

    /// Commands are answered at once and never throttled; state moves as slowly as on a real server.
    #[must_use]
    pub const fn prompt() -> Self {
        Self {
            transport_reply: Duration::ZERO,
            play_media_reply: Duration::ZERO,
            throttle: Duration::ZERO,
            ..Self::measured()
        }
    }

    /// No waiting anywhere.
    #[must_use]
    pub const fn fast() -> Self {
        Self {
            transport_reply: Duration::ZERO,
            play_media_reply: Duration::ZERO,
            player_update: Duration::ZERO,
            start_playing: Duration::ZERO,
            settle: Duration::ZERO,
            stream_restart: Duration::ZERO,
            volume_recall: Duration::ZERO,
            notice_lost: Duration::ZERO,
            notice_back: Duration::ZERO,
            throttle: Duration::ZERO,
            time_updates: Duration::ZERO,
        }
    }
}

impl Default for Timing {
    fn default() -> Self {
        Self::measured()
    }
}
