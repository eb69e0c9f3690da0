//! Two account services behind one address are one: whichever a request comes to, and however many come at once.

use std::net::SocketAddr;

use macloud_standalone::demo::browser::Browser;
use serde_json::Value;

use crate::authorities::{Accounts, Answer, App, Kind, text};
use crate::processes::Running;

/// Two processes, the address of each, and her browser, which comes to both in turn.
struct Nodes {
    accounts: Accounts,
    bases: [String; 2],
    processes: [Running; 2],
    browser: Browser,
}

impl Nodes {
    async fn with(accounts: Accounts, kind: Kind) -> Self {
        let start = || match kind {
            Kind::Sqlite => accounts.start_beside_on_sqlite(),
            Kind::Postgres => accounts.start(),
        };
        let ((one, first), (other, second)) = (start(), start());
        let nodes = [first, second];
        accounts.front.lead_to(nodes.to_vec());
        let browser = accounts.browser().await;
        let bases = nodes.map(|address: SocketAddr| format!("http://{address}"));
        Self { accounts, bases, processes: [one, other], browser }
    }

    async fn link(&mut self, app: &App, base: usize) -> Value {
        let code = self.accounts.consent(&mut self.browser, app).await.unwrap();
        ok(app.redeem(&self.bases[base], &code).await)
    }

    /// So many requests at once, to both in turn.
    async fn at_once<F: Future<Output = Answer> + Send + 'static>(
        &self,
        count: usize,
        request: impl Fn(String) -> F,
    ) -> Vec<(u16, Value)> {
        let tasks: Vec<_> = (0..count).map(|n| tokio::spawn(request(self.bases[n % 2].clone()))).collect();
        let mut answers = Vec::new();
        for task in tasks {
            answers.push(task.await.unwrap().unwrap());
        }
        answers
    }
}

fn ok(answer: Answer) -> Value {
    let (status, answer) = answer.unwrap();
    assert_eq!(status, 200, "{answer}");
    answer
}

/// How many won; the others must have been told that the grant is spent.
fn winners(answers: &[(u16, Value)]) -> usize {
    for (status, answer) in answers {
        assert!(*status == 200 || (*status == 400 && answer["error"] == "invalid_grant"), "{status} {answer}");
    }
    answers.iter().filter(|(status, _)| *status == 200).count()
}

async fn everything(kind: Kind) {
    let Some(accounts) = Accounts::new(kind).await else { return };
    let (alexa, public) = (accounts.app("alexa", &[]), accounts.app("public", &["--public"]));
    let mut nodes = Nodes::with(accounts, kind).await;

    // A code from one is redeemed at the other, and refreshing goes back and forth.
    for turn in 0..2 {
        let mut tokens = nodes.link(&alexa, turn).await;
        for step in 0..6 {
            tokens = ok(alexa.refresh(&nodes.bases[(turn + step) % 2], &text(&tokens, "refresh_token")).await);
            for base in &nodes.bases {
                assert!(alexa.is_active(base, &text(&tokens, "access_token")).await);
            }
        }
    }

    for round in 0..6 {
        let code = nodes.accounts.consent(&mut nodes.browser, &alexa).await.unwrap();
        let answers = nodes
            .at_once(20, |base| {
                let (alexa, code) = (alexa.clone(), code.clone());
                async move { alexa.redeem(&base, &code).await }
            })
            .await;
        assert_eq!(winners(&answers), 1, "round {round}");
    }

    let tokens = nodes.link(&alexa, 0).await;
    let shared = text(&tokens, "refresh_token");
    let answers = nodes
        .at_once(50, |base| {
            let (alexa, shared) = (alexa.clone(), shared.clone());
            async move { alexa.refresh(&base, &shared).await }
        })
        .await;
    assert_eq!(winners(&answers), 50);
    for (turn, (_, answer)) in answers.iter().enumerate() {
        assert!(alexa.is_active(&nodes.bases[turn % 2], &text(answer, "access_token")).await);
        ok(alexa.refresh(&nodes.bases[(turn + 1) % 2], &text(answer, "refresh_token")).await);
    }

    for round in 0..4 {
        let tokens = nodes.link(&public, round % 2).await;
        let shared = text(&tokens, "refresh_token");
        let answers = nodes
            .at_once(20, |base| {
                let (public, shared) = (public.clone(), shared.clone());
                async move { public.refresh(&base, &shared).await }
            })
            .await;
        assert_eq!(winners(&answers), 1, "round {round}");
    }

    for process in nodes.processes {
        assert!(process.terminate().success());
    }
    nodes.accounts.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_account_services_on_postgres_are_one() {
    everything(Kind::Postgres).await;
}

/// `ma-cloud serve` refuses a second one on its data directory (see `programs`); the account service's own program does
/// not need to.
#[tokio::test(flavor = "multi_thread")]
async fn two_account_services_on_one_sqlite_file_are_one() {
    everything(Kind::Sqlite).await;
}
