//! Refreshing with overlap: from a refresh token to the next pair, in one statement.
//!
//! Nothing is ever updated: whether a token is still good follows from its descendants, so parallel refreshes of one
//! token do not even wait for each other. The statement also tells all that the answer needs, so that it is the whole
//! refresh. Those that wait at the same time go together, and none waits for others to come: on SQLite they share a
//! commit (see [`super::writer`]), on PostgreSQL also the statement, for there a round trip costs most.

use futures_util::future::join_all;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use sqlx::postgres::PgArguments;
use sqlx::{Arguments as _, PgPool};
use tokio::sync::{mpsc, oneshot};

use super::grants::Identity;
use super::tokens::{MAX_SIBLINGS, NewPair};
use super::{ACQUIRE_TIMEOUT, Db, Result, parse_id, statements, values};

statements! {
    /// A token is refused once a successor of it ("next") was used at or before $9, which is now less the overlap.
    ROTATE = "INSERT INTO token_pairs (access_hash, refresh_hash, grant_id, parent_hash, scopes, issued_at, access_expires_at, refresh_expires_at, dpop_jkt) \
              SELECT $1, $2, old.grant_id, old.refresh_hash, COALESCE($3, g.scopes), $4, $5, $6, $11 \
              FROM token_pairs old JOIN grants g ON g.id = old.grant_id JOIN accounts a ON a.id = g.account_id \
              WHERE old.refresh_hash = $7 AND g.client_id = $8 AND old.refresh_expires_at > $4 \
              AND g.ended_at IS NULL AND a.suspended_at IS NULL \
              AND NOT EXISTS (SELECT 1 FROM token_pairs next JOIN token_pairs later ON later.parent_hash = next.refresh_hash \
                              WHERE next.parent_hash = old.refresh_hash AND later.issued_at <= $9) \
              AND (SELECT COUNT(*) FROM token_pairs sibling WHERE sibling.parent_hash = old.refresh_hash) < $10 \
              RETURNING scopes, \
              (SELECT g.account_id FROM grants g WHERE g.id = token_pairs.grant_id) AS account_id, \
              (SELECT g.signed_in_at FROM grants g WHERE g.id = token_pairs.grant_id) AS signed_in_at, \
              (SELECT a.email FROM grants g JOIN accounts a ON a.id = g.account_id WHERE g.id = token_pairs.grant_id) AS email, \
              (SELECT a.email_verified_at FROM grants g JOIN accounts a ON a.id = g.account_id WHERE g.id = token_pairs.grant_id) AS email_verified_at";
}

/// The same for many at once, which only PostgreSQL understands. Sub-selects with LIMIT stay what they are: each a look
/// into an index, however little the planner knows of the table.
const ROTATE_MANY: &str = "WITH asked AS ( \
        SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bytea[], $8::text[], $9::bigint[], $10::text[]) \
        WITH ORDINALITY AS asked (access_hash, refresh_hash, narrowed, issued_at, access_expires_at, refresh_expires_at, used, client_id, cut, dpop_jkt, place)), \
    good AS ( \
        SELECT asked.*, g.id AS grant_id, COALESCE(asked.narrowed, g.scopes) AS scopes, g.account_id, g.signed_in_at, a.email, a.email_verified_at \
        FROM asked JOIN token_pairs old ON old.refresh_hash = asked.used JOIN grants g ON g.id = old.grant_id JOIN accounts a ON a.id = g.account_id \
        WHERE g.client_id = asked.client_id AND old.refresh_expires_at > asked.issued_at \
        AND g.ended_at IS NULL AND a.suspended_at IS NULL \
        AND (SELECT 1 FROM token_pairs next JOIN token_pairs later ON later.parent_hash = next.refresh_hash \
             WHERE next.parent_hash = asked.used AND later.issued_at <= asked.cut LIMIT 1) IS NULL \
        AND (SELECT COUNT(*) FROM token_pairs sibling WHERE sibling.parent_hash = asked.used) < $11), \
    made AS ( \
        INSERT INTO token_pairs (access_hash, refresh_hash, grant_id, parent_hash, scopes, issued_at, access_expires_at, refresh_expires_at, dpop_jkt) \
        SELECT access_hash, refresh_hash, grant_id, used, scopes, issued_at, access_expires_at, refresh_expires_at, dpop_jkt FROM good) \
    SELECT place, scopes, account_id, signed_in_at, email, email_verified_at FROM good";

/// What PostgreSQL alone prepares.
pub(super) const POSTGRES_STATEMENTS: &[(&str, &str)] = &[("ROTATE_MANY", ROTATE_MANY)];

/// A refresh that is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Wish {
    /// The refresh token that was presented; it stays good.
    pub(crate) used: [u8; 32],
    pub(crate) client_id: String,
    /// What is issued.
    pub(crate) pair: NewPair,
    /// The scopes, when they are to be fewer than the grant's.
    pub(crate) narrowed: Option<String>,
    /// For how long a token stays good after a successor of it was used.
    pub(crate) overlap_seconds: i64,
}

/// What a refresh token was good for.
#[derive(Debug)]
pub(crate) struct Rotated {
    /// What the new pair may be used for.
    pub(crate) scopes: String,
    /// For the id token.
    pub(crate) identity: Identity,
}

/// Where refreshes are handed in.
#[derive(Debug)]
pub(crate) enum Rotations {
    /// One by one.
    Sqlite(Db),
    /// To a task that ends when this is gone.
    Postgres(mpsc::Sender<Job>),
}

#[derive(Debug)]
pub(crate) struct Job {
    wish: Wish,
    done: oneshot::Sender<Result<Option<Rotated>>>,
}

impl Rotations {
    pub(crate) fn start(db: &Db) -> Self {
        match db {
            Db::Sqlite { .. } => Self::Sqlite(db.clone()),
            Db::Postgres(pool) => {
                let (jobs, waiting) = mpsc::channel(MAX_WAITING);
                tokio::spawn(rotate_together(pool.clone(), waiting));
                Self::Postgres(jobs)
            }
        }
    }

    /// Issue what is wished for. `None` when the token is not good (any more): ask [`super::tokens::by_refresh`] why.
    pub(crate) async fn rotate(&self, wish: Wish) -> Result<Option<Rotated>> {
        match self {
            Self::Sqlite(db) => rotate(db, &wish).await,
            Self::Postgres(jobs) => {
                let (done, outcome) = oneshot::channel();
                let handed_in = jobs.send_timeout(Job { wish, done }, ACQUIRE_TIMEOUT).await;
                handed_in.map_err(|_| sqlx::Error::PoolTimedOut)?;
                outcome.await.unwrap_or(Err(sqlx::Error::PoolClosed.into()))
            }
        }
    }
}

async fn rotate(db: &Db, wish: &Wish) -> Result<Option<Rotated>> {
    let Wish { used, client_id, pair, narrowed, overlap_seconds } = wish;
    let row: Option<RotatedRow> = db
        .write_one(
            ROTATE,
            values![
                &pair.access_hash,
                &pair.refresh_hash,
                narrowed.as_deref(),
                pair.issued_at,
                pair.access_expires_at,
                pair.refresh_expires_at,
                used,
                client_id,
                pair.issued_at - overlap_seconds,
                MAX_SIBLINGS,
                pair.dpop_jkt.as_deref()
            ],
        )
        .await?;
    row.map(Rotated::try_from).transpose()
}

/// Take whoever waits, as long as there are others on the way at most [`AT_ONCE`] times.
async fn rotate_together(pool: PgPool, mut waiting: mpsc::Receiver<Job>) {
    let mut on_the_way = FuturesUnordered::new();
    loop {
        let mut jobs = Vec::new();
        tokio::select! {
            // Answers first: whoever has one makes room for the next.
            biased;
            Some(()) = on_the_way.next() => {}
            count = waiting.recv_many(&mut jobs, MAX_TOGETHER), if on_the_way.len() < AT_ONCE => {
                if count == 0 {
                    break;
                }
                on_the_way.push(rotate_and_answer(&pool, jobs));
            }
        }
    }
    while on_the_way.next().await.is_some() {}
}

async fn rotate_and_answer(pool: &PgPool, mut jobs: Vec<Job>) {
    // Whoever has gone away does not hear of it, so it need not happen.
    jobs.retain(|job| !job.done.is_closed());
    match rotate_many(pool, jobs.iter().map(|job| &job.wish)).await {
        Ok(outcomes) => {
            for (job, outcome) in jobs.into_iter().zip(outcomes) {
                let _ = job.done.send(outcome);
            }
        }
        Err(error) => match <[Job; 1]>::try_from(jobs) {
            Ok([job]) => drop(job.done.send(Err(error))),
            // Each hears only of itself.
            Err(jobs) => drop(join_all(jobs.into_iter().map(|job| rotate_alone(pool, job))).await),
        },
    }
}

async fn rotate_alone(pool: &PgPool, job: Job) {
    let outcome = rotate_many(pool, std::iter::once(&job.wish)).await;
    let _ = job.done.send(outcome.and_then(|mut outcomes| outcomes.pop().unwrap_or(Ok(None))));
}

/// What became of each, in the order of the wishes; none was issued when the whole fails.
async fn rotate_many<'a>(
    pool: &PgPool,
    wishes: impl Iterator<Item = &'a Wish> + Clone,
) -> Result<Vec<Result<Option<Rotated>>>> {
    let mut arguments = PgArguments::default();
    macro_rules! column {
        ($value:expr) => {{
            let column: Vec<_> = wishes.clone().map($value).collect();
            arguments.add(column).map_err(sqlx::Error::Encode)?;
        }};
    }
    column!(|wish| wish.pair.access_hash.as_slice());
    column!(|wish| wish.pair.refresh_hash.as_slice());
    column!(|wish| wish.narrowed.as_deref());
    column!(|wish| wish.pair.issued_at);
    column!(|wish| wish.pair.access_expires_at);
    column!(|wish| wish.pair.refresh_expires_at);
    column!(|wish| wish.used.as_slice());
    column!(|wish| wish.client_id.as_str());
    column!(|wish| wish.pair.issued_at - wish.overlap_seconds);
    column!(|wish| wish.pair.dpop_jkt.as_deref());
    arguments.add(MAX_SIBLINGS).map_err(sqlx::Error::Encode)?;
    let rows: Vec<PlacedRow> = sqlx::query_as_with(ROTATE_MANY, arguments).fetch_all(pool).await?;
    let mut outcomes: Vec<_> = wishes.map(|_| Ok(None)).collect();
    for PlacedRow { place, row } in rows {
        let outcome = usize::try_from(place - 1).ok().and_then(|at| outcomes.get_mut(at));
        *outcome.expect("a place is one of those that were asked about") = Rotated::try_from(row).map(Some);
    }
    Ok(outcomes)
}

#[derive(sqlx::FromRow)]
struct PlacedRow {
    /// From 1.
    place: i64,
    #[sqlx(flatten)]
    row: RotatedRow,
}

#[derive(sqlx::FromRow)]
struct RotatedRow {
    scopes: String,
    account_id: String,
    signed_in_at: i64,
    email: String,
    email_verified_at: Option<i64>,
}

impl TryFrom<RotatedRow> for Rotated {
    type Error = super::StoreError;
    fn try_from(row: RotatedRow) -> Result<Self> {
        let identity = Identity {
            account_id: parse_id(&row.account_id, "grants", "account_id")?,
            signed_in_at: row.signed_in_at,
            email: row.email,
            email_verified: row.email_verified_at.is_some(),
        };
        Ok(Self { scopes: row.scopes, identity })
    }
}

/// Beyond this, whoever comes is told to come back.
const MAX_WAITING: usize = 4096;
/// In one statement. Enough that a round trip is shared by many, few enough that none waits long for the others.
const MAX_TOGETHER: usize = 64;
/// Statements on the way at the same time: enough that the database has work while answers travel.
const AT_ONCE: usize = 4;
