//! The service by its ports, as the program that it is.

#![cfg(test)]
#![expect(clippy::arithmetic_side_effects, reason = "a wrong sum fails a test, and bills nobody")]

mod allowances;
mod documents;
mod faults;
mod migrations;
mod newcomers;
mod postgres;
mod prices;
mod program;
mod recalls;
mod reconcile;
mod replicas;
mod scopes;
mod support;
mod sync;
mod units;
