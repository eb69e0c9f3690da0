//! Metrics: services count through `opentelemetry::global::meter`, Prometheus reads `/metrics` on the admin listener, and a collector
//! is sent the same if one is named.

mod exemplars;

use axum::Router;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse as _;
use axum::routing::get;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::{Encoder as _, Registry, TextEncoder};

pub use self::exemplars::note as note_exemplar;
use crate::process;
use crate::telemetry::otlp;

/// The process's metrics.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Registry,
    _provider: SdkMeterProvider,
}

impl Metrics {
    /// Install the global meter provider, for a program of this name, and count what every process has. Call once, before any
    /// service makes its instruments, and after [`telemetry::init`](crate::telemetry::init), which knows the collector.
    ///
    /// # Errors
    /// When the exporter cannot register itself, or the collector's address is unusable.
    pub fn install(service: &'static str) -> anyhow::Result<Self> {
        let registry = Registry::new();
        let exporter = opentelemetry_prometheus::exporter().with_registry(registry.clone()).build()?;
        let mut provider = SdkMeterProvider::builder().with_resource(otlp::resource(service)).with_reader(exporter);
        if let Some(sender) = otlp::metrics_reader()? {
            provider = provider.with_reader(sender);
        }
        let provider = provider.build();
        opentelemetry::global::set_meter_provider(provider.clone());
        otlp::send_at_end(provider.clone());
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

    /// Everything counted so far in OpenMetrics' text format, which has exemplars.
    ///
    /// # Errors
    /// When a metric cannot be encoded.
    pub fn render_openmetrics(&self) -> anyhow::Result<String> {
        self.render().map(|text| exemplars::openmetrics(&text))
    }

    /// `/metrics`, in the format that is asked for: OpenMetrics where `Accept` names it, else Prometheus's.
    pub fn router(&self) -> Router {
        let metrics = self.clone();
        Router::new().route(
            "/metrics",
            get(move |headers: HeaderMap| async move {
                let (rendered, content_type) = if wants_openmetrics(&headers) {
                    (metrics.render_openmetrics(), OPENMETRICS)
                } else {
                    (metrics.render(), "text/plain; version=0.0.4")
                };
                match rendered {
                    Ok(text) => ([(header::CONTENT_TYPE, content_type)], text).into_response(),
                    Err(error) => {
                        tracing::error!(%error, "cannot render metrics");
                        StatusCode::INTERNAL_SERVER_ERROR.into_response()
                    }
                }
            }),
        )
    }
}

/// Prometheus names it first when it is to store exemplars. Who names it can read it, unless with the weight 0: other weights are
/// not looked at.
fn wants_openmetrics(headers: &HeaderMap) -> bool {
    let accept = headers.get_all(header::ACCEPT).into_iter().filter_map(|accept| accept.to_str().ok());
    accept.flat_map(|accept| accept.split(',')).any(takes_openmetrics)
}

/// One of the kinds that `Accept` names.
fn takes_openmetrics(kind: &str) -> bool {
    let mut parts = kind.split(';').map(str::trim);
    let is_named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("application/openmetrics-text"));
    is_named && !parts.any(is_refusal)
}

/// A weight of 0 means "not acceptable" (RFC 9110, section 12.4.2).
fn is_refusal(parameter: &str) -> bool {
    let Some((name, value)) = parameter.split_once('=') else { return false };
    name.eq_ignore_ascii_case("q") && value.parse::<f32>() == Ok(0.0)
}

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(accept: impl AsRef<str>) -> bool {
        wants_openmetrics(&HeaderMap::from_iter([(header::ACCEPT, accept.as_ref().parse().unwrap())]))
    }

    #[test]
    fn openmetrics_is_for_those_who_name_it() {
        // As Prometheus 3 asks.
        assert!(asks(
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.4,*/*;q=0.2"
        ));
        assert!(asks("text/plain;q=0.5, application/openmetrics-text"));
        assert!(asks("Application/OpenMetrics-Text; q=0.001"));
        for refusal in ["q=0", "Q=0.000", "version=1.0.0; q=0"] {
            assert!(!asks(format!("application/openmetrics-text;{refusal}, text/plain")), "{refusal}");
        }
        assert!(!asks("application/openmetrics-texts"));
        assert!(!asks("text/plain;version=0.0.4"));
        assert!(!asks("*/*"));
        assert!(!wants_openmetrics(&HeaderMap::new()));
    }
}
