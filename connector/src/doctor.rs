//! `doctor`: each hop of the way from the cloud to a speaker, whether it works, and what to do if not.

use std::time::Duration;

use macloud_service_kit::stop::Stop;
use serde::Serialize;
use tokio::time::{Instant, sleep, timeout};

use crate::cloud::{Cloud, CloudError};
use crate::connector::{ConnectorOptions, is_healthy, ma_settings};
use crate::discovery;
use crate::link::Admission;
use crate::music_assistant::{Condition, MusicAssistant};
use crate::rules::Rules;
use crate::state::{Pairing, StateDir};
use crate::status::Status;

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
        Ok(_) => checks.push(Check::good("rules", "In force. See them with: ma-connector rules show")),
        Err(error) => checks.push(Check::bad("rules", error.to_string(), "See the message.")),
    }
    let pairing = match state.pairing() {
        Ok(Some(pairing)) => {
            checks.push(Check::good("pairing", format!("Paired as \"{}\".", pairing.home_name)));
            Some(pairing)
        }
        Ok(None) => {
            let fix = format!("Run: ma-connector pair --cloud URL --state-dir {}", options.state_dir.display());
            checks.push(Check::bad("pairing", "Not paired with a cloud yet.", fix));
            None
        }
        Err(error) => {
            checks.push(Check::bad("pairing", error.to_string(), "Pair again."));
            None
        }
    };
    if state.is_stopped() {
        let fix = format!("Run: ma-connector resume --state-dir {}", options.state_dir.display());
        checks.push(Check::bad("stop switch", "Pressed: nothing is carried out.", fix));
    } else {
        checks.push(Check::good("stop switch", "Not pressed."));
    }
    Some((state, pairing))
}

async fn ma_checks(state: &StateDir, options: &ConnectorOptions, checks: &mut Vec<Check>) {
    const REACH: &str = "Music Assistant";
    const TOKEN: &str = "Music Assistant token";
    let settings = match ma_settings(state, options) {
        Ok(settings) => settings,
        Err(error) => return checks.push(Check::bad(REACH, error.to_string(), "See the message.")),
    };
    let ma = MusicAssistant::new(settings);
    let condition = judge_ma(&ma).await;
    let fix = condition.explanation();
    match &condition {
        condition if is_healthy(condition) => {
            checks.push(Check::good(REACH, condition.explanation()));
            checks.push(match ma.token_ending_soon() {
                Some(left) => Check::bad(
                    TOKEN,
                    format!("Accepted, but it ends in {} days.", left.as_secs() / 86_400),
                    "Create a new one in Music Assistant under Settings, Profile, and give it with --ma-token-file.",
                ),
                None => Check::good(TOKEN, "Accepted."),
            });
        }
        Condition::NoToken => checks.push(Check::bad(TOKEN, "There is none.", fix)),
        Condition::TokenDoubted | Condition::TokenRefused => {
            checks.push(Check::good(REACH, "It answers."));
            let fix = Condition::TokenRefused.explanation();
            checks.push(Check::bad(TOKEN, "Music Assistant refuses it.", fix));
        }
        other => {
            let mut fix = fix;
            // The owner decides: whoever is in the network can say that it is Music Assistant.
            for found in discovery::find(discovery::USUAL_LIMIT).await.unwrap_or_default() {
                fix.push_str(&format!(" One announces itself in this network: --ma-url {}", found.url));
            }
            checks.push(Check::bad(REACH, format!("Not usable ({}).", other.word()), fix));
        }
    }
}

/// How it stands with Music Assistant, once that is known.
pub(crate) async fn judge_ma(ma: &MusicAssistant) -> Condition {
    let stop = Stop::new();
    let mut conditions = ma.conditions();
    let judged = async {
        let found = conditions.wait_for(|condition| *condition != Condition::Connecting).await;
        found.map_or(Condition::Connecting, |condition| condition.clone())
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
    const NETWORK: &str = "Check this machine's internet connection, and that the cloud is running.";
    let clock = options.clock.clone();
    let cloud = match Cloud::new(pairing.cloud.clone(), options.dialer.clone(), clock) {
        Ok(cloud) => cloud,
        Err(error) => return checks.push(Check::bad(REACH, error.to_string(), "Pair again with the right address.")),
    };
    match cloud.metadata().await {
        Ok(_) => checks.push(Check::good(REACH, "It answers.")),
        Err(error) => return checks.push(Check::bad(REACH, format!("{}.", capitalized(&error.to_string())), NETWORK)),
    }
    let identity = match state.identity() {
        Ok(identity) => identity,
        Err(error) => return checks.push(Check::bad(TOKEN, error.to_string(), "See the message.")),
    };
    match cloud.instance_token(&identity, &pairing.instance_id).await {
        Ok(token) => {
            checks.push(Check::good(TOKEN, "This home is accepted."));
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
            return checks.push(Check::bad(TOKEN, format!("{}.", capitalized(&error.to_string())), fix));
        }
        Err(error) => return checks.push(Check::bad(TOKEN, format!("{}.", capitalized(&error.to_string())), NETWORK)),
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
            Box::new(|_| {}),
        );
        trial_link(&admission).await
    };
    checks.push(relay);
}

/// What the running connector says of its link. A trial would push it off.
async fn running_link(state: &StateDir) -> Check {
    const NAME: &str = "relay";
    let deadline = Instant::now() + LINK_LIMIT;
    loop {
        let check = match state.status::<Status>() {
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

fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
