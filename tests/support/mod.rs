//! Envoy's side of the filter, in memory.
//!
//! [`host`] is what a worker keeps: streams, headers, metrics, shared data. [`abi`] puts it behind
//! the functions that the filter imports, and [`manager`] moves streams through the filter as
//! Envoy does. A test holds a [`Worker`] and its [`Call`]s and looks at what has come of them.

mod abi;
mod call;
pub(crate) mod dialect;
pub(crate) mod host;
mod manager;
mod worker;

pub(crate) use call::{Call, Request};
pub(crate) use dialect::{Dialect, coded};
pub(crate) use host::{Process, Status};
pub(crate) use manager::Order;
pub(crate) use worker::Worker;
