//! What the service counts of itself: requests by route, tokens, sign-ins, pairings, mail, and how it stands with its database.

use std::sync::OnceLock;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use macloud_proto::accounts::v1::WatchChangesRequest;
use macloud_service_kit::metrics::Metrics;

use crate::harness::{Kind, World, text};
use crate::pairing::{Connector, decide};

/// One for the process, made before the service: whoever runs all tests in one process shares it.
fn metrics() -> &'static Metrics {
    static METRICS: OnceLock<Metrics> = OnceLock::new();
    METRICS.get_or_init(|| Metrics::install("account-service").unwrap())
}

/// The value of the series of this name with these labels.
fn value(name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let told = metrics().render().unwrap();
    let is_it = |line: &&str| {
        line.strip_prefix(name).is_some_and(|rest| rest.starts_with('{') || rest.starts_with(' '))
            && labels.iter().all(|(label, value)| line.contains(&format!("{label}=\"{value}\"")))
    };
    let line = told.lines().find(is_it)?;
    Some(line.rsplit(' ').next()?.parse().unwrap())
}

fn requests(route: &str, method: &str, status: &str) -> Option<f64> {
    let labels = [("route", route), ("method", method), ("status", status)];
    value("macloud_accounts_duration_seconds_count", &labels)
}

fn tokens(grant: &str, result: &str) -> Option<f64> {
    value("macloud_accounts_token_requests_total", &[("grant", grant), ("result", result)])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_people_apps_and_homes_do_is_counted_by_what_came_of_it() {
    metrics();
    World::with(Kind::Sqlite, async |world| {
        let client = world.alexa().await;
        let mut browser = world.person("ada@example.org").await;
        let linked = world.link_as(&client, &mut browser).await;
        assert!(tokens("authorization_code", "ok").is_some());
        world.refresh(&client, text(&linked, "refresh_token")).await;
        assert!(tokens("refresh_token", "ok").is_some());
        world.refresh(&client, "mcr_nobody").await;
        assert!(tokens("refresh_token", "invalid_grant").is_some());
        world.token(&client, &[("grant_type", "a stranger's")]).await;
        assert!(tokens("other", "unsupported_grant_type").is_some());

        let ways = |result| value("macloud_accounts_sign_ins_total", &[("way", "password"), ("result", result)]);
        let wrong_before = ways("wrong").expect("counted from zero");
        assert!(ways("ok") >= Some(1.0));
        let mut elsewhere = world.browser();
        let page = elsewhere.get("/sign-in").await;
        elsewhere.submit(&page, "/sign-in", &[("email", "ada@example.org"), ("password", "wrong")]).await;
        assert!(ways("wrong") > Some(wrong_before));
        assert!(value("macloud_accounts_passwords_total", &[("result", "done")]).is_some_and(|done| done >= 3.0));

        let connector = Connector::new();
        let begun = connector.begin(world, "Raspberry Pi").await;
        connector.poll(world, &begun).await;
        assert!(tokens("device_code", "authorization_pending").is_some());
        decide(&mut browser, &begun, "allow").await;
        let paired = connector.poll(world, &begun).await.json();
        for result in ["begun", "allowed", "paired"] {
            assert!(value("macloud_accounts_pairings_total", &[("result", result)]) >= Some(1.0), "{result}");
        }
        let home = text(&paired, "instance_id");
        let assertion = connector.assertion(home, crate::harness::NOW);
        assert_eq!(connector.dial_in_token(world, &assertion).await.status, StatusCode::OK);
        assert!(tokens("home", "ok").is_some() && tokens("home", "use_dpop_nonce").is_some());

        let forgotten = elsewhere.get("/forgot").await;
        elsewhere.submit(&forgotten, "/forgot", &[("email", "ada@example.org")]).await;
        assert!(value("macloud_accounts_mails_total", &[("result", "written")]).is_some());

        assert_eq!(value("macloud_accounts_password_line", &[]), Some(0.0));
        let connections = |state| value("macloud_accounts_database_connections", &[("state", state)]);
        assert!(connections("idle").is_some_and(|idle| idle >= 1.0) && connections("in_use").is_some());
        assert!(value("macloud_accounts_database_wait_seconds_count", &[]).is_some_and(|waits| waits > 10.0));

        let following = world.accounts().watch_changes(WatchChangesRequest::default()).await.unwrap();
        while value("macloud_accounts_followers", &[]) != Some(1.0) {
            tokio::task::yield_now().await;
        }
        drop(following);
        while value("macloud_accounts_followers", &[]) != Some(0.0) {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_counted_by_route_and_never_by_what_a_stranger_sends() {
    metrics();
    World::with(Kind::Sqlite, async |world| {
        let mut browser = world.browser();
        browser.get("/homes/SECRETSECRETSECR").await;
        assert!(requests("/homes/{id}", "GET", "3xx").is_some());
        browser.get("/sign-in?next=%2Fstrange").await;
        assert!(requests("/sign-in", "GET", "2xx").is_some());
        let odd = Request::builder().method("STRANGE").uri("/oauth/token").body(Body::empty()).unwrap();
        world.send(odd).await;
        assert!(requests("/oauth/token", "other", "4xx").is_some());

        world.lose_database().await;
        let client = [("grant_type", "refresh_token"), ("refresh_token", "x"), ("client_id", "alexa")];
        world.post("/oauth/token", &[], &client).await;
        assert!(requests("/oauth/token", "POST", "5xx").is_some());
        assert!(tokens("refresh_token", "temporarily_unavailable").is_some());

        let told = metrics().render().unwrap();
        for strange in ["SECRET", "strange", "STRANGE"] {
            assert!(!told.contains(strange), "{strange}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_did_not_wait_for_the_answer_is_counted_too() {
    metrics();
    World::with(Kind::Sqlite, async |world| {
        let body = futures_util::stream::pending::<Result<String, std::io::Error>>();
        let request = Request::post("/oauth/token")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::from_stream(body))
            .unwrap();
        let waits = tokio::time::timeout(std::time::Duration::from_millis(50), world.send(request)).await;
        assert!(waits.is_err(), "the body never ends");
        assert!(requests("/oauth/token", "POST", "gone").is_some());
    })
    .await;
}
