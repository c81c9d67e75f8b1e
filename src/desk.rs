//! What one worker knows of tenants and their budgets, and what it has to tell the service.
//!
//! A call is decided from memory. Only where memory has no answer — a tenant seen for the first
//! time, a lease that ran out — the call waits for one ask, together with all others that wait. If
//! the service is away, the operator's policy decides, and every call let through without a lease
//! is booked as such.

mod backoff;
mod book;
mod cadence;
mod counted;
mod growth;
mod outbox;
mod own;
mod parts;
mod room;
mod tenants;
mod trial;
mod upkeep;

pub use book::{Book, Moment, Sender};
pub use cadence::{Cadence, FRESH_MS};
use counted::Turn;
pub use growth::Grown;
pub use own::Own;
pub use room::Room;
pub use tenants::{Known, Standing, Tenants};
pub use trial::unavailable;

use std::rc::Rc;

use crate::budget::{Demand, Used};
use crate::estimate::Learned;
use crate::scope::Scope;
use crate::shared::Shared;
use crate::slice::{self, Slices};
use crate::sync::{Answer, Budget, Charge, Measure, Unit};
use crate::worst::Unbounded;

/// What a call has been given of one budget. It is settled exactly once.
#[derive(Debug, PartialEq, Eq)]
pub struct Hold {
    budget: String,
    window: u64,
    measure: Measure,
    /// How much is held; `None` where the call passed without.
    held: Option<u64>,
    /// Whether that is the most that the call can take.
    firm: bool,
    /// Whether a stream is ended when it has used that up and no more can be had.
    end: bool,
    /// What it has to do with the unit that it is for, where each counts once.
    turn: Option<Turn>,
}

impl Hold {
    /// Whether the call can use no more than it holds.
    #[must_use]
    pub const fn is_firm(&self) -> bool {
        self.firm && self.held.is_some()
    }

    /// How many nano-dollars are held, if it is those.
    #[must_use]
    pub fn dollars(&self) -> Option<u64> {
        self.held.filter(|_| self.measure.unit == Unit::Usd)
    }
}

/// What is decided about a call.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It passes.
    Pass(Vec<Hold>, Option<Mark>),
    /// It passes on another model, for the budget of this id.
    Downgrade(Vec<Hold>, String, String),
    /// It passes with an answer of at most so many tokens.
    Lower(Vec<Hold>, Option<Mark>, u64),
    /// It cannot be decided before its request has been looked through.
    Survey,
    /// It is refused.
    Refuse(Refused),
    /// It waits for the service.
    Wait,
}

/// Why a call that passes is marked, and by which budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// A threshold has been reached, or a limit that only warns.
    Warn(String),
    /// A limit has been reached that is only watched.
    Shadow(String),
}

/// A refusal in a customer's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The budget, or `None` where there is another reason.
    pub budget: Option<String>,
    /// The status.
    pub status: u16,
    /// The code for programs.
    pub code: &'static str,
    /// The sentence.
    pub message: String,
    /// In how many seconds it is worth while to try again.
    pub retry_after: Option<u64>,
}

/// A call that asks to be let through.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// What it is. A call that was moved to another model is one of that model.
    pub scope: Scope<'a>,
    /// What it is expected to take.
    pub expected: Demand,
    /// The most that it can take, or why that is not known, once its request has been looked through.
    pub worst: Option<Result<Demand, Unbounded>>,
    /// The shortest answer that it makes sense to ask for, if the longest can be cut down.
    pub shortest: Option<u64>,
    /// How long the answer is to become, if it has been cut down.
    pub output: Option<u64>,
    /// For how long it has waited, in milliseconds.
    pub waited_ms: u64,
    /// Whether its model can still be changed.
    pub can_change: bool,
    /// Whether it may wait for the service.
    pub can_wait: bool,
}

/// One worker's memory of budgets.
#[derive(Debug, Default)]
pub struct Desk {
    /// Who is known.
    pub tenants: Tenants,
    /// What is to be told, and what has been asked.
    pub book: Book,
    /// How many tokens the bytes of each model have.
    pub learned: Learned,
    slices: Slices,
    /// Who is known of budgets that no service keeps, at a desk without one.
    own: Option<own::Tenants>,
}

impl Desk {
    /// A desk that no service stands behind: its budgets are those of the configuration.
    #[must_use]
    pub fn alone() -> Self {
        let own = Some(own::Tenants::default());
        Self { slices: Slices::exact(), own, ..Self::default() }
    }

    /// What the configuration says of a tenant's budgets.
    pub fn known(
        &mut self,
        shared: &mut impl Shared,
        own: &Own,
        name: &str,
        now_ms: u64,
    ) -> Rc<Known> {
        let tenants = self.own.get_or_insert_default();
        tenants.known(shared, &mut self.slices, (own, name), now_ms)
    }

    /// Takes the number of calls whose tenants share a record, because there are too many.
    pub const fn take_crowded(&mut self) -> u64 {
        match &mut self.own {
            Some(own) => own.take_crowded(),
            None => 0,
        }
    }

    /// Takes in an answer of the service.
    pub fn on_answer(&mut self, shared: &mut impl Shared, mut answer: Answer, now_ms: u64) {
        let mut recalls = core::mem::take(&mut answer.recalls);
        // What this very answer lends is for calls that wait here.
        let lent = |id: &str| answer.grants.iter().any(|g| g.amount > 0 && g.budget == id);
        recalls.retain(|recall| !lent(&recall.budget));
        self.book.on_answer(&mut self.tenants, shared, answer, now_ms);
        self.recalled(shared, recalls);
    }

    /// What of a budget, or of the part of it with this id, was used or is held, as far as that is
    /// known here.
    fn used(&self, shared: &impl Shared, budget: &Budget, (id, window): (&str, u64)) -> u64 {
        // What the service told with the tenant is of the whole budget.
        let told = if budget.per.is_empty() { budget.used } else { 0 };
        if self.own.is_none() && budget.per.is_empty() && budget.window.step == 0 {
            return told;
        }
        let lease = slice::Lease::of(shared, id).filter(|lease| lease.window == window);
        lease.map_or(told, |lease| lease.used())
    }

    /// Opens the lease of a part of a budget that no service keeps.
    fn open_part(&mut self, shared: &mut impl Shared, known: &Known, budget: &Budget, id: &str) {
        if self.own.is_none() || budget.per.is_empty() {
            return;
        }
        let (window, ends_ms) = (budget.window.id, known.ends_ms(budget));
        self.slices.begin(id, window);
        // Where this fails, the call is refused as one without a lease.
        let _ = slice::open(shared, id, window, budget.limit, ends_ms);
    }

    /// Settles what a call has been given with what it used, and tells what it is charged.
    pub fn settle(
        &mut self,
        shared: &mut impl Shared,
        holds: Vec<Hold>,
        used: &Used,
    ) -> Vec<Charge> {
        let mut charges = Vec::with_capacity(holds.len());
        for Hold { budget, window, measure, held, turn, .. } in holds {
            let (amount, unit) = match turn {
                Some(turn) => turn.leave(shared, (&budget, window), used.success),
                None => (used.amount(measure), String::new()),
            };
            let beyond = match held {
                Some(held) => self.slices.put(shared, &budget, window, held, amount),
                None => amount,
            };
            if self.own.is_some() && beyond > 0 {
                // Where this fails, the overrun is not made up for.
                let _ = slice::owe(shared, &budget, window, beyond);
            }
            charges.push(Charge { budget, window, amount, beyond, unit });
        }
        charges.retain(|charge| charge.amount > 0);
        charges
    }

    /// Gives back what a call has been given and will not use.
    pub fn release(&mut self, shared: &mut impl Shared, holds: Vec<Hold>) {
        for Hold { budget, window, held, turn, .. } in holds {
            if let Some(turn) = turn {
                turn.undo(shared, (&budget, window));
            }
            if let Some(held) = held {
                self.slices.undo(shared, &budget, window, held);
            }
        }
    }
}

#[cfg(test)]
mod tests;
