//! What there is left of a budget, and whether it is worth while to wait for more.

use super::{Desk, Known, parts};
use crate::budget;
use crate::calendar::NEVER;
use crate::scope::Scope;
use crate::shared::Shared;
use crate::slice::Lease;
use crate::sync::{Budget, Recall, Want};

/// What a client may be told of the budget that a call has left least of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// What is counted.
    pub unit: crate::sync::Unit,
    /// The most in a window.
    pub limit: u64,
    /// What of it neither was used nor is held, as far as that is known here.
    pub left: u64,
    /// In how many seconds the window ends, if it does.
    pub resets_in_s: Option<u64>,
}

impl Desk {
    /// What of a budget could still be had, as far as that is known here.
    pub(super) fn room(&self, shared: &impl Shared, (id, window): (&str, u64)) -> u64 {
        let lease = Lease::of(shared, id).filter(|lease| lease.window == window);
        let lease = lease.unwrap_or_default();
        let own = self.slices.left(id, window);
        lease.available.saturating_add(lease.left).saturating_add(own)
    }

    /// What is left of the budget that calls of this scope have the smallest part left of.
    pub fn tightest(
        &self,
        shared: &mut impl Shared,
        known: &Known,
        scope: &Scope<'_>,
        now_ms: u64,
    ) -> Option<Room> {
        let mut tightest: Option<(u128, Room)> = None;
        for budget in known.tenant.budgets.iter().filter(|b| budget::applies(b, scope)) {
            let id = parts::id(shared, budget, scope);
            let (window, ends) = known.window(budget, now_ms);
            let left = self.room(shared, (&id, window)).min(budget.limit);
            let part = u128::from(left).saturating_mul(SCALE).checked_div(budget.limit.into());
            let room = Room {
                unit: budget.unit,
                limit: budget.limit,
                left,
                resets_in_s: (ends < NEVER).then(|| ends.saturating_sub(now_ms).div_ceil(1_000)),
            };
            let part = part.unwrap_or(0);
            if tightest.is_none_or(|(least, _)| part < least) {
                tightest = Some((part, room));
            }
        }
        tightest.map(|(_, room)| room)
    }

    /// Whether a call that needs so much of a full budget, and has waited for so many milliseconds,
    /// goes on to wait for what others hold. The service is asked again from time to time.
    pub(super) fn awaits(
        &mut self,
        shared: &impl Shared,
        (budget, id, window): (&Budget, &str, u64),
        (need, waited_ms): (u64, u64),
        now_ms: u64,
    ) -> bool {
        if waited_ms >= u64::from(budget.holding.wait_ms) || need > budget.limit {
            return false;
        }
        let lease = Lease::of(shared, id).filter(|lease| lease.window == window);
        let Some(lease) = lease.filter(|lease| lease.lent > 0) else { return false };
        if self.own.is_none() && now_ms.saturating_sub(lease.told_ms) >= ASK_AGAIN_MS {
            let missing = self.slices.missing(shared, id, window, need);
            self.book.need(Want { budget: id.to_owned(), window, need: missing, want: missing });
        }
        true
    }

    /// Gives back what is left of the windows of a budget that are over, before more is asked for: to
    /// the service it is on loan until then.
    pub(super) fn hand_in(&mut self, shared: &mut impl Shared, id: &str, window: u64) {
        if let Some(old) = Lease::of(shared, id).filter(|lease| lease.window < window) {
            let amount = crate::slice::drain(shared, id, old.window, u64::MAX).unwrap_or(0);
            self.book.give_back(id.to_owned(), old.window, amount);
        }
        for (budget, window, amount) in self.slices.take_over() {
            self.book.give_back(budget, window, amount);
        }
    }

    /// Gives back what no call needs of leases that others do.
    pub fn recalled(&mut self, shared: &mut impl Shared, recalls: Vec<Recall>) {
        for Recall { budget, window } in recalls {
            self.slices.let_go(shared, &budget);
            let amount = crate::slice::drain(shared, &budget, window, u64::MAX).unwrap_or(0);
            self.book.give_back_now(budget, window, amount);
        }
    }
}

/// Parts in which what is left of budgets is compared.
const SCALE: u128 = 1 << 32;
/// How often the service is asked for more of a budget that is full, while calls wait for it.
const ASK_AGAIN_MS: u64 = 200;
