//! The database goes away: everyone is told to come back, nobody is unlinked.

use axum::http::StatusCode;

use crate::harness::{Authorization, World, basic, on_both_databases, text};

on_both_databases! {
    async fn without_its_database_the_service_says_try_again(world: &World) {
        let client = world.alexa().await;
        let cold = world.client("cold", false).await;
        let mut browser = world.person("ada@example.org").await;
        let tokens = world.link_as(&client, &mut browser).await;
        let asked = Authorization::new("alexa");
        let code = browser.allow(&asked).await;
        world.lose_database().await;
        let refreshed = world.refresh(&client, text(&tokens, "refresh_token")).await;
        let by_unknown = world.refresh(&cold, text(&tokens, "refresh_token")).await;
        let redeemed = world.redeem(&client, &code, &asked).await;
        let header = basic(&client);
        let revoked = world.post("/oauth/revoke", &[("authorization", &header)], &[("token", text(&tokens, "refresh_token"))]).await;
        for answer in [refreshed, by_unknown, redeemed, revoked] {
            assert_eq!((answer.status, answer.error()), (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable".into()));
            assert_ne!(answer.header("retry-after"), "");
            assert_eq!(answer.header("cache-control"), "no-store");
        }
        for path in ["/homes", "/sign-in", &asked.path()] {
            let page = browser.get(path).await;
            assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE);
            assert!(page.text.contains("try again") && !page.header("retry-after").is_empty());
        }
        let request = macloud_proto::accounts::v1::ResolveAccessRequest { access_token: text(&tokens, "access_token").into() };
        let status = world.accounts().resolve_access(request).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::Unavailable);
        assert!(world.service.check_database().await.is_err());
    }
}
