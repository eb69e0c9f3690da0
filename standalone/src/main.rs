//! `ma-cloud`: the whole cloud in one program. Only wires; see the library.

use std::io::Write as _;
use std::process::ExitCode;

use macloud_service_kit::{config, memory, telemetry, tls};
use macloud_standalone::cli::{Cli, Verb};
use macloud_standalone::{admin, canary, demo, home, serve};

fn main() -> ExitCode {
    memory::give_back_what_is_freed();
    tls::install_provider();
    let cli: Cli = config::parse("MACLOUD", std::env::args_os()).unwrap_or_else(|error| error.exit());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("the runtime starts");
    match runtime.block_on(run(cli)) {
        Ok(code) => code,
        Err(error) => {
            print_error(&error);
            ExitCode::FAILURE
        }
    }
}

async fn run(mut cli: Cli) -> anyhow::Result<ExitCode> {
    if matches!(cli.verb, Verb::Demo(_)) && cli.telemetry.log == telemetry::USUAL_LOG {
        // Between the steps that it tells of, only what is wrong has a place.
        cli.telemetry.log = "warn".into();
    }
    let _telemetry = telemetry::init(&cli.telemetry, "ma-cloud")?;
    match cli.verb {
        Verb::Serve(args) => serve::run(*args).await.map(|()| ExitCode::SUCCESS),
        Verb::Admin(args) => {
            print_line(&admin::run(args).await?)?;
            Ok(ExitCode::SUCCESS)
        }
        Verb::Home(args) => home::run(args).await.map(|()| ExitCode::SUCCESS),
        Verb::Demo(args) => Box::pin(demo::run(args)).await,
        Verb::Canary(args) => Box::pin(canary::run(*args)).await,
    }
}

/// The answer of an admin verb. If nobody reads it any more (`| head`), that is their choice.
fn print_line(line: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{line}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

#[expect(clippy::print_stderr, reason = "the last word of a program that failed; logging may be filtered out")]
fn print_error(error: &anyhow::Error) {
    eprintln!("ma-cloud: {}", all_causes(error));
}

/// The error with its causes, those left out that it already says itself.
fn all_causes(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |told, cause| match told {
        told if told.is_empty() => cause,
        told if told.contains(&cause) => told,
        told => format!("{told}: {cause}"),
    })
}
