//! Calls that have ended and that the service has not taken yet.
//!
//! There is room for so many. Where it runs out, the operator's policy decides about calls to come
//! (see [`Outbox::is_full`]); a row for which there is no room at all is counted, never dropped in
//! silence: the access log has the call, and `tollgate-quota reconcile` books it from there.

use std::collections::VecDeque;

use crate::sync::Row;

/// One worker's rows that wait.
#[derive(Debug)]
pub(super) struct Outbox {
    rows: VecDeque<Row>,
    /// How many go into one ask: fewer after a service has refused so many.
    at_once: usize,
    lost: u64,
}

impl Default for Outbox {
    fn default() -> Self {
        Self { rows: VecDeque::new(), at_once: MAX_AT_ONCE, lost: 0 }
    }
}

impl Outbox {
    /// Puts down a call that has ended. When the outbox is full, what is charged to nobody is the
    /// first for which there is no room.
    pub(super) fn add(&mut self, row: Row) {
        let room = if row.charges.is_empty() { FULL } else { MOST };
        if self.rows.len() < room {
            self.rows.push_back(row);
        } else {
            self.lost = self.lost.saturating_add(1);
        }
    }

    /// Whether there is only room for the calls that are under way.
    pub(super) fn is_full(&self) -> bool {
        self.rows.len() >= FULL
    }

    /// Whether there is enough for an ask.
    pub(super) fn is_pressed(&self) -> bool {
        self.rows.len() >= self.at_once
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Takes the rows for one ask, at most `most`.
    pub(super) fn take(&mut self, most: usize) -> Vec<Row> {
        let rows = self.rows.len().min(self.at_once).min(most);
        self.rows.drain(..rows).collect()
    }

    /// The rows of an ask have been heard.
    pub(super) fn on_heard(&mut self) {
        self.at_once = self.at_once.saturating_mul(2).min(MAX_AT_ONCE);
    }

    /// Takes back rows that were not heard.
    pub(super) fn take_back(&mut self, rows: Vec<Row>) {
        for row in rows.into_iter().rev() {
            self.rows.push_front(row);
        }
    }

    /// Takes back rows that were refused: fewer go next time, and one that is refused by itself is
    /// given up.
    pub(super) fn on_refusal(&mut self, rows: Vec<Row>) {
        match rows.len() {
            0 => {}
            1 => self.lost = self.lost.saturating_add(1),
            many => {
                self.at_once = many / 2;
                self.take_back(rows);
            }
        }
    }

    /// Takes the number of rows that were lost.
    pub(super) const fn take_lost(&mut self) -> u64 {
        core::mem::replace(&mut self.lost, 0)
    }
}

/// Rows that wait: some minutes of a busy worker, and some ten megabytes.
const MOST: usize = 20_000;
/// Rows from which on no call should begin that must not be lost: the rest is for those under way.
const FULL: usize = 16_000;
/// Rows in one ask: some hundred kilobytes, and some hundred milliseconds of the service's time.
const MAX_AT_ONCE: usize = 2_000;
