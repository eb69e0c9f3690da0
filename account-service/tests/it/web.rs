//! Pages: signing up and in, and what people do with their homes, apps and browsers.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use macloud_account_service::{Config, NewClient};

use crate::harness::{Authorization, Kind, PASSWORD, World, on_both_databases, raw_request, text};
use crate::pairing::Connector;

on_both_databases! {
    async fn people_sign_up_sign_out_and_sign_in(world: &World) {
        let mut browser = world.browser();
        let page = browser.get("/sign-up").await;
        let landed = browser.submit(&page, "/sign-up", &[("email", " Ada@Example.org "), ("password", PASSWORD)]).await;
        assert_eq!((landed.status, landed.location()), (StatusCode::SEE_OTHER, "/homes"));
        let cookie = landed.header("set-cookie");
        assert!(cookie.starts_with("__Host-macloud=") && cookie.contains("; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age="), "{cookie}");
        assert!(!cookie.contains("Domain"));
        assert!(browser.get("/homes").await.text.contains("ada@example.org"));
        let before = browser.cookie.clone();
        let page = browser.get("/sign-out").await;
        let out = browser.submit(&page, "/sign-out", &[("next", "https://evil.example")]).await;
        assert_eq!((out.status, out.location()), (StatusCode::SEE_OTHER, "/"));
        assert_ne!(browser.cookie, before);
        browser.cookie = before;
        assert_eq!(browser.get("/homes").await.location(), "/sign-in?next=%2Fhomes");
        let page = browser.get("/sign-in?next=%2Fapps").await;
        let landed = browser.submit(&page, "/sign-in", &[("email", "ADA@example.org"), ("password", PASSWORD)]).await;
        assert_eq!(landed.location(), "/apps");
    }

    async fn pages_name_the_command_and_speak_of_the_skill_once_there_is_one(world: &World) {
        let mut browser = world.person("ada@example.org").await;
        let command = "ma-connector pair --cloud https://cloud.example</code>";
        for page in ["/homes", "/pair"] {
            let text = browser.get(page).await.text;
            assert!(text.contains(command), "{page}: {text}");
        }
        let skill = "enable the Music Assistant skill of this MA Cloud";
        let pages = ["/", "/apps"];
        for page in pages {
            let text = browser.get(page).await.text;
            assert!(!text.contains(skill) && text.contains("has not set up a skill"), "{page}: {text}");
        }
        // One that acts in its own name only is none to link.
        let own = NewClient { client_id: "ops".into(), own_scopes: vec!["ma_cloud.admin".into()], ..NewClient::default() };
        world.service.create_client(own).await.unwrap();
        assert!(!browser.get("/apps").await.text.contains(skill));
        world.alexa().await;
        for page in pages {
            let text = browser.get(page).await.text;
            assert!(text.contains(skill) && !text.contains("has not set up a skill"), "{page}: {text}");
        }
    }

    async fn sign_up_says_what_is_wrong(world: &World) {
        world.service.create_user("ada@example.org", PASSWORD).await.unwrap();
        let mut browser = world.browser();
        let page = browser.get("/sign-up").await;
        for (email, password, expected) in [
            ("nonsense", PASSWORD, "enter an e-mail address"),
            ("new@example.org", "short", "at least 8 characters"),
            ("new@example.org", "new@example.org", "not use your e-mail"),
            ("ada@example.org", PASSWORD, "Sign in instead"),
        ] {
            let answer = browser.submit(&page, "/sign-up", &[("email", email), ("password", password)]).await;
            assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
            assert!(answer.text.contains(expected), "{expected}: {}", answer.text);
            assert!(!answer.text.contains(PASSWORD));
        }
    }

    async fn unknown_people_and_wrong_passwords_look_the_same(world: &World) {
        world.service.create_user("ada@example.org", PASSWORD).await.unwrap();
        let mut browser = world.browser();
        let page = browser.get("/sign-in").await;
        let wrong = browser.submit(&page, "/sign-in", &[("email", "ada@example.org"), ("password", "wrong")]).await;
        let unknown = browser.submit(&page, "/sign-in", &[("email", "eve@example.org"), ("password", "wrong")]).await;
        assert_eq!((wrong.status, wrong.text.len()), (unknown.status, unknown.text.len()));
        assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    }

    async fn an_old_password_hash_is_renewed_at_sign_in(world: &World) {
        world.service.create_user("ada@example.org", PASSWORD).await.unwrap();
        // As an earlier version, with less work, would have stored it.
        let old = {
            use argon2::password_hash::{PasswordHasher as _, SaltString};
            let salt = SaltString::encode_b64(b"sixteen bytes ok").unwrap();
            let params = argon2::Params::new(8192, 1, 1, None).unwrap();
            let hasher = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
            hasher.hash_password(PASSWORD.as_bytes(), &salt).unwrap().to_string()
        };
        world.execute(format!("UPDATE accounts SET password_hash = '{old}'")).await;
        let stored = "SELECT password_hash FROM accounts";
        let mut browser = world.browser();
        let page = browser.get("/sign-in").await;
        browser.submit(&page, "/sign-in", &[("email", "ada@example.org"), ("password", "wrong password")]).await;
        assert_eq!(world.look_up(stored).await, old);
        for _ in 0..2 {
            let mut browser = world.browser();
            let page = browser.get("/sign-in").await;
            let landed = browser.submit(&page, "/sign-in", &[("email", "ada@example.org"), ("password", PASSWORD)]).await;
            assert_eq!(landed.status, StatusCode::SEE_OTHER);
            assert!(world.look_up(stored).await.contains("m=19456,t=2,p=1"));
        }
    }

    async fn a_session_ends_when_its_time_has_come(world: &World) {
        let mut browser = world.person("ada@example.org").await;
        world.advance(30 * 24 * 3600 - 1);
        assert_eq!(browser.get("/homes").await.status, StatusCode::OK);
        world.advance(1);
        assert_eq!(browser.get("/homes").await.status, StatusCode::SEE_OTHER);
    }

    async fn people_see_and_end_their_sessions(world: &World) {
        let mut here = world.person("ada@example.org").await;
        let mut elsewhere = world.browser();
        let page = elsewhere.get("/sign-in").await;
        elsewhere.submit(&page, "/sign-in", &[("email", "ada@example.org"), ("password", PASSWORD)]).await;
        let page = here.get("/sessions").await;
        assert_eq!(page.text.matches("<li>").count(), 2);
        let action = page.text.split("action=\"").find(|part| part.starts_with("/sessions/") && !part.starts_with("/sessions/others")).unwrap();
        let action = action.split('"').next().unwrap();
        here.submit(&page, action, &[]).await;
        assert_eq!(elsewhere.get("/homes").await.status, StatusCode::SEE_OTHER);
        let page = elsewhere.get("/sign-in").await;
        elsewhere.submit(&page, "/sign-in", &[("email", "ada@example.org"), ("password", PASSWORD)]).await;
        let page = here.get("/sessions").await;
        here.submit(&page, "/sessions/others/end", &[]).await;
        assert_eq!(elsewhere.get("/homes").await.status, StatusCode::SEE_OTHER);
        assert_eq!(here.get("/homes").await.status, StatusCode::OK);
    }

    async fn homes_are_renamed_paused_and_unlinked_by_their_owner_only(world: &World) {
        let mut ada = world.person("ada@example.org").await;
        let mut eve = world.person("eve@example.org").await;
        let paired = Connector::new().pair(world, &mut ada, "A").await;
        let id = text(&paired, "instance_id");
        let page = ada.get(&format!("/homes/{id}")).await;
        ada.submit(&page, &format!("/homes/{id}/rename"), &[("name", "Chez <Ada>")]).await;
        let page = ada.get(&format!("/homes/{id}")).await;
        assert!(page.text.contains("Chez &#60;Ada&#62;") && page.text.contains("just now"), "{}", page.text);
        ada.submit(&page, &format!("/homes/{id}/pause"), &[]).await;
        let page = ada.get(&format!("/homes/{id}")).await;
        assert!(page.text.contains("Paused"));
        ada.submit(&page, &format!("/homes/{id}/resume"), &[]).await;
        assert!(!ada.get(&format!("/homes/{id}")).await.text.contains("Paused"));
        // Eve has a token for such forms from a home of her own, but this one is not hers.
        let own = Connector::new().pair(world, &mut eve, "E").await;
        let hers = eve.get(&format!("/homes/{}", text(&own, "instance_id"))).await;
        let token = hers.text.split("name=\"form_token\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        for action in ["rename", "pause", "unlink"] {
            let fields = [("form_token".to_owned(), token.clone()), ("name".to_owned(), "Mine".to_owned())];
            assert_eq!(eve.post(&format!("/homes/{id}/{action}"), &fields).await.status, StatusCode::NOT_FOUND);
        }
        assert_eq!(eve.get(&format!("/homes/{id}/unlink")).await.status, StatusCode::NOT_FOUND);
        let ask = ada.get(&format!("/homes/{id}/unlink")).await;
        assert!(ada.get("/homes").await.text.contains("Chez"));
        ada.submit(&ask, &format!("/homes/{id}/unlink"), &[]).await;
        assert!(ada.get("/homes").await.text.contains("No home yet"));
    }

    async fn an_unlinked_app_cannot_redeem_a_code_it_still_holds(world: &World) {
        let client = world.alexa().await;
        let other = world.client("other", false).await;
        let mut browser = world.person("ada@example.org").await;
        world.link_as(&client, &mut browser).await;
        let (asked, elsewhere) = (Authorization::new("alexa"), Authorization::new("other"));
        let (held, others) = (browser.allow(&asked).await, browser.allow(&elsewhere).await);
        let page = browser.get("/apps/alexa/unlink").await;
        browser.submit(&page, "/apps/alexa/unlink", &[]).await;
        assert_eq!(world.redeem(&client, &held, &asked).await.error(), "invalid_grant");
        assert_eq!(world.redeem(&other, &others, &elsewhere).await.status, StatusCode::OK);
    }

    async fn a_password_that_was_changed_meanwhile_opens_no_session(world: &World) {
        world.service.create_user("ada@example.org", PASSWORD).await.unwrap();
        let mut browser = world.browser();
        let page = browser.get("/sign-in").await;
        // After it was compared, and before its session begins.
        world.on_every("UPDATE OF created_at ON accounts", "UPDATE accounts SET password_hash = 'of another one'").await;
        let late = browser.submit(&page, "/sign-in", &[("email", "ada@example.org"), ("password", PASSWORD)]).await;
        assert_eq!(late.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", late.text);
        assert_eq!(browser.get("/homes").await.status, StatusCode::SEE_OTHER);
        assert_eq!(world.look_up("SELECT CAST(COUNT(*) AS TEXT) FROM web_sessions").await, "0");
    }

    async fn a_session_that_ended_meanwhile_makes_nothing(world: &World) {
        let mut browser = world.person("ada@example.org").await;
        let page = browser.get("/security").await;
        world.on_every("UPDATE OF created_at ON accounts", "DELETE FROM web_sessions").await;
        let late = browser.submit(&page, "/security/password", &[("new_password", "another long one")]).await;
        assert_eq!(late.status, StatusCode::FORBIDDEN, "{}", late.text);
    }

    async fn unlinking_an_app_ends_its_tokens_and_others_stay(world: &World) {
        let client = world.alexa().await;
        let other = world.client("other", false).await;
        let mut browser = world.person("ada@example.org").await;
        let first = world.link_as(&client, &mut browser).await;
        let second = world.link_as(&client, &mut browser).await;
        let kept = world.link_as(&other, &mut browser).await;
        let page = browser.get("/apps").await;
        assert_eq!(page.text.matches("/apps/alexa/unlink").count(), 1);
        assert!(page.text.contains("Play, pause, skip") && page.text.contains("just now"));
        let page = browser.get("/apps/alexa/unlink").await;
        browser.submit(&page, "/apps/alexa/unlink", &[]).await;
        for tokens in [first, second] {
            assert!(!world.is_active(&client, text(&tokens, "access_token")).await);
            assert_eq!(world.refresh(&client, text(&tokens, "refresh_token")).await.error(), "invalid_grant");
        }
        assert_eq!(world.refresh(&other, text(&kept, "refresh_token")).await.status, StatusCode::OK);
        assert_eq!(browser.get("/apps/alexa/unlink").await.status, StatusCode::NOT_FOUND);
    }

    async fn operators_manage_clients(world: &World) {
        use macloud_account_service::{AdminError, NewClient};
        let client = world.alexa().await;
        let tokens = world.link(&client, "ada@example.org").await;
        let new = |id: &str, uri: &str| NewClient {
            client_id: id.into(), name: None, redirect_uris: vec![uri.into()], post_logout_redirect_uris: vec![], require_pkce: false, public: false,
            access_token_seconds: Some(400), ..Default::default()
        };
        let create = async |id: &str, uri: &str| world.service.create_client(new(id, uri)).await.err();
        assert!(matches!(create("alexa", "https://a.example/cb").await, Some(AdminError::Exists(_))));
        assert!(matches!(create("ma-connector", "https://a.example/cb").await, Some(AdminError::ClientId)));
        assert!(matches!(create("x", "http://a.example/cb").await, Some(AdminError::RedirectUri(_))));
        assert_eq!(create("x", "https://a.example/cb").await.map(|error| error.to_string()), None);
        assert_eq!(world.service.list_clients().await.unwrap().len(), 2);
        world.service.delete_client("alexa").await.unwrap();
        assert!(matches!(world.service.delete_client("alexa").await, Err(AdminError::Unknown(_))));
        assert_eq!(world.refresh(&client, text(&tokens, "refresh_token")).await.error(), "invalid_client");
    }

    async fn a_client_created_anew_by_another_process_works_at_once(world: &World) {
        let client = world.alexa().await;
        let mut browser = world.person("ada@example.org").await;
        world.link_as(&client, &mut browser).await;
        let operator = world.second_node().await;
        operator.delete_client("alexa").await.unwrap();
        let mut new = NewClient {
            client_id: "alexa".into(), name: None, redirect_uris: vec![crate::harness::REDIRECT.into()], post_logout_redirect_uris: vec![], require_pkce: true,
            public: false, access_token_seconds: None, ..Default::default()
        };
        let renewed = operator.create_client(new.clone()).await.unwrap();
        world.link_as(&renewed, &mut browser).await;
        operator.delete_client("alexa").await.unwrap();
        new.redirect_uris = vec!["https://new.example/cb".into()];
        operator.create_client(new).await.unwrap();
        let mut asked = Authorization::new("alexa");
        asked.redirect_uri = "https://new.example/cb".into();
        browser.allow(&asked).await;
        operator.close().await;
    }
}

#[tokio::test]
async fn guessing_passwords_is_limited_without_locking_the_owner_out() {
    let limit = |config: &mut Config| {
        config.limits.wrong_passwords_per_account_and_address = "3/60".parse().unwrap();
        config.limits.client_address_header = Some("x-client".into());
    };
    World::with_settings(Kind::Sqlite, limit, async |world| {
        world.service.create_user("ada@example.org", PASSWORD).await.unwrap();
        let mut browser = world.browser();
        let page = browser.get("/sign-in").await;
        let cookie = format!("__Host-macloud={}", browser.cookie.clone().unwrap());
        let attempt = async |from: &str, password: &str| {
            let mut fields = page.hidden_fields("/sign-in");
            fields.push(("email".into(), "ada@example.org".into()));
            fields.push(("password".into(), password.into()));
            let headers = [("cookie", cookie.as_str()), ("x-client", from)];
            world.send(raw_request("/sign-in", &headers, crate::harness::encode_form(&fields))).await
        };
        for _ in 0..5 {
            assert_eq!(attempt("192.0.2.1", PASSWORD).await.status, StatusCode::SEE_OTHER);
        }
        for _ in 0..3 {
            assert_eq!(attempt("192.0.2.1", "wrong").await.status, StatusCode::UNPROCESSABLE_ENTITY);
        }
        let refused = attempt("192.0.2.1", PASSWORD).await;
        assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(refused.header("retry-after"), "20");
        assert_eq!(attempt("evil, 192.0.2.2", PASSWORD).await.status, StatusCode::SEE_OTHER);
        world.advance(20);
        assert_eq!(attempt("192.0.2.1", PASSWORD).await.status, StatusCode::SEE_OTHER);
    })
    .await;
}

#[tokio::test]
async fn everything_has_protective_headers_and_assets_are_kept() {
    World::with(Kind::Sqlite, async |world| {
        let mut browser = world.browser();
        let page = browser.get("/").await;
        assert!(page.header("content-security-policy").contains("form-action 'self';"));
        let stylesheet = page.text.split("stylesheet\" href=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        let css = browser.get(&stylesheet).await;
        assert_eq!((css.status, css.header("content-type")), (StatusCode::OK, "text/css; charset=utf-8"));
        assert!(css.header("cache-control").contains("immutable"));
        for path in ["/", "/oauth/jwks", "/sign-in", "/assets/none", "/homes", stylesheet.as_str()] {
            let answer = browser.get(path).await;
            assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
            assert!(answer.header("content-security-policy").contains("frame-ancestors 'none'"), "{path}");
            assert_eq!(answer.header("date"), "Sun, 22 Nov 2026 00:00:00 GMT");
        }
        assert_eq!(browser.get("/.well-known/unknown").await.status, StatusCode::NOT_FOUND);
        let lost = world.service.not_found(&Request::get("/lost").body(Body::empty()).unwrap());
        assert_eq!(lost.status(), StatusCode::NOT_FOUND);
    })
    .await;
}

#[tokio::test]
async fn on_plain_loopback_the_cookie_has_a_plain_name() {
    let plain = |config: &mut Config| config.public_url = "http://127.0.0.1:8080".into();
    World::with_settings(Kind::Sqlite, plain, async |world| {
        let answer = world.send(Request::get("/sign-in").body(Body::empty()).unwrap()).await;
        let cookie = answer.header("set-cookie");
        assert!(cookie.starts_with("macloud=") && !cookie.contains("Secure"), "{cookie}");
        assert_eq!(answer.header("strict-transport-security"), "");
    })
    .await;
}

#[tokio::test]
async fn a_cloud_can_be_closed_to_strangers() {
    let close = |config: &mut Config| config.limits.sign_up = macloud_account_service::SignUp::Closed;
    World::with_settings(Kind::Sqlite, close, async |world| {
        let mut browser = world.browser();
        for path in ["/", "/sign-in?next=%2Fpair"] {
            let page = browser.get(path).await;
            assert_eq!(page.status, StatusCode::OK);
            assert!(!page.text.contains("/sign-up"), "{path}");
        }
        let refused = browser.get("/sign-up?next=%2Fpair").await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN);
        assert!(refused.text.contains("ask them for one"), "{}", refused.text);
        let fields = [("email", "eve@example.org"), ("password", PASSWORD)].map(|(n, v)| (n.to_owned(), v.to_owned()));
        assert_eq!(browser.post("/sign-up", &fields).await.status, StatusCode::FORBIDDEN);
        assert!(world.service.list_users().await.unwrap().is_empty());
        // The operator's own way stays open, and so does signing in.
        let mut ada = world.person("ada@example.org").await;
        assert_eq!(ada.get("/homes").await.status, StatusCode::OK);
    })
    .await;
}

#[tokio::test]
async fn a_cloud_without_a_name_promises_no_passkeys() {
    let numbered = |config: &mut Config| config.public_url = "https://192.0.2.1".into();
    World::with_settings(Kind::Sqlite, numbered, async |world| {
        let mut browser = world.person("ada@example.org").await;
        assert!(!browser.get("/security").await.text.contains("/security/passkeys"));
        let page = browser.get("/security/passkeys").await.text;
        assert!(page.contains("passkeys need a name") && !page.contains("another device"), "{page}");
    })
    .await;
    World::with(Kind::Sqlite, async |world| {
        let mut browser = world.person("ada@example.org").await;
        assert!(browser.get("/security").await.text.contains("/security/passkeys"));
    })
    .await;
}
