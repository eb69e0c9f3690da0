//! `ma-connector`: see [`macloud_connector::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    macloud_connector::cli::main(std::env::args_os())
}
