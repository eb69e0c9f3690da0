//! Plans: what they allow, what is counted, and what people and relays are told.

use std::time::Duration;

use macloud_account_service::{AccountService, BillingSettings, Config, Plan, PlanArgs};
use macloud_proto::accounts::v1::change::Subject;
use macloud_proto::accounts::v1::r#use::{Kind as UseKind, Result as Ended};
use macloud_proto::accounts::v1::{ReportUseRequest, ResolveAccessRequest, Use, WatchChangesRequest};
use macloud_proto::instance_token::{Claims, DayLimit};
use macloud_proto::jose::Unverified;
use macloud_service_kit::clock::Clock as _;
use macloud_service_kit::random;
use serde_json::{Value, json};

use crate::harness::{Answer, Browser, Kind, World, text};
use crate::operators::{call, token};
use crate::pairing::{Connector, decide};

fn plans(texts: &[&str]) -> impl FnOnce(&mut Config) {
    let plans: Vec<Plan> = texts.iter().map(|text| text.parse().unwrap()).collect();
    move |config| config.plans = PlanArgs { plans }
}

/// A person with a linked Alexa and a home.
struct Household {
    connector: Connector,
    home: String,
    grant: String,
}

impl Household {
    async fn new(world: &World, browser: &mut Browser<'_>) -> Self {
        let client = world.alexa().await;
        let connector = Connector::new();
        let home = text(&connector.pair(world, browser, "A").await, "instance_id").to_owned();
        let tokens = world.link_as(&client, browser).await;
        let request = ResolveAccessRequest { access_token: text(&tokens, "access_token").into() };
        let grant = world.accounts().resolve_access(request).await.unwrap().into_inner().grant_id;
        Self { connector, home, grant }
    }

    async fn used(&self, world: &World, kind: UseKind, result: Ended, count: u32) {
        let used = Use {
            grant_id: self.grant.clone(),
            instance_id: self.home.clone(),
            kind: kind.into(),
            result: result.into(),
            count,
            last_at: world.clock.unix_seconds(),
        };
        let batch_id = random::bytes::<16>().to_vec().into();
        world.accounts().report_use(ReportUseRequest { batch_id, uses: vec![used] }).await.unwrap();
    }

    async fn day(&self, world: &World) -> Option<DayLimit> {
        let assertion = self.connector.assertion(&self.home, world.clock.unix_seconds());
        let answer: Value = self.connector.dial_in_token(world, &assertion).await.json();
        let token = text(&answer, "access_token").to_owned();
        let claims: Claims = Unverified::parse(&token).unwrap().peek().unwrap();
        claims.limits.day
    }
}

async fn on_both(change: impl Fn(&mut Config), test: impl AsyncFn(&World)) {
    for kind in [Kind::Sqlite, Kind::Postgres] {
        World::with_settings(kind, &change, &test).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_plans_nothing_is_limited_and_everything_is_shown() {
    on_both(
        |_| {},
        async |world| {
            let mut browser = world.person("ada@example.org").await;
            let household = Household::new(world, &mut browser).await;
            household.used(world, UseKind::Volume, Ended::Done, 3).await;
            assert_eq!(household.day(world).await, None);
            let page = browser.get("/plan").await;
            assert!(
                page.text.contains("3 commands used today") && page.text.contains("There is no daily limit"),
                "{}",
                page.text
            );
            for nobodys in ["unlimited", "our plan"] {
                assert!(!page.text.contains(nobodys), "there is no plan: {}", page.text);
            }
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_does_something_and_reached_the_home_counts() {
    on_both(
        |config| plans(&["free,commands-per-day=100"])(config),
        async |world| {
            let mut browser = world.person("ada@example.org").await;
            let household = Household::new(world, &mut browser).await;
            for (kind, result, counts) in [
                (UseKind::Discovery, Ended::Done, 0),
                (UseKind::Read, Ended::Done, 0),
                (UseKind::Volume, Ended::Offline, 0),
                (UseKind::Volume, Ended::Paused, 0),
                (UseKind::Volume, Ended::OverLimit, 0),
                (UseKind::Volume, Ended::Failed, 0),
                (UseKind::Volume, Ended::Done, 10),
                (UseKind::PlayMedia, Ended::NotPossible, 10),
                (UseKind::Playback, Ended::Refused, 10),
                (UseKind::Power, Ended::TimedOut, 10),
            ] {
                let before = household.day(world).await.unwrap().used;
                household.used(world, kind, result, 10).await;
                assert_eq!(household.day(world).await.unwrap().used - before, counts, "{kind:?} {result:?}");
            }
            let page = browser.get("/plan").await;
            assert!(
                page.text.contains("60 of 100 commands left") && page.text.contains("40 commands used today"),
                "{}",
                page.text
            );
            assert!(page.text.contains("Your plan") && page.text.contains(">free<"), "{}", page.text);
            // Tomorrow is another day.
            let ends_at = household.day(world).await.unwrap().ends_at;
            world.advance(24 * 3600);
            let tomorrow = household.day(world).await.unwrap();
            assert_eq!((tomorrow.used, tomorrow.ends_at), (0, ends_at + 24 * 3600));
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_are_warned_once_and_relays_are_told_when_a_day_is_used_up() {
    on_both(
        |config| plans(&["free,commands-per-day=10"])(config),
        async |world| {
            let mut browser = world.person("ada@example.org").await;
            let household = Household::new(world, &mut browser).await;
            let request = WatchChangesRequest { since: 0, replay_seconds: 0 };
            let mut changes = world.accounts().watch_changes(request).await.unwrap().into_inner();
            let mails = world.mails().len();
            household.used(world, UseKind::Volume, Ended::Done, 7).await;
            assert_eq!(world.mails().len(), mails);
            household.used(world, UseKind::Volume, Ended::Done, 1).await;
            household.used(world, UseKind::Volume, Ended::Done, 1).await;
            assert_eq!(world.mails().len(), mails + 1, "at 80 percent, once");
            let activity = browser.get("/activity").await;
            assert!(activity.text.contains("Most of the 10 commands"), "{}", activity.text);
            household.used(world, UseKind::Volume, Ended::Done, 1).await;
            household.used(world, UseKind::Volume, Ended::Done, 1).await;
            let mut told = 0;
            while told == 0 {
                let change = changes.message().await.unwrap().unwrap();
                told += u32::from(change.subject == Some(Subject::LimitsChanged(household.home.clone())));
            }
            let count = "SELECT CAST(COUNT(*) AS TEXT) FROM changes WHERE kind = 'limits_changed'";
            assert_eq!(world.look_up(count).await, "1", "once a day is enough");
            let page = browser.get("/plan").await;
            assert!(page.text.contains("0 of 10 commands left") && page.text.contains("used up"), "{}", page.text);
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_that_is_used_up_is_told_by_a_later_report_when_the_first_could_not() {
    on_both(
        |config| plans(&["free,commands-per-day=10", "plus,commands-per-day=20"])(config),
        async |world| {
            let mut browser = world.person("ada@example.org").await;
            let household = Household::new(world, &mut browser).await;
            let told = async || {
                world.look_up("SELECT CAST(COUNT(*) AS TEXT) FROM changes WHERE kind = 'limits_changed'").await
            };
            world.execute("ALTER TABLE changes RENAME TO changes_away".into()).await;
            household.used(world, UseKind::Volume, Ended::Done, 10).await;
            world.execute("ALTER TABLE changes_away RENAME TO changes".into()).await;
            assert_eq!(told().await, "0");
            household.used(world, UseKind::Volume, Ended::Done, 1).await;
            assert_eq!(told().await, "1");
            // A larger plan on the same day is used up again.
            world.service.set_plan("ada@example.org", Some("plus")).await.unwrap();
            household.used(world, UseKind::Volume, Ended::Done, 9).await;
            assert_eq!(told().await, "3");
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_gives_a_plan_and_takes_it_back() {
    on_both(
        |config| plans(&["free,commands-per-day=10,homes=1", "plus,commands-per-day=1000"])(config),
        async |world| {
            let mut browser = world.person("ada@example.org").await;
            let household = Household::new(world, &mut browser).await;
            assert_eq!(household.day(world).await.unwrap().commands, 10);
            world.service.set_plan("ada@example.org", Some("plus")).await.unwrap();
            assert_eq!(household.day(world).await.unwrap().commands, 1000);
            let listed = world.service.list_plans().await.unwrap();
            assert_eq!((listed[0].plan.as_deref(), listed[0].by), (Some("plus"), "operator"));
            world.service.set_plan("ada@example.org", None).await.unwrap();
            assert_eq!(household.day(world).await.unwrap().commands, 10);
            assert_eq!(world.service.list_plans().await.unwrap()[0].by, "default");
            assert!(world.service.set_plan("bob@example.org", Some("plus")).await.is_err());
            assert!(world.service.set_plan("ada@example.org", Some("no such plan")).await.is_err());
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_programs_see_plans_and_give_them() {
    on_both(
        |config| plans(&["free,commands-per-day=10,homes=1", "plus,commands-per-day=1000"])(config),
        async |world| {
            let token = token(world, &["ma_cloud.admin"]).await;
            let mut browser = world.person("ada@example.org").await;
            let household = Household::new(world, &mut browser).await;
            household.used(world, UseKind::Volume, Ended::Done, 3).await;
            let plans = call(world, &token, "GET", "/admin/v1/plans", None).await.json();
            assert_eq!(plans["plans"][0], json!({ "name": "free", "commands_per_minute": null, "commands_per_day": 10, "homes": 1, "members": null }));
            let id = world.service.show_user("ada@example.org").await.unwrap().user.id;
            let path = format!("/admin/v1/users/{id}/plan");
            let put = async |body: Value| call(world, &token, "PUT", &path, Some(&body)).await;
            let before = call(world, &token, "GET", &path, None).await.json();
            assert_eq!((&before["plan"], text(&before, "by"), &before["commands_today"]), (&plans["plans"][0], "default", &json!(3)));
            let after = put(json!({ "plan": "plus" })).await.json();
            assert_eq!((text(&after["plan"], "name"), text(&after, "by")), ("plus", "operator"));
            assert_eq!(household.day(world).await.unwrap().commands, 1000);
            for (wrong, status) in [(json!({ "plan": "plsu" }), 404), (json!({}), 400), (json!({ "plan": "a b" }), 400), (json!({ "plan": 1 }), 400)] {
                assert_eq!(put(wrong.clone()).await.status, status, "{wrong}");
            }
            assert_eq!(put(json!({ "plan": null })).await.json(), before);
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_says_how_many_homes_there_may_be() {
    on_both(
        |config| plans(&["free,homes=1"])(config),
        async |world| {
            let mut browser = world.person("ada@example.org").await;
            let first = Connector::new();
            first.pair(world, &mut browser, "A").await;
            let second = Connector::new();
            let begun = second.begin(world, "B").await;
            let code = text(&begun, "user_code");
            let page = browser.get(&format!("/pair?user_code={code}")).await;
            let refused = browser.submit(&page, "/pair", &[("decision", "allow"), ("name", "B")]).await;
            assert_eq!(refused.status, 409, "{}", refused.text);
            assert!(refused.text.contains("Your plan allows one home"), "{}", refused.text);
            // The same home again is no second one.
            first.pair(world, &mut browser, "A").await;
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pairings_that_were_allowed_before_do_not_pass_the_plan() {
    on_both(
        |config| plans(&["free,homes=1"])(config),
        async |world| {
            let mut browser = world.person("ada@example.org").await;
            let mut waiting = Vec::new();
            for _ in 0..3 {
                let connector = Connector::new();
                let begun = connector.begin(world, "A").await;
                assert_eq!(decide(&mut browser, &begun, "allow").await.status, 200);
                waiting.push((connector, begun));
            }
            let polls = waiting.iter().map(|(connector, begun)| connector.poll(world, begun));
            let answers = futures_util::future::join_all(polls).await;
            let refused = answers.iter().filter(|answer| answer.status != 200);
            assert_eq!(refused.map(Answer::error).collect::<Vec<_>>(), ["access_denied"; 2]);
            assert_eq!(world.look_up("SELECT CAST(COUNT(*) AS TEXT) FROM instances").await, "1");
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invitations_side_by_side_do_not_pass_the_plan() {
    on_both(
        |config| plans(&["free,members=2"])(config),
        async |world| {
            let mut browser = world.person("ada@example.org").await;
            let home = text(&Connector::new().pair(world, &mut browser, "A").await, "instance_id").to_owned();
            let path = format!("/homes/{home}/invite");
            let page = browser.get(&path).await;
            let invite = async || {
                let mut other = world.browser();
                other.cookie.clone_from(&browser.cookie);
                other.submit(&page, &path, &[("name", "Bob"), ("role", "member")]).await
            };
            futures_util::future::join_all((0..6).map(|_| invite())).await;
            assert_eq!(world.look_up("SELECT CAST(COUNT(*) AS TEXT) FROM invitations").await, "2");
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plans_that_nobody_could_have_are_refused_at_the_start() {
    World::with(Kind::Sqlite, async |world| {
        let open = async |texts: &[&str], prices: &[&str]| {
            let mut config = world.config.clone();
            plans(texts)(&mut config);
            config.billing = Some(BillingSettings {
                webhook_secret: "s".into(),
                payment_url: "https://pay.example".into(),
                prices: prices.iter().map(|price| price.parse().unwrap()).collect(),
                grace_days: 7,
            });
            match AccountService::open(config, &world.database, world.clock.clone()).await {
                Ok(service) => {
                    service.close().await;
                    None
                }
                Err(error) => Some(error.to_string()),
            }
        };
        assert_eq!(open(&["free", "plus"], &["price_1=plus", "price_2=plus"]).await, None);
        assert!(open(&["free", "free,homes=1"], &[]).await.unwrap().contains("\"free\" twice"));
        assert!(open(&["free", "plus"], &["price_1=plsu"]).await.unwrap().contains("\"plsu\""));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_used_up_is_told_although_the_caller_hung_up() {
    on_both(
        |config| plans(&["free,commands-per-day=10"])(config),
        async |world| {
            let mut browser = world.person("ada@example.org").await;
            let household = Household::new(world, &mut browser).await;
            let held = world.hold("use_batches").await;
            let impatient = household.used(world, UseKind::Volume, Ended::Done, 10);
            assert!(tokio::time::timeout(Duration::from_millis(100), impatient).await.is_err());
            held.let_go().await;
            let told = "SELECT CAST(COUNT(*) AS TEXT) FROM changes WHERE kind = 'limits_changed'";
            let in_time = async {
                while world.look_up(told).await != "1" {
                    tokio::task::yield_now().await;
                }
            };
            tokio::time::timeout(Duration::from_secs(10), in_time).await.unwrap();
            assert_eq!(household.day(world).await.unwrap().used, 10);
        },
    )
    .await;
}
