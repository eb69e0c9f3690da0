//! Everywhere: what is asked of all players of a home at once ("pause everything", "play Kind of Blue everywhere").
//!
//! A home is asked which players it has, and each is then told that it concerns: to pause concerns those that play. Music is
//! started on one player, and the others play along with it as far as Music Assistant can group them; who cannot is named.
//! What must be done once ("next") is not done everywhere: players that play together share a queue, which would skip twice.
//!
//! Exposed players only, and of one home: the one that was named, else the one that this device is used in, else the one where
//! music plays. A player that happens to be called "Everywhere" is meant by its name.

use std::time::Duration;

use futures_util::future::join_all;
use macloud_e2ee::vocabulary::{Action, Command, Placement, Playback, Player, PlayerKind, Refusal, Target, Transport};
use macloud_proto::ids::PlayerKey;
use tokio::time::{Instant, timeout_at};

use crate::answer::speech::{Everywhere, Say};
use crate::choose::{self, Speaker, liveliness};
use crate::failure::{Failure, folded};
use crate::journey::Steps;
use crate::package::means_all;
use crate::resolve::{Access, Home};
use crate::trace::HopTrace;

/// The target and action with "everywhere" as the target, where one of them means that. The music that is to be moved or grouped
/// everywhere is to be heard by all: they join.
pub(crate) fn asked(target: Target, action: Action) -> (Target, Action) {
    let is_all = |target: &Target| matches!(target, Target::Named(name) if means_all(name));
    match action {
        Action::MoveTo(other) | Action::JoinTo(other) if is_all(&other) => (other, Action::JoinTo(target)),
        action => (target, action),
    }
}

/// Something to do on one of several players.
#[derive(Debug, PartialEq, Eq)]
struct Task<'p> {
    player: &'p Player,
    action: Action,
}

/// What came of tasks.
#[derive(Default)]
struct Told {
    done: usize,
    /// Where it was not done, and why.
    missed: Vec<(String, Failure)>,
}

/// Everything that a request for all players needs beside what it asks.
pub(crate) struct Request<'r> {
    /// Who asks.
    pub(crate) speaker: Speaker<'r>,
    /// The name that meant all players.
    pub(crate) said: &'r Target,
    /// By when it must be answered.
    pub(crate) deadline: Instant,
}

impl Steps {
    /// Do `action` on all players of one of `homes`.
    pub(crate) async fn everywhere(
        &self,
        request: &Request<'_>,
        homes: Vec<Home>,
        action: &Action,
        trace: &mut HopTrace,
    ) -> Result<Say, Failure> {
        let access = Access { homes, ..request.speaker.access.clone() };
        if !access.scopes.read || !access.scopes.cover_action(action) {
            return Err(Failure::ScopeMissing);
        }
        let deadline = request.deadline.min(Instant::now() + PATIENCE);
        let offers = self.list_players(&access, deadline, trace).await?;
        let homes: Vec<&Home> = access.homes.iter().filter(|home| !home.paused).collect();
        let own = if homes.len() > 1 || is_together(action) {
            choose::own_player(&self.carrier, request.speaker, &homes, deadline, trace).await
        } else {
            None
        };
        let is_own = |home: &Home| own.as_ref().is_some_and(|(instance, _)| *instance == home.instance);
        let there = offers.into_iter().filter_map(|offer| {
            let home = homes.iter().copied().find(|home| home.instance == offer.instance)?;
            Some((home, offer.players))
        });
        let life = |players: &[Player]| players.iter().map(liveliness).min();
        let here = there.min_by_key(|(home, players)| (!is_own(home), life(players).unwrap_or(u8::MAX)));
        let (home, players) = here.ok_or(Failure::NoHome)?;
        let own = own.as_ref().filter(|_| is_own(home)).map(|(_, player)| player);
        let at = Place { home, access: &access, deadline: request.deadline };
        if let Some(named) = called(&players, request.said) {
            let command = on(&named.key, action.clone());
            return self
                .on_player(home, &command, &access, request.deadline, trace)
                .await
                .map(|done| Say::done(action, done));
        }
        if is_together(action) {
            self.together(&at, &players, own, action, trace).await
        } else {
            self.each(&at, &players, action, trace).await
        }
    }

    async fn each(
        &self,
        at: &Place<'_>,
        players: &[Player],
        action: &Action,
        trace: &mut HopTrace,
    ) -> Result<Say, Failure> {
        let Some(deed) = deed(action) else { return Ok(Say::NotEverywhere) };
        let tasks = tasks(action, players);
        if tasks.is_empty() {
            return nothing_to_do(action).map_or(Ok(Say::Everywhere(deed)), Err);
        }
        let told = self.tell(at, tasks, trace).await;
        told.said(Say::Everywhere(deed))
    }

    /// Play on one, and let the others play along.
    async fn together(
        &self,
        at: &Place<'_>,
        players: &[Player],
        own: Option<&PlayerKey>,
        action: &Action,
        trace: &mut HopTrace,
    ) -> Result<Say, Failure> {
        let lead = match action {
            Action::JoinTo(Target::Named(name)) => {
                let names = || players.iter().map(|player| player.name.clone()).collect();
                let named = players.iter().find(|player| folded(&player.name) == folded(name));
                named.ok_or_else(|| Failure::Refused(Refusal::NoPlayerNamed(names())))?
            }
            _ => lead(players, own, action).ok_or(Failure::Refused(Refusal::NothingPlays))?,
        };
        let mut item = lead.state.now_playing.clone();
        if matches!(action, Action::Play { .. }) {
            let command = on(&lead.key, action.clone());
            item = self.on_player(at.home, &command, at.access, at.deadline, trace).await?.found;
        }
        let (tasks, mut alone) = followers(players, lead);
        let mut told = self.tell(at, tasks, trace).await;
        told.missed.append(&mut alone);
        if told.done > 0 {
            return told.said(Say::Everywhere(Everywhere::Plays(item)));
        }
        let there = Say::Started { item, placement: Placement::Replace, player: lead.name.clone() };
        told.done = 1;
        told.said(there)
    }

    async fn tell(&self, at: &Place<'_>, tasks: Vec<Task<'_>>, trace: &mut HopTrace) -> Told {
        // Who has not answered by then is named; the answer itself takes its time, too.
        let deadline = at.deadline - FOR_THE_ANSWER.min(at.deadline.saturating_duration_since(Instant::now()));
        let mut told = Told::default();
        for tasks in tasks.chunks(AT_ONCE) {
            let commands: Vec<Command> = tasks.iter().map(|task| on(&task.player.key, task.action.clone())).collect();
            let telling = commands.iter().map(|command| self.carried(at.home, command, at.access, deadline));
            let answers = join_all(telling.map(|telling| timeout_at(deadline, telling))).await;
            for (task, answer) in tasks.iter().zip(answers) {
                let (result, passage) = answer.unwrap_or((Err(Failure::TimeUp), None));
                passage.into_iter().for_each(|passage| trace.passed(passage));
                match result {
                    Ok(_) => told.done += 1,
                    Err(failure) => told.missed.push((task.player.name.clone(), failure)),
                }
            }
        }
        told
    }
}

/// Where it is done, with which rights, by when.
struct Place<'r> {
    home: &'r Home,
    access: &'r Access,
    deadline: Instant,
}

impl Told {
    /// `said` of it, with whom it leaves out. A failure if it was done nowhere.
    fn said(self, said: Say) -> Result<Say, Failure> {
        let mut failures = self.missed.iter().map(|(_, failure)| failure.clone());
        let Some(first) = failures.next() else { return Ok(said) };
        if self.done == 0 {
            return Err(first);
        }
        Ok(Say::Except(Box::new(said), self.missed.into_iter().map(|(name, _)| name).collect(), first))
    }
}

fn on(player: &PlayerKey, action: Action) -> Command {
    // Nobody spoke of this player, so the device is not used with it from now on.
    Command::OnPlayer { target: Target::Key(player.clone()), action, device: None }
}

/// The player whose own name was said.
fn called<'p>(players: &'p [Player], said: &Target) -> Option<&'p Player> {
    let Target::Named(said) = said else { return None };
    players.iter().find(|player| folded(&player.name) == folded(said))
}

/// Whether it is done by playing together.
const fn is_together(action: &Action) -> bool {
    matches!(action, Action::Play { placement: Placement::Replace, .. } | Action::JoinTo(_))
}

/// What is said of `action` when it is done, if it can be done on all players.
fn deed(action: &Action) -> Option<Everywhere> {
    Some(match action {
        Action::Transport(Transport::Pause) => Everywhere::Paused,
        Action::Transport(Transport::Stop) => Everywhere::Stopped,
        Action::Transport(Transport::Play) => Everywhere::Resumed,
        Action::SetVolume(level) => Everywhere::Volume(Some(*level)),
        Action::AdjustVolume(_) => Everywhere::Volume(None),
        Action::SetMute(muted) => Everywhere::Muted(*muted),
        Action::SetSleepTimer(minutes) => Everywhere::SleepTimer(*minutes),
        Action::Unjoin => Everywhere::Alone,
        Action::SetShuffle(_) | Action::SetRepeat(_) | Action::SetAutoplay(_) => Everywhere::Ordered,
        _ => return None,
    })
}

/// Whom `action` concerns.
fn tasks<'p>(action: &Action, players: &'p [Player]) -> Vec<Task<'p>> {
    let has_speakers = players.iter().any(|player| player.kind != PlayerKind::Group);
    // A group's level is made of its members', who are told themselves: told to both, one undoes the other.
    let is_level = matches!(action, Action::SetVolume(_) | Action::AdjustVolume(_) | Action::SetMute(_));
    let left_to_members = |player: &Player| has_speakers && player.kind == PlayerKind::Group && is_level;
    // Who is not there is silent anyway.
    let told = players.iter().filter(|player| player.state.available && !left_to_members(player));
    let concerned = told.filter(|player| concerns(action, player));
    concerned.map(|player| Task { player, action: action.clone() }).collect()
}

fn concerns(action: &Action, player: &Player) -> bool {
    let (can, state) = (&player.can, &player.state);
    let is_on = state.playback != Playback::Stopped;
    match action {
        Action::Transport(Transport::Pause) => state.playback == Playback::Playing,
        Action::Transport(Transport::Stop) => is_on,
        Action::Transport(Transport::Play) => state.playback == Playback::Paused,
        Action::SetVolume(_) => can.volume,
        Action::AdjustVolume(_) => can.volume || can.steps,
        Action::SetMute(_) => can.mute,
        Action::SetSleepTimer(Some(_)) => can.sleep && state.playback == Playback::Playing,
        Action::SetSleepTimer(None) => state.sleep_timer.is_some(),
        Action::SetShuffle(_) | Action::SetRepeat(_) => can.order && is_on,
        Action::SetAutoplay(_) => can.autoplay && is_on,
        Action::Unjoin => can.group && player.kind != PlayerKind::Group,
        _ => false,
    }
}

/// Why there is nobody whom `action` concerns, unless it is so as it was asked for.
fn nothing_to_do(action: &Action) -> Option<Failure> {
    let refusal = match action {
        Action::SetSleepTimer(None) | Action::Unjoin => return None,
        Action::Transport(Transport::Play) => Refusal::NothingToPlay,
        Action::SetVolume(_) | Action::AdjustVolume(_) | Action::SetMute(_) => Refusal::NotSupported,
        _ => Refusal::NothingPlays,
    };
    Some(Failure::Refused(refusal))
}

/// With whom the others are to play: one that can be played along with, the one in use first, else the one that plays. To join, the one
/// that plays comes first: it has the music.
fn lead<'p>(players: &'p [Player], own: Option<&PlayerKey>, action: &Action) -> Option<&'p Player> {
    let there = players.iter().filter(|player| player.state.available);
    let takes = |player: &Player| player.can.group && player.kind != PlayerKind::Group;
    let waits = |player: &Player| matches!(action, Action::JoinTo(_)) && liveliness(player) > 0;
    there.min_by_key(|player| (waits(player), !takes(player), own != Some(&player.key), liveliness(player)))
}

/// Who is to play along with `lead`, and who cannot. Groups are left to their members.
fn followers<'p>(players: &'p [Player], lead: &Player) -> (Vec<Task<'p>>, Vec<(String, Failure)>) {
    let others = players
        .iter()
        .filter(|player| player.state.available && player.kind != PlayerKind::Group && player.key != lead.key);
    let (can, cannot): (Vec<&Player>, Vec<&Player>) = others.partition(|player| player.can.group && lead.can.group);
    let join = |player| Task { player, action: Action::JoinTo(Target::Key(lead.key.clone())) };
    let refused = || Failure::Refused(Refusal::CannotGroup(String::new()));
    let alone = cannot.into_iter().map(|player| (player.name.clone(), refused()));
    (can.into_iter().map(join).collect(), alone.collect())
}

/// A home takes 32 at once, and other people speak to it too.
const AT_ONCE: usize = 8;

/// For a list of players; a home that has not answered by then is left out, where there are several.
const PATIENCE: Duration = Duration::from_secs(2);

/// Kept for saying who has not answered.
const FOR_THE_ANSWER: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use super::*;
    use macloud_e2ee::vocabulary::{Capabilities, MediaQuery, Percent, PlayerState};

    fn player(name: &str, playback: Playback, group: bool) -> Player {
        let can = Capabilities { volume: true, mute: true, group, sleep: true, ..Capabilities::default() };
        let state = PlayerState { available: true, playback, ..PlayerState::default() };
        let key = PlayerKey::derive("server", name);
        Player { key, name: name.into(), kind: PlayerKind::Speaker, manufacturer: None, model: None, can, state }
    }

    fn home() -> Vec<Player> {
        let mut players = vec![
            player("Kitchen", Playback::Playing, true),
            player("Bath", Playback::Paused, true),
            player("Radio", Playback::Stopped, false),
            player("Attic", Playback::Playing, true),
            player("Downstairs", Playback::Playing, false),
        ];
        players[3].state.available = false;
        players[4].kind = PlayerKind::Group;
        players
    }

    fn told(action: &Action) -> Vec<String> {
        tasks(action, &home()).iter().map(|task| task.player.name.clone()).collect()
    }

    #[test]
    fn each_player_that_it_concerns_is_told() {
        assert_eq!(told(&Action::Transport(Transport::Pause)), ["Kitchen", "Downstairs"]);
        assert_eq!(told(&Action::Transport(Transport::Stop)), ["Kitchen", "Bath", "Downstairs"]);
        assert_eq!(told(&Action::Transport(Transport::Play)), ["Bath"]);
        for action in [Action::SetVolume(Percent::ZERO), Action::AdjustVolume(10), Action::SetMute(true)] {
            assert_eq!(told(&action), ["Kitchen", "Bath", "Radio"], "members would be told twice: {action:?}");
        }
        assert_eq!(told(&Action::SetSleepTimer(Some(20))), ["Kitchen", "Downstairs"]);
        assert!(told(&Action::SetSleepTimer(None)).is_empty());
    }

    #[test]
    fn what_must_be_done_once_is_not_done_everywhere() {
        for once in [Transport::Next, Transport::Previous, Transport::Rewind] {
            assert_eq!(deed(&Action::Transport(once)), None);
        }
        for once in [Action::SeekBy(30), Action::SaveCurrent, Action::UseHere, Action::PlaySimilar] {
            assert_eq!(deed(&once), None);
        }
    }

    #[test]
    fn who_can_be_played_along_with_leads() {
        let (players, play) = (home(), Action::Play { media: MediaQuery::default(), placement: Placement::Replace });
        let leads =
            |own: Option<usize>, action| lead(&players, own.map(|at| &players[at].key), action).unwrap().name.clone();
        assert_eq!(leads(Some(1), &play), "Bath", "the one in use");
        assert_eq!(leads(None, &play), "Kitchen", "the one that plays");
        assert_eq!(leads(Some(2), &play), "Kitchen", "the one in use takes nobody");
        assert_eq!(leads(Some(1), &Action::JoinTo(Target::Unnamed)), "Kitchen", "it has the music");
        let (tasks, alone) = followers(&players, &players[0]);
        assert_eq!(tasks, [Task { player: &players[1], action: Action::JoinTo(Target::Key(players[0].key.clone())) }]);
        assert_eq!(alone, [("Radio".to_owned(), Failure::Refused(Refusal::CannotGroup(String::new())))]);
    }

    #[test]
    fn music_that_is_moved_or_grouped_everywhere_is_joined() {
        let (all, kitchen) = (Target::Named("everywhere".into()), Target::Named("kitchen".into()));
        assert_eq!(asked(Target::Unnamed, Action::MoveTo(all.clone())), (all.clone(), Action::JoinTo(Target::Unnamed)));
        assert_eq!(asked(kitchen.clone(), Action::JoinTo(all.clone())), (all, Action::JoinTo(kitchen.clone())));
        let move_it = || Action::MoveTo(Target::Named("bath".into()));
        assert_eq!(asked(kitchen.clone(), move_it()), (kitchen, move_it()));
    }

    #[test]
    fn who_was_left_out_is_named_and_nothing_done_is_a_failure() {
        let missed = || vec![("Bath".to_owned(), Failure::TimeUp)];
        let paused = || Say::Everywhere(Everywhere::Paused);
        assert_eq!(Told { done: 2, missed: Vec::new() }.said(paused()), Ok(paused()));
        let except = Say::Except(Box::new(paused()), vec!["Bath".into()], Failure::TimeUp);
        assert_eq!(Told { done: 1, missed: missed() }.said(paused()), Ok(except));
        assert_eq!(Told { done: 0, missed: missed() }.said(paused()), Err(Failure::TimeUp));
    }
}
