//! Query strings and form bodies.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| macloud_account_service::fuzzing::form(bytes));
