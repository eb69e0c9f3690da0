//! What time it is at home, for "quiet from ten to seven".
//!
//! Time zones come from the machine: the last line of its zone file is the POSIX rule that holds from now on
//! (`CET-1CEST,M3.5.0,M10.5.0/3`), and that one line is all that is read. What was the case in former years is nobody's business
//! here.

use std::path::Path;

use time::{Date, Month, OffsetDateTime};

/// A place's distance from UTC, and when it changes within a year.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    /// Seconds that the clock is ahead of UTC.
    standard: i64,
    summer: Option<Summer>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Summer {
    ahead: i64,
    begins: Day,
    ends: Day,
}

/// A day of a year, and the local second of it at which the clock is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Day {
    on: On,
    second: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum On {
    /// The n-th such weekday of a month; the fifth is the last. Sunday is 0.
    Weekday { month: u8, week: u8, day: u8 },
    /// Day 1 to 365 of a year, the 29th of February not counted.
    Julian(u16),
    /// Day 0 to 365 of a year.
    Ordinal(u16),
}

impl Zone {
    /// The clock of the world.
    pub const UTC: Self = Self { standard: 0, summer: None };

    /// The zone that this machine is set to: by `TZ`, else by its zone file, else UTC.
    #[must_use]
    pub fn of_this_machine() -> Self {
        let named = std::env::var("TZ").ok().filter(|name| !name.is_empty());
        let zone = match named.as_deref().map(|name| name.trim_start_matches(':')) {
            Some(name) if name.starts_with('/') => Self::of_file(Path::new(name)),
            // A name never leads out of the directory of zones.
            Some(name) if name.contains("..") => None,
            Some(name) => Self::of_file(&Path::new("/usr/share/zoneinfo").join(name)).or_else(|| Self::parse(name)),
            None => Self::of_file(Path::new("/etc/localtime")),
        };
        zone.unwrap_or(Self::UTC)
    }

    fn of_file(path: &Path) -> Option<Self> {
        Self::of_zone_file(&std::fs::read(path).ok()?)
    }

    /// The rule at the end of a zone file (RFC 9636).
    #[must_use]
    pub fn of_zone_file(bytes: &[u8]) -> Option<Self> {
        if !bytes.starts_with(b"TZif") {
            return None;
        }
        let text = bytes.strip_suffix(b"\n")?;
        let line = text.rsplit(|byte| *byte == b'\n').next()?;
        Self::parse(std::str::from_utf8(line).ok()?)
    }

    /// A rule as POSIX writes it.
    #[must_use]
    pub fn parse(rule: &str) -> Option<Self> {
        let mut rest = Rest(rule);
        rest.name()?;
        let standard = -rest.clock()?;
        if rest.0.is_empty() {
            return Some(Self { standard, summer: None });
        }
        rest.name()?;
        let ahead = if rest.0.is_empty() || rest.0.starts_with(',') { standard + 3600 } else { -rest.clock()? };
        let begins = rest.day()?;
        let ends = rest.day()?;
        rest.0.is_empty().then_some(Self { standard, summer: Some(Summer { ahead, begins, ends }) })
    }

    /// Minutes since midnight there.
    #[must_use]
    pub fn minute_of_day(&self, unix_seconds: u64) -> u16 {
        let utc = i64::try_from(unix_seconds).unwrap_or(0);
        ((utc + self.ahead_at(utc)).rem_euclid(86_400) / 60) as u16
    }

    fn ahead_at(&self, utc: i64) -> i64 {
        let Some(summer) = &self.summer else { return self.standard };
        let Ok(local) = OffsetDateTime::from_unix_timestamp(utc.saturating_add(self.standard)) else {
            return self.standard;
        };
        let (Some(begins), Some(ends)) = (summer.begins.at(local.year()), summer.ends.at(local.year())) else {
            return self.standard;
        };
        // Each is given by the clock that is about to be changed.
        let (begins, ends) = (begins - self.standard, ends - summer.ahead);
        let is_summer = if begins < ends { (begins..ends).contains(&utc) } else { !(ends..begins).contains(&utc) };
        if is_summer { summer.ahead } else { self.standard }
    }
}

impl Day {
    /// Seconds since 1970 by a clock that shows local time.
    fn at(self, year: i32) -> Option<i64> {
        let date = match self.on {
            On::Weekday { month, week, day } => {
                let month = Month::try_from(month).ok()?;
                let first = Date::from_calendar_date(year, month, 1).ok()?.weekday().number_days_from_sunday();
                let mut at = 1 + (7 + day - first) % 7 + 7 * (week - 1);
                while Date::from_calendar_date(year, month, at).is_err() {
                    at -= 7;
                }
                Date::from_calendar_date(year, month, at).ok()?
            }
            On::Julian(day) => {
                let leap = Date::from_ordinal_date(year, 366).is_ok();
                Date::from_ordinal_date(year, day + u16::from(leap && day >= 60)).ok()?
            }
            On::Ordinal(day) => Date::from_ordinal_date(year, day + 1).ok()?,
        };
        Some(date.midnight().assume_utc().unix_timestamp() + self.second)
    }
}

/// What has not been read yet.
struct Rest<'a>(&'a str);

impl Rest<'_> {
    fn take(&mut self, wanted: impl Fn(char) -> bool) -> &str {
        let end = self.0.find(|c| !wanted(c)).unwrap_or(self.0.len());
        let (taken, rest) = self.0.split_at(end);
        self.0 = rest;
        taken
    }

    fn eat(&mut self, prefix: char) -> Option<()> {
        self.0 = self.0.strip_prefix(prefix)?;
        Some(())
    }

    fn number(&mut self, most: u16) -> Option<u16> {
        self.take(|c| c.is_ascii_digit()).parse().ok().filter(|number| *number <= most)
    }

    /// `CET` or `<+0545>`: of no use here.
    fn name(&mut self) -> Option<()> {
        let length = if self.eat('<').is_some() {
            let length = self.take(|c| c.is_ascii_alphanumeric() || "+-".contains(c)).len();
            self.eat('>')?;
            length
        } else {
            self.take(|c| c.is_ascii_alphabetic()).len()
        };
        (length >= 3).then_some(())
    }

    /// `-1`, `5:45` or `3:00:00`, in seconds. Up to a week, as newer zone files have it.
    fn clock(&mut self) -> Option<i64> {
        let sign = if self.eat('-').is_some() { -1 } else { 1 };
        let _ = self.eat('+');
        let mut seconds = i64::from(self.number(167)?) * 3600;
        for unit in [60, 1] {
            if self.eat(':').is_some() {
                seconds += i64::from(self.number(59)?) * unit;
            }
        }
        Some(sign * seconds)
    }

    /// `,M10.5.0/3`, `,J60` or `,59`.
    fn day(&mut self) -> Option<Day> {
        self.eat(',')?;
        let on = if self.eat('M').is_some() {
            let month = self.number(12).filter(|month| *month >= 1)? as u8;
            self.eat('.')?;
            let week = self.number(5).filter(|week| *week >= 1)? as u8;
            self.eat('.')?;
            On::Weekday { month, week, day: self.number(6)? as u8 }
        } else if self.eat('J').is_some() {
            On::Julian(self.number(365).filter(|day| *day >= 1)?)
        } else {
            On::Ordinal(self.number(365)?)
        };
        let second = if self.eat('/').is_some() { self.clock()? } else { 2 * 3600 };
        Some(Day { on, second })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_time_of_day_is_that_of_the_place() {
        // Around the changes of 2026 and in between; the minutes are those of another implementation.
        let moments = [
            1_774_745_999,
            1_774_746_000,
            1_782_907_200,
            1_793_512_740,
            1_793_512_800,
            1_798_761_540,
            1_775_318_340,
            1_775_318_400,
        ];
        for (rule, minutes) in [
            ("CET-1CEST,M3.5.0,M10.5.0/3", [119, 180, 840, 419, 420, 59, 1079, 1080]),
            ("EST5EDT,M3.2.0,M11.1.0", [1259, 1260, 480, 119, 60, 1139, 719, 720]),
            ("AEST-10AEDT,M10.1.0,M4.1.0/3", [719, 720, 1320, 1019, 1020, 659, 179, 120]),
            ("<+0545>-5:45", [404, 405, 1065, 704, 705, 344, 1304, 1305]),
            ("IST-1GMT0,M10.5.0,M3.5.0/1", [59, 120, 780, 359, 360, 1439, 1019, 1020]),
            ("<-02>2<-01>,M3.5.0/-1,M10.5.0/0", [1379, 0, 660, 239, 240, 1319, 899, 900]),
        ] {
            let zone = Zone::parse(rule).unwrap();
            assert_eq!(moments.map(|moment| zone.minute_of_day(moment)), minutes, "{rule}");
        }
    }

    #[test]
    fn days_are_counted_in_all_three_ways() {
        let at = |rule: &str, year| {
            Zone::parse(&format!("A-1BBB,{rule},{rule}").replace('A', "AAA")).unwrap().summer.unwrap().begins.at(year)
        };
        assert_eq!(at("J60/0", 2028), at("M3.1.3/0", 2028), "the first of March, in a leap year too");
        assert_eq!(at("59/0", 2026), at("J60/0", 2026));
        assert_eq!(at("59/0", 2028).map(|at| at + 86_400), at("60/0", 2028));
    }

    #[test]
    fn zone_files_end_with_their_rule() {
        assert_eq!(Zone::of_zone_file(b"TZif2....\nUTC0\n"), Some(Zone::UTC));
        assert_eq!(Zone::of_zone_file(b"TZif2....\n\n"), None);
        assert_eq!(Zone::of_zone_file(b"hello\nUTC0\n"), None);
    }

    #[test]
    fn what_is_no_rule_is_none() {
        for text in [
            "",
            "C",
            "CET",
            "CET-1CEST",
            "CET-1CEST,M13.1.0,M1.1.0",
            "CET-1CEST,M3.5.0,M10.5.0/3x",
            "CET-1CEST,M3.0.0,M1.1.0",
        ] {
            assert_eq!(Zone::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn anything_is_read_without_panic(text in "[A-C<>+,./:J M0-9-]{0,40}", bytes in prop::collection::vec(any::<u8>(), 0..80), now: u64) {
            for zone in [Zone::parse(&text), Zone::of_zone_file(&bytes), Zone::parse(&format!("CET-1CEST,{text}"))].into_iter().flatten() {
                prop_assert!(zone.minute_of_day(now) < 1440);
            }
        }
    }
}
