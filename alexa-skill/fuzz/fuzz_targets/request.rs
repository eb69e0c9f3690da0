//! Any bytes as a request of the custom part, and what would be said to it.
#![no_main]

use macloud_alexa_skill::answer::response::speaking;
use macloud_alexa_skill::answer::speech::Locale;
use macloud_alexa_skill::translate::intent::{Turn, turn};

libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    let Ok(request) = macloud_alexa_skill::request::parse(body) else { return };
    if let Turn::Say(say) = turn(request.ask) {
        let _ = speaking(Locale::nearest(&request.locale), &say);
    }
});
