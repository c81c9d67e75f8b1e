//! The functions that Envoy calls.
//!
//! Only what is needed is exported: Envoy does not enter the VM for a callback that is not there.
#![expect(unsafe_code, reason = "an export must keep its name")]

use super::vm::Vm;
use super::{abi, attempt, service, stream};

/// What Envoy does with the stream after a callback.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Passes on what there is.
    Continue = 0,
    /// Keeps what there is and what comes.
    Pause = 1,
}

/// Says which version of the ABI is spoken.
#[unsafe(no_mangle)]
pub const extern "C" fn proxy_abi_version_0_2_1() {}

/// Gives Envoy memory to write to.
#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
    abi::allocate(size)
}

/// Opens a stream, or a plugin where there is no `root`.
#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_context_create(id: u32, root: u32) {
    Vm::enter(|vm| vm.create(id, root));
}

/// Starts the VM. There is nothing to be done.
#[unsafe(no_mangle)]
pub const extern "C" fn proxy_on_vm_start(_root: u32, _size: usize) -> bool {
    true
}

/// Loads a plugin's configuration; `false` refuses it, and Envoy keeps the last good one.
#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_configure(root: u32, size: usize) -> bool {
    Vm::enter(|vm| vm.configure(root, size)).unwrap_or(false)
}

/// Looks after streams that wait.
#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_tick(root: u32) {
    Vm::enter(|vm| vm.tick(root));
    service::on_tick(root);
}

/// The answer to a call of ours. One that failed has no headers.
#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_http_call_response(
    root: u32,
    token: u32,
    headers: usize,
    size: usize,
    _trailers: usize,
) {
    service::on_answer(root, token, headers, size);
}

/// The head of a request.
#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_request_headers(id: u32, _count: usize, end: bool) -> Action {
    stream::on_request_headers(id, end)
}

/// A part of a request's body, or all that was held of it.
#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_request_body(id: u32, size: usize, end: bool) -> Action {
    stream::on_request_body(id, size, end)
}

/// The end of a request that has trailers.
#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_request_trailers(id: u32, _count: usize) -> Action {
    stream::on_request_trailers(id)
}

/// The head of an answer.
#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_response_headers(id: u32, _count: usize, end: bool) -> Action {
    stream::on_response_headers(id, end)
}

/// A part of an answer's body.
#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_response_body(id: u32, size: usize, end: bool) -> Action {
    stream::on_response_body(id, size, end)
}

/// The end of an answer that has trailers.
#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_response_trailers(id: u32, _count: usize) -> Action {
    stream::on_response_trailers(id)
}

/// The end of a stream, before Envoy writes its access log. With HTTP/3 it comes last of all. For a
/// plugin, it is the end of an attempt that the router logs.
#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_log(id: u32) {
    match Vm::enter(|vm| vm.is_plugin(id)) {
        Some(true) => attempt::note(),
        _ => stream::settle(id),
    }
}

/// The end of a stream. With HTTP/3 it comes before the log.
#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_done(id: u32) -> bool {
    stream::settle(id);
    true
}

/// Forgets a stream or a plugin.
#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_delete(id: u32) {
    Vm::enter(|vm| vm.delete(id));
}
