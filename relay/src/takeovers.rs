//! Two installations that hold one home's key, such as a copied state directory: the newest session wins, so they displace
//! each other, and the home works by fits and starts. Here it is noticed, so that both can be told what to do.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;
use std::time::Duration;

use macloud_proto::ids::InstanceId;
use tokio::time::Instant;

/// When each home was last taken over by another installation. Homes to which that never happens are not in it.
#[derive(Debug)]
pub(crate) struct Takeovers {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    lately: HashMap<InstanceId, VecDeque<Instant>>,
    last_swept: Instant,
}

impl Takeovers {
    pub(crate) fn new() -> Self {
        Self { state: Mutex::new(State { lately: HashMap::new(), last_swept: Instant::now() }) }
    }

    /// Another installation has just taken over. Whether they keep displacing each other.
    pub(crate) fn note(&self, instance: &InstanceId) -> bool {
        let now = Instant::now();
        let mut state = self.state.lock().expect("no code panics while holding this lock");
        state.sweep(now);
        let lately = state.lately.entry(instance.clone()).or_default();
        lately.push_back(now);
        if lately.len() > TOO_MANY {
            lately.pop_front();
        }
        lately.len() == TOO_MANY && lately.iter().all(|at| now - *at <= WINDOW)
    }
}

impl State {
    fn sweep(&mut self, now: Instant) {
        if now - self.last_swept >= WINDOW {
            self.lately.retain(|_, lately| lately.back().is_some_and(|last| now - *last <= WINDOW));
            self.last_swept = now;
        }
    }
}

/// Moving a connector to another machine takes over once, and going back once more.
const TOO_MANY: usize = 3;
/// A displaced connector waits for two to five minutes before it dials again, so two of them need some ten minutes for this;
/// impatient ones need seconds.
const WINDOW: Duration = Duration::from_secs(15 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn three_in_a_quarter_of_an_hour_are_a_quarrel() {
        let takeovers = Takeovers::new();
        let (home, other) = (InstanceId::from_bytes(&[1; 16]), InstanceId::from_bytes(&[2; 16]));
        let mut noted = Vec::new();
        for _ in 0..4 {
            noted.push(takeovers.note(&home));
            tokio::time::advance(Duration::from_secs(5 * 60)).await;
        }
        assert_eq!(noted, [false, false, true, true]);
        assert!(!takeovers.note(&other));
        for _ in 0..4 {
            tokio::time::advance(Duration::from_secs(8 * 60)).await;
            assert!(!takeovers.note(&home), "now and then is no quarrel");
        }
        tokio::time::advance(Duration::from_secs(20 * 60)).await;
        takeovers.note(&other);
        assert_eq!(takeovers.state.lock().unwrap().lately.len(), 1, "peace is forgotten");
    }
}
