//! Homes that their owners have paused, and plans that are used up.

use std::time::Duration;

use macloud_proto::accounts::v1::change::Subject;
use macloud_proto::bus::v1::{self as bus, answer, call, dispatch::Class, not_sent};
use macloud_proto::instance_token::{self, Claims, DayLimit, Limits};
use macloud_proto::link::frame::{FromConnector, FromRelay, Hello, Standing};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

use crate::cloud::{self, Cloud, Dial, Home, HomeKey, NOW, account_key, delivered, dispatch, fetch_pre_key, until};

const SECOND: Duration = Duration::from_secs(1);

fn paused() -> answer::Outcome {
    cloud::not_sent(not_sent::Reason::Paused)
}

/// Dial in with a token that says this.
async fn dial(cloud: &Cloud, key: &HomeKey, claims: &Claims) -> Home {
    let token = instance_token::sign(&account_key(1), "k1", claims);
    let nonce = cloud.nonce(key).await;
    let socket = cloud.dial_with(Dial::of(key, token, Some(&nonce))).await.unwrap();
    Home::greet(socket, 8).await
}

async fn until_paused(cloud: &Cloud, key: &HomeKey, wanted: bool) {
    // A probe that the home is never asked for: its deadline passes, or it is refused at once.
    loop {
        let refused = cloud.unary(fetch_pre_key(key, false)).await.unwrap().outcome == Some(paused());
        if refused == wanted {
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_paused_home_gets_nothing_and_keeps_its_link_until_it_is_resumed() {
    let cloud = Cloud::start().await;
    let (key, other) = (HomeKey::new(1), HomeKey::new(2));
    let mut home = cloud.home(&key).await;
    cloud.home(&other).await.serve();
    let before = Instant::now();
    cloud.accounts.change(Subject::HomePaused(key.instance.to_string()));
    assert_eq!(home.next().await, Some(FromRelay::Standing(Standing { paused: true })));
    assert_eq!(cloud.command(&key, 1, SECOND).await, paused());
    assert_eq!(cloud.unary(fetch_pre_key(&key, true)).await.unwrap().outcome, Some(paused()));
    assert_eq!(cloud.command(&other, 2, SECOND).await, delivered(2), "other homes are not concerned");
    cloud.accounts.change(Subject::HomeResumed(key.instance.to_string()));
    assert_eq!(home.next().await, Some(FromRelay::Standing(Standing { paused: false })));
    home.serve();
    assert_eq!(cloud.command(&key, 3, SECOND).await, delivered(3));
    assert!(before.elapsed() < Duration::from_millis(200), "{:?}", before.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_pause_survives_dialling_in_again_with_a_token_from_before_it() {
    let cloud = Cloud::start().await;
    let key = HomeKey::new(1);
    drop(cloud.home(&key).await);
    until(|| cloud.relay.connected() == 0).await;
    cloud.accounts.change(Subject::HomePaused(key.instance.to_string()));
    let witness = HomeKey::new(2);
    let mut seen = cloud.home(&witness).await;
    cloud.accounts.change(Subject::HomePaused(witness.instance.to_string()));
    assert!(matches!(seen.next().await, Some(FromRelay::Standing(_))), "changes come in order");
    cloud.home(&key).await.serve();
    assert_eq!(cloud.command(&key, 1, SECOND).await, paused());
    // With a token that was made after the owner resumed, of which nothing was heard here.
    let fresh = Claims { iat: NOW + 4, ..key.claims() };
    cloud.clock.advance(SECOND * 5);
    dial(&cloud, &key, &fresh).await.serve();
    assert_eq!(cloud.command(&key, 2, SECOND).await, delivered(2));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_has_just_started_knows_who_is_paused() {
    let accounts = cloud::FakeAccounts::new();
    let (told, resumed, tokened) = (HomeKey::new(1), HomeKey::new(2), HomeKey::new(3));
    accounts.happened(Subject::HomePaused(told.instance.to_string()), 60);
    accounts.happened(Subject::HomePaused(resumed.instance.to_string()), 60);
    accounts.happened(Subject::HomeResumed(resumed.instance.to_string()), 30);
    let cloud = Cloud::start_among(accounts, |_| {}).await;
    until(|| cloud.relay.follows_changes()).await;
    // All three dial in with tokens from before; only the third one's says that it is paused.
    for key in [&told, &resumed] {
        let claims = Claims { iat: NOW - 100, ..key.claims() };
        dial(&cloud, key, &claims).await.serve();
    }
    dial(&cloud, &tokened, &Claims { paused: true, ..tokened.claims() }).await.serve();
    until_paused(&cloud, &told, true).await;
    assert_eq!(cloud.command(&told, 1, SECOND).await, paused());
    assert_eq!(cloud.command(&tokened, 3, SECOND).await, paused());
    assert_eq!(cloud.command(&resumed, 2, SECOND).await, delivered(2));
}

#[tokio::test(start_paused = true)]
async fn a_home_paused_between_admission_and_hello_is_welcomed_as_paused() {
    let cloud = Cloud::start().await;
    let key = HomeKey::new(1);
    let mut socket = cloud.try_dial(&key).await.unwrap();
    let witness = HomeKey::new(2);
    let mut seen = cloud.home(&witness).await;
    cloud.accounts.change(Subject::HomePaused(key.instance.to_string()));
    cloud.accounts.change(Subject::HomePaused(witness.instance.to_string()));
    assert!(matches!(seen.next().await, Some(FromRelay::Standing(_))), "changes come in order");
    let hello = Hello { version_min: 1, version_max: 1, install_id: [0; 16], software: String::new(), credit: 1 };
    let hello = FromConnector::Hello(hello).encode();
    futures_util::SinkExt::send(&mut socket, Message::Binary(hello)).await.unwrap();
    match cloud::next_frame(&mut socket).await {
        Some(FromRelay::Welcome(welcome)) => assert!(welcome.paused),
        other => panic!("{other:?}"),
    }
    assert_eq!(cloud.command(&key, 1, SECOND).await, paused());
}

const MIDNIGHT: u64 = NOW - NOW % 86_400 + 86_400;

fn limited(key: &HomeKey, commands: u32, used: u32) -> Claims {
    let day = Some(DayLimit { shared_by: "somebody".into(), commands, used, ends_at: MIDNIGHT });
    Claims { limits: Limits { commands_per_minute: 1000, day }, ..key.claims() }
}

fn used_up(commands_per_day: u32, after: u64) -> answer::Outcome {
    let retry_after_ms = u32::try_from(after * 1000).unwrap();
    answer::Outcome::NotSent(bus::NotSent {
        reason: not_sent::Reason::UsedUp.into(),
        retry_after_ms,
        commands_per_day,
        ..bus::NotSent::default()
    })
}

async fn read(cloud: &Cloud, key: &HomeKey, id: u8) -> answer::Outcome {
    let mut call = dispatch(key, id, SECOND);
    let Some(call::Body::Dispatch(body)) = &mut call.body else { panic!("a dispatch") };
    body.class = Class::Read.into();
    cloud.unary(call).await.unwrap().outcome.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_is_used_up_refuses_commands_until_the_day_ends_and_never_reads() {
    let cloud = Cloud::start().await;
    let key = HomeKey::new(1);
    dial(&cloud, &key, &limited(&key, 3, 1)).await.serve();
    for id in 0..10 {
        assert_eq!(read(&cloud, &key, id).await, delivered(id), "looking costs nothing");
    }
    assert_eq!(cloud.command(&key, 11, SECOND).await, delivered(11));
    assert_eq!(cloud.command(&key, 12, SECOND).await, delivered(12));
    let left = MIDNIGHT - NOW;
    assert_eq!(cloud.command(&key, 13, SECOND).await, used_up(3, left));
    assert_eq!(read(&cloud, &key, 14).await, delivered(14));
    // Neither dialling in again nor a second home of the same account is a way around it.
    let second = HomeKey::new(2);
    dial(&cloud, &second, &limited(&second, 3, 0)).await.serve();
    dial(&cloud, &key, &limited(&key, 3, 1)).await.serve();
    assert_eq!(cloud.command(&second, 15, SECOND).await, used_up(3, left));
    assert_eq!(cloud.command(&key, 16, SECOND).await, used_up(3, left));
    cloud.clock.advance(Duration::from_secs(left));
    assert_eq!(cloud.command(&key, 17, SECOND).await, delivered(17));
}

#[tokio::test(start_paused = true)]
async fn a_home_that_is_paused_and_used_up_is_paused() {
    let cloud = Cloud::start().await;
    let key = HomeKey::new(1);
    dial(&cloud, &key, &Claims { paused: true, ..limited(&key, 1, 1) }).await.serve();
    assert_eq!(cloud.command(&key, 1, SECOND).await, paused());
}

#[tokio::test(start_paused = true)]
async fn what_does_not_reach_the_home_is_not_counted() {
    let cloud = Cloud::start().await;
    let key = HomeKey::new(1);
    let mut home = dial(&cloud, &key, &limited(&key, 2, 0)).await;
    // The same command twice at once: the second one is refused as it stands.
    let first = cloud.command_later(&key, 1, SECOND);
    let id = home.command().await;
    let twice = cloud.command(&key, 1, SECOND).await;
    assert_eq!(twice, cloud::not_sent(not_sent::Reason::Invalid));
    home.received(id).await;
    home.reply(id).await;
    assert_eq!(first.await.unwrap(), delivered(1));
    home.serve();
    assert_eq!(cloud.command(&key, 2, SECOND).await, delivered(2));
    assert!(
        matches!(cloud.command(&key, 3, SECOND).await, answer::Outcome::NotSent(refused) if refused.reason() == not_sent::Reason::UsedUp)
    );
}

#[tokio::test(start_paused = true)]
async fn a_home_whose_limits_change_is_asked_for_a_new_token_and_loses_no_command() {
    let cloud = Cloud::start().await;
    let key = HomeKey::new(1);
    let since_long = Claims { iat: NOW - 100, ..limited(&key, 1, 1) };
    let mut home = dial(&cloud, &key, &since_long).await;
    cloud.accounts.change(Subject::LimitsChanged(key.instance.to_string()));
    let Some(FromRelay::Drain(drain)) = home.next().await else { panic!("no drain") };
    assert!(drain.reconnect_after >= SECOND * 4 && drain.reconnect_after <= SECOND * 6, "{drain:?}");
    // The old link stays up meanwhile.
    home.serve();
    assert_eq!(read(&cloud, &key, 1).await, delivered(1));
    cloud.clock.advance(SECOND * 4);
    assert_eq!(refused(&cloud, &key, &since_long).await, (401, "invalid_token".to_owned()));
    cloud.clock.advance(SECOND);
    dial(&cloud, &key, &Claims { iat: NOW + 5, ..limited(&key, 10, 1) }).await.serve();
    assert_eq!(cloud.command(&key, 2, SECOND).await, delivered(2));
}

/// How the relay refuses a home with a token that says this.
async fn refused(cloud: &Cloud, key: &HomeKey, claims: &Claims) -> (u16, String) {
    let token = instance_token::sign(&account_key(1), "k1", claims);
    let nonce = cloud.nonce(key).await;
    let refused = cloud.dial_with(Dial::of(key, token, Some(&nonce))).await.unwrap_err();
    (refused.status, refused.error)
}

#[tokio::test(start_paused = true)]
async fn a_home_that_dials_in_while_its_limits_change_is_let_in_and_asked_to_move() {
    let cloud = Cloud::start().await;
    let (key, witness) = (HomeKey::new(1), HomeKey::new(2));
    let mut seen = cloud.home(&witness).await;
    cloud.accounts.change(Subject::LimitsChanged(key.instance.to_string()));
    cloud.accounts.change(Subject::HomePaused(witness.instance.to_string()));
    assert!(matches!(seen.next().await, Some(FromRelay::Standing(_))), "changes come in order");
    cloud.clock.advance(SECOND);
    // Neither the token that it has nor the one that it gets at this moment costs it its link.
    for (id, iat, soonest) in [(1, NOW - 1, 3), (2, NOW + 1, 5)] {
        let mut home = dial(&cloud, &key, &Claims { iat, ..key.claims() }).await;
        let Some(FromRelay::Drain(drain)) = home.next().await else { panic!("no drain") };
        assert!(
            drain.reconnect_after >= SECOND * soonest && drain.reconnect_after <= SECOND * (soonest + 2),
            "{drain:?}"
        );
        home.serve();
        assert_eq!(cloud.command(&key, id, SECOND).await, delivered(id));
    }
    // When it comes back as it was asked to, the old token is refused, and the next is good.
    cloud.clock.advance(SECOND * 5);
    let at_that_moment = Claims { iat: NOW + 1, ..key.claims() };
    assert_eq!(refused(&cloud, &key, &at_that_moment).await, (401, "invalid_token".to_owned()));
    dial(&cloud, &key, &Claims { iat: NOW + 6, ..key.claims() }).await.serve();
    assert_eq!(cloud.command(&key, 3, SECOND).await, delivered(3));
}
