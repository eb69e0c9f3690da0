//! When certificates end: the one date in them that wants somebody's attention in time.

use std::ops::Range;

use opentelemetry::KeyValue;
use rustls_pki_types::CertificateDer;

use crate::clock::SharedClock;

/// Report how long the certificate of a listener is still good, whenever metrics are read. `ends` says until when, in seconds
/// since 1970; without an answer nothing is reported.
pub(crate) fn observe(
    listener: &'static str,
    clock: SharedClock,
    ends: impl Fn() -> Option<u64> + Send + Sync + 'static,
) {
    opentelemetry::global::meter("macloud.tls")
        .f64_observable_gauge("macloud.certificate.expiry")
        .with_unit("s")
        .with_description("Until the certificate of this listener ends; negative once it has")
        .with_callback(move |observer| {
            if let Some(ends) = ends() {
                observer.observe(ends as f64 - clock.unix_seconds() as f64, &[KeyValue::new("listener", listener)]);
            }
        })
        .build();
}

/// When the first of these certificates ends, in seconds since 1970. `None` if one of them cannot be read.
pub(crate) fn of_chain(chain: &[CertificateDer<'_>]) -> Option<u64> {
    let ends: Option<Vec<u64>> = chain.iter().map(|certificate| ends_at(certificate)).collect();
    ends?.into_iter().min()
}

/// From when on the first of these is good, until the first of them ends, in seconds since 1970.
pub(crate) fn validity(chain: &[CertificateDer<'_>]) -> Option<Range<u64>> {
    let (begins, _) = dates(chain.first()?)?;
    Some(begins..of_chain(chain)?)
}

fn ends_at(certificate: &[u8]) -> Option<u64> {
    dates(certificate).map(|(_, ends)| ends)
}

/// `notBefore` and `notAfter` of a certificate (RFC 5280 section 4.1). Everything before them is stepped over.
fn dates(certificate: &[u8]) -> Option<(u64, u64)> {
    let certificate = Element::first(certificate)?;
    let mut rest = Element::first(certificate.content)?.content;
    if rest.first() == Some(&VERSION) {
        rest = Element::first(rest)?.rest;
    }
    for _serial_signature_issuer in 0..3 {
        rest = Element::first(rest)?.rest;
    }
    let not_before = Element::first(Element::first(rest)?.content)?;
    let not_after = Element::first(not_before.rest)?;
    let seconds = |date: Element<'_>| time(date.tag, std::str::from_utf8(date.content).ok()?);
    Some((seconds(not_before)?, seconds(not_after)?))
}

/// A value in DER, and what comes after it.
struct Element<'a> {
    tag: u8,
    content: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Element<'a> {
    fn first(der: &'a [u8]) -> Option<Self> {
        let (&tag, rest) = der.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            // Of how many bytes: more than four would be more than a certificate can have.
            0x81..=0x84 => {
                let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        Some(Self { tag, content, rest })
    }
}

/// As certificates write it: `YYMMDDHHMMSSZ` until 2049, `YYYYMMDDHHMMSSZ` from then on.
fn time(tag: u8, text: &str) -> Option<u64> {
    let text = text.strip_suffix('Z')?;
    let (year, rest) = match tag {
        UTC_TIME => {
            let (year, rest) = text.split_at_checked(2)?;
            let year: u64 = year.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = text.split_at_checked(4)?;
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    let two = |at: usize| rest.get(at..at + 2)?.parse::<u64>().ok();
    let (month, day, hour, minute, second) = (two(0)?, two(2)?, two(4)?, two(6)?, two(8)?);
    let fits =
        rest.len() == 10 && (1970..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    fits.then(|| days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second)
}

/// Days from 1970 to a date. Years begin in March here, so that the odd day is their last.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year / 4 - year / 100 + year / 400;
    year * 365 + leap_days + (153 * month + 2) / 5 + day - 1 - DAYS_TO_1970
}

/// From the first of March of the year 0.
const DAYS_TO_1970: u64 = 719_468;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn ending(year: i32, month: u8, day: u8) -> CertificateDer<'static> {
        let mut params = CertificateParams::new(vec!["cloud.example".to_owned()]).unwrap();
        params.not_after = date_time_ymd(year, month, day);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    #[test]
    fn the_end_of_a_certificate_is_read_and_the_first_one_of_a_chain_counts() {
        for (date, seconds) in [
            ((2030, 1, 1), 1_893_456_000),
            ((2028, 2, 29), 1_835_395_200),
            ((2049, 12, 31), 2_524_521_600),
            ((2051, 3, 1), 2_561_241_600),
        ] {
            assert_eq!(ends_at(&ending(date.0, date.1, date.2)), Some(seconds), "{date:?}");
        }
        let chain = [ending(2040, 1, 1), ending(2030, 1, 1)];
        assert_eq!(of_chain(&chain), Some(1_893_456_000));
        // rcgen's usual beginning, the first of January 1975.
        assert_eq!(validity(&chain), Some(157_766_400..1_893_456_000));
        assert_eq!(of_chain(&[]), None);
        assert_eq!(validity(&[]), None);
    }

    #[test]
    fn what_is_no_certificate_ends_at_no_time() {
        let whole = ending(2030, 1, 1);
        for length in 0..whole.len() {
            // Cut anywhere: no panic, and no date from half of one.
            assert_eq!(ends_at(&whole[..length]), None, "{length}");
        }
        assert_eq!(ends_at(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]), None);
        assert_eq!(time(UTC_TIME, "300001000000Z"), None);
        assert_eq!(time(UTC_TIME, "30"), None);
    }
}
