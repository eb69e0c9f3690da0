//! A browser without scripts: fetches pages, keeps cookies, fills in forms and follows redirects, as a person on a phone
//! would. What works here works in the web view of the Alexa app with scripts switched off.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, bail};
use url::Url;

/// Redirects followed for one click. Real flows need at most three.
const MAX_REDIRECTS: usize = 8;

/// A browser with its cookies and the page it shows.
pub struct Browser {
    http: reqwest::Client,
    cookies: BTreeMap<String, String>,
}

/// A page that was loaded.
#[derive(Debug)]
pub struct Page {
    /// Where it came from, after redirects.
    pub url: Url,
    /// HTTP status.
    pub status: u16,
    /// Its HTML.
    pub html: String,
}

/// Where a click led.
#[derive(Debug)]
pub enum Landing {
    /// A page of the same site.
    Page(Page),
    /// Another site, which is not loaded: the redirect back to Alexa, say.
    Elsewhere(Url),
}

/// A form as it stands on a page.
#[derive(Debug, Clone)]
pub struct Form {
    action: Url,
    method_is_post: bool,
    /// Field names with their preset values, buttons left out.
    pub fields: Vec<(String, String)>,
    /// The names of all its fields and buttons.
    controls: Vec<String>,
}

impl Browser {
    /// Without cookies.
    #[must_use]
    pub fn new() -> Self {
        Self { http: macloud_service_kit::client::client(Duration::from_secs(20)), cookies: BTreeMap::new() }
    }

    /// Go to `url`.
    ///
    /// # Errors
    /// When it cannot be loaded.
    pub async fn open(&mut self, url: &Url) -> anyhow::Result<Landing> {
        self.travel(url.clone(), None).await
    }

    /// Go to `url`, which must be a page of its own site.
    ///
    /// # Errors
    /// When it cannot be loaded or leads elsewhere.
    pub async fn page(&mut self, url: &Url) -> anyhow::Result<Page> {
        self.open(url).await?.page()
    }

    /// Send `form` with `answers` filled in; an answer for a field that the form lacks is sent too, as a pressed button is.
    ///
    /// # Errors
    /// When the answer cannot be loaded.
    pub async fn submit(&mut self, form: &Form, answers: &[(&str, &str)]) -> anyhow::Result<Landing> {
        let mut fields = form.fields.clone();
        for (name, value) in answers {
            match fields.iter_mut().find(|(field, _)| field == name) {
                Some(field) => field.1 = (*value).to_owned(),
                None => fields.push(((*name).to_owned(), (*value).to_owned())),
            }
        }
        if form.method_is_post {
            self.travel(form.action.clone(), Some(fields)).await
        } else {
            let mut url = form.action.clone();
            url.query_pairs_mut().extend_pairs(fields);
            self.travel(url, None).await
        }
    }

    async fn travel(&mut self, mut url: Url, mut form: Option<Vec<(String, String)>>) -> anyhow::Result<Landing> {
        let home = url.origin();
        for _ in 0..MAX_REDIRECTS {
            let mut request = match &form {
                Some(fields) => self.http.post(url.clone()).form(fields).header("origin", home.ascii_serialization()),
                None => self.http.get(url.clone()),
            };
            let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            if !cookies.is_empty() {
                request = request.header("cookie", cookies.join("; "));
            }
            let response = request.send().await.with_context(|| format!("loading {}", without_query(&url)))?;
            self.keep_cookies(&response);
            if !response.status().is_redirection() {
                let status = response.status().as_u16();
                return Ok(Landing::Page(Page { url, status, html: response.text().await? }));
            }
            let location = response.headers().get("location").context("a redirect without a location")?.to_str()?;
            url = url.join(location)?;
            if url.origin() != home {
                return Ok(Landing::Elsewhere(url));
            }
            form = None;
        }
        bail!("more than {MAX_REDIRECTS} redirects at {}", without_query(&url))
    }

    fn keep_cookies(&mut self, response: &reqwest::Response) {
        for header in response.headers().get_all("set-cookie") {
            let Some((name, value)) = header.to_str().ok().and_then(|text| text.split(';').next()?.split_once('='))
            else {
                continue;
            };
            if value.is_empty() {
                self.cookies.remove(name.trim());
            } else {
                self.cookies.insert(name.trim().to_owned(), value.trim().to_owned());
            }
        }
    }
}

impl Default for Browser {
    fn default() -> Self {
        Self::new()
    }
}

impl Landing {
    /// The page.
    ///
    /// # Errors
    /// When the click led elsewhere.
    pub fn page(self) -> anyhow::Result<Page> {
        match self {
            Self::Page(page) => Ok(page),
            Self::Elsewhere(url) => bail!("left the site for {}", without_query(&url)),
        }
    }
}

impl Page {
    /// The form that has a field or button of this name.
    ///
    /// # Errors
    /// When there is none; names the page's title.
    pub fn form_with(&self, name: &str) -> anyhow::Result<Form> {
        let has_it = |form: &Form| form.controls.iter().any(|control| control == name);
        let found = self.forms()?.into_iter().find(has_it);
        found.with_context(|| format!("the page {:?} (HTTP {}) has no form with {name:?}", self.title(), self.status))
    }

    /// The form that is sent to this path.
    ///
    /// # Errors
    /// When there is none; names the page's title.
    pub fn form_to(&self, path: &str) -> anyhow::Result<Form> {
        let found = self.forms()?.into_iter().find(|form| form.action.path() == path);
        found.with_context(|| format!("the page {:?} (HTTP {}) has no form to {path}", self.title(), self.status))
    }

    fn forms(&self) -> anyhow::Result<Vec<Form>> {
        let mut forms = Vec::new();
        let mut rest = self.html.as_str();
        while let Some(start) = rest.find("<form") {
            let end = rest[start..].find("</form>").map_or(rest.len(), |end| start + end);
            forms.push(self.read_form(&rest[start..end])?);
            rest = &rest[end..];
        }
        Ok(forms)
    }

    fn read_form(&self, form: &str) -> anyhow::Result<Form> {
        let head = tags(form, &["form"]).next().context("a form without its tag")?;
        let action = attribute(head, "action").unwrap_or_default();
        let method_is_post = attribute(head, "method").is_some_and(|method| method.eq_ignore_ascii_case("post"));
        let mut form_read =
            Form { action: self.url.join(&action)?, method_is_post, fields: Vec::new(), controls: Vec::new() };
        for tag in tags(form, &["input", "button", "select", "textarea"]) {
            let Some(name) = attribute(tag, "name") else { continue };
            let kind = attribute(tag, "type").unwrap_or_default();
            let is_button = tag.starts_with("<button") || kind == "submit" || kind == "button";
            let unchecked = (kind == "checkbox" || kind == "radio") && !tag.contains(" checked");
            form_read.controls.push(name.clone());
            if !is_button && !unchecked {
                form_read.fields.push((name, attribute(tag, "value").unwrap_or_default()));
            }
        }
        Ok(form_read)
    }

    /// The page's title, for messages.
    #[must_use]
    pub fn title(&self) -> String {
        let start = self.html.find("<title>").map_or(0, |at| at + 7);
        let end = self.html[start..].find("</title>").map_or(start, |at| start + at);
        unescape(self.html[start..end].trim())
    }
}

fn tags<'a>(html: &'a str, names: &'static [&'static str]) -> impl Iterator<Item = &'a str> {
    html.match_indices('<').filter_map(move |(at, _)| {
        let tag = &html[at..at + html[at..].find('>')? + 1];
        let name = tag[1..].split(|c: char| !c.is_ascii_alphanumeric()).next()?;
        names.contains(&name).then_some(tag)
    })
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let start = tag.find(&format!(" {name}=\""))? + name.len() + 3;
    let end = start + tag[start..].find('"')?;
    Some(unescape(&tag[start..end]))
}

fn unescape(text: &str) -> String {
    let replaced = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#34;", "\""),
        ("&#39;", "'"),
        ("&#x27;", "'"),
        ("&#60;", "<"),
        ("&#62;", ">"),
        ("&#38;", "&"),
    ]
    .iter()
    .fold(text.to_owned(), |text, (entity, character)| text.replace(entity, character));
    replaced.replace("&amp;", "&")
}

/// A URL without its query, which may hold a code.
fn without_query(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_read_as_a_browser_reads_them() {
        let page = Page {
            url: "http://127.0.0.1/here?x=1".parse().unwrap(),
            status: 200,
            html: r#"<title>A &amp; B</title><form action="/other"><input name="q" value="1"></form>
                <form method="post" action="/do?a=1&amp;b=2"><input type="hidden" name="csrf" value="&quot;t&#34;">
                <input type="checkbox" name="no" value="1"><input name="email" type="email">
                <button name="decision" value="allow">Yes</button></form>"#
                .into(),
        };
        assert_eq!(page.title(), "A & B");
        let form = page.form_with("decision").unwrap();
        assert_eq!(form.action.as_str(), "http://127.0.0.1/do?a=1&b=2");
        assert!(form.method_is_post);
        let fields: Vec<_> = form.fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(fields, [("csrf", "\"t\""), ("email", "")]);
        assert!(page.form_with("absent").unwrap_err().to_string().contains("A & B"));
    }
}
