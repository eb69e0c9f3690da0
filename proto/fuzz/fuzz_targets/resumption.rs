//! Any text as ticket or proof of a resumption, any bytes as credential: refused or read as it was written, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use macloud_proto::link::resumption::{self, Credential, Proof, SECRET_BYTES};

fuzz_target!(|input: (&str, &str, &[u8])| {
    let (authorization, value, ticket) = input;
    if let Some(ticket) = resumption::ticket(authorization) {
        let again = Credential { ticket: ticket.clone(), secret: [1; SECRET_BYTES] }.authorization();
        assert_eq!(resumption::ticket(&again), Some(ticket));
    }
    let Some(credential) = Credential::from_parts(ticket.to_vec().into(), &[1; SECRET_BYTES]) else { return };
    if let Some(proof) = Proof::parse(value) {
        let made = credential.prove("https://r.example/relay/v1/connect", proof.nonce, proof.id);
        assert_eq!(credential.verifies(&proof, "https://r.example/relay/v1/connect"), made == value);
    }
});
