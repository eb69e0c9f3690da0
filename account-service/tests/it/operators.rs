//! The API for operators, and the audit of what they do.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use macloud_account_service::{Actor, AuditQuery, CreatedClient, NewClient};
use macloud_service_kit::http::{Peer, Security};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::harness::{Answer, ISSUER, PASSWORD, REDIRECT, World, basic, on_both_databases, send, text};
use crate::keys::ClientKey;
use crate::pairing::Connector;

/// An operator's program.
pub async fn robot(world: &World, scopes: &[&str]) -> CreatedClient {
    let new = NewClient {
        client_id: "robot".into(),
        own_scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        ..NewClient::default()
    };
    world.service.create_client(new).await.unwrap()
}

/// A token of its own for a robot with these scopes.
pub async fn token(world: &World, scopes: &[&str]) -> String {
    let robot = robot(world, scopes).await;
    let answer = world.token(&robot, &[("grant_type", "client_credentials")]).await;
    text(&answer.json(), "access_token").to_owned()
}

pub async fn call(world: &World, token: &str, method: &str, path: &str, body: Option<&Value>) -> Answer {
    let mut request = Request::builder().method(method).uri(path).header("authorization", format!("Bearer {token}"));
    if body.is_some() {
        request = request.header("content-type", "application/json");
    }
    let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
    send(world.service.operator_router(), request.body(body).unwrap()).await
}

async fn get(world: &World, token: &str, path: &str) -> Value {
    let answer = call(world, token, "GET", path, None).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    answer.json()
}

async fn post(world: &World, token: &str, path: &str) -> Answer {
    call(world, token, "POST", path, None).await
}

fn audit(account: Option<&str>, kind: &str) -> AuditQuery {
    AuditQuery {
        account: account.map(|id| id.parse().unwrap()),
        kind: (!kind.is_empty()).then(|| kind.to_owned()),
        limit: 100,
        ..AuditQuery::default()
    }
}

on_both_databases! {
    async fn operators_programs_look_after_people(world: &World) {
        let token = token(world, &["ma_cloud.admin"]).await;
        let client = world.alexa().await;
        let tokens = world.link(&client, "ada@example.org").await;
        world.service.create_user("bob@example.org", PASSWORD).await.unwrap();
        let first = get(world, &token, "/admin/v1/users?limit=1").await;
        let second = get(world, &token, &format!("/admin/v1/users?limit=1&after={}", text(&first, "next"))).await;
        let last = get(world, &token, &format!("/admin/v1/users?limit=2&after={}", text(&first, "next"))).await;
        assert_eq!((first["users"].as_array().unwrap().len(), second["users"].as_array().unwrap().len()), (1, 1));
        assert_ne!(first["users"][0]["id"], second["users"][0]["id"]);
        assert!(last["next"].is_null());
        let found = call(world, &token, "POST", "/admin/v1/users/find", Some(&json!({ "email": " Ada@Example.org " }))).await.json();
        let path = format!("/admin/v1/users/{}", text(&found, "id"));
        assert_eq!((found["apps"].as_i64(), found["sessions"].as_i64(), found["second_step"].as_bool()), (Some(1), Some(1), Some(false)));
        assert_eq!(get(world, &token, &path).await, found);
        for _ in 0..2 {
            assert_eq!(post(world, &token, &format!("{path}/suspend")).await.status, StatusCode::NO_CONTENT);
        }
        assert!(!world.is_active(&client, text(&tokens, "access_token")).await);
        assert_eq!(post(world, &token, &format!("{path}/resume")).await.status, StatusCode::NO_CONTENT);
        assert!(world.is_active(&client, text(&tokens, "access_token")).await);
        assert_eq!(post(world, &token, &format!("{path}/end-sessions")).await.json()["sessions_ended"], 1);
        assert_eq!(post(world, &token, &format!("{path}/reset-second-step")).await.json()["second_step_was_on"], false);
        assert_eq!(call(world, &token, "DELETE", &path, None).await.status, StatusCode::NO_CONTENT);
        assert_eq!(call(world, &token, "DELETE", &path, None).await.status, StatusCode::NOT_FOUND);
        assert_eq!(call(world, &token, "GET", "/admin/v1/users/x%00y", None).await.status, StatusCode::NOT_FOUND);
        // All of it is on record, in order and without gaps, after the account is gone; and nowhere is an address.
        let id = text(&found, "id");
        let by_robot = AuditQuery { actor: Some("robot".into()), ..audit(Some(id), "") };
        let entries = world.service.search_audit(&by_robot).await.unwrap();
        let actions: Vec<(&str, &str)> = entries.iter().rev().map(|entry| (entry.action.as_str(), entry.outcome.as_str())).collect();
        assert_eq!(actions, [
            ("user.show", "done"), ("user.show", "done"), ("user.suspend", "done"), ("user.suspend", "done"), ("user.resume", "done"),
            ("user.end_sessions", "done"), ("user.reset_second_step", "done"), ("user.delete", "done"),
        ]);
        assert!(entries.iter().all(|entry| (entry.actor_kind.as_str(), entry.actor.as_str()) == ("client", "robot")));
        let all = world.service.search_audit(&audit(None, "")).await.unwrap();
        let numbers: Vec<i64> = all.iter().rev().map(|entry| entry.sequence).collect();
        assert_eq!(numbers, (1..=all.len() as i64).collect::<Vec<_>>());
        assert!(!format!("{all:?}").contains("example.org"));
    }

    async fn operators_programs_look_after_clients_homes_and_keys(world: &World) {
        let token = token(world, &["ma_cloud.admin"]).await;
        let new = json!({ "client_id": "app", "redirect_uris": [REDIRECT], "name": "App" });
        let made = call(world, &token, "POST", "/admin/v1/clients", Some(&new)).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
        assert!(text(&made.json(), "client_secret").starts_with("mcs_"));
        assert_eq!(call(world, &token, "POST", "/admin/v1/clients", Some(&new)).await.status, StatusCode::CONFLICT);
        let shown = get(world, &token, "/admin/v1/clients/app").await;
        assert!(shown.get("client_secret").is_none() && shown["authentication"] == "client_secret");
        let renamed = call(world, &token, "PATCH", "/admin/v1/clients/app", Some(&json!({ "name": "My app" }))).await.json();
        assert_eq!((text(&renamed, "name"), &renamed["redirect_uris"]), ("My app", &shown["redirect_uris"]));
        for wrong in [
            json!({ "name": "" }), json!({ "name": "a\u{0}b" }), json!({ "redirect_uris": ["http://evil.example"] }), json!({ "redirect_uris": [] }),
            json!({ "access_token_seconds": 0 }), json!({ "own_scopes": ["openid"] }), json!({ "jwks": ClientKey::p256().jwk() }), json!({ "client_id": "x" }), json!([]),
        ] {
            let answer = call(world, &token, "PATCH", "/admin/v1/clients/app", Some(&wrong)).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{wrong}: {}", answer.text);
            assert_eq!(answer.header("content-type"), "application/problem+json");
        }
        for (method, path) in [("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/rotate-secret")] {
            let body = json!({ "overlap_seconds": 60 });
            let answer = call(world, &token, method, &format!("/admin/v1/clients/a%00b{path}"), (method == "POST").then_some(&body)).await;
            assert!(answer.status.is_client_error(), "{method}: {}", answer.text);
        }
        assert_eq!(get(world, &token, "/admin/v1/clients/app").await, renamed);
        let rotated = call(world, &token, "POST", "/admin/v1/clients/app/rotate-secret", Some(&json!({ "overlap_seconds": 60 }))).await.json();
        assert_eq!(get(world, &token, "/admin/v1/clients/app").await["old_secret_until"], rotated["old_secret_until"]);
        assert_eq!(get(world, &token, "/admin/v1/clients").await["clients"].as_array().unwrap().len(), 2);
        assert_eq!(call(world, &token, "DELETE", "/admin/v1/clients/app", None).await.status, StatusCode::NO_CONTENT);
        assert_eq!(call(world, &token, "GET", "/admin/v1/clients/app", None).await.status, StatusCode::NOT_FOUND);

        let mut browser = world.person("ada@example.org").await;
        let paired = Connector::new().pair(world, &mut browser, "Holiday house").await;
        let homes = get(world, &token, "/admin/v1/homes?limit=5").await;
        assert_eq!(homes["homes"][0]["id"], paired["instance_id"]);
        assert!(!homes.to_string().contains("Holiday"), "what a home is called is its owner's affair");
        let account = text(&homes["homes"][0], "account_id");
        assert_eq!(get(world, &token, &format!("/admin/v1/homes?account={account}")).await["homes"], homes["homes"]);
        let home = format!("/admin/v1/homes/{}", text(&paired, "instance_id"));
        assert_eq!(post(world, &token, &format!("{home}/pause")).await.status, StatusCode::NO_CONTENT);
        assert_eq!(get(world, &token, &home).await["paused"], true);
        assert_eq!(post(world, &token, &format!("{home}/resume")).await.status, StatusCode::NO_CONTENT);
        assert_eq!(call(world, &token, "DELETE", &home, None).await.status, StatusCode::NO_CONTENT);
        for method in ["GET", "DELETE"] {
            assert_eq!(call(world, &token, method, &home, None).await.status, StatusCode::NOT_FOUND);
        }
        let activity = browser.get("/activity").await.text;
        assert!(activity.contains("My house was unlinked"), "the owner sees what was done to the home: {activity}");

        let key = post(world, &token, "/admin/v1/keys/rotate").await.json();
        let keys = get(world, &token, "/admin/v1/keys").await;
        assert_eq!((keys["keys"].as_array().unwrap().len(), &keys["keys"][1]["id"]), (2, &key["key_id"]));

        let page = get(world, &token, "/admin/v1/audit?kind=home&limit=2").await;
        let actions: Vec<&str> = page["entries"].as_array().unwrap().iter().map(|entry| text(entry, "action")).collect();
        assert_eq!(actions, ["home.unlink", "home.show"]);
        let next = get(world, &token, &format!("/admin/v1/audit?kind=home.pause&before={}", page["next"])).await;
        assert_eq!(next["entries"].as_array().unwrap().len(), 1, "{next}");
        assert_eq!(get(world, &token, "/admin/v1/audit?kind=home%25").await["entries"], json!([]));
        assert_eq!(get(world, &token, "/admin/v1/audit?actor=nobody").await["entries"], json!([]));
        let refused = get(world, &token, "/admin/v1/audit?kind=client.create").await;
        assert!(refused.to_string().contains("\"outcome\":\"exists\""), "refusals are on record too");
    }

    async fn only_a_living_token_with_the_scope_opens_the_door(world: &World) {
        let looking = token(world, &["ma_cloud.admin.read"]).await;
        let client = world.alexa().await;
        let persons = world.link(&client, "ada@example.org").await;
        let document: Value = serde_json::from_str(include_str!("../../openapi/operators.json")).unwrap();
        let mut doors = 0;
        for (path, item) in document["paths"].as_object().unwrap() {
            for method in item.as_object().unwrap().keys().filter(|_| path.starts_with("/admin")) {
                let path = path.replace("{user}", "x").replace("{client}", "x").replace("{home}", "x");
                let method = Method::from_bytes(method.to_ascii_uppercase().as_bytes()).unwrap();
                for stranger in ["", "x", text(&persons, "access_token"), text(&persons, "refresh_token"), &format!("mco_{}", "A".repeat(43))] {
                    let answer = call(world, stranger, method.as_str(), &path, None).await;
                    assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{method} {path}");
                    assert!(answer.header("www-authenticate").starts_with("Bearer "));
                }
                // With leave to look only, exactly what changes something is forbidden.
                let changes = method != Method::GET && path != "/admin/v1/users/find";
                let answer = call(world, &looking, method.as_str(), &path, None).await;
                assert_eq!(answer.status == StatusCode::FORBIDDEN, changes, "{method} {path}: {}", answer.text);
                // And nothing of it is on the public side.
                let public = Request::builder().method(method.clone()).uri(&path).header("authorization", format!("Bearer {looking}"));
                let answer = world.service.router().oneshot(public.body(Body::empty()).unwrap()).await.unwrap();
                assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{method} {path}");
                doors += 1;
            }
        }
        assert!(doors >= 22, "{doors}");
        // What is taken from the client is taken from its tokens.
        let change = macloud_account_service::ClientChange { own_scopes: Some(vec![]), redirect_uris: Some(vec![REDIRECT.into()]), ..Default::default() };
        world.service.update_client("robot", change).await.unwrap();
        assert_eq!(call(world, &looking, "GET", "/admin/v1/keys", None).await.status, StatusCode::FORBIDDEN);
        world.service.delete_client("robot").await.unwrap();
        assert_eq!(call(world, &looking, "GET", "/admin/v1/keys", None).await.status, StatusCode::UNAUTHORIZED);
    }

    async fn introspection_tells_what_a_robot_may_do_by_now(world: &World) {
        let robot = robot(world, &["ma_cloud.admin.read", "ma_cloud.admin"]).await;
        let answer = world.token(&robot, &[("grant_type", "client_credentials")]).await.json();
        let header = basic(&robot);
        for (own, active) in [(&["ma_cloud.admin.read", "ma_cloud.admin"][..], true), (&["ma_cloud.admin.read"], true), (&[], false)] {
            let change = macloud_account_service::ClientChange {
                own_scopes: Some(own.iter().map(|scope| (*scope).to_owned()).collect()),
                redirect_uris: Some(vec![REDIRECT.into()]),
                ..Default::default()
            };
            world.service.update_client("robot", change).await.unwrap();
            let form = [("token", text(&answer, "access_token"))];
            let told = world.post("/oauth/introspect", &[("authorization", &header)], &form).await.json();
            assert_eq!(told["active"], active, "{told}");
            if active {
                let mut scopes: Vec<&str> = text(&told, "scope").split(' ').collect();
                scopes.sort_by_key(|scope| std::cmp::Reverse(scope.len()));
                assert_eq!(scopes, own);
            }
        }
    }

    async fn a_bound_token_for_operators_needs_its_key(world: &World) {
        let robot = robot(world, &["ma_cloud.admin.read"]).await;
        let (key, header) = (ClientKey::p256(), basic(&robot));
        let form = [("grant_type", "client_credentials")];
        let url = format!("{ISSUER}/oauth/token");
        let nonce = world.post("/oauth/token", &[("authorization", &header), ("dpop", &key.prove("POST", &url, None, None))], &form).await;
        let nonce = nonce.header("dpop-nonce").to_owned();
        let proof = key.prove("POST", &url, Some(&nonce), None);
        let token = world.post("/oauth/token", &[("authorization", &header), ("dpop", &proof)], &form).await.json();
        let token = text(&token, "access_token");
        let with = |scheme: &str, proof: Option<String>| {
            let mut request = Request::get("/admin/v1/keys").header("host", "127.0.0.1:9181").header("authorization", format!("{scheme} {token}"));
            if let Some(proof) = proof {
                request = request.header("dpop", proof);
            }
            send(world.service.operator_router(), request.body(Body::empty()).unwrap())
        };
        let here = "http://127.0.0.1:9181/admin/v1/keys";
        assert_eq!(with("Bearer", None).await.status, StatusCode::UNAUTHORIZED);
        assert_eq!(with("DPoP", None).await.status, StatusCode::UNAUTHORIZED);
        let elsewhere = key.prove("GET", "http://127.0.0.1:1/admin/v1/keys", Some(&nonce), Some(token));
        assert_eq!(with("DPoP", Some(elsewhere)).await.status, StatusCode::UNAUTHORIZED);
        let stale = with("DPoP", Some(key.prove("GET", here, None, Some(token)))).await;
        assert!(!stale.header("dpop-nonce").is_empty());
        let good = key.prove("GET", here, Some(&nonce), Some(token));
        assert_eq!(with("DPoP", Some(good.clone())).await.status, StatusCode::OK);
        assert_eq!(with("DPoP", Some(good)).await.status, StatusCode::UNAUTHORIZED);
    }

    async fn every_kind_of_action_is_found_by_its_kind(world: &World) {
        world.service.create_user("bob@example.org", PASSWORD).await.unwrap();
        world.alexa().await;
        world.service.add_file_key(0).await.unwrap();
        world.service.rotate_signing_key().await.unwrap();
        for (kind, actions) in [
            ("user", vec!["user.create"]), ("client", vec!["client.create"]), ("key", vec!["key.rotate"]), ("key_file", vec!["key_file.add"]),
            ("key_file.add", vec!["key_file.add"]), ("USER", vec![]), ("use", vec![]), ("user.", vec![]), ("key_fil_", vec![]), ("%", vec![]),
        ] {
            let found = world.service.search_audit(&audit(None, kind)).await.unwrap();
            assert_eq!(found.iter().map(|entry| entry.action.as_str()).collect::<Vec<_>>(), actions, "{kind}");
        }
    }

    async fn whoever_looks_at_addresses_is_on_record(world: &World) {
        world.service.create_user("bob@example.org", PASSWORD).await.unwrap();
        world.service.list_plans().await.unwrap();
        world.service.list_link_attempts(5).await.unwrap();
        world.service.list_users().await.unwrap();
        let entries = world.service.search_audit(&audit(None, "")).await.unwrap();
        let actions: Vec<&str> = entries.iter().rev().map(|entry| entry.action.as_str()).collect();
        assert_eq!(actions, ["user.create", "plan.list", "link_attempt.list", "user.list"]);
    }

    async fn the_api_for_operators_is_not_served_in_clear_to_others(world: &World) {
        let token = token(world, &["ma_cloud.admin.read"]).await;
        for (address, security, status) in [
            ("192.0.2.1:1", Security::Plain, StatusCode::FORBIDDEN), ("[2001:db8::1]:1", Security::Tls12, StatusCode::FORBIDDEN),
            ("127.0.0.1:1", Security::Tls12, StatusCode::FORBIDDEN), ("192.0.2.1:1", Security::Tls13, StatusCode::OK),
            ("127.0.0.1:1", Security::Plain, StatusCode::OK), ("[::1]:1", Security::Plain, StatusCode::OK),
            ("[::ffff:127.0.0.1]:1", Security::Plain, StatusCode::OK), ("[::ffff:192.0.2.1]:1", Security::Plain, StatusCode::FORBIDDEN),
        ] {
            let mut request = Request::get("/admin/v1/keys").header("host", "127.0.0.1:9181").header("authorization", format!("Bearer {token}")).body(Body::empty()).unwrap();
            request.extensions_mut().insert(Peer { addr: address.parse().unwrap(), security });
            let answer = send(world.service.operator_router(), request).await;
            assert_eq!(answer.status, status, "{address} {security:?}: {}", answer.text);
        }
    }

    async fn whoever_asks_for_another_machine_is_not_on_this_one(world: &World) {
        let token = token(world, &["ma_cloud.admin.read"]).await;
        for (host, status) in [
            ("127.0.0.1:9181", StatusCode::OK), ("127.9.8.7", StatusCode::OK), ("[::1]:9181", StatusCode::OK), ("LocalHost:9181", StatusCode::OK),
            ("cloud.example", StatusCode::FORBIDDEN), ("192.0.2.1:9181", StatusCode::FORBIDDEN), ("127.0.0.1.evil.example", StatusCode::FORBIDDEN),
            ("localhost.evil.example", StatusCode::FORBIDDEN), ("", StatusCode::FORBIDDEN),
        ] {
            let mut request = Request::get("/admin/v1/keys").header("host", host).header("authorization", format!("Bearer {token}")).body(Body::empty()).unwrap();
            request.extensions_mut().insert(Peer { addr: "127.0.0.1:1".parse().unwrap(), security: Security::Plain });
            let answer = send(world.service.operator_router(), request).await;
            assert_eq!(answer.status, status, "{host}: {}", answer.text);
        }
    }

    async fn whom_a_proxy_passes_on_is_not_on_this_machine(world: &World) {
        let token = token(world, &["ma_cloud.admin.read"]).await;
        let passed_on = [
            ("forwarded", "for=192.0.2.1"), ("x-forwarded-for", "127.0.0.1"), ("x-forwarded-proto", "https"), ("x-real-ip", "192.0.2.1"), ("via", "1.1 proxy"),
            ("cf-connecting-ip", "192.0.2.1"), ("origin", "https://evil.example"), ("sec-fetch-site", "cross-site"),
        ];
        for (header, value) in passed_on {
            for (security, status) in [(Security::Plain, StatusCode::FORBIDDEN), (Security::Tls13, StatusCode::OK)] {
                let mut request = Request::get("/admin/v1/keys").header("host", "localhost").header("authorization", format!("Bearer {token}"));
                request = request.header(header, value);
                let mut request = request.body(Body::empty()).unwrap();
                request.extensions_mut().insert(Peer { addr: "127.0.0.1:1".parse().unwrap(), security });
                let answer = send(world.service.operator_router(), request).await;
                assert_eq!(answer.status, status, "{header}: {}", answer.text);
            }
        }
    }

    async fn a_signing_key_that_cannot_be_audited_is_not_published(world: &World) {
        let before = world.service.list_signing_keys().len();
        world.on_every("INSERT ON audit", "INSERT INTO accounts (id) VALUES (NULL)").await;
        assert!(world.service.rotate_signing_key().await.is_err());
        world.no_more("audit").await;
        let other = world.second_node().await;
        assert_eq!((world.service.list_signing_keys().len(), other.list_signing_keys().len()), (before, before));
        // Two at once, of which one has heard of nothing: both name the key that is there, and both are on record.
        let kid = world.service.rotate_signing_key().await.unwrap();
        assert_eq!(other.rotate_signing_key().await.unwrap(), kid);
        other.close().await;
        let entries = world.service.search_audit(&audit(None, "key")).await.unwrap();
        let noted: Vec<_> = entries.iter().map(|entry| (entry.subject.as_deref(), entry.outcome.as_str())).collect();
        assert_eq!(noted, [(Some(kid.as_str()), "done"), (Some(kid.as_str()), "done")]);
    }

    async fn a_client_that_another_process_deleted_cannot_authenticate(world: &World) {
        let robot = robot(world, &["ma_cloud.admin"]).await;
        let client = world.alexa().await;
        let push = async || world.post("/oauth/par", &[("authorization", &basic(&client))], &[("response_type", "code"), ("redirect_uri", REDIRECT), ("scope", "openid")]).await;
        assert_eq!(world.token(&robot, &[("grant_type", "client_credentials")]).await.status, StatusCode::OK);
        assert_eq!(push().await.status, StatusCode::CREATED);
        let other = world.second_node().await;
        for id in ["robot", "alexa"] {
            other.delete_client(id).await.unwrap();
        }
        other.close().await;
        let refused = world.token(&robot, &[("grant_type", "client_credentials")]).await;
        assert_eq!((refused.status, refused.error().as_str()), (StatusCode::UNAUTHORIZED, "invalid_client"));
        let refused = push().await;
        assert_eq!((refused.status, refused.error().as_str()), (StatusCode::UNAUTHORIZED, "invalid_client"), "{}", refused.text);
    }

    async fn people_see_what_operators_did_to_their_accounts(world: &World) {
        let mut browser = world.person("ada@example.org").await;
        world.service.set_user_suspended("ada@example.org", true).await.unwrap();
        for _ in 0..2 {
            world.service.set_user_suspended("ada@example.org", false).await.unwrap();
        }
        world.service.reset_second_step("ada@example.org").await.unwrap();
        world.service.end_sessions("ada@example.org").await.unwrap();
        let page = browser.get("/sign-in").await;
        browser.submit(&page, "/sign-in", &[("email", "ada@example.org"), ("password", PASSWORD)]).await;
        let activity = browser.get("/activity").await.text;
        for (words, times) in [("suspended your account", 1), ("lifted the suspension", 1), ("signed you out everywhere", 1), ("turned the second step off", 0)] {
            assert_eq!(activity.matches(words).count(), times, "{words}: {activity}");
        }
    }

    async fn the_audit_says_who_and_forgets_by_age_alone(world: &World) {
        let somebody = world.service.acting_as(Actor::CommandLine("ada".into()));
        let id = somebody.create_user("bob@example.org", PASSWORD).await.unwrap();
        assert!(somebody.create_user("bob@example.org", PASSWORD).await.is_err());
        assert!(somebody.set_user_suspended("nobody@example.org", true).await.is_err());
        world.advance(3600);
        somebody.set_user_suspended(id.as_str(), true).await.unwrap();
        let entries = world.service.search_audit(&audit(None, "user")).await.unwrap();
        let outcomes: Vec<&str> = entries.iter().map(|entry| entry.outcome.as_str()).collect();
        assert_eq!(outcomes, ["done", "unknown", "exists", "done"]);
        assert!(entries.iter().all(|entry| (entry.actor_kind.as_str(), entry.actor.as_str()) == ("command line", "ada")));
        let recent = AuditQuery { since: Some(entries[0].happened_at), ..audit(None, "") };
        assert_eq!(world.service.search_audit(&recent).await.unwrap(), entries[..1]);
        let older = AuditQuery { until: Some(entries[0].happened_at), actor: Some("ada".into()), ..audit(None, "") };
        assert_eq!(world.service.search_audit(&older).await.unwrap().len(), 3);
        // Many at once, on two nodes: every one has its number.
        let second_node = world.second_node().await;
        let many = (0..10).map(|n| {
            let service = if n % 2 == 0 { world.service.clone() } else { second_node.clone() };
            let id = id.clone();
            tokio::spawn(async move { service.set_user_suspended(id.as_str(), n % 3 == 0).await })
        });
        for one in many.collect::<Vec<_>>() {
            one.await.unwrap().unwrap();
        }
        let all = world.service.search_audit(&audit(None, "")).await.unwrap();
        assert_eq!(all.iter().map(|entry| entry.sequence).collect::<Vec<_>>(), (1..=14).rev().collect::<Vec<i64>>());
        world.advance(399 * 24 * 3600);
        world.service.housekeep().await.unwrap();
        assert_eq!(world.service.search_audit(&audit(None, "")).await.unwrap().len(), 14);
        world.advance(2 * 24 * 3600);
        world.service.housekeep().await.unwrap();
        assert_eq!(world.service.search_audit(&audit(None, "")).await.unwrap(), []);
        second_node.close().await;
    }
}

/// The program, on ports that are free.
fn program(rpc_listen: &str, data: &str) -> std::process::Command {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_macloud-account-service"));
    command
        .env_clear()
        .args(["--public-url", "https://cloud.example", "--data-dir", data, "--rpc-listen", rpc_listen])
        .args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
    command
}

#[test]
fn the_program_opens_its_inside_to_nobody_unknown() {
    let output = program("0.0.0.0:0", "/nonexistent").output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("--internal-ca"), "{said}");
}

#[test]
fn a_hangup_does_not_end_the_program() {
    use std::io::{BufRead as _, BufReader};
    use std::process::{Command, Stdio};
    let data = std::env::temp_dir().join(format!("macloud-hangup-{}", std::process::id()));
    std::fs::create_dir_all(&data).unwrap();
    let mut command = program("127.0.0.1:0", data.to_str().unwrap());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("listening"), "{line}");
    for signal in ["-HUP", "-TERM"] {
        assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
    }
    // A hangup that is not caught would have been the end.
    assert!(child.wait().unwrap().success());
    std::fs::remove_dir_all(data).unwrap();
}
