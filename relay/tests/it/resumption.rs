//! Who comes again with what the last Welcome gave, and who must show token and proof all the same.

use std::time::Duration;

use macloud_proto::link::GoodbyeReason;
use macloud_proto::link::frame::{FromConnector, Hello};
use macloud_proto::link::resumption::{Credential, PROOF_HEADER};
use macloud_relay::NonceKey;
use macloud_service_kit::random;
use tokio_tungstenite::tungstenite::Message;

use crate::cloud::{Cloud, Dial, Home, HomeKey, URL, goodbye, until};

/// As [`Home::greet`] calls itself.
const INSTALLATION: [u8; 16] = [7; 16];

impl Home {
    fn credential(&self) -> Credential {
        self.welcome.resumption.clone().expect("the relay gives credentials")
    }
}

fn resume(credential: &Credential, nonce: &str) -> Dial {
    let id = format!("{:032x}", u128::from_be_bytes(random::bytes()));
    resume_with(credential, &credential.prove(URL, nonce, &id))
}

fn resume_with(credential: &Credential, proof: &str) -> Dial {
    let token = Dial::with_proof(String::new(), String::new()).without("dpop");
    token.set("authorization", &credential.authorization()).set(PROOF_HEADER, proof)
}

async fn refused(cloud: &Cloud, dial: Dial) -> (u16, String) {
    let refused = cloud.dial_with(dial).await.expect_err("it is not let in");
    (refused.status, refused.error)
}

fn invalid(error: &str) -> (u16, String) {
    (401, error.into())
}

#[tokio::test(start_paused = true)]
async fn a_home_comes_again_without_a_signature_and_again_after_that() {
    let cloud = Cloud::start().await;
    let first = cloud.home(&HomeKey::new(1)).await;
    let nonce = first.welcome.dpop_nonce.clone();
    let second = Home::greet(cloud.dial_with(resume(&first.credential(), &nonce)).await.unwrap(), 1).await;
    assert!(second.welcome.session_epoch > first.welcome.session_epoch);
    let third = Home::greet(cloud.dial_with(resume(&second.credential(), &nonce)).await.unwrap(), 1).await;
    assert!(third.welcome.session_epoch > second.welcome.session_epoch);
    until(|| cloud.relay.connected() == 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_recorded_dial_in_opens_nothing() {
    let cloud = Cloud::start().await;
    let home = cloud.home(&HomeKey::new(1)).await;
    let recorded = resume(&home.credential(), &home.welcome.dpop_nonce);
    Home::greet(cloud.dial_with(recorded.clone()).await.unwrap(), 1).await;
    assert_eq!(refused(&cloud, recorded.clone()).await, invalid("invalid_dpop_proof"));
    cloud.clock.advance(Duration::from_secs(300));
    assert_eq!(refused(&cloud, recorded).await, invalid("use_dpop_nonce"), "later, its nonce has aged out");
}

#[tokio::test(start_paused = true)]
async fn a_ticket_without_its_secret_opens_nothing() {
    let cloud = Cloud::start().await;
    let (home, other) = (cloud.home(&HomeKey::new(1)).await, cloud.home(&HomeKey::new(2)).await);
    let nonce = &home.welcome.dpop_nonce;
    let (mine, others) = (home.credential(), other.credential());
    let mixed = Credential { secret: mine.secret, ..others.clone() };
    assert_eq!(refused(&cloud, resume(&mixed, nonce)).await, invalid("invalid_dpop_proof"), "another home's ticket");
    let elsewhere = mine.prove("https://evil.example/relay/v1/connect", nonce, "id");
    assert_eq!(refused(&cloud, resume_with(&mine, &elsewhere)).await, invalid("invalid_dpop_proof"));
    assert_eq!(refused(&cloud, resume_with(&mine, "nonsense")).await, invalid("invalid_dpop_proof"));
    assert_eq!(refused(&cloud, resume(&mine, "made-up")).await, invalid("use_dpop_nonce"));
    let mut changed = mine.ticket.to_vec();
    changed[40] ^= 1;
    let changed = Credential { ticket: changed.into(), ..mine.clone() };
    assert_eq!(refused(&cloud, resume(&changed, nonce)).await, invalid("invalid_token"));
    assert_eq!(refused(&cloud, resume(&mine, nonce).without(PROOF_HEADER)).await, invalid("invalid_dpop_proof"));
}

#[tokio::test(start_paused = true)]
async fn a_ticket_ends_with_the_token() {
    let cloud = Cloud::start().await;
    let key = HomeKey::new(1);
    let home = cloud.home(&key).await;
    cloud.clock.advance(Duration::from_secs(900));
    let nonce = cloud.nonce(&key).await;
    assert_eq!(refused(&cloud, resume(&home.credential(), &nonce)).await, invalid("invalid_token"));
}

#[tokio::test(start_paused = true)]
async fn a_ticket_does_not_outlive_a_revocation() {
    let cloud = Cloud::start().await;
    let key = HomeKey::new(1);
    let mut home = cloud.home(&key).await;
    let (credential, nonce) = (home.credential(), home.welcome.dpop_nonce.clone());
    cloud.accounts.end(&key);
    assert_eq!(goodbye(&mut home.socket).await, GoodbyeReason::Revoked);
    assert_eq!(refused(&cloud, resume(&credential, &nonce)).await, invalid("invalid_token"));
}

#[tokio::test(start_paused = true)]
async fn another_installation_cannot_use_a_ticket() {
    let cloud = Cloud::start().await;
    let home = cloud.home(&HomeKey::new(1)).await;
    let mut socket = cloud.dial_with(resume(&home.credential(), &home.welcome.dpop_nonce)).await.unwrap();
    let install_id = [8; 16];
    assert_ne!(install_id, INSTALLATION);
    let hello = Hello { version_min: 1, version_max: 1, install_id, software: "test".into(), credit: 1 };
    futures_util::SinkExt::send(&mut socket, Message::Binary(FromConnector::Hello(hello).encode())).await.unwrap();
    assert_eq!(goodbye(&mut socket).await, GoodbyeReason::Protocol);
    assert_eq!(cloud.relay.connected(), 1, "the session that was there is not touched");
}

#[tokio::test(start_paused = true)]
async fn a_node_with_another_key_wants_the_token() {
    let key = HomeKey::new(1);
    let node = async |nonce_key| Cloud::start_with(|config| config.nonce_key = Some(NonceKey(nonce_key))).await;
    let (here, same, other) = (node([1; 32]).await, node([1; 32]).await, node([2; 32]).await);
    let given = here.home(&key).await.credential();
    let nonce = same.nonce(&key).await;
    Home::greet(same.dial_with(resume(&given, &nonce)).await.unwrap(), 1).await;
    let nonce = other.nonce(&key).await;
    assert_eq!(refused(&other, resume(&given, &nonce)).await, invalid("invalid_token"));
    other.home(&key).await;
}

#[tokio::test(start_paused = true)]
async fn where_it_is_off_nothing_is_given_or_taken() {
    let key = HomeKey::new(1);
    let shared = NonceKey([1; 32]);
    let on = Cloud::start_with(|config| config.nonce_key = Some(shared.clone())).await;
    let off = Cloud::start_with(|config| {
        config.nonce_key = Some(shared.clone());
        config.resumption = false;
    });
    let off = off.await;
    assert_eq!(off.home(&key).await.welcome.resumption, None);
    let given = on.home(&key).await.credential();
    let nonce = off.nonce(&key).await;
    assert_eq!(refused(&off, resume(&given, &nonce)).await, invalid("invalid_request"), "as an older relay answers");
}

#[tokio::test(start_paused = true)]
async fn dial_ins_with_tickets_count_too() {
    let cloud = Cloud::start_with(|config| config.max_dial_ins_per_minute = 2).await;
    let home = cloud.home(&HomeKey::new(1)).await;
    let again = || resume(&home.credential(), &home.welcome.dpop_nonce);
    Home::greet(cloud.dial_with(again()).await.unwrap(), 1).await;
    assert_eq!(refused(&cloud, again()).await.0, 429);
}
