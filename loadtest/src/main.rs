//! `loadtest`: what a directive costs, measured on the real chain; what signing in and refreshing cost, measured beside another
//! server; and whether a command is ever lost or done twice, in a model of the whole fleet.

#[cfg(feature = "hops")]
mod hops;
#[cfg(feature = "model")]
mod model;
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
    /// Relays, homes and callers in virtual time, under everything that can go wrong: each command has one answer, and nothing
    /// is done twice.
    #[cfg(feature = "model")]
    Model(model::Args),
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
            #[cfg(feature = "model")]
            Verb::Model(args) => model::run(&args),
            Verb::Oauth(args) => oauth::run(&args).await,
        }
    })
}
