//! What a gateway has been lent, and what one of its workers has taken of that.
//!
//! ```text
//!  service ──grant──▶ lease (shared data) ──draw──▶ slice (this worker) ──take──▶ hold (one call)
//!          ◀─return──                      ◀─back──                      ◀─put──
//! ```
//!
//! The lease is one fixed record per budget, changed by compare-and-swap. A worker draws ahead by
//! its pace while there is plenty, and exactly one hold when the lease is short, so that the last
//! of a budget is never stuck with a worker that does not need it. A change that loses its races is
//! not made: what was to be given back stays in the slice until the next tick.

use std::collections::BTreeMap;

use crate::shared::{Conflict, NAMESPACE, Shared, update};

/// The gateway's lease of one budget, as it stands in shared data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lease {
    /// The window it is for.
    pub window: u64,
    /// What no worker has drawn.
    pub available: u64,
    /// What was used beyond the lease, to be made up for by what comes back.
    pub debt: u64,
    /// Until when calls may be admitted on it, in milliseconds of this machine's clock.
    pub until_ms: u64,
    /// What the service had left beside it when it last said so.
    pub left: u64,
    /// When that was.
    pub told_ms: u64,
}

/// A draw from a lease came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Short {
    /// There is no lease for the window, or its time is over.
    Missing,
    /// The lease has less than is needed, and the service said a moment ago that it has no more.
    Empty,
    /// The lease has less than is needed.
    Low,
    /// Other workers were faster, too often.
    Busy,
}

impl Lease {
    fn read(bytes: &[u8]) -> Option<Self> {
        let (&LAYOUT, numbers) = bytes.split_first()? else { return None };
        let mut numbers = numbers.chunks_exact(8).map(crate::shared::number);
        let mut next = || numbers.next();
        Some(Self {
            window: next()?,
            available: next()?,
            debt: next()?,
            until_ms: next()?,
            left: next()?,
            told_ms: next()?,
        })
    }

    fn write(&self) -> Vec<u8> {
        let Self { window, available, debt, until_ms, left, told_ms } = *self;
        let numbers = [window, available, debt, until_ms, left, told_ms];
        [LAYOUT].into_iter().chain(numbers.into_iter().flat_map(u64::to_le_bytes)).collect()
    }

    /// The lease of a budget, if this gateway has had one.
    pub fn of(shared: &impl Shared, budget: &str) -> Option<Self> {
        shared.load(&key(budget)).and_then(|(bytes, _)| Self::read(&bytes))
    }

    /// Takes `need`, and ahead of it up to `ahead` if there is plenty.
    fn draw(&mut self, window: u64, need: u64, ahead: u64, now_ms: u64) -> Result<u64, Short> {
        if self.window != window || self.until_ms <= now_ms {
            return Err(Short::Missing);
        }
        let Some(rest) = self.available.checked_sub(need) else {
            let fresh = now_ms.saturating_sub(self.told_ms) < RECHECK_MS;
            let enough = self.left.saturating_add(self.available) >= need;
            return Err(if fresh && !enough { Short::Empty } else { Short::Low });
        };
        let ahead = ahead.min(rest / PLENTY);
        self.available = rest.saturating_sub(ahead);
        Ok(need.saturating_add(ahead))
    }

    /// Takes back what was drawn, first of all to pay its debt.
    fn back(&mut self, window: u64, amount: u64) {
        if self.window == window {
            let paid = amount.min(self.debt);
            self.debt = self.debt.saturating_sub(paid);
            self.available = self.available.saturating_add(amount.saturating_sub(paid));
        }
    }
}

/// What the service lends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loan {
    /// The window it is for.
    pub window: u64,
    /// How much.
    pub amount: u64,
    /// What the service has left.
    pub left: u64,
    /// Until when calls may be admitted on the lease.
    pub until_ms: u64,
}

/// Adds a loan to the lease of `budget`. A loan for another window than the lease's replaces it.
///
/// # Errors
///
/// Returns [`Conflict`] where too many races were lost; the loan must then be tried again.
pub fn lend(
    shared: &mut impl Shared,
    budget: &str,
    loan: Loan,
    now_ms: u64,
) -> Result<(), Conflict> {
    update(shared, &key(budget), |old| {
        let old = old.and_then(Lease::read).unwrap_or_default();
        let mut lease = if old.window == loan.window { old } else { Lease::default() };
        lease.window = loan.window;
        lease.back(loan.window, loan.amount);
        lease.until_ms = lease.until_ms.max(loan.until_ms);
        (lease.left, lease.told_ms) = (loan.left, now_ms);
        // A loan for a window before the lease's is late: that window is over.
        let keep = loan.window >= old.window;
        (keep.then(|| lease.write()), ())
    })
}

/// Opens the lease of `budget` for `window` with all of `loan`, unless some worker has done so.
///
/// # Errors
///
/// Returns [`Conflict`] where too many races were lost.
pub fn open(shared: &mut impl Shared, budget: &str, loan: Loan) -> Result<(), Conflict> {
    update(shared, &key(budget), |old| {
        let window = old.and_then(Lease::read).map_or(0, |lease| lease.window);
        let Loan { window: new, amount, until_ms, left } = loan;
        let lease = Lease { window: new, available: amount, until_ms, left, ..Lease::default() };
        ((window < new).then(|| lease.write()), ())
    })
}

/// Takes all that no worker has drawn, to be given back to the service.
///
/// # Errors
///
/// Returns [`Conflict`] where too many races were lost.
pub fn drain(shared: &mut impl Shared, budget: &str, window: u64) -> Result<u64, Conflict> {
    update(shared, &key(budget), |old| match old.and_then(Lease::read) {
        Some(mut lease) if lease.window == window && lease.available > 0 => {
            let all = core::mem::take(&mut lease.available);
            (Some(lease.write()), all)
        }
        _ => (None, 0),
    })
}

/// What one worker has drawn, by budget.
#[derive(Debug, Default)]
pub struct Slices {
    slices: BTreeMap<String, Slice>,
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
    /// What is taken between two ticks, smoothed.
    pub pace: u64,
    /// Whether nothing has been taken for [`IDLE_TICKS`], and nothing is held.
    pub idle: bool,
}

impl Slices {
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
            *slice = Slice { window, ..Slice::default() };
        }
        if slice.window != window {
            return Err(Short::Missing);
        }
        let missing = need.saturating_sub(slice.left);
        if missing > 0 || need == 0 {
            slice.left = slice.left.saturating_add(draw(shared, budget, slice, missing, now_ms)?);
        }
        slice.left = slice.left.saturating_sub(need);
        slice.held = slice.held.saturating_add(need);
        slice.taken = slice.taken.saturating_add(need);
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
            return over;
        };
        slice.held = slice.held.saturating_sub(held);
        slice.left = slice.left.saturating_add(held.saturating_sub(used));
        let own = over.min(slice.left);
        slice.left = slice.left.saturating_sub(own);
        let over = over.saturating_sub(own);
        over.saturating_sub(if over == 0 { 0 } else { cover(shared, budget, window, over) })
    }

    /// Gives back what is not likely to be used before the next tick, and tells what this worker
    /// has to do with. Call it once a tick.
    pub fn tick(&mut self, shared: &mut impl Shared) -> Vec<Activity> {
        let mut active = Vec::with_capacity(self.slices.len());
        self.slices.retain(|budget, slice| {
            slice.pace = slice.pace.saturating_add(slice.taken) / 2;
            slice.idle = if slice.taken == 0 { slice.idle.saturating_add(1) } else { 0 };
            slice.taken = 0;
            let spare = slice.left.saturating_sub(slice.pace);
            if spare > 0 && back(shared, budget, slice.window, spare).is_ok() {
                slice.left = slice.left.saturating_sub(spare);
            }
            let idle = slice.idle >= IDLE_TICKS && slice.held == 0 && slice.left == 0;
            let Slice { window, pace, .. } = *slice;
            active.push(Activity { budget: budget.clone(), window, pace, idle });
            !idle
        });
        active
    }
}

fn draw(
    shared: &mut impl Shared,
    budget: &str,
    slice: &Slice,
    need: u64,
    now_ms: u64,
) -> Result<u64, Short> {
    let drawn = update(shared, &key(budget), |old| {
        let mut lease = old.and_then(Lease::read).unwrap_or_default();
        match lease.draw(slice.window, need, slice.pace, now_ms) {
            Ok(amount) => (Some(lease.write()), Ok(amount)),
            Err(short) => (None, Err(short)),
        }
    });
    drawn.unwrap_or(Err(Short::Busy))
}

/// Takes up to `amount` for a call that has already used it; returns how much there was. The lease
/// need not be valid any more: the money is spent.
fn cover(shared: &mut impl Shared, budget: &str, window: u64, amount: u64) -> u64 {
    let covered = update(shared, &key(budget), |old| match old.and_then(Lease::read) {
        Some(mut lease) if lease.window == window && lease.available > 0 => {
            let covered = amount.min(lease.available);
            lease.available = lease.available.saturating_sub(covered);
            (Some(lease.write()), covered)
        }
        _ => (None, 0),
    });
    covered.unwrap_or(0)
}

fn back(shared: &mut impl Shared, budget: &str, window: u64, amount: u64) -> Result<(), Conflict> {
    update(shared, &key(budget), |old| {
        let Some(mut lease) = old.and_then(Lease::read) else { return (None, ()) };
        lease.back(window, amount);
        (Some(lease.write()), ())
    })
}

/// Notes what was used beyond the lease of `budget`, so that what comes back pays for it first.
///
/// # Errors
///
/// Returns [`Conflict`] where too many races were lost.
pub fn owe(
    shared: &mut impl Shared,
    budget: &str,
    window: u64,
    amount: u64,
) -> Result<(), Conflict> {
    update(shared, &key(budget), |old| match old.and_then(Lease::read) {
        Some(mut lease) if lease.window == window => {
            let paid = amount.min(lease.available);
            lease.available = lease.available.saturating_sub(paid);
            lease.debt = lease.debt.saturating_add(amount.saturating_sub(paid));
            (Some(lease.write()), ())
        }
        _ => (None, ()),
    })
}

fn key(budget: &str) -> String {
    format!("{NAMESPACE}lease/{budget}")
}

/// The first byte of a lease's record.
const LAYOUT: u8 = 1;
/// A worker draws ahead at most this part of what is left, so that others find something too.
const PLENTY: u64 = 8;
/// For how long "nothing left" is believed: what others give back may have made room since.
const RECHECK_MS: u64 = 1_000;
/// Ticks without a call after which a worker lets go of a budget.
const IDLE_TICKS: u32 = 3;

#[cfg(test)]
mod tests;
