//! What is kept about people: they see it, take it along, and can end it.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use macloud_proto::accounts::v1::{ResolveAccessRequest, WatchChangesRequest, change};
use macloud_service_kit::clock::Clock as _;

use crate::harness::{PASSWORD, World, on_both_databases, text};
use crate::pairing::Connector;

const EMAIL: &str = "ada@example.org";

on_both_databases! {
    async fn people_see_what_happened(world: &World) {
        let client = world.alexa().await;
        let mut browser = world.person(EMAIL).await;
        let mut eve = world.person("eve@example.org").await;
        world.link_as(&client, &mut browser).await;
        let paired = Connector::new().pair(world, &mut browser, "Pi").await;
        let page = browser.get(&format!("/homes/{}", text(&paired, "instance_id"))).await;
        browser.submit(&page, &format!("/homes/{}/pause", text(&paired, "instance_id")), &[]).await;
        let page = browser.get("/apps/alexa/unlink").await;
        browser.submit(&page, "/apps/alexa/unlink", &[]).await;
        let page = browser.get("/activity").await.text;
        for line in [
            "Somebody signed in with Browser", "Amazon Alexa was linked", "My house was allowed to connect", "My house connected",
            "My house was paused", "Amazon Alexa was unlinked",
        ] {
            assert_eq!(page.matches(line).count(), 1, "{line}: {page}");
        }
        let hers = eve.get("/activity").await.text;
        assert!(hers.contains("signed in") && !hers.contains("My house"));
        // Half a year later it is forgotten.
        world.advance(181 * 24 * 3600);
        world.service.housekeep().await.unwrap();
        let page = browser.get("/sign-in").await;
        browser.submit(&page, "/sign-in", &[("email", EMAIL), ("password", PASSWORD)]).await;
        assert!(!browser.get("/activity").await.text.contains("My house"));
    }

    async fn the_copy_of_ones_data_has_every_table_and_no_secret(world: &World) {
        let client = world.alexa().await;
        let mut browser = world.person(EMAIL).await;
        let tokens = world.link_as(&client, &mut browser).await;
        let paired = Connector::new().pair(world, &mut browser, "Pi").await;
        let page = browser.get("/security").await;
        let file = browser.submit(&page, "/account/export", &[]).await;
        assert_eq!((file.status, file.header("cache-control")), (StatusCode::OK, "no-store"), "{}", file.text);
        assert!(file.header("content-disposition").starts_with("attachment"));
        let data = file.json();
        // Every table that knows whose a row is.
        let (_, columns) = world.service.check_schema().await.unwrap();
        let owned = columns.iter().filter(|(_, column)| ["account_id", "grant_id", "email"].contains(&column.as_str()));
        for (table, _) in owned {
            assert!(data[table].is_array(), "{table} is missing");
        }
        assert_eq!(data["accounts"][0]["email"], EMAIL);
        assert_eq!(data["instances"][0]["id"], paired["instance_id"]);
        assert_eq!(data["grants"].as_array().unwrap().len(), 1);
        assert!(!data["token_pairs"].as_array().unwrap().is_empty() && !data["activity"].as_array().unwrap().is_empty());
        for secret in [text(&tokens, "access_token"), text(&tokens, "refresh_token"), browser.cookie.as_deref().unwrap(), "argon2", "hash"] {
            assert!(!file.text.contains(secret), "{secret}");
        }
        let strangers = world.person("eve@example.org").await;
        drop(strangers);
        assert!(!file.text.contains("eve@"));
    }

    async fn a_deleted_account_is_gone_everywhere_at_once(world: &World) {
        let client = world.alexa().await;
        let mut browser = world.person(EMAIL).await;
        let mut eve = world.person("eve@example.org").await;
        let tokens = world.link_as(&client, &mut browser).await;
        let kept = world.link_as(&client, &mut eve).await;
        let connector = Connector::new();
        let paired = connector.pair(world, &mut browser, "Pi").await;
        let mut changes = world.accounts().watch_changes(WatchChangesRequest { since: 0, replay_seconds: 0 }).await.unwrap().into_inner();
        changes.message().await.unwrap();

        let page = browser.get("/account/delete").await;
        let refused = browser.submit(&page, "/account/delete", &[("email", "eve@example.org")]).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
        let gone = browser.submit(&page, "/account/delete", &[("email", " Ada@example.org ")]).await;
        assert!(gone.status == StatusCode::OK && gone.text.contains("is deleted"), "{}", gone.text);

        // Whoever holds its sockets or caches its tokens is told, in less than a second.
        let heard = async {
            let mut heard = Vec::new();
            while heard.len() < 3 {
                heard.push(match changes.message().await.unwrap().unwrap().subject.unwrap() {
                    change::Subject::GrantEnded(_) => "grant",
                    change::Subject::InstanceEnded(id) if id == text(&paired, "instance_id") => "instance",
                    change::Subject::AccountEnded(_) => "account",
                    other => panic!("{other:?}"),
                });
            }
            heard
        };
        let heard = tokio::time::timeout(std::time::Duration::from_secs(1), heard).await.unwrap();
        assert_eq!(heard, ["grant", "instance", "account"]);
        let request = ResolveAccessRequest { access_token: text(&tokens, "access_token").into() };
        let answer = world.accounts().resolve_access(request).await.unwrap().into_inner();
        assert!(answer.homes.is_empty() && answer.account_id.is_empty());
        assert_eq!(world.refresh(&client, text(&tokens, "refresh_token")).await.error(), "invalid_grant");
        let now = world.clock.unix_seconds();
        let dial_in = connector.dial_in_token(world, &connector.assertion(text(&paired, "instance_id"), now)).await;
        assert_eq!(dial_in.error(), "invalid_client");
        assert_eq!(browser.get("/homes").await.status, StatusCode::SEE_OTHER);
        // Nothing of it is left, and nothing of anybody else's is gone.
        let left = world.service.list_users().await.unwrap();
        assert_eq!(left.iter().map(|user| user.email.as_str()).collect::<Vec<_>>(), ["eve@example.org"]);
        assert_eq!(world.look_up("SELECT CAST(COUNT(*) AS TEXT) FROM activity WHERE account_id NOT IN (SELECT id FROM accounts)").await, "0");
        assert_eq!(world.refresh(&client, text(&kept, "refresh_token")).await.status, StatusCode::OK);
        // The address is free again.
        world.service.create_user(EMAIL, PASSWORD).await.unwrap();
        world.service.delete_user(EMAIL).await.unwrap();
    }

    async fn leaving_needs_a_recent_sign_in(world: &World) {
        let mut browser = world.person(EMAIL).await;
        let page = browser.get("/account/delete").await;
        let overview = browser.get("/security").await;
        world.advance(901);
        let sent = browser.submit(&page, "/account/delete", &[("email", EMAIL)]).await;
        assert_eq!(sent.location(), "/sign-in?next=%2Fsecurity&again=1");
        let sent = browser.submit(&overview, "/account/export", &[]).await;
        assert_eq!(sent.status, StatusCode::SEE_OTHER);
        assert_eq!(world.service.list_users().await.unwrap().len(), 1);
    }

    async fn the_page_about_retention_names_every_column(world: &World) {
        let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/DATA-RETENTION.md");
        let page = std::fs::read_to_string(page).unwrap();
        let mut written: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for line in page.lines().filter(|line| line.starts_with("| `")) {
            let mut cells = line.split('|').skip(1);
            let names = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
            let table = names(cells.next().unwrap()).remove(0);
            let mut columns = names(cells.next().unwrap());
            columns.sort();
            written.insert(table, columns);
        }
        let mut kept: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (table, column) in world.service.check_schema().await.unwrap().1 {
            kept.entry(table).or_default().push(column);
        }
        kept.values_mut().for_each(|columns| columns.sort());
        assert_eq!(written, kept);
    }
}
