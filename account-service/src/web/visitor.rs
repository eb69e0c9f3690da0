//! Who is at the browser: a cookie, and the session behind it if somebody signed in.

use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use macloud_proto::ids::base32;
use macloud_service_kit::random;

use super::{PageError, known};
use crate::secrets::{Kind, Secret, lookup_hash};
use crate::shared::Shared;
use crate::store::Tx;
use crate::store::accounts::Account;
use crate::store::activity;
use crate::store::web_sessions::{self, Session};

/// A browser. It has a cookie from its first form on, so that forms can be bound to it before anybody signs in.
pub(crate) struct Visitor {
    cookie: Secret,
    hash: [u8; 32],
    /// The cookie was made for this answer and has to be set.
    fresh: bool,
    /// Whether the fresh cookie is to outlive the browser.
    lasting: bool,
    /// The cookie by which the browser is known from now on, made for this answer.
    known: Option<HeaderValue>,
    pub(crate) session: Option<Session>,
}

impl Visitor {
    /// Whoever sent these headers.
    pub(crate) async fn of(shared: &Shared, headers: &HeaderMap) -> Result<Self, PageError> {
        let Some((cookie, hash)) = read_cookie(headers, cookie_name(shared)) else { return Ok(Self::stranger()) };
        let now = shared.now();
        let session = web_sessions::living(&shared.db, &hash, now).await?;
        if session.as_ref().is_some_and(|session| now - session.last_seen_at >= SEEN_EVERY_SECONDS) {
            web_sessions::seen(&shared.db, &hash, now).await?;
        }
        Ok(Self { cookie, hash, fresh: false, lasting: false, known: None, session })
    }

    fn stranger() -> Self {
        let cookie = Secret::new(Kind::Cookie);
        Self { hash: cookie.hash(), cookie, fresh: true, lasting: false, known: None, session: None }
    }

    /// The same browser, now signed in, by somebody who showed at `signed_in_at` who they are: with a new cookie, so that nobody
    /// who knew the old one comes along. `None` when the account's password changed since the account was read.
    pub(crate) async fn signed_in(
        &self,
        shared: &Shared,
        account: &Account,
        signed_in_at: i64,
        headers: &HeaderMap,
    ) -> Result<Option<Self>, PageError> {
        let now = shared.now();
        let id: [u8; 10] = random::bytes();
        let session = Session {
            id: base32(&id),
            account_id: account.id.clone(),
            email: account.email.clone(),
            signed_in_at,
            last_seen_at: now,
        };
        let mut visitor = Self { lasting: true, ..Self::stranger() };
        let expires_at = now + i64::from(shared.config.lives.session_seconds);
        let device = device_name(headers);
        let mut tx = shared.db.begin().await?;
        let hash = &account.password_hash;
        if !web_sessions::insert(&mut tx, &visitor.hash, &session, hash, expires_at, device).await? {
            return Ok(None);
        }
        visitor.known = Some(known::keep(&mut tx, shared, headers, &account.id, &session.id).await?);
        tx.commit().await?;
        if self.session.is_some() {
            web_sessions::end(&shared.db, &self.hash).await?;
        }
        activity::note(&shared.db, &account.id, activity::Kind::SignedIn, device, now).await;
        visitor.session = Some(session);
        Ok(Some(visitor))
    }

    /// End all of an account's sessions but this one's, in a transaction that [`super::begin_as`] began. The answer is to
    /// [set the cookies](Self::set_cookies): a copy of the one by which the browser was known ends, too.
    pub(super) async fn end_others(
        &mut self,
        tx: &mut Tx,
        shared: &Shared,
        headers: &HeaderMap,
        session: &Session,
    ) -> Result<(), PageError> {
        web_sessions::end_others(tx, &session.account_id, &session.id).await?;
        self.known = Some(known::keep(tx, shared, headers, &session.account_id, &session.id).await?);
        Ok(())
    }

    /// The same browser, signed out, with yet another cookie.
    pub(crate) async fn signed_out(self, shared: &Shared) -> Result<Self, PageError> {
        web_sessions::end(&shared.db, &self.hash).await?;
        Ok(Self::stranger())
    }

    /// The hidden value for a form of this name in a page for this browser.
    pub(crate) fn form_token(&self, shared: &Shared, form: &str) -> String {
        shared.master.form_token(self.cookie.as_str(), form)
    }

    pub(super) fn owns_form(&self, shared: &Shared, form: &str, token: &str) -> bool {
        !self.fresh && shared.master.form_token_matches(self.cookie.as_str(), form, token)
    }

    /// What stands for this browser where its cookie must not: a hash of it.
    pub(crate) const fn browser(&self) -> &[u8; 32] {
        &self.hash
    }

    /// Have an answer set the cookies that were made for it.
    pub(crate) fn set_cookies(&self, shared: &Shared, response: &mut Response) {
        for cookie in self.cookie_to_set(shared).into_iter().chain(self.known.clone()) {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
    }

    /// The browser's own, if it is fresh.
    pub(crate) fn cookie_to_set(&self, shared: &Shared) -> Option<HeaderValue> {
        let age = self.lasting.then(|| shared.config.lives.session_seconds.into());
        self.fresh.then(|| set_cookie(shared, cookie_name(shared), self.cookie.as_str(), age))
    }
}

/// What sets a cookie for this host alone, kept for `seconds`, or until the browser is closed.
pub(super) fn set_cookie(shared: &Shared, name: &str, value: &str, seconds: Option<i64>) -> HeaderValue {
    let secure = if shared.https { "; Secure" } else { "" };
    let age = seconds.map(|seconds| format!("; Max-Age={seconds}")).unwrap_or_default();
    let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{age}");
    HeaderValue::from_str(&text).expect("name, value and attributes are ASCII")
}

/// `__Host-` binds the cookie to this host and to https; browsers refuse it on plain http, which exists on loopback only.
fn cookie_name(shared: &Shared) -> &'static str {
    if shared.https { "__Host-macloud" } else { "macloud" }
}

/// A cookie of ours that has the form of a secret.
pub(super) fn read_cookie(headers: &HeaderMap, name: &str) -> Option<(Secret, [u8; 32])> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut values = cookies.flat_map(|text| text.split(';')).filter_map(|pair| {
        let (other, value) = pair.trim().split_once('=')?;
        (other == name).then_some(value)
    });
    values.find_map(|value| Some((Secret::parse_cookie(value)?, lookup_hash(Kind::Cookie, value)?)))
}

/// Enough to recognise one's own phone in a list, and no more.
fn device_name(headers: &HeaderMap) -> &'static str {
    let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let has = |word: &str| agent.contains(word);
    // The order matters: many browsers also name those they descend from.
    let browser = if has("AlexaMobile") || has("Alexa") {
        0
    } else if has("Edg") {
        1
    } else if has("Firefox") || has("FxiOS") {
        2
    } else if has("Chrome") || has("CriOS") {
        3
    } else if has("Safari") {
        4
    } else {
        5
    };
    let system = if has("iPhone") {
        0
    } else if has("iPad") {
        1
    } else if has("Android") {
        2
    } else if has("Windows") {
        3
    } else if has("Mac OS X") {
        4
    } else if has("Linux") {
        5
    } else {
        6
    };
    DEVICES[browser][system]
}

macro_rules! on_systems {
    ($browser:literal) => {
        [
            concat!($browser, " on iPhone"),
            concat!($browser, " on iPad"),
            concat!($browser, " on Android"),
            concat!($browser, " on Windows"),
            concat!($browser, " on Mac"),
            concat!($browser, " on Linux"),
            $browser,
        ]
    };
}

/// All that is ever stored of a user agent.
const DEVICES: [[&str; 7]; 6] = [
    on_systems!("Alexa app"),
    on_systems!("Edge"),
    on_systems!("Firefox"),
    on_systems!("Chrome"),
    on_systems!("Safari"),
    on_systems!("Browser"),
];

/// A write per page view would be a waste.
const SEEN_EVERY_SECONDS: i64 = 300;

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: header::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn only_our_own_well_formed_cookie_counts() {
        let value = Secret::new(Kind::Cookie).into_string();
        let read = |text: &str| read_cookie(&headers(header::COOKIE, text), "macloud").map(|(_, hash)| hash);
        assert!(read(&format!("a=b; macloud={value}; c")).is_some());
        assert!(read(&format!("macloud=short; macloud={value}")).is_some());
        for wrong in [String::new(), "macloud=".into(), format!("xmacloud={value}"), format!("macloud={value}x")] {
            assert!(read(&wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn devices_have_names_for_people() {
        let name = |agent: &str| device_name(&headers(header::USER_AGENT, agent));
        assert_eq!(
            name("Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/130 Mobile Safari/537.36"),
            "Chrome on Android"
        );
        assert_eq!(
            name("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1"),
            "Safari on iPhone"
        );
        assert_eq!(name("curl/8"), "Browser");
    }
}
