//! Choose: which of several homes a spoken request means.
//!
//! A directive of the smart home side names its endpoint. A spoken request names a player at most. With several homes,
//! one whose name was said is asked alone ("the kitchen in the cottage"); else all are asked whom they would take: the
//! player that the device is used with comes first, whatever plays elsewhere. Only the right home is then told to do it.

use futures_util::future::join_all;
use macloud_e2ee::vocabulary::{Action, Command, DeviceKey, Playback, Player, Refusal, Reply, Scopes, Target};
use macloud_proto::ids::{InstanceId, PlayerKey};
use tokio::time::{Duration, Instant, timeout_at};

use crate::answer::speech::Locale;
use crate::failure::Failure;
use crate::package;
use crate::passage::Carrier;
use crate::resolve::{Access, Home};
use crate::trace::HopTrace;

/// A home that has not answered by then is left out, so that a silent one does not take everybody's time.
const PATIENCE: Duration = Duration::from_secs(2);

/// Who asks for something spoken.
#[derive(Clone, Copy)]
pub(crate) struct Speaker<'a> {
    /// What they may do, and where.
    pub(crate) access: &'a Access,
    /// The device that they spoke to.
    pub(crate) device: Option<DeviceKey>,
    /// Their language.
    pub(crate) locale: Locale,
}

/// The home to do `action` in, and the player there.
pub(crate) async fn home<'a>(
    carrier: &Carrier,
    speaker: Speaker<'a>,
    target: Target,
    action: &Action,
    deadline: Instant,
    trace: &mut HopTrace,
) -> Result<(&'a Home, Target), Failure> {
    let access = speaker.access;
    if !access.scopes.cover_action(action) {
        return Err(Failure::ScopeMissing);
    }
    let open: Vec<&Home> = access.homes.iter().filter(|home| !home.paused).collect();
    match open.as_slice() {
        [] => Err(access.homes.first().map_or(Failure::NoHome, |_| Failure::HomePaused)),
        [only] => Ok((only, target)),
        _ if !access.scopes.cover_action(&Action::Read) => Err(Failure::ScopeMissing),
        several => {
            let deadline = deadline.min(Instant::now() + PATIENCE);
            Asking { carrier, speaker, deadline, trace }.among(several, target).await
        }
    }
}

/// The homes that may be meant where all players are: the one whose name was said, or any. `None` where a player was named.
pub(crate) fn meant_whole(access: &Access, target: &Target) -> Option<Vec<Home>> {
    let means_all = |target: &Target| matches!(target, Target::Named(name) if package::means_all(name));
    if means_all(target) {
        return Some(access.homes.clone());
    }
    // "Everything in the cottage", or all of the cottage.
    let homes: Vec<&Home> = access.homes.iter().collect();
    let (home, rest) = named_home(&homes, target)?;
    means_all(&rest).then(|| vec![home.clone()])
}

/// The player that the device is used with, and its home.
pub(crate) async fn own_player(
    carrier: &Carrier,
    speaker: Speaker<'_>,
    homes: &[&Home],
    deadline: Instant,
    trace: &mut HopTrace,
) -> Option<(InstanceId, PlayerKey)> {
    speaker.device?;
    let mut asking = Asking { carrier, speaker, deadline, trace };
    let asked = asking.ask(homes, &Target::Unnamed).await;
    let mut own = asked.into_iter().filter_map(|(home, answer)| Some((home, answer.ok()?)));
    let (home, taken) = own.find(|(_, taken)| taken.used_here)?;
    Some((home.instance.clone(), taken.player.key))
}

/// Whom a home would take.
struct Taken {
    player: Player,
    /// It is the one that the device is used with.
    used_here: bool,
}

/// Asks homes whom they would take.
struct Asking<'c> {
    carrier: &'c Carrier,
    speaker: Speaker<'c>,
    deadline: Instant,
    trace: &'c mut HopTrace,
}

impl Asking<'_> {
    async fn among<'h>(&mut self, homes: &[&'h Home], target: Target) -> Result<(&'h Home, Target), Failure> {
        if let Some((home, target)) = named_home(homes, &target) {
            match self.ask(&[home], &target).await.remove(0).1 {
                // The home's name may have been part of a player's.
                Err(Failure::Refused(Refusal::NoPlayerNamed(_))) => {}
                Err(Failure::Refused(Refusal::WhichPlayer(names))) => {
                    let names = names.iter().map(|name| self.speaker.locale.in_home(name, &home.name)).collect();
                    return Err(Failure::Refused(Refusal::WhichPlayer(names)));
                }
                found => return found.map(|found| (home, Target::Key(found.player.key))),
            }
        }
        let (mut found, mut failures) = (Vec::new(), Vec::new());
        for (home, answer) in self.ask(homes, &target).await {
            match answer {
                Ok(taken) => found.push((home, taken)),
                Err(failure) => failures.push(failure),
            }
        }
        most_likely(found, &target, failures, self.speaker.locale).map(|(home, player)| (home, Target::Key(player.key)))
    }

    async fn ask<'h>(&mut self, homes: &[&'h Home], target: &Target) -> Vec<(&'h Home, Result<Taken, Failure>)> {
        // A home that is only asked must not take the player for the one that the device is used with from now on.
        let device = self.speaker.device.filter(|_| *target == Target::Unnamed);
        let read = Command::OnPlayer { target: target.clone(), action: Action::Read, device };
        let scopes: Scopes = self.speaker.access.scopes;
        let carried = homes.iter().map(|home| self.carrier.carry(home, &read, scopes, self.deadline));
        let answers = join_all(carried.map(|carried| timeout_at(self.deadline, carried))).await;
        let in_turn = homes.iter().copied().zip(answers);
        in_turn.map(|(home, answer)| (home, self.taken(answer.ok()))).collect()
    }

    fn taken(&mut self, answer: Option<(Result<Reply, Failure>, crate::trace::Passage)>) -> Result<Taken, Failure> {
        let (result, passage) = answer.ok_or(Failure::TimeUp)?;
        self.trace.passed(passage);
        match result? {
            Reply::Done { player, used_here, .. } => Ok(Taken { player, used_here }),
            Reply::Players { .. } | Reply::Refused(_) => Err(Failure::UnexpectedReply),
        }
    }
}

/// The home whose name is among the words that were said, and the words that are left for its player.
fn named_home<'h>(homes: &[&'h Home], target: &Target) -> Option<(&'h Home, Target)> {
    let Target::Named(said) = target else { return None };
    let said = words(said);
    let mut named: Vec<(usize, &Home, Target)> =
        homes.iter().filter_map(|home| without(&said, &words(&home.name)).map(|(n, rest)| (n, *home, rest))).collect();
    // "Summer Cottage" is meant rather than "Cottage".
    named.sort_by_key(|(length, ..)| std::cmp::Reverse(*length));
    let mut named = named.into_iter();
    let (length, home, rest) = named.next()?;
    // Two of the same name are told apart by what is in them.
    if named.next().is_some_and(|(other, ..)| other == length) { None } else { Some((home, rest)) }
}

/// How many words `name` has, and what was said besides it. `None` if it was not said.
fn without(said: &[String], name: &[String]) -> Option<(usize, Target)> {
    if name.is_empty() {
        return None;
    }
    let at = said.windows(name.len()).rposition(|window| window == name)?;
    let rest = [&said[..at], &said[at + name.len()..]].concat();
    let is_joint = |word: &&String| JOINTS.contains(&word.as_str());
    let leading = rest.iter().take_while(is_joint).count();
    let trailing = rest[leading..].iter().rev().take_while(is_joint).count();
    let rest = &rest[leading..rest.len() - trailing];
    let target = if rest.is_empty() { Target::Unnamed } else { Target::Named(rest.join(" ")) };
    Some((name.len(), target))
}

fn words(text: &str) -> Vec<String> {
    // "The cottage's kitchen".
    let text = text.to_lowercase().replace("'s", "").replace("’s", "");
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// What joins a player's name and a home's.
const JOINTS: [&str; 57] = [
    "in", "at", "of", "on", "the", "my", "our", "from", // English
    "im", "am", "auf", "bei", "von", "vom", "der", "die", "das", "dem", "den", "mein", "meine", "meinem", "meiner",
    "unser", "dans", "chez", "à", "au", "de", "du", "la", "le", "les", "ma", "mon", "notre", // French
    "en", "del", "el", "mi", "nuestra", // Spanish
    "a", "nel", "nella", "di", "della", "il", "lo", "mia", "mio", // Italian
    "op", "bij", "van", "het", "mijn", "ons", "onze", // Dutch
];

/// The one that the device is used with, or that plays, or else is paused. A name that fits players in several idle homes must be
/// said more exactly.
fn most_likely<'h>(
    found: Vec<(&'h Home, Taken)>,
    target: &Target,
    failures: Vec<Failure>,
    locale: Locale,
) -> Result<(&'h Home, Player), Failure> {
    let is_known = found.iter().any(|(_, taken)| taken.used_here);
    let candidates = found.into_iter().filter(|(_, taken)| taken.used_here || !is_known);
    let mut found: Vec<(&Home, Player)> = candidates.map(|(home, taken)| (home, taken.player)).collect();
    found.sort_by_key(|(home, player)| (liveliness(player), home.instance.clone()));
    let mut found = found.into_iter();
    let Some((home, player)) = found.next() else { return Err(most_telling(failures)) };
    let rivals: Vec<(&Home, Player)> =
        found.take_while(|(_, rival)| liveliness(rival) == liveliness(&player)).collect();
    if rivals.is_empty() || *target == Target::Unnamed {
        return Ok((home, player));
    }
    let all = [(home, player)].into_iter().chain(rivals);
    let names = all.map(|(home, player)| locale.in_home(&player.name, &home.name)).collect();
    Err(Failure::Refused(Refusal::WhichPlayer(names)))
}

/// Less is more likely to be meant.
pub(crate) const fn liveliness(player: &Player) -> u8 {
    match player.state.playback {
        Playback::Playing => 0,
        Playback::Paused => 1,
        Playback::Stopped => 2,
    }
}

/// Several homes failed, each in its way: what a person can do something about comes first.
fn most_telling(failures: Vec<Failure>) -> Failure {
    let rank = |failure: &Failure| match failure {
        Failure::Refused(Refusal::WhichPlayer(_)) => 0,
        Failure::Refused(Refusal::NoPlayerNamed(_)) => 1,
        Failure::Refused(_) => 2,
        _ => 3,
    };
    failures.into_iter().min_by_key(rank).unwrap_or(Failure::NoHome)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home(number: u8, name: &str) -> Home {
        let instance = InstanceId::from_bytes(&[number; 16]);
        Home { instance, name: name.into(), identity: [0; 32], paused: false }
    }

    #[test]
    fn a_home_is_found_in_what_was_said() {
        let homes = [home(1, "Home"), home(2, "Cottage"), home(3, "Summer Cottage"), home(4, "Büro"), home(5, "🏠")];
        let homes: Vec<&Home> = homes.iter().collect();
        let named = |said: &str| {
            let found = named_home(&homes, &Target::Named(said.into()));
            found.map(|(home, rest)| match rest {
                Target::Named(rest) => (home.name.clone(), rest),
                _ => (home.name.clone(), String::new()),
            })
        };
        for (said, name, rest) in [
            ("kitchen in Home", "Home", "kitchen"),
            ("the kitchen in the cottage", "Cottage", "kitchen"),
            ("cottage kitchen", "Cottage", "kitchen"),
            ("the cottage's kitchen", "Cottage", "kitchen"),
            ("in the cottage", "Cottage", ""),
            ("kitchen at my summer cottage", "Summer Cottage", "kitchen"),
            ("küche im büro", "Büro", "küche"),
            ("la cuisine du Cottage", "Cottage", "cuisine"),
            ("cocina en mi cottage", "Cottage", "cocina"),
            ("de keuken in het cottage", "Cottage", "keuken"),
        ] {
            assert_eq!(named(said), Some((name.into(), rest.into())), "{said}");
        }
        for said in ["kitchen", "", "homely", "cottages kitchen"] {
            assert_eq!(named(said), None, "{said}");
        }
        assert_eq!(named_home(&homes, &Target::Unnamed), None);
        let twice = [home(1, "Home"), home(2, "Home")];
        assert_eq!(named_home(&twice.iter().collect::<Vec<_>>(), &Target::Named("kitchen in home".into())), None);
    }
}
