//! What a call costs: the price book, the operator's own prices, and the sum.
//!
//! Prices are integers, nano-dollars per million of a unit. A call's cost is the exact sum over its
//! leaves, rounded half up once. What has no price is never free: a call whose tokens have no rate
//! has no cost, and one whose web searches have none says that its cost is incomplete.

mod book;
mod cache;
mod clause;
mod dearest;
mod ending;
mod model;
mod multiplier;
mod name;
mod overrides;
mod pack;
mod rate;
mod shelf;
mod surcharge;
mod terms;
#[cfg(test)]
mod tests;
mod times;

use core::cell::RefCell;
use std::rc::Rc;

pub use book::{Book, BookError, is_version};
pub use dearest::Dearest;
pub use multiplier::Multiplier;
pub use overrides::{Alias, Override, OverrideError};
pub use pack::pack;
pub use rate::Priced;
pub use shelf::Shelf;
pub use terms::Terms;
pub use times::Times;

use crate::money::NanoUsd;
use crate::usage::Usage;
use cache::Cache;
use model::Model;

/// All prices that hold for this filter: the operator's, then those of the book.
#[derive(Debug)]
pub struct Prices {
    book: Rc<Book>,
    own: Rc<Own>,
    cache: RefCell<Cache>,
}

/// What the operator has said of prices.
#[derive(Debug, Default)]
struct Own {
    overrides: Box<[Override]>,
    aliases: Box<[Alias]>,
    multipliers: Box<[Multiplier]>,
    fallback: Option<Model>,
}

impl Prices {
    /// The prices of `book`, where none of `overrides` applies; the first that does wins.
    #[must_use]
    pub fn new(book: Book, overrides: Vec<Override>) -> Self {
        let own = Own { overrides: overrides.into_boxed_slice(), ..Own::default() };
        Self { book: Rc::new(book), own: Rc::new(own), cache: RefCell::default() }
    }

    /// The same prices of the operator's, ahead of another book.
    #[must_use]
    pub fn with_book(&self, book: Rc<Book>) -> Self {
        Self { book, own: Rc::clone(&self.own), cache: RefCell::default() }
    }

    /// The same prices, where models that the operator has another name for are known by it.
    #[must_use]
    pub fn with_aliases(mut self, aliases: Vec<Alias>) -> Self {
        if let Some(own) = Rc::get_mut(&mut self.own) {
            own.aliases = aliases.into_boxed_slice();
        }
        self
    }

    /// The same prices, where these are how many times the book's are charged; the first that holds
    /// for a call counts.
    #[must_use]
    pub fn with_multipliers(mut self, multipliers: Vec<Multiplier>) -> Self {
        if let Some(own) = Rc::get_mut(&mut self.own) {
            own.multipliers = multipliers.into_boxed_slice();
        }
        self
    }

    /// The same prices, and these for all calls that have no other.
    #[must_use]
    pub fn with_fallback(mut self, rates: &[(Priced, NanoUsd)]) -> Self {
        if let Some(own) = Rc::get_mut(&mut self.own) {
            own.fallback = Some(Model::with_rates(FALLBACK, rates));
        }
        self
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
        self.tariff(place?)
    }

    /// The tariff of a name that was asked for at `provider`, where that alone tells the price: the
    /// operator has named it, or it names who sells the model.
    #[must_use]
    pub fn find_asked(&self, provider: &str, model: &str) -> Option<Tariff<'_>> {
        let names = name::candidates(model);
        let routed = || self.book.routed(provider, &names).map(Place::Book);
        self.tariff(self.named(provider, &names).or_else(routed)?)
    }

    /// The tariff of what has no other, if the operator has set one.
    #[must_use]
    pub fn fallback(&self) -> Option<Tariff<'_>> {
        let model = self.own.fallback.as_ref()?;
        Some(Tariff::new(model, FALLBACK, Sold::Contract))
    }

    /// How many times the book's prices are charged for a call at `provider` that goes by `models`,
    /// where that is not once.
    #[must_use]
    pub fn multiplier(
        &self,
        provider: &str,
        models: [Option<&str>; 2],
        terms: &Terms<'_>,
    ) -> Option<&Multiplier> {
        if self.own.multipliers.is_empty() {
            return None;
        }
        let [answered, asked] = models.map(|model| model.map(name::candidates).unwrap_or_default());
        self.own.multipliers.iter().find(|one| {
            let is_named = |name: &String| one.is_for(provider, name);
            one.holds(terms.region, terms.at)
                && (answered.iter().any(is_named) || asked.iter().any(is_named))
        })
    }

    /// The version of the book.
    #[must_use]
    pub fn version(&self) -> &str {
        self.book.version()
    }

    fn tariff(&self, place: Place) -> Option<Tariff<'_>> {
        match place {
            Place::Override(at) => self.own.overrides.get(at).map(Override::tariff),
            Place::Book(at) => self.book.tariff(at),
        }
    }

    fn search(&self, provider: &str, model: &str) -> Option<Place> {
        let names = name::candidates(model);
        let book = || self.book.search(provider, &names).map(Place::Book);
        self.named(provider, &names).or_else(book)
    }

    /// What the operator has said of a model.
    fn named(&self, provider: &str, names: &[String]) -> Option<Place> {
        let alias = || {
            let of = |name: &String| self.own.aliases.iter().find(|a| a.is_for(provider, name));
            let (provider, model) = &names.iter().find_map(of)?.to;
            self.listed(provider, &name::candidates(model))
        };
        self.overridden(provider, names).or_else(alias)
    }

    fn listed(&self, provider: &str, names: &[String]) -> Option<Place> {
        let book = || self.book.search(provider, names).map(Place::Book);
        self.overridden(provider, names).or_else(book)
    }

    fn overridden(&self, provider: &str, names: &[String]) -> Option<Place> {
        let of = |name: &String| self.own.overrides.iter().position(|o| o.is_for(provider, name));
        names.iter().find_map(of).map(Place::Override)
    }
}

/// Where a tariff stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Override(usize),
    Book(book::Place),
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
    sold: Sold<'a>,
    multiplier: Option<&'a Multiplier>,
}

/// Who sells a model, which decides whether its terms of service count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sold<'a> {
    /// The provider itself, on its own terms.
    Own,
    /// This provider, which has the model from another, whose terms are not its own.
    Resold(&'a str),
    /// Anyone, at prices that the operator has set for all terms.
    Contract,
}

impl<'a> Tariff<'a> {
    const fn new(model: &'a Model, version: &'a str, sold: Sold<'a>) -> Self {
        Self { model, version, sold, multiplier: None }
    }

    /// The same prices, so many times: those of the book, not those that the operator has set.
    #[must_use]
    pub fn with(self, multiplier: Option<&'a Multiplier>) -> Self {
        let multiplier = multiplier.filter(|_| self.sold != Sold::Contract);
        Self { multiplier, ..self }
    }

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

    /// The version, and how many times its prices were charged, if not once: `2026-01-01.x1.1`.
    #[must_use]
    pub fn charged_by(&self) -> String {
        let multiplied = self.multiplier.map(|of| format!("{}.x{}", self.version, of.times));
        multiplied.unwrap_or_else(|| self.version.to_owned())
    }

    /// The most tokens that the model takes, where the book knows.
    #[must_use]
    pub fn context_window(&self) -> Option<u64> {
        self.model.context_window
    }

    /// The most that its tokens can cost at the time and in the region of `terms`, whatever else of
    /// them is not known yet; `None` if they have no price then.
    #[must_use]
    pub fn dearest(&self, terms: &Terms<'_>) -> Option<Dearest> {
        Dearest::of(self, &self.counting(terms))
    }

    /// What `usage` costs on these terms; `None` if its tokens have no price then.
    #[must_use]
    pub fn cost(&self, usage: &Usage, terms: &Terms<'_>) -> Option<Cost> {
        self.model.cost(usage, &self.counting(terms), (self.sold, self.times()))
    }

    fn times(&self) -> Times {
        self.multiplier.map_or(Times::ONE, |of| of.times)
    }

    /// What of `terms` counts: of a region the operator's word alone, where there is one.
    fn counting<'t>(&self, terms: &Terms<'t>) -> Terms<'t> {
        let told = self.multiplier.is_some_and(Multiplier::is_of_region);
        Terms { region: terms.region.filter(|_| !told), ..*terms }
    }

    /// Whether anything that the model does has a price at `at`, in seconds since 1970 UTC.
    #[must_use]
    pub fn is_priced(&self, at: u64) -> bool {
        self.model.is_priced(at)
    }
}

/// Whether `model` names one that was made from another, whose price it does not have.
#[must_use]
pub fn is_fine_tuned(model: &str) -> bool {
    name::base(&model.to_ascii_lowercase()).is_some()
}

/// Stands for the version of the book in calls that the operator's last resort priced.
const FALLBACK: &str = "fallback";
