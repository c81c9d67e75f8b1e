//! Alerts: a budget used up to a threshold, a customer that costs too much of what it pays.
//!
//! [`raise`] writes what is to be told in the transaction that settles the calls; [`run`] tells it
//! to the channels, as often as it takes. An alert may arrive twice, with the same id, if a
//! replica dies between sending and writing that down; it is never lost.

mod channel;
mod deliver;
pub(crate) mod message;
pub(crate) mod outbox;
mod raise;
mod retry;
mod signature;

pub(crate) use self::channel::{called, set_up as channels};
pub use self::deliver::run;
pub(crate) use self::raise::amount;
pub use self::raise::{Balance, Settled, raise};
