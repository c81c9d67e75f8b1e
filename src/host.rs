//! The shell: Envoy's callbacks in, the core's decisions out.
//!
//! It speaks the proxy-wasm ABI 0.2.1 itself. The SDK's dispatcher traps on a log callback that
//! comes after the stream is gone, as it does with HTTP/3, and its host calls trap on statuses they
//! do not list; either would take every call of the worker with it. Here an unknown stream is
//! nothing, and every host call returns a `Result`.

mod abi;
mod attempt;
mod change;
pub mod entry;
mod facts;
mod head;
mod service;
mod stream;
mod vm;
