//! A backup of a home: its head, which is believed before anything is opened, and what is sealed in it, as whoever knows the
//! passphrase may have written it. What it costs to try a passphrase is bounded by the head, and not paid here.
#![no_main]

use libfuzzer_sys::fuzz_target;
use macloud_connector::backup::{Header, HomeBackup};

fuzz_target!(|bytes: &[u8]| {
    if let Ok((_, sealed)) = Header::read(bytes) {
        let _ = HomeBackup::decode(sealed);
    }
    let _ = HomeBackup::decode(bytes);
});
