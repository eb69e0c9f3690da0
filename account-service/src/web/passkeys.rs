//! Passkeys on the pages: a list to look after, and signing in with one.
//!
//! What was asked travels in the form, sealed, for one browser, one purpose and ten minutes, and its answer counts once.
//! So nothing is kept for everybody who only looks at the sign-in page, and any process can judge.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use macloud_proto::ids::{AccountId, base32};
use macloud_service_kit::random;

use super::credentials::Entered;
use super::security::{self, is_recent, recently_signed_in_for};
use super::visitor::Visitor;
use super::{Frame, PageError, Place, answer, begin_as, counted, own_id, page_with_script, see_other, sign_in, when};
use crate::names::clean_name;
use crate::passkeys::{Question, parse_answer};
use crate::rate_limits::Attempt;
use crate::secrets;
use crate::shared::Shared;
use crate::store::accounts::{self, Account};
use crate::store::activity::Kind;
use crate::store::web_sessions::Session;
use crate::store::{passkeys, seen_proofs};
use crate::words;

pub(super) const FORM: &str = "passkey";

/// What a page needs to ask the browser for a passkey.
pub(super) struct Asked {
    pub(super) form_token: String,
    pub(super) ticket: String,
    /// JSON for the script.
    pub(super) options: String,
}

/// What an answer is for. A question for one purpose is none for another.
#[derive(Clone, Copy)]
pub(super) enum Purpose<'a> {
    SignIn,
    /// The password of this account was right.
    SecondStep(&'a AccountId),
    Make(&'a AccountId),
}

impl Purpose<'_> {
    fn text(self) -> String {
        match self {
            Self::SignIn => "sign-in".into(),
            Self::SecondStep(account) => format!("second-step/{account}"),
            Self::Make(account) => format!("make/{account}"),
        }
    }
}

/// Ask whoever is at the browser, or this account's person, to sign in with a passkey; nothing where there is none to ask for.
pub(super) async fn ask_to_sign_in(
    shared: &Shared,
    visitor: &Visitor,
    account: Option<&AccountId>,
) -> Result<Option<Asked>, PageError> {
    let known = match account {
        Some(account) => credential_ids(shared, account).await?,
        None => Vec::new(),
    };
    if account.is_some() && known.is_empty() {
        return Ok(None);
    }
    let question = shared.passkeys.as_ref().and_then(|passkeys| passkeys.ask(&known));
    Ok(question.map(|question| asked(shared, visitor, Purpose::SignIn, question)))
}

/// Ask for one of an account's passkeys as its second step.
pub(super) async fn ask_for_second_step(
    shared: &Shared,
    visitor: &Visitor,
    account: &AccountId,
) -> Result<Option<Asked>, PageError> {
    let known = credential_ids(shared, account).await?;
    if known.is_empty() {
        return Ok(None);
    }
    let question = shared.passkeys.as_ref().and_then(|passkeys| passkeys.ask(&known));
    Ok(question.map(|question| asked(shared, visitor, Purpose::SecondStep(account), question)))
}

async fn credential_ids(shared: &Shared, account: &AccountId) -> Result<Vec<Vec<u8>>, PageError> {
    let listed = passkeys::of_account(&shared.db, account).await?;
    Ok(listed.into_iter().map(|one| one.credential_id).collect())
}

fn asked(shared: &Shared, visitor: &Visitor, purpose: Purpose<'_>, question: Question) -> Asked {
    let form_token = visitor.form_token(shared, FORM);
    let text = format!("{} {}", shared.now() + TICKET_SECONDS, question.state);
    let sealed = shared.master.seal(&place(&form_token, purpose), text.as_bytes());
    Asked { form_token, ticket: URL_SAFE_NO_PAD.encode(sealed), options: question.options.to_string() }
}

/// What was asked, if this browser was asked it for this purpose and not too long ago.
fn state(shared: &Shared, visitor: &Visitor, purpose: Purpose<'_>, ticket: &str) -> Option<String> {
    let sealed = URL_SAFE_NO_PAD.decode(ticket).ok()?;
    let place = place(&visitor.form_token(shared, FORM), purpose);
    let text = String::from_utf8(shared.master.open(&place, &sealed)?).ok()?;
    let (expires_at, state) = text.split_once(' ')?;
    (expires_at.parse::<i64>().ok()? > shared.now()).then(|| state.to_owned())
}

/// The form token stands for the browser's cookie.
fn place(form_token: &str, purpose: Purpose<'_>) -> String {
    format!("passkey/{}/{form_token}", purpose.text())
}

async fn is_first(shared: &Shared, ticket: &str) -> Result<bool, PageError> {
    let hash = secrets::hash(&format!("passkey ticket\0{ticket}"));
    Ok(seen_proofs::is_first(&shared.db, &hash, shared.now() + TICKET_SECONDS).await?)
}

/// Whose passkey answered, if the answer is right and the first one. The account is as it was while the passkey was still there.
pub(super) async fn judge(
    shared: &Shared,
    visitor: &Visitor,
    purpose: Purpose<'_>,
    ticket: &str,
    credential: &str,
) -> Result<Option<Account>, PageError> {
    let Some(judge) = &shared.passkeys else { return Ok(None) };
    let Some(state) = state(shared, visitor, purpose, ticket) else { return Ok(None) };
    let Some(answer) = parse_answer(credential) else { return Ok(None) };
    let Some(known) = passkeys::by_credential(&shared.db, answer.get_credential_id()).await? else { return Ok(None) };
    let Some(passkey) = judge.judge(&state, &answer, &known.account_id, &known.passkey) else { return Ok(None) };
    if !is_first(shared, ticket).await? {
        return Ok(None);
    }
    let account = accounts::by_id(&shared.db, &known.account_id).await?;
    let still_there = passkeys::used(&shared.db, &known.id, &passkey, shared.now()).await?;
    Ok(account.filter(|_| still_there))
}

/// POST `/sign-in/passkey`.
pub(super) async fn sign_in(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    answer(&shared, counted(&shared, WAY, try_sign_in(&shared, request).await))
}

async fn try_sign_in(shared: &Shared, request: Request) -> Result<Response, PageError> {
    let entered = Entered::read(shared, request, FORM).await?;
    let from = entered.address(shared);
    shared.rate_limits.count(Attempt::SignIn, &from, shared.config.limits.sign_in_per_address)?;
    let (ticket, credential) = (entered.value("ticket"), entered.value("credential"));
    let (page, result) = match judge(shared, &entered.visitor, Purpose::SignIn, ticket, credential).await? {
        Some(account) if account.suspended => (sign_in::refuse_suspended(shared, &entered).await?, "suspended"),
        Some(account) => {
            tracing::info!(account.id = %account.id, "signed in with a passkey");
            (entered.go_on(shared, &account).await?, "ok")
        }
        None => (sign_in::again(shared, &entered, words::say("identity-passkey-wrong")).await?, "wrong"),
    };
    shared.metrics.sign_in(WAY, result);
    Ok(page)
}

#[derive(Template)]
#[template(path = "passkeys.html")]
struct Passkeys {
    frame: Frame,
    form_token: String,
    lines: Vec<Line>,
    asked: Option<Asked>,
    /// Adding one needs a recent sign-in: better asked before the device made it.
    recent: bool,
    full: bool,
    /// Whether this cloud has a name that passkeys can be bound to.
    possible: bool,
    problem: Option<String>,
    done: Option<String>,
}

struct Line {
    id: String,
    name: String,
    made: String,
    used: Option<String>,
}

/// GET `/security/passkeys`.
pub(super) async fn show(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let outcome = async {
        let visitor = Visitor::of(&shared, &headers).await?;
        let Some(session) = visitor.session.clone() else {
            return Ok(see_other("/sign-in?next=%2Fsecurity%2Fpasskeys"));
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
    let account = &session.account_id;
    let listed = passkeys::of_account(&shared.db, account).await?;
    let known: Vec<Vec<u8>> = listed.iter().map(|one| one.credential_id.clone()).collect();
    let (recent, full) = (is_recent(shared, session), known.len() >= MOST);
    let question = match &shared.passkeys {
        Some(passkeys) if recent && !full => passkeys.ask_to_make(account, &session.email, &known),
        Some(_) | None => None,
    };
    let now = shared.now();
    let line = |one: passkeys::Listed| Line {
        id: one.id,
        name: one.name,
        made: when::ago(now, one.created_at),
        used: one.last_used_at.map(|at| when::ago(now, at)),
    };
    let template = Passkeys {
        frame: Frame::new(words::say("identity-passkeys-title"), Some(session)).at(Place::Security),
        form_token: visitor.form_token(shared, security::FORM),
        lines: listed.into_iter().map(line).collect(),
        asked: question.map(|question| asked(shared, visitor, Purpose::Make(account), question)),
        recent,
        full,
        possible: shared.passkeys.is_some(),
        problem,
        done,
    };
    Ok(page_with_script(shared, visitor, status, &template))
}

/// POST `/security/passkeys/add`.
pub(super) async fn add(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    answer(&shared, try_add(&shared, request).await)
}

async fn try_add(shared: &Shared, request: Request) -> Result<Response, PageError> {
    let (posted, session) = match recently_signed_in_for(shared, request, FORM, PAGE).await? {
        Ok(both) => both,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let value = |name| posted.form.value(name).unwrap_or_default();
    let name = clean_name(value("name")).unwrap_or_else(|| words::say("identity-passkey-unnamed"));
    let refused = async |key| {
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        list(shared, &posted.visitor, &session, status, Some(words::say(key)), None).await
    };
    let purpose = Purpose::Make(&session.account_id);
    let state = state(shared, &posted.visitor, purpose, value("ticket"));
    let made = match (&shared.passkeys, state) {
        (Some(passkeys), Some(state)) => passkeys.made(&state, value("credential")),
        _ => None,
    };
    let Some(made) = made else { return refused("identity-passkey-not-made").await };
    if passkeys::of_account(&shared.db, &session.account_id).await?.len() >= MOST {
        return refused("identity-passkey-full").await;
    }
    if !is_first(shared, value("ticket")).await? {
        return refused("identity-passkey-not-made").await;
    }
    let id = base32(&random::bytes::<10>());
    let (credential, passkey) = (&made.credential_id, &made.passkey);
    let mut tx = begin_as(shared, &session).await?;
    if !passkeys::insert(&mut tx, &session.account_id, &id, credential, passkey, &name, shared.now()).await? {
        drop(tx);
        return refused("identity-passkey-not-made").await;
    }
    tx.commit().await?;
    security::tell(shared, &session, Kind::PasskeyAdded, &name, "identity-mail-passkey-added").await;
    let done = Some(words::with("identity-passkey-added", &[("name", name.into())]));
    list(shared, &posted.visitor, &session, StatusCode::OK, None, done).await
}

/// POST `/security/passkeys/{id}/rename`.
pub(super) async fn rename(State(shared): State<Arc<Shared>>, Path(id): Path<String>, request: Request) -> Response {
    let outcome = async {
        let (posted, session) = match recently_signed_in_for(&shared, request, security::FORM, PAGE).await? {
            Ok(both) => both,
            Err(elsewhere) => return Ok(elsewhere),
        };
        if let Some(name) = clean_name(posted.form.value("name").unwrap_or_default()) {
            passkeys::rename(&shared.db, &session.account_id, own_id(&id)?, &name).await?;
        }
        Ok(see_other(PAGE))
    };
    answer(&shared, outcome.await)
}

/// POST `/security/passkeys/{id}/remove`: unless nothing else is left to sign in with.
pub(super) async fn remove(State(shared): State<Arc<Shared>>, Path(id): Path<String>, request: Request) -> Response {
    let outcome = async {
        let (posted, session) = match recently_signed_in_for(&shared, request, security::FORM, PAGE).await? {
            Ok(both) => both,
            Err(elsewhere) => return Ok(elsewhere),
        };
        let account = &session.account_id;
        let id = own_id(&id)?;
        let mut tx = begin_as(&shared, &session).await?;
        let gone = passkeys::delete(&mut tx, account, id).await?;
        if gone && security::is_locked_out(&shared, &mut tx, account).await? {
            drop(tx);
            let problem = Some(words::say("identity-last-way"));
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            return list(&shared, &posted.visitor, &session, status, problem, None).await;
        }
        tx.commit().await?;
        if gone {
            security::tell(&shared, &session, Kind::PasskeyRemoved, "", "identity-mail-passkey-removed").await;
        }
        Ok(see_other(PAGE))
    };
    answer(&shared, outcome.await)
}

/// The name of the file with the script, for templates.
pub(super) fn script() -> &'static str {
    super::assets::script_url()
}

const PAGE: &str = "/security/passkeys";
const WAY: &str = "passkey";
/// Long enough to fetch a key from another room; browsers give up after five minutes.
const TICKET_SECONDS: i64 = 600;
/// More than anybody has devices; bounds the page.
const MOST: usize = 20;
