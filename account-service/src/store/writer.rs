//! SQLite's one writer: statements that wait for it at the same time are made lasting by one commit.
//!
//! A commit waits for the disk, for milliseconds; one for each statement would let a slow disk decide how many refreshes
//! there are in a second. Nobody hears of a statement before the commit that holds it is done, and each statement stands
//! for itself: one that breaks a constraint is undone alone. Whatever else goes wrong undoes the whole transaction; its
//! statements then run one by one, so that each hears only of itself.

use sqlx::error::ErrorKind;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Sqlite, SqliteConnection, SqlitePool};
use tokio::sync::{mpsc, oneshot};

use super::pool::waited_for;
use super::{ACQUIRE_TIMEOUT, begin_immediate};

/// Where statements are handed in. The writer ends when all clones of this are gone.
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    jobs: mpsc::Sender<Job>,
}

/// What a statement did.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) rows: Vec<SqliteRow>,
    pub(super) touched: u64,
}

/// What is wanted of a statement.
#[derive(Clone, Copy)]
pub(super) enum Want {
    Rows,
    Count,
}

struct Job {
    sql: &'static str,
    arguments: SqliteArguments,
    want: Want,
    done: oneshot::Sender<Result<Outcome, sqlx::Error>>,
}

impl Writer {
    /// Write through the one connection of `pool`, in turn with the transactions that take it.
    pub(super) fn start(pool: SqlitePool) -> Self {
        let (jobs, waiting) = mpsc::channel(MAX_WAITING);
        tokio::spawn(write(pool, waiting));
        Self { jobs }
    }

    /// Run one statement, as a transaction for itself as far as anybody can tell.
    pub(super) async fn run(
        &self,
        sql: &'static str,
        arguments: SqliteArguments,
        want: Want,
    ) -> Result<Outcome, sqlx::Error> {
        let (done, outcome) = oneshot::channel();
        let job = Job { sql, arguments, want, done };
        self.jobs.send_timeout(job, ACQUIRE_TIMEOUT).await.map_err(|_| sqlx::Error::PoolTimedOut)?;
        outcome.await.unwrap_or(Err(sqlx::Error::PoolClosed))
    }
}

async fn write(pool: SqlitePool, mut waiting: mpsc::Receiver<Job>) {
    let mut jobs = Vec::new();
    while waiting.recv_many(&mut jobs, MAX_TOGETHER).await > 0 {
        // Whoever has gone away does not hear of it, so it need not happen.
        jobs.retain(|job| !job.done.is_closed());
        let together = if jobs.len() > 1 { run_together(&pool, &jobs).await } else { None };
        match together {
            Some(outcomes) => {
                for (job, outcome) in jobs.drain(..).zip(outcomes) {
                    let _ = job.done.send(outcome);
                }
            }
            None => {
                // Looked at again just before each: to come so far may have taken longer than somebody waits.
                for job in jobs.drain(..).filter(|job| !job.done.is_closed()) {
                    let outcome = run_alone(&pool, &job).await;
                    let _ = job.done.send(outcome);
                }
            }
        }
    }
}

/// All in one transaction. `None` when it was undone.
async fn run_together(pool: &SqlitePool, jobs: &[Job]) -> Option<Vec<Result<Outcome, sqlx::Error>>> {
    let mut tx = begin_immediate(pool.clone()).await.ok()?;
    let mut outcomes = Vec::with_capacity(jobs.len());
    for job in jobs {
        let outcome = job.run(&mut tx).await;
        if outcome.as_ref().is_err_and(|error| !concerns_the_statement_alone(error)) {
            return None;
        }
        outcomes.push(outcome);
    }
    tx.commit().await.ok()?;
    Some(outcomes)
}

async fn run_alone(pool: &SqlitePool, job: &Job) -> Result<Outcome, sqlx::Error> {
    let mut connection = waited_for(pool).await?;
    job.run(&mut connection).await
}

impl Job {
    async fn run(&self, connection: &mut SqliteConnection) -> Result<Outcome, sqlx::Error> {
        let query = sqlx::query_with::<Sqlite, _>(self.sql, self.arguments.clone());
        Ok(match self.want {
            // To its end: a statement that is left after its first row is not committed.
            Want::Rows => Outcome { rows: query.fetch_all(connection).await?, touched: 0 },
            Want::Count => Outcome { rows: Vec::new(), touched: query.execute(connection).await?.rows_affected() },
        })
    }
}

/// After anything but a broken constraint, SQLite may have rolled the transaction back by itself.
fn concerns_the_statement_alone(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| !matches!(error.kind(), ErrorKind::Other))
}

/// More than a request every few microseconds cannot wait for a disk; who comes then is told to come back.
const MAX_WAITING: usize = 4096;
/// Bounds how long a transaction that waits for its turn has to wait.
const MAX_TOGETHER: usize = 256;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sqlx::Connection as _;

    use super::super::tests::fresh;
    use super::super::{Db, StoreError, values};
    use super::*;

    const INSERT: &str = "INSERT INTO seen_proofs (proof_hash, expires_at) VALUES ($1, $2)";
    const COUNT: &str = "SELECT COUNT(*) FROM seen_proofs";

    /// Hand in this many inserts while the writer's connection is taken, so that they wait together; what became of them.
    /// Every tenth has a hash that is there already.
    async fn pile_up(db: &Db, write: &SqlitePool, count: u8) -> Vec<Result<u64, StoreError>> {
        db.write(INSERT, values![&[0_u8; 32], 1]).await.unwrap();
        let held = write.acquire().await.unwrap();
        let insert = |n: u8| {
            let db = db.clone();
            tokio::spawn(
                async move { db.write(INSERT, values![&[if n.is_multiple_of(10) { 0 } else { n }; 32], 1]).await },
            )
        };
        let tasks: Vec<_> = (1..=count).map(insert).collect();
        tokio::task::yield_now().await;
        drop(held);
        let mut outcomes = Vec::new();
        for task in tasks {
            outcomes.push(task.await.unwrap());
        }
        outcomes
    }

    #[tokio::test]
    async fn what_waits_together_is_committed_together_and_each_stands_for_itself() {
        let (scratch, db, write) = fresh().await;
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&write).await.unwrap();
        let outcomes = pile_up(&db, &write, 100).await;
        for (n, outcome) in (1..).zip(&outcomes) {
            assert_eq!(outcome.is_ok(), n % 10 != 0, "{n}: {outcome:?}");
        }
        let (count,): (i64,) = db.optional(COUNT, values![]).await.unwrap().unwrap();
        assert_eq!(count, 91);
        // A commit writes each page that it changed. One for each statement would have written hundreds.
        let written = std::fs::metadata(scratch.0.join("accounts.db-wal")).unwrap().len();
        assert!(written < 30 * 4096, "{written} bytes");
        db.close().await;
    }

    #[tokio::test]
    async fn who_went_away_while_the_database_was_held_is_not_written() {
        let (scratch, db, write) = fresh().await;
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(scratch.0.join("accounts.db"));
        let mut other = SqliteConnection::connect_with(&options).await.unwrap();
        let held = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
        let turn = write.acquire().await.unwrap();
        let insert = |n: u8| {
            let db = db.clone();
            async move { db.write(INSERT, values![&[n; 32], 1]).await }
        };
        let (goes, stays) = (tokio::spawn(insert(1)), tokio::spawn(insert(2)));
        tokio::task::yield_now().await;
        drop(turn);
        // Both wait together for the other process, longer than one of them cares.
        tokio::time::sleep(Duration::from_millis(100)).await;
        goes.abort();
        tokio::time::sleep(Duration::from_millis(2000)).await;
        held.rollback().await.unwrap();
        stays.await.unwrap().unwrap();
        let (count,): (i64,) = db.optional(COUNT, values![]).await.unwrap().unwrap();
        assert_eq!(count, 1);
        db.close().await;
    }

    #[tokio::test]
    async fn what_fails_together_is_tried_alone_and_hears_of_itself() {
        let (_scratch, db, write) = fresh().await;
        db.write(INSERT, values![&[7_u8; 32], 1]).await.unwrap();
        // That a table is missing is nobody's broken constraint.
        let held = write.acquire().await.unwrap();
        let run = |sql: &'static str, n: u8| {
            let db = db.clone();
            tokio::spawn(async move { db.write(sql, values![&[n; 32], 1]).await })
        };
        let tasks = [run(INSERT, 1), run(INSERT, 2), run("INSERT INTO nothing VALUES ($1, $2)", 3), run(INSERT, 4)];
        tokio::task::yield_now().await;
        drop(held);
        let mut succeeded = Vec::new();
        for task in tasks {
            succeeded.push(task.await.unwrap().is_ok());
        }
        assert_eq!(succeeded, [true, true, false, true]);
        let (count,): (i64,) = db.optional(COUNT, values![]).await.unwrap().unwrap();
        assert_eq!(count, 4, "each was written once");
        db.close().await;
    }
}
