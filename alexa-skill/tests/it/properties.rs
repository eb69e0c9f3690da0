//! Whatever strangers send: no panic, no server error, and answers that hold to the rules.

use std::sync::LazyLock;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use macloud_alexa_skill::conversation::Open;
use macloud_alexa_skill::translate::intent::turn;
use macloud_alexa_skill::verify::cert_url::CertUrl;
use macloud_alexa_skill::verify::chain::Chain;
use macloud_alexa_skill::{directive, request};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::support::schemas;
use super::support::signing::intent;
use super::support::{World, directive as sample};

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[ -~]{0,12}".prop_map(Value::from),
        ".{0,6}".prop_map(Value::from),
        Just(json!("Alexa.Speaker")),
        Just(json!("SetVolume")),
        Just(json!("3")),
        Just(json!("BearerToken")),
        Just(json!("IntentRequest")),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        let name = prop_oneof![
            Just("header"),
            Just("directive"),
            Just("endpoint"),
            Just("payload"),
            Just("scope"),
            Just("token"),
            Just("type"),
            Just("volume"),
            Just("request"),
            Just("intent"),
            Just("slots"),
            Just("value"),
            Just("name"),
            Just("namespace"),
            Just("payloadVersion"),
            Just("timestamp"),
            Just("session"),
            Just("context"),
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::hash_map(name.prop_map(str::to_owned), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// A good message with one place replaced.
fn spoilt(good: Value, places: &'static [&'static str]) -> impl Strategy<Value = Value> {
    (json_value(), prop::sample::select(places)).prop_map(move |(value, place)| {
        let mut message = good.clone();
        if let Some(found) = message.pointer_mut(place) {
            *found = value;
        }
        message
    })
}

/// An answer to a question that left something open.
fn answering() -> Value {
    let mut request = intent("PlayMediaIntent", &[("media", "x"), ("mediaType", "album")]);
    let open = json!({"do": "set_volume", "amount": 30, "media": "x", "placement": "next", "player": "kitchen"});
    request["session"]["attributes"]["open"] = open;
    request
}

const DIRECTIVE_PLACES: &[&str] = &[
    "/directive",
    "/directive/header",
    "/directive/header/namespace",
    "/directive/header/name",
    "/directive/header/payloadVersion",
    "/directive/header/correlationToken",
    "/directive/endpoint",
    "/directive/endpoint/endpointId",
    "/directive/endpoint/scope",
    "/directive/endpoint/scope/type",
    "/directive/endpoint/scope/token",
    "/directive/payload",
    "/directive/payload/volume",
    "/directive/payload/volumeDefault",
];

const REQUEST_PLACES: &[&str] = &[
    "/session",
    "/session/user",
    "/session/application",
    "/session/new",
    "/session/attributes",
    "/session/attributes/open",
    "/session/attributes/open/do",
    "/session/attributes/open/media",
    "/session/attributes/open/amount",
    "/session/attributes/open/other",
    "/session/attributes/open/doubted",
    "/session/attributes/open/placement",
    "/context",
    "/context/System",
    "/context/System/user",
    "/context/System/device",
    "/context/System/device/deviceId",
    "/context/System/apiEndpoint",
    "/context/System/apiAccessToken",
    "/context/System/application/applicationId",
    "/request",
    "/request/type",
    "/request/timestamp",
    "/request/locale",
    "/request/intent",
    "/request/intent/name",
    "/request/intent/slots",
    "/request/intent/slots/media",
    "/request/intent/slots/media/value",
    "/request/intent/slots/mediaType",
];

/// One world for all cases: making one costs more than asking it.
static WORLD: LazyLock<(tokio::runtime::Runtime, World)> = LazyLock::new(|| {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = runtime.block_on(World::new());
    (runtime, world)
});

fn post(path: &str, body: Vec<u8>) -> (StatusCode, Value) {
    let (runtime, world) = &*WORLD;
    runtime.block_on(world.post(path, body))
}

// 256 cases each, or as many as `PROPTEST_CASES` says.
proptest! {
    #[test]
    fn any_bytes_are_a_directive_or_not(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = directive::parse(&body);
        let _ = request::parse(&body);
        let _ = Chain::parse(&body);
    }

    #[test]
    fn any_json_gets_an_event_or_a_bad_request(value in json_value()) {
        let (status, _) = post("/alexa/v1/smart-home", value.to_string().into_bytes());
        prop_assert!(status == StatusCode::OK || status == StatusCode::BAD_REQUEST);
        let _ = request::parse(value.to_string().as_bytes());
    }

    #[test]
    fn a_spoilt_directive_gets_an_event_that_holds_to_the_rules(
        value in spoilt(sample("Alexa.Speaker", "AdjustVolume", json!({"volume": 3, "volumeDefault": true})), DIRECTIVE_PLACES)
    ) {
        let (status, event) = post("/alexa/v1/smart-home", value.to_string().into_bytes());
        prop_assert!(status == StatusCode::OK || status == StatusCode::BAD_REQUEST);
        if status == StatusCode::OK {
            schemas::check_shape(&event);
        }
    }

    #[test]
    fn a_spoilt_request_is_read_or_refused(value in spoilt(answering(), REQUEST_PLACES)) {
        if let Ok(request) = request::parse(value.to_string().as_bytes()) {
            let (_, open) = turn(request.ask, request.open);
            prop_assert!(open.is_none_or(|open| open.to_attributes().to_string().len() < 5000));
        }
    }

    #[test]
    fn any_session_attributes_are_read_or_dropped(value in json_value(), name in "(do|media|artist|kind|player|other|placement|amount|sure|doubted)") {
        let mut open = json!({"open": {"do": "play", "placement": "next", "media": "x"}});
        open["open"][name] = value.clone();
        for attributes in [value, open] {
            if let Some(open) = Open::read(&attributes) {
                prop_assert_eq!(Open::read(&open.to_attributes()), Some(open));
            }
        }
    }

    #[test]
    fn no_certificate_url_leads_elsewhere(url in "(https|HTTPS|http)://(s3\\.amazonaws\\.com|[a-z@.:\\\\]{1,12})/(echo\\.api|[a-z./%2e]{0,9})/[a-z./%2e?#]{0,12}") {
        if let Some(accepted) = CertUrl::parse(&url) {
            prop_assert!(accepted.at(None).starts_with("https://s3.amazonaws.com/echo.api/"));
            prop_assert!(accepted.path().split('/').all(|segment| segment != ".."));
            prop_assert_eq!(CertUrl::parse(&accepted.at(None)), Some(accepted));
        }
        let _ = CertUrl::parse(&url[..url.len() / 2]);
    }

    #[test]
    fn unsigned_requests_are_a_bad_request_without_a_body(
        body in prop::collection::vec(any::<u8>(), 0..100), url in "\\PC{0,40}", signature in "[ -~]{0,40}"
    ) {
        let (runtime, world) = &*WORLD;
        let mut request = Request::post("/alexa/v1/custom");
        if let Ok(value) = http::HeaderValue::from_str(&url) {
            request = request.header("SignatureCertChainUrl", value);
        }
        let request = request.header("Signature-256", signature).body(Body::from(body)).unwrap();
        prop_assert_eq!(runtime.block_on(world.call(request)), (StatusCode::BAD_REQUEST, Value::Null));
    }
}
