//! What is to be told to the service, and what it has been asked.
//!
//! One ask is under way at a time. An ask without an answer is sent again as it was, under the same
//! number, so that the service can tell it from a new one: nothing is counted or lent twice.

use std::collections::BTreeMap;

use super::backoff::BackOff;
use super::counted::Inquiry;
use super::outbox::Outbox;
use super::parts;
use super::tenants::Tenants;
use crate::shared::Shared;
use crate::slice::{Lease, Loan, drain, lend};
use crate::sync::{Answer, Ask, Counted, Grant, Knows, LEVEL, Return, Row, Tenant, VERSION, Want};

/// One worker's correspondence with the service.
#[derive(Debug, Default)]
pub struct Book {
    outbox: Outbox,
    wants: BTreeMap<String, Want>,
    returns: Vec<Return>,
    /// Units of which it is not known whether they are counted.
    units: Inquiry,
    /// Whether there are wishes that cannot wait for the next report.
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
    back_off: BackOff,
    unleased: u64,
}

impl Book {
    /// Puts down a call that has ended.
    pub fn add(&mut self, row: Row) {
        self.outbox.add(row);
    }

    /// Whether so many calls wait to be told that a call that must not be lost should not begin.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.outbox.is_full()
    }

    /// Puts down the wish of a call that waits. A later one adds to it: they all wait for one ask.
    pub fn need(&mut self, want: Want) {
        self.pressed = true;
        self.want(want);
    }

    /// Puts down that a call waits to hear whether its unit is counted already. Returns whether it is
    /// worth while: it was not a moment ago.
    pub(super) fn inquire(&mut self, unit: Counted, now_ms: u64) -> bool {
        let waits = self.units.ask(unit, now_ms);
        self.pressed |= waits;
        waits
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

    /// Puts down what is given back because others wait for it.
    pub fn give_back_now(&mut self, budget: String, window: u64, amount: u64) {
        self.pressed |= amount > 0;
        self.give_back(budget, window, amount);
    }

    /// Counts a call that passed without a lease because the service was away.
    pub const fn note_unleased(&mut self) {
        self.unleased = self.unleased.saturating_add(1);
    }

    /// Takes the numbers of rows that were lost, and of calls that passed without a lease.
    pub const fn take_counts(&mut self) -> (u64, u64) {
        (self.outbox.take_lost(), core::mem::replace(&mut self.unleased, 0))
    }

    /// Whether the service is taken to be away, so that nobody should wait for it: an ask has
    /// failed a moment ago, or is late. The answer to one that is late is still taken.
    #[must_use]
    pub const fn is_away(&self, now_ms: u64) -> bool {
        self.back_off.is_on(now_ms) || self.sent && now_ms >= self.late_ms
    }

    /// The ask to be sent now, if one is due: at a tick if there is anything to say, else only if a
    /// call waits or there is too much for one ask. It must be answered by [`Book::on_answer`],
    /// [`Book::on_failure`], [`Book::on_stale`] or [`Book::on_refusal`].
    pub fn next(&mut self, tenants: &mut Tenants, from: &Sender, at: Moment) -> Option<Ask> {
        if self.sent || self.is_away(at.now_ms) {
            return None;
        }
        if self.open.is_none() {
            let due = if at.is_tick {
                self.has_news() || tenants.has_refreshes()
            } else {
                self.pressed || self.outbox.is_pressed()
            };
            if !due && !tenants.has_asks() {
                return None;
            }
            self.seq = self.seq.saturating_add(1);
            let is_report = at.is_tick || self.outbox.is_pressed();
            self.open = Some(Ask {
                v: VERSION,
                level: LEVEL,
                gateway: from.gateway.clone(),
                node: from.node.clone(),
                worker: from.worker,
                seq: self.seq,
                rows: self.outbox.take(if is_report { usize::MAX } else { FEW_ROWS }),
                tenants: tenants.take_asks(),
                wants: self.take_wants(),
                returns: core::mem::take(&mut self.returns),
                units: self.units.take(),
                prices: from.prices.clone(),
            });
        }
        self.sent = true;
        self.late_ms = at.now_ms.saturating_add(at.patience_ms);
        self.open.clone()
    }

    fn has_news(&self) -> bool {
        !(self.outbox.is_empty() && self.wants.is_empty() && self.returns.is_empty())
    }

    /// Takes the wishes for one ask: first those of calls that wait. The others come with the next,
    /// at once only if calls wait for them, or there are so many that they would pile up.
    fn take_wants(&mut self) -> Vec<Want> {
        let all = core::mem::take(&mut self.wants).into_values();
        let (mut wants, others): (Vec<_>, Vec<_>) = all.partition(|want| want.need > 0);
        wants.extend(others);
        let later = wants.split_off(wants.len().min(MAX_WANTS_AT_ONCE));
        let waits = later.iter().any(|want| want.need > 0);
        self.pressed = waits || later.len() >= MAX_WANTS_AT_ONCE;
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
        let Some(ask) = self.open.take_if(|ask| ask.seq == answer.seq) else { return };
        (self.sent, self.back_off) = (false, BackOff::default());
        self.units.on_answer(shared, ask.units, &answer.counted, now_ms);
        self.outbox.on_heard();
        tenants.on_edition(answer.edition);
        for tenant in answer.tenants {
            if let Some(old) = tenants.learn(shared, tenant.clone(), now_ms) {
                self.recall(shared, &old.tenant, Some(&tenant));
            }
        }
        for name in answer.unknown {
            if let Some(old) = tenants.learn_unknown(shared, name, now_ms) {
                self.recall(shared, &old.tenant, None);
            }
        }
        let loans = answer.grants.into_iter().map(|grant| {
            let until_ms = now_ms.saturating_add(grant.admit_ms);
            let Grant { budget, window, amount, left, used, lent, .. } = grant;
            (budget, Loan { window, amount, left, used, lent, until_ms })
        });
        self.unlent.extend(loans);
        self.lend_again(shared, now_ms);
    }

    /// Gives back what no worker has drawn of budgets that are gone, whose limit is lower now, or
    /// whose customer must not call any more. What workers have drawn follows with their ticks.
    fn recall(&mut self, shared: &mut impl Shared, old: &Tenant, new: Option<&Tenant>) {
        let new = new.filter(|new| !new.suspended);
        for budget in &old.budgets {
            let now = new.and_then(|new| new.budgets.iter().find(|now| now.id == budget.id));
            if now.is_some_and(|now| now.limit >= budget.limit) {
                continue;
            }
            for id in parts::all(shared, budget) {
                // Whichever window the lease is of: one that rolls along is of a later one than was told.
                let Some(Lease { window, .. }) = Lease::of(shared, &id) else { continue };
                let amount = drain(shared, &id, window, u64::MAX).unwrap_or(0);
                self.give_back_now(id, window, amount);
            }
        }
    }

    /// Notes that the open ask has failed. It is sent again after a while that grows.
    pub fn on_failure(&mut self, from: &Sender, now_ms: u64) {
        self.sent = false;
        self.back_off.fail(from, now_ms);
    }

    /// Notes that the service has heard another ask under this number or a later one; `last` is the
    /// last it heard. The rows are said again after that: those that it has, it knows by their ids.
    /// What was given back is not: whether it was heard is not known, and it is not lent by guess.
    pub fn on_stale(&mut self, last: u64, from: &Sender, now_ms: u64) {
        if let Some(ask) = self.open.take() {
            self.outbox.take_back(ask.rows);
            self.seq = self.seq.max(last);
        }
        self.on_failure(from, now_ms);
    }

    /// Notes that the service will never take the open ask. Its rows go in smaller parts, until the
    /// one is found that is refused by itself: that one is given up, and counted. What it wished for
    /// is wished for again by whoever needs it.
    pub fn on_refusal(&mut self, from: &Sender, now_ms: u64) {
        let mut searches = false;
        if let Some(ask) = self.open.take() {
            searches = ask.rows.len() > 1;
            if !ask.rows.is_empty() {
                self.returns.extend(ask.returns);
            }
            self.outbox.on_refusal(ask.rows);
        }
        // The search ends after a dozen halves: leases shall not wait for it as for a failure.
        if searches {
            self.sent = false;
        } else {
            self.on_failure(from, now_ms);
        }
    }

    /// Adds loans to their leases, for which others were too fast before.
    pub fn lend_again(&mut self, shared: &mut impl Shared, now_ms: u64) {
        let Self { unlent, returns, .. } = self;
        unlent.retain(|(budget, loan)| match lend(shared, budget, *loan, now_ms) {
            Ok((_, 0)) => false,
            Ok((window, amount)) => {
                // The window is over; the service may have use for what is left of it.
                returns.push(Return { budget: budget.clone(), window, amount });
                false
            }
            Err(_) => true,
        });
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

/// Rows that go with an ask for which a call waits: it should be answered soon.
const FEW_ROWS: usize = 100;
/// Wishes in one ask: some ten milliseconds of the service's time, for which others wait.
const MAX_WANTS_AT_ONCE: usize = 512;
