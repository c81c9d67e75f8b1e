//! The service's own numbers, in the text format of Prometheus.

use std::{
    fmt::{self, Write as _},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use tollgate::sync::Grant;

use crate::{prices::Prices, state::Books};

/// Counters since the start.
#[derive(Debug, Default)]
pub struct Metrics {
    asks: [Counter; Asked::ALL.len()],
    rows: [Counter; 3],
    charges_refused: Counter,
    withheld: Counter,
    grants: Counter,
    grants_empty: Counter,
    expired: Counter,
    met: Counter,
    closed: Counter,
    reloads: Counter,
    reloads_refused: Counter,
    repriced: Counter,
    repriced_refused: Counter,
    handed: Counter,
    sync_micros: Counter,
    sync_buckets: [Counter; BUCKETS_MS.len()],
}

/// What became of a request to `/v1/sync`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Answered.
    Heard,
    /// Answered again.
    Again,
    /// Older than the last one.
    Stale,
    /// No ask.
    Garbage,
    /// Without the secret.
    Unauthorized,
    /// The database failed.
    Failed,
}

impl Asked {
    const ALL: [Self; 6] =
        [Self::Heard, Self::Again, Self::Stale, Self::Garbage, Self::Unauthorized, Self::Failed];

    const fn label(self) -> &'static str {
        match self {
            Self::Heard => "heard",
            Self::Again => "again",
            Self::Stale => "stale",
            Self::Garbage => "garbage",
            Self::Unauthorized => "unauthorized",
            Self::Failed => "failed",
        }
    }
}

#[derive(Debug, Default)]
struct Counter(AtomicU64);

impl Counter {
    fn add(&self, more: u64) {
        self.0.fetch_add(more, Relaxed);
    }

    fn count(&self, more: usize) {
        self.add(u64::try_from(more).unwrap_or(u64::MAX));
    }

    fn value(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

impl Metrics {
    /// A request to `/v1/sync`, over.
    pub fn asked(&self, asked: Asked, took: Duration) {
        let counter = Asked::ALL.iter().zip(&self.asks).find(|(kind, _)| **kind == asked);
        if let Some((_, counter)) = counter {
            counter.add(1);
        }
        self.sync_micros.add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        for (bound, bucket) in BUCKETS_MS.into_iter().zip(&self.sync_buckets) {
            if took <= Duration::from_millis(bound) {
                bucket.add(1);
            }
        }
    }

    /// Rows of one ask: how many there were, how many could be read, how many were new.
    pub fn booked(&self, all: usize, readable: usize, fresh: usize) {
        let [booked, known, unreadable] = &self.rows;
        booked.count(fresh);
        known.count(readable.saturating_sub(fresh));
        unreadable.count(all.saturating_sub(readable));
    }

    /// A charge that cannot be one.
    pub fn charge_refused(&self) {
        self.charges_refused.add(1);
    }

    /// Budgets that a gateway was not told of, because it cannot keep them.
    pub fn withheld(&self, budgets: usize) {
        self.withheld.count(budgets);
    }

    /// What one answer lends.
    pub fn lent(&self, grants: &[Grant]) {
        let empty = grants.iter().filter(|grant| grant.amount == 0).count();
        self.grants.count(grants.len().saturating_sub(empty));
        self.grants_empty.count(empty);
    }

    /// Leases of silent gateways.
    pub fn expired(&self, leases: usize) {
        self.expired.count(leases);
    }

    /// Counts customers who have appeared by themselves.
    pub fn met(&self, customers: usize) {
        self.met.count(customers);
    }

    /// Leases of gateways that were silent for a week.
    pub fn closed(&self, leases: usize) {
        self.closed.count(leases);
    }

    /// A newer file, or one that could not be used.
    pub fn reloaded(&self, good: bool) {
        if good { self.reloads.add(1) } else { self.reloads_refused.add(1) }
    }

    /// A newer price book, or one that could not be used.
    pub fn repriced(&self, good: bool) {
        if good { self.repriced.add(1) } else { self.repriced_refused.add(1) }
    }

    /// A gateway was handed the price book.
    pub fn handed(&self) {
        self.handed.add(1);
    }

    /// Everything as text.
    #[must_use]
    pub fn text(&self, books: &Books, prices: &Prices) -> String {
        let mut text = String::new();
        // A String takes whatever is written to it.
        let _ = self.write(&mut text, books, prices);
        text
    }

    fn write(&self, text: &mut String, books: &Books, prices: &Prices) -> fmt::Result {
        head(text, "syncs_total", "counter", "Requests to /v1/sync.")?;
        for (kind, counter) in Asked::ALL.iter().zip(&self.asks) {
            let (label, value) = (kind.label(), counter.value());
            writeln!(text, "{PREFIX}syncs_total{{result=\"{label}\"}} {value}")?;
        }
        self.write_duration(text)?;
        head(text, "rows_total", "counter", "Calls reported by gateways.")?;
        for (label, counter) in ["booked", "known", "unreadable"].iter().zip(&self.rows) {
            writeln!(text, "{PREFIX}rows_total{{result=\"{label}\"}} {}", counter.value())?;
        }
        head(text, "grants_total", "counter", "Answers to wishes for a lease.")?;
        writeln!(text, "{PREFIX}grants_total{{result=\"lent\"}} {}", self.grants.value())?;
        writeln!(text, "{PREFIX}grants_total{{result=\"empty\"}} {}", self.grants_empty.value())?;
        #[rustfmt::skip]
        let rest = [
            ("charges_refused_total", "counter", "Charges with an amount or a budget that none has.", self.charges_refused.value()),
            ("budgets_withheld_total", "counter", "Budgets that gateways of an older version were not told of.", self.withheld.value()),
            ("leases_expired_total", "counter", "Leases of silent gateways that went to suspense.", self.expired.value()),
            ("leases_closed_total", "counter", "Leases forgotten after a week; what was in suspense is charged.", self.closed.value()),
            ("newcomers_total", "counter", "Customers who appeared by themselves and were taken in.", self.met.value()),
            ("reloads_total", "counter", "Newer customers.yaml files taken.", self.reloads.value()),
            ("reloads_refused_total", "counter", "Newer customers.yaml files with faults.", self.reloads_refused.value()),
            ("price_books_total", "counter", "Newer price books taken.", self.repriced.value()),
            ("price_books_refused_total", "counter", "Newer price books with faults.", self.repriced_refused.value()),
            ("price_books_handed_total", "counter", "Answers that handed a price book to a gateway.", self.handed.value()),
            ("price_book_good", "gauge", "Whether the file of the price book as it stands is one.", prices.faults.is_empty().into()),
            ("customers_good", "gauge", "Whether customers.yaml as it stands is in force.", books.faults.is_empty().into()),
            ("customers", "gauge", "Customers in force.", u64::try_from(books.book.customers.len()).unwrap_or(u64::MAX)),
        ];
        for (name, kind, help, value) in rest {
            head(text, name, kind, help)?;
            writeln!(text, "{PREFIX}{name} {value}")?;
        }
        head(text, "price_book", "gauge", "The price book in force, by its version.")?;
        let Some(edition) = &prices.edition else { return Ok(()) };
        writeln!(text, "{PREFIX}price_book{{version=\"{}\"}} 1", edition.version)
    }

    fn write_duration(&self, text: &mut String) -> fmt::Result {
        head(text, "sync_duration_seconds", "histogram", "Time to answer /v1/sync.")?;
        for (bound, bucket) in BUCKETS_MS.into_iter().zip(&self.sync_buckets) {
            let bound = decimal(bound, 3);
            let value = bucket.value();
            writeln!(text, "{PREFIX}sync_duration_seconds_bucket{{le=\"{bound}\"}} {value}")?;
        }
        let count = self.asks.iter().fold(0_u64, |sum, one| sum.saturating_add(one.value()));
        let sum = decimal(self.sync_micros.value(), 6);
        writeln!(text, "{PREFIX}sync_duration_seconds_bucket{{le=\"+Inf\"}} {count}")?;
        writeln!(text, "{PREFIX}sync_duration_seconds_sum {sum}")?;
        writeln!(text, "{PREFIX}sync_duration_seconds_count {count}")
    }
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) -> fmt::Result {
    writeln!(text, "# HELP {PREFIX}{name} {help}\n# TYPE {PREFIX}{name} {kind}")
}

/// A number of parts of a whole, such as 25 of a thousand: `0.025`.
fn decimal(parts: u64, places: usize) -> String {
    let digits = format!("{parts:0width$}", width = places.saturating_add(1));
    let (whole, rest) = digits.split_at(digits.len().saturating_sub(places));
    format!("{whole}.{rest}")
}

const PREFIX: &str = "tollgate_quota_";
/// Upper bounds of the histogram, in milliseconds.
const BUCKETS_MS: [u64; 9] = [1, 2, 5, 10, 25, 50, 100, 250, 1_000];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_print_as_decimals() {
        for (parts, places, text) in [(25, 3, "0.025"), (1_000, 3, "1.000"), (7, 6, "0.000007")] {
            assert_eq!(decimal(parts, places), text);
        }
    }
}
