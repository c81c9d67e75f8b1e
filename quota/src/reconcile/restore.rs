//! Restores from an access log what a gateway that died had not reported.
//!
//! A call is booked by its id, in the transaction that a report of it would have been booked in, and
//! settles the lease of its gateway: its loan, then what of it is in suspense. Which budgets it
//! counts against follows from `customers.yaml`, at the time of the call. A gateway that was heard
//! of lately may still report: its calls are left to it, unless the operator says that it is gone.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    io::{self, BufRead},
};

use jiff::Timestamp;
use sqlx::Row as _;
use tollgate::{
    budget::Used,
    calendar::{timestamp, window_of},
    rule::Rule,
    scope::{self, Scope},
    sync::Unit,
};

use super::line::{Found, find};
use crate::{
    alert,
    call::Call,
    charge::{Taken, settle},
    counted::is_unit,
    customers::Book,
    ledger::{self, Report},
    lending::Lending,
    statement::Statement,
    store::{Store, StoreError, Tx, amount, column},
};

/// What an access log and the ledger say of each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Lines read.
    pub lines: u64,
    /// Lines that are no JSON or hold half a call; the first of them.
    pub broken: (u64, Option<u64>),
    /// Different calls in the log.
    pub calls: u64,
    /// Of these: in the ledger already, and the same.
    pub same: u64,
    /// In the ledger already, with another cost, usage or name. Left as it is.
    pub differing: Vec<String>,
    /// Not in the ledger: booked now, or, in a dry run, to be booked.
    pub restored: u64,
    /// Nano-dollars of the restored.
    pub cost: u64,
    /// Not in the ledger, but of a gateway that may still report them.
    pub waiting: u64,
    /// In the ledger between the log's first call and its last, of gateways that the log has calls
    /// of, and not in the log.
    pub only_ledger: Vec<String>,
}

/// What is to be done.
#[derive(Clone, Copy, Debug)]
pub struct Task<'a> {
    /// The customers.
    pub book: &'a Book,
    /// What time it is.
    pub now: Timestamp,
    /// For how long a gateway may be silent and still report. `None`: all are gone.
    pub patience_ms: Option<u64>,
    /// Whether anything is written.
    pub dry: bool,
}

/// Why an access log cannot be reconciled.
#[derive(Debug)]
pub enum Fault {
    /// It cannot be read.
    Log(io::Error),
    /// The database fails.
    Store(StoreError),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Log(error) => write!(f, "the access log cannot be read: {error}"),
            Self::Store(error) => write!(f, "the database: {error}"),
        }
    }
}

impl std::error::Error for Fault {}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Books what stands in the log and not in the ledger, and tells how they differ.
///
/// # Errors
///
/// Returns an error if the log cannot be read or the database fails. What was booked until then
/// stays booked: to run it again is safe.
pub async fn restore(
    store: &Store,
    task: Task<'_>,
    mut log: impl BufRead,
) -> Result<Difference, Fault> {
    let mut difference = Difference::default();
    let mut seen = Seen::default();
    let mut batch = BTreeMap::new();
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = log.read_until(b'\n', &mut line).map_err(Fault::Log)?;
        if read > 0 {
            difference.take(&line, &mut seen, &mut batch);
        }
        if batch.len() >= BATCH || (read == 0 && !batch.is_empty()) {
            let calls = std::mem::take(&mut batch);
            reconcile(store, task, calls, &mut difference).await?;
        }
        if read == 0 {
            break;
        }
    }
    difference.only_ledger = seen.missing(store).await?;
    Ok(difference)
}

impl Difference {
    fn take(&mut self, line: &[u8], seen: &mut Seen, batch: &mut BTreeMap<String, Call>) {
        self.lines = self.lines.saturating_add(1);
        let call = match std::str::from_utf8(line).map_or(Found::Broken, find) {
            Found::Nothing => return,
            Found::Call(value) => Call::read(&value),
            Found::Broken => None,
        };
        let Some(call) = call else {
            self.broken.0 = self.broken.0.saturating_add(1);
            self.broken.1.get_or_insert(self.lines);
            return;
        };
        if seen.note(&call) {
            self.calls = self.calls.saturating_add(1);
            batch.insert(call.id.clone(), call);
        }
    }
}

/// The calls of a log.
#[derive(Debug, Default)]
struct Seen {
    ids: BTreeSet<String>,
    gateways: BTreeSet<String>,
    span: Option<(i64, i64)>,
}

impl Seen {
    /// Whether the call is new.
    fn note(&mut self, call: &Call) -> bool {
        if !self.ids.insert(call.id.clone()) {
            return false;
        }
        self.gateways.insert(gateway(call).to_owned());
        let at = column(call.began_ms);
        let (first, last) = self.span.unwrap_or((at, at));
        self.span = Some((first.min(at), last.max(at)));
        true
    }

    /// The calls of the ledger that should have been in the log.
    async fn missing(&self, store: &Store) -> Result<Vec<String>, StoreError> {
        let Some((first, last)) = self.span else { return Ok(Vec::new()) };
        let mut missing = Vec::new();
        for gateway in &self.gateways {
            let rows = sqlx::query(
                "SELECT call_id FROM ledger WHERE began_ms >= $1 AND began_ms <= $2 \
                 AND gateway = $3 ORDER BY call_id",
            );
            let rows = rows.bind(first).bind(last).bind(gateway).fetch_all(store.reader()).await?;
            for row in rows {
                let id: String = row.try_get(0)?;
                if !self.ids.contains(&id) {
                    missing.push(id);
                }
            }
        }
        Ok(missing)
    }
}

/// The incarnation of the gateway that has made a call's id.
fn gateway(call: &Call) -> &str {
    call.id.split('-').next().unwrap_or_default()
}

/// One batch of calls: what is known is compared, what is not is booked, gateway by gateway.
async fn reconcile(
    store: &Store,
    task: Task<'_>,
    mut calls: BTreeMap<String, Call>,
    difference: &mut Difference,
) -> Result<(), StoreError> {
    for (id, same) in known(store, &calls).await? {
        calls.remove(&id);
        if same {
            difference.same = difference.same.saturating_add(1);
        } else {
            difference.differing.push(id);
        }
    }
    let mut by_gateway: BTreeMap<String, Vec<Call>> = BTreeMap::new();
    for call in calls.into_values() {
        by_gateway.entry(gateway(&call).to_owned()).or_default().push(call);
    }
    for (gateway, calls) in by_gateway {
        let mut tx = store.begin().await?;
        let count = u64::try_from(calls.len()).unwrap_or(u64::MAX);
        if may_report(&mut tx, &gateway, task).await? {
            difference.waiting = difference.waiting.saturating_add(count);
        } else if task.dry {
            difference.add(calls.iter());
        } else {
            let fresh = book(&mut tx, &gateway, &calls, task).await?;
            tx.commit().await?;
            difference.add(calls.iter().filter(|call| fresh.contains(&call.id)));
        }
    }
    Ok(())
}

impl Difference {
    fn add<'a>(&mut self, calls: impl Iterator<Item = &'a Call>) {
        for call in calls {
            self.restored = self.restored.saturating_add(1);
            self.cost = self.cost.saturating_add(call.cost.unwrap_or(0));
        }
    }
}

/// Which of the calls the ledger has, and whether it says the same of them.
async fn known(
    store: &Store,
    calls: &BTreeMap<String, Call>,
) -> Result<Vec<(String, bool)>, StoreError> {
    let mut query = Statement::new(
        store.kind(),
        "SELECT call_id, tenant, model, input_tokens, output_tokens, cost FROM ledger \
         WHERE call_id IN (",
    );
    query.rows(calls.keys(), |row, id| _ = row.bind(id)).push(")");
    let mut known = Vec::new();
    for row in query.query().fetch_all(store.reader()).await? {
        let id: String = row.try_get(0)?;
        let Some(call) = calls.get(&id) else { continue };
        let (input, output) = call.tokens();
        let same = row.try_get::<String, _>(1)? == call.tenant
            && row.try_get::<String, _>(2)? == call.model
            && amount(row.try_get(3)?) == input
            && amount(row.try_get(4)?) == output
            && row.try_get::<Option<i64>, _>(5)?.map(amount) == call.cost;
        known.push((id, same));
    }
    Ok(known)
}

/// Whether the gateway was heard of so lately that what is missing may still come from it.
async fn may_report(tx: &mut Tx, gateway: &str, task: Task<'_>) -> Result<bool, StoreError> {
    let Some(patience_ms) = task.patience_ms else { return Ok(false) };
    let since = task.now.as_millisecond().saturating_sub(column(patience_ms));
    let heard = sqlx::query("SELECT 1 FROM reporter WHERE gateway = $1 AND seen_ms > $2 LIMIT 1");
    Ok(heard.bind(gateway).bind(since).fetch_optional(&mut **tx).await?.is_some())
}

/// Books calls of one gateway, as if it had reported them. Returns the ids of those that were new.
async fn book(
    tx: &mut Tx,
    gateway: &str,
    calls: &[Call],
    Task { book, now, .. }: Task<'_>,
) -> Result<BTreeSet<String>, StoreError> {
    let report = Report { book, gateway, node: "reconciled", now_ms: now.as_millisecond() };
    let booked = ledger::book(tx, report, calls.iter()).await?;
    let fresh = calls.iter().filter(|call| booked.fresh.contains(&call.id));
    let charges: Vec<_> = fresh.flat_map(|call| charges(book, call, now)).collect();
    let keys = charges.iter().map(|taken| taken.key.clone()).collect();
    let limit = |budget: &str| book.budget(budget, now).map_or(0, |found| found.rule.limit);
    let mut lending = Lending::open(tx, gateway, keys, limit).await?;
    let charged = settle(tx, &mut lending, &charges).await?;
    ledger::charge(tx, &charged).await?;
    alert::raise(tx, book, now, &lending.settled(booked.spent)).await?;
    // The gateway is gone: what it has left is due to go to suspense, or is there.
    lending.save(tx, now.as_millisecond()).await?;
    Ok(booked.fresh)
}

/// What a call takes of which budgets, as the gateway would have said.
fn charges<'a>(book: &Book, call: &'a Call, now: Timestamp) -> Vec<Taken<'a>> {
    let at = timestamp(column(call.began_ms)).min(now);
    let Some(customer) = book.find(&call.tenant).filter(|_| !call.is_refused()) else {
        return Vec::new();
    };
    let kinds = call.kinds();
    let used = Used {
        nano_usd: call.cost.unwrap_or(0),
        tokens: kinds.input.saturating_add(kinds.output),
        kinds,
        success: !call.is_failed(),
    };
    let call_scope = scope(call);
    let applies = |rule: &Rule| {
        let own = rule.feature.as_deref();
        own.is_none_or(|own| own == call.feature) && rule.matches.has(&call_scope)
    };
    let rules = book.budgets_of(customer, at).into_iter().filter(|(_, rule)| applies(rule));
    let charges = rules.map(|(owner, rule)| {
        let window = window_of(rule.cycle, &book.business.zone, at).id();
        let id = owner.budget_id(rule);
        let id = match rule.per.as_slice() {
            [] => id,
            per => scope::id(&id, &scope::part(per, &call_scope)),
        };
        let amount = used.amount(rule.measure());
        let unit = (rule.unit == Unit::Units).then_some(call.unit.as_str());
        let unit = unit.filter(|unit| is_unit(unit));
        // Which calls of a unit held anything, the log does not say.
        Taken { call: &call.id, key: (id, window), amount, beyond: 0, held: 0, unit }
    });
    charges.filter(|taken| taken.amount > 0).collect()
}

/// What a call was, as far as its row says. Under which key its tenant was seen, it does not.
fn scope(call: &Call) -> Scope<'_> {
    fn named(text: &str) -> Option<&str> {
        (!text.is_empty()).then_some(text)
    }
    // Who was moved counts for the model that answered.
    let moved = call.decision == "downgrade" || call.asked.is_empty();
    let model = if moved { &call.model } else { &call.asked };
    Scope {
        feature: named(&call.feature),
        model: named(model),
        provider: named(&call.provider),
        key: None,
        unit: None,
    }
}

/// Calls that are looked up and booked at once.
const BATCH: usize = 500;
