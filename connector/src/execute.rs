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
mod choose;
mod find;
mod like_this;
mod paused;
mod presets;
mod quiet;
mod seek;
mod sleep;
mod together;

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use macloud_e2ee::vocabulary::{
    self, Action, Command, DeviceKey, Item, MAX_PLAYERS, MediaQuery, Percent, Placement, Playback, PlayerState,
    Refusal, Repeat, Reply, Target, Transport,
};

use macloud_proto::ids::PlayerKey;

use crate::memory::Memory;
use crate::music_assistant::directory::Directory;
use crate::music_assistant::message::ErrorCode;
use crate::music_assistant::model::{Activity, Autoplay, Player, PlayerType};
use crate::music_assistant::{CONTROL_LIMIT, CallError, Condition, MusicAssistant, PLAY_LIMIT};
use crate::rules::HouseRules;
use asked::Asked;
use choose::Unnamed;
use paused::Paused;
use presets::{Presets, Started};
use quiet::Quiet;
use seek::Place;
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

/// To take music to another player. If that one plays along with others, Music Assistant waits 3 s for their parting.
const MOVE_LIMIT: Duration = Duration::from_secs(7);

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
    presets: Presets,
    started: Started,
    /// One player joins others at a time.
    joining: tokio::sync::Mutex<()>,
    house: HouseRules,
    memory: Memory,
    searches: Semaphore,
    controls: Semaphore,
}

impl Executor {
    /// On this Music Assistant, within these rules. What it learns ends with it.
    #[must_use]
    pub fn new(ma: MusicAssistant, house: HouseRules) -> Self {
        Self::with_memory(ma, house, Memory::default())
    }

    /// Likewise, and what it learns goes into `memory`.
    #[must_use]
    pub fn with_memory(ma: MusicAssistant, house: HouseRules, memory: Memory) -> Self {
        Self {
            ma,
            house,
            memory,
            volumes: Volumes::default(),
            quiet: Quiet::default(),
            asked: Asked::default(),
            paused: Paused::default(),
            presets: Presets::default(),
            started: Started::default(),
            joining: tokio::sync::Mutex::default(),
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
            Command::ListPlayers => self.list_players(remaining).await,
            Command::OnPlayer { target, action, device } => {
                self.on_player(&target, action, device.as_ref(), remaining).await
            }
        };
        outcome.unwrap_or_else(Reply::Refused)
    }

    async fn list_players(&self, remaining: Duration) -> Result<Reply, Refusal> {
        let presets = self.presets(remaining / 4).await.unwrap_or_default();
        let ready = self.ready();
        let players = self.players_as_asked();
        // "No players" would make an assistant forget them all. Say so only when it is certain.
        if players.is_empty() {
            ready?;
            if self.ma.is_settling() {
                return Err(Refusal::MusicAssistantStarting);
            }
        }
        Ok(Reply::Players { players, presets, locale: None })
    }

    /// All players that the cloud may know of, as they are now.
    pub(crate) fn exposed_players(&self) -> Vec<vocabulary::Player> {
        self.exposed(|_, _, _| {})
    }

    /// Likewise, but one that was told to play does so, though nothing is heard of it yet: who then says "pause everything" means
    /// this one above all.
    fn players_as_asked(&self) -> Vec<vocabulary::Player> {
        self.exposed(|directory, player, state| {
            let leader = directory.leader_of(&player.id).unwrap_or(player);
            if state.playback != Playback::Playing && self.quiet.is_starting(&leader.id) {
                playing(state);
            }
        })
    }

    fn exposed(&self, as_asked: impl Fn(&Directory, &Player, &mut PlayerState)) -> Vec<vocabulary::Player> {
        let connected = self.ready().is_ok();
        let rules = self.house.current();
        let directory = self.ma.directory();
        let exposed = directory.exposed().filter(|player| rules.expose(player));
        let reported = exposed.filter_map(|player| {
            let mut told = self.report(&directory, player, connected)?;
            as_asked(&directory, player, &mut told.state);
            Some(told)
        });
        reported.take(MAX_PLAYERS).collect()
    }

    async fn on_player(
        &self,
        target: &Target,
        action: Action,
        device: Option<&DeviceKey>,
        remaining: Duration,
    ) -> Result<Reply, Refusal> {
        self.ready()?;
        let other = match &action {
            Action::MoveTo(other) | Action::JoinTo(other) => Some(self.choose_other(other, device)?),
            _ => None,
        };
        let player = match (&action, &other) {
            (Action::ForgetHere, _) => return self.forget_here(target, device),
            (Action::MoveTo(_), Some(other)) => self.choose(target, device, Unnamed::Music(&other.id))?,
            // Which one it is to be is what is said now.
            (Action::UseHere, _) => self.choose(target, None, Unnamed::Usual)?,
            _ => self.choose(target, device, Unnamed::Usual)?,
        };
        match action {
            Action::Read => {
                let reply = self.read(&player.id, remaining).await?;
                return Ok(self.told_if_own(reply, target, device, &player));
            }
            Action::UseHere => return self.use_here(&player, device),
            _ => {}
        }
        self.reachable(&player)?;
        if let Some(other) = &other {
            self.reachable(other)?;
        }
        if let Some(quiet) = self.house.quiet_hours_now()
            && self.would_be_heard(&player, &action, other.as_ref())
        {
            return Err(Refusal::QuietHours(quiet.end()));
        }
        let (lane, most) = match &action {
            Action::Play { .. } | Action::PlayPreset(_) | Action::PlaySimilar | Action::SaveCurrent => {
                (&self.searches, PLAY_LIMIT)
            }
            Action::MoveTo(_) | Action::JoinTo(_) => (&self.searches, MOVE_LIMIT),
            _ => (&self.controls, CONTROL_LIMIT),
        };
        let _permit = lane.try_acquire().map_err(|_| Refusal::Busy)?;
        let reply = self.act(&player, &action, other.as_ref(), remaining.min(most)).await?;
        Ok(self.learn(reply, target, &action, device, &player))
    }

    async fn act(
        &self,
        player: &Player,
        action: &Action,
        other: Option<&Player>,
        limit: Duration,
    ) -> Result<Reply, Refusal> {
        match action {
            // Seen to before there is a lane to take.
            Action::Read | Action::UseHere | Action::ForgetHere => self.done(&player.id, |_| {}),
            Action::SetPower(on) => self.set_power(player, *on, limit).await,
            Action::SetVolume(level) => self.set_volume(player, Change::To(level.value()), limit).await,
            Action::AdjustVolume(step) => self.set_volume(player, Change::By(*step), limit).await,
            Action::SetMute(muted) => self.set_mute(player, *muted, limit).await,
            Action::Transport(transport) => self.transport(player, *transport, limit).await,
            Action::Play { media, placement } => self.play(player, media, *placement, limit).await,
            Action::SetShuffle(on) => {
                let args = json!({ "shuffle_enabled": on });
                self.order(player, "player_queues/shuffle", args, limit, |state| state.shuffle = Some(*on)).await
            }
            Action::SetRepeat(repeat) => {
                let mode = match repeat {
                    Repeat::Off => "off",
                    Repeat::One => "one",
                    Repeat::All => "all",
                };
                let args = json!({ "repeat_mode": mode });
                self.order(player, "player_queues/repeat", args, limit, |state| state.repeat = Some(*repeat)).await
            }
            Action::SetAutoplay(on) => self.set_autoplay(player, *on, limit).await,
            Action::SeekTo(seconds) => self.seek(player, Place::At(*seconds), limit).await,
            Action::SeekBy(seconds) => self.seek(player, Place::From(*seconds), limit).await,
            Action::SetSleepTimer(minutes) => self.set_sleep_timer(player, *minutes),
            Action::PlayPreset(key) => self.play_preset(player, key, limit).await,
            Action::PlaySimilar => self.play_similar(player, limit).await,
            Action::SaveCurrent => self.save_current(player, limit).await,
            Action::MoveTo(_) => self.move_to(player, other.ok_or(Refusal::Internal)?, limit).await,
            Action::JoinTo(_) => self.join_to(player, other.ok_or(Refusal::Internal)?, limit).await,
            Action::Unjoin => self.unjoin(player, limit).await,
        }
    }

    /// Whether `action` starts music or makes it louder, here or at the other player.
    fn would_be_heard(&self, player: &Player, action: &Action, other: Option<&Player>) -> bool {
        let plays = |player: &Player| self.leader(player).activity == Activity::Playing;
        match action {
            Action::Read
            | Action::SetPower(false)
            | Action::SetMute(true)
            | Action::SetShuffle(_)
            | Action::SetRepeat(_)
            | Action::SetAutoplay(_)
            | Action::SetSleepTimer(_)
            | Action::SaveCurrent
            | Action::Unjoin
            | Action::UseHere
            | Action::ForgetHere => false,
            Action::Play { placement: Placement::Replace, .. }
            | Action::PlayPreset(_)
            | Action::PlaySimilar
            | Action::SetMute(false) => true,
            // What comes later in a queue is started by somebody else, or not at all.
            Action::Play { placement: Placement::Next | Placement::Add, .. } => false,
            // What is off may belong to others that play.
            Action::SetPower(true) => player.powered == Some(false) || !plays(player),
            // Seeking starts what is paused.
            Action::SeekTo(_) | Action::SeekBy(_) => !plays(player),
            Action::SetVolume(level) => {
                let is_louder = |present| level.value() > present;
                level.value() > 0 && (self.is_muted(player) || self.quietest(player).is_none_or(is_louder))
            }
            // A step from where nobody knows may lead up.
            Action::AdjustVolume(step) => *step > 0 || self.is_muted(player) || self.quietest(player).is_none(),
            Action::Transport(Transport::Pause | Transport::Stop) => false,
            Action::Transport(_) => !plays(player),
            Action::MoveTo(_) => other.is_none_or(|other| !plays(other)),
            Action::JoinTo(_) => !plays(player) && other.is_none_or(plays),
        }
    }

    /// Whether somebody here is muted as Music Assistant does it: any change of level would end that.
    fn is_muted(&self, player: &Player) -> bool {
        let directory = self.ma.directory();
        let is_muted = |player: &Player| player.mute_control && player.muted == Some(true);
        let player = directory.player(&player.id).unwrap_or(player);
        let members = if player.kind == PlayerType::Group { directory.members_of(player) } else { BTreeSet::new() };
        is_muted(player) || members.iter().filter_map(|id| directory.player(id)).any(is_muted)
    }

    /// The level above which setting `player` to it makes somebody louder: what was asked for just now counts before what
    /// Music Assistant has said of it, and a group with a volume of its own brings its members near to it.
    fn quietest(&self, player: &Player) -> Option<u8> {
        let directory = self.ma.directory();
        let player = directory.player(&player.id).unwrap_or(player);
        let rules = self.house.current();
        let own = self.volumes.present(&player.id, rules.level(&directory, player));
        if player.kind != PlayerType::Group || player.has_group_volume() {
            return own;
        }
        let members = directory.members_of(player);
        let members = members.iter().filter_map(|id| directory.player(id)).filter(|member| member.available);
        let levels = members.filter_map(|member| self.volumes.present(&member.id, member.level()));
        own.into_iter().chain(levels).min()
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
            | Condition::SetUpNeeded => Err(Refusal::MusicAssistantAway(self.ma.away_for())),
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
        Err(Refusal::PlayerUnavailable(self.called(if player.available { &leader } else { player })))
    }

    /// What the player of this key is called through the cloud, if it is there.
    pub(crate) fn name_of(&self, key: &PlayerKey) -> Option<String> {
        let directory = self.ma.directory();
        Some(self.called(directory.by_key(key)?))
    }

    /// What a player is called through the cloud.
    fn called(&self, player: &Player) -> String {
        report::cut(self.house.current().name_of(player))
    }

    /// The player whose queue is heard on this one.
    fn leader(&self, player: &Player) -> Player {
        self.ma.directory().leader_of(&player.id).unwrap_or(player).clone()
    }

    async fn set_power(&self, player: &Player, on: bool, limit: Duration) -> Result<Reply, Refusal> {
        if player.power_control {
            let args = json!({ "player_id": player.id, "powered": on });
            self.send(player, "players/cmd/power", args, limit).await?;
            if !on {
                self.quiet.told_otherwise(&player.id);
            }
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
        let members = {
            let directory = self.ma.directory();
            let player = directory.player(&player.id).unwrap_or(player);
            let rules = self.house.current();
            let silenced = change.is_about_silence().then(|| rules.silenced_singly(&directory, player)).flatten();
            let members = silenced.or_else(|| rules.moved_singly(&directory, player));
            members.map(|members| members.into_iter().cloned().collect::<Vec<Player>>())
        };
        match members {
            None => self.send_own_level(player, change, limit).await,
            Some(members) if members.is_empty() => Err(Refusal::NotSupported),
            Some(members) => self.send_levels(player, &members, change, limit).await,
        }
    }

    async fn send_own_level(&self, player: &Player, change: Change, limit: Duration) -> Result<u8, Refusal> {
        let deadline = Instant::now() + limit;
        let (ceiling, known) = {
            let directory = self.ma.directory();
            let player = directory.player(&player.id).unwrap_or(player);
            let rules = self.house.current();
            (rules.ceiling(&directory, player), rules.level(&directory, player))
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

    /// Move these members of `group` one by one, each by as much, as Music Assistant does with a whole group.
    async fn send_levels(
        &self,
        group: &Player,
        members: &[Player],
        change: Change,
        limit: Duration,
    ) -> Result<u8, Refusal> {
        let levels = || -> Vec<u8> {
            let present = |member: &Player| self.volumes.present(&member.id, member.level());
            members.iter().map(|member| present(member).unwrap_or(0)).collect()
        };
        let average = |levels: &[u8]| levels.iter().map(|level| i16::from(*level)).sum::<i16>() / levels.len() as i16;
        let changes: Vec<Change> = match change {
            // Each remembers its own level.
            Change::Silence | Change::Restore | Change::To(0) => vec![change; members.len()],
            Change::To(_) | Change::By(_) => {
                let from = average(&levels());
                let wanted = match change {
                    Change::By(step) => (from + i16::from(step)).clamp(0, 100),
                    Change::To(level) => i16::from(level.min(100)),
                    Change::Silence | Change::Restore => from,
                };
                let ceiling = i16::from(self.house.current().ceiling(&self.ma.directory(), group));
                // Steps end at the ceiling; who is above it already may become quieter.
                let is_step = matches!(change, Change::By(_));
                if wanted > from && wanted > ceiling && (!is_step || from >= ceiling) {
                    return Err(Refusal::VolumeLimited(Percent::clamped(ceiling.into())));
                }
                let wanted = if wanted > from { wanted.min(ceiling) } else { wanted };
                vec![Change::By((wanted - from) as i8); members.len()]
            }
        };
        let sent = members.iter().zip(changes).map(|(member, change)| self.send_own_level(member, change, limit));
        for result in join_all(sent).await {
            // One that is at its limit stays there.
            if let Err(refusal) = result
                && !matches!(refusal, Refusal::VolumeLimited(_))
            {
                return Err(refusal);
            }
        }
        Ok(average(&levels()) as u8)
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
        let tries = self.tries(id);
        if !to_be_quiet {
            self.quiet.restarting(id);
        }
        self.paused.told_otherwise(id);
        let moves_within = matches!(transport, Transport::StartOver | Transport::FastForward | Transport::Rewind);
        if moves_within {
            self.send_within(player, command, args.clone(), tries, limit).await?;
        } else {
            self.send(player, command, args.clone(), limit).await?;
        }
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

    async fn set_autoplay(&self, player: &Player, on: bool, limit: Duration) -> Result<Reply, Refusal> {
        let known = {
            let directory = self.ma.directory();
            let leader = directory.leader_of(&player.id).unwrap_or(player);
            directory.queue(&leader.id).and_then(|queue| queue.autoplay)
        };
        let (command, args) = match known.ok_or(Refusal::NotSupported)?.0 {
            Autoplay::Autoplay => ("player_queues/autoplay", json!({ "autoplay_enabled": on })),
            Autoplay::DontStopTheMusic => {
                ("player_queues/dont_stop_the_music", json!({ "dont_stop_the_music_enabled": on }))
            }
        };
        self.order(player, command, args, limit, |state| state.autoplay = Some(on)).await
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
        self.put(player, json!({ "media": media.uri }), placement, report::item(&media), deadline).await
    }

    /// Put what `args` says into the queue that is heard on `player`.
    async fn put(
        &self,
        player: &Player,
        mut args: serde_json::Value,
        placement: Placement,
        found: Item,
        deadline: Instant,
    ) -> Result<Reply, Refusal> {
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
        args["queue_id"] = json!(leader.id);
        args["option"] = json!(option);
        let left = deadline.saturating_duration_since(Instant::now());
        if placement == Placement::Replace {
            self.quiet.restarting(&leader.id);
            self.paused.told_otherwise(&leader.id);
            self.started.forget(&leader.id);
        }
        self.send(player, "player_queues/play_media", args, left).await?;
        self.done_with(&player.id, Some(found), |state| {
            if placement == Placement::Replace {
                playing(state);
                state.now_playing = None;
                state.position = None;
            }
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
                    other => refusal_of(other, &self.called(player)),
                })
            }
        }
    }

    /// The player as it is. Right after a change this waits a moment for Music Assistant to confirm it.
    async fn read(&self, id: &str, limit: Duration) -> Result<Reply, Refusal> {
        if let Some((wanted, left)) = self.asked.unconfirmed(id) {
            let confirmed = |directory: &Directory| {
                let rules = self.house.current();
                let player = directory.player(id).and_then(|player| report::player(directory, &rules, player, true));
                player.is_none_or(|player| asked::agrees(&player.state, &wanted))
            };
            self.ma.wait_until(left.min(limit / 2), confirmed).await;
        }
        let directory = self.ma.directory();
        let player = directory.player(id).and_then(|player| self.report(&directory, player, true));
        let player = player.ok_or(Refusal::UnknownPlayer)?;
        Ok(Reply::Done { player, found: None, learned: false, other: None, used_here: false })
    }

    /// The player as the cloud may know it. One that stopped where it was told to pause is paused.
    fn report(&self, directory: &Directory, player: &Player, connected: bool) -> Option<vocabulary::Player> {
        let mut told = report::player(directory, &self.house.current(), player, connected)?;
        let leader = directory.leader_of(&player.id).unwrap_or(player);
        told.state.sleep_timer = self.sleep_minutes(directory, player);
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
        if told.state.playback != Playback::Stopped {
            told.state.preset = self.started.playing(directory, &leader.id);
        }
        Some(told)
    }

    fn done(&self, id: &str, as_asked: impl FnOnce(&mut PlayerState)) -> Result<Reply, Refusal> {
        self.done_with(id, None, as_asked)
    }

    fn done_with(
        &self,
        id: &str,
        found: Option<Item>,
        as_asked: impl FnOnce(&mut PlayerState),
    ) -> Result<Reply, Refusal> {
        Ok(Reply::Done { player: self.told(id, as_asked)?, found, learned: false, other: None, used_here: false })
    }

    /// Done to both.
    fn done_at(
        &self,
        player: &Player,
        other: &Player,
        as_asked: impl FnOnce(&mut PlayerState),
        as_asked_there: impl FnOnce(&mut PlayerState),
    ) -> Result<Reply, Refusal> {
        let player = self.told(&player.id, as_asked)?;
        let other = Some(self.told(&other.id, as_asked_there)?);
        Ok(Reply::Done { player, found: None, learned: false, other, used_here: false })
    }

    /// The player as it is now, with what was asked for where Music Assistant has not confirmed it yet.
    fn told(&self, id: &str, as_asked: impl FnOnce(&mut PlayerState)) -> Result<vocabulary::Player, Refusal> {
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
        Ok(player)
    }
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
        state.position = None;
        state.preset = None;
    }
}

/// What a person may learn of a failed request that changes nothing, or that was refused.
fn refusal_of(error: CallError, player: &str) -> Refusal {
    match error {
        CallError::Away | CallError::Lost => Refusal::MusicAssistantAway(None),
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
            ErrorCode::SET_UP_REQUIRED => Refusal::MusicAssistantAway(None),
            ErrorCode(_) => Refusal::MusicAssistantFailed,
        },
    }
}
