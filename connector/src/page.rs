//! The page that a connector serves at home: it sets a home up without a terminal, shows how it stands, and changes its rules.
//!
//! It is for the browser of whoever runs the connector: on this machine, or inside Home Assistant, which then says who may see it.
//! The way of a request: [`server`] takes it, [`request`] judges where it comes from, [`form`] reads what was filled in, [`routes`]
//! does it, and [`views`] shows what is there then. Behind it [`home`] keeps the connector running, once there is a pairing.
//!
//! No page holds a secret: tokens and passwords go in, and never out again. It works without scripts; with them it keeps itself fresh.

pub mod form;
pub mod request;
pub mod words;

mod home;
mod routes;
mod server;
mod views;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use macloud_service_kit::random;
use macloud_service_kit::stop::Stop;
use ring::hmac;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;
use url::Url;

use crate::connector::{ConnectorOptions, OpenError, View};
use crate::discovery::{self, Found};
use crate::state::{StateDir, StateError};
use crate::status::Observer;
use crate::watchdog::Watch;
use home::{Pairing, Wish};

/// Where the page is, and for whom.
#[derive(Debug, Clone)]
pub struct PageSettings {
    /// Where to listen.
    pub address: SocketAddr,
    /// Names under which it may be opened, beside those that every machine has for itself.
    pub hosts: Vec<String>,
    /// Serve Home Assistant's ingress alone, which comes from here.
    pub ingress: Option<IpAddr>,
    /// The cloud to propose.
    pub cloud: Option<Url>,
}

/// Why there is no page. The texts say what to do.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// Others than this machine could reach it.
    #[error(
        "the page asks nobody for a password, so it is served to this machine only, not at {0}: give --page 127.0.0.1:8098, or --page-behind-ingress inside Home Assistant"
    )]
    NotLoopback(SocketAddr),
    /// The address cannot be had.
    #[error("the page cannot be served at {0}: {1}")]
    Listen(SocketAddr, io::Error),
    /// The state directory.
    #[error(transparent)]
    State(#[from] StateError),
    /// The connector behind it cannot start.
    #[error(transparent)]
    Open(#[from] OpenError),
}

/// The page, and the connector behind it, ready to run.
pub struct Page {
    listener: TcpListener,
    wishes: mpsc::Receiver<Wish>,
    observer: Observer,
    shared: Arc<Shared>,
}

/// What every request sees.
struct Shared {
    settings: PageSettings,
    state: StateDir,
    options: Mutex<ConnectorOptions>,
    /// For the token in every form, one for all who see the page: it tells this page's forms from those of others, which cannot read
    /// it. Whoever can read it may use the page as well, so one for each of them would tell nothing more; and there is no cookie that
    /// a browser would send along for a stranger. It ends with the process, as everything does that a form could be about.
    secret: hmac::Key,
    wish: mpsc::Sender<Wish>,
    /// The connector, while it runs.
    view: Mutex<Option<View>>,
    pairing: Mutex<Pairing>,
    search: Mutex<Search>,
    diagnosis: Mutex<Diagnosis>,
    tasks: TaskTracker,
    /// The connectors that run one after the other, and the waiting between them.
    watch: Watch,
}

/// Who was found that may be Music Assistant.
#[derive(Debug, Clone, Default)]
enum Search {
    #[default]
    NotYet,
    Looking,
    Done(Vec<Candidate>),
}

/// One of them.
#[derive(Debug, Clone)]
struct Candidate {
    url: Url,
    name: Option<String>,
}

/// What `doctor` found.
#[derive(Debug, Clone, Default)]
enum Diagnosis {
    #[default]
    NotYet,
    Running,
    Done(crate::doctor::Diagnosis),
}

impl Page {
    /// Take the address. Nothing is served yet.
    ///
    /// # Errors
    /// [`PageError`].
    pub async fn open(
        options: ConnectorOptions,
        settings: PageSettings,
        observer: Observer,
    ) -> Result<Self, PageError> {
        let address = settings.address;
        if settings.ingress.is_none() && !address.ip().is_loopback() {
            return Err(PageError::NotLoopback(address));
        }
        let state = StateDir::open(&options.state_dir)?;
        // Said now rather than on a page.
        drop(state.lock()?);
        let listener = TcpListener::bind(address).await.map_err(|error| PageError::Listen(address, error))?;
        let (wish, wishes) = mpsc::channel(home::WISHES);
        let watch = Watch::new(Arc::clone(&options.clock));
        let shared = Arc::new(Shared {
            settings,
            state,
            options: Mutex::new(options),
            secret: hmac::Key::new(hmac::HMAC_SHA256, &random::bytes::<32>()),
            wish,
            view: Mutex::default(),
            pairing: Mutex::default(),
            search: Mutex::default(),
            diagnosis: Mutex::default(),
            tasks: TaskTracker::new(),
            watch,
        });
        Ok(Self { listener, wishes, observer, shared })
    }

    /// Where it is served.
    ///
    /// # Errors
    /// [`PageError::Listen`], when the system does not say.
    pub fn address(&self) -> Result<SocketAddr, PageError> {
        self.listener.local_addr().map_err(|error| PageError::Listen(self.shared.settings.address, error))
    }

    /// What its loops promise, and those of the connector behind it.
    #[must_use]
    pub fn watch(&self) -> &Watch {
        &self.shared.watch
    }

    /// Serve, and keep the connector running once the home is paired, until told to stop.
    ///
    /// # Errors
    /// [`PageError::Open`] when the connector of a paired home cannot start.
    pub async fn run(self, stop: Stop) -> Result<(), PageError> {
        let Self { listener, mut wishes, observer, shared } = self;
        // The page is there until the connector has ended.
        let quiet = Stop::new();
        let home = async {
            let ran = Box::pin(shared.keep_home(&mut wishes, &observer, &stop)).await;
            quiet.stop_soft();
            ran
        };
        let (ran, ()) = tokio::join!(home, server::serve(listener, Arc::clone(&shared), quiet.child()));
        Ok(ran?)
    }
}

impl Shared {
    fn options(&self) -> ConnectorOptions {
        lock(&self.options).clone()
    }

    fn view(&self) -> Option<View> {
        lock(&self.view).clone()
    }

    /// What is in every form, and nobody can know who has not seen a page of this process.
    fn form_token(&self) -> String {
        URL_SAFE_NO_PAD.encode(hmac::sign(&self.secret, FORM))
    }

    fn is_form_token(&self, text: &str) -> bool {
        let tag = URL_SAFE_NO_PAD.decode(text).unwrap_or_default();
        hmac::verify(&self.secret, FORM, &tag).is_ok()
    }

    /// Look for Music Assistant, unless that is being done.
    fn search(self: &Arc<Self>) {
        {
            let mut search = lock(&self.search);
            if matches!(*search, Search::Looking) {
                return;
            }
            *search = Search::Looking;
        }
        let this = Arc::clone(self);
        self.tasks.spawn(async move {
            // Without any there is still the field for the address.
            *lock(&this.search) = Search::Done(job(candidates()).await.unwrap_or_default());
        });
    }

    /// Look at every hop, unless that is being done.
    fn examine(self: &Arc<Self>) {
        {
            let mut diagnosis = lock(&self.diagnosis);
            if matches!(*diagnosis, Diagnosis::Running) {
                return;
            }
            *diagnosis = Diagnosis::Running;
        }
        let this = Arc::clone(self);
        self.tasks.spawn(async move {
            let found = job(Box::pin(crate::doctor::examine(this.options()))).await;
            *lock(&this.diagnosis) = found.map_or(Diagnosis::NotYet, Diagnosis::Done);
        });
    }
}

async fn candidates() -> Vec<Candidate> {
    let (here, found) = tokio::join!(discovery::is_on_this_machine(), discovery::find(discovery::USUAL_LIMIT));
    let here = here.then(|| Candidate { url: crate::connector::ma_place(None), name: None });
    let found = found.unwrap_or_default().into_iter().map(|Found { url, name, .. }| Candidate { url, name });
    here.into_iter().chain(found).collect()
}

/// What comes of this. Nothing, if it panics: pages wait for its end, which must come in any case.
async fn job<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Option<T> {
    tokio::spawn(work).await.ok()
}

const FORM: &[u8] = b"macloud connector page form";

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is behind these locks is replaced as a whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_job_that_panics_ends_for_those_who_wait() {
        assert_eq!(job(async { 7 }).await, Some(7));
        assert_eq!(job(async { assert!(false_for_once(), "as if something were wrong") }).await, None);
    }

    fn false_for_once() -> bool {
        std::env::args().count() == 0
    }
}
