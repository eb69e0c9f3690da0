//! What the relay hands to a home: any bytes, and a true first command with some of its bytes replaced.
#![no_main]

use std::sync::Arc;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use macloud_e2ee::home::Home;
use macloud_e2ee::keys::{KeySetRoot, PinnedKeySet, SkillSigner};
use macloud_e2ee::skill::Session;
use macloud_e2ee::vocabulary::{Command, Scopes};
use macloud_proto::ids::{CommandId, InstanceId};
use macloud_proto::jose::SigningKey;
use macloud_proto::time::Millis;

fuzz_target!(|input: (u16, &[u8])| {
    let (at, bytes) = input;
    let mut random = |out: &mut [u8]| out.fill(9);
    let instance = InstanceId::from_bytes(&[1; 16]);
    let identity = Arc::new(SigningKey::from_seed(&[2; 32]));
    let signer = SkillSigner::from_seed(&[3; 32]);
    let set = KeySetRoot::from_seed(&[4; 32]).sign_key_set(1, &[signer.public_key(0)]).expect("one key is a set");
    let pinned = PinnedKeySet::pin(&set).expect("it was just signed");
    let mut home = Home::new(instance.clone(), Arc::clone(&identity), pinned, Millis(5), &mut random);
    let id = CommandId::from_bytes([6; 16]);
    assert!(home.open(id, bytes, Millis(7), &mut random).is_err(), "garbage is not opened");

    let pre_key = home.signed_pre_key(Millis(7), &mut random);
    let session = Session::establish(&instance, identity.public(), &pre_key, &signer, Millis(0), &mut random)
        .expect("the pre-key is true");
    let (sealed, _) = session
        .seal(id, &Command::ListPlayers, Scopes::default(), Duration::from_secs(1), Millis(0))
        .expect("the session is new");
    let mut changed = sealed.clone();
    let at = usize::from(at) % changed.len();
    for (byte, new) in changed[at..].iter_mut().zip(bytes) {
        *byte = *new;
    }
    assert_eq!(home.open(id, &changed, Millis(8), &mut random).is_ok(), changed == sealed, "only the truth opens");
});
