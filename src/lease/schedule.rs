//! One lender and thousands of borrowers under random schedules, in virtual time.
//!
//! Asks and answers get lost and are sent again, borrowers die and come back as others, leases
//! expire while calls go on. After every step of the lender its equation must hold; when all is
//! quiet, lender and borrowers must agree on every unit.

use std::collections::BTreeMap;

use super::*;

#[test]
fn the_equation_holds_under_random_schedules() {
    for seed in 1..=40 {
        World::new(seed, 50, 20_000).run(8_000);
    }
}

#[test]
fn thousands_of_borrowers_never_take_more_than_there_is() {
    for (seed, limit) in [(101, 1_000), (102, 1_000_000), (103, 100_000_000), (104, 0)] {
        World::new(seed, 4_000, limit).run(120_000);
    }
}

/// Numbers that look random and are the same in every run.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    pub(super) fn one_in(&mut self, sides: u64) -> bool {
        self.below(sides) == 0
    }
}

/// What a borrower says: kept and sent again until it is answered.
#[derive(Clone, Debug)]
struct Ask {
    seq: u64,
    /// Amounts, and how much of each the lease did not cover.
    charges: Vec<(u64, u64)>,
    back: u64,
    need: u64,
    want: u64,
}

#[derive(Default)]
struct Borrower {
    id: u64,
    seq: u64,
    /// Of the lease: what no call holds.
    free: u64,
    /// What each call under way holds.
    holds: Vec<u64>,
    outbox: Vec<(u64, u64)>,
    pending: Option<Ask>,
}

#[derive(Default)]
struct Heard {
    lease: Lease,
    expires: u64,
    seq: u64,
    answer: u64,
}

struct World {
    dice: Dice,
    now: u64,
    pool: Pool,
    heard: BTreeMap<u64, Heard>,
    borrowers: Vec<Borrower>,
    born: u64,
    /// All that ended calls used, and what of it died with its borrower unheard.
    used: u64,
    lost: u64,
}

impl World {
    fn new(seed: u64, borrowers: u64, limit: u64) -> Self {
        let borrower = |id| Borrower { id, ..Borrower::default() };
        Self {
            dice: Dice::new(seed),
            now: 0,
            pool: Pool { limit, ..Pool::default() },
            heard: BTreeMap::new(),
            borrowers: (0..borrowers).map(borrower).collect(),
            born: borrowers,
            used: 0,
            lost: 0,
        }
    }

    fn run(mut self, steps: u64) {
        for step in 0..steps {
            self.now += self.dice.below(20);
            let mut borrower = self.pick();
            match self.dice.below(100) {
                0..30 => self.begin_call(&mut borrower),
                30..60 => self.end_call(&mut borrower),
                60..70 => self.compose(&mut borrower),
                70..98 => self.exchange(&mut borrower),
                98 => self.expire(),
                _ if self.dice.one_in(4) => self.die(&mut borrower),
                _ => {}
            }
            self.borrowers.push(borrower);
            self.check(step % 500 == 0);
        }
        self.come_to_rest();
    }

    fn pick(&mut self) -> Borrower {
        let at = self.dice.below(self.borrowers.len() as u64);
        self.borrowers.swap_remove(usize::try_from(at).unwrap())
    }

    fn begin_call(&mut self, borrower: &mut Borrower) {
        let estimate = self.dice.below(100);
        if estimate <= borrower.free {
            borrower.free -= estimate;
            borrower.holds.push(estimate);
        } else if self.dice.one_in(3) {
            borrower.holds.push(0); // let through, without a lease
        }
    }

    fn end_call(&mut self, borrower: &mut Borrower) {
        let Some(hold) = borrower.holds.pop() else { return };
        let amount = self.dice.below(150);
        borrower.free += hold.saturating_sub(amount);
        let more = amount.saturating_sub(hold);
        let covered = more.min(borrower.free);
        borrower.free -= covered;
        borrower.outbox.push((amount, more - covered));
        self.used += amount;
    }

    fn compose(&mut self, borrower: &mut Borrower) {
        if borrower.pending.is_some() {
            return;
        }
        borrower.seq += 1;
        let back = if self.dice.one_in(3) { self.dice.below(borrower.free + 1) } else { 0 };
        borrower.free -= back;
        let need = self.dice.below(100);
        let want = need + self.dice.below(2_000);
        let charges = std::mem::take(&mut borrower.outbox);
        borrower.pending = Some(Ask { seq: borrower.seq, charges, back, need, want });
    }

    fn exchange(&mut self, borrower: &mut Borrower) {
        let Some(ask) = borrower.pending.clone() else { return };
        if self.dice.one_in(5) {
            return; // the ask is lost
        }
        let answer = self.hear(borrower.id, &ask);
        if self.dice.one_in(5) {
            return; // the answer is lost
        }
        borrower.free += answer;
        borrower.pending = None;
    }

    /// What the lender does: the whole of it.
    fn hear(&mut self, id: u64, ask: &Ask) -> u64 {
        let heard = self.heard.entry(id).or_default();
        if ask.seq == heard.seq {
            return heard.answer;
        }
        for &(amount, beyond) in &ask.charges {
            let settled = self.pool.settle(&mut heard.lease, amount, beyond);
            assert_eq!(settled.overrun, beyond, "an honest borrower has what it says it had");
        }
        assert_eq!(self.pool.give_back(&mut heard.lease, ask.back), ask.back);
        self.pool.revive(&mut heard.lease);
        let answer = self.pool.grant(&mut heard.lease, ask.need, ask.want);
        (heard.seq, heard.answer, heard.expires) = (ask.seq, answer, self.now + TERM);
        answer
    }

    fn expire(&mut self) {
        for heard in self.heard.values_mut().filter(|heard| heard.expires <= self.now) {
            self.pool.expire(&mut heard.lease);
        }
    }

    /// Another takes its place; what it had not said is lost, what it had is not lent again.
    fn die(&mut self, borrower: &mut Borrower) {
        let heard = self.heard.get(&borrower.id).map_or(0, |heard| heard.seq);
        let unheard = borrower.pending.iter().filter(|ask| ask.seq != heard);
        let unsaid = unheard.flat_map(|ask| &ask.charges).chain(&borrower.outbox);
        self.lost += unsaid.map(|(amount, _)| amount).sum::<u64>();
        *borrower = Borrower { id: self.born, ..Borrower::default() };
        self.born += 1;
    }

    fn check(&self, in_full: bool) {
        let Pool { limit, on_loan, suspense, .. } = self.pool;
        assert!(self.pool.covered() + on_loan + suspense <= limit, "{:?}", self.pool);
        if in_full {
            let sum = |part: fn(&Lease) -> u64| self.heard.values().map(|h| part(&h.lease)).sum();
            let covered: u64 = sum(|lease| lease.settled);
            assert_eq!(covered, self.pool.covered());
            assert_eq!((on_loan, suspense), (sum(Lease::outstanding), sum(|lease| lease.suspense)));
        }
    }

    fn come_to_rest(mut self) {
        for mut borrower in std::mem::take(&mut self.borrowers) {
            while !borrower.holds.is_empty() {
                self.end_call(&mut borrower);
            }
            while borrower.pending.is_some() {
                self.exchange(&mut borrower);
            }
            self.compose(&mut borrower);
            while borrower.pending.is_some() {
                self.exchange(&mut borrower);
            }
            let lease = self.heard.get(&borrower.id).map_or_else(Lease::default, |h| h.lease);
            assert_eq!(lease.outstanding() + lease.suspense, borrower.free, "nothing leaks");
        }
        self.check(true);
        assert_eq!(self.pool.settled, self.used - self.lost, "all that was said is booked, once");
    }
}

/// How long a lender hears nothing before a lease expires.
const TERM: u64 = 3_000;
