//! Pairing: a person at any screen approves this home, and compares the fingerprint at both ends.

use std::path::PathBuf;
use std::time::Duration;

use macloud_e2ee::keys::PinnedKeySet;
use macloud_e2ee::vocabulary::clean_text;
use macloud_proto::ids::{InstanceId, fingerprint};
use macloud_service_kit::clock::SharedClock;
use tokio::time::{Instant, sleep};
use url::Url;

use crate::cloud::{Cloud, CloudError, Poll, lifetime};
use crate::music_assistant::token::Token;
use crate::network::Dialer;
use crate::state::{MusicAssistantPlace, Pairing, StateDir, StateError};

/// Between polls where the service names no interval (RFC 8628 section 3.2).
const INTERVAL: Duration = Duration::from_secs(5);

/// Added when the service says "slow down" (RFC 8628 section 3.5).
const SLOWER: Duration = Duration::from_secs(5);

/// What to pair, and with what.
pub struct PairOptions {
    /// The account service.
    pub cloud: Url,
    /// Where to keep the pairing.
    pub state_dir: PathBuf,
    /// A name to suggest for the home.
    pub name: Option<String>,
    /// Music Assistant's address, to keep for later.
    pub ma_url: Option<Url>,
    /// Music Assistant's token, to keep for later.
    pub ma_token: Option<Token>,
    /// How connections are opened.
    pub dialer: Dialer,
    /// The clock.
    pub clock: SharedClock,
}

/// What to show to the person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceCode {
    /// To type.
    pub user_code: String,
    /// Where to type it.
    pub verification_uri: String,
    /// The same with the code inside.
    pub verification_uri_complete: String,
    /// To compare with what the page shows.
    pub fingerprint: String,
    /// How long the code is good for.
    pub expires_in: Duration,
}

/// A home that is paired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paired {
    /// Its id.
    pub instance_id: InstanceId,
    /// Its name.
    pub home_name: String,
    /// Its key's short form.
    pub fingerprint: String,
}

/// Why pairing did not succeed. The texts say what to do.
#[derive(Debug, thiserror::Error)]
pub enum PairError {
    /// The state directory.
    #[error(transparent)]
    State(#[from] StateError),
    /// The cloud.
    #[error("pairing failed: {}", .0.with_advice())]
    Cloud(#[from] CloudError),
    /// The person said no.
    #[error("pairing was refused on the web page. Start it again if that was a mistake.")]
    Denied,
    /// Nobody decided in time.
    #[error("nobody approved the code in time. Start pairing again and enter the new code.")]
    Expired,
    /// The service shows another key than this home's: somebody is in between.
    #[error(
        "the cloud answered for another key than this home's. Do not approve the code; check the address given with --cloud."
    )]
    OtherKey,
    /// The answer lacks something.
    #[error("the cloud's answer to pairing lacks {0}. It may be older than this connector; update it.")]
    Incomplete(&'static str),
}

/// Pair. `on_code` shows the code; the future then waits for the person. Dropping it gives up; the code ends by itself.
///
/// # Errors
/// [`PairError`]. Nothing is kept then but the identity key.
pub async fn pair(options: PairOptions, mut on_code: impl FnMut(&DeviceCode)) -> Result<Paired, PairError> {
    let state = StateDir::open(options.state_dir)?;
    let _lock = state.lock()?;
    let key = state.identity()?;
    let own = fingerprint(key.public());
    let cloud = Cloud::new(options.cloud.clone(), options.dialer.clone(), options.clock)?;
    let begun = cloud.begin_pairing(&key, options.name.as_deref()).await?;
    if begun.fingerprint.as_ref().is_some_and(|shown| *shown != own) {
        return Err(PairError::OtherKey);
    }
    let expires_in = lifetime(begun.expires_in);
    on_code(&DeviceCode {
        verification_uri_complete: begun.verification_uri_complete.unwrap_or_else(|| begun.verification_uri.clone()),
        user_code: begun.user_code,
        verification_uri: begun.verification_uri,
        fingerprint: own.clone(),
        expires_in,
    });
    let deadline = Instant::now() + expires_in;
    let mut interval = begun.interval.map_or(INTERVAL, Duration::from_secs).min(expires_in);
    let token = loop {
        sleep(interval).await;
        if Instant::now() >= deadline {
            return Err(PairError::Expired);
        }
        match cloud.poll_pairing(&key, &begun.device_code).await {
            Ok(Poll::Paired(token)) => break token,
            Ok(Poll::Pending) => {}
            Ok(Poll::SlowDown) => interval += SLOWER,
            Ok(Poll::Denied) => return Err(PairError::Denied),
            Ok(Poll::Expired) => return Err(PairError::Expired),
            // The code lives on; a moment without network must not cost the person another round.
            Err(error) if error.is_of_the_way() => interval = interval.max(INTERVAL),
            Err(CloudError::RetryAfter(after)) => sleep(after.min(expires_in)).await,
            Err(error) => return Err(error.into()),
        }
    };
    let keys = token.key_set_bytes().ok_or(PairError::Incomplete("the key set"))?;
    let keys = PinnedKeySet::pin(&keys).map_err(|_| PairError::Incomplete("a valid key set"))?;
    let relay_url = token.relay_url.clone().ok_or(PairError::Incomplete("the relay's address"))?;
    let instance_id = token.instance_id.clone().ok_or(PairError::Incomplete("the home's id"))?;
    let home_name = token.home_name.as_deref().map_or_else(|| "Home".into(), clean_text);
    if options.ma_url.is_some() {
        state.save_music_assistant(&MusicAssistantPlace { url: options.ma_url })?;
    }
    if let Some(token) = &options.ma_token {
        state.save_token(token)?;
    }
    let pairing =
        Pairing { cloud: options.cloud, instance_id: instance_id.clone(), home_name: home_name.clone(), relay_url };
    state.save_pairing(&pairing, &keys)?;
    Ok(Paired { instance_id, home_name, fingerprint: own })
}
