//! What a person said, against names and titles that somebody else chose.
#![no_main]

use libfuzzer_sys::fuzz_target;
use macloud_connector::execute::names;
use macloud_connector::execute::ranking::{Wanted, ranked};
use macloud_connector::music_assistant::model::Media;
use macloud_e2ee::vocabulary::MediaQuery;

fuzz_target!(|input: (&str, &str, Option<&str>)| {
    let (said, called, artist) = input;
    let _ = names::find(said, &[called, "Kitchen"]);
    let media = serde_json::json!({ "name": called, "uri": "x", "artists": [{ "name": artist }], "media_type": "track" });
    let query = MediaQuery { text: said.into(), artist: artist.map(Into::into), kind: None, sure: false };
    for wanted in Wanted::readings(&query) {
        let _ = ranked(&wanted, Media::read(&media).into_iter().collect());
    }
});
