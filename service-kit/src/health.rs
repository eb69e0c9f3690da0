//! Liveness and readiness: `/healthz` says that the process serves, `/readyz` that it can do its work.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};

/// Named conditions that must hold for the process to do its work. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<Mutex<BTreeMap<&'static str, bool>>>);

impl Health {
    /// Nothing registered: ready.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Say whether `what` holds. The first call registers it.
    pub fn set(&self, what: &'static str, ok: bool) {
        self.0.lock().expect("no code panics while holding this lock").insert(what, ok);
    }

    /// Whether everything registered holds.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.0.lock().expect("no code panics while holding this lock").values().all(|ok| *ok)
    }

    /// `/healthz` and `/readyz`.
    pub fn router(&self) -> Router {
        let health = self.clone();
        Router::new()
            .route("/healthz", get(|| async { Json(serde_json::json!({"status": "ok"})) }))
            .route("/readyz", get(move || async move { health.report() }))
    }

    fn report(&self) -> Response {
        let checks = self.0.lock().expect("no code panics while holding this lock").clone();
        let ready = checks.values().all(|ok| *ok);
        let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        (status, Json(serde_json::json!({"ready": ready, "checks": checks}))).into_response()
    }
}
