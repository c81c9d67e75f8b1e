//! The quota service: who the customers are, what they may use, what they have used.
//!
//! Gateways ask on one port ([`sync`]); people and scrapers look on another ([`report`], [`page`]).
//! `customers.yaml` is held in memory ([`customers`]); everything that happened is in a database
//! ([`store`]). One transaction books an ask: rows, balances, leases, alerts and the answer stand
//! or fall together.

pub mod acquaintance;
pub mod alert;
pub mod allowance;
pub mod auth;
pub mod call;
pub mod charge;
pub mod clock;
pub mod counted;
pub mod customers;
pub mod ledger;
pub mod lending;
pub mod metrics;
pub mod monthly;
pub mod newcomers;
pub mod page;
pub mod prices;
pub mod prune;
pub mod recall;
pub mod reconcile;
pub mod reload;
pub mod report;
pub mod run;
pub mod serve;
pub mod silence;
pub mod state;
mod statement;
pub mod store;
pub mod sync;
pub mod tenant;
pub mod usage;
pub mod yaml;
