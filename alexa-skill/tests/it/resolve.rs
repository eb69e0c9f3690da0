//! Tokens: looked up once, forgotten at once when revoked, and never taken for bad because of a fault.

use std::time::Duration;

use macloud_alexa_skill::SkillConfig;
use macloud_proto::accounts::v1::change::Subject;
use macloud_proto::accounts::v1::resolve_access_answer::Status;
use serde_json::{Value, json};

use super::support::{TOKEN, World, accounts, directive, error_type, some_token, until};

fn report() -> Value {
    directive("Alexa", "ReportState", json!({}))
}

fn report_with(token: &str) -> Value {
    let mut report = report();
    report["directive"]["endpoint"]["scope"]["token"] = json!(token);
    report
}

#[tokio::test]
async fn what_cannot_be_a_token_of_ours_is_never_looked_up() {
    let world = World::new().await;
    let long = "x".repeat(5000);
    for wrong in ["x", "mca_", "mca_wrong", &TOKEN[1..], &format!("{TOKEN}x"), &TOKEN.replace("mca_", "mcr_"), &long] {
        assert_eq!(error_type(&world.send(&report_with(wrong)).await), "INVALID_AUTHORIZATION_CREDENTIAL", "{wrong}");
    }
    assert_eq!(world.accounts.look_ups(), 0);
    assert_eq!(error_type(&world.send(&report_with(&some_token(7))).await), "INVALID_AUTHORIZATION_CREDENTIAL");
    assert_eq!(world.accounts.look_ups(), 1, "this one could have been");
}

#[tokio::test]
async fn beyond_a_number_of_look_ups_at_once_further_tokens_are_not_looked_up() {
    let mut config = SkillConfig::default();
    config.resolve.most_look_ups = 2;
    let world = World::with(config).await;
    assert_eq!(error_type(&world.send(&report()).await), "none");
    world.accounts.delay(Duration::from_millis(200));
    let strangers: Vec<Value> = (0..20).map(|number| report_with(&some_token(number))).collect();
    let (events, known) =
        tokio::join!(futures_util::future::join_all(strangers.iter().map(|directive| world.send(directive))), async {
            until(|| world.accounts.look_ups() == 3).await;
            world.send(&report()).await
        });
    let refused = events.iter().filter(|event| error_type(event) == "BRIDGE_UNREACHABLE").count();
    assert_eq!((world.accounts.look_ups(), refused), (3, 18), "never taken for a bad token");
    assert_eq!(error_type(&known), "none", "who is remembered is not in the way of it");
    world.accounts.delay(Duration::ZERO);
    assert_eq!(error_type(&world.send(&report_with(&some_token(99))).await), "INVALID_AUTHORIZATION_CREDENTIAL");
}

#[tokio::test]
async fn many_directives_at_once_cause_one_look_up() {
    let world = World::new().await;
    world.accounts.delay(Duration::from_millis(20));
    let directive = report();
    let events = futures_util::future::join_all((0..20).map(|_| world.send(&directive))).await;
    assert!(events.iter().all(|event| error_type(event) == "none"));
    world.send(&directive).await;
    assert_eq!(world.accounts.look_ups(), 1);
}

#[tokio::test]
async fn a_look_up_goes_on_for_others_when_its_first_caller_leaves() {
    let world = World::new().await;
    world.accounts.delay(Duration::from_millis(50));
    let directive = report();
    let leaving = async {
        tokio::select! {
            _ = world.send(&directive) => panic!("the look-up takes longer"),
            () = until(|| world.accounts.look_ups() == 1) => {}
        }
    };
    let (event, ()) = tokio::join!(world.send(&directive), leaving);
    assert_eq!(error_type(&event), "none");
    assert_eq!(world.accounts.look_ups(), 1);
}

#[tokio::test]
async fn a_revoked_token_is_refused_with_the_next_directive() {
    let ends = [
        Subject::GrantEnded(accounts::grant().to_string()),
        Subject::AccountEnded(accounts::account().to_string()),
        Subject::HomesChanged(accounts::account().to_string()),
    ];
    for end in ends {
        let world = World::new().await;
        assert_eq!(error_type(&world.send(&report()).await), "none");
        world.accounts.deny(TOKEN, Status::Invalid);
        assert_eq!(error_type(&world.send(&report()).await), "none", "remembered, as nothing was pushed");
        world.accounts.push(end).await;
        world.send_until(&report(), "INVALID_AUTHORIZATION_CREDENTIAL").await;
    }
}

#[tokio::test]
async fn nothing_is_remembered_past_five_minutes_or_the_tokens_life() {
    let world = World::new().await;
    world.send(&report()).await;
    world.clock.advance(Duration::from_secs(299));
    world.send(&report()).await;
    assert_eq!(world.accounts.look_ups(), 1);
    world.clock.advance(Duration::from_secs(2));
    world.send(&report()).await;
    assert_eq!(world.accounts.look_ups(), 2);
    world.accounts.allow_for(&some_token(1), &["music_assistant.read"], 60);
    let short = report_with(&some_token(1));
    for (seconds, look_ups) in [(0, 3), (59, 3), (2, 4)] {
        world.clock.advance(Duration::from_secs(seconds));
        assert_eq!(error_type(&world.send(&short).await), "none");
        assert_eq!(world.accounts.look_ups(), look_ups, "a token lives for 60 seconds");
    }
}

#[tokio::test]
async fn while_no_changes_can_be_pushed_every_directive_asks_anew() {
    let world = World::new().await;
    world.send(&report()).await;
    // Cut off, and followed again: what was missed in between is not known.
    world.accounts.break_watches();
    until(|| world.accounts.watches() > 1 && world.skill.follows_changes()).await;
    world.send(&report()).await;
    assert_eq!(world.accounts.look_ups(), 2, "after a gap nothing older is trusted");
    // Cut off for good, with the account service there to be asked.
    world.accounts.refuse_watches();
    world.accounts.break_watches();
    until(|| !world.skill.follows_changes()).await;
    for look_ups in 3..6 {
        world.clock.advance(Duration::from_secs(60));
        assert_eq!(error_type(&world.send(&report()).await), "none");
        assert_eq!(world.accounts.look_ups(), look_ups);
    }
    world.accounts.deny(TOKEN, Status::Invalid);
    assert_eq!(error_type(&world.send(&report()).await), "INVALID_AUTHORIZATION_CREDENTIAL", "at once");
    world.accounts.fail(u64::MAX);
    assert_eq!(error_type(&world.send(&report()).await), "BRIDGE_UNREACHABLE", "what was revoked is not remembered");
}

#[tokio::test]
async fn a_restart_of_the_account_service_is_not_heard_and_a_longer_absence_is_a_passing_error() {
    let world = World::new().await;
    world.send(&report()).await;
    world.accounts.refuse_watches();
    world.accounts.break_watches();
    world.accounts.fail(u64::MAX);
    until(|| !world.skill.follows_changes()).await;
    for (seconds, expected) in [(0, "none"), (29, "none"), (2, "BRIDGE_UNREACHABLE")] {
        world.clock.advance(Duration::from_secs(seconds));
        assert_eq!(error_type(&world.send(&report()).await), expected, "{seconds}");
    }
    assert_eq!(error_type(&world.send(&report_with(&some_token(7))).await), "BRIDGE_UNREACHABLE", "never seen");
}

#[tokio::test(start_paused = true)]
async fn silence_is_taken_for_a_break_and_heartbeats_are_not() {
    let world = World::new().await;
    world.send(&report()).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!((world.accounts.watches(), world.skill.follows_changes()), (1, true));
    world.send(&report()).await;
    assert_eq!(world.accounts.look_ups(), 1, "a heartbeat touches nothing");
    world.accounts.hush();
    let started = tokio::time::Instant::now();
    until(|| world.accounts.watches() > 1).await;
    assert!(started.elapsed() < Duration::from_millis(3500), "{:?}", started.elapsed());
    world.send(&report()).await;
    assert_eq!(world.accounts.look_ups(), 2);
}

#[tokio::test]
async fn each_status_of_a_token_has_its_error() {
    let world = World::new().await;
    let cases = [
        (Status::Expired, "EXPIRED_AUTHORIZATION_CREDENTIAL"),
        (Status::Invalid, "INVALID_AUTHORIZATION_CREDENTIAL"),
        (Status::Suspended, "INSUFFICIENT_PERMISSIONS"),
        (Status::Unspecified, "BRIDGE_UNREACHABLE"),
    ];
    for (status, expected) in cases {
        world.accounts.deny(TOKEN, status);
        assert_eq!(error_type(&world.send(&report()).await), expected);
    }
}

#[tokio::test]
async fn a_fault_of_the_account_service_is_never_an_authentication_error() {
    let world = World::new().await;
    world.accounts.fail(1);
    assert_eq!(error_type(&world.send(&report()).await), "none", "asked once more");
    world.clock.advance(Duration::from_secs(301));
    world.accounts.fail(u64::MAX);
    assert_eq!(error_type(&world.send(&report()).await), "BRIDGE_UNREACHABLE");
    world.accounts.fail(0);
    world.accounts.delay(Duration::from_secs(60));
    assert_eq!(error_type(&world.send(&report()).await), "BRIDGE_UNREACHABLE");
}

#[tokio::test]
async fn control_needs_its_scope_and_paused_homes_are_left_alone() {
    let world = World::new().await;
    world.accounts.allow_with(TOKEN, &["music_assistant.read"]);
    let pause = directive("Alexa.PlaybackController", "Pause", json!({}));
    assert_eq!(error_type(&world.send(&pause).await), "INSUFFICIENT_PERMISSIONS");
    assert_eq!(error_type(&world.send(&report()).await), "none");
    world.accounts.change_homes(|homes| homes[0].paused = true);
    world.accounts.push(Subject::HomesChanged(accounts::account().to_string())).await;
    world.send_until(&report(), "INSUFFICIENT_PERMISSIONS").await;
    let before = world.home().carried_out().len();
    world.send(&report()).await;
    assert_eq!(world.home().carried_out().len(), before);
}
