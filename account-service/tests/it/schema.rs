//! The two databases agree on the schema, and understand every statement.

use macloud_account_service::AccountService;

use crate::harness::{Kind, World, on_both_databases};

on_both_databases! {
    async fn every_statement_can_be_prepared(world: &World) {
        let (failures, columns) = world.service.check_schema().await.unwrap();
        assert_eq!(failures, []);
        assert!(columns.iter().any(|(table, column)| table == "token_pairs" && column == "parent_hash"));
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
