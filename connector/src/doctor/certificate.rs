//! Who has signed a certificate, and until when it is good: the two things that a person can compare with what should be.
//!
//! Only certificates whose signature was found right are read. All the same nothing is believed of their lengths.

use time::PrimitiveDateTime;

/// What is told of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Certificate {
    /// Who has signed it, as they call themselves.
    pub(super) issuer: Option<String>,
    /// Seconds since 1970 when it ends.
    pub(super) ends_at: i64,
}

/// Read one (RFC 5280 section 4.1). `None` where it is not understood.
pub(super) fn read(der: &[u8]) -> Option<Certificate> {
    let (certificate, _) = inside(der, SEQUENCE)?;
    let (mut fields, _) = inside(certificate, SEQUENCE)?;
    if let Some((_, rest)) = inside(fields, VERSION) {
        fields = rest;
    }
    let (_, rest) = inside(fields, INTEGER)?;
    let (_, rest) = inside(rest, SEQUENCE)?;
    let (issuer, rest) = inside(rest, SEQUENCE)?;
    let (validity, _) = inside(rest, SEQUENCE)?;
    let (_, _, not_after) = element(validity)?;
    let (tag, text, _) = element(not_after)?;
    Some(Certificate {
        issuer: name(issuer, ORGANISATION).or_else(|| name(issuer, COMMON_NAME)),
        ends_at: time(tag, text)?,
    })
}

const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const VERSION: u8 = 0xa0;

/// 2.5.4.10 and 2.5.4.3, tag and length included.
const ORGANISATION: &[u8] = &[0x06, 3, 0x55, 4, 10];
const COMMON_NAME: &[u8] = &[0x06, 3, 0x55, 4, 3];

/// Long enough for every authority's name.
const MAX_NAME: usize = 64;

/// The first element: its tag, what is in it, and what follows it.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, short], rest) = bytes.split_first_chunk()?;
    let (length, rest) = match short {
        0..=0x7f => (usize::from(short), rest),
        0x81..=0x83 => {
            let (length, rest) = rest.split_at_checked(usize::from(short & 0x7f))?;
            (length.iter().fold(0, |length, byte| (length << 8) | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (inside, rest) = rest.split_at_checked(length)?;
    Some((tag, inside, rest))
}

fn inside(bytes: &[u8], wanted: u8) -> Option<(&[u8], &[u8])> {
    let (tag, inside, rest) = element(bytes)?;
    (tag == wanted).then_some((inside, rest))
}

/// The part of a name that is of this kind.
fn name(mut parts: &[u8], kind: &[u8]) -> Option<String> {
    while let Some((set, rest)) = inside(parts, SET) {
        parts = rest;
        let Some((part, _)) = inside(set, SEQUENCE) else { continue };
        let Some((_, text, _)) = part.strip_prefix(kind).and_then(element) else { continue };
        let text: String = String::from_utf8_lossy(text).chars().filter(|c| !c.is_control()).take(MAX_NAME).collect();
        return Some(text).filter(|text| !text.trim().is_empty());
    }
    None
}

fn time(tag: u8, text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    let whole = match tag {
        GENERALIZED_TIME => text.to_owned(),
        // Two digits of a year, until 2049.
        UTC_TIME if text.get(..2)? >= "50" => format!("19{text}"),
        UTC_TIME => format!("20{text}"),
        _ => return None,
    };
    let format = time::macros::format_description!("[year][month][day][hour][minute][second]Z");
    Some(PrimitiveDateTime::parse(&whole, &format).ok()?.assume_utc().unix_timestamp())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn made(ends: (i32, u8, u8)) -> Vec<u8> {
        let mut params = rcgen::CertificateParams::new(vec!["cloud.example".into()]).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, "R1");
        params.distinguished_name.push(rcgen::DnType::OrganizationName, "An Authority");
        params.not_after = rcgen::date_time_ymd(ends.0, ends.1, ends.2);
        params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn issuer_and_end_are_read() {
        for (ends, at) in [((2031, 1, 2), 1_925_078_400), ((2060, 6, 1), 2_853_273_600)] {
            let read = read(&made(ends)).unwrap();
            assert_eq!(read, Certificate { issuer: Some("An Authority".into()), ends_at: at });
        }
    }

    proptest! {
        #[test]
        fn nothing_that_is_served_brings_it_down(at in any::<proptest::sample::Index>(), byte: u8, cut in any::<proptest::sample::Index>()) {
            let mut der = MADE.clone();
            let at = at.index(der.len());
            der[at] = byte;
            let _ = read(&der);
            let _ = read(&der[..cut.index(der.len())]);
        }
    }

    static MADE: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(|| made((2031, 1, 2)));
}
