//! The way to a server, step by step: its name, a connection, and the encryption on it. The first step that fails is where the
//! trouble is.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use url::{Host, Url};

use super::{Check, certificate};
use crate::network::{Dialer, Stream};

/// For a name to be resolved, and for each connection.
const STEP_LIMIT: Duration = Duration::from_secs(4);

/// Of a name with more addresses, these are tried.
const MOST_ADDRESSES: usize = 8;

/// What programs look at to find a proxy. This one does not.
const PROXY_VARIABLES: [&str; 6] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HTTP_PROXY", "http_proxy"];

/// A way that was gone.
pub(super) struct Way {
    /// What was seen, up to the first step that failed.
    pub(super) checks: Vec<Check>,
    /// How long a connection takes, which is one time there and back. None if there is none.
    pub(super) round_trip: Option<Duration>,
}

/// Go the way to `url`. With `full`, names and addresses are told.
pub(super) async fn go(url: &Url, dialer: &Dialer, now: u64, full: bool) -> Way {
    let mut way = Way { checks: Vec::new(), round_trip: None };
    way.round_trip = match names(url, full, &mut way.checks).await {
        Some(addresses) => connect(url, dialer, &addresses, now, full, &mut way.checks).await,
        None => None,
    };
    way
}

/// The proxy that is set for programs here, if one is.
pub(super) fn proxy_check() -> Option<Check> {
    let set = proxy_variable()?;
    Some(Check::good("proxy", format!("{set} is set. It is not used: connections are opened directly.")))
}

fn proxy_variable() -> Option<&'static str> {
    PROXY_VARIABLES.into_iter().find(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}

async fn names(url: &Url, full: bool, checks: &mut Vec<Check>) -> Option<Vec<SocketAddr>> {
    const NAME: &str = "DNS";
    let port = url.port_or_known_default()?;
    let name = match url.host()? {
        Host::Ipv4(address) => return Some(vec![(address, port).into()]),
        Host::Ipv6(address) => return Some(vec![(address, port).into()]),
        Host::Domain(name) => name,
    };
    const ASK_ANOTHER: &str = "Check this machine's internet connection and its DNS server (resolvectl status, or /etc/resolv.conf), and that the name is written rightly.";
    let begun = Instant::now();
    let addresses: Vec<SocketAddr> = match timeout(STEP_LIMIT, tokio::net::lookup_host((name, port))).await {
        Ok(Ok(addresses)) => addresses.take(MOST_ADDRESSES).collect(),
        Ok(Err(_)) => {
            checks.push(Check::bad(NAME, "The name cannot be resolved.", ASK_ANOTHER));
            return None;
        }
        Err(_) => {
            checks.push(Check::bad(NAME, "No DNS server answers.", ASK_ANOTHER));
            return None;
        }
    };
    let took = begun.elapsed().as_millis();
    if addresses.iter().any(|address| address.ip().is_unspecified()) {
        let fix = "A filter in this network, such as an advertisement blocker, gives no address for this name: allow the name there.";
        checks.push(Check::bad(NAME, "The name leads nowhere.", fix));
        return None;
    }
    if addresses.is_empty() {
        checks.push(Check::bad(NAME, "The name has no address.", ASK_ANOTHER));
        return None;
    }
    let of_v4 = addresses.iter().filter(|address| address.is_ipv4()).count();
    let of_v6 = addresses.len() - of_v4;
    let mut detail = format!("Addresses of IPv4: {of_v4}, of IPv6: {of_v6}; in {took} ms.");
    if full {
        let all: Vec<String> = addresses.iter().map(|address| address.ip().to_string()).collect();
        detail.push_str(&format!(" {name}: {}", all.join(", ")));
    }
    checks.push(Check::good(NAME, detail));
    Some(addresses)
}

async fn connect(
    url: &Url,
    dialer: &Dialer,
    addresses: &[SocketAddr],
    now: u64,
    full: bool,
    checks: &mut Vec<Check>,
) -> Option<Duration> {
    const NAME: &str = "TCP";
    let attempts = addresses.iter().copied().map(|address| async move {
        let begun = Instant::now();
        let connected = timeout(STEP_LIMIT, TcpStream::connect(address)).await.ok().and_then(Result::ok);
        connected.map(|stream| (stream, address.is_ipv4(), begun.elapsed()))
    });
    let mut connected: Vec<_> = join_all(attempts).await.into_iter().flatten().collect();
    let count = connected.len();
    let quickest = (0..count).min_by_key(|at| connected[*at].2);
    let Some(quickest) = quickest else {
        let mut fix = "Check this machine's internet connection, that a firewall lets it out to this port, and that the server runs.".to_owned();
        if let Some(set) = proxy_variable() {
            fix.push_str(&format!(
                " {set} is set: this network may want a proxy, which ma-connector does not use. Let it out directly."
            ));
        }
        let port = url.port_or_known_default().unwrap_or_default();
        checks.push(Check::bad(NAME, format!("Nobody answers at port {port}."), fix));
        return None;
    };
    let (over_v4, over_v6) = (connected.iter().any(|one| one.1), connected.iter().any(|one| !one.1));
    let (stream, _, round_trip) = connected.swap_remove(quickest);
    let mut detail = format!("Connected in {} ms.", round_trip.as_millis());
    match (over_v4, over_v6) {
        (true, false) if addresses.iter().any(SocketAddr::is_ipv6) => {
            detail.push_str(" Over IPv4; IPv6 does not get there.");
        }
        (false, true) if addresses.iter().any(SocketAddr::is_ipv4) => {
            detail.push_str(" Over IPv6; IPv4 does not get there.");
        }
        _ => {}
    }
    checks.push(Check::good(NAME, detail));
    if matches!(url.scheme(), "https" | "wss") {
        let encrypted = encryption(url, dialer, stream, now, full).await;
        let works = encrypted.ok;
        checks.push(encrypted);
        return works.then_some(round_trip);
    }
    Some(round_trip)
}

async fn encryption(url: &Url, dialer: &Dialer, stream: TcpStream, now: u64, full: bool) -> Check {
    const NAME: &str = "TLS";
    const PORTAL: &str = "If this network has a page to sign in at, as in hotels, or something that looks into encrypted connections, that may be answering in the server's place: open any page in a browser here and look.";
    let begun = Instant::now();
    let stream = match timeout(STEP_LIMIT, dialer.secure(url, Stream::Plain(stream))).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Check::bad(NAME, capitalised(&error.to_string()), PORTAL),
        Err(_) => return Check::bad(NAME, "The server does not go on after connecting.", PORTAL),
    };
    let took = begun.elapsed().as_millis();
    let Stream::Tls(stream) = stream else { return Check::good(NAME, "Not encrypted.") };
    let (_, session) = stream.get_ref();
    let shown = session.peer_certificates().and_then(|chain| certificate::read(chain.first()?));
    let mut detail = format!("TLS 1.3 in {took} ms, with a certificate for this name.");
    if let Some(certificate) = shown {
        let days = certificate.ends_at.saturating_sub_unsigned(now).div_euclid(86_400);
        detail.push_str(&format!(" It ends in {days} days."));
        // An authority of one's own may have one's own name.
        if let Some(issuer) = certificate.issuer.filter(|_| full || !dialer.trusts_more()) {
            detail.push_str(&format!(" Signed by {issuer}."));
        }
    }
    Check::good(NAME, detail)
}

pub(super) fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).chain(['.']).collect())
}
