//! What `build.rs` has packed into the filter: unpacked where a worker first needs it.

use miniz_oxide::inflate::decompress_to_vec_with_limit;

/// A part as it was before it was packed. Tests unpack all parts: none that is in the filter fails.
pub(crate) fn part(deflated: &[u8]) -> Option<Vec<u8>> {
    decompress_to_vec_with_limit(deflated, MAX).ok()
}

/// More than any part takes, in bytes.
const MAX: usize = 4 * 1_024 * 1_024;
