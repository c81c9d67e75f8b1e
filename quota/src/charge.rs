//! What calls take of budgets, whoever says so: the gateway that reports them, or its access log.

use std::collections::BTreeSet;

use tollgate::sync::Charge;

use crate::{
    counted::{self, is_unit},
    ledger::Charged,
    lending::{Key, Lending},
    store::{StoreError, Tx, column},
};

/// What a call takes of a budget in a window.
#[derive(Clone, Debug)]
pub struct Taken<'a> {
    /// The call's id.
    pub call: &'a str,
    /// The budget and the window.
    pub key: Key,
    /// All it used.
    pub amount: u64,
    /// What of it no lease covers, as far as its gateway knows.
    pub beyond: u64,
    /// What its gateway still holds for it, if it turns out to take nothing.
    pub held: u64,
    /// The unit that this is, if it counts once in the window.
    pub unit: Option<&'a str>,
}

impl<'a> Taken<'a> {
    /// What a gateway says. What can be no unit counts by itself.
    #[must_use]
    pub fn of(call: &'a str, charge: &'a Charge) -> Self {
        let Charge { budget, window, amount, beyond, unit } = charge;
        let key = (budget.clone(), column(*window));
        let unit = Some(unit.as_str()).filter(|unit| is_unit(unit));
        let held = amount.saturating_sub(*beyond);
        Self { call, key, amount: *amount, beyond: *beyond, held, unit }
    }
}

/// Settles what calls take. What they took for a unit that is counted already is given back.
///
/// # Errors
///
/// Returns an error if the database does.
pub async fn settle(
    tx: &mut Tx,
    lending: &mut Lending<'_>,
    taken: &[Taken<'_>],
) -> Result<Charged, StoreError> {
    let units = taken.iter().filter_map(|taken| Some((taken.key.clone(), taken.unit?.to_owned())));
    let units: BTreeSet<_> = units.filter(|(key, _)| lending.accounts.contains_key(key)).collect();
    let mut fresh = counted::count(tx, units).await?;
    let mut charged = Charged::default();
    for Taken { call, key, amount, beyond, held, unit } in taken {
        let counts = unit.is_none_or(|unit| fresh.remove(&(key.clone(), unit.to_owned())));
        if counts {
            lending.settle(call, key, (*amount, *beyond), &mut charged);
        } else {
            lending.spare(key, *held);
        }
    }
    Ok(charged)
}
