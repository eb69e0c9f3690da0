//! Tokens bound to a key (RFC 9449).

use axum::body::Body;
use axum::http::{Request, StatusCode};
use macloud_account_service::{ClientChange, CreatedClient};
use macloud_proto::accounts::v1::ResolveAccessRequest;
use macloud_proto::accounts::v1::resolve_access_answer::Status;
use macloud_service_kit::clock::Clock as _;

use crate::harness::{Answer, Authorization, Browser, World, basic, encode_form, on_both_databases, raw_request, text};
use crate::keys::ClientKey;

const TOKEN_URL: &str = "https://cloud.example/oauth/token";
const USERINFO_URL: &str = "https://cloud.example/oauth/userinfo";
const PAR_URL: &str = "https://cloud.example/oauth/par";

/// Ask at `path` with a proof; once more with the nonce that is asked for.
async fn ask(world: &World, client: &CreatedClient, key: &ClientKey, form: &[(&str, &str)]) -> Answer {
    let first = ask_once(world, client, &key.prove("POST", TOKEN_URL, None, None), form).await;
    assert_eq!(first.error(), "use_dpop_nonce", "{}", first.text);
    let nonce = first.header("dpop-nonce").to_owned();
    ask_once(world, client, &key.prove("POST", TOKEN_URL, Some(&nonce), None), form).await
}

async fn ask_once(world: &World, client: &CreatedClient, proof: &str, form: &[(&str, &str)]) -> Answer {
    if client.client_secret.is_some() {
        let header = basic(client);
        return world.post("/oauth/token", &[("authorization", &header), ("dpop", proof)], form).await;
    }
    let form: Vec<_> = form.iter().copied().chain([("client_id", client.client.id.as_str())]).collect();
    world.post("/oauth/token", &[("dpop", proof)], &form).await
}

async fn link(
    world: &World,
    client: &CreatedClient,
    key: &ClientKey,
    browser: &mut Browser<'_>,
    asked: &Authorization,
) -> Answer {
    let code = browser.allow(asked).await;
    let form = asked.redemption(&code);
    let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    ask(world, client, key, &form).await
}

async fn userinfo(world: &World, scheme: &str, token: &str, proof: Option<&str>) -> Answer {
    let mut request = Request::get("/oauth/userinfo").header("authorization", format!("{scheme} {token}"));
    if let Some(proof) = proof {
        request = request.header("dpop", proof);
    }
    world.send(request.body(Body::empty()).unwrap()).await
}

fn refresh(tokens: &serde_json::Value) -> [(&str, &str); 2] {
    [("grant_type", "refresh_token"), ("refresh_token", text(tokens, "refresh_token"))]
}

on_both_databases! {
    async fn a_bound_token_is_of_use_only_with_its_key(world: &World) {
        let client = world.alexa().await;
        let (key, thief) = (ClientKey::p256(), ClientKey::ed25519());
        let mut browser = world.person("ada@example.org").await;
        let tokens = link(world, &client, &key, &mut browser, &Authorization::new("alexa")).await.json();
        assert_eq!(text(&tokens, "token_type"), "DPoP");
        let access = text(&tokens, "access_token");
        let header = basic(&client);
        let described = world.post("/oauth/introspect", &[("authorization", &header)], &[("token", access)]).await.json();
        assert_eq!((text(&described, "token_type"), text(&described["cnf"], "jkt")), ("DPoP", key.thumbprint().as_str()));
        // At userinfo.
        let asked = userinfo(world, "DPoP", access, Some(&key.prove("GET", USERINFO_URL, None, Some(access)))).await;
        assert_eq!((asked.status, asked.error()), (StatusCode::UNAUTHORIZED, "use_dpop_nonce".into()));
        assert!(asked.header("www-authenticate").starts_with("DPoP "));
        let nonce = asked.header("dpop-nonce").to_owned();
        let good = key.prove("GET", USERINFO_URL, Some(&nonce), Some(access));
        assert_eq!(text(&userinfo(world, "dpop", access, Some(&good)).await.json(), "email"), "ada@example.org");
        for (scheme, proof) in [
            ("DPoP", Some(good)),
            ("DPoP", None),
            ("Bearer", None),
            ("Bearer", Some(key.prove("GET", USERINFO_URL, Some(&nonce), Some(access)))),
            ("DPoP", Some(thief.prove("GET", USERINFO_URL, Some(&nonce), Some(access)))),
            ("DPoP", Some(key.prove("GET", USERINFO_URL, Some(&nonce), None))),
            ("DPoP", Some(key.prove("GET", USERINFO_URL, Some(&nonce), Some("other")))),
            ("DPoP", Some(key.prove("POST", USERINFO_URL, Some(&nonce), Some(access)))),
            ("DPoP", Some(key.prove("GET", TOKEN_URL, Some(&nonce), Some(access)))),
            ("DPoP", Some("x".into())),
        ] {
            let answer = userinfo(world, scheme, access, proof.as_deref()).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{scheme} {proof:?}: {}", answer.text);
        }
        // The skill takes bearer tokens, and this is none.
        let mut accounts = world.accounts();
        let resolved = accounts.resolve_access(ResolveAccessRequest { access_token: access.into() }).await.unwrap().into_inner();
        assert_eq!(resolved.status(), Status::Invalid);
        // A plain token is not made better by a proof beside it.
        let plain = world.link_as(&client, &mut browser).await;
        let access = text(&plain, "access_token");
        let proof = key.prove("GET", USERINFO_URL, Some(&nonce), Some(access));
        assert_eq!(userinfo(world, "DPoP", access, Some(&proof)).await.status, StatusCode::UNAUTHORIZED);
        assert_eq!(userinfo(world, "Bearer", access, None).await.status, StatusCode::OK);
    }

    async fn a_public_clients_refresh_token_is_bound_and_a_confidential_ones_is_not(world: &World) {
        let (key, other) = (ClientKey::ed25519(), ClientKey::p256());
        let mut browser = world.person("ada@example.org").await;
        let public = world.client("public", true).await;
        let tokens = link(world, &public, &key, &mut browser, &Authorization::new("public")).await.json();
        assert_eq!(ask(world, &public, &other, &refresh(&tokens)).await.error(), "invalid_grant");
        let plain: Vec<_> = refresh(&tokens).into_iter().chain([("client_id", "public")]).collect();
        assert_eq!(world.post("/oauth/token", &[], &plain).await.error(), "invalid_grant");
        // Whoever tried that without the key took nothing from its owner.
        let renewed = ask(world, &public, &key, &refresh(&tokens)).await;
        assert_eq!(renewed.status, StatusCode::OK, "{}", renewed.text);
        let renewed = renewed.json();
        assert_eq!(text(&renewed, "token_type"), "DPoP");
        // Used twice with the right key, it is as bad as ever.
        assert_eq!(ask(world, &public, &key, &refresh(&tokens)).await.error(), "invalid_grant");
        assert_eq!(ask(world, &public, &key, &refresh(&renewed)).await.error(), "invalid_grant");

        let alexa = world.alexa().await;
        let tokens = link(world, &alexa, &key, &mut browser, &Authorization::new("alexa")).await.json();
        assert_eq!(text(&ask(world, &alexa, &other, &refresh(&tokens)).await.json(), "token_type"), "DPoP");
        assert_eq!(text(&world.refresh(&alexa, text(&tokens, "refresh_token")).await.json(), "token_type"), "Bearer");
    }

    async fn a_restore_leaves_a_bound_token_to_whoever_has_its_key(world: &World) {
        let (key, thief) = (ClientKey::ed25519(), ClientKey::p256());
        let mut browser = world.person("ada@example.org").await;
        let public = world.client("public", true).await;
        let tokens = link(world, &public, &key, &mut browser, &Authorization::new("public")).await.json();
        let copied = world.clock.unix_seconds();
        world.advance(3600);
        let lost = ask(world, &public, &key, &refresh(&tokens)).await.json();
        world.execute(format!("DELETE FROM token_pairs WHERE issued_at > {copied}")).await;
        world.execute("UPDATE token_pairs SET used_at = NULL".into()).await;
        world.service.mark_restored().await.unwrap();
        // Without the key it is of no use, and trying it takes nothing from its owner.
        assert_eq!(ask(world, &public, &thief, &refresh(&tokens)).await.error(), "invalid_grant");
        assert_eq!(ask(world, &public, &key, &refresh(&lost)).await.error(), "invalid_grant");
        let renewed = ask(world, &public, &key, &refresh(&tokens)).await;
        assert_eq!(renewed.status, StatusCode::OK, "{}", renewed.text);
        // From now on it is known to be spent: a second use ends all.
        assert_eq!(ask(world, &public, &key, &refresh(&tokens)).await.error(), "invalid_grant");
        assert_eq!(ask(world, &public, &key, &refresh(&renewed.json())).await.error(), "invalid_grant");
    }

    async fn a_proof_counts_once_on_any_node_and_a_refusal_uses_nothing_up(world: &World) {
        let client = world.alexa().await;
        let key = ClientKey::p256();
        let mut browser = world.person("ada@example.org").await;
        let asked = Authorization::new("alexa");
        let code = browser.allow(&asked).await;
        let form = asked.redemption(&code);
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        // Without a nonce nothing happens to the code.
        let tokens = ask(world, &client, &key, &form).await;
        assert_eq!(tokens.status, StatusCode::OK, "{}", tokens.text);
        let tokens = tokens.json();
        let first = ask_once(world, &client, &key.prove("POST", TOKEN_URL, None, None), &refresh(&tokens)).await;
        let proof = key.prove("POST", TOKEN_URL, Some(first.header("dpop-nonce")), None);
        let second_node = world.second_node().await;
        let header = basic(&client);
        let mut seen = Vec::new();
        for router in [world.service.router(), second_node.router()] {
            let request = crate::harness::form_request("/oauth/token", &[("authorization", &header), ("dpop", &proof)], &refresh(&tokens));
            seen.push(crate::harness::send(router, request).await.status);
        }
        assert_eq!(seen, [StatusCode::OK, StatusCode::BAD_REQUEST]);
        let two = world.send(Request::post("/oauth/token").header("dpop", "x").header("dpop", "y").header("authorization", &header)
            .header("content-type", "application/x-www-form-urlencoded").body(Body::from("grant_type=refresh_token&refresh_token=x")).unwrap()).await;
        assert_eq!(two.error(), "invalid_dpop_proof");
        second_node.close().await;
    }

    async fn a_code_may_be_bound_before_it_exists(world: &World) {
        let client = world.alexa().await;
        let (key, thief) = (ClientKey::p256(), ClientKey::p256());
        let mut browser = world.person("ada@example.org").await;
        let asked = Authorization::new("alexa").with("dpop_jkt", &key.thumbprint());
        assert_eq!(link(world, &client, &key, &mut browser, &asked).await.status, StatusCode::OK);
        assert_eq!(link(world, &client, &thief, &mut browser, &asked).await.error(), "invalid_grant");
        let code = browser.allow(&asked).await;
        assert_eq!(world.redeem(&client, &code, &asked).await.error(), "invalid_grant");
        let wrong = Authorization::new("alexa").with("dpop_jkt", "short");
        assert_eq!(browser.get(&wrong.path()).await.redirect_parameter("error").as_deref(), Some("invalid_request"));
        // Pushed with a proof: the same, without saying it twice.
        let (header, asked) = (basic(&client), Authorization::new("alexa"));
        let push = async |proof: &str, asked: &Authorization| {
            world.send(raw_request("/oauth/par", &[("authorization", &header), ("dpop", proof)], encode_form(&asked.parameters()))).await
        };
        let nonce = push(&key.prove("POST", PAR_URL, None, None), &asked).await.header("dpop-nonce").to_owned();
        let pushed = push(&key.prove("POST", PAR_URL, Some(&nonce), None), &asked).await;
        assert_eq!(pushed.status, StatusCode::CREATED, "{}", pushed.text);
        let contradiction = asked.clone().with("dpop_jkt", &thief.thumbprint());
        assert_eq!(push(&key.prove("POST", PAR_URL, Some(&nonce), None), &contradiction).await.error(), "invalid_dpop_proof");
        // What is wrong is told without using the proof up, and an empty parameter is an absent one.
        let proof = key.prove("POST", PAR_URL, Some(&nonce), None);
        let wrong = Authorization { scope: "admin".into(), ..asked.clone() };
        assert_eq!(push(&proof, &wrong).await.error(), "invalid_scope");
        let pushed = push(&proof, &asked.clone().with("dpop_jkt", "")).await;
        assert_eq!(pushed.status, StatusCode::CREATED, "{}", pushed.text);
        let pushed = pushed.json();
        let reference = [("client_id", "alexa"), ("request_uri", text(&pushed, "request_uri"))].map(|(n, v)| (n.to_owned(), v.to_owned()));
        let page = browser.get(&format!("/oauth/authorize?{}", encode_form(&reference))).await;
        let code = browser.submit(&page, "/oauth/consent", &[("decision", "allow")]).await.redirect_parameter("code").unwrap();
        assert_eq!(world.redeem(&client, &code, &asked).await.error(), "invalid_grant");
    }

    async fn a_client_can_be_made_to_bind_every_token(world: &World) {
        let client = world.alexa().await;
        let key = ClientKey::ed25519();
        let mut browser = world.person("ada@example.org").await;
        let before = world.link_as(&client, &mut browser).await;
        let change = ClientChange { require_dpop: Some(true), ..ClientChange::default() };
        world.service.update_client("alexa", change).await.unwrap();
        let refused = world.refresh(&client, text(&before, "refresh_token")).await;
        assert_eq!((refused.status, refused.error()), (StatusCode::BAD_REQUEST, "invalid_dpop_proof".into()));
        let bound = ask(world, &client, &key, &refresh(&before)).await.json();
        assert_eq!(text(&bound, "token_type"), "DPoP");
    }
}
