//! The quota service: who the customers are, what they may use, what they have used.
//!
//! Gateways ask on one port ([`sync`]); people and scrapers look on another ([`report`], [`page`]).
//! `customers.yaml` is held in memory ([`customers`]); everything that happened is in a database
//! ([`store`]). One transaction books an ask: rows, balances, leases, alerts and the answer stand
//! or fall together.

#![cfg_attr(
    test,
    expect(clippy::arithmetic_side_effects, reason = "a wrong sum fails a test, and bills nobody")
)]

pub mod alert;
pub mod auth;
pub mod calendar;
pub mod clock;
pub mod customers;
pub mod page;
pub mod report;
pub mod serve;
pub mod state;
pub mod store;
pub mod yaml;
