//! Changes to a request on its way to the upstream.

use super::abi::{self, Buffer, Headers};
use crate::provider;
use crate::request::{Change, edited};

/// Changes the current request: its body, or else the model in its path. Tells whether the length of
/// its answer is what it was to be made.
pub(super) fn request(what: Change, size: usize) -> bool {
    if what.usage {
        ask_for_plain_answer();
    }
    let (model, lowers) = (what.model.clone(), what.most.is_some());
    let body = abi::body(Buffer::Request, 0, size).unwrap_or_default();
    if let Some(changed) = edited(body.as_slice(), what) {
        let replaced = abi::replace_body(Buffer::Request, size, &changed).is_ok();
        if replaced && abi::header(Headers::Request, "content-length").is_ok() {
            let length = changed.len().to_string();
            let _ = abi::replace_header(Headers::Request, "content-length", &length);
        }
        return replaced || !lowers;
    }
    if lowers {
        return false;
    }
    let path = abi::header(Headers::Request, ":path").unwrap_or_default();
    if let Some(path) = model.and_then(|model| provider::with_model(path.text(), &model)) {
        let _ = abi::replace_header(Headers::Request, ":path", &path);
    }
    true
}

/// Asks for an answer out of which something can be taken.
pub(super) fn ask_for_plain_answer() {
    if abi::header(Headers::Request, "accept-encoding").is_ok() {
        let _ = abi::replace_header(Headers::Request, "accept-encoding", "identity");
    }
}
