//! The filter that does nothing: what any wasm filter costs before it does something.
//!
//! `bench.py` builds it with plain `rustc` and measures Tollgate against it. It has the callbacks
//! that Tollgate has, so that Envoy enters its VM as often, and calls nothing.
#![no_std]

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_abi_version_0_2_1() {}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_memory_allocate(_size: usize) -> *mut u8 {
    core::ptr::null_mut()
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_context_create(_id: u32, _root: u32) {}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_vm_start(_root: u32, _size: usize) -> bool {
    true
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_configure(_root: u32, _size: usize) -> bool {
    true
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_tick(_root: u32) {}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_request_headers(_id: u32, _count: usize, _end: bool) -> u32 {
    CONTINUE
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_request_body(_id: u32, _size: usize, _end: bool) -> u32 {
    CONTINUE
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_request_trailers(_id: u32, _count: usize) -> u32 {
    CONTINUE
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_response_headers(_id: u32, _count: usize, _end: bool) -> u32 {
    CONTINUE
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_response_body(_id: u32, _size: usize, _end: bool) -> u32 {
    CONTINUE
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_response_trailers(_id: u32, _count: usize) -> u32 {
    CONTINUE
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_log(_id: u32) {}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_done(_id: u32) -> bool {
    true
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_delete(_id: u32) {}

const CONTINUE: u32 = 0;
