//! Where a request comes from, and whether it is listened to.
//!
//! The page has no password: whoever may open it is who the machine, or Home Assistant, lets come. What must be kept out is any other
//! web page in the same browser. One that gives its own name this machine's address (DNS rebinding) is known by the name; one that
//! sends a form here is known by its origin, and lacks the token that is in every form of this page.

use std::net::IpAddr;

use http::header::{HOST, ORIGIN};
use http::{HeaderMap, Method};

use super::PageSettings;
use super::words::Language;

/// Who asks, as far as it matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Their language.
    pub language: Language,
    /// Whether the page is shown inside Home Assistant.
    pub framed: bool,
}

/// Why a request is not listened to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It comes from another machine than Home Assistant's ingress.
    ForeignPeer,
    /// It asks for this page under a name that it does not have.
    UnknownHost,
    /// Another page sent it.
    OtherOrigin,
}

impl Caller {
    /// Judge a request by its peer, its method and its headers.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn judge(settings: &PageSettings, peer: IpAddr, method: &Method, headers: &HeaderMap) -> Result<Self, Refused> {
        let changes = *method != Method::GET && *method != Method::HEAD;
        // Browsers say it where the address is encrypted or this machine's, and no page can make them say otherwise.
        if changes && text(headers, "sec-fetch-site").is_some_and(|site| site != "same-origin") {
            return Err(Refused::OtherOrigin);
        }
        let language = Language::of(headers);
        if let Some(ingress) = settings.ingress {
            if peer.to_canonical() != ingress.to_canonical() {
                return Err(Refused::ForeignPeer);
            }
            // Under which name the browser knows Home Assistant is not known here; who is signed in there is.
            return Ok(Self { language, framed: true });
        }
        let host = text(headers, HOST.as_str()).filter(|host| is_known_host(host, &settings.hosts));
        let host = host.ok_or(Refused::UnknownHost)?;
        if changes && headers.contains_key(ORIGIN) {
            let origin = text(headers, ORIGIN.as_str()).and_then(|origin| origin.split_once("://"));
            let is_own = origin.is_some_and(|(scheme, authority)| {
                ["http", "https"].contains(&scheme) && authority.eq_ignore_ascii_case(host)
            });
            if !is_own {
                return Err(Refused::OtherOrigin);
            }
        }
        Ok(Self { language, framed: false })
    }
}

/// The one value of a header. Several are none.
fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

/// Whether the page has this name: every machine's own for itself, or one of `hosts`.
#[must_use]
pub fn is_known_host(host: &str, hosts: &[String]) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let own = ["localhost", "127.0.0.1", "[::1]"];
    own.into_iter().chain(hosts.iter().map(String::as_str)).any(|known| known.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn settings(ingress: Option<IpAddr>) -> PageSettings {
        PageSettings { address: (HERE, 8098).into(), hosts: vec!["music.example".into()], ingress, cloud: None }
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let header = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        };
        HeaderMap::from_iter(pairs.iter().map(header))
    }

    #[test]
    fn the_page_is_opened_under_its_own_names_only() {
        for (host, known) in [
            ("localhost:8098", true),
            ("LOCALHOST", true),
            ("127.0.0.1:8098", true),
            ("[::1]:8098", true),
            ("music.example", true),
            ("music.example:443", true),
            ("evil.example", false),
            ("localhost.evil.example:8098", false),
            ("127.0.0.1.evil.example", false),
            ("localhost:", false),
            ("localhost:80:80", false),
            ("", false),
            ("192.168.1.5:8098", false),
        ] {
            let judged = Caller::judge(&settings(None), HERE, &Method::GET, &headers(&[("host", host)]));
            assert_eq!(judged.is_ok(), known, "{host:?}");
        }
        let none = Caller::judge(&settings(None), HERE, &Method::GET, &HeaderMap::new());
        assert_eq!(none, Err(Refused::UnknownHost));
        let mut two = headers(&[("host", "localhost")]);
        two.append(HOST, HeaderValue::from_static("evil.example"));
        assert_eq!(Caller::judge(&settings(None), HERE, &Method::GET, &two), Err(Refused::UnknownHost));
    }

    #[test]
    fn forms_of_other_pages_are_refused() {
        let post = |more: &[(&'static str, &str)]| {
            let all = [&[("host", "localhost:8098")][..], more].concat();
            Caller::judge(&settings(None), HERE, &Method::POST, &headers(&all)).map(|_| ())
        };
        for own in [
            &[("origin", "http://localhost:8098")][..],
            &[],
            &[("sec-fetch-site", "same-origin"), ("origin", "http://localhost:8098")],
        ] {
            assert_eq!(post(own), Ok(()), "{own:?}");
        }
        for foreign in [
            &[("origin", "http://evil.example")][..],
            &[("origin", "http://localhost:9000")],
            &[("origin", "http://localhost:8098.evil.example")],
            &[("origin", "null")],
            &[("origin", "localhost:8098")],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site"), ("origin", "http://localhost:8098")],
            &[("sec-fetch-site", "none")],
        ] {
            assert_eq!(post(foreign), Err(Refused::OtherOrigin), "{foreign:?}");
        }
    }

    #[test]
    fn behind_ingress_only_its_peer_is_heard() {
        let ingress: IpAddr = "172.30.32.2".parse().unwrap();
        let asked = headers(&[("host", "homeassistant.local:8123")]);
        let judge = |peer| Caller::judge(&settings(Some(ingress)), peer, &Method::GET, &asked);
        assert!(judge(ingress).is_ok_and(|caller| caller.framed));
        assert!(judge("::ffff:172.30.32.2".parse().unwrap()).is_ok());
        for foreign in [HERE, "172.30.32.3".parse().unwrap(), "::1".parse().unwrap()] {
            assert_eq!(judge(foreign), Err(Refused::ForeignPeer), "{foreign}");
        }
    }

    proptest! {
        #[test]
        fn any_header_is_judged_without_panic(host in "\\PC{0,40}", origin in "\\PC{0,40}", liked in "\\PC{0,40}") {
            let _ = is_known_host(&host, &[]);
            let mut headers = HeaderMap::new();
            for (name, value) in [("host", &host), ("origin", &origin), ("accept-language", &liked)] {
                if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
                    headers.insert(name, value);
                }
            }
            let _ = Caller::judge(&settings(None), HERE, &Method::POST, &headers);
        }
    }
}
