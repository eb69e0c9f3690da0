//! What people see of what was done with their account.

use macloud_proto::accounts::v1::r#use::{Kind as UseKind, Result as Ended};
use macloud_proto::accounts::v1::{ReportUseRequest, ResolveAccessRequest, Use};
use macloud_service_kit::clock::Clock as _;
use macloud_service_kit::random;

use crate::harness::{Browser, World, on_both_databases, text};
use crate::pairing::Connector;

struct Reporter {
    grant: String,
    home: String,
}

impl Reporter {
    async fn new(world: &World, browser: &mut Browser<'_>) -> Self {
        let client = world.alexa().await;
        let home = text(&Connector::new().pair(world, browser, "A").await, "instance_id").to_owned();
        let tokens = world.link_as(&client, browser).await;
        let request = ResolveAccessRequest { access_token: text(&tokens, "access_token").into() };
        let grant = world.accounts().resolve_access(request).await.unwrap().into_inner().grant_id;
        Self { grant, home }
    }

    async fn report(&self, world: &World, kind: UseKind, result: Ended, count: u32) {
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
}

fn position(page: &str, words: &str) -> usize {
    page.find(words).unwrap_or_else(|| panic!("{words:?} is not in {page}"))
}

on_both_databases! {
    async fn events_and_uses_stand_in_one_true_order(world: &World) {
        let mut browser = world.person("ada@example.org").await;
        let reporter = Reporter::new(world, &mut browser).await;
        world.advance(10);
        reporter.report(world, UseKind::PlayMedia, Ended::Done, 2).await;
        world.advance(10);
        // Three events within one second, in this order.
        for action in ["pause", "resume", "pause"] {
            let page = browser.get(&format!("/homes/{}", reporter.home)).await;
            browser.submit(&page, &format!("/homes/{}/{action}", reporter.home), &[]).await;
        }
        world.advance(10);
        reporter.report(world, UseKind::Volume, Ended::Paused, 1).await;
        let page = browser.get("/activity").await.text;
        let volume = position(&page, "Amazon Alexa: changed the volume in My house");
        let resumed = position(&page, "My house was resumed");
        let (last_pause, first_pause) = (position(&page, "My house was paused"), page.rfind("My house was paused").unwrap());
        let played = position(&page, "searched and played in My house");
        let linked = position(&page, "Amazon Alexa was linked");
        assert!(volume < last_pause && last_pause < resumed && resumed < first_pause && first_pause < played && played < linked, "{page}");
        assert!(page.contains("the home was paused, once") && page.contains("done, 2 times"), "{page}");
    }

    async fn a_long_log_is_read_a_page_at_a_time_without_gap_or_double(world: &World) {
        let mut browser = world.person("ada@example.org").await;
        let reporter = Reporter::new(world, &mut browser).await;
        for hour in 0..60 {
            reporter.report(world, if hour % 2 == 0 { UseKind::Volume } else { UseKind::Power }, Ended::Done, hour + 1).await;
            if hour % 3 == 0 {
                let page = browser.get(&format!("/homes/{}", reporter.home)).await;
                let name = format!("Home {hour}");
                browser.submit(&page, &format!("/homes/{}/rename", reporter.home), &[("name", &name)]).await;
            }
            world.advance(3600);
        }
        let mut path = "/activity".to_owned();
        let mut pages = Vec::new();
        loop {
            let page = browser.get(&path).await.text;
            let older = page.split("href=\"").find_map(|rest| rest.split('"').next().filter(|link| link.starts_with("/activity?before=")));
            let older = older.map(str::to_owned);
            pages.push(page);
            match older {
                Some(older) => path = older,
                None => break,
            }
        }
        let all = pages.concat();
        // 60 hours of use, 20 names, signing in, allowing, connecting, linking.
        assert_eq!((pages.len(), all.matches("<li>").count()), (2, 60 + 20 + 4));
        for hour in [2, 31, 60] {
            assert_eq!(all.matches(&format!("done, {hour} times")).count(), 1, "{hour}");
        }
        let damaged = browser.get("/activity?before=nonsense").await;
        assert_eq!(damaged.status, 200);
    }

    async fn a_home_tells_its_last_command_that_worked_and_an_app_its_last_use(world: &World) {
        let mut browser = world.person("ada@example.org").await;
        let reporter = Reporter::new(world, &mut browser).await;
        assert!(browser.get(&format!("/homes/{}", reporter.home)).await.text.contains("none yet"));
        reporter.report(world, UseKind::Volume, Ended::Done, 1).await;
        world.advance(180);
        reporter.report(world, UseKind::Volume, Ended::Offline, 1).await;
        let homes = browser.get(&format!("/homes/{}", reporter.home)).await.text;
        assert!(homes.contains("Last command that worked") && homes.contains("3 minutes ago"), "{homes}");
        let apps = browser.get("/apps").await.text;
        assert!(apps.contains("just now") && apps.contains("Access renewed") && apps.contains("/link-doctor"), "{apps}");
        // Nobody else sees any of it.
        let mut bob = world.person("bob@example.org").await;
        let page = bob.get("/activity").await.text;
        assert!(!page.contains("volume"), "{page}");
    }
}
