//! What the relay hands to the skill without being asked: any bytes, and a true event with some of its bytes replaced.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use macloud_e2ee::event::{EventLabel, EventOpener, Moment};
use macloud_e2ee::home::Home;
use macloud_e2ee::keys::{KeySetRoot, PinnedKeySet, SkillSigner};
use macloud_e2ee::vocabulary::{Capabilities, News, Playback, PlayerState};
use macloud_proto::ids::{InstanceId, PlayerKey};
use macloud_proto::jose::SigningKey;
use macloud_proto::time::Millis;

fuzz_target!(|input: (u16, &[u8])| {
    let (at, bytes) = input;
    let mut random = |out: &mut [u8]| out.fill(9);
    let instance = InstanceId::from_bytes(&[1; 16]);
    let identity = Arc::new(SigningKey::from_seed(&[2; 32]));
    let signer = SkillSigner::from_seed(&[3; 32]);
    let keys = [signer.public_key(0), signer.event_key(0)];
    let set = KeySetRoot::from_seed(&[4; 32]).sign_key_set(1, &keys).expect("two keys are a set");
    let pinned = PinnedKeySet::pin(&set).expect("it was just signed");
    let mut home = Home::new(instance.clone(), Arc::clone(&identity), pinned, Millis(5), &mut random);
    let label = EventLabel { event_id: &[6; 16], key: b"key" };
    let mut opener = EventOpener::default();
    let mut open = |sealed: &[u8]| opener.open(&signer, &instance, identity.public(), &label, sealed, 1_000);
    assert!(open(bytes).is_err(), "garbage is not opened");

    let can = Capabilities { power: true, volume: true, mute: true, order: true, ..Capabilities::default() };
    let state =
        PlayerState { available: true, powered: true, playback: Playback::Paused, ..PlayerState::default() };
    let news = News::Player { key: PlayerKey::from_bytes(&[7; 15]), can, state };
    let moment = Moment { now: Millis(7), unix_millis: 1_000_000 };
    let sealed = home.seal_event(&label, &news, moment, &mut random).expect("the set has a key for events");
    let mut changed = sealed.clone();
    let at = usize::from(at) % changed.len();
    for (byte, new) in changed[at..].iter_mut().zip(bytes) {
        *byte = *new;
    }
    assert_eq!(open(&changed).is_ok(), changed == sealed, "only the truth opens");
});
