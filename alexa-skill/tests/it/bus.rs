//! The bus on bad days: links that break, answers that do not come, nodes that leave.

use std::time::Duration;

use macloud_alexa_skill::dispatch::{Bus, BusConfig, Outcome};
use macloud_e2ee::vocabulary::{Action, Transport};
use macloud_proto::bus::v1::dispatch::Class;
use macloud_proto::bus::v1::{not_sent, unknown};
use macloud_proto::ids::CommandId;
use macloud_service_kit::stop::Stop;
use serde_json::json;
use tokio::time::Instant;

use super::support::relay::{FakeRelay, Trouble};
use super::support::{World, directive, discover, error_type, instance, until};
use crate::support::home::FakeHome;

fn next() -> serde_json::Value {
    directive("Alexa.PlaybackController", "Next", json!({}))
}

const NEXT: Action = Action::Transport(Transport::Next);

#[tokio::test]
async fn what_was_not_sent_is_sent_once_more_and_only_where_that_helps() {
    let world = World::new().await;
    for reason in [not_sent::Reason::LinkLost, not_sent::Reason::Draining] {
        world.relay.trouble(Trouble::NotSent(reason));
        assert_eq!(error_type(&world.send(&next()).await), "none");
        assert_eq!(world.last_trace().passages[0].sends, 2);
    }
    world.relay.trouble(Trouble::NotSent(not_sent::Reason::LinkLost));
    world.relay.trouble(Trouble::NotSent(not_sent::Reason::LinkLost));
    assert_eq!(error_type(&world.send(&next()).await), "BRIDGE_UNREACHABLE");
    world.relay.trouble(Trouble::NotSent(not_sent::Reason::Busy));
    assert_eq!(error_type(&world.send(&next()).await), "ENDPOINT_BUSY");
    assert_eq!(world.last_trace().passages[0].sends, 1);
}

#[tokio::test]
async fn a_command_of_unknown_fate_is_repeated_under_its_id_and_carried_out_once() {
    let world = World::new().await;
    world.relay.trouble(Trouble::Unknown(unknown::Reason::LinkLost, true));
    assert_eq!(error_type(&world.send(&next()).await), "none");
    assert_eq!(world.home().changes(), [NEXT]);
    let sent = world.relay.dispatches();
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[0], sent[1], "the same id and the same bytes");
}

#[tokio::test]
async fn not_connected_on_the_second_try_does_not_hide_that_the_first_may_have_worked() {
    let world = World::new().await;
    world.relay.trouble(Trouble::Unknown(unknown::Reason::Unresponsive, true));
    world.relay.trouble(Trouble::NotSent(not_sent::Reason::NotConnected));
    assert_eq!(error_type(&world.send(&next()).await), "BRIDGE_UNREACHABLE");
    assert_eq!(world.last_trace().result, "unknown");
}

#[tokio::test]
async fn a_stream_that_breaks_in_flight_is_opened_again_and_the_command_answered() {
    let world = World::new().await;
    world.send(&discover()).await;
    let opened = world.relay.opened();
    world.relay.trouble(Trouble::BreakStream);
    assert_eq!(error_type(&world.send(&next()).await), "none");
    assert_eq!(world.home().changes(), [NEXT]);
    until(|| world.relay.opened() > opened).await;
    world.relay.break_streams().await;
    assert_eq!(error_type(&world.send(&next()).await), "none");
}

#[tokio::test(start_paused = true)]
async fn draining_loses_nothing() {
    let world = World::new().await;
    world.send(&discover()).await;
    for _ in 0..5 {
        world.relay.trouble(Trouble::Late(Duration::from_millis(20)));
        let directive = next();
        let (event, ()) = tokio::join!(world.send(&directive), async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            world.relay.drain_streams().await;
        });
        assert_eq!(error_type(&event), "none");
        assert_eq!(world.last_trace().passages[0].sends, 1, "answered on the stream that was leaving");
    }
    assert!(world.relay.opened() > 4);
}

#[tokio::test(start_paused = true)]
async fn silence_ends_with_the_budget_and_is_cancelled_at_the_relay() {
    let world = World::new().await;
    world.send(&discover()).await;
    world.relay.trouble(Trouble::Silence);
    let started = Instant::now();
    assert_eq!(error_type(&world.send(&next()).await), "BRIDGE_UNREACHABLE");
    assert!(started.elapsed() <= Duration::from_millis(6500), "{:?}", started.elapsed());
    assert!(started.elapsed() >= Duration::from_millis(5900), "{:?}", started.elapsed());
    until(|| world.relay.cancels() == 1).await;
    assert!(world.home().changes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_forwarder_with_less_time_is_answered_in_its_time() {
    let world = World::new().await;
    world.send(&discover()).await;
    world.relay.trouble(Trouble::Silence);
    let started = Instant::now();
    let request = http::Request::post("/alexa/v1/smart-home")
        .header("content-type", "application/json")
        .header("x-macloud-remaining-ms", "1200")
        .body(axum::body::Body::from(next().to_string()))
        .unwrap();
    let (_, event) = world.call(request).await;
    assert_eq!(error_type(&event), "BRIDGE_UNREACHABLE");
    assert!(started.elapsed() <= Duration::from_millis(1250), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_caller_that_goes_away_cancels_its_command() {
    let world = World::new().await;
    world.send(&discover()).await;
    world.relay.trouble(Trouble::Silence);
    let directive = next();
    let sent = world.relay.dispatches().len();
    tokio::select! {
        _ = world.send(&directive) => panic!("nothing answers"),
        () = until(|| world.relay.dispatches().len() > sent) => {}
    }
    until(|| world.relay.cancels() == 1).await;
}

#[tokio::test]
async fn calls_keep_to_the_credit_and_all_are_answered() {
    let relay = FakeRelay::new("node-1").with_credit(3);
    relay.connect(FakeHome::new(1));
    let bus = Bus::new(relay.channel(), BusConfig { streams_per_channel: 1, ..BusConfig::default() });
    let running = tokio::spawn({
        let bus = bus.clone();
        async move { bus.run(Stop::new()).await }
    });
    let deadline = Instant::now() + Duration::from_secs(6);
    let home = instance(1);
    let calls = (0..50).map(|_| bus.fetch_pre_key(&home, false, deadline));
    let answers = futures_util::future::join_all(calls).await;
    assert!(answers.into_iter().all(|answer| matches!(answer.unwrap().outcome, Outcome::PreKey(_))));
    assert!(relay.most_in_flight() <= 3, "{}", relay.most_in_flight());
    running.abort();
}

#[tokio::test]
async fn the_node_that_holds_the_home_is_asked_directly() {
    let (one, two) = (FakeRelay::new("node-1"), FakeRelay::new("node-2"));
    two.connect(FakeHome::new(2));
    let bus = Bus::new(vec![one.channel(), two.channel()], BusConfig::default());
    let running = tokio::spawn({
        let bus = bus.clone();
        async move { bus.run(Stop::new()).await }
    });
    until(|| one.opened() == 2 && two.opened() == 2).await;
    let deadline = Instant::now() + Duration::from_secs(6);
    // Until a node answers with the owner, each is asked in turn; from then on only the owner.
    let home = instance(2);
    let first = bus.fetch_pre_key(&home, false, deadline).await.unwrap();
    assert!(matches!(first.outcome, Outcome::PreKey(_)), "found on whichever node it is");
    let asked = one.pre_keys();
    for _ in 0..10 {
        let answer = bus.fetch_pre_key(&home, false, deadline).await.unwrap();
        assert_eq!(answer.node, "node-2");
    }
    assert_eq!(one.pre_keys(), asked);
    running.abort();
}

#[tokio::test]
async fn a_home_is_looked_for_on_every_node_and_only_once_on_each() {
    let nodes = ["node-1", "node-2", "node-3"].map(FakeRelay::new);
    for (number, node) in (1..).zip(&nodes) {
        node.connect(FakeHome::new(number));
    }
    let bus = Bus::new(nodes.iter().map(FakeRelay::channel).collect::<Vec<_>>(), BusConfig::default());
    let running = tokio::spawn({
        let bus = bus.clone();
        async move { bus.run(Stop::new()).await }
    });
    until(|| nodes.iter().all(|node| node.opened() == 2)).await;
    assert_eq!((bus.streams(), bus.was_open()), (6, true));
    let deadline = Instant::now() + Duration::from_secs(6);
    for number in 1..=3 {
        let answer = bus.fetch_pre_key(&instance(number), false, deadline).await.unwrap();
        assert!(matches!(answer.outcome, Outcome::PreKey(_)), "{answer:?}");
    }
    let before: Vec<u64> = nodes.iter().map(FakeRelay::pre_keys).collect();
    let nowhere = bus.fetch_pre_key(&instance(9), false, deadline).await.unwrap();
    assert_eq!(nowhere.outcome, Outcome::NotSent(not_sent::Reason::NotConnected));
    for (node, before) in nodes.iter().zip(before) {
        assert_eq!(node.pre_keys(), before + 1);
    }
    running.abort();
}

#[tokio::test]
async fn readiness_stays_when_the_relays_go() {
    let world = World::new().await;
    until(|| world.skill.streams() == 2).await;
    assert!(world.skill.is_ready());
    world.relay.break_streams().await;
    world.accounts.refuse_watches();
    world.accounts.break_watches();
    until(|| !world.skill.follows_changes()).await;
    assert!(world.skill.is_ready(), "nobody else would answer better");
    let never = Bus::new(FakeRelay::new("never").channel(), BusConfig::default());
    assert!(!never.was_open());
}

#[tokio::test(start_paused = true)]
async fn without_any_relay_the_answer_comes_within_a_second() {
    let bus = Bus::new(FakeRelay::new("never").channel(), BusConfig::default());
    let started = Instant::now();
    let id = CommandId::from_bytes([1; 16]);
    let answer =
        bus.dispatch(&instance(1), id, Class::Command, bytes::Bytes::new(), started + Duration::from_secs(6)).await;
    assert!(answer.is_err());
    assert!(started.elapsed() <= Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_soft_stop_lets_what_is_in_flight_finish() {
    let world = World::new().await;
    world.send(&discover()).await;
    world.relay.trouble(Trouble::Late(Duration::from_millis(400)));
    let directive = next();
    let (event, ()) = tokio::join!(world.send(&directive), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        world.stop.stop_soft();
    });
    assert_eq!(error_type(&event), "none");
    tokio::time::timeout(Duration::from_secs(5), world.running).await.unwrap().unwrap();
}
