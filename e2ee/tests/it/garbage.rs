//! Any bytes whatever, into every decoder: refused or read, never a panic.

use macloud_e2ee::fuzzing;
use macloud_e2ee::keys::PinnedKeySet;
use macloud_e2ee::skill::Session;
use proptest::prelude::*;

use crate::support::Ends;

/// Random bytes, often with the beginning that gets them further.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let lengths =
        prop_oneof![0..64usize, Just(2 + 16 + 8 + 8 + 256 + 16), Just(1514), Just(1298), Just(1364), 0..5000usize];
    (lengths, 0..8u8, any::<bool>()).prop_flat_map(|(length, kind, begin)| {
        prop::collection::vec(any::<u8>(), length).prop_map(move |mut bytes| {
            if begin && bytes.len() >= 2 {
                bytes[..2].copy_from_slice(&[1, kind]);
            }
            bytes
        })
    })
}

proptest! {
    #[test]
    fn a_home_opens_no_garbage(bytes in bytes()) {
        prop_assert!(Ends::new().open(1, &bytes).is_err());
    }

    #[test]
    fn a_skill_opens_no_garbage(bytes in bytes()) {
        let mut ends = Ends::new();
        let session = ends.establish();
        let (_, opener) = ends.seal(&session, 1);
        prop_assert!(opener.open(&bytes, ends.skill_now()).is_err());
        let (now, identity) = (ends.skill_now(), ends.identity.public());
        let session = Session::establish(&ends.instance, identity, &bytes, &ends.signer, now, &mut ends.random);
        prop_assert!(session.is_err());
    }

    #[test]
    fn no_garbage_is_pinned(bytes in bytes()) {
        prop_assert!(PinnedKeySet::pin(&bytes).is_err());
    }

    #[test]
    fn bodies_of_any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        fuzzing::command_body(&bytes);
        fuzzing::reply_body(&bytes);
        fuzzing::padded(&bytes);
    }

    #[test]
    fn bodies_nearly_right_are_read_or_refused(at in 0..120usize, to in any::<u8>(), cut in 0..120usize) {
        for mut body in fuzzing::sample_bodies() {
            if let Some(byte) = body.get_mut(at) {
                *byte = to;
            }
            body.truncate(body.len().saturating_sub(cut));
            fuzzing::command_body(&body);
            fuzzing::reply_body(&body);
        }
    }
}
