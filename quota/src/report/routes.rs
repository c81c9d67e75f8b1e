//! `/v1/reports/...`: the questions that can be asked, and their answers as JSON or CSV.

use std::collections::BTreeMap;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use jiff::civil::Date;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::account::{self, Elapsed, Outcome};
use super::calendar::{Days, Stretch, day_of};
use super::costs::{self, Line, Name, Question, Sums};
use super::csv::{self, Cell};
use super::margin;
use crate::state::{self, Shared};
use crate::store::StoreError;

/// `/v1/reports/...`
pub fn router() -> Router<Shared> {
    Router::new().route("/v1/reports/costs", get(costs)).route("/v1/reports/margin", get(margins))
}

/// Why a report cannot be had.
pub(crate) enum Refusal {
    /// The question is not one: what must be.
    Question(&'static str),
    /// The database does not answer.
    Store(StoreError),
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Question(must) => {
                (StatusCode::BAD_REQUEST, Json(json!({ "error": must }))).into_response()
            }
            Self::Store(error) => {
                tracing::error!(%error, "a report cannot be read");
                let error = json!({ "error": "the database does not answer" });
                (StatusCode::SERVICE_UNAVAILABLE, Json(error)).into_response()
            }
        }
    }
}

/// What an address asks for. Fields as `docs/reports.md` describes them.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Asked {
    by: Option<String>,
    from: Option<String>,
    to: Option<String>,
    format: Option<String>,
    limit: Option<i64>,
    offset: Option<i64>,
    customer: Option<String>,
    plan: Option<String>,
    feature: Option<String>,
    provider: Option<String>,
    model: Option<String>,
}

impl Asked {
    /// The days, which begin with this month's first and end with today where nothing is said.
    fn days(&self, today: Date) -> Result<Days, Refusal> {
        let read = |text: &Option<String>| text.as_deref().map(str::parse::<Date>).transpose();
        let refused = |_| Refusal::Question("`from` and `to` must be days such as 2026-11-30");
        let last = read(&self.to).map_err(refused)?.unwrap_or(today);
        let first = read(&self.from).map_err(refused)?.unwrap_or_else(|| last.first_of_month());
        let days =
            Days::new(first, last).ok_or(Refusal::Question("`from` must not be after `to`"))?;
        if days.count() > MOST_DAYS {
            return Err(Refusal::Question("`from` and `to` may be ten years apart at most"));
        }
        Ok(days)
    }

    /// The names that lines are told apart by, and whether days are, too.
    fn by(&self) -> Result<(Vec<Name>, bool), Refusal> {
        let (mut names, mut by_day) = (Vec::new(), false);
        for part in self.by.as_deref().unwrap_or("customer").split(',').map(str::trim) {
            match Name::ALL.into_iter().find(|name| name.column() == part) {
                Some(name) if !names.contains(&name) => names.push(name),
                Some(_) => {}
                None if part == "day" => by_day = true,
                None => {
                    return Err(Refusal::Question(
                        "`by` must be of customer, plan, feature, provider, model and day",
                    ));
                }
            }
        }
        Ok((names, by_day))
    }

    fn only(&self) -> Vec<(Name, String)> {
        let values = [&self.customer, &self.plan, &self.feature, &self.provider, &self.model];
        let pairs = Name::ALL.into_iter().zip(values);
        pairs.filter_map(|(name, value)| Some((name, value.clone()?))).collect()
    }

    fn page(&self) -> Result<(i64, i64), Refusal> {
        let most = if self.is_csv()? { MOST_LINES } else { LINES };
        let (limit, offset) = (self.limit.unwrap_or(most), self.offset.unwrap_or(0));
        if !(1..=MOST_LINES).contains(&limit) || offset < 0 {
            return Err(Refusal::Question("`limit` must be 1 to 10000, `offset` not negative"));
        }
        Ok((limit, offset))
    }

    fn is_csv(&self) -> Result<bool, Refusal> {
        match self.format.as_deref() {
            None | Some("json") => Ok(false),
            Some("csv") => Ok(true),
            Some(_) => Err(Refusal::Question("`format` must be json or csv")),
        }
    }
}

/// `GET /v1/reports/costs`: what was spent, by any names.
async fn costs(
    State(state): State<Shared>,
    Query(asked): Query<Asked>,
) -> Result<Response, Refusal> {
    let book = state.book();
    let zone = &book.business.zone;
    let days = asked.days(day_of(now(&state), zone))?;
    let (by, by_day) = asked.by()?;
    let (limit, offset) = asked.page()?;
    let is_csv = asked.is_csv()?;
    let parts: Vec<Days> = if by_day {
        days.each().map(|day| Days { first: day, last: day }).collect()
    } else {
        vec![days]
    };
    let stretches: Vec<Stretch> = parts.iter().map(|part| part.stretch(zone)).collect();
    let only = asked.only();
    let question = Question { stretches: &stretches, by: &by, only: &only, offset, limit };
    let lines = costs::lines(&state.store, &question).await?;
    let (count, whole) = costs::whole(&state.store, &question).await?;
    let name = |id: &str| book.customers.get(id).map(|customer| customer.name.clone());
    let table = Table { by: &by, by_day, parts: &parts, name: &name };
    if is_csv {
        let rows: Vec<_> = lines.iter().map(|line| table.row(line)).collect();
        let file = format!("costs-{}-{}", days.first, days.last);
        return Ok(csv::answer(&file, &table.columns(), &rows));
    }
    let next = offset.saturating_add(limit);
    Ok(Json(json!({
        "from": days.first, "to": days.last, "time_zone": zone.iana_name(),
        "lines": lines.iter().map(|line| table.line(line)).collect::<Vec<_>>(),
        "total": whole, "count": count, "next_offset": (next < count).then_some(next),
    }))
    .into_response())
}

/// The columns of a report of costs.
struct Table<'a> {
    by: &'a [Name],
    by_day: bool,
    parts: &'a [Days],
    name: &'a dyn Fn(&str) -> Option<String>,
}

impl Table<'_> {
    fn columns(&self) -> Vec<&'static str> {
        let mut columns = if self.by_day { vec!["day"] } else { Vec::new() };
        for name in self.by {
            columns.push(name.column());
            if *name == Name::Customer {
                columns.push("customer_name");
            }
        }
        columns.extend(SUMS);
        columns
    }

    fn row(&self, line: &Line) -> Vec<Cell> {
        let mut row = Vec::new();
        if self.by_day {
            let day = self.parts.get(line.at).map(|part| part.first.to_string());
            row.push(Cell::Text(day.unwrap_or_default()));
        }
        for (name, value) in self.by.iter().zip(&line.names) {
            row.push(Cell::Text(value.clone()));
            if *name == Name::Customer {
                row.push((self.name)(value).map_or(Cell::Empty, Cell::Text));
            }
        }
        row.extend(numbers(line.sums).map(|number| Cell::Number(number.into())));
        row
    }

    fn line(&self, line: &Line) -> Value {
        let cells = self.columns().into_iter().zip(self.row(line));
        Value::Object(cells.map(|(column, cell)| (column.to_owned(), value(cell))).collect())
    }
}

/// `GET /v1/reports/margin`: what each customer cost and paid. Without `from` and `to`: this
/// month's cost so far, the whole month's revenue, and what the month is going to be.
async fn margins(
    State(state): State<Shared>,
    Query(asked): Query<Asked>,
) -> Result<Response, Refusal> {
    let today = day_of(now(&state), &state.book().business.zone);
    let (limit, offset) = asked.page()?;
    let is_csv = asked.is_csv()?;
    let month = asked.from.is_none() && asked.to.is_none();
    let days = if month { Days::month_of(today) } else { asked.days(today)? };
    let outcomes = outcomes(&state, days, month).await?;
    let cells = outcomes.iter().map(margin_row);
    if is_csv {
        let rows: Vec<_> = cells.collect();
        let file = format!("margin-{}-{}", days.first, days.last);
        return Ok(csv::answer(&file, &MARGINS, &rows));
    }
    let (skip, take) = (usize::try_from(offset).unwrap_or(0), usize::try_from(limit).unwrap_or(0));
    let lines: Vec<Value> = cells.skip(skip).take(take).map(|row| object(&MARGINS, row)).collect();
    let next = skip.saturating_add(take);
    Ok(Json(json!({
        "from": days.first, "to": days.last, "time_zone": state.book().business.zone.iana_name(),
        "lines": lines, "total": object(&MARGINS, margin_row(&account::total(&outcomes))),
        "count": outcomes.len(), "next_offset": (next < outcomes.len()).then_some(next),
    }))
    .into_response())
}

/// The result of every customer over some days; with a forecast if they are the current month.
pub(crate) async fn outcomes(
    state: &state::State,
    days: Days,
    month: bool,
) -> Result<Vec<Outcome>, StoreError> {
    let book = state.book();
    let stretch = days.stretch(&book.business.zone);
    let by = [Name::Customer];
    let question =
        Question { stretches: &[stretch], by: &by, limit: i64::MAX, ..Question::default() };
    let lines = costs::lines(&state.store, &question).await?;
    let costs: BTreeMap<String, Sums> = lines
        .into_iter()
        .map(|line| (line.names.into_iter().next().unwrap_or_default(), line.sums))
        .collect();
    let mut db = state.store.reader().acquire().await?;
    let accounts = account::accounts(&mut db, &book, state.clock.now()).await?;
    let elapsed = month.then(|| Elapsed {
        passed: now(state).saturating_sub(stretch.start),
        whole: stretch.end.saturating_sub(stretch.start),
    });
    Ok(account::results(&accounts, costs, days, elapsed))
}

fn margin_row(outcome: &Outcome) -> Vec<Cell> {
    let number = |number: Option<i128>| number.map_or(Cell::Empty, Cell::Number);
    let points = |cost| margin::basis_points(outcome.revenue, cost);
    vec![
        Cell::Text(outcome.id.clone()),
        Cell::Text(outcome.name.clone()),
        Cell::Text(outcome.plan.clone()),
        Cell::Number(outcome.sums.calls.into()),
        Cell::Number(outcome.sums.unpriced.into()),
        Cell::Number(outcome.sums.estimated.into()),
        Cell::Number(outcome.cost()),
        Cell::Number(outcome.revenue),
        number(points(outcome.cost())),
        number(outcome.margin()),
        number(outcome.forecast),
        number(outcome.forecast.and_then(points)),
        number(outcome.forecast_margin()),
    ]
}

fn object(columns: &[&str], row: Vec<Cell>) -> Value {
    let pairs = columns.iter().zip(row).map(|(column, cell)| ((*column).to_owned(), value(cell)));
    Value::Object(pairs.collect::<Map<_, _>>())
}

/// A number beyond `i64` is written as text: better odd than wrong.
fn value(cell: Cell) -> Value {
    match cell {
        Cell::Text(text) => text.into(),
        Cell::Number(number) => {
            i64::try_from(number).map_or_else(|_| number.to_string().into(), Value::from)
        }
        Cell::Empty => Value::Null,
    }
}

const fn numbers(sums: Sums) -> [i64; 8] {
    [
        sums.calls,
        sums.refused,
        sums.failed,
        sums.unpriced,
        sums.estimated,
        sums.input_tokens,
        sums.output_tokens,
        sums.cost,
    ]
}

fn now(state: &state::State) -> i64 {
    state.clock.now_ms().div_euclid(1_000)
}

/// The columns that every report of costs ends with.
const SUMS: [&str; 8] = [
    "calls",
    "refused",
    "failed",
    "unpriced",
    "estimated",
    "input_tokens",
    "output_tokens",
    "cost_nano_usd",
];
/// The columns of a report of margins.
const MARGINS: [&str; 13] = [
    "customer",
    "customer_name",
    "plan",
    "calls",
    "unpriced",
    "estimated",
    "cost_nano_usd",
    "revenue_nano_usd",
    "margin_basis_points",
    "margin_percent",
    "forecast_cost_nano_usd",
    "forecast_margin_basis_points",
    "forecast_margin_percent",
];
/// Lines of an answer in JSON, unless asked otherwise.
const LINES: i64 = 1_000;
/// Lines of an answer at most.
const MOST_LINES: i64 = 10_000;
/// Days of a report at most.
const MOST_DAYS: i64 = 3_660;
