//! Reads what the page shows.

use std::collections::BTreeMap;

use jiff::{Timestamp, civil::Date};
use tollgate::calendar::{Cycle, window_of};
use tollgate::sync::Measure;

use super::chart::{self, Chart};
use super::view::{self, Alert, Blend, Budget, Config, Delivery, Now, Page, Row, Split};
use crate::alert::{amount, called, channels, outbox};
use crate::allowance::{self, Moment};
use crate::customers::{Book, Found};
use crate::report::account::{self, Account, Outcome};
use crate::report::calendar::{Days, Stretch, months_up_to};
use crate::report::costs::{self, Line, Name, Question};
use crate::report::{margin, outcomes, text};
use crate::state::{Books, State};
use crate::statement::Statement;
use crate::store::{self, Connection, Kind, StoreError};
use crate::usage::hold;

/// The page as it is now.
pub(super) async fn page(state: &State) -> Result<Page, StoreError> {
    let books = state.books();
    let book = &books.book;
    let now = Now::new(state.clock.now_ms(), &book.business.zone);
    let month = Days::month_of(now.today());
    let outcomes = outcomes(state, month, true).await?;
    let total = account::total(&outcomes);
    let daily = chart(state, Name::Customer, None).await?;
    let blends = blends(state, book, &now).await?;
    let config = config(&books);
    let mut rows: Vec<Row> =
        (1..).zip(named(&outcomes)).map(|(rank, outcome)| Row::new(rank, outcome)).collect();
    let left_out = rows.len().saturating_sub(CUSTOMERS);
    rows.truncate(CUSTOMERS);
    Ok(Page {
        business: book.business.name.clone(),
        zone: book.business.zone.iana_name().unwrap_or("UTC").to_owned(),
        now_iso: now.iso(),
        now_text: now.text(),
        month: month.first.strftime("%B %Y").to_string(),
        day: now.today().day(),
        days: month.last.day(),
        tiles: view::tiles(&outcomes, &total),
        customers: rows,
        customers_left_out: left_out,
        anonymous: outcomes.iter().find(|outcome| outcome.id.is_empty()).map(|o| Row::new(0, o)),
        all: Some(Row::new(0, &total)),
        has_costs: !daily.series.is_empty(),
        spikes: view::spikes(&daily.spikes, &daily.days),
        splits: vec![
            split(state, book, month, Name::Model).await?,
            split(state, book, month, Name::Feature).await?,
        ],
        months: view::months(&blends),
        budgets: budgets(state, book).await?,
        alerts: alerts(state, &now).await?,
        channels: channels(&book.alerts).into_iter().map(called).collect::<Vec<_>>().join(" and "),
        facts: view::facts(&outcomes, &total, &config),
        config,
        data: view::data(&daily, &blends),
    })
}

fn named(outcomes: &[Outcome]) -> impl Iterator<Item = &Outcome> {
    outcomes.iter().filter(|outcome| !outcome.id.is_empty())
}

/// The last 30 days by one name, of all customers or of one.
pub(super) async fn chart(
    state: &State,
    by: Name,
    customer: Option<String>,
) -> Result<Chart, StoreError> {
    let book = state.book();
    let zone = &book.business.zone;
    let today = Now::new(state.clock.now_ms(), zone).today();
    let only: Vec<_> = customer.into_iter().map(|id| (Name::Customer, id)).collect();
    // What is usual is read from the days before those that are shown.
    let days = Days::up_to(today, SHOWN.saturating_add(BEFORE));
    let stretches = stretches(days, zone);
    let costs = |by| costs::each(&state.store, &stretches, &only, by);
    let customers = chart::by_day(costs(Name::Customer).await?, stretches.len());
    let name = |id: &str| customer_name(&book, id);
    let shown = usize::try_from(SHOWN).unwrap_or(0);
    let spikes = chart::marks(&customers, shown, name);
    let series = match by {
        Name::Customer => chart::series(&customers, shown, "Anonymous", name),
        other => {
            let by_day = chart::by_day(costs(other).await?, stretches.len());
            chart::series(&by_day, shown, nothing(other), str::to_owned)
        }
    };
    Ok(Chart { days: chart::labels(Days::up_to(today, SHOWN).each()), series, spikes })
}

fn stretches(days: Days, zone: &jiff::tz::TimeZone) -> Vec<Stretch> {
    days.each().map(|day: Date| Days { first: day, last: day }.stretch(zone)).collect()
}

fn customer_name(book: &Book, id: &str) -> String {
    book.customers.get(id).map_or_else(|| id.to_owned(), |customer| customer.name.clone())
}

/// How what has no such name is called.
const fn nothing(name: Name) -> &'static str {
    match name {
        Name::Feature => "No feature",
        Name::Model => "No model",
        Name::Customer | Name::Plan | Name::Provider => "Anonymous",
    }
}

async fn split(state: &State, book: &Book, month: Days, by: Name) -> Result<Split, StoreError> {
    let stretches = [month.stretch(&book.business.zone)];
    let names = if by == Name::Model { vec![by, Name::Provider] } else { vec![by] };
    let question =
        Question { stretches: &stretches, by: &names, limit: i64::MAX, ..Question::default() };
    let lines = costs::lines(&state.store, &question).await?;
    let part = |line: Line| {
        let mut names = line.names.into_iter();
        let name = names.next().filter(|name| !name.is_empty());
        let name = name.unwrap_or_else(|| nothing(by).to_owned());
        (name, names.next().unwrap_or_default(), line.sums)
    };
    let parts: Vec<_> = lines.into_iter().filter(|line| line.sums.is_used()).map(part).collect();
    let (column, title) = match by {
        Name::Model => ("model,provider", "Which models drive the cost?"),
        _ => ("feature", "Which features drive the cost?"),
    };
    Ok(Split { by: column, title, bars: view::bars(&parts) })
}

/// The months since the first with calls, at most twelve.
async fn blends(state: &State, book: &Book, now: &Now) -> Result<Vec<Blend>, StoreError> {
    let months = months_up_to(now.today(), MONTHS);
    let stretches: Vec<_> = months.iter().map(|month| month.stretch(&book.business.zone)).collect();
    let question = Question { stretches: &stretches, limit: i64::MAX, ..Question::default() };
    let lines = costs::lines(&state.store, &question).await?;
    let costs: BTreeMap<usize, i64> = lines.iter().map(|line| (line.at, line.sums.cost)).collect();
    let first = costs.keys().next().copied().unwrap_or(months.len());
    let mut db = state.store.reader().acquire().await?;
    let accounts = account::accounts(&mut db, book, state.clock.now()).await?;
    let blend = |(at, month): (usize, Days)| Blend {
        month,
        customers: count(&accounts, month),
        cost: costs.get(&at).copied().unwrap_or(0).into(),
        revenue: accounts
            .iter()
            .fold(0, |sum: i128, account| sum.saturating_add(account.prices.revenue(month))),
    };
    Ok(months.into_iter().enumerate().skip(first).map(blend).collect())
}

fn count(accounts: &[Account], month: Days) -> i128 {
    let held = accounts.iter().filter(|account| account.prices.hold_in(month)).count();
    i128::try_from(held).unwrap_or(i128::MAX)
}

fn config(books: &Books) -> Config {
    let faults: Vec<String> = books.faults.iter().map(ToString::to_string).collect();
    Config {
        path: "customers.yaml".to_owned(),
        fault: (!faults.is_empty()).then(|| faults.join("\n")),
    }
}

/// The budgets of which most is used in their current window, the fullest first.
async fn budgets(state: &State, book: &Book) -> Result<Vec<Budget>, StoreError> {
    let now = state.clock.now();
    let zone = &book.business.zone;
    let mut db = state.store.reader().acquire().await?;
    let uses = uses(&mut db, book, now).await?;
    let found = uses.iter().filter_map(|used| {
        let Found { owner, rule, part } = book.budget(&used.budget, now)?;
        let is_its = rule.cycle == used.cycle;
        is_its.then(|| (used, Moment { id: &used.budget, owner, rule, at: now }, part))
    });
    let found: Vec<_> = found.collect();
    let rolls_over = found.iter().filter(|(_, moment, _)| moment.rule.roll_over > 0);
    let moments: Vec<_> = rolls_over.map(|(_, moment, _)| *moment).collect();
    let before = allowance::before(&mut db, zone, &moments).await?;
    let carried = moments.iter().map(|moment| moment.id).zip(before);
    let carried: BTreeMap<_, _> = carried.map(|(id, before)| (id, before.carried)).collect();
    let mut near = Vec::new();
    for (Use { budget: id, used, overrun, .. }, Moment { owner, rule, .. }, part) in found {
        let carried = carried.get(id.as_str()).copied().unwrap_or(0);
        let most = allowance::base(owner, rule, zone, now).saturating_add(carried);
        let points = margin::share((*used).into(), most.into()).unwrap_or(0);
        if points >= NEAR {
            let plan = owner.customer().and_then(|customer| book.plan_of(customer, now));
            let unit = plan.map_or("", |plan| &plan.unit_name);
            let part = if part.is_empty() { String::new() } else { format!(" · {part}") };
            let feature = rule.feature.as_deref().map(|feature| format!(" · {feature}"));
            let shadow = if rule.shadow { " · only recorded" } else { "" };
            let over = match overrun {
                0 => String::new(),
                over => format!(", overrun {}", amount(rule.measure(), *over, unit)),
            };
            let budget = Budget {
                customer: owner.name().to_owned(),
                what: format!(
                    "{}{}{part}{shadow} · {}{over}",
                    stretch(rule.cycle),
                    feature.unwrap_or_default(),
                    hold(rule)
                ),
                percent: text::percent(points.checked_div(100).unwrap_or(0)),
                used: figure(rule.measure(), *used),
                limit: amount(rule.measure(), most, unit),
                per_mille: points.checked_div(10).unwrap_or(0).min(1_000),
                full: points >= 10_000,
            };
            near.push((points, budget));
        }
    }
    near.sort_by(|(a, x), (b, y)| b.cmp(a).then_with(|| x.customer.cmp(&y.customer)));
    near.truncate(BUDGETS);
    Ok(near.into_iter().map(|(_, budget)| budget).collect())
}

/// An amount without the name of what it counts.
fn figure(measure: Measure, used: u64) -> String {
    let text = amount(measure, used, "");
    text.split(' ').next().unwrap_or_default().to_owned()
}

fn stretch(cycle: Cycle) -> String {
    match cycle {
        Cycle::Once => "in all".to_owned(),
        Cycle::Rolling { .. } => format!("the last {}", cycle.words()),
        cycle => format!("this {}", cycle.label()),
    }
}

/// What is used of a budget in the window that is open now.
struct Use {
    budget: String,
    cycle: Cycle,
    used: u64,
    overrun: u64,
}

/// What is used of all budgets, of those that roll along in all steps that count.
async fn uses(db: &mut Connection, book: &Book, now: Timestamp) -> Result<Vec<Use>, StoreError> {
    let plans = book.plans.values().flat_map(|plan| &plan.budgets);
    let own = book.customers.values().flat_map(|customer| &customer.budgets);
    let shared = book.pools.iter().flat_map(|pool| &pool.budgets).chain(&book.budgets);
    let mut cycles: Vec<Cycle> = Vec::new();
    for rule in plans.chain(own).chain(shared) {
        if !cycles.contains(&rule.cycle) {
            cycles.push(rule.cycle);
        }
    }
    let mut uses = Vec::new();
    for cycle in cycles {
        let window = window_of(cycle, &book.business.zone, now).id();
        let mut query = Statement::new(
            Kind::of(db),
            "SELECT budget, CAST(SUM(settled) AS BIGINT) AS used, \
             CAST(SUM(overrun) AS BIGINT) AS beyond FROM balance WHERE window_start ",
        );
        match cycle {
            Cycle::Rolling { .. } => query.push(">= ").bind(window.saturating_sub(cycle.reach())),
            _ => query.push("= ").bind(window),
        };
        query.push(" GROUP BY budget");
        for row in query.rows_of(&[&["budget"], &["used", "beyond"]], &mut *db).await? {
            let ([budget], [used, overrun]): ([String; 1], [i64; 2]) = row;
            let (used, overrun) = (store::amount(used), store::amount(overrun));
            uses.push(Use { budget, cycle, used, overrun });
        }
    }
    Ok(uses)
}

async fn alerts(state: &State, now: &Now) -> Result<Vec<Alert>, StoreError> {
    let zone = now.0.time_zone();
    let told = outbox::latest(state.store.reader(), ALERTS).await?;
    Ok(told
        .into_iter()
        .map(|told| {
            let at = Now::new(told.at_ms, zone);
            let deliveries = told.deliveries.iter().map(|d| delivery(d, state.clock.now_ms()));
            Alert {
                text: told.alert.text,
                at: at.text(),
                at_iso: at.iso(),
                deliveries: deliveries.collect(),
            }
        })
        .collect())
}

fn delivery(delivery: &outbox::Delivery, now_ms: i64) -> Delivery {
    let channel = called(&delivery.channel);
    let (class, text) = match delivery.state.as_str() {
        "sent" => ("sent", format!("{channel}: delivered")),
        "failed" => (
            "failed",
            format!("{channel}: given up after {} attempts: {}", delivery.attempts, delivery.error),
        ),
        _ if delivery.error.is_empty() => ("waiting", format!("{channel}: on its way")),
        _ => {
            let wait = delivery.next_ms.saturating_sub(now_ms).max(0).div_euclid(1_000);
            let wait = if wait < 120 { format!("{wait} s") } else { format!("{} min", wait / 60) };
            let (attempt, error) = (delivery.attempts, &delivery.error);
            ("waiting", format!("{channel}: attempt {attempt} failed, {error}; again in {wait}"))
        }
    };
    Delivery { class, text }
}

/// Days that the chart shows.
const SHOWN: i64 = 30;
/// Days before them that say what is usual: as many as a spike looks back.
const BEFORE: i64 = 14;
/// Months of the average customer.
const MONTHS: i64 = 12;
/// Lines of the customers' table; the CSV has them all.
const CUSTOMERS: usize = 500;
/// Budgets shown.
const BUDGETS: usize = 12;
/// Alerts shown.
const ALERTS: i64 = 12;
/// Basis points of a limit from which on a budget is near it.
const NEAR: i128 = 8_000;
