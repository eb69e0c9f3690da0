//! What a proxy answers, or whoever else is at its address: nothing beyond its head is read, and no head is longer than it may be.
#![no_main]

use futures_util::FutureExt as _;
use libfuzzer_sys::fuzz_target;
use macloud_connector::network::tunnel::{MAX_HEAD, answer};

fuzz_target!(|input: (&[u8], bool)| {
    let (text, signed_in) = input;
    let mut rest = text;
    let outcome = answer(&mut rest, signed_in).now_or_never().expect("all of it is there");
    let read = &text[..text.len() - rest.len()];
    assert!(read.len() <= MAX_HEAD);
    if outcome.is_ok() {
        assert!(read.starts_with(b"HTTP/1.") && read.ends_with(b"\n"));
    }
});
