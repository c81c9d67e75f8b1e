//! Statements that are put together: of text of our own and of values, which are bound.
//!
//! PostgreSQL takes only `$1` for a value. SQLite takes that too, but as a name, which it looks for
//! among all those before: with thousands of values that takes longer than all else.

use std::fmt::{Display, Write as _};

use serde::de::DeserializeOwned;
use sqlx::{
    Arguments as _, AssertSqlSafe, Encode, Executor, Type,
    any::AnyArguments,
    query::{Query, QueryScalar},
};

use crate::store::{Db, Kind, StoreError};

/// A statement in the making. What is pushed as text is never foreign.
pub(crate) struct Statement {
    kind: Kind,
    sql: String,
    values: AnyArguments,
}

impl Statement {
    /// A statement that begins with this text.
    pub(crate) fn new(kind: Kind, sql: &str) -> Self {
        Self { kind, sql: sql.to_owned(), values: AnyArguments::default() }
    }

    /// A statement about these items: they are a table of its own, `asked`, with these columns. It
    /// comes first, so that each item is one look into another table's index.
    pub(crate) fn about<T>(
        kind: Kind,
        columns: &str,
        items: impl IntoIterator<Item = T>,
        row: impl FnMut(&mut Row<'_>, T),
    ) -> Self {
        let mut query = Self::new(kind, "WITH asked(");
        query.push(columns).push(") AS (").rows(items, row).push(") ");
        query
    }

    /// Adds text.
    pub(crate) fn push(&mut self, sql: impl Display) -> &mut Self {
        // A String takes whatever is written to it.
        let _ = write!(self.sql, "{sql}");
        self
    }

    /// Adds a value.
    pub(crate) fn bind<'v>(&mut self, value: impl Encode<'v, Db> + Type<Db>) -> &mut Self {
        // Texts and whole numbers are always taken; the database refuses a value that is missing.
        let _ = self.values.add(value);
        match self.kind {
            Kind::Sqlite => self.push('?'),
            Kind::Postgres => {
                let number = self.values.len();
                self.push(format_args!("${number}"))
            }
        }
    }

    /// Adds `VALUES` and a row for each item.
    pub(crate) fn rows<T>(
        &mut self,
        items: impl IntoIterator<Item = T>,
        mut row: impl FnMut(&mut Row<'_>, T),
    ) -> &mut Self {
        for (at, item) in items.into_iter().enumerate() {
            self.push(if at == 0 { "VALUES (" } else { ", (" });
            row(&mut Row { statement: self, is_first: true }, item);
            self.push(")");
        }
        self
    }

    /// The whole.
    pub(crate) fn query(self) -> Query<'static, Db, AnyArguments> {
        sqlx::query_with(AssertSqlSafe(self.sql), self.values)
    }

    /// The rows that the whole finds, in its order: of each, these columns in groups of one type.
    ///
    /// They come as one text. Row by row each goes from one thread to another, which takes longer than
    /// finding it where there are very many.
    ///
    /// # Errors
    ///
    /// Returns an error if the database does.
    pub(crate) async fn rows_of<T: DeserializeOwned>(
        mut self,
        groups: &[&[&str]],
        db: impl Executor<'_, Database = Db>,
    ) -> Result<Vec<T>, StoreError> {
        let (array, gathered) = self.kind.arrays();
        let groups: Vec<_> =
            groups.iter().map(|columns| format!("{array}({})", columns.join(", "))).collect();
        let row = format!("{array}({})", groups.join(", "));
        self.sql = format!(
            "SELECT COALESCE(CAST({gathered}({row}) AS TEXT), '[]') FROM ({}) AS found",
            self.sql
        );
        let text: String = self.scalar().fetch_one(db).await?;
        serde_json::from_str(&text).map_err(|error| StoreError::Decode(error.into()))
    }

    /// The whole, of which one column is wanted.
    pub(crate) fn scalar<O>(self) -> QueryScalar<'static, Db, O, AnyArguments>
    where
        (O,): for<'r> sqlx::FromRow<'r, crate::store::Record>,
    {
        sqlx::query_scalar_with(AssertSqlSafe(self.sql), self.values)
    }
}

/// One row of values.
pub(crate) struct Row<'a> {
    statement: &'a mut Statement,
    is_first: bool,
}

impl Row<'_> {
    /// Adds a value.
    pub(crate) fn bind<'v>(&mut self, value: impl Encode<'v, Db> + Type<Db>) -> &mut Self {
        if !std::mem::take(&mut self.is_first) {
            self.statement.push(", ");
        }
        self.statement.bind(value);
        self
    }
}

/// Rows of one statement: with up to eight columns, far below the 32,766 parameters that SQLite takes.
pub(crate) const BATCH: usize = 500;
