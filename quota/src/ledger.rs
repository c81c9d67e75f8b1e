//! Booking of calls: the ledger, what they are charged to, and the hourly totals, in one transaction.
//!
//! Rows are written in the order of their keys, so that two transactions that write the same ones
//! wait for each other at most in one direction.

use std::collections::{BTreeMap, BTreeSet};

use tollgate::calendar::{hour_of, timestamp};

use crate::{
    call::Call,
    customers::Book,
    lending, monthly,
    statement::Statement,
    store::{Kind, StoreError, Tx, column},
};

/// Who reports, and when.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// The customers as they are.
    pub book: &'a Book,
    /// The incarnation of the gateway.
    pub gateway: &'a str,
    /// Its name.
    pub node: &'a str,
    /// Our time.
    pub now_ms: i64,
}

/// A call with whom it is booked on.
#[derive(Debug)]
struct Entry<'a> {
    call: &'a Call,
    began_ms: i64,
    customer: &'a str,
    plan: &'a str,
}

/// What identifies a row of the hourly totals.
type Key<'a> = (i64, &'a str, &'a str, &'a str, &'a str, &'a str);

/// One row of the hourly totals.
#[derive(Clone, Copy, Debug, Default)]
struct Totals {
    calls: u64,
    refused: u64,
    failed: u64,
    estimated: u64,
    unpriced: u64,
    input_tokens: u64,
    output_tokens: u64,
    cost: u64,
}

/// What was booked.
#[derive(Debug, Default)]
pub struct Booked {
    /// The ids of the calls that were not yet in the ledger.
    pub fresh: BTreeSet<String>,
    /// What the months that were booked in have come to.
    pub spent: monthly::Costs,
}

/// Books the calls that are not yet in the ledger.
///
/// # Errors
///
/// Returns an error if the database does.
pub async fn book(
    tx: &mut Tx,
    report: Report<'_>,
    calls: impl Iterator<Item = &Call>,
) -> Result<Booked, StoreError> {
    // An id that stands twice in one ask is booked once, as it stands first.
    let mut entries: Vec<_> = calls.map(|call| report.entry(call)).collect();
    entries.sort_by(|a, b| a.call.id.cmp(&b.call.id));
    entries.dedup_by(|a, b| a.call.id == b.call.id);
    let mut booked = Booked::default();
    for some in entries.chunks(BATCH) {
        append(tx, report, some, &mut booked.fresh).await?;
    }
    let zone = &report.book.business.zone;
    let mut hours: BTreeMap<Key<'_>, Totals> = BTreeMap::new();
    let mut spent = monthly::Costs::new();
    for entry in entries.iter().filter(|entry| booked.fresh.contains(&entry.call.id)) {
        let hour = hour_of(zone, entry.began_ms);
        hours.entry(entry.key(hour)).or_default().add(entry.call);
        if let Some(cost) = entry.call.cost.filter(|_| !entry.customer.is_empty()) {
            let month = monthly::month_of(zone, entry.began_ms);
            let spent = spent.entry((entry.customer.to_owned(), month)).or_default();
            *spent = spent.saturating_add(cost);
        }
    }
    let hours: Vec<_> = hours.into_iter().collect();
    for some in hours.chunks(BATCH) {
        total(tx, some).await?;
    }
    booked.spent = monthly::add(tx, zone, &spent).await?;
    Ok(booked)
}

impl<'a> Report<'a> {
    fn entry(self, call: &'a Call) -> Entry<'a> {
        // A clock that is ahead must not book into days to come.
        let began_ms = match column(call.began_ms) {
            0 => self.now_ms,
            began_ms => began_ms.min(self.now_ms),
        };
        let customer = self.book.find(&call.tenant);
        let plan = customer.and_then(|customer| self.book.plan_of(customer, timestamp(began_ms)));
        Entry {
            call,
            began_ms,
            customer: customer.map_or("", |customer| &customer.id),
            plan: plan.map_or("", |plan| &plan.name),
        }
    }
}

impl<'a> Entry<'a> {
    fn key(&self, hour: i64) -> Key<'a> {
        let Call { feature, provider, model, asked, .. } = self.call;
        let model = if model.is_empty() { asked } else { model };
        (hour, self.customer, self.plan, feature, provider, model)
    }
}

impl Totals {
    fn add(&mut self, call: &Call) {
        let (input, output) = call.tokens();
        for (sum, more) in [
            (&mut self.calls, 1),
            (&mut self.refused, call.is_refused().into()),
            (&mut self.failed, call.is_failed().into()),
            (&mut self.estimated, (call.quality == "estimated").into()),
            (&mut self.unpriced, call.is_unpriced().into()),
            (&mut self.input_tokens, input),
            (&mut self.output_tokens, output),
            (&mut self.cost, call.cost.unwrap_or(0)),
        ] {
            *sum = sum.saturating_add(more);
        }
    }
}

/// Appends the entries that are not in the ledger, and notes their ids in `fresh`.
async fn append(
    tx: &mut Tx,
    report: Report<'_>,
    entries: &[Entry<'_>],
    fresh: &mut BTreeSet<String>,
) -> Result<(), StoreError> {
    let mut insert = Statement::new(
        Kind::of(tx),
        "INSERT INTO ledger (call_id, began_ms, booked_ms, duration_ms, gateway, node, customer, \
         plan, tenant, feature, user_name, provider, api, asked, model, tier, status, quality, \
         leaves, input_tokens, output_tokens, cost, short, prices, decision) ",
    );
    insert.rows(entries, |row, entry| {
        let call = entry.call;
        let (input, output) = call.tokens();
        row.bind(&call.id);
        for number in [entry.began_ms, report.now_ms, column(call.duration_ms)] {
            row.bind(number);
        }
        for text in [report.gateway, report.node, entry.customer, entry.plan] {
            row.bind(text);
        }
        for text in [
            &call.tenant,
            &call.feature,
            &call.user,
            &call.provider,
            &call.api,
            &call.asked,
            &call.model,
            &call.tier,
        ] {
            row.bind(text);
        }
        row.bind(i64::from(call.status)).bind(&call.quality);
        row.bind(serde_json::to_string(&call.leaves).unwrap_or_default());
        row.bind(column(input)).bind(column(output)).bind(call.cost.map(column));
        row.bind(i64::from(call.short)).bind(&call.prices).bind(&call.decision);
    });
    insert.push(" ON CONFLICT (call_id) DO NOTHING RETURNING call_id");
    fresh.extend(insert.scalar::<String>().fetch_all(&mut **tx).await?);
    Ok(())
}

/// Adds to the hourly totals.
async fn total(tx: &mut Tx, hours: &[(Key<'_>, Totals)]) -> Result<(), StoreError> {
    let mut upsert = Statement::new(
        Kind::of(tx),
        "INSERT INTO hourly (hour, customer, plan, feature, provider, model, calls, refused, \
         failed, estimated, unpriced, input_tokens, output_tokens, cost) ",
    );
    upsert.rows(hours, |row, ((hour, customer, plan, feature, provider, model), sum)| {
        row.bind(*hour);
        for text in [customer, plan, feature, provider, model] {
            row.bind(*text);
        }
        for number in [
            sum.calls,
            sum.refused,
            sum.failed,
            sum.estimated,
            sum.unpriced,
            sum.input_tokens,
            sum.output_tokens,
            sum.cost,
        ] {
            row.bind(column(number));
        }
    });
    upsert.push(
        " ON CONFLICT (hour, customer, plan, feature, provider, model) DO UPDATE SET \
         calls = hourly.calls + excluded.calls, refused = hourly.refused + excluded.refused, \
         failed = hourly.failed + excluded.failed, estimated = hourly.estimated + excluded.estimated, \
         unpriced = hourly.unpriced + excluded.unpriced, \
         input_tokens = hourly.input_tokens + excluded.input_tokens, \
         output_tokens = hourly.output_tokens + excluded.output_tokens, \
         cost = hourly.cost + excluded.cost",
    );
    upsert.query().execute(&mut **tx).await.map(drop)
}

/// What calls take of budgets: amount and overrun by call, budget and window.
#[derive(Debug, Default)]
pub struct Charged(BTreeMap<(String, lending::Key), (u64, u64)>);

impl Charged {
    /// Adds what a call takes.
    pub fn add(&mut self, call: &str, key: &lending::Key, amount: u64, overrun: u64) {
        let sums = self.0.entry((call.to_owned(), key.clone())).or_default();
        *sums = (sums.0.saturating_add(amount), sums.1.saturating_add(overrun));
    }
}

/// Writes down what calls take of budgets.
///
/// # Errors
///
/// Returns an error if the database does.
pub async fn charge(tx: &mut Tx, charged: &Charged) -> Result<(), StoreError> {
    let charged: Vec<_> = charged.0.iter().collect();
    for some in charged.chunks(BATCH) {
        let mut upsert = Statement::new(
            Kind::of(tx),
            "INSERT INTO charge (call_id, budget, window_start, amount, overrun) ",
        );
        upsert.rows(some, |row, ((call, (budget, window)), (amount, overrun))| {
            row.bind(call).bind(budget).bind(window);
            row.bind(column(*amount)).bind(column(*overrun));
        });
        upsert.push(
            " ON CONFLICT (call_id, budget, window_start) DO UPDATE SET \
             amount = charge.amount + excluded.amount, overrun = charge.overrun + excluded.overrun",
        );
        upsert.query().execute(&mut **tx).await?;
    }
    Ok(())
}

/// Rows of one statement: with 25 columns, far below the 32,766 parameters that SQLite takes.
const BATCH: usize = 100;
