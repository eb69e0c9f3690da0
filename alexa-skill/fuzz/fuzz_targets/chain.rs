//! Any bytes as a certificate chain, traced to the public roots, and its first key used to check a signature.
#![no_main]

use macloud_alexa_skill::verify::chain::{Chain, Roots};

libfuzzer_sys::fuzz_target!(|pem: &[u8]| {
    let Ok(chain) = Chain::parse(pem) else { return };
    let roots = Roots::new(&[]).expect("there are no extra roots");
    let _ = chain.check_trust(&roots, 1_795_305_600);
    let _ = chain.check_signature(b"body", pem);
});
