//! More people at once than passwords can be checked.

use axum::http::{Request, StatusCode};
use macloud_account_service::Rate;

use crate::harness::{Kind, PASSWORD, World, send};

/// Who was sent away did nothing wrong: it must not count as a wrong password, or a crowd would lock people out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_sent_away_in_a_crowd_can_still_sign_in() {
    let cores = std::thread::available_parallelism().unwrap().get();
    let at_once = 4 * cores;
    let change = |config: &mut macloud_account_service::Config| {
        config.limits.password_wait_ms = 0;
        config.limits.wrong_passwords_per_account_and_address = Rate { requests: at_once as u32, seconds: 86_400 };
        config.limits.wrong_passwords_per_account = Rate { requests: at_once as u32, seconds: 86_400 };
    };
    World::with_settings(Kind::Sqlite, change, async |world| {
        world.service.create_user("ada@example.org", PASSWORD).await.unwrap();
        let mut sent_away = 0;
        // More than may be wrong. Few rounds do it; a machine with better things to do may need some more.
        for _ in 0..50 {
            if sent_away > at_once {
                break;
            }
            let mut browser = world.browser();
            let page = browser.get("/sign-in").await;
            let mut form = page.hidden_fields("/sign-in");
            form.extend(
                [("email", "ada@example.org"), ("password", PASSWORD)].map(|(n, v)| (n.to_owned(), v.to_owned())),
            );
            let cookie = format!("__Host-macloud={}", browser.cookie.unwrap());
            let sign_in = || {
                let request = Request::post("/sign-in")
                    .header("content-type", "application/x-www-form-urlencoded")
                    .header("cookie", &cookie)
                    .body(crate::harness::encode_form(&form).into())
                    .unwrap();
                tokio::spawn(send(world.service.router(), request))
            };
            let tasks: Vec<_> = (0..at_once).map(|_| sign_in()).collect();
            for task in tasks {
                let answer = task.await.unwrap();
                if answer.status == StatusCode::SERVICE_UNAVAILABLE {
                    assert!(answer.header("retry-after").parse::<u32>().is_ok());
                    sent_away += 1;
                } else {
                    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
                }
            }
        }
        assert!(sent_away > at_once, "only {sent_away} were sent away");
        let mut browser = world.browser();
        let page = browser.get("/sign-in").await;
        let fields = [("email", "ada@example.org"), ("password", PASSWORD)];
        assert_eq!(browser.submit(&page, "/sign-in", &fields).await.status, StatusCode::SEE_OTHER);
    })
    .await;
}
