//! Several people in one home: invitations, what members and guests may do, and how each of it ends.

use axum::http::StatusCode;
use macloud_proto::accounts::v1::change::Subject;
use macloud_proto::accounts::v1::{ResolveAccessAnswer, ResolveAccessRequest, WatchChangesRequest};
use serde_json::Value;

use crate::harness::{Answer, Browser, ISSUER, Kind, PASSWORD, World, on_both_databases, text};
use crate::pairing::Connector;

pub const ADA: &str = "ada@example.org";
pub const BEN: &str = "ben@example.org";

/// A home of this person; its id.
pub async fn home_of(world: &World, browser: &mut Browser<'_>) -> String {
    let paired = Connector::new().pair(world, browser, "Pi").await;
    text(&paired, "instance_id").to_owned()
}

/// Invite somebody; the page with the link.
pub async fn invite(owner: &mut Browser<'_>, home: &str, fields: &[(&str, &str)]) -> Answer {
    let path = format!("/homes/{home}/invite");
    let page = owner.get(&path).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    owner.submit(&page, &path, fields).await
}

/// The link on that page, as a path.
pub fn link(page: &Answer) -> String {
    let rest =
        page.text.split(&format!("href=\"{ISSUER}/join?")).nth(1).unwrap_or_else(|| panic!("no link: {}", page.text));
    format!("/join?{}", rest.split('"').next().unwrap())
}

/// Open the link and press a button.
pub async fn answer(browser: &mut Browser<'_>, link: &str, decision: &str) -> Answer {
    let page = browser.get(link).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    browser.submit(&page, "/join", &[("decision", decision)]).await
}

/// Let somebody in.
pub async fn share(owner: &mut Browser<'_>, home: &str, with: &mut Browser<'_>, name: &str, role: &str) {
    let made = invite(owner, home, &[("name", name), ("role", role)]).await;
    assert_eq!(made.status, StatusCode::OK, "{}", made.text);
    let joined = answer(with, &link(&made), "accept").await;
    assert_eq!(
        (joined.status, joined.location()),
        (StatusCode::SEE_OTHER, format!("/homes/{home}").as_str()),
        "{}",
        joined.text
    );
}

pub async fn resolve(world: &World, tokens: &Value) -> ResolveAccessAnswer {
    let request = ResolveAccessRequest { access_token: text(tokens, "access_token").into() };
    world.accounts().resolve_access(request).await.unwrap().into_inner()
}

/// The ids of the homes that these tokens reach.
pub async fn homes(world: &World, tokens: &Value) -> Vec<String> {
    resolve(world, tokens).await.homes.into_iter().map(|home| home.instance_id).collect()
}

/// Everything that was told since `sequence`, and the sequence now.
pub async fn told_since(world: &World, since: u64) -> (Vec<Subject>, u64) {
    let request = WatchChangesRequest { since, replay_seconds: 0 };
    let mut stream = world.accounts().watch_changes(request).await.unwrap().into_inner();
    let (mut told, mut last) = (Vec::new(), since);
    while let Some(change) = stream.message().await.unwrap() {
        last = last.max(change.sequence);
        match change.subject.unwrap() {
            Subject::Start(_) => {}
            Subject::Heartbeat(_) => break,
            subject => told.push(subject),
        }
    }
    (told, last)
}

/// The token for the forms of the home pages, from a home of one's own.
async fn own_form_token(world: &World, browser: &mut Browser<'_>) -> String {
    let own = home_of(world, browser).await;
    let page = browser.get(&format!("/homes/{own}")).await;
    page.hidden_fields(&format!("/homes/{own}/rename"))[0].1.clone()
}

/// Accounts that the operator makes have a confirmed address. This one has not.
async fn unconfirm(world: &World, email: &str) {
    world.execute(format!("UPDATE accounts SET email_verified_at = NULL WHERE email = '{email}'")).await;
}

on_both_databases! {
    async fn an_invited_person_uses_the_home_with_their_own_account(world: &World) {
        let client = world.alexa().await;
        let (mut ada, mut ben) = (world.person(ADA).await, world.person(BEN).await);
        let home = home_of(world, &mut ada).await;
        let (hers, his) = (world.link_as(&client, &mut ada).await, world.link_as(&client, &mut ben).await);
        assert_eq!(homes(world, &his).await, [""; 0]);
        let account = resolve(world, &his).await.account_id;
        let (_, before) = told_since(world, 0).await;

        let made = invite(&mut ada, &home, &[("name", "Ben"), ("role", "member")]).await;
        assert!(ada.get(&format!("/homes/{home}")).await.text.contains("Invited as a member, open for 7 days more"));
        let page = ben.get(&link(&made)).await;
        for said in ["Use My house?", "ada@example.org invites you", "member", "link", "sees you as “Ben”, not your e-mail address"] {
            assert!(page.text.contains(said), "{said}: {}", page.text);
        }
        assert_eq!(homes(world, &his).await, [""; 0], "looking decides nothing");
        let joined = ben.submit(&page, "/join", &[("decision", "accept")]).await;
        assert_eq!(joined.location(), format!("/homes/{home}"));
        assert_eq!(homes(world, &his).await, [home.as_str()]);
        assert_eq!(homes(world, &hers).await, [home.as_str()]);
        // His cached answers are dropped, and nobody else's.
        assert_eq!(told_since(world, before).await.0, [Subject::HomesChanged(account)]);

        let page = ben.get(&format!("/homes/{home}")).await.text;
        assert!(page.contains("ada@example.org") && page.contains("A member") && page.contains("/leave"), "{page}");
        for not_his in ["/rename", "/invite", "/unlink", "/move", "People"] {
            assert!(!page.contains(not_his), "{not_his}: {page}");
        }
        assert!(ben.get("/homes").await.text.contains("Shared by ada@example.org"));
        let page = ada.get(&format!("/homes/{home}")).await.text;
        assert!(page.contains("Ben") && page.contains("Member since 22 November 2026") && !page.contains(BEN), "{page}");
        assert!(ada.get("/activity").await.text.contains("Ben (My house) accepted the invitation"));
        assert!(ben.get("/activity").await.text.contains("You accepted the invitation to My house"));
    }

    async fn a_stranger_accepts_in_four_steps(world: &World) {
        let mut ada = world.person(ADA).await;
        let home = home_of(world, &mut ada).await;
        let link = link(&invite(&mut ada, &home, &[("name", "Ben"), ("role", "member")]).await);
        let mut ben = world.browser();
        // 1: the link leads to signing in, and from there 2: to signing up.
        let sign_in = ben.get(&link).await.location().to_owned();
        let page = ben.get(&sign_in).await;
        let way = page.text.split("href=\"/sign-up").nth(1).unwrap().split('"').next().unwrap();
        let form = ben.get(&format!("/sign-up{way}")).await;
        let landed = ben.submit(&form, "/sign-up", &[("email", BEN), ("password", PASSWORD)]).await;
        // 3: what it is about, and 4: yes.
        assert_eq!(landed.location(), link);
        assert_eq!(answer(&mut ben, &link, "accept").await.location(), format!("/homes/{home}"));
    }

    async fn a_guests_time_ends_by_itself_and_to_the_second(world: &World) {
        let client = world.alexa().await;
        let (mut ada, mut ben) = (world.person(ADA).await, world.person(BEN).await);
        let home = home_of(world, &mut ada).await;
        let link = link(&invite(&mut ada, &home, &[("name", "Ben"), ("role", "guest-1")]).await);
        // The time begins with accepting.
        world.advance(3 * 86_400);
        let page = ben.get(&link).await;
        assert!(page.text.contains("guest</strong> for 24 hours from now on"), "{}", page.text);
        ben.submit(&page, "/join", &[("decision", "accept")]).await;
        world.advance(86_400 - 100);
        let his = world.link_as(&client, &mut ben).await;
        let answer = resolve(world, &his).await;
        assert_eq!((answer.homes.len(), answer.valid_for_seconds), (1, 100), "nobody may remember it for longer");
        // What a guest may not do, however the request is made.
        let page = ben.get(&format!("/homes/{home}")).await;
        assert!(!page.text.contains("/pause") && page.text.contains("A guest for 2 minutes more"), "{}", page.text);
        let token = own_form_token(world, &mut ben).await;
        for action in ["pause", "resume", "rename", "unlink", "invite", "move"] {
            let fields = [("form_token", token.as_str()), ("name", "X"), ("email", "x@example.org"), ("role", "member")];
            let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
            assert_eq!(ben.post(&format!("/homes/{home}/{action}"), &fields).await.status, StatusCode::NOT_FOUND, "{action}");
        }
        world.advance(99);
        assert_eq!(homes(world, &his).await[1..], *std::slice::from_ref(&home));
        world.advance(1);
        assert!(!homes(world, &his).await.contains(&home));
        assert_eq!(resolve(world, &his).await.valid_for_seconds, 3500, "and the token lives on");
        assert_eq!(ben.get(&format!("/homes/{home}")).await.status, StatusCode::NOT_FOUND);
        assert!(!ada.get(&format!("/homes/{home}")).await.text.contains("Guest for"));
        assert!(world.service.housekeep().await.unwrap() > 0);
        // Invited anew, the guest is back.
        share(&mut ada, &home, &mut ben, "Ben", "guest-7").await;
        assert!(homes(world, &his).await.contains(&home));
    }

    async fn a_member_may_stop_the_home_and_the_owner_sees_who_did(world: &World) {
        let client = world.alexa().await;
        let (mut ada, mut ben) = (world.person(ADA).await, world.person(BEN).await);
        let home = home_of(world, &mut ada).await;
        share(&mut ada, &home, &mut ben, "Ben", "member").await;
        let (hers, his) = (world.link_as(&client, &mut ada).await, world.link_as(&client, &mut ben).await);
        let (_, before) = told_since(world, 0).await;
        let page = ben.get(&format!("/homes/{home}")).await;
        ben.submit(&page, &format!("/homes/{home}/pause"), &[]).await;
        for tokens in [&hers, &his] {
            assert!(resolve(world, tokens).await.homes[0].paused);
        }
        let mut told = told_since(world, before).await.0;
        assert!(matches!(told.first(), Some(Subject::HomePaused(_))), "the relay hears of it first: {told:?}");
        told.remove(0);
        let mut both = [resolve(world, &hers).await.account_id, resolve(world, &his).await.account_id].map(Subject::HomesChanged);
        told.sort_by_key(|subject| format!("{subject:?}"));
        both.sort_by_key(|subject| format!("{subject:?}"));
        assert_eq!(told, both, "everybody who uses it hears of it");
        assert!(ada.get("/activity").await.text.contains("Ben (My house) was paused"));
        let page = ada.get(&format!("/homes/{home}")).await;
        ada.submit(&page, &format!("/homes/{home}/resume"), &[]).await;
        assert!(!resolve(world, &his).await.homes[0].paused);
    }

    async fn removing_one_member_touches_nobody_else(world: &World) {
        let client = world.alexa().await;
        let (mut ada, mut ben, mut cleo) = (world.person(ADA).await, world.person(BEN).await, world.person("cleo@example.org").await);
        let home = home_of(world, &mut ada).await;
        share(&mut ada, &home, &mut ben, "Ben", "member").await;
        share(&mut ada, &home, &mut cleo, "Cleo", "member").await;
        let tokens = [world.link_as(&client, &mut ada).await, world.link_as(&client, &mut ben).await, world.link_as(&client, &mut cleo).await];
        let bens = resolve(world, &tokens[1]).await.account_id;
        let page = ada.get(&format!("/homes/{home}")).await.text;
        let way = page.split("<strong>Ben</strong>").nth(1).unwrap().split("/members/").nth(1).unwrap().split('"').next().unwrap();
        let path = format!("/homes/{home}/members/{way}");
        // Nobody but the owner can, not even the other member.
        let token = own_form_token(world, &mut cleo).await;
        let theft = [("form_token".to_owned(), token)];
        assert_eq!(cleo.post(&path, &theft).await.status, StatusCode::NOT_FOUND);
        assert_eq!(cleo.get(&path).await.status, StatusCode::NOT_FOUND);
        assert_eq!(homes(world, &tokens[1]).await, [home.as_str()]);
        // And not from another page than ours.
        assert_eq!(ada.post(&path, &[]).await.status, StatusCode::FORBIDDEN);
        let (_, before) = told_since(world, 0).await;
        let ask = ada.get(&path).await;
        assert!(ask.text.contains("Remove Ben?"), "{}", ask.text);
        assert_eq!(ada.submit(&ask, &path, &[]).await.location(), format!("/homes/{home}"));
        assert_eq!(told_since(world, before).await.0, [Subject::HomesChanged(bens)]);
        assert_eq!(homes(world, &tokens[1]).await, [""; 0]);
        assert_eq!(homes(world, &tokens[0]).await, [home.as_str()]);
        assert!(homes(world, &tokens[2]).await.contains(&home));
        assert!(world.is_active(&client, text(&tokens[1], "access_token")).await, "his link itself stays");
        assert_eq!(ada.submit(&ask, &path, &[]).await.status, StatusCode::NOT_FOUND);
        assert!(ben.get("/activity").await.text.contains("My house is no longer shared with you"));
        // Cleo goes by herself.
        let path = format!("/homes/{home}/leave");
        let ask = cleo.get(&path).await;
        assert_eq!(cleo.submit(&ask, &path, &[]).await.location(), "/homes");
        assert!(!homes(world, &tokens[2]).await.contains(&home));
        assert!(ada.get("/activity").await.text.contains("Cleo (My house) left"));
        assert_eq!(ada.get(&path).await.status, StatusCode::NOT_FOUND, "an owner cannot leave");
    }

    async fn an_invitation_is_answered_once_and_by_the_right_person(world: &World) {
        let (mut ada, mut ben, mut eve) = (world.person(ADA).await, world.person(BEN).await, world.person("eve@example.org").await);
        let home = home_of(world, &mut ada).await;
        let bound = link(&invite(&mut ada, &home, &[("name", "Ben"), ("role", "member"), ("email", "Ben@Example.org")]).await);
        let refused = eve.get(&bound).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(!refused.text.contains("My house") && !refused.text.contains(ADA), "it says nothing to others: {}", refused.text);
        let own = ada.get(&bound).await;
        assert!(own.status == StatusCode::UNPROCESSABLE_ENTITY && own.text.contains("your own invitation"), "{}", own.text);
        // By a form of another invitation, too.
        let page = ben.get(&bound).await;
        let fields = [("form_token", eve.get("/join").await.hidden_fields("/join")[0].1.clone()), ("code", page.hidden_fields("/join")[1].1.clone()), ("decision", "accept".into())];
        let fields = fields.map(|(name, value)| (name.to_owned(), value));
        assert_eq!(eve.post("/join", &fields).await.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(ben.submit(&page, "/join", &[("decision", "decline")]).await.location(), "/homes");
        assert_eq!(ben.submit(&page, "/join", &[("decision", "accept")]).await.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(ada.get("/activity").await.text.contains("The invitation for Ben (My house) was declined"));

        // Taken back.
        let taken_back = link(&invite(&mut ada, &home, &[("name", "Ben"), ("role", "member")]).await);
        let his = ben.get(&taken_back).await;
        let page = ada.get(&format!("/homes/{home}")).await;
        let id = page.text.split("/invitations/").nth(1).unwrap().split('/').next().unwrap();
        let path = format!("/homes/{home}/invitations/{id}/revoke");
        let theft = [("form_token".to_owned(), own_form_token(world, &mut eve).await)];
        assert_eq!(eve.post(&path, &theft).await.status, StatusCode::NOT_FOUND);
        assert_eq!(ada.submit(&page, &path, &[]).await.status, StatusCode::SEE_OTHER);
        assert_eq!(ada.submit(&page, &path, &[]).await.status, StatusCode::NOT_FOUND);
        assert_eq!(ben.submit(&his, "/join", &[("decision", "accept")]).await.status, StatusCode::UNPROCESSABLE_ENTITY);

        // Expired.
        let late = link(&invite(&mut ada, &home, &[("name", "Ben"), ("role", "member")]).await);
        world.advance(7 * 86_400 - 1);
        let page = ben.get(&late).await;
        assert_eq!(page.status, StatusCode::OK);
        world.advance(1);
        assert_eq!(ben.submit(&page, "/join", &[("decision", "accept")]).await.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(ben.get(&late).await.status, StatusCode::UNPROCESSABLE_ENTITY);

        // Of a home that is gone meanwhile, or whose owner is suspended.
        let gone = link(&invite(&mut ada, &home, &[("name", "Ben"), ("role", "member")]).await);
        world.service.set_user_suspended(ADA, true).await.unwrap();
        assert_eq!(ben.get(&gone).await.status, StatusCode::UNPROCESSABLE_ENTITY);
        world.service.set_user_suspended(ADA, false).await.unwrap();
        let page = ben.get(&gone).await;
        world.service.delete_user(ADA).await.unwrap();
        assert_eq!(ben.submit(&page, "/join", &[("decision", "accept")]).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    }

    async fn of_many_who_accept_at_once_one_wins(world: &World) {
        let mut ada = world.person(ADA).await;
        let home = home_of(world, &mut ada).await;
        let link = link(&invite(&mut ada, &home, &[("name", "Ben"), ("role", "member")]).await);
        let mut people = Vec::new();
        for number in 0..6 {
            let mut browser = world.person(&format!("p{number}@example.org")).await;
            let page = browser.get(&link).await;
            people.push((browser, page));
        }
        let all = people.iter_mut().map(|(browser, page)| browser.submit(page, "/join", &[("decision", "accept")]));
        let answers = futures_util::future::join_all(all).await;
        let won = answers.iter().filter(|answer| answer.status == StatusCode::SEE_OTHER).count();
        assert_eq!(won, 1);
        assert!(answers.iter().all(|answer| answer.status == StatusCode::SEE_OTHER || answer.status == StatusCode::UNPROCESSABLE_ENTITY));
        assert_eq!(ada.get(&format!("/homes/{home}")).await.text.matches("Member since").count(), 1);
    }

    async fn when_an_owner_goes_so_does_the_home_and_when_a_member_goes_only_they_do(world: &World) {
        let client = world.alexa().await;
        let (mut ada, mut ben, mut cleo) = (world.person(ADA).await, world.person(BEN).await, world.person("cleo@example.org").await);
        let home = home_of(world, &mut ada).await;
        share(&mut ada, &home, &mut ben, "Ben", "member").await;
        share(&mut ada, &home, &mut cleo, "Cleo", "guest-30").await;
        let his = world.link_as(&client, &mut ben).await;
        assert!(ada.get("/account/delete").await.text.contains("You share your homes with 2 people"));
        let page = cleo.get("/account/delete").await;
        assert!(!page.text.contains("You share"));
        let gone = cleo.submit(&page, "/account/delete", &[("email", "cleo@example.org")]).await;
        assert_eq!(gone.status, StatusCode::OK, "{}", gone.text);
        assert!(ada.get("/activity").await.text.contains("Cleo (My house) left"));
        assert_eq!(homes(world, &his).await, [home.as_str()]);

        // Suspended, the owner's home is out of reach for everybody, and they see why.
        let (_, before) = told_since(world, 0).await;
        world.service.set_user_suspended(ADA, true).await.unwrap();
        assert_eq!(homes(world, &his).await, [""; 0]);
        assert!(told_since(world, before).await.0.contains(&Subject::InstanceEnded(home.clone())));
        let page = ben.get(&format!("/homes/{home}")).await.text;
        assert!(page.contains("The account of this home’s owner is suspended"), "{page}");
        let (_, before) = told_since(world, 0).await;
        world.service.set_user_suspended(ADA, false).await.unwrap();
        assert_eq!(homes(world, &his).await, [home.as_str()]);
        let account = resolve(world, &his).await.account_id;
        assert!(told_since(world, before).await.0.contains(&Subject::HomesChanged(account)));

        let mut ada = world.browser();
        let page = ada.get("/sign-in").await;
        ada.submit(&page, "/sign-in", &[("email", ADA), ("password", PASSWORD)]).await;
        let page = ada.get("/account/delete").await;
        let (_, before) = told_since(world, 0).await;
        ada.submit(&page, "/account/delete", &[("email", ADA)]).await;
        assert_eq!(homes(world, &his).await, [""; 0]);
        assert!(told_since(world, before).await.0.contains(&Subject::InstanceEnded(home.clone())));
        assert!(ben.get("/activity").await.text.contains("My house is no longer shared with you"));
        assert!(ben.get("/homes").await.text.contains("No home yet"));
    }

    async fn unlinking_a_shared_home_says_whom_it_concerns_and_needs_a_recent_sign_in(world: &World) {
        let client = world.alexa().await;
        let (mut ada, mut ben) = (world.person(ADA).await, world.person(BEN).await);
        let home = home_of(world, &mut ada).await;
        share(&mut ada, &home, &mut ben, "Ben", "member").await;
        let open = link(&invite(&mut ada, &home, &[("name", "Cleo"), ("role", "member")]).await);
        let his = world.link_as(&client, &mut ben).await;
        let path = format!("/homes/{home}/unlink");
        let page = ada.get(&path).await;
        assert!(page.text.contains("those of the one person"), "{}", page.text);
        world.advance(901);
        let again = format!("/sign-in?next=%2Fhomes%2F{home}%2Funlink&again=1");
        assert_eq!(ada.submit(&page, &path, &[]).await.location(), again);
        assert_eq!(ada.get(&path).await.location(), again);
        let form = ada.get(&again).await;
        let landed = ada.submit(&form, "/sign-in", &[("email", ADA), ("password", PASSWORD)]).await;
        assert_eq!(landed.location(), path);
        let page = ada.get(&path).await;
        assert_eq!(ada.submit(&page, &path, &[]).await.location(), "/homes");
        assert_eq!(homes(world, &his).await, [""; 0]);
        assert_eq!(ben.get(&open).await.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(ben.get("/activity").await.text.contains("My house is no longer shared with you"));
    }

    async fn both_sides_can_take_along_what_is_kept_about_sharing(world: &World) {
        let (mut ada, mut ben) = (world.person(ADA).await, world.person(BEN).await);
        let home = home_of(world, &mut ada).await;
        share(&mut ada, &home, &mut ben, "Ben", "member").await;
        invite(&mut ada, &home, &[("name", "Cleo"), ("role", "guest-7"), ("email", "cleo@example.org")]).await;
        let export = async |browser: &mut Browser<'_>| {
            let page = browser.get("/security").await;
            browser.submit(&page, "/account/export", &[]).await
        };
        let hers = export(&mut ada).await;
        assert!(!hers.text.contains(BEN), "an owner does not learn a member's address");
        let hers = hers.json();
        assert_eq!((text(&hers["members"][0], "shown_as"), text(&hers["members"][0], "role")), ("Ben", "member"));
        assert_eq!((text(&hers["invitations"][0], "shown_as"), text(&hers["invitations"][0], "email")), ("Cleo", "cleo@example.org"));
        let his = export(&mut ben).await.json();
        assert_eq!((text(&his["memberships"][0], "owner"), text(&his["memberships"][0], "shown_as")), (ADA, "Ben"));
        assert_eq!(his["members"].as_array().unwrap().len(), 0);
        // Somebody who merely says that an address is theirs does not see who wrote to it.
        let mut cleo = world.person("cleo@example.org").await;
        assert_eq!(export(&mut cleo).await.json()["invited"].as_array().unwrap().len(), 1);
        unconfirm(world, "cleo@example.org").await;
        assert_eq!(export(&mut cleo).await.json()["invited"].as_array().unwrap().len(), 0);
    }

    async fn an_invitation_for_an_address_waits_until_the_address_is_proved(world: &World) {
        let (mut ada, mut ben) = (world.person(ADA).await, world.person(BEN).await);
        let home = home_of(world, &mut ada).await;
        unconfirm(world, BEN).await;
        for role in ["member", "owner"] {
            let made = if role == "member" {
                invite(&mut ada, &home, &[("name", "Ben"), ("role", role), ("email", BEN)]).await
            } else {
                crate::moving::offer(&mut ada, &home, &[("email", BEN)]).await
            };
            let link = link(&made);
            unconfirm(world, BEN).await;
            let first = ben.get(&link).await;
            assert!(first.location().starts_with("/verify?next=%2Fjoin%3Fcode%3D"), "{}", first.text);
            let verify = ben.get(first.location()).await;
            assert!(verify.text.contains("invitation is for this address alone"), "{}", verify.text);
            // Not by a page from elsewhere either.
            let form = ben.get("/join").await;
            let code = ("code", link.split('=').next_back().unwrap());
            let forced = ben.submit(&form, "/join", &[code, ("decision", "accept")]).await;
            assert!(forced.location().starts_with("/verify?"), "{}", forced.text);
            assert_eq!(ben.get(&format!("/homes/{home}")).await.status == StatusCode::OK, role == "owner");

            let before = world.mails();
            let verify = ben.submit(&verify, "/verify", &[]).await;
            let mail = world.mails().into_iter().find(|mail| !before.contains(mail)).unwrap();
            let code = mail.split("Subject: ").nth(1).unwrap().split(' ').next().unwrap().to_owned();
            let back = ben.submit(&verify, "/verify", &[("code", &code)]).await;
            assert_eq!(back.location(), link);
            let joined = answer(&mut ben, &link, "accept").await;
            assert_eq!(joined.location(), format!("/homes/{home}"), "{}", joined.text);
        }
        assert!(ben.get(&format!("/homes/{home}")).await.text.contains("/rename"));
    }

    async fn invitations_go_by_mail_only_from_those_who_confirmed_their_address(world: &World) {
        let mut ada = world.person(ADA).await;
        let home = home_of(world, &mut ada).await;
        unconfirm(world, ADA).await;
        let fields = [("name", "Ben"), ("role", "member"), ("email", BEN)];
        assert!(!invite(&mut ada, &home, &fields).await.text.contains("sending it to"));
        assert!(world.mails().is_empty());
        world.execute(format!("UPDATE accounts SET email_verified_at = 1 WHERE email = '{ADA}'")).await;
        let page = invite(&mut ada, &home, &fields).await;
        assert!(page.text.contains("sending it to ben@example.org"), "{}", page.text);
        let [mail]: [String; 1] = world.mails().try_into().unwrap();
        assert!(mail.contains("To: ben@example.org") && mail.contains("/join?code="), "{mail}");
        assert!(!mail.contains("My house"), "no text of the sender's choice goes to strangers: {mail}");
    }

    async fn two_homes_of_one_name_are_told_apart(world: &World) {
        let (mut ada, mut ben) = (world.person(ADA).await, world.person(BEN).await);
        let home = home_of(world, &mut ada).await;
        let own = home_of(world, &mut ben).await;
        assert!(!ben.get("/homes").await.text.contains("same name"));
        share(&mut ada, &home, &mut ben, "Ben", "member").await;
        let page = ben.get("/homes").await.text;
        assert!(page.contains("Another of your homes has the same name") && page.contains("Shared by"), "{page}");
        assert!(ben.get(&format!("/homes/{own}")).await.text.contains("Please rename this one"));
        assert!(ben.get(&format!("/homes/{home}")).await.text.contains("ask the owner of this one"));
        assert!(!ada.get(&format!("/homes/{home}")).await.text.contains("same name"), "hers has a name of its own");
    }

    async fn a_home_has_only_so_many_members_and_invitations(world: &World) {
        let mut ada = world.person(ADA).await;
        let home = home_of(world, &mut ada).await;
        for number in 0..50 {
            let made = invite(&mut ada, &home, &[("name", format!("P{number}").as_str()), ("role", "member")]).await;
            assert_eq!(made.status, StatusCode::OK);
        }
        let full = invite(&mut ada, &home, &[("name", "One more"), ("role", "member")]).await;
        assert_eq!(full.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(full.text.contains("as many members and invitations as it can have"), "{}", full.text);
        for (fields, said) in [([("name", " "), ("role", "member")], "give this person a name"), ([("name", "X"), ("email", "no address")], "not an e-mail address")] {
            let again = invite(&mut ada, &home, &fields).await;
            assert!(again.status == StatusCode::UNPROCESSABLE_ENTITY && again.text.contains(said), "{}", again.text);
        }
    }

    async fn whoever_made_an_account_for_a_strangers_address_loses_what_was_shared_with_it(world: &World) {
        let client = world.alexa().await;
        let (mut ada, mut squatter) = (world.person(ADA).await, world.person(BEN).await);
        let home = home_of(world, &mut ada).await;
        unconfirm(world, BEN).await;
        share(&mut ada, &home, &mut squatter, "Ben", "member").await;
        let theirs = world.link_as(&client, &mut squatter).await;
        let mut ben = world.browser();
        let page = ben.get("/forgot").await;
        let page = ben.submit(&page, "/forgot", &[("email", BEN)]).await;
        let mail = world.mails().pop().unwrap();
        let code = mail.split("Subject: ").nth(1).unwrap().split(' ').next().unwrap().to_owned();
        let done = ben.submit(&page, "/reset", &[("code", &code), ("password", "another one entirely")]).await;
        assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.text);
        assert_eq!(homes(world, &theirs).await, [""; 0]);
        assert!(!ada.get(&format!("/homes/{home}")).await.text.contains("Member since"));
    }
}

#[tokio::test]
async fn invitations_fill_no_mailbox() {
    let limit = |config: &mut macloud_account_service::Config| {
        config.limits.invitation_mails_per_mailbox = "3/3600".parse().unwrap();
    };
    World::with_settings(Kind::Sqlite, limit, async |world| {
        for (owner, mails) in [(ADA, 2), ("cleo@example.org", 3)] {
            let mut owner = world.person(owner).await;
            let home = home_of(world, &mut owner).await;
            for _ in 0..2 {
                let made = invite(&mut owner, &home, &[("name", "Ben"), ("role", "member"), ("email", BEN)]).await;
                assert!(!link(&made).is_empty(), "the link is there all the same");
            }
            assert_eq!(world.mails().len(), mails);
        }
    })
    .await;
}

#[tokio::test]
async fn guessing_codes_and_making_many_is_limited() {
    let limit = |config: &mut macloud_account_service::Config| {
        config.limits.wrong_invitation_codes = "3/600".parse().unwrap();
        config.limits.invitations_per_account = "2/86400".parse().unwrap();
        config.limits.client_address_header = Some("x-client".into());
    };
    World::with_settings(Kind::Sqlite, limit, async |world| {
        let (mut ada, mut eve) = (world.person(ADA).await, world.person("eve@example.org").await);
        let home = home_of(world, &mut ada).await;
        let fields = [("name", "Ben"), ("role", "member")];
        let right = link(&invite(&mut ada, &home, &fields).await);
        for _ in 0..5 {
            assert_eq!(eve.get(&right).await.status, StatusCode::OK, "right codes are not counted");
        }
        for _ in 0..3 {
            assert_eq!(eve.get("/join?code=BCDF-GHJK-LMNP").await.status, StatusCode::UNPROCESSABLE_ENTITY);
        }
        let refused = eve.get(&right).await;
        assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
        assert!(!refused.header("retry-after").is_empty());
        invite(&mut ada, &home, &fields).await;
        assert_eq!(invite(&mut ada, &home, &fields).await.status, StatusCode::TOO_MANY_REQUESTS);
    })
    .await;
}
