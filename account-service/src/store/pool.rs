//! The connections to the database: how many are used, and how long one is waited for.

use std::sync::LazyLock;
use std::time::Instant;

use opentelemetry::metrics::Histogram;
use sqlx::pool::PoolConnection;
use sqlx::{Database, Pool};

use super::Db;
use crate::metrics::meter;

impl Db {
    /// Connections that somebody uses, and those that wait to be used.
    pub(crate) fn connections(&self) -> (u64, u64) {
        match self {
            Self::Sqlite { read, write, .. } => {
                let (reading, writing) = (connections(read), connections(write));
                (reading.0 + writing.0, reading.1 + writing.1)
            }
            Self::Postgres(pool) => connections(pool),
        }
    }
}

fn connections<D: Database>(pool: &Pool<D>) -> (u64, u64) {
    let (all, idle) = (u64::from(pool.size()), pool.num_idle() as u64);
    (all.saturating_sub(idle), idle)
}

/// A connection, and a note of how long it took to get one.
pub(super) async fn waited_for<D: Database>(pool: &Pool<D>) -> Result<PoolConnection<D>, sqlx::Error> {
    let begun = Instant::now();
    let connection = pool.acquire().await;
    WAIT.record(begun.elapsed().as_secs_f64(), &[]);
    connection
}

/// One for the process, as databases are opened by programs that count nothing, too.
static WAIT: LazyLock<Histogram<f64>> = LazyLock::new(|| {
    meter()
        .f64_histogram("macloud.accounts.database_wait")
        .with_unit("s")
        .with_description("Until a statement that stands alone had its connection to the database")
        .with_boundaries(vec![0.0001, 0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0])
        .build()
});
