//! Translate: from Alexa's words to ours. Pure: what is asked, and what the account may do, in; the work to do out.

pub mod intent;

use macloud_e2ee::vocabulary::{Action, Command, Target};

use crate::directive::{Ask, Endpoint, GrantCode, Request};
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
            let Endpoint { instance, player } = endpoint.ok_or(Failure::NoSuchEndpoint)?;
            let target = Target::Key(player);
            let command = Command::OnPlayer { target, action: action(request), device: None };
            let home = access.homes.iter().find(|home| home.instance == instance).ok_or(Failure::NoSuchEndpoint)?;
            if !access.scopes.cover(&command) {
                return Err(Failure::ScopeMissing);
            }
            Ok(Work::Command { home: home.clone(), command })
        }
    }
}

fn action(request: Request) -> Action {
    match request {
        Request::ReportState => Action::Read,
        Request::Power(on) => Action::SetPower(on),
        Request::SetVolume(level) => Action::SetVolume(level),
        Request::AdjustVolume { by, unspecified: true } => Action::AdjustVolume(by.signum() * VOLUME_STEP),
        Request::AdjustVolume { by, unspecified: false } => Action::AdjustVolume(by),
        Request::SetMute(mute) => Action::SetMute(mute),
        Request::Transport(transport) => Action::Transport(transport),
        Request::Shuffle(on) => Action::SetShuffle(on),
        Request::Repeat(repeat) => Action::SetRepeat(repeat),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use macloud_e2ee::vocabulary::Scopes;
    use macloud_proto::ids::{AccountId, GrantId, InstanceId, PlayerKey};

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
        let instance = InstanceId::from_bytes(&[instance; 16]);
        Ask::OnEndpoint(Some(Endpoint { instance, player: PlayerKey::from_bytes(&[5; 15]) }), request)
    }

    const ALL: Scopes = Scopes { read: true, control: true };
    const READ: Scopes = Scopes { read: true, control: false };

    #[test]
    fn a_step_without_an_amount_is_ten_in_the_direction_said() {
        assert_eq!(action(Request::AdjustVolume { by: -3, unspecified: true }), Action::AdjustVolume(-10));
        assert_eq!(action(Request::AdjustVolume { by: 10, unspecified: true }), Action::AdjustVolume(10));
        assert_eq!(action(Request::AdjustVolume { by: -3, unspecified: false }), Action::AdjustVolume(-3));
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
}
