//! Units that count once in a window of a budget: which ones are counted.
//!
//! Gateways count for themselves, and each may be the first for a unit that another has counted. So
//! what they charge for a unit that stands here already is no use, and goes back to the budget.

use std::collections::BTreeSet;

use sqlx::Row as _;
use tollgate::sync::Counted;

use crate::{
    lending::Key,
    statement::{BATCH, Statement},
    store::{Connection, Kind, StoreError, Tx, column},
};

/// A unit in a window of a budget.
pub type Unit = (Key, String);

/// Counts those that are not counted yet, and returns them. The balances of their budgets are locked
/// by then.
///
/// # Errors
///
/// Returns an error if the database does.
pub async fn count(tx: &mut Tx, units: BTreeSet<Unit>) -> Result<BTreeSet<Unit>, StoreError> {
    let mut fresh = BTreeSet::new();
    let units: Vec<_> = units.into_iter().collect();
    for some in units.chunks(BATCH) {
        let mut insert =
            Statement::new(Kind::of(tx), "INSERT INTO counted (budget, window_start, unit) ");
        insert.rows(some, |row, ((budget, window), unit)| {
            row.bind(budget).bind(window).bind(unit);
        });
        insert.push(" ON CONFLICT DO NOTHING RETURNING budget, window_start, unit");
        for row in insert.query().fetch_all(&mut **tx).await? {
            fresh.insert(((row.try_get(0)?, row.try_get(1)?), row.try_get(2)?));
        }
    }
    Ok(fresh)
}

/// Those among `asked` that are counted.
///
/// # Errors
///
/// Returns an error if the database does.
pub async fn among(db: &mut Connection, asked: &[Counted]) -> Result<Vec<Counted>, StoreError> {
    let mut counted = Vec::new();
    let sound = |asked: &&Counted| is_unit(&asked.unit) && !asked.budget.contains('\0');
    let asked: Vec<_> = asked.iter().filter(sound).take(ASKED).collect();
    for some in asked.chunks(BATCH) {
        let columns = "budget, window_start, unit";
        let mut query = Statement::about(Kind::of(db), columns, some, |row, asked| {
            row.bind(&asked.budget).bind(column(asked.window)).bind(&asked.unit);
        });
        query.push(
            "SELECT c.budget, c.window_start, c.unit FROM asked CROSS JOIN counted AS c \
             WHERE c.budget = asked.budget AND c.window_start = asked.window_start \
             AND c.unit = asked.unit",
        );
        for row in query.query().fetch_all(&mut *db).await? {
            let window = u64::try_from(row.try_get::<i64, _>(1)?).unwrap_or(0);
            counted.push(Counted { budget: row.try_get(0)?, window, unit: row.try_get(2)? });
        }
    }
    Ok(counted)
}

/// Whether a text can be the id of a unit. PostgreSQL's texts have no NUL.
#[must_use]
pub fn is_unit(text: &str) -> bool {
    (1..=MAX_UNIT).contains(&text.len()) && !text.contains('\0')
}

/// As long as a name gets.
const MAX_UNIT: usize = 256;
/// Units that one ask is told of.
const ASKED: usize = 500;
