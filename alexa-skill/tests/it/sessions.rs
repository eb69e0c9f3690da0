//! Sealed sessions: set up once, shared, and replaced when a home has lost them.

use macloud_alexa_skill::SkillConfig;
use macloud_proto::accounts::v1::change::Subject;
use macloud_proto::bus::v1::{not_sent, unknown};
use serde_json::json;

use super::support::relay::Trouble;
use super::support::{World, accounts, directive, directive_to, discover, endpoint, error_type, instance, until};

fn pause() -> serde_json::Value {
    directive("Alexa.PlaybackController", "Pause", json!({}))
}

fn next() -> serde_json::Value {
    directive("Alexa.PlaybackController", "Next", json!({}))
}

#[tokio::test]
async fn many_first_commands_at_once_set_one_session_up() {
    let world = World::new().await;
    let directive = pause();
    let events = futures_util::future::join_all((0..20).map(|_| world.send(&directive))).await;
    assert!(events.iter().all(|event| error_type(event) == "none"));
    assert_eq!(world.relay.pre_keys(), 1);
    assert_eq!(world.skill.sessions(), 1);
    world.send(&directive).await;
    assert_eq!(world.relay.pre_keys(), 1, "the session is kept");
    let trace = world.last_trace();
    assert_eq!((trace.kind, trace.result, trace.passages[0].sessions_set_up), ("playback", "ok", 0));
    assert_eq!(trace.passages[0].relay.unwrap().home.as_micros(), 500);
    assert_eq!(trace.passages[0].node, "node-1");
}

#[tokio::test]
async fn a_home_that_restarted_gets_another_session_within_the_same_directive() {
    let world = World::new().await;
    world.send(&next()).await;
    world.home().restart();
    assert_eq!(error_type(&world.send(&next()).await), "none");
    let passage = &world.last_trace().passages[0];
    assert_eq!((passage.sends, passage.sessions_set_up), (2, 1));
    assert_eq!(world.relay.pre_keys(), 1, "the home's answer carries the pre-key");
    assert_eq!(world.home().changes().len(), 2);
}

/// Carried out, the answer lost, and then the home restarts and forgets that it was.
#[tokio::test]
async fn after_a_restart_a_command_of_unknown_fate_is_repeated_only_if_that_does_no_harm() {
    for (directive, expected, times) in [(next(), "BRIDGE_UNREACHABLE", 1), (pause(), "none", 2)] {
        let world = World::new().await;
        world.send(&discover()).await;
        world.relay.trouble(Trouble::UnknownAndRestart(unknown::Reason::LinkLost));
        assert_eq!(error_type(&world.send(&directive).await), expected);
        assert_eq!(world.home().changes().len(), times);
    }
}

#[tokio::test]
async fn what_the_relay_itself_sent_again_is_of_unknown_fate_too() {
    for (directive, expected, times) in [(next(), "BRIDGE_UNREACHABLE", 1), (pause(), "none", 2)] {
        let world = World::new().await;
        world.send(&discover()).await;
        world.relay.trouble(Trouble::SentAgainAfterRestart);
        assert_eq!(error_type(&world.send(&directive).await), expected);
        assert_eq!(world.home().changes().len(), times, "next is never carried out twice");
        if times == 1 {
            assert_eq!(world.last_trace().result, "unknown");
        }
    }
}

#[tokio::test]
async fn a_pre_key_of_another_identity_is_refused_and_a_fresh_one_tried() {
    let world = World::new().await;
    world.relay.pre_key_trouble(Trouble::Spoil);
    assert_eq!(error_type(&world.send(&pause()).await), "none", "a fresh one is asked for once");
    assert_eq!(world.relay.pre_keys(), 2);
    let other = world.add_home(2, "Cottage");
    world.accounts.push(Subject::HomesChanged(accounts::account().to_string())).await;
    other.change_identity(77);
    let there = directive_to(&endpoint(2, 1), "Alexa.PlaybackController", "Pause", json!({}));
    world.send_until(&there, "BRIDGE_UNREACHABLE").await;
    assert_eq!(world.last_trace().result, "home_untrusted");
    assert!(other.carried_out().is_empty());
}

#[tokio::test]
async fn a_reply_that_was_changed_on_the_way_is_not_believed() {
    let world = World::new().await;
    world.relay.trouble(Trouble::Spoil);
    assert_eq!(error_type(&world.send(&pause()).await), "BRIDGE_UNREACHABLE");
    assert_eq!(world.last_trace().result, "unknown", "the home has had the command");
    assert_eq!(world.home().changes().len(), 1);
    assert_eq!(error_type(&world.send(&pause()).await), "none");
}

#[tokio::test]
async fn sessions_end_with_their_homes() {
    let world = World::new().await;
    world.send(&pause()).await;
    assert_eq!(world.skill.sessions(), 1);
    world.accounts.push(Subject::InstanceEnded(instance(1).to_string())).await;
    until(|| world.skill.sessions() == 0).await;
    world.send(&pause()).await;
    assert_eq!(world.skill.sessions(), 1);
    world.accounts.push(Subject::HomesChanged(accounts::account().to_string())).await;
    until(|| world.skill.sessions() == 0).await;
}

#[tokio::test]
async fn the_number_of_sessions_is_bounded() {
    let world = World::with(SkillConfig { most_sessions: 4, ..SkillConfig::default() }).await;
    for number in 2..10 {
        world.add_home(number, "Another");
    }
    assert_eq!(error_type(&world.send(&discover()).await), "none");
    assert!(world.skill.sessions() <= 4, "{}", world.skill.sessions());
}

#[tokio::test]
async fn a_pre_key_that_cannot_be_fetched_is_the_homes_absence() {
    let world = World::new().await;
    world.relay.pre_key_trouble(Trouble::NotSent(not_sent::Reason::LinkLost));
    assert_eq!(error_type(&world.send(&pause()).await), "none");
    world.home().restart();
    world.relay.disconnect(&instance(1));
    assert_eq!(error_type(&world.send(&pause()).await), "BRIDGE_UNREACHABLE");
}
