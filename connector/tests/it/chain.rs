//! The whole connector between a scripted cloud and a scripted Music Assistant.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use macloud_connector::connector::OpenError;
use macloud_connector::music_assistant::token::Token;
use macloud_connector::network::Dialer;
use macloud_connector::pairing::PairError;
use macloud_connector::state::{StateDir, StateError};
use macloud_connector::status::{Event, LinkState, Status};
use macloud_connector::{Connector, ConnectorOptions, PairOptions, Paired, pair};
use macloud_e2ee::skill::{Answer, Session};
use macloud_e2ee::vocabulary::{Action, Command, News, Percent, Refusal, Reply, Scopes, Target, Transport};
use macloud_proto::link::GoodbyeReason;
use macloud_proto::link::frame::{Drain, FromConnector, FromRelay, Goodbye, Standing};
use macloud_proto::link::redial::RedialSettings;
use macloud_proto::link::resumption::{Credential, SECRET_BYTES};
use macloud_service_kit::clock;
use macloud_service_kit::stop::Stop;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::cloud::{Cloud, Decision, Sent, TOKEN_PREFIX, both, instance};
use crate::music_assistant::tempdir;
use crate::scripted::{Answer as MaAnswer, PATIENCE, Scripted, TOKEN, quick};

const AMPLE: Duration = Duration::from_secs(8);

pub struct Home {
    pub cloud: Cloud,
    pub ma: Scripted,
    pub state_dir: PathBuf,
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.state_dir);
    }
}

/// A connector that runs, and everything it told.
pub struct Running {
    pub events: Arc<Mutex<Vec<Event>>>,
    count: watch::Receiver<usize>,
    stop: Stop,
    task: JoinSet<()>,
}

impl Home {
    pub async fn unpaired() -> Self {
        Self { cloud: Cloud::start().await, ma: Scripted::start().await, state_dir: tempdir("chain") }
    }

    pub async fn paired() -> Self {
        let home = Self::unpaired().await;
        home.pair().await.unwrap();
        home
    }

    pub async fn pair(&self) -> Result<Paired, PairError> {
        let options = PairOptions {
            cloud: self.cloud.url.clone(),
            state_dir: self.state_dir.clone(),
            name: Some("Test home".into()),
            ma_url: Some(self.ma.url.clone()),
            ma_token: Token::parse(TOKEN),
            dialer: Dialer::new(None, false).unwrap(),
            clock: clock::system(),
        };
        timeout(PATIENCE, pair(options, |code| assert_eq!(code.user_code, "WDJB-MJHT"))).await.unwrap()
    }

    pub fn options(&self) -> ConnectorOptions {
        ConnectorOptions {
            state_dir: self.state_dir.clone(),
            ma_url: None,
            ma_token_file: None,
            dialer: Dialer::new(None, false).unwrap(),
            ma_dialer: Dialer::new(None, true).unwrap(),
            timing: quick(),
            redial: RedialSettings {
                first: Duration::from_millis(30),
                longest: Duration::from_millis(60),
                replaced: (Duration::from_millis(50), Duration::from_millis(60)),
                refused: (Duration::from_millis(50), Duration::from_millis(60)),
                ..RedialSettings::default()
            },
            clock: clock::system(),
        }
    }

    pub fn run(&self) -> Running {
        Self::run_with(self.options())
    }

    pub fn run_with(options: ConnectorOptions) -> Running {
        let connector = Connector::open(options).unwrap();
        let events = Arc::new(Mutex::new(Vec::new()));
        let (counter, count) = watch::channel(0);
        let heard = Arc::clone(&events);
        connector.observe(Arc::new(move |event| {
            heard.lock().unwrap().push(event.clone());
            counter.send_modify(|count| *count += 1);
        }));
        let stop = Stop::new();
        let mut task = JoinSet::new();
        task.spawn(connector.run(stop.clone()));
        Running { events, count, stop, task }
    }
}

impl Running {
    pub async fn heard(&mut self, what: &str, wanted: impl Fn(&Event) -> bool) {
        let events = Arc::clone(&self.events);
        let there = self.count.wait_for(|_| events.lock().unwrap().iter().any(&wanted));
        if timeout(PATIENCE, there).await.is_err() {
            panic!("never heard of {what}: {:?}", self.events.lock().unwrap());
        }
    }

    pub async fn ma_ready(&mut self) {
        self.heard(
            "a ready Music Assistant",
            |event| matches!(event, Event::MusicAssistant { state, .. } if state == "ready"),
        )
        .await;
    }

    pub async fn stop(mut self) {
        self.stop.stop_soft();
        timeout(PATIENCE, self.task.join_next()).await.expect("it did not stop");
    }
}

fn pause() -> Command {
    Command::OnPlayer {
        target: Target::Named("kitchen".into()),
        action: Action::Transport(Transport::Pause),
        device: None,
    }
}

fn sealed(session: &Session, command: &Command) -> Sent {
    Sent::seal(session, command, both(), AMPLE)
}

#[tokio::test]
async fn pairing_keeps_what_is_needed_and_nothing_else() {
    let home = Home::unpaired().await;
    home.cloud.edit(|script| script.decision = Decision::Pending);
    let decide = async {
        while home.cloud.edit(|script| script.polls) < 2 {
            tokio::task::yield_now().await;
        }
        home.cloud.edit(|script| script.decision = Decision::Allow);
    };
    let (paired, ()) = tokio::join!(home.pair(), decide);
    let paired = paired.unwrap();
    assert_eq!((paired.instance_id, paired.home_name.as_str()), (instance(), "Test home"));
    let state = StateDir::open(&home.state_dir).unwrap();
    assert_eq!(state.pairing().unwrap().unwrap().instance_id, instance());
    assert_eq!(state.skill_keys().unwrap().unwrap().version(), 1);
    assert!(!state.is_open_to_others().unwrap());
    for entry in std::fs::read_dir(&home.state_dir).unwrap() {
        use std::os::unix::fs::PermissionsExt as _;
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.file_name());
        let bytes = std::fs::read(entry.path()).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains(TOKEN_PREFIX) && !text.contains("device-code"), "{:?}", entry.file_name());
    }
}

#[tokio::test]
async fn pairing_ends_as_the_person_decides() {
    let home = Home::unpaired().await;
    home.cloud.edit(|script| script.decision = Decision::Deny);
    assert!(matches!(home.pair().await, Err(PairError::Denied)));
    home.cloud.edit(|script| script.other_fingerprint = true);
    assert!(matches!(home.pair().await, Err(PairError::OtherKey)));
    assert!(matches!(Connector::open(home.options()), Err(OpenError::NotPaired(_))));
}

#[tokio::test]
async fn a_cloud_that_promises_for_ever_is_paired_with_all_the_same() {
    let home = Home::unpaired().await;
    home.cloud.edit(|script| script.expires_in = u64::MAX);
    home.pair().await.unwrap();
}

#[tokio::test]
async fn pairing_again_keeps_the_key() {
    let home = Home::paired().await;
    let first = home.cloud.edit(|script| script.identity);
    home.pair().await.unwrap();
    assert_eq!(home.cloud.edit(|script| script.identity), first);
}

#[tokio::test]
async fn a_command_is_confirmed_executed_and_answered() {
    let home = Home::paired().await;
    let mut running = home.run();
    let mut relay = home.cloud.next_session(1).await;
    running.ma_ready().await;
    running.heard("online", |event| matches!(event, Event::Online { epoch: 1, .. })).await;
    let session = home.cloud.establish(&mut relay).await;
    let Reply::Players { players, .. } = relay.ask(&mut sealed(&session, &Command::ListPlayers)).await else {
        panic!()
    };
    assert_eq!(players[0].name, "Kitchen");
    let Reply::Done { player, .. } = relay.ask(&mut sealed(&session, &pause())).await else { panic!() };
    assert!(player.state.available);
    assert_eq!(home.ma.calls("players/cmd/pause").len(), 1);
    running.stop().await;
    let FromConnector::Goodbye(goodbye) = relay.receive().await else { panic!() };
    assert_eq!(goodbye.reason, GoodbyeReason::Shutdown);
}

#[tokio::test]
async fn what_was_not_granted_or_comes_late_is_not_done() {
    let home = Home::paired().await;
    let mut running = home.run();
    let mut relay = home.cloud.next_session(1).await;
    running.ma_ready().await;
    let session = home.cloud.establish(&mut relay).await;
    let read = Scopes { read: true, control: false };
    let reply = relay.ask(&mut Sent::seal(&session, &pause(), read, AMPLE)).await;
    assert_eq!(reply, Reply::Refused(Refusal::NotGranted));
    let control = Scopes { read: false, control: true };
    let reply = relay.ask(&mut Sent::seal(&session, &Command::ListPlayers, control, AMPLE)).await;
    assert_eq!(reply, Reply::Refused(Refusal::NotGranted));
    let reply = relay.ask(&mut Sent::seal(&session, &pause(), both(), Duration::ZERO)).await;
    assert_eq!(reply, Reply::Refused(Refusal::Late));
    assert!(home.ma.calls("players/cmd/pause").is_empty());
}

#[tokio::test]
async fn a_command_is_executed_once_however_often_and_wherever_it_comes() {
    let home = Home::paired().await;
    let mut running = home.run();
    let mut first = home.cloud.next_session(1).await;
    running.ma_ready().await;
    let session = home.cloud.establish(&mut first).await;
    let mut sent = sealed(&session, &pause());
    first.command(&sent).await;
    first.received(sent.id).await;
    let reply = first.reply_to(sent.id).await;
    first.command(&sent).await;
    first.received(sent.id).await;
    assert_eq!(first.reply_to(sent.id).await, reply, "remembered");
    drop(first);
    let mut second = home.cloud.next_session(2).await;
    second.command(&sent).await;
    second.received(sent.id).await;
    assert_eq!(second.reply_to(sent.id).await, reply, "remembered beyond the session");
    assert!(matches!(sent.reply(&reply), Reply::Done { .. }));
    assert_eq!(home.ma.calls("players/cmd/pause").len(), 1);
}

#[tokio::test]
async fn a_command_begun_on_a_lost_session_is_answered_on_the_next() {
    let home = Home::paired().await;
    let mut running = home.run();
    let mut first = home.cloud.next_session(1).await;
    running.ma_ready().await;
    let session = home.cloud.establish(&mut first).await;
    home.ma.answer("players/cmd/pause", MaAnswer::Silence);
    let mut sent = sealed(&session, &pause());
    first.command(&sent).await;
    first.received(sent.id).await;
    home.ma.called("players/cmd/pause", 1).await;
    drop(first);
    let mut second = home.cloud.next_session(2).await;
    second.command(&sent).await;
    second.received(sent.id).await;
    let sealed = second.reply_to(sent.id).await;
    assert_eq!(sent.reply(&sealed), Reply::Refused(Refusal::OutcomeUnknown));
    assert_eq!(home.ma.calls("players/cmd/pause").len(), 1);
}

#[tokio::test]
async fn the_stop_switch_works_within_a_second_and_can_be_undone() {
    let home = Home::paired().await;
    let state = StateDir::open(&home.state_dir).unwrap();
    let mut running = home.run();
    let mut relay = home.cloud.next_session(1).await;
    running.ma_ready().await;
    let session = home.cloud.establish(&mut relay).await;
    state.set_stopped(true).unwrap();
    let pressed = Instant::now();
    running.heard("stopped", |event| *event == Event::Stopped).await;
    assert!(pressed.elapsed() < Duration::from_secs(1), "{:?}", pressed.elapsed());
    assert_eq!(relay.ask(&mut sealed(&session, &pause())).await, Reply::Refused(Refusal::Stopped));
    assert!(home.ma.calls("players/cmd/pause").is_empty());
    state.set_stopped(false).unwrap();
    running.heard("resumed", |event| *event == Event::Resumed).await;
    assert!(matches!(relay.ask(&mut sealed(&session, &pause())).await, Reply::Done { .. }));
}

#[tokio::test]
async fn a_drain_is_followed_without_a_gap() {
    let home = Home::paired().await;
    let mut running = home.run();
    let mut old = home.cloud.next_session(1).await;
    running.ma_ready().await;
    let session = home.cloud.establish(&mut old).await;
    home.ma.answer("players/cmd/pause", MaAnswer::Silence);
    let mut slow = sealed(&session, &pause());
    old.command(&slow).await;
    old.received(slow.id).await;
    old.send(FromRelay::Drain(Drain { reconnect_after: Duration::ZERO, leaving_in: Duration::from_secs(20) })).await;
    let mut new = home.cloud.next_socket().await;
    let Reply::Players { .. } = old.ask(&mut sealed(&session, &Command::ListPlayers)).await else { panic!() };
    let FromConnector::Hello(_) = new.receive().await else { panic!() };
    new.welcome(2).await;
    let Reply::Players { .. } = new.ask(&mut sealed(&session, &Command::ListPlayers)).await else { panic!() };
    let sealed = old.reply_to(slow.id).await;
    assert_eq!(slow.reply(&sealed), Reply::Refused(Refusal::OutcomeUnknown), "in flight, and answered");
    let FromConnector::Goodbye(goodbye) = old.receive().await else { panic!() };
    assert_eq!(goodbye.reason, GoodbyeReason::Shutdown);
    assert!(!running.events.lock().unwrap().iter().any(|event| matches!(event, Event::Offline { .. })), "never away");
}

#[tokio::test]
async fn lost_sessions_are_replaced_and_nonces_and_tokens_reused() {
    let home = Home::paired().await;
    let _running = home.run();
    drop(home.cloud.next_session(1).await);
    drop(home.cloud.next_session(2).await);
    home.cloud.edit(|script| script.relay_nonce = "relay-nonce-2".into());
    let _third = home.cloud.next_session(3).await;
    // One token at pairing (not kept), one for all three sessions; a first upgrade without nonce, and one with a stale one.
    assert_eq!(home.cloud.edit(|script| (script.tokens, script.upgrades)), (2, 5));
}

#[tokio::test]
async fn relays_that_do_not_know_each_others_nonces_are_tried_again_soon() {
    let home = Home::paired().await;
    home.cloud.edit(|script| script.other_nonces = 6);
    let running = home.run();
    drop(home.cloud.next_session(1).await);
    let unwanted =
        |event: &Event| matches!(event, Event::Offline { explanation, .. } if explanation.contains("unlinked"));
    assert!(!running.events.lock().unwrap().iter().any(unwanted), "nobody has said that the home is not accepted");
}

#[tokio::test]
async fn what_the_relay_gave_is_shown_instead_of_the_token_until_it_is_refused() {
    let home = Home::paired().await;
    let _running = home.run();
    let credential = Credential::from_parts(vec![7; 40].into(), &[8; SECRET_BYTES]);
    home.cloud.edit(|script| script.takes = credential.clone());
    let mut first = home.cloud.next_socket().await;
    let FromConnector::Hello(_) = first.receive().await else { panic!("no hello") };
    first.welcome_with(1, false, credential.clone()).await;
    drop(first);
    let mut second = home.cloud.next_socket().await;
    assert_eq!(home.cloud.edit(|script| script.tickets_shown), 1);
    let FromConnector::Hello(_) = second.receive().await else { panic!("no hello") };
    second.welcome_with(2, false, credential).await;
    home.cloud.edit(|script| script.takes = None);
    drop(second);
    home.cloud.next_session(3).await;
    assert_eq!(home.cloud.edit(|script| script.tickets_shown), 2, "refused once, and not shown again");
    assert_eq!(home.cloud.edit(|script| script.tokens), 2, "the token is as good as before");
}

#[tokio::test]
async fn a_token_that_ended_early_is_renewed_at_once() {
    let home = Home::paired().await;
    let _running = home.run();
    let first = home.cloud.next_session(1).await;
    home.cloud.edit(|script| script.newest_token = "rotated".into());
    drop(first);
    home.cloud.next_session(2).await;
    assert_eq!(home.cloud.edit(|script| script.tokens), 3);
}

#[tokio::test]
async fn a_new_token_that_the_relay_does_not_take_is_replaced_once_at_once() {
    let home = Home::paired().await;
    home.cloud.edit(|script| script.relay_doubts = 1);
    let mut running = home.run();
    let _relay = home.cloud.next_session(1).await;
    running.heard("online", |event| matches!(event, Event::Online { .. })).await;
    assert!(!running.events.lock().unwrap().iter().any(|event| matches!(event, Event::Offline { .. })), "no wait");
    assert_eq!(home.cloud.edit(|script| script.tokens), 3, "one at pairing, the one refused, and one more");

    let home = Home::paired().await;
    home.cloud.edit(|script| script.relay_doubts = u32::MAX);
    let mut options = home.options();
    options.redial.refused = RedialSettings::default().refused;
    let mut running = Home::run_with(options);
    running.heard("a refusal", |event| matches!(event, Event::Offline { retry_in_seconds: 600.., .. })).await;
    assert_eq!(home.cloud.edit(|script| script.tokens), 3, "then it waits");
}

#[tokio::test]
async fn an_unlinked_home_says_so_and_keeps_trying_slowly() {
    let home = Home::paired().await;
    home.cloud.edit(|script| script.revoked = true);
    let mut running = home.run();
    running
        .heard(
            "unauthorized",
            |event| matches!(event, Event::Offline { explanation, .. } if explanation.contains("pair again")),
        )
        .await;
    home.cloud.edit(|script| script.revoked = false);
    home.cloud.next_session(1).await;
}

#[tokio::test]
async fn goodbyes_are_understood() {
    let home = Home::paired().await;
    let mut running = home.run();
    for (epoch, reason, word) in [
        (1, GoodbyeReason::Replaced, "Another connector"),
        (2, GoodbyeReason::Revoked, "unlinked"),
        (3, GoodbyeReason::Version, "Update"),
    ] {
        let mut relay = home.cloud.next_session(epoch).await;
        relay.send(FromRelay::Goodbye(Goodbye { reason, detail: "because".into() })).await;
        running
            .heard(word, |event| matches!(event, Event::Offline { explanation, .. } if explanation.contains(word)))
            .await;
        while relay.next().await.is_some() {}
    }
    home.cloud.next_session(4).await;
}

#[tokio::test]
async fn a_busy_relay_is_left_alone() {
    let home = Home::paired().await;
    home.cloud.edit(|script| script.relay_refuses = Some((503, Some(600))));
    let mut running = home.run();
    running.heard("waiting", |event| matches!(event, Event::Offline { retry_in_seconds: 600.., .. })).await;
    assert_eq!(home.cloud.edit(|script| script.upgrades), 1);
}

#[tokio::test]
async fn a_wrong_clock_at_home_does_no_harm() {
    let home = Home::paired().await;
    home.cloud.edit(|script| script.ahead = 40 * 86_400);
    let _running = home.run();
    home.cloud.next_session(1).await;
}

#[tokio::test]
async fn a_newer_skill_key_is_learned_when_it_is_first_used() {
    let mut home = Home::paired().await;
    let mut running = home.run();
    let mut relay = home.cloud.next_session(1).await;
    running.ma_ready().await;
    home.cloud.rotate_skill_key();
    let session = home.cloud.establish(&mut relay).await;
    assert!(matches!(relay.ask(&mut sealed(&session, &pause())).await, Reply::Done { .. }));
    let state = StateDir::open(&home.state_dir).unwrap();
    assert_eq!(state.skill_keys().unwrap().unwrap().version(), 2, "kept for the next start");
}

#[tokio::test]
async fn a_command_under_an_unknown_key_is_refused_at_once() {
    let mut home = Home::paired().await;
    let mut running = home.run();
    let mut relay = home.cloud.next_session(1).await;
    running.ma_ready().await;
    home.cloud.use_unknown_skill_key();
    let session = home.cloud.establish(&mut relay).await;
    let mut sent = sealed(&session, &pause());
    relay.command(&sent).await;
    relay.received(sent.id).await;
    let answer = relay.reply_to(sent.id).await;
    assert_eq!(sent.open(&answer), Answer::KeyUnknown);
    assert!(home.ma.calls("players/cmd/pause").is_empty());
    // Whoever tries again is answered without asking the cloud for another set again.
    let session = home.cloud.establish(&mut relay).await;
    let mut sent = sealed(&session, &pause());
    relay.command(&sent).await;
    relay.received(sent.id).await;
    let answer = relay.reply_to(sent.id).await;
    assert_eq!(sent.open(&answer), Answer::KeyUnknown);
}

#[tokio::test]
async fn after_a_restart_a_session_is_set_up_again_with_the_same_command() {
    let home = Home::paired().await;
    let mut running = home.run();
    let mut relay = home.cloud.next_session(1).await;
    running.ma_ready().await;
    let session = home.cloud.establish(&mut relay).await;
    let Reply::Players { .. } = relay.ask(&mut sealed(&session, &Command::ListPlayers)).await else { panic!() };
    running.stop().await;
    let mut running = home.run();
    let mut relay = home.cloud.next_session(2).await;
    running.ma_ready().await;
    let mut sent = sealed(&session, &pause());
    relay.command(&sent).await;
    relay.received(sent.id).await;
    let answer = relay.reply_to(sent.id).await;
    assert!(matches!(sent.open(&answer), Answer::SetUpAgain { .. }));
    let session = home.cloud.establish(&mut relay).await;
    let (sealed, _) = session.seal(sent.id, &pause(), both(), AMPLE, crate::cloud::now()).unwrap();
    sent.sealed = sealed.into();
    relay.command(&sent).await;
    relay.received(sent.id).await;
    relay.reply_to(sent.id).await;
    assert_eq!(home.ma.calls("players/cmd/pause").len(), 1);
}

#[tokio::test]
async fn two_connectors_on_one_state_directory_refuse() {
    let home = Home::paired().await;
    let running = home.run();
    assert!(matches!(Connector::open(home.options()), Err(OpenError::State(StateError::InUse(_)))));
    assert!(matches!(home.pair().await, Err(PairError::State(StateError::InUse(_)))));
    running.stop().await;
    Connector::open(home.options()).unwrap();
}

#[tokio::test]
async fn the_status_file_tells_how_it_stands_without_secrets() {
    let home = Home::paired().await;
    let mut running = home.run();
    let mut relay = home.cloud.next_session(7).await;
    running.ma_ready().await;
    running.heard("online", |event| matches!(event, Event::Online { .. })).await;
    let session = home.cloud.establish(&mut relay).await;
    relay.ask(&mut sealed(&session, &Command::ListPlayers)).await;
    let state = StateDir::open(&home.state_dir).unwrap();
    let read = async {
        loop {
            let status: Option<Status> = state.status().unwrap();
            match status {
                Some(status) if status.relay.is_online() && status.music_assistant.state == "ready" => return status,
                _ => tokio::task::yield_now().await,
            }
        }
    };
    let status = timeout(PATIENCE, read).await.unwrap();
    assert_eq!(status.relay, LinkState::Online { node: "node-a".into(), epoch: 7, paused: false, contested: false });
    assert_eq!((status.music_assistant.players, status.instance_id), (1, instance()));
    let text = std::fs::read_to_string(home.state_dir.join("status.json")).unwrap();
    for secret in [TOKEN, TOKEN_PREFIX, "Kitchen", &*home.ma.url.host_str().unwrap().to_owned()] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

#[tokio::test]
async fn a_key_that_two_connectors_use_is_shown() {
    let home = Home::paired().await;
    let mut running = home.run();
    let relay = home.cloud.contested_session(1).await;
    running.heard("contested", |event| matches!(event, Event::Online { contested: true, .. })).await;
    let state = StateDir::open(&home.state_dir).unwrap();
    let shown = async |wanted: &str| {
        let read = async {
            while !state.status::<Status>().unwrap().is_some_and(|status| status.relay.explanation().contains(wanted)) {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, read).await.unwrap_or_else(|_| panic!("never shown: {wanted}"));
    };
    shown("another connector keeps connecting with this home's key").await;
    let diagnosis = macloud_connector::doctor::examine(home.options()).await;
    let check = diagnosis.checks.iter().find(|check| check.name == "relay").unwrap();
    assert!(!check.ok && check.fix.as_ref().is_some_and(|fix| fix.contains("Stop one of the two")), "{check:?}");
    drop(relay);
    let _relay = home.cloud.next_session(2).await;
    shown("Connected to the cloud.").await;
}

#[tokio::test]
async fn a_pause_in_the_cloud_is_told_and_shown_until_it_ends() {
    let home = Home::paired().await;
    let mut running = home.run();
    let mut relay = home.cloud.next_session(1).await;
    running.heard("online", |event| matches!(event, Event::Online { paused: false, .. })).await;
    relay.send(FromRelay::Standing(Standing { paused: true })).await;
    running.heard("paused", |event| matches!(event, Event::Online { paused: true, .. })).await;
    let state = StateDir::open(&home.state_dir).unwrap();
    let shown = async |wanted: &str| {
        let read = async {
            while !state.status::<Status>().unwrap().is_some_and(|status| status.relay.explanation().contains(wanted)) {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, read).await.unwrap_or_else(|_| panic!("never shown: {wanted}"));
    };
    shown("paused there, by you or by who runs it").await;
    relay.send(FromRelay::Standing(Standing { paused: false })).await;
    shown("Connected to the cloud.").await;
}

#[tokio::test]
async fn a_relay_that_speaks_nonsense_is_left() {
    let home = Home::paired().await;
    let _running = home.run();
    let mut relay = home.cloud.next_session(1).await;
    relay
        .send(FromRelay::Welcome(macloud_proto::link::frame::Welcome {
            version: 1,
            session_epoch: 2,
            ping_interval: Duration::from_secs(25),
            reconnect_window: Duration::ZERO,
            dpop_nonce: String::new(),
            node_id: "x".into(),
            contested: false,
            paused: false,
            events: false,
            resumption: None,
        }))
        .await;
    let FromConnector::Goodbye(goodbye) = relay.receive().await else { panic!() };
    assert_eq!(goodbye.reason, GoodbyeReason::Protocol);
    home.cloud.next_session(2).await;
}

#[tokio::test]
async fn how_players_are_is_told_whenever_that_changes_if_the_owner_wants_it() {
    let home = Home::paired().await;
    let mut running = home.run();
    let mut relay = home.cloud.next_session(1).await;
    let is_ready = |event: &Event| matches!(event, Event::MusicAssistant { state, .. } if state == "ready");
    running.heard("Music Assistant", is_ready).await;
    home.ma.update_player("up1", json!({"volume_level": 30}));
    let unasked = timeout(Duration::from_secs(2), relay.receive()).await;
    assert!(unasked.is_err(), "nothing leaves the home before its owner says so: {unasked:?}");

    std::fs::write(home.state_dir.join("rules.json"), r#"{"tell_changes": true}"#).unwrap();
    let first = relay.event().await;
    let state = home.cloud.open(&first);
    assert_eq!((state.volume, state.now_playing), (Percent::new(30), None));
    relay.send(FromRelay::EventTaken(first.event_id)).await;

    home.ma.update_player("up1", json!({"volume_level": 54}));
    home.ma.update_player("up1", json!({"volume_level": 55}));
    let second = relay.event().await;
    assert_eq!(home.cloud.open(&second).volume, Percent::new(55), "a volume on its way is waited for");
    assert_eq!(second.key, first.key);
    drop(relay);
    let mut relay = home.cloud.next_session(2).await;
    assert_eq!(relay.event().await, second, "it was not taken, and nothing has changed since");
}

/// Half a minute, because that is how long a home is looked at before what is there is told.
#[tokio::test]
async fn which_players_there_are_is_told_when_it_has_settled_if_the_owner_wants_it() {
    let home = Home::paired().await;
    std::fs::write(home.state_dir.join("rules.json"), r#"{"tell_changes": true}"#).unwrap();
    let mut running = home.run();
    let mut relay = home.cloud.next_session(1).await;
    let is_ready = |event: &Event| matches!(event, Event::MusicAssistant { state, .. } if state == "ready");
    running.heard("Music Assistant", is_ready).await;
    let began = Instant::now();
    let told = loop {
        let frame = relay.next_within(Duration::from_secs(60)).await.expect("the session goes on");
        let FromConnector::Event(event) = frame else { continue };
        relay.send(FromRelay::EventTaken(event.event_id)).await;
        // How they are comes before, and is not waited for.
        if let News::Players { players, gone, .. } = home.cloud.news(&event) {
            break (players.into_iter().map(|player| player.name).collect::<Vec<_>>(), gone);
        }
    };
    assert_eq!(told, (vec!["Kitchen".to_owned()], vec![]));
    assert!(began.elapsed() > Duration::from_secs(20), "{:?}: others may still have been coming", began.elapsed());
}
