//! What is to be told to the service, and what it has been asked.
//!
//! One ask is under way at a time. An ask without an answer is sent again as it was, under the same
//! number, so that the service can tell it from a new one: nothing is counted or lent twice.

use std::collections::{BTreeMap, VecDeque};

use super::tenants::Tenants;
use crate::shared::Shared;
use crate::slice::{Loan, lend};
use crate::sync::{Answer, Ask, Grant, Knows, LEVEL, Return, Row, VERSION, Want};

/// One worker's correspondence with the service.
#[derive(Debug, Default)]
pub struct Book {
    rows: VecDeque<Row>,
    wants: BTreeMap<String, Want>,
    returns: Vec<Return>,
    /// Whether there are wishes that cannot wait for the next tick.
    pressed: bool,
    /// What was lent and could not be added to its lease yet.
    unlent: Vec<(String, Loan)>,
    /// The last ask, until it is answered.
    open: Option<Ask>,
    /// Whether it is under way.
    sent: bool,
    /// From when on it is late.
    late_ms: u64,
    seq: u64,
    failures: u32,
    away_until_ms: u64,
    lost: u64,
    unleased: u64,
}

impl Book {
    /// Puts down a call that has ended.
    pub fn add(&mut self, row: Row) {
        if self.rows.len() >= MAX_ROWS {
            // The oldest row goes: the access log still has it.
            self.rows.pop_front();
            self.lost = self.lost.saturating_add(1);
        }
        self.rows.push_back(row);
    }

    /// Puts down the wish of a call that waits. A later one adds to it: they all wait for one ask.
    pub fn need(&mut self, want: Want) {
        self.pressed = true;
        self.want(want);
    }

    /// Puts down a wish for which nobody waits yet.
    pub fn want(&mut self, want: Want) {
        let old = self.wants.entry(want.budget.clone()).or_default();
        let all = old.want.saturating_add(want.need);
        *old = Want { need: want.need.max(old.need), want: all.max(want.want), ..want };
    }

    /// Puts down what is given back.
    pub fn give_back(&mut self, budget: String, window: u64, amount: u64) {
        if amount > 0 {
            self.returns.push(Return { budget, window, amount });
        }
    }

    /// Counts a call that passed without a lease because the service was away.
    pub const fn note_unleased(&mut self) {
        self.unleased = self.unleased.saturating_add(1);
    }

    /// Takes the numbers of rows that were lost, and of calls that passed without a lease.
    pub const fn take_counts(&mut self) -> (u64, u64) {
        (core::mem::replace(&mut self.lost, 0), core::mem::replace(&mut self.unleased, 0))
    }

    /// Whether the service is taken to be away, so that nobody should wait for it: an ask has
    /// failed a moment ago, or is late. The answer to one that is late is still taken.
    #[must_use]
    pub const fn is_away(&self, now_ms: u64) -> bool {
        now_ms < self.away_until_ms || self.sent && now_ms >= self.late_ms
    }

    /// The ask to be sent now, if one is due: at a tick if there is anything to say, else only if a
    /// call waits or there is too much for one ask. It must be answered by [`Book::on_answer`] or
    /// [`Book::on_failure`].
    pub fn next(&mut self, tenants: &mut Tenants, from: &Sender, at: Moment) -> Option<Ask> {
        if self.sent || self.is_away(at.now_ms) {
            return None;
        }
        if self.open.is_none() {
            let due = if at.is_tick { self.has_news() } else { self.is_pressed() };
            if !due && !tenants.has_asks() {
                return None;
            }
            self.seq = self.seq.saturating_add(1);
            let rows = self.rows.len().min(MAX_ROWS_AT_ONCE);
            self.open = Some(Ask {
                v: VERSION,
                level: LEVEL,
                gateway: from.gateway.clone(),
                node: from.node.clone(),
                worker: from.worker,
                seq: self.seq,
                rows: self.rows.drain(..rows).collect(),
                tenants: tenants.take_asks(),
                wants: self.take_wants(),
                returns: core::mem::take(&mut self.returns),
                prices: from.prices.clone(),
            });
        }
        self.sent = true;
        self.late_ms = at.now_ms.saturating_add(at.patience_ms);
        self.open.clone()
    }

    fn has_news(&self) -> bool {
        !(self.rows.is_empty() && self.wants.is_empty() && self.returns.is_empty())
    }

    fn is_pressed(&self) -> bool {
        self.pressed || self.rows.len() >= MAX_ROWS_AT_ONCE
    }

    /// Takes the wishes for one ask: first those of calls that wait. The others come with the next.
    fn take_wants(&mut self) -> Vec<Want> {
        let all = core::mem::take(&mut self.wants).into_values();
        let (mut wants, others): (Vec<_>, Vec<_>) = all.partition(|want| want.need > 0);
        wants.extend(others);
        let later = wants.split_off(wants.len().min(MAX_WANTS_AT_ONCE));
        self.pressed = !later.is_empty();
        self.wants.extend(later.into_iter().map(|want| (want.budget.clone(), want)));
        wants
    }

    /// Takes in an answer. One to another ask than the open one is too late, and passed over.
    pub fn on_answer(
        &mut self,
        tenants: &mut Tenants,
        shared: &mut impl Shared,
        answer: Answer,
        now_ms: u64,
    ) {
        if self.open.as_ref().is_none_or(|ask| ask.seq != answer.seq) {
            return;
        }
        (self.open, self.sent, self.failures, self.away_until_ms) = (None, false, 0, 0);
        for tenant in answer.tenants {
            tenants.learn(shared, tenant, now_ms);
        }
        for name in answer.unknown {
            tenants.learn_unknown(name, now_ms);
        }
        let loans = answer.grants.into_iter().map(|grant| {
            let until_ms = now_ms.saturating_add(grant.admit_ms);
            let Grant { budget, window, amount, left, used, .. } = grant;
            (budget, Loan { window, amount, left, used, until_ms })
        });
        self.unlent.extend(loans);
        self.lend_again(shared, now_ms);
    }

    /// Notes that the open ask has failed. It is sent again after a while that grows.
    pub fn on_failure(&mut self, from: &Sender, now_ms: u64) {
        self.sent = false;
        self.failures = self.failures.saturating_add(1).min(MAX_DOUBLINGS);
        let wait = FIRST_WAIT_MS.saturating_mul(1 << self.failures.saturating_sub(1));
        // Workers that failed together do not come back together.
        let spread = from.worker.saturating_mul(137) % FIRST_WAIT_MS;
        self.away_until_ms = now_ms.saturating_add(wait).saturating_add(spread);
    }

    /// Notes that the service will never take the open ask. It is given up; its rows are counted as
    /// lost, and what it gave back or wished for stands in suspense at the service.
    pub fn on_refusal(&mut self, from: &Sender, now_ms: u64) {
        let rows = self.open.take().map_or(0, |ask| ask.rows.len());
        self.lost = self.lost.saturating_add(u64::try_from(rows).unwrap_or(u64::MAX));
        self.on_failure(from, now_ms);
    }

    /// Adds loans to their leases, for which others were too fast before.
    pub fn lend_again(&mut self, shared: &mut impl Shared, now_ms: u64) {
        self.unlent.retain(|(budget, loan)| lend(shared, budget, *loan, now_ms).is_err());
    }
}

/// When an ask is looked for.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Now.
    pub now_ms: u64,
    /// Whether it is time to report calls, even if nobody waits.
    pub is_tick: bool,
    /// After how long the answer is late.
    pub patience_ms: u64,
}

/// Who asks.
#[derive(Clone, Debug, Default)]
pub struct Sender {
    /// The incarnation of this process.
    pub gateway: String,
    /// Envoy's name for itself.
    pub node: String,
    /// This worker's number.
    pub worker: u64,
    /// What it has of prices.
    pub prices: Option<Knows>,
}

/// Rows that wait for the service: some minutes of a busy worker, and some ten megabytes.
const MAX_ROWS: usize = 20_000;
/// Rows in one ask: some hundred kilobytes, and some hundred milliseconds of the service's time.
const MAX_ROWS_AT_ONCE: usize = 1_000;
/// Wishes in one ask: some ten milliseconds of the service's time, for which others wait.
const MAX_WANTS_AT_ONCE: usize = 256;
/// The wait after the first failure.
const FIRST_WAIT_MS: u64 = 1_000;
/// The wait doubles so many times less one: to 16 seconds.
const MAX_DOUBLINGS: u32 = 5;
