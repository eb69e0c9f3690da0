//! Revocation, introspection, userinfo.

use axum::body::Body;
use axum::http::{Request, StatusCode};

use crate::harness::{World, basic, on_both_databases, text};

fn userinfo(method: &str, path: &str, authorization: &str) -> Request<Body> {
    let request = Request::builder().method(method).uri(path);
    let request = if authorization.is_empty() { request } else { request.header("authorization", authorization) };
    request.body(Body::empty()).unwrap()
}

on_both_databases! {
    async fn revoking_the_refresh_token_ends_everything(world: &World) {
        let client = world.alexa().await;
        let tokens = world.link(&client, "ada@example.org").await;
        let header = basic(&client);
        // A wrong hint does not matter.
        let form = [("token", text(&tokens, "refresh_token")), ("token_type_hint", "access_token")];
        let answer = world.post("/oauth/revoke", &[("authorization", &header)], &form).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert!(!world.is_active(&client, text(&tokens, "access_token")).await);
        assert_eq!(world.refresh(&client, text(&tokens, "refresh_token")).await.error(), "invalid_grant");
    }

    async fn revoking_an_access_token_ends_it_alone(world: &World) {
        let client = world.alexa().await;
        let tokens = world.link(&client, "ada@example.org").await;
        let header = basic(&client);
        let form = [("token", text(&tokens, "access_token"))];
        assert_eq!(world.post("/oauth/revoke", &[("authorization", &header)], &form).await.status, StatusCode::OK);
        assert!(!world.is_active(&client, text(&tokens, "access_token")).await);
        assert_eq!(world.refresh(&client, text(&tokens, "refresh_token")).await.status, StatusCode::OK);
    }

    async fn only_its_own_client_can_revoke_or_ask(world: &World) {
        let client = world.alexa().await;
        let other = world.client("other", false).await;
        world.client("public", true).await;
        let tokens = world.link(&client, "ada@example.org").await;
        let form = [("token", text(&tokens, "refresh_token"))];
        let header = basic(&other);
        assert_eq!(world.post("/oauth/revoke", &[("authorization", &header)], &form).await.status, StatusCode::OK);
        assert_eq!(world.post("/oauth/revoke", &[], &form).await.status, StatusCode::UNAUTHORIZED);
        assert!(world.is_active(&client, text(&tokens, "refresh_token")).await);
        let answer = world.post("/oauth/introspect", &[("authorization", &header)], &form).await;
        assert_eq!(answer.text, r#"{"active":false}"#);
        let public = [form[0], ("client_id", "public")];
        assert_eq!(world.post("/oauth/introspect", &[], &public).await.status, StatusCode::UNAUTHORIZED);
    }

    async fn unknown_tokens_are_revoked_already(world: &World) {
        let client = world.alexa().await;
        let header = basic(&client);
        for garbage in ["x", "mca_x", "mcr_\u{fc}"] {
            let answer = world.post("/oauth/revoke", &[("authorization", &header)], &[("token", garbage)]).await;
            assert_eq!(answer.status, StatusCode::OK);
            let answer = world.post("/oauth/introspect", &[("authorization", &header)], &[("token", garbage)]).await;
            assert_eq!(answer.text, r#"{"active":false}"#);
        }
        let answer = world.post("/oauth/revoke", &[("authorization", &header)], &[]).await;
        assert_eq!(answer.error(), "invalid_request");
    }

    async fn introspection_tells_the_client_about_its_token(world: &World) {
        let client = world.alexa().await;
        let tokens = world.link(&client, "ada@example.org").await;
        let header = basic(&client);
        let form = [("token", text(&tokens, "access_token"))];
        let answer = world.post("/oauth/introspect", &[("authorization", &header)], &form).await.json();
        assert_eq!(answer["active"], true);
        assert_eq!((text(&answer, "client_id"), text(&answer, "token_type")), ("alexa", "Bearer"));
        assert_eq!(answer["exp"].as_u64().unwrap() - answer["iat"].as_u64().unwrap(), 3600);
        world.advance(3600);
        assert!(!world.is_active(&client, text(&tokens, "access_token")).await);
    }

    async fn userinfo_answers_the_bearer_and_nobody_else(world: &World) {
        let client = world.alexa().await;
        let tokens = world.link(&client, "ada@example.org").await;
        let access = text(&tokens, "access_token");
        for method in ["GET", "POST"] {
            let answer = world.send(userinfo(method, "/oauth/userinfo", &format!("Bearer {access}"))).await;
            assert_eq!(text(&answer.json(), "email"), "ada@example.org");
            assert_eq!(answer.header("cache-control"), "no-store");
        }
        let in_query = format!("/oauth/userinfo?access_token={access}");
        for (path, authorization) in [("/oauth/userinfo", ""), ("/oauth/userinfo", "Bearer x"), (in_query.as_str(), ""), ("/oauth/userinfo", "Basic eDp5")] {
            let answer = world.send(userinfo("GET", path, authorization)).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
            assert!(answer.header("www-authenticate").starts_with("Bearer "));
        }
        let answer = world.send(userinfo("GET", "/oauth/userinfo", "Bearer x")).await;
        assert!(answer.header("www-authenticate").contains("invalid_token"));
    }
}
