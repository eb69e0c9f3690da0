//! `bootstrap`: what Lambda starts. Only wires; see the library.

use std::process::ExitCode;

use macloud_lambda_forwarder::forward::Forwarder;
use macloud_lambda_forwarder::log;
use macloud_lambda_forwarder::runtime::Runtime;
use macloud_lambda_forwarder::settings::{Settings, runtime_api};
use macloud_lambda_forwarder::skill::{Skill, public_roots};
use serde_json::json;

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("the runtime starts");
    runtime.block_on(run())
}

/// Until Lambda ends the process: whoever comes back from here has failed, and Lambda starts another.
async fn run() -> ExitCode {
    let variable = |name: &str| std::env::var(name).ok();
    let mut lambda = match runtime_api(variable) {
        Ok(address) => Runtime::at(address),
        Err(error) => {
            log::error("this program is started by AWS Lambda", &json!({"cause": error.to_string()}));
            return ExitCode::FAILURE;
        }
    };
    let settings = match Settings::read(variable) {
        Ok(settings) => settings,
        Err(error) => {
            log::error("the settings cannot be used", &json!({"cause": error.to_string()}));
            // Lambda shows it to whoever tests the function.
            let _ = lambda.cannot_start(&error.to_string()).await;
            return ExitCode::FAILURE;
        }
    };
    let mut forwarder = Forwarder::new(Skill::new(settings, public_roots()));
    let error = forwarder.serve(&mut lambda).await;
    log::error("Lambda's runtime API cannot be used", &json!({"cause": error.to_string()}));
    ExitCode::FAILURE
}
