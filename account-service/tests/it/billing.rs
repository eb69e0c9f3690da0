//! The payment provider's messages: forged, repeated and out of order.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use macloud_account_service::{AuditQuery, BillingSettings, Config, PlanArgs, PlanOfUser};
use macloud_proto::ids::AccountId;
use macloud_service_kit::clock::Clock as _;
use macloud_service_kit::random;
use ring::hmac;
use serde_json::{Value, json};

use crate::harness::{Answer, Browser, Kind, World};
use crate::pairing::Connector;

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
    let answer = try_say(world, id, kind, created, object).await;
    assert_eq!(answer.status, StatusCode::OK, "{kind}: {}", answer.text);
}

async fn try_say(world: &World, id: &str, kind: &str, created: u64, object: Value) -> Answer {
    let body = json!({ "id": id, "type": kind, "created": created, "data": { "object": object } }).to_string();
    let signature = sign(SECRET, world.clock.unix_seconds(), &body);
    post(world, Some(&signature), body).await
}

fn subscription(status: &str) -> Value {
    subscription_of("cus_1", "sub_1", status)
}

fn subscription_of(customer: &str, id: &str, status: &str) -> Value {
    json!({ "id": id, "customer": customer, "status": status, "items": { "data": [{ "price": { "id": "price_plus" } }] } })
}

fn checkout_of(reference: &str, customer: &str, subscription: &str) -> Value {
    json!({ "client_reference_id": reference, "customer": customer, "subscription": subscription })
}

/// An account that has been to the payment page, without a browser: its reference.
async fn payer(world: &World, name: &str) -> String {
    let (id, now) = (AccountId::from_bytes(&random::bytes()), world.clock.unix_seconds());
    world
        .execute(format!(
            "INSERT INTO accounts (id, email, password_hash, created_at) VALUES ('{id}', '{name}@example.org', '', {now}); \
             INSERT INTO billing_accounts (account_id, reference) VALUES ('{id}', 'ref-{name}')"
        ))
        .await;
    format!("ref-{name}")
}

/// Everybody's plan, by the name in their address.
async fn plans(world: &World) -> BTreeMap<String, String> {
    let listed = world.service.list_plans().await.unwrap();
    let plan = |user: &PlanOfUser| user.plan.clone().unwrap_or_else(|| "free".into());
    listed.iter().map(|user| (user.email.replace("@example.org", ""), plan(user))).collect()
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
async fn a_checkout_and_its_subscription_that_come_at_once_give_the_plan() {
    on_both(async |world| {
        let now = world.clock.unix_seconds();
        for number in 0..30 {
            let reference = payer(world, &format!("p{number}")).await;
            let (customer, id) = (format!("cus_{number}"), format!("sub_{number}"));
            // As of a provider that does not say what the checkout was for.
            let checkout = json!({ "client_reference_id": reference, "customer": customer });
            let (checkout_id, created_id) = (format!("evt_a{number}"), format!("evt_b{number}"));
            tokio::join!(
                say(world, &checkout_id, "checkout.session.completed", now, checkout),
                say(
                    world,
                    &created_id,
                    "customer.subscription.created",
                    now,
                    subscription_of(&customer, &id, "active")
                ),
            );
        }
        let plans = plans(world).await;
        assert!(plans.len() == 30 && plans.values().all(|plan| plan == "plus"), "{plans:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_that_was_nobodys_is_adopted_by_its_next_event() {
    on_both(async |world| {
        payer(world, "ada").await;
        let now = world.clock.unix_seconds();
        let nobodys = "INSERT INTO billing_subscriptions (subscription, customer, plan, status, changed_at) VALUES ('sub_1', 'cus_1', 'plus', 'active', 1)";
        world.execute(format!("UPDATE billing_accounts SET customer = 'cus_1'; {nobodys}")).await;
        assert_eq!(plans(world).await["ada"], "free");
        say(world, "evt_1", "customer.subscription.updated", now, subscription("active")).await;
        assert_eq!(plans(world).await["ada"], "plus");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_one_second_give_the_same_plan_in_either_order() {
    on_both(async |world| {
        let now = world.clock.unix_seconds();
        let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
        for (case, order) in orders.into_iter().enumerate() {
            let reference = payer(world, &format!("p{case}")).await;
            let (customer, id) = (format!("cus_{case}"), format!("sub_{case}"));
            let events = [
                ("checkout.session.completed", checkout_of(&reference, &customer, &id)),
                ("customer.subscription.created", subscription_of(&customer, &id, "incomplete")),
                ("customer.subscription.updated", subscription_of(&customer, &id, "active")),
            ];
            for number in order {
                let (kind, object) = events[number].clone();
                say(world, &format!("evt_{case}_{number}"), kind, now, object).await;
            }
            world.advance(1);
            assert_eq!(plans(world).await[&format!("p{case}")], "plus", "{order:?}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_never_paid_for_has_no_grace_and_later_failures_have() {
    on_both(async |world| {
        let now = world.clock.unix_seconds();
        let first = json!({ "customer": "cus_1", "subscription": "sub_1", "billing_reason": "subscription_create" });
        let reference = payer(world, "ada").await;
        say(world, "evt_1", "checkout.session.completed", now, checkout_of(&reference, "cus_1", "sub_1")).await;
        say(world, "evt_2", "invoice.payment_failed", now, first).await;
        say(world, "evt_3", "customer.subscription.created", now, subscription("incomplete")).await;
        assert_eq!(plans(world).await["ada"], "free");
        say(world, "evt_4", "customer.subscription.updated", now + 1, subscription("active")).await;
        assert_eq!(plans(world).await["ada"], "plus");
        // As the provider writes it since 2025.
        let details = json!({ "subscription_details": { "subscription": "sub_1" } });
        let later = json!({ "customer": "cus_1", "parent": details, "billing_reason": "subscription_cycle" });
        say(world, "evt_5", "invoice.payment_failed", now + 2, later).await;
        let standing = world.look_up("SELECT status FROM billing_subscriptions").await;
        assert_eq!((standing.as_str(), plans(world).await["ada"].as_str()), ("past_due", "plus"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_subscription_counts_for_the_account_whose_checkout_it_was() {
    on_both(async |world| {
        let now = world.clock.unix_seconds();
        // One pays for two accounts, and the second subscription is told of before its checkout.
        let (ada, bob) = (payer(world, "ada").await, payer(world, "bob").await);
        say(world, "evt_1", "checkout.session.completed", now, checkout_of(&ada, "cus_1", "sub_1")).await;
        say(world, "evt_2", "customer.subscription.created", now, subscription("active")).await;
        say(world, "evt_3", "customer.subscription.created", now, subscription_of("cus_1", "sub_2", "active")).await;
        say(world, "evt_4", "checkout.session.completed", now, checkout_of(&bob, "cus_1", "sub_2")).await;
        assert_eq!(
            plans(world).await,
            BTreeMap::from([("ada", "plus"), ("bob", "plus")].map(|(a, b)| (a.into(), b.into())))
        );
        say(world, "evt_5", "customer.subscription.deleted", now + 9, subscription_of("cus_1", "sub_2", "canceled"))
            .await;
        assert_eq!((plans(world).await["ada"].as_str(), plans(world).await["bob"].as_str()), ("plus", "free"));
        // One account pays twice, as two customers; what the first says still counts.
        let eve = payer(world, "eve").await;
        for number in [3, 4] {
            let (customer, id) = (format!("cus_{number}"), format!("sub_{number}"));
            say(
                world,
                &format!("evt_{number}_a"),
                "checkout.session.completed",
                now,
                checkout_of(&eve, &customer, &id),
            )
            .await;
            say(
                world,
                &format!("evt_{number}_b"),
                "customer.subscription.created",
                now,
                subscription_of(&customer, &id, "active"),
            )
            .await;
        }
        say(world, "evt_6", "customer.subscription.deleted", now + 9, subscription_of("cus_4", "sub_4", "canceled"))
            .await;
        assert_eq!(plans(world).await["eve"], "plus");
        say(world, "evt_7", "customer.subscription.deleted", now + 9, subscription_of("cus_3", "sub_3", "canceled"))
            .await;
        assert_eq!(plans(world).await["eve"], "free");
        say(world, "evt_8", "customer.subscription.created", now + 20, subscription_of("cus_3", "sub_5", "active"))
            .await;
        assert_eq!(plans(world).await["eve"], "plus", "a customer of old buys again");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_that_changes_is_told_or_not_changed() {
    on_both(async |world| {
        let mut browser = world.person("ada@example.org").await;
        Connector::new().pair(world, &mut browser, "A").await;
        let reference = reference(&mut browser).await;
        let now = world.clock.unix_seconds();
        let buy = async || {
            try_say(world, "evt_1", "checkout.session.completed", now, checkout_of(&reference, "cus_1", "sub_1")).await
        };
        let paid = async || try_say(world, "evt_2", "customer.subscription.created", now, subscription("active")).await;
        assert_eq!(buy().await.status, StatusCode::OK);
        world.execute("DELETE FROM changes".into()).await;
        world.execute("ALTER TABLE changes RENAME TO changes_away".into()).await;
        assert_eq!(paid().await.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(world.service.set_plan("ada@example.org", Some("plus")).await.is_err());
        world.execute("ALTER TABLE changes_away RENAME TO changes".into()).await;
        assert_eq!(plan(&mut browser).await, "free");
        assert_eq!(paid().await.status, StatusCode::OK);
        assert_eq!(plan(&mut browser).await, "plus");
        let told = "SELECT CAST(COUNT(*) AS TEXT) FROM changes WHERE kind = 'limits_changed'";
        assert_eq!(world.look_up(told).await, "1");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_pays_is_told_so_before_their_account_goes() {
    on_both(async |world| {
        let mut browser = world.person("ada@example.org").await;
        let reference = reference(&mut browser).await;
        let now = world.clock.unix_seconds();
        assert!(!browser.get("/account/delete").await.text.contains("payments go on"));
        say(world, "evt_1", "checkout.session.completed", now, checkout_of(&reference, "cus_1", "sub_1")).await;
        say(world, "evt_2", "customer.subscription.created", now, subscription("active")).await;
        let page = browser.get("/account/delete").await;
        assert!(page.text.contains("payments go on"), "{}", page.text);
        let email = ("email", "ada@example.org");
        let refused = browser.submit(&page, "/account/delete", &[email]).await;
        assert!(refused.status == StatusCode::UNPROCESSABLE_ENTITY && refused.text.contains("Please tick"));
        let gone = browser.submit(&page, "/account/delete", &[email, ("payment", "yes")]).await;
        assert_eq!(gone.status, StatusCode::OK, "{}", gone.text);
        assert!(world.service.list_users().await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_that_came_by_payment_is_on_record_as_one_from_an_operator_is() {
    on_both(async |world| {
        let mut browser = world.person("ada@example.org").await;
        let reference = reference(&mut browser).await;
        let now = world.clock.unix_seconds();
        say(world, "evt_1", "checkout.session.completed", now, checkout_of(&reference, "cus_1", "sub_1")).await;
        for event in ["evt_2", "evt_3"] {
            // Whatever else is new about it, the plan is the same.
            say(world, event, "customer.subscription.updated", now + 1, subscription("active")).await;
        }
        say(world, "evt_4", "customer.subscription.deleted", now + 2, subscription("canceled")).await;
        let activity = browser.get("/activity").await.text;
        for plan in ["plus", "default"] {
            assert_eq!(activity.matches(&format!("Your plan is now {plan}")).count(), 1, "{activity}");
        }
        let query = AuditQuery { kind: Some("plan".into()), limit: 10, ..AuditQuery::default() };
        let entries = world.service.search_audit(&query).await.unwrap();
        let id = &world.service.list_users().await.unwrap()[0].id;
        let noted: Vec<_> = entries
            .iter()
            .map(|entry| {
                assert_eq!(entry.account_id.as_deref(), Some(id.as_str()));
                (entry.actor_kind.as_str(), entry.action.as_str(), entry.subject.as_deref(), entry.outcome.as_str())
            })
            .collect();
        assert_eq!(
            noted,
            [("payment", "plan.set", Some("default"), "done"), ("payment", "plan.set", Some("plus"), "done")]
        );
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
