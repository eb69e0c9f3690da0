//! The way to a server, step by step: its name, a connection, and the encryption on it; through a proxy, that proxy's first. The
//! first step that fails is where the trouble is.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use url::{Host, Url};

use super::{Check, certificate};
use crate::network::proxy::{self, Because, Proxy};
use crate::network::tunnel::{self, TunnelError};
use crate::network::{Dialer, LOOKS_INSIDE, Stream, authority, behind_proxy};

/// For a name to be resolved, and for each connection.
const STEP_LIMIT: Duration = Duration::from_secs(4);

/// Of a name with more addresses, these are tried.
const MOST_ADDRESSES: usize = 8;

const PROXY: &str = "proxy";

/// A way that was gone.
pub(super) struct Way {
    /// What was seen, up to the first step that failed.
    pub(super) checks: Vec<Check>,
    /// How long a connection takes, which is one time there and back. None if there is none.
    pub(super) round_trip: Option<Duration>,
}

/// Go the way to `url`. With `full`, names and addresses are told.
pub(super) async fn go(url: &Url, dialer: &Dialer, now: u64, full: bool) -> Way {
    let mut walk = Walk { dialer, now, full, checks: Vec::new() };
    let round_trip = walk.go(url).await;
    Way { checks: walk.checks, round_trip }
}

struct Walk<'d> {
    dialer: &'d Dialer,
    now: u64,
    full: bool,
    checks: Vec<Check>,
}

/// The steps to one server, as they are called, and what to do where it cannot be reached.
struct Steps {
    dns: &'static str,
    tcp: &'static str,
    tls: &'static str,
    unreachable: &'static str,
    portal: &'static str,
}

/// To the cloud itself.
const DIRECT: Steps = {
    const DNS: &str = "DNS";
    const TCP: &str = "TCP";
    const TLS: &str = "TLS";
    Steps {
        dns: DNS,
        tcp: TCP,
        tls: TLS,
        unreachable: "Check this machine's internet connection, that a firewall lets it out to this port, and that the server runs. Where a network lets out through a proxy only, give it with --proxy.",
        portal: "If this network has a page to sign in at, as in hotels, or something that looks into encrypted connections, that may be answering in the server's place: open any page in a browser here and look.",
    }
};

/// To the proxy.
const TO_PROXY: Steps = {
    const DNS: &str = "DNS of the proxy";
    const TCP: &str = "TCP to the proxy";
    const TLS: &str = "TLS to the proxy";
    Steps {
        dns: DNS,
        tcp: TCP,
        tls: TLS,
        unreachable: "Check the proxy's address and port, and that it runs; --proxy none goes without it.",
        portal: "Check the proxy's address: at http:// it is spoken to without encryption, which is what most of them expect.",
    }
};

impl Walk<'_> {
    /// How long a connection takes.
    async fn go(&mut self, url: &Url) -> Option<Duration> {
        let through = match self.dialer.way_to(url) {
            Ok(proxy::Way::Direct) => None,
            Ok(proxy::Way::Past(proxy, because)) => {
                self.checks.push(self.passed_by(proxy, because));
                None
            }
            Ok(proxy::Way::Through(proxy)) => Some(proxy),
            Err(error) => {
                let fix = "Correct it, or go without: --proxy none";
                self.checks.push(Check::bad(PROXY, capitalised(&error.to_string()), fix));
                return None;
            }
        };
        match through {
            None => self.go_to(url, &DIRECT).await.map(|(_, round_trip)| round_trip),
            Some(proxy) => self.go_through(proxy, url).await,
        }
    }

    /// As far as to a server, and the encryption on it where its address wants it.
    async fn go_to(&mut self, url: &Url, steps: &Steps) -> Option<(Stream, Duration)> {
        let addresses = self.names(url, steps).await?;
        let (stream, round_trip) = self.connect(url, &addresses, steps).await?;
        let stream = self.encrypt(url, Stream::Plain(stream), steps, None).await?;
        Some((stream, round_trip))
    }

    async fn go_through(&mut self, proxy: &Proxy, url: &Url) -> Option<Duration> {
        let (stream, _) = self.go_to(proxy.url(), &TO_PROXY).await?;
        let begun = Instant::now();
        let stream = match lead_on(stream, proxy, url).await {
            Ok(stream) => stream,
            Err(error) => {
                let detail = format!("{} It is {}.", capitalised(&error.to_string()), self.called(proxy));
                self.checks.push(Check::bad(PROXY, detail, capitalised(error.cure())));
                return None;
            }
        };
        // It has been to the cloud and back, and so is as long as a message takes, and a little longer.
        let round_trip = begun.elapsed();
        let detail = format!(
            "The one that leads to the cloud, within {} ms, is {}.",
            round_trip.as_millis(),
            self.called(proxy)
        );
        self.checks.push(Check::good(PROXY, detail));
        self.encrypt(url, stream, &DIRECT, Some(proxy)).await.map(|_| round_trip)
    }

    async fn names(&mut self, url: &Url, steps: &Steps) -> Option<Vec<SocketAddr>> {
        const ASK_ANOTHER: &str = "Check this machine's internet connection and its DNS server (resolvectl status, or /etc/resolv.conf), and that the name is written rightly.";
        let port = url.port_or_known_default()?;
        let name = match url.host()? {
            Host::Ipv4(address) => return Some(vec![(address, port).into()]),
            Host::Ipv6(address) => return Some(vec![(address, port).into()]),
            Host::Domain(name) => name,
        };
        let begun = Instant::now();
        let addresses: Vec<SocketAddr> = match timeout(STEP_LIMIT, tokio::net::lookup_host((name, port))).await {
            Ok(Ok(addresses)) => addresses.take(MOST_ADDRESSES).collect(),
            Ok(Err(_)) => return self.stop(steps.dns, "The name cannot be resolved.", ASK_ANOTHER),
            Err(_) => return self.stop(steps.dns, "No DNS server answers.", ASK_ANOTHER),
        };
        let took = begun.elapsed().as_millis();
        if addresses.iter().any(|address| address.ip().is_unspecified()) {
            let fix = "A filter in this network, such as an advertisement blocker, gives no address for this name: allow the name there.";
            return self.stop(steps.dns, "The name leads nowhere.", fix);
        }
        if addresses.is_empty() {
            return self.stop(steps.dns, "The name has no address.", ASK_ANOTHER);
        }
        let of_v4 = addresses.iter().filter(|address| address.is_ipv4()).count();
        let of_v6 = addresses.len() - of_v4;
        let mut detail = format!("Addresses of IPv4: {of_v4}, of IPv6: {of_v6}; in {took} ms.");
        if self.full {
            let all: Vec<String> = addresses.iter().map(|address| address.ip().to_string()).collect();
            detail.push_str(&format!(" {name}: {}", all.join(", ")));
        }
        self.checks.push(Check::good(steps.dns, detail));
        Some(addresses)
    }

    async fn connect(&mut self, url: &Url, addresses: &[SocketAddr], steps: &Steps) -> Option<(TcpStream, Duration)> {
        let attempts = addresses.iter().copied().map(|address| async move {
            let begun = Instant::now();
            let connected = timeout(STEP_LIMIT, TcpStream::connect(address)).await.ok().and_then(Result::ok);
            connected.map(|stream| (stream, address.is_ipv4(), begun.elapsed()))
        });
        let mut connected: Vec<_> = join_all(attempts).await.into_iter().flatten().collect();
        let Some(quickest) = (0..connected.len()).min_by_key(|at| connected[*at].2) else {
            let port = url.port_or_known_default().unwrap_or_default();
            return self.stop(steps.tcp, &format!("Nobody answers at port {port}."), steps.unreachable);
        };
        let (over_v4, over_v6) = (connected.iter().any(|one| one.1), connected.iter().any(|one| !one.1));
        let (stream, _, round_trip) = connected.swap_remove(quickest);
        let lost = match (over_v4, over_v6) {
            (true, false) if addresses.iter().any(SocketAddr::is_ipv6) => " Over IPv4; IPv6 does not get there.",
            (false, true) if addresses.iter().any(SocketAddr::is_ipv4) => " Over IPv6; IPv4 does not get there.",
            _ => "",
        };
        self.checks.push(Check::good(steps.tcp, format!("Connected in {} ms.{lost}", round_trip.as_millis())));
        Some((stream, round_trip))
    }

    /// Put the encryption on that `url` asks for, if it does.
    async fn encrypt(&mut self, url: &Url, stream: Stream, steps: &Steps, behind: Option<&Proxy>) -> Option<Stream> {
        if !matches!(url.scheme(), "https" | "wss") {
            return Some(stream);
        }
        let begun = Instant::now();
        let stream = match timeout(STEP_LIMIT, self.dialer.secure(url, stream)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                let fix = behind.map_or_else(|| steps.portal.to_owned(), |_| inside_a_proxy(steps));
                let error = if behind.is_some() { behind_proxy(error) } else { error };
                return self.stop(steps.tls, &capitalised(&error.to_string()), &fix);
            }
            Err(_) => return self.stop(steps.tls, "The server does not go on after connecting.", steps.portal),
        };
        let took = begun.elapsed().as_millis();
        self.checks.push(self.encryption(&stream, took, steps));
        Some(stream)
    }

    fn encryption(&self, stream: &Stream, took: u128, steps: &Steps) -> Check {
        let Stream::Tls(stream) = stream else { return Check::good(steps.tls, "Not encrypted.") };
        let (_, session) = stream.get_ref();
        let shown = session.peer_certificates().and_then(|chain| certificate::read(chain.first()?));
        let mut detail = format!("TLS 1.3 in {took} ms, with a certificate for this name.");
        if let Some(certificate) = shown {
            let days = certificate.ends_at.saturating_sub_unsigned(self.now).div_euclid(86_400);
            detail.push_str(&format!(" It ends in {days} days."));
            // An authority of one's own may have one's own name.
            if let Some(issuer) = certificate.issuer.filter(|_| self.full || !self.dialer.trusts_more()) {
                detail.push_str(&format!(" Signed by {issuer}."));
            }
        }
        Check::good(steps.tls, detail)
    }

    /// A proxy is set, and this connector goes past it.
    fn passed_by(&self, proxy: &Proxy, because: Because) -> Check {
        let why = match because {
            Because::AtHome => "the cloud is on this machine or in this network",
            Because::Excepted => "NO_PROXY names the cloud",
        };
        Check::good(PROXY, format!("The one that is set is not used, as {why}. It is {}.", self.called(proxy)))
    }

    /// Its name may tell whose network this is.
    fn called(&self, proxy: &Proxy) -> String {
        if self.full { proxy.to_string() } else { format!("the one that {} names", proxy.named_by()) }
    }

    /// The step that does not work ends the way.
    fn stop<T>(&mut self, name: &'static str, detail: &str, fix: &str) -> Option<T> {
        self.checks.push(Check::bad(name, detail, fix));
        None
    }
}

fn inside_a_proxy(steps: &Steps) -> String {
    format!("{} {}.", steps.portal, capitalised(LOOKS_INSIDE).trim_end_matches('.'))
}

async fn lead_on(stream: Stream, proxy: &Proxy, url: &Url) -> Result<Stream, TunnelError> {
    let to = authority(url).map_err(|error| TunnelError::Unreachable(Box::new(error)))?;
    tunnel::lead_on(stream, proxy, &to).await
}

pub(super) fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).chain(['.']).collect())
}
