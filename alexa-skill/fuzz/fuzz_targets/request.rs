//! Any bytes as a request of the custom part, and what would be said to it; and what a question leaves open comes back
//! as it was.
#![no_main]

use macloud_alexa_skill::answer::response::{Besides, speaking};
use macloud_alexa_skill::answer::speech::Locale;
use macloud_alexa_skill::conversation::Open;
use macloud_alexa_skill::translate::intent::{Turn, turn};

libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    let Ok(request) = macloud_alexa_skill::request::parse(body) else { return };
    let (turn, open) = turn(request.ask, request.open);
    if let Turn::Say(say) = turn {
        let besides = Besides { open: open.clone(), ..Besides::default() };
        let _ = speaking(Locale::of(&request.locale).unwrap_or_default(), &say, &besides);
    }
    if let Some(open) = open {
        assert_eq!(Open::read(&open.to_attributes()), Some(open));
    }
});
