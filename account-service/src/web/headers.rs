//! The headers that protect people: on every answer of this service, whatever made it.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::map_response_with_state;
use axum::response::Response;
use time::OffsetDateTime;
use time::macros::format_description;

use crate::shared::Shared;

/// Add them to a router's answers, where the answer has not its own.
pub(crate) fn with_headers(router: Router, shared: Arc<Shared>) -> Router {
    router.layer(map_response_with_state(shared, protect))
}

async fn protect(State(shared): State<Arc<Shared>>, response: Response) -> Response {
    protected(&shared, response)
}

/// Add them to one answer.
pub(super) fn protected(shared: &Shared, mut response: Response) -> Response {
    let headers = response.headers_mut();
    let mut default = |name: HeaderName, value: HeaderValue| {
        headers.entry(name).or_insert(value);
    };
    let text = HeaderValue::from_static;
    default(header::X_CONTENT_TYPE_OPTIONS, text("nosniff"));
    // Not `no-referrer`: with that, browsers hide the origin of our own forms, which we check.
    default(header::REFERRER_POLICY, text("same-origin"));
    default(header::X_FRAME_OPTIONS, text("DENY"));
    default(header::CACHE_CONTROL, text("no-store"));
    default(header::CONTENT_SECURITY_POLICY, text("default-src 'none'; frame-ancestors 'none'"));
    default(HeaderName::from_static("cross-origin-opener-policy"), text("same-origin"));
    default(HeaderName::from_static("permissions-policy"), text("camera=(), microphone=(), geolocation=()"));
    if shared.https {
        default(header::STRICT_TRANSPORT_SECURITY, text("max-age=31536000"));
    }
    // By our own clock: homes whose clock is wrong correct themselves by it.
    if let Some(date) = http_date(shared.clock.unix_seconds()) {
        default(header::DATE, date);
    }
    response
}

/// The policy of our pages; the consent page's form may also lead to the client's own origin.
pub(super) fn page_policy(form_target: Option<&str>) -> HeaderValue {
    let target = form_target.map(|origin| format!(" {origin}")).unwrap_or_default();
    let policy = format!(
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'{target}; base-uri 'none'; frame-ancestors 'none'"
    );
    // An origin is ASCII; should one ever not be, the strict policy is the safe one.
    HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"))
}

/// The policy of the few pages with our script.
pub(super) fn script_policy() -> HeaderValue {
    HeaderValue::from_static(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    )
}

fn http_date(unix_seconds: u64) -> Option<HeaderValue> {
    let format =
        format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");
    let date = OffsetDateTime::from_unix_timestamp(i64::try_from(unix_seconds).ok()?).ok()?;
    HeaderValue::from_str(&date.format(&format).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_read_as_http_wants_them() {
        assert_eq!(http_date(784_111_777).unwrap(), "Sun, 06 Nov 1994 08:49:37 GMT");
    }
}
