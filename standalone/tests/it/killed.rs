//! `kill -9` at any moment: nothing that an app was given is lost, and nobody is unlinked.
//!
//! Apps link and refresh all the time and keep every token of every answer that reached them. The process is killed again
//! and again, a fraction of a second after it is up; whoever loses an answer asks again, as Alexa does. After each start a
//! sample of what was given must be good, at the end all of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use macloud_service_kit::random;
use macloud_standalone::demo::browser::Browser;
use serde_json::Value;
use tokio::sync::Mutex;

use crate::authorities::{Accounts, Answer, App, Code, Kind, text};

/// Tokens that arrived at an app.
#[derive(Clone)]
struct Given {
    access: String,
    refresh: String,
}

/// What all apps together were given.
#[derive(Default)]
struct Ledger {
    given: Mutex<Vec<Given>>,
    /// Answers that were lost and asked for again.
    lost: std::sync::atomic::AtomicUsize,
}

impl Ledger {
    async fn enter(&self, answer: &Value) -> Given {
        let given = Given { access: text(answer, "access_token"), refresh: text(answer, "refresh_token") };
        self.given.lock().await.push(given.clone());
        given
    }

    async fn sample(&self, count: usize) -> Vec<Given> {
        let given = self.given.lock().await;
        let any = |_| given[random::up_to(given.len() as u64 - 1) as usize].clone();
        if given.is_empty() { Vec::new() } else { (0..count).map(any).collect() }
    }
}

/// The load, from a number of apps' servers at once.
struct Load {
    accounts: Arc<Accounts>,
    app: App,
    ledger: Arc<Ledger>,
    enough: AtomicBool,
}

impl Load {
    fn goes_on(&self) -> bool {
        !self.enough.load(Ordering::Relaxed)
    }

    /// An answer was lost, or nobody was there to give one.
    async fn lost(&self) {
        self.ledger.lost.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(PAUSE).await;
    }

    /// Refresh a link again and again. Whatever becomes of the answers, the token that one has must do.
    async fn keep_refreshing(&self, mut current: Given) {
        while self.goes_on() {
            match self.app.refresh(&self.accounts.front.url, &current.refresh).await {
                Ok((200, answer)) => current = self.ledger.enter(&answer).await,
                Ok((status, answer)) => panic!("a refresh was refused: {status} {answer}"),
                Err(_) => self.lost().await,
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Link anew again and again.
    async fn keep_linking(&self, mut browser: Browser) {
        while self.goes_on() {
            match self.accounts.consent(&mut browser, &self.app).await {
                Ok(code) => self.redeem(&code).await,
                Err(_) => self.lost().await,
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// A code that arrived is good. Only when an answer was lost may it be spent.
    async fn redeem(&self, code: &Code) {
        let mut was_lost = false;
        while self.goes_on() {
            match self.app.redeem(&self.accounts.front.url, code).await {
                Ok((200, answer)) => {
                    self.ledger.enter(&answer).await;
                    return;
                }
                Ok((400, answer)) if was_lost && answer["error"] == "invalid_grant" => return,
                Ok((status, answer)) => panic!("a code was refused: {status} {answer}"),
                Err(_) => {
                    was_lost = true;
                    self.lost().await;
                }
            }
        }
    }
}

async fn link(accounts: &Accounts, app: &App, ledger: &Ledger) -> Given {
    let mut browser = accounts.browser().await;
    let code = accounts.consent(&mut browser, app).await.unwrap();
    let (status, answer) = app.redeem(&accounts.front.url, &code).await.unwrap();
    assert_eq!(status, 200, "{answer}");
    ledger.enter(&answer).await
}

async fn killed(kind: Kind, times: usize) {
    let Some(accounts) = Accounts::new(kind).await else { return };
    let accounts = Arc::new(accounts);
    let app = accounts.app("alexa", &[]);
    let ledger = Arc::new(Ledger::default());
    let (mut process, address) = accounts.start();
    accounts.front.lead_to(vec![address]);
    let mut links = Vec::new();
    for _ in 0..REFRESHING {
        links.push(link(&accounts, &app, &ledger).await);
    }
    let load = Arc::new(Load {
        accounts: accounts.clone(),
        app: app.clone(),
        ledger: ledger.clone(),
        enough: AtomicBool::new(false),
    });
    let mut tasks = Vec::new();
    for link in links {
        let load = load.clone();
        tasks.push(tokio::spawn(async move { load.keep_refreshing(link).await }));
    }
    for _ in 0..LINKING {
        let (load, browser) = (load.clone(), accounts.browser().await);
        tasks.push(tokio::spawn(async move { load.keep_linking(browser).await }));
    }

    let begun = Instant::now();
    let mut down = Duration::ZERO;
    for time in 1..=times {
        tokio::time::sleep(Duration::from_millis(random::up_to(LONGEST_LIFE_MS))).await;
        process.child.kill().unwrap();
        process.child.wait().unwrap();
        accounts.front.lead_to(Vec::new());
        let killed = Instant::now();
        let (next, address) = accounts.start();
        down += killed.elapsed();
        process = next;
        let base = format!("http://{address}");
        for given in ledger.sample(SAMPLE).await {
            assert!(app.is_active(&base, &given.access).await, "an access token is lost after kill {time}");
            assert!(app.is_active(&base, &given.refresh).await, "a refresh token is lost after kill {time}");
        }
        accounts.front.lead_to(vec![address]);
    }
    let took = begun.elapsed();
    load.enough.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.unwrap();
    }

    let given = ledger.given.lock().await.clone();
    all_are_good(&accounts.front.url, &app, &given).await;
    let lost = ledger.lost.load(Ordering::Relaxed);
    println!(
        "{times} kills in {took:?}, {:?} each until it was back, {} grants and refreshes kept, {lost} answers lost",
        down / u32::try_from(times).unwrap(),
        given.len()
    );
    assert!(given.len() > times && lost > 0, "{} answers arrived, {lost} were lost: no load to speak of", given.len());
    assert!(process.terminate().success());
    drop(load);
    Arc::into_inner(accounts).expect("the load has ended").finish().await;
}

/// Every token is good, and refreshing still works with each of some.
async fn all_are_good(base: &str, app: &App, given: &[Given]) {
    for some in given.chunks(32) {
        let checks: Vec<_> = some
            .iter()
            .cloned()
            .map(|given| {
                let (app, base) = (app.clone(), base.to_owned());
                tokio::spawn(async move {
                    assert!(app.is_active(&base, &given.access).await, "an access token is lost");
                    assert!(app.is_active(&base, &given.refresh).await, "a refresh token is lost");
                })
            })
            .collect();
        for check in checks {
            check.await.unwrap();
        }
        let answer: Answer = app.refresh(base, &some[0].refresh).await;
        assert_eq!(answer.unwrap().0, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_kills_lose_nothing_on_sqlite() {
    killed(Kind::Sqlite, 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_kills_lose_nothing_on_postgres() {
    killed(Kind::Postgres, 60).await;
}

/// Links that are refreshed all the time, and browsers that link anew.
const REFRESHING: usize = 4;
const LINKING: usize = 2;

/// Between two requests of one app, so that what is given can be checked in bounded time.
const PAUSE: Duration = Duration::from_millis(20);

/// A process is killed at the latest so long after it is up: by then each app has had several answers.
const LONGEST_LIFE_MS: u64 = 150;

/// Tokens that are checked after each start.
const SAMPLE: usize = 3;
