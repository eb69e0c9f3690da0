//! Headers, cookies, tokens, and what people type.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| macloud_account_service::fuzzing::text(text));
