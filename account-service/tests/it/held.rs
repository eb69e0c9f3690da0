//! What another process holds of the database (PostgreSQL): nobody waits crosswise, and nobody waits for ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::http::StatusCode;
use macloud_account_service::{AccountService, ClientChange, DatabaseSettings};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::harness::{Authorization, Kind, World, basic, form_request, send, text};

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
    for _ in 0..2000 {
        let waiting: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
        )
        .fetch_one(&mut watcher)
        .await
        .unwrap();
        if waiting > 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("nobody waits");
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
        let (page, code) = crate::mailed::forgot(world, &mut owner, "ada@example.org").await;
        let code = code.unwrap();
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_needs_what_another_process_holds_is_told_to_come_again() {
    World::with(Kind::Postgres, async |world| {
        let client = world.alexa().await;
        let tokens = world.link(&client, "ada@example.org").await;
        let mut stopped = other(world).await;
        run(&mut stopped, "BEGIN; UPDATE change_counter SET last = last WHERE id = 1").await;
        let (header, form) = (basic(&client), [("token", text(&tokens, "refresh_token"))]);
        let headers = [("authorization", header.as_str())];
        let revoke = world.post("/oauth/revoke", &headers, &form);
        let both = async { tokio::join!(revoke, world.service.check_database()) };
        let (refused, unhealthy) = tokio::time::timeout(Duration::from_secs(8), both).await.unwrap();
        assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE, "{}", refused.text);
        assert!(unhealthy.unwrap_err().to_string().contains("another process holds"));
        run(&mut stopped, "ROLLBACK").await;
        assert_eq!(world.post("/oauth/revoke", &headers, &form).await.status, StatusCode::OK);
        world.service.check_database().await.unwrap();
    })
    .await;
}

/// The network to the database, which takes its time, until it swallows everything.
async fn network(url: &str, delay: Duration) -> (String, tokio::task::JoinHandle<()>, Arc<AtomicBool>) {
    let mut url = url::Url::parse(url).unwrap();
    let server = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    url.set_port(Some(listener.local_addr().unwrap().port())).unwrap();
    url.set_host(Some("127.0.0.1")).unwrap();
    let broken = Arc::new(AtomicBool::new(false));
    let forwarding = tokio::spawn({
        let broken = broken.clone();
        async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let (server, broken) = (server.clone(), broken.clone());
                connections.spawn(async move {
                    let (from_client, to_client) = client.into_split();
                    let (from_server, to_server) = TcpStream::connect(server).await.unwrap().into_split();
                    let there = carry(from_client, to_server, Duration::ZERO, &broken);
                    tokio::join!(there, carry(from_server, to_client, delay, &broken));
                });
            }
        }
    });
    (url.into(), forwarding, broken)
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, delay: Duration, broken: &AtomicBool) {
    let mut bytes = vec![0; 65536];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        tokio::time::sleep(delay).await;
        if !broken.load(Ordering::Relaxed) && to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_does_not_even_fail_is_one_that_is_away() {
    World::with(Kind::Postgres, async |world| {
        let client = world.alexa().await;
        let DatabaseSettings::Postgres { url, .. } = &world.database else { panic!("not what was asked for") };
        let (url, forwarding, broken) = network(url, Duration::ZERO).await;
        let database = DatabaseSettings::Postgres { url, max_connections: 8 };
        let node = AccountService::open(world.config.clone(), &database, world.clock.clone()).await.unwrap();
        node.check_database().await.unwrap();
        broken.store(true, Ordering::Relaxed);
        let header = basic(&client);
        let request = form_request("/oauth/revoke", &[("authorization", &header)], &[("token", "mcr_x")]);
        let asked = async { tokio::join!(node.check_database(), send(node.router(), request)) };
        let (healthy, refused) = tokio::time::timeout(Duration::from_secs(30), asked).await.unwrap();
        assert!(healthy.unwrap_err().to_string().contains("in time"));
        assert_eq!(
            (refused.status, refused.error().as_str()),
            (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable")
        );
        forwarding.abort();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_are_cut_off_leave_no_transaction_behind() {
    World::with(Kind::Postgres, async |world| {
        world.client("public", true).await;
        let asked = Authorization::new("public");
        let code = world.person("ada@example.org").await.allow(&asked).await;
        let nobodys = format!("{}AAA", &code[..code.len() - 3]);
        let form = [("grant_type", "authorization_code"), ("client_id", "public"), ("code", nobodys.as_str())];
        let DatabaseSettings::Postgres { url, .. } = &world.database else { panic!("not what was asked for") };
        let (url, forwarding, _) = network(url, Duration::from_millis(20)).await;
        let database = DatabaseSettings::Postgres { url, max_connections: 8 };
        let node = AccountService::open(world.config.clone(), &database, world.clock.clone()).await.unwrap();
        // It remembers the client from now on, and the first that the others ask of the database is to begin.
        assert_eq!(send(node.router(), form_request("/oauth/token", &[], &form)).await.error(), "invalid_grant");
        let mut requests = JoinSet::new();
        for patience in (1..60).map(Duration::from_millis) {
            let answer = send(node.router(), form_request("/oauth/token", &[], &form));
            requests.spawn(async move { drop(tokio::time::timeout(patience, answer).await) });
            if requests.len() == 8 {
                requests.join_next().await;
            }
        }
        while requests.join_next().await.is_some() {}
        let mut watcher = other(world).await;
        let mut open = i64::MAX;
        for _ in 0..200 {
            let sql = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'";
            open = sqlx::query_scalar(sql).fetch_one(&mut watcher).await.unwrap();
            if open == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(open, 0, "transactions that nobody will ever commit");
        node.close().await;
        forwarding.abort();
    })
    .await;
}
