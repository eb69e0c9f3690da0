//! The link doctor: what became of each attempt to link an app, so that whoever it failed for learns why and what to do.
//!
//! An attempt is known by a hash of its request, which the browser carries through sign-in and consent unchanged; from the
//! code on by the grant that the code stands for. Noting never fails a request: what cannot be written while the database is
//! away waits in a short list and is written later.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard};

use axum::http::request::Parts;
use macloud_proto::ids::{AccountId, GrantId, base32};

use crate::config::Rate;
use crate::form::Form;
use crate::rate_limits::{Attempt, address_key};
use crate::secrets::{self, Kind, lookup_hash};
use crate::shared::Shared;
use crate::store::StoreError;
use crate::store::link_attempts::{self, Cause, Seen, Stage};
use crate::web::visitor::Visitor;

/// What a request to link is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    id: String,
    client_id: String,
    host: String,
}

impl Request {
    /// Where the answer goes, once that is known to be the client's.
    pub(crate) fn leading_to(self, redirect_uri: &str) -> Self {
        let url = url::Url::parse(redirect_uri).ok();
        let host = url.as_ref().and_then(url::Url::host_str).unwrap_or_default().to_owned();
        Self { host, ..self }
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Of the request as the app made it. The same at every step: what a sign-in changes of it does not count.
    pub(crate) fn of(form: &Form) -> Self {
        let part = |name| form.value(name).unwrap_or_default();
        let names = ["client_id", "redirect_uri", "request_uri", "state", "nonce", "code_challenge"];
        let text = names.map(part).join("\0");
        let url = url::Url::parse(part("redirect_uri")).ok();
        // A stranger's text: as much of it as an operator needs to find a mistake, in characters that cannot do anything.
        let tame = |text: &str| text.chars().filter(char::is_ascii_graphic).take(MOST_SHOWN).collect();
        Self {
            id: base32(&secrets::hash(&format!("link\0{text}"))[..15]),
            client_id: tame(part("client_id")),
            host: tame(url.as_ref().and_then(url::Url::host_str).unwrap_or_default()),
        }
    }
}

/// What could not be written yet.
#[derive(Debug, Default)]
pub(crate) struct Unwritten(Mutex<VecDeque<Trouble>>);

/// The database was away: at the request, or when the app came with its code.
#[derive(Debug)]
enum Trouble {
    Request { request: Request, browser: Option<[u8; 32]>, at: i64 },
    Code { hash: [u8; 32], at: i64 },
}

impl Unwritten {
    fn push(&self, trouble: Trouble) {
        let mut all = self.lock();
        if all.len() == MOST_UNWRITTEN {
            all.pop_front();
        }
        all.push_back(trouble);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Trouble>> {
        self.0.lock().expect("no code panics while holding this lock")
    }
}

/// Who asks, as far as it is known.
pub(crate) struct Whose<'a> {
    pub(crate) browser: Option<[u8; 32]>,
    pub(crate) account: Option<&'a AccountId>,
}

impl<'a> Whose<'a> {
    pub(crate) fn of(visitor: &'a Visitor) -> Self {
        let account = visitor.session.as_ref().map(|session| &session.account_id);
        Self { browser: Some(*visitor.browser()), account }
    }
}

/// Note how far a request came, and what stopped it, if anything did.
pub(crate) async fn note(shared: &Shared, request: &Request, whose: &Whose<'_>, stage: Stage, cause: Option<Cause>) {
    let Request { id, client_id, host } = request;
    let Whose { browser, account } = whose;
    let seen = Seen { id, browser: browser.as_ref(), account: *account, client_id, host, stage, cause };
    if let Err(error) = link_attempts::note(&shared.db, &seen, shared.now()).await {
        tracing::debug!(%error, "where an attempt to link stands could not be noted");
        database_was_away(shared, request.clone(), *browser);
    }
}

/// Whether this address may leave another attempt that belongs to no account.
pub(crate) fn may_leave_one(shared: &Shared, parts: &Parts) -> bool {
    let address = address_key(shared.client_address(parts));
    shared.rate_limits.count(Attempt::FailedLink, &address, FAILED_LINKS_PER_ADDRESS).is_ok()
}

/// The database did not answer a request to link.
pub(crate) fn database_was_away(shared: &Shared, request: Request, browser: Option<[u8; 32]>) {
    shared.unwritten.push(Trouble::Request { request, browser, at: shared.now() });
}

/// The app's attempt to redeem this grant's code was refused.
pub(crate) async fn code_refused(shared: &Shared, grant: &GrantId, cause: Cause) {
    if let Err(error) = link_attempts::stop(&shared.db, grant, cause, shared.now()).await {
        tracing::debug!(%error, "what stopped an attempt to link could not be noted");
    }
}

/// A request to the token endpoint with this code was refused before or while the code was looked at.
pub(crate) async fn token_refused(shared: &Shared, form: &Form, cause: Cause) {
    let Some(hash) = form.value("code").and_then(|code| lookup_hash(Kind::Code, code)) else { return };
    if cause == Cause::Database {
        return shared.unwritten.push(Trouble::Code { hash, at: shared.now() });
    }
    if let Ok(Some((grant, _))) = link_attempts::grant_of_code(&shared.db, &hash).await {
        code_refused(shared, &grant, cause).await;
    }
}

/// Write what could not be written before. What still cannot be stays.
pub(crate) async fn write_up(shared: &Shared) -> Result<(), StoreError> {
    let troubles = std::mem::take(&mut *shared.unwritten.lock());
    let mut left = troubles.into_iter();
    while let Some(trouble) = left.next() {
        if let Err(error) = write_one(shared, &trouble).await {
            let mut all = shared.unwritten.lock();
            for trouble in [trouble].into_iter().chain(left).rev().collect::<Vec<_>>() {
                all.push_front(trouble);
            }
            all.truncate(MOST_UNWRITTEN);
            return Err(error);
        }
    }
    Ok(())
}

async fn write_one(shared: &Shared, trouble: &Trouble) -> Result<(), StoreError> {
    match trouble {
        Trouble::Request { request: Request { id, client_id, host }, browser, at } => {
            let seen = Seen {
                id,
                browser: browser.as_ref(),
                account: None,
                client_id,
                host,
                stage: Stage::Request,
                cause: Some(Cause::Database),
            };
            link_attempts::note(&shared.db, &seen, *at).await
        }
        Trouble::Code { hash, at } => match link_attempts::grant_of_code(&shared.db, hash).await? {
            Some((grant, _)) => link_attempts::stop(&shared.db, &grant, Cause::Database, *at).await,
            None => Ok(()),
        },
    }
}

const MOST_SHOWN: usize = 64;
const MOST_UNWRITTEN: usize = 256;
/// More than anybody needs who tries to set a link up, and little enough that a few addresses cannot fill the list.
const FAILED_LINKS_PER_ADDRESS: Rate = Rate { requests: 30, seconds: 3600 };
