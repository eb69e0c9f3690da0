//! Each byte of each thing on the wire is bound: whoever changes one is noticed.

use macloud_e2ee::home::{EnvelopeError, OpenError};
use macloud_e2ee::keys::SkillSigner;
use macloud_e2ee::skill::{Answer, Session};

use crate::support::{Ends, done};

/// The fields of a sealed command with setup, by name and end.
const COMMAND_FIELDS: [(&str, usize); 11] = [
    ("version", 1),
    ("kind", 2),
    ("session", 18),
    ("sequence", 26),
    ("deadline", 34),
    ("key id", 42),
    ("epoch", 50),
    ("reference", 58),
    ("encapsulated key", 1178),
    ("signature", 1242),
    ("sealed body", 1514),
];

fn field_at(at: usize) -> &'static str {
    COMMAND_FIELDS.iter().find(|(_, end)| at < *end).unwrap().0
}

#[test]
fn every_changed_byte_of_a_first_command_is_noticed() {
    let mut ends = Ends::new();
    let session = ends.establish();
    let (sealed, _) = ends.seal(&session, 1);
    assert_eq!(sealed.len(), COMMAND_FIELDS[10].1);
    for at in 0..sealed.len() {
        for bit in [0x01, 0x80] {
            let mut changed = sealed.clone();
            changed[at] ^= bit;
            let reason = ends.open(1, &changed).err().map(|failure| failure.reason);
            let expected: &[OpenError] = match field_at(at) {
                "version" => &[OpenError::Envelope(EnvelopeError::Version)],
                "kind" => &[OpenError::Envelope(EnvelopeError::Malformed)],
                "session" | "reference" | "encapsulated key" | "signature" => &[OpenError::Signature],
                "sequence" => &[OpenError::NotAuthentic, OpenError::SessionUsedUp],
                "deadline" | "sealed body" => &[OpenError::NotAuthentic],
                "key id" => &[OpenError::UnknownSkillKey],
                "epoch" => &[OpenError::UnknownPreKey],
                other => panic!("no such field: {other}"),
            };
            assert!(reason.is_some_and(|reason| expected.contains(&reason)), "{} at {at}: {reason:?}", field_at(at));
        }
    }
    ends.open(1, &sealed).expect("none of the attempts used it up");
}

#[test]
fn every_changed_byte_of_a_setup_that_is_known_already_is_noticed() {
    let mut ends = Ends::new();
    let session = ends.establish();
    let (first, _) = ends.seal(&session, 1);
    let (second, _) = ends.seal(&session, 2);
    ends.open(1, &first).unwrap();
    for at in 0..second.len() {
        let mut changed = second.clone();
        changed[at] ^= 0x10;
        assert!(ends.open(2, &changed).is_err(), "a change of the {} at {at} went unnoticed", field_at(at));
    }
    ends.open(2, &second).unwrap();
}

#[test]
fn every_changed_byte_of_a_later_command_is_noticed() {
    let mut ends = Ends::new();
    let session = ends.establish();
    ends.confirm(&session);
    let (sealed, _) = ends.seal(&session, 1);
    for at in 0..sealed.len() {
        for bit in 0..8 {
            let mut changed = sealed.clone();
            changed[at] ^= 1 << bit;
            assert!(ends.open(1, &changed).is_err(), "a change at {at} went unnoticed");
        }
    }
    ends.open(1, &sealed).unwrap();
}

#[test]
fn every_changed_byte_of_a_reply_is_noticed() {
    let mut ends = Ends::new();
    let session = ends.establish();
    ends.confirm(&session);
    let mut refused = 0;
    for at in 0..2 + 256 + 16 {
        let (sealed, opener) = ends.seal(&session, 1);
        let mut reply = ends.open(1, &sealed).unwrap().reply.seal(&done(), ends.home_now());
        assert_eq!(reply.len(), 2 + 256 + 16);
        reply[at] ^= 0x04;
        assert!(opener.open(&reply, ends.skill_now()).is_err(), "a change at {at} went unnoticed");
        refused += 1;
    }
    assert_eq!(refused, 274);
}

#[test]
fn every_changed_byte_of_set_up_again_is_noticed() {
    let mut ends = Ends::new();
    let session = ends.establish();
    ends.confirm(&session);
    let sealed: Vec<_> = (0..=1364).map(|_| ends.seal(&session, 1)).collect();
    ends.restart_home();
    for (at, (sealed, opener)) in sealed.into_iter().enumerate() {
        let mut answer = ends.open(1, &sealed).unwrap_err().answer.unwrap();
        assert_eq!(answer.len(), 1364);
        if at < answer.len() {
            answer[at] ^= 0x20;
            assert!(opener.open(&answer, ends.skill_now()).is_err(), "a change at {at} went unnoticed");
        } else {
            assert!(matches!(opener.open(&answer, ends.skill_now()), Ok(Answer::SetUpAgain { .. })));
        }
    }
}

#[test]
fn every_changed_byte_of_key_unknown_is_noticed() {
    let mut ends = Ends::new();
    let session = ends.establish();
    let sealed: Vec<_> = (0..=66).map(|_| ends.seal(&session, 1)).collect();
    let other = ends.root.sign_key_set(2, &[SkillSigner::from_seed(&[8; 32]).public_key(0)]).unwrap();
    ends.home.update_skill_keys(&other).unwrap();
    for (at, (sealed, opener)) in sealed.into_iter().enumerate() {
        let mut answer = ends.open(1, &sealed).unwrap_err().answer.unwrap();
        assert_eq!(answer.len(), 66);
        if at < answer.len() {
            answer[at] ^= 0x20;
            assert!(opener.open(&answer, ends.skill_now()).is_err(), "a change at {at} went unnoticed");
        } else {
            assert_eq!(opener.open(&answer, ends.skill_now()), Ok(Answer::KeyUnknown));
        }
    }
}

#[test]
fn every_changed_byte_of_a_pre_key_is_noticed() {
    let mut ends = Ends::new();
    let pre_key = ends.pre_key();
    assert_eq!(pre_key.len(), 1298);
    let mut establish = |bytes: &[u8]| {
        let (now, identity) = (ends.skill_now(), ends.identity.public());
        Session::establish(&ends.instance, identity, bytes, &ends.signer, now, &mut ends.random).is_ok()
    };
    for at in 0..pre_key.len() {
        let mut changed = pre_key.clone();
        changed[at] ^= 0x40;
        assert!(!establish(&changed), "a change at {at} went unnoticed");
    }
    for end in 0..pre_key.len() {
        assert!(!establish(&pre_key[..end]), "cut at {end}");
    }
    assert!(!establish(&[&pre_key[..], &[0]].concat()), "one byte more");
    assert!(establish(&pre_key));
}

#[test]
fn commands_of_any_other_length_are_refused() {
    let mut ends = Ends::new();
    let session = ends.establish();
    let (first, _) = ends.seal(&session, 1);
    for end in 0..first.len() {
        assert!(ends.open(1, &first[..end]).is_err(), "cut at {end}");
    }
    assert!(ends.open(1, &[&first[..], &[0]].concat()).is_err());
    let larger = [&first[..], &[0; 768]].concat();
    assert_eq!(ends.open(1, &larger).unwrap_err().reason, OpenError::NotAuthentic, "the next size, filled with zeros");
    let huge = vec![1; macloud_proto::MAX_SEALED_BYTES + 1];
    assert_eq!(ends.open(1, &huge).unwrap_err().reason, OpenError::Envelope(EnvelopeError::Malformed));
}

#[test]
fn other_versions_and_kinds_are_errors_not_guesses() {
    let mut ends = Ends::new();
    let session = ends.establish();
    ends.confirm(&session);
    let (sealed, _) = ends.seal(&session, 1);
    for version in (0..=255).filter(|version| *version != 1) {
        let mut other = sealed.clone();
        other[0] = version;
        let failure = ends.open(1, &other).unwrap_err();
        assert_eq!((failure.reason, failure.answer), (OpenError::Envelope(EnvelopeError::Version), None));
    }
    for kind in (0..=255).filter(|kind| *kind != 1) {
        let mut other = sealed.clone();
        other[1] = kind;
        assert_eq!(ends.open(1, &other).unwrap_err().reason, OpenError::Envelope(EnvelopeError::Malformed), "{kind}");
    }
}
