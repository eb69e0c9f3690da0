//! Signing out at a client's wish.

use axum::http::StatusCode;
use macloud_account_service::ClientChange;

use crate::harness::{ISSUER, SIGNED_OUT, World, encode_form, on_both_databases, raw_request, text};

fn path(parameters: &[(&str, &str)]) -> String {
    let pairs: Vec<_> = parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    format!("/oauth/logout?{}", encode_form(&pairs))
}

on_both_databases! {
    async fn a_person_signs_out_and_goes_back_to_the_app(world: &World) {
        let client = world.alexa().await;
        let mut browser = world.person("ada@example.org").await;
        let tokens = world.link_as(&client, &mut browser).await;
        // Weeks later: the id token has expired, and still says whose it was.
        world.advance(14 * 24 * 3600);
        let asked = path(&[("id_token_hint", text(&tokens, "id_token")), ("post_logout_redirect_uri", SIGNED_OUT), ("state", "a&b")]);
        let page = browser.get(&asked).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.text);
        assert!(page.header("content-security-policy").contains("form-action 'self' https://app.example;"));
        assert_eq!(browser.get("/homes").await.status, StatusCode::OK, "opening the link signs nobody out");
        let action = page.text.split("action=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        let plain = action.replace("&#38;", "&");
        let fields = page.hidden_fields(&action);
        let gone = browser.post(&plain, &fields).await;
        assert_eq!(gone.status, StatusCode::SEE_OTHER, "{}", gone.text);
        assert_eq!(gone.location(), format!("{SIGNED_OUT}&state=a%26b"));
        assert_eq!(browser.get("/homes").await.status, StatusCode::SEE_OTHER);
        // Nobody is signed in any more: there is nothing to ask.
        assert_eq!(browser.get(&asked).await.location(), gone.location());
        assert_eq!(world.refresh(&client, text(&tokens, "refresh_token")).await.status, StatusCode::OK);
    }

    async fn it_leads_nowhere_that_was_not_registered(world: &World) {
        world.alexa().await;
        let client = world.client("other", false).await;
        let mut browser = world.person("ada@example.org").await;
        let tokens = world.link_as(&client, &mut browser).await;
        let hint = text(&tokens, "id_token");
        let forged = format!("{hint}x");
        let wrong: [&[(&str, &str)]; 8] = [
            &[("client_id", "alexa"), ("post_logout_redirect_uri", "https://evil.example/")],
            &[("client_id", "alexa"), ("post_logout_redirect_uri", "https://app.example/signed-out?from=cloud&x")],
            &[("client_id", "alexa"), ("post_logout_redirect_uri", "https://layla.amazon.com/api/skill/link/M1")],
            &[("client_id", "nobody"), ("post_logout_redirect_uri", SIGNED_OUT)],
            &[("post_logout_redirect_uri", SIGNED_OUT)],
            &[("id_token_hint", &forged), ("post_logout_redirect_uri", SIGNED_OUT)],
            &[("id_token_hint", hint), ("client_id", "alexa"), ("post_logout_redirect_uri", SIGNED_OUT)],
            &[("id_token_hint", "x.y.z")],
        ];
        for parameters in wrong {
            for visitor in [&mut browser, &mut world.browser()] {
                let answer = visitor.get(&path(parameters)).await;
                assert_eq!((answer.status, answer.location()), (StatusCode::BAD_REQUEST, ""), "{parameters:?}");
            }
        }
        // Without an address, or with a client's own, it asks.
        for parameters in [&[][..], &[("client_id", "alexa"), ("post_logout_redirect_uri", SIGNED_OUT)]] {
            assert_eq!(browser.get(&path(parameters)).await.status, StatusCode::OK);
        }
    }

    async fn an_address_registered_just_now_is_known(world: &World) {
        world.alexa().await;
        let other = world.second_node().await;
        let mut browser = world.person("ada@example.org").await;
        let asked = path(&[("client_id", "alexa"), ("post_logout_redirect_uri", "https://app.example/new")]);
        assert_eq!(browser.get(&asked).await.status, StatusCode::BAD_REQUEST);
        let change = ClientChange {
            post_logout_redirect_uris: Some(vec!["https://app.example/new".into()]),
            ..ClientChange::default()
        };
        other.update_client("alexa", change).await.unwrap();
        assert_eq!(browser.get(&asked).await.status, StatusCode::OK);
        other.close().await;
    }

    async fn another_site_can_neither_sign_out_nor_confirm(world: &World) {
        world.alexa().await;
        let mut browser = world.person("ada@example.org").await;
        let posted = world.send(raw_request("/oauth/logout", &[], "client_id=alexa&state=x")).await;
        assert_eq!((posted.status, posted.location()), (StatusCode::SEE_OTHER, "/oauth/logout?client_id=alexa&state=x"));
        let page = browser.get("/oauth/logout").await;
        let fields = page.hidden_fields("/oauth/logout/confirm?");
        let cookie = format!("__Host-macloud={}", browser.cookie.as_deref().unwrap());
        let foreign = [("cookie", cookie.as_str()), ("origin", "https://evil.example")];
        let refused = world.send(raw_request("/oauth/logout/confirm", &foreign, encode_form(&fields))).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN);
        assert_eq!(browser.post("/oauth/logout/confirm", &[]).await.status, StatusCode::FORBIDDEN);
        assert_eq!(browser.get("/homes").await.status, StatusCode::OK);
        let document = browser.get("/.well-known/openid-configuration").await.json();
        assert_eq!(text(&document, "end_session_endpoint"), format!("{ISSUER}/oauth/logout"));
    }
}
