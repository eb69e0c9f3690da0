//! A skill backend with fakes around it.

pub mod accounts;
pub mod home;
pub mod mutate;
pub mod relay;
pub mod schemas;
pub mod signing;
pub mod wire;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use macloud_alexa_skill::trace::HopTrace;
use macloud_alexa_skill::{Skill, SkillConfig};
use macloud_e2ee::keys::SkillSigner;
use macloud_proto::ids::{InstanceId, PlayerKey, PresetKey};
use macloud_service_kit::clock::ManualClock;
use macloud_service_kit::stop::Stop;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use accounts::FakeAccounts;
use home::FakeHome;
use relay::FakeRelay;

pub const TOKEN: &str = "mca_a-token-that-works-0123456789abcdefghijklmn";
pub const CORRELATION: &str = "dFMb0z+PgpgdDmluhJ1LddFvSqZ/jCc8ptlAKulUj90jSqg==";
/// 2026-11-22T00:00:00Z
pub const NOW: u64 = 1_795_305_600;

/// One skill with one home that has a kitchen and a bathroom, unless a test adds more.
pub struct World {
    pub skill: Skill,
    pub accounts: FakeAccounts,
    pub relay: FakeRelay,
    pub clock: Arc<ManualClock>,
    pub traces: Arc<Mutex<Vec<HopTrace>>>,
    pub stop: Stop,
    pub running: tokio::task::JoinHandle<()>,
}

impl World {
    pub async fn new() -> Self {
        Self::with(SkillConfig::default()).await
    }

    pub async fn with(config: SkillConfig) -> Self {
        let world = Self::empty(config).await;
        world.add_home(1, "Home");
        world
    }

    /// Without a home, but with an account and a token.
    pub async fn empty(mut config: SkillConfig) -> Self {
        let (accounts, relay) = (FakeAccounts::default(), FakeRelay::new("node-1"));
        let clock = ManualClock::at(NOW);
        let traces: Arc<Mutex<Vec<HopTrace>>> = Arc::default();
        let seen = Arc::clone(&traces);
        // A test that is slow must not call Amazon.
        config.alexa_api.get_or_insert_with(|| "http://127.0.0.1:9".parse().unwrap());
        config.observer = Some(Arc::new(move |trace| seen.lock().unwrap().push(trace.clone())));
        let signer = SkillSigner::from_seed(&home::SKILL_SEED);
        let skill = Skill::new(config, accounts.channel(), relay.channel(), signer, clock.clone()).unwrap();
        accounts.allow(TOKEN);
        let stop = Stop::new();
        let running = tokio::spawn({
            let (skill, stop) = (skill.clone(), stop.clone());
            async move { skill.run(stop).await }
        });
        until(|| skill.follows_changes()).await;
        Self { skill, accounts, relay, clock, traces, stop, running }
    }

    /// A connected home of the account.
    pub fn add_home(&self, number: u8, name: &str) -> Arc<FakeHome> {
        let home = FakeHome::new(number);
        self.accounts.add_home(&home, name);
        self.relay.connect(Arc::clone(&home));
        home
    }

    pub fn home(&self) -> Arc<FakeHome> {
        self.relay.home(&instance(1))
    }

    /// Send a directive; the event that answers it, checked by everything that holds for every event.
    pub async fn send(&self, directive: &Value) -> Value {
        let (status, body) = self.post("/alexa/v1/smart-home", directive.to_string().into_bytes()).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        schemas::check(directive, &body);
        body
    }

    pub async fn post(&self, path: &str, body: Vec<u8>) -> (StatusCode, Value) {
        let request = Request::post(path).header("content-type", "application/json").body(Body::from(body)).unwrap();
        self.call(request).await
    }

    pub async fn call(&self, request: Request<Body>) -> (StatusCode, Value) {
        let response = self.skill.router().oneshot(request).await.unwrap();
        let status = response.status();
        let body = to_bytes(response.into_body(), 4 << 20).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    pub fn last_trace(&self) -> HopTrace {
        self.traces.lock().unwrap().last().cloned().unwrap()
    }
}

/// One of many tokens of the right form.
pub fn some_token(number: u32) -> String {
    format!("mca_{number:0>43}")
}

pub fn instance(number: u8) -> InstanceId {
    InstanceId::from_bytes(&[number; 16])
}

/// The kitchen is 1, the bathroom 2, in every home.
pub fn player(home: u8, number: u8) -> PlayerKey {
    PlayerKey::derive(&format!("server-{home}"), &format!("player-{number}"))
}

pub fn endpoint(home: u8, number: u8) -> String {
    format!("{}_{}", instance(home), player(home, number))
}

/// A favourite of a home as an endpoint.
pub fn scene(home: u8, preset: &PresetKey) -> String {
    format!("{}_scene_{preset}", instance(home))
}

/// A directive to the kitchen of the first home.
pub fn directive(namespace: &str, name: &str, payload: Value) -> Value {
    directive_to(&endpoint(1, 1), namespace, name, payload)
}

pub fn directive_to(endpoint: &str, namespace: &str, name: &str, payload: Value) -> Value {
    json!({"directive": {
        "header": {
            "namespace": namespace, "name": name, "messageId": "1bd5d003-31b9-476f-ad03-71d471922820",
            "correlationToken": CORRELATION, "payloadVersion": "3"
        },
        "endpoint": {"scope": {"type": "BearerToken", "token": TOKEN}, "endpointId": endpoint, "cookie": {}},
        "payload": payload
    }})
}

pub fn discover() -> Value {
    json!({"directive": {
        "header": {
            "namespace": "Alexa.Discovery", "name": "Discover", "messageId": "1bd5d003-31b9-476f-ad03-71d471922820",
            "payloadVersion": "3"
        },
        "payload": {"scope": {"type": "BearerToken", "token": TOKEN}}
    }})
}

pub fn error_type(event: &Value) -> &str {
    match event["event"]["header"]["name"].as_str() {
        Some("ErrorResponse") => event["event"]["payload"]["type"].as_str().unwrap(),
        _ => "none",
    }
}

pub fn property<'e>(event: &'e Value, namespace: &str, name: &str) -> &'e Value {
    let properties = event["context"]["properties"].as_array().unwrap();
    let found = properties.iter().find(|property| property["namespace"] == namespace && property["name"] == name);
    &found.unwrap()["value"]
}

impl World {
    /// Send a directive until it is answered so: a change that was pushed may still be on its way.
    pub async fn send_until(&self, directive: &Value, expected: &str) {
        let sending = async {
            while error_type(&self.send(directive).await) != expected {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), sending).await.expect("the change arrives");
    }
}

/// Let other tasks run until `condition` holds.
pub async fn until(condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::task::yield_now().await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), waiting).await.expect("the condition comes true");
}
