//! How often the workers of a process look after their leases, and how often they report.
//!
//! Each worker ticks every `sync_ms`. They take turns to report, so that a process asks about once
//! in `sync_ms` however many workers it has; but none keeps what it knows for longer than
//! [`FRESH_MS`], so that the service's figures are not old.

/// When workers report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cadence {
    /// The workers of this process, as far as they have shown themselves.
    pub workers: u64,
    /// A worker reports at every so manieth tick.
    pub ticks: u64,
}

impl Cadence {
    /// That of so many workers that tick every `sync_ms`.
    #[must_use]
    pub fn of(workers: u64, sync_ms: u32) -> Self {
        let workers = workers.max(1);
        let most = FRESH_MS.checked_div(u64::from(sync_ms)).unwrap_or(1).max(1);
        Self { workers, ticks: workers.min(most) }
    }

    /// Whether a worker reports at its `tick`.
    #[must_use]
    pub fn is_report(&self, worker: u64, tick: u64) -> bool {
        tick.wrapping_add(worker).checked_rem(self.ticks).unwrap_or(0) == 0
    }

    /// For how many ticks a lease must last so that it can be filled up in time: until the next
    /// report, until that is answered, and one more.
    #[must_use]
    pub const fn low_ticks(&self) -> u64 {
        self.ticks.saturating_add(2)
    }
}

/// A worker that ticks more often than this reports at least this often, in milliseconds.
pub const FRESH_MS: u64 = 3_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_take_turns_and_none_is_silent_for_long() {
        #[rustfmt::skip]
        let cases = [
            // workers, sync_ms, ticks
            (0,         1_000,   1),
            (1,         1_000,   1),
            (2,         1_000,   2),
            (16,        1_000,   3),
            (2,         200,     2),
            (64,        100,     30),
            (8,         5_000,   1),
        ];
        for (workers, sync_ms, ticks) in cases {
            let cadence = Cadence::of(workers, sync_ms);
            assert_eq!(cadence.ticks, ticks, "{workers} workers every {sync_ms} ms");
            for worker in 0..workers {
                let reports = (0..ticks).filter(|&tick| cadence.is_report(worker, tick)).count();
                assert_eq!(reports, 1, "worker {worker} of {workers}");
            }
        }
        let two = Cadence::of(2, 1_000);
        assert!(two.is_report(0, 4) && !two.is_report(1, 4), "not both at once");
    }
}
