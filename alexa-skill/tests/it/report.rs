//! What is told to the account service of what was done: counts, each once, and never in anybody's way.

use std::collections::BTreeMap;
use std::time::Duration;

use macloud_alexa_skill::SkillConfig;
use macloud_proto::accounts::v1::ReportUseRequest;
use macloud_proto::accounts::v1::r#use::{Kind, Result as Ended};
use macloud_proto::bus::v1::not_sent;
use serde_json::json;
use tokio::time::Instant;

use super::support::relay::Trouble;
use super::support::{World, accounts, directive, discover, error_type, instance, until};

/// Everything in batches that count: each id once.
fn counted(reports: &[ReportUseRequest]) -> BTreeMap<(Kind, Ended), u32> {
    let by_id: BTreeMap<_, _> = reports.iter().map(|report| (report.batch_id.clone(), report)).collect();
    let mut counts = BTreeMap::new();
    for one in by_id.into_values().flat_map(|report| &report.uses) {
        assert_eq!(
            (one.grant_id.as_str(), one.instance_id.as_str()),
            (accounts::grant().as_str(), instance(1).as_str())
        );
        *counts.entry((one.kind(), one.result())).or_default() += one.count;
    }
    counts
}

fn volume(level: u8) -> serde_json::Value {
    directive("Alexa.Speaker", "SetVolume", json!({"volume": level}))
}

#[tokio::test]
async fn what_was_done_is_reported_by_kind_and_result_and_nothing_else() {
    let world = World::new().await;
    for level in [10, 20, 30] {
        assert_eq!(error_type(&world.send(&volume(level)).await), "none");
    }
    world.send(&discover()).await;
    world.send(&directive("Alexa", "ReportState", json!({}))).await;
    world.relay.trouble(Trouble::NotSent(not_sent::Reason::NotConnected));
    world.send(&directive("Alexa.PlaybackController", "Pause", json!({}))).await;
    let wanted = BTreeMap::from([
        ((Kind::Volume, Ended::Done), 3),
        ((Kind::Discovery, Ended::Done), 1),
        ((Kind::Read, Ended::Done), 1),
        ((Kind::Playback, Ended::Offline), 1),
    ]);
    until(|| counted(&world.accounts.reports()).values().sum::<u32>() == 6).await;
    assert_eq!(counted(&world.accounts.reports()), wanted);
}

#[tokio::test]
async fn a_pause_is_reported_without_asking_the_home() {
    let world = World::new().await;
    world.accounts.change_homes(|homes| homes[0].paused = true);
    assert_eq!(error_type(&world.send(&volume(10)).await), "INSUFFICIENT_PERMISSIONS");
    until(|| !world.accounts.reports().is_empty()).await;
    assert_eq!(counted(&world.accounts.reports()), BTreeMap::from([((Kind::Volume, Ended::Paused), 1)]));
    assert!(world.relay.dispatches().is_empty());
}

#[tokio::test]
async fn a_report_that_fails_is_sent_again_under_its_id_and_delays_no_answer() {
    let world = World::with(SkillConfig::default()).await;
    world.accounts.lose_reports(true);
    world.send(&volume(10)).await;
    until(|| !world.accounts.reports().is_empty()).await;
    let begun = Instant::now();
    for level in 0..20 {
        assert_eq!(error_type(&world.send(&volume(level)).await), "none");
    }
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    world.accounts.lose_reports(false);
    until(|| counted(&world.accounts.reports()).values().sum::<u32>() == 21).await;
    let reports = world.accounts.reports();
    assert_eq!(reports[0].batch_id, reports[1].batch_id, "the first batch was lost and came again");
    assert_eq!(reports[0], reports[1]);
}
