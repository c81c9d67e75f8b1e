//! The headers of a request, read at once.
//!
//! For each answer Envoy comes back into the VM for memory, which costs more than the answer: so one
//! answer with all headers, of which some are never looked at, is cheaper than one for each name.

use super::abi::{self, Bytes, Headers};

/// All headers, in the ABI's layout: their number, their lengths, then each text with a zero behind
/// it. Envoy's names are in lower case.
#[derive(Debug)]
pub(super) struct Head(Bytes);

impl Head {
    /// The headers of the current request; none where Envoy does not tell them.
    pub(super) fn of_request() -> Self {
        Self(abi::headers(Headers::Request).unwrap_or_default())
    }

    /// The value of the first header of that name. `name` is in lower case.
    pub(super) fn value(&self, name: &str) -> Option<&[u8]> {
        let mut first = None;
        let _ = self.each(name, &mut |value| _ = first.get_or_insert(value));
        first
    }

    /// The values of all headers of that name, which make one list.
    pub(super) fn joined(&self, name: &str) -> Vec<u8> {
        let mut list = Vec::new();
        let _ = self.each(name, &mut |value| {
            list.extend_from_slice(value);
            list.push(b',');
        });
        list.pop();
        list
    }

    /// Shows the value of each header of that name, up to where the layout is broken.
    #[inline(never)]
    fn each<'a>(&'a self, name: &str, on_value: &mut dyn FnMut(&'a [u8])) -> Option<()> {
        // Envoy knows it by its name in HTTP/2 alone.
        let name = if name == "host" { ":authority" } else { name };
        let bytes = self.0.as_slice();
        let (number, lengths) = bytes.split_first_chunk()?;
        let number = usize::try_from(u32::from_le_bytes(*number)).ok()?;
        let (lengths, mut texts) = lengths.split_at_checked(number.checked_mul(2 * LENGTH)?)?;
        for pair in lengths.as_chunks::<LENGTH>().0.chunks_exact(2) {
            let &[name_len, value_len] = pair else { return None };
            let (of, rest) = text(texts, name_len)?;
            let (value, rest) = text(rest, value_len)?;
            if of == name.as_bytes() {
                on_value(value);
            }
            texts = rest;
        }
        Some(())
    }

    /// The value of that header as text, or the empty text where it is none.
    pub(super) fn text(&self, name: &str) -> &str {
        self.value(name).and_then(|value| core::str::from_utf8(value).ok()).unwrap_or_default()
    }
}

/// Cuts off a text of so many bytes, and the zero behind it.
fn text(bytes: &[u8], len: [u8; LENGTH]) -> Option<(&[u8], &[u8])> {
    let len = usize::try_from(u32::from_le_bytes(len)).ok()?;
    let (text, rest) = bytes.split_at_checked(len)?;
    Some((text, rest.get(1..)?))
}

/// Bytes of a length.
const LENGTH: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_a_name_counts_and_what_is_broken_has_none() {
        let pairs = [("a", "1"), ("b", ""), ("a", "2"), ("c", "\u{e4}")];
        let bytes = abi::pairs(&pairs);
        let head = Head(Bytes::from(bytes.clone()));
        let host = Head(Bytes::from(abi::pairs(&[(":authority", "h")])));
        assert_eq!(host.value("host"), Some(&b"h"[..]));
        let values = ["a", "b", "c", "d"].map(|name| head.value(name));
        assert_eq!(values, [Some(&b"1"[..]), Some(b""), Some(b"\xc3\xa4"), None]);
        assert_eq!(["a", "b", "d"].map(|name| head.joined(name)), [&b"1,2"[..], b"", b""]);
        for at in 0..bytes.len() {
            let head = Head(Bytes::from(bytes[..at].to_vec()));
            assert_eq!(head.value("c"), None, "cut at {at}");
        }
        assert_eq!(Head(Bytes::from(vec![0xff; 64])).value("a"), None);
    }
}
