//! How a skill backend is set up.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::Url;

use crate::dispatch::BusConfig;
use crate::grant::EventsConfig;
use crate::resolve::ResolveConfig;
use crate::trace::Observer;
use crate::verify::VerifyConfig;

/// Settings of a skill backend; the default ones are meant for production, but refuse every request of the custom part
/// until [`VerifyConfig::application_ids`] names the skill.
#[derive(Clone)]
pub struct SkillConfig {
    /// The whole time for one directive or request. Alexa waits 8 s, the forwarder 7.
    pub deadline: Duration,
    /// Looking tokens up.
    pub resolve: ResolveConfig,
    /// Believing requests of the custom part.
    pub verify: VerifyConfig,
    /// The command bus.
    pub bus: BusConfig,
    /// At most this many directives and requests are answered at once; further ones are turned away.
    pub most_requests: usize,
    /// At most this many sessions with homes are kept.
    pub most_sessions: usize,
    /// What state reports to Alexa's event gateway need. Off when absent.
    pub events: Option<EventsConfig>,
    /// Where a person is told meanwhile that something takes long, instead of the one of Alexa's addresses that the
    /// request names.
    pub alexa_api: Option<Url>,
    /// What forwarders sign directives with: one of these keys must fit. When there are none, the bearer token in a directive is
    /// all that decides.
    pub forwarder_keys: Vec<[u8; 32]>,
    /// Told of each directive's way, after its answer is made.
    pub observer: Option<Observer>,
}

/// Keys as a file has them: each 32 bytes in base64, one a line. `None` when a line is something else, or when there is none.
#[must_use]
pub fn forwarder_keys(text: &str) -> Option<Vec<[u8; 32]>> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let keys: Option<Vec<[u8; 32]>> = lines.map(|line| STANDARD.decode(line).ok()?.try_into().ok()).collect();
    keys.filter(|keys| !keys.is_empty())
}

impl Default for SkillConfig {
    fn default() -> Self {
        Self {
            deadline: Duration::from_millis(6500),
            resolve: ResolveConfig::default(),
            verify: VerifyConfig::default(),
            bus: BusConfig::default(),
            // With bodies of 256 KiB at most, half a gigabyte when strangers do their worst.
            most_requests: 2048,
            most_sessions: 100_000,
            events: None,
            alexa_api: None,
            forwarder_keys: Vec::new(),
            observer: None,
        }
    }
}

impl std::fmt::Debug for SkillConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SkillConfig")
            .field("deadline", &self.deadline)
            .field("resolve", &self.resolve)
            .field("verify", &self.verify)
            .field("bus", &self.bus)
            .field("most_requests", &self.most_requests)
            .field("most_sessions", &self.most_sessions)
            .field("events", &self.events)
            .field("alexa_api", &self.alexa_api.as_ref().map(Url::as_str))
            .field("forwarder_keys", &self.forwarder_keys.len())
            .field("observer", &self.observer.is_some())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forwarder_keys_stand_one_a_line() {
        let (one, two) = (STANDARD.encode([1; 32]), STANDARD.encode([2; 32]));
        assert_eq!(forwarder_keys(&format!("{one}\n")), Some(vec![[1; 32]]));
        assert_eq!(forwarder_keys(&format!("{one}\r\n\n  {two}")), Some(vec![[1; 32], [2; 32]]));
        // A file that is not what it should be must never mean that nothing is checked.
        for wrong in ["", "\n \n", "c2hvcnQ=", &format!("{one}\nnot a key"), &STANDARD.encode([1; 33])] {
            assert_eq!(forwarder_keys(wrong), None, "{wrong}");
        }
    }
}
