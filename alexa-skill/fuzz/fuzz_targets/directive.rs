//! Any bytes as a smart home directive.
#![no_main]

libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    let _ = macloud_alexa_skill::directive::parse(body);
});
