//! Security: the password, and the second step of signing in.
//!
//! Whatever is changed here needs a recent sign-in: a browser left open must not be enough to lock its owner out.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use macloud_proto::ids::AccountId;
use qrcode::{Color, EcLevel, QrCode};

use super::second_step::{is_right, open_secret, place};
use super::visitor::Visitor;
use super::{Frame, PageError, Place, Posted, answer, begin_as, page, posted, see_other};
use crate::form::encode;
use crate::passwords;
use crate::second_factor::{
    app_link, matching_step, new_recovery_codes, new_secret, normalise_recovery_code, secret_text,
};
use crate::shared::Shared;
use crate::store::activity::{self, Kind};
use crate::store::identities::{self, Ways};
use crate::store::web_sessions::Session;
use crate::store::{Tx, accounts, mail_challenges, second_factors};
use crate::words;

pub(super) const FORM: &str = "security";

#[derive(Template)]
#[template(path = "security.html")]
struct Security {
    frame: Frame,
    form_token: String,
    email_verified: bool,
    second_step: bool,
    /// Whether there are other providers to sign in with.
    providers: bool,
    /// Whether this cloud has a name that passkeys can be bound to.
    passkeys: bool,
    codes_left: i64,
    problem: Option<(&'static str, &'static str)>,
    done: Option<&'static str>,
}

#[derive(Template)]
#[template(path = "totp_setup.html")]
struct Setup {
    frame: Frame,
    form_token: String,
    secret: String,
    qr_size: usize,
    qr_path: String,
    error: Option<&'static str>,
}

#[derive(Template)]
#[template(path = "recovery_codes.html")]
struct RecoveryCodes {
    frame: Frame,
    codes: Vec<String>,
}

/// GET `/security`.
pub(super) async fn show(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let outcome = async {
        let visitor = Visitor::of(&shared, &headers).await?;
        let Some(session) = visitor.session.clone() else { return Ok(sign_in_first()) };
        overview(&shared, &visitor, &session, StatusCode::OK, None, None).await
    };
    answer(&shared, outcome.await)
}

pub(super) async fn overview(
    shared: &Shared,
    visitor: &Visitor,
    session: &Session,
    status: StatusCode,
    problem: Option<(&'static str, &'static str)>,
    done: Option<&'static str>,
) -> Result<Response, PageError> {
    let totp = second_factors::of_account(&shared.db, &session.account_id).await?;
    let account = accounts::by_id(&shared.db, &session.account_id).await?;
    let template = Security {
        frame: Frame::new(words::say("security-title"), Some(session)).at(Place::Security),
        form_token: visitor.form_token(shared, FORM),
        email_verified: account.is_none_or(|account| account.email_verified),
        providers: !shared.providers.is_empty(),
        passkeys: shared.passkeys.is_some(),
        second_step: totp.is_some_and(|totp| totp.confirmed),
        codes_left: second_factors::codes_left(&shared.db, &session.account_id).await?,
        problem,
        done,
    };
    Ok(page(shared, visitor, status, &template))
}

/// POST `/security/password`.
pub(super) async fn change_password(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    answer(&shared, try_change_password(&shared, request).await)
}

async fn try_change_password(shared: &Shared, request: Request) -> Result<Response, PageError> {
    let (mut posted, session) = match recently_signed_in(shared, request).await? {
        Ok(both) => both,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let new = posted.form.value("new_password").unwrap_or_default();
    if let Err(rule) = passwords::check_new(new, &session.email) {
        let (status, problem) = (StatusCode::UNPROCESSABLE_ENTITY, ("password", rule.message()));
        return overview(shared, &posted.visitor, &session, status, Some(problem), None).await;
    }
    let hash = shared.passwords.hash(new).await?;
    let mut tx = begin_as(shared, &session).await?;
    accounts::set_password(&mut tx, &session.account_id, &hash).await?;
    posted.visitor.end_others(&mut tx, shared, &posted.parts.headers, &session).await?;
    mail_challenges::end_of_account(&mut tx, &session.account_id).await?;
    tx.commit().await?;
    tell(shared, &session, Kind::PasswordChanged, "", "identity-mail-password").await;
    let done = "security-password-done";
    overview(shared, &posted.visitor, &session, StatusCode::OK, None, Some(done)).await
}

/// POST `/security/app`: begin with an authenticator app. What was begun before is replaced.
pub(super) async fn begin_app(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let outcome = async {
        let (posted, session) = match recently_signed_in(&shared, request).await? {
            Ok(both) => both,
            Err(elsewhere) => return Ok(elsewhere),
        };
        let secret = new_secret();
        let sealed = shared.master.seal(&place(&session.account_id), &secret);
        second_factors::begin(&shared.db, &session.account_id, &sealed, shared.now()).await?;
        Ok(setup(&shared, &posted.visitor, &session, &secret, StatusCode::OK, None))
    };
    answer(&shared, outcome.await)
}

fn setup(
    shared: &Shared,
    visitor: &Visitor,
    session: &Session,
    secret: &[u8; 20],
    status: StatusCode,
    error: Option<&'static str>,
) -> Response {
    let (qr_size, qr_path) = drawn(&app_link(&session.email, secret));
    let template = Setup {
        frame: Frame::new(words::say("security-app"), Some(session)),
        form_token: visitor.form_token(shared, FORM),
        secret: secret_text(secret),
        qr_size,
        qr_path,
        error,
    };
    page(shared, visitor, status, &template)
}

/// A QR code as the side of a square and the path that fills its dark modules. Empty when the text is too long for one:
/// the secret can be typed, too.
fn drawn(text: &str) -> (usize, String) {
    let Ok(code) = QrCode::with_error_correction_level(text, EcLevel::M) else { return (0, String::new()) };
    let width = code.width();
    let colors = code.to_colors();
    let dark = colors.iter().enumerate().filter(|(_, color)| **color == Color::Dark);
    let squares = dark.map(|(at, _)| format!("M{} {}h1v1h-1z", at % width + QUIET, at / width + QUIET));
    (width + 2 * QUIET, squares.collect())
}

/// POST `/security/app/confirm`: the first code proves that the app has the secret.
pub(super) async fn confirm_app(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    answer(&shared, try_confirm_app(&shared, request).await)
}

async fn try_confirm_app(shared: &Shared, request: Request) -> Result<Response, PageError> {
    let (mut posted, session) = match recently_signed_in(shared, request).await? {
        Ok(both) => both,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let account = &session.account_id;
    let begun = second_factors::of_account(&shared.db, account).await?.filter(|totp| !totp.confirmed);
    let Some(begun) = begun else { return Ok(see_other("/security")) };
    let secret = open_secret(shared, account, &begun.sealed_secret)?;
    let secret: [u8; 20] = secret.try_into().map_err(|_| PageError::Unavailable)?;
    let Some(step) = matching_step(&secret, posted.form.value("code").unwrap_or_default(), shared.now()) else {
        let error = "security-app-misfit";
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        return Ok(setup(shared, &posted.visitor, &session, &secret, status, Some(error)));
    };
    let codes = new_recovery_codes();
    let hashes = hashes(shared, &session, &codes);
    let mut tx = begin_as(shared, &session).await?;
    if !second_factors::confirm(&mut tx, account, &begun.sealed_secret, step, &hashes, shared.now()).await? {
        return Ok(see_other("/security"));
    }
    posted.visitor.end_others(&mut tx, shared, &posted.parts.headers, &session).await?;
    tx.commit().await?;
    tell(shared, &session, Kind::SecondStepOn, "", "identity-mail-step-on").await;
    Ok(show_codes(shared, &posted.visitor, &session, codes))
}

/// POST `/security/recovery-codes`: fresh ones in the place of all others.
pub(super) async fn renew_codes(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let outcome = async {
        let (posted, session) = match recently_signed_in(&shared, request).await? {
            Ok(both) => both,
            Err(elsewhere) => return Ok(elsewhere),
        };
        if !super::second_step::has_app(&shared, &session.account_id).await? {
            return Ok(see_other("/security"));
        }
        let codes = new_recovery_codes();
        let mut tx = begin_as(&shared, &session).await?;
        second_factors::replace_codes(&mut tx, &session.account_id, &hashes(&shared, &session, &codes)).await?;
        tx.commit().await?;
        tell(&shared, &session, Kind::RecoveryCodesRenewed, "", "identity-mail-codes").await;
        Ok(show_codes(&shared, &posted.visitor, &session, codes))
    };
    answer(&shared, outcome.await)
}

/// POST `/security/app/off`: needs a code, so that a stolen browser cannot do it.
pub(super) async fn turn_off(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let outcome = async {
        let (posted, session) = match recently_signed_in(&shared, request).await? {
            Ok(both) => both,
            Err(elsewhere) => return Ok(elsewhere),
        };
        let code = posted.form.value("code").unwrap_or_default();
        if !is_right(&shared, &posted.parts.headers, &session.account_id, code).await? {
            let problem = Some(("off", "security-code-wrong"));
            return overview(&shared, &posted.visitor, &session, StatusCode::UNPROCESSABLE_ENTITY, problem, None).await;
        }
        let mut tx = begin_as(&shared, &session).await?;
        second_factors::end(&mut tx, &session.account_id).await?;
        tx.commit().await?;
        tell(&shared, &session, Kind::SecondStepOff, "", "identity-mail-step-off").await;
        let done = Some("security-off-done");
        overview(&shared, &posted.visitor, &session, StatusCode::OK, None, done).await
    };
    answer(&shared, outcome.await)
}

fn hashes(shared: &Shared, session: &Session, codes: &[String]) -> Vec<[u8; 32]> {
    let normalised = codes.iter().filter_map(|code| normalise_recovery_code(code));
    normalised.map(|code| shared.master.recovery_code_hash(session.account_id.as_str(), &code)).collect()
}

fn show_codes(shared: &Shared, visitor: &Visitor, session: &Session, codes: Vec<String>) -> Response {
    let frame = Frame::new(words::say("security-codes-title"), Some(session));
    page(shared, visitor, StatusCode::OK, &RecoveryCodes { frame, codes })
}

pub(super) fn sign_in_first() -> Response {
    see_other("/sign-in?next=%2Fsecurity")
}

/// A form of ours from somebody who signed in a moment ago; else where to send the browser.
pub(super) async fn recently_signed_in(
    shared: &Shared,
    request: Request,
) -> Result<Result<(Posted, Session), Response>, PageError> {
    recently_signed_in_for(shared, request, FORM, "/security").await
}

/// The same for the forms of another page.
pub(super) async fn recently_signed_in_for(
    shared: &Shared,
    request: Request,
    form: &str,
    page: &str,
) -> Result<Result<(Posted, Session), Response>, PageError> {
    let posted = posted(shared, request, form).await?;
    let sign_in = |again| see_other(&format!("/sign-in?next={}{again}", encode(page)));
    Ok(match posted.visitor.session.clone() {
        None => Err(sign_in("")),
        Some(session) if !is_recent(shared, &session) => Err(sign_in("&again=1")),
        Some(session) => Ok((posted, session)),
    })
}

/// Whether somebody signed in a moment ago, as everything needs that is hard to undo.
pub(super) fn is_recent(shared: &Shared, session: &Session) -> bool {
    shared.now() - session.signed_in_at <= RECENT_SECONDS
}

/// When somebody signed in who is signed in, but not recently.
pub(super) fn not_recent(shared: &Shared) -> i64 {
    shared.now() - RECENT_SECONDS - 1
}

/// Sign in once more, and come back to this page of ours.
pub(super) fn sign_in_again(next: &str) -> Response {
    see_other(&format!("/sign-in?next={}&again=1", encode(next)))
}

/// Whether nothing is left to sign in to an account with. Passkeys count where there are any, and a provider while it is
/// configured.
pub(super) async fn is_locked_out(shared: &Shared, tx: &mut Tx, account: &AccountId) -> Result<bool, PageError> {
    let Ways { password, passkeys, issuers } = identities::ways(tx, account).await?;
    let configured = |issuer: &String| shared.providers.iter().any(|provider| provider.settings.issuer == *issuer);
    let usable = password || passkeys && shared.passkeys.is_some() || issuers.iter().any(configured);
    Ok(!usable)
}

/// Tell people about a change to how they sign in, where they can see it even if it was not them.
pub(super) async fn tell(shared: &Shared, session: &Session, kind: Kind, detail: &str, mail: &str) {
    tracing::info!(account.id = %session.account_id, ?kind, "something about signing in was changed");
    activity::note(&shared.db, &session.account_id, kind, detail, shared.now()).await;
    let text = words::with(mail, &[("cloud", shared.issuer.as_str().into()), ("name", detail.into())]);
    shared.mail.send(&session.email, &words::say("identity-mail-notice-subject"), &text);
}

/// Long enough to fetch a phone.
const RECENT_SECONDS: i64 = 900;
/// White modules around a QR code.
const QUIET: usize = 4;
