//! What strangers can send: wrong methods, types, sizes and shapes.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use macloud_alexa_skill::SkillConfig;
use ring::hmac;
use serde_json::json;
use tokio::time::Instant;
use tower::ServiceExt as _;

use super::support::relay::Trouble;
use super::support::{CORRELATION, World, directive, endpoint, error_type, until};

const SMART_HOME: &str = "/alexa/v1/smart-home";

#[tokio::test]
async fn wrong_methods_types_and_sizes_get_a_clear_status() {
    let world = World::new().await;
    for path in [SMART_HOME, "/alexa/v1/custom"] {
        let get = Request::get(path).body(Body::empty()).unwrap();
        let response = world.skill.router().oneshot(get).await.unwrap();
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(response.headers()[header::ALLOW], "POST");
    }
    let text = Request::post(SMART_HOME).header("content-type", "text/plain").body(Body::from("{}")).unwrap();
    let (status, body) = world.call(text).await;
    assert_eq!((status, body["error"].as_str()), (StatusCode::UNSUPPORTED_MEDIA_TYPE, Some("unsupported_media_type")));
    let (status, body) = world.post(SMART_HOME, vec![b' '; 256 * 1024 + 1]).await;
    assert_eq!((status, body["error"].as_str()), (StatusCode::PAYLOAD_TOO_LARGE, Some("payload_too_large")));
    let charset = Request::post(SMART_HOME).header("content-type", "Application/JSON; charset=utf-8");
    let pause = directive("Alexa.PlaybackController", "Pause", json!({})).to_string();
    assert_eq!(world.call(charset.body(Body::from(pause)).unwrap()).await.0, StatusCode::OK);
}

#[tokio::test]
async fn what_is_no_directive_is_an_http_error() {
    let world = World::new().await;
    for body in ["", "{", "[]", "null", "{\"directive\":[]}", "{\"directive\":{\"header\":3}}", "\u{0}", "\"\\ud800\""]
    {
        let (status, answer) = world.post(SMART_HOME, body.into()).await;
        assert_eq!(
            (status, answer["error"].as_str()),
            (StatusCode::BAD_REQUEST, Some("malformed_directive")),
            "{body}"
        );
    }
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(world.post(SMART_HOME, deep.into()).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_directive_that_lacks_something_is_an_invalid_directive() {
    let world = World::new().await;
    let good = directive("Alexa.Speaker", "SetVolume", json!({"volume": 20}));
    for place in ["/directive/endpoint", "/directive/payload", "/directive/header/name", "/directive/endpoint/scope"] {
        let mut bad = good.clone();
        let (parent, name) = place.rsplit_once('/').unwrap();
        bad.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name);
        let (status, event) = world.post(SMART_HOME, bad.to_string().into()).await;
        assert_eq!((status, error_type(&event)), (StatusCode::OK, "INVALID_DIRECTIVE"), "without {place}");
        assert_eq!(event["event"]["header"]["correlationToken"], CORRELATION);
    }
    let mut version = good.clone();
    version["directive"]["header"]["payloadVersion"] = json!("2");
    assert_eq!(error_type(&world.send(&version).await), "INVALID_DIRECTIVE");
    assert!(world.relay.dispatches().is_empty());
}

#[tokio::test]
async fn unknown_fields_are_skipped_and_odd_tokens_echoed_byte_for_byte() {
    let world = World::new().await;
    let mut odd = directive("Alexa.PlaybackController", "Play", json!({"new": [1, 2]}));
    odd["directive"]["header"]["correlationToken"] = json!("é+/=\u{1F3B5} \"quoted\"\n".repeat(50));
    odd["directive"]["header"]["somethingNew"] = json!({"a": 1});
    odd["directive"]["endpoint"]["scope"]["type"] = json!("BearerTokenWithPartition");
    odd["context"] = json!({"new": true});
    assert_eq!(error_type(&world.send(&odd).await), "none");
}

#[tokio::test]
async fn an_endpoint_id_that_no_event_may_carry_is_not_repeated() {
    let world = World::new().await;
    let mut bad = directive("Alexa.PlaybackController", "Play", json!({}));
    bad["directive"]["endpoint"]["endpointId"] = json!("with space.and dot");
    let (status, event) = world.post(SMART_HOME, bad.to_string().into()).await;
    assert_eq!((status, error_type(&event)), (StatusCode::OK, "NO_SUCH_ENDPOINT"));
    assert_eq!(event["event"].get("endpoint"), None);
    bad["directive"]["endpoint"]["endpointId"] = json!(endpoint(2, 1));
    assert_eq!(error_type(&world.send(&bad).await), "NO_SUCH_ENDPOINT", "a home of somebody else");
}

#[tokio::test(start_paused = true)]
async fn beyond_a_number_of_requests_at_once_further_ones_are_turned_away_unread() {
    let world = World::with(SkillConfig { most_requests: 1, ..SkillConfig::default() }).await;
    let pause = directive("Alexa.PlaybackController", "Pause", json!({}));
    assert_eq!(error_type(&world.send(&pause).await), "none");
    world.relay.trouble(Trouble::Silence);
    let sent = world.relay.dispatches().len();
    let ((), event) = tokio::join!(
        async {
            until(|| world.relay.dispatches().len() > sent).await;
            for path in [SMART_HOME, "/alexa/v1/custom"] {
                let request = Request::post(path).header("content-type", "application/json").body(never_ending());
                let response = world.skill.router().oneshot(request.unwrap()).await.unwrap();
                assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
                assert_eq!(response.headers()[header::RETRY_AFTER], "1");
            }
        },
        world.send(&pause)
    );
    assert_eq!(error_type(&event), "BRIDGE_UNREACHABLE");
    assert_eq!(error_type(&world.send(&pause).await), "none", "there is room again");
}

#[tokio::test(start_paused = true)]
async fn requests_that_never_arrive_whole_keep_no_others_out() {
    let world = World::with(SkillConfig { most_requests: 1, ..SkillConfig::default() }).await;
    let pause = directive("Alexa.PlaybackController", "Pause", json!({}));
    for path in ["/alexa/v1/trial", "/alexa/v1/custom", SMART_HOME] {
        let unfinished = || {
            let request = Request::post(path).header("content-type", "application/json");
            let request = request.header("signaturecertchainurl", "x").header("signature-256", "x");
            world.skill.router().oneshot(request.body(never_ending()).unwrap())
        };
        let (first, second, event) = tokio::join!(unfinished(), unfinished(), async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            world.send(&pause).await
        });
        assert_eq!(error_type(&event), "none", "{path}");
        let mut statuses = [first, second].map(|response| response.unwrap().status().as_u16());
        statuses.sort_unstable();
        assert!(matches!(statuses, [400..=408, 503]), "one is waited for: {path} {statuses:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_body_of_a_request_that_cannot_be_signed_is_not_waited_for() {
    let world = World::new().await;
    let started = Instant::now();
    for headers in [&["signaturecertchainurl"][..], &["signature-256"], &["signature-256", "signature-256"], &[]] {
        let mut request = Request::post("/alexa/v1/custom");
        for &name in headers {
            request = request.header(name, "x");
        }
        let (status, body) = world.call(request.body(never_ending()).unwrap()).await;
        assert_eq!((status, body), (StatusCode::BAD_REQUEST, serde_json::Value::Null));
    }
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn the_time_for_an_answer_begins_before_the_body_has_arrived() {
    let world = World::new().await;
    let pause = directive("Alexa.PlaybackController", "Pause", json!({}));
    assert_eq!(error_type(&world.send(&pause).await), "none");
    world.relay.trouble(Trouble::Silence);
    let body = futures_util::stream::once(async move {
        tokio::time::sleep(Duration::from_millis(800)).await;
        Ok::<_, std::convert::Infallible>(pause.to_string())
    });
    let request = Request::post(SMART_HOME)
        .header("content-type", "application/json")
        .header("x-macloud-remaining-ms", "1200")
        .body(Body::from_stream(body));
    let started = Instant::now();
    let (_, event) = world.call(request.unwrap()).await;
    assert_eq!(error_type(&event), "BRIDGE_UNREACHABLE");
    assert!(started.elapsed() <= Duration::from_millis(1250), "{:?}", started.elapsed());
}

#[tokio::test]
async fn with_keys_for_forwarders_only_what_one_of_them_signed_is_taken() {
    let keys = vec![[1; 32], [2; 32]];
    let world = World::with(SkillConfig { forwarder_keys: keys, ..SkillConfig::default() }).await;
    let pause = directive("Alexa.PlaybackController", "Pause", json!({})).to_string();
    let signed = |key: [u8; 32], body: &str| {
        STANDARD.encode(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), body.as_bytes()))
    };
    let post = |signature: Option<String>, body: Body| {
        let request = Request::post(SMART_HOME).header("content-type", "application/json");
        match signature {
            Some(signature) => request.header("x-macloud-signature", signature).body(body),
            None => request.body(body),
        }
        .unwrap()
    };
    for key in [[1; 32], [2; 32]] {
        let (status, event) = world.call(post(Some(signed(key, &pause)), Body::from(pause.clone()))).await;
        assert_eq!((status, error_type(&event)), (StatusCode::OK, "none"));
    }
    let done = world.relay.dispatches().len();
    let another = Some(signed([1; 32], &format!("{pause} ")));
    for wrong in [Some(signed([3; 32], &pause)), another, Some(String::new()), Some("=".into())] {
        let (status, answer) = world.call(post(wrong, Body::from(pause.clone()))).await;
        assert_eq!((status, answer["error"].as_str()), (StatusCode::UNAUTHORIZED, Some("unsigned_directive")));
    }
    // Strangers are not even waited for.
    assert_eq!(world.call(post(None, never_ending())).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(world.relay.dispatches().len(), done);
}

fn never_ending() -> Body {
    Body::from_stream(futures_util::stream::pending::<Result<Vec<u8>, std::convert::Infallible>>())
}
