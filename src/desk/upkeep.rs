//! What a worker does about its leases at each tick: give back what is not likely to be used, ask
//! for more before a call must wait.

use super::{Cadence, Desk};
use crate::shared::Shared;
use crate::slice::{self, Activity};
use crate::sync::Want;

impl Desk {
    /// Gives back what is not likely to be used, and asks for more where a lease is low.
    pub fn tick(&mut self, shared: &mut impl Shared, cadence: Cadence, now_ms: u64) {
        self.book.lend_again(shared, now_ms);
        self.tenants.look(shared);
        let active = self.slices.tick(shared);
        for (budget, window, amount) in self.slices.take_over() {
            self.book.give_back(budget, window, amount);
        }
        if self.own.is_some() {
            return;
        }
        for activity in active {
            self.look_after(shared, activity, cadence, now_ms);
        }
    }

    fn look_after(
        &mut self,
        shared: &mut impl Shared,
        Activity { budget, window, pace, need, idle }: Activity,
        cadence: Cadence,
        now_ms: u64,
    ) {
        if idle > IDLE_TICKS && idle < LONG_IDLE_TICKS {
            return;
        }
        let lease = slice::Lease::of(shared, &budget).filter(|lease| lease.window == window);
        let Some(lease) = lease else { return };
        if idle >= IDLE_TICKS {
            // Where others would miss it, it goes back soon; else the next call shall not wait.
            let scarce = lease.left / MUCH_LEFT < lease.available;
            if scarce || idle >= LONG_IDLE_TICKS {
                let since = now_ms.saturating_sub(IDLE_MS);
                let amount = slice::drain(shared, &budget, window, since).unwrap_or(0);
                self.book.give_back(budget, window, amount);
            }
            return;
        }
        let pace = pace.saturating_mul(cadence.workers).max(need);
        let low = lease.available < pace.saturating_mul(cadence.low_ticks());
        let old = lease.until_ms.saturating_sub(now_ms) < RENEW_MS;
        if (low || old) && slice::claim(shared, &budget, window, now_ms) {
            let want = if low { pace.saturating_mul(AHEAD_TICKS) } else { 0 };
            self.book.want(Want { budget, window, need: 0, want });
        }
    }
}

/// Ticks without a call after which a budget is idle.
const IDLE_TICKS: u32 = 3;
/// The same, where the service has so much that nobody misses what is idle.
const LONG_IDLE_TICKS: u32 = slice::IDLE_TICKS;
/// A lease that no worker has drawn from for so long is idle.
const IDLE_MS: u64 = 3_000;
/// The service has much left if it has so many times what is idle here.
const MUCH_LEFT: u64 = 16;
/// So many ticks of the current pace are asked for at once.
const AHEAD_TICKS: u64 = 10;
/// A lease in use is renewed when it has less time than this: a third of what it is given.
const RENEW_MS: u64 = 10_000;
