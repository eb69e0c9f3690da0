//! Browsers that somebody has signed in from before: each has a cookie, which stays when they sign out. What it tries is
//! counted for it alone, so that strangers, from however many networks, cannot use up its tries; and as strictly as a
//! single network, so that the cookie is of little use to whoever steals it (OWASP: "device cookies").

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
pub(super) enum Trier {
    /// A browser that somebody signed in to this account from before.
    Known(String),
    /// Anybody else, by their network.
    Stranger(String),
}

impl Trier {
    /// Who tries with this address. Whether it has an account makes no difference: nobody is known there.
    pub(super) async fn by_email(shared: &Shared, parts: &Parts, email: &str) -> Result<Self, PageError> {
        let known = find(shared, &parts.headers, |person| person.email == email).await?;
        Ok(known.map_or_else(|| Self::Stranger(address_key(shared.client_address(parts))), Self::Known))
    }

    pub(super) fn key(&self) -> &str {
        let (Self::Known(key) | Self::Stranger(key)) = self;
        key
    }
}

/// What the limits of an account count a try in: the account's own count, or that of a browser that is known there.
pub(super) async fn of_account(shared: &Shared, headers: &HeaderMap, account: &AccountId) -> Result<String, PageError> {
    let known = find(shared, headers, |person| person.account == *account).await?;
    Ok(known.unwrap_or_else(|| account.to_string()))
}

async fn find(
    shared: &Shared,
    headers: &HeaderMap,
    is_meant: impl Fn(&Person) -> bool,
) -> Result<Option<String>, PageError> {
    let Some((_, browser)) = read_cookie(headers, cookie_name(shared)) else { return Ok(None) };
    let people = known_browsers::people(&shared.db, &browser, shared.now()).await?;
    // By the session, not by the cookie: that changes with anybody's sign-in, also a thief's to an account of their own, and a
    // fresh count would be fresh guesses.
    let meant = people.into_iter().find(is_meant);
    Ok(meant.map(|Person { account, session, .. }| format!("{account}\0{session}")))
}

/// Know a browser from now on, in the transaction that signs somebody in there: its fresh cookie.
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
