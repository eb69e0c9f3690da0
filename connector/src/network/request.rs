//! One HTTP request, on a connection of its own that a [`Dialer`] opens.
//!
//! Homes ask for little and seldom: no connection is worth keeping. No redirect is followed: what the cloud and Home Assistant are
//! asked is for them alone.

use std::convert::Infallible;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::time::timeout;
use url::{Position, Url, form_urlencoded};

use super::{DialError, Dialer, Stream, USER_AGENT, host_field};

/// Why a request was not answered.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// No connection, or not in time.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// What was asked for cannot be said in HTTP.
    #[error("what is asked for cannot be said in HTTP")]
    Request(#[from] http::Error),
    /// The connection was lost, or what came over it is no answer.
    #[error("the connection was lost: {0}")]
    Exchange(#[from] hyper::Error),
}

/// What one request may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// For all of it, from finding the address to the end of the answer.
    pub time: Duration,
    /// For the answer's body. Of a longer one, a little more than this is read, and returned.
    pub bytes: usize,
}

/// What is asked for.
pub struct HttpRequest<'u> {
    url: &'u Url,
    method: Method,
    fields: Vec<(HeaderName, String)>,
    body: Bytes,
}

impl<'u> HttpRequest<'u> {
    /// To get what is at `url`.
    #[must_use]
    pub const fn get(url: &'u Url) -> Self {
        Self { url, method: Method::GET, fields: Vec::new(), body: Bytes::new() }
    }

    /// To send this there.
    #[must_use]
    pub fn post(url: &'u Url, media_type: &str, body: impl Into<Bytes>) -> Self {
        let fields = vec![(http::header::CONTENT_TYPE, media_type.to_owned())];
        Self { url, method: Method::POST, fields, body: body.into() }
    }

    /// To send the fields of a form there.
    #[must_use]
    pub fn form<V: AsRef<str>>(url: &'u Url, fields: &[(&str, V)]) -> Self {
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        Self::post(url, "application/x-www-form-urlencoded", form)
    }

    /// The same with one more header field.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: String) -> Self {
        self.fields.push((name, value));
        self
    }

    pub(crate) const fn url(&self) -> &'u Url {
        self.url
    }

    fn build(self) -> Result<http::Request<Full<Bytes>>, HttpError> {
        let mut request = http::Request::builder()
            .method(self.method)
            .uri(&self.url[Position::BeforePath..Position::AfterQuery])
            .header("host", host_field(self.url)?)
            .header("user-agent", USER_AGENT)
            .header("accept", "*/*");
        for (name, value) in self.fields {
            let mut value = HeaderValue::try_from(value).map_err(http::Error::from)?;
            // Proofs and tokens: kept out of what is printed.
            value.set_sensitive(true);
            request = request.header(name, value);
        }
        Ok(request.body(Full::new(self.body))?)
    }
}

/// Without what is in it: tokens, and codes that stand for one.
impl fmt::Debug for HttpRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.url)
    }
}

impl Dialer {
    /// Ask, and read the answer.
    ///
    /// # Errors
    /// [`HttpError`]. To drop the future ends the connection.
    pub async fn ask(&self, request: HttpRequest<'_>, limits: Limits) -> Result<Response<Vec<u8>>, HttpError> {
        self.check(request.url)?;
        let asking = async {
            let url = request.url;
            let request = request.build()?;
            let begun = self.begin(url).await?;
            exchange(self.finish(url, begun).await?, request, limits.bytes).await
        };
        timeout(limits.time, Box::pin(asking)).await.unwrap_or(Err(HttpError::Dial(DialError::TimedOut)))
    }
}

async fn exchange(
    stream: Stream,
    request: http::Request<Full<Bytes>>,
    most: usize,
) -> Result<Response<Vec<u8>>, HttpError> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let answering = async move {
        let (head, body) = sender.send_request(request).await?.into_parts();
        Ok(Response::from_parts(head, read(body, most).await?))
    };
    let driving = async {
        // Why it ended is told to whoever waits for the answer.
        let _ = connection.await;
        std::future::pending::<Infallible>().await
    };
    tokio::select! {
        answer = answering => answer,
        never = driving => match never {},
    }
}

async fn read(mut body: Incoming, most: usize) -> Result<Vec<u8>, hyper::Error> {
    let mut all = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            all.extend_from_slice(&data);
        }
        if all.len() > most {
            break;
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    const LIMITS: Limits = Limits { time: Duration::from_secs(10), bytes: 100 };

    /// What comes of an answer, and what was asked. The answer's last part is repeated for as long as somebody reads it.
    async fn asked(answer: &'static str, again: &'static str) -> (Result<Response<Vec<u8>>, HttpError>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}/a?b=c#d", listener.local_addr().unwrap())).unwrap();
        let serving = async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = vec![0; 4096];
            let count = stream.read(&mut asked).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            while !again.is_empty() && stream.write_all(again.as_bytes()).await.is_ok() {}
            String::from_utf8(asked[..count].to_vec()).unwrap()
        };
        let dialer = Dialer::new(None, false).unwrap();
        tokio::join!(dialer.ask(HttpRequest::get(&url), LIMITS), serving)
    }

    #[tokio::test]
    async fn it_is_asked_plainly_and_no_redirect_is_followed() {
        let moved = "HTTP/1.1 302 Found\r\nLocation: http://elsewhere.invalid/\r\nContent-Length: 2\r\n\r\nno";
        let (answer, asked) = asked(moved, "").await;
        let answer = answer.unwrap();
        assert_eq!((answer.status().as_u16(), answer.body().as_slice()), (302, &b"no"[..]));
        let asked = asked.to_ascii_lowercase();
        assert!(asked.starts_with("get /a?b=c http/1.1\r\nhost: 127.0.0.1:"), "{asked}");
        // What is not asked for need not be unpacked.
        assert!(!asked.contains("accept-encoding") && !asked.contains("#d"), "{asked}");
    }

    #[tokio::test]
    async fn an_answer_without_an_end_is_not_read_to_it() {
        const CHUNK: &str = "a\r\n0123456789\r\n";
        let (answer, _) = asked("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", CHUNK).await;
        assert!((101..1 << 16).contains(&answer.unwrap().body().len()));
        let (answer, _) = asked("HTTP/1.1 200 OK\r\n", "X-Header: 0123456789\r\n").await;
        assert!(matches!(answer, Err(HttpError::Exchange(_))), "{answer:?}");
    }

    #[tokio::test]
    async fn a_lost_connection_and_what_is_no_answer_are_told_apart() {
        let (lost, _) = asked("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhal", "").await;
        assert!(matches!(&lost, Err(HttpError::Exchange(error)) if !error.is_parse()), "{lost:?}");
        let (strange, _) = asked("SSH-2.0-OpenSSH\r\n\r\n", "").await;
        assert!(matches!(&strange, Err(HttpError::Exchange(error)) if error.is_parse()), "{strange:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_says_nothing_is_not_waited_for_long() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        let answer = Dialer::new(None, false).unwrap().ask(HttpRequest::get(&url), LIMITS).await;
        assert!(matches!(answer, Err(HttpError::Dial(DialError::TimedOut))), "{answer:?}");
    }

    #[test]
    fn the_host_is_named_as_in_the_address() {
        for (address, host) in [
            ("https://cloud.example/x", "cloud.example"),
            ("https://cloud.example:443/x", "cloud.example"),
            ("https://cloud.example:8443/x", "cloud.example:8443"),
            ("http://[2001:db8::1]:8080/", "[2001:db8::1]:8080"),
            ("https://bücher.example/", "xn--bcher-kva.example"),
        ] {
            let url = Url::parse(address).unwrap();
            let request = HttpRequest::form(&url, &[("a b", "c&d")]).build().unwrap();
            assert_eq!(request.headers()["host"], host, "{address}");
        }
    }

    #[test]
    fn what_was_given_is_not_printed() {
        let url = Url::parse("https://cloud.example/").unwrap();
        let request = HttpRequest::get(&url).with(http::header::AUTHORIZATION, "Bearer secret".into());
        assert!(!format!("{request:?}").contains("secret"));
        assert!(!format!("{:?}", request.build().unwrap()).contains("secret"));
    }
}
