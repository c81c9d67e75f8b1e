//! What the tokens of a model cost more where a call is served in some places.
//!
//! A place is the region of an endpoint, which stands in its host or its path, or the one that the
//! answer names. Where it is known that calls there cost more and not how much, that is said, and
//! the call's cost is incomplete.

use serde::Deserialize;

use super::Sold;
use super::terms::Terms;
use super::times::Times;

/// A place, and how many times the rates of tokens are charged there.
///
/// In books it is one text, such as `seller=google region=* times=1.1`.
#[derive(Debug, Default, Deserialize)]
#[serde(try_from = "Box<str>")]
pub(super) struct Surcharge {
    /// Who sells the model there, where that is not its own provider.
    seller: Option<Box<str>>,
    /// What the answer says of where it was computed.
    geo: Option<Box<str>>,
    /// The region of the endpoint; `*` is any.
    region: Option<Box<str>>,
    /// `None` if only that it costs more is known.
    times: Option<Times>,
}

impl TryFrom<Box<str>> for Surcharge {
    type Error = &'static str;

    fn try_from(text: Box<str>) -> Result<Self, Self::Error> {
        let mut one = Self::default();
        for word in text.split(' ') {
            match word.split_once('=') {
                Some(("seller", name)) => one.seller = Some(name.into()),
                Some(("geo", place)) => one.geo = Some(place.into()),
                Some(("region", place)) => one.region = Some(place.into()),
                Some(("times", times)) => {
                    one.times = Some(Times::parse(times).ok_or("a surcharge that is no number")?);
                }
                _ => return Err("a surcharge on unknown terms"),
            }
        }
        Ok(one)
    }
}

impl Surcharge {
    /// What the first of `all` says that holds on these terms; `None` where it does not know.
    pub(super) fn of(all: &[Self], terms: &Terms<'_>, sold: Sold<'_>) -> Option<Times> {
        let first = all.iter().find(|one| one.is_sold(sold) && one.is_met(terms));
        first.map_or(Some(Times::ONE), |one| one.times)
    }

    /// The most that any of `all` may come to in this region, whatever the answer will say.
    pub(super) fn most(all: &[Self], region: Option<&str>, sold: Sold<'_>) -> Times {
        let may = all.iter().filter(|one| one.is_sold(sold) && one.is_in(region));
        may.filter_map(|one| one.times).max_by_key(|times| times.millionths()).unwrap_or(Times::ONE)
    }

    fn is_sold(&self, sold: Sold<'_>) -> bool {
        match (sold, self.seller.as_deref()) {
            (Sold::Own, None) => true,
            (Sold::Resold(seller), Some(own)) => seller == own,
            _ => false,
        }
    }

    fn is_met(&self, terms: &Terms<'_>) -> bool {
        self.is_in(terms.region) && self.geo.as_deref().is_none_or(|geo| terms.geo == Some(geo))
    }

    fn is_in(&self, region: Option<&str>) -> bool {
        match self.region.as_deref() {
            None => true,
            Some("*") => region.is_some(),
            own => own == region,
        }
    }
}
