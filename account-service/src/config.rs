//! What can be set. Every field of [`Lives`] and [`Limits`] is also a command-line flag, an environment variable and a
//! line of the configuration file, under the name written here.

use std::path::PathBuf;
use std::str::FromStr;

/// Settings of the account service.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where people and clients reach this service: the OAuth issuer. No slash at the end.
    pub public_url: String,
    /// The relay's WebSocket address, told to homes. Default: `/relay/v1/connect` under `public_url`.
    pub relay_url: Option<String>,
    /// The signed key set of the skill deployment, told to homes at pairing. Not read here.
    pub skill_key_set: Option<Vec<u8>>,
    /// 32 random bytes as text that seal what must be kept secret in the database; made at first start, mode 0600.
    /// Processes that share a database share this file.
    pub key_file: PathBuf,
    /// How long things live.
    pub lives: Lives,
    /// How often things may be tried.
    pub limits: Limits,
    /// Plan limit carried in instance tokens.
    pub commands_per_minute: u32,
}

impl Config {
    /// Defaults for a service at `public_url` that keeps its key file at `key_file`.
    #[must_use]
    pub fn new(public_url: impl Into<String>, key_file: impl Into<PathBuf>) -> Self {
        Self {
            public_url: public_url.into(),
            relay_url: None,
            skill_key_set: None,
            key_file: key_file.into(),
            lives: Lives::default(),
            limits: Limits::default(),
            commands_per_minute: 600,
        }
    }
}

/// How long things live, in seconds.
#[derive(Debug, Clone, clap::Args)]
pub struct Lives {
    /// Life of an authorization code.
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    pub code_seconds: u32,
    /// Life of access tokens of clients that were created without their own. Alexa demands at least 360.
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    pub default_access_token_seconds: u32,
    /// A refresh token that nobody uses for this long ends. Households may be silent for months.
    #[arg(long, value_name = "SECONDS", default_value_t = 400 * DAY)]
    pub refresh_idle_seconds: u32,
    /// After its successor was used, a refresh token stays valid for this long (clients with overlapping rotation).
    #[arg(long, value_name = "SECONDS", default_value_t = DAY)]
    pub rotation_overlap_seconds: u32,
    /// Life of id tokens.
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    pub id_token_seconds: u32,
    /// Life of the tokens with which homes dial in.
    #[arg(long, value_name = "SECONDS", default_value_t = 900)]
    pub instance_token_seconds: u32,
    /// A pairing must be decided within this time.
    #[arg(long, value_name = "SECONDS", default_value_t = 900)]
    pub pairing_seconds: u32,
    /// How often a connector may ask whether its pairing was decided.
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    pub pairing_poll_seconds: u32,
    /// A browser stays signed in this long.
    #[arg(long, value_name = "SECONDS", default_value_t = 30 * DAY)]
    pub session_seconds: u32,
}

/// How often things may be tried: `REQUESTS/SECONDS`, or `off`.
#[derive(Debug, Clone, clap::Args)]
pub struct Limits {
    /// Sign-ins (right or wrong) from one address.
    #[arg(long, value_name = "REQUESTS/SECONDS", default_value = "60/60")]
    pub sign_in_per_address: Rate,
    /// Wrong passwords for one account from one address.
    #[arg(long, value_name = "REQUESTS/SECONDS", default_value = "10/900")]
    pub wrong_passwords_per_account_and_address: Rate,
    /// Wrong passwords for one account from anywhere. High: a stranger must not be able to lock a person out easily.
    #[arg(long, value_name = "REQUESTS/SECONDS", default_value = "300/3600")]
    pub wrong_passwords_per_account: Rate,
    /// New accounts from one address.
    #[arg(long, value_name = "REQUESTS/SECONDS", default_value = "20/3600")]
    pub sign_up_per_address: Rate,
    /// Wrong pairing codes from one address or account.
    #[arg(long, value_name = "REQUESTS/SECONDS", default_value = "10/600")]
    pub wrong_pairing_codes: Rate,
    /// Pairings begun from one address.
    #[arg(long, value_name = "REQUESTS/SECONDS", default_value = "60/600")]
    pub pairings_per_address: Rate,
    /// The header in which the proxy in front puts the caller's address. Only behind a proxy that always sets it:
    /// otherwise anyone could claim any address.
    #[arg(long, value_name = "NAME")]
    pub client_address_header: Option<String>,
    /// How long a sign-in may wait for its turn at the password hash before it is told to come back.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 3000)]
    pub password_wait_ms: u32,
}

impl Default for Lives {
    fn default() -> Self {
        parse_defaults()
    }
}

impl Default for Limits {
    fn default() -> Self {
        parse_defaults()
    }
}

/// The defaults exist once, in the attributes above.
fn parse_defaults<T: clap::Args + clap::FromArgMatches>() -> T {
    let matches = T::augment_args(clap::Command::new("defaults").no_binary_name(true)).get_matches_from([""; 0]);
    T::from_arg_matches(&matches).expect("every argument has a default or is optional")
}

/// So many requests at once, refilled evenly over so many seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many at once; 0 for no limit.
    pub requests: u32,
    /// In how many seconds they are all refilled.
    pub seconds: u32,
}

impl Rate {
    /// No limit.
    pub const OFF: Self = Self { requests: 0, seconds: 0 };
}

/// Why a text is not a [`Rate`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected REQUESTS/SECONDS such as 10/60, or off")]
pub struct InvalidRate;

impl FromStr for Rate {
    type Err = InvalidRate;
    fn from_str(text: &str) -> Result<Self, InvalidRate> {
        if text == "off" {
            return Ok(Self::OFF);
        }
        let (requests, seconds) = text.split_once('/').ok_or(InvalidRate)?;
        let rate = Self {
            requests: requests.parse().map_err(|_| InvalidRate)?,
            seconds: seconds.parse().map_err(|_| InvalidRate)?,
        };
        if rate.requests == 0 || rate.seconds == 0 { Err(InvalidRate) } else { Ok(rate) }
    }
}

const DAY: u32 = 24 * 3600;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_keep_alexa_linked() {
        let lives = Lives::default();
        assert!(lives.default_access_token_seconds >= 360);
        assert!(lives.refresh_idle_seconds >= 400 * DAY);
        assert!(lives.rotation_overlap_seconds >= DAY);
    }

    #[test]
    fn rates_are_read_or_refused() {
        assert_eq!("10/60".parse(), Ok(Rate { requests: 10, seconds: 60 }));
        assert_eq!("off".parse(), Ok(Rate::OFF));
        for wrong in ["", "10", "0/1", "1/0", "-1/2", "a/b"] {
            assert_eq!(wrong.parse::<Rate>(), Err(InvalidRate), "{wrong:?}");
        }
        assert_eq!(Limits::default().wrong_pairing_codes, Rate { requests: 10, seconds: 600 });
    }
}
