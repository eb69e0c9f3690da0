//! `loadtest`: what a directive costs, measured on the real chain, and what signing in and refreshing cost, measured beside
//! another server.

#[cfg(feature = "hops")]
mod hops;
mod oauth;

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use macloud_service_kit::{config, tls};

/// Measures MA Cloud.
#[derive(Debug, Parser)]
#[command(name = "loadtest", version, about)]
struct Cli {
    /// Read settings from this TOML file.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,

    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Time per hop of one directive after the other, on a warm chain.
    #[cfg(feature = "hops")]
    Hops(hops::Args),
    /// The account service beside node-oidc-provider, both on one PostgreSQL: refreshing, introspection, linking, passwords.
    Oauth(oauth::Args),
}

fn main() -> anyhow::Result<()> {
    tls::install_provider();
    let cli: Cli = config::parse("MACLOUD_LOADTEST", std::env::args_os()).unwrap_or_else(|error| error.exit());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match cli.verb {
            #[cfg(feature = "hops")]
            Verb::Hops(args) => hops::run(&args).await,
            Verb::Oauth(args) => oauth::run(&args).await,
        }
    })
}
