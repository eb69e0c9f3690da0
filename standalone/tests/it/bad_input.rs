//! Rubbish at every door of the running cloud: a clear refusal in the form its reader expects, never a 5xx, never a panic.

use macloud_service_kit::random;
use macloud_standalone::demo::stage::Stage;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{stage, verdict};

#[tokio::test(flavor = "multi_thread")]
async fn no_rubbish_at_any_door_is_a_fault_of_ours() {
    let (stage, _gate) = stage().await;
    let client = macloud_service_kit::client::client(std::time::Duration::from_secs(10));
    let paths = [
        "/",
        "/sign-up",
        "/sign-in",
        "/sign-out",
        "/pair",
        "/homes",
        "/apps",
        "/sessions",
        "/oauth/authorize",
        "/oauth/token",
        "/oauth/device_authorization",
        "/oauth/revoke",
        "/oauth/introspect",
        "/oauth/userinfo",
        "/oauth/jwks",
        "/.well-known/openid-configuration",
        "/.well-known/oauth-authorization-server",
        "/relay/v1/connect",
        "/alexa/v1/smart-home",
        "/alexa/v1/custom",
        "/healthz",
        "/readyz",
        "/nowhere",
        "/assets/../../etc/passwd",
        "/%00",
        "/oauth/authorize?client_id=%00&state=%ff&redirect_uri=javascript:1",
        "/oauth/token?grant_type=password&grant_type=password",
        "/pair?user_code=%00%0d%0aX:y",
    ];
    let bodies: [(&str, Vec<u8>); 8] = [
        ("application/x-www-form-urlencoded", b"".to_vec()),
        (
            "application/x-www-form-urlencoded",
            b"grant_type=authorization_code&code=%00&client_id=%ff&client_id=x".to_vec(),
        ),
        ("application/x-www-form-urlencoded", b"%%%=&&&&=&a".to_vec()),
        ("application/json", b"{".to_vec()),
        ("application/json", b"{\"directive\":{\"header\":{\"namespace\":7}}}".to_vec()),
        ("application/json", format!("{}1{}", "[".repeat(20_000), "]".repeat(20_000)).into_bytes()),
        ("text/plain", vec![b'x'; 2 * 1024 * 1024]),
        ("multipart/form-data; boundary=x", random::bytes::<512>().to_vec()),
    ];
    for path in paths {
        for method in [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS, Method::HEAD] {
            for (kind, body) in &bodies {
                let url = format!("{}{path}", stage.cloud_url.as_str().trim_end_matches('/'));
                let request = client
                    .request(method.clone(), &url)
                    .header("content-type", *kind)
                    .header("authorization", "Bearer \u{1F3B5}".as_bytes())
                    .header("cookie", "session=%00; ;;=;x")
                    .body(body.clone());
                // A server may close on a body that it will not read; that is an answer too.
                let Ok(response) = request.send().await else { continue };
                let status = response.status();
                assert!(!status.is_server_error(), "{method} {path} with {kind} ({} bytes): {status}", body.len());
            }
        }
    }
    still_works(&stage).await;
    stage.strike().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn directives_that_make_no_sense_are_invalid_and_bad_tokens_are_named() {
    let (stage, _gate) = stage().await;
    let kitchen = stage.endpoint("Kitchen").unwrap().to_owned();
    let good = stage.alexa.control("Alexa.Speaker", "SetVolume", &kitchen, json!({"volume": 30}));
    let changed = |path: &str, value: Value| {
        let mut directive = good.clone();
        *directive.pointer_mut(path).unwrap() = value;
        directive
    };
    let cases = [
        (changed("/directive/header/namespace", json!("Alexa.Toaster")), "INVALID_DIRECTIVE"),
        (changed("/directive/header/name", json!("Explode")), "INVALID_DIRECTIVE"),
        (changed("/directive/header/payloadVersion", json!("2")), "INVALID_DIRECTIVE"),
        (changed("/directive/payload", json!({})), "INVALID_DIRECTIVE"),
        (changed("/directive/payload", json!({"volume": "loud"})), "INVALID_DIRECTIVE"),
        (changed("/directive/endpoint/endpointId", json!("nonsense")), "NO_SUCH_ENDPOINT"),
        (changed("/directive/endpoint/scope/token", json!("mca_wrong")), "INVALID_AUTHORIZATION_CREDENTIAL"),
        (changed("/directive/endpoint/scope/token", json!("\u{0}\u{ffff}")), "INVALID_AUTHORIZATION_CREDENTIAL"),
    ];
    for (directive, expected) in cases {
        let event = stage.alexa.send_directive(&directive).await.unwrap();
        assert_eq!(verdict(&event), format!("ErrorResponse {expected}"), "{directive}");
    }
    still_works(&stage).await;
    stage.strike().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn custom_requests_that_amazon_did_not_sign_are_refused_with_400() {
    let (stage, _gate) = stage().await;
    let client = macloud_service_kit::client::client(std::time::Duration::from_secs(10));
    let url = stage.cloud_url.join("/alexa/v1/custom").unwrap();
    let body = stage.alexa.launch().to_string();
    let unsigned = client.post(url.clone()).body(body.clone()).send().await.unwrap();
    assert_eq!(unsigned.status(), StatusCode::BAD_REQUEST);
    let forged = client
        .post(url)
        .header("SignatureCertChainUrl", "https://s3.amazonaws.com/echo.api/pretend-alexa.pem")
        .header("Signature-256", "AAAA")
        .body(body)
        .send()
        .await
        .unwrap();
    assert_eq!(forged.status(), StatusCode::BAD_REQUEST);
    stage.strike().await;
}

async fn still_works(stage: &Stage) {
    let kitchen = stage.endpoint("Kitchen").unwrap();
    let directive = stage.alexa.control("Alexa.Speaker", "SetVolume", kitchen, json!({"volume": 12}));
    let event = stage.alexa.send_directive(&directive).await.unwrap();
    assert_eq!(verdict(&event), "Response", "{event}");
}
