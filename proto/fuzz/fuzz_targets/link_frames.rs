//! Any message: decoding never panics, and what was decoded encodes and decodes to the same.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use macloud_proto::link::frame::{FromConnector, FromRelay};

fuzz_target!(|data: &[u8]| {
    let message = Bytes::copy_from_slice(data);
    if let Ok(frame) = FromConnector::decode(message.clone()) {
        assert_eq!(FromConnector::decode(frame.clone().encode()), Ok(frame));
    }
    if let Ok(frame) = FromRelay::decode(message) {
        assert_eq!(FromRelay::decode(frame.clone().encode()), Ok(frame));
    }
});
