//! Authorization requests that claim to be a known client's.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| macloud_account_service::fuzzing::authorize_request(bytes));
