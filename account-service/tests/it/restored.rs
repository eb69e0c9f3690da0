//! A database that was restored is older than what people and apps hold: links go on, and nothing comes back that was spent.

use axum::http::StatusCode;
use macloud_account_service::CreatedClient;
use macloud_proto::accounts::v1::change::Subject;
use macloud_proto::accounts::v1::resolve_access_answer::Status;
use macloud_proto::accounts::v1::{ResolveAccessRequest, WatchChangesRequest};
use macloud_service_kit::clock::Clock as _;
use serde_json::Value;

use crate::harness::{World, basic, form_request, on_both_databases, send, text};

const DAY: u64 = 24 * 3600;
const HOUR: u64 = 3600;

async fn refreshed(world: &World, client: &CreatedClient, tokens: &Value) -> Value {
    let answer = world.refresh(client, text(tokens, "refresh_token")).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    answer.json()
}

async fn refused(world: &World, client: &CreatedClient, token: &str) {
    assert_eq!(world.refresh(client, token).await.error(), "invalid_grant");
}

async fn status(world: &World, tokens: &Value) -> Status {
    let access_token = text(tokens, "access_token").into();
    let answer = world.accounts().resolve_access(ResolveAccessRequest { access_token }).await.unwrap();
    answer.into_inner().status()
}

/// From now on the database is as it was at `time`, as far as tokens go.
async fn lose_tokens_since(world: &World, time: u64) {
    world.execute(format!("DELETE FROM token_pairs WHERE issued_at > {time}")).await;
    world.execute(format!("UPDATE token_pairs SET used_at = NULL WHERE used_at > {time}")).await;
}

fn now(world: &World) -> u64 {
    world.clock.unix_seconds()
}

on_both_databases! {
    async fn a_link_outlives_the_loss_of_all_its_newer_tokens(world: &World) {
        let client = world.alexa().await;
        let first = world.link(&client, "ada@example.org").await;
        let copied = now(world);
        let mut lost: Vec<Value> = Vec::new();
        for _ in 0..4 {
            world.advance(HOUR);
            lost.push(refreshed(world, &client, lost.last().unwrap_or(&first)).await);
        }
        world.advance(60);
        lose_tokens_since(world, copied).await;
        assert_eq!(status(world, &lost[3]).await, Status::Invalid, "nobody has said yet that it was restored");
        let restored = world.service.mark_restored().await.unwrap();
        assert_eq!(restored.known_until, Some(copied as i64));

        assert_eq!(status(world, &lost[3]).await, Status::Expired, "so Alexa fetches another");
        let narrowed = [
            ("grant_type", "refresh_token"),
            ("refresh_token", text(&lost[3], "refresh_token")),
            ("scope", "music_assistant.read"),
        ];
        let fresh = world.token(&client, &narrowed).await;
        assert_eq!((fresh.status, text(&fresh.json(), "scope")), (StatusCode::OK, "music_assistant.read"));
        // An answer may be lost now, too, and several may ask at once.
        let fresh = refreshed(world, &client, &lost[3]).await;
        refreshed(world, &client, &lost[2]).await;
        assert_eq!(status(world, &fresh).await, Status::Active);
        let fresh = refreshed(world, &client, &fresh).await;

        // Once the new ones have been in use for a while, the older ones are what they were before: superseded.
        world.advance(DAY + HOUR);
        for old in [&first, &lost[0], &lost[1]] {
            refused(world, &client, text(old, "refresh_token")).await;
        }
        refreshed(world, &client, &fresh).await;
        assert_eq!(status(world, &lost[3]).await, Status::Invalid, "by then nobody has an access token of before");
        world.service.housekeep().await.unwrap();
    }

    async fn a_restored_database_takes_back_nothing_but_what_was_lost(world: &World) {
        let (client, other) = (world.alexa().await, world.client("other", false).await);
        let ada = world.link(&client, "ada@example.org").await;
        let bob = world.link(&client, "bob@example.org").await;
        let revoke = [("token", text(&bob, "refresh_token"))];
        assert_eq!(world.post("/oauth/revoke", &[("authorization", &basic(&client))], &revoke).await.status, StatusCode::OK);
        let copied = now(world);
        world.advance(HOUR);
        let lost = refreshed(world, &client, &ada).await;
        let lost = text(&lost, "refresh_token");
        lose_tokens_since(world, copied).await;
        refused(world, &client, lost).await;
        world.service.mark_restored().await.unwrap();
        refused(world, &client, text(&bob, "refresh_token")).await;
        world.execute("DELETE FROM token_pairs WHERE grant_id IN (SELECT id FROM grants WHERE ended_at IS NOT NULL)".into()).await;
        refused(world, &client, text(&bob, "refresh_token")).await;
        refused(world, &other, lost).await;
        let forged = format!("{}{}", &lost[..60], lost[60..].chars().rev().collect::<String>());
        refused(world, &client, &forged).await;

        world.service.set_user_suspended("ada@example.org", true).await.unwrap();
        assert_eq!(world.refresh(&client, lost).await.error(), "access_denied", "which ends no link");
        world.service.set_user_suspended("ada@example.org", false).await.unwrap();

        // What is given out from now on is written down. What is unknown all the same was deleted, and stays so.
        world.advance(HOUR);
        let answer = world.refresh(&client, lost).await.json();
        let since = text(&answer, "refresh_token").to_owned();
        lose_tokens_since(world, now(world) - 1).await;
        refused(world, &client, &since).await;
        world.refresh(&client, lost).await.json();
    }

    async fn what_was_taken_back_and_superseded_is_not_taken_back_once_it_is_forgotten(world: &World) {
        let client = world.alexa().await;
        let (ada, bob) = (world.link(&client, "ada@example.org").await, world.link(&client, "bob@example.org").await);
        let copied = now(world);
        world.advance(HOUR);
        let (lost, idle) = (refreshed(world, &client, &ada).await, refreshed(world, &client, &bob).await);
        lose_tokens_since(world, copied).await;
        world.service.mark_restored().await.unwrap();
        // All within the second of the lost one: none of these is newer by its time.
        let mut newest = refreshed(world, &client, &lost).await;
        for _ in 0..2 {
            newest = refreshed(world, &client, &newest).await;
        }
        world.advance(91 * DAY);
        let known = "SELECT CAST(COUNT(*) AS TEXT) FROM token_pairs";
        assert_eq!(world.look_up(known).await, "6");
        world.service.housekeep().await.unwrap();
        assert_eq!(world.look_up(known).await, "3", "two of hers are left, and his");
        refused(world, &client, text(&lost, "refresh_token")).await;
        refreshed(world, &client, &newest).await;
        // Who has not come since has superseded nothing.
        refreshed(world, &client, &idle).await;
    }

    async fn a_seal_outlives_the_file_key_and_without_it_nothing_known_is_lost(world: &World) {
        let client = world.alexa().await;
        let first = world.link(&client, "ada@example.org").await;
        world.service.add_file_key(600).await.unwrap();
        world.advance(600);
        world.service.re_encrypt().await.unwrap();
        world.advance(180);
        assert_eq!(world.service.drop_old_file_keys().await.unwrap().len(), 1);
        let copied = now(world);
        world.advance(HOUR);
        let lost = refreshed(world, &client, &first).await;
        let later = refreshed(world, &client, &lost).await;
        lose_tokens_since(world, copied).await;
        world.service.mark_restored().await.unwrap();
        let header = basic(&client);
        let refresh = async |node: &macloud_account_service::AccountService, tokens: &Value| {
            let form = [("grant_type", "refresh_token"), ("refresh_token", text(tokens, "refresh_token"))];
            send(node.router(), form_request("/oauth/token", &[("authorization", &header)], &form)).await
        };
        // Sealed before the rotation's end or after, it is one key: it is kept in the database.
        let other = world.second_node().await;
        assert_eq!(refresh(&other, &lost).await.status, StatusCode::OK);
        other.close().await;
        // A copy of before there was such a key gets another one. What the database knows needs no seal; nothing else is believed.
        world.execute("DELETE FROM hash_keys WHERE name = 'refresh'".into()).await;
        let other = world.second_node().await;
        assert_eq!(refresh(&other, &lost).await.status, StatusCode::OK);
        assert_eq!(refresh(&other, &later).await.error(), "invalid_grant");
        other.close().await;
    }

    async fn a_token_that_was_spent_after_the_copy_is_not_good_again(world: &World) {
        let public = world.client("public", true).await;
        let tokens = world.link(&public, "ada@example.org").await;
        let copied = now(world);
        world.advance(HOUR);
        let spend = async |token: &str| {
            let form = [("grant_type", "refresh_token"), ("refresh_token", token), ("client_id", "public")];
            world.post("/oauth/token", &[], &form).await
        };
        let answer = spend(text(&tokens, "refresh_token")).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        let next = answer.json();
        lose_tokens_since(world, copied).await;
        world.service.mark_restored().await.unwrap();
        // Nobody knows who has which: this app's people sign in again.
        for token in [&tokens, &next] {
            assert_eq!(spend(text(token, "refresh_token")).await.error(), "invalid_grant");
        }
    }

    async fn people_sign_in_again_and_followers_begin_anew_after_a_restore(world: &World) {
        let client = world.alexa().await;
        let mut browser = world.person("ada@example.org").await;
        world.link_as(&client, &mut browser).await;
        assert_eq!(browser.get("/security").await.status, StatusCode::OK);
        let watch = async |since: u64| {
            let request = WatchChangesRequest { since, replay_seconds: 0 };
            let mut stream = world.accounts().watch_changes(request).await.unwrap().into_inner();
            let start = stream.message().await.unwrap().unwrap();
            let Some(Subject::Start(said)) = start.subject else { panic!("it begins with a start") };
            (start.sequence, said.gap)
        };
        world.service.set_user_suspended("ada@example.org", true).await.unwrap();
        world.service.set_user_suspended("ada@example.org", false).await.unwrap();
        let (heard, _) = watch(0).await;
        // The copy was made before that, and more happens in it than was lost.
        world.execute("DELETE FROM changes".into()).await;
        world.execute("UPDATE change_counter SET last = 0".into()).await;
        let restored = world.service.mark_restored().await.unwrap();
        assert_eq!(restored.sessions_ended, 1);
        for _ in 0..heard + 2 {
            world.service.set_user_suspended("ada@example.org", true).await.unwrap();
            world.service.set_user_suspended("ada@example.org", false).await.unwrap();
        }
        let (sequence, gap) = watch(heard).await;
        assert!(gap && sequence > heard, "{heard} {sequence} {gap}");
        assert_eq!(browser.get("/security").await.status, StatusCode::SEE_OTHER);
        let holds = world.service.examine().await.unwrap();
        assert_eq!((holds.people, holds.homes, holds.apps, holds.links), (1, 0, 1, 1));
    }
}
