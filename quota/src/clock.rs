//! The service's clock: the system's, moved if a test says so, and never backwards.

use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;
use tollgate::calendar::timestamp;

/// A clock that never runs backwards.
#[derive(Debug, Default)]
pub struct Clock {
    /// What is added to the system's time, in milliseconds.
    offset_ms: i64,
    /// The latest time that was told.
    latest_ms: AtomicI64,
}

impl Clock {
    /// A clock that shows `now` now, and goes on from there.
    #[must_use]
    pub fn set_to(now: Timestamp) -> Self {
        let offset_ms = now.as_millisecond().saturating_sub(Timestamp::now().as_millisecond());
        Self { offset_ms, ..Self::default() }
    }

    /// Milliseconds since 1970 UTC.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        let now_ms = Timestamp::now().as_millisecond().saturating_add(self.offset_ms);
        self.latest_ms.fetch_max(now_ms, Ordering::Relaxed).max(now_ms)
    }

    /// The same as a timestamp.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        timestamp(self.now_ms())
    }
}
