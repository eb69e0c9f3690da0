//! Seal: one sealed session for each home, set up when first needed and shared by all commands.
//!
//! Setting up costs a way to the home and a key encapsulation, so many commands that need a session at once wait for
//! one set-up. A home that is unlinked, or whose identity key changes, loses its session.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use macloud_e2ee::keys::SkillSigner;
use macloud_e2ee::skill::Session;
use macloud_proto::ids::InstanceId;
use macloud_proto::time::Millis;
use macloud_service_kit::clock::SharedClock;
use macloud_service_kit::random;

use crate::failure::Failure;
use crate::resolve::Home;
use crate::resolve::watch::HomesForgotten;

/// The sessions of this process.
pub struct Sessions {
    homes: Mutex<HashMap<InstanceId, Arc<Place>>>,
    most: usize,
    signer: Arc<SkillSigner>,
    clock: SharedClock,
}

/// Where pre-keys come from.
pub trait PreKeys: Sync {
    /// The signed pre-key of `home`; a `fresh` one past what a relay remembers for seconds.
    fn fetch(&self, home: &Home, fresh: bool) -> impl Future<Output = Result<Bytes, Failure>> + Send;
}

/// Where the session of one home is.
struct Place {
    identity: [u8; 32],
    session: Mutex<Option<Arc<Session>>>,
    /// Held while setting up, so that one does it for all.
    setting_up: tokio::sync::Mutex<()>,
    used_ms: AtomicU64,
}

impl Sessions {
    /// None yet; at most `most` at a time.
    #[must_use]
    pub fn new(signer: impl Into<Arc<SkillSigner>>, most: usize, clock: SharedClock) -> Self {
        Self { homes: Mutex::default(), most: most.max(1), signer: signer.into(), clock }
    }

    /// The session with `home`, and whether it was set up just now.
    ///
    /// # Errors
    /// What fetching a pre-key fails with, or [`Failure::HomeUntrusted`].
    pub async fn session(&self, home: &Home, pre_keys: &impl PreKeys) -> Result<(Arc<Session>, bool), Failure> {
        let place = self.place(home);
        if let Some(session) = self.usable(&place) {
            return Ok((session, false));
        }
        let _one_at_a_time = place.setting_up.lock().await;
        if let Some(session) = self.usable(&place) {
            return Ok((session, false));
        }
        let session = match self.establish(home, &pre_keys.fetch(home, false).await?) {
            // What a relay remembered may be of before the home was set up anew.
            Err(_) => self.establish(home, &pre_keys.fetch(home, true).await?)?,
            established => established?,
        };
        *place.session() = Some(Arc::clone(&session));
        Ok((session, true))
    }

    /// The session that replaces `refused`, which the home does not have any more: by this pre-key, unless somebody else
    /// was faster.
    ///
    /// # Errors
    /// [`Failure::HomeUntrusted`].
    pub async fn replace(
        &self,
        home: &Home,
        refused: &Arc<Session>,
        signed_pre_key: &[u8],
    ) -> Result<(Arc<Session>, bool), Failure> {
        let place = self.place(home);
        let _one_at_a_time = place.setting_up.lock().await;
        if let Some(session) = self.usable(&place).filter(|session| !Arc::ptr_eq(session, refused)) {
            return Ok((session, false));
        }
        let session = self.establish(home, signed_pre_key)?;
        *place.session() = Some(Arc::clone(&session));
        Ok((session, true))
    }

    /// How many homes have a place.
    #[must_use]
    pub fn count(&self) -> usize {
        self.homes().len()
    }

    fn establish(&self, home: &Home, signed_pre_key: &[u8]) -> Result<Arc<Session>, Failure> {
        let mut random = |out: &mut [u8]| random::fill(out);
        let now = self.now();
        Session::establish(&home.instance, &home.identity, signed_pre_key, &self.signer, now, &mut random)
            .map(Arc::new)
            .map_err(|error| {
                tracing::warn!(instance.id = %home.instance, %error, "cannot set up a session");
                Failure::HomeUntrusted
            })
    }

    /// The home's place; a new one if its identity key has changed.
    fn place(&self, home: &Home) -> Arc<Place> {
        let now = self.clock.monotonic_millis();
        let mut homes = self.homes();
        if homes.len() >= self.most && !homes.contains_key(&home.instance) {
            make_room(&mut homes);
        }
        let place = match homes.entry(home.instance.clone()) {
            Entry::Occupied(mut occupied) => {
                if occupied.get().identity != home.identity {
                    occupied.insert(Arc::new(Place::new(home.identity)));
                }
                Arc::clone(occupied.get())
            }
            Entry::Vacant(vacant) => Arc::clone(vacant.insert(Arc::new(Place::new(home.identity)))),
        };
        place.used_ms.store(now, Ordering::Relaxed);
        place
    }

    fn usable(&self, place: &Place) -> Option<Arc<Session>> {
        let now = self.now();
        place.session().as_ref().filter(|session| !session.is_over(now)).map(Arc::clone)
    }

    fn now(&self) -> Millis {
        Millis(self.clock.monotonic_millis())
    }

    fn homes(&self) -> MutexGuard<'_, HashMap<InstanceId, Arc<Place>>> {
        self.homes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HomesForgotten for Sessions {
    fn forget(&self, instance: &InstanceId) {
        self.homes().remove(instance);
    }

    fn forget_all(&self) {
        self.homes().clear();
    }
}

impl Place {
    fn new(identity: [u8; 32]) -> Self {
        Self {
            identity,
            session: Mutex::default(),
            setting_up: tokio::sync::Mutex::new(()),
            used_ms: AtomicU64::new(0),
        }
    }

    fn session(&self) -> MutexGuard<'_, Option<Arc<Session>>> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Drop those that were not used for the longest time, a sixteenth of all, so that this is rare.
fn make_room(homes: &mut HashMap<InstanceId, Arc<Place>>) {
    let mut used: Vec<u64> = homes.values().map(|place| place.used_ms.load(Ordering::Relaxed)).collect();
    let at = used.len() / 16;
    let (_, oldest, _) = used.select_nth_unstable(at);
    let oldest = *oldest;
    let mut surplus = at + 1;
    homes.retain(|_, place| {
        let goes = surplus > 0 && place.used_ms.load(Ordering::Relaxed) <= oldest;
        surplus -= usize::from(goes);
        !goes
    });
}
