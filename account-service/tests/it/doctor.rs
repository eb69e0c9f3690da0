//! The link doctor: each way in which linking fails, by really failing that way, and what is told of it.

use axum::http::StatusCode;
use macloud_account_service::{CreatedClient, LinkAttemptReport, NewClient};

use crate::harness::{Authorization, Browser, REDIRECT, World, basic, on_both_databases, text, unique};

/// The newest attempt, as an operator sees it.
async fn newest(world: &World) -> LinkAttemptReport {
    let attempts = world.service.list_link_attempts(10).await.unwrap();
    attempts.into_iter().next().expect("there is an attempt")
}

async fn outcome(world: &World) -> (&'static str, Option<&'static str>) {
    let attempt = newest(world).await;
    (attempt.stage, attempt.cause)
}

/// A request of its own: attempts are known by what they ask.
fn asked() -> Authorization {
    Authorization { state: unique(), ..Authorization::new("alexa") }
}

async fn told(browser: &mut Browser<'_>) -> String {
    browser.get("/link-doctor").await.text
}

async fn second_client(world: &World) -> CreatedClient {
    world.client("other", false).await
}

on_both_databases! {
    async fn a_link_that_works_is_followed_to_its_first_refresh(world: &World) {
        let client = world.alexa().await;
        let mut browser = world.person("ada@example.org").await;
        let mut stranger = world.browser();
        let asked = asked();
        stranger.get(&asked.path()).await;
        assert_eq!(outcome(world).await, ("sign_in", None));
        assert!(told(&mut stranger).await.contains("nobody signed in"), "what was tried in this browser");
        assert!(!told(&mut browser).await.contains("nobody signed in"), "and not in another");
        browser.get(&asked.path()).await;
        assert_eq!(outcome(world).await, ("consent", None));
        let attempts = world.service.list_link_attempts(10).await.unwrap();
        assert_eq!(attempts.len(), 1, "one request is one attempt, however many pages it crosses");
        let code = browser.allow(&asked).await;
        assert_eq!(outcome(world).await, ("code", None));
        assert!(told(&mut browser).await.contains("has not come for its access"));
        let tokens = world.redeem(&client, &code, &asked).await.json();
        assert_eq!(outcome(world).await, ("token", None));
        assert!(told(&mut browser).await.contains("has not had to renew"));
        assert_eq!(world.refresh(&client, text(&tokens, "refresh_token")).await.status, StatusCode::OK);
        assert_eq!(outcome(world).await, ("first_refresh", None));
        assert!(told(&mut browser).await.contains("All is well"));
        let attempt = newest(world).await;
        assert_eq!((attempt.email.as_deref(), attempt.host.as_str()), (Some("ada@example.org"), "layla.amazon.com"));
    }

    async fn requests_that_cannot_begin_say_why(world: &World) {
        world.alexa().await;
        let strict = NewClient {
            client_id: "strict".into(),
            name: None,
            redirect_uris: vec![REDIRECT.into()],
            post_logout_redirect_uris: Vec::new(),
            require_pkce: true,
            public: false,
            access_token_seconds: None,
            ..NewClient::default()
        };
        world.service.create_client(strict).await.unwrap();
        let mut browser = world.person("ada@example.org").await;
        let unknown = Authorization { client_id: "nobody".into(), ..asked() };
        let elsewhere = Authorization { redirect_uri: "https://evil.example/cb?secret=1".into(), ..asked() };
        let no_pkce = Authorization { client_id: "strict".into(), verifier: None, ..asked() };
        let no_scope = Authorization { scope: "everything".into(), ..asked() };
        for (asked, cause, words) in [
            (unknown, "unknown_client", "does not know"),
            (elsewhere, "redirect", "not registered for it"),
            (no_pkce, "pkce_missing", "PKCE"),
            (no_scope, "request", "music_assistant.read and music_assistant.control"),
        ] {
            browser.get(&asked.path()).await;
            assert_eq!(outcome(world).await, ("request", Some(cause)));
            world.advance(1);
            assert!(told(&mut browser).await.contains(words), "{cause}");
        }
        let page = told(&mut browser).await;
        assert!(page.contains("evil.example") && !page.contains("secret=1") && !page.contains("/cb"), "only the host");
        let export = world.look_up("SELECT host FROM link_attempts WHERE cause = 'redirect'").await;
        assert_eq!(export, "evil.example");
    }

    async fn a_browser_that_never_signs_in_sees_its_own_failures(world: &World) {
        let mut stranger = world.browser();
        stranger.get(&Authorization { client_id: "nobody".into(), ..asked() }.path()).await;
        assert!(told(&mut stranger).await.contains("does not know"));
        assert!(!told(&mut world.browser()).await.contains("does not know"));
        world.advance(2 * 24 * 3600);
        world.service.housekeep().await.unwrap();
        assert!(!told(&mut stranger).await.contains("does not know"), "kept for a day");
    }

    async fn a_no_is_a_no(world: &World) {
        world.alexa().await;
        let mut browser = world.person("ada@example.org").await;
        browser.consent(&asked(), "deny").await;
        assert_eq!(outcome(world).await, ("consent", Some("denied")));
        assert!(told(&mut browser).await.contains("You chose not to allow it"));
    }

    async fn what_goes_wrong_with_a_code_is_told(world: &World) {
        let client = world.alexa().await;
        let other = second_client(world).await;
        let mut browser = world.person("ada@example.org").await;
        let wrong_secret = CreatedClient { client: client.client.clone(), client_secret: Some("mcs_wrong".into()) };
        for (case, cause) in [
            ("secret", "client_auth"),
            ("verifier", "verifier"),
            ("no verifier", "verifier"),
            ("redirect", "code_redirect"),
            ("other client", "code_of_another"),
            ("late", "code_expired"),
            ("twice", "code_used_twice"),
        ] {
            world.advance(1);
            let asked = asked();
            let code = browser.allow(&asked).await;
            let answer = match case {
                "secret" => world.redeem(&wrong_secret, &code, &asked).await,
                "verifier" => world.redeem(&client, &code, &Authorization { verifier: Some(unique().repeat(3)), ..asked.clone() }).await,
                "no verifier" => world.redeem(&client, &code, &Authorization { verifier: None, ..asked.clone() }).await,
                "redirect" => world.redeem(&client, &code, &Authorization { redirect_uri: "http://127.0.0.1:9/cb?fixed=1".into(), ..asked.clone() }).await,
                "other client" => world.redeem(&other, &code, &asked).await,
                "late" => {
                    world.advance(121);
                    world.redeem(&client, &code, &asked).await
                }
                _ => {
                    assert_eq!(world.redeem(&client, &code, &asked).await.status, StatusCode::OK);
                    world.redeem(&client, &code, &asked).await
                }
            };
            assert!(answer.status.is_client_error(), "{case}");
            assert_eq!(newest(world).await.cause, Some(cause), "{case}");
        }
        // Another try after a wrong secret is a success, and is told as one.
        world.advance(1);
        let asked = asked();
        let code = browser.allow(&asked).await;
        world.redeem(&wrong_secret, &code, &asked).await;
        assert_eq!(world.redeem(&client, &code, &asked).await.status, StatusCode::OK);
        assert_eq!(newest(world).await.stage, "token");
        assert!(told(&mut browser).await.contains("has not had to renew"));
        let page = told(&mut browser).await;
        for words in ["could not prove who it is", "PKCE", "another return address", "too late", "twice", "Another app"] {
            assert!(page.contains(words), "{words}");
        }
        for secret in [code.as_str(), REDIRECT, "mcs_", "/api/skill"] {
            assert!(!page.contains(secret), "{secret}");
        }
    }

    async fn a_client_that_loses_its_secret_before_the_first_refresh_is_told(world: &World) {
        let client = world.alexa().await;
        let mut browser = world.person("ada@example.org").await;
        let asked = asked();
        let code = browser.allow(&asked).await;
        let tokens = world.redeem(&client, &code, &asked).await.json();
        let wrong = CreatedClient { client: client.client.clone(), client_secret: Some("mcs_wrong".into()) };
        let form = [("grant_type", "refresh_token"), ("refresh_token", text(&tokens, "refresh_token"))];
        assert_eq!(world.post("/oauth/token", &[("authorization", &basic(&wrong))], &form).await.status, StatusCode::UNAUTHORIZED);
        assert_eq!(outcome(world).await, ("token", Some("refresh_client_auth")));
        assert!(told(&mut browser).await.contains("when it came to renew"));
        assert_eq!(world.refresh(&client, text(&tokens, "refresh_token")).await.status, StatusCode::OK);
        assert!(told(&mut browser).await.contains("All is well"));
    }

    async fn an_absent_database_is_remembered_until_it_is_back(world: &World) {
        let client = world.alexa().await;
        let mut browser = world.person("ada@example.org").await;
        let asked = asked();
        let code = browser.allow(&asked).await;
        world.execute("ALTER TABLE token_pairs RENAME TO gone".into()).await;
        assert_eq!(world.redeem(&client, &code, &asked).await.status, StatusCode::SERVICE_UNAVAILABLE);
        world.execute("ALTER TABLE gone RENAME TO token_pairs".into()).await;
        assert_eq!(outcome(world).await, ("code", Some("database")));
        assert!(told(&mut browser).await.contains("Something on our side did not answer"));
        assert_eq!(world.redeem(&client, &code, &asked).await.status, StatusCode::OK, "and the code still works");
        assert_eq!(newest(world).await.stage, "token");
    }

    async fn strangers_cannot_fill_the_list(world: &World) {
        for _ in 0..40 {
            world.browser().get(&Authorization { client_id: "nobody".into(), ..asked() }.path()).await;
        }
        assert_eq!(world.look_up("SELECT CAST(COUNT(*) AS TEXT) FROM link_attempts").await, "30", "from one network");
        let long = Authorization { client_id: "x".repeat(3000), ..asked() };
        let mut browser = world.person("ada@example.org").await;
        browser.get(&long.path()).await;
        assert_eq!(world.look_up("SELECT CAST(MAX(LENGTH(client_id)) AS TEXT) FROM link_attempts").await, "64");
    }

    async fn one_account_cannot_fill_the_list_of_attempts(world: &World) {
        world.alexa().await;
        let mut browser = world.person("ada@example.org").await;
        let real = asked();
        world.browser().get(&real.path()).await;
        for _ in 0..60 {
            browser.get(&Authorization { client_id: "nobody".into(), ..asked() }.path()).await;
        }
        let kept = "SELECT CAST(COUNT(*) AS TEXT) FROM link_attempts WHERE account_id IS NOT NULL";
        assert_eq!(world.look_up(kept).await, "50");
        // One that is known already goes on, and tomorrow is another day.
        browser.get(&real.path()).await;
        assert_eq!(world.look_up("SELECT stage FROM link_attempts WHERE client_id = 'alexa'").await, "consent");
        world.advance(24 * 3600);
        let page = browser.get(&asked().path()).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.text);
        assert_eq!(outcome(world).await, ("consent", None));
    }
}
