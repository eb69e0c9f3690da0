//! Replacing the key of the key file while everything runs.

use macloud_account_service::{AccountService, AdminError};

use crate::harness::{PASSWORD, World, on_both_databases, send, text};

/// How many sealed things there are in this world: a signing key and four keys for hashes, and what people add.
const FIRST: usize = 5;

on_both_databases! {
    async fn a_key_is_replaced_and_nothing_stops(world: &World) {
        let client = world.alexa().await;
        let mut browser = world.person("ada@example.org").await;
        let (app, codes) = crate::second_step::turn_on(world, &mut browser).await;
        let tokens = world.link_as(&client, &mut browser).await;
        let page = browser.get("/pair").await;
        let other = world.second_node().await;

        let added = world.service.add_file_key(600).await.unwrap();
        assert!(matches!(world.service.re_encrypt().await, Err(AdminError::NotYet)));
        world.advance(600);
        assert!(matches!(world.service.drop_old_file_keys().await, Err(AdminError::StillSealed(_))));
        let done = world.service.re_encrypt().await.unwrap();
        assert_eq!((done.renewed, done.were_new, done.unreadable), (FIRST + 1, 0, 0));
        let done = world.service.re_encrypt().await.unwrap();
        assert_eq!((done.renewed, done.were_new), (0, FIRST + 1));
        assert!(matches!(world.service.drop_old_file_keys().await, Err(AdminError::NotYet)));
        world.advance(180);
        assert_eq!(world.service.drop_old_file_keys().await.unwrap().len(), 1);
        let left = world.service.list_file_keys();
        assert_eq!((left.len(), &left[0].id, left[0].seals), (1, &added.id, true));

        // The other node ran all the while with the old file in its memory.
        other.housekeep().await.unwrap();
        let third = world.second_node().await;
        for node in [&world.service, &other, &third] {
            let set = send(node.router(), http::Request::get("/oauth/jwks").body(axum::body::Body::empty()).unwrap()).await;
            assert_eq!(set.json()["keys"].as_array().unwrap().len(), 1);
            let kid = node.rotate_signing_key().await;
            assert!(kid.is_ok());
        }
        assert_eq!(world.refresh(&client, text(&tokens, "refresh_token")).await.status, http::StatusCode::OK);
        // A form that was served before, an authenticator app and a recovery code: all as good as before.
        let sent = browser.submit(&page, "/pair", &[("user_code", "BBBB-BBBB")]).await;
        assert_ne!(sent.status, http::StatusCode::FORBIDDEN, "{}", sent.text);
        for code in [&app.shows(world), &codes[0]] {
            let mut browser = world.browser();
            let page = browser.get("/sign-in").await;
            let asked = browser.submit(&page, "/sign-in", &[("email", "ada@example.org"), ("password", PASSWORD)]).await;
            let landed = browser.submit(&asked, "/sign-in/code", &[("code", code)]).await;
            assert_eq!(landed.status, http::StatusCode::SEE_OTHER, "{}", landed.text);
        }
        third.close().await;
        other.close().await;
    }

    async fn a_process_with_the_old_file_is_told(world: &World) {
        let old = std::fs::read_to_string(&world.config.key_file).unwrap();
        world.service.add_file_key(0).await.unwrap();
        world.service.re_encrypt().await.unwrap();
        let mut config = world.config.clone();
        config.key_file = config.key_file.with_file_name("old.key");
        std::fs::write(&config.key_file, old).unwrap();
        let refused = AccountService::open(config, &world.database, world.clock.clone()).await.err().unwrap();
        assert!(refused.to_string().contains("a key that is not in it"), "{refused}");
    }

    async fn what_no_key_opens_is_named_and_keeps_the_old_keys(world: &World) {
        let bytes = if matches!(world.database, macloud_account_service::DatabaseSettings::Sqlite(_)) { "x'00'" } else { "'\\x00'::bytea" };
        let id = world.service.create_user("ada@example.org", PASSWORD).await.unwrap();
        world.execute(format!("INSERT INTO totp_secrets (account_id, sealed_secret, created_at, last_step) VALUES ('{id}', {bytes}, 0, 0)")).await;
        world.service.add_file_key(0).await.unwrap();
        let done = world.service.re_encrypt().await.unwrap();
        assert_eq!((done.renewed, done.unreadable), (FIRST, 1));
        assert!(matches!(world.service.drop_old_file_keys().await, Err(AdminError::Unreadable(1))));
        assert_eq!(world.service.list_file_keys().len(), 2);
    }

    async fn every_sealed_column_is_visited(world: &World) {
        let visited = AccountService::sealed_columns();
        for (table, column) in world.service.check_schema().await.unwrap().1 {
            let known = visited.contains(&(table.as_str(), column.as_str()));
            assert_eq!(column.starts_with("sealed"), known, "{table}.{column}");
        }
    }
}
