//! Refreshing: what keeps Alexa linked, and what keeps thieves out.

use axum::http::StatusCode;
use macloud_account_service::{AccountService, CreatedClient, DatabaseSettings};

use crate::harness::{Answer, Authorization, World, basic, form_request, on_both_databases, send, text};

const DAY: u64 = 24 * 3600;

fn refresh_token(answer: &Answer) -> String {
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    text(&answer.json(), "refresh_token").to_owned()
}

/// So many refreshes with one token at once, on these nodes in turn.
async fn storm(nodes: &[&AccountService], client: &CreatedClient, token: &str, count: usize) -> Vec<Answer> {
    let header = basic(client);
    let tasks: Vec<_> = (0..count)
        .map(|n| {
            let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
            let request = form_request("/oauth/token", &[("authorization", &header)], &form);
            tokio::spawn(send(nodes[n % nodes.len()].router(), request))
        })
        .collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    answers
}

async fn refresh_publicly(world: &World, token: &str) -> Answer {
    let form = [("grant_type", "refresh_token"), ("refresh_token", token), ("client_id", "public")];
    world.post("/oauth/token", &[], &form).await
}

on_both_databases! {
    async fn a_refresh_gives_a_new_pair_and_the_old_access_token_lives_on(world: &World) {
        let client = world.alexa().await;
        let tokens = world.link(&client, "ada@example.org").await;
        let answer = world.refresh(&client, text(&tokens, "refresh_token")).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        assert_eq!((answer.header("cache-control"), answer.header("pragma")), ("no-store", "no-cache"));
        let fresh = answer.json();
        assert_ne!(fresh["refresh_token"], tokens["refresh_token"]);
        assert_ne!(fresh["access_token"], tokens["access_token"]);
        assert_eq!(fresh["scope"], tokens["scope"]);
        assert!(fresh["expires_in"].as_i64().unwrap() >= 360 && fresh["id_token"].is_string());
        for token in [&tokens, &fresh] {
            assert!(world.is_active(&client, text(token, "access_token")).await);
        }
    }

    async fn a_lost_answer_can_be_asked_for_again_a_week_later(world: &World) {
        let client = world.alexa().await;
        let tokens = world.link(&client, "ada@example.org").await;
        let first = text(&tokens, "refresh_token");
        let lost = refresh_token(&world.refresh(&client, first).await);
        world.advance(7 * DAY);
        let again = refresh_token(&world.refresh(&client, first).await);
        // Whichever answer the client kept, it goes on.
        refresh_token(&world.refresh(&client, &again).await);
        refresh_token(&world.refresh(&client, &lost).await);
    }

    async fn fifty_parallel_refreshes_on_two_nodes_all_succeed(world: &World) {
        let client = world.alexa().await;
        let tokens = world.link(&client, "ada@example.org").await;
        let second_node = world.second_node().await;
        let answers = storm(&[&world.service, &second_node], &client, text(&tokens, "refresh_token"), 50).await;
        for answer in &answers {
            assert!(world.is_active(&client, text(&answer.json(), "access_token")).await);
        }
        for answer in answers.iter().step_by(7) {
            refresh_token(&world.refresh(&client, &refresh_token(answer)).await);
        }
        second_node.close().await;
    }

    async fn refreshes_at_the_same_moment_hear_each_of_themselves(world: &World) {
        let client = world.alexa().await;
        let other = world.client("other", false).await;
        let mut links = Vec::new();
        for n in 0..8 {
            links.push(world.link(&client, &format!("person{n}@example.org")).await);
        }
        // One in four comes with a token that is another client's, one in four with none that ever was.
        let storm = (0..200).map(|n| {
            let link = &links[n / 4 % links.len()];
            let nobodys = format!("{}AAAA", &text(link, "refresh_token")[..43]);
            let (by, token) = match n % 4 {
                0 => (&other, text(link, "refresh_token")),
                1 => (&client, nobodys.as_str()),
                _ => (&client, text(link, "refresh_token")),
            };
            let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
            let request = form_request("/oauth/token", &[("authorization", &basic(by))], &form);
            tokio::spawn(send(world.service.router(), request))
        });
        for (n, task) in storm.collect::<Vec<_>>().into_iter().enumerate() {
            let answer = task.await.unwrap();
            if n % 4 < 2 {
                assert_eq!(answer.error(), "invalid_grant", "{n}");
                continue;
            }
            let (fresh, link) = (answer.json(), &links[n / 4 % links.len()]);
            let mut whose = Vec::new();
            for pair in [link, &fresh] {
                let answer = send(world.service.router(), userinfo(text(pair, "access_token"))).await.json();
                whose.push(text(&answer, "sub").to_owned());
            }
            assert_eq!(whose[0], whose[1], "{n}");
        }
    }

    async fn a_refresh_that_the_database_cannot_keep_spoils_no_other(world: &World) {
        let client = world.alexa().await;
        let mut links = Vec::new();
        for n in 0..8 {
            links.push(world.link(&client, &format!("person{n}@example.org")).await);
        }
        let grant = world.look_up("SELECT g.id FROM grants g JOIN accounts a ON a.id = g.account_id WHERE a.email = 'person3@example.org'").await;
        world.execute(match world.database {
            DatabaseSettings::Sqlite(_) => format!(
                "CREATE TRIGGER refuse BEFORE INSERT ON token_pairs WHEN NEW.grant_id = '{grant}' BEGIN SELECT RAISE(FAIL, 'no'); END"),
            DatabaseSettings::Postgres { .. } => format!(
                "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$; \
                 CREATE TRIGGER refuse BEFORE INSERT ON token_pairs FOR EACH ROW WHEN (NEW.grant_id = '{grant}') EXECUTE FUNCTION refuse()"),
        }).await;
        let header = basic(&client);
        let storm = (0..64).map(|n| {
            let form = [("grant_type", "refresh_token"), ("refresh_token", text(&links[n % 8], "refresh_token"))];
            tokio::spawn(send(world.service.router(), form_request("/oauth/token", &[("authorization", &header)], &form)))
        });
        for (n, task) in storm.collect::<Vec<_>>().into_iter().enumerate() {
            let expected = if n % 8 == 3 { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
            assert_eq!(task.await.unwrap().status, expected, "{n}");
        }
    }

    async fn five_generations_of_storms_leave_the_link_whole(world: &World) {
        let client = world.alexa().await;
        let tokens = world.link(&client, "ada@example.org").await;
        let mut current = text(&tokens, "refresh_token").to_owned();
        for _ in 0..5 {
            let answers = storm(&[&world.service], &client, &current, 20).await;
            let next: Vec<String> = answers.iter().map(refresh_token).collect();
            refresh_token(&world.refresh(&client, &current).await);
            current = next[next.len() / 2].clone();
        }
    }

    async fn a_client_that_uses_no_answer_is_slowed_down_but_never_unlinked(world: &World) {
        let client = world.alexa().await;
        let tokens = world.link(&client, "ada@example.org").await;
        let first = text(&tokens, "refresh_token");
        let mut answers = Vec::new();
        for _ in 0..128 {
            answers.push(refresh_token(&world.refresh(&client, first).await));
        }
        let slowed = world.refresh(&client, first).await;
        assert_eq!((slowed.status, slowed.error()), (StatusCode::TOO_MANY_REQUESTS, "temporarily_unavailable".into()));
        assert_eq!(slowed.header("retry-after"), "60");
        // An hour after the last access token has expired, lost answers are forgotten, and it goes on.
        world.advance(2 * 3600);
        let kept = refresh_token(&world.refresh(&client, first).await);
        assert_eq!(world.refresh(&client, &answers[0]).await.error(), "invalid_grant");
        refresh_token(&world.refresh(&client, &kept).await);
    }

    async fn a_used_answer_is_never_forgotten(world: &World) {
        let client = world.alexa().await;
        let tokens = world.link(&client, "ada@example.org").await;
        let first = text(&tokens, "refresh_token");
        let used = refresh_token(&world.refresh(&client, first).await);
        let next = refresh_token(&world.refresh(&client, &used).await);
        for _ in 0..127 {
            refresh_token(&world.refresh(&client, first).await);
        }
        world.advance(2 * 3600);
        refresh_token(&world.refresh(&client, first).await);
        refresh_token(&world.refresh(&client, &used).await);
        refresh_token(&world.refresh(&client, &next).await);
    }

    async fn half_a_year_of_silence_does_not_unlink(world: &World) {
        let client = world.alexa().await;
        let tokens = world.link(&client, "ada@example.org").await;
        world.advance(179 * DAY);
        let next = refresh_token(&world.refresh(&client, text(&tokens, "refresh_token")).await);
        world.service.housekeep().await.unwrap();
        world.advance(399 * DAY);
        let last = refresh_token(&world.refresh(&client, &next).await);
        world.advance(401 * DAY);
        let answer = world.refresh(&client, &last).await;
        assert_eq!((answer.status, answer.error()), (StatusCode::BAD_REQUEST, "invalid_grant".into()));
    }

    async fn an_old_token_is_refused_for_itself_alone(world: &World) {
        let client = world.alexa().await;
        let tokens = world.link(&client, "ada@example.org").await;
        let old = text(&tokens, "refresh_token");
        let next = refresh_token(&world.refresh(&client, old).await);
        // Its successor was never used: still good after a month.
        world.advance(30 * DAY);
        refresh_token(&world.refresh(&client, old).await);
        let newest = refresh_token(&world.refresh(&client, &next).await);
        // Used now: good for another day, and no longer.
        world.advance(DAY - 1);
        refresh_token(&world.refresh(&client, old).await);
        world.advance(1);
        let refused = world.refresh(&client, old).await;
        assert_eq!((refused.status, refused.error()), (StatusCode::BAD_REQUEST, "invalid_grant".into()));
        assert!(!world.is_active(&client, old).await);
        refresh_token(&world.refresh(&client, &newest).await);
        refresh_token(&world.refresh(&client, &next).await);
    }

    async fn housekeeping_changes_no_verdict(world: &World) {
        let client = world.alexa().await;
        let tokens = world.link(&client, "ada@example.org").await;
        let mut chain = vec![text(&tokens, "refresh_token").to_owned()];
        for _ in 0..10 {
            world.advance(20 * DAY);
            let next = refresh_token(&world.refresh(&client, chain.last().unwrap()).await);
            chain.push(next);
        }
        world.advance(DAY);
        assert!(world.service.housekeep().await.unwrap() > 0);
        let (last_two, older) = chain.split_last_chunk::<2>().map(|(older, last)| (last, older)).unwrap();
        for token in older {
            assert_eq!(world.refresh(&client, token).await.error(), "invalid_grant");
        }
        for token in last_two {
            refresh_token(&world.refresh(&client, token).await);
        }
    }

    async fn another_client_gets_nothing_and_spoils_nothing(world: &World) {
        let client = world.alexa().await;
        let other = world.client("other", false).await;
        let tokens = world.link(&client, "ada@example.org").await;
        let token = text(&tokens, "refresh_token");
        assert_eq!(world.refresh(&other, token).await.error(), "invalid_grant");
        refresh_token(&world.refresh(&client, token).await);
    }

    async fn scopes_narrow_and_never_widen(world: &World) {
        let client = world.alexa().await;
        let mut browser = world.person("ada@example.org").await;
        let asked = Authorization { scope: "music_assistant.read offline_access".into(), ..Authorization::new("alexa") };
        let code = browser.allow(&asked).await;
        let tokens = world.redeem(&client, &code, &asked).await.json();
        assert!(tokens["id_token"].is_null());
        let with_scope = |scope: &'static str| {
            let token = text(&tokens, "refresh_token").to_owned();
            let client = &client;
            async move {
                world.token(client, &[("grant_type", "refresh_token"), ("refresh_token", &token), ("scope", scope)]).await
            }
        };
        let wider = with_scope("music_assistant.read music_assistant.control").await;
        assert_eq!((wider.status, wider.error()), (StatusCode::BAD_REQUEST, "invalid_scope".into()));
        let narrower = with_scope("music_assistant.read").await;
        assert_eq!(text(&narrower.json(), "scope"), "music_assistant.read");
        // The refresh token itself keeps what was granted.
        let again = world.refresh(&client, &refresh_token(&narrower)).await.json();
        assert_eq!(text(&again, "scope"), "music_assistant.read offline_access");
    }

    async fn kinds_of_tokens_do_not_mix_and_garbage_is_400(world: &World) {
        let client = world.alexa().await;
        let tokens = world.link(&client, "ada@example.org").await;
        let garbage = ["x", "mcr_", "\u{1F3B5}", &"a".repeat(60_000), text(&tokens, "access_token")];
        for token in garbage {
            let answer = world.refresh(&client, token).await;
            assert_eq!((answer.status, answer.error()), (StatusCode::BAD_REQUEST, "invalid_grant".into()));
        }
        let info = world.send(userinfo(text(&tokens, "refresh_token"))).await;
        assert_eq!(info.status, StatusCode::UNAUTHORIZED);
    }

    async fn a_public_clients_token_is_spent_by_its_use(world: &World) {
        let client = world.client("public", true).await;
        let tokens = world.link(&client, "ada@example.org").await;
        let first = text(&tokens, "refresh_token");
        let second = refresh_token(&refresh_publicly(world, first).await);
        let newest = refresh_publicly(world, &second).await;
        let third = refresh_token(&newest);
        let bearer = async || world.send(userinfo(text(&newest.json(), "access_token"))).await.status;
        assert_eq!(bearer().await, StatusCode::OK);
        // A spent one comes back: thief or owner, nobody can tell, so the whole authorization ends.
        assert_eq!(refresh_publicly(world, first).await.error(), "invalid_grant");
        assert_eq!(refresh_publicly(world, &third).await.error(), "invalid_grant");
        assert_eq!(bearer().await, StatusCode::UNAUTHORIZED);
    }

    async fn of_parallel_refreshes_of_a_public_client_at_most_one_wins(world: &World) {
        let client = world.client("public", true).await;
        let mut browser = world.person("ada@example.org").await;
        for _ in 0..4 {
            let tokens = world.link_as(&client, &mut browser).await;
            let token = text(&tokens, "refresh_token").to_owned();
            let tasks: Vec<_> = (0..10).map(|_| {
                let form = [("grant_type", "refresh_token"), ("refresh_token", token.as_str()), ("client_id", "public")];
                tokio::spawn(send(world.service.router(), form_request("/oauth/token", &[], &form)))
            }).collect();
            let mut won = 0;
            for task in tasks {
                let answer = task.await.unwrap();
                assert!(answer.status == StatusCode::OK || answer.error() == "invalid_grant", "{}", answer.text);
                won += usize::from(answer.status == StatusCode::OK);
            }
            assert!(won <= 1);
        }
    }

    async fn signing_out_does_not_unlink(world: &World) {
        let client = world.alexa().await;
        let mut browser = world.person("ada@example.org").await;
        let tokens = world.link_as(&client, &mut browser).await;
        let page = browser.get("/sign-out").await;
        browser.submit(&page, "/sign-out", &[]).await;
        refresh_token(&world.refresh(&client, text(&tokens, "refresh_token")).await);
    }
}

fn userinfo(token: &str) -> http::Request<axum::body::Body> {
    http::Request::get("/oauth/userinfo")
        .header("authorization", format!("Bearer {token}"))
        .body(axum::body::Body::empty())
        .unwrap()
}
