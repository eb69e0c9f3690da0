//! Translate: from Alexa's words to ours. Pure: what is asked, and what the account may do, in; the work to do out.

pub mod intent;

use macloud_e2ee::vocabulary::{Action, Command, MAX_SLEEP_MINUTES, Scopes, Target};
use macloud_proto::ids::PlayerKey;

use crate::directive::{Ask, Endpoint, GrantCode, Request, Thing};
use crate::failure::Failure;
use crate::resolve::{Access, Home};

/// "Louder" without an amount.
pub(crate) const VOLUME_STEP: i8 = 10;

/// The work that a directive means.
#[derive(Debug)]
pub enum Work {
    /// Keep a grant for the event gateway.
    KeepGrant(GrantCode),
    /// Ask every home for its players.
    ListPlayers,
    /// One command to one home.
    Command {
        /// Which home.
        home: Home,
        /// What to do there.
        command: Command,
    },
    /// Another sleep timer than the one that is set: how much later it ends.
    AdjustSleepTimer {
        /// Which home.
        home: Home,
        /// The player there.
        player: PlayerKey,
        /// Minutes.
        by: i16,
    },
}

/// The work that `ask` means for someone with this access.
///
/// # Errors
/// When the access does not cover it, or the endpoint is in none of the account's homes.
pub fn directive(ask: Ask, access: &Access) -> Result<Work, Failure> {
    match ask {
        Ask::AcceptGrant(code) => Ok(Work::KeepGrant(code)),
        Ask::Discover if !access.scopes.cover(&Command::ListPlayers) => Err(Failure::ScopeMissing),
        Ask::Discover => Ok(Work::ListPlayers),
        Ask::OnEndpoint(endpoint, request) => {
            let Endpoint { instance, thing } = endpoint.ok_or(Failure::NoSuchEndpoint)?;
            let home = access.homes.iter().find(|home| home.instance == instance).ok_or(Failure::NoSuchEndpoint)?;
            on_endpoint(home.clone(), thing, request, access.scopes)
        }
    }
}

fn on_endpoint(home: Home, thing: Thing, request: Request, scopes: Scopes) -> Result<Work, Failure> {
    let (target, action) = match (thing, request) {
        (Thing::Player(player), Request::AdjustSleepTimer(by)) => {
            // What it is set to has to be read first.
            let granted = scopes.read && scopes.control;
            return if granted { Ok(Work::AdjustSleepTimer { home, player, by }) } else { Err(Failure::ScopeMissing) };
        }
        (Thing::Player(player), request) => (Target::Key(player), action(request)),
        // A favourite has no place of its own: it is played where music plays, or did last.
        (Thing::Scene(preset), Request::Activate) => (Target::Unnamed, Some(Action::PlayPreset(preset))),
        (Thing::Scene(_), _) => (Target::Unnamed, None),
    };
    let action = action.ok_or(Failure::InvalidDirective("the endpoint has no such interface"))?;
    if !scopes.cover_action(&action) {
        return Err(Failure::ScopeMissing);
    }
    Ok(Work::Command { home, command: Command::OnPlayer { target, action, device: None } })
}

/// What it means on a player, if it can be asked of one, by itself.
fn action(request: Request) -> Option<Action> {
    Some(match request {
        Request::ReportState => Action::Read,
        Request::Power(on) => Action::SetPower(on),
        Request::SetVolume(level) => Action::SetVolume(level),
        Request::AdjustVolume { by, unspecified: true } => Action::AdjustVolume(by.signum() * VOLUME_STEP),
        Request::AdjustVolume { by, unspecified: false } => Action::AdjustVolume(by),
        Request::SetMute(mute) => Action::SetMute(mute),
        Request::Transport(transport) => Action::Transport(transport),
        Request::Shuffle(on) => Action::SetShuffle(on),
        Request::Repeat(repeat) => Action::SetRepeat(repeat),
        Request::SeekBy(seconds) => Action::SeekBy(seconds),
        Request::Autoplay(on) => Action::SetAutoplay(on),
        Request::SleepTimer(minutes) => Action::SetSleepTimer(minutes),
        Request::Preset(preset) => Action::PlayPreset(preset),
        Request::AdjustSleepTimer(_) | Request::Activate => return None,
    })
}

/// The sleep timer that is so much later than another, or none when that is now.
#[must_use]
pub fn adjusted(minutes: Option<u16>, by: i16) -> Option<u16> {
    let minutes = minutes.unwrap_or(0).saturating_add_signed(by).min(MAX_SLEEP_MINUTES);
    (minutes > 0).then_some(minutes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use macloud_proto::ids::{AccountId, GrantId, InstanceId, PresetKey};

    fn access(scopes: Scopes) -> Access {
        Access {
            account: AccountId::from_bytes(&[1; 16]),
            grant: GrantId::from_bytes(&[2; 16]),
            scopes,
            homes: vec![Home {
                instance: InstanceId::from_bytes(&[3; 16]),
                name: "Home".into(),
                identity: [4; 32],
                paused: false,
            }],
        }
    }

    fn on_endpoint(instance: u8, request: Request) -> Ask {
        on(instance, Thing::Player(PlayerKey::from_bytes(&[5; 15])), request)
    }

    fn on(instance: u8, thing: Thing, request: Request) -> Ask {
        let instance = InstanceId::from_bytes(&[instance; 16]);
        Ask::OnEndpoint(Some(Endpoint { instance, thing }), request)
    }

    const ALL: Scopes = Scopes { read: true, control: true };
    const READ: Scopes = Scopes { read: true, control: false };

    #[test]
    fn a_step_without_an_amount_is_ten_in_the_direction_said() {
        assert_eq!(action(Request::AdjustVolume { by: -3, unspecified: true }), Some(Action::AdjustVolume(-10)));
        assert_eq!(action(Request::AdjustVolume { by: 10, unspecified: true }), Some(Action::AdjustVolume(10)));
        assert_eq!(action(Request::AdjustVolume { by: -3, unspecified: false }), Some(Action::AdjustVolume(-3)));
    }

    #[test]
    fn nothing_passes_without_scope_or_home() {
        let power = || on_endpoint(3, Request::Power(true));
        assert!(matches!(directive(power(), &access(ALL)), Ok(Work::Command { .. })));
        assert_eq!(directive(power(), &access(READ)).unwrap_err(), Failure::ScopeMissing);
        let elsewhere = directive(on_endpoint(9, Request::Power(true)), &access(ALL));
        assert_eq!(elsewhere.unwrap_err(), Failure::NoSuchEndpoint);
        let read = directive(on_endpoint(3, Request::ReportState), &access(READ));
        assert!(matches!(read, Ok(Work::Command { .. })));
        assert_eq!(directive(Ask::Discover, &access(Scopes::default())).unwrap_err(), Failure::ScopeMissing);
    }

    #[test]
    fn a_favourite_is_played_on_whichever_player_is_meant_and_takes_nothing_else() {
        let scene = || Thing::Scene(PresetKey::from_bytes(&[6; 15]));
        let Ok(Work::Command { command, .. }) = directive(on(3, scene(), Request::Activate), &access(ALL)) else {
            panic!("it is a command")
        };
        let action = Action::PlayPreset(PresetKey::from_bytes(&[6; 15]));
        assert_eq!(command, Command::OnPlayer { target: Target::Unnamed, action, device: None });
        assert_eq!(directive(on(3, scene(), Request::Activate), &access(READ)).unwrap_err(), Failure::ScopeMissing);
        for wrong in [
            on(3, scene(), Request::Power(true)),
            on(3, scene(), Request::ReportState),
            on_endpoint(3, Request::Activate),
        ] {
            assert!(matches!(directive(wrong, &access(ALL)), Err(Failure::InvalidDirective(_))));
        }
    }

    #[test]
    fn a_sleep_timer_is_adjusted_from_what_it_is_and_needs_both_scopes() {
        for (before, by, after) in [
            (Some(20), 10, Some(30)),
            (Some(20), -20, None),
            (Some(20), -30, None),
            (None, 15, Some(15)),
            (None, -15, None),
            (Some(700), 60, Some(720)),
        ] {
            assert_eq!(adjusted(before, by), after, "{before:?} {by}");
        }
        let adjust = || on_endpoint(3, Request::AdjustSleepTimer(5));
        assert!(matches!(directive(adjust(), &access(ALL)), Ok(Work::AdjustSleepTimer { by: 5, .. })));
        for scopes in [READ, Scopes { read: false, control: true }] {
            assert_eq!(directive(adjust(), &access(scopes)).unwrap_err(), Failure::ScopeMissing);
        }
    }
}
