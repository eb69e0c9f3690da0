//! Which Alexa error type stands for which failure: one exhaustive match.
//!
//! Two rules stand behind it. A fault that may pass by itself is never an authentication error, because people lose
//! their link that way. And the message is for logs at Amazon: fixed text, no names.

use macloud_e2ee::vocabulary::Refusal;
use macloud_proto::bus::v1::{not_sent, unknown};

use crate::directive::Kind;
use crate::failure::{Failure, TokenFault};

/// An `ErrorResponse`'s namespace, type and message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlexaError {
    /// Whose errors it is one of.
    pub namespace: &'static str,
    /// Alexa's name of the error; it may speak about it.
    pub kind: &'static str,
    /// For logs.
    pub message: &'static str,
}

const fn error(kind: &'static str, message: &'static str) -> AlexaError {
    AlexaError { namespace: "Alexa", kind, message }
}

/// The error that Alexa gets for `failure` when it asked for something of this kind.
#[must_use]
pub fn to(asked: Kind, failure: &Failure) -> AlexaError {
    match (asked, failure) {
        // Whatever went wrong, this is the only error that Alexa knows here.
        (Kind::AcceptGrant, _) => {
            AlexaError { namespace: "Alexa.Authorization", kind: "ACCEPT_GRANT_FAILED", ..alexa(failure) }
        }
        (Kind::Seek, Failure::Refused(Refusal::NotSupported | Refusal::NothingToPlay | Refusal::NothingPlays)) => {
            AlexaError {
                namespace: "Alexa.Video",
                ..error("ACTION_NOT_PERMITTED_FOR_CONTENT", "What plays, if anything, has no places to go to.")
            }
        }
        // The endpoint is the favourite, not a player.
        (Kind::Scene, Failure::Refused(Refusal::UnknownPreset)) => {
            error("NO_SUCH_ENDPOINT", "There is no such favourite any more.")
        }
        (
            Kind::Scene,
            Failure::Refused(Refusal::WhichPlayer(_) | Refusal::NoPlayerNamed(_) | Refusal::UnknownPlayer),
        ) => error("NOT_IN_OPERATION", "No player is in use that it could be played on."),
        _ => alexa(failure),
    }
}

/// The error that Alexa gets for `failure`.
#[must_use]
pub fn alexa(failure: &Failure) -> AlexaError {
    match failure {
        Failure::InvalidDirective(rule) => error("INVALID_DIRECTIVE", rule),
        Failure::OutOfRange { .. } => error("VALUE_OUT_OF_RANGE", "The value is outside the allowed range."),
        Failure::NoSuchMode => error("INVALID_VALUE", "The endpoint has no such mode."),
        Failure::Token(fault) => token(*fault),
        Failure::ScopeMissing => error("INSUFFICIENT_PERMISSIONS", "The account link does not include this."),
        Failure::NoSuchEndpoint => error("NO_SUCH_ENDPOINT", "No home of this account has such an endpoint."),
        Failure::NoHome => error("BRIDGE_UNREACHABLE", "No home is paired with this account."),
        Failure::HomePaused => error("INSUFFICIENT_PERMISSIONS", "The owner has stopped remote control of this home."),
        Failure::AccountsAway => error("BRIDGE_UNREACHABLE", "Accounts cannot be looked up at the moment."),
        Failure::BusAway => error("BRIDGE_UNREACHABLE", "Homes cannot be reached at the moment."),
        Failure::NotSent(reason) => not_sent(*reason),
        Failure::Away(_) => not_sent(not_sent::Reason::NotConnected),
        Failure::UsedUp(_) => error("RATE_LIMIT_EXCEEDED", "Today's commands of the plan are used up."),
        Failure::Unknown(reason) => unknown(*reason),
        Failure::TimeUp => error("BRIDGE_UNREACHABLE", "The home did not answer in time."),
        Failure::HomeUntrusted => error("BRIDGE_UNREACHABLE", "The home could not prove that it is the paired one."),
        Failure::SessionBroken => error("BRIDGE_UNREACHABLE", "No secure session with the home could be set up."),
        Failure::UnexpectedReply => error("INTERNAL_ERROR", "The home answered something else than was asked."),
        Failure::SameName(_) => error("NO_SUCH_ENDPOINT", "Several players have this name."),
        Failure::Refused(refusal) => refused(refusal),
        Failure::GrantNotAccepted => error("INTERNAL_ERROR", "The grant for events could not be exchanged or kept."),
    }
}

fn token(fault: TokenFault) -> AlexaError {
    match fault {
        TokenFault::Expired => error("EXPIRED_AUTHORIZATION_CREDENTIAL", "The access token has expired."),
        TokenFault::Invalid => error("INVALID_AUTHORIZATION_CREDENTIAL", "The access token is not valid."),
        TokenFault::Suspended => error("INSUFFICIENT_PERMISSIONS", "The account is suspended."),
    }
}

fn not_sent(reason: not_sent::Reason) -> AlexaError {
    use not_sent::Reason;
    match reason {
        Reason::NotConnected => error("BRIDGE_UNREACHABLE", "The home is not connected."),
        Reason::Busy => error("ENDPOINT_BUSY", "The home has too much to do."),
        Reason::RateLimited => error("RATE_LIMIT_EXCEEDED", "The home was asked too much in too little time."),
        Reason::Draining | Reason::LinkLost | Reason::Unlocated => {
            error("BRIDGE_UNREACHABLE", "The link to the home broke.")
        }
        Reason::Deadline => error("BRIDGE_UNREACHABLE", "The home could not be asked in time."),
        Reason::Paused => error("INSUFFICIENT_PERMISSIONS", "The owner has stopped remote control of this home."),
        Reason::UsedUp => error("RATE_LIMIT_EXCEEDED", "Today's commands of the plan are used up."),
        Reason::Cancelled | Reason::Invalid | Reason::Unspecified => {
            error("INTERNAL_ERROR", "The command could not be sent.")
        }
    }
}

fn unknown(reason: unknown::Reason) -> AlexaError {
    use unknown::Reason;
    match reason {
        Reason::Deadline => error("BRIDGE_UNREACHABLE", "The home did not answer in time."),
        Reason::LinkLost => error("BRIDGE_UNREACHABLE", "The link to the home broke before it answered."),
        Reason::Unresponsive => error("BRIDGE_UNREACHABLE", "The home does not respond."),
        Reason::Unspecified => error("BRIDGE_UNREACHABLE", "The home did not answer."),
    }
}

fn refused(refusal: &Refusal) -> AlexaError {
    match refusal {
        Refusal::UnknownPlayer => error("NO_SUCH_ENDPOINT", "The player is not exposed any more."),
        Refusal::NoPlayerNamed(_) => error("NO_SUCH_ENDPOINT", "No player has this name."),
        Refusal::WhichPlayer(_) => error("NO_SUCH_ENDPOINT", "Several players could be meant."),
        Refusal::PlayerUnavailable(_) => error("ENDPOINT_UNREACHABLE", "Music Assistant cannot reach the player."),
        Refusal::MediaNotFound | Refusal::MediaNotFoundYet => error("INVALID_VALUE", "Nothing was found."),
        Refusal::DidYouMean(_) => error("INVALID_VALUE", "Nothing was found for sure."),
        Refusal::UnknownPreset => error("INVALID_VALUE", "There is no such favourite any more."),
        Refusal::NothingToPlay => error("NOT_IN_OPERATION", "Nothing is queued or playing."),
        Refusal::NothingPlays => error("NOT_IN_OPERATION", "Nothing is playing."),
        Refusal::CannotGroup(_) => error("INVALID_DIRECTIVE", "The players cannot play together."),
        Refusal::NotSupported => error("INVALID_DIRECTIVE", "The player cannot do that."),
        Refusal::PlayerBusy => error("ENDPOINT_BUSY", "The player cannot be interrupted at the moment."),
        Refusal::MusicAssistantAway(_) => error("BRIDGE_UNREACHABLE", "Music Assistant does not answer its connector."),
        Refusal::MusicAssistantStarting => error("BRIDGE_UNREACHABLE", "Music Assistant is starting."),
        // An authentication error at home, not of Alexa's link: that one is healthy and must stay.
        Refusal::MusicAssistantRefusesToken => {
            error("BRIDGE_UNREACHABLE", "Music Assistant does not accept its connector any more.")
        }
        Refusal::MusicAssistantFailed => error("INTERNAL_ERROR", "Music Assistant failed to do it."),
        Refusal::Late => error("BRIDGE_UNREACHABLE", "The command reached the home too late."),
        Refusal::NotGranted => error("INSUFFICIENT_PERMISSIONS", "The account link does not include this."),
        Refusal::Stopped => error("INSUFFICIENT_PERMISSIONS", "The owner has stopped remote control at home."),
        Refusal::Busy => error("ENDPOINT_BUSY", "The home has too much to do."),
        Refusal::UnknownCommand => error("FIRMWARE_OUT_OF_DATE", "The connector at home is too old for this."),
        Refusal::Internal => error("INTERNAL_ERROR", "The connector at home failed."),
        Refusal::VolumeLimited(_) => error("VALUE_OUT_OF_RANGE", "The owner limits this player's volume."),
        Refusal::QuietHours(_) => error("INSUFFICIENT_PERMISSIONS", "It is a quiet hour at home."),
        Refusal::OutcomeUnknown => {
            error("ENDPOINT_UNREACHABLE", "Music Assistant has not answered; it may still do it.")
        }
    }
}
