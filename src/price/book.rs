//! The price book: all providers and their models, read from JSON that `make prices` writes.
//!
//! The book that is part of the filter is packed by `build.rs`: a worker unpacks the models of a
//! provider when it first prices a call there, and never those of the others.

use core::cell::OnceCell;
use core::fmt;
use std::collections::BTreeSet;
use std::rc::Rc;

use serde::{Deserialize, Deserializer};

use super::model::Model;
use super::name;
use super::{Sold, Tariff};
use crate::packed;

/// The prices of all known models.
#[derive(Debug, Deserialize)]
pub struct Book {
    format: u64,
    version: Box<str>,
    providers: Box<[Provider]>,
    /// What the models are packed in, and where it begins there; the built-in book's are apart.
    #[serde(skip)]
    parts: Option<(Rc<[u8]>, usize)>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Provider {
    id: Box<str>,
    /// Other names for this provider.
    aliases: Box<[Box<str>]>,
    /// Providers whose models this one sells too, at their standard prices.
    fallback: Box<[Box<str>]>,
    /// Where in the packed parts its models are, if they are not read yet.
    packed: Option<(usize, usize)>,
    #[serde(default, deserialize_with = "read")]
    models: OnceCell<Box<[Model]>>,
}

fn read<'de, D: Deserializer<'de>>(from: D) -> Result<OnceCell<Box<[Model]>>, D::Error> {
    Box::<[Model]>::deserialize(from).map(OnceCell::from)
}

impl Provider {
    fn is(&self, name: &str) -> bool {
        let is = |other: &str| other.eq_ignore_ascii_case(name);
        is(&self.id) || self.aliases.iter().any(|alias| is(alias))
    }

    /// The models, read from the text that `parts` have of them.
    fn unpacked(&self, parts: &[u8]) -> Result<Box<[Model]>, BookError> {
        let text = self.packed.and_then(|(start, end)| packed::part(parts.get(start..end)?));
        serde_json::from_slice(&text.ok_or(BookError::Damaged)?).map_err(BookError::Syntax)
    }
}

/// Where a model stands in the book, and who sells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    provider: usize,
    model: usize,
    /// The provider that was asked for.
    seller: usize,
}

impl Book {
    /// The book that is part of the filter.
    ///
    /// # Errors
    ///
    /// As [`Book::parse`]; a test makes sure that it has none.
    pub fn embedded() -> Result<Self, BookError> {
        Self::parse(HEAD)
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

    /// This head of a book, with the models that `packed` has of it from `start` on.
    pub(super) fn with_parts(self, packed: Rc<[u8]>, start: usize) -> Result<Self, BookError> {
        let book = Self { parts: Some((packed, start)), ..self };
        for provider in &book.providers {
            if provider.models.get().is_some() {
                return Err(BookError::Damaged);
            }
            provider.unpacked(book.parts())?;
        }
        Ok(book)
    }

    fn parts(&self) -> &[u8] {
        match &self.parts {
            Some((packed, start)) => packed.get(*start..).unwrap_or_default(),
            None => PACKED,
        }
    }

    /// All parts have been read once: those of the filter by a test, others when they came.
    fn models<'a>(&'a self, provider: &'a Provider) -> &'a [Model] {
        provider.models.get_or_init(|| provider.unpacked(self.parts()).unwrap_or_default())
    }

    /// The name of this edition, which every priced call carries.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The names of all models, behind that of their provider: `openai/gpt-5`.
    ///
    /// # Errors
    ///
    /// Refuses a book that names a model twice.
    pub fn names(&self) -> Result<BTreeSet<String>, BookError> {
        let mut names = BTreeSet::new();
        for provider in &self.providers {
            for model in self.models(provider) {
                if !names.insert(format!("{}/{}", provider.id, model.id)) {
                    return Err(BookError::Twice);
                }
            }
        }
        Ok(names)
    }

    /// The tariff of `model` at `provider`, looked up anew each time: [`super::Prices`] remembers.
    #[must_use]
    pub fn find(&self, provider: &str, model: &str) -> Option<Tariff<'_>> {
        self.tariff(self.search(provider, &name::candidates(model))?)
    }

    pub(super) fn tariff(&self, place: Place) -> Option<Tariff<'_>> {
        let model = self.models(self.providers.get(place.provider)?).get(place.model)?;
        let sold = match place.seller == place.provider {
            true => Sold::Own,
            false => Sold::Resold(&self.providers.get(place.seller)?.id),
        };
        Some(Tariff::new(model, &self.version, sold))
    }

    /// The first model that answers to the first of `names` that any answers to.
    pub(super) fn search(&self, provider: &str, names: &[String]) -> Option<Place> {
        self.routed(provider, names).or_else(|| self.search_at(self.provider(provider)?, names))
    }

    /// Hugging Face has sellers of its own, which stand behind the model: `model:together`.
    pub(super) fn routed(&self, provider: &str, names: &[String]) -> Option<Place> {
        let (model, seller) = names.first()?.rsplit_once(':')?;
        let seller = self.provider(&format!("{provider}_{seller}"))?;
        self.search_at(seller, &name::candidates(model))
    }

    fn search_at(&self, asked: usize, names: &[String]) -> Option<Place> {
        let fallback = &self.providers.get(asked)?.fallback;
        let others = || fallback.iter().filter_map(|name| self.provider(name));
        names.iter().find_map(|name| {
            let mut sellers = core::iter::once(asked).chain(others());
            sellers.find_map(|seller| {
                let model = self.model(seller, name)?;
                Some(Place { provider: seller, model, seller: asked })
            })
        })
    }

    fn provider(&self, name: &str) -> Option<usize> {
        self.providers.iter().position(|provider| provider.is(name))
    }

    /// A fine-tuned model has a price of its own: one that its base meets too is the base's.
    fn model(&self, provider: usize, name: &str) -> Option<usize> {
        let base = name::base(name);
        let is = |model: &Model| {
            let clause = &model.clause;
            clause.is_met(name) && !base.is_some_and(|base| clause.is_met(base))
        };
        self.models(self.providers.get(provider)?).iter().position(is)
    }
}

/// Whether a book may be handed out under this version: a date, and what more it takes to tell two
/// books apart. It stands in metrics and logs, and the greatest counts as the newest.
#[must_use]
pub fn is_version(version: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let date = version.as_bytes().first_chunk::<10>();
    let is_date = date.is_some_and(|date| {
        let fits = |(at, byte): (usize, &u8)| match at {
            4 | 7 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        };
        date.iter().enumerate().all(fits)
    });
    is_date && version.len() <= MAX_VERSION && version.bytes().all(is_plain)
}

/// Why a book was refused.
#[derive(Debug)]
#[non_exhaustive]
pub enum BookError {
    /// The book is of this format, which another version of the filter reads.
    Format(u64),
    /// It is not whole, or not what it was.
    Damaged,
    /// A model stands in it twice.
    Twice,
    /// It is too large.
    Size,
    /// Its version cannot stand for a book that is handed out.
    Version,
    /// The text is not a book.
    Syntax(serde_json::Error),
}

impl fmt::Display for BookError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Format(other) => write!(f, "price book of format {other}, not {FORMAT}"),
            Self::Damaged => f.write_str("a damaged price book"),
            Self::Twice => f.write_str("a price book that names a model twice"),
            Self::Version => f.write_str("a price book without a usable version"),
            Self::Size => f.write_str("a price book that is too large"),
            Self::Syntax(error) => write!(f, "not a price book: {error}"),
        }
    }
}

impl core::error::Error for BookError {}

/// Long enough for a date, a name and a number.
const MAX_VERSION: usize = 64;
/// The format of books that this code reads.
const FORMAT: u64 = 1;
const HEAD: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/book.json"));
const PACKED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/book.bin"));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_packed_can_be_read() {
        let whole = Book::parse(include_bytes!("book.json")).unwrap();
        let packed = Book::embedded().unwrap();
        assert_eq!(whole.providers.len(), packed.providers.len());
        for (one, other) in whole.providers.iter().zip(&packed.providers) {
            let ids = |book: &Book, provider: &Provider| {
                book.models(provider).iter().map(|model| model.id.clone()).collect::<Vec<_>>()
            };
            assert!(other.models.get().is_none(), "{} is read too early", other.id);
            assert_eq!(ids(&whole, one), ids(&packed, other), "{}", one.id);
        }
    }
}
