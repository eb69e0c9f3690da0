//! Any text as the URL of a certificate chain: what is accepted leads to Alexa's folder.
#![no_main]

use macloud_alexa_skill::verify::cert_url::CertUrl;

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Some(url) = CertUrl::parse(text) {
        assert!(url.at(None).starts_with("https://s3.amazonaws.com/echo.api/"));
        assert!(url.path().split('/').all(|segment| segment != ".."));
    }
});
