//! The two databases agree on the schema, and understand every statement.

use macloud_account_service::{AccountService, DatabaseSettings};

use crate::harness::{Kind, World, on_both_databases};

on_both_databases! {
    async fn every_statement_can_be_prepared(world: &World) {
        let (failures, columns) = world.service.check_schema().await.unwrap();
        assert_eq!(failures, []);
        assert!(columns.iter().any(|(table, column)| table == "token_pairs" && column == "parent_hash"));
    }

    async fn the_newest_schema_understands_what_the_version_before_asks(world: &World) {
        let (both, postgres) = BEFORE.split_once("-- PostgreSQL only\n").unwrap();
        let own = if let DatabaseSettings::Postgres { .. } = world.database { postgres } else { "" };
        let statements: Vec<_> = both.lines().chain(own.lines()).filter(|line| !line.starts_with("--")).collect();
        assert!(statements.len() > 250);
        assert_eq!(world.not_understood(&statements).await, []);
    }

    async fn the_version_before_can_start_once_more_on_what_the_next_one_has_made(world: &World) {
        let of_the_next = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                           VALUES (999999, 'of the next version', TRUE, '', 0) RETURNING description";
        assert_eq!(world.look_up(of_the_next).await, "of the next version");
        let again = AccountService::open(world.config.clone(), &world.database, world.clock.clone()).await.unwrap();
        assert_eq!(again.check_schema().await.unwrap().0, []);
        again.close().await;
    }

    async fn opening_again_keeps_what_is_there(world: &World) {
        let id = world.service.create_user("ada@example.org", "long enough").await.unwrap();
        let again = AccountService::open(world.config.clone(), &world.database, world.clock.clone()).await.unwrap();
        assert_eq!(again.list_users().await.unwrap()[0].id, id);
        again.close().await;
    }

    async fn another_key_file_is_noticed_at_start(world: &World) {
        let mut config = world.config.clone();
        config.key_file = config.key_file.with_extension("other");
        let error = AccountService::open(config, &world.database, world.clock.clone()).await.err().unwrap();
        assert!(error.to_string().contains("another key file"), "{error}");
    }
}

#[tokio::test]
async fn both_databases_have_the_same_tables_and_columns() {
    let mut schemas = Vec::new();
    for kind in [Kind::Sqlite, Kind::Postgres] {
        World::with(kind, async |world| schemas.push(world.service.check_schema().await.unwrap().1)).await;
    }
    if let [sqlite, postgres] = schemas.as_slice() {
        assert_eq!(sqlite, postgres);
    }
}

/// What the last release asks, and the last migration that it came with.
const BEFORE: &str = include_str!("../statements-0.1.0.sql");
const LAST_MIGRATION_BEFORE: &str = "0080_restores.sql";

/// While a version is rolled out, the one before runs on the same database: what it reads stays, and what it writes is enough.
#[test]
fn migrations_since_the_last_release_only_add() {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/sqlite");
    let mut names: Vec<String> =
        std::fs::read_dir(&directory).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert!(names.iter().any(|name| name == LAST_MIGRATION_BEFORE));
    for name in names.iter().filter(|name| name.as_str() > LAST_MIGRATION_BEFORE) {
        let sql = std::fs::read_to_string(directory.join(name)).unwrap();
        assert_eq!(takes_away(&sql), None, "{name}: first a release that does without, then the migration");
    }
}

/// All migrations of the last release, names and contents.
const RELEASED: &str = "159f0d20abff25b5a485451e01762781590ede3cac1f73866d2540f15663b601";

/// A database that has taken a migration refuses to be opened when that reads otherwise later.
#[test]
fn released_migrations_are_never_edited() {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/sqlite");
    let names = std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.as_str() <= LAST_MIGRATION_BEFORE).collect();
    names.sort();
    let mut all = ring::digest::Context::new(&ring::digest::SHA256);
    for name in &names {
        all.update(name.as_bytes());
        all.update(&std::fs::read(directory.join(name)).unwrap());
    }
    let found: String = all.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(found, RELEASED, "a released migration was edited, removed or put in between: add one instead");
}

/// The first statement that a program of the version before might stumble over.
fn takes_away(sql: &str) -> Option<String> {
    let lines = sql.lines().map(|line| line.split("--").next().unwrap_or_default());
    let sql = lines.collect::<Vec<_>>().join(" ").to_uppercase();
    let made: Vec<&str> =
        sql.split("CREATE TABLE ").skip(1).filter_map(|rest| rest.split_whitespace().next()).collect();
    let mut statements = sql.split(';').map(|statement| statement.split_whitespace().collect::<Vec<_>>().join(" "));
    statements.find(|statement| {
        let of_another = |words: &str| {
            let table = statement.split(words).nth(1).and_then(|rest| rest.split([' ', '(']).next());
            table.is_some_and(|table| !made.contains(&table))
        };
        let takes = ["DROP ", "RENAME ", "ALTER COLUMN ", "DELETE FROM ", "UPDATE ", "CREATE TRIGGER "];
        takes.iter().any(|words| statement.starts_with(words) || statement.contains(&format!(" {words}")))
            || statement.contains("ADD COLUMN ") && statement.contains(" NOT NULL") && !statement.contains(" DEFAULT ")
            || statement.starts_with("CREATE UNIQUE INDEX ") && of_another(" ON ")
    })
}

#[test]
fn what_takes_away_is_found() {
    for harmless in [
        "CREATE TABLE a (id TEXT NOT NULL PRIMARY KEY REFERENCES b (id) ON DELETE CASCADE); CREATE UNIQUE INDEX a_id ON a (id);",
        "ALTER TABLE a ADD COLUMN b BIGINT; -- DROP TABLE a",
        "ALTER TABLE a ADD COLUMN b BIGINT NOT NULL DEFAULT 0; CREATE INDEX a_b ON a (b); INSERT INTO c (id) VALUES (1);",
    ] {
        assert_eq!(takes_away(harmless), None, "{harmless}");
    }
    for harm in [
        "DROP TABLE a;",
        "CREATE TABLE b (id TEXT); ALTER TABLE a DROP COLUMN b;",
        "alter table a rename to b;",
        "ALTER TABLE a RENAME COLUMN b TO c;",
        "ALTER TABLE a ADD COLUMN b BIGINT NOT NULL;",
        "CREATE UNIQUE INDEX a_b ON a (b);",
        "UPDATE a SET b = 1;",
        "DELETE FROM a;",
    ] {
        assert!(takes_away(harm).is_some(), "{harm}");
    }
}

#[test]
fn migrations_differ_in_nothing_but_the_type_of_bytes() {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let mut names: Vec<_> =
        std::fs::read_dir(directory.join("sqlite")).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(std::fs::read_dir(directory.join("postgres")).unwrap().count(), names.len());
    for name in names {
        let read = |which: &str| std::fs::read_to_string(directory.join(which).join(&name)).unwrap();
        assert_eq!(read("sqlite").replace(" BLOB", " BYTEA"), read("postgres"), "{name:?}");
    }
}
