//! Writes the skill's package for the addresses of whoever runs a cloud. Without any it writes the one that is committed.
//!
//! ```text
//! cargo run -p macloud-alexa-skill --example skill-package -- --cloud https://music.example.org --eu arn:aws:lambda:eu-west-1:… --country DE --out my-skill
//! ```
#![allow(clippy::print_stdout, reason = "it says what it has written")]

use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use clap::Parser;
use macloud_alexa_skill::package::{Deployment, Function, check, files};

/// Writes an Alexa skill's manifest, interaction models and account linking.
#[derive(Parser)]
struct Args {
    /// Your cloud, as browsers reach it.
    #[arg(long, value_name = "URL")]
    cloud: Option<String>,

    /// Where Alexa reaches the custom part, if not at your cloud.
    #[arg(long, value_name = "URL", requires = "cloud")]
    skill: Option<String>,

    /// Your function in us-east-1, for North America. Only the regions that are given are in the package.
    #[arg(long, value_name = "ARN", requires = "cloud")]
    na: Option<String>,

    /// Your function in eu-west-1, for Europe and India.
    #[arg(long, value_name = "ARN", requires = "cloud")]
    eu: Option<String>,

    /// Your function in us-west-2, for the far east and Australia.
    #[arg(long, value_name = "ARN", requires = "cloud")]
    fe: Option<String>,

    /// Where your two icons are, `icon-108.png` and `icon-512.png`.
    #[arg(long, value_name = "URL")]
    icons: Option<String>,

    /// The client that `ma-cloud admin client create` made for Alexa.
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,

    /// The countries of the people who use it.
    #[arg(long = "country", value_name = "CODE", value_delimiter = ',')]
    countries: Vec<String>,

    /// Ask for the permission to tell Alexa what players do.
    #[arg(long)]
    events: bool,

    /// The directory to write to.
    #[arg(long, value_name = "DIRECTORY", default_value = "infra/alexa")]
    out: PathBuf,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let out = args.out.clone();
    for (path, value) in files(&deployment(args)?) {
        let faults = if path.starts_with("interactionModels") { check::faults(&value) } else { Vec::new() };
        ensure!(faults.is_empty(), "{path}: {faults:#?}");
        let path = out.join(path);
        let folder = path.parent().context("a file has a folder")?;
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let text = serde_json::to_string_pretty(&value)? + "\n";
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        println!("{}", path.display());
    }
    Ok(())
}

fn deployment(args: Args) -> anyhow::Result<Deployment> {
    let mut deployment = Deployment::default();
    if let Some(cloud) = args.cloud {
        let functions = [("NA", args.na), ("EU", args.eu), ("FE", args.fe)];
        let functions = functions.into_iter().filter_map(|(region, arn)| Some(Function { region, arn: arn? }));
        deployment.functions = functions.collect();
        ensure!(!deployment.functions.is_empty(), "give at least one function: --na, --eu or --fe");
        cloud.trim_end_matches('/').clone_into(&mut deployment.accounts);
        deployment.skill = args.skill.unwrap_or(cloud).trim_end_matches('/').to_owned();
        deployment.icons = format!("{}/assets", deployment.skill);
    }
    deployment.icons = args.icons.unwrap_or(deployment.icons);
    deployment.client_id = args.client_id.unwrap_or(deployment.client_id);
    deployment.events = args.events;
    if !args.countries.is_empty() {
        deployment.countries = args.countries;
    }
    Ok(deployment)
}
