//! What a customer or a pool gets beside a budget's limit: raises for a time, and credits.

use jiff::civil::Date;
use tollgate::{calendar::Cycle, rule::Rule};

/// More of a budget than its limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extra {
    /// Another limit for some days.
    Raise {
        /// The key of the budget.
        budget: String,
        /// The limit; one that is lower than the budget's own changes nothing.
        limit: u64,
        /// The first day, in the business's zone.
        from: Option<Date>,
        /// The first day on which it does not count any more.
        until: Date,
    },
    /// Once so much more.
    Credit {
        /// The key of the budget.
        budget: String,
        /// How much.
        amount: u64,
        /// The day from which on, and in whose window.
        on: Date,
    },
}

impl Extra {
    /// The key of the budget that it is of.
    #[must_use]
    pub fn budget(&self) -> &str {
        match self {
            Self::Raise { budget, .. } | Self::Credit { budget, .. } => budget,
        }
    }

    /// The days on which something changes.
    pub(super) fn days(&self) -> impl Iterator<Item = Date> {
        let (one, two) = match self {
            Self::Raise { from, until, .. } => (*from, *until),
            Self::Credit { on, .. } => (None, *on),
        };
        one.into_iter().chain([two])
    }
}

/// Whether a credit to a budget makes sense: its day must tell a window.
pub(super) fn takes_credits(rule: &Rule) -> bool {
    !matches!(rule.cycle, Cycle::Minute | Cycle::Hour | Cycle::Rolling { .. })
}
