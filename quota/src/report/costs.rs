//! Sums over the hourly totals: what was spent, by any of the names that a call has, in any stretches.
//!
//! One statement answers every question, and reads only `hourly`, never the ledger. Sums are taken
//! in the database in whole numbers; one that does not fit into an `i64` (nine billion dollars) is
//! an error there, not a wrong number.

use serde::Serialize;

use super::calendar::Stretch;
use crate::statement::Statement;
use crate::store::{Store, StoreError};

/// A name that calls are told apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    /// Whose call it was. Empty: nobody's that is known.
    Customer,
    /// The customer's plan when the call was made.
    Plan,
    /// The feature that made it.
    Feature,
    /// Who served it.
    Provider,
    /// The model that answered.
    Model,
}

impl Name {
    /// Every name, as reports list them.
    pub(crate) const ALL: [Self; 5] =
        [Self::Customer, Self::Plan, Self::Feature, Self::Provider, Self::Model];

    /// The name of the column, in the database and in reports.
    pub(crate) const fn column(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Plan => "plan",
            Self::Feature => "feature",
            Self::Provider => "provider",
            Self::Model => "model",
        }
    }
}

/// What calls came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Sums {
    /// How many there were.
    pub(crate) calls: i64,
    /// How many of them were refused.
    pub(crate) refused: i64,
    /// How many had no price, or not for all that they used: their cost is not in `cost`.
    pub(crate) unpriced: i64,
    /// How many were let through and then failed.
    pub(crate) failed: i64,
    /// How many were estimated because the provider did not say what they used.
    pub(crate) estimated: i64,
    /// Tokens of prompts, cached ones included.
    pub(crate) input_tokens: i64,
    /// Tokens of answers.
    pub(crate) output_tokens: i64,
    /// Nano-dollars.
    #[serde(rename = "cost_nano_usd")]
    pub(crate) cost: i64,
}

/// The sums of the calls of one stretch that have the same names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// Which of the stretches.
    pub(crate) at: usize,
    /// The names, in the order in which they were asked for.
    pub(crate) names: Vec<String>,
    /// What they came to.
    pub(crate) sums: Sums,
}

/// What to sum.
#[derive(Clone, Debug, Default)]
pub(crate) struct Question<'a> {
    /// The stretches, which do not overlap.
    pub(crate) stretches: &'a [Stretch],
    /// The names that tell lines apart.
    pub(crate) by: &'a [Name],
    /// Only calls with these names.
    pub(crate) only: &'a [(Name, String)],
    /// How many lines to leave out, in order.
    pub(crate) offset: i64,
    /// How many lines at most.
    pub(crate) limit: i64,
}

/// The lines: by stretch, in each the dearest first.
pub(crate) async fn lines(store: &Store, question: &Question<'_>) -> Result<Vec<Line>, StoreError> {
    if question.stretches.is_empty() {
        return Ok(Vec::new());
    }
    let mut query = Statement::new(store.kind(), "");
    group(&mut query, question, &SUMS);
    query.push(" ORDER BY at, cost DESC");
    for name in question.by {
        query.push(", ").push(name.column());
    }
    query.push(" LIMIT ").bind(question.limit);
    query.push(" OFFSET ").bind(question.offset);
    let names: Vec<_> = question.by.iter().map(|name| name.column()).collect();
    let rows = query.rows_of(&[&["at"], &names, &SUMS], store.reader()).await?;
    let line = |([at], names, sums): ([usize; 1], _, _)| Line { at, names, sums: Sums::of(sums) };
    Ok(rows.into_iter().map(line).collect())
}

/// The nano-dollars of each stretch and name, where there are any.
pub(crate) async fn each(
    store: &Store,
    stretches: &[Stretch],
    only: &[(Name, String)],
    by: Name,
) -> Result<Vec<(usize, String, i64)>, StoreError> {
    let question = Question { stretches, by: &[by], only, ..Question::default() };
    let mut query = Statement::new(store.kind(), "");
    group(&mut query, &question, &["cost"]);
    query.push(" HAVING SUM(t.cost) > 0");
    let rows = query.rows_of(&[&["at"], &[by.column()], &["cost"]], store.reader()).await?;
    let cost = |([at], [name], [cost]): ([usize; 1], [String; 1], [i64; 1])| (at, name, cost);
    Ok(rows.into_iter().map(cost).collect())
}

/// How many lines there are in all, and what they come to together.
pub(crate) async fn whole(
    store: &Store,
    question: &Question<'_>,
) -> Result<(i64, Sums), StoreError> {
    if question.stretches.is_empty() {
        return Ok((0, Sums::default()));
    }
    let mut query = Statement::new(store.kind(), "SELECT COUNT(*) AS lines");
    for column in SUMS {
        query.push(format_args!(", CAST(COALESCE(SUM({column}), 0) AS BIGINT) AS {column}"));
    }
    query.push(" FROM (");
    group(&mut query, question, &SUMS);
    query.push(") AS grouped");
    let rows = query.rows_of(&[&["lines"], &SUMS], store.reader()).await?;
    let ([lines], sums) = rows.into_iter().next().unwrap_or_default();
    Ok((lines, Sums::of(sums)))
}

/// Adds the statement that groups and sums.
fn group(query: &mut Statement, question: &Question<'_>, sums: &[&str]) {
    query.push("WITH s(at, start, stop) AS (VALUES ");
    for (at, stretch) in (0_i64..).zip(question.stretches) {
        // Numbers of our own, written out: databases bound the number of parameters.
        let comma = if at == 0 { "" } else { ", " };
        query.push(format_args!("{comma}({at}, {}, {})", stretch.start, stretch.end));
    }
    query.push(") SELECT s.at AS at");
    for name in question.by {
        query.push(format_args!(", t.{0} AS {0}", name.column()));
    }
    for column in sums {
        query.push(format_args!(", CAST(SUM(t.{column}) AS BIGINT) AS {column}"));
    }
    // The stretches come first, so that each is one range of the key.
    query.push(" FROM s CROSS JOIN hourly AS t WHERE t.hour >= s.start AND t.hour < s.stop");
    for (name, value) in question.only {
        query.push(format_args!(" AND t.{} = ", name.column())).bind(value.clone());
    }
    query.push(" GROUP BY s.at");
    for name in question.by {
        query.push(format_args!(", t.{}", name.column()));
    }
}

impl Sums {
    /// Of the columns in [`SUMS`].
    const fn of(columns: [i64; 8]) -> Self {
        let [calls, refused, failed, unpriced, estimated, input_tokens, output_tokens, cost] =
            columns;
        Self { calls, refused, unpriced, failed, estimated, input_tokens, output_tokens, cost }
    }

    /// Whether there is anything in them that costs, or would if it had a price.
    pub(crate) const fn is_used(&self) -> bool {
        self.cost > 0 || self.unpriced > 0
    }

    /// These and others together.
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            calls: self.calls.saturating_add(other.calls),
            refused: self.refused.saturating_add(other.refused),
            unpriced: self.unpriced.saturating_add(other.unpriced),
            failed: self.failed.saturating_add(other.failed),
            estimated: self.estimated.saturating_add(other.estimated),
            input_tokens: self.input_tokens.saturating_add(other.input_tokens),
            output_tokens: self.output_tokens.saturating_add(other.output_tokens),
            cost: self.cost.saturating_add(other.cost),
        }
    }
}

/// The columns that are summed.
const SUMS: [&str; 8] = [
    "calls",
    "refused",
    "failed",
    "unpriced",
    "estimated",
    "input_tokens",
    "output_tokens",
    "cost",
];
