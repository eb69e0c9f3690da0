//! Times, as operators write and read them.

use anyhow::{Context as _, bail};
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, OffsetDateTime};

/// Seconds since 1970 of a time: so long ago, a day, or a moment.
///
/// # Errors
/// With the ways in which it can be written.
pub(super) fn parse(text: &str, now: i64) -> anyhow::Result<i64> {
    if let Some(ago) = ago(text) {
        return Ok(now.saturating_sub(ago));
    }
    if let Ok(date) = Date::parse(text, format_description!("[year]-[month]-[day]")) {
        return Ok(date.midnight().assume_utc().unix_timestamp());
    }
    match OffsetDateTime::parse(text, &Rfc3339) {
        Ok(moment) => Ok(moment.unix_timestamp()),
        Err(_) => bail!("{text:?} is no time: write 7d, 12h or 30m (ago), 2026-11-22, or 2026-11-22T07:30:00Z"),
    }
}

fn ago(text: &str) -> Option<i64> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "d" => 86_400,
        "h" => 3600,
        "m" => 60,
        "s" => 1,
        _ => return None,
    };
    number.parse::<u32>().ok().map(|number| i64::from(number) * seconds)
}

/// A time for people, in UTC.
pub(super) fn text(seconds: i64) -> String {
    let moment = OffsetDateTime::from_unix_timestamp(seconds).context("out of range");
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second] UTC");
    moment.and_then(|moment| moment.format(&format).context("a plain format")).unwrap_or_else(|_| seconds.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        let now = 1_795_305_600;
        assert_eq!(parse("2d", now).unwrap(), now - 2 * 86_400);
        assert_eq!(parse("90m", now).unwrap(), now - 5400);
        assert_eq!(parse("2026-11-22", now).unwrap(), 1_795_305_600);
        assert_eq!(parse("2026-11-22T01:00:00+01:00", now).unwrap(), 1_795_305_600);
        for wrong in ["", "d", "yesterday", "2026-13-01", "-1d", "1é", "99999999999d"] {
            assert!(parse(wrong, now).unwrap_err().to_string().contains("7d"), "{wrong}");
        }
        assert_eq!(text(now), "2026-11-22 00:00:00 UTC");
    }
}
