//! Codes by mail: confirming an address, and setting a new password.

use axum::http::StatusCode;

use macloud_account_service::DatabaseSettings;
use macloud_proto::accounts::v1::StoreEventGrantRequest;
use sqlx::{Connection as _, Executor as _};

use crate::harness::{Answer, Authorization, Browser, Kind, PASSWORD, World, on_both_databases, text};
use crate::members::home_of;
use crate::pairing::{Connector, decide};

const EMAIL: &str = "ada@example.org";

/// The code in the only mail that came since.
fn code(world: &World, before: &[String]) -> String {
    let new: Vec<String> = world.mails().into_iter().filter(|mail| !before.contains(mail)).collect();
    let [mail] = new.as_slice() else { panic!("{} mails came", new.len()) };
    assert!(mail.contains(&format!("To: {EMAIL}")), "{mail}");
    subject_code(mail)
}

/// Ask for a code to set a new password: the page for it, and the code if one came.
pub async fn forgot(world: &World, browser: &mut Browser<'_>, email: &str) -> (Answer, Option<String>) {
    let before = world.mails();
    let page = browser.get("/forgot?next=%2Fapps").await;
    let page = browser.submit(&page, "/forgot", &[("email", email)]).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    let code = (world.mails().len() > before.len()).then(|| code(world, &before));
    (page, code)
}

/// Ask for an account; the page that wants the code.
async fn ask_for_account(browser: &mut Browser<'_>, email: &str) -> Answer {
    let page = browser.get("/sign-up?next=%2Fapps").await;
    let page = browser.submit(&page, "/sign-up", &[("email", email), ("password", PASSWORD)]).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    page
}

/// With what was mailed first, as a public cloud does it.
fn confirmed(config: &mut macloud_account_service::Config) {
    config.limits.sign_up = macloud_account_service::SignUp::Confirmed;
}

fn mails_to(world: &World, email: &str) -> Vec<String> {
    world.mails().into_iter().filter(|mail| mail.contains(&format!("To: {email}"))).collect()
}

async fn signing_up_tells_nobody_who_has_an_account(kind: Kind) {
    World::with_settings(kind, confirmed, async |world| {
        world.service.create_user(EMAIL, PASSWORD).await.unwrap();
        let mut browser = world.browser();
        let known = ask_for_account(&mut browser, EMAIL).await;
        let new = ask_for_account(&mut browser, "eve@example.org").await;
        assert_eq!(known.text.len(), new.text.len());
        assert!(mails_to(world, EMAIL)[0].contains("have an account already"));
        let [code] = mails_to(world, "eve@example.org").try_into().unwrap();
        let code = subject_code(&code);
        // The code of one page is none of another's.
        let refused = browser.submit(&known, "/sign-up/code", &[("code", &code)]).await;
        let wrong = browser.submit(&new, "/sign-up/code", &[("code", "BBBB-BBBB")]).await;
        assert_eq!((refused.status, refused.text.len()), (StatusCode::UNPROCESSABLE_ENTITY, wrong.text.len()));
        assert_eq!(world.service.list_users().await.unwrap().len(), 1, "no account before its code");
        let before = browser.cookie.clone();
        let landed = browser.submit(&wrong, "/sign-up/code", &[("code", &code)]).await;
        assert_eq!((landed.status, landed.location()), (StatusCode::SEE_OTHER, "/apps"), "{}", landed.text);
        assert!(!browser.get("/security").await.text.contains("Not confirmed"));
        browser.cookie = before;
        let again = browser.submit(&new, "/sign-up/code", &[("code", &code)]).await;
        assert_eq!(again.status, StatusCode::UNPROCESSABLE_ENTITY, "a code works once");
        // Late.
        let late = ask_for_account(&mut browser, "bob@example.org").await;
        let [code] = mails_to(world, "bob@example.org").try_into().unwrap();
        world.advance(900);
        let late = browser.submit(&late, "/sign-up/code", &[("code", &subject_code(&code))]).await;
        assert_eq!(late.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(world.service.housekeep().await.unwrap() > 0);
    })
    .await;
}

#[tokio::test]
async fn signing_up_tells_nobody_who_has_an_account_on_sqlite() {
    signing_up_tells_nobody_who_has_an_account(Kind::Sqlite).await;
}

#[tokio::test]
async fn signing_up_tells_nobody_who_has_an_account_on_postgres() {
    signing_up_tells_nobody_who_has_an_account(Kind::Postgres).await;
}

#[tokio::test]
async fn two_who_claim_one_address_become_one_account() {
    World::with_settings(Kind::Sqlite, confirmed, async |world| {
        let (mut one, mut other) = (world.browser(), world.browser());
        let pages = [ask_for_account(&mut one, EMAIL).await, ask_for_account(&mut other, EMAIL).await];
        let codes: Vec<String> = mails_to(world, EMAIL).iter().map(|mail| subject_code(mail)).collect();
        let mut landed = Vec::new();
        for (browser, page) in [(&mut one, &pages[0]), (&mut other, &pages[1])] {
            for code in &codes {
                landed.push(browser.submit(page, "/sign-up/code", &[("code", code)]).await.status);
            }
        }
        assert_eq!(landed.iter().filter(|status| **status == StatusCode::SEE_OTHER).count(), 1);
        assert_eq!(world.service.list_users().await.unwrap().len(), 1);
    })
    .await;
}

pub fn subject_code(mail: &str) -> String {
    let subject = mail.lines().find(|line| line.starts_with("Subject: ")).unwrap();
    subject["Subject: ".len()..].split(' ').next().unwrap().to_owned()
}

on_both_databases! {
    async fn a_stranger_takes_nothing_from_whoever_holds_a_code(world: &World) {
        world.person(EMAIL).await;
        let mut owner = world.browser();
        let (page, code) = forgot(world, &mut owner, EMAIL).await;
        let mut stranger = world.browser();
        for _ in 0..7 {
            let (theirs, _) = forgot(world, &mut stranger, EMAIL).await;
            // Knowing the owner's code is of no use in another page.
            let stolen = stranger.submit(&theirs, "/reset", &[("code", code.as_deref().unwrap()), ("password", "a stolen one")]).await;
            assert_eq!(stolen.status, StatusCode::UNPROCESSABLE_ENTITY);
            for _ in 0..6 {
                stranger.submit(&theirs, "/reset", &[("code", "BBBB-BBBB"), ("password", "a stolen one")]).await;
            }
        }
        let landed = owner.submit(&page, "/reset", &[("code", &code.unwrap()), ("password", "a new long one")]).await;
        assert_eq!(landed.status, StatusCode::SEE_OTHER, "{}", landed.text);
    }

    async fn an_account_moves_to_an_address_that_is_shown_to_be_its_owners(world: &World) {
        let mut browser = world.person(EMAIL).await;
        world.service.create_user("eve@example.org", PASSWORD).await.unwrap();
        let security = browser.get("/security").await;
        let taken = browser.submit(&security, "/security/email", &[("email", "eve@example.org")]).await;
        let free = browser.submit(&security, "/security/email", &[("email", "ann@example.org")]).await;
        assert_eq!((taken.status, taken.text.len()), (StatusCode::OK, free.text.len()), "nobody learns who has an account");
        assert!(mails_to(world, "eve@example.org")[0].contains("have an account already"));
        let [mail] = mails_to(world, "ann@example.org").try_into().unwrap();
        let wrong = browser.submit(&free, "/security/email/confirm", &[("code", "BBBB-BBBB")]).await;
        assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
        let mut eve = world.browser();
        let page = eve.get("/sign-in").await;
        eve.submit(&page, "/sign-in", &[("email", "eve@example.org"), ("password", PASSWORD)]).await;
        let done = browser.submit(&free, "/security/email/confirm", &[("code", &subject_code(&mail))]).await;
        assert!(done.status == StatusCode::OK && done.text.contains("ann@example.org"), "{}", done.text);
        assert!(mails_to(world, EMAIL).iter().any(|mail| mail.replace("=\r\n", "").replace("=\n", "").contains("no longer belongs to it")));
        let mut emails: Vec<String> = world.service.list_users().await.unwrap().into_iter().map(|user| user.email).collect();
        emails.sort();
        assert_eq!(emails, ["ann@example.org", "eve@example.org"]);
        // A page of one account is of no use to another.
        let security = browser.get("/security").await;
        let page = browser.submit(&security, "/security/email", &[("email", "bob@example.org")]).await;
        let [mail] = mails_to(world, "bob@example.org").try_into().unwrap();
        let ticket: Vec<_> = page.hidden_fields("/security/email/confirm").into_iter().filter(|(name, _)| name != "form_token").collect();
        let own = eve.get("/security").await.hidden_fields("/security/email");
        let fields: Vec<_> = own.into_iter().chain(ticket).chain([("code".to_owned(), subject_code(&mail))]).collect();
        assert_eq!(eve.post("/security/email/confirm", &fields).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    }

    async fn a_password_that_everybody_tries_first_is_refused(world: &World) {
        let mut browser = world.browser();
        let page = browser.get("/sign-up").await;
        for common in ["password", "Passw0rd", "12345678", "ada12345"] {
            let refused = browser.submit(&page, "/sign-up", &[("email", EMAIL), ("password", common)]).await;
            assert!(refused.status == StatusCode::UNPROCESSABLE_ENTITY && refused.text.contains("guessed quickly"), "{common}");
        }
    }

    async fn a_mailed_code_sets_a_new_password_once(world: &World) {
        let client = world.alexa().await;
        let mut old = world.person(EMAIL).await;
        let tokens = world.link_as(&client, &mut old).await;
        let mut browser = world.browser();
        let (page, code) = forgot(world, &mut browser, " Ada@example.org").await;
        let code = code.unwrap();
        let short = browser.submit(&page, "/reset", &[("code", &code), ("password", "short")]).await;
        assert_eq!(short.status, StatusCode::UNPROCESSABLE_ENTITY);
        let typed = code.to_lowercase().replace('-', " ");
        let landed = browser.submit(&page, "/reset", &[("code", &typed), ("password", "a new long one")]).await;
        assert_eq!((landed.status, landed.location()), (StatusCode::SEE_OTHER, "/apps"), "{}", landed.text);
        assert_eq!(browser.get("/homes").await.status, StatusCode::OK);
        assert_eq!(old.get("/homes").await.status, StatusCode::SEE_OTHER, "every other browser is signed out");
        assert_eq!(world.refresh(&client, text(&tokens, "refresh_token")).await.status, StatusCode::OK);
        assert!(world.mails().iter().any(|mail| mail.contains("password was changed")));
        let again = world.browser().get("/forgot").await;
        assert_eq!(again.status, StatusCode::OK);
        let mut thief = world.browser();
        let (page, fresh) = forgot(world, &mut thief, EMAIL).await;
        for used in [code.as_str(), "BBBB-BBBB", "", "x"] {
            let refused = thief.submit(&page, "/reset", &[("code", used), ("password", "stolen password")]).await;
            assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
        }
        world.advance(900);
        let late = thief.submit(&page, "/reset", &[("code", &fresh.unwrap()), ("password", "stolen password")]).await;
        assert_eq!(late.status, StatusCode::UNPROCESSABLE_ENTITY);
    }

    async fn five_guesses_end_a_code(world: &World) {
        world.person(EMAIL).await;
        let mut browser = world.browser();
        let (page, code) = forgot(world, &mut browser, EMAIL).await;
        for _ in 0..5 {
            browser.submit(&page, "/reset", &[("code", "BBBB-BBBB"), ("password", "a new long one")]).await;
        }
        let right = browser.submit(&page, "/reset", &[("code", &code.unwrap()), ("password", "a new long one")]).await;
        assert_eq!(right.status, StatusCode::UNPROCESSABLE_ENTITY);
    }

    async fn nobody_learns_who_has_an_account(world: &World) {
        world.person(EMAIL).await;
        let mut browser = world.browser();
        let (known, code) = forgot(world, &mut browser, EMAIL).await;
        let (unknown, none) = forgot(world, &mut browser, "eve@example.org").await;
        assert!(code.is_some() && none.is_none());
        assert_eq!(known.text.len(), unknown.text.len());
        let fields = [("code", "BBBB-BBBB"), ("password", "a new long one")];
        let known = browser.submit(&known, "/reset", &fields).await;
        let unknown = browser.submit(&unknown, "/reset", &fields).await;
        assert_eq!((known.status, known.text.len()), (unknown.status, unknown.text.len()));
    }

    async fn the_second_step_stays_on(world: &World) {
        let mut browser = world.person(EMAIL).await;
        crate::second_step::turn_on(world, &mut browser).await;
        let mut phone = world.browser();
        let (page, code) = forgot(world, &mut phone, EMAIL).await;
        let asked = phone.submit(&page, "/reset", &[("code", &code.unwrap()), ("password", "a new long one")]).await;
        assert!(asked.status == StatusCode::OK && asked.text.contains("Second step"), "{}", asked.text);
        assert_eq!(phone.get("/homes").await.status, StatusCode::SEE_OTHER);
    }

    async fn nothing_of_who_only_claimed_an_address_outlives_its_first_proof(world: &World) {
        let client = world.alexa().await;
        let mut thief = world.browser();
        let page = thief.get("/sign-up").await;
        thief.submit(&page, "/sign-up", &[("email", EMAIL), ("password", PASSWORD)]).await;
        let asked = Authorization::new("alexa");
        let stolen = thief.allow(&asked).await;
        let tokens = world.redeem(&client, &stolen, &asked).await.json();
        let home = home_of(world, &mut thief).await;
        let (mut key, _) = crate::passkeys::add(&mut thief, "Theirs").await;
        crate::second_step::turn_on(world, &mut thief).await;
        let events = StoreEventGrantRequest {
            account_id: world.service.list_users().await.unwrap()[0].id.to_string(),
            region: "EU".into(),
            sealed: b"theirs".to_vec().into(),
        };
        world.accounts().store_event_grant(events).await.unwrap();
        // What is allowed and not fetched yet.
        let held = thief.allow(&asked).await;
        let connector = Connector::new();
        let begun = connector.begin(world, "Pi").await;
        decide(&mut thief, &begun, "allow").await;
        let mut owner = world.browser();
        let before = world.mails();
        let page = owner.get("/forgot").await;
        let page = owner.submit(&page, "/forgot", &[("email", EMAIL)]).await;
        let code = code(world, &before);
        let landed = owner.submit(&page, "/reset", &[("code", &code), ("password", "a new long one")]).await;
        assert_eq!(landed.status, StatusCode::SEE_OTHER, "no second step of somebody else: {}", landed.text);
        assert_eq!(owner.get("/homes").await.status, StatusCode::OK);
        assert_eq!(world.refresh(&client, text(&tokens, "refresh_token")).await.status, StatusCode::BAD_REQUEST);
        assert_eq!(world.redeem(&client, &held, &asked).await.error(), "invalid_grant");
        assert_eq!(connector.poll(world, &begun).await.error(), "invalid_grant");
        assert_eq!(thief.get("/homes").await.status, StatusCode::SEE_OTHER);
        assert_eq!(owner.get(&format!("/homes/{home}")).await.status, StatusCode::NOT_FOUND);
        let refused = crate::passkeys::sign_in(&mut world.browser(), &mut key, "/sign-in").await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.text);
        assert!(owner.get("/security/passkeys").await.text.contains("You have none yet"));
        assert_eq!(world.look_up("SELECT CAST(COUNT(*) AS TEXT) FROM event_grants").await, "0");
    }

    // A new table of people's rows is put on one of these lists, and ended in `set_anew` if it must be.
    async fn whatever_is_kept_of_people_ends_with_the_first_proof_or_may_stay(world: &World) {
        let ends = [
            "codes", "event_grants", "grants", "home_assistant_users", "identities", "instances", "known_browsers", "mail_challenges", "members", "pairings",
            "passkeys", "recovery_codes", "skill_customers", "totp_secrets", "web_sessions",
        ];
        // What happened, what an operator gave, what is paid for, and what is of no use without a session or a home that ended.
        let stays = [
            "account_plans", "activity", "audit", "billing_accounts", "billing_subscriptions", "home_assistant_trips", "link_attempts",
            "mailed_codes", "plan_notices", "sign_in_trips", "uses",
        ];
        let mut known: Vec<&str> = ends.into_iter().chain(stays).collect();
        known.sort_unstable();
        let columns = world.service.check_schema().await.unwrap().1;
        let tables: Vec<&str> =
            columns.iter().filter(|(_, column)| column == "account_id").map(|(table, _)| table.as_str()).collect();
        assert_eq!(tables, known);
    }

    async fn a_code_is_still_good_after_a_fault_of_ours(world: &World) {
        world.person(EMAIL).await;
        let mut browser = world.browser();
        let (page, code) = forgot(world, &mut browser, EMAIL).await;
        let code = code.unwrap();
        world.on_every("DELETE ON web_sessions", "INSERT INTO accounts (id) VALUES (NULL)").await;
        let fields = [("code", code.as_str()), ("password", "a new long one")];
        let failed = browser.submit(&page, "/reset", &fields).await;
        assert_eq!(failed.status, StatusCode::SERVICE_UNAVAILABLE);
        world.no_more("web_sessions").await;
        let landed = browser.submit(&page, "/reset", &fields).await;
        assert_eq!(landed.status, StatusCode::SEE_OTHER, "{}", landed.text);
    }

    async fn a_changed_password_ends_reset_codes_that_were_asked_for(world: &World) {
        let mut owner = world.person(EMAIL).await;
        let mut thief = world.browser();
        let (page, code) = forgot(world, &mut thief, EMAIL).await;
        let security = owner.get("/security").await;
        let changed = owner.submit(&security, "/security/password", &[("new_password", "another long one")]).await;
        assert_eq!(changed.status, StatusCode::OK, "{}", changed.text);
        let late = thief.submit(&page, "/reset", &[("code", &code.unwrap()), ("password", "a stolen one")]).await;
        assert_eq!(late.status, StatusCode::UNPROCESSABLE_ENTITY);
    }

    async fn mail_goes_to_the_address_and_to_nobody_else(world: &World) {
        let before = world.mails().len();
        let mut browser = world.browser();
        let page = browser.get("/sign-up").await;
        for other in ["a<ada@example.org>", "x,ada@example.org", "c:ada@example.org", "ada@example.org>"] {
            let refused = browser.submit(&page, "/sign-up", &[("email", other), ("password", PASSWORD)]).await;
            assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{other}");
        }
        assert_eq!(world.mails().len(), before);
    }

    async fn an_address_is_confirmed_and_apps_are_told(world: &World) {
        let client = world.alexa().await;
        let mut browser = world.browser();
        let page = browser.get("/sign-up").await;
        browser.submit(&page, "/sign-up", &[("email", EMAIL), ("password", PASSWORD)]).await;
        let first = code(world, &[]);
        let claims = async |browser: &mut Browser<'_>| {
            let asked = Authorization::new("alexa");
            let code = browser.allow(&asked).await;
            let tokens = world.redeem(&client, &code, &asked).await.json();
            let token = macloud_proto::jose::Unverified::parse(text(&tokens, "id_token")).unwrap();
            token.peek::<serde_json::Value>().unwrap()["email_verified"].as_bool().unwrap()
        };
        assert!(!claims(&mut browser).await);
        assert!(browser.get("/security").await.text.contains("Not confirmed"));
        let before = world.mails();
        let page = browser.get("/verify").await;
        browser.submit(&page, "/verify", &[]).await;
        let second = code(world, &before);
        let old = browser.submit(&page, "/verify", &[("code", &first)]).await;
        assert_eq!(old.status, StatusCode::UNPROCESSABLE_ENTITY, "a fresh code ends the one before");
        let done = browser.submit(&page, "/verify", &[("code", &second)]).await;
        assert_eq!(done.location(), "/security");
        assert!(!browser.get("/security").await.text.contains("Not confirmed"));
        assert!(claims(&mut browser).await);
        // A code to confirm an address sets no password.
        let mut thief = world.browser();
        let (page, _) = forgot(world, &mut thief, EMAIL).await;
        let refused = thief.submit(&page, "/reset", &[("code", &second), ("password", "stolen password")]).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
}

#[tokio::test]
async fn nobody_is_flooded_with_codes() {
    let limit = |config: &mut macloud_account_service::Config| config.limits.mailed_codes = "3/3600".parse().unwrap();
    World::with_settings(Kind::Sqlite, limit, async |world| {
        world.person(EMAIL).await;
        let mut browser = world.browser();
        let page = browser.get("/forgot").await;
        for _ in 0..3 {
            assert_eq!(browser.submit(&page, "/forgot", &[("email", EMAIL)]).await.status, StatusCode::OK);
        }
        let refused = browser.submit(&page, "/forgot", &[("email", EMAIL)]).await;
        assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(world.mails().len(), 3);
        // At another address nothing is used up.
        assert_eq!(browser.submit(&page, "/forgot", &[("email", "eve@example.org")]).await.status, StatusCode::OK);
    })
    .await;
}

/// Who ends many things at once and who changes one of them must not wait for each other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ending_everything_of_an_account_takes_no_row_after_the_counter() {
    World::with(Kind::Postgres, async |world| {
        let DatabaseSettings::Postgres { url, .. } = &world.database else { unreachable!("as it was made") };
        let client = world.alexa().await;
        let mut thief = world.browser();
        let page = thief.get("/sign-up").await;
        thief.submit(&page, "/sign-up", &[("email", EMAIL), ("password", PASSWORD)]).await;
        world.link_as(&client, &mut thief).await;
        home_of(world, &mut thief).await;
        let mut owner = world.browser();
        let (page, code) = forgot(world, &mut owner, EMAIL).await;
        let mut other = sqlx::PgConnection::connect(url).await.unwrap();
        other.execute("BEGIN; UPDATE instances SET name = name").await.unwrap();
        let code = code.unwrap();
        let fields = [("code", code.as_str()), ("password", "a new long one")];
        let reset = owner.submit(&page, "/reset", &fields);
        let crosswise = async {
            let waiting = "SELECT CAST(COUNT(*) AS TEXT) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
            while world.look_up(waiting).await == "0" {
                tokio::task::yield_now().await;
            }
            other.execute("UPDATE change_counter SET last = last; COMMIT").await.unwrap();
        };
        let (landed, ()) = tokio::join!(reset, crosswise);
        assert_eq!(landed.status, StatusCode::SEE_OTHER, "{}", landed.text);
    })
    .await;
}
