//! The one place that speaks SQL: SQLite (embedded) and PostgreSQL, one text for both.
//!
//! Each file below is one aggregate: its statements, its private rows, and functions that give domain values. A
//! statement keeps to what both databases understand (`$1`, `RETURNING`, `ON CONFLICT`, integer times in seconds since
//! 1970), and is declared through [`statements!`], so that a test can prepare every one of them on both databases.
//!
//! What must happen at most once (redeeming a code, rotating a token, deciding or redeeming a pairing) is one
//! conditional statement: never read, then write. Transactions are only for what belongs together, hold no lock while
//! waiting for anything but the database, and can be repeated from their start.

pub(crate) mod accounts;
pub(crate) mod activity;
pub(crate) mod audit;
pub(crate) mod billing;
pub(crate) mod changes;
pub(crate) mod clients;
pub(crate) mod codes;
pub(crate) mod event_grants;
pub(crate) mod export;
pub(crate) mod grants;
pub(crate) mod home_assistant;
pub(crate) mod housekeeping;
pub(crate) mod identities;
pub(crate) mod instances;
pub(crate) mod invitations;
pub(crate) mod known_browsers;
pub(crate) mod link_attempts;
pub(crate) mod mail_challenges;
pub(crate) mod mailed_codes;
pub(crate) mod members;
pub(crate) mod operator_tokens;
pub(crate) mod operators;
pub(crate) mod pairings;
pub(crate) mod passkeys;
pub(crate) mod plans;
mod pool;
pub(crate) mod pushed_requests;
pub(crate) mod restores;
pub(crate) mod rotations;
pub(crate) mod sealed;
pub(crate) mod second_factors;
pub(crate) mod seen_proofs;
pub(crate) mod signing_keys;
pub(crate) mod tokens;
pub(crate) mod uses;
pub(crate) mod web_sessions;
mod writer;

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::postgres::{PgArguments, PgConnectOptions, PgPoolOptions, PgRow};
use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use sqlx::{
    Arguments as _, Connection as _, Executor as _, PgConnection, PgPool, Postgres, SqlSafeStr as _, Sqlite,
    SqliteConnection, SqlitePool, Transaction,
};

use self::pool::waited_for;
use self::writer::{Want, Writer};

/// Which database to use.
#[derive(Clone)]
pub enum DatabaseSettings {
    /// The embedded one, in this file.
    Sqlite(PathBuf),
    /// A server.
    Postgres {
        /// `postgres://user:password@host/database`.
        url: String,
        /// Connections this process may hold.
        max_connections: u32,
    },
}

impl std::fmt::Debug for DatabaseSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sqlite(path) => f.debug_tuple("Sqlite").field(path).finish(),
            // The URL may hold a password.
            Self::Postgres { max_connections, .. } => {
                f.debug_struct("Postgres").field("max_connections", max_connections).finish_non_exhaustive()
            }
        }
    }
}

/// Why the store could not do what was asked. Texts name places and codes, never values.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database is away, overloaded, or refused. Whoever asks should try again later.
    #[error("the database did not answer: {}", describe(.0))]
    Database(#[source] sqlx::Error),
    /// Nothing came back, not even an error.
    #[error("the database did not answer in time")]
    Silent,
    /// A row holds what the program never writes.
    #[error("{table}.{column} holds a value that cannot be")]
    Inconsistent {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
    },
    /// The schema could not be brought up to date.
    #[error("the database could not be migrated: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// The embedded database's directory could not be prepared.
    #[error("the directory of the database cannot be used: {0}")]
    Directory(#[from] std::io::Error),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl StoreError {
    /// Whether something of the kind is there already.
    pub(crate) fn is_conflict(&self) -> bool {
        matches!(self, Self::Database(sqlx::Error::Database(inner)) if inner.is_unique_violation())
    }

    /// Whether what a row was to belong to is not there any more.
    pub(crate) fn is_orphaned(&self) -> bool {
        matches!(self, Self::Database(sqlx::Error::Database(inner)) if inner.is_foreign_key_violation())
    }
}

/// A database's own message may quote values; its code does not.
fn describe(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(inner) => in_words(&inner.code().unwrap_or_default()),
        sqlx::Error::PoolTimedOut => "no connection became free in time".into(),
        sqlx::Error::PoolClosed => "the connections are closed".into(),
        sqlx::Error::Io(inner) => format!("connection: {}", inner.kind()),
        sqlx::Error::ColumnDecode { index, .. } => format!("column {index} has an unexpected type"),
        _ => "other".into(),
    }
}

/// The codes that an operator can do something about, in words. PostgreSQL's have five characters; SQLite's are numbers
/// with the kind in the lowest byte.
fn in_words(code: &str) -> String {
    let kind = code.parse::<u32>().map_or(0, |code| code & 0xff);
    let words = match (code.len(), code, kind) {
        (5, "53100", _) => "the disk of the database server is full",
        (5, "25006", _) => "the database server is read-only",
        (5, "53300", _) => "the database server has no connection left",
        (5, "55P03", _) => "another process holds what is needed",
        (5, "57014", _) => "the database server took too long",
        (..5, _, 13) => "the disk is full",
        (..5, _, 8) => "the database file, or the disk it is on, is read-only",
        (..5, _, 10) => "the disk failed to read or write",
        (..5, _, 11 | 26) => "the database file is damaged",
        (..5, _, 14) => "the database file cannot be opened",
        (..5, _, 5 | 6) => "another process holds the database",
        _ => return format!("code {code}"),
    };
    format!("{words} (code {code})")
}

/// An open database.
#[derive(Clone, Debug)]
pub(crate) enum Db {
    /// One connection writes, several read: SQLite has one writer anyway, and waiting for it in our own queue is fair.
    /// Single statements go through `writer`, transactions take the connection of `write` for themselves.
    Sqlite { read: SqlitePool, write: SqlitePool, writer: Writer },
    /// A pool.
    Postgres(PgPool),
}

/// A transaction that writes. Dropping it undoes it.
pub(crate) struct Tx {
    open: Open,
    /// What others will hear of when it is committed, and when it happened.
    changes: Vec<(changes::Subject, i64)>,
}

enum Open {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

/// A value for a placeholder.
#[derive(Clone, Copy)]
pub(crate) enum Value<'a> {
    Text(Option<&'a str>),
    Number(Option<i64>),
    Bytes(Option<&'a [u8]>),
    Flag(bool),
}

/// What both databases can decode a row into.
pub(crate) trait Row:
    for<'r> sqlx::FromRow<'r, SqliteRow> + for<'r> sqlx::FromRow<'r, PgRow> + Send + Unpin
{
}

impl<T> Row for T where T: for<'r> sqlx::FromRow<'r, SqliteRow> + for<'r> sqlx::FromRow<'r, PgRow> + Send + Unpin {}

/// Declares statements as constants and lists them in `STATEMENTS`, so that none escapes the test that prepares all.
macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $sql:literal;)*) => {
        $($(#[$doc])* const $name: &str = $sql;)*
        /// Every statement of this file, by name.
        pub(super) const STATEMENTS: &[(&str, &str)] = &[$((stringify!($name), $name)),*];
    };
}
pub(crate) use statements;

/// `values![a, b]`: the values of `$1`, `$2`, …
macro_rules! values {
    ($($value:expr),* $(,)?) => { &[$(crate::store::Value::from($value)),*] };
}
pub(crate) use values;

macro_rules! bind {
    ($arguments:ty, $values:expr) => {{
        let mut arguments = <$arguments>::default();
        for value in $values {
            match *value {
                Value::Text(text) => arguments.add(text),
                Value::Number(number) => arguments.add(number),
                Value::Bytes(bytes) => arguments.add(bytes),
                Value::Flag(flag) => arguments.add(flag),
            }
            .map_err(sqlx::Error::Encode)?;
        }
        arguments
    }};
}

/// One body for both databases. `$pool` is what executes; `$query` is the bound statement.
macro_rules! run {
    ($self:expr, $sqlite:pat => $lite:expr, $postgres:pat => $pg:expr, $kind:ident $(::<$row:ty>)?, $sql:expr, $values:expr, $fetch:ident) => {
        match $self {
            $sqlite => sqlx::$kind::<Sqlite, $($row,)? _>($sql, bind!(SqliteArguments, $values)).$fetch($lite).await?,
            $postgres => sqlx::$kind::<Postgres, $($row,)? _>($sql, bind!(PgArguments, $values)).$fetch($pg).await?,
        }
    };
}

type Result<T, E = StoreError> = std::result::Result<T, E>;

impl Db {
    /// Open, create if need be, and bring the schema up to date.
    pub(crate) async fn open(settings: &DatabaseSettings) -> Result<Self> {
        match settings {
            DatabaseSettings::Sqlite(path) => Self::open_sqlite(path).await,
            DatabaseSettings::Postgres { url, max_connections } => {
                let options: PgConnectOptions = url.parse()?;
                // Without the patience of the others: a migration, or waiting for a process that migrates, takes its time.
                // That the table of migrations is there already is nobody's news.
                let quiet = options.clone().options([("client_min_messages", "warning")]);
                let mut migrating = PgConnection::connect_with(&quiet).await?;
                migrator(POSTGRES_MIGRATIONS).run(&mut migrating).await?;
                migrating.close().await?;
                let pool = PgPoolOptions::new()
                    .max_connections(*max_connections)
                    .acquire_timeout(ACQUIRE_TIMEOUT)
                    // A round trip per use that a broken connection's own error makes unnecessary.
                    .test_before_acquire(false)
                    .connect_with(options.options(POSTGRES_OPTIONS))
                    .await?;
                Ok(Self::Postgres(pool))
            }
        }
    }

    async fn open_sqlite(path: &Path) -> Result<Self> {
        let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::create_dir_all(directory)?;
        let turn = turn_to_migrate(std::fs::File::open(directory)?).await?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // A rotation that a power cut undoes would leave Alexa with a token that we never issued.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(2));
        let write = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_with(options.clone())
            .await?;
        let read = SqlitePoolOptions::new()
            .max_connections(4)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_with(options.read_only(true))
            .await?;
        migrator(SQLITE_MIGRATIONS).run(&write).await?;
        drop(turn);
        let writer = Writer::start(write.clone());
        Ok(Self::Sqlite { read, write, writer })
    }

    /// Read all rows.
    pub(crate) async fn rows<R: Row>(&self, sql: &'static str, values: &[Value<'_>]) -> Result<Vec<R>> {
        Ok(run!(self, Self::Sqlite { read, .. } => &mut *waited_for(read).await?,
            Self::Postgres(pool) => &mut *waited_for(pool).await?,
            query_as_with::<R>, sql, values, fetch_all))
    }

    /// Read at most one row.
    pub(crate) async fn optional<R: Row>(&self, sql: &'static str, values: &[Value<'_>]) -> Result<Option<R>> {
        Ok(run!(self, Self::Sqlite { read, .. } => &mut *waited_for(read).await?,
            Self::Postgres(pool) => &mut *waited_for(pool).await?,
            query_as_with::<R>, sql, values, fetch_optional))
    }

    /// One statement that writes, as its own transaction; at most one row comes back.
    pub(crate) async fn write_one<R: Row>(&self, sql: &'static str, values: &[Value<'_>]) -> Result<Option<R>> {
        match self {
            Self::Sqlite { writer, .. } => {
                let outcome = writer.run(sql, bind!(SqliteArguments, values), Want::Rows).await?;
                Ok(outcome.rows.first().map(R::from_row).transpose()?)
            }
            Self::Postgres(pool) => {
                // To its end: a statement that is left after its first row is not committed.
                let mut connection = waited_for(pool).await?;
                let rows: Vec<R> = sqlx::query_as_with::<Postgres, R, _>(sql, bind!(PgArguments, values))
                    .fetch_all(&mut *connection)
                    .await?;
                Ok(rows.into_iter().next())
            }
        }
    }

    /// One statement that writes, as its own transaction; how many rows it touched.
    pub(crate) async fn write(&self, sql: &'static str, values: &[Value<'_>]) -> Result<u64> {
        Ok(match self {
            Self::Sqlite { writer, .. } => writer.run(sql, bind!(SqliteArguments, values), Want::Count).await?.touched,
            Self::Postgres(pool) => {
                let mut connection = waited_for(pool).await?;
                let query = sqlx::query_with::<Postgres, _>(sql, bind!(PgArguments, values));
                query.execute(&mut *connection).await?.rows_affected()
            }
        })
    }

    /// Begin a transaction that writes.
    pub(crate) async fn begin(&self) -> Result<Tx> {
        let open = match self.clone() {
            Self::Sqlite { write, .. } => Open::Sqlite(to_its_end(begin_immediate(write)).await?),
            Self::Postgres(pool) => Open::Postgres(to_its_end(async move { pool.begin().await }).await?),
        };
        Ok(Tx { open, changes: Vec::new() })
    }

    /// Whether an embedded database finds nothing wrong with itself. PostgreSQL looks after its own.
    pub(crate) async fn is_whole(&self) -> Result<bool> {
        let Self::Sqlite { write, .. } = self else { return Ok(true) };
        let (verdict,): (String,) = sqlx::query_as::<Sqlite, _>("PRAGMA integrity_check(1)").fetch_one(write).await?;
        let orphans = sqlx::query::<Sqlite>("PRAGMA foreign_key_check").fetch_all(write).await?;
        Ok(verdict == "ok" && orphans.is_empty())
    }

    /// Let go of all connections.
    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite { read, write, .. } => {
                read.close().await;
                write.close().await;
            }
            Self::Postgres(pool) => pool.close().await,
        }
    }

    /// Prepare every statement; the name and error of each that cannot be.
    pub(crate) async fn prepare_all(&self) -> Vec<(&'static str, String)> {
        let mut failures = Vec::new();
        let own: &[_] = if let Self::Postgres(_) = self { rotations::POSTGRES_STATEMENTS } else { &[] };
        for &(name, sql) in STATEMENTS.iter().flat_map(|list| list.iter()).chain(own) {
            let outcome = match self {
                Self::Sqlite { write, .. } => write.prepare(sql.into_sql_str()).await.map(drop),
                Self::Postgres(pool) => pool.prepare(sql.into_sql_str()).await.map(drop),
            };
            if let Err(error) = outcome {
                failures.push((name, error.to_string()));
            }
        }
        failures
    }

    /// Every table and column, sorted: the two databases must agree.
    pub(crate) async fn columns(&self) -> Result<Vec<(String, String)>> {
        let sql = match self {
            Self::Sqlite { .. } => SQLITE_COLUMNS,
            Self::Postgres(_) => POSTGRES_COLUMNS,
        };
        let mut columns: Vec<(String, String)> = self.rows(sql, values![]).await?;
        columns.sort();
        Ok(columns)
    }
}

/// Copy an embedded database as it is at one moment to `copy`, an empty file or none. Works beside a service that writes to it,
/// and keeps nobody waiting.
///
/// # Errors
/// The database's, such as a disk that is full.
pub async fn snapshot(database: &Path, copy: &Path) -> Result<()> {
    let unusable = || std::io::Error::new(std::io::ErrorKind::InvalidInput, "its name is not UTF-8");
    let copy = copy.to_str().ok_or_else(unusable)?.to_owned();
    let options = SqliteConnectOptions::new().filename(database).busy_timeout(Duration::from_secs(2));
    let mut connection = SqliteConnection::connect_with(&options).await?;
    sqlx::query::<Sqlite>("VACUUM INTO $1").bind(copy).execute(&mut connection).await?;
    connection.close().await?;
    Ok(())
}

impl Tx {
    /// All rows.
    pub(crate) async fn rows<R: Row>(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<Vec<R>> {
        Ok(run!(&mut self.open, Open::Sqlite(tx) => &mut **tx, Open::Postgres(tx) => &mut **tx,
            query_as_with::<R>, sql, values, fetch_all))
    }

    /// At most one row.
    pub(crate) async fn optional<R: Row>(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<Option<R>> {
        Ok(self.rows(sql, values).await?.into_iter().next())
    }

    /// How many rows were touched.
    pub(crate) async fn write(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<u64> {
        Ok(match &mut self.open {
            Open::Sqlite(tx) => sqlx::query_with::<Sqlite, _>(sql, bind!(SqliteArguments, values))
                .execute(&mut **tx)
                .await?
                .rows_affected(),
            Open::Postgres(tx) => sqlx::query_with::<Postgres, _>(sql, bind!(PgArguments, values))
                .execute(&mut **tx)
                .await?
                .rows_affected(),
        })
    }

    /// Make it last, and with it the changes that it noted.
    pub(crate) async fn commit(mut self) -> Result<()> {
        changes::write_noted(&mut self).await?;
        match self.open {
            Open::Sqlite(tx) => to_its_end(tx.commit()).await?,
            Open::Postgres(tx) => to_its_end(tx.commit()).await?,
        }
        Ok(())
    }

    /// Whether others will hear of it.
    pub(crate) fn tells(&self) -> bool {
        !self.changes.is_empty()
    }
}

/// Begin or end a transaction even if whoever waits for it goes away. Cut off in between, the driver does not count what the
/// database has begun, and lends out a connection on which nothing that is written is ever committed.
async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, sqlx::Error>> + Send + 'static,
) -> Result<T, sqlx::Error> {
    tokio::spawn(work).await.unwrap_or(Err(sqlx::Error::WorkerCrashed))
}

/// IMMEDIATE: a transaction that begins by reading could otherwise fail when it comes to write.
async fn begin_immediate(write: SqlitePool) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
    match write.begin_with(BEGIN_IMMEDIATE).await {
        // SQLite undid the last transaction by itself, as it does when the disk is full, and the driver counts it still.
        // Another connection knows nothing of that.
        Err(sqlx::Error::InvalidSavePointStatement) => {
            write.acquire().await?.close().await?;
            write.begin_with(BEGIN_IMMEDIATE).await
        }
        begun => begun,
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Some(text))
    }
}
impl<'a> From<&'a String> for Value<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(Some(text))
    }
}
impl<'a> From<Option<&'a str>> for Value<'a> {
    fn from(text: Option<&'a str>) -> Self {
        Self::Text(text)
    }
}
impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Number(Some(number))
    }
}
impl From<Option<i64>> for Value<'_> {
    fn from(number: Option<i64>) -> Self {
        Self::Number(number)
    }
}
impl From<bool> for Value<'_> {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}
impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Bytes(Some(bytes))
    }
}
impl<'a> From<&'a Vec<u8>> for Value<'a> {
    fn from(bytes: &'a Vec<u8>) -> Self {
        Self::Bytes(Some(bytes))
    }
}
impl<'a> From<Option<&'a [u8]>> for Value<'a> {
    fn from(bytes: Option<&'a [u8]>) -> Self {
        Self::Bytes(bytes)
    }
}
impl<'a, const N: usize> From<&'a [u8; N]> for Value<'a> {
    fn from(bytes: &'a [u8; N]) -> Self {
        Self::Bytes(Some(bytes))
    }
}

/// Text of a column that only ever holds one kind of id.
pub(crate) fn parse_id<T: std::str::FromStr>(text: &str, table: &'static str, column: &'static str) -> Result<T> {
    text.parse().map_err(|_| StoreError::Inconsistent { table, column })
}

/// Bytes of a column that only ever holds this many.
pub(crate) fn parse_bytes<const N: usize>(bytes: &[u8], table: &'static str, column: &'static str) -> Result<[u8; N]> {
    bytes.try_into().map_err(|_| StoreError::Inconsistent { table, column })
}

/// Wait until nobody else migrates in this directory; until it is dropped, nobody else begins. PostgreSQL has a lock for that, SQLite none,
/// and an operator's command often comes while a service that was just started makes the same tables.
async fn turn_to_migrate(directory: std::fs::File) -> Result<std::fs::File> {
    let locked = tokio::task::spawn_blocking(move || directory.lock().map(|()| directory));
    Ok(locked.await.map_err(std::io::Error::other)??)
}

fn migrator(migrations: &[(i64, &'static str, &'static str)]) -> Migrator {
    let migrations = migrations.iter().map(|&(version, name, sql)| {
        Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    });
    let mut migrator = Migrator::with_migrations(migrations.collect());
    // While the next version is rolled out, this one may have to start once more on what that has made of the database.
    migrator.set_ignore_missing(true);
    migrator
}

const BEGIN_IMMEDIATE: &str = "BEGIN IMMEDIATE";

/// How long a request waits for a connection before it is told to come back.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);

/// What every connection to PostgreSQL asks for.
const POSTGRES_OPTIONS: [(&str, &str); 4] = [
    // A server that does not get on with a statement is as good as one that is away; and a process that stops in the middle
    // of a transaction must not keep its locks from all others.
    ("statement_timeout", "10s"),
    ("lock_timeout", "2s"),
    ("idle_in_transaction_session_timeout", "10s"),
    // Plans are kept for as long as a connection lives. One that was made while its table was small would go on reading
    // all of it, when an index leads to the row.
    ("enable_seqscan", "off"),
];

/// A migration is never edited once it was released; both lists grow together.
macro_rules! migrations {
    ($directory:literal, $($version:literal $name:literal)*) => {
        &[$((number($version), $name, include_str!(concat!("../migrations/", $directory, "/", $version, "_", $name, ".sql")))),*]
    };
}
macro_rules! all_migrations {
    ($directory:literal) => {
        migrations!($directory,
            "0001" "first"
            "0002" "pushed_requests"
            "0003" "logout"
            "0004" "second_factor"
            "0005" "activity"
            "0006" "mail"
            "0010" "mail_challenges"
            "0011" "ways_to_sign_in"
            "0012" "home_assistant"
            "0020" "members"
            "0021" "new_hardware"
            "0030" "uses"
            "0031" "plans"
            "0032" "link_attempts"
            "0040" "client_authentication"
            "0041" "audit"
            "0042" "hash_keys"
            "0050" "housekeeping"
            "0060" "billing_counter"
            "0070" "known_browsers"
            "0080" "restores"
            "0090" "skill_customers"
        )
    };
}
/// The number that a migration's file name begins with.
const fn number(digits: &str) -> i64 {
    let (mut number, mut at) = (0, 0);
    while at < digits.len() {
        number = number * 10 + (digits.as_bytes()[at] - b'0') as i64;
        at += 1;
    }
    number
}
const SQLITE_MIGRATIONS: &[(i64, &str, &str)] = all_migrations!("sqlite");
const POSTGRES_MIGRATIONS: &[(i64, &str, &str)] = all_migrations!("postgres");

const STATEMENTS: &[&[(&str, &str)]] = &[
    accounts::STATEMENTS,
    activity::STATEMENTS,
    audit::STATEMENTS,
    billing::STATEMENTS,
    changes::STATEMENTS,
    clients::STATEMENTS,
    codes::STATEMENTS,
    event_grants::STATEMENTS,
    export::STATEMENTS,
    grants::STATEMENTS,
    home_assistant::STATEMENTS,
    housekeeping::STATEMENTS,
    identities::STATEMENTS,
    instances::STATEMENTS,
    invitations::STATEMENTS,
    known_browsers::STATEMENTS,
    link_attempts::STATEMENTS,
    mail_challenges::STATEMENTS,
    mailed_codes::STATEMENTS,
    members::STATEMENTS,
    operator_tokens::STATEMENTS,
    operators::STATEMENTS,
    pairings::STATEMENTS,
    passkeys::STATEMENTS,
    plans::STATEMENTS,
    pushed_requests::STATEMENTS,
    restores::STATEMENTS,
    rotations::STATEMENTS,
    sealed::STATEMENTS,
    second_factors::STATEMENTS,
    seen_proofs::STATEMENTS,
    signing_keys::STATEMENTS,
    tokens::STATEMENTS,
    uses::STATEMENTS,
    web_sessions::STATEMENTS,
];

const SQLITE_COLUMNS: &str = "SELECT m.name, c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c \
     WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' AND m.name <> '_sqlx_migrations'";
const POSTGRES_COLUMNS: &str = "SELECT table_name::text, column_name::text FROM information_schema.columns \
     WHERE table_schema = 'public' AND table_name <> '_sqlx_migrations'";

#[cfg(test)]
mod tests {
    use sqlx::AssertSqlSafe;

    use super::*;

    pub(super) struct Scratch(pub(super) PathBuf);

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    pub(super) async fn fresh() -> (Scratch, Db, SqlitePool) {
        let name: [u8; 8] = macloud_service_kit::random::bytes();
        let directory = std::env::temp_dir().join(format!("macloud-store-{:016x}", u64::from_be_bytes(name)));
        let db = Db::open(&DatabaseSettings::Sqlite(directory.join("accounts.db"))).await.unwrap();
        let Db::Sqlite { write, .. } = &db else { panic!("not what was opened") };
        let write = write.clone();
        (Scratch(directory), db, write)
    }

    #[tokio::test]
    async fn a_database_that_can_only_be_read_is_not_ready() {
        let (_scratch, db, write) = fresh().await;
        changes::rewrite(&db).await.unwrap();
        sqlx::query("PRAGMA query_only = 1").execute(&write).await.unwrap();
        changes::last(&db).await.unwrap();
        let error = changes::rewrite(&db).await.unwrap_err();
        assert!(error.to_string().contains("read-only (code 8)"), "{error}");
        db.close().await;
    }

    #[tokio::test]
    async fn several_processes_can_make_one_database_at_once() {
        let (scratch, db, _) = fresh().await;
        db.close().await;
        for round in 0..8 {
            let settings = DatabaseSettings::Sqlite(scratch.0.join(format!("{round}.db")));
            let (one, other) = tokio::join!(Db::open(&settings), Db::open(&settings));
            one.unwrap().close().await;
            other.unwrap().close().await;
        }
    }

    #[tokio::test]
    async fn a_transaction_that_sqlite_undid_by_itself_is_the_last_one_to_fail() {
        let (_scratch, db, _) = fresh().await;
        let mut undone = db.begin().await.unwrap();
        undone.write("ROLLBACK", values![]).await.unwrap();
        assert!(undone.commit().await.is_err());
        for _ in 0..2 {
            let mut tx = db.begin().await.unwrap();
            tx.write("INSERT INTO seen_proofs (proof_hash, expires_at) VALUES (randomblob(32), 1)", values![])
                .await
                .unwrap();
            tx.commit().await.unwrap();
        }
        changes::rewrite(&db).await.unwrap();
        db.close().await;
    }

    #[tokio::test]
    async fn a_full_disk_is_called_that() {
        let (_scratch, db, write) = fresh().await;
        sqlx::query("PRAGMA max_page_count = 1").execute(&write).await.unwrap();
        let filler = AssertSqlSafe("CREATE TABLE filler (bytes BLOB)".to_owned());
        let error = StoreError::from(sqlx::query(filler).execute(&write).await.unwrap_err());
        assert!(error.to_string().contains("the disk is full (code 13)"), "{error}");
        db.close().await;
    }

    #[test]
    fn codes_of_both_databases_are_told_apart() {
        for (code, words) in [
            ("13", "disk is full"),
            ("1032", "read-only"),
            ("778", "failed to read or write"),
            ("53100", "server is full"),
            ("2067", "code 2067"),
            ("23505", "code 23505"),
            ("", "code "),
        ] {
            assert!(in_words(code).contains(words), "{code}");
        }
    }
}
