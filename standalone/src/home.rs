//! `ma-cloud home`: the simulated Music Assistant alone.

use anyhow::Context as _;
use macloud_service_kit::lifecycle::{announce, stop_on_signals};
use macloud_simulated_home::{HomeConfig, Library, SimulatedHome, Timing};
use serde_json::json;

use crate::cli::{HomeArgs, HomeTiming};

/// Run until told to stop.
///
/// # Errors
/// When the library cannot be read or an address cannot be bound.
pub async fn run(args: HomeArgs) -> anyhow::Result<()> {
    let stop = stop_on_signals()?;
    let timing = match args.timing {
        HomeTiming::Prompt => Timing::prompt(),
        HomeTiming::Measured => Timing::measured(),
        HomeTiming::Fast => Timing::fast(),
    };
    let mut config = HomeConfig { listen: args.listen, control: Some(args.control), timing, ..HomeConfig::default() };
    if let Some(file) = &args.library {
        config.library = Library::load(file)?;
    }
    if let Some(file) = &args.ma_token_file {
        let token = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        config.token = Some(token.trim().to_owned());
    }
    let home = SimulatedHome::start(config)
        .await
        .with_context(|| format!("cannot listen on {} and {}", args.listen, args.control))?;
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
