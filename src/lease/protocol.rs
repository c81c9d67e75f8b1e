//! The whole protocol under random schedules, in virtual time: one lender, thousands of gateways of
//! two workers each, and a network that loses, doubles and reorders what they say.
//!
//! Workers trap, gateways die, transactions are cut off, limits go up and down, leases expire, come
//! back and are orphaned, access logs are reconciled. After every step: nothing was lent that there
//! was not, and calls that kept within their holds have used no more than there ever was. In the
//! end: every call is in the ledger once, and every unit is accounted for.

use std::collections::{BTreeMap, BTreeSet};

use super::schedule::Dice;
use super::*;

#[test]
fn every_unit_is_accounted_for_whatever_happens_on_the_way() {
    for seed in 1..=30 {
        World::new(seed, 20, 20_000).run(6_000);
    }
}

#[test]
fn thousands_of_gateways_spend_no_more_than_there_is() {
    for (seed, limit) in [(201, 0), (202, 5_000), (203, 10_000_000)] {
        World::new(seed, 3_000, limit).run(120_000);
    }
}

/// A call that has ended: its id, what it used, and what of that no lease covered.
type Row = (u64, u64, u64);

#[derive(Clone)]
struct Ask {
    seq: u64,
    rows: Vec<Row>,
    back: u64,
    need: u64,
    want: u64,
}

#[derive(Default)]
struct Worker {
    number: u64,
    seq: u64,
    /// What it has drawn and no call holds.
    drawn: u64,
    holds: Vec<u64>,
    outbox: Vec<Row>,
    pending: Option<Ask>,
}

#[derive(Default)]
struct Gateway {
    id: u64,
    /// Of the lease: what no worker has drawn.
    free: u64,
    workers: [Worker; 2],
    numbers: u64,
    /// The access log.
    log: Vec<Row>,
}

/// The last word with a worker: its number and the answer.
type Word = (u64, u64);

#[derive(Clone, Default)]
struct Lender {
    pool: Pool,
    leases: BTreeMap<u64, (Lease, u64)>,
    heard: BTreeMap<(u64, u64), Word>,
    ledger: BTreeMap<u64, u64>,
    orphaned: u64,
}

enum Packet {
    Ask(u64, u64, Ask),
    Answer(u64, u64, u64, u64),
}

struct World {
    dice: Dice,
    now: u64,
    lender: Lender,
    most: u64,
    gateways: Vec<Gateway>,
    dead: Vec<Gateway>,
    net: Vec<Packet>,
    born: u64,
    calls: u64,
    /// All that calls used, and what of it they took beyond what they held.
    used: u64,
    beyond: u64,
}

impl Lender {
    /// One transaction: rows, returns, wants, as `quota/src/sync/hearing.rs` has them.
    fn hear(&mut self, gateway: u64, worker: u64, ask: &Ask, now: u64) -> Option<u64> {
        let (seq, answer) = self.heard.get(&(gateway, worker)).copied().unwrap_or_default();
        if ask.seq <= seq {
            return (ask.seq == seq).then_some(answer);
        }
        let (lease, expires) = self.leases.entry(gateway).or_default();
        for &(id, amount, beyond) in &ask.rows {
            if self.ledger.insert(id, amount).is_none() {
                self.pool.settle(lease, amount, beyond);
            }
        }
        self.pool.give_back(lease, ask.back);
        self.pool.revive(lease);
        *expires = now + TERM;
        let granted = self.pool.grant(lease, ask.need, ask.want);
        self.heard.insert((gateway, worker), (ask.seq, granted));
        Some(granted)
    }

    fn reconcile(&mut self, gateway: u64, log: &[Row]) {
        let (lease, _) = self.leases.entry(gateway).or_default();
        for &(id, amount, _) in log {
            if let std::collections::btree_map::Entry::Vacant(new) = self.ledger.entry(id) {
                new.insert(amount);
                self.pool.settle(lease, amount, 0);
            }
        }
    }

    fn sweep(&mut self, now: u64) {
        for (lease, expires) in self.leases.values_mut() {
            if *expires <= now {
                self.pool.expire(lease);
            }
        }
        let long_silent: Vec<u64> = self
            .leases
            .iter()
            .filter(|(_, (_, expires))| expires + WEEK <= now)
            .map(|(&id, _)| id)
            .collect();
        for id in long_silent {
            let Some((mut lease, _)) = self.leases.remove(&id) else { continue };
            let amount = lease.suspense;
            self.pool.settle(&mut lease, amount, 0);
            self.orphaned += amount;
        }
    }

    const fn committed(&self) -> u64 {
        self.pool.covered() + self.pool.on_loan + self.pool.suspense
    }
}

impl World {
    fn new(seed: u64, gateways: u64, limit: u64) -> Self {
        let mut world = Self {
            dice: Dice::new(seed),
            now: 0,
            lender: Lender { pool: Pool { limit, ..Pool::default() }, ..Lender::default() },
            most: limit,
            gateways: Vec::new(),
            dead: Vec::new(),
            net: Vec::new(),
            born: 0,
            calls: 0,
            used: 0,
            beyond: 0,
        };
        for _ in 0..gateways {
            let gateway = world.new_gateway();
            world.gateways.push(gateway);
        }
        world
    }

    fn new_gateway(&mut self) -> Gateway {
        self.born += 1;
        let workers = [1, 2].map(|number| Worker { number, ..Worker::default() });
        Gateway { id: self.born, workers, numbers: 2, ..Gateway::default() }
    }

    fn run(mut self, steps: u64) {
        for _ in 0..steps {
            self.now += self.dice.below(10);
            let before = self.lender.committed();
            self.step();
            let (after, limit) = (self.lender.committed(), self.lender.pool.limit);
            assert!(after <= limit.max(before), "{after} of {limit}, {before} before");
            assert!(
                self.used - self.beyond <= self.most,
                "calls within their holds keep the limit"
            );
        }
        self.come_to_rest();
    }

    fn step(&mut self) {
        match self.dice.below(1_000) {
            0..300 => self.call(),
            300..550 => self.end_call(),
            550..700 => self.compose(),
            700..800 => self.send(),
            800..970 => self.deliver(),
            970..985 => self.lender.sweep(self.now),
            985..990 => self.trap(),
            990..993 => self.die(),
            993..996 => self.cut_off(),
            996..998 => self.reconcile_some(),
            998 => self.change_limit(),
            _ => self.now += self.dice.below(WEEK),
        }
    }

    /// Some gateway, and which of its workers.
    fn pick(&mut self) -> (usize, usize) {
        let at = self.dice.below(self.gateways.len() as u64);
        (usize::try_from(at).unwrap(), usize::from(self.dice.one_in(2)))
    }

    fn call(&mut self) {
        let (at, which) = self.pick();
        let hold = self.dice.below(100);
        let gateway = &mut self.gateways[at];
        let worker = &mut gateway.workers[which];
        let missing = hold.saturating_sub(worker.drawn);
        if missing <= gateway.free {
            // It draws ahead, if there is much.
            let ahead = gateway.free.saturating_sub(missing) / 8;
            gateway.free -= missing + ahead;
            worker.drawn = (worker.drawn + missing + ahead) - hold;
            worker.holds.push(hold);
        } else if self.dice.one_in(5) {
            worker.holds.push(0); // let through, without a lease
        }
    }

    fn end_call(&mut self) {
        let (at, which) = self.pick();
        self.end_call_of(at, which);
    }

    fn end_call_of(&mut self, at: usize, which: usize) {
        let gateway = &mut self.gateways[at];
        let worker = &mut gateway.workers[which];
        let Some(hold) = worker.holds.pop() else { return };
        // One in four outgrows its hold.
        let over = if self.dice.one_in(4) { self.dice.below(50) } else { 0 };
        let amount = if over > 0 { hold + over } else { self.dice.below(hold + 1) };
        worker.drawn += hold.saturating_sub(amount);
        let covered = over.min(worker.drawn);
        worker.drawn -= covered;
        self.calls += 1;
        self.used += amount;
        self.beyond += over - covered;
        let row = (self.calls, amount, over - covered);
        worker.outbox.push(row);
        gateway.log.push(row);
    }

    fn compose(&mut self) {
        let (at, which) = self.pick();
        let (need, want) = (self.dice.below(100), self.dice.below(2_000));
        let returns = self.dice.one_in(3);
        let gateway = &mut self.gateways[at];
        let worker = &mut gateway.workers[which];
        if worker.pending.is_some() {
            return;
        }
        let back = if returns { gateway.free } else { 0 };
        gateway.free -= back;
        worker.seq += 1;
        let rows = std::mem::take(&mut worker.outbox);
        worker.pending = Some(Ask { seq: worker.seq, rows, back, need, want: need + want });
    }

    fn send(&mut self) {
        let (at, which) = self.pick();
        let Gateway { id, workers, .. } = &self.gateways[at];
        let Worker { number, pending, .. } = &workers[which];
        if let Some(ask) = pending {
            self.net.push(Packet::Ask(*id, *number, ask.clone()));
        }
    }

    /// Some packet arrives, is lost, or arrives and will do so again.
    fn deliver(&mut self) {
        if self.net.is_empty() {
            return;
        }
        let at = usize::try_from(self.dice.below(self.net.len() as u64)).unwrap();
        let packet = self.net.swap_remove(at);
        if self.dice.one_in(8) {
            return;
        }
        match packet {
            Packet::Ask(gateway, worker, ask) => {
                if let Some(granted) = self.lender.hear(gateway, worker, &ask, self.now) {
                    self.net.push(Packet::Answer(gateway, worker, ask.seq, granted));
                }
                if self.dice.one_in(6) {
                    self.net.push(Packet::Ask(gateway, worker, ask));
                }
            }
            Packet::Answer(gateway, worker, seq, granted) => {
                self.take(gateway, worker, seq, granted);
                if self.dice.one_in(6) {
                    self.net.push(Packet::Answer(gateway, worker, seq, granted));
                }
            }
        }
    }

    /// An answer to another ask than the open one is passed over.
    fn take(&mut self, id: u64, number: u64, seq: u64, granted: u64) {
        let Some(gateway) = self.gateways.iter_mut().find(|gateway| gateway.id == id) else {
            return;
        };
        let Some(worker) = gateway.workers.iter_mut().find(|worker| worker.number == number) else {
            return;
        };
        if worker.pending.as_ref().is_some_and(|ask| ask.seq == seq) {
            worker.pending = None;
            gateway.free += granted;
        }
    }

    /// A worker loses its memory: what it drew, and what it had to say. Its calls in flight are cut.
    fn trap(&mut self) {
        let (at, which) = self.pick();
        let gateway = &mut self.gateways[at];
        gateway.numbers += 1;
        gateway.workers[which] = Worker { number: gateway.numbers, ..Worker::default() };
    }

    fn die(&mut self) {
        let (at, _) = self.pick();
        let new = self.new_gateway();
        self.dead.push(std::mem::replace(&mut self.gateways[at], new));
    }

    /// A replica is killed before it commits: nothing of it holds.
    fn cut_off(&mut self) {
        let ask = self.net.iter().find_map(|packet| match packet {
            Packet::Ask(gateway, worker, ask) => Some((*gateway, *worker, ask.clone())),
            Packet::Answer(..) => None,
        });
        if let Some((gateway, worker, ask)) = ask {
            let _ = self.lender.clone().hear(gateway, worker, &ask, self.now);
        }
    }

    /// The log of a gateway that is gone.
    fn reconcile_some(&mut self) {
        if let Some(Gateway { id, log, .. }) = self.dead.last() {
            self.lender.reconcile(*id, log);
        }
    }

    fn change_limit(&mut self) {
        let pool = &mut self.lender.pool;
        pool.limit = self.dice.below(self.most * 2 + 1);
        self.most = self.most.max(pool.limit);
    }

    fn come_to_rest(mut self) {
        for at in 0..self.gateways.len() {
            for which in 0..2 {
                while !self.gateways[at].workers[which].holds.is_empty() {
                    self.end_call_of(at, which);
                }
            }
        }
        for gateway in self.gateways.iter().chain(&self.dead) {
            self.lender.reconcile(gateway.id, &gateway.log);
        }
        // Late packets come all the same, and everybody falls silent for ever.
        for packet in std::mem::take(&mut self.net) {
            if let Packet::Ask(gateway, worker, ask) = packet {
                self.lender.hear(gateway, worker, &ask, self.now);
            }
        }
        self.lender.sweep(self.now + TERM);
        self.lender.sweep(self.now + TERM + WEEK);
        let Lender { pool, ledger, orphaned, leases, .. } = self.lender;
        let ids: BTreeSet<u64> = (1..=self.calls).collect();
        assert_eq!(ledger.keys().copied().collect::<BTreeSet<_>>(), ids, "each call once");
        assert_eq!(ledger.values().sum::<u64>(), self.used, "and all that it used");
        assert_eq!(pool.settled, self.used + orphaned, "what is settled is used or orphaned");
        assert_eq!((pool.on_loan, pool.suspense, leases.len()), (0, 0, 0), "nothing is left open");
    }
}

/// How long the lender hears nothing before a lease expires.
const TERM: u64 = 3_000;
/// How much longer until it is orphaned.
const WEEK: u64 = 50_000;
