//! The payment provider's messages: forged, repeated and out of order.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use macloud_account_service::{BillingSettings, Config, PlanArgs};
use macloud_service_kit::clock::Clock as _;
use ring::hmac;
use serde_json::{Value, json};

use crate::harness::{Answer, Browser, Kind, World};

const SECRET: &str = "whsec_test";

fn configured(config: &mut Config) {
    config.plans = PlanArgs { plans: vec!["free,homes=1".parse().unwrap(), "plus,homes=5".parse().unwrap()] };
    config.billing = Some(BillingSettings {
        webhook_secret: SECRET.into(),
        payment_url: "https://pay.example/b/1?locale=auto".into(),
        prices: vec!["price_plus=plus".parse().unwrap()],
        grace_days: 7,
    });
}

async fn on_both(test: impl AsyncFn(&World)) {
    for kind in [Kind::Sqlite, Kind::Postgres] {
        World::with_settings(kind, configured, &test).await;
    }
}

fn sign(secret: &str, at: u64, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, format!("{at}.{body}").as_bytes());
    let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={at},v1={hex}")
}

async fn post(world: &World, signature: Option<&str>, body: String) -> Answer {
    let request = Request::builder().method("POST").uri("/billing/v1/webhook");
    let request = match signature {
        Some(signature) => request.header("stripe-signature", signature),
        None => request,
    };
    world.send(request.body(Body::from(body)).unwrap()).await
}

/// A message as the provider would send it; it must be taken.
async fn say(world: &World, id: &str, kind: &str, created: u64, object: Value) {
    let body = json!({ "id": id, "type": kind, "created": created, "data": { "object": object } }).to_string();
    let signature = sign(SECRET, world.clock.unix_seconds(), &body);
    let answer = post(world, Some(&signature), body).await;
    assert_eq!(answer.status, StatusCode::OK, "{kind}: {}", answer.text);
}

fn subscription(status: &str) -> Value {
    json!({ "id": "sub_1", "customer": "cus_1", "status": status, "items": { "data": [{ "price": { "id": "price_plus" } }] } })
}

/// The reference in the link to the payment page.
async fn reference(browser: &mut Browser<'_>) -> String {
    let page = browser.get("/plan").await;
    let (_, rest) = page.text.split_once("client_reference_id=").unwrap_or_else(|| panic!("{}", page.text));
    rest.split('"').next().unwrap().to_owned()
}

async fn plan(browser: &mut Browser<'_>) -> &'static str {
    let page = browser.get("/plan").await;
    if page.text.contains(">plus<") { "plus" } else { "free" }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_gives_its_plan_in_whatever_order_it_is_told() {
    on_both(async |world| {
        let mut browser = world.person("ada@example.org").await;
        let reference = reference(&mut browser).await;
        assert!(!reference.contains("ada") && reference.len() >= 20, "{reference}");
        let id = &world.service.list_users().await.unwrap()[0].id;
        assert!(!reference.contains(id.as_str()));
        let now = world.clock.unix_seconds();
        let checkout = json!({ "id": "cs_1", "client_reference_id": reference, "customer": "cus_1" });
        // The subscription first, whose it is afterwards.
        say(world, "evt_1", "customer.subscription.created", now, subscription("active")).await;
        assert_eq!(plan(&mut browser).await, "free");
        say(world, "evt_2", "checkout.session.completed", now, checkout).await;
        assert_eq!(plan(&mut browser).await, "plus");
        // An older message that comes late changes nothing.
        say(world, "evt_0", "customer.subscription.updated", now - 100, subscription("incomplete")).await;
        assert_eq!(plan(&mut browser).await, "plus");
        say(world, "evt_3", "customer.subscription.deleted", now + 50, subscription("canceled")).await;
        assert_eq!(plan(&mut browser).await, "free");
        say(world, "evt_4", "customer.subscription.updated", now + 60, subscription("active")).await;
        assert_eq!(plan(&mut browser).await, "free", "an end is final");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_payment_leaves_the_plan_for_its_grace_and_no_longer() {
    on_both(async |world| {
        let mut browser = world.person("ada@example.org").await;
        let reference = reference(&mut browser).await;
        let now = world.clock.unix_seconds();
        let checkout = json!({ "client_reference_id": reference, "customer": "cus_1" });
        say(world, "evt_1", "checkout.session.completed", now, checkout).await;
        // The failure is told of before the subscription itself.
        say(world, "evt_3", "invoice.payment_failed", now + 2, json!({ "customer": "cus_1", "subscription": "sub_1" }))
            .await;
        say(world, "evt_2", "customer.subscription.created", now + 1, subscription("active")).await;
        assert_eq!(plan(&mut browser).await, "plus");
        // Further failures do not make the grace longer.
        world.advance(6 * 24 * 3600);
        say(world, "evt_4", "customer.subscription.updated", now + 6 * 24 * 3600, subscription("past_due")).await;
        assert_eq!(plan(&mut browser).await, "plus");
        world.advance(24 * 3600 + 10);
        assert_eq!(plan(&mut browser).await, "free");
        say(world, "evt_5", "customer.subscription.updated", now + 8 * 24 * 3600, subscription("active")).await;
        assert_eq!(plan(&mut browser).await, "plus", "paid after all");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_counts_once_and_a_forged_one_never() {
    on_both(async |world| {
        let mut browser = world.person("ada@example.org").await;
        let reference = reference(&mut browser).await;
        let now = world.clock.unix_seconds();
        say(world, "evt_1", "checkout.session.completed", now, json!({ "client_reference_id": reference, "customer": "cus_1" })).await;
        say(world, "evt_2", "customer.subscription.created", now, subscription("active")).await;
        say(world, "evt_2", "customer.subscription.deleted", now + 9, subscription("canceled")).await;
        assert_eq!(plan(&mut browser).await, "plus", "the second message has the first one's id");
        let body = json!({ "id": "evt_9", "type": "customer.subscription.deleted", "created": now + 9, "data": { "object": subscription("canceled") } });
        let body = body.to_string();
        let other = format!("{body} ");
        for signature in [
            None,
            Some(String::new()),
            Some(sign("another secret", now, &body)),
            Some(sign(SECRET, now - 301, &body)),
            Some(sign(SECRET, now, &other)),
        ] {
            let answer = post(world, signature.as_deref(), body.clone()).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{signature:?}");
        }
        for nonsense in ["", "null", "{}", r#"{"id":"e","type":"x"}"#, r#"{"id":"a b","type":"x","created":1,"data":{"object":1}}"#] {
            let answer = post(world, Some(&sign(SECRET, now, nonsense)), nonsense.into()).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{nonsense}");
        }
        let long = "x".repeat(300 * 1024);
        assert_eq!(post(world, Some(&sign(SECRET, now, &long)), long).await.status, StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(plan(&mut browser).await, "plus");
        say(world, "evt_10", "charge.refunded", now, json!({})).await;
        // A stranger's checkout cannot take over somebody's subscription, nor can theirs be given to a stranger.
        let mut bob = world.person("bob@example.org").await;
        let bobs = self::reference(&mut bob).await;
        say(world, "evt_11", "checkout.session.completed", now, json!({ "client_reference_id": bobs, "customer": "cus_1" })).await;
        assert_eq!((plan(&mut browser).await, plan(&mut bob).await), ("plus", "free"));
        say(world, "evt_12", "checkout.session.completed", now, json!({ "client_reference_id": "unknown", "customer": "cus_9" })).await;
        let copy = world.look_up("SELECT COALESCE(MAX(customer), '') FROM billing_accounts").await;
        assert_eq!(copy, "cus_1");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn billing_is_off_until_it_is_configured_and_a_lost_database_is_told_to_come_again() {
    World::with(Kind::Sqlite, async |world| {
        assert_eq!(post(world, None, String::new()).await.status, StatusCode::NOT_FOUND);
        let mut browser = world.person("ada@example.org").await;
        assert!(!browser.get("/plan").await.text.contains("client_reference_id"));
    })
    .await;
    World::with_settings(Kind::Sqlite, configured, async |world| {
        world.lose_database().await;
        let body = json!({ "id": "evt_1", "type": "x", "created": 1, "data": { "object": {} } }).to_string();
        let signature = sign(SECRET, world.clock.unix_seconds(), &body);
        let answer = post(world, Some(&signature), body).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(!answer.header("retry-after").is_empty());
    })
    .await;
}
