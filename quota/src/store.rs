//! The database: one writer, many readers.
//!
//! SQLite lets one transaction write at a time, so the service has one connection that writes, and
//! whoever needs it waits in line; readers see the last commit and never wait. Every commit is on
//! disk before it is answered. The SQL keeps to what PostgreSQL understands as well.

use std::{path::Path, time::Duration};

use sqlx::{
    Pool, Transaction,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

/// The kind of database.
pub type Db = sqlx::Sqlite;
/// A transaction that may write.
pub type Tx = Transaction<'static, Db>;
/// What the database says when it cannot.
pub type StoreError = sqlx::Error;

/// The database, open.
#[derive(Clone, Debug)]
pub struct Store {
    write: Pool<Db>,
    read: Pool<Db>,
}

impl Store {
    /// Opens the file, makes it if there is none, and brings its tables up to date.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be used, or a newer version of the service made it.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY);
        let write = SqlitePoolOptions::new().max_connections(1).acquire_timeout(BUSY);
        let write = write.connect_with(options.clone()).await?;
        migrate(&write).await?;
        let read = SqlitePoolOptions::new().max_connections(READERS);
        let read = read.connect_lazy_with(options.read_only(true));
        Ok(Self { write, read })
    }

    /// Begins to write.
    ///
    /// # Errors
    ///
    /// Returns an error if the database cannot be written to, or the wait was too long.
    pub async fn begin(&self) -> Result<Tx, StoreError> {
        self.write.begin_with("BEGIN IMMEDIATE").await
    }

    /// Connections that only read.
    #[must_use]
    pub const fn reader(&self) -> &Pool<Db> {
        &self.read
    }

    /// Finds out whether the database can be read and written.
    ///
    /// # Errors
    ///
    /// Returns an error if it cannot.
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1").execute(&self.read).await?;
        self.begin().await?.rollback().await
    }

    /// Waits for what is under way, and closes the file.
    pub async fn close(&self) {
        self.read.close().await;
        self.write.close().await;
    }
}

/// Runs what of [`MIGRATIONS`] has not been run.
async fn migrate(pool: &Pool<Db>) -> Result<(), StoreError> {
    let mut tx = pool.begin_with("BEGIN IMMEDIATE").await?;
    sqlx::raw_sql("CREATE TABLE IF NOT EXISTS migration (version BIGINT NOT NULL PRIMARY KEY)")
        .execute(&mut *tx)
        .await?;
    let done: i64 = sqlx::query_scalar("SELECT COALESCE(MAX(version), 0) FROM migration")
        .fetch_one(&mut *tx)
        .await?;
    let mut newest: i64 = 0;
    for sql in MIGRATIONS {
        newest = newest.saturating_add(1);
        if newest > done {
            sqlx::raw_sql(*sql).execute(&mut *tx).await?;
            let insert = sqlx::query("INSERT INTO migration (version) VALUES ($1)").bind(newest);
            insert.execute(&mut *tx).await?;
        }
    }
    if done > newest {
        let why = format!("the database is of version {done}, this service knows {newest}");
        return Err(StoreError::Configuration(why.into()));
    }
    tx.commit().await
}

/// What makes the tables, in order. Only ever appended to.
const MIGRATIONS: &[&str] = &[include_str!("../migrations/0001.sql")];
/// How long to wait for the one who writes.
const BUSY: Duration = Duration::from_secs(5);
/// How many may read at a time.
const READERS: u32 = 4;

/// An amount as a column holds it. What is too large stops at the largest.
#[must_use]
pub fn column(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}

/// A column as an amount. No amount is ever written below zero.
#[must_use]
pub fn amount(column: i64) -> u64 {
    u64::try_from(column).unwrap_or(0)
}
