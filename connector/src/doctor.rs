//! `doctor`: each hop of the way from the cloud to a speaker, whether it works, and what to do if not.
//!
//! What it says can be shown to anybody who may help: no token, no name of a player or a home, no address of this network to the
//! outside, and not which cloud it is. [`examine_fully`] says that, too. It needs no network for what is here, no step waits for
//! long, and all of it takes at most 20 seconds.

mod certificate;
mod trial;
mod way;

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};

use macloud_service_kit::stop::Stop;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::tungstenite::{Bytes, Message};

use crate::cloud::{Cloud, CloudError};
use crate::connector::{ConnectorOptions, is_healthy, ma_settings, ma_state};
use crate::discovery;
use crate::link::Admission;
use crate::music_assistant::fields::Fields;
use crate::music_assistant::message::ErrorCode;
use crate::music_assistant::{CallError, Condition, MusicAssistant, NEW_TOKEN, READ_LIMIT};
use crate::network::WebSocket;
use crate::rules::Rules;
use crate::state::{Pairing, StateDir, command};
use crate::status::{LinkState, MusicAssistantState, Status, key_trouble};

/// For Music Assistant to be reached, or to say why not.
const MA_LIMIT: Duration = Duration::from_secs(12);

/// For everything about Music Assistant, and everything about the cloud. The two are looked at together.
const SIDE_LIMIT: Duration = Duration::from_secs(18);

/// A clock that is further off makes timers and quiet hours wrong.
const CLOCK_TOLERANCE: u64 = 60;

/// A relay that does not echo within this time is not slow but busy with something else.
const ECHO_LIMIT: Duration = Duration::from_secs(1);

/// Several times what all that is kept takes, of which the largest file is [`crate::state::MAX_FILE`].
const FREE_ENOUGH: u64 = 8 * crate::state::MAX_FILE;

/// A connector that was started a moment ago is about to connect.
const LINK_LIMIT: Duration = Duration::from_secs(3);

/// What was found at one hop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// The hop.
    pub name: &'static str,
    /// Whether it works.
    pub ok: bool,
    /// What was seen.
    pub detail: String,
    /// What to do, where it does not work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

/// All hops, in the order of the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnosis {
    /// Whether every hop works.
    pub ok: bool,
    /// The hops. A hop that could not be looked at because of an earlier one is left out.
    pub checks: Vec<Check>,
}

impl Check {
    fn good(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, ok: true, detail: detail.into(), fix: None }
    }

    fn bad(name: &'static str, detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { name, ok: false, detail: detail.into(), fix: Some(fix.into()) }
    }

    fn failed(name: &'static str, error: &CloudError) -> Self {
        let fix = Some(error.advice()).filter(|advice| !advice.is_empty()).map(str::to_owned);
        Self { name, ok: false, detail: sentence(error), fix }
    }

    /// The names of people are in the names of their directories. Those of services are not, and whoever reads the advice as somebody
    /// else must find them.
    fn leave_out_who_it_is(&mut self) {
        let Some(home) = std::env::var("HOME").ok().filter(|home| is_a_persons(home)) else { return };
        self.detail = self.detail.replace(&home, "~");
        self.fix = self.fix.take().map(|fix| fix.replace(&home, "~"));
    }
}

fn is_a_persons(home: &str) -> bool {
    ["/home/", "/Users/"].iter().any(|all| home.strip_prefix(all).is_some_and(|name| !name.is_empty()))
}

/// Look at every hop. Does not disturb a connector that runs.
pub async fn examine(options: ConnectorOptions) -> Diagnosis {
    Doctor { options, full: false }.examine().await
}

/// The same with the names of the home and the cloud, and the cloud's addresses. Not for showing around.
pub async fn examine_fully(options: ConnectorOptions) -> Diagnosis {
    Doctor { options, full: true }.examine().await
}

struct Doctor {
    options: ConnectorOptions,
    full: bool,
}

impl Doctor {
    async fn examine(self) -> Diagnosis {
        let mut checks = Vec::new();
        if let Some((state, pairing)) = self.state_checks(&mut checks) {
            let (mut of_ma, mut of_cloud) = (Vec::new(), Vec::new());
            let ma = timeout(SIDE_LIMIT, Box::pin(ma_checks(&state, &self.options, &mut of_ma)));
            let cloud = timeout(SIDE_LIMIT, Box::pin(self.cloud_side(&state, pairing.as_ref(), &mut of_cloud)));
            let (ma, cloud) = tokio::join!(ma, cloud);
            for (mut found, ended) in [(of_ma, ma), (of_cloud, cloud)] {
                checks.append(&mut found);
                if ended.is_err() {
                    let fix = "Something on the way is very slow: try again, and look at the load of this machine and its network.";
                    checks.push(Check::bad("time", "What comes after this took too long to be looked at.", fix));
                }
            }
        }
        if !self.full {
            checks.iter_mut().for_each(Check::leave_out_who_it_is);
        }
        Diagnosis { ok: checks.iter().all(|check| check.ok), checks }
    }

    fn state_checks(&self, checks: &mut Vec<Check>) -> Option<(StateDir, Option<Pairing>)> {
        const NAME: &str = "state directory";
        let options = &self.options;
        let Some(state) = StateDir::existing(&options.state_dir) else {
            let fix = "Give the directory that was used for pairing with --state-dir, or pair first.";
            checks.push(Check::bad(NAME, format!("{} does not exist.", options.state_dir.display()), fix));
            return None;
        };
        match state.public_identity() {
            Ok(Some(_)) if state.is_open_to_others().unwrap_or(true) => {
                let fix = format!("Run: chmod 700 {}", options.state_dir.display());
                checks.push(Check::bad(NAME, "Other users of this machine can change what is in it.", fix));
            }
            Ok(_) => checks.push(Check::good(NAME, "Usable.")),
            Err(error) => {
                checks.push(Check::bad(NAME, error.to_string(), "See the message."));
                return None;
            }
        }
        if state.is_paired() {
            checks.push(disk_check(&state));
        }
        checks.push(match state.rules() {
            Ok(rules) => Check::good("rules", rules_in_short(&rules, &state)),
            Err(error) => Check::bad("rules", error.to_string(), "See the message."),
        });
        let pairing = match state.pairing() {
            Ok(Some(pairing)) => {
                let name = if self.full { format!(" as \"{}\"", pairing.home_name) } else { String::new() };
                checks.push(Check::good("pairing", format!("Paired{name}.")));
                Some(pairing)
            }
            Ok(None) => {
                let fix = format!("Run: {}", command("pair --cloud URL", &options.state_dir));
                checks.push(Check::bad("pairing", "Not paired with a cloud yet.", fix));
                None
            }
            Err(error) => {
                checks.push(Check::bad("pairing", error.to_string(), "Pair again."));
                None
            }
        };
        if state.is_stopped() {
            let fix = format!("Run: {}", command("resume", &options.state_dir));
            checks.push(Check::bad("stop switch", "Pressed: nothing is carried out.", fix));
        } else {
            checks.push(Check::good("stop switch", "Not pressed."));
        }
        Some((state, pairing))
    }

    async fn cloud_side(&self, state: &StateDir, pairing: Option<&Pairing>, checks: &mut Vec<Check>) {
        let Some(pairing) = pairing else { return };
        let now = self.options.clock.unix_seconds();
        let way = way::go(&pairing.cloud, &self.options.dialer, now, self.full).await;
        checks.extend(way.checks);
        // An address that may not be used is refused with its reason by what comes next.
        if way.round_trip.is_some() || self.options.dialer.check(&pairing.cloud).is_err() {
            cloud_checks(state, pairing, &self.options, checks).await;
        }
    }
}

/// Whether what must be remembered can be.
fn disk_check(state: &StateDir) -> Check {
    const NAME: &str = "disk";
    if let Err(error) = state.try_to_write() {
        return Check::bad(NAME, error.to_string(), "See the message.");
    }
    match state.free_bytes() {
        Some(free) if free < FREE_ENOUGH => {
            let detail = format!("It can be written to, but only {} KiB are left.", free >> 10);
            Check::bad(NAME, detail, "Make room: what is learned and set is lost otherwise.")
        }
        Some(free) => Check::good(NAME, format!("It can be written to, and {} MiB are left.", free >> 20)),
        None => Check::good(NAME, "It can be written to."),
    }
}

fn rules_in_short(rules: &Rules, state: &StateDir) -> String {
    if *rules == Rules::default() {
        return "None: every player may be used, at any volume and any time.".into();
    }
    let (hidden, limited) = (rules.hidden_players(), rules.limited_players());
    let quiet = if rules.quiet_hours.is_some() { "quiet hours" } else { "no quiet hours" };
    let told = if rules.tell_changes { "; the cloud is told of changes" } else { "" };
    let see = command("rules show", state.path());
    format!("In force. Hidden players: {hidden}; with a highest volume: {limited}; {quiet}{told}. See them with: {see}")
}

async fn ma_checks(state: &StateDir, options: &ConnectorOptions, checks: &mut Vec<Check>) {
    const REACH: &str = "Music Assistant";
    const TOKEN: &str = "Music Assistant token";
    const PLAYERS: &str = "players";
    // Who names another Music Assistant, or token, asks about that one.
    let asks_the_running = state.is_in_use() && options.ma_url.is_none() && options.ma_token_file.is_none();
    let running = if asks_the_running { running_ma(state).await } else { None };
    let (found, seen) = match (running, ma_settings(state, options)) {
        (Some(found), _) => (found, None),
        (None, Ok(settings)) => {
            let ma = MusicAssistant::new(settings);
            let (condition, seen) = look_at_ma(&ma, &state.rules().unwrap_or_default()).await;
            (ma_state(&ma, &condition), seen)
        }
        (None, Err(error)) => return checks.push(Check::bad(REACH, error.to_string(), "See the message.")),
    };
    match found.state.as_str() {
        word if is_healthy(word) => {
            let schema =
                seen.as_ref().and_then(|seen| seen.schema).map(|schema| format!(" Its API schema is {schema}."));
            checks.push(Check::good(REACH, found.explanation + &schema.unwrap_or_default()));
            checks.push(match (found.token_ends_in_days, seen.as_ref().map(|seen| seen.rights)) {
                (Some(days), _) => Check::bad(TOKEN, format!("Accepted, but it ends in {days} days."), NEW_TOKEN),
                (None, Some(Rights::Lacking)) => Check::bad(
                    TOKEN,
                    "Accepted, but its user may not do what is needed.",
                    "Run `ma-connector sign-in` as a user who may use players and the library; a guest cannot.",
                ),
                (None, Some(Rights::Some { players })) => {
                    Check::good(TOKEN, format!("Accepted. Music Assistant allows its user {players} players."))
                }
                (None, Some(Rights::All) | None) => Check::good(TOKEN, "Accepted."),
            });
            checks.push(match &seen {
                Some(seen) => seen.players_check(PLAYERS),
                None if found.players == 0 => Check::bad(PLAYERS, "None can be used through the cloud.", NO_PLAYERS),
                None => Check::good(PLAYERS, format!("{} can be used through the cloud.", found.players)),
            });
            let (namesakes, unspeakable) = (found.namesakes, found.unspeakable);
            checks.push(seen.map_or_else(|| names_check(namesakes, unspeakable), |seen| seen.names_check()));
        }
        word if word == Condition::NoToken.word() => {
            checks.push(Check::bad(TOKEN, "There is none.", found.explanation));
        }
        word if [Condition::TokenDoubted.word(), Condition::TokenRefused.word()].contains(&word) => {
            checks.push(Check::good(REACH, "It answers."));
            let fix = Condition::TokenRefused.explanation();
            checks.push(Check::bad(TOKEN, "Music Assistant refuses it.", fix));
        }
        word => {
            let mut fix = found.explanation;
            // The owner decides: whoever is in the network can say that it is Music Assistant.
            for found in discovery::find(discovery::USUAL_LIMIT).await.unwrap_or_default() {
                fix.push_str(&format!(" One announces itself in this network: --ma-url {}", found.url));
            }
            checks.push(Check::bad(REACH, format!("Not usable ({word})."), fix));
        }
    }
}

const NO_PLAYERS: &str = "Look in Music Assistant whether there are players, and whether they are switched on there; what your own rules hide is shown by: ma-connector rules show";

/// Whether each player can be said, and told from the others by its name.
fn names_check(namesakes: usize, unspeakable: usize) -> Check {
    const NAME: &str = "names";
    if namesakes == 0 && unspeakable == 0 {
        return Check::good(NAME, "Each player can be said, and no two are called the same.");
    }
    let share = format!("{namesakes} players share a name with another: who says it is asked which one, in vain.");
    let silent = match unspeakable {
        1 => "1 player has nothing in its name that can be said: Alexa is not told of it.".to_owned(),
        _ => format!("{unspeakable} players have nothing in their names that can be said: Alexa is not told of them."),
    };
    let findings = [(namesakes, share), (unspeakable, silent)].into_iter().filter(|(count, _)| *count > 0);
    let detail = findings.map(|(_, finding)| finding).collect::<Vec<_>>().join(" ");
    let fix = "See which, and their ids: ma-connector players. Call one something else: ma-connector rules call ID --as NAME; or hide it: ma-connector rules hide ID";
    Check::bad(NAME, detail, fix)
}

/// What a look at Music Assistant showed.
struct Seen {
    schema: Option<u64>,
    rights: Rights,
    /// Players that the cloud may know of.
    exposed: usize,
    /// Of these, those that do not answer.
    away: usize,
    /// Players that the owner's rules hide.
    hidden: usize,
    /// Exposed players that share a name with another.
    namesakes: usize,
    /// Exposed players whose names cannot be said.
    unspeakable: usize,
}

/// What Music Assistant lets the token's user do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rights {
    All,
    Some { players: usize },
    Lacking,
}

impl Seen {
    fn names_check(&self) -> Check {
        names_check(self.namesakes, self.unspeakable)
    }

    fn players_check(&self, name: &'static str) -> Check {
        let Self { exposed, away, hidden, .. } = *self;
        let hidden = if hidden == 0 { String::new() } else { format!(" Your rules hide {hidden} more.") };
        if exposed == 0 {
            return Check::bad(name, format!("None can be used through the cloud.{hidden}"), NO_PLAYERS);
        }
        if away == exposed {
            let fix = "Switch one on, and see in Music Assistant whether it comes back.";
            return Check::bad(name, format!("None of {exposed} can be reached by Music Assistant.{hidden}"), fix);
        }
        let away = if away == 0 { String::new() } else { format!(" {away} of them cannot be reached at the moment.") };
        Check::good(name, format!("{exposed} can be used through the cloud.{away}{hidden}"))
    }
}

/// How it stands with Music Assistant, and what there is, if it is ready. Nobody goes on trying after this.
async fn look_at_ma(ma: &MusicAssistant, rules: &Rules) -> (Condition, Option<Seen>) {
    let look = async {
        let condition = judged(ma).await;
        if !condition.is_ready() {
            return (condition, None);
        }
        let rights = rights(ma).await;
        let directory = ma.directory();
        let (exposed, hidden): (Vec<_>, Vec<_>) = directory.exposed().partition(|player| rules.expose(player));
        let away = exposed.iter().filter(|player| !player.available).count();
        let (exposed, hidden) = (exposed.len(), hidden.len());
        let namesakes = rules.namesakes(directory.exposed_names()).len();
        let unspeakable = rules.unspeakable(directory.exposed_names()).len();
        (condition, Some(Seen { schema: ma.schema(), rights, exposed, away, hidden, namesakes, unspeakable }))
    };
    tokio::select! {
        seen = look => seen,
        () = ma.run(Stop::new()) => (ma.condition(), None),
    }
}

async fn rights(ma: &MusicAssistant) -> Rights {
    match ma.call("auth/me", json!({}), READ_LIMIT).await {
        Ok(user) => rights_of(&user),
        Err(CallError::Refused(ErrorCode::FORBIDDEN)) => Rights::Lacking,
        // Older ones do not know the question. What is not allowed is said when it is asked for.
        Err(_) => Rights::All,
    }
}

fn rights_of(user: &Value) -> Rights {
    let user = Fields(user);
    if user.text(&["role"]).as_deref() == Some("guest") {
        return Rights::Lacking;
    }
    match user.list(&["player_filter"]).len() {
        0 => Rights::All,
        players => Rights::Some { players },
    }
}

/// What the running connector says of Music Assistant, with the address and the token that it was started with.
async fn running_ma(state: &StateDir) -> Option<MusicAssistantState> {
    let deadline = Instant::now() + LINK_LIMIT;
    loop {
        let status = state.status::<Status>().ok().flatten().map(|status| status.music_assistant);
        let is_known = status.as_ref().is_some_and(|ma| ma.state != Condition::Connecting.word());
        if is_known || Instant::now() >= deadline {
            return status.filter(|_| is_known);
        }
        sleep(LINK_LIMIT / 10).await;
    }
}

/// How it stands with Music Assistant, once that is known. Nobody goes on trying after this.
pub(crate) async fn judge_ma(ma: &MusicAssistant) -> Condition {
    tokio::select! {
        judged = judged(ma) => judged,
        () = ma.run(Stop::new()) => ma.condition(),
    }
}

/// The same of one that runs.
async fn judged(ma: &MusicAssistant) -> Condition {
    let mut conditions = ma.conditions();
    let found = timeout(MA_LIMIT, conditions.wait_for(|condition| *condition != Condition::Connecting)).await;
    match found {
        Ok(found) => match found.map_or(Condition::Connecting, |condition| condition.clone()) {
            Condition::TokenDoubted => Condition::TokenRefused,
            judged => judged,
        },
        Err(_) => Condition::Unreachable { why: "no answer in time".into() },
    }
}

async fn cloud_checks(state: &StateDir, pairing: &Pairing, options: &ConnectorOptions, checks: &mut Vec<Check>) {
    const REACH: &str = "cloud";
    const TOKEN: &str = "access to the cloud";
    let clock = options.clock.clone();
    let cloud = match Cloud::new(pairing.cloud.clone(), options.dialer.clone(), clock) {
        Ok(cloud) => cloud,
        Err(error) => return checks.push(Check::bad(REACH, sentence(&error), "Pair again with the right address.")),
    };
    let begun = Instant::now();
    match cloud.metadata().await {
        Ok(_) => checks.push(Check::good(REACH, format!("It answers, in {} ms.", begun.elapsed().as_millis()))),
        Err(error) => return checks.push(Check::failed(REACH, &error)),
    }
    checks.extend(cloud.seconds_ahead().map(clock_check));
    let identity = match state.identity() {
        Ok(identity) => identity,
        Err(error) => return checks.push(Check::bad(TOKEN, error.to_string(), "See the message.")),
    };
    let paused = match cloud.instance_token(&identity, &pairing.instance_id).await {
        Ok(token) => {
            checks.push(Check::good(TOKEN, "This home is accepted."));
            checks.extend(token.key_set_bytes().map(|signed| keys_check(state, &signed)));
            if token.paused {
                let fix = "Open the cloud's web page under Homes and resume this home.";
                checks.push(Check::bad("pause in the cloud", "Paused on the cloud's web page: no commands come.", fix));
            }
            token.paused
        }
        Err(CloudError::Unauthorized) => {
            let fix = "Open the cloud's web page under Homes and see whether this home is still there; if it is gone, run ma-connector pair again. The account may also be suspended.";
            return checks.push(Check::bad(
                TOKEN,
                "This home is not accepted: it was unlinked, or its account suspended.",
                fix,
            ));
        }
        Err(CloudError::Moved) => {
            let fix = "Stop this connector. To come back to this machine, run ma-connector pair again and choose on the page that it replaces the home.";
            return checks.push(Check::bad(TOKEN, "This home has moved to other hardware.", fix));
        }
        Err(error @ CloudError::Suspended) => {
            let fix = "Ask whoever runs the cloud. Here is nothing to repair: the home connects by itself when the suspension ends.";
            return checks.push(Check::bad(TOKEN, sentence(&error), fix));
        }
        Err(error) => return checks.push(Check::failed(TOKEN, &error)),
    };
    if state.is_in_use() {
        let now = options.clock.unix_seconds();
        // A session of its own would push the running one off. A connection that asks for nothing does not.
        let way = way::go(&pairing.relay_url, &options.dialer, now, false).await;
        let relay = running_link(state, way.round_trip).await;
        let commands_come = relay.ok && !paused;
        checks.push(relay);
        if commands_come {
            checks.extend(trial::run(&cloud, &identity, &pairing.instance_id).await);
        }
        checks.extend(last_command(state, now));
    } else {
        let admission = Admission::new(
            cloud,
            options.dialer.clone(),
            identity,
            pairing.instance_id.clone(),
            pairing.relay_url.clone(),
            Box::new(|_| true),
        );
        checks.push(trial_link(&admission).await);
    }
}

/// How far this machine's clock is from the cloud's, which is `ahead` by so many seconds.
fn clock_check(ahead: i64) -> Check {
    const NAME: &str = "clock";
    let off = ahead.unsigned_abs();
    if off <= CLOCK_TOLERANCE {
        return Check::good(NAME, format!("Within {CLOCK_TOLERANCE} s of the cloud's."));
    }
    let which = if ahead > 0 { "behind" } else { "ahead of" };
    let fix = "Turn on time synchronisation (timedatectl set-ntp true). The cloud is spoken to by its own time all the same; timers and quiet hours go by this machine's.";
    Check::bad(NAME, format!("This machine's is {off} s {which} the cloud's."), fix)
}

/// Whether the keys that the cloud has now are those that were pinned at pairing, or follow them.
fn keys_check(state: &StateDir, signed: &[u8]) -> Check {
    const NAME: &str = "keys of the cloud";
    let mut pinned = match state.skill_keys() {
        Ok(Some(pinned)) => pinned,
        Ok(None) => return Check::bad(NAME, "Those of the pairing are missing here.", "Run ma-connector pair again."),
        Err(error) => return Check::bad(NAME, error.to_string(), "See the message."),
    };
    match pinned.update(signed) {
        Ok(()) => Check::good(NAME, "Those of the pairing."),
        Err(error) => {
            let (trouble, remedy) = key_trouble(error);
            Check::bad(NAME, trouble, remedy)
        }
    }
}

/// When a command last came the whole way.
fn last_command(state: &StateDir, now: u64) -> Option<Check> {
    let counts = state.status::<Status>().ok().flatten()?.commands;
    let detail = match counts.last_at {
        0 => "None has come since the connector was started. Say one to Alexa to try the whole way.".to_owned(),
        at => format!(
            "The last one came the whole way {} min ago; {} done and {} refused since the start.",
            now.saturating_sub(at).div_ceil(60),
            counts.done,
            counts.refused
        ),
    };
    Some(Check::good("commands", detail))
}

/// What the running connector says of its link. A trial would push it off.
async fn running_link(state: &StateDir, round_trip: Option<Duration>) -> Check {
    const NAME: &str = "relay";
    let deadline = Instant::now() + LINK_LIMIT;
    loop {
        let check = match state.status::<Status>() {
            Ok(Some(status)) if matches!(status.relay, LinkState::Online { contested: true, .. }) => {
                return Check::bad(
                    NAME,
                    "The running connector is connected, and not alone.",
                    status.relay.explanation(),
                );
            }
            Ok(Some(status)) if status.relay.is_online() => {
                let took = round_trip.map(|took| format!(" To the relay and back it takes {} ms.", took.as_millis()));
                return Check::good(NAME, format!("The running connector is connected.{}", took.unwrap_or_default()));
            }
            Ok(Some(status)) => Check::bad(NAME, "The running connector is not connected.", status.relay.explanation()),
            Ok(None) => {
                Check::bad(NAME, "A connector runs but has not said how it stands.", "Wait a moment and try again.")
            }
            Err(error) => Check::bad(NAME, error.to_string(), "Restart the connector."),
        };
        if Instant::now() >= deadline {
            return check;
        }
        sleep(LINK_LIMIT / 10).await;
    }
}

async fn trial_link(admission: &Admission) -> Check {
    const NAME: &str = "relay";
    match admission.dial(None).await {
        Ok(dialled) => {
            let took = echo(dialled.websocket).await.map(|took| format!(" An echo takes {} ms.", took.as_millis()));
            let took = took.unwrap_or_default();
            Check::good(NAME, format!("It lets this home in.{took} The connector does not run at the moment."))
        }
        Err(failure) => {
            let (_, explanation) = failure.because_and_explanation();
            Check::bad(NAME, "It does not let this home in.", explanation)
        }
    }
}

/// How long a message takes to the relay and back.
async fn echo(mut websocket: WebSocket) -> Option<Duration> {
    let echoed = async {
        let begun = Instant::now();
        websocket.send(Message::Ping(Bytes::from_static(b"doctor"))).await.ok()?;
        while let Some(Ok(message)) = websocket.next().await {
            if matches!(message, Message::Pong(_)) {
                return Some(begun.elapsed());
            }
        }
        None
    };
    timeout(ECHO_LIMIT, echoed).await.ok()?
}

fn sentence(error: &CloudError) -> String {
    way::capitalised(&error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_judged_by_the_clouds() {
        assert!(clock_check(60).ok && clock_check(-60).ok && clock_check(0).ok);
        assert_eq!(clock_check(61).detail, "This machine's is 61 s behind the cloud's.");
        assert_eq!(clock_check(-7200).detail, "This machine's is 7200 s ahead of the cloud's.");
    }

    #[test]
    fn what_a_user_may_do_is_read_from_what_music_assistant_says() {
        assert_eq!(rights_of(&json!({"role": "user", "player_filter": []})), Rights::All);
        assert_eq!(rights_of(&json!({"role": "user", "player_filter": ["a", "b"]})), Rights::Some { players: 2 });
        assert_eq!(rights_of(&json!({"role": "guest"})), Rights::Lacking);
        assert_eq!(rights_of(&Value::Null), Rights::All);
    }

    #[test]
    fn players_that_nobody_can_use_are_a_finding() {
        let seen = |exposed, away, hidden| {
            let rights = Rights::All;
            Seen { schema: None, rights, exposed, away, hidden, namesakes: 0, unspeakable: 0 }
        };
        let detail = |seen: Seen| {
            let check = seen.players_check("players");
            (check.ok, check.detail)
        };
        assert_eq!(
            detail(seen(3, 1, 2)),
            (
                true,
                "3 can be used through the cloud. 1 of them cannot be reached at the moment. Your rules hide 2 more."
                    .into()
            )
        );
        assert_eq!(
            detail(seen(0, 0, 2)),
            (false, "None can be used through the cloud. Your rules hide 2 more.".into())
        );
        assert_eq!(detail(seen(2, 2, 0)), (false, "None of 2 can be reached by Music Assistant.".into()));
    }

    #[test]
    fn names_that_lead_to_no_player_are_a_finding() {
        assert!(names_check(0, 0).ok);
        let (twins, signs) = (names_check(2, 0), names_check(2, 1));
        assert!(!twins.ok && twins.detail.ends_with("in vain."), "{}", twins.detail);
        assert!(!signs.ok && signs.detail.contains(" in vain. 1 player has nothing in its name"), "{}", signs.detail);
    }
}
