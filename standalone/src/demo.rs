//! `ma-cloud demo`: the whole chain on this machine, told step by step, then a page to talk to it.

pub mod browser;
pub mod gate;
pub mod hops;
pub mod pretend_alexa;
pub mod script;
pub mod simulator;
pub mod stage;
pub mod talk;
pub mod tour;

use std::fmt;
use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use macloud_connector::connector::websocket_url;
use macloud_service_kit::http::Server;
use macloud_service_kit::lifecycle::stop_on_signals;
use macloud_simulated_home::RunningHome;

use crate::cli::DemoArgs;
use stage::{Music, Stage, StageConfig};
use tour::{Step, Summary, tour};

/// Set the stage, do the tour, and stay up unless `--once`; or do what `--script` says, and leave.
///
/// # Errors
/// When the stage cannot be set. A tour or a script that fails is no error but exit code 1.
pub async fn run(args: DemoArgs) -> anyhow::Result<ExitCode> {
    let stop = stop_on_signals()?;
    let mut narrator = Narrator { quiet: args.json, count: 0 };
    let script = args.script.as_deref().map(script::read).transpose()?;
    // Before the tour, so that a port in use is not found out at its end.
    let page_server = if args.once || script.is_some() {
        None
    } else {
        let bound = Server::bind(args.simulator_listen, None).await.with_context(|| {
            format!(
                "cannot serve the simulator page on {}: give another address with --simulator-listen, or only the tour with --once",
                args.simulator_listen
            )
        });
        Some(bound?)
    };
    narrator.say("MA Cloud: the whole chain on this machine\n");
    let music = match (args.ma_url, args.ma_token_file) {
        (Some(url), Some(token_file)) => Music::Real { url: websocket_url(&url).into(), token_file },
        _ => Music::simulated_and_controlled(),
    };
    let config = StageConfig { listen: args.listen, music, ..StageConfig::default() };
    let mut stage = tokio::select! {
        stage = Stage::set(config, |step| narrator.step(step)) => match stage {
            Ok(stage) => stage,
            Err(error) => return narrator.failed_before(&error),
        },
        () = stop.soft() => return Ok(ExitCode::FAILURE),
    };
    if let Some(lines) = script {
        let failures = tokio::select! {
            failures = script::play(&mut stage, &lines, |line| narrator.line(line)) => Some(failures),
            () = stop.soft() => None,
        };
        stage.strike().await;
        narrator.scripted(lines.len(), failures);
        return Ok(if failures == Some(0) { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let summary = tokio::select! {
        summary = tour(&mut stage, &args.play, |step| narrator.step(step)) => summary,
        () = stop.soft() => {
            stage.strike().await;
            return Ok(ExitCode::FAILURE);
        }
    };
    narrator.summary(&summary);
    let Some(server) = page_server.filter(|_| summary.ok) else {
        stage.strike().await;
        return Ok(if summary.ok { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    };
    let page = format!("http://{}/", server.local_addr()?);
    if let Some(control) = stage.simulated.as_ref().and_then(RunningHome::control_url) {
        narrator.say(&format!("\n{}", HowToFail(&control)));
    }
    narrator.say(&format!("\nOpen {page} and say something. Ctrl-C ends the demo."));
    let person = &stage.person;
    narrator.say(&format!(
        "The account's pages: {}homes; sign in as {} with the password {}",
        stage.cloud_url, person.0, person.1
    ));
    let stage = simulator::serve(stage, server, stop).await;
    stage.strike().await;
    Ok(ExitCode::SUCCESS)
}

/// How the simulated Music Assistant of this control API is made to fail, for whoever has a shell.
struct HowToFail<'a>(&'a str);

impl fmt::Display for HowToFail<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let json = "-H 'Content-Type: application/json' -d";
        writeln!(f, "Let its Music Assistant fail, and hear what Alexa says:")?;
        writeln!(f, "  curl {json} '{{\"never_answer\":[\"players/cmd/volume_set\"]}}' {}/faults", self.0)?;
        writeln!(f, "  curl {json} '{{\"down_ms\":20000}}' {}/restart", self.0)?;
        write!(f, "  curl -X DELETE {}/faults    # well again", self.0)
    }
}

struct Narrator {
    quiet: bool,
    count: usize,
}

impl Narrator {
    fn step(&mut self, step: &Step) {
        self.count += 1;
        self.say(&format!("{:>3}  {:<58} {:>9.1} ms   {}", self.count, step.name, step.millis, step.detail));
        for hop in &step.hops {
            self.say(&format!("       {:<14} {:>8} µs   {}", hop.step, hop.micros, hop.note));
        }
        if let Some(saw) = &step.relay_saw {
            let found =
                if saw.plaintext_found { "a word of it STANDS IN IT" } else { "not one word of it stands in it" };
            self.say(&format!(
                "       the relay saw  {} sealed bytes for home {}…: {}…",
                saw.bytes,
                &saw.instance_id[..6],
                &saw.hex[..48.min(saw.hex.len())]
            ));
            self.say(&format!("                      {found}"));
        }
    }

    /// A line of a script: as JSON, or as a person would tell it.
    fn line(&self, line: &serde_json::Value) {
        if self.quiet {
            return print(&line.to_string());
        }
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let request = &line["request"];
        let asked = [
            &request["request"]["intent"]["name"],
            &request["request"]["type"],
            &request["directive"]["header"]["name"],
        ];
        let asked = asked.into_iter().find_map(serde_json::Value::as_str).unwrap_or("nothing");
        let event = &line["response"]["event"];
        let answered = [&line["speech"], &event["payload"]["type"], &event["header"]["name"], &line["not_understood"]];
        let answered = answered.into_iter().find_map(serde_json::Value::as_str).unwrap_or("nothing");
        let millis = line["total_micros"].as_f64().unwrap_or_default() / 1000.0;
        self.say(&format!(
            "{:>3}  {:<6} “{}”  {asked}  {millis:.1} ms",
            line["line"],
            text(&line["locale"]),
            text(&line["heard"])
        ));
        self.say(&format!("       {answered}"));
        for hop in line["hops"].as_array().into_iter().flatten() {
            self.say(&format!("       {:<14} {:>8} µs   {}", text(&hop["step"]), hop["micros"], text(&hop["note"])));
        }
        for player in line["players"].as_array().into_iter().flatten() {
            let title = player["now_playing"]["title"].as_str().unwrap_or("nothing");
            self.say(&format!(
                "       {:<14} {:<8} volume {:>3}   {title}",
                text(&player["name"]),
                text(&player["state"]),
                player["volume"]
            ));
        }
        if let Some(failed) = line["failed"].as_str() {
            self.say(&format!("       NOT AS EXPECTED: {failed}"));
        }
    }

    fn scripted(&self, lines: usize, failures: Option<usize>) {
        if self.quiet {
            print(&serde_json::json!({"ok": failures == Some(0), "lines": lines, "failures": failures}).to_string());
        } else {
            self.say(&match failures {
                Some(0) => format!("\n{lines} lines, all as expected."),
                Some(failures) => format!("\n{failures} of {lines} lines NOT AS EXPECTED"),
                None => "\nStopped before the end.".to_owned(),
            });
        }
    }

    fn summary(&self, summary: &Summary) {
        if self.quiet {
            print(&serde_json::to_string(summary).unwrap_or_default());
        } else {
            match &summary.failed {
                None => self.say("\nEverything worked."),
                Some(why) => self.say(&format!("\nFAILED: {why}")),
            }
        }
    }

    fn failed_before(&self, error: &anyhow::Error) -> anyhow::Result<ExitCode> {
        let why = format!("{error:#}");
        if self.quiet {
            print(&serde_json::json!({"ok": false, "failed": why, "steps": []}).to_string());
        } else {
            self.say(&format!("\nFAILED: {why}"));
        }
        Ok(ExitCode::FAILURE)
    }

    fn say(&self, text: &str) {
        if !self.quiet {
            print(text);
        }
    }
}

fn print(text: &str) {
    // Whoever read this may have gone; the demo goes on for the others.
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}
