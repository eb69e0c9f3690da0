//! Several people in one home, homes that change hands, and homes on new hardware: through the whole chain, with each
//! person's own Alexa.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use macloud_connector::music_assistant::token::Token;
use macloud_connector::network::Dialer;
use macloud_connector::{Connector, ConnectorOptions, PairOptions, doctor, music_assistant};
use macloud_proto::link::redial::RedialSettings;
use macloud_service_kit::clock::{self, Clock, SystemClock};
use macloud_service_kit::stop::Stop;
use macloud_simulated_home::{HomeConfig, Timing};
use macloud_standalone::demo::browser::{Browser, Page};
use macloud_standalone::demo::pretend_alexa::PretendAlexa;
use macloud_standalone::demo::stage::{Music, Stage, StageConfig};
use serde_json::{Value, json};

use crate::support::{eventually, stage, verdict};

const SECOND: Duration = Duration::from_secs(1);
const GONE: &str = "ErrorResponse NO_SUCH_ENDPOINT";

/// Somebody with a browser, an account and an Alexa.
struct Person {
    browser: Browser,
    alexa: PretendAlexa,
    email: String,
}

const PASSWORD: &str = "a password of their own";

impl Person {
    /// Signs up through the real page and links an Alexa, before anybody shares anything.
    async fn new(stage: &Stage, name: &str) -> Self {
        let (mut browser, email) = (Browser::new(), format!("{name}@example.org"));
        let page = browser.page(&stage.cloud_url.join("/sign-up").unwrap()).await.unwrap();
        let form = page.form_with("password").unwrap();
        let landed = browser.submit(&form, &[("email", &email), ("password", PASSWORD)]).await.unwrap().page().unwrap();
        assert_eq!(landed.status, 200, "{}", landed.title());
        let mut alexa = stage.alexa.of_another_person();
        alexa.link(&mut browser, &email, PASSWORD).await.unwrap();
        Self { browser, alexa, email }
    }

    /// Open an invitation's link and accept it. One that names an address first wants to see that it is theirs.
    async fn accept(&mut self, stage: &Stage, link: &str) {
        let mut page = self.browser.page(&stage.cloud_url.join(link).unwrap()).await.unwrap();
        if page.url.path() == "/verify" {
            let form = page.form_with("code").unwrap();
            let code = mailed_code(stage, &self.email);
            page = self.browser.submit(&form, &[("code", &code)]).await.unwrap().page().unwrap();
        }
        let form = page.form_to("/join").unwrap();
        let landed = self.browser.submit(&form, &[("decision", "accept")]).await.unwrap().page().unwrap();
        assert_eq!(landed.url.path(), format!("/homes/{}", stage.instance_id), "{}", landed.html);
    }
}

/// The code in the newest mail to this address.
fn mailed_code(stage: &Stage, to: &str) -> String {
    let mails = std::fs::read_dir(stage.state_dir.with_file_name("cloud").join("mail")).unwrap();
    let mails = mails.map(|entry| entry.unwrap().path());
    let mails =
        mails.map(|path| (path.metadata().unwrap().modified().unwrap(), std::fs::read_to_string(path).unwrap()));
    let (_, newest) = mails.filter(|(_, mail)| mail.contains(to)).max_by_key(|(at, _)| *at).unwrap();
    let is_code = |word: &&str| word.len() == 9 && word.as_bytes()[4] == b'-' && !word.contains(char::is_lowercase);
    newest.split_whitespace().find(is_code).unwrap().to_owned()
}

/// Fill in a form of the home's pages as its owner; the page after it.
async fn as_owner(stage: &mut Stage, action: &str, fields: &[(&str, &str)]) -> Page {
    let path = format!("/homes/{}/{action}", stage.instance_id);
    let page = stage.browser.page(&stage.cloud_url.join(&path).unwrap()).await.unwrap();
    let form = page.form_to(&path).unwrap();
    let landed = stage.browser.submit(&form, fields).await.unwrap().page().unwrap();
    assert_eq!(landed.status, 200, "{}", landed.html);
    landed
}

/// The link on the page that shows an invitation.
fn link(page: &Page) -> String {
    let at = page.html.find("/join?code=").unwrap_or_else(|| panic!("no link: {}", page.html));
    page.html[at..].split('"').next().unwrap().to_owned()
}

async fn invite(stage: &mut Stage, name: &str, role: &str) -> String {
    link(&as_owner(stage, "invite", &[("name", name), ("role", role)]).await)
}

async fn set_volume(alexa: &PretendAlexa, endpoint: &str, level: u8) -> Value {
    let directive = alexa.control("Alexa.Speaker", "SetVolume", endpoint, json!({ "volume": level }));
    alexa.send_directive(&directive).await.unwrap()
}

/// Set a level by voice, and see that the player in the home really has it.
async fn plays(stage: &Stage, alexa: &PretendAlexa, endpoint: &str, level: u8) {
    let answer = set_volume(alexa, endpoint, level).await;
    assert_eq!(verdict(&answer), "Response", "{answer}");
    stage.player_becomes("Kitchen", "at the level", |room| room.volume == Some(level)).await.unwrap();
}

/// How long it takes until this Alexa gets this verdict. The player is not moved by it.
async fn until_verdict(stage: &Stage, alexa: &PretendAlexa, endpoint: &str, wanted: &str) -> Duration {
    let before = stage.room("Kitchen").await.unwrap().volume;
    let begun = Instant::now();
    let answer = eventually(Duration::from_secs(3), wanted, async || {
        set_volume(alexa, endpoint, before.unwrap_or_default()).await
    });
    assert_eq!(verdict(&answer.await), wanted);
    begun.elapsed()
}

fn endpoints(discovered: &Value) -> Vec<String> {
    let all = discovered["event"]["payload"]["endpoints"].as_array().cloned().unwrap_or_default();
    all.iter().map(|endpoint| endpoint["endpointId"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn owner_and_member_play_in_one_home_and_removing_one_leaves_the_other() {
    let (mut stage, _gate) = stage().await;
    let kitchen = stage.endpoint("Kitchen").unwrap().to_owned();
    let (mut ben, mut cleo) = (Person::new(&stage, "ben").await, Person::new(&stage, "cleo").await);
    assert_eq!(verdict(&set_volume(&ben.alexa, &kitchen, 11).await), GONE, "not shared yet");
    for (person, name) in [(&mut ben, "Ben"), (&mut cleo, "Cleo")] {
        let link = invite(&mut stage, name, "member").await;
        person.accept(&stage, &link).await;
        let accepted = Instant::now();
        // His Alexa was linked before, and nothing is linked again.
        let found = eventually(SECOND, "Discover.Response", async || {
            person.alexa.send_directive(&person.alexa.discover()).await.unwrap()
        });
        assert!(endpoints(&found.await).contains(&kitchen));
        assert!(accepted.elapsed() < SECOND, "{:?}", accepted.elapsed());
    }
    plays(&stage, &stage.alexa, &kitchen, 21).await;
    plays(&stage, &ben.alexa, &kitchen, 22).await;
    plays(&stage, &cleo.alexa, &kitchen, 23).await;

    let page =
        stage.browser.page(&stage.cloud_url.join(&format!("/homes/{}", stage.instance_id)).unwrap()).await.unwrap();
    let of_ben = page.html.find("<strong>Ben</strong>").unwrap();
    let at = of_ben + page.html[of_ben..].find("/members/").unwrap() + "/members/".len();
    let id = page.html[at..].split('/').next().unwrap().to_owned();
    as_owner(&mut stage, &format!("members/{id}/remove"), &[]).await;
    let took = until_verdict(&stage, &ben.alexa, &kitchen, GONE).await;
    assert!(took < SECOND, "{took:?}");
    assert_eq!(endpoints(&ben.alexa.send_directive(&ben.alexa.discover()).await.unwrap()), [""; 0]);
    plays(&stage, &stage.alexa, &kitchen, 31).await;
    plays(&stage, &cleo.alexa, &kitchen, 32).await;
    // Refreshing does not bring it back.
    ben.alexa.refresh().await.unwrap();
    assert_eq!(verdict(&set_volume(&ben.alexa, &kitchen, 40).await), GONE);
    stage.player_becomes("Kitchen", "left alone", |room| room.volume == Some(32)).await.unwrap();
    stage.strike().await;
}

/// The machine's clock, some time later.
#[derive(Default)]
struct LaterClock(AtomicU64);

impl LaterClock {
    fn later(&self, by: Duration) {
        self.0.fetch_add(by.as_millis() as u64, Ordering::SeqCst);
    }
}

impl Clock for LaterClock {
    fn unix_millis(&self) -> u64 {
        SystemClock.unix_millis() + self.0.load(Ordering::SeqCst)
    }

    fn monotonic_millis(&self) -> u64 {
        SystemClock.monotonic_millis() + self.0.load(Ordering::SeqCst)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guests_voice_ends_with_their_time_without_anybody_doing_anything() {
    macloud_service_kit::tls::install_provider();
    let clock = Arc::new(LaterClock::default());
    let home = HomeConfig { timing: Timing::fast(), ..HomeConfig::default() };
    let config =
        StageConfig { music: Music::Simulated(Box::new(home)), clock: clock.clone(), ..StageConfig::default() };
    let mut stage = Stage::set(config, |_| {}).await.unwrap();
    let kitchen = stage.endpoint("Kitchen").unwrap().to_owned();
    let mut ben = Person::new(&stage, "ben").await;
    let link = invite(&mut stage, "Ben", "guest-1").await;
    ben.accept(&stage, &link).await;
    let accepted = clock.unix_millis();
    plays(&stage, &ben.alexa, &kitchen, 21).await;
    clock.later(Duration::from_secs(86_400 - 15));
    // A day has passed: the tokens are refreshed, as Alexa does, and the guest is still a guest.
    ben.alexa.refresh().await.unwrap();
    stage.alexa.refresh().await.unwrap();
    let back = eventually(Duration::from_secs(10), "Response", async || set_volume(&ben.alexa, &kitchen, 22).await);
    assert_eq!(verdict(&back.await), "Response");
    stage.player_becomes("Kitchen", "at the level", |room| room.volume == Some(22)).await.unwrap();
    assert!(clock.unix_millis() < accepted + 86_400_000, "the machine was too slow for this test");
    let ended = eventually(Duration::from_secs(20), GONE, async || set_volume(&ben.alexa, &kitchen, 22).await).await;
    assert_eq!(verdict(&ended), GONE);
    // Times are whole seconds.
    let late = clock.unix_millis().saturating_sub(accepted + 86_400_000);
    assert!(late < 2000, "{late} ms late");
    plays(&stage, &stage.alexa, &kitchen, 33).await;
    stage.strike().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_home_given_away_obeys_its_new_owner_at_once_and_the_old_one_no_more() {
    let (mut stage, _gate) = stage().await;
    let kitchen = stage.endpoint("Kitchen").unwrap().to_owned();
    let (mut ben, mut cleo) = (Person::new(&stage, "ben").await, Person::new(&stage, "cleo").await);
    let to_cleo = invite(&mut stage, "Cleo", "member").await;
    cleo.accept(&stage, &to_cleo).await;
    plays(&stage, &cleo.alexa, &kitchen, 20).await;
    let email = ben.email.clone();
    let offer = link(&as_owner(&mut stage, "move", &[("email", &email)]).await);
    plays(&stage, &stage.alexa, &kitchen, 21).await;
    ben.accept(&stage, &offer).await;
    let took = until_verdict(&stage, &stage.alexa, &kitchen, GONE).await;
    assert!(took < SECOND, "{took:?}");
    // The same endpoints, the same link of the home, and nobody linked Alexa again.
    plays(&stage, &ben.alexa, &kitchen, 31).await;
    plays(&stage, &cleo.alexa, &kitchen, 32).await;
    let found = ben.alexa.send_directive(&ben.alexa.discover()).await.unwrap();
    assert!(endpoints(&found).contains(&kitchen));
    stage.alexa.refresh().await.unwrap();
    assert_eq!(verdict(&set_volume(&stage.alexa, &kitchen, 40).await), GONE);
    stage.strike().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_home_moves_to_new_hardware_and_alexa_notices_nothing() {
    let (mut stage, gate) = stage().await;
    let kitchen = stage.endpoint("Kitchen").unwrap().to_owned();
    let mut ben = Person::new(&stage, "ben").await;
    let to_ben = invite(&mut stage, "Ben", "member").await;
    ben.accept(&stage, &to_ben).await;
    plays(&stage, &ben.alexa, &kitchen, 20).await;

    let new_dir = stage.state_dir.with_file_name("new-connector");
    let paired = pair_as_replacement(&mut stage, new_dir.clone()).await;
    assert_eq!(paired, stage.instance_id, "it keeps its id");
    // The old one is out, although it is still there and has a token that is good by itself.
    let unreachable = ["ErrorResponse BRIDGE_UNREACHABLE", "ErrorResponse ENDPOINT_UNREACHABLE"];
    let begun = Instant::now();
    loop {
        let answer = verdict(&set_volume(&stage.alexa, &kitchen, 20).await);
        if unreachable.contains(&answer.as_str()) {
            break;
        }
        assert!(begun.elapsed() < SECOND, "{answer}");
    }
    // The new one is let in with the token that pairing gave it a moment ago.
    let stop = Stop::new();
    let new = Connector::open(options(new_dir)).unwrap();
    let running = tokio::spawn({
        let stop = stop.clone();
        async move { new.run(stop).await }
    });
    let back = eventually(Duration::from_secs(10), "Response", async || set_volume(&stage.alexa, &kitchen, 24).await);
    assert_eq!(verdict(&back.await), "Response");
    stage.player_becomes("Kitchen", "at the level", |room| room.volume == Some(24)).await.unwrap();
    plays(&stage, &ben.alexa, &kitchen, 25).await;
    let found = stage.alexa.send_directive(&stage.alexa.discover()).await.unwrap();
    assert!(endpoints(&found).contains(&kitchen), "the endpoints are the same");
    // The old one hears why, keeps trying in vain, and does not disturb.
    let diagnosis = format!("{:?}", doctor::examine(options(stage.state_dir.clone())).await);
    assert!(diagnosis.contains("moved to other hardware"), "{diagnosis}");
    stage.stop_connector().await;
    stage.start_connector().unwrap();
    for level in 40..45 {
        plays(&stage, &stage.alexa, &kitchen, level).await;
    }
    drop(gate);
    stop.stop_soft();
    running.await.unwrap();
    stage.strike().await;
}

fn options(state_dir: PathBuf) -> ConnectorOptions {
    ConnectorOptions {
        state_dir,
        ma_url: None,
        ma_token_file: None,
        dialer: Dialer::new(None, false).unwrap(),
        ma_dialer: Dialer::new(None, true).unwrap(),
        timing: music_assistant::Timing::default(),
        redial: RedialSettings { first: Duration::from_millis(100), ..RedialSettings::default() },
        clock: clock::system(),
    }
}

/// Pair a second connector for the same Music Assistant, and choose on the page that it replaces the home; the id it got.
async fn pair_as_replacement(stage: &mut Stage, state_dir: PathBuf) -> String {
    let (codes, mut code) = tokio::sync::mpsc::channel(1);
    let music = stage.simulated.as_ref().unwrap();
    let options = PairOptions {
        cloud: stage.cloud_url.clone(),
        state_dir,
        name: Some("New box".into()),
        ma_url: Some(music.ws_url().parse().unwrap()),
        ma_token: Token::parse(music.token()),
        dialer: Dialer::new(None, false).unwrap(),
        clock: clock::system(),
    };
    let pairing = macloud_connector::pair(options, move |code| {
        let _ = codes.try_send(code.clone());
    });
    let (home, old) = (stage.instance_id.clone(), stage.fingerprint.clone());
    let browser = &mut stage.browser;
    let approving = async {
        let code = code.recv().await.unwrap();
        let page = browser.page(&code.verification_uri_complete.parse().unwrap()).await.unwrap();
        assert!(page.html.contains(&code.fingerprint) && page.html.contains(&old), "both fingerprints are shown");
        let form = page.form_with("decision").unwrap();
        let done = browser.submit(&form, &[("replaces", &home), ("decision", "allow")]).await.unwrap().page().unwrap();
        assert!(done.html.contains(&old), "the old one is shown for the last time");
    };
    let (paired, ()) = tokio::join!(pairing, approving);
    paired.unwrap().instance_id.to_string()
}
