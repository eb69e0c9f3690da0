//! A browser: cookies, forms and redirects, as much of them as signing in and allowing an app takes.

use anyhow::Context as _;
use http::StatusCode;
use http::header::{self, HeaderName};

use super::http::{Answer, Connection, encode};

/// Who sits at a browser.
#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) email: String,
    pub(crate) password: String,
}

/// A browser on one site.
pub(crate) struct Browser {
    connection: Connection,
    /// `http://127.0.0.1:1234`, as the site calls itself.
    origin: String,
    cookies: Vec<Cookie>,
}

#[derive(Clone)]
struct Cookie {
    name: String,
    value: String,
    path: String,
}

impl Browser {
    pub(crate) fn new(connection: Connection, origin: &str) -> Self {
        Self { connection, origin: origin.to_owned(), cookies: Vec::new() }
    }

    /// Another browser of the same person: signed in too, on a connection of its own.
    pub(crate) fn twin(&self, connection: Connection) -> Self {
        Self { connection, origin: self.origin.clone(), cookies: self.cookies.clone() }
    }

    pub(crate) async fn connect(&mut self) -> anyhow::Result<()> {
        self.connection.open().await.map(drop)
    }

    pub(crate) async fn get(&mut self, path: &str) -> anyhow::Result<Answer> {
        let cookies = self.cookies_for(path);
        let answer = self.connection.get(path, &headers(&cookies)).await?;
        self.keep_cookies(&answer);
        Ok(answer)
    }

    pub(crate) async fn submit(&mut self, form: &Form, person: &Person) -> anyhow::Result<Answer> {
        let action = self.here(&form.action).context("the form leads elsewhere")?;
        let cookies = self.cookies_for(&action);
        let answer = self.connection.post(&action, &headers(&cookies), form.filled_in_by(person)).await?;
        self.keep_cookies(&answer);
        Ok(answer)
    }

    /// Open `path`, fill in every form that comes, and follow every redirect, until the site sends the browser elsewhere:
    /// where to.
    pub(crate) async fn walk(&mut self, path: &str, person: &Person) -> anyhow::Result<String> {
        let mut answer = self.get(path).await?;
        for _ in 0..MAX_STEPS {
            answer = match answer.header(header::LOCATION) {
                Some(location) => match self.here(location) {
                    Some(path) => self.get(&path).await?,
                    None => return Ok(location.to_owned()),
                },
                None => {
                    let form = Form::find(answer.text(StatusCode::OK)?).context("a page without a form")?;
                    self.submit(&form, person).await?
                }
            };
        }
        anyhow::bail!("lost after {MAX_STEPS} pages")
    }

    /// The path of a location on this site; none of another's.
    fn here(&self, location: &str) -> Option<String> {
        let path = location.strip_prefix(&self.origin).unwrap_or(location);
        path.starts_with('/').then(|| path.to_owned())
    }

    fn cookies_for(&self, path: &str) -> String {
        let path = path.split('?').next().unwrap_or_default();
        let mine = self.cookies.iter().filter(|cookie| path.starts_with(&cookie.path));
        mine.map(|cookie| format!("{}={}", cookie.name, cookie.value)).collect::<Vec<_>>().join("; ")
    }

    fn keep_cookies(&mut self, answer: &Answer) {
        for text in answer.headers.get_all(header::SET_COOKIE).iter().filter_map(|value| value.to_str().ok()) {
            let Some(cookie) = Cookie::parse(text) else { continue };
            self.cookies.retain(|old| (&old.name, &old.path) != (&cookie.name, &cookie.path));
            if !cookie.value.is_empty() {
                self.cookies.push(cookie);
            }
        }
    }
}

fn headers(cookies: &str) -> Vec<(HeaderName, &str)> {
    if cookies.is_empty() { Vec::new() } else { vec![(header::COOKIE, cookies)] }
}

impl Cookie {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let (name, value) = parts.next()?.split_once('=')?;
        let path = parts.find_map(|part| {
            let (attribute, value) = part.split_once('=')?;
            attribute.eq_ignore_ascii_case("path").then_some(value)
        });
        Some(Self { name: name.into(), value: value.into(), path: path.unwrap_or("/").into() })
    }
}

/// A form of a page.
#[derive(Debug, PartialEq)]
pub(crate) struct Form {
    action: String,
    fields: Vec<(String, String)>,
    /// Whether it asks for a password, or for a decision.
    asks: bool,
}

impl Form {
    /// The form that a page is about: the one that asks for a password or a decision, else its first.
    pub(crate) fn find(page: &str) -> Option<Self> {
        let forms = page.split("<form").skip(1).map(|rest| Self::parse(rest.split("</form>").next().unwrap_or(rest)));
        let mut forms: Vec<Self> = forms.collect();
        let about = forms.iter().position(|form| form.asks).unwrap_or(0);
        (about < forms.len()).then(|| forms.swap_remove(about))
    }

    fn parse(text: &str) -> Self {
        let mut form = Self { action: attribute(text, "action").unwrap_or_default(), fields: Vec::new(), asks: false };
        for tag in text.split('<').skip(1) {
            let tag = tag.split('>').next().unwrap_or(tag);
            let Some(name) = attribute(tag, "name") else { continue };
            let value = attribute(tag, "value").unwrap_or_default();
            form.asks |= name == "password" || name == "decision";
            if tag.starts_with("input") || tag.starts_with("button") && value == "allow" {
                form.fields.push((name, value));
            }
        }
        form
    }

    fn filled_in_by(&self, person: &Person) -> String {
        let value = |(name, value): &(String, String)| match name.as_str() {
            "email" => person.email.clone(),
            "password" => person.password.clone(),
            _ => value.clone(),
        };
        let fields: Vec<(&str, String)> = self.fields.iter().map(|field| (field.0.as_str(), value(field))).collect();
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        encode(&fields)
    }
}

/// The value of an attribute of the tag at the beginning of `tag`.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let tag = tag.split('>').next().unwrap_or(tag);
    let (_, after) = tag.split_once(&format!(" {name}=\""))?;
    let (value, _) = after.split_once('"')?;
    Some(unescape(value))
}

fn unescape(text: &str) -> String {
    let escapes = [("&#34;", "\""), ("&#39;", "'"), ("&#60;", "<"), ("&#62;", ">"), ("&lt;", "<"), ("&gt;", ">")];
    let plain = escapes.iter().fold(text.to_owned(), |text, (escaped, plain)| text.replace(escaped, plain));
    plain.replace("&#38;", "&").replace("&amp;", "&")
}

/// Signing in, consent, and the redirects of the slower of the servers.
const MAX_STEPS: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_that_a_page_is_about_is_found_and_filled_in() {
        let page = r#"<form method="post" action="/language"><button name="to" value="de">Deutsch</button></form>
            <form method="post" action="/sign-in"><input type="hidden" name="next" value="/a?b=1&#38;c=2">
            <input name="email" type="email" value=""><input id="p" name="password"><button>Go</button></form>"#;
        let form = Form::find(page).unwrap();
        let ada = Person { email: "ada@example.org".into(), password: "p w".into() };
        assert_eq!(form.action, "/sign-in");
        assert_eq!(form.filled_in_by(&ada), "next=%2Fa%3Fb%3D1%26c%3D2&email=ada%40example.org&password=p+w");
        let consent = r#"<form action="/c"><button name="decision" value="allow"></button><button name="decision" value="deny"></form>"#;
        assert_eq!(Form::find(consent).unwrap().filled_in_by(&ada), "decision=allow");
        assert_eq!(Form::find("<p>nothing</p>"), None);
    }

    #[test]
    fn cookies_go_where_they_belong() {
        let mut browser = Browser::new(Connection::to(([127, 0, 0, 1], 9).into()), "http://127.0.0.1:9");
        for text in ["a=1; Path=/; HttpOnly", "b=2; path=/x", "c=3"] {
            browser.cookies.push(Cookie::parse(text).unwrap());
        }
        assert_eq!(browser.cookies_for("/x/y?z"), "a=1; b=2; c=3");
        assert_eq!(browser.cookies_for("/y"), "a=1; c=3");
        assert_eq!(browser.here("http://127.0.0.1:9/a"), Some("/a".into()));
        assert_eq!(browser.here("https://elsewhere.example/a"), None);
    }
}
