//! Which language a browser wants: by cookie, by header, and the links in the footer that set the cookie.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;

use super::Language;
use crate::form::Form;
use crate::shared::Shared;
use crate::web::{self, PageError, see_other};

/// GET `/language/{tag}?back=…`: remember it for a year, and go back.
pub(crate) async fn choose(State(shared): State<Arc<Shared>>, Path(tag): Path<String>, request: Request) -> Response {
    let outcome = || {
        let chosen = Language::ALL.into_iter().find(|language| language.tag() == tag).ok_or(PageError::NotFound)?;
        let form = Form::parse(request.uri().query().unwrap_or_default().as_bytes())?;
        let back = form.value("back").filter(|back| stays_here(back)).unwrap_or("/");
        let mut response = see_other(back);
        let cookie = cookie(&shared, chosen.tag(), &format!("; Max-Age={YEAR}"));
        response.headers_mut().extend(cookie.map(|cookie| (header::SET_COOKIE, cookie)));
        Ok(response)
    };
    web::answer(&shared, outcome())
}

/// One slash, and nothing that a browser or a header could read as another host.
pub(super) fn stays_here(path: &str) -> bool {
    path.starts_with('/')
        && !path.starts_with("//")
        && path.len() <= MAX_BACK
        && path.bytes().all(|b| b.is_ascii_graphic() && b != b'\\')
}

/// For as long as the browser is open: what an app asked for.
pub(super) fn asked_cookie(shared: &Shared, language: Language) -> Option<HeaderValue> {
    cookie(shared, &format!("{ASKED}{}", language.tag()), "")
}

fn cookie(shared: &Shared, value: &str, age: &str) -> Option<HeaderValue> {
    let secure = if shared.https { "; Secure" } else { "" };
    HeaderValue::from_str(&format!("{COOKIE}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{age}")).ok()
}

/// What the person chose, and what an app asked for.
pub(super) fn read_cookie(headers: &HeaderMap) -> (Option<Language>, Option<Language>) {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let value = pairs.find_map(|(name, value)| (name == COOKIE).then_some(value)).unwrap_or_default();
    match value.strip_prefix(ASKED) {
        Some(asked) => (None, Language::of_tag(asked)),
        None => (Language::of_tag(value), None),
    }
}

/// The best of `Accept-Language` that we speak (RFC 9110 section 12.5.4).
pub(super) fn preferred(headers: &HeaderMap) -> Option<Language> {
    let text = headers.get(header::ACCEPT_LANGUAGE)?.to_str().ok()?;
    let mut best: Option<(Language, u32)> = None;
    for item in text.split(',').take(MAX_ITEMS) {
        let (tag, quality) = item.split_once(';').unwrap_or((item, "q=1"));
        let quality = thousandths(quality.trim());
        if let Some(language) = Language::of_tag(tag.trim())
            && quality > best.map_or(0, |(_, quality)| quality)
        {
            best = Some((language, quality));
        }
    }
    best.map(|(language, _)| language)
}

/// `q=0.8` as 800; nonsense as not wanted.
fn thousandths(quality: &str) -> u32 {
    let number = quality.strip_prefix("q=").or_else(|| quality.strip_prefix("Q="));
    let number = number.and_then(|number| number.trim().parse::<f32>().ok()).unwrap_or(0.0);
    (number.clamp(0.0, 1.0) * 1000.0) as u32
}

const COOKIE: &str = "macloud-language";
/// In front of a language that an app asked for.
const ASKED: &str = "asked-";
const YEAR: u32 = 365 * 24 * 3600;
/// An authorization request with a long `state`, encoded twice.
const MAX_BACK: usize = 32 * 1024;
/// Browsers send up to ten.
const MAX_ITEMS: usize = 32;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        [(header::HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())].into_iter().collect()
    }

    #[test]
    fn browsers_get_the_best_language_that_we_speak() {
        use Language::{English, German};
        for (text, wanted) in [
            ("de", Some(German)),
            ("de-AT,en;q=0.9", Some(German)),
            ("en;q=0.5, de;q=0.7", Some(German)),
            ("fr-CH, fr;q=0.9, en;q=0.8, de;q=0.7, *;q=0.5", Some(English)),
            ("DE-de ; Q=0.4", Some(German)),
            ("de;q=0", None),
            ("de;q=nonsense", None),
            ("de;q=NaN", None),
            ("fr", None),
            ("*", None),
            ("", None),
            ("deutsch", None),
        ] {
            assert_eq!(preferred(&headers("accept-language", text)), wanted, "{text}");
        }
    }

    #[test]
    fn a_choice_and_an_apps_wish_are_told_apart() {
        use Language::German;
        assert_eq!(read_cookie(&headers("cookie", "a=b; macloud-language=de")), (Some(German), None));
        assert_eq!(read_cookie(&headers("cookie", "macloud-language=asked-de; x=y")), (None, Some(German)));
        assert_eq!(read_cookie(&headers("cookie", "macloud-language=xx")), (None, None));
        assert_eq!(read_cookie(&HeaderMap::new()), (None, None));
    }

    proptest! {
        #[test]
        fn going_back_never_leads_elsewhere(path in "\\PC{1,60}") {
            if stays_here(&path) {
                let url = url::Url::parse("https://cloud.example").unwrap().join(&path).unwrap();
                prop_assert_eq!(url.host_str(), Some("cloud.example"));
            }
        }
    }
}
