//! What homes tell, told to Alexa: once, with the right token, and to nobody who does not want it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::Json;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use macloud_alexa_skill::SkillConfig;
use macloud_alexa_skill::grant::{EventsConfig, Region, unseal};
use macloud_e2ee::vocabulary::{Percent, Playback};
use macloud_proto::accounts::v1::{EventAudienceAnswer, EventGrant};
use serde_json::{Value, json};

use super::grants::accept_grant;
use super::support::home::FakeHome;
use super::support::{NOW, World, accounts, discover, endpoint, schemas, until};

/// Amazon: tokens, and the gateway.
#[derive(Default)]
struct Amazon {
    /// How the gateway answers, instead of taking what it is told.
    answers: Mutex<VecDeque<(StatusCode, Value)>>,
    /// What it was told, with whose token.
    told: Mutex<Vec<(String, Value)>>,
    /// What was asked for tokens.
    forms: Mutex<Vec<String>>,
    /// How Login with Amazon answers to that.
    refuses: Mutex<Option<StatusCode>>,
}

struct Alexa {
    world: World,
    amazon: Arc<Amazon>,
    home: Arc<FakeHome>,
    sealed: Vec<u8>,
}

impl Alexa {
    /// Linked, with a grant for events.
    async fn linked() -> Self {
        let amazon = Arc::new(Amazon::default());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let (tokens, gateway) = (Arc::clone(&amazon), Arc::clone(&amazon));
        let give = move |form: String| async move {
            let mut forms = tokens.forms.lock().unwrap();
            forms.push(form);
            if let Some(status) = *tokens.refuses.lock().unwrap() {
                return Err(status);
            }
            let number = forms.len();
            Ok(Json(json!({"access_token": format!("Atza|{number}"), "refresh_token": "Atzr|r", "expires_in": 3600})))
        };
        let take = move |headers: HeaderMap, Json(event): Json<Value>| async move {
            let token = headers["authorization"].to_str().unwrap().to_owned();
            gateway.told.lock().unwrap().push((token, event));
            let answer = gateway.answers.lock().unwrap().pop_front();
            answer.map_or((StatusCode::ACCEPTED, Json(Value::Null)), |(status, body)| (status, Json(body)))
        };
        let router = Router::new().route("/token", post(give)).route("/v3/events", post(take));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let events = EventsConfig {
            token_url: format!("{base}/token").parse().unwrap(),
            client_id: "id".into(),
            client_secret: "secret".into(),
            region: Region::Europe,
            gateway: format!("{base}/v3/events").parse().unwrap(),
            seal_key: [9; 32],
        };
        let world = World::with(SkillConfig { events: Some(events), ..SkillConfig::default() }).await;
        world.send(&accept_grant()).await;
        let sealed = world.accounts.grants().pop().unwrap().sealed.to_vec();
        let home = world.home();
        let alexa = Self { world, amazon, home, sealed };
        alexa.listens(|_| {});
        alexa
    }

    /// Who hears of the home: the account, but for this change.
    fn listens(&self, change: impl FnOnce(&mut EventAudienceAnswer)) {
        let grant = EventGrant {
            account_id: accounts::account().to_string(),
            region: "EU".into(),
            sealed: self.sealed.clone().into(),
            stored_at: NOW,
            authorizations: vec!["another".into(), accounts::grant().to_string()],
        };
        let identity_key = self.home.identity().to_vec().into();
        let mut audience = EventAudienceAnswer { identity_key, paused: false, grants: vec![grant] };
        change(&mut audience);
        self.world.accounts.set_audience(&self.home, Some(audience));
    }

    /// The home tells how its kitchen is.
    async fn tell(&self, id: u8) {
        self.world.relay.give(self.home.tell(1, id, NOW)).await;
    }

    /// The home tells, and what it tells is dealt with.
    async fn tell_and_wait(&self, id: u8) {
        self.tell(id).await;
        self.done(id).await;
    }

    async fn done(&self, id: u8) {
        let mark = format!("mark-{id}");
        until(|| self.world.relay.done().contains(&mark)).await;
    }

    fn told(&self) -> Vec<(String, Value)> {
        self.amazon.told.lock().unwrap().clone()
    }

    fn answer_next(&self, status: StatusCode, body: Value) {
        self.amazon.answers.lock().unwrap().push_back((status, body));
    }

    fn set_volume(&self, level: u8) {
        self.home.change_players(|players| players[0].state.volume = Percent::new(level));
    }
}

fn values(properties: &Value) -> Vec<(&str, &Value)> {
    properties.as_array().unwrap().iter().map(|one| (one["name"].as_str().unwrap(), &one["value"])).collect()
}

#[tokio::test]
async fn alexa_is_told_what_has_changed_and_what_has_not() {
    let alexa = Alexa::linked().await;
    alexa.tell_and_wait(1).await;
    let [(token, event)] = &alexa.told()[..] else { panic!("one event") };
    assert_eq!(token, "Bearer Atza|1");
    schemas::check_change_report(event);
    let header = &event["event"]["header"];
    assert_eq!((&header["namespace"], &header["name"]), (&json!("Alexa"), &json!("ChangeReport")));
    let scope = json!({"type": "BearerToken", "token": "Atza|1"});
    assert_eq!(event["event"]["endpoint"], json!({"scope": scope, "endpointId": endpoint(1, 1)}));
    let change = &event["event"]["payload"]["change"];
    assert_eq!(values(&change["properties"]).len(), 7, "everything is new: {change}");
    assert_eq!(event["context"]["properties"], json!([]));

    alexa.home.change_players(|players| {
        players[0].state.volume = Percent::new(55);
        players[0].state.playback = Playback::Playing;
    });
    alexa.tell_and_wait(2).await;
    let (_, event) = alexa.told().pop().unwrap();
    schemas::check_change_report(&event);
    let changed = &event["event"]["payload"]["change"]["properties"];
    assert_eq!(values(changed), [("volume", &json!(55)), ("playbackState", &json!({"state": "PLAYING"}))]);
    assert_eq!(values(&event["context"]["properties"]).len(), 5, "never the same property in both");
    assert_eq!(alexa.amazon.forms.lock().unwrap().len(), 1, "the token of the grant is good");
}

#[tokio::test]
async fn changes_are_promised_only_where_they_are_told() {
    let promises = async |world: &World| -> Vec<Value> {
        let event = world.send(&discover()).await;
        let capabilities = event["event"]["payload"]["endpoints"][0]["capabilities"].as_array().unwrap().clone();
        capabilities.iter().filter_map(|one| one.pointer("/properties/proactivelyReported").cloned()).collect()
    };
    assert_eq!(promises(&Alexa::linked().await.world).await, vec![json!(true); 6]);
    assert_eq!(promises(&World::new().await).await, vec![json!(false); 6]);
}

#[tokio::test]
async fn what_comes_again_is_told_once() {
    let alexa = Alexa::linked().await;
    let event = alexa.home.tell(1, 1, NOW);
    alexa.world.relay.give(event.clone()).await;
    alexa.done(1).await;
    alexa.world.relay.give(event).await;
    until(|| alexa.world.relay.done().len() == 2).await;
    assert_eq!(alexa.told().len(), 1);
}

#[tokio::test]
async fn what_the_gateway_cannot_take_now_is_not_done() {
    let alexa = Alexa::linked().await;
    for status in [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE] {
        alexa.answer_next(status, Value::Null);
    }
    let event = alexa.home.tell(1, 1, NOW);
    for tries in 1..=2 {
        alexa.world.relay.give(event.clone()).await;
        until(|| alexa.told().len() == tries).await;
    }
    alexa.world.relay.give(event).await;
    alexa.done(1).await;
    assert_eq!((alexa.told().len(), alexa.world.relay.done()), (3, vec!["mark-1".to_owned()]));
}

#[tokio::test]
async fn a_token_that_ends_or_is_refused_is_renewed_once() {
    let alexa = Alexa::linked().await;
    alexa.world.clock.advance(std::time::Duration::from_secs(3541));
    alexa.tell_and_wait(1).await;
    assert_eq!(alexa.told()[0].0, "Bearer Atza|2", "the first one ends within the minute");
    let form = alexa.amazon.forms.lock().unwrap()[1].clone();
    assert_eq!(form, "grant_type=refresh_token&refresh_token=Atzr%7Cr&client_id=id&client_secret=secret");
    let kept = alexa.world.accounts.grants().pop().unwrap().sealed;
    let kept = unseal(&[9; 32], &accounts::account(), Region::Europe, &kept).unwrap();
    assert_eq!((kept.access_token.as_str(), kept.authorization), ("Atza|2", Some(accounts::grant())));

    let refused = json!({"header": {}, "payload": {"code": "INVALID_ACCESS_TOKEN_EXCEPTION", "description": "x"}});
    alexa.answer_next(StatusCode::UNAUTHORIZED, refused.clone());
    alexa.set_volume(40);
    alexa.tell_and_wait(2).await;
    assert_eq!(alexa.told().last().unwrap().0, "Bearer Atza|3");

    // As from the gateway of another region.
    for _ in 0..2 {
        alexa.answer_next(StatusCode::UNAUTHORIZED, refused.clone());
    }
    alexa.set_volume(41);
    alexa.tell_and_wait(3).await;
    let told = alexa.told().len();
    alexa.set_volume(42);
    alexa.tell_and_wait(4).await;
    assert_eq!(
        (alexa.told().len(), alexa.amazon.forms.lock().unwrap().len()),
        (told, 4),
        "not asked again for an hour"
    );
}

#[tokio::test]
async fn a_grant_that_amazon_does_not_know_any_more_is_forgotten() {
    let alexa = Alexa::linked().await;
    alexa.answer_next(StatusCode::FORBIDDEN, json!({"payload": {"code": "SKILL_NEVER_ENABLED_EXCEPTION"}}));
    alexa.tell_and_wait(1).await;
    let forgotten = |alexa: &Alexa| alexa.world.accounts.grants().last().unwrap().sealed.is_empty();
    assert!(forgotten(&alexa));
    alexa.world.send(&accept_grant()).await;
    assert!(!forgotten(&alexa));
    *alexa.amazon.refuses.lock().unwrap() = Some(StatusCode::BAD_REQUEST);
    alexa.world.clock.advance(std::time::Duration::from_secs(7200));
    alexa.tell_and_wait(2).await;
    assert!(forgotten(&alexa), "invalid_grant");
    *alexa.amazon.refuses.lock().unwrap() = Some(StatusCode::SERVICE_UNAVAILABLE);
    alexa.tell(3).await;
    until(|| alexa.amazon.forms.lock().unwrap().len() == 4).await;
    assert!(!alexa.world.relay.done().contains(&"mark-3".to_owned()), "that may pass");
}

#[tokio::test]
async fn nobody_is_told_who_does_not_want_it_any_more() {
    let alexa = Alexa::linked().await;
    alexa.listens(|audience| audience.grants[0].authorizations = vec!["another".into()]);
    alexa.tell_and_wait(1).await;
    alexa.listens(|audience| audience.paused = true);
    alexa.tell_and_wait(2).await;
    alexa.listens(|audience| audience.grants.clear());
    alexa.tell_and_wait(3).await;
    alexa.listens(|audience| audience.grants[0].region = "FE".into());
    alexa.tell_and_wait(4).await;
    alexa.listens(|audience| audience.identity_key = vec![7; 32].into());
    alexa.tell_and_wait(5).await;
    alexa.world.accounts.set_audience(&alexa.home, None);
    alexa.tell_and_wait(6).await;
    assert_eq!(alexa.told(), []);
    alexa.listens(|_| {});
    alexa.tell_and_wait(7).await;
    assert_eq!(alexa.told().len(), 1);
}
