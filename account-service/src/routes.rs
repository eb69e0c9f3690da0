//! A router that remembers its paths, so that tests can hold what is served against what is described, and can send
//! strange things to all of it.

use std::sync::Arc;

use axum::Router;
use axum::routing::MethodRouter;

use crate::shared::Shared;

/// Paths and who answers them.
pub(crate) struct Routes<S = Arc<Shared>> {
    router: Router<S>,
    paths: Vec<&'static str>,
}

impl<S: Clone + Send + Sync + 'static> Routes<S> {
    pub(crate) fn new() -> Self {
        Self { router: Router::new(), paths: Vec::new() }
    }

    pub(crate) fn route(self, path: &'static str, answers: MethodRouter<S>) -> Self {
        let mut paths = self.paths;
        paths.push(path);
        Self { router: self.router.route(path, answers), paths }
    }

    pub(crate) fn merge(self, other: Self) -> Self {
        Self { router: self.router.merge(other.router), paths: [self.paths, other.paths].concat() }
    }

    pub(crate) fn paths(&self) -> &[&'static str] {
        &self.paths
    }

    pub(crate) fn serve(self, state: S) -> Router {
        self.router.with_state(state)
    }
}
