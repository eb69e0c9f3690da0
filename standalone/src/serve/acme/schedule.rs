//! When the next certificate is ordered: pure, with the time as an argument. All times are seconds since 1970.

use std::ops::Range;
use std::time::Duration;

use macloud_service_kit::random;
use serde::{Deserialize, Serialize};

/// What is planned for one name at one authority. At first: at once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Plan {
    /// Before this, nothing is asked of the authority.
    pub(super) next_attempt: u64,
    /// Attempts that failed, one after the other.
    pub(super) failures: u32,
    /// The authority named that time: nobody here may be faster.
    named_by_authority: bool,
}

impl Plan {
    /// When to order next, with a certificate that is good at these times, or with none. The plan's time counts, unless it lies
    /// so far ahead that a clock must have been wrong when it was made.
    pub(super) fn due_at(&self, now: u64, valid: Option<&Range<u64>>) -> u64 {
        match (self.failures, valid) {
            (0, None) => now,
            (0, Some(valid)) if self.next_attempt > now + SOONEST_RENEWAL.as_secs() => {
                self.next_attempt.min(latest_renewal(valid))
            }
            (1.., _) if self.next_attempt > now + LONGEST_WAIT.as_secs() => now,
            _ => self.next_attempt,
        }
    }

    /// An attempt begins, which counts as failed until it succeeds. After such ones try again later and later.
    pub(super) fn begin(&mut self, now: u64) {
        self.failures = self.failures.saturating_add(1);
        self.named_by_authority = false;
        self.next_attempt = now + backoff(self.failures).as_secs();
    }

    /// The authority does not want to be asked earlier than that.
    pub(super) fn told_to_wait(&mut self, now: u64, wait: Duration) {
        self.named_by_authority = true;
        self.next_attempt = self.next_attempt.max(now + wait.min(LONGEST_WAIT).as_secs());
    }

    /// A certificate that is good at these times was issued.
    pub(super) fn succeeded(&mut self, now: u64, valid: &Range<u64>) {
        self.failures = 0;
        self.named_by_authority = false;
        let spread = (valid.end - valid.start.min(valid.end)) / 30;
        let renewal = latest_renewal(valid).saturating_sub(random::up_to(spread));
        self.next_attempt = renewal.max(now + SOONEST_RENEWAL.as_secs());
    }

    /// Somebody says that what was wrong is mended.
    pub(super) fn hurry(&mut self, now: u64) {
        if self.failures > 0 && !self.named_by_authority {
            self.next_attempt = self.next_attempt.min(now);
        }
    }
}

/// With a third of its life left, as Let's Encrypt recommends: 30 days of 90, 2 of 6.
fn latest_renewal(valid: &Range<u64>) -> u64 {
    valid.end - (valid.end - valid.start.min(valid.end)) / 3
}

/// With up to a quarter more, so that machines that failed together do not come back together.
fn backoff(failures: u32) -> Duration {
    let doubled = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
    let wait = FIRST_WAIT.saturating_mul(doubled).min(LONGEST_BACKOFF);
    wait + Duration::from_secs(random::up_to(wait.as_secs() / 4))
}

/// Let's Encrypt takes five failed validations of a name an hour: so at most four of ours fall into one.
const FIRST_WAIT: Duration = Duration::from_secs(5 * 60);
const LONGEST_BACKOFF: Duration = Duration::from_secs(12 * 3600);
/// What an authority may ask for. Those of Let's Encrypt count by the week at most.
const LONGEST_WAIT: Duration = Duration::from_secs(8 * 24 * 3600);
const SOONEST_RENEWAL: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400;
    const NOW: u64 = 1_800_000_000;

    #[test]
    fn a_certificate_is_renewed_when_about_a_third_of_its_life_is_left() {
        for days in [6, 45, 90] {
            let valid = NOW..NOW + days * DAY;
            let mut plan = Plan::default();
            plan.succeeded(NOW, &valid);
            let due = plan.due_at(NOW, Some(&valid));
            let (latest, spread) = (NOW + days * DAY * 2 / 3, days * DAY / 30);
            assert!((latest - spread..=latest).contains(&due), "{days} days: {due}");
        }
    }

    #[test]
    fn a_certificate_that_is_nearly_over_when_it_is_issued_is_not_ordered_over_and_over() {
        for (start, end) in [(NOW - 90 * DAY, NOW + 60), (NOW - 90 * DAY, NOW - 60), (NOW, NOW), (NOW + 60, NOW)] {
            let valid = Range { start, end };
            let mut plan = Plan::default();
            plan.succeeded(NOW, &valid);
            assert_eq!(plan.due_at(NOW, Some(&valid)), NOW + 3600, "{valid:?}");
        }
    }

    #[test]
    fn failures_are_followed_by_longer_and_longer_waits_and_never_by_more_than_the_authority_bears() {
        let (mut plan, mut now, mut begun) = (Plan::default(), NOW, Vec::new());
        for _ in 0..40 {
            begun.push(now);
            plan.begin(now);
            assert!(plan.next_attempt > now && plan.next_attempt <= now + 15 * 3600, "{}", plan.next_attempt - now);
            now = plan.due_at(now, None);
        }
        let most =
            begun.iter().map(|start| begun.iter().filter(|at| (*start..start + 3600).contains(at)).count()).max();
        assert!(most <= Some(4), "{most:?} in an hour");
        plan.failures = u32::MAX;
        plan.begin(now);
        assert!(plan.next_attempt <= now + 15 * 3600);
    }

    #[test]
    fn nobody_is_faster_than_the_authority_wants() {
        let mut plan = Plan::default();
        plan.begin(NOW);
        plan.told_to_wait(NOW, Duration::from_secs(3 * DAY));
        plan.hurry(NOW + 60);
        assert_eq!(plan.due_at(NOW + 60, None), NOW + 3 * DAY);
        plan.told_to_wait(NOW, Duration::MAX);
        assert_eq!(plan.due_at(NOW, None), NOW + 8 * DAY, "within bounds");
        let mut plan = plan_that_failed();
        plan.told_to_wait(NOW, Duration::ZERO);
        assert!(plan.next_attempt >= NOW + 300, "nor than is good");
    }

    fn plan_that_failed() -> Plan {
        let mut plan = Plan::default();
        plan.begin(NOW);
        plan
    }

    #[test]
    fn who_mended_what_was_wrong_need_not_wait() {
        let mut plan = plan_that_failed();
        plan.hurry(NOW + 10);
        assert_eq!(plan.due_at(NOW + 10, None), NOW + 10);
        let valid = NOW..NOW + 90 * DAY;
        plan.succeeded(NOW, &valid);
        let due = plan.next_attempt;
        plan.hurry(NOW + 20);
        assert_eq!(plan.next_attempt, due, "a good certificate is not replaced for that");
    }

    #[test]
    fn a_plan_that_was_made_with_a_wrong_clock_is_not_followed() {
        let (valid, wrong) = (NOW..NOW + 90 * DAY, NOW + 3000 * DAY);
        let mut plan = Plan::default();
        plan.succeeded(wrong, &valid);
        assert_eq!(plan.due_at(NOW, Some(&valid)), NOW + 60 * DAY);
        plan.begin(wrong);
        assert_eq!(plan.due_at(NOW, Some(&valid)), NOW);
    }
}
