//! What a home tells without being asked: opened by any process of the skill, and by nobody else.

use std::time::Duration;

use macloud_e2ee::event::{EventError, EventLabel, EventOpener, Moment, OpenedEvent};
use macloud_e2ee::keys::SkillSigner;
use macloud_e2ee::vocabulary::News;
use macloud_proto::ids::InstanceId;
use macloud_proto::jose::SigningKey;
use proptest::prelude::*;

use crate::support::{Ends, kitchen};

const NOW: u64 = 1_795_000_000;
const LABEL: EventLabel<'static> = EventLabel { event_id: &[9; 16], key: b"kitchen" };

/// A home whose pinned set has a key for events.
fn ends() -> Ends {
    let mut ends = Ends::new();
    let keys = [ends.signer.public_key(0), ends.signer.event_key(0)];
    let set = ends.root.sign_key_set(2, &keys).unwrap();
    ends.home.update_skill_keys(&set).unwrap();
    ends
}

fn news() -> News {
    let kitchen = kitchen();
    News::Player { key: kitchen.key, can: kitchen.can, state: kitchen.state }
}

fn seal(ends: &mut Ends, label: &EventLabel<'_>) -> Vec<u8> {
    try_seal(ends, label).unwrap()
}

fn try_seal(ends: &mut Ends, label: &EventLabel<'_>) -> Option<Vec<u8>> {
    let moment = Moment { now: ends.home_now(), unix_millis: NOW * 1000 + ends.elapsed };
    ends.home.seal_event(label, &news(), moment, &mut ends.random)
}

fn open_at(ends: &Ends, opener: &mut EventOpener, sealed: &[u8], now: u64) -> Result<OpenedEvent, EventError> {
    opener.open(&ends.signer, &ends.instance, ends.identity.public(), &LABEL, sealed, now)
}

fn open(ends: &Ends, opener: &mut EventOpener, sealed: &[u8]) -> Result<OpenedEvent, EventError> {
    open_at(ends, opener, sealed, NOW + ends.elapsed / 1000)
}

#[test]
fn any_process_of_the_deployment_opens_any_event() {
    let mut ends = ends();
    let events: Vec<_> = (0..5).map(|_| seal(&mut ends, &LABEL)).collect();
    assert_eq!(events[0].len(), 2 + 8 + 16 + 8 + 32 + 64 + 8 + 256 + 16);
    for event in &events {
        let opened = open(&ends, &mut EventOpener::default(), event).unwrap();
        let News::Player { key, can, state } = opened.news else { panic!("{:?}", opened.news) };
        let kitchen = kitchen();
        assert_eq!((key, can, opened.position.told_at), (kitchen.key, kitchen.can, NOW * 1000));
        assert_eq!((state.volume, state.muted), (kitchen.state.volume, kitchen.state.muted));
        assert_eq!(state.now_playing, None, "what is played is not told");
    }
    let mut one = EventOpener::default();
    for event in events.iter().rev() {
        open(&ends, &mut one, event).expect("in any order, and as often as it comes");
        open(&ends, &mut one, event).unwrap();
    }
}

#[test]
fn one_setup_serves_a_day() {
    let mut ends = ends();
    let setup = |event: &[u8]| event[..130].to_vec();
    let first = seal(&mut ends, &LABEL);
    ends.wait(Duration::from_secs(24 * 3600 - 1));
    let same = seal(&mut ends, &LABEL);
    ends.wait(Duration::from_secs(1));
    let next = seal(&mut ends, &LABEL);
    assert_eq!(setup(&first), setup(&same));
    assert_ne!(setup(&first), setup(&next));
    let mut opener = EventOpener::default();
    for event in [&first, &same, &next, &same] {
        open(&ends, &mut opener, event).unwrap();
    }
    let rotated = SkillSigner::from_seed(&[44; 32]);
    let set = ends.root.sign_key_set(3, &[rotated.public_key(0), rotated.event_key(0)]).unwrap();
    ends.home.update_skill_keys(&set).unwrap();
    let for_the_new_key = seal(&mut ends, &LABEL);
    assert_eq!(open(&ends, &mut opener, &for_the_new_key), Err(EventError::OtherKey));
    ends.signer = rotated;
    open(&ends, &mut opener, &for_the_new_key).unwrap();
}

#[test]
fn without_a_key_for_events_nothing_is_sealed() {
    let mut ends = Ends::new();
    assert!(try_seal(&mut ends, &LABEL).is_none());
    let ending = [ends.signer.public_key(0), ends.signer.event_key(NOW)];
    let set = ends.root.sign_key_set(2, &ending).unwrap();
    ends.home.update_skill_keys(&set).unwrap();
    ends.home.note_wall_clock(NOW);
    seal(&mut ends, &LABEL);
    ends.home.note_wall_clock(NOW + 1);
    assert!(try_seal(&mut ends, &LABEL).is_none(), "it has ended");
}

#[test]
fn the_key_of_an_event_is_always_the_same_and_of_one_home() {
    let (mut ends, kitchen) = (ends(), kitchen().key);
    let key = ends.home.event_key(&kitchen);
    assert_ne!(key, ends.home.event_key(&macloud_proto::ids::PlayerKey::from_bytes(&[8; 15])));
    assert_ne!(key, Ends::seeded(2).home.event_key(&kitchen), "whoever knows the player does not know the key");
    ends.restart_home();
    assert_eq!(key, ends.home.event_key(&kitchen));
}

#[test]
fn a_key_for_events_signs_nothing() {
    let ends = Ends::new();
    assert!(ends.signer.event_key(0).is_for_events());
    assert!(!ends.signer.public_key(0).is_for_events());
    assert_ne!(ends.signer.event_key(0).public, SkillSigner::from_seed(&[4; 32]).event_key(0).public);
}

#[test]
fn nothing_opens_that_is_not_later_than_what_was_settled() {
    let mut ends = ends();
    let events: Vec<_> = (0..3).map(|_| seal(&mut ends, &LABEL)).collect();
    let mut opener = EventOpener::default();
    let second = open(&ends, &mut opener, &events[1]).unwrap();
    opener.settle(&ends.instance, LABEL.key, second.position);
    assert_eq!(open(&ends, &mut opener, &events[1]), Err(EventError::Outdated), "it comes again");
    assert_eq!(open(&ends, &mut opener, &events[0]), Err(EventError::Outdated), "an earlier one comes late");
    let third = open(&ends, &mut opener, &events[2]).unwrap();
    let other = EventLabel { key: b"bath", ..LABEL };
    let in_the_bath = seal(&mut ends, &other);
    let (now, identity) = (NOW, ends.identity.public());
    opener.open(&ends.signer, &ends.instance, identity, &other, &in_the_bath, now).expect("another key, another order");
    opener.settle(&ends.instance, LABEL.key, third.position);
    opener.settle(&ends.instance, LABEL.key, second.position);
    assert_eq!(open(&ends, &mut opener, &events[2]), Err(EventError::Outdated), "settling goes never back");
    // A home that restarts begins anew, and so does the order; time goes on.
    ends.restart_home();
    let at_once = seal(&mut ends, &LABEL);
    assert_eq!(open(&ends, &mut opener, &at_once), Err(EventError::Outdated));
    ends.wait(Duration::from_millis(1));
    let after = seal(&mut ends, &LABEL);
    open(&ends, &mut opener, &after).unwrap();
}

#[test]
fn what_was_recorded_opens_nowhere_a_day_later() {
    let mut ends = ends();
    let event = seal(&mut ends, &LABEL);
    let lately = NOW + 25 * 3600;
    open_at(&ends, &mut EventOpener::default(), &event, lately).unwrap();
    let mut opener = EventOpener::default();
    assert_eq!(open_at(&ends, &mut opener, &event, lately + 1), Err(EventError::Age));
    assert_eq!(open_at(&ends, &mut opener, &event, NOW - 25 * 3600 - 1), Err(EventError::Age));
}

#[test]
fn every_changed_byte_and_every_other_circumstance_is_noticed() {
    let mut ends = ends();
    let event = seal(&mut ends, &LABEL);
    let mut opener = EventOpener::default();
    open(&ends, &mut opener, &event).unwrap();
    for at in 0..event.len() {
        let mut changed = event.clone();
        changed[at] ^= 1;
        for opener in [&mut EventOpener::default(), &mut opener] {
            assert!(open(&ends, opener, &changed).is_err(), "a change at {at} went unnoticed");
        }
        assert!(open(&ends, &mut opener, &event[..at]).is_err(), "cut at {at}");
    }
    open(&ends, &mut opener, &event).expect("none of that did any harm");
    let (signer, instance, identity) = (&ends.signer, &ends.instance, ends.identity.public());
    let elsewhere = InstanceId::from_bytes(&[55; 16]);
    let stranger = SigningKey::from_seed(&[56; 32]);
    let other_id = EventLabel { event_id: &[8; 16], ..LABEL };
    let other_key = EventLabel { key: b"kitche", ..LABEL };
    assert_eq!(opener.open(signer, &elsewhere, identity, &LABEL, &event, NOW), Err(EventError::Signature));
    assert_eq!(opener.open(signer, instance, stranger.public(), &LABEL, &event, NOW), Err(EventError::Signature));
    assert_eq!(opener.open(signer, instance, identity, &other_id, &event, NOW), Err(EventError::NotAuthentic));
    assert_eq!(opener.open(signer, instance, identity, &other_key, &event, NOW), Err(EventError::NotAuthentic));
    let another = SkillSigner::from_seed(&[57; 32]);
    assert_eq!(opener.open(&another, instance, identity, &LABEL, &event, NOW), Err(EventError::OtherKey));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However events come, are repeated and are settled: none is settled twice, and of each key they are settled in order.
    #[test]
    fn nothing_is_settled_twice_and_nothing_goes_back(arrivals in prop::collection::vec((0usize..8, 0usize..2), 0..60)) {
        let mut ends = ends();
        let keys = [&b"kitchen"[..], b"bath"];
        let labels = keys.map(|key| EventLabel { key, ..LABEL });
        let sealed: Vec<_> = (0..8).map(|_| labels.map(|label| seal(&mut ends, &label))).collect();
        let mut opener = EventOpener::default();
        let mut latest = [None; 2];
        for (event, key) in arrivals {
            let identity = ends.identity.public();
            let opened = opener.open(&ends.signer, &ends.instance, identity, &labels[key], &sealed[event][key], NOW);
            prop_assert_eq!(opened.is_ok(), latest[key].is_none_or(|latest| event > latest));
            if let Ok(opened) = opened {
                opener.settle(&ends.instance, keys[key], opened.position);
                latest[key] = Some(event);
            }
        }
    }

    #[test]
    fn the_opener_survives_anything(bytes in prop::collection::vec(any::<u8>(), 0..600), begins_well in any::<bool>()) {
        let ends = Ends::new();
        let mut bytes = bytes;
        if begins_well && bytes.len() > 10 {
            bytes[..2].copy_from_slice(&[1, 7]);
            bytes[2..10].copy_from_slice(&ends.signer.event_key(0).id);
        }
        prop_assert!(open(&ends, &mut EventOpener::default(), &bytes).is_err());
        macloud_e2ee::fuzzing::event_body(&bytes);
    }
}
