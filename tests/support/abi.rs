//! The functions that the filter imports, before the [`Host`] of the thread they are called on.
#![expect(unsafe_code, reason = "the filter passes raw pointers, as it does to Envoy")]

use std::cell::RefCell;
use std::slice;

use tollgate::host::entry::proxy_on_memory_allocate;

use super::host::{COUNTER, HISTOGRAM, Host, Reply, Status};

thread_local! {
    static HOST: RefCell<Host> = RefCell::default();
}

/// Runs `act` on the host of this thread, which must not enter the filter.
pub(super) fn with<T>(act: impl FnOnce(&mut Host) -> T) -> T {
    HOST.with_borrow_mut(act)
}

fn answer(function: &str, act: impl FnOnce(&mut Host) -> Result<(), Status>) -> i32 {
    let result = with(|host| host.check(function).and_then(|()| act(host)));
    result.map_or_else(|status| status as i32, |()| 0)
}

/// # Safety
///
/// The filter passes a live slice, or a null pointer and zero.
unsafe fn bytes<'a>(data: *const u8, len: usize) -> &'a [u8] {
    // SAFETY: as above.
    if len == 0 { &[] } else { unsafe { slice::from_raw_parts(data, len) } }
}

/// # Safety
///
/// As [`bytes`].
unsafe fn text<'a>(data: *const u8, len: usize) -> &'a str {
    // SAFETY: as above.
    str::from_utf8(unsafe { bytes(data, len) }).expect("the filter passes UTF-8")
}

/// Writes into memory of the filter; nothing at all is a null pointer.
///
/// # Safety
///
/// `data` and `size` are places that the filter has made for the answer.
unsafe fn give(bytes: &[u8], data: *mut *mut u8, size: *mut usize) {
    let memory =
        if bytes.is_empty() { std::ptr::null_mut() } else { proxy_on_memory_allocate(bytes.len()) };
    // SAFETY: the filter has just allocated as many bytes; the places are as above.
    unsafe {
        if !memory.is_null() {
            memory.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
        }
        *data = memory;
        *size = bytes.len();
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_log(_level: i32, line: *const u8, len: usize) -> i32 {
    answer("proxy_log", |host| {
        // SAFETY: a live slice.
        host.log.push(unsafe { text(line, len) }.to_owned());
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_get_current_time_nanoseconds(nanos: *mut u64) -> i32 {
    answer("proxy_get_current_time_nanoseconds", |host| {
        // SAFETY: a place for the answer.
        unsafe { *nanos = host.now };
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_set_tick_period_milliseconds(millis: u32) -> i32 {
    answer("proxy_set_tick_period_milliseconds", |host| {
        host.tick_period = Some(millis);
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_set_effective_context(id: u32) -> i32 {
    answer("proxy_set_effective_context", |host| {
        if id != super::worker::ROOT && !host.streams.contains_key(&id) {
            return Err(Status::BadArgument);
        }
        host.context = id;
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_continue_stream(_stream: i32) -> i32 {
    answer("proxy_continue_stream", |host| {
        host.stream()?.resumed = true;
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_close_stream(_stream: i32) -> i32 {
    answer("proxy_close_stream", |host| {
        host.stream()?.closed = true;
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_get_buffer_bytes(
    buffer: i32,
    start: usize,
    max: usize,
    data: *mut *mut u8,
    size: *mut usize,
) -> i32 {
    answer("proxy_get_buffer_bytes", |host| {
        let found = host.buffer(buffer, start, max)?;
        // SAFETY: places for the answer.
        unsafe { give(&found, data, size) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_set_buffer_bytes(
    buffer: i32,
    start: usize,
    len: usize,
    data: *const u8,
    size: usize,
) -> i32 {
    answer("proxy_set_buffer_bytes", |host| {
        // SAFETY: a live slice.
        let new = unsafe { bytes(data, size) };
        let body = match buffer {
            0 => host.stream()?.request_body.as_mut(),
            1 => host.stream()?.response_body.as_mut(),
            _ => None,
        };
        let body = body.ok_or(Status::BadArgument)?;
        if start != 0 {
            return Err(Status::BadArgument);
        }
        body.splice(..len.min(body.len()), new.iter().copied());
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_http_call(
    cluster: *const u8,
    cluster_len: usize,
    _headers: *const u8,
    _headers_len: usize,
    body: *const u8,
    body_len: usize,
    _trailers: *const u8,
    _trailers_len: usize,
    _timeout_ms: u32,
    token: *mut u32,
) -> i32 {
    answer("proxy_http_call", |host| {
        // SAFETY: live slices, and a place for the answer.
        let (cluster, body) = unsafe { (text(cluster, cluster_len), bytes(body, body_len)) };
        host.calls.push((cluster.to_owned(), body.to_vec()));
        let number = u32::try_from(host.calls.len()).expect("few calls");
        // SAFETY: as above.
        unsafe { *token = number };
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_get_header_map_value(
    map: i32,
    name: *const u8,
    name_len: usize,
    data: *mut *mut u8,
    size: *mut usize,
) -> i32 {
    answer("proxy_get_header_map_value", |host| {
        // SAFETY: a live slice, and places for the answer.
        unsafe { give(&host.header(map, text(name, name_len))?, data, size) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_get_header_map_pairs(
    map: i32,
    data: *mut *mut u8,
    size: *mut usize,
) -> i32 {
    answer("proxy_get_header_map_pairs", |host| {
        // SAFETY: places for the answer.
        unsafe { give(&host.headers(map)?, data, size) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_replace_header_map_value(
    map: i32,
    name: *const u8,
    name_len: usize,
    value: *const u8,
    value_len: usize,
) -> i32 {
    answer("proxy_replace_header_map_value", |host| {
        // SAFETY: live slices.
        let (name, value) = unsafe { (text(name, name_len), text(value, value_len)) };
        host.replace_header(map, name, value)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_remove_header_map_value(
    map: i32,
    name: *const u8,
    name_len: usize,
) -> i32 {
    // SAFETY: a live slice.
    answer("proxy_remove_header_map_value", |host| {
        host.remove_header(map, unsafe { text(name, name_len) })
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_get_property(
    path: *const u8,
    path_len: usize,
    data: *mut *mut u8,
    size: *mut usize,
) -> i32 {
    answer("proxy_get_property", |host| {
        // SAFETY: a live slice, and places for the answer.
        unsafe { give(&host.property(text(path, path_len))?, data, size) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_set_property(
    path: *const u8,
    path_len: usize,
    value: *const u8,
    value_len: usize,
) -> i32 {
    answer("proxy_set_property", |host| {
        // SAFETY: live slices.
        let (path, value) = unsafe { (text(path, path_len), text(value, value_len)) };
        host.set_property(path, value)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_send_local_response(
    status: u32,
    details: *const u8,
    details_len: usize,
    body: *const u8,
    body_len: usize,
    headers: *const u8,
    headers_len: usize,
    grpc_status: i32,
) -> i32 {
    answer("proxy_send_local_response", |host| {
        assert_eq!(grpc_status, -1, "no call is gRPC");
        // SAFETY: live slices.
        let (details, body, headers) = unsafe {
            (text(details, details_len), bytes(body, body_len), bytes(headers, headers_len))
        };
        let (details, body, headers) = (details.to_owned(), body.to_vec(), pairs(headers));
        host.stream()?.reply = Some(Reply { status, details, headers, body });
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_define_metric(
    kind: i32,
    name: *const u8,
    len: usize,
    id: *mut u32,
) -> i32 {
    answer("proxy_define_metric", |host| {
        // SAFETY: a live slice, and a place for the answer.
        unsafe { *id = host.define_metric(kind, text(name, len)) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_increment_metric(id: u32, by: i64) -> i32 {
    answer("proxy_increment_metric", |host| {
        host.move_metric(id, COUNTER, u64::try_from(by).map_err(|_| Status::BadArgument)?)
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_record_metric(id: u32, value: u64) -> i32 {
    answer("proxy_record_metric", |host| host.move_metric(id, HISTOGRAM, value))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_get_shared_data(
    key: *const u8,
    key_len: usize,
    data: *mut *mut u8,
    size: *mut usize,
    cas: *mut u32,
) -> i32 {
    answer("proxy_get_shared_data", |host| {
        // SAFETY: a live slice, and places for the answer.
        unsafe {
            let (value, version) = host.shared(text(key, key_len))?;
            give(&value, data, size);
            *cas = version;
        }
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_set_shared_data(
    key: *const u8,
    key_len: usize,
    value: *const u8,
    value_len: usize,
    cas: u32,
) -> i32 {
    answer("proxy_set_shared_data", |host| {
        // SAFETY: live slices.
        let (key, value) = unsafe { (text(key, key_len), bytes(value, value_len)) };
        host.set_shared(key, value, cas)
    })
}

/// Reads pairs: their number, the lengths of all texts, the texts with a zero behind each.
fn pairs(bytes: &[u8]) -> Vec<(String, String)> {
    let number = |at: usize| {
        let four = bytes[at * 4..][..4].try_into().unwrap();
        usize::try_from(u32::from_le_bytes(four)).unwrap()
    };
    let count = number(0);
    let mut at = 4 + count * 8;
    let mut next = |len: usize| {
        let text = String::from_utf8(bytes[at..at + len].to_vec()).unwrap();
        assert_eq!(bytes[at + len], 0, "a zero behind each text");
        at += len + 1;
        text
    };
    (0..count).map(|pair| (next(number(1 + pair * 2)), next(number(2 + pair * 2)))).collect()
}
