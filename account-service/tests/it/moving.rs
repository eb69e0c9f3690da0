//! Homes that change hands, and homes that move to new hardware.

use axum::http::StatusCode;
use macloud_proto::accounts::v1::KeyChanged;
use macloud_proto::accounts::v1::change::Subject;
use macloud_proto::ids::fingerprint;
use macloud_proto::jose::thumbprint;
use macloud_service_kit::clock::Clock as _;
use serde_json::Value;

use crate::harness::{Answer, Browser, ISSUER, PASSWORD, World, on_both_databases, text};
use crate::members::{ADA, BEN, answer, home_of, homes, invite, link, resolve, share, told_since};
use crate::pairing::Connector;

async fn last_change(world: &World) -> u64 {
    told_since(world, 0).await.1
}

async fn changes_since(world: &World, since: u64) -> Vec<Subject> {
    told_since(world, since).await.0
}

/// Offer a home to the account with this address; the page with the link.
pub async fn offer(owner: &mut Browser<'_>, home: &str, fields: &[(&str, &str)]) -> Answer {
    let path = format!("/homes/{home}/move");
    let page = owner.get(&path).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    owner.submit(&page, &path, fields).await
}

on_both_databases! {
    async fn a_home_given_away_keeps_its_id_and_nobody_links_alexa_again(world: &World) {
        let client = world.alexa().await;
        let (mut ada, mut ben, mut cleo) = (world.person(ADA).await, world.person(BEN).await, world.person("cleo@example.org").await);
        let home = home_of(world, &mut ada).await;
        share(&mut ada, &home, &mut cleo, "Cleo", "member").await;
        // Ben is a member first, and has an invitation to others open.
        share(&mut ada, &home, &mut ben, "Ben", "member").await;
        let stale = link(&invite(&mut ada, &home, &[("name", "Dora"), ("role", "member")]).await);
        world
            .execute(
                "INSERT INTO home_assistant_users (instance_id, ha_user_id, account_id, name, is_owner, bound_at) \
                 SELECT id, 'a', account_id, 'Ada', TRUE, 1 FROM instances"
                    .into(),
            )
            .await;
        let tokens = [world.link_as(&client, &mut ada).await, world.link_as(&client, &mut ben).await, world.link_as(&client, &mut cleo).await];
        let offered = offer(&mut ada, &home, &[("email", BEN)]).await;
        assert_eq!(offered.status, StatusCode::OK, "{}", offered.text);
        let link = link(&offered);
        // For that address alone.
        assert_eq!(cleo.get(&link).await.status, StatusCode::UNPROCESSABLE_ENTITY);
        let page = ben.get(&link).await;
        assert!(page.text.contains("Take over My house?") && !page.text.contains("keep_owner"), "{}", page.text);
        assert_eq!(homes(world, &tokens[0]).await, [home.as_str()], "nothing changes before it is accepted");
        // Like a browser, which sends the ticked box along.
        let done = ben.submit(&page, "/join", &[("decision", "accept"), ("keep_members", "yes"), ("keep_owner", "yes")]).await;
        assert_eq!(done.location(), format!("/homes/{home}"), "{}", done.text);
        assert_eq!(homes(world, &tokens[0]).await, [""; 0], "who did not ask to stay does not stay");
        assert_eq!(homes(world, &tokens[1]).await, [home.as_str()]);
        assert_eq!(homes(world, &tokens[2]).await, [home.as_str()]);
        assert_eq!(ada.get(&format!("/homes/{home}")).await.status, StatusCode::NOT_FOUND);
        let page = ben.get(&format!("/homes/{home}")).await.text;
        assert!(page.contains("Cleo") && page.contains("/rename") && !page.contains("Dora"), "{page}");
        assert_eq!(cleo.get(&stale).await.status, StatusCode::UNPROCESSABLE_ENTITY, "the old owner's invitations are void");
        assert!(ada.get("/activity").await.text.contains("My house now belongs to another account"));
        assert!(ben.get("/activity").await.text.contains("My house now belongs to you"));
        let mails = world.mails();
        for to in [ADA, BEN] {
            assert!(mails.iter().any(|mail| mail.contains(&format!("To: {to}")) && mail.contains("belongs to")), "{to}: {mails:?}");
        }
        assert_eq!(world.look_up("SELECT CAST(COUNT(*) AS TEXT) FROM home_assistant_users").await, "0");
        // And it goes on from here.
        assert_eq!(offer(&mut ben, &home, &[("email", ADA)]).await.status, StatusCode::OK);
    }

    async fn the_old_owner_stays_and_the_members_go_if_both_want_that(world: &World) {
        let client = world.alexa().await;
        let (mut ada, mut ben, mut cleo) = (world.person(ADA).await, world.person(BEN).await, world.person("cleo@example.org").await);
        let home = home_of(world, &mut ada).await;
        share(&mut ada, &home, &mut cleo, "Cleo", "member").await;
        let tokens = [world.link_as(&client, &mut ada).await, world.link_as(&client, &mut cleo).await];
        let offered = link(&offer(&mut ada, &home, &[("email", BEN), ("stays", "yes")]).await);
        let page = ben.get(&offered).await;
        assert!(page.text.contains("keep_owner"), "{}", page.text);
        ben.submit(&page, "/join", &[("decision", "accept"), ("keep_owner", "yes")]).await;
        assert_eq!(homes(world, &tokens[0]).await, [home.as_str()]);
        assert_eq!(homes(world, &tokens[1]).await, [""; 0]);
        assert!(ben.get(&format!("/homes/{home}")).await.text.contains(ADA));
        assert!(cleo.get("/activity").await.text.contains("My house is no longer shared with you"));
        assert!(ada.get(&format!("/homes/{home}")).await.text.contains("A member"));
    }

    async fn giving_and_taking_a_home_need_a_recent_sign_in(world: &World) {
        let (mut ada, mut ben) = (world.person(ADA).await, world.person(BEN).await);
        let home = home_of(world, &mut ada).await;
        let link = link(&offer(&mut ada, &home, &[("email", BEN)]).await);
        let path = format!("/homes/{home}/move");
        let form = ada.get(&path).await;
        let page = ben.get(&link).await;
        world.advance(901);
        assert!(ada.get(&path).await.location().ends_with("&again=1"));
        assert!(ada.submit(&form, &path, &[("email", BEN)]).await.location().ends_with("&again=1"));
        let again = ben.submit(&page, "/join", &[("decision", "accept")]).await;
        let location = again.location().to_owned();
        assert!(location.starts_with("/sign-in?next=%2Fjoin%3Fcode%3D") && location.ends_with("&again=1"), "{location}");
        let form = ben.get(&location).await;
        let landed = ben.submit(&form, "/sign-in", &[("email", BEN), ("password", PASSWORD)]).await;
        let done = answer(&mut ben, landed.location(), "accept").await;
        assert_eq!(done.location(), format!("/homes/{home}"));
        // Who just offers to themselves, or to nobody, is told.
        for (email, said) in [("", "enter the e-mail address"), (BEN, "your own address")] {
            let refused = offer(&mut ben, &home, &[("email", email)]).await;
            assert!(refused.status == StatusCode::UNPROCESSABLE_ENTITY && refused.text.contains(said), "{}", refused.text);
        }
    }

    async fn an_offer_ends_with_the_ownership_of_whoever_made_it(world: &World) {
        let client = world.alexa().await;
        let (mut ada, mut ben, mut cleo) = (world.person(ADA).await, world.person(BEN).await, world.person("cleo@example.org").await);
        let home = home_of(world, &mut ada).await;
        let to_ben = link(&offer(&mut ada, &home, &[("email", BEN)]).await);
        let to_cleo = link(&offer(&mut ada, &home, &[("email", "cleo@example.org")]).await);
        let (bens, cleos) = (ben.get(&to_ben).await, cleo.get(&to_cleo).await);
        let both = futures_util::future::join(
            ben.submit(&bens, "/join", &[("decision", "accept")]),
            cleo.submit(&cleos, "/join", &[("decision", "accept")]),
        )
        .await;
        let won = [&both.0, &both.1].iter().filter(|answer| answer.status == StatusCode::SEE_OTHER).count();
        assert_eq!(won, 1, "{} {}", both.0.status, both.1.status);
        let tokens = [world.link_as(&client, &mut ada).await, world.link_as(&client, &mut ben).await, world.link_as(&client, &mut cleo).await];
        let mut owners = 0;
        for tokens in &tokens {
            owners += homes(world, tokens).await.len();
        }
        assert_eq!(owners, 1, "one account has it");
    }

    async fn a_home_on_new_hardware_keeps_everything_but_its_key(world: &World) {
        let client = world.alexa().await;
        let (mut ada, mut ben) = (world.person(ADA).await, world.person(BEN).await);
        let old = Connector::new();
        let first = old.pair(world, &mut ada, "Pi").await;
        let home = text(&first, "instance_id");
        share(&mut ada, home, &mut ben, "Ben", "member").await;
        let (hers, his) = (world.link_as(&client, &mut ada).await, world.link_as(&client, &mut ben).await);
        let since = last_change(world).await;

        let new = Connector::new();
        let begun = new.begin(world, "New box").await;
        let page = ada.get(uri(&begun)).await;
        let old_fingerprint = fingerprint(old.key.public());
        assert!(page.text.contains("it replaces the connector of My house") && page.text.contains(&old_fingerprint), "{}", page.text);
        let done = ada.submit(&page, "/pair", &[("replaces", home), ("name", "Another name"), ("decision", "allow")]).await;
        assert!(done.text.contains(&format!("The connector with the fingerprint {old_fingerprint} is refused")), "{}", done.text);
        // Nothing changes before the new connector proves its key.
        let now = || world.clock.unix_seconds();
        assert_eq!(old.dial_in_token(world, &old.assertion(home, now())).await.status, StatusCode::OK);
        let stale = old.assertion(home, now());
        let paired = new.poll(world, &begun).await.json();
        assert_eq!((text(&paired, "instance_id"), text(&paired, "home_name")), (home, "My house"));

        for tokens in [&hers, &his] {
            let answer = resolve(world, tokens).await;
            assert_eq!((answer.homes.len(), answer.homes[0].instance_id.as_str()), (1, home));
            assert_eq!(answer.homes[0].identity_key, new.key.public().as_slice());
        }
        let told = changes_since(world, since).await;
        let key_thumbprint = thumbprint(new.key.public());
        assert_eq!(told[0], Subject::KeyChanged(KeyChanged { instance_id: home.into(), key_thumbprint }));
        assert!(!told.iter().any(|subject| matches!(subject, Subject::InstanceEnded(_))), "the new one's fresh token stays good: {told:?}");
        assert_eq!(new.dial_in_token(world, &new.assertion(home, now())).await.status, StatusCode::OK);
        // The old key never comes back, and its holder hears why; nobody else does.
        for assertion in [stale, old.assertion(home, now())] {
            let refused = old.dial_in_token(world, &assertion).await;
            assert_eq!((refused.status, refused.error()), (StatusCode::UNAUTHORIZED, "invalid_client".into()), "{}", refused.text);
            assert_eq!(refused.json()["home"], "moved");
        }
        let thief = Connector::new();
        let refused = thief.dial_in_token(world, &thief.assertion(home, now())).await;
        assert!(refused.error() == "invalid_client" && refused.json()["home"].is_null(), "{}", refused.text);
        assert_eq!(old.dial_in_token(world, &new.assertion(home, now())).await.error(), "invalid_dpop_proof");
        let page = ben.get(&format!("/homes/{home}")).await.text;
        assert!(page.contains("Moved to new hardware") && page.contains(&old_fingerprint), "people see what happened: {page}");
        assert!(ada.get("/activity").await.text.contains("My house moved to new hardware"));
        world.advance(30 * 86_400 - 1);
        let mut ada = world.browser();
        let form = ada.get("/sign-in").await;
        ada.submit(&form, "/sign-in", &[("email", ADA), ("password", PASSWORD)]).await;
        world.advance(1);
        assert!(!ada.get(&format!("/homes/{home}")).await.text.contains(&old_fingerprint));
    }

    async fn only_ones_own_homes_can_be_replaced_and_only_while_they_are(world: &World) {
        let (mut ada, mut ben) = (world.person(ADA).await, world.person(BEN).await);
        let connector = Connector::new();
        let hers = connector.pair(world, &mut ada, "Pi").await;
        let home = text(&hers, "instance_id");
        share(&mut ada, home, &mut ben, "Ben", "member").await;
        // A member does not see it there, and cannot name it either.
        let new = Connector::new();
        let begun = new.begin(world, "").await;
        let page = ben.get(uri(&begun)).await;
        assert!(!page.text.contains(home), "{}", page.text);
        for wrong in [home, "x", "0123456789abcdefghjkmnpqrs"] {
            let refused = ben.submit(&page, "/pair", &[("replaces", wrong), ("decision", "allow")]).await;
            assert_eq!(refused.status, StatusCode::NOT_FOUND, "{wrong}");
        }
        assert_eq!(new.poll(world, &begun).await.error(), "authorization_pending");
        // A browser left open is not enough.
        world.advance(900);
        let begun = new.begin(world, "").await;
        let page = ada.get(uri(&begun)).await;
        world.advance(2);
        let again = ada.submit(&page, "/pair", &[("replaces", home), ("decision", "allow")]).await;
        assert!(again.location().starts_with("/sign-in?next=%2Fpair") && again.location().ends_with("&again=1"), "{}", again.location());
        let form = ada.get(again.location()).await;
        let landed = ada.submit(&form, "/sign-in", &[("email", ADA), ("password", PASSWORD)]).await;
        let page = ada.get(landed.location()).await;
        ada.submit(&page, "/pair", &[("replaces", home), ("decision", "allow")]).await;
        // Given away before the new connector came for it: it gets nothing, and the home stays with its old key.
        let offered = link(&offer(&mut ada, home, &[("email", BEN)]).await);
        let form = ben.get("/sign-in?again=1").await;
        ben.submit(&form, "/sign-in", &[("email", BEN), ("password", PASSWORD)]).await;
        answer(&mut ben, &offered, "accept").await;
        assert_eq!(new.poll(world, &begun).await.error(), "access_denied");
        let now = world.clock.unix_seconds();
        assert_eq!(connector.dial_in_token(world, &connector.assertion(home, now)).await.status, StatusCode::OK);
        assert_eq!(new.dial_in_token(world, &new.assertion(home, now)).await.error(), "invalid_client");
    }
}

fn uri(begun: &Value) -> &str {
    text(begun, "verification_uri_complete").strip_prefix(ISSUER).unwrap()
}
