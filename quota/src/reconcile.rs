//! `tollgate-quota reconcile`: the ledger beside what others have written down.
//!
//! [`restore`] reads an access log: each call in it that no gateway has reported is booked, once,
//! by its id. [`capture`] reads what a provider says was used, and tells how much of it the ledger
//! has.

pub mod capture;
mod export;
mod line;
pub mod restore;

pub use self::{
    export::{Export, Fault, Provider},
    line::{Found, find},
};
