//! Fetching what a provider says, without becoming its tool: only over https, to public addresses, without following
//! redirects, in bounded time and size. What names resolve to is checked where the connection is made, not before.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use macloud_service_kit::client;
use openidconnect::{HttpRequest, HttpResponse};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use super::ProviderError;

/// Fetches. Cheap to clone.
#[derive(Clone)]
pub(super) struct Fetcher {
    client: reqwest::Client,
    private: bool,
}

/// An answer on its way.
pub(super) type Fetching = std::pin::Pin<Box<dyn Future<Output = Result<HttpResponse, FetchError>> + Send>>;

/// Why something was not fetched. Told to nobody but the log, and there only as "cannot be fetched".
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("it must not be reached")]
    Forbidden,
    #[error("it is too long")]
    TooLong,
    #[error("it did not answer")]
    Http(#[from] reqwest::Error),
    #[error("it did not answer with HTTP")]
    Form(#[from] http::Error),
}

impl Fetcher {
    /// `private`: addresses that are not public, and plain http to this machine, may be reached.
    pub(super) fn new(private: bool) -> Self {
        let client = client::builder(LIMIT).dns_resolver(Arc::new(PublicOnly { private }));
        Self { client: client.build().expect("a fixed configuration builds"), private }
    }

    /// Whether a browser may be sent there, or we may go.
    pub(super) fn check(&self, url: &Url) -> Result<(), ProviderError> {
        if self.may_reach(url) {
            Ok(())
        } else {
            Err(ProviderError::Unbelievable("it names an address that is no good"))
        }
    }

    fn may_reach(&self, url: &Url) -> bool {
        may_reach(url, self.private)
    }

    /// What the library fetches with. It owns what it needs, so that its futures borrow nothing of ours.
    pub(super) fn client(&self) -> impl Fn(HttpRequest) -> Fetching + Send + Sync + use<> {
        let fetcher = self.clone();
        move |request| {
            let fetcher = fetcher.clone();
            Box::pin(async move { fetcher.fetch(request).await })
        }
    }

    async fn fetch(&self, request: HttpRequest) -> Result<HttpResponse, FetchError> {
        let url = Url::parse(&request.uri().to_string()).map_err(|_| FetchError::Forbidden)?;
        if !self.may_reach(&url) {
            return Err(FetchError::Forbidden);
        }
        let (parts, body) = request.into_parts();
        let request = self.client.request(parts.method, url).headers(parts.headers).body(body);
        let mut response = request.send().await?;
        let mut answer = http::Response::builder().status(response.status());
        for (name, value) in response.headers() {
            answer = answer.header(name, value);
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > MOST_BYTES {
                return Err(FetchError::TooLong);
            }
        }
        Ok(answer.body(bytes)?)
    }
}

/// Whether a provider's address may be asked at all: over https, on the internet. Where `private` ones are allowed, also plain
/// http on this machine.
pub(super) fn may_reach(url: &Url, private: bool) -> bool {
    let address = match url.host() {
        Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
        Some(Host::Domain(_)) => None,
        None => return false,
    };
    let on_this_machine = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        _ => address.is_some_and(|address| address.is_loopback()),
    };
    let secure = url.scheme() == "https" || url.scheme() == "http" && private && on_this_machine;
    secure && url.username().is_empty() && url.password().is_none() && (private || address.is_none_or(is_public))
}

/// Names lead only to public addresses.
struct PublicOnly {
    private: bool,
}

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        let private = self.private;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> = found.filter(|address| private || is_public(address.ip())).collect();
            if allowed.is_empty() {
                return Err("the name leads to no public address".into());
            }
            let addresses: Addrs = Box::new(allowed.into_iter());
            Ok(addresses)
        })
    }
}

/// Whether an address is somewhere on the public internet, and not on a network that is ours.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => address.to_ipv4_mapped().map_or_else(|| is_public_v6(address), is_public_v4),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation()
        || a == 0
        || a >= 240
        || a == 100 && (64..128).contains(&b)
        || a == 192 && b == 0 && c == 0
        || a == 198 && (18..20).contains(&b))
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let global = segments[0] & 0xe000 == 0x2000;
    // Ways to reach IPv4 addresses through IPv6 ones (6to4, Teredo), benchmarks and documentation.
    let within = segments[0] == 0x2002 || segments[0] == 0x2001 && (segments[1] < 0x200 || segments[1] == 0xdb8);
    global && !within
}

/// A person waits for it.
const LIMIT: Duration = Duration::from_secs(8);
/// Metadata and keys of the largest are a tenth of it.
const MOST_BYTES: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_over_https() {
        let open = |url: &str| Fetcher::new(false).may_reach(&Url::parse(url).unwrap());
        for good in ["https://id.example/x", "https://9.9.9.9/", "https://[2606:4700::1111]/"] {
            assert!(open(good), "{good}");
        }
        for bad in [
            "http://id.example/",
            "http://localhost/",
            "https://127.0.0.1/",
            "https://10.0.0.1/",
            "https://169.254.169.254/latest/meta-data",
            "https://192.168.1.1/",
            "https://100.64.0.1/",
            "https://0.0.0.0/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://[::1]/",
            "https://[fd00::1]/",
            "https://[fe80::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[64:ff9b::7f00:1]/",
            "https://[2002:7f00:1::]/",
            "https://user@id.example/",
            "file:///etc/passwd",
        ] {
            assert!(!open(bad), "{bad}");
        }
        let private = |url: &str| Fetcher::new(true).may_reach(&Url::parse(url).unwrap());
        assert!(private("http://127.0.0.1:3000/") && private("https://10.0.0.1/") && private("http://localhost:1/"));
        assert!(!private("http://id.example/") && !private("http://10.0.0.1/"));
    }

    #[tokio::test]
    async fn a_name_that_leads_home_is_not_followed() {
        let name = || "localhost".parse::<Name>().unwrap();
        assert!(PublicOnly { private: false }.resolve(name()).await.is_err());
        assert!(PublicOnly { private: true }.resolve(name()).await.is_ok());
    }
}
