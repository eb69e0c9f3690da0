//! The home behind the page: wait until it is paired, keep its connector running, and do what the page wishes of it.

use std::sync::Arc;
use std::time::Duration;

use macloud_service_kit::stop::Stop;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use url::Url;

use super::{Shared, lock};
use crate::connector::{Connector, OpenError};
use crate::pairing::{DeviceCode, PairOptions, pair};
use crate::state::StateError;
use crate::status::Observer;

/// Wishes that wait. More than one comes only from somebody who presses twice.
pub(super) const WISHES: usize = 4;

/// The home may also be paired at a terminal.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What the page wants of the home.
#[derive(Debug, Clone)]
pub(super) enum Wish {
    /// Pair with this cloud. A connector that runs is stopped for it.
    Pair {
        /// The cloud.
        cloud: Url,
        /// A name to suggest for the home.
        name: Option<String>,
    },
    /// Give up pairing.
    Cancel,
    /// Start the connector again, with what is known now.
    Restart,
}

/// How far pairing has come.
#[derive(Debug, Clone, Default)]
pub(super) enum Pairing {
    #[default]
    Idle,
    /// The cloud is asked for a code.
    Asking,
    /// Somebody is to approve this.
    Code(DeviceCode, Instant),
    /// It did not succeed, and why.
    Failed(String),
    /// It did.
    Done,
}

impl Shared {
    /// Until told to stop.
    ///
    /// # Errors
    /// [`OpenError`] when the connector of a paired home cannot start.
    pub(super) async fn keep_home(
        self: &Arc<Self>,
        wishes: &mut mpsc::Receiver<Wish>,
        observer: &Observer,
        stop: &Stop,
    ) -> Result<(), OpenError> {
        let mut wish = None;
        while !stop.is_stopping() {
            wish = match wish.take() {
                Some(Wish::Pair { cloud, name }) => self.pair(cloud, name, wishes, stop).await,
                Some(Wish::Cancel | Wish::Restart) | None if self.state.is_paired() => {
                    self.connect(wishes, observer, stop).await?
                }
                Some(Wish::Cancel | Wish::Restart) | None => self.wait(wishes, stop).await,
            };
        }
        Ok(())
    }

    /// Keep the connector running until told to stop, or until the page wishes something else.
    async fn connect(
        &self,
        wishes: &mut mpsc::Receiver<Wish>,
        observer: &Observer,
        stop: &Stop,
    ) -> Result<Option<Wish>, OpenError> {
        let connector = match Connector::open_watched(self.options(), self.watch.clone()) {
            // Whoever paired at a terminal is about to let go of it.
            Err(OpenError::State(StateError::InUse(_))) => {
                tokio::select! {
                    () = stop.soft() => {}
                    () = sleep(LOOK_EVERY) => {}
                }
                return Ok(None);
            }
            opened => opened?,
        };
        connector.observe(Arc::clone(observer));
        *lock(&self.view) = Some(connector.view());
        let own = stop.child();
        let mut running = Box::pin(connector.run(own.clone()));
        let wish = tokio::select! {
            () = &mut running => None,
            wish = wishes.recv() => {
                // What is under way is answered first.
                own.stop_soft();
                running.await;
                wish
            }
        };
        *lock(&self.view) = None;
        Ok(wish)
    }

    /// Until there is a pairing, or a wish.
    async fn wait(self: &Arc<Self>, wishes: &mut mpsc::Receiver<Wish>, stop: &Stop) -> Option<Wish> {
        if self.place().is_none() {
            self.search();
        }
        let pulse = self.watch.pulse("page");
        loop {
            pulse.within(LOOK_EVERY);
            tokio::select! {
                () = stop.soft() => return None,
                wish = wishes.recv() => return wish,
                () = sleep(LOOK_EVERY) => if self.state.is_paired() && !self.state.is_in_use() {
                    return None;
                }
            }
        }
    }

    /// Pair, until it is decided or the page wishes something else, which is returned.
    async fn pair(
        &self,
        cloud: Url,
        name: Option<String>,
        wishes: &mut mpsc::Receiver<Wish>,
        stop: &Stop,
    ) -> Option<Wish> {
        self.set_pairing(Pairing::Asking);
        let options = self.options();
        let options = PairOptions {
            cloud,
            state_dir: options.state_dir,
            name,
            ma_url: None,
            ma_token: None,
            dialer: options.dialer,
            clock: options.clock,
        };
        let show = |code: &DeviceCode| self.set_pairing(Pairing::Code(code.clone(), Instant::now() + code.expires_in));
        tokio::select! {
            () = stop.soft() => None,
            wish = wishes.recv() => {
                self.set_pairing(Pairing::Idle);
                wish
            }
            paired = Box::pin(pair(options, show)) => {
                self.set_pairing(match paired {
                    Ok(_) => Pairing::Done,
                    Err(error) => Pairing::Failed(error.to_string()),
                });
                None
            }
        }
    }

    pub(super) fn set_pairing(&self, pairing: Pairing) {
        *lock(&self.pairing) = pairing;
    }

    /// Where Music Assistant is, if that was said.
    pub(super) fn place(&self) -> Option<Url> {
        let given = lock(&self.options).ma_url.clone();
        given.or_else(|| self.state.music_assistant().ok()?.url)
    }

    /// Whether there is a token for it.
    pub(super) fn has_token(&self) -> bool {
        lock(&self.options).ma_token_file.is_some() || self.state.token_file().exists()
    }
}
