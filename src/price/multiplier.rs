//! What an operator pays of the prices in the book: less by a contract, or more in a region.

use super::overrides::{OverrideError, Pattern};
use super::times::Times;

/// How many times the book's prices are charged for some calls.
#[derive(Debug)]
pub struct Multiplier {
    of: Pattern,
    region: Option<Box<str>>,
    /// In seconds since 1970 UTC.
    from: u64,
    pub(super) times: Times,
}

impl Multiplier {
    /// `times` the book's prices of `model`, a name or the beginning of names followed by `*`, at
    /// `provider`, or at any, in `region`, or in any, for calls that begin at `from` or later.
    ///
    /// # Errors
    ///
    /// Refuses a pattern that could never match as written.
    pub fn new(
        (provider, model): (Option<&str>, &str),
        region: Option<&str>,
        from: u64,
        times: Times,
    ) -> Result<Self, OverrideError> {
        let of = Pattern::new(provider, model)?;
        Ok(Self { of, region: region.map(Into::into), from, times })
    }

    /// Whether it says what a region costs, so that what the book says of regions does not count.
    pub(super) const fn is_of_region(&self) -> bool {
        self.region.is_some()
    }

    pub(super) fn is_for(&self, provider: &str, name: &str) -> bool {
        self.of.is_met(provider, name)
    }

    pub(super) fn holds(&self, region: Option<&str>, at: u64) -> bool {
        at >= self.from && (self.region.is_none() || self.region.as_deref() == region)
    }
}
