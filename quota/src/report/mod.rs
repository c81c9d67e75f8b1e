//! Reports: cost by any name of a call, and margin by customer, over any days of the business.
//!
//! Everything is read from the hourly totals. Amounts are whole nano-dollars; percentages are
//! basis points. `docs/reports.md` has the addresses and the fields.

pub(crate) mod account;
pub(crate) mod calendar;
pub(crate) mod costs;
mod csv;
pub(crate) mod margin;
mod routes;
pub(crate) mod spike;
pub(crate) mod text;

pub(crate) use self::routes::outcomes;
pub use self::routes::router;
