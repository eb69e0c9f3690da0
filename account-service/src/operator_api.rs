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
mod problem;
mod users;

use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};

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

type Answer = Result<Response, Problem>;

async fn description() -> Response {
    ([("content-type", "application/json")], include_str!("../openapi/operators.json")).into_response()
}

/// A JSON answer.
fn json(value: &impl serde::Serialize) -> Answer {
    let body = serde_json::to_string(value).map_err(|_| Problem::unavailable())?;
    Ok(([("content-type", "application/json")], body).into_response())
}
