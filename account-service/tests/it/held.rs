//! What another process holds of the database (PostgreSQL): nobody waits crosswise, and nobody waits for ever.

use axum::http::StatusCode;
use macloud_account_service::{ClientChange, DatabaseSettings};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

use crate::harness::{Authorization, Kind, World, text};

/// Another process of ours, with statements at its own pace.
async fn other(world: &World) -> PgConnection {
    let DatabaseSettings::Postgres { url, .. } = &world.database else { panic!("only a server has other processes") };
    PgConnection::connect(url).await.unwrap()
}

async fn run(connection: &mut PgConnection, sql: &str) {
    connection.execute(AssertSqlSafe(sql.to_owned())).await.unwrap();
}

/// Until somebody waits for a lock.
async fn somebody_waits(world: &World) {
    let mut watcher = other(world).await;
    loop {
        let waiting: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
        )
        .fetch_one(&mut watcher)
        .await
        .unwrap();
        if waiting > 0 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_transactions_that_end_the_same_grants_both_succeed() {
    World::with(Kind::Postgres, async |world| {
        let client = world.alexa().await;
        let another = world.client("another", false).await;
        let mut thief = world.person("ada@example.org").await;
        // As if nobody had shown yet that the address is theirs: then a reset ends everything.
        world.execute("UPDATE accounts SET email_verified_at = NULL".into()).await;
        let tokens = world.link_as(&client, &mut thief).await;
        world.link_as(&another, &mut thief).await;
        let mut owner = world.browser();
        let page = owner.get("/forgot").await;
        let page = owner.submit(&page, "/forgot", &[("email", "ada@example.org")]).await;
        let code = crate::mailed::subject_code(&world.mails()[0]);
        // A revocation, just before it tells of the grant that it ends.
        let mut revoking = other(world).await;
        run(&mut revoking, "BEGIN").await;
        run(&mut revoking, "UPDATE grants SET ended_at = 1 WHERE id = (SELECT MAX(id) FROM grants)").await;
        let fields = [("code", code.as_str()), ("password", "a new long one")];
        let resetting = owner.submit(&page, "/reset", &fields);
        let revoked = async {
            somebody_waits(world).await;
            run(&mut revoking, "UPDATE change_counter SET last = last + 1 WHERE id = 1; COMMIT").await;
        };
        let (landed, ()) = tokio::join!(resetting, revoked);
        assert_eq!(landed.status, StatusCode::SEE_OTHER, "{}", landed.text);
        assert_eq!(world.refresh(&client, text(&tokens, "refresh_token")).await.status, StatusCode::BAD_REQUEST);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_changes_of_a_client_at_once_both_count() {
    World::with(Kind::Postgres, async |world| {
        world.alexa().await;
        let mut changing = other(world).await;
        run(&mut changing, "BEGIN; UPDATE clients SET name = 'New name' WHERE id = 'alexa'").await;
        let change = ClientChange { access_token_seconds: Some(60), ..ClientChange::default() };
        let changed = world.service.update_client("alexa", change);
        let committed = async {
            somebody_waits(world).await;
            run(&mut changing, "COMMIT").await;
        };
        let (changed, ()) = tokio::join!(changed, committed);
        assert_eq!(changed.unwrap().name, "New name");
        let client = world.service.show_client("alexa").await.unwrap();
        assert_eq!((client.name.as_str(), client.access_token_seconds), ("New name", 60));
    })
    .await;
}

/// The token endpoint waits for a commit that has begun: whoever came again with what it spends would be taken for a thief.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_commit_is_waited_for_where_nothing_can_be_had_twice() {
    World::with(Kind::Postgres, async |world| {
        let client = world.client("public", true).await;
        let mut browser = world.person("ada@example.org").await;
        let asked = Authorization::new("public");
        let code = browser.allow(&asked).await;
        let slow = "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(4); RETURN NULL; END'";
        world.execute(slow.into()).await;
        let at_the_commit = "CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON token_pairs DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION slow()";
        world.execute(at_the_commit.into()).await;
        let linked = world.redeem(&client, &code, &asked).await;
        assert_eq!(linked.status, StatusCode::OK, "{}", linked.text);
        let linked = linked.json();
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", text(&linked, "refresh_token")),
            ("client_id", "public"),
        ];
        let refreshed = world.post("/oauth/token", &[], &form).await;
        assert_eq!(refreshed.status, StatusCode::OK, "{}", refreshed.text);
    })
    .await;
}
