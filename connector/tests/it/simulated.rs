//! The connector's Music Assistant side against the simulated home, whose players really move.

use std::time::Duration;

use macloud_connector::execute::Executor;
use macloud_connector::music_assistant::token::Token;
use macloud_connector::music_assistant::{MusicAssistant, Settings, TokenSource};
use macloud_connector::network::Dialer;
use macloud_e2ee::vocabulary::{
    Action, Command, MediaKind, MediaQuery, Percent, Placement, Refusal, Reply, Target, Transport,
};
use macloud_service_kit::clock;
use macloud_service_kit::stop::Stop;
use macloud_simulated_home::{HomeConfig, HomeState, PlayerChange, RestartPlan, RunningHome, SimulatedHome, Timing};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::scripted::{PATIENCE, quick};

const AMPLE: Duration = Duration::from_secs(8);

struct Simulated {
    home: RunningHome,
    ma: MusicAssistant,
    executor: Executor,
    _task: JoinSet<()>,
}

impl Simulated {
    async fn start() -> Self {
        let home = SimulatedHome::start(HomeConfig { timing: Timing::fast(), ..HomeConfig::default() }).await.unwrap();
        let ma = MusicAssistant::new(Settings {
            url: home.ws_url().parse().unwrap(),
            token: TokenSource::Fixed(Token::parse(home.token()).unwrap()),
            dialer: Dialer::new(None, false).unwrap(),
            clock: clock::system(),
            timing: quick(),
        });
        let mut task = JoinSet::new();
        let running = ma.clone();
        task.spawn(async move { running.run(Stop::new()).await });
        let this = Self { home, executor: Executor::new(ma.clone()), ma, _task: task };
        this.ready(true).await;
        this
    }

    async fn ready(&self, ready: bool) {
        let mut conditions = self.ma.conditions();
        let reached = conditions.wait_for(|condition| condition.is_ready() == ready);
        timeout(PATIENCE, reached).await.unwrap_or_else(|_| panic!("{:?}", self.ma.condition())).unwrap();
    }

    async fn on(&self, player: &str, action: Action) -> Reply {
        let target = Target::Named(player.into());
        self.executor.execute(Command::OnPlayer { target, action }, AMPLE).await
    }

    async fn done(&self, player: &str, action: Action) {
        let reply = self.on(player, action).await;
        assert!(matches!(reply, Reply::Done { .. }), "{reply:?}");
    }

    /// Wait until the home truly is so.
    async fn truly(&self, what: &str, wanted: impl Fn(&HomeState) -> bool) {
        if timeout(PATIENCE, self.home.until(wanted)).await.is_err() {
            panic!("never {what}: {:?}", self.home.state().players);
        }
    }
}

fn play(text: &str, artist: Option<&str>, kind: Option<MediaKind>) -> Action {
    let media = MediaQuery { text: text.into(), artist: artist.map(Into::into), kind };
    Action::Play { media, placement: Placement::Replace }
}

#[tokio::test]
async fn what_is_said_is_what_is_heard() {
    let simulated = Simulated::start().await;
    for (text, artist, kind, title) in [
        ("kind of blue", None, None, "So What"),
        ("blue in green by miles davis", None, None, "Blue in Green"),
        ("hyperballad", Some("bjork"), None, "Hyperballad"),
        ("sinnerman nina simone", None, None, "Sinnerman"),
        ("homogenic", None, Some(MediaKind::Album), "Hunter"),
    ] {
        simulated.done("the kitchen", play(text, artist, kind)).await;
        simulated
            .truly(text, |home| {
                let kitchen = home.named("Kitchen").unwrap();
                format!("{:?}", kitchen.state) == "Playing"
                    && kitchen.now_playing.as_ref().is_some_and(|now| now.title == title)
            })
            .await;
    }
    let reply = simulated.on("kitchen", play("no such thing at all", None, None)).await;
    assert_eq!(reply, Reply::Refused(Refusal::MediaNotFound));
    assert_eq!(format!("{:?}", simulated.home.state().named("Kitchen").unwrap().state), "Playing", "the music goes on");
}

#[tokio::test]
async fn volume_and_transport_reach_the_player() {
    let simulated = Simulated::start().await;
    simulated.done("kitchen", play("kind of blue", None, None)).await;
    simulated.done("kitchen", Action::SetVolume(Percent::clamped(33))).await;
    simulated.truly("33", |home| home.named("Kitchen").unwrap().volume == 33).await;
    simulated.done("kitchen", Action::AdjustVolume(100)).await;
    simulated.truly("100", |home| home.named("Kitchen").unwrap().volume == 100).await;
    simulated.done("kitchen", Action::Transport(Transport::Next)).await;
    simulated.truly("next", |home| home.named("Kitchen").unwrap().queue.current_index == Some(1)).await;
    simulated.done("kitchen", Action::Transport(Transport::Pause)).await;
    simulated.truly("quiet", |home| format!("{:?}", home.named("Kitchen").unwrap().state) != "Playing").await;
}

#[tokio::test]
async fn a_player_without_its_plug_is_unavailable_and_others_are_not() {
    let simulated = Simulated::start().await;
    let state = simulated.home.state();
    let kitchen = &state.named("Kitchen").unwrap().player_id;
    let settled = async {
        while simulated.ma.is_settling() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, settled).await.unwrap();
    simulated.home.unplug(kitchen).unwrap();
    assert!(simulated.ma.wait_until(PATIENCE, |d| d.player(kitchen).is_some_and(|player| !player.available)).await);
    let reply = simulated.on("kitchen", Action::Transport(Transport::Pause)).await;
    assert_eq!(reply, Reply::Refused(Refusal::PlayerUnavailable("Kitchen".into())));
    simulated.home.plug(kitchen).unwrap();
    assert!(simulated.ma.wait_until(PATIENCE, |d| d.player(kitchen).is_some_and(|player| player.available)).await);
    simulated
        .home
        .change_player(kitchen, PlayerChange { name: Some("Galley".into()), ..PlayerChange::default() })
        .unwrap();
    assert!(
        simulated.ma.wait_until(PATIENCE, |d| d.player(kitchen).is_some_and(|player| player.name == "Galley")).await
    );
    simulated.done("galley", Action::Read).await;
}

#[tokio::test]
async fn a_restart_loses_no_player_and_no_time() {
    let simulated = Simulated::start().await;
    let Reply::Players(before) = simulated.executor.execute(Command::ListPlayers, AMPLE).await else { panic!() };
    simulated
        .home
        .restart(RestartPlan { down_ms: 200, starting_ms: 200, settling_ms: 100, ..RestartPlan::default() })
        .unwrap();
    simulated.ready(false).await;
    let Reply::Players(meanwhile) = simulated.executor.execute(Command::ListPlayers, AMPLE).await else { panic!() };
    assert_eq!(meanwhile.len(), before.len());
    assert!(meanwhile.iter().all(|player| !player.state.available));
    simulated.ready(true).await;
    let there =
        simulated.ma.wait_until(PATIENCE, |d| d.exposed().count() == before.len() && d.exposed().all(|p| p.available));
    assert!(there.await);
}
