//! The command line: `pair`, `sign-in`, `find`, `run`, `status`, `players`, `doctor`, `home-assistant`, `rules`, `stop`, `resume`, `backup`, `restore`, `leave`.
//!
//! Exit codes: 0 done or healthy; 1 it failed, or `doctor` found something, or `status` says "not running"; 2 wrong usage
//! or settings; 3 not paired yet; 4 the state directory is in use by another connector;
//! 70 `run` did not go on by itself and ended, to be started again.
//! Standard output is for results: text, or with `--json` one JSON object a line. `run` prints one JSON object for each
//! change, always. Logs go to standard error, and do not repeat at level `info` what standard output says.

mod backup;
mod leave;
mod players;
mod rules;
mod sign_in;
mod status;
mod terminal;

use std::ffi::OsString;
use std::io::{IsTerminal as _, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use macloud_proto::link::redial::RedialSettings;
use macloud_service_kit::telemetry::{self, TelemetryArgs};
use macloud_service_kit::{clock, lifecycle};
use serde::Serialize;
use serde_json::json;
use url::Url;

use crate::backup::BackupError;
use crate::connector::{Connector, ConnectorOptions, OpenError, is_healthy, ma_place, ma_url};
use crate::discovery::{self, Found, is_on_this_machine};
use crate::doctor::{self, judge_ma};
use crate::home_assistant::{self, BindError, BindOptions, Link};
use crate::leave::LeaveError;
use crate::music_assistant::sign_in::look;
use crate::music_assistant::token::Token;
use crate::music_assistant::{MusicAssistant, Settings, Timing, TokenSource};
use crate::network::Dialer;
use crate::network::proxy::{GivenProxy, Proxies, SettingError};
use crate::page::{Page, PageError, PageSettings};
use crate::pairing::{DeviceCode, PairError, PairOptions, pair};
use crate::state::{MusicAssistantPlace, StateDir, StateError, command, quoted, usual_state_dir};
use crate::status::{Event, Observer};
use crate::watchdog;
use backup::{BackupArgs, RestoreArgs, backup_verb, restore_verb};
use leave::{LeaveArgs, leave_verb};
use rules::RulesVerb;
use sign_in::Credentials;
use status::status_verb;

/// Lets Alexa reach a Music Assistant at home without opening a port.
///
/// First `pair` once, then `run`. If something does not work, ask `doctor`.
#[derive(Debug, Parser)]
#[command(name = "ma-connector", version, after_long_help = AFTER_HELP)]
pub struct Cli {
    /// Read options from this TOML file; flags and environment come before it.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    telemetry: TelemetryArgs,
    #[command(subcommand)]
    verb: Verb,
}

const AFTER_HELP: &str = "\
Every option can also be given in the environment (--state-dir as MACONNECTOR_STATE_DIR) or in the TOML file that --config names
(state_dir = \"...\").

Exit codes: 0 done, healthy; 1 failed, unhealthy, not running; 2 wrong usage or settings; 3 not paired yet; 4 the state directory is
in use by another connector; 70 run did not go on, and ended to be started again.";

#[derive(Debug, Subcommand)]
enum Verb {
    /// Register this home with a cloud: shows a code, and waits until somebody has approved it.
    ///
    /// Open the link that is shown on any device, sign in, and compare the fingerprints. Pairing again keeps the home and its
    /// players. At a terminal, it first asks for your name and password at Music Assistant, to get a token there.
    Pair {
        /// The cloud's address, such as https://cloud.example. Otherwise the one that this home is paired with.
        #[arg(long, value_name = "URL", value_parser = cloud_url)]
        cloud: Option<Url>,
        /// A name to suggest for this home.
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        sign_in: Credentials,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        json: Json,
    },
    /// Give this home another token of Music Assistant, beside a connector that runs.
    ///
    /// Asks for your name and password there, gets a token for the connector alone, and forgets the password; or takes the token in
    /// --ma-token-file, if Music Assistant does. A connector that runs uses it within seconds, without a restart.
    SignIn {
        #[command(flatten)]
        sign_in: Credentials,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        json: Json,
    },
    /// Look for Music Assistant in this network.
    ///
    /// Prints the address of each server that announces itself, for --ma-url. Pairing does the same if no address is given, and
    /// keeps it if there is just one.
    Find {
        #[command(flatten)]
        json: Json,
    },
    /// Connect this home, until told to stop by a signal.
    ///
    /// Prints one line of JSON for each change: online, offline, music_assistant, stopped, resumed; and page, where one is served.
    Run {
        #[command(flatten)]
        page: PageArgs,
        #[command(flatten)]
        place: Place,
    },
    /// Say how the running connector stands. Exits with 0 if it runs, with 1 if not, with 3 if it is not paired.
    ///
    /// Each hop, the owner's rules in short, and what was asked lately: as the page shows it, but for names.
    Status {
        /// Ask Music Assistant for the players, too, and tell them with what the rules say of each.
        #[arg(long)]
        full: bool,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        json: Json,
    },
    /// List the players that Music Assistant has, and what the rules say of each.
    Players {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        json: Json,
    },
    /// Look at every hop between the cloud and Music Assistant, and name the fix for what is broken.
    ///
    /// Does not disturb a connector that runs. Exits with 0 if all is well, with 3 if the home is not paired, with 1 otherwise.
    /// What it says can be shown to whoever may help: neither tokens nor names are in it, nor which cloud it is.
    Doctor {
        /// Tell names and addresses, too. Not for showing around.
        #[arg(long)]
        full: bool,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        json: Json,
    },
    /// Tell the cloud who you are in the Home Assistant of this home.
    ///
    /// Shows a link to your own Home Assistant. Open it in a browser that is in this network, sign in there, and say yes on the
    /// page of the cloud that follows. The access is given back at once; what stays is your user's name, and whether you own it.
    HomeAssistant {
        /// Home Assistant's address, such as http://homeassistant.local:8123: as your browser reaches it, and this program.
        #[arg(long, value_name = "URL")]
        url: Url,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        json: Json,
    },
    /// Say which players may be used through the cloud, how loud, and when the home is to be quiet.
    ///
    /// The rules are kept and enforced here at home; nothing in the cloud can go beyond them. A connector that runs notices a
    /// change within a second. They may also be edited by hand: rules.json in the state directory.
    Rules {
        #[command(subcommand)]
        verb: RulesVerb,
    },
    /// Carry out nothing from now on, whatever is asked. Works within a second, and until `resume`.
    Stop {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        json: Json,
    },
    /// Undo `stop`.
    Resume {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        json: Json,
    },
    /// Write this home into one file, encrypted by a passphrase: its key, pairing, rules, and what it has learned.
    ///
    /// Works beside a connector that runs. Whoever has the file and the passphrase can be this home.
    Backup(BackupArgs),
    /// Put a home from a backup into a state directory that has none, to go on as the same home.
    ///
    /// Stop the connector where the home was until now before you start it here: the two would take each other's place.
    Restore(RestoreArgs),
    /// Before the connector is removed: unlink this home, give Music Assistant's token back, and delete the state directory's files.
    ///
    /// Stop the connector first. Where the cloud cannot be told, nothing is changed, unless you say --force; where Music Assistant
    /// cannot be, it says what is left to do by hand, and exits with 1. A token that you made by hand is not revoked: you may be using
    /// it elsewhere.
    Leave(LeaveArgs),
}

#[derive(Debug, Args)]
struct Json {
    /// Print JSON, one object a line.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct PageArgs {
    /// Serve a page here, such as 127.0.0.1:8098: it sets a home up, shows how it stands, and changes its rules. A home that is not
    /// paired yet is then waited for. Everybody on this machine can use the page.
    #[arg(long, value_name = "ADDRESS")]
    page: Option<SocketAddr>,
    /// A name under which the page is opened beside localhost, such as that of a proxy on this machine. Several by commas.
    #[arg(long, value_name = "HOST", value_delimiter = ',')]
    page_host: Vec<String>,
    /// Serve the page to Home Assistant's ingress only, which knows who is signed in there. Then any address will do.
    #[arg(long)]
    page_behind_ingress: bool,
    /// Where Home Assistant's ingress comes from.
    #[arg(long, value_name = "IP", default_value = "172.30.32.2")]
    page_ingress_peer: IpAddr,
    /// The cloud that the page proposes.
    #[arg(long, value_name = "URL", value_parser = cloud_url)]
    cloud: Option<Url>,
}

#[derive(Debug, Args)]
struct Place {
    /// Where this home's key and pairing are kept.
    #[arg(long, value_name = "DIR", default_value_os_t = usual_state_dir())]
    state_dir: PathBuf,
    /// Music Assistant's address, such as http://192.168.1.5:8095. Otherwise the one given before, otherwise this machine.
    #[arg(long, value_name = "URL", value_parser = ma_url)]
    ma_url: Option<Url>,
    /// A file with a long-lived access token of Music Assistant (Settings, Profile). `pair` keeps it, and `run` once it was accepted.
    #[arg(long, value_name = "FILE")]
    ma_token_file: Option<PathBuf>,
    /// A PEM file with certificate authorities to trust beside the usual ones. `pair`, `run` and `restore` keep what is in it in the
    /// state directory, for all that comes later; with none instead of a file, it is forgotten.
    #[arg(long, value_name = "FILE")]
    extra_ca_file: Option<PathBuf>,
    /// A proxy that leads to the cloud, such as http://proxy.example:3128, or none. Otherwise HTTPS_PROXY and NO_PROXY, as curl
    /// takes them. It is not kept: each verb that speaks to the cloud wants it. Music Assistant is always spoken to directly. A password, as in http://NAME:PASSWORD@HOST, is safer in the
    /// environment or the file than here, where every user of this machine can read it.
    #[arg(long, value_name = "URL")]
    proxy: Option<GivenProxy>,
    /// Allow connections to the cloud without encryption, beyond this machine. For trials only.
    #[arg(long)]
    dangerous_allow_plain: bool,
}

/// Parse, run, and give the exit code.
#[must_use]
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli: Cli = match macloud_service_kit::config::parse("MACONNECTOR", args) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = runtime.context("the system gives no event loop").and_then(|runtime| runtime.block_on(dispatch(cli)));
    match outcome {
        Ok(code) => code,
        Err(error) => {
            complain(&all_causes(&error));
            ExitCode::from(code_of(&error))
        }
    }
}

async fn dispatch(cli: Cli) -> anyhow::Result<ExitCode> {
    let _telemetry = telemetry::init(&cli.telemetry, "ma-connector")?;
    match cli.verb {
        Verb::Pair { cloud, name, sign_in, place, json } => pair_verb(cloud, name, &sign_in, &place, json.json).await,
        Verb::SignIn { sign_in, place, json } => sign_in.renew(&place, json.json).await,
        Verb::Find { json } => find_verb(json.json).await,
        Verb::Run { page, place } => run_verb(&place, page).await,
        Verb::Status { full, place, json } => status_verb(&place, full, json.json).await,
        Verb::Players { place, json } => players::run(&place, json.json).await,
        Verb::Doctor { full, place, json } => doctor_verb(&place, full, json.json).await,
        Verb::HomeAssistant { url, place, json } => home_assistant_verb(url, &place, json.json).await,
        Verb::Rules { verb } => rules::run(verb).await,
        Verb::Stop { place, json } => switch_verb(&place, true, json.json),
        Verb::Resume { place, json } => switch_verb(&place, false, json.json),
        Verb::Backup(args) => backup_verb(&args),
        Verb::Restore(args) => restore_verb(&args),
        Verb::Leave(args) => leave_verb(&args).await,
    }
}

async fn pair_verb(
    cloud: Option<Url>,
    name: Option<String>,
    sign_in: &Credentials,
    place: &Place,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let paired = StateDir::existing(&place.state_dir).and_then(|state| state.pairing().ok()?);
    let cloud = cloud.or(paired.map(|pairing| pairing.cloud)).ok_or(NoCloud)?;
    let ma_token = place.given_token()?;
    sign_in.run(place, json).await?;
    if let Some(trouble) = ma_trouble(place).await? {
        complain(&format!("{trouble} Pairing goes on without it."));
    }
    let options = PairOptions {
        cloud,
        state_dir: place.state_dir.clone(),
        name,
        ma_url: place.ma_url.clone(),
        ma_token,
        dialer: place.dialer()?,
        clock: clock::system(),
    };
    // While the person is busy with the code.
    let pairing = pair(options, |code| show_code(code, json));
    let (paired, found) = tokio::try_join!(pairing, async { Ok(found_alone(place).await) })?;
    place.keep_authorities()?;
    let found = found.map(|found| found.url);
    if let Some(url) = &found {
        StateDir::open(&place.state_dir)?.save_music_assistant(&MusicAssistantPlace { url: Some(url.clone()) })?;
    }
    if json {
        let mut event = json!({ "event": "paired", "instance_id": paired.instance_id, "home_name": paired.home_name, "fingerprint": paired.fingerprint });
        if let Some(url) = &found {
            event["music_assistant_url"] = url.as_str().into();
        }
        line(&event);
    } else {
        if let Some(url) = &found {
            say(&format!("Found Music Assistant at {url}."));
        }
        let state = StateDir::open(&place.state_dir)?;
        let is_placed = state.music_assistant()?.url.is_some() || is_on_this_machine().await;
        say(&format!("Paired as \"{}\". {}", paired.home_name, steps_to_run(&state, is_placed, place)));
    }
    Ok(ExitCode::SUCCESS)
}

/// What is wrong with Music Assistant, as far as that can be told before pairing: it has been told where, and perhaps with what token.
async fn ma_trouble(place: &Place) -> anyhow::Result<Option<String>> {
    let options = place.options()?;
    let kept = StateDir::existing(&place.state_dir);
    let kept_url = match &kept {
        Some(state) => state.music_assistant()?.url,
        None => None,
    };
    let url = options.ma_url.clone().or(kept_url);
    let token = options.ma_token_file.clone().or_else(|| Some(kept?.token_file())).filter(|file| file.exists());
    if url.is_none() && !is_on_this_machine().await {
        return Ok(None);
    }
    let Some(token) = token else {
        // Whether anybody is there can be told all the same.
        return Ok(look(&ma_place(url), &options.ma_dialer).await.err().map(|error| error.to_string()));
    };
    let ma = MusicAssistant::new(Settings {
        url: ma_place(url),
        token: TokenSource::File(token),
        dialer: options.ma_dialer,
        clock: options.clock,
        timing: options.timing,
    });
    let condition = judge_ma(&ma).await;
    Ok((!is_healthy(condition.word())).then(|| condition.explanation()))
}

/// The one Music Assistant of this network, where no address was ever given and none is on this machine.
async fn found_alone(place: &Place) -> Option<Found> {
    let kept = StateDir::existing(&place.state_dir).and_then(|state| state.music_assistant().ok()?.url);
    if place.ma_url.is_some() || kept.is_some() || is_on_this_machine().await {
        return None;
    }
    // Without it there is still --ma-url.
    let found = discovery::find(discovery::USUAL_LIMIT).await.unwrap_or_default();
    <[Found; 1]>::try_from(found).ok().map(|[found]| found)
}

async fn find_verb(json: bool) -> anyhow::Result<ExitCode> {
    let found = discovery::find(discovery::USUAL_LIMIT).await.context("this machine's network cannot be asked")?;
    for server in &found {
        if json {
            line(server);
        } else {
            say(&format!("{}  {}", server.url, server.name.as_deref().unwrap_or(&server.server_id)));
        }
    }
    if found.is_empty() && !json {
        say(
            "No Music Assistant answered in this network. It may be in another one, or in a container whose network is its own: give its address with --ma-url.",
        );
    }
    Ok(if found.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// What is left to do until the home can be used: a token, if there is none, then `run`. The first of the two needs the address of
/// Music Assistant, and keeps it.
fn steps_to_run(state: &StateDir, is_placed: bool, place: &Place) -> String {
    let proxy = place.proxy.as_ref().and_then(GivenProxy::to_give_again);
    let proxy = proxy.map_or_else(String::new, |proxy| format!(" --proxy {}", quoted(Path::new(proxy))));
    let address = if is_placed { "" } else { " --ma-url http://HOST:8095" };
    let run = command("run", state.path());
    let mut steps = Vec::new();
    if state.token_file().exists() {
        steps.push(format!("Next: {run}{proxy}{address}"));
    } else {
        steps.push(format!("Next: {}{address}", command("sign-in", state.path())));
        steps.push(format!("then: {run}{proxy}"));
        steps.push(
            "The first asks for your name and password at Music Assistant; or takes a token that you made there, with --ma-token-file FILE."
                .into(),
        );
    }
    if !is_placed {
        steps.push("HOST is where Music Assistant runs: it was not found by itself.".into());
    }
    steps.join("\n")
}

fn show_code(code: &DeviceCode, json: bool) {
    if json {
        return line(&json!({
            "event": "code", "user_code": code.user_code, "verification_uri": code.verification_uri,
            "verification_uri_complete": code.verification_uri_complete, "fingerprint": code.fingerprint,
            "expires_in": code.expires_in.as_secs(),
        }));
    }
    if std::io::stdout().is_terminal()
        && let Ok(qr) = qrcode::QrCode::new(&code.verification_uri_complete)
    {
        say(&qr.render::<qrcode::render::unicode::Dense1x2>().build());
    }
    say(&format!(
        "Open {} on any device and enter the code {}\n(or open {}).\n\nThe page must show this fingerprint: {}\nWaiting for up to {} minutes …",
        code.verification_uri,
        code.user_code,
        code.verification_uri_complete,
        code.fingerprint,
        code.expires_in.as_secs().div_ceil(60)
    ));
}

async fn run_verb(place: &Place, page: PageArgs) -> anyhow::Result<ExitCode> {
    // One line a state change; single commands are in the log at level debug.
    let observer: Observer = Arc::new(|event| {
        if !matches!(event, Event::Command { .. }) {
            line(event);
        }
    });
    if let Some(settings) = page.settings() {
        return run_with_page(place, settings, observer).await;
    }
    let connector = Connector::open(place.options()?)?;
    place.keep_authorities()?;
    connector.observe(observer);
    let stop = lifecycle::stop_on_signals().context("the system does not let signals be caught")?;
    watchdog::guard(connector.watch().clone()).context("the system gives no thread to the watchdog")?;
    tokio::select! {
        // A second signal does not wait for anything.
        () = stop.hard() => {}
        () = connector.run(stop.clone()) => {}
    }
    Ok(ExitCode::SUCCESS)
}

async fn run_with_page(place: &Place, settings: PageSettings, observer: Observer) -> anyhow::Result<ExitCode> {
    let page = Page::open(place.options()?, settings, observer).await?;
    place.keep_authorities()?;
    watchdog::guard(page.watch().clone()).context("the system gives no thread to the watchdog")?;
    line(&json!({ "event": "page", "address": page.address()? }));
    let stop = lifecycle::stop_on_signals().context("the system does not let signals be caught")?;
    tokio::select! {
        () = stop.hard() => {}
        ran = Box::pin(page.run(stop.clone())) => ran?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn home_assistant_verb(url: Url, place: &Place, json: bool) -> anyhow::Result<ExitCode> {
    let options = BindOptions {
        state_dir: place.state_dir.clone(),
        url,
        cloud_dialer: place.dialer()?,
        home_dialer: place.home_dialer()?,
        clock: clock::system(),
    };
    let user = home_assistant::bind(options, |link| show_link(link, json)).await?;
    if json {
        line(&json!({ "event": "bound", "ha_user_id": user.id, "name": user.name, "is_owner": user.is_owner }));
    } else {
        let owner = if user.is_owner { ", its owner" } else { "" };
        say(&format!("The cloud knows now that you are {} in Home Assistant{owner}.", user.name));
    }
    Ok(ExitCode::SUCCESS)
}

fn show_link(link: &Link, json: bool) {
    if json {
        return line(&json!({ "event": "link", "url": link.url.as_str(), "expires_in": link.expires_in.as_secs() }));
    }
    let minutes = link.expires_in.as_secs().div_ceil(60);
    say(&format!("Open this in a browser of this network:\n\n{}\n\nWaiting for up to {minutes} minutes …", link.url));
}

async fn doctor_verb(place: &Place, full: bool, json: bool) -> anyhow::Result<ExitCode> {
    let options = place.options()?;
    let diagnosis = if full { doctor::examine_fully(options).await } else { doctor::examine(options).await };
    if json {
        line(&diagnosis);
    } else {
        for check in &diagnosis.checks {
            say(&format!("{} {}: {}", if check.ok { "ok  " } else { "FAIL" }, check.name, check.detail));
            if let Some(fix) = &check.fix {
                say(&format!("     → {fix}"));
            }
        }
    }
    let paired = StateDir::existing(&place.state_dir).is_some_and(|state| state.is_paired());
    Ok(match (diagnosis.ok, paired) {
        (true, _) => ExitCode::SUCCESS,
        (false, true) => ExitCode::FAILURE,
        (false, false) => ExitCode::from(NOT_PAIRED),
    })
}

fn switch_verb(place: &Place, stopped: bool, json: bool) -> anyhow::Result<ExitCode> {
    let state = place.existing_state()?;
    if !state.is_of_a_home() {
        return Err(NoHome(place.state_dir.clone()).into());
    }
    state.set_stopped(stopped)?;
    if json {
        line(if stopped { &Event::Stopped } else { &Event::Resumed });
    } else if stopped {
        let resume = command("resume", &place.state_dir);
        say(&format!("Stopped: nothing is carried out from now on. Undo with: {resume}"));
    } else {
        say("Resumed: commands are carried out again.");
    }
    Ok(ExitCode::SUCCESS)
}

/// The cloud's address, written as an address.
fn cloud_url(text: &str) -> Result<Url, String> {
    if !text.contains("://") {
        return Err(format!("write it with https://, as in https://{text}"));
    }
    Url::parse(text).map_err(|error| error.to_string())
}

impl PageArgs {
    fn settings(self) -> Option<PageSettings> {
        Some(PageSettings {
            address: self.page?,
            hosts: self.page_host,
            ingress: self.page_behind_ingress.then_some(self.page_ingress_peer),
            cloud: self.cloud,
        })
    }
}

impl Place {
    /// Whether there is a token of Music Assistant already.
    fn has_token(&self) -> bool {
        let kept = || StateDir::existing(&self.state_dir).is_some_and(|state| state.token_file().exists());
        self.ma_token_file.is_some() || kept()
    }

    /// The token in the file that was named.
    fn given_token(&self) -> anyhow::Result<Option<Token>> {
        let Some(path) = &self.ma_token_file else { return Ok(None) };
        let file = path.display();
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("the token file {file} cannot be read; check --ma-token-file"))?;
        let token = Token::parse(&text);
        token.map(Some).with_context(|| format!("the token file {file} is empty; put Music Assistant's token in it"))
    }

    /// The file of authorities to trust: as given, or as kept before.
    fn authorities(&self) -> Option<PathBuf> {
        let kept = || StateDir::existing(&self.state_dir)?.authorities_file();
        self.extra_ca_file.clone().map_or_else(kept, |given| Some(given).filter(|given| given != Path::new(NONE)))
    }

    /// For those who come later and are not given them.
    fn keep_authorities(&self) -> anyhow::Result<()> {
        let Some(given) = &self.extra_ca_file else { return Ok(()) };
        let state = StateDir::open(&self.state_dir)?;
        if given == Path::new(NONE) {
            return Ok(state.save_authorities(None)?);
        }
        let pem = std::fs::read(given).with_context(|| format!("{} cannot be read", given.display()))?;
        Ok(state.save_authorities(Some(&pem))?)
    }

    /// One that trusts them. `allow_plain` as in [`Dialer::new`].
    fn trusting_dialer(&self, allow_plain: bool) -> anyhow::Result<Dialer> {
        let authorities = self.authorities();
        Dialer::new(authorities.as_deref(), allow_plain).with_context(|| {
            let file = authorities.unwrap_or_default();
            format!("the certificate authorities in {} cannot be read; check --extra-ca-file", file.display())
        })
    }

    fn dialer(&self) -> anyhow::Result<Dialer> {
        let dialer = self.trusting_dialer(self.dangerous_allow_plain)?;
        Ok(dialer.through(Proxies::chosen(self.proxy.as_ref(), |name| std::env::var(name).ok())?))
    }

    /// Within a home, Music Assistant and Home Assistant speak plain HTTP, which is their normal way, and no proxy leads there.
    fn home_dialer(&self) -> anyhow::Result<Dialer> {
        self.trusting_dialer(true)
    }

    fn options(&self) -> anyhow::Result<ConnectorOptions> {
        Ok(ConnectorOptions {
            state_dir: self.state_dir.clone(),
            ma_url: self.ma_url.clone(),
            ma_token_file: self.ma_token_file.clone(),
            dialer: self.dialer()?,
            ma_dialer: self.home_dialer()?,
            timing: Timing::default(),
            redial: RedialSettings::default(),
            clock: clock::system(),
        })
    }

    fn existing_state(&self) -> Result<StateDir, NoState> {
        StateDir::existing(&self.state_dir).ok_or_else(|| NoState(self.state_dir.clone()))
    }
}

/// In a file's place: no file, and not the one that was given before either.
const NONE: &str = "none";

/// Pairing with which cloud?
#[derive(Debug, thiserror::Error)]
#[error("give the address of your cloud with --cloud, such as https://cloud.example")]
struct NoCloud;

/// There is nothing where a home should have been paired.
#[derive(Debug, thiserror::Error)]
#[error("the state directory {0} does not exist; give the one that was used for pairing with --state-dir")]
struct NoState(PathBuf);

/// A directory, but no home's.
#[derive(Debug, thiserror::Error)]
#[error("no connector has kept anything in {0}; give the directory of the one that is meant with --state-dir")]
struct NoHome(PathBuf);

const USAGE: u8 = 2;
const NOT_PAIRED: u8 = 3;
const IN_USE: u8 = 4;

/// The error with its causes, those left out that it already says itself.
fn all_causes(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |told, cause| match told {
        told if told.is_empty() => cause,
        told if told.contains(&cause) => told,
        told => format!("{told}: {cause}"),
    })
}

fn code_of(error: &anyhow::Error) -> u8 {
    let in_use = |error: &StateError| matches!(error, StateError::InUse(_));
    match error.downcast_ref::<OpenError>() {
        Some(OpenError::NotPaired(_)) => return NOT_PAIRED,
        Some(OpenError::State(error)) if in_use(error) => return IN_USE,
        _ => {}
    }
    if error.downcast_ref::<StateError>().is_some_and(in_use) {
        return IN_USE;
    }
    if let Some(LeaveError::State(error)) = error.downcast_ref()
        && in_use(error)
    {
        return IN_USE;
    }
    if matches!(error.downcast_ref(), Some(BackupError::NotPaired)) {
        return NOT_PAIRED;
    }
    match error.downcast_ref::<PageError>() {
        Some(PageError::NotLoopback(_)) => return USAGE,
        Some(PageError::Open(OpenError::State(error)) | PageError::State(error)) if in_use(error) => return IN_USE,
        _ => {}
    }
    if error.is::<NoCloud>() || error.is::<SettingError>() {
        return USAGE;
    }
    if let Some(BindError::NotPaired) = error.downcast_ref() {
        return NOT_PAIRED;
    }
    match error.downcast_ref::<PairError>() {
        Some(PairError::State(error)) if in_use(error) => IN_USE,
        _ if error.is::<NoState>() || error.is::<NoHome>() => NOT_PAIRED,
        _ => 1,
    }
}

/// A line of JSON. If nobody reads it any more, that is their choice.
fn line(value: &impl Serialize) {
    if let Ok(text) = serde_json::to_string(value) {
        say(&text);
    }
}

fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

fn complain(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "ma-connector: {text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(args: &[&str]) -> Place {
        let args = ["ma-connector", "run"].iter().chain(args);
        let Ok(Cli { verb: Verb::Run { place, .. }, .. }) = Cli::try_parse_from(args) else { panic!() };
        place
    }

    #[test]
    fn the_next_step_goes_the_way_that_was_gone() {
        let directory = std::env::temp_dir().join(format!("ma-connector-next-step-{}", std::process::id()));
        let state = StateDir::open(&directory).unwrap();
        for (given, again) in [
            ("http://p:3128", " --proxy http://p:3128"),
            ("none", " --proxy none"),
            ("http://ada:secret@p", " --proxy URL"),
        ] {
            let steps = steps_to_run(&state, true, &place(&["--proxy", given]));
            assert!(steps.contains(again) && !steps.contains("secret"), "{steps}");
        }
        assert!(!steps_to_run(&state, true, &place(&[])).contains("--proxy"));
        std::fs::remove_dir_all(directory).unwrap();
    }
}
