//! Prices that the operator sets, ahead of the book.
//!
//! An override is whole: a unit that it does not name has the rate of its less specific unit in the
//! same override, or none. It never reaches back into the book, where a rate might be dearer or
//! cheaper than the operator's contract.

use core::fmt;

use super::model::Model;
use super::rate::Priced;
use super::{Sold, Tariff};
use crate::money::NanoUsd;

/// The operator's prices for some models.
#[derive(Debug)]
pub struct Override {
    of: Pattern,
    model: Model,
}

impl Override {
    /// Prices for `model`, a name or the beginning of names followed by `*`, at `provider`, or at
    /// any. Rates are per million of the unit, per hour of audio.
    ///
    /// # Errors
    ///
    /// Refuses a pattern that could never match as written, and an override without a rate.
    pub fn new(
        provider: Option<&str>,
        model: &str,
        rates: &[(Priced, NanoUsd)],
    ) -> Result<Self, OverrideError> {
        let of = Pattern::new(provider, model)?;
        if rates.is_empty() {
            return Err(OverrideError::NoRate);
        }
        Ok(Self { of, model: Model::with_rates(&model.trim().to_ascii_lowercase(), rates) })
    }

    pub(super) fn is_for(&self, provider: &str, name: &str) -> bool {
        self.of.is_met(provider, name)
    }

    pub(super) fn tariff(&self) -> Tariff<'_> {
        Tariff::new(&self.model, VERSION, Sold::Contract)
    }
}

/// The operator's own name for models, and the model whose price they have.
#[derive(Debug)]
pub struct Alias {
    of: Pattern,
    /// Provider and model.
    pub(super) to: (Box<str>, Box<str>),
}

impl Alias {
    /// `model`, a name or the beginning of names followed by `*`, at `provider`, or at any, has the
    /// price of the model `to.1` at the provider `to.0`.
    ///
    /// # Errors
    ///
    /// Refuses a pattern that could never match as written.
    pub fn new(
        provider: Option<&str>,
        model: &str,
        to: (&str, &str),
    ) -> Result<Self, OverrideError> {
        Ok(Self { of: Pattern::new(provider, model)?, to: (to.0.into(), to.1.into()) })
    }

    pub(super) fn is_for(&self, provider: &str, name: &str) -> bool {
        self.of.is_met(provider, name)
    }
}

/// Which models the operator means.
#[derive(Debug)]
pub(super) struct Pattern {
    provider: Option<Box<str>>,
    /// In lower case; without its last `*` if `open`.
    name: Box<str>,
    /// Whether names may go on after `name`.
    open: bool,
}

impl Pattern {
    pub(super) fn new(provider: Option<&str>, model: &str) -> Result<Self, OverrideError> {
        let pattern = model.trim().to_ascii_lowercase();
        let (name, open) = pattern.strip_suffix('*').map_or((&*pattern, false), |n| (n, true));
        match name {
            "" if !open => Err(OverrideError::NoModel),
            name if name.contains('*') => Err(OverrideError::InnerStar),
            name => Ok(Self { provider: provider.map(Into::into), name: name.into(), open }),
        }
    }

    pub(super) fn is_met(&self, provider: &str, name: &str) -> bool {
        let here = self.provider.as_deref().is_none_or(|own| own.eq_ignore_ascii_case(provider));
        here && if self.open { name.starts_with(&*self.name) } else { name == &*self.name }
    }
}

/// Why an override was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OverrideError {
    /// The model's name is empty.
    NoModel,
    /// A `*` stands elsewhere than at the end.
    InnerStar,
    /// There is no rate.
    NoRate,
}

impl fmt::Display for OverrideError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoModel => "must name a model",
            Self::InnerStar => "may have a `*` only at the end of the model",
            Self::NoRate => "must have at least one rate",
        })
    }
}

impl core::error::Error for OverrideError {}

/// What stands for the version of the book in calls that an override priced.
const VERSION: &str = "configured";
