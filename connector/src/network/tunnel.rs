//! The way through a proxy: CONNECT (RFC 9110 section 9.3.6) over HTTP/1.1.
//!
//! The proxy learns the name and port of whom we speak to, never resolved here, and nothing of what is said: the encryption begins
//! behind it. Of its answer only the status counts, and nothing of what it says is repeated anywhere.

use std::io;
use std::time::Duration;

use http::StatusCode;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::proxy::Proxy;
use super::{DialError, Stream, USER_AGENT};

/// The longest head of an answer, interim ones included. Proxies send some hundred bytes.
pub const MAX_HEAD: usize = 16 << 10;

/// More header fields are not read.
const MAX_FIELDS: usize = 64;

/// Enough for almost every answer; what is read after it passes by this buffer.
const BUFFER: usize = 1 << 10;

/// For the proxy to reach whom it is asked for. Less than the time for all of a handshake, so that it can be told apart.
const ANSWER_LIMIT: Duration = Duration::from_secs(8);

/// Why a proxy does not lead on.
#[derive(Debug, thiserror::Error)]
pub enum TunnelError {
    /// It cannot be reached itself.
    #[error("the proxy cannot be reached ({0})")]
    Unreachable(Box<DialError>),
    /// 407 (or 401), and it was told no name.
    #[error("the proxy wants a name and a password")]
    SignIn,
    /// 407 (or 401), though it was told a name and a password.
    #[error("the proxy does not accept the name and password that it was told")]
    NotAccepted,
    /// 407, and it wants something else than a name and a password.
    #[error("the proxy wants whoever uses it to sign in, in a way that is not supported")]
    OtherSignIn,
    /// A redirect, or 511: somebody is to see a page.
    #[error("the proxy leads to a page instead (HTTP status {0})")]
    Page(u16),
    /// 5xx: it did not get there.
    #[error("the proxy did not get to the cloud (HTTP status {})", told(*.0))]
    NotThere(StatusCode),
    /// It does not want to.
    #[error("the proxy refused to connect to the cloud (HTTP status {})", told(*.0))]
    Refused(StatusCode),
    /// Something else is there.
    #[error("what answers at the proxy's address does not speak as an HTTP proxy does")]
    NotHttp,
    /// Its answer has no end.
    #[error("the proxy's answer is too long")]
    TooLong,
    /// It has gone away.
    #[error("the proxy closed the connection instead of answering ({0})")]
    Closed(io::Error),
    /// It neither refuses nor goes on.
    #[error("the proxy did not answer in time")]
    TimedOut,
}

impl TunnelError {
    /// What to do.
    #[must_use]
    pub const fn cure(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "check its address and that it runs, or go without it: --proxy none",
            Self::SignIn => "write them into its address, as in --proxy http://NAME:PASSWORD@HOST:PORT",
            Self::NotAccepted => {
                "check them in its address; a special character is written there as % and two digits, such as %40 for @"
            }
            Self::OtherSignIn => {
                "of the ways to sign in to a proxy, Basic is supported; ask whoever runs it to let this machine through without, or by Basic"
            }
            Self::Page(_) => {
                "this network may want somebody to sign in at a page, as in hotels: open any page in a browser here and look"
            }
            Self::NotThere(_) => {
                "check the cloud's address, and that the cloud runs; if both are right, ask whoever runs the proxy"
            }
            Self::Refused(_) => {
                "ask whoever runs it to allow connections (CONNECT) to the cloud's name and port, or go without it: --proxy none"
            }
            Self::NotHttp | Self::TooLong | Self::Closed(_) => {
                "check its address and port, and whether it begins with http:// or https://"
            }
            Self::TimedOut => "check that the proxy may reach the cloud, and ask whoever runs it",
        }
    }
}

/// A status with its usual name, which is ours and not the proxy's.
fn told(status: StatusCode) -> String {
    let name = status.canonical_reason().map_or_else(String::new, |name| format!(", {name}"));
    format!("{}{name}", status.as_u16())
}

/// Have `proxy`, which `stream` leads to, lead on to this name and port. No byte that follows its answer is lost.
///
/// # Errors
/// [`TunnelError`]; nothing stays open then.
pub(crate) async fn lead_on(stream: Stream, proxy: &Proxy, to: &str) -> Result<Stream, TunnelError> {
    let asking = async {
        let mut stream = BufReader::with_capacity(BUFFER, stream);
        stream.write_all(request(to, proxy).as_bytes()).await.map_err(TunnelError::Closed)?;
        stream.flush().await.map_err(TunnelError::Closed)?;
        answer(&mut stream, proxy.authorization().is_some()).await?;
        Ok(Stream::Tunnel(Box::new(stream)))
    };
    timeout(ANSWER_LIMIT, asking).await.unwrap_or(Err(TunnelError::TimedOut))
}

fn request(to: &str, proxy: &Proxy) -> Zeroizing<String> {
    let mut text = Zeroizing::new(format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\nUser-Agent: {USER_AGENT}\r\n"));
    if let Some(authorization) = proxy.authorization() {
        // With room for all of it: what grows leaves copies behind.
        text.reserve(authorization.len() + 32);
        text.push_str("Proxy-Authorization: ");
        text.push_str(authorization);
        text.push_str("\r\n");
    }
    text.push_str("\r\n");
    text
}

/// Read a proxy's answer, and nothing beyond it. `signed_in` if it was told a name and a password.
///
/// # Errors
/// [`TunnelError`] for all that does not lead on.
pub async fn answer(from: &mut (impl AsyncRead + Unpin), signed_in: bool) -> Result<(), TunnelError> {
    let mut left = MAX_HEAD;
    loop {
        let head = head(from, left).await?;
        left -= head.len();
        match judge(&head, signed_in)? {
            status if status.is_success() => return Ok(()),
            // Interim (RFC 9110 section 15.2): the answer comes after it.
            _ => {}
        }
    }
}

/// The bytes up to and with the next empty line.
async fn head(from: &mut (impl AsyncRead + Unpin), most: usize) -> Result<Vec<u8>, TunnelError> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && !head.ends_with(b"\n\n") {
        if head.len() >= most {
            return Err(TunnelError::TooLong);
        }
        // From a buffer. One by one, as what comes after is not ours.
        head.push(from.read_u8().await.map_err(TunnelError::Closed)?);
        if !head.iter().zip(b"HTTP/1.").all(|(is, must)| is == must) {
            return Err(TunnelError::NotHttp);
        }
    }
    Ok(head)
}

/// What a whole head says: that it leads on, or that another head follows.
fn judge(head: &[u8], signed_in: bool) -> Result<StatusCode, TunnelError> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut response = httparse::Response::new(&mut fields);
    if !response.parse(head).is_ok_and(|parsed| parsed.is_complete()) {
        return Err(TunnelError::NotHttp);
    }
    let status = response.code.and_then(|code| StatusCode::from_u16(code).ok()).ok_or(TunnelError::NotHttp)?;
    // 401 is an origin's word, and what tinyproxy says to a wrong password.
    let wants_sign_in = matches!(status, StatusCode::PROXY_AUTHENTICATION_REQUIRED | StatusCode::UNAUTHORIZED);
    match status {
        // It would speak something else from here on.
        StatusCode::SWITCHING_PROTOCOLS => Err(TunnelError::NotHttp),
        _ if status.is_success() || status.is_informational() => Ok(status),
        _ if wants_sign_in && !offers_basic(response.headers) => Err(TunnelError::OtherSignIn),
        _ if wants_sign_in && signed_in => Err(TunnelError::NotAccepted),
        _ if wants_sign_in => Err(TunnelError::SignIn),
        StatusCode::NETWORK_AUTHENTICATION_REQUIRED => Err(TunnelError::Page(status.as_u16())),
        _ if status.is_redirection() => Err(TunnelError::Page(status.as_u16())),
        _ if status.is_server_error() => Err(TunnelError::NotThere(status)),
        _ => Err(TunnelError::Refused(status)),
    }
}

/// Whether a name and a password are among what it takes. One that does not say what it takes may take them.
fn offers_basic(fields: &[httparse::Header<'_>]) -> bool {
    let mut offers = fields.iter().filter(|field| field.name.eq_ignore_ascii_case("proxy-authenticate")).peekable();
    offers.peek().is_none()
        || offers.any(|offer| String::from_utf8_lossy(offer.value).to_ascii_lowercase().contains("basic"))
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use proptest::prelude::*;
    use url::Url;

    use super::*;
    use crate::network::authority;
    use crate::network::proxy::{Proxies, Way};

    /// What comes of an answer, and what is left to read behind it.
    fn answered(text: &[u8]) -> (Result<(), TunnelError>, &[u8]) {
        let mut rest = text;
        let outcome = answer(&mut rest, false).now_or_never().expect("all of it is there");
        (outcome, rest)
    }

    #[test]
    fn an_answer_leads_on_and_nothing_behind_it_is_touched() {
        for head in [
            "HTTP/1.1 200 Connection established\r\n\r\n",
            "HTTP/1.0 200 OK\r\nProxy-Agent: x\r\n\r\n",
            "HTTP/1.1 200\r\n\r\n",
            "HTTP/1.1 204 \n\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 x\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        ] {
            let text = format!("{head}\r\n\r\nrest");
            let (outcome, rest) = answered(text.as_bytes());
            assert!(outcome.is_ok(), "{head}: {outcome:?}");
            assert_eq!(rest, b"\r\n\r\nrest", "{head}");
        }
    }

    #[test]
    fn a_refusal_is_told_by_its_status_with_what_helps_and_without_the_proxys_words() {
        let refused = |line: &str| {
            let head = format!("HTTP/1.1 {line}\r\nServer: Ada\r\n\r\n");
            let error = answered(head.as_bytes()).0.unwrap_err();
            format!("{error}; {}", error.cure())
        };
        for (line, said) in [
            ("407 Ada", "http://NAME:PASSWORD@"),
            ("407 Ada\r\nProxy-Authenticate: BASIC realm=\"Ada\"", "http://NAME:PASSWORD@"),
            ("407 Ada\r\nProxy-Authenticate: Negotiate\r\nProxy-Authenticate: NTLM", "not supported"),
            ("302 Ada\r\nLocation: http://ada.example/", "open any page in a browser"),
            ("511 Ada", "open any page in a browser"),
            ("403 Ada", "HTTP status 403, Forbidden"),
            ("405 Ada", "ask whoever runs it to allow"),
            ("502 Ada", "did not get to the cloud (HTTP status 502, Bad Gateway)"),
            ("504 Ada", "that the cloud runs"),
            ("799 Ada", "HTTP status 799"),
            ("101 Ada", "does not speak as an HTTP proxy"),
        ] {
            let told = refused(line);
            assert!(told.contains(said), "{line}: {told}");
            assert!(!told.contains("Ada") && !told.contains("ada.example"), "{told}");
        }
        for mut denied in
            [&b"HTTP/1.1 407 X\r\n\r\n"[..], b"HTTP/1.0 401 Unauthorized\r\nWWW-Authenticate: Basic\r\n\r\n"]
        {
            let told = answer(&mut denied, true).now_or_never().unwrap().unwrap_err();
            assert!(matches!(told, TunnelError::NotAccepted), "{told}");
        }
    }

    #[test]
    fn what_is_no_answer_ends_soon() {
        let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "a".repeat(MAX_HEAD));
        let interim = "HTTP/1.1 100 X\r\n\r\n".repeat(MAX_HEAD);
        assert!(matches!(answered(long.as_bytes()).0, Err(TunnelError::TooLong)));
        assert!(matches!(answered(interim.as_bytes()).0, Err(TunnelError::TooLong)));
        assert!(matches!(answered(b"").0, Err(TunnelError::Closed(_))));
        assert!(matches!(answered(b"HTTP/1.1 200 OK\r\n").0, Err(TunnelError::Closed(_))));
        assert!(matches!(answered(b"HTTP/1.1 OK 200\r\n\r\n").0, Err(TunnelError::NotHttp)));
        // At once, though the other side keeps the connection and says nothing more.
        for strange in [&b"\x15\x03\x01"[..], b"SSH-2.0-x\r\n", b"HTTP/2"] {
            let (mine, mut theirs) = tokio::io::duplex(64);
            theirs.write_all(strange).now_or_never().unwrap().unwrap();
            let mut mine = BufReader::new(mine);
            assert!(matches!(answer(&mut mine, false).now_or_never(), Some(Err(TunnelError::NotHttp))), "{strange:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_proxy_that_says_nothing_is_not_waited_for_long() {
        let proxies = Proxies::chosen(Some(&"http://p".parse().unwrap()), |_| None).unwrap();
        let url = Url::parse("https://cloud.example").unwrap();
        let Ok(Way::Through(proxy)) = proxies.way_to(&url) else { panic!() };
        for beginning in ["", "HTTP/1.1 200 OK\r\nX-Slow: "] {
            let (mine, mut theirs) = tokio::io::duplex(1 << 10);
            theirs.write_all(beginning.as_bytes()).await.unwrap();
            let begun = tokio::time::Instant::now();
            let outcome = lead_on(Stream::Within(mine), proxy, "cloud.example:443").await;
            assert!(matches!(outcome, Err(TunnelError::TimedOut)), "{:?}", outcome.err());
            assert_eq!(begun.elapsed(), ANSWER_LIMIT);
        }
    }

    #[test]
    fn it_is_asked_for_the_name_and_port_and_told_name_and_password() {
        let proxies = Proxies::chosen(Some(&"http://ada:secret@p".parse().unwrap()), |_| None).unwrap();
        for (place, to) in [
            ("wss://relay.example/relay/v1/connect?x=1", "relay.example:443"),
            ("http://cloud.example/", "cloud.example:80"),
            ("https://[2001:db8::1]:8443/", "[2001:db8::1]:8443"),
            ("https://203.0.113.7/", "203.0.113.7:443"),
        ] {
            let url = Url::parse(place).unwrap();
            let Ok(Way::Through(proxy)) = proxies.way_to(&url) else { panic!() };
            let asked = request(&authority(&url).unwrap(), proxy);
            let expected = format!(
                "CONNECT {to} HTTP/1.1\r\nHost: {to}\r\nUser-Agent: {USER_AGENT}\r\nProxy-Authorization: Basic YWRhOnNlY3JldA==\r\n\r\n"
            );
            assert_eq!(*asked, expected);
        }
    }

    proptest! {
        /// Whatever is answered: it is read to the end of a head at most, and leads on only by a status that says so.
        #[test]
        fn no_answer_is_too_strange(
            start in prop::sample::select(&["", "HTTP/1.1 ", "HTTP/1.1 200 ", "HTTP/1.1 407 X\r\n"][..]),
            body in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'\r'), Just(b'\n'), Just(b':')], 0..200),
        ) {
            let text = [start.as_bytes(), &body].concat();
            let (outcome, rest) = answered(&text);
            let read = &text[..text.len() - rest.len()];
            prop_assert!(read.len() <= MAX_HEAD);
            if outcome.is_ok() {
                prop_assert!(read.starts_with(b"HTTP/1.") && read.ends_with(b"\n"));
                prop_assert!(read[9] == b'2' || read[9] == b'1', "{read:?}");
            }
        }
    }
}
