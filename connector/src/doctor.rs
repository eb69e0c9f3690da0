//! `doctor`: each hop of the way from the cloud to a speaker, whether it works, and what to do if not.

use std::time::Duration;

use macloud_service_kit::stop::Stop;
use serde::Serialize;
use tokio::time::{Instant, sleep, timeout};

use crate::cloud::{Cloud, CloudError};
use crate::connector::{ConnectorOptions, is_healthy, ma_settings, ma_state};
use crate::discovery;
use crate::link::Admission;
use crate::music_assistant::{Condition, MusicAssistant};
use crate::rules::Rules;
use crate::state::{Pairing, StateDir, command};
use crate::status::{LinkState, MusicAssistantState, Status, key_trouble};

/// For Music Assistant to be reached, or to say why not.
const MA_LIMIT: Duration = Duration::from_secs(12);

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
}

/// Look at every hop. Does not disturb a connector that runs.
pub async fn examine(options: ConnectorOptions) -> Diagnosis {
    let mut checks = Vec::new();
    if let Some((state, pairing)) = state_checks(&options, &mut checks) {
        ma_checks(&state, &options, &mut checks).await;
        if let Some(pairing) = pairing {
            cloud_checks(&state, &pairing, &options, &mut checks).await;
        }
    }
    Diagnosis { ok: checks.iter().all(|check| check.ok), checks }
}

fn state_checks(options: &ConnectorOptions, checks: &mut Vec<Check>) -> Option<(StateDir, Option<Pairing>)> {
    const NAME: &str = "state directory";
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
    match state.rules() {
        Ok(rules) if rules == Rules::default() => {}
        Ok(_) => {
            let see = command("rules show", &options.state_dir);
            checks.push(Check::good("rules", format!("In force. See them with: {see}")));
        }
        Err(error) => checks.push(Check::bad("rules", error.to_string(), "See the message.")),
    }
    let pairing = match state.pairing() {
        Ok(Some(pairing)) => {
            checks.push(Check::good("pairing", format!("Paired as \"{}\".", pairing.home_name)));
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

async fn ma_checks(state: &StateDir, options: &ConnectorOptions, checks: &mut Vec<Check>) {
    const REACH: &str = "Music Assistant";
    const TOKEN: &str = "Music Assistant token";
    // Who names another Music Assistant, or token, asks about that one.
    let asks_the_running = state.is_in_use() && options.ma_url.is_none() && options.ma_token_file.is_none();
    let running = if asks_the_running { running_ma(state).await } else { None };
    let found = match (running, ma_settings(state, options)) {
        (Some(found), _) => found,
        (None, Ok(settings)) => {
            let ma = MusicAssistant::new(settings);
            let condition = judge_ma(&ma).await;
            ma_state(&ma, &condition)
        }
        (None, Err(error)) => return checks.push(Check::bad(REACH, error.to_string(), "See the message.")),
    };
    match found.state.as_str() {
        word if is_healthy(word) => {
            checks.push(Check::good(REACH, found.explanation));
            checks.push(match found.token_ends_in_days {
                Some(days) => Check::bad(
                    TOKEN,
                    format!("Accepted, but it ends in {days} days."),
                    "Create a new one in Music Assistant under Settings, Profile, and start `ma-connector run` with --ma-token-file: it is kept once it is accepted.",
                ),
                None => Check::good(TOKEN, "Accepted."),
            });
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
    let stop = Stop::new();
    let mut conditions = ma.conditions();
    let judged = async {
        let found = conditions.wait_for(|condition| *condition != Condition::Connecting).await;
        match found.map_or(Condition::Connecting, |condition| condition.clone()) {
            Condition::TokenDoubted => Condition::TokenRefused,
            judged => judged,
        }
    };
    tokio::select! {
        judged = timeout(MA_LIMIT, judged) => {
            judged.unwrap_or(Condition::Unreachable { why: "no answer in time".into() })
        }
        () = ma.run(stop) => ma.condition(),
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
    match cloud.metadata().await {
        Ok(_) => checks.push(Check::good(REACH, "It answers.")),
        Err(error) => return checks.push(Check::failed(REACH, &error)),
    }
    let identity = match state.identity() {
        Ok(identity) => identity,
        Err(error) => return checks.push(Check::bad(TOKEN, error.to_string(), "See the message.")),
    };
    match cloud.instance_token(&identity, &pairing.instance_id).await {
        Ok(token) => {
            checks.push(Check::good(TOKEN, "This home is accepted."));
            checks.extend(token.key_set_bytes().map(|signed| keys_check(state, &signed)));
            if token.paused {
                let fix = "Open the cloud's web page under Homes and resume this home.";
                checks.push(Check::bad("pause in the cloud", "Paused on the cloud's web page: no commands come.", fix));
            }
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
    }
    let relay = if state.is_in_use() {
        running_link(state).await
    } else {
        let admission = Admission::new(
            cloud,
            options.dialer.clone(),
            identity,
            pairing.instance_id.clone(),
            pairing.relay_url.clone(),
            Box::new(|_| true),
        );
        trial_link(&admission).await
    };
    checks.push(relay);
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

/// What the running connector says of its link. A trial would push it off.
async fn running_link(state: &StateDir) -> Check {
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
                return Check::good(NAME, "The running connector is connected.");
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
    match admission.dial().await {
        Ok(_) => Check::good(NAME, "It lets this home in. The connector does not run at the moment."),
        Err(failure) => {
            let (_, explanation) = failure.because_and_explanation();
            Check::bad(NAME, "It does not let this home in.", explanation)
        }
    }
}

fn sentence(error: &CloudError) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).chain(['.']).collect())
}
