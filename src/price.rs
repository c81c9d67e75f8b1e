//! What a call costs: the price book, the operator's own prices, and the sum.
//!
//! Prices are integers, nano-dollars per million of a unit. A call's cost is the exact sum over its
//! leaves, rounded half up once. What has no price is never free: a call whose tokens have no rate
//! has no cost, and one whose web searches have none says that its cost is incomplete.

mod book;
mod cache;
mod clause;
mod model;
mod name;
mod overrides;
#[cfg(test)]
mod tests;

use core::cell::RefCell;

pub use book::{Book, BookError};
pub use overrides::{Override, OverrideError};

use crate::money::NanoUsd;
use crate::usage::{Unit, Usage};
use cache::Cache;
use model::Model;

/// All prices that hold for this filter: the operator's, then those of the book.
#[derive(Debug)]
pub struct Prices {
    book: Book,
    overrides: Box<[Override]>,
    cache: RefCell<Cache>,
}

impl Prices {
    /// The prices of `book`, where none of `overrides` applies; the first that does wins.
    #[must_use]
    pub fn new(book: Book, overrides: Vec<Override>) -> Self {
        let overrides = overrides.into_boxed_slice();
        Self { book, overrides, cache: RefCell::default() }
    }

    /// The tariff of `model` at `provider`, or `None` if neither the operator nor the book has it.
    #[must_use]
    pub fn find(&self, provider: &str, model: &str) -> Option<Tariff<'_>> {
        let known = self.cache.borrow().find(provider, model);
        let place = known.unwrap_or_else(|| {
            let place = self.search(provider, model);
            self.cache.borrow_mut().keep(provider, model, place);
            place
        });
        match place? {
            Place::Override(at) => self.overrides.get(at).map(Override::tariff),
            Place::Book(at) => self.book.tariff(at),
        }
    }

    /// The version of the book.
    #[must_use]
    pub fn version(&self) -> &str {
        self.book.version()
    }

    fn search(&self, provider: &str, model: &str) -> Option<Place> {
        let names = name::candidates(model);
        let overridden = names
            .iter()
            .find_map(|name| self.overrides.iter().position(|o| o.is_for(provider, name)))
            .map(Place::Override);
        overridden.or_else(|| self.book.search(provider, &names).map(Place::Book))
    }
}

/// Where a tariff stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Override(usize),
    Book(book::Place),
}

/// The terms under which a call was served: as the answer says, not as the request asked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Terms<'a> {
    /// When the call began, in seconds since 1970 UTC.
    pub at: u64,
    /// The provider's word for the class of service, such as `flex` or `priority`.
    pub service_tier: Option<&'a str>,
    /// Whether the call was part of a batch.
    pub batch: bool,
    /// The provider's word for the speed of generation, such as `fast`.
    pub speed: Option<&'a str>,
}

/// What a call cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// The price of everything that has one.
    pub amount: NanoUsd,
    /// Whether everything used has a price. If not, tokens do and some item does not.
    pub complete: bool,
}

/// The prices of one model at one provider.
#[derive(Clone, Copy, Debug)]
pub struct Tariff<'a> {
    model: &'a Model,
    version: &'a str,
    /// Whether service tier, batch and speed count: not at a provider that has the model from
    /// another, whose terms are not its own.
    on_terms: bool,
}

impl<'a> Tariff<'a> {
    /// The model's name in the book, or the pattern of the override.
    #[must_use]
    pub fn id(&self) -> &'a str {
        &self.model.id
    }

    /// The version of the book that the prices are from, or `configured` for an override.
    #[must_use]
    pub fn version(&self) -> &'a str {
        self.version
    }

    /// The most tokens that the model takes, where the book knows.
    #[must_use]
    pub fn context_window(&self) -> Option<u64> {
        self.model.context_window
    }

    /// What `usage` costs on these terms; `None` if its tokens have no price then.
    #[must_use]
    pub fn cost(&self, usage: &Usage, terms: &Terms<'_>) -> Option<Cost> {
        let asked = self.on_terms.then_some(terms);
        self.model.cost(usage, terms.at, asked)
    }
}

/// The unit whose label in books and configurations is `label`.
#[must_use]
pub fn unit(label: &str) -> Option<Unit> {
    Unit::ALL.into_iter().find(|unit| unit.label() == label)
}
