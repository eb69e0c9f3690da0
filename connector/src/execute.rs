//! A command, carried out on Music Assistant.
//!
//! Music Assistant answers "success" to much that it does not do: commands to players that are gone, mute where there
//! is none, levels off the scale, nonsense modes. So everything is checked here first, against the last known state,
//! and only commands and values that are known to be right are sent.

pub mod names;
pub mod ranking;
pub mod report;
pub mod volume;
pub mod words;

mod asked;
mod find;
mod paused;
mod quiet;

use std::time::Duration;

use serde_json::json;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use macloud_e2ee::vocabulary::{
    self, Action, Command, MAX_PLAYERS, MediaQuery, Percent, Placement, Playback, PlayerState, Refusal, Repeat, Reply,
    Target, Transport,
};

use crate::music_assistant::directory::Directory;
use crate::music_assistant::message::ErrorCode;
use crate::music_assistant::model::{Activity, Player};
use crate::music_assistant::{CONTROL_LIMIT, CallError, Condition, MusicAssistant, PLAY_LIMIT};
use crate::rules::HouseRules;
use asked::Asked;
use names::Match;
use paused::Paused;
use quiet::Quiet;
use volume::{Change, Volumes};

/// Music Assistant confirms a change by an event a quarter of a second later. To skip is answered with what plays
/// then, if it comes this soon.
const EVENT_LIMIT: Duration = Duration::from_millis(400);

/// Of the time for search and play, this much is kept for playing.
const FOR_PLAYING: Duration = Duration::from_millis(1500);

/// Searches at once. They are the slow ones; everything else has its own lane and never waits for them.
const SEARCHES: usize = 4;

/// Everything else at once. A home speaks to a few speakers at a time.
const CONTROLS: usize = 32;

/// To stop a player before something else is played on it.
const STOP_LIMIT: Duration = Duration::from_millis(800);

/// From one item to the next a server takes about this long.
const CHANGING: Duration = Duration::from_millis(500);

/// Forward or back.
const SKIP_SECONDS: i64 = 10;

/// Carries out commands. Shared by all commands of the home.
pub struct Executor {
    ma: MusicAssistant,
    volumes: Volumes,
    quiet: Quiet,
    asked: Asked,
    paused: Paused,
    house: HouseRules,
    searches: Semaphore,
    controls: Semaphore,
}

impl Executor {
    /// On this Music Assistant, within these rules.
    #[must_use]
    pub fn new(ma: MusicAssistant, house: HouseRules) -> Self {
        Self {
            ma,
            house,
            volumes: Volumes::default(),
            quiet: Quiet::default(),
            asked: Asked::default(),
            paused: Paused::default(),
            searches: Semaphore::new(SEARCHES),
            controls: Semaphore::new(CONTROLS),
        }
    }

    /// Carry out `command` within `remaining`. Scopes have been checked. Dropping the future stops waiting; what was
    /// already sent to Music Assistant happens.
    pub async fn execute(&self, command: Command, remaining: Duration) -> Reply {
        if remaining.is_zero() {
            return Reply::Refused(Refusal::Late);
        }
        let outcome = match command {
            Command::ListPlayers => self.list_players(),
            Command::OnPlayer { target, action, device: _ } => self.on_player(&target, action, remaining).await,
        };
        outcome.unwrap_or_else(Reply::Refused)
    }

    fn list_players(&self) -> Result<Reply, Refusal> {
        let ready = self.ready();
        let players = self.exposed_players();
        // "No players" would make an assistant forget them all. Say so only when it is certain.
        if players.is_empty() {
            ready?;
            if self.ma.is_settling() {
                return Err(Refusal::MusicAssistantStarting);
            }
        }
        Ok(Reply::Players { players, presets: Vec::new(), locale: None })
    }

    /// All players that the cloud may know of, as they are now.
    pub(crate) fn exposed_players(&self) -> Vec<vocabulary::Player> {
        let connected = self.ready().is_ok();
        let rules = self.house.current();
        let directory = self.ma.directory();
        let exposed = directory.exposed().filter(|player| rules.expose(player));
        exposed.filter_map(|player| self.report(&directory, player, connected)).take(MAX_PLAYERS).collect()
    }

    async fn on_player(&self, target: &Target, action: Action, remaining: Duration) -> Result<Reply, Refusal> {
        self.ready()?;
        let player = self.choose(target)?;
        if action == Action::Read {
            return self.read(&player.id, remaining).await;
        }
        self.reachable(&player)?;
        if self.house.is_quiet_time() && self.would_be_heard(&player, &action) {
            return Err(Refusal::QuietHours);
        }
        let lane = if matches!(action, Action::Play { .. }) { &self.searches } else { &self.controls };
        let _permit = lane.try_acquire().map_err(|_| Refusal::Busy)?;
        let limit = remaining.min(if matches!(action, Action::Play { .. }) { PLAY_LIMIT } else { CONTROL_LIMIT });
        match action {
            Action::Read => self.read(&player.id, limit).await,
            Action::SetPower(on) => self.set_power(&player, on, limit).await,
            Action::SetVolume(level) => self.set_volume(&player, Change::To(level.value()), limit).await,
            Action::AdjustVolume(step) => self.set_volume(&player, Change::By(step), limit).await,
            Action::SetMute(muted) => self.set_mute(&player, muted, limit).await,
            Action::Transport(transport) => self.transport(&player, transport, limit).await,
            Action::Play { media, placement } => self.play(&player, &media, placement, limit).await,
            Action::SetShuffle(on) => {
                let args = json!({ "shuffle_enabled": on });
                self.order(&player, "player_queues/shuffle", args, limit, |state| state.shuffle = Some(on)).await
            }
            Action::SetRepeat(repeat) => {
                let mode = match repeat {
                    Repeat::Off => "off",
                    Repeat::One => "one",
                    Repeat::All => "all",
                };
                let args = json!({ "repeat_mode": mode });
                self.order(&player, "player_queues/repeat", args, limit, |state| state.repeat = Some(repeat)).await
            }
            Action::SeekTo(_)
            | Action::SeekBy(_)
            | Action::SetAutoplay(_)
            | Action::SetSleepTimer(_)
            | Action::PlayPreset(_)
            | Action::PlaySimilar
            | Action::SaveCurrent
            | Action::MoveTo(_)
            | Action::JoinTo(_)
            | Action::Unjoin
            | Action::UseHere
            | Action::ForgetHere => Err(Refusal::UnknownCommand),
        }
    }

    /// Whether `action` starts music or makes it louder.
    fn would_be_heard(&self, player: &Player, action: &Action) -> bool {
        let plays = || self.leader(player).activity == Activity::Playing;
        match action {
            Action::Read
            | Action::SetPower(false)
            | Action::SetMute(true)
            | Action::SetShuffle(_)
            | Action::SetRepeat(_)
            | Action::SeekTo(_)
            | Action::SeekBy(_)
            | Action::SetAutoplay(_)
            | Action::SetSleepTimer(_)
            | Action::PlayPreset(_)
            | Action::PlaySimilar
            | Action::SaveCurrent
            | Action::MoveTo(_)
            | Action::JoinTo(_)
            | Action::Unjoin
            | Action::UseHere
            | Action::ForgetHere => false,
            Action::Play { placement: Placement::Replace, .. } | Action::SetMute(false) => true,
            // What comes later in a queue is started by somebody else, or not at all.
            Action::Play { placement: Placement::Next | Placement::Add, .. } => false,
            Action::SetPower(true) => !plays(),
            Action::SetVolume(level) => player.level().is_none_or(|present| level.value() > present),
            Action::AdjustVolume(step) => *step > 0,
            Action::Transport(Transport::Pause | Transport::Stop) => false,
            Action::Transport(_) => !plays(),
        }
    }

    /// Whether Music Assistant can be asked at all.
    fn ready(&self) -> Result<(), Refusal> {
        match self.ma.condition() {
            Condition::Ready { .. } => Ok(()),
            Condition::Connecting | Condition::Starting | Condition::TokenDoubted => {
                Err(Refusal::MusicAssistantStarting)
            }
            Condition::NoToken | Condition::TokenRefused => Err(Refusal::MusicAssistantRefusesToken),
            Condition::Unreachable { .. }
            | Condition::NotMusicAssistant
            | Condition::TooOld { .. }
            | Condition::SetUpNeeded => Err(Refusal::MusicAssistantAway),
        }
    }

    fn choose(&self, target: &Target) -> Result<Player, Refusal> {
        let rules = self.house.current();
        let directory = self.ma.directory();
        let exposed = || directory.exposed().filter(|player| rules.expose(player));
        match target {
            Target::Key(key) => match directory.by_key(key).filter(|player| rules.expose(player)) {
                Some(player) => Ok(player.clone()),
                None if self.ma.is_settling() => Err(Refusal::MusicAssistantStarting),
                None => Err(Refusal::UnknownPlayer),
            },
            Target::Named(name) => choose_named(name, &exposed().collect::<Vec<_>>()),
            Target::Unnamed => {
                let all: Vec<&Player> = exposed().filter(|player| player.available).collect();
                let playing: Vec<&Player> = all
                    .iter()
                    .copied()
                    .filter(|player| player.activity == Activity::Playing && player.synced_to.is_none())
                    // A group and its members play the same: the group stands for them.
                    .filter(|player| player.active_group.as_ref().is_none_or(|group| directory.player(group).is_none()))
                    .collect();
                match playing.as_slice() {
                    [one] => Ok((*one).clone()),
                    [] => match (directory.last_played(&all), all.as_slice()) {
                        (Some(last), _) => Ok(last.clone()),
                        (None, [only]) => Ok((*only).clone()),
                        (None, []) => Err(Refusal::NoPlayerNamed(Vec::new())),
                        (None, _) => Err(Refusal::WhichPlayer(names_of(&all))),
                    },
                    _ => Err(Refusal::WhichPlayer(names_of(&playing))),
                }
            }
        }
    }

    fn reachable(&self, player: &Player) -> Result<(), Refusal> {
        let leader = self.leader(player);
        if player.available && leader.available {
            return Ok(());
        }
        // Right after a start the players come one by one; that is not worth worrying anybody. One that was there and
        // went again is another matter.
        let missing = if player.available { &leader.id } else { &player.id };
        if self.ma.is_settling() && !self.ma.directory().has_been_seen(missing) {
            return Err(Refusal::MusicAssistantStarting);
        }
        let name = if player.available { &leader.name } else { &player.name };
        Err(Refusal::PlayerUnavailable(report::cut(name)))
    }

    /// The player whose queue is heard on this one.
    fn leader(&self, player: &Player) -> Player {
        self.ma.directory().leader_of(&player.id).unwrap_or(player).clone()
    }

    async fn set_power(&self, player: &Player, on: bool, limit: Duration) -> Result<Reply, Refusal> {
        if player.power_control {
            let args = json!({ "player_id": player.id, "powered": on });
            self.send(player, "players/cmd/power", args, limit).await?;
            return self.done(&player.id, |state| {
                state.powered = on;
                if !on {
                    stopped(state, Playback::Stopped);
                }
            });
        }
        let active = self.leader(player).activity;
        match (on, active) {
            (true, Activity::Playing) => self.done(&player.id, |_| {}),
            (true, _) => self.transport(player, Transport::Play, limit).await,
            // Stopping what is idle is harmless, and what looks idle may just be starting.
            (false, _) => self.transport(player, Transport::Stop, limit).await,
        }
    }

    async fn set_volume(&self, player: &Player, change: Change, limit: Duration) -> Result<Reply, Refusal> {
        if !report::has_volume(player) {
            return Err(Refusal::NotSupported);
        }
        let level = self.send_level(player, change, limit).await?;
        self.done(&player.id, |state| {
            state.volume = Some(Percent::clamped(level.into()));
            if !player.mute_control {
                state.muted = Some(level == 0);
            }
        })
    }

    async fn set_mute(&self, player: &Player, muted: bool, limit: Duration) -> Result<Reply, Refusal> {
        if player.mute_control {
            let args = json!({ "player_id": player.id, "muted": muted });
            self.send(player, "players/cmd/volume_mute", args, limit).await?;
            return self.done(&player.id, |state| state.muted = Some(muted));
        }
        let change = if muted { Change::Silence } else { Change::Restore };
        self.set_volume(player, change, limit).await
    }

    /// Returns the level that is, or by a later request will be, set.
    async fn send_level(&self, player: &Player, change: Change, limit: Duration) -> Result<u8, Refusal> {
        let deadline = Instant::now() + limit;
        let (ceiling, known) = {
            let directory = self.ma.directory();
            let player = directory.player(&player.id).unwrap_or(player);
            (self.house.current().ceiling(&directory, player), player.level())
        };
        let limited = Refusal::VolumeLimited(Percent::clamped(ceiling.into()));
        let ticket = self.volumes.ask(&player.id, change, known, ceiling).ok_or(limited)?;
        let turn = self.volumes.turn(&player.id, &ticket);
        let Ok(turn) = tokio::time::timeout_at(deadline, turn).await else { return Err(Refusal::Busy) };
        let Some(_turn) = turn else { return Ok(ticket.level) };
        let command = if player.has_group_volume() { "players/cmd/group_volume" } else { "players/cmd/volume_set" };
        let args = json!({ "player_id": player.id, "volume_level": ticket.level });
        let left = deadline.saturating_duration_since(Instant::now());
        match self.send(player, command, args, left).await {
            Ok(()) => Ok(ticket.level),
            Err(refusal) => {
                self.volumes.failed(&player.id);
                Err(refusal)
            }
        }
    }

    async fn transport(&self, player: &Player, transport: Transport, limit: Duration) -> Result<Reply, Refusal> {
        let leader = self.leader(player);
        let (queued, current, own_source) = {
            let directory = self.ma.directory();
            let queue = directory.queue(&leader.id);
            (
                queue.is_some_and(|queue| queue.items > 0),
                queue.and_then(|queue| queue.current.clone()),
                directory.plays_own_source(&leader),
            )
        };
        let something = queued || own_source || leader.activity != Activity::Idle;
        if !something && !matches!(transport, Transport::Pause | Transport::Stop) {
            return Err(Refusal::NothingToPlay);
        }
        not_announcing(player, &leader)?;
        let id = &leader.id;
        let (command, args) = match transport {
            Transport::Play => ("players/cmd/play", json!({ "player_id": id })),
            Transport::Pause => ("players/cmd/pause", json!({ "player_id": id })),
            Transport::Stop => ("players/cmd/stop", json!({ "player_id": id })),
            Transport::Next => ("players/cmd/next", json!({ "player_id": id })),
            Transport::Previous => ("players/cmd/previous", json!({ "player_id": id })),
            Transport::StartOver => ("players/cmd/seek", json!({ "player_id": id, "position": 0 })),
            Transport::FastForward => ("player_queues/skip", json!({ "queue_id": id, "seconds": SKIP_SECONDS })),
            Transport::Rewind => ("player_queues/skip", json!({ "queue_id": id, "seconds": -SKIP_SECONDS })),
        };
        let to_be_quiet = matches!(transport, Transport::Pause | Transport::Stop);
        if !to_be_quiet {
            self.quiet.restarting(id);
        }
        self.paused.told_otherwise(id);
        let deadline = Instant::now() + limit;
        let mut sent = self.send(player, command, args.clone(), limit).await;
        let moves_within = matches!(transport, Transport::StartOver | Transport::FastForward | Transport::Rewind);
        if moves_within && sent == Err(Refusal::MusicAssistantFailed) && Instant::now() + 2 * CHANGING < deadline {
            // While the next item is being loaded there is none to move within, and the server says "failed".
            tokio::time::sleep(CHANGING).await;
            sent = self.send(player, command, args.clone(), deadline - Instant::now()).await;
        }
        sent?;
        if to_be_quiet {
            self.quiet.asked(&self.ma, id, command, args);
        }
        if matches!(transport, Transport::Next | Transport::Previous) {
            let moved = |directory: &Directory| directory.queue(id).is_some_and(|queue| queue.current != current);
            self.ma.wait_until(EVENT_LIMIT.min(limit), moved).await;
        }
        self.done(&player.id, |state| match transport {
            Transport::Play => playing(state),
            Transport::Pause => {
                // Some players stop where they were told to pause: silence is what was asked for.
                stopped(state, Playback::Paused);
                if state.playback == Playback::Paused {
                    self.paused.told(id);
                }
            }
            Transport::Stop => stopped(state, Playback::Stopped),
            _ => {}
        })
    }

    /// In which order the queue plays. It is the queue of whom this player follows.
    async fn order(
        &self,
        player: &Player,
        command: &'static str,
        mut args: serde_json::Value,
        limit: Duration,
        as_asked: impl FnOnce(&mut PlayerState),
    ) -> Result<Reply, Refusal> {
        let leader = self.leader(player);
        if self.ma.directory().queue(&leader.id).is_none() {
            return Err(Refusal::NotSupported);
        }
        args["queue_id"] = json!(leader.id);
        self.send(player, command, args, limit).await?;
        self.done(&player.id, as_asked)
    }

    async fn play(
        &self,
        player: &Player,
        query: &MediaQuery,
        placement: Placement,
        limit: Duration,
    ) -> Result<Reply, Refusal> {
        let deadline = Instant::now() + limit;
        not_announcing(player, &self.leader(player))?;
        let media = find::find(&self.ma, query, deadline - FOR_PLAYING.min(limit / 2)).await?;
        // The search took a while; who leads and who can be reached may have changed.
        let leader = self.leader(player);
        self.reachable(player)?;
        let option = match placement {
            Placement::Replace => "replace",
            Placement::Next => "next",
            Placement::Add => "add",
        };
        if placement == Placement::Replace {
            self.stop_before_replacing(&leader.id).await;
        }
        let args = json!({ "queue_id": leader.id, "media": media.uri, "option": option });
        let left = deadline.saturating_duration_since(Instant::now());
        self.quiet.restarting(&leader.id);
        if placement == Placement::Replace {
            self.paused.told_otherwise(&leader.id);
        }
        self.send(player, "player_queues/play_media", args, left).await?;
        let found = report::item(&media);
        let reply = self.done(&player.id, |state| {
            if placement == Placement::Replace {
                playing(state);
                state.now_playing = None;
            }
        })?;
        Ok(match reply {
            Reply::Done { player, learned, other, .. } => Reply::Done { player, found: Some(found), learned, other },
            other => other,
        })
    }

    /// "Replace" on a queue that plays empties it, and stops the player in a task of its own, which can overtake the
    /// start of what was asked for: all is answered with success, and nothing is heard (seen on a live server with a
    /// library of its own, every time). A queue that is idle by then is not stopped again.
    async fn stop_before_replacing(&self, id: &str) {
        let is_idle = |directory: &Directory| {
            directory.player(id).is_none_or(|player| player.activity == Activity::Idle)
                && directory.queue(id).is_none_or(|queue| queue.activity == Activity::Idle)
        };
        if is_idle(&self.ma.directory()) {
            return;
        }
        // If this fails, what was asked for may still succeed.
        let _ = self.ma.call("players/cmd/stop", json!({ "player_id": id }), STOP_LIMIT).await;
        self.ma.wait_until(EVENT_LIMIT, is_idle).await;
    }

    async fn send(
        &self,
        player: &Player,
        command: &'static str,
        args: serde_json::Value,
        limit: Duration,
    ) -> Result<(), Refusal> {
        match self.ma.call(command, args, limit).await {
            Ok(_) => Ok(()),
            Err(error) => {
                tracing::warn!(command, player.id = %player.id, "no success from Music Assistant for {command}: {error}");
                Err(match error {
                    // It was told: that it has not said anything yet does not mean that it will not obey.
                    CallError::TimedOut | CallError::Lost | CallError::TooLarge => Refusal::OutcomeUnknown,
                    other => refusal_of(other, &player.name),
                })
            }
        }
    }

    /// The player as it is. Right after a change this waits a moment for Music Assistant to confirm it.
    async fn read(&self, id: &str, limit: Duration) -> Result<Reply, Refusal> {
        if let Some((wanted, left)) = self.asked.unconfirmed(id) {
            let confirmed = |directory: &Directory| {
                let player = directory.player(id).and_then(|player| report::player(directory, player, true));
                player.is_none_or(|player| asked::agrees(&player.state, &wanted))
            };
            self.ma.wait_until(left.min(limit / 2), confirmed).await;
        }
        let directory = self.ma.directory();
        let player = directory.player(id).and_then(|player| self.report(&directory, player, true));
        Ok(done(player.ok_or(Refusal::UnknownPlayer)?))
    }

    /// The player as the cloud may know it. One that stopped where it was told to pause is paused.
    fn report(&self, directory: &Directory, player: &Player, connected: bool) -> Option<vocabulary::Player> {
        let mut told = report::player(directory, player, connected)?;
        let leader = directory.leader_of(&player.id).unwrap_or(player);
        match told.state.playback {
            Playback::Playing => self.paused.seen_playing(&leader.id),
            Playback::Stopped if self.paused.holds(&leader.id) => {
                if let Some(item) = report::now_playing(directory, player) {
                    told.state.playback = Playback::Paused;
                    told.state.powered |= !player.power_control;
                    told.state.now_playing = Some(item);
                }
            }
            Playback::Paused | Playback::Stopped => {}
        }
        Some(told)
    }

    /// The player as it is now, with what was asked for where Music Assistant has not confirmed it yet.
    fn done(&self, id: &str, as_asked: impl FnOnce(&mut PlayerState)) -> Result<Reply, Refusal> {
        let directory = self.ma.directory();
        let player = directory.player(id).ok_or(Refusal::UnknownPlayer)?;
        let mut player = self.report(&directory, player, true).ok_or(Refusal::UnknownPlayer)?;
        // Once confirmed, what Music Assistant says counts: a player may have stopped where it was told to pause.
        if let Some((earlier, _)) = self.asked.unconfirmed(id)
            && !asked::agrees(&player.state, &earlier)
        {
            asked::overlay(&mut player.state, earlier);
        }
        as_asked(&mut player.state);
        self.asked.note(id, player.state.clone());
        Ok(done(player))
    }
}

const fn done(player: vocabulary::Player) -> Reply {
    Reply::Done { player, found: None, learned: false, other: None }
}

fn choose_named(name: &str, players: &[&Player]) -> Result<Player, Refusal> {
    let names: Vec<&str> = players.iter().map(|player| player.name.as_str()).collect();
    let several = match names::find(name, &names) {
        Match::One(at) => return Ok(players[at].clone()),
        Match::Several(several) => several,
        Match::None => return Err(Refusal::NoPlayerNamed(names_of(players))),
    };
    let mut several: Vec<&Player> = several.into_iter().map(|at| players[at]).collect();
    // Of several with the same name, the one that is there is meant.
    if several.iter().any(|player| player.available) {
        several.retain(|player| player.available);
    }
    match several.as_slice() {
        [one] => Ok((*one).clone()),
        _ => Err(Refusal::WhichPlayer(names_of(&several))),
    }
}

fn names_of(players: &[&Player]) -> Vec<String> {
    players.iter().take(MAX_PLAYERS).map(|player| report::cut(&player.name)).collect()
}

fn not_announcing(player: &Player, leader: &Player) -> Result<(), Refusal> {
    // Music Assistant ignores queue commands during an announcement, with success.
    if player.announcing || leader.announcing { Err(Refusal::PlayerBusy) } else { Ok(()) }
}

fn playing(state: &mut PlayerState) {
    state.playback = Playback::Playing;
    state.powered = true;
}

fn stopped(state: &mut PlayerState, asked: Playback) {
    if state.playback == Playback::Playing {
        state.playback = asked;
    }
    if asked == Playback::Stopped {
        state.playback = Playback::Stopped;
        state.powered = false;
        state.now_playing = None;
    }
}

/// What a person may learn of a failed request that changes nothing, or that was refused.
fn refusal_of(error: CallError, player: &str) -> Refusal {
    match error {
        CallError::Away | CallError::Lost => Refusal::MusicAssistantAway,
        CallError::Busy => Refusal::Busy,
        CallError::TimedOut => Refusal::Late,
        CallError::TooLarge => Refusal::MusicAssistantFailed,
        CallError::Refused(code) => match code {
            // Rights are the token's too: the remedy is another token.
            ErrorCode::FORBIDDEN => Refusal::MusicAssistantRefusesToken,
            code if code.refuses_token() => Refusal::MusicAssistantRefusesToken,
            ErrorCode::QUEUE_EMPTY => Refusal::NothingToPlay,
            ErrorCode::UNSUPPORTED | ErrorCode::INVALID_COMMAND => Refusal::NotSupported,
            ErrorCode::UNAVAILABLE => Refusal::PlayerUnavailable(report::cut(player)),
            ErrorCode::NOT_FOUND => Refusal::MediaNotFound,
            ErrorCode(13..=15) => Refusal::MediaNotFound,
            ErrorCode(17 | 24 | 25) => Refusal::Busy,
            ErrorCode(19) => Refusal::NotSupported,
            ErrorCode::SET_UP_REQUIRED => Refusal::MusicAssistantAway,
            ErrorCode(_) => Refusal::MusicAssistantFailed,
        },
    }
}
