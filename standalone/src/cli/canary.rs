//! The settings of `ma-cloud canary`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use url::Url;

/// Settings of `canary`.
#[derive(Debug, Args)]
pub struct CanaryArgs {
    /// The public URL of the cloud to use.
    #[arg(long, value_name = "URL")]
    pub cloud: Url,

    /// Where directives go, if not to the cloud's public URL.
    #[arg(long, value_name = "URL")]
    pub skill: Option<Url>,

    /// File with the e-mail address and the password of an account made for this, a line each. Only its owner may read it.
    #[arg(long, value_name = "FILE")]
    pub person_file: PathBuf,

    /// The OAuth client that its Alexa links as. Make one for this, with a redirect URI of its own.
    #[arg(long, value_name = "ID", default_value = "canary")]
    pub client_id: String,

    /// File with that client's secret. Only its owner may read it.
    #[arg(long, value_name = "FILE")]
    pub client_secret_file: PathBuf,

    /// That client's redirect URI. It is never loaded, only compared.
    #[arg(long, value_name = "URL", default_value = "https://canary.invalid/linked")]
    pub redirect_uri: Url,

    /// File with the key that directives are signed with, where the skill asks for that (its `--forwarder-key-file`).
    #[arg(long, value_name = "FILE")]
    pub forwarder_key_file: Option<PathBuf>,

    /// Where the home's keys, the link's tokens and the history are kept. Made on first use, readable by its owner only.
    #[arg(long, value_name = "DIR", default_value = "ma-cloud-canary")]
    pub state_dir: PathBuf,

    /// Seconds between two rounds.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    pub every_seconds: u64,

    /// The link is refreshed at least this often, and in any case before its access token ends.
    #[arg(long, value_name = "SECONDS", default_value_t = 86_400, value_parser = clap::value_parser!(u64).range(1..))]
    pub refresh_every_seconds: u64,

    /// A step that takes longer is slow.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 2000)]
    pub slow_ms: u64,

    /// Where the status page is served, at /status and /status.json. For everybody: put a TLS proxy in front.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8088")]
    pub listen: SocketAddr,

    /// Where metrics and health are served, for operators only.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9188")]
    pub admin_listen: SocketAddr,

    /// Places of Amazon's to look at, each NAME=URL. Only whether they answer is looked at.
    #[arg(long, value_name = "NAME=URL", value_delimiter = ',', default_values = AMAZON)]
    pub outside: Vec<String>,

    /// Do one round and leave: 0 when everything worked, 1 when not.
    #[arg(long)]
    pub once: bool,
}

/// The event gateways, Login with Amazon, and where the certificates of custom requests are.
const AMAZON: [&str; 5] = [
    "event gateway North America=https://api.amazonalexa.com/v3/events",
    "event gateway Europe=https://api.eu.amazonalexa.com/v3/events",
    "event gateway Far East=https://api.fe.amazonalexa.com/v3/events",
    "Login with Amazon=https://api.amazon.com/auth/o2/token",
    "certificates of requests=https://s3.amazonaws.com/echo.api/",
];
