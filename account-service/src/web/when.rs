//! Times in words.

use time::OffsetDateTime;
use time::macros::format_description;

/// How long ago, or the date when that says more. Times are seconds since 1970.
pub(super) fn ago(now: i64, then: i64) -> String {
    let seconds = now.saturating_sub(then);
    match seconds {
        ..60 => "just now".into(),
        60..3600 => counted(seconds / 60, "minute") + " ago",
        3600..86_400 => counted(seconds / 3600, "hour") + " ago",
        86_400..1_209_600 => counted(seconds / 86_400, "day") + " ago",
        _ => date(then),
    }
}

/// Such as 22 November 2026.
pub(super) fn date(then: i64) -> String {
    let format = format_description!("[day padding:none] [month repr:long] [year]");
    let date = OffsetDateTime::from_unix_timestamp(then).ok();
    date.and_then(|date| date.format(&format).ok()).unwrap_or_else(|| "long ago".into())
}

/// How long something lasts, rounded up.
pub(super) fn duration(seconds: u64) -> String {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    if seconds < 90 { counted(seconds.max(1), "second") } else { counted((seconds - 1) / 60 + 1, "minute") }
}

fn counted(number: i64, unit: &str) -> String {
    if number == 1 { format!("1 {unit}") } else { format!("{number} {unit}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_well() {
        let now = 1_795_305_600;
        let said: Vec<String> =
            [0, 60, 7200, 86_400, 30 * 86_400].into_iter().map(|back| ago(now, now - back)).collect();
        assert_eq!(said, ["just now", "1 minute ago", "2 hours ago", "1 day ago", "23 October 2026"]);
        assert_eq!(
            (duration(1), duration(90), duration(600)),
            ("1 second".into(), "2 minutes".into(), "10 minutes".into())
        );
    }
}
