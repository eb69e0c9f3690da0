//! A frame from Music Assistant, taken over as the connector does: as a list and as each kind of event.
#![no_main]

use libfuzzer_sys::fuzz_target;
use macloud_connector::music_assistant::directory::Directory;
use macloud_connector::music_assistant::message::{Incoming, decode};

fuzz_target!(|text: &str| {
    let mut directory = Directory::default();
    directory.meet("server");
    match decode(text) {
        Incoming::Reply { result: Ok(result), .. } => {
            directory.load_players(&result, false);
            directory.load_queues(&result, true);
        }
        Incoming::Event { name, object, data } => {
            directory.apply(&name, object.as_deref(), &data, false);
        }
        _ => {}
    }
    let ids: Vec<String> = directory.exposed().map(|player| player.id.clone()).collect();
    for id in ids {
        assert!(directory.leader_of(&id).is_some(), "everybody has a leader");
    }
});
