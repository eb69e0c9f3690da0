//! How often each step succeeded, by the hour, for thirty days: a small file that survives restarts.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::keep;
use super::round::{Report, Verdict};

/// What is kept.
pub(super) struct History {
    file: PathBuf,
    hours: BTreeMap<u64, BTreeMap<String, Counted>>,
    saved_at: u64,
}

/// In one hour.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Counted {
    good: u32,
    tried: u32,
}

impl History {
    /// What was kept in this file; nothing if it cannot be read, which is said in the log.
    pub(super) fn open(file: PathBuf, now: u64) -> Self {
        let hours = match std::fs::read_to_string(&file) {
            Ok(text) => serde_json::from_str(&text).unwrap_or_else(|error| {
                tracing::warn!(%error, file = %file.display(), "the history cannot be read: it begins anew");
                BTreeMap::new()
            }),
            Err(error) => {
                if error.kind() != std::io::ErrorKind::NotFound {
                    tracing::warn!(%error, file = %file.display(), "the history cannot be read: it begins anew");
                }
                BTreeMap::new()
            }
        };
        Self { file, hours, saved_at: now }
    }

    /// Count a round, and write it down now and then.
    pub(super) fn note(&mut self, report: &Report) {
        let hour = report.at / 3600;
        let counted = self.hours.entry(hour).or_default();
        for step in report.steps.iter().filter(|step| step.verdict != Verdict::NotTried) {
            let counted = counted.entry(step.name.to_owned()).or_default();
            counted.tried += 1;
            counted.good += u32::from(step.verdict != Verdict::Failed);
        }
        self.hours = self.hours.split_off(&(hour + 1).saturating_sub(HOURS));
        if report.at >= self.saved_at + SAVE_EVERY {
            self.save();
            self.saved_at = report.at;
        }
    }

    /// Of the last so many hours, the share of a step's tries that succeeded. None where there was none.
    pub(super) fn availability(&self, step: &str, hours: u64, now: u64) -> Option<f64> {
        let from = (now / 3600 + 1).saturating_sub(hours);
        let of_step = self.hours.range(from..).filter_map(|(_, counted)| counted.get(step));
        let (good, tried) =
            of_step.fold((0, 0), |(good, tried), hour| (good + u64::from(hour.good), tried + u64::from(hour.tried)));
        (tried > 0).then(|| good as f64 / tried as f64)
    }

    /// Write it down.
    pub(super) fn save(&self) {
        let written = serde_json::to_string(&self.hours).map_err(std::io::Error::other);
        if let Err(error) = written.and_then(|text| keep(&self.file, &text)) {
            tracing::warn!(%error, file = %self.file.display(), "the history cannot be written");
        }
    }
}

/// Thirty days.
pub(super) const HOURS: u64 = 30 * 24;
/// It is worth a few minutes of history not to write each minute.
const SAVE_EVERY: u64 = 300;

#[cfg(test)]
mod tests {
    use super::super::round::Step;
    use super::*;

    #[test]
    fn availability_is_what_succeeded_of_what_was_tried_and_survives_a_restart() {
        let name = macloud_proto::ids::base32(&macloud_service_kit::random::bytes::<8>());
        let file = std::env::temp_dir().join(format!("macloud-canary-history-{name}.json"));
        let day = 86_400;
        let now = 1_795_305_600;
        let report = |at, verdict| Report {
            event: "round",
            at,
            ok: verdict == Verdict::Ok,
            millis: 1.0,
            steps: vec![
                Step { name: "play", verdict, millis: 1.0, trouble: None },
                Step { name: "pause", verdict: Verdict::NotTried, millis: 0.0, trouble: None },
            ],
        };
        let mut history = History::open(file.clone(), now);
        history.note(&report(now - 40 * day, Verdict::Failed));
        history.note(&report(now - 2 * day, Verdict::Failed));
        for verdict in [Verdict::Ok, Verdict::Slow, Verdict::Failed] {
            history.note(&report(now, verdict));
        }
        history.save();
        let history = History::open(file.clone(), now);
        assert_eq!(history.availability("play", 24, now), Some(2.0 / 3.0));
        assert_eq!(history.availability("play", HOURS, now), Some(0.5), "what is older is gone");
        assert_eq!(history.availability("pause", HOURS, now), None);
        std::fs::remove_file(file).unwrap();
    }
}
