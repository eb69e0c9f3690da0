//! `loadtest oauth`: how fast the account service is, beside node-oidc-provider on the same PostgreSQL.
//!
//! Each server is started fresh with people signed in and apps linked. Then come rounds: every load on every server, in an
//! order that turns from round to round, so that what else happens on the machine hits all alike. One generator, one
//! process, speaks to all of them in the same way: keep-alive connections, each operation checked for being right.

mod browser;
mod http;
mod load;
mod report;
mod scenarios;
mod subjects;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use macloud_loadtest::latencies::Latencies;
use serde_json::json;

use self::browser::{Form, Person};
use self::load::{Measured, all_at_once, closed_loop, paced};
use self::report::Report;
use self::scenarios::{Introspect, Link, Refresh, SignIn};
use self::subjects::{OURS, PEER, Places, Postgres, Setup, Subject};

/// Settings of `loadtest oauth`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Rounds of everything.
    #[arg(long, default_value_t = 5, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// For how long each load is measured, after as long a warm-up but at most two seconds.
    #[arg(long, default_value_t = 5, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Which loads.
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["refresh", "introspect", "link", "passwords"])]
    loads: Vec<Kind>,
    /// How many are in flight; `introspect` leaves out those above 100, `link` begins those all at once.
    #[arg(long, value_delimiter = ',', default_values = ["1", "64", "1000"], value_name = "COUNT")]
    in_flight: Vec<usize>,
    /// Sign-ins that begin together.
    #[arg(long, default_value_t = 200, value_name = "COUNT")]
    sign_ins: usize,
    /// Connections to PostgreSQL that each server has, in all its processes together. By default as many as the account
    /// service takes by itself: on a few cores more only stand in each other's way.
    #[arg(long, default_value_t = 16, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=200))]
    database_connections: u32,
    /// Processes of node-oidc-provider; by default as many as there are cores.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=64))]
    peer_processes: Option<u32>,
    /// Measure only ourselves.
    #[arg(long)]
    without_peer: bool,
    /// Do not measure the account service on SQLite.
    #[arg(long)]
    without_sqlite: bool,
    /// The account service's program. By default the one beside this one.
    #[arg(long, value_name = "FILE")]
    account_service: Option<PathBuf>,
    /// node-oidc-provider and its adapter, installed by `npm ci`.
    #[arg(long, value_name = "DIRECTORY", default_value = "loadtest/peers/node-oidc-provider")]
    peer: PathBuf,
    /// The script that starts a private PostgreSQL.
    #[arg(long, value_name = "FILE", default_value = "infra/services")]
    services: PathBuf,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// A kind of load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    /// Refreshing, each with the token that the last time gave.
    Refresh,
    /// Asking about an access token.
    Introspect,
    /// Linking an app: authorize, consent and token, by somebody who is signed in.
    Link,
    /// Many passwords at once, while refreshes go on.
    Passwords,
}

/// Measure, and print.
#[expect(clippy::print_stdout, reason = "the result of a measurement belongs on standard output")]
pub(crate) async fn run(args: &Args) -> anyhow::Result<()> {
    let scratch = Scratch::new()?;
    let measured = tokio::select! {
        measured = measure(args, &scratch) => measured?,
        _ = tokio::signal::ctrl_c() => anyhow::bail!("interrupted"),
    };
    let text = if args.json { measured.to_json(OURS, PEER).to_string() } else { measured.to_text(OURS, PEER) };
    println!("{text}");
    Ok(())
}

async fn measure(args: &Args, scratch: &Scratch) -> anyhow::Result<Report> {
    let places = Places {
        scratch: scratch.0.clone(),
        account_service: args.account_service.clone().map_or_else(beside_us, Ok)?,
        peer: std::path::absolute(&args.peer)?,
        services: std::path::absolute(&args.services)?,
    };
    let cores = std::thread::available_parallelism()?.get();
    let most = args.in_flight.iter().copied().max().unwrap_or(1).max(args.sign_ins);
    let setup = Setup {
        connections: args.database_connections,
        peer_processes: args.peer_processes.unwrap_or(cores as u32),
        people: most,
        links: most,
    };
    let mut report = Report::default();
    report.more.insert("machine", json!({ "cores": cores, "load_before": load_average() }));
    let postgres = Postgres::start(&places).await?;
    let mut subjects = vec![tell(subjects::ours(&places, Some(&postgres), setup).await?)];
    if !args.without_peer {
        subjects.push(tell(subjects::peer(&places, &postgres, setup).await?));
    }
    if !args.without_sqlite {
        // Its people do nothing but hold links.
        let setup = Setup { people: most.div_ceil(50), ..setup };
        subjects.push(tell(subjects::ours(&places, None, setup).await?));
    }
    for round in 0..args.rounds {
        tell_round(round, args.rounds);
        one_round(args, round, &mut subjects, &mut report).await?;
    }
    report.more.insert("load_after", json!(load_average()));
    Ok(report)
}

async fn one_round(args: &Args, round: u32, subjects: &mut [Subject], report: &mut Report) -> anyhow::Result<()> {
    subjects.rotate_left(1);
    for &kind in &args.loads {
        if kind == Kind::Passwords {
            for subject in subjects.iter_mut().filter(|subject| subject.name == OURS) {
                let found = password_storm(subject, args.sign_ins).await?;
                found.into_report(round, report);
            }
            continue;
        }
        for &in_flight in &args.in_flight {
            if kind == Kind::Introspect && in_flight > 100 {
                continue;
            }
            for subject in subjects.iter_mut() {
                // What a link costs is the disk's matter on SQLite, and nobody's gate.
                if kind == Kind::Link && subject.name == subjects::OURS_ON_SQLITE {
                    continue;
                }
                let name = kind.name(in_flight);
                let measured = put_load_on(subject, kind, in_flight, args.seconds).await;
                report.add(&name, subject.name, &measured.with_context(|| format!("{name} on {}", subject.name))?);
            }
        }
    }
    Ok(())
}

impl Kind {
    fn name(self, in_flight: usize) -> String {
        match self {
            Self::Refresh => format!("refresh, {in_flight} in flight"),
            Self::Introspect => format!("introspect, {in_flight} in flight"),
            Self::Link if in_flight > ALL_AT_ONCE => format!("link, {in_flight} at once"),
            Self::Link => format!("link, {in_flight} in flight"),
            Self::Passwords => "passwords".into(),
        }
    }
}

async fn put_load_on(subject: &mut Subject, kind: Kind, in_flight: usize, seconds: u64) -> anyhow::Result<Measured> {
    let (window, payers) = (Duration::from_secs(seconds), subject.payers);
    let warm_up = window.min(WARM_UP);
    match kind {
        Kind::Refresh => {
            let workers = refreshers(subject, in_flight);
            let (measured, workers) = closed_loop(workers, warm_up, window, payers).await?;
            subject.links.extend(workers.into_iter().map(|worker| worker.tokens));
            Ok(measured)
        }
        Kind::Introspect => {
            let asking = |tokens: &scenarios::Tokens| Introspect {
                site: subject.site.clone(),
                connection: subject.connection(),
                access: tokens.access.clone(),
            };
            let workers = subject.links.iter().rev().take(in_flight).map(asking).collect();
            Ok(closed_loop(workers, warm_up, window, payers).await?.0)
        }
        Kind::Link => {
            let linking = |(person, browser): &(Person, browser::Browser)| Link {
                site: subject.site.clone(),
                browser: browser.twin(subject.connection()),
                person: person.clone(),
                client: subject.connection(),
            };
            let workers: Vec<Link> = subject.people.iter().take(in_flight).map(linking).collect();
            if in_flight > ALL_AT_ONCE {
                return Ok(all_at_once(workers, payers).await?.0);
            }
            Ok(closed_loop(workers, warm_up, window, payers).await?.0)
        }
        Kind::Passwords => anyhow::bail!("has its own way"),
    }
}

/// Takes its links out of the subject.
fn refreshers(subject: &mut Subject, count: usize) -> Vec<Refresh> {
    let links = subject.links.split_off(subject.links.len().saturating_sub(count));
    let refresher = |tokens| Refresh { site: subject.site.clone(), connection: subject.connection(), tokens };
    links.into_iter().map(refresher).collect()
}

/// What a storm of sign-ins did.
struct Storm {
    signed_in: Measured,
    refused: Latencies,
    refused_count: u64,
    refreshes: Measured,
}

/// Everybody presses the button at once, while refreshes go on at an even pace.
async fn password_storm(subject: &mut Subject, count: usize) -> anyhow::Result<Storm> {
    let path = subject.sign_in.context("checks no passwords")?;
    let mut waiting = Vec::new();
    for (person, _) in subject.people.iter().take(count) {
        let mut browser = subject.site.browser();
        let page = browser.get(path).await?;
        let form = Form::find(page.text(::http::StatusCode::OK)?).context("no form for signing in")?;
        waiting.push(SignIn { browser, person: person.clone(), form, refused: false, took: Duration::ZERO });
    }
    let refreshers = refreshers(subject, REFRESHERS);
    let payers = subject.payers;
    let mut storm = None;
    let until = async { storm = Some(all_at_once(waiting, payers).await) };
    let (refreshes, refreshers) = paced(refreshers, REFRESHES_PER_SECOND, until).await?;
    subject.links.extend(refreshers.into_iter().map(|refresher| refresher.tokens));
    let (mut all, ended) = storm.context("paced waits for it")??;
    let (mut signed_in, mut refused, mut refused_count) = (Latencies::default(), Latencies::default(), 0);
    for SignIn { refused: was_refused, took, .. } in ended {
        refused_count += u64::from(was_refused);
        if was_refused { refused.record(took) } else { signed_in.record(took) }
    }
    all.latencies = signed_in;
    all.done -= refused_count;
    Ok(Storm { signed_in: all, refused, refused_count, refreshes })
}

impl Storm {
    fn into_report(self, round: u32, report: &mut Report) {
        report.add("passwords, at once", OURS, &self.signed_in);
        report.add("refresh meanwhile", OURS, &self.refreshes);
        let refused = json!({
            "round": round + 1,
            "signed_in": self.signed_in.done,
            "signed_in_worst_ms": self.signed_in.latencies.millis_at(1.0),
            "told_to_come_back": self.refused_count,
            "told_after_at_most_ms": self.refused.millis_at(1.0),
        });
        let all = report.more.entry("password_storms").or_insert_with(|| json!([]));
        all.as_array_mut().expect("just made a list").push(refused);
    }
}

/// A directory that goes when we go.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("macloud-loadtest-{}", std::process::id()));
        std::fs::create_dir(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn beside_us() -> anyhow::Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name("macloud-account-service");
    anyhow::ensure!(path.is_file(), "{} is missing: build it with the same profile", path.display());
    Ok(path)
}

#[expect(clippy::print_stderr, reason = "setting up takes minutes, and the result has standard output for itself")]
fn tell(subject: Subject) -> Subject {
    eprintln!("{} is ready: {} people, {} links", subject.name, subject.people.len(), subject.links.len());
    subject
}

#[expect(clippy::print_stderr, reason = "the same")]
fn tell_round(round: u32, of: u32) {
    eprintln!("round {} of {of}, load average {}", round + 1, load_average());
}

fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

const WARM_UP: Duration = Duration::from_secs(2);
/// From here on, links begin together, and each person links once.
const ALL_AT_ONCE: usize = 100;
/// While passwords are checked.
const REFRESHERS: usize = 16;
const REFRESHES_PER_SECOND: f64 = 100.0;
