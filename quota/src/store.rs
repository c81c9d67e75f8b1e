//! The database: SQLite, a file with nothing to install, or PostgreSQL, for several replicas.
//!
//! SQLite lets one transaction write at a time, so there is one connection that writes, and whoever
//! needs it waits in line; readers see the last commit and never wait. PostgreSQL lets many write:
//! each locks the rows that it will change before it reads them, in an order that is the same for
//! all (`docs/quota.md`, "Several replicas"). Every commit is on disk before it is answered. Both
//! take the same SQL; where they differ, [`Kind`] says how.

use std::{fmt, fmt::Write as _, path::PathBuf, str::FromStr, time::Duration};

use sqlx::{
    AnyConnection, Connection as _, Executor as _, Pool, Transaction,
    any::{AnyConnectOptions, AnyPoolOptions},
};

/// The kind of database, as statements see it.
pub type Db = sqlx::Any;
/// A connection.
pub type Connection = AnyConnection;
/// A row of an answer.
pub type Record = sqlx::any::AnyRow;
/// A transaction that may write.
pub type Tx = Transaction<'static, Db>;
/// What the database says when it cannot.
pub type StoreError = sqlx::Error;

/// Where the database is.
#[derive(Clone, PartialEq, Eq)]
pub enum Place {
    /// A file of SQLite's; made if there is none.
    File(PathBuf),
    /// The address of a database of PostgreSQL's. It may hold a password.
    Server(String),
}

/// What databases do each in its own way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One file, one writer.
    Sqlite,
    /// A server, many writers.
    Postgres,
}

/// The database, open.
#[derive(Clone, Debug)]
pub struct Store {
    kind: Kind,
    write: Pool<Db>,
    read: Pool<Db>,
}

impl Place {
    fn kind(&self) -> Kind {
        match self {
            Self::File(_) => Kind::Sqlite,
            Self::Server(_) => Kind::Postgres,
        }
    }

    /// The address, as sqlx takes it.
    fn options(&self, mode: &str) -> Result<AnyConnectOptions, StoreError> {
        match self {
            Self::File(path) => format!("sqlite:{}?mode={mode}", escaped(path)).parse(),
            Self::Server(url) => url.parse(),
        }
    }
}

impl FromStr for Place {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            Some(("sqlite", "")) => Err("sqlite: needs the path of a file"),
            Some(("sqlite", path)) => Ok(Self::File(path.into())),
            Some(("postgres" | "postgresql", rest)) if rest.starts_with("//") => {
                Ok(Self::Server(text.to_owned()))
            }
            _ => Err("must be sqlite:PATH or postgres://USER@HOST/DATABASE"),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            // Whatever stands before the host may be a secret.
            Self::Server(url) => match url.rsplit_once('@') {
                Some((_, rest)) => write!(f, "postgres://…@{}", bare(rest)),
                None => f.write_str(bare(url)),
            },
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Kind {
    /// The kind of the database that a connection leads to.
    #[must_use]
    pub fn of(connection: &Connection) -> Self {
        if connection.backend_name() == "PostgreSQL" { Self::Postgres } else { Self::Sqlite }
    }

    /// How a transaction begins that will write.
    const fn begin(self) -> &'static str {
        match self {
            Self::Sqlite => "BEGIN IMMEDIATE",
            Self::Postgres => "BEGIN ISOLATION LEVEL READ COMMITTED",
        }
    }

    /// What a connection is told first. A replica that stands still must not hold up the others
    /// with the locks that it has: what waits gives up, and what idles is ended.
    const fn greeting(self) -> &'static str {
        match self {
            Self::Sqlite => "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL",
            Self::Postgres => {
                "SET lock_timeout = '5s'; SET statement_timeout = '30s'; \
                 SET idle_in_transaction_session_timeout = '10s'; \
                 SET application_name = 'tollgate-quota'; SET client_connection_check_interval = '1s'; \
                 SET client_min_messages = warning"
            }
        }
    }

    /// What makes a JSON array of values, and one of rows.
    #[must_use]
    pub const fn arrays(self) -> (&'static str, &'static str) {
        match self {
            Self::Sqlite => ("json_array", "json_group_array"),
            Self::Postgres => ("json_build_array", "json_agg"),
        }
    }

    /// How many may write at a time.
    const fn writers(self) -> u32 {
        match self {
            Self::Sqlite => 1,
            Self::Postgres => WRITERS,
        }
    }

    /// The tables as this database is told of them: names are compared byte by byte in both.
    fn told(self, sql: &str) -> String {
        match self {
            Self::Sqlite => sql.to_owned(),
            Self::Postgres => sql.replace(" TEXT ", " TEXT COLLATE \"C\" "),
        }
    }

    /// What a reading ends with that takes the rows for itself, or the rest of them that nobody
    /// else has taken.
    #[must_use]
    pub const fn locking(self, rest: bool) -> &'static str {
        match (self, rest) {
            // Who writes has the whole file.
            (Self::Sqlite, _) => "",
            (Self::Postgres, false) => " FOR UPDATE",
            (Self::Postgres, true) => " FOR UPDATE SKIP LOCKED",
        }
    }
}

impl Store {
    /// Opens the database and brings its tables up to date.
    ///
    /// # Errors
    ///
    /// Returns an error if it cannot be used, or a newer version of the service made it.
    pub async fn open(place: &Place) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        let kind = place.kind();
        let write = pool(kind, kind.writers()).connect_with(place.options("rwc")?).await?;
        migrate(kind, &write).await?;
        let read = pool(kind, READERS).connect_lazy_with(place.options("ro")?);
        Ok(Self { kind, write, read })
    }

    /// The kind of the database.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Begins to write.
    ///
    /// # Errors
    ///
    /// Returns an error if the database cannot be written to, or the wait was too long.
    pub async fn begin(&self) -> Result<Tx, StoreError> {
        self.write.begin_with(self.kind.begin()).await
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
        let mut tx = self.begin().await?;
        // A standby of PostgreSQL begins a transaction, but writes nothing.
        sqlx::query("DELETE FROM setting WHERE name = ''").execute(&mut *tx).await?;
        tx.rollback().await
    }

    /// Waits for what is under way, and closes the database.
    pub async fn close(&self) {
        self.read.close().await;
        self.write.close().await;
    }
}

fn pool(kind: Kind, connections: u32) -> AnyPoolOptions {
    let options = AnyPoolOptions::new().max_connections(connections).acquire_timeout(BUSY);
    // Where the disk is full, SQLite ends the transaction, and sqlx believes that it goes on: no
    // other could ever begin on such a connection.
    let options = options.after_release(|connection, _| {
        Box::pin(async move {
            connection.ping().await?;
            Ok(!connection.is_in_transaction())
        })
    });
    options.after_connect(move |connection, _| {
        Box::pin(async move { connection.execute(sqlx::raw_sql(kind.greeting())).await.map(drop) })
    })
}

/// Runs what of [`MIGRATIONS`] has not been run.
async fn migrate(kind: Kind, pool: &Pool<Db>) -> Result<(), StoreError> {
    let mut tx = pool.begin_with(kind.begin()).await?;
    if kind == Kind::Postgres {
        // Replicas start side by side: one makes the tables, the others wait for it.
        sqlx::raw_sql("SELECT 1 FROM pg_advisory_xact_lock(7461)").execute(&mut *tx).await?;
    }
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
            let sql = sqlx::AssertSqlSafe(kind.told(sql));
            sqlx::raw_sql(sql).execute(&mut *tx).await?;
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

/// A path as a part of an address.
fn escaped(path: &std::path::Path) -> String {
    let mut text = String::new();
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'/' | b'.' | b'_' | b'-' | b'~' => {
                text.push(char::from(*byte));
            }
            // A String takes whatever is written to it.
            byte => _ = write!(text, "%{byte:02X}"),
        }
    }
    text
}

/// An address without its parameters, among which a password may be.
fn bare(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default()
}

/// What makes the tables, in order. Only ever appended to.
const MIGRATIONS: &[&str] = &[
    include_str!("../migrations/0001.sql"),
    include_str!("../migrations/0002.sql"),
    include_str!("../migrations/0003.sql"),
    include_str!("../migrations/0004.sql"),
    include_str!("../migrations/0005.sql"),
];
/// How long to wait for a connection, or for the one who writes.
const BUSY: Duration = Duration::from_secs(5);
/// How many may read at a time.
const READERS: u32 = 4;
/// How many of one replica may write to PostgreSQL at a time. With the readers of five replicas,
/// they stay below the hundred connections that it takes as it comes.
const WRITERS: u32 = 12;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_files_and_servers() {
        let place = |text: &str| text.parse::<Place>();
        assert_eq!(place("sqlite:a b.db"), Ok(Place::File("a b.db".into())));
        let server = place("postgres://me:secret@db:5432/quota?password=secret").unwrap();
        assert_eq!(server.to_string(), "postgres://…@db:5432/quota");
        assert_eq!(
            place("postgresql:///quota?host=/run").unwrap().to_string(),
            "postgresql:///quota"
        );
        for wrong in ["", "quota.db", "sqlite:", "postgres:quota", "mysql://db/quota"] {
            assert!(place(wrong).is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn a_file_may_be_called_anything() {
        let dir = std::env::temp_dir().join(format!("tollgate {}?é#%41", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let place = Place::File(dir.join("a:b.db"));
        let store = Store::open(&place).await.unwrap();
        store.ping().await.unwrap();
        assert!(dir.join("a:b.db").exists());
        store.close().await;
        std::fs::remove_dir_all(dir).unwrap();
    }
}
