//! Signing in through another OpenID provider, and linking one to an account.
//!
//! Who somebody is there decides which account is theirs here, and nothing else does: an address that a provider tells
//! never opens an account that is there already. Whoever has one signs in to it first and links the provider then. A
//! browser comes back only to the way it went, once.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use macloud_proto::ids::AccountId;
use macloud_service_kit::random;

use super::credentials::{Next, go_on};
use super::security::{self, is_recent, not_recent, recently_signed_in_for};
use super::sign_in::sign_in_page;
use super::visitor::Visitor;
use super::{Frame, PageError, Place, answer, begin_as, counted, page, posted, second_step, see_other, when};
use crate::config::SignUp;
use crate::form::Form;
use crate::passwords::normalise_email;
use crate::providers::{Person, Provider, ProviderError, Return};
use crate::rate_limits::{Attempt, address_key};
use crate::secrets::{Kind as SecretKind, Secret, lookup_hash};
use crate::shared::Shared;
use crate::store::accounts;
use crate::store::activity::{self, Kind};
use crate::store::identities::{self, Trip, TripPurpose};
use crate::store::web_sessions::Session;
use crate::words;

pub(super) const FORM: &str = "provider";

/// A provider as a button.
pub(super) struct Offered {
    pub(super) id: String,
    pub(super) name: String,
}

/// The providers to sign in with: all, or those that this account is linked to.
pub(super) async fn offered(shared: &Shared, account: Option<&AccountId>) -> Result<Vec<Offered>, PageError> {
    let all = shared.providers.iter().map(|provider| &provider.settings);
    let offer = |one: &crate::providers::IdentityProvider| Offered { id: one.id.clone(), name: one.name.clone() };
    let Some(account) = account else { return Ok(all.map(offer).collect()) };
    let linked = identities::of_account(&shared.db, account).await?;
    Ok(all.filter(|one| linked.iter().any(|other| other.issuer == one.issuer)).map(offer).collect())
}

fn provider<'s>(shared: &'s Shared, id: &str) -> Result<&'s Provider, PageError> {
    shared.providers.iter().find(|provider| provider.settings.id == id).ok_or(PageError::NotFound)
}

/// POST `/sign-in/with/{provider}`.
pub(super) async fn begin(State(shared): State<Arc<Shared>>, Path(id): Path<String>, request: Request) -> Response {
    let outcome = async {
        let posted = posted(&shared, request, FORM).await?;
        let again = posted.visitor.session.is_some() && posted.form.value("again").is_some();
        let purpose = if again { TripPurpose::SignInAgain } else { TripPurpose::SignIn };
        let from = address_key(shared.client_address(&posted.parts));
        shared.rate_limits.count(Attempt::SignIn, &from, shared.config.limits.sign_in_per_address)?;
        go(&shared, &posted.visitor, provider(&shared, &id)?, purpose, &Next::of(&posted.form)).await
    };
    answer(&shared, outcome.await)
}

#[derive(Template)]
#[template(path = "provider_go.html")]
struct Go<'a> {
    frame: Frame,
    name: &'a str,
    url: &'a str,
}

/// Send a browser to a provider. By a page and no redirect: our forms may lead nowhere else, which keeps what is typed
/// into them here.
async fn go(
    shared: &Shared,
    visitor: &Visitor,
    provider: &Provider,
    purpose: TripPurpose,
    next: &Next,
) -> Result<Response, PageError> {
    let state = Secret::new(SecretKind::Trip);
    let begun = match provider.begin(state.as_str(), purpose == TripPurpose::SignInAgain).await {
        Ok(begun) => begun,
        Err(error) => return refused(shared, visitor, provider, next, error).await,
    };
    let trip = Trip {
        purpose,
        nonce: begun.nonce,
        verifier: begun.verifier,
        next: next.text().to_owned(),
        expires_at: shared.now() + TRIP_SECONDS,
    };
    identities::begin_trip(&shared.db, &state.hash(), visitor.browser(), &provider.settings.id, &trip).await?;
    let template = Go {
        frame: Frame::new(words::say("signin-title"), None),
        name: &provider.settings.name,
        url: begun.url.as_str(),
    };
    Ok(page(shared, visitor, StatusCode::OK, &template))
}

async fn refused(
    shared: &Shared,
    visitor: &Visitor,
    provider: &Provider,
    next: &Next,
    error: ProviderError,
) -> Result<Response, PageError> {
    tracing::warn!(provider = %provider.settings.id, %error, "signing in through another provider failed");
    let (status, key) = match error {
        ProviderError::Away => (StatusCode::SERVICE_UNAVAILABLE, "identity-provider-away"),
        ProviderError::Unbelievable(_) => (StatusCode::UNPROCESSABLE_ENTITY, "identity-provider-wrong"),
    };
    back_to_sign_in(shared, visitor, provider, next, status, key, None).await
}

async fn back_to_sign_in(
    shared: &Shared,
    visitor: &Visitor,
    provider: &Provider,
    next: &Next,
    status: StatusCode,
    key: &str,
    email: Option<&str>,
) -> Result<Response, PageError> {
    let error = words::with(key, &[("name", provider.settings.name.as_str().into())]);
    let page = sign_in_page(shared, visitor, status, next, email, Some(error)).await?;
    shared.metrics.sign_in(WAY, "refused");
    Ok(page)
}

/// GET `/sign-in/from/{provider}`: a browser is back.
pub(super) async fn finish(State(shared): State<Arc<Shared>>, Path(id): Path<String>, request: Request) -> Response {
    answer(&shared, counted(&shared, WAY, try_finish(&shared, &id, request).await))
}

async fn try_finish(shared: &Shared, id: &str, request: Request) -> Result<Response, PageError> {
    let (parts, _) = request.into_parts();
    let visitor = Visitor::of(shared, &parts.headers).await?;
    let provider = provider(shared, id)?;
    let form = Form::parse(parts.uri.query().unwrap_or_default().as_bytes())?;
    let state = lookup_hash(SecretKind::Trip, form.value("state").unwrap_or_default());
    let trip = match state {
        Some(state) => identities::end_trip(&shared.db, &state, visitor.browser(), id, shared.now()).await?,
        None => None,
    };
    let Some(trip) = trip else {
        // Opened twice, in another browser, too late, or made up.
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        return back_to_sign_in(shared, &visitor, provider, &Next::default(), status, "identity-provider-lost", None)
            .await;
    };
    let next = Next::kept(&trip.next);
    let Some(code) = form.value("code") else {
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        return back_to_sign_in(shared, &visitor, provider, &next, status, "identity-provider-declined", None).await;
    };
    let returned = Return { code, issuer: form.value("iss"), nonce: &trip.nonce, verifier: &trip.verifier };
    let person = match provider.finish(&returned).await {
        Ok(person) => person,
        Err(error) => return refused(shared, &visitor, provider, &next, error).await,
    };
    match &trip.purpose {
        TripPurpose::Link(account) => link_back(shared, &visitor, provider, account, &person).await,
        TripPurpose::SignInAgain if !signed_in_since(&person, trip.expires_at - TRIP_SECONDS) => {
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            back_to_sign_in(shared, &visitor, provider, &next, status, "identity-provider-not-again", None).await
        }
        TripPurpose::SignIn | TripPurpose::SignInAgain => {
            // Coming back at once shows only that the provider remembers this browser: no newer than it says.
            let at = match trip.purpose {
                TripPurpose::SignInAgain => shared.now(),
                _ => person.signed_in_at.map_or_else(|| not_recent(shared), |at| at.min(shared.now())),
            };
            sign_in(shared, visitor, &parts.headers, provider, person, at, &next).await
        }
    }
}

/// Whether a provider says that somebody signed in there since then, give or take what clocks differ by.
fn signed_in_since(person: &Person, then: i64) -> bool {
    person.signed_in_at.is_some_and(|at| at >= then - 30)
}

async fn sign_in(
    shared: &Shared,
    visitor: Visitor,
    headers: &HeaderMap,
    provider: &Provider,
    person: Person,
    at: i64,
    next: &Next,
) -> Result<Response, PageError> {
    let issuer = &provider.settings.issuer;
    let account = match identities::owner(&shared.db, issuer, &person.subject).await? {
        Some(id) => accounts::by_id(&shared.db, &id).await?,
        None => None,
    };
    let Some(account) = account else {
        return new_account(shared, visitor, headers, provider, person, at, next).await;
    };
    if account.suspended {
        let status = StatusCode::FORBIDDEN;
        return back_to_sign_in(shared, &visitor, provider, next, status, "signin-suspended", None).await;
    }
    let label = label(&person);
    if !identities::used(&shared.db, issuer, &person.subject, &label, shared.now()).await? {
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        return back_to_sign_in(shared, &visitor, provider, next, status, "identity-provider-lost", None).await;
    }
    if second_step::has_app(shared, &account.id).await? {
        let asked = second_step::ask(shared, &visitor, next, &account).await?;
        shared.metrics.sign_in(WAY, "second_step");
        return Ok(asked);
    }
    tracing::info!(account.id = %account.id, provider = %provider.settings.id, "signed in through another provider");
    let page = go_on(shared, &visitor, headers, &account, at, next).await?;
    shared.metrics.sign_in(WAY, "ok");
    Ok(page)
}

/// Somebody who is not known yet becomes a new account, if the provider vouches for an address that has none.
async fn new_account(
    shared: &Shared,
    visitor: Visitor,
    headers: &HeaderMap,
    provider: &Provider,
    person: Person,
    at: i64,
    next: &Next,
) -> Result<Response, PageError> {
    let status = StatusCode::UNPROCESSABLE_ENTITY;
    let vouched = person.email_verified && provider.settings.trust_verified_email;
    let email = person.email.as_deref().filter(|_| vouched).and_then(normalise_email);
    let Some(email) = email else {
        return back_to_sign_in(shared, &visitor, provider, next, status, "identity-provider-no-address", None).await;
    };
    if accounts::by_email(&shared.db, &email).await?.is_some() {
        let key = "identity-provider-link-first";
        return back_to_sign_in(shared, &visitor, provider, next, status, key, Some(&email)).await;
    }
    if shared.config.limits.sign_up == SignUp::Closed {
        return Err(PageError::SignUpClosed);
    }
    let id = AccountId::from_bytes(&random::bytes());
    let now = shared.now();
    let mut tx = shared.db.begin().await?;
    let made = accounts::insert_proved(&mut tx, &id, &email, "", now).await?
        && identities::insert(&mut tx, &id, &provider.settings.issuer, &person.subject, &label(&person), now).await?;
    if !made {
        // Another page of theirs was quicker.
        drop(tx);
        return back_to_sign_in(shared, &visitor, provider, next, status, "identity-provider-lost", Some(&email)).await;
    }
    tx.commit().await?;
    tracing::info!(account.id = %id, provider = %provider.settings.id, "signed up through another provider");
    activity::note(&shared.db, &id, Kind::SignedUp, "", now).await;
    let account = accounts::by_id(&shared.db, &id).await?.ok_or(PageError::Unavailable)?;
    let page = go_on(shared, &visitor, headers, &account, at, next).await?;
    shared.metrics.sign_in(WAY, "ok");
    Ok(page)
}

/// How people recognise who they are there.
fn label(person: &Person) -> String {
    person.email.as_deref().and_then(normalise_email).unwrap_or_default()
}

#[derive(Template)]
#[template(path = "providers.html")]
struct Providers {
    frame: Frame,
    form_token: String,
    lines: Vec<Line>,
    others: Vec<Offered>,
    recent: bool,
    problem: Option<String>,
    done: Option<String>,
}

struct Line {
    issuer: String,
    subject: String,
    name: String,
    label: String,
    linked: String,
    used: Option<String>,
}

/// GET `/security/providers`.
pub(super) async fn show(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let outcome = async {
        let visitor = Visitor::of(&shared, &headers).await?;
        let Some(session) = visitor.session.clone() else {
            return Ok(see_other("/sign-in?next=%2Fsecurity%2Fproviders"));
        };
        list(&shared, &visitor, &session, StatusCode::OK, None, None).await
    };
    answer(&shared, outcome.await)
}

async fn list(
    shared: &Shared,
    visitor: &Visitor,
    session: &Session,
    status: StatusCode,
    problem: Option<String>,
    done: Option<String>,
) -> Result<Response, PageError> {
    let linked = identities::of_account(&shared.db, &session.account_id).await?;
    let others = shared.providers.iter().map(|provider| &provider.settings);
    let others = others.filter(|one| !linked.iter().any(|other| other.issuer == one.issuer));
    let others = others.map(|one| Offered { id: one.id.clone(), name: one.name.clone() }).collect();
    let now = shared.now();
    let line = |one: identities::Listed| Line {
        name: name_of(shared, &one.issuer).to_owned(),
        issuer: one.issuer,
        subject: one.subject,
        label: one.label,
        linked: when::ago(now, one.created_at),
        used: one.last_used_at.map(|at| when::ago(now, at)),
    };
    let template = Providers {
        frame: Frame::new(words::say("identity-providers-title"), Some(session)).at(Place::Security),
        form_token: visitor.form_token(shared, security::FORM),
        lines: linked.into_iter().map(line).collect(),
        others,
        recent: is_recent(shared, session),
        problem,
        done,
    };
    Ok(page(shared, visitor, status, &template))
}

/// One that the operator took away is known by its issuer.
fn name_of<'a>(shared: &'a Shared, issuer: &'a str) -> &'a str {
    let known = shared.providers.iter().find(|provider| provider.settings.issuer == issuer);
    known.map_or(issuer, |provider| &provider.settings.name)
}

/// POST `/security/providers/link/{provider}`.
pub(super) async fn link(State(shared): State<Arc<Shared>>, Path(id): Path<String>, request: Request) -> Response {
    let outcome = async {
        let (posted, session) = match recently_signed_in_for(&shared, request, security::FORM, PAGE).await? {
            Ok(both) => both,
            Err(elsewhere) => return Ok(elsewhere),
        };
        let purpose = TripPurpose::Link(session.account_id);
        go(&shared, &posted.visitor, provider(&shared, &id)?, purpose, &Next::kept(PAGE)).await
    };
    answer(&shared, outcome.await)
}

async fn link_back(
    shared: &Shared,
    visitor: &Visitor,
    provider: &Provider,
    account: &AccountId,
    person: &Person,
) -> Result<Response, PageError> {
    // Bound to the browser's cookie already, which changes with whoever signs in.
    let Some(session) = visitor.session.clone().filter(|session| session.account_id == *account) else {
        return Err(PageError::Forgery);
    };
    let (issuer, now) = (&provider.settings.issuer, shared.now());
    let name = provider.settings.name.as_str();
    let mut tx = begin_as(shared, &session).await?;
    if !identities::insert(&mut tx, account, issuer, &person.subject, &label(person), now).await? {
        drop(tx);
        let own = identities::owner(&shared.db, issuer, &person.subject).await?.as_ref() == Some(account);
        let key = if own { "identity-provider-linked-already" } else { "identity-provider-somebody-elses" };
        let (status, problem) = (StatusCode::UNPROCESSABLE_ENTITY, Some(words::with(key, &[("name", name.into())])));
        return list(shared, visitor, &session, status, problem, None).await;
    }
    tx.commit().await?;
    security::tell(shared, &session, Kind::ProviderLinked, name, "identity-mail-linked").await;
    let done = Some(words::with("identity-provider-linked", &[("name", name.into())]));
    list(shared, visitor, &session, StatusCode::OK, None, done).await
}

/// POST `/security/providers/unlink`: unless nothing else is left to sign in with.
pub(super) async fn unlink(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let outcome = async {
        let (posted, session) = match recently_signed_in_for(&shared, request, security::FORM, PAGE).await? {
            Ok(both) => both,
            Err(elsewhere) => return Ok(elsewhere),
        };
        let value = |name| posted.form.value(name).unwrap_or_default();
        let account = &session.account_id;
        let mut tx = begin_as(&shared, &session).await?;
        let gone = identities::delete(&mut tx, account, value("issuer"), value("subject")).await?;
        if gone && security::is_locked_out(&shared, &mut tx, account).await? {
            drop(tx);
            let problem = Some(words::say("identity-last-way"));
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            return list(&shared, &posted.visitor, &session, status, problem, None).await;
        }
        tx.commit().await?;
        if gone {
            let name = name_of(&shared, value("issuer"));
            security::tell(&shared, &session, Kind::ProviderUnlinked, name, "identity-mail-unlinked").await;
        }
        Ok(see_other(PAGE))
    };
    answer(&shared, outcome.await)
}

const PAGE: &str = "/security/providers";
const WAY: &str = "provider";
/// To find one's password there.
const TRIP_SECONDS: i64 = 600;
