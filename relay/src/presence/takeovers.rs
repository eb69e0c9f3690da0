//! Two installations that hold one home's key, such as a copied state directory: the newest session wins, so they displace
//! each other, and the home works by fits and starts. Here it is noticed, so that both can be told what to do.

/// Another installation takes over at `now`, in milliseconds; `lately` is when that happened before.
pub(super) fn note(lately: &mut Vec<u64>, now: u64) {
    lately.retain(|at| is_recent(*at, now));
    lately.push(now);
    if lately.len() > TOO_MANY {
        lately.remove(0);
    }
}

/// Whether they keep displacing each other. Every session that begins meanwhile is told, not only one that takes over: a home
/// that has lost its Welcome, or the goodbye of the session before, learns it with the next.
pub(super) fn are_too_many(lately: &[u64], now: u64) -> bool {
    lately.iter().filter(|at| is_recent(**at, now)).count() >= TOO_MANY
}

/// Whether something at that time still counts.
pub(super) const fn is_recent(at: u64, now: u64) -> bool {
    now.saturating_sub(at) <= WINDOW_MILLIS
}

/// Moving a connector to another machine takes over once, and going back once more.
pub(super) const TOO_MANY: usize = 3;
/// A displaced connector waits for two to five minutes before it dials again, so two of them need some ten minutes for this;
/// impatient ones need seconds.
pub(super) const WINDOW_MILLIS: u64 = 15 * 60 * 1000;

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60_000;

    #[test]
    fn three_in_a_quarter_of_an_hour_are_a_quarrel() {
        let mut lately = Vec::new();
        let mut quarrels = |at| {
            note(&mut lately, at);
            are_too_many(&lately, at)
        };
        let noted: Vec<bool> = (0..4).map(|time| quarrels(time * 5 * MINUTE)).collect();
        assert_eq!(noted, [false, false, true, true]);
        for time in 0..4 {
            assert!(!quarrels((100 + time * 8) * MINUTE), "now and then is no quarrel");
        }
        assert!(quarrels(125 * MINUTE) && !are_too_many(&lately, 141 * MINUTE), "it passes");
        note(&mut lately, 1000 * MINUTE);
        assert_eq!(lately.len(), 1, "peace is forgotten");
    }
}
