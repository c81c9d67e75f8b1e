//! Alerts.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::{
    calendar::Window,
    customers::{Book, Rule},
    store::{StoreError, Tx},
};

/// What a batch of rows changed.
#[derive(Debug)]
pub struct Change<'a> {
    /// The customers as they are.
    pub book: &'a Book,
    /// The service's time.
    pub now: Timestamp,
    /// The budgets that something was settled against, in their current windows.
    pub settled: Vec<Settled>,
    /// Nano-dollars added to each customer's cost.
    pub spent: BTreeMap<String, u64>,
}

/// A budget that something was settled against.
#[derive(Debug)]
pub struct Settled {
    /// The customer's id.
    pub customer: String,
    /// The budget's id in the protocol.
    pub budget: String,
    /// What it is.
    pub rule: Rule,
    /// The window.
    pub window: Window,
    /// Used before the batch.
    pub before: u64,
    /// Used after it.
    pub after: u64,
}

/// Notes the alerts that a change gives rise to, in the same transaction.
///
/// # Errors
///
/// Returns an error if the database does.
pub async fn on_settled(_tx: &mut Tx, _change: &Change<'_>) -> Result<(), StoreError> {
    Ok(())
}
