//! Times in words.

use time::OffsetDateTime;

use crate::words::{say, with};

/// How long ago, or the date when that says more. Times are seconds since 1970.
pub(super) fn ago(now: i64, then: i64) -> String {
    let seconds = now.saturating_sub(then);
    match seconds {
        ..60 => say("when-just-now"),
        60..3600 => counted("when-minutes-ago", seconds / 60),
        3600..86_400 => counted("when-hours-ago", seconds / 3600),
        86_400..1_209_600 => counted("when-days-ago", seconds / 86_400),
        _ => date(then),
    }
}

/// Such as 22 November 2026.
pub(super) fn date(then: i64) -> String {
    let Ok(date) = OffsetDateTime::from_unix_timestamp(then) else { return say("when-long-ago") };
    let month = u8::from(date.month());
    with("when-date", &[("day", date.day().into()), ("month", month.into()), ("year", date.year().into())])
}

/// How long something lasts, rounded up.
pub(super) fn duration(seconds: u64) -> String {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX).max(1);
    let up_to = |unit: i64| (seconds - 1) / unit + 1;
    match seconds {
        ..90 => counted("when-seconds", seconds),
        90..7200 => counted("when-minutes", up_to(60)),
        7200..172_800 => counted("when-hours", up_to(3600)),
        _ => counted("when-days", up_to(86_400)),
    }
}

fn counted(key: &str, count: i64) -> String {
    with(key, &[("count", count.into())])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_well() {
        let now = 1_795_305_600;
        let said: Vec<String> =
            [0, 60, 7200, 86_400, 2 * 86_400, 30 * 86_400].into_iter().map(|back| ago(now, now - back)).collect();
        assert_eq!(said, ["just now", "1 minute ago", "2 hours ago", "1 day ago", "2 days ago", "23 October 2026"]);
        let lasting = [1, 90, 600, 7199, 7200, 86_400, 30 * 86_400].map(duration);
        assert_eq!(lasting, ["1 second", "2 minutes", "10 minutes", "120 minutes", "2 hours", "24 hours", "30 days"]);
        assert_eq!(date(i64::MAX), "long ago");
    }
}
