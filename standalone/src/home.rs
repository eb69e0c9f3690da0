//! `ma-cloud home`: the simulated Music Assistant alone.

use std::path::Path;

use anyhow::{Context as _, ensure};
use macloud_service_kit::lifecycle::{announce, stop_on_signals};
use macloud_service_kit::random;
use macloud_simulated_home::{HomeConfig, Library, PlayerConfig, Script, SimulatedHome, Timing};
use serde_json::json;

use crate::cli::{HomeArgs, HomeTiming};

/// Run until told to stop.
///
/// # Errors
/// When the library cannot be read or an address cannot be bound.
pub async fn run(args: HomeArgs) -> anyhow::Result<()> {
    let stop = stop_on_signals()?;
    let timing = args.timing.into();
    let mut config = HomeConfig {
        listen: args.listen,
        control: Some(args.control),
        timing,
        login: args.login,
        schema_version: args.schema,
        onboard_done: !args.not_set_up,
        ..HomeConfig::default()
    };
    if args.schema < config.min_supported_schema_version {
        config.min_supported_schema_version = args.schema;
    }
    if let Some(tracks) = args.tracks {
        config.library = Library::generated(tracks, args.seed);
    }
    if let Some(count) = args.players {
        config.players = PlayerConfig::many(count);
    }
    if let Some(file) = &args.script {
        config.script = Some(Script::load(file)?);
    }
    if let Some(file) = &args.library {
        config.library = Library::load(file)?;
    }
    if let Some(file) = &args.ma_token_file {
        config.token = Some(token_in(file)?);
        config.tokens_file = Some(file.with_added_extension("issued"));
    }
    let home = SimulatedHome::start(config).await.with_context(|| {
        let issued = args.ma_token_file.map_or_else(String::new, |file| format!(", or use {}.issued", file.display()));
        format!("cannot listen on {} and {}{issued}", args.listen, args.control)
    })?;
    announce(&json!({
        "event": "listening",
        "address": home.address().to_string(),
        "ws_url": home.ws_url(),
        "control_url": home.control_url(),
        "token": home.token(),
    }));
    stop.soft().await;
    home.stop().await;
    Ok(())
}

impl From<HomeTiming> for Timing {
    fn from(timing: HomeTiming) -> Self {
        match timing {
            HomeTiming::Prompt => Self::prompt(),
            HomeTiming::Measured => Self::measured(),
            HomeTiming::Fast => Self::fast(),
        }
    }
}

/// The token in this file. A file that is not there is made.
fn token_in(file: &Path) -> anyhow::Result<String> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    match std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file) {
        Ok(mut made) => {
            let token = macloud_proto::ids::base32(&random::bytes::<30>());
            writeln!(made, "{token}").with_context(|| format!("cannot write {}", file.display()))?;
            Ok(token)
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            let token = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
            let token = token.trim();
            ensure!(!token.is_empty(), "{} holds no token", file.display());
            Ok(token.to_owned())
        }
        Err(error) => Err(error).with_context(|| format!("cannot make {}", file.display())),
    }
}
