//! `/admin/v1`: what operators' programs may do, over HTTP and JSON. `/openapi.json` beside it describes it.
//!
//! It lives on the operators' listener and not on the public one: a token for operators can delete every account, so one
//! that leaked must not be enough. Whoever comes needs both, a way to that listener and a token, which a client gets in its
//! own name (client credentials) with the scope `ma_cloud.admin`, or `ma_cloud.admin.read` for looking only. E-mail
//! addresses are never part of a path or query, which end up in logs. Everything is noted in the audit as done by the client.

#![expect(clippy::result_large_err, reason = "a refusal is made once a request, and returned by value as an answer is")]

mod call;
mod clients;
mod homes;
mod keys;
mod plans;
mod problem;
mod users;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use macloud_service_kit::http::{Peer, Security};
use macloud_service_kit::tls::{Certificate, TlsError};

use self::problem::Problem;
use crate::AccountService;
use crate::routes::Routes;

pub(crate) fn routes() -> Routes<AccountService> {
    Routes::new()
        .route("/openapi.json", get(description))
        .route("/admin/v1/users", get(users::list))
        .route("/admin/v1/users/find", post(users::find))
        .route("/admin/v1/users/{user}", get(users::show).delete(users::delete))
        .route("/admin/v1/users/{user}/suspend", post(users::suspend))
        .route("/admin/v1/users/{user}/resume", post(users::resume))
        .route("/admin/v1/users/{user}/end-sessions", post(users::end_sessions))
        .route("/admin/v1/users/{user}/reset-second-step", post(users::reset_second_step))
        .route("/admin/v1/users/{user}/plan", get(plans::show).put(plans::set))
        .route("/admin/v1/plans", get(plans::list))
        .route("/admin/v1/clients", get(clients::list).post(clients::create))
        .route("/admin/v1/clients/{client}", get(clients::show).patch(clients::update).delete(clients::delete))
        .route("/admin/v1/clients/{client}/rotate-secret", post(clients::rotate_secret))
        .route("/admin/v1/homes", get(homes::list))
        .route("/admin/v1/homes/{home}", get(homes::show).delete(homes::unlink))
        .route("/admin/v1/homes/{home}/pause", post(homes::pause))
        .route("/admin/v1/homes/{home}/resume", post(homes::resume))
        .route("/admin/v1/keys", get(keys::list))
        .route("/admin/v1/keys/rotate", post(keys::rotate))
        .route("/admin/v1/audit", get(keys::audit))
}

/// Turns away whoever comes over a network in clear, or with less than TLS 1.3: a token that is shown there could be read on
/// its way, and used by others. Whom a proxy on this machine passes on came over a network, too, and nobody knows how.
pub(crate) async fn unless_overheard(request: Request, next: Next) -> Response {
    let is_overheard = request.extensions().get::<Peer>().is_some_and(|peer| match peer.security {
        Security::Plain => {
            !peer.addr.ip().to_canonical().is_loopback() || is_passed_on(request.headers()) || !is_for_here(&request)
        }
        Security::Tls12 => true,
        Security::Tls13 => false,
    });
    if is_overheard {
        return Problem::overheard().into_response();
    }
    next.run(request).await
}

/// Whether a proxy says that it passes this on for somebody, or a browser that it is one.
fn is_passed_on(headers: &HeaderMap) -> bool {
    headers.keys().map(HeaderName::as_str).any(|name| {
        name.starts_with("x-forwarded-") || name.starts_with("sec-fetch-") || OF_PROXIES_AND_BROWSERS.contains(&name)
    })
}

/// Whether this machine is who was asked for: many proxies pass on the name by which they were called.
fn is_for_here(request: &Request) -> bool {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let host = request.uri().authority().map(Authority::as_str).or(host);
    let Some(host) = host.and_then(|host| host.parse::<Authority>().ok()) else { return false };
    let name = host.host().trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

const OF_PROXIES_AND_BROWSERS: [&str; 10] = [
    "forwarded",
    "via",
    "x-real-ip",
    "cf-connecting-ip",
    "true-client-ip",
    "x-client-ip",
    "x-original-host",
    "x-envoy-external-address",
    "fly-client-ip",
    "origin",
];

/// TLS for the operators' listener, as it is given on the command line.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct AdminTlsArgs {
    /// Certificate chain (PEM) for --admin-listen. Without it, the API for operators answers programs on this machine only.
    #[arg(long, value_name = "FILE", requires = "admin_tls_key")]
    pub admin_tls_cert: Option<PathBuf>,
    /// Private key (PEM) of that certificate.
    #[arg(long, value_name = "FILE", requires = "admin_tls_cert")]
    pub admin_tls_key: Option<PathBuf>,
}

impl AdminTlsArgs {
    /// The certificate for a listener at this address, if there is one. Says so where that shuts operators' programs out.
    ///
    /// # Errors
    /// When the files cannot be used.
    pub fn certificate(&self, address: SocketAddr) -> Result<Option<Arc<Certificate>>, TlsError> {
        let (Some(chain), Some(key)) = (&self.admin_tls_cert, &self.admin_tls_key) else {
            if !address.ip().to_canonical().is_loopback() {
                tracing::warn!(
                    "--admin-listen has no certificate: the API for operators answers programs on this machine only"
                );
            }
            return Ok(None);
        };
        Certificate::load(chain, key).map(Some)
    }
}

type Answer = Result<Response, Problem>;

/// Tokens come from the public listener, so their address is told whole.
async fn description(State(accounts): State<AccountService>) -> Response {
    let token_url = accounts.shared.url("/oauth/token");
    let text = include_str!("../openapi/operators.json").replace(r#""/oauth/token""#, &format!("{token_url:?}"));
    ([("content-type", "application/json")], text).into_response()
}

/// A JSON answer.
fn json(value: &impl serde::Serialize) -> Answer {
    let body = serde_json::to_string(value).map_err(|_| Problem::unavailable())?;
    Ok(([("content-type", "application/json")], body).into_response())
}
