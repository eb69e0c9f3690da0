//! Browsers that somebody has signed in from before: each has a cookie, which stays when they sign out. What it tries is
//! counted for it first, so that strangers, from however many networks, cannot use up its tries; and as strictly as a
//! single network, so that the cookie is of little use to whoever steals it (OWASP: "device cookies"). Once its tries are used up
//! it is a stranger like any other: nor can such a thief keep it out. What costs us work or mail counts for networks, known or not.

use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use macloud_proto::ids::AccountId;

use super::PageError;
use super::visitor::{read_cookie, set_cookie};
use crate::rate_limits::address_key;
use crate::secrets::{Kind, Secret};
use crate::shared::Shared;
use crate::store::known_browsers::{self, Person};
use crate::store::{StoreError, Tx};

/// Who tries to get into an account, as limits count them.
pub(super) struct Trier {
    /// Where they are.
    pub(super) network: String,
    /// Whether somebody signed in to this account from there before.
    pub(super) known: Option<Known>,
}

/// A browser that somebody signed in from before.
pub(super) struct Known {
    /// For what all browsers that are known at the account share.
    pub(super) account: String,
    /// For what it has for itself.
    pub(super) browser: String,
}

impl Trier {
    pub(super) const fn stranger(network: String) -> Self {
        Self { network, known: None }
    }

    /// Who tries with this address. Whether it has an account makes no difference: nobody is known there.
    pub(super) async fn by_email(shared: &Shared, parts: &Parts, email: &str) -> Result<Self, PageError> {
        let known = find(shared, &parts.headers, |person| person.email == email).await?;
        Ok(Self { network: address_key(shared.client_address(parts)), known })
    }
}

/// Whether a browser is known at an account.
pub(super) async fn at(shared: &Shared, headers: &HeaderMap, account: &AccountId) -> Result<Option<Known>, PageError> {
    find(shared, headers, |person| person.account == *account).await
}

async fn find(
    shared: &Shared,
    headers: &HeaderMap,
    is_meant: impl Fn(&Person) -> bool,
) -> Result<Option<Known>, PageError> {
    let Some((_, browser)) = read_cookie(headers, cookie_name(shared)) else { return Ok(None) };
    let people = known_browsers::people(&shared.db, &browser, shared.now()).await?;
    // By the session, not by the cookie: that changes with anybody's sign-in, also a thief's to an account of their own, and a
    // fresh count would be fresh guesses.
    let meant = people.into_iter().find(is_meant);
    Ok(meant.map(|Person { account, session, .. }| Known {
        browser: format!("{account}\0{session}"),
        account: account.to_string(),
    }))
}

/// Know a browser from now on, in the transaction that signs somebody in there or ends what they have elsewhere: its fresh
/// cookie. A copy of the old one is worth nothing then.
pub(super) async fn keep(
    tx: &mut Tx,
    shared: &Shared,
    headers: &HeaderMap,
    account: &AccountId,
    session: &str,
) -> Result<HeaderValue, StoreError> {
    let name = cookie_name(shared);
    let old = read_cookie(headers, name).map(|(_, hash)| hash);
    let fresh = Secret::new(Kind::Cookie);
    known_browsers::keep(tx, (old.as_ref(), &fresh.hash()), account, session, shared.now() + SECONDS).await?;
    Ok(set_cookie(shared, name, fresh.as_str(), Some(SECONDS)))
}

fn cookie_name(shared: &Shared) -> &'static str {
    if shared.https { "__Host-macloud-known" } else { "macloud-known" }
}

/// A year from the last time somebody signed in.
const SECONDS: i64 = 365 * 24 * 3600;
