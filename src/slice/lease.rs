//! The gateway's lease of one budget: one fixed record in shared data, changed by
//! compare-and-swap.

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
    /// When a worker last drew from it.
    pub drawn_ms: u64,
    /// The limit of a budget that no service keeps: what was in the lease when it was opened.
    pub limit: u64,
    /// What the service last said was used.
    pub spent: u64,
    /// When a worker last took it on itself to ask for more.
    pub asked_ms: u64,
    /// What may yet come back: what the service has lent to whomever, or, of a budget that no
    /// service keeps, what calls hold.
    pub lent: u64,
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
            drawn_ms: next()?,
            limit: next()?,
            spent: next()?,
            asked_ms: next()?,
            lent: next()?,
        })
    }

    fn write(&self) -> Vec<u8> {
        let Self { window, available, debt, until_ms, left, told_ms, .. } = *self;
        let Self { drawn_ms, limit, spent, asked_ms, lent, .. } = *self;
        let numbers = [
            window, available, debt, until_ms, left, told_ms, drawn_ms, limit, spent, asked_ms,
            lent,
        ];
        [LAYOUT].into_iter().chain(numbers.into_iter().flat_map(u64::to_le_bytes)).collect()
    }

    /// The lease of a budget, if this gateway has had one.
    pub fn of(shared: &impl Shared, budget: &str) -> Option<Self> {
        shared.load(&key(budget)).and_then(|(bytes, _)| Self::read(&bytes))
    }

    /// Takes `need`, and ahead of it up to `ahead` if there is plenty.
    pub(super) fn draw(
        &mut self,
        window: u64,
        need: u64,
        ahead: u64,
        now_ms: u64,
    ) -> Result<u64, Short> {
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
        self.drawn_ms = now_ms;
        if self.limit > 0 {
            self.lent = self.lent.saturating_add(need);
        }
        Ok(need.saturating_add(ahead))
    }

    /// What was used of the limit or is held, and how much that is more than there was; of a budget
    /// that a service keeps, what that has told.
    #[must_use]
    pub const fn used(&self) -> u64 {
        let own = self.limit.saturating_sub(self.available).saturating_add(self.debt);
        own.saturating_add(self.spent)
    }

    /// The lease under another limit.
    fn resized(mut self, limit: u64, until_ms: u64) -> Self {
        self.back(self.window, limit.saturating_sub(self.limit));
        self.owe(self.limit.saturating_sub(limit));
        Self { limit, until_ms, ..self }
    }

    /// Takes what has been used, as far as there is so much; the rest is debt.
    const fn owe(&mut self, amount: u64) {
        let left = self.available.saturating_sub(amount);
        let paid = self.available.saturating_sub(left);
        self.available = left;
        self.debt = self.debt.saturating_add(amount.saturating_sub(paid));
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
    /// What it says was used.
    pub used: u64,
    /// What the service has lent to whomever.
    pub lent: u64,
    /// Until when calls may be admitted on the lease.
    pub until_ms: u64,
}

/// Adds a loan to the lease of `budget`. A loan for a later window than the lease's replaces it:
/// returned are the window that is over and what was left of its lease. One for an earlier window is
/// late, and itself what is left over.
///
/// # Errors
///
/// Returns [`Conflict`] where too many races were lost; the loan must then be tried again.
pub fn lend(
    shared: &mut impl Shared,
    budget: &str,
    loan: Loan,
    now_ms: u64,
) -> Result<(u64, u64), Conflict> {
    update(shared, &key(budget), |old| {
        let old = old.and_then(Lease::read).unwrap_or_default();
        let mut lease = if old.window == loan.window { old } else { Lease::default() };
        lease.window = loan.window;
        lease.back(loan.window, loan.amount);
        lease.until_ms = lease.until_ms.max(loan.until_ms);
        (lease.left, lease.spent, lease.lent) = (loan.left, loan.used, loan.lent);
        (lease.told_ms, lease.asked_ms) = (now_ms, 0);
        // A loan for a window before the lease's is late: that window is over.
        if loan.window < old.window {
            return (None, (loan.window, loan.amount));
        }
        let over = if loan.window > old.window { old.available } else { 0 };
        (Some(lease.write()), (old.window, over))
    })
}

/// Opens the lease of a budget that no service keeps, for `window` with all of its `limit`, unless
/// some worker has done so. If the limit was another one then, the difference counts from now on.
///
/// # Errors
///
/// Returns [`Conflict`] where too many races were lost.
pub fn open(
    shared: &mut impl Shared,
    budget: &str,
    window: u64,
    limit: u64,
    until_ms: u64,
) -> Result<(), Conflict> {
    update(shared, &key(budget), |old| {
        let old = old.and_then(Lease::read);
        let lease = match old {
            Some(lease) if lease.window == window => lease.resized(limit, until_ms),
            // A worker whose window has just ended comes late.
            Some(lease) if until_ms / MS <= lease.window => lease,
            _ => Lease { window, available: limit, limit, until_ms, ..Lease::default() },
        };
        ((old != Some(lease)).then(|| lease.write()), ())
    })
}

/// Whether this worker is the one to ask for more of a lease: no other has taken that on itself a
/// moment ago.
pub fn claim(shared: &mut impl Shared, budget: &str, window: u64, now_ms: u64) -> bool {
    let claimed = update(shared, &key(budget), |old| match old.and_then(Lease::read) {
        Some(mut lease) if lease.window == window => {
            let free = now_ms.saturating_sub(lease.asked_ms) >= CLAIM_MS || lease.asked_ms == 0;
            lease.asked_ms = now_ms.max(1);
            (free.then(|| lease.write()), free)
        }
        _ => (None, false),
    });
    claimed.unwrap_or(false)
}

/// Takes all that no worker has drawn, to be given back to the service, unless one has drawn since
/// `idle_since_ms`.
///
/// # Errors
///
/// Returns [`Conflict`] where too many races were lost.
pub fn drain(
    shared: &mut impl Shared,
    budget: &str,
    window: u64,
    idle_since_ms: u64,
) -> Result<u64, Conflict> {
    update(shared, &key(budget), |old| match old.and_then(Lease::read) {
        Some(mut lease)
            if lease.window == window && lease.available > 0 && lease.drawn_ms <= idle_since_ms =>
        {
            let all = core::mem::take(&mut lease.available);
            (Some(lease.write()), all)
        }
        _ => (None, 0),
    })
}

pub(super) fn draw(
    shared: &mut impl Shared,
    budget: &str,
    window: u64,
    (need, ahead): (u64, u64),
    now_ms: u64,
) -> Result<u64, Short> {
    let drawn = update(shared, &key(budget), |old| {
        let mut lease = old.and_then(Lease::read).unwrap_or_default();
        match lease.draw(window, need, ahead, now_ms) {
            Ok(amount) => (Some(lease.write()), Ok(amount)),
            Err(short) => (None, Err(short)),
        }
    });
    drawn.unwrap_or(Err(Short::Busy))
}

/// Takes up to `amount` for a call that has already used it; returns how much there was. The lease
/// need not be valid any more: the money is spent.
pub(super) fn cover(shared: &mut impl Shared, budget: &str, window: u64, amount: u64) -> u64 {
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

/// Gives `amount` back to the lease, of which calls held `freed`. Returns what the lease does not
/// take, because it is of another window now.
///
/// # Errors
///
/// Returns [`Conflict`] where too many races were lost.
pub(super) fn back(
    shared: &mut impl Shared,
    budget: &str,
    window: u64,
    (amount, freed): (u64, u64),
) -> Result<u64, Conflict> {
    update(shared, &key(budget), |old| {
        let lease = old.and_then(Lease::read).filter(|lease| lease.window == window);
        let Some(mut lease) = lease else { return (None, amount) };
        lease.back(window, amount);
        lease.lent = lease.lent.saturating_sub(freed);
        (Some(lease.write()), 0)
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
            lease.owe(amount);
            (Some(lease.write()), ())
        }
        _ => (None, ()),
    })
}

fn key(budget: &str) -> String {
    format!("{NAMESPACE}lease/{budget}")
}

/// The first byte of a lease's record.
const LAYOUT: u8 = 4;
/// Milliseconds of a second, in which windows are counted.
const MS: u64 = 1_000;
/// A worker draws ahead at most this part of what is left, so that others find something too; a lease
/// that has not so many holds is short.
pub(super) const PLENTY: u64 = 8;
/// For how long the asking for more is left to the worker that said it would.
const CLAIM_MS: u64 = 5_000;
/// For how long "nothing left" is believed: what others give back may have made room since.
const RECHECK_MS: u64 = 1_000;
