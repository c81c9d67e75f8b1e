//! Lending of a budget: the one algebra of the service, the gateway and the worker.
//!
//! A [`Pool`] is a budget in one window. A [`Lease`] is what one borrower has of it. At every level
//!
//! ```text
//! covered + on loan + suspense ≤ limit      on loan = granted − settled − returned − suspense
//! ```
//!
//! where covered is what was settled out of leases. What a borrower used beyond its lease is booked
//! all the same and counts against later grants: an overrun is never clamped, and never hidden.
//! Nothing here reads a clock. Sums stop at `u64::MAX`, which errs towards refusing.

/// A budget in one window, as the lender sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pool {
    /// The most that may be used.
    pub limit: u64,
    /// All that was used, with the overrun.
    pub settled: u64,
    /// How much of `settled` no lease covered.
    pub overrun: u64,
    /// What borrowers have and have not yet used.
    pub on_loan: u64,
    /// What borrowers had when they fell silent: perhaps used, and never lent again by guess.
    pub suspense: u64,
}

/// What one borrower has of a [`Pool`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lease {
    /// All that was ever lent.
    pub granted: u64,
    /// What of it was used.
    pub settled: u64,
    /// What of it was given back.
    pub returned: u64,
    /// What of it is in the pool's suspense.
    pub suspense: u64,
}

/// Where a settlement was taken from: the three make up its amount.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// Out of what was on loan.
    pub from_loan: u64,
    /// Out of what had gone to suspense.
    pub from_suspense: u64,
    /// Covered by nothing.
    pub overrun: u64,
}

impl Lease {
    /// What is on loan: lent, and neither used, given back nor in suspense.
    #[must_use]
    pub const fn outstanding(&self) -> u64 {
        let spent = self.settled.saturating_add(self.returned).saturating_add(self.suspense);
        self.granted.saturating_sub(spent)
    }
}

impl Pool {
    /// What can still be lent.
    #[must_use]
    pub const fn free(&self) -> u64 {
        let taken = self.settled.saturating_add(self.on_loan).saturating_add(self.suspense);
        self.limit.saturating_sub(taken)
    }

    /// What was used out of leases.
    #[must_use]
    pub const fn covered(&self) -> u64 {
        self.settled.saturating_sub(self.overrun)
    }

    /// Lends towards `want`, but at most a `SHARE`th of what is free, so that near the limit
    /// leases shrink and no borrower starves the others; but always `need`, and nothing if `need`
    /// is more than is free. Returns how much.
    pub fn grant(&mut self, lease: &mut Lease, need: u64, want: u64) -> u64 {
        let free = self.free();
        if need > free {
            return 0;
        }
        // The lease's sum bounds it too: what a counter cannot hold must not be lent.
        let room = u64::MAX.saturating_sub(lease.granted);
        let amount = want.min(free / SHARE).max(need).min(room);
        lease.granted = lease.granted.saturating_add(amount);
        self.on_loan = self.on_loan.saturating_add(amount);
        amount
    }

    /// Books `amount` as used, of which the borrower says that `beyond` was not covered by its
    /// lease. What it says was covered but is not counts as overrun too.
    pub fn settle(&mut self, lease: &mut Lease, amount: u64, beyond: u64) -> Settled {
        let said = amount.saturating_sub(beyond);
        let (from_loan, from_suspense) = self.take(lease, said);
        let covered = from_loan.saturating_add(from_suspense);
        lease.settled = lease.settled.saturating_add(covered);
        let overrun = amount.saturating_sub(covered);
        self.settled = self.settled.saturating_add(amount);
        self.overrun = self.overrun.saturating_add(overrun);
        Settled { from_loan, from_suspense, overrun }
    }

    /// Takes back what the borrower does not need, at most what it has. Returns how much.
    pub fn give_back(&mut self, lease: &mut Lease, amount: u64) -> u64 {
        let (from_loan, from_suspense) = self.take(lease, amount);
        let taken = from_loan.saturating_add(from_suspense);
        lease.returned = lease.returned.saturating_add(taken);
        taken
    }

    /// The borrower fell silent: what it has goes into suspense. Returns how much.
    pub const fn expire(&mut self, lease: &mut Lease) -> u64 {
        let amount = lease.outstanding();
        lease.suspense = lease.suspense.saturating_add(amount);
        self.on_loan = self.on_loan.saturating_sub(amount);
        self.suspense = self.suspense.saturating_add(amount);
        amount
    }

    /// The borrower is back: what it had is on loan again. Returns how much.
    pub const fn revive(&mut self, lease: &mut Lease) -> u64 {
        let amount = lease.suspense;
        lease.suspense = 0;
        self.suspense = self.suspense.saturating_sub(amount);
        self.on_loan = self.on_loan.saturating_add(amount);
        amount
    }

    /// Takes up to `amount` off the lease: first what is on loan, then what is in suspense. The
    /// caller books what was taken.
    fn take(&mut self, lease: &mut Lease, amount: u64) -> (u64, u64) {
        let from_loan = amount.min(lease.outstanding());
        let from_suspense = amount.saturating_sub(from_loan).min(lease.suspense);
        self.on_loan = self.on_loan.saturating_sub(from_loan);
        self.suspense = self.suspense.saturating_sub(from_suspense);
        lease.suspense = lease.suspense.saturating_sub(from_suspense);
        (from_loan, from_suspense)
    }
}

/// One ask gets at most one part in so many of what is free, unless a waiting call needs more.
const SHARE: u64 = 4;

#[cfg(test)]
mod protocol;
#[cfg(test)]
mod schedule;
#[cfg(test)]
mod tests;
