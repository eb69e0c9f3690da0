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
    /// Nothing registered: not ready, for nobody has looked yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Say whether `what` holds. The first call registers it.
    pub fn set(&self, what: &'static str, ok: bool) {
        self.0.lock().expect("no code panics while holding this lock").insert(what, ok);
    }

    /// Whether something is registered, and all of it holds.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        all_hold(&self.0.lock().expect("no code panics while holding this lock"))
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
        let ready = all_hold(&checks);
        let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        (status, Json(serde_json::json!({"ready": ready, "checks": checks}))).into_response()
    }
}

fn all_hold(checks: &BTreeMap<&'static str, bool>) -> bool {
    !checks.is_empty() && checks.values().all(|ok| *ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_not_looked_at_yet_is_not_ready() {
        let health = Health::new();
        assert!(!health.is_ready());
        assert_eq!(health.report().status(), StatusCode::SERVICE_UNAVAILABLE);
        health.set("database", true);
        assert!(health.is_ready());
        assert_eq!(health.report().status(), StatusCode::OK);
        health.set("serving", false);
        assert!(!health.is_ready());
    }
}
