//! `POST /v1/sync`: one ask, one transaction, one answer.
//!
//! An ask that is sent again gets the answer that it got, byte for byte: a lost answer costs no
//! lease and counts no call twice. If the database fails, nothing of the ask holds, and the
//! gateway sends it again. `docs/protocol.md` says what follows from what.

use std::collections::BTreeSet;

use jiff::Timestamp;
use sqlx::Row as _;
use tollgate::calendar::window_of;
use tollgate::sync::{Answer, Ask, Charge, Grant, Return, VERSION, Want};

use crate::{
    acquaintance::News,
    alert,
    auth::{digest, hex},
    call::{Call, MAX_AMOUNT},
    customers::Book,
    ledger::{self, Report},
    lending::Lending,
    state::State,
    store::{StoreError, Tx, column},
    tenant,
};

/// What became of an ask.
#[derive(Debug)]
pub enum Outcome {
    /// It was heard. The text is the answer.
    Heard(String),
    /// It was heard before: the same answer again.
    Again(String),
    /// It is older than the last one, or says something else under the same number. The number is
    /// the last one that was heard.
    Stale(i64),
}

/// Why an ask is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Not JSON of the right shape; the place in the text. What stands there is not repeated.
    Shape(usize, usize),
    /// Another version of the protocol.
    Version,
    /// The name of the gateway is empty or too long.
    Gateway,
    /// The sequence begins at 1.
    Sequence,
}

/// Reads an ask.
///
/// # Errors
///
/// Returns why it is none.
pub fn read(body: &[u8]) -> Result<Ask, Refusal> {
    let ask: Ask = serde_json::from_slice(body)
        .map_err(|error| Refusal::Shape(error.line(), error.column()))?;
    match &ask {
        Ask { v, .. } if *v != VERSION => Err(Refusal::Version),
        Ask { gateway, .. } if gateway.is_empty() || gateway.len() > MAX_NAME => {
            Err(Refusal::Gateway)
        }
        Ask { seq: 0, .. } => Err(Refusal::Sequence),
        _ => Ok(ask),
    }
}

/// Hears an ask out: books, lends, looks up, answers.
///
/// # Errors
///
/// Returns an error if the database does. Then nothing has happened.
pub async fn hear(state: &State, ask: &Ask, body: &[u8]) -> Result<Outcome, StoreError> {
    let mut tx = state.store.begin().await?;
    let digest = hex(&digest(body));
    let last =
        sqlx::query("SELECT seq, digest, answer FROM reporter WHERE gateway = $1 AND worker = $2");
    let last = last.bind(&ask.gateway).bind(column(ask.worker)).fetch_optional(&mut *tx).await?;
    if let Some(last) = last {
        let seq: i64 = last.try_get(0)?;
        if seq == column(ask.seq) && last.try_get::<String, _>(1)? == digest {
            return Ok(Outcome::Again(last.try_get(2)?));
        }
        if seq >= column(ask.seq) {
            return Ok(Outcome::Stale(seq));
        }
    }
    let books = state.books();
    let now = state.clock.now();
    let hearing = Hearing { state, ask, book: &books.book, now };
    let news = state.acquaintances.news(&ask.gateway, &books, now);
    let answer = hearing.answer(&mut tx, &news).await?;
    let text = serde_json::to_string(&answer).unwrap_or_default();
    let upsert = sqlx::query(
        "INSERT INTO reporter (gateway, worker, seq, digest, answer, node, seen_ms) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (gateway, worker) DO UPDATE SET \
         seq = excluded.seq, digest = excluded.digest, answer = excluded.answer, \
         node = excluded.node, seen_ms = excluded.seen_ms",
    );
    let upsert = upsert.bind(&ask.gateway).bind(column(ask.worker)).bind(column(ask.seq));
    let upsert = upsert.bind(digest).bind(&text).bind(node(ask)).bind(now.as_millisecond());
    upsert.execute(&mut *tx).await?;
    tx.commit().await?;
    state.acquaintances.told(&ask.gateway, &books, now, &news, &answer);
    state.metrics.lent(&answer.grants);
    Ok(Outcome::Heard(text))
}

/// One ask, and what is needed to answer it.
struct Hearing<'a> {
    state: &'a State,
    ask: &'a Ask,
    book: &'a Book,
    now: Timestamp,
}

impl Hearing<'_> {
    async fn answer(&self, tx: &mut Tx, news: &News) -> Result<Answer, StoreError> {
        let mut lending = Lending::of(&self.ask.gateway);
        self.book_rows(tx, &mut lending).await?;
        for back in &self.ask.returns {
            self.take_back(tx, &mut lending, back).await?;
        }
        let mut grants = Vec::with_capacity(self.ask.wants.len());
        for want in &self.ask.wants {
            grants.push(self.grant(tx, &mut lending, want).await?);
        }
        let lease_ms = self.state.terms.admit_ms.saturating_add(self.state.terms.settle_ms);
        lending.save(tx, self.now.as_millisecond().saturating_add(column(lease_ms))).await?;
        let mut names: BTreeSet<_> = self.ask.tenants.iter().map(String::as_str).collect();
        names.extend(news.names.iter().map(String::as_str));
        let mut answer = Answer { v: VERSION, seq: self.ask.seq, grants, ..Answer::default() };
        for name in names.into_iter().take(MAX_NAMES) {
            match self.book.find(name) {
                Some(customer) => {
                    answer.tenants.push(tenant::of(tx, self.book, customer, name, self.now).await?);
                }
                None => answer.unknown.push(name.to_owned()),
            }
        }
        Ok(answer)
    }

    /// Books the calls that are new, and what they took of budgets.
    async fn book_rows(&self, tx: &mut Tx, lending: &mut Lending<'_>) -> Result<(), StoreError> {
        let rows = self.ask.rows.iter();
        let calls: Vec<_> = rows.map(|row| (Call::read(&row.call), &row.charges)).collect();
        let report = Report {
            book: self.book,
            gateway: &self.ask.gateway,
            node: node(self.ask),
            now_ms: self.now.as_millisecond(),
        };
        let readable = calls.iter().filter_map(|(call, _)| call.as_ref());
        let mut booked = ledger::book(tx, report, readable.clone()).await?;
        self.state.metrics.booked(calls.len(), readable.count(), booked.fresh.len());
        for (call, charges) in &calls {
            let Some(call) = call.as_ref().filter(|call| booked.fresh.remove(&call.id)) else {
                continue;
            };
            for charge in *charges {
                self.charge(tx, lending, &call.id, charge).await?;
            }
        }
        let settled = alert::Settled {
            customers: booked.spent.into_keys().collect(),
            balances: changed(lending),
        };
        alert::raise(tx, self.book, self.now, &settled).await
    }

    async fn charge(
        &self,
        tx: &mut Tx,
        lending: &mut Lending<'_>,
        call: &str,
        charge: &Charge,
    ) -> Result<(), StoreError> {
        if charge.budget.len() > MAX_NAME || charge.amount > MAX_AMOUNT {
            self.state.metrics.charge_refused();
            return Ok(());
        }
        let key = (charge.budget.clone(), column(charge.window));
        let account = lending.account(tx, key, self.limit(&charge.budget)).await?;
        account.named |= account.lease.outstanding() > 0 || account.lease.suspense > 0;
        let settled = account.pool.settle(&mut account.lease, charge.amount, charge.beyond);
        let insert = sqlx::query(
            "INSERT INTO charge (call_id, budget, window_start, amount, overrun) \
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT (call_id, budget, window_start) DO UPDATE SET \
             amount = charge.amount + excluded.amount, overrun = charge.overrun + excluded.overrun",
        );
        let insert = insert.bind(call).bind(&charge.budget).bind(column(charge.window));
        let insert = insert.bind(column(charge.amount)).bind(column(settled.overrun));
        insert.execute(&mut **tx).await.map(drop)
    }

    async fn take_back(
        &self,
        tx: &mut Tx,
        lending: &mut Lending<'_>,
        back: &Return,
    ) -> Result<(), StoreError> {
        if back.budget.len() > MAX_NAME {
            return Ok(());
        }
        let key = (back.budget.clone(), column(back.window));
        let account = lending.account(tx, key, self.limit(&back.budget)).await?;
        account.named = true;
        account.pool.give_back(&mut account.lease, back.amount);
        Ok(())
    }

    async fn grant(
        &self,
        tx: &mut Tx,
        lending: &mut Lending<'_>,
        want: &Want,
    ) -> Result<Grant, StoreError> {
        let admit_ms = self.state.terms.admit_ms;
        let nothing = Grant {
            budget: want.budget.clone(),
            window: want.window,
            admit_ms,
            ..Grant::default()
        };
        let Some((customer, rule)) = self.book.budget(&want.budget, self.now) else {
            return Ok(nothing);
        };
        let window = window_of(rule.cycle, &self.book.business.zone, self.now).id();
        let account = lending.account(tx, (want.budget.clone(), window), rule.limit).await?;
        account.named = true;
        account.pool.revive(&mut account.lease);
        let (need, want) = if customer.suspended { (0, 0) } else { (want.need, want.want) };
        let amount = account.pool.grant(&mut account.lease, need, want);
        let window = u64::try_from(window).unwrap_or(0);
        Ok(Grant { window, amount, left: account.pool.free(), ..nothing })
    }

    fn limit(&self, budget: &str) -> u64 {
        self.book.budget(budget, self.now).map_or(0, |(_, rule)| rule.limit)
    }
}

/// The balances against which something was settled.
fn changed(lending: &Lending<'_>) -> Vec<alert::Balance> {
    let changed =
        lending.accounts.iter().filter(|(_, account)| account.pool.settled > account.before);
    let changed = changed.map(|((budget, window), account)| alert::Balance {
        budget: budget.clone(),
        window_start: u64::try_from(*window).unwrap_or(0),
        used: account.pool.settled,
    });
    changed.collect()
}

/// The gateway's name, as much of it as is stored.
fn node(ask: &Ask) -> &str {
    ask.node.get(..ask.node.floor_char_boundary(MAX_NAME)).unwrap_or_default()
}

/// The longest name of a gateway and the longest id of a budget.
const MAX_NAME: usize = 512;
/// Names that are looked up in one ask; the others get no answer, and are asked for again.
const MAX_NAMES: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_ask_is_refused_without_repeating_it() {
        #[rustfmt::skip]
        let cases = [
            (&b"\xff\xfe"[..],                                     Refusal::Shape(1, 1)),
            (b"",                                                  Refusal::Shape(1, 0)),
            (b"{\"v\":1,\n\"gateway\":7}",                         Refusal::Shape(2, 11)),
            (b"{\"v\":2,\"gateway\":\"g\",\"worker\":0,\"seq\":1}", Refusal::Version),
            (b"{\"v\":1,\"gateway\":\"\",\"worker\":0,\"seq\":1}", Refusal::Gateway),
            (b"{\"v\":1,\"gateway\":\"g\",\"worker\":0,\"seq\":0}", Refusal::Sequence),
        ];
        for (body, refusal) in cases {
            assert_eq!(read(body), Err(refusal), "{}", body.escape_ascii());
        }
        assert!(read(b"{\"v\":1,\"gateway\":\"g\",\"worker\":0,\"seq\":1,\"new\":[]}").is_ok());
    }
}
