//! What one worker knows of tenants and their budgets, and what it has to tell the service.
//!
//! A call is decided from memory. Only where memory has no answer — a tenant seen for the first
//! time, a lease that ran out — the call waits for one ask, together with all others that wait. If
//! the service is away, the operator's policy decides, and every call let through without a lease
//! is booked as such.

mod backoff;
mod book;
mod cadence;
mod growth;
mod outbox;
mod own;
mod parts;
mod room;
mod tenants;
mod upkeep;

pub use book::{Book, Moment, Sender};
pub use cadence::{Cadence, FRESH_MS};
pub use growth::Grown;
pub use own::Own;
pub use room::Room;
pub use tenants::{Known, Standing, Tenants};

use std::rc::Rc;

use crate::budget::{self, Consequence, Demand, Used};
use crate::calendar::NEVER;
use crate::config::OnFailure;
use crate::estimate::Learned;
use crate::scope::Scope;
use crate::shared::Shared;
use crate::slice::{self, Short, Slices};
use crate::sync::{Answer, Budget, Charge, Measure, Unit, Want};
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

    /// Decides about a call of a known tenant: all budgets that apply are taken, or none.
    pub fn admit(
        &mut self,
        shared: &mut impl Shared,
        known: &Known,
        call: Call<'_>,
        on_failure: OnFailure,
        now_ms: u64,
    ) -> Verdict {
        if known.tenant.suspended {
            return Verdict::Refuse(suspended());
        }
        let mut holds = Vec::with_capacity(known.tenant.budgets.len());
        let (mut strictest, mut warned): (Option<(Consequence, usize, String)>, Option<String>) =
            (None, None);
        let (mut waits, mut unleased) = (false, false);
        let mut cut = call.shortest.filter(|_| call.output.is_none()).map(|_| u64::MAX);
        for (at, budget) in known.tenant.budgets.iter().enumerate() {
            if !budget::applies(budget, &call.scope) {
                continue;
            }
            let (demand, firm) = match demand_on(budget, &call) {
                Ok(demand) => demand,
                Err(verdict) => {
                    self.release(shared, holds);
                    return *verdict;
                }
            };
            let id = parts::id(shared, budget, &call.scope);
            self.open_part(shared, known, budget, &id);
            let (window, _) = known.window(budget, now_ms);
            let warns = budget::warns(budget, self.used(shared, budget, (&id, window)));
            let need = demand.hold(budget.measure(), call.output);
            let taken = self.slices.take(shared, &id, window, need, now_ms);
            let leased = taken.is_ok();
            let full = taken.is_err_and(|short| self.own.is_some() || short == Short::Empty);
            if warns && !full {
                warned.get_or_insert_with(|| id.to_string());
            }
            let can_wait = call.can_wait || call.waited_ms < budget.holding.wait_ms.into();
            match taken {
                Ok(()) => {}
                Err(_) if full => {
                    let mut next = budget::consequence(budget, call.scope.model);
                    if matches!(next, Consequence::Downgrade(_)) && !call.can_change {
                        next = Consequence::Refuse;
                    }
                    let binds = next > Consequence::Warn;
                    let asked = (need, call.waited_ms);
                    if binds && self.awaits(shared, (budget, &id, window), asked, now_ms) {
                        waits = true;
                    } else if strictest.as_ref().is_none_or(|(worst, ..)| next > *worst) {
                        strictest = Some((next, at, id.to_string()));
                    }
                    if binds {
                        let room = self.room(shared, (&id, window));
                        cut = cut.filter(|_| budget.holding.lower);
                        cut = cut
                            .and_then(|cut| Some(demand.affords(budget.measure(), room)?.min(cut)));
                    }
                }
                Err(_) if can_wait && !self.book.is_away(now_ms) => {
                    waits = true;
                    self.hand_in(shared, &id, window);
                    let want = need.saturating_mul(AHEAD);
                    let need = self.slices.missing(shared, &id, window, need);
                    self.book.need(Want { budget: id.to_string(), window, need, want });
                }
                Err(_)
                    if (budget::is_firm(budget) || on_failure == OnFailure::Refuse)
                        && !budget.shadow =>
                {
                    self.release(shared, holds);
                    return Verdict::Refuse(unavailable());
                }
                Err(_) => unleased = true,
            }
            holds.push(Hold {
                budget: id.into_owned(),
                window,
                measure: budget.measure(),
                held: leased.then_some(need),
                firm: firm || budget.unit.is_counted(),
                end: budget.holding.end && !budget.shadow,
            });
        }
        let (strictest, at, id) = match strictest {
            Some((consequence, at, id)) => (Some(consequence), Some(at), id),
            None => (None, None, String::new()),
        };
        let culprit = at.and_then(|at| known.tenant.budgets.get(at));
        let cut = cut.filter(|&cut| call.shortest.is_some_and(|shortest| shortest <= cut));
        let lowered = |holds, mark| match call.output {
            Some(output) => Verdict::Lower(holds, mark, output),
            None => Verdict::Pass(holds, mark),
        };
        let verdict = match (strictest, culprit) {
            // What is refused anyway does not wait.
            (Some(Consequence::Refuse), Some(budget)) if cut.is_none() => {
                self.release(shared, holds);
                let (window, ends) = known.window(budget, now_ms);
                let used = self.used(shared, budget, (&id, window));
                let (status, message) = budget::refusal(&known.tenant, budget, used);
                Verdict::Refuse(Refused {
                    budget: Some(id),
                    status,
                    code: "budget_exceeded",
                    message,
                    retry_after: (ends < NEVER)
                        .then(|| ends.saturating_sub(now_ms).div_ceil(1_000)),
                })
            }
            _ if waits => {
                self.release(shared, holds);
                Verdict::Wait
            }
            (Some(Consequence::Refuse | Consequence::Downgrade(_)), _) if cut.is_some() => {
                self.release(shared, holds);
                return self.admit(shared, known, Call { output: cut, ..call }, on_failure, now_ms);
            }
            (Some(Consequence::Downgrade(to)), _) => Verdict::Downgrade(holds, to, id),
            (Some(Consequence::Warn), _) => lowered(holds, Some(Mark::Warn(id))),
            (Some(Consequence::Shadow), _) if warned.is_none() => {
                lowered(holds, Some(Mark::Shadow(id)))
            }
            _ => lowered(holds, warned.map(Mark::Warn)),
        };
        if unleased && !matches!(verdict, Verdict::Wait | Verdict::Refuse(_)) {
            self.book.note_unleased();
        }
        verdict
    }

    /// What a call takes of budgets that count what is used, where it was never admitted.
    pub fn unheld(
        &mut self,
        shared: &mut impl Shared,
        known: &Known,
        scope: &Scope<'_>,
        now_ms: u64,
    ) -> Vec<Hold> {
        let budgets = known.tenant.budgets.iter();
        let mut holds = Vec::new();
        for budget in budgets.filter(|b| !b.unit.is_counted() && budget::applies(b, scope)) {
            let id = parts::id(shared, budget, scope);
            self.open_part(shared, known, budget, &id);
            holds.push(Hold {
                budget: id.into_owned(),
                window: known.window(budget, now_ms).0,
                measure: budget.measure(),
                held: None,
                firm: false,
                end: false,
            });
        }
        holds
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
        for Hold { budget, window, measure, held, .. } in holds {
            let amount = used.amount(measure);
            let beyond = match held {
                Some(held) => self.slices.put(shared, &budget, window, held, amount),
                None => amount,
            };
            if self.own.is_some() && beyond > 0 {
                // Where this fails, the overrun is not made up for.
                let _ = slice::owe(shared, &budget, window, beyond);
            }
            charges.push(Charge { budget, window, amount, beyond });
        }
        charges.retain(|charge| charge.amount > 0);
        charges
    }

    /// Gives back what a call has been given and will not use.
    pub fn release(&mut self, shared: &mut impl Shared, holds: Vec<Hold>) {
        for Hold { budget, window, held, .. } in holds {
            if let Some(held) = held {
                self.slices.undo(shared, &budget, window, held);
            }
        }
    }
}

/// What a call is told when the service is away and the operator wants it refused then.
#[must_use]
pub fn unavailable() -> Refused {
    Refused {
        budget: None,
        status: 503,
        code: "quota_unavailable",
        message: UNAVAILABLE.to_owned(),
        retry_after: None,
    }
}

/// What a call may take of a budget, and whether that is the most it can; or the verdict, where that
/// is not known and must be.
fn demand_on(budget: &Budget, call: &Call<'_>) -> Result<(Demand, bool), Box<Verdict>> {
    if !budget.holding.worst_case || budget.unit.is_counted() {
        return Ok((call.expected, false));
    }
    match call.worst {
        None => Err(Box::new(Verdict::Survey)),
        Some(Ok(worst)) => Ok((worst, true)),
        Some(Err(why)) if budget::is_firm(budget) => {
            Err(Box::new(Verdict::Refuse(unbounded(budget, why))))
        }
        Some(Err(_)) => Ok((call.expected, false)),
    }
}

fn unbounded(budget: &Budget, why: Unbounded) -> Refused {
    Refused {
        budget: Some(budget.id.clone()),
        status: 403,
        code: "hold_unbounded",
        message: format!("{UNBOUNDED}: {}.", why.reason()),
        retry_after: None,
    }
}

fn suspended() -> Refused {
    Refused {
        budget: None,
        status: 403,
        code: "tenant_suspended",
        message: SUSPENDED.to_owned(),
        retry_after: None,
    }
}

const UNAVAILABLE: &str = "Usage limits cannot be checked at the moment. Try again shortly.";
const UNBOUNDED: &str =
    "This account's limit is strict, and it is not known how much this request may use";
const SUSPENDED: &str = "This account is suspended. Contact support to resume.";
/// So many holds are asked for at once.
const AHEAD: u64 = 10;

#[cfg(test)]
mod tests;
