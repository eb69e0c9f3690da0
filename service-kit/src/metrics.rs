//! Metrics: services count through `opentelemetry::global::meter`, Prometheus reads `/metrics` on the admin listener.

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse as _;
use axum::routing::get;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::{Encoder as _, Registry, TextEncoder};

use crate::process;

/// The process's metrics.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Registry,
    _provider: SdkMeterProvider,
}

impl Metrics {
    /// Install the global meter provider, for a program of this name, and count what every process has. Call once, before any
    /// service makes its instruments.
    ///
    /// # Errors
    /// When the exporter cannot register itself.
    pub fn install(service: &'static str) -> anyhow::Result<Self> {
        let registry = Registry::new();
        let exporter = opentelemetry_prometheus::exporter().with_registry(registry.clone()).build()?;
        let resource = opentelemetry_sdk::Resource::builder().with_service_name(service).build();
        let provider = SdkMeterProvider::builder().with_resource(resource).with_reader(exporter).build();
        opentelemetry::global::set_meter_provider(provider.clone());
        process::observe();
        Ok(Self { registry, _provider: provider })
    }

    /// Everything counted so far, in Prometheus's text format.
    ///
    /// # Errors
    /// When a metric cannot be encoded.
    pub fn render(&self) -> anyhow::Result<String> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(String::from_utf8(text)?)
    }

    /// `/metrics`.
    pub fn router(&self) -> Router {
        let metrics = self.clone();
        Router::new().route(
            "/metrics",
            get(move || async move {
                match metrics.render() {
                    Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
                    Err(error) => {
                        tracing::error!(%error, "cannot render metrics");
                        StatusCode::INTERNAL_SERVER_ERROR.into_response()
                    }
                }
            }),
        )
    }
}
