//! How much of what a provider says was used stands in the ledger, by day and model.

use std::{collections::BTreeMap, fmt::Write as _};

use jiff::Timestamp;
use sqlx::Row as _;

use super::export::{Export, Provider, Used};
use crate::{
    report::{margin, text},
    store::{Store, StoreError, amount},
};

/// The provider's numbers beside the ledger's, as a table.
///
/// # Errors
///
/// Returns an error if the database does.
pub async fn table(
    store: &Store,
    provider: Provider,
    export: &Export,
) -> Result<String, StoreError> {
    let mut ours = ledger(store, provider, export).await?;
    let mut table = String::new();
    line(&mut table, ["day (UTC)", "model", "of", "provider", "ledger", "captured"]);
    for ((day, model), theirs) in &export.used {
        let own = if model.is_empty() {
            // The export does not tell models apart: the ledger's are taken together.
            ours.iter().filter(|((other, _), _)| other == day).fold(Used::default(), plus)
        } else {
            ours.remove(&(*day, model.clone())).unwrap_or_default()
        };
        rows(&mut table, export, (*day, model), *theirs, own);
    }
    if export.used.keys().all(|(_, model)| !model.is_empty()) {
        for ((day, model), own) in &ours {
            rows(&mut table, export, (*day, model), Used::default(), *own);
        }
    }
    Ok(table)
}

/// What the ledger has of the days of an export.
async fn ledger(
    store: &Store,
    provider: Provider,
    export: &Export,
) -> Result<BTreeMap<(i64, String), Used>, StoreError> {
    let days = export.used.keys().map(|(day, _)| *day);
    let (Some(first), Some(last)) = (days.clone().min(), days.max()) else {
        return Ok(BTreeMap::new());
    };
    let sums = sqlx::query(
        "SELECT began_ms / 86400000 AS day, model, CAST(SUM(input_tokens) AS BIGINT) AS input, \
         CAST(SUM(output_tokens) AS BIGINT) AS output, \
         CAST(COALESCE(SUM(cost), 0) AS BIGINT) AS cost FROM ledger \
         WHERE provider = $1 AND began_ms >= $2 AND began_ms < $3 AND decision <> 'refuse' \
         GROUP BY 1, 2 ORDER BY 1, 2",
    );
    let sums = sums.bind(provider.label()).bind(first.saturating_mul(DAY_MS));
    let sums = sums.bind(last.saturating_add(1).saturating_mul(DAY_MS));
    let mut ours = BTreeMap::new();
    for row in sums.fetch_all(store.reader()).await? {
        let used = Used {
            input: amount(row.try_get("input")?),
            output: amount(row.try_get("output")?),
            cost: amount(row.try_get("cost")?),
        };
        ours.insert((row.try_get("day")?, row.try_get("model")?), used);
    }
    Ok(ours)
}

fn plus(sum: Used, (_, used): (&(i64, String), &Used)) -> Used {
    Used {
        input: sum.input.saturating_add(used.input),
        output: sum.output.saturating_add(used.output),
        cost: sum.cost.saturating_add(used.cost),
    }
}

fn rows(table: &mut String, export: &Export, (day, model): (i64, &str), theirs: Used, own: Used) {
    let start = Timestamp::from_second(day.saturating_mul(DAY_MS / 1_000)).unwrap_or_default();
    let day = start.strftime("%Y-%m-%d").to_string();
    let model = if model.is_empty() { "all" } else { model };
    let mut row = |of, theirs: u64, own: u64, shown: fn(i128) -> String| {
        let rate =
            margin::share(own.into(), theirs.into()).map_or_else(|| "-".to_owned(), text::share);
        line(table, [&day, model, of, &shown(theirs.into()), &shown(own.into()), &rate]);
    };
    if export.has_tokens {
        row("input", theirs.input, own.input, text::grouped);
        row("output", theirs.output, own.output, text::grouped);
    }
    if export.has_costs {
        row("cost", theirs.cost, own.cost, text::usd);
    }
}

fn line(table: &mut String, cells: [&str; 6]) {
    let [day, model, of, theirs, own, rate] = cells;
    // A String takes whatever is written to it.
    let _ = writeln!(table, "{day:<10}  {model:<32}  {of:<6}  {theirs:>16}  {own:>16}  {rate:>8}");
}

/// Milliseconds of a day of UTC.
const DAY_MS: i64 = 86_400_000;
