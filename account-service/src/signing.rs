//! The keys that sign instance tokens and id tokens: made at first start, sealed in the database, published as a JWK Set.
//!
//! A key is published some minutes before it is used and stays published after its successor took over, so that every
//! cache has it in time and every token it signed stays verifiable.

use std::sync::{Arc, RwLock};

use macloud_proto::ids::base32;
use macloud_proto::jose::{Header, Jwk, SigningKey, Unverified};
use macloud_service_kit::clock::SharedClock;
use macloud_service_kit::random;
use serde::{Deserialize, Serialize};

use crate::secrets::MasterKeys;
use crate::store::signing_keys::{self, StoredKey};
use crate::store::{Db, StoreError, Tx};

/// Why the signing keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The database's keys were sealed with another key file.
    #[error(
        "what is secret in the database was sealed with another key file than the one given, or with a key that is not in it (any more)"
    )]
    KeyFile,
}

struct LoadedKey {
    generation: i64,
    kid: String,
    key: SigningKey,
    use_from: i64,
}

/// The current keys.
pub(crate) struct Signing {
    clock: SharedClock,
    keys: RwLock<Arc<[LoadedKey]>>,
}

impl Signing {
    /// Load the keys, making the first if there is none.
    pub(crate) async fn open(db: &Db, master: &MasterKeys, clock: SharedClock) -> Result<Self, SigningError> {
        let signing = Self { clock, keys: RwLock::new(Arc::new([])) };
        signing.reload(db, master).await?;
        if signing.current().is_empty() {
            // Another process may do the same now: one of us is first with generation 1, both read that one back.
            let mut tx = db.begin().await?;
            signing_keys::insert(&mut tx, &make(master, 1, signing.clock.unix_seconds() as i64)).await?;
            tx.commit().await?;
            signing.reload(db, master).await?;
        }
        Ok(signing)
    }

    /// Read the keys again: another process may have rotated them.
    pub(crate) async fn reload(&self, db: &Db, master: &MasterKeys) -> Result<(), SigningError> {
        let stored = signing_keys::list(db).await?;
        let loaded: Result<Arc<[LoadedKey]>, _> = stored.into_iter().map(|key| load(master, key)).collect();
        *self.keys.write().expect("no code panics while holding this lock") = loaded?;
        Ok(())
    }

    /// Publish a new key, to be used from [`PUBLISH_BEFORE_USE_SECONDS`] on, with a transaction, after which the keys are to be
    /// [read again](Self::reload). Its key id.
    pub(crate) async fn rotate(&self, tx: &mut Tx, master: &MasterKeys) -> Result<String, StoreError> {
        let newest = self.current().last().map_or(0, |key| key.generation);
        let key = make(master, newest + 1, self.clock.unix_seconds() as i64 + PUBLISH_BEFORE_USE_SECONDS);
        if signing_keys::insert(tx, &key).await? {
            return Ok(key.kid);
        }
        // Another process was first with this generation: its key is as good.
        signing_keys::kid(tx, key.generation).await
    }

    /// Rotate when the newest key has been in use for `after_seconds`.
    pub(crate) async fn rotate_when_due(
        &self,
        db: &Db,
        master: &MasterKeys,
        after_seconds: i64,
    ) -> Result<(), SigningError> {
        self.reload(db, master).await?;
        let now = self.clock.unix_seconds() as i64;
        if self.current().last().is_some_and(|newest| newest.use_from + after_seconds <= now) {
            let mut tx = db.begin().await?;
            let kid = self.rotate(&mut tx, master).await?;
            tx.commit().await?;
            self.reload(db, master).await?;
            tracing::info!(key.id = %kid, "published the next signing key");
        }
        Ok(())
    }

    /// The published keys, oldest first: id, from when it signs (seconds since 1970), and whether it is the one that does.
    pub(crate) fn published(&self) -> Vec<(String, i64, bool)> {
        let keys = self.current();
        let active = self.active(&keys).generation;
        keys.iter().map(|key| (key.kid.clone(), key.use_from, key.generation == active)).collect()
    }

    /// Delete keys whose successor took over so long ago that nothing they signed is valid any more.
    pub(crate) async fn retire(&self, db: &Db, master: &MasterKeys) -> Result<(), SigningError> {
        let now = self.clock.unix_seconds() as i64;
        let keys = self.current();
        for pair in keys.windows(2) {
            if pair[1].use_from + KEEP_AFTER_USE_SECONDS <= now {
                signing_keys::delete(db, pair[0].generation).await?;
            }
        }
        self.reload(db, master).await
    }

    /// Sign claims as a token of type `typ`.
    pub(crate) fn sign(&self, typ: &str, claims: &impl Serialize) -> String {
        let keys = self.current();
        let key = self.active(&keys);
        let header = Header { typ: Some(typ.into()), kid: Some(key.kid.clone()), ..Header::default() };
        key.key.sign_jws(header, claims)
    }

    /// Sign an instance token.
    pub(crate) fn sign_instance(&self, claims: &macloud_proto::instance_token::Claims) -> String {
        let keys = self.current();
        let key = self.active(&keys);
        macloud_proto::instance_token::sign(&key.key, &key.kid, claims)
    }

    /// The claims of a token that this service signed; `None` for any other. Says nothing about its age.
    pub(crate) fn verify_own<T: for<'de> Deserialize<'de>>(&self, token: &str) -> Option<T> {
        let token = Unverified::parse(token).ok()?;
        let keys = self.current();
        let key = keys.iter().find(|key| token.header().kid.as_ref() == Some(&key.kid))?;
        token.verify(key.key.public()).ok()
    }

    /// The public keys as a JWK Set (RFC 7517).
    pub(crate) fn jwk_set(&self) -> String {
        let keys: Vec<Jwk> = self.current().iter().map(public_jwk).collect();
        serde_json::json!({ "keys": keys }).to_string()
    }

    fn current(&self) -> Arc<[LoadedKey]> {
        self.keys.read().expect("no code panics while holding this lock").clone()
    }

    fn active<'a>(&self, keys: &'a [LoadedKey]) -> &'a LoadedKey {
        let now = self.clock.unix_seconds() as i64;
        let ready = keys.iter().rev().find(|key| key.use_from <= now);
        ready.or(keys.first()).expect("`open` made sure that there is a key, and none is deleted without a successor")
    }
}

fn public_jwk(key: &LoadedKey) -> Jwk {
    Jwk {
        kid: Some(key.kid.clone()),
        usage: Some("sig".into()),
        alg: Some("EdDSA".into()),
        ..Jwk::ed25519(key.key.public())
    }
}

fn make(master: &MasterKeys, generation: i64, use_from: i64) -> StoredKey {
    let seed: [u8; 32] = random::bytes();
    let kid: [u8; 10] = random::bytes();
    let kid = base32(&kid);
    let public = *SigningKey::from_seed(&seed).public();
    StoredKey { generation, public, sealed_seed: master.seal(&place(&kid), &seed), kid, use_from }
}

fn load(master: &MasterKeys, stored: StoredKey) -> Result<LoadedKey, SigningError> {
    let seed = master.open(&place(&stored.kid), &stored.sealed_seed).ok_or(SigningError::KeyFile)?;
    let seed: [u8; 32] = seed.try_into().map_err(|_| SigningError::KeyFile)?;
    let key = SigningKey::from_seed(&seed);
    if *key.public() != stored.public {
        return Err(StoreError::Inconsistent { table: "signing_keys", column: "public_key" }.into());
    }
    Ok(LoadedKey { generation: stored.generation, kid: stored.kid, key, use_from: stored.use_from })
}

fn place(kid: &str) -> String {
    format!("signing_keys/{kid}")
}

/// Every process reads the keys once a minute; relays ask again at an unknown key id.
const PUBLISH_BEFORE_USE_SECONDS: i64 = 300;
/// Far above the life of any signed token.
const KEEP_AFTER_USE_SECONDS: i64 = 48 * 3600;
