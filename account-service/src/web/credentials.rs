//! What signing in and signing up share: an address and a password come in, and the browser, signed in, goes on to where
//! it was going.

use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::known::Trier;
use super::sign_in::sign_in_page;
use super::visitor::Visitor;
use super::{PageError, Posted, posted, see_other};
use crate::form::{Form, encode};
use crate::rate_limits::address_key;
use crate::shared::Shared;
use crate::store::accounts::Account;
use crate::words;

/// What a person typed, and where from.
pub(super) struct Entered {
    pub(super) visitor: Visitor,
    pub(super) next: Next,
    form: Form,
    parts: Parts,
}

impl Entered {
    /// Read one of the two forms.
    pub(super) async fn read(shared: &Shared, request: Request, form_name: &str) -> Result<Self, PageError> {
        let Posted { visitor, form, parts } = posted(shared, request, form_name).await?;
        let next = Next::of(&form);
        // What one came for travels in the form, and has to survive a change of language.
        words::stay_at(format!("{}{}", parts.uri.path(), next.query()));
        Ok(Self { visitor, next, form, parts })
    }

    /// The address as it was typed.
    pub(super) fn email(&self) -> &str {
        self.form.value("email").unwrap_or_default()
    }

    pub(super) fn password(&self) -> &str {
        self.form.value("password").unwrap_or_default()
    }

    /// What else the form holds.
    pub(super) fn value(&self, name: &str) -> &str {
        self.form.value(name).unwrap_or_default()
    }

    pub(super) const fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    /// Who tries to get into the account of this address, for limits.
    pub(super) async fn trier(&self, shared: &Shared, email: &str) -> Result<Trier, PageError> {
        Trier::by_email(shared, &self.parts, email).await
    }

    /// Where they try from, for limits.
    pub(super) fn address(&self, shared: &Shared) -> String {
        address_key(shared.client_address(&self.parts))
    }

    /// Sign this browser in as somebody who has just shown who they are, and send it on.
    pub(super) async fn go_on(self, shared: &Shared, account: &Account) -> Result<Response, PageError> {
        go_on(shared, &self.visitor, &self.parts.headers, account, shared.now(), &self.next).await
    }
}

/// Sign a browser in as somebody who showed at `signed_in_at` who they are, and send it on. The account must have been read
/// before they showed it.
pub(super) async fn go_on(
    shared: &Shared,
    visitor: &Visitor,
    headers: &HeaderMap,
    account: &Account,
    signed_in_at: i64,
    next: &Next,
) -> Result<Response, PageError> {
    let Some(visitor) = visitor.signed_in(shared, account, signed_in_at, headers).await? else {
        let error = Some(words::say("signin-mismatch"));
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        return sign_in_page(shared, visitor, status, next, Some(&account.email), error).await;
    };
    let mut response = see_other(next.location());
    visitor.set_cookies(shared, &mut response);
    Ok(response)
}

/// Where to go after signing in: one of our own pages, never anywhere else.
#[derive(Clone, Default)]
pub(super) struct Next(Option<String>);

impl Next {
    pub(super) fn of(form: &Form) -> Self {
        Self(form.value("next").filter(|next| is_ours(next)).map(str::to_owned))
    }

    /// A page that was checked before, and kept.
    pub(super) fn kept(text: &str) -> Self {
        Self(Some(text.to_owned()).filter(|next| is_ours(next)))
    }

    /// Where to, also when nothing was asked for.
    pub(super) fn location(&self) -> &str {
        self.0.as_deref().unwrap_or(HOME)
    }

    /// For the hidden field that carries it along; empty for the usual place.
    pub(super) fn text(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }

    /// For the link that carries it along: `?next=…`, or nothing.
    pub(super) fn query(&self) -> String {
        self.0.as_deref().map(|next| format!("?next={}", encode(next))).unwrap_or_default()
    }

    /// A link to a page of ours that carries it along.
    pub(super) fn link(&self, path: &str) -> String {
        format!("{path}{}", self.query())
    }

    /// Why somebody is asked to sign in, when it is not for its own sake: one of three messages.
    pub(super) fn reason(&self, link: &'static str, pair: &'static str, join: &'static str) -> Option<&'static str> {
        let next = self.text();
        if next.starts_with("/oauth/authorize") {
            Some(link)
        } else if next.starts_with("/pair") {
            Some(pair)
        } else if next.starts_with("/join") {
            Some(join)
        } else {
            None
        }
    }
}

pub(super) fn is_ours(next: &str) -> bool {
    let path = next.split(['?', '#']).next().unwrap_or_default();
    // One leading slash, nothing that a browser or a header could read differently.
    let plain =
        next.len() <= MAX_NEXT && next.bytes().all(|b| b.is_ascii_graphic() && b != b'\\') && !next.contains('#');
    let of_a_home = path.starts_with("/homes/")
        && path.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'/')
        && !path.contains("//");
    plain && (of_a_home || PAGES.contains(&path))
}

/// Where signing in may lead.
const PAGES: [&str; 15] = [
    "/",
    "/activity",
    "/apps",
    "/home-assistant/callback",
    "/homes",
    "/join",
    "/link-doctor",
    "/oauth/authorize",
    "/pair",
    "/plan",
    "/security",
    "/security/passkeys",
    "/security/providers",
    "/sessions",
    "/verify",
];

/// Where people land who wanted nothing else.
const HOME: &str = "/homes";
/// An authorization request with a long `state`, encoded twice.
const MAX_NEXT: usize = 32 * 1024;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn next(text: &str) -> Option<String> {
        Next::of(&Form::parse(format!("next={}", encode(text)).as_bytes()).unwrap()).0
    }

    #[test]
    fn only_our_own_pages_come_next() {
        assert_eq!(next("/pair?user_code=BCDF-GHJK").as_deref(), Some("/pair?user_code=BCDF-GHJK"));
        assert!(next("/oauth/authorize?a=b%20c").is_some());
        for wrong in [
            "",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "/pair#x",
            "/pair?a b",
            "pair",
            "/sign-out",
            "/pair/../x",
            "/homes/../sign-out",
            "/homes//x",
            "javascript:alert(1)",
        ] {
            assert_eq!(next(wrong), None, "{wrong}");
        }
    }

    /// A page that sends people to sign in, and is not on the list, never sees them again.
    #[test]
    fn whoever_is_sent_to_sign_in_comes_back() {
        let sources = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/web");
        let mut found = 0;
        let mut directories = vec![sources];
        let mut files = Vec::new();
        while let Some(directory) = directories.pop() {
            for entry in std::fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { directories.push(path) } else { files.push(path) }
            }
        }
        for file in files {
            let source = std::fs::read_to_string(file).unwrap();
            for rest in source.split("sign-in?next=%2F").skip(1) {
                let page = rest.split(|c: char| !c.is_ascii_lowercase() && c != '-').next().unwrap();
                assert!(is_ours(&format!("/{page}")), "{page}");
                found += 1;
            }
        }
        assert!(found > 5);
    }

    proptest! {
        #[test]
        fn what_comes_next_stays_here(text in "\\PC{1,60}") {
            if let Some(next) = next(&text) {
                let url = url::Url::parse("https://cloud.example").unwrap().join(&next).unwrap();
                prop_assert_eq!(url.host_str(), Some("cloud.example"));
            }
        }
    }
}
