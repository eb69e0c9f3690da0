//! What the account service ends, ends here at once.

use std::time::Duration;

use macloud_proto::bus::v1::{not_sent, unknown};
use macloud_proto::instance_token;
use macloud_proto::link::GoodbyeReason;
use macloud_proto::link::frame::FromRelay;
use tokio::time::Instant;

use crate::cloud::{self, Cloud, Dial, Home, HomeKey, NOW, account_key, delivered, goodbye, until};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn an_unlinked_home_is_closed_at_once_and_does_not_come_back() {
    let cloud = Cloud::start().await;
    let (key, other) = (HomeKey::new(1), HomeKey::new(2));
    let mut home = cloud.home(&key).await;
    cloud.home(&other).await.serve();
    let written = cloud.command_later(&key, 1, SECOND * 5);
    home.command().await;
    let before = Instant::now();
    cloud.accounts.end(&key);
    assert_eq!(goodbye(&mut home.socket).await, GoodbyeReason::Revoked);
    assert_eq!(written.await.unwrap(), cloud::unknown(unknown::Reason::LinkLost));
    assert!(before.elapsed() < Duration::from_millis(200));
    assert_eq!(cloud.command(&key, 2, SECOND).await, cloud::not_sent(not_sent::Reason::NotConnected));
    let refused = cloud.try_dial(&key).await.unwrap_err();
    assert_eq!((refused.status, refused.error.as_str()), (401, "invalid_token"));
    assert_eq!(cloud.command(&other, 3, SECOND).await, delivered(3), "other homes are not concerned");
}

#[tokio::test(start_paused = true)]
async fn a_home_that_was_resumed_comes_back_with_a_new_token() {
    let cloud = Cloud::start().await;
    let key = HomeKey::new(1);
    cloud.home(&key).await;
    cloud.accounts.end(&key);
    until(|| cloud.relay.connected() == 0).await;
    cloud.clock.advance(SECOND * 5);
    let mut claims = key.claims();
    claims.iat = NOW + 4;
    let token = instance_token::sign(&account_key(1), "k1", &claims);
    let nonce = cloud.nonce(&key).await;
    let socket = cloud.dial_with(Dial::of(&key, token, Some(&nonce))).await.unwrap();
    Home::greet(socket, 1).await;
}

/// A token made so many seconds after (before, if negative) the usual time.
fn token_made(key: &HomeKey, later: i64) -> String {
    let mut claims = key.claims();
    claims.iat = NOW.saturating_add_signed(later);
    instance_token::sign(&account_key(1), "k1", &claims)
}

#[tokio::test(start_paused = true)]
async fn a_node_that_has_just_started_knows_what_was_revoked_before() {
    use macloud_proto::accounts::v1::change::Subject;
    let accounts = cloud::FakeAccounts::new();
    let (lately, long_ago, taken_back) = (HomeKey::new(1), HomeKey::new(2), HomeKey::new(3));
    let ended = |key: &HomeKey| Subject::InstanceEnded(key.instance.to_string());
    accounts.happened(ended(&long_ago), 4 * 3600);
    accounts.happened(ended(&lately), 600);
    accounts.happened(ended(&taken_back), 600);
    let cloud = Cloud::start_among(accounts, |_| {}).await;
    // What is replayed comes right behind the start.
    let witness = HomeKey::new(4);
    let mut home = cloud.home(&witness).await;
    cloud.accounts.end(&witness);
    goodbye(&mut home.socket).await;
    let dial = async |key: &HomeKey, made: i64| {
        let nonce = cloud.nonce(key).await;
        cloud.dial_with(Dial::of(key, token_made(key, made), Some(&nonce))).await
    };
    for made in [-900, -600, -598] {
        assert_eq!(dial(&lately, made).await.unwrap_err().error, "invalid_token", "made {made}");
    }
    Home::greet(dial(&taken_back, -590).await.unwrap(), 1).await;
    Home::greet(dial(&long_ago, -10).await.unwrap(), 1).await;
}

#[tokio::test(start_paused = true)]
async fn an_old_revocation_does_not_close_a_home_that_was_taken_back() {
    use macloud_proto::accounts::v1::change::Subject;
    let cloud = Cloud::start().await;
    let (key, other) = (HomeKey::new(1), HomeKey::new(2));
    let nonce = cloud.nonce(&key).await;
    let socket = cloud.dial_with(Dial::of(&key, token_made(&key, -10), Some(&nonce))).await.unwrap();
    Home::greet(socket, 4).await.serve();
    let mut witness = cloud.home(&other).await;
    cloud.accounts.happened(Subject::InstanceEnded(key.instance.to_string()), 60);
    // The relay knows no sequence yet, so it asks again for what happened lately.
    cloud.accounts.break_streams(false);
    tokio::time::sleep(SECOND).await;
    cloud.accounts.end(&other);
    assert_eq!(goodbye(&mut witness.socket).await, GoodbyeReason::Revoked);
    assert_eq!(cloud.command(&key, 1, SECOND).await, delivered(1));
}

#[tokio::test(start_paused = true)]
async fn a_home_revoked_between_admission_and_hello_is_not_welcomed() {
    let cloud = Cloud::start().await;
    let key = HomeKey::new(1);
    let mut socket = cloud.try_dial(&key).await.unwrap();
    let other = HomeKey::new(2);
    let mut witness = cloud.home(&other).await;
    cloud.accounts.end(&key);
    cloud.accounts.end(&other);
    // Changes arrive in order, so the first one has been seen when the second one shows.
    assert_eq!(goodbye(&mut witness.socket).await, GoodbyeReason::Revoked);
    let hello = macloud_proto::link::frame::Hello {
        version_min: 1,
        version_max: 1,
        install_id: [0; 16],
        software: String::new(),
        credit: 1,
    };
    let hello = macloud_proto::link::frame::FromConnector::Hello(hello).encode();
    futures_util::SinkExt::send(&mut socket, tokio_tungstenite::tungstenite::Message::Binary(hello)).await.unwrap();
    match cloud::next_frame(&mut socket).await {
        Some(FromRelay::Goodbye(goodbye)) => assert_eq!(goodbye.reason, GoodbyeReason::Revoked),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_broken_stream_is_taken_up_where_it_was_left() {
    let cloud = Cloud::start().await;
    let (first, second) = (HomeKey::new(1), HomeKey::new(2));
    let mut one = cloud.home(&first).await;
    let mut two = cloud.home(&second).await;
    cloud.accounts.end(&first);
    assert_eq!(goodbye(&mut one.socket).await, GoodbyeReason::Revoked);
    let watches = cloud.accounts.watches();
    cloud.accounts.break_streams(false);
    tokio::time::sleep(SECOND).await;
    assert_eq!((cloud.accounts.watches(), cloud.accounts.last_since()), (watches + 1, 1));
    cloud.accounts.end(&second);
    assert_eq!(goodbye(&mut two.socket).await, GoodbyeReason::Revoked);
}

#[tokio::test(start_paused = true)]
async fn a_silent_stream_is_taken_for_a_broken_one_and_a_beating_one_is_not() {
    let cloud = Cloud::start().await;
    until(|| cloud.relay.follows_changes()).await;
    let watches = cloud.accounts.watches();
    tokio::time::sleep(SECOND * 60).await;
    assert_eq!(cloud.accounts.watches(), watches);
    cloud.accounts.hush();
    tokio::time::sleep(SECOND * 4).await;
    assert!(cloud.accounts.watches() > watches);
}

#[tokio::test(start_paused = true)]
async fn an_account_service_that_is_away_is_asked_again_and_again_but_not_without_pause() {
    let cloud = Cloud::start().await;
    cloud.accounts.set_away(true);
    cloud.accounts.break_streams(false);
    tokio::time::sleep(SECOND * 60).await;
    assert!(!cloud.relay.follows_changes());
    cloud.accounts.set_away(false);
    tokio::time::sleep(SECOND * 6).await;
    assert!(cloud.relay.follows_changes());
}

#[tokio::test(start_paused = true)]
async fn after_a_gap_every_home_proves_itself_again() {
    let cloud = Cloud::start().await;
    let key = HomeKey::new(1);
    let mut home = cloud.home(&key).await;
    cloud.accounts.break_streams(true);
    assert!(matches!(home.next().await, Some(FromRelay::Drain(_))));
    let refused = cloud.try_dial(&key).await.unwrap_err();
    assert_eq!(refused.error, "invalid_token", "a token from before the gap proves nothing");
    home.serve();
    assert_eq!(cloud.command(&key, 1, SECOND).await, delivered(1), "and until then it works");
}

#[tokio::test(start_paused = true)]
async fn a_home_on_new_hardware_is_let_in_at_once_and_the_old_one_is_not() {
    use macloud_proto::accounts::v1::KeyChanged;
    use macloud_proto::accounts::v1::change::Subject;
    let cloud = Cloud::start().await;
    // The same home, with two keys.
    let old = HomeKey::new(1);
    let new = HomeKey { instance: old.instance.clone(), ..HomeKey::new(2) };
    let mut before = cloud.home(&old).await;
    let stale = token_made(&old, 0);
    let change = || {
        let key_thumbprint = macloud_proto::jose::thumbprint(new.key.public());
        Subject::KeyChanged(KeyChanged { instance_id: old.instance.to_string(), key_thumbprint })
    };
    cloud.accounts.change(change());
    assert_eq!(goodbye(&mut before.socket).await, GoodbyeReason::Revoked);
    // With a token made in the very second of the move; the other one's, even if it were newer, is void.
    let dial = async |key: &HomeKey, token: String| {
        let nonce = cloud.nonce(key).await;
        cloud.dial_with(Dial::of(key, token, Some(&nonce))).await
    };
    Home::greet(dial(&new, token_made(&new, 0)).await.unwrap(), 2).await.serve();
    assert_eq!(cloud.command(&new, 1, SECOND).await, delivered(1));
    for token in [stale, token_made(&old, 30)] {
        assert_eq!(dial(&old, token).await.unwrap_err().error, "invalid_token");
    }
    // Told again, it closes nothing: the home that is there has the right key.
    let mut witness = cloud.home(&HomeKey::new(3)).await;
    cloud.accounts.change(change());
    cloud.accounts.end(&HomeKey::new(3));
    assert_eq!(goodbye(&mut witness.socket).await, GoodbyeReason::Revoked);
    assert_eq!(cloud.command(&new, 2, SECOND).await, delivered(2));
}
