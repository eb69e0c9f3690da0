//! Linking from the Alexa app, as somebody goes through it who has never been here.

use axum::http::StatusCode;

use crate::harness::{Authorization, Browser, PASSWORD, REDIRECT, World, on_both_databases};

/// Open a page, following redirects within the cloud; where it ends.
async fn open(browser: &mut Browser<'_>, path: &str) -> crate::harness::Answer {
    let mut answer = browser.get(path).await;
    while answer.status == StatusCode::SEE_OTHER {
        let next = answer.location().to_owned();
        answer = browser.get(&next).await;
    }
    answer
}

fn link(page: &str, to: &str) -> String {
    let start = page.find(&format!("href=\"{to}")).unwrap_or_else(|| panic!("no link to {to} in {page}")) + 6;
    page[start..].split('"').next().unwrap().to_owned()
}

on_both_databases! {
    async fn a_stranger_is_linked_in_four_steps(world: &World) {
        let client = world.alexa().await;
        let asked = Authorization::new(&client.client.id);
        let mut browser = world.browser();
        let mut steps = vec!["enable the skill"];
        let sign_in = open(&mut browser, &asked.path()).await;
        // The page in between is a link, not a step of work: nothing is typed there.
        let sign_up = open(&mut browser, &link(&sign_in.text, "/sign-up")).await;
        steps.push("sign up");
        let fields = [("email", "new@example.org"), ("password", PASSWORD)];
        let landed = browser.submit(&sign_up, "/sign-up", &fields).await;
        let landed = landed.location().to_owned();
        // No mail has to be looked for on the way.
        let consent = open(&mut browser, &landed).await;
        steps.push("allow");
        let back = browser.submit(&consent, "/oauth/consent", &[("decision", "allow")]).await;
        assert!(back.location().starts_with(REDIRECT), "{}", back.location());
        assert_eq!(back.redirect_parameter("state").as_deref(), Some("a state"));
        steps.push("back in the app");
        assert!(steps.len() <= 4, "{steps:?}");
        let code = back.redirect_parameter("code").unwrap();
        assert_eq!(world.redeem(&client, &code, &asked).await.status, StatusCode::OK);
    }

    async fn a_wrong_password_and_another_language_do_not_lose_the_way(world: &World) {
        let client = world.alexa().await;
        world.service.create_user("ada@example.org", PASSWORD).await.unwrap();
        let mut browser = world.browser();
        let sign_in = open(&mut browser, &Authorization::new(&client.client.id).path()).await;
        let fields = [("email", "ada@example.org"), ("password", "wrong password")];
        let refused = browser.submit(&sign_in, "/sign-in", &fields).await;
        let german = open(&mut browser, &link(&refused.text, "/language/de").replace("&#38;", "&")).await;
        assert!(german.text.contains("<html lang=\"de\">"));
        let landed = browser.submit(&german, "/sign-in", &[("email", "ada@example.org"), ("password", PASSWORD)]).await;
        let consent = open(&mut browser, landed.location()).await;
        assert!(consent.text.contains("/oauth/consent") && consent.text.contains("Nicht erlauben"), "{}", consent.text);
    }

    async fn whoever_lost_the_page_for_a_new_password_asks_for_another_code(world: &World) {
        world.service.create_user("ada@example.org", PASSWORD).await.unwrap();
        let mut browser = world.browser();
        let page = browser.get("/forgot").await;
        browser.submit(&page, "/forgot", &[("email", "ada@example.org")]).await;
        // As after a reload, or in another window. A code works only in the page that asked for it.
        let page = browser.get("/reset").await;
        assert_eq!(page.status, StatusCode::OK);
        let before = world.mails();
        let page = browser.submit(&page, "/forgot", &[("email", "ada@example.org")]).await;
        let mail = world.mails().into_iter().find(|mail| !before.contains(mail)).unwrap();
        let code = mail.split("Subject: ").nth(1).unwrap().split(' ').next().unwrap().to_owned();
        let fields = [("code", code.as_str()), ("password", "another good password")];
        let landed = browser.submit(&page, "/reset", &fields).await;
        assert_eq!(landed.status, StatusCode::SEE_OTHER, "{}", landed.text);
        assert_eq!(browser.get("/homes").await.status, StatusCode::OK);
    }
}
