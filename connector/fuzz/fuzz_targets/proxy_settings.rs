//! A proxy's address and the list of what is reached without it, as somebody wrote them; and an address that the cloud sends.
#![no_main]

use libfuzzer_sys::fuzz_target;
use macloud_connector::network::proxy::{Proxies, Way};
use url::Url;

fuzz_target!(|input: (&str, &str, &str)| {
    let (proxy, exceptions, place) = input;
    let Ok(place) = Url::parse(place) else { return };
    let environment = |all: &str, none: &str| {
        let (all, none) = (all.to_owned(), none.to_owned());
        Proxies::chosen(None, move |name| match name {
            "ALL_PROXY" => Some(all.clone()),
            "NO_PROXY" => Some(none.clone()),
            _ => None,
        })
        .expect("what the environment names is judged when it is needed")
    };
    let _ = environment(proxy, exceptions).way_to(&place);
    let everything = environment("http://p.example", &format!("{exceptions},*"));
    if place.has_host() {
        assert!(matches!(everything.way_to(&place), Ok(Way::Past(..))), "{place}");
    }
    if let Ok(given) = Proxies::chosen(proxy.parse().ok().as_ref(), |_| None) {
        assert!(!matches!(given.way_to(&place), Ok(Way::Past(..))), "what was given leads everywhere");
    }
});
