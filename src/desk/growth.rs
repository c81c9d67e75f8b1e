//! Holds that grow with their streams.

use super::{Desk, Hold};
use crate::budget::Expected;
use crate::shared::Shared;
use crate::slice::{Lease, Short};
use crate::sync::Want;

/// What came of letting the holds of a call grow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grown {
    /// They hold what it now is expected to take.
    Enough,
    /// Some do not. More has been asked for, or the call goes on without.
    Short,
    /// Some do not, no more can be had, and the budget of this id wants the stream ended.
    End(String),
}

impl Desk {
    /// Lets the holds of a call under way grow to what it is now expected to take.
    pub fn grow(
        &mut self,
        shared: &mut impl Shared,
        holds: &mut [Hold],
        expected: &Expected,
        now_ms: u64,
    ) -> Grown {
        let mut grown = Grown::Enough;
        for hold in holds.iter_mut().filter(|hold| !hold.firm) {
            let Some(held) = hold.held else { continue };
            let need = expected.hold(hold.measure);
            let more = need.saturating_sub(held);
            if more == 0 {
                continue;
            }
            match self.slices.take(shared, &hold.budget, hold.window, more, now_ms) {
                Ok(()) => hold.held = Some(need),
                Err(short) => {
                    let low = self.own.is_some() && short == Short::Low;
                    let none = low || short == Short::Empty;
                    // Of a window that is over nothing more is lent: such a stream goes on.
                    let lease = Lease::of(shared, &hold.budget);
                    let is_over = lease.is_some_and(|lease| lease.window > hold.window);
                    if !none && !is_over && self.own.is_none() {
                        let budget = hold.budget.clone();
                        self.book.want(Want { budget, window: hold.window, need: 0, want: more });
                    }
                    if none && hold.end {
                        return Grown::End(hold.budget.clone());
                    }
                    grown = Grown::Short;
                }
            }
        }
        grown
    }
}
