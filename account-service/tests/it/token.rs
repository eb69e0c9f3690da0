//! The token endpoint: redeeming codes, and what it refuses.

use axum::body::Body;
use axum::http::StatusCode;
use futures_util::StreamExt as _;
use macloud_proto::instance_token::KeySet;
use macloud_proto::jose::Unverified;

use crate::harness::{
    Authorization, ISSUER, Kind, PASSWORD, REDIRECT, World, basic, form_request, lives, on_both_databases, raw_request,
    text,
};

/// A way to spoil a redemption.
type Change = dyn Fn(&mut Vec<(&'static str, String)>);

on_both_databases! {
    async fn a_code_becomes_tokens(world: &World) {
        let client = world.alexa().await;
        let mut browser = world.person("ada@example.org").await;
        let asked = Authorization::new("alexa");
        let code = browser.allow(&asked).await;
        let answer = world.redeem(&client, &code, &asked).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        assert_eq!((answer.header("cache-control"), answer.header("content-type")), ("no-store", "application/json"));
        let tokens = answer.json();
        assert_eq!((text(&tokens, "token_type"), tokens["expires_in"].as_i64()), ("Bearer", Some(3600)));
        assert_eq!(text(&tokens, "scope"), "music_assistant.read music_assistant.control openid email");
        let (access, refresh) = (text(&tokens, "access_token"), text(&tokens, "refresh_token"));
        assert!(access.starts_with("mca_") && refresh.starts_with("mcr_") && access.len() == 47 && refresh.len() == 114);
        assert!(world.is_active(&client, access).await && world.is_active(&client, refresh).await);

        // The id token says who, for whom, and carries the nonce; its key is in the published set.
        let keys = world.browser().get("/oauth/jwks").await;
        KeySet::parse(&keys.text).unwrap();
        let jwk = &keys.json()["keys"][0];
        let jwk: macloud_proto::jose::Jwk = serde_json::from_value(jwk.clone()).unwrap();
        let id_token = Unverified::parse(text(&tokens, "id_token")).unwrap();
        assert_eq!(id_token.header().kid, jwk.kid);
        let claims: serde_json::Value = id_token.verify(&jwk.public_key().unwrap()).unwrap();
        assert_eq!((text(&claims, "iss"), text(&claims, "aud"), text(&claims, "nonce")), (ISSUER, "alexa", "n-1"));
        assert_eq!(text(&claims, "email"), "ada@example.org");
        assert!(claims["exp"].as_u64() > claims["iat"].as_u64() && claims["auth_time"].is_u64());
    }

    async fn every_token_is_long_random_and_its_own(world: &World) {
        let client = world.alexa().await;
        let mut browser = world.person("ada@example.org").await;
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..8 {
            let asked = Authorization::new("alexa");
            let code = browser.allow(&asked).await;
            let tokens = world.redeem(&client, &code, &asked).await.json();
            let fresh = world.refresh(&client, text(&tokens, "refresh_token")).await.json();
            let [tokens, fresh] = [&tokens, &fresh].map(|answer| ["access_token", "refresh_token"].map(|name| text(answer, name).to_owned()));
            for token in [&code].into_iter().chain(&tokens).chain(&fresh) {
                // Four letters that say what it is, and 32 random bytes; a refresh token says whose it is, too.
                let length = if token.starts_with("mcr_") { 114 } else { 47 };
                assert!(token.len() == length && token.is_ascii(), "{token}");
                assert!(seen.insert(token[4..].to_owned()), "given twice");
            }
        }
        assert_eq!(seen.len(), 40);
        // No prefix is shared, as one of a counter or a clock would be.
        let beginnings: std::collections::BTreeSet<&str> = seen.iter().map(|token| &token[..8]).collect();
        assert_eq!(beginnings.len(), 40);
    }

    async fn parameters_that_mean_nothing_here_do_no_harm(world: &World) {
        let client = world.alexa().await;
        let mut browser = world.person("ada@example.org").await;
        let mut asked = Authorization::new("alexa");
        // Without a nonce, too: in the code flow it is optional.
        asked.more = [("display", "touch"), ("ui_locales", "de"), ("acr_values", "1"), ("login_hint", "x"), ("claims", "{}"), ("foo", "bar")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        let code = browser.allow(&asked).await;
        let tokens = world.redeem(&client, &code, &asked).await.json();
        let claims: serde_json::Value = Unverified::parse(text(&tokens, "id_token")).unwrap().peek().unwrap();
        assert!(claims.get("nonce").is_none());
    }

    async fn a_fresh_sign_in_is_told_to_the_client(world: &World) {
        let client = world.alexa().await;
        let mut browser = world.person("ada@example.org").await;
        let first = world.link_as(&client, &mut browser).await;
        world.advance(60);
        let again = world.link_as(&client, &mut browser).await;
        let page = browser.get("/sign-in?again=1").await;
        browser.submit(&page, "/sign-in", &[("email", "ada@example.org"), ("password", PASSWORD)]).await;
        let fresh = world.link_as(&client, &mut browser).await;
        let [first, again, fresh] = [first, again, fresh].map(|tokens| {
            let claims: serde_json::Value = Unverified::parse(text(&tokens, "id_token")).unwrap().peek().unwrap();
            claims["auth_time"].as_u64().unwrap()
        });
        assert_eq!((again, fresh), (first, first + 60));
    }

    async fn refusals_are_kept_by_nobody_and_shared_with_no_other_site(world: &World) {
        let client = world.alexa().await;
        let header = basic(&client);
        for path in ["/oauth/token", "/oauth/par", "/oauth/revoke", "/oauth/introspect", "/oauth/device_authorization"] {
            for headers in [&[("authorization", header.as_str()), ("origin", "https://evil.example")][..], &[]] {
                let answer = world.post(path, headers, &[("grant_type", "nonsense")]).await;
                assert!(answer.status.is_client_error(), "{path}: {}", answer.status);
                assert_eq!((answer.header("cache-control"), answer.header("content-type")), ("no-store", "application/json"), "{path}");
                assert_eq!(answer.header("access-control-allow-origin"), "");
            }
            assert_eq!(world.browser().get(path).await.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
        }
    }

    async fn any_node_takes_any_step(world: &World) {
        let client = world.alexa().await;
        let mut browser = world.person("ada@example.org").await;
        let second_node = world.second_node().await;
        let asked = Authorization::new("alexa");
        let code = browser.allow(&asked).await;
        let header = basic(&client);
        let form = asked.redemption(&code);
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let there = async |form: &[(&str, &str)]| {
            crate::harness::send(second_node.router(), form_request("/oauth/token", &[("authorization", &header)], form)).await
        };
        let mut tokens = there(&form).await.json();
        for turn in 0..6 {
            let refresh_token = text(&tokens, "refresh_token").to_owned();
            let answer = if turn % 2 == 0 {
                world.refresh(&client, &refresh_token).await
            } else {
                there(&[("grant_type", "refresh_token"), ("refresh_token", &refresh_token)]).await
            };
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
            tokens = answer.json();
            assert!(world.is_active(&client, text(&tokens, "access_token")).await);
        }
        second_node.close().await;
    }

    async fn the_client_may_authenticate_in_the_body(world: &World) {
        let client = world.alexa().await;
        let mut browser = world.person("ada@example.org").await;
        let asked = Authorization::new("alexa");
        let code = browser.allow(&asked).await;
        let mut form = asked.redemption(&code);
        form.push(("client_id", "alexa".into()));
        form.push(("client_secret", client.client_secret.clone().unwrap()));
        let form: Vec<(&str, &str)> = form.iter().map(|(n, v)| (*n, v.as_str())).collect();
        assert_eq!(world.post("/oauth/token", &[], &form).await.status, StatusCode::OK);
    }

    async fn a_code_used_twice_takes_back_what_it_gave(world: &World) {
        let client = world.alexa().await;
        let mut browser = world.person("ada@example.org").await;
        let asked = Authorization::new("alexa");
        let code = browser.allow(&asked).await;
        let tokens = world.redeem(&client, &code, &asked).await.json();
        assert!(world.is_active(&client, text(&tokens, "access_token")).await);
        let second = world.redeem(&client, &code, &asked).await;
        assert_eq!((second.status, second.error()), (StatusCode::BAD_REQUEST, "invalid_grant".into()));
        assert!(!world.is_active(&client, text(&tokens, "access_token")).await);
        let refreshed = world.refresh(&client, text(&tokens, "refresh_token")).await;
        assert_eq!(refreshed.error(), "invalid_grant");
    }

    async fn of_twenty_parallel_redemptions_at_most_one_wins(world: &World) {
        let client = world.alexa().await;
        let mut browser = world.person("ada@example.org").await;
        let second_node = world.second_node().await;
        for _ in 0..6 {
            let asked = Authorization::new("alexa");
            let code = browser.allow(&asked).await;
            let form = asked.redemption(&code);
            let form: Vec<(&str, &str)> = form.iter().map(|(n, v)| (*n, v.as_str())).collect();
            let header = basic(&client);
            let tasks: Vec<_> = (0..20).map(|n| {
                let request = form_request("/oauth/token", &[("authorization", &header)], &form);
                let router = if n % 2 == 0 { world.service.router() } else { second_node.router() };
                tokio::spawn(crate::harness::send(router, request))
            }).collect();
            let mut won = 0;
            for task in tasks {
                let answer = task.await.unwrap();
                match answer.status {
                    StatusCode::OK => won += 1,
                    StatusCode::BAD_REQUEST => assert_eq!(answer.error(), "invalid_grant"),
                    other => panic!("{other}: {}", answer.text),
                }
            }
            assert_eq!(won, 1);
        }
        second_node.close().await;
    }

    async fn what_the_code_was_bound_to_must_be_repeated(world: &World) {
        let client = world.alexa().await;
        let other = world.client("other", false).await;
        let mut browser = world.person("ada@example.org").await;
        let wrong = |asked: &Authorization, change: &Change, code: &str| {
            let mut form = asked.redemption(code);
            change(&mut form);
            form
        };
        let changes: [&Change; 6] = [
            &|form| form.retain(|(name, _)| *name != "code_verifier"),
            &|form| form.last_mut().unwrap().1 = "x".repeat(64),
            &|form| form.last_mut().unwrap().1 = "short".into(),
            &|form| form.retain(|(name, _)| *name != "redirect_uri"),
            &|form| form[2].1 = "http://127.0.0.1:9/cb?fixed=1".into(),
            &|form| form[2].1 = format!("{REDIRECT}/"),
        ];
        for change in changes {
            let asked = Authorization::new("alexa");
            let code = browser.allow(&asked).await;
            let form = wrong(&asked, change, &code);
            let form: Vec<(&str, &str)> = form.iter().map(|(n, v)| (*n, v.as_str())).collect();
            let answer = world.token(&client, &form).await;
            assert_eq!((answer.status, answer.error()), (StatusCode::BAD_REQUEST, "invalid_grant".into()));
            // Spent all the same.
            assert_eq!(world.redeem(&client, &code, &asked).await.error(), "invalid_grant");
        }
        // A verifier where the request had no challenge.
        let asked = Authorization { verifier: None, ..Authorization::new("alexa") };
        let code = browser.allow(&asked).await;
        let with_verifier = Authorization { verifier: Some("v".repeat(43)), ..asked.clone() };
        assert_eq!(world.redeem(&client, &code, &with_verifier).await.error(), "invalid_grant");
        // Another client cannot redeem it, nor spoil it.
        let asked = Authorization::new("alexa");
        let code = browser.allow(&asked).await;
        assert_eq!(world.redeem(&other, &code, &asked).await.error(), "invalid_grant");
        assert_eq!(world.redeem(&client, &code, &asked).await.status, StatusCode::OK);
    }

    async fn a_code_expires(world: &World) {
        let client = world.alexa().await;
        let mut browser = world.person("ada@example.org").await;
        let asked = Authorization::new("alexa");
        let code = browser.allow(&asked).await;
        world.advance(u64::from(lives().code_seconds));
        assert_eq!(world.redeem(&client, &code, &asked).await.error(), "invalid_grant");
    }

    async fn clients_that_do_not_prove_themselves_are_refused(world: &World) {
        let client = world.alexa().await;
        let refresh = [("grant_type", "refresh_token"), ("refresh_token", "mcr_x")];
        let secret = client.client_secret.as_deref().unwrap();
        let wrong = [
            (vec![("authorization", "Basic YWxleGE6d3Jvbmc=".to_owned())], vec![]),
            (vec![("authorization", "Basic !".to_owned())], vec![]),
            (vec![("authorization", "Bearer x".to_owned())], vec![]),
            (vec![], vec![]),
            (vec![], vec![("client_id", "alexa")]),
            (vec![], vec![("client_id", "nobody")]),
            (vec![], vec![("client_id", "alexa"), ("client_secret", "wrong")]),
            (vec![("authorization", basic(&client))], vec![("client_id", "other")]),
        ];
        for (headers, more) in wrong {
            let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
            let form: Vec<_> = refresh.into_iter().chain(more).collect();
            let answer = world.post("/oauth/token", &headers, &form).await;
            assert_eq!((answer.status, answer.error()), (StatusCode::UNAUTHORIZED, "invalid_client".into()), "{form:?}");
            assert!(answer.header("www-authenticate").starts_with("Basic "));
            assert_eq!(answer.header("cache-control"), "no-store");
        }
        let header = basic(&client);
        let twice: Vec<_> = refresh.into_iter().chain([("client_id", "alexa"), ("client_secret", secret)]).collect();
        let answer = world.post("/oauth/token", &[("authorization", &header)], &twice).await;
        assert_eq!((answer.status, answer.error()), (StatusCode::BAD_REQUEST, "invalid_request".into()));
    }

    async fn the_door_takes_forms_by_post_and_nothing_else(world: &World) {
        let client = world.alexa().await;
        let header = basic(&client);
        let auth = ("authorization", header.as_str());
        assert_eq!(world.browser().get("/oauth/token").await.status, StatusCode::METHOD_NOT_ALLOWED);
        for (grant_type, error) in [("password", "unsupported_grant_type"), ("implicit", "unsupported_grant_type"), ("", "invalid_request")] {
            let answer = world.post("/oauth/token", &[auth], &[("grant_type", grant_type), ("username", "a")]).await;
            assert_eq!((answer.status, answer.error()), (StatusCode::BAD_REQUEST, error.into()));
        }
        let json = raw_request("/oauth/token", &[auth, ("content-type", "application/json")], r#"{"grant_type":"refresh_token"}"#);
        let twice = raw_request("/oauth/token", &[auth], "grant_type=refresh_token&refresh_token=a&refresh_token=b");
        let in_query = raw_request("/oauth/token?grant_type=refresh_token&refresh_token=a", &[auth], "");
        for request in [json, twice, in_query] {
            let answer = world.send(request).await;
            assert_eq!((answer.status, answer.error()), (StatusCode::BAD_REQUEST, "invalid_request".into()));
        }
        let huge = raw_request("/oauth/token", &[auth], format!("grant_type=refresh_token&x={}", "a".repeat(1 << 20)));
        assert_eq!(world.send(huge).await.status, StatusCode::PAYLOAD_TOO_LARGE);
        for garbage in ["x", "mcc_", "mcc_\u{fc}", "' OR 1=1 --", &"a".repeat(5000)] {
            let answer = world.token(&client, &[("grant_type", "authorization_code"), ("code", garbage)]).await;
            assert_eq!((answer.status, answer.error()), (StatusCode::BAD_REQUEST, "invalid_grant".into()));
            assert!(answer.text.is_ascii());
        }
        let nul = raw_request("/oauth/token", &[auth], "grant_type=authorization_code&code=%00");
        assert_eq!(world.send(nul).await.status, StatusCode::BAD_REQUEST);
    }

    async fn a_suspended_person_cannot_get_or_refresh_tokens(world: &World) {
        let client = world.alexa().await;
        let tokens = world.link(&client, "ada@example.org").await;
        world.service.set_user_suspended("ada@example.org", true).await.unwrap();
        let refused = world.refresh(&client, text(&tokens, "refresh_token")).await;
        // Not invalid_grant: the link must survive the suspension.
        assert_eq!(refused.error(), "access_denied");
        assert!(!world.is_active(&client, text(&tokens, "access_token")).await);
        let mut browser = world.browser();
        let page = browser.get("/sign-in").await;
        let answer = browser.submit(&page, "/sign-in", &[("email", "ada@example.org"), ("password", PASSWORD)]).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
        world.service.set_user_suspended("ada@example.org", false).await.unwrap();
        assert_eq!(world.refresh(&client, text(&tokens, "refresh_token")).await.status, StatusCode::OK);
    }
}

/// Time stands still but for these waits, so nothing here may touch the database.
#[tokio::test]
async fn a_body_that_does_not_arrive_is_the_callers_fault() {
    World::with(Kind::Sqlite, async |world| {
        tokio::time::pause();
        for path in ["/oauth/token", "/oauth/revoke", "/oauth/introspect", "/oauth/device_authorization"] {
            let first = futures_util::stream::iter([Ok::<_, std::io::Error>("grant_type=refresh_token")]);
            let body = Body::from_stream(first.chain(futures_util::stream::pending()));
            let began = tokio::time::Instant::now();
            let answer = world.send(raw_request(path, &[], body)).await;
            assert_eq!(
                (answer.status, answer.error()),
                (StatusCode::REQUEST_TIMEOUT, "invalid_request".into()),
                "{path}"
            );
            assert!(began.elapsed() <= std::time::Duration::from_secs(11));
        }
        tokio::time::resume();
    })
    .await;
}
