//! A packet from somebody in the network who may or may not be Music Assistant.
#![no_main]

use libfuzzer_sys::fuzz_target;
use macloud_connector::discovery::servers;

fuzz_target!(|packet: &[u8]| {
    for found in servers(packet, [192, 168, 1, 20].into(), |address| address.is_private()) {
        assert!(found.url.host_str().is_some_and(|host| host.parse().is_ok_and(|host: std::net::Ipv4Addr| host.is_private())));
    }
});
