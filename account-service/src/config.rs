//! What can be set. Every field of [`Lives`] and [`Limits`] is also a command-line flag, an environment variable and a
//! line of the configuration file, under the name written here.

use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::RangedU64ValueParser;

use crate::billing::BillingSettings;
use crate::mail::MailSettings;
use crate::plans::PlanArgs;
use crate::providers::IdentityProvider;

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
    /// How mail leaves.
    pub mail: MailSettings,
    /// Who runs this service.
    pub operator: Operator,
    /// Other providers that people may sign in with.
    pub identity_providers: Vec<IdentityProvider>,
    /// How long things live.
    pub lives: Lives,
    /// How often things may be tried.
    pub limits: Limits,
    /// No plan allows a home more commands a minute than this.
    pub commands_per_minute: u32,
    /// What accounts may use.
    pub plans: PlanArgs,
    /// How plans are paid for. None while they are not.
    pub billing: Option<BillingSettings>,
}

impl Config {
    /// Defaults for a service at `public_url` that keeps its key file at `key_file`.
    #[must_use]
    pub fn new(public_url: impl Into<String>, key_file: impl Into<PathBuf>) -> Self {
        let key_file = key_file.into();
        Self {
            public_url: public_url.into(),
            relay_url: None,
            skill_key_set: None,
            mail: MailSettings::Directory(key_file.with_file_name("mail")),
            key_file,
            operator: Operator::default(),
            identity_providers: Vec::new(),
            lives: Lives::default(),
            limits: Limits::default(),
            commands_per_minute: 600,
            plans: PlanArgs::default(),
            billing: None,
        }
    }
}

/// Who runs this service, for the privacy page.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Operator {
    /// Your name or your organisation's, for the privacy page.
    #[arg(long, value_name = "NAME")]
    pub operator_name: Option<String>,
    /// How people reach you about their data: an e-mail or web address.
    #[arg(long, value_name = "ADDRESS")]
    pub operator_contact: Option<String>,
}

/// How long things live, in seconds. Short lives are for tests of what ends; none is so long that it means "for ever".
#[derive(Debug, Clone, clap::Args)]
pub struct Lives {
    /// Life of an authorization code, 1 to 600.
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = seconds(1, 600))]
    pub code_seconds: u32,
    /// Life of access tokens of clients that were created without their own, 360 to 2592000: Alexa refuses shorter ones.
    #[arg(long, value_name = "SECONDS", default_value_t = 3600, value_parser = seconds(360, 30 * DAY))]
    pub default_access_token_seconds: u32,
    /// A refresh token that nobody uses for this long ends, 1 to 315360000. Households may be silent for months.
    #[arg(long, value_name = "SECONDS", default_value_t = 400 * DAY, value_parser = seconds(1, 3650 * DAY))]
    pub refresh_idle_seconds: u32,
    /// After its successor was used, a refresh token stays valid for this long, 0 to 2592000 (clients with overlapping
    /// rotation).
    #[arg(long, value_name = "SECONDS", default_value_t = DAY, value_parser = seconds(0, 30 * DAY))]
    pub rotation_overlap_seconds: u32,
    /// Life of id tokens, 1 to 86400.
    #[arg(long, value_name = "SECONDS", default_value_t = 3600, value_parser = seconds(1, DAY))]
    pub id_token_seconds: u32,
    /// A signing key is followed by a fresh one after this long, 86400 to 315360000. Each is published before it is used
    /// and for two days after.
    #[arg(long, value_name = "SECONDS", default_value_t = 90 * DAY, value_parser = seconds(DAY, 3650 * DAY))]
    pub signing_key_seconds: u32,
    /// Life of the tokens with which homes dial in, 1 to 3600: relays remember what was revoked for as long, and refuse a
    /// token that lives longer.
    #[arg(long, value_name = "SECONDS", default_value_t = 900, value_parser = seconds(1, LONGEST_INSTANCE_TOKEN))]
    pub instance_token_seconds: u32,
    /// A pairing must be decided within this time, 1 to 3600.
    #[arg(long, value_name = "SECONDS", default_value_t = 900, value_parser = seconds(1, 3600))]
    pub pairing_seconds: u32,
    /// How often a connector may ask whether its pairing was decided, 1 to 30.
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = seconds(1, 30))]
    pub pairing_poll_seconds: u32,
    /// A browser stays signed in this long, 1 to 34560000.
    #[arg(long, value_name = "SECONDS", default_value_t = 30 * DAY, value_parser = seconds(1, 400 * DAY))]
    pub session_seconds: u32,
}

/// How often things may be tried: `REQUESTS/SECONDS` with 1 to 1000000 requests in 1 to 86400 seconds, or `off`.
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
    /// Wrong codes at the second step for one account. Whoever gets there knows the password.
    #[arg(long, value_name = "REQUESTS/SECONDS", default_value = "10/900")]
    pub wrong_second_steps_per_account: Rate,
    /// Codes sent by mail to one e-mail address at the wish of one network, and to one account at its own.
    #[arg(long, value_name = "REQUESTS/SECONDS", default_value = "6/3600")]
    pub mailed_codes: Rate,
    /// Codes sent by mail to whomever at the wish of one network.
    #[arg(long, value_name = "REQUESTS/SECONDS", default_value = "60/3600")]
    pub mailed_codes_per_network: Rate,
    /// Codes sent by mail to one e-mail address at anybody's wish. High: strangers must not be able to use it up for a
    /// person easily. Who holds a code can use it whatever is used up.
    #[arg(long, value_name = "REQUESTS/SECONDS", default_value = "60/3600")]
    pub mails_per_mailbox: Rate,
    /// Who may create an account on the web. Operators always can, on the command line.
    #[arg(long, value_enum, default_value_t = SignUp::Open)]
    pub sign_up: SignUp,
    /// New accounts from one address.
    #[arg(long, value_name = "REQUESTS/SECONDS", default_value = "20/3600")]
    pub sign_up_per_address: Rate,
    /// Wrong pairing codes from one address or account.
    #[arg(long, value_name = "REQUESTS/SECONDS", default_value = "10/600")]
    pub wrong_pairing_codes: Rate,
    /// Wrong invitation codes from one address or account.
    #[arg(long, value_name = "REQUESTS/SECONDS", default_value = "10/600")]
    pub wrong_invitation_codes: Rate,
    /// Invitations made by one account.
    #[arg(long, value_name = "REQUESTS/SECONDS", default_value = "30/86400")]
    pub invitations_per_account: Rate,
    /// Invitations mailed to one e-mail address, whoever makes them. The links of more are only shown.
    #[arg(long, value_name = "REQUESTS/SECONDS", default_value = "10/86400")]
    pub invitation_mails_per_mailbox: Rate,
    /// Pairings begun from one address.
    #[arg(long, value_name = "REQUESTS/SECONDS", default_value = "60/600")]
    pub pairings_per_address: Rate,
    /// Authorization requests pushed from one address by clients without a secret.
    #[arg(long, value_name = "REQUESTS/SECONDS", default_value = "60/60")]
    pub pushed_requests_per_address: Rate,
    /// The header in which the proxy in front puts the caller's address. Only behind a proxy that always sets it:
    /// otherwise anyone could claim any address.
    #[arg(long, value_name = "NAME")]
    pub client_address_header: Option<String>,
    /// How long a sign-in may wait for its turn at the password hash, 100 to 30000. Who would wait longer is told to come back.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 2500, value_parser = clap::value_parser!(u32).range(100..=30_000))]
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

fn seconds(least: u32, most: u32) -> RangedU64ValueParser<u32> {
    RangedU64ValueParser::new().range(u64::from(least)..=u64::from(most))
}

/// The defaults exist once, in the attributes above.
fn parse_defaults<T: clap::Args + clap::FromArgMatches>() -> T {
    let matches = T::augment_args(clap::Command::new("defaults").no_binary_name(true)).get_matches_from([""; 0]);
    T::from_arg_matches(&matches).expect("every argument has a default or is optional")
}

/// Who may create an account on the web.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum SignUp {
    /// Anybody; with a mail server, who types the code that is sent to their address.
    Open,
    /// Who types the code that is sent to their address, also where mail goes into files.
    Confirmed,
    /// Nobody: accounts come from the operator.
    Closed,
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
#[error("expected REQUESTS/SECONDS such as 10/60, with 1 to 1000000 requests in 1 to 86400 seconds, or off")]
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
        let fits = (1..=1_000_000).contains(&rate.requests) && (1..=DAY).contains(&rate.seconds);
        if fits { Ok(rate) } else { Err(InvalidRate) }
    }
}

const DAY: u32 = 24 * 3600;
const LONGEST_INSTANCE_TOKEN: u32 = macloud_proto::instance_token::MAX_LIFE_SECONDS as u32;

#[cfg(test)]
mod tests {
    use clap::Args as _;

    use super::*;

    #[test]
    fn the_defaults_keep_alexa_linked() {
        let lives = Lives::default();
        assert!(lives.default_access_token_seconds >= 360);
        assert!(lives.refresh_idle_seconds >= 400 * DAY);
        assert!(lives.rotation_overlap_seconds >= DAY);
    }

    /// Flag, least and most, as documented.
    const RANGES: [(&str, u64, u64); 11] = [
        ("--code-seconds", 1, 600),
        ("--default-access-token-seconds", 360, 2_592_000),
        ("--refresh-idle-seconds", 1, 315_360_000),
        ("--rotation-overlap-seconds", 0, 2_592_000),
        ("--id-token-seconds", 1, 86_400),
        ("--signing-key-seconds", 86_400, 315_360_000),
        ("--instance-token-seconds", 1, 3600),
        ("--pairing-seconds", 1, 3600),
        ("--pairing-poll-seconds", 1, 30),
        ("--session-seconds", 1, 34_560_000),
        ("--password-wait-ms", 100, 30_000),
    ];

    fn command() -> clap::Command {
        Limits::augment_args(Lives::augment_args(clap::Command::new("test").no_binary_name(true)))
    }

    #[test]
    fn absurd_values_are_refused_by_flag_value_and_range() {
        for (flag, least, most) in RANGES {
            for good in [least, most] {
                let outcome = command().try_get_matches_from([flag, &good.to_string()]);
                assert!(outcome.is_ok(), "{flag} {good}");
            }
            for wrong in [least.wrapping_sub(1), most + 1, u64::from(u32::MAX) + 1] {
                let error = command().try_get_matches_from([flag, &wrong.to_string()]).unwrap_err().to_string();
                let range = format!("{least}..={most}");
                assert!([flag, &wrong.to_string(), &range].iter().all(|part| error.contains(*part)), "{error}");
            }
        }
    }

    #[test]
    fn every_number_has_a_range_and_its_help_says_which() {
        let command = command();
        let numbers = command.get_arguments().filter(|argument| {
            let name = argument.get_value_names().and_then(<[_]>::first).map(clap::builder::Str::as_str);
            matches!(name, Some("SECONDS" | "MILLISECONDS"))
        });
        let mut seen = 0;
        for argument in numbers {
            let flag = format!("--{}", argument.get_long().unwrap());
            let (_, least, most) = RANGES.iter().find(|(other, ..)| *other == flag).unwrap_or_else(|| panic!("{flag}"));
            let help = argument.get_help().unwrap().to_string();
            assert!(help.contains(&format!("{least} to {most}")), "{flag}: {help}");
            seen += 1;
        }
        assert_eq!(seen, RANGES.len());
    }

    #[test]
    fn instance_tokens_never_outlive_a_relays_memory() {
        let parse = |seconds: &str| {
            let command = <Lives as clap::Args>::augment_args(clap::Command::new("test").no_binary_name(true));
            command.try_get_matches_from(["--instance-token-seconds", seconds]).map_err(|error| error.to_string())
        };
        assert!(parse("1").is_ok() && parse("3600").is_ok());
        for wrong in ["0", "3601", "86400"] {
            let said = parse(wrong).unwrap_err();
            assert!(said.contains("--instance-token-seconds") && said.contains("1..=3600"), "{said}");
        }
    }

    #[test]
    fn rates_are_read_or_refused() {
        assert_eq!("10/60".parse(), Ok(Rate { requests: 10, seconds: 60 }));
        assert_eq!("off".parse(), Ok(Rate::OFF));
        for wrong in ["", "10", "0/1", "1/0", "-1/2", "a/b", "1000001/1", "1/86401"] {
            assert_eq!(wrong.parse::<Rate>(), Err(InvalidRate), "{wrong:?}");
        }
        assert_eq!(Limits::default().wrong_pairing_codes, Rate { requests: 10, seconds: 600 });
    }
}
