//! The database goes away: everyone is told to come back, nobody is unlinked.

use axum::http::StatusCode;

use crate::harness::{Authorization, Kind, PASSWORD, World, basic, on_both_databases, text};

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

#[tokio::test]
async fn what_we_could_not_look_at_is_no_wrong_code() {
    let limit = |config: &mut macloud_account_service::Config| {
        config.limits.wrong_second_steps_per_account = "2/900".parse().unwrap();
    };
    World::with_settings(Kind::Sqlite, limit, async |world| {
        let mut browser = world.person("ada@example.org").await;
        let (app, _) = crate::second_step::turn_on(world, &mut browser).await;
        world.advance(30);
        let mut other = world.browser();
        let page = other.get("/sign-in").await;
        let step = other.submit(&page, "/sign-in", &[("email", "ada@example.org"), ("password", PASSWORD)]).await;
        let code = app.shows(world);
        world.on_every("UPDATE ON totp_secrets", "INSERT INTO accounts (id) VALUES (NULL)").await;
        for _ in 0..5 {
            let failed = other.submit(&step, "/sign-in/code", &[("code", &code)]).await;
            assert_eq!(failed.status, StatusCode::SERVICE_UNAVAILABLE, "{}", failed.text);
        }
        world.no_more("totp_secrets").await;
        let landed = other.submit(&step, "/sign-in/code", &[("code", &code)]).await;
        assert_eq!(landed.status, StatusCode::SEE_OTHER, "{}", landed.text);
    })
    .await;
}
