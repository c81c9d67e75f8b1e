//! A call before all budgets that apply to it: they all give what it holds, or none does.

use super::{Call, Desk, Hold, Known, Mark, Refused, Turn, Verdict, parts};
use crate::budget::{self, Consequence, Demand};
use crate::calendar::NEVER;
use crate::config::OnFailure;
use crate::scope::Scope;
use crate::shared::Shared;
use crate::slice::Short;
use crate::sync::{Budget, Counted, Unit, Want};
use crate::worst::Unbounded;

/// What has come of it so far.
#[derive(Debug)]
struct Trial<'a> {
    call: Call<'a>,
    on_failure: OnFailure,
    now_ms: u64,
    /// What it has been given.
    holds: Vec<Hold>,
    /// The strictest that a full budget asks for, which one it is, and its id.
    strictest: Option<(Consequence, usize, String)>,
    /// The first budget of which a threshold is reached.
    warned: Option<String>,
    /// Whether the service could still change the verdict.
    waits: bool,
    /// Whether it passes a budget without a lease.
    unleased: bool,
    /// The longest answer that all full budgets afford, if it can be cut down.
    cut: Option<u64>,
}

/// A budget, or the part of it that the call counts in, in its present window.
#[derive(Clone, Copy, Debug)]
struct Balance<'a> {
    at: usize,
    budget: &'a Budget,
    id: &'a str,
    window: u64,
}

impl Desk {
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
        let mut trial = Trial {
            call,
            on_failure,
            now_ms,
            holds: Vec::with_capacity(known.tenant.budgets.len()),
            strictest: None,
            warned: None,
            waits: false,
            unleased: false,
            cut: call.shortest.filter(|_| call.output.is_none()).map(|_| u64::MAX),
        };
        for (at, budget) in known.tenant.budgets.iter().enumerate() {
            if !budget::applies(budget, &call.scope) {
                continue;
            }
            if let Err(verdict) = self.try_budget(shared, known, (at, budget), &mut trial) {
                self.release(shared, trial.holds);
                return *verdict;
            }
        }
        self.conclude(shared, known, trial)
    }

    /// Takes what the call needs of one budget, or notes what follows if there is not so much.
    fn try_budget(
        &mut self,
        shared: &mut impl Shared,
        known: &Known,
        (at, budget): (usize, &Budget),
        trial: &mut Trial<'_>,
    ) -> Result<(), Box<Verdict>> {
        let (call, now_ms) = (trial.call, trial.now_ms);
        let (demand, firm) = demand_on(budget, &call)?;
        let id = parts::id(shared, budget, &call.scope);
        self.open_part(shared, known, budget, &id);
        let (window, _) = known.window(budget, now_ms);
        let warns = budget::warns(budget, self.used(shared, budget, (&id, window)));
        let unit = call.scope.unit.filter(|_| budget.unit == Unit::Units);
        let mut turn = unit.map(|unit| Turn::look(shared, &id, window, unit));
        let need = match &turn {
            Some(turn) => turn.need(),
            None => demand.hold(budget.measure(), call.output),
        };
        let taken = self.slices.take(shared, &id, window, need, now_ms);
        let full = taken.is_err_and(|short| self.own.is_some() || short == Short::Empty);
        if warns && !full {
            trial.warned.get_or_insert_with(|| id.to_string());
        }
        let mut held = taken.is_ok().then_some(need);
        if let (Some(need), Some(turn)) = (&mut held, &mut turn)
            && turn.enter(shared, &id, window)
        {
            self.slices.undo(shared, &id, window, core::mem::take(need));
        }
        let firm = firm || budget.unit.is_counted();
        trial.holds.push(Hold { held, firm, turn, ..Hold::none(budget, &id, window) });
        let balance = Balance { at, budget, id: &id, window };
        match taken {
            Ok(()) => Ok(()),
            Err(_) if full => {
                self.at_limit(shared, balance, (demand, need), trial);
                Ok(())
            }
            Err(_) => self.unlent(shared, balance, need, trial),
        }
    }

    /// Notes what follows from a budget that has not so much left.
    fn at_limit(
        &mut self,
        shared: &impl Shared,
        Balance { at, budget, id, window }: Balance<'_>,
        (demand, need): (Demand, u64),
        trial: &mut Trial<'_>,
    ) {
        let (call, now_ms) = (trial.call, trial.now_ms);
        let mut next = budget::consequence(budget, call.scope.model);
        if matches!(next, Consequence::Downgrade(_)) && !call.can_change {
            next = Consequence::Refuse;
        }
        let binds = next > Consequence::Warn;
        let asked = (need, call.waited_ms);
        let may_change = binds
            && (self.inquires(id, window, trial)
                || self.awaits(shared, (budget, id, window), asked, now_ms));
        if may_change {
            trial.waits = true;
        } else if trial.strictest.as_ref().is_none_or(|(worst, ..)| next > *worst) {
            trial.strictest = Some((next, at, id.to_owned()));
        }
        if binds {
            let room = self.room(shared, (id, window));
            let cut = trial.cut.filter(|_| budget.holding.lower);
            trial.cut = cut.and_then(|cut| Some(demand.affords(budget.measure(), room)?.min(cut)));
        }
    }

    /// Whether the call waits to hear if the unit that it is for is counted already.
    fn inquires(&mut self, id: &str, window: u64, trial: &Trial<'_>) -> bool {
        let now_ms = trial.now_ms;
        let turn = trial.holds.last().and_then(|hold| hold.turn.as_ref());
        let Some(unit) = turn.and_then(Turn::new_unit) else { return false };
        let heard = self.own.is_none() && trial.call.can_wait && !self.book.is_away(now_ms);
        let unit = || Counted { budget: id.to_owned(), window, unit: unit.to_owned() };
        heard && self.book.inquire(unit(), now_ms)
    }

    /// Asks for a lease that can be had, or notes what follows if the service is away.
    fn unlent(
        &mut self,
        shared: &mut impl Shared,
        Balance { budget, id, window, .. }: Balance<'_>,
        need: u64,
        trial: &mut Trial<'_>,
    ) -> Result<(), Box<Verdict>> {
        let Trial { call, on_failure, now_ms, .. } = *trial;
        let can_wait = call.can_wait || call.waited_ms < budget.holding.wait_ms.into();
        if can_wait && !self.book.is_away(now_ms) {
            trial.waits = true;
            self.hand_in(shared, id, window);
            let want = need.saturating_mul(AHEAD);
            let need = self.slices.missing(shared, id, window, need);
            self.book.need(Want { budget: id.to_owned(), window, need, want });
            return Ok(());
        }
        let must = budget::is_firm(budget) || on_failure == OnFailure::Refuse;
        if must && !budget.shadow {
            return Err(Box::new(Verdict::Refuse(unavailable())));
        }
        trial.unleased = true;
        Ok(())
    }

    /// What all budgets together say.
    fn conclude(&mut self, shared: &mut impl Shared, known: &Known, trial: Trial<'_>) -> Verdict {
        let Trial { call, on_failure, now_ms, holds, strictest, warned, waits, unleased, cut } =
            trial;
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
                Verdict::Refuse(self.exceeded(shared, known, (budget, id), now_ms))
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

    fn exceeded(
        &self,
        shared: &impl Shared,
        known: &Known,
        (budget, id): (&Budget, String),
        now_ms: u64,
    ) -> Refused {
        let (window, ends) = known.window(budget, now_ms);
        let used = self.used(shared, budget, (&id, window));
        let (status, message) = budget::refusal(&known.tenant, budget, used);
        Refused {
            budget: Some(id),
            status,
            code: "budget_exceeded",
            message,
            retry_after: (ends < NEVER).then(|| ends.saturating_sub(now_ms).div_ceil(1_000)),
        }
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
                end: false,
                ..Hold::none(budget, &id, known.window(budget, now_ms).0)
            });
        }
        holds
    }
}

impl Hold {
    /// Nothing of a budget.
    fn none(budget: &Budget, id: &str, window: u64) -> Self {
        Self {
            budget: id.to_owned(),
            window,
            measure: budget.measure(),
            held: None,
            firm: false,
            end: budget.holding.end && !budget.shadow,
            turn: None,
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
