//! How a home comes to trust skill keys, and stops.

use macloud_e2ee::home::OpenError;
use macloud_e2ee::keys::{KeySetError, KeySetRoot, MAX_SKILL_KEYS, PinnedKeySet, SkillPublicKey, SkillSigner};
use macloud_e2ee::skill::Answer;

use crate::support::Ends;

fn root() -> KeySetRoot {
    KeySetRoot::from_seed(&[2; 32])
}

fn key(seed: u8) -> SkillPublicKey {
    SkillSigner::from_seed(&[seed; 32]).public_key(0)
}

#[test]
fn a_pinned_set_is_stored_and_read_back() {
    let pinned = PinnedKeySet::pin(&root().sign_key_set(7, &[key(3), key(4)]).unwrap()).unwrap();
    assert_eq!(PinnedKeySet::from_bytes(&pinned.to_bytes()), Ok(pinned.clone()));
    assert_eq!((pinned.version(), pinned.keys(), pinned.root()), (7, &[key(3), key(4)][..], root().public()));
}

#[test]
fn the_version_never_goes_back() {
    let set = |version, keys: &[SkillPublicKey]| root().sign_key_set(version, keys).unwrap();
    let mut pinned = PinnedKeySet::pin(&set(5, &[key(3)])).unwrap();
    assert_eq!(pinned.update(&set(4, &[key(4)])), Err(KeySetError::Older));
    assert_eq!(pinned.update(&set(5, &[key(4)])), Err(KeySetError::Conflict));
    assert_eq!(pinned.update(&set(5, &[key(3)])), Ok(()), "the same once more is no downgrade");
    assert_eq!(pinned.update(&set(9, &[key(4)])), Ok(()));
    assert_eq!(pinned.update(&set(8, &[key(3)])), Err(KeySetError::Older));
    assert_eq!((pinned.version(), pinned.keys()), (9, &[key(4)][..]));
}

#[test]
fn another_root_is_not_believed() {
    let mut pinned = PinnedKeySet::pin(&root().sign_key_set(1, &[key(3)]).unwrap()).unwrap();
    let other = KeySetRoot::from_seed(&[77; 32]).sign_key_set(2, &[key(5)]).unwrap();
    assert_eq!(pinned.update(&other), Err(KeySetError::OtherRoot));
    assert_eq!(pinned.version(), 1);
}

#[test]
fn every_changed_byte_of_a_set_is_noticed() {
    let set = root().sign_key_set(1, &[key(3), key(4)]).unwrap();
    for at in 0..set.len() {
        let mut changed = set.clone();
        changed[at] ^= 1;
        assert!(PinnedKeySet::pin(&changed).is_err(), "a change at {at} went unnoticed");
    }
    for end in 0..set.len() {
        assert!(PinnedKeySet::pin(&set[..end]).is_err(), "cut at {end}");
    }
    assert!(PinnedKeySet::pin(&[&set[..], &[0]].concat()).is_err(), "one byte more");
}

#[test]
fn sets_that_make_no_sense_are_not_signed() {
    let many: Vec<_> = (0..=MAX_SKILL_KEYS as u8).map(key).collect();
    for keys in [&[][..], &[key(3), key(3)], &many] {
        assert_eq!(root().sign_key_set(1, keys), Err(KeySetError::Keys));
    }
    assert!(root().sign_key_set(1, &many[1..]).is_ok());
}

#[test]
fn a_revoked_key_ends_its_sessions_and_sets_up_no_more() {
    let mut ends = Ends::new();
    let session = ends.establish();
    ends.confirm(&session);
    let successor = SkillSigner::from_seed(&[8; 32]);
    let set = ends.root.sign_key_set(2, &[successor.public_key(0)]).unwrap();
    ends.home.update_skill_keys(&set).unwrap();
    let (running, opener) = ends.seal(&session, 1);
    let failure = ends.open(1, &running).unwrap_err();
    assert_eq!(failure.reason, OpenError::UnknownSkillKey);
    let answer = failure.answer.expect("said at once, not by silence");
    assert_eq!(opener.open(&answer, ends.skill_now()), Ok(Answer::KeyUnknown));
    assert!(session.is_over(ends.skill_now()), "no more is sealed for nothing");
    let again = ends.establish();
    let (sealed, _) = ends.seal(&again, 2);
    assert_eq!(ends.open(2, &sealed).unwrap_err().reason, OpenError::UnknownSkillKey);
    ends.signer = successor;
    let session = ends.establish();
    ends.confirm(&session);
}

#[test]
fn a_new_key_works_once_the_set_has_come_and_the_same_bytes_open_then() {
    let mut ends = Ends::new();
    let first = ends.signer.public_key(0);
    ends.signer = SkillSigner::from_seed(&[8; 32]);
    let session = ends.establish();
    let (sealed, _) = ends.seal(&session, 1);
    assert_eq!(ends.open(1, &sealed).unwrap_err().reason, OpenError::UnknownSkillKey);
    let set = ends.root.sign_key_set(2, &[first, ends.signer.public_key(0)]).unwrap();
    ends.home.update_skill_keys(&set).unwrap();
    ends.open(1, &sealed).expect("a refusal uses nothing up");
}

#[test]
fn a_key_ends_at_its_time_and_stays_ended() {
    let mut ends = Ends::new();
    let set = ends.root.sign_key_set(2, &[ends.signer.public_key(1_800_000_000)]).unwrap();
    ends.home.update_skill_keys(&set).unwrap();
    let session = ends.establish();
    ends.confirm(&session);
    ends.home.note_wall_clock(1_800_000_000);
    ends.confirm(&session);
    ends.home.note_wall_clock(1_800_000_001);
    ends.home.note_wall_clock(1_700_000_000);
    let (sealed, _) = ends.seal(&session, 1);
    assert_eq!(ends.open(1, &sealed).unwrap_err().reason, OpenError::UnknownSkillKey);
}

#[test]
fn another_key_under_a_known_id_does_not_inherit_sessions() {
    let mut ends = Ends::new();
    let session = ends.establish();
    ends.confirm(&session);
    let impostor = SkillPublicKey { public: key(9).public, ..ends.signer.public_key(0) };
    let set = ends.root.sign_key_set(2, &[impostor]).unwrap();
    ends.home.update_skill_keys(&set).unwrap();
    let (sealed, _) = ends.seal(&session, 1);
    assert_eq!(ends.open(1, &sealed).unwrap_err().reason, OpenError::UnknownSkillKey);
}
