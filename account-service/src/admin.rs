//! What an operator does, from the command line or through the API for operators: on the database itself, so the service
//! may be running beside it. Everything that changes something, or shows who people are, is noted in the audit.

mod audit;
mod backup;
mod clients;
mod homes;
mod keys;
mod users;

use macloud_proto::ids::AccountId;

use crate::key_ring::KeyFileError;
use crate::oauth::PAIRING_CLIENT;
use crate::passwords::{PasswordError, PasswordRule};
use crate::signing::SigningError;
use crate::store::StoreError;

pub(crate) use self::audit::Act;
pub use self::audit::Actor;
pub use self::clients::{ClientChange, ClientView, CreatedClient, NewClient, check_new_client};
pub use self::homes::Home;
pub use self::keys::{PublishedKey, Resealed};
pub use self::users::{User, UserDetails, check_new_user};

/// Why an operator's wish was not done.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The text is no e-mail address.
    #[error("that is not an e-mail address")]
    Email,
    /// The text is neither an e-mail address nor the id of an account.
    #[error("that is neither an e-mail address nor the id of an account")]
    Who,
    /// The password breaks a rule.
    #[error(transparent)]
    Password(#[from] PasswordRule),
    /// Hashing failed, or too much else is being hashed.
    #[error("the password could not be hashed; try again")]
    Hashing,
    /// The e-mail address or client id is in use.
    #[error("{0} exists already")]
    Exists(&'static str),
    /// No account or client of that name.
    #[error("there is no such {0}")]
    Unknown(&'static str),
    /// The client id has characters that would have to be encoded, or is reserved.
    #[error("a client id has 1 to 64 letters, digits, '-', '_' or '.', and {PAIRING_CLIENT:?} is reserved")]
    ClientId,
    /// A redirect URI that codes must not be sent to.
    #[error("a redirect URI must be https (or http on loopback), without fragment: {0:?}")]
    RedirectUri(String),
    /// Alexa would refuse such a token.
    #[error("access tokens must live between 1 second and 30 days")]
    AccessTokenSeconds,
    /// A secret that has no end could as well not have been replaced.
    #[error("an old secret may stay good for 30 days at most")]
    SecretOverlap,
    /// Only clients with a secret have one to replace.
    #[error("this client has no secret: {0}")]
    NoSecret(&'static str),
    /// The keys of a client.
    #[error("the keys are not usable: {0}")]
    Keys(&'static str),
    /// A scope that no client can have in its own name.
    #[error("a client can have these scopes in its own name: {}", crate::oauth::OWN_SCOPES.join(", "))]
    OwnScopes,
    /// A combination that makes no sense.
    #[error("{0}")]
    Combination(&'static str),
    /// Nothing to do.
    #[error("{0}")]
    Already(&'static str),
    /// A public client cannot have overlapping rotation: nothing but the token itself proves who refreshes.
    #[error("overlapping rotation needs a confidential client")]
    Rotation,
    /// The text cannot be a plan's name.
    #[error("a plan's name has 1 to 32 letters, digits and hyphens")]
    PlanName,
    /// Something in the database that the key file cannot open.
    #[error("{0} things in the database do not open with any key of the file: nothing was dropped")]
    Unreadable(usize),
    /// Something in the database that an old key still guards.
    #[error("{0} things in the database are still sealed with an old key: run \"keys re-encrypt\" first")]
    StillSealed(usize),
    /// A copy that nothing should be restored from.
    #[error("the database is not whole: {0}")]
    Damaged(&'static str),
    /// The newest key is not in use yet, or not for long enough.
    #[error(
        "the newest key of the file is not in use yet, or not for three minutes, so that every process has time to read it: try again later"
    )]
    NotYet,
    /// The key file.
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The signing keys.
    #[error(transparent)]
    Signing(#[from] SigningError),
}

impl From<PasswordError> for AdminError {
    fn from(_: PasswordError) -> Self {
        Self::Hashing
    }
}

impl AdminError {
    /// What happened in one word, for the audit and for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Email | Self::Who => "not_an_address",
            Self::Password(_) => "password_rule",
            Self::Hashing => "busy",
            Self::Exists(_) => "exists",
            Self::Unknown(_) => "unknown",
            Self::ClientId => "client_id",
            Self::RedirectUri(_) => "redirect_uri",
            Self::AccessTokenSeconds => "access_token_seconds",
            Self::SecretOverlap => "overlap_seconds",
            Self::NoSecret(_) => "no_secret",
            Self::Keys(_) => "jwks",
            Self::OwnScopes => "own_scopes",
            Self::Combination(_) => "combination",
            Self::Already(_) => "already",
            Self::Rotation => "rotation",
            Self::PlanName => "plan_name",
            Self::Unreadable(_) => "unreadable",
            Self::StillSealed(_) => "still_sealed",
            Self::Damaged(_) => "damaged",
            Self::NotYet => "not_yet",
            Self::KeyFile(_) => "key_file",
            Self::Store(_) => "database",
            Self::Signing(_) => "signing_keys",
        }
    }
}

/// Whom an operator means: by address or by id.
fn parse_who(text: &str) -> Result<Who, AdminError> {
    if let Ok(id) = text.parse::<AccountId>() {
        return Ok(Who::Id(id));
    }
    crate::passwords::normalise_email(text).map(Who::Email).ok_or(AdminError::Who)
}

enum Who {
    Id(AccountId),
    Email(String),
}
