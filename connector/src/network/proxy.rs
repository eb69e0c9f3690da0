//! Which proxy, if any, leads to the cloud: the one that was given, or else what the environment names, read as curl reads it. In
//! two things it is not like curl: what is at home is reached without the environment's proxy, and a port that is left out is the
//! scheme's, as most other programs have it, and not 1080.
//!
//! Only the way to the cloud knows of proxies. Music Assistant, Home Assistant and its Supervisor are at home, and are spoken to
//! directly whatever the environment says.
//!
//! A proxy's address may carry a name and a password. They are told to that proxy alone: nothing here that can be printed,
//! compared or logged tells them.

use std::convert::Infallible;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use url::{Host, Url};
use zeroize::Zeroizing;

/// Given in a proxy's place, it turns off what the environment names.
const NO_PROXY_AT_ALL: &str = "none";

/// Where [`GivenProxy`] comes from, in words. It may have come from the environment or a file in this option's name.
const OPTION: &str = "--proxy";

/// The first that is set counts. Small letters come first, as curl has it.
const FOR_ENCRYPTED: [&str; 4] = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];

/// `HTTP_PROXY` is not among them, as with curl: where a program is started for a web request, the requester sets it, by a header
/// `Proxy` (CVE-2016-5385).
const FOR_PLAIN: [&str; 3] = ["http_proxy", "all_proxy", "ALL_PROXY"];

const EXCEPTIONS: [&str; 2] = ["no_proxy", "NO_PROXY"];

/// How the cloud is reached: directly, or through which proxy. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Proxies(Arc<Rules>);

#[derive(Debug, Default)]
struct Rules {
    /// For `https` and `wss`.
    encrypted: Option<Named>,
    /// For `http` and `ws`.
    plain: Option<Named>,
    /// None where what was given leads everywhere.
    environment: Option<Exceptions>,
}

type Named = Result<Proxy, SettingError>;

/// The way to one address.
#[derive(Debug, Clone, Copy)]
pub enum Way<'p> {
    /// No proxy is set.
    Direct,
    /// This proxy leads there.
    Through(&'p Proxy),
    /// One is set, but this address is reached without it.
    Past(&'p Proxy, Because),
}

/// Why an address is reached without the proxy that is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Because {
    /// It is on this machine, or an address of this network. A proxy that is set for everything is mostly meant for what is not.
    AtHome,
    /// `NO_PROXY` names it.
    Excepted,
}

/// Why what is set cannot be used. What was set is not repeated: a password may be in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// It is no address.
    #[error(
        "what {0} says is not the address of a proxy: write it as http://HOST:PORT, and special characters in a name or password as %40 for @"
    )]
    Address(&'static str),
    /// A proxy that speaks something else.
    #[error(
        "{0} names a proxy of a kind that is not supported: HTTP proxies are, at http:// or https:// addresses, and SOCKS is not; --proxy none connects without one"
    )]
    Kind(&'static str),
}

/// What was given as the proxy: an address, or `none`. It is read later, where an error need not repeat it.
#[derive(Clone)]
pub struct GivenProxy(Zeroizing<String>);

impl Proxies {
    /// By what was given, or else by the environment, whose variables `variable` looks up. Like curl, a variable that is empty is
    /// taken for one that is not set.
    ///
    /// # Errors
    /// [`SettingError`] for what was given. What the environment names wrongly is an error only of who needs it.
    pub fn chosen(given: Option<&GivenProxy>, variable: impl Fn(&str) -> Option<String>) -> Result<Self, SettingError> {
        match given.map(|given| given.0.trim()) {
            None | Some("") => Ok(Self::from_environment(variable)),
            Some(NO_PROXY_AT_ALL) => Ok(Self::default()),
            Some(address) => Proxy::parse(address, OPTION).map(Self::always),
        }
    }

    /// This one, wherever the cloud is: whoever names a proxy for one program has said all.
    fn always(proxy: Proxy) -> Self {
        Self(Arc::new(Rules { encrypted: Some(Ok(proxy.clone())), plain: Some(Ok(proxy)), environment: None }))
    }

    fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Self {
        let first = |names: &[&'static str]| {
            let set = |name: &'static str| Some((name, variable(name).filter(|value| !value.trim().is_empty())?));
            names.iter().copied().find_map(set)
        };
        let named = |names| first(names).map(|(name, value)| Proxy::parse(value.trim(), name));
        let exceptions = first(&EXCEPTIONS).map(|(_, list)| Exceptions::parse(&list)).unwrap_or_default();
        let (encrypted, plain) = (named(&FOR_ENCRYPTED), named(&FOR_PLAIN));
        Self(Arc::new(Rules { encrypted, plain, environment: Some(exceptions) }))
    }

    /// The way to `url`.
    ///
    /// # Errors
    /// [`SettingError`] when a proxy should lead there that cannot be used: to go there directly would not be what was wanted.
    pub fn way_to(&self, url: &Url) -> Result<Way<'_>, SettingError> {
        let rules = &*self.0;
        let named = if is_encrypted(url) { &rules.encrypted } else { &rules.plain };
        let because = rules.environment.as_ref().and_then(|exceptions| exceptions.why_past(url));
        match (named, because) {
            (None, _) | (Some(Err(_)), Some(_)) => Ok(Way::Direct),
            (Some(Ok(proxy)), Some(because)) => Ok(Way::Past(proxy, because)),
            (Some(Ok(proxy)), None) => Ok(Way::Through(proxy)),
            (Some(Err(error)), None) => Err(*error),
        }
    }
}

fn is_encrypted(url: &Url) -> bool {
    !matches!(url.scheme(), "http" | "ws")
}

impl GivenProxy {
    /// How to give it again, in words that may be shown. An address that may carry a password is not repeated.
    pub(crate) fn to_give_again(&self) -> Option<&str> {
        match self.0.trim() {
            "" => None,
            secret if secret.contains('@') => Some("URL"),
            plain => Some(plain),
        }
    }
}

/// A proxy, and how it is spoken to.
#[derive(Clone)]
pub struct Proxy {
    /// Scheme, host and port. Whatever else was in its address is not.
    url: Url,
    /// The value of `Proxy-Authorization`. Secret.
    authorization: Option<Zeroizing<String>>,
    named_by: &'static str,
}

impl Proxy {
    fn parse(address: &str, named_by: &'static str) -> Result<Self, SettingError> {
        let wrong = SettingError::Address(named_by);
        let mut url = match address.contains("://") {
            true => Url::parse(address),
            false => Url::parse(&format!("http://{address}")),
        }
        .map_err(|_| wrong)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(SettingError::Kind(named_by));
        }
        let authorization = basic(&url);
        url.set_username("").and_then(|()| url.set_password(None)).map_err(|()| wrong)?;
        url.set_path("");
        url.set_query(None);
        url.set_fragment(None);
        Ok(Self { url, authorization, named_by })
    }

    /// Where it is, without name and password.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.url
    }

    /// The option or variable that names it.
    #[must_use]
    pub const fn named_by(&self) -> &'static str {
        self.named_by
    }

    /// The value of `Proxy-Authorization`, where there is a name or password.
    pub(super) fn authorization(&self) -> Option<&str> {
        self.authorization.as_ref().map(|value| value.as_str())
    }
}

/// As HTTP takes a name and a password (RFC 7617).
fn basic(url: &Url) -> Option<Zeroizing<String>> {
    let (name, password) = (url.username(), url.password());
    if name.is_empty() && password.is_none() {
        return None;
    }
    let mut pair = Zeroizing::new(Vec::new());
    pair.extend(percent_decode_str(name));
    pair.push(b':');
    pair.extend(percent_decode_str(password.unwrap_or_default()));
    Some(Zeroizing::new(format!("Basic {}", STANDARD.encode(&*pair))))
}

/// Its host and port, and who names it.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.url.host_str().unwrap_or_default();
        let port = self.url.port_or_known_default().unwrap_or_default();
        write!(f, "{host}:{port} (named by {})", self.named_by)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for GivenProxy {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(Zeroizing::new(text.to_owned())))
    }
}

impl fmt::Debug for GivenProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GivenProxy(..)")
    }
}

/// What is reached without the proxies of the environment.
#[derive(Debug, Default)]
struct Exceptions(Vec<Exception>);

#[derive(Debug, PartialEq, Eq)]
struct Exception {
    place: Place,
    port: Option<u16>,
}

#[derive(Debug, PartialEq, Eq)]
enum Place {
    Everywhere,
    /// This name, and all that end in it.
    Domain(String),
    /// The addresses that have these first bits. Names are not resolved for it: the proxy does that.
    Network(IpAddr, u8),
}

impl Exceptions {
    /// Names, addresses and networks, by commas or spaces. What is none of these names nothing.
    fn parse(list: &str) -> Self {
        let entries = list.split([',', ' ', '\t', '\n']).filter(|entry| !entry.is_empty());
        Self(entries.filter_map(Exception::parse).collect())
    }

    fn why_past(&self, url: &Url) -> Option<Because> {
        if is_at_home(url) {
            return Some(Because::AtHome);
        }
        self.0.iter().any(|exception| exception.covers(url)).then_some(Because::Excepted)
    }
}

impl Exception {
    fn parse(entry: &str) -> Option<Self> {
        let (place, port) = match entry.rsplit_once(':') {
            // An address of IPv6 has colons of its own.
            Some((place, port)) if entry.parse::<IpAddr>().is_err() => match port.parse() {
                Ok(port) => (place, Some(port)),
                Err(_) => (entry, None),
            },
            _ => (entry, None),
        };
        Some(Self { place: Place::parse(place)?, port })
    }

    fn covers(&self, url: &Url) -> bool {
        let port_fits = self.port.is_none_or(|port| url.port_or_known_default() == Some(port));
        port_fits && url.host().is_some_and(|host| self.place.covers(host))
    }
}

impl Place {
    fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Everywhere);
        }
        let text = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        if let Some((network, bits)) = text.split_once('/') {
            let (network, bits) = (network.parse().ok()?, bits.parse().ok()?);
            return (bits <= width(network)).then_some(Self::Network(network, bits));
        }
        if let Ok(address) = text.parse() {
            return Some(Self::Network(address, width(address)));
        }
        let name = text.strip_prefix('*').unwrap_or(text);
        match Host::parse(name.strip_prefix('.').unwrap_or(name)).ok()? {
            Host::Domain(name) => Some(Self::Domain(without_root(&name).to_owned())),
            Host::Ipv4(_) | Host::Ipv6(_) => None,
        }
    }

    fn covers(&self, host: Host<&str>) -> bool {
        match (self, host) {
            (Self::Everywhere, _) => true,
            (Self::Domain(domain), Host::Domain(name)) => is_within(name, domain),
            (Self::Network(network, bits), Host::Ipv4(address)) => is_in(address.into(), *network, *bits),
            (Self::Network(network, bits), Host::Ipv6(address)) => is_in(address.into(), *network, *bits),
            _ => false,
        }
    }
}

/// Bits of an address.
const fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn is_in(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    let differ = match (address.to_canonical(), network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => u128::from(address.to_bits() ^ network.to_bits()),
        (IpAddr::V6(address), IpAddr::V6(network)) => address.to_bits() ^ network.to_bits(),
        _ => return false,
    };
    // All of an address is shifted out where no bit counts.
    differ.checked_shr(u32::from(width(network) - bits)).unwrap_or(0) == 0
}

/// Whether `name` is `domain` or ends in it, by whole labels.
fn is_within(name: &str, domain: &str) -> bool {
    let rest = without_root(name).strip_suffix(domain);
    rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// A name may end in a dot, which is the same name.
fn without_root(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

/// Names that homes use among themselves (RFC 6761, 6762, 8375).
const HOME_DOMAINS: [&str; 3] = ["localhost", "local", "home.arpa"];

/// Whether `url` is of this machine or this network, as far as that can be told without asking.
fn is_at_home(url: &Url) -> bool {
    let address = match url.host() {
        Some(Host::Domain(name)) => return HOME_DOMAINS.iter().any(|domain| is_within(name, domain)),
        Some(Host::Ipv4(address)) => IpAddr::V4(address),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).to_canonical(),
        None => return false,
    };
    match address {
        IpAddr::V4(address) => address.is_loopback() || address.is_private() || address.is_link_local(),
        IpAddr::V6(address) => address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn environment(variables: &[(&str, &str)]) -> Proxies {
        let find = |name: &str| variables.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned());
        Proxies::chosen(None, find).unwrap()
    }

    fn given(text: &str) -> Result<Proxies, SettingError> {
        let everywhere = |name: &str| (name == "ALL_PROXY").then(|| "http://of-environment:1".to_owned());
        Proxies::chosen(Some(&text.parse().unwrap()), everywhere)
    }

    /// The proxy that leads to `place`, and who names it.
    fn leads(proxies: &Proxies, place: &str) -> Option<String> {
        match proxies.way_to(&url(place)).unwrap() {
            Way::Through(proxy) => Some(proxy.to_string()),
            Way::Direct | Way::Past(..) => None,
        }
    }

    #[test]
    fn each_variable_counts_for_what_curl_takes_it_for() {
        for (variable, for_encrypted, for_plain) in [
            ("https_proxy", true, false),
            ("HTTPS_PROXY", true, false),
            ("http_proxy", false, true),
            ("HTTP_PROXY", false, false),
            ("all_proxy", true, true),
            ("ALL_PROXY", true, true),
        ] {
            let proxies = environment(&[(variable, "http://p.example:3128")]);
            let expected = format!("p.example:3128 (named by {variable})");
            for (place, counts) in [
                ("https://cloud.example/", for_encrypted),
                ("wss://cloud.example/", for_encrypted),
                ("http://cloud.example/", for_plain),
                ("ws://cloud.example/", for_plain),
            ] {
                assert_eq!(leads(&proxies, place), counts.then(|| expected.clone()), "{variable} for {place}");
            }
        }
    }

    #[test]
    fn the_particular_variable_comes_before_the_general_and_an_empty_one_is_none() {
        let set = [("ALL_PROXY", "all.example"), ("HTTPS_PROXY", "large.example"), ("https_proxy", "")];
        assert_eq!(leads(&environment(&set), "wss://c.example").unwrap(), "large.example:80 (named by HTTPS_PROXY)");
        assert_eq!(leads(&environment(&set[..1]), "wss://c.example").unwrap(), "all.example:80 (named by ALL_PROXY)");
        assert_eq!(leads(&environment(&[]), "wss://c.example"), None);
    }

    #[test]
    fn what_is_given_counts_everywhere_and_none_is_none() {
        let proxies = given("https://p.example").unwrap();
        for place in ["https://cloud.example", "http://127.0.0.1:80", "wss://192.168.1.2"] {
            assert_eq!(leads(&proxies, place).unwrap(), "p.example:443 (named by --proxy)", "{place}");
        }
        assert_eq!(leads(&given("none").unwrap(), "https://cloud.example"), None);
        assert_eq!(leads(&given("").unwrap(), "https://c.example").unwrap(), "of-environment:1 (named by ALL_PROXY)");
    }

    #[test]
    fn what_is_at_home_is_reached_directly_whatever_the_environment_says() {
        let proxies = environment(&[("ALL_PROXY", "http://p.example:3128")]);
        for place in [
            "ws://localhost:8095/ws",
            "https://127.0.0.2",
            "https://[::1]",
            "https://10.1.2.3",
            "https://192.168.1.2",
            "https://169.254.1.1",
            "https://[fd00::1]",
            "https://[fe80::1]",
            "https://[::ffff:192.168.1.2]",
            "https://cloud.local",
            "https://cloud.home.arpa",
        ] {
            let way = proxies.way_to(&url(place)).unwrap();
            assert!(matches!(way, Way::Past(_, Because::AtHome)), "{place}: {way:?}");
        }
        assert!(leads(&proxies, "https://local.example").is_some());
        assert!(leads(&proxies, "https://172.15.0.1").is_some());
    }

    #[test]
    fn exceptions_are_names_suffixes_addresses_and_networks() {
        for (exceptions, place, excepted) in [
            ("*", "https://cloud.example", true),
            ("cloud.example", "https://cloud.example", true),
            ("CLOUD.example.", "https://cloud.example", true),
            ("cloud.example", "https://relay.cloud.example", true),
            ("example", "https://notanexample", false),
            ("cloud.example", "https://mycloud.example", false),
            (".cloud.example", "https://cloud.example", true),
            ("*.cloud.example", "https://a.cloud.example", true),
            ("other, cloud.example", "wss://cloud.example", true),
            ("other cloud.example", "wss://cloud.example", true),
            ("cloud.example:443", "wss://cloud.example", true),
            ("cloud.example:8443", "wss://cloud.example", false),
            ("cloud.example:8443", "wss://cloud.example:8443", true),
            ("bücher.example", "https://xn--bcher-kva.example", true),
            ("203.0.113.7", "https://203.0.113.7", true),
            ("203.0.113.7", "https://203.0.113.8", false),
            ("203.0.113.7:443", "https://203.0.113.7", true),
            ("203.0.112.0/23", "https://203.0.113.8", true),
            ("203.0.112.0/24", "https://203.0.113.8", false),
            ("0.0.0.0/0", "https://203.0.113.8", true),
            ("0.0.0.0/0", "https://cloud.example", false),
            ("203.0.113.0/33", "https://203.0.113.8", false),
            ("2001:db8::1", "https://[2001:db8::1]", true),
            ("[2001:db8::1]", "https://[2001:db8::1]", true),
            ("[2001:db8::1]:443", "https://[2001:db8::1]", true),
            ("[2001:db8::1]:80", "https://[2001:db8::1]", false),
            ("2001:db8::/32", "https://[2001:db8:1::1]", true),
            ("2001:db8::/48", "https://[2001:db8:1::1]", false),
            ("::/0", "https://[2001:db8:1::1]", true),
            ("203.0.113.0/24", "https://[::ffff:203.0.113.8]", true),
            ("", "https://cloud.example", false),
            (",;/,:,[", "https://cloud.example", false),
        ] {
            let proxies = environment(&[("HTTPS_PROXY", "http://p.example:3128"), ("NO_PROXY", exceptions)]);
            let way = proxies.way_to(&url(place)).unwrap();
            let past = matches!(way, Way::Past(_, Because::Excepted));
            assert_eq!(past, excepted, "{exceptions:?} for {place}: {way:?}");
        }
    }

    #[test]
    fn name_and_password_are_for_the_proxy_alone() {
        let proxies = given("http://ada%40work:p%3Ass%2Fw%20rd@proxy.example:3128/path?x#y").unwrap();
        let Ok(Way::Through(proxy)) = proxies.way_to(&url("https://cloud.example")) else { panic!() };
        let told = STANDARD.decode(proxy.authorization().unwrap().strip_prefix("Basic ").unwrap()).unwrap();
        assert_eq!(told, b"ada@work:p:ss/w rd");
        assert_eq!(proxy.url().as_str(), "http://proxy.example:3128/");
        let given: GivenProxy = "http://ada:secret@p".parse().unwrap();
        let all = format!("{proxies:?} {proxy} {proxy:?} {given:?}");
        for secret in ["ada", "ss", "secret", &STANDARD.encode(told)] {
            assert!(!all.replace("password", "").contains(secret), "{secret} in {all}");
        }
        let nameless = self::given("p:1").unwrap();
        let Ok(Way::Through(nameless)) = nameless.way_to(&url("https://cloud.example")) else { panic!() };
        assert_eq!(nameless.authorization(), None);
    }

    #[test]
    fn what_cannot_be_used_is_said_without_repeating_it() {
        for (text, supported) in
            [("socks5h://ada:secret@p:1080", true), ("http://ada:secret@", false), ("http://a b", false)]
        {
            let error = given(text).unwrap_err();
            let told = error.to_string();
            assert_eq!(told.contains("SOCKS"), supported, "{told}");
            assert!(told.contains("--proxy") && !told.contains("secret") && !told.contains("ada"), "{told}");
        }
        // Who does not need it is not kept from anything.
        let set = environment(&[("ALL_PROXY", "socks5://p:1080"), ("NO_PROXY", "cloud.example")]);
        assert_eq!(set.way_to(&url("https://other.example")).unwrap_err(), SettingError::Kind("ALL_PROXY"));
        assert!(set.way_to(&url("https://cloud.example")).is_ok());
    }

    proptest! {
        /// Whatever is written in an address: what may be secret in it is in nothing that is told.
        #[test]
        fn no_address_tells_its_password(
            before in "(https?|socks5)?(://)?[a-z:/@%]{0,6}",
            after in "@?[a-z0-9.:\\[\\]/?#% ]{0,12}",
        ) {
            const PASSWORD: &str = "Geh31m";
            let proxies = given(&format!("{before}:{PASSWORD}{after}"));
            let told = match &proxies {
                Ok(proxies) => format!("{proxies:?} {:?}", proxies.way_to(&url("https://cloud.example"))),
                Err(error) => format!("{error} {error:?}"),
            };
            let of_password = STANDARD.encode(format!(":{PASSWORD}"));
            // In the place of the host it is no password, and a host is told in small letters.
            prop_assert!(!told.contains(PASSWORD) && !told.contains(of_password.trim_end_matches('=')), "{told}");
        }

        /// Networks, bit by bit.
        #[test]
        fn a_network_is_what_shares_its_first_bits(address: u32, flipped in 0_u8..32, bits in 0_u8..=32) {
            let network = std::net::Ipv4Addr::from_bits(address);
            let other = std::net::Ipv4Addr::from_bits(address ^ (1 << (31 - flipped)));
            prop_assert_eq!(is_in(other.into(), network.into(), bits), bits <= flipped);
        }

        /// Whatever else is in the list, an exception counts, and what is at home is at home.
        #[test]
        fn what_is_not_understood_in_a_list_changes_nothing(strange in "[a-z0-9.:*/\\[\\]\\PC]{0,12}") {
            let set = |list: String| environment(&[("ALL_PROXY", "http://p.example")]
                .into_iter()
                .chain([("NO_PROXY", list.as_str())])
                .collect::<Vec<_>>());
            let listed = set(format!("{strange},cloud.example"));
            let past = |place: &str| matches!(listed.way_to(&url(place)), Ok(Way::Past(..)));
            prop_assert!(past("https://relay.cloud.example") && past("https://127.0.0.1"));
        }
    }
}
