//! The second step of signing in, recovery codes, and changing the password.

use axum::http::StatusCode;
use macloud_service_kit::clock::Clock as _;
use ring::hmac;

use crate::harness::{Answer, Authorization, Browser, Kind, PASSWORD, World, on_both_databases};

const EMAIL: &str = "ada@example.org";

/// The app on somebody's phone.
pub struct App(Vec<u8>);

impl App {
    /// From the key that the page shows.
    fn of(page: &Answer) -> Self {
        let key = page.text.split("Key for your app\">").nth(1).unwrap().split('<').next().unwrap();
        let letters = key.bytes().filter(|b| *b != b' ').map(|letter| {
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".iter().position(|other| *other == letter).unwrap() as u64
        });
        let letters: Vec<u64> = letters.collect();
        let fives = letters.chunks(8).map(|eight| eight.iter().fold(0, |number, letter| number << 5 | letter));
        Self(fives.flat_map(|number: u64| number.to_be_bytes()[3..].to_vec()).collect())
    }

    /// The key as the page shows it, without the blanks.
    pub fn key_in_base32(&self) -> String {
        let bits = self.0.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1));
        let fives: Vec<u8> = bits.collect();
        let letters = fives.chunks(5).map(|five| five.iter().fold(0, |number, bit| number << 1 | bit));
        letters.map(|letter: u8| char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[usize::from(letter)])).collect()
    }

    pub fn shows(&self, world: &World) -> String {
        let step = world.clock.unix_seconds() / 30;
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &self.0);
        let tag = hmac::sign(&key, &step.to_be_bytes());
        let at = usize::from(tag.as_ref()[19] & 15);
        let four: [u8; 4] = tag.as_ref()[at..at + 4].try_into().unwrap();
        format!("{:06}", (u32::from_be_bytes(four) & 0x7fff_ffff) % 1_000_000)
    }
}

/// Turn the second step on: the app, and the recovery codes.
pub async fn turn_on(world: &World, browser: &mut Browser<'_>) -> (App, Vec<String>) {
    let page = browser.get("/security").await;
    let setup = browser.submit(&page, "/security/app", &[]).await;
    assert!(setup.text.contains("<svg viewBox"), "{}", setup.text);
    let app = App::of(&setup);
    let wrong = browser.submit(&setup, "/security/app/confirm", &[("code", "000000")]).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    let on = browser.submit(&setup, "/security/app/confirm", &[("code", &app.shows(world))]).await;
    assert_eq!(on.status, StatusCode::OK, "{}", on.text);
    let codes: Vec<String> =
        on.text.split("<li class=\"mono\">").skip(1).map(|rest| rest.split('<').next().unwrap().to_owned()).collect();
    assert_eq!(codes.len(), 10);
    (app, codes)
}

/// The page after the right password.
async fn with_password(browser: &mut Browser<'_>, password: &str) -> Answer {
    let page = browser.get("/sign-in?next=%2Fapps").await;
    browser.submit(&page, "/sign-in", &[("email", EMAIL), ("password", password)]).await
}

on_both_databases! {
    async fn a_page_from_before_a_new_password_opens_nothing(world: &World) {
        let mut owner = world.person(EMAIL).await;
        let (_, codes) = turn_on(world, &mut owner).await;
        let mut thief = world.browser();
        let page = with_password(&mut thief, PASSWORD).await;
        assert!(page.text.contains("Second step"), "{}", page.text);
        let security = owner.get("/security").await;
        let changed = owner.submit(&security, "/security/password", &[("new_password", "another long one")]).await;
        assert_eq!(changed.status, StatusCode::OK, "{}", changed.text);
        let late = thief.submit(&page, "/sign-in/code", &[("code", &codes[0])]).await;
        assert_eq!(late.status, StatusCode::FORBIDDEN, "{}", late.text);
        assert_eq!(thief.get("/homes").await.status, StatusCode::SEE_OTHER);
    }

    async fn what_was_begun_anew_meanwhile_is_not_confirmed(world: &World) {
        let mut browser = world.person(EMAIL).await;
        let page = browser.get("/security").await;
        let setup = browser.submit(&page, "/security/app", &[]).await;
        let code = App::of(&setup).shows(world);
        // After the code was judged.
        let anew = "UPDATE totp_secrets SET sealed_secret = sealed_secret || sealed_secret";
        world.on_every("UPDATE OF created_at ON accounts", anew).await;
        let late = browser.submit(&setup, "/security/app/confirm", &[("code", &code)]).await;
        assert_eq!(late.location(), "/security", "{}", late.text);
        world.no_more("accounts").await;
        assert_eq!(with_password(&mut world.browser(), PASSWORD).await.location(), "/apps", "nothing was turned on");
    }

    async fn every_change_to_signing_in_is_told_by_mail(world: &World) {
        let mut browser = world.person(EMAIL).await;
        let told = async |said: &str, before: usize| {
            let mails = world.mails();
            assert_eq!(mails.len(), before + 1, "{said}");
            let plain = |mail: &String| mail.replace("=\r\n", "").replace("=\n", "");
            assert!(mails.iter().any(|mail| plain(mail).contains(said)), "{said}: {mails:?}");
        };
        let (app, _) = turn_on(world, &mut browser).await;
        told("takes a code of an authenticator app from now on", 0).await;
        let page = browser.get("/security").await;
        browser.submit(&page, "/security/recovery-codes", &[]).await;
        told("recovery codes of your account", 1).await;
        world.advance(30);
        browser.submit(&page, "/security/app/off", &[("code", &app.shows(world))]).await;
        told("takes no code of an authenticator app any more", 2).await;
        browser.submit(&page, "/security/password", &[("new_password", "another long one")]).await;
        told("The password of your account", 3).await;
        crate::passkeys::add(&mut browser, "Phone").await;
        told("was just added", 4).await;
    }

    async fn signing_in_takes_a_code_and_each_code_works_once(world: &World) {
        let mut browser = world.person(EMAIL).await;
        let (app, _) = turn_on(world, &mut browser).await;
        let mut other = world.browser();
        let asked = with_password(&mut other, PASSWORD).await;
        assert_eq!(asked.status, StatusCode::OK);
        assert_eq!(other.get("/homes").await.status, StatusCode::SEE_OTHER, "the password alone opens nothing");
        // The code that turned it on was used.
        let used = other.submit(&asked, "/sign-in/code", &[("code", &app.shows(world))]).await;
        assert_eq!(used.status, StatusCode::UNPROCESSABLE_ENTITY);
        world.advance(30);
        let landed = other.submit(&used, "/sign-in/code", &[("code", &app.shows(world))]).await;
        assert_eq!((landed.status, landed.location()), (StatusCode::SEE_OTHER, "/apps"));
        assert_eq!(other.get("/homes").await.status, StatusCode::OK);
        // Somebody who looked over the shoulder is half a minute late, whatever they know.
        let mut thief = world.browser();
        let asked = with_password(&mut thief, PASSWORD).await;
        let refused = thief.submit(&asked, "/sign-in/code", &[("code", &app.shows(world))]).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
        let wrong = with_password(&mut world.browser(), "wrong password").await;
        assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    }

    async fn a_recovery_code_works_once_and_new_ones_end_the_old(world: &World) {
        let mut browser = world.person(EMAIL).await;
        let (_, codes) = turn_on(world, &mut browser).await;
        let sign_in = async |code: &str| {
            let mut other = world.browser();
            let asked = with_password(&mut other, PASSWORD).await;
            other.submit(&asked, "/sign-in/code", &[("code", code)]).await.status
        };
        assert_eq!(sign_in(&codes[0].to_uppercase().replace('-', " ")).await, StatusCode::SEE_OTHER);
        assert_eq!(sign_in(&codes[0]).await, StatusCode::UNPROCESSABLE_ENTITY);
        let page = browser.get("/security").await;
        assert!(page.text.contains("9 recovery codes left"), "{}", page.text);
        browser.submit(&page, "/security/recovery-codes", &[]).await;
        assert_eq!(sign_in(&codes[1]).await, StatusCode::UNPROCESSABLE_ENTITY);
    }

    async fn a_ticket_is_its_browsers_and_ages(world: &World) {
        let mut browser = world.person(EMAIL).await;
        let (app, codes) = turn_on(world, &mut browser).await;
        world.advance(30);
        let mut right = world.browser();
        let asked = with_password(&mut right, PASSWORD).await;
        let ticket = asked.hidden_fields("/sign-in/code").into_iter().find(|(name, _)| name == "ticket").unwrap();
        // Another browser, with a form of its own.
        let mut thief = world.browser();
        let page = thief.get("/sign-in").await;
        let token = page.hidden_fields("/sign-in")[0].clone();
        let fields = [token, ticket, ("code".to_owned(), app.shows(world))];
        assert_eq!(thief.post("/sign-in/code", &fields).await.status, StatusCode::FORBIDDEN);
        world.advance(600);
        let late = right.submit(&asked, "/sign-in/code", &[("code", &codes[0])]).await;
        assert_eq!(late.status, StatusCode::FORBIDDEN);
    }

    async fn turning_it_off_needs_a_code_or_the_operator(world: &World) {
        let mut browser = world.person(EMAIL).await;
        let (app, _) = turn_on(world, &mut browser).await;
        let page = browser.get("/security").await;
        let refused = browser.submit(&page, "/security/app/off", &[("code", "123456")]).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
        // Beginning anew does not replace the app that is in use.
        let token = page.hidden_fields("/security/app/off");
        browser.post("/security/app", &token).await;
        world.advance(30);
        let off = browser.submit(&page, "/security/app/off", &[("code", &app.shows(world))]).await;
        assert!(off.status == StatusCode::OK && off.text.contains("The second step is off"), "{}", off.text);
        assert_eq!(with_password(&mut world.browser(), PASSWORD).await.status, StatusCode::SEE_OTHER);
        turn_on(world, &mut browser).await;
        assert!(world.service.reset_second_step(EMAIL).await.unwrap());
        assert!(!world.service.reset_second_step(EMAIL).await.unwrap());
        assert_eq!(with_password(&mut world.browser(), PASSWORD).await.status, StatusCode::SEE_OTHER);
    }

    async fn what_is_half_turned_on_locks_nobody_out(world: &World) {
        let mut browser = world.person(EMAIL).await;
        let page = browser.get("/security").await;
        browser.submit(&page, "/security/app", &[]).await;
        assert_eq!(with_password(&mut world.browser(), PASSWORD).await.status, StatusCode::SEE_OTHER);
        assert!(browser.get("/security").await.text.contains(">Off<"));
    }

    async fn a_changed_password_signs_out_everybody_else_and_unlinks_nothing(world: &World) {
        let client = world.alexa().await;
        let mut browser = world.person(EMAIL).await;
        let tokens = world.link_as(&client, &mut browser).await;
        let mut other = world.browser();
        with_password(&mut other, PASSWORD).await;
        let page = browser.get("/security").await;
        let refused = browser.submit(&page, "/security/password", &[("new_password", "short")]).await;
        assert!(refused.status == StatusCode::UNPROCESSABLE_ENTITY && refused.text.contains("at least 8"));
        let done = browser.submit(&page, "/security/password", &[("new_password", "another long one")]).await;
        assert!(done.text.contains("is changed"), "{}", done.text);
        assert_eq!(browser.get("/homes").await.status, StatusCode::OK);
        assert_eq!(other.get("/homes").await.status, StatusCode::SEE_OTHER);
        assert_eq!(with_password(&mut world.browser(), PASSWORD).await.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(with_password(&mut world.browser(), "another long one").await.status, StatusCode::SEE_OTHER);
        assert_eq!(world.refresh(&client, tokens["refresh_token"].as_str().unwrap()).await.status, StatusCode::OK);
    }

    async fn a_browser_left_open_changes_nothing(world: &World) {
        let mut browser = world.person(EMAIL).await;
        let page = browser.get("/security").await;
        world.advance(901);
        for (action, field) in [("/security/password", ("new_password", "another long one")), ("/security/app", ("x", "y"))] {
            let sent = browser.submit(&page, action, &[field]).await;
            assert_eq!(sent.location(), "/sign-in?next=%2Fsecurity&again=1", "{action}");
        }
        assert_eq!(with_password(&mut world.browser(), PASSWORD).await.status, StatusCode::SEE_OTHER);
    }

    async fn linking_goes_on_after_the_second_step(world: &World) {
        let client = world.alexa().await;
        let mut browser = world.person(EMAIL).await;
        let (app, _) = turn_on(world, &mut browser).await;
        world.advance(30);
        let asked = Authorization::new("alexa");
        let mut phone = world.browser();
        let sign_in = phone.get(&asked.path()).await.location().to_owned();
        let page = phone.get(&sign_in).await;
        let second = phone.submit(&page, "/sign-in", &[("email", EMAIL), ("password", PASSWORD)]).await;
        let back = phone.submit(&second, "/sign-in/code", &[("code", &app.shows(world))]).await.location().to_owned();
        let page = phone.get(&back).await;
        let answer = phone.submit(&page, "/oauth/consent", &[("decision", "allow")]).await;
        let code = answer.redirect_parameter("code").unwrap();
        assert_eq!(answer.redirect_parameter("state").as_deref(), Some("a state"));
        assert_eq!(world.redeem(&client, &code, &asked).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn guessing_at_the_second_step_is_limited() {
    let limit = |config: &mut macloud_account_service::Config| {
        config.limits.wrong_second_steps_per_account = "3/900".parse().unwrap();
    };
    World::with_settings(Kind::Sqlite, limit, async |world| {
        let mut browser = world.person(EMAIL).await;
        let (app, codes) = turn_on(world, &mut browser).await;
        world.advance(30);
        let mut thief = world.browser();
        let asked = with_password(&mut thief, PASSWORD).await;
        for _ in 0..3 {
            let guess = thief.submit(&asked, "/sign-in/code", &[("code", "000000")]).await;
            assert_eq!(guess.status, StatusCode::UNPROCESSABLE_ENTITY);
        }
        let right = thief.submit(&asked, "/sign-in/code", &[("code", &app.shows(world))]).await;
        assert_eq!(right.status, StatusCode::TOO_MANY_REQUESTS);
        // The owner comes in a little later.
        world.advance(300);
        let mut owner = world.browser();
        let asked = with_password(&mut owner, PASSWORD).await;
        let landed = owner.submit(&asked, "/sign-in/code", &[("code", &codes[0])]).await;
        assert_eq!(landed.status, StatusCode::SEE_OTHER);
    })
    .await;
}
