//! How a skill backend is set up.

use std::time::Duration;

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
    /// Told of each directive's way, after its answer is made.
    pub observer: Option<Observer>,
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
            .field("observer", &self.observer.is_some())
            .finish()
    }
}
