//! How the authority is spoken to: over TLS that is verified, with a time limit and bounds, and with an ear for how long it
//! wants to be left alone.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{HeaderMap, RETRY_AFTER};
use http_body_util::BodyExt as _;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use macloud_service_kit::client;
use macloud_service_kit::clock::SharedClock;
use rustls_pki_types::CertificateDer;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

/// A client for one order.
pub(super) struct Client {
    http: reqwest::Client,
    retry_after: RetryAfter,
    clock: SharedClock,
}

/// What the authority said last with an error: not before so much time. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct RetryAfter(Arc<Mutex<Option<Duration>>>);

impl RetryAfter {
    pub(super) fn told(&self) -> Option<Duration> {
        *self.0.lock().expect("no code panics while holding this lock")
    }

    fn hear(&self, wait: Duration) {
        *self.0.lock().expect("no code panics while holding this lock") = Some(wait);
    }
}

impl Client {
    pub(super) fn new(roots: &[CertificateDer<'static>], clock: SharedClock) -> Self {
        let http = client::builder_trusting(REQUEST_LIMIT, roots).https_only(true).build();
        let http = http.expect("a fixed configuration builds");
        Self { http, retry_after: RetryAfter::default(), clock }
    }

    pub(super) fn retry_after(&self) -> RetryAfter {
        self.retry_after.clone()
    }
}

impl HttpClient for Client {
    fn request(
        &self,
        request: http::Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let (http, retry_after, now) = (self.http.clone(), self.retry_after.clone(), self.clock.unix_seconds());
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let Ok(body) = body.collect().await;
            let request = http.request(parts.method, parts.uri.to_string()).headers(parts.headers);
            let mut answer = request.body(body.to_bytes()).send().await.map_err(other)?;
            let is_error = answer.status().is_client_error() || answer.status().is_server_error();
            if is_error && let Some(wait) = wait_in(answer.headers(), now) {
                retry_after.hear(wait);
            }
            let mut response = http::Response::new(());
            *response.status_mut() = answer.status();
            *response.headers_mut() = std::mem::take(answer.headers_mut());
            let body = bounded_body(answer).await?;
            Ok(BytesResponse { parts: response.into_parts().0, body: Box::new(body) })
        })
    }
}

async fn bounded_body(mut answer: reqwest::Response) -> Result<Bytes, Error> {
    let mut body = BytesMut::new();
    while let Some(chunk) = answer.chunk().await.map_err(other)? {
        if body.len() + chunk.len() > LARGEST_BODY {
            return Err(Error::Str("an answer of less than a mebibyte"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// `Retry-After` (RFC 9110, section 10.2.3): seconds, or a date.
fn wait_in(headers: &HeaderMap, now: u64) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let seconds = value.parse::<u64>().ok().or_else(|| {
        let date = OffsetDateTime::parse(value, &Rfc2822).ok()?.unix_timestamp();
        Some(u64::try_from(date).ok()?.saturating_sub(now))
    });
    seconds.map(Duration::from_secs)
}

fn other(error: reqwest::Error) -> Error {
    Error::Other(Box::new(error))
}

const REQUEST_LIMIT: Duration = Duration::from_secs(30);
const LARGEST_BODY: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_to_wait_is_said_in_seconds_or_as_a_date() {
        let wait = |value: &'static str| {
            wait_in(&HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())]), 1_800_000_000)
        };
        assert_eq!(wait("120"), Some(Duration::from_secs(120)));
        assert_eq!(wait("Fri, 15 Jan 2027 08:01:00 GMT"), Some(Duration::from_secs(60)));
        assert_eq!(wait("Fri, 15 Jan 2027 07:00:00 GMT"), Some(Duration::ZERO));
        for nothing in ["soon", "", "-1", "99999999999999999999"] {
            assert_eq!(wait(nothing), None, "{nothing}");
        }
    }
}
