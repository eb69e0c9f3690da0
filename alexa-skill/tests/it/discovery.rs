//! Discovery: which homes and players Alexa learns of.

use std::time::Duration;

use macloud_alexa_skill::SkillConfig;
use macloud_e2ee::vocabulary::{Capabilities, PlayerKind, Refusal};
use macloud_proto::bus::v1::{not_sent, unknown};
use macloud_proto::ids::PlayerKey;
use serde_json::{Value, json};

use super::support::home::some_player;
use super::support::relay::Trouble;
use super::support::{World, directive, discover, endpoint, error_type, instance, scene, some_token};

fn endpoints(event: &Value) -> &Vec<Value> {
    event["event"]["payload"]["endpoints"].as_array().unwrap()
}

fn names(event: &Value) -> Vec<&str> {
    endpoints(event).iter().map(|endpoint| endpoint["friendlyName"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn all_homes_are_listed_once_in_the_same_order_with_distinct_names() {
    let world = World::new().await;
    world.add_home(2, "Cottage");
    let event = world.send(&discover()).await;
    let mut sorted = names(&event);
    sorted.sort_unstable();
    assert_eq!(sorted, ["Bathroom", "Bathroom Cottage", "Kitchen", "Kitchen Cottage"]);
    let again = world.send(&discover()).await;
    assert_eq!(endpoints(&event), endpoints(&again));
    assert!(endpoints(&event).iter().any(|found| found["endpointId"] == endpoint(2, 1)));
}

#[tokio::test]
async fn homes_that_are_away_are_left_out_and_when_all_are_the_bridge_is_unreachable() {
    let world = World::new().await;
    world.add_home(2, "Cottage");
    world.relay.disconnect(&instance(2));
    let event = world.send(&discover()).await;
    assert_eq!(endpoints(&event).len(), 2);
    world.relay.disconnect(&instance(1));
    let event = world.send(&discover()).await;
    assert_eq!(error_type(&event), "BRIDGE_UNREACHABLE");
    world.home_away_answers_fast(&discover()).await;
}

impl World {
    async fn home_away_answers_fast(&self, directive: &Value) {
        let started = std::time::Instant::now();
        self.send(directive).await;
        assert!(started.elapsed() < Duration::from_secs(1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_home_that_hangs_does_not_hide_the_others() {
    let world = World::new().await;
    world.add_home(2, "Cottage");
    // Both sessions exist, so that the next command is the one that hangs.
    assert_eq!(endpoints(&world.send(&discover()).await).len(), 4);
    world.relay.trouble(Trouble::Silence);
    let started = tokio::time::Instant::now();
    let event = world.send(&discover()).await;
    assert_eq!(endpoints(&event).len(), 2);
    assert!(started.elapsed() < Duration::from_millis(6500), "{:?}", started.elapsed());
}

#[tokio::test]
async fn an_account_without_homes_has_no_endpoints() {
    let world = World::empty(SkillConfig::default()).await;
    assert!(endpoints(&world.send(&discover()).await).is_empty());
}

#[tokio::test]
async fn stopped_homes_and_missing_scopes_are_a_matter_of_permission() {
    let world = World::new().await;
    let control_only = some_token(1);
    world.accounts.allow_with(&control_only, &["music_assistant.control"]);
    let mut other = discover();
    other["directive"]["payload"]["scope"]["token"] = control_only.into();
    assert_eq!(error_type(&world.send(&other).await), "INSUFFICIENT_PERMISSIONS");
    world.home().refuse_next(Refusal::Stopped);
    assert_eq!(error_type(&world.send(&discover()).await), "INSUFFICIENT_PERMISSIONS");
    world.home().refuse_next(Refusal::MusicAssistantStarting);
    assert_eq!(error_type(&world.send(&discover()).await), "BRIDGE_UNREACHABLE");
    world.relay.trouble(Trouble::NotSent(not_sent::Reason::RateLimited));
    assert_eq!(error_type(&world.send(&discover()).await), "RATE_LIMIT_EXCEEDED");
    world.relay.trouble(Trouble::Unknown(unknown::Reason::LinkLost, false));
    assert_eq!(error_type(&world.send(&discover()).await), "none", "asked once more");
}

#[tokio::test]
async fn what_all_homes_fail_with_is_told_and_otherwise_that_none_is_there() {
    let world = World::new().await;
    world.add_home(2, "Cottage");
    for (second, expected) in
        [(not_sent::Reason::RateLimited, "RATE_LIMIT_EXCEEDED"), (not_sent::Reason::NotConnected, "BRIDGE_UNREACHABLE")]
    {
        assert_eq!(endpoints(&world.send(&discover()).await).len(), 4);
        world.relay.trouble(Trouble::NotSent(not_sent::Reason::RateLimited));
        world.relay.trouble(Trouble::NotSent(second));
        assert_eq!(error_type(&world.send(&discover()).await), expected);
    }
}

#[tokio::test]
async fn paused_homes_are_not_asked() {
    let world = World::new().await;
    world.add_home(2, "Cottage");
    world.accounts.change_homes(|homes| homes[0].paused = true);
    let event = world.send(&discover()).await;
    assert_eq!(endpoints(&event).len(), 2);
    assert!(world.home().carried_out().is_empty());
}

#[tokio::test]
async fn one_player_that_cannot_be_an_endpoint_is_left_out_alone() {
    let world = World::new().await;
    world.home().change_players(|players| {
        players[0].name = "🎵 ♫ !!".into();
        let twice = players[1].clone();
        players.push(twice);
    });
    assert_eq!(names(&world.send(&discover()).await), ["Bathroom"]);
}

#[tokio::test]
async fn capabilities_say_what_the_player_can() {
    let world = World::new().await;
    world.home().change_players(|players| {
        players[0].can = Capabilities { mute: true, steps: true, ..Capabilities::default() };
        players[0].kind = PlayerKind::Group;
        players[0].manufacturer = None;
        players[0].model = None;
        players[1].can = Capabilities { power: true, volume: true, order: true, ..Capabilities::default() };
    });
    let event = world.send(&discover()).await;
    for found in endpoints(&event) {
        let speaker = found["capabilities"].as_array().unwrap().iter().find(|c| c["interface"] == "Alexa.Speaker");
        let ordered = ["Alexa.ToggleController", "Alexa.ModeController"].map(|interface| {
            found["capabilities"].as_array().unwrap().iter().any(|capability| capability["interface"] == interface)
        });
        assert_eq!(ordered, [found["friendlyName"] != "Kitchen"; 2], "an older home cannot do it");
        let has = |interface: &str| {
            found["capabilities"].as_array().unwrap().iter().any(|capability| capability["interface"] == interface)
        };
        let of_volume =
            ["Alexa.PercentageController", "Alexa.StepSpeaker", "Alexa.SeekController", "Alexa.RangeController"];
        assert_eq!(
            of_volume.map(has),
            [found["friendlyName"] != "Kitchen", found["friendlyName"] == "Kitchen", false, false]
        );
        if found["friendlyName"] == "Kitchen" {
            assert_eq!(speaker, None);
            assert_eq!(found["manufacturerName"], "Music Assistant");
        } else {
            let supported = &speaker.unwrap()["properties"]["supported"];
            assert_eq!(supported, &serde_json::json!([{"name": "volume"}]));
        }
    }
}

#[tokio::test]
async fn never_more_endpoints_than_alexa_takes() {
    let world = World::new().await;
    for number in 2..4 {
        let home = world.add_home(number, "Other");
        home.change_players(|players| {
            *players = (0..150)
                .map(|n| some_player(PlayerKey::derive("server", &format!("{number} {n}")), &format!("Room {n}")))
                .collect();
        });
    }
    let event = world.send(&discover()).await;
    assert_eq!(endpoints(&event).len(), 300);
    assert!(event.to_string().len() <= 256_000, "{} bytes", event.to_string().len());
    assert_eq!(endpoints(&event), endpoints(&world.send(&discover()).await));
    let report = world.last_trace().listed.unwrap();
    assert_eq!((report.players, report.no_room, report.detail), (300, 2, "least"), "{report}");
}

#[tokio::test]
async fn favourites_are_scenes_and_presets_of_every_player() {
    let world = World::new().await;
    let jazz = world.home().add_preset("Jazz Evening");
    world.home().add_preset("Kitchen");
    world.home().add_preset("🎵");
    let event = world.send(&discover()).await;
    assert_eq!(names(&event)[2..], ["Jazz Evening", "Kitchen 2"], "the player keeps its name");
    let found = &endpoints(&event)[2];
    assert_eq!(
        (&found["endpointId"], &found["displayCategories"]),
        (&json!(scene(1, &jazz)), &json!(["SCENE_TRIGGER"]))
    );
    let scene = json!({
        "type": "AlexaInterface", "interface": "Alexa.SceneController", "version": "3", "supportsDeactivation": false
    });
    assert_eq!(found["capabilities"][1], scene);
    for player in &endpoints(&event)[..2] {
        let capabilities = player["capabilities"].as_array().unwrap();
        let preset = capabilities.iter().find(|capability| capability["instance"] == "Player.Preset").unwrap();
        let modes = preset["configuration"]["supportedModes"].as_array().unwrap();
        assert_eq!((modes.len(), &modes[0]["value"]), (2, &json!(format!("Preset.{jazz}"))));
        let timer = capabilities.iter().find(|capability| capability["instance"] == "Player.SleepTimer").unwrap();
        let range = json!({"minimumValue": 0, "maximumValue": 720, "precision": 1});
        assert_eq!(timer["configuration"]["supportedRange"], range);
    }
    let report = world.last_trace().listed.unwrap();
    assert_eq!((report.players, report.scenes, report.unspeakable, report.renamed), (2, 2, 1, 1), "{report}");
    assert_eq!(report.detail, "everything");
}

#[tokio::test]
async fn a_player_that_got_another_name_stays_the_endpoint_that_it_was() {
    let world = World::new().await;
    let before = world.send(&discover()).await;
    world.home().change_players(|players| players[0].name = "Cookery".into());
    let pause = world.send(&directive("Alexa.PlaybackController", "Pause", json!({}))).await;
    assert_eq!(pause["event"]["header"]["name"], "Response", "by the name that Alexa knows");
    assert_eq!(pause["event"]["endpoint"]["endpointId"], endpoint(1, 1));
    let after = world.send(&discover()).await;
    let named = |event: &Value, id: &str| {
        endpoints(event).iter().find(|found| found["endpointId"] == id).unwrap()["friendlyName"].clone()
    };
    assert_eq!(named(&before, &endpoint(1, 1)), "Kitchen");
    assert_eq!(named(&after, &endpoint(1, 1)), "Cookery");
    assert_eq!(named(&after, &endpoint(1, 2)), named(&before, &endpoint(1, 2)));
}
