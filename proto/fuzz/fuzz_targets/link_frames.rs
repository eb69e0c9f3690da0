//! Any message, and any Hello in a header: decoding never panics, and what was decoded encodes and decodes to the same.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use macloud_proto::link::frame::{FromConnector, FromRelay, Hello};

fuzz_target!(|data: &[u8]| {
    let message = Bytes::copy_from_slice(data);
    if let Ok(frame) = FromConnector::decode(message.clone()) {
        assert_eq!(FromConnector::decode(frame.clone().encode()), Ok(frame));
    }
    if let Some(hello) = std::str::from_utf8(data).ok().and_then(Hello::from_header) {
        assert_eq!(Hello::from_header(&hello.clone().to_header()), Some(hello));
    }
    if let Ok(frame) = FromRelay::decode(message) {
        assert_eq!(FromRelay::decode(frame.clone().encode()), Ok(frame));
    }
});
