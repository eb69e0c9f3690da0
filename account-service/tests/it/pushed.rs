//! Pushed authorization requests (RFC 9126).

use axum::http::StatusCode;
use macloud_account_service::CreatedClient;

use crate::harness::{
    Answer, Authorization, Browser, PASSWORD, World, basic, encode_form, on_both_databases, raw_request, text,
};

async fn push(world: &World, client: &CreatedClient, parameters: &[(String, String)]) -> Answer {
    let header = basic(client);
    world.send(raw_request("/oauth/par", &[("authorization", &header)], encode_form(parameters))).await
}

async fn pushed(world: &World, client: &CreatedClient, asked: &Authorization) -> String {
    let answer = push(world, client, &asked.parameters()).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
    assert_eq!(answer.header("cache-control"), "no-store");
    let answer = answer.json();
    assert_eq!(answer["expires_in"], 600);
    let reference = [("client_id", client.client.id.as_str()), ("request_uri", text(&answer, "request_uri"))];
    let reference = reference.map(|(name, value)| (name.to_owned(), value.to_owned()));
    format!("/oauth/authorize?{}", encode_form(&reference))
}

/// Open a link that demands signing in anew again and again, and try to get around it by the form of another consent.
async fn a_link_that_is_opened_twice(
    world: &World,
    client: &CreatedClient,
    browser: &mut Browser<'_>,
    demand: (&str, &str),
) {
    let consent = browser.get(&Authorization::new("alexa").path()).await;
    world.advance(10);
    let path = pushed(world, client, &Authorization::new("alexa").with(demand.0, demand.1)).await;
    let mut sign_in = String::new();
    for _ in 0..3 {
        sign_in = browser.get(&path).await.location().to_owned();
        assert!(sign_in.starts_with("/sign-in?next=") && sign_in.ends_with("&again=1"), "{sign_in}");
    }
    // Nor does a form that was opened for something else get around it.
    let mut fields = consent.hidden_fields("/oauth/consent");
    for field in fields.iter_mut().filter(|(name, _)| name == "request") {
        field.1 = path.trim_start_matches("/oauth/authorize?").to_owned();
    }
    fields.push(("decision".into(), "allow".into()));
    let around = browser.post("/oauth/consent", &fields).await;
    assert!(around.location().starts_with("/sign-in"), "{}", around.location());
    let mut landed = String::new();
    for _ in 0..2 {
        let form = browser.get(&sign_in).await;
        let back = browser.submit(&form, "/sign-in", &[("email", "ada@example.org"), ("password", PASSWORD)]).await;
        landed = back.location().to_owned();
    }
    let page = browser.get(&landed).await;
    let answer = browser.submit(&page, "/oauth/consent", &[("decision", "allow")]).await;
    assert!(answer.redirect_parameter("code").is_some(), "{}", answer.text);
}

on_both_databases! {
    async fn a_pushed_request_becomes_tokens_once(world: &World) {
        let client = world.alexa().await;
        let mut browser = world.person("ada@example.org").await;
        let asked = Authorization::new("alexa");
        let path = pushed(world, &client, &asked).await;
        // Reloading decides nothing, and what the browser adds does not count.
        browser.get(&path).await;
        let page = browser.get(&format!("{path}&scope=openid&state=evil&redirect_uri=https%3A%2F%2Fevil.example")).await;
        assert!(page.text.contains("Play, pause, skip"), "{}", page.text);
        assert!(!page.text.contains("a%20state"), "the request stays out of the browser");
        let answer = browser.submit(&page, "/oauth/consent", &[("decision", "allow")]).await;
        assert_eq!(answer.redirect_parameter("state").as_deref(), Some("a state"), "{}", answer.text);
        let code = answer.redirect_parameter("code").unwrap();
        assert_eq!(world.redeem(&client, &code, &asked).await.status, StatusCode::OK);
        assert_eq!(browser.get(&path).await.status, StatusCode::BAD_REQUEST);
        assert_eq!(browser.submit(&page, "/oauth/consent", &[("decision", "allow")]).await.status, StatusCode::BAD_REQUEST);
    }

    async fn a_reference_is_its_clients_and_ages_and_is_used_up_by_a_refusal(world: &World) {
        let client = world.alexa().await;
        world.client("other", false).await;
        let mut browser = world.person("ada@example.org").await;
        let path = pushed(world, &client, &Authorization::new("alexa")).await;
        let stolen = path.replacen("client_id=alexa", "client_id=other", 1);
        let answer = browser.get(&stolen).await;
        assert_eq!((answer.status, answer.location()), (StatusCode::BAD_REQUEST, ""));
        let page = browser.get(&path).await;
        let denied = browser.submit(&page, "/oauth/consent", &[("decision", "deny")]).await;
        assert_eq!(denied.redirect_parameter("error").as_deref(), Some("access_denied"));
        assert_eq!(browser.get(&path).await.status, StatusCode::BAD_REQUEST);
        let path = pushed(world, &client, &Authorization::new("alexa")).await;
        world.advance(600);
        assert_eq!(browser.get(&path).await.status, StatusCode::BAD_REQUEST);
        assert!(world.service.housekeep().await.unwrap() > 0);
    }

    async fn whoever_signs_in_on_the_way_comes_back_to_it(world: &World) {
        let client = world.alexa().await;
        let mut browser = world.person("ada@example.org").await;
        world.advance(10);
        for more in [("prompt", "login"), ("max_age", "0")] {
            let path = pushed(world, &client, &Authorization::new("alexa").with(more.0, more.1)).await;
            let sign_in = browser.get(&path).await.location().to_owned();
            assert!(sign_in.starts_with("/sign-in?next="), "{sign_in}");
            let form = browser.get(&sign_in).await;
            let back = browser.submit(&form, "/sign-in", &[("email", "ada@example.org"), ("password", PASSWORD)]).await;
            let back = back.location().to_owned();
            let page = browser.get(&back).await;
            let answer = browser.submit(&page, "/oauth/consent", &[("decision", "allow")]).await;
            assert!(answer.redirect_parameter("code").is_some(), "{}", answer.text);
            // Signing in counts for what was pushed in the same second.
            world.advance(1);
        }
    }

    async fn a_link_that_is_opened_twice_still_asks_to_sign_in(world: &World) {
        let client = world.alexa().await;
        let mut browser = world.person("ada@example.org").await;
        for demand in [("prompt", "login"), ("max_age", "0"), ("max_age", "5")] {
            a_link_that_is_opened_twice(world, &client, &mut browser, demand).await;
        }
    }

    async fn a_consent_that_could_not_be_kept_can_be_given_again(world: &World) {
        let client = world.alexa().await;
        let mut browser = world.person("ada@example.org").await;
        let asked = Authorization::new("alexa");
        let path = pushed(world, &client, &asked).await;
        let page = browser.get(&path).await;
        world.execute("ALTER TABLE codes RENAME TO codes_away".into()).await;
        let failed = browser.submit(&page, "/oauth/consent", &[("decision", "allow")]).await;
        assert_eq!(failed.status, StatusCode::SERVICE_UNAVAILABLE, "{}", failed.text);
        world.execute("ALTER TABLE codes_away RENAME TO codes".into()).await;
        let answer = browser.submit(&page, "/oauth/consent", &[("decision", "allow")]).await;
        let code = answer.redirect_parameter("code").unwrap_or_else(|| panic!("no code: {}", answer.text));
        assert_eq!(world.redeem(&client, &code, &asked).await.status, StatusCode::OK);
    }

    async fn what_is_wrong_is_told_to_the_client_at_once(world: &World) {
        let client = world.alexa().await;
        let base = || Authorization::new("alexa");
        let cases = [
            (Authorization { redirect_uri: "https://evil.example/".into(), ..base() }, "invalid_request"),
            (Authorization { scope: "admin".into(), ..base() }, "invalid_scope"),
            (Authorization::new("other"), "invalid_client"),
            (base().with("request_uri", "urn:ietf:params:oauth:request_uri:x"), "invalid_request"),
            (base().with("request", "x.y.z"), "request_not_supported"),
            (Authorization { verifier: None, ..base() }.with("code_challenge", "short").with("code_challenge_method", "S256"), "invalid_request"),
        ];
        for (asked, error) in cases {
            let answer = push(world, &client, &asked.parameters()).await;
            assert!(answer.status.is_client_error());
            assert_eq!(answer.error(), error, "{}", answer.text);
        }
        let long = base().with("nonce2", &"x".repeat(9000));
        assert_eq!(push(world, &client, &long.parameters()).await.status, StatusCode::PAYLOAD_TOO_LARGE);
        let unproved = world.send(raw_request("/oauth/par", &[], encode_form(&base().parameters()))).await;
        assert_eq!((unproved.status, unproved.error()), (StatusCode::UNAUTHORIZED, "invalid_client".into()));
        let foreign = world.browser().get("/oauth/authorize?client_id=alexa&request_uri=http%3A%2F%2F127.0.0.1%3A1%2F").await;
        assert_eq!((foreign.status, foreign.location()), (StatusCode::BAD_REQUEST, ""));
    }
}
