//! The little of DNS that finding a service takes (RFC 1035, 6762, 6763): one question out, records in.
//!
//! Packets come from whoever is in the network. Everything is bounded and checked; what does not fit makes the whole packet
//! worthless.

use std::net::Ipv4Addr;

const A: u16 = 1;
const PTR: u16 = 12;
const TXT: u16 = 16;
const SRV: u16 = 33;

/// "In the internet", and above it the wish to be answered directly.
const CLASS_IN_UNICAST: u16 = 0x8001;

/// More records than this say nothing about one server.
const MOST_RECORDS: usize = 128;

/// A name has at most this many characters.
const LONGEST_NAME: usize = 255;

/// A record of a kind that is of use here. Names are without the dot at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// An instance of a service.
    Pointer {
        /// The service.
        name: String,
        /// The instance.
        to: String,
    },
    /// Where an instance is served.
    Service {
        /// The instance.
        name: String,
        /// Its host.
        host: String,
        /// Its port.
        port: u16,
    },
    /// What an instance says of itself.
    Text {
        /// The instance.
        name: String,
        /// `key=value`, and nothing of what is written otherwise.
        entries: Vec<(String, String)>,
    },
    /// A host's address.
    Address {
        /// The host.
        name: String,
        /// Its address.
        address: Ipv4Addr,
    },
}

/// The question for all instances of `service`, such as `_mass._tcp.local`.
#[must_use]
pub fn question(service: &str) -> Vec<u8> {
    // No id and no flags; one question.
    let mut packet = vec![0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in service.split('.') {
        let label = &label.as_bytes()[..label.len().min(63)];
        packet.push(label.len() as u8);
        packet.extend_from_slice(label);
    }
    packet.push(0);
    packet.extend_from_slice(&PTR.to_be_bytes());
    packet.extend_from_slice(&CLASS_IN_UNICAST.to_be_bytes());
    packet
}

/// The records of an answer. `None` for what is not a well-formed one.
#[must_use]
pub fn records(packet: &[u8]) -> Option<Vec<Record>> {
    let mut reader = Reader { packet, at: 2 };
    let is_answer = reader.u16()? & 0x8000 != 0;
    let questions = usize::from(reader.u16()?);
    let count = usize::from(reader.u16()?) + usize::from(reader.u16()?) + usize::from(reader.u16()?);
    if !is_answer || questions > MOST_RECORDS || count > MOST_RECORDS {
        return None;
    }
    for _ in 0..questions {
        reader.name()?;
        reader.take(4)?;
    }
    let mut records = Vec::new();
    for _ in 0..count {
        records.extend(reader.record()?);
    }
    Some(records)
}

struct Reader<'a> {
    packet: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let taken = self.packet.get(self.at..self.at.checked_add(count)?)?;
        self.at += count;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    /// A name, followed through its abbreviations. Each leads further to the front, so that there is an end.
    fn name(&mut self) -> Option<String> {
        let mut name = String::new();
        let mut front = self.at;
        let mut back = None;
        loop {
            let length = self.u8()?;
            match length {
                0 => break,
                1..=63 => {
                    let label = std::str::from_utf8(self.take(length.into())?).ok()?;
                    if name.len() + label.len() >= LONGEST_NAME {
                        return None;
                    }
                    if !name.is_empty() {
                        name.push('.');
                    }
                    name.push_str(label);
                }
                192.. => {
                    let to = usize::from(length & 0x3f) << 8 | usize::from(self.u8()?);
                    if to >= front {
                        return None;
                    }
                    back.get_or_insert(self.at);
                    front = to;
                    self.at = to;
                }
                _ => return None,
            }
        }
        self.at = back.unwrap_or(self.at);
        Some(name)
    }

    /// One record; nothing inside if it is of another kind.
    fn record(&mut self) -> Option<Option<Record>> {
        let name = self.name()?;
        let kind = self.u16()?;
        self.take(6)?;
        let length = usize::from(self.u16()?);
        let end = self.at.checked_add(length).filter(|end| *end <= self.packet.len())?;
        let record = match kind {
            PTR => Some(Record::Pointer { name, to: self.name()? }),
            SRV => {
                self.take(4)?;
                let port = self.u16()?;
                Some(Record::Service { name, port, host: self.name()? })
            }
            TXT => Some(Record::Text { name, entries: self.entries(end)? }),
            A => {
                let bytes: [u8; 4] = self.take(length)?.try_into().ok()?;
                Some(Record::Address { name, address: bytes.into() })
            }
            _ => {
                self.at = end;
                None
            }
        };
        (self.at == end).then_some(record)
    }

    fn entries(&mut self, end: usize) -> Option<Vec<(String, String)>> {
        let mut entries = Vec::new();
        while self.at < end {
            let length = self.u8()?;
            let entry = self.take(length.into())?;
            if let Some((key, value)) = std::str::from_utf8(entry).ok().and_then(|entry| entry.split_once('=')) {
                entries.push((key.to_ascii_lowercase(), value.to_owned()));
            }
        }
        Some(entries)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_question_is_as_the_standard_writes_it() {
        let packet = question("_mass._tcp.local");
        assert_eq!(packet[..12], [0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(&packet[12..], b"\x05_mass\x04_tcp\x05local\x00\x00\x0c\x80\x01");
        assert_eq!(records(&packet), None, "not an answer");
    }

    #[test]
    fn abbreviations_that_lead_in_circles_or_ahead_end() {
        let header = [0, 0, 0x84, 0, 0, 0, 0, 1, 0, 0, 0, 0];
        for name in [&[192, 12][..], &[192, 14, 192, 12], &[1, b'a', 192, 12], &[192, 200], &[64, 0], &[5, b'a']] {
            assert_eq!(records(&[&header[..], name, &[0; 10]].concat()), None, "{name:?}");
        }
    }

    proptest! {
        #[test]
        fn any_packet_is_read_without_panic(mut packet in prop::collection::vec(any::<u8>(), 0..200), small in any::<bool>()) {
            if small && packet.len() >= 12 {
                packet[2] |= 0x80;
                for at in [4, 6, 8, 10] {
                    packet[at] = 0;
                    packet[at + 1] %= 4;
                }
            }
            let _ = records(&packet);
        }
    }
}
