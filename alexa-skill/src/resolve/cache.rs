//! What is remembered of resolved tokens, under hashes of them.
//!
//! Plain data behind one lock that is held for moments: no waiting happens in here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use macloud_proto::ids::{AccountId, GrantId, InstanceId};

use super::Access;

pub(super) type Hash = [u8; 32];

pub(super) struct Cache {
    state: Mutex<State>,
    most: usize,
    longest_unanswered_ms: u64,
}

struct State {
    entries: HashMap<Hash, Entry>,
    /// Counts invalidations, so that an answer from before one is not kept after it.
    generation: u64,
    watched: Watched,
}

struct Entry {
    access: Arc<Access>,
    kept_at: u64,
    until: u64,
}

/// Whether pushed changes arrive.
#[derive(Clone, Copy)]
enum Watched {
    Yes,
    /// Not since this time.
    NotSince(u64),
}

impl Cache {
    pub(super) fn new(most: usize, longest_unanswered: Duration) -> Self {
        let state = State { entries: HashMap::new(), generation: 0, watched: Watched::NotSince(0) };
        Self { state: Mutex::new(state), most, longest_unanswered_ms: longest_unanswered.as_millis() as u64 }
    }

    /// What holds now. Nothing while nobody would tell what does not hold any more.
    pub(super) fn find(&self, hash: &Hash, now: u64) -> Option<Arc<Access>> {
        let state = self.state();
        let entry = state.entries.get(hash).filter(|entry| now < entry.until)?;
        matches!(state.watched, Watched::Yes).then(|| Arc::clone(&entry.access))
    }

    /// What held when somebody last answered, if that is not long ago.
    pub(super) fn last_known(&self, hash: &Hash, now: u64) -> Option<Arc<Access>> {
        let state = self.state();
        let entry = state.entries.get(hash).filter(|entry| now < entry.until)?;
        let serves = match state.watched {
            Watched::Yes => true,
            Watched::NotSince(lost) => now < lost.max(entry.kept_at).saturating_add(self.longest_unanswered_ms),
        };
        serves.then(|| Arc::clone(&entry.access))
    }

    pub(super) fn generation(&self) -> u64 {
        self.state().generation
    }

    /// Remember an answer, unless something was invalidated since `asked_in`.
    pub(super) fn keep(&self, hash: Hash, access: &Arc<Access>, asked_in: u64, now: u64, valid_for: Duration) {
        let mut state = self.state();
        if state.generation != asked_in {
            return;
        }
        if state.entries.len() >= self.most && !state.entries.contains_key(&hash) {
            state.make_room(now);
        }
        let until = now.saturating_add(valid_for.as_millis() as u64);
        state.entries.insert(hash, Entry { access: Arc::clone(access), kept_at: now, until });
    }

    /// Pushed changes arrive from now on. What was missed is not known, so nothing older is trusted.
    pub(super) fn watched(&self) {
        let mut state = self.state();
        state.watched = Watched::Yes;
        state.forget(|_| true);
    }

    /// Pushed changes do not arrive any more. Said again while that goes on, it prolongs nothing.
    pub(super) fn unwatched(&self, now: u64) {
        let mut state = self.state();
        if matches!(state.watched, Watched::Yes) {
            state.watched = Watched::NotSince(now);
        }
    }

    pub(super) fn is_watched(&self) -> bool {
        matches!(self.state().watched, Watched::Yes)
    }

    /// The token turned out not to be good any more.
    pub(super) fn forget_token(&self, hash: &Hash) {
        self.state().entries.remove(hash);
    }

    pub(super) fn forget_grant(&self, grant: &GrantId) {
        self.state().forget(|access| access.grant == *grant);
    }

    /// Forget an account; the homes it was known to have.
    pub(super) fn forget_account(&self, account: &AccountId) -> Vec<InstanceId> {
        let mut state = self.state();
        let known = state.entries.values().filter(|entry| entry.access.account == *account);
        let homes = known.flat_map(|entry| entry.access.homes.iter().map(|home| home.instance.clone())).collect();
        state.forget(|access| access.account == *account);
        homes
    }

    pub(super) fn forget_home(&self, instance: &InstanceId) {
        self.state().forget(|access| access.homes.iter().any(|home| home.instance == *instance));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics half-way, so what a poisoned lock guards is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn forget(&mut self, which: impl Fn(&Access) -> bool) {
        self.generation += 1;
        self.entries.retain(|_, entry| !which(&entry.access));
    }

    /// Outlived entries first; if there are none, any few, so that the next insertions are cheap again.
    fn make_room(&mut self, now: u64) {
        self.entries.retain(|_, entry| now < entry.until);
        let surplus = self.entries.len() / 16 + 1;
        let any: Vec<Hash> = self.entries.keys().take(surplus).copied().collect();
        for hash in any {
            self.entries.remove(&hash);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use macloud_e2ee::vocabulary::Scopes;

    const MINUTES: Duration = Duration::from_secs(300);

    fn cache(most: usize) -> Cache {
        Cache::new(most, Duration::from_secs(30))
    }

    fn access() -> Arc<Access> {
        let (account, grant) = (AccountId::from_bytes(&[1; 16]), GrantId::from_bytes(&[2; 16]));
        Arc::new(Access { account, grant, scopes: Scopes::default(), homes: Vec::new() })
    }

    #[test]
    fn unwatched_answers_hold_no_more_and_serve_a_little_longer_where_nobody_answers() {
        let cache = cache(9);
        cache.watched();
        cache.keep([1; 32], &access(), cache.generation(), 0, MINUTES);
        assert!(cache.find(&[1; 32], 200_000).is_some());
        cache.unwatched(200_000);
        cache.unwatched(202_000);
        assert!(cache.find(&[1; 32], 200_001).is_none(), "it may have been revoked");
        assert!(cache.last_known(&[1; 32], 229_999).is_some());
        assert!(cache.last_known(&[1; 32], 230_000).is_none());
        cache.keep([1; 32], &access(), cache.generation(), 240_000, MINUTES);
        assert!(cache.last_known(&[1; 32], 269_999).is_some());
        assert!(cache.last_known(&[1; 32], 270_000).is_none());
        cache.watched();
        assert!(cache.last_known(&[1; 32], 240_001).is_none(), "what was missed meanwhile is not known");
        cache.keep([1; 32], &access(), cache.generation(), 240_000, MINUTES);
        cache.forget_token(&[1; 32]);
        assert!(cache.last_known(&[1; 32], 240_001).is_none());
    }

    #[test]
    fn an_answer_from_before_a_revocation_is_not_kept_after_it() {
        let cache = cache(9);
        cache.watched();
        let asked_in = cache.generation();
        cache.forget_grant(&GrantId::from_bytes(&[2; 16]));
        cache.keep([1; 32], &access(), asked_in, 0, MINUTES);
        assert!(cache.find(&[1; 32], 1).is_none());
    }

    #[test]
    fn the_number_of_entries_is_bounded() {
        let cache = cache(10);
        cache.watched();
        for token in 0..100 {
            cache.keep([token; 32], &access(), cache.generation(), 0, MINUTES);
        }
        assert!(cache.state().entries.len() <= 10);
        assert!(cache.find(&[99; 32], 1).is_some());
        assert!(cache.find(&[99; 32], 300_000).is_none());
    }
}
