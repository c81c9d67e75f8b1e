//! What every LLM call costs, and whose it is, known inside Envoy.
//!
//! The crate is a pure core with a thin shell. The core turns values into values: headers and body
//! chunks in, a record of the call out. It never reads a clock, never calls Envoy and never
//! blocks. The shell, `host`, is the only module that speaks to Envoy.
//!
//! ```text
//!   Envoy ──callback──▶ host ──value──▶ core
//!   Envoy ◀──hostcall── host ◀──value── core
//! ```

#![cfg_attr(
    test,
    expect(clippy::arithmetic_side_effects, reason = "a wrong sum fails a test, and bills nobody")
)]

pub mod budget;
pub mod calendar;
pub mod coding;
pub mod config;
pub mod desk;
pub mod estimate;
pub mod exchange;
pub mod gate;
#[cfg(all(feature = "host", not(test)))]
pub mod host;
pub mod json;
pub mod lease;
pub mod metrics;
pub mod money;
mod packed;
pub mod price;
pub mod provider;
pub mod record;
pub mod refusal;
pub mod request;
pub mod rule;
pub mod scope;
pub mod shared;
pub mod slice;
pub mod sse;
pub mod strip;
pub mod sync;
pub mod usage;
pub mod who;
pub mod worst;
