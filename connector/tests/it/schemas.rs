//! The connector and servers of all ages.

use std::time::Duration;

use macloud_connector::music_assistant::token::Token;
use macloud_connector::music_assistant::{Condition, MusicAssistant, Settings, TokenSource};
use macloud_connector::network::Dialer;
use macloud_e2ee::vocabulary::{Action, Command, Percent, Reply, Target};
use macloud_service_kit::clock;
use macloud_service_kit::stop::Stop;
use macloud_simulated_home::{HomeConfig, NEWEST_SCHEMA, Playback, Quirks, SimulatedHome, Timing};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::scripted::{PATIENCE, quick};
use crate::simulated::{Simulated, play};

async fn a_home(schema_version: u32) -> Simulated {
    let quirks = Quirks { similar_tracks: true, ..Quirks::default() };
    let config = HomeConfig { schema_version, quirks, timing: Timing::fast(), ..HomeConfig::default() };
    Simulated::start_with(config, quick()).await
}

#[tokio::test]
async fn servers_from_the_oldest_to_the_newest_are_commanded_alike() {
    for schema in [28, 29, 33, 34, 46, NEWEST_SCHEMA] {
        let simulated = a_home(schema).await;
        simulated.done("kitchen", play("kind of blue", None, None)).await;
        simulated.truly("playing", |home| home.named("Kitchen").unwrap().state == Playback::Playing).await;
        simulated.done("kitchen", Action::SetVolume(Percent::clamped(41))).await;
        simulated.truly("at 41", |home| home.named("Kitchen").unwrap().volume == 41).await;
        simulated.done("kitchen", Action::SetAutoplay(true)).await;
        simulated.done("kitchen", Action::PlaySimilar).await;
        let target = Target::Named("kitchen".into());
        let read = Command::OnPlayer { target, action: Action::Read, device: None };
        let reply = simulated.executor.execute(read, Duration::from_secs(8)).await;
        let Reply::Done { player, .. } = reply else { panic!("schema {schema}: {reply:?}") };
        assert_eq!(player.state.volume, Some(Percent::clamped(41)), "schema {schema}");
    }
}

#[tokio::test]
async fn a_server_before_authentication_is_too_old() {
    let config = HomeConfig { schema_version: 27, min_supported_schema_version: 24, ..HomeConfig::default() };
    let home = SimulatedHome::start(config).await.unwrap();
    let ma = MusicAssistant::new(Settings {
        url: home.ws_url().parse().unwrap(),
        token: TokenSource::Fixed(Token::parse(home.token()).unwrap()),
        dialer: Dialer::new(None, false).unwrap(),
        clock: clock::system(),
        timing: quick(),
    });
    let running = ma.clone();
    let mut task = JoinSet::new();
    task.spawn(async move { running.run(Stop::new()).await });
    let mut conditions = ma.conditions();
    let told = conditions.wait_for(|condition| matches!(condition, Condition::TooOld { schema: 27 }));
    timeout(PATIENCE, told).await.unwrap().unwrap();
    assert!(home.state().commands.is_empty(), "it is not even shown the token");
}
