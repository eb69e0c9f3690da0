//! Every earlier state of the database, with people, links and homes in it, becomes the newest one, and all of them are
//! still there.
//!
//! What is in it was made by the service of today, on a database of its own: for each earlier state the rows are copied
//! that fit it (the columns that it has). Then the service opens the copy.

use std::path::Path;

use axum::http::StatusCode;
use macloud_account_service::{CreatedClient, DatabaseSettings};
use macloud_service_kit::clock::Clock as _;
use serde_json::Value;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, SqlSafeStr as _, SqliteConnection};

use crate::harness::{Authorization, Kind, PASSWORD, World, text};
use crate::pairing::{Connector, decide};
use crate::second_step::{App, turn_on};

const ADA: &str = "ada@example.org";
const BOB: &str = "bob@example.org";

/// People, and what they hold in their hands.
struct Lives {
    client: CreatedClient,
    cookie: Option<String>,
    tokens: Value,
    asked: Authorization,
    code: String,
    home: Connector,
    instance: String,
    waiting: Connector,
    begun: Value,
    app: App,
    recovery_codes: Vec<String>,
}

impl Lives {
    async fn lived_in(world: &World) -> Self {
        let client = world.alexa().await;
        let mut ada = world.person(ADA).await;
        let tokens = world.link_as(&client, &mut ada).await;
        let (home, waiting) = (Connector::new(), Connector::new());
        let paired = home.pair(world, &mut ada, "Pi").await;
        let begun = waiting.begin(world, "Attic").await;
        let asked = Authorization::new("alexa");
        let code = ada.allow(&asked).await;
        let mut bob = world.person(BOB).await;
        let (app, recovery_codes) = turn_on(world, &mut bob).await;
        let page = world.browser().get("/forgot").await;
        assert_eq!(page.status, StatusCode::OK);
        Self {
            client,
            cookie: ada.cookie.clone(),
            tokens,
            asked,
            code,
            home,
            instance: text(&paired, "instance_id").to_owned(),
            waiting,
            begun,
            app,
            recovery_codes,
        }
    }

    /// Everything that they held is good.
    async fn go_on_in(&self, world: &World, tables: &[String]) {
        let mut ada = world.browser();
        ada.cookie.clone_from(&self.cookie);
        let homes = ada.get("/homes").await;
        assert!(homes.status == StatusCode::OK && homes.text.contains("My house"), "{}", homes.text);
        for path in ["/apps", "/sessions", "/security", "/activity"] {
            assert_eq!(ada.get(path).await.status, StatusCode::OK, "{path}");
        }
        assert!(world.is_active(&self.client, text(&self.tokens, "access_token")).await);
        let refreshed = world.refresh(&self.client, text(&self.tokens, "refresh_token")).await;
        assert_eq!(refreshed.status, StatusCode::OK, "{}", refreshed.text);
        let redeemed = world.redeem(&self.client, &self.code, &self.asked).await;
        assert_eq!(redeemed.status, StatusCode::OK, "{}", redeemed.text);
        let assertion = self.home.assertion(&self.instance, world.clock.unix_seconds());
        assert_eq!(self.home.dial_in_token(world, &assertion).await.status, StatusCode::OK);
        decide(&mut ada, &self.begun, "allow").await;
        assert_eq!(self.waiting.poll(world, &self.begun).await.status, StatusCode::OK);
        world.link_as(&self.client, &mut ada).await;

        let mut bob = world.browser();
        let page = bob.get("/sign-in").await;
        let landed = bob.submit(&page, "/sign-in", &[("email", BOB), ("password", PASSWORD)]).await;
        if tables.iter().any(|table| table == "totp_secrets") {
            assert_eq!(landed.status, StatusCode::OK, "the second step is on");
            world.advance(30);
            let landed = bob.submit(&landed, "/sign-in/code", &[("code", &self.app.shows(world))]).await;
            assert_eq!(landed.status, StatusCode::SEE_OTHER, "{}", landed.text);
            let mut elsewhere = world.browser();
            let page = elsewhere.get("/sign-in").await;
            let asked = elsewhere.submit(&page, "/sign-in", &[("email", BOB), ("password", PASSWORD)]).await;
            let landed = elsewhere.submit(&asked, "/sign-in/code", &[("code", &self.recovery_codes[0])]).await;
            assert_eq!(landed.status, StatusCode::SEE_OTHER, "{}", landed.text);
        } else {
            assert_eq!(landed.status, StatusCode::SEE_OTHER, "{}", landed.text);
        }
        let page = bob.get("/security").await;
        let copy = bob.submit(&page, "/account/export", &[]).await;
        assert_eq!(copy.json()["accounts"][0]["email"], BOB, "{}", copy.text);
        world.service.housekeep().await.unwrap();
        assert_eq!(world.service.check_schema().await.unwrap().0, []);
        assert_eq!(world.service.list_users().await.unwrap().len(), 2);
    }
}

/// One row of one table, column by column, as SQLite writes it in SQL.
struct Row {
    table: String,
    columns: Vec<(String, String)>,
}

/// All rows of the database in this file.
async fn rows_of(path: &Path) -> Vec<Row> {
    let mut connection = SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(path)).await.unwrap();
    let mut rows = Vec::new();
    for (table, columns) in schema(&mut connection).await {
        let quoted: Vec<String> = columns.iter().map(|(name, _)| format!("quote({name})")).collect();
        let sql = format!("SELECT json_array({}) FROM {table}", quoted.join(", "));
        let found: Vec<(String,)> = sqlx::query_as(AssertSqlSafe(sql)).fetch_all(&mut connection).await.unwrap();
        for (values,) in found {
            let values: Vec<String> = serde_json::from_str(&values).unwrap();
            let columns = columns.iter().map(|(name, _)| name.clone()).zip(values).collect();
            rows.push(Row { table: table.clone(), columns });
        }
    }
    rows
}

/// Every table with its columns and their types.
async fn schema(connection: &mut SqliteConnection) -> Vec<(String, Vec<(String, String)>)> {
    let sql = "SELECT m.name, c.name, c.type FROM sqlite_master m JOIN pragma_table_info(m.name) c \
               WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' AND m.name <> '_sqlx_migrations' ORDER BY m.name, c.cid";
    let found: Vec<(String, String, String)> = sqlx::query_as(sql).fetch_all(connection).await.unwrap();
    let mut tables: Vec<(String, Vec<(String, String)>)> = Vec::new();
    for (table, column, kind) in found {
        match tables.last_mut().filter(|(name, _)| *name == table) {
            Some((_, columns)) => columns.push((column, kind)),
            None => tables.push((table, vec![(column, kind)])),
        }
    }
    tables
}

/// The migrations in this directory, in their order.
fn migrations(directory: &str) -> Vec<Migration> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(directory);
    let mut files: Vec<_> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let migration = |file: &std::path::PathBuf| {
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let (version, _) = name.split_once('_').unwrap();
        let sql = AssertSqlSafe(std::fs::read_to_string(file).unwrap()).into_sql_str();
        Migration::new(version.parse().unwrap(), name.into(), MigrationType::Simple, sql, false)
    };
    files.iter().map(migration).collect()
}

/// The schema after the first so many migrations.
async fn schema_after(count: usize) -> Vec<(String, Vec<(String, String)>)> {
    let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
    first(count, "sqlite").run(&mut connection).await.unwrap();
    schema(&mut connection).await
}

fn first(count: usize, directory: &str) -> Migrator {
    Migrator::with_migrations(migrations(directory).into_iter().take(count).collect())
}

/// The statements that bring these rows into a database of this schema.
fn copies(rows: &[Row], schema: &[(String, Vec<(String, String)>)], kind: Kind) -> Vec<String> {
    let mut statements: Vec<String> = schema.iter().map(|(table, _)| format!("DELETE FROM {table}")).collect();
    for row in rows {
        let Some((_, columns)) = schema.iter().find(|(table, _)| *table == row.table) else { continue };
        let fitting = row.columns.iter().filter_map(|(name, value)| {
            let (_, declared) = columns.iter().find(|(column, _)| column == name)?;
            Some((name.as_str(), literal(value, declared, kind)))
        });
        let (names, values): (Vec<&str>, Vec<String>) = fitting.unzip();
        statements.push(format!("INSERT INTO {} ({}) VALUES ({})", row.table, names.join(", "), values.join(", ")));
    }
    statements
}

/// What SQLite wrote, as this database reads it.
fn literal(value: &str, declared: &str, kind: Kind) -> String {
    match (kind, declared) {
        (Kind::Sqlite, _) => value.to_owned(),
        (Kind::Postgres, "BOOLEAN") => format!("({value})::int::boolean"),
        (Kind::Postgres, "BLOB") => match value.strip_prefix("X'") {
            Some(hex) => format!("'\\x{hex}"),
            None => value.to_owned(),
        },
        (Kind::Postgres, _) => value.to_owned(),
    }
}

/// Bring an empty database to the state after so many migrations, and these statements into it.
async fn prepare(database: &DatabaseSettings, count: usize, statements: &[String]) {
    match database {
        DatabaseSettings::Sqlite(path) => {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            // Not in an order that foreign keys would like; the service checks them again.
            let options = SqliteConnectOptions::new().filename(path).create_if_missing(true).foreign_keys(false);
            let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
            first(count, "sqlite").run(&mut connection).await.unwrap();
            for sql in statements {
                connection.execute(AssertSqlSafe(sql.clone())).await.unwrap_or_else(|error| panic!("{error}: {sql}"));
            }
            connection.close().await.unwrap();
        }
        DatabaseSettings::Postgres { url, .. } => {
            let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
            first(count, "postgres").run(&mut connection).await.unwrap();
            connection.execute("SET session_replication_role = replica").await.unwrap();
            for sql in statements {
                connection.execute(AssertSqlSafe(sql.clone())).await.unwrap_or_else(|error| panic!("{error}: {sql}"));
            }
            connection.close().await.unwrap();
        }
    }
}

async fn every_state_moves_forward(kind: Kind) {
    World::with(Kind::Sqlite, async |origin| {
        let lives = Lives::lived_in(origin).await;
        let DatabaseSettings::Sqlite(path) = &origin.database else { unreachable!() };
        let rows = rows_of(path).await;
        let all = migrations("sqlite").len();
        assert!(all >= 6);
        for count in 1..=all {
            let schema = schema_after(count).await;
            let statements = copies(&rows, &schema, kind);
            assert!(statements.len() > schema.len(), "hardly any rows");
            let tables: Vec<String> = schema.into_iter().map(|(table, _)| table).collect();
            let same_key =
                |config: &mut macloud_account_service::Config| config.key_file.clone_from(&origin.config.key_file);
            let before = async |database: &DatabaseSettings| prepare(database, count, &statements).await;
            World::prepared(kind, before, same_key, async |world| lives.go_on_in(world, &tables).await).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_earlier_state_moves_forward_on_sqlite() {
    every_state_moves_forward(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_earlier_state_moves_forward_on_postgres() {
    every_state_moves_forward(Kind::Postgres).await;
}
