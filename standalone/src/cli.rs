//! The command line of `ma-cloud`. Every flag is also an environment variable (`MACLOUD_…`) and a line of the TOML file
//! that `--config` names.

mod acme;
mod admin;
mod canary;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Parser, Subcommand};
use macloud_connector::connector::ma_url;
use macloud_service_kit::telemetry::TelemetryArgs;
use url::Url;

pub use self::acme::AcmeArgs;
pub use self::admin::{
    AdminArgs, AdminSubject, AuditArgs, BackupVerb, ClientSettings, ClientVerb, HomeVerb, KeysVerb, MailVerb, PlanVerb,
    SkillKeysVerb, UserVerb, Who,
};
pub use self::canary::CanaryArgs;

/// Voice control for Music Assistant: the whole cloud in one program.
#[derive(Debug, Parser)]
#[command(name = "ma-cloud", version, max_term_width = 110)]
pub struct Cli {
    /// Read settings from this TOML file. Flags and environment variables win over it.
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// How to log.
    #[command(flatten)]
    pub telemetry: TelemetryArgs,

    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What `ma-cloud` can do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Run the cloud: accounts, relay and Alexa skill on one address, with SQLite in the data directory.
    Serve(Box<ServeArgs>),
    /// Manage people, homes, OAuth clients and keys. Works beside a running `serve`.
    Admin(AdminArgs),
    /// Run a simulated Music Assistant alone: its protocol on one port, its control API on another.
    Home(HomeArgs),
    /// Show the whole chain on this machine, then stay up with a page where you can talk to it.
    Demo(DemoArgs),
    /// Use a cloud all day, as a home and an Alexa of one's own would, and say what breaks: metrics, and a status page.
    Canary(Box<CanaryArgs>),
}

/// Where the data lies.
#[derive(Debug, Args, Clone)]
pub struct DataArgs {
    /// Where the database and the keys are kept. Made on first use, readable by its owner only.
    #[arg(long, global = true, value_name = "DIR", default_value = "ma-cloud-data")]
    pub data_dir: PathBuf,
}

/// Settings of `serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Where the data lies.
    #[command(flatten)]
    pub data: DataArgs,

    /// Address for people, Alexa and connectors. Port 0 takes a free one; the bound address is printed on standard output.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,

    /// Address for metrics, health and the API under /admin/v1, for operators only. Keep it inside.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    pub admin_listen: SocketAddr,

    /// How operators' programs are kept from being overheard.
    #[command(flatten)]
    pub admin_tls: macloud_account_service::AdminTlsArgs,

    /// The URL under which the outside reaches `--listen`, without a path. Default: http://ADDRESS:PORT, on loopback only.
    #[arg(long, value_name = "URL")]
    pub public_url: Option<String>,

    /// Certificate chain (PEM) to serve TLS with, read again on SIGHUP. Without it, say --acme, put a TLS proxy in front or stay on loopback.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,

    /// Private key (PEM) of the certificate.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,

    /// How to get a certificate by itself.
    #[command(flatten)]
    pub acme: AcmeArgs,

    /// A proxy in front of this program ends TLS: listen on plain HTTP although the address is not loopback.
    #[arg(long)]
    pub behind_proxy: bool,

    /// How long things live.
    #[command(flatten)]
    pub lives: macloud_account_service::Lives,

    /// How often things may be tried.
    #[command(flatten)]
    pub limits: macloud_account_service::Limits,

    /// What accounts may use.
    #[command(flatten)]
    pub plans: macloud_account_service::PlanArgs,

    /// How plans are paid for.
    #[command(flatten)]
    pub billing: macloud_account_service::BillingArgs,

    /// Other providers to sign in with.
    #[command(flatten)]
    pub identity_providers: macloud_account_service::IdentityProviderArgs,

    /// How mail leaves.
    #[command(flatten)]
    pub mail: macloud_account_service::MailArgs,

    /// Who runs this.
    #[command(flatten)]
    pub operator: macloud_account_service::Operator,

    /// Commands a home takes per minute at most, whatever its plan allows, with a burst of the same size, 1 to 100000.
    #[arg(long, default_value_t = 600, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub commands_per_minute: u32,

    /// Alexa.
    #[command(flatten)]
    pub alexa: AlexaArgs,
}

/// Settings about Alexa. The outside URLs are settings so that tests can stand in for Amazon.
#[derive(Debug, Args, Clone)]
pub struct AlexaArgs {
    /// Id of the skill whose custom requests are accepted; several may be given. Without one, custom requests are refused.
    #[arg(long, value_name = "ID", value_delimiter = ',', value_parser = NonEmptyStringValueParser::new())]
    pub alexa_skill_id: Vec<String>,

    /// File with the keys (32 bytes in base64, one a line) of the Lambda forwarder: a smart-home directive that none of them
    /// signed is refused. Without it, the access token in a directive is all that decides.
    #[arg(long, value_name = "FILE")]
    pub forwarder_key_file: Option<PathBuf>,

    /// Client id for Login with Amazon, from the skill's permissions page. Without it, state reports stay off.
    #[arg(long, value_name = "ID", requires = "lwa_client_secret_file")]
    pub lwa_client_id: Option<String>,

    /// File that holds the client secret for Login with Amazon.
    #[arg(long, value_name = "FILE")]
    pub lwa_client_secret_file: Option<PathBuf>,

    /// Token URL of Login with Amazon.
    #[arg(long, value_name = "URL", default_value = "https://api.amazon.com/auth/o2/token")]
    pub lwa_token_url: String,

    /// Where most of this skill's customers are: `na`, `eu` (India too) or `fe` (Australia too). Others are found out.
    #[arg(long, value_enum, default_value = "na")]
    pub lwa_region: Region,

    /// Alexa's event gateways, if not Amazon's own: `URL` for all regions, or `na=URL`, `eu=URL`, `fe=URL`.
    #[arg(long, value_name = "URL", value_delimiter = ',')]
    pub event_gateway_url: Vec<String>,

    /// Alexa's API, if not the one of Amazon's that each request names.
    #[arg(long, value_name = "URL")]
    pub alexa_api_url: Option<String>,

    /// Time for one directive inside the skill, in milliseconds. Alexa gives up after 8000.
    #[arg(long, default_value_t = 6500, value_name = "MILLISECONDS")]
    pub directive_budget_ms: u64,

    /// DANGEROUS, for tests: also trust the roots (PEM) in this file for the signatures of custom requests.
    #[arg(long, value_name = "FILE")]
    pub dangerous_request_roots: Option<PathBuf>,

    /// DANGEROUS, for tests: fetch certificate chains from this base instead of Amazon's; the URL rules still judge the original URL.
    #[arg(long, value_name = "URL")]
    pub dangerous_certificate_base: Option<String>,

    /// DANGEROUS, for tests: judge the time of custom requests as if it were this many seconds since 1970.
    #[arg(long, value_name = "SECONDS")]
    pub dangerous_request_clock: Option<u64>,
}

/// The parts of the world that Alexa's event gateways serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Region {
    /// North America.
    Na,
    /// Europe and India.
    Eu,
    /// The far east and Australia.
    Fe,
}

/// Settings of `home`.
#[derive(Debug, Args)]
pub struct HomeArgs {
    /// Where to speak Music Assistant's protocol.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8095")]
    pub listen: SocketAddr,

    /// Where to serve the control API: see and change the players as they truly are.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8096")]
    pub control: SocketAddr,

    /// Music and players from this JSON file instead of the built-in ones.
    #[arg(long, value_name = "FILE")]
    pub library: Option<PathBuf>,

    /// So many invented tracks instead, always the same ones.
    #[arg(long, value_name = "COUNT", conflicts_with = "library")]
    pub tracks: Option<usize>,

    /// Other invented tracks: the same ones for the same number.
    #[arg(long, value_name = "NUMBER", default_value_t = 1, requires = "tracks")]
    pub seed: u64,

    /// So many players instead of the built-in ones.
    #[arg(long, value_name = "COUNT")]
    pub players: Option<usize>,

    /// The API schema that it speaks: names and fields are those of servers of that time. The newest one known is 77; servers
    /// before 28 had no authentication, and are played no further than their hello.
    #[arg(long, value_name = "NUMBER", default_value_t = 29)]
    pub schema: u32,

    /// What happens by itself, from this JSON file: restarts, faults, slow answers and so on, each at its time.
    #[arg(long, value_name = "FILE")]
    pub script: Option<PathBuf>,

    /// Accept this name and password in `auth/login`, written as NAME:PASSWORD.
    #[arg(long, value_name = "NAME:PASSWORD", default_value = "admin:simulated-home", value_parser = login)]
    pub login: (String, String),

    /// A server that nobody has set up yet: hello, error 503, end.
    #[arg(long)]
    pub not_set_up: bool,

    /// How long things take there: `prompt` answers at once while players move as slowly as real ones, `measured` answers
    /// as slowly as a real server too, `fast` never waits.
    #[arg(long, value_enum, default_value = "prompt")]
    pub timing: HomeTiming,

    /// Accept the long-lived token in this file instead of a made-up one. A file that is not there is made, with a new
    /// token in it, so that the same token works after the next start. The token is printed at the start. Tokens of those who
    /// sign in outlive it, too, in FILE.issued beside it; without this option they end with the home, and connectors have to
    /// sign in again.
    #[arg(long, value_name = "FILE")]
    pub ma_token_file: Option<PathBuf>,
}

/// A name and a password.
fn login(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((name, password)) if !name.is_empty() && !password.is_empty() => Ok((name.into(), password.into())),
        _ => Err("write it as NAME:PASSWORD".into()),
    }
}

/// How long things take in a simulated home.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum HomeTiming {
    /// Answers at once; players move as slowly as real ones.
    Prompt,
    /// As a real server was measured.
    Measured,
    /// Never waits.
    Fast,
}

/// Settings of `demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Use this Music Assistant (http://HOST:8095) instead of the simulated one. It will really play.
    #[arg(long, value_name = "URL", requires = "ma_token_file", value_parser = ma_url)]
    pub ma_url: Option<Url>,

    /// File with a long-lived token for it.
    #[arg(long, value_name = "FILE", requires = "ma_url")]
    pub ma_token_file: Option<PathBuf>,

    /// What to ask for. It must be in the library, or in a streaming service, of the Music Assistant that is used.
    #[arg(long, value_name = "TITLE", default_value = "Kind of Blue")]
    pub play: String,

    /// Do the tour and leave: 0 when everything worked, 1 when not.
    #[arg(long)]
    pub once: bool,

    /// Instead of the tour, say and send what stands in this file, a JSON object a line, and leave: 0 when all came as it
    /// says there, 1 when not.
    #[arg(long, value_name = "FILE", conflicts_with = "once")]
    pub script: Option<PathBuf>,

    /// Print JSON instead of text: one summary of the tour, or a line for each of the script.
    #[arg(long)]
    pub json: bool,

    /// Where to serve the cloud. Port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,

    /// Where to serve the simulator page.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8090")]
    pub simulator_listen: SocketAddr,
}
