//! In which language a person is answered.

use axum::body::Body;
use axum::http::{Request, StatusCode};

use crate::harness::{Authorization, Kind, World};

#[tokio::test]
async fn pages_speak_the_browsers_language_until_the_person_chooses_another() {
    World::with(Kind::Sqlite, async |world| {
        let mut browser = world.browser();
        let page = browser.get("/sign-in").await;
        assert!(page.text.contains("<html lang=\"en\">") && page.header("content-language") == "en");
        browser.prefers = Some("de-DE,de;q=0.9,en;q=0.8");
        let page = browser.get("/sign-in?next=%2Fpair").await;
        assert!(page.text.contains("<html lang=\"de\">") && page.header("content-language") == "de");
        assert!(page.header("vary").contains("accept-language"));
        // The link to English comes back to where one was, with all that one came for.
        let link = page.text.split("href=\"/language/en").nth(1).unwrap().split('"').next().unwrap();
        let chosen = browser.get(&format!("/language/en{link}")).await;
        assert_eq!((chosen.status, chosen.location()), (StatusCode::SEE_OTHER, "/sign-in?next=%2Fpair"));
        assert!(
            chosen.header("set-cookie").contains("Max-Age=31536000; ")
                || chosen.header("set-cookie").ends_with("Max-Age=31536000")
        );
        assert!(browser.get("/sign-in").await.text.contains("<html lang=\"en\">"));
    })
    .await;
}

#[tokio::test]
async fn choosing_a_language_leads_nowhere_else() {
    World::with(Kind::Sqlite, async |world| {
        let mut browser = world.browser();
        for evil in ["https%3A%2F%2Fevil.example", "%2F%2Fevil.example", "%2F%5Cevil.example", "evil", "%2F%0Aevil", ""]
        {
            let answer = browser.get(&format!("/language/de?back={evil}")).await;
            assert!(
                answer.location() == "/" || answer.status == StatusCode::BAD_REQUEST,
                "{evil}: {}",
                answer.location()
            );
        }
        assert_eq!(browser.get("/language/xx?back=%2F").await.status, StatusCode::NOT_FOUND);
    })
    .await;
}

#[tokio::test]
async fn an_apps_wish_holds_on_the_whole_way_to_consent() {
    World::with(Kind::Sqlite, async |world| {
        let client = world.alexa().await;
        world.service.create_user("ada@example.org", crate::harness::PASSWORD).await.unwrap();
        let asked = Authorization::new(&client.client.id).with("ui_locales", "fr-FR de-DE en");
        let mut browser = world.browser();
        let sent = browser.get(&asked.path()).await;
        let page = browser.get(sent.location()).await;
        assert!(page.text.contains("<html lang=\"de\">"), "{}", page.text);
        let fields = [("email", "ada@example.org"), ("password", crate::harness::PASSWORD)];
        let landed = browser.submit(&page, "/sign-in", &fields).await;
        let consent = browser.get(landed.location()).await;
        assert!(consent.text.contains("<html lang=\"de\">") && consent.text.contains("/oauth/consent"));
        // What the person chose stands above it.
        browser.get("/language/en?back=%2F").await;
        assert!(browser.get(&asked.path()).await.text.contains("<html lang=\"en\">"));
    })
    .await;
}

#[tokio::test]
async fn a_page_that_nobody_serves_is_missing_in_ones_own_language() {
    World::with(Kind::Sqlite, async |world| {
        let request = Request::get("/lost").header("accept-language", "de").body(Body::empty()).unwrap();
        let page = world.service.not_found(&request);
        assert_eq!(page.headers()["content-language"], "de");
        assert_eq!(
            world.browser().get("/.well-known/openid-configuration").await.json()["ui_locales_supported"],
            serde_json::json!(["en", "de"])
        );
    })
    .await;
}

#[tokio::test]
async fn mails_and_refusals_speak_it_too() {
    World::with(Kind::Sqlite, async |world| {
        world.service.create_user("ada@example.org", crate::harness::PASSWORD).await.unwrap();
        let mut browser = world.browser();
        browser.prefers = Some("de");
        let page = browser.get("/forgot").await;
        let sent = browser.submit(&page, "/forgot", &[("email", "ada@example.org")]).await;
        assert!(
            sent.text.contains("Lass diese Seite offen") && sent.text.contains("<code>mail</code>"),
            "{}",
            sent.text
        );
        let mail = world.mails().pop().unwrap();
        assert!(mail.contains("Dein Code, um bei https://cloud.example"), "{mail}");
        let page = browser.get("/sign-up").await;
        let refused = browser.submit(&page, "/sign-up", &[("email", "x"), ("password", "y")]).await;
        assert!(refused.text.contains("Bitte gib eine E-Mail-Adresse ein"));
        assert!(browser.post("/sign-in", &[]).await.text.contains("Diese Seite ist abgelaufen"));
    })
    .await;
}

#[tokio::test]
async fn whoever_runs_the_cloud_says_so_on_the_privacy_page() {
    World::with(Kind::Sqlite, async |world| {
        let page = world.browser().get("/privacy").await;
        assert!(page.status == StatusCode::OK && page.text.contains("whoever gave you its address"));
        assert_eq!(world.browser().get("/terms").await.status, StatusCode::OK);
    })
    .await;
    let named = |config: &mut macloud_account_service::Config| {
        config.operator.operator_name = Some("Ada <Lovelace>".into());
        config.operator.operator_contact = Some("privacy@example.org".into());
    };
    World::with_settings(Kind::Sqlite, named, async |world| {
        let page = world.browser().get("/privacy").await;
        assert!(page.text.contains("run by <strong>Ada &#60;Lovelace&#62;</strong>"), "{}", page.text);
        assert!(page.text.contains("<strong>privacy@example.org</strong>"));
    })
    .await;
}
