//! `/oauth/authorize` and consent.

use axum::http::StatusCode;

use crate::harness::{Authorization, ISSUER, REDIRECT, World, encode_form, on_both_databases};

on_both_databases! {
    async fn state_comes_back_byte_for_byte_with_iss(world: &World) {
        world.alexa().await;
        let mut browser = world.person("ada@example.org").await;
        for state in ["simple", "with space + plus % percent & ampersand = equals", "ümläut ✓ 🎵", "%41%zz%", &"x".repeat(2048)] {
            let mut asked = Authorization::new("alexa");
            asked.state = state.into();
            let answer = browser.consent(&asked, "allow").await;
            assert_eq!(answer.status, StatusCode::SEE_OTHER);
            assert!(answer.location().starts_with(&format!("{REDIRECT}?code=mcc_")), "{}", answer.location());
            assert_eq!(answer.redirect_parameter("state").as_deref(), Some(state));
            assert_eq!(answer.redirect_parameter("iss").as_deref(), Some(ISSUER));
            assert!(answer.location().is_ascii());
        }
    }

    async fn a_redirect_uri_with_a_query_keeps_it(world: &World) {
        world.alexa().await;
        let mut browser = world.person("ada@example.org").await;
        let mut asked = Authorization::new("alexa");
        asked.redirect_uri = "http://127.0.0.1:9/cb?fixed=1".into();
        let answer = browser.consent(&asked, "allow").await;
        assert!(answer.location().starts_with("http://127.0.0.1:9/cb?fixed=1&code="), "{}", answer.location());
    }

    async fn unknown_clients_and_redirect_uris_never_redirect(world: &World) {
        world.alexa().await;
        let mut browser = world.person("ada@example.org").await;
        let unknown = browser.get(&Authorization::new("nobody").path()).await;
        assert_eq!((unknown.status, unknown.location()), (StatusCode::BAD_REQUEST, ""));
        let mutations = [
            "", "https://layla.amazon.com/api/skill/link/M1/", "https://layla.amazon.com/api/skill/link/m1",
            "https://layla.amazon.com/api/skill/link/M1?x=1", "https://layla.amazon.com/api/skill/link/M1#x",
            "https://LAYLA.amazon.com/api/skill/link/M1", "https://user@layla.amazon.com/api/skill/link/M1",
            "https://layla.amazon.com.evil.example/api/skill/link/M1", "https://layla.amazon.com:444/api/skill/link/M1",
            "http://layla.amazon.com/api/skill/link/M1", "https://layla.amazon.com/api/skill/x/../link/M1",
            "https://layla.amazon.com/api/skill/link/M1%00", "javascript:alert(1)", "//layla.amazon.com/api/skill/link/M1",
            " https://layla.amazon.com/api/skill/link/M1", "https://layla.amazon.com/api/skill/link/M1 ",
        ];
        for uri in mutations {
            for more in [("prompt", "login"), ("response_type2", "x")] {
                let mut asked = Authorization::new("alexa").with(more.0, more.1);
                asked.redirect_uri = uri.into();
                let answer = browser.get(&asked.path()).await;
                assert_eq!((answer.status, answer.location()), (StatusCode::BAD_REQUEST, ""), "{uri}");
            }
        }
    }

    async fn two_mistakes_at_once_do_not_redirect_either(world: &World) {
        world.client("public", true).await;
        let mut browser = world.person("ada@example.org").await;
        let evil = Authorization { redirect_uri: "https://evil.example/".into(), ..Authorization::new("public") };
        let mistakes = [
            Authorization { verifier: None, ..evil.clone() },
            Authorization { scope: "admin".into(), ..evil.clone() },
            Authorization { scope: String::new(), ..evil.clone() },
            evil.clone().with("prompt", "none"),
            evil.clone().with("prompt", "nonsense"),
            evil.clone().with("request", "x.y.z"),
            evil.clone().with("response_mode", "fragment"),
        ];
        let mut paths: Vec<String> = mistakes.iter().map(Authorization::path).collect();
        paths.push(evil.path().replacen("response_type=code", "response_type=token", 1));
        paths.push(evil.path().replacen("response_type=code&", "", 1));
        for path in paths {
            let answer = browser.get(&path).await;
            assert_eq!((answer.status, answer.location()), (StatusCode::BAD_REQUEST, ""), "{path}");
        }
    }

    async fn an_unknown_scope_is_never_granted(world: &World) {
        let client = world.alexa().await;
        let mut browser = world.person("ada@example.org").await;
        let scope = "music_assistant.read admin openid music_assistant.* MUSIC_ASSISTANT.CONTROL".to_owned();
        let asked = Authorization { scope, ..Authorization::new("alexa") };
        let code = browser.allow(&asked).await;
        let tokens = world.redeem(&client, &code, &asked).await.json();
        assert_eq!(tokens["scope"], "music_assistant.read openid");
        let fresh = world.refresh(&client, tokens["refresh_token"].as_str().unwrap()).await.json();
        assert_eq!(fresh["scope"], "music_assistant.read openid");
    }

    async fn nothing_that_had_a_password_or_code_is_sent_on_with_its_body(world: &World) {
        world.alexa().await;
        let mut browser = world.browser();
        world.service.create_user("ada@example.org", crate::harness::PASSWORD).await.unwrap();
        let page = browser.get("/sign-in?next=%2Fapps").await;
        let landed = browser.submit(&page, "/sign-in", &[("email", "ada@example.org"), ("password", crate::harness::PASSWORD)]).await;
        assert_eq!(landed.status, StatusCode::SEE_OTHER, "never 307 or 308");
        let answer = browser.consent(&Authorization::new("alexa"), "allow").await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "never 307 or 308");
    }

    async fn wrong_requests_go_back_with_error_state_and_iss(world: &World) {
        world.alexa().await;
        let mut browser = world.person("ada@example.org").await;
        let base = || Authorization::new("alexa");
        let without_pkce = || Authorization { verifier: None, ..base() };
        let cases = [
            (without_pkce().with("code_challenge", &"a".repeat(43)).with("code_challenge_method", "plain"), "invalid_request"),
            (without_pkce().with("code_challenge", &"a".repeat(43)), "invalid_request"),
            (without_pkce().with("code_challenge", "short").with("code_challenge_method", "S256"), "invalid_request"),
            (without_pkce().with("code_challenge_method", "S256"), "invalid_request"),
            (base().with("request", "x.y.z"), "request_not_supported"),
            (base().with("request_uri", "http://127.0.0.1:1/"), "request_uri_not_supported"),
            (base().with("response_mode", "fragment"), "invalid_request"),
            (base().with("prompt", "none login"), "invalid_request"),
            (base().with("max_age", "soon"), "invalid_request"),
            (Authorization { scope: "admin".into(), ..base() }, "invalid_scope"),
            (Authorization { scope: String::new(), ..base() }, "invalid_scope"),
        ];
        for (asked, error) in cases {
            let answer = browser.get(&asked.path()).await;
            assert_eq!(answer.redirect_parameter("error").as_deref(), Some(error), "{}", asked.path());
            assert_eq!(answer.redirect_parameter("state").as_deref(), Some("a state"));
            assert_eq!(answer.redirect_parameter("iss").as_deref(), Some(ISSUER));
            assert!(!answer.location().contains('#'));
        }
        for response_type in ["token", "id_token", "code token", "code id_token", ""] {
            let path = base().path().replacen("response_type=code", &format!("response_type={response_type}").replace(' ', "+"), 1);
            let answer = browser.get(&path).await;
            let expected = if response_type.is_empty() { "invalid_request" } else { "unsupported_response_type" };
            assert_eq!(answer.redirect_parameter("error").as_deref(), Some(expected), "{response_type}");
            assert!(!answer.location().contains('#'));
        }
    }

    async fn pkce_is_needed_where_the_client_says_so(world: &World) {
        world.client("public", true).await;
        let mut browser = world.person("ada@example.org").await;
        let answer = browser.get(&Authorization { verifier: None, ..Authorization::new("public") }.path()).await;
        assert_eq!(answer.redirect_parameter("error").as_deref(), Some("invalid_request"));
        let answer = browser.get(&Authorization::new("public").path()).await;
        assert_eq!(answer.status, StatusCode::OK);
    }

    async fn duplicated_parameters_are_refused(world: &World) {
        world.alexa().await;
        let mut browser = world.person("ada@example.org").await;
        for twice in ["state=b", "client_id=alexa", "redirect_uri=https%3A%2F%2Fevil.example", "scope=openid"] {
            let answer = browser.get(&format!("{}&{twice}", Authorization::new("alexa").path())).await;
            assert_eq!((answer.status, answer.location()), (StatusCode::BAD_REQUEST, ""));
        }
    }

    async fn whoever_is_not_signed_in_signs_in_and_comes_back(world: &World) {
        world.alexa().await;
        world.service.create_user("ada@example.org", crate::harness::PASSWORD).await.unwrap();
        let mut browser = world.browser();
        let asked = Authorization::new("alexa");
        let sent = browser.get(&asked.path()).await;
        assert!(sent.location().starts_with("/sign-in?next=%2Foauth%2Fauthorize"), "{}", sent.location());
        let location = sent.location().to_owned();
        let form = browser.get(&location).await;
        let back = browser.submit(&form, "/sign-in", &[("email", "ada@example.org"), ("password", crate::harness::PASSWORD)]).await;
        let location = back.location().to_owned();
        let page = browser.get(&location).await;
        let answer = browser.submit(&page, "/oauth/consent", &[("decision", "allow")]).await;
        assert!(answer.redirect_parameter("code").is_some());
        assert_eq!(answer.redirect_parameter("state").as_deref(), Some("a state"));
    }

    async fn denial_goes_back_as_access_denied(world: &World) {
        world.alexa().await;
        let mut browser = world.person("ada@example.org").await;
        let answer = browser.consent(&Authorization::new("alexa"), "deny").await;
        assert_eq!(answer.redirect_parameter("error").as_deref(), Some("access_denied"));
        assert_eq!(answer.redirect_parameter("state").as_deref(), Some("a state"));
        assert!(answer.redirect_parameter("code").is_none());
    }

    async fn prompt_none_never_shows_a_page(world: &World) {
        let client = world.alexa().await;
        let silent = Authorization::new("alexa").with("prompt", "none");
        let answer = world.browser().get(&silent.path()).await;
        assert_eq!(answer.redirect_parameter("error").as_deref(), Some("login_required"));
        let mut browser = world.person("ada@example.org").await;
        let answer = browser.get(&silent.path()).await;
        assert_eq!(answer.redirect_parameter("error").as_deref(), Some("consent_required"));
        world.link_as(&client, &mut browser).await;
        let answer = browser.get(&silent.path()).await;
        assert!(answer.redirect_parameter("code").is_some());
    }

    async fn prompt_login_and_max_age_ask_for_the_password_once(world: &World) {
        world.alexa().await;
        let mut browser = world.person("ada@example.org").await;
        world.advance(10);
        for more in [("prompt", "login"), ("max_age", "1"), ("max_age", "0")] {
            let old = browser.cookie.clone();
            let asked = Authorization::new("alexa").with(more.0, more.1);
            let sent = browser.get(&asked.path()).await.location().to_owned();
            assert!(sent.starts_with("/sign-in?next="), "{sent}");
            let form = browser.get(&sent).await;
            assert_eq!(form.status, StatusCode::OK);
            let back = browser.submit(&form, "/sign-in", &[("email", "ada@example.org"), ("password", crate::harness::PASSWORD)]).await;
            let location = back.location().to_owned();
            assert_ne!(browser.cookie, old, "the session id must change at sign-in");
            let page = browser.get(&location).await;
            assert_eq!(page.status, StatusCode::OK, "{location}");
            world.advance(10);
        }
        let asked = Authorization::new("alexa").with("max_age", "100");
        assert_eq!(browser.get(&asked.path()).await.status, StatusCode::OK);
    }

    async fn a_request_may_come_by_post(world: &World) {
        world.alexa().await;
        let mut browser = world.person("ada@example.org").await;
        let begun = browser.post("/oauth/authorize", &Authorization::new("alexa").parameters()).await;
        let page = browser.get(begun.location()).await;
        assert_eq!(page.status, StatusCode::OK);
        let answer = browser.submit(&page, "/oauth/consent", &[("decision", "allow")]).await;
        assert!(answer.redirect_parameter("code").is_some());
        let long = Authorization::new("alexa").with("claims", &"x".repeat(9000));
        assert_eq!(browser.post("/oauth/authorize", &long.parameters()).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    }

    async fn a_post_from_elsewhere_leaves_the_browser_signed_in(world: &World) {
        world.alexa().await;
        let mut browser = world.person("ada@example.org").await;
        // From another site browsers send no cookie along; what the answer sets would stand in its place.
        for parameters in [Authorization::new("alexa").parameters(), vec![("client_id".into(), "x".into())]] {
            let sent = world.browser().post("/oauth/authorize", &parameters).await;
            assert_eq!((sent.status, sent.header("set-cookie")), (StatusCode::SEE_OTHER, ""));
            let page = browser.get(sent.location()).await;
            assert_eq!(page.status == StatusCode::OK, parameters.len() > 1, "{}", page.text);
        }
        assert_eq!(browser.get("/homes").await.status, StatusCode::OK);
    }

    async fn the_consent_page_is_protected(world: &World) {
        world.alexa().await;
        let mut browser = world.person("ada@example.org").await;
        let page = browser.get(&Authorization::new("alexa").path()).await;
        let policy = page.header("content-security-policy");
        assert!(policy.contains("form-action 'self' https://layla.amazon.com;"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'") && policy.contains("default-src 'none'"), "{policy}");
        assert!(!policy.contains("unsafe"));
        assert_eq!(page.header("x-content-type-options"), "nosniff");
        assert_eq!(page.header("cache-control"), "no-store");
        assert_eq!(page.header("referrer-policy"), "same-origin");
        assert_eq!(page.header("x-frame-options"), "DENY");
        assert!(page.header("strict-transport-security").starts_with("max-age="));
        assert_eq!(page.header("access-control-allow-origin"), "");
        assert!(page.text.contains("Amazon Alexa") && page.text.contains("ada@example.org"));
        assert!(!page.text.contains("<script"));
    }

    async fn consent_cannot_be_forged(world: &World) {
        world.alexa().await;
        let mut browser = world.person("ada@example.org").await;
        let page = browser.get(&Authorization::new("alexa").path()).await;
        let mut fields = page.hidden_fields("/oauth/consent");
        fields.push(("decision".into(), "allow".into()));
        // Another browser's token, no token, no cookie.
        let mut other = world.person("eve@example.org").await;
        assert_eq!(other.post("/oauth/consent", &fields).await.status, StatusCode::FORBIDDEN);
        assert_eq!(world.browser().post("/oauth/consent", &fields).await.status, StatusCode::FORBIDDEN);
        let without: Vec<_> = fields.iter().filter(|(name, _)| name != "form_token").cloned().collect();
        assert_eq!(browser.post("/oauth/consent", &without).await.status, StatusCode::FORBIDDEN);
        // From another origin.
        for (name, value) in [("origin", "https://evil.example"), ("origin", "null"), ("sec-fetch-site", "cross-site")] {
            let cookie = format!("__Host-macloud={}", browser.cookie.as_deref().unwrap());
            let request = crate::harness::raw_request("/oauth/consent", &[("cookie", &cookie), (name, value)], encode_form(&fields));
            assert_eq!(world.send(request).await.status, StatusCode::FORBIDDEN, "{name}: {value}");
        }
        assert_eq!(browser.post("/oauth/consent", &fields).await.status, StatusCode::SEE_OTHER);
    }

    async fn reflected_input_is_escaped(world: &World) {
        world.alexa().await;
        let mut browser = world.person("ada@example.org").await;
        let mut asked = Authorization::new("alexa");
        asked.state = "\"><script>alert(1)</script>".into();
        let page = browser.get(&asked.path()).await;
        assert!(!page.text.contains("<script"));
        let answer = browser.submit(&page, "/oauth/consent", &[("decision", "allow")]).await;
        assert_eq!(answer.redirect_parameter("state").as_deref(), Some(asked.state.as_str()));
    }
}
