//! Whole lives of streams, through the functions that Envoy calls, over a host that holds state.
//!
//! Each test is about what comes of a stream: what the client, the upstream, the access log and the
//! metrics get to see. None is about which calls were made on the way.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that meets what it does not expect has failed"
)]

mod answers;
mod asking;
mod budgets;
mod configuration;
mod endings;
mod faults;
mod holding;
mod holds;
mod identity;
mod metrics;
mod prices;
mod requests;
#[path = "../support/mod.rs"]
mod support;
mod workers;

/// A configuration under which all costs are round: 314,000 nano-dollars for each dialect's answer.
const PRICED: &str = r#"{"tenant": [{"header": "x-tenant-id"}],
    "prices": [{"model": "*", "rates": {"input": "1", "cache_read": "0.1", "output": "10"}}]}"#;
