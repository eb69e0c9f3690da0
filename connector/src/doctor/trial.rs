//! The whole way, tried: a sealed command that does nothing comes to the connector that runs, and its answer goes back.

use std::time::Duration;

use macloud_proto::ids::InstanceId;
use macloud_proto::jose::SigningKey;
use macloud_proto::trial::{self, Hops, Outcome};
use tokio::time::{Instant, sleep};

use super::Check;
use crate::cloud::{Cloud, CloudError};

const NAME: &str = "end to end";

/// Whoever asks again at once is let wait for so long; more is told.
const WORTH_WAITING: Duration = Duration::from_secs(3);

/// Have this home tried, whose connector is connected. None where the cloud sends no such commands.
pub(super) async fn run(cloud: &Cloud, identity: &SigningKey, home: &InstanceId) -> Option<Check> {
    let mut begun = Instant::now();
    let mut tried = cloud.try_home(identity, home).await;
    if let Err(CloudError::RetryAfter(wait)) = &tried
        && *wait <= WORTH_WAITING
    {
        sleep(*wait).await;
        begun = Instant::now();
        tried = cloud.try_home(identity, home).await;
    }
    match tried {
        Ok(outcome) => outcome.map(|outcome| judge(&outcome, begun.elapsed())),
        Err(CloudError::Unauthorized) => {
            let fix = "Set this machine's clock if it is wrong. If it is not, tell whoever runs the cloud: its skill does not know a home that the rest of it knows.";
            Some(Check::bad(NAME, "The cloud's skill does not take this home's word.", fix))
        }
        Err(error) => Some(Check::failed(NAME, &error)),
    }
}

fn judge(outcome: &Outcome, took: Duration) -> Check {
    let came =
        || format!("A command that does nothing came here, and its answer went back. {}", times(&outcome.micros, took));
    let (detail, fix) = match outcome.result.as_str() {
        trial::OK => return Check::good(NAME, came()),
        trial::STOPPED => {
            return Check::good(NAME, format!("{} It was refused, as the stop switch is pressed.", came()));
        }
        "not_sent_not_connected" => (
            "The cloud does not find this home connected.",
            "Try again in a minute, and restart the connector if that does not help. If neither does, tell whoever runs the cloud: its relays do not find each other's homes.",
        ),
        "home_paused" | "not_sent_paused" => (
            "The home is paused on the cloud's web page.",
            "Open the cloud's web page under Homes and resume this home.",
        ),
        "unknown" | "time_up" | "not_sent_deadline" | "not_sent_link_lost" => (
            "It was sent, and no answer came back in time.",
            "Try again. If it stays so, the link is there and carries nothing: restart the connector, and look for a firewall or proxy that holds connections open which are dead.",
        ),
        "home_untrusted" | "session_broken" | "unexpected_reply" => (
            "The cloud's skill and this connector do not understand each other's keys.",
            "Restart the connector, and update it. If it stays so, see what is said of the keys of the cloud, and pair again only if whoever runs it says that they set it up anew.",
        ),
        _ => (
            "The cloud could not send it.",
            "Try again in a while. Here is nothing to repair; if it stays so, tell whoever runs the cloud.",
        ),
    };
    Check::bad(NAME, format!("{detail}{}", word(&outcome.result)), fix)
}

/// What went wrong, as the cloud calls it: for whoever runs it. Anything but a word is not repeated.
fn word(result: &str) -> String {
    let is_word = (1..=40).contains(&result.len()) && result.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    if is_word { format!(" ({result})") } else { String::new() }
}

fn times(hops: &Hops, took: Duration) -> String {
    let Hops { resolve, seal, relay, link, home, open } = *hops;
    let inside = [resolve, seal, relay, link, home, open].into_iter().fold(0, u64::saturating_add);
    let there = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).saturating_sub(inside);
    let named = [
        ("asking the cloud for it", there),
        ("knowing this home", resolve),
        ("sealing", seal),
        ("relay", relay),
        ("link", link),
        ("here", home),
        ("opening the answer", open),
    ];
    let named = named.map(|(hop, micros)| format!("{hop} {}", millis(micros)));
    format!("It took {} ms: {}.", took.as_millis(), named.join(", "))
}

/// To a tenth of a millisecond.
fn millis(micros: u64) -> String {
    format!("{}.{}", micros / 1000, micros % 1000 / 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(result: &str) -> Outcome {
        let micros = Hops { resolve: 1_250, seal: 900, relay: 80, link: 12_000, home: 400, open: 20 };
        Outcome { result: result.into(), micros }
    }

    #[test]
    fn each_hop_is_told_with_its_time() {
        let check = judge(&outcome(trial::OK), Duration::from_micros(34_700));
        let times = "It took 34 ms: asking the cloud for it 20.0, knowing this home 1.2, sealing 0.9, relay 0.0, link 12.0, here 0.4, opening the answer 0.0.";
        assert!(check.ok && check.detail.ends_with(times), "{}", check.detail);
        assert!(judge(&outcome(trial::STOPPED), Duration::ZERO).ok, "it came the whole way");
    }

    #[test]
    fn what_went_wrong_is_told_with_its_cure_and_its_word() {
        for word in ["not_sent_not_connected", "unknown", "home_untrusted", "bus_away", "of_a_newer_cloud"] {
            let check = judge(&outcome(word), Duration::ZERO);
            assert!(!check.ok && check.fix.is_some() && check.detail.ends_with(&format!("({word})")), "{check:?}");
        }
        let check = judge(&outcome("<b>Mia's kitchen</b>"), Duration::ZERO);
        assert_eq!(check.detail, "The cloud could not send it.");
    }
}
