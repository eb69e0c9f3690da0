//! What each address of the page shows, and what each of its forms does.
//!
//! A form that was understood is answered with the way to a page (303), so that nothing is done twice by loading it again. One that was
//! not is shown again with what was wrong, and with what was typed, but for secrets.

use std::sync::Arc;

use askama::Template;
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use macloud_e2ee::vocabulary::clean_text;
use url::Url;
use zeroize::Zeroizing;

use super::form::Form;
use super::home::{Pairing, Wish};
use super::request::Caller;
use super::server::{Answer, plain};
use super::views::{DoctorPage, DonePage, PairPage, PlacePage, SignInPage, StatusPage, TroublePage};
use super::words::Language;
use super::{Search, Shared, lock};
use crate::connector::{View, ma_place, ma_url};
use crate::music_assistant::sign_in::{self, SignInError};
use crate::music_assistant::token::Token;
use crate::rules::{Alias, Level, QuietHours, Rules, TimeOfDay};
use crate::state::{MusicAssistantPlace, StateError};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("page.js");
const ICON: &str = include_str!("icon.svg");

/// A home's name is not longer in the cloud.
const MAX_NAME: usize = 40;

/// What is at `path`.
pub(super) fn show(shared: &Arc<Shared>, caller: &Caller, path: &str) -> Answer {
    match path {
        "/" => start(shared, caller),
        "/music-assistant" => {
            if matches!(*lock(&shared.search), Search::NotYet) {
                shared.search();
            }
            page(StatusCode::OK, &PlacePage::new(shared, caller))
        }
        "/sign-in" => page(StatusCode::OK, &SignInPage::new(shared, caller)),
        "/pair" => {
            let is_done = matches!(*lock(&shared.pairing), Pairing::Done);
            if is_done { see("./done") } else { page(StatusCode::OK, &PairPage::new(shared, caller)) }
        }
        "/done" if shared.state.is_paired() => {
            page(StatusCode::OK, &DonePage::new(shared, caller, shared.view().as_ref()))
        }
        "/done" => see("./"),
        "/doctor" => page(StatusCode::OK, &DoctorPage::new(shared, caller)),
        "/style.css" => asset("text/css; charset=utf-8", STYLE),
        "/page.js" => asset("text/javascript; charset=utf-8", SCRIPT),
        "/icon.svg" => asset("image/svg+xml", ICON),
        // From there no link of a page would lead anywhere.
        deeper if deeper.matches('/').count() > 1 => plain(StatusCode::NOT_FOUND, "there is no such page"),
        _ => {
            let text = caller.language.say("There is no such page.", "Diese Seite gibt es nicht.");
            page(StatusCode::NOT_FOUND, &TroublePage::new(shared, caller, text.to_owned()))
        }
    }
}

/// The status of a home that is paired, else the next step of the first run.
fn start(shared: &Arc<Shared>, caller: &Caller) -> Answer {
    if let Some(view) = shared.view() {
        return page(StatusCode::OK, &StatusPage::new(shared, caller, &view));
    }
    let pairs = !matches!(*lock(&shared.pairing), Pairing::Idle | Pairing::Done);
    if pairs {
        page(StatusCode::OK, &PairPage::new(shared, caller))
    } else if shared.state.is_paired() {
        page(StatusCode::OK, &DonePage::new(shared, caller, None))
    } else if shared.place().is_none() {
        page(StatusCode::OK, &PlacePage::new(shared, caller))
    } else if !shared.has_token() {
        page(StatusCode::OK, &SignInPage::new(shared, caller))
    } else {
        page(StatusCode::OK, &PairPage::new(shared, caller))
    }
}

/// Do what a form says.
pub(super) async fn change(shared: &Arc<Shared>, caller: &Caller, path: &str, form: &Form) -> Answer {
    match path {
        "/music-assistant" => choose_place(shared, caller, form).await,
        "/search" => {
            shared.search();
            see("./music-assistant")
        }
        "/sign-in" => sign_in(shared, caller, form).await,
        "/token" => take_token(shared, caller, form).await,
        "/pair" => begin_pairing(shared, caller, form),
        "/pair-cancel" => {
            wish(shared, Wish::Cancel);
            shared.set_pairing(Pairing::Idle);
            see("./")
        }
        "/doctor" => {
            shared.examine();
            see("./doctor")
        }
        "/stop" => done(shared, caller, set_stopped(shared, form)),
        "/player" => changed(shared, caller, |rules| change_player(shared, rules, form, caller.language)),
        "/quiet" => changed(shared, caller, |rules| change_quiet_hours(rules, form, caller.language)),
        "/tell" => changed(shared, caller, |rules| {
            rules.tell_changes = form.value("on").is_some();
            Ok(())
        }),
        _ => {
            let text = caller.language.say("There is no such form.", "Dieses Formular gibt es nicht.");
            page(StatusCode::NOT_FOUND, &TroublePage::new(shared, caller, text.to_owned()))
        }
    }
}

/// A form of another process, or of nobody: the connector was started anew since, mostly.
pub(super) fn stale(shared: &Shared, caller: &Caller) -> Answer {
    let text = caller.language.say(
        "This form is from before the connector was started. Go back to the page, and try again.",
        "Dieses Formular ist von vor dem Start des Connectors. Geh zurück zur Seite und versuche es noch einmal.",
    );
    page(StatusCode::FORBIDDEN, &TroublePage::new(shared, caller, text.to_owned()))
}

// --- the first run -------------------------------------------------------------------------------------------------------

async fn choose_place(shared: &Arc<Shared>, caller: &Caller, form: &Form) -> Answer {
    let typed = form.value("url").unwrap_or_default().trim();
    let wrong = |error: String| {
        let again = PlacePage::new(shared, caller).wrong(error, typed);
        page(StatusCode::UNPROCESSABLE_ENTITY, &again)
    };
    let url = match ma_url(typed) {
        Ok(url) => url,
        Err(error) => return wrong(error),
    };
    if let Err(error) = sign_in::look(&ma_place(Some(url.clone())), &shared.options().ma_dialer).await {
        return wrong(trouble(&error, caller.language));
    }
    if let Err(error) = shared.state.save_music_assistant(&MusicAssistantPlace { url: Some(url) }) {
        return wrong(error.to_string());
    }
    // What is chosen here counts until the process ends.
    lock(&shared.options).ma_url = None;
    restart(shared);
    see("./")
}

async fn sign_in(shared: &Arc<Shared>, caller: &Caller, form: &Form) -> Answer {
    let username = form.value("username").unwrap_or_default().trim();
    let wrong = |error: String| {
        let again = SignInPage::new(shared, caller).wrong(error, username);
        page(StatusCode::UNPROCESSABLE_ENTITY, &again)
    };
    let password = Zeroizing::new(form.value("password").unwrap_or_default().to_owned());
    let (url, dialer) = (ma_place(shared.place()), shared.options().ma_dialer);
    match sign_in::sign_in(&url, &dialer, username, password).await {
        Ok(token) => match keep_token(shared, &token) {
            Ok(()) => see("./"),
            Err(error) => wrong(error.to_string()),
        },
        Err(error) => wrong(trouble(&error, caller.language)),
    }
}

async fn take_token(shared: &Arc<Shared>, caller: &Caller, form: &Form) -> Answer {
    let wrong = |error: String| {
        let again = SignInPage::new(shared, caller).wrong(error, "");
        page(StatusCode::UNPROCESSABLE_ENTITY, &again)
    };
    let Some(token) = form.value("token").and_then(Token::parse) else {
        return wrong(trouble(&SignInError::WrongToken, caller.language));
    };
    let (url, dialer) = (ma_place(shared.place()), shared.options().ma_dialer);
    if let Err(error) = sign_in::check(&url, &dialer, &token).await {
        return wrong(trouble(&error, caller.language));
    }
    match keep_token(shared, &token) {
        Ok(()) => see("./"),
        Err(error) => wrong(error.to_string()),
    }
}

fn keep_token(shared: &Shared, token: &Token) -> Result<(), StateError> {
    shared.state.save_token(token)?;
    let was_given = lock(&shared.options).ma_token_file.take().is_some();
    // Otherwise it is found where it is looked for.
    if was_given {
        restart(shared);
    }
    Ok(())
}

fn begin_pairing(shared: &Arc<Shared>, caller: &Caller, form: &Form) -> Answer {
    let typed = form.value("cloud").unwrap_or_default().trim();
    let name = form.value("name").map(str::trim).filter(|name| !name.is_empty());
    let wrong = |error: &str| {
        let again = PairPage::new(shared, caller).wrong(error, typed, name.unwrap_or_default());
        page(StatusCode::UNPROCESSABLE_ENTITY, &again)
    };
    let t = caller.language;
    let whole = if typed.contains("://") { typed.to_owned() } else { format!("https://{typed}") };
    let Ok(cloud) = Url::parse(&whole) else {
        return wrong(t.say("Write it as https://cloud.example.", "Schreib sie als https://cloud.example."));
    };
    if let Err(error) = shared.options().dialer.check(&cloud) {
        return wrong(&error.to_string());
    }
    if name.is_some_and(|name| name.chars().count() > MAX_NAME) {
        return wrong(t.say("The name is too long.", "Der Name ist zu lang."));
    }
    shared.set_pairing(Pairing::Asking);
    wish(shared, Wish::Pair { cloud, name: name.map(str::to_owned) });
    see("./pair")
}

fn wish(shared: &Shared, wish: Wish) {
    // When several wait already, this one says nothing new.
    let _ = shared.wish.try_send(wish);
}

/// Let a connector that runs take what has changed.
fn restart(shared: &Shared) {
    if shared.view().is_some() {
        wish(shared, Wish::Restart);
    }
}

/// What is wrong at Music Assistant, for people.
fn trouble(error: &SignInError, t: Language) -> String {
    let (english, german) = match error {
        SignInError::Unreachable(why) => {
            return match t {
                Language::English => error.to_string(),
                Language::German => {
                    format!("Music Assistant antwortet nicht ({why}). Prüfe, ob es läuft und ob die Adresse stimmt.")
                }
            };
        }
        SignInError::NotMusicAssistant => {
            ("What answers there is not Music Assistant.", "Was dort antwortet, ist nicht Music Assistant.")
        }
        SignInError::TooOld { .. } => (
            "This Music Assistant is too old. Update it, and try again.",
            "Dieses Music Assistant ist zu alt. Aktualisiere es und versuche es noch einmal.",
        ),
        SignInError::SetUpNeeded => (
            "Music Assistant is not set up yet. Open its own web page and finish the set-up.",
            "Music Assistant ist noch nicht eingerichtet. Öffne seine eigene Webseite und richte es fertig ein.",
        ),
        SignInError::WrongPassword => (
            "Music Assistant does not know this name with this password.",
            "Music Assistant kennt diesen Namen mit diesem Passwort nicht.",
        ),
        SignInError::WrongToken => ("Music Assistant refuses this token.", "Music Assistant lehnt dieses Token ab."),
        SignInError::NotAllowed => (
            "Music Assistant gives this user no token. Sign in as another; a guest cannot have one.",
            "Music Assistant gibt dieser Person kein Token. Melde dich als jemand anderes an; Gäste bekommen keins.",
        ),
        SignInError::TimedOut => (
            "Music Assistant did not answer in time. After several wrong passwords it makes one wait: try again in a few minutes.",
            "Music Assistant hat nicht rechtzeitig geantwortet. Nach mehreren falschen Passwörtern lässt es einen warten: Versuche es in ein paar Minuten noch einmal.",
        ),
    };
    t.say(english, german).to_owned()
}

// --- the owner's rules -----------------------------------------------------------------------------------------------------

fn set_stopped(shared: &Shared, form: &Form) -> Result<(), String> {
    let stopped = form.value("on").is_some();
    shared.state.set_stopped(stopped).map_err(|error| error.to_string())?;
    if let Some(view) = shared.view() {
        view.set_stopped(stopped);
    }
    Ok(())
}

/// Change the rules, keep them, and let them be obeyed.
fn changed(shared: &Shared, caller: &Caller, change: impl FnOnce(&mut Rules) -> Result<(), String>) -> Answer {
    let changed = shared.state.change_rules(|rules| {
        let mut wanted = rules.clone();
        change(&mut wanted)?;
        *rules = wanted;
        Ok(())
    });
    let outcome = changed.map_err(|error| error.to_string()).and_then(|(rules, outcome)| {
        if let Some(view) = shared.view() {
            view.take_rules(rules);
        }
        outcome
    });
    done(shared, caller, outcome)
}

/// Back to the page, or say there what was wrong.
fn done(shared: &Shared, caller: &Caller, outcome: Result<(), String>) -> Answer {
    let Err(error) = outcome else { return see("./") };
    match shared.view() {
        Some(view) => {
            let again = StatusPage::new(shared, caller, &view).wrong(error);
            page(StatusCode::UNPROCESSABLE_ENTITY, &again)
        }
        None => page(StatusCode::UNPROCESSABLE_ENTITY, &TroublePage::new(shared, caller, error)),
    }
}

fn change_player(shared: &Shared, rules: &mut Rules, form: &Form, t: Language) -> Result<(), String> {
    let id = form.value("id").unwrap_or_default();
    let known = shared.view().and_then(|view| Some(view.music_assistant().directory().player(id)?.name.clone()));
    let known = known.or_else(|| Some(rules.players.get(id)?.name.clone()));
    let name = known.ok_or("There is no such player any more.")?;
    let alias = form.value("alias").map(str::trim).filter(|alias| !alias.is_empty());
    let alias = alias.map(str::parse::<Alias>).transpose().map_err(|error| error.to_string())?;
    // One that it has already may stay while something else is changed.
    let former = rules.players.get(id).and_then(|own| own.alias.as_ref());
    let new_alias = alias.as_ref().filter(|alias| former != Some(*alias));
    if let (Some(alias), Some(view)) = (new_alias, shared.view()) {
        refuse_taken(alias.as_str(), id, rules, &view, t)?;
    }
    let level = form.value("max_volume").map(str::trim).filter(|level| !level.is_empty());
    let level = level.map(str::parse::<Level>).transpose().map_err(|error| error.to_string())?;
    let hidden = form.value("exposed").is_none();
    rules.change(id, &name, |rules| {
        rules.hidden = hidden;
        rules.alias = alias;
        rules.max_volume = level;
    });
    Ok(())
}

/// Fail, if another player answers to this name already.
fn refuse_taken(alias: &str, id: &str, rules: &Rules, view: &View, t: Language) -> Result<(), String> {
    let directory = view.music_assistant().directory();
    let Some((_, other)) = rules.namesake(directory.exposed_names(), id, alias) else { return Ok(()) };
    let other = clean_text(other);
    Err(match t {
        Language::English => {
            format!("Another player is called “{alias}” already: {other}. Choose another name, or hide that one.")
        }
        Language::German => format!(
            "So heißt schon ein anderer Player: {other}. Nimm statt „{alias}“ einen anderen Namen, oder verbirg jenen."
        ),
    })
}

fn change_quiet_hours(rules: &mut Rules, form: &Form, t: Language) -> Result<(), String> {
    if form.value("off").is_some() {
        rules.quiet_hours = None;
        return Ok(());
    }
    let time = |name: &str| form.value(name).and_then(|text| text.trim().parse::<TimeOfDay>().ok());
    let (Some(from), Some(to)) = (time("from"), time("to")) else {
        let wanted = t.say("Give both times, such as 22:00 and 07:00.", "Gib beide Zeiten an, etwa 22:00 und 07:00.");
        return Err(wanted.to_owned());
    };
    rules.quiet_hours = Some(QuietHours { from, to });
    Ok(())
}

// --- answers -----------------------------------------------------------------------------------------------------------------

fn page(status: StatusCode, page: &impl Template) -> Answer {
    let Ok(text) = page.render() else {
        return plain(StatusCode::INTERNAL_SERVER_ERROR, "the page cannot be shown");
    };
    let mut answer = Response::new(Full::from(Bytes::from(text)));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    answer
}

/// All addresses of the page are beside each other, so that each leads to the others wherever the page is shown.
fn see(place: &'static str) -> Answer {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = StatusCode::SEE_OTHER;
    answer.headers_mut().insert(header::LOCATION, HeaderValue::from_static(place));
    answer
}

fn asset(kind: &'static str, text: &'static str) -> Answer {
    let mut answer = Response::new(Full::from(text));
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    // An update may bring another.
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("max-age=300"));
    answer
}
