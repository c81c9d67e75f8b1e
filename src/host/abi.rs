//! Host calls that return `Result`.
#![expect(unsafe_code, reason = "the host is reached through raw pointers, here and nowhere else")]

use core::ptr::null_mut;

use crate::shared::{Conflict, Shared, Version};

/// The status with which the host refused a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Failure(pub(super) i32);

/// Which body.
#[derive(Clone, Copy)]
#[repr(i32)]
pub(super) enum Buffer {
    Request = 0,
    Response = 1,
    /// The answer to a call of ours.
    Call = 4,
    Configuration = 7,
}

/// Which headers.
#[derive(Clone, Copy)]
#[repr(i32)]
pub(super) enum Headers {
    Request = 0,
    Response = 2,
    /// The answer to a call of ours.
    Call = 6,
}

/// Which kind of metric.
#[derive(Clone, Copy)]
#[repr(i32)]
pub(super) enum Kind {
    Counter = 0,
    Histogram = 2,
}

/// Which level of Envoy's log.
#[derive(Clone, Copy)]
#[repr(i32)]
pub(super) enum Level {
    Info = 2,
    Warn = 3,
    Error = 4,
}

pub(super) fn log(level: Level, text: &str) {
    // SAFETY: pointer and length are of a live slice that the host copies.
    let _ = unsafe { proxy_log(level as i32, text.as_ptr(), text.len()) };
}

/// Nanoseconds since 1970 UTC.
pub(super) fn now() -> u64 {
    let mut nanos = 0;
    // SAFETY: the host writes one u64.
    let status = unsafe { proxy_get_current_time_nanoseconds(&mut nanos) };
    if status == 0 { nanos } else { 0 }
}

pub(super) fn set_tick_period(millis: u32) -> Result<(), Failure> {
    // SAFETY: no pointer is passed.
    done(unsafe { proxy_set_tick_period_milliseconds(millis) })
}

pub(super) fn set_context(id: u32) -> Result<(), Failure> {
    // SAFETY: no pointer is passed.
    done(unsafe { proxy_set_effective_context(id) })
}

pub(super) fn resume_request() -> Result<(), Failure> {
    // SAFETY: no pointer is passed.
    done(unsafe { proxy_continue_stream(0) })
}

/// Resets the current stream, towards the client and the upstream.
pub(super) fn close_stream() -> Result<(), Failure> {
    // SAFETY: no pointer is passed.
    done(unsafe { proxy_close_stream(1) })
}

pub(super) fn body(buffer: Buffer, start: usize, len: usize) -> Result<Bytes, Failure> {
    Bytes::from_host(|data, size| {
        // SAFETY: the host writes a pointer to memory that it asked `entry` for, and its length.
        unsafe { proxy_get_buffer_bytes(buffer as i32, start, len, data, size) }
    })
}

/// Puts `bytes` in the place of the first `len` of a body.
pub(super) fn replace_body(buffer: Buffer, len: usize, bytes: &[u8]) -> Result<(), Failure> {
    // SAFETY: the bytes are a live slice that the host copies.
    done(unsafe { proxy_set_buffer_bytes(buffer as i32, 0, len, bytes.as_ptr(), bytes.len()) })
}

/// Sends `POST path` to a cluster. The answer comes to the plugin that is the current context.
pub(super) fn post(
    cluster: &str,
    headers: &[(&str, &str)],
    body: &[u8],
    timeout_ms: u32,
) -> Result<u32, Failure> {
    let (headers, trailers, mut token) = (pairs(headers), pairs(&[]), 0);
    // SAFETY: all are live slices that the host copies; it writes one u32.
    let status = unsafe {
        proxy_http_call(
            cluster.as_ptr(),
            cluster.len(),
            headers.as_ptr(),
            headers.len(),
            body.as_ptr(),
            body.len(),
            trailers.as_ptr(),
            trailers.len(),
            timeout_ms,
            &mut token,
        )
    };
    done(status).map(|()| token)
}

pub(super) fn header(headers: Headers, name: &str) -> Result<Bytes, Failure> {
    Bytes::from_host(|data, size| {
        // SAFETY: as in `body`; the name is a live slice.
        unsafe { proxy_get_header_map_value(headers as i32, name.as_ptr(), name.len(), data, size) }
    })
}

/// All headers, in the layout that [`super::head`] reads.
pub(super) fn headers(headers: Headers) -> Result<Bytes, Failure> {
    Bytes::from_host(|data, size| {
        // SAFETY: as in `body`.
        unsafe { proxy_get_header_map_pairs(headers as i32, data, size) }
    })
}

pub(super) fn replace_header(headers: Headers, name: &str, value: &str) -> Result<(), Failure> {
    // SAFETY: both are live slices that the host copies.
    done(unsafe {
        proxy_replace_header_map_value(
            headers as i32,
            name.as_ptr(),
            name.len(),
            value.as_ptr(),
            value.len(),
        )
    })
}

pub(super) fn remove_header(headers: Headers, name: &str) -> Result<(), Failure> {
    // SAFETY: the name is a live slice.
    done(unsafe { proxy_remove_header_map_value(headers as i32, name.as_ptr(), name.len()) })
}

/// Reads the property at a path whose parts are joined by NUL.
pub(super) fn property(path: &str) -> Result<Bytes, Failure> {
    Bytes::from_host(|data, size| {
        // SAFETY: as in `body`; the path is a live slice.
        unsafe { proxy_get_property(path.as_ptr(), path.len(), data, size) }
    })
}

pub(super) fn set_property(path: &str, value: &str) -> Result<(), Failure> {
    // SAFETY: both are live slices that the host copies.
    done(unsafe { proxy_set_property(path.as_ptr(), path.len(), value.as_ptr(), value.len()) })
}

/// Answers the client. `details` is what `%RESPONSE_CODE_DETAILS%` will say.
pub(super) fn reply(
    status: u16,
    details: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<(), Failure> {
    let pairs = pairs(headers);
    // SAFETY: all are live slices that the host copies.
    done(unsafe {
        proxy_send_local_response(
            status.into(),
            details.as_ptr(),
            details.len(),
            body.as_ptr(),
            body.len(),
            pairs.as_ptr(),
            pairs.len(),
            NO_GRPC_STATUS,
        )
    })
}

pub(super) fn define_metric(kind: Kind, name: &str) -> Result<u32, Failure> {
    let mut id = 0;
    // SAFETY: the name is a live slice; the host writes one u32.
    let status = unsafe { proxy_define_metric(kind as i32, name.as_ptr(), name.len(), &mut id) };
    done(status).map(|()| id)
}

pub(super) fn count(id: u32, by: u64) -> Result<(), Failure> {
    let by = i64::try_from(by).unwrap_or(i64::MAX);
    // SAFETY: no pointer is passed.
    done(unsafe { proxy_increment_metric(id, by) })
}

pub(super) fn sample(id: u32, value: u64) -> Result<(), Failure> {
    // SAFETY: no pointer is passed.
    done(unsafe { proxy_record_metric(id, value) })
}

/// Envoy's shared data.
#[derive(Debug)]
pub(super) struct SharedData;

impl Shared for SharedData {
    fn load(&self, key: &str) -> Option<(Vec<u8>, Version)> {
        let mut cas = 0;
        let bytes = Bytes::from_host(|data, size| {
            // SAFETY: as in `body`; the key is a live slice and the host writes one u32.
            unsafe { proxy_get_shared_data(key.as_ptr(), key.len(), data, size, &mut cas) }
        });
        Some((bytes.ok()?.into_vec(), Version(cas)))
    }

    fn store(&mut self, key: &str, value: &[u8], version: Option<Version>) -> Result<(), Conflict> {
        let cas = version.map_or(CREATE, |version| version.0);
        // SAFETY: both are live slices that the host copies.
        done(unsafe {
            proxy_set_shared_data(key.as_ptr(), key.len(), value.as_ptr(), value.len(), cas)
        })
        .map_err(|_| Conflict)
    }
}

/// Bytes that the host wrote into memory of ours.
#[derive(Debug, Default)]
pub(super) struct Bytes(Vec<u8>);

impl Bytes {
    fn from_host(call: impl FnOnce(*mut *mut u8, *mut usize) -> i32) -> Result<Self, Failure> {
        let (mut data, mut size) = (null_mut(), 0);
        done(call(&mut data, &mut size))?;
        if data.is_null() {
            return Ok(Self::default());
        }
        // SAFETY: the host got `data` from `entry::proxy_on_memory_allocate`, which made it from a
        // boxed slice of `size` bytes, and keeps no copy of it.
        Ok(Self(unsafe { Vec::from_raw_parts(data, size, size) }))
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn into_vec(self) -> Vec<u8> {
        self.0
    }

    /// The bytes as text, or the empty text where they are none.
    pub(super) fn text(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or_default()
    }
}

#[cfg(test)]
impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

/// Memory for the host to write `size` bytes to; it comes back through [`Bytes`].
pub(super) fn allocate(size: usize) -> *mut u8 {
    let memory = vec![0_u8; size].into_boxed_slice();
    Box::into_raw(memory).cast()
}

const fn done(status: i32) -> Result<(), Failure> {
    if status == 0 { Ok(()) } else { Err(Failure(status)) }
}

/// Pairs in the ABI's layout: their number, their lengths, then each text with a zero behind it.
pub(super) fn pairs(pairs: &[(&str, &str)]) -> Vec<u8> {
    let texts = || pairs.iter().flat_map(|&(name, value)| [name, value]);
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes();
    let mut bytes = number(pairs.len()).to_vec();
    texts().for_each(|text| bytes.extend(number(text.len())));
    texts().for_each(|text| {
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(0);
    });
    bytes
}

/// A version that no key is ever at.
///
/// Envoy skips the check when the version is zero, so "create if absent" cannot be said with it:
/// two workers would both create, and one count would be lost. A version that matches nothing says
/// it: an absent key accepts any version, a present one refuses this.
const CREATE: u32 = u32::MAX;
const NO_GRPC_STATUS: i32 = -1;

#[cfg_attr(target_arch = "wasm32", link(wasm_import_module = "env"))]
unsafe extern "C" {
    fn proxy_log(level: i32, text: *const u8, len: usize) -> i32;
    fn proxy_get_current_time_nanoseconds(nanos: *mut u64) -> i32;
    fn proxy_set_tick_period_milliseconds(millis: u32) -> i32;
    fn proxy_set_effective_context(id: u32) -> i32;
    fn proxy_continue_stream(stream: i32) -> i32;
    fn proxy_close_stream(stream: i32) -> i32;
    fn proxy_get_buffer_bytes(
        buffer: i32,
        start: usize,
        max: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> i32;
    fn proxy_set_buffer_bytes(
        buffer: i32,
        start: usize,
        len: usize,
        data: *const u8,
        size: usize,
    ) -> i32;
    fn proxy_http_call(
        cluster: *const u8,
        cluster_len: usize,
        headers: *const u8,
        headers_len: usize,
        body: *const u8,
        body_len: usize,
        trailers: *const u8,
        trailers_len: usize,
        timeout_ms: u32,
        token: *mut u32,
    ) -> i32;
    fn proxy_get_header_map_value(
        map: i32,
        name: *const u8,
        name_len: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> i32;
    fn proxy_get_header_map_pairs(map: i32, data: *mut *mut u8, size: *mut usize) -> i32;
    fn proxy_replace_header_map_value(
        map: i32,
        name: *const u8,
        name_len: usize,
        value: *const u8,
        value_len: usize,
    ) -> i32;
    fn proxy_remove_header_map_value(map: i32, name: *const u8, name_len: usize) -> i32;
    fn proxy_get_property(
        path: *const u8,
        path_len: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> i32;
    fn proxy_set_property(
        path: *const u8,
        path_len: usize,
        value: *const u8,
        value_len: usize,
    ) -> i32;
    fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_len: usize,
        body: *const u8,
        body_len: usize,
        headers: *const u8,
        headers_len: usize,
        grpc_status: i32,
    ) -> i32;
    fn proxy_define_metric(kind: i32, name: *const u8, len: usize, id: *mut u32) -> i32;
    fn proxy_increment_metric(id: u32, by: i64) -> i32;
    fn proxy_record_metric(id: u32, value: u64) -> i32;
    fn proxy_get_shared_data(
        key: *const u8,
        key_len: usize,
        data: *mut *mut u8,
        size: *mut usize,
        cas: *mut u32,
    ) -> i32;
    fn proxy_set_shared_data(
        key: *const u8,
        key_len: usize,
        value: *const u8,
        value_len: usize,
        cas: u32,
    ) -> i32;
}
