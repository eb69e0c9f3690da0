//! How often each home dials in. A home may be broken, or its key in the wrong hands: it must not use up what all homes
//! share, such as the memory of proofs.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use macloud_proto::ids::InstanceId;
use tokio::time::Instant;

/// Counts dial-ins whose credentials hold (the generic cell rate algorithm: one time for each home).
#[derive(Debug)]
pub(crate) struct DialIns {
    each: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// When each home's allowance will be whole again. Others are whole.
    whole_at: HashMap<InstanceId, Instant>,
    last_swept: Instant,
}

impl DialIns {
    /// So many at once, refilled evenly over a minute.
    pub(crate) fn new(per_minute: u32) -> Self {
        let state = State { whole_at: HashMap::new(), last_swept: Instant::now() };
        Self { each: MINUTE / per_minute.max(1), state: Mutex::new(state) }
    }

    /// Count one, or refuse it.
    pub(crate) fn count(&self, instance: &InstanceId) -> Result<(), TooOften> {
        let now = Instant::now();
        let mut state = self.state.lock().expect("no code panics while holding this lock");
        state.sweep(now);
        let whole_at = state.whole_at.get(instance).copied().unwrap_or(now).max(now) + self.each;
        if whole_at - now > MINUTE {
            return Err(TooOften);
        }
        state.whole_at.insert(instance.clone(), whole_at);
        Ok(())
    }

    /// The last one counted was not the home's own: whoever repeats what it has shown must not keep it out.
    pub(crate) fn take_back(&self, instance: &InstanceId) {
        let mut state = self.state.lock().expect("no code panics while holding this lock");
        if let Some(whole_at) = state.whole_at.get_mut(instance) {
            *whole_at -= self.each;
        }
    }
}

/// This home has used up its allowance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooOften;

impl State {
    fn sweep(&mut self, now: Instant) {
        if now - self.last_swept >= MINUTE {
            self.whole_at.retain(|_, whole_at| *whole_at > now);
            self.last_swept = now;
        }
    }
}

const MINUTE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_taken_back_can_be_used() {
        let dial_ins = DialIns::new(1);
        let home = InstanceId::from_bytes(&[1; 16]);
        dial_ins.take_back(&home);
        assert_eq!(dial_ins.count(&home), Ok(()));
        assert_eq!(dial_ins.count(&home), Err(TooOften));
        dial_ins.take_back(&home);
        assert_eq!((dial_ins.count(&home), dial_ins.count(&home)), (Ok(()), Err(TooOften)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_then_an_even_refill_for_each_home() {
        let dial_ins = DialIns::new(6);
        let (home, other) = (InstanceId::from_bytes(&[1; 16]), InstanceId::from_bytes(&[2; 16]));
        for _ in 0..6 {
            assert_eq!(dial_ins.count(&home), Ok(()));
        }
        assert_eq!(dial_ins.count(&home), Err(TooOften));
        assert_eq!(dial_ins.count(&other), Ok(()));
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(dial_ins.count(&home), Ok(()));
        assert_eq!(dial_ins.count(&home), Err(TooOften));
        tokio::time::advance(Duration::from_secs(120)).await;
        assert_eq!(dial_ins.count(&other), Ok(()));
        assert_eq!(dial_ins.state.lock().unwrap().whole_at.len(), 1, "forgotten once it is whole");
    }
}
