//! What all measurements of relays have in common: on what they were made, and where their results go.

use std::path::Path;

use anyhow::Context as _;

use crate::report;
use crate::report::results::{Machine, Results};

/// The machine as it was before a measurement.
pub(crate) struct Before(String);

impl Before {
    pub(crate) fn now() -> Self {
        Self(load_average())
    }

    /// With how it is now.
    pub(crate) fn and_after(self) -> Machine {
        Machine {
            cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            load_before: self.0,
            load_after: load_average(),
            version: env!("CARGO_PKG_VERSION").into(),
        }
    }
}

/// Over 1, 5 and 15 minutes.
pub(crate) fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

/// Print results, and keep them for `loadtest report`.
#[expect(clippy::print_stdout, reason = "the result of a measurement belongs on standard output")]
pub(crate) fn publish(results: &Results, out: Option<&Path>, json: bool) -> anyhow::Result<()> {
    let document = serde_json::to_string(results)?;
    if let Some(path) = out {
        std::fs::write(path, &document).with_context(|| format!("cannot write {}", path.display()))?;
    }
    println!("{}", if json { document } else { report::text(results) });
    Ok(())
}
