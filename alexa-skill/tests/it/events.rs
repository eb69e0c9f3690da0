//! What homes tell, told to Alexa: once, with the right token, and to nobody who does not want it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Json, Path};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use macloud_alexa_skill::SkillConfig;
use macloud_alexa_skill::grant::{EventsConfig, Gateways, Region, unseal};
use macloud_e2ee::vocabulary::{Percent, Playback};
use macloud_proto::accounts::v1::{EventAudienceAnswer, EventGrant};
use macloud_proto::ids::{PlayerKey, PresetKey};
use serde_json::{Value, json};

use super::grants::accept_grant;
use super::support::home::FakeHome;
use super::support::{NOW, TOKEN, World, accounts, discover, endpoint, player, scene, schemas, signing, until};

/// Amazon: tokens, and the gateway.
#[derive(Default)]
struct Amazon {
    /// How the gateway answers, instead of taking what it is told.
    answers: Mutex<VecDeque<(StatusCode, Value)>>,
    /// What it was told, with whose token.
    told: Mutex<Vec<(String, Value)>>,
    /// At which region's gateway.
    places: Mutex<Vec<String>>,
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
        Self::linked_with(SkillConfig::default()).await
    }

    async fn linked_with(config: SkillConfig) -> Self {
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
        let take = move |Path(place): Path<String>, headers: HeaderMap, Json(event): Json<Value>| async move {
            gateway.places.lock().unwrap().push(place);
            let token = headers["authorization"].to_str().unwrap().to_owned();
            gateway.told.lock().unwrap().push((token, event));
            let answer = gateway.answers.lock().unwrap().pop_front();
            let (status, body) = answer.unwrap_or((StatusCode::ACCEPTED, Value::Null));
            let pause = body.get("pause").and_then(Value::as_str).map(|pause| [("retry-after", pause.to_owned())]);
            (status, pause.map(axum::response::AppendHeaders), Json(body))
        };
        let router = Router::new().route("/token", post(give)).route("/{place}/v3/events", post(take));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let events = EventsConfig {
            token_url: format!("{base}/token").parse().unwrap(),
            client_id: "id".into(),
            client_secret: "secret".into(),
            region: Region::Europe,
            gateways: Gateways::parse(&["na", "eu", "fe"].map(|place| format!("{place}={base}/{place}/v3/events")))
                .unwrap(),
            seal_key: [9; 32],
        };
        let world = World::with(SkillConfig { events: Some(events), ..config }).await;
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

    /// What was told has been looked at, and nothing more came of it: something that nobody hears is dealt with after it.
    async fn waits(&self, id: u8) {
        let told = self.told().len();
        self.world.relay.give(FakeHome::new(9).tell(1, id, NOW)).await;
        self.done(id).await;
        assert_eq!(self.told().len(), told);
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
    assert_eq!(values(&change["properties"]).len(), 9, "everything is new: {change}");
    assert_eq!(values(&event["context"]["properties"]), [("rangeValue", &json!(0))], "but for what counts down");

    alexa.home.change_players(|players| {
        players[0].state.volume = Percent::new(55);
        players[0].state.playback = Playback::Playing;
    });
    alexa.tell_and_wait(2).await;
    let (_, event) = alexa.told().pop().unwrap();
    schemas::check_change_report(&event);
    let changed = &event["event"]["payload"]["change"]["properties"];
    let playing = json!({"state": "PLAYING"});
    let told = [("volume", &json!(55)), ("percentage", &json!(55)), ("playbackState", &playing)];
    assert_eq!(values(changed), told);
    assert_eq!(values(&event["context"]["properties"]).len(), 7, "never the same property in both");
    assert_eq!(*alexa.amazon.places.lock().unwrap(), ["eu", "eu"]);
    assert_eq!(alexa.amazon.forms.lock().unwrap().len(), 1, "the token of the grant is good");
}

#[tokio::test]
async fn changes_are_promised_only_where_they_are_told() {
    let promised = async |world: &World| -> Vec<String> {
        world.home().add_preset("Jazz");
        let event = world.send(&discover()).await;
        let capabilities = event["event"]["payload"]["endpoints"][0]["capabilities"].as_array().unwrap().clone();
        let promises = capabilities.iter().filter(|one| one["properties"]["proactivelyReported"] == json!(true));
        promises.map(|one| one["properties"]["supported"][0]["name"].as_str().unwrap().to_owned()).collect()
    };
    let told =
        ["powerState", "volume", "playbackState", "connectivity", "percentage", "toggleState", "mode", "toggleState"];
    assert_eq!(promised(&Alexa::linked().await.world).await, told, "not positions, sleep timers and what plays");
    assert!(promised(&World::new().await).await.is_empty());
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
    for tries in 1..=2_u8 {
        alexa.world.relay.give(event.clone()).await;
        until(|| alexa.told().len() == usize::from(tries)).await;
        alexa.waits(10 + tries).await;
        alexa.world.clock.advance(Duration::from_secs(30));
    }
    assert!(!alexa.world.relay.done().contains(&"mark-1".to_owned()));
    alexa.world.relay.give(event).await;
    alexa.done(1).await;
    assert_eq!(alexa.told().len(), 3);
}

#[tokio::test]
async fn a_gateway_that_has_enough_is_left_alone_for_as_long_as_it_says() {
    let alexa = Alexa::linked().await;
    alexa.answer_next(StatusCode::TOO_MANY_REQUESTS, json!({"pause": "90"}));
    alexa.tell(1).await;
    until(|| alexa.told().len() == 1).await;
    alexa.waits(10).await;
    alexa.world.clock.advance(Duration::from_secs(89));
    alexa.tell(2).await;
    alexa.waits(11).await;
    alexa.world.clock.advance(Duration::from_secs(1));
    alexa.tell_and_wait(3).await;
    assert_eq!(
        (alexa.told().len(), alexa.world.relay.done()),
        (2, ["mark-10", "mark-11", "mark-3"].map(str::to_owned).to_vec())
    );
}

#[tokio::test]
async fn an_account_is_told_so_much_in_a_minute_and_the_rest_later() {
    let alexa = Alexa::linked().await;
    for id in 0..60 {
        alexa.set_volume(id);
        alexa.tell_and_wait(id).await;
    }
    alexa.set_volume(99);
    alexa.tell(60).await;
    alexa.waits(61).await;
    assert_eq!(alexa.told().len(), 60);
    alexa.world.clock.advance(Duration::from_secs(60));
    alexa.tell_and_wait(62).await;
    assert_eq!(alexa.told().len(), 61);
}

#[tokio::test]
async fn a_token_that_ends_or_is_refused_is_renewed_once() {
    let alexa = Alexa::linked().await;
    alexa.world.clock.advance(Duration::from_secs(3541));
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

    // The first one, a fresh one, and as a customer of the other regions.
    for _ in 0..4 {
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
async fn the_region_of_an_account_is_found_out_once() {
    let alexa = Alexa::linked().await;
    for _ in 0..3 {
        alexa.answer_next(StatusCode::UNAUTHORIZED, json!({"payload": {"code": "INVALID_ACCESS_TOKEN_EXCEPTION"}}));
    }
    alexa.tell_and_wait(1).await;
    assert_eq!(*alexa.amazon.places.lock().unwrap(), ["eu", "eu", "na", "fe"]);
    let grants = alexa.world.accounts.grants();
    let kept: Vec<(&str, bool)> = grants.iter().map(|grant| (&*grant.region, grant.sealed.is_empty())).collect();
    assert_eq!(kept, [("EU", false), ("EU", false), ("FE", false), ("EU", true)]);
    let sealed = grants[2].sealed.clone();
    assert!(unseal(&[9; 32], &accounts::account(), Region::FarEast, &sealed).is_some());
    alexa.listens(|audience| (audience.grants[0].region, audience.grants[0].sealed) = ("FE".into(), sealed));
    alexa.set_volume(12);
    alexa.tell_and_wait(2).await;
    assert_eq!(alexa.amazon.places.lock().unwrap().last().unwrap(), "fe");
    assert_eq!((alexa.told().len(), alexa.amazon.forms.lock().unwrap().len()), (5, 2));
}

#[tokio::test]
async fn what_has_not_changed_is_not_told_and_how_far_it_has_come_never() {
    let alexa = Alexa::linked().await;
    alexa.tell_and_wait(1).await;
    alexa.home.change_players(|players| {
        players[0].state.position = Some(77);
        players[0].state.sleep_timer = Some(9);
    });
    alexa.tell_and_wait(2).await;
    assert_eq!(alexa.told().len(), 1, "a sleep timer that counts down is asked for");
    alexa.set_volume(31);
    alexa.tell_and_wait(3).await;
    let (_, event) = alexa.told().pop().unwrap();
    schemas::check_change_report(&event);
    assert!(values(&event["context"]["properties"]).contains(&("rangeValue", &json!(9))));
    assert!(!event.to_string().contains("position"));
}

#[tokio::test]
async fn players_and_favourites_that_come_change_and_go_are_told() {
    let alexa = Alexa::linked().await;
    let tell = async |gone: &[PlayerKey], gone_presets: &[PresetKey], id| {
        alexa.world.relay.give(alexa.home.tell_players(gone, gone_presets, id, NOW)).await;
        alexa.done(id).await;
        alexa.told()
    };
    let ids = |event: &Value| -> Vec<String> {
        let endpoints = event["event"]["payload"]["endpoints"].as_array().unwrap();
        endpoints.iter().map(|endpoint| endpoint["endpointId"].as_str().unwrap().to_owned()).collect()
    };
    let jazz = alexa.home.add_preset("Jazz");
    let told = tell(&[], &[], 1).await;
    let [(_, all)] = &told[..] else { panic!("one event") };
    schemas::check_discovery_report(all, "Atza|1");
    assert_eq!(all["event"]["header"]["name"], "AddOrUpdateReport");
    let discovered = alexa.world.send(&discover()).await;
    assert_eq!(all["event"]["payload"]["endpoints"], discovered["event"]["payload"]["endpoints"], "as when Alexa asks");
    assert_eq!(tell(&[], &[], 2).await.len(), 1, "nothing has changed");

    alexa.home.change_players(|players| players[0].name = "Cookery".into());
    let told = tell(&[], &[], 3).await;
    assert_eq!((told.len(), ids(&told[1].1)), (2, vec![endpoint(1, 1)]), "only what has changed");
    assert_eq!(told[1].1["event"]["payload"]["endpoints"][0]["friendlyName"], "Cookery");

    alexa.home.change_players(|players| players.truncate(1));
    alexa.home.remove_preset(&jazz);
    let told = tell(&[player(1, 2)], std::slice::from_ref(&jazz), 4).await;
    let deleted = &told.last().unwrap().1;
    schemas::check_discovery_report(deleted, "Atza|1");
    assert_eq!(deleted["event"]["header"]["name"], "DeleteReport");
    assert_eq!(ids(deleted), [endpoint(1, 2), scene(1, &jazz)]);
    let many = told.len();
    assert_eq!(many, 4, "and the player that is left has no presets any more");
    assert_eq!(tell(&[player(1, 2), player(1, 1)], &[jazz], 5).await.len(), many, "what is there is not gone");
}

#[tokio::test]
async fn what_alexa_could_not_be_told_of_endpoints_comes_again() {
    let alexa = Alexa::linked().await;
    alexa.answer_next(StatusCode::SERVICE_UNAVAILABLE, Value::Null);
    let event = alexa.home.tell_players(&[player(1, 9)], &[], 1, NOW);
    alexa.world.relay.give(event.clone()).await;
    until(|| alexa.told().len() == 1).await;
    alexa.world.relay.give(event).await;
    alexa.done(1).await;
    let names: Vec<_> = alexa.told().iter().map(|(_, event)| event["event"]["header"]["name"].clone()).collect();
    assert_eq!(names, ["AddOrUpdateReport", "AddOrUpdateReport", "DeleteReport"]);
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
    alexa.world.clock.advance(Duration::from_secs(7200));
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

/// What Alexa tells of the skill, about somebody.
async fn skill_event(alexa: &Alexa, kind: &str, customer: &str, token: Option<&str>) -> StatusCode {
    let mut request = signing::request(&format!("AlexaSkillEvent.{kind}"), Value::Null);
    request.as_object_mut().unwrap().remove("session");
    request["context"]["System"]["user"] = json!({"userId": customer});
    if let Some(token) = token {
        request["request"]["body"] = json!({"accessToken": token});
    }
    let body = request.to_string().into_bytes();
    alexa.world.call(signing::post(signing::CERT_URL, &signing::sign(&body), &body)).await.0
}

#[tokio::test]
async fn who_disables_the_skill_is_told_nothing_any_more() {
    let authority = signing::Authority::new().await;
    let alexa = Alexa::linked_with(authority.config()).await;
    let forgotten = || {
        let grants = alexa.world.accounts.grants();
        grants.iter().filter(|grant| grant.sealed.is_empty()).map(|grant| grant.region.clone()).collect::<Vec<_>>()
    };
    let left = || alexa.world.accounts.left();
    skill_event(&alexa, "SkillDisabled", "amzn1.ask.account.A", None).await;
    assert!(left().is_empty(), "nobody knows whose it was");
    skill_event(&alexa, "SkillAccountLinked", "amzn1.ask.account.A", Some(TOKEN)).await;
    skill_event(&alexa, "SkillDisabled", "amzn1.ask.account.B", None).await;
    assert!(left().is_empty(), "somebody else");
    skill_event(&alexa, "SkillDisabled", "amzn1.ask.account.A", None).await;
    assert_eq!(left().len(), 1, "what is kept is kept by the account service, for every process");
    skill_event(&alexa, "SkillDisabled", "amzn1.ask.account.C", Some(TOKEN)).await;
    assert_eq!(left().len(), 2, "the token says whose it is");
    assert!(forgotten().is_empty(), "the account service knows whether the account has another customer");
}

#[tokio::test]
async fn who_disables_the_skill_while_the_account_service_is_away_is_told_to_say_it_again() {
    let authority = signing::Authority::new().await;
    let alexa = Alexa::linked_with(authority.config()).await;
    let disabled = || skill_event(&alexa, "SkillDisabled", "amzn1.ask.account.A", Some(TOKEN));
    alexa.world.accounts.lose_grants();
    assert_eq!(disabled().await, StatusCode::SERVICE_UNAVAILABLE);
    alexa.world.accounts.find_grants();
    assert_eq!(disabled().await, StatusCode::OK);
    assert_eq!(alexa.world.accounts.left().len(), 1);
}
