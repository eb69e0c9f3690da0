//! `/oauth/authorize` and the consent page: from a client's wish to a person's decision to a code.
//!
//! Nothing is kept between the steps: the request travels as its own query string through sign-in and consent, and is
//! checked from scratch each time. So `state` comes back byte for byte, and any node can take any step. Of a request that
//! the client pushed (see `pushed`) only the reference travels; it is used up by the decision.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header;
use axum::http::request::Parts;
use axum::response::Response;
use macloud_proto::ids::GrantId;
use macloud_proto::{SCOPE_CONTROL, SCOPE_READ};
use macloud_service_kit::random;

use super::error::OAuthError;
use super::{possession, scopes};
use crate::form::{Form, encode};
use crate::link_doctor::{self, Whose};
use crate::secrets::{Kind, Secret, lookup_hash};
use crate::shared::Shared;
use crate::store::clients::{Client, Credentials, Rotation};
use crate::store::codes::{self, Code};
use crate::store::link_attempts::{Cause, Stage};
use crate::store::web_sessions::Session;
use crate::store::{StoreError, Tx, grants, link_attempts, members, pushed_requests};
use crate::web::visitor::Visitor;
use crate::web::{self, PageError, consent, see_other};
use crate::words;

/// GET: the first step, for a browser that keeps its cookie from then on. By that the link doctor knows it, whatever comes
/// of the request.
pub(super) async fn by_link(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let query = parts.uri.query().unwrap_or_default();
    let visitor = Visitor::of(&shared, &parts.headers).await;
    let cookie = visitor.as_ref().ok().and_then(|visitor| visitor.cookie_to_set(&shared));
    let mut response = web::answer(&shared, begin(&shared, &parts, visitor, query.as_bytes()).await);
    if let Some(cookie) = cookie.filter(|_| !response.headers().contains_key(header::SET_COOKIE)) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// POST, as OpenID Connect wants it: the same request as a form, which goes on as a link. With a form from another site
/// browsers send no cookie, so nobody is known by it here; and to give out a fresh one would sign out whoever has one.
pub(super) async fn by_form(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let outcome = async {
        let query = Form::read(&parts.headers, body).await?.to_query_without(&[]);
        if query.len() > MAX_QUERY {
            return Err(PageError::TooLong);
        }
        Ok(see_other(&format!("/oauth/authorize?{query}")))
    };
    web::answer(&shared, outcome.await)
}

/// POST `/oauth/consent`: the buttons of the consent page.
pub(super) async fn decide(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let outcome = async {
        let posted = web::posted(&shared, request, consent::FORM).await?;
        let text = posted.form.value("request").unwrap_or_default().to_owned();
        let wish = match Wish::parse(&shared, text.as_bytes()).await {
            Ok(wish) => wish,
            Err(stopped) => return stopped.outcome(),
        };
        let asked = wish.known_as();
        let Some(session) = posted.visitor.session.filter(|session| wish.may_be_decided_by(session, shared.now()))
        else {
            return Ok(sign_in_first(&wish.carried(&[]), ""));
        };
        match posted.form.value("decision") {
            Some("allow") => Ok(see_other(&issue_code(&shared, &wish, &session).await?)),
            Some("deny") => {
                let mut tx = shared.db.begin().await?;
                wish.use_up(&mut tx, shared.now()).await?;
                tx.commit().await?;
                let whose = Whose { browser: None, account: Some(&session.account_id) };
                link_doctor::note(&shared, &asked, &whose, Stage::Consent, Some(Cause::Denied)).await;
                Ok(see_other(&wish.refusal(&shared, "access_denied", "The person declined")))
            }
            _ => Err(PageError::BadRequest("problem-choose-one")),
        }
    };
    web::answer(&shared, outcome.await)
}

/// What a client wishes, checked: client and redirect URI are known to belong together.
struct Wish {
    client: Arc<Client>,
    redirect_uri: String,
    state: Option<String>,
    scopes: String,
    challenge: Option<String>,
    nonce: Option<String>,
    dpop_jkt: Option<String>,
    prompt: Prompt,
    max_age: Option<i64>,
    form: Form,
    pushed: Option<Pushed>,
}

/// Where a wish is kept that the client pushed.
struct Pushed {
    hash: [u8; 32],
    reference: String,
    /// When, in seconds since 1970.
    at: i64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Prompt {
    AsNeeded,
    None,
    Login,
}

/// Why a request does not go on.
enum Stopped {
    /// The browser is sent back to this URL with a refusal.
    Back(String, Cause),
    /// It must not be sent anywhere, because who asks or where to is not certain.
    Here(PageError, Cause),
    /// Not the request's fault.
    Fault(PageError),
}

impl Stopped {
    /// For the link doctor.
    const fn cause(&self) -> Option<Cause> {
        match self {
            Self::Back(_, cause) | Self::Here(_, cause) => Some(*cause),
            Self::Fault(PageError::Unavailable) => Some(Cause::Database),
            Self::Fault(_) => Some(Cause::Request),
        }
    }

    fn outcome(self) -> Result<Response, PageError> {
        match self {
            Self::Back(url, _) => Ok(see_other(&url)),
            Self::Here(error, _) | Self::Fault(error) => Err(error),
        }
    }
}

impl<E: Into<PageError>> From<E> for Stopped {
    fn from(error: E) -> Self {
        Self::Fault(error.into())
    }
}

async fn begin(
    shared: &Shared,
    parts: &Parts,
    visitor: Result<Visitor, PageError>,
    text: &[u8],
) -> Result<Response, PageError> {
    let asked = || Form::parse(text).ok().map(|form| link_doctor::Request::of(&form));
    let visitor = visitor.inspect_err(|error| {
        if let (PageError::Unavailable, Some(asked)) = (error, asked()) {
            link_doctor::database_was_away(shared, asked, None);
        }
    })?;
    let whose = Whose::of(&visitor);
    let wish = match Wish::parse(shared, text).await {
        Ok(wish) => wish,
        Err(stopped) => {
            if let (Some(cause), Some(asked)) = (stopped.cause(), asked())
                && (visitor.session.is_some() || link_doctor::may_leave_one(shared, parts))
            {
                link_doctor::note(shared, &asked, &whose, Stage::Request, Some(cause)).await;
            }
            return stopped.outcome();
        }
    };
    let asked = wish.known_as();
    words::app_asks_for(wish.form.value("ui_locales"));
    let fresh = |session: &Session| wish.is_met_by(session, shared.now());
    let session = visitor.session.clone();
    match (wish.prompt, session) {
        (Prompt::None, session) => {
            let Some(session) = session.filter(fresh) else {
                return Ok(see_other(&wish.refusal(shared, "login_required", "Nobody is signed in")));
            };
            let given = grants::scopes_given(&shared.db, &session.account_id, &wish.client.id).await?;
            if given.iter().any(|given| scopes::covers(given, &wish.scopes)) {
                Ok(see_other(&issue_code(shared, &wish, &session).await?))
            } else {
                Ok(see_other(&wish.refusal(shared, "consent_required", "The person has to be asked")))
            }
        }
        (Prompt::Login, None) => Ok(sign_in_again(&wish)),
        (Prompt::AsNeeded, None) => {
            if link_doctor::may_leave_one(shared, parts) {
                link_doctor::note(shared, &asked, &whose, Stage::SignIn, None).await;
            }
            Ok(sign_in_first(&wish.carried(&DEMANDS), ""))
        }
        (Prompt::AsNeeded | Prompt::Login, Some(session)) if !fresh(&session) => Ok(sign_in_again(&wish)),
        (Prompt::AsNeeded | Prompt::Login, Some(session)) => {
            link_doctor::note(shared, &asked, &whose, Stage::Consent, None).await;
            let homes = members::reached(&shared.db, &session.account_id, shared.now()).await?;
            let names = homes.into_iter().map(|reached| reached.home.name).collect();
            let question = consent::Question {
                app: &wish.client.name,
                allows: scopes::explain(&wish.scopes),
                controls: scopes::contains(&wish.scopes, SCOPE_READ) || scopes::contains(&wish.scopes, SCOPE_CONTROL),
                email: &session.email,
                homes: names,
                request: wish.carried(&[]),
                origin: origin(&wish.redirect_uri),
            };
            Ok(consent::page_for(shared, &visitor, &question))
        }
    }
}

/// Send the browser to sign in and come back.
fn sign_in_first(request: &str, again: &str) -> Response {
    see_other(&format!("/sign-in?next={}{again}", encode(&format!("/oauth/authorize?{request}"))))
}

/// The same, where being signed in is not enough.
fn sign_in_again(wish: &Wish) -> Response {
    sign_in_first(&wish.carried(&DEMANDS), "&again=1")
}

/// Whoever must sign in anew has done so when it comes back, so what demanded it is dropped from a request that travels
/// with the browser; left in, `max_age=1` would ask again and again. A pushed request stays as it is, see
/// [`Wish::is_met_by`].
const DEMANDS: [&str; 2] = ["prompt", "max_age"];

/// A code for this person's consent, as the URL to send the browser to.
async fn issue_code(shared: &Shared, wish: &Wish, session: &Session) -> Result<String, PageError> {
    let secret = Secret::new(Kind::Code);
    let code = Code {
        grant_id: GrantId::from_bytes(&random::bytes()),
        account_id: session.account_id.clone(),
        redirect_uri: wish.redirect_uri.clone(),
        challenge: wish.challenge.clone(),
        nonce: wish.nonce.clone(),
        scopes: wish.scopes.clone(),
        signed_in_at: session.signed_in_at,
        dpop_jkt: wish.dpop_jkt.clone(),
    };
    let expires_at = shared.now() + i64::from(shared.config.lives.code_seconds);
    // Together: a consent that could not be kept can be given again.
    let mut tx = web::begin_as(shared, session).await?;
    wish.use_up(&mut tx, shared.now()).await?;
    codes::insert(&mut tx, &secret.hash(), &wish.client.id, &code, expires_at).await?;
    let asked = wish.known_as();
    link_attempts::give_code(&mut tx, asked.id(), &code.account_id, &code.grant_id, shared.now()).await?;
    tx.commit().await?;
    Ok(wish.redirect(&shared.issuer, &[("code", secret.as_str())]))
}

impl Wish {
    /// Check a request.
    async fn parse(shared: &Shared, text: &[u8]) -> Result<Self, Stopped> {
        let form = Form::parse(text)?;
        let unknown = || Stopped::Here(UNKNOWN_APP, Cause::UnknownClient);
        let client_id = form.value("client_id").ok_or_else(unknown)?;
        let client = shared.client(client_id).await?.ok_or_else(unknown)?;
        let reference = form.value("request_uri").unwrap_or_default();
        let (form, pushed) = match lookup_hash(Kind::PushedRequest, reference) {
            None => (form, None),
            Some(hash) => {
                // Whatever else the browser carried beside the reference does not count (RFC 9126 section 4).
                let request = pushed_requests::living(&shared.db, &hash, &client.id, shared.now()).await?;
                let (request, expires_at) = request.ok_or(Stopped::Here(USED_UP, Cause::PushedGone))?;
                let pushed = Pushed { hash, reference: reference.to_owned(), at: expires_at - super::pushed::SECONDS };
                (Form::parse(request.as_bytes())?, Some(pushed))
            }
        };
        let wish = Self::registered(shared, client, form).await?;
        let mut wish = wish.ok_or(Stopped::Here(UNREGISTERED, Cause::Redirect))?;
        wish.pushed = pushed;
        match wish.check() {
            Ok(()) => Ok(wish),
            Err((error, description)) => {
                let cause = if description == NO_CHALLENGE { Cause::PkceMissing } else { Cause::Request };
                Err(Stopped::Back(wish.refusal(shared, error, description), cause))
            }
        }
    }

    /// For the link doctor.
    fn known_as(&self) -> link_doctor::Request {
        let of = |form: &Form| link_doctor::Request::of(form).leading_to(&self.redirect_uri);
        match &self.pushed {
            None => of(&self.form),
            // Known by its reference, which is what the browser carries.
            Some(_) => Form::parse(self.carried(&[]).as_bytes()).map_or_else(|_| of(&self.form), |form| of(&form)),
        }
    }

    /// A wish whose answer goes to an address that the client has registered; `None` when it has not.
    async fn registered(shared: &Shared, mut client: Arc<Client>, form: Form) -> Result<Option<Self>, StoreError> {
        let redirect_uri = form.value("redirect_uri").unwrap_or_default().to_owned();
        if !client.redirect_uris.contains(&redirect_uri) {
            // An operator may just have changed the client.
            let Some(now) = shared.client_now(&client.id).await? else { return Ok(None) };
            client = now;
        }
        let known = client.redirect_uris.contains(&redirect_uri);
        Ok(known.then(|| Self::unchecked(client, redirect_uri, form)))
    }

    /// A wish of which nothing is known but who has it and where the answer goes.
    fn unchecked(client: Arc<Client>, redirect_uri: String, form: Form) -> Self {
        Self {
            client,
            redirect_uri,
            state: form.value("state").map(str::to_owned),
            scopes: String::new(),
            challenge: None,
            nonce: form.value("nonce").map(str::to_owned),
            dpop_jkt: form.value("dpop_jkt").map(str::to_owned),
            prompt: Prompt::AsNeeded,
            max_age: None,
            form,
            pushed: None,
        }
    }

    /// Whether this session is as recent as the client wishes. Of a pushed request it is known when it was made: signing in
    /// since then is what it asked for, and no reloaded or copied link gets around that.
    fn is_met_by(&self, session: &Session, now: i64) -> bool {
        let since = self.pushed.as_ref().is_some_and(|pushed| session.signed_in_at >= pushed.at);
        let recent = match self.max_age {
            Some(0) => false,
            Some(seconds) => now - session.signed_in_at <= seconds,
            None => true,
        };
        since || recent && self.prompt != Prompt::Login
    }

    /// Whether this session may press the buttons. What a request demands that travels with the browser was dropped when it
    /// was met; a pushed one is asked again, as its form could have been opened before, or for another request.
    fn may_be_decided_by(&self, session: &Session, now: i64) -> bool {
        self.pushed.is_none() || self.is_met_by(session, now)
    }

    /// The wish as text, to be read by [`Self::parse`] at the next step.
    fn carried(&self, without: &[&str]) -> String {
        match &self.pushed {
            None => self.form.to_query_without(without),
            Some(pushed) => {
                format!("client_id={}&request_uri={}", encode(&self.client.id), encode(&pushed.reference))
            }
        }
    }

    /// A pushed wish is decided once.
    async fn use_up(&self, tx: &mut Tx, now: i64) -> Result<(), PageError> {
        match &self.pushed {
            Some(pushed) if !pushed_requests::take(tx, &pushed.hash, now).await? => Err(USED_UP),
            Some(_) | None => Ok(()),
        }
    }

    fn check(&mut self) -> Result<(), (&'static str, &'static str)> {
        let form = &self.form;
        if form.value("request").is_some() {
            return Err(("request_not_supported", "Request objects are not supported"));
        }
        if form.value("request_uri").is_some() {
            return Err(("request_uri_not_supported", "Request objects are not supported"));
        }
        match form.value("response_type") {
            Some("code") => {}
            Some(_) => return Err(("unsupported_response_type", "Only the response type code is supported")),
            None => return Err(("invalid_request", "response_type is missing")),
        }
        if form.value("response_mode").is_some_and(|mode| mode != "query") {
            return Err(("invalid_request", "Only the response mode query is supported"));
        }
        self.challenge = challenge(form, self.client.require_pkce)?;
        if self.nonce.as_ref().is_some_and(|nonce| nonce.len() > MAX_NONCE) {
            return Err(("invalid_request", "nonce is too long"));
        }
        if self.dpop_jkt.as_ref().is_some_and(|jkt| !possession::is_thumbprint(jkt)) {
            return Err(("invalid_request", "dpop_jkt is not a JWK thumbprint"));
        }
        self.scopes = scopes::grantable(form.value("scope").unwrap_or_default()).ok_or(("invalid_scope", NO_SCOPE))?;
        self.prompt = prompt(form.value("prompt").unwrap_or_default())?;
        if let Some(max_age) = form.value("max_age") {
            let seconds: u32 =
                max_age.parse().map_err(|_| ("invalid_request", "max_age is not a number of seconds"))?;
            self.max_age = Some(seconds.into());
        }
        Ok(())
    }

    fn refusal(&self, shared: &Shared, error: &str, description: &str) -> String {
        self.redirect(&shared.issuer, &[("error", error), ("error_description", description)])
    }

    /// The registered URI, byte for byte, with our parameters behind it, and `iss` (RFC 9207).
    fn redirect(&self, issuer: &str, parameters: &[(&str, &str)]) -> String {
        let mut url = self.redirect_uri.clone();
        let mut separator = if url.contains('?') { '&' } else { '?' };
        let state = self.state.as_deref().map(|state| ("state", state));
        for (name, value) in parameters.iter().copied().chain(state).chain([("iss", issuer)]) {
            url.push(separator);
            url.push_str(&format!("{name}={}", encode(value)));
            separator = '&';
        }
        url
    }
}

/// Check a request that this client pushes.
pub(super) async fn check_pushed(shared: &Shared, client: Arc<Client>, form: Form) -> Result<(), OAuthError> {
    if form.value("client_id").is_some_and(|id| id != client.id) {
        return Err(OAuthError::InvalidRequest("client_id is another client's"));
    }
    let wish = Wish::registered(shared, client, form).await?;
    let mut wish = wish.ok_or(OAuthError::InvalidRequest("redirect_uri is not registered for this client"))?;
    wish.check().map_err(|(code, description)| OAuthError::Authorization(code, description))
}

/// Any text as the request of a known client: refused or understood, and the way back stays the registered one.
pub(crate) fn fuzz(text: &[u8]) {
    let Ok(form) = Form::parse(text) else { return };
    let client = Client {
        id: "alexa".into(),
        name: "Amazon Alexa".into(),
        credentials: Credentials::None,
        require_dpop: false,
        own_scopes: String::new(),
        require_pkce: text.first().is_some_and(|first| *first == b'&'),
        rotation: Rotation::Overlap,
        access_token_seconds: 3600,
        redirect_uris: Vec::new(),
        post_logout_redirect_uris: Vec::new(),
        created_at: 0,
    };
    let mut wish = Wish::unchecked(Arc::new(client), "https://layla.amazon.com/api/skill/link/M1?a=b".into(), form);
    let understood = wish.check().is_ok();
    let answer = wish.redirect("https://cloud.example", &[("code", "mcc_x")]);
    let answer = url::Url::parse(&answer).expect("what is appended is encoded");
    assert_eq!((answer.host_str(), answer.path()), (Some("layla.amazon.com"), "/api/skill/link/M1"));
    let state = answer.query_pairs().find(|(name, _)| name == "state").map(|(_, value)| value.into_owned());
    assert_eq!(state, wish.state, "state comes back as it was");
    // The request travels through sign-in and consent as text, and must be the same wish afterwards.
    let carried = wish.form.to_query_without(&[]);
    if let (true, Ok(form)) = (understood, Form::parse(carried.as_bytes())) {
        let mut again = Wish::unchecked(wish.client.clone(), wish.redirect_uri.clone(), form);
        assert!(again.check().is_ok());
        assert_eq!((&again.scopes, &again.challenge, &again.nonce), (&wish.scopes, &wish.challenge, &wish.nonce));
    }
}

/// PKCE (RFC 7636), S256 only.
fn challenge(form: &Form, required: bool) -> Result<Option<String>, (&'static str, &'static str)> {
    match (form.value("code_challenge"), form.value("code_challenge_method")) {
        (None, None) if required => Err(("invalid_request", NO_CHALLENGE)),
        (None, None) => Ok(None),
        (None, Some(_)) => Err(("invalid_request", NO_CHALLENGE)),
        (Some(challenge), Some("S256")) => {
            let well_formed =
                challenge.len() == 43 && challenge.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
            if well_formed {
                Ok(Some(challenge.to_owned()))
            } else {
                Err(("invalid_request", "code_challenge is not a SHA-256 in base64url"))
            }
        }
        (Some(_), _) => Err(("invalid_request", "code_challenge_method must be S256")),
    }
}

fn prompt(text: &str) -> Result<Prompt, (&'static str, &'static str)> {
    let words: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
    if words.contains(&"none") {
        return if words.len() == 1 { Ok(Prompt::None) } else { Err(("invalid_request", "prompt=none stands alone")) };
    }
    // We always ask for consent, so `consent` asks for nothing more.
    let login = words.iter().any(|word| ["login", "select_account"].contains(word));
    Ok(if login { Prompt::Login } else { Prompt::AsNeeded })
}

/// For `form-action`: without it, browsers block the redirect that answers the consent form.
pub(super) fn origin(redirect_uri: &str) -> String {
    url::Url::parse(redirect_uri).map(|url| url.origin().ascii_serialization()).unwrap_or_default()
}

const UNREGISTERED: PageError = PageError::BadRequest("consent-unregistered");
const USED_UP: PageError = PageError::BadRequest("consent-used-up");
const UNKNOWN_APP: PageError = PageError::BadRequest("consent-unknown-app");
const MAX_NONCE: usize = 512;
/// Longer links do not get through every proxy.
const MAX_QUERY: usize = 8 * 1024;
const NO_CHALLENGE: &str = "code_challenge is missing";
/// Names those that an app for music needs: whoever forgot them in the app's settings reads this.
const NO_SCOPE: &str = "No known scope was asked for. Ask for music_assistant.read and music_assistant.control";
