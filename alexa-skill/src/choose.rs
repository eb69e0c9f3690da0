//! Choose: which of several homes a spoken request means.
//!
//! A directive of the smart home side names its endpoint. A spoken request names a player at most, so with several homes
//! all are asked whom they would take, and only the right one is told to do it.

use futures_util::future::join_all;
use macloud_e2ee::vocabulary::{Action, Command, Playback, Player, Refusal, Reply, Target};
use tokio::time::Instant;

use crate::failure::Failure;
use crate::passage::Carrier;
use crate::resolve::{Access, Home};
use crate::trace::HopTrace;
use crate::translate::permitted;

/// The home to ask, and the command for it.
pub(crate) async fn home(
    carrier: &Carrier,
    access: &Access,
    command: Command,
    deadline: Instant,
    trace: &mut HopTrace,
) -> Result<(Home, Command), Failure> {
    let mut open = access.homes.iter().filter(|home| !home.paused);
    match (open.next(), open.next()) {
        (None, _) => Err(access.homes.first().map_or(Failure::NoHome, |_| Failure::HomePaused)),
        (Some(only), None) => {
            permitted(only, &command, access.scopes)?;
            Ok((only.clone(), command))
        }
        (Some(_), Some(_)) => among_several(carrier, access, command, deadline, trace).await,
    }
}

async fn among_several(
    carrier: &Carrier,
    access: &Access,
    command: Command,
    deadline: Instant,
    trace: &mut HopTrace,
) -> Result<(Home, Command), Failure> {
    let Command::OnPlayer { target, action } = command else { return Err(Failure::UnexpectedReply) };
    let homes: Vec<&Home> = access.homes.iter().filter(|home| !home.paused).collect();
    let would_do = Command::OnPlayer { target: target.clone(), action: action.clone() };
    let read = Command::OnPlayer { target: target.clone(), action: Action::Read };
    for home in &homes {
        permitted(home, &would_do, access.scopes)?;
        permitted(home, &read, access.scopes)?;
    }
    let asked = join_all(homes.iter().map(|home| carrier.carry(home, &read, access.scopes, deadline))).await;
    let mut found = Vec::new();
    let mut failures = Vec::new();
    for (home, (result, passage)) in homes.into_iter().zip(asked) {
        trace.passed(passage);
        match result {
            Ok(Reply::Done { player, .. }) => found.push((home, player)),
            Ok(_) => failures.push(Failure::UnexpectedReply),
            Err(failure) => failures.push(failure),
        }
    }
    let (home, player) = most_likely(found, &target, failures)?;
    Ok((home.clone(), Command::OnPlayer { target: Target::Key(player.key), action }))
}

/// The one that plays, or else is paused. A name that fits players in several idle homes must be said more exactly.
fn most_likely<'h>(
    mut found: Vec<(&'h Home, Player)>,
    target: &Target,
    failures: Vec<Failure>,
) -> Result<(&'h Home, Player), Failure> {
    found.sort_by_key(|(home, player)| (liveliness(player), home.instance.clone()));
    let mut found = found.into_iter();
    let Some((home, player)) = found.next() else { return Err(most_telling(failures)) };
    let rivals: Vec<(&Home, Player)> =
        found.take_while(|(_, rival)| liveliness(rival) == liveliness(&player)).collect();
    if rivals.is_empty() || *target == Target::Unnamed {
        return Ok((home, player));
    }
    let all = [(home, player)].into_iter().chain(rivals);
    let names = all.map(|(home, player)| format!("{} in {}", player.name, home.name)).collect();
    Err(Failure::Refused(Refusal::WhichPlayer(names)))
}

const fn liveliness(player: &Player) -> u8 {
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
