//! The price book: all providers and their models, read from JSON that `make prices` writes.

use core::fmt;

use serde::Deserialize;

use super::Tariff;
use super::model::Model;
use super::name::{self, FINE_TUNED};

/// The prices of all known models.
#[derive(Debug, Deserialize)]
pub struct Book {
    format: u64,
    version: Box<str>,
    providers: Box<[Provider]>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Provider {
    id: Box<str>,
    /// Other names for this provider.
    aliases: Box<[Box<str>]>,
    /// Providers whose models this one sells too, at their standard prices.
    fallback: Box<[Box<str>]>,
    models: Box<[Model]>,
}

/// Where a model stands in the book, and whether the provider asked for is its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    provider: usize,
    model: usize,
    own: bool,
}

impl Book {
    /// The book that is part of the filter.
    ///
    /// # Errors
    ///
    /// As [`Book::parse`]; a test makes sure that it has none.
    pub fn embedded() -> Result<Self, BookError> {
        Self::parse(EMBEDDED)
    }

    /// Reads a book.
    ///
    /// # Errors
    ///
    /// Refuses text that is no book or one of another format: also where a single rate has a unit
    /// or a condition that this filter does not know, for a price it cannot tell is a wrong price.
    pub fn parse(json: &[u8]) -> Result<Self, BookError> {
        let book: Self = serde_json::from_slice(json).map_err(BookError::Syntax)?;
        if book.format == FORMAT { Ok(book) } else { Err(BookError::Format(book.format)) }
    }

    /// The name of this edition, which every priced call carries.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The tariff of `model` at `provider`, looked up anew each time: [`super::Prices`] remembers.
    #[must_use]
    pub fn find(&self, provider: &str, model: &str) -> Option<Tariff<'_>> {
        self.tariff(self.search(provider, &name::candidates(model))?)
    }

    pub(super) fn tariff(&self, place: Place) -> Option<Tariff<'_>> {
        let model = self.providers.get(place.provider)?.models.get(place.model)?;
        Some(Tariff { model, version: &self.version, on_terms: place.own })
    }

    /// The first model that answers to the first of `names` that any answers to.
    pub(super) fn search(&self, provider: &str, names: &[String]) -> Option<Place> {
        let asked = self.provider(provider)?;
        let fallback = &self.providers.get(asked)?.fallback;
        let others = || fallback.iter().filter_map(|name| self.provider(name));
        names.iter().find_map(|name| {
            let mut sellers = core::iter::once(asked).chain(others());
            sellers.find_map(|seller| {
                let model = self.model(seller, name)?;
                Some(Place { provider: seller, model, own: seller == asked })
            })
        })
    }

    fn provider(&self, name: &str) -> Option<usize> {
        let is = |other: &str| other.eq_ignore_ascii_case(name);
        self.providers.iter().position(|p| is(&p.id) || p.aliases.iter().any(|alias| is(alias)))
    }

    /// A fine-tuned model has a price of its own: one that its base meets too is the base's.
    fn model(&self, provider: usize, name: &str) -> Option<usize> {
        let base = name.strip_prefix(FINE_TUNED);
        let models = &self.providers.get(provider)?.models;
        models
            .iter()
            .map(|model| &model.clause)
            .position(|clause| clause.is_met(name) && !base.is_some_and(|base| clause.is_met(base)))
    }
}

/// Why a book was refused.
#[derive(Debug)]
#[non_exhaustive]
pub enum BookError {
    /// The book is of this format, which another version of the filter reads.
    Format(u64),
    /// The text is not a book.
    Syntax(serde_json::Error),
}

impl fmt::Display for BookError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Format(other) => write!(f, "price book of format {other}, not {FORMAT}"),
            Self::Syntax(error) => write!(f, "not a price book: {error}"),
        }
    }
}

impl core::error::Error for BookError {}

/// The format of books that this code reads.
const FORMAT: u64 = 1;
const EMBEDDED: &[u8] = include_bytes!("book.json");
