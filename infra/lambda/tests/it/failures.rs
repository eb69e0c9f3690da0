//! What is said when the backend is of no use.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::support::backend::How;
use super::support::lambda::Lambda;
use super::support::{Function, World, accept_grant, answer_to, discover, error_type, pause};

#[tokio::test]
async fn a_slow_backend_is_given_up_before_lambda_gives_up_and_its_late_answer_answers_nothing() {
    let world = World::new().await;
    assert_eq!(world.lambda.send(&pause()).await, answer_to(&pause()));
    world.backend.does(How::Silence);
    let started = Instant::now();
    let told = world.lambda.invoke(pause().to_string().as_bytes(), Duration::from_millis(1500)).await;
    let (took, event) = (started.elapsed(), serde_json::from_slice(&told.body).unwrap());
    assert_eq!(error_type(&pause(), &event), "BRIDGE_UNREACHABLE");
    assert!(took >= Duration::from_millis(900) && took < Duration::from_millis(1500), "{took:?}");
    let remaining: u64 = world.backend.requests()[1].header("x-macloud-remaining-ms").unwrap().parse().unwrap();
    assert!(remaining <= 950, "{remaining}: 1500 ms, 250 before Lambda, 300 on the way");
    world.backend.does(How::Answer);
    let mut other = pause();
    other["directive"]["header"]["correlationToken"] = json!("another");
    assert_eq!(world.lambda.send(&other).await, answer_to(&other));
    assert_eq!(world.backend.connections(), 2, "what was given up is closed");
    let logged = world.function.stop().await;
    let [line] = logged.as_slice() else { panic!("{logged:?}") };
    assert_eq!((line["cause"].as_str(), line["request_id"].as_str()), (Some("late"), Some("invocation-1")));
}

#[tokio::test]
async fn a_directive_whose_time_is_over_is_not_sent() {
    let world = World::new().await;
    let told = world.lambda.invoke(pause().to_string().as_bytes(), Duration::from_millis(400)).await;
    assert_eq!(error_type(&pause(), &serde_json::from_slice(&told.body).unwrap()), "BRIDGE_UNREACHABLE");
    assert!(world.backend.requests().is_empty());
}

#[tokio::test]
async fn a_backend_that_is_gone_is_unreachable_for_each_kind_of_directive() {
    let lambda = Lambda::start().await;
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let function = Function::start(&lambda, &format!("http://{nobody}"), None);
    let started = Instant::now();
    for (directive, expected) in
        [(pause(), "BRIDGE_UNREACHABLE"), (discover(), "BRIDGE_UNREACHABLE"), (accept_grant(), "ACCEPT_GRANT_FAILED")]
    {
        assert_eq!(error_type(&directive, &lambda.send(&directive).await), expected);
    }
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    let logged = function.stop().await;
    assert!(logged.len() == 3 && logged.iter().all(|line| line["cause"] == "unreachable"), "{logged:?}");
}

#[tokio::test]
async fn a_backend_that_breaks_off_is_not_asked_again() {
    let world = World::new().await;
    for (number, how) in [How::Cut, How::HangUp].into_iter().enumerate() {
        world.backend.does(how);
        assert_eq!(error_type(&pause(), &world.lambda.send(&pause()).await), "BRIDGE_UNREACHABLE");
        assert_eq!(world.backend.requests().len(), 2 * number + 1, "it may have been done");
        // And on a connection that was good before.
        world.backend.does(How::Answer);
        assert_eq!(world.lambda.send(&pause()).await, answer_to(&pause()));
    }
    world.backend.does(How::HangUp);
    assert_eq!(error_type(&pause(), &world.lambda.send(&pause()).await), "BRIDGE_UNREACHABLE");
    assert_eq!(world.backend.requests().len(), 5);
}

#[tokio::test]
async fn each_status_gets_its_error() {
    let world = World::new().await;
    let later = || vec![("retry-after", "1".to_owned())];
    for (status, headers, expected) in [
        (500, Vec::new(), "INTERNAL_ERROR"),
        (503, later(), "RATE_LIMIT_EXCEEDED"),
        (503, Vec::new(), "BRIDGE_UNREACHABLE"),
        (502, Vec::new(), "BRIDGE_UNREACHABLE"),
        (429, Vec::new(), "RATE_LIMIT_EXCEEDED"),
        (400, Vec::new(), "INVALID_DIRECTIVE"),
        (401, Vec::new(), "INTERNAL_ERROR"),
        (404, Vec::new(), "INTERNAL_ERROR"),
        (302, vec![("location", "https://elsewhere.example.org/".to_owned())], "INTERNAL_ERROR"),
        (201, Vec::new(), "INTERNAL_ERROR"),
    ] {
        // Even if it holds an event.
        world.backend.does(How::Say(status, headers, answer_to(&pause()).to_string().into()));
        assert_eq!(error_type(&pause(), &world.lambda.send(&pause()).await), expected, "{status}");
    }
    assert_eq!(world.backend.connections(), 1, "a status is an answer: the connection is good");
    let logged = world.function.stop().await;
    assert_eq!((logged.len(), logged[0]["status"].as_u64()), (10, Some(500)));
}

#[tokio::test]
async fn what_is_no_answer_is_an_internal_error_and_the_next_directive_is_well() {
    let world = World::new().await;
    let mut other = answer_to(&pause());
    other["event"]["header"]["correlationToken"] = json!("another's");
    let mut long = answer_to(&pause()).to_string().into_bytes();
    long.resize(1024 * 1024 + 1, b' ');
    for body in [b"".to_vec(), b"<html>".to_vec(), b"{}".to_vec(), b"[1, 2".to_vec(), other.to_string().into(), long] {
        world.backend.does(How::Say(200, Vec::new(), body));
        assert_eq!(error_type(&pause(), &world.lambda.send(&pause()).await), "INTERNAL_ERROR");
        world.backend.does(How::Answer);
        assert_eq!(world.lambda.send(&pause()).await, answer_to(&pause()));
    }
}

#[tokio::test]
async fn nothing_that_is_logged_tells_what_was_asked_or_answered() {
    let world = World::new().await;
    for how in [
        How::Cut,
        How::HangUp,
        How::Say(500, Vec::new(), b"a-secret-answer".to_vec()),
        How::Say(200, Vec::new(), b"a-secret-answer".to_vec()),
    ] {
        world.backend.does(how);
        for directive in [pause(), accept_grant()] {
            world.lambda.send(&directive).await;
        }
    }
    world.lambda.invoke(b"{\"a-secret\": 1}", Duration::from_secs(8)).await;
    let logged = Value::from(world.function.stop().await);
    assert_eq!(logged.as_array().unwrap().len(), 9);
    for hidden in ["secret", "home_kitchen", "dFMb0z", "Pause"] {
        assert!(!logged.to_string().contains(hidden), "{hidden}");
    }
}
