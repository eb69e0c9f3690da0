//! Any text as token, proof or key set: refused or accepted, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use macloud_proto::instance_token::{self, KeySet};
use macloud_proto::{dpop, jose};

fuzz_target!(|text: &str| {
    if let Ok(token) = jose::Unverified::parse(text) {
        let _ = token.peek::<instance_token::Claims>();
    }
    if let Ok(token) = jose::Unverified::parse_of_client(text) {
        if let Some(Ok(key)) = token.header().jwk.as_ref().map(jose::PublicKey::from_jwk) {
            let _ = token.verify_of_client::<serde_json::Value>(&key);
        }
    }
    if let Ok(jwk) = serde_json::from_str::<jose::Jwk>(text) {
        let _ = jose::PublicKey::from_jwk(&jwk).map(|key| (key.thumbprint(), key.verify(b"message", &[1; 64])));
    }
    let request = dpop::Request { method: "GET", url: "https://relay.example/relay/v1/connect", access_token: None };
    let _ = dpop::verify(text, request, |_| true);
    let _ = dpop::verify_of_client(text, request, |_| true);
    let keys = KeySet::parse(text).unwrap_or_default();
    let _ = instance_token::verify(text, &keys, "https://cloud.example", 1_800_000_000);
});
