//! What one ask leads to: rows booked, leases settled, given back and lent, customers looked up.
//!
//! Rows are locked in one order, whatever the ask holds: the reporter's, the ledger's, those of the
//! hourly and monthly totals, the balances, then what follows from them. So no two transactions wait
//! for each other, and none has to be tried again.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use tollgate::{
    calendar::window_of,
    rule::Rule,
    sync::{Answer, Ask, Charge, Grant, Recall, VERSION, Want},
};

use super::is_name;
use crate::{
    acquaintance::News,
    alert, allowance,
    call::{Call, MAX_AMOUNT},
    charge::{Taken, settle},
    counted,
    customers::{Book, Found, Owner},
    ledger::{self, Booked, Charged, Report},
    lending::{self, Key, Lending},
    state::State,
    store::{StoreError, Tx, column},
    tenant,
};

/// One ask, and what is needed to answer it.
pub(super) struct Hearing<'a> {
    pub(super) state: &'a State,
    pub(super) ask: &'a Ask,
    pub(super) book: &'a Book,
    pub(super) now: Timestamp,
    pub(super) node: &'a str,
}

/// The calls of an ask that can be read, and what each takes.
type Calls<'a> = Vec<(Call, Vec<&'a Charge>)>;

impl Hearing<'_> {
    pub(super) async fn answer(&self, tx: &mut Tx, news: &News) -> Result<Answer, StoreError> {
        let calls = self.calls();
        let booked = self.book_calls(tx, &calls).await?;
        let (gateway, keys) = (&self.ask.gateway, self.keys(&calls));
        let mut lending = Lending::open(tx, gateway, keys, |budget| self.limit(budget)).await?;
        let charged = charge(tx, &mut lending, &calls, &booked).await?;
        ledger::charge(tx, &charged).await?;
        alert::raise(tx, self.book, self.now, &lending.settled(booked.spent)).await?;
        self.take_back(&mut lending);
        let before = allowance::apply(tx, &mut lending, self.book, self.now).await?;
        let grants = self.ask.wants.iter();
        let grants: Vec<_> = grants.map(|want| self.grant(&mut lending, want, &before)).collect();
        let lease_ms = self.state.terms.admit_ms.saturating_add(self.state.terms.settle_ms);
        lending.save(tx, self.now.as_millisecond().saturating_add(column(lease_ms))).await?;
        let recalls = self.recalls(tx, &grants).await?;
        let counted = counted::among(tx, &self.ask.units).await?;
        let (seq, edition) = (self.ask.seq, self.book.edition);
        let answer =
            Answer { v: VERSION, seq, edition, grants, recalls, counted, ..Answer::default() };
        self.look_up(tx, news, answer).await
    }

    /// The calls that can be read, and of what they take what can be taken.
    fn calls(&self) -> Calls<'_> {
        let is_sound = |charge: &&Charge| {
            let sound = is_name(&charge.budget) && charge.amount <= MAX_AMOUNT;
            if !sound {
                self.state.metrics.charge_refused();
            }
            sound
        };
        let calls = self.ask.rows.iter().filter_map(|row| {
            let call = serde_json::from_str(row.call.text()).ok()?;
            Some((Call::read(&call)?, row.charges.iter().filter(is_sound).collect()))
        });
        calls.collect()
    }

    async fn book_calls(&self, tx: &mut Tx, calls: &Calls<'_>) -> Result<Booked, StoreError> {
        let report = Report {
            book: self.book,
            gateway: &self.ask.gateway,
            node: self.node,
            now_ms: self.now.as_millisecond(),
        };
        let booked = ledger::book(tx, report, calls.iter().map(|(call, _)| call)).await?;
        self.state.metrics.booked(self.ask.rows.len(), calls.len(), booked.fresh.len());
        Ok(booked)
    }

    /// All balances that this ask may change.
    fn keys(&self, calls: &Calls<'_>) -> BTreeSet<Key> {
        let charges = calls.iter().flat_map(|(_, charges)| charges);
        let charges = charges.map(|charge| (charge.budget.clone(), column(charge.window)));
        let returns = self.ask.returns.iter().filter(|back| is_name(&back.budget));
        let returns = returns.map(|back| (back.budget.clone(), column(back.window)));
        let zone = &self.book.business.zone;
        let wants = self.ask.wants.iter().filter_map(|want| self.wanted(want));
        let wants = wants.flat_map(|(key, _, rule)| {
            let lock = allowance::lock_of(&key.0, rule, zone, self.now);
            [key].into_iter().chain(lock)
        });
        charges.chain(returns).chain(wants).collect()
    }

    /// What is wanted: the balance of the current window, whose it is, and by which rule.
    fn wanted<'a>(&'a self, want: &'a Want) -> Option<(Key, Owner<'a>, &'a Rule)> {
        let Found { owner, rule, .. } = self.book.budget(&want.budget, self.now)?;
        let window = window_of(rule.cycle, &self.book.business.zone, self.now).id();
        Some(((want.budget.clone(), window), owner, rule))
    }

    fn take_back(&self, lending: &mut Lending<'_>) {
        for back in &self.ask.returns {
            let key = (back.budget.clone(), column(back.window));
            if let Some(account) = lending.accounts.get_mut(&key) {
                account.named = true;
                account.pool.give_back(&mut account.lease, back.amount);
            }
        }
    }

    fn grant(&self, lending: &mut Lending<'_>, want: &Want, before: &BTreeMap<Key, u64>) -> Grant {
        let nothing = Grant {
            budget: want.budget.clone(),
            window: want.window,
            admit_ms: self.state.terms.admit_ms,
            ..Grant::default()
        };
        let Some((key, owner, _)) = self.wanted(want) else { return nothing };
        let Some(account) = lending.accounts.get_mut(&key) else { return nothing };
        account.named = true;
        account.pool.revive(&mut account.lease);
        let (need, want) = if owner.is_suspended() { (0, 0) } else { (want.need, want.want) };
        let amount = account.pool.grant(&mut account.lease, need, want);
        let window = u64::try_from(key.1).unwrap_or(0);
        let (left, lent) = (account.pool.free(), account.pool.on_loan);
        let used = account.pool.settled;
        let used = used.saturating_add(before.get(&key).copied().unwrap_or(0));
        let (shortages, gateway) = (&self.state.shortages, &self.ask.gateway);
        if amount < need && account.lease.outstanding() < lent {
            shortages.note(&key, gateway, self.now.as_millisecond());
        } else if need > 0 && amount >= need {
            shortages.met(&key, gateway);
        }
        Grant { window, amount, left, used, lent, ..nothing }
    }

    /// The leases of this gateway that others wait for; none of which it was just granted more.
    async fn recalls(&self, tx: &mut Tx, grants: &[Grant]) -> Result<Vec<Recall>, StoreError> {
        let gateway = &self.ask.gateway;
        let granted = grants.iter().filter(|grant| grant.amount > 0);
        let granted: BTreeSet<_> = granted.map(|grant| grant.budget.as_str()).collect();
        let mut wanted = self.state.shortages.of_others(gateway, self.now.as_millisecond());
        wanted.retain(|(budget, _)| !granted.contains(budget.as_str()));
        let lent = lending::on_loan_to(tx, gateway, wanted).await?.into_iter();
        let recall =
            |(budget, window)| Recall { budget, window: u64::try_from(window).unwrap_or(0) };
        Ok(lent.map(recall).collect())
    }

    /// Adds the customers that were asked for, and those that have changed.
    async fn look_up(
        &self,
        tx: &mut Tx,
        news: &News,
        mut answer: Answer,
    ) -> Result<Answer, StoreError> {
        let mut names: BTreeSet<_> = self.ask.tenants.iter().map(String::as_str).collect();
        names.extend(news.names.iter().map(String::as_str));
        let mut known = Vec::new();
        for name in names.into_iter().take(MAX_NAMES) {
            match self.book.find(name) {
                Some(customer) => known.push((name, customer)),
                None => answer.unknown.push(name.to_owned()),
            }
        }
        let (tenants, withheld) =
            tenant::of(tx, self.book, &known, self.ask.level, self.now).await?;
        self.state.metrics.withheld(withheld);
        answer.tenants = tenants;
        Ok(answer)
    }

    fn limit(&self, budget: &str) -> u64 {
        self.book.budget(budget, self.now).map_or(0, |found| found.rule.limit)
    }
}

/// Settles what the calls take that were not known before.
async fn charge(
    tx: &mut Tx,
    lending: &mut Lending<'_>,
    calls: &Calls<'_>,
    booked: &Booked,
) -> Result<Charged, StoreError> {
    let mut fresh: BTreeSet<_> = booked.fresh.iter().map(String::as_str).collect();
    // An id that stands twice in one ask counts once.
    let calls = calls.iter().filter(|(call, _)| fresh.remove(call.id.as_str()));
    let charges =
        calls.flat_map(|(call, charges)| charges.iter().map(move |charge| (call, *charge)));
    let charges: Vec<_> = charges.map(|(call, charge)| Taken::of(&call.id, charge)).collect();
    settle(tx, lending, &charges).await
}

/// Names that are looked up in one ask; the others get no answer, and are asked for again.
const MAX_NAMES: usize = 1_000;
