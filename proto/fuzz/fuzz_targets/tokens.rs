//! Any text as token, proof or key set: refused or accepted, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use macloud_proto::instance_token::{self, KeySet};
use macloud_proto::{dpop, jose};

fuzz_target!(|text: &str| {
    if let Ok(token) = jose::Unverified::parse(text) {
        let _ = token.peek::<instance_token::Claims>();
    }
    let request = dpop::Request { method: "GET", url: "https://relay.example/relay/v1/connect", access_token: None };
    let _ = dpop::verify(text, request, |_| true);
    let keys = KeySet::parse(text).unwrap_or_default();
    let _ = instance_token::verify(text, &keys, "https://cloud.example", 1_800_000_000);
});
