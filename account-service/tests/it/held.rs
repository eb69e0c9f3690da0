//! What another process holds of the database (PostgreSQL): nobody waits crosswise, and nobody waits for ever.

use axum::http::StatusCode;
use macloud_account_service::DatabaseSettings;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

use crate::harness::{Kind, World, text};

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
