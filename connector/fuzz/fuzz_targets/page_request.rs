//! A request to the connector's page from somebody who is no browser of its owner: headers and a form.
#![no_main]

use http::{HeaderMap, HeaderValue, Method};
use libfuzzer_sys::fuzz_target;
use macloud_connector::page::PageSettings;
use macloud_connector::page::form::Form;
use macloud_connector::page::request::{Caller, is_known_host};

fuzz_target!(|input: (&[u8], &[u8], &[u8], bool)| {
    let (host, origin, body, is_ingress) = input;
    let here = [127, 0, 0, 1].into();
    let settings = PageSettings {
        address: (here, 8098).into(),
        hosts: vec!["music.example".into()],
        ingress: is_ingress.then_some(here),
        cloud: None,
    };
    let mut headers = HeaderMap::new();
    for (name, value) in [("host", host), ("origin", origin), ("accept-language", origin)] {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(name, value);
        }
    }
    if Caller::judge(&settings, here, &Method::POST, &headers).is_ok() {
        assert!(is_ingress || std::str::from_utf8(host).is_ok_and(|host| is_known_host(host, &settings.hosts)));
    }
    if let Ok(form) = Form::parse(body) {
        for name in ["form_token", "id", "alias", "password"] {
            assert!(form.value(name).is_none_or(|value| !value.is_empty() && !value.chars().any(char::is_control)));
        }
    }
});
