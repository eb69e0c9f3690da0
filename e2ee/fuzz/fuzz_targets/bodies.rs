//! Bodies of commands, replies and events, as an honest but newer or a faulty peer could seal them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use macloud_e2ee::fuzzing;

fuzz_target!(|bytes: &[u8]| {
    fuzzing::command_body(bytes);
    fuzzing::reply_body(bytes);
    fuzzing::event_body(bytes);
    fuzzing::padded(bytes);
});
