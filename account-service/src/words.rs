//! What people read, in their language: the messages of `locales/`, and whose language a request is answered in.
//!
//! - [`say`] and [`with`] give plain text, [`html`] gives markup that a template takes as it is: the message may hold
//!   simple tags, and every argument is escaped.
//! - The language is the request's ([`in_language_of`]), so nothing has to be passed along: what the person chose in the footer, else what the
//!   app asks for that sent them (`ui_locales`), else what their browser prefers, else English. Outside of a request it is English.
//! - One file per area in each language; a key begins with its area's name. Tests keep the languages complete and equal.

use std::cell::{Cell, RefCell};
use std::sync::LazyLock;

use askama::filters::Safe;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue};

use crate::shared::Shared;

mod choice;
#[cfg(test)]
mod tests;

/// A message without arguments.
pub(crate) fn say(key: &str) -> String {
    with(key, &[])
}

/// A message as plain text, with these arguments in it (an array or a reference to one: templates add references).
pub(crate) fn with<'a>(key: &str, arguments: impl AsRef<[(&'a str, Arg)]>) -> String {
    language().format(key, arguments.as_ref(), str::to_owned)
}

/// A message as markup. Its own tags count; what the arguments hold is shown as text.
pub(crate) fn html<'a>(key: &str, arguments: impl AsRef<[(&'a str, Arg)]>) -> Safe<String> {
    Safe(language().format(key, arguments.as_ref(), escape))
}

/// What stands in a message's place.
#[derive(Debug, Clone)]
pub(crate) enum Arg {
    Text(String),
    Number(i64),
}

/// A language that our pages speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    English,
    German,
}

/// The language of this request.
pub(crate) fn language() -> Language {
    REQUEST.try_with(|request| request.language.get()).unwrap_or(Language::English)
}

/// The page that is being looked at, for coming back to it in another language.
pub(crate) fn here() -> String {
    REQUEST.try_with(|request| request.here.borrow().clone()).unwrap_or_else(|_| "/".into())
}

/// Say where one is, for pages whose address alone would lose something.
pub(crate) fn stay_at(path: String) {
    let _ = REQUEST.try_with(|request| request.here.replace(path));
}

/// An app asks for a language (`ui_locales`: the best first). The person's own choice stands above it; else it holds until
/// the browser is closed, because the way from the app leads over several pages.
pub(crate) fn app_asks_for(ui_locales: Option<&str>) {
    let wanted = ui_locales.unwrap_or_default().split(' ').find_map(Language::of_tag);
    let _ = REQUEST.try_with(|request| {
        if let Some(wanted) = wanted.filter(|wanted| !request.chosen && *wanted != request.language.get()) {
            request.language.set(wanted);
            request.asked.set(true);
        }
    });
}

/// Middleware: answer in the language of whoever asks.
pub(crate) async fn in_language_of(
    State(shared): State<std::sync::Arc<Shared>>,
    request: Request,
    next: Next,
) -> Response {
    let whose = InRequest::of(request.headers(), &request);
    let answer = async {
        let mut response = next.run(request).await;
        let asked = REQUEST.with(|request| request.asked.get());
        if asked && let Some(cookie) = choice::asked_cookie(&shared, language()) {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
        name_language(&mut response);
        response
    };
    REQUEST.scope(whose, answer).await
}

/// The same for one page that no router made.
pub(crate) fn in_language_of_now(request: &Request, make: impl FnOnce() -> Response) -> Response {
    REQUEST.sync_scope(InRequest::of(request.headers(), request), || {
        let mut response = make();
        name_language(&mut response);
        response
    })
}

pub(crate) use self::choice::choose;

tokio::task_local! {
    static REQUEST: InRequest;
}

struct InRequest {
    language: Cell<Language>,
    /// The person chose it.
    chosen: bool,
    /// An app asked for it just now.
    asked: Cell<bool>,
    here: RefCell<String>,
}

impl InRequest {
    fn of(headers: &HeaderMap, request: &Request) -> Self {
        let (chosen, asked) = choice::read_cookie(headers);
        let language = chosen.or(asked).or_else(|| choice::preferred(headers)).unwrap_or(Language::English);
        let here = request.uri().path_and_query().map_or("/", |here| here.as_str());
        Self {
            language: Cell::new(language),
            chosen: chosen.is_some(),
            asked: Cell::new(false),
            here: RefCell::new(here.to_owned()),
        }
    }
}

/// Pages say their language, and caches keep the languages apart.
fn name_language(response: &mut Response) {
    let headers = response.headers_mut();
    let is_page = headers.get(header::CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"text/html"));
    if is_page {
        headers.insert(header::CONTENT_LANGUAGE, HeaderValue::from_static(language().tag()));
        headers.append(header::VARY, HeaderValue::from_static("accept-language, cookie"));
    }
}

impl Language {
    pub(crate) const ALL: [Self; 2] = [Self::English, Self::German];

    /// As HTML, HTTP and OAuth write it.
    pub(crate) const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
        }
    }

    /// Its own name for itself.
    pub(crate) const fn own_name(self) -> &'static str {
        match self {
            Self::English => "English",
            Self::German => "Deutsch",
        }
    }

    /// `de`, `de-AT`, `DE`.
    fn of_tag(tag: &str) -> Option<Self> {
        let primary = tag.split('-').next().unwrap_or_default();
        Self::ALL.into_iter().find(|language| language.tag().eq_ignore_ascii_case(primary))
    }

    fn format(self, key: &str, arguments: &[(&str, Arg)], shown: fn(&str) -> String) -> String {
        let bundle = match self {
            Self::English => &ENGLISH,
            Self::German => &GERMAN,
        };
        let Some(pattern) = bundle.get_message(key).and_then(|message| message.value()) else {
            tracing::error!(key, language = self.tag(), "a message is missing");
            return key.to_owned();
        };
        let arguments: FluentArgs<'_> = arguments
            .iter()
            .map(|(name, value)| match value {
                Arg::Text(text) => (*name, FluentValue::from(shown(text))),
                Arg::Number(number) => (*name, FluentValue::from(*number)),
            })
            .collect();
        let mut errors = Vec::new();
        let text = bundle.format_pattern(pattern, Some(&arguments), &mut errors).into_owned();
        if !errors.is_empty() {
            tracing::error!(key, language = self.tag(), ?errors, "a message is not whole");
        }
        text
    }
}

impl From<&str> for Arg {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<&String> for Arg {
    fn from(text: &String) -> Self {
        Self::Text(text.clone())
    }
}

impl From<String> for Arg {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

macro_rules! numbers {
    ($($number:ty)*) => {
        $(impl From<$number> for Arg {
            fn from(number: $number) -> Self {
                Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
            }
        })*
    };
}
numbers! { i64 i32 u8 u32 u64 usize }

/// As askama escapes, in text and in quoted attributes.
fn escape(text: &str) -> String {
    text.replace('&', "&#38;").replace('<', "&#60;").replace('>', "&#62;").replace('"', "&#34;").replace('\'', "&#39;")
}

/// One file of messages in each language.
struct Area {
    name: &'static str,
    en: &'static str,
    de: &'static str,
}

/// Listed by `build.rs`.
static AREAS: &[Area] = &include!(concat!(env!("OUT_DIR"), "/areas.rs"));

static ENGLISH: LazyLock<FluentBundle<FluentResource>> = LazyLock::new(|| bundle("en", |area| area.en));
static GERMAN: LazyLock<FluentBundle<FluentResource>> = LazyLock::new(|| bundle("de", |area| area.de));

/// A mistake in a file costs its message and no more; the tests see to it that there is none.
fn bundle(tag: &str, text: fn(&Area) -> &'static str) -> FluentBundle<FluentResource> {
    let tag = tag.parse().unwrap_or_default();
    let mut bundle = FluentBundle::new_concurrent(vec![tag]);
    // Marks around arguments would be copied along from plain text, and our languages all read from left to right.
    bundle.set_use_isolating(false);
    for area in AREAS {
        let resource = FluentResource::try_new(text(area).to_owned()).unwrap_or_else(|(resource, errors)| {
            tracing::error!(area.name, ?errors, "a message file has mistakes");
            resource
        });
        if let Err(errors) = bundle.add_resource(resource) {
            tracing::error!(area.name, ?errors, "messages are there twice");
        }
    }
    bundle
}
