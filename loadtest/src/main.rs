//! `loadtest`: what a directive costs, and how long Alexa waits for large homes, measured on the real chain; what relays cost and how they bear what happens to them, beside
//! other systems; what signing in and refreshing cost, beside another server; and whether a command is ever lost or done twice, in a
//! model of the whole fleet.

#[cfg(feature = "hops")]
mod alexa;
#[cfg(feature = "relay")]
mod compare;
#[cfg(feature = "hops")]
mod connector;
#[cfg(feature = "relay")]
mod drive;
#[cfg(feature = "relay")]
mod fleet;
#[cfg(feature = "hops")]
mod hops;
#[cfg(feature = "relay")]
mod measuring;
#[cfg(feature = "model")]
mod model;
#[cfg(feature = "oauth")]
mod oauth;
#[cfg(feature = "relay")]
mod report;
#[cfg(feature = "relay")]
mod scenario;

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
    /// Our relay beside its own parts and beside other systems.
    #[cfg(feature = "relay")]
    Compare(compare::Args),
    /// Something happens to relays that carry commands.
    #[cfg(feature = "relay")]
    Scenario(scenario::Args),
    /// Plot the results of `compare` and `scenario`.
    #[cfg(feature = "relay")]
    Report(report::Args),
    /// Time per hop of one directive after the other, on a warm chain.
    #[cfg(feature = "hops")]
    Hops(hops::Args),
    /// How long Alexa waits for a large home, and for one that is not there.
    #[cfg(feature = "hops")]
    Alexa(alexa::Args),
    /// What the connector's program costs the machine that it runs on, and how soon it is back.
    #[cfg(feature = "hops")]
    Connector(connector::Args),
    /// Relays, homes and callers in virtual time, under everything that can go wrong: each command has one answer, and nothing
    /// is done twice.
    #[cfg(feature = "model")]
    Model(model::Args),
    /// The account service beside node-oidc-provider, both on one PostgreSQL: refreshing, introspection, linking, passwords.
    #[cfg(feature = "oauth")]
    Oauth(oauth::Args),
    /// One subject of a comparison, obeying orders on standard input.
    #[cfg(feature = "relay")]
    #[command(hide = true)]
    Drive(drive::Args),
    /// The server of a bare subject.
    #[cfg(feature = "relay")]
    #[command(hide = true)]
    ServeEcho(drive::ServerArgs),
}

fn main() -> anyhow::Result<()> {
    tls::install_provider();
    let cli: Cli = config::parse("MACLOUD_LOADTEST", std::env::args_os()).unwrap_or_else(|error| error.exit());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        tokio::select! {
            done = run(cli.verb) => done,
            // What was started ends with us.
            _ = tokio::signal::ctrl_c() => anyhow::bail!("interrupted"),
            () = terminated() => anyhow::bail!("terminated"),
        }
    })
}

async fn run(verb: Verb) -> anyhow::Result<()> {
    match verb {
        #[cfg(feature = "hops")]
        Verb::Hops(args) => Box::pin(hops::run(&args)).await,
        #[cfg(feature = "hops")]
        Verb::Alexa(args) => Box::pin(alexa::run(&args)).await,
        #[cfg(feature = "hops")]
        Verb::Connector(args) => Box::pin(connector::run(&args)).await,
        #[cfg(feature = "model")]
        Verb::Model(args) => model::run(&args),
        #[cfg(feature = "oauth")]
        Verb::Oauth(args) => oauth::run(&args).await,
        #[cfg(feature = "relay")]
        Verb::Compare(args) => compare::run(&args).await,
        #[cfg(feature = "relay")]
        Verb::Scenario(args) => scenario::run(&args).await,
        #[cfg(feature = "relay")]
        Verb::Report(args) => report::run(&args),
        #[cfg(feature = "relay")]
        Verb::Drive(args) => drive::run(&args).await,
        #[cfg(feature = "relay")]
        Verb::ServeEcho(args) => drive::serve_echo(&args).await,
    }
}

async fn terminated() {
    if let Ok(mut signal) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        signal.recv().await;
    } else {
        std::future::pending::<()>().await;
    }
}
