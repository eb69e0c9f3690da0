//! What goes to the backend, and comes back.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use serde_json::Value;

use super::support::backend::How;
use super::support::lambda::Lambda;
use super::support::wire::Arrived;
use super::support::{Function, World, accept_grant, answer_to, discover, error_type, pause};

#[tokio::test]
async fn a_directive_is_passed_on_as_it_came_and_its_answer_too() {
    let world = World::new().await;
    // Not as a JSON library would write it.
    let directive = format!("  {}\n", pause().to_string().replace(',', " ,\t"));
    let told = world.lambda.invoke(directive.as_bytes(), Duration::from_secs(8)).await;
    assert_eq!(
        (told.what.as_str(), String::from_utf8(told.body).unwrap()),
        ("response", answer_to(&pause()).to_string())
    );
    let [request]: [Arrived; 1] = world.backend.requests().try_into().unwrap();
    assert_eq!(request.line, "POST /alexa/v1/smart-home HTTP/1.1");
    assert_eq!(String::from_utf8(request.body.clone()).unwrap(), directive);
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.header("host"), Some(world.backend.address.to_string().as_str()));
    assert_eq!(request.header("x-macloud-signature"), None, "there is no key");
    let remaining: u64 = request.header("x-macloud-remaining-ms").unwrap().parse().unwrap();
    assert!((5000..=6700).contains(&remaining), "{remaining}: 7 s less the ways there and back");
    assert_eq!(world.function.stop().await, Vec::<Value>::new(), "what goes well is not logged");
}

#[tokio::test]
async fn each_kind_of_directive_gets_its_answer() {
    let world = World::new().await;
    for directive in [discover(), accept_grant(), pause()] {
        assert_eq!(world.lambda.send(&directive).await, answer_to(&directive));
    }
}

#[tokio::test]
async fn with_a_key_directives_are_signed() {
    let bytes = [7; 32];
    let world = World::with_key(Some(&STANDARD.encode(bytes))).await;
    for directive in [pause(), discover()] {
        world.lambda.send(&directive).await;
    }
    for request in world.backend.requests() {
        let signature = STANDARD.decode(request.header("x-macloud-signature").unwrap()).unwrap();
        let key = hmac::Key::new(hmac::HMAC_SHA256, &bytes);
        assert!(hmac::verify(&key, &request.body, &signature).is_ok());
    }
}

#[tokio::test]
async fn directives_that_follow_each_other_share_a_connection() {
    let world = World::new().await;
    for _ in 0..3 {
        assert_eq!(world.lambda.send(&pause()).await, answer_to(&pause()));
    }
    assert_eq!((world.backend.requests().len(), world.backend.connections()), (3, 1));
}

#[tokio::test]
async fn a_connection_that_was_closed_meanwhile_is_replaced_and_nothing_is_asked_twice() {
    let world = World::new().await;
    world.backend.does(How::AnswerAndClose);
    for _ in 0..3 {
        assert_eq!(world.lambda.send(&pause()).await, answer_to(&pause()));
    }
    assert_eq!((world.backend.requests().len(), world.backend.connections()), (3, 3));
}

#[tokio::test]
async fn what_the_skill_refuses_is_handed_on() {
    let world = World::new().await;
    let mut event = answer_to(&pause());
    event["event"]["header"]["name"] = "ErrorResponse".into();
    event["event"]["payload"] = serde_json::json!({"type": "NO_SUCH_ENDPOINT", "message": "Not exposed any more."});
    world.backend.does(How::Say(200, Vec::new(), event.to_string().into()));
    assert_eq!(world.lambda.send(&pause()).await, event);
}

#[tokio::test]
async fn a_function_that_cannot_start_says_why_to_lambda() {
    for (url, key) in [("http://music.example.org", None), ("", None), ("https://music.example.org", Some("c2hvcnQ="))]
    {
        let lambda = Lambda::start().await;
        let function = Function::start(&lambda, url, key);
        let word = lambda.next_word().await;
        assert_eq!(word.line, "POST /2018-06-01/runtime/init/error HTTP/1.1");
        let error: Value = serde_json::from_slice(&word.body).unwrap();
        let variable = if key.is_some() { "MACLOUD_FORWARDER_KEY" } else { "MACLOUD_SKILL_URL" };
        assert!(error["errorMessage"].as_str().unwrap().contains(variable), "{error}");
        assert!(!function.ended().await.success());
    }
}

#[tokio::test]
async fn an_answer_that_lambda_does_not_take_is_reported_and_the_next_one_goes_on() {
    let world = World::new().await;
    world.lambda.take_no_answer(true);
    let told = world.lambda.invoke(pause().to_string().as_bytes(), Duration::from_secs(8)).await;
    assert_eq!(told.what, "error");
    assert_eq!(serde_json::from_slice::<Value>(&told.body).unwrap()["errorType"], "Forwarder.AnswerNotTaken");
    world.lambda.take_no_answer(false);
    assert_eq!(world.lambda.send(&pause()).await, answer_to(&pause()));
    let logged = world.function.stop().await;
    assert_eq!((logged.len(), logged[0]["level"].as_str()), (1, Some("error")));
}

#[tokio::test]
async fn what_is_no_directive_is_refused_here() {
    let world = World::new().await;
    let mut old = pause();
    old["directive"]["header"]["payloadVersion"] = "2".into();
    assert_eq!(error_type(&old, &world.lambda.send(&old).await), "INVALID_DIRECTIVE");
    let spoken = serde_json::json!({"version": "1.0", "session": {}, "request": {"type": "LaunchRequest"}});
    let mut large = pause().to_string().into_bytes();
    large.resize(256 * 1024 + 1, b' ');
    let mut huge = vec![b'{'; 5 << 20];
    huge[0] = b' ';
    for event in
        [&b""[..], b"{", b"null", b"\xff\x00", spoken.to_string().as_bytes(), large.as_slice(), huge.as_slice()]
    {
        let told = world.lambda.invoke(event, Duration::from_secs(8)).await;
        let event: Value = serde_json::from_slice(&told.body).unwrap();
        assert_eq!(error_type(&serde_json::json!({"directive": {"header": {}}}), &event), "INVALID_DIRECTIVE");
    }
    assert!(world.backend.requests().is_empty(), "none of it was worth asking");
    let mut largest = pause().to_string().into_bytes();
    largest.resize(256 * 1024, b' ');
    let told = world.lambda.invoke(&largest, Duration::from_secs(8)).await;
    assert_eq!(serde_json::from_slice::<Value>(&told.body).unwrap(), answer_to(&pause()), "as large as it may be");
    assert_eq!(world.backend.requests().len(), 1);
}
