//! Pre-keys, as a relay hands them to the skill, and key sets, as the account service hands them to a home.
#![no_main]

use libfuzzer_sys::fuzz_target;
use macloud_e2ee::keys::{PinnedKeySet, SkillSigner};
use macloud_e2ee::skill::Session;
use macloud_proto::ids::InstanceId;
use macloud_proto::time::Millis;

fuzz_target!(|bytes: &[u8]| {
    // A key set names the root that signs it, so one can be forged under a root of the fuzzer's own, if it can sign.
    if let Ok(pinned) = PinnedKeySet::pin(bytes) {
        assert_eq!(PinnedKeySet::from_bytes(&pinned.to_bytes()), Ok(pinned));
    }
    let instance = InstanceId::from_bytes(&[1; 16]);
    let signer = SkillSigner::from_seed(&[3; 32]);
    let session = Session::establish(&instance, &[7; 32], bytes, &signer, Millis(0), &mut |out: &mut [u8]| out.fill(9));
    assert!(session.is_err(), "no pre-key is signed by that");
});
