//! What strangers use up is not taken from a browser that somebody signed in from before.

use axum::http::StatusCode;
use macloud_account_service::Config;

use crate::harness::{Answer, Browser, Kind, PASSWORD, World, unique};
use crate::mailed::forgot;
use crate::second_step::turn_on;

const EMAIL: &str = "ada@example.org";

fn few(config: &mut Config) {
    let limits = &mut config.limits;
    limits.wrong_passwords_per_account_and_address = "3/900".parse().unwrap();
    limits.sign_in_per_address = "60/60".parse().unwrap();
    limits.wrong_passwords_per_account = "20/3600".parse().unwrap();
    limits.wrong_second_steps_per_account = "3/900".parse().unwrap();
    limits.mailed_codes = "3/3600".parse().unwrap();
    limits.mailed_codes_per_network = "30/3600".parse().unwrap();
    limits.mails_per_mailbox = "20/3600".parse().unwrap();
    limits.client_address_header = Some("x-client".into());
}

async fn on_both(test: impl AsyncFn(&World)) {
    for kind in [Kind::Sqlite, Kind::Postgres] {
        World::with_settings(kind, few, &test).await;
    }
}

/// A browser that nobody knows, somewhere.
fn new_at<'w>(world: &'w World, from: &str) -> Browser<'w> {
    Browser { from: Some(from.into()), ..world.browser() }
}

async fn try_out(browser: &mut Browser<'_>, email: &str, password: &str) -> Answer {
    let page = browser.get("/sign-in").await;
    browser.submit(&page, "/sign-in", &[("email", email), ("password", password)]).await
}

async fn sign_out(browser: &mut Browser<'_>) {
    let page = browser.get("/sign-out").await;
    assert_eq!(browser.submit(&page, "/sign-out", &[]).await.status, StatusCode::SEE_OTHER);
}

/// Two hundred networks, each with a wrong password.
async fn attack(world: &World, email: &str) {
    let mut refused = 0;
    for network in 0..200 {
        let answer = try_out(&mut new_at(world, &format!("198.51.100.{network}")), email, "wrong").await;
        refused += usize::from(answer.status == StatusCode::TOO_MANY_REQUESTS);
    }
    assert_eq!(refused, 180);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_cannot_keep_a_known_browser_from_signing_in() {
    on_both(async |world| {
        let mut owner = world.person(EMAIL).await;
        let old = owner.known.clone().unwrap();
        let other = world.person("ben@example.org").await;
        sign_out(&mut owner).await;
        attack(world, EMAIL).await;

        owner.from = Some("198.51.100.7".into());
        let landed = try_out(&mut owner, EMAIL, PASSWORD).await;
        assert_eq!(landed.status, StatusCode::SEE_OTHER, "even from where a stranger tried: {}", landed.text);
        let refused = try_out(&mut new_at(world, "192.0.2.1"), EMAIL, PASSWORD).await;
        assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
        assert!(refused.header("retry-after").parse::<u64>().unwrap() > 0);
        // Somebody else's cookie, one that was made up, and one from before the last sign-in.
        let forged = owner.known.as_ref().unwrap().chars().rev().collect::<String>();
        for cookie in [other.known.clone().unwrap(), forged, old, unique()] {
            let mut stranger = Browser { known: Some(cookie), ..new_at(world, "192.0.2.2") };
            assert_eq!(try_out(&mut stranger, EMAIL, PASSWORD).await.status, StatusCode::TOO_MANY_REQUESTS);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stolen_cookie_has_few_tries_wherever_it_is_and_none_elsewhere() {
    on_both(async |world| {
        let owner = world.person(EMAIL).await;
        let thief = |from: &str| Browser { known: owner.known.clone(), ..new_at(world, from) };
        // Three for the cookie, and three as any stranger has where they are.
        for from in ["192.0.2.0", "192.0.2.1", "192.0.2.2", "192.0.2.9", "192.0.2.9", "192.0.2.9"] {
            let wrong = try_out(&mut thief(from), EMAIL, "wrong").await;
            assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
        }
        let refused = try_out(&mut thief("192.0.2.9"), EMAIL, PASSWORD).await;
        assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(refused.header("retry-after"), "300");
        // Where there is no account it looks as it does without the cookie.
        for email in ["nobody@example.org", "ben@example.org"] {
            for _ in 0..3 {
                let wrong = try_out(&mut thief("192.0.2.10"), email, "wrong").await;
                assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
            }
            let refused = try_out(&mut thief("192.0.2.10"), email, "wrong").await;
            assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
            let elsewhere = try_out(&mut thief("192.0.2.11"), email, "wrong").await;
            assert_eq!(elsewhere.status, StatusCode::UNPROCESSABLE_ENTITY);
        }
        // Nor does signing in to an account of their own with it give them more: the owner's moves to a fresh cookie with them.
        world.service.create_user("eve@example.org", PASSWORD).await.unwrap();
        let mut eve = thief("192.0.2.9");
        assert_eq!(try_out(&mut eve, "eve@example.org", PASSWORD).await.status, StatusCode::SEE_OTHER);
        let mut eve = Browser { known: eve.known, ..new_at(world, "192.0.2.9") };
        assert_eq!(try_out(&mut eve, EMAIL, "wrong").await.status, StatusCode::TOO_MANY_REQUESTS);
        // And where the thief is not, its owner comes in with it.
        assert_eq!(try_out(&mut thief("198.51.100.1"), EMAIL, PASSWORD).await.status, StatusCode::SEE_OTHER);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_known_browser_costs_no_more_than_its_network_may() {
    on_both(async |world| {
        let mut person = world.person(EMAIL).await;
        sign_out(&mut person).await;
        person.from = Some("192.0.2.1".into());
        let mut right = 0;
        while right < 100 && try_out(&mut person, EMAIL, PASSWORD).await.status == StatusCode::SEE_OTHER {
            sign_out(&mut person).await;
            right += 1;
        }
        assert_eq!(right, 60);
        for _ in 0..40 {
            person.from = Some(format!("198.51.100.{right}"));
            assert_eq!(try_out(&mut person, EMAIL, PASSWORD).await.status, StatusCode::SEE_OTHER);
            sign_out(&mut person).await;
            person.from = Some("192.0.2.1".into());
            let page = person.get("/forgot").await;
            person.submit(&page, "/forgot", &[("email", EMAIL)]).await;
            right += 1;
        }
        assert_eq!(world.mails().len(), 6, "three that are known there, three from one network");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_of_the_cookie_is_worth_nothing_once_everybody_else_is_signed_out() {
    on_both(async |world| {
        let mut owner = world.person(EMAIL).await;
        let copy = owner.known.clone();
        assert_eq!(try_out(&mut new_at(world, "192.0.2.7"), EMAIL, PASSWORD).await.status, StatusCode::SEE_OTHER);
        let page = owner.get("/sessions").await;
        assert_eq!(owner.submit(&page, "/sessions/others/end", &[]).await.status, StatusCode::SEE_OTHER);
        let second = owner.known.clone();
        let page = owner.get("/security").await;
        let fields = [("new_password", "another long one")];
        assert_eq!(owner.submit(&page, "/security/password", &fields).await.status, StatusCode::OK);
        assert!(copy != second && second != owner.known);
        sign_out(&mut owner).await;
        attack(world, EMAIL).await;
        for known in [copy, second] {
            let mut thief = Browser { known, ..new_at(world, "192.0.2.1") };
            assert_eq!(try_out(&mut thief, EMAIL, "wrong").await.status, StatusCode::TOO_MANY_REQUESTS);
        }
        assert_eq!(try_out(&mut owner, EMAIL, "another long one").await.status, StatusCode::SEE_OTHER);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_cannot_keep_a_known_browser_from_a_mailed_code() {
    on_both(async |world| {
        let mut owner = world.person(EMAIL).await;
        sign_out(&mut owner).await;
        let ask = async |browser: &mut Browser<'_>| {
            let page = browser.get("/forgot").await;
            browser.submit(&page, "/forgot", &[("email", EMAIL)]).await
        };
        for network in 0..200 {
            ask(&mut new_at(world, &format!("198.51.100.{network}"))).await;
        }
        assert_eq!(world.mails().len(), 20);
        owner.from = Some("192.0.2.1".into());
        let (page, code) = forgot(world, &mut owner, EMAIL).await;
        assert_eq!(ask(&mut new_at(world, "192.0.2.1")).await.status, StatusCode::TOO_MANY_REQUESTS);
        for _ in 0..2 {
            assert_eq!(ask(&mut owner).await.status, StatusCode::OK);
        }
        assert_eq!(ask(&mut owner).await.status, StatusCode::TOO_MANY_REQUESTS, "it has three");
        let fields = [("code", code.as_deref().unwrap()), ("password", "a new long one")];
        assert_eq!(owner.submit(&page, "/reset", &fields).await.status, StatusCode::SEE_OTHER);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_knows_the_password_cannot_use_up_the_second_step_of_a_known_browser() {
    on_both(async |world| {
        let mut owner = world.person(EMAIL).await;
        let (app, _) = turn_on(world, &mut owner).await;
        sign_out(&mut owner).await;
        world.advance(30);
        let code = async |browser: &mut Browser<'_>, code: &str| {
            let page = try_out(browser, EMAIL, PASSWORD).await;
            browser.submit(&page, "/sign-in/code", &[("code", code)]).await.status
        };
        for network in 0..3 {
            let mut thief = new_at(world, &format!("198.51.100.{network}"));
            assert_eq!(code(&mut thief, "000000").await, StatusCode::UNPROCESSABLE_ENTITY);
        }
        let shown = app.shows(world);
        assert_eq!(code(&mut new_at(world, "192.0.2.1"), &shown).await, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(code(&mut owner, &shown).await, StatusCode::SEE_OTHER);
        sign_out(&mut owner).await;
        for _ in 0..3 {
            assert_eq!(code(&mut owner, "000000").await, StatusCode::UNPROCESSABLE_ENTITY);
        }
        assert_eq!(code(&mut owner, "000000").await, StatusCode::TOO_MANY_REQUESTS, "it has three");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_is_known_until_its_owner_ends_it_from_elsewhere_or_for_a_year() {
    on_both(async |world| {
        let mut here = world.person(EMAIL).await;
        let known = async |browser: &Browser<'_>| {
            let mut there = Browser { known: browser.known.clone(), ..new_at(world, "192.0.2.1") };
            try_out(&mut there, EMAIL, "wrong").await.status != StatusCode::TOO_MANY_REQUESTS
        };
        let signed_in = async || {
            let mut browser = world.browser();
            assert_eq!(try_out(&mut browser, EMAIL, PASSWORD).await.status, StatusCode::SEE_OTHER);
            browser
        };
        let one = signed_in().await;
        world.advance(1);
        let lost = signed_in().await;
        let session = world.look_up("SELECT id FROM web_sessions ORDER BY signed_in_at DESC LIMIT 1").await;
        let other = signed_in().await;
        attack(world, EMAIL).await;
        assert!(known(&here).await && known(&one).await && known(&lost).await && known(&other).await);

        let page = here.get("/sessions").await;
        let end = format!("/sessions/{session}/end");
        assert_eq!(here.submit(&page, &end, &[]).await.status, StatusCode::SEE_OTHER);
        assert!(known(&one).await && !known(&lost).await);

        let page = here.get("/sessions").await;
        assert_eq!(here.submit(&page, "/sessions/others/end", &[]).await.status, StatusCode::SEE_OTHER);
        assert!(known(&here).await && !known(&one).await && !known(&other).await);

        world.advance(3600);
        let mut reset = signed_in().await;
        let (page, code) = forgot(world, &mut reset, EMAIL).await;
        let before = reset.known.clone();
        let fields = [("code", code.as_deref().unwrap()), ("password", "a new long one")];
        assert_eq!(reset.submit(&page, "/reset", &fields).await.status, StatusCode::SEE_OTHER);
        attack(world, EMAIL).await;
        assert!(!known(&here).await && !known(&Browser { known: before, ..world.browser() }).await);
        assert!(known(&reset).await);

        world.advance(366 * 24 * 3600);
        attack(world, EMAIL).await;
        assert!(!known(&reset).await);
        world.service.housekeep().await.unwrap();
        assert_eq!(world.look_up("SELECT CAST(COUNT(*) AS TEXT) FROM known_browsers").await, "0");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_shares_a_browser_stays_known_there() {
    on_both(async |world| {
        let mut shared = world.person(EMAIL).await;
        world.service.create_user("ben@example.org", PASSWORD).await.unwrap();
        sign_out(&mut shared).await;
        assert_eq!(try_out(&mut shared, "ben@example.org", PASSWORD).await.status, StatusCode::SEE_OTHER);
        sign_out(&mut shared).await;
        attack(world, EMAIL).await;
        attack(world, "ben@example.org").await;
        for email in [EMAIL, "ben@example.org", EMAIL] {
            assert_eq!(try_out(&mut shared, email, PASSWORD).await.status, StatusCode::SEE_OTHER);
            sign_out(&mut shared).await;
        }
    })
    .await;
}
