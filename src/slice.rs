//! What a gateway has been lent, and what one of its workers has taken of that.
//!
//! ```text
//!  service ──grant──▶ lease (shared data) ──draw──▶ slice (this worker) ──take──▶ hold (one call)
//!          ◀─return──                      ◀─back──                      ◀─put──
//! ```
//!
//! The lease is one fixed record per budget, changed by compare-and-swap. A worker draws ahead by
//! its pace while there is plenty, and exactly one hold when the lease is short; what it has left
//! then goes back with each call that ends, and with each tick, so that the last of a budget is not
//! stuck with a worker that does not need it. A change that loses its races is
//! not made: what was to be given back stays in the slice until the next tick.
//!
//! A budget that no service keeps is one lease of its whole limit, opened once in a window, and
//! nothing of it is drawn ahead.

mod lease;

use std::collections::BTreeMap;

use crate::shared::Shared;
pub use lease::{Lease, Loan, Short, claim, drain, lend, open, owe};
use lease::{PLENTY, back, cover, draw};

/// What one worker has drawn, by budget.
#[derive(Debug, Default)]
pub struct Slices {
    slices: BTreeMap<String, Slice>,
    /// Whether nothing is drawn ahead.
    exact: bool,
    /// What is left of windows that are over, to be given back to the service.
    over: Vec<(String, u64, u64)>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slice {
    window: u64,
    /// Drawn and not held.
    left: u64,
    /// Held by calls under way.
    held: u64,
    /// Taken since the last tick.
    taken: u64,
    /// What is taken between two ticks, smoothed.
    pace: u64,
    /// What the last call needed.
    need: u64,
    /// Ticks without a call.
    idle: u32,
}

/// A budget that a worker has to do with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activity {
    /// The budget.
    pub budget: String,
    /// The window of its slice.
    pub window: u64,
    /// What this worker takes between two ticks, smoothed.
    pub pace: u64,
    /// What the last call needed.
    pub need: u64,
    /// Ticks since the last call began or ended.
    pub idle: u32,
}

impl Slices {
    /// Slices that draw nothing ahead: what is in the lease is what no call holds.
    #[must_use]
    pub const fn exact() -> Self {
        Self { slices: BTreeMap::new(), exact: true, over: Vec::new() }
    }

    /// Lets go of a slice of another calendar: of a window that begins after `window`, which is the
    /// one that counts.
    pub fn begin(&mut self, budget: &str, window: u64) {
        if self.slices.get(budget).is_some_and(|slice| slice.window > window) {
            self.slices.remove(budget);
        }
    }

    /// Takes `need` for one call.
    ///
    /// # Errors
    ///
    /// Returns why there is not so much.
    pub fn take(
        &mut self,
        shared: &mut impl Shared,
        budget: &str,
        window: u64,
        need: u64,
        now_ms: u64,
    ) -> Result<(), Short> {
        let slice = self.slices.entry(budget.to_owned()).or_default();
        if slice.window < window {
            let old = core::mem::replace(slice, Slice { window, ..Slice::default() });
            note_over(&mut self.over, self.exact, budget, (old.window, old.left));
        }
        if slice.window != window {
            return Err(Short::Missing);
        }
        let missing = need.saturating_sub(slice.left);
        if missing > 0 || need == 0 {
            slice.left = slice.left.saturating_add(draw(
                shared,
                budget,
                window,
                (missing, slice.pace),
                now_ms,
            )?);
        }
        slice.left = slice.left.saturating_sub(need);
        slice.held = slice.held.saturating_add(need);
        slice.taken = slice.taken.saturating_add(need);
        slice.need = need;
        slice.idle = 0;
        Ok(())
    }

    /// Puts back what a call took, of which it used `used`. Returns how much it used that neither
    /// its hold nor the lease covers.
    pub fn put(
        &mut self,
        shared: &mut impl Shared,
        budget: &str,
        window: u64,
        held: u64,
        used: u64,
    ) -> u64 {
        let over = used.saturating_sub(held);
        let Some(slice) = self.slices.get_mut(budget).filter(|slice| slice.window == window) else {
            let left = held.saturating_sub(used);
            note_over(&mut self.over, self.exact, budget, (window, left));
            return over;
        };
        slice.held = slice.held.saturating_sub(held);
        slice.left = slice.left.saturating_add(held.saturating_sub(used));
        let own = over.min(slice.left);
        slice.left = slice.left.saturating_sub(own);
        let over = over.saturating_sub(own);
        let stale = slice.give_back(shared, budget, if self.exact { held } else { 0 });
        note_over(&mut self.over, self.exact, budget, (window, stale));
        over.saturating_sub(if over == 0 { 0 } else { cover(shared, budget, window, over) })
    }

    /// Puts back what a call took that does not pass, as if it had never come: it may come again.
    pub fn undo(&mut self, shared: &mut impl Shared, budget: &str, window: u64, held: u64) {
        if let Some(slice) = self.slices.get_mut(budget).filter(|slice| slice.window == window) {
            slice.taken = slice.taken.saturating_sub(held);
        }
        self.put(shared, budget, window, held, 0);
    }

    /// What this worker has of a budget that no call holds.
    #[must_use]
    pub fn left(&self, budget: &str, window: u64) -> u64 {
        let own = self.slices.get(budget).filter(|slice| slice.window == window);
        own.map_or(0, |slice| slice.left)
    }

    /// Gives back to the lease all that no call holds.
    pub fn let_go(&mut self, shared: &mut impl Shared, budget: &str) {
        let Some(slice) = self.slices.get_mut(budget).filter(|slice| slice.left > 0) else {
            return;
        };
        if let Ok(stale) = back(shared, budget, slice.window, (slice.left, 0)) {
            slice.left = 0;
            note_over(&mut self.over, self.exact, budget, (slice.window, stale));
        }
    }

    /// Takes what is left of windows that are over: budget, window and amount.
    pub fn take_over(&mut self) -> Vec<(String, u64, u64)> {
        core::mem::take(&mut self.over)
    }

    /// How much of `need` neither this worker nor the lease has.
    pub fn missing(&self, shared: &impl Shared, budget: &str, window: u64, need: u64) -> u64 {
        let own = self.slices.get(budget).filter(|slice| slice.window == window);
        let lease = Lease::of(shared, budget).filter(|lease| lease.window == window);
        let left = own.map_or(0, |slice| slice.left);
        need.saturating_sub(left).saturating_sub(lease.map_or(0, |lease| lease.available))
    }

    /// Gives back what is not likely to be used before the next tick, and tells what this worker
    /// has to do with. Call it once a tick.
    pub fn tick(&mut self, shared: &mut impl Shared) -> Vec<Activity> {
        let Self { slices, exact, over } = self;
        let mut active = Vec::with_capacity(slices.len());
        slices.retain(|budget, slice| {
            slice.pace = if *exact { 0 } else { slice.pace.saturating_add(slice.taken) / 2 };
            let at_rest = slice.taken == 0 && slice.held == 0;
            slice.idle = if at_rest { slice.idle.saturating_add(1) } else { 0 };
            slice.taken = 0;
            let stale = slice.give_back(shared, budget, 0);
            note_over(over, *exact, budget, (slice.window, stale));
            let Slice { window, pace, need, idle, left, held, .. } = *slice;
            active.push(Activity { budget: budget.clone(), window, pace, need, idle });
            idle < IDLE_TICKS || left > 0 || held > 0
        });
        active
    }
}

impl Slice {
    /// Gives back what is beyond the pace, and everything where the lease is short: another worker
    /// may need just that. `freed` is what a call held of a lease that counts it. Returns what the
    /// lease does not take, because its window is over.
    fn give_back(&mut self, shared: &mut impl Shared, budget: &str, freed: u64) -> u64 {
        let keep = if self.left == 0 { 0 } else { self.keep(shared, budget) };
        let spare = self.left.saturating_sub(keep);
        if spare == 0 && freed == 0 {
            return 0;
        }
        let Ok(stale) = back(shared, budget, self.window, (spare, freed)) else { return 0 };
        self.left = self.left.saturating_sub(spare);
        stale
    }

    /// What may stay here for calls to come.
    fn keep(&self, shared: &impl Shared, budget: &str) -> u64 {
        if self.pace == 0 {
            return 0;
        }
        let lease = Lease::of(shared, budget).filter(|lease| lease.window == self.window);
        let plenty = lease.filter(|lease| lease.available / PLENTY >= self.need);
        plenty.map_or(0, |lease| self.pace.min(lease.available))
    }
}

/// Notes what is left of a window that is over. Of a budget that no service keeps, nobody wants it.
fn note_over(
    over: &mut Vec<(String, u64, u64)>,
    exact: bool,
    budget: &str,
    (window, left): (u64, u64),
) {
    if left > 0 && !exact {
        over.push((budget.to_owned(), window, left));
    }
}

/// Ticks without a call after which a worker lets go of a budget.
pub const IDLE_TICKS: u32 = 15;

#[cfg(test)]
mod tests;
