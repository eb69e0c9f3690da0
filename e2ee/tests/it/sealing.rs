//! The happy way.

use std::sync::Arc;
use std::time::Duration;

use macloud_e2ee::home::Home;
use macloud_e2ee::keys::{KeySetRoot, PinnedKeySet, SkillSigner};
use macloud_e2ee::skill::{Answer, Session};
use macloud_e2ee::vocabulary::{Command, Refusal, Reply, Scopes};
use macloud_proto::ids::{CommandId, InstanceId};
use macloud_proto::jose::SigningKey;
use macloud_proto::time::Millis;

#[test]
fn a_command_and_its_reply_go_there_and_back() {
    let mut seed = 0u8;
    let mut random = |out: &mut [u8]| {
        for byte in out {
            seed = seed.wrapping_add(1);
            *byte = seed;
        }
    };
    let instance = InstanceId::from_bytes(&[1; 16]);
    let identity = Arc::new(SigningKey::from_seed(&[2; 32]));
    let signer = SkillSigner::from_seed(&[3; 32]);
    let set = KeySetRoot::from_seed(&[4; 32]).sign_key_set(1, &[signer.public_key(0)]).unwrap();
    let pinned = PinnedKeySet::pin(&set).unwrap();
    let mut home = Home::new(instance.clone(), Arc::clone(&identity), pinned, Millis(1000), &mut random);
    let pre_key = home.signed_pre_key(Millis(2000), &mut random);
    let session = Session::establish(&instance, identity.public(), &pre_key, &signer, Millis(50), &mut random).unwrap();
    let id = CommandId::from_bytes([9; 16]);
    let scopes = Scopes { read: true, control: false };
    let (sealed, opener) = session.seal(id, &Command::ListPlayers, scopes, Duration::from_secs(6), Millis(60)).unwrap();
    let opened = home.open(id, &sealed, Millis(2015), &mut random).unwrap();
    assert_eq!(opened.command, Ok(Command::ListPlayers));
    assert_eq!(opened.scopes, scopes);
    assert_eq!(opened.remaining, Duration::from_millis(5995));
    let reply = Reply::Refused(Refusal::MusicAssistantAway);
    let sealed = opened.reply.seal(&reply, Millis(2020));
    assert_eq!(opener.open(&sealed, Millis(80)), Ok(Answer::Reply(reply)));
}
