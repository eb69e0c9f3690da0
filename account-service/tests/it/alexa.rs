//! One link, and everything that happens to a cloud in a year and a half: it is still there.

use std::time::Duration;

use axum::http::StatusCode;
use macloud_account_service::{AccountService, CreatedClient, DatabaseSettings};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};

use crate::harness::{Answer, Kind, World, basic, form_request, on_both_databases, send, text};

const DAY: u64 = 24 * 3600;

fn refresh_token(answer: &Answer) -> String {
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    text(&answer.json(), "refresh_token").to_owned()
}

/// So many refreshes with one token at once, begun and not yet awaited.
fn many(
    node: &AccountService,
    client: &CreatedClient,
    token: &str,
    count: usize,
) -> Vec<tokio::task::JoinHandle<Answer>> {
    let header = basic(client);
    let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
    let requests = (0..count).map(|_| form_request("/oauth/token", &[("authorization", &header)], &form));
    requests.map(|request| tokio::spawn(send(node.router(), request))).collect()
}

/// A database that is away for a while, and comes back as it was.
enum Outage {
    /// Somebody else holds the file.
    Held(Box<sqlx::SqliteConnection>),
    /// The server takes no connections.
    Closed { server: String, name: String },
}

impl Outage {
    async fn begin(world: &World) -> Self {
        match &world.database {
            DatabaseSettings::Sqlite(path) => {
                let options =
                    sqlx::sqlite::SqliteConnectOptions::new().filename(path).busy_timeout(Duration::from_secs(20));
                let mut connection = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
                connection.execute("BEGIN IMMEDIATE").await.unwrap();
                Self::Held(Box::new(connection))
            }
            DatabaseSettings::Postgres { url, .. } => {
                let mut url = url::Url::parse(url).unwrap();
                let name = url.path().trim_start_matches('/').to_owned();
                url.set_path("postgres");
                let mut connection = sqlx::PgConnection::connect(url.as_str()).await.unwrap();
                let close = format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false");
                connection.execute(AssertSqlSafe(close)).await.unwrap();
                let end = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'");
                connection.execute(AssertSqlSafe(end)).await.unwrap();
                Self::Closed { server: url.into(), name }
            }
        }
    }

    async fn end(self) {
        match self {
            Self::Held(mut connection) => {
                connection.execute("ROLLBACK").await.unwrap();
            }
            Self::Closed { server, name } => {
                let mut connection = sqlx::PgConnection::connect(&server).await.unwrap();
                let open = format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true");
                connection.execute(AssertSqlSafe(open)).await.unwrap();
            }
        }
    }
}

on_both_databases! {
    async fn the_link_survives_lost_answers_storms_restarts_outages_and_silence(world: &World) {
        let client = world.alexa().await;
        let tokens = world.link(&client, "ada@example.org").await;
        let first = text(&tokens, "refresh_token").to_owned();

        // An answer is lost, and the request repeated.
        refresh_token(&world.refresh(&client, &first).await);
        let mut current = refresh_token(&world.refresh(&client, &first).await);

        // Fifty at once: whichever answer is kept, it goes on.
        let mut kept = Vec::new();
        for answer in many(&world.service, &client, &current, 50) {
            kept.push(refresh_token(&answer.await.unwrap()));
        }
        for token in kept.iter().step_by(10) {
            refresh_token(&world.refresh(&client, token).await);
        }
        current = kept.swap_remove(17);

        // A node goes away in the middle of it. What it did not do it does not blame on the token.
        let node = world.second_node().await;
        let under_way = many(&node, &client, &current, 30);
        node.close().await;
        for answer in under_way {
            let answer = answer.await.unwrap();
            if answer.status == StatusCode::OK {
                assert!(world.is_active(&client, text(&answer.json(), "access_token")).await);
                refresh_token(&world.refresh(&client, &refresh_token(&answer)).await);
            } else {
                assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{}", answer.text);
            }
        }
        let restarted = world.second_node().await;
        for answer in many(&restarted, &client, &current, 1) {
            current = refresh_token(&answer.await.unwrap());
        }
        restarted.close().await;

        // Half a year of silence.
        world.advance(179 * DAY);
        current = refresh_token(&world.refresh(&client, &current).await);

        // The database is away, and comes back.
        let outage = Outage::begin(world).await;
        let answer = world.refresh(&client, &current).await;
        assert_eq!((answer.status, answer.error()), (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable".into()));
        assert_ne!(answer.header("retry-after"), "");
        outage.end().await;
        // Connections from before are found broken by whoever uses them next, and there are eight.
        let mut answer = world.refresh(&client, &current).await;
        for _ in 0..8 {
            if answer.status == StatusCode::SERVICE_UNAVAILABLE {
                answer = world.refresh(&client, &current).await;
            }
        }
        current = refresh_token(&answer);

        // More than a year of silence, with all the tidying up that goes on meanwhile.
        for _ in 0..7 {
            world.advance(57 * DAY);
            world.service.housekeep().await.unwrap();
        }
        current = refresh_token(&world.refresh(&client, &current).await);
        assert!(world.is_active(&client, &current).await);
    }
}

/// Without this, whoever measures can tell who has an account: hashing takes far longer than everything else together.
#[tokio::test]
async fn unknown_people_and_wrong_passwords_take_the_same_time() {
    World::with(Kind::Sqlite, async |world| {
        world.service.create_user("ada@example.org", crate::harness::PASSWORD).await.unwrap();
        let mut browser = world.browser();
        let page = browser.get("/sign-in").await;
        let mut took = [Vec::new(), Vec::new()];
        for _ in 0..9 {
            for (email, took) in ["ada@example.org", "eve@example.org"].into_iter().zip(&mut took) {
                let begun = std::time::Instant::now();
                let answer = browser.submit(&page, "/sign-in", &[("email", email), ("password", "wrong")]).await;
                took.push(begun.elapsed());
                assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
            }
        }
        let [known, unknown] = took.map(|mut took| {
            took.sort();
            took[took.len() / 2].as_secs_f64()
        });
        // A generous bound: without the same work one of them would be tens of times the other.
        let ratio = known / unknown;
        assert!((0.25..4.0).contains(&ratio), "{ratio}: {known} s for a known address, {unknown} s for an unknown one");
    })
    .await;
}
